//! An OpenID Connect provider as a connection: what the application asked becomes an authorization request, a verified ID
//! token with UserInfo becomes an [`Authentication`].

mod remote;

use super::config::{ConnectionConfig, ConnectionKind, OidcConnection as Settings};
use super::oauth2;
use super::{
    Authentication, BrowserStep, Callback, Connection, Preparing, Redeeming, Refused, Resolution, UpstreamRequest, wrong_protocol,
};
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::id;
use crate::login::trace::{Step as Note, Trace};
use crate::login::{PendingAuthn, PendingOidc, UpstreamSession};
use crate::oidc::rp::{AuthenticationRequest, Check, ExpectedAnswer, ExpectedIdToken, IdTokenFacts, IssuerRule, Rejection};
use crate::oidc::rp::{TokenAnswer, callback, id_token, request};
use crate::oidc::{ClientSigningAlg, Params, Verified, VerifyError, jose, verify_mac};
use crate::profile::{Fact, RawAttributes};
use remote::{Keys, Remote};
use serde_json::{Map, Value};
use std::sync::Arc;

/// Claims that speak of the token and not of the person.
const OF_THE_TOKEN: [&str; 12] = ["iss", "aud", "exp", "iat", "nbf", "jti", "nonce", "azp", "at_hash", "c_hash", "s_hash", "sid"];

/// One provider.
pub struct OidcConnection {
    config: ConnectionConfig,
    settings: Arc<Settings>,
    redirect_uri: String,
    remote: Remote,
}

impl OidcConnection {
    /// `issuer`: our public address, without a trailing slash.
    ///
    /// # Errors
    /// When the connection does not speak OpenID Connect, or there can be no HTTP client.
    pub fn new(config: ConnectionConfig, issuer: &str) -> Result<Self> {
        let settings = match &config.kind {
            ConnectionKind::Oidc(settings) => Arc::clone(settings),
            _ => return Err(Error::new(ErrorKind::Internal, "the connection does not speak OpenID Connect")),
        };
        let redirect_uri = format!("{issuer}/connections/{}/callback", config.name);
        Ok(Self { remote: Remote::new(Arc::clone(&settings))?, config, settings, redirect_uri })
    }

    /// What applications call a context is called otherwise there.
    fn acr_there(&self, acr: &str) -> String {
        self.settings.acr.get(acr).map_or(acr, String::as_str).to_owned()
    }

    fn acr_here(&self, acr: &str) -> String {
        self.settings.acr.iter().find(|(_, theirs)| *theirs == acr).map_or(acr, |(ours, _)| ours).to_owned()
    }

    async fn authentication(
        &self,
        params: &Params,
        pending: &PendingAuthn,
        now: Timestamp,
        trace: &mut Trace,
    ) -> Result<Authentication, Rejection> {
        let mut checks = Vec::new();
        let result = self.believed(params, pending, now, &mut checks).await;
        for Check { name, passed, expected, found } in checks {
            trace.note(now, Note::Check { name: name.into(), passed, expected, found });
        }
        let (facts, claims) = result?;
        let mut attributes = RawAttributes::from_claims(&claims);
        attributes.set_fact(Fact::Subject, facts.subject.as_str());
        attributes.set_fact(Fact::Issuer, facts.issuer.as_str());
        if let Some(acr) = &facts.acr {
            attributes.set_fact(Fact::AuthnContext, acr.as_str());
        }
        if let Some(sid) = &facts.sid {
            attributes.set_fact(Fact::SessionIndex, sid.as_str());
        }
        let nonce = pending.oidc.as_ref().map(|oidc| oidc.nonce.as_str()).unwrap_or_default();
        Ok(Authentication {
            identity: self.config.identity(&facts.subject),
            attributes,
            auth_time: facts.auth_time.unwrap_or(now).min(now),
            acr: facts.acr.as_deref().map(|acr| self.acr_here(acr)),
            upstream: UpstreamSession { session_index: facts.sid.clone(), authn_context: facts.acr.clone(), ..UpstreamSession::default() },
            once: vec![(format!("nonce {} {nonce}", self.config.name), facts.expires_at)],
        })
    }

    /// From the answer of the browser to claims that may be believed.
    async fn believed(
        &self,
        params: &Params,
        pending: &PendingAuthn,
        now: Timestamp,
        checks: &mut Vec<Check>,
    ) -> Result<(IdTokenFacts, Map<String, Value>), Rejection> {
        let settings = &self.settings;
        let provider = self.remote.provider(now).await?;
        let issuer = match &settings.issuer {
            IssuerRule::Exact(issuer) => Some(issuer.as_str()),
            IssuerRule::OfTenants { .. } => None,
        };
        let code = callback::read(params, ExpectedAnswer { issuer, response_iss: provider.response_iss }, checks)?.code;
        let oidc = pending.oidc.as_ref().ok_or(Rejection::IdTokenNonce { present: false })?;
        let tokens = self.remote.redeem(&provider, &code, &self.redirect_uri, &oidc.code_verifier, now).await?;
        let id_token = tokens.id_token.as_ref().ok_or(Rejection::IdTokenMissing)?;
        let verified = self.verified(&provider, id_token.expose(), now, checks).await?;
        let expected = ExpectedIdToken {
            issuer: &settings.issuer,
            client_id: &settings.client_id,
            nonce: &oidc.nonce,
            access_token: Some(tokens.access_token.expose()),
            asked_at: pending.sent_at,
            fresh: pending.force_authn,
            max_age: pending.max_age,
            skew: settings.clock_skew,
            now,
        };
        let facts = id_token::check(verified, &expected, checks)?;
        // Of a provider of many tenants: the answer and the ID token are of the same one.
        if let (None, Some(found)) = (issuer, params.get("iss"))
            && found != facts.issuer
        {
            return Err(Rejection::ResponseIssuer { expected: facts.issuer, found: Some(callback::short(found)) });
        }
        let mut claims = self.claims(&provider, &facts, &tokens, now, checks).await?;
        if settings.apple.is_some() {
            oauth2::name_of_first_answer(params, &mut claims);
        }
        Ok((facts, claims))
    }

    /// The signature of an ID token, by the provider's keys as they are now.
    async fn verified(
        &self,
        provider: &crate::oidc::rp::Provider,
        token: &str,
        now: Timestamp,
        checks: &mut Vec<Check>,
    ) -> Result<Verified, Rejection> {
        if jose::jwe::is_jwe(token) {
            return Err(Rejection::IdTokenDecryption { why: "the connection is not registered for encrypted ones".to_owned() });
        }
        let allowed = self.settings.id_token_algs.clone().unwrap_or_else(|| id_token::algorithms(&provider.id_token_algs));
        let received = jose::Received::parse(token).map_err(|error| Rejection::IdTokenMalformed { why: error.detail })?;
        let (named, wanted) = (received.header.get("alg").and_then(Value::as_str).unwrap_or("none"), names(&allowed));
        let alg =
            received.alg(&allowed).map_err(|_| Rejection::IdTokenAlgorithm { expected: wanted.clone(), found: callback::short(named) });
        checks.push(Check { name: "id-token-alg", passed: alg.is_ok(), expected: wanted, found: callback::short(named) });
        let wrong = |error: Error| Rejection::IdTokenSignature { why: error.detail };
        let verified = if alg?.is_asymmetric() {
            match self.remote.keys(provider, Keys::Kept, now).await?.verify(token, &allowed) {
                Err(VerifyError::UnknownKey) => match self.remote.keys(provider, Keys::Newer, now).await?.verify(token, &allowed) {
                    Err(VerifyError::UnknownKey) => Err(Rejection::IdTokenUnknownKey { kid: received.kid().map(callback::short) }),
                    Err(VerifyError::Refused(error)) => Err(wrong(error)),
                    Ok(verified) => Ok(verified),
                },
                Err(VerifyError::Refused(error)) => Err(wrong(error)),
                Ok(verified) => Ok(verified),
            }
        } else {
            let secret = self.settings.client_secret.as_ref();
            let secret = secret.ok_or_else(|| Rejection::IdTokenSignature { why: "there is no secret to make MACs with".to_owned() })?;
            verify_mac(secret, token, &allowed).map_err(wrong)
        };
        let (passed, found) = (verified.is_ok(), if verified.is_ok() { "good" } else { "not good" });
        let expected = "one by the provider's keys".to_owned();
        checks.push(Check { name: "id-token-signature", passed, expected, found: found.to_owned() });
        verified
    }

    /// What the ID token says of the person, and what UserInfo adds; where both say something, UserInfo's is newer.
    async fn claims(
        &self,
        provider: &crate::oidc::rp::Provider,
        facts: &IdTokenFacts,
        tokens: &TokenAnswer,
        now: Timestamp,
        checks: &mut Vec<Check>,
    ) -> Result<Map<String, Value>, Rejection> {
        let mut claims = facts.claims.clone();
        if let (true, Some(endpoint)) = (self.settings.userinfo, &provider.userinfo_endpoint) {
            let told = self.remote.userinfo(endpoint, &tokens.access_token, now).await?;
            // Core 5.3.2: or somebody else's answer takes the place of the person's.
            let same = told.get("sub").and_then(Value::as_str) == Some(facts.subject.as_str());
            let found = if same { "that of the ID token" } else { "another or none" };
            checks.push(Check { name: "userinfo-sub", passed: same, expected: "that of the ID token".to_owned(), found: found.to_owned() });
            if !same {
                return Err(Rejection::UserInfoSubject);
            }
            claims.extend(told.into_iter().filter(|(_, value)| !value.is_null()));
        }
        claims.retain(|name, _| !OF_THE_TOKEN.contains(&name.as_str()));
        Ok(claims)
    }
}

impl Connection for OidcConnection {
    fn begin(
        &self,
        transaction_id: &str,
        asked: &UpstreamRequest,
        now: Timestamp,
        trace: &mut Trace,
    ) -> Result<(BrowserStep, PendingAuthn)> {
        let settings = &self.settings;
        let provider = self
            .remote
            .known()
            .ok_or_else(|| Error::new(ErrorKind::IdpFailed, "The identity provider cannot be reached at the moment."))?;
        let force_authn = (asked.force_authn && !asked.by_age) || settings.force_authn;
        // The login, and a part that differs when the person goes back and is sent off again.
        let state = format!("{transaction_id}.{}", id::random_id());
        let secrets = PendingOidc { nonce: id::random_token(), code_verifier: id::random_token() };
        let acr_values: Vec<String> = asked.acr_values.iter().map(|acr| self.acr_there(acr)).collect();
        let prompt = match (asked.passive, force_authn, asked.select_account) {
            (true, ..) => Some("none"),
            (false, true, _) => Some("login"),
            (false, false, true) => Some("select_account"),
            (false, false, false) => None,
        };
        let parameters = AuthenticationRequest {
            client_id: &settings.client_id,
            redirect_uri: &self.redirect_uri,
            scopes: &settings.scopes,
            state: &state,
            nonce: &secrets.nonce,
            code_verifier: &secrets.code_verifier,
            response_mode: settings.form_post.then_some("form_post"),
            prompt,
            // A provider that ignores prompt=login is found out by auth_time, which this asks for (Core 3.1.2.1).
            max_age: if force_authn && !asked.passive { Some(0) } else { asked.max_age },
            acr_values: &acr_values,
            login_hint: asked.login_hint.as_deref().filter(|_| settings.login_hint),
            ui_locales: None,
            more: &settings.parameters,
        }
        .parameters();
        let shown = |(name, _): &&(String, String)| ["scope", "prompt", "max_age", "acr_values", "response_mode"].contains(&name.as_str());
        trace.note(
            now,
            Note::RequestOut {
                connection: self.config.name.clone(),
                binding: "authorization request".into(),
                destination: provider.authorization_endpoint.to_string(),
                request_id: state.clone(),
                facts: parameters.iter().filter(shown).cloned().collect(),
            },
        );
        let step = BrowserStep::Redirect(request::address(&provider.authorization_endpoint, &parameters));
        let pending = PendingAuthn {
            request_id: state,
            idp: None,
            sent_at: now,
            force_authn: force_authn && !asked.passive,
            passive: asked.passive,
            max_age: asked.max_age,
            authn_context: acr_values,
            authn_context_comparison: None,
            oidc: Some(secrets),
        };
        Ok((step, pending))
    }

    fn resolve(&self, _: &str, _: &PendingAuthn, _: Timestamp, _: &mut Trace) -> Result<Resolution, Refused> {
        Err(wrong_protocol("SAML"))
    }

    fn complete(&self, _: Callback<'_>, _: &PendingAuthn, _: Timestamp, _: &mut Trace) -> Result<Authentication, Refused> {
        Err(wrong_protocol("SAML"))
    }

    fn redeem<'a>(&'a self, answer: &'a Params, pending: &'a PendingAuthn, now: Timestamp, trace: &'a mut Trace) -> Redeeming<'a> {
        Box::pin(async move { self.authentication(answer, pending, now, trace).await.map_err(|rejection| refused(&rejection, pending)) })
    }

    fn unsolicited(&self, _: Callback<'_>, _: &UpstreamRequest, _: Timestamp, _: &mut Trace) -> Result<Authentication, Refused> {
        Err(wrong_protocol("SAML"))
    }

    fn metadata(&self, _now: Timestamp) -> Result<(&'static str, String)> {
        Err(Error::new(
            ErrorKind::NotFound,
            "A connection by OpenID Connect has no metadata; its callback address is what the provider has to know.",
        ))
    }

    fn config(&self) -> &ConnectionConfig {
        &self.config
    }

    fn prepare<'a>(&'a self, _idp: Option<&'a str>, now: Timestamp) -> Preparing<'a> {
        Box::pin(async move {
            if let Err(rejection) = self.remote.provider(now).await {
                tracing::warn!(connection = self.config.name, reason = rejection.name(), detail = %rejection, "a provider cannot be used");
            }
        })
    }
}

/// The rejection as it is told: the kind to the application, the words to the operator.
fn refused(rejection: &Rejection, pending: &PendingAuthn) -> Refused {
    let kind = match rejection {
        // What the provider says goes on in the application's words.
        Rejection::ProviderError { error, .. } => match error.as_str() {
            "access_denied" => ErrorKind::AccessDenied,
            "login_required" | "account_selection_required" | "consent_required" | "interaction_required" if pending.passive => {
                ErrorKind::LoginRequired
            }
            "unmet_authentication_requirements" => ErrorKind::UnmetAuthenticationRequirements,
            _ => ErrorKind::IdpFailed,
        },
        // Nobody was asked to sign in again, so nobody did anything wrong.
        Rejection::AuthenticationTooOld { .. } if pending.passive => ErrorKind::LoginRequired,
        Rejection::ProviderUnreachable { .. } | Rejection::TokenEndpoint { .. } => ErrorKind::IdpFailed,
        _ => ErrorKind::IdpResponseInvalid,
    };
    Refused { error: Error::new(kind, rejection.to_string()), reason: rejection.name().to_owned(), alarm: false, status: None }
}

fn names(algs: &[ClientSigningAlg]) -> String {
    algs.iter().map(|alg| alg.as_str()).collect::<Vec<_>>().join(", ")
}
