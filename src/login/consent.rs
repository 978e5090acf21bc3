//! A login that waits until the person has agreed to what the application gets.

use super::Scripted;
use crate::oidc::Scopes;
use serde::{Deserialize, Serialize};

/// Everything is known but the person's answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PendingConsent {
    /// Store key of the session that answers the application.
    pub session: String,
    /// The session was there before: no identity provider was asked.
    pub single_sign_on: bool,
    /// What is granted, as scripts left it.
    pub scopes: Scopes,
    /// What scripts made of the login.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scripted: Option<Box<Scripted>>,
}
