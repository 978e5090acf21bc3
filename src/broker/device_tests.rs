//! The device grant over embedded stores, from the device's request to its tokens.

use super::*;
use crate::broker::consent::ConsentChoice;
use crate::broker::consent::tests::{Scene, question, scene};
use crate::broker::possession::Shown;
use crate::broker::tests::{call, with_client};
use crate::broker::{ConsentQuestion, CookieChange};
use crate::oidc::testing::params;
use serde_json::Value;

async fn with_devices() -> Scene {
    let mut scene = scene().await;
    with_client(&mut scene.gateway, |client| {
        client.first_party = true;
        client.grant_types.push(GrantType::DeviceCode);
    });
    scene
}

async fn started(gateway: &Gateway, more: &[(&str, &str)]) -> Result<Value, ErrorKind> {
    let body = params(&[&[("client_id", "notes")], more].concat());
    let proof = ClientProof { authorization: None, body: &body, certificate: None, endpoint: "/oauth/device/code", address: None };
    let started = gateway.begin_device(proof, "device", Timestamp::now()).await.map_err(|error| error.kind)?;
    Ok(serde_json::from_str(&started.to_json()).expect("JSON"))
}

async fn polled(gateway: &Gateway, device: &Value) -> Result<Value, ErrorKind> {
    let code = device["device_code"].as_str().expect("a code");
    let body = format!("grant_type=urn:ietf:params:oauth:grant-type:device_code&client_id=notes&device_code={code}");
    let answer = gateway.token(call(body.as_bytes(), &Shown::default()), Timestamp::now()).await;
    answer.map(|tokens| serde_json::from_str(&tokens.response.to_json()).expect("JSON")).map_err(|refusal| refusal.error.kind)
}

impl Scene {
    async fn typed(&self, typed: Typed<'_>) -> Answer {
        self.gateway.activate(typed, &self.browser, "c", Timestamp::now()).await.answer
    }

    /// Types a code into the page.
    async fn types(&self, user_code: &str) -> Answer {
        let page = page(self.typed(Typed::default()).await);
        self.typed(Typed { user_code: Some(user_code), csrf: Some(&page.csrf), address: Some("192.0.2.1".parse().expect("an address")) })
            .await
    }

    async fn question_of(&self, device: &Value) -> ConsentQuestion {
        question(self.types(device["user_code"].as_str().expect("a code")).await)
    }
}

fn page(answer: Answer) -> DevicePage {
    match answer {
        Answer::EnterCode(page) => page,
        other => panic!("not the page for codes: {other:?}"),
    }
}

fn connected(answer: Answer) -> bool {
    match answer {
        Answer::Reply(Reply::Device { connected }) => connected,
        other => panic!("nothing was decided: {other:?}"),
    }
}

fn refused(answer: Answer) -> ErrorKind {
    match answer {
        Answer::Refused(refusal) => refusal.error.kind,
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test]
async fn a_person_connects_a_device() {
    let scene = with_devices().await;
    let device = started(&scene.gateway, &[("scope", "openid email offline_access admin")]).await.expect("started");
    let user_code = device["user_code"].as_str().expect("a code");
    assert_eq!(
        (device["verification_uri"].as_str(), device["expires_in"].as_u64()),
        (Some("https://login.example.org/activate"), Some(900))
    );
    assert_eq!(device["verification_uri_complete"], format!("https://login.example.org/activate?user_code={user_code}"));
    assert_eq!((device["interval"].as_u64(), polled(&scene.gateway, &device).await), (Some(5), Err(ErrorKind::AuthorizationPending)));

    // The operator's own applications ask as well, and what is asked names the device.
    let asked = question(scene.types(&format!(" {} ", user_code.replace('-', " ").to_ascii_lowercase())).await);
    assert_eq!((asked.device.as_deref(), asked.person.as_str()), (Some(user_code), "jane@acme.example"));
    assert_eq!(asked.scopes.iter().map(|scope| scope.name.as_str()).collect::<Vec<_>>(), ["openid", "email", "offline_access"]);
    assert!(connected(scene.choose(&asked, ConsentChoice::Allow).await));
    let tokens = polled(&scene.gateway, &device).await.expect("tokens");
    assert!(tokens["access_token"].is_string() && tokens["refresh_token"].is_string() && tokens["id_token"].is_string(), "{tokens}");
    assert_eq!(polled(&scene.gateway, &device).await, Err(ErrorKind::InvalidGrant), "one use");
    assert!(page(scene.types(user_code).await).unknown, "nobody else types it");
    // And again for the next device.
    let next = started(&scene.gateway, &[("scope", "openid email")]).await.expect("started");
    scene.question_of(&next).await;
}

#[tokio::test]
async fn a_person_refuses_a_device() {
    let scene = with_devices().await;
    let device = started(&scene.gateway, &[("scope", "openid")]).await.expect("started");
    let asked = scene.question_of(&device).await;
    assert!(!connected(scene.choose(&asked, ConsentChoice::Deny).await));
    assert_eq!(polled(&scene.gateway, &device).await, Err(ErrorKind::AccessDenied));
    assert_eq!(polled(&scene.gateway, &device).await, Err(ErrorKind::InvalidGrant));
}

#[tokio::test]
async fn the_first_decision_about_a_device_counts() {
    for (first, second) in [(ConsentChoice::Deny, ConsentChoice::Allow), (ConsentChoice::Allow, ConsentChoice::Deny)] {
        let scene = with_devices().await;
        let device = started(&scene.gateway, &[("scope", "openid")]).await.expect("started");
        let (one, other) = (scene.question_of(&device).await, scene.question_of(&device).await);
        connected(scene.choose(&one, first).await);
        assert_eq!(refused(scene.choose(&other, second).await), ErrorKind::LoginAlreadyFinished);
        let outcome = polled(&scene.gateway, &device).await;
        match first {
            ConsentChoice::Deny => assert_eq!(outcome, Err(ErrorKind::AccessDenied)),
            _ => assert!(outcome.expect("tokens")["access_token"].is_string()),
        }
    }
}

#[tokio::test]
async fn only_our_own_page_takes_codes() {
    let scene = with_devices().await;
    let device = started(&scene.gateway, &[("scope", "openid")]).await.expect("started");
    let user_code = device["user_code"].as_str();
    for csrf in [None, Some(""), Some("0123")] {
        let shown = page(scene.typed(Typed { user_code, csrf, address: None }).await);
        assert_eq!((Some(shown.user_code.as_str()), shown.unknown), (user_code, false), "the page, with the code in it");
    }
    // The page of another browser.
    let other = Browser { binding: Some(id::random_token()), ..scene.browser.clone() };
    let csrf = page(scene.gateway.activate(Typed::default(), &other, "c", Timestamp::now()).await.answer).csrf;
    page(scene.typed(Typed { user_code, csrf: Some(&csrf), address: None }).await);
    // One that blocks cookies.
    let nobody = Browser::default();
    let outcome = scene.gateway.activate(Typed { user_code, csrf: Some(&csrf), address: None }, &nobody, "c", Timestamp::now()).await;
    assert!(matches!(outcome.binding, CookieChange::Set(_)));
    page(outcome.answer);
}

#[tokio::test]
async fn nobody_finds_a_code_by_trying() {
    let mut scene = with_devices().await;
    let device = started(&scene.gateway, &[("scope", "openid")]).await.expect("started");
    for _ in 0..OF_BROWSER {
        assert!(page(scene.types("WDJB-MJHT").await).unknown);
    }
    let right = device["user_code"].as_str().expect("a code");
    assert_eq!(refused(scene.types(right).await), ErrorKind::TooManyRequests);
    // Another browser, and then the address as a whole.
    for _ in 0..(OF_ADDRESS - OF_BROWSER) {
        scene.browser.binding = Some(id::random_token());
        assert!(page(scene.types("").await).unknown);
    }
    scene.browser.binding = Some(id::random_token());
    assert_eq!(refused(scene.types(right).await), ErrorKind::TooManyRequests);
}

#[tokio::test]
async fn a_device_waits_for_a_quarter_of_an_hour() {
    let scene = with_devices().await;
    let device = started(&scene.gateway, &[("scope", "openid")]).await.expect("started");
    let asked = scene.question_of(&device).await;
    let (id, csrf, late) = (asked.transaction_id.as_str(), Some(asked.csrf.as_str()), Timestamp::now().plus_seconds(i64::from(LIFETIME)));
    let csrf_of_page = page(scene.typed(Typed::default()).await).csrf;
    let typed = Typed { user_code: device["user_code"].as_str(), csrf: Some(&csrf_of_page), address: None };
    assert!(page(scene.gateway.activate(typed, &scene.browser, "c", late).await.answer).unknown);
    let answer = scene.gateway.consent_choice(id, ConsentChoice::Allow, csrf, &scene.browser, late).await.answer;
    assert!([ErrorKind::ExpiredToken, ErrorKind::LoginExpired, ErrorKind::LoginRequired].contains(&refused(answer)));
    assert_eq!(polled(&scene.gateway, &device).await, Err(ErrorKind::AuthorizationPending), "nothing was decided");
    // Whatever else lives longer.
    let reply = DeviceReply { grant_id: id::random_id(), user_code: "WDJB-MJHT".to_owned(), expires_at: late };
    let decide = async |now: Timestamp| scene.gateway.decide(&reply, now).await.map_err(|error| error.kind);
    assert_eq!(decide(late).await, Err(ErrorKind::ExpiredToken));
    assert_eq!(decide(late.plus_seconds(-1)).await, Ok(()));
    assert_eq!(decide(late.plus_seconds(-1)).await, Err(ErrorKind::LoginAlreadyFinished));
}

#[tokio::test]
async fn a_client_begins_what_it_is_registered_for() {
    let mut scene = with_devices().await;
    let begin = async |scene: &Scene, more: &[(&str, &str)]| started(&scene.gateway, more).await.map(drop);
    assert_eq!(begin(&scene, &[("resource", "https://nobody.example/")]).await, Err(ErrorKind::InvalidTarget));
    assert_eq!(begin(&scene, &[("audience", "https://nobody.example/")]).await, Err(ErrorKind::InvalidRequest));
    assert_eq!(begin(&scene, &[("scope", "\u{fc}")]).await, Err(ErrorKind::InvalidScope));
    assert_eq!(begin(&scene, &[]).await, Ok(()));
    with_client(&mut scene.gateway, |client| client.grant_types.retain(|grant| *grant != GrantType::DeviceCode));
    assert_eq!(begin(&scene, &[]).await, Err(ErrorKind::UnauthorizedClient));
}

#[test]
fn codes_are_eight_letters_that_nobody_confuses() {
    let codes: Vec<String> = (0..200).map(|_| user_code()).collect();
    for code in &codes {
        let (first, second) = code.split_once('-').expect("two halves");
        assert!(first.len() == 4 && second.len() == 4 && format!("{first}{second}").bytes().all(|byte| LETTERS.contains(&byte)), "{code}");
    }
    for letter in LETTERS {
        assert!(codes.iter().any(|code| code.as_bytes().contains(letter)), "{}", char::from(*letter));
    }
}
