use super::*;
use crate::keys::KeyKind;
use crate::oidc::testing;
use josekit::jwe::{self as peer, JweDecrypter, JweEncrypter, JweHeader};
use josekit::jwk::Jwk;
use serde_json::json;

const TEXT: &[u8] = b"{\"sub\":\"jane\"}";

fn opener(kind: KeyKind) -> Opener {
    let key = PrivateKey::generate(kind).expect("a key");
    Opener { kid: super::super::key_id(&key).expect("a kid"), key }
}

fn public(opener: &Opener) -> PublicKey {
    PublicKey::from_jwk(&super::super::public_jwk(&opener.key).expect("a JWK")).expect("a key")
}

fn every_way() -> Vec<Encryption> {
    let all = |alg: &KeyManagementAlg| ContentEncryption::ALL.iter().map(|enc| Encryption { alg: *alg, enc: *enc }).collect::<Vec<_>>();
    KeyManagementAlg::ALL.iter().flat_map(all).collect()
}

/// Something that no key of ours is needed for: josekit with a key of its own.
fn peer_pair(alg: KeyManagementAlg) -> (Map<String, Value>, Box<dyn JweDecrypter>) {
    fn made(pem: &[u8], alg: KeyManagementAlg) -> Box<dyn JweDecrypter> {
        match alg {
            KeyManagementAlg::RsaOaep => Box::new(peer::RSA_OAEP.decrypter_from_pem(pem).expect("a key")),
            KeyManagementAlg::RsaOaep256 => Box::new(peer::RSA_OAEP_256.decrypter_from_pem(pem).expect("a key")),
            KeyManagementAlg::EcdhEs => Box::new(peer::ECDH_ES.decrypter_from_pem(pem).expect("a key")),
            KeyManagementAlg::EcdhEsA128Kw => Box::new(peer::ECDH_ES_A128KW.decrypter_from_pem(pem).expect("a key")),
            KeyManagementAlg::EcdhEsA256Kw => Box::new(peer::ECDH_ES_A256KW.decrypter_from_pem(pem).expect("a key")),
        }
    }
    let kind = if matches!(alg, KeyManagementAlg::RsaOaep | KeyManagementAlg::RsaOaep256) { KeyKind::Rsa } else { KeyKind::EcP256 };
    let own = opener(kind);
    let jwk = super::super::public_jwk(&own.key).expect("a JWK");
    (jwk, made(&own.key.pem_for_tests(), alg))
}

fn peer_encrypter(alg: KeyManagementAlg, jwk: &Map<String, Value>) -> Box<dyn JweEncrypter> {
    let jwk = Jwk::from_map(jwk.clone()).expect("a JWK");
    match alg {
        KeyManagementAlg::RsaOaep => Box::new(peer::RSA_OAEP.encrypter_from_jwk(&jwk).expect("a key")),
        KeyManagementAlg::RsaOaep256 => Box::new(peer::RSA_OAEP_256.encrypter_from_jwk(&jwk).expect("a key")),
        KeyManagementAlg::EcdhEs => Box::new(peer::ECDH_ES.encrypter_from_jwk(&jwk).expect("a key")),
        KeyManagementAlg::EcdhEsA128Kw => Box::new(peer::ECDH_ES_A128KW.encrypter_from_jwk(&jwk).expect("a key")),
        KeyManagementAlg::EcdhEsA256Kw => Box::new(peer::ECDH_ES_A256KW.encrypter_from_jwk(&jwk).expect("a key")),
    }
}

#[test]
fn josekit_decrypts_what_we_encrypt_and_we_what_it_does() {
    let (rsa, ec) = (opener(KeyKind::Rsa), opener(KeyKind::EcP256));
    for how in every_way() {
        let (jwk, decrypter) = peer_pair(how.alg);
        let key = PublicKey::from_jwk(&jwk).expect("a key");
        let token = encrypt(&key, Some("theirs"), how, Some("JWT"), TEXT).expect("encrypted");
        let (plain, header) = peer::deserialize_compact(&token, &*decrypter).unwrap_or_else(|error| panic!("{how:?}: {error}"));
        assert_eq!((plain.as_slice(), header.content_type()), (TEXT, Some("JWT")), "{how:?}");

        let ours = if fits(PublicKeyKind::Rsa, how.alg) { &rsa } else { &ec };
        let encrypter = peer_encrypter(how.alg, &super::super::public_jwk(&ours.key).expect("a JWK"));
        let mut header = JweHeader::new();
        header.set_content_encryption(how.enc.as_str());
        let token = peer::serialize_compact(TEXT, &header, &*encrypter).expect("encrypted");
        assert_eq!(decrypt(&token, [&rsa, &ec]).unwrap_or_else(|error| panic!("{how:?}: {error}")), TEXT);
    }
}

#[test]
fn every_key_that_fits_is_tried_and_a_kid_chooses() {
    let (old, new, other) = (opener(KeyKind::EcP256), opener(KeyKind::EcP256), opener(KeyKind::EcP384));
    let how = Encryption { alg: KeyManagementAlg::EcdhEs, enc: ContentEncryption::A256Gcm };
    let to = |opener: &Opener, kid: Option<&str>| encrypt(&public(opener), kid, how, None, TEXT).expect("encrypted");
    assert_eq!(decrypt(&to(&old, None), [&new, &old]).expect("by the second"), TEXT);
    assert_eq!(decrypt(&to(&old, Some(&old.kid)), [&new, &old]).expect("by its name"), TEXT);
    assert!(decrypt(&to(&old, Some(&new.kid)), [&new, &old]).is_err());
    assert!(decrypt(&to(&old, Some("another")), [&new, &old]).is_err());
    assert_eq!(decrypt(&to(&other, None), [&new, &other]).expect("on its curve"), TEXT);
    assert!(decrypt(&to(&other, None), [&new, &old]).is_err());
}

#[test]
fn no_octet_can_be_changed_and_nobody_learns_why_it_failed() {
    let (rsa, ec) = (opener(KeyKind::Rsa), opener(KeyKind::EcP256));
    for how in every_way() {
        let ours = if fits(PublicKeyKind::Rsa, how.alg) { &rsa } else { &ec };
        let good = encrypt(&public(ours), None, how, None, TEXT).expect("encrypted");
        let parts: Vec<&str> = good.split('.').collect();
        let mut said = std::collections::BTreeSet::new();
        for at in 1..5 {
            let part = URL_SAFE_NO_PAD.decode(parts[at]).expect("base64url");
            for octet in [0, part.len() / 2, part.len().saturating_sub(1)] {
                let mut changed = part.clone();
                if let Some(octet) = changed.get_mut(octet) {
                    *octet ^= 1;
                }
                // A vector, key or tag that is too short or too long.
                for changed in [changed, part[..part.len().saturating_sub(1)].to_vec(), [&part[..], &[0]].concat(), Vec::new()] {
                    if changed == part {
                        continue;
                    }
                    let changed = URL_SAFE_NO_PAD.encode(changed);
                    let token: Vec<&str> =
                        parts.iter().enumerate().map(|(n, part)| if n == at { changed.as_str() } else { *part }).collect();
                    said.insert(decrypt(&token.join("."), [ours]).expect_err("changed").detail);
                }
            }
        }
        assert_eq!(said.len(), 1, "{how:?}: {said:?}");
        // The header is bound to the content.
        let header = good.split('.').next().and_then(json_object).expect("a header");
        let mut header = Value::Object(header);
        header["x"] = json!(1);
        let token = format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), parts[1..].join("."));
        assert!(decrypt(&token, [ours]).is_err());
    }
}

/// A token of the right form whose header is this.
fn with_header(good: &str, change: impl FnOnce(&mut Map<String, Value>)) -> String {
    let (header, rest) = good.split_once('.').expect("parts");
    let mut header = json_object(header).expect("a header");
    change(&mut header);
    format!("{}.{rest}", URL_SAFE_NO_PAD.encode(Value::Object(header).to_string()))
}

#[test]
fn what_is_not_supported_is_named_before_any_key_is_used() {
    let ec = opener(KeyKind::EcP256);
    let how = Encryption { alg: KeyManagementAlg::EcdhEs, enc: ContentEncryption::A128Gcm };
    let good = encrypt(&public(&ec), None, how, None, TEXT).expect("encrypted");
    for (name, value, word) in [
        ("zip", json!("DEF"), "zip"),
        ("crit", json!(["exp"]), "crit"),
        ("alg", json!("dir"), "alg"),
        ("alg", json!("RSA1_5"), "alg"),
        ("alg", json!("PBES2-HS256+A128KW"), "alg"),
        ("alg", json!("A128KW"), "alg"),
        ("enc", json!("A192GCM"), "enc"),
        ("enc", json!(null), "enc"),
    ] {
        let token = with_header(&good, |header| drop(header.insert(name.to_owned(), value)));
        let said = decrypt(&token, [&ec]).expect_err(word).detail;
        assert!(said.contains(word), "{word}: {said}");
    }
    for bad in [String::new(), "a.b.c".to_owned(), format!("{good}."), format!("{good}.x"), "A".repeat(MAX_RECEIVED + 1)] {
        assert!(decrypt(&bad, [&ec]).is_err() && (!is_jwe(&bad) || bad == good));
    }
    assert!(is_jwe(&good));
    let long = encrypt(&public(&ec), None, how, None, &vec![b'x'; MAX_RECEIVED]).expect("encrypted");
    assert!(decrypt(&long, [&ec]).expect_err("long").detail.contains("too long"));
}

#[test]
fn an_ephemeral_key_is_a_point_on_the_curve_of_ours() {
    let (ec, other) = (opener(KeyKind::EcP256), opener(KeyKind::EcP384));
    let how = Encryption { alg: KeyManagementAlg::EcdhEs, enc: ContentEncryption::A128Gcm };
    let good = encrypt(&public(&ec), None, how, None, TEXT).expect("encrypted");
    // RFC 7516 and the invalid curve attack: (x, y) on another curve of the same field.
    let stranger = super::super::public_jwk(&other.key).expect("a JWK");
    let x = URL_SAFE_NO_PAD.encode([1; 32]);
    for epk in [json!(stranger), json!({"kty": "EC", "crv": "P-256", "x": x, "y": x}), json!({}), json!("x"), json!(null)] {
        let token = with_header(&good, |header| drop(header.insert("epk".to_owned(), epk.clone())));
        assert_eq!(decrypt(&token, [&ec]).expect_err("refused").detail, "the JWE cannot be decrypted", "{epk}");
        let key = epk.as_object().and_then(|jwk| PublicKey::from_jwk(jwk).ok());
        assert!(key.is_none_or(|key| ec.key.agree(key.openssl()).is_none()), "{epk}");
    }
}

#[test]
fn hostile_octets_never_panic() {
    let (rsa, ec) = (opener(KeyKind::Rsa), opener(KeyKind::EcP256));
    let how = Encryption { alg: KeyManagementAlg::EcdhEsA128Kw, enc: ContentEncryption::A128CbcHs256 };
    let good = encrypt(&public(&ec), None, how, None, TEXT).expect("encrypted");
    let header = good.split('.').next().expect("a header");
    for octets in testing::hostile(2_000) {
        let text = String::from_utf8_lossy(&octets).into_owned();
        let part = URL_SAFE_NO_PAD.encode(&octets);
        for token in [text.clone(), format!("{header}.{part}.{part}.{part}.{part}"), format!("{part}....{text}")] {
            assert!(decrypt(&token, [&rsa, &ec]).is_err());
        }
    }
}
