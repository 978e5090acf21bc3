//! Sources at work against a web server that behaves well, badly, or not at all.

use super::testing::*;
use super::*;
use crate::connection::outbound::download::{Patience, Reach};
use crate::saml::aggregate::{Terms, Trust};
use std::sync::Arc;
use std::time::{Duration, Instant};

const UNTIL: &str = "2026-12-01T00:00:00Z";
const A: &str = "https://a.example/idp";

fn a() -> Idp<'static> {
    Idp("a.example", "sso.a.example", &ONE, "a.example")
}

fn source(server: &Server, cache: Option<&tempfile::TempDir>) -> Source {
    let url = format!("{}/aggregate.xml", server.address).parse().expect("a URL");
    let patience = Patience { idle: Duration::from_millis(400), total: Duration::from_secs(5) };
    let cache = cache.map(|directory| directory.path().join("federation"));
    Source { patience, cache, reach: Reach::Everything, ..Source::new(Origin::Url(url), terms()).expect("valid") }
}

fn feed(server: &Server, cache: Option<&tempfile::TempDir>) -> Feed {
    Feed::new(source(server, cache), now()).expect("a feed")
}

fn failure(events: &[Event]) -> &str {
    match events {
        [Event::Failed { reason, .. }] => reason,
        other => panic!("another outcome: {other:?}"),
    }
}

fn files(directory: &tempfile::TempDir) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(directory.path())
        .expect("a directory")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_document_is_fetched_once_and_then_only_asked_for() {
    let xml = group(UNTIL, "PT1H", &[a()]);
    let server = Server::new([
        ok("ETag: \"v1\"\r\nLast-Modified: Fri, 20 Nov 2026 00:00:00 GMT\r\nContent-Type: text/plain\r\n", &xml),
        status("304 Not Modified"),
    ])
    .await;
    for cache in [None, Some(tempfile::tempdir().expect("a directory"))] {
        server.set(ok("ETag: \"v1\"\r\nLast-Modified: Fri, 20 Nov 2026 00:00:00 GMT\r\nContent-Type: text/plain\r\n", &xml));
        let feed = feed(&server, cache.as_ref());
        assert!(feed.snapshot(now()).is_none());
        assert_eq!(feed.refresh(now()).await, [Event::Loaded { entities: 1, faults: 0 }]);
        let first = feed.snapshot(now()).expect("a copy");
        assert!(first.idp(A, now()).is_ok());
        assert!(!server.asked().last().expect("asked").contains("if-none-match"));
        server.set(status("304 Not Modified"));
        let later = now().plus_seconds(3600);
        assert_eq!(feed.refresh_if_due(later).await, []);
        let asked = server.asked().last().expect("asked").clone();
        assert!(asked.contains("if-none-match: \"v1\"") && asked.contains("if-modified-since: fri, 20 nov 2026 00:00:00 gmt"), "{asked}");
        assert!(Arc::ptr_eq(&first, &feed.snapshot(later).expect("the same copy")));
        let count = server.asked().len();
        assert_eq!(feed.refresh_if_due(later.plus_seconds(3599)).await, []);
        assert_eq!(server.asked().len(), count, "not due");
        if let Some(directory) = &cache {
            assert_eq!(files(directory), ["federation.json", "federation.xml"]);
        }
    }
}

#[tokio::test]
async fn whatever_goes_wrong_the_last_good_copy_stays() {
    let xml = group(UNTIL, "PT1H", &[a()]);
    let server = Server::new([ok("", &xml)]).await;
    let directory = tempfile::tempdir().expect("a directory");
    let mut source = source(&server, Some(&directory));
    source.limit = 100_000;
    let feed = Feed::new(source, now()).expect("a feed");
    feed.refresh(now()).await;
    let copy = std::fs::read_to_string(directory.path().join("federation.xml")).expect("the copy");
    assert_eq!(copy, xml);
    let forged = xml.replace("https://sso.a.example/sso", "https://sso.a.example/xxx");
    let expired = group("2026-11-21T00:00:00Z", "PT1H", &[a()]);
    let elsewhere = "Location: https://evil.example/aggregate.xml\r\n".to_owned();
    for (reply, expected) in [
        (status("500 Internal Server Error"), "status 500"),
        (status("404 Not Found"), "no such document"),
        (status("204 No Content"), "status 204"),
        (status("304 Not Modified"), "status 304"),
        (Reply::Stuck, "not reached"),
        (Reply::Broken(xml.clone()), "not reached"),
        (Reply::Endless, "more than 100000 bytes"),
        (ok("", &" ".repeat(100_001)), "more than 100000 bytes"),
        (Reply::With("302 Found", elsewhere, String::new()), "redirects to https://evil.example"),
        (Reply::With("301 Moved Permanently", "Location: /other\r\n".to_owned(), String::new()), "redirects to /other"),
        (ok("", "<html><body>Maintenance</body></html>"), "this is not SAML metadata"),
        (ok("", ""), "not well-formed"),
        (ok("", &forged), "digest"),
        (ok("", &xml[..xml.len() / 2]), "not well-formed"),
        (ok("", &expired), "valid until 2026-11-21"),
        (ok("", &a().xml("")), "not signed"),
    ] {
        server.set(reply);
        let begun = Instant::now();
        let events = feed.refresh(now()).await;
        let reason = failure(&events);
        assert!(reason.to_lowercase().contains(&expected.to_lowercase()), "{expected}: {reason}");
        assert!(begun.elapsed() < Duration::from_secs(4), "{expected}");
        assert!(feed.snapshot(now()).expect("the copy").idp(A, now()).is_ok(), "{expected}");
        assert_eq!(files(&directory), ["federation.json", "federation.xml"], "{expected}");
        assert_eq!(std::fs::read_to_string(directory.path().join("federation.xml")).expect("the copy"), xml, "{expected}");
    }
    assert!(feed.snapshot(now().plus_seconds(30 * 86_400)).is_none(), "never past its validUntil");
}

#[tokio::test]
async fn a_restart_without_network_has_what_was_there_and_believes_no_more_than_before() {
    let xml = group(UNTIL, "PT1H", &[a()]);
    let server = Server::new([ok("ETag: \"v1\"\r\n", &xml)]).await;
    let directory = tempfile::tempdir().expect("a directory");
    feed(&server, Some(&directory)).refresh(now()).await;

    server.set(status("503 Service Unavailable"));
    let restarted = feed(&server, Some(&directory));
    assert_eq!(restarted.restore(now()).await, [Event::Loaded { entities: 1, faults: 0 }]);
    assert!(restarted.snapshot(now()).expect("the copy").idp(A, now()).is_ok());
    assert_eq!(restarted.status().due, now(), "and asks at once");
    failure(&restarted.refresh(now()).await);
    assert!(server.asked().last().expect("asked").contains("if-none-match: \"v1\""));

    // Not after validUntil, not another source's, and not what somebody else wrote there.
    let over = feed(&server, Some(&directory));
    assert_eq!(over.restore(now().plus_seconds(30 * 86_400)).await, []);
    let mut other = source(&server, Some(&directory));
    other.origin = Origin::Url("https://other.example/".parse().expect("a URL"));
    assert_eq!(Feed::new(other, now()).expect("a feed").restore(now()).await, []);
    let path = directory.path().join("federation.xml");
    std::fs::write(&path, xml.replace("sso.a.example", "sso.evil.example")).expect("written");
    let forged = feed(&server, Some(&directory));
    assert_eq!(forged.restore(now()).await, []);
    assert!(forged.snapshot(now()).is_none());

    // A genuine copy, but not the one that the validators belong to.
    std::fs::write(&path, group(UNTIL, "PT2H", &[a()])).expect("written");
    let swapped = feed(&server, Some(&directory));
    assert_eq!(swapped.restore(now()).await.len(), 1);
    swapped.refresh(now()).await;
    assert!(!server.asked().last().expect("asked").contains("if-none-match"));
}

#[tokio::test]
async fn what_waits_for_an_operator_waits_across_a_restart() {
    let server = Server::new([ok("", &group(UNTIL, "PT1H", &[a()]))]).await;
    let directory = tempfile::tempdir().expect("a directory");
    let first = feed(&server, Some(&directory));
    first.refresh(now()).await;
    server.set(ok("", &group(UNTIL, "PT1H", &[Idp("a.example", "sso.b.example", &TWO, "a.example")])));
    let events = first.refresh(now()).await;
    assert!(events.iter().any(|event| matches!(event, Event::Held(_))), "{events:?}");

    let restarted = feed(&server, Some(&directory));
    restarted.restore(now()).await;
    let sso = |feed: &Feed| feed.snapshot(now()).expect("a copy").idp(A, now()).expect("read").sso_endpoints[0].location.to_string();
    assert_eq!(sso(&restarted), "https://sso.a.example/sso");
    let pending = restarted.status().pending.clone();
    assert_eq!(restarted.approve("something else", now()).await, Err(NotPending));
    restarted.approve(&pending[0].key, now()).await.expect("approved");
    assert_eq!(sso(&restarted), "https://sso.b.example/sso");
    let again = feed(&server, Some(&directory));
    again.restore(now()).await;
    assert_eq!((sso(&again).as_str(), again.status().pending.clone().len()), ("https://sso.b.example/sso", 0));
}

#[tokio::test]
async fn another_entity_is_on_disk_only_after_an_operator_agreed() {
    let server = Server::new([ok("ETag: \"a\"\r\n", &alone(UNTIL, a()))]).await;
    let directory = tempfile::tempdir().expect("a directory");
    let first = feed(&server, Some(&directory));
    first.refresh(now()).await;
    let other = alone(UNTIL, Idp("c.example", "sso.c.example", &TWO, "c.example"));
    server.set(ok("ETag: \"c\"\r\n", &other));
    first.refresh(now()).await;
    let copy = || std::fs::read_to_string(directory.path().join("federation.xml")).expect("the copy");
    assert!(first.snapshot(now()).expect("a copy").idp(A, now()).is_ok() && copy().contains(A));
    assert_eq!(files(&directory), ["federation.json", "federation.xml"]);
    first.refresh(now()).await;
    assert!(server.asked().last().expect("asked").contains("if-none-match: \"a\""), "of the copy that is in force");
    let pending = first.status().pending.clone();
    first.approve(&pending[0].key, now()).await.expect("approved");
    assert_eq!(first.status().due, now());
    assert_eq!(first.refresh_if_due(now()).await, []);
    assert_eq!(copy(), other);
    assert!(first.snapshot(now()).expect("a copy").idp("https://c.example/idp", now()).is_ok());
}

#[tokio::test]
async fn a_file_is_read_again_when_it_changes() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("a.xml");
    std::fs::write(&path, group(UNTIL, "PT1H", &[a()])).expect("written");
    let feed = Feed::new(Source::new(Origin::File(path.clone()), terms()).expect("valid"), now()).expect("a feed");
    assert_eq!(feed.refresh(now()).await, [Event::Loaded { entities: 1, faults: 0 }]);
    let first = feed.snapshot(now()).expect("a copy");
    assert_eq!(feed.refresh(now()).await, []);
    assert!(Arc::ptr_eq(&first, &feed.snapshot(now()).expect("a copy")));
    std::fs::write(&path, group(UNTIL, "PT1H", &[Idp("a.example", "sso.a.example", &TWO, "a.example")])).expect("written");
    assert!(matches!(feed.refresh(now()).await.as_slice(), [Event::Changed { .. }]));
    std::fs::remove_file(&path).expect("removed");
    assert!(failure(&feed.refresh(now()).await).contains("cannot be read"));
    assert!(feed.snapshot(now()).is_some());
}

#[tokio::test]
async fn readers_are_never_kept_waiting() {
    let server = Server::new([ok("", &group(UNTIL, "PT1H", &[a()]))]).await;
    let feed = Arc::new(feed(&server, None));
    feed.refresh(now()).await;
    server.set(Reply::Stuck);
    let refreshing = tokio::spawn({
        let feed = Arc::clone(&feed);
        async move { feed.refresh(now()).await }
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!refreshing.is_finished());
    let begun = Instant::now();
    for _ in 0..1000 {
        assert!(feed.snapshot(now()).is_some());
    }
    assert!(begun.elapsed() < Duration::from_millis(200) && !refreshing.is_finished());
    failure(&refreshing.await.expect("done"));
}

#[test]
fn an_address_must_be_safe_or_its_document_signed() {
    let unsigned = || Terms::new(Trust::new(&[], true).expect("meant"));
    let of = |url: &str, terms: Terms| Source::new(Origin::Url(url.parse().expect("a URL")), terms).is_ok();
    assert!(of("https://md.example/a", unsigned()) && of("http://md.example/a", terms()) && of("http://127.0.0.1/a", unsigned()));
    assert!(!of("http://md.example/a", unsigned()) && !of("ftp://md.example/a", terms()) && !of("https://a:b@md.example/", terms()));
    assert!(!of("http://localhost.evil.example/", unsigned()));
    let secret = Source::new(Origin::Url("http://u:p@md.example/a?token=t".parse().expect("a URL")), unsigned());
    assert_eq!(secret.expect_err("refused").detail.split(": ").next(), Some("metadata cannot be fetched from http://md.example/a"));
}

fn mdq(server: &Server, form: MdqForm, cache: Option<&tempfile::TempDir>) -> Mdq {
    let mut template = source(server, None);
    template.origin = Origin::Url(format!("{}/mdq/", server.address).parse().expect("a URL"));
    template.cache = cache.map(|directory| directory.path().to_owned());
    Mdq::new(template, form).expect("valid")
}

#[tokio::test]
async fn one_entity_is_asked_for_by_its_name_and_kept() {
    for (form, path) in [
        (MdqForm::EntityId, "/mdq/entities/https%3A%2F%2Fa.example%2Fidp"),
        (MdqForm::Sha1, "/mdq/entities/%7Bsha1%7Df5972f64fb173d8b9b9ca007a925abc47d27fd14"),
    ] {
        let server = Server::new([ok("ETag: \"e\"\r\n", &alone(UNTIL, a()))]).await;
        let mdq = mdq(&server, form, None);
        let (found, events) = mdq.entity(A, now()).await;
        assert!(found.expect("found").idp(A, now()).is_ok());
        assert_eq!(events.len(), 1);
        assert_eq!(server.asked_paths(), [path]);
        assert!(mdq.entity(A, now().plus_seconds(60)).await.0.is_ok());
        assert_eq!(server.asked_paths().len(), 1, "not again");
        assert_eq!(mdq.names(), [A]);
        server.set(status("500 Internal Server Error"));
        assert!(mdq.entity(A, now().plus_seconds(90_000)).await.0.is_ok(), "the last good copy");
    }
}

#[tokio::test]
async fn that_an_entity_is_not_there_is_remembered_for_a_while() {
    let server = Server::new([status("404 Not Found")]).await;
    let mdq = mdq(&server, MdqForm::EntityId, None);
    assert_eq!(mdq.entity(A, now()).await.0.err(), Some(NotFound::Unknown));
    assert_eq!(mdq.entity(A, now().plus_seconds(299)).await.0.err(), Some(NotFound::Unknown));
    assert_eq!(server.asked_paths().len(), 1);
    server.set(ok("", &alone(UNTIL, a())));
    let later = now().plus_seconds(300);
    assert!(mdq.entity(A, later).await.0.is_ok());
    // Who is taken out is out, at once and after a restart.
    server.set(status("404 Not Found"));
    let (found, events) = mdq.entity(A, later.plus_seconds(86_400)).await;
    assert_eq!((found.err(), events), (Some(NotFound::Unknown), vec![Event::Gone]));
    for name in ["..", ".", "", "name", &format!("https://{}", "x".repeat(1020))] {
        assert_eq!(mdq.entity(name, now()).await.0.err(), Some(NotFound::Name), "{name}");
    }
}

#[tokio::test]
async fn an_answer_about_somebody_else_is_none() {
    let server = Server::new([ok("", &alone(UNTIL, Idp("b.example", "sso.b.example", &ONE, "b.example")))]).await;
    let mdq = mdq(&server, MdqForm::EntityId, None);
    let (found, _) = mdq.entity(A, now()).await;
    assert_eq!(found.err(), Some(NotFound::Failed(format!("the metadata do not describe {A}"))));
}

#[tokio::test]
async fn many_who_ask_at_once_cost_one_request() {
    let server = Server::new([ok("", &alone(UNTIL, a()))]).await;
    let directory = tempfile::tempdir().expect("a directory");
    let mdq = Arc::new(mdq(&server, MdqForm::EntityId, Some(&directory)));
    let asking: Vec<_> = (0..20)
        .map(|_| {
            let mdq = Arc::clone(&mdq);
            tokio::spawn(async move { mdq.entity(A, now()).await.0.is_ok() })
        })
        .collect();
    for asked in asking {
        assert!(asked.await.expect("done"));
    }
    assert_eq!(server.asked_paths().len(), 1);
    // And a restart needs none.
    server.set(status("500 Internal Server Error"));
    let restarted = Mdq::new(mdq_template(&server, &directory), MdqForm::EntityId).expect("valid");
    assert!(restarted.entity(A, now()).await.0.is_ok());
}

fn mdq_template(server: &Server, directory: &tempfile::TempDir) -> Source {
    let mut template = source(server, None);
    template.origin = Origin::Url(format!("{}/mdq", server.address).parse().expect("a URL"));
    template.cache = Some(directory.path().to_owned());
    template
}

#[tokio::test]
async fn whoever_invents_names_is_let_through_to_the_server_for_few_of_them() {
    let server = Server::new([status("404 Not Found")]).await;
    let mdq = mdq(&server, MdqForm::EntityId, None);
    let mut busy = 0;
    for number in 0..230 {
        let found = mdq.entity(&format!("https://invented.example/{number}"), now()).await.0;
        busy += usize::from(found.err() == Some(NotFound::Busy));
    }
    assert_eq!((busy, server.asked_paths().len()), (30, 200));
    // Time gives some back, and those who are known are not counted.
    assert_eq!(mdq.entity("https://invented.example/229", now().plus_seconds(1)).await.0.err(), Some(NotFound::Unknown));
    assert_eq!(mdq.entity("https://invented.example/0", now()).await.0.err(), Some(NotFound::Unknown));
}

#[tokio::test]
async fn twenty_reloads_keep_no_memory_and_no_thread_that_logins_need() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("a.xml");
    let names: Vec<String> = (0..300).map(|number| format!("idp-{number}.example")).collect();
    let write = |round: usize| {
        // Another scope for everybody each time, so that nothing is shared between two rounds.
        let scope = format!("{round}.example");
        let idps: Vec<Idp<'_>> = names.iter().map(|name| Idp(name, name, &ONE, &scope)).collect();
        std::fs::write(&path, group(UNTIL, "PT1H", &idps)).expect("written");
    };
    write(0);
    let feed = Arc::new(Feed::new(Source::new(Origin::File(path.clone()), terms()).expect("valid"), now()).expect("a feed"));
    feed.refresh(now()).await;
    for round in 1..=20 {
        let before = Arc::downgrade(&feed.snapshot(now()).expect("a copy"));
        write(round);
        // One thread runs this test: what a reader sees meanwhile is seen beside the reload.
        let reading = Arc::clone(&feed);
        let reader = tokio::spawn(async move {
            let mut seen = 0_u32;
            loop {
                seen += u32::from(reading.snapshot(now()).is_some());
                tokio::task::yield_now().await;
                if seen >= 50 {
                    return seen;
                }
            }
        });
        let (events, seen) = tokio::join!(feed.refresh(now()), reader);
        assert!(events.iter().any(|event| matches!(event, Event::Changed { .. })), "{events:?}");
        assert!(seen.is_ok());
        assert!(before.upgrade().is_none(), "round {round}: the old one is still there");
    }
}
