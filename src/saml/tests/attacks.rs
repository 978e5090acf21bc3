//! Signature wrapping and its relatives: each is refused, or gives the genuine data.

use super::support::*;
use crate::saml::idp::{Sign, respond};
use crate::saml::signature::sign;
use crate::saml::*;

/// The signed assertion, its signature, and it without the signature.
fn pieces() -> (String, String, String, String) {
    let xml = signed_assertion();
    let assertion = cut(&xml, "saml:Assertion").to_owned();
    let signature = cut(&xml, "ds:Signature").to_owned();
    let bare = assertion.replace(&signature, "");
    (xml, assertion, signature, bare)
}

fn forged(genuine: &str) -> String {
    genuine.replace("subject-1", "admin").replace("_assertion1", "_forged")
}

/// Nothing but the genuine subject may come out.
fn harmless(name: &str, xml: &str) -> Option<&'static str> {
    match receive(xml) {
        Ok(verified) => {
            assert_eq!(verified.subject(), "subject-1", "{name}");
            None
        }
        Err(rejection) => Some(rejection.name()),
    }
}

#[test]
fn xsw1_and_xsw2_a_copy_of_the_signed_response_in_or_beside_its_signature() {
    let signed = respond(&idp::Answer { sign: Sign::Response, ..answer() }, signer(), now()).expect("written");
    let signature = cut(&signed, "ds:Signature").to_owned();
    let original = signed.replace(&signature, "");
    let evil = original.replace("_response1", "_evil").replace("subject-1", "admin");
    let issuer_end = evil.find("</saml:Issuer>").expect("an issuer") + "</saml:Issuer>".len();
    let with = |inserted: String| [&evil[..issuer_end], &inserted, &evil[issuer_end..]].concat();
    let xsw1 = with(signature.replace("</ds:Signature>", &format!("<ds:Object>{original}</ds:Object></ds:Signature>")));
    assert!(harmless("XSW1", &xsw1).is_some());
    let xsw2 = with(format!("{original}{signature}"));
    assert!(harmless("XSW2", &xsw2).is_some());
    let xsw2_detached = with(format!("{signature}{original}"));
    assert!(harmless("XSW2, after the signature", &xsw2_detached).is_some());
}

#[test]
fn xsw3_a_forged_assertion_before_the_signed_one() {
    let (xml, assertion, _, bare) = pieces();
    let attack = xml.replace(&assertion, &format!("{}{assertion}", forged(&bare)));
    assert_eq!(harmless("XSW3", &attack), Some("several-assertions"));
    let attack = xml.replace(&assertion, &format!("{assertion}{}", forged(&bare)));
    assert_eq!(harmless("XSW3, after", &attack), Some("several-assertions"));
}

#[test]
fn xsw4_the_signed_assertion_inside_the_forged_one() {
    let (xml, assertion, _, bare) = pieces();
    let evil = forged(&bare).replace("</saml:Assertion>", &format!("{assertion}</saml:Assertion>"));
    assert_eq!(harmless("XSW4", &xml.replace(&assertion, &evil)), Some("signature-misplaced"));
}

#[test]
fn xsw5_the_signature_moved_into_the_forged_assertion_and_the_original_to_the_end() {
    let (xml, assertion, signature, bare) = pieces();
    let evil = forged(&assertion);
    assert!(evil.contains(&signature.replace("_assertion1", "_forged")));
    let evil = evil.replace("#_forged", "#_assertion1");
    let attack = xml.replace(&assertion, &format!("{evil}{bare}"));
    assert_eq!(harmless("XSW5", &attack), Some("several-assertions"));
    assert_eq!(harmless("XSW5, original gone", &xml.replace(&assertion, &evil)), Some("wrong-reference"));
}

#[test]
fn xsw6_the_original_inside_the_signature_of_the_forged_assertion() {
    let (xml, assertion, signature, bare) = pieces();
    let carrying = signature.replace("</ds:Signature>", &format!("{bare}</ds:Signature>"));
    let evil = forged(&bare).replacen("</saml:Issuer>", &format!("</saml:Issuer>{carrying}"), 1);
    assert!(harmless("XSW6", &xml.replace(&assertion, &evil)).is_some());
}

#[test]
fn xsw7_the_original_in_extensions() {
    let (xml, assertion, _, bare) = pieces();
    let attack = xml.replace(&assertion, &forged(&bare));
    let attack = attack.replace("<samlp:Status>", &format!("<samlp:Extensions>{assertion}</samlp:Extensions><samlp:Status>"));
    assert_eq!(harmless("XSW7", &attack), Some("signature-misplaced"));
    // The same ID on both.
    let attack = attack.replace("_forged", "_assertion1");
    assert!(harmless("XSW7 with equal IDs", &attack).is_some());
}

#[test]
fn xsw8_the_original_in_an_object_of_the_forged_assertions_signature() {
    let (xml, assertion, signature, bare) = pieces();
    let carrying = signature.replace("</ds:Signature>", &format!("<ds:Object>{bare}</ds:Object></ds:Signature>"));
    let evil = forged(&bare).replacen("</saml:Issuer>", &format!("</saml:Issuer>{carrying}"), 1);
    assert!(harmless("XSW8", &xml.replace(&assertion, &evil)).is_some());
}

#[test]
fn xsw9_two_elements_with_the_signed_id() {
    let (xml, assertion, signature, bare) = pieces();
    let evil = bare.replace("subject-1", "admin").replacen("</saml:Issuer>", &format!("</saml:Issuer>{signature}"), 1);
    let attack =
        xml.replace(&assertion, &evil).replace("<samlp:Status>", &format!("<samlp:Extensions>{bare}</samlp:Extensions><samlp:Status>"));
    assert_eq!(harmless("equal IDs", &attack), Some("duplicate-id"));
    assert_eq!(harmless("the forged one alone", &xml.replace(&assertion, &evil)), Some("digest-differs"));
}

#[test]
fn a_signed_failure_with_a_forged_assertion_inside_is_refused() {
    let refusal_of = idp::Refusal { top: "Responder", second: "AuthnFailed", message: None };
    let failure = idp::refuse(IDP, ACS, Some(REQUEST), refusal_of, signer(), now()).expect("written");
    let (.., bare) = pieces();
    let attack = failure.replace("</samlp:Response>", &format!("{}</samlp:Response>", forged(&bare)));
    assert_eq!(harmless("inside", &attack), Some("digest-differs"));
    let (xml, assertion, ..) = pieces();
    let attack = xml
        .replace(&assertion, &forged(&bare))
        .replace("<samlp:Status>", &format!("<samlp:Extensions>{failure}</samlp:Extensions><samlp:Status>"));
    assert!(harmless("around", &attack).is_some());
}

#[test]
fn a_signature_that_covers_the_response_does_not_excuse_a_broken_one_on_the_assertion() {
    let (response, assertion) = unsigned();
    let broken = sign(&assertion, signer()).expect("signed").replace("subject-1", "subject-2");
    let xml = sign(&response.replace(&assertion, &broken), signer()).expect("signed");
    assert_eq!(refusal(&xml).name(), "digest-differs");
}

#[test]
fn an_unsigned_response_is_refused() {
    assert_eq!(refusal(&unsigned().0).name(), "unsigned");
}

#[test]
fn a_changed_assertion_is_refused_as_changed() {
    let rejection = refusal(&signed_assertion().replace("subject-1", "subject-2"));
    assert_eq!(rejection.name(), "digest-differs");
    assert_eq!(refusal(&signed_assertion().replace("ada@example.edu", "eve@example.edu")).name(), "digest-differs");
}

#[test]
fn a_foreign_key_is_told_from_a_broken_signature() {
    let xml = respond(&answer(), Signer::new(&OTHER_RSA.certified), now()).expect("written");
    let Rejection::WrongKey { expected, found } = refusal(&xml) else { panic!("another refusal") };
    assert_ne!(expected, found);
    // Without KeyInfo nobody can say so.
    let silent = xml.replace(cut(&xml, "ds:KeyInfo"), "");
    assert_eq!(refusal(&silent).name(), "signature-invalid");
    // Our certificate named over somebody else's signature.
    let ours = cut(&signed_assertion(), "ds:KeyInfo").to_owned();
    assert_eq!(refusal(&xml.replace(cut(&xml, "ds:KeyInfo"), &ours)).name(), "signature-invalid");
    // KeyInfo only selects: without it a good signature is good.
    let good = signed_assertion();
    receive(&good.replace(cut(&good, "ds:KeyInfo"), "")).expect("accepted");
}

#[test]
fn a_changed_signed_info_is_refused() {
    let xml = signed_assertion();
    let long = xml.replace("</ds:SignedInfo>", &format!("{}</ds:SignedInfo>", "<x/>".repeat(5000)));
    assert_eq!(refusal(&long).name(), "too-complex");
    let digest = cut(&xml, "ds:DigestValue").to_owned();
    let other = "<ds:DigestValue>AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=</ds:DigestValue>";
    assert_eq!(refusal(&xml.replace(&digest, other)).name(), "signature-invalid");
    let value = cut(&xml, "ds:SignatureValue").to_owned();
    assert_eq!(refusal(&xml.replace(&value, "<ds:SignatureValue>AAAA</ds:SignatureValue>")).name(), "signature-invalid");
    assert_eq!(refusal(&xml.replace(&value, "<ds:SignatureValue></ds:SignatureValue>")).name(), "signature-invalid");
    assert_eq!(refusal(&xml.replace(&value, "<ds:SignatureValue>*</ds:SignatureValue>")).name(), "encoding");
}

#[test]
fn signatures_out_of_the_profile_are_refused_by_name() {
    let xml = signed_assertion();
    let refused = |from: &str, to: &str| {
        let changed = xml.replacen(from, to, 1);
        assert_ne!(changed, xml, "{from}");
        refusal(&changed).name()
    };
    let reference = cut(&xml, "ds:Reference").to_owned();
    let signature = cut(&xml, "ds:Signature").to_owned();
    let transforms = cut(&xml, "ds:Transforms").to_owned();
    let method = |uri: &str| format!("<ds:SignatureMethod Algorithm=\"{uri}\">");
    assert_eq!(refused(&signature, &format!("{signature}{signature}")), "several-signatures");
    assert_eq!(refused(&method(names::RSA_SHA256), &method(names::RSA_SHA1)), "algorithm-refused");
    assert_eq!(refused(&method(names::RSA_SHA256), &method("http://www.w3.org/2000/09/xmldsig#hmac-sha1")), "algorithm-refused");
    assert_eq!(refused(&method(names::RSA_SHA256), &method("")), "algorithm-refused");
    assert_eq!(refused(&method(names::RSA_SHA256), &method(names::ECDSA_SHA256)), "signature-invalid");
    let canonicalization = format!("<ds:CanonicalizationMethod Algorithm=\"{}\">", names::EXC_C14N);
    assert_eq!(refused(&canonicalization, &canonicalization.replace(names::EXC_C14N, names::C14N)), "transform-refused");
    assert_eq!(refused("<ds:KeyInfo>", "<ds:Object/><ds:KeyInfo>"), "signature-structure");
    let (issuer, subject) = (format!("{IDP}</saml:Issuer>{signature}"), format!("{IDP}</saml:Issuer>"));
    let moved = xml.replace(&issuer, &subject).replace("</saml:Subject>", &format!("</saml:Subject>{signature}"));
    assert_eq!(refusal(&moved).name(), "signature-misplaced");
    // These would need a new signature over SignedInfo to be read at all; a partner that makes them is told why.
    for (from, to, name) in [
        (reference.as_str(), format!("{reference}{reference}"), "reference-count"),
        ("URI=\"#_assertion1\"", "URI=\"\"".to_owned(), "wrong-reference"),
        ("URI=\"#_assertion1\"", "URI=\"http://127.0.0.1/x\"".to_owned(), "wrong-reference"),
        ("URI=\"#_assertion1\"", "URI=\"_assertion1\"".to_owned(), "wrong-reference"),
        ("URI=\"#_assertion1\"", "URI=\"#_response1\"".to_owned(), "wrong-reference"),
        (&transforms, String::new(), "signature-structure"),
        (&transforms, transforms.replace(names::ENVELOPED, "http://www.w3.org/TR/1999/REC-xpath-19991116"), "transform-refused"),
        (&transforms, transforms.replace(names::ENVELOPED, "http://www.w3.org/TR/1999/REC-xslt-19991116"), "transform-refused"),
        (&transforms, transforms.replace(names::EXC_C14N, "http://www.w3.org/2000/09/xmldsig#base64"), "transform-refused"),
        (&transforms, transforms.replace(names::EXC_C14N, names::C14N), "transform-refused"),
        (&transforms, transforms.replace("</ds:Transforms>", "<ds:Transform Algorithm=\"x\"/></ds:Transforms>"), "transform-refused"),
        (names::SHA256, names::SHA1.to_owned(), "algorithm-refused"),
    ] {
        assert_eq!(refusal(&resigned(&xml, from, &to)).name(), name, "{to}");
    }
}

/// Changes SignedInfo and signs it again with the right key.
fn resigned(xml: &str, from: &str, to: &str) -> String {
    use base64::Engine as _;
    let info = cut(xml, "ds:SignedInfo").to_owned();
    let changed = info.replacen(from, to, 1);
    assert_ne!(changed, info, "{from}");
    let document = xml::parse(&changed, xml::Limits::MESSAGE).expect("readable");
    let canonical = xml::canonicalize(document.root(), xml::Canonicalization::Exclusive(&[]), &[]);
    let value = RSA.certified.key.sign(signer().scheme, canonical.as_bytes()).expect("signed");
    let value = base64::engine::general_purpose::STANDARD.encode(value);
    let old = cut(xml, "ds:SignatureValue").to_owned();
    xml.replace(&info, &changed).replace(&old, &format!("<ds:SignatureValue>{value}</ds:SignatureValue>"))
}

#[test]
fn sha_1_and_inclusive_canonicalization_only_by_name() {
    let scheme = crate::keys::SignatureScheme::RsaPkcs1(crate::keys::Digest::Sha1);
    let xml = respond(&answer(), Signer { scheme, ..signer() }, now()).expect("written");
    assert_eq!(refusal(&xml).name(), "algorithm-refused");
    let policy = ResponsePolicy { allow_sha1: true, ..ResponsePolicy::default() };
    receive_with(&xml, &RSA, &policy, &expected()).expect("accepted by name");
}

#[test]
fn rsa_pss_is_accepted() {
    for digest in [crate::keys::Digest::Sha256, crate::keys::Digest::Sha512] {
        let scheme = crate::keys::SignatureScheme::RsaPss(digest);
        let xml = respond(&answer(), Signer { scheme, ..signer() }, now()).expect("written");
        receive(&xml).expect("accepted");
    }
}

#[test]
fn a_comment_in_a_name_id_refuses_the_message() {
    let xml = signed_assertion().replace("subject-1", "subject<!---->-1");
    assert_eq!(refusal(&xml).name(), "comment-or-instruction");
    let xml = signed_assertion().replace("subject-1", "subject<?x y?>-1");
    assert_eq!(refusal(&xml).name(), "comment-or-instruction");
    // CDATA is text.
    assert_eq!(receive(&signed_assertion().replace("subject-1", "sub<![CDATA[ject]]>-1")).expect("accepted").subject(), "subject-1");
}

#[test]
fn an_id_that_is_no_id_is_refused() {
    let xml = with_assertion(|assertion| assertion.replace("ID=\"_assertion1\"", "ID=\"1 x\""));
    assert_eq!(refusal(&xml).name(), "id-missing");
}

#[test]
fn trusted_keys_are_never_none_and_never_weak() {
    assert!(TrustedKeys::new(&[]).is_err());
    let weak = openssl::pkey::PKey::from_rsa(openssl::rsa::Rsa::generate(1024).expect("a key")).expect("a key");
    let mut builder = openssl::x509::X509::builder().expect("a builder");
    builder.set_pubkey(&weak).expect("set");
    builder.sign(&weak, openssl::hash::MessageDigest::sha256()).expect("signed");
    let error = TrustedKeys::new(&[builder.build()]).expect_err("refused");
    assert!(error.detail.contains("1024"), "{}", error.detail);
}

#[test]
fn what_no_signature_covers_never_reaches_the_second_engine() {
    let list = format!("<x:InclusiveNamespaces xmlns:x=\"{}\" PrefixList=\"foo\"/>", names::EXC_C14N);
    for sign in [Sign::Assertion, Sign::Response] {
        let xml = respond(&idp::Answer { sign, ..answer() }, signer(), now()).expect("written");
        // samael refuses an ID that is none.
        for harmless in [
            xml.replace("<ds:KeyInfo>", &format!("<ds:KeyInfo>{list}")),
            xml.replace("<ds:Signature ", "<ds:Signature ID=\"1 2\" "),
            xml.replace("<ds:SignatureValue>", "<ds:SignatureValue ID=\"1 2\">"),
            xml.replace("<ds:KeyInfo>", "<ds:KeyInfo ID=\"1 2\">"),
        ] {
            assert_ne!(harmless, xml);
            assert_eq!(receive(&harmless).expect("accepted").subject(), "subject-1");
        }
        // libxmlsec1 refuses a relative namespace name, and so do we, wherever it stands.
        for relative in [
            xml.replacen("<samlp:Response", "<samlp:Response xmlns:foo=\"relative\"", 1),
            xml.replace("<ds:Signature ", "<ds:Signature xmlns:foo=\"relative\" foo:x=\"\" "),
        ] {
            assert_eq!(refusal(&relative).name(), "signature-structure");
        }
        let more = xml.replace("</ds:SignatureValue>", "<x>AAAA</x></ds:SignatureValue>");
        assert_eq!(refusal(&more).name(), "signature-structure");
    }
    let outside = signed_assertion()
        .replacen("<samlp:Response", "<samlp:Response xmlns:foo=\"urn:foo\"", 1)
        .replace("<samlp:Status>", &format!("<samlp:Extensions>{list}</samlp:Extensions><samlp:Status>"));
    assert_eq!(receive(&outside).expect("accepted").subject(), "subject-1");
}
