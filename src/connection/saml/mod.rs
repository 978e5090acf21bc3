//! A SAML identity provider as a connection: what the application asked becomes an AuthnRequest, a verified
//! assertion becomes an [`Authentication`].

mod artifact;
mod attributes;
mod logout;
mod request;
mod subject_id;

pub use artifact::service_unreachable;
pub(super) use attributes::{raw_attributes, subject};

use super::config::{ConnectionConfig, SamlConnection as Settings};
use super::metadata::Members;
use super::scope::ScopeFilter;
use super::{Authentication, BrowserStep, Callback, Connection, Refused, Resolution, Speaks, UpstreamRequest, note_checks};
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::keys::{CertifiedKey, Keyring};
use crate::login::trace::Trace;
use crate::login::{PendingAuthn, TimeBy, UpstreamSession};
use crate::profile::Fact;
use crate::saml::idp::Localized;
use crate::saml::metadata::about::{Requested, RequestedSet};
use crate::saml::{self, Check, Comparison, Expected, Rejection, SpMetadata, SpSettings, VerifiedAssertion};
use std::sync::Arc;
use url::Url;

/// One SAML identity provider, with everything prepared that does not change from login to login.
pub struct SamlConnection {
    config: ConnectionConfig,
    settings: Arc<Settings>,
    sp: SpSettings,
    scopes: ScopeFilter,
    keyring: Arc<Keyring>,
}

impl SamlConnection {
    /// `issuer`: our public address, without a trailing slash.
    pub fn new(config: ConnectionConfig, issuer: &str, keyring: Arc<Keyring>) -> Result<Self> {
        let settings = Arc::clone(speaks_saml(&config)?);
        let scopes = ScopeFilter::new(&settings.idp.scopes)?;
        Ok(Self { sp: sp_settings(&config, issuer)?, scopes, settings, config, keyring })
    }

    fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The sets of attributes of our metadata, with what the mapping table reads where that is wanted.
    fn requested_sets(&self) -> Vec<RequestedSet> {
        let of_table = |requested: &RequestedSet| -> Vec<Requested> {
            let read = self.config.mapping.asked_names().filter(|(name, _)| !requested.attributes.iter().any(|known| known.name == *name));
            read.map(|(name, required)| Requested { name: name.to_owned(), friendly_name: None, required }).collect()
        };
        let sets = self.settings().attribute_sets.iter().map(|set| {
            let mut requested = set.requested.clone();
            if set.from_mapping {
                requested.attributes.extend(of_table(&set.requested));
            }
            if requested.names.is_empty() {
                requested.names.push(Localized { language: None, text: self.config.display_name.clone() });
            }
            requested
        });
        sets.collect()
    }

    fn authentication(&self, assertion: &VerifiedAssertion, now: Timestamp, trace: &mut Trace) -> Result<Authentication, Rejection> {
        let until = assertion.not_on_or_after();
        let issuer = assertion.issuer();
        let name_id = assertion.name_id();
        let mut checks = Vec::new();
        let mut attributes = raw_attributes(&assertion.said(), &self.scopes, &mut checks);
        note_checks(checks, now, trace);
        let subject = subject(self.settings(), assertion.subject(), &attributes)?;
        attributes.set_fact(Fact::Subject, subject.as_str());
        Ok(Authentication {
            identity: self.config.identity(&subject),
            attributes,
            auth_time: assertion.authn_instant().unwrap_or(now).min(now),
            auth_time_by: TimeBy::of(assertion.authn_instant()),
            acr: assertion.authn_context_class_ref().map(|class| self.config.acr_here(class)),
            upstream: UpstreamSession {
                idp: None,
                name_id: name_id.map(|name_id| name_id.value.clone()),
                name_id_format: name_id.and_then(|name_id| name_id.format.clone()),
                name_qualifier: name_id.and_then(|name_id| name_id.name_qualifier.clone()),
                sp_name_qualifier: name_id.and_then(|name_id| name_id.sp_name_qualifier.clone()),
                session_index: assertion.session_index().map(str::to_owned),
                authenticating_authorities: assertion.authenticating_authorities().iter().take(attributes::AUTHORITIES).cloned().collect(),
                amr: Vec::new(),
                authn_context: assertion.authn_context_class_ref().map(str::to_owned),
                id_token: None,
                not_on_or_after: assertion.session_not_on_or_after(),
            },
            tokens: None,
            app_metadata: serde_json::Map::new(),
            once: vec![
                (format!("assertion {issuer} {}", assertion.assertion_id()), until),
                (format!("response {issuer} {}", assertion.response_id()), until),
            ],
        })
    }

    /// Everything that must hold for a Response that answers no request.
    fn unsolicited_assertion(
        &self,
        callback: Callback<'_>,
        asked: &UpstreamRequest,
        now: Timestamp,
        checks: &mut Vec<Check>,
    ) -> Result<VerifiedAssertion, Rejection> {
        let settings = self.settings();
        // Refused here too, whoever calls.
        let (Callback::SamlResponse { response }, Some(_)) = (callback, &settings.unsolicited) else { return Err(Rejection::Unsolicited) };
        let classes = self.context_classes(&asked.acr_values);
        let comparison = asked.acr_comparison.unwrap_or(settings.authn_context_comparison);
        let context = (!classes.is_empty()).then_some((comparison, classes));
        let expected = Expected {
            request_id: None,
            requested_at: now,
            now,
            force_authn: asked.force_authn,
            max_age_seconds: asked.max_age.map(i64::from),
            requested_authn_context: context.as_ref(),
        };
        saml::receive_response(
            response,
            &self.sp,
            &settings.idp,
            &self.keyring.saml().decryption_keys(),
            &settings.policy,
            &expected,
            checks,
        )
    }
}

impl Connection for SamlConnection {
    fn begin(
        &self,
        transaction_id: &str,
        asked: &UpstreamRequest,
        now: Timestamp,
        trace: &mut Trace,
    ) -> Result<(BrowserStep, PendingAuthn)> {
        self.ask(transaction_id, asked, now, trace)
    }

    fn resolve(&self, artifact: &str, _pending: &PendingAuthn, now: Timestamp, trace: &mut Trace) -> Result<Resolution, Refused> {
        self.resolution(artifact, now, trace)
    }

    fn complete(
        &self,
        callback: Callback<'_>,
        pending: &PendingAuthn,
        now: Timestamp,
        trace: &mut Trace,
    ) -> Result<Authentication, Refused> {
        let mut checks = Vec::new();
        let keys = self.keyring.saml();
        let verified = match callback {
            Callback::SamlResponse { response } => {
                receive(self.settings(), &self.sp, &keys.decryption_keys(), response, pending, now, &mut checks)
            }
            Callback::SamlArtifactResponse { envelope, resolve_id } => {
                self.receive_resolved((envelope, resolve_id), pending, now, &mut checks)
            }
        };
        note_checks(checks, now, trace);
        verified.and_then(|assertion| self.authentication(&assertion, now, trace)).map_err(|rejection| {
            let too_old = matches!(rejection, Rejection::AuthenticationTooOld { .. });
            let refused = refused(rejection);
            // Nobody was asked to sign in again, so nobody did anything wrong.
            let kind = if pending.passive && too_old { ErrorKind::LoginRequired } else { refused.error.kind };
            Refused { error: Error { kind, ..refused.error }, ..refused }
        })
    }

    fn unsolicited(
        &self,
        callback: Callback<'_>,
        asked: &UpstreamRequest,
        now: Timestamp,
        trace: &mut Trace,
    ) -> Result<Authentication, Refused> {
        let mut checks = Vec::new();
        let verified = self.unsolicited_assertion(callback, asked, now, &mut checks);
        note_checks(checks, now, trace);
        verified.and_then(|assertion| self.authentication(&assertion, now, trace)).map_err(refused)
    }

    fn metadata(&self, now: Timestamp) -> Result<(&'static str, String)> {
        let keys = self.keyring.saml();
        let signing = keys.signing(self.settings().request_signature)?.published().collect();
        let encryption = keys.encryption().published().collect();
        let description = SpMetadata {
            authn_requests_signed: self.signs_requests(),
            logout: self.own_logout_services()?,
            discovery_response: self.discovery_response(),
            response_binding: self.settings().response_binding,
            name_id_formats: self.settings().name_id_format.iter().cloned().collect(),
            about: self.settings().about.clone(),
            attribute_sets: self.requested_sets(),
            ..SpMetadata::new(&self.sp, signing, encryption)
        };
        let document = saml::metadata::write_sp(&description, self.settings().request_signer(&keys)?, now)?;
        Ok(("application/samlmetadata+xml", document))
    }

    fn config(&self) -> &ConnectionConfig {
        &self.config
    }

    fn saml(&self, _idp: Option<&str>, _now: Timestamp) -> Option<Speaks<'_>> {
        Some(Speaks::Itself(self))
    }

    fn sp_entity_id(&self) -> Option<String> {
        Some(self.sp.entity_id.clone())
    }

    fn idp_entity_id(&self) -> Option<String> {
        Some(self.settings().idp.entity_id.clone())
    }
}

impl SamlConnection {
    /// Where people come back to from a discovery service; of one identity provider, nobody has to be asked which it is.
    fn discovery_response(&self) -> Option<Url> {
        let has_many = self.settings().living.as_ref().is_some_and(|living| living.members != Members::One);
        has_many.then(|| self.sp.acs_url.join("discovery").ok()).flatten()
    }
}

/// The settings of a connection that speaks SAML.
pub(super) fn speaks_saml(config: &ConnectionConfig) -> Result<&Arc<Settings>> {
    config.saml().ok_or_else(|| Error::new(ErrorKind::Internal, format!("the connection {} does not speak SAML", config.name)))
}

/// Who we are toward the identity provider. `issuer`: our public address, without a trailing slash.
pub(super) fn sp_settings(config: &ConnectionConfig, issuer: &str) -> Result<SpSettings> {
    let settings = speaks_saml(config)?;
    let acs = format!("{issuer}/connections/{}/acs", config.name);
    let acs_url = acs.parse().map_err(|_| Error::new(ErrorKind::Misconfigured, format!("{acs} is no address")))?;
    let entity_id = settings.sp_entity_id.clone().unwrap_or_else(|| format!("{issuer}/connections/{}/metadata", config.name));
    Ok(SpSettings { entity_id, acs_url })
}

/// Everything that must hold for a Response (`response` is the form value), for a login and for an explanation alike.
pub(super) fn receive(
    settings: &Settings,
    sp: &SpSettings,
    keys: &[&CertifiedKey],
    response: &str,
    pending: &PendingAuthn,
    now: Timestamp,
    checks: &mut Vec<Check>,
) -> Result<VerifiedAssertion, Rejection> {
    let context = asked_context(settings, pending);
    saml::receive_response(response, sp, &settings.idp, keys, &settings.policy, &expected(pending, context.as_ref(), now), checks)
}

pub(super) fn asked_context(settings: &Settings, pending: &PendingAuthn) -> Option<(Comparison, Vec<String>)> {
    let comparison = pending.authn_context_comparison.unwrap_or(settings.authn_context_comparison);
    (!pending.authn_context.is_empty()).then(|| (comparison, pending.authn_context.clone()))
}

pub(super) fn expected<'a>(pending: &'a PendingAuthn, context: Option<&'a (Comparison, Vec<String>)>, now: Timestamp) -> Expected<'a> {
    Expected {
        request_id: Some(&pending.request_id),
        requested_at: pending.sent_at,
        now,
        force_authn: pending.force_authn,
        max_age_seconds: pending.max_age.map(i64::from),
        requested_authn_context: context,
    }
}

/// The rejection as it is told: the kind to the application, the words to the operator.
pub(super) fn refused(rejection: Rejection) -> Refused {
    let kind = match &rejection {
        Rejection::Unsolicited => ErrorKind::UnsolicitedResponse,
        // What the identity provider says goes on in the application's words.
        Rejection::StatusNotSuccess { second, .. } => match second.as_deref().and_then(|status| status.rsplit(':').next()) {
            Some("AuthnFailed" | "RequestDenied") => ErrorKind::AccessDenied,
            Some("NoPassive") => ErrorKind::LoginRequired,
            Some("NoAuthnContext") => ErrorKind::UnmetAuthenticationRequirements,
            Some("InvalidNameIDPolicy") => ErrorKind::InvalidRequest,
            _ => ErrorKind::IdpFailed,
        },
        Rejection::ArtifactServiceUnreachable { .. } | Rejection::ArtifactRefused { .. } | Rejection::SoapFault { .. } => {
            ErrorKind::IdpFailed
        }
        Rejection::AuthnContextNotMet { .. } => ErrorKind::UnmetAuthenticationRequirements,
        _ => ErrorKind::IdpResponseInvalid,
    };
    let alarm = matches!(rejection, Rejection::SecondOpinionDiffers | Rejection::SecondOpinionRefused { .. });
    let status = match &rejection {
        Rejection::StatusNotSuccess { second, .. } => second.as_deref().and_then(told_on),
        _ => None,
    };
    Refused { error: Error::new(kind, saml::rejection::shown(rejection.to_string())), reason: rejection.name().to_owned(), alarm, status }
}

/// The second-level statuses that say something of the person, or of what the application asked. What an identity provider
/// says of our own request (versions, bindings, attributes) means nothing to an application.
fn told_on(second: &str) -> Option<&'static str> {
    const TOLD_ON: [&str; 8] = [
        "AuthnFailed",
        "InvalidNameIDPolicy",
        "NoAuthnContext",
        "NoAvailableIDP",
        "NoPassive",
        "NoSupportedIDP",
        "RequestDenied",
        "UnknownPrincipal",
    ];
    let said = second.strip_prefix(saml::names::STATUS_PREFIX)?;
    TOLD_ON.into_iter().find(|known| *known == said)
}

#[cfg(test)]
mod tests;
