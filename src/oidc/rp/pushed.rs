//! The answer to a pushed authorization request (RFC 9126 2.2, 2.3).

use super::callback::short;
use super::rejection::Rejection;
use serde_json::{Map, Value};

/// Octets of an answer at most.
pub const LIMIT: u64 = 64 * 1024;

/// The `request_uri` that stands for the request; `good` says whether the status was 201.
///
/// # Errors
/// The provider's own, or why the answer cannot be used.
pub fn parse(body: &[u8], good: bool) -> Result<String, Rejection> {
    let refused =
        |error: &str, description: Option<&str>| Rejection::PushedRequest { error: short(error), description: description.map(short) };
    let members: Map<String, Value> = serde_json::from_slice(body).map_err(|_| refused("it is no JSON object", None))?;
    let text = |name: &str| members.get(name).and_then(Value::as_str);
    if !good {
        return Err(refused(text("error").unwrap_or("an error without an explanation"), text("error_description")));
    }
    let usable = text("request_uri").filter(|uri| !uri.is_empty() && uri.len() <= 2048 && uri.bytes().all(|byte| byte.is_ascii_graphic()));
    usable.map(str::to_owned).ok_or_else(|| refused("request_uri is missing", None))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_taken_of_a_good_answer_only() {
        let long = format!(r#"{{"request_uri":"urn:{}"}}"#, "x".repeat(2048));
        assert!(parse(long.as_bytes(), true).is_err());
        let body = br#"{"request_uri":"urn:ietf:params:oauth:request_uri:1","expires_in":60}"#;
        assert_eq!(parse(body, true).expect("good"), "urn:ietf:params:oauth:request_uri:1");
        assert!(parse(body, false).is_err());
        for body in ["", "[]", "{}", r#"{"request_uri":""}"#, r#"{"request_uri":7}"#, r#"{"request_uri":"urn:a b"}"#] {
            assert!(matches!(parse(body.as_bytes(), true), Err(Rejection::PushedRequest { .. })), "{body}");
        }
    }

    #[test]
    fn its_errors_are_its_own_words() {
        let answer = parse(br#"{"error":"invalid_request","error_description":"no"}"#, false);
        let expected = Rejection::PushedRequest { error: "invalid_request".to_owned(), description: Some("no".to_owned()) };
        assert_eq!(answer.expect_err("an error"), expected);
    }
}
