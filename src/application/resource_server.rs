//! Resource servers: what access tokens are for, and which applications may have them by themselves.

/// Seconds that an access token lives, where the resource server does not say.
pub const TOKEN_LIFETIME: u32 = 86_400;

/// An API with scopes of its own, named by its identifier (RFC 8707 `resource`, here `audience`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceServer {
    /// Such as `rs_..`; the management API's own is `api`.
    pub id: String,
    pub identifier: String,
    pub name: String,
    /// Value and description.
    pub scopes: Vec<(String, String)>,
    /// Seconds that an access token for it lives.
    pub token_lifetime: u32,
    /// Refresh tokens may be had for it.
    pub allow_offline_access: bool,
}

impl ResourceServer {
    pub fn has_scope(&self, scope: &str) -> bool {
        self.scopes.iter().any(|(value, _)| value == scope)
    }
}

/// What an application may have of a resource server by client credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientGrant {
    pub id: String,
    pub client_id: String,
    pub audience: String,
    pub scopes: Vec<String>,
}
