//! The rules of a logout token (OpenID Connect Back-Channel Logout 2.6). Its signature is verified elsewhere, before anything
//! here counts; that it is used once is for whoever keeps what was used.

use super::callback::short;
use super::id_token;
use super::provider::IssuerRule;
use super::rejection::{Check, Rejection};
use crate::clock::Timestamp;
use crate::oidc::Verified;
use crate::oidc::jose::numeric_date;
use serde_json::Value;

/// The member of `events` that makes it one.
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";
/// Octets of a `jti` and of a `sid` at most.
const LONGEST: usize = 1024;
/// Seconds that a logout token may live: for so long it must be remembered.
const LONGEST_LIFE: i64 = 86_400;

/// What a logout token is held against.
#[derive(Clone, Copy, Debug)]
pub struct ExpectedLogoutToken<'a> {
    pub issuer: &'a IssuerRule,
    pub client_id: &'a str,
    /// Seconds by which clocks may differ.
    pub skew: i64,
    pub now: Timestamp,
}

/// Whose sessions are over. At least one of `subject` and `sid` is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogoutFacts {
    pub subject: Option<String>,
    /// The session at the provider.
    pub sid: Option<String>,
    pub jti: String,
    /// Until then a second use must be noticed.
    pub remember_until: Timestamp,
}

/// Holds a logout token against every rule. Each that was looked at is in `checks`.
///
/// # Errors
/// The first rule that it breaks: `logout-token-` and `typ`, `iss`, `aud`, `exp`, `iat`, `subject`, `events`, `nonce` or `jti`.
pub fn check(token: Verified, expected: &ExpectedLogoutToken<'_>, checks: &mut Vec<Check>) -> Result<LogoutFacts, Rejection> {
    let Verified { header, claims } = token;
    let mut note = |rule: &'static str, passed: bool, wanted: &str, found: &str| {
        checks.push(Check { name: rule, passed, expected: wanted.to_owned(), found: short(found) });
        let why = || format!("the logout token's {} is `{}`, not {wanted}", rule.trim_start_matches("logout-token-"), short(found));
        if passed { Ok(()) } else { Err(Rejection::Token { rule, why: why() }) }
    };
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    // 2.4: a type of its own is recommended, and not demanded. One of another kind is another kind.
    let typ = header.get("typ").map_or("JWT", |typ| typ.as_str().unwrap_or("no text"));
    let is_one = ["JWT", "logout+jwt", "application/logout+jwt"].iter().any(|known| typ.eq_ignore_ascii_case(known));
    note("logout-token-typ", is_one, "logout+jwt", typ)?;
    let issuer = text("iss").unwrap_or("none");
    note("logout-token-iss", expected.issuer.accepts(issuer, &claims), expected.issuer.text(), issuer)?;
    let (is_ours, found) = audience(claims.get("aud"), expected.client_id);
    note("logout-token-aud", is_ours, expected.client_id, &found)?;
    let (now, skew) = (expected.now.seconds(), expected.skew);
    let exp = claims.get("exp").and_then(numeric_date);
    let (earliest, latest) = (now.saturating_sub(skew), now.saturating_add(LONGEST_LIFE));
    let good = exp.is_some_and(|exp| exp > earliest && exp <= latest);
    note("logout-token-exp", good, &format!("after {earliest}, at most {latest}"), &shown(exp))?;
    let iat = claims.get("iat").and_then(numeric_date);
    let latest = now.saturating_add(skew);
    note("logout-token-iat", iat.is_some_and(|iat| iat <= latest), &format!("at most {latest}"), &shown(iat))?;
    let subject = text("sub").map(|sub| id_token::subject(Some(sub))).transpose().map_err(wrong_subject)?;
    let sid = text("sid").filter(|sid| !sid.is_empty() && sid.len() <= LONGEST);
    let clear = ["sub", "sid"].iter().all(|name| claims.get(*name).is_none_or(Value::is_string));
    let named = clear && (subject.is_some() || sid.is_some());
    note("logout-token-subject", named, "sub, sid, or both", if named { "there" } else { "neither" })?;
    let event = claims.get("events").and_then(|events| events.get(EVENT));
    let found = if event.is_some() { "no object" } else { "none" };
    note("logout-token-events", event.is_some_and(Value::is_object), EVENT, found)?;
    // Or an ID token would end the session that it began.
    note("logout-token-nonce", !claims.contains_key("nonce"), "none", "there")?;
    let jti = text("jti").filter(|jti| !jti.is_empty() && jti.len() <= LONGEST);
    note("logout-token-jti", jti.is_some(), "a text", jti.map_or("none, or too long", |_| "there"))?;
    Ok(LogoutFacts {
        subject,
        sid: sid.map(str::to_owned),
        jti: jti.unwrap_or_default().to_owned(),
        remember_until: Timestamp::from_seconds(exp.unwrap_or(now).saturating_add(skew)),
    })
}

/// Is it for us, maybe among others, and in words for whom.
pub(super) fn audience(aud: Option<&Value>, client_id: &str) -> (bool, String) {
    match aud {
        Some(Value::String(one)) => (one == client_id, one.clone()),
        Some(Value::Array(many)) => (many.iter().any(|one| one.as_str() == Some(client_id)), "others".to_owned()),
        _ => (false, "nobody".to_owned()),
    }
}

fn shown(time: Option<i64>) -> String {
    time.map_or_else(|| "none".to_owned(), |seconds| seconds.to_string())
}

fn wrong_subject(why: &str) -> Rejection {
    Rejection::Token { rule: "logout-token-subject", why: format!("the logout token's sub {why}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Map, json};

    const NOW: i64 = 1_800_000_000;

    fn checked(typ: Option<&str>, changes: &Value) -> Result<LogoutFacts, &'static str> {
        let mut claims = json!({
            "iss": "https://op.example", "aud": "us", "iat": NOW, "exp": NOW + 120, "jti": "j-1", "sub": "jane", "sid": "s-1",
            "events": { EVENT: {} },
        });
        for (name, value) in changes.as_object().expect("an object") {
            match value {
                Value::Null => drop(claims.as_object_mut().expect("an object").shift_remove(name)),
                value => claims[name] = value.clone(),
            }
        }
        let header = typ.map(|typ| ("typ".to_owned(), Value::from(typ))).into_iter().collect();
        let token = Verified { header, claims: claims.as_object().cloned().expect("an object") };
        let issuer = IssuerRule::Exact("https://op.example".to_owned());
        let expected = ExpectedLogoutToken { issuer: &issuer, client_id: "us", skew: 60, now: Timestamp::from_seconds(NOW) };
        let mut checks = Vec::new();
        let result = check(token, &expected, &mut checks).map_err(|rejection| rejection.name());
        assert_eq!(result.is_ok(), checks.iter().all(|check| check.passed) && checks.len() == 9, "{checks:?}");
        result
    }

    #[test]
    fn a_good_one_says_whose_sessions_are_over() {
        for typ in [None, Some("JWT"), Some("logout+jwt"), Some("application/logout+jwt")] {
            let facts = checked(typ, &json!({})).expect("good");
            assert_eq!((facts.subject.as_deref(), facts.sid.as_deref(), facts.jti.as_str()), (Some("jane"), Some("s-1"), "j-1"));
            assert_eq!(facts.remember_until.seconds(), NOW + 180);
        }
        assert_eq!(checked(None, &json!({ "sub": null })).expect("good").subject, None);
        assert_eq!(checked(None, &json!({ "sid": null })).expect("good").sid, None);
        assert!(checked(None, &json!({ "aud": ["them", "us"] })).is_ok());
    }

    #[test]
    fn each_rule_has_its_name() {
        for (changes, rule) in [
            (json!({ "iss": "https://evil.example" }), "logout-token-iss"),
            (json!({ "iss": null }), "logout-token-iss"),
            (json!({ "aud": "them" }), "logout-token-aud"),
            (json!({ "aud": null }), "logout-token-aud"),
            (json!({ "exp": NOW - 60 }), "logout-token-exp"),
            (json!({ "exp": NOW + LONGEST_LIFE + 1 }), "logout-token-exp"),
            (json!({ "exp": null }), "logout-token-exp"),
            (json!({ "iat": NOW + 61 }), "logout-token-iat"),
            (json!({ "iat": "now" }), "logout-token-iat"),
            (json!({ "sub": null, "sid": null }), "logout-token-subject"),
            (json!({ "sub": null, "sid": "" }), "logout-token-subject"),
            (json!({ "sub": 7 }), "logout-token-subject"),
            (json!({ "sid": ["s-1"] }), "logout-token-subject"),
            (json!({ "events": null }), "logout-token-events"),
            (json!({ "events": [EVENT] }), "logout-token-events"),
            (json!({ "events": { EVENT: true } }), "logout-token-events"),
            (json!({ "events": { "http://schemas.openid.net/event/other": {} } }), "logout-token-events"),
            (json!({ "nonce": "n" }), "logout-token-nonce"),
            (json!({ "jti": null }), "logout-token-jti"),
            (json!({ "jti": 7 }), "logout-token-jti"),
        ] {
            assert_eq!(checked(None, &changes), Err(rule), "{changes}");
        }
        assert_eq!(checked(Some("at+jwt"), &json!({})), Err("logout-token-typ"));
    }

    #[test]
    fn a_name_that_nobody_can_have_is_refused() {
        let token = checked_subject("ja\u{0}ne");
        assert_eq!(token, Err("logout-token-subject"));
    }

    fn checked_subject(sub: &str) -> Result<(), &'static str> {
        let issuer = IssuerRule::Exact("https://op.example".to_owned());
        let expected = ExpectedLogoutToken { issuer: &issuer, client_id: "us", skew: 60, now: Timestamp::from_seconds(NOW) };
        let claims = json!({ "iss": "https://op.example", "aud": "us", "iat": NOW, "exp": NOW + 120, "sub": sub });
        let token = Verified { header: Map::new(), claims: claims.as_object().cloned().expect("an object") };
        check(token, &expected, &mut Vec::new()).map(drop).map_err(|rejection| rejection.name())
    }
}
