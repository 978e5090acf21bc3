//! What no other part can know: that tokens are good for those who should take them, and for nobody else.

use super::published::thumbprint;
use super::*;
use crate::error::ErrorKind;
use crate::keys::KeyKind;
use crate::keys::{CertifiedKey, Digest, KeyEntry, KeySet, KeyState, Keyring, PrivateKey, Purpose, SignatureScheme};
use crate::oidc::SigningAlg;
use crate::oidc::testing::{self, ISSUER};
use crate::secret::Secret;
use josekit::jwk::Jwk;
use josekit::jws::{ES256, ES384, EdDSA, HS256, JwsSigner as _, JwsVerifier, PS256, RS256};
use openssl::bn::BigNum;
use openssl::ecdsa::EcdsaSig;
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::rsa::Padding;
use openssl::sign::{RsaPssSaltlen, Verifier};
use serde_json::json;
use std::sync::Arc;

const ALGS: &[SigningAlg] = SigningAlg::ALL;

fn claims() -> Map<String, Value> {
    let claims = json!({ "iss": ISSUER, "sub": "jane", "aud": "notes", "sid": "s1", "exp": 1 });
    claims.as_object().cloned().unwrap_or_default()
}

fn key(alg: SigningAlg) -> (PrivateKey, IdTokenSigner, PublicKeys) {
    let kind = match alg {
        SigningAlg::RS256 | SigningAlg::PS256 => KeyKind::Rsa,
        SigningAlg::ES256 => KeyKind::EcP256,
        SigningAlg::ES384 => KeyKind::EcP384,
        SigningAlg::EdDSA => KeyKind::Ed25519,
    };
    let key = PrivateKey::generate(kind).expect("a key");
    let signer = IdTokenSigner::new(&key, alg).expect("a signer");
    let public = PublicKeys::new([(&key, alg)]).expect("public keys");
    (key, signer, public)
}

fn token(header: &Value, payload: &Map<String, Value>, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(json!(payload).to_string()));
    let signature = sign(message.as_bytes());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}

#[test]
fn josekit_verifies_by_the_published_keys() {
    for alg in ALGS.iter().copied() {
        let (_, signer, public) = key(alg);
        let jwks: Value = serde_json::from_str(public.jwks_json()).expect("json");
        let members = jwks["keys"][0].as_object().expect("a key").clone();
        assert!(!["d", "p", "q", "k"].iter().any(|private| members.contains_key(*private)), "{members:?}");
        assert_eq!((members["use"].as_str(), members["kid"].as_str()), (Some("sig"), Some(signer.key_id())));
        let jwk = Jwk::from_map(members).expect("a JWK");
        let verifier: Box<dyn JwsVerifier> = match signer.algorithm() {
            SigningAlg::RS256 => Box::new(RS256.verifier_from_jwk(&jwk).expect("verifier")),
            SigningAlg::PS256 => Box::new(PS256.verifier_from_jwk(&jwk).expect("verifier")),
            SigningAlg::ES256 => Box::new(ES256.verifier_from_jwk(&jwk).expect("verifier")),
            SigningAlg::ES384 => Box::new(ES384.verifier_from_jwk(&jwk).expect("verifier")),
            SigningAlg::EdDSA => Box::new(EdDSA.verifier_from_jwk(&jwk).expect("verifier")),
        };
        let token = signer.sign(&claims()).expect("signed");
        let (payload, header) = josekit::jwt::decode_with_verifier(&token, &*verifier).expect("verified");
        assert_eq!(payload.claims_set(), &claims());
        assert_eq!(header.claim("typ").and_then(Value::as_str), Some("JWT"));
    }
}

#[test]
fn openssl_verifies_too() {
    for alg in ALGS.iter().copied() {
        let (key, signer, _) = key(alg);
        let public = PKey::public_key_from_der(&key.public_der().expect("der")).expect("a key");
        let token = signer.sign(&claims()).expect("signed");
        let (message, signature) = token.rsplit_once('.').expect("three parts");
        let signature = URL_SAFE_NO_PAD.decode(signature).expect("base64url");
        let good = match alg {
            SigningAlg::EdDSA => Verifier::new_without_digest(&public).expect("verifier").verify_oneshot(&signature, message.as_bytes()),
            SigningAlg::RS256 => {
                Verifier::new(MessageDigest::sha256(), &public).expect("verifier").verify_oneshot(&signature, message.as_bytes())
            }
            SigningAlg::PS256 => {
                let mut verifier = Verifier::new(MessageDigest::sha256(), &public).expect("verifier");
                verifier.set_rsa_padding(Padding::PKCS1_PSS).expect("PSS");
                verifier.set_rsa_pss_saltlen(RsaPssSaltlen::custom(32)).expect("32 octets");
                verifier.verify_oneshot(&signature, message.as_bytes())
            }
            SigningAlg::ES256 | SigningAlg::ES384 => {
                let (r, s) = signature.split_at(signature.len() / 2);
                let number = |octets| BigNum::from_slice(octets).expect("a number");
                let signature = EcdsaSig::from_private_components(number(r), number(s)).expect("a signature");
                let digest = if alg == SigningAlg::ES256 { MessageDigest::sha256() } else { MessageDigest::sha384() };
                let digest = openssl::hash::hash(digest, message.as_bytes()).expect("hash");
                signature.verify(&digest, &public.ec_key().expect("ec"))
            }
        };
        assert!(good.expect("checked"), "{alg:?}");
    }
}

#[test]
fn our_own_tokens_are_verified_even_if_expired() {
    for alg in ALGS.iter().copied() {
        let (_, signer, public) = key(alg);
        let hint = public.verify_hint(&signer.sign(&claims()).expect("signed"), ISSUER).expect("ours");
        assert_eq!((hint.client_id(), hint.subject(), hint.sid()), ("notes", "jane", Some("s1")));
    }
}

#[test]
fn alg_none_is_refused() {
    let (_, signer, public) = key(SigningAlg::RS256);
    for alg in ["none", "None", "NONE", ""] {
        let header = json!({ "alg": alg, "typ": "JWT", "kid": signer.key_id() });
        assert!(public.verify(&token(&header, &claims(), |_| Vec::new()), JWT).is_err(), "{alg}");
    }
}

#[test]
fn hmac_with_the_public_key_is_refused() {
    let (key, signer, public) = key(SigningAlg::RS256);
    let der = key.public_der().expect("der");
    let pem = PKey::public_key_from_der(&der).and_then(|key| key.public_key_to_pem()).expect("pem");
    for secret in [der, pem] {
        let header = json!({ "alg": "HS256", "typ": "JWT", "kid": signer.key_id() });
        let hmac = |message: &[u8]| HS256.signer_from_bytes(&secret).expect("signer").sign(message).expect("signed");
        assert!(public.verify(&token(&header, &claims(), hmac), JWT).is_err());
    }
}

#[test]
fn the_header_cannot_choose_another_algorithm_or_key() {
    let (key, signer, _) = key(SigningAlg::RS256);
    let ec = PrivateKey::generate(KeyKind::EcP256).expect("a key");
    let public = PublicKeys::new([(&key, SigningAlg::RS256), (&ec, SigningAlg::ES256)]).expect("public keys");
    let ec_kid = IdTokenSigner::new(&ec, SigningAlg::ES256).expect("a signer").key_id().to_owned();
    let rs512 = |message: &[u8]| key.sign(SignatureScheme::RsaPkcs1(Digest::Sha512), message).expect("signed");
    let ps256 = |message: &[u8]| key.sign(SignatureScheme::RsaPss(Digest::Sha256), message).expect("signed");
    let rs256 = |message: &[u8]| key.sign(SignatureScheme::RsaPkcs1(Digest::Sha256), message).expect("signed");
    let header = |alg: &str, kid: &str| json!({ "alg": alg, "typ": "JWT", "kid": kid });
    assert!(public.verify(&token(&header("RS256", signer.key_id()), &claims(), rs256), JWT).is_ok());
    assert!(public.verify(&token(&header("RS512", signer.key_id()), &claims(), rs512), JWT).is_err());
    assert!(public.verify(&token(&header("PS256", signer.key_id()), &claims(), ps256), JWT).is_err());
    assert!(public.verify(&token(&header("ES256", signer.key_id()), &claims(), rs256), JWT).is_err());
    assert!(public.verify(&token(&header("RS256", &ec_kid), &claims(), rs256), JWT).is_err());
    assert!(public.verify(&token(&header("RS256", "unknown"), &claims(), rs256), JWT).is_err());
    assert!(public.verify(&token(&json!({ "alg": "RS256", "typ": "JWT" }), &claims(), rs256), JWT).is_err());
}

#[test]
fn a_key_in_the_header_is_not_looked_at() {
    let (_, _, public) = key(SigningAlg::ES256);
    let (attacker, signer, theirs) = key(SigningAlg::ES256);
    let jwk: Value = serde_json::from_str::<Value>(theirs.jwks_json()).expect("json")["keys"][0].clone();
    let header = json!({ "alg": "ES256", "typ": "JWT", "kid": signer.key_id(), "jwk": jwk, "jku": "https://evil.example/", "x5u": "https://evil.example/" });
    let sign = |message: &[u8]| attacker.sign(SignatureScheme::Ecdsa(Digest::Sha256), message).expect("signed");
    assert!(public.verify(&token(&header, &claims(), sign), JWT).is_err());
}

#[test]
fn crit_and_other_types_are_refused() {
    let (key, signer, public) = key(SigningAlg::EdDSA);
    let sign = |message: &[u8]| key.sign(SignatureScheme::EdDsa, message).expect("signed");
    let header = json!({ "alg": "EdDSA", "typ": "JWT", "kid": signer.key_id(), "crit": ["b64"], "b64": true });
    assert!(public.verify(&token(&header, &claims(), sign), JWT).is_err());
    let logout = IdTokenSigner::with_type(&key, SigningAlg::EdDSA, Some("logout+jwt")).expect("signer").sign(&claims()).expect("signed");
    assert!(public.verify_hint(&logout, ISSUER).is_err());
    assert!(public.verify(&logout, "logout+jwt").is_ok());
}

#[test]
fn a_hint_of_another_issuer_or_without_its_claims_is_refused() {
    let (_, signer, public) = key(SigningAlg::ES256);
    let good = signer.sign(&claims()).expect("signed");
    assert_eq!(public.verify_hint(&good, "https://login.example.org/").expect_err("issuer").kind, ErrorKind::InvalidRequest);
    for missing in ["iss", "sub", "aud"] {
        let mut claims = claims();
        claims.remove(missing);
        assert!(public.verify_hint(&signer.sign(&claims).expect("signed"), ISSUER).is_err(), "{missing}");
    }
}

#[test]
fn an_access_token_for_a_resource_server_is_no_id_token() {
    let (_, signer, public) = key(SigningAlg::ES256);
    let of = |changes: Value| {
        let mut claims = claims();
        claims.extend(changes.as_object().cloned().expect("an object"));
        public.verify_hint(&signer.sign(&claims).expect("signed"), ISSUER)
    };
    assert!(of(json!({"aud": "https://api.example", "azp": "notes"})).is_err());
    assert!(of(json!({"aud": ["https://api.example", "https://login.example.org/userinfo"], "azp": "notes"})).is_err());
    assert_eq!(of(json!({"aud": ["notes", "other"], "azp": "notes"})).expect("for its client").client_id(), "notes");
}

#[test]
fn no_octet_of_a_token_can_be_changed() {
    let (_, signer, public) = key(SigningAlg::ES256);
    let good = signer.sign(&claims()).expect("signed");
    for position in 0..good.len() {
        let mut changed = good.clone().into_bytes();
        changed[position] = if changed[position] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).expect("ascii");
        assert!(public.verify(&changed, JWT).is_err(), "octet {position}");
    }
    let zeros = format!("{}.{}", good.rsplit_once('.').expect("parts").0, URL_SAFE_NO_PAD.encode([0; 64]));
    assert!(public.verify(&zeros, JWT).is_err(), "r = s = 0");
}

#[test]
fn hostile_octets_never_panic() {
    let (_, signer, public) = key(SigningAlg::ES256);
    let good = signer.sign(&claims()).expect("signed");
    let header = good.split('.').next().expect("a header");
    for octets in testing::hostile(5_000) {
        let text = String::from_utf8_lossy(&octets).into_owned();
        assert!(public.verify(&text, JWT).is_err());
        assert!(public.verify(&format!("{header}.{text}"), JWT).is_err());
        assert!(public.verify(&format!("{}.e30.{}", URL_SAFE_NO_PAD.encode(&octets), "AA"), JWT).is_err());
    }
    assert!(public.verify(&"A".repeat(MAX_TOKEN + 1), JWT).is_err());
}

#[test]
fn the_thumbprint_is_that_of_the_rfc() {
    // RFC 7638 3.1.
    let n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
    let members = [("e", "AQAB"), ("kty", "RSA"), ("n", n)].map(|(name, value)| (name, value.to_owned()));
    assert_eq!(thumbprint(&members), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    // RFC 8037 A.3.
    let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
    let members = [("crv", "Ed25519"), ("kty", "OKP"), ("x", x)].map(|(name, value)| (name, value.to_owned()));
    assert_eq!(thumbprint(&members), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
}

#[test]
fn a_shared_secret_signs_and_only_it_verifies() {
    let shared = |text: &str| Secret::new(text.to_owned());
    let secret = shared("0123456789abcdef0123456789abcdef");
    let token = sign_shared(&secret, &claims()).expect("signed");
    assert_eq!(verify_shared(&secret, &token).expect("ours"), claims());
    assert!(verify_shared(&shared("0123456789abcdef0123456789abcdeX"), &token).is_err());
    let (rest, _) = token.rsplit_once('.').expect("three parts");
    let tail = rest.split_once('.').expect("two parts").1;
    for header in [json!({ "alg": "none" }), json!({ "alg": "HS512" }), json!({ "alg": "HS256", "crit": ["x"] })] {
        let message = format!("{}.{tail}", URL_SAFE_NO_PAD.encode(header.to_string()));
        let signer = HS256.signer_from_bytes(secret.expose()).expect("signer");
        let signature = URL_SAFE_NO_PAD.encode(signer.sign(message.as_bytes()).expect("signed"));
        assert!(verify_shared(&secret, &format!("{message}.{signature}")).is_err(), "{header}");
    }
    for bad in [format!("{rest}."), rest.to_owned(), String::new(), format!("{token}.x")] {
        assert!(verify_shared(&secret, &bad).is_err(), "{bad}");
    }
    assert!(sign_shared(&shared("too short"), &claims()).is_err());
}

#[test]
fn at_hash_is_that_of_the_specification_and_of_openssl() {
    let (_, rsa, _) = key(SigningAlg::RS256);
    // Core A.3 and A.4.
    assert_eq!(rsa.half_hash("jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y"), "77QmUPtjPfzWtF2AnpK9RQ");
    assert_eq!(rsa.half_hash("Qcb0Orv1zh30vL1MPRsbm-diHiMwcLyZvn1arpZv-Jxf_11jnpEX3Tgfvk"), "LDktKdoQak3Pk0cnXxCltA");
    let (_, ed, _) = key(SigningAlg::EdDSA);
    let whole = openssl::hash::hash(MessageDigest::sha512(), b"token").expect("hash");
    assert_eq!(ed.half_hash("token"), URL_SAFE_NO_PAD.encode(&whole[..32]));
}

#[test]
fn a_keyring_gives_a_signer_for_each_algorithm_and_publishes_all() {
    let directory = tempfile::tempdir().expect("a directory");
    let keys = OidcKeys::new(&Keyring::open_or_create(directory.path()).expect("a keyring")).expect("keys");
    let jwks: Value = serde_json::from_str(keys.public().jwks_json()).expect("json");
    let keys_of = |usage: &str| jwks["keys"].as_array().into_iter().flatten().filter(|key| key["use"] == usage).count();
    assert_eq!((keys_of("sig"), keys_of("enc")), (5, 2));
    assert_eq!(keys.algorithms(), SigningAlg::ALL);
    for alg in SigningAlg::ALL {
        let signer = keys.signer(*alg).expect("a key");
        assert_eq!(signer.algorithm(), *alg);
        assert!(keys.public().verify_hint(&signer.sign(&claims()).expect("signed"), ISSUER).is_ok());
        let untyped = keys.untyped_signer(*alg).and_then(|signer| signer.sign(&claims())).expect("signed");
        assert!(keys.public().verify_hint(&untyped, ISSUER).is_err(), "UserInfo is no ID token");
    }
}

#[test]
fn a_directory_of_an_earlier_version_lacks_algorithms_and_says_so() {
    let directory = tempfile::tempdir().expect("a directory");
    Keyring::open_or_create(directory.path()).expect("a keyring");
    for name in ["oidc-ps256", "oidc-es384", "oidc-enc-rsa", "oidc-enc-ec"] {
        for kind in ["key", "crt"] {
            std::fs::remove_file(directory.path().join(format!("{name}.active.{kind}.pem"))).expect("removed");
        }
    }
    // It cannot be written, and is good as it is.
    let keys = OidcKeys::new(&Keyring::open(directory.path()).expect("a keyring")).expect("keys");
    assert_eq!(keys.algorithms(), [SigningAlg::RS256, SigningAlg::ES256, SigningAlg::EdDSA]);
    assert!(!keys.can_decrypt() && !keys.public().jwks_json().contains("\"use\":\"enc\""));
    let client = |id_token, userinfo| crate::oidc::ClientFacts {
        id_token_signed_response_alg: id_token,
        userinfo_signed_response_alg: userinfo,
        ..crate::oidc::ClientFacts::public("notes")
    };
    assert!(keys.check(&client(SigningAlg::ES256, Some(SigningAlg::EdDSA))).is_ok());
    for wrong in [client(SigningAlg::PS256, None), client(SigningAlg::RS256, Some(SigningAlg::ES384))] {
        let error = keys.check(&wrong).expect_err("no key");
        assert_eq!(error.kind, ErrorKind::Misconfigured);
        assert!(error.detail.contains("notes") && error.detail.contains("isthmus keys generate"), "{}", error.detail);
    }
}

#[test]
fn encryption_keys_are_published_while_they_should_be_used_and_open_longer() {
    let directory = tempfile::tempdir().expect("a directory");
    let keyring = Keyring::open_or_create(directory.path()).expect("a keyring");
    let entry = |state| KeyEntry {
        state,
        key: CertifiedKey::self_signed(PrivateKey::generate(KeyKind::EcP256).expect("a key"), "x").expect("a certificate"),
        published: crate::keys::is_published(Purpose::OidcEncEc, state),
    };
    let entries: Vec<KeyEntry> = KeyState::ALL.map(entry).into();
    let set = KeySet::new(Purpose::OidcEncEc, entries.clone()).expect("a set");
    let keys = OidcKeys::new(&keyring).expect("keys").with(Arc::new(AlgKeys::new(&set).expect("prepared")));
    let how = crate::oidc::Encryption { alg: crate::oidc::KeyManagementAlg::EcdhEs, enc: crate::oidc::ContentEncryption::A128Gcm };
    for entry in &entries {
        let kid = key_id(&entry.key.key).expect("a kid");
        assert_eq!(keys.public().jwks_json().contains(&kid), entry.state != KeyState::Previous, "{:?}", entry.state);
        let public = PublicKey::from_jwk(&public_jwk(&entry.key.key).expect("a JWK")).expect("a key");
        let token = jwe::encrypt(&public, Some(&kid), how, None, b"x").expect("encrypted");
        assert_eq!(keys.decrypt(&token).expect("opened"), b"x", "{:?}", entry.state);
    }
}
