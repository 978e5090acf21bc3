//! What OpenID providers say of a session's end: `/connections/{name}/backchannel-logout`, `frontchannel-logout` and
//! `signed-out`.

use crate::clock::Timestamp;
use crate::connection::LogoutSaid;
use crate::error::{Error, ErrorKind, Result};
use crate::http::headers::Correlation;
use crate::http::state::State;
use crate::http::{body, cookies, logout, reply};
use crate::oidc::Params;
use actix_web::http::header::CACHE_CONTROL;
use actix_web::web::{Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};

/// A logout token (Back-Channel Logout 2.5): 200, or 400 with why (2.8).
pub async fn post(request: HttpRequest, name: Path<String>, mut payload: Payload, state: Data<State>) -> HttpResponse {
    let result = async {
        let form = body::form(&request, &mut payload, state.settings.body_limit).await?;
        let params = Params::parse(&form)?;
        let missing = || Error::new(ErrorKind::InvalidRequest, "logout_token is missing");
        let token = params.get("logout_token").ok_or_else(missing)?;
        take(&request, &state, &name, LogoutSaid::Token(token)).await
    };
    answer(&request, result.await)
}

/// In a frame of the provider's page (Front-Channel Logout 2), which looks at no answer.
pub async fn frame(request: HttpRequest, name: Path<String>, state: Data<State>) -> HttpResponse {
    let result = async {
        let params = Params::parse(request.query_string().as_bytes())?;
        let said = LogoutSaid::Frame { iss: params.get("iss").unwrap_or_default(), sid: params.get("sid").unwrap_or_default() };
        take(&request, &state, &name, said).await
    };
    answer(&request, result.await)
}

/// The browser comes back from a logout there.
pub async fn returned(request: HttpRequest, name: Path<String>, state: Data<State>) -> HttpResponse {
    let browser = cookies::read(&request, state.settings.secure);
    let result = async {
        let params = Params::parse(request.query_string().as_bytes())?;
        Box::pin(state.gateway().signed_out_there(&name, params.get("state").unwrap_or_default(), Timestamp::now())).await
    };
    logout::answer(&request, &state, &browser, result.await)
}

async fn take(request: &HttpRequest, state: &State, name: &str, said: LogoutSaid<'_>) -> Result<()> {
    let correlation_id = Correlation::of(request).get();
    Box::pin(state.gateway().logout_by_provider(name, said, &correlation_id, Timestamp::now())).await
}

fn answer(request: &HttpRequest, result: Result<()>) -> HttpResponse {
    match result {
        Ok(()) => HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).finish(),
        Err(error) => reply::oauth_error(request, &error),
    }
}
