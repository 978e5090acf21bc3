//! The token endpoint: a code, a refresh token, somebody's token or the client's own credentials become tokens.
//!
//! Client authentication and the rules that every grant shares stand in [`Gateway::token`], before any
//! grant is asked anything.

mod code;
mod device;
mod exchange;
pub(super) mod refresh;
#[cfg(test)]
mod tests;

use super::Gateway;
use super::begin::trace_op;
use super::client_auth::facts;
use super::give::{Beside, Granted};
use super::possession::Shown;
use super::rules::Caller;
use crate::application::Application;
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::login::AccessToken;
use crate::login::trace::{Part, Trace};
use crate::oidc::{self, AuthorizationCode, ClientFacts, ClientProof, KeyConfirmation, RefreshToken, TokenRequest, TokenResponse};
use crate::store::{LogType, Op};

/// A request to the token endpoint, as it came.
#[derive(Clone, Copy, Debug)]
pub struct TokenCall<'a> {
    /// Value of the `Authorization` header.
    pub authorization: Option<&'a str>,
    /// The form.
    pub body: &'a [u8],
    pub shown: &'a Shown,
    pub caller: Option<&'a Caller>,
    pub correlation_id: &'a str,
}

/// The answer, and the login it belongs to.
#[derive(Debug)]
pub struct Tokens {
    pub response: TokenResponse,
    pub correlation_id: String,
    /// Whose they are; `None`: the application's own.
    pub user_id: Option<String>,
    pub audience: Option<String>,
}

/// A refusal, and the login it belongs to where that is known.
#[derive(Debug)]
pub struct TokenRefusal {
    pub error: Error,
    pub correlation_id: Option<String>,
}

impl From<Error> for TokenRefusal {
    fn from(error: Error) -> Self {
        Self { error, correlation_id: None }
    }
}

/// Who asks, proven, and the keys that the request has shown.
#[derive(Clone, Copy)]
pub(super) struct Asking<'a> {
    pub application: &'a Application,
    pub client: &'a ClientFacts,
    pub confirmation: &'a KeyConfirmation,
    pub caller: Option<&'a Caller>,
    pub correlation_id: &'a str,
}

impl Asking<'_> {
    /// The key to which refresh tokens are bound: those of a client that proves who it is are bound to the client.
    fn bound(&self) -> Option<&str> {
        let shown = self.confirmation.jkt.as_deref().or(self.confirmation.x5t_s256.as_deref());
        shown.filter(|_| self.client.is_public())
    }
}

impl Gateway {
    /// The token endpoint (RFC 6749 3.2).
    pub async fn token(&self, call: TokenCall<'_>, now: Timestamp) -> Result<Tokens, TokenRefusal> {
        let params = oidc::Params::parse(call.body)?;
        let proof = ClientProof {
            authorization: call.authorization,
            body: &params,
            certificate: call.shown.certificate.as_deref(),
            endpoint: &call.shown.path,
            address: call.shown.address,
        };
        let application = self.authenticate_client(proof, now).await?;
        let kinds = match params.get("grant_type") {
            Some("client_credentials") => (LogType::ClientCredentials, LogType::FailedClientCredentials),
            Some("refresh_token") => (LogType::Refresh, LogType::FailedRefresh),
            Some("urn:ietf:params:oauth:grant-type:device_code") => (LogType::DeviceExchange, LogType::FailedDeviceExchange),
            Some("urn:ietf:params:oauth:grant-type:token-exchange") => (LogType::TokenExchange, LogType::FailedTokenExchange),
            _ => (LogType::CodeExchange, LogType::FailedCodeExchange),
        };
        let answer = self.answer(&application, &params, call, now).await;
        // Codes and tokens that are worth nothing; the credentials were right.
        if answer.as_ref().is_err_and(|refusal| refusal.error.kind == ErrorKind::InvalidGrant) {
            self.note_failure(&application.client_id, call.shown.address, now);
        }
        // A device that waits is no event.
        let waits = |refusal: &TokenRefusal| matches!(refusal.error.kind, ErrorKind::AuthorizationPending | ErrorKind::SlowDown);
        if !answer.as_ref().is_err_and(waits) {
            self.note_exchange(kinds, &application.client_id, answer.as_ref(), now);
        }
        answer
    }

    async fn answer(
        &self,
        application: &Application,
        params: &oidc::Params,
        call: TokenCall<'_>,
        now: Timestamp,
    ) -> Result<Tokens, TokenRefusal> {
        let client = facts(application)?;
        let confirmation = self.confirmation(client, call.shown, now).await?;
        let (caller, correlation_id) = (call.caller, call.correlation_id);
        let asking = Asking { application, client, confirmation: &confirmation, caller, correlation_id };
        match TokenRequest::parse(params, client, asking.bound(), self.keyring.sealer())? {
            TokenRequest::AuthorizationCode { code, redirect_uri, code_verifier } => {
                self.code_grant(asking, &code, &redirect_uri, code_verifier.as_ref(), now).await
            }
            TokenRequest::RefreshToken { refresh_token, scopes } => self.refresh_grant(asking, &refresh_token, scopes.as_ref(), now).await,
            TokenRequest::ClientCredentials { audience, scopes } => {
                self.client_credentials(asking, audience.as_deref(), scopes.as_ref(), now).await
            }
            TokenRequest::DeviceCode { device_code } => self.device_grant(asking, &device_code, now).await,
            TokenRequest::TokenExchange(request) => self.token_exchange(asking, &request, now).await,
        }
    }

    /// Tokens for what was granted, with the last part of the trace.
    async fn give(
        &self,
        application: &Application,
        mut granted: Granted,
        refresh_token: Option<RefreshToken>,
        mut trace: Trace,
        now: Timestamp,
    ) -> Result<Tokens> {
        let release = self.release(application, &mut granted, "the token endpoint and /userinfo", &mut trace, now)?;
        let given = self.access_token(application, &granted, &release, now).await?;
        let id_token = if granted.scopes.contains("openid") {
            let beside = Beside { access_token: Some(&given.token), ..Beside::default() };
            Some(self.id_token(application, &granted, &release.id_token, beside, now).await?)
        } else {
            None
        };
        self.sessions.commit(vec![given.put, trace_op(&granted.correlation_id, Part::Token, &trace)?]).await?;
        let response = TokenResponse {
            access_token: given.token,
            token_type: granted.confirmation.token_type(),
            expires_in: given.expires_in,
            issued_token_type: None,
            refresh_token,
            id_token,
            scopes: granted.scopes,
        };
        Ok(Tokens { response, correlation_id: granted.correlation_id, user_id: Some(granted.user_id), audience: granted.audience })
    }

    /// Was everything that this grant gave ended?
    pub(super) async fn is_revoked(&self, grant_id: &str) -> Result<bool> {
        let mark = AccessToken::revocation_key(grant_id);
        Ok(self.sessions.get_many(&[mark]).await?.into_iter().flatten().next().is_some())
    }

    /// Ends everything that one grant gave: access tokens by a mark, refresh tokens in the directory.
    pub(super) async fn revoke_grant(&self, grant_id: &str) -> Result<()> {
        let mark = Op::Put { key: AccessToken::revocation_key(grant_id), value: b"1".to_vec(), ttl: self.tokens_live() };
        self.sessions.commit(vec![mark]).await?;
        self.directory.revoke_family(grant_id).await
    }

    /// Seconds for which a second use of a code must be noticed: as long as what the first one gave may be alive. Marks
    /// are never evicted, so one that outlives its purpose takes room from logins to come.
    fn use_is_remembered(&self, code: &AuthorizationCode) -> u64 {
        if code.gives_offline_access() { self.tokens_live() } else { self.lifetimes.code + u64::from(self.lifetimes.access_token) }
    }

    /// Seconds for which something of a grant may still be alive.
    fn tokens_live(&self) -> u64 {
        self.lifetimes.refresh_token + u64::from(self.lifetimes.access_token)
    }
}
