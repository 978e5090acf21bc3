//! The token endpoint's answer (RFC 6749 5, Core 3.1.3.3).

use super::callback::short;
use super::rejection::Rejection;
use crate::secret::Secret;
use serde_json::{Map, Value};

/// Octets of an answer at most.
pub const LIMIT: u64 = 256 * 1024;
/// Octets of a token at most.
const LONGEST: usize = 64 * 1024;

/// What the token endpoint gave.
#[derive(Clone, Debug)]
pub struct TokenAnswer {
    pub access_token: Secret<String>,
    pub id_token: Option<Secret<String>>,
    pub refresh_token: Option<Secret<String>>,
    /// Seconds.
    pub expires_in: Option<i64>,
    pub scope: Option<String>,
    /// Members that are none of the standard's.
    pub others: Map<String, Value>,
}

impl TokenAnswer {
    /// Reads a JSON answer; `good` says whether its status was 200.
    ///
    /// # Errors
    /// The provider's own, or why the answer cannot be used.
    pub fn parse(body: &[u8], good: bool) -> Result<Self, Rejection> {
        let unusable = |why| Rejection::TokenAnswer { why };
        let mut members: Map<String, Value> = match serde_json::from_slice(body) {
            Ok(members) => members,
            Err(_) if good => return Err(unusable("it is no JSON object")),
            Err(_) => return Err(unusable("it is an error without an explanation")),
        };
        if let Some(error) = members.get("error") {
            let error = error.as_str().map_or_else(|| "error".to_owned(), short);
            return Err(Rejection::TokenEndpoint {
                error,
                description: members.get("error_description").and_then(Value::as_str).map(short),
            });
        }
        if !good {
            return Err(unusable("it is an error without an explanation"));
        }
        let mut take = |name: &str| match members.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if !text.is_empty() && text.len() <= LONGEST => Ok(Some(text)),
            Some(_) => Err(unusable("a token is no text, or too long")),
        };
        let access_token = take("access_token")?.ok_or(unusable("access_token is missing"))?;
        let (id_token, refresh_token) = (take("id_token")?, take("refresh_token")?);
        // RFC 6749 5.1: a client must not use a token of a type that it does not understand.
        let kind = take("token_type")?;
        if kind.is_some_and(|kind| !kind.eq_ignore_ascii_case("bearer")) {
            return Err(unusable("token_type is not Bearer"));
        }
        let scope = take("scope").unwrap_or_default();
        // Some send it as a text.
        let expires_in = members.remove("expires_in").and_then(|seconds| seconds.as_i64().or_else(|| seconds.as_str()?.parse().ok()));
        Ok(Self {
            access_token: Secret::new(access_token),
            id_token: id_token.map(Secret::new),
            refresh_token: refresh_token.map(Secret::new),
            expires_in,
            scope,
            others: members,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_read_and_do_not_print() {
        let body = br#"{"access_token":"at-1","id_token":"a.b.c","token_type":"bearer","expires_in":"60","refresh_token":null,"team":"t"}"#;
        let answer = TokenAnswer::parse(body, true).expect("good");
        assert_eq!((answer.access_token.expose().as_str(), answer.expires_in), ("at-1", Some(60)));
        assert!(answer.refresh_token.is_none() && answer.others.contains_key("team"));
        assert!(!format!("{answer:?}").contains("at-1"));
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        for body in [
            "",
            "[]",
            "{}",
            r#"{"access_token":7}"#,
            r#"{"access_token":""}"#,
            r#"{"access_token":"x","id_token":["y"]}"#,
            r#"{"access_token":"x","token_type":"mac"}"#,
        ] {
            assert!(matches!(TokenAnswer::parse(body.as_bytes(), true), Err(Rejection::TokenAnswer { .. })), "{body}");
        }
        let long = format!(r#"{{"access_token":"{}"}}"#, "x".repeat(LONGEST + 1));
        assert!(TokenAnswer::parse(long.as_bytes(), true).is_err());
        assert!(TokenAnswer::parse(br#"{"access_token":"x"}"#, false).is_err(), "an error with a token is an error");
    }

    #[test]
    fn its_errors_are_its_own_words() {
        // GitHub answers with 200.
        for good in [true, false] {
            let answer = TokenAnswer::parse(br#"{"error":"bad_verification_code","error_description":"it\nis"}"#, good);
            let expected = Rejection::TokenEndpoint { error: "bad_verification_code".to_owned(), description: Some("itis".to_owned()) };
            assert_eq!(answer.expect_err("an error"), expected);
        }
    }
}
