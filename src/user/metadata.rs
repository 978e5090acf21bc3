//! The free data of a user: `user_metadata`, `app_metadata` and `custom_fields`.
//!
//! What they may hold, how an update changes them, how those of two linked users are joined, and which of their keys
//! look like secrets. Who may change which of them is said in [`super::patch`]; values that must not be read by
//! everybody are sealed in [`super::sealing`].

use super::User;
use serde_json::{Map, Value};
use std::fmt;

/// One of the three objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// Preferences; the person may change them (S3-1).
    UserMetadata,
    /// Plan, roles, access groups; the person may never change them (S3-2).
    AppMetadata,
    /// Anything else that has no field of its own (S0-8).
    CustomFields,
}

impl Part {
    /// In the order in which they are shown (S4-7).
    pub const ALL: [Self; 3] = [Self::UserMetadata, Self::AppMetadata, Self::CustomFields];

    /// The member of a user or a profile that holds it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::UserMetadata => "user_metadata",
            Self::AppMetadata => "app_metadata",
            Self::CustomFields => "custom_fields",
        }
    }

    /// Reads a member's name, in any spelling that is accepted on input (S0-12).
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "user_metadata" => Some(Self::UserMetadata),
            "app_metadata" => Some(Self::AppMetadata),
            "custom_fields" | "custom_data" | "custom_field" => Some(Self::CustomFields),
            _ => None,
        }
    }

    pub const fn of(self, user: &User) -> &Map<String, Value> {
        match self {
            Self::UserMetadata => &user.user_metadata,
            Self::AppMetadata => &user.app_metadata,
            Self::CustomFields => &user.custom_fields,
        }
    }

    pub const fn of_mut(self, user: &mut User) -> &mut Map<String, Value> {
        match self {
            Self::UserMetadata => &mut user.user_metadata,
            Self::AppMetadata => &mut user.app_metadata,
            Self::CustomFields => &mut user.custom_fields,
        }
    }
}

/// What an update does with what is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Update {
    /// `user_metadata` and `app_metadata` are merged at the first level; `custom_fields` is replaced all the same (S0-11).
    Merge,
    /// Each object that is given is replaced whole; one that is not given stays.
    Replace,
}

/// The object after an update.
///
/// In metadata a first-level `null` is no value: merged, it deletes the key; replaced, it is left out. Merging an empty
/// object empties the stored one (details B). What is below the first level is replaced.
pub fn updated(part: Part, stored: &Map<String, Value>, given: &Map<String, Value>, how: Update) -> Map<String, Value> {
    if part == Part::CustomFields {
        return given.clone();
    }
    let mut result = if how == Update::Replace || given.is_empty() { Map::new() } else { stored.clone() };
    for (name, value) in given {
        if value.is_null() {
            result.shift_remove(name);
        } else {
            result.insert(name.clone(), value.clone());
        }
    }
    result
}

/// The metadata of a linked user joined into those of the primary one (details C): objects member by member, lists one
/// after the other, and of everything else the primary user's.
pub fn joined(primary: &Map<String, Value>, other: &Map<String, Value>) -> Map<String, Value> {
    let mut result = primary.clone();
    for (name, theirs) in other {
        match (result.get_mut(name), theirs) {
            (None, _) => {
                result.insert(name.clone(), theirs.clone());
            }
            (Some(Value::Object(ours)), Value::Object(theirs)) => *ours = joined(ours, theirs),
            (Some(Value::Array(ours)), Value::Array(theirs)) => ours.extend(theirs.iter().cloned()),
            (Some(_), _) => {}
        }
    }
    result
}

/// One thing that is wrong with data that somebody wants to store. Never contains a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// JSON pointer (RFC 6901) of the place in the request.
    pub pointer: String,
    pub problem: String,
    pub help: String,
}

impl Fault {
    pub fn new(pointer: impl Into<String>, problem: impl Into<String>, help: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), problem: problem.into(), help: help.into() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.pointer, self.problem, self.help)
    }
}

/// Octets of each object as it is stored, in JSON (details B).
pub const MAX_BYTES: usize = 10 * 1024;
/// Levels of objects and lists, the object itself being the first.
pub const MAX_LEVELS: usize = 10;
/// Keys of each object, on all levels together.
pub const MAX_KEYS: usize = 1000;

/// Checks the names, texts and levels of what somebody wants to store. `at` is the pointer of the object.
pub fn check(part: Part, given: &Map<String, Value>, at: &str, faults: &mut Vec<Fault>) {
    for name in given.keys().filter(|name| part == Part::AppMetadata && RESERVED.contains(&name.as_str())) {
        let help = "it belongs to the gateway or the connection, so use another name";
        faults.push(Fault::new(pointer(at, name), "is a reserved name in app_metadata", help));
    }
    check_members(given, at, 1, faults);
}

/// Checks the size of an object as it would be stored; a sealed value counts as long as its sealed form.
pub fn check_size(object: &Map<String, Value>, at: &str, faults: &mut Vec<Fault>) {
    let bytes = serde_json::to_vec(object).map_or(usize::MAX, |text| text.len());
    if bytes > MAX_BYTES {
        let problem = format!("would have {bytes} octets where {MAX_BYTES} are allowed");
        faults.push(Fault::new(at, problem, "remove what is not needed, or keep it in a store of your own"));
    }
    let keys = keys_of(object);
    if keys > MAX_KEYS {
        faults.push(Fault::new(at, format!("would have {keys} keys where {MAX_KEYS} are allowed"), "remove some"));
    }
}

/// The pointer of a member. Long names are cut, so that a message stays readable.
pub fn pointer(at: &str, name: &str) -> String {
    let shown: String = name.chars().take(100).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    format!("{at}/{}", shown.replace('~', "~0").replace('/', "~1"))
}

/// Does a key name something that should not be readable by everybody (S0-13)? Judged word by word: `api_token` does,
/// `tokens_used` and `passport_country` do not.
pub fn looks_secret(key: &str) -> bool {
    let words = words(key);
    let Some(last) = words.last() else { return false };
    // `password_changed_at`, `has_password`: about a secret, and none itself.
    let about = words.first().is_some_and(|first| ["has", "is", "needs", "requires"].contains(&first.as_str()))
        || ["at", "date", "time", "count", "changed", "reset", "set", "enabled", "required", "expires", "used", "length"]
            .contains(&last.as_str());
    if about {
        return false;
    }
    words.iter().any(|word| SECRET_WORDS.contains(&word.as_str()))
        || SECRET_LAST_WORDS.contains(&last.as_str())
        || words.windows(2).any(|pair| SECRET_PAIRS.iter().any(|(a, b)| pair[0] == *a && pair[1] == *b))
}

/// Pointers of the keys that look secret and hold more than a flag.
pub fn secret_looking(object: &Map<String, Value>, at: &str) -> Vec<String> {
    fn below(value: &Value, here: &str, found: &mut Vec<String>) {
        match value {
            Value::Object(inner) => found.extend(secret_looking(inner, here)),
            Value::Array(items) => items.iter().enumerate().for_each(|(index, item)| below(item, &format!("{here}/{index}"), found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    for (name, value) in object.iter().filter(|(_, value)| !value.is_null() && !value.is_boolean()) {
        let here = pointer(at, name);
        if looks_secret(name) { found.push(here) } else { below(value, &here, &mut found) }
    }
    found
}

/// For logs of what changed: values under keys that look secret are replaced.
pub fn masked(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let member = |(name, value): (&String, &Value)| {
                (name.clone(), if looks_secret(name) && !value.is_null() { Value::from("(masked)") } else { masked(value) })
            };
            Value::Object(members.iter().map(member).collect())
        }
        Value::Array(items) => items.iter().map(masked).collect(),
        other => other.clone(),
    }
}

fn check_members(members: &Map<String, Value>, at: &str, level: usize, faults: &mut Vec<Fault>) {
    for (name, value) in members {
        if faults.len() >= MAX_FAULTS {
            return;
        }
        let here = pointer(at, name);
        if name.contains(['.', '$']) {
            faults.push(Fault::new(&here, "has a name with `.` or `$`", "use other characters, such as `_`"));
        }
        if name.contains('\0') {
            faults.push(Fault::new(&here, "has a name with a NUL character", "leave it out"));
        }
        check_value(value, &here, level, faults);
    }
}

/// What is refused is not looked into, so the levels bound the recursion.
fn check_value(value: &Value, here: &str, level: usize, faults: &mut Vec<Fault>) {
    match value {
        Value::Object(_) | Value::Array(_) if level >= MAX_LEVELS => {
            faults.push(Fault::new(here, format!("is nested deeper than {MAX_LEVELS} levels"), "store it flatter, or as text"));
        }
        Value::Object(members) => check_members(members, here, level + 1, faults),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                check_value(item, &format!("{here}/{index}"), level + 1, faults);
            }
        }
        Value::String(text) if text.contains('\0') => {
            faults.push(Fault::new(here, "is a text with a NUL character", "leave it out"));
        }
        _ => {}
    }
}

fn keys_of(object: &Map<String, Value>) -> usize {
    fn below(value: &Value) -> usize {
        match value {
            Value::Object(inner) => keys_of(inner),
            Value::Array(items) => items.iter().map(below).sum(),
            _ => 0,
        }
    }
    object.len() + object.values().map(below).sum::<usize>()
}

/// In lower case: `apiKey`, `api_key`, `API-key` are all `api`, `key`.
fn words(key: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let (mut inside, mut was_lower) = (false, false);
    for c in key.chars().take(200) {
        if !c.is_alphanumeric() {
            (inside, was_lower) = (false, false);
            continue;
        }
        if !inside || (was_lower && c.is_uppercase()) {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut() {
            word.extend(c.to_lowercase());
        }
        (inside, was_lower) = (true, !c.is_uppercase());
    }
    words
}

/// Further ones are not looked for.
const MAX_FAULTS: usize = 100;

/// What `app_metadata` must not contain at its first level (details B).
const RESERVED: [&str; 18] = [
    "__tenant",
    "_id",
    "blocked",
    "clientID",
    "created_at",
    "email_verified",
    "email",
    "globalClientID",
    "global_client_id",
    "identities",
    "lastIP",
    "lastLogin",
    "loginsCount",
    "metadata",
    "multifactor_last_modified",
    "multifactor",
    "updated_at",
    "user_id",
];

const SECRET_WORDS: [&str; 22] = [
    "password",
    "passwords",
    "passwd",
    "passcode",
    "passphrase",
    "pwd",
    "secret",
    "secrets",
    "credential",
    "credentials",
    "otp",
    "totp",
    "cvv",
    "cvc",
    "ssn",
    "apikey",
    "privatekey",
    "accesskey",
    "secretkey",
    "cardnumber",
    "clientsecret",
    "accesstoken",
];

/// Elsewhere in a name these count or describe something.
const SECRET_LAST_WORDS: [&str; 2] = ["token", "pin"];

const SECRET_PAIRS: [(&str, &str); 12] = [
    ("api", "key"),
    ("private", "key"),
    ("access", "key"),
    ("secret", "key"),
    ("signing", "key"),
    ("encryption", "key"),
    ("card", "number"),
    ("pin", "code"),
    ("security", "code"),
    ("recovery", "code"),
    ("recovery", "codes"),
    ("access", "tokens"),
];

#[cfg(test)]
#[path = "metadata_tests.rs"]
mod tests;
