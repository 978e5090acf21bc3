//! Our AuthnRequest as an identity provider reads it.

use super::support::*;
use crate::saml::idp::{receive_post, receive_redirect};
use crate::saml::*;

fn options() -> RequestOptions {
    RequestOptions {
        force_authn: true,
        is_passive: true,
        requested_authn_context: Some((Comparison::Exact, vec![names::AC_PASSWORD.to_owned()])),
        name_id_format: Some(names::NAMEID_PERSISTENT.to_owned()),
        requester_ids: vec!["https://app.example/<1>".to_owned()],
        proxy_count: Some(1),
        subject_hint: Some("ada@example.edu".to_owned()),
        ..RequestOptions::new()
    }
}

#[test]
fn by_redirect_everything_arrives_signed() {
    let options = options();
    let outgoing = authn_request(&sp(), &idp(&RSA), &options, Binding::Redirect, Some("state"), Some(signer()), now()).expect("made");
    let Outgoing::Redirect(url) = outgoing else { panic!("{outgoing:?}") };
    assert!(url.as_str().starts_with("https://idp.example.edu/sso?idpid=C01&SAMLRequest="), "{url}");
    let request = receive_redirect(url.query().expect("a query"), Some(&RSA.trusted()), &mut Vec::new()).expect("accepted");
    assert_eq!((request.id.as_str(), request.issuer.as_str()), (options.id.as_str(), SP));
    assert_eq!(request.acs_url.as_deref(), Some(ACS));
    assert_eq!(request.destination.as_deref(), Some("https://idp.example.edu/sso?idpid=C01"));
    assert!(request.force_authn && request.is_passive && request.signed);
    assert_eq!(request.requested_authn_context, [names::AC_PASSWORD]);
    assert_eq!(request.requester_ids, options.requester_ids);
    assert_eq!((request.proxy_count, request.allow_create), (Some(1), Some(true)));
    assert_eq!(request.subject_hint.as_deref(), Some("ada@example.edu"));
    assert_eq!(request.relay_state.as_deref(), Some("state"));
    assert!(receive_redirect(url.query().expect("a query"), Some(&OTHER_RSA.trusted()), &mut Vec::new()).is_err());
}

#[test]
fn by_post_everything_arrives_signed() {
    let outgoing = authn_request(&sp(), &idp(&RSA), &options(), Binding::Post, Some("\"state"), Some(signer()), now()).expect("made");
    let Outgoing::PostForm { action, fields } = outgoing else { panic!("{outgoing:?}") };
    assert_eq!(action.as_str(), "https://idp.example.edu/sso/post");
    assert_eq!(fields[1], ("RelayState".to_owned(), "\"state".to_owned()));
    let request = receive_post(&fields[0].1, Some("\"state"), Some(&RSA.trusted()), &mut Vec::new()).expect("accepted");
    assert!(request.signed && request.force_authn);
    // A captured request inside a forged one (samael accepts this).
    let xml = binding::decode_post(&fields[0].1).expect("decoded");
    let forged = format!(
        "<samlp:AuthnRequest xmlns:samlp=\"{}\" xmlns:saml=\"{}\" ID=\"_x\" Version=\"2.0\" AssertionConsumerServiceURL=\"https://evil.example/\"><saml:Issuer>{SP}</saml:Issuer><samlp:Extensions>{xml}</samlp:Extensions></samlp:AuthnRequest>",
        names::SAMLP,
        names::SAML
    );
    let refused = receive_post(&form(&forged), None, Some(&RSA.trusted()), &mut Vec::new()).expect_err("refused");
    assert_eq!(refused.name(), "signature-misplaced");
}

#[test]
fn an_identity_provider_that_wants_signed_requests_gets_no_others() {
    let mut idp = idp(&RSA);
    idp.want_authn_requests_signed = true;
    assert!(authn_request(&sp(), &idp, &RequestOptions::new(), Binding::Redirect, None, None, now()).is_err());
    idp.sso_endpoints.clear();
    assert!(authn_request(&sp(), &idp, &RequestOptions::new(), Binding::Redirect, None, Some(signer()), now()).is_err());
}

#[test]
fn request_ids_have_128_random_bits() {
    let (one, two) = (RequestOptions::new().id, RequestOptions::new().id);
    assert_ne!(one, two);
    assert_eq!(one.len(), 33);
}
