//! The link that proves an address, and the page behind it.
//!
//! Anybody can make an account with somebody else's address, and wait until its owner follows the link: it would be proven,
//! and known to somebody else by its password. So the link alone proves nothing: who follows it in another browser than the
//! one in which the account was made types its password, too, or says that they have not made it.

use super::ticket::{Linking, Purpose, SentFor, Ticket};
use super::{Asking, Database, Followed, Letters, too_many, unable};
use crate::broker::password::{answered_after, key};
use crate::broker::{Browser, Gateway, PasswordProblem};
use crate::clock::Timestamp;
use crate::connection::database::{AccountError, find};
use crate::connection::password::{Typed, Unproven};
use crate::error::Result;
use crate::id;
use crate::secret::Secret;
use crate::store::LogType;
use crate::user::User;
use serde_json::Value;
use std::net::IpAddr;
use tokio::time::{Instant, sleep_until};

/// What somebody says of an address and of the account that has it.
#[derive(Clone, Copy)]
pub enum Saying<'a> {
    /// Both are theirs; with the password, where the page asks for it.
    Mine(Option<&'a Secret<String>>),
    /// They have not made the account.
    NotMine,
    /// They have no password that they know, and want a link for another one.
    Forgotten,
}

/// Who follows a link, and when.
#[derive(Clone, Copy)]
pub struct Visit<'a> {
    pub browser: &'a Browser,
    pub address: Option<IpAddr>,
    /// What a mail says that this may cause.
    pub letters: &'a Letters,
    pub now: Timestamp,
}

impl Gateway {
    /// Somebody must prove the address of their account: a link is on its way.
    ///
    /// # Errors
    /// Those of the stores.
    pub async fn remind(&self, connection: &str, name: &str, sent_for: SentFor, letters: &Letters, now: Timestamp) -> Result<()> {
        let Some(database) = self.database(connection) else { return Ok(()) };
        let asking = Asking { application: None, address: None, letters, now };
        self.mail_proof(&database, name, sent_for, asking).await
    }

    /// Mails the link that proves an address to whoever has this name, if anybody has.
    pub(super) async fn mail_proof(&self, database: &Database<'_>, name: &str, sent_for: SentFor, asking: Asking<'_>) -> Result<()> {
        let names = database.settings.names;
        let Some(known) = find(self.directory.as_ref(), database.name(), names, name).await? else { return Ok(()) };
        let how = Linking { proves_address: true, sent_for, ..Linking::default() };
        self.mail_link(database, &known, Purpose::Verify, how, asking).await
    }

    /// A link that proves an address: looked at (what looks through mails does that, too), or answered. The link is what
    /// shows that an answer comes from the page: nobody else knows it.
    ///
    /// # Errors
    /// Those of the stores, and of who keeps the account; the link works on then.
    pub async fn follow_verification(&self, token: &str, said: Option<Saying<'_>>, visit: Visit<'_>) -> Result<Followed> {
        let now = visit.now;
        let Some((ticket, user)) = self.ticket(Purpose::Verify, token, now).await? else { return Ok(Followed::Dead) };
        let Some(database) = self.database(&ticket.connection) else { return Ok(Followed::Dead) };
        let asks_password = !ticket.sent_for.believes(visit.browser);
        let resets = asks_password && self.lets_reset(database.settings);
        let ask = |problem| Followed::Ask {
            email: ticket.email.clone(),
            connection: database.connection.config().display_name.clone(),
            asks_password,
            resets,
            problem,
        };
        let password = match said {
            None => return Ok(ask(None)),
            Some(Saying::NotMine) => return self.disown(token, &database, (&ticket, &user), now).await,
            Some(Saying::Forgotten) if resets => {
                let asking = Asking { application: None, address: visit.address, letters: visit.letters, now };
                return self.send_reset(&database, &ticket.email, asking).await.map(|()| Followed::Sent).map_err(too_many);
            }
            Some(Saying::Forgotten) => return Ok(ask(None)),
            Some(Saying::Mine(password)) => password,
        };
        if asks_password && let Some(problem) = self.other_password(&database, (&ticket, &user), password, visit).await? {
            return Ok(ask(Some(problem)));
        }
        if !self.spend_ticket(token).await? {
            return Ok(Followed::Dead);
        }
        match database.accounts.verify(&ticket.whose(), now).await {
            Ok(()) => {
                self.note_account(LogType::EmailVerified, &user, database.name(), None, now);
                Ok(Followed::Done { result_url: ticket.result_url })
            }
            Err(AccountError::NoSuchUser) => Ok(Followed::Dead),
            Err(error) => {
                self.give_ticket_back(token, &ticket, now).await?;
                Err(unable(&error))
            }
        }
    }

    /// What is wrong with the password of the account, counted and as slow as where people sign in.
    async fn other_password(
        &self,
        database: &Database<'_>,
        (ticket, user): (&Ticket, &User),
        password: Option<&Secret<String>>,
        Visit { address, now, .. }: Visit<'_>,
    ) -> Result<Option<PasswordProblem>> {
        let began = Instant::now();
        let name = if database.settings.names.email { Some(&ticket.email) } else { ticket.username.as_ref() };
        let name = name.map(String::as_str).unwrap_or_default();
        let key = key(database.name(), name, address);
        if let Err(wait) = self.tries.take(&key, now) {
            return Ok(Some(PasswordProblem::TooMany(u32::try_from(wait).unwrap_or(u32::MAX))));
        }
        let answer = match password.and_then(|password| Typed::new(name, password)) {
            Some(typed) => database.accounts.login(typed.name(), typed.password(), now).await,
            None => Err(AccountError::WrongPassword),
        };
        match answer {
            Ok(account) if account.subject == ticket.subject => {
                self.tries.give_back(&key, now);
                Ok(None)
            }
            Ok(_) | Err(AccountError::NoSuchUser | AccountError::WrongPassword | AccountError::Exists | AccountError::TooWeak(_)) => {
                sleep_until(began + answered_after(began.elapsed())).await;
                let why = "a wrong password beside the link that proves an address".to_owned();
                self.note_account(LogType::FailedLoginPassword, user, database.name(), Some(why), now);
                Ok(Some(PasswordProblem::Unproven(Unproven::Wrong)))
            }
            Err(AccountError::Busy) => {
                self.tries.give_back(&key, now);
                sleep_until(began + answered_after(began.elapsed())).await;
                Ok(Some(PasswordProblem::Unproven(Unproven::Busy)))
            }
            // An endpoint may let nobody in whose address is not proven: it says no to the right password, too, each time.
            Err(AccountError::Refused(why)) => {
                self.tries.give_back(&key, now);
                sleep_until(began + answered_after(began.elapsed())).await;
                self.note_account(LogType::FailedLoginPassword, user, database.name(), Some(why), now);
                Ok(Some(PasswordProblem::Unproven(Unproven::Disabled)))
            }
            Err(error) => {
                self.tries.give_back(&key, now);
                Err(unable(&error))
            }
        }
    }

    /// Whoever reads the mails of the address has not made the account: its password becomes one that nobody knows, and all
    /// that it gave ends. Who is in the right after all chooses another one, by a link that goes to the address.
    ///
    /// # Errors
    /// Those that come before the password is another; the link works on then. What fails afterwards is for operators.
    async fn disown(&self, token: &str, database: &Database<'_>, (ticket, user): (&Ticket, &User), now: Timestamp) -> Result<Followed> {
        let stored = user.identity(&ticket.connection, &ticket.subject);
        let proven = stored.is_some_and(|stored| stored.profile.get("email_verified") == Some(&Value::Bool(true)));
        // Somebody has shown by another link that both are theirs.
        if proven || !self.spend_ticket(token).await? {
            return Ok(Followed::Dead);
        }
        let began = Instant::now();
        if let Err(error) = self.end_everything_of(&user.user_id, now).await {
            self.give_ticket_back(token, ticket, now).await?;
            return Err(error);
        }
        let nobodys = Secret::new(id::random_token());
        match database.accounts.change_password(&ticket.whose(), &nobodys, now).await {
            Ok(()) => {}
            Err(AccountError::NoSuchUser) => return Ok(Followed::Dead),
            Err(error) => {
                self.give_ticket_back(token, ticket, now).await?;
                return Err(unable(&error));
            }
        }
        // Whoever signed in with the old password until now, too.
        let failed = self.after_disowning((user, ticket), now.after(began.elapsed())).await.err();
        if let Some(error) = &failed {
            let (connection, source) = (database.name(), error.source.as_ref().map(tracing::field::display));
            tracing::error!(connection, detail = error.detail, source, "an account was disowned, but not all that belongs to it was done");
        }
        let mut why = "whoever has the address has not made the account".to_owned();
        if let Some(error) = failed {
            why = format!("{why}; not all that belongs to it was done: {}", error.detail);
        }
        self.note_account(LogType::PasswordChanged, user, database.name(), Some(why), now);
        Ok(Followed::Disowned)
    }

    /// Each step is taken whatever becomes of the others.
    ///
    /// # Errors
    /// The first failure.
    async fn after_disowning(&self, (user, ticket): (&User, &Ticket), now: Timestamp) -> Result<()> {
        let ended = self.end_everything_of(&user.user_id, now).await;
        let taken = self.take_from_who_came_before(user, ticket, now).await;
        ended.and(taken).and(self.forget_password_links(&ticket.connection, &ticket.subject).await)
    }
}
