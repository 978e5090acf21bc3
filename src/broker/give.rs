//! What a grant gives, whether the token endpoint answers or the authorization endpoint itself: released claims, an access
//! token with its record, an ID token.
//!
//! Nothing is stored here: whoever answers commits the access token together with what belongs to the same step.

use super::access_token::Minting;
use super::recording::note_rows;
use super::release::{recorded, unrecorded};
use super::rules::{changed_names, changed_profile, with_claims};
use super::{Gateway, encode};
use crate::application::Application;
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::login::trace::{Step as Note, Trace};
use crate::login::{AccessToken, Scripted};
use crate::oidc::{
    self, AskedClaim, AuthorizationCode, ClaimsRequest, ClientFacts, IdTokenClaims, KeyConfirmation, Scopes, SigningAlg, claims_request,
};
use crate::profile::{Profile, Written};
use crate::secret::Secret;
use crate::store::Op;
use crate::user::Identity;
use serde_json::{Map, Value};

/// What was granted, whichever kind of grant it is.
pub(super) struct Granted {
    pub grant_id: String,
    pub user_id: String,
    /// By which the person came.
    pub identity: Identity,
    pub sid: String,
    pub scopes: Scopes,
    /// The scopes before scripts changed them, where they did.
    pub unscripted_scopes: Option<Scopes>,
    pub audience: Option<String>,
    pub nonce: Option<String>,
    /// Claims that were asked by name.
    pub claims: ClaimsRequest,
    pub auth_time: Timestamp,
    pub acr: Option<String>,
    /// How the person proved it, where that was here.
    pub amr: Vec<String>,
    pub profile: Map<String, Value>,
    /// Paths in `profile` that are for this transaction only.
    pub transient: Vec<String>,
    /// What scripts made of it.
    pub scripted: Option<Box<Scripted>>,
    /// The keys to which its tokens are bound.
    pub confirmation: KeyConfirmation,
    pub correlation_id: String,
}

/// What the application gets to see.
pub(super) struct Release {
    /// In an ID token that comes alone, or from the token endpoint: what the scopes give, and what was asked for it by name.
    pub id_token: Map<String, Value>,
    /// In an ID token beside which there is an access token to ask with: only what was asked for it by name (Core 5.4), and
    /// what scripts want to be there.
    pub asked_of_id_token: Map<String, Value>,
    userinfo: Map<String, Value>,
    profile: Profile,
    scripted: Scripted,
}

/// A new access token, and the write without which it is worth nothing.
pub(super) struct Given {
    pub token: oidc::AccessToken,
    /// Seconds.
    pub expires_in: u32,
    /// Store key of the record.
    pub key: String,
    pub put: Op,
}

/// What travels together with an ID token, for its hashes (OpenID Connect Core 3.3.2.11).
#[derive(Clone, Copy, Default)]
pub(super) struct Beside<'a> {
    pub access_token: Option<&'a oidc::AccessToken>,
    pub code: Option<&'a AuthorizationCode>,
    pub state: Option<&'a str>,
}

impl Gateway {
    /// Releases claims by the application's table. Takes profile and scripts' changes out of what was granted.
    pub(super) fn release(
        &self,
        application: &Application,
        granted: &mut Granted,
        to: &'static str,
        trace: &mut Trace,
        now: Timestamp,
    ) -> Result<Release> {
        let mut rows = Vec::new();
        let scripted = granted.scripted.take().map(|scripted| *scripted).unwrap_or_default();
        changed_profile(&mut granted.profile, &scripted.user);
        let readable = self.readable_profile(application, std::mem::take(&mut granted.profile), &granted.user_id);
        granted.transient.extend(readable.sealed);
        granted.transient.extend(changed_names(&scripted));
        let profile = readable.profile;
        let released = application
            .mapping
            .from_profile(&profile, &mut rows)
            .map_err(|error| Error::new(ErrorKind::Misconfigured, error.to_string()))?;
        let mut unrecorded = unrecorded(&rows, &granted.transient);
        unrecorded.extend(scripted.id_token.keys().cloned());
        note_rows(trace, "from_profile", rows, &granted.transient, now);
        // Entity categories are SAML's: a client has none.
        let released = released.into_iter().filter(|row| row.categories.is_empty());
        let released: Vec<_> = released.map(|row| oidc::Released { name: row.name, value: row.value, scope: row.scope }).collect();
        let by_scope = oidc::claims::filter_by_scope(&released, &granted.scopes);
        let by_name = |asked: &[AskedClaim]| {
            application.oidc.as_ref().map(|client| claims_request::select(asked, &released, client)).unwrap_or_default()
        };
        let mut asked_of_id_token = by_name(&granted.claims.id_token);
        let mut id_token = by_scope.clone();
        id_token.extend(asked_of_id_token.clone());
        let mut userinfo = by_scope;
        userinfo.extend(by_name(&granted.claims.userinfo));
        for claims in [&mut asked_of_id_token, &mut id_token, &mut userinfo] {
            with_claims(claims, &scripted.id_token);
        }
        let mut all = userinfo.clone();
        all.extend(id_token.clone());
        let claims = Written::object(&recorded(&all, &unrecorded))?;
        trace.note(now, Note::Released { application: application.client_id.clone(), to: to.into(), claims });
        Ok(Release { id_token, asked_of_id_token, userinfo, profile, scripted })
    }

    /// A new access token of the grant, with its record.
    pub(super) async fn access_token(
        &self,
        application: &Application,
        granted: &Granted,
        release: &Release,
        now: Timestamp,
    ) -> Result<Given> {
        // The authorization endpoint sees no key to which a token could be bound.
        let needs_key = |client: &ClientFacts| client.dpop_bound_access_tokens || client.tls_client_certificate_bound_access_tokens;
        if granted.confirmation.is_none() && application.oidc.as_ref().is_some_and(|client| needs_key(client) || client.fapi2) {
            return Err(Error::new(ErrorKind::UnauthorizedClient, "access tokens of this client are bound to a key, and none was shown"));
        }
        let expires_in = self.lifetimes.access_token;
        let subject = self.subject_for(application, &granted.user_id)?;
        let mut minting = Minting::new(&granted.grant_id, &application.client_id, &granted.scopes, expires_in);
        minting.subject = Some(&subject);
        minting.audience = granted.audience.as_deref();
        minting.auth_time = Some(granted.auth_time);
        minting.acr = granted.acr.as_deref();
        minting.confirmation = Some(&granted.confirmation);
        minting.added = Some(&release.scripted.access_token);
        let token = self.mint(&minting, now)?;
        let userinfo = Value::Object(oidc::claims::userinfo(&subject, &release.userinfo));
        // The whole profile has the free data as they are now: something may have been sealed since the login.
        let seal = application.profile.reads_sealed.then_some(granted.grant_id.as_str());
        let record = AccessToken {
            client_id: application.client_id.clone(),
            scopes: granted.scopes.clone(),
            expires_at: now.plus_seconds(i64::from(expires_in)),
            correlation_id: granted.correlation_id.clone(),
            userinfo: self.kept_body(userinfo.to_string(), seal)?,
            dialects: if application.profile.legacy_profile {
                let whose = (granted.user_id.as_str(), &granted.identity);
                Some(self.whole_profile(application, whose, release.profile.clone(), &release.scripted, seal, now).await?)
            } else {
                None
            },
            user_id: Some(granted.user_id.clone()),
            program: None,
            audience: granted.audience.clone(),
            issued_at: now,
            claims: release.scripted.access_token.clone(),
            confirmation: granted.confirmation.clone(),
            act: None,
            auth_time: Some(granted.auth_time),
            acr: granted.acr.clone(),
        };
        let key = AccessToken::key(&granted.grant_id, &token.digest());
        let put = Op::Put { key: key.clone(), value: encode(&record)?, ttl: u64::from(expires_in) };
        Ok(Given { token, expires_in, key, put })
    }

    /// An ID token that says `claims` beside what it says of the login, encrypted where the client has registered for that.
    pub(super) async fn id_token(
        &self,
        application: &Application,
        granted: &Granted,
        claims: &Map<String, Value>,
        beside: Beside<'_>,
        now: Timestamp,
    ) -> Result<Secret<String>> {
        let alg = application.oidc.as_ref().map_or(SigningAlg::RS256, |client| client.id_token_signed_response_alg);
        let signer = self.keys.signer(alg)?;
        let said = IdTokenClaims {
            issuer: &self.issuer,
            subject: &self.subject_for(application, &granted.user_id)?,
            audience: &application.client_id,
            issued_at: now,
            expires_at: now.plus_seconds(self.id_token_lifetime(application)),
            auth_time: Some(granted.auth_time),
            nonce: granted.nonce.as_deref(),
            acr: granted.acr.as_deref(),
            amr: &granted.amr,
            azp: None,
            at_hash: beside.access_token.map(|token| signer.half_hash(token.expose())),
            c_hash: beside.code.map(|code| signer.half_hash(code.expose())),
            s_hash: beside.state.map(|state| signer.half_hash(state)),
            sid: Some(&granted.sid),
        };
        let signed = signer.sign(&said.to_map(claims))?;
        match application.oidc.as_ref().and_then(|client| Some((client, client.id_token_encryption?))) {
            None => Ok(Secret::new(signed)),
            // OpenID Connect Core 2: signed, then encrypted; RFC 7519 5.2 tells the client what is inside.
            Some((client, how)) => self.encrypt_for(client, how, Some("JWT"), signed.as_bytes(), now).await.map(Secret::new),
        }
    }

    /// Seconds that an ID token for this application lives.
    fn id_token_lifetime(&self, application: &Application) -> i64 {
        let own = application.oidc.as_ref().and_then(|client| client.id_token_lifetime);
        own.map_or(self.lifetimes.id_token.cast_signed(), i64::from)
    }
}
