//! A refresh token becomes tokens (RFC 6749 6): rotation, and what became of the person since.

use super::{Asking, TokenRefusal, Tokens};
use crate::broker::give::Granted;
use crate::broker::rules::{REFRESH, Situation, Verdict, other_user};
use crate::broker::{Gateway, decode, encode};
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::login::trace::{Part, Step as Note, Trace};
use crate::oidc::token::invalid_refresh_token;
use crate::oidc::{ClaimsRequest, RefreshToken, Scopes};
use crate::store::{FamilyFilter, RefreshFamily, Rotation};
use crate::user::Identity;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Seconds within which a refresh token may be presented again because its answer was lost.
const GRACE: i64 = 10;

/// What a refresh-token family remembers.
#[derive(Serialize, Deserialize)]
pub(in crate::broker) struct FamilyData {
    /// By which the person came.
    pub identity: Identity,
    pub sid: String,
    pub scopes: Scopes,
    /// Claims that were asked by name.
    #[serde(default, skip_serializing_if = "ClaimsRequest::is_empty")]
    pub claims: ClaimsRequest,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
    pub auth_time: Timestamp,
    pub acr: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub amr: Vec<String>,
    pub correlation_id: String,
    /// The key to which its tokens are bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bound: Option<String>,
}

impl Gateway {
    /// A new family, and its first token.
    pub(super) async fn new_family(&self, asking: Asking<'_>, granted: &Granted, now: Timestamp) -> Result<RefreshToken> {
        let data = FamilyData {
            identity: granted.identity.clone(),
            sid: granted.sid.clone(),
            scopes: granted.unscripted_scopes.clone().unwrap_or_else(|| granted.scopes.clone()),
            claims: granted.claims.clone(),
            audience: granted.audience.clone(),
            auth_time: granted.auth_time,
            acr: granted.acr.clone(),
            amr: granted.amr.clone(),
            correlation_id: granted.correlation_id.clone(),
            bound: asking.bound().map(str::to_owned),
        };
        let family = RefreshFamily {
            grant_id: granted.grant_id.clone(),
            client_id: asking.client.client_id.clone(),
            user_id: granted.user_id.clone(),
            generation: 0,
            created_at: now,
            rotated_at: now,
            expires_at: now.plus_seconds(self.lifetimes.refresh_token.cast_signed()),
            data: String::from_utf8(encode(&data)?)
                .map_err(|error| Error::new(ErrorKind::Internal, "a record cannot be written").because(error))?,
        };
        self.directory.put_family(&family).await?;
        RefreshToken::issue(&family.grant_id, 0, asking.bound(), self.keyring.sealer())
    }

    pub(super) async fn refresh_grant(
        &self,
        asking: Asking<'_>,
        token: &RefreshToken,
        scopes: Option<&Scopes>,
        now: Timestamp,
    ) -> Result<Tokens, TokenRefusal> {
        // Before anything is rotated: a store that does not answer must not cost the client its token, and what was
        // revoked while the family was being made, or while the directory was away, stays revoked.
        if self.is_revoked(token.grant_id()).await? {
            self.directory.revoke_family(token.grant_id()).await?;
            return Err(invalid_refresh_token().into());
        }
        let prepared = self.prepared_before(asking, token, scopes, now).await?;
        let family = self.rotated(asking, token, now).await?;
        let (granted, trace) = match prepared {
            Some(prepared) => prepared,
            None => self.prepared(asking, &family, scopes, now).await?,
        };
        let correlation_id = granted.correlation_id.clone();
        let in_login = |error: Error| TokenRefusal { error, correlation_id: Some(correlation_id.clone()) };
        let successor = u32::try_from(family.generation)
            .map_err(|_| in_login(Error::new(ErrorKind::InvalidGrant, "the refresh token was rotated too often")))?;
        let successor = RefreshToken::issue(&family.grant_id, successor, token.bound(), self.keyring.sealer()).map_err(in_login)?;
        self.give(asking.application, granted, Some(successor), trace, now).await.map_err(in_login)
    }

    /// The family of a token that may be used, with the generation of its successor.
    async fn rotated(&self, asking: Asking<'_>, token: &RefreshToken, now: Timestamp) -> Result<RefreshFamily> {
        let (grant_id, client_id, generation) = (token.grant_id(), &asking.client.client_id, i64::from(token.generation()));
        // FAPI 2.0 Security Profile 5.3.2.1: no rotation. Nobody can use the token without the client's key.
        if asking.client.fapi2 {
            return self.directory.use_family(grant_id, client_id, generation, now).await?.ok_or_else(invalid_refresh_token);
        }
        match self.directory.rotate_family(grant_id, client_id, generation, now, GRACE).await? {
            Rotation::Rotated(family) | Rotation::Repeated(family) => Ok(family),
            Rotation::Reused(family) => {
                // RFC 9700 4.14.2: a reused refresh token revokes the whole family, access tokens included.
                self.revoke_grant(&family.grant_id).await?;
                tracing::warn!(client_id, "refresh token presented twice; its family is revoked");
                Err(invalid_refresh_token())
            }
            Rotation::Refused => Err(invalid_refresh_token()),
        }
    }

    /// What may refuse for reasons of its own comes before the rotation, so that it costs the client nothing: scripts, the
    /// time for which a token may lie idle, and what the person has agreed to. Only the token in force is worth the look;
    /// where there is none of them, none is.
    async fn prepared_before(
        &self,
        asking: Asking<'_>,
        token: &RefreshToken,
        scopes: Option<&Scopes>,
        now: Timestamp,
    ) -> Result<Option<(Granted, Trace)>, TokenRefusal> {
        let idle = self.lifetimes.refresh_token_idle;
        if idle == 0 && !self.scripts.has_login() && asking.client.first_party {
            return Ok(None);
        }
        let family = self.family(token.grant_id(), &asking.client.client_id, now).await?;
        let Some(family) = family.filter(|family| family.generation == i64::from(token.generation())) else { return Ok(None) };
        if idle > 0 && now.seconds_since(family.rotated_at) > idle.cast_signed() {
            self.directory.revoke_family(&family.grant_id).await?;
            return Err(invalid_refresh_token().into());
        }
        self.prepared(asking, &family, scopes, now).await.map(Some)
    }

    /// A family that may still be used.
    pub(in crate::broker) async fn family(&self, grant_id: &str, client_id: &str, now: Timestamp) -> Result<Option<RefreshFamily>> {
        let (grant_id, client_id) = (Some(grant_id.to_owned()), Some(client_id.to_owned()));
        let filter = FamilyFilter { grant_id, client_id, limit: 1, ..FamilyFilter::default() };
        Ok(self.directory.families(&filter, now).await?.families.into_iter().next())
    }

    /// What a family grants now: what it granted once, if the person may still sign in, as scripts see it today.
    async fn prepared(
        &self,
        asking: Asking<'_>,
        family: &RefreshFamily,
        asked: Option<&Scopes>,
        now: Timestamp,
    ) -> Result<(Granted, Trace), TokenRefusal> {
        let data: FamilyData = decode(family.data.as_bytes())?;
        let correlation_id = data.correlation_id.clone();
        let in_login = |error: Error| TokenRefusal { error, correlation_id: Some(correlation_id.clone()) };
        let mut granted = self.granted_by(asking, family, data, asked, now).await.map_err(in_login)?;
        let mut trace = Trace::default();
        if self.scripts.has_login() {
            self.script_refresh(asking, &mut granted, now, &mut trace).await.map_err(&in_login)?;
        }
        self.hold_to_consent(asking.application, &mut granted).await.map_err(in_login)?;
        Ok((granted, trace))
    }

    async fn granted_by(
        &self,
        asking: Asking<'_>,
        family: &RefreshFamily,
        data: FamilyData,
        asked: Option<&Scopes>,
        now: Timestamp,
    ) -> Result<Granted> {
        let scopes = data.scopes.narrow(asked)?;
        let refuse = || Error::new(ErrorKind::InvalidGrant, "the user may not sign in any more");
        let user = self.directory.user(&family.user_id).await?.filter(|user| !user.blocked).ok_or_else(refuse)?;
        if !self.accepts(asking.application, &data.identity.connection) {
            return Err(Error::new(ErrorKind::InvalidGrant, "the connection by which the user came is not available any more"));
        }
        // The connection cannot be asked without the person: what it said last serves as long as the application allows.
        // An identity that was unlinked, or may not sign in any more, keeps nothing alive.
        let came_by = user.identity(&data.identity.connection, &data.identity.user_id).filter(|stored| self.lets_in(stored));
        let asked_at = came_by.and_then(|stored| stored.last_login).ok_or_else(refuse)?;
        if !asking.application.profile.is_fresh(Some(now.seconds_since(asked_at))) {
            return Err(Error::new(ErrorKind::InvalidGrant, "the profile is older than the application tolerates: the user must sign in"));
        }
        let profile = self.effective(&user)?.ok_or_else(refuse)?;
        Ok(Granted {
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
            amr: data.amr,
            profile: profile.into_map(),
            transient: Vec::new(),
            scripted: None,
            confirmation: asking.confirmation.clone(),
            correlation_id: data.correlation_id,
        })
    }

    /// The scripts of a refresh. What they refuse is recorded, and costs the client nothing but this answer.
    async fn script_refresh(&self, asking: Asking<'_>, granted: &mut Granted, now: Timestamp, trace: &mut Trace) -> Result<()> {
        let body = Map::from_iter([
            ("grant_type".to_owned(), Value::from("refresh_token")),
            ("client_id".to_owned(), Value::from(asking.client.client_id.as_str())),
        ]);
        let situation = Situation {
            application: asking.application,
            user_id: &granted.user_id,
            identity: &granted.identity,
            profile: granted.profile.clone(),
            transient: &[],
            protocol: REFRESH,
            single_sign_on: false,
            sid: &granted.sid,
            auth_time: granted.auth_time,
            amr: &granted.amr,
            scopes: &granted.scopes,
            audience: granted.audience.as_deref(),
            asked: None,
            redirect_uri: None,
            query: Map::new(),
            body,
            caller: asking.caller,
            correlation_id: &granted.correlation_id,
            resume: None,
            no_redirect: true,
            now,
        };
        match self.run_scripts(situation, trace).await {
            Ok(Verdict::Go(made)) if made.primary.is_some() => Err(other_user()),
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
}
