//! Reading tokens of providers. Who does is noted.

use super::{Admin, By};
use crate::broker::jobs::open_credential;
use crate::clock::Timestamp;
use crate::error::Result;
use crate::profile::ProviderTokens;
use crate::store::CredentialKind;
use crate::user::User;
use serde_json::json;

impl Admin {
    /// What providers gave, in the order of the user's identities; of connections that `keeps` names only.
    pub async fn provider_tokens(
        &self,
        user: &User,
        keeps: impl Fn(&str) -> bool + Send + Sync,
        by: By<'_>,
        now: Timestamp,
    ) -> Result<Vec<Option<ProviderTokens>>> {
        let kind = CredentialKind::ProviderTokens;
        let (mut all, mut read) = (Vec::with_capacity(user.identities.len()), Vec::new());
        for identity in user.identities.iter().map(|stored| &stored.identity) {
            let (connection, subject) = (identity.connection.as_str(), identity.user_id.as_str());
            let sealed = if keeps(connection) { self.directory.credential(connection, subject, kind).await? } else { None };
            let tokens = sealed.and_then(|sealed| {
                let opened = open_credential(self.sealer(), connection, subject, kind, &sealed).ok();
                let tokens = opened.as_ref().and_then(ProviderTokens::read);
                if tokens.is_none() {
                    tracing::error!(
                        correlation_id = by.correlation_id,
                        connection,
                        "tokens of a provider do not open: the seal key is another"
                    );
                }
                tokens
            });
            if tokens.is_some() {
                read.push(json!({ "connection": connection, "subject": subject }));
            }
            all.push(tokens);
        }
        if !read.is_empty() {
            self.audit("user.provider_tokens_read", json!({ "user_id": user.user_id, "identities": read }), by, now).await;
        }
        Ok(all)
    }
}
