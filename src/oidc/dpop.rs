//! Proofs of possession at the application level (RFC 9449), and the nonces that they may have to carry.
//!
//! A proof is a JWT that brings its own key: it proves nothing about anybody, but that whoever sends the request has the
//! key to which a token is, or is going to be, bound. That a proof is used once is the broker's to see.

use super::client::ClientFacts;
use super::jose::numeric_date;
use super::jwks::ClientJwks;
use super::names::ClientSigningAlg;
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::id;
use crate::keys::Sealer;
use serde_json::{Map, Value, json};
use url::Url;

/// What proofs may be signed with.
pub const ALGS: &[ClientSigningAlg] = &[
    ClientSigningAlg::ES256,
    ClientSigningAlg::ES384,
    ClientSigningAlg::ES512,
    ClientSigningAlg::EdDSA,
    ClientSigningAlg::Ed25519,
    ClientSigningAlg::PS256,
    ClientSigningAlg::PS384,
    ClientSigningAlg::PS512,
    ClientSigningAlg::RS256,
    ClientSigningAlg::RS384,
    ClientSigningAlg::RS512,
];
/// FAPI 2.0 Security Profile 5.4.1.
const FAPI_ALGS: &[ClientSigningAlg] =
    &[ClientSigningAlg::ES256, ClientSigningAlg::EdDSA, ClientSigningAlg::Ed25519, ClientSigningAlg::PS256];
/// `typ` of a proof (RFC 9449 4.2).
const TYPE: &str = "dpop+jwt";
/// Seconds that a proof may be away from now.
pub const WINDOW: i64 = 60;
/// Seconds for which a nonce is good.
const NONCE_LIFE: i64 = 300;
/// Octets of the MAC in a nonce.
const NONCE_MAC: usize = 16;
/// Longer than any proof, and than any `jti`.
const LONGEST: usize = 8 * 1024;
const LONGEST_JTI: usize = 512;

/// What a proof has to fit.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    pub method: &'a str,
    /// The addresses under which the request may have been sent, without query.
    pub urls: &'a [String],
    /// The access token beside which it came.
    pub access_token: Option<&'a str>,
    /// Only what the profile of such clients allows.
    pub fapi2: bool,
}

/// A proof that fits, if it has not been used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DpopProof {
    /// Thumbprint of the key (RFC 7638).
    pub jkt: String,
    pub jti: String,
    pub nonce: Option<String>,
}

/// What a client's proofs may be signed with.
pub fn algs(client: Option<&ClientFacts>) -> &'static [ClientSigningAlg] {
    if client.is_some_and(|client| client.fapi2) { FAPI_ALGS } else { ALGS }
}

/// RFC 9449 4.3, in its order.
pub fn check(proof: &str, expected: Expected<'_>, now: Timestamp) -> Result<DpopProof> {
    let (key, jkt) = key_of(proof).ok_or_else(|| refuse("it is no JWT of this type with a public key"))?;
    let algs = if expected.fapi2 { FAPI_ALGS } else { ALGS };
    let keys = ClientJwks::parse(&json!({ "keys": [key] })).map_err(|error| refuse("its key cannot be used").because(error))?;
    let verified = keys.verify(proof, algs).map_err(|error| refuse("it is not signed by its key").because(Error::from(error)))?;
    let text = |name: &str| verified.claims.get(name).and_then(Value::as_str);
    if text("htm") != Some(expected.method) {
        return Err(refuse("htm is not the method of the request"));
    }
    if !text("htu").is_some_and(|htu| is_url(htu, expected.urls)) {
        return Err(refuse("htu is not the address of the request"));
    }
    let issued = verified.claims.get("iat").and_then(numeric_date);
    if issued.is_none_or(|issued| now.seconds().saturating_sub(issued).saturating_abs() > WINDOW) {
        return Err(refuse("iat is not now"));
    }
    if let Some(token) = expected.access_token {
        let digest = id::base64url(&id::sha256(token.as_bytes()));
        if text("ath") != Some(&digest) {
            return Err(refuse("ath is not the digest of the access token"));
        }
    }
    let jti = text("jti").filter(|jti| !jti.is_empty() && jti.len() <= LONGEST_JTI).ok_or_else(|| refuse("jti is missing or too long"))?;
    Ok(DpopProof { jkt, jti: jti.to_owned(), nonce: text("nonce").map(str::to_owned) })
}

/// The key in the header of a proof, and its thumbprint. Nobody else's header may bring a key along.
fn key_of(proof: &str) -> Option<(Value, String)> {
    if proof.len() > LONGEST {
        return None;
    }
    let header: Map<String, Value> = serde_json::from_slice(&id::from_base64url(proof.split('.').next()?)?).ok()?;
    if header.get("typ").and_then(Value::as_str) != Some(TYPE) {
        return None;
    }
    let mut key = header.get("jwk")?.as_object()?.clone();
    let jkt = thumbprint(&key)?;
    // There is one key: what the header calls it does not matter.
    key.remove("kid");
    key.extend(header.get("kid").map(|kid| ("kid".to_owned(), kid.clone())));
    Some((Value::Object(key), jkt))
}

/// RFC 7638 3: SHA-256 over the required members in lexical order, without spaces.
fn thumbprint(key: &Map<String, Value>) -> Option<String> {
    let members: &[&str] = match key.get("kty")?.as_str()? {
        "RSA" => &["e", "kty", "n"],
        "EC" => &["crv", "kty", "x", "y"],
        "OKP" => &["crv", "kty", "x"],
        _ => return None,
    };
    let written: Vec<String> = members
        .iter()
        .map(|name| {
            let value = key.get(*name)?.as_str()?;
            let plain = value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
            plain.then(|| format!("\"{name}\":\"{value}\""))
        })
        .collect::<Option<_>>()?;
    Some(id::base64url(&id::sha256(format!("{{{}}}", written.join(",")).as_bytes())))
}

/// Is it what a thumbprint looks like: SHA-256 in base64url?
pub fn is_thumbprint(text: &str) -> bool {
    text.len() == 43 && id::from_base64url(text).is_some_and(|octets| octets.len() == 32)
}

/// RFC 9449 4.3, 9: query and fragment do not count, and spelling is normalized.
fn is_url(htu: &str, urls: &[String]) -> bool {
    let normal = |text: &str| {
        let mut url = Url::parse(text).ok()?;
        (url.username().is_empty() && url.password().is_none()).then(|| {
            url.set_query(None);
            url.set_fragment(None);
            url
        })
    };
    normal(htu).is_some_and(|asked| urls.iter().any(|url| normal(url).as_ref() == Some(&asked)))
}

/// A nonce for proofs of the next minutes. Every node that has the seal key knows it.
pub fn nonce(sealer: &Sealer, now: Timestamp) -> Result<String> {
    let made = now.seconds().to_be_bytes();
    Ok(id::base64url(&[made.as_slice(), &nonce_mac(sealer, &made)?].concat()))
}

/// Is it one of ours, and not too old?
pub fn is_nonce(sealer: &Sealer, nonce: &str, now: Timestamp) -> bool {
    let read = || {
        let octets = id::from_base64url(nonce).filter(|octets| octets.len() == 8 + NONCE_MAC)?;
        let (made, presented) = octets.split_at_checked(8)?;
        let expected = nonce_mac(sealer, made).ok()?;
        let age = now.seconds().saturating_sub(i64::from_be_bytes(made.try_into().ok()?));
        // The clock of another node may be a little ahead.
        Some(id::eq_constant_time(presented, &expected) && (-5..=NONCE_LIFE).contains(&age))
    };
    read().unwrap_or(false)
}

fn nonce_mac(sealer: &Sealer, made: &[u8]) -> Result<Vec<u8>> {
    let mut mac = sealer.mac(&[b"dpop-nonce", made])?;
    mac.truncate(NONCE_MAC);
    Ok(mac)
}

fn refuse(why: &str) -> Error {
    Error::new(ErrorKind::InvalidDpopProof, format!("the DPoP proof is not good: {why}"))
}

#[cfg(test)]
#[path = "dpop_tests.rs"]
mod tests;
