//! The assertion consumer service: `/connections/{name}/acs`, and `/login/callback?connection=`.

use crate::broker::Browser;
use crate::broker::upstream::SamlPost;
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::http::pages::BOUNCED;
use crate::http::reply::{self, Again};
use crate::http::saml_form::SamlForm;
use crate::http::state::State;
use crate::http::{body, caller, cookies, pages};
use crate::oidc::Params;
use actix_web::web::{Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};

pub async fn by_path(request: HttpRequest, name: Path<String>, payload: Payload, state: Data<State>) -> HttpResponse {
    answer(&request, &state, &name, payload).await
}

pub async fn by_query(request: HttpRequest, payload: Payload, state: Data<State>) -> HttpResponse {
    let query = Params::parse(request.query_string().as_bytes());
    match query.as_ref().map(|query| query.get("connection")) {
        Ok(Some(name)) => answer(&request, &state, name, payload).await,
        Ok(None) => pages::error(&request, &Error::new(ErrorKind::UnknownConnection, "The address names no connection."), None),
        Err(error) => pages::error(&request, &Error::new(error.kind, error.detail.clone()), None),
    }
}

async fn answer(request: &HttpRequest, state: &State, connection: &str, mut payload: Payload) -> HttpResponse {
    match take(request, state, connection, &mut payload).await {
        Ok(response) => response,
        Err(error) => pages::error(request, &error, None),
    }
}

async fn take(request: &HttpRequest, state: &State, connection: &str, payload: &mut Payload) -> Result<HttpResponse> {
    let form = body::form(request, payload, state.settings.saml_body_limit).await?;
    let form = SamlForm::read(&form, "SAMLResponse")?;
    let saml_response =
        form.message.as_deref().ok_or_else(|| Error::new(ErrorKind::InvalidRequest, "the parameter SAMLResponse is missing"))?;
    let post = SamlPost { connection, saml_response, relay_state: form.relay_state.as_deref(), bounced: form.bounced };
    let browser = Browser { caller: caller::read(request, state), ..cookies::read(request, state.settings.secure) };
    let outcome = Box::pin(state.gateway().assertion_consumer(post, &browser, Timestamp::now())).await;
    let mut fields = vec![("SAMLResponse", saml_response), (BOUNCED, "1")];
    fields.extend(form.relay_state.as_deref().map(|value| ("RelayState", value)));
    Ok(reply::outcome(request, state, outcome, Some(Again { see: None, fields })))
}
