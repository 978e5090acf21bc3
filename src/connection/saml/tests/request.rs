//! The rows of the parity table that go upstream, and every setting of a request.

use super::*;
use crate::connection::BrowserStep;
use crate::connection::config::AttributeSet;
use crate::error::ErrorKind;
use crate::saml::metadata::about::RequestedSet;
use crate::saml::{Comparison, names};
use flate2::read::DeflateDecoder;
use std::io::Read as _;

const ISSUER: &str = "https://idp.example/metadata";

fn with(change: impl FnOnce(&mut Settings)) -> SamlConnection {
    connection(ISSUER, "saml", change)
}

/// The AuthnRequest that the connection makes of what is asked.
fn request(connection: &SamlConnection, wanted: &UpstreamRequest) -> String {
    match asked(connection, wanted).0 {
        BrowserStep::Redirect(url) => {
            let message = url.query_pairs().find(|(name, _)| name == "SAMLRequest").expect("a request").1.into_owned();
            let mut xml = String::new();
            let deflated = STANDARD.decode(message).expect("base64");
            DeflateDecoder::new(deflated.as_slice()).read_to_string(&mut xml).expect("inflated");
            xml
        }
        BrowserStep::PostForm { fields, .. } => String::from_utf8(STANDARD.decode(&fields[0].1).expect("base64")).expect("utf-8"),
    }
}

#[test]
fn a_request_says_nothing_but_what_it_must() {
    let xml =
        request(&with(|_| ()), &UpstreamRequest { scopes: vec!["openid".into()], select_account: true, ..UpstreamRequest::default() });
    for silent in [
        "ForceAuthn",
        "IsPassive",
        "RequestedAuthnContext",
        "Scoping",
        "saml:Subject",
        "AttributeConsumingServiceIndex",
        "ProviderName",
        "Signature",
        "Format=",
    ] {
        assert!(!xml.contains(silent), "{silent}: {xml}");
    }
    assert!(xml.contains("AllowCreate=\"true\"") && xml.contains("AssertionConsumerServiceURL="), "{xml}");
}

#[test]
fn every_setting_of_a_request_is_in_it() {
    let set = |change: fn(&mut Settings), expected: &str| {
        let xml = request(&with(change), &UpstreamRequest { requester: "notes".into(), ..UpstreamRequest::default() });
        assert!(xml.contains(expected), "{expected}: {xml}");
    };
    set(|settings| settings.force_authn = true, " ForceAuthn=\"true\"");
    set(
        |settings| settings.name_id_format = Some(names::NAMEID_EMAIL.into()),
        "Format=\"urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress\"",
    );
    set(|settings| settings.allow_create = false, "AllowCreate=\"false\"");
    set(|settings| settings.provider_name = Some("Notes & more".into()), "ProviderName=\"Notes &amp; more\"");
    set(|settings| settings.acs_index = Some(3), "AssertionConsumerServiceIndex=\"3\"");
    set(|settings| settings.attribute_consuming_service_index = Some(4), "AttributeConsumingServiceIndex=\"4\"");
    set(|settings| settings.proxy_count = Some(0), "<samlp:Scoping ProxyCount=\"0\">");
    set(|settings| settings.send_requester_id = true, "<samlp:RequesterID>notes</samlp:RequesterID>");
    set(|settings| settings.sp_entity_id = Some("urn:ours".into()), "<saml:Issuer>urn:ours</saml:Issuer>");
    set(|settings| (settings.request_binding, settings.sign_requests) = (Binding::Post, true), "<ds:SignatureValue>");
    for comparison in [Comparison::Exact, Comparison::Minimum, Comparison::Maximum, Comparison::Better] {
        let connection = with(|settings| {
            settings.authn_context = vec!["urn:one".into(), "urn:two".into()];
            settings.authn_context_comparison = comparison;
        });
        let xml = request(&connection, &UpstreamRequest::default());
        let expected = format!(
            "<samlp:RequestedAuthnContext Comparison=\"{}\"><saml:AuthnContextClassRef>urn:one</saml:AuthnContextClassRef><saml:AuthnContextClassRef>urn:two<",
            comparison.name()
        );
        assert!(xml.contains(&expected), "{xml}");
    }
}

#[test]
fn parity_prompt_none_is_passive_and_select_account_forces_where_the_connection_says_so() {
    let passive = UpstreamRequest { passive: true, ..UpstreamRequest::default() };
    assert!(request(&with(|_| ()), &passive).contains(" IsPassive=\"true\""));
    let choose = UpstreamRequest { select_account: true, ..UpstreamRequest::default() };
    let forcing = with(|settings| settings.select_account_forces_authn = true);
    assert!(request(&forcing, &choose).contains(" ForceAuthn=\"true\""));
    assert!(asked(&forcing, &choose).1.force_authn, "the answer is checked");
    assert!(!request(&forcing, &UpstreamRequest::default()).contains("ForceAuthn"));
}

#[test]
fn parity_acr_values_are_asked_with_the_application_s_comparison_or_the_connection_s() {
    let connection = with(|settings| {
        settings.acr = [("mfa".to_owned(), "urn:mfa".to_owned())].into();
        settings.authn_context = vec!["urn:usual".into()];
        settings.authn_context_comparison = Comparison::Minimum;
    });
    let values = UpstreamRequest { acr_values: vec!["mfa".into()], ..UpstreamRequest::default() };
    assert!(request(&connection, &values).contains("Comparison=\"minimum\"><saml:AuthnContextClassRef>urn:mfa<"));
    let exact = UpstreamRequest { acr_comparison: Some(Comparison::Exact), ..values };
    assert!(request(&connection, &exact).contains("Comparison=\"exact\"><saml:AuthnContextClassRef>urn:mfa<"));
    assert_eq!(asked(&connection, &exact).1.authn_context_comparison, Some(Comparison::Exact));
    let none = UpstreamRequest { acr_comparison: Some(Comparison::Exact), ..UpstreamRequest::default() };
    assert!(request(&connection, &none).contains("Comparison=\"minimum\"><saml:AuthnContextClassRef>urn:usual<"));
}

#[test]
fn parity_login_hint_is_a_subject_or_a_parameter_where_the_connection_names_one() {
    let hinted = UpstreamRequest { login_hint: Some("jane+x@acme.example".into()), ..UpstreamRequest::default() };
    let dropped = asked(&with(|_| ()), &hinted).0;
    assert!(!format!("{dropped:?}").contains("jane"));
    assert!(!request(&with(|_| ()), &hinted).contains("jane"));
    let as_subject = request(&with(|settings| settings.login_hint_as_subject = true), &hinted);
    assert!(as_subject.contains("emailAddress\">jane+x@acme.example</saml:NameID>"), "{as_subject}");
    // Beside the parameters of the protocol, whose signature stays as it is.
    let connection = with(|settings| (settings.login_hint_parameter, settings.sign_requests) = (Some("username".into()), true));
    let BrowserStep::Redirect(url) = asked(&connection, &hinted).0 else { panic!("a form") };
    let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    assert_eq!(pairs.last(), Some(&("username".to_owned(), "jane+x@acme.example".to_owned())));
    assert_eq!(
        pairs.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(),
        ["tenant", "SAMLRequest", "RelayState", "SigAlg", "Signature", "username"]
    );
    let connection =
        with(|settings| (settings.login_hint_parameter, settings.request_binding) = (Some("login_hint".into()), Binding::Post));
    let BrowserStep::PostForm { action, .. } = asked(&connection, &hinted).0 else { panic!("a redirect") };
    assert_eq!(action, "https://idp.example/sso/post?login_hint=jane%2Bx%40acme.example");
    // What the trace shows of the address has no person in it.
    let mut trace = Trace::default();
    connection.begin(TRANSACTION, &hinted, now(), &mut trace).expect("asked");
    assert!(!format!("{trace:?}").contains("jane"));
}

#[test]
fn parity_scopes_choose_the_set_of_attributes() {
    let set = |index, scopes: &[&str]| AttributeSet {
        scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
        requested: RequestedSet { index, ..RequestedSet::default() },
        from_mapping: false,
    };
    let connection = with(|settings| {
        settings.attribute_sets = vec![set(1, &["profile", "email"]), set(2, &["groups"])];
        settings.attribute_consuming_service_index = Some(0);
    });
    let index = |scopes: &[&str]| {
        let scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        let xml = request(&connection, &UpstreamRequest { scopes, ..UpstreamRequest::default() });
        xml.split_once("AttributeConsumingServiceIndex=\"").and_then(|(_, rest)| rest.split_once('"')).map(|(index, _)| index.to_owned())
    };
    assert_eq!(index(&["openid"]).as_deref(), Some("0"));
    assert_eq!(index(&["openid", "email"]).as_deref(), Some("1"));
    assert_eq!(index(&["groups", "email"]).as_deref(), Some("2"));
}

#[test]
fn parity_a_proxy_count_is_reduced_by_one_and_zero_asks_nobody() {
    let count = |own: Option<u32>, asked: Option<u32>| {
        let connection = with(|settings| settings.proxy_count = own);
        let wanted = UpstreamRequest { proxy_count: asked, ..UpstreamRequest::default() };
        let xml = request(&connection, &wanted);
        xml.split_once("ProxyCount=\"").and_then(|(_, rest)| rest.split_once('"')).and_then(|(count, _)| count.parse::<u32>().ok())
    };
    assert_eq!(count(None, None), None);
    assert_eq!(count(None, Some(1)), Some(0));
    assert_eq!(count(None, Some(7)), Some(6));
    assert_eq!(count(Some(2), Some(7)), Some(2));
    assert_eq!(count(Some(9), Some(7)), Some(6));
    let refused = with(|_| ()).begin(
        TRANSACTION,
        &UpstreamRequest { proxy_count: Some(0), ..UpstreamRequest::default() },
        now(),
        &mut Trace::default(),
    );
    assert_eq!(refused.map(drop).expect_err("refused").kind, ErrorKind::ProxyCountExceeded);
}

#[test]
fn parity_requesters_of_an_application_come_before_it() {
    let wanted = UpstreamRequest { requester: "wiki".into(), requester_ids: vec!["urn:first".into()], ..UpstreamRequest::default() };
    let xml = request(&with(|settings| settings.send_requester_id = true), &wanted);
    assert!(xml.contains("<samlp:RequesterID>urn:first</samlp:RequesterID><samlp:RequesterID>wiki</samlp:RequesterID>"), "{xml}");
    assert!(!request(&with(|_| ()), &wanted).contains("RequesterID"));
}
