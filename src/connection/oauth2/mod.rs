//! A provider by OAuth 2.0 alone as a connection: there is no ID token, so who signed in is what the provider answers to a
//! question with the access token, over TLS and to us alone.
//!
//! Such a provider says nothing of when and how a person signed in. Where an application wants to know it, the login is
//! refused before anybody is sent there.

mod apple;
pub mod profile;
mod remote;

pub use apple::{client_secret, name_of_first_answer};
pub use profile::is_path;

use super::config::{CallbackAddress, ConnectionConfig, ConnectionKind, OAuth2Connection as Settings, Quirk};
use super::{
    Authentication, BrowserStep, Connection, Redeeming, Refused, UpstreamRequest, not_begun, note_checks, tokens_to_keep, upstream_params,
};
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::id;
use crate::login::trace::{Step as Note, Trace};
use crate::login::{PendingAuthn, PendingOidc, TimeBy, UpstreamSession};
use crate::oidc::rp::{Check, ExpectedAnswer, IssuerRule, Rejection, TokenAnswer, callback, request};
use crate::oidc::{OidcKeys, Params, pkce};
use crate::profile::{Fact, RawAttributes, missing_permissions};
use remote::Remote;
use serde_json::{Map, Value};
use std::sync::Arc;

/// Scopes that were asked for and not granted.
const MISSING: &str = "missing_permissions";
/// Seconds for which an answer must not come a second time.
const ONCE: i64 = 3600;

/// One provider.
pub struct OAuth2Connection {
    config: ConnectionConfig,
    settings: Arc<Settings>,
    redirect_uri: String,
    remote: Remote,
}

impl OAuth2Connection {
    /// `issuer`: our public address, without a trailing slash.
    ///
    /// # Errors
    /// When the connection does not speak OAuth 2.0, or there can be no HTTP client.
    pub fn new(config: ConnectionConfig, issuer: &str) -> Result<Self> {
        let ConnectionKind::OAuth2(settings) = &config.kind else {
            return Err(Error::new(ErrorKind::Internal, "the connection does not speak OAuth 2.0"));
        };
        let settings = Arc::clone(settings);
        let redirect_uri = settings.callback.redirect_uri(issuer, &config.name);
        Ok(Self { remote: Remote::new(Arc::clone(&settings))?, config, settings, redirect_uri })
    }

    /// The authorization request (RFC 6749 4.1.1), in the order in which it is sent.
    fn parameters(&self, state: &str, code_verifier: &str, asked: &UpstreamRequest) -> Vec<(String, String)> {
        let settings = &self.settings;
        let is_wechat = settings.quirk == Some(Quirk::WeChat);
        let (client_id, separator) = if is_wechat { ("appid", ",") } else { ("client_id", " ") };
        let mut parameters = vec![
            (client_id.to_owned(), settings.client_id.clone()),
            ("redirect_uri".to_owned(), self.redirect_uri.clone()),
            ("response_type".to_owned(), "code".to_owned()),
        ];
        if !settings.scopes.is_empty() {
            parameters.push(("scope".to_owned(), settings.scopes.join(separator)));
        }
        parameters.push(("state".to_owned(), state.to_owned()));
        if settings.pkce {
            parameters.push(("code_challenge".to_owned(), pkce::challenge_of(code_verifier)));
            parameters.push(("code_challenge_method".to_owned(), pkce::METHOD.to_owned()));
        }
        let more = upstream_params::resolved(&settings.parameters, asked);
        parameters.extend(more.into_iter().filter(|(name, _)| !request::OWN.contains(&name.as_str())));
        parameters
    }

    async fn authentication(
        &self,
        params: &Params,
        pending: &PendingAuthn,
        now: Timestamp,
        trace: &mut Trace,
    ) -> Result<Authentication, Rejection> {
        let mut checks = Vec::new();
        let result = self.believed(params, pending, now, &mut checks).await;
        note_checks(checks, now, trace);
        let (subject, profile, tokens) = result?;
        let mut attributes = RawAttributes::from_claims(&profile);
        attributes.set_fact(Fact::Subject, subject.as_str());
        Ok(Authentication {
            identity: self.config.identity(&subject),
            attributes,
            auth_time: now,
            auth_time_by: TimeBy::Arrival,
            acr: None,
            upstream: UpstreamSession::default(),
            tokens: self.settings.store_tokens.then(|| tokens_to_keep(&tokens, now)),
            app_metadata: Map::new(),
            once: vec![(format!("state {} {}", self.config.name, id::digest(&pending.request_id)), now.plus_seconds(ONCE))],
        })
    }

    /// From the answer of the browser to a profile that may be believed.
    async fn believed(
        &self,
        params: &Params,
        pending: &PendingAuthn,
        now: Timestamp,
        checks: &mut Vec<Check>,
    ) -> Result<(String, Map<String, Value>, TokenAnswer), Rejection> {
        let issuer = self.settings.issuer.clone().map(IssuerRule::Exact);
        let shared = self.settings.callback == CallbackAddress::Shared;
        let expected = ExpectedAnswer { issuer: issuer.as_ref(), response_iss: false, shared };
        let code = callback::read(params, expected, checks)?.code;
        let verifier = pending.oidc.as_ref().filter(|_| self.settings.pkce).map(|oidc| oidc.code_verifier.as_str());
        let tokens = self.remote.redeem(&code, &self.redirect_uri, verifier, now).await?;
        let mut profile = self.remote.profile(&tokens).await?;
        // This member is ours to say (S2-20).
        profile.shift_remove(MISSING);
        let asked: Vec<&str> = self.settings.scopes.iter().map(String::as_str).collect();
        // Some write commas between them (GitHub, LinkedIn).
        let granted: Option<Vec<&str>> = tokens.scope.as_ref().map(|granted| granted.split([' ', ',']).collect());
        let missing = missing_permissions(&asked, granted.as_deref());
        if !missing.is_empty() {
            profile.insert(MISSING.to_owned(), missing.into());
        }
        let subject = profile::subject(&profile, &self.settings.subject);
        checks.push(Check {
            name: "subject",
            passed: subject.is_ok(),
            expected: format!("one in {}", self.settings.subject.join(" or ")),
            found: if subject.is_ok() { "one" } else { "none that can be kept" }.to_owned(),
        });
        Ok((subject?, profile, tokens))
    }
}

impl Connection for OAuth2Connection {
    fn begin(
        &self,
        transaction_id: &str,
        asked: &UpstreamRequest,
        now: Timestamp,
        trace: &mut Trace,
    ) -> Result<(BrowserStep, PendingAuthn)> {
        // It would not say whether the person signed in again, or when they did, so it cannot be asked for that.
        if asked.force_authn || asked.passive || asked.max_age.is_some() {
            let why = "This way to sign in cannot tell when a person signed in, which the application wants to know.";
            return Err(Error::new(ErrorKind::LoginRequired, why));
        }
        if !self.config.contexts(&asked.acr_values).is_empty() {
            let why = "This way to sign in cannot tell how a person signed in, which the application wants to know.";
            return Err(Error::new(ErrorKind::UnmetAuthenticationRequirements, why));
        }
        // Nobody is sent there in vain.
        let open = self.remote.check_circuit(now);
        open.map_err(|rejection| not_begun(&self.config.name, refused(&rejection).error.kind, &rejection, now, trace))?;
        let settings = &self.settings;
        // The login, and a part that differs when the person goes back and is sent off again.
        let state = format!("{transaction_id}.{}", id::random_id());
        let secrets = PendingOidc { nonce: String::new(), code_verifier: id::random_token() };
        let parameters = self.parameters(&state, &secrets.code_verifier, asked);
        trace.note(
            now,
            Note::RequestOut {
                connection: self.config.name.clone(),
                binding: "authorization request".into(),
                destination: settings.authorization_endpoint.to_string(),
                request_id: state.clone(),
                facts: parameters.iter().filter(|(name, _)| name == "scope").cloned().collect(),
            },
        );
        let mut url = request::address(&settings.authorization_endpoint, &parameters);
        if settings.quirk == Some(Quirk::WeChat) {
            url.set_fragment(Some("wechat_redirect"));
        }
        let pending = PendingAuthn { oidc: Some(secrets), ..PendingAuthn::new(state, now) };
        Ok((BrowserStep::Redirect(url), pending))
    }

    fn redeem<'a>(
        &'a self,
        _keys: &'a OidcKeys,
        answer: &'a Params,
        pending: &'a PendingAuthn,
        now: Timestamp,
        trace: &'a mut Trace,
    ) -> Redeeming<'a> {
        Box::pin(async move { self.authentication(answer, pending, now, trace).await.map_err(|rejection| refused(&rejection)) })
    }

    fn asks_afresh(&self) -> bool {
        false
    }

    fn metadata(&self, _now: Timestamp) -> Result<(&'static str, String)> {
        let told = format!("A connection by OAuth 2.0 has no metadata; what the provider has to know is {}.", self.redirect_uri);
        Err(Error::new(ErrorKind::NotFound, told))
    }

    fn config(&self) -> &ConnectionConfig {
        &self.config
    }
}

/// The rejection as it is told: the kind to the application, the words to the operator.
fn refused(rejection: &Rejection) -> Refused {
    let kind = match rejection {
        Rejection::ProviderError { error, .. } if matches!(error.as_str(), "access_denied" | "user_cancelled_login" | "user_denied") => {
            ErrorKind::AccessDenied
        }
        Rejection::ProviderError { error, .. } if error == "temporarily_unavailable" => ErrorKind::IdpUnreachable,
        Rejection::ProviderUnreachable { .. } => ErrorKind::IdpUnreachable,
        Rejection::ProviderError { .. } | Rejection::TokenEndpoint { .. } => ErrorKind::IdpFailed,
        _ => ErrorKind::IdpResponseInvalid,
    };
    Refused::by(rejection, kind)
}
