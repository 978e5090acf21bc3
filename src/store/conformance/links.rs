//! Linking, and taking it back: one step each, whoever does it at the same time.

use super::logins::{at, by, kind, read, recorded, unless_taken, with_email};
use super::users::new_user;
use super::{NOW, identity, login, new_family, object, race, raw};
use crate::clock::Timestamp;
use crate::error::{ErrorKind, Result};
use crate::id::random_id;
use crate::store::{ConflictRecord, Directory, IdentityLogin, LinkEntry, Recorded, Rotation, UserChange};
use crate::user::{Identity, User};
use serde_json::{Map, json};
use std::collections::HashSet;
use std::sync::Arc;
use tokio::task::JoinSet;

pub(super) async fn all(directory: &Arc<dyn Directory>) {
    a_linked_login_joins_the_user(&**directory).await;
    linking_what_is_linked_is_a_login(directory).await;
    an_identity_is_linked_to_one_of_many(directory).await;
    a_link_by_address_needs_the_one_match(&**directory).await;
    details_c_linked_users_are_one(&**directory).await;
    what_cannot_be_linked_is_said(&**directory).await;
    details_c_an_unlinked_identity_is_the_user_that_it_was(&**directory).await;
    an_identity_that_was_nobody_is_a_bare_user(&**directory).await;
    parting_unblocks_nobody(&**directory).await;
    an_undone_link_gives_all_identities_back(&**directory).await;
    what_came_along_stays_when_the_first_leaves(&**directory).await;
    older_lines_go_with_their_identities(&**directory).await;
    what_left_and_came_back_stays(&**directory).await;
    the_longest_subjects_can_be_linked(&**directory).await;
    of_many_equal_links_one_happens(directory).await;
    a_ring_of_links_leaves_one_user(directory).await;
    a_link_and_a_first_login_agree(directory).await;
    a_link_and_a_deletion_agree(directory).await;
    everything_at_once_loses_nobody(directory).await;
    conflicts_are_counted_and_go(&**directory).await;
}

pub(super) async fn link_ids(directory: &dyn Directory, user_id: &str) -> Vec<String> {
    directory.links(user_id).await.expect("read").into_iter().map(|entry| entry.by.link_id).collect()
}

/// The subjects of a user, in order.
async fn subjects(directory: &dyn Directory, user_id: &str) -> Vec<String> {
    read(directory, user_id).await.identities.into_iter().map(|stored| stored.identity.user_id).collect()
}

async fn make(directory: &dyn Directory, subject: &str) -> String {
    login(directory, &identity(subject), json!({"of": subject}), NOW).await.user_id
}

/// Links a new identity by a login.
async fn link(directory: &dyn Directory, identity: &Identity, user_id: &str, link_id: &str) -> Result<crate::store::UserLogin> {
    let profile = raw(&json!({"of": identity.user_id}));
    directory.link_login(&IdentityLogin::plain(identity, &profile, NOW), user_id, false, &by(link_id)).await
}

async fn a_linked_login_joins_the_user(directory: &dyn Directory) {
    let user_id = make(directory, "joined").await;
    let user = read(directory, &user_id).await;
    let change = UserChange { app_metadata: Some(object(json!({"plan": "gold"}))), ..UserChange::default() };
    directory.update_user(&user_id, user.updated_at, &change, NOW).await.expect("changed").expect("there");
    let seen = read(directory, &user_id).await.updated_at;

    let social = at("google", "joined");
    let profile = raw(&json!({"name": "J"}));
    let new = IdentityLogin { root: r#"{"name":"J"}"#, ..IdentityLogin::plain(&social, &profile, NOW.plus_seconds(-3)) };
    let by = crate::store::LinkedBy { correlation_id: "c".into(), how: "ask".into(), actor: user_id.clone(), ..by("joined") };
    let answer = directory.link_login(&new, &user_id, false, &by).await.expect("linked");
    assert_eq!((answer.user_id.as_str(), answer.created, answer.logins_count), (user_id.as_str(), false, 1));
    assert_eq!((answer.root, answer.app_metadata), (object(json!({"name": "J"})), object(json!({"plan": "gold"}))));
    assert_eq!(answer.primary.map(|primary| primary.profile), Some(object(json!({"of": "joined"}))));
    let user = read(directory, &user_id).await;
    assert!(user.updated_at > seen);
    assert_eq!((user.identities.len(), &user.identities[1].identity), (2, &social));
    let entry = LinkEntry {
        by,
        at: NOW.plus_seconds(-3),
        user_id: user_id.clone(),
        former_user_id: None,
        identities: vec![("google".into(), "joined".into())],
        kept: Map::new(),
        undone_at: None,
    };
    assert_eq!(directory.links(&user_id).await.expect("read"), [entry]);
    assert_eq!(recorded(directory, &new).await.user_id, user_id);
}

/// zitadel/zitadel#10090, #10983: a second link of the same is an error, or a second identity.
async fn linking_what_is_linked_is_a_login(directory: &Arc<dyn Directory>) {
    let user_id = make(&**directory, "double").await;
    let answers = race(50, || {
        let (directory, user_id) = (Arc::clone(directory), user_id.clone());
        async move { link(&*directory, &at("google", "double"), &user_id, &random_id()).await.expect("linked") }
    });
    let mut answers = answers.await;
    answers.sort_by_key(|answer| answer.logins_count);
    assert!(answers.iter().map(|answer| answer.logins_count).eq(1..=50), "each counted once");
    assert!(answers.iter().all(|answer| answer.user_id == user_id));
    assert_eq!(read(&**directory, &user_id).await.identities.len(), 2);
    assert_eq!(directory.links(&user_id).await.expect("read").len(), 1);
    // Also of the primary identity, and of one that came with a user.
    assert_eq!(link(&**directory, &identity("double"), &user_id, "primary").await.expect("linked").logins_count, 2);
}

async fn an_identity_is_linked_to_one_of_many(directory: &Arc<dyn Directory>) {
    let mut set = JoinSet::new();
    for n in 0..20 {
        let directory = Arc::clone(directory);
        set.spawn(async move {
            let user_id = make(&*directory, &format!("suitor-{n}")).await;
            link(&*directory, &at("google", "courted"), &user_id, &random_id()).await
        });
    }
    let (linked, refused): (Vec<_>, Vec<_>) = set.join_all().await.into_iter().partition(Result::is_ok);
    assert_eq!((linked.len(), refused.len()), (1, 19));
    assert!(refused.into_iter().all(|answer| kind(answer) == Some(ErrorKind::Conflict)));
    let owner = directory.user_of("google", "courted").await.expect("read").expect("linked");
    assert_eq!(linked.into_iter().flatten().next().map(|login| login.user_id), Some(owner.user_id));
}

async fn a_link_by_address_needs_the_one_match(directory: &dyn Directory) {
    let user_id = with_email(directory, &identity("match"), "match@a.example").await;
    let profile = raw(&json!({}));
    let social = at("google", "match");
    let plain = IdentityLogin::plain(&social, &profile, NOW);
    let with = |email| IdentityLogin { email, ..plain.clone() };
    for email in [None, Some("other@a.example"), Some("")] {
        let refused = directory.link_login(&with(email), &user_id, true, &by("match")).await;
        assert_eq!(kind(refused), Some(ErrorKind::Conflict), "{email:?}");
    }
    let rival = with_email(directory, &identity("rival"), "match@a.example").await;
    let refused = directory.link_login(&with(Some("match@a.example")), &user_id, true, &by("match")).await;
    assert_eq!(kind(refused), Some(ErrorKind::Conflict), "two have it");
    assert_eq!(directory.user_of("google", "match").await.expect("read"), None);
    assert!(directory.links(&user_id).await.expect("read").is_empty());

    login(directory, &identity("rival"), json!({}), NOW).await;
    let linked = directory.link_login(&with(Some("match@a.example")), &user_id, true, &by("match")).await.expect("linked");
    assert_eq!(linked.user_id, user_id);
    // What is linked is linked, whoever has the address by now.
    with_email(directory, &identity("rival"), "match@a.example").await;
    let again = directory.link_login(&with(Some("match@a.example")), &user_id, true, &by("match-2")).await.expect("linked");
    assert_eq!(again.logins_count, 2);
    let refused = directory.link_login(&with(Some("match@a.example")), &rival, false, &by("match-3")).await;
    assert_eq!(kind(refused), Some(ErrorKind::Conflict));
    assert_eq!(subjects(directory, &rival).await, ["rival"]);
}

async fn details_c_linked_users_are_one(directory: &dyn Directory) {
    directory.create_user(&new_user(identity("main")), NOW).await.expect("made");
    let family = new_family(directory).await;
    let (user_id, other) = ("samlp|acme|main", family.user_id.as_str());
    link(directory, &at("google", "main"), user_id, "main-1").await.expect("linked");
    link(directory, &at("google", "refresher"), other, "main-2").await.expect("linked");
    let former = read(directory, other).await;
    let change = UserChange { groups: Some(vec!["vip".into()]), user_metadata: Some(object(json!({"a": 1}))), ..UserChange::default() };
    directory.update_user(other, former.updated_at, &change, NOW).await.expect("changed").expect("there");

    let entry = directory.link_users(user_id, other, &by("main-3"), NOW.plus_seconds(1)).await.expect("linked");
    let expected = LinkEntry {
        by: by("main-3"),
        at: NOW.plus_seconds(1),
        user_id: user_id.into(),
        former_user_id: Some(other.into()),
        identities: vec![("acme".into(), "refresher".into()), ("google".into(), "refresher".into())],
        kept: object(json!({
            "created_at": NOW.millis(), "blocked": false, "groups": ["vip"], "user_metadata": {"a": 1}, "app_metadata": {}, "custom_fields": {}
        })),
        undone_at: None,
    };
    assert_eq!(entry, expected);
    let user = read(directory, user_id).await;
    assert_eq!(subjects(directory, user_id).await, ["main", "main", "refresher", "refresher"], "behind those that were there");
    assert_eq!(user.groups, ["invited"], "the other's metadata are not merged");
    assert_eq!(directory.user(other).await.expect("read"), None);
    assert!(directory.links(other).await.expect("read").is_empty());
    let ids = link_ids(directory, user_id).await;
    assert_eq!((ids[0].as_str(), ids.len()), ("main-3", 3), "newest first, and the other's lines too: {ids:?}");
    assert_eq!(directory.links(user_id).await.expect("read")[0], expected);
    assert_eq!(directory.rotate_family(&family.grant_id, "notes", 0, NOW, 30).await.expect("an answer"), Rotation::Refused);
    let login = login(directory, &identity("refresher"), json!({}), NOW).await;
    assert_eq!((login.user_id.as_str(), login.created), (user_id, false));
}

async fn what_cannot_be_linked_is_said(directory: &dyn Directory) {
    let (one, two) = (make(directory, "said-1").await, make(directory, "said-2").await);
    assert_eq!(kind(directory.link_users(&one, &one, &by("said"), NOW).await), Some(ErrorKind::Conflict));
    for (user_id, other, missing) in [(one.as_str(), "nobody", "nobody"), ("nobody", one.as_str(), "nobody"), (&one, "a\0", "a\0")] {
        let error = directory.link_users(user_id, other, &by("said"), NOW).await.expect_err("nobody there");
        assert_eq!((error.kind, error.detail.contains(missing)), (ErrorKind::NotFound, true), "{error:?}");
    }
    for blocked in [&one, &two] {
        directory.set_blocked(blocked, true).await.expect("blocked");
        assert_eq!(kind(directory.link_users(&one, &two, &by("said"), NOW).await), Some(ErrorKind::Conflict));
        let new = at("google", "said");
        assert_eq!(kind(link(directory, &new, blocked, "said").await), Some(ErrorKind::Conflict), "a blocked user");
        directory.set_blocked(blocked, false).await.expect("unblocked");
    }
    for gone in ["nobody", "a\0"] {
        assert_eq!(kind(link(directory, &at("google", "said"), gone, "said").await), Some(ErrorKind::Conflict));
    }
    assert_eq!(kind(link(directory, &identity("said-2"), &one, "said").await), Some(ErrorKind::Conflict), "somebody else's");
    assert_eq!(kind(link(directory, &at("google", "a\0b"), &one, "said").await), Some(ErrorKind::IdpResponseInvalid));
    assert_eq!(directory.user_of("google", "said").await.expect("read"), None);
    assert!(directory.links(&one).await.expect("read").is_empty());
    directory.link_users(&one, &two, &by("said"), NOW).await.expect("linked");
    let three = make(directory, "said-3").await;
    assert_eq!(kind(directory.link_users(&one, &three, &by("said"), NOW).await), Some(ErrorKind::Conflict), "an id is used once");
    assert!(directory.user(&three).await.expect("read").is_some());

    let error = directory.unlink(&one, "acme", "said-1", NOW).await.expect_err("refused");
    assert_eq!((error.kind, error.detail.contains("primary")), (ErrorKind::Conflict, true), "{error:?}");
    for (user_id, connection, subject) in [("nobody", "acme", "said-2"), (&one, "acme", "said-3"), (&one, "acme", "a\0")] {
        assert_eq!(directory.unlink(user_id, connection, subject, NOW).await.expect("an answer"), None);
    }
    for nothing in ["nothing", "a\0"] {
        assert_eq!(directory.undo_link(nothing, NOW).await.expect("an answer"), None);
    }
    assert!(directory.links("a\0").await.expect("an answer").is_empty());
}

async fn details_c_an_unlinked_identity_is_the_user_that_it_was(directory: &dyn Directory) {
    let user_id = make(directory, "stays").await;
    directory.create_user(&new_user(identity("leaves")), NOW.plus_seconds(-100)).await.expect("made");
    login(directory, &identity("leaves"), json!({"v": 1}), NOW).await;
    let before = read(directory, "samlp|acme|leaves").await;
    let family = crate::store::RefreshFamily { user_id: user_id.clone(), grant_id: random_id(), ..new_family(directory).await };
    directory.put_family(&family).await.expect("stored");
    directory.link_users(&user_id, &before.user_id, &by("leaves"), NOW).await.expect("linked");
    assert_eq!(login(directory, &identity("leaves"), json!({"v": 2}), NOW.plus_seconds(5)).await.logins_count, 2);
    let seen = read(directory, &user_id).await.updated_at;

    let user = directory.unlink(&user_id, "acme", "leaves", NOW.plus_seconds(9)).await.expect("unlinked").expect("there");
    let mut expected = before;
    expected.updated_at = NOW.plus_seconds(9);
    // The identity keeps what it has got meanwhile.
    expected.identities[0].profile = object(json!({"v": 2}));
    (expected.identities[0].logins_count, expected.identities[0].last_login) = (2, Some(NOW.plus_seconds(5)));
    assert_eq!(user, expected);
    assert_eq!(read(directory, &user.user_id).await, expected);
    assert_eq!(subjects(directory, &user_id).await, ["stays"]);
    assert!(read(directory, &user_id).await.updated_at > seen);
    let rotated = directory.rotate_family(&family.grant_id, "notes", 0, NOW, 30).await.expect("an answer");
    assert_eq!(rotated, Rotation::Refused, "whoever holds one may be the one who left");
    let [entry] = directory.links(&user_id).await.expect("read").try_into().expect("one line");
    assert_eq!((entry.undone_at, entry.kept), (Some(NOW.plus_seconds(9)), Map::new()), "given back, and not kept");
    assert_eq!(kind(directory.undo_link("leaves", NOW).await), Some(ErrorKind::Conflict));
    assert_eq!(login(directory, &identity("leaves"), json!({}), NOW).await.user_id, "samlp|acme|leaves");
}

async fn an_identity_that_was_nobody_is_a_bare_user(directory: &dyn Directory) {
    directory.create_user(&new_user(identity("host")), NOW).await.expect("made");
    for (subject, undo) in [("guest-1", false), ("guest-2", true)] {
        link(directory, &at("google", subject), "samlp|acme|host", subject).await.expect("linked");
        let user = if undo {
            directory.undo_link(subject, NOW.plus_seconds(7)).await
        } else {
            directory.unlink("samlp|acme|host", "google", subject, NOW.plus_seconds(7)).await
        };
        let user = user.expect("parted").expect("there");
        assert_eq!((user.user_id, user.created_at), (format!("oidc|google|{subject}"), NOW.plus_seconds(7)));
        assert!(user.groups.is_empty() && user.user_metadata.is_empty() && user.app_metadata.is_empty() && user.custom_fields.is_empty());
        assert_eq!((user.identities.len(), &user.identities[0].profile), (1, &object(json!({"of": subject}))));
    }
}

async fn parting_unblocks_nobody(directory: &dyn Directory) {
    let (user_id, other) = (make(directory, "bad").await, make(directory, "worse").await);
    directory.link_users(&user_id, &other, &by("bad"), NOW).await.expect("linked");
    directory.set_blocked(&user_id, true).await.expect("blocked");
    assert!(directory.unlink(&user_id, "acme", "worse", NOW).await.expect("unlinked").expect("there").blocked);
}

async fn an_undone_link_gives_all_identities_back(directory: &dyn Directory) {
    let user_id = make(directory, "undo").await;
    directory.create_user(&new_user(identity("undone")), NOW).await.expect("made");
    for subject in ["undone-1", "undone-2"] {
        link(directory, &at("google", subject), "samlp|acme|undone", subject).await.expect("linked");
    }
    let before = read(directory, "samlp|acme|undone").await;
    directory.link_users(&user_id, &before.user_id, &by("undo"), NOW).await.expect("linked");
    link(directory, &at("google", "undo-new"), &user_id, "undo-new").await.expect("linked");
    let user = directory.undo_link("undo", NOW.plus_seconds(3)).await.expect("undone").expect("there");
    assert_eq!(user, User { updated_at: NOW.plus_seconds(3), ..before });
    assert_eq!(subjects(directory, &user_id).await, ["undo", "undo-new"]);
    assert_eq!(link_ids(directory, &user_id).await, ["undo-new", "undo"]);
    let error = directory.undo_link("undo", NOW).await.expect_err("refused");
    assert_eq!((error.kind, error.detail.contains("before")), (ErrorKind::Conflict, true), "{error:?}");

    // What has left in the meantime is not brought back.
    directory.link_users(&user_id, &user.user_id, &by("undo-2"), NOW).await.expect("linked");
    directory.unlink(&user_id, "google", "undone-1", NOW).await.expect("unlinked").expect("there");
    directory.undo_link("undo-2", NOW).await.expect("undone").expect("there");
    assert_eq!(subjects(directory, "samlp|acme|undone").await, ["undone", "undone-2"]);
    assert_eq!(subjects(directory, "oidc|google|undone-1").await, ["undone-1"]);
}

async fn what_came_along_stays_when_the_first_leaves(directory: &dyn Directory) {
    for (round, undo) in [("x", true), ("y", false)] {
        let [host, first, second] = ["along", "along-1", "along-2"].map(|subject| format!("{subject}-{round}"));
        let (host, first, second) = (make(directory, &host).await, make(directory, &first).await, make(directory, &second).await);
        let [outer, inner] = ["outer", "inner"].map(|link| format!("along-{link}-{round}"));
        directory.link_users(&first, &second, &by(&inner), NOW).await.expect("linked");
        directory.link_users(&host, &first, &by(&outer), NOW).await.expect("linked");
        directory.unlink(&host, "acme", &format!("along-1-{round}"), NOW).await.expect("unlinked").expect("there");
        assert_eq!(subjects(directory, &host).await, [format!("along-{round}"), format!("along-2-{round}")]);
        let error = directory.undo_link(&outer, NOW).await.expect_err("refused");
        assert_eq!((error.kind, error.detail.contains("before")), (ErrorKind::Conflict, true), "{error:?}");
        if undo {
            let user = directory.undo_link(&inner, NOW).await.expect("undone").expect("there");
            assert_eq!((user.user_id, subjects(directory, &host).await), (second, vec![format!("along-{round}")]));
        }
    }
}

async fn older_lines_go_with_their_identities(directory: &dyn Directory) {
    let [a, b, c, d] = ["old-a", "old-b", "old-c", "old-d"].map(|subject| make(directory, subject));
    let (a, b, c, d) = (a.await, b.await, c.await, d.await);
    directory.link_users(&a, &b, &by("old-ab"), NOW).await.expect("linked");
    directory.link_users(&c, &a, &by("old-ca"), NOW).await.expect("linked");
    directory.link_users(&d, &c, &by("old-dc"), NOW).await.expect("linked");
    assert_eq!(link_ids(directory, &d).await, ["old-dc", "old-ca", "old-ab"]);
    assert!(directory.links(&d).await.expect("read").iter().all(|entry| entry.user_id == d));

    let user = directory.undo_link("old-ca", NOW).await.expect("undone").expect("there");
    assert_eq!((user.user_id.as_str(), subjects(directory, &a).await), (a.as_str(), vec!["old-a".to_owned(), "old-b".to_owned()]));
    assert_eq!(subjects(directory, &d).await, ["old-d", "old-c"]);
    assert_eq!(link_ids(directory, &a).await, ["old-ab"]);
    assert_eq!(link_ids(directory, &d).await, ["old-dc", "old-ca"]);
    let user = directory.undo_link("old-ab", NOW).await.expect("undone").expect("there");
    assert_eq!((user.user_id.as_str(), subjects(directory, &b).await), (b.as_str(), vec!["old-b".to_owned()]));
    directory.undo_link("old-dc", NOW).await.expect("undone").expect("there");
    for (user_id, subject) in [(a, "old-a"), (b, "old-b"), (c, "old-c"), (d, "old-d")] {
        assert_eq!(subjects(directory, &user_id).await, [subject]);
    }
}

async fn what_left_and_came_back_stays(directory: &dyn Directory) {
    let (host, a, b) = (make(directory, "back-host").await, make(directory, "back-a").await, make(directory, "back-b").await);
    directory.link_users(&a, &b, &by("back-ab"), NOW).await.expect("linked");
    directory.link_users(&host, &a, &by("back-1"), NOW).await.expect("linked");
    let left = directory.unlink(&host, "acme", "back-b", NOW).await.expect("unlinked").expect("there");
    assert_eq!(left.user_id, b);
    directory.link_users(&host, &b, &by("back-2"), NOW).await.expect("linked");
    directory.undo_link("back-1", NOW).await.expect("undone").expect("there");
    assert_eq!(subjects(directory, &a).await, ["back-a"]);
    assert_eq!(subjects(directory, &host).await, ["back-host", "back-b"], "it is here by another link");
    assert_eq!(kind(directory.undo_link("back-ab", NOW).await), Some(ErrorKind::Conflict), "taken back by unlinking");
    directory.undo_link("back-2", NOW).await.expect("undone").expect("there");
    assert_eq!(subjects(directory, &b).await, ["back-b"]);
}

async fn the_longest_subjects_can_be_linked(directory: &dyn Directory) {
    let long = "l".repeat(1990);
    let one = login(directory, &identity(&long), json!({}), NOW).await.user_id;
    let two = login(directory, &at("acme2", &long), json!({}), NOW).await.user_id;
    directory.record_conflict(&conflict(&long, NOW)).await.expect("noted");
    directory.link_users(&one, &two, &by("long"), NOW).await.expect("linked");
    assert_eq!(directory.unlink(&one, "acme2", &long, NOW).await.expect("unlinked").map(|user| user.user_id), Some(two));
    directory.delete_user(&one).await.expect("deleted");
}

async fn of_many_equal_links_one_happens(directory: &Arc<dyn Directory>) {
    for round in 0..5 {
        let user_id = make(&**directory, &format!("equal-{round}")).await;
        let other = make(&**directory, &format!("equal-other-{round}")).await;
        let answers = race(20, || {
            let (directory, user_id, other) = (Arc::clone(directory), user_id.clone(), other.clone());
            async move { directory.link_users(&user_id, &other, &by(&random_id()), NOW).await }
        });
        let (linked, refused): (Vec<_>, Vec<_>) = answers.await.into_iter().partition(Result::is_ok);
        assert_eq!((linked.len(), refused.len()), (1, 19));
        assert!(refused.into_iter().all(|answer| kind(answer) == Some(ErrorKind::NotFound)));
        assert_eq!(read(&**directory, &user_id).await.identities.len(), 2);
        let link_id = &directory.links(&user_id).await.expect("read")[0].by.link_id.clone();

        // Of many who take it back and unlink, one does.
        let answers = race(20, || {
            let (directory, user_id, link_id) = (Arc::clone(directory), user_id.clone(), link_id.clone());
            let subject = format!("equal-other-{round}");
            async move {
                if random_id() < "8".repeat(32) {
                    directory.undo_link(&link_id, NOW).await
                } else {
                    directory.unlink(&user_id, "acme", &subject, NOW).await
                }
            }
        });
        let done = answers.await.into_iter().filter(|answer| matches!(answer, Ok(Some(_)))).count();
        assert_eq!(done, 1);
        assert_eq!(read(&**directory, &other).await.identities.len(), 1);
    }
}

/// A into B while B into A, and longer rings.
async fn a_ring_of_links_leaves_one_user(directory: &Arc<dyn Directory>) {
    for people in [2, 2, 2, 3, 5] {
        let mut ids = Vec::new();
        for n in 0..people {
            ids.push(make(&**directory, &format!("ring-{people}-{n}-{}", random_id())).await);
        }
        let mut set = JoinSet::new();
        for n in 0..people {
            let (directory, into, other) = (Arc::clone(directory), ids[n].clone(), ids[(n + 1) % people].clone());
            set.spawn(async move { directory.link_users(&into, &other, &by(&random_id()), NOW).await });
        }
        let answers = set.join_all().await;
        let linked = answers.iter().filter(|answer| answer.is_ok()).count();
        for error in answers.into_iter().filter_map(Result::err) {
            assert!(matches!(error.kind, ErrorKind::NotFound | ErrorKind::Conflict), "{error:?}");
        }
        let mut left = Vec::new();
        for id in &ids {
            left.extend(directory.user(id).await.expect("read"));
        }
        assert_eq!(left.len(), people - linked, "every link ends one user");
        assert!(linked >= 1);
        assert_eq!(left.iter().map(|user| user.identities.len()).sum::<usize>(), people, "nobody is lost");
    }
}

async fn a_link_and_a_first_login_agree(directory: &Arc<dyn Directory>) {
    for round in 0..15 {
        let user_id = make(&**directory, &format!("agree-{round}")).await;
        let new = at("google", &format!("agree-{round}"));
        let (ours, theirs) = tokio::join!(
            {
                let (directory, user_id, new) = (Arc::clone(directory), user_id.clone(), new.clone());
                tokio::spawn(async move { link(&*directory, &new, &user_id, &random_id()).await })
            },
            {
                let (directory, new) = (Arc::clone(directory), new.clone());
                tokio::spawn(async move { unless_taken(&*directory, &new, &format!("agree-{round}@a.example")).await })
            }
        );
        let Recorded::Login(login) = theirs.expect("no panic") else { panic!("nobody else has the address") };
        let owner = directory.user_of("google", &new.user_id).await.expect("read").expect("somebody's");
        assert_eq!(login.user_id, owner.user_id);
        match ours.expect("no panic") {
            Ok(linked) => assert_eq!((linked.user_id, login.created), (owner.user_id, false)),
            Err(error) => assert_eq!((error.kind, login.created), (ErrorKind::Conflict, true)),
        }
    }
}

async fn a_link_and_a_deletion_agree(directory: &Arc<dyn Directory>) {
    for round in 0..15 {
        let user_id = make(&**directory, &format!("gone-{round}")).await;
        let other = make(&**directory, &format!("gone-other-{round}")).await;
        let new = at("google", &format!("gone-{round}"));
        let mut set = JoinSet::new();
        for task in 0..3 {
            let (directory, user_id, other, new) = (Arc::clone(directory), user_id.clone(), other.clone(), new.clone());
            set.spawn(async move {
                match task {
                    0 => directory.delete_user(&user_id).await.map(|_| ()),
                    1 => link(&*directory, &new, &user_id, &random_id()).await.map(|_| ()),
                    _ => directory.link_users(&user_id, &other, &by(&random_id()), NOW).await.map(|_| ()),
                }
            });
        }
        for error in set.join_all().await.into_iter().filter_map(Result::err) {
            assert!(matches!(error.kind, ErrorKind::NotFound | ErrorKind::Conflict), "{error:?}");
        }
        assert_eq!(directory.user(&user_id).await.expect("read"), None);
        assert_eq!(directory.user_of("google", &new.user_id).await.expect("read"), None);
        // The other user was joined and is gone with it, or is as before.
        let other = directory.user(&other).await.expect("read");
        assert!(other.is_none_or(|other| other.identities.len() == 1));
    }
}

/// Everybody does everything for a while: no error but those that are answers, and nobody is lost or in two places.
async fn everything_at_once_loses_nobody(directory: &Arc<dyn Directory>) {
    const PEOPLE: u64 = 5;
    let person = |n: u64| identity(&format!("storm-{}", n % PEOPLE));
    let user_id = move |n: u64| person(n).user_id_for_new_user();
    let mut set = JoinSet::new();
    for task in 0..12_u64 {
        let directory = Arc::clone(directory);
        set.spawn(async move {
            let mut seed = task.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
            let mut next = move || {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                seed >> 33
            };
            for _ in 0..25 {
                let (what, n, m) = (next() % 8, next(), next());
                let answer = match what {
                    0 | 1 => directory.link_users(&user_id(n), &user_id(m), &by(&random_id()), NOW).await.map(|_| ()),
                    2 => directory.unlink(&user_id(n), "acme", &person(m).user_id, NOW).await.map(|_| ()),
                    3 => match directory.links(&user_id(n)).await.expect("read").first() {
                        Some(entry) => directory.undo_link(&entry.by.link_id, NOW).await.map(|_| ()),
                        None => Ok(()),
                    },
                    4 => link(&*directory, &person(m), &user_id(n), &random_id()).await.map(|_| ()),
                    5 => directory.set_allows_login("acme", &person(n).user_id, true, NOW).await.map(|_| ()),
                    6 if n % 3 == 0 => directory.delete_user(&user_id(m)).await.map(|_| ()),
                    _ => {
                        login(&*directory, &person(n), json!({}), NOW).await;
                        Ok(())
                    }
                };
                if let Err(error) = answer {
                    assert!(matches!(error.kind, ErrorKind::NotFound | ErrorKind::Conflict), "{what}: {error:?}");
                }
            }
        });
    }
    set.join_all().await;
    let mut owners = HashSet::new();
    for n in 0..PEOPLE {
        owners.insert(login(&**directory, &person(n), json!({}), NOW).await.user_id);
    }
    let mut seen = HashSet::new();
    for owner in owners {
        let user = read(&**directory, &owner).await;
        assert!(user.identities.iter().all(|stored| seen.insert(stored.identity.user_id.clone())), "in two places");
        assert!(directory.links(&owner).await.expect("read").iter().all(|entry| entry.user_id == owner));
    }
    assert_eq!(seen.len(), usize::try_from(PEOPLE).expect("a few"));
}

fn conflict(subject: &str, at: Timestamp) -> ConflictRecord {
    ConflictRecord {
        connection: "acme".into(),
        subject: subject.into(),
        reason: "several_matches".into(),
        email: Some("conflict@a.example".into()),
        candidates: vec!["samlp|acme|a".into(), "oidc|google|\"b\"".into()],
        correlation_id: "c1".into(),
        first_at: at,
        last_at: at,
        times: 1,
    }
}

async fn conflicts_are_counted_and_go(directory: &dyn Directory) {
    let listed = async || directory.conflicts(100).await.expect("read");
    assert!(listed().await.is_empty());
    for (subject, seconds) in [("torn-1", 1), ("torn-2", 2), ("torn-3", 3), ("torn-4", 4)] {
        let first = ConflictRecord { times: 77, first_at: NOW, ..conflict(subject, NOW.plus_seconds(seconds)) };
        directory.record_conflict(&first).await.expect("noted");
    }
    let again =
        ConflictRecord { reason: "unverified_here".into(), email: None, candidates: Vec::new(), ..conflict("torn-1", NOW.plus_seconds(9)) };
    directory.record_conflict(&again).await.expect("noted");
    let expected = [
        ConflictRecord { first_at: NOW.plus_seconds(1), times: 2, ..again },
        conflict("torn-4", NOW.plus_seconds(4)),
        conflict("torn-3", NOW.plus_seconds(3)),
        conflict("torn-2", NOW.plus_seconds(2)),
    ];
    assert_eq!(listed().await, expected, "newest first, each once, with the newest reason");
    assert_eq!(directory.conflicts(2).await.expect("read"), expected[..2]);
    assert!(directory.conflicts(-1).await.expect("read").is_empty());
    let refused = directory.record_conflict(&conflict("a\0b", NOW)).await;
    assert_eq!(kind(refused), Some(ErrorKind::IdpResponseInvalid));

    // Made by a login, made beforehand, linked by a login.
    let user_id = make(directory, "torn-1").await;
    directory.create_user(&new_user(identity("torn-2")), NOW).await.expect("made");
    link(directory, &identity("torn-3"), &user_id, "torn-3").await.expect("linked");
    assert_eq!(listed().await, expected[1..2]);
    // One of somebody known: linked with its user, or deleted with it.
    make(directory, "torn-5").await;
    make(directory, "torn-6").await;
    for subject in ["torn-5", "torn-6"] {
        directory.record_conflict(&conflict(subject, NOW)).await.expect("noted");
    }
    login(directory, &identity("torn-5"), json!({}), NOW).await;
    assert_eq!(listed().await.len(), 3, "a login of somebody known settles nothing");
    directory.link_users(&user_id, "samlp|acme|torn-5", &by("torn-5"), NOW).await.expect("linked");
    directory.delete_user("samlp|acme|torn-6").await.expect("deleted");
    assert_eq!(listed().await, expected[1..2]);
    // Not even twice at once is it two.
    let (one, two) = (conflict("torn-7", NOW), conflict("torn-7", NOW));
    let (one, two) = tokio::join!(directory.record_conflict(&one), directory.record_conflict(&two));
    assert!(one.is_ok() && two.is_ok());
    assert_eq!(listed().await.iter().find(|conflict| conflict.subject == "torn-7").map(|conflict| conflict.times), Some(2));
}
