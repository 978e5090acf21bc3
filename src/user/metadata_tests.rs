use super::*;
use serde_json::json;

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        other => panic!("{other} is no object"),
    }
}

fn after(part: Part, stored: Value, given: Value, how: Update) -> Value {
    Value::Object(updated(part, &object(stored), &object(given), how))
}

/// The pointers of what is wrong.
fn faulty(part: Part, given: Value) -> Vec<String> {
    let mut faults = Vec::new();
    check(part, &object(given), "", &mut faults);
    faults.into_iter().map(|fault| fault.pointer).collect()
}

const METADATA: [Part; 2] = [Part::UserMetadata, Part::AppMetadata];

#[test]
fn s0_11_an_update_replaces_custom_fields_whole() {
    for how in [Update::Merge, Update::Replace] {
        assert_eq!(after(Part::CustomFields, json!({"Foo": 1, "Bar": 2}), json!({"Baz": null}), how), json!({"Baz": null}));
    }
}

#[test]
fn s0_12_three_spellings_are_read() {
    for name in ["custom_fields", "custom_data", "custom_field"] {
        assert_eq!(Part::parse(name), Some(Part::CustomFields), "{name}");
    }
    assert_eq!(Part::CustomFields.name(), "custom_fields");
    assert_eq!(Part::parse("customData"), None);
}

#[test]
fn details_b_metadata_merge_at_the_first_level_only() {
    for part in METADATA {
        let stored = json!({"a": {"x": 1, "y": 2}, "b": 1, "c": 1});
        assert_eq!(
            after(part, stored.clone(), json!({"a": {"x": 9}, "b": null, "d": 4}), Update::Merge),
            json!({"a": {"x": 9}, "c": 1, "d": 4})
        );
        assert_eq!(after(part, stored.clone(), json!({}), Update::Merge), json!({}));
        assert_eq!(after(part, stored, json!({"none": null}), Update::Merge), json!({"a": {"x": 1, "y": 2}, "b": 1, "c": 1}));
    }
}

#[test]
fn a_replacement_replaces_metadata_whole() {
    for part in METADATA {
        assert_eq!(after(part, json!({"a": 1, "b": 2}), json!({"b": 3, "c": null}), Update::Replace), json!({"b": 3}));
    }
}

#[test]
fn details_c_joining_is_recursive_the_primary_wins_and_lists_follow_each_other() {
    let primary = object(json!({"plan": "gold", "tags": ["a"], "deep": {"x": 1, "list": [1]}, "kind": {"a": 1}}));
    let other = object(json!({"plan": "free", "tags": ["b", "a"], "deep": {"x": 2, "y": 3, "list": [2]}, "kind": "text", "new": null}));
    let expected =
        json!({"plan": "gold", "tags": ["a", "b", "a"], "deep": {"x": 1, "list": [1, 2], "y": 3}, "kind": {"a": 1}, "new": null});
    assert_eq!(Value::Object(joined(&primary, &other)), expected);
}

#[test]
fn details_b_names_with_dots_and_dollars_are_refused_at_any_depth() {
    let given = json!({"a.b": 1, "ok": {"$x": 1, "list": [{"y.z": 1, "fine": 1}]}, "/~": {"$": 1}});
    for part in Part::ALL {
        assert_eq!(faulty(part, given.clone()), ["/a.b", "/ok/$x", "/ok/list/0/y.z", "/~1~0/$"]);
    }
    assert_eq!(faulty(Part::UserMetadata, json!({"n\0": 1, "t": "a\0"})), ["/n\u{fffd}", "/t"]);
}

#[test]
fn details_b_reserved_names_are_refused_in_app_metadata_and_there_only() {
    let list = "__tenant,_id,blocked,clientID,created_at,email_verified,email,globalClientID,global_client_id,identities,lastIP,lastLogin,\
                loginsCount,metadata,multifactor_last_modified,multifactor,updated_at,user_id";
    let given = || Value::Object(list.split(',').map(|name| (name.to_owned(), json!(1))).collect());
    let expected: Vec<String> = list.split(',').map(|name| format!("/{name}")).collect();
    assert_eq!(faulty(Part::AppMetadata, given()), expected);
    assert_eq!(faulty(Part::AppMetadata, json!({"inner": given(), "groups": ["a"]})), Vec::<String>::new());
    assert_eq!(faulty(Part::UserMetadata, given()), Vec::<String>::new());
    assert_eq!(faulty(Part::CustomFields, given()), Vec::<String>::new());
}

#[test]
fn details_b_levels_keys_and_octets_are_bounded() {
    let nested = |levels: usize| (1..levels).fold(json!({}), |inner, _| json!({ "a": inner }));
    assert_eq!(faulty(Part::UserMetadata, nested(10)), Vec::<String>::new());
    assert_eq!(faulty(Part::UserMetadata, nested(11)), ["/a/a/a/a/a/a/a/a/a/a"]);
    assert_eq!(faulty(Part::UserMetadata, json!({"l": [[[[[[[[[[]]]]]]]]]]})).len(), 1);
    let sizes = |value: Value| {
        let mut faults = Vec::new();
        check_size(&object(value), "/x", &mut faults);
        faults.len()
    };
    let keys = |count: usize| Value::Object((0..count).map(|n| (n.to_string(), json!(1))).collect());
    assert_eq!((sizes(keys(1000)), sizes(keys(1001))), (0, 1));
    assert_eq!((sizes(json!({"l": [[keys(997)]]})), sizes(json!({"l": [[keys(1000)]]}))), (0, 1));
    let text = |octets: usize| json!({ "a": "x".repeat(octets - 8) });
    assert_eq!((sizes(text(10 * 1024)), sizes(text(10 * 1024 + 1))), (0, 1));
}

#[test]
fn the_work_on_a_hostile_object_is_bounded() {
    let many: Map<String, Value> = (0..5000).map(|n| (format!("{n}."), json!(1))).collect();
    assert_eq!(faulty(Part::CustomFields, Value::Object(many)).len(), 100);
    assert!(faulty(Part::CustomFields, json!({"$".repeat(10_000): 1}))[0].len() < 200);
}

#[test]
fn s0_13_keys_that_look_secret_are_found_word_by_word() {
    for key in [
        "password",
        "userPassword",
        "PASSWD",
        "db-pwd",
        "secret",
        "clientSecret",
        "api_key",
        "apiKey",
        "apikey",
        "private_key",
        "credential",
        "otp",
        "totp_seed",
        "pin",
        "card_pin",
        "pinCode",
        "cvv",
        "card_number",
        "ssn",
        "token",
        "access_token",
        "refreshToken",
        "recovery_codes",
    ] {
        assert!(looks_secret(key), "{key}");
    }
    for key in [
        "tokens_used",
        "token_count",
        "passport_country",
        "has_password",
        "password_changed_at",
        "last_password_reset",
        "pinned",
        "spinner",
        "shopping",
        "keyboard",
        "monkey",
        "secretary",
        "session_theme",
        "opinion",
        "assn",
        "api_version",
        "key",
        "is_secret",
        "",
        "tokenizer",
    ] {
        assert!(!looks_secret(key), "{key}");
    }
}

#[test]
fn s0_13_the_lint_names_places_and_skips_flags() {
    let given =
        object(json!({"password": true, "a/b": {"token": "t"}, "list": [{"pin": 1}], "secret": {"password": "x"}, "otp": null, "ok": 1}));
    assert_eq!(
        secret_looking(&given, "/user_metadata"),
        ["/user_metadata/a~1b/token", "/user_metadata/list/0/pin", "/user_metadata/secret"]
    );
}

#[test]
fn masked_values_are_not_told() {
    let given = json!({"token": "abc", "deep": {"pin": 7, "ok": 1}, "list": [{"secret": {"x": "abc"}}], "otp": null});
    let expected = json!({"token": "(masked)", "deep": {"pin": "(masked)", "ok": 1}, "list": [{"secret": "(masked)"}], "otp": null});
    assert_eq!(masked(&given), expected);
}
