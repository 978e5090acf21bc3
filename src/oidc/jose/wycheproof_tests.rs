//! The cases of Project Wycheproof's JSON web vectors (`json_web_signature`, `json_web_encryption`, `json_web_key`, C2SP), by
//! their published names and descriptions, made here with keys of our own: its payloads are no JSON objects, which ours are,
//! and no package that was found carries these files. Each kind of defect that is known from them has a case of its own making
//! here or in `wycheproof_encodings_tests.rs`; the examples of RFC 7515 and 7520, which are among them, are josekit's and joserfc's
//! to read.
//!
//! What we judge otherwise, and why:
//! - `rejectsDuplicateKid`: two keys of one `kid` are both tried. RFC 7517 4.5 allows them, and both are the client's.
//! - `accepts*` with RSA1_5, A*KW, A*GCMKW, PBES2, `dir`, A192GCM and A192CBC-HS384: refused, as nobody may register them.
//! - `rejectsValidJsonSerialization`: agreed; the JSON serializations are never read.
//! - `CompressedPlaintext`, which they accept: `zip` is refused, as what it blows up to is not known before.

#[path = "wycheproof_encodings_tests.rs"]
mod encodings;

use super::jwe::{self, Opener};
use super::*;
use crate::id::base64url;
use crate::keys::{Digest, KeyKind, PrivateKey, SignatureScheme};
use crate::oidc::{ClientJwks, ClientSigningAlg, ContentEncryption, Encryption, KeyManagementAlg, verify_mac};
use crate::secret::Secret;
use openssl::bn::BigNum;
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::rsa::Padding;
use openssl::sign::Signer;
use serde_json::json;

const PAYLOAD: &[u8] = br#"{"sub":"foo"}"#;

fn part(value: &Value) -> String {
    base64url(value.to_string().as_bytes())
}

fn message(header: &Value) -> String {
    format!("{}.{}", part(header), base64url(PAYLOAD))
}

fn hmac(digest: Digest, secret: &[u8], message: &str) -> Vec<u8> {
    // RFC 2104: a key is filled up with zeros, so that one zero does for none at all, which OpenSSL does not take.
    let key = PKey::hmac(if secret.is_empty() { &[0] } else { secret }).expect("a key");
    Signer::new(digest.openssl(), &key).and_then(|mut signer| signer.sign_oneshot_to_vec(message.as_bytes())).expect("made")
}

/// A key of a client, its JWK with what is said of it, and a set of it alone.
struct Signing {
    key: PrivateKey,
    jwk: Map<String, Value>,
    scheme: SignatureScheme,
    alg: ClientSigningAlg,
}

impl Signing {
    fn new(alg: ClientSigningAlg, kind: KeyKind, scheme: SignatureScheme) -> Self {
        let key = PrivateKey::generate(kind).expect("a key");
        let mut jwk = public_jwk(&key).expect("a JWK");
        jwk.extend([("kid", "kid-sign"), ("use", "sig"), ("alg", alg.as_str())].map(|(name, value)| (name.to_owned(), json!(value))));
        Self { key, jwk, scheme, alg }
    }

    fn header(&self) -> Value {
        json!({"alg": self.alg.as_str(), "kid": "kid-sign"})
    }

    fn sign(&self, message: &str) -> Vec<u8> {
        self.key.sign(self.scheme, message.as_bytes()).expect("signed")
    }

    /// Does a set of this key alone accept it, every algorithm being allowed?
    fn accepts(&self, token: &str) -> bool {
        accepts(&self.jwk, token)
    }
}

fn accepts(jwk: &Map<String, Value>, token: &str) -> bool {
    ClientJwks::parse(&json!({"keys": [jwk]})).is_ok_and(|keys| keys.verify(token, ClientSigningAlg::ALL).is_ok())
}

fn every_signature() -> Vec<Signing> {
    vec![
        Signing::new(ClientSigningAlg::RS256, KeyKind::Rsa, SignatureScheme::RsaPkcs1(Digest::Sha256)),
        Signing::new(ClientSigningAlg::RS384, KeyKind::Rsa, SignatureScheme::RsaPkcs1(Digest::Sha384)),
        Signing::new(ClientSigningAlg::RS512, KeyKind::Rsa, SignatureScheme::RsaPkcs1(Digest::Sha512)),
        Signing::new(ClientSigningAlg::PS256, KeyKind::Rsa, SignatureScheme::RsaPss(Digest::Sha256)),
        Signing::new(ClientSigningAlg::PS384, KeyKind::Rsa, SignatureScheme::RsaPss(Digest::Sha384)),
        Signing::new(ClientSigningAlg::PS512, KeyKind::Rsa, SignatureScheme::RsaPss(Digest::Sha512)),
        Signing::new(ClientSigningAlg::ES256, KeyKind::EcP256, SignatureScheme::Ecdsa(Digest::Sha256)),
        Signing::new(ClientSigningAlg::ES384, KeyKind::EcP384, SignatureScheme::Ecdsa(Digest::Sha384)),
        Signing::new(ClientSigningAlg::ES512, KeyKind::EcP521, SignatureScheme::Ecdsa(Digest::Sha512)),
        Signing::new(ClientSigningAlg::EdDSA, KeyKind::Ed25519, SignatureScheme::EdDsa),
    ]
}

/// What is done to the form of a good token, by the names of the cases.
fn of_another_form(header: &str, payload: &str, signature: &str) -> Vec<(&'static str, String)> {
    let changed = |text: &str| format!("{}{}", if text.starts_with('X') { 'Y' } else { 'X' }, &text[1..]);
    let json = json!({"payload": payload, "signatures": [{"protected": header, "header": {"unknown": "x"}, "signature": signature}]});
    vec![
        ("rejectsModifiedSignature", format!("{header}.{payload}.{}", changed(signature))),
        ("rejectsMissingSignature", format!("{header}.{payload}.")),
        ("rejectsMissingSignatureAndSeparator", format!("{header}.{payload}")),
        ("rejectsModifiedPayload", format!("{header}.{}.{signature}", base64url(br#"{"sub":"bar"}"#))),
        ("rejectsMissingPayload", format!("{header}..{signature}")),
        ("rejectsMissingPayloadAndSeparator", format!("{header}.{signature}")),
        ("rejectsMissingHeader", format!(".{payload}.{signature}")),
        ("rejectsMissingHeaderAndSeparator", format!("{payload}.{signature}")),
        ("rejectsMissingHeaderAndSignature", format!(".{payload}.")),
        ("rejectsMissingHeaderSignatureAndSeparators", payload.to_owned()),
        ("rejectsEmptyString", String::new()),
        ("rejectsExtraEmptyComponent", format!("{header}.{payload}.{signature}.")),
        ("rejectsExtraComponent", format!("{header}.{payload}.{signature}.foo")),
        ("rejectsNoneAlgorithmAndMissingSignature", format!("{}.{payload}.", part(&json!({"alg": "none", "kid": "kid-sign"})))),
        ("rejectsValidJsonSerialization", json.to_string()),
        ("rejectsPaddedComponents", format!("{header}.{payload}.{signature}==")),
    ]
}

#[test]
fn json_web_signature_the_form() {
    for signing in every_signature() {
        let message = message(&signing.header());
        let signature = base64url(&signing.sign(&message));
        let (header, payload) = message.split_once('.').expect("parts");
        assert!(signing.accepts(&format!("{message}.{signature}")), "acceptsValid {:?}", signing.alg);
        for (case, token) in of_another_form(header, payload, &signature) {
            assert!(!signing.accepts(&token), "{case} {:?}", signing.alg);
        }
        let other = part(&json!({"alg": signing.alg.as_str(), "kid": "Xid-sign"}));
        assert!(!signing.accepts(&format!("{other}.{payload}.{signature}")), "rejectsModifiedHeader {:?}", signing.alg);
    }
    for (alg, digest) in
        [(ClientSigningAlg::HS256, Digest::Sha256), (ClientSigningAlg::HS384, Digest::Sha384), (ClientSigningAlg::HS512, Digest::Sha512)]
    {
        let secret = Secret::new("k".repeat(64));
        let message = message(&json!({"alg": alg.as_str(), "kid": "kid-sign"}));
        let signature = base64url(&hmac(digest, secret.expose().as_bytes(), &message));
        let (header, payload) = message.split_once('.').expect("parts");
        let accepts = |token: &str| verify_mac(&secret, token, ClientSigningAlg::ALL).is_ok();
        assert!(accepts(&format!("{message}.{signature}")), "acceptsValid {alg:?}");
        for (case, token) in of_another_form(header, payload, &signature) {
            assert!(!accepts(&token), "{case} {alg:?}");
        }
    }
}

#[test]
fn json_web_signature_symmetry_confusion_and_embedded_keys() {
    for signing in every_signature() {
        let der = signing.key.public_der().expect("DER");
        let pem = PKey::public_key_from_der(&der).and_then(|key| key.public_key_to_pem()).expect("PEM");
        let raw: Vec<Vec<u8>> = ["n", "x", "y"].iter().filter_map(|name| id_of(&signing.jwk, name)).collect();
        let text = Value::Object(signing.jwk.clone()).to_string().into_bytes();
        for secret in [der, pem, text].into_iter().chain(raw) {
            for (alg, digest) in [("HS256", Digest::Sha256), ("HS384", Digest::Sha384), ("HS512", Digest::Sha512)] {
                let message = message(&json!({"alg": alg, "kid": "kid-sign"}));
                let token = format!("{message}.{}", base64url(&hmac(digest, &secret, &message)));
                assert!(!signing.accepts(&token), "rejectsSymmetryConfusionAttacks {:?}", signing.alg);
            }
        }
        let attacker = Signing::new(signing.alg, signing.key.kind(), signing.scheme);
        let message = message(&json!({"alg": signing.alg.as_str(), "kid": "kid-sign", "jwk": attacker.jwk}));
        let token = format!("{message}.{}", base64url(&attacker.sign(&message)));
        assert!(attacker.accepts(&token) && !signing.accepts(&token), "rejectsAttackerProvidedEmbeddedJwk {:?}", signing.alg);
    }
}

fn id_of(jwk: &Map<String, Value>, name: &str) -> Option<Vec<u8>> {
    crate::id::from_base64url(jwk.get(name)?.as_str()?)
}

#[test]
fn json_web_signature_modified_padding() {
    let signing = Signing::new(ClientSigningAlg::RS256, KeyKind::Rsa, SignatureScheme::RsaPkcs1(Digest::Sha256));
    let rsa = PKey::private_key_from_pem(&signing.key.pem_for_tests()).and_then(|key| key.rsa()).expect("RSA");
    let message = message(&signing.header());
    let digest = openssl::hash::hash(MessageDigest::sha256(), message.as_bytes()).expect("digest").to_vec();
    // RFC 8017 9.2: 00 01 FF .. FF 00 and the DigestInfo.
    let info = [&[0x30, 0x31, 0x30, 0x0d, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1, 5, 0, 4, 0x20][..], &digest].concat();
    let without_null = [&[0x30, 0x2f, 0x30, 0x0b, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1, 4, 0x20][..], &digest].concat();
    let padded = |head: &[u8], fill: u8, end: &[u8], info: &[u8], tail: &[u8]| {
        let filled = 256 - head.len() - end.len() - info.len() - tail.len();
        [head, &vec![fill; filled], end, info, tail].concat()
    };
    let signed = |block: &[u8]| {
        let mut signature = vec![0; 256];
        rsa.private_encrypt(block, &mut signature, Padding::NONE).expect("a number below the modulus");
        format!("{message}.{}", base64url(&signature))
    };
    assert!(signing.accepts(&signed(&padded(&[0, 1], 0xff, &[0], &info, &[]))), "acceptsValid");
    for (case, block) in [
        ("block type 2", padded(&[0, 2], 0xff, &[0], &info, &[])),
        ("block type 0", padded(&[0, 0], 0xff, &[0], &info, &[])),
        ("padding of zeros", padded(&[0, 1], 0, &[0], &info, &[])),
        ("padding of another octet", padded(&[0, 1], 0xfe, &[0], &info, &[])),
        ("no separator", padded(&[0, 1], 0xff, &[0xff], &info, &[])),
        ("garbage behind the digest", padded(&[0, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0], 0, &[], &info, &[7; 16])),
        ("garbage behind, short padding", [&[0, 1, 0xff, 0][..], &info, &vec![7; 256 - 4 - info.len()]].concat()),
        ("parameters missing", padded(&[0, 1], 0xff, &[0], &without_null, &[])),
        ("no DigestInfo", padded(&[0, 1], 0xff, &[0], &digest, &[])),
        ("nothing", vec![0; 256]),
    ] {
        assert!(!signing.accepts(&signed(&block)), "rejectsModifiedPadding: {case}");
    }
    let good = signing.sign(&message);
    for (case, signature) in [("shorter", good[1..].to_vec()), ("longer", [&[0][..], &good].concat()), ("more", [&good[..], &[0]].concat())]
    {
        assert!(!signing.accepts(&format!("{message}.{}", base64url(&signature))), "{case}");
    }
    // The signature plus the modulus is the same number, and no signature (RFC 8017 8.2.2).
    let mut beyond = BigNum::new().expect("a number");
    beyond.checked_add(&BigNum::from_slice(&good).expect("a number"), rsa.n()).expect("a sum");
    assert!(!signing.accepts(&format!("{message}.{}", base64url(&beyond.to_vec()))), "beyond the modulus");
}

#[test]
fn json_web_signature_wrong_primitive_and_pss_parameters() {
    let pkcs1 = Signing::new(ClientSigningAlg::RS256, KeyKind::Rsa, SignatureScheme::RsaPkcs1(Digest::Sha256));
    for (alg, scheme) in [
        ("PS256", SignatureScheme::RsaPss(Digest::Sha256)),
        ("RS384", SignatureScheme::RsaPkcs1(Digest::Sha384)),
        ("RS256", SignatureScheme::RsaPss(Digest::Sha256)),
        ("RS256", SignatureScheme::RsaPkcs1(Digest::Sha1)),
        ("RS256", SignatureScheme::RsaPkcs1(Digest::Sha512)),
    ] {
        let message = message(&json!({"alg": alg, "kid": "kid-sign"}));
        let token = format!("{message}.{}", base64url(&pkcs1.key.sign(scheme, message.as_bytes()).expect("signed")));
        assert!(!pkcs1.accepts(&token), "WrongPrimitive: {alg} by {scheme:?}");
    }
    // RFC 7518 3.5: the salt has the length of the digest.
    let pss = Signing::new(ClientSigningAlg::PS256, KeyKind::Rsa, SignatureScheme::RsaPss(Digest::Sha256));
    let key = PKey::private_key_from_pem(&pss.key.pem_for_tests()).expect("a key");
    let message = message(&pss.header());
    for (salt, mgf1, good) in
        [(32, Digest::Sha256, true), (0, Digest::Sha256, false), (20, Digest::Sha256, false), (32, Digest::Sha1, false)]
    {
        let mut signer = Signer::new(MessageDigest::sha256(), &key).expect("a signer");
        signer.set_rsa_padding(Padding::PKCS1_PSS).expect("PSS");
        signer.set_rsa_pss_saltlen(openssl::sign::RsaPssSaltlen::custom(salt)).expect("a length");
        signer.set_rsa_mgf1_md(mgf1.openssl()).expect("a digest");
        let signature = signer.sign_oneshot_to_vec(message.as_bytes()).expect("signed");
        assert_eq!(pss.accepts(&format!("{message}.{}", base64url(&signature))), good, "salt of {salt}, MGF1 with {mgf1:?}");
    }
}

#[test]
fn json_web_key() {
    let rsa = Signing::new(ClientSigningAlg::RS256, KeyKind::Rsa, SignatureScheme::RsaPkcs1(Digest::Sha256));
    let ec = Signing::new(ClientSigningAlg::ES256, KeyKind::EcP256, SignatureScheme::Ecdsa(Digest::Sha256));
    let token = |signing: &Signing| {
        let message = message(&signing.header());
        format!("{message}.{}", base64url(&signing.sign(&message)))
    };
    let changed = |signing: &Signing, members: Value| {
        let mut jwk = signing.jwk.clone();
        jwk.extend(members.as_object().cloned().unwrap_or_default());
        jwk.retain(|_, value| !value.is_null());
        accepts(&jwk, &token(signing))
    };
    assert!(changed(&rsa, json!({})) && changed(&ec, json!({})), "acceptsValid");
    let key_ops = json!({"use": null, "key_ops": ["verify"]});
    assert!(changed(&rsa, key_ops.clone()) && changed(&ec, key_ops), "rfc7520WithKeyOps");
    for (case, signing, members) in [
        ("rejectsWrongUse", &rsa, json!({"use": "enc", "alg": "RSA1_5"})),
        ("invalid_use", &ec, json!({"use": "enc"})),
        ("rejectWrongKeyOps", &rsa, json!({"use": null, "key_ops": ["encrypt"]})),
        ("rejectWrongKeyOps", &ec, json!({"use": null, "key_ops": ["encrypt"]})),
        ("mismatchedAlgAndCurve ES521", &ec, json!({"alg": "ES521"})),
        ("mismatchedAlgAndCurve ES224", &ec, json!({"alg": "ES224"})),
        ("invalid_point", &ec, json!({"y": ec.jwk["x"]})),
        ("wrong_curve", &ec, json!({"crv": "P-384"})),
        ("wrong_kty", &ec, json!({"kty": "RSA"})),
        ("rejectsPublicExponent1", &rsa, json!({"e": "AQ"})),
        ("private member", &ec, json!({"d": "AQ"})),
    ] {
        assert!(!changed(signing, members), "{case}");
    }
    // With the exponent 1 whoever writes the padding has the signature.
    let message = message(&rsa.header());
    let digest = openssl::hash::hash(MessageDigest::sha256(), message.as_bytes()).expect("digest");
    let info = [&[0x30, 0x31, 0x30, 0x0d, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1, 5, 0, 4, 0x20][..], &digest].concat();
    let block = [&[0, 1][..], &vec![0xff; 253 - info.len()], &[0], &info].concat();
    let mut jwk = rsa.jwk.clone();
    jwk.insert("e".to_owned(), json!("AQ"));
    assert!(!accepts(&jwk, &format!("{message}.{}", base64url(&block))), "rejectsPublicExponent1");
    // A set of public and secret keys, and keys for AES.
    let oct = json!({"kty": "oct", "alg": "HS256", "use": "sig", "kid": "kid-aes-sign", "k": base64url(&[1; 32])});
    assert!(ClientJwks::parse(&json!({"keys": [oct, rsa.jwk]})).is_err(), "jws_mixedSymmetryKeyset");
    for alg in ["A256GCM", "A256KW"] {
        assert!(ClientJwks::parse(&json!({"keys": [{"kty": "oct", "alg": alg, "k": "AA"}]})).is_err(), "rejectsAesKey");
        assert!(!accepts(json!({"kty": "oct", "alg": alg}).as_object().expect("members"), &token(&rsa)), "rejectsAesKey");
    }
    // Weak RSA keys: one of 1024 bits, and one of the form that the defective generator makes.
    let short = openssl::rsa::Rsa::generate(1024).expect("a key");
    assert!(!changed(&rsa, json!({"n": base64url(&short.n().to_vec())})), "rejects1024bitRsaKey");
    let mut roca = BigNum::from_u32(1).expect("a number");
    for _ in 0..128 {
        roca.mul_word(65_537).expect("a product");
    }
    let members = json!({"kty": "RSA", "e": "AQAB", "n": base64url(&roca.to_vec())});
    let why = PublicKey::from_jwk(members.as_object().expect("members")).expect_err("rejectsKeyWithRocaVulnerability");
    assert!(why.contains("ROCA"), "{why}");
    // Secrets for MACs.
    for (alg, digest, octets) in [
        (ClientSigningAlg::HS256, Digest::Sha256, 32),
        (ClientSigningAlg::HS384, Digest::Sha384, 48),
        (ClientSigningAlg::HS512, Digest::Sha512, 64),
    ] {
        for (case, length, good) in [("key_too_short", octets - 1, false), ("empty_key", 0, false), ("long_key", octets + 33, true)] {
            let (secret, message) = ("k".repeat(length), self::message(&json!({"alg": alg.as_str()})));
            let token = format!("{message}.{}", base64url(&hmac(digest, secret.as_bytes(), &message)));
            assert_eq!(verify_mac(&Secret::new(secret), &token, &[alg]).is_ok(), good, "{case} {alg:?}");
        }
    }
}

#[test]
fn json_web_encryption() {
    let opener = |kind: KeyKind| {
        let key = PrivateKey::generate(kind).expect("a key");
        Opener { kid: key_id(&key).expect("a kid"), key }
    };
    let (rsa, ec) = (opener(KeyKind::Rsa), opener(KeyKind::EcP256));
    for alg in KeyManagementAlg::ALL {
        for enc in ContentEncryption::ALL {
            let how = Encryption { alg: *alg, enc: *enc };
            let is_rsa = matches!(alg, KeyManagementAlg::RsaOaep | KeyManagementAlg::RsaOaep256);
            let ours = if is_rsa { &rsa } else { &ec };
            let key = PublicKey::from_jwk(&public_jwk(&ours.key).expect("a JWK")).expect("a key");
            let good = jwe::encrypt(&key, Some(&ours.kid), how, None, b"foo").expect("encrypted");
            assert_eq!(jwe::decrypt(&good, [ours]).expect("acceptsValid"), b"foo");
            for (case, token) in of_another_jwe(&good) {
                assert!(jwe::decrypt(&token, [ours]).is_err(), "{case} {how:?}");
            }
        }
    }
    // Keys and algorithms of another primitive, named in the header over the same octets.
    let key = PublicKey::from_jwk(&public_jwk(&rsa.key).expect("a JWK")).expect("a key");
    let how = Encryption { alg: KeyManagementAlg::RsaOaep, enc: ContentEncryption::A128Gcm };
    let good = jwe::encrypt(&key, None, how, None, b"foo").expect("encrypted");
    let (_, rest) = good.split_once('.').expect("parts");
    for alg in ["RSA1_5", "A128KW", "A128GCMKW", "A256GCMKW", "dir", "PBES2-HS512+A256KW", "ECDH-ES", "RSA-OAEP-256", "none", ""] {
        let token = format!("{}.{rest}", part(&json!({"alg": alg, "enc": "A128GCM"})));
        assert!(jwe::decrypt(&token, [&rsa, &ec]).is_err(), "WrongCipher, OaepKeyUsedWithPkcs1_5: {alg}");
    }
}

/// What is done to a good JWE, by the names of the cases.
fn of_another_jwe(good: &str) -> Vec<(&'static str, String)> {
    let parts: Vec<&str> = good.split('.').collect();
    let [header, key, iv, text, tag] = parts[..] else { panic!("five parts") };
    let octets = |part: &str| crate::id::from_base64url(part).expect("base64url");
    let flipped = |part: &str, at_end: bool| {
        let mut octets = octets(part);
        if let Some(octet) = if at_end { octets.last_mut() } else { octets.first_mut() } {
            *octet ^= 0x10;
        }
        base64url(&octets)
    };
    let cut = |part: &str, by: usize| base64url(&octets(part)[..octets(part).len().saturating_sub(by)]);
    let more = |part: &str, by: usize| base64url(&[octets(part), vec![0; by]].concat());
    let mut other_header: Value = serde_json::from_slice(&octets(header)).expect("JSON");
    other_header["kid"] = json!("Xid");
    let json = json!({"protected": header, "encrypted_key": key, "iv": iv, "ciphertext": text, "tag": tag});
    let joined = |parts: [&str; 5]| parts.join(".");
    let mut cases = vec![
        ("rejectsModifiedAuthenticationTag", joined([header, key, iv, text, &flipped(tag, false)])),
        ("rejectsModifiedAuthenticationTagAtEnd", joined([header, key, iv, text, &flipped(tag, true)])),
        ("rejectsAuthenticationTagTooLong, rejectsGhashTooLong", joined([header, key, iv, text, &more(tag, 3)])),
        ("rejectsTruncatedAuthenticationTagBy1Byte", joined([header, key, iv, text, &cut(tag, 1)])),
        ("rejectsTruncatedAuthenticationTagBy4Bytes", joined([header, key, iv, text, &cut(tag, 4)])),
        ("rejectsTruncatedAuthenticationTagBy8Bytes", joined([header, key, iv, text, &cut(tag, 8)])),
        ("rejectsMissingAuthenticationTag", joined([header, key, iv, text, ""])),
        ("rejectsMissingAuthenticationTagAndSeparator", [header, key, iv, text].join(".")),
        ("rejectsModifiedCiphertext", joined([header, key, iv, &flipped(text, false), tag])),
        ("rejectsMissingCiphertext", joined([header, key, iv, "", tag])),
        ("rejectsMissingCiphertextAndSeparator", [header, key, iv, tag].join(".")),
        ("rejectsModifiedIv", joined([header, key, &flipped(iv, false), text, tag])),
        ("rejectsLongerIv", joined([header, key, &more(iv, 4), text, tag])),
        ("rejectsMissingIv", joined([header, key, "", text, tag])),
        ("rejectsMissingIvAndSeparator", [header, key, text, tag].join(".")),
        ("rejectsMissingEncryptedKeyAndSeparator", [header, iv, text, tag].join(".")),
        ("rejectsLongerEncryptedKey", joined([header, &more(key, 8), iv, text, tag])),
        ("rejectsModifiedHeader", joined([&part(&other_header), key, iv, text, tag])),
        ("rejectsMissingHeader", joined(["", key, iv, text, tag])),
        ("rejectsMissingHeaderAndSeparator", [key, iv, text, tag].join(".")),
        ("rejectsExtraComponent", format!("{good}.foo")),
        ("rejectsValidJsonSerialization", json.to_string()),
    ];
    if !key.is_empty() {
        cases.push(("rejectsModifiedEncryptedKey", joined([header, &flipped(key, false), iv, text, tag])));
        cases.push(("rejectsMissingEncryptedKey", joined([header, "", iv, text, tag])));
    }
    cases
}
