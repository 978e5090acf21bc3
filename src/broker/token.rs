//! The token endpoint: a code or a refresh token becomes tokens.
//!
//! Client authentication and the rules that every grant shares stand in [`Gateway::token`], before any
//! grant is asked anything.

use super::begin::trace_op;
use super::give::{Beside, Granted};
use super::rules::{Caller, REFRESH, Situation, Verdict};
use super::{Gateway, decode, encode};
use crate::application::Application;
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::login::trace::{Part, Step as Note, Trace};
use crate::login::{AccessToken, CodeGrant, CodeTombstone};
use crate::oidc::token::{invalid_code, invalid_refresh_token};
use crate::oidc::{
    self, AuthenticatedClient, AuthorizationCode, ClaimsRequest, ClientCredentials, RefreshToken, Scopes, TokenRequest, TokenResponse,
};
use crate::secret::Secret;
use crate::store::{Consumed, LogType, Op, RefreshFamily, Rotation};
use crate::user::Identity;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Seconds within which a refresh token may be presented again because its answer was lost.
const GRACE: i64 = 10;

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

/// What a refresh-token family remembers.
#[derive(Serialize, Deserialize)]
struct FamilyData {
    /// By which the person came.
    identity: Identity,
    sid: String,
    scopes: Scopes,
    /// Claims that were asked by name.
    #[serde(default, skip_serializing_if = "ClaimsRequest::is_empty")]
    claims: ClaimsRequest,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    audience: Option<String>,
    auth_time: Timestamp,
    acr: Option<String>,
    correlation_id: String,
}

impl Gateway {
    /// The token endpoint (RFC 6749 3.2). `authorization` is the header's value.
    pub async fn token(
        &self,
        authorization: Option<&str>,
        body: &[u8],
        caller: Option<&Caller>,
        correlation_id: &str,
        now: Timestamp,
    ) -> Result<Tokens, TokenRefusal> {
        let params = oidc::Params::parse(body)?;
        let credentials = ClientCredentials::extract(authorization, &params)?;
        let application = self.application(credentials.client_id());
        let client = credentials.authenticate(application.and_then(|application| application.oidc.as_ref()))?;
        let application = application.ok_or_else(|| Error::new(ErrorKind::InvalidClient, "client authentication failed"))?;
        let kinds = match params.get("grant_type") {
            Some("client_credentials") => (LogType::ClientCredentials, LogType::FailedClientCredentials),
            Some("refresh_token") => (LogType::Refresh, LogType::FailedRefresh),
            _ => (LogType::CodeExchange, LogType::FailedCodeExchange),
        };
        let answer = match TokenRequest::parse(&params, client, self.keyring.sealer()) {
            Err(error) => Err(error.into()),
            Ok(TokenRequest::AuthorizationCode { code, redirect_uri, code_verifier }) => {
                self.code_grant(application, client, &code, &redirect_uri, code_verifier.as_ref(), now).await
            }
            Ok(TokenRequest::RefreshToken { refresh_token, scopes }) => {
                self.refresh_grant(application, &refresh_token, scopes.as_ref(), caller, now).await
            }
            Ok(TokenRequest::ClientCredentials { audience, scopes }) => {
                self.client_credentials(application, audience.as_deref(), scopes.as_ref(), (caller, correlation_id), now).await
            }
        };
        self.note_exchange(kinds, &application.client_id, answer.as_ref(), now);
        answer
    }

    async fn code_grant(
        &self,
        application: &Application,
        client: AuthenticatedClient<'_>,
        code: &AuthorizationCode,
        redirect_uri: &str,
        verifier: Option<&Secret<String>>,
        now: Timestamp,
    ) -> Result<Tokens, TokenRefusal> {
        let grant_id = code.grant_id().to_owned();
        let key = CodeGrant::key(&grant_id, &code.digest());
        let tombstone = encode(&CodeTombstone { used_at: now })?;
        let grant = match self.sessions.consume(&key, tombstone, self.use_is_remembered(code)).await? {
            Consumed::Absent => return Err(invalid_code().into()),
            Consumed::Used(_) => {
                // RFC 9700 4.5.3, RFC 6749 4.1.2: a second use revokes everything that the first one gave.
                self.revoke_grant(&grant_id).await?;
                tracing::warn!(client_id = application.client_id, "authorization code presented twice; its tokens are revoked");
                return Err(invalid_code().into());
            }
            Consumed::Fresh(bytes) => decode::<CodeGrant<Map<String, Value>>>(&bytes)?,
        };
        let correlation_id = grant.correlation_id.clone();
        let in_login = |error: Error| TokenRefusal { error, correlation_id: Some(correlation_id.clone()) };
        if now >= grant.expires_at {
            return Err(in_login(invalid_code()));
        }
        grant.binding.check(client, redirect_uri, verifier).map_err(in_login)?;
        let granted = Granted {
            grant_id,
            user_id: grant.user_id,
            identity: grant.identity,
            sid: grant.sid,
            scopes: grant.scopes,
            unscripted_scopes: grant.unscripted_scopes,
            audience: grant.audience,
            nonce: grant.nonce,
            claims: grant.claims,
            auth_time: grant.auth_time,
            acr: grant.acr,
            profile: grant.profile,
            transient: grant.transient,
            scripted: grant.scripted,
            correlation_id: correlation_id.clone(),
        };
        self.give_from_code(application, granted, now).await.map_err(in_login)
    }

    async fn give_from_code(&self, application: &Application, granted: Granted, now: Timestamp) -> Result<Tokens> {
        let wants_refresh = granted.scopes.contains("offline_access");
        let refresh_token = if wants_refresh { Some(self.new_family(application, &granted, now).await?) } else { None };
        self.give(application, granted, refresh_token, Trace::default(), now).await
    }

    /// The scripts of a refresh. What they refuse is recorded, and costs the client nothing but this answer.
    async fn script_refresh(
        &self,
        application: &Application,
        granted: &mut Granted,
        caller: Option<&Caller>,
        now: Timestamp,
        trace: &mut Trace,
    ) -> Result<()> {
        let body = Map::from_iter([
            ("grant_type".to_owned(), Value::from("refresh_token")),
            ("client_id".to_owned(), Value::from(application.client_id.as_str())),
        ]);
        let situation = Situation {
            application,
            user_id: &granted.user_id,
            identity: &granted.identity,
            profile: granted.profile.clone(),
            transient: &[],
            protocol: REFRESH,
            single_sign_on: false,
            sid: &granted.sid,
            auth_time: granted.auth_time,
            scopes: &granted.scopes,
            audience: granted.audience.as_deref(),
            asked: None,
            redirect_uri: None,
            query: Map::new(),
            body,
            caller,
            correlation_id: &granted.correlation_id,
            resume: None,
            no_redirect: true,
            now,
        };
        match self.run_scripts(situation, trace).await {
            Ok(Verdict::Go(made)) if made.primary.is_some() => Err(super::rules::other_user()),
            Ok(Verdict::Go(made)) => {
                granted.scripted = made.scripted;
                granted.scopes = made.scopes.unwrap_or_else(|| std::mem::take(&mut granted.scopes));
                Ok(())
            }
            Ok(Verdict::Elsewhere(_)) => Err(Error::new(ErrorKind::InteractionRequired, "a rule wants to show the person a page")),
            Err(error) => {
                let wire = error.kind.wire();
                let (code, reason) = (wire.code.to_owned(), wire.problem.to_owned());
                trace.note(now, Note::Refused { code, reason, detail: error.detail.clone() });
                self.save_trace(&granted.correlation_id, Part::Token, trace).await?;
                Err(error)
            }
        }
    }

    async fn new_family(&self, application: &Application, granted: &Granted, now: Timestamp) -> Result<RefreshToken> {
        let data = FamilyData {
            identity: granted.identity.clone(),
            sid: granted.sid.clone(),
            scopes: granted.unscripted_scopes.clone().unwrap_or_else(|| granted.scopes.clone()),
            claims: granted.claims.clone(),
            audience: granted.audience.clone(),
            auth_time: granted.auth_time,
            acr: granted.acr.clone(),
            correlation_id: granted.correlation_id.clone(),
        };
        let family = RefreshFamily {
            grant_id: granted.grant_id.clone(),
            client_id: application.client_id.clone(),
            user_id: granted.user_id.clone(),
            generation: 0,
            created_at: now,
            rotated_at: now,
            expires_at: now.plus_seconds(self.lifetimes.refresh_token.cast_signed()),
            data: String::from_utf8(encode(&data)?)
                .map_err(|error| Error::new(ErrorKind::Internal, "a record cannot be written").because(error))?,
        };
        self.directory.put_family(&family).await?;
        RefreshToken::issue(&family.grant_id, 0, self.keyring.sealer())
    }

    async fn refresh_grant(
        &self,
        application: &Application,
        token: &RefreshToken,
        scopes: Option<&Scopes>,
        caller: Option<&Caller>,
        now: Timestamp,
    ) -> Result<Tokens, TokenRefusal> {
        // Before anything is rotated: a store that does not answer must not cost the client its token, and what was
        // revoked while the family was being made, or while the directory was away, stays revoked.
        let mark = AccessToken::revocation_key(token.grant_id());
        if self.sessions.get_many(&[mark]).await?.into_iter().flatten().next().is_some() {
            self.directory.revoke_family(token.grant_id()).await?;
            return Err(invalid_refresh_token().into());
        }
        let generation = i64::from(token.generation());
        let family = match self.directory.rotate_family(token.grant_id(), &application.client_id, generation, now, GRACE).await? {
            Rotation::Rotated(family) | Rotation::Repeated(family) => family,
            Rotation::Reused(family) => {
                // RFC 9700 4.14.2: a reused refresh token revokes the whole family, access tokens included.
                self.revoke_grant(&family.grant_id).await?;
                tracing::warn!(client_id = application.client_id, "refresh token presented twice; its family is revoked");
                return Err(invalid_refresh_token().into());
            }
            Rotation::Refused => return Err(invalid_refresh_token().into()),
        };
        let data: FamilyData = decode(family.data.as_bytes())?;
        let correlation_id = data.correlation_id.clone();
        let in_login = |error: Error| TokenRefusal { error, correlation_id: Some(correlation_id.clone()) };
        self.give_from_family(application, &family, data, (scopes, caller), now).await.map_err(in_login)
    }

    async fn give_from_family(
        &self,
        application: &Application,
        family: &RefreshFamily,
        data: FamilyData,
        (asked, caller): (Option<&Scopes>, Option<&Caller>),
        now: Timestamp,
    ) -> Result<Tokens> {
        let scopes = data.scopes.narrow(asked)?;
        let refuse = || Error::new(ErrorKind::InvalidGrant, "the user may not sign in any more");
        let user = self.directory.user(&family.user_id).await?.filter(|user| !user.blocked).ok_or_else(refuse)?;
        if !self.accepts(application, &data.identity.connection) {
            return Err(Error::new(ErrorKind::InvalidGrant, "the connection by which the user came is not available any more"));
        }
        // The connection cannot be asked without the person: what it said last serves as long as the application allows.
        // An identity that was unlinked, or may not sign in any more, keeps nothing alive.
        let came_by = user.identity(&data.identity.connection, &data.identity.user_id).filter(|stored| self.lets_in(stored));
        let asked_at = came_by.and_then(|stored| stored.last_login).ok_or_else(refuse)?;
        if !application.profile.is_fresh(Some(now.seconds_since(asked_at))) {
            return Err(Error::new(ErrorKind::InvalidGrant, "the profile is older than the application tolerates: the user must sign in"));
        }
        let profile = self.effective(&user)?.ok_or_else(refuse)?;
        let successor =
            u32::try_from(family.generation).map_err(|_| Error::new(ErrorKind::InvalidGrant, "the refresh token was rotated too often"))?;
        let refresh_token = RefreshToken::issue(&family.grant_id, successor, self.keyring.sealer())?;
        let mut granted = Granted {
            grant_id: family.grant_id.clone(),
            user_id: family.user_id.clone(),
            identity: data.identity,
            sid: data.sid,
            scopes,
            unscripted_scopes: None,
            audience: data.audience,
            nonce: None,
            claims: data.claims,
            auth_time: data.auth_time,
            acr: data.acr,
            profile: profile.into_map(),
            transient: Vec::new(),
            scripted: None,
            correlation_id: data.correlation_id,
        };
        let mut trace = Trace::default();
        if self.scripts.has_login() {
            self.script_refresh(application, &mut granted, caller, now, &mut trace).await?;
        }
        self.give(application, granted, Some(refresh_token), trace, now).await
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
            Some(self.id_token(application, &granted, &release.id_token, beside, now)?)
        } else {
            None
        };
        self.sessions.commit(vec![given.put, trace_op(&granted.correlation_id, Part::Token, &trace)?]).await?;
        let response =
            TokenResponse { access_token: given.token, expires_in: given.expires_in, refresh_token, id_token, scopes: granted.scopes };
        Ok(Tokens { response, correlation_id: granted.correlation_id, user_id: Some(granted.user_id), audience: granted.audience })
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
