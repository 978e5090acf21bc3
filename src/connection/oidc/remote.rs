//! What a provider is asked, and what of its answers is kept: its metadata and its keys.
//!
//! Both are fetched when they are needed first and kept for an hour at most. Keys are fetched again when a token names one
//! that is not among them, at most once a minute. While the provider does not answer, the last good ones serve for a day.

use crate::clock::Timestamp;
use crate::connection::config::OidcConnection as Settings;
use crate::connection::oauth2;
use crate::connection::outbound::asker::{Asked, Asker};
use crate::error::Result;
use crate::oidc::rp::{Provider, Rejection, TokenAnswer, provider, token};
use crate::oidc::{ClientJwks, TokenEndpointAuthMethod, jose};
use crate::secret::Secret;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use std::sync::{Arc, Mutex, PoisonError};
use url::Url;
use url::form_urlencoded::{Serializer, byte_serialize};

/// Seconds for which metadata and keys are kept.
const KEPT: i64 = 3600;
/// Seconds for which the last good ones serve while the provider fails.
const KEPT_IN_NEED: i64 = 86_400;
/// Seconds between two looks: for newer keys, and after a failure.
const PAUSE: i64 = 60;
const PAUSE_AFTER_FAILURE: i64 = 5;
/// Octets of a key set, and of UserInfo, at most.
const SET_LIMIT: u64 = 512 * 1024;
const USERINFO_LIMIT: u64 = 1024 * 1024;

/// Which keys will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keys {
    Kept,
    /// Fetched just now, if they may be.
    Newer,
}

pub struct Remote {
    settings: Arc<Settings>,
    asker: Asker,
    provider: Slot<Provider>,
    keys: Slot<ClientJwks>,
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
    tried_at: Option<Timestamp>,
}

impl<T> Slot<T> {
    fn new() -> Self {
        let kept = Kept { value: None, fetched_at: None, tried_at: None };
        Self { kept: Mutex::new(kept), fetching: tokio::sync::Mutex::new(()) }
    }

    fn read<U>(&self, look: impl FnOnce(&mut Kept<T>) -> U) -> U {
        look(&mut self.kept.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What is kept, if it is younger than so many seconds.
    fn younger(&self, seconds: i64, now: Timestamp) -> Option<Arc<T>> {
        self.read(|kept| kept.value.clone().filter(|_| kept.fetched_at.is_some_and(|at| now < at.plus_seconds(seconds))))
    }

    fn may_ask(&self, now: Timestamp) -> bool {
        self.read(|kept| {
            let pause = if kept.fetched_at.is_some() && kept.fetched_at == kept.tried_at { PAUSE } else { PAUSE_AFTER_FAILURE };
            kept.tried_at.is_none_or(|at| now >= at.plus_seconds(pause))
        })
    }

    /// What is kept, or what `fetch` gets; `newer`: not what is kept, if it may be asked.
    async fn get(&self, newer: bool, now: Timestamp, fetch: impl AsyncFnOnce() -> Result<T, Rejection>) -> Result<Arc<T>, Rejection> {
        if let Some(kept) = self.younger(KEPT, now).filter(|_| !newer || !self.may_ask(now)) {
            return Ok(kept);
        }
        let _alone = self.fetching.lock().await;
        // Somebody else may have fetched it meanwhile.
        if !self.may_ask(now) {
            let kept = self.younger(KEPT_IN_NEED, now);
            return kept.ok_or_else(|| unreachable_now("metadata", "it did not answer a moment ago".to_owned()));
        }
        match fetch().await {
            Ok(value) => {
                let value = Arc::new(value);
                self.read(|kept| *kept = Kept { value: Some(Arc::clone(&value)), fetched_at: Some(now), tried_at: Some(now) });
                Ok(value)
            }
            Err(rejection) => {
                self.read(|kept| kept.tried_at = Some(now));
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
        let remote = Self { asker: Asker::new(settings.reach)?, provider: Slot::new(), keys: Slot::new(), settings };
        if let Some(pinned) = remote.pinned() {
            remote.provider.read(|kept| kept.value = Some(Arc::new(pinned)));
        }
        Ok(remote)
    }

    fn pinned(&self) -> Option<Provider> {
        Provider::pinned(&self.settings.pinned)
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
                Provider::parse(&answer.body, &settings.issuer, &settings.pinned, settings.plain_http)
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
    pub async fn redeem(
        &self,
        provider: &Provider,
        code: &str,
        redirect_uri: &str,
        verifier: &str,
        now: Timestamp,
    ) -> Result<TokenAnswer, Rejection> {
        let (form, authorization) = {
            let mut form = Serializer::new(String::new());
            form.append_pair("grant_type", "authorization_code").append_pair("code", code);
            form.append_pair("redirect_uri", redirect_uri).append_pair("code_verifier", verifier);
            let authorization = self.authenticate(&mut form, provider, now)?;
            (form.finish(), authorization)
        };
        let answer = self.asker.post(&provider.token_endpoint, form, authorization.as_ref(), token::LIMIT).await;
        let answer = answer.map_err(|why| unreachable_now("token endpoint", why))?;
        TokenAnswer::parse(&answer.body, answer.status == 200)
    }

    /// Proves who we are: in the form, or by the value of the header.
    fn authenticate(
        &self,
        form: &mut Serializer<'_, String>,
        provider: &Provider,
        now: Timestamp,
    ) -> Result<Option<Secret<String>>, Rejection> {
        let Settings { client_id, client_secret, auth_method, .. } = self.settings.as_ref();
        let secret = client_secret.as_ref().map_or("", |secret| secret.expose());
        match auth_method {
            TokenEndpointAuthMethod::ClientSecretBasic => {
                // RFC 6749 2.3.1: both are encoded as forms are.
                let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
                let pair = format!("{}:{}", encoded(client_id), encoded(secret));
                return Ok(Some(Secret::new(format!("Basic {}", STANDARD.encode(pair)))));
            }
            TokenEndpointAuthMethod::ClientSecretPost => {
                form.append_pair("client_id", client_id).append_pair("client_secret", secret);
            }
            TokenEndpointAuthMethod::ClientSecretJwt => {
                let secret = Secret::new(secret.to_owned());
                let assertion = jose::sign_shared(&secret, &self.assertion(provider, now));
                let assertion = assertion.map_err(|error| Rejection::TokenEndpoint { error: error.detail, description: None })?;
                form.append_pair("client_id", client_id);
                form.append_pair("client_assertion_type", crate::oidc::assertion::ASSERTION_TYPE);
                form.append_pair("client_assertion", &assertion);
            }
            _ => {
                form.append_pair("client_id", client_id);
                if let Some(apple) = &self.settings.apple {
                    let made = oauth2::client_secret(apple, client_id, now);
                    let made = made.map_err(|error| Rejection::TokenEndpoint { error: error.detail, description: None })?;
                    form.append_pair("client_secret", made.expose());
                }
            }
        }
        Ok(None)
    }

    /// RFC 7523 3: good for a minute, once, and for nobody but this provider.
    fn assertion(&self, provider: &Provider, now: Timestamp) -> Map<String, Value> {
        let claims = json!({
            "iss": self.settings.client_id, "sub": self.settings.client_id, "aud": provider.token_endpoint.as_str(),
            "iat": now.seconds(), "exp": now.seconds() + 60, "jti": crate::id::random_id(),
        });
        claims.as_object().cloned().unwrap_or_default()
    }

    /// UserInfo (Core 5.3.1), as a JSON object.
    pub async fn userinfo(&self, endpoint: &Url, access_token: &Secret<String>, _now: Timestamp) -> Result<Map<String, Value>, Rejection> {
        let bearer = Secret::new(format!("Bearer {}", access_token.expose()));
        let answer = good("UserInfo", self.asker.get(endpoint, "application/json", Some(&bearer), USERINFO_LIMIT).await)?;
        serde_json::from_slice(&answer.body).map_err(|_| Rejection::UserInfo { why: "it is no JSON object".to_owned() })
    }
}

fn good(what: &'static str, answer: Result<Asked, String>) -> Result<Asked, Rejection> {
    let answer = answer.map_err(|why| unreachable_now(what, why))?;
    if answer.status == 200 { Ok(answer) } else { Err(unreachable_now(what, format!("it answers with status {}", answer.status))) }
}

const fn unreachable_now(what: &'static str, why: String) -> Rejection {
    Rejection::ProviderUnreachable { what, why }
}
