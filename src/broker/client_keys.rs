//! What clients sign and what is encrypted to them: their registered keys, those that they publish, or the shared secret.
//!
//! A key set that a client publishes (`jwks_uri`) is fetched when it is needed first, kept for as long as its server says
//! but an hour at most, and fetched again when a token names a key that is not in it, at most once a minute. While the
//! server does not answer, the last good set serves for a day.

use super::Gateway;
use crate::clock::Timestamp;
use crate::connection::outbound::download::{DownloadError, Downloaded, Downloader, Patience, Reach, Validators};
use crate::error::{Error, ErrorKind, Result};
use crate::oidc::{ClientFacts, ClientJwks, ClientKeys, ClientSigningAlg, Encryption, Verified, VerifyError, jose, verify_mac};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use url::Url;

/// Octets of a key set at most.
const SET_LIMIT: u64 = 64 * 1024;
/// Seconds for which a set is kept at least and at most, and if its server does not say.
const KEPT: (u64, u64) = (60, 3600);
/// Seconds for which the last good set serves while its server fails.
const KEPT_IN_NEED: i64 = 86_400;
/// Seconds between two looks at the same address; the shorter while nothing good was ever had from it.
const PAUSE: (i64, i64) = (5, 60);
/// Addresses that are remembered.
const MOST_SETS: usize = 4_000;

impl Gateway {
    /// Verifies a JWT of the client by its keys, or by the secret where `allowed` has MACs. Its claims are not looked at.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidRequest`] for whatever is wrong with the token or the keys; the caller knows what it was for.
    pub async fn verify_client_jwt(
        &self,
        client: &ClientFacts,
        token: &str,
        allowed: &[ClientSigningAlg],
        now: Timestamp,
    ) -> Result<Verified> {
        if !jose::Received::parse(token)?.alg(allowed)?.is_asymmetric() {
            let no_secret = || Error::new(ErrorKind::InvalidRequest, "the client has no secret to make MACs with");
            return verify_mac(client.shared_secret.as_ref().ok_or_else(no_secret)?, token, allowed);
        }
        match self.client_jwks(client, now, Want::Kept).await?.verify(token, allowed) {
            // Keys that are registered here have no newer ones; looking twice would take the time that tells a client from none.
            Err(VerifyError::UnknownKey) if matches!(client.keys, ClientKeys::Uri(_)) => {
                Ok(self.client_jwks(client, now, Want::Newer).await?.verify(token, allowed)?)
            }
            decided => Ok(decided?),
        }
    }

    /// Encrypts to the client, as it has registered; `content_type` is the `cty` of what is inside: `JWT` for a JWT.
    ///
    /// # Errors
    /// When the client has no key for that.
    pub async fn encrypt_for(
        &self,
        client: &ClientFacts,
        how: Encryption,
        content_type: Option<&str>,
        payload: &[u8],
        now: Timestamp,
    ) -> Result<String> {
        let cannot = |error: Error| Error::new(ErrorKind::Misconfigured, error.detail);
        match self.client_jwks(client, now, Want::Kept).await.map_err(cannot)?.encrypt(how, content_type, payload) {
            Err(error) if error.kind == ErrorKind::Misconfigured && matches!(client.keys, ClientKeys::Uri(_)) => {
                self.client_jwks(client, now, Want::Newer).await.map_err(cannot)?.encrypt(how, content_type, payload)
            }
            made => made,
        }
    }

    /// Do the client's keys pass this test, those that it publishes now if those that are kept do not?
    ///
    /// # Errors
    /// [`ErrorKind::InvalidRequest`] when it has none, or they cannot be had.
    pub(super) async fn keys_pass(&self, client: &ClientFacts, now: Timestamp, test: impl Fn(&ClientJwks) -> bool) -> Result<bool> {
        Ok(test(&*self.client_jwks(client, now, Want::Kept).await?) || test(&*self.client_jwks(client, now, Want::Newer).await?))
    }

    async fn client_jwks(&self, client: &ClientFacts, now: Timestamp, want: Want) -> Result<Arc<ClientJwks>> {
        match &client.keys {
            ClientKeys::None => Err(Error::new(ErrorKind::InvalidRequest, "the client has registered no keys")),
            ClientKeys::Jwks(keys) => Ok(Arc::clone(keys)),
            // It may become a download, which is large and rare.
            ClientKeys::Uri(url) => Box::pin(self.documents.of(client).key_set(url, now, want)).await,
        }
    }
}

/// Which key set will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Want {
    Kept,
    /// One that was fetched just now, if it may be.
    Newer,
}

/// Documents of clients, from where the clients say.
#[derive(Debug)]
pub struct Documents {
    of_operators: Fetched,
    of_others: Fetched,
}

/// Documents of some clients: bounded, by https, and from inside our own network only where their operator says so.
#[derive(Debug)]
pub struct Fetched {
    downloader: Downloader,
    reach: Reach,
    sets: Mutex<HashMap<Url, Arc<Slot>>>,
}

/// A key set by its address.
#[derive(Debug, Default)]
struct Slot {
    kept: Mutex<Kept>,
    /// Held by whoever fetches.
    fetching: tokio::sync::Mutex<()>,
}

#[derive(Clone, Debug, Default)]
struct Kept {
    set: Option<Arc<ClientJwks>>,
    validators: Validators,
    fetched_at: Option<Timestamp>,
    tried_at: Option<Timestamp>,
    fresh_until: Option<Timestamp>,
}

impl Kept {
    /// The set, as long as its server may be believed to have no other one.
    fn fresh(&self, now: Timestamp) -> Option<Arc<ClientJwks>> {
        self.set.clone().filter(|_| self.fresh_until.is_some_and(|until| now < until))
    }

    /// The set, as long as it serves in need.
    fn in_need(&self, now: Timestamp) -> Option<Arc<ClientJwks>> {
        self.set.clone().filter(|_| self.fetched_at.is_some_and(|at| now < at.plus_seconds(KEPT_IN_NEED)))
    }

    fn may_ask(&self, now: Timestamp) -> bool {
        let pause = if self.set.is_some() { PAUSE.1 } else { PAUSE.0 };
        self.tried_at.is_none_or(|at| now >= at.plus_seconds(pause))
    }
}

impl Documents {
    /// `reach`: of what clients name that an operator has registered. Whoever has registered by themselves leads us nowhere
    /// but to the public Internet, save in development.
    ///
    /// # Errors
    /// When there can be no HTTP client.
    pub fn new(reach: Reach) -> Result<Self> {
        let of_others = if reach == Reach::Everything { reach } else { Reach::Public };
        Ok(Self { of_operators: Fetched::new(reach)?, of_others: Fetched::new(of_others)? })
    }

    /// Which machines applications of operators may name.
    pub const fn reach(&self) -> Reach {
        self.of_operators.reach
    }

    /// Those that this client names.
    pub fn of(&self, client: &ClientFacts) -> &Fetched {
        if client.self_registered.is_some() { &self.of_others } else { &self.of_operators }
    }

    /// Those of clients that register by themselves.
    pub fn of_others(&self) -> &Fetched {
        &self.of_others
    }
}

impl Fetched {
    fn new(reach: Reach) -> Result<Self> {
        let patience = Patience { idle: Duration::from_secs(5), total: Duration::from_secs(10) };
        let downloader = Downloader::new(patience, reach)?.accepting("application/jwk-set+json, application/json, */*;q=0.1");
        Ok(Self { downloader, reach, sets: Mutex::default() })
    }

    /// A document, at most `limit` octets of it.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidRequest`] with the reason, in words that the client may read.
    pub async fn fetch(&self, url: &Url, limit: u64) -> Result<Vec<u8>> {
        let mut body = Vec::new();
        self.ask(url, &Validators::default(), limit, &mut body).await.map_err(|error| unfetched(url, &error))?;
        Ok(body)
    }

    async fn key_set(&self, url: &Url, now: Timestamp, want: Want) -> Result<Arc<ClientJwks>> {
        let slot = self.slot(url);
        let before = slot.read();
        if let Some(set) = before.fresh(now).filter(|_| want == Want::Kept || !before.may_ask(now)) {
            return Ok(set);
        }
        let _alone = slot.fetching.lock().await;
        let kept = slot.read();
        // Somebody else may have fetched it meanwhile.
        if kept.may_ask(now) {
            slot.write(self.renewed(url, kept, now).await);
        }
        let kept = slot.read();
        let unknown = || Error::new(ErrorKind::InvalidRequest, "the keys of the client cannot be fetched from its jwks_uri");
        kept.fresh(now).or_else(|| kept.in_need(now)).ok_or_else(unknown)
    }

    async fn renewed(&self, url: &Url, kept: Kept, now: Timestamp) -> Kept {
        let mut body = Vec::new();
        let kept = Kept { tried_at: Some(now), ..kept };
        let fresh = |seconds: Option<u64>| Some(now.plus_seconds(seconds.unwrap_or(KEPT.1).clamp(KEPT.0, KEPT.1).cast_signed()));
        match self.ask(url, &kept.validators, SET_LIMIT, &mut body).await {
            Ok(Downloaded::NotModified) => Kept { fetched_at: Some(now), fresh_until: fresh(None), ..kept },
            Ok(Downloaded::Body { validators, max_age_seconds }) => match read(&body) {
                Ok(set) => Kept {
                    set: Some(Arc::new(set)),
                    validators,
                    fetched_at: Some(now),
                    fresh_until: fresh(max_age_seconds),
                    tried_at: Some(now),
                },
                Err(error) => {
                    tracing::warn!(%url, %error, "the key set of a client cannot be read");
                    kept
                }
            },
            Err(error) => {
                tracing::warn!(%url, %error, "the key set of a client cannot be fetched");
                kept
            }
        }
    }

    async fn ask(&self, url: &Url, validators: &Validators, limit: u64, body: &mut Vec<u8>) -> Result<Downloaded, DownloadError> {
        let allowed = url.scheme() == "https" || (url.scheme() == "http" && self.reach == Reach::Everything);
        if !allowed {
            return Err(DownloadError::Network("only https is possible".to_owned()));
        }
        self.downloader.fetch(url, validators, limit, body).await
    }

    fn slot(&self, url: &Url) -> Arc<Slot> {
        let mut sets = self.sets.lock().unwrap_or_else(PoisonError::into_inner);
        if sets.len() >= MOST_SETS && !sets.contains_key(url) {
            // Whatever is thrown away is fetched again.
            let some: Vec<Url> = sets.keys().take(MOST_SETS / 10).cloned().collect();
            some.iter().for_each(|url| drop(sets.remove(url)));
        }
        Arc::clone(sets.entry(url.clone()).or_default())
    }
}

impl Slot {
    fn read(&self) -> Kept {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn write(&self, kept: Kept) {
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = kept;
    }
}

fn read(body: &[u8]) -> Result<ClientJwks> {
    let set = serde_json::from_slice(body).map_err(|error| Error::new(ErrorKind::InvalidRequest, "this is not JSON").because(error))?;
    ClientJwks::parse(&set)
}

fn unfetched(url: &Url, error: &DownloadError) -> Error {
    tracing::info!(%url, %error, "a document of a client cannot be fetched");
    let why = match error {
        DownloadError::Missing => "it is not there",
        DownloadError::TooLarge { .. } => "it is too large",
        DownloadError::Redirect { .. } => "its server redirects to another place",
        // What a host inside answers is nobody's business.
        DownloadError::Status(_) | DownloadError::Network(_) | DownloadError::Sink(_) => "its server does not give it",
    };
    Error::new(ErrorKind::InvalidRequest, format!("a document of the client cannot be fetched: {why}"))
}

#[cfg(test)]
#[path = "client_keys_tests.rs"]
mod tests;
