//! What an application calls a user, wherever it is told: the only way from a user to a `sub`.

use super::Gateway;
use crate::application::Application;
use crate::error::Result;
use crate::oidc::{self, IdTokenHint};
use std::borrow::Cow;

impl Gateway {
    /// The `sub` of a user at an application (OpenID Connect Core 8).
    pub(super) fn subject_for<'u>(&self, application: &Application, user_id: &'u str) -> Result<Cow<'u, str>> {
        match &application.oidc {
            Some(client) => oidc::subject(client, user_id, self.keyring.sealer()),
            None => Ok(Cow::Borrowed(user_id)),
        }
    }

    /// Does this ID token of ours speak of this user? Its `sub` is that of the client that it was issued to.
    pub(super) fn is_about(&self, hint: &IdTokenHint, user_id: &str) -> bool {
        let subject = match self.applications.get(hint.client_id()) {
            Some(application) => self.subject_for(application, user_id).ok(),
            None => Some(Cow::Borrowed(user_id)),
        };
        subject.is_some_and(|subject| subject == hint.subject())
    }
}
