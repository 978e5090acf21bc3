//! What a copy lives through, with a clock that is moved by hand.

use super::*;
use crate::connection::metadata::places;
use crate::connection::metadata::testing::{FEDERATION, Idp, ONE, TWO, alone, group, now, read};
use crate::saml::signature::{Signer, sign};

const A: &str = "https://a.example/idp";

fn refresher() -> Refresher {
    Refresher::new(Cadence::default(), Hold::Everybody, BTreeMap::new(), now())
}

fn with(idps: &[Idp<'_>]) -> Arc<Aggregate> {
    read(&group("2026-12-01T00:00:00Z", "PT1H", idps))
}

fn a() -> Idp<'static> {
    Idp("a.example", "sso.a.example", &ONE, "a.example")
}

fn sso(refresher: &Refresher) -> String {
    let idp = refresher.snapshot().expect("a copy").idp(A, now()).expect("read");
    idp.sso_endpoints.iter().map(|endpoint| endpoint.location.to_string()).collect::<Vec<_>>().join(" ")
}

fn fingerprints(refresher: &Refresher) -> Vec<String> {
    let idp = refresher.snapshot().expect("a copy").idp(A, now()).expect("read");
    idp.keys.fingerprints().map(str::to_owned).collect()
}

fn fingerprint(key: &crate::keys::CertifiedKey) -> String {
    id::hex(&id::sha256(&key.certificate_der()))
}

#[test]
fn the_next_look_is_when_the_metadata_say_within_bounds() {
    let due = |valid: &str, cache: &str, max_age: Option<u64>| {
        let mut refresher = refresher();
        assert_eq!(refresher.due(), now());
        refresher.accept(read(&group(valid, cache, &[a()])), max_age, now());
        refresher.due().seconds_since(now())
    };
    assert_eq!(due("2026-12-01T00:00:00Z", "PT1H", None), 3600);
    assert_eq!(due("2026-12-01T00:00:00Z", "PT1H", Some(600)), 600);
    assert_eq!(due("2026-12-01T00:00:00Z", "PT1S", None), 300, "not more often");
    assert_eq!(due("2026-12-10T00:00:00Z", "P30D", None), 86_400, "not less often");
    assert_eq!(due("2026-12-10T00:00:00Z", "x", None), 4 * 3600, "the usual");
    assert_eq!(due("2026-11-21T03:42:00Z", "P1D", None), 1200, "twice before it is over");
    let mut refresher = refresher();
    refresher.accept(with(&[a()]), None, now());
    refresher.unchanged(now().plus_seconds(3600));
    assert_eq!(refresher.due().seconds_since(now()), 7200);
}

#[test]
fn a_failure_keeps_the_last_good_copy_and_is_tried_again_ever_later() {
    let mut refresher = refresher();
    refresher.accept(with(&[a()]), None, now());
    let waits: Vec<i64> = (0..9)
        .map(|_| {
            refresher.fail("status 500".to_owned(), now());
            refresher.due().seconds_since(now())
        })
        .collect();
    assert_eq!(waits, [60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]);
    assert_eq!(refresher.last_failure(), Some((now(), "status 500", 9)));
    assert_eq!(sso(&refresher), "https://sso.a.example/sso");
    refresher.unchanged(now());
    assert_eq!(refresher.last_failure(), None);
}

#[test]
fn a_copy_is_dropped_at_its_valid_until() {
    let mut refresher = refresher();
    refresher.accept(with(&[a()]), None, now());
    let until = Timestamp::parse("2026-12-01T00:00:00Z").expect("a date");
    assert_eq!(refresher.expire(until.plus_seconds(-1)), None);
    assert!(refresher.snapshot().is_some());
    let events = refresher.fail("no network".to_owned(), until);
    assert!(matches!(events.as_slice(), [Event::Failed { .. }, Event::Expired { until: then }] if *then == until), "{events:?}");
    assert!(refresher.snapshot().is_none());
    // What comes then is still compared with what was.
    let moved = with(&[Idp("a.example", "evil.example", &ONE, "a.example")]);
    let events = refresher.accept(moved, None, now());
    assert!(events.iter().any(|event| matches!(event, Event::Held(_))), "{events:?}");
    assert_eq!(sso(&refresher), "https://sso.a.example/sso");
}

#[test]
fn certificates_scopes_and_paths_are_taken_at_once_and_told() {
    let mut refresher = refresher();
    refresher.accept(with(&[a()]), None, now());
    let events = refresher.accept(with(&[Idp("a.example", "sso.a.example/new", &TWO, "b.example")]), None, now());
    let told: Vec<String> = events.iter().map(ToString::to_string).collect();
    let expected = format!(
        "{A}: + certificate {}; - certificate {}; + SingleSignOnService HTTP-Redirect https://sso.a.example/new/sso; - SingleSignOnService HTTP-Redirect https://sso.a.example/sso; + scope b.example; - scope a.example",
        fingerprint(&TWO),
        fingerprint(&ONE)
    );
    assert_eq!(told, [expected]);
    assert_eq!(fingerprints(&refresher), [fingerprint(&TWO)]);
    assert_eq!(refresher.pending().count(), 0);
    assert_eq!(refresher.accept(with(&[Idp("a.example", "sso.a.example/new", &TWO, "b.example")]), None, now()), []);
}

#[test]
fn a_new_host_waits_for_an_operator_and_its_certificate_does_not() {
    let mut refresher = refresher();
    refresher.accept(with(&[a()]), None, now());
    let moved = || with(&[Idp("a.example", "sso.b.example", &TWO, "a.example")]);
    refresher.accept(moved(), None, now());
    assert_eq!(sso(&refresher), "https://sso.a.example/sso");
    assert_eq!(fingerprints(&refresher), [fingerprint(&TWO)]);
    let pending: Vec<Pending> = refresher.pending().cloned().collect();
    let [waiting] = pending.as_slice() else { panic!("{pending:?}") };
    assert!(
        waiting.changes.iter().any(|change| change.to_string().contains("+ SingleSignOnService HTTP-Redirect https://sso.b.example/sso"))
    );
    assert_eq!(refresher.accept(moved(), None, now()), [], "told once");

    // What is approved is what was seen.
    refresher.accept(with(&[Idp("a.example", "sso.evil.example", &TWO, "a.example")]), None, now());
    assert_eq!(refresher.approve(&waiting.key, now()), Err(NotPending));
    assert_eq!(sso(&refresher), "https://sso.a.example/sso");
    refresher.accept(moved(), None, now());
    assert!(matches!(refresher.approve(&waiting.key, now()), Ok(Event::Approved(_))));
    assert_eq!(sso(&refresher), "https://sso.b.example/sso");
    assert_eq!((refresher.pending().count(), refresher.approved().len()), (0, 0));
    assert_eq!(refresher.accept(moved(), None, now()), []);
    assert_eq!(sso(&refresher), "https://sso.b.example/sso");
}

#[test]
fn a_change_that_is_taken_back_waits_no_more() {
    let mut refresher = refresher();
    refresher.accept(with(&[a()]), None, now());
    refresher.accept(with(&[Idp("a.example", "sso.b.example", &ONE, "a.example")]), None, now());
    let events = refresher.accept(with(&[a()]), None, now());
    assert_eq!(events, [Event::Withdrawn { entity_id: A.to_owned() }]);
    assert_eq!((refresher.pending().count(), refresher.approved().len()), (0, 0));
}

#[test]
fn nobody_gets_a_new_host_by_leaving_or_by_a_restart() {
    let mut refresher = refresher();
    let b = Idp("b.example", "sso.b.example", &ONE, "b.example");
    refresher.accept(with(&[a(), b]), None, now());
    let events = refresher.accept(with(&[b]), None, now());
    assert!(matches!(events.as_slice(), [Event::Members { added: 0, removed: 1, .. }]), "{events:?}");
    assert!(refresher.snapshot().expect("a copy").idp(A, now()).is_err(), "who left is out at once");
    let moved = with(&[Idp("a.example", "evil.example", &ONE, "a.example"), b]);
    refresher.accept(Arc::clone(&moved), None, now());
    assert_eq!(sso(&refresher), "https://sso.a.example/sso");

    let mut restarted = Refresher::new(Cadence::default(), Hold::Everybody, refresher.approved().clone(), now());
    restarted.accept(moved, None, now());
    assert_eq!(sso(&restarted), "https://sso.a.example/sso");
    assert_eq!(restarted.pending().count(), 1);
}

#[test]
fn only_those_with_a_connection_wait_where_that_is_wanted() {
    let hold = Hold::Only(BTreeSet::from(["https://b.example/idp".to_owned()]));
    let mut refresher = Refresher::new(Cadence::default(), hold, BTreeMap::new(), now());
    refresher.accept(with(&[a()]), None, now());
    refresher.accept(with(&[Idp("a.example", "sso.b.example", &ONE, "a.example")]), None, now());
    assert_eq!(sso(&refresher), "https://sso.b.example/sso");
}

#[test]
fn metadata_that_are_suddenly_about_another_entity_wait_as_a_whole() {
    let mut refresher = refresher();
    refresher.accept(read(&alone("2026-12-01T00:00:00Z", a())), None, now());
    let other = read(&alone("2026-12-01T00:00:00Z", Idp("c.example", "sso.a.example", &TWO, "a.example")));
    assert!(!refresher.would_take(&other));
    let events = refresher.accept(Arc::clone(&other), None, now());
    let [Event::Held(pending)] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!(pending.changes[0].to_string(), format!("entityID {A} is now https://c.example/idp"));
    assert_eq!(fingerprints(&refresher), [fingerprint(&ONE)]);
    assert_eq!(refresher.accept(other, None, now()), [], "told once");
    assert!(refresher.approve(&pending.key, now()).is_ok());
    let snapshot = refresher.snapshot().expect("a copy");
    assert!(snapshot.idp("https://c.example/idp", now()).is_ok() && snapshot.idp(A, now()).is_err());
}

fn allowed(of: &Idp<'_>) -> BTreeMap<String, BTreeSet<Place>> {
    let idp = with(&[*of]).idp(A, now()).expect("read");
    BTreeMap::from([(A.to_owned(), places(&idp))])
}

#[test]
fn what_the_directory_has_as_approved_lets_exactly_that_in() {
    let (mut refresher, moved) = (refresher(), Idp("a.example", "sso.b.example", &ONE, "a.example"));
    refresher.accept(with(&[a()]), None, now());
    assert_eq!(refresher.allow(allowed(&a()), now()), [], "what is in force already");
    refresher.accept(with(&[moved]), None, now());
    assert_eq!(refresher.allow(allowed(&Idp("a.example", "sso.c.example", &ONE, "a.example")), now()), [], "another host");
    assert_eq!(sso(&refresher), "https://sso.a.example/sso");
    let events = refresher.allow(allowed(&moved), now());
    assert!(matches!(events.as_slice(), [Event::Approved(_)]), "{events:?}");
    assert_eq!(sso(&refresher), "https://sso.b.example/sso");
    assert_eq!(refresher.allow(allowed(&moved), now()), [], "told once");
    // It lets nothing else in, and not the way back.
    for other in ["sso.c.example", "sso.a.example"] {
        refresher.accept(with(&[Idp("a.example", other, &ONE, "a.example")]), None, now());
        assert_eq!(sso(&refresher), "https://sso.b.example/sso", "{other}");
    }
}

#[test]
fn an_approval_that_comes_before_the_change_lets_it_in() {
    let (mut refresher, moved) = (refresher(), Idp("a.example", "sso.b.example", &ONE, "a.example"));
    refresher.accept(with(&[a()]), None, now());
    refresher.allow(allowed(&moved), now());
    refresher.accept(with(&[moved]), None, now());
    assert_eq!((sso(&refresher).as_str(), refresher.pending().count()), ("https://sso.b.example/sso", 0));
}

#[test]
fn a_node_without_a_copy_takes_what_the_directory_knows_for_what_was_there() {
    let mut refresher = refresher();
    refresher.allow(allowed(&a()), now());
    refresher.accept(with(&[Idp("a.example", "sso.b.example", &TWO, "a.example")]), None, now());
    assert_eq!((sso(&refresher).as_str(), refresher.pending().count()), ("https://sso.a.example/sso", 1));
    let mut other = Refresher::new(Cadence::default(), Hold::Everybody, BTreeMap::new(), now());
    other.allow(allowed(&a()), now());
    let stranger = read(&alone("2026-12-01T00:00:00Z", Idp("c.example", "sso.a.example", &TWO, "a.example")));
    let events = other.accept(Arc::clone(&stranger), None, now());
    assert!(matches!(events.as_slice(), [Event::Held(_)]) && other.snapshot().is_none(), "{events:?}");
    // An approval of that entity, with its endpoints, lets it in.
    let idp = stranger.idp("https://c.example/idp", now()).expect("read");
    other.allow(BTreeMap::from([(idp.entity_id.clone(), places(&idp))]), now());
    assert!(other.snapshot().is_some_and(|snapshot| snapshot.idp("https://c.example/idp", now()).is_ok()));
}

/// The same identity provider, with a place for logout and one for the answers to it.
fn with_logout(answers: &str) -> Arc<Aggregate> {
    let slo = format!(
        "<md:SingleLogoutService Binding=\"urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect\" \
         Location=\"https://sso.a.example/slo\" ResponseLocation=\"{answers}\"/><md:SingleSignOnService "
    );
    let xml = a().xml("ID=\"_e\" validUntil=\"2026-12-01T00:00:00Z\"").replacen("<md:SingleSignOnService ", &slo, 1);
    read(&sign(&xml, Signer::new(&FEDERATION)).expect("signed"))
}

#[test]
fn where_the_answers_to_a_logout_go_is_an_endpoint_like_others() {
    let answers = |refresher: &Refresher| {
        let idp = refresher.snapshot().expect("a copy").idp(A, now()).expect("read");
        idp.slo_endpoints[0].response_location.as_ref().map(ToString::to_string)
    };
    let mut refresher = refresher();
    refresher.accept(with_logout("https://sso.a.example/answers"), None, now());
    refresher.accept(with_logout("https://evil.example/answers"), None, now());
    assert_eq!(answers(&refresher).as_deref(), Some("https://sso.a.example/answers"), "a new host waits");
    let waiting: Vec<String> = refresher.pending().flat_map(|pending| &pending.changes).map(ToString::to_string).collect();
    assert!(waiting.iter().any(|change| change.contains("answers to https://evil.example/answers")), "{waiting:?}");
    refresher.accept(with_logout("https://sso.a.example/elsewhere"), None, now());
    assert_eq!(
        (answers(&refresher).as_deref(), refresher.pending().count()),
        (Some("https://sso.a.example/elsewhere"), 0),
        "a path does not"
    );
}

#[test]
fn the_service_that_resolves_artifacts_is_an_endpoint_like_others() {
    let with_service = |host: &str| {
        let service = format!(
            "<md:ArtifactResolutionService index=\"7\" Binding=\"urn:oasis:names:tc:SAML:2.0:bindings:SOAP\" \
             Location=\"https://{host}/resolve\"/><md:SingleSignOnService "
        );
        let xml = a().xml("ID=\"_e\" validUntil=\"2026-12-01T00:00:00Z\"").replacen("<md:SingleSignOnService ", &service, 1);
        read(&sign(&xml, Signer::new(&FEDERATION)).expect("signed"))
    };
    let mut refresher = refresher();
    refresher.accept(with_service("sso.a.example"), None, now());
    refresher.accept(with_service("evil.example"), None, now());
    let idp = refresher.snapshot().expect("a copy").idp(A, now()).expect("read");
    let services: Vec<_> = idp.artifact_services.iter().map(|service| (service.index, service.location.as_str())).collect();
    assert_eq!(services, [(Some(7), "https://sso.a.example/resolve")]);
    assert_eq!(refresher.pending().count(), 1);
}

#[test]
fn what_was_in_force_is_given_back_to_memory() {
    let mut refresher = refresher();
    refresher.accept(with(&[a()]), None, now());
    for round in 0..20 {
        let (snapshot, aggregate) = {
            let current = refresher.snapshot().expect("a copy");
            (Arc::downgrade(current), Arc::downgrade(&current.aggregate))
        };
        let scope = format!("{round}.example");
        refresher.accept(with(&[Idp("a.example", "sso.a.example", &ONE, &scope)]), None, now());
        assert!(snapshot.upgrade().is_none() && aggregate.upgrade().is_none(), "round {round}");
    }
}
