//! What browsers do: several tabs, the Back button, forms sent twice, cookies that do not come.

use crate::harness::app::{App, begin};
use crate::harness::browser::Browser;
use crate::harness::eventually;
use crate::harness::gateway::Setup;
use crate::harness::idp::{Answer, Person};
use crate::harness::scene::Scene;

#[tokio::test]
async fn several_tabs_at_once_each_reach_their_own_application() {
    let wiki = App { callback: "https://wiki.example/cb".to_owned(), ..App::new("wiki") };
    let scene = Scene::with(|setup| setup.application(&wiki.toml("", ""))).await;
    let mut tabs = Vec::new();
    for number in 0..6 {
        let app = if number % 2 == 0 { &scene.app } else { &wiki };
        let departure = begin(&scene.browser, &app.authorize(&scene.gateway, &[("nonce", &format!("tab-{number}"))])).await;
        tabs.push((app, scene.idp.read(&departure)));
    }
    // In another order than they were opened.
    for (app, request) in tabs.iter().rev() {
        let answer = scene.answer(&scene.idp.respond(request, &Person::jane())).await.away();
        app.code(&scene.gateway, &answer);
    }
}

#[tokio::test]
async fn the_same_answer_posted_again_meets_a_page_that_goes_on() {
    let scene = Scene::new().await;
    let request = scene.ask(&[]).await;
    let answer = scene.idp.respond(&request, &Person::jane());
    let first = scene.answer(&answer).await.away();
    let page = scene.answer(&answer).await.here();
    page.assert_refused(409, "ISTH-2003");
    let (href, text) = page.restart().expect("a way on");
    assert_eq!(text, "Continue to Notes");
    // The way on leads to the application, by the session that the first post made.
    let onward = scene.browser.click(&page, &href).await.away();
    scene.app.code(&scene.gateway, &onward);
    // And the first code is unharmed.
    let code = scene.app.code(&scene.gateway, &first);
    assert_eq!(scene.app.redeem(&scene.gateway, &code, &[]).await.status, 200);
}

#[tokio::test]
async fn another_browser_cannot_finish_a_login_and_harms_nothing() {
    let scene = Scene::new().await;
    let request = scene.ask(&[]).await;
    let answer = scene.idp.respond(&request, &Person::zoe());
    // The other browser has begun a login of its own, so it has cookies of ours.
    let other = Browser::new();
    begin(&other, &scene.app.authorize(&scene.gateway, &[])).await;
    let page = other.post(&answer.from, &answer.to, &answer.fields()).await.here();
    page.assert_refused(403, "ISTH-2004");
    assert_eq!(page.restart(), None, "somebody else's login is not told");
    assert!(other.cookie("isthmus-session").is_none());
    // The browser that began it goes on as if nothing had happened.
    let answer = scene.answer(&answer).await.away();
    scene.app.code(&scene.gateway, &answer);
}

#[tokio::test]
async fn a_login_that_somebody_else_began_cannot_be_planted() {
    let scene = Scene::new().await;
    // The attacker signs in up to the answer, and gives the victim the form.
    let request = scene.ask(&[]).await;
    let answer = scene.idp.respond(&request, &Person::zoe());
    let victim = Browser::new();
    victim.post(&answer.from, &answer.to, &answer.fields()).await.here().assert_refused(400, "ISTH-2005");
    assert!(victim.cookie("isthmus-session").is_none());
}

#[tokio::test]
async fn an_expired_login_offers_to_start_the_same_one_again() {
    let wiki = App { callback: "https://wiki.example/cb".to_owned(), ..App::new("wiki") };
    let scene = Scene::with(|setup| Setup { lifetimes: "transaction = 1".to_owned(), ..setup.application(&wiki.toml("", "")) }).await;
    let request = scene.idp.read(&begin(&scene.browser, &wiki.authorize(&scene.gateway, &[("scope", "openid email")])).await);
    let answer = scene.idp.respond(&request, &Person::jane());
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    let page = scene.answer(&answer).await.here();
    page.assert_refused(400, "ISTH-2002");
    let (href, text) = page.restart().expect("a way on");
    assert_eq!(text, "Start again at Wiki");
    let request = scene.idp.read(&scene.browser.click(&page, &href).await.away());
    let answer = scene.answer(&scene.idp.respond(&request, &Person::jane())).await.away();
    wiki.code(&scene.gateway, &answer);
}

#[tokio::test]
async fn an_answer_that_nobody_asked_for_is_refused() {
    let scene = Scene::new().await;
    let request = scene.ask(&[]).await;
    let unsolicited = scene.idp.respond_with(&request, &Person::jane(), |response| response.in_response_to = None);
    for relay_state in [None, Some("https://notes.example/".to_owned()), Some("0123456789abcdef".to_owned())] {
        let answer = Answer { relay_state, ..unsolicited.clone() };
        scene.answer(&answer).await.here().assert_refused(403, "ISTH-3004");
    }
    // With the RelayState of a login that runs, it is an answer of that login, and a wrong one.
    let (error, _) = scene.app.error(&scene.gateway, &scene.answer(&unsolicited).await.away());
    assert!(["access_denied", "server_error"].contains(&error.as_str()), "{error}");
    // A login that is not known here.
    let unknown = Answer { relay_state: Some("0".repeat(32)), ..unsolicited };
    scene.answer(&unknown).await.here().assert_refused(400, "ISTH-2002");
}

#[tokio::test]
async fn without_a_relay_state_the_request_s_id_finds_the_login() {
    let scene = Scene::new().await;
    let request = scene.ask(&[]).await;
    let answer = Answer { relay_state: None, ..scene.idp.respond(&request, &Person::jane()) };
    let answer = scene.answer(&answer).await.away();
    scene.app.code(&scene.gateway, &answer);
}

#[tokio::test]
async fn a_browser_that_sends_no_cookies_is_told_so() {
    let mut scene = Scene::new().await;
    scene.browser.refuses_cookies = true;
    let request = scene.ask(&[]).await;
    let page = scene.answer(&scene.idp.respond(&request, &Person::jane())).await.here();
    page.assert_refused(400, "ISTH-2005");
    assert!(page.contains("Allow cookies"), "{}", page.body);
}

#[tokio::test]
async fn the_cookies_hide_what_they_are() {
    let scene = Scene::new().await;
    scene.sign_in(&Person::jane(), &[]).await;
    let cookies = scene.browser.cookies();
    assert_eq!(cookies.len(), 2, "{cookies:?}");
    for cookie in &cookies {
        assert!(cookie.http_only && cookie.same_site == "Lax" && cookie.value.len() == 43, "{cookie:?}");
    }
    // A new session cookie at every login: one that somebody planted before is worth nothing.
    let before = scene.browser.cookie("isthmus-session").unwrap().value;
    scene.sign_in(&Person::jane(), &[("prompt", "login")]).await;
    assert_ne!(scene.browser.cookie("isthmus-session").unwrap().value, before);
}

#[tokio::test]
async fn a_made_up_session_cookie_is_no_session() {
    let scene = Scene::new().await;
    let url = scene.app.authorize(&scene.gateway, &[("prompt", "none")]);
    for value in ["x".repeat(43), "x".to_owned(), String::new(), "../../etc/passwd".to_owned()] {
        let answer = crate::harness::browser::client()
            .get(url.clone())
            .header("cookie", format!("isthmus-session={value}; isthmus-login={value}"))
            .send()
            .await
            .unwrap();
        let location = answer.headers()["location"].to_str().unwrap();
        assert!(location.contains("error=login_required"), "{value}: {location}");
    }
}

#[tokio::test]
async fn two_posts_of_one_answer_at_the_same_time_make_one_login() {
    let scene = Scene::new().await;
    let request = scene.ask(&[]).await;
    let answer = scene.idp.respond(&request, &Person::jane());
    let posts = (0..8).map(|_| scene.answer(&answer));
    let outcomes = join_all(posts).await;
    let codes = outcomes
        .into_iter()
        .filter(|landed| matches!(landed, crate::harness::browser::Landed::Away(departure) if departure.parameter("code").is_some()));
    assert_eq!(codes.count(), 1);
}

/// Runs futures side by side.
async fn join_all<F: Future>(futures: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut running: Vec<_> = futures.map(|future| Some(Box::pin(future))).collect();
    let mut outputs: Vec<Option<F::Output>> = running.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (slot, output) in running.iter_mut().zip(&mut outputs) {
            if let Some(future) = slot
                && let std::task::Poll::Ready(value) = future.as_mut().poll(context)
            {
                *output = Some(value);
                *slot = None;
            }
        }
        if running.iter().all(Option::is_none) { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    outputs.into_iter().flatten().collect()
}

#[tokio::test]
async fn a_gateway_that_went_away_in_the_middle_leaves_a_way_back() {
    // The store forgets at a crash; the browser's login is then unknown, and the page says what to do.
    let mut scene = Scene::new().await;
    let request = scene.ask(&[]).await;
    let answer = scene.idp.respond(&request, &Person::jane());
    scene.gateway.kill();
    scene.gateway.start_again(|_| {}).await;
    let page = scene.answer(&answer).await.here();
    page.assert_refused(400, "ISTH-2002");
    assert!(page.contains("start again there"), "{}", page.body);
    eventually("a new login", async || scene.again(&[]).await.parameter("SAMLRequest")).await;
}
