//! Databases whose accounts an endpoint of the operator's keeps: the example of the documentation as a program of its own,
//! and one that answers wrongly.

use super::accounts::{World, fill};
use super::database::{PASSWORD, type_in};
use crate::api::{Api, good, refused};
use crate::federation::rows;
use crate::harness::app::App;
use crate::harness::browser::Browser;
use crate::harness::gateway::{Gateway, Setup};
use crate::harness::process::Process;
use crate::harness::smtp::Smtp;
use crate::harness::web::{Reply, Site};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

const SECRET: &str = "a secret of tests, with octets enough";
const WRONG: &str = "The user name or the password is wrong";

/// The example of the documentation.
struct Example {
    _process: Process,
    url: String,
}

impl Example {
    fn start(secret: &str) -> Self {
        let program = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/examples/accounts.py");
        let mut command = Command::new("python3");
        let mut process = Process::start(command.arg(program).env("ACCOUNTS_SECRET", secret).stdout(Stdio::piped()), "python3");
        let mut port = String::new();
        BufReader::new(process.child().stdout.take().unwrap()).read_line(&mut port).unwrap();
        Self { _process: process, url: format!("http://127.0.0.1:{}/", port.trim()) }
    }
}

pub fn custom(url: &str) -> String {
    format!("sign_up = true\n[connection.database.custom]\nendpoint = \"{url}\"\nsecret = \"{SECRET}\"\n")
}

#[tokio::test]
async fn s4_18_the_five_operations_are_the_endpoints() {
    let example = Example::start(SECRET);
    let world = World::new(&custom(&example.url)).await;
    let browser = Browser::new();
    // Create.
    let page = world.page(&browser).await;
    let form = world.follow(&browser, &page, "/login/sign-up").await;
    let sent = fill(&browser, &form, &[("email", "Jane@acme.example"), ("password", PASSWORD)]).await;
    assert!(sent.contains("Look into your mailbox"), "{}", sent.body);
    // Login: wrong, and right, with what the endpoint writes into app_metadata.
    assert!(world.told("jane@acme.example", "wrong").await.contains(WRONG));
    assert!(world.told("joe@acme.example", PASSWORD).await.contains(WRONG));
    let claims = world.sign_in("jane@acme.example", PASSWORD).await;
    let user_id = claims["sub"].as_str().unwrap().to_owned();
    assert!(user_id.starts_with("custom|people|"), "{claims}");
    assert_eq!((&claims["email"], &claims["email_verified"]), (&json!("Jane@acme.example"), &json!(false)));
    let api = Api::of(&world.gateway).await;
    let path = format!("/users/{}", user_id.replace('|', "%7C"));
    assert_eq!(api.read(&path).await["app_metadata"], json!({ "plan": "free" }));
    // Verify, by the link of the mail.
    let mail = world.smtp.wait_for("jane@acme.example", 1).await;
    let confirm = browser.open(&mail.link()).await.here();
    assert!(fill(&browser, &confirm, &[]).await.contains("Your address is confirmed"));
    assert_eq!(world.sign_in("jane@acme.example", PASSWORD).await["email_verified"], json!(true));
    // Change Password, by a link and by an operator.
    assert_eq!(
        world
            .post("/dbconnections/change_password", &json!({ "client_id": "notes", "connection": "people", "email": "jane@acme.example" }))
            .await
            .status,
        200
    );
    let mail = world.smtp.wait_for("jane@acme.example", 2).await;
    let choose = browser.open(&mail.link()).await.here();
    let done = fill(&browser, &choose, &[("password", "another horse battery")]).await;
    assert!(done.contains("Your password is changed"), "{}", done.body);
    assert!(world.told("jane@acme.example", PASSWORD).await.contains(WRONG));
    assert_eq!(world.sign_in("jane@acme.example", "another horse battery").await["sub"], user_id.as_str());
    assert_eq!(api.patch(&path, &json!({ "password": "a third horse battery" })).await.status, 200);
    assert_eq!(world.sign_in("jane@acme.example", "a third horse battery").await["sub"], user_id.as_str());
    // Delete: there and here.
    assert_eq!(api.delete(&path).await.status, 204);
    assert!(world.told("jane@acme.example", "a third horse battery").await.contains(WRONG));
    assert_eq!(api.read("/users").await, json!([]));
    let log = world.gateway.log();
    assert!(!log.contains("battery") && !log.contains(SECRET), "{log}");
}

/// A gateway without connections, and an application.
async fn world(top: &str) -> World {
    let (smtp, app) = (Smtp::start(), App::new("notes"));
    let setup = Setup { top_tables: smtp.toml(), top: top.to_owned(), ..Setup::new() };
    World { gateway: Gateway::start(setup.application(&app.toml("", ""))).await, smtp, app }
}

/// The connection `people` as the management API makes it.
fn stored(options: &Value, custom: &Value) -> Value {
    json!({ "name": "people", "strategy": "custom", "enabled_clients": ["notes"], "options": options, "isthmus": { "custom": custom } })
}

#[tokio::test]
async fn s4_18_the_management_api_names_an_endpoint_too() {
    const NEXT: &str = "the next secret, with octets enough too";
    let example = Example::start(SECRET);
    let world = world("").await;
    let api = Api::of(&world.gateway).await;
    let body = stored(&json!({ "passwordPolicy": "good" }), &json!({ "endpoint": example.url, "secret": SECRET }));
    let page = api.post("/connections", &body).await;
    let made = good(&page, 201);
    let connection = format!("/connections/{}", made["id"].as_str().unwrap());
    assert_eq!((&made["strategy"], &made["isthmus"]["custom"]), (&json!("custom"), &json!({ "endpoint": example.url })));
    // The five operations.
    let browser = Browser::new();
    let form = world.follow(&browser, &world.page(&browser).await, "/login/sign-up").await;
    let weak = fill(&browser, &form, &[("email", "jane@acme.example"), ("password", PASSWORD)]).await;
    assert!(weak.contains("id=\"problem\""), "passwords have rules: {}", weak.body);
    let sent = fill(&browser, &form, &[("email", "jane@acme.example"), ("password", "Correct horse 7")]).await;
    assert!(sent.contains("Look into your mailbox"), "{}", sent.body);
    let claims = world.sign_in("jane@acme.example", "Correct horse 7").await;
    let user_id = claims["sub"].as_str().unwrap().to_owned();
    assert!(user_id.starts_with("custom|people|") && claims["email_verified"] == json!(false), "{claims}");
    let confirm = browser.open(&world.smtp.wait_for("jane@acme.example", 1).await.link()).await.here();
    assert!(fill(&browser, &confirm, &[]).await.contains("Your address is confirmed"));
    let path = format!("/users/{}", user_id.replace('|', "%7C"));
    assert_eq!(api.patch(&path, &json!({ "password": "Another horse 8" })).await.status, 200);
    assert!(world.told("jane@acme.example", "Correct horse 7").await.contains(WRONG));
    assert_eq!(world.sign_in("jane@acme.example", "Another horse 8").await["email_verified"], json!(true));
    // Another secret, while the endpoint changes over; and the one before no more.
    let both = json!({ "isthmus": { "custom": { "secret": NEXT, "previous_secret": SECRET } } });
    let changed = api.patch(&connection, &both).await;
    assert_eq!(good(&changed, 200)["isthmus"]["custom"], json!({ "endpoint": example.url }));
    world.sign_in("jane@acme.example", "Another horse 8").await;
    // Neither goes elsewhere by who does not know it.
    let elsewhere = json!({ "isthmus": { "custom": { "endpoint": "https://users.evil.example/" } } });
    let kept = ["/isthmus/custom/secret", "/isthmus/custom/previous_secret"];
    assert_eq!(refused(&api.patch(&connection, &elsewhere).await, 400, "invalid_body"), kept);
    let one = json!({ "isthmus": { "custom": { "endpoint": "https://users.evil.example/", "secret": NEXT } } });
    assert_eq!(refused(&api.patch(&connection, &one).await, 400, "invalid_body"), kept[1..]);
    world.sign_in("jane@acme.example", "Another horse 8").await;
    good(&api.patch(&connection, &json!({ "isthmus": { "custom": { "previous_secret": null } } })).await, 200);
    let said = world.told("jane@acme.example", "Another horse 8").await;
    assert!(said.contains("does not answer"), "the example does not know the next one: {said}");
    good(&api.patch(&connection, &json!({ "isthmus": { "custom": { "secret": SECRET } } })).await, 200);
    assert_eq!(api.delete(&path).await.status, 204);
    assert!(world.told("jane@acme.example", "Another horse 8").await.contains(WRONG));
    let log = api.get("/logs").await;
    let (read, list) = (api.get(&connection).await, api.get("/connections").await);
    let kept = rows(&world.gateway, "SELECT body FROM objects") + &rows(&world.gateway, "SELECT detail FROM audit") + &world.gateway.log();
    for text in [&page.body, &changed.body, &read.body, &list.body, &log.body, &kept] {
        assert!(!text.contains(SECRET) && !text.contains(NEXT), "{text}");
    }
    assert!(!read.contains("$sealed") && !list.contains("$sealed"), "{}", read.body);
}

#[tokio::test]
async fn what_is_wrong_with_an_endpoint_of_the_management_api_is_named_in_the_callers_words() {
    let world = world("").await;
    let api = Api::of(&world.gateway).await;
    let good_one = json!({ "endpoint": "https://users.acme.example/", "secret": SECRET });
    let with = |changes: Value| {
        let mut all = good_one.clone();
        all.as_object_mut().unwrap().extend(changes.as_object().cloned().unwrap());
        all
    };
    for (options, custom, pointer) in [
        (json!({}), json!(null), "/isthmus/custom"),
        (json!({}), json!({ "secret": SECRET }), "/isthmus/custom/endpoint"),
        (json!({}), with(json!({ "endpoint": "http://users.acme.example/" })), "/isthmus/custom/endpoint"),
        (json!({}), json!({ "endpoint": "https://users.acme.example/" }), "/isthmus/custom/secret"),
        (json!({}), with(json!({ "secret": "short" })), "/isthmus/custom/secret"),
        (json!({}), with(json!({ "secret": { "env": "PATH" } })), "/isthmus/custom/secret"),
        (json!({}), with(json!({ "secret": { "file": "isthmus.toml" } })), "/isthmus/custom/secret"),
        (json!({}), with(json!({ "previous_secret": { "env": "PATH" } })), "/isthmus/custom/previous_secret"),
        (json!({}), with(json!({ "private_network": true })), "/isthmus/custom/private_network"),
        (json!({}), with(json!({ "timeout": 3 })), "/isthmus/custom/timeout"),
        (json!({ "customScripts": { "login": "function login() {}" } }), good_one.clone(), "/options/customScripts"),
        (json!({ "set_user_root_attributes": "sometimes" }), good_one.clone(), "/options/set_user_root_attributes"),
    ] {
        let pointers = refused(&api.post("/connections", &stored(&options, &custom)).await, 400, "invalid_body");
        assert_eq!(pointers, [pointer], "{options} {custom}");
    }
    // Where the gateway keeps the accounts there is no endpoint, and nobody becomes somebody else by a change.
    let mut here = stored(&json!({}), &good_one);
    here["strategy"] = json!("auth0");
    assert_eq!(refused(&api.post("/connections", &here).await, 400, "invalid_body"), ["/isthmus/custom"]);
    let scripts = json!({ "name": "here", "strategy": "auth0", "options": { "enabledDatabaseCustomization": true } });
    let answer = api.post("/connections", &scripts).await;
    assert_eq!(refused(&answer, 400, "invalid_body"), ["/options/enabledDatabaseCustomization"]);
    assert!(answer.contains("strategy `custom`"), "{}", answer.body);
}

#[tokio::test]
async fn an_endpoint_of_the_management_api_is_on_the_public_internet() {
    let world = world("development = false").await;
    let api = Api::of(&world.gateway).await;
    let site = Site::answering(0, |_| Reply::status(200)).await;
    let here = format!("http://127.0.0.1:{}/", site.port);
    let body = stored(&json!({}), &json!({ "endpoint": here, "secret": SECRET }));
    assert_eq!(refused(&api.post("/connections", &body).await, 400, "invalid_body"), ["/isthmus/custom/endpoint"]);
    let body = stored(&json!({}), &json!({ "endpoint": format!("https://127.0.0.1:{}/", site.port), "secret": SECRET }));
    api.make("/connections", &body).await;
    let said = world.told("jane@acme.example", PASSWORD).await;
    assert!(said.contains("does not answer"), "{said}");
    let log = world.gateway.log();
    assert!(log.contains("not on the public Internet") && site.seen().is_empty(), "{log}");
}

#[tokio::test]
async fn an_endpoint_that_does_not_believe_the_signature_makes_nobodys_password_wrong() {
    let example = Example::start("another secret, that nobody else knows");
    let world = World::new(&custom(&example.url)).await;
    let said = world.told("jane@acme.example", PASSWORD).await;
    assert!(!said.contains(WRONG) && said.contains("does not answer"), "{said}");
    assert!(world.gateway.log().contains("answered with status 403"), "{}", world.gateway.log());
}

/// An endpoint that says the same to everything.
pub async fn saying(reply: &Arc<Mutex<Reply>>) -> Site {
    let reply = Arc::clone(reply);
    Site::answering(0, move |_| reply.lock().unwrap().clone()).await
}

pub fn json_reply(status: u16, body: &Value) -> Reply {
    Reply { status, content_type: "application/json", location: None, body: body.to_string() }
}

#[tokio::test]
async fn s1_9_who_is_told_without_a_user_id_is_nobody_and_with_another_one_somebody_else() {
    let reply = Arc::new(Mutex::new(json_reply(200, &json!({ "email": "jane@acme.example" }))));
    let site = saying(&reply).await;
    let world = World::new(&custom(&format!("http://127.0.0.1:{}/", site.port))).await;
    let browser = Browser::new();
    let page = world.page(&browser).await;
    let answer = type_in(&browser, &page, "jane@acme.example", PASSWORD).await.away();
    assert_eq!(world.app.error(&world.gateway, &answer).0, "server_error");
    let trace = world.gateway.trace(page.correlation_id()).await.to_string();
    assert!(trace.contains("user_id") && trace.contains("database-account") && !trace.contains("battery"), "{trace}");
    let mut people = Vec::new();
    for user_id in ["1", "2", "1"] {
        *reply.lock().unwrap() =
            json_reply(200, &json!({ "user_id": user_id, "email": "jane@acme.example", "app_metadata": { "n": user_id } }));
        people.push(world.sign_in("jane@acme.example", PASSWORD).await["sub"].as_str().unwrap().to_owned());
    }
    assert_eq!(people, ["custom|people|1", "custom|people|2", "custom|people|1"]);
    // What is asked is signed, and says no more than it must.
    let asked = site.seen().pop().unwrap();
    let question: Value = serde_json::from_str(&asked.body).unwrap();
    assert_eq!(question, json!({ "operation": "login", "connection": "people", "username": "jane@acme.example", "password": PASSWORD }));
    assert!(asked.header("webhook-signature").is_some_and(|value| value.starts_with("v1,")));
    // The user of an endpoint that does not answer stays.
    *reply.lock().unwrap() = Reply::status(500);
    let api = Api::of(&world.gateway).await;
    assert_eq!(api.delete("/users/custom%7Cpeople%7C1").await.status, 502);
    assert_eq!(api.read("/users/custom%7Cpeople%7C1").await["user_id"], "custom|people|1");
}
