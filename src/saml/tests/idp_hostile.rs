//! Requests that nobody means well with: each is refused by name, and nothing panics.

use super::idp_support::*;
use super::support::*;
use crate::saml::binding::MessageKind;
use crate::saml::idp::*;
use crate::saml::logout::*;
use crate::saml::signature::sign;
use crate::saml::*;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::DeflateEncoder;
use std::io::Write as _;

const EVIL_ACS: &str = "https://evil.example/acs";

fn refusal(xml: &str) -> &'static str {
    let refused = by_post(xml).expect_err("must be refused");
    assert!(refused.reply_to.is_none(), "nobody may be answered: {xml}");
    refused.rejection.name()
}

#[test]
fn a_captured_request_in_a_forged_one_proves_nothing() {
    let genuine = sign(&request_with("", ""), signer()).expect("signed");
    by_post(&genuine).expect("genuine");
    let signature = cut(&genuine, "ds:Signature").to_owned();
    let unsigned = genuine.replace(&signature, "");
    let forged = request_with(&format!("AssertionConsumerServiceURL=\"{EVIL_ACS}\""), "").replace(ASKED, "_evil");
    let inside = |xml: &str, inner: &str| xml.replacen("</saml:Issuer>", &format!("</saml:Issuer>{inner}"), 1);
    let object = |content: &str| signature.replace("</ds:Signature>", &format!("<ds:Object>{content}</ds:Object></ds:Signature>"));
    for (xml, name) in [
        (inside(&forged, &format!("<samlp:Extensions>{genuine}</samlp:Extensions>")), "signature-misplaced"),
        (inside(&forged, &format!("<saml:Subject>{genuine}</saml:Subject>")), "signature-misplaced"),
        (inside(&forged, &object(&unsigned)), "signature-structure"),
        (inside(&forged, &format!("{signature}<samlp:Extensions>{unsigned}</samlp:Extensions>")), "wrong-reference"),
        (inside(&forged.replace("_evil", ASKED), &format!("{signature}<samlp:Extensions>{unsigned}</samlp:Extensions>")), "duplicate-id"),
        (inside(&forged.replace("_evil", ASKED), &signature), "digest-differs"),
        (inside(&genuine, &signature), "several-signatures"),
        (inside(&forged, &format!("{signature}{signature}")), "several-signatures"),
        (
            genuine
                .replace(&signature, "")
                .replace("</samlp:AuthnRequest>", &format!("<samlp:NameIDPolicy/>{signature}</samlp:AuthnRequest>")),
            "signature-misplaced",
        ),
        (format!("<x>{genuine}</x>"), "wrong-root"),
    ] {
        assert_eq!(refusal(&xml), name, "{xml}");
    }
}

#[test]
fn requests_that_are_not_strict_xml_are_refused_by_name() {
    let good = sign(&request_with("", ""), signer()).expect("signed");
    for (xml, name) in [
        (format!("<!DOCTYPE x [<!ENTITY a \"b\">]>{good}"), "document-type"),
        (good.replace(&format!(">{APP}<"), &format!(">{APP}<!-- -->.evil.example<")), "comment-or-instruction"),
        (good.replace(&format!(">{APP}<"), &format!(">{APP}<?x?><")), "comment-or-instruction"),
        (good.replace(APP, "&xxe;"), "not-well-formed"),
        (format!("{good}{good}"), "not-well-formed"),
        (good.replace("<saml:Issuer>", &format!("{}<saml:Issuer>", "<a>".repeat(70))), "too-complex"),
        ("x".repeat(300 * 1024), "too-large"),
        (format!("<?xml version=\"1.0\" encoding=\"UTF-16\"?>{good}"), "encoding"),
        (good.replace("</saml:Issuer>", &format!("</saml:Issuer><saml:Issuer>{APP}</saml:Issuer>")), "structure"),
    ] {
        assert_eq!(refusal(&xml), name, "{}", xml.chars().take(200).collect::<String>());
    }
    // An element inside the Issuer does not cut it short.
    let split = request_with("", "").replace(&format!(">{APP}<"), &format!(">{APP}<x>.evil.example</x><"));
    assert_eq!(refusal(&sign(&split, signer()).expect("signed")), "wrong-issuer");
    for value in ["%", "a", "\u{0}"] {
        let refused = ArrivedRequest::decode(Incoming::Post { message: value, relay_state: None }).expect_err("refused");
        assert_eq!(refused.name(), "encoding");
    }
    let long = "x".repeat(5000);
    let incoming = Incoming::Post { message: &post(&good), relay_state: Some(&long) };
    assert_eq!(ArrivedRequest::decode(incoming).expect_err("refused").name(), "too-large");
}

#[test]
fn queries_are_taken_as_they_came_or_not_at_all() {
    let application = application();
    let verdict = |raw_query: &str| {
        received(Incoming::Redirect { raw_query }, &terms(&application)).map(drop).map_err(|refused| refused.rejection.name())
    };
    let good = query(MessageKind::Request, &request_with("", ""), Some("state"), Some(signer()));
    assert_eq!(verdict(&good), Ok(()));
    assert_eq!(verdict(&format!("utm=1&{good}&connection=acme")), Ok(()), "others are not ours");
    for more in ["SAMLRequest=x", "RelayState=other", "SigAlg=x", "Signature=x", "%53AMLRequest=x", "SAMLResponse=x"] {
        assert_eq!(verdict(&format!("{good}&{more}")), Err("duplicate-parameter"), "{more}");
    }
    assert_eq!(verdict(&good.replace("RelayState=state", "RelayState=evil")), Err("signature-invalid"));
    assert_eq!(verdict(&good.replace("&RelayState=state", "")), Err("signature-invalid"));
    assert_eq!(verdict(&good.replace("SAMLRequest=", "SAMLResponse=")), Err("message-missing"));
    assert_eq!(verdict("RelayState=x"), Err("message-missing"));
    // The algorithm that is named is the one that counts: another one does not verify, an unknown one is not tried.
    for (algorithm, name) in [("rsa-sha512", "signature-invalid"), ("ecdsa-sha256", "signature-invalid"), ("rsa-md5", "algorithm-refused")]
    {
        assert_eq!(verdict(&good.replace("rsa-sha256", algorithm)), Err(name), "{algorithm}");
    }
    // Lower-case escapes, as .NET writes them.
    let unsigned = query(MessageKind::Request, &request_with("", ""), Some("a b"), None);
    let lower = unsigned.replace("%2B", "%2b").replace("%2F", "%2f").replace("%3D", "%3d");
    let octets = format!("{lower}&SigAlg=http%3a%2f%2fwww.w3.org%2f2001%2f04%2fxmldsig-more%23rsa-sha256");
    let value = STANDARD.encode(RSA.certified.key.sign(signer().scheme, octets.as_bytes()).expect("signed"));
    let value = value.replace('+', "%2b").replace('/', "%2f").replace('=', "%3d");
    assert_eq!(verdict(&format!("{octets}&Signature={value}")), Ok(()));
    assert_eq!(verdict(&format!("{}&Signature={value}", octets.replace("%3a", "%3A"))), Err("signature-invalid"));
    // A request that inflates without end stops at the limit.
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&vec![b' '; 20 << 20]).expect("compressed");
    let bomb = STANDARD.encode(encoder.finish().expect("compressed")).replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
    assert_eq!(verdict(&format!("SAMLRequest={bomb}")), Err("too-large"));
    assert_eq!(verdict(&"a".repeat(1 << 20)), Err("too-large"));
}

/// A genuine message that was flipped or cut anywhere says the same as before, or nothing.
#[test]
fn nothing_that_was_cut_or_flipped_panics_or_passes() {
    let wish = format!("<samlp:NameIDPolicy Format=\"{}\"/>", names::NAMEID_TRANSIENT);
    let good = sign(&request_with("ForceAuthn=\"true\"", &wish), signer()).expect("signed");
    let genuine = by_post(&good).expect("genuine");
    let application = application();
    let policy = MessagePolicy { second_opinion: false, ..MessagePolicy::default() };
    let terms = RequestTerms { policy: &policy, ..terms(&application) };
    for (at, changed) in mutations(&good) {
        let message = post(&changed);
        if let Ok(request) = received(Incoming::Post { message: &message, relay_state: None }, &terms) {
            assert_eq!((request.said(), request.reply_to()), (genuine.said(), genuine.reply_to()), "changed at {at}");
        }
        let refused = ArrivedLogout::request(Incoming::Post { message: &message, relay_state: None });
        assert!(refused.is_err());
    }
    let good = query(MessageKind::Request, &request_with("ForceAuthn=\"true\"", &wish), None, Some(signer()));
    for (at, changed) in mutations(&good) {
        if let Ok(request) = received(Incoming::Redirect { raw_query: &changed }, &terms) {
            assert_eq!((request.said(), request.reply_to()), (genuine.said(), genuine.reply_to()), "changed at {at}");
        }
    }
}

fn mutations(good: &str) -> impl Iterator<Item = (usize, String)> {
    (0..good.len()).step_by(5).flat_map(move |at| {
        let mut bytes = good.as_bytes().to_vec();
        bytes[at] ^= 1 << (at % 7);
        let cut = good.get(..at).unwrap_or_default().to_owned();
        [String::from_utf8(bytes).ok(), Some(cut)].into_iter().flatten().map(move |changed| (at, changed))
    })
}

#[test]
fn mutated_metadata_and_logout_messages_do_not_panic() {
    let metadata = format!(
        "<md:EntityDescriptor xmlns:md=\"{}\" entityID=\"{APP}\"><md:SPSSODescriptor protocolSupportEnumeration=\"{}\"><md:SingleLogoutService Binding=\"{}\" Location=\"https://app.example.org/slo\"/><md:AssertionConsumerService Binding=\"{}\" Location=\"https://app.example.org/acs\" index=\"1\"/></md:SPSSODescriptor></md:EntityDescriptor>",
        names::MD,
        names::SAMLP,
        names::BINDING_POST,
        names::BINDING_POST
    );
    read_sp(&metadata, MetadataOptions::default(), now()).expect("good");
    let mut read = 0;
    for (_, changed) in mutations(&metadata) {
        read += usize::from(read_sp(&changed, MetadataOptions::default(), now()).is_ok());
    }
    assert!(read < metadata.len() / 5, "what was cut is not read");
    let (keys, policy) = (RSA.trusted(), MessagePolicy { second_opinion: false, ..MessagePolicy::default() });
    let terms = LogoutTerms { partner: APP, keys: Some(&keys), destination: SSO, decryption_keys: &[], policy: &policy, now: now() };
    let name = NameId { value: "_ada".to_owned(), ..NameId::default() };
    let service = LogoutService { binding: Binding::Post, location: SSO.parse().expect("a URL"), response_location: None };
    let sent = logout_request(&LogoutOrder::new(APP, &name), &service, None, signer(), now()).expect("made");
    for (at, changed) in mutations(&xml_of(&sent)) {
        let message = post(&changed);
        let arrived = ArrivedLogout::request(Incoming::Post { message: &message, relay_state: None });
        if let Ok(received) = arrived.and_then(|arrived| receive_logout_request(&arrived, &terms, &mut Vec::new())) {
            assert_eq!(received.name_id(), &name, "changed at {at}");
        }
    }
}
