//! A JWS as it came in (RFC 7515 7.1), before anything of it is believed.

use super::json_object;
use crate::error::{Error, ErrorKind, Result};
use crate::oidc::ClientSigningAlg;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use openssl::hash::MessageDigest;
use openssl::memcmp;
use openssl::pkey::PKey;
use openssl::sign::Signer;
use serde_json::{Map, Value};

/// Octets of a token of somebody else at most; request objects are the longest.
pub const MAX_RECEIVED: usize = 64 * 1024;

/// The parts of a JWT in compact serialization.
#[derive(Debug)]
pub struct Received<'a> {
    pub header: Map<String, Value>,
    /// What the signature is over.
    pub message: &'a str,
    pub claims: Map<String, Value>,
    pub signature: Vec<u8>,
}

impl<'a> Received<'a> {
    /// # Errors
    /// When it is no JWT, or has an extension that must be understood.
    pub fn parse(token: &'a str) -> Result<Self> {
        if token.len() > MAX_RECEIVED {
            return Err(refuse("the JWT is too long"));
        }
        let malformed = || refuse("this is no JWT in compact serialization");
        let (message, signature) = token.rsplit_once('.').ok_or_else(malformed)?;
        let (header, payload) = message.split_once('.').filter(|(_, payload)| !payload.contains('.')).ok_or_else(malformed)?;
        let header = json_object(header).ok_or_else(malformed)?;
        // RFC 7515 4.1.11: no extension is understood here; RFC 7797 is one.
        if header.contains_key("crit") || header.contains_key("b64") {
            return Err(refuse("the JWT has an extension that is not supported (crit)"));
        }
        let claims = json_object(payload).ok_or_else(malformed)?;
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| malformed())?;
        Ok(Self { header, message, claims, signature })
    }

    /// The algorithm that the header names, if it is one of `allowed`.
    ///
    /// # Errors
    /// When it is none of them.
    pub fn alg(&self, allowed: &[ClientSigningAlg]) -> Result<ClientSigningAlg> {
        let named = self.header.get("alg").and_then(Value::as_str).and_then(ClientSigningAlg::from_wire);
        named.filter(|alg| allowed.contains(alg)).ok_or_else(|| refuse("the JWT is not signed by an algorithm that is registered for it"))
    }

    pub fn kid(&self) -> Option<&str> {
        self.header.get("kid").and_then(Value::as_str)
    }

    /// Is the signature a MAC by `secret`? Never for a secret that is shorter than the digest (RFC 7518 3.2).
    pub fn has_mac(&self, alg: ClientSigningAlg, secret: &[u8]) -> bool {
        let Some((digest, octets)) = mac(alg).filter(|(_, octets)| secret.len() >= *octets) else { return false };
        let made = PKey::hmac(secret).and_then(|key| Signer::new(digest, &key)?.sign_oneshot_to_vec(self.message.as_bytes()));
        made.is_ok_and(|made| made.len() == octets && self.signature.len() == octets && memcmp::eq(&made, &self.signature))
    }
}

/// The digest of a MAC, and the octets of its output: a shorter secret must not be used.
fn mac(alg: ClientSigningAlg) -> Option<(MessageDigest, usize)> {
    match alg {
        ClientSigningAlg::HS256 => Some((MessageDigest::sha256(), 32)),
        ClientSigningAlg::HS384 => Some((MessageDigest::sha384(), 48)),
        ClientSigningAlg::HS512 => Some((MessageDigest::sha512(), 64)),
        _ => None,
    }
}

/// Octets that a secret needs at least for MACs by `alg`; 0 where it makes none.
pub fn secret_octets(alg: ClientSigningAlg) -> usize {
    mac(alg).map_or(0, |(_, octets)| octets)
}

fn refuse(why: &str) -> Error {
    Error::new(ErrorKind::InvalidRequest, why)
}
