//! The rules of an ID token (Core 3.1.3.7), in their order. Its signature is verified elsewhere, before anything here counts.

use super::callback::short;
use super::provider::IssuerRule;
use super::rejection::{Check, Rejection};
use crate::clock::Timestamp;
use crate::id;
use crate::oidc::jose::{half_hash, numeric_date};
use crate::oidc::{ClientSigningAlg, Verified};
use serde_json::{Map, Value};

/// Octets of a subject at most (Core 2 says 255 ASCII characters).
const LONGEST_SUBJECT: usize = 255;

/// Methods that are told on at most.
const METHODS: usize = 16;

/// What an ID token is held against.
#[derive(Clone, Copy, Debug)]
pub struct ExpectedIdToken<'a> {
    pub issuer: &'a IssuerRule,
    pub client_id: &'a str,
    pub nonce: &'a str,
    /// The access token beside it.
    pub access_token: Option<&'a str>,
    /// When the question was sent.
    pub asked_at: Timestamp,
    /// A fresh sign-in was asked for.
    pub fresh: bool,
    /// Seconds since the sign-in at most, as asked.
    pub max_age: Option<u32>,
    /// Authentication contexts, one of which it must be; none: any.
    pub contexts: &'a [String],
    /// Seconds by which clocks may differ.
    pub skew: i64,
    pub now: Timestamp,
}

/// What a good ID token says.
#[derive(Clone, Debug, PartialEq)]
pub struct IdTokenFacts {
    pub issuer: String,
    pub subject: String,
    pub auth_time: Option<Timestamp>,
    pub acr: Option<String>,
    /// How the person signed in (RFC 8176).
    pub amr: Vec<String>,
    /// The session at the provider, which logout tokens name.
    pub sid: Option<String>,
    pub expires_at: Timestamp,
    pub claims: Map<String, Value>,
}

/// Holds an ID token whose signature is proven against every rule. Each that was looked at is in `checks`.
///
/// # Errors
/// The first rule that it breaks.
pub fn check(token: Verified, expected: &ExpectedIdToken<'_>, checks: &mut Vec<Check>) -> Result<IdTokenFacts, Rejection> {
    let Verified { header, claims } = token;
    let mut note = |name: &'static str, passed: bool, wanted: &str, found: &str, refusal: Rejection| {
        checks.push(Check { name, passed, expected: wanted.to_owned(), found: short(found) });
        if passed { Ok(()) } else { Err(refusal) }
    };
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    // A JWT of another kind, such as a logout token or an access token, is signed by the same keys (RFC 8725 3.11).
    if let Some(found) = header.get("typ") {
        let found = found.as_str().unwrap_or("no text");
        let refusal = Rejection::IdTokenType { found: short(found) };
        note("id-token-typ", found.eq_ignore_ascii_case("JWT"), "JWT or none", found, refusal)?;
    }
    let issuer = text("iss").unwrap_or_default();
    let wanted = expected.issuer.text();
    let refusal = Rejection::IdTokenIssuer { expected: wanted.to_owned(), found: short(issuer) };
    note("id-token-iss", expected.issuer.accepts(issuer, &claims), wanted, issuer, refusal)?;
    let (is_ours, only, found) = audience(claims.get("aud"), expected.client_id);
    let refusal = Rejection::IdTokenAudience { expected: expected.client_id.to_owned(), found: short(&found) };
    note("id-token-aud", is_ours, expected.client_id, &found, refusal)?;
    let azp = claims.get("azp").map(|azp| azp.as_str().unwrap_or("no text"));
    if azp.is_some() || !only {
        let refusal = Rejection::IdTokenAuthorizedParty { expected: expected.client_id.to_owned(), found: azp.map(short) };
        note("id-token-azp", azp == Some(expected.client_id), expected.client_id, azp.unwrap_or("none"), refusal)?;
    }
    let (now, skew) = (expected.now.seconds(), expected.skew);
    let exp = time(&claims, "exp")?.ok_or(Rejection::IdTokenTime { claim: "exp" })?;
    let wanted = format!("after {}", now.saturating_sub(skew));
    note("id-token-exp", exp.saturating_add(skew) > now, &wanted, &exp.to_string(), Rejection::IdTokenExpired { at: exp, now })?;
    let iat = time(&claims, "iat")?.ok_or(Rejection::IdTokenTime { claim: "iat" })?;
    for (claim, at) in [("nbf", time(&claims, "nbf")?), ("iat", Some(iat))] {
        let Some(at) = at else { continue };
        let wanted = format!("{claim} at most {}", now.saturating_add(skew));
        let refusal = Rejection::IdTokenTooEarly { claim, at, now };
        note("id-token-not-yet", at <= now.saturating_add(skew), &wanted, &at.to_string(), refusal)?;
    }
    let asked_at = expected.asked_at.seconds();
    let wanted = format!("from {} on", asked_at.saturating_sub(skew));
    let refusal = Rejection::IdTokenTooOld { issued_at: iat, asked_at };
    note("id-token-iat", iat >= asked_at.saturating_sub(skew), &wanted, &iat.to_string(), refusal)?;
    let nonce = text("nonce");
    let same = nonce.is_some_and(|nonce| id::eq_constant_time(nonce.as_bytes(), expected.nonce.as_bytes()));
    let found = if same { "that of this login" } else { "another or none" };
    note("id-token-nonce", same, "that of this login", found, Rejection::IdTokenNonce { present: nonce.is_some() })?;
    if let (Some(told), Some(access_token)) = (claims.get("at_hash"), expected.access_token) {
        let alg = header.get("alg").and_then(Value::as_str).and_then(ClientSigningAlg::from_wire);
        let same = alg.is_some_and(|alg| told.as_str() == Some(&half_hash(alg, access_token)));
        let found = if same { "that of the access token" } else { "another" };
        note("id-token-at-hash", same, "that of the access token", found, Rejection::IdTokenAccessTokenHash)?;
    }
    let auth_time = check_auth_time(&claims, expected, &mut note)?;
    // Core 3.1.3.7, 12: what the application counts on.
    if !expected.contexts.is_empty() {
        let (wanted, acr) = (expected.contexts.join(" or "), text("acr"));
        let met = acr.is_some_and(|acr| expected.contexts.iter().any(|context| context == acr));
        let refusal = Rejection::IdTokenContext { expected: wanted.clone(), found: acr.map(short) };
        note("id-token-acr", met, &wanted, acr.unwrap_or("none"), refusal)?;
    }
    let subject = subject(text("sub")).map_err(|why| Rejection::IdTokenSubject { why })?;
    Ok(IdTokenFacts {
        issuer: issuer.to_owned(),
        subject,
        auth_time: auth_time.map(Timestamp::from_seconds),
        amr: methods(claims.get("amr")),
        acr: text("acr").filter(|acr| acr.len() <= 1024).map(str::to_owned),
        sid: text("sid").filter(|sid| !sid.is_empty() && sid.len() <= 1024).map(str::to_owned),
        expires_at: Timestamp::from_seconds(exp),
        claims,
    })
}

/// The algorithms that ID tokens may be signed with, where nothing is configured: what the provider says, without `none` and
/// MACs, and RS256 where it says nothing (Core 3.1.3.7, 7).
pub fn algorithms(announced: &[ClientSigningAlg]) -> Vec<ClientSigningAlg> {
    let usable: Vec<ClientSigningAlg> = announced.iter().copied().filter(|alg| alg.is_asymmetric()).collect();
    if usable.is_empty() { vec![ClientSigningAlg::RS256] } else { usable }
}

/// A subject that can be kept.
///
/// # Errors
/// When it is missing, too long, or has characters that nobody sees.
pub fn subject(subject: Option<&str>) -> Result<String, &'static str> {
    let subject = subject.filter(|subject| !subject.is_empty()).ok_or("is missing")?;
    if subject.len() > LONGEST_SUBJECT {
        return Err("has more than 255 octets");
    }
    if subject.chars().any(char::is_control) {
        return Err("has control characters");
    }
    Ok(subject.to_owned())
}

/// Core 3.1.3.7, 11 to 13; a sign-in that was to be fresh is later than the question.
fn check_auth_time(
    claims: &Map<String, Value>,
    expected: &ExpectedIdToken<'_>,
    note: &mut impl FnMut(&'static str, bool, &str, &str, Rejection) -> Result<(), Rejection>,
) -> Result<Option<i64>, Rejection> {
    let auth_time = time(claims, "auth_time")?;
    let by_age = expected.max_age.map(|age| expected.now.seconds().saturating_sub(i64::from(age)));
    let by_question = expected.fresh.then(|| expected.asked_at.seconds());
    let Some(earliest) = by_age.max(by_question).map(|earliest| earliest.saturating_sub(expected.skew)) else { return Ok(auth_time) };
    let wanted = format!("from {earliest} on");
    note("id-token-auth-time", auth_time.is_some(), &wanted, auth_time.map_or("none", |_| "there"), Rejection::AuthTimeMissing)?;
    let at = auth_time.unwrap_or_default();
    let refusal = Rejection::AuthenticationTooOld { auth_time: at, earliest };
    note("authentication-too-old", at >= earliest, &wanted, &at.to_string(), refusal)?;
    Ok(auth_time)
}

/// Methods as they are told on: a few short words.
fn methods(amr: Option<&Value>) -> Vec<String> {
    let is_word = |word: &&str| !word.is_empty() && word.len() <= 64 && word.bytes().all(|octet| octet.is_ascii_graphic());
    let words = amr.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    words.filter(is_word).take(METHODS).map(str::to_owned).collect()
}

/// Is it for us, for nobody else, and in words for whom.
fn audience(aud: Option<&Value>, client_id: &str) -> (bool, bool, String) {
    match aud {
        Some(Value::String(one)) => (one == client_id, true, format!("`{one}`")),
        Some(Value::Array(many)) => {
            let all: Vec<&str> = many.iter().filter_map(Value::as_str).collect();
            (all.len() == many.len() && all.contains(&client_id), all.len() == 1, format!("{all:?}"))
        }
        _ => (false, true, "nobody".to_owned()),
    }
}

fn time(claims: &Map<String, Value>, claim: &'static str) -> Result<Option<i64>, Rejection> {
    claims.get(claim).map(|value| numeric_date(value).ok_or(Rejection::IdTokenTime { claim })).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const NOW: i64 = 1_800_000_000;
    const ISSUER: &str = "https://op.example";

    fn verified(changes: &Value) -> Verified {
        let mut claims = json!({
            "iss": ISSUER, "sub": "jane", "aud": "us", "exp": NOW + 300, "iat": NOW, "nonce": "n-1", "auth_time": NOW - 10,
            "at_hash": "77QmUPtjPfzWtF2AnpK9RQ", "acr": "high", "sid": "s-1",
        });
        for (name, value) in changes.as_object().expect("an object") {
            match value {
                Value::Null => drop(claims.as_object_mut().expect("an object").shift_remove(name)),
                value => claims[name] = value.clone(),
            }
        }
        let header = Map::from_iter([("alg".to_owned(), "RS256".into()), ("typ".to_owned(), "JWT".into())]);
        Verified { header, claims: claims.as_object().cloned().expect("an object") }
    }

    fn expected(issuer: &IssuerRule) -> ExpectedIdToken<'_> {
        ExpectedIdToken {
            issuer,
            client_id: "us",
            nonce: "n-1",
            access_token: Some("jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y"),
            asked_at: Timestamp::from_seconds(NOW - 30),
            fresh: false,
            max_age: None,
            contexts: &[],
            skew: 60,
            now: Timestamp::from_seconds(NOW),
        }
    }

    fn checked(changes: &Value) -> Result<IdTokenFacts, Rejection> {
        check(verified(changes), &expected(&IssuerRule::Exact(ISSUER.to_owned())), &mut Vec::new())
    }

    fn refused(changes: &Value) -> &'static str {
        checked(changes).expect_err(&changes.to_string()).name()
    }

    #[test]
    fn a_good_token_is_believed_and_every_rule_is_noted() {
        let (issuer, mut checks) = (IssuerRule::Exact(ISSUER.to_owned()), Vec::new());
        let facts = check(verified(&json!({})), &expected(&issuer), &mut checks).expect("good");
        assert_eq!((facts.subject.as_str(), facts.acr.as_deref(), facts.sid.as_deref()), ("jane", Some("high"), Some("s-1")));
        assert_eq!(facts.auth_time, Some(Timestamp::from_seconds(NOW - 10)));
        let names: Vec<_> = checks.iter().map(|check| check.name).collect();
        let rules = ["typ", "iss", "aud", "exp", "not-yet", "iat", "nonce", "at-hash"];
        assert_eq!(names, rules.map(|rule| format!("id-token-{rule}")));
        assert!(checks.iter().all(|check| check.passed && !check.found.contains("n-1")), "{checks:?}");
    }

    #[test]
    fn each_rule_has_its_rejection() {
        for (changes, name) in [
            (json!({"iss": null}), "id-token-iss"),
            (json!({"iss": "https://op.example/"}), "id-token-iss"),
            (json!({"iss": [ISSUER]}), "id-token-iss"),
            (json!({"aud": "them"}), "id-token-aud"),
            (json!({"aud": []}), "id-token-aud"),
            (json!({"aud": ["us", 7]}), "id-token-aud"),
            (json!({"aud": null}), "id-token-aud"),
            (json!({"aud": ["us", "them"]}), "id-token-azp"),
            (json!({"aud": ["us", "them"], "azp": "them"}), "id-token-azp"),
            (json!({"azp": "them"}), "id-token-azp"),
            (json!({"azp": 7}), "id-token-azp"),
            (json!({"exp": null}), "id-token-time"),
            (json!({"exp": "tomorrow"}), "id-token-time"),
            (json!({"exp": NOW - 60}), "id-token-exp"),
            (json!({"iat": null}), "id-token-time"),
            (json!({"iat": NOW + 61}), "id-token-not-yet"),
            (json!({"nbf": NOW + 61}), "id-token-not-yet"),
            (json!({"iat": NOW - 91}), "id-token-iat"),
            (json!({"nonce": "n-2"}), "id-token-nonce"),
            (json!({"nonce": null}), "id-token-nonce"),
            (json!({"nonce": ["n-1"]}), "id-token-nonce"),
            (json!({"at_hash": "x"}), "id-token-at-hash"),
            (json!({"at_hash": 7}), "id-token-at-hash"),
            (json!({"sub": null}), "id-token-sub"),
            (json!({"sub": ""}), "id-token-sub"),
            (json!({"sub": 7}), "id-token-sub"),
            (json!({"sub": "x".repeat(256)}), "id-token-sub"),
            (json!({"sub": "jane\u{0}"}), "id-token-sub"),
            (json!({"auth_time": "yesterday"}), "id-token-time"),
        ] {
            assert_eq!(refused(&changes), name, "{changes}");
        }
    }

    #[test]
    fn what_is_allowed_is_taken() {
        for changes in [
            json!({"aud": ["us"]}),
            json!({"aud": ["them", "us"], "azp": "us"}),
            json!({"azp": "us"}),
            json!({"exp": NOW - 59}),
            json!({"exp": NOW as f64 + 0.5}),
            json!({"iat": NOW + 60}),
            json!({"iat": NOW - 90}),
            json!({"at_hash": null}),
            json!({"auth_time": null}),
        ] {
            assert!(checked(&changes).is_ok(), "{changes}");
        }
    }

    #[test]
    fn a_jwt_of_another_kind_is_no_id_token() {
        let issuer = IssuerRule::Exact(ISSUER.to_owned());
        for typ in [json!("at+jwt"), json!("logout+jwt"), json!("dpop+jwt"), json!(7)] {
            let mut token = verified(&json!({}));
            token.header.insert("typ".to_owned(), typ.clone());
            assert_eq!(check(token, &expected(&issuer), &mut Vec::new()).expect_err("refused").name(), "id-token-typ", "{typ}");
        }
        let mut token = verified(&json!({}));
        token.header.shift_remove("typ");
        assert!(check(token, &expected(&issuer), &mut Vec::new()).is_ok());
    }

    #[test]
    fn who_was_to_sign_in_again_has() {
        let issuer = IssuerRule::Exact(ISSUER.to_owned());
        let with = |changes: &Value, max_age: Option<u32>, fresh: bool| {
            check(verified(changes), &ExpectedIdToken { max_age, fresh, ..expected(&issuer) }, &mut Vec::new()).map_err(|why| why.name())
        };
        assert!(with(&json!({"auth_time": NOW - 300}), Some(300), false).is_ok());
        assert_eq!(with(&json!({"auth_time": NOW - 361}), Some(300), false).expect_err("old"), "authentication-too-old");
        assert_eq!(with(&json!({"auth_time": null}), Some(300), false).expect_err("unsaid"), "id-token-auth-time");
        assert_eq!(with(&json!({"auth_time": null}), None, true).expect_err("unsaid"), "id-token-auth-time");
        assert_eq!(with(&json!({"auth_time": NOW - 91}), None, true).expect_err("old"), "authentication-too-old");
        assert!(with(&json!({"auth_time": NOW - 90}), None, true).is_ok());
    }

    #[test]
    fn methods_are_a_few_short_words() {
        let amr = |amr: Value| checked(&json!({ "amr": amr })).expect("good").amr;
        assert_eq!(amr(json!(["pwd", "otp", "urn:example:x"])), ["pwd", "otp", "urn:example:x"]);
        let long = "x".repeat(65);
        for odd in [json!("pwd"), json!({}), json!(null), json!([7, "", "a b", "a\n", long])] {
            assert!(amr(odd.clone()).is_empty(), "{odd}");
        }
        assert_eq!(amr(json!(vec!["pwd"; 100])).len(), METHODS);
    }

    #[test]
    fn the_context_is_one_of_those_that_were_asked_for() {
        let issuer = IssuerRule::Exact(ISSUER.to_owned());
        let with = |changes: &Value, contexts: &[&str]| {
            let contexts: Vec<String> = contexts.iter().map(|context| (*context).to_owned()).collect();
            let expected = ExpectedIdToken { contexts: &contexts, ..expected(&issuer) };
            check(verified(changes), &expected, &mut Vec::new()).map(|facts| facts.acr).map_err(|why| why.name())
        };
        assert_eq!(with(&json!({}), &["higher", "high"]), Ok(Some("high".to_owned())));
        assert_eq!(with(&json!({"acr": null}), &[]), Ok(None));
        for acr in [json!("low"), json!("higher high"), json!(["high"]), json!(null)] {
            assert_eq!(with(&json!({ "acr": acr }), &["high"]), Err("id-token-acr"), "{acr}");
        }
    }

    #[test]
    fn neither_none_nor_macs_come_from_what_a_provider_announces() {
        use ClientSigningAlg as Alg;
        assert_eq!(algorithms(&[Alg::None, Alg::HS256, Alg::ES256]), [Alg::ES256]);
        assert_eq!(algorithms(&[Alg::None]), [Alg::RS256]);
        assert_eq!(algorithms(&[]), [Alg::RS256]);
    }
}
