//! UserInfo that is a JWT (Core 5.3.2). Its signature is verified elsewhere, before anything here counts.

use super::callback::short;
use super::logout::audience;
use super::provider::IssuerRule;
use super::rejection::{Check, Rejection};
use crate::oidc::Verified;
use serde_json::{Map, Value};

/// Its claims, if the provider has signed them for us. Whose they are is compared where all UserInfo is.
///
/// # Errors
/// `userinfo-typ`, `userinfo-iss`, `userinfo-aud`.
pub fn check(token: Verified, issuer: &IssuerRule, client_id: &str, checks: &mut Vec<Check>) -> Result<Map<String, Value>, Rejection> {
    let Verified { header, claims } = token;
    let mut note = |rule: &'static str, passed: bool, wanted: &str, found: &str| {
        checks.push(Check { name: rule, passed, expected: wanted.to_owned(), found: short(found) });
        let why = || format!("UserInfo has {} `{}`, not `{wanted}`", rule.trim_start_matches("userinfo-"), short(found));
        if passed { Ok(()) } else { Err(Rejection::Token { rule, why: why() }) }
    };
    // RFC 8725 3.11: a logout token and an access token are signed by the same keys.
    let typ = header.get("typ").map_or("JWT", |typ| typ.as_str().unwrap_or("no text"));
    note("userinfo-typ", typ.eq_ignore_ascii_case("JWT"), "JWT", typ)?;
    let found = claims.get("iss").and_then(Value::as_str).unwrap_or("none");
    note("userinfo-iss", issuer.accepts(found, &claims), issuer.text(), found)?;
    let (is_ours, found) = audience(claims.get("aud"), client_id);
    note("userinfo-aud", is_ours, client_id, &found)?;
    Ok(claims)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn checked(header: &Value, claims: &Value) -> Result<Map<String, Value>, &'static str> {
        let object = |value: &Value| value.as_object().cloned().expect("an object");
        let token = Verified { header: object(header), claims: object(claims) };
        check(token, &IssuerRule::Exact("https://op.example".to_owned()), "us", &mut Vec::new()).map_err(|rejection| rejection.name())
    }

    #[test]
    fn it_is_of_the_provider_and_for_us() {
        for aud in [json!("us"), json!(["them", "us"])] {
            let claims = json!({ "iss": "https://op.example", "aud": aud, "sub": "jane" });
            assert_eq!(checked(&json!({}), &claims).expect("good")["sub"], "jane");
        }
        for (header, claims, rule) in [
            (json!({ "typ": "logout+jwt" }), json!({ "iss": "https://op.example", "aud": "us" }), "userinfo-typ"),
            (json!({}), json!({ "iss": "https://evil.example", "aud": "us" }), "userinfo-iss"),
            (json!({}), json!({ "aud": "us" }), "userinfo-iss"),
            (json!({}), json!({ "iss": "https://op.example", "aud": "them" }), "userinfo-aud"),
            (json!({}), json!({ "iss": "https://op.example" }), "userinfo-aud"),
        ] {
            assert_eq!(checked(&header, &claims), Err(rule), "{header} {claims}");
        }
    }
}
