//! `isthmus demo --once`: what the first-time visitor sees.

use crate::harness::process::run;
use serde_json::{Value, json};

#[test]
fn the_demo_walks_a_login_by_each_provider_to_each_application() {
    let printed = run(env!("CARGO_BIN_EXE_isthmus"), &["demo", "--once", "--person", "zoe"], "isthmus");
    let shown: Value = serde_json::from_str(&printed).expect("JSON");
    let providers: Vec<&String> = shown.as_object().expect("an object").keys().collect();
    assert_eq!(providers, ["practice", "practice-openid", "practice-github", "practice-directory"]);
    for (connection, sub) in [
        ("practice", "samlp|practice|zoe"),
        ("practice-openid", "oidc|practice-openid|zoe"),
        ("practice-github", "github|practice-github|1001"),
    ] {
        let (openid, saml) = (&shown[connection]["openid"], &shown[connection]["saml"]);
        assert_eq!((&openid["claims"]["sub"], &openid["id_token"]["sub"]), (&json!(sub), &json!(sub)));
        assert!(steps(&openid["trace"]).contains(&"released".to_owned()), "{connection}");
        // The same person at the other application.
        assert_eq!(saml["attributes"]["urn:oid:2.16.840.1.113730.3.1.241"], json!([openid["claims"]["name"]]), "{connection}");
        assert_eq!(saml["attributes"]["urn:oid:0.9.2342.19200300.100.1.3"], json!(["zoe@practice.example"]), "{connection}");
        assert_eq!(saml["name_id"]["Format"], "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent");
        let steps = steps(&saml["trace"]);
        assert_eq!((steps.first().map(String::as_str), steps.last().map(String::as_str)), (Some("request_in"), Some("finished")));
        assert!(!saml["trace"].to_string().contains("practice-app\""), "the trace is that of the SAML login");
    }
    let authority = &shown["practice"]["saml"]["authn_statement"]["AuthenticatingAuthority"];
    assert!(authority.as_str().is_some_and(|idp| idp.ends_with("/metadata")));
    // Only where the provider says so is an address verified.
    let verified = |connection: &str| shown[connection]["openid"]["claims"]["email_verified"].clone();
    assert_eq!([verified("practice"), verified("practice-openid"), verified("practice-github")], [json!(false), json!(true), json!(true)]);
}

fn steps(trace: &Value) -> Vec<String> {
    let entries = trace.as_array().expect("a trace");
    entries.iter().map(|entry| entry["event"]["step"].as_str().expect("a step").to_owned()).collect()
}
