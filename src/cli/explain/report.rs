//! The whole explanation. As JSON its members are stable: they may be added to, and none is renamed or removed.

use super::input::{Input, attributes_of_file, attributes_of_token};
use super::person::{Mapping, Person, Released, Terms};
use crate::application::Application;
use crate::clock::Timestamp;
use crate::connection::config::ConnectionConfig;
use crate::connection::explain::{Examined, Examiner, Message, Refusal};
use crate::error::ErrorKind;
use crate::oidc::Scopes;
use crate::profile::dialect::Dialect;
use crate::profile::{Fact, RawAttribute, RawAttributes};
use crate::saml::Check;
use crate::user::Identity;
use crate::user::linking::Policy;
use serde::Serialize;
use serde_json::{Map, Value, json};

#[derive(Debug, Serialize)]
pub struct Report {
    pub verdict: Verdict,
    /// Why a login would be refused; empty unless `verdict` is `refused`.
    pub refusals: Vec<RefusedBy>,
    pub input: Value,
    pub connection: Value,
    pub time: Time,
    /// Of the message, in the order in which a login makes them; also those after the first that failed.
    pub checks: Vec<Row>,
    /// Of the settings: who may sign in where.
    pub policy: Vec<Row>,
    /// Everything below comes from a message whose checks passed. Otherwise anybody may have written it.
    pub verified: bool,
    /// Absent when the message cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub said: Option<Said>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mapping: Option<Mapping>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub person: Option<Person>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub released: Option<Released>,
    /// What was assumed, and what was not looked at.
    pub notes: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// A login would go through.
    Accepted,
    Refused,
    /// The file is none that a login could bring; what can be told of it, says nothing against it.
    NotJudged,
}

#[derive(Debug, Serialize)]
pub struct RefusedBy {
    /// `message`, `settings`, `mapping` or `application`.
    pub by: &'static str,
    /// Stable name of the failed check.
    pub name: String,
    /// Diagnostic code.
    pub code: &'static str,
    pub meaning: String,
}

/// As of when the message was checked.
#[derive(Debug, Serialize)]
pub struct Time {
    pub at: String,
    /// `message` (its own IssueInstant), `option` or `now`.
    pub from: &'static str,
    pub now: String,
    /// Whether every check passes now. Absent where there is none that depends on time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accepted_now: Option<bool>,
    /// The check that fails now, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused_now: Option<Value>,
}

#[derive(Debug, Serialize)]
pub struct Row {
    pub name: &'static str,
    /// `null`: not checked.
    pub passed: Option<bool>,
    pub expected: String,
    pub found: String,
}

/// What the message says, before any mapping.
#[derive(Debug, Serialize)]
pub struct Said {
    /// By the names that mapping rows have for them, without the `$`.
    pub facts: Map<String, Value>,
    pub attributes: Vec<RawAttribute>,
}

/// What is asked of an explanation.
pub struct Question<'a> {
    pub config: &'a ConnectionConfig,
    pub examiner: &'a Examiner<'a>,
    pub application: Option<&'a Application>,
    pub scopes: Option<Scopes>,
    pub dialect: Option<Dialect>,
    /// `--at`.
    pub at: Option<Timestamp>,
    pub now: Timestamp,
    /// What is to be said beside the result.
    pub notes: Vec<String>,
}

/// Stands for a subject that the file does not name.
const NOBODY: &str = "(unknown)";

/// What the message was found to be.
struct Judged {
    checks: Vec<Row>,
    refusal: Option<Refusal>,
    verified: bool,
    time: Time,
    at: Timestamp,
    read: Option<(Option<Identity>, RawAttributes)>,
}

impl Question<'_> {
    pub fn answer(mut self, input: &Input) -> Report {
        let judged = match input {
            Input::Saml { message, .. } => self.judge(message),
            Input::IdToken { algorithm, claims } => self.read_token(algorithm, claims),
            Input::Claims(claims) => self.read_claims(claims),
        };
        let Judged { checks, refusal, verified, time, at, read } = judged;
        let is_message = matches!(input, Input::Saml { .. });
        let policy = self.policy();
        let mut refusals: Vec<RefusedBy> = refusal.map(|refusal| RefusedBy::of("message", refusal)).into_iter().collect();
        if is_message {
            refusals.extend(policy.iter().filter(|row| row.passed == Some(false)).map(RefusedBy::by_settings));
        }
        let mut report = Report {
            verdict: Verdict::NotJudged,
            input: json!({ "kind": input.kind(), "form": input.form() }),
            connection: json!({
                "name": self.config.name, "display_name": self.config.display_name, "enabled": self.config.enabled,
                "mapping": self.config.mapping.name(),
            }),
            time,
            checks,
            policy,
            verified,
            said: None,
            mapping: None,
            person: None,
            released: None,
            refusals,
            notes: Vec::new(),
        };
        if let Some((identity, attributes)) = read {
            self.map(&mut report, identity, &attributes, at);
        }
        report.verdict = match (report.refusals.is_empty(), is_message) {
            (false, _) => Verdict::Refused,
            (true, true) => Verdict::Accepted,
            (true, false) => Verdict::NotJudged,
        };
        report.notes = self.notes;
        report
    }

    fn map(&mut self, report: &mut Report, identity: Option<Identity>, attributes: &RawAttributes, at: Timestamp) {
        let identity = identity.unwrap_or_else(|| {
            self.notes.push(format!("Nobody is named as the subject; {NOBODY} stands in its place."));
            self.examiner.identity(NOBODY)
        });
        let terms = Terms { config: self.config, identity: &identity, at, verified: report.verified, dialect: self.dialect };
        let (mapping, person) = terms.map(attributes);
        if let Some(error) = &mapping.error {
            report.refusals.push(RefusedBy::new("mapping", "profile-incomplete", ErrorKind::ProfileIncomplete, error.to_string()));
        }
        let released =
            person.as_ref().zip(self.application).map(|(person, application)| terms.release(person, application, self.scopes.as_ref()));
        if let Some(error) = released.as_ref().and_then(Released::error) {
            report.refusals.push(RefusedBy::new("application", "release", ErrorKind::Misconfigured, error.to_string()));
        }
        (report.said, report.mapping, report.person, report.released) = (Some(Said::of(attributes)), Some(mapping), person, released);
    }

    /// A SAML message: as of its own time, or the one that was asked for, and as of now.
    fn judge(&mut self, message: &Message) -> Judged {
        let own = message.head.as_ref().and_then(|head| head.issue_instant);
        let (at, from) = match (self.at, own) {
            (Some(at), _) => (at, "option"),
            (None, Some(own)) => (own, "message"),
            (None, None) => (self.now, "now"),
        };
        let Examined { checks, refusal, verified, said } = self.examiner.examine(message, at);
        let today = self.examiner.examine(message, self.now).refusal;
        self.note_assumptions(message, at);
        let read = match said {
            Ok(statement) => Some((statement.identity, statement.attributes)),
            Err(unread) => {
                self.notes.push(format!("What the message says of a person cannot be read: {}", unread.meaning));
                None
            }
        };
        let time = Time {
            at: at.to_string(),
            from,
            now: self.now.to_string(),
            accepted_now: Some(today.is_none()),
            refused_now: today.map(|refusal| json!({ "name": refusal.name, "meaning": refusal.meaning })),
        };
        Judged { checks: checks.into_iter().map(Row::from).collect(), refusal, verified, time, at, read }
    }

    fn note_assumptions(&mut self, message: &Message, at: Timestamp) {
        let Some(head) = &message.head else { return };
        if let Some(id) = &head.in_response_to {
            self.notes.push(format!("Which request was sent is not known here: {id}, which the message answers, is taken for it."));
        }
        if head.is_assertion {
            self.notes
                .push("This is an assertion alone. A login needs the Response around it; what stands in there is not checked.".into());
        }
        if self.examiner.always_asks_for_a_fresh_login() {
            let sent_at = self.examiner.pending(message, at).sent_at;
            self.notes.push(format!(
                "The connection asks for a fresh sign-in. When the request was sent is not known here: {sent_at} is taken, since no login may take longer."
            ));
        }
        self.notes.push("Whether the message was used before is not looked at; a login accepts each once.".into());
        if self.config.linking.policy != Policy::Never {
            self.notes.push("Whether the identity would join a known account is not looked at: no directory is opened.".into());
        }
    }

    fn read_token(&mut self, algorithm: &str, claims: &Map<String, Value>) -> Judged {
        let found = format!("not checked (algorithm {algorithm})");
        let checks =
            vec![Row { name: "signature", passed: None, expected: "a signature by a key of the identity provider".to_owned(), found }];
        self.notes.push("There are no OpenID Connect connections in this version: the token is only decoded and mapped.".into());
        let attributes = attributes_of_token(claims);
        let subject = attributes.fact(Fact::Subject).map(|subject| self.config.profile.subject_comparison.kept(subject));
        let identity = subject.map(|user_id| Identity { provider: "oidc".to_owned(), user_id, ..self.examiner.identity("") });
        self.unjudged(checks, identity, attributes)
    }

    fn read_claims(&self, claims: &Map<String, Value>) -> Judged {
        let attributes = attributes_of_file(claims);
        let sources = self.examiner.subject_attribute().map_or_else(|| vec!["$subject", "$name_id", "sub"], |name| vec![name]);
        let identity = sources.into_iter().find_map(|source| attributes.first_text(source)).map(|subject| self.examiner.identity(subject));
        self.unjudged(Vec::new(), identity, attributes)
    }

    fn unjudged(&self, checks: Vec<Row>, identity: Option<Identity>, attributes: RawAttributes) -> Judged {
        let at = self.at.unwrap_or(self.now);
        let from = if self.at.is_some() { "option" } else { "now" };
        let time = Time { at: at.to_string(), from, now: self.now.to_string(), accepted_now: None, refused_now: None };
        Judged { checks, refusal: None, verified: false, time, at, read: Some((identity, attributes)) }
    }

    /// Who may sign in where, as the configuration has it.
    fn policy(&self) -> Vec<Row> {
        let row = |name, passed: bool, expected: &str, found: &str| Row {
            name,
            passed: Some(passed),
            expected: expected.to_owned(),
            found: if passed { expected.to_owned() } else { found.to_owned() },
        };
        let mut rows = vec![
            row("connection-enabled", self.config.enabled, "enabled", "disabled: it is refused on every entry"),
            row(
                "connection-signs-in",
                !self.config.profile.link_only,
                "people sign in by it",
                "its identities are only linked (link_only)",
            ),
        ];
        if let Some(application) = self.application {
            let known = application.connections.as_ref().is_none_or(|names| names.contains(&self.config.name));
            rows.push(row("application-enabled", application.enabled, "enabled", "disabled"));
            rows.push(row("application-connection", known, "its users may come by this connection", "not among its connections"));
        }
        rows
    }
}

impl RefusedBy {
    fn new(by: &'static str, name: &str, kind: ErrorKind, meaning: String) -> Self {
        Self { by, name: name.to_owned(), code: kind.wire().code, meaning }
    }

    fn of(by: &'static str, refusal: Refusal) -> Self {
        Self::new(by, refusal.name, refusal.kind, refusal.meaning)
    }

    fn by_settings(row: &Row) -> Self {
        let kind = match row.name {
            "connection-signs-in" => ErrorKind::LinkOnlyIdentity,
            "application-enabled" => ErrorKind::UnauthorizedClient,
            _ => ErrorKind::UnknownConnection,
        };
        Self::new("settings", row.name, kind, format!("Expected: {}. Found: {}.", row.expected, row.found))
    }
}

impl From<Check> for Row {
    fn from(check: Check) -> Self {
        Self { name: check.name, passed: Some(check.passed), expected: check.expected, found: check.found }
    }
}

impl Said {
    fn of(raw: &RawAttributes) -> Self {
        let facts = Fact::ALL.iter().filter_map(|(name, fact)| Some(((*name).to_owned(), raw.fact(*fact)?.into())));
        Self { facts: facts.collect(), attributes: raw.attributes().to_vec() }
    }
}
