use super::*;
use crate::oidc::testing::{self, Device, sealer};

const NOW: i64 = 1_700_000_000;
const URL: &str = "https://login.example.org/oauth/token";

fn checked(proof: &str, access_token: Option<&str>) -> Result<DpopProof> {
    let urls = [URL.to_owned(), "https://mtls.example.org/oauth/token".to_owned()];
    check(proof, Expected { method: "POST", urls: &urls, access_token, fapi2: false }, Timestamp::from_seconds(NOW))
}

#[test]
fn a_good_proof_names_its_key() {
    let device = Device::new();
    let proof = checked(&device.proof(URL, NOW, json!({}), json!({ "nonce": "n" })), None).expect("good");
    let jkt = thumbprint(device.jwk().as_object().expect("an object")).expect("a thumbprint");
    assert_eq!(proof, DpopProof { jkt: jkt.clone(), jti: "j1".to_owned(), nonce: Some("n".to_owned()) });
    assert!(is_thumbprint(&jkt) && !is_thumbprint("x") && !is_thumbprint(&"=".repeat(43)));
    for claims in [
        json!({ "htu": "https://LOGIN.example.org:443/oauth/token?x=1#y" }),
        json!({ "htu": "https://mtls.example.org/oauth/token" }),
        json!({ "iat": NOW - WINDOW }),
        json!({ "iat": NOW + WINDOW }),
        json!({ "iat": 1_700_000_000.9 }),
    ] {
        checked(&device.proof(URL, NOW, json!({}), claims.clone()), None).unwrap_or_else(|error| panic!("{claims}: {}", error.detail));
    }
    // What the header calls its one key does not matter.
    checked(&device.proof(URL, NOW, json!({ "kid": "x" }), json!({})), None).expect("good");
}

/// RFC 7638 3.1.
#[test]
fn the_thumbprint_is_that_of_the_standard() {
    let key = json!({
        "kty": "RSA", "alg": "RS256", "kid": "2011-04-29", "e": "AQAB",
        "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
    });
    assert_eq!(thumbprint(key.as_object().expect("an object")).as_deref(), Some("NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"));
}

#[test]
fn every_rule_of_a_proof_is_kept() {
    let (device, other) = (Device::new(), Device::new());
    let mut private = device.jwk();
    private["d"] = "AQ".into();
    let refused = [
        (json!({ "typ": "JWT" }), json!({}), "of this type"),
        (json!({ "typ": null }), json!({}), "of this type"),
        (json!({ "jwk": null }), json!({}), "public key"),
        (json!({ "jwk": private }), json!({}), "cannot be used"),
        (json!({ "jwk": { "kty": "oct", "k": "AQ" } }), json!({}), "public key"),
        (json!({ "jwk": other.jwk() }), json!({}), "not signed"),
        (json!({ "alg": "none" }), json!({}), "not signed"),
        (json!({ "alg": "HS256" }), json!({}), "not signed"),
        (json!({ "alg": "RS256" }), json!({}), "not signed"),
        (json!({}), json!({ "htm": "GET" }), "htm"),
        (json!({}), json!({ "htm": "post" }), "htm"),
        (json!({}), json!({ "htm": null }), "htm"),
        (json!({}), json!({ "htu": "https://login.example.org/userinfo" }), "htu"),
        (json!({}), json!({ "htu": "http://login.example.org/oauth/token" }), "htu"),
        (json!({}), json!({ "htu": "https://a@login.example.org/oauth/token" }), "htu"),
        (json!({}), json!({ "htu": null }), "htu"),
        (json!({}), json!({ "iat": NOW - WINDOW - 1 }), "iat"),
        (json!({}), json!({ "iat": NOW + WINDOW + 1 }), "iat"),
        (json!({}), json!({ "iat": null }), "iat"),
        (json!({}), json!({ "iat": "now" }), "iat"),
        (json!({}), json!({ "jti": null }), "jti"),
        (json!({}), json!({ "jti": "" }), "jti"),
        (json!({}), json!({ "jti": "x".repeat(LONGEST_JTI + 1) }), "jti"),
    ];
    for (header, claims, why) in refused {
        let error = checked(&device.proof(URL, NOW, header.clone(), claims.clone()), None).expect_err(why);
        assert!(error.kind == ErrorKind::InvalidDpopProof && error.detail.contains(why), "{header} {claims}: {}", error.detail);
    }
    let mut proof = device.proof(URL, NOW, json!({}), json!({}));
    proof.truncate(proof.len() - 2);
    assert!(checked(&proof, None).is_err());
    assert!(checked(&"x".repeat(LONGEST + 1), None).is_err());
}

#[test]
fn beside_a_token_the_proof_names_it() {
    let device = Device::new();
    let ath = |token: &str| json!({ "ath": id::base64url(&id::sha256(token.as_bytes())) });
    checked(&device.proof(URL, NOW, json!({}), ath("t1")), Some("t1")).expect("good");
    for claims in [ath("t2"), json!({}), json!({ "ath": "t1" })] {
        let error = checked(&device.proof(URL, NOW, json!({}), claims), Some("t1")).expect_err("another token");
        assert!(error.detail.contains("ath"), "{}", error.detail);
    }
}

#[test]
fn the_fapi_profile_has_its_algorithms() {
    let device = Device::new();
    let urls = [URL.to_owned()];
    let expected = Expected { method: "POST", urls: &urls, access_token: None, fapi2: true };
    check(&device.proof(URL, NOW, json!({}), json!({})), expected, Timestamp::from_seconds(NOW)).expect("ES256");
    assert!(FAPI_ALGS.iter().all(|alg| ALGS.contains(alg)) && !FAPI_ALGS.contains(&ClientSigningAlg::RS256));
    assert!(ALGS.iter().all(|alg| alg.is_asymmetric()));
}

#[test]
fn a_nonce_is_good_for_five_minutes_and_cannot_be_made() {
    let (now, sealer) = (Timestamp::from_seconds(NOW), sealer());
    let made = nonce(&sealer, now).expect("made");
    for (seconds, good) in [(-6, false), (-5, true), (0, true), (NONCE_LIFE, true), (NONCE_LIFE + 1, false)] {
        assert_eq!(is_nonce(&sealer, &made, now.plus_seconds(seconds)), good, "{seconds}");
    }
    let octets = id::from_base64url(&made).expect("base64");
    for position in 0..octets.len() * 8 {
        let mut forged = octets.clone();
        forged[position / 8] ^= 1 << (position % 8);
        assert!(!is_nonce(&sealer, &id::base64url(&forged), now), "bit {position}");
    }
    for text in ["", "x", "e.e.e"] {
        assert!(!is_nonce(&sealer, text, now), "{text}");
    }
}

#[test]
fn hostile_octets_never_panic() {
    for octets in testing::hostile(3_000) {
        let text = String::from_utf8_lossy(&octets).into_owned();
        let _ = checked(&text, None);
        let _ = checked(&format!("{}.e30.", id::base64url(&octets)), None);
        let _ = is_nonce(&sealer(), &text, Timestamp::from_seconds(NOW));
        let _ = is_url(&text, &[URL.to_owned()]);
    }
}
