//! Connections of the strategies `oauth2`, of providers that are known by name, and of directories.

use super::super::{Api, good, refused};
use crate::federation::rows;
use crate::harness::app::App;
use crate::harness::browser::Browser;
use crate::harness::gateway::{Gateway, Setup};
use crate::harness::keys::Pair;
use serde_json::{Value, json};

const SECRET: &str = "what-only-the-provider-and-we-know";

pub fn body(name: &str, strategy: &str, options: Value, own: Value) -> Value {
    json!({ "name": name, "strategy": strategy, "enabled_clients": ["notes"], "options": options, "isthmus": own })
}

pub fn hub(options: &Value, own: &Value) -> Value {
    let mut all = json!({
        "authorizationURL": "https://hub.example/authorize", "tokenURL": "https://hub.example/token", "client_id": "gateway",
        "client_secret": SECRET, "scope": "me mail",
    });
    let mut ours = json!({ "userinfo_endpoint": "https://api.hub.example/me", "subject": "data.id" });
    for (into, changes) in [(&mut all, options), (&mut ours, own)] {
        for (name, value) in changes.as_object().expect("an object") {
            match value {
                Value::Null => drop(into.as_object_mut().expect("an object").remove(name)),
                value => into[name] = value.clone(),
            }
        }
    }
    body("hub", "oauth2", all, ours)
}

/// Where the browser is sent by a connection, once it serves.
async fn departure(gateway: &Gateway, app: &App, connection: &str, to: &str) -> crate::harness::browser::Departure {
    let url = app.authorize(gateway, &[("connection", connection)]);
    crate::harness::eventually("the new connection", async || {
        let landed = Browser::new().open(url.as_str()).await.away();
        landed.url.as_str().starts_with(to).then_some(landed)
    })
    .await
}

#[tokio::test]
async fn a_provider_by_oauth_alone_is_made_by_the_management_api() {
    let app = App::new("notes");
    let gateway = Gateway::start(Setup::new().application(&app.toml("", ""))).await;
    let api = Api::of(&gateway).await;
    let params = json!({ "authParams": {"hd": "acme.example"}, "authParamsMap": {"who": "login_hint"}, "pkce_enabled": true });
    let page = api.post("/connections", &hub(&params, &json!({}))).await;
    let made = good(&page, 201);
    assert_eq!((&made["strategy"], &made["options"]["authorizationURL"]), (&json!("oauth2"), &json!("https://hub.example/authorize")));
    let path = format!("/connections/{}", made["id"].as_str().expect("an id"));
    let asked = departure(&gateway, &app, "hub", "https://hub.example/authorize").await;
    let said = |name: &str| asked.parameter(name);
    assert_eq!((said("scope").as_deref(), said("hd").as_deref(), said("who")), (Some("me mail"), Some("acme.example"), None));
    assert!(said("code_challenge").is_some() && said("client_id").as_deref() == Some("gateway"));
    // A change keeps what it does not say.
    let changed = api.patch(&path, &json!({"options": {"scope": "me"}})).await;
    assert_eq!(good(&changed, 200)["options"]["scope"], "me");
    for page in [&page, &changed, &api.get(&path).await, &api.get("/connections").await, &api.get("/logs").await] {
        assert!(!page.body.contains(SECRET), "{}", page.body);
    }
    assert!(!rows(&gateway, "SELECT body FROM objects").contains(SECRET) && !gateway.log().contains(SECRET));
    assert_eq!(api.delete(&path).await.status, 204);
}

#[tokio::test]
async fn what_is_wrong_with_one_is_named_in_the_callers_words() {
    let app = App::new("notes");
    let gateway = Gateway::start(Setup::new().application(&app.toml("", ""))).await;
    let api = Api::of(&gateway).await;
    for (options, own, pointer) in [
        (json!({ "authorizationURL": null }), json!({}), "/options/authorizationURL"),
        (json!({ "tokenURL": "http://hub.example/token" }), json!({}), "/options/tokenURL"),
        (json!({ "client_id": "" }), json!({}), "/options/client_id"),
        (json!({ "client_secret": null, "pkce_enabled": false }), json!({}), "/options/pkce_enabled"),
        (json!({ "scope": 7 }), json!({}), "/options/scope"),
        (json!({ "scripts": {"fetchUserProfile": "function(t,c,cb){cb(null,{})}"} }), json!({}), "/options/scripts/fetchUserProfile"),
        (json!({ "upstream_params": {"state": {"value": "x"}} }), json!({}), "/options/upstream_params/state"),
        (json!({ "authParams": {"redirect_uri": "x"} }), json!({}), "/options/upstream_params/redirect_uri"),
        (json!({ "authParams": {"a": "x"}, "authParamsMap": {"a": "prompt"} }), json!({}), "/options/authParamsMap/a"),
        (json!({ "signInEndpoint": "https://hub.example" }), json!({}), "/options/signInEndpoint"),
        (json!({}), json!({ "userinfo_endpoint": null }), "/isthmus/userinfo_endpoint"),
        (json!({}), json!({ "subject": null }), "/isthmus/subject"),
        (json!({}), json!({ "private_network": true }), "/isthmus/private_network"),
        (json!({}), json!({ "client_key": {"env": "HOME"} }), "/isthmus/client_key"),
        (json!({}), json!({ "client_secret": {"env": "HOME"} }), "/isthmus/client_secret"),
    ] {
        let pointers = refused(&api.post("/connections", &hub(&options, &own)).await, 400, "invalid_body");
        assert!(pointers.iter().any(|found| found == pointer), "{options} {own}: {pointers:?}");
    }
    let client = json!({ "client_id": "c", "client_secret": SECRET });
    let with = |changes: Value| {
        let mut all = client.clone();
        all.as_object_mut().expect("an object").extend(changes.as_object().cloned().expect("an object"));
        all
    };
    for (strategy, options, own, pointer) in [
        ("salesforce", client.clone(), json!({}), "/strategy"),
        ("waad", client.clone(), json!({}), "/options/tenantId"),
        ("waad", with(json!({ "tenant_domain": "acme.example" })), json!({}), "/options/tenantId"),
        ("github", json!({ "client_id": "c" }), json!({}), "/options/client_secret"),
        ("github", client.clone(), json!({ "preset": "google" }), "/isthmus/preset"),
        ("okta", client.clone(), json!({}), "/isthmus/issuer"),
        ("apple", json!({ "client_id": "c", "team_id": "T", "kid": "K" }), json!({}), "/options/app_secret"),
        ("apple", json!({ "client_id": "c", "team_id": "T", "kid": "K", "app_secret": "x" }), json!({}), "/options/app_secret"),
        ("github", with(json!({ "tenantId": "x" })), json!({}), "/options/tenantId"),
        ("ad", json!({}), json!({ "user_base": "dc=acme" }), "/isthmus/servers"),
        ("ad", json!({}), json!({ "servers": ["ldap://dc.acme.example"], "user_base": "dc=acme" }), "/isthmus/servers/0"),
        ("ad", json!({}), json!({ "servers": ["ldaps://dc.acme.example"], "user_base": "dc=acme", "bind_dn": "cn=x" }), "/isthmus/bind_dn"),
        (
            "ad",
            json!({}),
            json!({ "servers": ["ldaps://d.example"], "user_base": "dc=a", "bind_dn": "cn=x", "bind_password": {"env": "HOME"} }),
            "/isthmus/bind_password",
        ),
        ("ldap", json!({}), json!({ "servers": ["ldaps://d.example"], "user_base": "dc=a", "ca_file": "/etc/passwd" }), "/isthmus/ca_file"),
        ("ad", json!({ "agent": 1 }), json!({ "servers": ["ldaps://d.example"], "user_base": "dc=a" }), "/options/agent"),
    ] {
        let pointers =
            refused(&api.post("/connections", &body("other", strategy, options.clone(), own.clone())).await, 400, "invalid_body");
        assert!(pointers.iter().any(|found| found == pointer), "{strategy} {options} {own}: {pointers:?}");
    }
}

#[tokio::test]
async fn providers_that_are_known_are_made_by_auth0s_names_and_ours() {
    let app = App::new("notes");
    let gateway = Gateway::start(Setup::new().application(&app.toml("", ""))).await;
    let api = Api::of(&gateway).await;
    let key = Pair::ec("apple").key_pem();
    let client = json!({ "client_id": "c", "client_secret": SECRET });
    let with = |changes: Value| {
        let mut all = client.clone();
        all.as_object_mut().expect("an object").extend(changes.as_object().cloned().expect("an object"));
        all
    };
    let apple = json!({ "client_id": "c", "team_id": "TEAM", "kid": "KEY", "app_secret": key });
    let mut pages = Vec::new();
    for (strategy, options, own) in [
        ("google-oauth2", with(json!({ "email": true, "scope": ["openid", "email"] })), json!({})),
        ("google", client.clone(), json!({})),
        ("facebook", client.clone(), json!({})),
        ("linkedin", client.clone(), json!({})),
        ("twitter", client.clone(), json!({})),
        ("weixin", client.clone(), json!({})),
        ("windowslive", client.clone(), json!({})),
        ("waad", with(json!({ "tenantId": "8eaef023-2b34-4da1-9baa-8bc8c9d6a490" })), json!({})),
        ("waad", with(json!({ "useCommonEndpoint": true })), json!({})),
        ("okta", with(json!({ "domain": "acme.okta.com" })), json!({})),
        ("auth0-oidc", client.clone(), json!({ "issuer": "https://acme.auth0.com/" })),
        ("apple", apple, json!({})),
    ] {
        let name = format!("c{}", pages.len());
        let page = api.post("/connections", &body(&name, strategy, options, own)).await;
        let made = good(&page, 201);
        assert_eq!(made["strategy"], strategy);
        let warned = made["isthmus"]["warnings"].to_string();
        assert_eq!(warned.contains("/options/email"), strategy == "google-oauth2", "{warned}");
        pages.push(page);
        // What is kept can be read again: the secret is opened.
        let path = format!("/connections/{}", made["id"].as_str().expect("an id"));
        pages.push(api.patch(&path, &json!({ "display_name": "Another" })).await);
        assert_eq!(pages.last().expect("a page").status, 200, "{strategy}: {}", pages.last().expect("a page").body);
    }
    let page = api
        .post("/connections", &body("hub", "github", with(json!({ "upstream_params": {"login": {"alias": "login_hint"}} })), json!({})))
        .await;
    good(&page, 201);
    let asked = departure(&gateway, &app, "hub", "https://github.com/login/oauth/authorize").await;
    assert_eq!(asked.parameter("scope").as_deref(), Some("read:user user:email"));
    pages.push(page);
    pages.push(api.get("/connections").await);
    let stored = rows(&gateway, "SELECT body FROM objects") + &rows(&gateway, "SELECT detail FROM audit") + &gateway.log();
    let line = key.lines().nth(1).expect("a key");
    for text in pages.iter().map(|page| page.body.as_str()).chain([stored.as_str()]) {
        assert!(!text.contains(SECRET) && !text.contains(line), "{text}");
    }
}

#[tokio::test]
async fn a_directory_is_made_by_the_management_api_and_none_of_our_own_network() {
    let app = App::new("notes");
    let gateway = Gateway::start(Setup::new().application(&app.toml("", ""))).await;
    let api = Api::of(&gateway).await;
    let own = json!({
        "servers": ["ldaps://127.0.0.1:1"], "schema": "active_directory", "bind_dn": "cn=gateway,dc=acme,dc=example",
        "user_base": "ou=people,dc=acme,dc=example", "groups": { "nested": "in_chain", "base": "ou=groups,dc=acme,dc=example" },
    });
    let page = api.post("/connections", &body("staff", "ad", json!({ "bind_password": SECRET, "kerberos": true }), own)).await;
    let made = good(&page, 201);
    assert!(made["isthmus"]["warnings"].to_string().contains("/options/kerberos") && !page.body.contains(SECRET), "{}", page.body);
    let url = app.authorize(&gateway, &[("connection", "staff")]);
    let browser = Browser::new();
    let page = browser.open(url.as_str()).await.here();
    assert_eq!(page.url.path(), "/login/password");
    let form = page.form();
    let mut fields = form.fields.clone();
    for (name, value) in &mut fields {
        match name.as_str() {
            "username" => *value = "jane".to_owned(),
            "password" => *value = "correct horse".to_owned(),
            _ => {}
        }
    }
    let told = browser.post(&page.url, &page.url.join(&form.action).expect("an address"), &fields).await.here();
    assert_eq!(told.status, 503, "{}", told.body);
    let trace = gateway.trace(told.correlation_id()).await.to_string();
    assert!(trace.contains("not on the public Internet"), "{trace}");
    assert!(!rows(&gateway, "SELECT body FROM objects").contains(SECRET) && !gateway.log().contains(SECRET));
}
