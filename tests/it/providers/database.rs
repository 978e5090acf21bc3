//! Users of our own: the page for name and password, and what becomes of passwords that others have hashed.

use crate::api::Api;
use crate::harness::app::{App, Tokens, userinfo};
use crate::harness::browser::{Browser, Landed, Page};
use crate::harness::gateway::{Gateway, Setup};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const WRONG: &str = "The user name or the password is wrong";
pub const PASSWORD: &str = "correct horse battery";
pub const BCRYPT: &str = "$2b$10$abcdefghijklmnopqrstuuCj7fyLDJytXL.TfOiOeiv0fQvSOK1/2";
const SALTED: &str = "6f5f3f9c9f74e007306fd7a102924a3eb114ab22593f572e1e349e11cb321d4c";

/// A gateway with one database, and an application.
async fn gateway_of(database: &str) -> (Gateway, App) {
    let app = App::new("notes");
    let connection = format!("name = \"people\"\ndisplay_name = \"Acme's people\"\n[connection.database]\n{database}\n");
    (Gateway::start(Setup::new().connection(&connection).application(&app.toml("", ""))).await, app)
}

async fn make_jane(api: &Api<'_>) -> Value {
    let jane = json!({"connection": "people", "email": "Jane@Acme.example", "email_verified": true, "name": "Jane Doe", "password": PASSWORD,
        "user_metadata": {"theme": "dark"}});
    api.make("/users", &jane).await
}

pub async fn page(gateway: &Gateway, app: &App, browser: &Browser) -> Page {
    browser.open(app.authorize(gateway, &[]).as_str()).await.here()
}

/// Types into the page and presses its button.
pub async fn type_in(browser: &Browser, page: &Page, name: &str, password: &str) -> Landed {
    let form = page.form();
    let mut fields = form.fields.clone();
    for (known, value) in &mut fields {
        match known.as_str() {
            "username" => name.clone_into(value),
            "password" => password.clone_into(value),
            _ => {}
        }
    }
    browser.post(&page.url, &page.url.join(&form.action).unwrap(), &fields).await
}

async fn sign_in(gateway: &Gateway, app: &App, name: &str, password: &str) -> (Value, Value) {
    let browser = Browser::new();
    let page = page(gateway, app, &browser).await;
    let answer = type_in(&browser, &page, name, password).await.away();
    let tokens = Tokens::of(&app.redeem(gateway, &app.code(gateway, &answer), &[]).await);
    (tokens.claims(), userinfo(gateway, tokens.access_token()).await.json())
}

/// What the page says of these.
pub async fn told(gateway: &Gateway, app: &App, name: &str, password: &str) -> (u16, String) {
    let browser = Browser::new();
    let page = page(gateway, app, &browser).await;
    let page = type_in(&browser, &page, name, password).await.here();
    let problem = page.body.split("role=\"alert\" id=\"problem\">").nth(1).and_then(|rest| rest.split("</p>").next());
    (page.status, problem.unwrap_or_default().to_owned())
}

#[tokio::test]
async fn users_of_our_own_sign_in_and_stay_who_they_are() {
    let (gateway, app) = gateway_of("").await;
    let api = Api::of(&gateway).await;
    let jane = make_jane(&api).await;
    let browser = Browser::new();
    let first = page(&gateway, &app, &browser).await;
    assert_eq!((first.url.path(), first.status), ("/login/password", 200));
    let again = type_in(&browser, &first, "jane@acme.example", "wrong").await.here();
    assert!(again.contains(WRONG), "{}", again.body);
    let answer = type_in(&browser, &again, " JANE@acme.example ", PASSWORD).await.away();
    let tokens = Tokens::of(&app.redeem(&gateway, &app.code(&gateway, &answer), &[]).await);
    let claims = tokens.claims();
    assert_eq!(claims["sub"], jane["user_id"], "{claims}");
    assert!(claims["sub"].as_str().unwrap().starts_with("auth0|"));
    assert_eq!(claims["acr"], "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport");
    let shown = userinfo(&gateway, tokens.access_token()).await.json();
    assert_eq!(
        (&shown["name"], &shown["email"], &shown["email_verified"]),
        (&json!("Jane Doe"), &json!("Jane@Acme.example"), &json!(true))
    );
    let trace = gateway.trace(again.correlation_id()).await.to_string();
    assert!(trace.contains("database-password") && !trace.contains("battery") && !gateway.log().contains("battery"), "{trace}");
    assert!(!trace.contains("argon2") && !gateway.log().contains("argon2"));
    // The login has changed nothing that is kept but that it was, and has made nobody.
    let path = format!("/users/{}", jane["user_id"].as_str().unwrap().replace('|', "%7C"));
    let kept = api.read(&path).await;
    assert_eq!(
        (&kept["logins_count"], &kept["email"], &kept["user_metadata"]["theme"]),
        (&json!(1), &json!("Jane@Acme.example"), &json!("dark"))
    );
    assert_eq!(kept["identities"].as_array().unwrap().len(), 1);
    assert_eq!((&kept["identities"][0]["provider"], &kept["identities"][0]["isSocial"]), (&json!("auth0"), &json!(false)));
    assert_eq!(api.read("/users").await.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn s1_6_what_operators_edit_outlives_every_login() {
    let (gateway, app) = gateway_of("").await;
    let api = Api::of(&gateway).await;
    let path = format!("/users/{}", make_jane(&api).await["user_id"].as_str().unwrap().replace('|', "%7C"));
    sign_in(&gateway, &app, "jane@acme.example", PASSWORD).await;
    let edit = json!({"name": "Jane Roe", "email": "roe@acme.example", "email_verified": true});
    assert_eq!(api.patch(&path, &edit).await.status, 200);
    assert!(told(&gateway, &app, "jane@acme.example", PASSWORD).await.1.contains(WRONG), "the old address is nobody's");
    let (_, shown) = sign_in(&gateway, &app, "roe@acme.example", PASSWORD).await;
    assert_eq!((&shown["name"], &shown["email"]), (&json!("Jane Roe"), &json!("roe@acme.example")));
    let kept = api.read(&path).await;
    assert_eq!((&kept["name"], &kept["email"], &kept["logins_count"]), (&json!("Jane Roe"), &json!("roe@acme.example"), &json!(2)));
    let forget = api.post(&format!("{path}/forget-profile"), &json!({})).await;
    assert!(forget.status == 409 && api.read(&path).await["email"] == "roe@acme.example", "{}", forget.body);
    // Blocked, the right password lets nobody in, and a wrong one does not tell.
    assert_eq!(api.patch(&path, &json!({"blocked": true})).await.status, 200);
    assert!(told(&gateway, &app, "roe@acme.example", "wrong").await.1.contains(WRONG));
    let browser = Browser::new();
    let page = page(&gateway, &app, &browser).await;
    let answer = type_in(&browser, &page, "roe@acme.example", PASSWORD).await.away();
    assert_eq!(app.error(&gateway, &answer).0, "access_denied");
}

#[tokio::test]
async fn names_are_addresses_or_usernames_as_the_connection_says() {
    let (gateway, app) = gateway_of("names = [\"email\", \"username\"]").await;
    let api = Api::of(&gateway).await;
    for (name, email) in [("Jane", "jane@acme.example"), ("joe", "joe@acme.example")] {
        let user = json!({"connection": "people", "username": name, "email": email, "name": name, "password": PASSWORD});
        api.make("/users", &user).await;
    }
    for name in ["jane", "JANE", "jane@acme.example"] {
        assert_eq!(sign_in(&gateway, &app, name, PASSWORD).await.1["name"], "Jane", "{name}");
    }
    let wrong = told(&gateway, &app, "jane", "wrong").await;
    for (name, password) in [("nobody", PASSWORD), ("nobody@acme.example", PASSWORD), ("j%", PASSWORD), ("jane", ""), ("", PASSWORD)] {
        assert_eq!(told(&gateway, &app, name, password).await, wrong, "{name}");
    }
    drop(gateway);
    let (gateway, app) = gateway_of("").await;
    let api = Api::of(&gateway).await;
    let user = json!({"connection": "people", "username": "jane", "email": "jane@acme.example", "password": PASSWORD});
    api.make("/users", &user).await;
    assert!(told(&gateway, &app, "jane", PASSWORD).await.1.contains(WRONG), "usernames are no names here");
}

#[tokio::test]
async fn who_is_not_there_takes_as_long_as_who_is() {
    let (gateway, app) = gateway_of("").await;
    make_jane(&Api::of(&gateway).await).await;
    let mut times = Vec::new();
    for name in ["jane@acme.example", "nobody@acme.example", "jane@acme.example", "nobody@acme.example"] {
        let browser = Browser::new();
        let page = page(&gateway, &app, &browser).await;
        let began = Instant::now();
        type_in(&browser, &page, name, "wrong").await.here();
        times.push(began.elapsed());
    }
    assert!(times.iter().all(|took| *took >= Duration::from_millis(390)), "{times:?}");
}

#[tokio::test]
async fn details_e_foreign_hashes_let_people_in_once_and_are_ours_from_then_on() {
    let (gateway, app) = gateway_of("").await;
    let api = Api::of(&gateway).await;
    // Of "correct horse battery", by hashlib and crypt(3).
    let salted =
        json!({"algorithm": "sha256", "hash": {"value": SALTED, "encoding": "hex"}, "salt": {"value": "salt", "position": "prefix"}});
    let users = json!([
        {"email": "bcrypt@acme.example", "email_verified": true, "name": "B", "password_hash": BCRYPT},
        {"email": "salted@acme.example", "email_verified": true, "name": "S", "custom_password_hash": salted},
        {"email": "none@acme.example", "email_verified": true, "name": "N"},
    ]);
    import(&api, &users).await;
    for name in ["bcrypt", "salted"] {
        let address = format!("{name}@acme.example");
        assert!(told(&gateway, &app, &address, "correct horse").await.1.contains(WRONG), "{name}");
        for _ in 0..2 {
            let (claims, _) = sign_in(&gateway, &app, &address, PASSWORD).await;
            assert!(claims["sub"].as_str().unwrap().starts_with("auth0|"), "{claims}");
        }
    }
    assert!(told(&gateway, &app, "none@acme.example", PASSWORD).await.1.contains(WRONG), "without a password nobody signs in");
}

/// An import, and its end.
pub async fn import(api: &Api<'_>, users: &Value) {
    let connections = api.read("/connections").await;
    let id = connections.as_array().unwrap().iter().find(|one| one["name"] == "people").unwrap()["id"].as_str().unwrap().to_owned();
    let boundary = "isthmus-test";
    let body = format!(
        "--{boundary}\r\ncontent-disposition: form-data; name=\"connection_id\"\r\n\r\n{id}\r\n\
         --{boundary}\r\ncontent-disposition: form-data; name=\"users\"; filename=\"users.json\"\r\ncontent-type: application/json\r\n\r\n{users}\r\n--{boundary}--\r\n"
    );
    let url = api.gateway.url("/api/v2/jobs/users-imports");
    let request = api.gateway.client().post(url.clone()).bearer_auth(&api.token);
    let request = request.header("content-type", format!("multipart/form-data; boundary={boundary}")).body(body);
    let made = Page::read(request.send().await.unwrap(), &url).await;
    assert_eq!(made.status, 202, "{}", made.body);
    let job = format!("/jobs/{}", made.json()["id"].as_str().unwrap());
    let ended = crate::harness::eventually("the end of the import", async || {
        let job = api.read(&job).await;
        (job["status"] != "pending" && job["status"] != "processing").then_some(job)
    });
    let ended = ended.await;
    assert_eq!((&ended["status"], &ended["summary"]["failed"]), (&json!("completed"), &json!(0)), "{ended}");
}

#[tokio::test]
async fn a_database_of_the_management_api_is_a_way_to_sign_in() {
    let app = App::new("notes");
    let gateway = Gateway::start(Setup::new().application(&app.toml("", ""))).await;
    let api = Api::of(&gateway).await;
    let body = json!({"name": "people", "strategy": "auth0", "enabled_clients": ["notes"], "options": {
        "disable_signup": true, "passwordPolicy": "good", "password_dictionary": {"enable": true, "dictionary": ["isthmus"]},
        "brute_force_protection": true, "import_mode": false}});
    api.make("/connections", &body).await;
    let user = |password: &str| json!({"connection": "people", "email": "jane@acme.example", "name": "Jane", "password": password});
    for weak in ["Xk9#", "blaues pferd", "Password1!", "Isthmus#2024", "Jane@Acme99"] {
        let refused = api.post("/users", &user(weak)).await;
        assert!(
            refused.status == 400 && refused.contains("/password") && refused.contains("PasswordStrengthError"),
            "{weak}: {}",
            refused.body
        );
        assert!(!refused.contains(weak), "{}", refused.body);
    }
    let made = api.make("/users", &user("Correct horse 7")).await;
    let (claims, _) = sign_in(&gateway, &app, "jane@acme.example", "Correct horse 7").await;
    assert_eq!(claims["sub"], made["user_id"]);
    let path = format!("/users/{}", made["user_id"].as_str().unwrap().replace('|', "%7C"));
    let weak = api.patch(&path, &json!({"password": "password"})).await;
    assert!(weak.status == 400 && weak.contains("/password"), "{}", weak.body);
    assert_eq!(api.patch(&path, &json!({"password": "Another horse 8"})).await.status, 200);
    assert!(told(&gateway, &app, "jane@acme.example", "Correct horse 7").await.1.contains(WRONG), "the one before is worth nothing");
    sign_in(&gateway, &app, "jane@acme.example", "Another horse 8").await;
}
