//! An OpenID Connect provider as a connection: what the application asked becomes an authorization request, a verified ID
//! token with UserInfo becomes an [`Authentication`].

mod apart;
mod ask;
mod believe;
mod logout;
mod remote;

use super::config::{ConnectionConfig, ConnectionKind, OidcConnection as Settings};
use super::{
    Authentication, Connection, LogoutSaid, Preparing, Redeeming, Refused, Starting, Told, UpstreamRequest, not_begun, note_checks,
    tokens_to_keep,
};
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::keys::Keyring;
use crate::login::trace::Trace;
use crate::login::{PendingAuthn, TimeBy, UpstreamSession};
use crate::oidc::rp::Rejection;
use crate::oidc::{OidcKeys, Params};
use crate::profile::Fact;
use apart::Apart;
use believe::Believed;
use remote::Remote;
use std::sync::Arc;
use url::Url;

/// One provider.
pub struct OidcConnection {
    config: ConnectionConfig,
    settings: Arc<Settings>,
    redirect_uri: String,
    /// Where the browser returns after a logout there.
    signed_out_uri: String,
    keyring: Arc<Keyring>,
    /// Claims that the mapping table reads from one place only.
    apart: Apart,
    remote: Remote,
}

impl OidcConnection {
    /// `issuer`: our public address, without a trailing slash.
    ///
    /// # Errors
    /// When the connection does not speak OpenID Connect, or there can be no HTTP client.
    pub fn new(config: ConnectionConfig, issuer: &str, keyring: Arc<Keyring>) -> Result<Self> {
        let settings = match &config.kind {
            ConnectionKind::Oidc(settings) => Arc::clone(settings),
            _ => return Err(Error::new(ErrorKind::Internal, "the connection does not speak OpenID Connect")),
        };
        let redirect_uri = settings.callback.redirect_uri(issuer, &config.name);
        let signed_out_uri = format!("{issuer}/connections/{}/signed-out", config.name);
        let apart = Apart::of(&config.mapping);
        Ok(Self { remote: Remote::new(Arc::clone(&settings))?, apart, config, settings, redirect_uri, signed_out_uri, keyring })
    }

    /// What applications call a context is called otherwise there.
    fn acr_there(&self, acr: &str) -> String {
        self.settings.acr.get(acr).map_or(acr, String::as_str).to_owned()
    }

    async fn authentication(
        &self,
        keys: &OidcKeys,
        params: &Params,
        pending: &PendingAuthn,
        now: Timestamp,
        trace: &mut Trace,
    ) -> Result<Authentication, Rejection> {
        let mut checks = Vec::new();
        let result = self.believed(keys, params, pending, now, &mut checks).await;
        note_checks(checks, now, trace);
        let Believed { facts, claims, userinfo, id_token, tokens } = result?;
        let mut attributes = self.apart.attributes(claims, &facts.claims, &userinfo);
        attributes.set_fact(Fact::Subject, facts.subject.as_str());
        attributes.set_fact(Fact::Issuer, facts.issuer.as_str());
        if let Some(acr) = &facts.acr {
            attributes.set_fact(Fact::AuthnContext, acr.as_str());
        }
        if let Some(sid) = &facts.sid {
            attributes.set_fact(Fact::SessionIndex, sid.as_str());
        }
        let nonce = pending.oidc.as_ref().map(|oidc| oidc.nonce.as_str()).unwrap_or_default();
        Ok(Authentication {
            identity: self.config.identity(&facts.subject),
            attributes,
            auth_time: facts.auth_time.unwrap_or(now).min(now),
            auth_time_by: TimeBy::of(facts.auth_time),
            acr: facts.acr.as_deref().map(|acr| self.config.acr_here(acr)),
            upstream: UpstreamSession {
                session_index: facts.sid.clone(),
                authn_context: facts.acr.clone(),
                amr: facts.amr.clone(),
                id_token: self.sealed(&id_token),
                authenticating_authorities: vec![facts.issuer.clone()],
                ..UpstreamSession::default()
            },
            tokens: self.settings.store_tokens.then(|| tokens_to_keep(&tokens, now)),
            app_metadata: serde_json::Map::new(),
            once: vec![(format!("nonce {} {nonce}", self.config.name), facts.expires_at)],
        })
    }
}

impl Connection for OidcConnection {
    fn start<'a>(
        &'a self,
        keys: &'a OidcKeys,
        transaction_id: &'a str,
        asked: &'a UpstreamRequest,
        now: Timestamp,
        trace: &'a mut Trace,
    ) -> Starting<'a> {
        Box::pin(async move {
            asked.check_comparison(&self.config)?;
            let passive = asked.passive;
            let asked = self.ask(keys, transaction_id, asked, now, trace).await;
            asked.map_err(|rejection| not_begun(&self.config.name, kind_of(&rejection, passive), &rejection, now, trace))
        })
    }

    fn redeem<'a>(
        &'a self,
        keys: &'a OidcKeys,
        answer: &'a Params,
        pending: &'a PendingAuthn,
        now: Timestamp,
        trace: &'a mut Trace,
    ) -> Redeeming<'a> {
        Box::pin(
            async move { self.authentication(keys, answer, pending, now, trace).await.map_err(|rejection| refused(&rejection, pending)) },
        )
    }

    fn told_of_logout<'a>(&'a self, keys: &'a OidcKeys, said: LogoutSaid<'a>, now: Timestamp, trace: &'a mut Trace) -> Told<'a> {
        Box::pin(async move {
            let mut checks = Vec::new();
            let result = match said {
                LogoutSaid::Token(token) => self.logout_notice(keys, token, now, &mut checks).await,
                LogoutSaid::Frame { iss, sid } => self.framed_notice(iss, sid),
            };
            note_checks(checks, now, trace);
            result.map_err(|rejection| {
                let kind = if matches!(rejection, Rejection::Token { .. }) { ErrorKind::InvalidRequest } else { ErrorKind::IdpFailed };
                Refused::by(&rejection, kind)
            })
        })
    }

    fn end_session(&self, session: &UpstreamSession, state: &str) -> Option<Url> {
        self.end_session_address(session, state)
    }

    fn metadata(&self, _now: Timestamp) -> Result<(&'static str, String)> {
        let told = format!("A connection by OpenID Connect has no metadata; what the provider has to know is {}.", self.redirect_uri);
        Err(Error::new(ErrorKind::NotFound, told))
    }

    fn config(&self) -> &ConnectionConfig {
        &self.config
    }

    fn prepare<'a>(&'a self, _idp: Option<&'a str>, now: Timestamp) -> Preparing<'a> {
        Box::pin(async move {
            if let Err(rejection) = self.remote.provider(now).await {
                tracing::warn!(connection = self.config.name, reason = rejection.name(), detail = %rejection, "a provider cannot be used");
            }
        })
    }
}

/// The rejection as it is told: the kind to the application, the words to the operator.
fn refused(rejection: &Rejection, pending: &PendingAuthn) -> Refused {
    Refused::by(rejection, kind_of(rejection, pending.passive))
}

/// `passive`: nobody may be asked anything.
fn kind_of(rejection: &Rejection, passive: bool) -> ErrorKind {
    match rejection {
        // What the provider says goes on in the application's words.
        Rejection::ProviderError { error, .. } | Rejection::PushedRequest { error, .. } => match error.as_str() {
            "access_denied" => ErrorKind::AccessDenied,
            "login_required" | "interaction_required" => ErrorKind::LoginRequired,
            "account_selection_required" | "consent_required" if passive => ErrorKind::LoginRequired,
            "temporarily_unavailable" => ErrorKind::IdpUnreachable,
            "unmet_authentication_requirements" => ErrorKind::UnmetAuthenticationRequirements,
            _ => ErrorKind::IdpFailed,
        },
        // Nobody was asked to sign in again, so nobody did anything wrong.
        Rejection::AuthenticationTooOld { .. } if passive => ErrorKind::LoginRequired,
        Rejection::IdTokenContext { .. } => ErrorKind::UnmetAuthenticationRequirements,
        Rejection::ProviderUnreachable { .. } => ErrorKind::IdpUnreachable,
        Rejection::TokenEndpoint { .. } => ErrorKind::IdpFailed,
        // The provider has done nothing.
        Rejection::OwnSignature { .. } => ErrorKind::Misconfigured,
        _ => ErrorKind::IdpResponseInvalid,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_we_cannot_sign_is_no_fault_of_the_provider() {
        let rejection = Rejection::OwnSignature { why: "there is no key for EdDSA".to_owned() };
        for passive in [false, true] {
            assert_eq!(kind_of(&rejection, passive), ErrorKind::Misconfigured);
        }
        assert!(rejection.to_string().contains("was not asked"), "{rejection}");
    }
}
