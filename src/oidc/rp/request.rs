//! The authentication request (Core 3.1.2.1), with PKCE by S256 always (RFC 7636, RFC 9700 2.1.1).

use crate::oidc::pkce;
use serde_json::{Map, Value};
use url::Url;

/// What the provider is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuthenticationRequest<'a> {
    pub client_id: &'a str,
    pub redirect_uri: &'a str,
    pub scopes: &'a [String],
    pub state: &'a str,
    pub nonce: &'a str,
    /// Its S256 challenge is sent.
    pub code_verifier: &'a str,
    /// `form_post`, where the provider wants that.
    pub response_mode: Option<&'a str>,
    pub prompt: Option<&'a str>,
    /// Seconds.
    pub max_age: Option<u32>,
    pub acr_values: &'a [String],
    pub login_hint: Option<&'a str>,
    pub ui_locales: Option<&'a str>,
    /// What the operator adds; never one of the names above.
    pub more: &'a [(String, String)],
}

/// Names that no operator's parameter replaces.
pub const OWN: [&str; 11] = [
    "response_type",
    "client_id",
    "redirect_uri",
    "scope",
    "state",
    "nonce",
    "code_challenge",
    "code_challenge_method",
    "response_mode",
    "request",
    "request_uri",
];

impl AuthenticationRequest<'_> {
    /// In the order in which they are sent.
    pub fn parameters(&self) -> Vec<(String, String)> {
        let mut parameters: Vec<(String, String)> = Vec::new();
        let mut put = |name: &str, value: &str| parameters.push((name.to_owned(), value.to_owned()));
        put("response_type", "code");
        put("client_id", self.client_id);
        put("redirect_uri", self.redirect_uri);
        put("scope", &self.scopes.join(" "));
        put("state", self.state);
        put("nonce", self.nonce);
        put("code_challenge", &pkce::challenge_of(self.code_verifier));
        put("code_challenge_method", pkce::METHOD);
        let acr_values = (!self.acr_values.is_empty()).then(|| self.acr_values.join(" "));
        let max_age = self.max_age.map(|seconds| seconds.to_string());
        for (name, value) in [
            ("response_mode", self.response_mode),
            ("prompt", self.prompt),
            ("max_age", max_age.as_deref()),
            ("acr_values", acr_values.as_deref()),
            ("login_hint", self.login_hint),
            ("ui_locales", self.ui_locales),
        ] {
            if let Some(value) = value {
                put(name, value);
            }
        }
        // A login that nobody may notice stays one.
        let silent = self.prompt == Some("none");
        let is_ours = |name: &str| OWN.contains(&name) || (silent && name == "prompt");
        let more: Vec<_> = self.more.iter().filter(|(name, _)| !is_ours(name)).cloned().collect();
        // What the operator says of a parameter counts instead of what the login would have said.
        parameters.retain(|(name, _)| !more.iter().any(|(known, _)| known == name));
        parameters.extend(more);
        parameters
    }
}

/// What a request object says (Core 6.1, RFC 9101 4): the parameters, and for whom and until when they are meant.
/// `audience` is the provider's issuer; `life`: seconds.
pub fn object(parameters: &[(String, String)], audience: &str, now: i64, life: i64) -> Map<String, Value> {
    let value = |name: &str, text: &str| match (name, text.parse::<u32>()) {
        ("max_age", Ok(seconds)) => Value::from(seconds),
        _ => Value::from(text),
    };
    let mut claims: Map<String, Value> = parameters.iter().map(|(name, text)| (name.clone(), value(name, text))).collect();
    let issuer = claims.get("client_id").cloned().unwrap_or_default();
    claims.insert("iss".to_owned(), issuer);
    claims.insert("aud".to_owned(), audience.into());
    for (name, at) in [("iat", now), ("nbf", now), ("exp", now.saturating_add(life))] {
        claims.insert(name.to_owned(), at.into());
    }
    claims.insert("jti".to_owned(), crate::id::random_id().into());
    claims
}

/// The address that takes these parameters beside its own.
pub fn address(endpoint: &Url, parameters: &[(String, String)]) -> Url {
    let mut url = endpoint.clone();
    url.query_pairs_mut().extend_pairs(parameters);
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request<'a>(more: &'a [(String, String)]) -> AuthenticationRequest<'a> {
        AuthenticationRequest {
            client_id: "us",
            redirect_uri: "https://gw.example/cb",
            state: "s",
            nonce: "n",
            code_verifier: "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
            more,
            ..AuthenticationRequest::default()
        }
    }

    fn value(parameters: &[(String, String)], wanted: &str) -> Option<String> {
        let values: Vec<_> = parameters.iter().filter(|(name, _)| name == wanted).collect();
        assert!(values.len() < 2, "{wanted} twice");
        values.first().map(|(_, value)| value.clone())
    }

    #[test]
    fn the_challenge_is_that_of_rfc_7636_appendix_b() {
        let parameters = request(&[]).parameters();
        assert_eq!(value(&parameters, "code_challenge").as_deref(), Some("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"));
        assert_eq!(value(&parameters, "code_challenge_method").as_deref(), Some("S256"));
        assert_eq!(value(&parameters, "response_type").as_deref(), Some("code"));
        assert!(!parameters.iter().any(|(_, value)| value.contains("dBjf")), "the verifier stays here");
    }

    #[test]
    fn operators_add_parameters_but_replace_none_that_protect_the_login() {
        let more: Vec<(String, String)> =
            [("hd", "acme.example"), ("state", "mine"), ("nonce", "mine"), ("redirect_uri", "x"), ("prompt", "consent")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into();
        let parameters = AuthenticationRequest { prompt: Some("login"), ..request(&more) }.parameters();
        assert_eq!(value(&parameters, "state").as_deref(), Some("s"));
        assert_eq!(value(&parameters, "nonce").as_deref(), Some("n"));
        assert_eq!(value(&parameters, "redirect_uri").as_deref(), Some("https://gw.example/cb"));
        assert_eq!(value(&parameters, "hd").as_deref(), Some("acme.example"));
        assert_eq!(value(&parameters, "prompt").as_deref(), Some("consent"));
        // Where nobody may be asked, nobody is.
        let silent = AuthenticationRequest { prompt: Some("none"), ..request(&more) }.parameters();
        assert_eq!(value(&silent, "prompt").as_deref(), Some("none"));
        assert_eq!(silent.iter().filter(|(name, _)| name == "prompt").count(), 1);
    }

    #[test]
    fn a_request_object_says_everything_and_for_whom() {
        let parameters = AuthenticationRequest { max_age: Some(600), ..request(&[]) }.parameters();
        let claims = object(&parameters, "https://op.example", 1000, 300);
        let said = |name: &str| claims.get(name).cloned().unwrap_or_default();
        assert_eq!((said("iss"), said("client_id"), said("aud")), ("us".into(), "us".into(), "https://op.example".into()));
        assert_eq!((said("iat"), said("exp"), said("max_age")), (1000.into(), 1300.into(), 600.into()));
        assert!(parameters.iter().all(|(name, _)| claims.contains_key(name)), "{claims:?}");
        assert!(said("jti").as_str().is_some_and(|jti| jti.len() > 16));
    }

    #[test]
    fn an_endpoint_keeps_its_own_parameters() {
        let endpoint = Url::parse("https://op.example/auth?tenant=a%20b").expect("a URL");
        let url = address(&endpoint, &[("scope".to_owned(), "openid a&b".to_owned())]);
        assert_eq!(url.as_str(), "https://op.example/auth?tenant=a+b&scope=openid+a%26b".replace("a+b&", "a%20b&"));
    }
}
