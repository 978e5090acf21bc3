//! What stored objects do to logins: on the node that stored them, on others, and when they go.

use super::super::{Api, command, good};
use super::connections::by_metadata;
use crate::harness::app::{App, Auth, CALLBACK, SECRET, Tokens, begin};
use crate::harness::browser::{Browser, Departure};
use crate::harness::eventually;
use crate::harness::gateway::{Gateway, Setup};
use crate::harness::idp::{Idp, Person};
use crate::harness::servers::Server;
use serde_json::json;
use url::Url;

/// An application of the management API, with the secret that [`App`] has.
pub async fn client(api: &Api<'_>) -> App {
    let body = json!({"name": "Notes", "app_type": "regular_web", "callbacks": [CALLBACK], "client_secret": SECRET});
    let made = api.make("/clients", &body).await;
    App::new(made["client_id"].as_str().expect("an id")).by(Auth::Post)
}

async fn arrive(gateway: &Gateway, app: &App, idp: &Idp, browser: &Browser) -> Departure {
    let request =
        idp.read(&begin(browser, &app.authorize(gateway, &[("connection", &idp.name), ("scope", "openid email offline_access")])).await);
    let answer = idp.respond(&request, &Person::jane());
    browser.post(&answer.from, &answer.to, &answer.fields()).await.away()
}

pub async fn tokens(gateway: &Gateway, app: &App, idp: &Idp) -> Tokens {
    let code = app.code(gateway, &arrive(gateway, app, idp, &Browser::new()).await);
    Tokens::of(&app.redeem(gateway, &code, &[]).await)
}

/// The error with which a login is refused before anybody leaves.
async fn refusal(gateway: &Gateway, app: &App, idp: &Idp) -> String {
    let url = app.authorize(gateway, &[("connection", &idp.name)]);
    app.error(gateway, &begin(&Browser::new(), &url).await).0
}

/// Where a request for a login is sent on to.
async fn where_to(gateway: &Gateway, url: &Url) -> String {
    let page = gateway.client().get(url.clone()).send().await.expect("an answer");
    page.headers().get("location").and_then(|to| to.to_str().ok()).unwrap_or_default().to_owned()
}

#[tokio::test]
async fn s0_10_a_stored_connection_and_client_serve_whole_logins_and_stop_at_once() {
    let gateway = Gateway::start(Setup::new()).await;
    let api = Api::of(&gateway).await;
    let (idp, app) = (Idp::new("acme"), client(&api).await);
    let other = client(&api).await;
    let made = api.make("/connections", &by_metadata(&idp, &[&app.client_id])).await;
    let path = format!("/connections/{}", made["id"].as_str().expect("an id"));
    let first = tokens(&gateway, &app, &idp).await;
    assert_eq!(first.claims()["email"], "Jane.Doe@acme.example");
    // enabled_clients: whoever is not named cannot use it, not even over somebody's session.
    assert_ne!(refusal(&gateway, &other, &idp).await, "");
    let browser = Browser::new();
    app.code(&gateway, &arrive(&gateway, &app, &idp, &browser).await);
    let silent = begin(&browser, &other.authorize(&gateway, &[("prompt", "none")])).await;
    assert_eq!(other.error(&gateway, &silent).0, "login_required");
    // Taken from the application: no login, no single sign-on, no refresh.
    let renewed = Tokens::of(&app.refresh(&gateway, first.refresh_token(), &[]).await);
    good(&api.patch(&path, &json!({"enabled_clients": []})).await, 200);
    refusal(&gateway, &app, &idp).await;
    let silent = begin(&browser, &app.authorize(&gateway, &[("prompt", "none")])).await;
    assert_eq!(app.error(&gateway, &silent).0, "login_required");
    assert_eq!(app.refresh(&gateway, renewed.refresh_token(), &[]).await.status, 400);
    // Given back, switched off, deleted.
    good(&api.patch(&path, &json!({"enabled_clients": [app.client_id]})).await, 200);
    tokens(&gateway, &app, &idp).await;
    good(&api.patch(&path, &json!({"isthmus": {"enabled": false}})).await, 200);
    refusal(&gateway, &app, &idp).await;
    good(&api.patch(&path, &json!({"isthmus": {"enabled": null}})).await, 200);
    let held = tokens(&gateway, &app, &idp).await;
    let request = idp.read(&begin(&browser, &app.authorize(&gateway, &[("connection", "acme"), ("prompt", "login")])).await);
    assert_eq!(api.delete(&path).await.status, 204);
    refusal(&gateway, &app, &idp).await;
    let answer = idp.respond(&request, &Person::jane());
    let landed = browser.post(&answer.from, &answer.to, &answer.fields()).await;
    assert!(!format!("{landed:?}").contains("code="), "a deleted connection signs nobody in");
    assert_eq!(app.refresh(&gateway, held.refresh_token(), &[]).await.status, 400);
}

#[tokio::test]
async fn a_deleted_or_disabled_client_stops_at_once() {
    let gateway = Gateway::start(Setup::new()).await;
    let api = Api::of(&gateway).await;
    let (idp, app) = (Idp::new("acme"), client(&api).await);
    api.make("/connections", &by_metadata(&idp, &[&app.client_id])).await;
    let path = format!("/clients/{}", app.client_id);
    let held = tokens(&gateway, &app, &idp).await;
    good(&api.patch(&path, &json!({"isthmus": {"enabled": false}})).await, 200);
    let page = Browser::new().open(app.authorize(&gateway, &[]).as_str()).await.here();
    assert_eq!(page.status, 400, "{}", page.body);
    assert_eq!(app.refresh(&gateway, held.refresh_token(), &[]).await.status, 401);
    good(&api.patch(&path, &json!({"isthmus": {"enabled": true}})).await, 200);
    // The other way of authentication is another way.
    good(&api.patch(&path, &json!({"token_endpoint_auth_method": "client_secret_basic"})).await, 200);
    assert_eq!(app.refresh(&gateway, held.refresh_token(), &[]).await.status, 401);
    let app = app.by(Auth::Basic);
    let renewed = Tokens::of(&app.refresh(&gateway, held.refresh_token(), &[]).await);
    assert_eq!(api.delete(&path).await.status, 204);
    assert_eq!(app.refresh(&gateway, renewed.refresh_token(), &[]).await.status, 401);
    assert_eq!(Browser::new().open(app.authorize(&gateway, &[]).as_str()).await.here().status, 400);
}

#[tokio::test]
async fn a_fields_map_is_a_mapping_of_its_own_and_extends_the_usual_one() {
    let gateway = Gateway::start(Setup::new()).await;
    let api = Api::of(&gateway).await;
    let (idp, app) = (Idp::new("acme"), client(&api).await);
    let mut body = by_metadata(&idp, &[&app.client_id]);
    body["options"]["fieldsMap"] = json!({"nickname": ["callsign"]});
    body["options"]["user_id_attribute"] = json!("employee");
    api.make("/connections", &body).await;
    let person = Person::jane().with(("callsign", ""), &["Falcon"]).with(("employee", ""), &["e-77"]);
    let browser = Browser::new();
    let request = idp.read(&begin(&browser, &app.authorize(&gateway, &[])).await);
    let answer = idp.respond(&request, &person);
    let code = app.code(&gateway, &browser.post(&answer.from, &answer.to, &answer.fields()).await.away());
    let claims = Tokens::of(&app.redeem(&gateway, &code, &[]).await).claims();
    assert_eq!((&claims["nickname"], &claims["email"]), (&json!("Falcon"), &json!("Jane.Doe@acme.example")));
    assert!(claims["sub"].as_str().is_some_and(|sub| sub.ends_with("|e-77")), "{claims}");
}

#[tokio::test]
async fn what_one_node_stores_the_others_serve_within_two_seconds_and_after_a_restart() {
    let (postgres, redis) = (Server::postgres(), Server::redis(&[]));
    let mut setup = Setup::new();
    setup.directory = postgres.postgres_url();
    setup.sessions = redis.redis_url();
    let first = Gateway::start(setup.clone()).await;
    // Nodes share their keys.
    for entry in std::fs::read_dir(first.place().join("certs")).expect("keys") {
        let path = entry.expect("an entry").path();
        let name = format!("certs/{}", path.file_name().and_then(|name| name.to_str()).expect("a name"));
        setup = setup.file(&name, &std::fs::read_to_string(&path).expect("a key"));
    }
    let mut second = Gateway::start(setup).await;
    let api = Api::of(&first).await;
    let (idp, app) = (Idp::new("acme"), client(&api).await);
    let made = api.make("/connections", &by_metadata(&idp, &[&app.client_id])).await;
    let started = std::time::Instant::now();
    let url = app.authorize(&second, &[("connection", "acme")]);
    eventually("the connection on the other node", async || where_to(&second, &url).await.starts_with(&idp.sso_url).then_some(())).await;
    assert!(started.elapsed().as_secs_f64() < 2.5, "{:?}", started.elapsed());
    let told = tokens(&second, &app, &idp).await;
    assert_eq!(told.claims()["email"], "Jane.Doe@acme.example");
    second.stop();
    second.start_again(|_| ()).await;
    tokens(&second, &app, &idp).await;
    assert_eq!(api.delete(&format!("/connections/{}", made["id"].as_str().expect("an id"))).await.status, 204);
    let started = std::time::Instant::now();
    eventually("its end on the other node", async || where_to(&second, &url).await.starts_with(CALLBACK).then_some(())).await;
    assert!(started.elapsed().as_secs_f64() < 2.5, "{:?}", started.elapsed());
    // A directory that is away is told once, and so is its return.
    postgres.hold();
    second.wait_for_log("stored configuration cannot be read").await;
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    assert_eq!(second.log().matches("stored configuration cannot be read").count(), 1);
    postgres.go_on();
    second.wait_for_log("stored configuration can be read again").await;
}

#[tokio::test]
async fn s1_5_the_command_line_knows_stored_connections() {
    let gateway = Gateway::start(Setup::new()).await;
    let api = Api::of(&gateway).await;
    let (idp, app) = (Idp::new("acme"), client(&api).await);
    let made = api.make("/connections", &by_metadata(&idp, &[&app.client_id])).await;
    tokens(&gateway, &app, &idp).await;
    let rename = ["user", "update", "samlp|acme|jane-1", "--patch", "{\"name\": \"Jane the Operator\"}"];
    let refused = command(&gateway, &rename).await;
    assert_eq!(refused.status.code(), Some(1), "the connection refreshes the name at each login");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("refreshed by the connection"), "{refused:?}");
    let path = format!("/connections/{}", made["id"].as_str().expect("an id"));
    good(&api.patch(&path, &json!({"options": {"set_user_root_attributes": "on_first_login"}})).await, 200);
    let renamed = command(&gateway, &rename).await;
    assert!(renamed.status.success(), "{}", String::from_utf8_lossy(&renamed.stderr));
    assert_eq!(api.read("/users/samlp%7Cacme%7Cjane-1").await["name"], "Jane the Operator");
}
