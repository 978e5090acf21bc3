//! An operator's survey of a message: the checks of a login, without stopping at the first that fails.

use super::support::*;
use crate::clock::Timestamp;
use crate::saml::idp::{Encrypt, Sign, respond};
use crate::saml::*;

/// The checks of a login and its outcome, and those of a survey.
struct Both {
    login: Vec<Check>,
    outcome: Result<VerifiedAssertion, Rejection>,
    survey: Vec<Check>,
}

fn both_at(xml: &str, now: Timestamp) -> Both {
    let expected = Expected { now, ..expected() };
    let (policy, mut login) = (ResponsePolicy::default(), Vec::new());
    let outcome = receive_response(&form(xml), &sp(), &idp(&RSA), &[&ENCRYPTION.certified], &policy, &expected, &mut login);
    let survey = survey(&form(xml), &sp(), &idp(&RSA), &[&ENCRYPTION.certified], &policy, &expected);
    Both { login, outcome, survey }
}

fn both(xml: &str) -> Both {
    both_at(xml, now())
}

fn failed(checks: &[Check]) -> Vec<&str> {
    checks.iter().filter(|check| !check.passed).map(|check| check.name).collect()
}

#[test]
fn a_good_response_has_the_checks_of_a_login_and_no_others() {
    for sign in [Sign::Assertion, Sign::Response, Sign::Both] {
        for encrypt in [None, Some(Encrypt::to(&ENCRYPTION.certificate))] {
            let mut answer = answer();
            (answer.sign, answer.encrypt) = (sign, encrypt);
            let both = both(&respond(&answer, signer(), now()).expect("written"));
            assert_eq!(both.login, both.survey, "{sign:?} {}", encrypt.is_some());
            assert!(both.outcome.is_ok());
        }
    }
}

/// Messages with one fault each, of every kind that ends a login.
fn faulty() -> Vec<String> {
    let good = signed_assertion();
    let (unsigned, _) = unsigned();
    let foreign = respond(&answer(), Signer::new(&OTHER_RSA.certified), now()).expect("written");
    let changed = |from: &str, to: &str| with_assertion(|assertion| assertion.replace(from, to));
    let head = |from: &str, to: &str| with_response(|response| response.replacen(from, to, 1));
    vec![
        good.replace("ada@example.edu", "eve@example.edu"),
        good.replacen("ID=\"_response1\"", "ID=\"_assertion1\"", 1),
        unsigned,
        foreign,
        changed(SP, "https://other.example"),
        changed("</saml:Conditions>", "<saml:Condition/></saml:Conditions>"),
        changed(&format!("Recipient=\"{ACS}\""), "Recipient=\"https://other.example\""),
        changed("InResponseTo=\"_request1\"", "InResponseTo=\"_other\""),
        changed("InResponseTo=\"_request1\"", ""),
        changed("AuthnInstant=\"2026-11-21T02:42:00Z\"", "AuthnInstant=\"2026-11-21T03:42:00Z\""),
        changed("NotBefore=\"2026-11-21T02:42:00Z\" ", ""),
        changed("<saml:Conditions NotBefore=\"2026-11-21T02:42:00Z\"", "<saml:Conditions NotBefore=\"yesterday\""),
        changed("Version=\"2.0\"", "Version=\"1.1\""),
        changed(IDP, "https://other.example"),
        changed("subject-1", ""),
        head("Destination", "Destined"),
        head("status:Success", "status:Responder"),
        good.replacen(" ID=\"_response1\"", "", 1),
        head("IssueInstant=\"2026-11-21T02:42:00Z\"", "IssueInstant=\"soon\""),
        format!("<!DOCTYPE x [<!ENTITY e \"e\">]>{good}"),
        "<not-saml/>".to_owned(),
        "not xml".to_owned(),
    ]
}

#[test]
fn the_survey_tells_what_the_login_told_and_goes_on() {
    for xml in faulty() {
        let both = both(&xml);
        let rejection = both.outcome.expect_err(&xml);
        assert!(both.survey.len() >= both.login.len(), "{rejection:?}");
        assert_eq!(both.login, both.survey[..both.login.len()], "{rejection:?}");
        assert!(!failed(&both.survey).is_empty(), "{rejection:?}: nothing failed in the survey");
    }
    for (seconds, name) in [(3600, "expired"), (-3600, "not yet valid")] {
        let both = both_at(&signed_assertion(), now().plus_seconds(seconds));
        assert!(both.outcome.is_err(), "{name}");
        assert_eq!(both.login, both.survey[..both.login.len()], "{name}");
    }
}

#[test]
fn every_fault_of_a_message_is_seen_at_once() {
    let xml = with_assertion(|assertion| {
        let audience = assertion.replace(SP, "https://other.example").replace("subject-1", "");
        audience.replace("NotBefore=\"2026-11-21T02:42:00Z\" ", "")
    });
    let both = both_at(&xml.replace("ada@example.edu", "eve@example.edu"), now().plus_seconds(3600));
    let names = failed(&both.survey);
    for name in ["digest", "not-issued-too-long-ago", "name-id", "confirmation-valid", "not-before-present", "not-on-or-after", "audience"]
    {
        assert!(names.contains(&name), "{name} in {names:?}");
    }
    // Those that hold are told too.
    for name in ["recipient", "confirmation-in-response-to", "conditions-understood", "authn-instant"] {
        assert!(both.survey.iter().any(|check| check.name == name && check.passed), "{name}");
    }
}

#[test]
fn of_several_assertions_none_is_judged() {
    let response = signed_assertion();
    let assertion = cut(&response, "saml:Assertion");
    let twice = response.replace(assertion, &format!("{assertion}{}", assertion.replace("_assertion1", "_assertion2")));
    let both = both(&twice);
    assert!(both.outcome.is_err());
    assert!(failed(&both.survey).contains(&"one-assertion"));
}
