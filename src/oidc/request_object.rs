//! Request objects (OpenID Connect Core 6, RFC 9101): authorization requests as a JWT of the client, by value, by reference
//! or pushed before (RFC 9126).
//!
//! Here is what they may say, and which parameters count beside them. Signatures are verified, JWE opened and references
//! fetched elsewhere.

use super::client::ClientFacts;
use super::jwks::Verified;
use super::names::{ClientSigningAlg, ResponseType};
use super::params::Params;
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::id;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

/// What the `request_uri` of a pushed request begins with (RFC 9126 2.2).
pub const PUSHED: &str = "urn:ietf:params:oauth:request_uri:";
/// Octets of a request object at most.
pub const MAX_OBJECT: usize = 16 * 1024;
/// `typ` of a request object that can be nothing else (RFC 9101 10.8).
const TYPE: &str = "oauth-authz-req+jwt";
/// Seconds by which clocks may differ.
const LEEWAY: i64 = 60;
/// Seconds for which a `jti` is remembered: at least, at most, and where the object has no end.
const REMEMBERED: (i64, i64) = (600, 86_400);
/// Claims of the JWT itself (RFC 7519 4.1): no parameters.
const OF_THE_JWT: [&str; 7] = ["iss", "sub", "aud", "exp", "nbf", "iat", "jti"];

/// How the parameters of a request come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carried<'a> {
    Plain,
    /// The parameter `request`.
    Object(&'a str),
    /// The parameter `request_uri`.
    Reference(&'a str),
}

impl<'a> Carried<'a> {
    /// # Errors
    /// RFC 9101 5: not both.
    pub fn of(params: &'a Params) -> Result<Self> {
        match (params.get("request"), params.get("request_uri")) {
            (None, None) => Ok(Self::Plain),
            (Some(object), None) => Ok(Self::Object(object)),
            (None, Some(reference)) => Ok(Self::Reference(reference)),
            (Some(_), Some(_)) => Err(Error::new(ErrorKind::InvalidRequest, "request and request_uri exclude each other")),
        }
    }
}

/// What is proven of how a request came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Proven {
    /// In a request object with the client's signature.
    pub signed: bool,
    /// By the client itself, to the endpoint for pushed requests.
    pub pushed: bool,
}

impl Proven {
    /// Is that enough for this client? `pushed_only`: the operator takes no others.
    pub fn check(self, client: &ClientFacts, pushed_only: bool) -> Result<()> {
        // RFC 9126 5 and 6; FAPI 2.0 5.3.2.2.
        if !self.pushed && (pushed_only || client.request_objects.pushed_required || client.fapi2) {
            return Err(Error::new(ErrorKind::InvalidRequest, "requests of this client must be pushed first"));
        }
        // RFC 9101 10.5.
        if !self.signed && client.request_objects.required {
            return Err(Error::new(ErrorKind::InvalidRequest, "requests of this client must be signed request objects"));
        }
        Ok(())
    }
}

/// Which parameters count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beside {
    /// Those outside of the object too, where it does not say otherwise (Core 6.1), unless object or client want the rules of
    /// RFC 9101.
    Completes,
    /// Only those of the object (RFC 9101 6.3, RFC 9126 3).
    Ignored,
}

/// The content of a request object whose signature, if it has one, is proven.
#[derive(Clone, Copy, Debug)]
pub struct Content<'a> {
    pub header: &'a Map<String, Value>,
    pub claims: &'a Map<String, Value>,
    pub signed: bool,
}

/// A request object that was read.
#[derive(Debug)]
pub struct Opened {
    pub params: Params,
    /// What may be used once, and until when that must be remembered.
    pub once: Option<(String, Timestamp)>,
}

/// The algorithms of a JWE are those that the client has registered, if it has.
pub fn check_encryption(object: &str, client: &ClientFacts) -> Result<()> {
    let Some(registered) = client.request_objects.encryption else { return Ok(()) };
    let header = part(object, 0)?;
    let is = |name: &str, text: &str| header.get(name).and_then(Value::as_str) == Some(text);
    if is("alg", registered.alg.as_str()) && is("enc", registered.enc.as_str()) {
        return Ok(());
    }
    Err(refuse("the request object is not encrypted as the client has registered"))
}

/// The signatures that the client may make. FAPI 2.0 5.4.1: few algorithms.
pub fn allowed_algs(client: &ClientFacts) -> Vec<ClientSigningAlg> {
    const FAPI2: [ClientSigningAlg; 4] =
        [ClientSigningAlg::PS256, ClientSigningAlg::ES256, ClientSigningAlg::EdDSA, ClientSigningAlg::Ed25519];
    let may = |alg: &ClientSigningAlg| match client.request_objects.signing_alg {
        Some(registered) => *alg == registered && *alg != ClientSigningAlg::None,
        None => alg.is_asymmetric(),
    };
    ClientSigningAlg::ALL.iter().copied().filter(may).filter(|alg| !client.fapi2 || FAPI2.contains(alg)).collect()
}

/// Header and claims of an object without signature (RFC 7519 6), which proves nothing but that the client may do without;
/// `None` where it claims to have one.
///
/// # Errors
/// Where the client is not registered for that.
pub fn unsigned(object: &str, client: &ClientFacts) -> Result<Option<Verified>> {
    let header = part(object, 0)?;
    if header.get("alg").and_then(Value::as_str) != Some(ClientSigningAlg::None.as_str()) {
        return Ok(None);
    }
    let objects = &client.request_objects;
    let registered = objects.signing_alg.map_or(objects.unsigned, |alg| alg == ClientSigningAlg::None) && !objects.required;
    let in_order = object.split('.').count() == 3 && object.ends_with('.') && !header.contains_key("crit");
    if !registered || !in_order || client.fapi2 {
        return Err(refuse("the request object is not signed"));
    }
    Ok(Some(Verified { header, claims: part(object, 1)? }))
}

/// Reads what the object says. `outer` are the parameters beside it.
pub fn read(content: Content<'_>, beside: Beside, outer: &Params, client: &ClientFacts, issuer: &str, now: Timestamp) -> Result<Opened> {
    outer.refuse_repeats()?;
    let Content { header, claims, signed } = content;
    // 1. RFC 9101 10.8: no other kind of JWT is taken for a request.
    let typ = header.get("typ").and_then(Value::as_str).map(|typ| typ.strip_prefix("application/").unwrap_or(typ).to_ascii_lowercase());
    let explicit = typ.as_deref() == Some(TYPE);
    if !explicit && typ.as_deref().is_some_and(|typ| typ != "jwt") {
        return Err(refuse("the typ of the request object is that of something else"));
    }
    let strict = explicit || beside == Beside::Ignored || client.request_objects.required || client.fapi2;
    // 2. RFC 9101 4: no request in a request.
    if claims.contains_key("request") || claims.contains_key("request_uri") {
        return Err(refuse("the request object refers to another one"));
    }
    // 3. Of whom and for whom it is.
    check_parties(claims, signed && strict, client, issuer)?;
    // 4. When.
    let until = check_times(claims, now)?;
    // 5. Core 6.1, RFC 9101 6.3: what stands at both places must agree.
    let inside = parameters(claims)?;
    let client_id = inside.get("client_id");
    if client_id.map_or(strict && signed, |client_id| client_id != client.client_id) {
        return Err(refuse("the client_id of the request object is not that of the request"));
    }
    if let (Some(inner), Some(outer)) = (inside.get("response_type"), outer.get("response_type"))
        && inner != outer
        && (ResponseType::parse(inner).is_none() || ResponseType::parse(inner) != ResponseType::parse(outer))
    {
        return Err(refuse("the response_type of the request object is not that of the request"));
    }
    Ok(Opened { params: merged(&inside, outer, strict, &client.client_id)?, once: once(claims, client, until, now)? })
}

/// Core 6.1: `iss` and `aud` where they are there; RFC 9101 4 wants both in what is signed.
fn check_parties(claims: &Map<String, Value>, required: bool, client: &ClientFacts, issuer: &str) -> Result<()> {
    let client_id = Value::from(client.client_id.as_str());
    match claims.get("iss") {
        Some(iss) if *iss != client_id => return Err(refuse("the iss of the request object is not the client")),
        None if required => return Err(refuse("the request object has no iss")),
        _ => {}
    }
    let for_us = |aud: &Value| match aud {
        Value::String(one) => one == issuer,
        Value::Array(many) => many.iter().any(|one| one == issuer),
        _ => false,
    };
    match claims.get("aud") {
        Some(aud) if !for_us(aud) => return Err(refuse("the aud of the request object does not include this issuer")),
        None if required => return Err(refuse("the request object has no aud")),
        _ => {}
    }
    // RFC 9101 10.8: with sub, it could be taken for a client assertion.
    if claims.get("sub") == Some(&client_id) {
        return Err(refuse("the sub of the request object is the client, as in a client assertion"));
    }
    Ok(())
}

/// RFC 7519 4.1.4 to 4.1.6; gives the end, if there is one.
fn check_times(claims: &Map<String, Value>, now: Timestamp) -> Result<Option<Timestamp>> {
    let at = |name: &str| -> Result<Option<Timestamp>> {
        let Some(value) = claims.get(name) else { return Ok(None) };
        let seconds = value.as_i64().filter(|seconds| (0..=MOST_SECONDS).contains(seconds));
        let seconds = seconds.ok_or_else(|| refuse("a time of the request object is no number of seconds"))?;
        Ok(Some(Timestamp::from_seconds(seconds)))
    };
    let (exp, nbf, iat) = (at("exp")?, at("nbf")?, at("iat")?);
    if exp.is_some_and(|exp| now >= exp.plus_seconds(LEEWAY)) {
        return Err(refuse("the request object has expired"));
    }
    if [nbf, iat].into_iter().flatten().any(|from| from > now.plus_seconds(LEEWAY)) {
        return Err(refuse("the request object is of the future"));
    }
    Ok(exp)
}

/// A `jti` counts once for its client, as long as the object may be used.
fn once(
    claims: &Map<String, Value>,
    client: &ClientFacts,
    until: Option<Timestamp>,
    now: Timestamp,
) -> Result<Option<(String, Timestamp)>> {
    let jti = match claims.get("jti") {
        None => return Ok(None),
        Some(Value::String(jti)) if !jti.is_empty() => jti,
        Some(_) => return Err(refuse("the jti of the request object is no text")),
    };
    let (least, most) = (now.plus_seconds(REMEMBERED.0), now.plus_seconds(REMEMBERED.1));
    // An object that lives longer is refused for as long as that by its end alone: nobody needs one.
    let until = until.map_or(most, |until| until.plus_seconds(LEEWAY)).max(least);
    if until > most.plus_seconds(LEEWAY) {
        return Err(refuse("the request object is good for longer than a day"));
    }
    Ok(Some((format!("request object {} {jti}", client.client_id), until)))
}

/// The claims that are parameters, in the form in which they would stand in a query.
fn parameters(claims: &Map<String, Value>) -> Result<Params> {
    let mut pairs = Vec::new();
    for (name, value) in claims.iter().filter(|(name, _)| !OF_THE_JWT.contains(&name.as_str())) {
        let text = match value {
            Value::Null => continue,
            Value::String(text) => text.clone(),
            // RFC 9101 4: max_age is a number, claims an object.
            Value::Number(_) | Value::Bool(_) | Value::Object(_) => value.to_string(),
            Value::Array(several) if name == "resource" => {
                for one in several {
                    let one = one.as_str().ok_or_else(|| refuse("a resource of the request object is no text"))?;
                    pairs.push((name.clone(), one.to_owned()));
                }
                continue;
            }
            Value::Array(_) => return Err(refuse("a parameter of the request object is a list")),
        };
        pairs.push((name.clone(), text));
    }
    Params::from_pairs(pairs).map_err(|error| refuse("a parameter of the request object cannot be read").because(error))
}

/// The object's parameters, completed by those beside it unless only the object counts.
fn merged(inside: &Params, outer: &Params, strict: bool, client_id: &str) -> Result<Params> {
    let mut pairs: Vec<(String, String)> = inside.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let mut add = |name: &str, value: &str| {
        if inside.get(name).is_none() {
            pairs.push((name.to_owned(), value.to_owned()));
        }
    };
    if strict {
        add("client_id", client_id);
    } else {
        outer.iter().filter(|(name, _)| !matches!(*name, "request" | "request_uri")).for_each(|(name, value)| add(name, value));
    }
    Params::from_pairs(pairs).map_err(|error| refuse("the request has too many parameters").because(error))
}

/// Is this reference registered? Its fragment is not part of where it leads (Core 6.2).
pub fn is_registered(reference: &str, client: &ClientFacts) -> bool {
    let address = |text: &str| text.split_once('#').map_or(text, |(address, _)| address).to_owned();
    client.request_objects.request_uris.iter().any(|registered| address(registered) == address(reference))
}

/// The digest of the content, where the reference has one in its fragment (Core 6.2).
pub fn digest_of(reference: &str) -> Option<&str> {
    let (_, fragment) = reference.split_once('#')?;
    URL_SAFE_NO_PAD.decode(fragment).is_ok_and(|octets| octets.len() == 32).then_some(fragment)
}

/// Is this what the digest was made of?
pub fn has_digest(content: &[u8], digest: &str) -> bool {
    URL_SAFE_NO_PAD.encode(id::sha256(content)) == digest
}

/// A JSON part of a compact serialization.
fn part(object: &str, number: usize) -> Result<Map<String, Value>> {
    let unreadable = || refuse("the request object is not a readable JWT");
    if object.len() > MAX_OBJECT {
        return Err(refuse("the request object is too large"));
    }
    let octets = URL_SAFE_NO_PAD.decode(object.split('.').nth(number).ok_or_else(unreadable)?).map_err(|_| unreadable())?;
    serde_json::from_slice(&octets).map_err(|_| unreadable())
}

fn refuse(why: &'static str) -> Error {
    Error::new(ErrorKind::InvalidRequestObject, why)
}

/// The year 9999.
const MOST_SECONDS: i64 = 253_402_300_799;

#[cfg(test)]
#[path = "request_object_tests.rs"]
mod tests;
