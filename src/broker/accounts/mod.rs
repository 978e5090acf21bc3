//! What people do with accounts of databases beside signing in: make one, prove the address, choose another password.
//!
//! Nothing that is answered here tells which accounts there are: that stands in the mails, which only the owner of an address
//! gets. Every answer that could comes at a step of the clock.

mod address;
mod elsewhere;
mod sign_up;
mod ticket;
mod verification;

pub use address::{Saying, Visit};
pub use sign_up::{SignUp, SignUpProblem};
pub use ticket::{Linking, Purpose, SentFor};
pub use verification::Mailed;

use super::admin::passwords::about;
use super::form::Form;
use super::mail::Letter;
use super::password::{answered_after, asked};
use super::{Browser, Gateway, Outcome, PasswordProblem};
use crate::clock::Timestamp;
use crate::connection::Connection;
use crate::connection::database::{AccountError, Accounts, DatabaseSettings, Weakness, find};
use crate::error::{Error, ErrorKind, Result};
use crate::login::LoginTransaction;
use crate::secret::Secret;
use crate::store::{CredentialKind, KnownIdentity, LogEvent, LogType};
use crate::user::{CUSTOM, Identity, User};
use serde_json::{Map, Value};
use std::net::IpAddr;
use std::sync::Arc;
use ticket::{Holder, Ticket};
use tokio::time::{Instant, sleep_until};

/// How often factors are read again that somebody changes meanwhile.
const ATTEMPTS: usize = 5;

/// What mails say, in the person's language: subject and text, with `{connection}`, `{link}` and `{hours}` in them.
#[derive(Clone)]
pub struct Letters {
    pub verify: (String, String),
    pub exists: (String, String),
    pub reset: (String, String),
    pub changed: (String, String),
}

/// Who asks, when, and in which language.
#[derive(Clone, Copy)]
pub struct Asking<'a> {
    /// Client id of the application for which it is.
    pub application: Option<&'a str>,
    pub address: Option<IpAddr>,
    pub letters: &'a Letters,
    pub now: Timestamp,
}

/// A database and its accounts, of one connection.
pub(super) struct Database<'g> {
    pub connection: &'g Arc<dyn Connection>,
    pub settings: &'g DatabaseSettings,
    pub accounts: &'g dyn Accounts,
}

impl Database<'_> {
    pub(super) fn name(&self) -> &str {
        &self.connection.config().name
    }
}

/// What a page about accounts shows, of a login under way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountPage {
    pub transaction_id: String,
    /// Proves that what is typed came from this page.
    pub csrf: String,
    /// Display name of the connection.
    pub connection: String,
    /// As it was typed, or as the application hints.
    pub email: String,
    pub username: String,
    /// People have usernames here.
    pub usernames: bool,
    /// Characters of a password at least.
    pub shortest: usize,
    pub problem: Option<SignUpProblem>,
}

/// What comes of a page about accounts.
#[derive(Debug)]
pub enum Accounted {
    SignUp(AccountPage),
    Reset(AccountPage),
    /// A mail may be on its way. Nobody is told more.
    Sent {
        transaction_id: String,
        purpose: Purpose,
    },
    /// So many were asked for that the next one has to wait for these seconds.
    TooMany(u64),
    /// The login is not there, or lets nobody do this.
    Refused(Outcome),
}

/// What comes of a link.
#[derive(Debug)]
pub enum Followed {
    /// Whose it is: the address, and an account at this connection.
    Ask {
        email: String,
        connection: String,
        /// It is not the browser in which the account was made.
        asks_password: bool,
        /// Whoever does not know it may have a link for another one.
        resets: bool,
        problem: Option<PasswordProblem>,
    },
    /// The same for a password, and what is wrong with the one that was typed.
    AskPassword {
        email: String,
        shortest: usize,
        problem: Option<Weakness>,
    },
    Done {
        result_url: Option<String>,
    },
    /// A link for another password may be on its way.
    Sent,
    /// Whoever made the account has no way in any more.
    Disowned,
    /// It does not work, or not any more.
    Dead,
}

impl Gateway {
    /// The database of this name, if it is enabled.
    pub(super) fn database(&self, name: &str) -> Option<Database<'_>> {
        let connection = self.connections.enabled(name)?;
        let (settings, accounts) = connection.accounts()?;
        Some(Database { connection, settings, accounts })
    }

    /// May people make accounts there?
    pub(super) fn lets_sign_up(&self, settings: &DatabaseSettings) -> bool {
        settings.sign_up && self.mailer.is_there()
    }

    /// May people choose another password there?
    pub(super) fn lets_reset(&self, settings: &DatabaseSettings) -> bool {
        settings.reset && settings.names.email && self.mailer.is_there()
    }

    /// The page on which people ask for a link, of a login under way: looked at, or sent with an address.
    pub async fn ask_reset(
        &self,
        transaction_id: &str,
        typed: Option<&str>,
        csrf: Option<&str>,
        browser: &Browser,
        asking: Asking<'_>,
    ) -> Accounted {
        let (UnderWay { transaction, database }, page) = match self.account_page(transaction_id, Form::Reset, browser, asking.now).await {
            Ok(found) => found,
            Err(outcome) => return Accounted::Refused(*outcome),
        };
        let ours = self.is_our_form(Form::Reset, &transaction, csrf).unwrap_or(false);
        let Some(email) = typed.map(str::trim).filter(|email| ours && !email.is_empty()) else { return Accounted::Reset(page) };
        match self.send_reset(&database, email, asking).await {
            Ok(()) => Accounted::Sent { transaction_id: transaction.id, purpose: Purpose::Password },
            Err(wait) => Accounted::TooMany(wait),
        }
    }

    /// A link for a new password, asked for by a program: the answer is the same whoever there is.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidRequest`] where the application or the connection does not do this;
    /// [`ErrorKind::TooManyRequests`].
    pub async fn reset_by_program(&self, client_id: &str, connection: &str, email: &str, asking: Asking<'_>) -> Result<()> {
        let database = self.database_for(client_id, connection)?;
        if !self.lets_reset(database.settings) {
            return Err(Error::new(ErrorKind::InvalidRequest, "people of this connection cannot choose another password here"));
        }
        self.send_reset(&database, email.trim(), asking).await.map_err(too_many)
    }

    /// The database of an application, by names that a program gives.
    pub(super) fn database_for(&self, client_id: &str, connection: &str) -> Result<Database<'_>> {
        let refuse = |what: &str| Error::new(ErrorKind::InvalidRequest, what);
        let application = self.application(client_id).ok_or_else(|| refuse("client_id is no application that is known here"))?;
        let usable = self.database(connection).filter(|_| self.accepts(application, connection));
        usable.ok_or_else(|| refuse("connection is no database of this application"))
    }

    /// Whoever has the address gets a link by mail, after a time that tells nothing. `Err`: seconds to wait.
    async fn send_reset(&self, database: &Database<'_>, name: &str, asking: Asking<'_>) -> Result<(), u64> {
        let began = Instant::now();
        self.mailer.ask(asking.address, asking.now)?;
        if let Err(error) = self.send_reset_inner(database, name, asking).await {
            tracing::warn!(connection = database.name(), %error, "a link for a new password cannot be sent");
        }
        sleep_until(began + answered_after(began.elapsed())).await;
        Ok(())
    }

    async fn send_reset_inner(&self, database: &Database<'_>, name: &str, asking: Asking<'_>) -> Result<()> {
        let names = database.settings.names;
        let Some(known) = find(self.directory.as_ref(), database.name(), names, name).await? else { return Ok(()) };
        let how = Linking { proves_address: true, ..Linking::default() };
        self.mail_link(database, &known, Purpose::Password, how, asking).await
    }

    /// Sends a link to the address of an account, unless too many went there.
    pub(super) async fn mail_link(
        &self,
        database: &Database<'_>,
        known: &KnownIdentity,
        purpose: Purpose,
        how: Linking,
        asking: Asking<'_>,
    ) -> Result<()> {
        let Some(email) = known.profile.get("email").and_then(Value::as_str) else { return Ok(()) };
        if !self.mailer.is_there() || !self.mailer.may_write_to(purpose.page(), database.name(), email, asking.now) {
            return Ok(());
        }
        let username = known.profile.get("username").and_then(Value::as_str);
        let holder = Holder { connection: database.name(), subject: &known.subject, email, username };
        let link = self.link_for(purpose, holder, how, asking.now).await?;
        let words = match purpose {
            Purpose::Verify => &asking.letters.verify,
            Purpose::Password => &asking.letters.reset,
        };
        self.write_to(database, email, words, Some((purpose, &link)), asking.now).await
    }

    async fn write_to(
        &self,
        database: &Database<'_>,
        email: &str,
        (subject, text): &(String, String),
        link: Option<(Purpose, &str)>,
        now: Timestamp,
    ) -> Result<()> {
        let name = &database.connection.config().display_name;
        let hours = link.map_or(0, |(purpose, _)| purpose.life() / 3600).to_string();
        let mut text = text.replace("{hours}", &hours);
        if let Some((_, link)) = link {
            text = text.replace("{link}", link);
        }
        let letter =
            Letter { to: email.to_owned(), subject: subject.replace("{connection}", name), text: text.replace("{connection}", name) };
        self.post(&letter, now).await
    }

    /// A link for somebody's first account at a database, or at this one, that has an address; `None` where there is none.
    ///
    /// # Errors
    /// Those of the stores.
    pub async fn link_for_user(
        &self,
        purpose: Purpose,
        (user, at): (&User, Option<&str>),
        how: Linking,
        now: Timestamp,
    ) -> Result<Option<String>> {
        for stored in user.identities.iter().filter(|stored| at.is_none_or(|at| at == stored.identity.connection)) {
            let text = |name: &str| stored.profile.get(name).and_then(Value::as_str);
            let (connection, subject) = (stored.identity.connection.as_str(), stored.identity.user_id.as_str());
            if let (Some(_), Some(email)) = (self.database(connection), text("email")) {
                let holder = Holder { connection, subject, email, username: text("username") };
                return self.link_for(purpose, holder, how, now).await.map(Some);
            }
        }
        Ok(None)
    }

    /// The user who has this address at a database.
    ///
    /// # Errors
    /// Those of the directory.
    pub async fn holder_of(&self, connection: &str, email: &str) -> Result<Option<User>> {
        let Some(database) = self.database(connection) else { return Ok(None) };
        let Some(known) = find(self.directory.as_ref(), connection, database.settings.names, email).await? else { return Ok(None) };
        self.directory.user(&known.user_id).await
    }

    /// A link by which a password is chosen: looked at, or sent with one. All sessions end with the old password; what cannot
    /// be done besides is for the operators, as the password is changed.
    pub async fn follow_reset(&self, token: &str, typed: Option<&Secret<String>>, letters: &Letters, now: Timestamp) -> Result<Followed> {
        let began = Instant::now();
        let Some((ticket, user)) = self.ticket(Purpose::Password, token, now).await? else { return Ok(Followed::Dead) };
        let Some(database) = self.database(&ticket.connection) else { return Ok(Followed::Dead) };
        let policy = &database.settings.policy;
        let ask = |problem| Followed::AskPassword { email: ticket.email.clone(), shortest: policy.min_length, problem };
        let Some(password) = typed else { return Ok(ask(None)) };
        let stored = user.identity(&ticket.connection, &ticket.subject);
        if let Err(weakness) = policy.check(password.expose(), stored.into_iter().flat_map(about)) {
            return Ok(ask(Some(weakness)));
        }
        if !self.spend_ticket(token).await? {
            return Ok(Followed::Dead);
        }
        match database.accounts.change_password(&ticket.whose(), password, now).await {
            Ok(()) => {}
            Err(AccountError::NoSuchUser) => return Ok(Followed::Dead),
            Err(error) => {
                self.note_account(LogType::FailedPasswordChange, &user, database.name(), Some(error.to_string()), now);
                // Nothing has happened: the link works as before.
                self.give_ticket_back(token, &ticket, now).await?;
                return match error {
                    AccountError::TooWeak(weakness) => Ok(ask(Some(weakness))),
                    error => Err(unable(&error)),
                };
            }
        }
        // Whoever signed in with the old password while the new one was hashed has nothing of it either.
        let failed = self.after_reset(&database, (&user, &ticket), letters, now.after(began.elapsed())).await.err();
        if let Some(error) = &failed {
            let (connection, source) = (database.name(), error.source.as_ref().map(tracing::field::display));
            tracing::error!(connection, detail = error.detail, source, "a password was changed, but not all that belongs to it was done");
        }
        let why = failed.map(|error| format!("not all that belongs to it was done: {}", error.detail));
        self.note_account(LogType::PasswordChanged, &user, database.name(), why, now);
        Ok(Followed::Done { result_url: ticket.result_url })
    }

    /// What belongs to a new password. There is no way back from one, so each step is taken whatever becomes of the others.
    ///
    /// # Errors
    /// The first failure.
    async fn after_reset(
        &self,
        database: &Database<'_>,
        (user, ticket): (&User, &Ticket),
        letters: &Letters,
        now: Timestamp,
    ) -> Result<()> {
        let mut done = self.end_everything_of(&user.user_id, now).await;
        if ticket.proves_address {
            let stored = user.identity(&ticket.connection, &ticket.subject);
            let taken = if stored.is_some_and(|stored| is_settled(&stored.identity.provider, &stored.profile)) {
                Ok(())
            } else {
                self.take_from_who_came_before(user, ticket, now).await
            };
            // Whoever followed it reads the mail of the address. Until all is taken the next one is to take it.
            let noted = match taken {
                Ok(()) => database.accounts.verify(&ticket.whose(), now).await.map_err(|error| unable(&error)),
                Err(error) => Err(error),
            };
            done = done.and(noted);
        }
        if self.mailer.is_there() {
            done = done.and(self.write_to(database, &ticket.email, &letters.changed, None, now).await);
        }
        done
    }

    /// Nobody had proven the address before: whoever has made the account may be somebody else, who has no way in any more.
    async fn take_from_who_came_before(&self, user: &User, ticket: &Ticket, now: Timestamp) -> Result<()> {
        let (connection, subject) = (ticket.connection.as_str(), ticket.subject.as_str());
        let mut taken = self.forget_factors(connection, subject, now).await;
        let is_it = |identity: &Identity| identity.connection == connection && identity.user_id == subject;
        let is_primary = user.primary().is_some_and(|stored| is_it(&stored.identity));
        for identity in user.identities.iter().map(|stored| &stored.identity) {
            if is_it(identity) != is_primary {
                taken = taken.and(self.directory.unlink(&user.user_id, &identity.connection, &identity.user_id, now).await.map(drop));
            }
        }
        taken
    }

    async fn forget_factors(&self, connection: &str, subject: &str, now: Timestamp) -> Result<()> {
        let kind = CredentialKind::Factors;
        for _ in 0..ATTEMPTS {
            let Some(sealed) = self.directory.credential(connection, subject, kind).await? else { return Ok(()) };
            // They may be others since they were read: a code that is used changes them, too.
            if self.directory.change_credential(connection, subject, kind, (Some(&sealed), None), now).await? {
                return Ok(());
            }
        }
        Err(Error::new(ErrorKind::Conflict, "Others keep changing the second factors of this account."))
    }

    pub(super) fn note_account(&self, kind: LogType, user: &User, connection: &str, why: Option<String>, now: Timestamp) {
        let (user_id, connection) = (Some(user.user_id.clone()), Some(connection.to_owned()));
        self.log.record(LogEvent { user_id, connection, description: why, ..LogEvent::new(kind, now) });
    }

    /// The login that a page belongs to, the database to which it was sent, and the page, if people may do there what it is
    /// for.
    async fn account_page(
        &self,
        transaction_id: &str,
        form: Form,
        browser: &Browser,
        now: Timestamp,
    ) -> Result<(UnderWay<'_>, AccountPage), Box<Outcome>> {
        let refused = |error| Box::new(Outcome::refused(error, None));
        let transaction = self.login_of(transaction_id, browser, now).await.map_err(refused)??;
        let Some(database) = asked(&transaction).and_then(|(name, _)| self.database(name)) else {
            let error = Error::new(ErrorKind::UnknownConnection, "This sign-in has no accounts of its own, or not any more.");
            return Err(Box::new(Outcome::refused(error, Some(transaction.restart)).in_login(&transaction.correlation_id)));
        };
        let may = match form {
            Form::SignUp => self.lets_sign_up(database.settings),
            _ => self.lets_reset(database.settings),
        };
        let under_way = UnderWay { transaction, database };
        if !may {
            return Err(Box::new(under_way.not_here()));
        }
        let page = self.shown(&under_way, form).map_err(refused)?;
        Ok((under_way, page))
    }

    fn shown(&self, under_way: &UnderWay<'_>, form: Form) -> Result<AccountPage> {
        let UnderWay { transaction, database } = under_way;
        Ok(AccountPage {
            transaction_id: transaction.id.clone(),
            csrf: self.csrf_of(form, transaction)?,
            connection: database.connection.config().display_name.clone(),
            email: transaction.asked.login_hint.clone().filter(|hint| hint.contains('@')).unwrap_or_default(),
            username: String::new(),
            usernames: database.settings.names.username,
            shortest: database.settings.policy.min_length,
            problem: None,
        })
    }
}

/// Whoever has attached something to the account is its owner: the address was proven before, or an endpoint keeps the account
/// that does not speak of proofs, so that no login ever shows one.
fn is_settled(provider: &str, profile: &Map<String, Value>) -> bool {
    match profile.get("email_verified") {
        Some(said) => said == &Value::Bool(true),
        None => provider == CUSTOM,
    }
}

/// A login, and the database to which it was sent.
struct UnderWay<'g> {
    transaction: LoginTransaction,
    database: Database<'g>,
}

impl UnderWay<'_> {
    fn not_here(&self) -> Outcome {
        let error = Error::new(ErrorKind::NotFound, "This is not possible here.");
        Outcome::refused(error, Some(self.transaction.restart.clone())).in_login(&self.transaction.correlation_id)
    }
}

fn unable(error: &AccountError) -> Error {
    let told = "The account cannot be changed at the moment.";
    Error::new(ErrorKind::StoreUnavailable, told).because(error.to_string()).again_in(5)
}

fn too_many(wait: u64) -> Error {
    Error::new(ErrorKind::TooManyRequests, "too many messages were asked for from this address").again_in(wait)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::user::DATABASE;
    use serde_json::json;

    #[test]
    fn only_an_endpoint_may_say_nothing_of_proofs() {
        let settled = |provider: &str, profile: Value| is_settled(provider, &profile.as_object().cloned().unwrap_or_default());
        for provider in [DATABASE, CUSTOM] {
            assert!(settled(provider, json!({ "email_verified": true })), "{provider}");
            for unproven in [json!(false), json!(null), json!("true")] {
                assert!(!settled(provider, json!({ "email_verified": unproven })), "{provider} {unproven}");
            }
        }
        assert!(settled(CUSTOM, json!({ "email": "jane@acme.example" })));
        assert!(!settled(DATABASE, json!({ "email": "jane@acme.example" })));
    }
}
