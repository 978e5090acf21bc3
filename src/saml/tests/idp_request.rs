//! What applications ask: each refusal has a request here that breaks only this promise.

use super::idp_support::*;
use super::support::*;
use crate::saml::binding::MessageKind;
use crate::saml::encryption::{ContentCipher, KeyTransport, encrypt_name_id};
use crate::saml::idp::*;
use crate::saml::signature::sign;
use crate::saml::*;

fn refused(xml: &str) -> Box<Refused> {
    by_redirect(xml, None).expect_err("must be refused")
}

#[test]
fn everything_that_is_asked_arrives_by_both_bindings() {
    let xml = request_with(
        &format!(
            "ForceAuthn=\"1\" IsPassive=\"true\" AssertionConsumerServiceURL=\"{}\" ProtocolBinding=\"{}\" AttributeConsumingServiceIndex=\"2\"",
            APP_ACS.replace('&', "&amp;"),
            names::BINDING_POST
        ),
        &format!(
            "<samlp:Extensions><x xmlns=\"urn:x\">&lt;</x></samlp:Extensions><saml:Subject><saml:NameID>ada@example.edu</saml:NameID></saml:Subject><samlp:NameIDPolicy Format=\"{}\" SPNameQualifier=\"{APP}\" AllowCreate=\"true\"/><saml:Conditions NotOnOrAfter=\"2026-11-21T02:43:00Z\"><saml:AudienceRestriction><saml:Audience>{APP}</saml:Audience></saml:AudienceRestriction></saml:Conditions><samlp:RequestedAuthnContext Comparison=\"minimum\"><saml:AuthnContextClassRef>{}</saml:AuthnContextClassRef></samlp:RequestedAuthnContext><samlp:Scoping ProxyCount=\"2\"><samlp:IDPList><samlp:IDPEntry ProviderID=\"{IDP}\"/></samlp:IDPList><samlp:RequesterID>urn:r</samlp:RequesterID></samlp:Scoping>",
            names::NAMEID_TRANSIENT,
            names::AC_PASSWORD
        ),
    );
    let redirect = by_redirect(&xml, Some("state &+/\u{fc}")).expect("by redirect");
    let signed = post(&sign(&xml, signer()).expect("signed"));
    let by_post = received(Incoming::Post { message: &signed, relay_state: Some("state &+/\u{fc}") }, &terms(&application()));
    for request in [redirect, by_post.expect("by post")] {
        let said = request.said();
        assert_eq!((request.id(), said.issuer.as_str(), said.signed), (ASKED, APP, true));
        assert!(said.force_authn && said.is_passive && said.allow_create == Some(true));
        assert_eq!(
            (said.comparison, said.requested_authn_context.as_slice()),
            (Comparison::Minimum, [names::AC_PASSWORD.to_owned()].as_slice())
        );
        assert_eq!(
            (said.idp_list.as_slice(), said.requester_ids.as_slice()),
            ([IDP.to_owned()].as_slice(), ["urn:r".to_owned()].as_slice())
        );
        assert_eq!((request.proxy_count().ok(), said.attribute_consuming_service_index), (Some(Some(1)), Some(2)));
        assert_eq!(said.subject_hint.as_deref(), Some("ada@example.edu"));
        let reply_to = request.reply_to();
        assert_eq!((reply_to.entity_id(), reply_to.acs_url(), reply_to.in_response_to()), (APP, APP_ACS, Some(ASKED)));
        assert_eq!((reply_to.relay_state(), reply_to.asked_name_id_format()), (Some("state &+/\u{fc}"), Some(NameIdFormat::Transient)));
        // Five minutes and a minute's skew after its IssueInstant it would be refused.
        assert_eq!(request.remember_until(), now().plus_seconds(-5 + 300 + 60 + 1));
    }
}

#[test]
fn every_promise_of_a_request_has_its_own_refusal() {
    let good = request_with("", "");
    by_redirect(&good, None).expect("good");
    let at = |seconds: i64| good.replace("02:41:55Z", now().plus_seconds(seconds).to_string().split_once('T').expect("a time").1);
    for (xml, name) in [
        (good.replace("\"2.0\"", "\"1.1\""), "wrong-version"),
        (good.replace(" Version=\"2.0\"", ""), "wrong-version"),
        (good.replace(&format!(" ID=\"{ASKED}\""), ""), "id-missing"),
        (good.replace(ASKED, "1 x"), "id-missing"),
        (good.replace(ASKED, &"x".repeat(257)), "id-missing"),
        (good.replace(&format!(">{APP}<"), ">https://other.example/<"), "wrong-issuer"),
        (good.replace(&format!(">{APP}<"), "> <"), "issuer-missing"),
        (good.replace("<saml:Issuer>", &format!("<saml:Issuer Format=\"{}\">", names::NAMEID_EMAIL)), "wrong-issuer-format"),
        (good.replace(&format!(" Destination=\"{SSO}\""), ""), "destination-missing"),
        (good.replace(SSO, &format!("{SSO}/")), "wrong-destination"),
        (good.replace(" IssueInstant=", " x="), "date-missing"),
        (good.replace("02:41:55Z", "soon"), "date-unreadable"),
        (at(61), "issued-in-future"),
        (at(-361), "issued-too-long-ago"),
        (good.replace("AuthnRequest", "LogoutRequest"), "wrong-root"),
        (good.replace(names::SAMLP, names::SAML), "wrong-root"),
    ] {
        let refused = refused(&xml);
        assert_eq!(refused.rejection.name(), name, "{refused} for {xml}");
        assert!(refused.reply_to.is_none(), "nobody may be answered yet: {name}");
    }
    by_redirect(&at(60), None).expect("within the skew");
    by_redirect(&at(-360), None).expect("within the window");
}

#[test]
fn answers_go_to_registered_addresses_only() {
    let asking = |attributes: &str| by_redirect(&request_with(attributes, ""), None);
    let acs = |attributes: &str| asking(attributes).expect("accepted").reply_to().acs_url().to_owned();
    assert_eq!(acs(""), APP_ACS, "the default is the first that does not say it is none");
    assert_eq!(acs("AssertionConsumerServiceIndex=\"7\""), APP_ACS_2);
    assert_eq!(acs(&format!("AssertionConsumerServiceURL=\"{APP_ACS_2}\"")), APP_ACS_2);
    for attributes in [
        "AssertionConsumerServiceURL=\"https://evil.example/acs\"",
        "AssertionConsumerServiceURL=\"https://app.example.org/acs2\"",
        "AssertionConsumerServiceURL=\"https://App.example.org:443/acs2/\"",
        "AssertionConsumerServiceURL=\"https://App.example.org:443/acs2?\"",
        "AssertionConsumerServiceURL=\" https://App.example.org:443/acs2\"",
        "AssertionConsumerServiceURL=\"https://app.example.org/acs?tenant=1&amp;x=%2F\"",
        "AssertionConsumerServiceURL=\"\"",
        "AssertionConsumerServiceIndex=\"0\"",
    ] {
        // The signature is a good one.
        let refused = asking(attributes).expect_err(attributes);
        assert_eq!((refused.rejection.name(), refused.reply_to.is_none()), ("acs-not-registered", true), "{attributes}");
    }
    for attributes in [
        format!("AssertionConsumerServiceIndex=\"7\" AssertionConsumerServiceURL=\"{APP_ACS_2}\""),
        format!("AssertionConsumerServiceIndex=\"7\" ProtocolBinding=\"{}\"", names::BINDING_POST),
        "AssertionConsumerServiceIndex=\"seven\"".to_owned(),
        "AssertionConsumerServiceIndex=\"65536\"".to_owned(),
    ] {
        assert_eq!(asking(&attributes).expect_err(&attributes).rejection.name(), "structure", "{attributes}");
    }
}

#[test]
fn a_signature_is_needed_where_anybody_says_so_and_never_ignored() {
    let xml = request_with("", "");
    let unsigned = query(MessageKind::Request, &xml, None, None);
    let signed_by = |key: &TestKey| query(MessageKind::Request, &xml, None, Some(Signer::new(&key.certified)));
    let verdict = |raw_query: &str, application: &SpTrust, require_signed| {
        let terms = RequestTerms { require_signed, ..terms(application) };
        received(Incoming::Redirect { raw_query }, &terms).map(|request| request.said().signed).map_err(|refused| refused.rejection.name())
    };
    let none = SpTrust::new(parts(&[])).expect("usable");
    let says_so = SpTrust::new(SpParts { authn_requests_signed: true, ..parts(&[&RSA.certificate]) }).expect("usable");
    let two = SpTrust::new(parts(&[&EC.certificate, &RSA.certificate])).expect("usable");
    assert_eq!(verdict(&unsigned, &application(), false), Ok(false));
    assert_eq!(verdict(&unsigned, &application(), true), Err("unsigned"));
    assert_eq!(verdict(&unsigned, &says_so, false), Err("unsigned"));
    assert_eq!(verdict(&unsigned, &none, false), Ok(false));
    assert_eq!(verdict(&unsigned, &none, true), Err("unsigned"));
    for require in [false, true] {
        assert_eq!(verdict(&signed_by(&RSA), &application(), require), Ok(true));
        assert_eq!(verdict(&signed_by(&RSA), &two, require), Ok(true));
        assert_eq!(verdict(&signed_by(&EC), &two, require), Ok(true));
        assert_eq!(verdict(&signed_by(&OTHER_RSA), &application(), require), Err("signature-invalid"));
        assert_eq!(verdict(&signed_by(&RSA), &none, require), Err("verification-key-missing"));
        let sha1 = signed_by(&RSA).replace("rsa-sha256", "rsa-sha1");
        assert_eq!(verdict(&sha1, &application(), require), Err("algorithm-refused"));
        let hmac = signed_by(&RSA).replace("rsa-sha256", "hmac-sha256");
        assert_eq!(verdict(&hmac, &application(), require), Err("algorithm-refused"));
        let half = signed_by(&RSA).split("&Signature=").next().expect("a half").to_owned();
        assert_eq!(verdict(&half, &application(), require), Err("signature-structure"));
    }
    // By POST alike.
    let verdict = |xml: &str, require_signed| {
        let application = application();
        let terms = RequestTerms { require_signed, ..terms(&application) };
        let outcome = received(Incoming::Post { message: &post(xml), relay_state: None }, &terms);
        outcome.map(|request| request.said().signed).map_err(|refused| refused.rejection.name())
    };
    let signed = sign(&xml, signer()).expect("signed");
    for require in [false, true] {
        assert_eq!(verdict(&signed, require), Ok(true));
        assert_eq!(verdict(&sign(&xml, Signer::new(&OTHER_RSA.certified)).expect("signed"), require), Err("wrong-key"));
        assert_eq!(verdict(&signed.replace("Version=\"2.0\"", "Version=\"2.0\" ForceAuthn=\"true\""), require), Err("digest-differs"));
    }
    assert_eq!((verdict(&xml, false), verdict(&xml, true)), (Ok(false), Err("unsigned")));
}

#[test]
fn what_can_be_told_to_the_application_is() {
    let policy = |attributes: &str| request_with("", &format!("<samlp:NameIDPolicy {attributes}/>"));
    let context = |inner: &str| request_with("", &format!("<samlp:RequestedAuthnContext>{inner}</samlp:RequestedAuthnContext>"));
    let conditions = |attributes: &str, inner: &str| request_with("", &format!("<saml:Conditions {attributes}>{inner}</saml:Conditions>"));
    let requester = "Requester";
    for (xml, name, status) in [
        (
            request_with(&format!("ProtocolBinding=\"{}\"", names::BINDING_REDIRECT), ""),
            "binding-unsupported",
            (requester, "UnsupportedBinding"),
        ),
        (
            request_with("ProtocolBinding=\"urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Artifact\"", ""),
            "binding-unsupported",
            (requester, "UnsupportedBinding"),
        ),
        (request_with("ForceAuthn=\"yes\"", ""), "structure", (requester, "RequestUnsupported")),
        (request_with("IsPassive=\"\"", ""), "structure", (requester, "RequestUnsupported")),
        (policy(&format!("Format=\"{}\"", names::NAMEID_EMAIL)), "name-id-policy-refused", (requester, "InvalidNameIDPolicy")),
        (
            policy("Format=\"urn:oasis:names:tc:SAML:2.0:nameid-format:kerberos\""),
            "name-id-policy-refused",
            (requester, "InvalidNameIDPolicy"),
        ),
        (policy("SPNameQualifier=\"https://other.example\""), "name-id-policy-refused", (requester, "InvalidNameIDPolicy")),
        (policy("AllowCreate=\"maybe\""), "structure", (requester, "RequestUnsupported")),
        (context(""), "authn-context-unsupported", ("Responder", "NoAuthnContext")),
        (context("<saml:AuthnContextClassRef> </saml:AuthnContextClassRef>"), "authn-context-unsupported", ("Responder", "NoAuthnContext")),
        (
            context(
                "<saml:AuthnContextClassRef>urn:x</saml:AuthnContextClassRef><saml:AuthnContextDeclRef>urn:x</saml:AuthnContextDeclRef>",
            ),
            "authn-context-unsupported",
            ("Responder", "NoAuthnContext"),
        ),
        (
            context("").replace("<samlp:RequestedAuthnContext>", "<samlp:RequestedAuthnContext Comparison=\"EXACT\">"),
            "structure",
            (requester, "RequestUnsupported"),
        ),
        (conditions("NotBefore=\"2026-11-21T02:43:01Z\"", ""), "request-conditions-refused", (requester, "RequestUnsupported")),
        (conditions("NotOnOrAfter=\"2026-11-21T02:42:00Z\"", ""), "request-conditions-refused", (requester, "RequestUnsupported")),
        (
            conditions("", "<saml:AudienceRestriction><saml:Audience>urn:other</saml:Audience></saml:AudienceRestriction>"),
            "request-conditions-refused",
            (requester, "RequestUnsupported"),
        ),
        (conditions("", "<saml:Condition/>"), "request-conditions-refused", (requester, "RequestUnsupported")),
        (request_with("", "<samlp:Scoping ProxyCount=\"-1\"/>"), "structure", (requester, "RequestUnsupported")),
        (
            request_with("", &format!("<samlp:Scoping>{}</samlp:Scoping>", "<samlp:RequesterID>x</samlp:RequesterID>".repeat(101))),
            "too-complex",
            (requester, "RequestUnsupported"),
        ),
        (
            request_with("", "<saml:Subject><saml:NameID>a</saml:NameID><saml:SubjectConfirmation Method=\"x\"/></saml:Subject>"),
            "structure",
            (requester, "RequestUnsupported"),
        ),
        (
            request_with("", "<saml:Subject><saml:NameID>a</saml:NameID><saml:NameID>b</saml:NameID></saml:Subject>"),
            "structure",
            (requester, "RequestUnsupported"),
        ),
        (request_with("", "<samlp:NameIDPolicy/><samlp:NameIDPolicy/>"), "structure", (requester, "RequestUnsupported")),
    ] {
        let refused = refused(&xml);
        assert_eq!(refused.rejection.name(), name, "{refused} for {xml}");
        assert_eq!((refused.status().top, refused.status().second), status, "{xml}");
        assert_eq!(refused.reply_to.as_ref().map(SamlReplyTo::acs_url), Some(APP_ACS), "{xml}");
    }
}

#[test]
fn an_encrypted_subject_is_opened_with_our_key_only() {
    let name_id = format!("<saml:NameID xmlns:saml=\"{}\">ada@example.edu</saml:NameID>", names::SAML);
    let to = |key: &TestKey, plain: &str| {
        let encrypted = encrypt_name_id(plain, &key.certificate, ContentCipher::Aes256Gcm, KeyTransport::OAEP).expect("encrypted");
        request_with("", &format!("<saml:Subject>{encrypted}</saml:Subject>"))
    };
    let request = by_redirect(&to(&OTHER_RSA, &name_id), None).expect("accepted");
    assert_eq!(request.said().subject_hint.as_deref(), Some("ada@example.edu"));
    let refused = refused(&to(&RSA, &name_id));
    assert_eq!((&refused.rejection, refused.status().second), (&Rejection::DecryptionFailed, "UnknownPrincipal"));
    assert_eq!(by_redirect(&to(&OTHER_RSA, "<x/>"), None).expect_err("refused").rejection.name(), "wrong-root");
    assert_eq!(by_redirect(&to(&OTHER_RSA, "<!DOCTYPE x><x/>"), None).expect_err("refused").rejection.name(), "document-type");
    let both = to(&OTHER_RSA, &name_id).replace("<saml:Subject>", "<saml:Subject><saml:NameID>x</saml:NameID>");
    assert_eq!(by_redirect(&both, None).expect_err("refused").rejection.name(), "structure");
}

#[test]
fn the_asked_name_id_may_be_encrypted_where_there_is_a_key() {
    let xml = request_with("", &format!("<samlp:NameIDPolicy Format=\"{}\"/>", names::NAMEID_ENCRYPTED));
    assert_eq!(by_redirect(&xml, None).expect("accepted").reply_to().asked_name_id_format(), None);
    let without = SpTrust::new(SpParts { encryption_keys: Vec::new(), ..parts(&[&RSA.certificate]) }).expect("usable");
    let query = query(MessageKind::Request, &xml, None, Some(signer()));
    let refused = received(Incoming::Redirect { raw_query: &query }, &terms(&without)).expect_err("refused");
    assert_eq!(refused.rejection.name(), "name-id-policy-refused");
}

#[test]
fn a_proxy_count_of_zero_forbids_to_ask_further() {
    let with = |count: &str| by_redirect(&request_with("", &format!("<samlp:Scoping {count}/>")), None).expect("accepted");
    assert_eq!(with("ProxyCount=\"0\"").proxy_count().expect_err("refused").second, "ProxyCountExceeded");
    assert_eq!(with("ProxyCount=\"1\"").proxy_count().ok(), Some(Some(0)));
    assert_eq!(with("").proxy_count().ok(), Some(None));
}

#[test]
fn authentication_contexts_compare_as_they_were_asked_to() {
    let ranking = ["weak", "middle", "strong"].map(str::to_owned);
    for (comparison, asked, met) in [
        ("", "middle", vec!["middle"]),
        ("exact", "weak strong", vec!["weak", "strong"]),
        ("minimum", "middle", vec!["middle", "strong"]),
        ("maximum", "middle", vec!["weak", "middle"]),
        ("better", "middle", vec!["strong"]),
        ("better", "weak middle", vec!["strong"]),
        ("better", "strong", vec![]),
        ("minimum", "unranked", vec!["unranked"]),
        ("better", "unranked", vec![]),
    ] {
        let classes: String =
            asked.split(' ').map(|class| format!("<saml:AuthnContextClassRef>{class}</saml:AuthnContextClassRef>")).collect();
        let attribute = if comparison.is_empty() { String::new() } else { format!(" Comparison=\"{comparison}\"") };
        let xml = request_with("", &format!("<samlp:RequestedAuthnContext{attribute}>{classes}</samlp:RequestedAuthnContext>"));
        let request = by_redirect(&xml, None).expect("accepted");
        for class in ["weak", "middle", "strong", "unranked", "other"] {
            assert_eq!(request.is_met_by(Some(class), &ranking), met.contains(&class), "{comparison} {asked}: {class}");
        }
        assert!(!request.is_met_by(None, &ranking));
    }
    assert!(by_redirect(&request_with("", ""), None).expect("accepted").is_met_by(None, &[]));
}

#[test]
fn our_own_requests_are_understood() {
    let sp = SpSettings { entity_id: APP.to_owned(), acs_url: APP_ACS.parse().expect("a URL") };
    let at = |binding| Endpoint { binding, location: SSO.parse().expect("a URL") };
    let idp = IdpTrust { sso_endpoints: vec![at(Binding::Redirect), at(Binding::Post)], ..idp(&RSA) };
    for binding in [Binding::Redirect, Binding::Post] {
        let options = RequestOptions { subject_hint: Some("ada".to_owned()), proxy_count: Some(1), ..RequestOptions::new() };
        let application = application();
        let outcome = match authn_request(&sp, &idp, &options, binding, Some("s"), Some(signer()), now()).expect("made") {
            Outgoing::Redirect(url) => received(Incoming::Redirect { raw_query: url.query().expect("a query") }, &terms(&application)),
            Outgoing::PostForm { fields, .. } => {
                received(Incoming::Post { message: &fields[0].1, relay_state: Some(&fields[1].1) }, &terms(&application))
            }
        };
        let request = outcome.expect("accepted");
        assert_eq!((request.id(), request.reply_to().relay_state()), (options.id.as_str(), Some("s")));
    }
}

#[test]
fn without_a_request_only_where_that_is_registered() {
    let application = application();
    assert_eq!(SamlReplyTo::unsolicited(&application, false, None).expect_err("refused"), Rejection::UnsolicitedNotAllowed);
    let reply_to = SamlReplyTo::unsolicited(&application, true, Some("deep link")).expect("allowed");
    assert_eq!((reply_to.acs_url(), reply_to.in_response_to(), reply_to.relay_state()), (APP_ACS, None, Some("deep link")));
}
