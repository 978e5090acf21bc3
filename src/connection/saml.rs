//! A SAML identity provider as a connection: what the application asked becomes an AuthnRequest, a verified
//! assertion becomes an [`Authentication`].

use super::config::{ConnectionConfig, ConnectionKind, SamlConnection as Settings};
use super::scope::ScopeFilter;
use super::{Authentication, BrowserStep, Callback, Connection, Refused, Resolution, UpstreamRequest};
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::id;
use crate::keys::{CertifiedKey, Keyring, Purpose};
use crate::login::trace::{Step as Note, Trace};
use crate::login::{PendingAuthn, UpstreamSession};
use crate::profile::{Fact, RawAttribute, RawAttributes};
use crate::saml::{
    self, AttributeValue, Check, Comparison, Expected, Outgoing, Rejection, RequestOptions, Said, SpMetadata, SpSettings, VerifiedAssertion,
};
use crate::user::Identity;
use serde_json::Value;
use std::sync::Arc;

/// One SAML identity provider, with everything prepared that does not change from login to login.
pub struct SamlConnection {
    config: ConnectionConfig,
    pub(super) sp: SpSettings,
    scopes: ScopeFilter,
    pub(super) keyring: Arc<Keyring>,
}

impl SamlConnection {
    /// `issuer`: our public address, without a trailing slash.
    pub fn new(config: ConnectionConfig, issuer: &str, keyring: Arc<Keyring>) -> Result<Self> {
        let ConnectionKind::Saml(settings) = &config.kind;
        let scopes = ScopeFilter::new(&settings.idp.scopes)?;
        Ok(Self { sp: sp_settings(&config, issuer)?, scopes, config, keyring })
    }

    pub(super) const fn settings(&self) -> &Settings {
        let ConnectionKind::Saml(settings) = &self.config.kind;
        settings
    }

    fn signs_requests(&self) -> bool {
        self.settings().sign_requests || self.settings().idp.want_authn_requests_signed
    }

    /// The class references that the asked `acr` values mean here; without any, those of the connection.
    fn context_classes(&self, acr_values: &[String]) -> Vec<String> {
        if acr_values.is_empty() {
            return self.settings().authn_context.clone();
        }
        acr_values.iter().map(|acr| self.settings().acr.get(acr).unwrap_or(acr).clone()).collect()
    }

    /// The other way round: what a class reference is called toward applications.
    fn acr(&self, class: &str) -> String {
        self.settings().acr.iter().find(|(_, mapped)| *mapped == class).map_or(class, |(acr, _)| acr).to_owned()
    }

    pub(super) fn decryption_keys(&self) -> Vec<&CertifiedKey> {
        self.keyring.of(Purpose::SamlEncryption).collect()
    }

    fn authentication(&self, assertion: &VerifiedAssertion, now: Timestamp, trace: &mut Trace) -> Authentication {
        let until = assertion.not_on_or_after();
        let issuer = assertion.issuer();
        let name_id = assertion.name_id();
        let mut checks = Vec::new();
        let attributes = raw_attributes(&assertion.said(), &self.scopes, &mut checks);
        note_checks(checks, now, trace);
        Authentication {
            identity: identity(&self.config, assertion.subject()),
            attributes,
            auth_time: assertion.authn_instant().unwrap_or(now).min(now),
            acr: assertion.authn_context_class_ref().map(|class| self.acr(class)),
            upstream: UpstreamSession {
                name_id: name_id.map(|name_id| name_id.value.clone()),
                name_id_format: name_id.and_then(|name_id| name_id.format.clone()),
                session_index: assertion.session_index().map(str::to_owned),
                not_on_or_after: assertion.session_not_on_or_after(),
            },
            once: vec![
                (format!("assertion {issuer} {}", assertion.assertion_id()), until),
                (format!("response {issuer} {}", assertion.response_id()), until),
            ],
        }
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
        let settings = self.settings();
        let classes = self.context_classes(&asked.acr_values);
        let force_authn = asked.force_authn || settings.force_authn;
        let options = RequestOptions {
            // The login, and a part that differs when the person goes back and is sent off again: an identity provider may
            // refuse an ID that it has seen.
            id: format!("_{transaction_id}{}", id::hex(&id::random_bytes::<4>())),
            force_authn,
            is_passive: asked.passive,
            requested_authn_context: (!classes.is_empty()).then(|| (settings.authn_context_comparison, classes.clone())),
            name_id_format: settings.name_id_format.clone(),
            allow_create: settings.allow_create,
            response_binding: settings.response_binding,
            acs_index: settings.acs_index,
            attribute_consuming_service_index: settings.attribute_consuming_service_index,
            provider_name: settings.provider_name.clone(),
            proxy_count: settings.proxy_count,
            requester_ids: if settings.send_requester_id { vec![asked.requester.clone()] } else { Vec::new() },
            subject_hint: asked.login_hint.clone().filter(|_| settings.login_hint_as_subject),
        };
        let signer = self.signs_requests().then(|| self.keyring.active(Purpose::SamlSigning)).map(saml::Signer::new);
        let outgoing = saml::authn_request(&self.sp, &settings.idp, &options, settings.request_binding, Some(transaction_id), signer, now)?;
        let (step, binding, destination) = match outgoing {
            Outgoing::Redirect(url) => {
                let mut shown = url.clone();
                shown.set_query(None);
                (BrowserStep::Redirect(url), "HTTP-Redirect", shown.to_string())
            }
            Outgoing::PostForm { action, fields } => {
                (BrowserStep::PostForm { action: action.to_string(), fields }, "HTTP-POST", action.to_string())
            }
        };
        let mut facts = vec![
            ("ForceAuthn".to_owned(), force_authn.to_string()),
            ("IsPassive".to_owned(), asked.passive.to_string()),
            ("signed".to_owned(), self.signs_requests().to_string()),
        ];
        facts.extend(classes.iter().map(|class| ("AuthnContextClassRef".to_owned(), class.clone())));
        trace.note(
            now,
            Note::RequestOut {
                connection: self.config.name.clone(),
                binding: binding.into(),
                destination,
                request_id: options.id.clone(),
                facts,
            },
        );
        let pending = PendingAuthn {
            request_id: options.id,
            sent_at: now,
            force_authn,
            passive: asked.passive,
            max_age: asked.max_age,
            authn_context: classes,
        };
        Ok((step, pending))
    }

    fn resolve(&self, artifact: &str, now: Timestamp, trace: &mut Trace) -> Result<Resolution, Refused> {
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
        let verified = match callback {
            Callback::SamlResponse { response } => {
                receive(self.settings(), &self.sp, &self.decryption_keys(), response, pending, now, &mut checks)
            }
            Callback::SamlArtifactResponse { envelope, resolve_id } => {
                self.receive_resolved((envelope, resolve_id), pending, now, &mut checks)
            }
        };
        note_checks(checks, now, trace);
        verified.map(|assertion| self.authentication(&assertion, now, trace)).map_err(refused)
    }

    fn metadata(&self, now: Timestamp) -> Result<(&'static str, String)> {
        let signing: Vec<_> = self.keyring.of(Purpose::SamlSigning).collect();
        let encryption = self.decryption_keys();
        let description = SpMetadata {
            authn_requests_signed: self.signs_requests(),
            response_binding: self.settings().response_binding,
            name_id_formats: self.settings().name_id_format.iter().cloned().collect(),
            ..SpMetadata::new(&self.sp, signing, encryption)
        };
        let document = saml::metadata::write_sp(&description, saml::Signer::new(self.keyring.active(Purpose::SamlSigning)), now)?;
        Ok(("application/samlmetadata+xml", document))
    }

    fn config(&self) -> &ConnectionConfig {
        &self.config
    }
}

/// Who we are toward the identity provider. `issuer`: our public address, without a trailing slash.
pub(super) fn sp_settings(config: &ConnectionConfig, issuer: &str) -> Result<SpSettings> {
    let ConnectionKind::Saml(settings) = &config.kind;
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
    (!pending.authn_context.is_empty()).then(|| (settings.authn_context_comparison, pending.authn_context.clone()))
}

pub(super) fn expected<'a>(pending: &'a PendingAuthn, context: Option<&'a (Comparison, Vec<String>)>, now: Timestamp) -> Expected<'a> {
    Expected {
        request_id: &pending.request_id,
        requested_at: pending.sent_at,
        now,
        force_authn: pending.force_authn,
        max_age_seconds: pending.max_age.map(i64::from),
        requested_authn_context: context,
    }
}

/// Whom a subject names at this connection.
pub(super) fn identity(config: &ConnectionConfig, subject: &str) -> Identity {
    Identity {
        connection: config.name.clone(),
        provider: "samlp".to_owned(),
        user_id: config.profile.subject_comparison.kept(subject),
        is_social: false,
    }
}

/// Facts and attributes. Values whose scope the identity provider may not use are left out, as the metadata say
/// (Shibboleth Metadata Extensions, `shibmd:Scope`).
pub(super) fn raw_attributes(said: &Said<'_>, scopes: &ScopeFilter, checks: &mut Vec<Check>) -> RawAttributes {
    let mut raw = facts(said);
    for attribute in said.attributes {
        let mut values: Vec<&str> = attribute.values.iter().filter_map(AttributeValue::text).collect();
        if let Some(form) = scopes.concern(&attribute.name, attribute.friendly_name.as_deref()) {
            let before = values.len();
            values.retain(|value| scopes.allow(form, value));
            let dropped = before - values.len();
            let found =
                if dropped == 0 { "all of them".to_owned() } else { format!("{dropped} of {before} have another scope and are left out") };
            let expected = format!("values of {} in the scopes of the metadata", attribute.name);
            checks.push(Check { name: "attribute-scope", passed: dropped == 0, expected, found });
        }
        raw.push(RawAttribute {
            name: attribute.name.clone(),
            name_format: attribute.name_format.clone(),
            friendly_name: attribute.friendly_name.clone(),
            values: values.into_iter().map(Value::from).collect(),
        });
    }
    raw
}

pub(super) fn note_checks(checks: Vec<Check>, now: Timestamp, trace: &mut Trace) {
    for Check { name, passed, expected, found } in checks {
        trace.note(now, Note::Check { name: name.into(), passed, expected, found });
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
    Refused { error: Error::new(kind, saml::rejection::shown(rejection.to_string())), reason: rejection.name().to_owned(), alarm }
}

/// What the protocol itself says.
fn facts(said: &Said<'_>) -> RawAttributes {
    let mut raw = RawAttributes::new();
    if let Some(name_id) = said.name_id {
        raw.set_fact(Fact::NameId, name_id.value.clone());
        for (fact, value) in [
            (Fact::NameIdFormat, &name_id.format),
            (Fact::NameQualifier, &name_id.name_qualifier),
            (Fact::SpNameQualifier, &name_id.sp_name_qualifier),
        ] {
            if let Some(value) = value {
                raw.set_fact(fact, value.clone());
            }
        }
    }
    let instant = said.authn_instant.map(|instant| instant.to_string());
    for (fact, value) in [
        (Fact::Issuer, said.issuer),
        (Fact::Subject, said.subject),
        (Fact::AuthnContext, said.authn_context_class_ref),
        (Fact::AuthnInstant, instant.as_deref()),
        (Fact::SessionIndex, said.session_index),
    ] {
        if let Some(value) = value {
            raw.set_fact(fact, value);
        }
    }
    raw
}
