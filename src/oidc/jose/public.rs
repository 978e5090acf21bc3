//! Our public keys: what the JWKS says, and the verifiers of tokens that we signed.

use super::public_key::PublicKey;
use super::published::{PublicJwk, members_of};
use super::{JWT, MAX_TOKEN, json_object};
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::keys::PrivateKey;
use crate::oidc::{Prepared, SigningAlg};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// Our public keys: the JWKS, and the verifiers of our own tokens.
#[derive(Clone, Debug)]
pub struct PublicKeys {
    jwks: Prepared,
    verifiers: Vec<Arc<KnownKey>>,
}

#[derive(Debug)]
pub(super) struct KnownKey {
    kid: String,
    alg: SigningAlg,
    key: PublicKey,
}

impl KnownKey {
    pub(super) fn new(key: &PrivateKey, alg: SigningAlg) -> Result<Self> {
        let unusable = |why| Error::new(ErrorKind::Misconfigured, format!("a key for {} cannot be used: {why}", alg.as_str()));
        let key = PublicKey::from_jwk(&members_of(key)?).map_err(unusable)?;
        if !key.fits(alg.into()) {
            return Err(unusable("it is of another kind".to_owned()));
        }
        Ok(Self { kid: key.thumbprint().to_owned(), alg, key })
    }
}

impl PublicKeys {
    /// Keys, each with the algorithm that it signs by.
    ///
    /// # Errors
    /// When one is none for its algorithm.
    pub fn new<'a>(keys: impl IntoIterator<Item = (&'a PrivateKey, SigningAlg)>) -> Result<Self> {
        let (mut known, mut published) = (Vec::new(), Vec::new());
        for (key, alg) in keys {
            known.push(Arc::new(KnownKey::new(key, alg)?));
            published.push(PublicJwk::of(key)?.published("sig", Some(alg.as_str())));
        }
        Ok(Self::of(known, published.iter()))
    }

    pub(super) fn of<'a>(verifiers: Vec<Arc<KnownKey>>, published: impl Iterator<Item = &'a Value>) -> Self {
        let jwks = json!({ "keys": published.collect::<Vec<_>>() });
        Self { jwks: Prepared::new(jwks.to_string()), verifiers }
    }

    /// RFC 7517 5, as `/.well-known/jwks.json` serves it.
    pub const fn jwks(&self) -> &Prepared {
        &self.jwks
    }

    pub fn jwks_json(&self) -> &str {
        self.jwks.text()
    }

    /// Verifies a JWS that we signed with header type `typ`, and gives its claims. Says nothing about their meaning.
    pub fn verify(&self, token: &str, typ: &str) -> Result<Map<String, Value>> {
        let refuse = || Error::new(ErrorKind::InvalidRequest, "the token is not one of ours");
        if token.len() > MAX_TOKEN {
            return Err(refuse());
        }
        let (message, signature) = token.rsplit_once('.').ok_or_else(refuse)?;
        let (header, payload) = message.split_once('.').filter(|(_, payload)| !payload.contains('.')).ok_or_else(refuse)?;
        let header = json_object(header).ok_or_else(refuse)?;
        let member = |name: &str| header.get(name).and_then(Value::as_str);
        // RFC 7515 4.1.11: no extension is understood here.
        if header.contains_key("crit") || member("typ") != Some(typ) {
            return Err(refuse());
        }
        let known = self.verifiers.iter().find(|known| member("kid") == Some(&known.kid)).ok_or_else(refuse)?;
        // RFC 8725 3.1: the key has one algorithm; the header cannot choose another.
        if member("alg") != Some(known.alg.as_str()) {
            return Err(refuse());
        }
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| refuse())?;
        if !known.key.verifies(known.alg.into(), message.as_bytes(), &signature) {
            return Err(refuse());
        }
        json_object(payload).ok_or_else(refuse)
    }

    /// Core 3.1.2.1: a hint is an ID token that we issued; it may have expired.
    pub fn verify_hint(&self, token: &str, issuer: &str) -> Result<IdTokenHint> {
        let refuse = || Error::new(ErrorKind::InvalidRequest, "the id_token_hint is not an ID token of this provider");
        let claims = self.verify(token, JWT).map_err(|error| refuse().because(error))?;
        Self::id_token(&claims, issuer).ok_or_else(refuse)
    }

    /// An ID token that we issued and that has not expired.
    pub fn verify_current(&self, token: &str, issuer: &str, now: Timestamp) -> Result<IdTokenHint> {
        let refuse = || Error::new(ErrorKind::InvalidRequest, "the token is not an ID token of this provider, or has expired");
        let claims = self.verify(token, JWT).map_err(|error| refuse().because(error))?;
        let expires_at = claims.get("exp").and_then(Value::as_i64).ok_or_else(refuse)?;
        if now >= Timestamp::from_seconds(expires_at) {
            return Err(refuse());
        }
        Self::id_token(&claims, issuer).ok_or_else(refuse)
    }

    fn id_token(claims: &Map<String, Value>, issuer: &str) -> Option<IdTokenHint> {
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        if text("iss") != Some(issuer) {
            return None;
        }
        let audience: Vec<String> = match claims.get("aud") {
            Some(Value::String(one)) => vec![one.clone()],
            Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            _ => Vec::new(),
        };
        let client_id = text("azp").map(str::to_owned).or_else(|| audience.first().cloned())?;
        // Access tokens in Auth0's words are signed with the same keys and `typ`: they are for a resource server, and an ID
        // token is for its client (Core 2).
        if !audience.contains(&client_id) {
            return None;
        }
        let issued_at = claims.get("iat").and_then(Value::as_i64).map(Timestamp::from_seconds);
        let auth_time = claims.get("auth_time").and_then(Value::as_i64).map(Timestamp::from_seconds);
        let expires_at = claims.get("exp").and_then(Value::as_i64).map(Timestamp::from_seconds);
        Some(IdTokenHint {
            expires_at,
            auth_time,
            client_id,
            subject: text("sub")?.to_owned(),
            sid: text("sid").map(str::to_owned),
            issued_at,
        })
    }
}

/// An ID token of ours that somebody gave back. Made by [`PublicKeys::verify_hint`] and [`PublicKeys::verify_current`] only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdTokenHint {
    client_id: String,
    subject: String,
    sid: Option<String>,
    issued_at: Option<Timestamp>,
    expires_at: Option<Timestamp>,
    auth_time: Option<Timestamp>,
}

impl IdTokenHint {
    /// When the person proved who they are: a refresh or single sign-on makes a new token of an old login.
    pub const fn auth_time(&self) -> Option<Timestamp> {
        self.auth_time
    }

    pub const fn expires_at(&self) -> Option<Timestamp> {
        self.expires_at
    }

    pub const fn issued_at(&self) -> Option<Timestamp> {
        self.issued_at
    }

    /// The client that it was issued to.
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    pub fn subject(&self) -> &str {
        &self.subject
    }

    pub fn sid(&self) -> Option<&str> {
        self.sid.as_deref()
    }
}
