//! Resource servers: what access tokens are for, and which applications may have them by themselves.

use crate::oidc::{JwtDialect, SigningAlg};

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
    pub tokens: TokenFormat,
}

/// What access tokens for a resource server look like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TokenFormat {
    /// Nothing but a key to what is known here: the resource server asks.
    #[default]
    Opaque,
    /// It reads them itself, signed with this algorithm.
    Jwt { dialect: JwtDialect, alg: SigningAlg },
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
