use super::*;
use crate::id;
use crate::keys::{Digest, KeyKind, PrivateKey, SignatureScheme};
use crate::oidc::{ContentEncryption, testing};
use serde_json::json;

#[test]
fn what_means_nothing_is_not_kept() {
    let long = "a".repeat(LONGEST + 1);
    let set = json!({"keys": [{
        "kty": "EC", "crv": "P-256", "x": "x", "y": "y", "filler": vec![0; 1000], "kid": long, "key_ops": vec!["verify"; 1000],
        "x5c": ["a", "b"], "use": {"a": 1}
    }]});
    let kept = ClientJwks::parse(&set).expect("public").keys()[0].clone();
    let expected = json!({"kty": "EC", "crv": "P-256", "x": "x", "y": "y", "kid": null, "key_ops": vec!["verify"; LISTED],
        "x5c": ["a"], "use": null});
    assert_eq!(Value::Object(kept), expected);
}

#[test]
fn private_keys_are_refused_by_name() {
    assert_eq!(ClientJwks::parse(&json!({"keys": [{"kty": "EC", "crv": "P-256", "x": "x", "y": "y"}]})).expect("public").keys().len(), 1);
    for (set, word) in [
        (json!({"keys": [{"kty": "EC", "d": "x"}]}), "`d`"),
        (json!({"keys": [{"kty": "oct", "k": "x"}]}), "`k`"),
        (json!({"keys": {}}), "`keys`"),
        (json!([]), "`keys`"),
        (json!({"keys": ["x"]}), "key 0"),
        (json!({"keys": vec![json!({"kty": "EC"}); MAX_KEYS + 1]}), "at most"),
    ] {
        let error = ClientJwks::parse(&set).expect_err(word);
        assert!(error.detail.contains(word), "{}", error.detail);
    }
}

/// A key pair of the client, with its JWK.
fn pair(kind: KeyKind) -> (PrivateKey, Map<String, Value>) {
    let key = PrivateKey::generate(kind).expect("a key");
    let jwk = jose::public_jwk(&key).expect("a JWK");
    (key, jwk)
}

fn set(keys: &[&Map<String, Value>]) -> ClientJwks {
    ClientJwks::parse(&json!({ "keys": keys })).expect("a set")
}

fn with(jwk: &Map<String, Value>, members: Value) -> Map<String, Value> {
    let mut jwk = jwk.clone();
    jwk.extend(members.as_object().cloned().unwrap_or_default());
    jwk
}

fn token(header: &Value, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    let message = format!("{}.{}", id::base64url(header.to_string().as_bytes()), id::base64url(br#"{"sub":"robot"}"#));
    let signature = sign(message.as_bytes());
    format!("{message}.{}", id::base64url(&signature))
}

fn signed(key: &PrivateKey, scheme: SignatureScheme, header: Value) -> String {
    token(&header, |message| key.sign(scheme, message).expect("signed"))
}

fn refused(result: Result<Verified, VerifyError>) -> bool {
    matches!(result, Err(VerifyError::Refused(_)))
}

const ALL: &[(ClientSigningAlg, KeyKind, SignatureScheme)] = &[
    (ClientSigningAlg::RS256, KeyKind::Rsa, SignatureScheme::RsaPkcs1(Digest::Sha256)),
    (ClientSigningAlg::RS384, KeyKind::Rsa, SignatureScheme::RsaPkcs1(Digest::Sha384)),
    (ClientSigningAlg::RS512, KeyKind::Rsa, SignatureScheme::RsaPkcs1(Digest::Sha512)),
    (ClientSigningAlg::PS256, KeyKind::Rsa, SignatureScheme::RsaPss(Digest::Sha256)),
    (ClientSigningAlg::PS384, KeyKind::Rsa, SignatureScheme::RsaPss(Digest::Sha384)),
    (ClientSigningAlg::PS512, KeyKind::Rsa, SignatureScheme::RsaPss(Digest::Sha512)),
    (ClientSigningAlg::ES256, KeyKind::EcP256, SignatureScheme::Ecdsa(Digest::Sha256)),
    (ClientSigningAlg::ES384, KeyKind::EcP384, SignatureScheme::Ecdsa(Digest::Sha384)),
    (ClientSigningAlg::ES512, KeyKind::EcP521, SignatureScheme::Ecdsa(Digest::Sha512)),
    (ClientSigningAlg::EdDSA, KeyKind::Ed25519, SignatureScheme::EdDsa),
    (ClientSigningAlg::Ed25519, KeyKind::Ed25519, SignatureScheme::EdDsa),
];

#[test]
fn every_algorithm_is_verified_by_a_key_of_its_kind_and_by_no_other() {
    let pairs: Vec<_> = [KeyKind::Rsa, KeyKind::EcP256, KeyKind::EcP384, KeyKind::EcP521, KeyKind::Ed25519].map(pair).into();
    let of = |kind: KeyKind| pairs.iter().find(|(key, _)| key.kind() == kind).expect("a pair");
    for (alg, kind, scheme) in ALL {
        let (key, jwk) = of(*kind);
        let made = signed(key, *scheme, json!({"alg": alg.as_str()}));
        let verified = set(&[jwk]).verify(&made, &[*alg]).unwrap_or_else(|error| panic!("{alg:?}: {error:?}"));
        assert_eq!((verified.header["alg"].as_str(), verified.claims["sub"].as_str()), (Some(alg.as_str()), Some("robot")));
        // The same signature by another name, every other one being allowed.
        for (other, _, by) in ALL.iter().filter(|(other, ..)| other != alg) {
            let named = signed(key, *scheme, json!({"alg": other.as_str()}));
            // RFC 9864 2.2: one algorithm with two names, of which the registered one counts.
            assert_eq!(set(&[jwk]).verify(&named, &[*other]).is_ok(), scheme == by, "{alg:?} as {other:?}");
            assert!(refused(set(&[jwk]).verify(&made, &[*other])), "{alg:?} is not {other:?}");
        }
    }
}

#[test]
fn a_key_verifies_by_its_own_algorithms_whoever_asks() {
    let (key, jwk) = pair(KeyKind::EcP256);
    let public = PublicKey::from_jwk(&jwk).expect("a key");
    for (alg, digest, good) in [(ClientSigningAlg::ES256, Digest::Sha256, true), (ClientSigningAlg::ES384, Digest::Sha384, false)] {
        let signature = key.sign(SignatureScheme::Ecdsa(digest), b"message").expect("signed");
        assert_eq!(public.verifies(alg, b"message", &signature), good, "{alg:?}");
    }
}

#[test]
fn what_is_not_signed_by_a_registered_algorithm_is_refused() {
    let (key, jwk) = pair(KeyKind::Rsa);
    let keys = set(&[&jwk]);
    let pem = PublicKey::from_jwk(&jwk).expect("a key").to_der();
    let allowed: Vec<_> = ClientSigningAlg::ALL.to_vec();
    for alg in ["none", "None", "", "HS256", "RS1", "rs256"] {
        let unsigned = token(&json!({"alg": alg}), |_| Vec::new());
        assert!(refused(keys.verify(&unsigned, &allowed)), "{alg}");
    }
    // A MAC by the public key.
    let mac = token(&json!({"alg": "HS256"}), |message| {
        let key = openssl::pkey::PKey::hmac(&pem).expect("a key");
        openssl::sign::Signer::new(Digest::Sha256.openssl(), &key).and_then(|mut signer| signer.sign_oneshot_to_vec(message)).expect("made")
    });
    assert!(refused(keys.verify(&mac, &allowed)));
    let good = signed(&key, SignatureScheme::RsaPkcs1(Digest::Sha256), json!({"alg": "RS256"}));
    assert!(keys.verify(&good, &allowed).is_ok());
    assert!(refused(keys.verify(&good, &[])) && refused(keys.verify(&good, &[ClientSigningAlg::PS256])));
}

#[test]
fn kid_chooses_among_registered_keys_and_nothing_else_of_the_header_does() {
    let ((one, one_jwk), (two, two_jwk)) = (pair(KeyKind::EcP256), pair(KeyKind::EcP256));
    let keys = set(&[&with(&one_jwk, json!({"kid": "1"})), &with(&two_jwk, json!({"kid": "2"}))]);
    let es256 = SignatureScheme::Ecdsa(Digest::Sha256);
    let verify = |token: &str| keys.verify(token, &[ClientSigningAlg::ES256]);
    assert!(verify(&signed(&two, es256, json!({"alg": "ES256", "kid": "2"}))).is_ok());
    assert!(verify(&signed(&two, es256, json!({"alg": "ES256"}))).is_ok());
    assert!(refused(verify(&signed(&two, es256, json!({"alg": "ES256", "kid": "1"})))));
    assert!(matches!(verify(&signed(&one, es256, json!({"alg": "ES256", "kid": "3"}))), Err(VerifyError::UnknownKey)));
    let (attacker, theirs) = pair(KeyKind::EcP256);
    for lure in [json!({"jwk": theirs}), json!({"jku": "https://evil.example/"}), json!({"x5u": "https://evil.example/", "x5c": ["AA"]})] {
        let header = with(lure.as_object().expect("members"), json!({"alg": "ES256", "kid": "1"}));
        assert!(refused(verify(&signed(&attacker, es256, Value::Object(header)))));
        let header = with(lure.as_object().expect("members"), json!({"alg": "ES256"}));
        assert!(matches!(verify(&signed(&attacker, es256, Value::Object(header))), Err(VerifyError::UnknownKey)));
    }
    for extension in [json!({"crit": ["exp"], "exp": 1}), json!({"crit": []}), json!({"b64": false})] {
        let header = with(extension.as_object().expect("members"), json!({"alg": "ES256", "kid": "1"}));
        assert!(refused(verify(&signed(&one, es256, Value::Object(header)))), "{extension}");
    }
}

#[test]
fn a_key_is_used_only_for_what_it_says_it_is_for() {
    let (key, jwk) = pair(KeyKind::Rsa);
    let token = signed(&key, SignatureScheme::RsaPkcs1(Digest::Sha256), json!({"alg": "RS256"}));
    let verified = |members: Value| set(&[&with(&jwk, members)]).verify(&token, &[ClientSigningAlg::RS256]).is_ok();
    for good in [json!({"use": "sig"}), json!({"alg": "RS256"}), json!({"key_ops": ["verify"]}), json!({"key_ops": ["encrypt", "verify"]})]
    {
        assert!(verified(good.clone()), "{good}");
    }
    for bad in [
        json!({"use": "enc"}),
        json!({"alg": "PS256"}),
        json!({"key_ops": ["encrypt"]}),
        json!({"key_ops": "verify"}),
        json!({"use": null}),
    ] {
        assert!(!verified(bad.clone()), "{bad}");
    }
    let how = Encryption { alg: KeyManagementAlg::RsaOaep256, enc: ContentEncryption::A128Gcm };
    let encrypts = |members: Value| set(&[&with(&jwk, members)]).encrypt(how, None, b"x").is_ok();
    for good in [json!({}), json!({"use": "enc"}), json!({"alg": "RSA-OAEP-256"}), json!({"key_ops": ["wrapKey"]})] {
        assert!(encrypts(good.clone()), "{good}");
    }
    for bad in [json!({"use": "sig"}), json!({"alg": "RSA-OAEP"}), json!({"key_ops": ["verify"]}), json!({"alg": "RS256"})] {
        assert!(!encrypts(bad.clone()), "{bad}");
    }
}

#[test]
fn keys_that_are_weak_or_no_keys_are_never_used() {
    let (_, rsa) = pair(KeyKind::Rsa);
    let (_, ec) = pair(KeyKind::EcP256);
    let (_, ed) = pair(KeyKind::Ed25519);
    let short = openssl::rsa::Rsa::generate(1024).expect("a key");
    let ones = |octets: usize| id::base64url(&vec![0xff; octets]);
    for (jwk, word) in [
        (with(&rsa, json!({"n": id::base64url(&short.n().to_vec())})), "1024"),
        (with(&rsa, json!({"n": ones(1025)})), "at most"),
        (with(&rsa, json!({"e": "AQ"})), "no RSA key"),
        (with(&rsa, json!({"e": "Ag"})), "no RSA key"),
        (with(&rsa, json!({"e": ones(9)})), "no RSA key"),
        (with(&rsa, json!({"n": "AQAB="})), "base64url"),
        (with(&rsa, json!({"n": 5})), "`n`"),
        (with(&ec, json!({"x": ec["y"], "y": ec["x"]})), "no point"),
        (with(&ec, json!({"x": ones(32)})), "no point"),
        (with(&ec, json!({"x": id::base64url(&[0; 32]), "y": id::base64url(&[0; 32])})), "no point"),
        (with(&ec, json!({"x": id::base64url(&[1; 31])})), "length"),
        (with(&ec, json!({"crv": "P-384"})), "length"),
        (with(&ec, json!({"crv": "secp256k1"})), "not supported"),
        (with(&ed, json!({"crv": "Ed448"})), "not supported"),
        (with(&ed, json!({"x": id::base64url(&[1; 31])})), "32 octets"),
        (with(&ec, json!({"kty": "oct"})), "not supported"),
        (with(&ec, json!({"kty": null})), "`kty`"),
    ] {
        let keys = set(&[&jwk]);
        let why: Vec<_> = keys.unusable().collect();
        assert!(why.len() == 1 && why[0].1.contains(word), "{word}: {why:?}");
        assert_eq!(keys.usable().count(), 0, "{word}");
    }
    assert_eq!(set(&[&rsa, &ec, &ed]).usable().count(), 3);
}

#[test]
fn no_octet_of_a_signed_jwt_can_be_changed() {
    let (key, jwk) = pair(KeyKind::EcP256);
    let good = signed(&key, SignatureScheme::Ecdsa(Digest::Sha256), json!({"alg": "ES256"}));
    let keys = set(&[&jwk]);
    for position in 0..good.len() {
        let mut changed = good.clone().into_bytes();
        changed[position] = if changed[position] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).expect("ASCII");
        assert!(keys.verify(&changed, &[ClientSigningAlg::ES256]).is_err(), "octet {position}");
    }
    for bad in [format!("{good}A"), format!("{good}="), format!("{good}.x"), good.replacen('.', "..", 1), "A".repeat(70_000)] {
        assert!(keys.verify(&bad, &[ClientSigningAlg::ES256]).is_err(), "{}", bad.len());
    }
    let message =
        format!("{}.{}", id::base64url(br#"{"alg":"ES256"}"#), id::base64url(json!({"x": "x".repeat(60_000)}).to_string().as_bytes()));
    let signature = key.sign(SignatureScheme::Ecdsa(Digest::Sha256), message.as_bytes()).expect("signed");
    assert!(refused(keys.verify(&format!("{message}.{}", id::base64url(&signature)), &[ClientSigningAlg::ES256])), "long");
    for octets in testing::hostile(2_000) {
        let text = String::from_utf8_lossy(&octets).into_owned();
        assert!(keys.verify(&text, &[ClientSigningAlg::ES256]).is_err());
    }
}

#[test]
fn a_mac_is_by_a_secret_that_is_long_enough() {
    let secret = |octets: usize| Secret::new("s".repeat(octets));
    let mac = |alg: &str, digest: Digest, secret: &str| {
        token(&json!({"alg": alg}), |message| {
            let key = openssl::pkey::PKey::hmac(secret.as_bytes()).expect("a key");
            openssl::sign::Signer::new(digest.openssl(), &key).and_then(|mut signer| signer.sign_oneshot_to_vec(message)).expect("made")
        })
    };
    for (alg, digest, needed) in [
        (ClientSigningAlg::HS256, Digest::Sha256, 32),
        (ClientSigningAlg::HS384, Digest::Sha384, 48),
        (ClientSigningAlg::HS512, Digest::Sha512, 64),
    ] {
        let made = mac(alg.as_str(), digest, &"s".repeat(needed));
        assert_eq!(verify_mac(&secret(needed), &made, &[alg]).expect("good").claims["sub"], "robot");
        assert!(verify_mac(&secret(needed + 1), &made, &[alg]).is_err());
        assert!(verify_mac(&secret(needed), &made, &[ClientSigningAlg::RS256]).is_err());
        let (rest, _) = made.rsplit_once('.').expect("parts");
        assert!(verify_mac(&secret(needed), &format!("{rest}."), &[alg]).is_err());
        assert!(verify_mac(&secret(needed), &made[..made.len() - 4], &[alg]).is_err(), "cut short");
        let weak = mac(alg.as_str(), digest, &"s".repeat(needed - 1));
        assert_eq!(verify_mac(&secret(needed - 1), &weak, &[alg]).expect_err("weak").kind, ErrorKind::Misconfigured);
        assert!(!Received::parse(&weak).expect("a JWT").has_mac(alg, "s".repeat(needed - 1).as_bytes()), "whoever asks");
    }
    let unsigned = token(&json!({"alg": "none"}), |_| Vec::new());
    assert!(verify_mac(&secret(64), &unsigned, ClientSigningAlg::ALL).is_err());
}
