//! Provider metadata (OpenID Connect Discovery 3, RFC 8414 2). It lists what works, and nothing else.

use super::claims::standard_claims;
use super::names::{GrantType, Prompt, ResponseMode, ResponseType, SigningAlg, SubjectType, TokenEndpointAuthMethod};
use super::pkce;
use super::scope::STANDARD_SCOPES;
use serde::Serialize;

/// Paths of the endpoints below the issuer's base URL.
pub mod path {
    pub const AUTHORIZATION: &str = "/authorize";
    pub const TOKEN: &str = "/oauth/token";
    pub const USERINFO: &str = "/userinfo";
    pub const JWKS: &str = "/.well-known/jwks.json";
    pub const END_SESSION: &str = "/oidc/logout";
    pub const CHECK_SESSION: &str = "/oidc/session";
    pub const OPENID_CONFIGURATION: &str = "/.well-known/openid-configuration";
    pub const OAUTH_AUTHORIZATION_SERVER: &str = "/.well-known/oauth-authorization-server";
}

/// The document of both well-known paths: RFC 8414 lets OpenID members stand in it.
#[derive(Clone, Debug, Serialize)]
pub struct ProviderMetadata {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    userinfo_endpoint: String,
    jwks_uri: String,
    end_session_endpoint: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    check_session_iframe: Option<String>,
    scopes_supported: &'static [&'static str],
    response_types_supported: &'static [ResponseType],
    response_modes_supported: &'static [ResponseMode],
    grant_types_supported: &'static [GrantType],
    subject_types_supported: &'static [SubjectType],
    id_token_signing_alg_values_supported: &'static [SigningAlg],
    token_endpoint_auth_methods_supported: &'static [TokenEndpointAuthMethod],
    prompt_values_supported: &'static [Prompt],
    claim_types_supported: &'static [&'static str],
    claims_supported: Vec<&'static str>,
    code_challenge_methods_supported: &'static [&'static str],
    authorization_response_iss_parameter_supported: bool,
    claims_parameter_supported: bool,
    request_parameter_supported: bool,
    /// Stated because its default is true (Discovery 3).
    request_uri_parameter_supported: bool,
    backchannel_logout_supported: bool,
    backchannel_logout_session_supported: bool,
    frontchannel_logout_supported: bool,
    frontchannel_logout_session_supported: bool,
}

impl ProviderMetadata {
    /// `issuer` as configured; endpoints stand below it whether or not it ends with a slash.
    pub fn new(issuer: &str) -> Self {
        let endpoint = |path: &str| format!("{}{path}", issuer.trim_end_matches('/'));
        Self {
            issuer: issuer.to_owned(),
            authorization_endpoint: endpoint(path::AUTHORIZATION),
            token_endpoint: endpoint(path::TOKEN),
            userinfo_endpoint: endpoint(path::USERINFO),
            jwks_uri: endpoint(path::JWKS),
            end_session_endpoint: endpoint(path::END_SESSION),
            check_session_iframe: None,
            scopes_supported: STANDARD_SCOPES,
            response_types_supported: ResponseType::SERVED,
            response_modes_supported: ResponseMode::ALL,
            grant_types_supported: GrantType::SERVED,
            subject_types_supported: SubjectType::ALL,
            id_token_signing_alg_values_supported: SigningAlg::ALL,
            token_endpoint_auth_methods_supported: TokenEndpointAuthMethod::SERVED,
            // consent is understood, and asks nothing of anybody yet: all applications are first-party.
            prompt_values_supported: &[Prompt::None, Prompt::Login, Prompt::SelectAccount],
            claim_types_supported: &["normal"],
            claims_supported: ["sub", "iss", "aud", "exp", "iat", "auth_time", "nonce", "acr", "sid"]
                .into_iter()
                .chain(standard_claims())
                .collect(),
            code_challenge_methods_supported: &[pkce::METHOD],
            authorization_response_iss_parameter_supported: true,
            claims_parameter_supported: true,
            request_parameter_supported: false,
            request_uri_parameter_supported: false,
            backchannel_logout_supported: true,
            backchannel_logout_session_supported: true,
            frontchannel_logout_supported: true,
            frontchannel_logout_session_supported: true,
        }
    }

    /// Session Management 1.0, 3.3: the frame is named where there is one.
    #[must_use]
    pub fn with_session_management(self, on: bool) -> Self {
        let frame = format!("{}{}", self.issuer.trim_end_matches('/'), path::CHECK_SESSION);
        Self { check_session_iframe: on.then_some(frame), ..self }
    }

    /// Build it once, serve it often.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn names_the_frame_of_session_management_only_where_it_is_on() {
        let read = |on: bool| -> Value {
            serde_json::from_str(&ProviderMetadata::new("https://login.example.org").with_session_management(on).to_json()).expect("json")
        };
        assert_eq!(read(true)["check_session_iframe"], "https://login.example.org/oidc/session");
        assert!(read(false).get("check_session_iframe").is_none());
    }

    #[test]
    fn lists_what_works_and_nothing_else() {
        for (issuer, base) in
            [("https://login.example.org", "https://login.example.org"), ("https://login.example.org/", "https://login.example.org")]
        {
            let metadata: Value = serde_json::from_str(&ProviderMetadata::new(issuer).to_json()).expect("json");
            let expected = json!({
                "issuer": issuer,
                "authorization_endpoint": format!("{base}/authorize"),
                "token_endpoint": format!("{base}/oauth/token"),
                "userinfo_endpoint": format!("{base}/userinfo"),
                "jwks_uri": format!("{base}/.well-known/jwks.json"),
                "end_session_endpoint": format!("{base}/oidc/logout"),
                "scopes_supported": ["openid", "profile", "email", "address", "phone", "groups", "offline_access"],
                "response_types_supported": ["code", "id_token", "id_token token", "code id_token", "code token", "code id_token token"],
                "response_modes_supported": ["query", "fragment", "form_post"],
                "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials", "implicit"],
                "subject_types_supported": ["public", "pairwise"],
                "id_token_signing_alg_values_supported": ["RS256", "PS256", "ES256", "ES384", "EdDSA"],
                "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
                "prompt_values_supported": ["none", "login", "select_account"],
                "claim_types_supported": ["normal"],
                "claims_supported": [
                    "sub", "iss", "aud", "exp", "iat", "auth_time", "nonce", "acr", "sid", "name", "family_name", "given_name",
                    "middle_name", "nickname", "preferred_username", "profile", "picture", "website", "gender", "birthdate", "zoneinfo",
                    "locale", "updated_at", "email", "email_verified", "address", "phone_number", "phone_number_verified", "groups"
                ],
                "code_challenge_methods_supported": ["S256"],
                "authorization_response_iss_parameter_supported": true,
                "claims_parameter_supported": true,
                "request_parameter_supported": false,
                "request_uri_parameter_supported": false,
                "backchannel_logout_supported": true,
                "backchannel_logout_session_supported": true,
                "frontchannel_logout_supported": true,
                "frontchannel_logout_session_supported": true,
            });
            assert_eq!(metadata, expected);
        }
    }
}
