use super::*;
use crate::clock::Timestamp;
use crate::secret::Secret;
use crate::user::{Identity, StoredIdentity};
use serde_json::json;

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        other => panic!("{other} is no object"),
    }
}

fn parsed(request: Value, editor: Editor) -> Result<UserPatch> {
    UserPatch::parse(&object(request), editor)
}

/// The kind and words of a refusal.
#[track_caller]
fn refused(request: Value, editor: Editor) -> (ErrorKind, String) {
    let error = parsed(request, editor).expect_err("refused");
    (error.kind, error.detail)
}

fn jane() -> User {
    let at = Timestamp::from_seconds(1_000);
    let identity = Identity { connection: "acme".into(), provider: "samlp".into(), user_id: "jane".into(), is_social: false };
    let profile = object(json!({"name": "Jane Doe", "email": "jane@acme.example", "groups": ["staff"]}));
    User {
        user_id: "samlp|acme|jane".into(),
        blocked: false,
        created_at: at,
        updated_at: at,
        identities: vec![StoredIdentity {
            identity,
            root: object(json!({"name": "Jane Doe"})),
            profile,
            allows_login: true,
            created_at: at,
            last_login: Some(at),
            logins_count: 1,
        }],
        groups: vec!["vip".into()],
        user_metadata: object(json!({"theme": "dark"})),
        app_metadata: object(json!({"plan": "gold"})),
        custom_fields: object(json!({"Foo": 1, "Bar": 2})),
    }
}

fn applied_to(user: &User, request: Value, sync: ProfileSync, how: Update, paths: &[SealedPath]) -> Result<User> {
    let sealer = Sealer::new(&Secret::new(vec![7; 32])).expect("a sealer");
    parsed(request, Editor::Operator)?.apply(user, sync, how, Sealing { paths, sealer: &sealer })
}

fn applied(request: Value, sync: ProfileSync, how: Update) -> Result<User> {
    applied_to(&jane(), request, sync, how, &[])
}

#[test]
fn s0_6_identities_and_what_connections_say_are_refused_by_name() {
    for name in ["identities", "email", "email_verified", "user_id", "phone_number", "saml_data", "last_login", "created_at", "password"] {
        let (kind, detail) = refused(json!({"user_metadata": {"a": 1}, name: "x"}), Editor::Operator);
        assert_eq!(kind, ErrorKind::ProtectedAttribute, "{name}");
        assert_eq!(kind.wire().status, 400);
        assert!(detail.contains(&format!("/{name} ")), "{detail}");
    }
}

#[test]
fn all_faults_are_told_at_once_and_values_are_not() {
    let request = json!({"identities": [], "user_metdata": {}, "blocked": "yes", "groups": ["a", 7], "app_metadata": {"email": "hunter2"}, "custom_data": 5});
    let (kind, detail) = refused(request, Editor::Operator);
    assert_eq!(kind, ErrorKind::ProtectedAttribute);
    for part in [
        "/identities ",
        "/user_metdata ",
        "did you mean user_metadata?",
        "/blocked ",
        "/groups/1 ",
        "/app_metadata/email ",
        "/custom_data ",
    ] {
        assert!(detail.contains(part), "{part}: {detail}");
    }
    assert!(!detail.contains("hunter2"), "{detail}");
    assert_eq!(refused(json!({"user_metdata": {}}), Editor::Operator).0, ErrorKind::InvalidUserData);
}

#[test]
fn s3_1_a_person_changes_their_user_metadata() {
    let patch = parsed(json!({"user_metadata": {"theme": "light"}}), Editor::Person).expect("accepted");
    assert_eq!(patch, parsed(json!({"user_metadata": {"theme": "light"}}), Editor::Operator).expect("accepted"));
}

#[test]
fn s3_2_a_person_changes_nothing_else() {
    let other = [
        ("app_metadata", json!({})),
        ("custom_fields", json!({})),
        ("custom_data", json!({})),
        ("blocked", json!(false)),
        ("groups", json!(["admin"])),
        ("name", json!("Jane")),
    ];
    for (name, value) in other {
        let (kind, detail) = refused(json!({"user_metadata": {"a": 1}, name: value}), Editor::Person);
        assert_eq!(kind, ErrorKind::InsufficientScope, "{name}");
        assert!(detail.contains(&format!("/{name} ")), "{detail}");
    }
    assert_eq!(refused(json!({"identities": []}), Editor::Person).0, ErrorKind::ProtectedAttribute);
}

#[test]
fn s1_5_root_attributes_are_not_edited_while_the_connection_refreshes_them() {
    let error =
        applied(json!({"name": "X", "picture": null, "blocked": true}), ProfileSync::OnEachLogin, Update::Merge).expect_err("refused");
    assert_eq!(error.kind, ErrorKind::ProtectedAttribute);
    assert!(error.detail.contains("/name ") && error.detail.contains("/picture "), "{}", error.detail);
}

#[test]
fn s1_6_s1_8_root_attributes_are_edited_where_the_connection_does_not_refresh_them() {
    let request = json!({"given_name": "Janet", "family_name": "D", "nickname": "J", "picture": "https://p.example/j.png", "name": null});
    for sync in [ProfileSync::OnFirstLogin, ProfileSync::NeverOnLogin] {
        let user = applied(request.clone(), sync, Update::Merge).expect("accepted");
        let root = json!({"given_name": "Janet", "family_name": "D", "nickname": "J", "picture": "https://p.example/j.png"});
        assert_eq!(Value::Object(user.identities[0].root.clone()), root);
        assert_eq!(user.identities[0].profile, jane().identities[0].profile);
    }
}

#[test]
fn root_attributes_have_limits() {
    for (name, value) in [
        ("name", json!("")),
        ("name", json!("x".repeat(151))),
        ("name", json!("a\u{1b}[2J")),
        ("nickname", json!("x".repeat(351))),
        ("given_name", json!(7)),
        ("picture", json!("javascript:alert(1)")),
        ("picture", json!("/relative.png")),
        ("picture", json!("https://p.example/a b")),
        ("picture", json!(format!("https://p.example/{}", "x".repeat(2000)))),
    ] {
        assert_eq!(refused(json!({ name: value }), Editor::Operator).0, ErrorKind::InvalidUserData, "{name}");
    }
}

#[test]
fn s4_13_an_update_leaves_what_the_connections_said_as_it_is() {
    let request = json!({"user_metadata": {"a": 1}, "app_metadata": {"b": 1}, "custom_fields": {"c": 1}, "groups": ["x"], "blocked": true});
    let user = applied(request, ProfileSync::OnEachLogin, Update::Merge).expect("accepted");
    assert_eq!(format!("{:?}", user.identities), format!("{:?}", jane().identities));
    assert_eq!((user.blocked, user.groups), (true, vec!["x".to_owned()]));
    assert_eq!(Value::Object(user.user_metadata), json!({"theme": "dark", "a": 1}));
    assert_eq!(Value::Object(user.app_metadata), json!({"plan": "gold", "b": 1}));
    assert_eq!(Value::Object(user.custom_fields), json!({"c": 1}));
}

#[test]
fn a_replacement_leaves_what_it_does_not_name() {
    let user = applied(json!({"user_metadata": {"a": 1}}), ProfileSync::OnEachLogin, Update::Replace).expect("accepted");
    assert_eq!(Value::Object(user.user_metadata), json!({"a": 1}));
    assert_eq!(user.app_metadata, jane().app_metadata);
    let user = applied(json!({"app_metadata": null}), ProfileSync::OnEachLogin, Update::Replace).expect("accepted");
    assert_eq!(user.app_metadata, Map::new());
}

#[test]
fn s0_12_an_alias_is_accepted_and_two_spellings_are_not() {
    let user = applied(json!({"custom_data": {"Baz": 3}}), ProfileSync::OnEachLogin, Update::Merge).expect("accepted");
    assert_eq!(Value::Object(user.custom_fields), json!({"Baz": 3}));
    assert_eq!(refused(json!({"custom_data": {}, "custom_fields": {}}), Editor::Operator).0, ErrorKind::InvalidUserData);
}

#[test]
fn the_size_of_the_result_counts_and_not_that_of_the_request() {
    let half = "x".repeat(6 * 1024);
    let user = applied(json!({"user_metadata": {"a": half}}), ProfileSync::OnEachLogin, Update::Merge).expect("accepted");
    let again = |how| applied_to(&user, json!({"user_metadata": {"b": half}}), ProfileSync::OnEachLogin, how, &[]);
    assert_eq!(again(Update::Merge).expect_err("too large").kind, ErrorKind::InvalidUserData);
    assert!(again(Update::Replace).is_ok());
}

#[test]
fn s0_13_configured_places_are_sealed_and_stay_as_they_are_when_others_change() {
    let paths = [SealedPath::parse("user_metadata.ssn").expect("a path")];
    let sync = ProfileSync::OnEachLogin;
    let first = applied_to(&jane(), json!({"user_metadata": {"ssn": "078-05"}}), sync, Update::Merge, &paths).expect("accepted");
    let sealed = first.user_metadata["ssn"].to_string();
    assert!(sealed.starts_with("{\"$sealed\":") && !sealed.contains("078"), "{sealed}");
    let second = applied_to(&first, json!({"user_metadata": {"theme": "light"}}), sync, Update::Merge, &paths).expect("accepted");
    assert_eq!(second.user_metadata["ssn"].to_string(), sealed);
    let third = applied_to(&second, json!({"user_metadata": {"ssn": "1"}}), sync, Update::Merge, &paths).expect("accepted");
    assert_ne!(third.user_metadata["ssn"].to_string(), sealed);
    // Nobody moves a sealed value by writing it.
    let forged = applied_to(&third, json!({"user_metadata": {"theme": third.user_metadata["ssn"]}}), sync, Update::Merge, &paths);
    assert_eq!(forged.expect_err("refused").kind, ErrorKind::InvalidUserData);
}

#[test]
fn s0_13_what_looks_secret_and_is_not_sealed_is_reported() {
    let patch = parsed(json!({"user_metadata": {"pin": 1, "theme": "x"}, "app_metadata": {"a": {"api_key": "k"}}}), Editor::Operator)
        .expect("accepted");
    assert_eq!(patch.secret_looking(&[]), ["/user_metadata/pin", "/app_metadata/a/api_key"]);
    let sealed = ["user_metadata.pin", "app_metadata.a"].map(|text| SealedPath::parse(text).expect("a path"));
    assert_eq!(patch.secret_looking(&sealed), Vec::<String>::new());
}

#[test]
fn groups_are_names_without_repetitions() {
    let patch = parsed(json!({"groups": ["b", "a", "b"]}), Editor::Operator).expect("accepted");
    assert_eq!(patch.groups, Some(vec!["b".to_owned(), "a".to_owned()]));
    for groups in [json!("a"), json!([""]), json!(["a\n"]), json!([7]), json!(["x".repeat(257)]), json!(vec!["x"; 1001])] {
        assert_eq!(refused(json!({ "groups": groups }), Editor::Operator).0, ErrorKind::InvalidUserData);
    }
}
