//! What a connection would make of a message: for an operator who asks, not for a login.
//!
//! Checks, identity and attributes come from the functions that a login runs. What a login knows and a message alone does
//! not tell is taken from the message itself; [`Examiner::pending`] says what. The result is no [`Authentication`] and
//! cannot become one.
//!
//! [`Authentication`]: super::Authentication

use super::config::{ConnectionConfig, SamlConnection as Settings};
use super::saml::{asked_context, expected, raw_attributes, receive, refused, sp_settings, speaks_saml, subject};
use super::scope::ScopeFilter;
use crate::clock::Timestamp;
use crate::error::{ErrorKind, Result};
use crate::keys::{CertifiedKey, Keyring, SamlKeys};
use crate::login::PendingAuthn;
use crate::profile::RawAttributes;
use crate::saml::explain::{ExplainedAssertion, MessageHead, examine_assertion_alone, message_head, unverified_attributes_for_explanation};
use crate::saml::{Check, Rejection, SpSettings, binding, survey};
use crate::user::Identity;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::sync::Arc;

/// Stands for the ID of the request where a message names none; no request has it.
const NO_REQUEST: &str = "(unknown)";

/// A SAML message as somebody kept it.
#[derive(Clone, Debug)]
pub struct Message {
    /// As the browser posted it.
    posted: String,
    xml: Option<String>,
    /// `None`: it is neither a response nor an assertion, or cannot be read.
    pub head: Option<MessageHead>,
}

impl Message {
    pub fn from_xml(xml: &str) -> Self {
        Self { posted: STANDARD.encode(xml), head: message_head(xml), xml: Some(xml.to_owned()) }
    }

    /// From the value of the form's `SAMLResponse`.
    pub fn from_posted(posted: &str) -> Self {
        let xml = binding::decode_post(posted).ok();
        Self { posted: posted.to_owned(), head: xml.as_deref().and_then(message_head), xml }
    }

    fn is_assertion(&self) -> bool {
        self.head.as_ref().is_some_and(|head| head.is_assertion)
    }
}

/// What came of it.
#[derive(Debug)]
pub struct Examined {
    /// In the order in which a login makes them. A login stops at the first that fails; here are the others too, as far as
    /// they can be made.
    pub checks: Vec<Check>,
    /// Why a login refuses the message.
    pub refusal: Option<Refusal>,
    /// Every check of the assertion passed. Where a response is missing around it, the message is refused all the same.
    pub verified: bool,
    /// What the message says; unless `verified`, anybody may have written it.
    pub said: Result<Statement, Refusal>,
}

/// Attributes, and whom they are about.
#[derive(Debug)]
pub struct Statement {
    pub identity: Option<Identity>,
    pub attributes: RawAttributes,
}

/// A failed check, by its stable name and in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub name: &'static str,
    pub meaning: String,
    pub kind: ErrorKind,
}

/// One SAML connection's side of an explanation.
pub struct Examiner<'a> {
    config: &'a ConnectionConfig,
    settings: &'a Settings,
    sp: SpSettings,
    scopes: ScopeFilter,
    keys: Option<Arc<SamlKeys>>,
    /// Seconds that a login may take.
    lifetime: i64,
}

impl<'a> Examiner<'a> {
    /// `issuer`: our public address. Without a keyring nothing can be decrypted. `lifetime`: seconds that a login may take.
    pub fn new(config: &'a ConnectionConfig, issuer: &str, keyring: Option<&Keyring>, lifetime: u64) -> Result<Self> {
        let settings = speaks_saml(config)?;
        Ok(Self {
            settings,
            sp: sp_settings(config, issuer)?,
            scopes: ScopeFilter::new(&settings.idp.scopes)?,
            keys: keyring.map(Keyring::saml),
            lifetime: lifetime.cast_signed(),
            config,
        })
    }

    /// Runs the checks as of `now`, and reads what the message says whether or not they pass.
    pub fn examine(&self, message: &Message, now: Timestamp) -> Examined {
        let mut checks = Vec::new();
        let judged = match &message.xml {
            Some(xml) if message.is_assertion() => self.assertion_alone(xml, message, now, &mut checks),
            _ => self.response(message, now, &mut checks),
        };
        match judged {
            Ok((statement, of_scopes)) => {
                checks.extend(of_scopes);
                let refusal = message.is_assertion().then(|| wrong_root("Assertion")).map(Refusal::from);
                Examined { checks, refusal, verified: true, said: Ok(statement) }
            }
            Err(rejection) => {
                // The login stopped at the first fault; an operator wants to know of all.
                if !message.is_assertion() {
                    checks = self.all_checks(message, now);
                }
                let said = self.unverified(message, &rejection).map(|(statement, _)| statement).map_err(Refusal::from);
                Examined { checks, refusal: Some(rejection.into()), verified: false, said }
            }
        }
    }

    /// The request that the message answers, as far as the message tells: its ID from `InResponseTo`, sent as long before
    /// `now` as a login may take, and nothing asked but what the connection itself always asks.
    pub fn pending(&self, message: &Message, now: Timestamp) -> PendingAuthn {
        let settings = self.settings();
        let request_id = message.head.as_ref().and_then(|head| head.in_response_to.clone()).filter(|id| !id.is_empty());
        PendingAuthn {
            force_authn: settings.force_authn,
            authn_context: settings.authn_context.clone(),
            ..PendingAuthn::new(request_id.unwrap_or_else(|| NO_REQUEST.to_owned()), now.plus_seconds(-self.lifetime))
        }
    }

    /// Whom a subject names here.
    pub fn identity(&self, subject: &str) -> Identity {
        self.config.identity(subject)
    }

    /// The attribute that is the subject, if it is not the NameID.
    pub fn subject_attribute(&self) -> Option<&str> {
        self.settings().policy.subject_attribute.as_deref()
    }

    pub fn always_asks_for_a_fresh_login(&self) -> bool {
        self.settings().force_authn
    }

    fn decryption_keys(&self) -> Vec<&CertifiedKey> {
        self.keys.as_ref().map(|keys| keys.decryption_keys()).unwrap_or_default()
    }

    const fn settings(&self) -> &Settings {
        self.settings
    }

    fn response(&self, message: &Message, now: Timestamp, checks: &mut Vec<Check>) -> Result<Read, Rejection> {
        let pending = self.pending(message, now);
        let assertion = receive(self.settings(), &self.sp, &self.decryption_keys(), &message.posted, &pending, now, checks)?;
        let mut of_scopes = Vec::new();
        let attributes = raw_attributes(&assertion.said(), &self.scopes, &mut of_scopes);
        let subject = subject(self.settings(), assertion.subject(), &attributes)?;
        Ok((Statement { identity: Some(self.identity(&subject)), attributes }, of_scopes))
    }

    fn all_checks(&self, message: &Message, now: Timestamp) -> Vec<Check> {
        let settings = self.settings();
        let pending = self.pending(message, now);
        let context = asked_context(settings, &pending);
        let expected = expected(&pending, context.as_ref(), now);
        survey(&message.posted, &self.sp, &settings.idp, &self.decryption_keys(), &settings.policy, &expected)
    }

    fn assertion_alone(&self, xml: &str, message: &Message, now: Timestamp, checks: &mut Vec<Check>) -> Result<Read, Rejection> {
        let (name, expected_kind) = ("message-kind", "samlp:Response");
        checks.push(Check { name, passed: false, expected: expected_kind.to_owned(), found: "Assertion".to_owned() });
        let settings = self.settings();
        let pending = self.pending(message, now);
        let context = asked_context(settings, &pending);
        let expected = expected(&pending, context.as_ref(), now);
        let assertion =
            examine_assertion_alone(xml, &self.sp, &settings.idp, &self.decryption_keys(), &settings.policy, &expected, checks)?;
        Ok(self.read(&assertion))
    }

    /// What a refused message says. What cannot be read leniently either was refused for that, or for something before it.
    fn unverified(&self, message: &Message, refused: &Rejection) -> Result<Read, Rejection> {
        let xml = message.xml.as_deref().ok_or_else(|| refused.clone())?;
        unverified_attributes_for_explanation(xml, &self.decryption_keys(), &self.settings().policy).map(|assertion| self.read(&assertion))
    }

    fn read(&self, assertion: &ExplainedAssertion) -> Read {
        let said = assertion.said();
        let mut of_scopes = Vec::new();
        let attributes = raw_attributes(&said, &self.scopes, &mut of_scopes);
        let named = said.subject.and_then(|verified| subject(self.settings(), verified, &attributes).ok());
        (Statement { identity: named.map(|named| self.identity(&named)), attributes }, of_scopes)
    }
}

/// With the checks of the scopes of attributes.
type Read = (Statement, Vec<Check>);

fn wrong_root(found: &str) -> Rejection {
    Rejection::WrongRoot { expected: "samlp:Response", found: found.to_owned() }
}

impl From<Rejection> for Refusal {
    fn from(rejection: Rejection) -> Self {
        let name = rejection.name();
        let error = refused(rejection).error;
        Self { name, meaning: error.detail, kind: error.kind }
    }
}
