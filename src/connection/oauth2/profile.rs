//! What a provider tells of a person: where the subject is in it.

use crate::oidc::rp::{Rejection, id_token};
use serde_json::{Map, Value};

/// Parts of a path at most.
const DEPTH: usize = 8;

/// The subject: the first of these paths that is there. A number is one by its digits.
///
/// # Errors
/// When there is none, or none that can be kept.
pub fn subject(profile: &Map<String, Value>, paths: &[String]) -> Result<String, Rejection> {
    let missing = || Rejection::UserInfo { why: format!("there is no subject in it ({})", paths.join(", ")) };
    let subject = match paths.iter().find_map(|path| at(profile, path)).ok_or_else(missing)? {
        Value::String(text) => text.clone(),
        // A number with a fraction, or one that was rounded, is nobody's.
        Value::Number(number) if number.is_i64() || number.is_u64() => number.to_string(),
        _ => return Err(Rejection::UserInfo { why: "the subject is neither a text nor a whole number".to_owned() }),
    };
    id_token::subject(Some(&subject)).map_err(|why| Rejection::IdTokenSubject { why })
}

/// The value at a path: names with dots between them, and numbers for places in lists. Nothing and empty texts are none.
fn at<'v>(profile: &'v Map<String, Value>, path: &str) -> Option<&'v Value> {
    let mut parts = path.split('.').take(DEPTH);
    let mut value = profile.get(parts.next()?)?;
    for part in parts {
        value = match value {
            Value::Object(members) => members.get(part)?,
            Value::Array(items) => items.get(part.parse::<usize>().ok()?)?,
            _ => return None,
        };
    }
    Some(value).filter(|value| !value.is_null() && value.as_str() != Some(""))
}

/// Is this a path at all?
pub fn is_path(path: &str) -> bool {
    let parts: Vec<&str> = path.split('.').collect();
    parts.len() <= DEPTH && parts.iter().all(|part| !part.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn found(profile: &Value, paths: &[&str]) -> Result<String, Rejection> {
        subject(profile.as_object().expect("an object"), &paths.iter().map(|path| (*path).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn a_subject_is_a_text_or_a_whole_number_at_a_path() {
        for (profile, paths, expected) in [
            (json!({ "id": 583_231 }), ["id"].as_slice(), "583231"),
            (json!({ "id": 18_446_744_073_709_551_615_u64 }), &["id"], "18446744073709551615"),
            (json!({ "data": { "id": "2244994945" } }), &["data.id"], "2244994945"),
            (json!({ "data": [{ "id": "7" }] }), &["data.0.id"], "7"),
            (json!({ "openid": "o", "unionid": "u" }), &["unionid", "openid"], "u"),
            (json!({ "openid": "o", "unionid": "" }), &["unionid", "openid"], "o"),
            (json!({ "openid": "o", "unionid": null }), &["unionid", "openid"], "o"),
        ] {
            assert_eq!(found(&profile, paths).expect("one"), expected, "{profile}");
        }
    }

    #[test]
    fn what_is_no_subject_is_nobody() {
        for profile in [
            json!({}),
            json!({ "id": null }),
            json!({ "id": "" }),
            json!({ "id": 1.5 }),
            json!({ "id": 1e30 }),
            json!({ "id": true }),
            json!({ "id": ["7"] }),
            json!({ "id": { "id": 7 } }),
        ] {
            assert_eq!(found(&profile, &["id"]).expect_err("none").name(), "userinfo", "{profile}");
        }
        for profile in [json!({ "id": "7\n" }), json!({ "id": "x".repeat(256) })] {
            assert_eq!(found(&profile, &["id"]).expect_err("none").name(), "id-token-sub", "{profile}");
        }
        assert!(is_path("data.id") && !is_path("data..id") && !is_path("") && !is_path("a.b.c.d.e.f.g.h.i"));
    }
}
