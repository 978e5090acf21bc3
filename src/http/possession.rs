//! What a request shows beside its credentials or its token: a DPoP proof, the certificate of its connection.

use super::headers::client_address;
use super::state::State;
use crate::broker::possession::Shown;
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::oidc::ClientCertificate;
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse};
use std::sync::Arc;

const DPOP: &str = "dpop";
const DPOP_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");

/// Reads it. `path` is what the public calls the endpoint.
///
/// # Errors
/// [`ErrorKind::InvalidDpopProof`] for two proofs (RFC 9449 4.3); where a trusted proxy sends no certificate in the header
/// for that.
pub fn shown(request: &HttpRequest, state: &State) -> Result<Shown> {
    let mut proofs = request.headers().get_all(DPOP);
    let proof = proofs.next().map(|value| value.to_str().unwrap_or("(not text)").to_owned());
    if proofs.next().is_some() {
        return Err(Error::new(ErrorKind::InvalidDpopProof, "there is more than one DPoP proof"));
    }
    Ok(Shown {
        dpop: proof,
        certificate: certificate(request, state)?,
        method: request.method().as_str().to_owned(),
        path: request.path().to_owned(),
        address: client_address(request, state),
    })
}

/// The certificate that the client has shown: to a trusted proxy, which says so in a header, or to our own listener. From
/// anybody else the header is nothing.
fn certificate(request: &HttpRequest, state: &State) -> Result<Option<Arc<ClientCertificate>>> {
    let trusted = request.peer_addr().is_some_and(|peer| state.settings.trusted_proxies.iter().any(|network| network.contains(&peer.ip())));
    if let Some(name) = state.settings.client_certificate_header.as_deref().filter(|_| trusted) {
        let mut values = request.headers().get_all(name);
        let (first, second) = (values.next(), values.next());
        // A proxy replaces what the client sends, so that there is one at most.
        let text = match (first, second) {
            (None, _) => return Ok(None),
            (Some(value), None) => value.to_str().map_err(|_| unreadable())?,
            (Some(_), Some(_)) => return Err(unreadable()),
        };
        let chain = request.headers().get("client-cert-chain").and_then(|value| value.to_str().ok());
        return Ok(ClientCertificate::from_header(text, chain)?.map(Arc::new));
    }
    Ok(request.conn_data::<Arc<ClientCertificate>>().map(Arc::clone))
}

/// RFC 9449 8.2: the nonce for the next proof comes along with every answer.
pub fn with_nonce(mut response: HttpResponse, state: &State, now: Timestamp) -> HttpResponse {
    if let Some(value) = state.gateway().dpop_nonce(now).and_then(|nonce| HeaderValue::from_str(&nonce).ok()) {
        response.headers_mut().insert(DPOP_NONCE, value);
    }
    response
}

fn unreadable() -> Error {
    Error::new(ErrorKind::InvalidRequest, "the proxy's header with the client certificate cannot be read")
}
