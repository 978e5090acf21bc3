//! Making access tokens, opaque or as a resource server reads them, and finding what stands behind one.

use super::{Gateway, decode};
use crate::application::TokenFormat;
use crate::clock::Timestamp;
use crate::error::Result;
use crate::login::AccessToken;
use crate::oidc::discovery::path;
use crate::oidc::{self, AccessTokenClaims, KeyConfirmation, Scopes};
use serde_json::{Map, Value};

/// What a new access token is for.
pub(super) struct Minting<'a> {
    pub grant_id: &'a str,
    pub client_id: &'a str,
    pub scopes: &'a Scopes,
    /// Seconds.
    pub expires_in: u32,
    /// What the person is called; `None`: a program's own.
    pub subject: Option<&'a str>,
    /// The program that it speaks for, where that is not the client.
    pub program: Option<&'a str>,
    pub audience: Option<&'a str>,
    pub auth_time: Option<Timestamp>,
    pub acr: Option<&'a str>,
    pub confirmation: Option<&'a KeyConfirmation>,
    pub act: Option<&'a Value>,
    /// Claims that scripts have added.
    pub added: Option<&'a Map<String, Value>>,
}

impl<'a> Minting<'a> {
    /// For a program itself, unbound, without an audience.
    pub fn new(grant_id: &'a str, client_id: &'a str, scopes: &'a Scopes, expires_in: u32) -> Self {
        Self {
            grant_id,
            client_id,
            scopes,
            expires_in,
            subject: None,
            program: None,
            audience: None,
            auth_time: None,
            acr: None,
            confirmation: None,
            act: None,
            added: None,
        }
    }
}

impl Gateway {
    /// A new access token; its record is the caller's to write.
    pub(super) fn mint(&self, minting: &Minting<'_>, now: Timestamp) -> Result<oidc::AccessToken> {
        let server = minting.audience.and_then(|audience| self.resource_servers.get(audience));
        let Some((server, TokenFormat::Jwt { dialect, alg })) = server.map(|server| (server, server.tokens)) else {
            return oidc::AccessToken::issue(minting.grant_id);
        };
        let (nothing, unbound) = (Map::new(), KeyConfirmation::default());
        let userinfo = format!("{}{}", self.issuer.trim_end_matches('/'), path::USERINFO);
        let claims = AccessTokenClaims {
            issuer: &self.issuer,
            subject: minting.subject.or(minting.program).unwrap_or(minting.client_id),
            audience: &server.identifier,
            userinfo: &userinfo,
            client_id: minting.client_id,
            own: minting.subject.is_none(),
            scopes: minting.scopes,
            issued_at: now,
            expires_at: now.plus_seconds(i64::from(minting.expires_in)),
            auth_time: minting.auth_time,
            acr: minting.acr,
            confirmation: minting.confirmation.unwrap_or(&unbound),
            act: minting.act,
            added: minting.added.unwrap_or(&nothing),
        };
        claims.sign(minting.grant_id, dialect, self.keys.signer(alg)?)
    }

    /// What stands behind a token that is in force; `None` for one that is unknown, expired or revoked, or whose application
    /// is not enabled any more.
    pub(super) async fn token_record(&self, token: &oidc::AccessToken, now: Timestamp) -> Result<Option<AccessToken>> {
        let keys = [AccessToken::key(token.grant_id(), &token.digest()), AccessToken::revocation_key(token.grant_id())];
        let mut found = self.sessions.get_many(&keys).await?.into_iter();
        let (Some(record), None) = (found.next().flatten(), found.next().flatten()) else { return Ok(None) };
        let record: AccessToken = decode(&record)?;
        Ok((now < record.expires_at && self.application(&record.client_id).is_some()).then_some(record))
    }
}
