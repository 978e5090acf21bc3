//! Making an account of one's own. On the page, an address that somebody has and one that nobody has get the same answer at
//! the same time; the mail tells its owner.

use super::{Accounted, Asking, Database, Purpose, SentFor, UnderWay, too_many};
use crate::broker::form::Form;
use crate::broker::mail::is_mailbox;
use crate::broker::password::answered_after;
use crate::broker::{Browser, Gateway, Outcome};
use crate::connection::database::{Account, AccountError, Names, NewAccount, Weakness, find};
use crate::error::{Error, ErrorKind, Result};
use crate::secret::Secret;
use crate::store::{LogEvent, LogType};
use crate::user::metadata::Part;
use crate::user::own::OwnPatch;
use crate::user::patch::{Editor, UserPatch};
use serde_json::{Map, Value};
use tokio::time::{Instant, sleep_until};

/// What somebody has typed, or a program sends for them.
#[derive(Clone, Debug)]
pub struct SignUp {
    pub email: String,
    pub username: Option<String>,
    pub password: Secret<String>,
    /// `name`, `given_name`, `family_name`, `nickname`, `picture`.
    pub profile: Map<String, Value>,
    pub user_metadata: Map<String, Value>,
}

/// What is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignUpProblem {
    Email,
    Username,
    /// Somebody has it. That cannot be kept from who wants it, too.
    UsernameTaken,
    Password(Weakness),
    /// Of what a program sends; says what.
    Other(String),
    /// Somebody has the address: for programs, which Auth0's answers tell as much.
    Exists,
    Busy,
}

/// S3-6: members of `user_metadata`, and characters of each.
const MEMBERS: usize = 10;
const CHARACTERS: usize = 500;

impl Gateway {
    /// The page on which people make an account, of a login under way: looked at, or sent.
    pub async fn sign_up(
        &self,
        transaction_id: &str,
        typed: Option<&SignUp>,
        csrf: Option<&str>,
        browser: &Browser,
        asking: Asking<'_>,
    ) -> Accounted {
        let (UnderWay { transaction, database }, mut page) =
            match self.account_page(transaction_id, Form::SignUp, browser, asking.now).await {
                Ok(found) => found,
                Err(outcome) => return Accounted::Refused(*outcome),
            };
        let ours = self.is_our_form(Form::SignUp, &transaction, csrf).unwrap_or(false);
        let Some(typed) = typed.filter(|_| ours) else { return Accounted::SignUp(page) };
        if let Err(wait) = self.mailer.ask(asking.address, asking.now) {
            return Accounted::TooMany(wait);
        }
        let began = Instant::now();
        let made = self.make_account(&database, typed, Some(&transaction.browser), asking).await;
        sleep_until(began + answered_after(began.elapsed())).await;
        let sent = Accounted::Sent { transaction_id: transaction.id.clone(), purpose: Purpose::Verify };
        match made {
            Ok(Ok(_) | Err(SignUpProblem::Exists)) => sent,
            Ok(Err(problem)) => {
                page.email.clone_from(&typed.email);
                page.username = typed.username.clone().unwrap_or_default();
                page.problem = Some(problem);
                Accounted::SignUp(page)
            }
            Err(error) => {
                Accounted::Refused(Outcome::refused(error, Some(transaction.restart.clone())).in_login(&transaction.correlation_id))
            }
        }
    }

    /// An account made by a program, in the form of Auth0's endpoint. A program is told that an account is there.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidRequest`] where the application or the connection does not do this;
    /// [`ErrorKind::TooManyRequests`].
    pub async fn sign_up_by_program(
        &self,
        client_id: &str,
        connection: &str,
        new: &SignUp,
        asking: Asking<'_>,
    ) -> Result<Result<Account, SignUpProblem>> {
        let database = self.database_for(client_id, connection)?;
        if !self.lets_sign_up(database.settings) {
            return Err(Error::new(ErrorKind::InvalidRequest, "people cannot sign up at this connection"));
        }
        self.mailer.ask(asking.address, asking.now).map_err(too_many)?;
        let began = Instant::now();
        let made = self.make_account(&database, new, None, asking).await;
        sleep_until(began + answered_after(began.elapsed())).await;
        made
    }

    /// `browser`: the digest of the one in which it is made.
    async fn make_account(
        &self,
        database: &Database<'_>,
        new: &SignUp,
        browser: Option<&String>,
        asking: Asking<'_>,
    ) -> Result<Result<Account, SignUpProblem>> {
        let account = match new_account(database, new) {
            Ok(account) => account,
            Err(problem) => return Ok(Err(problem)),
        };
        let letters = asking.letters;
        match database.accounts.create(&account, asking.now).await {
            Ok(made) => {
                self.note_new(database, &made, asking);
                self.mail_proof(database, &new.email, SentFor::Somebody(browser.cloned()), asking).await?;
                Ok(Ok(made))
            }
            Err(AccountError::Exists) => {
                // Told whatever the address is, so that nothing is learned of that.
                if let Some(username) = &account.username {
                    let names = Names { email: false, username: true };
                    if find(self.directory.as_ref(), database.name(), names, username).await?.is_some() {
                        return Ok(Err(SignUpProblem::UsernameTaken));
                    }
                }
                if self.mailer.may_write_to("exists", database.name(), &account.email, asking.now) {
                    self.write_to(database, &account.email, &letters.exists, None, asking.now).await?;
                }
                Ok(Err(SignUpProblem::Exists))
            }
            Err(AccountError::TooWeak(weakness)) => Ok(Err(SignUpProblem::Password(weakness))),
            Err(AccountError::Busy) => Ok(Err(SignUpProblem::Busy)),
            Err(error) => {
                self.log.record(LogEvent {
                    connection: Some(database.name().to_owned()),
                    client_id: asking.application.map(str::to_owned),
                    description: Some(error.to_string()),
                    ..LogEvent::new(LogType::FailedSignup, asking.now)
                });
                Err(super::unable(&error))
            }
        }
    }

    fn note_new(&self, database: &Database<'_>, made: &Account, asking: Asking<'_>) {
        let identity = database.connection.config().identity(&made.subject);
        self.log.record(LogEvent {
            user_id: Some(identity.user_id_for_new_user()),
            connection: Some(identity.connection),
            client_id: asking.application.map(str::to_owned),
            ..LogEvent::new(LogType::Signup, asking.now)
        });
    }
}

/// What is asked for, if it keeps all rules.
fn new_account(database: &Database<'_>, new: &SignUp) -> Result<NewAccount, SignUpProblem> {
    let (email, username) = (new.email.trim(), new.username.as_deref().map(str::trim).filter(|name| !name.is_empty()));
    let names = database.settings.names;
    let fits = |name: &str, value: &str| {
        let mut members = Map::from_iter([(name.to_owned(), Value::from(value))]);
        OwnPatch::take(&mut members).is_ok()
    };
    if !fits("email", email) || !is_mailbox(email) {
        return Err(SignUpProblem::Email);
    }
    // An address for a username would be somebody else's name.
    let is_username = |name: &str| fits("username", name) && !name.contains('@');
    match username {
        Some(name) if names.username && !is_username(name) => return Err(SignUpProblem::Username),
        None if names.username => return Err(SignUpProblem::Username),
        _ => {}
    }
    let free = [("profile", &new.profile), (Part::UserMetadata.name(), &new.user_metadata)];
    if let Some(problem) = free.into_iter().find_map(|(what, members)| wrong(what, members)) {
        return Err(SignUpProblem::Other(problem));
    }
    let about = [Some(email), username].into_iter().flatten().chain(new.profile.values().filter_map(Value::as_str));
    database.settings.policy.check(new.password.expose(), about).map_err(SignUpProblem::Password)?;
    Ok(NewAccount {
        email: email.to_owned(),
        username: username.filter(|_| names.username).map(str::to_owned),
        password: new.password.clone(),
        profile: new.profile.clone(),
        user_metadata: new.user_metadata.clone(),
    })
}

/// What is wrong with root attributes, or with metadata (S3-6).
fn wrong(what: &str, members: &Map<String, Value>) -> Option<String> {
    let is_metadata = what == Part::UserMetadata.name();
    if is_metadata && members.len() > MEMBERS {
        return Some(format!("{what} has more than {MEMBERS} members"));
    }
    let too_long = |value: &Value| value.as_str().is_none_or(|text| text.chars().count() > CHARACTERS);
    if let Some((name, _)) = members.iter().find(|(_, value)| too_long(value)) {
        return Some(format!("{what}: {name} is no text of at most {CHARACTERS} characters"));
    }
    // The rules that everybody has who edits users.
    let object = if is_metadata { Map::from_iter([(what.to_owned(), Value::Object(members.clone()))]) } else { members.clone() };
    UserPatch::parse(&object, Editor::Operator).err().map(|error| error.detail)
}
