//! Revocation (RFC 7009): a client gives back what it got.

use super::Gateway;
use super::client_auth::facts;
use super::decode;
use super::token::refresh::FamilyData;
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::login::AccessToken;
use crate::oidc::{self, ClientProof, Params, RefreshToken};
use crate::store::{Op, RefreshFamily};

impl Gateway {
    /// Whatever is not a living token of this client is left alone, and answered alike.
    ///
    /// # Errors
    /// Those of the client's authentication, and where there is no token in the request.
    pub async fn revoke(&self, proof: ClientProof<'_>, now: Timestamp) -> Result<()> {
        let application = self.authenticate_client(proof, now).await?;
        let token = presented(proof.body)?;
        let client_id = &facts(&application)?.client_id;
        // token_type_hint is not needed: one kind of token is never read as another.
        if let Some((_, family)) = self.refresh_family(token, client_id, now).await? {
            // RFC 7009 2.1: with a refresh token end the access tokens of the same grant.
            return self.revoke_grant(&family.grant_id).await;
        }
        let Some(token) = oidc::AccessToken::parse(token) else { return Ok(()) };
        match self.token_record(&token, now).await? {
            Some(record) if record.client_id == *client_id => {
                let key = AccessToken::key(token.grant_id(), &token.digest());
                self.sessions.commit(vec![Op::Delete { key }]).await.map(drop)
            }
            _ => Ok(()),
        }
    }

    /// The refresh token of this text, if it is one of this client's and its family is alive; and the family.
    pub(super) async fn refresh_family(
        &self,
        text: &str,
        client_id: &str,
        now: Timestamp,
    ) -> Result<Option<(RefreshToken, RefreshFamily)>> {
        let Some(grant_id) = RefreshToken::unproven_grant_id(text) else { return Ok(None) };
        let Some(family) = self.family(&grant_id, client_id, now).await? else { return Ok(None) };
        let data: FamilyData = decode(family.data.as_bytes())?;
        Ok(RefreshToken::parse(text, data.bound.as_deref(), self.keyring.sealer()).map(|token| (token, family)))
    }
}

/// The parameter `token` of revocation and introspection.
pub(super) fn presented(body: &Params) -> Result<&str> {
    body.get("token").ok_or_else(|| Error::new(ErrorKind::InvalidRequest, "the parameter token is missing"))
}
