//! What logins do to users and identities.

use super::{NOW, identity, login, object, race, raw};
use crate::error::ErrorKind;
use crate::store::{Directory, IdentityLogin, IfUnknown, LinkedBy, MATCHES, PrimaryIdentity, ProfileSync, Recorded, UserChange, UserLogin};
use crate::user::{Identity, User};
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::task::JoinSet;

pub(super) async fn all(directory: &Arc<dyn Directory>) {
    fifty_first_logins_make_one_user(directory).await;
    fifty_first_logins_with_one_address_make_one_user(directory).await;
    first_logins_of_one_identity_with_an_address_make_one_user(directory).await;
    an_address_is_looked_for_only_when_asked(&**directory).await;
    what_is_no_address_finds_nobody(&**directory).await;
    s2_3_subjects_of_three_hundred_characters_are_kept(&**directory).await;
    subjects_are_compared_exactly(&**directory).await;
    nobody_is_joined_by_an_equal_user_id(&**directory).await;
    details_a_the_sync_mode_decides_about_the_root_attributes(&**directory).await;
    a_login_replaces_the_groups_of_its_connection_and_no_others(&**directory).await;
    s4_27_a_login_by_a_linked_identity_answers_with_the_primary(&**directory).await;
    blocked_and_link_only_logins_change_nothing(&**directory).await;
    a_login_of_an_account_that_is_kept_here_brings_nothing_and_makes_nobody(&**directory).await;
}

/// At another connection than most.
pub(super) fn at(connection: &str, subject: &str) -> Identity {
    Identity { connection: connection.into(), provider: "oidc".into(), user_id: subject.into(), is_social: true }
}

/// A login with an address that is looked for first.
pub(super) async fn unless_taken(directory: &dyn Directory, identity: &Identity, email: &str) -> Recorded {
    let profile = raw(&json!({"email": email}));
    let unknown = IfUnknown::MakeUserUnlessEmailIsTaken;
    let login = IdentityLogin { email: Some(email), email_verified: true, unknown, ..IdentityLogin::plain(identity, &profile, NOW) };
    directory.record_login(&login).await.expect("recorded")
}

/// A login with an address that is only noted; answers the user's id.
pub(super) async fn with_email(directory: &dyn Directory, identity: &Identity, email: &str) -> String {
    let profile = raw(&json!({"email": email}));
    let login = IdentityLogin { email: Some(email), ..IdentityLogin::plain(identity, &profile, NOW) };
    recorded(directory, &login).await.user_id
}

pub(super) async fn recorded(directory: &dyn Directory, login: &IdentityLogin<'_>) -> UserLogin {
    match directory.record_login(login).await.expect("recorded") {
        Recorded::Login(login) => *login,
        Recorded::Taken(users) => panic!("{} users have the address", users.len()),
    }
}

pub(super) async fn read(directory: &dyn Directory, user_id: &str) -> User {
    directory.user(user_id).await.expect("read").unwrap_or_else(|| panic!("{user_id} is there"))
}

async fn fifty_first_logins_make_one_user(directory: &Arc<dyn Directory>) {
    for subject in ["first-1", "first-2", "first-3"] {
        let logins = race(50, || {
            let directory = Arc::clone(directory);
            async move { login(&*directory, &identity(subject), json!({"n": 1}), NOW).await }
        });
        let mut logins = logins.await;
        assert_eq!(logins.iter().filter(|login| login.created).count(), 1);
        logins.sort_by_key(|login| login.logins_count);
        assert!(logins.iter().map(|login| login.logins_count).eq(1..=50), "each counted once");
        assert!(logins.iter().all(|login| login.user_id == logins[0].user_id));
        let user = read(&**directory, &logins[0].user_id).await;
        assert_eq!((user.identities.len(), user.identities[0].logins_count), (1, 50));
    }
}

async fn fifty_first_logins_with_one_address_make_one_user(directory: &Arc<dyn Directory>) {
    let mut set = JoinSet::new();
    for n in 0..50 {
        let directory = Arc::clone(directory);
        set.spawn(async move { unless_taken(&*directory, &at(&format!("idp-{n}"), "jane"), "fifty@a.example").await });
    }
    let (mut made, mut taken) = (Vec::new(), Vec::new());
    for answer in set.join_all().await {
        match answer {
            Recorded::Login(login) => made.push(login),
            Recorded::Taken(users) => taken.push(users),
        }
    }
    assert_eq!((made.len(), taken.len()), (1, 49));
    assert!(made[0].created);
    let user = read(&**directory, &made[0].user_id).await;
    assert!(taken.iter().all(|users| *users == [user.clone()]), "all others see the one");
    assert_eq!(directory.users_by_email("fifty@a.example", 100).await.expect("found"), [user]);
}

async fn first_logins_of_one_identity_with_an_address_make_one_user(directory: &Arc<dyn Directory>) {
    let answers = race(20, || {
        let directory = Arc::clone(directory);
        async move { unless_taken(&*directory, &identity("self"), "self@a.example").await }
    });
    // Nobody is told that the address is taken by the very identity.
    let logins: Vec<_> = answers
        .await
        .into_iter()
        .map(|answer| match answer {
            Recorded::Login(login) => login.logins_count,
            Recorded::Taken(users) => panic!("taken by {users:?}"),
        })
        .collect();
    assert_eq!(logins.iter().sum::<i64>(), (1..=20).sum::<i64>(), "{logins:?}");
}

async fn an_address_is_looked_for_only_when_asked(directory: &dyn Directory) {
    let first = with_email(directory, &identity("asked-1"), "asked@a.example").await;
    let second = with_email(directory, &identity("asked-2"), "asked@a.example").await;
    assert_ne!(first, second, "S4-26: a second identity is a second user");
    let newcomer = at("google", "asked");
    for _ in 0..2 {
        let Recorded::Taken(users) = unless_taken(directory, &newcomer, "asked@a.example").await else { panic!("it is taken") };
        assert_eq!(users.iter().map(|user| user.user_id.as_str()).collect::<Vec<_>>(), [first.as_str(), second.as_str()]);
        assert_eq!(directory.user_of("google", "asked").await.expect("read"), None, "nothing was changed");
    }
    // Who is known is never asked.
    assert!(matches!(unless_taken(directory, &identity("asked-1"), "asked@a.example").await, Recorded::Login(_)));
    assert!(matches!(unless_taken(directory, &newcomer, "free@a.example").await, Recorded::Login(login) if login.created));
    for n in 0..MATCHES + 3 {
        with_email(directory, &identity(&format!("match-{n:02}")), "many@a.example").await;
    }
    let Recorded::Taken(users) = unless_taken(directory, &at("google", "many"), "many@a.example").await else { panic!("it is taken") };
    assert_eq!(users.len(), MATCHES);
}

async fn what_is_no_address_finds_nobody(directory: &dyn Directory) {
    let long = format!("{}@a.example", "l".repeat(320));
    for (n, email) in ["", "nul\0@a.example", long.as_str()].into_iter().enumerate() {
        for connection in ["one", "two"] {
            let answer = unless_taken(directory, &at(connection, &format!("odd-{n}")), email).await;
            assert!(matches!(answer, Recorded::Login(ref login) if login.created), "{email:?}: {answer:?}");
        }
        assert!(directory.users_by_email(email, 10).await.expect("an answer").is_empty(), "{email:?}");
    }
    let fits = format!("{}@a.example", "f".repeat(310));
    assert_eq!(fits.len(), 320);
    with_email(directory, &identity("fits"), &fits).await;
    assert_eq!(directory.users_by_email(&fits, 10).await.expect("found").len(), 1);
    // A login without an address takes the old one away.
    login(directory, &identity("fits"), json!({}), NOW).await;
    assert!(directory.users_by_email(&fits, 10).await.expect("an answer").is_empty());
}

async fn s2_3_subjects_of_three_hundred_characters_are_kept(directory: &dyn Directory) {
    for length in [300, 301, 900] {
        let subject = "ü".repeat(length - 1) + "x";
        let same_beginning = "ü".repeat(length - 1) + "y";
        let one = login(directory, &identity(&subject), json!({}), NOW).await;
        let other = login(directory, &identity(&same_beginning), json!({}), NOW).await;
        assert!(one.created && other.created && one.user_id != other.user_id);
        let user = directory.user_of("acme", &subject).await.expect("read").expect("known");
        assert_eq!((user.user_id, user.identities[0].identity.user_id.as_str()), (one.user_id, subject.as_str()));
    }
}

/// zitadel/zitadel#10457: external ids compared without regard to case.
async fn subjects_are_compared_exactly(directory: &dyn Directory) {
    let subjects = ["Exact", "exact", "EXACT", "exact ", " exact", "e\u{301}xact", "\u{e9}xact", "exact%", "exac_"];
    for subject in subjects {
        assert!(login(directory, &identity(subject), json!({}), NOW).await.created, "{subject:?}");
    }
    for subject in subjects {
        let user = directory.user_of("acme", subject).await.expect("read").expect("known");
        assert_eq!((user.identities.len(), user.identities[0].identity.user_id.as_str()), (1, subject));
    }
    assert_eq!(directory.user_of("ACME", "exact").await.expect("read"), None);
    assert_eq!(directory.user_of("acme", "exact\0").await.expect("read"), None);
}

/// A separator in a name makes two identities the same user id: the second is refused, and not given to the first.
async fn nobody_is_joined_by_an_equal_user_id(directory: &dyn Directory) {
    let (first, second) = (at("equal", "x|y"), at("equal|x", "y"));
    let user_id = login(directory, &first, json!({}), NOW).await.user_id;
    assert_eq!(user_id, second.user_id_for_new_user());
    let refused = directory.record_login(&IdentityLogin::plain(&second, &raw(&json!({})), NOW)).await;
    assert_eq!(kind(refused), Some(ErrorKind::Internal));
    assert_eq!(read(directory, &user_id).await.identities.len(), 1);
    // Nor when it leaves somebody to whom it was linked.
    let host = login(directory, &identity("equal"), json!({}), NOW).await.user_id;
    directory.link_login(&IdentityLogin::plain(&second, &raw(&json!({})), NOW), &host, false, &by("equal")).await.expect("linked");
    assert_eq!(kind(directory.unlink(&host, "equal|x", "y", NOW).await), Some(ErrorKind::Conflict));
    assert_eq!(directory.user_of("equal|x", "y").await.expect("read").expect("linked").user_id, host);
    assert_eq!(directory.links(&host).await.expect("read")[0].undone_at, None);
}

async fn details_a_the_sync_mode_decides_about_the_root_attributes(directory: &dyn Directory) {
    let edited = object(json!({"name": "Edited"}));
    for (sync, first, later, after_edit) in [
        (ProfileSync::OnEachLogin, "v1", Some("v2"), Some("v3")),
        (ProfileSync::OnFirstLogin, "v1", Some("v1"), Some("Edited")),
        (ProfileSync::NeverOnLogin, "", None, Some("Edited")),
    ] {
        let identity = identity(&format!("sync-{sync:?}"));
        let profile = raw(&json!({}));
        let name = |login: &UserLogin| login.root.get("name").and_then(Value::as_str).map(str::to_owned);
        let with =
            async |root: &str| recorded(directory, &IdentityLogin { root, sync, ..IdentityLogin::plain(&identity, &profile, NOW) }).await;
        let made = with(r#"{"name":"v1"}"#).await;
        assert_eq!(name(&made).unwrap_or_default(), first, "{sync:?}");
        assert_eq!(name(&with(r#"{"name":"v2"}"#).await).as_deref(), later, "{sync:?}");
        let user = read(directory, &made.user_id).await;
        assert_eq!(user.identities[0].root.get("name").and_then(Value::as_str), later, "{sync:?}");
        let change = UserChange { root: Some(edited.clone()), ..UserChange::default() };
        directory.update_user(&made.user_id, user.updated_at, &change, NOW).await.expect("changed").expect("there");
        assert_eq!(name(&with(r#"{"name":"v3"}"#).await).as_deref(), after_edit, "{sync:?}");
    }
}

/// keycloak/keycloak#36578: a group that the provider takes away stays, or others go with it.
async fn a_login_replaces_the_groups_of_its_connection_and_no_others(directory: &dyn Directory) {
    let (corp, social) = (identity("groups"), at("google", "groups"));
    let profile = raw(&json!({}));
    let with = async |identity: &Identity, groups: &str| {
        recorded(directory, &IdentityLogin { groups, ..IdentityLogin::plain(identity, &profile, NOW) }).await
    };
    let user_id = with(&corp, r#"["staff","admins"]"#).await.user_id;
    let other = with(&social, r#"["friends"]"#).await.user_id;
    directory.link_users(&user_id, &other, &by("groups"), NOW).await.expect("linked");
    let user = read(directory, &user_id).await;
    let change = UserChange { groups: Some(vec!["vip".into()]), ..UserChange::default() };
    directory.update_user(&user_id, user.updated_at, &change, NOW).await.expect("changed").expect("there");

    let answer = with(&corp, r#"["staff"]"#).await;
    assert_eq!((answer.linked_groups, answer.assigned_groups), (vec!["friends".to_owned()], vec!["vip".to_owned()]));
    let answer = with(&social, "[]").await;
    assert_eq!((answer.linked_groups, answer.assigned_groups), (vec!["staff".to_owned()], vec!["vip".to_owned()]), "admins is gone");
    let answer = with(&corp, r#"["staff"]"#).await;
    assert_eq!(answer.linked_groups, Vec::<String>::new());

    // Several others: the primary's first, then in the order of linking.
    with(&social, r#"["z, with \"marks\"","a"]"#).await;
    let third = with(&at("github", "groups"), r#"["b"]"#).await.user_id;
    directory.link_users(&user_id, &third, &by("groups-2"), NOW).await.expect("linked");
    assert_eq!(with(&corp, "[]").await.linked_groups, ["z, with \"marks\"", "a", "b"]);
    with(&corp, r#"["p"]"#).await;
    assert_eq!(with(&at("github", "groups"), "[]").await.linked_groups, ["p", "z, with \"marks\"", "a"]);
}

async fn s4_27_a_login_by_a_linked_identity_answers_with_the_primary(directory: &dyn Directory) {
    let (corp, social) = (identity("primary \"|\" ü"), at("google", "secondary"));
    let corp_profile = raw(&json!({"email": "jane@corp.example", "name": "Jane \"J\" Doe"}));
    let first = IdentityLogin { root: r#"{"name":"Jane \"J\" Doe"}"#, ..IdentityLogin::plain(&corp, &corp_profile, NOW) };
    let user_id = recorded(directory, &first).await.user_id;
    let profile = raw(&json!({"name": "jd"}));
    let second = IdentityLogin { root: r#"{"name":"jd"}"#, ..IdentityLogin::plain(&social, &profile, NOW) };
    let other = recorded(directory, &second).await;
    assert_eq!((other.created, other.primary), (true, None));
    directory.link_users(&user_id, &other.user_id, &by("primary"), NOW).await.expect("linked");

    let answer = recorded(directory, &second).await;
    assert_eq!((answer.user_id.as_str(), answer.created, answer.logins_count), (user_id.as_str(), false, 2));
    assert_eq!(answer.root, object(json!({"name": "jd"})));
    let primary = PrimaryIdentity {
        connection: "acme".into(),
        subject: corp.user_id.clone(),
        profile: object(json!({"email": "jane@corp.example", "name": "Jane \"J\" Doe"})),
        root: object(json!({"name": "Jane \"J\" Doe"})),
    };
    assert_eq!(answer.primary, Some(primary));
    assert_eq!(recorded(directory, &first).await.primary, None);
    let user = read(directory, &user_id).await;
    assert_eq!(user.identities.iter().map(|stored| stored.identity.clone()).collect::<Vec<_>>(), [corp, social]);
    assert_eq!(user.identities[1].profile, object(json!({"name": "jd"})));
}

async fn blocked_and_link_only_logins_change_nothing(directory: &dyn Directory) {
    let quiet = identity("quiet");
    let was = raw(&json!({"was": "good"}));
    let first = IdentityLogin {
        root: r#"{"name":"Was"}"#,
        groups: r#"["was"]"#,
        email: Some("was@a.example"),
        ..IdentityLogin::plain(&quiet, &was, NOW)
    };
    let user_id = recorded(directory, &first).await.user_id;
    let is = raw(&json!({"is": "bad"}));
    let later = IdentityLogin {
        root: r#"{"name":"Is"}"#,
        groups: r#"["is"]"#,
        email: Some("is@a.example"),
        ..IdentityLogin::plain(&quiet, &is, NOW.plus_seconds(9))
    };
    for (blocked, allows_login) in [(true, true), (false, false), (true, false)] {
        directory.set_blocked(&user_id, blocked).await.expect("set");
        assert!(directory.set_allows_login("acme", "quiet", allows_login, NOW).await.expect("set"));
        let before = read(directory, &user_id).await;
        let answer = recorded(directory, &later).await;
        assert_eq!((answer.blocked, answer.allows_login), (blocked, allows_login));
        assert_eq!((answer.user_id.as_str(), answer.created, answer.logins_count), (user_id.as_str(), false, 1));
        assert_eq!(answer.root, object(json!({"name": "Was"})));
        assert_eq!(read(directory, &user_id).await, before);
        assert!(directory.users_by_email("is@a.example", 10).await.expect("an answer").is_empty());
    }
    directory.set_blocked(&user_id, false).await.expect("set");
    assert!(directory.set_allows_login("acme", "quiet", true, NOW).await.expect("set"));
    let answer = recorded(directory, &later).await;
    assert_eq!((answer.blocked, answer.allows_login, answer.logins_count), (false, true, 2));

    let hr = at("hr", "quiet");
    let new = IdentityLogin { allows_login: false, ..IdentityLogin::plain(&hr, &is, NOW) };
    assert!(!recorded(directory, &new).await.allows_login);
    assert!(!recorded(directory, &new).await.allows_login);
    assert!(!directory.set_allows_login("hr", "nobody", true, NOW).await.expect("an answer"), "nobody's identity");
    assert!(!directory.set_allows_login("a\0", "b", true, NOW).await.expect("an answer"));
}

async fn a_login_of_an_account_that_is_kept_here_brings_nothing_and_makes_nobody(directory: &dyn Directory) {
    let own = identity("kept-here");
    let profile = raw(&json!({"email": "kept@a.example"}));
    let first = IdentityLogin { root: r#"{"name":"Kept"}"#, email: Some("kept@a.example"), ..IdentityLogin::plain(&own, &profile, NOW) };
    // Nobody has it yet, or not any more.
    let here = IdentityLogin { kept_here: true, ..first.clone() };
    assert_eq!(kind(directory.record_login(&here).await), Some(ErrorKind::AccessDenied));
    let user_id = recorded(directory, &first).await.user_id;
    let older = raw(&json!({"email": "older@a.example"}));
    let login = IdentityLogin {
        root: r#"{"name":"Older"}"#,
        groups: r#"["older"]"#,
        email: Some("older@a.example"),
        kept_here: true,
        ..IdentityLogin::plain(&own, &older, NOW.plus_seconds(9))
    };
    let answer = recorded(directory, &login).await;
    assert_eq!((answer.user_id.as_str(), answer.logins_count, &answer.root), (user_id.as_str(), 2, &object(json!({"name": "Kept"}))));
    let user = read(directory, &user_id).await;
    let stored = user.identity("acme", "kept-here").expect("there");
    assert_eq!((&stored.profile, stored.last_login), (&object(json!({"email": "kept@a.example"})), Some(NOW.plus_seconds(9))));
    assert!(directory.users_by_email("older@a.example", 10).await.expect("an answer").is_empty());
    directory.set_blocked(&user_id, true).await.expect("set");
    let blocked = recorded(directory, &IdentityLogin { now: NOW.plus_seconds(20), ..login }).await;
    assert_eq!((blocked.blocked, blocked.logins_count), (true, 2));
    assert!(directory.delete_user(&user_id).await.expect("deleted"));
}

pub(super) fn by(link_id: &str) -> LinkedBy {
    LinkedBy { link_id: link_id.into(), how: "operator".into(), actor: "test".into(), correlation_id: String::new() }
}

/// An error that is an answer.
pub(super) fn kind<T>(answer: crate::error::Result<T>) -> Option<ErrorKind> {
    answer.err().map(|error| error.kind)
}
