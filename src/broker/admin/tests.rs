//! Use cases over an embedded directory.

use super::*;
use crate::connection::config::SubjectComparison;
use crate::profile::Written;
use crate::store::{IdentityLogin, IfUnknown, LinkedBy, NewUser, Recorded, open_directory};
use crate::user::Identity;
use crate::user::metadata::Update;
use crate::user::patch::{Editor, UserPatch};
use crate::user::sync::root_of;
use std::sync::LazyLock;

/// Making keys takes a while, and nobody changes them.
static KEYRING: LazyLock<Arc<Keyring>> = LazyLock::new(|| {
    let certs = tempfile::tempdir().expect("a directory");
    Arc::new(Keyring::open_or_create(certs.path()).expect("keys"))
});

const BY: By<'static> = By { actor: "cli:root", correlation_id: "abcdefghjkmnpqrs" };

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(1_800_000_000 + seconds)
}

/// Connections `acme` (the usual settings), `first` (synchronized at the first login) and `fold` (subjects without case).
async fn admin() -> Admin {
    admin_sealing(&["user_metadata.ssn", "app_metadata.partner.key"]).await
}

async fn admin_sealing(paths: &[&str]) -> Admin {
    let directory = open_directory("sqlite::memory:").await.expect("a directory");
    let first = ProfileSettings { sync: ProfileSync::OnFirstLogin, ..ProfileSettings::default() };
    let fold = ProfileSettings { subject_comparison: SubjectComparison::IgnoreCase, ..ProfileSettings::default() };
    let connections = [("acme", ProfileSettings::default()), ("first", first), ("fold", fold)];
    Admin {
        policies: HashMap::new(),
        directory,
        keyring: Arc::clone(&KEYRING),
        connections: connections.into_iter().map(|(name, settings)| (name.to_owned(), settings)).collect(),
        sealed: paths.iter().map(|path| SealedPath::parse(path).expect("a path")).collect(),
    }
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        other => panic!("{other} is no object"),
    }
}

fn identity(connection: &str, subject: &str) -> Identity {
    Identity { connection: connection.into(), provider: "samlp".into(), user_id: subject.into(), is_social: false }
}

impl Admin {
    /// A login with this profile; the answer is the user id.
    async fn login(&self, connection: &str, subject: &str, profile: Value, now: Timestamp) -> String {
        let (identity, profile) = (identity(connection, subject), object(profile));
        let root = Value::Object(root_of(&profile)).to_string();
        let groups = profile.get("groups").cloned().unwrap_or_else(|| json!([])).to_string();
        let written = Written::object(&profile).expect("JSON");
        let login = IdentityLogin {
            root: &root,
            sync: self.connections[connection].sync,
            groups: &groups,
            email: profile.get("email").and_then(Value::as_str),
            unknown: IfUnknown::MakeUser,
            ..IdentityLogin::plain(&identity, written.as_raw(), now)
        };
        match self.directory.record_login(&login).await.expect("recorded") {
            Recorded::Login(login) => login.user_id,
            Recorded::Taken(_) => panic!("somebody is made"),
        }
    }

    async fn jane(&self) -> String {
        let profile = json!({"name": "Jane Doe", "email": "jane@acme.example", "groups": ["staff"]});
        self.login("acme", "jane", profile, at(0)).await
    }

    async fn bob(&self) -> String {
        self.login("first", "bob", json!({"name": "Bob", "email": "bob@club.example", "groups": ["club"]}), at(0)).await
    }

    async fn patch_as(&self, user_id: &str, request: Value, how: Update) -> Result<User> {
        let patch = UserPatch::parse(&object(request), Editor::Operator)?;
        self.update_user(user_id, &patch, how, BY, at(10)).await
    }

    async fn patch(&self, user_id: &str, request: Value) -> Result<User> {
        self.patch_as(user_id, request, Update::Merge).await
    }

    async fn stored(&self, user_id: &str) -> User {
        self.directory.user(user_id).await.expect("read").expect("a user")
    }

    async fn opened(&self, user_id: &str) -> User {
        self.user_record(user_id, SealedValues::Opened { by: BY, now: at(99) }).await.expect("a user").user
    }

    /// Kind and detail of the audit log, newest first.
    async fn audited(&self) -> Vec<(String, Value)> {
        let events = self.directory.audit_events(100).await.expect("read");
        assert!(events.iter().all(|event| event.correlation_id == BY.correlation_id || event.kind == "user.created"));
        events.into_iter().map(|event| (event.kind, serde_json::from_str(&event.detail).expect("JSON"))).collect()
    }
}

/// Every byte of a user, and of what connections said.
fn bytes(user: &User) -> String {
    format!("{user:?}")
}

fn kind<T: std::fmt::Debug>(result: Result<T>) -> ErrorKind {
    result.expect_err("refused").kind
}

#[tokio::test]
async fn s0_6_identities_cannot_be_changed_and_stay_as_they_are_byte_by_byte() {
    let admin = admin().await;
    let jane = admin.jane().await;
    let before = bytes(&admin.stored(&jane).await);
    for (field, value) in [
        ("identities", json!([])),
        ("identities", json!([{"connection": "acme", "user_id": "mallory"}])),
        ("email", json!("mallory@acme.example")),
        ("user_id", json!("x")),
        ("saml_data", json!({})),
        ("logins_count", json!(0)),
    ] {
        for how in [Update::Merge, Update::Replace] {
            let refused =
                admin.patch_as(&jane, json!({"user_metadata": {"a": 1}, "blocked": true, field: value}), how).await.expect_err("refused");
            assert_eq!((refused.kind, refused.kind.wire().status), (ErrorKind::ProtectedAttribute, 400));
            assert!(refused.detail.contains(&format!("/{field} ")), "{}", refused.detail);
        }
    }
    assert_eq!(bytes(&admin.stored(&jane).await), before);
    assert_eq!(admin.audited().await, vec![]);
}

#[tokio::test]
async fn s0_8_s0_10_s0_11_s0_14_custom_fields_are_stored_replaced_whole_and_read() {
    let admin = admin().await;
    let jane = admin.jane().await;
    admin.patch(&jane, json!({"custom_fields": {"customDataFoo": {"foo": "foo"}, "Bar": 1}})).await.expect("updated");
    let record = admin.user_record(&jane, SealedValues::Absent).await.expect("a user");
    assert_eq!(Value::Object(record.user.custom_fields), json!({"customDataFoo": {"foo": "foo"}, "Bar": 1}));
    assert_eq!(record.profile.expect("a profile").get("custom_fields"), Some(&json!({"customDataFoo": {"foo": "foo"}, "Bar": 1})));
    let user = admin.patch(&jane, json!({"custom_data": {"Baz": 1}})).await.expect("updated");
    assert_eq!(Value::Object(user.custom_fields), json!({"Baz": 1}));
}

#[tokio::test]
async fn s3_3_s3_7_s4_13_metadata_are_stored_and_core_data_are_not_altered() {
    let admin = admin().await;
    let jane = admin.jane().await;
    let identities = format!("{:?}", admin.stored(&jane).await.identities);
    admin.patch(&jane, json!({"user_metadata": {"hobby": "chess", "a": 1}, "app_metadata": {"plan": "gold"}})).await.expect("updated");
    let user = admin.patch(&jane, json!({"user_metadata": {"a": null, "b": 2}, "groups": ["vip"]})).await.expect("updated");
    assert_eq!(Value::Object(user.user_metadata.clone()), json!({"hobby": "chess", "b": 2}));
    assert_eq!(format!("{:?}", user.identities), identities);
    let record = admin.user_record(&jane, SealedValues::Absent).await.expect("a user");
    let profile = record.profile.expect("a profile");
    assert_eq!((profile.str("user_metadata.hobby"), profile.str("app_metadata.plan")), (Some("chess"), Some("gold")));
    assert_eq!((profile.str("name"), profile.list("groups")), (Some("Jane Doe"), vec!["staff", "vip"]));
    let user = admin.patch_as(&jane, json!({"user_metadata": {"c": 3}}), Update::Replace).await.expect("updated");
    assert_eq!((Value::Object(user.user_metadata), Value::Object(user.app_metadata)), (json!({"c": 3}), json!({"plan": "gold"})));
}

#[tokio::test]
async fn s4_4_a_login_refreshes_what_the_connection_said_and_nothing_else() {
    let admin = admin().await;
    let jane = admin.jane().await;
    let before =
        admin.patch(&jane, json!({"user_metadata": {"a": 1}, "custom_fields": {"b": 1}, "groups": ["vip"]})).await.expect("updated");
    admin.login("acme", "jane", json!({"name": "Jane Roe"}), at(20)).await;
    let after = admin.stored(&jane).await;
    assert_eq!((&after.user_metadata, &after.custom_fields, &after.groups), (&before.user_metadata, &before.custom_fields, &before.groups));
    assert_eq!(Value::Object(after.identities[0].profile.clone()), json!({"name": "Jane Roe"}));
}

#[tokio::test]
async fn s1_5_s1_6_an_edited_name_is_refused_or_survives_the_next_login_by_the_sync_mode() {
    let admin = admin().await;
    let (jane, bob) = (admin.jane().await, admin.bob().await);
    assert_eq!(kind(admin.patch(&jane, json!({"name": "J"})).await), ErrorKind::ProtectedAttribute);
    admin.patch(&bob, json!({"name": "Robert", "nickname": "rob"})).await.expect("updated");
    admin.login("first", "bob", json!({"name": "Bob", "nickname": "bobby", "title": "Dr"}), at(20)).await;
    let profile = admin.user_record(&bob, SealedValues::Absent).await.expect("a user").profile.expect("a profile");
    assert_eq!((profile.str("name"), profile.str("nickname"), profile.str("title")), (Some("Robert"), Some("rob"), Some("Dr")));
}

#[tokio::test]
async fn s4_6_a_forgotten_profile_comes_back_with_the_next_login_and_metadata_stay() {
    let admin = admin().await;
    let jane = admin.jane().await;
    admin.patch(&jane, json!({"user_metadata": {"a": 1}})).await.expect("updated");
    admin.forget_profile(&jane, BY, at(20)).await.expect("forgotten");
    let record = admin.user_record(&jane, SealedValues::Absent).await.expect("a user");
    assert_eq!((record.profile, record.user.identities[0].profile.len()), (None, 0));
    assert_eq!(Value::Object(record.user.user_metadata), json!({"a": 1}));
    assert_eq!(admin.jane().await, jane);
    let profile = admin.user_record(&jane, SealedValues::Absent).await.expect("a user").profile.expect("a profile");
    assert_eq!((profile.str("name"), profile.get("user_metadata")), (Some("Jane Doe"), Some(&json!({"a": 1}))));
    assert_eq!(kind(admin.forget_profile("nobody", BY, at(20)).await), ErrorKind::NotFound);
    assert_eq!(admin.audited().await[0].0, "user.profile_forgotten");
}

#[tokio::test]
async fn updates_at_the_same_time_are_all_kept() {
    let admin = admin().await;
    let jane = admin.jane().await;
    let put = |name: &str| admin.patch(&jane, json!({"user_metadata": {name: 1}}));
    let (a, b, c) = tokio::join!(put("a"), put("b"), put("c"));
    a.and(b).and(c).expect("updated");
    let mut keys: Vec<String> = admin.stored(&jane).await.user_metadata.keys().cloned().collect();
    keys.sort();
    assert_eq!(keys, ["a", "b", "c"]);
}

#[tokio::test]
async fn an_update_that_changes_nothing_is_not_audited_and_one_that_does_says_what_was_and_what_is() {
    let admin = admin().await;
    let jane = admin.jane().await;
    admin.patch(&jane, json!({"user_metadata": {"a": 1, "keep": 1}})).await.expect("updated");
    let before = admin.stored(&jane).await;
    admin.patch(&jane, json!({"user_metadata": {"a": 1}, "blocked": false})).await.expect("updated");
    assert_eq!(admin.stored(&jane).await.updated_at, before.updated_at);
    admin.patch(&jane, json!({"user_metadata": {"a": 2}, "app_metadata": {"api_token": "hunter2"}})).await.expect("updated");
    let audited = admin.audited().await;
    assert_eq!(audited.len(), 2);
    let expected = json!({"user_id": jane, "actor": "cli:root",
        "before": {"user_metadata": {"a": 1}, "app_metadata": {}}, "after": {"user_metadata": {"a": 2}, "app_metadata": {"api_token": "(masked)"}}});
    assert_eq!(audited[0], ("user.updated".to_owned(), expected));
}

#[tokio::test]
async fn s0_13_sealed_values_are_not_in_the_store_nor_in_the_audit_log_and_open_for_who_may() {
    let admin = admin().await;
    let jane = admin.jane().await;
    let request = json!({"user_metadata": {"ssn": "078-05-1120", "a": 1}, "app_metadata": {"partner": {"key": "078"}}});
    admin.patch(&jane, request).await.expect("updated");
    let sealed = admin.stored(&jane).await.user_metadata["ssn"].to_string();
    assert!(sealed.starts_with("{\"$sealed\":") && !sealed.contains("078"), "{sealed}");
    // Another key changes: not a byte of the sealed value does.
    admin.patch(&jane, json!({"user_metadata": {"a": 2}})).await.expect("updated");
    assert_eq!(admin.stored(&jane).await.user_metadata["ssn"].to_string(), sealed);
    let seen = |record: UserRecord| Value::Object(record.user.user_metadata);
    assert_eq!(seen(admin.user_record(&jane, SealedValues::Absent).await.expect("a user")), json!({"a": 2}));
    let marked = admin.user_record(&jane, SealedValues::Marked).await.expect("a user");
    assert_eq!(marked.profile.as_ref().and_then(|profile| profile.str("user_metadata.ssn")), Some("(sealed)"));
    assert_eq!(seen(marked), json!({"ssn": "(sealed)", "a": 2}));
    assert_eq!(admin.audited().await.len(), 2);
    assert_eq!(Value::Object(admin.opened(&jane).await.user_metadata), json!({"ssn": "078-05-1120", "a": 2}));
    let audited = admin.audited().await;
    assert_eq!(audited[0], ("user.sealed_values_read".to_owned(), json!({"user_id": jane, "not_opened": [], "actor": "cli:root"})));
    assert!(!format!("{audited:?}").contains("078"));
    let first = audited.last().expect("the first update");
    assert_eq!(first.1["after"], json!({"user_metadata": {"ssn": "(masked)", "a": 1}, "app_metadata": {"partner": {"key": "(sealed)"}}}));
}

#[tokio::test]
async fn blocking_deleting_and_finding() {
    let admin = admin().await;
    let jane = admin.jane().await;
    assert!(admin.block(&jane, true, BY, at(10)).await.expect("blocked").blocked);
    assert!(!admin.block(&jane, false, BY, at(11)).await.expect("unblocked").blocked);
    let found = admin.users_by_email(" Jane@ACME.example", 10, SealedValues::Absent).await.expect("read");
    assert_eq!(found.into_iter().map(|record| record.user.user_id).collect::<Vec<_>>(), std::slice::from_ref(&jane));
    admin.delete_user(&jane, BY, at(12)).await.expect("deleted");
    let kinds: Vec<String> = admin.audited().await.into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(kinds, ["user.deleted", "user.unblocked", "user.blocked"]);
    assert_eq!(kind(admin.user_record(&jane, SealedValues::Absent).await), ErrorKind::NotFound);
    assert_eq!(kind(admin.delete_user(&jane, BY, at(12)).await), ErrorKind::NotFound);
    assert_eq!(kind(admin.block(&jane, true, BY, at(12)).await), ErrorKind::NotFound);
    assert_eq!(kind(admin.patch(&jane, json!({"user_metadata": {"a": 1}})).await), ErrorKind::NotFound);
}

#[tokio::test]
async fn s2_8_an_identity_may_be_used_to_sign_in_or_only_be_linked() {
    let admin = admin().await;
    let id = admin.login("fold", "ann", json!({}), at(0)).await;
    let user = admin.set_allows_login("fold", "ANN", false, BY, at(10)).await.expect("changed");
    assert_eq!((user.user_id, user.identities[0].allows_login), (id, false));
    admin.set_allows_login("fold", "Ann", false, BY, at(11)).await.expect("nothing to do");
    assert!(admin.set_allows_login("fold", "ann", true, BY, at(12)).await.expect("changed").identities[0].allows_login);
    assert_eq!(kind(admin.set_allows_login("acme", "ann", true, BY, at(12)).await), ErrorKind::NotFound);
    let audited = admin.audited().await;
    assert_eq!(audited.len(), 2);
    assert_eq!(audited[1].1["after"], json!({"allows_login": false}));
}

#[tokio::test]
async fn s4_27_linking_puts_the_primary_first_merges_no_attributes_and_drops_metadata() {
    let admin = admin().await;
    let (jane, bob) = (admin.jane().await, admin.bob().await);
    admin.patch(&jane, json!({"user_metadata": {"theme": "dark"}})).await.expect("updated");
    admin
        .patch(&bob, json!({"user_metadata": {"theme": "light", "b": 1}, "app_metadata": {"c": 1}, "custom_fields": {"d": 1}}))
        .await
        .expect("updated");
    let entry = admin.link(&jane, &bob, OtherMetadata::Drop, BY, at(20)).await.expect("linked");
    assert_eq!((&entry.user_id, entry.former_user_id.as_deref()), (&jane, Some(bob.as_str())));
    assert_eq!((entry.by.how.as_str(), entry.by.actor.as_str()), ("operator", "cli:root"));
    let record = admin.user_record(&jane, SealedValues::Absent).await.expect("a user");
    let names: Vec<_> = record.user.identities.iter().map(|stored| stored.identity.user_id.as_str()).collect();
    assert_eq!(names, ["jane", "bob"]);
    let profile = record.profile.expect("a profile");
    assert_eq!((profile.str("name"), profile.list("groups")), (Some("Jane Doe"), vec!["staff", "club"]));
    assert_eq!(Value::Object(record.user.user_metadata), json!({"theme": "dark"}));
    assert!(record.user.app_metadata.is_empty() && record.user.custom_fields.is_empty());
    assert_eq!(kind(admin.user_record(&bob, SealedValues::Absent).await), ErrorKind::NotFound);
    // Taken back, the other has everything again.
    let user = admin.undo_link(&entry.by.link_id, BY, at(30)).await.expect("undone");
    assert_eq!((user.user_id.as_str(), Value::Object(user.user_metadata)), (bob.as_str(), json!({"theme": "light", "b": 1})));
    assert_eq!((Value::Object(user.app_metadata), Value::Object(user.custom_fields)), (json!({"c": 1}), json!({"d": 1})));
    assert_eq!(kind(admin.undo_link(&entry.by.link_id, BY, at(31)).await), ErrorKind::Conflict);
    assert_eq!(admin.links(&jane).await.expect("read")[0].undone_at, Some(at(30)));
    let kinds: Vec<String> = admin.audited().await.into_iter().map(|(kind, _)| kind).take(2).collect();
    assert_eq!(kinds, ["user.link_undone", "user.linked"]);
}

#[tokio::test]
async fn users_who_cannot_be_linked_are_refused_and_nothing_is_changed() {
    let admin = admin().await;
    let (jane, bob) = (admin.jane().await, admin.bob().await);
    let link = async |a: &str, b: &str| kind(admin.link(a, b, OtherMetadata::Drop, BY, at(20)).await);
    assert_eq!(link(&jane, &jane).await, ErrorKind::Conflict);
    assert_eq!(link(&jane, "nobody").await, ErrorKind::NotFound);
    assert_eq!(link("nobody", &bob).await, ErrorKind::NotFound);
    admin.block(&bob, true, BY, at(10)).await.expect("blocked");
    assert_eq!(link(&jane, &bob).await, ErrorKind::Conflict);
    assert_eq!(link(&bob, &jane).await, ErrorKind::Conflict);
    assert_eq!((admin.stored(&jane).await.identities.len(), admin.stored(&bob).await.identities.len()), (1, 1));
    assert_eq!(kind(admin.links("nobody").await), ErrorKind::NotFound);
    assert_eq!(kind(admin.undo_link("nothing", BY, at(20)).await), ErrorKind::NotFound);
    assert_eq!(kind(admin.unlink(&jane, "first", "bob", BY, at(20)).await), ErrorKind::NotFound);
    assert_eq!(kind(admin.unlink(&jane, "acme", "jane", BY, at(20)).await), ErrorKind::Conflict);
}

#[tokio::test]
async fn details_c_metadata_are_joined_on_demand_and_sealed_for_the_new_owner() {
    let admin = admin().await;
    let (jane, bob) = (admin.jane().await, admin.bob().await);
    admin
        .patch(&jane, json!({"user_metadata": {"theme": "dark", "tags": ["a"]}, "app_metadata": {"partner": {"key": "jane's"}}}))
        .await
        .expect("updated");
    let theirs =
        json!({"user_metadata": {"theme": "light", "tags": ["b"], "ssn": "078-05"}, "app_metadata": {"partner": {"key": "bob's", "n": 1}}});
    admin.patch(&bob, theirs).await.expect("updated");
    admin.link(&jane, &bob, OtherMetadata::Join, BY, at(20)).await.expect("linked");
    let stored = admin.stored(&jane).await;
    assert!(sealing::has_sealed(&stored.user_metadata["ssn"]) && sealing::has_sealed(&stored.app_metadata["partner"]["key"]));
    let opened = admin.opened(&jane).await;
    assert_eq!(Value::Object(opened.user_metadata), json!({"theme": "dark", "tags": ["a", "b"], "ssn": "078-05"}));
    assert_eq!(Value::Object(opened.app_metadata), json!({"partner": {"key": "jane's", "n": 1}}));
    // The other's own copy waits in the journal, and opens under the former id.
    let user = admin.unlink(&jane, "first", "bob", BY, at(30)).await.expect("unlinked");
    assert_eq!(user.user_id, bob);
    assert_eq!(Value::Object(admin.opened(&bob).await.user_metadata), json!({"theme": "light", "tags": ["b"], "ssn": "078-05"}));
    assert_eq!(admin.opened(&bob).await.app_metadata["partner"]["key"], "bob's");
    let audit = format!("{:?}", admin.audited().await);
    assert!(!audit.contains("078-05") && !audit.contains("bob's"), "{audit}");
}

#[tokio::test]
async fn what_was_sealed_once_stays_sealed_when_it_is_joined_though_no_longer_configured() {
    let mut admin = admin().await;
    let (jane, bob) = (admin.jane().await, admin.bob().await);
    admin.patch(&bob, json!({"user_metadata": {"ssn": "078-05"}})).await.expect("updated");
    admin.sealed = Arc::default();
    admin.link(&jane, &bob, OtherMetadata::Join, BY, at(20)).await.expect("linked");
    assert!(sealing::has_sealed(&admin.stored(&jane).await.user_metadata["ssn"]));
    assert_eq!(admin.opened(&jane).await.user_metadata["ssn"], "078-05");
}

/// Where the former id is taken, an unlinked user gets another one.
#[tokio::test]
async fn what_was_sealed_for_a_former_id_is_sealed_for_the_new_one() {
    let admin = admin().await;
    let jane = admin.jane().await;
    let mut metadata = object(json!({"ssn": "078-05", "a": 1}));
    sealing::seal(Part::UserMetadata, &mut metadata, &admin.sealed, admin.sealer(), "former").expect("sealed");
    let change = UserChange { user_metadata: Some(metadata), ..UserChange::default() };
    let seen = admin.stored(&jane).await.updated_at;
    admin.directory.update_user(&jane, seen, &change, at(10)).await.expect("changed").expect("a user");
    assert_eq!(Value::Object(admin.opened(&jane).await.user_metadata), json!({"a": 1}));
    admin.seal_for_new_id(admin.stored(&jane).await, "former", BY, at(20)).await.expect("sealed anew");
    assert!(sealing::has_sealed(&admin.stored(&jane).await.user_metadata["ssn"]));
    assert_eq!(Value::Object(admin.opened(&jane).await.user_metadata), json!({"ssn": "078-05", "a": 1}));
}

#[tokio::test]
async fn metadata_that_are_too_large_together_prevent_the_link() {
    let admin = admin().await;
    let (jane, bob) = (admin.jane().await, admin.bob().await);
    for (user, name) in [(&jane, "a"), (&bob, "b")] {
        admin.patch(user, json!({"custom_fields": {name: "x".repeat(6000)}})).await.expect("updated");
    }
    assert_eq!(kind(admin.link(&jane, &bob, OtherMetadata::Join, BY, at(20)).await), ErrorKind::InvalidUserData);
    assert_eq!(admin.stored(&bob).await.identities.len(), 1);
    admin.link(&jane, &bob, OtherMetadata::Drop, BY, at(20)).await.expect("linked");
}

/// The users change between the check and the link: then there is no link.
#[tokio::test]
async fn metadata_that_cannot_be_joined_after_all_take_the_link_back() {
    let admin = admin().await;
    let (jane, bob) = (admin.jane().await, admin.bob().await);
    admin.patch(&jane, json!({"custom_fields": {"a": "x".repeat(6000)}})).await.expect("updated");
    admin.patch(&bob, json!({"custom_fields": {"b": "x".repeat(6000)}})).await.expect("updated");
    let by = LinkedBy {
        link_id: "0123456789abcdef0123456789abcdef".into(),
        how: "operator".into(),
        actor: "x".into(),
        correlation_id: String::new(),
    };
    let entry = admin.directory.link_users(&jane, &bob, &by, at(20)).await.expect("linked");
    assert_eq!(kind(admin.join_kept(&entry, &bob, BY, at(21)).await), ErrorKind::InvalidUserData);
    assert_eq!(admin.stored(&bob).await.custom_fields["b"].as_str().map(str::len), Some(6000));
    assert_eq!(admin.stored(&jane).await.identities.len(), 1);
}

fn person(subject: &str, metadata: Value) -> NewUser {
    NewUser { groups: vec!["seeded".into()], user_metadata: object(metadata), ..NewUser::bare(identity("acme", subject)) }
}

#[tokio::test]
async fn a_seed_makes_who_is_not_there_once_and_leaves_the_others_alone() {
    let admin = admin().await;
    let jane = admin.jane().await;
    let before = bytes(&admin.stored(&jane).await);
    let users = [person("jane", json!({"ssn": 1})), person("ann", json!({"ssn": "078-05", "a": 1})), person("eve", json!({}))];
    // Two nodes at once.
    let (one, other) = tokio::join!(admin.seed(&users, at(5)), admin.seed(&users, at(5)));
    assert_eq!(one.expect("seeded") + other.expect("seeded"), 2);
    assert_eq!(bytes(&admin.stored(&jane).await), before);
    let ann = admin.stored("samlp|acme|ann").await;
    assert!(sealing::has_sealed(&ann.user_metadata["ssn"]));
    assert_eq!((ann.identities[0].last_login, &ann.groups), (None, &vec!["seeded".to_owned()]));
    admin.patch("samlp|acme|ann", json!({"user_metadata": {"a": 2}})).await.expect("updated");
    assert_eq!(admin.seed(&users, at(30)).await.expect("seeded"), 0);
    assert_eq!(Value::Object(admin.opened("samlp|acme|ann").await.user_metadata), json!({"ssn": "078-05", "a": 2}));
    // The first login finds what was prepared.
    assert_eq!(admin.login("acme", "ann", json!({"name": "Ann"}), at(40)).await, "samlp|acme|ann");
    assert_eq!(
        admin.user_record("samlp|acme|ann", SealedValues::Absent).await.expect("a user").profile.expect("a profile").list("groups"),
        ["seeded"]
    );
    let made = admin.audited().await.into_iter().filter(|(kind, detail)| kind == "user.created" && detail["actor"] == "seed").count();
    assert_eq!(made, 2);
}
