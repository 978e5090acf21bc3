//! Every key of `[application.oidc]`: right, and wrong with what is said about it; and `[registration]`.

use super::tests::{GOOD, findings, written};
use super::{load, render_human};
use crate::broker::registration::Mode;
use crate::oidc::{ClientFacts, ClientKeys, ContentEncryption, KeyManagementAlg, SigningAlg, SubjectType};

const SECRET: &str = "client_secret = \"0123456789abcdef0123456789abcdef\"\n";
const KEYS: &str = "jwks = { keys = [{ kty = \"EC\", crv = \"P-256\", x = \"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\", y = \"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\" }] }\n";

fn with(lines: &str) -> String {
    format!("{GOOD}{lines}\n")
}

#[track_caller]
fn client(lines: &str) -> ClientFacts {
    let place = written(&with(lines));
    let config = load(&place.path().join("isthmus.toml")).unwrap_or_else(|findings| panic!("{lines}: {}", render_human(&findings)));
    config.applications.into_iter().next().and_then(|application| application.oidc).expect("a client")
}

#[test]
fn every_key_is_read() {
    let keys = client(KEYS);
    assert!(matches!(&keys.keys, ClientKeys::Jwks(set) if set.keys().len() == 1));
    let text = "{\\\"keys\\\": []}";
    assert!(matches!(client(&format!("jwks = \"{text}\"")).keys, ClientKeys::Jwks(set) if set.keys().is_empty()));
    assert!(matches!(client("jwks_uri = \"https://app.example/jwks\"").keys, ClientKeys::Uri(url) if url.path() == "/jwks"));
    let encrypted = client(&format!(
        "{KEYS}id_token_encrypted_response_alg = \"ECDH-ES\"\nuserinfo_encrypted_response_alg = \"RSA-OAEP-256\"\nuserinfo_encrypted_response_enc = \"A256GCM\""
    ));
    let (id_token, userinfo) = (encrypted.id_token_encryption.expect("one"), encrypted.userinfo_encryption.expect("one"));
    assert_eq!((id_token.alg, id_token.enc), (KeyManagementAlg::EcdhEs, ContentEncryption::A128CbcHs256));
    assert_eq!((userinfo.alg, userinfo.enc), (KeyManagementAlg::RsaOaep256, ContentEncryption::A256Gcm));
    let signed = client("userinfo_signed_response_alg = \"ES256\"\nid_token_signed_response_alg = \"EdDSA\"\nid_token_lifetime = 120");
    assert_eq!((signed.userinfo_signed_response_alg, signed.id_token_signed_response_alg), (Some(SigningAlg::ES256), SigningAlg::EdDSA));
    assert_eq!(signed.id_token_lifetime, Some(120));
    let asked = client("default_max_age = 60\nrequire_auth_time = true\ndefault_acr_values = [\"mfa\"]");
    assert_eq!((asked.default_max_age, asked.require_auth_time, asked.default_acr_values), (Some(60), true, vec!["mfa".to_owned()]));
    let bound = client("dpop_bound_access_tokens = true\ntls_client_certificate_bound_access_tokens = true");
    assert!(bound.dpop_bound_access_tokens && bound.tls_client_certificate_bound_access_tokens);
    let objects = client(
        "request_object_signing_alg = \"PS256\"\nrequest_uris = [\"https://app.example/r#digest\"]\nrequire_signed_request_object = true\nrequire_pushed_authorization_requests = true\nrequest_object_encryption_alg = \"RSA-OAEP\"",
    );
    let objects = objects.request_objects;
    assert!(objects.required && objects.pushed_required && objects.encryption.is_some() && objects.request_uris.len() == 1);
    let about = client(
        "client_uri = \"https://app.example/\"\nlogo_uri = \"https://app.example/l\"\npolicy_uri = \"https://app.example/p\"\ntos_uri = \"https://app.example/t\"\nfirst_party = false",
    );
    assert!(!about.first_party && about.about.policy_uri.is_some() && about.about.logo_uri.is_some());
}

#[test]
fn the_sector_is_the_host_of_the_redirect_uris_or_of_the_address_that_is_named() {
    let sector = |lines: &str| {
        let client = client(lines);
        (client.subject_type, client.sector_identifier)
    };
    assert_eq!(sector(""), (SubjectType::Public, None));
    assert_eq!(sector("subject_type = \"pairwise\""), (SubjectType::Pairwise, Some("notes.example".to_owned())));
    let named = "subject_type = \"pairwise\"\nsector_identifier_uri = \"https://all.example/uris.json\"";
    assert_eq!(sector(named).1.as_deref(), Some("all.example"));
    let several = GOOD.replace("[\"https://notes.example/callback\"]", "[\"https://a.example/\", \"https://b.example/\"]");
    let found = findings(&format!("{several}subject_type = \"pairwise\"\n"));
    assert!(found.problems.iter().any(|problem| problem.message.contains("a.example, b.example")), "{}", render_human(&found));
    // What returns to the person's own machine has no host that is its own.
    for uris in ["\"http://127.0.0.1/cb\", \"org.example.app:/cb\"", "\"org.example.app://bank.example/cb\""] {
        let native = GOOD.replace("\"https://notes.example/callback\"", uris);
        let place = written(&format!("{native}application_type = \"native\"\nsubject_type = \"pairwise\"\n"));
        let config = load(&place.path().join("isthmus.toml")).unwrap_or_else(|findings| panic!("{}", render_human(&findings)));
        assert_eq!(config.applications[0].oidc.as_ref().and_then(|client| client.sector_identifier.clone()), None, "{uris}");
    }
}

#[test]
fn every_key_that_is_wrong_is_named_with_the_reason() {
    for (lines, key, word) in [
        ("jwks = { keys = [{ kty = \"oct\", k = \"x\" }] }", "jwks", "`k`"),
        ("jwks = \"no JSON\"", "jwks", "not JSON"),
        ("jwks_file = \"missing.json\"", "jwks_file", "cannot be read"),
        ("jwks_uri = \"http://app.example/jwks\"", "jwks_uri", "not https"),
        ("jwks_uri = \"https://app.example/jwks\"\njwks_file = \"x.json\"", "jwks_uri", "contradict"),
        ("id_token_encrypted_response_alg = \"RSA1_5\"", "id_token_encrypted_response_alg", "not a choice"),
        ("id_token_encrypted_response_alg = \"RSA-OAEP\"", "id_token_encrypted_response_alg", "no key"),
        ("id_token_encrypted_response_enc = \"A128GCM\"", "id_token_encrypted_response_enc", "without"),
        ("userinfo_encrypted_response_alg = \"RSA-OAEP\"", "userinfo_encrypted_response_alg", "no key"),
        ("userinfo_encrypted_response_enc = \"A128GCM\"", "userinfo_encrypted_response_enc", "without"),
        ("userinfo_signed_response_alg = \"HS256\"", "userinfo_signed_response_alg", "not a choice"),
        ("id_token_signed_response_alg = \"none\"", "id_token_signed_response_alg", "not a choice"),
        ("request_object_signing_alg = \"RS1\"", "request_object_signing_alg", "not a choice"),
        ("request_object_encryption_enc = \"A128GCM\"", "request_object_encryption_enc", "without"),
        ("request_uris = [\"http://app.example/r\"]", "request_uris[0]", "not https"),
        ("request_object_signing_alg = \"none\"\nrequire_signed_request_object = true", "require_signed_request_object", "unsigned"),
        ("token_endpoint_auth_signing_alg = \"RS256\"", "token_endpoint_auth_signing_alg", "does not go with"),
        ("token_endpoint_auth_method = \"password\"", "token_endpoint_auth_method", "not a choice"),
        ("token_endpoint_auth_method = \"client_secret_post\"", "token_endpoint_auth_method", "client_secret"),
        ("tls_client_auth_subject_dn = \"CN=app\"", "tls_client_auth_subject_dn", "tls_client_auth only"),
        ("tls_client_auth_san_ip = \"one\"", "tls_client_auth_san_ip", "no IP address"),
        ("subject_type = \"secret\"", "subject_type", "not a choice"),
        ("sector_identifier_uri = \"http://all.example/\"", "sector_identifier_uri", "not https"),
        ("default_max_age = -1", "default_max_age", "out of range"),
        ("require_auth_time = \"yes\"", "require_auth_time", "true or false"),
        ("id_token_lifetime = 0", "id_token_lifetime", "out of range"),
        ("client_uri = \"http://app.example/\"", "client_uri", "not https"),
        ("logo_uri = \"data:image/png;x\"", "logo_uri", "no place"),
        ("policy_uri = \"/p\"", "policy_uri", "no absolute"),
        ("tos_uri = \"https://a:b@app.example/\"", "tos_uri", "credentials"),
        ("initiate_login_uri = \"http://app.example/start\"", "initiate_login_uri", "not https"),
        ("response_types = [\"token\"]", "response_types[0]", "not available"),
        ("grant_types = [\"password\"]", "grant_types[0]", "not available"),
        ("security_profile = \"fapi1\"", "security_profile", "not a choice"),
        ("require_pkce = false", "require_pkce", "public client"),
        ("unsigned_request_objects = true\nrequest_object_signing_alg = \"ES256\"", "unsigned_request_objects", "already"),
        ("unsigned_request_objects = true\nrequire_signed_request_object = true", "require_signed_request_object", "unsigned"),
        ("shoe_size = 42", "shoe_size", "not known"),
    ] {
        let found = findings(&with(lines));
        let path = format!("application[0].oidc.{key}");
        let told = found.problems.iter().find(|problem| problem.path == path && problem.message.contains(word));
        assert!(told.is_some_and(|problem| !problem.help.is_empty()), "{lines}: {}", render_human(&found));
    }
    let whole = GOOD.replace("connections = [\"acme\"]", "legacy_profile = true");
    for (line, word) in [("subject_type = \"pairwise\"", "pairwise"), ("security_profile = \"fapi2\"", "FAPI 2.0")] {
        let found = findings(&format!("{whole}{line}\n"));
        let told = found.problems.iter().any(|problem| problem.path == "application[0].legacy_profile" && problem.message.contains(word));
        assert!(told, "{}", render_human(&found));
    }
}

#[test]
fn every_weakening_of_a_client_is_listed() {
    for (lines, key) in [
        (format!("{SECRET}require_pkce = false"), "require_pkce"),
        ("request_object_signing_alg = \"none\"".to_owned(), "request_object_signing_alg"),
        ("unsigned_request_objects = true".to_owned(), "unsigned_request_objects"),
        ("response_types = [\"code\", \"code token\"]".to_owned(), "response_types[1]"),
    ] {
        let found = findings(&with(&lines));
        assert!(found.problems.is_empty(), "{lines}: {}", render_human(&found));
        let path = format!("application[0].oidc.{key}");
        let listed = found.warnings.iter().any(|warning| warning.path == path && warning.message.starts_with("weakened: "));
        assert!(listed, "{lines}: {}", render_human(&found));
    }
}

#[test]
fn registration_is_off_unless_the_operator_says_otherwise() {
    let read = |lines: &str| {
        let place = written(&format!("{GOOD}[registration]\n{lines}\n"));
        load(&place.path().join("isthmus.toml")).unwrap_or_else(|findings| panic!("{lines}: {}", render_human(&findings))).registration
    };
    assert_eq!(read("").mode, Mode::Off);
    let policy = read("mode = \"initial_access_token\"\nconnections = [\"acme\"]\nper_hour = 5\nmax_clients = 7\nunused_after = 0");
    assert_eq!((policy.mode, policy.connections), (Mode::InitialAccessToken, Some(vec!["acme".to_owned()])));
    assert_eq!((policy.per_hour, policy.max_clients, policy.unused_after, policy.require_pkce), (5, 7, None, true));
    for (lines, path) in [
        ("mode = \"open\"", "registration.mode"),
        ("require_pkce = false", "registration.require_pkce"),
        ("unsigned_request_objects = true", "registration.unsigned_request_objects"),
    ] {
        let found = findings(&format!("{GOOD}[registration]\n{lines}\n"));
        assert!(found.problems.is_empty(), "{}", render_human(&found));
        let listed = found.warnings.iter().filter(|warning| warning.path == path && warning.message.starts_with("weakened: "));
        assert_eq!(listed.count(), 1, "{lines}");
    }
    for (lines, path) in [
        ("mode = \"closed\"", "registration.mode"),
        ("connections = [\"nobody\"]", "registration.connections[0]"),
        ("per_hour = 0", "registration.per_hour"),
        ("max_clients = 0", "registration.max_clients"),
        ("unused_after = -1", "registration.unused_after"),
        ("colour = 1", "registration.colour"),
        ("software_statement_required = true", "registration.software_statement_required"),
        ("[[registration.software_statement]]\njwks_uri = \"https://maker.example/jwks\"", "registration.software_statement[0].issuer"),
        ("[[registration.software_statement]]\nissuer = \"https://maker.example\"", "registration.software_statement[0].issuer"),
    ] {
        let found = findings(&format!("{GOOD}[registration]\n{lines}\n"));
        let told = found.problems.iter().any(|problem| problem.path == path && !problem.help.is_empty());
        assert!(told, "{lines}: {}", render_human(&found));
    }
}
