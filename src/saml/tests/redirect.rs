//! The redirect binding: signatures over the raw octets, both ways.

use super::support::*;
use crate::saml::binding::{MessageKind, decode_redirect, encode_redirect};
use crate::saml::signature::Allowed;
use crate::saml::*;
use url::Url;

fn query(signer: Option<Signer<'_>>) -> String {
    let destination = Url::parse("https://idp.example.edu/sso?idpid=C01&x=%20").expect("a URL");
    let url = encode_redirect(MessageKind::Request, "<a b=\"+/=\"/>", &destination, Some("state &+/ü"), signer).expect("encoded");
    url.query().expect("a query").to_owned()
}

fn verify(query: &str, key: &TestKey) -> Result<(), Rejection> {
    decode_redirect(query)?.verify(&key.trusted(), Allowed::default(), &mut Vec::new())
}

#[test]
fn an_address_with_its_own_query_keeps_it_and_the_signature_is_valid() {
    for key in [&RSA, &EC] {
        let query = query(Some(Signer::new(&key.certified)));
        assert!(query.starts_with("idpid=C01&x=%20&SAMLRequest="), "{query}");
        let message = decode_redirect(&query).expect("decoded");
        assert_eq!((message.xml.as_str(), message.relay_state.as_deref()), ("<a b=\"+/=\"/>", Some("state &+/ü")));
        assert!(message.is_signed());
        verify(&query, key).expect("verified");
        assert_eq!(verify(&query, &OTHER_RSA).expect_err("refused").name(), "signature-invalid");
    }
}

#[test]
fn the_octets_are_verified_as_they_came() {
    // Lower-case escapes and %20, as .NET writes them; and another order of parameters.
    let written = query(None).replace("%2B", "%2b").replace("%2F", "%2f").replace("%3D", "%3d");
    let own = written.strip_prefix("idpid=C01&x=%20&").expect("its own");
    let signed = format!("{own}&SigAlg=http%3a%2f%2fwww.w3.org%2f2001%2f04%2fxmldsig-more%23rsa-sha256");
    let value = RSA.certified.key.sign(signer().scheme, signed.as_bytes()).expect("signed");
    let value = base64(&value);
    verify(&format!("{signed}&Signature={value}"), &RSA).expect("verified");
    let (message, rest) = signed.split_once('&').expect("parts");
    verify(&format!("Signature={value}&{rest}&other=1&{message}"), &RSA).expect("verified in any order");
    assert!(verify(&format!("{}&Signature={value}", signed.replace("%2b", "%2B").replace("%3a", "%3A")), &RSA).is_err());
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes).replace('+', "%2B").replace('/', "%2F").replace('=', "%3D")
}

#[test]
fn changed_missing_and_repeated_parameters_are_refused() {
    let signed = query(Some(signer()));
    assert_eq!(verify(&signed.replace("RelayState=state", "RelayState=other"), &RSA).expect_err("refused").name(), "signature-invalid");
    let (_, relay_state) = signed.split_once("&RelayState=").expect("a state");
    let relay_state = format!("&RelayState={}", relay_state.split('&').next().expect("a state"));
    assert_eq!(verify(&signed.replace(&relay_state, ""), &RSA).expect_err("refused").name(), "signature-invalid");
    assert_eq!(verify(&query(None), &RSA).expect_err("refused").name(), "unsigned");
    assert_eq!(verify(&signed.replace("rsa-sha256", "rsa-sha1"), &RSA).expect_err("refused").name(), "algorithm-refused");
    for parameter in ["SAMLRequest=x", "RelayState=x", "SigAlg=x", "Signature=x", "%53AMLRequest=x", "Relay%53tate="] {
        assert_eq!(decode_redirect(&format!("{signed}&{parameter}")).expect_err("refused").name(), "duplicate-parameter", "{parameter}");
    }
    assert_eq!(decode_redirect(&format!("{signed}&SAMLResponse=x")).expect_err("refused").name(), "duplicate-parameter");
    let long = format!("{}&RelayState={}", query(None).split("&RelayState").next().expect("a part"), "x".repeat(5000));
    assert_eq!(decode_redirect(&long).expect_err("refused").name(), "too-large");
    assert_eq!(decode_redirect("RelayState=x").expect_err("refused").name(), "message-missing");
    let half = signed.split("&Signature=").next().expect("a half");
    assert_eq!(decode_redirect(half).expect_err("refused").name(), "signature-structure");
    assert_eq!(decode_redirect("SAMLRequest=%zz").expect_err("refused").name(), "encoding");
    assert_eq!(decode_redirect("SAMLRequest=%").expect_err("refused").name(), "encoding");
}
