//! Single Logout, both ways by both bindings, and what is refused.

use super::idp_support::{APP, OURS, application, parts, post};
use super::judges::{is_built_as_the_schema_says, xmlsec1_decrypts, xmlsec1_verifies};
use super::support::*;
use crate::saml::binding::{MessageKind, encode_redirect};
use crate::saml::encryption::KeyTransport;
use crate::saml::idp::{Encrypt, SpTrust};
use crate::saml::logout::*;
use crate::saml::signature::sign;
use crate::saml::*;
use url::Url;

const SLO: &str = "https://gateway.example.com/samlp/app/logout";
const ORDER: &str = "_logout1";

fn name_id() -> NameId {
    NameId {
        value: "_ada".to_owned(),
        format: Some(names::NAMEID_PERSISTENT.to_owned()),
        name_qualifier: Some(OURS.to_owned()),
        sp_name_qualifier: Some(APP.to_owned()),
        sp_provided_id: None,
    }
}

/// Ours, as the partner sees it.
fn service(binding: Binding) -> LogoutService {
    LogoutService { binding, location: SLO.parse().expect("a URL"), response_location: None }
}

fn terms<'a>(keys: Option<&'a TrustedKeys>, policy: &'a MessagePolicy) -> LogoutTerms<'a> {
    LogoutTerms { partner: APP, keys, destination: SLO, decryption_keys: &[], policy, now: now() }
}

fn receive_with(incoming: Incoming<'_>, key: Option<&TestKey>) -> Result<ReceivedLogout, Rejection> {
    let (keys, policy, mut checks) = (key.map(TestKey::trusted), MessagePolicy::default(), Vec::new());
    let decryption_keys = [&ENCRYPTION.certified];
    let terms = LogoutTerms { decryption_keys: &decryption_keys, ..terms(keys.as_ref(), &policy) };
    let outcome = ArrivedLogout::request(incoming).and_then(|arrived| receive_logout_request(&arrived, &terms, &mut checks));
    assert!(outcome.is_err() || checks.iter().all(|check| check.passed), "{checks:#?}");
    outcome
}

fn receive_sent(outgoing: &Outgoing, key: Option<&TestKey>) -> Result<ReceivedLogout, Rejection> {
    match outgoing {
        Outgoing::Redirect(url) => receive_with(Incoming::Redirect { raw_query: url.query().expect("a query") }, key),
        Outgoing::PostForm { fields, .. } => {
            let relay_state = fields.get(1).map(|(_, value)| value.as_str());
            receive_with(Incoming::Post { message: &fields[0].1, relay_state }, key)
        }
    }
}

/// A LogoutRequest of the application, unsigned.
fn request(attributes: &str, children: &str) -> String {
    format!(
        "<samlp:LogoutRequest xmlns:samlp=\"{}\" xmlns:saml=\"{}\" ID=\"{ORDER}\" Version=\"2.0\" IssueInstant=\"2026-11-21T02:42:00Z\" Destination=\"{SLO}\" {attributes}><saml:Issuer>{APP}</saml:Issuer>{children}</samlp:LogoutRequest>",
        names::SAMLP,
        names::SAML
    )
}

const NAME: &str = "<saml:NameID>_ada</saml:NameID>";

fn refusal(xml: &str) -> Rejection {
    let signed = sign(xml, signer()).expect("signed");
    let by_post = receive_with(Incoming::Post { message: &post(&signed), relay_state: None }, Some(&RSA)).expect_err("must be refused");
    let url = encode_redirect(MessageKind::Request, xml, &SLO.parse().expect("a URL"), None, Some(signer())).expect("encoded");
    let by_redirect =
        receive_with(Incoming::Redirect { raw_query: url.query().expect("a query") }, Some(&RSA)).expect_err("must be refused");
    assert_eq!(by_post, by_redirect);
    by_post
}

fn xml_of(outgoing: &Outgoing) -> String {
    match outgoing {
        Outgoing::PostForm { fields, .. } => binding::decode_post(&fields[0].1).expect("decoded"),
        Outgoing::Redirect(url) => binding::decode_redirect(url.query().expect("a query")).expect("decoded").xml,
    }
}

#[test]
fn a_request_arrives_with_everything_by_both_bindings() {
    let (name_id, sessions) = (name_id(), ["_s1".to_owned(), "_s<2>".to_owned()]);
    for (binding, key) in [(Binding::Redirect, &RSA), (Binding::Post, &RSA), (Binding::Redirect, &EC), (Binding::Post, &EC)] {
        for encrypt in [None, Some(Encrypt::to(&ENCRYPTION.certificate))] {
            let order =
                LogoutOrder { session_indexes: &sessions, reason: Some(names::LOGOUT_USER), encrypt, ..LogoutOrder::new(APP, &name_id) };
            let outgoing = logout_request(&order, &service(binding), Some("state &"), Signer::new(&key.certified), now()).expect("made");
            let xml = xml_of(&outgoing);
            is_built_as_the_schema_says(&xml);
            assert_eq!(xml.contains("_ada"), encrypt.is_none());
            assert!(binding == Binding::Redirect || xmlsec1_verifies(&xml, key), "{xml}");
            let received = receive_sent(&outgoing, Some(key)).expect("accepted");
            assert_eq!((received.id(), received.issuer(), received.relay_state()), (order.id.as_str(), APP, Some("state &")));
            assert_eq!((received.name_id(), received.session_indexes()), (&name_id, sessions.as_slice()));
            assert_eq!((received.reason(), received.remember_until()), (Some(names::LOGOUT_USER), now().plus_seconds(361)));
            let foreign = if binding == Binding::Redirect { "signature-invalid" } else { "wrong-key" };
            assert_eq!(receive_sent(&outgoing, Some(&OTHER_RSA)).expect_err("refused").name(), foreign);
            assert_eq!(receive_sent(&outgoing, None).expect_err("refused").name(), "verification-key-missing");
        }
    }
}

#[test]
fn an_encrypted_name_is_opened_by_another_program() {
    let name_id = name_id();
    let encrypt = Some(Encrypt { transport: KeyTransport::OAEP_MGF1P, ..Encrypt::to(&ENCRYPTION.certificate) });
    let order = LogoutOrder { encrypt, ..LogoutOrder::new(APP, &name_id) };
    let outgoing = logout_request(&order, &service(Binding::Post), None, signer(), now()).expect("made");
    assert!(xmlsec1_decrypts(&xml_of(&outgoing), &ENCRYPTION).contains(">_ada</saml:NameID>"));
}

#[test]
fn answers_go_to_the_response_location_and_say_what_happened() {
    let application: SpTrust = application();
    let (keys, policy, name_id) = (RSA.trusted(), MessagePolicy::default(), name_id());
    for binding in [Binding::Redirect, Binding::Post] {
        let order = LogoutOrder::new(APP, &name_id);
        let sent = logout_request(&order, &service(binding), Some("state"), signer(), now()).expect("made");
        let received = receive_sent(&sent, Some(&RSA)).expect("accepted");
        let to = application.logout_service(binding).expect("an endpoint");
        assert_eq!(to.binding, binding);
        let failed = LogoutOutcome::Failed {
            top: "Requester".to_owned(),
            second: Some("UnknownPrincipal".to_owned()),
            message: Some("<no>".to_owned()),
        };
        for outcome in [LogoutOutcome::Done, LogoutOutcome::Partial, failed] {
            let answer = received.answer(OURS, to, &outcome, signer(), now()).expect("made");
            let xml = xml_of(&answer);
            is_built_as_the_schema_says(&xml);
            let destination = if binding == Binding::Post { "https://app.example.org/slo/done" } else { "https://app.example.org/slo" };
            assert!(xml.contains(&format!("Destination=\"{destination}\"")), "{xml}");
            let incoming = match &answer {
                Outgoing::Redirect(url) => Incoming::Redirect { raw_query: url.query().expect("a query") },
                Outgoing::PostForm { action, fields } => {
                    assert_eq!(action.as_str(), destination);
                    Incoming::Post { message: &fields[0].1, relay_state: Some(&fields[1].1) }
                }
            };
            // Now the application is the one that receives.
            let arrived = ArrivedLogout::response(incoming).expect("read");
            assert_eq!(arrived.issuer(), OURS);
            let terms = LogoutTerms { partner: OURS, destination, ..terms(Some(&keys), &policy) };
            let response = receive_logout_response(&arrived, &order.id, &terms, &mut Vec::new()).expect("accepted");
            assert_eq!((response.outcome(), response.relay_state()), (&outcome, Some("state")));
            let other = receive_logout_response(&arrived, "_other", &terms, &mut Vec::new()).expect_err("refused");
            assert_eq!(other.name(), "wrong-in-response-to");
            let unsigned = LogoutTerms { keys: None, ..terms };
            let refused = receive_logout_response(&arrived, &order.id, &unsigned, &mut Vec::new()).expect_err("refused");
            assert_eq!(refused.name(), "verification-key-missing");
            // It is no request.
            let refused = receive_logout_request(&arrived, &terms, &mut Vec::new()).expect_err("refused");
            assert_eq!(refused.name(), "wrong-root");
        }
    }
}

#[test]
fn every_promise_of_a_logout_request_has_its_own_refusal() {
    let good = request("", NAME);
    let signed = sign(&good, signer()).expect("signed");
    let received = receive_with(Incoming::Post { message: &post(&signed), relay_state: None }, Some(&RSA)).expect("good");
    assert_eq!((received.session_indexes().len(), received.remember_until()), (0, now().plus_seconds(361)));
    for (xml, name) in [
        (good.replace("\"2.0\"", "\"2.1\""), "wrong-version"),
        (good.replace(&format!(">{APP}<"), ">https://other.example/<"), "wrong-issuer"),
        (good.replace(&format!(" Destination=\"{SLO}\""), ""), "destination-missing"),
        (good.replace(SLO, "https://gateway.example.com/samlp/other/logout"), "wrong-destination"),
        (good.replace("02:42:00Z", "02:35:00Z"), "issued-too-long-ago"),
        (good.replace("02:42:00Z", "02:44:00Z"), "issued-in-future"),
        (request("", ""), "name-id-missing"),
        (request("", "<saml:NameID> </saml:NameID>"), "name-id-missing"),
        (request("", "<saml:BaseID/>"), "name-id-missing"),
        (request("", &format!("{NAME}{NAME}")), "structure"),
        (request("", &format!("{NAME}<saml:EncryptedID/>")), "structure"),
        (request("", "<saml:EncryptedID/>"), "decryption-failed"),
        (request("NotOnOrAfter=\"2026-11-21T02:41:00Z\"", NAME), "message-expired"),
        (request("NotOnOrAfter=\"never\"", NAME), "date-unreadable"),
        (request("", &format!("{NAME}{}", "<samlp:SessionIndex>x</samlp:SessionIndex>".repeat(1001))), "too-complex"),
    ] {
        assert_eq!(refusal(&xml).name(), name, "{xml}");
    }
    let soon = sign(&request("NotOnOrAfter=\"2026-11-21T02:41:01Z\"", NAME), signer()).expect("signed");
    let received = receive_with(Incoming::Post { message: &post(&soon), relay_state: None }, Some(&RSA)).expect("within the skew");
    assert_eq!(received.remember_until(), now().plus_seconds(2), "no longer than the request says");
    // Nobody is signed out by a message that anybody could have sent.
    assert_eq!(
        receive_with(Incoming::Post { message: &post(&good), relay_state: None }, Some(&RSA)).expect_err("refused").name(),
        "unsigned"
    );
    let url = encode_redirect(MessageKind::Request, &good, &SLO.parse::<Url>().expect("a URL"), None, None).expect("encoded");
    let refused = receive_with(Incoming::Redirect { raw_query: url.query().expect("a query") }, Some(&RSA)).expect_err("refused");
    assert_eq!(refused.name(), "unsigned");
}

#[test]
fn a_logout_response_is_refused_for_what_it_lacks() {
    let (keys, policy) = (RSA.trusted(), MessagePolicy::default());
    let good = format!(
        "<samlp:LogoutResponse xmlns:samlp=\"{}\" xmlns:saml=\"{}\" ID=\"_r\" Version=\"2.0\" IssueInstant=\"2026-11-21T02:42:00Z\" Destination=\"{SLO}\" InResponseTo=\"{ORDER}\"><saml:Issuer>{APP}</saml:Issuer><samlp:Status><samlp:StatusCode Value=\"{}\"><samlp:StatusCode Value=\"{}\"/></samlp:StatusCode></samlp:Status></samlp:LogoutResponse>",
        names::SAMLP,
        names::SAML,
        names::STATUS_SUCCESS,
        names::STATUS_PARTIAL_LOGOUT
    );
    let receive = |xml: &str| {
        let arrived = ArrivedLogout::response(Incoming::Post { message: &post(xml), relay_state: None })?;
        receive_logout_response(&arrived, ORDER, &terms(Some(&keys), &policy), &mut Vec::new()).map(|response| response.outcome().clone())
    };
    let signed = |xml: &str| sign(xml, signer()).expect("signed");
    assert_eq!(receive(&signed(&good)), Ok(LogoutOutcome::Partial));
    assert_eq!(receive(&signed(&good.replace("status:Success", "status:Responder"))), Ok(LogoutOutcome::Partial));
    assert_eq!(receive(&good).expect_err("refused").name(), "unsigned");
    for (xml, name) in [
        (good.replace(&format!(" InResponseTo=\"{ORDER}\""), ""), "wrong-in-response-to"),
        (good.replace("Status>", "Other>"), "status-missing"),
        (good.replace(SLO, "https://x.example/"), "wrong-destination"),
        (good.replace(&format!(">{APP}<"), ">urn:x<"), "wrong-issuer"),
        (good.replace("LogoutResponse", "LogoutRequest"), "wrong-root"),
    ] {
        assert_eq!(receive(&signed(&xml)).expect_err("refused").name(), name);
    }
}

#[test]
fn a_request_concerns_the_sessions_that_it_names() {
    let receive = |name: &str, sessions: &str| {
        let signed = sign(&request("", &format!("{name}{sessions}")), signer()).expect("signed");
        receive_with(Incoming::Post { message: &post(&signed), relay_state: None }, Some(&RSA)).expect("accepted")
    };
    let (all, ours) = (receive(NAME, ""), name_id());
    assert!(all.concerns(&ours, Some("_s1")) && all.concerns(&ours, None));
    assert!(!all.concerns(&NameId { value: "_bob".to_owned(), ..name_id() }, Some("_s1")));
    let some = receive(NAME, "<samlp:SessionIndex>_s1</samlp:SessionIndex><samlp:SessionIndex> _s2 </samlp:SessionIndex>");
    assert!(some.concerns(&ours, Some("_s1")) && some.concerns(&ours, Some("_s2")));
    assert!(!some.concerns(&ours, Some("_s3")) && !some.concerns(&ours, None));
    let qualified = |attributes: &str| receive(&format!("<saml:NameID {attributes}>_ada</saml:NameID>"), "").concerns(&ours, None);
    assert!(qualified(&format!("Format=\"{}\" NameQualifier=\"{OURS}\" SPNameQualifier=\"{APP}\"", names::NAMEID_PERSISTENT)));
    assert!(qualified(&format!("Format=\"{}\"", names::NAMEID_UNSPECIFIED)));
    assert!(!qualified(&format!("Format=\"{}\"", names::NAMEID_EMAIL)));
    assert!(!qualified("NameQualifier=\"https://other.example\"") && !qualified("SPNameQualifier=\"https://other.example\""));
}

/// A signed request of the application, wrapped so that the forger's name is read and the application's is verified.
#[test]
fn wrapped_requests_are_refused() {
    let genuine = sign(&request("", NAME), signer()).expect("signed");
    let signature = cut(&genuine, "ds:Signature").to_owned();
    let evil = request("", "<saml:NameID>_victim</saml:NameID>").replace(ORDER, "_evil");
    let after_issuer = |xml: &str, inner: &str| xml.replacen("</saml:Issuer>", &format!("</saml:Issuer>{inner}"), 1);
    for (xml, name) in [
        // The genuine one inside: as an extension, behind the name, in the signature.
        (after_issuer(&evil, &format!("<samlp:Extensions>{genuine}</samlp:Extensions>")), "signature-misplaced"),
        (evil.replace("</samlp:LogoutRequest>", &format!("{genuine}</samlp:LogoutRequest>")), "signature-misplaced"),
        (
            after_issuer(
                &evil,
                &signature
                    .replace("</ds:Signature>", &format!("<ds:Object>{}</ds:Object></ds:Signature>", genuine.replace(&signature, ""))),
            ),
            "signature-structure",
        ),
        // Its signature moved to the forged one.
        (after_issuer(&evil, &signature), "wrong-reference"),
        (after_issuer(&evil.replace("_evil", ORDER), &signature), "digest-differs"),
        (after_issuer(&genuine, &signature), "several-signatures"),
        (genuine.replace("<saml:NameID>_ada", "<saml:NameID>_victim"), "digest-differs"),
        (genuine.replace("<saml:NameID>_ada", "<saml:NameID>_a<!-- -->da"), "comment-or-instruction"),
        (genuine.replace("<samlp:LogoutRequest", "<!DOCTYPE x><samlp:LogoutRequest"), "document-type"),
    ] {
        let outcome = receive_with(Incoming::Post { message: &post(&xml), relay_state: None }, Some(&RSA));
        assert_eq!(outcome.expect_err("must be refused").name(), name, "{xml}");
    }
    // A signature inside a message that came by redirect counts for nothing, and may not be there.
    let url = encode_redirect(MessageKind::Request, &genuine, &SLO.parse().expect("a URL"), None, None).expect("encoded");
    let refused = receive_with(Incoming::Redirect { raw_query: url.query().expect("a query") }, Some(&RSA)).expect_err("refused");
    assert_eq!(refused.name(), "signature-misplaced");
}

#[test]
fn an_application_without_certificates_cannot_sign_anybody_out() {
    let application = SpTrust::new(parts(&[])).expect("usable");
    assert!(application.keys().is_none());
    let signed = sign(&request("", NAME), signer()).expect("signed");
    let refused = receive_with(Incoming::Post { message: &post(&signed), relay_state: None }, None).expect_err("refused");
    assert_eq!(refused.name(), "verification-key-missing");
}
