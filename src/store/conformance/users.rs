//! What operators do to users, and that nothing is left of whom they delete.

use super::links::link_ids;
use super::logins::{at, by, kind, read, recorded, with_email};
use super::{NOW, identity, login, new_family, object, race, raw};
use crate::error::ErrorKind;
use crate::store::{Directory, IdentityLogin, NewUser, ProfileSync, RefreshFamily, Rotation, UserChange};
use crate::user::{Identity, UserState};
use serde_json::{Map, Value, json};
use std::sync::Arc;

pub(super) async fn all(directory: &Arc<dyn Directory>) {
    a_user_made_beforehand_waits_for_the_first_login(&**directory).await;
    an_identity_is_given_once(directory).await;
    users_are_found_by_identity_and_by_address(&**directory).await;
    the_state_of_a_user_is_that_of_the_user(&**directory).await;
    a_change_replaces_what_it_names_and_nothing_else(&**directory).await;
    of_two_changes_at_once_one_is_refused(directory).await;
    updated_at_never_stands_still(&**directory).await;
    s4_6_a_forgotten_profile_is_made_anew(&**directory).await;
    nothing_is_left_of_a_deleted_user(&**directory).await;
}

pub(super) fn new_user(identity: Identity) -> NewUser {
    NewUser {
        groups: vec!["invited".into()],
        user_metadata: object(json!({"theme": "dark"})),
        app_metadata: object(json!({"plan": "gold", "n": {"ü": [1, null]}})),
        custom_fields: object(json!({"Foo": {"foo": "\u{0}"}})),
        ..NewUser::bare(identity)
    }
}

async fn a_user_made_beforehand_waits_for_the_first_login(directory: &dyn Directory) {
    let new = NewUser { allows_login: false, ..new_user(identity("invited")) };
    assert!(directory.create_user(&new, NOW).await.expect("made"));
    assert!(!directory.create_user(&new_user(identity("invited")), NOW).await.expect("an answer"), "it is taken");
    let user = read(directory, "samlp|acme|invited").await;
    assert_eq!((user.created_at, user.updated_at, user.blocked), (NOW, NOW, false));
    assert_eq!((&user.groups, &user.user_metadata), (&new.groups, &new.user_metadata));
    assert_eq!((&user.app_metadata, &user.custom_fields), (&new.app_metadata, &new.custom_fields));
    let [stored] = user.identities.as_slice() else { panic!("one identity: {user:?}") };
    assert_eq!((&stored.identity, stored.allows_login, stored.created_at), (&new.identity, false, NOW));
    assert_eq!((stored.last_login, stored.logins_count, stored.profile.len(), stored.root.len()), (None, 0, 0, 0));

    assert!(directory.set_allows_login("acme", "invited", true, NOW).await.expect("set"));
    // The first login is one for the sync mode, too.
    let profile = raw(&json!({"name": "I"}));
    let first = IdentityLogin {
        root: r#"{"name":"I"}"#,
        sync: ProfileSync::OnFirstLogin,
        ..IdentityLogin::plain(&new.identity, &profile, NOW.plus_seconds(1))
    };
    let answer = recorded(directory, &first).await;
    assert_eq!((answer.created, answer.logins_count, answer.root), (false, 1, object(json!({"name": "I"}))));
    assert_eq!((answer.assigned_groups, answer.user_metadata), (new.groups, new.user_metadata));
    assert_eq!((answer.app_metadata, answer.custom_fields), (new.app_metadata, new.custom_fields));
    let again = recorded(directory, &IdentityLogin { root: r#"{"name":"J"}"#, ..first }).await;
    assert_eq!((again.logins_count, again.root), (2, object(json!({"name": "I"}))));
    let stored = read(directory, "samlp|acme|invited").await.identities.remove(0);
    assert_eq!((stored.last_login, stored.created_at), (Some(NOW.plus_seconds(1)), NOW));

    for subject in ["a\0b".to_owned(), "s".repeat(3000)] {
        let refused = directory.create_user(&new_user(identity(&subject)), NOW).await;
        assert_eq!(kind(refused), Some(ErrorKind::IdpResponseInvalid));
    }
}

async fn an_identity_is_given_once(directory: &Arc<dyn Directory>) {
    let made = race(20, || {
        let directory = Arc::clone(directory);
        async move { directory.create_user(&new_user(identity("given")), NOW).await.expect("an answer") }
    });
    assert_eq!(made.await.into_iter().filter(|made| *made).count(), 1);
    // An identity of a linked user is taken, although the user of its id is gone.
    let user_id = login(&**directory, &identity("taker"), json!({}), NOW).await.user_id;
    directory.link_users(&user_id, "samlp|acme|given", &by("given"), NOW).await.expect("linked");
    assert!(!directory.create_user(&new_user(identity("given")), NOW).await.expect("an answer"));
    assert_eq!(directory.user("samlp|acme|given").await.expect("read"), None);
}

async fn users_are_found_by_identity_and_by_address(directory: &dyn Directory) {
    let mut ids = Vec::new();
    for subject in ["found-b", "found-a", "found-c"] {
        ids.push(with_email(directory, &identity(subject), "found@a.example").await);
    }
    directory.link_users(&ids[0], &ids[2], &by("found"), NOW).await.expect("linked");
    let users = directory.users_by_email("found@a.example", 10).await.expect("found");
    assert_eq!(users, [read(directory, &ids[1]).await, read(directory, &ids[0]).await], "each once, by id");
    assert_eq!(users[1].identities.len(), 2);
    assert_eq!(directory.users_by_email("found@a.example", 1).await.expect("found").len(), 1);
    assert!(directory.users_by_email("found@a.example", 0).await.expect("an answer").is_empty());
    for email in ["Found@a.example", "found@a.example ", "%", "found_a.example"] {
        assert!(directory.users_by_email(email, 10).await.expect("an answer").is_empty(), "{email}");
    }
    assert_eq!(directory.user_of("acme", "found-c").await.expect("read"), Some(users[1].clone()));
    assert_eq!(directory.user_of("acme", "found-d").await.expect("read"), None);
}

async fn the_state_of_a_user_is_that_of_the_user(directory: &dyn Directory) {
    let one = with_email(directory, &identity("stated-a"), "stated@a.example").await;
    let other = with_email(directory, &identity("stated-b"), "stated@a.example").await;
    directory.link_users(&one, &other, &by("stated"), NOW).await.expect("linked");
    let later = NOW.plus_seconds(60);
    directory.record_login(&IdentityLogin::plain(&identity("stated-b"), &raw(&json!({})), later)).await.expect("recorded");
    directory.set_allows_login("acme", "stated-b", false, later).await.expect("set");
    for blocked in [false, true] {
        directory.set_blocked(&one, blocked).await.expect("set");
        let user = read(directory, &one).await;
        for stored in &user.identities {
            let state = directory.user_state(&one, "acme", &stored.identity.user_id).await.expect("read").expect("known");
            let expected = UserState {
                blocked,
                created_at: user.created_at,
                changed_at: user.changed_at(),
                allows_login: stored.allows_login,
                last_login: stored.last_login,
            };
            assert_eq!(state, expected);
        }
    }
    for (user_id, connection, subject) in
        [(&*other, "acme", "stated-b"), (&one, "acme", "found-a"), (&one, "google", "stated-a"), (&one, "acme", "stated-a\0")]
    {
        assert_eq!(directory.user_state(user_id, connection, subject).await.expect("read"), None, "{user_id} {connection} {subject}");
    }
}

async fn a_change_replaces_what_it_names_and_nothing_else(directory: &dyn Directory) {
    let new = new_user(identity("changed"));
    directory.create_user(&new, NOW).await.expect("made");
    let user_id = "samlp|acme|changed";
    let before = read(directory, user_id).await;
    let change = UserChange {
        custom_fields: Some(object(json!({"Baz": 1}))),
        groups: Some(Vec::new()),
        app_metadata: Some(Map::new()),
        ..UserChange::default()
    };
    directory.update_user(user_id, before.updated_at, &change, NOW.plus_seconds(5)).await.expect("changed").expect("there");
    let after = read(directory, user_id).await;
    let mut expected = before.clone();
    expected.updated_at = NOW.plus_seconds(5);
    (expected.groups, expected.app_metadata, expected.custom_fields) = (Vec::new(), Map::new(), object(json!({"Baz": 1})));
    assert_eq!(after, expected);

    // The root attributes are those of the primary identity.
    let other = login(directory, &at("google", "changed"), json!({}), NOW).await.user_id;
    directory.link_users(user_id, &other, &by("changed"), NOW).await.expect("linked");
    let before = read(directory, user_id).await;
    let root = object(json!({"name": "New"}));
    let change = UserChange { root: Some(root.clone()), blocked: Some(true), ..UserChange::default() };
    directory.update_user(user_id, before.updated_at, &change, NOW).await.expect("changed").expect("there");
    let after = read(directory, user_id).await;
    assert_eq!((after.blocked, &after.identities[0].root, after.identities[1].root.len()), (true, &root, 0));

    assert_eq!(directory.update_user("nobody", NOW, &change, NOW).await.expect("an answer"), None);
    assert_eq!(directory.update_user("a\0", NOW, &change, NOW).await.expect("an answer"), None);
    let stale = directory.update_user(user_id, before.updated_at, &UserChange::default(), NOW).await;
    assert_eq!(kind(stale), Some(ErrorKind::Conflict));
    assert_eq!(read(directory, user_id).await, after);
}

async fn of_two_changes_at_once_one_is_refused(directory: &Arc<dyn Directory>) {
    directory.create_user(&new_user(identity("raced")), NOW).await.expect("made");
    let answers = race(20, || {
        let directory = Arc::clone(directory);
        async move {
            let change = UserChange { root: Some(object(json!({"name": "Raced"}))), ..UserChange::default() };
            // All within one millisecond.
            directory.update_user("samlp|acme|raced", NOW, &change, NOW).await
        }
    });
    let (done, refused): (Vec<_>, Vec<_>) = answers.await.into_iter().partition(Result::is_ok);
    assert_eq!((done.len(), refused.len()), (1, 19));
    assert!(refused.into_iter().all(|answer| kind(answer) == Some(ErrorKind::Conflict)));
}

async fn updated_at_never_stands_still(directory: &dyn Directory) {
    let user_id = login(directory, &identity("moving"), json!({}), NOW).await.user_id;
    let mut last = read(directory, &user_id).await.updated_at;
    login(directory, &identity("moving"), json!({"n": 1}), NOW.plus_seconds(60)).await;
    assert_eq!(read(directory, &user_id).await.updated_at, last, "a login is no change");
    for step in 0..4 {
        match step {
            0 => directory.update_user(&user_id, last, &UserChange::default(), NOW).await.expect("changed").is_some(),
            1 => directory.set_allows_login("acme", "moving", true, NOW).await.expect("changed"),
            2 => directory.set_blocked(&user_id, false).await.expect("changed"),
            _ => directory.forget_profile(&user_id, NOW.plus_seconds(-60)).await.expect("changed"),
        };
        let now = read(directory, &user_id).await.updated_at;
        assert!(now > last, "step {step}: {now} after {last}");
        last = now;
    }
}

async fn s4_6_a_forgotten_profile_is_made_anew(directory: &dyn Directory) {
    let family = new_family(directory).await;
    let refresher = identity("refresher");
    let social = at("google", "refresher");
    let other = with_email(directory, &social, "refresher@a.example").await;
    directory.link_users(&family.user_id, &other, &by("forget"), NOW).await.expect("linked");
    let profile = raw(&json!({"email": "refresher@a.example"}));
    let full = IdentityLogin {
        root: r#"{"name":"R"}"#,
        groups: r#"["g"]"#,
        email: Some("refresher@a.example"),
        ..IdentityLogin::plain(&refresher, &profile, NOW)
    };
    recorded(directory, &full).await;
    let before = read(directory, &family.user_id).await;
    let change = UserChange { user_metadata: Some(object(json!({"kept": true}))), ..UserChange::default() };
    directory.update_user(&family.user_id, before.updated_at, &change, NOW).await.expect("changed").expect("there");

    assert!(directory.forget_profile(&family.user_id, NOW).await.expect("forgotten"));
    let user = read(directory, &family.user_id).await;
    assert_eq!((user.identities.len(), user.user_metadata.get("kept"), user.created_at), (2, Some(&Value::Bool(true)), before.created_at));
    for stored in &user.identities {
        assert_eq!((stored.profile.len(), stored.root.len(), stored.last_login, stored.logins_count), (0, 0, None, 0));
    }
    assert!(directory.users_by_email("refresher@a.example", 10).await.expect("an answer").is_empty());
    assert_eq!(directory.rotate_family(&family.grant_id, "notes", 0, NOW, 30).await.expect("an answer"), Rotation::Refused);
    assert_eq!(link_ids(directory, &family.user_id).await, ["forget"]);

    let answer = recorded(directory, &IdentityLogin::plain(&social, &profile, NOW)).await;
    assert_eq!((answer.created, answer.logins_count, answer.linked_groups.len()), (false, 1, 0));
    let answer = recorded(directory, &IdentityLogin { sync: ProfileSync::OnFirstLogin, ..full }).await;
    assert_eq!((answer.logins_count, answer.root), (1, object(json!({"name": "R"}))));
    assert!(!directory.forget_profile("nobody", NOW).await.expect("an answer"));
    assert!(!directory.forget_profile("a\0", NOW).await.expect("an answer"));
    assert!(directory.delete_user(&family.user_id).await.expect("deleted"));
}

async fn nothing_is_left_of_a_deleted_user(directory: &dyn Directory) {
    let family = new_family(directory).await;
    let social = at("google", "deleted");
    let other = with_email(directory, &social, "deleted@a.example").await;
    directory.link_users(&family.user_id, &other, &by("deleted"), NOW).await.expect("linked");
    assert_eq!(link_ids(directory, &family.user_id).await, ["deleted"]);
    assert!(directory.delete_user(&family.user_id).await.expect("deleted"));
    assert!(!directory.delete_user(&family.user_id).await.expect("an answer"));

    assert_eq!(directory.user(&family.user_id).await.expect("read"), None);
    for (connection, subject) in [("acme", "refresher"), ("google", "deleted")] {
        assert_eq!(directory.user_of(connection, subject).await.expect("read"), None);
    }
    assert!(directory.users_by_email("deleted@a.example", 10).await.expect("an answer").is_empty());
    assert!(directory.links(&family.user_id).await.expect("read").is_empty());
    assert_eq!(directory.undo_link("deleted", NOW).await.expect("an answer"), None);
    let rotated = directory.rotate_family(&family.grant_id, "notes", 0, NOW, 30).await.expect("an answer");
    assert_eq!(rotated, Rotation::Refused);
    let again = RefreshFamily { grant_id: "again".into(), ..family };
    assert_eq!(kind(directory.put_family(&again).await), Some(ErrorKind::InvalidGrant));
    for identity in [identity("refresher"), social] {
        let answer = login(directory, &identity, json!({}), NOW).await;
        assert_eq!((answer.created, answer.logins_count, answer.primary), (true, 1, None));
        assert!(directory.delete_user(&answer.user_id).await.expect("deleted"));
    }
}
