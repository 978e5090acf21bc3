//! Signing with one of our keys.

use super::JWT;
use super::published::key_id;
use crate::error::{Error, ErrorKind, Result};
use crate::id;
use crate::keys::{Digest, KeyKind, PrivateKey, SignatureScheme};
use crate::oidc::{ClientSigningAlg, SigningAlg};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

/// Signs JWTs with one key. The encoded header is made once.
#[derive(Debug)]
pub struct IdTokenSigner {
    key: PrivateKey,
    alg: SigningAlg,
    kid: String,
    /// Header in base64url, and the dot.
    prefix: String,
}

impl IdTokenSigner {
    /// # Errors
    /// When the key is none for `alg`.
    pub fn new(key: &PrivateKey, alg: SigningAlg) -> Result<Self> {
        Self::with_type(key, alg, Some(JWT))
    }

    /// A signer of tokens of another type, as `logout+jwt`, or of none.
    ///
    /// # Errors
    /// As of [`Self::new`].
    pub fn with_type(key: &PrivateKey, alg: SigningAlg, typ: Option<&str>) -> Result<Self> {
        if key.kind() != kind(alg) {
            return Err(Error::new(ErrorKind::Misconfigured, format!("this key cannot sign by {}", alg.as_str())));
        }
        let kid = key_id(key)?;
        Ok(Self { key: key.clone(), alg, prefix: prefix(alg, &kid, typ), kid })
    }

    /// The same key for tokens of another type.
    ///
    /// # Errors
    /// None at present.
    pub fn of_type(&self, typ: &str) -> Result<Self> {
        Ok(Self { key: self.key.clone(), alg: self.alg, prefix: prefix(self.alg, &self.kid, Some(typ)), kid: self.kid.clone() })
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

    /// See [`half_hash`].
    pub fn half_hash(&self, text: &str) -> String {
        half_hash(self.alg.into(), text)
    }
}

/// Core 3.1.3.6: base64url of the left half of the digest that belongs to the algorithm (`at_hash`, `c_hash`).
pub fn half_hash(alg: ClientSigningAlg, text: &str) -> String {
    use ClientSigningAlg as Alg;
    let digest: &[u8] = match alg {
        // `none` has no digest; nobody is given one by it.
        Alg::RS256 | Alg::PS256 | Alg::ES256 | Alg::HS256 | Alg::None => &id::sha256(text.as_bytes()),
        Alg::RS384 | Alg::PS384 | Alg::ES384 | Alg::HS384 => &openssl::sha::sha384(text.as_bytes()),
        // RFC 8032 5.1: Ed25519 hashes with SHA-512.
        Alg::RS512 | Alg::PS512 | Alg::ES512 | Alg::HS512 | Alg::EdDSA | Alg::Ed25519 => &openssl::sha::sha512(text.as_bytes()),
    };
    URL_SAFE_NO_PAD.encode(digest.get(..digest.len() / 2).unwrap_or_default())
}

fn prefix(alg: SigningAlg, kid: &str, typ: Option<&str>) -> String {
    let mut header = Map::from_iter([("alg".to_owned(), Value::from(alg.as_str()))]);
    header.extend(typ.map(|typ| ("typ".to_owned(), typ.into())));
    header.insert("kid".to_owned(), kid.into());
    URL_SAFE_NO_PAD.encode(Value::Object(header).to_string()) + "."
}

const fn scheme(alg: SigningAlg) -> SignatureScheme {
    match alg {
        SigningAlg::RS256 => SignatureScheme::RsaPkcs1(Digest::Sha256),
        SigningAlg::PS256 => SignatureScheme::RsaPss(Digest::Sha256),
        SigningAlg::ES256 => SignatureScheme::Ecdsa(Digest::Sha256),
        SigningAlg::ES384 => SignatureScheme::Ecdsa(Digest::Sha384),
        SigningAlg::EdDSA => SignatureScheme::EdDsa,
    }
}

const fn kind(alg: SigningAlg) -> KeyKind {
    match alg {
        SigningAlg::RS256 | SigningAlg::PS256 => KeyKind::Rsa,
        SigningAlg::ES256 => KeyKind::EcP256,
        SigningAlg::ES384 => KeyKind::EcP384,
        SigningAlg::EdDSA => KeyKind::Ed25519,
    }
}
