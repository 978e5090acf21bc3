//! What a JWT says by which a client proves who it is (RFC 7523 3, OpenID Connect Core 9). Its signature is proven elsewhere.

use super::client::ClientFacts;
use super::jose::numeric_date;
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::id;
use serde_json::{Map, Value};

pub const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Seconds that an assertion may live from now on: libraries make them for an hour. It counts once all the same.
const LONGEST_LIFE: i64 = 3600;
/// The same of an application that keeps to the FAPI 2.0 profile.
const LONGEST_LIFE_BY_FAPI: i64 = 600;
/// Seconds by which clocks may differ.
const LEEWAY: i64 = 10;
/// Octets of an assertion, and of its `jti`.
const LONGEST: usize = 16 * 1024;
const LONGEST_JTI: usize = 512;

/// An assertion that is good, if it has not been used.
#[derive(Debug, PartialEq, Eq)]
pub struct GoodAssertion {
    pub jti: String,
    /// Seconds for which a second use must be noticed.
    pub remembered: u64,
}

/// Whom the assertion names, without any proof: for looking up the keys.
pub fn unproven_subject(token: &str) -> Option<String> {
    if token.len() > LONGEST {
        return None;
    }
    let payload = token.split('.').nth(1)?;
    let claims: Map<String, Value> = serde_json::from_slice(&id::from_base64url(payload)?).ok()?;
    claims.get("sub").and_then(Value::as_str).filter(|subject| !subject.is_empty()).map(str::to_owned)
}

/// Checks the claims of an assertion whose signature is proven. `issuer` is ours; `endpoints` are the addresses that the
/// client may mean by `aud` beside it: the token endpoint, and the one that it called.
pub fn check(
    claims: &Map<String, Value>,
    client: &ClientFacts,
    issuer: &str,
    endpoints: &[String],
    now: Timestamp,
) -> Result<GoodAssertion> {
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    // RFC 7523 3, 1 and 2; Core 9: both are the client.
    if text("iss") != Some(&client.client_id) || text("sub") != Some(&client.client_id) {
        return Err(refuse("iss and sub are not the client"));
    }
    if !is_audience(claims.get("aud"), client.fapi2, issuer, endpoints) {
        return Err(refuse("aud is not this provider"));
    }
    let seconds = now.seconds();
    let expires = time(claims, "exp")?.ok_or_else(|| refuse("exp is missing"))?;
    if expires.saturating_add(LEEWAY) <= seconds {
        return Err(refuse("it has expired"));
    }
    let longest = if client.fapi2 { LONGEST_LIFE_BY_FAPI } else { LONGEST_LIFE };
    if expires > seconds.saturating_add(longest + LEEWAY) {
        return Err(refuse("it lives longer than it may"));
    }
    for name in ["iat", "nbf"] {
        if time(claims, name)?.is_some_and(|begin| begin > seconds.saturating_add(LEEWAY)) {
            return Err(refuse("it is not valid yet"));
        }
    }
    let jti = text("jti").filter(|jti| !jti.is_empty() && jti.len() <= LONGEST_JTI).ok_or_else(|| refuse("jti is missing or too long"))?;
    let remembered = expires.saturating_sub(seconds).saturating_add(2 * LEEWAY);
    Ok(GoodAssertion { jti: jti.to_owned(), remembered: u64::try_from(remembered).unwrap_or(1) })
}

/// Everything it names must be us: an assertion that is good for somebody else as well can be used by them.
fn is_audience(audience: Option<&Value>, issuer_only: bool, issuer: &str, endpoints: &[String]) -> bool {
    let ours = |text: &str| text == issuer || (!issuer_only && endpoints.iter().any(|endpoint| endpoint == text));
    match audience {
        Some(Value::String(one)) => ours(one),
        // FAPI 2.0 Security Profile 5.3.2.1: the issuer as a string.
        Some(Value::Array(many)) if !issuer_only => !many.is_empty() && many.iter().all(|one| one.as_str().is_some_and(ours)),
        _ => false,
    }
}

fn time(claims: &Map<String, Value>, name: &str) -> Result<Option<i64>> {
    claims.get(name).map(|value| numeric_date(value).ok_or_else(|| refuse("a time is no number"))).transpose()
}

/// The reason is for the log; the client learns that it failed.
fn refuse(why: &str) -> Error {
    Error::new(ErrorKind::InvalidClient, format!("the client assertion is refused: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oidc::testing::{self, ISSUER, client};
    use serde_json::json;

    const ENDPOINT: &str = "https://login.example.org/oauth/token";
    const NOW: i64 = 1_700_000_000;

    fn good() -> Map<String, Value> {
        let claims = json!({ "iss": "notes", "sub": "notes", "aud": ISSUER, "exp": NOW + 60, "iat": NOW, "jti": "j1" });
        claims.as_object().cloned().expect("an object")
    }

    fn checked(changes: Value, fapi2: bool) -> Result<GoodAssertion> {
        let mut claims = good();
        for (name, value) in changes.as_object().expect("an object") {
            match value {
                Value::Null => drop(claims.remove(name)),
                value => drop(claims.insert(name.clone(), value.clone())),
            }
        }
        let client = ClientFacts { fapi2, ..client() };
        check(&claims, &client, ISSUER, &[ENDPOINT.to_owned()], Timestamp::from_seconds(NOW))
    }

    #[test]
    fn each_claim_is_checked() {
        let refused = [
            (json!({ "iss": "wiki" }), "iss and sub"),
            (json!({ "sub": "wiki" }), "iss and sub"),
            (json!({ "iss": null }), "iss and sub"),
            (json!({ "aud": "https://other.example" }), "aud"),
            (json!({ "aud": null }), "aud"),
            (json!({ "aud": [] }), "aud"),
            (json!({ "aud": [ISSUER, "https://other.example"] }), "aud"),
            (json!({ "aud": "https://login.example.org/" }), "aud"),
            (json!({ "exp": null }), "exp is missing"),
            (json!({ "exp": NOW - LEEWAY }), "expired"),
            (json!({ "exp": NOW + LONGEST_LIFE + LEEWAY + 1 }), "longer"),
            (json!({ "exp": "soon" }), "no number"),
            (json!({ "iat": NOW + LEEWAY + 1 }), "not valid yet"),
            (json!({ "nbf": NOW + LEEWAY + 1 }), "not valid yet"),
            (json!({ "nbf": "now" }), "no number"),
            (json!({ "jti": null }), "jti"),
            (json!({ "jti": "" }), "jti"),
            (json!({ "jti": "x".repeat(LONGEST_JTI + 1) }), "jti"),
        ];
        for (changes, why) in refused {
            let error = checked(changes.clone(), false).expect_err(why);
            assert!(error.kind == ErrorKind::InvalidClient && error.detail.contains(why), "{changes}: {}", error.detail);
        }
    }

    #[test]
    fn what_is_in_order_is_good_for_as_long_as_it_lives() {
        let changes = [
            json!({}),
            json!({ "aud": ENDPOINT }),
            json!({ "aud": [ISSUER, ENDPOINT] }),
            json!({ "iat": null }),
            json!({ "nbf": NOW }),
            json!({ "exp": 1_700_000_060.5 }),
        ];
        for change in changes {
            let good = checked(change.clone(), false).unwrap_or_else(|error| panic!("{change}: {}", error.detail));
            assert_eq!(good, GoodAssertion { jti: "j1".to_owned(), remembered: 80 });
        }
        assert!(checked(json!({ "exp": NOW - LEEWAY + 1 }), false).is_ok() && checked(json!({ "exp": NOW + LONGEST_LIFE }), false).is_ok());
    }

    #[test]
    fn the_fapi_profile_takes_the_issuer_as_a_text_only() {
        assert!(checked(json!({}), true).is_ok());
        for audience in [json!(ENDPOINT), json!([ISSUER]), json!([ISSUER, ENDPOINT])] {
            assert!(checked(json!({ "aud": audience }), true).is_err(), "{audience}");
        }
        let until = |seconds: i64| checked(json!({ "exp": NOW + seconds }), true);
        assert!(until(LONGEST_LIFE_BY_FAPI).is_ok() && until(LONGEST_LIFE_BY_FAPI + LEEWAY + 1).is_err());
    }

    #[test]
    fn hostile_octets_never_panic() {
        for octets in testing::hostile(5_000) {
            let _ = unproven_subject(&String::from_utf8_lossy(&octets));
            let _ = unproven_subject(&format!("a.{}.b", id::base64url(&octets)));
        }
        assert_eq!(unproven_subject(&format!("a.{}.b", id::base64url(br#"{"sub":"notes"}"#))).as_deref(), Some("notes"));
    }
}
