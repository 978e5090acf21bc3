//! Explanations: judged like a login, read more leniently, and never a login themselves.

use super::support::*;
use crate::saml::explain::{ExplainedAssertion, examine_assertion_alone, message_head, unverified_attributes_for_explanation};
use crate::saml::idp::Answer;
use crate::saml::signature::sign;
use crate::saml::*;

fn alone(xml: &str) -> Result<ExplainedAssertion, &'static str> {
    let mut checks = Vec::new();
    let outcome = examine_assertion_alone(xml, &sp(), &idp(&RSA), &[], &ResponsePolicy::default(), &expected(), &mut checks);
    assert!(outcome.is_err() || checks.iter().all(|check| check.passed), "{checks:#?}");
    outcome.map_err(|rejection| rejection.name())
}

fn leniently(xml: &str) -> Result<ExplainedAssertion, &'static str> {
    let read = unverified_attributes_for_explanation(xml, &[&ENCRYPTION.certified], &ResponsePolicy::default());
    read.map_err(|rejection| rejection.name())
}

#[test]
fn an_assertion_alone_says_what_it_says_to_a_login() {
    let xml = signed_assertion();
    let login = receive(&xml).expect("accepted");
    let assertion = cut(&xml, "saml:Assertion");
    for read in [alone(assertion), leniently(assertion), leniently(&xml)] {
        assert_eq!(format!("{:?}", read.expect("read").said()), format!("{:?}", login.said()));
    }
    // .. and no login accepts it.
    assert_eq!(refusal(assertion).name(), "wrong-root");
}

#[test]
fn an_assertion_alone_is_refused_like_one_in_a_response() {
    let xml = signed_assertion();
    let assertion = cut(&xml, "saml:Assertion");
    let signature = cut(assertion, "ds:Signature");
    let bare = assertion.replace(signature, "");
    let evil = bare.replace("subject-1", "admin").replace("_assertion1", "_forged");
    let inside = |piece: &str| evil.replace("</saml:Subject>", &format!("</saml:Subject><saml:Advice>{piece}</saml:Advice>"));
    let signed = |xml: String| sign(&xml, signer()).expect("signed");
    for (attack, name) in [
        (bare.clone(), "unsigned"),
        (assertion.replace("subject-1", "admin"), "digest-differs"),
        (evil.replacen("<saml:Subject>", &format!("{signature}<saml:Subject>"), 1), "wrong-reference"),
        (inside(assertion), "signature-misplaced"),
        (signed(inside(assertion)), "signature-misplaced"),
        (signed(bare.replace("<saml:Subject>", "<saml:Subject ID=\"_assertion1\">")), "duplicate-id"),
        (signed(bare.replace(SP, "https://other.example")), "wrong-audience"),
        (signed(bare.replace(IDP, "https://other.example")), "wrong-issuer"),
        (signed(bare.replace(REQUEST, "_another")), "wrong-in-response-to"),
        (xml.clone(), "wrong-root"),
    ] {
        assert_eq!(alone(&attack).err(), Some(name), "{attack}");
    }
}

#[test]
fn a_lenient_reading_takes_what_is_there() {
    let (_, assertion) = unsigned();
    let broken = assertion.replace("AuthnInstant=\"", "AuthnInstant=\"not ").replace("ID=\"_assertion1\"", "");
    let read = leniently(&broken.replace("subject-1", "subject<!-- a comment -->-1")).expect("read");
    let said = read.said();
    assert_eq!((said.subject, said.issuer, said.authn_instant), (Some("subject-1"), Some(IDP), None));
    assert_eq!(said.attributes.len(), 2);
    let nothing = leniently("<saml:Assertion xmlns:saml=\"urn:oasis:names:tc:SAML:2.0:assertion\"/>").expect("read");
    assert!(nothing.said().subject.is_none() && nothing.said().attributes.is_empty());
    assert_eq!(leniently("<!DOCTYPE x><x/>").err(), Some("document-type"));
    assert_eq!(leniently("<x/>").err(), Some("assertion-missing"));
}

#[test]
fn an_encrypted_assertion_is_read_with_our_key_alone() {
    let (response, assertion) = unsigned();
    let cipher = encryption::ContentCipher::Aes256Gcm;
    let transport = encryption::KeyTransport::OaepMgf1p(crate::keys::Digest::Sha1);
    let encrypt = |text: &str| {
        let encrypted = encryption::encrypt_assertion(text, &ENCRYPTION.certificate, cipher, transport).expect("encrypted");
        response.replace(&assertion, &encrypted)
    };
    let xml = encrypt(&assertion);
    assert_eq!(leniently(&xml).expect("read").said().subject, Some("subject-1"));
    assert!(message_head(&xml).is_some_and(|head| head.is_encrypted && !head.is_assertion));
    let without = unverified_attributes_for_explanation(&xml, &[], &ResponsePolicy::default());
    assert_eq!(without.expect_err("no key").name(), "decryption-key-missing");
    let other = unverified_attributes_for_explanation(&xml, &[&OTHER_RSA.certified], &ResponsePolicy::default());
    assert_eq!(other.expect_err("another key").name(), "decryption-failed");
    assert_eq!(leniently(&encrypt("<x/>")).err(), Some("decryption-failed"));
}

#[test]
fn a_head_tells_what_a_message_is() {
    let xml = signed_assertion();
    let head = message_head(&xml).expect("a response");
    assert_eq!((head.is_assertion, head.is_encrypted, head.in_response_to.as_deref()), (false, false, Some(REQUEST)));
    assert_eq!(head.issue_instant, Some(now()));
    let head = message_head(cut(&xml, "saml:Assertion")).expect("an assertion");
    assert_eq!((head.is_assertion, head.in_response_to.as_deref()), (true, Some(REQUEST)));
    for other in ["", "x", "<x/>", "<!DOCTYPE x><x/>", "<Response/>"] {
        assert_eq!(message_head(other), None, "{other}");
    }
    let unsolicited = idp::respond(&Answer { in_response_to: None, ..answer() }, signer(), now()).expect("written");
    assert_eq!(message_head(&unsolicited).expect("a response").in_response_to, None);
}
