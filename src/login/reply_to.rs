//! The right to send somebody's browser to an application, as a value.

use crate::error::Error;
use crate::oidc::{AuthorizationCode, AuthorizationResponse, CheckedRedirect};
use serde::{Deserialize, Serialize};

/// Where the outcome of a login goes. It exists only for an address that was matched against the
/// application's registration; before that, the only possible answer is our own page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReplyTo {
    Oidc(CheckedRedirect),
}

impl ReplyTo {
    /// The registered address itself, to which the token request must refer again.
    pub fn redirect_uri(&self) -> &str {
        match self {
            Self::Oidc(redirect) => redirect.redirect_uri(),
        }
    }

    /// A successful answer carrying a code.
    pub fn with_code(&self, code: &AuthorizationCode, issuer: &str) -> AuthorizationResponse {
        match self {
            Self::Oidc(redirect) => redirect.success(issuer, code),
        }
    }

    /// An error answer; the detail of the error goes along.
    pub fn with_error(&self, error: &Error, issuer: &str) -> AuthorizationResponse {
        match self {
            Self::Oidc(redirect) => redirect.error(issuer, error),
        }
    }
}
