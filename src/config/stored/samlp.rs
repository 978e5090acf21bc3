//! A client's add-on `samlp`: Auth0's words for a SAML application, written as `[application.saml]`.
//!
//! `mappings` and the flags beside it become a mapping table of this application alone. Where a setting is not said, ours
//! is in force: persistent NameIDs, five minutes, and only what is mapped.

use super::document::{Document, OWN};
use super::{StoredObjects, fault};
use crate::broker::live::Fault;
use crate::profile::import::{Notation, import};
use crate::profile::{Direction, MappingLibrary, MappingTable};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// The file's words, and those of the add-on that are taken over as they are.
const SAME: &[(&str, &str, &str)] = &[
    ("saml.issuer", "issuer", "/addons/samlp/issuer"),
    ("saml.recipient", "recipient", "/addons/samlp/recipient"),
    ("saml.destination", "destination", "/addons/samlp/destination"),
    ("saml.signature_algorithm", "signatureAlgorithm", "/addons/samlp/signatureAlgorithm"),
    ("saml.digest_algorithm", "digestAlgorithm", "/addons/samlp/digestAlgorithm"),
    ("saml.sign_response", "signResponse", "/addons/samlp/signResponse"),
    ("saml.lifetime", "lifetimeInSeconds", "/addons/samlp/lifetimeInSeconds"),
    ("saml.name_id_format", "nameIdentifierFormat", "/addons/samlp/nameIdentifierFormat"),
    ("saml.name_id_probes", "nameIdentifierProbes", "/addons/samlp/nameIdentifierProbes"),
    ("saml.authn_context_class_ref", "authnContextClassRef", "/addons/samlp/authnContextClassRef"),
    ("saml.typed_attributes", "typedAttributes", "/addons/samlp/typedAttributes"),
];

/// Members of the add-on that make the table.
const OF_THE_TABLE: [&str; 6] =
    ["mappings", "createUpnClaim", "passthroughClaimsWithNoMapping", "mapUnknownClaimsAsIs", "mapIdentities", "includeAttributeNameFormat"];

/// Members that are read one by one.
const OTHERS: [&str; 4] = ["audience", "binding", "signingCert", "logout"];

/// Where the first text of a NameID is looked for, if the format leaves that open (Auth0's order).
const PROBES: [&str; 3] = [
    "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier",
    "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress",
    "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name",
];

const UNSPECIFIED: &str = "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified";

/// The add-on, if the client has it.
pub fn addon(body: &Map<String, Value>) -> Option<&Map<String, Value>> {
    body.get("addons").and_then(|addons| addons.get("samlp")).and_then(Value::as_object)
}

/// Our own words of a SAML application, `isthmus.saml`.
fn own(body: &Map<String, Value>) -> Option<&Map<String, Value>> {
    body.get(OWN).and_then(|own| own.get("saml")).and_then(Value::as_object)
}

/// Writes the SAML part of a client into the document, if it has one. `isthmus` must have been taken over before.
pub fn translate(body: &Map<String, Value>, document: &mut Document) -> Vec<Fault> {
    let (addon, own) = (addon(body), own(body));
    if addon.is_none() && own.is_none() {
        return Vec::new();
    }
    let (empty, nothing) = (Map::new(), Map::new());
    let mut writing = Writing { document, own: own.unwrap_or(&nothing), faults: Vec::new() };
    writing.trust(body, addon.unwrap_or(&empty));
    if let Some(addon) = addon {
        writing.settings(addon);
    }
    writing.faults
}

struct Writing<'w> {
    document: &'w mut Document,
    own: &'w Map<String, Value>,
    faults: Vec<Fault>,
}

impl Writing<'_> {
    /// Whom answers go to: the client's callbacks, and who `audience` says it is, unless that is said in our words.
    fn trust(&mut self, body: &Map<String, Value>, addon: &Map<String, Value>) {
        let metadata = ["metadata", "metadata_url"].iter().any(|key| self.own.contains_key(*key));
        if !metadata && !["acs_urls", "acs"].iter().any(|key| self.own.contains_key(*key)) {
            self.document.place("saml.acs_urls", "/callbacks");
            self.document.take("saml.acs_urls", body.get("callbacks"));
        }
        let audience = addon.get("audience");
        if metadata || self.own.contains_key("entity_id") {
            self.put("saml.audience", "/addons/samlp/audience", audience);
        } else {
            self.document.place("saml.audience", "/addons/samlp/audience");
            self.document.place("saml.entity_id", "/addons/samlp/audience");
            self.document.take("saml.entity_id", audience);
        }
    }

    fn settings(&mut self, addon: &Map<String, Value>) {
        for (path, member, pointer) in SAME {
            self.put(path, pointer, addon.get(*member));
        }
        let formats =
            addon.get("includeAttributeNameFormat").and_then(Value::as_bool).map(|on| json!(if on { "inferred" } else { "none" }));
        self.put("saml.attribute_name_format", "/addons/samlp/includeAttributeNameFormat", formats.as_ref());
        let open = addon.get("nameIdentifierFormat").and_then(Value::as_str) == Some(UNSPECIFIED);
        if open && !addon.contains_key("nameIdentifierProbes") && !self.own.contains_key("name_id_probes") {
            self.put("saml.name_id_probes", "/addons/samlp/nameIdentifierProbes", Some(&json!(PROBES)));
        }
        let binding = addon.get("binding").map(|binding| match binding.as_str() {
            Some("urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST") => json!("post"),
            Some("urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect") => json!("redirect"),
            _ => binding.clone(),
        });
        self.put("saml.logout_binding", "/addons/samlp/binding", binding.as_ref());
        let logout = |member: &str| addon.get("logout").and_then(|logout| logout.get(member));
        self.put("saml.slo_url", "/addons/samlp/logout/callback", logout("callback"));
        self.put("saml.logout", "/addons/samlp/logout/slo_enabled", logout("slo_enabled"));
        if let Some(certificate) = addon.get("signingCert").filter(|certificate| !certificate.is_null()) {
            self.put("saml.certificates", "/addons/samlp/signingCert", Some(&super::connection::decoded(certificate)));
            // Auth0: whoever has given a certificate must sign.
            if !self.own.contains_key("require_signed_requests") {
                self.put("saml.require_signed_requests", "/addons/samlp/signingCert", Some(&Value::Bool(true)));
            }
        }
    }

    /// Two words for one thing must not differ, so only one of them may be there.
    fn put(&mut self, path: &'static str, pointer: &'static str, value: Option<&Value>) {
        let Some(value) = value.filter(|value| !value.is_null()) else { return };
        let word = path.trim_start_matches("saml.");
        if self.own.contains_key(word) {
            self.faults.push(fault(pointer, format!("is said by /{OWN}/saml/{word} too"), "remove one of the two"));
            return;
        }
        self.document.place(path, pointer);
        self.document.take(path, Some(value));
    }
}

/// What is wrong with the add-on before anything is read out of it.
pub fn unknown(addon: &Map<String, Value>) -> Vec<Fault> {
    let known = |name: &str| OF_THE_TABLE.contains(&name) || OTHERS.contains(&name) || SAME.iter().any(|(_, member, _)| *member == name);
    let pointer = |name: &str| format!("/addons/samlp/{}", name.replace('~', "~0").replace('/', "~1"));
    let unknown = addon.keys().filter(|name| !known(name)).take(20);
    let mut faults: Vec<_> = unknown.map(|name| fault(&pointer(name), "is not known here", "remove it")).collect();
    for flag in OF_THE_TABLE.iter().filter(|name| **name != "mappings") {
        if addon.get(*flag).is_some_and(|value| !value.is_boolean() && !value.is_null()) {
            faults.push(fault(&pointer(flag), "must be true or false", ""));
        }
    }
    let logout = addon.get("logout").filter(|logout| !logout.is_null());
    match logout.map(Value::as_object) {
        Some(None) => faults.push(fault("/addons/samlp/logout", "must be an object", "")),
        Some(Some(members)) => {
            let unknown = members.keys().filter(|name| !matches!(name.as_str(), "callback" | "slo_enabled"));
            faults.extend(unknown.map(|name| fault(&format!("/addons/samlp/logout/{name}"), "is not known here", "remove it")));
        }
        None => {}
    }
    if addon.get("mapIdentities") == Some(&Value::Bool(true)) {
        let message = "is not available: it would give the identity providers' tokens away";
        faults.push(fault("/addons/samlp/mapIdentities", message, "set it to false; map what is needed, as in \"identities\""));
    }
    faults
}

/// A table of this application alone, and what is to be said about it.
pub type Table = (Option<Arc<MappingTable>>, Vec<Fault>);

/// The table that the add-on makes. None where a table of ours is named.
///
/// # Errors
/// Why the mappings cannot be used.
pub fn table(objects: &StoredObjects, id: &str, body: &Map<String, Value>) -> Result<Table, Fault> {
    let Some(addon) = addon(body) else { return Ok((None, Vec::new())) };
    if own(body).is_some_and(|own| own.contains_key("mapping")) {
        return match OF_THE_TABLE[..5].iter().find(|name| addon.contains_key(**name)) {
            Some(name) => {
                Err(fault(&format!("/addons/samlp/{name}"), format!("is said by /{OWN}/saml/mapping too"), "remove one of the two"))
            }
            None => Ok((None, Vec::new())),
        };
    }
    let wrong = |why: String| fault("/addons/samlp/mappings", why, "see docs/mapping.md");
    let flag = |name: &str, usual: bool| addon.get(name).and_then(Value::as_bool).unwrap_or(usual);
    let mut settings = json!({
        "createUpnClaim": flag("createUpnClaim", true),
        // Auth0 passes on what nobody named, unless it is told not to.
        "passthroughClaimsWithNoMapping": flag("passthroughClaimsWithNoMapping", false),
        "mapUnknownClaimsAsIs": flag("mapUnknownClaimsAsIs", false),
        "mapIdentities": false,
        "includeAttributeNameFormat": flag("includeAttributeNameFormat", true),
    });
    match addon.get("mappings") {
        None | Some(Value::Null) => {}
        Some(Value::Object(mappings)) => settings["mappings"] = Value::Object(mappings.clone()),
        Some(_) => return Err(wrong("must be an object: profile fields, and the attributes that they become".to_owned())),
    }
    let imported = import(Notation::Auth0Addon, &settings.to_string()).map_err(wrong)?;
    let file = format!("mappings of {id}.toml");
    let mut files = objects.mapping_files.clone();
    files.push((file.clone(), imported.toml));
    let (library, findings) = MappingLibrary::load(files);
    if let Some(problem) = findings.problems.iter().find(|problem| problem.file == file) {
        return Err(wrong(problem.message.clone()));
    }
    let table = library.table(file.trim_end_matches(".toml"), Direction::FromProfile);
    let table = table.ok_or_else(|| wrong("is no mapping that can be used".to_owned()))?;
    let place = |place: &str| match place.strip_prefix("mappings.") {
        Some(field) => format!("/addons/samlp/mappings/{}", field.replace('~', "~0").replace('/', "~1")),
        None => format!("/addons/samlp/{place}"),
    };
    let told = imported.notes.iter().filter(|note| note.lost).map(|note| fault(&place(&note.place), note.text.clone(), ""));
    Ok((Some(table), told.collect()))
}
