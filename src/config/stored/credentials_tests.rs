use super::*;
use crate::keys::{KeyKind, PrivateKey};
use openssl::pkey::PKey;
use serde_json::json;

fn pem(kind: KeyKind) -> (PrivateKey, String) {
    let key = PrivateKey::generate(kind).expect("a key");
    let public = PKey::public_key_from_der(&key.public_der().expect("public")).expect("read");
    let pem = String::from_utf8(public.public_key_to_pem().expect("pem")).expect("text");
    (key, pem)
}

/// What the document says, and what is wrong with the body.
fn translated(body: &Value) -> (toml::Table, Vec<String>) {
    let mut document = Document::new("oidc", &[]);
    let faults = translate(body.as_object().expect("an object"), &mut document);
    let mut table = toml::Table::new();
    let read = document.read(|section| {
        let oidc = section.section("oidc")?;
        for (name, value) in oidc.entries() {
            table.insert(name.to_owned(), toml::Value::try_from(crate::toml_file::to_json(value.value)).ok()?);
        }
        Some(())
    });
    drop(read);
    (table, faults.into_iter().map(|fault| fault.pointer).collect())
}

#[test]
fn keys_of_a_client_are_read_as_its_jwk_set() {
    for (kind, kty) in [(KeyKind::Rsa, "RSA"), (KeyKind::EcP256, "EC"), (KeyKind::EcP384, "EC"), (KeyKind::Ed25519, "OKP")] {
        let (key, pem) = pem(kind);
        let jwk = jose::jwk_of_pem(&pem).expect("read");
        assert_eq!((jwk["kty"].as_str(), jwk["kid"].as_str()), (Some(kty), jose::key_id(&key).ok().as_deref()), "{kind:?}");
    }
    let (_, pem) = pem(KeyKind::Rsa);
    let credential = json!({"credential_type": "public_key", "name": "one", "pem": pem, "alg": "PS256"});
    let body = json!({
        "client_authentication_methods": {"private_key_jwt": {"credentials": [credential.clone()]}},
        "signed_request_object": {"required": true, "credentials": [credential]},
        "require_proof_of_possession": true,
    });
    let (table, faults) = translated(&body);
    assert!(faults.is_empty(), "{faults:?}");
    assert_eq!(table["token_endpoint_auth_method"].as_str(), Some("private_key_jwt"));
    let keys = table["jwks"]["keys"].as_array().expect("a list");
    assert_eq!((keys.len(), keys[0]["alg"].as_str()), (1, Some("PS256")), "the same key for both");
    assert_eq!((table["require_signed_request_object"].as_bool(), table["dpop_bound_access_tokens"].as_bool()), (Some(true), Some(true)));
}

#[test]
fn certificates_are_named_by_their_subject_and_possession_proven_by_them() {
    let body = json!({
        "client_authentication_methods": {"tls_client_auth": {"credentials": [{"credential_type": "cert_subject_dn", "subject_dn": "CN=app"}]}},
        "require_proof_of_possession": true, "isthmus": {"tls_client_certificate_bound_access_tokens": true},
    });
    let (table, faults) = translated(&body);
    assert!(faults.is_empty(), "{faults:?}");
    assert_eq!(table["tls_client_auth_subject_dn"].as_str(), Some("CN=app"));
    assert!(!table.contains_key("dpop_bound_access_tokens") && !table.contains_key("jwks"), "{table:?}");
}

#[test]
fn what_is_wrong_is_named_by_its_place() {
    for (body, place) in [
        (json!({"client_authentication_methods": []}), "/client_authentication_methods"),
        (json!({"client_authentication_methods": {}}), "/client_authentication_methods"),
        (json!({"client_authentication_methods": {"password": {}}}), "/client_authentication_methods/password"),
        (json!({"client_authentication_methods": {"private_key_jwt": {}}}), "/client_authentication_methods/private_key_jwt/credentials"),
        (
            json!({"client_authentication_methods": {"private_key_jwt": {"credentials": [{"id": "cred_1"}]}}}),
            "/client_authentication_methods/private_key_jwt/credentials/0",
        ),
        (
            json!({"client_authentication_methods": {"private_key_jwt": {"credentials": [{"pem": "x"}]}}}),
            "/client_authentication_methods/private_key_jwt/credentials/0/pem",
        ),
        (json!({"client_authentication_methods": {"tls_client_auth": {}}}), "/client_authentication_methods/tls_client_auth/credentials"),
        (json!({"signed_request_object": {"required": true}}), "/signed_request_object/credentials"),
        (
            json!({"client_authentication_methods": {"private_key_jwt": {}}, "token_endpoint_auth_method": "none"}),
            "/token_endpoint_auth_method",
        ),
    ] {
        assert_eq!(translated(&body).1, [place], "{body}");
    }
    assert_eq!(translated(&json!({"client_authentication_methods": null, "signed_request_object": null})).1, Vec::<String>::new());
}
