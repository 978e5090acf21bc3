//! Databases: connections whose people have their passwords with us, or at an endpoint of the operator's.
//!
//! What every such connection can do is one trait, [`Accounts`], with five operations. The pages for signing in, signing up,
//! resetting a password and proving an address go through it and know nothing of who answers.

mod connection;
mod custom;
mod digest;
mod foreign;
mod hashing;
mod own;
mod policy;
mod settings;

pub use connection::DatabaseConnection;
pub use custom::{CustomSettings, SECRET as CUSTOM_SECRET, SigningSecret};
pub use hashing::kept as hashed_password;
pub use own::find;
pub use policy::{PasswordPolicy, SHORTEST};
pub use settings::{DatabaseSettings, Names};

use crate::clock::Timestamp;
use crate::secret::Secret;
use serde_json::{Map, Value};
use std::fmt;
use std::pin::Pin;

/// Where people have their accounts.
///
/// Whoever implements it answers for timing ([`Accounts::login`]) and keeps passwords to itself: none may come into an error,
/// a log or a trace. Addresses and usernames are compared without regard to case.
pub trait Accounts: Send + Sync {
    /// Whose name and password these are. It takes as long for who is not there as for who is.
    ///
    /// # Errors
    /// [`AccountError::NoSuchUser`] and [`AccountError::WrongPassword`], which people are told in the same words;
    /// [`AccountError::Busy`], [`AccountError::Unavailable`], [`AccountError::Refused`].
    fn login<'a>(&'a self, name: &'a str, password: &'a Secret<String>, now: Timestamp) -> Answering<'a, Account>;

    /// Makes an account. The password keeps the connection's rules already.
    ///
    /// # Errors
    /// [`AccountError::Exists`], [`AccountError::TooWeak`], or that nobody could say.
    fn create<'a>(&'a self, new: &'a NewAccount, now: Timestamp) -> Answering<'a, Account>;

    /// Somebody has proven that the address of their account is theirs.
    ///
    /// # Errors
    /// [`AccountError::NoSuchUser`] where the account is gone, or has another address by now; or that nobody could say.
    fn verify<'a>(&'a self, whose: &'a Whose, now: Timestamp) -> Answering<'a, ()>;

    /// Deletes an account.
    ///
    /// # Errors
    /// [`AccountError::NoSuchUser`], or that nobody could say.
    fn delete<'a>(&'a self, whose: &'a Whose, now: Timestamp) -> Answering<'a, ()>;

    /// Gives an account another password, which keeps the connection's rules already. From here on the one before is worth
    /// nothing.
    ///
    /// # Errors
    /// [`AccountError::NoSuchUser`] where the account is gone; [`AccountError::TooWeak`], or that nobody could say.
    fn change_password<'a>(&'a self, whose: &'a Whose, password: &'a Secret<String>, now: Timestamp) -> Answering<'a, ()>;
}

/// An answer that may have to be waited for.
pub type Answering<'a, T> = Pin<Box<dyn Future<Output = Result<T, AccountError>> + Send + 'a>>;

/// Somebody's account.
#[derive(Clone, Debug, PartialEq)]
pub struct Account {
    /// Unique and unchanging at this connection: the subject of the identity, without the prefix `auth0|`.
    pub subject: String,
    /// By the names of the normalized profile: `email`, `email_verified`, `username`, `name`, `given_name`, ..; what is not
    /// known is not there.
    pub profile: Map<String, Value>,
    /// First-level members that the account's keeper writes into the user's `app_metadata`; empty for who keeps it here.
    pub app_metadata: Map<String, Value>,
}

impl Account {
    pub fn text(&self, name: &str) -> Option<&str> {
        self.profile.get(name).and_then(Value::as_str)
    }
}

/// An account that is to be made.
#[derive(Clone, Debug)]
pub struct NewAccount {
    /// As it was typed; at most one account has it.
    pub email: String,
    /// Where the connection has usernames.
    pub username: Option<String>,
    pub password: Secret<String>,
    /// `name`, `given_name`, `family_name`, `nickname`, `picture`, as far as they were given.
    pub profile: Map<String, Value>,
    /// At most ten texts.
    pub user_metadata: Map<String, Value>,
}

/// The account that something is done with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whose {
    pub subject: String,
    /// Of [`Accounts::verify`]: the address that was proven. Otherwise the one that is known.
    pub email: Option<String>,
    pub username: Option<String>,
}

/// Why something was not done.
#[derive(Debug)]
pub enum AccountError {
    NoSuchUser,
    WrongPassword,
    /// Somebody has the address or the username.
    Exists,
    TooWeak(Weakness),
    /// More is to be done than can be: the next try may succeed.
    Busy,
    /// Nobody can say now; the words are for operators.
    Unavailable(String),
    /// It is not done, or what was answered cannot be used; the words are for operators.
    Refused(String),
}

impl fmt::Display for AccountError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchUser => f.write_str("there is no such account"),
            Self::WrongPassword => f.write_str("the password is wrong"),
            Self::Exists => f.write_str("somebody has this address or username"),
            Self::TooWeak(_) => f.write_str("the password is too weak"),
            Self::Busy => f.write_str("too many passwords are being looked at"),
            Self::Unavailable(why) | Self::Refused(why) => f.write_str(why),
        }
    }
}

/// What is wrong with a password that somebody has chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weakness {
    /// It has fewer characters than this.
    Short(usize),
    /// It has more octets than this.
    Long(usize),
    /// It has fewer than so many of lower case, upper case, digits and others.
    Uniform(usize),
    /// It is among those that are tried first.
    Common,
    /// It is made of the person's name or address.
    Personal,
    /// Who keeps the account has rules of their own.
    Unsuitable,
}
