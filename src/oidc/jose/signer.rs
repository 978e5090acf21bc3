//! Signing with one of our keys.

use super::JWT;
use super::published::PublicJwk;
use crate::error::{Error, ErrorKind, Result};
use crate::id;
use crate::keys::{Digest, PrivateKey, SignatureScheme};
use crate::oidc::SigningAlg;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

/// Signs JWTs with one key. The encoded header is made once.
#[derive(Debug)]
pub struct IdTokenSigner {
    key: PrivateKey,
    pub(super) alg: SigningAlg,
    kid: String,
    /// Header in base64url, and the dot.
    prefix: String,
}

impl IdTokenSigner {
    pub fn new(key: &PrivateKey) -> Result<Self> {
        Self::with_type(key, JWT)
    }

    /// A signer of tokens of another type, as `logout+jwt`.
    pub fn with_type(key: &PrivateKey, typ: &str) -> Result<Self> {
        let jwk = PublicJwk::of(key)?;
        let header = json!({ "alg": jwk.alg.as_str(), "typ": typ, "kid": jwk.kid });
        let prefix = URL_SAFE_NO_PAD.encode(header.to_string()) + ".";
        Ok(Self { key: key.clone(), alg: jwk.alg, kid: jwk.kid, prefix })
    }

    /// The same key for tokens of another type.
    pub fn of_type(&self, typ: &str) -> Result<Self> {
        Self::with_type(&self.key, typ)
    }

    /// The compact serialization (RFC 7515 7.1).
    pub fn sign(&self, claims: &Map<String, Value>) -> Result<String> {
        let payload =
            serde_json::to_vec(claims).map_err(|error| Error::new(ErrorKind::Internal, "claims cannot be written").because(error))?;
        let mut token = String::with_capacity(self.prefix.len() + payload.len() * 4 / 3 + 360);
        token.push_str(&self.prefix);
        URL_SAFE_NO_PAD.encode_string(payload, &mut token);
        let signature = self.key.sign(scheme(self.alg), token.as_bytes())?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        Ok(token)
    }

    pub const fn algorithm(&self) -> SigningAlg {
        self.alg
    }

    pub fn key_id(&self) -> &str {
        &self.kid
    }

    /// Core 3.1.3.6: base64url of the left half of the digest that belongs to the algorithm (`at_hash`, `c_hash`).
    pub fn half_hash(&self, text: &str) -> String {
        let digest: &[u8] = match self.alg {
            SigningAlg::RS256 | SigningAlg::ES256 => &id::sha256(text.as_bytes()),
            // RFC 8032 5.1: Ed25519 hashes with SHA-512.
            SigningAlg::EdDSA => &openssl::sha::sha512(text.as_bytes()),
        };
        URL_SAFE_NO_PAD.encode(digest.get(..digest.len() / 2).unwrap_or_default())
    }
}

const fn scheme(alg: SigningAlg) -> SignatureScheme {
    match alg {
        SigningAlg::RS256 => SignatureScheme::RsaPkcs1(Digest::Sha256),
        SigningAlg::ES256 => SignatureScheme::Ecdsa(Digest::Sha256),
        SigningAlg::EdDSA => SignatureScheme::EdDsa,
    }
}
