//! JWTs by a secret that two parties share.

use super::{JWT, MAX_TOKEN, json_object};
use crate::error::{Error, ErrorKind, Result};
use crate::secret::Secret;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use josekit::jws::{HS256, JwsSigner as _, JwsVerifier as _};
use serde_json::{Map, Value, json};

/// A JWT signed with a secret that two parties share: HS256 (RFC 7518 3.2).
///
/// # Errors
/// When the secret is shorter than 32 octets, which the standard demands.
pub fn sign_shared(secret: &Secret<String>, claims: &Map<String, Value>) -> Result<String> {
    let signer = HS256.signer_from_bytes(secret.expose().as_bytes()).map_err(|error| weak_secret().because(error))?;
    let header = json!({ "alg": "HS256", "typ": JWT });
    let payload = serde_json::to_vec(claims).map_err(|error| Error::new(ErrorKind::Internal, "claims cannot be written").because(error))?;
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(payload));
    let signature =
        signer.sign(message.as_bytes()).map_err(|error| Error::new(ErrorKind::Internal, "a token cannot be signed").because(error))?;
    Ok(format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

/// The claims of a JWT that the other party signed with the shared secret. Says nothing about their meaning.
///
/// # Errors
/// When the secret is too short, or the token is not signed with it by HS256.
pub fn verify_shared(secret: &Secret<String>, token: &str) -> Result<Map<String, Value>> {
    let refuse = || Error::new(ErrorKind::InvalidRequest, "the token is not signed with the shared secret");
    let verifier = HS256.verifier_from_bytes(secret.expose().as_bytes()).map_err(|error| weak_secret().because(error))?;
    if token.len() > MAX_TOKEN {
        return Err(refuse());
    }
    let (message, signature) = token.rsplit_once('.').ok_or_else(refuse)?;
    let (header, payload) = message.split_once('.').filter(|(_, payload)| !payload.contains('.')).ok_or_else(refuse)?;
    let header = json_object(header).ok_or_else(refuse)?;
    // RFC 8725 3.1: one algorithm, and no extension (RFC 7515 4.1.11).
    if header.get("alg").and_then(Value::as_str) != Some("HS256") || header.contains_key("crit") {
        return Err(refuse());
    }
    let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| refuse())?;
    verifier.verify(message.as_bytes(), &signature).map_err(|error| refuse().because(error))?;
    json_object(payload).ok_or_else(refuse)
}

fn weak_secret() -> Error {
    Error::new(ErrorKind::Misconfigured, "the secret of a token needs at least 32 octets (RFC 7518 3.2)")
}
