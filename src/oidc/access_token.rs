//! What an access token is bound to, and what it says where it is a JWT (RFC 9068).

use super::jose::IdTokenSigner;
use super::opaque::AccessToken;
use super::scope::{OPENID, Scopes};
use crate::clock::Timestamp;
use crate::error::Result;
use crate::id;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// The keys to which a token is bound (RFC 7800 3); none: whoever bears it may use it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyConfirmation {
    /// RFC 9449 6: thumbprint of a key that proofs are signed with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jkt: Option<String>,
    /// RFC 8705 3.1: thumbprint of a certificate.
    #[serde(rename = "x5t#S256", default, skip_serializing_if = "Option::is_none")]
    pub x5t_s256: Option<String>,
}

impl KeyConfirmation {
    pub const fn is_none(&self) -> bool {
        self.jkt.is_none() && self.x5t_s256.is_none()
    }

    /// RFC 6749 5.1 `token_type`.
    pub const fn token_type(&self) -> &'static str {
        if self.jkt.is_some() { "DPoP" } else { "Bearer" }
    }

    /// The claim `cnf`.
    pub fn claim(&self) -> Option<Value> {
        let mut members = Map::new();
        members.extend(self.jkt.as_ref().map(|jkt| ("jkt".to_owned(), jkt.as_str().into())));
        members.extend(self.x5t_s256.as_ref().map(|x5t| ("x5t#S256".to_owned(), x5t.as_str().into())));
        (!members.is_empty()).then_some(Value::Object(members))
    }
}

/// In which words an access token says what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JwtDialect {
    /// RFC 9068.
    Rfc9068,
    /// Auth0's own, as its older libraries expect.
    Auth0,
}

/// What goes into a JWT access token.
#[derive(Clone, Copy, Debug)]
pub struct AccessTokenClaims<'a> {
    pub issuer: &'a str,
    /// The person, or the program itself.
    pub subject: &'a str,
    /// Identifier of the resource server.
    pub audience: &'a str,
    /// Address of UserInfo, which takes it too if it has the scope `openid`.
    pub userinfo: &'a str,
    pub client_id: &'a str,
    /// The token is the program's own.
    pub own: bool,
    pub scopes: &'a Scopes,
    pub issued_at: Timestamp,
    pub expires_at: Timestamp,
    pub auth_time: Option<Timestamp>,
    pub acr: Option<&'a str>,
    pub confirmation: &'a KeyConfirmation,
    /// Who acts for the subject (RFC 8693 4.1).
    pub act: Option<&'a Value>,
    /// Claims that scripts have added; they replace none of ours.
    pub added: &'a Map<String, Value>,
}

impl AccessTokenClaims<'_> {
    /// The token. Its `jti` begins with the grant id: by it and the digest of the whole text its record is found.
    pub fn sign(&self, grant_id: &str, dialect: JwtDialect, signer: &IdTokenSigner) -> Result<AccessToken> {
        let typ = match dialect {
            JwtDialect::Rfc9068 => "at+jwt",
            JwtDialect::Auth0 => "JWT",
        };
        let jti = AccessToken::jti(grant_id, &id::random_id());
        AccessToken::from_jwt(signer.of_type(typ)?.sign(&self.to_map(jti, dialect))?)
    }

    fn to_map(self, jti: String, dialect: JwtDialect) -> Map<String, Value> {
        let mut claims = Map::new();
        let mut put = |name: &str, value: Value| drop(claims.insert(name.to_owned(), value));
        put("iss", self.issuer.into());
        put(
            "sub",
            if self.own && dialect == JwtDialect::Auth0 { format!("{}@clients", self.client_id) } else { self.subject.to_owned() }.into(),
        );
        put("aud", if self.scopes.contains(OPENID) { json!([self.audience, self.userinfo]) } else { self.audience.into() });
        match dialect {
            JwtDialect::Rfc9068 => put("client_id", self.client_id.into()),
            JwtDialect::Auth0 => put("azp", self.client_id.into()),
        }
        if self.own && dialect == JwtDialect::Auth0 {
            put("gty", "client-credentials".into());
        }
        put("exp", self.expires_at.seconds().into());
        put("iat", self.issued_at.seconds().into());
        put("jti", jti.into());
        if !self.scopes.is_empty() {
            put("scope", self.scopes.to_string().into());
        }
        if let Some(auth_time) = self.auth_time {
            put("auth_time", auth_time.seconds().into());
        }
        if let Some(acr) = self.acr {
            put("acr", acr.into());
        }
        if let Some(cnf) = self.confirmation.claim() {
            put("cnf", cnf);
        }
        if let Some(act) = self.act {
            put("act", act.clone());
        }
        for (name, value) in self.added {
            if !is_ours(name) && !claims.contains_key(name) {
                claims.insert(name.clone(), value.clone());
            }
        }
        claims
    }
}

/// Names that mean something to whoever checks a token or looks it up.
pub fn is_ours(name: &str) -> bool {
    const OURS: &[&str] = &[
        "iss",
        "sub",
        "aud",
        "exp",
        "nbf",
        "iat",
        "jti",
        "client_id",
        "azp",
        "gty",
        "scope",
        "auth_time",
        "acr",
        "amr",
        "cnf",
        "act",
        "may_act",
        "active",
        "token_type",
        "username",
        "sid",
    ];
    OURS.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::{KeyKind, PrivateKey};

    const GRANT: &str = "00112233445566778899aabbccddeeff";

    fn claims<'a>(scopes: &'a Scopes, confirmation: &'a KeyConfirmation, added: &'a Map<String, Value>) -> AccessTokenClaims<'a> {
        AccessTokenClaims {
            issuer: "https://login.example.org",
            subject: "samlp|acme|jane",
            audience: "https://api.example/",
            userinfo: "https://login.example.org/userinfo",
            client_id: "notes",
            own: false,
            scopes,
            issued_at: Timestamp::from_seconds(100),
            expires_at: Timestamp::from_seconds(200),
            auth_time: Some(Timestamp::from_seconds(90)),
            acr: Some("urn:mfa"),
            confirmation,
            act: None,
            added,
        }
    }

    #[test]
    fn a_token_says_what_rfc_9068_asks_for() {
        let scopes = Scopes::parse("read:notes").expect("scopes");
        let bound = KeyConfirmation { jkt: Some("k".to_owned()), x5t_s256: None };
        let added = json!({ "https://acme/role": "x", "sub": "root", "exp": 9, "may_act": {}, "nbf": 1 });
        let map = claims(&scopes, &bound, added.as_object().expect("an object")).to_map("j".to_owned(), JwtDialect::Rfc9068);
        let expected = json!({
            "iss": "https://login.example.org", "sub": "samlp|acme|jane", "aud": "https://api.example/", "client_id": "notes",
            "exp": 200, "iat": 100, "jti": "j", "scope": "read:notes", "auth_time": 90, "acr": "urn:mfa", "cnf": { "jkt": "k" },
            "https://acme/role": "x",
        });
        assert_eq!(Value::Object(map), expected);
    }

    #[test]
    fn userinfo_is_an_audience_of_tokens_with_openid_alone() {
        let (openid, none, added) = (Scopes::parse("openid a").expect("scopes"), KeyConfirmation::default(), Map::new());
        let map = claims(&openid, &none, &added).to_map("j".to_owned(), JwtDialect::Rfc9068);
        assert_eq!(map["aud"], json!(["https://api.example/", "https://login.example.org/userinfo"]));
    }

    #[test]
    fn the_other_dialect_has_its_own_words() {
        let (scopes, none, added) = (Scopes::default(), KeyConfirmation::default(), Map::new());
        let own = AccessTokenClaims { own: true, auth_time: None, acr: None, ..claims(&scopes, &none, &added) };
        let map = own.to_map("j".to_owned(), JwtDialect::Auth0);
        assert_eq!((&map["azp"], &map["sub"], &map["gty"]), (&json!("notes"), &json!("notes@clients"), &json!("client-credentials")));
        assert!(!map.contains_key("client_id") && !map.contains_key("scope"));
    }

    #[test]
    fn a_jwt_leads_to_its_grant_and_prints_nothing() {
        let (scopes, none, added) = (Scopes::default(), KeyConfirmation::default(), Map::new());
        let key = PrivateKey::generate(KeyKind::EcP256).expect("a key");
        let signer = IdTokenSigner::new(&key, crate::oidc::SigningAlg::ES256).expect("a signer");
        let token = claims(&scopes, &none, &added).sign(GRANT, JwtDialect::Rfc9068, &signer).expect("signed");
        let read = AccessToken::parse(token.expose()).expect("ours");
        assert_eq!((read.grant_id(), read.digest()), (GRANT, token.digest()));
        let header: Value =
            serde_json::from_slice(&id::from_base64url(token.expose().split('.').next().expect("a header")).expect("base64"))
                .expect("JSON");
        assert_eq!((&header["typ"], &header["alg"]), (&json!("at+jwt"), &json!("ES256")));
        assert!(!format!("{read:?}").contains(token.expose()));
    }
}
