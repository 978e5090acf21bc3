//! The forms of foreign password hashes.

use super::*;
use crate::user::import::{ErrorCode, ImportedPassword, ImportedUser};
use serde_json::json;

const BCRYPT: &str = "$2b$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy";

fn codes(member: &str, value: Value) -> Vec<(ErrorCode, String)> {
    match ImportedUser::parse(&json!({"email": "jane@acme.example", member: value})) {
        Ok(_) => Vec::new(),
        Err(errors) => errors.into_iter().map(|error| (error.code, error.path.unwrap_or_default())).collect(),
    }
}

fn custom(value: Value) -> Vec<(ErrorCode, String)> {
    codes("custom_password_hash", value)
}

#[test]
fn details_e_password_hash_is_bcrypt_with_ten_rounds() {
    for good in [BCRYPT.to_owned(), BCRYPT.replace("2b", "2a")] {
        assert_eq!(codes("password_hash", json!(good)), []);
    }
    let bad = [BCRYPT.replace("$10$", "$12$"), BCRYPT.replace("2b", "2y"), BCRYPT[1..].to_owned(), format!("{BCRYPT}x"), "hunter2".into()];
    for bad in bad {
        assert_eq!(codes("password_hash", json!(bad)), [(ErrorCode::Pattern, "password_hash".to_owned())], "{bad}");
    }
    assert_eq!(codes("password_hash", json!(5)), [(ErrorCode::InvalidType, "password_hash".to_owned())]);
}

#[test]
fn details_e_every_algorithm_is_taken_in_its_own_form() {
    let hex = |octets: usize| json!({"value": "ab".repeat(octets), "encoding": "hex"});
    let salt = json!({"value": "c2FsdA==", "encoding": "base64", "position": "prefix"});
    let phc = "$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHQ$RdescudvJCsgt3ub+b4dWRWJTmaaJObG";
    let pbkdf2 = "$pbkdf2-sha256$i=100000,l=32$c29tZXNhbHQ$RdescudvJCsgt3ub+b4dWRWJTmaaJObG";
    for good in [
        json!({"algorithm": "argon2", "hash": {"value": phc, "encoding": "utf8"}}),
        json!({"algorithm": "bcrypt", "hash": {"value": BCRYPT.replace("$10$", "$12$")}}),
        json!({"algorithm": "hmac", "hash": {"value": "ab".repeat(32), "encoding": "hex", "digest": "sha256",
            "key": {"value": "c2VjcmV0", "encoding": "base64"}}}),
        json!({"algorithm": "ldap", "hash": {"value": "{SSHA}HGK7VzMaqmAzTYpOrw+KYhCBGzbF3VJdBZGOGw=="}}),
        json!({"algorithm": "md4", "hash": hex(16)}),
        json!({"algorithm": "md5", "hash": hex(16), "salt": salt}),
        json!({"algorithm": "sha1", "hash": {"value": "W6ph5Mm5Pz8GgiULbPgzG37mj9g=", "encoding": "base64"}, "password": {"encoding": "utf16le"}}),
        json!({"algorithm": "sha256", "hash": hex(32), "salt": {"value": "any text", "position": "suffix"}}),
        json!({"algorithm": "sha512", "hash": hex(64)}),
        json!({"algorithm": "pbkdf2", "hash": {"value": pbkdf2, "encoding": "utf8"}}),
        json!({"algorithm": "scrypt", "hash": hex(64), "salt": salt, "keylen": 64, "cost": 16384, "blockSize": 8, "parallelization": 1}),
    ] {
        assert_eq!(custom(good.clone()), [], "{good}");
    }
}

#[test]
fn details_e_what_is_not_of_the_form_is_refused_by_code_and_path() {
    let hash = json!({"value": "ab".repeat(32), "encoding": "hex"});
    let at = |path: &str| format!("custom_password_hash{path}");
    for (bad, code, path) in [
        (json!("x"), ErrorCode::InvalidType, ""),
        (json!({"hash": hash}), ErrorCode::ObjectRequired, ".algorithm"),
        (json!({"algorithm": "sha256"}), ErrorCode::ObjectRequired, ".hash"),
        (json!({"algorithm": "sha3", "hash": hash}), ErrorCode::EnumMismatch, ".algorithm"),
        (json!({"algorithm": "sha256", "hash": hash, "pepper": 1}), ErrorCode::NotPassed, ".pepper"),
        (json!({"algorithm": "sha256", "hash": {"encoding": "hex"}}), ErrorCode::ObjectRequired, ".hash.value"),
        (json!({"algorithm": "sha256", "hash": {"value": "ab", "encoding": "hex"}}), ErrorCode::Pattern, ".hash.value"),
        (json!({"algorithm": "sha256", "hash": {"value": "ab", "encoding": "utf8"}}), ErrorCode::EnumMismatch, ".hash.encoding"),
        (json!({"algorithm": "sha256", "hash": {"value": "ab", "encoding": "rot13"}}), ErrorCode::EnumMismatch, ".hash.encoding"),
        (json!({"algorithm": "sha256", "hash": hash, "salt": {"value": ""}}), ErrorCode::MinLength, ".salt.value"),
        (json!({"algorithm": "sha256", "hash": hash, "salt": {"value": "zz", "encoding": "hex"}}), ErrorCode::Pattern, ".salt.value"),
        (
            json!({"algorithm": "sha256", "hash": hash, "salt": {"value": "a", "position": "middle"}}),
            ErrorCode::EnumMismatch,
            ".salt.position",
        ),
        (json!({"algorithm": "sha256", "hash": hash, "password": {"encoding": "ebcdic"}}), ErrorCode::EnumMismatch, ".password.encoding"),
        (
            json!({"algorithm": "hmac", "hash": {"value": "ab", "encoding": "hex", "digest": "sha1"}}),
            ErrorCode::ObjectRequired,
            ".hash.key",
        ),
        (
            json!({"algorithm": "hmac", "hash": {"value": "ab", "encoding": "hex", "key": {"value": "k"}}}),
            ErrorCode::ObjectRequired,
            ".hash.digest",
        ),
        (json!({"algorithm": "scrypt", "hash": hash, "salt": {"value": "s"}, "keylen": 0}), ErrorCode::Minimum, ".keylen"),
        (json!({"algorithm": "scrypt", "hash": hash, "salt": {"value": "s"}, "keylen": 4096}), ErrorCode::Maximum, ".keylen"),
        (json!({"algorithm": "scrypt", "hash": hash, "keylen": 64}), ErrorCode::ObjectRequired, ".salt"),
        (json!({"algorithm": "bcrypt", "hash": {"value": BCRYPT}, "salt": {"value": "s"}}), ErrorCode::NotPassed, ".salt"),
        (json!({"algorithm": "argon2", "hash": {"value": "$argon2id$x"}}), ErrorCode::Pattern, ".hash.value"),
        (json!({"algorithm": "pbkdf2", "hash": {"value": BCRYPT}}), ErrorCode::Pattern, ".hash.value"),
        (json!({"algorithm": "ldap", "hash": {"value": "{NOPE}aaaa"}}), ErrorCode::Pattern, ".hash.value"),
    ] {
        assert_eq!(custom(bad.clone()), [(code, at(path))], "{bad}");
    }
}

#[test]
fn details_e_one_password_at_most_and_it_does_not_print() {
    let both = json!({"email": "jane@acme.example", "password_hash": BCRYPT,
        "custom_password_hash": {"algorithm": "md5", "hash": {"value": "ab".repeat(16), "encoding": "hex"}}});
    let errors = ImportedUser::parse(&both).expect_err("refused");
    assert_eq!((errors.len(), errors[0].code), (1, ErrorCode::NotPassed));
    let user = ImportedUser::parse(&json!({"email": "jane@acme.example", "password_hash": BCRYPT})).expect("a user");
    assert!(!format!("{user:?}").contains("N9qo8u"));
    let Some(password @ ImportedPassword::Bcrypt(_)) = user.password else { panic!("a password") };
    assert_eq!(*password.json().expose(), json!({"bcrypt": BCRYPT}).to_string());
}
