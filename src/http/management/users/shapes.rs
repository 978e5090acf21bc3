//! What is sent and answered about users.

use crate::http::management::shape::{Kind, Member, Shape, may, must};

const METADATA_ABOUT: &str = "Merged at the first level; null deletes a member, {} empties the object";

pub const USER: Shape = Shape {
    name: "User",
    members: &[
        may("user_id", Kind::Text(1, 6000), "Strategy, connection and subject, such as `samlp|acme|jane`"),
        may("email", Kind::Text(0, 1000), ""),
        may("email_verified", Kind::Boolean, ""),
        may("name", Kind::Text(0, 10_000), ""),
        may("blocked", Kind::Boolean, "Only where it is true"),
        may(
            "multifactor",
            Kind::List(&Kind::Text(1, 100), 10),
            "`google-authenticator`, where one user with an authenticator app is asked for",
        ),
        may("multifactor_last_modified", Kind::Formatted("date-time", 40), "Since when"),
        may("created_at", Kind::Formatted("date-time", 40), ""),
        may("updated_at", Kind::Formatted("date-time", 40), ""),
        may("last_login", Kind::Formatted("date-time", 40), ""),
        may("logins_count", Kind::Integer(0, i64::MAX), ""),
        may("user_metadata", Kind::Object, ""),
        may("app_metadata", Kind::Object, ""),
        may("custom_fields", Kind::Object, ""),
        may("identities", Kind::List(&Kind::Object, 100_000), "The first is the primary"),
    ],
    open: true,
    example: r#"{"user_id": "samlp|acme|jane", "email": "jane@acme.example", "name": "Jane Doe", "nickname": "jane", "identities": [{"connection": "acme", "provider": "samlp", "user_id": "jane", "isSocial": false}], "user_metadata": {"theme": "dark"}}"#,
};

pub const NEW_USER: Shape = Shape {
    name: "NewUser",
    members: &[
        must("connection", Kind::Text(1, 128), "Name of the connection"),
        may("user_id", Kind::Text(1, 1500), "Who it is at the connection; needed where somebody else keeps the users"),
        may("email", Kind::Formatted("email", 254), "Of users that are kept here only"),
        may("email_verified", Kind::Boolean, ""),
        may("username", Kind::Text(1, 128), ""),
        may("password", Kind::Text(1, 1024), "Kept as a hash, and never given out"),
        may("phone_number", Kind::Text(2, 16), "+ and digits"),
        may("phone_verified", Kind::Boolean, ""),
        may("blocked", Kind::Boolean, ""),
        may("name", Kind::Text(1, 150), ""),
        may("given_name", Kind::Text(1, 150), ""),
        may("family_name", Kind::Text(1, 150), ""),
        may("nickname", Kind::Text(1, 350), ""),
        may("picture", Kind::Formatted("uri", 2000), ""),
        may("groups", Kind::List(&Kind::Text(1, 256), 1000), "Those that the operator gives"),
        may("user_metadata", Kind::Object, ""),
        may("app_metadata", Kind::Object, ""),
        may("custom_fields", Kind::Object, ""),
        may("custom_data", Kind::Object, "Another spelling of custom_fields"),
        may("custom_field", Kind::Object, "Another spelling of custom_fields"),
        may("verify_email", Kind::Boolean, "true: a link that proves the address is mailed, where there is a mail server"),
    ],
    open: false,
    example: r#"{"connection": "people", "email": "jane@example.org", "email_verified": true, "name": "Jane Doe", "app_metadata": {"plan": "gold"}}"#,
};

/// Others are refused with what can be done instead.
pub const PATCH: Shape = Shape {
    name: "UserPatch",
    members: &[
        may("user_metadata", Kind::OrNull(&Kind::Object), METADATA_ABOUT),
        may("app_metadata", Kind::OrNull(&Kind::Object), METADATA_ABOUT),
        may("custom_fields", Kind::OrNull(&Kind::Object), "Replaced whole"),
        may("blocked", Kind::Boolean, ""),
        may("groups", Kind::List(&Kind::Text(1, 256), 1000), "Those that the operator gives"),
        may("name", Kind::OrNull(&Kind::Text(1, 150)), "Unless the connection refreshes it"),
        may("given_name", Kind::OrNull(&Kind::Text(1, 150)), ""),
        may("family_name", Kind::OrNull(&Kind::Text(1, 150)), ""),
        may("nickname", Kind::OrNull(&Kind::Text(1, 350)), ""),
        may("picture", Kind::OrNull(&Kind::Text(1, 2000)), ""),
        may("email", Kind::Formatted("email", 254), "Of users that are kept here only"),
        may("password", Kind::Text(1, 1024), "Of users that are kept here only"),
        may("connection", Kind::Text(1, 128), "Name of a connection of the user"),
        may("client_id", Kind::Text(0, 255), "Has no effect"),
    ],
    open: true,
    example: r#"{"user_metadata": {"theme": "light", "beta": null}, "blocked": false}"#,
};

pub const FREE_DATA: Shape = Shape { name: "FreeData", members: &[], open: true, example: r#"{"plan": "gold", "seats": 3}"# };

pub const IDENTITY: Shape = Shape {
    name: "Identity",
    members: &[
        must("connection", Kind::Text(1, 128), "Name of the connection"),
        must("provider", Kind::Text(1, 128), "Its strategy"),
        must("user_id", Kind::Text(1, 6000), "Who it is at this connection"),
        must("isSocial", Kind::Boolean, ""),
        may("profileData", Kind::Object, "What the connection said of a linked identity"),
    ],
    open: true,
    example: r#"{"connection": "acme", "provider": "samlp", "user_id": "jane", "isSocial": false}"#,
};

pub const NEW_IDENTITY: Shape = Shape {
    name: "NewIdentity",
    members: &[
        may("provider", Kind::Text(1, 128), "Strategy of the other user's primary identity"),
        may(
            "user_id",
            Kind::Text(1, 6000),
            "The other user: what comes after the strategy in its user_id, the whole user_id, or the subject",
        ),
        may("connection_id", Kind::Text(1, 128), "Id or name of the connection, where several have the same subject"),
        may(
            "link_with",
            Kind::Text(1, 16_000),
            "Instead: an ID token of the other user, for the same application, not older than ten minutes, and of a session that is still there",
        ),
    ],
    open: false,
    example: r#"{"provider": "samlp", "user_id": "globex|j.doe"}"#,
};

pub const LINK: Shape = Shape {
    name: "Link",
    members: &[
        must("link_id", Kind::Text(1, 64), ""),
        must(
            "how",
            Kind::OneOf(&["operator", "ask", "verified_email"]),
            "By an operator or an application, by proof, by a verified address",
        ),
        must("actor", Kind::Text(0, 6000), "Who linked"),
        must("at", Kind::Formatted("date-time", 40), ""),
        must("user_id", Kind::Text(1, 6000), "Who has the identities now"),
        may("former_user_id", Kind::Text(1, 6000), "The user that ended"),
        must("identities", Kind::List(&Kind::Object, 100_000), "Those that moved"),
        may("undone_at", Kind::Formatted("date-time", 40), ""),
    ],
    open: false,
    example: r#"{"link_id": "0f3b6f6d1f3e4c0b8a4d0c3f1e2d3c4b", "how": "operator", "actor": "console", "at": "2026-11-21T09:00:00Z", "user_id": "samlp|acme|jane", "former_user_id": "samlp|globex|j.doe", "identities": [{"connection": "globex", "user_id": "j.doe"}]}"#,
};

pub const CONFLICT: Shape = Shape {
    name: "IdentityConflict",
    members: &[
        must("connection", Kind::Text(1, 128), ""),
        must("user_id", Kind::Text(1, 6000), "Who came, at this connection"),
        must("reason", Kind::Text(1, 128), ""),
        may("email", Kind::Text(0, 1000), ""),
        must("candidates", Kind::List(&Kind::Text(1, 6000), 1000), "The users it might belong to"),
        must("correlation_id", Kind::Text(0, 64), "Of the last login"),
        must("first_at", Kind::Formatted("date-time", 40), ""),
        must("last_at", Kind::Formatted("date-time", 40), ""),
        must("times", Kind::Integer(0, i64::MAX), "How often it came"),
    ],
    open: false,
    example: r#"{"connection": "globex", "user_id": "j.doe", "reason": "several_matches", "email": "jane@acme.example", "candidates": ["samlp|acme|jane", "samlp|initech|jane"], "correlation_id": "k3m9x2p4q8r7s6tv", "first_at": "2026-11-20T09:00:00Z", "last_at": "2026-11-21T09:00:00Z", "times": 2}"#,
};

/// Of lists that are always empty.
pub const METHOD: Shape = Shape {
    name: "AuthenticationMethod",
    members: &[
        must("id", Kind::Text(1, 100), "Another one as soon as the factor is"),
        must("type", Kind::OneOf(&["totp", "recovery-code"]), ""),
        must("created_at", Kind::Formatted("date-time", 40), ""),
    ],
    open: false,
    example: r#"{"id": "totp|5f0c1c0a3e0b4f0d", "type": "totp", "created_at": "2026-11-21T09:00:00Z"}"#,
};

pub const ENROLLMENT: Shape = Shape {
    name: "Enrollment",
    members: &[
        must("id", Kind::Text(1, 100), "As of the authentication method"),
        must("status", Kind::OneOf(&["confirmed"]), ""),
        must("type", Kind::OneOf(&["authenticator"]), ""),
        must("enrolled_at", Kind::Formatted("date-time", 40), ""),
    ],
    open: false,
    example: r#"{"id": "totp|5f0c1c0a3e0b4f0d", "status": "confirmed", "type": "authenticator", "enrolled_at": "2026-11-21T09:00:00Z"}"#,
};

pub const NOTHING: Shape = Shape { name: "Nothing", members: &[], open: true, example: "{}" };

/// `dialect`, `includeAllIdentities`.
pub const DIALECT: &[Member] = &[
    may("dialect", Kind::OneOf(&["auth0", "gigya", "logto"]), "In whose form users are shown; auth0 if it is not said"),
    may("includeAllIdentities", Kind::Boolean, "In the form of Gigya: all identities, not only the latest"),
];

pub const LISTING: &[Member] = &[
    may("q", Kind::Text(0, 5000), "A search, such as `email.domain:\"acme.example\" AND logins_count:[5 TO *]`"),
    may("search_engine", Kind::OneOf(&["v1", "v2", "v3"]), "There is one, v3"),
    may("sort", Kind::Text(1, 200), "A field and 1 or -1, such as created_at:-1"),
    may("connection", Kind::Text(1, 128), "Only users with an identity at this connection"),
    may("primary_order", Kind::Boolean, "Has no effect"),
];

/// Of an identity to unlink.
pub const UNLINK: &[Member] = &[may("connection", Kind::Text(1, 128), "Name of the connection, where several have the same subject")];
