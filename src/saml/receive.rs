//! The path of a response through the checks: strict reader, signatures, decryption, second opinion, conditions.
//!
//! `sp.rs` calls it for logins. `explain.rs` also has assertions judged that stand alone, which no login accepts.

pub(in crate::saml) mod encrypted;
pub mod survey;

use super::assertion::{AssertionContent, ResponseHead};
use super::binding::decode_post;
use super::conditions::{Judge, subject_attribute};
use super::encryption::decrypt_element;
use super::names;
use super::rejection::{Check, Checks, Part, Rejection};
use super::signature::{self, Allowed, SignedXml, TrustedKeys};
use super::trust::Verification;
use super::xml::{Document, Element, Limits, parse, parse_in_context};
use crate::clock::Timestamp;
use crate::keys::CertifiedKey;

/// What came through all checks.
pub(super) struct Received {
    pub content: AssertionContent,
    pub response_id: String,
    pub remember_until: Timestamp,
    pub subject: String,
}

/// One connection's side of a login.
pub(super) struct Receiver<'a> {
    pub judge: Judge<'a>,
    pub keys: &'a TrustedKeys,
    pub decryption_keys: &'a [&'a CertifiedKey],
}

/// Something signed in which a response came.
#[derive(Clone, Copy)]
pub(super) struct Around<'a> {
    pub signed: &'a SignedXml,
    /// The response in the octets that were signed.
    pub response: Element<'a>,
}

impl Receiver<'_> {
    pub fn receive(&self, saml_response: &str, checks: &mut Checks<'_>) -> Result<Received, Rejection> {
        let xml = checks.outcome("encoding", "base64 of UTF-8", decode_post(saml_response))?;
        let document = checks.outcome("well-formed", "strict XML", parse(&xml, Limits::MESSAGE).map_err(Rejection::from))?;
        self.receive_document(&document, None, checks)
    }

    /// `document`: the response as it came; what is read of it is what a signature covered, its own or the one `around` it.
    pub fn receive_document(
        &self,
        document: &Document<'_>,
        around: Option<Around<'_>>,
        checks: &mut Checks<'_>,
    ) -> Result<Received, Rejection> {
        let root = document.root();
        let kind = root.is(names::SAMLP, "Response");
        checks.require("message-kind", kind, "samlp:Response", root.local_name(), || Rejection::WrongRoot {
            expected: "samlp:Response",
            found: root.local_name().to_owned(),
        })?;
        let mut places = vec![root];
        places.extend(root.children_named(names::SAML, "Assertion").take(8));
        signature::check_document(document, &places, checks)?;

        // 1. The response's own signature, if it has one. From here on the response is what a signature covered.
        let signed =
            signature::is_signed(root).then(|| SignedXml::verify(root, Part::Response, self.verification(), checks)).transpose()?;
        let signed_document = signed.as_ref().map(SignedXml::document).transpose()?;
        let response = signed_document.as_ref().map(Document::root).or(around.map(|around| around.response)).unwrap_or(root);
        let covered = signed.is_some() || around.is_some();

        // 2. What stands around the assertion.
        let head = ResponseHead::read(response)?;
        self.judge.response(&head, signed.is_some(), checks)?;
        let response_id = head.id.filter(|id| !id.is_empty()).ok_or(Rejection::IdMissing { on: Part::Response })?;

        // 3. Exactly one assertion, signed itself or by the response around it.
        match usable_assertion(response, checks)? {
            Found::Plain(assertion) => {
                let inner = self.plain_assertion(root, assertion, covered, checks)?;
                self.second_opinions(around, signed.as_ref(), inner.as_ref(), checks)?;
                match &inner {
                    Some(inner) => self.judge(inner.document()?.root(), response_id, checks),
                    None => self.judge(assertion, response_id, checks),
                }
            }
            Found::Encrypted(encrypted) => {
                let text = decrypt_element(encrypted, self.decryption_keys, self.judge.policy.allow_cbc);
                let text = checks.outcome("decryption", "our key opens it", text)?;
                let document = self.read_decrypted(&text, encrypted)?;
                let assertion = document.root();
                signature::check_document(&document, &[assertion], checks)?;
                let inner = self.decrypted_assertion(assertion, covered, checks)?;
                self.second_opinions(around, signed.as_ref(), None, checks)?;
                self.second_opinion(inner.as_ref(), None, checks)?;
                match &inner {
                    Some(inner) => self.judge(inner.document()?.root(), response_id, checks),
                    None => self.judge(assertion, response_id, checks),
                }
            }
        }
    }

    /// An assertion without a response around it: its signature, then what [`Receiver::receive`] asks of an assertion.
    pub fn receive_assertion_alone(&self, xml: &str, checks: &mut Checks<'_>) -> Result<Received, Rejection> {
        let document = checks.outcome("well-formed", "strict XML", parse(xml, Limits::MESSAGE).map_err(Rejection::from))?;
        let root = document.root();
        if !root.is(names::SAML, "Assertion") {
            return Err(Rejection::WrongRoot { expected: "saml:Assertion", found: root.local_name().to_owned() });
        }
        signature::check_document(&document, &[root], checks)?;
        let signed = SignedXml::verify(root, Part::Assertion, self.verification(), checks)?;
        self.second_opinion(Some(&signed), None, checks)?;
        self.judge(signed.document()?.root(), String::new(), checks)
    }

    const fn verification(&self) -> Verification<'_> {
        let policy = self.judge.policy;
        let allowed = Allowed { sha1: policy.allow_sha1, inclusive_c14n: policy.allow_inclusive_c14n };
        Verification { keys: self.keys, allowed, evidence: policy.second_opinion && cfg!(feature = "xmlsec") }
    }

    const fn opening(&self) -> encrypted::Keys<'_> {
        encrypted::Keys { keys: self.decryption_keys, allow_cbc: self.judge.policy.allow_cbc }
    }

    /// The assertion's own signature, verified where it was made: in the document as it came.
    fn plain_assertion(
        &self,
        root: Element<'_>,
        assertion: Element<'_>,
        response_signed: bool,
        checks: &mut Checks<'_>,
    ) -> Result<Option<SignedXml>, Rejection> {
        if !signature::is_signed(assertion) {
            checks.require(
                "signed",
                response_signed,
                "a signed response or assertion",
                if response_signed { "response" } else { "none" },
                || Rejection::Unsigned { on: Part::Response },
            )?;
            return Ok(None);
        }
        let original = root.child(names::SAML, "Assertion").filter(|original| original.attribute("ID") == assertion.attribute("ID"));
        let original = original.ok_or(Rejection::AssertionMissing)?;
        let inner = SignedXml::verify(original, Part::Assertion, self.verification(), checks)?;
        checks.require("signed", true, "a signed response or assertion", if response_signed { "both" } else { "assertion" }, || {
            Rejection::Unsigned { on: Part::Response }
        })?;
        Ok(Some(inner))
    }

    fn decrypted_assertion(
        &self,
        assertion: Element<'_>,
        response_signed: bool,
        checks: &mut Checks<'_>,
    ) -> Result<Option<SignedXml>, Rejection> {
        if signature::is_signed(assertion) {
            return SignedXml::verify(assertion, Part::Assertion, self.verification(), checks).map(Some);
        }
        let found = if response_signed { "response" } else { "none" };
        checks.require("signed", response_signed, "a signed response or assertion", found, || Rejection::EncryptedButUnsigned)?;
        Ok(None)
    }

    fn read_decrypted<'t>(&self, text: &'t str, encrypted: Element<'t>) -> Result<Document<'t>, Rejection> {
        // AES-CBC has no integrity: how its plain text is broken must not be told.
        let told = |rejection: Rejection| if self.judge.policy.allow_cbc { Rejection::DecryptionFailed } else { rejection };
        let document = parse_in_context(text, Limits::MESSAGE, &encrypted.namespace_context()).map_err(|error| told(error.into()))?;
        let root = document.root();
        if !root.is(names::SAML, "Assertion") {
            return Err(told(Rejection::WrongRoot { expected: "saml:Assertion", found: root.local_name().to_owned() }));
        }
        Ok(document)
    }

    /// The other engine looks inside nothing but a response: where a response or its assertion has a signature of its own, it
    /// looks at that, and at the one around them where it is the only one.
    fn second_opinions(
        &self,
        around: Option<Around<'_>>,
        signed: Option<&SignedXml>,
        inner: Option<&SignedXml>,
        checks: &mut Checks<'_>,
    ) -> Result<(), Rejection> {
        match (around.map(|around| around.signed), signed, inner) {
            (Some(around), None, None) => self.second_opinion(Some(around), None, checks),
            (_, signed, inner) => self.second_opinion(signed, inner, checks),
        }
    }

    #[cfg(feature = "xmlsec")]
    fn second_opinion(&self, signed: Option<&SignedXml>, inner: Option<&SignedXml>, checks: &mut Checks<'_>) -> Result<(), Rejection> {
        if !self.judge.policy.second_opinion {
            return Ok(());
        }
        match (signed, inner) {
            // A signature inside a signed response is verified with it.
            (Some(signed), inner) => super::second_opinion::confirm(signed, inner, checks),
            (None, Some(inner)) => super::second_opinion::confirm(inner, None, checks),
            (None, None) => Ok(()),
        }
    }

    #[cfg(not(feature = "xmlsec"))]
    #[expect(clippy::unnecessary_wraps, clippy::unused_self, reason = "the form of the other one")]
    fn second_opinion(&self, _: Option<&SignedXml>, _: Option<&SignedXml>, _: &mut Checks<'_>) -> Result<(), Rejection> {
        Ok(())
    }

    /// 4. The assertion's own conditions.
    fn judge(&self, assertion: Element<'_>, response_id: String, checks: &mut Checks<'_>) -> Result<Received, Rejection> {
        let content = self.opening().read(assertion, checks)?;
        self.judge.assertion(&content, checks)?;
        let policy = self.judge.policy;
        let subject = match &policy.subject_attribute {
            Some(name) => subject_attribute(&content.attributes, name).map(str::to_owned),
            None => content.name_id.as_ref().map(|name_id| name_id.value.clone()),
        };
        let until = content.conditions.as_ref().and_then(|conditions| conditions.not_on_or_after);
        let window = content.issue_instant.map(|issued| issued.plus_seconds(policy.message_max_age_seconds));
        let ends = until.into_iter().chain(window).min().ok_or(Rejection::ConditionsMissing)?;
        Ok(Received {
            response_id,
            remember_until: ends.plus_seconds(policy.skew_seconds).plus_seconds(1),
            subject: subject.ok_or(Rejection::NameIdMissing)?,
            content,
        })
    }
}

enum Found<'d> {
    Plain(Element<'d>),
    Encrypted(Element<'d>),
}

fn usable_assertion<'d>(response: Element<'d>, checks: &mut Checks<'_>) -> Result<Found<'d>, Rejection> {
    let plain: Vec<_> = response.children_named(names::SAML, "Assertion").collect();
    let encrypted: Vec<_> = response.children_named(names::SAML, "EncryptedAssertion").collect();
    let found = format!("{} plain, {} encrypted", plain.len(), encrypted.len());
    let outcome = match (plain.as_slice(), encrypted.as_slice()) {
        ([assertion], []) => Ok(Found::Plain(*assertion)),
        ([], [assertion]) => Ok(Found::Encrypted(*assertion)),
        ([], []) => Err(Rejection::AssertionMissing),
        (_, []) | ([], _) => Err(Rejection::SeveralAssertions { found: plain.len() + encrypted.len() }),
        (_, _) => Err(Rejection::PlainAndEncryptedAssertion),
    };
    checks.0.push(Check { name: "one-assertion", passed: outcome.is_ok(), expected: "exactly one".to_owned(), found });
    outcome
}
