//! Providers by OAuth 2.0 alone: what is asked, what is refused, and what they cannot be asked.

use crate::api::{Api, good, refused};
use crate::harness::app::{App, SECRET, Tokens, userinfo};
use crate::harness::browser::{Browser, Departure, Page};
use crate::harness::gateway::{Gateway, Setup};
use crate::harness::op::{Op, answer};
use crate::harness::web::{Asked, Reply, Site};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use url::Url;

/// A provider whose answers are by path.
pub(super) struct Provider {
    pub(super) site: Site,
    answers: Arc<Mutex<HashMap<&'static str, Reply>>>,
}

impl Provider {
    pub(super) async fn start() -> Self {
        let answers: Arc<Mutex<HashMap<&'static str, Reply>>> = Arc::default();
        let of_site = Arc::clone(&answers);
        let site =
            Site::answering(0, move |asked: &Asked| of_site.lock().unwrap().get(asked.path()).cloned().unwrap_or(Reply::status(404))).await;
        let provider = Self { site, answers };
        provider.tells("/token", answer(200, &json!({ "access_token": "at-1", "token_type": "Bearer", "scope": "me" })));
        provider.tells("/me", answer(200, &json!({ "id": 7, "name": "Jane Doe", "email": "jane@acme.example" })));
        provider
    }

    pub(super) fn tells(&self, path: &'static str, reply: Reply) {
        self.answers.lock().unwrap().insert(path, reply);
    }

    pub(super) fn toml(&self, more: &str) -> String {
        let at = |path: &str| format!("http://127.0.0.1:{}{path}", self.site.port);
        format!(
            "name = \"hub\"\n[connection.oauth2]\nauthorization_endpoint = \"{}\"\ntoken_endpoint = \"{}\"\nuserinfo_endpoint = \"{}\"\n\
             client_id = \"gateway\"\nclient_secret = {{ env = \"TEST_SECRET\" }}\nscopes = [\"me\", \"mail\"]\nsubject = \"id\"\n{more}\n",
            at("/authorize?tenant=a"),
            at("/token"),
            at("/me"),
        )
    }

    async fn gateway(&self, more: &str) -> (Gateway, App) {
        let app = App::new("notes");
        (Gateway::start(Setup::new().connection(&self.toml(more)).application(&app.toml("legacy_profile = true", ""))).await, app)
    }
}

/// The browser comes back with these parameters beside the state.
pub(super) async fn back(browser: &Browser, departure: &Departure, answer: &[(&str, &str)]) -> Departure {
    let mut url = Url::parse(&departure.parameter("redirect_uri").unwrap()).unwrap();
    url.query_pairs_mut().append_pair("state", &departure.parameter("state").unwrap()).extend_pairs(answer);
    browser.open(url.as_str()).await.away()
}

#[tokio::test]
async fn s2_20_a_login_by_oauth_alone_says_what_was_not_granted() {
    let provider = Provider::start().await;
    let (gateway, app) = provider.gateway("parameters = { prompt = \"select_account\" }\nuserinfo_parameters = { v = \"2\" }").await;
    let browser = Browser::new();
    let departure = browser.open(app.authorize(&gateway, &[]).as_str()).await.away();
    let asked = departure.parameters();
    let names: Vec<&str> = asked.iter().map(|(name, _)| name.as_str()).collect();
    let expected =
        ["tenant", "client_id", "redirect_uri", "response_type", "scope", "state", "code_challenge", "code_challenge_method", "prompt"];
    assert_eq!(names, expected);
    assert_eq!(departure.parameter("scope").as_deref(), Some("me mail"));
    assert!(departure.parameter("state").is_some_and(|state| state.len() > 20));
    let tokens = Tokens::of(&app.redeem(&gateway, &app.code(&gateway, &back(&browser, &departure, &[("code", "c&1")]).await), &[]).await);
    let claims = tokens.claims();
    assert_eq!(claims["sub"], "oauth2|hub|7");
    assert!(claims.get("acr").is_none() && claims.get("amr").is_none(), "nobody said how: {claims}");
    let told = userinfo(&gateway, tokens.access_token()).await.json();
    assert_eq!((&told["name"], &told["email"], &told["email_verified"]), (&json!("Jane Doe"), &json!("jane@acme.example"), &json!(false)));
    assert_eq!(told["missing_permissions"], json!(["mail"]), "{told}");
    let seen = provider.site.seen();
    assert_eq!(seen.iter().map(Asked::path).collect::<Vec<_>>(), ["/token", "/me"]);
    let form = seen[0].parameters();
    assert_eq!((form["code"].as_str(), form["grant_type"].as_str()), ("c&1", "authorization_code"));
    assert!(form["code_verifier"].len() >= 43 && !form.contains_key("client_secret") && !seen[0].target.contains('?'));
    assert_eq!((seen[1].header("authorization"), seen[1].target.as_str()), (Some("Bearer at-1"), "/me?v=2"));
    assert!(!gateway.log().contains("at-1") && !gateway.log().contains(SECRET));
    // The session here answers the next one.
    app.code(&gateway, &browser.open(app.authorize(&gateway, &[]).as_str()).await.away());
    // The same answer again is nobody's login.
    let mut again = Url::parse(&departure.parameter("redirect_uri").unwrap()).unwrap();
    again.query_pairs_mut().append_pair("state", &departure.parameter("state").unwrap()).append_pair("code", "c&1");
    let page = browser.open(again.as_str()).await;
    assert_eq!(provider.site.seen().len(), 2, "it was redeemed again: {page:?}");
}

#[tokio::test]
async fn what_such_a_provider_cannot_say_is_refused_before_anybody_is_sent_there() {
    let provider = Provider::start().await;
    let (gateway, app) = provider.gateway("").await;
    for change in [("prompt", "login"), ("max_age", "600"), ("max_age", "0"), ("prompt", "none")] {
        let returned = Browser::new().open(app.authorize(&gateway, &[change]).as_str()).await.away();
        assert_eq!(app.error(&gateway, &returned).0, "login_required", "{change:?}");
    }
    assert!(provider.site.seen().is_empty());
}

#[tokio::test]
async fn each_bad_answer_is_refused_by_its_rule() {
    let provider = Provider::start().await;
    let (gateway, app) = provider
        .gateway(
            "issuer = \"https://hub.example\"\nmore = { emails = \"EMAILS\" }"
                .replace("EMAILS", &format!("http://127.0.0.1:{}/emails", provider.site.port))
                .as_str(),
        )
        .await;
    let code: &[(&str, &str)] = &[("code", "c")];
    let (token, me) = (json!({ "access_token": "at-1" }), json!({ "id": "jane" }));
    let ok = |body: &Value| answer(200, body);
    type Case<'c> = (&'static str, &'static str, &'c [(&'static str, &'static str)], &'static str, Reply);
    let cases: Vec<Case<'_>> = vec![
        ("response-code", "server_error", &[], "/me", ok(&me)),
        ("response-parameter-repeated", "server_error", &[("code", "c"), ("code", "d")], "/me", ok(&me)),
        ("response-iss", "server_error", &[("code", "c"), ("iss", "https://evil.example")], "/me", ok(&me)),
        ("provider-error", "access_denied", &[("error", "access_denied")], "/me", ok(&me)),
        ("provider-error", "server_error", &[("error", "server_error")], "/me", ok(&me)),
        ("provider-error", "temporarily_unavailable", &[("error", "temporarily_unavailable")], "/me", ok(&me)),
        ("token-endpoint-error", "server_error", code, "/token", answer(400, &json!({ "error": "invalid_grant" }))),
        ("token-endpoint-error", "server_error", code, "/token", ok(&json!({ "error": "bad_verification_code" }))),
        // Whatever else is in it, a failure gives no tokens.
        ("token-response", "server_error", code, "/token", answer(400, &token)),
        ("token-response", "server_error", code, "/token", answer(401, &token)),
        ("provider-unreachable", "temporarily_unavailable", code, "/token", answer(500, &token)),
        ("token-response", "server_error", code, "/token", ok(&json!({ "token_type": "bearer" }))),
        ("token-response", "server_error", code, "/token", ok(&json!({ "access_token": "x", "token_type": "mac" }))),
        ("token-response", "server_error", code, "/token", Reply::redirect("http://127.0.0.1:1/")),
        ("provider-unreachable", "temporarily_unavailable", code, "/me", answer(401, &json!({ "id": "jane" }))),
        ("provider-unreachable", "temporarily_unavailable", code, "/me", Reply::redirect("http://127.0.0.1:1/")),
        ("provider-unreachable", "temporarily_unavailable", code, "/me", ok(&json!({ "id": "jane", "x": "x".repeat(1_100_000) }))),
        ("provider-unreachable", "temporarily_unavailable", code, "/emails", answer(500, &json!([]))),
        ("userinfo", "server_error", code, "/emails", Reply::page("<html>".to_owned())),
        ("userinfo", "server_error", code, "/me", Reply::page("<html>".to_owned())),
        ("userinfo", "server_error", code, "/me", ok(&json!([{ "id": "jane" }]))),
        ("userinfo", "server_error", code, "/me", ok(&json!({ "sub": "jane" }))),
        ("userinfo", "server_error", code, "/me", ok(&json!({ "id": 1.5 }))),
        ("id-token-sub", "server_error", code, "/me", ok(&json!({ "id": "jane\n" }))),
    ];
    for (place, (rule, error, parameters, path, reply)) in cases.into_iter().enumerate() {
        provider.tells("/token", ok(&token));
        provider.tells("/me", ok(&me));
        provider.tells("/emails", ok(&json!([])));
        provider.tells(path, reply);
        let browser = Browser::new();
        let departure = browser.open(app.authorize(&gateway, &[]).as_str()).await.away();
        let returned = back(&browser, &departure, parameters).await;
        let (found, description) = app.error(&gateway, &returned);
        assert_eq!(found, error, "{place} {rule}");
        let id = description.rsplit_once('(').and_then(|(_, rest)| rest.strip_suffix(')')).expect("a correlation id");
        let trace = gateway.trace(id).await.to_string();
        assert!(trace.contains(&format!("\"reason\":\"{rule}\"")), "{place} {rule}: {trace}");
        assert!(!trace.contains("at-1"), "{trace}");
    }
    // What the person did not permit is absent, and no reason to refuse.
    provider.tells("/token", ok(&token));
    provider.tells("/me", ok(&json!({ "id": "jane", "emails": ["admin@acme.example"], "missing_permissions": ["everything"] })));
    for status in [401, 403, 404] {
        provider.tells("/emails", answer(status, &json!({})));
        let browser = Browser::new();
        let departure = browser.open(app.authorize(&gateway, &[]).as_str()).await.away();
        let tokens = app.redeem(&gateway, &app.code(&gateway, &back(&browser, &departure, code).await), &[]).await;
        // What is asked elsewhere, and what was not granted, is not for the profile to say.
        let told = userinfo(&gateway, Tokens::of(&tokens).access_token()).await.json();
        assert!(told.get("missing_permissions").is_none(), "{told}");
        let seen = gateway.ask_operations("/traces", "application/json").await.body;
        let id = seen.split('"').find(|text| text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        let trace = gateway.trace(id.expect("the newest trace")).await.to_string();
        assert!(trace.contains("jane") && !trace.contains("admin@acme.example"), "{status}: {trace}");
    }
}

#[tokio::test]
async fn a_provider_that_fails_again_and_again_is_left_alone() {
    let provider = Provider::start().await;
    let (gateway, app) = provider.gateway("").await;
    provider.tells("/token", Reply::status(503));
    let late = Browser::new();
    let waiting = late.open(app.authorize(&gateway, &[]).as_str()).await.away();
    for _ in 0..5 {
        let browser = Browser::new();
        let departure = browser.open(app.authorize(&gateway, &[]).as_str()).await.away();
        let returned = back(&browser, &departure, &[("code", "c")]).await;
        assert_eq!(app.error(&gateway, &returned).0, "temporarily_unavailable");
    }
    assert_eq!(provider.site.seen().len(), 5);
    // Nobody is sent there any more, and who comes back waits for nothing.
    let returned = Browser::new().open(app.authorize(&gateway, &[]).as_str()).await.away();
    assert_eq!(app.error(&gateway, &returned).0, "temporarily_unavailable");
    let returned = back(&late, &waiting, &[("code", "c")]).await;
    assert_eq!(app.error(&gateway, &returned).0, "temporarily_unavailable");
    assert_eq!(provider.site.seen().len(), 5);
}

/// An ID token of ours always has a time; only a session whose provider has told it makes a proof of that.
#[tokio::test]
async fn details_c_an_id_token_of_a_sign_in_of_unknown_time_links_nobody() {
    let (acme, hub, app) = (Op::start().await, Provider::start().await, App::new("notes"));
    let setup = Setup::new().connection(&acme.toml("acme", "")).connection(&hub.toml("")).application(&app.toml("", ""));
    let gateway = Gateway::start(setup).await;
    let audience = format!("{}/api/v2/", gateway.issuer());
    let scope = "openid update:current_user_identities read:current_user";
    let come = async |connection: &str| {
        let asked = [("connection", connection), ("audience", &audience), ("scope", scope)];
        let browser = Browser::new();
        let departure = browser.open(app.authorize(&gateway, &asked).as_str()).await.away();
        let answer = match connection {
            "hub" => back(&browser, &departure, &[("code", "c")]).await,
            _ => acme.sign_in(&browser, &departure).await.away(),
        };
        Tokens::of(&app.redeem(&gateway, &app.code(&gateway, &answer), &[]).await)
    };
    let program = Api::of(&gateway).await;
    let jane = come("acme").await;
    let claims = jane.claims();
    let encoded: String = url::form_urlencoded::byte_serialize(claims["sub"].as_str().unwrap().as_bytes()).collect();
    let (path, token) = (format!("/users/{encoded}/identities"), jane.access_token().to_owned());
    let api = Api { gateway: &gateway, client_id: String::new(), client_secret: String::new(), token };
    let link = async |with: &Tokens| api.post(&path, &json!({ "link_with": with.id_token() })).await;
    let nobody = |page: &Page, why: &str| {
        assert_eq!(refused(page, 400, "invalid_body"), ["/link_with"]);
        assert!(page.contains(why), "{}", page.body);
    };
    nobody(&link(&come("hub").await).await, "does not tell");
    acme.is_now(&json!({ "sub": "joe", "name": "Joe" }));
    acme.lies(|lies| lies.id_token = json!({ "auth_time": null }));
    nobody(&link(&come("acme").await).await, "does not tell");
    acme.lies(|_| {});
    // Nor one of a session that has been ended: nobody can say any more what it knew.
    let ended = come("acme").await;
    let sid = ended.claims()["sid"].as_str().unwrap().to_owned();
    assert!(program.delete(&format!("/sessions/{sid}")).await.status < 300);
    nobody(&link(&ended).await, "is over");
    let linked = good(&link(&come("acme").await).await, 201);
    assert_eq!(linked.as_array().unwrap().len(), 2, "{linked}");
}

/// Whoever can make the provider fail, by a code of their own, shuts it off for nobody.
#[tokio::test]
async fn who_makes_a_provider_fail_shuts_nobody_out() {
    let provider = Provider::start().await;
    let (gateway, app) = provider.gateway("").await;
    let come = async || {
        let browser = Browser::new();
        let departure = browser.open(app.authorize(&gateway, &[]).as_str()).await.away();
        back(&browser, &departure, &[("code", "c")]).await
    };
    let good = provider.answers.lock().unwrap()["/token"].clone();
    provider.tells("/token", Reply::status(500));
    for _ in 0..6 {
        assert_eq!(app.error(&gateway, &come().await).0, "temporarily_unavailable");
    }
    assert_eq!(provider.site.seen().len(), 6);
    provider.tells("/token", good);
    app.code(&gateway, &come().await);
}
