//! What every implementation of the two traits must do. A store is finished when it passes.

mod consents;
mod jobs;
mod links;
mod log;
mod logins;
mod objects;
mod own;
mod queue;
mod search;
mod users;

use super::{AuditEvent, Consumed, Directory, IdentityLogin, Op, Recorded, RefreshFamily, Rotation, SavedEntry, SessionStore, UserLogin};
use crate::clock::Timestamp;
use crate::error::ErrorKind;
use crate::id::random_id;
use crate::user::Identity;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// Runs `racers` of the same thing at once.
async fn race<T, F>(racers: usize, run: impl Fn() -> F) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let mut set = JoinSet::new();
    for _ in 0..racers {
        set.spawn(run());
    }
    set.join_all().await
}

fn put(key: &str, value: &[u8], ttl: u64) -> Op {
    Op::Put { key: key.to_owned(), value: value.to_vec(), ttl }
}

fn claim(key: &str, ttl: u64) -> Op {
    Op::Claim { key: key.to_owned(), ttl }
}

/// The whole suite for a [`SessionStore`].
pub async fn sessions(store: Arc<dyn SessionStore>) {
    store.ping().await.expect("it is there");
    values(&*store).await;
    commits(&*store).await;
    one_of_many_takes(&store).await;
    one_of_many_consumes(&store).await;
    one_of_many_claims(&store).await;
    lists(&store).await;
    everything_expires(&*store).await;
}

async fn values(store: &dyn SessionStore) {
    let key = |name: &str| format!("{{{}}}:{name}", "values");
    let binary: Vec<u8> = (1..=255).chain(0..=255).collect();
    let large = vec![b'x'; 200_000];
    let ops = vec![put(&key("a"), b"A", 60), put(&key("binary"), &binary, 60), put(&key("large"), &large, 60), put(&key("empty"), b"", 60)];
    assert_eq!(store.commit(ops).await.expect("written"), [true; 4]);
    let keys = ["large", "absent", "a", "binary", "empty", "a"].map(key);
    let expected = [Some(large), None, Some(b"A".to_vec()), Some(binary), Some(Vec::new()), Some(b"A".to_vec())];
    assert_eq!(store.get_many(&keys).await.expect("read"), expected);
    assert_eq!(store.get_many(&[]).await.expect("read"), Vec::<Option<Vec<u8>>>::new());

    assert_eq!(store.commit(vec![put(&key("a"), b"B", 60), Op::Delete { key: key("binary") }]).await.expect("written"), [true, true]);
    assert_eq!(store.get_many(&["a", "binary"].map(key)).await.expect("read"), [Some(b"B".to_vec()), None]);
    assert_eq!(store.take(&key("a")).await.expect("taken"), Some(b"B".to_vec()));
    assert_eq!(store.take(&key("a")).await.expect("taken"), None);
    assert_eq!(store.get_many(&[key("a")]).await.expect("read"), [None]);
}

async fn commits(store: &dyn SessionStore) {
    assert_eq!(store.commit(Vec::new()).await.expect("nothing to do"), Vec::<bool>::new());
    // Keys without a common tag: in a cluster they live on several slots.
    let (used, session, code) = (random_id(), random_id(), random_id());
    let ops = || vec![claim(&used, 60), put(&session, b"session", 60), Op::Delete { key: random_id() }, put(&code, b"code", 60)];
    assert_eq!(store.commit(ops()).await.expect("written"), [true, true, true, true]);
    assert_eq!(store.commit(ops()).await.expect("written"), [false, true, true, true]);
    assert_eq!(store.get_many(std::slice::from_ref(&session)).await.expect("read"), [Some(b"session".to_vec())]);
    // A claim is not a value.
    assert_eq!(store.get_many(std::slice::from_ref(&used)).await.expect("read"), [None]);
    assert_eq!(store.commit(vec![Op::Delete { key: used.clone() }]).await.expect("released"), [true]);
    assert_eq!(store.commit(vec![claim(&used, 60)]).await.expect("claimed again"), [true]);
}

async fn one_of_many_takes(store: &Arc<dyn SessionStore>) {
    let key = random_id();
    store.commit(vec![put(&key, b"once", 60)]).await.expect("written");
    let answers = race(50, || {
        let (store, key) = (Arc::clone(store), key.clone());
        async move { store.take(&key).await.expect("an answer") }
    });
    let winners: Vec<_> = answers.await.into_iter().flatten().collect();
    assert_eq!(winners, [b"once".to_vec()]);
}

async fn one_of_many_consumes(store: &Arc<dyn SessionStore>) {
    let key = random_id();
    store.commit(vec![put(&key, b"code", 60)]).await.expect("written");
    let answers = race(50, || {
        let (store, key) = (Arc::clone(store), key.clone());
        async move { store.consume(&key, b"grant \x00 1".to_vec(), 60).await.expect("an answer") }
    });
    let answers = answers.await;
    assert_eq!(answers.iter().filter(|answer| **answer == Consumed::Fresh(b"code".to_vec())).count(), 1);
    assert_eq!(answers.iter().filter(|answer| **answer == Consumed::Used(b"grant \x00 1".to_vec())).count(), 49);
    // The first tombstone stays, and is not a value.
    assert_eq!(store.consume(&key, b"other".to_vec(), 60).await.expect("an answer"), Consumed::Used(b"grant \x00 1".to_vec()));
    assert_eq!(store.get_many(std::slice::from_ref(&key)).await.expect("read"), [None]);
    assert_eq!(store.consume(&random_id(), b"x".to_vec(), 60).await.expect("an answer"), Consumed::Absent);
}

async fn one_of_many_claims(store: &Arc<dyn SessionStore>) {
    let key = random_id();
    let answers = race(50, || {
        let (store, key) = (Arc::clone(store), key.clone());
        async move { store.commit(vec![claim(&key, 60)]).await.expect("an answer") }
    });
    assert_eq!(answers.await.into_iter().filter(|ours| *ours == [true]).count(), 1);
}

fn append(key: &str, value: &[u8], keep: usize, ttl: u64) -> Op {
    Op::Append { key: key.to_owned(), value: value.to_vec(), keep, ttl }
}

async fn lists(store: &Arc<dyn SessionStore>) {
    let key = random_id();
    assert_eq!(store.list(&key, 5).await.expect("read"), Vec::<Vec<u8>>::new());
    for n in 0..7_u8 {
        // With other writes: in a cluster they live on other slots.
        let ops = vec![claim(&random_id(), 60), append(&key, &[n, 0, 255], 4, 60), put(&random_id(), b"v", 60)];
        assert_eq!(store.commit(ops).await.expect("written"), [true, true, true]);
    }
    let newest = |from: u8, to: u8| (to..=from).rev().map(|n| vec![n, 0, 255]).collect::<Vec<_>>();
    assert_eq!(store.list(&key, 100).await.expect("read"), newest(6, 3), "the newest first, and no more than are kept");
    assert_eq!(store.list(&key, 2).await.expect("read"), newest(6, 5));
    assert_eq!(store.list(&key, 0).await.expect("read"), Vec::<Vec<u8>>::new());
    // A list is not a value, and nothing but a list is one.
    assert_eq!(store.get_many(std::slice::from_ref(&key)).await.expect("read"), [None]);
    // It may be kept shorter from now on, and several values of one commit all arrive.
    store.commit(vec![append(&key, b"x", 2, 60)]).await.expect("written");
    assert_eq!(store.list(&key, 100).await.expect("read"), [b"x".to_vec(), vec![6, 0, 255]]);
    assert_eq!(store.commit(vec![append(&key, b"y", 0, 60)]).await.expect("written"), [true], "none counts as one");
    assert_eq!(store.list(&key, 100).await.expect("read"), [b"y".to_vec()]);
    assert_eq!(store.commit(vec![Op::Delete { key: key.clone() }]).await.expect("deleted"), [true]);
    assert_eq!(store.list(&key, 100).await.expect("read"), Vec::<Vec<u8>>::new());

    let appended = race(50, || {
        let (store, key) = (Arc::clone(store), key.clone());
        async move { store.commit(vec![append(&key, random_id().as_bytes(), 40, 60)]).await.expect("written") }
    });
    assert_eq!(appended.await, vec![[true]; 50]);
    let mut left = store.list(&key, 100).await.expect("read");
    left.sort();
    left.dedup();
    assert_eq!(left.len(), 40, "nothing is lost to somebody who appends at the same time");
}

async fn everything_expires(store: &dyn SessionStore) {
    let (value, code, mark, taken, list, longer) = (random_id(), random_id(), random_id(), random_id(), random_id(), random_id());
    let ops = vec![
        put(&value, b"v", 1),
        put(&taken, b"v", 1),
        put(&code, b"v", 60),
        claim(&mark, 1),
        append(&list, b"v", 9, 1),
        append(&longer, b"old", 9, 1),
    ];
    store.commit(ops).await.expect("written");
    assert_eq!(store.consume(&code, b"t".to_vec(), 1).await.expect("an answer"), Consumed::Fresh(b"v".to_vec()));
    store.commit(vec![append(&longer, b"new", 9, 60)]).await.expect("written");
    tokio::time::sleep(Duration::from_millis(1150)).await;
    assert_eq!(store.list(&list, 9).await.expect("read"), Vec::<Vec<u8>>::new());
    assert_eq!(store.list(&longer, 9).await.expect("read"), [b"new".to_vec(), b"old".to_vec()], "an append prolongs the whole list");
    assert_eq!(store.get_many(std::slice::from_ref(&value)).await.expect("read"), [None]);
    assert_eq!(store.take(&taken).await.expect("read"), None);
    assert_eq!(store.consume(&code, b"t".to_vec(), 1).await.expect("an answer"), Consumed::Absent);
    assert_eq!(store.commit(vec![claim(&mark, 1)]).await.expect("claimed"), [true]);
    // A life of no seconds is a short one, not an error and not for ever.
    assert_eq!(store.commit(vec![put(&value, b"v", 0), put(&taken, b"v", u64::MAX)]).await.expect("written"), [true, true]);
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().expect("an object").clone()
}

fn identity(subject: &str) -> Identity {
    Identity { connection: "acme".into(), provider: "samlp".into(), user_id: subject.to_owned(), is_social: false }
}

const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

fn raw(profile: &Value) -> Box<RawValue> {
    to_raw_value(profile).expect("JSON")
}

async fn login(directory: &dyn Directory, identity: &Identity, profile: Value, now: Timestamp) -> UserLogin {
    let profile = raw(&profile);
    match directory.record_login(&IdentityLogin::plain(identity, &profile, now)).await.expect("recorded") {
        Recorded::Login(login) => *login,
        Recorded::Taken(users) => panic!("nobody was to be looked for, and {} were found", users.len()),
    }
}

/// The whole suite for a [`Directory`].
pub async fn directory(directory: Arc<dyn Directory>) {
    directory.ping().await.expect("it is there");
    one_person(&*directory).await;
    blocked_users(&*directory).await;
    odd_subjects(&*directory).await;
    logins::all(&directory).await;
    users::all(&directory).await;
    links::all(&directory).await;
    own::all(&directory).await;
    jobs::all(&directory).await;
    log::all(&*directory).await;
    queue::all(&directory).await;
    consents::all(&directory).await;
    concurrent_logins(&directory).await;
    rotations(&*directory).await;
    concurrent_rotations(&directory).await;
    deletion(&*directory).await;
    audit(&*directory).await;
    saved_sessions(&*directory).await;
    objects::all(&directory).await;
    search::all(&directory).await;
    directory.close().await.expect("closed");
    assert_eq!(directory.ping().await.expect_err("closed").kind, ErrorKind::StoreUnavailable);
}

async fn one_person(directory: &dyn Directory) {
    let jane = identity("jane");
    let first = login(directory, &jane, json!({"email": "jane@a.example", "z": 1, "a": {"ü": ["\u{0}", null]}}), NOW).await;
    let nobody = Map::new();
    let expected = UserLogin {
        user_id: "samlp|acme|jane".into(),
        created: true,
        blocked: false,
        allows_login: true,
        logins_count: 1,
        root: nobody.clone(),
        primary: None,
        linked_groups: Vec::new(),
        assigned_groups: Vec::new(),
        user_metadata: nobody.clone(),
        app_metadata: nobody.clone(),
        custom_fields: nobody,
    };
    assert_eq!(first, expected);
    let second = login(directory, &jane, json!({"email": "jane@b.example", "z": "\u{0}", "b": 1, "a": 2}), NOW.plus_seconds(5)).await;
    assert_eq!(second, UserLogin { created: false, logins_count: 2, ..expected });

    let user = directory.user("samlp|acme|jane").await.expect("read").expect("known");
    assert_eq!((user.user_id.as_str(), user.blocked, user.created_at, user.identities.len()), ("samlp|acme|jane", false, NOW, 1));
    let stored = &user.identities[0];
    assert_eq!((&stored.identity, stored.logins_count, stored.last_login), (&jane, 2, Some(NOW.plus_seconds(5))));
    assert_eq!(serde_json::to_string(&stored.profile).expect("JSON"), r#"{"email":"jane@b.example","z":"\u0000","b":1,"a":2}"#);

    // Subjects are compared exactly, and belong to their connection.
    assert!(login(directory, &identity("Jane"), json!({}), NOW).await.created);
    assert!(login(directory, &identity("jane "), json!({}), NOW).await.created);
    let elsewhere = Identity { connection: "globex".into(), provider: "oidc".into(), is_social: true, ..jane };
    assert_eq!(login(directory, &elsewhere, json!({}), NOW).await.user_id, "oidc|globex|jane");
    assert!(directory.user("oidc|globex|jane").await.expect("read").expect("known").identities[0].identity.is_social);
    assert_eq!(directory.user("nobody").await.expect("read"), None);
}

async fn blocked_users(directory: &dyn Directory) {
    let mallory = identity("mallory");
    let user_id = login(directory, &mallory, json!({"was": "good"}), NOW).await.user_id;
    assert!(directory.set_blocked(&user_id, true).await.expect("blocked"));
    let refused = login(directory, &mallory, json!({"is": "bad"}), NOW.plus_seconds(9)).await;
    assert_eq!((refused.blocked, refused.created, refused.logins_count, refused.user_id.as_str()), (true, false, 1, user_id.as_str()));
    let user = directory.user(&user_id).await.expect("read").expect("known");
    assert!(user.blocked);
    assert_eq!((user.identities[0].profile.clone(), user.identities[0].last_login), (object(json!({"was": "good"})), Some(NOW)));
    assert!(directory.set_blocked(&user_id, false).await.expect("unblocked"));
    let again = login(directory, &mallory, json!({"is": "good"}), NOW.plus_seconds(10)).await;
    assert_eq!((again.blocked, again.logins_count), (false, 2));
    assert!(!directory.set_blocked("nobody", true).await.expect("an answer"));
}

async fn odd_subjects(directory: &dyn Directory) {
    let long = "s".repeat(1900);
    for subject in ["x'; DROP TABLE users; --", "ünïcødé \u{1f600}", "a|b|c", "", "%_\\", long.as_str()] {
        let first = login(directory, &identity(subject), json!({}), NOW).await;
        assert!(first.created, "{subject}");
        assert_eq!(first.user_id, format!("samlp|acme|{subject}"));
        assert_eq!(login(directory, &identity(subject), json!({}), NOW).await.logins_count, 2, "{subject}");
        assert!(directory.user(&first.user_id).await.expect("read").is_some());
    }
    for subject in ["a\0b".to_owned(), "s".repeat(3000)] {
        let refused = directory.record_login(&IdentityLogin::plain(&identity(&subject), &raw(&json!({})), NOW)).await;
        assert_eq!(refused.expect_err("refused").kind, ErrorKind::IdpResponseInvalid);
    }
    assert_eq!(directory.user("a\0b").await.expect("an answer"), None);
    assert!(!directory.set_blocked("a\0b", true).await.expect("an answer"));
    assert!(!directory.delete_user("a\0b").await.expect("an answer"));
}

/// Different people at the same time: nobody waits long enough to fail.
async fn concurrent_logins(directory: &Arc<dyn Directory>) {
    let mut set = JoinSet::new();
    for n in 0..100 {
        let directory = Arc::clone(directory);
        set.spawn(async move { login(&*directory, &identity(&format!("crowd-{n}")), json!({"n": n}), NOW).await });
    }
    assert!(set.join_all().await.iter().all(|login| login.created && login.logins_count == 1));
}

async fn new_family(directory: &dyn Directory) -> RefreshFamily {
    let user_id = login(directory, &identity("refresher"), json!({}), NOW).await.user_id;
    let family = RefreshFamily {
        grant_id: random_id(),
        client_id: "notes".into(),
        user_id,
        generation: 0,
        created_at: NOW,
        rotated_at: NOW,
        expires_at: NOW.plus_seconds(1000),
        data: r#"{"scope":"openid"}"#.into(),
    };
    directory.put_family(&family).await.expect("stored");
    family
}

async fn rotations(directory: &dyn Directory) {
    let family = new_family(directory).await;
    let id = family.grant_id.as_str();
    let at = |seconds| NOW.plus_seconds(seconds);
    let first = RefreshFamily { generation: 1, rotated_at: at(10), ..family.clone() };
    let rotate = |client, generation, seconds| directory.rotate_family(id, client, generation, at(seconds), 30);

    assert_eq!(rotate("wiki", 0, 10).await.expect("an answer"), Rotation::Refused, "another client's");
    assert_eq!(rotate("notes", 1, 10).await.expect("an answer"), Rotation::Refused, "never given out");
    assert_eq!(rotate("notes", -1, 10).await.expect("an answer"), Rotation::Refused, "never given out");
    assert_eq!(rotate("notes", 0, 1000).await.expect("an answer"), Rotation::Refused, "expired");
    assert_eq!(rotate("notes", 0, 10).await.expect("an answer"), Rotation::Rotated(first.clone()));
    assert_eq!(rotate("notes", 0, 40).await.expect("an answer"), Rotation::Repeated(first), "within the grace period");
    let second = RefreshFamily { generation: 2, rotated_at: at(50), ..family.clone() };
    assert_eq!(rotate("notes", 1, 50).await.expect("an answer"), Rotation::Rotated(second.clone()));
    assert_eq!(rotate("notes", 0, 51).await.expect("an answer"), Rotation::Reused(second), "two generations old");
    for generation in 0..4 {
        assert_eq!(rotate("notes", generation, 52).await.expect("an answer"), Rotation::Refused, "revoked");
    }

    let late = new_family(directory).await;
    directory.rotate_family(&late.grant_id, "notes", 0, at(10), 30).await.expect("rotated");
    let reused = directory.rotate_family(&late.grant_id, "notes", 0, at(41), 30).await.expect("an answer");
    assert!(matches!(reused, Rotation::Reused(ref family) if family.generation == 1), "after the grace period: {reused:?}");

    let revoked = new_family(directory).await;
    directory.revoke_family(&revoked.grant_id).await.expect("revoked");
    directory.revoke_family(&revoked.grant_id).await.expect("revoked before");
    directory.revoke_family("no\0body's").await.expect("an answer");
    assert_eq!(directory.rotate_family(&revoked.grant_id, "notes", 0, at(1), 30).await.expect("an answer"), Rotation::Refused);
    assert_eq!(directory.rotate_family("unknown", "notes", 0, at(1), 30).await.expect("an answer"), Rotation::Refused);
    assert_eq!(directory.rotate_family("\0", "\0", 0, at(1), 30).await.expect("an answer"), Rotation::Refused);

    let kept = new_family(directory).await;
    let used = |client, generation, seconds| directory.use_family(&kept.grant_id, client, generation, at(seconds));
    for (client, generation, seconds) in [("wiki", 0, 1), ("notes", 1, 1), ("notes", -1, 1), ("notes", 0, 1000), ("\0", 0, 1)] {
        assert_eq!(used(client, generation, seconds).await.expect("an answer"), None, "{client} {generation} {seconds}");
    }
    for seconds in [5, 60] {
        let still = RefreshFamily { rotated_at: at(seconds), ..kept.clone() };
        assert_eq!(used("notes", 0, seconds).await.expect("an answer"), Some(still), "it stays in force");
    }
    assert!(matches!(directory.rotate_family(&kept.grant_id, "notes", 0, at(61), 30).await, Ok(Rotation::Rotated(_))));
    assert_eq!(used("notes", 0, 62).await.expect("an answer"), None, "another one is in force");
    directory.revoke_family(&kept.grant_id).await.expect("revoked");
    assert_eq!(used("notes", 1, 63).await.expect("an answer"), None, "revoked");

    let orphan = RefreshFamily { grant_id: random_id(), user_id: "nobody".into(), ..family };
    assert_eq!(directory.put_family(&orphan).await.expect_err("nobody's").kind, ErrorKind::InvalidGrant);
}

async fn concurrent_rotations(directory: &Arc<dyn Directory>) {
    let family = new_family(&**directory).await;
    let answers = race(20, || {
        let (directory, grant_id) = (Arc::clone(directory), family.grant_id.clone());
        async move { directory.rotate_family(&grant_id, "notes", 0, NOW.plus_seconds(3), 30).await.expect("an answer") }
    });
    let answers = answers.await;
    let successor = RefreshFamily { generation: 1, rotated_at: NOW.plus_seconds(3), ..family };
    assert_eq!(answers.iter().filter(|answer| **answer == Rotation::Rotated(successor.clone())).count(), 1);
    assert_eq!(answers.iter().filter(|answer| **answer == Rotation::Repeated(successor.clone())).count(), 19);
}

async fn deletion(directory: &dyn Directory) {
    let family = new_family(directory).await;
    assert!(directory.delete_user(&family.user_id).await.expect("deleted"));
    assert!(!directory.delete_user(&family.user_id).await.expect("an answer"));
    assert_eq!(directory.user(&family.user_id).await.expect("read"), None);
    assert_eq!(directory.rotate_family(&family.grant_id, "notes", 0, NOW, 30).await.expect("an answer"), Rotation::Refused);
    let again = login(directory, &identity("refresher"), json!({}), NOW).await;
    assert_eq!((again.created, again.logins_count), (true, 1));
}

async fn audit(directory: &dyn Directory) {
    let event = |n: i64| AuditEvent {
        at: NOW.plus_seconds(n / 3),
        kind: "test.event".into(),
        correlation_id: format!("c{n}"),
        detail: format!(r#"{{"n":{n}}}"#),
    };
    for n in 0..9 {
        directory.audit(&event(n)).await.expect("written");
    }
    assert_eq!(directory.audit_events(4).await.expect("read"), [event(8), event(7), event(6), event(5)]);
    assert_eq!(directory.audit_events(100).await.expect("read").len(), 9);
    assert!(directory.audit_events(-1).await.expect("read").is_empty());
}

async fn saved_sessions(directory: &dyn Directory) {
    let entry = |n: usize| SavedEntry { key: format!("k{n}\0"), value: vec![n as u8; n % 200_000], expires_at: NOW.plus_seconds(n as i64) };
    let entries: Vec<_> = (0..300).chain([150_000, 199_999, 150_001, 150_002, 150_003]).map(entry).collect();
    directory.save_sessions(&[entry(7)]).await.expect("saved");
    directory.save_sessions(&entries).await.expect("replaced");
    let mut back = directory.take_sessions().await.expect("taken");
    back.sort_by_key(|entry| entry.expires_at);
    let mut entries = entries;
    entries.sort_by_key(|entry| entry.expires_at);
    assert_eq!(back, entries);
    assert!(directory.take_sessions().await.expect("taken").is_empty(), "only once");
    directory.save_sessions(&[]).await.expect("nothing to save");
}
