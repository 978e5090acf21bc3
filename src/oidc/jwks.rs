//! The public keys that a client has registered (RFC 7517), and what it has signed with them.

use super::jose::{PublicKey, Received, may_encrypt, may_verify, secret_octets};
use super::{ClientSigningAlg, Encryption, KeyManagementAlg, jose};
use crate::error::{Error, ErrorKind, Result};
use crate::secret::Secret;
use serde_json::{Map, Value};

/// More keys than a client needs.
const MAX_KEYS: usize = 50;

/// The members of a key that mean something here. Others are not kept: whoever registers must not fill our memory.
const USED: [&str; 11] = ["kty", "crv", "n", "e", "x", "y", "kid", "use", "alg", "key_ops", "x5c"];
/// Characters of a member at most: a modulus of 16,384 bits and a certificate around it are shorter.
const LONGEST: usize = 8 * 1024;
/// Operations that a key may list (RFC 7517 4.3 has eight).
const LISTED: usize = 16;

/// A JWK Set without anything private.
#[derive(Clone, Debug)]
pub struct ClientJwks {
    keys: Vec<Map<String, Value>>,
    read: Vec<Result<PublicKey, String>>,
}

/// Equal sets have equal members.
impl PartialEq for ClientJwks {
    fn eq(&self, other: &Self) -> bool {
        self.keys == other.keys
    }
}

/// A JWT whose signature is proven. What its claims mean, and whether it is of a good time, is not.
#[derive(Clone, Debug, PartialEq)]
pub struct Verified {
    pub header: Map<String, Value>,
    pub claims: Map<String, Value>,
}

/// Why a JWT is not believed.
#[derive(Debug)]
pub enum VerifyError {
    /// By none of these keys: the client may have newer ones.
    UnknownKey,
    Refused(Error),
}

impl From<VerifyError> for Error {
    fn from(error: VerifyError) -> Self {
        match error {
            VerifyError::UnknownKey => refuse("the JWT is not signed by a key of the client".to_owned()),
            VerifyError::Refused(error) => error,
        }
    }
}

/// What is kept of a key; of a chain of certificates the key's own.
fn used(key: &Map<String, Value>) -> Map<String, Value> {
    let short = |value: &&Value| value.as_str().is_some_and(|text| text.len() <= LONGEST);
    let kept = key.iter().filter(|(name, _)| USED.contains(&name.as_str())).map(|(name, value)| match value {
        Value::Array(list) => {
            let most = if name == "x5c" { 1 } else { LISTED };
            (name.clone(), list.iter().filter(short).take(most).cloned().collect())
        }
        value if short(&value) => (name.clone(), value.clone()),
        // It says something that cannot be understood, and that is not the same as saying nothing.
        _ => (name.clone(), Value::Null),
    });
    kept.collect()
}

impl ClientJwks {
    /// Keys that cannot be used are kept and never used (RFC 7517 5); see [`Self::unusable`].
    ///
    /// # Errors
    /// When it is no JWK Set, has too many keys, or one that should not leave its owner.
    pub fn parse(set: &Value) -> Result<Self> {
        let keys = set.get("keys").and_then(Value::as_array).ok_or_else(|| refuse("a JWK Set has a member `keys`, a list".to_owned()))?;
        if keys.len() > MAX_KEYS {
            return Err(refuse(format!("a JWK Set has at most {MAX_KEYS} keys")));
        }
        let mut read = Vec::with_capacity(keys.len());
        for (at, key) in keys.iter().enumerate() {
            let key = key.as_object().ok_or_else(|| refuse(format!("key {at} is no object")))?;
            // RFC 7518 6.2.2, 6.3.2, 6.4: private and symmetric members.
            if let Some(member) = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"].into_iter().find(|member| key.contains_key(*member)) {
                return Err(refuse(format!("key {at} has the private member `{member}`: register public keys only, and replace this one")));
            }
            read.push(used(key));
        }
        Ok(Self { read: read.iter().map(PublicKey::from_jwk).collect(), keys: read })
    }

    pub fn keys(&self) -> &[Map<String, Value>] {
        &self.keys
    }

    /// The keys that cannot be used, by their place, and why.
    pub fn unusable(&self) -> impl Iterator<Item = (usize, &str)> {
        self.read.iter().enumerate().filter_map(|(at, key)| Some((at, key.as_ref().err()?.as_str())))
    }

    /// Every usable key with its members.
    pub fn usable(&self) -> impl Iterator<Item = (&Map<String, Value>, &PublicKey)> {
        self.keys.iter().zip(&self.read).filter_map(|(members, key)| Some((members, key.as_ref().ok()?)))
    }

    /// Is one of them this public key (SubjectPublicKeyInfo in DER)?
    pub fn has_public_key(&self, der: &[u8]) -> bool {
        self.usable().any(|(_, key)| key.to_der() == der)
    }

    /// Verifies a JWT of the client. `kid` only chooses among these keys; whatever else the header says of keys is not read.
    ///
    /// # Errors
    /// [`VerifyError::UnknownKey`] when no key has its `kid`, or without one when no key has signed it; else why it is refused.
    pub fn verify(&self, token: &str, allowed: &[ClientSigningAlg]) -> Result<Verified, VerifyError> {
        let received = Received::parse(token).map_err(VerifyError::Refused)?;
        let alg = received.alg(allowed).map_err(VerifyError::Refused)?;
        if !alg.is_asymmetric() {
            return Err(VerifyError::Refused(refuse("a JWT with a MAC is not signed by a key".to_owned())));
        }
        let kid = received.kid();
        let named = |members: &Map<String, Value>| kid.is_none_or(|kid| members.get("kid").and_then(Value::as_str) == Some(kid));
        if !self.keys.iter().any(named) {
            return Err(VerifyError::UnknownKey);
        }
        let mut candidates = self.usable().filter(|(members, key)| named(members) && key.fits(alg) && may_verify(members, alg));
        if candidates.any(|(_, key)| key.verifies(alg, received.message.as_bytes(), &received.signature)) {
            return Ok(Verified { header: received.header, claims: received.claims });
        }
        match kid {
            None => Err(VerifyError::UnknownKey),
            Some(_) => Err(VerifyError::Refused(refuse("the signature of the JWT is not one by the key that it names".to_owned()))),
        }
    }

    /// Encrypts to the client, by the first key that is for that; `content_type` is the `cty` of what is inside.
    ///
    /// # Errors
    /// When there is no such key.
    pub fn encrypt(&self, how: Encryption, content_type: Option<&str>, payload: &[u8]) -> Result<String> {
        let fits =
            |(members, key): &(&Map<String, Value>, &PublicKey)| jose::jwe::fits(key.kind(), how.alg) && may_encrypt(members, how.alg);
        // One that says so itself is preferred to one that only does not say otherwise.
        let says = |(members, _): &(&Map<String, Value>, &PublicKey)| members.contains_key("alg") || members.contains_key("use");
        let chosen = self.usable().find(|key| fits(key) && says(key)).or_else(|| self.usable().find(fits));
        let (members, key) = chosen.ok_or_else(|| no_key_for(how.alg))?;
        jose::jwe::encrypt(key, members.get("kid").and_then(Value::as_str), how, content_type, payload)
    }
}

/// Verifies a JWT with a MAC by the secret that the client shares with us.
///
/// # Errors
/// When the secret is too short for the algorithm (RFC 7518 3.2), or the token is not by it.
pub fn verify_mac(secret: &Secret<String>, token: &str, allowed: &[ClientSigningAlg]) -> Result<Verified> {
    let received = Received::parse(token)?;
    let alg = received.alg(allowed)?;
    let needed = secret_octets(alg);
    if needed > secret.expose().len() {
        let detail = format!("the secret of the client is too short for {}, which needs {needed} octets", alg.as_str());
        return Err(Error::new(ErrorKind::Misconfigured, detail));
    }
    if !received.has_mac(alg, secret.expose().as_bytes()) {
        return Err(refuse("the MAC of the JWT is not one by the client's secret".to_owned()));
    }
    Ok(Verified { header: received.header, claims: received.claims })
}

fn no_key_for(alg: KeyManagementAlg) -> Error {
    Error::new(ErrorKind::Misconfigured, format!("the client has no key to which {} can encrypt", alg.as_str()))
}

fn refuse(why: String) -> Error {
    Error::new(ErrorKind::InvalidRequest, why)
}

#[cfg(test)]
#[path = "jwks_tests.rs"]
mod tests;
