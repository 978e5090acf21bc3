//! The `claims` parameter (OpenID Connect Core 5.5): claims that are asked one by one, whatever the scopes.
//!
//! What an application may see at all is its mapping table's matter: nothing is given here that is not released. Claims
//! with a language tag (`family_name#ja`) are not known here and therefore ignored, as `claims_locales` is.

use super::claims::{Released, is_reserved, scope_of};
use super::client::ClientFacts;
use crate::error::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Claims that a request may name for one place.
const MOST_CLAIMS: usize = 100;
/// Values that it may name for one claim.
const MOST_VALUES: usize = 50;

/// What is asked, by where it shall be given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimsRequest {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub id_token: Vec<AskedClaim>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub userinfo: Vec<AskedClaim>,
}

/// One claim that is asked by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AskedClaim {
    pub name: String,
    /// The application says that it cannot do without.
    #[serde(default, skip_serializing_if = "is_false")]
    pub essential: bool,
    /// The values that would do; empty: any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<Value>,
}

/// What `acr` shall be (Core 5.5.1.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AskedAcr {
    pub values: Vec<String>,
    /// A login that has none of them has failed.
    pub essential: bool,
}

#[derive(Deserialize)]
struct Written {
    #[serde(default)]
    id_token: Option<Map<String, Value>>,
    #[serde(default)]
    userinfo: Option<Map<String, Value>>,
}

impl ClaimsRequest {
    /// Reads the parameter's JSON. Members that are not known are ignored.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidRequest`] for what the standard does not describe.
    pub fn parse(text: &str) -> Result<Self> {
        let refuse = |_| refuse("claims must be a JSON object with the members id_token and userinfo");
        serde_json::from_str::<Map<String, Value>>(text).map_err(refuse)?;
        let written: Written = serde_json::from_str(text).map_err(refuse)?;
        Ok(Self { id_token: asked(written.id_token.unwrap_or_default())?, userinfo: asked(written.userinfo.unwrap_or_default())? })
    }

    pub fn is_empty(&self) -> bool {
        self.id_token.is_empty() && self.userinfo.is_empty()
    }

    /// Core 5.5.1: may the answer be about this subject? A value of `sub` asks for one person and no other.
    pub fn accepts_subject(&self, subject: &str) -> bool {
        self.id_token.iter().chain(&self.userinfo).filter(|asked| asked.name == "sub").all(|asked| asked.accepts(&subject.into()))
    }

    /// Core 5.5.1.1: the `acr` values that are asked for the ID token, if any are named.
    pub fn acr(&self) -> Option<AskedAcr> {
        let asked = self.id_token.iter().find(|asked| asked.name == "acr")?;
        let values: Vec<String> = asked.values.iter().filter_map(Value::as_str).map(str::to_owned).collect();
        (!values.is_empty()).then_some(AskedAcr { values, essential: asked.essential })
    }
}

impl AskedClaim {
    /// Does this value do?
    fn accepts(&self, value: &Value) -> bool {
        self.values.is_empty() || self.values.contains(value)
    }
}

/// Those of the released claims that are asked by name. The scope of a claim need not be asked, but the client must be
/// registered for it: what it may not have by scope, it does not get by name either.
pub fn select(asked: &[AskedClaim], released: &[Released], client: &ClientFacts) -> Map<String, Value> {
    let mut claims = Map::new();
    for asked in asked.iter().filter(|asked| !is_reserved(&asked.name)) {
        let allowed = |claim: &&Released| {
            let needed = claim.scope.as_deref().or_else(|| scope_of(&claim.name));
            claim.name == asked.name && needed.is_none_or(|scope| client.may_have_scope(scope))
        };
        // Of equal names the first counts, as with scopes.
        if let Some(claim) = released.iter().find(allowed).filter(|claim| asked.accepts(&claim.value)) {
            claims.insert(claim.name.clone(), claim.value.clone());
        }
    }
    claims
}

fn asked(members: Map<String, Value>) -> Result<Vec<AskedClaim>> {
    if members.len() > MOST_CLAIMS {
        return Err(refuse("claims names too many claims"));
    }
    // Core 5.2: a tagged claim is another claim than the one without a tag, and none of ours.
    members.into_iter().filter(|(name, _)| !name.contains('#')).map(|(name, how)| asked_claim(name, how)).collect()
}

/// Core 5.5.1: null, or an object with `essential`, `value`, `values`, and what is not understood.
fn asked_claim(name: String, how: Value) -> Result<AskedClaim> {
    let mut how = match how {
        Value::Null => return Ok(AskedClaim { name, essential: false, values: Vec::new() }),
        Value::Object(how) => how,
        _ => return Err(refuse("claims asks for a claim by something that is neither null nor an object")),
    };
    let essential = match how.get("essential") {
        None | Some(Value::Null) => false,
        Some(Value::Bool(essential)) => *essential,
        Some(_) => return Err(refuse("claims has a member essential that is no truth value")),
    };
    let mut values = match how.shift_remove("values") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(values)) if values.len() <= MOST_VALUES => values,
        Some(_) => return Err(refuse("claims has a member values that is no list, or one that is too long")),
    };
    values.extend(how.shift_remove("value").filter(|value| !value.is_null()));
    Ok(AskedClaim { name, essential, values })
}

fn refuse(why: &'static str) -> Error {
    Error::new(ErrorKind::InvalidRequest, why)
}

const fn is_false(value: &bool) -> bool {
    !*value
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oidc::testing::{self, client};
    use serde_json::json;

    fn parse(value: &Value) -> ClaimsRequest {
        ClaimsRequest::parse(&value.to_string()).expect("in order")
    }

    fn released(name: &str, value: Value, scope: Option<&str>) -> Released {
        Released { name: name.to_owned(), value, scope: scope.map(str::to_owned) }
    }

    #[test]
    fn reads_every_form_of_the_standard() {
        let request = parse(&json!({
            "userinfo": {"email": {"essential": true, "other": 1}, "picture": null, "name#de": null},
            "id_token": {"auth_time": {"essential": true}, "acr": {"values": ["a", "b"]}, "department": {"value": "x"}},
            "unknown": [1]
        }));
        let names = |asked: &[AskedClaim]| asked.iter().map(|asked| asked.name.clone()).collect::<Vec<_>>();
        assert_eq!(names(&request.userinfo), ["email", "picture"], "a tagged claim is none of ours");
        assert_eq!(names(&request.id_token), ["auth_time", "acr", "department"]);
        assert!(request.userinfo[0].essential && !request.userinfo[1].essential);
        assert_eq!(request.id_token[2].values, [json!("x")]);
        assert_eq!(request.acr(), Some(AskedAcr { values: vec!["a".into(), "b".into()], essential: false }));
        let stored = serde_json::to_string(&request).expect("stored");
        assert_eq!(serde_json::from_str::<ClaimsRequest>(&stored).expect("read"), request);
    }

    #[test]
    fn what_the_standard_does_not_describe_is_refused() {
        let many: Map<String, Value> = (0..=MOST_CLAIMS).map(|n| (format!("c{n}"), Value::Null)).collect();
        for value in [
            json!([]),
            json!({"id_token": []}),
            json!({"userinfo": {"email": true}}),
            json!({"userinfo": {"email": "x"}}),
            json!({"userinfo": {"email": {"essential": "yes"}}}),
            json!({"userinfo": {"email": {"values": "x"}}}),
            json!({"userinfo": {"email": {"values": vec![1; MOST_VALUES + 1]}}}),
            json!({"userinfo": many}),
        ] {
            let error = ClaimsRequest::parse(&value.to_string()).expect_err("refused");
            assert_eq!(error.kind, ErrorKind::InvalidRequest, "{value}");
        }
        assert!(ClaimsRequest::parse(r#"{"id_token":{},"id_token":{}}"#).is_err());
        assert!(parse(&json!({"id_token": null})).is_empty());
    }

    #[test]
    fn a_subject_that_is_asked_is_the_only_one_that_will_do() {
        for (request, jane) in [
            (json!({}), true),
            (json!({"id_token": {"sub": null}}), true),
            (json!({"id_token": {"sub": {"value": "jane"}}}), true),
            (json!({"id_token": {"sub": {"values": ["john", "jane"]}}}), true),
            (json!({"id_token": {"sub": {"value": "john"}}}), false),
            (json!({"userinfo": {"sub": {"value": "john"}}}), false),
            (json!({"id_token": {"sub": {"value": "jane"}}, "userinfo": {"sub": {"value": "john"}}}), false),
            (json!({"id_token": {"sub": {"value": ["jane"]}}}), false),
        ] {
            assert_eq!(parse(&request).accepts_subject("jane"), jane, "{request}");
        }
    }

    #[test]
    fn claims_are_given_by_name_whatever_the_scopes_and_never_beyond_the_table() {
        let table = [
            released("email", json!("jane@acme.example"), None),
            released("department", json!("x"), None),
            released("department", json!("second"), None),
            released("salary", json!(1), Some("hr")),
            released("sub", json!("forged"), None),
        ];
        let give = |asked: &Value, client: &ClientFacts| {
            let request = parse(&json!({ "userinfo": asked }));
            Value::Object(select(&request.userinfo, &table, client))
        };
        let usual = client();
        assert_eq!(give(&json!({"email": null, "phone_number": {"essential": true}}), &usual), json!({"email": "jane@acme.example"}));
        assert_eq!(give(&json!({"department": null, "sub": null}), &usual), json!({"department": "x"}));
        // A value that is asked is given as it is, or not at all.
        assert_eq!(
            give(&json!({"email": {"value": "john@acme.example"}, "department": {"values": ["y", "x"]}}), &usual),
            json!({"department": "x"})
        );
        // What needs a scope that the client may not have, it does not get by name.
        assert_eq!(give(&json!({"salary": null}), &usual), json!({}));
        let with_hr = ClientFacts { scopes: Some(vec!["openid".into(), "hr".into()]), ..client() };
        assert_eq!(give(&json!({"salary": null, "email": null}), &with_hr), json!({"salary": 1}));
    }

    #[test]
    fn hostile_octets_never_panic() {
        for octets in testing::hostile(5_000) {
            let _ = ClaimsRequest::parse(&String::from_utf8_lossy(&octets));
        }
    }
}
