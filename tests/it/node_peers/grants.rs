//! Devices, tokens for resource servers, and what is asked about tokens, given back and exchanged.

use super::{Application, LIBRARIES, Library, Stage};
use crate::api::Api;
use crate::harness::browser::Browser;
use crate::harness::idp::Person;
use serde_json::{Value, json};

const NOTES: &str = "https://notes.example/api/";
const PAGES: &str = "https://pages.example/api/";
const GRANTS: &str = "grant_types = [\"authorization_code\", \"refresh_token\", \"client_credentials\", \
                      \"urn:ietf:params:oauth:grant-type:token-exchange\", \"urn:ietf:params:oauth:grant-type:device_code\"]";

/// An application with every grant, and two resource servers: the tokens of one can be read by it, those of the other not.
async fn stage(script: &str, settings: Value, top: &str) -> Stage {
    let oidc = format!("{GRANTS}\nintrospects = [\"{PAGES}\"]\ntoken_exchange = {{ audiences = [\"{PAGES}\"] }}");
    let mut library = Library::new(script);
    library.key("dpop", "ES256");
    let application = Application::new("client_secret_post", &oidc).told(settings);
    let stage = Stage::new(library, &[application], |setup| top.clone_into(&mut setup.top)).await;
    let api = Api::of(&stage.gateway).await;
    for (identifier, dialect) in [(NOTES, json!("rfc9068_profile")), (PAGES, Value::Null)] {
        let scopes = json!([{"value": "read:notes", "description": "Read"}, {"value": "write:notes", "description": "Write"}]);
        let body = json!({
            "identifier": identifier, "name": "Notes", "scopes": scopes, "token_dialect": dialect, "signing_alg": "ES256",
            "allow_offline_access": true,
        });
        api.make("/resource-servers", &body).await;
        api.make("/client-grants", &json!({"client_id": "notes", "audience": identifier, "scope": ["read:notes"]})).await;
    }
    stage
}

#[tokio::test]
async fn npm_libraries_connect_devices() {
    for script in LIBRARIES {
        let mut stage = stage(script, json!({}), "").await;
        let started = stage.ask("device_begin", json!({"parameters": {"scope": "openid email offline_access"}}));
        let browser = Browser::new();
        let page = browser.open(started["verification_uri_complete"].as_str().expect("an address")).await.here();
        let request = stage.idp.read(&browser.press(&page, "Continue").await.away());
        let answer = stage.idp.respond(&request, &Person::zoe());
        let page = browser.post(&answer.from, &answer.to, &answer.fields()).await.here();
        browser.press(&page, "Connect the device").await.here();
        let tokens = stage.ask("device_end", json!({}));
        assert_eq!(tokens["claims"]["email"], "zoe@acme.example", "{script}");
        stage.ask("userinfo", json!({}));
        assert_ne!(stage.ask("refresh", json!({}))["refresh_token"], tokens["refresh_token"]);
        assert!(stage.refuses("device_end", json!({})).contains("invalid_grant"), "{script}: a device code is good once");
    }
}

#[tokio::test]
async fn npm_libraries_ask_about_tokens_give_them_back_and_exchange_them() {
    // Answers about tokens in plain JSON, and signed.
    let ways = [json!({}), json!({"introspection_signed_response_alg": "RS256"})];
    for (script, metadata) in LIBRARIES.iter().flat_map(|script| ways.iter().map(move |metadata| (script, metadata))) {
        let mut stage = stage(script, json!({"metadata": metadata}), "").await;
        let tokens = stage.sign_in(json!({"parameters": {"audience": PAGES, "scope": "openid email read:notes offline_access"}})).await;
        let told = stage.ask("introspect", json!({}))["told"].clone();
        assert_eq!(
            (&told["active"], &told["client_id"], &told["sub"]),
            (&json!(true), &json!("notes"), &tokens["claims"]["sub"]),
            "{told}"
        );
        let parameters = json!({
            "subject_token": tokens["access_token"], "subject_token_type": "urn:ietf:params:oauth:token-type:access_token",
            "audience": PAGES, "scope": "read:notes",
        });
        let exchanged = stage.ask("exchange", json!({"parameters": parameters}))["exchanged"].clone();
        assert_eq!(exchanged["issued_token_type"], "urn:ietf:params:oauth:token-type:access_token", "{exchanged}");
        let told = stage.ask("introspect", json!({"token": exchanged["access_token"]}))["told"].clone();
        assert_eq!((&told["scope"], &told["sub"]), (&json!("read:notes"), &tokens["claims"]["sub"]), "{told}");
        // Given back.
        stage.ask("revoke", json!({"token": tokens["refresh_token"]}));
        for token in [&tokens["access_token"], &exchanged["access_token"]] {
            assert_eq!(stage.ask("introspect", json!({"token": token}))["told"], json!({"active": false}), "{script}");
        }
        assert!(stage.refuses("refresh", json!({})).contains("invalid_grant"), "{script}");
        assert!(stage.refuses("exchange", json!({"parameters": parameters})).contains("invalid"), "{script}");
        // For itself.
        let own = stage.ask("client_credentials", json!({"parameters": {"audience": PAGES}}));
        assert_eq!((&own["scope"], own.get("refresh_token")), (&json!("read:notes"), None), "{own}");
        let told = stage.ask("introspect", json!({}))["told"].clone();
        assert_eq!((&told["active"], &told["scope"]), (&json!(true), &json!("read:notes")), "{told}");
        stage.ask("revoke", json!({}));
        assert_eq!(stage.ask("introspect", json!({}))["told"], json!({"active": false}));
        let refused = stage.refuses("client_credentials", json!({"parameters": {"audience": "https://other.example/"}}));
        assert!(refused.starts_with("unauthorized_client"), "{script}: {refused}");
    }
}

#[tokio::test]
async fn oauth4webapi_reads_access_tokens_and_answers_about_them_that_are_signed() {
    for (dpop, nonce) in [(false, ""), (true, ""), (true, "dpop_nonce = true")] {
        let settings = json!({"dpop": dpop.then_some("dpop"), "metadata": {"introspection_signed_response_alg": "RS256"}});
        let mut stage = stage("oauth4webapi.mjs", settings, nonce).await;
        let asked = json!({"parameters": {"audience": NOTES, "scope": "openid email read:notes"}});
        let tokens = stage.sign_in(asked).await;
        let read = stage.ask("access_token", json!({"audience": NOTES}))["claims"].clone();
        assert_eq!((&read["client_id"], &read["sub"]), (&json!("notes"), &tokens["claims"]["sub"]), "{read}");
        assert_eq!(read["cnf"]["jkt"].is_string(), dpop, "{read}");
        assert!(read["scope"].as_str().expect("scopes").contains("read:notes"), "{read}");
        stage.ask("userinfo", json!({}));
        let told = stage.ask("introspect", json!({"signed": true}));
        assert_eq!((&told["told"]["active"], &told["told"]["sub"]), (&json!(true), &read["sub"]), "{told}");
        assert!(told["type"].as_str().expect("a type").starts_with("application/token-introspection+jwt"), "{told}");
        // For another audience, and with another octet.
        assert!(stage.refuses("access_token", json!({"audience": PAGES})).contains("aud"));
        let mut token = tokens["access_token"].as_str().expect("a token").to_owned();
        let at = token.len() - 3;
        let other = if &token[at..=at] == "A" { "B" } else { "A" };
        token.replace_range(at..=at, other);
        let refused = stage.refuses("access_token", json!({"audience": NOTES, "token": token}));
        assert!(refused.contains("signature"), "{refused}");
        // A program's own.
        stage.ask("client_credentials", json!({"parameters": {"audience": NOTES}}));
        let read = stage.ask("access_token", json!({"audience": NOTES}))["claims"].clone();
        assert_eq!((&read["client_id"], &read["scope"]), (&json!("notes"), &json!("read:notes")), "{read}");
    }
}
