//! Policy `ask`: the person proves that a known account is theirs, and nobody proves it for them.

use super::{World, person, subject};
use crate::harness::browser::{Browser, Landed, Page};
use crate::harness::idp::{AuthnRequest, Person, now};
use std::time::Duration;

const ASKS: &str = "[connection.linking]\npolicy = \"ask\"\nemail_domains = [\"acme.example\"]";
const EMAIL: &str = "jane@acme.example";
const NO: &str = "No, go on with a new account";

fn yes(connection: &str) -> String {
    format!("Yes, I sign in to it by The {connection} people")
}

fn jane() -> Person {
    person("jane", EMAIL, true)
}

fn newcomer() -> Person {
    person("j.doe", EMAIL, true)
}

/// Jane is known by `acme`; `globex` asks.
async fn world() -> World {
    let world = World::new(&[("acme", ""), ("globex", ASKS)]).await;
    assert_eq!(world.user("acme", &jane()).await, "samlp|acme|jane");
    world
}

/// The browser is on its way to prove an account.
async fn prove(world: &World, browser: &Browser, page: &Page, button: &str, at: &str) -> AuthnRequest {
    let request = world.idp(at).read(&browser.press(page, button).await.away());
    assert!(request.force_authn, "a proof is a fresh login: {}", request.xml);
    request
}

#[tokio::test]
async fn a_proven_account_and_the_new_identity_become_one() {
    let (world, browser) = (world().await, Browser::new());
    let page = world.come(&browser, "globex", &newcomer()).await.here();
    assert!(page.contains("Do you already have an account?") && page.contains("The globex people"), "{}", page.body);
    assert!(!page.contains("samlp|"), "{}", page.body);
    let request = prove(&world, &browser, &page, &yes("acme"), "acme").await;
    let tokens = world.redeem(world.answer(&browser, "acme", &request, &jane()).await).await;
    assert_eq!(subject(&tokens), "samlp|acme|jane");
    assert_eq!(tokens.claims()["name"], "The jane");
    // From now on both ways lead there, and nobody is asked any more.
    assert_eq!(world.user("globex", &newcomer()).await, "samlp|acme|jane");
    assert_eq!(world.user("acme", &jane()).await, "samlp|acme|jane");
    let (status, text) = world.command(&["user", "links", "samlp|acme|jane", "--json"]).await;
    assert!(status == 0 && text.contains("j.doe") && text.contains("ask"), "{text}");
}

#[tokio::test]
async fn an_old_session_at_the_identity_provider_is_no_fresh_login() {
    let (world, browser) = (world().await, Browser::new());
    let request = world.ask(&browser, "globex", &[]).await;
    let old = |response: &mut crate::harness::idp::Response| response.authn_instant = now() - Duration::from_secs(600);
    let answer = world.idp("globex").respond_with(&request, &newcomer(), old);
    let page = browser.post(&answer.from, &answer.to, &answer.fields()).await.here();
    // First the new identity once more, then the known account.
    let again = prove(&world, &browser, &page, &yes("acme"), "globex").await;
    let onward = world.answer(&browser, "globex", &again, &newcomer()).await.away();
    let request = world.idp("acme").read(&onward);
    assert!(request.force_authn);
    let tokens = world.redeem(world.answer(&browser, "acme", &request, &jane()).await).await;
    assert_eq!(subject(&tokens), "samlp|acme|jane");
    assert_eq!(world.user("globex", &newcomer()).await, "samlp|acme|jane");
}

/// keycloak/keycloak#49175, #52321, #53061: the proof is of one subject, and of no other at the same provider.
#[tokio::test]
async fn the_proof_is_bound_to_the_subject() {
    let (world, browser) = (world().await, Browser::new());
    let request = world.ask(&browser, "globex", &[]).await;
    let old = |response: &mut crate::harness::idp::Response| response.authn_instant = now() - Duration::from_secs(600);
    let answer = world.idp("globex").respond_with(&request, &newcomer(), old);
    let page = browser.post(&answer.from, &answer.to, &answer.fields()).await.here();
    let again = prove(&world, &browser, &page, &yes("acme"), "globex").await;
    world.answer(&browser, "globex", &again, &person("mallory", EMAIL, true)).await.here().assert_refused(409, "ISTH-3007");
    // The login is over: nothing of it can be gone on with.
    browser.press(&page, &yes("acme")).await.here().assert_refused(409, "ISTH-2003");
    assert_eq!(world.user("acme", &jane()).await, "samlp|acme|jane");
    assert!(world.come(&Browser::new(), "globex", &newcomer()).await.here().contains("Do you already have an account?"));
}

#[tokio::test]
async fn a_stale_login_proves_nothing() {
    let (world, browser) = (world().await, Browser::new());
    let page = world.come(&browser, "globex", &newcomer()).await.here();
    let request = prove(&world, &browser, &page, &yes("acme"), "acme").await;
    let old = |response: &mut crate::harness::idp::Response| response.authn_instant = now() - Duration::from_secs(3600);
    let answer = world.idp("acme").respond_with(&request, &jane(), old);
    let (error, _) = world.app.error(&world.gateway, &browser.post(&answer.from, &answer.to, &answer.fields()).await.away());
    assert_eq!(error, "server_error");
    assert!(world.come(&Browser::new(), "globex", &newcomer()).await.here().contains("Do you already have an account?"));
}

#[tokio::test]
async fn another_account_than_the_one_with_the_address_is_not_joined() {
    let (world, browser) = (world().await, Browser::new());
    assert_eq!(world.user("acme", &person("joe", "joe@acme.example", true)).await, "samlp|acme|joe");
    for other in [person("joe", "joe@acme.example", true), person("nobody-yet", EMAIL, true)] {
        let page = world.come(&browser, "globex", &newcomer()).await.here();
        let request = prove(&world, &browser, &page, &yes("acme"), "acme").await;
        world.answer(&browser, "acme", &request, &other).await.here().assert_refused(409, "ISTH-3007");
    }
    let (status, text) = world.command(&["user", "show", "samlp|acme|nobody-yet"]).await;
    assert_eq!(status, 1, "a proof makes nobody: {text}");
}

/// The proof belongs to the browser that began it.
#[tokio::test]
async fn another_browser_can_neither_ask_nor_answer() {
    let (world, browser, other) = (world().await, Browser::new(), Browser::new());
    world.ask(&other, "globex", &[]).await;
    let page = world.come(&browser, "globex", &newcomer()).await.here();
    other.press(&page, &yes("acme")).await.here().assert_refused(403, "ISTH-2004");
    other.press(&page, NO).await.here().assert_refused(403, "ISTH-2004");
    let request = prove(&world, &browser, &page, &yes("acme"), "acme").await;
    world.answer(&other, "acme", &request, &jane()).await.here().assert_refused(403, "ISTH-2004");
    // And the one that began goes on.
    let tokens = world.redeem(world.answer(&browser, "acme", &request, &jane()).await).await;
    assert_eq!(subject(&tokens), "samlp|acme|jane");
}

#[tokio::test]
async fn a_proof_is_used_once() {
    let (world, browser) = (world().await, Browser::new());
    let page = world.come(&browser, "globex", &newcomer()).await.here();
    let request = prove(&world, &browser, &page, &yes("acme"), "acme").await;
    let answer = world.idp("acme").respond(&request, &jane());
    let landed = browser.post(&answer.from, &answer.to, &answer.fields()).await;
    assert!(matches!(landed, Landed::Away(_)), "{landed:?}");
    browser.post(&answer.from, &answer.to, &answer.fields()).await.here().assert_refused(409, "ISTH-2003");
    browser.press(&page, &yes("acme")).await.here().assert_refused(409, "ISTH-2003");
    browser.press(&page, NO).await.here().assert_refused(409, "ISTH-2003");
}

#[tokio::test]
async fn whoever_says_no_gets_an_account_of_their_own_and_is_not_asked_again() {
    let (world, browser) = (world().await, Browser::new());
    let page = world.come(&browser, "globex", &newcomer()).await.here();
    assert_eq!(subject(&world.redeem(browser.press(&page, NO).await).await), "samlp|globex|j.doe");
    assert_eq!(world.user("globex", &newcomer()).await, "samlp|globex|j.doe");
}

#[tokio::test]
async fn the_first_answer_cannot_be_sent_twice() {
    let (world, browser) = (world().await, Browser::new());
    let request = world.ask(&browser, "globex", &[]).await;
    let answer = world.idp("globex").respond(&request, &newcomer());
    browser.post(&answer.from, &answer.to, &answer.fields()).await.here();
    // The login waits for another question's answer now.
    let page = browser.post(&answer.from, &answer.to, &answer.fields()).await.here();
    page.assert_refused(403, "ISTH-3001");
}

/// Whoever is not believed about the address learns nothing of its owner's ways to sign in.
#[tokio::test]
async fn an_unverified_newcomer_sees_every_way_and_not_the_owner_s() {
    let world = World::new(&[("acme", ""), ("initech", ""), ("globex", ASKS)]).await;
    world.user("acme", &jane()).await;
    let believed = world.come(&Browser::new(), "globex", &newcomer()).await.here();
    assert!(believed.contains(&yes("acme")) && !believed.contains(&yes("initech")), "{}", believed.body);
    let unbelieved = world.come(&Browser::new(), "globex", &person("mallory", EMAIL, false)).await.here();
    assert!(unbelieved.contains(&yes("acme")) && unbelieved.contains(&yes("initech")), "{}", unbelieved.body);
}

#[tokio::test]
async fn an_identity_that_is_only_linked_comes_in_by_the_account_it_joins() {
    let card = format!("link_only = true\n{ASKS}");
    let (world, browser) = (World::new(&[("acme", ""), ("card", &card)]).await, Browser::new());
    world.user("acme", &jane()).await;
    let page = world.come(&browser, "card", &newcomer()).await.here();
    assert!(!page.contains(NO), "it cannot be an account of its own: {}", page.body);
    let request = prove(&world, &browser, &page, &yes("acme"), "acme").await;
    assert_eq!(subject(&world.redeem(world.answer(&browser, "acme", &request, &jane()).await).await), "samlp|acme|jane");
    world.come(&Browser::new(), "card", &newcomer()).await.here().assert_refused(403, "ISTH-3008");
}
