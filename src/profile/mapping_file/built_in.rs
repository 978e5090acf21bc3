//! The tables inside the program.

/// Path and text of each.
pub const BUILT_IN: &[(&str, &str)] = &[
    ("mappings/saml.toml", include_str!("../../../mappings/saml.toml")),
    ("mappings/saml.from_profile.toml", include_str!("../../../mappings/saml.from_profile.toml")),
    ("mappings/oidc.toml", include_str!("../../../mappings/oidc.toml")),
    ("mappings/oidc.to_profile.toml", include_str!("../../../mappings/oidc.to_profile.toml")),
];
