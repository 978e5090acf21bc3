//! Auth0's own libraries, with nothing changed but the domain: users, linking, sessions, jobs, the log.

use super::super::Api;
use super::people;
use crate::harness::app::{App, Tokens, begin};
use crate::harness::browser::Browser;
use crate::harness::eventually;
use crate::harness::gateway::{Gateway, Setup};
use crate::harness::idp::Idp;
use crate::harness::keys::Pair;
use crate::harness::peers::{Peer, auth0_of_npm, auth0_of_python};
use crate::profile::person;
use serde_json::{Value, json};

const JANE: &str = "samlp|acme|jane";

/// A gateway with TLS, somebody who has signed in at each of two connections, and a connection of its own.
async fn scene() -> (Gateway, Vec<Tokens>, [Idp; 2]) {
    let (pair, app) = (Pair::rsa("localhost"), App::new("notes"));
    let (acme, globex) = (Idp::new("acme"), Idp::new("globex"));
    let setup = Setup { host: "localhost", ..Setup::new().secure(&pair) };
    let setup = setup.connection(&acme.toml("", "")).connection(&globex.toml("", "")).application(&app.toml("", ""));
    let gateway = Gateway::start(setup).await;
    let mut all = Vec::new();
    for (idp, name) in [(&acme, "jane"), (&globex, "j.doe")] {
        let browser = Browser::trusting(&pair.certificate_pem());
        let asked = app.authorize(&gateway, &[("connection", &idp.name), ("scope", "openid profile offline_access")]);
        let request = idp.read(&begin(&browser, &asked).await);
        let answer = idp.respond(&request, &person(name, &format!("{name}@acme.example"), true));
        let code = app.code(&gateway, &browser.post(&answer.from, &answer.to, &answer.fields()).await.away());
        all.push(Tokens::of(&app.redeem(&gateway, &code, &[]).await));
    }
    (gateway, all, [acme, globex])
}

fn users() -> Value {
    json!([{"email": "one@example.org", "user_id": "one"}, {"email": "two@example.org", "user_id": "two"}])
}

/// Asks until an answer is as wanted.
async fn until(peer: &mut Peer, command: &Value, wanted: impl Fn(&Value) -> bool) -> Value {
    let peer = std::sync::Mutex::new(peer);
    eventually(&command.to_string(), async || {
        let answer = peer.lock().unwrap().ask(command)["result"].clone();
        wanted(&answer).then_some(answer)
    })
    .await
}

#[tokio::test]
async fn npm_auth0_manages_users_links_sessions_jobs_and_the_log() {
    let (gateway, tokens, _idps) = scene().await;
    let api = Api::of(&gateway).await;
    let connection = people(&api).await["id"].clone();
    let mut peer = auth0_of_npm(&gateway, &api.client_id, &api.client_secret);
    let file = gateway.place().join("users.json");
    std::fs::write(&file, users().to_string()).unwrap();
    let mut call = |name: &str, arguments: Value| peer.ask(&json!({"call": name, "arguments": arguments}))["result"].clone();
    let made = call(
        "users.create",
        json!([{"connection": "people", "email": "ann@example.org", "password": "correct horse", "user_metadata": {"a": 1}}]),
    );
    let ann = made["user_id"].clone();
    assert_eq!(call("users.get", json!([ann]))["email"], "ann@example.org");
    assert_eq!(call("users.update", json!([ann, {"user_metadata": {"b": 2}, "name": "Ann"}]))["user_metadata"], json!({"a": 1, "b": 2}));
    assert_eq!(call("users.list", json!([{"per_page": 2, "sort": "email:1"}])).as_array().map(Vec::len), Some(3));
    assert_eq!(call("users.list", json!([{"q": "email:\"ann@example.org\"", "search_engine": "v3"}]))[0]["user_id"], ann);
    assert_eq!(call("users.listUsersByEmail", json!([{"email": "ANN@example.org"}]))[0]["user_id"], ann);
    for empty in ["users.roles.list", "users.permissions.list", "users.organizations.list", "users.enrollments.get"] {
        assert_eq!(call(empty, json!([ann])), json!([]), "{empty}");
    }
    let session = call("users.sessions.list", json!([JANE]))[0].clone();
    assert_eq!(session["id"], tokens[0].claims()["sid"]);
    assert_eq!(call("sessions.get", json!([session["id"]]))["user_id"], JANE);
    let refresh = call("users.refreshToken.list", json!([JANE]))[0].clone();
    assert_eq!(call("refreshTokens.get", json!([refresh["id"]]))["session_id"], session["id"]);
    assert_eq!(call("refreshTokens.list", json!([{"user_id": JANE}]))[0]["id"], refresh["id"]);
    assert_eq!(call("userGrants.list", json!([{"user_id": JANE}]))[0]["clientID"], "notes");
    call("userGrants.deleteByUserId", json!([{"user_id": JANE}]));
    let other = call("users.refreshToken.list", json!(["samlp|globex|j.doe"]));
    call("refreshTokens.delete", json!([other[0]["id"]]));
    call("sessions.delete", json!([session["id"]]));
    call("users.sessions.delete", json!([JANE]));
    call("users.refreshToken.delete", json!([JANE]));
    call("users.revokeAccess", json!([JANE, {}]));
    let linked = call("users.identities.link", json!([JANE, {"provider": "samlp", "user_id": "globex|j.doe"}]));
    assert_eq!((linked.as_array().map(Vec::len), &linked[1]["connection"]), (Some(2), &json!("globex")));
    assert_eq!(call("users.identities.delete", json!([JANE, "samlp", "j.doe"])).as_array().map(Vec::len), Some(1));
    let job = call(
        "jobs.usersImports.create",
        json!([{"users": {"path": file, "filename": "users.json"}, "connection_id": connection, "upsert": false}]),
    );
    let get = json!({"call": "jobs.get", "arguments": [job["id"]]});
    let ended = until(&mut peer, &get, |job| job["status"] == "completed").await;
    assert_eq!(ended["summary"]["inserted"], 2);
    let mut call = |name: &str, arguments: Value| peer.ask(&json!({"call": name, "arguments": arguments}))["result"].clone();
    assert_eq!(call("jobs.errors.get", json!([job["id"]])), json!([]));
    let job = call("jobs.usersExports.create", json!([{"format": "json", "fields": [{"name": "email"}]}]));
    let get = json!({"call": "jobs.get", "arguments": [job["id"]]});
    assert!(until(&mut peer, &get, |job| job["status"] == "completed").await["location"].is_string());
    let logs = json!({"call": "logs.list", "arguments": [{"search": "type:s", "per_page": 10}]});
    let login = until(&mut peer, &logs, |events| events.as_array().is_some_and(|events| events.len() == 2)).await[0].clone();
    let mut call = |name: &str, arguments: Value| peer.ask(&json!({"call": name, "arguments": arguments}))["result"].clone();
    assert_eq!(call("logs.get", json!([login["log_id"]]))["user_id"], login["user_id"]);
    assert_ne!(call("users.logs.list", json!([JANE])), json!([]));
    assert_eq!(call("stats.getDaily", json!([{}]))[0]["logins"], 2);
    assert_eq!(call("stats.getActiveUsersCount", json!([])), json!(2));
    call("users.delete", json!([ann]));
    for (name, arguments, status, code) in [
        ("users.get", json!([ann]), 404, "inexistent_user"),
        ("users.create", json!([{"connection": "people", "email": "one@example.org"}]), 409, "user_exists"),
        ("users.update", json!([JANE, {"email": "x@acme.example"}]), 400, "invalid_body"),
        ("users.list", json!([{"q": "("}]), 400, "invalid_query_string"),
    ] {
        let answer = peer.try_ask(&json!({"call": name, "arguments": arguments}));
        assert_eq!((&answer["status"], &answer["body"]["errorCode"]), (&json!(status), &json!(code)), "{answer}");
    }
}

#[tokio::test]
async fn auth0_python_manages_users_links_sessions_jobs_and_the_log() {
    let (gateway, _, _idps) = scene().await;
    let api = Api::of(&gateway).await;
    let connection = people(&api).await["id"].clone();
    let mut peer = auth0_of_python(&gateway, &api.client_id, &api.client_secret);
    let mut call = |name: &str, arguments: Value, named: Value| {
        peer.ask(&json!({"call": name, "arguments": arguments, "named": named}))["result"].clone()
    };
    let made = call("users.create", json!([]), json!({"connection": "people", "email": "ann@example.org", "user_metadata": {"a": 1}}));
    let ann = made["user_id"].clone();
    assert_eq!(call("users.get", json!([ann]), json!({}))["email"], "ann@example.org");
    assert_eq!(call("users.update", json!([ann]), json!({"user_metadata": {"b": 2}}))["user_metadata"], json!({"a": 1, "b": 2}));
    assert_eq!(call("users.list", json!([]), json!({"per_page": 2})).as_array().map(Vec::len), Some(3));
    assert_eq!(call("users.list", json!([]), json!({"q": "email:\"ann@example.org\""}))[0]["user_id"], ann);
    assert_eq!(call("users.list_users_by_email", json!([]), json!({"email": "ann@example.org"}))[0]["user_id"], ann);
    let session = call("users.sessions.list", json!([JANE]), json!({}))[0].clone();
    assert_eq!(call("sessions.get", json!([session["id"]]), json!({}))["user_id"], JANE);
    assert_eq!(call("users.refresh_token.list", json!([JANE]), json!({}))[0]["session_id"], session["id"]);
    assert_eq!(call("user_grants.list", json!([]), json!({"user_id": JANE}))[0]["clientID"], "notes");
    call("sessions.delete", json!([session["id"]]), json!({}));
    call("users.refresh_token.delete", json!([JANE]), json!({}));
    let linked = call("users.identities.link", json!([JANE]), json!({"provider": "samlp", "user_id": "globex|j.doe"}));
    assert_eq!(linked.as_array().map(Vec::len), Some(2));
    assert_eq!(call("users.identities.delete", json!([JANE, "samlp", "j.doe"]), json!({})).as_array().map(Vec::len), Some(1));
    let job = call("jobs.users_imports.create", json!([]), json!({"users": users().to_string(), "connection_id": connection}));
    let get = json!({"call": "jobs.get", "arguments": [job["id"]]});
    assert_eq!(until(&mut peer, &get, |job| job["status"] == "completed").await["summary"]["inserted"], 2);
    let logs = json!({"call": "logs.list", "named": {"search": "type:s", "per_page": 10}});
    until(&mut peer, &logs, |events| events.as_array().is_some_and(|events| events.len() == 2)).await;
    let mut call = |name: &str, arguments: Value, named: Value| {
        peer.ask(&json!({"call": name, "arguments": arguments, "named": named}))["result"].clone()
    };
    assert_eq!(call("stats.get_active_users_count", json!([]), json!({})), json!(2.0));
    let job = call("jobs.users_exports.create", json!([]), json!({"format": "csv", "fields": [{"name": "email"}]}));
    assert_eq!(job["type"], "users_export");
    call("users.delete", json!([ann]), json!({}));
    let answer = peer.try_ask(&json!({"call": "users.get", "arguments": [ann]}));
    assert_eq!((&answer["status"], &answer["body"]["errorCode"]), (&json!(404), &json!("inexistent_user")), "{answer}");
}
