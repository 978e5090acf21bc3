//! Rules and actions over whole logins.

mod api;
mod elsewhere;
mod failures;
mod files;
mod lines;
mod saml;

use crate::harness::app::{App, Tokens};
use crate::harness::gateway::Setup;
use crate::harness::idp::{Idp, Person};
use crate::harness::scene::Scene;
use serde_json::Value;

pub const OFFLINE: &[(&str, &str)] = &[("scope", "openid profile email offline_access")];

/// A script of a test: its name, its lines in the configuration, its text.
#[derive(Clone, Copy)]
pub struct Script<'a>(pub &'a str, pub &'a str, pub &'a str);

/// More rules in their order.
pub fn with_rules(mut setup: Setup, rules: &[Script<'_>]) -> Setup {
    for (order, Script(name, lines, code)) in rules.iter().enumerate() {
        setup.top_tables += &format!("[[rule]]\nname = \"{name}\"\nfile = \"rules/{name}.js\"\norder = {order}\n{lines}\n");
        setup = setup.file(&format!("rules/{name}.js"), code);
    }
    setup
}

/// More actions in their order.
pub fn with_actions(mut setup: Setup, trigger: &str, actions: &[Script<'_>]) -> Setup {
    for (order, Script(name, lines, code)) in actions.iter().enumerate() {
        setup.top_tables +=
            &format!("[[action]]\nname = \"{name}\"\nfile = \"actions/{name}.js\"\norder = {order}\ntrigger = \"{trigger}\"\n{lines}\n");
        setup = setup.file(&format!("actions/{name}.js"), code);
    }
    setup
}

/// The usual scene with rules.
pub async fn ruled(rules: &[Script<'_>]) -> Scene {
    Scene::with(|setup| with_rules(setup, rules)).await
}

/// The usual scene with post-login actions.
pub async fn acting(actions: &[Script<'_>]) -> Scene {
    Scene::with(|setup| with_actions(setup, "post-login", actions)).await
}

/// A scene whose application gets the whole profile.
pub async fn legacy(rules: &[Script<'_>]) -> Scene {
    let (idp, app) = (Idp::new("acme"), App::new("notes"));
    let setup = Setup::new().connection(&idp.toml("", "")).application(&app.toml("legacy_profile = true", ""));
    Scene::of(with_rules(setup, rules), idp, app).await
}

pub async fn jane(scene: &Scene) -> Tokens {
    scene.tokens(&Person::jane(), OFFLINE).await
}

/// A user as the command line shows it.
pub async fn stored(scene: &Scene, user_id: &str) -> Value {
    let output = command(scene, &["user", "show", user_id, "--json"]).await;
    assert_eq!(output.0, 0, "{}", output.1);
    serde_json::from_str(&output.1).expect("JSON")
}

/// A command line with the scene's configuration: exit status and standard output.
pub async fn command(scene: &Scene, arguments: &[&str]) -> (i32, String) {
    let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_isthmus"))
        .args(arguments)
        .args(["--config", "isthmus.toml"])
        .current_dir(scene.gateway.place())
        .env("TEST_SECRET", crate::harness::app::SECRET)
        .output()
        .await
        .expect("it runs");
    (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The runs of scripts that the newest login's trace has.
pub async fn runs(scene: &Scene) -> Vec<Value> {
    let (_, trace) = newest(scene).await;
    let entries = trace["entries"].as_array().expect("entries").clone();
    entries.into_iter().map(|entry| entry["event"].clone()).filter(|event| event["step"] == "script").collect()
}

/// The newest login on the list, and its trace.
pub async fn newest(scene: &Scene) -> (Value, Value) {
    let logins = scene.gateway.ask_operations("/traces", "application/json").await.json();
    let login = logins["logins"][0].clone();
    let trace = scene.gateway.trace(login["correlation_id"].as_str().expect("a login")).await;
    (login, trace)
}
