//! Every algorithm that we sign and encrypt with, judged by other programs; keys of different kinds in one message; what
//! inclusive canonicalization allows.

use super::judges::{xmlsec1_decrypts, xmlsec1_fills, xmlsec1_verifies};
use super::support::*;
use crate::keys::{Digest, SignatureScheme};
use crate::saml::algorithms::{CIPHERS, SIGNATURES, TRANSPORTS};
use crate::saml::encryption::{ContentCipher, KeyTransport};
use crate::saml::idp::{Encrypt, EncryptionKey, Sign, respond};
use crate::saml::logout::{LogoutOrder, LogoutService, logout_request};
use crate::saml::metadata::{MetadataOptions, read_idp};
use crate::saml::signature::{sign, signature_uri};
use crate::saml::*;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use url::Url;

/// The key that signs so.
fn key_for(scheme: SignatureScheme) -> &'static TestKey {
    match scheme {
        SignatureScheme::RsaPkcs1(_) | SignatureScheme::RsaPss(_) => &RSA,
        SignatureScheme::Ecdsa(Digest::Sha384) => &EC384,
        SignatureScheme::Ecdsa(Digest::Sha512) => &EC521,
        SignatureScheme::Ecdsa(_) | SignatureScheme::EdDsa => &EC,
    }
}

/// What `ds:SignatureValue` and the like hold, the `number`th of them.
fn value(xml: &str, element: &str, number: usize) -> Vec<u8> {
    let text = xml.split(&format!("<{element}>")).nth(number + 1).and_then(|rest| rest.split('<').next()).expect("a value");
    STANDARD.decode(text).expect("base64")
}

/// RSA-PSS, which this xmlsec1 does not know, judged by the programs of libxml2 and OpenSSL: the one makes the canonical
/// SignedInfo, the other verifies its signature.
fn openssl_verifies_pss(xml: &str, digest: &str) -> bool {
    let judge = Judge::new();
    judge.file("info.xml", cut(xml, "ds:SignedInfo"));
    let (good, canonical, error) = judge.run("xmllint", &["--exc-c14n", "info.xml"]);
    assert!(good, "{error}");
    judge.file("info", canonical);
    judge.file("value", value(xml, "ds:SignatureValue", 0));
    judge.file("key.pem", RSA.certificate.public_key().and_then(|key| key.public_key_to_pem()).expect("pem"));
    let md = format!("-{digest}");
    let (mgf1, salt) = (format!("rsa_mgf1_md:{digest}"), "rsa_pss_saltlen:digest");
    let options = ["-verify", "key.pem", "-sigopt", "rsa_padding_mode:pss", "-sigopt", salt, "-sigopt", &mgf1, "-signature", "value"];
    judge.run("openssl", &[["dgst", &md].as_slice(), &options, &["info"]].concat()).0
}

#[test]
fn every_signature_that_can_be_chosen_is_verified_by_another_program_and_by_us() {
    for &(name, scheme) in SIGNATURES {
        let key = key_for(scheme);
        for digest in [None, Some(Digest::Sha256), Some(Digest::Sha512)] {
            let signer = Signer::with(&key.certified, Some(scheme), digest).expect("it fits");
            for sign in [Sign::Assertion, Sign::Both] {
                let xml = respond(&idp::Answer { sign, ..answer() }, signer, now()).expect("written");
                let algorithm = format!("Algorithm=\"{}\"", signature_uri(scheme).expect("a URI"));
                assert!(xml.contains(&algorithm), "{name}");
                match scheme {
                    SignatureScheme::RsaPss(of) => {
                        let of = format!("{of:?}").to_lowercase();
                        assert!(openssl_verifies_pss(&xml, &of), "{name} {xml}");
                        assert!(!openssl_verifies_pss(&xml.replacen("DigestValue>", "DigestValue>A", 1), &of), "{name}");
                    }
                    _ => assert!(xmlsec1_verifies(&xml, key), "{name} {digest:?} {sign:?}\n{xml}"),
                }
                let policy = ResponsePolicy { allow_sha1: name.ends_with("sha1"), ..ResponsePolicy::default() };
                receive_with(&xml, key, &policy, &expected()).unwrap_or_else(|rejection| panic!("{name}: {rejection}"));
            }
        }
    }
    // A digest of its own stands where it belongs.
    let signer = Signer::with(&EC.certified, None, Some(Digest::Sha512)).expect("it fits");
    let xml = respond(&answer(), signer, now()).expect("written");
    assert!(xml.contains(&format!("<ds:DigestMethod Algorithm=\"{}\"/>", names::SHA512)) || xml.contains(names::SHA512));
    assert!(xml.contains(names::ECDSA_SHA256));
}

#[test]
fn a_request_by_redirect_is_signed_with_every_algorithm_that_can_be_chosen() {
    for &(name, scheme) in SIGNATURES {
        let key = key_for(scheme);
        let signer = Signer::with(&key.certified, Some(scheme), None).expect("it fits");
        let made = authn_request(&sp(), &idp(&RSA), &RequestOptions::new(), Binding::Redirect, Some("state"), Some(signer), now());
        let Outgoing::Redirect(url) = made.expect("made") else { panic!("not a redirect") };
        let query = url.query().expect("a query").strip_prefix("idpid=C01&").expect("the endpoint's own query");
        let message = binding::decode_redirect(query).expect("decoded");
        let allowed = signature::Allowed { sha1: name.ends_with("sha1"), ..signature::Allowed::default() };
        message.verify(&key.trusted(), allowed, &mut Vec::new()).unwrap_or_else(|rejection| panic!("{name}: {rejection}"));
        assert!(message.verify(&OTHER_RSA.trusted(), allowed, &mut Vec::new()).is_err(), "{name}");
    }
}

#[test]
fn a_scheme_for_another_kind_of_key_is_refused() {
    for (key, scheme) in [
        (&RSA, SignatureScheme::Ecdsa(Digest::Sha256)),
        (&EC, SignatureScheme::RsaPkcs1(Digest::Sha256)),
        (&EC521, SignatureScheme::RsaPss(Digest::Sha256)),
        (&EC, SignatureScheme::EdDsa),
    ] {
        assert!(Signer::with(&key.certified, Some(scheme), None).is_err(), "{scheme:?}");
    }
}

/// What other programs make of the first EncryptedData: OpenSSL unwraps the content key, xmlsec1 opens the content with it.
fn opened_by_others(xml: &str, transport: KeyTransport) -> String {
    let judge = Judge::new();
    judge.file("wrapped", value(xml, "xenc:CipherValue", 0));
    judge.file("k.pem", &ENCRYPTION.pem);
    let (md, mgf1) = match transport {
        KeyTransport::OaepMgf1p(digest) => (digest, Digest::Sha1),
        KeyTransport::Oaep { digest, mgf1 } => (digest, mgf1),
    };
    let name = |digest: Digest| format!("{digest:?}").to_lowercase();
    let (md, mgf1) = (format!("rsa_oaep_md:{}", name(md)), format!("rsa_mgf1_md:{}", name(mgf1)));
    let options = ["-pkeyopt", "rsa_padding_mode:oaep", "-pkeyopt", &md, "-pkeyopt", &mgf1, "-in", "wrapped", "-out", "content.key"];
    let (good, _, error) = judge.run("openssl", &[["pkeyutl", "-decrypt", "-inkey", "k.pem"].as_slice(), &options].concat());
    assert!(good, "{error}");
    // Its content is all that is left to open.
    let data = cut(xml, "xenc:EncryptedData");
    judge.file("x.xml", data.replace(cut(data, "ds:KeyInfo"), ""));
    let (good, out, error) = judge.run("xmlsec1", &["--decrypt", "--aeskey", "content.key", "x.xml"]);
    assert!(good, "{error}");
    String::from_utf8(out).expect("utf-8")
}

#[test]
fn everything_that_can_be_chosen_to_encrypt_with_is_opened_by_other_programs() {
    for &(cipher_name, cipher) in CIPHERS {
        for &(transport_name, transport) in TRANSPORTS {
            let encrypt = Encrypt { recipient: &ENCRYPTION.certificate, cipher, transport };
            let xml = respond(&idp::Answer { encrypt: Some(encrypt), ..answer() }, signer(), now()).expect("written");
            assert!(!xml.contains("subject-1"), "{cipher_name}");
            assert!(opened_by_others(&xml, transport).contains(">subject-1<"), "{cipher_name} {transport_name}");
            if transport == KeyTransport::OAEP_MGF1P {
                assert!(xmlsec1_decrypts(&xml, &ENCRYPTION).contains(">subject-1<"), "{cipher_name}");
            }
            // Only the name, in the assertion.
            let xml = respond(&idp::Answer { encrypt_name_id: Some(encrypt), ..answer() }, signer(), now()).expect("written");
            assert!(!xml.contains("subject-1") && xml.contains("<saml:EncryptedID"), "{xml}");
            assert!(opened_by_others(&xml, transport).contains(">subject-1<"), "{cipher_name} {transport_name}");
        }
    }
}

#[test]
fn rsa_1_5_is_never_written_whatever_a_partner_lists() {
    let rsa_1_5 = "http://www.w3.org/2001/04/xmlenc#rsa-1_5";
    for methods in [vec![rsa_1_5], vec![names::AES256_GCM, rsa_1_5], vec![names::AES128_GCM, rsa_1_5, names::RSA_OAEP_MGF1P], vec![]] {
        let listed = methods.iter().map(|uri| (*uri).to_owned()).collect();
        let mut idp = idp(&RSA);
        idp.encryption_keys = vec![EncryptionKey::new(ENCRYPTION.certificate.clone(), listed).expect("a key")];
        let encrypt = idp.encryption().expect("a way");
        assert!(!matches!(encrypt.cipher, ContentCipher::Aes128Cbc | ContentCipher::Aes192Cbc | ContentCipher::Aes256Cbc));
        let xml = respond(&idp::Answer { encrypt: Some(encrypt), ..answer() }, signer(), now()).expect("written");
        assert!(!xml.contains("rsa-1_5") && xml.contains("oaep"), "{xml}");
    }
    // AES-CBC alone is no way.
    let mut idp = idp(&RSA);
    idp.encryption_keys = vec![EncryptionKey::new(ENCRYPTION.certificate.clone(), vec![names::AES256_CBC.to_owned()]).expect("a key")];
    assert!(idp.encryption().is_err());
    idp.encryption_keys.clear();
    assert!(idp.encryption().is_err());
}

#[test]
fn a_logout_at_the_identity_provider_names_the_person_for_its_eyes_only() {
    let base64 = |key: &TestKey| STANDARD.encode(key.certificate.to_der().expect("der"));
    let metadata = format!(
        "<md:EntityDescriptor xmlns:md=\"{md}\" xmlns:ds=\"{ds}\" entityID=\"{IDP}\"><md:IDPSSODescriptor protocolSupportEnumeration=\"{samlp}\">\
         <md:KeyDescriptor use=\"signing\"><ds:KeyInfo><ds:X509Data><ds:X509Certificate>{signing}</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>\
         <md:KeyDescriptor use=\"encryption\"><ds:KeyInfo><ds:X509Data><ds:X509Certificate>{encryption}</ds:X509Certificate></ds:X509Data></ds:KeyInfo>\
         <md:EncryptionMethod Algorithm=\"{cipher}\"/><md:EncryptionMethod Algorithm=\"{mgf1p}\"/></md:KeyDescriptor>\
         <md:SingleSignOnService Binding=\"{post}\" Location=\"https://idp.example.edu/sso\"/></md:IDPSSODescriptor></md:EntityDescriptor>",
        md = names::MD,
        ds = names::DS,
        samlp = names::SAMLP,
        signing = base64(&EC),
        encryption = base64(&ENCRYPTION),
        cipher = names::AES128_GCM,
        mgf1p = names::RSA_OAEP_MGF1P,
        post = names::BINDING_POST,
    );
    let trust = read_idp(&metadata, MetadataOptions::default(), now()).expect("read").trust();
    let encrypt = trust.encryption().expect("a way");
    assert_eq!((encrypt.cipher, encrypt.transport), (ContentCipher::Aes128Gcm, KeyTransport::OAEP_MGF1P));
    let name_id = NameId { value: "subject-1".to_owned(), ..NameId::default() };
    let order = LogoutOrder { encrypt: Some(encrypt), ..LogoutOrder::new(SP, &name_id) };
    let location = Url::parse("https://idp.example.edu/slo").expect("a URL");
    let service = LogoutService { binding: Binding::Post, location, response_location: None };
    let outgoing = logout_request(&order, &service, None, Signer::new(&EC384.certified), now()).expect("made");
    let Outgoing::PostForm { fields, .. } = outgoing else { panic!("not a form") };
    let xml = binding::decode_post(&fields[0].1).expect("decoded");
    assert!(!xml.contains("subject-1") && xmlsec1_verifies(&xml, &EC384), "{xml}");
    assert!(xmlsec1_decrypts(&xml, &ENCRYPTION).contains(">subject-1<"));
}

/// A response signed by one key around an assertion signed by another.
fn by_two_keys(outer: &TestKey, inner: &TestKey, encrypt: Option<Encrypt<'_>>) -> String {
    let xml = respond(&idp::Answer { encrypt, ..answer() }, Signer::new(&inner.certified), now()).expect("written");
    sign(&xml, Signer::new(&outer.certified)).expect("signed")
}

fn receive_by(xml: &str, keys: &[&TestKey]) -> (Result<VerifiedAssertion, Rejection>, Vec<Check>) {
    let certificates: Vec<_> = keys.iter().map(|key| key.certificate.clone()).collect();
    let idp = IdpTrust { keys: TrustedKeys::new(&certificates).expect("usable"), ..idp(&RSA) };
    let mut checks = Vec::new();
    let decryption = [&ENCRYPTION.certified];
    let policy = ResponsePolicy { second_opinion: true, ..ResponsePolicy::default() };
    let outcome = receive_response(&form(xml), &sp(), &idp, &decryption, &policy, &expected(), &mut checks);
    (outcome, checks)
}

#[test]
fn two_signatures_by_keys_of_different_kinds_are_verified_by_both_engines() {
    for (outer, inner) in [(&RSA, &EC), (&EC, &RSA), (&EC384, &EC), (&EC521, &EC384), (&RSA, &OTHER_RSA)] {
        for encrypt in [None, Some(Encrypt::to(&ENCRYPTION.certificate))] {
            let xml = by_two_keys(outer, inner, encrypt);
            let (outcome, checks) = receive_by(&xml, &[inner, outer]);
            assert_eq!(outcome.expect("accepted").subject(), "subject-1");
            let asked = checks.iter().filter(|check| check.name == "second-opinion" && check.found == "verified").count();
            assert_eq!(asked, if cfg!(feature = "xmlsec") { 2 } else { 0 }, "{checks:#?}");
            // Each of the two must be a key of the partner.
            for only in [inner, outer] {
                assert!(receive_by(&xml, &[only]).0.is_err());
            }
            if encrypt.is_none() {
                assert_eq!(
                    receive_by(&xml.replace("subject-1", "admin"), &[inner, outer]).0.expect_err("refused").name(),
                    "digest-differs"
                );
            }
        }
    }
}

/// Signed by xmlsec1 with enveloped-signature as the only transform, so that Canonical XML 1.0 is applied unsaid.
fn with_a_lone_transform(xml: &str, after: &str, id: &str) -> String {
    let template = format!(
        "<Signature xmlns=\"{ds}\"><SignedInfo><CanonicalizationMethod Algorithm=\"{exclusive}\"/><SignatureMethod Algorithm=\"{rsa}\"/>\
         <Reference URI=\"#{id}\"><Transforms><Transform Algorithm=\"{enveloped}\"/></Transforms><DigestMethod Algorithm=\"{sha256}\"/><DigestValue/></Reference>\
         </SignedInfo><SignatureValue/><KeyInfo><X509Data/></KeyInfo></Signature>",
        ds = names::DS,
        exclusive = names::EXC_C14N,
        rsa = names::RSA_SHA256,
        enveloped = names::ENVELOPED,
        sha256 = names::SHA256,
    );
    xmlsec1_fills(xml, after, &template, &RSA)
}

#[test]
fn a_lone_enveloped_signature_transform_means_inclusive_canonicalization() {
    let (response, _) = unsigned();
    // Declarations around the assertion, which only the inclusive form takes along.
    let response = response.replacen("<samlp:Response", "<samlp:Response xmlns:around=\"urn:around\"", 1);
    let inside = response.find("<saml:Assertion").expect("an assertion");
    let issuer_end = inside + response[inside..].find("</saml:Issuer>").expect("an issuer") + "</saml:Issuer>".len();
    let assertion = with_a_lone_transform(&response, &response[..issuer_end], "_assertion1");
    let whole = with_a_lone_transform(&response, "</saml:Issuer>", "_response1");
    let allowed = ResponsePolicy { allow_inclusive_c14n: true, ..ResponsePolicy::default() };
    for xml in [assertion, whole] {
        assert_eq!(refusal(&xml).name(), "transform-refused");
        let verified = receive_with(&xml, &RSA, &allowed, &expected()).unwrap_or_else(|rejection| panic!("{rejection}\n{xml}"));
        assert_eq!(verified.subject(), "subject-1");
        let changed = xml.replace("subject-1", "admin");
        assert_eq!(receive_with(&changed, &RSA, &allowed, &expected()).expect_err("refused").name(), "digest-differs");
        // Alone, it must be enveloped-signature.
        let other =
            xml.replace(&format!("Transform Algorithm=\"{}\"", names::ENVELOPED), &format!("Transform Algorithm=\"{}\"", names::C14N));
        assert_ne!(other, xml);
        let refused = receive_with(&other, &RSA, &allowed, &expected()).expect_err("refused");
        assert!(["transform-refused", "signature-invalid"].contains(&refused.name()), "{refused}");
    }
}
