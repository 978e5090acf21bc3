//! Single Logout toward the identity provider: its messages, and ours to it.

use super::SamlConnection;
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::login::UpstreamSession;
use crate::saml::logout::{
    ArrivedLogout, LogoutOrder, LogoutOutcome, LogoutService, LogoutTerms, ReceivedLogout, ReceivedLogoutResponse, logout_request,
    receive_logout_request, receive_logout_response,
};
use crate::saml::{Binding, Check, MessagePolicy, Outgoing, Rejection};
use url::Url;

impl SamlConnection {
    /// Where logout messages are received.
    pub(super) fn slo_url(&self) -> Result<Url> {
        self.sp.acs_url.join("slo").map_err(|error| Error::new(ErrorKind::Misconfigured, "no logout address").because(error))
    }

    pub(super) fn own_logout_services(&self) -> Result<Vec<LogoutService>> {
        let location = self.slo_url()?;
        let at = |binding| LogoutService { binding, location: location.clone(), response_location: None };
        Ok(vec![at(Binding::Redirect), at(Binding::Post)])
    }

    /// Verifies a LogoutRequest of the identity provider.
    ///
    /// # Errors
    /// The first check that fails.
    pub fn logout_request_received(
        &self,
        message: &ArrivedLogout,
        now: Timestamp,
        checks: &mut Vec<Check>,
    ) -> Result<ReceivedLogout, Rejection> {
        self.with_terms(now, |terms| receive_logout_request(message, terms, checks))
    }

    /// Verifies the identity provider's answer to our request.
    ///
    /// # Errors
    /// The first check that fails.
    pub fn logout_response_received(
        &self,
        message: &ArrivedLogout,
        request_id: &str,
        now: Timestamp,
        checks: &mut Vec<Check>,
    ) -> Result<ReceivedLogoutResponse, Rejection> {
        self.with_terms(now, |terms| receive_logout_response(message, request_id, terms, checks))
    }

    /// Our answer; `None` where the identity provider has no address for it.
    pub fn logout_answer(
        &self,
        request: &ReceivedLogout,
        outcome: &LogoutOutcome,
        wished: Binding,
        now: Timestamp,
    ) -> Result<Option<Outgoing>> {
        let Some(service) = self.settings().idp.logout_service(wished) else { return Ok(None) };
        request.answer(&self.sp.entity_id, service, outcome, self.settings().request_signer(&self.keyring.saml())?, now).map(Some)
    }

    /// Our answer to a request that came in SOAP.
    ///
    /// # Errors
    /// When the key cannot sign.
    pub fn logout_answer_in_envelope(&self, request: &ReceivedLogout, outcome: &LogoutOutcome, now: Timestamp) -> Result<String> {
        request.answer_in_envelope(&self.sp.entity_id, outcome, self.settings().request_signer(&self.keyring.saml())?, now)
    }

    /// Our request to end a session there; `None` where that is not wanted or not possible.
    pub fn logout_order(&self, id: &str, session: &UpstreamSession, reason: Option<&str>, now: Timestamp) -> Result<Option<Outgoing>> {
        let settings = self.settings();
        let service = settings.idp.logout_service(settings.logout_binding).filter(|_| settings.logout);
        let (Some(service), Some(name_id)) = (service, session.saml_name()) else { return Ok(None) };
        let indexes: Vec<String> = session.session_index.iter().cloned().collect();
        let order = LogoutOrder {
            id: id.to_owned(),
            session_indexes: &indexes,
            reason,
            encrypt: settings.logout_encrypt.then(|| settings.idp.encryption()).transpose()?,
            ..LogoutOrder::new(&self.sp.entity_id, &name_id)
        };
        logout_request(&order, service, None, settings.request_signer(&self.keyring.saml())?, now).map(Some)
    }

    /// Is the identity provider told of a session's end?
    pub fn tells_of_logout(&self, session: &UpstreamSession) -> bool {
        let settings = self.settings();
        settings.logout && !settings.idp.logout_services.is_empty() && session.name_id.is_some()
    }

    pub fn prefers_logout_by(&self) -> Binding {
        self.settings().logout_binding
    }

    fn with_terms<T>(&self, now: Timestamp, read: impl FnOnce(&LogoutTerms<'_>) -> Result<T, Rejection>) -> Result<T, Rejection> {
        let settings = self.settings();
        let policy = &settings.policy;
        let policy = MessagePolicy {
            skew_seconds: policy.skew_seconds,
            max_age_seconds: policy.message_max_age_seconds,
            allow_sha1: policy.allow_sha1,
            allow_inclusive_c14n: policy.allow_inclusive_c14n,
            allow_cbc: policy.allow_cbc,
            second_opinion: policy.second_opinion,
        };
        let destination = self.slo_url().map(String::from).unwrap_or_default();
        let keys = self.keyring.saml();
        let keys = keys.decryption_keys();
        read(&LogoutTerms {
            partner: &settings.idp.entity_id,
            keys: Some(&settings.idp.keys),
            destination: &destination,
            decryption_keys: &keys,
            policy: &policy,
            now,
        })
    }
}
