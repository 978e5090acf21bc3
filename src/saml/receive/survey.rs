//! The same checks once more, without stopping at the first that fails: for an operator who wants to know everything that
//! is wrong with a message.
//!
//! Nothing here becomes a verified thing. Signatures are verified as in a login, by what stops at the first fault; only
//! conditions are noted in a [`Notebook`] that goes on, and what comes out is a list of checks.

use super::{Found, Receiver, usable_assertion};
use crate::keys::CertifiedKey;
use crate::saml::assertion::ResponseHead;
use crate::saml::binding::decode_post;
use crate::saml::conditions::Judge;
use crate::saml::encryption::decrypt_element;
use crate::saml::names;
use crate::saml::rejection::{Check, Checks, Notebook, Part, Rejection, shown};
use crate::saml::signature::{self, SignedXml};
use crate::saml::sp::{Expected, IdpTrust, ResponsePolicy, SpSettings};
use crate::saml::xml::{Element, Limits, parse};

/// Notes every check of the `SAMLResponse` form value, in the order of a login.
pub fn survey(
    saml_response: &str,
    sp: &SpSettings,
    idp: &IdpTrust,
    decryption_keys: &[&CertifiedKey],
    policy: &ResponsePolicy,
    expected: &Expected<'_>,
) -> Vec<Check> {
    let judge = Judge { our_entity_id: &sp.entity_id, acs_url: sp.acs_url.as_str(), idp_entity_id: &idp.entity_id, policy, expected };
    let mut checks = Vec::new();
    Receiver { judge, keys: &idp.keys, decryption_keys }.survey(saml_response, &mut checks);
    checks
}

impl Receiver<'_> {
    fn survey(&self, saml_response: &str, checks: &mut Vec<Check>) {
        let Ok(xml) = Checks(checks).outcome("encoding", "base64 of UTF-8", decode_post(saml_response)) else { return };
        let document = parse(&xml, Limits::MESSAGE).map_err(Rejection::from);
        let Ok(document) = Checks(checks).outcome("well-formed", "strict XML", document) else { return };
        let root = document.root();
        let is_response = root.is(names::SAMLP, "Response");
        let kind = Checks(checks).require("message-kind", is_response, "samlp:Response", root.local_name(), || Rejection::WrongRoot {
            expected: "samlp:Response",
            found: root.local_name().to_owned(),
        });
        if kind.is_err() {
            return;
        }
        let mut places = vec![root];
        places.extend(root.children_named(names::SAML, "Assertion").take(8));
        let _ = signature::check_document(&document, &places, &mut Checks(checks));
        self.survey_response(root, checks);
    }

    fn survey_response(&self, root: Element<'_>, checks: &mut Vec<Check>) {
        let is_signed = signature::is_signed(root);
        let verify = |checks| SignedXml::verify(root, Part::Response, self.verification(), &mut Checks(checks)).ok();
        let signed = if is_signed { verify(checks) } else { None };
        let signed_document = signed.as_ref().and_then(|signed| signed.document().ok());
        let response = signed_document.as_ref().map_or(root, |document| document.root());
        match ResponseHead::read(response) {
            Ok(head) => {
                let _ = self.judge.response(&head, is_signed, &mut Everything(checks));
                if head.id.is_none_or(|id| id.is_empty()) {
                    note_failure(checks, "response-id", "an ID", &Rejection::IdMissing { on: Part::Response });
                }
            }
            Err(rejection) => note_failure(checks, "response-structure", "as the schema says", &rejection),
        }
        let Ok(found) = usable_assertion(response, &mut Checks(checks)) else { return };
        match found {
            Found::Plain(assertion) => {
                let inner = self.plain_assertion(root, assertion, signed.is_some(), &mut Checks(checks));
                if let Ok(inner) = &inner {
                    let _ = self.second_opinion(signed.as_ref(), inner.as_ref(), &mut Checks(checks));
                }
                self.survey_content(assertion, checks);
            }
            Found::Encrypted(encrypted) => self.survey_encrypted(encrypted, signed.as_ref(), checks),
        }
    }

    fn survey_encrypted(&self, encrypted: Element<'_>, signed: Option<&SignedXml>, checks: &mut Vec<Check>) {
        let text = decrypt_element(encrypted, self.decryption_keys, self.judge.policy.allow_cbc);
        let Ok(text) = Checks(checks).outcome("decryption", "our key opens it", text) else { return };
        let document = match self.read_decrypted(&text, encrypted) {
            Ok(document) => document,
            Err(rejection) => {
                note_failure(checks, "decrypted-assertion", "strict XML of an assertion", &rejection);
                return;
            }
        };
        let assertion = document.root();
        let _ = signature::check_document(&document, &[assertion], &mut Checks(checks));
        let inner = self.decrypted_assertion(assertion, signed.is_some(), &mut Checks(checks));
        if let Ok(inner) = &inner {
            let _ = self.second_opinion(signed, None, &mut Checks(checks));
            let _ = self.second_opinion(inner.as_ref(), None, &mut Checks(checks));
        }
        self.survey_content(assertion, checks);
    }

    fn survey_content(&self, assertion: Element<'_>, checks: &mut Vec<Check>) {
        match self.opening().read(assertion, &mut Checks(checks)) {
            Ok(content) => {
                let _ = self.judge.assertion(&content, &mut Everything(checks));
            }
            Err(rejection) => note_failure(checks, "assertion-structure", "as the schema says", &rejection),
        }
    }
}

fn note_failure(checks: &mut Vec<Check>, name: &'static str, expected: &str, rejection: &Rejection) {
    checks.push(Check { name, passed: false, expected: expected.to_owned(), found: shown(rejection.to_string()) });
}

/// Notes checks of conditions and goes on.
struct Everything<'c>(&'c mut Vec<Check>);

impl Notebook for Everything<'_> {
    fn require(
        &mut self,
        name: &'static str,
        passed: bool,
        expected: impl Into<String>,
        found: impl Into<String>,
        _: impl FnOnce() -> Rejection,
    ) -> Result<(), Rejection> {
        self.0.push(Check { name, passed, expected: shown(expected), found: shown(found) });
        Ok(())
    }

    fn outcome<T>(&mut self, name: &'static str, expected: impl Into<String>, outcome: Result<T, Rejection>) -> Result<T, Rejection> {
        Checks(self.0).outcome(name, expected, outcome)
    }

    fn on(_: Result<(), Rejection>) -> Result<(), Rejection> {
        Ok(())
    }
}
