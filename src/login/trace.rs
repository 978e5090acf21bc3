//! The login trace: one recorder on the transaction that notes every step.
//!
//! Explain pages, test logins and replays are views of this one record. It is kept seven days. Secrets and
//! tokens never enter it: only the functions here add to it, and none takes one.

use crate::clock::Timestamp;
use crate::profile::{RawAttributes, Written};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::borrow::Cow;

/// Seconds that a trace is kept.
pub const KEPT: u64 = 7 * 24 * 3600;

/// Detail of a mapping row whose value no trace shows.
pub const NOT_RECORDED: &str = "not recorded";

/// A text that the program mostly knows beforehand.
pub type Word = Cow<'static, str>;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "step")]
pub enum Step {
    /// The application's request came in.
    RequestIn { application: String, parameters: Vec<(String, String)> },
    /// `next_step` decided.
    Decision { what: String, why: Word },
    /// A request went to the identity provider.
    RequestOut { connection: String, binding: Word, destination: String, request_id: String, facts: Vec<(String, String)> },
    /// One check of the identity provider's answer.
    Check { name: Word, passed: bool, expected: String, found: String },
    /// What the connection said, before mapping. Made by [`Step::received`], which bounds it; `cut` names what is not whole.
    Received {
        connection: String,
        attributes: RawAttributes,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        cut: Vec<String>,
    },
    /// One row of a mapping table: into the profile, or out of it.
    Mapping { direction: Word, field: String, source: Option<String>, value: Option<Value>, outcome: Word },
    /// The profile after mapping and defaults.
    Profile {
        #[serde(deserialize_with = "Written::buffered")]
        profile: Written,
    },
    /// To whom it belongs, and why.
    User { user_id: String, created: bool, why: Word },
    /// A rule or an action ran. Values of secrets, and such as are not to be kept, are not in it.
    Script {
        script: String,
        /// `rule` or `action`.
        kind: Word,
        /// Microseconds.
        took: u64,
        /// `done`, `denied`, `redirected` or `failed`.
        status: Word,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        changes: Vec<ScriptChange>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        log: Vec<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<ScriptFailure>,
    },
    /// What went to the application, and where.
    Released {
        application: String,
        to: Word,
        #[serde(deserialize_with = "Written::buffered")]
        claims: Written,
    },
    /// The login ended well.
    Finished { reply: String },
    /// The login ended here.
    Refused { code: String, reason: String, detail: String },
}

/// One path that a script has changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScriptChange {
    pub path: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
}

/// Why a script failed, and where in its own text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScriptFailure {
    pub message: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<u32>,
    /// The limit that was exceeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<String>,
}

/// A step with its time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    pub at: Timestamp,
    pub event: Step,
}

/// The recorder.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Trace {
    pub entries: Vec<Entry>,
}

impl Trace {
    pub fn note(&mut self, at: Timestamp, step: Step) {
        self.entries.push(Entry { at, event: step });
    }

    /// Store key of a part of the trace of a login.
    pub fn key(correlation_id: &str, part: Part) -> String {
        format!("{{{correlation_id}}}trace:{}", part.name())
    }

    /// Store keys of all parts, in order.
    pub fn keys(correlation_id: &str) -> Vec<String> {
        Part::ALL.iter().map(|part| Self::key(correlation_id, *part)).collect()
    }
}

/// A trace is written by several requests, each its own part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// From the application's request to the identity provider.
    Begin,
    /// The person's choice of an identity provider.
    Choice,
    /// The identity provider's answer and what became of it.
    Login,
    /// The second factor after a password, and what became of the login.
    Factor,
    /// What the person answered to the question whether a known account is theirs.
    LinkChoice,
    /// The new identity, proven once more.
    LinkAgain,
    /// The known account, proven.
    LinkProof,
    /// The second factor after the password of such a proof.
    LinkFactor,
    /// The return from a page to which a script had sent the person.
    Continue,
    /// Whether the person agreed to what the application gets.
    Consent,
    /// What the token endpoint released.
    Token,
}

impl Part {
    pub const ALL: [Self; 11] = [
        Self::Begin,
        Self::Choice,
        Self::Login,
        Self::Factor,
        Self::LinkChoice,
        Self::LinkAgain,
        Self::LinkProof,
        Self::LinkFactor,
        Self::Continue,
        Self::Consent,
        Self::Token,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Begin => "begin",
            Self::Choice => "choice",
            Self::Login => "login",
            Self::Factor => "factor",
            Self::LinkChoice => "link-choice",
            Self::LinkAgain => "link-again",
            Self::LinkProof => "link-proof",
            Self::LinkFactor => "link-factor",
            Self::Continue => "continue",
            Self::Consent => "consent",
            Self::Token => "token",
        }
    }
}
