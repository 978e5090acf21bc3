//! The tables inside the program.

/// Path and text of each.
pub const BUILT_IN: &[(&str, &str)] = &[
    ("mappings/saml.toml", include_str!("../../../mappings/saml.toml")),
    ("mappings/saml.from_profile.toml", include_str!("../../../mappings/saml.from_profile.toml")),
    ("mappings/oidc.toml", include_str!("../../../mappings/oidc.toml")),
    ("mappings/oidc.to_profile.toml", include_str!("../../../mappings/oidc.to_profile.toml")),
    ("mappings/database.toml", include_str!("../../../mappings/database.toml")),
    ("mappings/ldap.toml", include_str!("../../../mappings/ldap.toml")),
    ("mappings/adfs.toml", include_str!("../../../mappings/adfs.toml")),
    ("mappings/entra.toml", include_str!("../../../mappings/entra.toml")),
    ("mappings/google-workspace.toml", include_str!("../../../mappings/google-workspace.toml")),
    ("mappings/okta.toml", include_str!("../../../mappings/okta.toml")),
    ("mappings/shibboleth.toml", include_str!("../../../mappings/shibboleth.toml")),
    ("mappings/github.toml", include_str!("../../../mappings/github.toml")),
    ("mappings/gitlab.toml", include_str!("../../../mappings/gitlab.toml")),
    ("mappings/facebook.toml", include_str!("../../../mappings/facebook.toml")),
    ("mappings/linkedin.toml", include_str!("../../../mappings/linkedin.toml")),
    ("mappings/x.toml", include_str!("../../../mappings/x.toml")),
    ("mappings/discord.toml", include_str!("../../../mappings/discord.toml")),
    ("mappings/slack.toml", include_str!("../../../mappings/slack.toml")),
    ("mappings/wechat.toml", include_str!("../../../mappings/wechat.toml")),
    ("mappings/amazon.toml", include_str!("../../../mappings/amazon.toml")),
    ("mappings/naver.toml", include_str!("../../../mappings/naver.toml")),
    ("mappings/apple.toml", include_str!("../../../mappings/apple.toml")),
    ("mappings/microsoft.toml", include_str!("../../../mappings/microsoft.toml")),
];
