//! The OpenID provider's endpoints.

pub mod authorize;
pub mod device;
pub mod for_clients;
pub mod introspect;
pub mod logout;
pub mod metadata;
pub mod par;
pub mod register;
pub mod revoke;
pub mod session;
pub mod start;
pub mod token;
pub mod tokeninfo;
pub mod userinfo;

use actix_web::HttpResponse;
use actix_web::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS,
    ACCESS_CONTROL_MAX_AGE, HeaderValue,
};

/// Applications in browsers call the token and UserInfo endpoints from their own origin. Both live by what the
/// request carries, never by cookies, so any origin may read the answer.
pub(super) fn readable_by_scripts(mut response: HttpResponse) -> HttpResponse {
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("x-correlation-id, www-authenticate, dpop-nonce"));
    response
}

/// The question that browsers ask before such a call (Fetch, CORS protocol).
pub async fn preflight() -> HttpResponse {
    let response = HttpResponse::NoContent()
        .insert_header((ACCESS_CONTROL_ALLOW_METHODS, "GET, POST"))
        .insert_header((ACCESS_CONTROL_ALLOW_HEADERS, "authorization, content-type, dpop"))
        .insert_header((ACCESS_CONTROL_MAX_AGE, "600"))
        .finish();
    readable_by_scripts(response)
}
