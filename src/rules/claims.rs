//! Which claims and scopes scripts may set.

use serde_json::{Map, Value};

/// Claims that say who issued a token, to whom, for how long and how: a script can never set one.
const RESERVED: &[&str] = &[
    "iss",
    "sub",
    "aud",
    "exp",
    "iat",
    "nbf",
    "nonce",
    "azp",
    "auth_time",
    "at_hash",
    "c_hash",
    "sid",
    "acr",
    "amr",
    "jti",
    "cnf",
    "act",
    "scope",
    "client_id",
];
/// Octets of a claim's name.
const MAX_NAME: usize = 255;
/// Octets of one scope, and how many there may be.
const MAX_SCOPE: usize = 256;
const MAX_SCOPES: usize = 200;

/// May a script set this claim? The error says why not.
pub(super) fn check(name: &str) -> Result<(), String> {
    if RESERVED.contains(&name) {
        return Err(format!("the claim {name} belongs to the protocol and is left out"));
    }
    if name.is_empty() || name.len() > MAX_NAME {
        return Err(format!("a claim whose name is empty or longer than {MAX_NAME} octets is left out"));
    }
    Ok(())
}

/// What differs from `base`, where `null` stands for what is gone, without claims that may not be set; `refused` hears of
/// each of those.
pub(super) fn changed(base: &Map<String, Value>, now: &Map<String, Value>, mut refused: impl FnMut(String)) -> Map<String, Value> {
    let mut changed = Map::new();
    for (name, value) in now.iter().filter(|(name, value)| base.get(*name) != Some(*value)) {
        match check(name) {
            Ok(()) => drop(changed.insert(name.clone(), value.clone())),
            Err(why) => refused(why),
        }
    }
    for name in base.keys().filter(|name| !now.contains_key(*name) && check(name).is_ok()) {
        changed.insert(name.clone(), Value::Null);
    }
    changed
}

/// RFC 6749 3.3: is this one scope?
pub(super) fn is_scope(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_SCOPE && text.bytes().all(|c| matches!(c, 0x21 | 0x23..=0x5b | 0x5d..=0x7e))
}

/// Scopes of a script, as a list or as one text with spaces; those that are none are left out.
pub(super) fn scopes(value: &Value) -> Option<Vec<String>> {
    let all: Vec<&str> = match value {
        Value::String(text) => text.split(' ').collect(),
        Value::Array(items) => items.iter().filter_map(Value::as_str).collect(),
        _ => return None,
    };
    let mut scopes: Vec<String> = Vec::new();
    for scope in all.into_iter().filter(|scope| is_scope(scope)).take(MAX_SCOPES) {
        if !scopes.iter().any(|known| known == scope) {
            scopes.push(scope.to_owned());
        }
    }
    Some(scopes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn map(value: Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap_or_default()
    }

    #[test]
    fn claims_of_the_protocol_are_never_set_nor_removed() {
        let mut why = Vec::new();
        let base = map(json!({ "same": 1, "gone": 2, "sub": "jane" }));
        let now = map(json!({ "same": 1, "iss": "evil", "https://acme.example/tier": "gold", "email": "x@y" }));
        let changed = changed(&base, &now, |text| why.push(text));
        assert_eq!(Value::Object(changed), json!({ "https://acme.example/tier": "gold", "email": "x@y", "gone": null }));
        assert_eq!(why, ["the claim iss belongs to the protocol and is left out"]);
    }

    #[test]
    fn scopes_are_read_from_lists_and_texts() {
        assert_eq!(scopes(&json!("a  b a")), Some(vec!["a".to_owned(), "b".to_owned()]));
        assert_eq!(scopes(&json!(["read:x", "with space", 7, "q\"uote"])), Some(vec!["read:x".to_owned()]));
        assert_eq!(scopes(&json!(7)), None);
    }
}
