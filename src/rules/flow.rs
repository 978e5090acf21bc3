//! A login's way through its scripts: which one is next, with what, and what came of it.
//!
//! Plain data between two scripts, so that a login can go on in another context, or on another thread, from where the last
//! script had left it. What a script did counts only once it has ended well; of one that failed nothing is left, except
//! that a refusal stands.

use super::api::{Effects, LoginView, View};
use super::mask::Mask;
use super::rule_data::RuleData;
use super::sandbox::Fault;
use super::{Denial, Kind, MetadataChange, OnError, Outcome, Ran, Redirect, Script, ScriptError, Status};
use super::{claims, position};
use crate::user::metadata::{self, Part, Update};
use serde_json::{Map, Value};
use std::sync::Arc;
use std::time::Duration;

pub(super) struct Flow {
    pub(super) steps: Vec<Step>,
    pub(super) at: usize,
    pub(super) rules: Option<RuleData>,
    /// `configuration` in JSON.
    pub(super) configuration: Arc<str>,
    pub(super) event: Map<String, Value>,
    pub(super) login: Arc<LoginView>,
    pub(super) outcome: Outcome,
    /// What is stored, and what is to be.
    pub(super) user_metadata: Map<String, Value>,
    pub(super) app_metadata: Map<String, Value>,
    /// What actions asked for, to be stored at the end.
    pub(super) pending: MetadataChange,
    pub(super) mask: Mask,
    pub(super) over: bool,
}

/// A script, and what of it is called.
pub(super) struct Step {
    pub(super) script: Arc<Script>,
    pub(super) entry: &'static str,
    pub(super) optional: bool,
}

/// One script's run, to be done without the flow.
pub(super) struct Task {
    pub(super) script: Arc<Script>,
    pub(super) entry: &'static str,
    pub(super) optional: bool,
    pub(super) view: View,
    pub(super) mask: Mask,
    /// `[user, context]` to begin with, where the context does not have it.
    pub(super) load: Option<String>,
    pub(super) event: String,
    pub(super) secrets: String,
}

/// What came of it.
pub(super) struct Done {
    pub(super) run: u32,
    /// Of a rule, `[user, context]` as it left them.
    pub(super) result: Result<Option<String>, Fault>,
    pub(super) effects: Effects,
    /// With what the script made known to be secret.
    pub(super) mask: Option<Mask>,
    pub(super) took: Duration,
}

impl Flow {
    /// Octets of memory that the engine may have: of the scripts to come, the most.
    pub(super) fn memory(&self) -> usize {
        self.steps.iter().skip(self.at).map(|step| step.script.limits.memory).max().unwrap_or_default()
    }

    pub(super) fn configuration(&self) -> Arc<str> {
        Arc::clone(&self.configuration)
    }

    pub(super) fn issuer(&self) -> &str {
        &self.login.issuer
    }

    /// The next script begins in a context that has seen none of this login.
    pub(super) fn in_new_context(&mut self) {
        if let Some(rules) = &mut self.rules {
            rules.loaded = false;
        }
    }

    /// The next script. `None` when the login has been through.
    pub(super) fn next(&mut self) -> Option<Task> {
        if self.is_over() {
            return None;
        }
        let step = self.steps.get(self.at)?;
        let of_rule = step.script.kind == Kind::Rule;
        let (script, entry, optional) = (Arc::clone(&step.script), step.entry, step.optional);
        let (event, secrets) = if of_rule { (String::new(), String::new()) } else { (self.event(), secrets_json(&script.secrets)) };
        let load = self.rules.as_mut().and_then(RuleData::unloaded_text);
        Some(Task { script, entry, optional, view: self.view(), mask: self.mask.clone(), load, event, secrets })
    }

    /// Is there no next script?
    pub(super) fn is_over(&mut self) -> bool {
        let of_rule = !self.over && self.steps.get(self.at).is_some_and(|step| step.script.kind == Kind::Rule);
        if !of_rule {
            self.conclude_rules();
        }
        self.over || self.at >= self.steps.len()
    }

    /// A line in the log of the last script that ran.
    pub(super) fn note(&mut self, line: &str) {
        if let Some(ran) = self.outcome.ran.last_mut() {
            ran.log.push(line.to_owned());
        }
    }

    /// Takes what came of the script that [`Self::next`] gave.
    pub(super) fn commit(&mut self, done: Done) {
        let Some(step) = self.steps.get(self.at) else { return };
        let script = Arc::clone(&step.script);
        self.at += 1;
        if let Some(mask) = done.mask {
            self.mask = mask;
        }
        let mut effects = done.effects;
        let denial = match &done.result {
            Err(Fault::Thrown { text, denies: true, .. }) => Some(text.clone()),
            _ => effects.denied.take(),
        };
        let limit = effects.limit;
        let log = std::mem::take(&mut effects.log);
        let mut ran = Ran {
            script: script.name.clone(),
            kind: if script.kind == Kind::Rule { "rule" } else { "action" }.to_owned(),
            took: u64::try_from(done.took.as_micros()).unwrap_or(u64::MAX),
            status: Status::Done,
            changes: Vec::new(),
            log,
        };
        let failed = |fault: &Fault| position::error(fault, done.run, &script, limit);
        if let Some(message) = denial {
            // A refusal stands, and so does what the script stored; it changes nothing else of this login.
            self.persist(script.kind, &mut effects, &mut ran);
            self.outcome.denied = Some(Denial { script: script.name.clone(), message: cut(&self.mask.text(&message)) });
            ran.status = Status::Denied;
            self.over = true;
        } else {
            let result = match (done.result, script.kind) {
                (Ok(Some(text)), Kind::Rule) => self.commit_rule(&script, &text, &mut ran).map_err(|why| failed(&Fault::thrown(why))),
                (Ok(_), _) => Ok(()),
                (Err(fault), _) => Err(failed(&fault)),
            };
            match result {
                Ok(()) => {
                    self.persist(script.kind, &mut effects, &mut ran);
                    self.commit_effects(&script, effects, &mut ran);
                }
                Err(error) => self.fail(&script, error, &mut ran),
            }
        }
        self.outcome.ran.push(ran);
    }

    /// Everything, when there is no next script.
    pub(super) fn finish(mut self) -> Outcome {
        self.conclude_rules();
        let pending = std::mem::take(&mut self.pending);
        if self.outcome.failed.is_none() && pending != MetadataChange::default() {
            self.outcome.persist.push(pending);
        }
        self.outcome
    }

    fn fail(&mut self, script: &Script, error: ScriptError, ran: &mut Ran) {
        ran.status = Status::Failed(position::cut(self.mask.error(error)));
        if script.on_error == OnError::Fail {
            self.outcome.failed = Some(script.name.clone());
            self.over = true;
        } else if let Some(rules) = &mut self.rules {
            rules.loaded = false;
        }
    }

    fn commit_rule(&mut self, script: &Script, text: &str, ran: &mut Ran) -> Result<(), String> {
        let Some(rules) = &mut self.rules else { return Ok(()) };
        rules.commit(script, text, &self.mask, ran)
    }

    /// The rules have run: what they left is the login's.
    fn conclude_rules(&mut self) {
        let Some(rules) = self.rules.take() else { return };
        let mut login = LoginView { rules: self.ran_rules(), ..LoginView::default() };
        login.issuer.clone_from(&self.login.issuer);
        (login.now, login.can_redirect) = (self.login.now, self.login.can_redirect);
        (login.ip, login.returned) = (self.login.ip.clone(), self.login.returned.clone());
        self.login = Arc::new(login);
        if let Some(redirect) = rules.conclude(&mut self.outcome)
            && !self.over
        {
            self.outcome.redirect = Some(redirect);
            self.over = true;
        }
    }

    fn ran_rules(&self) -> Vec<String> {
        let done = self.steps.iter().take(self.at).filter(|step| step.script.kind == Kind::Rule);
        done.flat_map(|step| [step.script.id.clone(), step.script.name.clone()]).collect()
    }

    fn persist(&mut self, kind: Kind, effects: &mut Effects, ran: &mut Ran) {
        for change in std::mem::take(&mut effects.persist) {
            let before = (self.user_metadata.clone(), self.app_metadata.clone());
            self.remember(&change);
            for (path, old, new) in [("user_metadata", before.0, &self.user_metadata), ("app_metadata", before.1, &self.app_metadata)] {
                self.mask.differences(path, Some(&old.into()), Some(&new.clone().into()), &mut ran.changes);
            }
            if kind == Kind::Rule {
                self.outcome.persist.push(change);
            } else {
                self.pending.user_metadata.extend(change.user_metadata);
                self.pending.app_metadata.extend(change.app_metadata);
            }
        }
    }

    pub(super) fn remember(&mut self, change: &MetadataChange) {
        overlay(&mut self.user_metadata, Part::UserMetadata, &change.user_metadata);
        overlay(&mut self.app_metadata, Part::AppMetadata, &change.app_metadata);
    }

    fn commit_effects(&mut self, script: &Script, effects: Effects, ran: &mut Ran) {
        let (outcome, mask) = (&mut self.outcome, &self.mask);
        for (path, ours, theirs) in [
            ("id_token", &mut outcome.id_token_claims, effects.id_token),
            ("access_token", &mut outcome.access_token_claims, effects.access_token),
            ("transaction", &mut outcome.transaction_metadata, effects.transaction),
        ] {
            for (name, value) in theirs {
                mask.differences(&format!("{path}.{name}"), ours.get(&name), Some(&value), &mut ran.changes);
                ours.insert(name, value);
            }
        }
        for (name, value) in effects.saml {
            mask.differences(&format!("saml.{name}"), outcome.saml.get(&name), Some(&value), &mut ran.changes);
            match (outcome.saml.get_mut(&name), value) {
                (Some(Value::Object(ours)), Value::Object(theirs)) if name == "attributes" => ours.extend(theirs),
                (_, value) => drop(outcome.saml.insert(name, value)),
            }
        }
        if let Some(scopes) = effects.scopes {
            let before = outcome.scopes.take().unwrap_or_else(|| requested_scopes(&self.event));
            mask.differences("scopes", Some(&before.into()), Some(&scopes.clone().into()), &mut ran.changes);
            outcome.scopes = Some(scopes);
        }
        if let Some(user) = effects.primary_user {
            let before = outcome.primary_user.take().map(Value::from);
            mask.differences("primary_user", before.as_ref(), Some(&user.clone().into()), &mut ran.changes);
            outcome.primary_user = Some(user);
        }
        outcome.methods.extend(effects.methods);
        outcome.validation_errors.extend(effects.validation);
        if let Some(url) = effects.redirect {
            outcome.redirect = Some(Redirect { script: script.id.clone(), url });
            ran.status = Status::Redirected;
            self.over = true;
        }
    }

    fn view(&self) -> View {
        let text = |name: &str| self.outcome.user.get(name).and_then(Value::as_str);
        View {
            user_id: text("user_id").unwrap_or_default().to_owned(),
            user_metadata: self.user_metadata.clone(),
            app_metadata: self.app_metadata.clone(),
            scopes: self.outcome.scopes.clone().unwrap_or_else(|| requested_scopes(&self.event)),
            login: Arc::clone(&self.login),
        }
    }

    /// `event` of an action: the user as rules left it, with everything that is to be stored.
    fn event(&self) -> String {
        let mut event = self.event.clone();
        let mut user = self.outcome.user.clone();
        for change in self.outcome.persist.iter().chain([&self.pending]) {
            for (part, change) in [(Part::UserMetadata, &change.user_metadata), (Part::AppMetadata, &change.app_metadata)] {
                if change.is_empty() {
                    continue;
                }
                if let Value::Object(stored) = user.entry(part.name()).or_insert_with(|| Map::new().into()) {
                    overlay(stored, part, change);
                }
            }
        }
        event.insert("user".to_owned(), user.into());
        if !self.outcome.transaction_metadata.is_empty() {
            let transaction = event.entry("transaction").or_insert_with(|| Map::new().into());
            if let Value::Object(transaction) = transaction {
                transaction.insert("metadata".to_owned(), self.outcome.transaction_metadata.clone().into());
            }
        }
        Value::Object(event).to_string()
    }
}

fn overlay(stored: &mut Map<String, Value>, part: Part, change: &Map<String, Value>) {
    if !change.is_empty() {
        *stored = metadata::updated(part, stored, change, Update::Merge);
    }
}

fn requested_scopes(event: &Map<String, Value>) -> Vec<String> {
    event.get("transaction").and_then(|transaction| transaction.get("requested_scopes")).and_then(claims::scopes).unwrap_or_default()
}

pub(super) fn secrets_json(secrets: &std::collections::BTreeMap<String, crate::secret::Secret<String>>) -> String {
    let members: Map<String, Value> = secrets.iter().map(|(name, value)| (name.clone(), value.expose().as_str().into())).collect();
    Value::Object(members).to_string()
}

/// What a refusal may say: it travels in a redirect.
fn cut(text: &str) -> String {
    text.chars().take(MOST_WORDS).collect()
}

/// Characters of a refusal.
const MOST_WORDS: usize = 500;
