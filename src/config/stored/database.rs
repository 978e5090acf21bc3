//! Connections: Auth0's `auth0`, whose users are kept here, as `[[connection]]` with `[connection.database]`.

use super::connection::{OUTER, begun, made, names, unknown};
use super::document::Document;
use super::{StoredObjects, fault, text, without_effect};
use crate::broker::live::{Checked, Fault, Known};
use crate::config::connection;
use crate::config::context::Stored;
use crate::connection::database::SHORTEST;
use serde_json::{Map, Value, json};

/// The file's words and Auth0's.
const PLACES: &[(&str, &str)] = &[
    ("name", "/name"),
    ("display_name", "/display_name"),
    ("applications", "/enabled_clients"),
    ("database.sign_up", "/options/disable_signup"),
    ("database.names", "/options/requires_username"),
    ("database.passwords", "/options/passwordPolicy"),
    ("database.passwords.min_length", "/options/password_complexity_options/min_length"),
    ("database.passwords.refuse_personal", "/options/password_no_personal_info/enable"),
    ("database.passwords.refuse_common", "/options/password_dictionary/enable"),
    ("database.passwords.words", "/options/password_dictionary/dictionary"),
];

/// Options that are kept, and mean nothing here.
const KEPT: &[(&str, &str)] = &[
    ("set_user_root_attributes", "people's profiles are edited here, and no login changes them"),
    ("password_history", "earlier passwords are not kept"),
    ("import_mode", "users are imported by jobs"),
    ("mfa", "see `second_factor` of `isthmus`"),
    ("passkey_options", "there are no passkeys in this version"),
    ("authentication_methods", "people have passwords"),
    ("attributes", "see `isthmus` for what people are known by"),
    ("validation", "usernames have 1 to 128 characters"),
    ("strategy_version", "there is one"),
    ("icon_url", "pages show names"),
    ("enable_script_context", "there are no scripts of connections"),
    ("non_persistent_attrs", "what is kept of people here, operators and the people themselves have given"),
    ("client_secret", "nobody has to be shown one"),
];

/// Options that have their meaning here.
const USED: &[&str] = &[
    "disable_signup",
    "requires_username",
    "passwordPolicy",
    "password_complexity_options",
    "password_no_personal_info",
    "password_dictionary",
    "brute_force_protection",
    "disable_self_service_change_password",
    // Scripts there are none of.
    "enabledDatabaseCustomization",
    "customScripts",
];

pub fn make(objects: &StoredObjects, body: &Map<String, Value>, known: Known<'_>) -> Result<Checked, Vec<Fault>> {
    let options = body.get("options").and_then(Value::as_object).cloned().unwrap_or_default();
    let mut document = begun("database", PLACES, body);
    let (mut faults, mut warnings) = (Vec::new(), Vec::new());
    translate(&options, &mut document, &mut warnings);
    faults.extend(document.own(body, OUTER));
    faults.extend(unknown(&options, |name| USED.contains(&name) || KEPT.iter().any(|(kept, _)| *kept == name)));
    // It names secrets of this machine and may reach into its network: only the file may.
    if body.get("isthmus").is_some_and(|own| own.get("custom").is_some()) {
        let message = "is for the configuration file: an endpoint has a secret of this machine";
        faults.push(fault("/isthmus/custom", message, "use [connection.database.custom] there"));
    }
    if options.get("enabledDatabaseCustomization") == Some(&Value::Bool(true)) {
        faults.push(fault("/options/enabledDatabaseCustomization", "there are no scripts of connections here", "leave it out"));
    }
    if options.get("brute_force_protection") == Some(&Value::Bool(false)) {
        let message = "is kept, without effect: wrong passwords are counted always";
        warnings.push(fault("/options/brute_force_protection", message, ""));
    }
    if options.get("disable_self_service_change_password") == Some(&Value::Bool(true)) {
        document.set("database.reset", false);
    }
    warnings.extend(without_effect(&options, "/options", KEPT));
    let names = names(body, known);
    let context = objects.context(Stored::default(), known.now);
    let read = document.read(|section| connection::read(&context, section, &names));
    made(read, (faults, warnings), known)
}

/// Auth0's options in the file's words. What is not said is as Auth0 has it, but for shorter passwords than are safe.
fn translate(options: &Map<String, Value>, document: &mut Document, warnings: &mut Vec<Fault>) {
    let enabled = |name: &str| options.get(name).and_then(|option| option.get("enable")).and_then(Value::as_bool);
    let disabled = options.get("disable_signup").and_then(Value::as_bool).unwrap_or(false);
    document.set("database.sign_up", !disabled);
    if options.get("requires_username") == Some(&Value::Bool(true)) {
        document.take("database.names", Some(&json!(["email", "username"])));
    }
    let mut passwords = Map::new();
    let policy = text(options, "passwordPolicy").unwrap_or("none");
    let (length, kinds) = match policy {
        "excellent" => (10, 3),
        "fair" | "good" => (SHORTEST, 3),
        _ => (SHORTEST, 0),
    };
    if kinds > 0 {
        passwords.insert("kinds".to_owned(), kinds.into());
    }
    let asked = options.get("password_complexity_options").and_then(|given| given.get("min_length")).and_then(Value::as_u64);
    let asked = asked.and_then(|length| usize::try_from(length).ok());
    if asked.is_some_and(|asked| asked < SHORTEST) {
        let message = format!("is kept, and counts as {SHORTEST}: shorter passwords are guessed");
        warnings.push(fault("/options/password_complexity_options/min_length", message, ""));
    }
    passwords.insert("min_length".to_owned(), asked.unwrap_or(length).clamp(SHORTEST, 128).into());
    if let Some(words) = options.get("password_dictionary").and_then(|given| given.get("dictionary")) {
        passwords.insert("words".to_owned(), words.clone());
    }
    // Auth0 has them off where nothing is said; nobody is better off for it.
    for (name, key) in [("password_no_personal_info", "refuse_personal"), ("password_dictionary", "refuse_common")] {
        if enabled(name) == Some(false) {
            passwords.insert(key.to_owned(), false.into());
        }
    }
    document.take("database.passwords", Some(&Value::Object(passwords)));
}
