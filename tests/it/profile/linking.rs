//! Policies `never` and `verified_email`: what is joined, and all that is not.

use super::{World, in_groups, person, subject};
use crate::harness::browser::{Browser, Page};
use crate::harness::gateway::Setup;
use crate::harness::idp::Person;
use crate::harness::servers::Server;
use std::collections::HashSet;
use tokio::task::JoinSet;

const BELIEVED: &str = "[connection.linking]\nemail_domains = [\"acme.example\"]";
const LINKS: &str = "[connection.linking]\npolicy = \"verified_email\"\nemail_domains = [\"acme.example\"]";
const EMAIL: &str = "jane@acme.example";

#[tokio::test]
async fn s4_26_a_second_connection_makes_a_second_user() {
    let world = World::new(&[("acme", BELIEVED), ("globex", BELIEVED)]).await;
    let (one, two) = (world.user("acme", &person("jane", EMAIL, true)).await, world.user("globex", &person("jane", EMAIL, true)).await);
    assert_eq!((one.as_str(), two.as_str()), ("samlp|acme|jane", "samlp|globex|jane"));
}

#[tokio::test]
async fn s4_27_a_verified_address_joins_and_the_first_identity_gives_the_attributes() {
    let world = World::new(&[("acme", BELIEVED), ("globex", LINKS)]).await;
    let first = in_groups(person("jane", EMAIL, true), &["staff", "both"]);
    assert_eq!(world.user("acme", &first).await, "samlp|acme|jane");
    // Addresses are compared without regard to case.
    let second = in_groups(person("j.doe", "Jane@ACME.example", true), &["both", "partners"]);
    for _ in 0..2 {
        let tokens = world.sign_in("globex", &second).await;
        let claims = tokens.claims();
        assert_eq!((&claims["sub"], &claims["name"], &claims["email"]), (&"samlp|acme|jane".into(), &"The jane".into(), &EMAIL.into()));
        // Each connection owns the groups that it gave.
        assert_eq!(claims["groups"], serde_json::json!(["staff", "both", "partners"]));
    }
    let left = in_groups(person("j.doe", EMAIL, true), &["partners"]);
    world.sign_in("globex", &left).await;
    let fewer = in_groups(person("jane", EMAIL, true), &["staff"]);
    let claims = world.sign_in("acme", &fewer).await.claims();
    assert_eq!(claims["groups"], serde_json::json!(["staff", "partners"]));
}

/// Everybody is refused on a page of ours, again and again, and nobody is joined.
async fn assert_conflict(world: &World, connection: &str, who: &Person, reason: &str) -> Page {
    for _ in 0..2 {
        let page = world.come(&Browser::new(), connection, who).await.here();
        page.assert_refused(409, "ISTH-3007");
        assert!(!page.contains("samlp|"), "the page tells who there is: {}", page.body);
        let trace = world.trace(page.correlation_id()).await;
        let noted =
            trace["entries"].as_array().expect("entries").iter().any(|entry| entry["event"]["why"] == format!("conflict: {reason}"));
        assert!(noted, "{trace:#}");
    }
    world.come(&Browser::new(), connection, who).await.here()
}

#[tokio::test]
async fn several_matches_are_refused() {
    let world = World::new(&[("acme", BELIEVED), ("initech", BELIEVED), ("globex", LINKS)]).await;
    world.user("acme", &person("jane", EMAIL, true)).await;
    world.user("initech", &person("jane", EMAIL, true)).await;
    let page = assert_conflict(&world, "globex", &person("j.doe", EMAIL, true), "several_matches").await;
    assert!(page.restart().is_some(), "the person can start again: {}", page.body);
    // Somebody else comes in as ever.
    assert_eq!(world.user("globex", &person("joe", "joe@acme.example", true)).await, "samlp|globex|joe");
}

#[tokio::test]
async fn an_address_that_one_side_has_not_verified_joins_nobody() {
    let world = World::new(&[("acme", BELIEVED), ("globex", LINKS)]).await;
    world.user("acme", &person("jane", EMAIL, true)).await;
    assert_conflict(&world, "globex", &person("mallory", EMAIL, false), "unverified_here").await;
    world.user("acme", &person("joe", "joe@acme.example", false)).await;
    assert_conflict(&world, "globex", &person("joe", "joe@acme.example", true), "unverified_there").await;
}

#[tokio::test]
async fn the_word_of_a_connection_counts_for_its_own_domains_only() {
    let world = World::new(&[("acme", BELIEVED), ("outside", ""), ("globex", LINKS)]).await;
    // An account made in advance, to catch the login of the address's owner.
    world.user("outside", &person("mallory", EMAIL, true)).await;
    assert_conflict(&world, "globex", &person("jane", EMAIL, true), "unverified_there").await;
    world.user("acme", &person("joe", "joe@elsewhere.example", true)).await;
    assert_conflict(&world, "globex", &person("joe", "joe@elsewhere.example", true), "unverified_here").await;
}

#[tokio::test]
async fn a_conflict_may_make_a_separate_user_where_the_operator_says_so() {
    let separate = format!("{LINKS}\non_conflict = \"separate_user\"");
    let world = World::new(&[("acme", BELIEVED), ("globex", &separate)]).await;
    world.user("acme", &person("jane", EMAIL, true)).await;
    assert_eq!(world.user("globex", &person("j.doe", EMAIL, false)).await, "samlp|globex|j.doe");
    assert_eq!(world.user("globex", &person("j.doe", EMAIL, true)).await, "samlp|globex|j.doe", "what is known is not joined later");
}

#[tokio::test]
async fn a_blocked_user_is_joined_by_nobody() {
    let world = World::new(&[("acme", BELIEVED), ("globex", LINKS)]).await;
    world.user("acme", &person("jane", EMAIL, true)).await;
    let (status, text) = world.command(&["user", "block", "samlp|acme|jane"]).await;
    assert_eq!(status, 0, "{text}");
    assert_conflict(&world, "globex", &person("j.doe", EMAIL, true), "blocked_user").await;
}

#[tokio::test]
async fn an_identity_that_is_only_linked_signs_nobody_in() {
    let world = World::new(&[("acme", BELIEVED), ("card", "link_only = true"), ("globex", LINKS)]).await;
    assert_conflict(&world, "card", &person("card-1", EMAIL, true), "link_only").await;
    let (status, text) = world.command(&["user", "show", "samlp|card|card-1"]).await;
    assert_eq!(status, 1, "nobody was made: {text}");
    world.user("acme", &person("jane", EMAIL, true)).await;
    let (status, text) = world.command(&["user", "deny-login", "acme", "jane"]).await;
    assert_eq!(status, 0, "{text}");
    world.come(&Browser::new(), "acme", &person("jane", EMAIL, true)).await.here().assert_refused(403, "ISTH-3008");
    assert_conflict(&world, "globex", &person("j.doe", EMAIL, true), "unprovable").await;
}

#[tokio::test]
async fn subjects_are_compared_letter_by_letter_unless_the_connection_says_otherwise() {
    let world = World::new(&[("acme", ""), ("globex", "subject_comparison = \"ignore_case\"")]).await;
    let long = "S".repeat(300);
    assert_eq!(world.user("acme", &Person::new(&long)).await, format!("samlp|acme|{long}"));
    assert_ne!(world.user("acme", &Person::new(&long.to_lowercase())).await, format!("samlp|acme|{long}"));
    let (upper, lower) =
        (world.user("globex", &person("JANE", EMAIL, true)).await, world.user("globex", &person("jane", EMAIL, true)).await);
    assert_eq!((upper.as_str(), upper == lower), ("samlp|globex|jane", true));
}

/// zitadel/zitadel#10090, #10983: "user already exists", and double links, when several first logins come at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_first_logins_at_once_on_postgresql_make_one_user() {
    let server = Server::postgres();
    let setup = Setup { directory: server.postgres_url(), ..Setup::new() };
    let world = World::of(setup, &[("acme", LINKS), ("globex", LINKS)], "").await;
    let mut answers = Vec::new();
    for number in 0..50 {
        let browser = Browser::new();
        let (connection, name_id) = if number % 2 == 0 { ("acme", "jane") } else { ("globex", "j.doe") };
        let request = world.ask(&browser, connection, &[]).await;
        answers.push((browser, world.idp(connection).respond(&request, &person(name_id, EMAIL, true))));
    }
    let mut posts = JoinSet::new();
    for (browser, answer) in answers {
        posts.spawn(async move { browser.post(&answer.from, &answer.to, &answer.fields()).await });
    }
    let mut users = HashSet::new();
    for landed in posts.join_all().await {
        users.insert(subject(&world.redeem(landed).await));
    }
    assert_eq!(users.len(), 1, "{users:?}");
}
