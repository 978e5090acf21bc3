//! A code becomes tokens (RFC 6749 4.1.3).

use super::{Asking, TokenRefusal, Tokens};
use crate::broker::give::Granted;
use crate::broker::{Gateway, decode, encode};
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::login::trace::Trace;
use crate::login::{CodeGrant, CodeTombstone};
use crate::oidc::token::invalid_code;
use crate::oidc::{AuthorizationCode, ClientFacts, GrantType, KeyConfirmation};
use crate::secret::Secret;
use crate::store::Consumed;
use crate::user::Identity;
use serde_json::{Map, Value};

impl Gateway {
    pub(super) async fn code_grant(
        &self,
        asking: Asking<'_>,
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
                tracing::warn!(client_id = asking.client.client_id, "authorization code presented twice; its tokens are revoked");
                return Err(invalid_code().into());
            }
            Consumed::Fresh(bytes) => decode::<CodeGrant<Map<String, Value>>>(&bytes)?,
        };
        let correlation_id = grant.correlation_id.clone();
        let in_login = |error: Error| TokenRefusal { error, correlation_id: Some(correlation_id.clone()) };
        if now >= grant.expires_at {
            return Err(in_login(invalid_code()));
        }
        grant.binding.check(asking.client, redirect_uri, verifier, asking.confirmation.jkt.as_deref()).map_err(in_login)?;
        let granted = granted(grant_id, grant, asking.confirmation.clone());
        self.give_at_first(asking, granted, now).await.map_err(in_login)
    }

    /// What a grant gives when it is used for the first time: with a refresh token, if the person has agreed to that.
    pub(super) async fn give_at_first(&self, asking: Asking<'_>, granted: Granted, now: Timestamp) -> Result<Tokens> {
        self.check_standing(asking.client, &granted).await?;
        let wants_refresh = granted.scopes.contains("offline_access");
        let refresh_token = if wants_refresh { Some(self.new_family(asking, &granted, now).await?) } else { None };
        self.give(asking.application, granted, refresh_token, Trace::default(), now).await
    }

    /// What was granted is still granted: the person may still sign in, and has not taken back what a third party or a
    /// device has waited with.
    async fn check_standing(&self, client: &ClientFacts, granted: &Granted) -> Result<()> {
        let refuse = || Error::new(ErrorKind::InvalidGrant, "what was granted has been taken back");
        let may_be_revoked = !client.first_party || client.may_use(GrantType::DeviceCode);
        if may_be_revoked && self.is_revoked(&granted.grant_id).await? {
            return Err(refuse());
        }
        let Identity { connection, user_id: subject, .. } = &granted.identity;
        let user = self.directory.user_state(&granted.user_id, connection, subject).await?;
        user.filter(|user| !user.blocked && user.allows_login).map(drop).ok_or_else(refuse)
    }
}

/// What the record behind a code grants.
pub(super) fn granted(grant_id: String, grant: CodeGrant<Map<String, Value>>, confirmation: KeyConfirmation) -> Granted {
    Granted {
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
        amr: grant.amr,
        profile: grant.profile,
        transient: grant.transient,
        scripted: grant.scripted,
        confirmation,
        correlation_id: grant.correlation_id,
    }
}
