//! Claims: which of the released ones a scope gives, and the ID token and userinfo made of them.
//!
//! What is released at all is the application's mapping table's matter; it comes in as a list of [`Released`].

use super::scope::Scopes;
use crate::clock::Timestamp;
use serde_json::{Map, Value};

/// A claim that the application's mapping table releases.
#[derive(Clone, Debug, PartialEq)]
pub struct Released {
    pub name: String,
    pub value: Value,
    /// The scope that it needs by its mapping row. `None`: the standard one of its name, or none at all.
    pub scope: Option<String>,
}

/// Core 5.4: the scopes that ask for standard claims; `groups` by custom.
const CLAIMS_OF_SCOPES: &[(&str, &[&str])] = &[
    (
        "profile",
        &[
            "name",
            "family_name",
            "given_name",
            "middle_name",
            "nickname",
            "preferred_username",
            "profile",
            "picture",
            "website",
            "gender",
            "birthdate",
            "zoneinfo",
            "locale",
            "updated_at",
        ],
    ),
    ("email", &["email", "email_verified"]),
    ("address", &["address"]),
    ("phone", &["phone_number", "phone_number_verified"]),
    ("groups", &["groups"]),
];

/// What the protocol says about itself. No mapping can.
const RESERVED: &[&str] =
    &["iss", "sub", "aud", "exp", "iat", "nbf", "jti", "auth_time", "nonce", "acr", "amr", "azp", "at_hash", "c_hash", "s_hash", "sid"];

/// The claims that `scopes` give. Reserved names never pass; of equal names the first wins.
pub fn filter_by_scope(released: &[Released], scopes: &Scopes) -> Map<String, Value> {
    let mut claims = Map::new();
    for claim in released.iter().filter(|claim| !is_reserved(&claim.name)) {
        let needed = claim.scope.as_deref().or_else(|| scope_of(&claim.name));
        if needed.is_none_or(|scope| scopes.contains(scope)) && !claims.contains_key(&claim.name) {
            claims.insert(claim.name.clone(), claim.value.clone());
        }
    }
    claims
}

/// The scope that asks for a standard claim.
pub fn scope_of(claim: &str) -> Option<&'static str> {
    CLAIMS_OF_SCOPES.iter().find(|(_, claims)| claims.contains(&claim)).map(|(scope, _)| *scope)
}

pub fn is_reserved(claim: &str) -> bool {
    RESERVED.contains(&claim)
}

/// Every claim that a standard scope can give, for discovery.
pub fn standard_claims() -> impl Iterator<Item = &'static str> {
    CLAIMS_OF_SCOPES.iter().flat_map(|(_, claims)| claims.iter().copied())
}

/// Core 5.3.2: the userinfo answer; `sub` always, and always the ID token's.
pub fn userinfo(subject: &str, released: &Map<String, Value>) -> Map<String, Value> {
    let mut claims = Map::new();
    claims.insert("sub".to_owned(), subject.into());
    add_released(&mut claims, released);
    claims
}

/// What an ID token says of the login (Core 2).
#[derive(Clone, Debug)]
pub struct IdTokenClaims<'a> {
    pub issuer: &'a str,
    pub subject: &'a str,
    /// The client.
    pub audience: &'a str,
    pub issued_at: Timestamp,
    pub expires_at: Timestamp,
    pub auth_time: Option<Timestamp>,
    pub nonce: Option<&'a str>,
    pub acr: Option<&'a str>,
    pub amr: &'a [String],
    pub azp: Option<&'a str>,
    /// By [`IdTokenSigner::half_hash`](super::jose::IdTokenSigner::half_hash) of the access token.
    pub at_hash: Option<String>,
    /// The same of the code (Core 3.3.2.11), and of `state` (FAPI 1.0 part 2 5.2.2.1), where they travel beside the token.
    pub c_hash: Option<String>,
    pub s_hash: Option<String>,
    pub sid: Option<&'a str>,
}

impl IdTokenClaims<'_> {
    /// The claims set, with what the scopes release.
    pub fn to_map(&self, released: &Map<String, Value>) -> Map<String, Value> {
        let mut claims = Map::new();
        let mut put = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                claims.insert(name.to_owned(), value);
            }
        };
        put("iss", Some(self.issuer.into()));
        put("sub", Some(self.subject.into()));
        put("aud", Some(self.audience.into()));
        put("exp", Some(self.expires_at.seconds().into()));
        put("iat", Some(self.issued_at.seconds().into()));
        put("auth_time", self.auth_time.map(|time| time.seconds().into()));
        put("nonce", self.nonce.map(Value::from));
        put("acr", self.acr.map(Value::from));
        put("amr", (!self.amr.is_empty()).then(|| self.amr.into()));
        put("azp", self.azp.map(Value::from));
        put("at_hash", self.at_hash.clone().map(Value::from));
        put("c_hash", self.c_hash.clone().map(Value::from));
        put("s_hash", self.s_hash.clone().map(Value::from));
        put("sid", self.sid.map(Value::from));
        add_released(&mut claims, released);
        claims
    }
}

fn add_released(claims: &mut Map<String, Value>, released: &Map<String, Value>) {
    for (name, value) in released.iter().filter(|(name, _)| !is_reserved(name)) {
        claims.insert(name.clone(), value.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn released(name: &str, value: Value, scope: Option<&str>) -> Released {
        Released { name: name.to_owned(), value, scope: scope.map(str::to_owned) }
    }

    fn names(released: &[Released], scopes: &str) -> Vec<String> {
        filter_by_scope(released, &Scopes::parse(scopes).expect("scopes")).keys().cloned().collect()
    }

    #[test]
    fn each_claim_needs_its_scope() {
        let all = [
            released("name", json!("Jane"), None),
            released("email", json!("jane@acme.example"), None),
            released("groups", json!(["staff"]), None),
            released("address", json!({}), None),
            released("phone_number", json!("+1"), None),
            released("department", json!("x"), None),
            released("salary", json!(1), Some("hr")),
            released("given_name", json!("Jane"), Some("names")),
        ];
        assert_eq!(names(&all, "openid"), ["department"]);
        assert_eq!(names(&all, "openid profile"), ["name", "department"]);
        assert_eq!(names(&all, "email hr"), ["email", "department", "salary"]);
        assert_eq!(names(&all, "groups address phone names"), ["groups", "address", "phone_number", "department", "given_name"]);
    }

    #[test]
    fn of_equal_names_the_first_wins() {
        let twice = [released("a", json!(1), None), released("a", json!(2), None)];
        assert_eq!(filter_by_scope(&twice, &Scopes::default()), Map::from_iter([("a".to_owned(), json!(1))]));
    }

    #[test]
    fn no_mapping_can_speak_for_the_protocol() {
        let hostile: Vec<Released> = RESERVED.iter().map(|name| released(name, json!("forged"), None)).collect();
        assert!(names(&hostile, "openid profile email").is_empty());
        let forged: Map<String, Value> = hostile.into_iter().map(|claim| (claim.name, claim.value)).collect();
        assert_eq!(userinfo("jane", &forged), Map::from_iter([("sub".to_owned(), json!("jane"))]));
        let token = id_token().to_map(&forged);
        assert!(token.values().all(|value| value != "forged"), "{token:?}");
    }

    fn id_token() -> IdTokenClaims<'static> {
        IdTokenClaims {
            issuer: "https://login.example.org",
            subject: "jane",
            audience: "notes",
            issued_at: Timestamp::from_seconds(1000),
            expires_at: Timestamp::from_seconds(1300),
            auth_time: Some(Timestamp::from_millis(999_999)),
            nonce: Some("n"),
            acr: None,
            amr: &[],
            azp: None,
            at_hash: Some("h".to_owned()),
            c_hash: None,
            s_hash: None,
            sid: Some("s"),
        }
    }

    #[test]
    fn an_id_token_says_what_the_login_was() {
        let extra = Map::from_iter([("email".to_owned(), json!("jane@acme.example"))]);
        let expected = json!({
            "iss": "https://login.example.org", "sub": "jane", "aud": "notes", "exp": 1300, "iat": 1000, "auth_time": 999,
            "nonce": "n", "at_hash": "h", "sid": "s", "email": "jane@acme.example"
        });
        assert_eq!(Value::Object(id_token().to_map(&extra)), expected);
    }
}
