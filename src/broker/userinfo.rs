//! UserInfo (OpenID Connect Core 5.3): the claims behind an access token, in one round trip.

use super::{Gateway, decode};
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::login::AccessToken;
use crate::oidc;
use crate::oidc::bearer::invalid_token;

impl Gateway {
    pub async fn userinfo(&self, token: &oidc::AccessToken, now: Timestamp) -> Result<AccessToken> {
        let keys = [AccessToken::key(token.grant_id(), &token.digest()), AccessToken::revocation_key(token.grant_id())];
        let mut found = self.sessions.get_many(&keys).await?.into_iter();
        let (record, revoked) = (found.next().flatten(), found.next().flatten());
        let record: AccessToken = decode(&record.ok_or_else(invalid_token)?)?;
        if revoked.is_some() || now >= record.expires_at {
            return Err(invalid_token());
        }
        // A disabled application gets nothing more, whatever it was given before.
        if self.application(&record.client_id).is_none() {
            return Err(invalid_token());
        }
        if !record.scopes.contains("openid") {
            return Err(Error::new(ErrorKind::InsufficientScope, "the access token was not issued with the scope openid"));
        }
        Ok(record)
    }
}
