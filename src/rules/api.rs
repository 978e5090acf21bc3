//! What `api` of actions and `auth0.users` of rules do: each call is checked here and noted in [`Effects`].

use super::cache::Cache;
use super::claims;
use super::mask::Mask;
use super::tokens;
use super::{Kind, MetadataChange, Script, Trigger};
use crate::clock::Timestamp;
use crate::user::metadata::{self, Part, Update};
use serde_json::{Map, Value, json};
use std::sync::Arc;
use url::Url;

/// What a script is told about its login when it asks.
#[derive(Clone, Default)]
pub(super) struct View {
    pub(super) user_id: String,
    pub(super) user_metadata: Map<String, Value>,
    pub(super) app_metadata: Map<String, Value>,
    /// Those that are asked for, or what scripts made of them.
    pub(super) scopes: Vec<String>,
    pub(super) login: Arc<LoginView>,
}

/// The part of it that no script changes.
#[derive(Default)]
pub(super) struct LoginView {
    pub(super) issuer: String,
    pub(super) now: Option<Timestamp>,
    pub(super) ip: Option<String>,
    pub(super) can_redirect: bool,
    /// Parameters of `/continue`, where the person comes back.
    pub(super) returned: Option<(Map<String, Value>, Map<String, Value>)>,
    /// Names and ids of the rules that ran.
    pub(super) rules: Vec<String>,
}

/// What one script asked for.
#[derive(Default)]
pub(super) struct Effects {
    pub(super) denied: Option<String>,
    pub(super) redirect: Option<String>,
    pub(super) primary_user: Option<String>,
    pub(super) methods: Vec<String>,
    pub(super) id_token: Map<String, Value>,
    pub(super) access_token: Map<String, Value>,
    pub(super) scopes: Option<Vec<String>>,
    pub(super) saml: Map<String, Value>,
    /// Of rules, each on its own; of actions, one.
    pub(super) persist: Vec<MetadataChange>,
    pub(super) persisted: usize,
    pub(super) transaction: Map<String, Value>,
    pub(super) validation: Vec<(String, String)>,
    pub(super) log: Vec<String>,
    /// The limit that was exceeded.
    pub(super) limit: Option<&'static str>,
}

/// One call.
pub(super) struct Call<'a> {
    pub(super) script: &'a Script,
    pub(super) view: &'a View,
    pub(super) cache: &'a Cache,
    pub(super) mask: &'a mut Mask,
    pub(super) effects: &'a mut Effects,
    /// Lines for the log.
    pub(super) notes: &'a mut Vec<String>,
}

/// The answer, or what is thrown.
type Answer = Result<Option<Value>, String>;

/// Characters of a reason, and entries of a list.
const MAX_TEXT: usize = 1000;
const MAX_LIST: usize = 50;
const MAX_URL: usize = 4096;

impl Call<'_> {
    pub(super) fn of_rule(&mut self, name: &str, arguments: &[Value]) -> Answer {
        let part = match name {
            "updateUserMetadata" => Part::UserMetadata,
            "updateAppMetadata" => Part::AppMetadata,
            _ => return Err(format!("a rule has no {name}")),
        };
        if arguments.first().and_then(Value::as_str) != Some(&self.view.user_id) {
            return Err(format!("{name} changes the user who signs in, and no other"));
        }
        let Some(Value::Object(change)) = arguments.get(1) else { return Err(format!("{name} needs an object")) };
        if change.is_empty() {
            self.notes.push(format!("{name} was given nothing to change"));
            return Ok(None);
        }
        self.persist(part, change.clone())
    }

    pub(super) fn of_action(&mut self, name: &str, arguments: &[Value]) -> Answer {
        let (group, method) = name.split_once('.').unwrap_or((name, ""));
        match (group, method) {
            ("access", "deny") => self.deny(arguments),
            ("idToken", _) => self.claim(true, arguments),
            ("accessToken", "setCustomClaim") => self.claim(false, arguments),
            ("accessToken", _) => self.scope(method == "addScope", arguments),
            ("user", _) => {
                let part = if method == "setUserMetadata" { Part::UserMetadata } else { Part::AppMetadata };
                let key = text(arguments, 0, "the key")?.to_owned();
                self.persist(part, Map::from_iter([(key, arguments.get(1).cloned().unwrap_or_default())]))
            }
            ("authentication", "setPrimaryUser") => {
                self.effects.primary_user = Some(text(arguments, 0, "the user's id")?.to_owned());
                Ok(None)
            }
            ("authentication", _) => {
                bounded(self.effects.methods.len())?;
                self.effects.methods.push(text(arguments, 0, "the method's name")?.to_owned());
                Ok(None)
            }
            ("redirect", _) => self.redirect(method, arguments),
            ("cache", _) => Ok(self.cached(method, arguments)),
            ("samlResponse", _) => self.saml(method, arguments),
            ("transaction", _) => {
                bounded(self.effects.transaction.len())?;
                let (key, value) = (text(arguments, 0, "the key")?.to_owned(), arguments.get(1).cloned().unwrap_or_default());
                self.effects.transaction.insert(key, value);
                Ok(None)
            }
            ("rules", _) => {
                let id = text(arguments, 0, "the rule's id")?;
                Ok(Some(self.view.login.rules.iter().any(|ran| ran == id).into()))
            }
            ("validation", _) => {
                bounded(self.effects.validation.len())?;
                let error = (text(arguments, 0, "the code")?.to_owned(), text(arguments, 1, "the text")?.to_owned());
                self.effects.validation.push(error);
                Ok(None)
            }
            _ => Err(format!("there is no api.{name}")),
        }
    }

    /// Post-login `deny(reason)`, credentials exchange `deny(code, reason)`, registration `deny(reason, text for the person)`.
    fn deny(&mut self, arguments: &[Value]) -> Answer {
        let one = |at: usize| arguments.get(at).and_then(Value::as_str).filter(|text| !text.is_empty());
        let reason = if self.script.kind == Kind::Action(Trigger::PostLogin) { one(0) } else { one(1).or_else(|| one(0)) };
        let reason: String = reason.unwrap_or("access was denied").chars().take(MAX_TEXT).collect();
        self.effects.denied.get_or_insert(reason);
        Ok(None)
    }

    fn claim(&mut self, of_id_token: bool, arguments: &[Value]) -> Answer {
        let (name, value) = (text(arguments, 0, "the claim's name")?, arguments.get(1).cloned().unwrap_or_default());
        match claims::check(name) {
            Ok(()) => {
                let claims = if of_id_token { &mut self.effects.id_token } else { &mut self.effects.access_token };
                claims.insert(name.to_owned(), value);
            }
            Err(why) => self.notes.push(why),
        }
        Ok(None)
    }

    fn scope(&mut self, add: bool, arguments: &[Value]) -> Answer {
        let scope = text(arguments, 0, "the scope")?;
        if !claims::is_scope(scope) {
            return Err("a scope is one word (RFC 6749 3.3)".to_owned());
        }
        let scopes = self.effects.scopes.get_or_insert_with(|| self.view.scopes.clone());
        scopes.retain(|known| known != scope);
        if add {
            scopes.push(scope.to_owned());
        }
        Ok(None)
    }

    /// Checks what would be stored, as the management API does, and notes it.
    fn persist(&mut self, part: Part, change: Map<String, Value>) -> Answer {
        let mut faults = Vec::new();
        metadata::check(part, &change, &format!("/{}", part.name()), &mut faults);
        let stored = if part == Part::UserMetadata { &self.view.user_metadata } else { &self.view.app_metadata };
        let mut after = stored.clone();
        for earlier in &self.effects.persist {
            let earlier = if part == Part::UserMetadata { &earlier.user_metadata } else { &earlier.app_metadata };
            if !earlier.is_empty() {
                after = metadata::updated(part, &after, earlier, Update::Merge);
            }
        }
        metadata::check_size(&metadata::updated(part, &after, &change, Update::Merge), &format!("/{}", part.name()), &mut faults);
        if let Some(fault) = faults.first() {
            return Err(fault.to_string());
        }
        let size = serde_json::to_vec(&change).map_or(usize::MAX, |text| text.len());
        if self.effects.persisted.saturating_add(size) > self.script.limits.persisted {
            self.effects.limit = Some("persisted");
            return Err(format!("a run of this script may persist {} octets", self.script.limits.persisted));
        }
        self.effects.persisted += size;
        let rule = self.script.kind == Kind::Rule;
        if rule || self.effects.persist.is_empty() {
            self.effects.persist.push(MetadataChange::default());
        }
        if let Some(entry) = self.effects.persist.last_mut() {
            let entry = if part == Part::UserMetadata { &mut entry.user_metadata } else { &mut entry.app_metadata };
            entry.extend(change);
        }
        Ok(None)
    }

    fn redirect(&mut self, method: &str, arguments: &[Value]) -> Answer {
        let options = arguments.first().and_then(Value::as_object);
        let now = self.view.login.now.ok_or("there is no time")?;
        match method {
            _ if self.script.kind != Kind::Action(Trigger::PostLogin) => Err(format!("api.redirect.{method} is for post-login actions")),
            "canRedirect" => Ok(Some(self.view.login.can_redirect.into())),
            "sendUserTo" => {
                let query = arguments.get(1).and_then(|options| options.get("query")).and_then(Value::as_object);
                self.effects.redirect = Some(destination(text(arguments, 0, "the address")?, query)?);
                Ok(None)
            }
            "encodeToken" => {
                let options = options.ok_or("api.redirect.encodeToken needs {secret, payload}")?;
                if let Some(secret) = options.get("secret").and_then(Value::as_str) {
                    self.mask.add(secret);
                }
                tokens::encode(options, self.view, now).map(|token| Some(token.into()))
            }
            "validateToken" => {
                let options = options.ok_or("api.redirect.validateToken needs {secret, tokenParameterName}")?;
                if let Some(secret) = options.get("secret").and_then(Value::as_str) {
                    self.mask.add(secret);
                }
                tokens::validate(options, self.view, now).map(|claims| Some(claims.into()))
            }
            _ => Err(format!("there is no api.redirect.{method}")),
        }
    }

    fn cached(&self, method: &str, arguments: &[Value]) -> Option<Value> {
        let error = |code: &str| Some(json!({ "type": "error", "code": code }));
        let now = self.view.login.now?;
        let Some(key) = arguments.first().and_then(Value::as_str) else { return error("InvalidKey") };
        let record = |entry: super::cache::Entry| json!({ "value": entry.value, "expires_at": entry.expires_at.millis() });
        match method {
            "get" => self.cache.get(key, now).map(record),
            "delete" if self.cache.delete(key) => Some(json!({ "type": "success" })),
            "delete" => error("ItemNotFound"),
            _ => {
                let Some(value) = arguments.get(1).and_then(Value::as_str) else { return error("InvalidValue") };
                let option = |name: &str| arguments.get(2).and_then(|options| options.get(name)).and_then(whole);
                match self.cache.set(key, value.to_owned(), option("ttl"), option("expires_at"), now) {
                    Ok(entry) => Some(json!({ "type": "success", "record": record(entry) })),
                    Err(code) => error(&code),
                }
            }
        }
    }

    fn saml(&mut self, method: &str, arguments: &[Value]) -> Answer {
        let value = arguments.get(usize::from(method == "setAttribute")).cloned().unwrap_or_default();
        if method == "setAttribute" {
            let name = text(arguments, 0, "the attribute's name")?.to_owned();
            let attributes = self.effects.saml.entry("attributes").or_insert_with(|| Map::new().into());
            if let Value::Object(attributes) = attributes {
                bounded(attributes.len().saturating_sub(3 * MAX_LIST))?;
                attributes.insert(name, value);
            }
            return Ok(None);
        }
        let Some(setting) = method.strip_prefix("set").filter(|rest| rest.starts_with(|c: char| c.is_ascii_uppercase())) else {
            return Err(format!("there is no api.samlResponse.{method}"));
        };
        if let (true, Value::String(key)) = (SECRET_SETTERS.contains(&method), &value) {
            self.mask.add(key);
        }
        if let Some((_, why)) = REFUSED_SETTERS.iter().find(|(name, _)| *name == method) {
            return Err(format!("api.samlResponse.{method}: {why}"));
        }
        bounded(self.effects.saml.len())?;
        let (first, rest) = setting.split_at(1);
        self.effects.saml.insert(first.to_ascii_lowercase() + rest, value);
        Ok(None)
    }
}

/// What they take is key material.
const SECRET_SETTERS: [&str; 2] = ["setKey", "setEncryptionPublicKey"];

/// What no script sets, and why.
const REFUSED_SETTERS: [(&str, &str); 3] = [
    ("setCert", "answers are signed by the gateway's own key, which its metadata publish"),
    ("setKey", "answers are signed by the gateway's own key, which its metadata publish"),
    ("setSigningCert", "the request was verified before any script ran"),
];

fn text<'a>(arguments: &'a [Value], at: usize, what: &str) -> Result<&'a str, String> {
    let given = arguments.get(at).and_then(Value::as_str).filter(|text| !text.is_empty());
    given.filter(|text| text.len() <= MAX_TEXT).ok_or_else(|| format!("{what} must be a text of at most {MAX_TEXT} octets"))
}

fn bounded(length: usize) -> Result<(), String> {
    if length < MAX_LIST { Ok(()) } else { Err(format!("no more than {MAX_LIST} of these")) }
}

#[expect(clippy::cast_possible_truncation, reason = "a time; the cast saturates")]
fn whole(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_f64().map(|number| number as i64))
}

/// A page by HTTPS (or on this machine), with the script's parameters.
pub(super) fn destination(text: &str, query: Option<&Map<String, Value>>) -> Result<String, String> {
    let mut url = Url::parse(text).map_err(|_| "a redirect needs an absolute address")?;
    let here = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    if url.scheme() != "https" && !(url.scheme() == "http" && here) {
        return Err("a redirect goes to an https address".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("the address of a redirect must not contain a name or password".to_owned());
    }
    for (name, value) in query.into_iter().flatten() {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        url.query_pairs_mut().append_pair(name, &value);
    }
    let url = String::from(url);
    if url.len() > MAX_URL { Err(format!("the address of a redirect is longer than {MAX_URL} octets")) } else { Ok(url) }
}
