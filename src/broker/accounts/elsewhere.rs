//! What operators do with accounts that an endpoint of theirs keeps: it is told first, and what it does not do is not done
//! here either.

use crate::broker::Gateway;
use crate::broker::admin::By;
use crate::clock::Timestamp;
use crate::connection::database::{AccountError, Whose};
use crate::error::{Error, ErrorKind, Result};
use crate::secret::Secret;
use crate::user::{CUSTOM, StoredIdentity};
use serde_json::Value;
use tokio::time::Instant;

impl Gateway {
    /// Deletes the accounts that a user has behind endpoints, before the user goes. One that is not there any more is deleted.
    ///
    /// # Errors
    /// [`ErrorKind::IdpUnreachable`], [`ErrorKind::Conflict`]: nothing may be deleted here then.
    pub async fn delete_accounts_of(&self, user_id: &str, now: Timestamp) -> Result<()> {
        let Some(user) = self.directory.user(user_id).await? else { return Ok(()) };
        for stored in user.identities.iter().filter(|stored| stored.identity.provider == CUSTOM) {
            let Some(database) = self.database(&stored.identity.connection) else { continue };
            match database.accounts.delete(&whose(stored), now).await {
                Ok(()) | Err(AccountError::NoSuchUser) => {}
                Err(error) => return Err(told(&error)),
            }
        }
        Ok(())
    }

    /// Sets the password of a user where it is kept: here, or behind an endpoint.
    ///
    /// # Errors
    /// Those of [`crate::broker::admin::Admin::set_password`], and of [`Self::delete_accounts_of`].
    pub async fn set_password(&self, user_id: &str, password: &Secret<String>, by: By<'_>, now: Timestamp) -> Result<()> {
        let began = Instant::now();
        let user = self.directory.user(user_id).await?;
        let primary = user.as_ref().and_then(|user| user.primary()).filter(|stored| stored.identity.provider == CUSTOM);
        if let Some(stored) = primary {
            let gone = || Error::new(ErrorKind::Conflict, "The connection that keeps the password is not there, or disabled.");
            let database = self.database(&stored.identity.connection).ok_or_else(gone)?;
            self.admin.check_password(&stored.identity.connection, password, [])?;
            database.accounts.change_password(&whose(stored), password, now).await.map_err(|error| told(&error))?;
            self.admin.note_password_set(user_id, &stored.identity.connection, by, now).await;
        } else {
            self.admin.set_password(user_id, password, by, now).await?;
        }
        // Whoever had the old one, or came with it meanwhile, has nothing of it any more. What fails keeps nothing else from
        // happening.
        let mut done = Ok(());
        for stored in user.iter().flat_map(|user| &user.identities) {
            done = done.and(self.forget_password_links(&stored.identity.connection, &stored.identity.user_id).await);
        }
        done.and(self.end_everything_of(user_id, now.after(began.elapsed())).await)
    }
}

fn whose(stored: &StoredIdentity) -> Whose {
    let text = |name: &str| stored.profile.get(name).and_then(Value::as_str).map(str::to_owned);
    Whose { subject: stored.identity.user_id.clone(), email: text("email"), username: text("username") }
}

fn told(error: &AccountError) -> Error {
    let kind = match error {
        AccountError::NoSuchUser => ErrorKind::NotFound,
        AccountError::TooWeak(_) => ErrorKind::InvalidUserData,
        AccountError::Exists | AccountError::WrongPassword | AccountError::Refused(_) => ErrorKind::Conflict,
        AccountError::Busy | AccountError::Unavailable(_) => ErrorKind::IdpUnreachable,
    };
    Error::new(kind, format!("The endpoint that keeps the accounts: {error}"))
}
