//! What callers send and get of clients.

use crate::http::management::shape::{Kind, Member, Shape, may, must};
use crate::http::management::stored::{self, OWN_MEMBER};

/// Seconds that the secret before is accepted after a rotation, at most.
const MOST_GRACE: i64 = 7 * 86_400;

const EXAMPLE: &str = r#"{"client_id": "0123456789abcdef0123456789abcdef", "name": "Notes", "app_type": "regular_web", "callbacks": ["https://notes.example/callback"], "grant_types": ["authorization_code", "refresh_token"], "token_endpoint_auth_method": "client_secret_post"}"#;

const JWT: Shape = Shape {
    name: "JwtConfiguration",
    members: &[
        may("alg", Kind::Text(1, 20), "How ID tokens are signed: RS256, ES256 or EdDSA"),
        may("lifetime_in_seconds", Kind::Integer(1, 2_592_000), "Seconds that its ID tokens live"),
        may("scopes", Kind::Object, ""),
        may("secret_encoded", Kind::Boolean, ""),
    ],
    open: false,
    example: r#"{"alg": "RS256"}"#,
};

const URLS: Kind = Kind::List(&Kind::Text(1, 2048), 100);
const AUTH_METHOD: Kind = Kind::OneOf(&[
    "none",
    "client_secret_post",
    "client_secret_basic",
    "client_secret_jwt",
    "private_key_jwt",
    "tls_client_auth",
    "self_signed_tls_client_auth",
]);

/// What a caller may set after the first member; null is as if it were not there, and in a change takes it away.
macro_rules! settings {
    ($first:expr) => {
        &[
            $first,
            may("description", Kind::OrNull(&Kind::Text(0, 140)), ""),
            may("app_type", Kind::OrNull(&Kind::OneOf(&["native", "spa", "regular_web", "non_interactive"])), ""),
            may("callbacks", Kind::OrNull(&URLS), "Where people return after a login"),
            may("allowed_logout_urls", Kind::OrNull(&URLS), "Where people return after a logout"),
            may("allowed_origins", Kind::OrNull(&URLS), "Kept, without effect"),
            may("web_origins", Kind::OrNull(&URLS), "Kept, without effect"),
            may("client_aliases", Kind::OrNull(&URLS), "Kept, without effect"),
            may("allowed_clients", Kind::OrNull(&URLS), "Kept, without effect"),
            may("grant_types", Kind::OrNull(&Kind::List(&Kind::Text(1, 100), 20)), "authorization_code, refresh_token, client_credentials"),
            may("token_endpoint_auth_method", Kind::OrNull(&AUTH_METHOD), ""),
            may("client_secret", Kind::OrNull(&Kind::Text(16, 512)), "One of the caller's; by default a random one"),
            may("client_authentication_methods", Kind::OrNull(&Kind::Object), "{\"private_key_jwt\": {\"credentials\": [{\"pem\": ..}]}}"),
            may("signed_request_object", Kind::OrNull(&Kind::Object), "{\"required\": true, \"credentials\": [{\"pem\": ..}]}"),
            may("require_proof_of_possession", Kind::OrNull(&Kind::Boolean), "Access tokens only for a key that it proves"),
            may("require_pushed_authorization_requests", Kind::OrNull(&Kind::Boolean), "No request that was not pushed"),
            may("jwt_configuration", Kind::OrNull(&Kind::Record(&JWT)), ""),
            may("oidc_conformant", Kind::OrNull(&Kind::Boolean), "Only true"),
            may("is_first_party", Kind::OrNull(&Kind::Boolean), ""),
            may("client_metadata", Kind::OrNull(&Kind::Object), "Up to 10 texts of 255 characters"),
            may(
                "addons",
                Kind::OrNull(&Kind::Object),
                "samlp makes a SAML application: docs/saml-applications.md; others are kept, without effect",
            ),
            may("logo_uri", Kind::OrNull(&Kind::Text(0, 2048)), ""),
            may("initiate_login_uri", Kind::OrNull(&Kind::Text(0, 2048)), "Where its logins begin when others begin them"),
            may("refresh_token", Kind::OrNull(&Kind::Object), "Kept, without effect"),
            may("sso", Kind::OrNull(&Kind::Boolean), "Kept, without effect"),
            may("sso_disabled", Kind::OrNull(&Kind::Boolean), "Kept, without effect"),
            may("cross_origin_auth", Kind::OrNull(&Kind::Boolean), "Kept, without effect"),
            may("cross_origin_authentication", Kind::OrNull(&Kind::Boolean), "Kept, without effect"),
            may("cross_origin_loc", Kind::OrNull(&Kind::Text(0, 2048)), "Kept, without effect"),
            may("custom_login_page_on", Kind::OrNull(&Kind::Boolean), "Kept, without effect"),
            may("custom_login_page", Kind::OrNull(&Kind::Text(0, 100_000)), "Kept, without effect"),
            may("form_template", Kind::OrNull(&Kind::Text(0, 100_000)), "Kept, without effect"),
            may("organization_usage", Kind::OrNull(&Kind::Text(0, 100)), "Kept, without effect"),
            may("organization_require_behavior", Kind::OrNull(&Kind::Text(0, 100)), "Kept, without effect"),
            may("mobile", Kind::OrNull(&Kind::Object), "Kept, without effect"),
            may("native_social_login", Kind::OrNull(&Kind::Object), "Kept, without effect"),
            may("encryption_key", Kind::OrNull(&Kind::Object), "Kept, without effect"),
            may("oidc_logout", Kind::OrNull(&Kind::Object), "Where logout tokens go: {\"backchannel_logout_urls\": [one address]}"),
            OWN_MEMBER,
        ]
    };
}

pub const CREATE: Shape = Shape {
    name: "ClientCreate",
    members: settings!(must("name", Kind::Text(1, 255), "For people")),
    open: false,
    example: r#"{"name": "Notes", "app_type": "regular_web", "callbacks": ["https://notes.example/callback"]}"#,
};

pub const CHANGE: Shape = Shape {
    name: "ClientChange",
    members: settings!(may("name", Kind::Text(1, 255), "For people")),
    open: false,
    example: r#"{"callbacks": ["https://notes.example/callback", "https://notes.example/other"]}"#,
};

pub const CLIENT_SHAPE: Shape = Shape {
    name: "Client",
    members: &[
        must("client_id", Kind::Text(1, 255), ""),
        must("name", Kind::Text(0, 255), "For people"),
        may("client_secret", Kind::Text(16, 512), "Told once: when it is made, and when it is rotated"),
        may("app_type", Kind::Text(1, 20), ""),
        may("callbacks", URLS, ""),
        may("addons", Kind::Object, "samlp: the settings of a SAML application"),
        may("grant_types", Kind::List(&Kind::Text(1, 100), 20), ""),
        may("token_endpoint_auth_method", AUTH_METHOD, ""),
        may(stored::OWN, Kind::Object, "Settings beyond Auth0's; source: file or api; warnings"),
    ],
    open: true,
    example: EXAMPLE,
};

pub const ROTATE: Shape = Shape {
    name: "SecretRotation",
    members: &[may("grace_seconds", Kind::Integer(0, MOST_GRACE), "How long the secret before is accepted; 3600 if it is not said")],
    open: false,
    example: r#"{"grace_seconds": 600}"#,
};

pub const FILTERS: &[Member] = &[
    may("is_global", Kind::Boolean, "There are none"),
    may("is_first_party", Kind::Boolean, ""),
    may("app_type", Kind::Text(1, 200), "One or several, with commas"),
];

pub const CREDENTIAL: Shape =
    Shape { name: "ClientCredential", members: &[must("id", Kind::Text(1, 100), "")], open: true, example: r#"{"id": "cred_1"}"# };
