//! Applications that register themselves, over HTTP, and what they may do then; pairwise subjects beside public ones.

use crate::api::{Api, command};
use crate::harness::app::{App, Auth, Tokens, assert_oauth_error, userinfo};
use crate::harness::browser::{Browser, Page};
use crate::harness::gateway::Gateway;
use crate::harness::idp::Person;
use crate::harness::scene::Scene;
use reqwest::Method;
use serde_json::{Value, json};

const BYE: &str = "https://wiki.example/bye";

async fn scene(registration: &str) -> Scene {
    Scene::with(|mut setup| {
        setup.top_tables = format!("[registration]\n{registration}\n");
        setup
    })
    .await
}

async fn ask(gateway: &Gateway, method: Method, path: &str, token: Option<&str>, body: Option<&Value>) -> Page {
    let url = gateway.url(path);
    let mut request = gateway.client().request(method, url.clone());
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    if let Some(body) = body {
        request = request.json(body);
    }
    Page::read(request.send().await.expect("the gateway answers"), &url).await
}

async fn register(gateway: &Gateway, token: Option<&str>, body: &Value) -> Page {
    ask(gateway, Method::POST, "/oidc/register", token, Some(body)).await
}

fn wiki() -> Value {
    json!({ "redirect_uris": ["https://wiki.example/cb"], "client_name": "Wiki", "token_endpoint_auth_method": "none" })
}

fn text(body: &Value, name: &str) -> String {
    body[name].as_str().unwrap_or_else(|| panic!("no {name} in {body}")).to_owned()
}

#[tokio::test]
async fn an_application_registers_itself_and_people_sign_in() {
    let scene = scene("mode = \"open\"").await;
    let discovery = ask(&scene.gateway, Method::GET, "/.well-known/openid-configuration", None, None).await.json();
    assert_eq!(text(&discovery, "registration_endpoint"), scene.gateway.url("/oidc/register").to_string());
    let page = register(&scene.gateway, None, &wiki()).await;
    assert_eq!((page.status, page.header("cache-control")), (201, "no-store"), "{}", page.body);
    let told = page.json();
    let (client_id, token) = (text(&told, "client_id"), text(&told, "registration_access_token"));
    let wiki = App { callback: "https://wiki.example/cb".to_owned(), ..App::new(&client_id) }.by(Auth::None);
    let browser = Browser::new();
    let here = Scene { gateway: scene.gateway, idp: scene.idp, app: wiki, browser };
    // Nobody here answers for it, so people are asked.
    let request = here.ask(&[]).await;
    let page = here.answer(&here.idp.respond(&request, &Person::jane())).await.here();
    let answer = here.browser.press(&page, "Allow").await.away();
    let tokens = Tokens::of(&here.app.redeem(&here.gateway, &here.app.code(&here.gateway, &answer), &[]).await);
    assert_eq!(tokens.claims()["aud"], json!(client_id));

    // RFC 7592: read, change, delete; each with the token, and with that alone.
    let place = format!("/oidc/register/{client_id}");
    assert_eq!(text(&told, "registration_client_uri"), here.gateway.url(&place).to_string());
    let shown = ask(&here.gateway, Method::GET, &place, Some(&token), None).await;
    assert_eq!((shown.status, text(&shown.json(), "client_name")), (200, "Wiki".to_owned()));
    for wrong in [None, Some("x"), Some(tokens.access_token())] {
        for method in [Method::GET, Method::DELETE] {
            let refused = ask(&here.gateway, method, &place, wrong, None).await;
            assert_oauth_error(&refused, 401, "invalid_token");
            assert!(refused.header("www-authenticate").starts_with("Bearer "), "{:?}", refused.headers);
        }
        assert_eq!(ask(&here.gateway, Method::PUT, &place, wrong, Some(&json!({}))).await.status, 401);
    }
    let said = json!({ "client_id": client_id, "redirect_uris": ["https://wiki.example/other"], "token_endpoint_auth_method": "none" });
    let changed = ask(&here.gateway, Method::PUT, &place, Some(&token), Some(&said)).await;
    assert_eq!(changed.status, 200, "{}", changed.body);
    let token = text(&changed.json(), "registration_access_token");
    here.browser.open(here.app.authorize(&here.gateway, &[]).as_str()).await.here().assert_refused(400, "ISTH-1008");
    let moved = App { callback: "https://wiki.example/other".to_owned(), ..here.app.clone() };
    let answer = here.browser.open(moved.authorize(&here.gateway, &[]).as_str()).await.away();
    moved.code(&here.gateway, &answer);
    assert_eq!(ask(&here.gateway, Method::DELETE, &place, Some(&token), None).await.status, 204);
    here.browser.open(moved.authorize(&here.gateway, &[]).as_str()).await.here().assert_refused(400, "ISTH-1008");
    assert_eq!(userinfo(&here.gateway, tokens.access_token()).await.status, 401);
}

#[tokio::test]
async fn what_cannot_be_registered_is_refused_in_the_words_of_the_standard() {
    let scene = scene("mode = \"open\"").await;
    for (body, error, member) in [
        (json!({"redirect_uris": ["http://wiki.example/cb"]}), "invalid_redirect_uri", "redirect_uris"),
        (json!({"redirect_uris": ["https://wiki.example/cb#x"]}), "invalid_redirect_uri", "redirect_uris"),
        (json!({"redirect_uris": ["https://wiki.example/cb"], "subject_type": "x"}), "invalid_client_metadata", "subject_type"),
        (json!({"redirect_uris": ["https://wiki.example/cb"], "logo_uri": "x"}), "invalid_client_metadata", "logo_uri"),
        (json!([]), "invalid_client_metadata", "object"),
    ] {
        let page = register(&scene.gateway, None, &body).await;
        assert_oauth_error(&page, 400, error);
        assert!(text(&page.json(), "error_description").contains(member), "{}", page.body);
    }
    let url = scene.gateway.url("/oidc/register");
    let client = scene.gateway.client();
    let page = Page::read(client.post(url.clone()).body("{}").send().await.unwrap(), &url).await;
    assert_eq!(page.status, 415);
    let large = json!({ "client_name": "x".repeat(70_000) });
    assert_eq!(register(&scene.gateway, None, &large).await.status, 413);
    let broken = client.post(url.clone()).header("content-type", "application/json").body("{").send().await.unwrap();
    assert_eq!(Page::read(broken, &url).await.status, 400);
}

#[tokio::test]
async fn without_registration_there_is_nothing_there() {
    let scene = Scene::new().await;
    let discovery = ask(&scene.gateway, Method::GET, "/.well-known/openid-configuration", None, None).await.json();
    assert_eq!(discovery.get("registration_endpoint"), None);
    assert_eq!(register(&scene.gateway, None, &wiki()).await.status, 404);
    assert_eq!(ask(&scene.gateway, Method::GET, "/oidc/register/notes", Some("x"), None).await.status, 404);
}

#[tokio::test]
async fn an_operator_gives_out_tokens_and_sees_what_registered() {
    let scene = scene("mode = \"initial_access_token\"").await;
    assert_oauth_error(&register(&scene.gateway, None, &wiki()).await, 401, "invalid_token");
    let run = async |arguments: &[&str]| {
        let output = command(&scene.gateway, arguments).await;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice::<Value>(&output.stdout).expect("JSON")
    };
    let made = run(&["registration", "token", "--uses", "2", "--note", "for the wiki", "--json"]).await;
    let token = text(&made, "token");
    let told = register(&scene.gateway, Some(&token), &wiki()).await;
    assert_eq!(told.status, 201, "{}", told.body);
    let listed = run(&["registration", "list", "--json"]).await;
    assert_eq!((&listed[0]["uses_left"], &listed[0]["note"]), (&json!(1), &json!("for the wiki")));
    run(&["registration", "revoke", &text(&listed[0], "id"), "--json"]).await;
    assert_oauth_error(&register(&scene.gateway, Some(&token), &wiki()).await, 401, "invalid_token");

    let api = Api::of(&scene.gateway).await;
    let client_id = text(&told.json(), "client_id");
    let client = api.read(&format!("/clients/{client_id}")).await;
    assert_eq!(
        (&client["name"], &client["is_first_party"], &client["isthmus"]["source"]),
        (&json!("Wiki"), &json!(false), &json!("registration"))
    );
    let shown = client.to_string();
    assert!(!shown.contains("digest") && client.get("registration").is_none(), "{shown}");
    // What an operator takes away is gone for the client too.
    assert_eq!(api.delete(&format!("/clients/{client_id}")).await.status, 204);
    let place = format!("/oidc/register/{client_id}");
    let gone = ask(&scene.gateway, Method::GET, &place, Some(&text(&told.json(), "registration_access_token")), None).await;
    assert_oauth_error(&gone, 401, "invalid_token");
}

#[tokio::test]
async fn a_registered_application_gets_no_token_for_people_s_accounts() {
    let scene = scene("mode = \"open\"").await;
    let told = register(&scene.gateway, None, &wiki()).await.json();
    let wiki = App { callback: "https://wiki.example/cb".to_owned(), ..App::new(&text(&told, "client_id")) }.by(Auth::None);
    let audience = format!("{}/api/v2/", scene.gateway.issuer());
    let asked = [("audience", audience.as_str()), ("scope", "openid update:current_user_identities")];
    let answer = scene.browser.open(wiki.authorize(&scene.gateway, &asked).as_str()).await.away();
    assert_eq!(wiki.error(&scene.gateway, &answer).0, "invalid_request");
    // An application of the operator's may ask for one.
    let answer = scene.browser.open(scene.app.authorize(&scene.gateway, &asked).as_str()).await.away();
    assert_eq!(answer.parameter("error"), None);
}

#[tokio::test]
async fn pairwise_and_public_applications_in_one_session() {
    let at = |client_id: &str, host: &str| App { callback: format!("https://{host}/cb"), ..App::new(client_id) };
    let (wiki, blog, shop) = (at("wiki", "wiki.example"), at("blog", "wiki.example"), at("shop", "shop.example"));
    let pairwise = format!("subject_type = \"pairwise\"\npost_logout_redirect_uris = [\"{BYE}\"]");
    let scene = Scene::with(|setup| {
        let setup = setup.application(&wiki.toml("", &pairwise)).application(&blog.toml("", "subject_type = \"pairwise\""));
        setup.application(&shop.toml("", "subject_type = \"pairwise\""))
    })
    .await;
    let notes = scene.tokens(&Person::jane(), &[]).await;
    let of = async |app: &App, changes: &[(&str, &str)]| {
        let answer = scene.browser.open(app.authorize(&scene.gateway, changes).as_str()).await.away();
        let code = app.code(&scene.gateway, &answer);
        Tokens::of(&app.redeem(&scene.gateway, &code, &[]).await)
    };
    let (in_wiki, in_blog, in_shop) = (of(&wiki, &[]).await, of(&blog, &[]).await, of(&shop, &[]).await);
    let sub = |tokens: &Tokens| text(&tokens.claims(), "sub");
    assert!(sub(&notes).contains('|'), "a public subject is the user's id: {}", sub(&notes));
    assert_eq!(sub(&in_wiki), sub(&in_blog), "one sector");
    assert_ne!(sub(&in_wiki), sub(&in_shop));
    for tokens in [&in_wiki, &in_shop] {
        let claims = tokens.claims().to_string();
        assert!(!claims.contains(&sub(&notes)), "{claims}");
        let told = userinfo(&scene.gateway, tokens.access_token()).await;
        assert_eq!(text(&told.json(), "sub"), sub(tokens), "UserInfo calls the person the same");
        assert!(!told.body.contains(&sub(&notes)), "{}", told.body);
    }
    // A hint says who is meant in the words of its application, and no other.
    let silently =
        |tokens: &Tokens| vec![("prompt".to_owned(), "none".to_owned()), ("id_token_hint".to_owned(), tokens.id_token().to_owned())];
    let hinted = async |app: &App, tokens: &Tokens| {
        let changes = silently(tokens);
        let changes: Vec<(&str, &str)> = changes.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        scene.browser.open(app.authorize(&scene.gateway, &changes).as_str()).await.away()
    };
    assert!(hinted(&wiki, &in_wiki).await.parameter("code").is_some());
    assert!(hinted(&scene.app, &notes).await.parameter("code").is_some());
    // Another person's.
    scene.sign_in(&Person::zoe(), &[("prompt", "login")]).await;
    assert_eq!(hinted(&wiki, &in_wiki).await.parameter("error").as_deref(), Some("login_required"));
    let zoe = of(&wiki, &[]).await;
    assert_ne!(sub(&zoe), sub(&in_wiki));
    // Jane's token ends nothing of Zoe's; Zoe's ends her session at once.
    let logout = |tokens: &Tokens| {
        let mut url = scene.gateway.url("/oidc/logout");
        url.query_pairs_mut().extend_pairs([("id_token_hint", tokens.id_token()), ("post_logout_redirect_uri", BYE)]);
        url
    };
    let page = scene.browser.open(logout(&in_wiki).as_str()).await.here();
    assert!(page.contains("Do you want to sign out?"), "{}", page.body);
    assert_eq!(scene.browser.open(logout(&zoe).as_str()).await.away().url.as_str(), BYE);
}

#[tokio::test]
async fn a_login_begins_at_the_application() {
    let scene = Scene::with(|mut setup| {
        setup.applications = vec![App::new("notes").toml("", "initiate_login_uri = \"https://notes.example/start\"")];
        setup
    })
    .await;
    let start = |query: &str| scene.gateway.url(&format!("/start?{query}"));
    let away = scene.browser.open(start("client_id=notes&login_hint=jane").as_str()).await.away();
    assert!(away.url.as_str().starts_with("https://notes.example/start?"), "{}", away.url);
    assert_eq!(away.parameter("iss"), Some(scene.gateway.issuer()));
    assert_eq!(away.parameter("login_hint").as_deref(), Some("jane"));
    for query in ["client_id=other", "client_id=notes&target_link_uri=https%3A%2F%2Fevil.example%2F"] {
        scene.browser.open(start(query).as_str()).await.here().assert_refused(400, "ISTH-1008");
    }
}
