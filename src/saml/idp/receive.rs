//! Receiving an application's AuthnRequest: the steps of SAML Profiles 4.1.4.1 and Core 3.4.1.4, in order.
//!
//! Until the address for the answer was matched against the registration (step 4), a refusal can only be shown on our own
//! page. From there on it goes to the application, by the [`SamlReplyTo`] in [`Refused`].

use super::name_id::NameIdFormat;
use super::reply_to::{Asked, SamlReplyTo};
use super::request::{AskedAcs, AuthnRequest, read_request};
use super::response::Refusal;
use super::trust::{AssertionConsumerService, SpTrust};
use crate::clock::Timestamp;
use crate::keys::CertifiedKey;
use crate::saml::assertion::only;
use crate::saml::binding::{Binding, MessageKind, ResponseBinding};
use crate::saml::message::{Arrived, Head, HeadJudge, Incoming, MessagePolicy, Verifier, date, name_id};
use crate::saml::names;
use crate::saml::rejection::{Check, Checks, Part, Rejection};
use crate::saml::sp::Comparison;
use crate::saml::xml::Element;
use std::fmt;

const ROOT: &str = "samlp:AuthnRequest";

/// A decoded request of which nothing is verified yet.
#[derive(Debug)]
pub struct ArrivedRequest {
    arrived: Arrived,
    issuer: String,
}

impl ArrivedRequest {
    /// # Errors
    /// When it is no AuthnRequest that could be read.
    pub fn decode(incoming: Incoming<'_>) -> Result<Self, Rejection> {
        let arrived = Arrived::decode(incoming, MessageKind::Request)?;
        Ok(Self { issuer: arrived.peek_issuer(ROOT)?, arrived })
    }

    /// Who claims to have sent it: only good for finding the application.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    pub const fn binding(&self) -> Binding {
        self.arrived.binding
    }
}

/// For which application a request is judged, and by what.
#[derive(Clone, Copy, Debug)]
pub struct RequestTerms<'a> {
    pub application: &'a SpTrust,
    /// Refuse requests without signature, also where the application does not say that it signs them.
    pub require_signed: bool,
    /// The formats of NameID that the application may ask for.
    pub name_id_formats: &'a [NameIdFormat],
    /// The address at which the request was received, as it is published.
    pub destination: &'a str,
    /// For an EncryptedID in the Subject.
    pub decryption_keys: &'a [&'a CertifiedKey],
    pub policy: &'a MessagePolicy,
    pub now: Timestamp,
}

/// A refusal, and the right to tell the application where there is one.
#[derive(Debug)]
pub struct Refused {
    pub rejection: Rejection,
    pub reply_to: Option<SamlReplyTo>,
}

impl Refused {
    /// What a response says of it.
    pub const fn status(&self) -> Refusal<'static> {
        let (top, second) = match self.rejection {
            Rejection::NameIdPolicyRefused { .. } => ("Requester", "InvalidNameIDPolicy"),
            Rejection::AuthnContextUnsupported { .. } => ("Responder", "NoAuthnContext"),
            Rejection::BindingUnsupported { .. } => ("Requester", "UnsupportedBinding"),
            Rejection::DecryptionFailed | Rejection::DecryptionKeyMissing => ("Requester", "UnknownPrincipal"),
            _ => ("Requester", "RequestUnsupported"),
        };
        Refusal { top, second, message: None }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.rejection, f)
    }
}

impl std::error::Error for Refused {}

impl From<Rejection> for Box<Refused> {
    fn from(rejection: Rejection) -> Self {
        Self::new(Refused { rejection, reply_to: None })
    }
}

/// A request that may be served. Only [`receive_authn_request`] makes one.
#[derive(Clone, Debug)]
pub struct CheckedRequest {
    said: AuthnRequest,
    reply_to: SamlReplyTo,
    remember_until: Timestamp,
}

impl CheckedRequest {
    /// What is asked. Its `subject_hint` was opened if it was encrypted.
    pub const fn said(&self) -> &AuthnRequest {
        &self.said
    }

    pub const fn reply_to(&self) -> &SamlReplyTo {
        &self.reply_to
    }

    pub fn into_reply_to(self) -> SamlReplyTo {
        self.reply_to
    }

    /// To be claimed once, in the shared store, until [`Self::remember_until`].
    pub fn id(&self) -> &str {
        &self.said.id
    }

    pub const fn remember_until(&self) -> Timestamp {
        self.remember_until
    }

    /// The ProxyCount for a request of ours to another identity provider; `Err` when the application wants none asked.
    ///
    /// # Errors
    /// The status to answer with.
    pub const fn proxy_count(&self) -> Result<Option<u32>, Refusal<'static>> {
        match self.said.proxy_count {
            None => Ok(None),
            Some(0) => Err(Refusal { top: "Responder", second: "ProxyCountExceeded", message: None }),
            Some(count) => Ok(Some(count - 1)),
        }
    }

    /// Whether a sign-in with this class is what was asked for. `ranking`: classes from the weakest to the strongest; one
    /// that is not in it is comparable with itself only.
    // SAML Core 3.3.2.2.1
    pub fn is_met_by(&self, class: Option<&str>, ranking: &[String]) -> bool {
        let asked = &self.said.requested_authn_context;
        if asked.is_empty() {
            return true;
        }
        let Some(class) = class else { return false };
        let rank = |class: &str| ranking.iter().position(|ranked| ranked == class);
        let same = |wanted: &String| wanted == class;
        let compare = |wanted: &String, holds: fn(usize, usize) -> bool| match (rank(class), rank(wanted)) {
            (Some(found), Some(wanted)) => holds(found, wanted),
            _ => false,
        };
        match self.said.comparison {
            Comparison::Exact => asked.iter().any(same),
            Comparison::Minimum => asked.iter().any(|wanted| same(wanted) || compare(wanted, |found, wanted| found >= wanted)),
            Comparison::Maximum => asked.iter().any(|wanted| same(wanted) || compare(wanted, |found, wanted| found <= wanted)),
            // Stronger than any of those that were asked for.
            Comparison::Better => asked.iter().all(|wanted| compare(wanted, |found, wanted| found > wanted)),
        }
    }
}

/// Verifies a request of one application. Every check made is pushed to `checks`.
///
/// The caller still has to claim its ID once, in the shared store, and to look whether the application is enabled.
///
/// # Errors
/// The first check that fails, with the right to answer if there is one already.
pub fn receive_authn_request(
    message: &ArrivedRequest,
    terms: &RequestTerms<'_>,
    checks: &mut Vec<Check>,
) -> Result<CheckedRequest, Box<Refused>> {
    let application = terms.application;
    // 1. Strict XML, signatures in their place only. A signature is needed where anybody says so, and verified if there is one.
    let verifier = Verifier {
        part: Part::Request,
        keys: application.keys(),
        required: terms.require_signed || application.authn_requests_signed(),
        policy: terms.policy,
    };
    let relay_state = message.arrived.relay_state.as_deref();
    message.arrived.read(ROOT, verifier, &mut Checks(checks), |root, signed, checks| {
        let judge = Judge { root, signed, relay_state, terms };
        judge.judge(checks)
    })?
}

/// What the signature covered, or an unsigned request that is allowed to be so.
struct Judge<'a, 'd> {
    root: Element<'d>,
    signed: bool,
    relay_state: Option<&'a str>,
    terms: &'a RequestTerms<'a>,
}

impl Judge<'_, '_> {
    fn judge(&self, checks: &mut Checks<'_>) -> Result<CheckedRequest, Box<Refused>> {
        // 2. Version, ID, Issuer, Destination, IssueInstant.
        let terms = self.terms;
        let issuer = terms.application.entity_id();
        let judge = HeadJudge { part: Part::Request, issuer, destination: terms.destination, policy: terms.policy, now: terms.now };
        let head = judge.judge(self.root, self.signed, checks)?;
        // 3. Where the answer is wanted.
        let asked = AskedAcs::read(self.root)?;
        // 4. SAML Core 3.4.1, Profiles 4.1.4.1: only where the application is registered to take it.
        let acs = self.acs(&asked, checks)?;
        let mut reply_to = SamlReplyTo::to_request(issuer, acs, &head.id, self.relay_state);
        match self.rest(&asked, acs.binding, &head, checks) {
            Ok((said, asked)) => {
                reply_to.asked = asked;
                Ok(CheckedRequest { said, reply_to, remember_until: head.remember_until })
            }
            Err(rejection) => Err(Box::new(Refused { rejection, reply_to: Some(reply_to) })),
        }
    }

    fn acs(&self, asked: &AskedAcs<'_>, checks: &mut Checks<'_>) -> Result<&AssertionConsumerService, Rejection> {
        let application = self.terms.application;
        let binding = asked.protocol_binding.and_then(ResponseBinding::from_urn);
        let (found, wanted) = match (asked.url, asked.index) {
            (Some(url), _) => {
                // By the asked binding; where it is not registered, that can at least be told.
                let bindings = binding.into_iter().chain([ResponseBinding::Post, ResponseBinding::Artifact]);
                (bindings.into_iter().find_map(|binding| application.acs_at(url, binding)), url.to_owned())
            }
            (None, Some(index)) => (application.acs_of_index(index), format!("index {index}")),
            (None, None) => {
                let asked = binding.and_then(|binding| application.default_acs_by(binding));
                (asked.or_else(|| application.default_acs()), "its default address".to_owned())
            }
        };
        let registered: Vec<&str> = application.acs().iter().map(AssertionConsumerService::location).collect();
        checks.require("acs-registered", found.is_some(), registered.join(", "), &wanted, || Rejection::AcsNotRegistered {
            found: wanted.clone(),
        })?;
        found.ok_or(Rejection::AcsNotRegistered { found: wanted })
    }

    /// What can be refused to the application itself.
    fn rest(
        &self,
        acs: &AskedAcs<'_>,
        registered: ResponseBinding,
        head: &Head,
        checks: &mut Checks<'_>,
    ) -> Result<(AuthnRequest, Asked), Rejection> {
        // 5. SAML Profiles 4.1.2: a response never travels by redirect; here it goes as the address is registered.
        let binding = acs.protocol_binding.unwrap_or(registered.urn());
        checks.require("protocol-binding", binding == registered.urn(), registered.urn(), binding, || Rejection::BindingUnsupported {
            found: binding.to_owned(),
        })?;
        // 6. Everything else that is said; whatever it is, the schema's types hold. Extensions are not looked at.
        let said = checks.outcome("readable", "as the schema says", read_request(self.root))?;
        // 7. SAML Core 3.4.1.1.
        let (name_id_format, encrypted) = checks.outcome("name-id-policy", "one that can be met", self.name_id_policy(&said))?;
        // 8. SAML Core 3.3.2.2.1: classes are known here, declarations are not.
        checks.outcome("requested-authn-context", "classes", self.authn_context())?;
        // 9. SAML Core 3.4.1: conditions that the assertion would have to have.
        let not_on_or_after = checks.outcome("request-conditions", "such as can be met", self.conditions())?;
        // 10. Whom the application expects.
        let subject_hint = self.subject(checks)?;
        let said = AuthnRequest {
            id: head.id.clone(),
            subject_hint,
            relay_state: self.relay_state.map(str::to_owned),
            signed: self.signed,
            ..said
        };
        let attribute_service = said.attribute_consuming_service_index;
        Ok((said, Asked { name_id_format, encrypted, not_on_or_after, attribute_service }))
    }

    fn name_id_policy(&self, said: &AuthnRequest) -> Result<(Option<NameIdFormat>, bool), Rejection> {
        let refuse = |why: String| Rejection::NameIdPolicyRefused { why };
        let application = self.terms.application;
        if let Some(qualifier) = said.sp_name_qualifier.as_deref().filter(|qualifier| *qualifier != application.entity_id()) {
            return Err(refuse(format!("SPNameQualifier names another application, {qualifier}")));
        }
        match said.name_id_format.as_deref() {
            None | Some(names::NAMEID_UNSPECIFIED) => Ok((None, false)),
            Some(names::NAMEID_ENCRYPTED) if application.encryption_keys.is_empty() => {
                Err(refuse("it is to be encrypted, and the application has no encryption certificate".to_owned()))
            }
            Some(names::NAMEID_ENCRYPTED) => Ok((None, true)),
            Some(urn) => match NameIdFormat::from_urn(urn).filter(|format| self.terms.name_id_formats.contains(format)) {
                Some(format) => Ok((Some(format), false)),
                None => Err(refuse(format!("the format {urn} is not one that this application may have"))),
            },
        }
    }

    fn authn_context(&self) -> Result<(), Rejection> {
        let Some(context) = self.root.child(names::SAMLP, "RequestedAuthnContext") else { return Ok(()) };
        let refuse = |found: &str| Err(Rejection::AuthnContextUnsupported { found: found.to_owned() });
        if context.child(names::SAML, "AuthnContextDeclRef").is_some() {
            return refuse("it names declarations (AuthnContextDeclRef)");
        }
        let mut classes = context.children_named(names::SAML, "AuthnContextClassRef").peekable();
        if classes.peek().is_none() || classes.any(|class| class.deep_text().trim().is_empty()) {
            return refuse("it names no class, or an empty one");
        }
        Ok(())
    }

    /// Until when an assertion may be valid at most.
    fn conditions(&self) -> Result<Option<Timestamp>, Rejection> {
        let (on, now) = (Part::Request, self.terms.now);
        let Some(conditions) = only(self.root, names::SAML, "Conditions", on)? else { return Ok(None) };
        let refuse = |why: String| Err(Rejection::RequestConditionsRefused { why });
        for condition in conditions.children() {
            if condition.is(names::SAML, "AudienceRestriction") {
                let mut audiences = condition.children_named(names::SAML, "Audience").map(|audience| audience.deep_text());
                if !audiences.any(|audience| audience.trim() == self.terms.application.entity_id()) {
                    return refuse("an AudienceRestriction does not name the application".to_owned());
                }
            } else if !condition.is(names::SAML, "OneTimeUse") && !condition.is(names::SAML, "ProxyRestriction") {
                return refuse(format!("{} is not known", condition.local_name()));
            }
        }
        if let Some(from) = date(conditions, on, "NotBefore")?.filter(|from| *from > now.plus_seconds(self.terms.policy.skew_seconds)) {
            return refuse(format!("the assertion is wanted from {from} on"));
        }
        match date(conditions, on, "NotOnOrAfter")? {
            Some(until) if until <= now => refuse(format!("the assertion was wanted until {until}")),
            until => Ok(until),
        }
    }

    // SAML Profiles 4.1.4.1: a Subject must not be confirmed by the request.
    fn subject(&self, checks: &mut Checks<'_>) -> Result<Option<String>, Rejection> {
        let on = Part::Request;
        let Some(subject) = only(self.root, names::SAML, "Subject", on)? else { return Ok(None) };
        if subject.child(names::SAML, "SubjectConfirmation").is_some() {
            return Err(Rejection::Structure { on, why: "the Subject has a SubjectConfirmation".to_owned() });
        }
        let name_id = name_id(subject, on, self.terms.decryption_keys, self.terms.policy.allow_cbc, checks)?;
        Ok(name_id.map(|name_id| name_id.value))
    }
}
