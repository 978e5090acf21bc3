//! Session Management 1.0: what applications' pages may ask our frame, and what they get to ask it with.

use crate::harness::app::App;
use crate::harness::browser::{Browser, Departure, client};
use crate::harness::gateway::Setup;
use crate::harness::idp::Person;
use crate::harness::keys::Pair;
use crate::harness::scene::Scene;
use crate::harness::web::{Asked, Site};
use crate::harness::webdriver::Chromium;
use openssl::sha::sha256;
use serde_json::Value;

const ON: &str = "session_management = true";
const ORIGIN: &str = "https://notes.example";

async fn scene(top: &str) -> Scene {
    Scene::with(|setup: Setup| Setup { top: top.to_owned(), ..setup }).await
}

async fn discovery(scene: &Scene) -> Value {
    Browser::new().open(scene.gateway.url("/.well-known/openid-configuration").as_str()).await.here().json()
}

/// As section 3.2 has the frame compute it.
fn is_of(session_state: &str, client_id: &str, browser_state: &str) -> bool {
    let (hash, salt) = session_state.split_once('.').expect("hash and salt");
    let computed = sha256(format!("{client_id} {ORIGIN} {browser_state} {salt}").as_bytes());
    computed.iter().map(|byte| format!("{byte:02x}")).collect::<String>() == hash
}

async fn asked(scene: &Scene, changes: &[(&str, &str)]) -> Departure {
    scene.browser.open(scene.app.authorize(&scene.gateway, changes).as_str()).await.away()
}

fn state_cookie(scene: &Scene) -> String {
    scene.browser.cookie("isthmus-state").map(|cookie| cookie.value).unwrap_or_default()
}

#[tokio::test]
async fn where_it_is_off_there_is_nothing_of_it() {
    let scene = scene("").await;
    assert!(discovery(&scene).await.get("check_session_iframe").is_none());
    assert_eq!(Browser::new().open(scene.gateway.url("/oidc/session").as_str()).await.here().status, 404);
    scene.sign_in(&Person::jane(), &[]).await;
    let again = asked(&scene, &[("prompt", "none")]).await;
    assert!(again.parameter("code").is_some() && again.parameter("session_state").is_none());
    assert!(scene.browser.cookie("isthmus-state").is_none());
}

#[tokio::test]
async fn every_answer_to_an_application_has_a_session_state_that_fits_the_browser() {
    let scene = scene(ON).await;
    // Nobody is signed in: the error says so, in the same way.
    let error = asked(&scene, &[("prompt", "none")]).await;
    assert_eq!(error.parameter("error").as_deref(), Some("login_required"));
    assert!(is_of(&error.parameter("session_state").expect("a state"), "notes", ""));
    assert_eq!(state_cookie(&scene), "");
    // Somebody is.
    scene.sign_in(&Person::jane(), &[]).await;
    let state = state_cookie(&scene);
    assert_eq!(state.len(), 64);
    let cookie = scene.browser.cookie("isthmus-state").expect("a cookie");
    assert!(!cookie.http_only, "scripts of the frame read it");
    let session = scene.browser.cookie("isthmus-session").expect("a session").value;
    assert!(!state.contains(&session) && !session.contains(&state));
    let mut seen = std::collections::HashSet::new();
    for changes in [&[("prompt", "none")][..], &[], &[("response_mode", "fragment")], &[("response_mode", "form_post")]] {
        let answer = asked(&scene, changes).await;
        let parameters = match answer.url.fragment() {
            Some(fragment) => url::form_urlencoded::parse(fragment.as_bytes()).into_owned().collect(),
            None => answer.parameters(),
        };
        let value = |name: &str| parameters.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
        let session_state = value("session_state").unwrap_or_else(|| panic!("{changes:?}: {parameters:?}"));
        assert!(value("code").is_some() && is_of(&session_state, "notes", &state), "{changes:?}");
        assert!(!is_of(&session_state, "wiki", &state) && !is_of(&session_state, "notes", ""));
        assert!(seen.insert(session_state), "each has a salt of its own");
    }
    assert_eq!(state_cookie(&scene), state, "it is the session's");
    // An error with a session: something else was asked for.
    let error = asked(&scene, &[("prompt", "none login")]).await;
    assert!(error.parameter("error").is_some() && is_of(&error.parameter("session_state").expect("a state"), "notes", &state));
    // Another login is another session.
    scene.sign_in(&Person::jane(), &[("prompt", "login")]).await;
    assert_ne!(state_cookie(&scene), state);
    // And with the session it ends.
    let tokens = scene.tokens(&Person::jane(), &[("prompt", "login")]).await;
    let mut end = scene.gateway.url("/oidc/logout");
    end.query_pairs_mut().append_pair("id_token_hint", tokens.id_token());
    scene.browser.open(end.as_str()).await.here();
    assert_eq!(state_cookie(&scene), "");
}

#[tokio::test]
async fn a_frame_to_which_no_session_cookie_travels_changes_nothing() {
    let scene = scene(ON).await;
    scene.sign_in(&Person::jane(), &[]).await;
    let state = state_cookie(&scene);
    let url = scene.app.authorize(&scene.gateway, &[("prompt", "none")]);
    let request = client().get(url).header("sec-fetch-dest", "iframe").header("cookie", format!("isthmus-state={state}"));
    let answer = request.send().await.unwrap();
    assert!(answer.headers().get_all("set-cookie").iter().all(|cookie| !cookie.to_str().unwrap().starts_with("isthmus-state")));
    let location = url::Url::parse(answer.headers()["location"].to_str().unwrap()).unwrap();
    let found = location.query_pairs().find(|(name, _)| name == "session_state").expect("a state").1.into_owned();
    assert!(is_of(&found, "notes", &state));
}

#[tokio::test]
async fn discovery_names_the_frame_which_anybody_may_show_and_whose_script_alone_runs() {
    let scene = scene(ON).await;
    let frame = discovery(&scene).await["check_session_iframe"].as_str().expect("an address").to_owned();
    assert_eq!(frame, scene.gateway.url("/oidc/session").as_str());
    let answer = client().get(&frame).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let policy = answer.headers()["content-security-policy"].to_str().unwrap().to_owned();
    let nonce = policy.split("'nonce-").nth(1).and_then(|rest| rest.split('\'').next()).expect("a nonce").to_owned();
    assert_eq!(policy, format!("default-src 'none'; script-src 'nonce-{nonce}'; base-uri 'none'; frame-ancestors *"));
    assert!(answer.text().await.unwrap().contains(&format!("<script nonce=\"{nonce}\">")));
}

/// In a browser: the application's page asks, before and after.
#[tokio::test]
async fn in_a_browser_the_frame_says_unchanged_changed_and_error() {
    let pair = Pair::rsa("localhost");
    // A page of the application that shows our frame and writes down what it says.
    let application = Site::start(|asked: &Asked| match asked.path() {
        "/ask" => {
            let parameters = asked.parameters();
            let page = "<!doctype html><title>asking</title><iframe src=\"FRAME\" onload=\"this.contentWindow.postMessage(MESSAGE, new window.URL(this.src).origin)\"></iframe>\
                        <script>addEventListener('message', event => { document.title = 'said ' + event.data; });</script>";
            page.replace("FRAME", &parameters["frame"]).replace("MESSAGE", &format!("'{}'", parameters["message"]))
        }
        _ => "<!doctype html><title>Notes</title>".to_owned(),
    })
    .await;
    let app = App { callback: format!("http://localhost:{}/callback", application.port), ..App::new("notes") };
    let scene = Scene::with(|mut setup: Setup| {
        setup.applications = vec![app.toml("", "")];
        Setup { host: "localhost", top: ON.to_owned(), ..setup.secure(&pair) }
    })
    .await;
    let chromium = Chromium::start().await;
    let authorize = app.authorize(&scene.gateway, &[("prompt", "none")]);
    chromium.open(authorize.as_str()).await;
    let url = url::Url::parse(&chromium.wait_for_url(&app.callback).await).unwrap();
    let state = url.query_pairs().find(|(name, _)| name == "session_state").expect("a state").1.into_owned();
    let frame = scene.gateway.url("/oidc/session").to_string();
    let said = async |message: String| {
        let mut ask = url::Url::parse(&format!("http://localhost:{}/ask", application.port)).unwrap();
        ask.query_pairs_mut().append_pair("frame", &frame).append_pair("message", &message);
        chromium.open(ask.as_str()).await;
        let said = tokio::time::timeout(std::time::Duration::from_secs(8), async {
            crate::harness::eventually("an answer", async || Some(chromium.title().await).filter(|title| title.starts_with("said "))).await
        });
        match said.await {
            Ok(said) => said,
            Err(_) => panic!("{message}: {:?}", chromium.complaints().await),
        }
    };
    assert_eq!(said(format!("notes {state}")).await, "said unchanged");
    assert_eq!(said(format!("wiki {state}")).await, "said changed");
    for wrong in ["notes", "", "notes x", "notes x.y", &format!("notes {state} more")] {
        assert_eq!(said(wrong.to_owned()).await, "said error", "{wrong}");
    }
    chromium.quit().await;
}
