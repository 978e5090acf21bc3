//! Introspection (RFC 7662): what stands behind a token, for whom it concerns.

use super::client_auth::facts;
use super::revoke::presented;
use super::token::refresh::FamilyData;
use super::{Gateway, decode};
use crate::application::Application;
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::login::AccessToken;
use crate::oidc::access_token::is_ours;
use crate::oidc::discovery::path;
use crate::oidc::{self, ClientFacts, ClientProof};
use serde_json::{Map, Value, json};

/// `typ` of a signed answer (RFC 9701 5).
const SIGNED: &str = "token-introspection+jwt";

/// An answer, in the form that was asked for.
#[derive(Debug)]
pub enum Introspection {
    Json(String),
    /// RFC 9701.
    Jwt(String),
}

impl Gateway {
    /// `signed`: the caller accepts a signed answer.
    ///
    /// # Errors
    /// Those of the client's authentication; a client without any may ask nothing.
    pub async fn introspect(&self, proof: ClientProof<'_>, signed: bool, now: Timestamp) -> Result<Introspection> {
        let application = self.authenticate_client(proof, now).await?;
        let client = facts(&application)?;
        // RFC 7662 2.1: or anybody could try what they found.
        if client.is_public() {
            return Err(Error::new(ErrorKind::UnauthorizedClient, "a public client may not ask about tokens"));
        }
        let text = presented(proof.body)?;
        let told = match self.about_access_token(&application, client, text, now).await? {
            Some(told) => Some(told),
            None => self.about_refresh_token(&application, client, text, now).await?,
        };
        // RFC 7662 2.2: nothing more of what is not active, and not why.
        let told = told.unwrap_or_else(|| Map::from_iter([("active".to_owned(), false.into())]));
        if !signed {
            return Ok(Introspection::Json(Value::Object(told).to_string()));
        }
        let claims = json!({ "iss": self.issuer, "aud": client.client_id, "iat": now.seconds(), "token_introspection": told });
        let claims = claims.as_object().cloned().unwrap_or_default();
        let signer = self.keys.signer(client.id_token_signed_response_alg)?.of_type(SIGNED)?;
        signer.sign(&claims).map(Introspection::Jwt)
    }

    async fn about_access_token(
        &self,
        application: &Application,
        client: &ClientFacts,
        text: &str,
        now: Timestamp,
    ) -> Result<Option<Map<String, Value>>> {
        let Some(token) = oidc::AccessToken::parse(text) else { return Ok(None) };
        let Some(record) = self.token_record(&token, now).await?.filter(|record| may_see(client, record)) else { return Ok(None) };
        let mut told = Map::new();
        let mut put = |name: &str, value: Value| drop(told.insert(name.to_owned(), value));
        put("active", true.into());
        put("iss", self.issuer.as_str().into());
        put("client_id", record.client_id.as_str().into());
        put("token_type", record.confirmation.token_type().into());
        put("exp", record.expires_at.seconds().into());
        if record.issued_at.seconds() > 0 {
            put("iat", record.issued_at.seconds().into());
        }
        if !record.scopes.is_empty() {
            put("scope", record.scopes.to_string().into());
        }
        match &record.user_id {
            Some(user_id) => put("sub", self.subject_for(application, user_id)?.into()),
            // A token of an earlier version does not say whose it is.
            None if record.audience.is_some() => put("sub", record.program.as_deref().unwrap_or(&record.client_id).into()),
            None => {}
        }
        if let Some(audience) = self.audience_of(&record) {
            put("aud", audience);
        }
        for (name, value) in [
            ("cnf", record.confirmation.claim()),
            ("act", record.act.clone()),
            ("acr", record.acr.as_deref().map(Value::from)),
            ("auth_time", record.auth_time.map(|time| time.seconds().into())),
        ] {
            if let Some(value) = value {
                put(name, value);
            }
        }
        told.extend(record.claims.into_iter().filter(|(name, _)| !is_ours(name)));
        Ok(Some(told))
    }

    /// The resource server, and UserInfo where it takes the token.
    fn audience_of(&self, record: &AccessToken) -> Option<Value> {
        let userinfo = record.scopes.contains("openid").then(|| format!("{}{}", self.issuer.trim_end_matches('/'), path::USERINFO));
        match (&record.audience, userinfo) {
            (Some(audience), Some(userinfo)) => Some(json!([audience, userinfo])),
            (Some(audience), None) => Some(audience.as_str().into()),
            (None, userinfo) => userinfo.map(Value::from),
        }
    }

    async fn about_refresh_token(
        &self,
        application: &Application,
        client: &ClientFacts,
        text: &str,
        now: Timestamp,
    ) -> Result<Option<Map<String, Value>>> {
        let Some((token, family)) = self.refresh_family(text, &client.client_id, now).await? else { return Ok(None) };
        if family.generation != i64::from(token.generation()) {
            return Ok(None);
        }
        if self.is_revoked(&family.grant_id).await? {
            return Ok(None);
        }
        let data: FamilyData = decode(family.data.as_bytes())?;
        let told = json!({
            "active": true,
            "iss": self.issuer,
            "client_id": family.client_id,
            "exp": family.expires_at.seconds(),
            "iat": family.rotated_at.seconds(),
            "scope": data.scopes.to_string(),
            "sub": self.subject_for(application, &family.user_id)?,
        });
        Ok(told.as_object().cloned())
    }
}

/// Its own tokens, and those for a resource server that it stands for.
fn may_see(client: &ClientFacts, record: &AccessToken) -> bool {
    let received = record.audience.as_ref().is_some_and(|audience| client.introspects.contains(audience));
    record.client_id == client.client_id || received
}
