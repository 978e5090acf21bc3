//! The schema of imported users.

use super::*;
use serde_json::json;

fn with(members: Value) -> Value {
    let mut user = json!({"email": "jane@acme.example"});
    for (name, value) in members.as_object().expect("an object") {
        user[name.as_str()] = value.clone();
    }
    user
}

fn errors(user: &Value) -> Vec<(ErrorCode, String)> {
    let errors = ImportedUser::parse(user).expect_err("refused");
    errors.into_iter().map(|error| (error.code, error.path.unwrap_or_default())).collect()
}

#[test]
fn details_e_a_user_with_every_member_is_read() {
    let user = ImportedUser::parse(&json!({
        "email": "Jane@acme.example", "email_verified": true, "phone_number": "+4930123456", "phone_verified": false,
        "user_id": "auth0|abc", "username": "jane", "given_name": "Jane", "family_name": "Doe", "name": "Jane Doe",
        "nickname": "jd", "picture": "https://acme.example/jane.png", "blocked": true,
        "mfa_factors": [{"totp": {"secret": "JBSWY3DPEHPK3PXP"}}, {"phone": {"value": "+4930123456"}}, {"email": {"value": "j@b.example"}}],
        "app_metadata": {"plan": "gold"}, "user_metadata": {"theme": "dark"},
    }))
    .expect("a user");
    assert_eq!((user.email.as_str(), user.email_verified, user.blocked), ("Jane@acme.example", Some(true), true));
    assert_eq!((user.phone_number.as_deref(), user.phone_verified), (Some("+4930123456"), Some(false)));
    assert_eq!((user.user_id.as_deref(), user.username.as_deref()), (Some("auth0|abc"), Some("jane")));
    assert_eq!(user.root.len(), 5);
    assert_eq!(Value::Object(user.app_metadata.expect("metadata")), json!({"plan": "gold"}));
    assert!(user.factors.expect("factors").expose().contains("JBSWY3DPEHPK3PXP"));
    let least = ImportedUser::parse(&json!({"email": "a@b"})).expect("a user");
    assert_eq!((least.email_verified, least.blocked, least.user_metadata, least.root.len()), (None, false, None, 0));
}

#[test]
fn details_e_b_what_breaks_the_schema_is_refused_by_code_and_path() {
    let long = |length: usize| "x".repeat(length);
    let factors = |value: Value| with(json!({ "mfa_factors": value }));
    let totp = json!({"totp": {"secret": "JBSWY3DPEHPK3PXP"}});
    for (user, code, path) in [
        (json!([]), ErrorCode::InvalidType, ""),
        (json!({"name": "Jane"}), ErrorCode::ObjectRequired, "email"),
        (with(json!({"email": 5})), ErrorCode::InvalidType, "email"),
        (with(json!({"email": ""})), ErrorCode::MinLength, "email"),
        (with(json!({"email": "jane"})), ErrorCode::Format, "email"),
        (with(json!({"email": "a@b@c"})), ErrorCode::Format, "email"),
        (with(json!({"email": "a b@c"})), ErrorCode::Format, "email"),
        (with(json!({"email": format!("{}@b", long(65))})), ErrorCode::MaxLength, "email"),
        (with(json!({"email": format!("a@{}", long(253))})), ErrorCode::MaxLength, "email"),
        (with(json!({"email_verified": "yes"})), ErrorCode::InvalidType, "email_verified"),
        (with(json!({"blocked": 1})), ErrorCode::InvalidType, "blocked"),
        (with(json!({"phone_number": "030"})), ErrorCode::Pattern, "phone_number"),
        (with(json!({"phone_number": "+1234567890123456"})), ErrorCode::MaxLength, "phone_number"),
        (with(json!({"name": ""})), ErrorCode::MinLength, "name"),
        (with(json!({"name": long(151)})), ErrorCode::MaxLength, "name"),
        (with(json!({"name": null})), ErrorCode::InvalidType, "name"),
        (with(json!({"name": "a\u{0}b"})), ErrorCode::Pattern, "name"),
        (with(json!({"nickname": long(351)})), ErrorCode::MaxLength, "nickname"),
        (with(json!({"picture": "javascript:alert(1)"})), ErrorCode::Format, "picture"),
        (with(json!({"username": long(129)})), ErrorCode::MaxLength, "username"),
        (with(json!({"username": "a b"})), ErrorCode::Pattern, "username"),
        (with(json!({"user_id": "a\u{0}b"})), ErrorCode::Pattern, "user_id"),
        (with(json!({"user_id": ""})), ErrorCode::MinLength, "user_id"),
        (with(json!({"identities": []})), ErrorCode::NotPassed, "identities"),
        (with(json!({"password": "hunter2"})), ErrorCode::NotPassed, "password"),
        (with(json!({"user_metadata": []})), ErrorCode::InvalidType, "user_metadata"),
        (with(json!({"user_metadata": {"a.b": 1}})), ErrorCode::NotPassed, "user_metadata.a.b"),
        (with(json!({"app_metadata": {"email": 1}})), ErrorCode::NotPassed, "app_metadata.email"),
        (with(json!({"app_metadata": {"x": long(11_000)}})), ErrorCode::MaxLength, "app_metadata"),
        (factors(json!({})), ErrorCode::InvalidType, "mfa_factors"),
        (factors(json!([])), ErrorCode::ArrayLengthShort, "mfa_factors"),
        (factors(json!(vec![json!({"phone": {"value": "+1"}}); 11])), ErrorCode::ArrayLengthLong, "mfa_factors"),
        (factors(json!([{}])), ErrorCode::AnyOfMissing, "mfa_factors[0]"),
        (factors(json!([totp, totp])), ErrorCode::MfaFactorsFailed, "mfa_factors[1]"),
        (factors(json!([{"totp": {"secret": "JBSWY3DP"}, "phone": {"value": "+1"}}])), ErrorCode::NotPassed, "mfa_factors[0]"),
        (factors(json!([{"totp": {"secret": "not base32"}}])), ErrorCode::Pattern, "mfa_factors[0].totp.secret"),
        (factors(json!([{"phone": {"value": "1"}}])), ErrorCode::Pattern, "mfa_factors[0].phone.value"),
        (factors(json!([{"email": {"value": "x"}}])), ErrorCode::Format, "mfa_factors[0].email.value"),
        (factors(json!([{"email": {}}])), ErrorCode::ObjectRequired, "mfa_factors[0].email.value"),
    ] {
        assert_eq!(errors(&user), [(code, path.to_owned())], "{user}");
    }
}

#[test]
fn everything_wrong_is_said_at_once_and_no_value_is_repeated() {
    let user = with(json!({"email": "zzz", "name": 5, "phone_number": "zzz", "password_hash": "zzz"}));
    let found = ImportedUser::parse(&user).expect_err("refused");
    assert_eq!(found.len(), 4);
    assert!(!format!("{found:?}").contains("zzz"));
    let text = serde_json::to_value(&found[0]).expect("JSON");
    assert_eq!(text, json!({"code": "FORMAT", "message": "email is no e-mail address.", "path": "email"}));
    let many: Map<String, Value> = (0..300).map(|number| (format!("m{number}"), json!(1))).collect();
    assert_eq!(ImportedUser::parse(&Value::Object(many)).expect_err("refused").len(), MAX_ERRORS);
}

#[test]
fn s4_10_an_exported_id_does_not_get_its_prefix_twice() {
    for (user_id, provider, connection, expected) in [
        ("abc", "auth0", "users", "abc"),
        ("auth0|abc", "auth0", "users", "abc"),
        ("auth0|auth0|abc", "auth0", "users", "auth0|abc"),
        ("auth0x|abc", "auth0", "users", "auth0x|abc"),
        ("samlp|acme|jane", "samlp", "acme", "jane"),
        ("samlp|globex|jane", "samlp", "acme", "samlp|globex|jane"),
        ("jane", "samlp", "acme", "jane"),
    ] {
        assert_eq!(subject(user_id, provider, connection), expected, "{user_id}");
    }
}

#[test]
fn a_report_shows_no_secret() {
    let user = with(json!({"password_hash": "zzz", "custom_password_hash": {"hash": "zzz"}, "mfa_factors": ["zzz"], "password": "zzz",
        "user_metadata": {"api_key": "zzz", "a": 1}, "name": "Jane"}));
    let shown = without_secrets(&user);
    assert!(!shown.to_string().contains("zzz"), "{shown}");
    assert_eq!((&shown["name"], &shown["user_metadata"]["a"]), (&json!("Jane"), &json!(1)));
}
