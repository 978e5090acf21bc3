//! `user` and `context` of rules, between two rules.

use super::mask::Mask;
use super::{Outcome, api, claims};
use super::{Ran, Redirect, Script};
use serde_json::{Map, Value};

/// Octets of `[user, context]`, and levels of objects and lists in them.
const MAX_OCTETS: usize = 256 * 1024;
pub(super) const MAX_LEVELS: usize = 64;

/// Lines of a rule's log, with those that are written here.
const MAX_LINES: usize = 80;

/// Members of `app_metadata` that never stand in for root members: who somebody is comes from the connection.
const NOT_MERGED: [&str; 7] = ["user_id", "identities", "email", "email_verified", "blocked", "user_metadata", "app_metadata"];

pub(super) struct RuleData {
    user: Value,
    context: Value,
    first_context: Value,
    /// Both in JSON, as a script's context has them or is to have them.
    text: String,
    /// Does the script's context have them?
    pub(super) loaded: bool,
    /// Root members that show a member of `app_metadata`: name, what was there, what is shown.
    merged: Vec<(String, Option<Value>, Value)>,
    redirect: Option<Redirect>,
}

impl RuleData {
    /// Members of `app_metadata` are shown as root members too, as such rules expect; [`Self::conclude`] takes back those
    /// that no rule changed, so that they go neither to tokens nor to a store.
    pub(super) fn new(mut user: Map<String, Value>, mut context: Map<String, Value>) -> Self {
        let mut merged = Vec::new();
        let shown = user.get("app_metadata").and_then(Value::as_object).cloned().unwrap_or_default();
        for (name, value) in shown.into_iter().filter(|(name, _)| !NOT_MERGED.contains(&name.as_str())) {
            let before = user.insert(name.clone(), value.clone());
            merged.push((name, before, value));
        }
        for name in ["idToken", "accessToken", "samlConfiguration"] {
            if !context.get(name).is_some_and(Value::is_object) {
                context.insert(name.to_owned(), Map::new().into());
            }
        }
        let (user, context) = (Value::Object(user), Value::Object(context));
        let text = format!("[{user},{context}]");
        Self { user, first_context: context.clone(), context, text, loaded: false, merged, redirect: None }
    }

    /// What the next rule's context must be given first.
    pub(super) fn unloaded_text(&mut self) -> Option<String> {
        if self.loaded {
            return None;
        }
        self.loaded = true;
        Some(self.text.clone())
    }

    /// Takes what a rule left.
    ///
    /// # Errors
    /// When it is no data, or too much of it; nothing is taken then.
    pub(super) fn commit(&mut self, script: &Script, text: &str, mask: &Mask, ran: &mut Ran) -> Result<(), String> {
        if text == self.text {
            return Ok(());
        }
        if text.len() > MAX_OCTETS {
            return Err(format!("user and context are longer than {MAX_OCTETS} octets"));
        }
        let read: Result<(Value, Value), _> = serde_json::from_str(text);
        let Ok((user, context)) = read else { return Err("user and context are not plain data, or too deep".to_owned()) };
        if !user.is_object() || !context.is_object() {
            return Err("user and context must be objects".to_owned());
        }
        if !within(&user, MAX_LEVELS) || !within(&context, MAX_LEVELS) {
            return Err(format!("user or context is nested deeper than {MAX_LEVELS} levels"));
        }
        let redirect = match context.get("redirect").and_then(|redirect| redirect.get("url")).and_then(Value::as_str) {
            Some(url) if self.context.get("redirect") != context.get("redirect") => {
                Some(Redirect { script: script.id.clone(), url: api::destination(url, None)? })
            }
            Some(_) => self.redirect.take(),
            None => None,
        };
        self.redirect = redirect;
        self.note(&user, &context, mask, ran);
        (self.user, self.context) = (user, context);
        text.clone_into(&mut self.text);
        Ok(())
    }

    /// Writes down what the rules made of the login, and where they send the person.
    pub(super) fn conclude(self, outcome: &mut Outcome) -> Option<Redirect> {
        let member = |name: &str| (object(&self.first_context, name), object(&self.context, name));
        let (before, after) = member("idToken");
        outcome.id_token_claims = claims::changed(&before, &after, |_| {});
        let (mut before, mut after) = member("accessToken");
        before.remove("scope");
        after.remove("scope");
        outcome.access_token_claims = claims::changed(&before, &after, |_| {});
        let scope = |context: &Value| context.get("accessToken").and_then(|token| token.get("scope")).and_then(claims::scopes);
        outcome.scopes = scope(&self.context).filter(|now| scope(&self.first_context).as_ref() != Some(now));
        let (before, after) = member("samlConfiguration");
        outcome.saml = after.into_iter().filter(|(name, value)| before.get(name) != Some(value)).collect();
        let primary = |context: &Value| context.get("primaryUser").and_then(Value::as_str).map(str::to_owned);
        outcome.primary_user = primary(&self.context).filter(|now| !now.is_empty() && primary(&self.first_context).as_ref() != Some(now));
        if let Value::Object(mut user) = self.user {
            for (name, before, shown) in self.merged {
                if user.get(&name) == Some(&shown) {
                    match before {
                        Some(before) => drop(user.insert(name, before)),
                        None => drop(user.shift_remove(&name)),
                    }
                }
            }
            outcome.user = user;
        }
        self.redirect
    }

    fn note(&self, user: &Value, context: &Value, mask: &Mask, ran: &mut Ran) {
        mask.differences("user", Some(&self.user), Some(user), &mut ran.changes);
        for (path, name) in
            [("id_token", "idToken"), ("access_token", "accessToken"), ("saml", "samlConfiguration"), ("primary_user", "primaryUser")]
        {
            mask.differences(path, self.context.get(name), context.get(name), &mut ran.changes);
        }
        let new = |name: &str| context.get(name).is_some_and(|value| !value.is_null() && self.context.get(name) != Some(value));
        if new("multifactor") {
            ran.log.push("context.multifactor is not served by this version, and ignored".to_owned());
        }
        for name in ["idToken", "accessToken"] {
            let (before, mut after) = (object(&self.context, name), object(context, name));
            if name == "accessToken" {
                after.remove("scope");
            }
            drop(claims::changed(&before, &after, |why| ran.log.push(why)));
        }
        ran.log.truncate(MAX_LINES);
    }
}

/// Is it no deeper than so many levels?
pub(super) fn within(value: &Value, levels: usize) -> bool {
    match value {
        Value::Array(items) => levels > 0 && items.iter().all(|item| within(item, levels - 1)),
        Value::Object(members) => levels > 0 && members.values().all(|member| within(member, levels - 1)),
        _ => true,
    }
}

fn object(context: &Value, name: &str) -> Map<String, Value> {
    context.get(name).and_then(Value::as_object).cloned().unwrap_or_default()
}
