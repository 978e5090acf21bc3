//! Mails that an operator's program has sent to people, by which they prove the address of an account.

use super::Letters;
use super::ticket::{Holder, Linking, Purpose, SentFor};
use crate::broker::Gateway;
use crate::clock::Timestamp;
use crate::error::Result;
use crate::user::{StoredIdentity, User};
use serde_json::Value;

/// What comes of asking for such a mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mailed {
    /// It is in the queue, on its way from this connection.
    Queued { connection: String },
    /// Nobody can be written to.
    NoAccount,
    /// There is nothing to prove.
    Verified,
    /// As many went there as may.
    TooMany,
}

impl Gateway {
    /// Mails a link that proves the address of an account of this user: of the one that is `meant`, or of the first at a
    /// database that has an address.
    ///
    /// # Errors
    /// Those of the stores.
    pub async fn mail_verification(
        &self,
        user: &User,
        meant: impl Fn(&StoredIdentity) -> bool,
        letters: &Letters,
        now: Timestamp,
    ) -> Result<Mailed> {
        let text = |stored: &StoredIdentity, name: &str| stored.profile.get(name).and_then(Value::as_str).map(str::to_owned);
        let accounts = user.identities.iter().filter(|stored| meant(stored));
        let mut accounts = accounts.filter_map(|stored| {
            let database = self.database(&stored.identity.connection)?;
            Some((stored, database, text(stored, "email")?))
        });
        let Some((stored, database, email)) = accounts.next() else { return Ok(Mailed::NoAccount) };
        if stored.profile.get("email_verified") == Some(&Value::Bool(true)) {
            return Ok(Mailed::Verified);
        }
        if !self.mailer.may_write_to(Purpose::Verify.page(), database.name(), &email, now) {
            return Ok(Mailed::TooMany);
        }
        let username = text(stored, "username");
        let holder =
            Holder { connection: database.name(), subject: &stored.identity.user_id, email: &email, username: username.as_deref() };
        // Programs have it sent for whoever has signed up with the address, too.
        let how = Linking { proves_address: true, sent_for: SentFor::Somebody(None), ..Linking::default() };
        let link = self.link_for(Purpose::Verify, holder, how, now).await?;
        self.write_to(&database, &email, &letters.verify, Some((Purpose::Verify, &link)), now).await?;
        Ok(Mailed::Queued { connection: database.name().to_owned() })
    }
}
