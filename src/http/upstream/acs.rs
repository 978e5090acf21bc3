//! The assertion consumer service, `/connections/{name}/acs`. A Response comes by POST, an artifact by POST or in the query of
//! a GET. What comes to `/login/callback?connection=` is handed over by `callback`.

use crate::broker::Browser;
use crate::broker::upstream::{IdpAnswer, IdpPost};
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::http::pages::BOUNCED;
use crate::http::reply::{self, Again};
use crate::http::saml_form::SamlForm;
use crate::http::state::State;
use crate::http::{body, caller, cookies, pages};
use actix_web::web::{Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};

pub async fn by_path(request: HttpRequest, name: Path<String>, mut payload: Payload, state: Data<State>) -> HttpResponse {
    match take(&request, &state, &name, &mut payload).await {
        Ok(response) => response,
        Err(error) => pages::error(&request, &error, None),
    }
}

/// HTTP-Artifact by redirect (SAML Bindings 3.6.3).
pub async fn artifact_by_path(request: HttpRequest, name: Path<String>, state: Data<State>) -> HttpResponse {
    match take_query(&request, &state, &name).await {
        Ok(response) => response,
        Err(error) => pages::error(&request, &error, None),
    }
}

async fn take(request: &HttpRequest, state: &State, connection: &str, payload: &mut Payload) -> Result<HttpResponse> {
    let form = body::form(request, payload, state.settings.saml_body_limit).await?;
    let form = SamlForm::read(&form, "SAMLResponse")?;
    consume(request, state, connection, &form).await
}

async fn take_query(request: &HttpRequest, state: &State, connection: &str) -> Result<HttpResponse> {
    let mut form = SamlForm::read(request.query_string().as_bytes(), "SAMLResponse")?;
    if form.artifact.is_none() {
        // SAML Profiles 4.1.2: a Response never travels by redirect.
        return Err(Error::new(ErrorKind::InvalidRequest, "the parameter SAMLart is missing; a SAMLResponse is posted, never sent by GET"));
    }
    // With a GET browsers send the cookie, if they have it.
    form.bounced = true;
    consume(request, state, connection, &form).await
}

/// What was posted or sent there, read.
pub(super) async fn consume(request: &HttpRequest, state: &State, connection: &str, form: &SamlForm) -> Result<HttpResponse> {
    let wrong = |why: &str| Error::new(ErrorKind::InvalidRequest, why);
    let (answer, field) = match (form.message.as_deref(), form.artifact.as_deref()) {
        (Some(response), None) => (IdpAnswer::Response(response), ("SAMLResponse", response)),
        (None, Some(artifact)) => (IdpAnswer::Artifact(artifact), ("SAMLart", artifact)),
        (None, None) => return Err(wrong("the parameter SAMLResponse is missing")),
        (Some(_), Some(_)) => return Err(wrong("SAMLResponse and SAMLart exclude each other")),
    };
    let pushed_only = state.settings.require_pushed_authorization_requests;
    let post = IdpPost { connection, answer, relay_state: form.relay_state.as_deref(), bounced: form.bounced, pushed_only };
    let browser = Browser { caller: caller::read(request, state), ..cookies::read(request, state.settings.secure) };
    let outcome = Box::pin(state.gateway().assertion_consumer(post, &browser, Timestamp::now())).await;
    let mut fields = vec![field, (BOUNCED, "1")];
    fields.extend(form.relay_state.as_deref().map(|value| ("RelayState", value)));
    Ok(reply::outcome(request, state, outcome, Some(Again { see: None, fields })))
}
