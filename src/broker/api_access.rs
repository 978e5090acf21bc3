//! Access tokens for resource servers: what an application gets by itself (RFC 6749 4.4), and who stands behind a token
//! at the management API.

use super::access_token::Minting;
use super::possession::Shown;
use super::token::{Asking, TokenRefusal, Tokens};
use super::{Gateway, encode};
use crate::application::management;
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::id;
use crate::login::AccessToken;
use crate::oidc::bearer::{PresentedToken, invalid_token};
use crate::oidc::{Scopes, TokenResponse};
use crate::store::Op;

/// Who calls the management API, and what for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiAccess {
    pub client_id: String,
    /// The person whose token it is; `None`: the program acts for itself.
    pub user_id: Option<String>,
    pub scopes: Scopes,
    pub correlation_id: String,
}

impl ApiAccess {
    /// For audit logs.
    pub fn actor(&self) -> &str {
        self.user_id.as_deref().unwrap_or(&self.client_id)
    }
}

impl Gateway {
    /// The identifier of the management API.
    pub fn management_audience(&self) -> String {
        management::audience(&self.issuer)
    }

    /// Seconds that an access token for `audience` lives; `None`: no such resource server.
    pub(super) fn audience_lifetime(&self, audience: &str) -> Option<u32> {
        if audience == self.management_audience() {
            return Some(self.lifetimes.access_token);
        }
        self.resource_servers.get(audience).map(|server| server.token_lifetime)
    }

    /// The client credentials grant. What the application may have is registered; it never has more.
    pub(super) async fn client_credentials(
        &self,
        asking: Asking<'_>,
        audience: Option<&str>,
        asked: Option<&Scopes>,
        now: Timestamp,
    ) -> Result<Tokens, TokenRefusal> {
        let Asking { application, caller, correlation_id, confirmation, .. } = asking;
        let audience = audience.ok_or_else(|| Error::new(ErrorKind::InvalidRequest, "the parameter audience is missing"))?;
        // Whether it is unknown or not granted is not for the application to find out.
        let refused = || Error::new(ErrorKind::UnauthorizedClient, "the application has no grant for this audience");
        let lifetime = self.audience_lifetime(audience).ok_or_else(refused)?;
        let grant = self.client_grants.get(&(application.client_id.clone(), audience.to_owned())).ok_or_else(refused)?;
        let granted: Scopes = grant.scopes.iter().map(String::as_str).collect();
        let scopes = granted.narrow(asked)?;
        let (scopes, claims) = self.run_exchange(application, audience, (&granted, scopes), caller, correlation_id).await?;
        let grant_id = id::random_id();
        let mut minting = Minting::new(&grant_id, &application.client_id, &scopes, lifetime);
        (minting.audience, minting.confirmation, minting.added) = (Some(audience), Some(confirmation), Some(&claims));
        let access_token = self.mint(&minting, now)?;
        let expires_at = now.plus_seconds(i64::from(lifetime));
        let record = AccessToken {
            audience: Some(audience.to_owned()),
            claims,
            confirmation: confirmation.clone(),
            ..AccessToken::of_program(&application.client_id, scopes.clone(), correlation_id, now, expires_at)
        };
        let key = AccessToken::key(&grant_id, &access_token.digest());
        self.sessions.commit(vec![Op::Put { key, value: encode(&record)?, ttl: u64::from(lifetime) }]).await?;
        let response = TokenResponse {
            access_token,
            token_type: confirmation.token_type(),
            expires_in: lifetime,
            issued_token_type: None,
            refresh_token: None,
            id_token: None,
            scopes,
        };
        Ok(Tokens { response, correlation_id: correlation_id.to_owned(), user_id: None, audience: Some(audience.to_owned()) })
    }

    /// Who presents this token at the management API.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidToken`] for one that is unknown, expired, revoked, for another audience, or of an application
    /// that is not enabled any more; and one that is bound to a key that the request does not show.
    pub async fn api_access(&self, presented: &PresentedToken, shown: &Shown, now: Timestamp) -> Result<ApiAccess> {
        let record = self.token_record(&presented.token, now).await?.ok_or_else(invalid_token)?;
        if record.audience.as_deref() != Some(self.management_audience().as_str()) {
            return Err(invalid_token());
        }
        let application = self.application(&record.client_id).ok_or_else(invalid_token)?;
        let fapi2 = application.oidc.as_ref().is_some_and(|client| client.fapi2);
        self.check_possession(&record.confirmation, fapi2, presented, shown, now).await?;
        let scopes = match &record.user_id {
            // A person's token never does what a program's may, and ends with the person's account: somebody who was deleted
            // and has signed in again has the same id.
            Some(user_id) => {
                let user = self.directory.user(user_id).await?;
                user.filter(|user| !user.blocked && user.created_at <= record.issued_at).ok_or_else(invalid_token)?;
                record.scopes.iter().filter(|scope| management::is_current_user_scope(scope)).collect()
            }
            // What was taken from the application since is gone at once.
            None => {
                let grant =
                    self.client_grants.get(&(application.client_id.clone(), self.management_audience())).ok_or_else(invalid_token)?;
                record.scopes.iter().filter(|scope| grant.scopes.iter().any(|granted| granted == scope)).collect()
            }
        };
        Ok(ApiAccess { client_id: record.client_id, user_id: record.user_id, scopes, correlation_id: record.correlation_id })
    }

    /// The scopes that somebody who signs in may get for an audience: those of people at the management API, or those of
    /// the resource server.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidRequest`] for an audience that is not known.
    pub(super) fn scopes_for_audience(&self, audience: &str, asked: &Scopes) -> Result<Scopes> {
        if audience == self.management_audience() {
            return Ok(asked.iter().filter(|scope| management::is_current_user_scope(scope)).collect());
        }
        let unknown = || Error::new(ErrorKind::InvalidRequest, "the audience is not known here");
        let server = self.resource_servers.get(audience).ok_or_else(unknown)?;
        Ok(asked.iter().filter(|scope| server.has_scope(scope)).collect())
    }
}
