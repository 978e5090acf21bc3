//! Connections: Auth0's `ad`, and `ldap`, as `[connection.ldap]`. Auth0 has an agent beside the directory; here it is asked
//! itself, so that everything about it is a setting of ours.

use super::connection::{OUTER, begun, made, names, unknown};
use super::{StoredObjects, fault, oidc, without_effect};
use crate::broker::live::{Checked, Fault, Known};
use crate::config::connection;
use crate::config::context::Stored;
use serde_json::{Map, Value};

/// The file's words and Auth0's.
const PLACES: &[(&str, &str)] = &[
    ("name", "/name"),
    ("display_name", "/display_name"),
    ("domains", "/options/domain_aliases"),
    ("applications", "/enabled_clients"),
    ("profile_sync", "/options/set_user_root_attributes"),
    ("non_persistent_attrs", "/options/non_persistent_attrs"),
    ("ldap.bind_password", "/options/bind_password"),
];

const USED: [&str; 4] = ["domain_aliases", "set_user_root_attributes", "non_persistent_attrs", "bind_password"];

/// Options that are kept, and mean nothing here.
const KEPT: &[(&str, &str)] = &[
    ("tenant_domain", "see domain_aliases"),
    ("icon_url", "pages show names"),
    ("ips", "nobody is let in by an address"),
    ("certAuth", "people type a password"),
    ("kerberos", "people type a password"),
    ("brute_force_protection", "wrong passwords are counted always"),
    ("disable_cache", "no password is kept"),
    ("agentMode", "there is no agent"),
    ("agentIP", "there is no agent"),
    ("agentVersion", "there is no agent"),
];

pub fn make(stored: &StoredObjects, id: &str, body: &Map<String, Value>, known: Known<'_>) -> Result<Checked, Vec<Fault>> {
    let options = body.get("options").and_then(Value::as_object).cloned().unwrap_or_default();
    let mut document = begun("ldap", PLACES, body);
    for (path, option) in
        [("domains", "domain_aliases"), ("profile_sync", "set_user_root_attributes"), ("non_persistent_attrs", "non_persistent_attrs")]
    {
        document.take(path, options.get(option));
    }
    let mut faults = document.own(body, OUTER);
    if body.get("isthmus").is_some_and(|own| own.get("ca_file").is_some()) {
        faults.push(fault("/isthmus/ca_file", "cannot be set here", "write the connection into the configuration file"));
    }
    faults.extend(unknown(&options, |name| USED.contains(&name) || KEPT.iter().any(|(kept, _)| *kept == name)));
    let password = oidc::secret(&options, "bind_password", id, known, &mut faults);
    let warnings = without_effect(&options, "/options", KEPT);
    let names = names(body, known);
    let context = stored.context(Stored { key: password.as_ref(), ..Stored::default() }, known.now);
    let read = document.read(|section| connection::read(&context, section, &names));
    made(read, (faults, warnings), known)
}
