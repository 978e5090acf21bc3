//! `/oauth/par`.

use crate::clock::Timestamp;
use crate::error::Result;
use crate::http::state::State;
use crate::http::{body, reply};
use crate::oidc::Params;
use actix_web::http::header::{AUTHORIZATION, CONTENT_TYPE};
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};

pub async fn post(request: HttpRequest, mut payload: Payload, state: Data<State>) -> HttpResponse {
    let response = match push(&request, &mut payload, &state).await {
        // RFC 9126 2.2.
        Ok(pushed) => HttpResponse::Created().insert_header((CONTENT_TYPE, "application/json")).body(pushed),
        Err(error) => reply::oauth_error(&request, &error),
    };
    super::readable_by_scripts(response)
}

async fn push(request: &HttpRequest, payload: &mut Payload, state: &State) -> Result<String> {
    let form = body::form(request, payload, state.settings.body_limit).await?;
    let params = Params::parse(&form)?;
    // A header that is no text is no credential, but must not be taken for none.
    let authorization = request.headers().get(AUTHORIZATION).map(|value| value.to_str().unwrap_or("(not text)"));
    Box::pin(state.gateway().push_request(authorization, &params, Timestamp::now())).await.map(|pushed| pushed.to_json())
}
