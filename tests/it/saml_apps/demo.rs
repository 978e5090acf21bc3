//! `isthmus demo --once`: what the first-time visitor sees.

use crate::harness::process::run;
use serde_json::{Value, json};

#[test]
fn the_demo_walks_a_login_of_each_protocol() {
    let printed = run(env!("CARGO_BIN_EXE_isthmus"), &["demo", "--once", "--person", "zoe"], "isthmus");
    let shown: Value = serde_json::from_str(&printed).expect("JSON");
    // By OpenID Connect, as it always was.
    assert_eq!(shown["claims"]["sub"], shown["id_token"]["sub"]);
    assert_eq!(shown["claims"]["sub"], "samlp|practice|zoe");
    let steps = |trace: &Value| -> Vec<String> {
        let entries = trace.as_array().expect("a trace");
        entries.iter().map(|entry| entry["event"]["step"].as_str().expect("a step").to_owned()).collect()
    };
    assert!(steps(&shown["trace"]).contains(&"released".to_owned()));
    // By SAML, the same person.
    let saml = &shown["saml"];
    assert_eq!(saml["attributes"]["urn:oid:2.16.840.1.113730.3.1.241"], json!([shown["claims"]["name"]]));
    assert_eq!(saml["name_id"]["Format"], "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent");
    assert!(saml["authn_statement"]["AuthenticatingAuthority"].as_str().is_some_and(|idp| idp.ends_with("/metadata")));
    let steps = steps(&saml["trace"]);
    assert_eq!((steps.first().map(String::as_str), steps.last().map(String::as_str)), (Some("request_in"), Some("finished")));
    assert!(!saml["trace"].to_string().contains("practice-app\""), "the trace is that of the SAML login");
}
