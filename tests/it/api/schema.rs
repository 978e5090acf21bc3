//! The OpenAPI document, held against what the gateway answers by schemathesis, and against its own specification.

use crate::harness::gateway::{Gateway, Setup};
use crate::harness::peers::installed;
use crate::harness::process::text;
use serde_json::{Value, json};
use std::process::Command;

const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// A program of the file may do everything, and nothing that it calls can take that away.
async fn gateway() -> (Gateway, String) {
    let probe = Gateway::start(Setup::new()).await;
    let document = probe.client().get(probe.url("/api/v2/openapi.json")).send().await.unwrap().json::<Value>().await.unwrap();
    let scopes = document["components"]["securitySchemes"]["token"]["flows"]["clientCredentials"]["scopes"].as_object().unwrap().clone();
    let scopes: Vec<&String> = scopes.keys().filter(|scope| !scope.contains("current_user")).collect();
    let application = format!(
        "client_id = \"robot\"\n[application.oidc]\nredirect_uris = []\nclient_secret = \"{SECRET}\"\n\
         token_endpoint_auth_method = \"client_secret_post\"\ngrant_types = [\"client_credentials\"]\n[application.api]\nscopes = {scopes:?}"
    );
    let gateway = Gateway::start(Setup::new().application(&application)).await;
    let asked = json!({
        "grant_type": "client_credentials", "client_id": "robot", "client_secret": SECRET,
        "audience": gateway.url("/api/v2/").as_str(),
    });
    let answer = gateway.client().post(gateway.url("/oauth/token")).json(&asked).send().await.unwrap();
    let token = answer.json::<Value>().await.unwrap()["access_token"].as_str().expect("a token").to_owned();
    (gateway, token)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_answers_what_the_document_says() {
    let (gateway, token) = gateway().await;
    let document = gateway.client().get(gateway.url("/api/v2/openapi.json")).send().await.unwrap().json::<Value>().await.unwrap();
    let operations: usize = document["paths"].as_object().unwrap().values().map(|path| path.as_object().unwrap().len()).sum();
    // What is too large is refused as that, and not as wrong.
    let settings = "[checks.negative_data_rejection]\nexpected-statuses = [\"400\", \"401\", \"403\", \"404\", \"405\", \"409\", \"413\", \"414\", \"415\", \"429\", \"5xx\"]\n";
    std::fs::write(gateway.place().join("schemathesis.toml"), settings).unwrap();
    let command = || {
        Command::new(text(&installed("venv/bin/schemathesis")))
            .args(["run", gateway.url("/api/v2/openapi.json").as_str(), "--no-color", "--seed", "1", "--max-examples", "5"])
            .args(["--header", &format!("Authorization: Bearer {token}")])
            // A shape cannot say everything that makes a body good: that a certificate is one, that a name is free.
            .args(["--exclude-checks", "positive_data_acceptance", "--suppress-health-check", "all"])
            .current_dir(gateway.place())
            .output()
            .expect("schemathesis is installed by tests/setup.sh")
    };
    let output = tokio::task::block_in_place(command);
    let report = String::from_utf8_lossy(&output.stdout).into_owned();
    let end: String = report
        .lines()
        .rev()
        .take(200)
        .map(|line| line.chars().take(300).collect::<String>() + "\n")
        .collect::<Vec<_>>()
        .into_iter()
        .rev()
        .collect();
    assert!(output.status.success(), "{end}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(report.contains(&format!("Tested: {operations}")), "not all {operations} were called:\n{end}");
    let log = gateway.log();
    assert!(!log.contains(SECRET) && !log.contains(&token), "the log has a secret");
}

#[tokio::test]
async fn the_document_is_what_openapi_wants() {
    let gateway = Gateway::start(Setup::new()).await;
    let document = gateway.client().get(gateway.url("/api/v2/openapi.json")).send().await.unwrap().text().await.unwrap();
    let file = gateway.place().join("openapi.json");
    std::fs::write(&file, document).unwrap();
    let output = Command::new(text(&installed("venv/bin/openapi-spec-validator"))).arg(&file).output().unwrap();
    assert!(output.status.success(), "{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
}
