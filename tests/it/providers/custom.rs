//! Databases whose accounts an endpoint of the operator's keeps: the example of the documentation as a program of its own,
//! and one that answers wrongly.

use super::accounts::{World, fill};
use super::database::{PASSWORD, type_in};
use crate::api::Api;
use crate::harness::browser::Browser;
use crate::harness::process::Process;
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
    // Only the file names secrets of this machine.
    let stored = json!({ "name": "other", "strategy": "auth0", "isthmus": { "custom": { "endpoint": "https://10.0.0.5/", "secret": { "env": "HOME" } } } });
    let refused = api.post("/connections", &stored).await;
    assert!(refused.status == 400 && refused.body.contains("/isthmus/custom"), "{}", refused.body);
    // Delete: there and here.
    assert_eq!(api.delete(&path).await.status, 204);
    assert!(world.told("jane@acme.example", "a third horse battery").await.contains(WRONG));
    assert_eq!(api.read("/users").await, json!([]));
    let log = world.gateway.log();
    assert!(!log.contains("battery") && !log.contains(SECRET), "{log}");
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
