//! Connections: Auth0's `samlp` as `[[connection]]`. What `oidc` is, says [`super::oidc`]; what `auth0` and `custom`, [`super::database`].

use super::document::Document;
use super::{StoredObjects, checked, directory, fault, provider, text, without_effect};
use crate::broker::Gateway;
use crate::broker::live::{Checked, Fault, Known, Made};
use crate::config::connection;
use crate::config::context::Stored;
use crate::connection::config::{CallbackAddress, ConnectionConfig};
use crate::connection::metadata::Owner;
use crate::profile::import::{Notation, Note, import};
use crate::profile::{Direction, MappingLibrary, MappingTable};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// The file's words and Auth0's.
const PLACES: &[(&str, &str)] = &[
    ("name", "/name"),
    ("display_name", "/display_name"),
    ("domains", "/options/domain_aliases"),
    ("applications", "/enabled_clients"),
    ("profile_sync", "/options/set_user_root_attributes"),
    ("non_persistent_attrs", "/options/non_persistent_attrs"),
    ("saml.metadata", "/options/metadataXml"),
    ("saml.metadata_file", "/options/metadataXml"),
    ("saml.metadata_url", "/options/metadataUrl"),
    ("saml.sso_url", "/options/signInEndpoint"),
    ("saml.certificates", "/options/signingCert"),
    ("saml.sign_requests", "/options/signSAMLRequest"),
    ("saml.signature_algorithm", "/options/signatureAlgorithm"),
    ("saml.digest_algorithm", "/options/digestAlgorithm"),
    ("saml.request_binding", "/options/protocolBinding"),
    ("saml.sso_binding", "/options/protocolBinding"),
    ("saml.sp_entity_id", "/options/entityId"),
    ("saml.subject_attribute", "/options/user_id_attribute"),
    ("saml.entity_id", "/isthmus/entity_id"),
];

/// Keys of `isthmus` that belong to `[[connection]]`; the others belong to `[connection.saml]`.
pub(super) const OUTER: &[&str] = &["enabled", "mapping", "profile_sync", "subject_comparison", "link_only", "linking", "second_factor"];

/// Options that are kept, and mean nothing here.
const KEPT: &[(&str, &str)] = &[
    ("signOutEndpoint", "nobody is signed out at the identity provider in this version"),
    ("requestTemplate", "requests have one form; see `isthmus` for what can be set"),
    ("debug", "every login has a trace"),
    ("recipientUrl", "the recipient is the address of the assertion consumer service"),
    ("destinationUrl", "the destination is the address of the assertion consumer service"),
    ("thumbprints", "trust is in the certificate itself"),
    ("tenant_domain", "see domain_aliases"),
    ("icon_url", "pages show names"),
    ("deflate", "the binding says whether requests are compressed"),
];

/// Options that have their meaning here.
const USED: &[&str] = &[
    "metadataXml",
    "metadataUrl",
    "signInEndpoint",
    "signingCert",
    "cert",
    "signSAMLRequest",
    "signatureAlgorithm",
    "digestAlgorithm",
    "protocolBinding",
    "entityId",
    "user_id_attribute",
    "fieldsMap",
    "domain_aliases",
    "set_user_root_attributes",
    "non_persistent_attrs",
    "idpinitiated",
    // A logout there is none of, switched off.
    "disableSignout",
    "disableSignOut",
];

/// Connections that a warning names at most.
const OTHERS: usize = 5;

const STRATEGIES: &str = "use samlp, oidc, oauth2, ad, the name of a provider as google-oauth2 or github, auth0 for users that are kept here, or custom for those that an endpoint of yours keeps";

pub fn make(objects: &StoredObjects, id: &str, body: &Map<String, Value>, known: Known<'_>) -> Result<Checked, Vec<Fault>> {
    match text(body, "strategy") {
        Some("samlp") => saml(objects, body, known),
        Some("oidc") => super::oidc::make(objects, id, body, known),
        Some("auth0") => super::database::make(objects, body, known),
        Some("custom") => super::database::elsewhere(objects, id, body, known),
        Some("oauth2") => provider::oauth2(objects, id, body, known),
        Some("ad" | "ldap") => directory::make(objects, id, body, known),
        Some(other) if let Some(preset) = provider::preset_of(other) => provider::preset(objects, (id, other), body, preset, known),
        Some(other) => {
            let message = format!("connections of the strategy `{other}` are not available in this version");
            Err(vec![fault("/strategy", message, STRATEGIES)])
        }
        None => Err(vec![fault("/strategy", "is missing", STRATEGIES)]),
    }
}

fn saml(objects: &StoredObjects, body: &Map<String, Value>, known: Known<'_>) -> Result<Checked, Vec<Fault>> {
    let options = body.get("options").and_then(Value::as_object).cloned().unwrap_or_default();
    let mut faults = Vec::new();
    let mut document = begun("saml", PLACES, body);
    translate(&options, &mut document);
    faults.extend(document.own(body, OUTER));
    if options.get("upstream_params").is_some_and(|params| params.as_object().is_none_or(|params| !params.is_empty()) && !params.is_null())
    {
        let message = "cannot be set: SAML has no parameters that could be added to a request";
        faults.push(fault("/options/upstream_params", message, "remove it"));
    }
    faults
        .extend(unknown(&options, |name| name == "upstream_params" || USED.contains(&name) || KEPT.iter().any(|(kept, _)| *kept == name)));
    let base = body.get("isthmus").and_then(|own| own.get("mapping")).and_then(Value::as_str).unwrap_or("saml");
    let (mapping, mut warnings) = match fields_map(objects, &options, text(body, "name").unwrap_or_default(), base) {
        Ok(made) => made,
        Err(fault) => {
            faults.push(fault);
            (None, Vec::new())
        }
    };
    warnings.extend(without_effect(&options, "/options", KEPT));
    let names = names(body, known);
    let context = objects.context(Stored { mapping: mapping.as_ref(), ..Stored::default() }, known.now);
    let read = document.read(|section| connection::read(&context, section, &names));
    made(read, (faults, warnings), known)
}

/// What connections of every strategy have. `section`: that of their protocol.
pub(super) fn begun(section: &'static str, places: &'static [(&str, &str)], body: &Map<String, Value>) -> Document {
    let mut document = Document::new(section, places);
    document.take("name", body.get("name"));
    document.take("display_name", body.get("display_name"));
    // Auth0's way: what is not said is no application.
    document.take("applications", Some(body.get("enabled_clients").unwrap_or(&json!([]))));
    document
}

/// The connection out of what was read, with all that is wrong or weak with it.
pub(super) fn made(
    read: Result<(ConnectionConfig, Vec<Fault>), Vec<Fault>>,
    (faults, mut warnings): (Vec<Fault>, Vec<Fault>),
    known: Known<'_>,
) -> Result<Checked, Vec<Fault>> {
    let (config, weak) = match read {
        Err(more) => return Err(faults.into_iter().chain(more).collect()),
        Ok(_) if !faults.is_empty() => return Err(faults),
        Ok(read) => read,
    };
    warnings.extend(weak);
    let taken = taken_domains(&config, known);
    if !taken.is_empty() {
        return Err(taken);
    }
    warnings.extend(shared_address(&config, known));
    let Gateway { issuer, keyring, feeds, directory, .. } = known.gateway;
    let open = |name: &str, living: &_| feeds.open(Owner::connection(name), living);
    let made = crate::connection::connection(config, issuer, Arc::clone(keyring), directory, open);
    Ok(checked(Made::Connection(made.map_err(|error| vec![fault("", error.detail, "")])?), warnings))
}

/// What the check of the file says of connections that answer to one address, of this one beside those that are there.
fn shared_address(config: &ConnectionConfig, known: Known<'_>) -> Option<Fault> {
    let is_shared = |config: &ConnectionConfig| config.enabled && config.callback() == Some(CallbackAddress::Shared);
    let others = known.gateway.connections.configs().filter(|other| is_shared(other) && other.name != config.name);
    let mut names: Vec<&str> = others.map(|other| other.name.as_str()).collect();
    if names.is_empty() || !is_shared(config) {
        return None;
    }
    names.sort_unstable();
    names.truncate(OTHERS);
    let message = format!(
        "weakened: it answers to one address with {}; one that is hostile could get codes of another that does not say who it is (`iss`)",
        names.join(" and ")
    );
    Some(fault("/isthmus/callback", message, "keep it for providers that you cannot tell another address"))
}

/// Auth0's options in the file's words.
fn translate(options: &Map<String, Value>, document: &mut Document) {
    for (path, option) in [
        ("domains", "domain_aliases"),
        ("profile_sync", "set_user_root_attributes"),
        ("non_persistent_attrs", "non_persistent_attrs"),
        ("saml.metadata", "metadataXml"),
        ("saml.metadata_url", "metadataUrl"),
        ("saml.sso_url", "signInEndpoint"),
        ("saml.sign_requests", "signSAMLRequest"),
        ("saml.signature_algorithm", "signatureAlgorithm"),
        ("saml.digest_algorithm", "digestAlgorithm"),
        ("saml.sp_entity_id", "entityId"),
        ("saml.subject_attribute", "user_id_attribute"),
    ] {
        document.take(path, options.get(option));
    }
    if let Some(certificates) = options.get("signingCert").or_else(|| options.get("cert")) {
        document.take("saml.certificates", Some(&decoded(certificates)));
    }
    if let Some(binding) = options.get("protocolBinding") {
        let word = match binding.as_str() {
            Some("urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST") => Value::from("post"),
            Some("urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect") => Value::from("redirect"),
            _ => binding.clone(),
        };
        document.take("saml.request_binding", Some(&word));
        if ["metadataXml", "metadataUrl"].iter().all(|source| options.get(*source).is_none_or(Value::is_null)) {
            document.take("saml.sso_binding", Some(&word));
        }
    }
    unsolicited(options, document);
    // Auth0 has the subject in the map of fields as well.
    let subject = options.get("fieldsMap").and_then(|map| map.get("user_id"));
    let subject = subject.and_then(|names| names.as_str().or_else(|| names.get(0)?.as_str()));
    if let (Some(subject), None) = (subject, options.get("user_id_attribute")) {
        document.set("saml.subject_attribute", subject);
    }
}

/// Sign-ins that the identity provider begins. Answers are hints, whatever Auth0 made of them.
fn unsolicited(options: &Map<String, Value>, document: &mut Document) {
    let Some(initiated) = options.get("idpinitiated").filter(|initiated| initiated.get("enabled") == Some(&Value::Bool(true))) else {
        return;
    };
    let protocol =
        initiated.get("client_protocol").and_then(Value::as_str).map(|protocol| if protocol == "samlp" { "saml" } else { "oidc" });
    let rules = json!({
        "application": initiated.get("client_id"),
        "protocol": protocol,
        "query": initiated.get("client_authorizequery").and_then(Value::as_str).filter(|query| !query.is_empty()),
    });
    document.place("saml.unsolicited", "/options/idpinitiated");
    document.take("saml.unsolicited", Some(&rules));
}

/// A certificate as the file wants it: Auth0's console sends the PEM file in base64.
pub(super) fn decoded(certificates: &Value) -> Value {
    match certificates {
        Value::Array(items) => items.iter().map(decoded).collect(),
        Value::String(text) => {
            let pem = STANDARD.decode(text.trim()).ok().and_then(|octets| String::from_utf8(octets).ok());
            Value::from(pem.filter(|pem| pem.contains("-----BEGIN")).unwrap_or_else(|| text.clone()))
        }
        other => other.clone(),
    }
}

/// What of the options is neither used nor kept.
pub(super) fn unknown(options: &Map<String, Value>, known: impl Fn(&str) -> bool) -> Vec<Fault> {
    let unknown = options.keys().filter(|name| !known(name)).take(20);
    unknown
        .map(|name| fault(&format!("/options/{}", name.replace('~', "~0").replace('/', "~1")), "is not known here", "remove it"))
        .collect()
}

/// The names that `linking.among` may have.
pub(super) fn names(body: &Map<String, Value>, known: Known<'_>) -> Vec<String> {
    let mut names: Vec<String> = known.gateway.connections.names().map(str::to_owned).collect();
    names.extend(text(body, "name").map(str::to_owned));
    if known.again {
        let among = body.get("isthmus").and_then(|own| own.pointer("/linking/among")).and_then(Value::as_array);
        names.extend(among.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned));
    }
    names
}

/// A domain decides where people sign in, so that it can have one connection only.
fn taken_domains(config: &ConnectionConfig, known: Known<'_>) -> Vec<Fault> {
    if known.again {
        return Vec::new();
    }
    let others = || known.gateway.connections.configs().filter(|other| other.name != config.name);
    let taken = config.domains.iter().enumerate().filter(|(_, domain)| others().any(|other| other.domains.contains(domain)));
    let told = |(index, domain): (usize, &String)| {
        let message = format!("the domain {domain} belongs to another connection already");
        fault(
            &format!("/options/domain_aliases/{index}"),
            message,
            "a domain decides where people sign in, so it can have one connection only",
        )
    };
    taken.map(told).collect()
}

type Inline = (Option<Arc<MappingTable>>, Vec<Fault>);

/// The table that `fieldsMap` makes of the one that it extends.
fn fields_map(objects: &StoredObjects, options: &Map<String, Value>, name: &str, base: &str) -> Result<Inline, Fault> {
    const AT: &str = "/options/fieldsMap";
    let Some(mut map) = options.get("fieldsMap").filter(|map| !map.is_null()).cloned() else { return Ok((None, Vec::new())) };
    if let Some(members) = map.as_object_mut() {
        members.remove("user_id");
        if members.is_empty() {
            return Ok((None, Vec::new()));
        }
    }
    let written = json!({ "fieldsMap": map }).to_string();
    let (table, notes) = inline(objects, (Notation::Auth0FieldsMap, &written, AT), &format!("fieldsMap of {name}"), ("saml", base))?;
    let place = |place: &str| place.strip_prefix("fieldsMap.").map_or_else(|| AT.to_owned(), |field| format!("{AT}/{field}"));
    let told = notes.iter().filter(|note| note.lost).map(|note| fault(&place(&note.place), note.text.clone(), ""));
    Ok((table, told.collect()))
}

/// The table of a mapping in another notation, at a place of the object: it extends `base` where the notation has it extend
/// `usual`.
pub(super) fn inline(
    objects: &StoredObjects,
    (notation, written, at): (Notation, &str, &str),
    title: &str,
    (usual, base): (&str, &str),
) -> Result<(Option<Arc<MappingTable>>, Vec<Note>), Fault> {
    if objects.library.table(base, Direction::ToProfile).is_none() {
        // The reader says so.
        return Ok((None, Vec::new()));
    }
    let wrong = |why: String| fault(at, why, "see docs/mapping.md");
    let imported = import(notation, written).map_err(wrong)?;
    let toml = imported.toml.replacen(&format!("extends = \"{usual}\""), &format!("extends = {}", toml::Value::from(base)), 1);
    let file = format!("{title}.toml");
    let mut files = objects.mapping_files.clone();
    files.push((file.clone(), toml));
    let (library, findings) = MappingLibrary::load(files);
    if let Some(problem) = findings.problems.iter().find(|problem| problem.file == file) {
        return Err(wrong(problem.message.clone()));
    }
    let table = library.table(file.trim_end_matches(".toml"), Direction::ToProfile);
    let table = table.ok_or_else(|| wrong("is no mapping that can be used".to_owned()))?;
    Ok((Some(table), imported.notes))
}
