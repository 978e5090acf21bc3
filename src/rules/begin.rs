//! How a login's way through its scripts begins: with the first one, or where a person comes back.

use super::api::LoginView;
use super::flow::{Flow, Step, secrets_json};
use super::mask::Mask;
use super::rule_data::RuleData;
use super::{LoginInput, MetadataChange, Outcome, Script, Scripts, Trigger};
use crate::clock::Timestamp;
use serde_json::{Map, Value};
use std::sync::Arc;

/// The function that an action may export for the return of a person.
const ON_CONTINUE: &str = "onContinuePostLogin";

/// What the host knows and no script changes.
pub(super) struct Facts {
    pub(super) issuer: String,
    pub(super) now: Timestamp,
}

impl Flow {
    /// A login: rules, then actions; or what is left of it where the person comes back.
    pub(super) fn login(scripts: &Scripts, input: LoginInput, facts: Facts) -> Self {
        let LoginInput { user, mut context, mut event, resume, no_redirect } = input;
        let actions = scripts.actions(Trigger::PostLogin);
        let mut rules: Vec<Step> = scripts.rules.iter().map(rule).collect();
        let mut after: Vec<Step> = actions.iter().map(|script| action(script, Trigger::PostLogin)).collect();
        let mut outcome = Outcome { user: user.clone(), ..Outcome::default() };
        let mut returned = None;
        let mut lost = None;
        if let Some(resume) = resume {
            returned = Some((resume.query.clone(), resume.body.clone()));
            for request in [&mut context, &mut event] {
                let request = request.entry("request").or_insert_with(|| Map::new().into());
                if let Value::Object(request) = request {
                    request.insert("query".to_owned(), resume.query.clone().into());
                    request.insert("body".to_owned(), resume.body.clone().into());
                }
            }
            let so_far = Outcome { redirect: None, ..resume.so_far };
            // Ids are unique among the scripts of a kind only; a rule's redirect comes before any action.
            let of_rule = so_far.ran.last().is_some_and(|ran| ran.kind == "rule");
            if let Some(at) = actions.iter().position(|script| !of_rule && script.id == resume.script) {
                rules.clear();
                after.drain(..at);
                if let Some(first) = after.first_mut() {
                    (first.entry, first.optional) = (ON_CONTINUE, true);
                }
                outcome = so_far;
            } else {
                context.insert("protocol".to_owned(), "redirect-callback".into());
                lost = (!scripts.rules.iter().any(|script| script.id == resume.script)).then_some(resume.script);
                let Outcome { persist, ran, transaction_metadata, .. } = so_far;
                outcome = Outcome { persist, ran, transaction_metadata, ..outcome };
            }
        }
        let login = login_view(facts, &event, !no_redirect, returned);
        let mut flow = Self::new(scripts, event, login, outcome, &user);
        if !rules.is_empty() {
            flow.rules = Some(RuleData::new(user, context));
        }
        flow.steps.extend(rules);
        flow.steps.extend(after);
        flow.mask = Mask::of(scripts, flow.steps.iter().map(|step| &*step.script));
        if let Some(script) = lost {
            flow.outcome.failed = Some(script);
            flow.over = true;
        }
        flow
    }

    /// The actions of another trigger.
    pub(super) fn actions(scripts: &Scripts, trigger: Trigger, event: Map<String, Value>, facts: Facts) -> Self {
        let user = event.get("user").and_then(Value::as_object).cloned().unwrap_or_default();
        let outcome = Outcome { user: user.clone(), ..Outcome::default() };
        let login = login_view(facts, &event, false, None);
        let mut flow = Self::new(scripts, event, login, outcome, &user);
        flow.steps = scripts.actions(trigger).iter().map(|script| action(script, trigger)).collect();
        flow.mask = Mask::of(scripts, flow.steps.iter().map(|step| &*step.script));
        flow
    }

    fn new(scripts: &Scripts, event: Map<String, Value>, login: LoginView, outcome: Outcome, user: &Map<String, Value>) -> Self {
        let object = |name: &str| user.get(name).and_then(Value::as_object).cloned().unwrap_or_default();
        let mut flow = Self {
            steps: Vec::new(),
            at: 0,
            rules: None,
            configuration: secrets_json(&scripts.configuration).into(),
            event,
            login: Arc::new(login),
            user_metadata: object("user_metadata"),
            app_metadata: object("app_metadata"),
            pending: MetadataChange::default(),
            mask: Mask::default(),
            over: false,
            outcome,
        };
        for change in flow.outcome.persist.clone() {
            flow.remember(&change);
        }
        flow
    }
}

fn rule(script: &Arc<Script>) -> Step {
    Step { script: Arc::clone(script), entry: "", optional: false }
}

fn action(script: &Arc<Script>, trigger: Trigger) -> Step {
    Step { script: Arc::clone(script), entry: trigger.function(), optional: false }
}

fn login_view(
    facts: Facts,
    event: &Map<String, Value>,
    can_redirect: bool,
    returned: Option<(Map<String, Value>, Map<String, Value>)>,
) -> LoginView {
    let ip = event.get("request").and_then(|request| request.get("ip")).and_then(Value::as_str).map(str::to_owned);
    LoginView { issuer: facts.issuer, now: Some(facts.now), ip, can_redirect, returned, rules: Vec::new() }
}
