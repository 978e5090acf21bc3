//! Tokens of providers: sealed when a login brings them, and kept with the identity once its login is recorded. Who reads them
//! is in [`super::admin`].

use super::Gateway;
use super::jobs::{open_credential, seal_credential};
use crate::clock::Timestamp;
use crate::connection::Authentication;
use crate::error::Result;
use crate::login::Arrived;
use crate::profile::ProviderTokens;
use crate::store::CredentialKind::ProviderTokens as KIND;

impl Gateway {
    /// As they may be written down while the login is under way, and after it: for this identity and nobody else.
    pub(super) fn sealed_tokens(&self, authentication: &Authentication) -> Result<Option<String>> {
        let (identity, sealer) = (&authentication.identity, self.admin.sealer());
        let seal = |tokens: &ProviderTokens| seal_credential(sealer, &identity.connection, &identity.user_id, KIND, &tokens.written());
        authentication.tokens.as_ref().map(seal).transpose()
    }

    /// Keeps what a login has brought, in the place of what was kept before. Many give a refresh token at the first login
    /// only, so that one stays until another comes.
    pub(super) async fn keep_tokens(&self, arrived: &Arrived, now: Timestamp) -> Result<()> {
        let Some(sealed) = &arrived.tokens else { return Ok(()) };
        let (connection, subject, sealer) = (&arrived.identity.connection, &arrived.identity.user_id, self.admin.sealer());
        let open = |sealed: &str| {
            let written = open_credential(sealer, connection, subject, KIND, sealed).ok()?;
            ProviderTokens::read(&written)
        };
        let mut merged = None;
        if let Some(new) = open(sealed).filter(|new| new.refresh_token.is_none()) {
            let kept = self.directory.credential(connection, subject, KIND).await?;
            let refresh_token = kept.as_deref().and_then(open).and_then(|kept| kept.refresh_token);
            if refresh_token.is_some() {
                let both = ProviderTokens { refresh_token, ..new };
                merged = Some(seal_credential(sealer, connection, subject, KIND, &both.written())?);
            }
        }
        // False where the identity was deleted meanwhile: then there is nothing to keep them with.
        self.directory.put_credential(connection, subject, KIND, merged.as_ref().unwrap_or(sealed), now).await.map(drop)
    }
}
