//! Metadata that live: fetched by the running gateway, rotated, broken, expired, moved; and whole federations.

mod chooser;
mod discovery;
mod many;
mod mirrors;
mod partners;
pub mod place;
mod unasked;
pub mod world;

use crate::api::{Api, good};
use crate::harness::app::App;
use crate::harness::eventually;
use crate::harness::gateway::{Gateway, Setup};
use crate::harness::idp::{Answer, Idp, Person};
use crate::harness::keys::Pair;
use crate::harness::scene::Scene;
use place::{Described, Place, bare, in_seconds};
use serde_json::json;
use std::process::Command;

const PATH: &str = "/metadata";

/// A connection by `metadata_url` that looks every second.
fn by_url(place: &Place, more: &str) -> String {
    let url = place.url(PATH);
    format!("name = \"acme\"\n[connection.saml]\nmetadata_url = \"{url}\"\nmetadata_refresh = 1\n{more}")
}

async fn scene(place: &Place, idp: Idp, more: &str) -> Scene {
    let app = App::new("notes");
    let setup = Setup::new().connection(&by_url(place, more)).application(&app.toml("", ""));
    let scene = Scene::of(setup, idp, app).await;
    loaded(&scene.gateway).await;
    scene
}

/// Waits until there are metadata in force.
async fn loaded(gateway: &Gateway) {
    eventually("metadata in force", async || {
        let report = sources(gateway).await;
        (!report[0]["entities"].is_null()).then_some(())
    })
    .await;
}

/// Waits until what is published now has been looked at.
async fn looked_at(gateway: &Gateway) {
    let (good, bad) = refreshes(gateway).await;
    eventually("two more looks", async || {
        let (now_good, now_bad) = refreshes(gateway).await;
        (now_good + now_bad >= good + bad + 2).then_some(())
    })
    .await;
}

async fn refreshes(gateway: &Gateway) -> (u64, u64) {
    let of = |outcome: &str| format!("isthmus_metadata_refreshes_total{{connection=\"acme\",outcome=\"{outcome}\"}}");
    (gateway.metric(&of("success")).await, gateway.metric(&of("failure")).await)
}

async fn sources(gateway: &Gateway) -> serde_json::Value {
    gateway.ask_operations("/metadata", "application/json").await.json()
}

pub fn command(gateway: &Gateway, arguments: &[&str]) -> (bool, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_isthmus"));
    command.arg("metadata").args(arguments).current_dir(gateway.place()).env("TEST_SECRET", crate::harness::app::SECRET);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.success(), said)
}

fn audited(gateway: &Gateway) -> String {
    rows(gateway, "SELECT kind || ' ' || detail FROM audit ORDER BY id")
}

/// What the directory has: the first column of every row, one a line.
pub fn rows(gateway: &Gateway, sql: &str) -> String {
    let script = format!(
        "import sqlite3
for row in sqlite3.connect('isthmus.db').execute(\"{sql}\"): print(row[0])"
    );
    let output = Command::new("python3").args(["-c", &script]).current_dir(gateway.place()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

async fn signs_in(scene: &Scene, answer: &Answer) {
    scene.app.code(&scene.gateway, &scene.answer(answer).await.away());
}

#[tokio::test]
async fn a_certificate_rotates_by_metadata_without_a_restart_and_without_a_failed_login() {
    let place = Place::new().await;
    let next = Idp::signing_with("acme", Pair::rsa("next"));
    let idp = Idp::new("acme");
    let with = |certificates: Vec<String>| Described { certificates, ..Described::of(&next) }.xml("");
    let (old, new) = (bare(&idp.certificate_pem()), bare(&next.certificate_pem()));
    place.publish(PATH, &with(vec![old.clone()]));
    let scene = scene(&place, idp, "").await;
    let jane = || Person::jane();
    signs_in(&scene, &scene.idp.respond(&scene.ask(&[("prompt", "login")]).await, &jane())).await;
    looked_at(&scene.gateway).await;
    assert!(place.not_modified() > 0, "what has not changed is not sent again");

    // Both are published before the new one signs, as every rotation goes; a login is under way meanwhile.
    let under_way = scene.ask(&[("prompt", "login")]).await;
    place.publish(PATH, &with(vec![old, new.clone()]));
    looked_at(&scene.gateway).await;
    signs_in(&scene, &scene.idp.respond(&under_way, &jane())).await;
    signs_in(&scene, &next.respond(&scene.ask(&[("prompt", "login")]).await, &jane())).await;
    signs_in(&scene, &scene.idp.respond(&scene.ask(&[("prompt", "login")]).await, &jane())).await;

    // And the old one goes, while a login that the new one signs is under way.
    let under_way = scene.ask(&[("prompt", "login")]).await;
    place.publish(PATH, &with(vec![new]));
    looked_at(&scene.gateway).await;
    signs_in(&scene, &next.respond(&under_way, &jane())).await;
    let refused = scene.idp.respond(&scene.ask(&[("prompt", "login")]).await, &jane());
    let (error, _) = scene.app.error(&scene.gateway, &scene.answer(&refused).await.away());
    assert_eq!(error, "server_error", "a key that is not published any more signs nothing");
    scene.gateway.wait_for_log("+ certificate").await;
    let audit = audited(&scene.gateway);
    assert!(audit.contains("metadata.changed") && audit.contains("+ certificate") && audit.contains("- certificate"), "{audit}");
}

#[tokio::test]
async fn a_bad_refresh_keeps_the_good_copy_and_is_told_and_a_restart_while_the_partner_is_down_works() {
    let (place, idp) = (Place::new().await, Idp::new("acme"));
    place.publish(PATH, &Described::of(&idp).xml(""));
    let mut scene = scene(&place, idp, "").await;
    for bad in ["<html>Maintenance</html>", "", "<md:EntityDescriptor"] {
        place.publish(PATH, bad);
        looked_at(&scene.gateway).await;
        signs_in(&scene, &scene.idp.respond(&scene.ask(&[("prompt", "login")]).await, &Person::jane())).await;
    }
    place.break_down(PATH, 503);
    looked_at(&scene.gateway).await;
    signs_in(&scene, &scene.idp.respond(&scene.ask(&[("prompt", "login")]).await, &Person::jane())).await;
    assert!(refreshes(&scene.gateway).await.1 >= 4, "counted");
    scene.gateway.wait_for_log("status 503").await;
    let (good, shown) = command(&scene.gateway, &["show", "--connection", "acme"]);
    assert!(good && shown.contains("in force: 1 entities") && shown.contains("FAILED") && shown.contains("status 503"), "{shown}");

    scene.gateway.stop();
    let (good, shown) = command(&scene.gateway, &["show"]);
    assert!(good && shown.contains("No gateway answers") && shown.contains("in force: 1 entities"), "{shown}");
    scene.gateway.start_again(|_| {}).await;
    signs_in(&scene, &scene.idp.respond(&scene.ask(&[("prompt", "login")]).await, &Person::jane())).await;
}

#[tokio::test]
async fn a_copy_is_dropped_when_its_valid_until_has_come() {
    let (place, idp) = (Place::new().await, Idp::new("acme"));
    place.publish(PATH, &Described::of(&idp).xml(&format!("validUntil=\"{}\"", in_seconds(8))));
    let scene = scene(&place, idp, "").await;
    place.break_down(PATH, 500);
    let request = scene.ask(&[("prompt", "login")]).await;
    scene.gateway.wait_for_log("is used no more").await;
    let (error, description) = scene.app.error(&scene.gateway, &scene.answer(&scene.idp.respond(&request, &Person::jane())).await.away());
    assert_eq!(error, "server_error", "{description}");
    let departure = scene.browser.open(scene.app.authorize(&scene.gateway, &[("prompt", "login")]).as_str()).await.away();
    let (_, description) = scene.app.error(&scene.gateway, &departure);
    assert!(description.contains("metadata of the identity provider are not available"), "{description}");
    assert!(audited(&scene.gateway).contains("metadata.expired"));
    // With a fresh document everything is as before.
    place.publish(PATH, &Described::of(&scene.idp).xml(""));
    loaded(&scene.gateway).await;
    signs_in(&scene, &scene.idp.respond(&scene.ask(&[("prompt", "login")]).await, &Person::jane())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_host_waits_until_an_operator_approves_and_a_new_node_waits_too() {
    let (place, idp) = (Place::new().await, Idp::new("acme"));
    place.publish(PATH, &Described::of(&idp).xml(""));
    let mut scene = scene(&place, idp, "").await;
    // The host that is known is written down for others.
    eventually("the endpoints in the directory", async || {
        let found = rows(&scene.gateway, "SELECT body FROM objects WHERE kind = 'metadata_approval'");
        found.contains("https://idp.acme.example/sso").then_some(())
    })
    .await;
    let moved = Idp::new("acme").at("https://elsewhere.example/sso");
    let elsewhere =
        Described { certificates: vec![bare(&scene.idp.certificate_pem()), bare(&moved.certificate_pem())], ..Described::of(&moved) };
    place.publish(PATH, &elsewhere.xml(""));
    scene.gateway.wait_for_log("waits for approval").await;
    // `read` sees that the request goes to the old address; the new certificate counts already.
    signs_in(&scene, &scene.idp.respond(&scene.ask(&[("prompt", "login")]).await, &Person::jane())).await;
    let request = scene.ask(&[("prompt", "login")]).await;
    signs_in(&scene, &moved.respond(&request, &Person::jane())).await;

    // A node that has never seen the old metadata knows from the directory what is approved.
    scene.gateway.stop();
    std::fs::remove_dir_all(scene.gateway.place().join("data")).unwrap();
    scene.gateway.start_again(|_| {}).await;
    loaded(&scene.gateway).await;
    signs_in(&scene, &scene.idp.respond(&scene.ask(&[("prompt", "login")]).await, &Person::jane())).await;

    let (good, shown) = command(&scene.gateway, &["show"]);
    assert!(
        good && shown.contains("WAITS") && shown.contains("+ SingleSignOnService HTTP-Redirect https://elsewhere.example/sso"),
        "{shown}"
    );
    let (good, said) = command(&scene.gateway, &["approve", "--connection", "acme", "--key", "0123"]);
    assert!(!good && said.contains("no such change"), "{said}");
    let (good, said) = command(&scene.gateway, &["fetch", "--connection", "acme"]);
    assert!(good && said.contains("waits for approval"), "{said}");
    let (good, said) = command(&scene.gateway, &["approve", "--connection", "acme"]);
    assert!(good && said.contains("approved for acme"), "{said}");
    scene.gateway.wait_for_log("acme.example/metadata approved").await;
    let departure = crate::harness::app::begin(&scene.browser, &scene.app.authorize(&scene.gateway, &[("prompt", "login")])).await;
    signs_in(&scene, &moved.respond(&moved.read(&departure), &Person::jane())).await;
    let audit = audited(&scene.gateway);
    assert!(audit.contains("metadata.held") && audit.contains("metadata.approval ") && audit.contains("metadata.approved"), "{audit}");
}

#[tokio::test]
async fn another_entity_waits_as_a_whole_until_it_is_approved() {
    let (place, idp) = (Place::new().await, Idp::new("acme"));
    place.publish(PATH, &Described::of(&idp).xml(""));
    let scene = scene(&place, idp, "").await;
    let other = Idp::new("globex");
    place.publish(PATH, &Described { sso_url: &scene.idp.sso_url, ..Described::of(&other) }.xml(""));
    scene.gateway.wait_for_log("waits for approval").await;
    signs_in(&scene, &scene.idp.respond(&scene.ask(&[("prompt", "login")]).await, &Person::jane())).await;
    let (good, said) = command(&scene.gateway, &["approve", "--connection", "acme"]);
    assert!(good && said.contains("entityID https://idp.acme.example/metadata is now https://idp.globex.example/metadata"), "{said}");
    scene.gateway.wait_for_log("globex.example/metadata approved").await;
    let request = scene.ask(&[("prompt", "login")]).await;
    signs_in(&scene, &other.respond(&request, &Person::jane())).await;
    let refused = scene.idp.respond(&scene.ask(&[("prompt", "login")]).await, &Person::jane());
    scene.app.error(&scene.gateway, &scene.answer(&refused).await.away());
}

#[tokio::test]
async fn a_connection_of_the_management_api_follows_its_metadata_url() {
    let (place, idp, app) = (Place::new().await, Idp::new("acme"), App::new("notes"));
    place.publish(PATH, &Described::of(&idp).xml(""));
    let scene = Scene::of(Setup::new().application(&app.toml("", "")), idp, app).await;
    let api = Api::of(&scene.gateway).await;
    let body = json!({
        "name": "acme", "strategy": "samlp", "enabled_clients": ["notes"],
        "options": {"metadataUrl": place.url(PATH)}, "isthmus": {"metadata_refresh": 1},
    });
    let made = api.make("/connections", &body).await;
    assert_eq!(made["options"]["metadataUrl"], place.url(PATH));
    eventually("metadata in force", async || sources(&scene.gateway).await[0]["entities"].is_number().then_some(())).await;
    signs_in(&scene, &scene.idp.respond(&scene.ask(&[("prompt", "login")]).await, &Person::jane())).await;
    // Other things about the connection change, and what is known of the identity provider stays.
    place.break_down(PATH, 503);
    let id = made["id"].as_str().unwrap();
    good(&api.patch(&format!("/connections/{id}"), &json!({"display_name": "Acme"})).await, 200);
    signs_in(&scene, &scene.idp.respond(&scene.ask(&[("prompt", "login")]).await, &Person::jane())).await;
    // A connection that is gone asks nobody any more.
    api.delete(&format!("/connections/{id}")).await;
    eventually("no source", async || sources(&scene.gateway).await.as_array().unwrap().is_empty().then_some(())).await;
}

#[tokio::test]
async fn machines_of_our_own_are_asked_in_development_only() {
    let (place, idp) = (Place::new().await, Idp::new("acme"));
    place.publish(PATH, &Described::of(&idp).xml(""));
    let app = App::new("notes");
    let setup = Setup { top: "development = false".to_owned(), ..Setup::new() };
    let scene = Scene::of(setup.connection(&by_url(&place, "")).application(&app.toml("", "")), idp, app).await;
    scene.gateway.wait_for_log("not on the public Internet").await;
    assert_eq!(place.asked(), Vec::<String>::new());
}

#[tokio::test]
async fn the_signature_of_the_metadata_is_verified_where_a_certificate_is_pinned() {
    let (place, idp) = (Place::new().await, Idp::new("acme"));
    let (registrar, other) = (place::Registrar::new(), place::Registrar::new());
    place.publish(PATH, &registrar.alone(&in_seconds(3600), &Described::of(&idp)));
    let app = App::new("notes");
    let setup = Setup::new().file("registrar.crt", &registrar.0.certificate_pem()).application(&app.toml("", ""));
    let scene = Scene::of(setup.connection(&by_url(&place, "metadata_certificates = [\"registrar.crt\"]")), idp, app).await;
    loaded(&scene.gateway).await;
    signs_in(&scene, &scene.idp.respond(&scene.ask(&[("prompt", "login")]).await, &Person::jane())).await;
    let mine = Idp::new("acme");
    for forged in [Described::of(&mine).xml(""), other.alone(&in_seconds(3600), &Described::of(&mine))] {
        place.publish(PATH, &forged);
        looked_at(&scene.gateway).await;
        assert!(sources(&scene.gateway).await[0]["failure"]["reason"].is_string());
        signs_in(&scene, &scene.idp.respond(&scene.ask(&[("prompt", "login")]).await, &Person::jane())).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_is_looked_at_before_anything_is_configured() {
    let (place, idp) = (Place::new().await, Idp::new("acme"));
    place.publish(PATH, &Described::of(&idp).xml(""));
    let url = place.url(PATH);
    let fetch = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_isthmus")).args(["metadata", "fetch", &url]).args(arguments).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr))
    };
    let (code, said) = tokio::task::block_in_place(|| fetch(&[]));
    assert!(code != Some(0) && said.contains("not on the public Internet"), "{said}");
    let (code, said) = tokio::task::block_in_place(|| fetch(&["--private"]));
    assert!(code == Some(0) && said.contains(&idp.entity_id) && said.contains("SingleSignOnService HTTP-Redirect"), "{said}");
    assert!(said.contains("no signature was verified"), "{said}");
}
