//! What an operator wrote, and how it may run.

use crate::secret::Secret;
use std::collections::BTreeMap;

/// A rule or an action. Order among scripts of one kind is by `order`, then by name.
#[derive(Clone, Debug)]
pub struct Script {
    /// Unique among the scripts of its kind.
    pub id: String,
    pub name: String,
    pub kind: Kind,
    pub enabled: bool,
    pub order: i64,
    pub code: String,
    /// `event.secrets` of an action; for rules, whose `configuration` is one for all, empty.
    pub secrets: BTreeMap<String, Secret<String>>,
    /// Hosts that `fetch` may ask, lower case; none by default.
    pub hosts: Vec<String>,
    pub on_error: OnError,
    pub limits: Limits,
}

/// Which of the two models, and for an action when it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// `function (user, context, callback)`.
    Rule,
    /// `exports.onExecute.. = async (event, api) => ..`.
    Action(Trigger),
}

/// When an action runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Trigger {
    PostLogin,
    CredentialsExchange,
    PreUserRegistration,
}

impl Trigger {
    pub const ALL: &'static [Self] = &[Self::PostLogin, Self::CredentialsExchange, Self::PreUserRegistration];

    /// As the management API and the configuration name it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::PostLogin => "post-login",
            Self::CredentialsExchange => "credentials-exchange",
            Self::PreUserRegistration => "pre-user-registration",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|known| known.name() == text)
    }

    /// The function that the script exports.
    pub const fn function(self) -> &'static str {
        match self {
            Self::PostLogin => "onExecutePostLogin",
            Self::CredentialsExchange => "onExecuteCredentialsExchange",
            Self::PreUserRegistration => "onExecutePreUserRegistration",
        }
    }
}

/// What becomes of the login when the script throws, or exceeds a limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnError {
    /// The login fails.
    #[default]
    Fail,
    /// The login goes on as if the script had not run.
    Continue,
}

/// For one run of one script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Milliseconds of wall clock, `fetch` included.
    pub time: u64,
    /// Bytes of memory, shared by the scripts of one login.
    pub memory: usize,
    /// Bytes of metadata that a run may persist.
    pub persisted: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { time: 1000, memory: 16 * 1024 * 1024, persisted: 16 * 1024 }
    }
}
