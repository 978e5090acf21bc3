//! Free data over whole logins: what applications see of them, and what only trusted ones do.

use super::{World, person};
use crate::harness::app::{App, Tokens, begin, userinfo};
use crate::harness::browser::Browser;
use crate::harness::gateway::{Gateway, Setup};
use crate::harness::idp::Idp;
use serde_json::{Value, json};

const TABLE: &str = r#"
direction = "from_profile"
extends = "oidc"
[[row]]
release = "plan"
from = ["app_metadata.plan"]
[[row]]
release = "hobby"
from = ["user_metadata.hobby"]
[[row]]
release = "iban"
from = ["custom_fields.iban"]
"#;

#[tokio::test]
async fn s3_3_metadata_reach_applications_by_their_tables_and_sealed_ones_the_trusted() {
    const IBAN: &str = "AT611904300234573201";
    let (idp, plain, trusted) = (Idp::new("acme"), App::new("notes"), App::new("bank"));
    let setup = Setup { top_tables: "[metadata]\nsealed = [\"custom_fields.iban\"]".to_owned(), ..Setup::new() }
        .file("mappings/free.toml", TABLE)
        .connection(&idp.toml("", ""))
        .application(&plain.toml("mapping = \"free\"", ""))
        .application(&trusted.toml("mapping = \"free\"\nreads_sealed = true", ""));
    let world = World { gateway: Gateway::start(setup).await, app: plain, idps: vec![idp] };
    world.user("acme", &person("jane", "jane@acme.example", true)).await;
    let patch = json!({"app_metadata": {"plan": "gold"}, "user_metadata": {"hobby": "chess"}, "custom_fields": {"iban": IBAN}});
    let (status, text) = world.command(&["user", "update", "samlp|acme|jane", "--patch", &patch.to_string()]).await;
    assert_eq!(status, 0, "{text}");
    let stored = std::fs::read(world.gateway.place().join("isthmus.db")).expect("the directory");
    let wal = std::fs::read(world.gateway.place().join("isthmus.db-wal")).unwrap_or_default();
    let at_rest = format!("{}{}", String::from_utf8_lossy(&stored), String::from_utf8_lossy(&wal));
    assert!(at_rest.contains("chess") && !at_rest.contains(IBAN));

    let browser = Browser::new();
    let mut answers = Vec::new();
    for app in [&world.app, &trusted] {
        let request = world.idp("acme").read(&begin(&browser, &app.authorize(&world.gateway, &[("prompt", "login")])).await);
        let landed = world.answer(&browser, "acme", &request, &person("jane", "jane@acme.example", true)).await;
        let code = app.code(&world.gateway, &landed.away());
        let page = app.redeem(&world.gateway, &code, &[]).await;
        let trace = world.trace(page.correlation_id()).await.to_string();
        assert!(!trace.contains(IBAN), "{trace}");
        let tokens = Tokens::of(&page);
        answers.push((tokens.claims(), userinfo(&world.gateway, tokens.access_token()).await.json()));
    }
    let [(plain_token, plain_info), (trusted_token, trusted_info)] = answers.as_slice() else { panic!("two answers") };
    for answer in [plain_token, plain_info, trusted_token, trusted_info] {
        assert_eq!((&answer["plan"], &answer["hobby"]), (&json!("gold"), &json!("chess")), "{answer}");
    }
    for (answer, expected) in [(plain_token, None), (plain_info, None), (trusted_token, Some(IBAN)), (trusted_info, Some(IBAN))] {
        assert_eq!(answer.get("iban").and_then(Value::as_str), expected, "{answer}");
    }
}
