//! The public keys that a client has registered (RFC 7517).

use crate::error::{Error, ErrorKind, Result};
use serde_json::{Map, Value};

/// More keys than a client needs.
const MAX_KEYS: usize = 50;

/// A JWK Set without anything private.
#[derive(Clone, Debug, PartialEq)]
pub struct ClientJwks {
    keys: Vec<Map<String, Value>>,
}

impl ClientJwks {
    /// # Errors
    /// When it is no JWK Set, has too many keys, or one that should not leave its owner.
    pub fn parse(set: &Value) -> Result<Self> {
        let refuse = |why: String| Error::new(ErrorKind::InvalidRequest, why);
        let keys = set.get("keys").and_then(Value::as_array).ok_or_else(|| refuse("a JWK Set has a member `keys`, a list".to_owned()))?;
        if keys.len() > MAX_KEYS {
            return Err(refuse(format!("a JWK Set has at most {MAX_KEYS} keys")));
        }
        let mut read = Vec::with_capacity(keys.len());
        for (at, key) in keys.iter().enumerate() {
            let key = key.as_object().ok_or_else(|| refuse(format!("key {at} is no object")))?;
            // RFC 7518 6.2.2, 6.3.2, 6.4: private and symmetric members.
            if let Some(member) = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"].into_iter().find(|member| key.contains_key(*member)) {
                return Err(refuse(format!("key {at} has the private member `{member}`: register public keys only, and replace this one")));
            }
            read.push(key.clone());
        }
        Ok(Self { keys: read })
    }

    pub fn keys(&self) -> &[Map<String, Value>] {
        &self.keys
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn private_keys_are_refused_by_name() {
        assert_eq!(
            ClientJwks::parse(&json!({"keys": [{"kty": "EC", "crv": "P-256", "x": "x", "y": "y"}]})).expect("public").keys().len(),
            1
        );
        for (set, word) in [
            (json!({"keys": [{"kty": "EC", "d": "x"}]}), "`d`"),
            (json!({"keys": [{"kty": "oct", "k": "x"}]}), "`k`"),
            (json!({"keys": {}}), "`keys`"),
            (json!([]), "`keys`"),
            (json!({"keys": ["x"]}), "key 0"),
            (json!({"keys": vec![json!({"kty": "EC"}); MAX_KEYS + 1]}), "at most"),
        ] {
            let error = ClientJwks::parse(&set).expect_err(word);
            assert!(error.detail.contains(word), "{}", error.detail);
        }
    }
}
