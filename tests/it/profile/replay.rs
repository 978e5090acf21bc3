//! `isthmus mapping replay` beside a running gateway: a changed table is tried on logins that have happened.

use super::{World, in_groups, person};
use crate::harness::app::App;
use crate::harness::browser::Browser;
use crate::harness::gateway::{Gateway, Setup};
use crate::harness::idp::Idp;
use serde_json::{Value, json};

const CHANGED: &str = r#"
direction = "to_profile"
extends = "saml"
[[row]]
field = "email"
from = ["urn:oid:0.9.2342.19200300.100.1.3"]
transform = ["lowercase"]
[[row]]
field = "groups"
from = ["urn:oid:1.3.6.1.4.1.5923.1.5.1.1"]
require = true
"#;

async fn replay(world: &World, arguments: &[&str]) -> (i32, String) {
    let arguments: Vec<&str> = ["mapping", "replay", "--connection", "acme"].into_iter().chain(arguments.iter().copied()).collect();
    world.command(&arguments).await
}

#[tokio::test]
async fn a_changed_table_is_tried_on_the_last_logins() {
    let world = World::new(&[("acme", "")]).await;
    let jane = in_groups(person("jane", "Jane@Acme.example", true), &["staff"]);
    world.sign_in("acme", &jane).await;
    world.sign_in("acme", &person("joe", "joe@acme.example", true)).await;
    // Single sign-on says nothing new.
    let browser = Browser::new();
    world.redeem(world.come(&browser, "acme", &in_groups(person("max", "max@acme.example", true), &["staff"])).await).await;
    world.redeem(browser.open(world.app.authorize(&world.gateway, &[]).as_str()).await).await;

    assert_eq!(replay(&world, &[]).await, (0, "3 logins, 0 would be different, 0 of them refused.\n".to_owned()));
    std::fs::write(world.gateway.place().join("changed.toml"), CHANGED).expect("written");
    let (status, text) = replay(&world, &["--table", "changed.toml", "--application", "notes"]).await;
    assert_eq!(status, 1, "{text}");
    assert!(text.contains("email: \"Jane@Acme.example\" -> \"jane@acme.example\"") && text.contains("told to notes"), "{text}");
    assert!(text.contains("would be refused: `groups` is required"), "{text}");
    assert!(text.ends_with("3 logins, 2 would be different, 1 of them refused.\n"), "{text}");

    let (status, text) = replay(&world, &["--table", "changed.toml", "--json", "--last", "2"]).await;
    let report: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    assert_eq!((status, &report["logins"], &report["differ"], &report["unusable"]), (1, &json!(2), &json!(1), &json!([])));
    assert_eq!(report["differences"][0]["whole"], true);
}

#[tokio::test]
async fn a_table_that_was_edited_in_place_is_held_against_what_the_logins_did() {
    let app = App::new("notes");
    let idp = Idp::new("acme");
    let setup = Setup::new().file("mappings/own.toml", "direction = \"to_profile\"\nextends = \"saml\"\n");
    let setup = setup.connection(&idp.toml("mapping = \"own\"\nnon_persistent_attrs = [\"name\"]", "")).application(&app.toml("", ""));
    let world = World { gateway: Gateway::start(setup).await, app, idps: vec![idp] };
    world.sign_in("acme", &in_groups(person("jane", "Jane@Acme.example", true), &["staff"])).await;
    assert_eq!(replay(&world, &[]).await, (0, "1 logins, 0 would be different, 0 of them refused.\n".to_owned()));
    std::fs::write(world.gateway.place().join("mappings/own.toml"), CHANGED).expect("written");
    let (status, text) = replay(&world, &[]).await;
    assert!(status == 1 && text.contains("email: \"Jane@Acme.example\" -> \"jane@acme.example\""), "{text}");
    assert!(!text.contains(" name:"), "what is not kept cannot be compared: {text}");
}

#[tokio::test]
async fn what_cannot_be_found_out_is_said() {
    let world = World::new(&[("acme", "")]).await;
    for (arguments, expected) in [
        (&["--table", "nowhere.toml"][..], "nowhere.toml cannot be read"),
        (&["--application", "nobody"], "no application `nobody`"),
        (&["--gateway", "http://127.0.0.1:1"], "does not answer"),
        (&["--gateway", world.gateway.url("/").as_str()], "no list of logins"),
        (&["--release-table", "x.toml"], "--application"),
    ] {
        let (status, text) = replay(&world, arguments).await;
        assert!(status == 2 && text.contains(expected), "{arguments:?}: {status} {text}");
    }
    std::fs::write(world.gateway.place().join("broken.toml"), "direction = \"to_profile\"\n[[row]]\nfield = \"emial\"\n").expect("written");
    let (status, text) = replay(&world, &["--table", "broken.toml"]).await;
    assert!(status == 2 && text.contains("emial") && text.contains("broken.toml:3"), "{status} {text}");
}
