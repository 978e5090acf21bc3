//! The tables inside the program.

/// Path and text of each.
pub const BUILT_IN: &[(&str, &str)] = &[
    ("mappings/saml.toml", include_str!("../../../mappings/saml.toml")),
    ("mappings/saml.from_profile.toml", include_str!("../../../mappings/saml.from_profile.toml")),
    ("mappings/oidc.toml", include_str!("../../../mappings/oidc.toml")),
    ("mappings/oidc.to_profile.toml", include_str!("../../../mappings/oidc.to_profile.toml")),
    ("mappings/ldap.toml", include_str!("../../../mappings/ldap.toml")),
    ("mappings/adfs.toml", include_str!("../../../mappings/adfs.toml")),
    ("mappings/entra.toml", include_str!("../../../mappings/entra.toml")),
    ("mappings/google-workspace.toml", include_str!("../../../mappings/google-workspace.toml")),
    ("mappings/okta.toml", include_str!("../../../mappings/okta.toml")),
    ("mappings/shibboleth.toml", include_str!("../../../mappings/shibboleth.toml")),
];
