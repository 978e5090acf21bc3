//! Connections: Auth0's `auth0`, whose users are kept here, as `[[connection]]` with `[connection.database]`; and `custom`,
//! whose users an endpoint keeps, with `[connection.database.custom]`. Auth0 runs scripts in the place of that endpoint.

use super::connection::{OUTER, begun, made, names, unknown};
use super::document::{Document, OWN};
use super::oidc::opened;
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

/// More of them where logins bring something.
const BROUGHT: [(&str, &str); 3] = [
    ("domains", "/options/domain_aliases"),
    ("profile_sync", "/options/set_user_root_attributes"),
    ("non_persistent_attrs", "/options/non_persistent_attrs"),
];

/// Options that are kept where users are, and mean nothing there.
const KEPT_HERE: &[(&str, &str)] = &[
    ("set_user_root_attributes", "people's profiles are edited here, and no login changes them"),
    ("non_persistent_attrs", "what is kept of people here, operators and the people themselves have given"),
];

/// Options that are kept, and mean nothing here.
const KEPT: &[(&str, &str)] = &[
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

/// What to do instead.
const CUSTOM: &str = "make a connection of the strategy `custom`, whose accounts an endpoint of yours keeps";

/// The strategy `auth0`.
pub fn make(objects: &StoredObjects, body: &Map<String, Value>, known: Known<'_>) -> Result<Checked, Vec<Fault>> {
    let options = options_of(body);
    let mut document = begun("database", PLACES, body);
    let mut body = body.clone();
    let custom = body.get_mut(OWN).and_then(Value::as_object_mut).and_then(|own| own.shift_remove("custom"));
    let mut faults = document.own(&body, OUTER);
    if custom.is_some() {
        // Who people are would change with it.
        faults.push(fault("/isthmus/custom", "is of another strategy: here the gateway keeps the accounts", CUSTOM));
    }
    if options.get("enabledDatabaseCustomization") == Some(&Value::Bool(true)) {
        faults.push(fault("/options/enabledDatabaseCustomization", "there are no scripts of connections here", CUSTOM));
    }
    let is_kept_here = |name: &str| KEPT_HERE.iter().any(|(kept, _)| *kept == name);
    let warnings = without_effect(&options, "/options", KEPT_HERE);
    finished(objects, (&body, &options), document, (faults, warnings), is_kept_here, Stored::default(), known)
}

/// The strategy `custom`.
pub fn elsewhere(objects: &StoredObjects, id: &str, body: &Map<String, Value>, known: Known<'_>) -> Result<Checked, Vec<Fault>> {
    let options = options_of(body);
    let mut document = begun("database", PLACES, body);
    for (path, pointer) in BROUGHT {
        document.place(path, pointer);
        document.take(path, options.get(pointer.trim_start_matches("/options/")));
    }
    let mut faults = Vec::new();
    // Sealed, they come beside the document.
    let mut body = body.clone();
    let custom = body.get_mut(OWN).and_then(|own| own.get_mut("custom")).and_then(Value::as_object_mut);
    let (mut secret, mut previous) = (None, None);
    match custom {
        None => faults.push(fault("/isthmus/custom", "is missing", "say `endpoint` and `secret`")),
        Some(custom) => {
            secret = opened(custom.shift_remove("secret").as_ref(), "/isthmus/custom/secret", id, known, &mut faults);
            previous = opened(custom.shift_remove("previous_secret").as_ref(), "/isthmus/custom/previous_secret", id, known, &mut faults);
            if custom.contains_key("private_network") {
                let help = "write the connection into the configuration file";
                faults.push(fault("/isthmus/custom/private_network", "cannot be set here", help));
            }
        }
    }
    faults.extend(document.own(&body, OUTER));
    if options.get("customScripts").and_then(Value::as_object).is_some_and(|scripts| !scripts.is_empty()) {
        faults.push(fault("/options/customScripts", "scripts do not answer for accounts here", "leave them out: the endpoint answers"));
    }
    let is_brought = |name: &str| BROUGHT.iter().any(|(_, pointer)| pointer.strip_prefix("/options/") == Some(name));
    let stored = Stored { shared_secret: secret.as_ref(), key: previous.as_ref(), ..Stored::default() };
    finished(objects, (&body, &options), document, (faults, Vec::new()), is_brought, stored, known)
}

/// Reads what was written, after what both have.
fn finished(
    objects: &StoredObjects,
    (body, options): (&Map<String, Value>, &Map<String, Value>),
    mut document: Document,
    (mut faults, mut warnings): (Vec<Fault>, Vec<Fault>),
    is_known: impl Fn(&str) -> bool,
    stored: Stored<'_>,
    known: Known<'_>,
) -> Result<Checked, Vec<Fault>> {
    translate(options, &mut document, &mut warnings);
    faults.extend(unknown(options, |name| is_known(name) || USED.contains(&name) || KEPT.iter().any(|(kept, _)| *kept == name)));
    if options.get("brute_force_protection") == Some(&Value::Bool(false)) {
        let message = "is kept, without effect: wrong passwords are counted always";
        warnings.push(fault("/options/brute_force_protection", message, ""));
    }
    if options.get("disable_self_service_change_password") == Some(&Value::Bool(true)) {
        document.set("database.reset", false);
    }
    warnings.extend(without_effect(options, "/options", KEPT));
    let names = names(body, known);
    let context = objects.context(stored, known.now);
    let read = document.read(|section| connection::read(&context, section, &names));
    made(read, (faults, warnings), known)
}

fn options_of(body: &Map<String, Value>) -> Map<String, Value> {
    body.get("options").and_then(Value::as_object).cloned().unwrap_or_default()
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
