//! What the browser is sent off with: the authorization request as it is, signed (RFC 9101), or pushed before (RFC 9126).

use super::OidcConnection;
use super::remote::Asking;
use crate::clock::Timestamp;
use crate::connection::{BrowserStep, UpstreamRequest, upstream_params};
use crate::id;
use crate::login::trace::{Step as Note, Trace};
use crate::login::{PendingAuthn, PendingOidc};
use crate::oidc::rp::{AuthenticationRequest, Rejection, request};
use crate::oidc::{OidcKeys, SigningAlg};

/// `typ` of a request object (RFC 9101 10.8): no ID token of ours has it, though the keys are the same.
const REQUEST_OBJECT: &str = "oauth-authz-req+jwt";
/// Seconds for which a request object is good.
const LIFE: i64 = 300;

type Parameters = Vec<(String, String)>;

impl OidcConnection {
    pub(super) async fn ask(
        &self,
        keys: &OidcKeys,
        transaction_id: &str,
        asked: &UpstreamRequest,
        now: Timestamp,
        trace: &mut Trace,
    ) -> Result<(BrowserStep, PendingAuthn), Rejection> {
        let provider = self.remote.provider(now).await?;
        // Nobody is sent there in vain.
        self.remote.check_circuit(now)?;
        let (said, pending) = self.request(transaction_id, asked, now);
        let signed_by = self.settings.request_object_alg.or(provider.require_signed_request_object.then_some(SigningAlg::RS256));
        let mut parameters = match signed_by {
            Some(alg) => self.signed(keys, alg, &said, now)?,
            None => said.clone(),
        };
        let pushed = self.settings.pushed || provider.require_pushed_authorization_requests;
        if pushed {
            let request_uri = self.remote.push(Asking { provider: &provider, keys, now }, &parameters).await?;
            parameters = vec![("client_id".to_owned(), self.settings.client_id.clone()), ("request_uri".to_owned(), request_uri)];
        }
        let binding = match (signed_by, pushed) {
            (None, false) => "authorization request",
            (None, true) => "pushed authorization request",
            (Some(_), false) => "signed authorization request",
            (Some(_), true) => "signed and pushed authorization request",
        };
        let shown = |(name, _): &&(String, String)| ["scope", "prompt", "max_age", "acr_values", "response_mode"].contains(&name.as_str());
        trace.note(
            now,
            Note::RequestOut {
                connection: self.config.name.clone(),
                binding: binding.into(),
                destination: provider.authorization_endpoint.to_string(),
                request_id: pending.request_id.clone(),
                facts: said.iter().filter(shown).cloned().collect(),
            },
        );
        Ok((BrowserStep::Redirect(request::address(&provider.authorization_endpoint, &parameters)), pending))
    }

    /// What is asked, in plain parameters, and what must be remembered of it.
    fn request(&self, transaction_id: &str, asked: &UpstreamRequest, now: Timestamp) -> (Parameters, PendingAuthn) {
        let settings = &self.settings;
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
            ui_locales: (!asked.ui_locales.is_empty()).then(|| asked.ui_locales.join(" ")).as_deref(),
            more: &upstream_params::resolved(&settings.parameters, asked),
        }
        .parameters();
        let pending = PendingAuthn {
            force_authn: force_authn && !asked.passive,
            passive: asked.passive,
            max_age: asked.max_age,
            authn_context: self.config.contexts(&asked.acr_values),
            authn_context_comparison: asked.acr_comparison,
            oidc: Some(secrets),
            ..PendingAuthn::new(state, now)
        };
        (parameters, pending)
    }

    /// The parameters in a request object. Core 6.1: what OAuth 2.0 demands stands beside it as well.
    fn signed(&self, keys: &OidcKeys, alg: SigningAlg, said: &[(String, String)], now: Timestamp) -> Result<Parameters, Rejection> {
        let claims = request::object(said, self.settings.issuer.text(), now.seconds(), LIFE);
        let signer = keys.signer(alg).and_then(|signer| signer.of_type(REQUEST_OBJECT));
        let object = signer.and_then(|signer| signer.sign(&claims));
        let object = object.map_err(|error| Rejection::OwnSignature { why: error.detail })?;
        let beside = ["response_type", "client_id", "scope"];
        let mut parameters: Parameters = said.iter().filter(|(name, _)| beside.contains(&name.as_str())).cloned().collect();
        parameters.push(("request".to_owned(), object));
        Ok(parameters)
    }
}
