//! Encrypted assertions: what is read, what is refused, and that failures look alike.

use super::support::*;
use crate::keys::Digest;
use crate::saml::encryption::{ContentCipher, KeyTransport, encrypt_assertion, encrypt_name_id};
use crate::saml::idp::{Encrypt, Sign, respond};
use crate::saml::signature::sign;
use crate::saml::*;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

const OAEP: KeyTransport = KeyTransport::Oaep { digest: Digest::Sha256, mgf1: Digest::Sha256 };

fn encrypted(sign: Sign) -> String {
    let answer = idp::Answer { sign, encrypt: Some(Encrypt::to(&ENCRYPTION.certificate)), ..answer() };
    respond(&answer, signer(), now()).expect("written")
}

/// A response around any text, encrypted.
fn around(plain: &str) -> String {
    let (response, assertion) = unsigned();
    let cipher = encrypt_assertion(plain, &ENCRYPTION.certificate, ContentCipher::Aes256Gcm, OAEP).expect("encrypted");
    response.replace(&assertion, &cipher)
}

#[test]
fn every_gcm_cipher_and_oaep_form_is_read() {
    for cipher in [ContentCipher::Aes128Gcm, ContentCipher::Aes192Gcm, ContentCipher::Aes256Gcm] {
        for transport in [
            KeyTransport::OaepMgf1p(Digest::Sha1),
            KeyTransport::OaepMgf1p(Digest::Sha256),
            OAEP,
            KeyTransport::Oaep { digest: Digest::Sha512, mgf1: Digest::Sha1 },
        ] {
            let encrypt = Some(Encrypt { recipient: &ENCRYPTION.certificate, cipher, transport });
            let xml = respond(&idp::Answer { encrypt, ..answer() }, signer(), now()).expect("written");
            receive(&xml).unwrap_or_else(|rejection| panic!("{cipher:?} {transport:?}: {rejection}"));
        }
    }
}

#[test]
fn encrypted_but_unsigned_is_refused() {
    assert_eq!(refusal(&encrypted(Sign::Nothing)).name(), "encrypted-but-unsigned");
}

#[test]
fn a_broken_signature_inside_is_refused_under_a_signed_response_too() {
    let (_, assertion) = unsigned();
    let broken = sign(&assertion, signer()).expect("signed").replace("subject-1", "admin");
    assert_eq!(refusal(&around(&broken)).name(), "digest-differs");
    let outer = sign(&around(&broken), signer()).expect("signed");
    assert_eq!(refusal(&outer).name(), "digest-differs");
}

#[test]
fn without_a_decryption_key_the_refusal_says_so() {
    let mut checks = Vec::new();
    let form = form(&encrypted(Sign::Assertion));
    let outcome = receive_response(&form, &sp(), &idp(&RSA), &[], &ResponsePolicy::default(), &expected(), &mut checks);
    assert_eq!(outcome.expect_err("refused"), Rejection::DecryptionKeyMissing);
}

#[test]
fn the_next_and_previous_keys_decrypt_too() {
    let mut checks = Vec::new();
    let form = form(&encrypted(Sign::Assertion));
    let keys = [&OTHER_RSA.certified, &EC.certified, &ENCRYPTION.certified];
    receive_response(&form, &sp(), &idp(&RSA), &keys, &ResponsePolicy::default(), &expected(), &mut checks).expect("accepted");
}

#[test]
fn all_failures_that_depend_on_a_key_are_the_same() {
    let xml = encrypted(Sign::Assertion);
    let values: Vec<&str> = xml.split("<xenc:CipherValue>").skip(1).map(|rest| rest.split('<').next().expect("a value")).collect();
    let (wrapped, content) = (values[0], values[1]);
    let flipped = |value: &str| {
        let mut bytes = STANDARD.decode(value).expect("base64");
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        STANDARD.encode(bytes)
    };
    let foreign = encrypt_assertion("<x/>", &OTHER_RSA.certificate, ContentCipher::Aes256Gcm, OAEP).expect("encrypted");
    let foreign = foreign.split("<xenc:CipherValue>").nth(1).and_then(|rest| rest.split('<').next()).expect("a value").to_owned();
    // A key of another length, properly wrapped.
    let short = encrypt_assertion("<x/>", &ENCRYPTION.certificate, ContentCipher::Aes128Gcm, OAEP).expect("encrypted");
    let short = short.split("<xenc:CipherValue>").nth(1).and_then(|rest| rest.split('<').next()).expect("a value").to_owned();
    for broken in [
        xml.replace(wrapped, &flipped(wrapped)),
        xml.replace(wrapped, &foreign),
        xml.replace(wrapped, &short),
        xml.replace(wrapped, ""),
        xml.replace(wrapped, "AAAA"),
        xml.replace(content, &flipped(content)),
        xml.replace(content, ""),
        xml.replace(content, &STANDARD.encode([0; 11])),
        xml.replace(content, &STANDARD.encode([0; 12])),
        xml.replace(content, &STANDARD.encode([0; 27])),
        xml.replace(content, &STANDARD.encode([0; 28])),
        xml.replace(cut(&xml, "xenc:EncryptedKey"), ""),
        xml.replace(cut(&xml, "xenc:EncryptedData"), ""),
    ] {
        assert_eq!(refusal(&broken), Rejection::DecryptionFailed);
    }
}

#[test]
fn rsa_1_5_and_unknown_ciphers_are_refused_by_name() {
    let xml = encrypted(Sign::Assertion);
    for (from, to) in [
        (names::RSA_OAEP, "http://www.w3.org/2001/04/xmlenc#rsa-1_5"),
        (names::AES256_GCM, names::AES256_CBC),
        (names::AES256_GCM, "http://www.w3.org/2001/04/xmlenc#tripledes-cbc"),
        (names::MGF1_SHA256, "urn:x"),
    ] {
        assert_eq!(refusal(&xml.replace(from, to)).name(), "algorithm-refused", "{to}");
    }
}

#[test]
fn what_was_decrypted_passes_the_same_strict_reader() {
    let (_, assertion) = unsigned();
    let good = sign(&assertion, signer()).expect("signed");
    receive(&around(&good)).expect("accepted");
    for (plain, name) in [
        (format!("<!DOCTYPE x>{good}"), "document-type"),
        (format!("{good}{good}"), "not-well-formed"),
        (good.replace("subject-1", "subject<!-- -->-1"), "comment-or-instruction"),
        (good.replace("</saml:Assertion>", ""), "not-well-formed"),
        (format!("<x>{good}</x>"), "wrong-root"),
        (good.replace("</saml:Assertion>", &format!("{}</saml:Assertion>", good.replace("_assertion1", "_x"))), "signature-misplaced"),
        (String::new(), "not-well-formed"),
    ] {
        assert_eq!(refusal(&around(&plain)).name(), name);
    }
}

#[test]
fn where_cbc_is_allowed_a_broken_plain_text_looks_like_a_wrong_key() {
    let policy = ResponsePolicy { allow_cbc: true, ..ResponsePolicy::default() };
    for plain in ["<x/>", "no XML", "<!DOCTYPE x><x/>"] {
        let refused = receive_with(&around(plain), &RSA, &policy, &expected()).expect_err("refused");
        assert_eq!(refused, Rejection::DecryptionFailed);
    }
}

#[test]
fn an_encrypted_key_beside_the_data_is_found() {
    let xml = encrypted(Sign::Assertion);
    let key = cut(&xml, "xenc:EncryptedKey").to_owned();
    let named = key.replace(
        "<xenc:EncryptedKey>",
        &format!("<xenc:EncryptedKey Id=\"_k\" xmlns:xenc=\"{}\" xmlns:ds=\"{}\">", names::XENC, names::DS),
    );
    let beside = |inside: &str| xml.replace(&key, inside).replace("</xenc:EncryptedData>", &format!("</xenc:EncryptedData>{named}"));
    receive(&beside("")).expect("without a name");
    receive(&beside("<ds:RetrievalMethod URI=\"#_k\"/>")).expect("by RetrievalMethod");
    assert_eq!(refusal(&beside("<ds:RetrievalMethod URI=\"#_other\"/>")), Rejection::DecryptionFailed);
    assert_eq!(refusal(&beside("<ds:RetrievalMethod URI=\"http://evil.example/\"/>")).name(), "decryption-failed");
}

/// An element, encrypted to us, under its own name.
fn sealed(name: &str, plain: &str) -> String {
    let sealed = encrypt_name_id(plain, &ENCRYPTION.certificate, ContentCipher::Aes256Gcm, OAEP).expect("encrypted");
    sealed.replace("saml:EncryptedID", name)
}

/// A signed assertion whose NameID is replaced by what stands for it.
fn with_name_id(replaced: &str) -> String {
    with_assertion(|assertion| assertion.replace(cut(&assertion, "saml:NameID"), replaced))
}

const NAME_ID: &str =
    "<saml:NameID xmlns:saml=\"urn:oasis:names:tc:SAML:2.0:assertion\" Format=\"urn:x\" NameQualifier=\"q\"> sealed-1 </saml:NameID>";

#[test]
fn an_encrypted_name_id_is_the_subject_in_plain_and_in_encrypted_assertions() {
    let xml = with_name_id(&sealed("saml:EncryptedID", NAME_ID));
    assert!(!xml.contains("sealed-1"));
    let verified = receive(&xml).expect("accepted");
    let name_id = verified.name_id().expect("there");
    assert_eq!((verified.subject(), name_id.format.as_deref(), name_id.name_qualifier.as_deref()), ("sealed-1", Some("urn:x"), Some("q")));
    for encrypt in [None, Some(Encrypt::to(&ENCRYPTION.certificate))] {
        let answer = idp::Answer { encrypt, encrypt_name_id: Some(Encrypt::to(&ENCRYPTION.certificate)), ..answer() };
        let xml = respond(&answer, signer(), now()).expect("written");
        assert_eq!(receive(&xml).expect("accepted").subject(), "subject-1", "{encrypt:?}");
    }
}

#[test]
fn an_encrypted_name_id_that_cannot_be_opened_is_refused_like_any_other() {
    let strange = encrypt_name_id(NAME_ID, &OTHER_RSA.certificate, ContentCipher::Aes256Gcm, OAEP).expect("encrypted");
    let whole = sealed("saml:EncryptedID", NAME_ID);
    let value =
        whole.rsplit_once("CipherValue>").and_then(|(before, _)| before.rsplit_once("</xenc:")).map(|(before, _)| before.to_owned());
    let cut_short = whole.replace(value.as_deref().and_then(|text| text.rsplit_once('>')).expect("a value").1, "AAAA");
    let broken = [strange, cut_short, "<saml:EncryptedID/>".to_owned()];
    let told: Vec<String> = broken.iter().map(|element| refusal(&with_name_id(element)).to_string()).collect();
    assert!(told.windows(2).all(|pair| pair[0] == pair[1]), "{told:?}");
    assert_eq!(refusal(&with_name_id(&broken[0])).name(), "decryption-failed");
    // An empty one is none, another element is refused, and two of them are not one.
    assert_eq!(refusal(&with_name_id(&sealed("saml:EncryptedID", &NAME_ID.replace(" sealed-1 ", " ")))).name(), "name-id-missing");
    assert_eq!(refusal(&with_name_id(&sealed("saml:EncryptedID", "<x/>"))).name(), "wrong-root");
    assert_eq!(refusal(&with_name_id(&[whole.as_str(), &whole].concat())).name(), "structure");
    let plain = "<saml:NameID>plain</saml:NameID>";
    assert_eq!(refusal(&with_name_id(&[plain, &whole].concat())).name(), "structure");
    // Without a key there is another word for it.
    let (mut checks, form) = (Vec::new(), form(&with_name_id(&whole)));
    let outcome = receive_response(&form, &sp(), &idp(&RSA), &[], &ResponsePolicy::default(), &expected(), &mut checks);
    assert_eq!(outcome.expect_err("refused").name(), "decryption-key-missing");
}

#[test]
fn encrypted_attributes_are_attributes() {
    let attribute = "<saml:Attribute xmlns:saml=\"urn:oasis:names:tc:SAML:2.0:assertion\" Name=\"secret\"><saml:AttributeValue>s</saml:AttributeValue></saml:Attribute>";
    let with = |elements: &str| {
        with_assertion(|assertion| assertion.replace("</saml:AttributeStatement>", &format!("{elements}</saml:AttributeStatement>")))
    };
    let verified = receive(&with(&sealed("saml:EncryptedAttribute", attribute))).expect("accepted");
    let last = verified.attributes().last().expect("there");
    assert_eq!((last.name.as_str(), last.values.first().and_then(AttributeValue::text)), ("secret", Some("s")));
    assert_eq!(verified.attributes().len(), 3);
    assert_eq!(refusal(&with(&sealed("saml:EncryptedAttribute", "<x/>"))).name(), "wrong-root");
    assert_eq!(refusal(&with("<saml:EncryptedAttribute/>")).name(), "decryption-failed");
    let many = "<saml:EncryptedAttribute/>".repeat(33);
    assert_eq!(refusal(&with(&many)).name(), "structure");
}
