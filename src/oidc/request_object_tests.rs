use super::*;
use crate::oidc::jose::jwe::is_jwe;
use crate::oidc::testing::{self, CALLBACK, ISSUER, client, params};
use crate::oidc::{ContentEncryption, Encryption, KeyManagementAlg, RequestObjects};
use serde_json::json;

const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

fn object(value: &Value) -> Map<String, Value> {
    value.as_object().cloned().expect("an object")
}

/// Claims in order, with changes; null takes one away.
fn claims(changes: &Value) -> Map<String, Value> {
    let mut claims = object(&json!({
        "iss": "notes", "aud": ISSUER, "client_id": "notes", "response_type": "code", "redirect_uri": CALLBACK,
        "scope": "openid", "exp": NOW.seconds() + 60, "nbf": NOW.seconds(), "iat": NOW.seconds(),
    }));
    for (name, value) in object(changes) {
        match value {
            Value::Null => drop(claims.shift_remove(&name)),
            value => drop(claims.insert(name, value)),
        }
    }
    claims
}

fn outer() -> Params {
    params(&[("client_id", "notes"), ("response_type", "code"), ("state", "outer"), ("request", "e.e.e"), ("scope", "openid email")])
}

fn read_with(header: &Value, changes: &Value, beside: Beside, client: &ClientFacts) -> Result<Opened> {
    let (header, claims) = (object(header), claims(changes));
    read(Content { header: &header, claims: &claims, signed: true }, beside, &outer(), client, ISSUER, NOW)
}

fn core(changes: &Value) -> Result<Opened> {
    read_with(&json!({"alg": "RS256"}), changes, Beside::Completes, &client())
}

fn jar(changes: &Value) -> Result<Opened> {
    read_with(&json!({"alg": "RS256", "typ": TYPE}), changes, Beside::Completes, &client())
}

fn with(request_objects: RequestObjects) -> ClientFacts {
    ClientFacts { request_objects, ..client() }
}

#[test]
fn the_object_wins_and_by_core_the_rest_completes_it() {
    let opened =
        core(&json!({"max_age": 60, "claims": {"userinfo": {"email": null}}, "resource": ["https://a.example", "https://b.example"]}));
    let params = opened.expect("in order").params;
    assert_eq!((params.get("scope"), params.get("state"), params.get("max_age")), (Some("openid"), Some("outer"), Some("60")));
    assert_eq!(params.get("claims"), Some(r#"{"userinfo":{"email":null}}"#));
    assert_eq!(params.get_all("resource").count(), 2);
    for name in ["iss", "aud", "exp", "nbf", "iat", "jti", "request"] {
        assert_eq!(params.get(name), None, "{name}");
    }
}

#[test]
fn by_rfc_9101_only_the_object_counts() {
    let required = with(RequestObjects { required: true, ..RequestObjects::default() });
    let fapi2 = ClientFacts { fapi2: true, ..client() };
    let plain = json!({"alg": "RS256", "typ": "JWT"});
    let opened = [
        jar(&json!({})),
        read_with(&plain, &json!({}), Beside::Completes, &required),
        read_with(&plain, &json!({}), Beside::Completes, &fapi2),
        read_with(&plain, &json!({}), Beside::Ignored, &client()),
        read_with(&json!({"typ": format!("application/{}", TYPE.to_uppercase())}), &json!({}), Beside::Completes, &client()),
    ];
    for opened in opened {
        let params = opened.expect("in order").params;
        assert_eq!((params.get("state"), params.get("scope"), params.get("client_id")), (None, Some("openid"), Some("notes")));
    }
}

#[test]
fn what_an_object_may_not_say_is_refused() {
    let refused = |what: &str, opened: Result<Opened>| {
        assert_eq!(opened.expect_err(what).kind, ErrorKind::InvalidRequestObject, "{what}");
    };
    let seconds = |by: i64| NOW.plus_seconds(by).seconds();
    for changes in [
        json!({"iss": "other"}),
        json!({"iss": 1}),
        json!({"aud": "https://other.example"}),
        json!({"aud": ["https://other.example"]}),
        json!({"aud": format!("{ISSUER}/")}),
        json!({"sub": "notes"}),
        json!({"exp": seconds(-LEEWAY)}),
        json!({"exp": "soon"}),
        json!({"exp": i64::MAX}),
        json!({"nbf": seconds(LEEWAY + 1)}),
        json!({"iat": seconds(LEEWAY + 1)}),
        json!({"client_id": "other"}),
        json!({"client_id": ["notes"]}),
        json!({"response_type": "code id_token"}),
        json!({"request": "e.e.e"}),
        json!({"request_uri": "https://notes.example/r"}),
        json!({"jti": 1}),
        json!({"jti": ""}),
        json!({"jti": "j", "exp": seconds(200_000)}),
        json!({"scope": ["openid"]}),
        json!({"resource": [1]}),
        json!({"state": "a\nb"}),
    ] {
        refused(&changes.to_string(), core(&changes));
        refused(&changes.to_string(), jar(&changes));
    }
    for typ in ["at+jwt", "dpop+jwt", "logout+jwt", ""] {
        refused(typ, read_with(&json!({"typ": typ}), &json!({}), Beside::Completes, &client()));
    }
    let repeated = params(&[("client_id", "notes"), ("state", "a"), ("state", "b")]);
    let (header, claims) = (Map::new(), claims(&json!({})));
    let content = Content { header: &header, claims: &claims, signed: true };
    let error = read(content, Beside::Completes, &repeated, &client(), ISSUER, NOW).expect_err("repeated");
    assert_eq!(error.kind, ErrorKind::InvalidRequest);
}

#[test]
fn what_may_be_missing_depends_on_whose_rules_hold() {
    for name in ["iss", "aud", "client_id"] {
        assert!(core(&json!({name: null})).is_ok(), "{name}: Core lets it be absent");
        assert!(jar(&json!({name: null})).is_err(), "{name}: RFC 9101 wants it");
    }
    for name in ["exp", "nbf", "iat", "response_type", "jti"] {
        assert!(core(&json!({name: null})).is_ok() && jar(&json!({name: null})).is_ok(), "{name}");
    }
    let near =
        json!({"aud": ["https://other.example", ISSUER], "exp": NOW.seconds() - LEEWAY + 1, "iat": NOW.seconds() + LEEWAY, "sub": "jane"});
    assert!(jar(&near).is_ok(), "clocks differ a little");
    assert!(core(&json!({"response_type": "code"})).is_ok());
}

#[test]
fn a_jti_counts_once_for_its_client() {
    let once = |changes: &Value| core(changes).expect("in order").once;
    assert_eq!(once(&json!({})), None);
    let (name, until) = once(&json!({"jti": "j"})).expect("once");
    assert_eq!((name.as_str(), until), ("request object notes j", NOW.plus_seconds(REMEMBERED.0)));
    let late = NOW.plus_seconds(3600);
    assert_eq!(once(&json!({"jti": "j", "exp": late.seconds()})).expect("once").1, late.plus_seconds(LEEWAY));
    assert_eq!(once(&json!({"jti": "j", "exp": null})).expect("once").1, NOW.plus_seconds(REMEMBERED.1));
}

#[test]
fn signatures_are_those_that_are_registered() {
    use ClientSigningAlg::{ES256, Ed25519, EdDSA, HS256, None as Unsigned, PS256, RS256};
    let algs = |signing_alg| allowed_algs(&with(RequestObjects { signing_alg, ..RequestObjects::default() }));
    assert_eq!(algs(Some(RS256)), [RS256]);
    assert_eq!(algs(Some(HS256)), [HS256]);
    assert_eq!(algs(Some(Unsigned)), []);
    assert!(algs(None).iter().all(|alg| alg.is_asymmetric()) && algs(None).len() == 11);
    assert_eq!(allowed_algs(&ClientFacts { fapi2: true, ..client() }), [PS256, ES256, EdDSA, Ed25519]);
    let fapi2 = ClientFacts { fapi2: true, ..with(RequestObjects { signing_alg: Some(RS256), ..RequestObjects::default() }) };
    assert_eq!(allowed_algs(&fapi2), []);
}

fn compact(header: &Value, claims: &Value, signature: &str) -> String {
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.{signature}", encode(header), encode(claims))
}

#[test]
fn an_unsigned_object_is_for_clients_that_are_registered_so() {
    let registered = with(RequestObjects { signing_alg: Some(ClientSigningAlg::None), ..RequestObjects::default() });
    let (header, claims) = (json!({"alg": "none"}), json!({"client_id": "notes"}));
    let plain = compact(&header, &claims, "");
    assert_eq!(unsigned(&plain, &registered).expect("registered").expect("unsigned").claims, object(&claims));
    assert!(unsigned(&compact(&json!({"alg": "RS256"}), &claims, "c2ln"), &registered).expect("signed").is_none());
    let either = with(RequestObjects { unsigned: true, ..RequestObjects::default() });
    assert!(unsigned(&plain, &either).expect("registered").is_some() && !allowed_algs(&either).is_empty());
    for other in [
        client(),
        with(RequestObjects { signing_alg: Some(ClientSigningAlg::RS256), ..either.request_objects.clone() }),
        with(RequestObjects { required: true, ..either.request_objects.clone() }),
        with(RequestObjects { signing_alg: Some(ClientSigningAlg::RS256), ..RequestObjects::default() }),
        with(RequestObjects { required: true, ..registered.request_objects.clone() }),
        ClientFacts { fapi2: true, ..registered.clone() },
    ] {
        assert_eq!(unsigned(&plain, &other).expect_err("not registered").kind, ErrorKind::InvalidRequestObject);
    }
    for odd in [
        compact(&header, &claims, "c2ln"),
        format!("{plain}."),
        compact(&json!({"alg": "none", "crit": ["exp"]}), &claims, ""),
        plain.trim_end_matches('.').to_owned(),
        "e30".to_owned(),
        String::new(),
        "a".repeat(MAX_OBJECT + 1),
    ] {
        assert!(!matches!(unsigned(&odd, &registered), Ok(Some(_))), "{odd:.80}");
    }
}

#[test]
fn an_encrypted_object_is_encrypted_as_registered() {
    let how = Encryption { alg: KeyManagementAlg::RsaOaep256, enc: ContentEncryption::A256Gcm };
    let registered = with(RequestObjects { encryption: Some(how), ..RequestObjects::default() });
    let jwe = |alg: &str, enc: &str| format!("{}.k.i.c.t", URL_SAFE_NO_PAD.encode(json!({"alg": alg, "enc": enc}).to_string()));
    assert!(is_jwe(&jwe("RSA-OAEP-256", "A256GCM")) && !is_jwe("a.b.c"));
    assert!(check_encryption(&jwe("RSA-OAEP-256", "A256GCM"), &registered).is_ok());
    assert!(check_encryption(&jwe("RSA-OAEP", "A256GCM"), &registered).is_err());
    assert!(check_encryption(&jwe("RSA-OAEP-256", "A128GCM"), &registered).is_err());
    assert!(check_encryption(&jwe("ECDH-ES", "A128GCM"), &client()).is_ok(), "nothing is registered");
}

#[test]
fn references_are_registered_and_their_digests_hold() {
    let of = |uris: &[&str]| {
        let request_uris = uris.iter().map(|uri| (*uri).to_owned()).collect();
        with(RequestObjects { request_uris, ..RequestObjects::default() })
    };
    let digest = URL_SAFE_NO_PAD.encode(id::sha256(b"content"));
    let (address, hashed) = ("https://notes.example/r", format!("https://notes.example/r#{digest}"));
    for (registered, asked) in [(address, address), (address, &hashed), (&hashed, &hashed), (&hashed, address)] {
        assert!(is_registered(asked, &of(&[registered])), "{registered} {asked}");
    }
    for asked in ["https://notes.example/r2", "https://notes.example/r?x", "http://notes.example/r", "https://notes.example/R"] {
        assert!(!is_registered(asked, &of(&[address])), "{asked}");
    }
    assert!(!is_registered(address, &of(&[])));
    assert_eq!(digest_of(&hashed), Some(digest.as_str()));
    assert!(digest_of(address).is_none() && digest_of("https://notes.example/r#part").is_none());
    assert!(has_digest(b"content", &digest) && !has_digest(b"other", &digest));
}

#[test]
fn a_client_that_must_push_or_sign_does_nothing_else() {
    let (plain, signed, pushed) = (Proven::default(), Proven { signed: true, pushed: false }, Proven { signed: false, pushed: true });
    let both = Proven { signed: true, pushed: true };
    let must_push = with(RequestObjects { pushed_required: true, ..RequestObjects::default() });
    let must_sign = with(RequestObjects { required: true, ..RequestObjects::default() });
    let fapi2 = ClientFacts { fapi2: true, ..client() };
    for (client, pushed_only, good) in [
        (client(), false, [true, true, true, true]),
        (client(), true, [false, false, true, true]),
        (must_push, false, [false, false, true, true]),
        (fapi2, false, [false, false, true, true]),
        (must_sign, false, [false, true, false, true]),
    ] {
        let found = [plain, signed, pushed, both].map(|proven| proven.check(&client, pushed_only).is_ok());
        assert_eq!(found, good, "{:?} {pushed_only}", client.request_objects);
    }
}

#[test]
fn request_and_request_uri_exclude_each_other() {
    let of = |pairs: &[(&str, &str)]| {
        let params = params(pairs);
        Carried::of(&params).map(|carried| format!("{carried:?}")).map_err(|error| error.kind)
    };
    assert_eq!(of(&[("state", "a")]), Ok("Plain".to_owned()));
    assert_eq!(of(&[("request", "a")]), Ok("Object(\"a\")".to_owned()));
    assert_eq!(of(&[("request_uri", "a")]), Ok("Reference(\"a\")".to_owned()));
    assert_eq!(of(&[("request", "a"), ("request_uri", "b")]), Err(ErrorKind::InvalidRequest));
}

#[test]
fn hostile_octets_never_panic() {
    let registered = with(RequestObjects { signing_alg: Some(ClientSigningAlg::None), ..RequestObjects::default() });
    for octets in testing::hostile(5_000) {
        let text = String::from_utf8_lossy(&octets).into_owned();
        let _ = unsigned(&text, &registered);
        let _ = check_encryption(&text, &registered);
        let _ = (is_registered(&text, &registered), digest_of(&text));
        let _ = core(&json!({ text.as_str(): text.as_str(), "scope": text.as_str(), "jti": text.as_str() }));
    }
}
