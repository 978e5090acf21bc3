//! Token exchange (RFC 8693): a client that may do so speaks for somebody at another resource server.
//!
//! What comes out is never more than what went in: no scope that the subject token did not have, not a second longer, and it
//! ends with the grant that the subject token belongs to.

use super::{Asking, TokenRefusal, Tokens};
use crate::broker::access_token::Minting;
use crate::broker::{Gateway, encode};
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::id;
use crate::login::AccessToken;
use crate::oidc::exchange::{ExchangeRequest, Speaks, TokenType, acting};
use crate::oidc::{self, Scopes, TokenExchange, TokenResponse};
use crate::store::Op;
use serde_json::Value;

/// Whom a token speaks for, and how far.
struct Party {
    grant_id: String,
    /// The person; `None`: the program named by `client_id`.
    user_id: Option<String>,
    client_id: String,
    scopes: Scopes,
    expires_at: Timestamp,
    auth_time: Option<Timestamp>,
    acr: Option<String>,
    act: Option<Value>,
    correlation_id: Option<String>,
}

impl Gateway {
    pub(super) async fn token_exchange(
        &self,
        asking: Asking<'_>,
        request: &ExchangeRequest,
        now: Timestamp,
    ) -> Result<Tokens, TokenRefusal> {
        let refused = || Error::new(ErrorKind::UnauthorizedClient, "this client may not exchange tokens");
        let policy = asking.client.token_exchange.as_ref().ok_or_else(refused)?;
        let lifetime = self.target(policy, request)?;
        let subject = self.party(asking, &request.subject, now).await?;
        let correlation_id = subject.correlation_id.clone().unwrap_or_else(|| asking.correlation_id.to_owned());
        let in_login = |error: Error| TokenRefusal { error, correlation_id: Some(correlation_id.clone()) };
        let act = self.actor(asking, policy, request, &subject, now).await.map_err(in_login)?;
        let scopes = self.scopes_for_exchange(request, &subject).map_err(in_login)?;
        let left = u32::try_from(subject.expires_at.seconds_since(now)).unwrap_or(0);
        let expires_in = lifetime.min(left);
        let called = subject.user_id.as_ref().map(|user_id| self.subject_for(asking.application, user_id)).transpose().map_err(in_login)?;
        let mut minting = Minting::new(&subject.grant_id, &asking.client.client_id, &scopes, expires_in);
        minting.subject = called.as_deref();
        minting.program = Some(&subject.client_id);
        minting.audience = Some(&request.audience);
        minting.auth_time = subject.auth_time;
        minting.acr = subject.acr.as_deref();
        minting.confirmation = Some(asking.confirmation);
        minting.act = act.as_ref();
        let token = self.mint(&minting, now).map_err(in_login)?;
        let issued = issued_type(request.requested, &token).map_err(in_login)?;
        let expires_at = now.plus_seconds(i64::from(expires_in));
        let record = AccessToken {
            audience: Some(request.audience.clone()),
            user_id: subject.user_id.clone(),
            program: subject.user_id.is_none().then(|| subject.client_id.clone()),
            confirmation: asking.confirmation.clone(),
            act,
            auth_time: subject.auth_time,
            acr: subject.acr.clone(),
            ..AccessToken::of_program(&asking.client.client_id, scopes.clone(), &correlation_id, now, expires_at)
        };
        let key = AccessToken::key(&subject.grant_id, &token.digest());
        self.sessions.commit(vec![Op::Put { key, value: encode(&record)?, ttl: u64::from(expires_in) }]).await?;
        let response = TokenResponse {
            access_token: token,
            token_type: asking.confirmation.token_type(),
            expires_in,
            issued_token_type: Some(issued.as_str()),
            refresh_token: None,
            id_token: None,
            scopes,
        };
        Ok(Tokens { response, correlation_id, user_id: subject.user_id, audience: Some(request.audience.clone()) })
    }

    /// Seconds that a token for what is asked may live.
    fn target(&self, policy: &TokenExchange, request: &ExchangeRequest) -> Result<u32> {
        // Whether it is unknown or not for this client is not for the client to find out. What the management API may do for
        // somebody is nobody else's to ask.
        let refused = || Error::new(ErrorKind::InvalidTarget, "the client may not exchange tokens for this audience");
        if !policy.audiences.contains(&request.audience) || request.audience == self.management_audience() {
            return Err(refused());
        }
        self.resource_servers.get(&request.audience).map(|server| server.token_lifetime).ok_or_else(refused)
    }

    /// Who acts: nobody, if the client speaks as the subject itself; or whom the actor token names.
    async fn actor(
        &self,
        asking: Asking<'_>,
        policy: &TokenExchange,
        request: &ExchangeRequest,
        subject: &Party,
        now: Timestamp,
    ) -> Result<Option<Value>> {
        let Some(actor) = &request.actor else { return Ok(subject.act.clone()) };
        if !policy.may_act {
            return Err(Error::new(ErrorKind::UnauthorizedClient, "this client may not name an actor"));
        }
        let actor = self.party(asking, actor, now).await?;
        // Core 8: a person is called what this application calls them.
        let name = match &actor.user_id {
            Some(user_id) => self.subject_for(asking.application, user_id)?,
            None => actor.client_id.as_str().into(),
        };
        acting(&name, subject.act.as_ref()).map(Some)
    }

    /// The scopes of the subject token that the resource server has, or the part that is asked.
    fn scopes_for_exchange(&self, request: &ExchangeRequest, subject: &Party) -> Result<Scopes> {
        let server = self.resource_servers.get(&request.audience);
        let had: Scopes = subject.scopes.iter().filter(|scope| server.is_some_and(|server| server.has_scope(scope))).collect();
        had.narrow(request.scopes.as_ref())
    }

    /// Reads a token that speaks for somebody. It must be one of ours that is in force, and this client's to use: given to
    /// it, or made for a resource server that it stands for.
    async fn party(&self, asking: Asking<'_>, speaks: &Speaks, now: Timestamp) -> Result<Party> {
        match speaks.kind {
            TokenType::IdToken => self.party_of_id_token(asking, speaks.token.expose(), now).await,
            TokenType::AccessToken | TokenType::Jwt => self.party_of_access_token(asking, speaks.token.expose(), now).await,
        }
    }

    async fn party_of_access_token(&self, asking: Asking<'_>, text: &str, now: Timestamp) -> Result<Party> {
        let token = oidc::AccessToken::parse(text).ok_or_else(not_good)?;
        let record = self.token_record(&token, now).await?.ok_or_else(not_good)?;
        let own = record.client_id == asking.client.client_id;
        let received = record.audience.as_ref().is_some_and(|audience| asking.client.introspects.contains(audience));
        // Whoever holds a token of its own that is bound shows the same key; a resource server has seen it shown.
        let bound_to = |bound: &oidc::KeyConfirmation| {
            let fits = |bound: &Option<String>, shown: &Option<String>| bound.is_none() || bound == shown;
            fits(&bound.jkt, &asking.confirmation.jkt) && fits(&bound.x5t_s256, &asking.confirmation.x5t_s256)
        };
        if !(received || own && bound_to(&record.confirmation)) {
            return Err(not_good());
        }
        if let Some(user_id) = &record.user_id {
            let user = self.directory.user(user_id).await?;
            user.filter(|user| !user.blocked && user.created_at <= record.issued_at).ok_or_else(not_good)?;
        }
        Ok(Party {
            grant_id: token.grant_id().to_owned(),
            client_id: record.program.unwrap_or(record.client_id),
            user_id: record.user_id,
            scopes: record.scopes,
            expires_at: record.expires_at,
            auth_time: record.auth_time,
            acr: record.acr,
            act: record.act,
            correlation_id: Some(record.correlation_id),
        })
    }

    /// An ID token says who somebody is and allows nothing: what comes out has no scope.
    async fn party_of_id_token(&self, asking: Asking<'_>, text: &str, now: Timestamp) -> Result<Party> {
        let claims = self.keys.public().verify_current(text, &self.issuer, now).map_err(|error| not_good().because(error))?;
        if claims.client_id() != asking.client.client_id {
            return Err(not_good());
        }
        let user = self.directory.user(claims.subject()).await?;
        let issued = claims.issued_at().unwrap_or(now);
        let user = user.filter(|user| !user.blocked && user.created_at.seconds() <= issued.seconds()).ok_or_else(not_good)?;
        Ok(Party {
            grant_id: id::random_id(),
            user_id: Some(user.user_id),
            client_id: asking.client.client_id.clone(),
            scopes: Scopes::default(),
            expires_at: claims.expires_at().ok_or_else(not_good)?,
            auth_time: claims.auth_time(),
            acr: None,
            act: None,
            correlation_id: None,
        })
    }
}

/// RFC 8693 2.2.2: what is not good as subject or actor token is an invalid request.
fn not_good() -> Error {
    Error::new(ErrorKind::InvalidRequest, "a token of the request is not valid, or not this client's to use")
}

/// RFC 8693 2.2.1.
fn issued_type(requested: TokenType, token: &oidc::AccessToken) -> Result<TokenType> {
    match requested {
        TokenType::Jwt if !token.is_jwt() => {
            Err(Error::new(ErrorKind::InvalidRequest, "access tokens of this resource server are no JWTs"))
        }
        requested => Ok(requested),
    }
}
