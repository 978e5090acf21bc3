//! UserInfo (OpenID Connect Core 5.3): the claims behind an access token, in one round trip; and the whole profile for
//! applications that were written for it.

use super::Gateway;
use super::possession::Shown;
use crate::application::Application;
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::login::Dialects;
use crate::oidc::bearer::{PresentedToken, invalid_token};
use crate::oidc::{ClientFacts, SigningAlg};
use crate::profile::dialect::{Dialect, DialectOptions, render};
use crate::user::PersonView;
use serde_json::{Map, Value};

/// An answer, and the login it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserInfo {
    pub body: String,
    /// The body is a JWT (OpenID Connect Core 5.3.2); else a JSON object.
    pub is_jwt: bool,
    pub correlation_id: String,
}

impl Gateway {
    /// `dialect`: the form that the request names, for an application with `legacy_profile`.
    pub async fn userinfo(&self, presented: &PresentedToken, shown: &Shown, dialect: Option<&str>, now: Timestamp) -> Result<UserInfo> {
        let token = &presented.token;
        let record = self.token_record(token, now).await?.ok_or_else(invalid_token)?;
        // A disabled application gets nothing more, whatever it was given before.
        let application = self.application(&record.client_id).ok_or_else(invalid_token)?;
        let fapi2 = application.oidc.as_ref().is_some_and(|client| client.fapi2);
        self.check_possession(&record.confirmation, fapi2, presented, shown, now).await?;
        if !record.scopes.contains("openid") {
            return Err(Error::new(ErrorKind::InsufficientScope, "the access token was not issued with the scope openid"));
        }
        let dialect = asked_dialect(application, dialect)?;
        let body = match record.dialects.filter(|_| application.profile.legacy_profile) {
            None => record.userinfo,
            Some(Dialects { auth0, gigya, logto }) => match dialect {
                Dialect::Auth0 => auth0,
                Dialect::Gigya => gigya,
                Dialect::Logto => logto,
            },
        };
        let body = self.told_body(application, &body, token.grant_id())?;
        let (body, is_jwt) = self.as_registered(application, body, now).await?;
        Ok(UserInfo { body, is_jwt, correlation_id: record.correlation_id })
    }

    /// Signed, encrypted, or both, where the client has registered for it; and whether it was. JSON is told as it is kept.
    async fn as_registered(&self, application: &Application, body: String, now: Timestamp) -> Result<(String, bool)> {
        let Some(client) = &application.oidc else { return Ok((body, false)) };
        let (signed, content_type) = match client.userinfo_signed_response_alg {
            None => (body, None),
            Some(alg) => (self.signed_userinfo(client, alg, &body)?, Some("JWT")),
        };
        match client.userinfo_encryption {
            None => Ok((signed, content_type.is_some())),
            Some(how) => Ok((self.encrypt_for(client, how, content_type, signed.as_bytes(), now).await?, true)),
        }
    }

    /// OpenID Connect Core 5.3.2: with `iss` and `aud`. It has no `typ`, so that nobody takes it for an ID token.
    fn signed_userinfo(&self, client: &ClientFacts, alg: SigningAlg, body: &str) -> Result<String> {
        let mut claims: Map<String, Value> =
            serde_json::from_str(body).map_err(|error| Error::new(ErrorKind::Internal, "an answer cannot be read").because(error))?;
        claims.insert("iss".to_owned(), self.issuer.as_str().into());
        claims.insert("aud".to_owned(), client.client_id.as_str().into());
        self.keys.untyped_signer(alg)?.sign(&claims)
    }

    /// The profile of the user whom an ID token names, as the directory has it (S4-17, S4-21): for applications with
    /// `legacy_profile` only. An ID token that has expired is refused.
    pub async fn token_info(&self, id_token: &str, dialect: Option<&str>, now: Timestamp) -> Result<String> {
        let refuse = || Error::new(ErrorKind::InvalidToken, "the ID token is not one of this provider, or has expired");
        let claims = self.keys.public().verify_current(id_token, &self.issuer, now).map_err(|error| refuse().because(error))?;
        let application = self.application(claims.client_id()).filter(|application| application.profile.legacy_profile);
        let application = application.ok_or_else(|| {
            Error::new(ErrorKind::UnauthorizedClient, "the application of this ID token may not ask for the whole profile")
        })?;
        let dialect = asked_dialect(application, dialect)?;
        let user = self.directory.user(claims.subject()).await?.filter(|user| !user.blocked).ok_or_else(refuse)?;
        // The application has not proven who it is, and an ID token passes through browsers: nothing sealed is opened.
        let user = self.readable_user(user, false);
        let profile = self.effective(&user)?.ok_or_else(refuse)?;
        let view = PersonView::new(&user, profile, None);
        Ok(Value::Object(self.in_dialect(dialect, &user.user_id, &view, now)).to_string())
    }

    /// A person in a dialect, with the `sub` that OpenID Connect wants in every answer.
    pub(super) fn in_dialect(&self, dialect: Dialect, user_id: &str, view: &PersonView<'_>, now: Timestamp) -> Map<String, Value> {
        let options = DialectOptions { sign_ids: self.gigya.as_ref(), ..DialectOptions::new(now) };
        let mut answer = Map::from_iter([("sub".to_owned(), Value::from(user_id))]);
        answer.extend(render(dialect, &view.person(), &options).into_iter().filter(|(name, _)| name != "sub"));
        answer
    }
}

fn asked_dialect(application: &Application, asked: Option<&str>) -> Result<Dialect> {
    let Some(name) = asked else { return Ok(application.profile.dialect) };
    if !application.profile.legacy_profile {
        return Err(Error::new(ErrorKind::InvalidRequest, "dialect is for applications that get the whole profile"));
    }
    Dialect::parse(name).ok_or_else(|| Error::new(ErrorKind::InvalidRequest, "dialect is auth0, gigya or logto"))
}
