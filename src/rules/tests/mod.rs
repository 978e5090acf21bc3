//! Scripts run through [`Host`], by requirement.

mod actions;
mod hostile;
mod limits;
mod rules;
mod samples;

use super::*;
use crate::error::{Error, ErrorKind, Result};
use crate::secret::Secret;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

pub(super) fn script(kind: Kind, name: &str, code: &str) -> Script {
    Script {
        id: format!("id-{name}"),
        name: name.to_owned(),
        kind,
        enabled: true,
        order: 0,
        code: code.to_owned(),
        secrets: BTreeMap::new(),
        hosts: Vec::new(),
        on_error: OnError::Fail,
        limits: Limits::default(),
    }
}

pub(super) fn rule(code: &str) -> Script {
    script(Kind::Rule, "rule", code)
}

pub(super) fn action(code: &str) -> Script {
    script(Kind::Action(Trigger::PostLogin), "action", code)
}

/// The body of `onExecutePostLogin`.
pub(super) fn body(code: &str) -> Script {
    action(&format!("exports.onExecutePostLogin = async (event, api) => {{ {code} }};"))
}

pub(super) fn scripts(all: Vec<Script>) -> Scripts {
    let mut scripts = Scripts::default();
    for script in all {
        match script.kind {
            Kind::Rule => scripts.rules.push(Arc::new(script)),
            Kind::Action(trigger) => scripts.actions.entry(trigger).or_default().push(Arc::new(script)),
        }
    }
    scripts
}

pub(super) fn secret(text: &str) -> Secret<String> {
    Secret::new(text.to_owned())
}

pub(super) fn map(value: Value) -> Map<String, Value> {
    value.as_object().cloned().expect("an object")
}

pub(super) fn input() -> LoginInput {
    LoginInput {
        user: map(json!({
            "user_id": "samlp|acme|jane", "email": "jane@acme.example", "email_verified": true, "name": "Jane", "groups": ["staff"],
            "user_metadata": { "hobby": "chess" }, "app_metadata": { "plan": "gold" },
        })),
        context: map(json!({ "clientID": "notes", "connection": "acme", "protocol": "oidc-basic-profile", "request": { "query": {} } })),
        event: map(json!({
            "client": { "client_id": "notes" }, "connection": { "name": "acme" },
            "request": { "ip": "192.0.2.1", "query": {} }, "stats": { "logins_count": 1 },
            "transaction": { "requested_scopes": ["openid", "profile"] },
        })),
        ..LoginInput::default()
    }
}

/// Answers what it was asked, as an echo.
pub(super) struct Echo;

impl Fetch for Echo {
    fn fetch(&self, request: FetchRequest) -> Pin<Box<dyn Future<Output = Result<FetchAnswer>> + Send + '_>> {
        Box::pin(async move {
            if request.url.ends_with("/slow") {
                tokio::time::sleep(std::time::Duration::from_secs(60)).await;
            }
            if request.url.ends_with("/broken") {
                return Err(Error::new(ErrorKind::IdpFailed, "the host does not answer"));
            }
            let body = json!({ "method": request.method, "url": request.url, "headers": request.headers, "body": request.body });
            let status = if request.url.ends_with("/missing") { 404 } else { 200 };
            let long = request.url.ends_with("/long");
            let body = if long { "x".repeat(1024 * 1024 + 1) } else { body.to_string() };
            Ok(FetchAnswer { status, headers: vec![("Content-Type".to_owned(), "application/json".to_owned())], body })
        })
    }
}

pub(super) fn host() -> Host {
    Host::new(2, Arc::new(Echo)).of_issuer("https://login.acme.example")
}

pub(super) async fn run(all: Vec<Script>) -> Outcome {
    run_with(&scripts(all), input()).await
}

pub(super) async fn run_with(scripts: &Scripts, input: LoginInput) -> Outcome {
    host().login(scripts, input).await.expect("not overloaded")
}

/// How the last script failed.
pub(super) fn error(outcome: &Outcome) -> &ScriptError {
    match outcome.ran.last().map(|ran| &ran.status) {
        Some(Status::Failed(error)) => error,
        other => panic!("{other:?}"),
    }
}

pub(super) fn log(outcome: &Outcome) -> Vec<&str> {
    outcome.ran.iter().flat_map(|ran| ran.log.iter().map(String::as_str)).collect()
}
