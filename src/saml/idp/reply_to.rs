//! The right to answer an application, and the answers.

use super::attributes::ReleasedAttribute;
use super::name_id::{NameIdFormat, NameIdSource, Subject};
use super::response::{Answer, Refusal, post_response, refuse, respond};
use super::settings::{EncryptedParts, ResponseSettings};
use super::trust::{AssertionConsumerService, SpTrust};
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result as CrateResult};
use crate::id;
use crate::keys::{CertifiedKey, Sealer};
use crate::saml::artifact::{KeptResponse, deliver};
use crate::saml::assertion::NameId;
use crate::saml::binding::{Outgoing, ResponseBinding};
use crate::saml::rejection::Rejection;
use serde::{Deserialize, Serialize};
use url::Url;

/// Where the outcome of a login goes. Exists only for a registered assertion consumer service of a known application.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SamlReplyTo {
    entity_id: String,
    acs_url: String,
    #[serde(default)]
    binding: ResponseBinding,
    in_response_to: Option<String>,
    relay_state: Option<String>,
    pub(super) asked: Asked,
}

/// How a request wants its assertion.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Asked {
    pub name_id_format: Option<NameIdFormat>,
    /// The NameID is to be encrypted, whatever its format.
    pub encrypted: bool,
    pub not_on_or_after: Option<Timestamp>,
    /// Which set of attributes it asks for.
    #[serde(default)]
    pub attribute_service: Option<u16>,
}

impl SamlReplyTo {
    /// An answer to no request, to the application's default address; `allowed` is what the operator registered.
    ///
    /// # Errors
    /// When the application does not want that.
    pub fn unsolicited(application: &SpTrust, allowed: bool, relay_state: Option<&str>) -> Result<Self, Rejection> {
        let acs = application.default_acs().filter(|_| allowed).ok_or(Rejection::UnsolicitedNotAllowed)?;
        let to = Self::to_request(application.entity_id(), acs, "", relay_state);
        Ok(Self { in_response_to: None, ..to })
    }

    pub(super) fn to_request(entity_id: &str, acs: &AssertionConsumerService, request_id: &str, relay_state: Option<&str>) -> Self {
        Self {
            entity_id: entity_id.to_owned(),
            acs_url: acs.location().to_owned(),
            binding: acs.binding,
            in_response_to: Some(request_id.to_owned()),
            relay_state: relay_state.map(str::to_owned),
            asked: Asked::default(),
        }
    }

    /// The application.
    pub fn entity_id(&self) -> &str {
        &self.entity_id
    }

    pub fn acs_url(&self) -> &str {
        &self.acs_url
    }

    /// The ID of the request, unless nobody asked.
    pub fn in_response_to(&self) -> Option<&str> {
        self.in_response_to.as_deref()
    }

    pub fn relay_state(&self) -> Option<&str> {
        self.relay_state.as_deref()
    }

    /// With another RelayState, for an answer to a request that came without.
    ///
    /// # Errors
    /// Why not: SAML Bindings 3.5.3 has what came with a request returned as it is.
    pub fn with_relay_state(self, relay_state: &str) -> Result<Self, &'static str> {
        if self.in_response_to.is_some() && self.relay_state.as_deref().is_some_and(|asked| asked != relay_state) {
            return Err("what came with the request goes back as it is");
        }
        Ok(Self { relay_state: Some(relay_state.to_owned()), ..self })
    }

    /// The format that the request named.
    pub const fn asked_name_id_format(&self) -> Option<NameIdFormat> {
        self.asked.name_id_format
    }

    /// The AttributeConsumingServiceIndex of the request.
    pub const fn asked_attribute_service(&self) -> Option<u16> {
        self.asked.attribute_service
    }

    /// The signed response that says who signed in, and what of it a session must remember.
    ///
    /// # Errors
    /// When the registration has changed meanwhile, the answer comes later than the request wants it, there is no NameID of
    /// the wanted format, or a key cannot be used.
    pub fn respond(&self, from: &Responder<'_>, statement: &Statement<'_>, now: Timestamp) -> CrateResult<Issued> {
        let (application, settings) = (from.application, from.settings);
        let url = self.still_registered(application)?;
        let format = self.asked.name_id_format.unwrap_or(settings.name_id_format);
        let source = NameIdSource {
            subject: statement.subject,
            attributes: statement.attributes,
            probes: &settings.name_id_probes,
            idp_entity_id: from.issuer(),
            sp_entity_id: application.entity_id(),
        };
        let name_id = source.name_id(format, from.sealer)?;
        let mut answer = self.answer(from, statement, name_id, self.lifetime(settings, now)?);
        let encrypts = settings.encrypt;
        let name_id_too = self.asked.encrypted || matches!(encrypts, EncryptedParts::NameId | EncryptedParts::Both);
        let assertion_too = matches!(encrypts, EncryptedParts::Assertion | EncryptedParts::Both);
        if name_id_too || assertion_too {
            let encrypt = settings.encryption_to(application)?;
            answer.encrypt = assertion_too.then_some(encrypt);
            answer.encrypt_name_id = name_id_too.then_some(encrypt);
        }
        let signer = settings.signer(from.signing_key)?;
        let xml = respond(&answer, signer, now)?;
        let Delivery { outgoing, kept } = self.deliver(from, xml, &url);
        Ok(Issued {
            outgoing,
            kept,
            response_id: answer.response_id,
            assertion_id: answer.assertion_id,
            not_on_or_after: now.plus_seconds(answer.lifetime_seconds),
            name_id: answer.name_id,
        })
    }

    /// The signed response that says why nobody signed in.
    ///
    /// # Errors
    /// When the registration has changed meanwhile, or the key cannot sign.
    pub fn refuse(&self, from: &Responder<'_>, refusal: Refusal<'_>, now: Timestamp) -> CrateResult<Delivery> {
        let url = self.still_registered(from.application)?;
        let signer = from.settings.signer(from.signing_key)?;
        let destination = from.settings.destination.as_deref().unwrap_or(&self.acs_url);
        let xml = refuse(from.issuer(), destination, self.in_response_to(), refusal, signer, now)?;
        Ok(self.deliver(from, xml, &url))
    }

    fn deliver(&self, from: &Responder<'_>, xml: String, url: &Url) -> Delivery {
        match self.binding {
            ResponseBinding::Post => Delivery { outgoing: post_response(&xml, url, self.relay_state()), kept: None },
            ResponseBinding::Artifact => {
                let (outgoing, kept) = deliver(xml, (from.issuer(), &self.entity_id), url, self.relay_state());
                Delivery { outgoing, kept: Some(kept) }
            }
        }
    }

    /// Logins take minutes; what was registered at their begin may be no more.
    fn still_registered(&self, application: &SpTrust) -> CrateResult<Url> {
        let acs = application.acs_at(&self.acs_url, self.binding).filter(|_| application.entity_id() == self.entity_id);
        let gone = || Error::new(ErrorKind::InvalidRedirectUri, "this address is not registered for this application any more");
        acs.map(|acs| acs.url().clone()).ok_or_else(gone)
    }

    /// As the application is set, but not longer than the request wants.
    fn lifetime(&self, settings: &ResponseSettings, now: Timestamp) -> CrateResult<i64> {
        let left = self.asked.not_on_or_after.map_or(i64::MAX, |until| until.seconds_since(now));
        let late = || Error::new(ErrorKind::LoginExpired, "the application wanted its answer earlier");
        Some(left.min(i64::from(settings.lifetime_seconds))).filter(|lifetime| *lifetime > 0).ok_or_else(late)
    }

    fn answer<'a>(&'a self, from: &Responder<'a>, statement: &Statement<'a>, name_id: NameId, lifetime_seconds: i64) -> Answer<'a> {
        let settings = from.settings;
        Answer {
            response_id: format!("_{}", id::random_id()),
            assertion_id: format!("_{}", id::random_id()),
            issuer: from.issuer(),
            destination: settings.destination.as_deref().unwrap_or(&self.acs_url),
            recipient: Some(settings.recipient.as_deref().unwrap_or(&self.acs_url)),
            audience: settings.audience.as_deref().unwrap_or(&self.entity_id),
            in_response_to: self.in_response_to(),
            name_id,
            attributes: settings.attributes.write_all(statement.attributes),
            authn_instant: statement.authn_instant,
            authn_context_class_ref: statement.authn_context_class_ref.unwrap_or(&settings.authn_context_class_ref),
            authenticating_authorities: statement.authenticating_authorities.to_vec(),
            session_index: Some(statement.session_index.to_owned()),
            session_not_on_or_after: statement.session_not_on_or_after,
            lifetime_seconds,
            backdate_seconds: i64::from(settings.backdate_seconds),
            sign: settings.signed_parts(from.application),
            encrypt: None,
            encrypt_name_id: None,
        }
    }
}

/// Who answers whom, and how.
#[derive(Clone, Copy, Debug)]
pub struct Responder<'a> {
    /// Our entity ID.
    pub entity_id: &'a str,
    pub application: &'a SpTrust,
    pub settings: &'a ResponseSettings,
    pub signing_key: &'a CertifiedKey,
    /// Makes pairwise identifiers.
    pub sealer: &'a Sealer,
}

impl<'a> Responder<'a> {
    pub(super) fn issuer(&self) -> &'a str {
        self.settings.issuer.as_deref().unwrap_or(self.entity_id)
    }
}

/// What is said of a sign-in.
#[derive(Clone, Copy, Debug)]
pub struct Statement<'a> {
    pub subject: Subject<'a>,
    /// By the application's mapping table.
    pub attributes: &'a [ReleasedAttribute],
    /// When the user really signed in, wherever that was.
    pub authn_instant: Timestamp,
    /// How, if that is known.
    pub authn_context_class_ref: Option<&'a str>,
    /// The identity providers that were involved, the nearest to the user first.
    pub authenticating_authorities: &'a [String],
    /// Names the session at this application, in logout messages.
    pub session_index: &'a str,
    pub session_not_on_or_after: Option<Timestamp>,
}

/// A message for an application, on its way.
#[derive(Clone, Debug)]
pub struct Delivery {
    pub outgoing: Outgoing,
    /// Where it goes by artifact: the message, which the caller must have stored before it sends the browser away.
    pub kept: Option<KeptResponse>,
}

/// A response that was made.
#[derive(Clone, Debug)]
pub struct Issued {
    pub outgoing: Outgoing,
    /// As in [`Delivery`].
    pub kept: Option<KeptResponse>,
    pub response_id: String,
    pub assertion_id: String,
    /// The user's name at this application, for logout messages.
    pub name_id: NameId,
    pub not_on_or_after: Timestamp,
}
