//! Provider metadata (OpenID Connect Discovery 3, RFC 8414 2). It lists what works, and nothing else.

use super::claims::standard_claims;
use super::dpop;
use super::names::{
    ClientSigningAlg, ContentEncryption, GrantType, KeyManagementAlg, Prompt, ResponseMode, ResponseType, SigningAlg, SubjectType,
    TokenEndpointAuthMethod,
};
use super::pkce;
use super::scope::STANDARD_SCOPES;
use serde::Serialize;

/// Paths of the endpoints below the issuer's base URL.
pub mod path {
    pub const AUTHORIZATION: &str = "/authorize";
    pub const PUSHED_AUTHORIZATION_REQUEST: &str = "/oauth/par";
    pub const TOKEN: &str = "/oauth/token";
    pub const DEVICE_AUTHORIZATION: &str = "/oauth/device/code";
    /// Where people type the code of a device.
    pub const ACTIVATION: &str = "/activate";
    pub const REVOCATION: &str = "/oauth/revoke";
    pub const INTROSPECTION: &str = "/oauth/introspect";
    pub const USERINFO: &str = "/userinfo";
    pub const JWKS: &str = "/.well-known/jwks.json";
    pub const REGISTRATION: &str = "/oidc/register";
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
    device_authorization_endpoint: String,
    jwks_uri: String,
    end_session_endpoint: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    check_session_iframe: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    registration_endpoint: Option<String>,
    scopes_supported: &'static [&'static str],
    response_types_supported: &'static [ResponseType],
    response_modes_supported: &'static [ResponseMode],
    grant_types_supported: &'static [GrantType],
    subject_types_supported: &'static [SubjectType],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    acr_values_supported: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ui_locales_supported: Vec<&'static str>,
    id_token_signing_alg_values_supported: Vec<SigningAlg>,
    id_token_encryption_alg_values_supported: &'static [KeyManagementAlg],
    id_token_encryption_enc_values_supported: &'static [ContentEncryption],
    userinfo_signing_alg_values_supported: Vec<SigningAlg>,
    userinfo_encryption_alg_values_supported: &'static [KeyManagementAlg],
    userinfo_encryption_enc_values_supported: &'static [ContentEncryption],
    #[serde(flatten)]
    clients: ForClients,
    prompt_values_supported: &'static [Prompt],
    claim_types_supported: &'static [&'static str],
    claims_supported: Vec<&'static str>,
    code_challenge_methods_supported: &'static [&'static str],
    authorization_response_iss_parameter_supported: bool,
    claims_parameter_supported: bool,
    pushed_authorization_request_endpoint: String,
    require_pushed_authorization_requests: bool,
    request_parameter_supported: bool,
    request_uri_parameter_supported: bool,
    /// Core 6.2: nothing is fetched from where no client has registered it.
    require_request_uri_registration: bool,
    request_object_signing_alg_values_supported: &'static [ClientSigningAlg],
    #[serde(skip_serializing_if = "Option::is_none")]
    request_object_encryption_alg_values_supported: Option<&'static [KeyManagementAlg]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_object_encryption_enc_values_supported: Option<&'static [ContentEncryption]>,
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
            device_authorization_endpoint: endpoint(path::DEVICE_AUTHORIZATION),
            jwks_uri: endpoint(path::JWKS),
            end_session_endpoint: endpoint(path::END_SESSION),
            check_session_iframe: None,
            registration_endpoint: None,
            scopes_supported: STANDARD_SCOPES,
            response_types_supported: ResponseType::SERVED,
            response_modes_supported: ResponseMode::ALL,
            grant_types_supported: GrantType::SERVED,
            subject_types_supported: SubjectType::ALL,
            acr_values_supported: Vec::new(),
            ui_locales_supported: Vec::new(),
            id_token_signing_alg_values_supported: SigningAlg::ALL.to_vec(),
            id_token_encryption_alg_values_supported: KeyManagementAlg::ALL,
            id_token_encryption_enc_values_supported: ContentEncryption::ALL,
            userinfo_signing_alg_values_supported: SigningAlg::ALL.to_vec(),
            userinfo_encryption_alg_values_supported: KeyManagementAlg::ALL,
            userinfo_encryption_enc_values_supported: ContentEncryption::ALL,
            clients: ForClients::new(issuer, None, false),
            prompt_values_supported: &[Prompt::None, Prompt::Login, Prompt::Consent, Prompt::SelectAccount],
            claim_types_supported: &["normal"],
            claims_supported: ["sub", "iss", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "sid"]
                .into_iter()
                .chain(standard_claims())
                .collect(),
            code_challenge_methods_supported: &[pkce::METHOD],
            authorization_response_iss_parameter_supported: true,
            claims_parameter_supported: true,
            pushed_authorization_request_endpoint: endpoint(path::PUSHED_AUTHORIZATION_REQUEST),
            require_pushed_authorization_requests: false,
            request_parameter_supported: true,
            request_uri_parameter_supported: true,
            require_request_uri_registration: true,
            request_object_signing_alg_values_supported: ClientSigningAlg::ALL,
            request_object_encryption_alg_values_supported: None,
            request_object_encryption_enc_values_supported: None,
            backchannel_logout_supported: true,
            backchannel_logout_session_supported: true,
            frontchannel_logout_supported: true,
            frontchannel_logout_session_supported: true,
        }
    }

    /// RFC 9126 5: whether requests are taken only that were pushed before.
    #[must_use]
    pub fn with_pushed_only(self, on: bool) -> Self {
        Self { require_pushed_authorization_requests: on, ..self }
    }

    /// The words for authentication contexts that some identity provider understands here.
    #[must_use]
    pub fn with_acr_values(self, values: Vec<String>) -> Self {
        Self { acr_values_supported: values, ..self }
    }

    /// The languages of our pages, by their tags.
    #[must_use]
    pub fn with_ui_locales(self, tags: Vec<&'static str>) -> Self {
        Self { ui_locales_supported: tags, ..self }
    }

    /// How request objects may be encrypted, where there is a key to open them with.
    #[must_use]
    pub fn with_request_encryption(self, on: bool) -> Self {
        Self {
            request_object_encryption_alg_values_supported: on.then_some(KeyManagementAlg::ALL),
            request_object_encryption_enc_values_supported: on.then_some(ContentEncryption::ALL),
            ..self
        }
    }

    /// Those for which there is a key.
    #[must_use]
    pub fn with_signing_algs(self, algs: &[SigningAlg]) -> Self {
        let both = (algs.to_vec(), algs.to_vec());
        Self { id_token_signing_alg_values_supported: both.0, userinfo_signing_alg_values_supported: both.1, ..self }
    }

    /// Session Management 1.0, 3.3: the frame is named where there is one.
    #[must_use]
    pub fn with_session_management(self, on: bool) -> Self {
        let frame = format!("{}{}", self.issuer.trim_end_matches('/'), path::CHECK_SESSION);
        Self { check_session_iframe: on.then_some(frame), ..self }
    }

    /// Clients are asked for certificates, at the addresses below `base` if there is one, else at the usual ones.
    #[must_use]
    pub fn with_client_certificates(self, base: Option<&str>) -> Self {
        Self { clients: ForClients::new(&self.issuer, base, true), ..self }
    }

    /// Registration 3: the endpoint is named where clients may register.
    #[must_use]
    pub fn with_registration(self, on: bool) -> Self {
        let endpoint = format!("{}{}", self.issuer.trim_end_matches('/'), path::REGISTRATION);
        Self { registration_endpoint: on.then_some(endpoint), ..self }
    }

    /// Build it once, serve it often.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// What clients need that prove who they are (RFC 7009, RFC 7662, RFC 8705, RFC 9449).
#[derive(Clone, Debug, Serialize)]
struct ForClients {
    token_endpoint_auth_methods_supported: Vec<TokenEndpointAuthMethod>,
    token_endpoint_auth_signing_alg_values_supported: Vec<ClientSigningAlg>,
    revocation_endpoint: String,
    revocation_endpoint_auth_methods_supported: Vec<TokenEndpointAuthMethod>,
    revocation_endpoint_auth_signing_alg_values_supported: Vec<ClientSigningAlg>,
    introspection_endpoint: String,
    introspection_endpoint_auth_methods_supported: Vec<TokenEndpointAuthMethod>,
    introspection_endpoint_auth_signing_alg_values_supported: Vec<ClientSigningAlg>,
    introspection_signing_alg_values_supported: &'static [SigningAlg],
    dpop_signing_alg_values_supported: &'static [ClientSigningAlg],
    tls_client_certificate_bound_access_tokens: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    mtls_endpoint_aliases: Option<Aliases>,
}

/// RFC 8705 5.
#[derive(Clone, Debug, Serialize)]
struct Aliases {
    token_endpoint: String,
    revocation_endpoint: String,
    introspection_endpoint: String,
    pushed_authorization_request_endpoint: String,
    userinfo_endpoint: String,
}

impl ForClients {
    fn new(issuer: &str, base: Option<&str>, certificates: bool) -> Self {
        let endpoint = |path: &str| format!("{}{path}", issuer.trim_end_matches('/'));
        let by_certificate = |method: &TokenEndpointAuthMethod| {
            matches!(method, TokenEndpointAuthMethod::TlsClientAuth | TokenEndpointAuthMethod::SelfSignedTlsClientAuth)
        };
        let methods = TokenEndpointAuthMethod::SERVED.iter().copied().filter(|method| certificates || !by_certificate(method));
        let methods: Vec<_> = methods.collect();
        let algs: Vec<_> = ClientSigningAlg::ALL.iter().copied().filter(|alg| *alg != ClientSigningAlg::None).collect();
        let alias = |base: &str, path: &str| format!("{}{path}", base.trim_end_matches('/'));
        Self {
            token_endpoint_auth_signing_alg_values_supported: algs.clone(),
            revocation_endpoint: endpoint(path::REVOCATION),
            revocation_endpoint_auth_methods_supported: methods.clone(),
            revocation_endpoint_auth_signing_alg_values_supported: algs.clone(),
            introspection_endpoint: endpoint(path::INTROSPECTION),
            introspection_endpoint_auth_methods_supported: methods
                .iter()
                .copied()
                .filter(|method| *method != TokenEndpointAuthMethod::None)
                .collect(),
            introspection_endpoint_auth_signing_alg_values_supported: algs,
            introspection_signing_alg_values_supported: SigningAlg::ALL,
            dpop_signing_alg_values_supported: dpop::ALGS,
            tls_client_certificate_bound_access_tokens: certificates,
            mtls_endpoint_aliases: base.map(|base| Aliases {
                token_endpoint: alias(base, path::TOKEN),
                revocation_endpoint: alias(base, path::REVOCATION),
                introspection_endpoint: alias(base, path::INTROSPECTION),
                pushed_authorization_request_endpoint: alias(base, path::PUSHED_AUTHORIZATION_REQUEST),
                userinfo_endpoint: alias(base, path::USERINFO),
            }),
            token_endpoint_auth_methods_supported: methods,
        }
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

    const METHODS: [&str; 5] = ["client_secret_basic", "client_secret_post", "client_secret_jwt", "private_key_jwt", "none"];
    const ALGS: [&str; 14] =
        ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519", "HS256", "HS384", "HS512"];

    #[test]
    fn speaks_of_certificates_where_clients_are_asked_for_them() {
        let of = |base: Option<&str>| -> Value {
            let metadata = ProviderMetadata::new("https://login.example.org").with_client_certificates(base);
            serde_json::from_str(&metadata.to_json()).expect("json")
        };
        let (here, there) = (of(None), of(Some("https://mtls.example.org/")));
        for metadata in [&here, &there] {
            assert_eq!(metadata["tls_client_certificate_bound_access_tokens"], true);
            let methods = metadata["introspection_endpoint_auth_methods_supported"].to_string();
            assert!(methods.contains("tls_client_auth") && methods.contains("self_signed_tls_client_auth"), "{methods}");
        }
        assert!(here.get("mtls_endpoint_aliases").is_none());
        let expected = json!({
            "token_endpoint": "https://mtls.example.org/oauth/token",
            "revocation_endpoint": "https://mtls.example.org/oauth/revoke",
            "introspection_endpoint": "https://mtls.example.org/oauth/introspect",
            "pushed_authorization_request_endpoint": "https://mtls.example.org/oauth/par",
            "userinfo_endpoint": "https://mtls.example.org/userinfo",
        });
        assert_eq!(there["mtls_endpoint_aliases"], expected);
    }

    #[test]
    fn names_the_registration_endpoint_only_where_clients_may_register() {
        let read = |on: bool| -> Value {
            serde_json::from_str(&ProviderMetadata::new("https://login.example.org/").with_registration(on).to_json()).expect("json")
        };
        assert_eq!(read(true)["registration_endpoint"], "https://login.example.org/oidc/register");
        assert!(read(false).get("registration_endpoint").is_none());
    }

    #[test]
    fn names_encryption_of_request_objects_only_where_there_is_a_key() {
        let read = |on: bool| -> Value {
            serde_json::from_str(&ProviderMetadata::new("https://login.example.org").with_request_encryption(on).to_json()).expect("json")
        };
        assert_eq!(read(true)["request_object_encryption_alg_values_supported"], json!(KeyManagementAlg::ALL));
        assert_eq!(read(true)["request_object_encryption_enc_values_supported"], json!(ContentEncryption::ALL));
        assert!(read(false).get("request_object_encryption_alg_values_supported").is_none());
    }

    /// What clients need that prove who they are.
    fn of_clients(base: &str) -> Value {
        json!({
            "token_endpoint_auth_methods_supported": METHODS,
            "token_endpoint_auth_signing_alg_values_supported": ALGS,
            "revocation_endpoint": format!("{base}/oauth/revoke"),
            "revocation_endpoint_auth_methods_supported": METHODS,
            "revocation_endpoint_auth_signing_alg_values_supported": ALGS,
            "introspection_endpoint": format!("{base}/oauth/introspect"),
            "introspection_endpoint_auth_methods_supported": METHODS[..4],
            "introspection_endpoint_auth_signing_alg_values_supported": ALGS,
            "introspection_signing_alg_values_supported": ["RS256", "PS256", "ES256", "ES384", "EdDSA"],
            "dpop_signing_alg_values_supported": [
                "ES256", "ES384", "ES512", "EdDSA", "Ed25519", "PS256", "PS384", "PS512", "RS256", "RS384", "RS512"
            ],
            "tls_client_certificate_bound_access_tokens": false,
        })
    }

    /// About authorization requests and logout; one literal has no room for everything.
    fn of_requests(base: &str) -> Value {
        json!({
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": true,
            "claims_parameter_supported": true,
            "pushed_authorization_request_endpoint": format!("{base}/oauth/par"),
            "require_pushed_authorization_requests": false,
            "request_parameter_supported": true,
            "request_uri_parameter_supported": true,
            "require_request_uri_registration": true,
            "request_object_signing_alg_values_supported": [
                "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519", "HS256", "HS384", "HS512",
                "none"
            ],
            "backchannel_logout_supported": true,
            "backchannel_logout_session_supported": true,
            "frontchannel_logout_supported": true,
            "frontchannel_logout_session_supported": true,
        })
    }

    #[test]
    fn lists_what_works_and_nothing_else() {
        for (issuer, base) in
            [("https://login.example.org", "https://login.example.org"), ("https://login.example.org/", "https://login.example.org")]
        {
            let metadata: Value = serde_json::from_str(&ProviderMetadata::new(issuer).to_json()).expect("json");
            let mut expected = json!({
                "issuer": issuer,
                "authorization_endpoint": format!("{base}/authorize"),
                "token_endpoint": format!("{base}/oauth/token"),
                "userinfo_endpoint": format!("{base}/userinfo"),
                "device_authorization_endpoint": format!("{base}/oauth/device/code"),
                "jwks_uri": format!("{base}/.well-known/jwks.json"),
                "end_session_endpoint": format!("{base}/oidc/logout"),
                "scopes_supported": ["openid", "profile", "email", "address", "phone", "groups", "offline_access"],
                "response_types_supported": ["code", "id_token", "id_token token", "code id_token", "code token", "code id_token token"],
                "response_modes_supported": ["query", "fragment", "form_post"],
                "grant_types_supported": [
                    "authorization_code", "refresh_token", "client_credentials", "implicit",
                    "urn:ietf:params:oauth:grant-type:device_code", "urn:ietf:params:oauth:grant-type:token-exchange"
                ],
                "subject_types_supported": ["public", "pairwise"],
                "id_token_signing_alg_values_supported": ["RS256", "PS256", "ES256", "ES384", "EdDSA"],
                "id_token_encryption_alg_values_supported": ["RSA-OAEP-256", "RSA-OAEP", "ECDH-ES", "ECDH-ES+A128KW", "ECDH-ES+A256KW"],
                "id_token_encryption_enc_values_supported": ["A128CBC-HS256", "A256CBC-HS512", "A128GCM", "A256GCM"],
                "userinfo_signing_alg_values_supported": ["RS256", "PS256", "ES256", "ES384", "EdDSA"],
                "userinfo_encryption_alg_values_supported": ["RSA-OAEP-256", "RSA-OAEP", "ECDH-ES", "ECDH-ES+A128KW", "ECDH-ES+A256KW"],
                "userinfo_encryption_enc_values_supported": ["A128CBC-HS256", "A256CBC-HS512", "A128GCM", "A256GCM"],
                "prompt_values_supported": ["none", "login", "consent", "select_account"],
                "claim_types_supported": ["normal"],
                "claims_supported": [
                    "sub", "iss", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "sid", "name", "family_name", "given_name",
                    "middle_name", "nickname", "preferred_username", "profile", "picture", "website", "gender", "birthdate", "zoneinfo",
                    "locale", "updated_at", "email", "email_verified", "address", "phone_number", "phone_number_verified", "groups"
                ],
            });
            let (requests, clients) = (of_requests(base), of_clients(base));
            for (name, value) in [&requests, &clients].into_iter().flat_map(|part| part.as_object().expect("an object")) {
                expected[name] = value.clone();
            }
            assert_eq!(metadata, expected);
        }
    }
}
