//! What every endpoint for clients reads of a request: a form, the `Authorization` header, what is shown beside them.

use crate::broker::possession::Shown;
use crate::error::Result;
use crate::http::state::State;
use crate::http::{body, possession};
use crate::oidc::{ClientProof, Params};
use actix_web::HttpRequest;
use actix_web::http::header::AUTHORIZATION;
use actix_web::web::Payload;

/// A request of a client that nobody has authenticated yet.
pub struct Read {
    pub authorization: Option<String>,
    pub params: Params,
    pub shown: Shown,
}

impl Read {
    pub fn proof(&self) -> ClientProof<'_> {
        ClientProof {
            authorization: self.authorization.as_deref(),
            body: &self.params,
            certificate: self.shown.certificate.as_deref(),
            endpoint: &self.shown.path,
            address: self.shown.address,
        }
    }
}

/// # Errors
/// When the body is no form, or has a parameter twice.
pub async fn read(request: &HttpRequest, mut payload: Payload, state: &State) -> Result<Read> {
    let form = body::form(request, &mut payload, state.settings.body_limit).await?;
    Ok(Read { authorization: authorization(request), params: Params::parse(&form)?, shown: possession::shown(request, state)? })
}

/// A header that is no text is no credential, but must not be taken for none.
pub fn authorization(request: &HttpRequest) -> Option<String> {
    request.headers().get(AUTHORIZATION).map(|value| value.to_str().unwrap_or("(not text)").to_owned())
}
