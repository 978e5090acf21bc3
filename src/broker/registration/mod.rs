//! Clients that register themselves (OpenID Connect Dynamic Client Registration 1.0, RFC 7591) and manage what they have
//! registered (RFC 7592).
//!
//! They live where the management API's clients live, in the same words, so that operators see and change them there, and
//! every node serves them. `object` is the translation in both directions, `initial` the tokens that allow a registration,
//! `unused` forgets those who never came back. What a client may say is checked in [`crate::oidc::registration`], and then by
//! the reader of the configuration, as everything else that is stored.

mod arrivals;
mod initial;
mod object;
mod statement;
#[cfg(test)]
mod tests;
mod unused;

pub use initial::{InitialToken, issue as issue_initial_token, list as initial_tokens, revoke as revoke_initial_token};
pub use unused::forget as forget_unused;

use super::Gateway;
use super::admin::By;
use super::admin::kinds::{self, CLIENT, CLIENT_GRANT};
use super::admin::objects::{self, NotWritten, Object};
use super::live::Live;
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::id;
use crate::oidc::registration::{ClientMetadata, invalid};
use crate::oidc::{ClientKeys, TokenEndpointAuthMethod, discovery};
use crate::secret::Secret;
use crate::store::Expect;
use arrivals::Arrivals;
use serde_json::{Map, Value};
use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use url::Url;

/// Seconds that the registration access token before is accepted after a change, whose answer may have been lost.
const GRACE: u64 = 600;

/// Bytes of what a sector identifier's address answers, at most.
const SECTOR_LIMIT: u64 = 128 * 1024;

type Body = Map<String, Value>;

/// Who may register.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    #[default]
    Off,
    /// Whoever has a token of the operator's.
    InitialAccessToken,
    Open,
}

/// What the operator says about registration.
#[derive(Clone, Debug)]
pub struct Policy {
    pub mode: Mode,
    /// Names of the connections by which people may come to such clients; `None`: all.
    pub connections: Option<Vec<String>>,
    /// Codes of such clients work with PKCE only.
    pub require_pkce: bool,
    /// Where such a client names no algorithm for its request objects, they may come unsigned.
    pub unsigned_request_objects: bool,
    /// Registrations of one address in an hour, on each node.
    pub per_hour: u32,
    /// Clients that have registered, at most.
    pub max_clients: usize,
    /// Seconds after which a client that nobody has ever used is deleted.
    pub unused_after: Option<u64>,
    /// Whose software statements count.
    pub statements: Vec<StatementIssuer>,
    /// Nobody registers without one.
    pub statement_required: bool,
    /// This machine itself may be named and asked.
    pub development: bool,
}

/// Somebody who vouches for software (RFC 7591 2.3).
#[derive(Clone, Debug)]
pub struct StatementIssuer {
    pub issuer: String,
    pub keys: ClientKeys,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            mode: Mode::Off,
            connections: None,
            require_pkce: true,
            unsigned_request_objects: false,
            per_hour: 20,
            max_clients: 10_000,
            unused_after: Some(30 * 86_400),
            statements: Vec::new(),
            statement_required: false,
            development: false,
        }
    }
}

/// The policy, and what this node remembers to keep it.
#[derive(Debug, Default)]
pub struct Registration {
    pub policy: Policy,
    arrivals: Arrivals,
    /// Clients whose first use is written down, or being written down.
    seen: Mutex<HashSet<String>>,
}

impl Registration {
    pub fn new(policy: Policy) -> Self {
        Self { policy, ..Self::default() }
    }

    pub fn is_on(&self) -> bool {
        self.policy.mode != Mode::Off
    }

    fn first_seen(&self, client_id: &str) -> bool {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).insert(client_id.to_owned())
    }

    fn not_seen(&self, client_id: &str) {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).remove(client_id);
    }
}

/// A request to the registration endpoint, or to the address of one client.
#[derive(Clone, Copy, Debug)]
pub struct Asking<'a> {
    /// The bearer token of its `Authorization` header.
    pub token: Option<&'a str>,
    pub address: IpAddr,
    pub correlation_id: &'a str,
    pub now: Timestamp,
}

/// Registers a client (Registration 3.1, RFC 7591 3.1). The answer says what it is registered with, and its secrets, which
/// are not told again.
///
/// # Errors
/// Those of RFC 7591 3.2.2; [`ErrorKind::InvalidToken`] without a good initial access token where one is needed.
pub async fn register(live: &Live, said: &Body, asking: Asking<'_>) -> Result<Body> {
    let gateway = live.gateway();
    let policy = &on(&gateway)?.policy;
    let allowed = match policy.mode {
        Mode::Off => return Err(off()),
        Mode::InitialAccessToken => Some(initial::find(&gateway, asking.token, asking.now).await?),
        Mode::Open => None,
    };
    // Counted then only: whoever has no token uses up nobody's number.
    gateway.registration.arrivals.take(asking.address, policy.per_hour, asking.now)?;
    let registered = gateway.applications.values().filter(|application| application.is_self_registered()).count();
    if registered >= policy.max_clients {
        tracing::warn!(registered, "no more clients may register: raise max_clients, or delete some");
        return Err(Error::new(ErrorKind::AccessDenied, "no more clients can be registered here"));
    }
    let said = &statement::applied(&gateway, said, asking.now).await?;
    let metadata = read_metadata(&gateway, said).await?;
    let client_id = id::random_id();
    let mut body = Body::new();
    object::put(&mut body, &metadata, policy);
    let secret = give_secret(&mut body, &metadata, asking.now);
    let token = Secret::new(id::random_token());
    let mut own = Body::from_iter([("at".to_owned(), Value::from(asking.now.seconds()))]);
    kinds::add_secret(&mut own, &token, 0, asking.now);
    object::put_own(&mut body, own, &metadata, said);
    let by = By { actor: &client_id, correlation_id: asking.correlation_id };
    let object = match allowed {
        None => objects::write(live, &CLIENT, &client_id, body, Expect::Nothing, by, asking.now).await,
        Some(allowed) => initial::spend(live, allowed, (&client_id, body), by, asking.now).await,
    };
    let (object, _) = object.map_err(refused)?;
    tracing::info!(client_id, correlation_id = asking.correlation_id, "a client has registered");
    Ok(answer(&gateway, &object, secret.as_ref(), &token))
}

/// What a client is registered with (RFC 7592 2.1). Its secret is not told again: only a digest of it is known.
///
/// # Errors
/// [`ErrorKind::InvalidToken`] without its registration access token.
pub async fn read(live: &Live, client_id: &str, asking: Asking<'_>) -> Result<Body> {
    let gateway = live.gateway();
    let (object, token) = authenticated(&gateway, client_id, asking).await?;
    Ok(answer(&gateway, &object, None, &token))
}

/// Registers a client anew (RFC 7592 2.2): what is not said is taken away. The registration access token changes.
///
/// # Errors
/// As [`register`] and [`read`].
pub async fn replace(live: &Live, client_id: &str, said: &Body, asking: Asking<'_>) -> Result<Body> {
    let gateway = live.gateway();
    let (object, _) = authenticated(&gateway, client_id, asking).await?;
    let policy = &gateway.registration.policy;
    check_replacement(client_id, said, &object, asking.now)?;
    let said = &statement::applied(&gateway, said, asking.now).await?;
    let metadata = read_metadata(&gateway, said).await?;
    let mut body = object.body.clone();
    object::put(&mut body, &metadata, policy);
    let secret = keep_or_give_secret(&mut body, &metadata, asking.now);
    let token = Secret::new(id::random_token());
    let mut own = object::own(&object.body);
    kinds::add_secret(&mut own, &token, GRACE, asking.now);
    object::put_own(&mut body, own, &metadata, said);
    let (by, expect) = (By { actor: client_id, correlation_id: asking.correlation_id }, Expect::Version(object.version));
    let (object, _) = objects::write(live, &CLIENT, client_id, body, expect, by, asking.now).await.map_err(refused)?;
    Ok(answer(&gateway, &object, secret.as_ref(), &token))
}

/// Deletes a client (RFC 7592 2.3) with what was granted to it; its tokens are worth nothing from then on.
///
/// # Errors
/// [`ErrorKind::InvalidToken`] without its registration access token.
pub async fn remove(live: &Live, client_id: &str, asking: Asking<'_>) -> Result<()> {
    let gateway = live.gateway();
    let (object, _) = authenticated(&gateway, client_id, asking).await?;
    let by = By { actor: client_id, correlation_id: asking.correlation_id };
    delete(live, &object, by, asking.now).await
}

async fn delete(live: &Live, object: &Object, by: By<'_>, now: Timestamp) -> Result<()> {
    let gateway = live.gateway();
    let mut grants = Vec::new();
    for grant in gateway.client_grants.values().filter(|grant| grant.client_id == object.id) {
        grants.extend(objects::read(&gateway, &CLIENT_GRANT, &grant.id).await?.map(|grant| (&CLIENT_GRANT, grant)));
    }
    objects::delete_with(live, (&CLIENT, &object.id, Expect::Version(object.version)), &grants, by, now).await.map(drop)
}

fn on(gateway: &Gateway) -> Result<&Registration> {
    if gateway.registration.is_on() { Ok(&gateway.registration) } else { Err(off()) }
}

fn off() -> Error {
    Error::new(ErrorKind::NotFound, "clients cannot be registered here")
}

/// The client that the address names, if the token is its registration access token, and the token. An unknown client gets
/// the same answer in the same time.
async fn authenticated(gateway: &Gateway, client_id: &str, asking: Asking<'_>) -> Result<(Object, Secret<String>)> {
    on(gateway)?;
    let object = objects::read(gateway, &CLIENT, client_id).await?;
    let digests = object.as_ref().map(|object| kinds::secret_digests(&object::own(&object.body), asking.now)).unwrap_or_default();
    let token = asking.token.unwrap_or_default();
    let presented = id::digest(token);
    let unknown = [id::digest("")];
    let known = if digests.is_empty() { &unknown[..] } else { &digests };
    let matches = known.iter().fold(false, |found, digest| found | id::eq_constant_time(digest.as_bytes(), presented.as_bytes()));
    match object {
        Some(object) if matches && !digests.is_empty() && !token.is_empty() => Ok((object, Secret::new(token.to_owned()))),
        _ => Err(Error::new(ErrorKind::InvalidToken, "the registration access token is not valid")),
    }
}

/// RFC 7592 2.2: the request names the client, and nothing that only we say; its secret it may repeat.
fn check_replacement(client_id: &str, said: &Body, object: &Object, now: Timestamp) -> Result<()> {
    if said.get("client_id").and_then(Value::as_str) != Some(client_id) {
        return Err(invalid("client_id", "is not the one of this address"));
    }
    for ours in ["registration_access_token", "registration_client_uri", "client_secret_expires_at", "client_id_issued_at"] {
        if said.contains_key(ours) {
            return Err(invalid(ours, "is not the client's to say; leave it out"));
        }
    }
    let Some(secret) = said.get("client_secret").filter(|secret| !secret.is_null()) else { return Ok(()) };
    let presented = id::digest(secret.as_str().unwrap_or_default());
    let is = |digest: &String| id::eq_constant_time(digest.as_bytes(), presented.as_bytes());
    if kinds::secret_digests(&object.body, now).iter().any(is) {
        return Ok(());
    }
    Err(invalid("client_secret", "is not the one that the client has; a client does not choose its own"))
}

/// What the client says, checked; its sector identifier too.
async fn read_metadata(gateway: &Gateway, said: &Body) -> Result<ClientMetadata> {
    let policy = &gateway.registration.policy;
    let metadata = ClientMetadata::parse(said, policy.development)?;
    if let Some(address) = metadata.text("sector_identifier_uri") {
        let refuse = |why: &str| invalid("sector_identifier_uri", why);
        let url = Url::parse(address).map_err(|_| refuse("is no address"))?;
        let fetched = gateway.documents.of_others().fetch(&url, SECTOR_LIMIT).await;
        metadata.check_sector(&fetched.map_err(|error| refuse(&error.detail))?)?;
    }
    Ok(metadata)
}

fn method(metadata: &ClientMetadata) -> Option<TokenEndpointAuthMethod> {
    metadata.text("token_endpoint_auth_method").and_then(TokenEndpointAuthMethod::from_wire)
}

/// A secret, if the client proves itself by one.
fn give_secret(body: &mut Body, metadata: &ClientMetadata, now: Timestamp) -> Option<Secret<String>> {
    body.remove(kinds::SECRETS);
    body.remove(kinds::SHARED_SECRET);
    method(metadata).filter(|method| method.has_secret())?;
    let secret = kinds::new_secret(body);
    kinds::add_secret(body, &secret, 0, now);
    Some(secret)
}

/// The same for one that may have a secret already.
fn keep_or_give_secret(body: &mut Body, metadata: &ClientMetadata, now: Timestamp) -> Option<Secret<String>> {
    let known = !kinds::shares_secret(body) || body.contains_key(kinds::SHARED_SECRET);
    let keeps = known && method(metadata).is_some_and(|method| method.has_secret()) && !kinds::secret_digests(body, now).is_empty();
    if !keeps {
        return give_secret(body, metadata, now);
    }
    kinds::share_secret(body, None);
    None
}

/// RFC 7591 3.2.1: everything that is registered, and how it can be changed.
fn answer(gateway: &Gateway, object: &Object, secret: Option<&Secret<String>>, token: &Secret<String>) -> Body {
    let mut answer = object::metadata(&object.body);
    let mut put = |name: &str, value: Value| drop(answer.insert(name.to_owned(), value));
    put("client_id", object.id.as_str().into());
    if let Some(at) = object::own(&object.body).get("at") {
        put("client_id_issued_at", at.clone());
    }
    if let Some(secret) = secret {
        put("client_secret", secret.expose().as_str().into());
    }
    if object.body.contains_key(kinds::SECRETS) {
        // Required where there is a secret; 0: it does not expire.
        put("client_secret_expires_at", 0.into());
    }
    put("registration_access_token", token.expose().as_str().into());
    put("registration_client_uri", format!("{}{}/{}", gateway.issuer, discovery::path::REGISTRATION, object.id).into());
    answer
}

/// What the reader of the configuration has against it, in the words of the standard.
fn refused(why: NotWritten) -> Error {
    match why {
        NotWritten::Error(error) => error,
        NotWritten::Faults(faults) => match faults.into_iter().next() {
            Some(fault) => invalid(&object::member_at(&fault.pointer), object::in_their_words(&fault.message)),
            None => Error::new(ErrorKind::Internal, "a client was refused without a reason"),
        },
    }
}
