//! The right to send somebody's browser to an application, as a value.

use crate::oidc::{AuthorizationResponse, CheckedRedirect, ResponseMode};
use serde::{Deserialize, Serialize};

/// Where the outcome of a login goes. It exists only for an address that was matched against the
/// application's registration; before that, the only possible answer is our own page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReplyTo {
    Oidc { redirect_uri: String, state: Option<String>, response_mode: ResponseMode },
}

impl ReplyTo {
    pub fn oidc(checked: &CheckedRedirect, state: Option<String>, response_mode: ResponseMode) -> Self {
        Self::Oidc { redirect_uri: checked.redirect_uri().to_owned(), state, response_mode }
    }

    /// The registered address itself, to which the token request must refer again.
    pub fn redirect_uri(&self) -> &str {
        match self {
            Self::Oidc { redirect_uri, .. } => redirect_uri,
        }
    }

    /// A successful answer carrying a code.
    pub fn with_code(&self, code: &str, issuer: &str) -> AuthorizationResponse {
        let Self::Oidc { redirect_uri, state, response_mode } = self;
        AuthorizationResponse::success(redirect_uri, *response_mode, code, state.as_deref(), issuer)
    }

    /// An error answer. `description` must be safe to show.
    pub fn with_error(&self, error: &str, description: &str, issuer: &str) -> AuthorizationResponse {
        let Self::Oidc { redirect_uri, state, response_mode } = self;
        AuthorizationResponse::error(redirect_uri, *response_mode, error, description, state.as_deref(), issuer)
    }
}
