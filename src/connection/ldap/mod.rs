//! A directory by LDAP as a connection: OpenLDAP, Active Directory and their like. People type name and password into our
//! page, and the directory says whether they belong together.

mod answer;
mod groups;
mod pool;
mod settings;
mod text;

pub use pool::check_authorities;
pub use settings::{Find, Groups, LdapSettings, Lookup, Nested, Search};
pub use text::{is_filter, names};

use super::circuit::{Circuit, LEFT_ALONE};
use super::config::{ConnectionConfig, ConnectionKind};
use super::password::{self, NotProven, Proving, Typed, Unproven};
use super::{Authentication, BrowserStep, Connection, Refused, UpstreamRequest};
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::id;
use crate::login::trace::{Step as Note, Trace};
use crate::login::{PendingAuthn, TimeBy, UpstreamSession};
use crate::profile::Fact;
use answer::{Entry, Verdict};
use pool::{Fault, Line, Pool, Role};
use std::sync::Arc;
use text::Form;

const CONTEXT: &str = super::config::PASSWORD_CONTEXT;

/// One directory.
pub struct LdapConnection {
    config: ConnectionConfig,
    settings: Arc<LdapSettings>,
    issuer: String,
    pool: Pool,
    circuit: Circuit,
}

/// Somebody whose password was right.
struct Proven {
    entry: Entry,
    groups: groups::Found,
}

/// A login that goes on, or why it does not.
enum Outcome {
    Proven(Proven),
    Not(Unproven, String),
}

impl LdapConnection {
    /// `issuer`: our public address, without a trailing slash.
    ///
    /// # Errors
    /// When the connection is no directory, or its certificates cannot be used.
    pub fn new(config: ConnectionConfig, issuer: &str) -> Result<Self> {
        let ConnectionKind::Ldap(settings) = &config.kind else {
            return Err(Error::new(ErrorKind::Internal, "the connection does not speak LDAP"));
        };
        let settings = Arc::clone(settings);
        Ok(Self { pool: Pool::new(Arc::clone(&settings))?, circuit: Circuit::default(), settings, config, issuer: issuer.to_owned() })
    }

    async fn verify(&self, typed: Typed<'_>, now: Timestamp, trace: &mut Trace) -> Result<Authentication, NotProven> {
        let asked = self.ask(typed, now, trace).await;
        let proven = match asked {
            Ok(Outcome::Proven(proven)) => proven,
            Ok(Outcome::Not(Unproven::Locked, reason)) if !self.settings.tell_locked => {
                return Err(NotProven::again(Unproven::Wrong, reason));
            }
            Ok(Outcome::Not(why, reason)) => return Err(NotProven::again(why, reason)),
            Err(fault) => {
                tracing::warn!(connection = self.config.name, reason = %fault, "a directory cannot be asked");
                check(trace, now, "ldap-directory", false, "an answer", &fault.to_string());
                return Err(NotProven::again(Unproven::Unavailable, fault.to_string()));
            }
        };
        let Proven { entry, groups } = proven;
        let subject = entry.subject(&self.settings.subject_attribute);
        let (attribute, found) = (&self.settings.subject_attribute, if subject.is_some() { "one value" } else { "none, or several" });
        check(trace, now, "ldap-subject", subject.is_some(), &format!("one value of {attribute}"), found);
        let subject = subject.ok_or_else(|| {
            let error = Error::new(ErrorKind::IdpResponseInvalid, format!("the entry does not have one value of {attribute}"));
            NotProven::Refused(Box::new(Refused { error, reason: "ldap-subject".to_owned(), alarm: false, status: None }))
        })?;
        if groups.cut {
            check(trace, now, "ldap-groups", false, "all groups", &format!("more than are read; the first {}", groups.groups.len()));
        }
        let mut attributes = entry.raw(&self.settings, &groups.groups);
        attributes.set_fact(Fact::Subject, subject.as_str());
        attributes.set_fact(Fact::AuthnContext, CONTEXT);
        Ok(Authentication {
            identity: self.config.identity(&subject),
            attributes,
            auth_time: now,
            auth_time_by: TimeBy::Witness,
            acr: Some(self.config.acr_here(CONTEXT)),
            upstream: UpstreamSession { authn_context: Some(CONTEXT.to_owned()), ..UpstreamSession::default() },
            tokens: None,
            app_metadata: serde_json::Map::new(),
            once: Vec::new(),
        })
    }

    /// A connection that lay unused may have been closed: then everything is asked again, once, by a new one.
    async fn ask(&self, typed: Typed<'_>, now: Timestamp, trace: &mut Trace) -> Result<Outcome, Fault> {
        let _place = self.pool.turn().await?;
        let turn = self.circuit.turn(now).ok_or_else(|| Fault::Unreachable(LEFT_ALONE.to_owned()))?;
        let answered = match self.ask_by(typed, false, now, trace).await {
            Err(Fault::Lost(_)) => self.ask_by(typed, true, now, trace).await,
            answered => answered,
        };
        match answered {
            Err(Fault::Lost(_) | Fault::Unreachable(_)) => turn.note(false),
            // Nobody knows whether it is the directory or what was typed: another may ask.
            Err(Fault::Slow) => drop(turn),
            // Whatever it says, it can be reached.
            Ok(_) | Err(Fault::Wrong(_)) => turn.note(true),
        }
        answered
    }

    async fn ask_by(&self, typed: Typed<'_>, fresh: bool, now: Timestamp, trace: &mut Trace) -> Result<Outcome, Fault> {
        match &self.settings.find {
            Find::Search { search, .. } => self.search_then_bind(search, typed, fresh, now, trace).await,
            Find::Direct { name, search } => self.direct(name, search.as_ref(), typed, fresh, now, trace).await,
        }
    }

    async fn search_then_bind(
        &self,
        search: &Search,
        typed: Typed<'_>,
        fresh: bool,
        now: Timestamp,
        trace: &mut Trace,
    ) -> Result<Outcome, Fault> {
        let mut account = self.pool.take(Role::Searching, fresh).await?;
        let entries = account.search(search, &filter_for(search, typed)?, &self.settings.attributes, 2).await?;
        let found = entries.len();
        check(trace, now, "ldap-entry", found == 1, "one entry with this name", &found.to_string());
        let mut entries = entries.into_iter();
        let entry = entries.next().filter(|entry| found == 1 && !entry.dn.is_empty());
        // Whoever is not there is tried like everybody else, so that nobody learns of it by the clock.
        let nobody = format!("cn={},{}", id::random_id(), search.base);
        let dn = entry.as_ref().map_or(nobody.as_str(), |entry| entry.dn.as_str());
        let mut person = self.pool.take(Role::Proving, fresh).await?;
        let verdict = person.prove(dn, typed.password().expose()).await?;
        person.give_back();
        note(trace, now, &verdict);
        let outcome = match (verdict, entry) {
            (Verdict::Accepted, Some(entry)) => self.with_groups(entry, &mut account).await?,
            (Verdict::No(why, reason), Some(_)) => Outcome::Not(why, reason),
            (Verdict::No(Unproven::Unavailable, reason), None) => Outcome::Not(Unproven::Unavailable, reason),
            (_, None) => Outcome::Not(Unproven::Wrong, format!("{found} entries have this name")),
        };
        account.give_back();
        Ok(outcome)
    }

    async fn direct(
        &self,
        name: &str,
        search: Option<&Search>,
        typed: Typed<'_>,
        fresh: bool,
        now: Timestamp,
        trace: &mut Trace,
    ) -> Result<Outcome, Fault> {
        let form = if name.contains('=') { Form::Dn } else { Form::Plain };
        let Some(name) = text::put(name, form, |_| Some(typed.name())) else {
            return Ok(Outcome::Not(Unproven::Wrong, "no account can have this name".to_owned()));
        };
        let mut person = self.pool.take(Role::Proving, fresh).await?;
        let verdict = person.prove(&name, typed.password().expose()).await?;
        note(trace, now, &verdict);
        if let Verdict::No(why, reason) = verdict {
            person.give_back();
            return Ok(Outcome::Not(why, reason));
        }
        let entry = match search {
            Some(search) => {
                let entries = person.search(search, &filter_for(search, typed)?, &self.settings.attributes, 2).await?;
                check(trace, now, "ldap-entry", entries.len() == 1, "one entry with this name", &entries.len().to_string());
                <[Entry; 1]>::try_from(entries).ok().map(|[entry]| entry)
            }
            None => person.entry(&name, &self.settings.attributes).await?,
        };
        let Some(entry) = entry else { return Err(Fault::Wrong("people cannot read their own entry, or there are several".to_owned())) };
        if search.is_some() {
            // Who was bound by one name may be another than who is found by it: the password is of the entry, or of nobody.
            let verdict = person.prove(&entry.dn, typed.password().expose()).await?;
            check(trace, now, "ldap-same-entry", matches!(verdict, Verdict::Accepted), "the entry's own password", "another entry's");
            if let Verdict::No(why, reason) = verdict {
                person.give_back();
                return Ok(Outcome::Not(why, reason));
            }
        }
        let outcome = self.with_groups(entry, &mut person).await?;
        person.give_back();
        Ok(outcome)
    }

    async fn with_groups(&self, entry: Entry, line: &mut Line<'_>) -> Result<Outcome, Fault> {
        let groups = groups::of(&self.settings.groups, &entry, line).await?;
        Ok(Outcome::Proven(Proven { entry, groups }))
    }
}

impl Connection for LdapConnection {
    fn begin(
        &self,
        transaction_id: &str,
        asked: &UpstreamRequest,
        now: Timestamp,
        trace: &mut Trace,
    ) -> Result<(BrowserStep, PendingAuthn)> {
        password::begin(&self.config, &self.issuer, transaction_id, asked, now, trace)
    }

    fn asks_password(&self) -> bool {
        true
    }

    fn verify_password<'a>(&'a self, typed: Typed<'a>, _pending: &'a PendingAuthn, now: Timestamp, trace: &'a mut Trace) -> Proving<'a> {
        Box::pin(self.verify(typed, now, trace))
    }

    fn metadata(&self, _now: Timestamp) -> Result<(&'static str, String)> {
        Err(Error::new(ErrorKind::NotFound, "A directory needs no metadata of ours."))
    }

    fn config(&self) -> &ConnectionConfig {
        &self.config
    }
}

fn filter_for(search: &Search, typed: Typed<'_>) -> Result<String, Fault> {
    text::put(&search.filter, Form::Filter, |_| Some(typed.name())).ok_or_else(|| Fault::Wrong("the filter cannot be used".to_owned()))
}

/// Nothing that was typed: it may be a password in the wrong field.
fn check(trace: &mut Trace, now: Timestamp, name: &'static str, passed: bool, expected: &str, found: &str) {
    trace.note(now, Note::Check { name: name.into(), passed, expected: expected.to_owned(), found: found.to_owned() });
}

fn note(trace: &mut Trace, now: Timestamp, verdict: &Verdict) {
    let found = match verdict {
        Verdict::Accepted => "accepted",
        Verdict::No(_, reason) => reason,
    };
    check(trace, now, "ldap-password", *verdict == Verdict::Accepted, "accepted", found);
}
