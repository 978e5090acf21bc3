//! Answers by artifact: what a service provider makes of them, what an identity provider gives out, and to whom.

use super::idp_support::*;
use super::judges::{is_built_as_the_schema_says, xmlsec1_verifies};
use super::support::*;
use crate::saml::artifact::*;
use crate::saml::binding::MessageKind;
use crate::saml::idp::AssertionConsumerService;
use crate::saml::idp::{Answer, Encrypt, Issued, Responder, ResponseSettings, Sign, SpParts, SpTrust, Statement, Subject, respond};
use crate::saml::metadata::{MetadataOptions, read_idp, write_sp};
use crate::saml::signature::sign;
use crate::saml::soap::{FaultCode, envelope, fault};
use crate::saml::*;

const RESOLVE: &str = "_resolve1";
const SERVICE: &str = "https://gateway.example.com/saml/artifact";

/// An ArtifactResponse with this inside, not yet signed.
fn around(inside: &str) -> String {
    format!(
        "<samlp:ArtifactResponse xmlns:samlp=\"{}\" xmlns:saml=\"{}\" ID=\"_outer1\" Version=\"2.0\" IssueInstant=\"{}\" InResponseTo=\"{RESOLVE}\"><saml:Issuer>{IDP}</saml:Issuer><samlp:Status><samlp:StatusCode Value=\"{}\"/></samlp:Status>{inside}</samlp:ArtifactResponse>",
        names::SAMLP,
        names::SAML,
        now(),
        names::STATUS_SUCCESS,
    )
}

fn response(parts: Sign) -> String {
    respond(&Answer { sign: parts, ..answer() }, signer(), now()).expect("written")
}

fn signed(xml: &str) -> String {
    sign(xml, signer()).expect("signed")
}

fn resolved_with(soap: &str, policy: &ResponsePolicy) -> (Result<VerifiedAssertion, Rejection>, Vec<Check>) {
    let mut checks = Vec::new();
    let (sp, idp, expected) = (sp(), idp(&RSA), expected());
    let keys = [&ENCRYPTION.certified];
    let terms = ResolutionTerms { resolve_id: RESOLVE, sp: &sp, idp: &idp, decryption_keys: &keys, policy, expected: &expected };
    let outcome = receive_artifact_response(soap, &terms, &mut checks);
    assert!(outcome.is_err() || checks.iter().all(|check| check.passed), "{checks:#?}");
    (outcome, checks)
}

fn resolved(soap: &str) -> Result<VerifiedAssertion, Rejection> {
    resolved_with(soap, &ResponsePolicy::default()).0
}

#[track_caller]
fn refused(soap: &str, name: &str) {
    let rejection = resolved(soap).expect_err("must be refused");
    assert_eq!(rejection.name(), name, "{rejection}");
}

#[test]
fn a_resolved_response_is_read_wherever_the_signature_is() {
    for parts in [Sign::Nothing, Sign::Assertion, Sign::Response, Sign::Both] {
        for outer in [false, true] {
            let message = around(&response(parts));
            let soap = envelope(&if outer { signed(&message) } else { message });
            if parts == Sign::Nothing && !outer {
                // TLS alone proves nothing.
                refused(&soap, "unsigned");
                continue;
            }
            let (outcome, checks) = resolved_with(&soap, &ResponsePolicy::default());
            let assertion = outcome.unwrap_or_else(|refused| panic!("{parts:?} {outer}: {refused}"));
            assert_eq!((assertion.subject(), assertion.attributes().len()), ("subject-1", 2));
            assert_eq!((assertion.response_id(), assertion.issuer()), ("_response1", IDP));
            let asked = checks.iter().any(|check| check.name == "second-opinion-bytes");
            assert_eq!(asked, cfg!(feature = "xmlsec"), "{parts:?} {outer}: the other engine has looked: {checks:#?}");
        }
    }
}

#[test]
fn a_resolved_response_may_be_encrypted_but_not_only_that() {
    for (parts, outer, good) in [(Sign::Assertion, false, true), (Sign::Nothing, true, true), (Sign::Nothing, false, false)] {
        let answer = Answer { sign: parts, encrypt: Some(Encrypt::to(&ENCRYPTION.certificate)), ..answer() };
        let message = around(&respond(&answer, signer(), now()).expect("written"));
        let outcome = resolved(&envelope(&if outer { signed(&message) } else { message }));
        match outcome {
            Ok(assertion) => assert!(good && assertion.subject() == "subject-1"),
            Err(rejection) => assert!(!good && rejection.name() == "encrypted-but-unsigned", "{rejection}"),
        }
    }
}

#[test]
fn namespaces_that_only_the_envelope_declares_do_not_break_signatures() {
    // As others write: prefixes declared outside, and a signature inside that names one of them.
    let inside = response(Sign::Assertion);
    let bare =
        inside.replacen(&format!(" xmlns:samlp=\"{}\"", names::SAMLP), "", 1).replacen(&format!(" xmlns:saml=\"{}\"", names::SAML), "", 1);
    assert_ne!(bare, inside);
    let outside =
        envelope(&around(&bare)).replacen("<soap:Envelope", &format!("<soap:Envelope xmlns:xs=\"{}\" xmlns:o=\"urn:o\"", names::XS), 1);
    assert_eq!(resolved(&outside).expect("read").subject(), "subject-1");
}

#[test]
fn data_are_read_from_what_was_signed_only() {
    let inside = response(Sign::Assertion);
    // Changed after it was signed, at each of the three places.
    refused(&envelope(&around(&inside.replacen("subject-1", "subject-2", 1))), "digest-differs");
    refused(&envelope(&around(&response(Sign::Response).replacen("subject-1", "subject-2", 1))), "digest-differs");
    refused(&envelope(&signed(&around(&response(Sign::Nothing))).replacen("subject-1", "subject-2", 1)), "digest-differs");
    // A bad signature around a good one is not ignored, nor a good one of another key.
    refused(&envelope(&signed(&around(&inside)).replacen(RESOLVE, "_resolve2", 1)), "digest-differs");
    let foreign = sign(&around(&inside), Signer::new(&OTHER_RSA.certified)).expect("signed");
    refused(&envelope(&foreign), "wrong-key");
    let foreign = respond(&answer(), Signer::new(&OTHER_RSA.certified), now()).expect("written");
    refused(&envelope(&signed(&around(&foreign))), "wrong-key");
}

#[test]
fn a_signature_of_something_else_covers_nothing() {
    let good = signed(&around(&response(Sign::Nothing)));
    let evil =
        response(Sign::Nothing).replace("subject-1", "admin").replace("_response1", "_response2").replace("_assertion1", "_assertion2");
    // Signature wrapping: the signed message moved away, another in its place.
    let signature = cut(&good, "ds:Signature").to_owned();
    let forged = around(&evil).replacen("_outer1", "_outer2", 1);
    let in_header = format!(
        "<soap:Envelope xmlns:soap=\"{}\"><soap:Header>{good}</soap:Header><soap:Body>{forged}</soap:Body></soap:Envelope>",
        names::SOAP
    );
    refused(&in_header, "signature-misplaced");
    let both = forged.replacen("<samlp:Status>", &format!("{signature}<samlp:Status>"), 1);
    refused(&envelope(&both), "wrong-reference");
    let kept = both.replacen(
        "</samlp:Status>",
        &format!("</samlp:Status><samlp:Extensions>{}</samlp:Extensions>", good.replacen(&signature, "", 1)),
        1,
    );
    refused(&envelope(&kept), "wrong-reference");
    let twice = good.replacen("</samlp:ArtifactResponse>", &format!("{evil}</samlp:ArtifactResponse>"), 1);
    refused(&envelope(&twice), "digest-differs");
    refused(&envelope(&signed(&around(&[response(Sign::Nothing), evil].concat()))), "structure");
    // Two of them in the body, and one ID twice.
    let bodies = format!("<soap:Envelope xmlns:soap=\"{}\"><soap:Body>{forged}{good}</soap:Body></soap:Envelope>", names::SOAP);
    refused(&bodies, "not-soap");
    refused(&envelope(&around(&response(Sign::Assertion)).replace("_outer1", "_assertion1")), "duplicate-id");
}

#[test]
fn every_line_of_an_artifact_response_must_hold() {
    let good = around(&response(Sign::Assertion));
    assert!(resolved(&envelope(&good)).is_ok());
    let at = |seconds: i64| now().plus_seconds(seconds).to_string();
    let instant = |seconds| good.replacen(&format!("IssueInstant=\"{}\"", now()), &format!("IssueInstant=\"{}\"", at(seconds)), 1);
    let with = |from: &str, to: &str| good.replacen(from, to, 1);
    let status = format!("<samlp:StatusCode Value=\"{}\"/>", names::STATUS_SUCCESS);
    let denied = format!(
        "<samlp:StatusCode Value=\"{0}Requester\"><samlp:StatusCode Value=\"{0}RequestDenied\"/></samlp:StatusCode>",
        names::STATUS_PREFIX
    );
    for (broken, name) in [
        (with("Version=\"2.0\"", "Version=\"1.1\""), "wrong-version"),
        (with("ID=\"_outer1\"", ""), "id-missing"),
        (with(&format!("<saml:Issuer>{IDP}</saml:Issuer>"), ""), "issuer-missing"),
        (with(&format!("<saml:Issuer>{IDP}"), "<saml:Issuer>https://evil.example"), "wrong-issuer"),
        (with("InResponseTo=\"_resolve1\"", "InResponseTo=\"_resolve2\""), "wrong-in-response-to"),
        (with("InResponseTo=\"_resolve1\"", ""), "wrong-in-response-to"),
        (with("InResponseTo=\"_resolve1\"", "InResponseTo=\"_resolve1\" Destination=\"https://evil.example/acs\""), "wrong-destination"),
        (with(&format!("<samlp:Status>{status}</samlp:Status>"), ""), "status-missing"),
        (with(&status, &denied), "artifact-refused"),
        (instant(3600), "issued-in-future"),
        (instant(-3600), "issued-too-long-ago"),
        (with(&format!("IssueInstant=\"{}\"", now()), ""), "date-missing"),
        (around(""), "artifact-not-resolved"),
        (around(&format!("<samlp:LogoutResponse xmlns:samlp=\"{}\"/>", names::SAMLP)), "wrong-root"),
        (around("<x/>"), "wrong-root"),
        (response(Sign::Both), "wrong-root"),
    ] {
        refused(&envelope(&broken), name);
        // A signature makes none of it good.
        if broken.contains("ID=\"_outer1\"") {
            refused(&envelope(&signed(&broken)), name);
        }
    }
    let to_us = with("InResponseTo=\"_resolve1\"", &format!("InResponseTo=\"_resolve1\" Destination=\"{ACS}\""));
    assert!(resolved(&envelope(&to_us)).is_ok());
}

#[test]
fn the_response_inside_is_judged_as_a_posted_one() {
    let change = |change: &dyn Fn(&mut Answer<'static>)| {
        let mut answer = answer();
        change(&mut answer);
        respond(&answer, signer(), now()).expect("written")
    };
    for (inside, name) in [
        (change(&|answer| answer.audience = "https://other.example"), "wrong-audience"),
        (change(&|answer| answer.recipient = Some("https://other.example/acs")), "wrong-recipient"),
        (change(&|answer| answer.in_response_to = Some("_another")), "wrong-in-response-to"),
        (change(&|answer| answer.in_response_to = None), "unsolicited"),
        (change(&|answer| answer.issuer = "https://evil.example"), "wrong-issuer"),
        (change(&|answer| answer.lifetime_seconds = -3600), "confirmation-expired"),
    ] {
        refused(&envelope(&around(&inside)), name);
        refused(&envelope(&signed(&around(&inside))), name);
    }
    let failed =
        idp::refuse(IDP, ACS, Some(REQUEST), idp::Refusal { top: "Responder", second: "NoPassive", message: None }, signer(), now());
    refused(&envelope(&around(&failed.expect("written"))), "status-not-success");
}

#[test]
fn what_is_no_soap_is_refused_by_name() {
    let good = envelope(&around(&response(Sign::Assertion)));
    let deep = envelope(&around(&"<a>".repeat(80)));
    for (text, name) in [
        (String::new(), "not-well-formed"),
        ("<html>502 Bad Gateway</html>".to_owned(), "not-soap"),
        (response(Sign::Both), "not-soap"),
        (format!("<!DOCTYPE x [<!ENTITY a \"b\">]>{good}"), "document-type"),
        (good.replacen("<soap:Body>", "<soap:Body><!-- x -->", 1), "comment-or-instruction"),
        (deep, "too-complex"),
        (envelope(&around(&"<a/>".repeat(20_000))), "too-complex"),
        (envelope(&around(&format!("<a>{}</a>", "x".repeat(400_000)))), "too-large"),
        (good.replacen("<soap:Body>", "<soap:Header><h soap:mustUnderstand=\"1\"/></soap:Header><soap:Body>", 1), "soap-header"),
        (fault(FaultCode::Server, "out of order"), "soap-fault"),
        (good[..good.len() - 20].to_owned(), "not-well-formed"),
    ] {
        refused(&text, name);
    }
}

#[test]
fn no_mutation_of_a_resolved_response_panics_or_changes_who_it_is() {
    let good = envelope(&signed(&around(&response(Sign::Assertion))));
    let quick = ResponsePolicy { second_opinion: false, ..ResponsePolicy::default() };
    for at in (0..good.len()).step_by(7).filter(|at| good.is_char_boundary(*at) && good.is_char_boundary(at + 1)) {
        for with in ["", "<", "\"", "x"] {
            let mutated = [&good[..at], with, &good[at + 1..]].concat();
            if let Ok(assertion) = resolved_with(&mutated, &quick).0 {
                assert_eq!(assertion.subject(), "subject-1", "{mutated}");
            }
        }
    }
}

fn services(indexes: &[u16]) -> Vec<ResolutionService> {
    let service =
        |index: &u16| ResolutionService::new(&format!("https://idp.example.edu/artifact/{index}"), Some(*index)).expect("an address");
    indexes.iter().map(service).collect()
}

#[test]
fn an_artifact_is_resolved_at_its_sender_by_index_and_nowhere_else() {
    let idp = IdpTrust { artifact_services: services(&[0, 7]), ..idp(&RSA) };
    let at = |entity_id: &str, index| {
        resolution_service(&Artifact::new(entity_id, index), &idp, &mut Vec::new()).map(|found| found.location.to_string())
    };
    assert_eq!(at(IDP, 7).as_deref(), Ok("https://idp.example.edu/artifact/7"));
    assert_eq!(at("https://evil.example", 7).expect_err("refused").name(), "artifact-of-another");
    assert_eq!(at(IDP, 1).expect_err("refused").name(), "artifact-endpoint-unknown");
    let any = IdpTrust { artifact_services: vec![ResolutionService::new("https://idp.example.edu/a", None).expect("an address")], ..idp };
    assert!(resolution_service(&Artifact::new(IDP, 12_336), &any, &mut Vec::new()).is_ok());
    for location in ["http://idp.example.edu/a", "ftp://x/", "https://u:p@idp.example.edu/", "https://idp.example.edu/#a", "/a"] {
        assert!(ResolutionService::new(location, None).is_err(), "{location}");
    }
}

#[test]
fn services_and_consumers_of_artifacts_stand_in_metadata() {
    let service = |binding: &str, location: &str, index: &str| {
        format!("<md:ArtifactResolutionService Binding=\"{binding}\" Location=\"{location}\" {index}/>")
    };
    let certificate = base64_of(&RSA);
    let xml = format!(
        "<md:EntityDescriptor xmlns:md=\"{}\" xmlns:ds=\"{}\" entityID=\"{IDP}\"><md:IDPSSODescriptor protocolSupportEnumeration=\"{}\"><md:KeyDescriptor><ds:KeyInfo><ds:X509Data><ds:X509Certificate>{certificate}</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>{}<md:SingleSignOnService Binding=\"{}\" Location=\"https://idp.example.edu/sso\"/></md:IDPSSODescriptor></md:EntityDescriptor>",
        names::MD,
        names::DS,
        names::SAMLP,
        [
            service(names::BINDING_SOAP, "https://idp.example.edu/artifact/7", "index=\"7\""),
            service("urn:oasis:names:tc:SAML:1.0:bindings:SOAP-binding", "https://idp.example.edu/saml1", "index=\"1\""),
            service(names::BINDING_SOAP, "http://idp.example.edu/plain", "index=\"2\""),
            service(names::BINDING_SOAP, "https://idp.example.edu/no-index", ""),
            service(names::BINDING_SOAP, "https://idp.example.edu/large", "index=\"70000\""),
        ]
        .concat(),
        names::BINDING_REDIRECT,
    );
    let read = read_idp(&xml, MetadataOptions::default(), now()).expect("read");
    assert_eq!(read.trust().artifact_services, services(&[7]));
    // Ours: as a service provider, and as an identity provider.
    let sp = sp();
    let metadata = |response_binding| {
        let ours = SpMetadata { response_binding, ..SpMetadata::new(&sp, vec![&RSA.certified], vec![]) };
        write_sp(&ours, signer(), now()).expect("written")
    };
    let (plain, artifacts) = (metadata(ResponseBinding::Post), metadata(ResponseBinding::Artifact));
    assert!(!plain.contains("HTTP-Artifact") && plain.contains("index=\"0\" isDefault=\"true\""), "{plain}");
    assert!(artifacts.contains(&format!("Binding=\"{}\" Location=\"{ACS}\" index=\"1\" isDefault=\"true\"", names::BINDING_ARTIFACT)));
    assert!(artifacts.contains(&format!("Binding=\"{}\" Location=\"{ACS}\" index=\"0\">", names::BINDING_POST)), "{artifacts}");
    let sso = Endpoint { binding: Binding::Redirect, location: "https://idp.example.edu/sso".parse().expect("a URL") };
    let description =
        idp::IdpDescription { artifact_services: services(&[7]), ..idp::IdpDescription::new(IDP, vec![sso], vec![&RSA.certified]) };
    let ours = idp::write_idp(&description, signer(), now()).expect("written");
    assert_eq!(read_idp(&ours, MetadataOptions::default(), now()).expect("read").artifact_services, services(&[7]));
    for xml in [&plain, &artifacts, &ours] {
        is_built_as_the_schema_says(xml);
    }
}

fn base64_of(key: &TestKey) -> String {
    String::from_utf8(key.certificate_pem.clone()).expect("text").lines().filter(|line| !line.starts_with('-')).collect()
}

/// A question of the service provider for an artifact of ours.
fn asked(artifact: &Artifact) -> ArtifactResolve {
    let service = ResolutionService::new(SERVICE, Some(0)).expect("an address");
    artifact_resolve(artifact, &sp(), &service, signer(), now()).expect("written")
}

fn served(soap: &str, keys: Option<&TrustedKeys>) -> Result<CheckedResolve, Rejection> {
    let arrived = ArrivedResolve::decode(soap.to_owned())?;
    let policy = MessagePolicy::default();
    let mut checks = Vec::new();
    let terms = ResolveTerms { partner: SP, keys, destination: SERVICE, policy: &policy, now: now() };
    let outcome = receive_artifact_resolve(&arrived, &terms, &mut checks);
    assert!(outcome.is_err() || (arrived.issuer() == SP && checks.iter().all(|check| check.passed)), "{checks:#?}");
    outcome
}

#[test]
fn a_question_of_ours_is_answered_and_the_answer_read() {
    let artifact = Artifact::new(IDP, 0);
    let asked = asked(&artifact);
    assert!(xmlsec1_verifies(&asked.envelope, &RSA) && !xmlsec1_verifies(&asked.envelope, &OTHER_RSA));
    is_built_as_the_schema_says(cut(&asked.envelope, "samlp:ArtifactResolve"));
    let keys = RSA.trusted();
    let resolve = served(&asked.envelope, Some(&keys)).expect("good");
    assert_eq!((resolve.store_key(), resolve.partner()), (artifact.store_key(SP), SP));
    for inside in [None, Some(response(Sign::Assertion)), Some(response(Sign::Nothing))] {
        let answer = resolve.answer(IDP, inside.as_deref(), signer(), now()).expect("written");
        assert!(xmlsec1_verifies(&answer, &RSA), "{answer}");
        is_built_as_the_schema_says(cut(&answer, "samlp:ArtifactResponse"));
        let (sp, idp, policy, expected) = (sp(), idp(&RSA), ResponsePolicy::default(), expected());
        let terms =
            ResolutionTerms { resolve_id: &asked.id, sp: &sp, idp: &idp, decryption_keys: &[], policy: &policy, expected: &expected };
        let outcome = receive_artifact_response(&answer, &terms, &mut Vec::new());
        match inside {
            None => assert_eq!(outcome.expect_err("nothing in it").name(), "artifact-not-resolved"),
            Some(_) => assert_eq!(outcome.expect("read").subject(), "subject-1"),
        }
    }
}

#[test]
fn every_line_of_a_question_must_hold() {
    let keys = RSA.trusted();
    let good = asked(&Artifact::new(IDP, 0)).envelope;
    let resolve = cut(&good, "samlp:ArtifactResolve");
    let unsigned = resolve.replacen(cut(resolve, "ds:Signature"), "", 1);
    let again = |from: &str, to: &str| {
        let changed = unsigned.replacen(from, to, 1);
        assert_ne!(changed, unsigned, "{from}");
        envelope(&signed(&changed))
    };
    let artifact = cut(&unsigned, "samlp:Artifact").to_owned();
    let issued = format!("IssueInstant=\"{}\"", now());
    let at = |seconds| format!("IssueInstant=\"{}\"", now().plus_seconds(seconds));
    for (soap, name) in [
        (envelope(&unsigned), "unsigned"),
        (envelope(&sign(&unsigned, Signer::new(&OTHER_RSA.certified)).expect("signed")), "wrong-key"),
        (good.replacen("<samlp:Artifact>AAQ", "<samlp:Artifact>AAR", 1), "digest-differs"),
        (again("Version=\"2.0\"", "Version=\"1.1\""), "wrong-version"),
        (again(SERVICE, "https://other.example/artifact"), "wrong-destination"),
        (again(&format!("<saml:Issuer>{SP}"), "<saml:Issuer>https://other.example"), "wrong-issuer"),
        (again(&format!("<saml:Issuer>{SP}</saml:Issuer>"), ""), "issuer-missing"),
        (again(&issued, &at(-3600)), "issued-too-long-ago"),
        (again(&issued, &at(3600)), "issued-in-future"),
        (again(&artifact, &artifact.repeat(2)), "structure"),
        (again("<samlp:Artifact>AAQ", "<samlp:Artifact>AAE"), "artifact-unreadable"),
        (envelope(&signed(&unsigned.replace("ArtifactResolve", "LogoutRequest"))), "wrong-root"),
        (resolve.to_owned(), "not-soap"),
    ] {
        assert_eq!(served(&soap, Some(&keys)).expect_err("refused").name(), name, "{soap}");
    }
    assert_eq!(served(&good, None).expect_err("refused").name(), "verification-key-missing");
    assert!(served(&again(&format!(" Destination=\"{SERVICE}\""), ""), Some(&keys)).is_ok(), "SOAP needs no Destination");
}

/// Our answer to an application, sent as the request wants it.
fn issued(parts: SpParts, attributes: &str, relay_state: &str) -> Result<Issued, String> {
    let application = SpTrust::new(parts).expect("usable");
    let query = query(MessageKind::Request, &request_with(attributes, ""), Some(relay_state), Some(signer()));
    let checked =
        received(Incoming::Redirect { raw_query: &query }, &terms(&application)).map_err(|refused| refused.rejection.name().to_owned())?;
    let (settings, sealer) = (ResponseSettings::default(), sealer());
    let from = Responder { entity_id: OURS, application: &application, settings: &settings, signing_key: &RSA.certified, sealer: &sealer };
    let statement = Statement {
        subject: Subject { user_id: "u1", email: None },
        attributes: &[],
        authn_instant: now(),
        authn_context_class_ref: None,
        authenticating_authorities: &[],
        session_index: "_s1",
        session_not_on_or_after: None,
    };
    Ok(checked.reply_to().respond(&from, &statement, now()).expect("made"))
}

/// An application with an address for each binding, of which the second is for artifacts too.
fn both() -> SpParts {
    let mut parts = parts(&[&RSA.certificate]);
    let artifact = AssertionConsumerService::new(APP_ACS, Some(9), None).expect("an address");
    parts.acs.push(artifact.by(ResponseBinding::Artifact));
    parts
}

#[test]
fn an_application_gets_an_artifact_where_it_is_registered_for_that() {
    let by = |binding: &str| format!("ProtocolBinding=\"{binding}\"");
    let at = |binding: &str| format!("AssertionConsumerServiceURL=\"{}\" {}", APP_ACS.replace('&', "&amp;"), by(binding));
    for (attributes, artifact) in [
        (String::new(), false),
        (by(names::BINDING_ARTIFACT), true),
        (by(names::BINDING_POST), false),
        (at(names::BINDING_ARTIFACT), true),
        (at(names::BINDING_POST), false),
        (format!("AssertionConsumerServiceURL=\"{}\"", APP_ACS.replace('&', "&amp;")), false),
        ("AssertionConsumerServiceIndex=\"9\"".to_owned(), true),
        ("AssertionConsumerServiceIndex=\"3\"".to_owned(), false),
    ] {
        let issued = issued(both(), &attributes, "a state & more").expect("answered");
        assert_eq!((issued.kept.is_some(), matches!(issued.outgoing, Outgoing::Redirect(_))), (artifact, artifact), "{attributes}");
    }
    let elsewhere = format!("AssertionConsumerServiceURL=\"{APP_ACS_2}\" {}", by(names::BINDING_ARTIFACT));
    assert_eq!(issued(both(), &elsewhere, "").expect_err("not registered there"), "binding-unsupported");
    assert_eq!(issued(parts(&[&RSA.certificate]), &by(names::BINDING_ARTIFACT), "").expect_err("not registered"), "binding-unsupported");
    let keyless = SpTrust::new(SpParts { signing_certificates: Vec::new(), ..both() }).expect_err("nobody could ask");
    assert!(keyless.iter().any(|why| why.contains("artifact")), "{keyless:?}");
}

#[test]
fn what_stays_here_is_the_response_and_what_leaves_stands_for_it() {
    let asked_for = format!("ProtocolBinding=\"{}\"", names::BINDING_ARTIFACT);
    let issued_now = issued(both(), &asked_for, "a state & more").expect("answered");
    let (Outgoing::Redirect(url), Some(kept)) = (&issued_now.outgoing, &issued_now.kept) else { panic!("{issued_now:?}") };
    assert!(url.as_str().starts_with(&format!("{APP_ACS}&SAMLart=")), "the address keeps its own query: {url}");
    let parameter = |name: &str| url.query_pairs().find(|(found, _)| found == name).map(|(_, value)| value.into_owned());
    assert_eq!(parameter("RelayState").as_deref(), Some("a state & more"));
    let artifact = Artifact::parse(&parameter("SAMLart").expect("an artifact")).expect("of type 4");
    assert!(artifact.is_of(OURS) && artifact.endpoint_index() == ENDPOINT_INDEX);
    assert_eq!((kept.key == artifact.store_key(APP), kept.seconds), (true, 120));
    assert_ne!(kept.key, artifact.store_key(SP), "for another there is nothing");
    assert!(!format!("{issued_now:?}").contains("<saml:Assertion"), "what is said of somebody does not print");
    // The application asks, and reads what was kept.
    let (sp, idp) = (
        SpSettings { entity_id: APP.to_owned(), acs_url: APP_ACS.parse().expect("a URL") },
        IdpTrust { entity_id: OURS.to_owned(), ..idp(&RSA) },
    );
    let service = ResolutionService::new(SERVICE, Some(ENDPOINT_INDEX)).expect("an address");
    let question = artifact_resolve(&artifact, &sp, &service, signer(), now()).expect("written");
    let (policy, keys) = (MessagePolicy::default(), RSA.trusted());
    let serving = ResolveTerms { partner: APP, keys: Some(&keys), destination: SERVICE, policy: &policy, now: now() };
    let arrived = ArrivedResolve::decode(question.envelope).expect("readable");
    let resolve = receive_artifact_resolve(&arrived, &serving, &mut Vec::new()).expect("good");
    assert_eq!(resolve.store_key(), kept.key);
    let answer = resolve.answer(OURS, Some(&kept.xml), signer(), now()).expect("written");
    let (policy, expected) = (ResponsePolicy::default(), Expected { request_id: Some(ASKED), ..expected() });
    let terms =
        ResolutionTerms { resolve_id: &question.id, sp: &sp, idp: &idp, decryption_keys: &[], policy: &policy, expected: &expected };
    let read = receive_artifact_response(&answer, &terms, &mut Vec::new()).expect("accepted");
    assert_eq!(read.response_id(), issued_now.response_id);
    // A state that makes the address too long travels in a form, with the artifact.
    let long = "s".repeat(3000);
    let by_form = issued(both(), &asked_for, &long).expect("answered");
    let Outgoing::PostForm { action, fields } = by_form.outgoing else { panic!("too long for an address") };
    assert_eq!((action.as_str(), fields[0].0.as_str(), fields[1].1.as_str()), (APP_ACS, "SAMLart", long.as_str()));
}
