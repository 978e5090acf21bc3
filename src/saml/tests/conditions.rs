//! One response for each check of the list, breaking only that.

use super::support::*;
use crate::clock::Timestamp;
use crate::saml::idp::{Refusal, Sign, refuse, respond};
use crate::saml::*;

/// Refused with this name when the assertion is changed before it is signed.
fn assertion_refused(name: &str, from: &str, to: &str) -> Rejection {
    let rejection = refusal(&with_assertion(|assertion| assertion.replace(from, to)));
    assert_eq!(rejection.name(), name, "{rejection}");
    assert!(!rejection.to_string().is_empty());
    rejection
}

/// Refused with this name when the response is changed before it is signed.
fn response_refused(name: &str, from: &str, to: &str) -> Rejection {
    let rejection = refusal(&with_response(|response| response.replacen(from, to, 1)));
    assert_eq!(rejection.name(), name, "{rejection}");
    rejection
}

const UNTIL: &str = "NotOnOrAfter=\"2026-11-21T02:47:00Z\"";

#[test]
fn a_version_other_than_2_0_is_refused_on_both_levels() {
    response_refused("wrong-version", "Version=\"2.0\"", "Version=\"9.0\"");
    response_refused("wrong-version", " Version=\"2.0\"", "");
    assertion_refused("wrong-version", "Version=\"2.0\"", "Version=\"1.1\"");
}

#[test]
fn a_signed_response_needs_the_exact_destination() {
    response_refused("destination-missing", &format!(" Destination=\"{ACS}\""), "");
    response_refused("destination-missing", ACS, "");
    response_refused("wrong-destination", &format!("Destination=\"{ACS}"), "Destination=\"https://gateway.example.com/other");
    response_refused("wrong-destination", &format!("Destination=\"{ACS}"), &format!("Destination=\"{ACS}/"));
}

#[test]
fn an_unsigned_response_may_lack_a_destination_but_not_name_another() {
    let xml = signed_assertion();
    receive(&xml.replacen(&format!(" Destination=\"{ACS}\""), "", 1)).expect("accepted");
    let refused = refusal(&xml.replacen(&format!("Destination=\"{ACS}"), "Destination=\"https://evil.example/", 1));
    assert_eq!(refused.name(), "wrong-destination");
}

#[test]
fn the_issuer_must_be_the_connections_entity_on_both_levels() {
    let issuer = format!("<saml:Issuer>{IDP}</saml:Issuer>");
    response_refused("wrong-issuer", &issuer, "<saml:Issuer>https://other.example</saml:Issuer>");
    response_refused("issuer-missing", &issuer, "");
    let on = |rejection| match rejection {
        Rejection::WrongIssuer { on, .. } | Rejection::IssuerMissing { on, .. } | Rejection::WrongIssuerFormat { on, .. } => on,
        other => panic!("{other}"),
    };
    let part = rejection::Part::Assertion;
    assert_eq!(on(assertion_refused("wrong-issuer", &issuer, "<saml:Issuer>https://other.example</saml:Issuer>")), part);
    assert_eq!(on(assertion_refused("issuer-missing", &issuer, "")), part);
    let persistent = format!("<saml:Issuer Format=\"{}\">{IDP}</saml:Issuer>", names::NAMEID_PERSISTENT);
    assert_eq!(on(assertion_refused("wrong-issuer-format", &issuer, &persistent)), part);
    // White space around it is nobody's intention.
    receive(&with_assertion(|assertion| assertion.replace(&issuer, &format!("<saml:Issuer>\n {IDP} </saml:Issuer>")))).expect("accepted");
}

#[test]
fn a_status_other_than_success_ends_it_with_both_codes() {
    let refusal_of = Refusal { top: "Responder", second: "NoPassive", message: Some("not now") };
    let xml = refuse(IDP, ACS, Some(REQUEST), refusal_of, signer(), now()).expect("written");
    let Rejection::StatusNotSuccess { top, second, message } = refusal(&xml) else { panic!("another refusal") };
    assert_eq!(top, format!("{}Responder", names::STATUS_PREFIX));
    assert_eq!(second, Some(format!("{}NoPassive", names::STATUS_PREFIX)));
    assert_eq!(message.as_deref(), Some("not now"));
    // An assertion inside a failure is not looked at, whoever signed it.
    let success = format!("<samlp:StatusCode Value=\"{}\">", names::STATUS_SUCCESS);
    let failure = format!("<samlp:StatusCode Value=\"{}Requester\">", names::STATUS_PREFIX);
    assert_eq!(refusal(&signed_assertion().replace(&success, &failure)).name(), "status-not-success");
    response_refused("status-not-success", &success, &failure);
    // Success below a failure is no success.
    let nested = format!("{failure}<samlp:StatusCode Value=\"{}\"/>", names::STATUS_SUCCESS);
    response_refused("status-not-success", &success, &nested);
    let status = cut(&unsigned().0, "samlp:Status").to_owned();
    response_refused("status-missing", &status, "");
    response_refused("structure", &status, &format!("{status}{status}"));
}

#[test]
fn the_answer_must_be_to_the_request_of_this_login() {
    let attribute = format!(" InResponseTo=\"{REQUEST}\"");
    response_refused("unsolicited", &attribute, "");
    response_refused("wrong-in-response-to", &attribute, " InResponseTo=\"_other\"");
    let wrong = assertion_refused("wrong-in-response-to", &attribute, " InResponseTo=\"_other\"");
    assert!(matches!(wrong, Rejection::WrongInResponseTo { on: rejection::Part::SubjectConfirmation, .. }));
    assertion_refused("confirmation-in-response-to-missing", &attribute, "");
    // A wholly unsolicited response is refused by name too.
    let answer = idp::Answer { in_response_to: None, ..answer() };
    assert_eq!(refusal(&respond(&answer, signer(), now()).expect("written")).name(), "unsolicited");
}

#[test]
fn a_subject_with_a_bearer_confirmation_is_needed() {
    let (_, assertion) = unsigned();
    assertion_refused("subject-missing", cut(&assertion, "saml:Subject"), "");
    assertion_refused("bearer-confirmation-missing", cut(&assertion, "saml:SubjectConfirmation"), "");
    assertion_refused("bearer-confirmation-missing", names::CM_BEARER, "urn:oasis:names:tc:SAML:2.0:cm:holder-of-key");
    let data = cut(&assertion, "saml:SubjectConfirmationData");
    assertion_refused("structure", data, &format!("{data}{data}"));
    assertion_refused("recipient-missing", data, "");
}

#[test]
fn the_bearer_must_have_our_recipient_and_a_future_end_and_no_beginning() {
    let recipient = format!(" Recipient=\"{ACS}\"");
    assertion_refused("recipient-missing", &recipient, "");
    assertion_refused("wrong-recipient", &recipient, " Recipient=\"https://gateway.example.com/login/callback2\"");
    let before_recipient = format!("{UNTIL}{recipient}");
    assertion_refused("date-missing", &before_recipient, &recipient);
    let at = |date: &str| format!("NotOnOrAfter=\"{date}\"{recipient}");
    assertion_refused("confirmation-expired", &before_recipient, &at("2026-11-21T02:41:00Z"));
    assertion_refused("date-unreadable", &before_recipient, &at("soon"));
    assertion_refused("confirmation-has-not-before", &recipient, &format!("{recipient} NotBefore=\"2026-11-21T02:00:00Z\""));
}

#[test]
fn one_good_bearer_confirmation_among_others_is_enough() {
    let xml = with_assertion(|assertion| {
        let good = cut(&assertion, "saml:SubjectConfirmation").to_owned();
        let other = good.replace(ACS, "https://other.example/acs");
        let key = good.replace(names::CM_BEARER, "urn:oasis:names:tc:SAML:2.0:cm:holder-of-key");
        assertion.replace(&good, &format!("{other}{key}{good}"))
    });
    let mut checks = Vec::new();
    receive_response(&form(&xml), &sp(), &idp(&RSA), &[], &ResponsePolicy::default(), &expected(), &mut checks).expect("accepted");
}

#[test]
fn conditions_with_times_are_needed_and_hold_within_the_skew() {
    let (_, assertion) = unsigned();
    assertion_refused("conditions-missing", cut(&assertion, "saml:Conditions"), "");
    assertion_refused("date-missing", "<saml:Conditions NotBefore=\"2026-11-21T02:42:00Z\"", "<saml:Conditions");
    let conditions = format!("<saml:Conditions NotBefore=\"2026-11-21T02:42:00Z\" {UNTIL}");
    let with = |from: &str, until: &str| format!("<saml:Conditions NotBefore=\"{from}\" NotOnOrAfter=\"{until}\"");
    assertion_refused("date-missing", &conditions, "<saml:Conditions NotBefore=\"2026-11-21T02:42:00Z\"");
    assertion_refused("not-yet-valid", &conditions, &with("2026-11-21T02:43:01Z", "2026-11-21T02:50:00Z"));
    assertion_refused("expired", &conditions, &with("2026-11-21T02:00:00Z", "2026-11-21T02:41:00Z"));
    let within = with("2026-11-21T02:43:00Z", "2026-11-21T02:41:01Z");
    receive(&with_assertion(|assertion| assertion.replace(&conditions, &within))).expect("accepted within the skew");
    let strict = ResponsePolicy { skew_seconds: 0, ..ResponsePolicy::default() };
    let xml = with_assertion(|assertion| assertion.replace(&conditions, &within));
    assert_eq!(receive_with(&xml, &RSA, &strict, &expected()).expect_err("refused").name(), "not-yet-valid");
}

#[test]
fn every_audience_restriction_must_name_us() {
    let (_, assertion) = unsigned();
    let ours = cut(&assertion, "saml:AudienceRestriction").to_owned();
    let other = ours.replace(SP, "https://other.example");
    assertion_refused("audience-missing", &ours, "");
    assertion_refused("wrong-audience", &ours, &other);
    assertion_refused("wrong-audience", &ours, "<saml:AudienceRestriction></saml:AudienceRestriction>");
    assertion_refused("wrong-audience", &ours, &format!("{ours}{other}"));
    assertion_refused("wrong-audience", &ours, &format!("{other}{ours}"));
    let two = ours.replace("<saml:Audience>", "<saml:Audience>https://other.example</saml:Audience><saml:Audience>");
    receive(&with_assertion(|assertion| assertion.replace(&ours, &two))).expect("one of several audiences");
}

#[test]
fn known_conditions_are_understood_and_others_refused() {
    let end = "</saml:Conditions>";
    let known = "<saml:OneTimeUse/><saml:ProxyRestriction Count=\"0\"/></saml:Conditions>";
    receive(&with_assertion(|assertion| assertion.replace(end, known))).expect("accepted");
    assertion_refused("unknown-condition", end, "<saml:Condition/></saml:Conditions>");
    assertion_refused("unknown-condition", end, "<x:OneTimeUse xmlns:x=\"urn:x\"/></saml:Conditions>");
}

#[test]
fn somebody_must_have_signed_in_and_the_session_still_last() {
    let (_, assertion) = unsigned();
    assertion_refused("authn-statement-missing", cut(&assertion, "saml:AuthnStatement"), "");
    let instant = "AuthnInstant=\"2026-11-21T02:42:00Z\"";
    assertion_refused("date-missing", instant, "");
    assertion_refused("session-expired", instant, &format!("{instant} SessionNotOnOrAfter=\"2026-11-21T02:41:00Z\""));
    assertion_refused("authn-instant-in-future", instant, "AuthnInstant=\"2026-11-21T02:43:01Z\"");
}

#[test]
fn exactly_one_assertion_is_accepted() {
    let xml = signed_assertion();
    let assertion = cut(&xml, "saml:Assertion").to_owned();
    assert_eq!(refusal(&xml.replace(&assertion, "")).name(), "assertion-missing");
    let second = assertion.replace("_assertion1", "_assertion2");
    assert_eq!(refusal(&xml.replace(&assertion, &format!("{assertion}{second}"))).name(), "several-assertions");
    let encrypted = r#"<saml:EncryptedAssertion></saml:EncryptedAssertion>"#;
    assert_eq!(refusal(&xml.replace(&assertion, &format!("{assertion}{encrypted}"))).name(), "plain-and-encrypted-assertion");
    assert_eq!(refusal(&xml.replace(&assertion, &format!("{encrypted}{encrypted}"))).name(), "several-assertions");
    // The same inside a response that is signed as a whole.
    let whole = with_response(|response| {
        let assertion = cut(&response, "saml:Assertion").to_owned();
        response.replace(&assertion, &format!("{assertion}{}", assertion.replace("_assertion1", "_assertion2")))
    });
    assert_eq!(refusal(&whole).name(), "several-assertions");
    // An element of that name in another namespace is no assertion.
    response_refused(
        "assertion-missing",
        "<saml:Assertion xmlns:saml=\"urn:oasis:names:tc:SAML:2.0:assertion\"",
        "<saml:Assertion xmlns:saml=\"urn:x\"",
    );
}

#[test]
fn a_name_id_that_is_empty_after_trimming_is_refused() {
    let (_, assertion) = unsigned();
    assertion_refused("name-id-missing", cut(&assertion, "saml:NameID"), "");
    assertion_refused("name-id-missing", ">subject-1<", "> \n <");
    assertion_refused("decryption-failed", cut(&assertion, "saml:NameID"), "<saml:EncryptedID/>");
}

#[test]
fn issue_instants_must_be_recent_and_not_in_the_future() {
    let issued = "IssueInstant=\"2026-11-21T02:42:00Z\"";
    let at = |date: &str| format!("IssueInstant=\"{date}\"");
    for refused in [response_refused, assertion_refused] {
        refused("date-missing", issued, "");
        refused("date-unreadable", issued, &at("yesterday"));
        refused("issued-in-future", issued, &at("2026-11-21T02:43:01Z"));
        refused("issued-in-future", issued, &at("2027-11-21T02:42:00Z"));
        refused("issued-too-long-ago", issued, &at("2026-11-21T02:35:59Z"));
        refused("date-unreadable", issued, &at("+262142-01-01T00:00:00Z"));
        refused("date-unreadable", issued, &at("-262143-01-01T00:00:00Z"));
    }
    let ahead = response_refused("issued-in-future", issued, &at("2026-11-21T02:44:00Z")).to_string();
    assert!(ahead.contains("120 s"), "the measured offset is in the diagnosis: {ahead}");
}

#[test]
fn a_forced_or_recent_sign_in_is_checked_when_asked_for() {
    let mut answer = answer();
    answer.authn_instant = now().plus_seconds(-3600);
    let xml = respond(&answer, signer(), now()).expect("written");
    receive(&xml).expect("not asked for");
    let forced = Expected { force_authn: true, ..expected() };
    assert_eq!(receive_with(&xml, &RSA, &ResponsePolicy::default(), &forced).expect_err("refused").name(), "authentication-too-old");
    let young = Expected { max_age_seconds: Some(600), ..expected() };
    assert_eq!(receive_with(&xml, &RSA, &ResponsePolicy::default(), &young).expect_err("refused").name(), "authentication-too-old");
    let older = Expected { max_age_seconds: Some(3600), ..expected() };
    receive_with(&xml, &RSA, &ResponsePolicy::default(), &older).expect("accepted");
    receive_with(&signed_assertion(), &RSA, &ResponsePolicy::default(), &forced).expect("accepted");
}

#[test]
fn the_asked_authentication_context_is_checked() {
    let asked = |comparison, class: &str| (comparison, vec![class.to_owned()]);
    let mfa = "https://refeds.org/profile/mfa";
    let judge = |asked: &(Comparison, Vec<String>), xml: &str| {
        let expected = Expected { requested_authn_context: Some(asked), ..expected() };
        receive_with(xml, &RSA, &ResponsePolicy::default(), &expected).map(|_| ()).map_err(|rejection| rejection.name())
    };
    let xml = signed_assertion();
    assert_eq!(judge(&asked(Comparison::Exact, mfa), &xml), Err("authn-context-not-met"));
    assert_eq!(judge(&asked(Comparison::Exact, names::AC_PASSWORD_PROTECTED_TRANSPORT), &xml), Ok(()));
    assert_eq!(judge(&asked(Comparison::Minimum, mfa), &xml), Ok(()));
    let silent = with_assertion(|assertion| assertion.replace(cut(&assertion, "saml:AuthnContextClassRef"), ""));
    assert_eq!(judge(&asked(Comparison::Minimum, mfa), &silent), Err("authn-context-not-met"));
}

#[test]
fn a_response_for_another_tenant_is_refused() {
    let mut elsewhere = answer();
    elsewhere.audience = "https://gateway.example.com/saml/metadata/other";
    assert_eq!(refusal(&respond(&elsewhere, signer(), now()).expect("written")).name(), "wrong-audience");
    elsewhere.sign = Sign::Response;
    assert_eq!(refusal(&respond(&elsewhere, signer(), now()).expect("written")).name(), "wrong-audience");
    let key = receive_with(&signed_assertion(), &OTHER_RSA, &ResponsePolicy::default(), &expected()).expect_err("refused");
    assert_eq!(key.name(), "wrong-key");
}

#[test]
fn an_ancient_time_does_not_overflow() {
    let expected = Expected { now: Timestamp::from_millis(i64::MAX), ..expected() };
    assert!(receive_with(&signed_assertion(), &RSA, &ResponsePolicy::default(), &expected).is_err());
    let expected = Expected { now: Timestamp::from_millis(i64::MIN), force_authn: true, max_age_seconds: Some(i64::MAX), ..expected };
    assert!(receive_with(&signed_assertion(), &RSA, &ResponsePolicy::default(), &expected).is_err());
}

#[test]
fn an_element_inside_an_identifier_does_not_cut_it() {
    let cut_at = |value: &str| (format!(">{value}<"), format!(">{value}<x>/more</x><"));
    let (from, to) = cut_at(SP);
    assertion_refused("wrong-audience", &from, &to);
    let (from, to) = cut_at(IDP);
    assertion_refused("wrong-issuer", &from, &to);
    let (from, to) = cut_at("subject-1");
    assert_eq!(receive(&with_assertion(|assertion| assertion.replace(&from, &to))).expect("accepted").subject(), "subject-1/more");
}

#[test]
fn comparisons_go_by_the_ranking_where_there_is_one() {
    const RANKING: [&str; 3] = ["urn:weak", names::AC_PASSWORD_PROTECTED_TRANSPORT, "urn:strong"];
    let policy = ResponsePolicy { authn_context_ranking: RANKING.map(str::to_owned).to_vec(), ..ResponsePolicy::default() };
    let xml = signed_assertion();
    let met = |comparison: Comparison, asked: &[&str]| {
        let asked = (comparison, asked.iter().map(|class| (*class).to_owned()).collect());
        let expected = Expected { requested_authn_context: Some(&asked), ..expected() };
        receive_with(&xml, &RSA, &policy, &expected).map(drop).map_err(|rejection| rejection.name())
    };
    let [weak, found, strong] = RANKING;
    let (yes, no) = (Ok(()), Err("authn-context-not-met"));
    for (comparison, asked, expected) in [
        (Comparison::Minimum, &[weak][..], yes),
        (Comparison::Minimum, &[found], yes),
        (Comparison::Minimum, &[strong], no),
        (Comparison::Minimum, &[strong, weak], yes),
        (Comparison::Maximum, &[weak], no),
        (Comparison::Maximum, &[found], yes),
        (Comparison::Maximum, &[strong, weak], yes),
        (Comparison::Better, &[weak], yes),
        (Comparison::Better, &[found], no),
        (Comparison::Better, &[weak, found], no),
        (Comparison::Exact, &[weak, strong], no),
        (Comparison::Exact, &[found], yes),
        // Nobody knows how strong these are.
        (Comparison::Minimum, &["urn:other"], no),
        (Comparison::Maximum, &["urn:other"], no),
    ] {
        assert_eq!(met(comparison, asked), expected, "{comparison:?} {asked:?}");
    }
}

#[test]
fn an_answer_to_no_request_names_none_and_is_checked_for_everything_else() {
    let unasked = Expected { request_id: None, ..expected() };
    let judge = |xml: &str| receive_with(xml, &RSA, &ResponsePolicy::default(), &unasked).map(drop).map_err(|rejection| rejection.name());
    let answer = idp::Answer { in_response_to: None, ..answer() };
    let xml = respond(&answer, signer(), now()).expect("written");
    assert_eq!(judge(&xml), Ok(()));
    assert_eq!(refusal(&xml).name(), "unsolicited");
    // One that answers a request is not one that answers none.
    assert_eq!(judge(&signed_assertion()), Err("wrong-in-response-to"));
    let on_response = xml.replacen("<samlp:Response ", "<samlp:Response InResponseTo=\"_x\" ", 1);
    assert_eq!(judge(&on_response), Err("wrong-in-response-to"));
    let (response, assertion) = unsigned();
    let response = response.replacen(&format!(" InResponseTo=\"{REQUEST}\""), "", 1);
    let of_confirmation = response.replace(&assertion, &signature::sign(&assertion, signer()).expect("signed"));
    assert_eq!(judge(&of_confirmation), Err("wrong-in-response-to"));
    let for_others = idp::Answer { audience: "https://other.example", ..answer.clone() };
    assert_eq!(judge(&respond(&for_others, signer(), now()).expect("written")), Err("wrong-audience"));
    assert_eq!(judge(&respond(&answer, Signer::new(&OTHER_RSA.certified), now()).expect("written")), Err("wrong-key"));
}
