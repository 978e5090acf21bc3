//! What a provider is asked, and what of its answers is kept: its metadata and its keys.
//!
//! Both are fetched when they are needed first and kept for an hour at most. Keys are fetched again when a token names one
//! that is not among them, at most once a minute. While the provider does not answer, the last good ones serve for a day.

use crate::clock::Timestamp;
use crate::connection::circuit::Circuit;
use crate::connection::config::OidcConnection as Settings;
use crate::connection::oauth2;
use crate::connection::outbound::asker::{Asked, Asker, basic};
use crate::error::Result;
use crate::oidc::rp::{Provider, Rejection, TokenAnswer, provider, pushed, token};
use crate::oidc::{ClientJwks, OidcKeys, TokenEndpointAuthMethod, jose};
use crate::secret::Secret;
use serde_json::{Map, Value, json};
use std::sync::{Arc, Mutex, PoisonError};
use url::Url;
use url::form_urlencoded::Serializer;

/// Seconds for which metadata and keys are kept.
const KEPT: i64 = 3600;
/// Seconds for which the last good ones serve while the provider fails.
const KEPT_IN_NEED: i64 = 86_400;
/// Seconds between two looks for newer keys, and after a failure.
const PAUSE: i64 = 60;
const PAUSE_AFTER_FAILURE: i64 = 5;
/// Octets of a key set, and of UserInfo, at most.
const SET_LIMIT: u64 = 512 * 1024;
const USERINFO_LIMIT: u64 = 1024 * 1024;

/// `typ` of what proves who we are: no ID token of ours has it, though the keys are the same.
const ASSERTION: &str = "client-authentication+jwt";

/// Which keys will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keys {
    Kept,
    /// Fetched just now, if they may be.
    Newer,
}

/// Whom we ask, and as whom.
#[derive(Clone, Copy, Debug)]
pub struct Asking<'a> {
    pub provider: &'a Provider,
    /// Ours, as they are now.
    pub keys: &'a OidcKeys,
    pub now: Timestamp,
}

pub struct Remote {
    settings: Arc<Settings>,
    asker: Asker,
    provider: Slot<Provider>,
    keys: Slot<ClientJwks>,
    /// Of the endpoints that stand behind a login.
    circuit: Circuit,
}

/// Something that was fetched.
struct Slot<T> {
    kept: Mutex<Kept<T>>,
    /// Held by whoever fetches.
    fetching: tokio::sync::Mutex<()>,
}

struct Kept<T> {
    value: Option<Arc<T>>,
    fetched_at: Option<Timestamp>,
    /// Since then it has not answered.
    failed_at: Option<Timestamp>,
    /// When it was fetched although what was kept was young.
    renewed_at: Option<Timestamp>,
}

impl<T> Slot<T> {
    fn new() -> Self {
        let kept = Kept { value: None, fetched_at: None, failed_at: None, renewed_at: None };
        Self { kept: Mutex::new(kept), fetching: tokio::sync::Mutex::new(()) }
    }

    fn read<U>(&self, look: impl FnOnce(&mut Kept<T>) -> U) -> U {
        look(&mut self.kept.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What is kept, if it is younger than so many seconds.
    fn younger(&self, seconds: i64, now: Timestamp) -> Option<Arc<T>> {
        self.read(|kept| kept.value.clone().filter(|_| kept.fetched_at.is_some_and(|at| now < at.plus_seconds(seconds))))
    }

    /// What is kept, if that will do.
    fn good_enough(&self, newer: bool, now: Timestamp) -> Option<Arc<T>> {
        let may_renew = || self.read(|kept| kept.renewed_at.is_none_or(|at| now >= at.plus_seconds(PAUSE)));
        self.younger(KEPT, now).filter(|_| !newer || !may_renew())
    }

    /// What is kept, or what `fetch` gets; `newer`: not what is kept, if it may be asked.
    async fn get(&self, newer: bool, now: Timestamp, fetch: impl AsyncFnOnce() -> Result<T, Rejection>) -> Result<Arc<T>, Rejection> {
        if let Some(kept) = self.good_enough(newer, now) {
            return Ok(kept);
        }
        let _alone = self.fetching.lock().await;
        // Somebody else may have fetched it meanwhile.
        if let Some(kept) = self.good_enough(newer, now) {
            return Ok(kept);
        }
        if self.read(|kept| kept.failed_at.is_some_and(|at| now < at.plus_seconds(PAUSE_AFTER_FAILURE))) {
            let kept = self.younger(KEPT_IN_NEED, now);
            return kept.ok_or_else(|| unreachable_now("metadata", "it did not answer a moment ago".to_owned()));
        }
        if newer {
            self.read(|kept| kept.renewed_at = Some(now));
        }
        match fetch().await {
            Ok(value) => {
                let value = Arc::new(value);
                self.read(|kept| {
                    (kept.value, kept.fetched_at, kept.failed_at) = (Some(Arc::clone(&value)), Some(now), None);
                });
                Ok(value)
            }
            Err(rejection) => {
                self.read(|kept| kept.failed_at = Some(now));
                let kept = self.younger(KEPT_IN_NEED, now).ok_or_else(|| rejection.clone())?;
                tracing::warn!(reason = rejection.name(), detail = %rejection, "a provider is not what it was; what is kept serves");
                Ok(kept)
            }
        }
    }
}

impl Remote {
    /// # Errors
    /// When there can be no HTTP client.
    pub fn new(settings: Arc<Settings>) -> Result<Self> {
        let asker = Asker::proving(settings.reach, settings.client_certificate.as_deref())?;
        let remote = Self { asker, provider: Slot::new(), keys: Slot::new(), circuit: Circuit::default(), settings };
        if let Some(pinned) = Provider::pinned(&remote.settings.pinned) {
            remote.provider.read(|kept| kept.value = Some(Arc::new(pinned)));
        }
        Ok(remote)
    }

    /// The provider as it was known last, if at all.
    pub fn known(&self) -> Option<Arc<Provider>> {
        self.provider.read(|kept| kept.value.clone())
    }

    /// The provider as it describes itself.
    pub async fn provider(&self, now: Timestamp) -> Result<Arc<Provider>, Rejection> {
        if self.settings.pinned.are_whole() {
            let nothing = || Rejection::MetadataInvalid { why: "too little is pinned".to_owned() };
            return self.known().ok_or_else(nothing);
        }
        let settings = &self.settings;
        self.provider
            .get(false, now, async || {
                let answer = self.asker.get(&settings.metadata, "application/json", None, provider::LIMIT).await;
                let answer = good("metadata", answer)?;
                let parsed = Provider::parse(&answer.body, &settings.issuer, &settings.pinned, settings.plain_http)?;
                Ok(if settings.client_certificate.is_some() { parsed.by_certificate(&settings.pinned) } else { parsed })
            })
            .await
    }

    pub async fn keys(&self, provider: &Provider, which: Keys, now: Timestamp) -> Result<Arc<ClientJwks>, Rejection> {
        self.keys
            .get(which == Keys::Newer, now, async || {
                let answer = self.asker.get(&provider.jwks_uri, "application/jwk-set+json, application/json", None, SET_LIMIT).await;
                let answer = good("jwks_uri", answer)?;
                let set = serde_json::from_slice(&answer.body).map_err(|_| Rejection::KeysInvalid { why: "this is no JSON".to_owned() })?;
                ClientJwks::parse(&set).map_err(|error| Rejection::KeysInvalid { why: error.detail })
            })
            .await
    }

    /// The code for tokens (Core 3.1.3.1).
    pub async fn redeem(&self, asking: Asking<'_>, code: &str, redirect_uri: &str, verifier: &str) -> Result<TokenAnswer, Rejection> {
        let endpoint = &asking.provider.token_endpoint;
        let (form, authorization) = {
            let mut form = Serializer::new(String::new());
            form.append_pair("grant_type", "authorization_code").append_pair("code", code);
            form.append_pair("redirect_uri", redirect_uri).append_pair("code_verifier", verifier);
            let authorization = self.authenticate(&mut form, endpoint, &asking)?;
            (form.finish(), authorization)
        };
        let answer = self.asker.post(endpoint, form, authorization.as_ref(), token::LIMIT);
        let answer = self.guarded("token endpoint", asking.now, answer).await?;
        TokenAnswer::parse(&answer.body, answer.status == 200)
    }

    /// The request before the browser comes with it (RFC 9126): what it comes with instead.
    pub async fn push(&self, asking: Asking<'_>, parameters: &[(String, String)]) -> Result<String, Rejection> {
        let endpoint = asking.provider.pushed_authorization_request_endpoint.as_ref();
        let endpoint = endpoint.ok_or_else(|| Rejection::MetadataInvalid { why: "it takes no pushed requests".to_owned() })?;
        let (form, authorization) = {
            let mut form = Serializer::new(String::new());
            form.extend_pairs(parameters.iter().filter(|(name, _)| name != "client_id"));
            let authorization = self.authenticate(&mut form, endpoint, &asking)?;
            if authorization.is_some() {
                form.append_pair("client_id", &self.settings.client_id);
            }
            (form.finish(), authorization)
        };
        let answer = self.asker.post(endpoint, form, authorization.as_ref(), pushed::LIMIT);
        let answer = self.guarded("endpoint for pushed requests", asking.now, answer).await?;
        pushed::parse(&answer.body, answer.status == 201)
    }

    /// # Errors
    /// When the provider has failed again and again, and is left alone.
    pub fn check_circuit(&self, now: Timestamp) -> Result<(), Rejection> {
        self.circuit.check("token endpoint", now)
    }

    /// A question, if the provider is not left alone.
    async fn guarded(
        &self,
        what: &'static str,
        now: Timestamp,
        answer: impl Future<Output = std::result::Result<Asked, String>> + Send,
    ) -> Result<Asked, Rejection> {
        self.circuit.guarded(what, now, answer).await
    }

    /// Proves who we are: in the form, or by the value of the header.
    fn authenticate(
        &self,
        form: &mut Serializer<'_, String>,
        endpoint: &Url,
        asking: &Asking<'_>,
    ) -> Result<Option<Secret<String>>, Rejection> {
        let Settings { client_id, client_secret, auth_method, auth_alg, .. } = self.settings.as_ref();
        let secret = client_secret.as_ref().map_or("", |secret| secret.expose());
        if *auth_method == TokenEndpointAuthMethod::ClientSecretBasic {
            return Ok(Some(basic(client_id, secret)));
        }
        form.append_pair("client_id", client_id);
        let claims = || assertion(client_id, endpoint, asking.now);
        let assertion = match auth_method {
            TokenEndpointAuthMethod::ClientSecretPost => {
                form.append_pair("client_secret", secret);
                return Ok(None);
            }
            TokenEndpointAuthMethod::ClientSecretJwt => jose::sign_shared(&Secret::new(secret.to_owned()), &claims()),
            TokenEndpointAuthMethod::PrivateKeyJwt => {
                let signer = asking.keys.signer(*auth_alg).and_then(|signer| signer.of_type(ASSERTION));
                signer.and_then(|signer| signer.sign(&claims()))
            }
            _ => {
                if let Some(apple) = &self.settings.apple {
                    let made = oauth2::client_secret(apple, client_id, asking.now);
                    let made = made.map_err(|error| Rejection::OwnSignature { why: error.detail })?;
                    form.append_pair("client_secret", made.expose());
                }
                return Ok(None);
            }
        };
        let assertion = assertion.map_err(|error| Rejection::OwnSignature { why: error.detail })?;
        form.append_pair("client_assertion_type", crate::oidc::assertion::ASSERTION_TYPE);
        form.append_pair("client_assertion", &assertion);
        Ok(None)
    }

    /// UserInfo (Core 5.3.1), as it comes.
    pub async fn userinfo(&self, endpoint: &Url, access_token: &Secret<String>) -> Result<Asked, Rejection> {
        let bearer = Secret::new(format!("Bearer {}", access_token.expose()));
        good("UserInfo", self.asker.get(endpoint, "application/json, application/jwt", Some(&bearer), USERINFO_LIMIT).await)
    }
}

/// RFC 7523 3: good for a minute, once, and for nobody but the endpoint that it is sent to.
fn assertion(client_id: &str, endpoint: &Url, now: Timestamp) -> Map<String, Value> {
    let claims = json!({
        "iss": client_id, "sub": client_id, "aud": endpoint.as_str(),
        "iat": now.seconds(), "exp": now.seconds() + 60, "jti": crate::id::random_id(),
    });
    claims.as_object().cloned().unwrap_or_default()
}

fn good(what: &'static str, answer: Result<Asked, String>) -> Result<Asked, Rejection> {
    let answer = answer.map_err(|why| unreachable_now(what, why))?;
    if answer.status == 200 { Ok(answer) } else { Err(unreachable_now(what, format!("it answers with status {}", answer.status))) }
}

const fn unreachable_now(what: &'static str, why: String) -> Rejection {
    Rejection::ProviderUnreachable { what, why }
}
