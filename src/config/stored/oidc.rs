//! Connections: Auth0's `oidc` as `[[connection]]` with `[connection.oidc]`.

use super::connection::{OUTER, begun, inline, made, names, unknown};
use super::document::{Document, escaped};
use super::{StoredObjects, fault, text, without_effect};
use crate::broker::admin::{kinds, objects};
use crate::broker::live::{Checked, Fault, Known};
use crate::config::connection;
use crate::config::context::Stored;
use crate::profile::MappingTable;
use crate::profile::import::Notation;
use crate::secret::Secret;
use serde_json::{Map, Value};
use std::sync::Arc;

/// The file's words and Auth0's.
const PLACES: &[(&str, &str)] = &[
    ("name", "/name"),
    ("display_name", "/display_name"),
    ("domains", "/options/domain_aliases"),
    ("applications", "/enabled_clients"),
    ("profile_sync", "/options/set_user_root_attributes"),
    ("non_persistent_attrs", "/options/non_persistent_attrs"),
    ("oidc.issuer", "/options/issuer"),
    ("oidc.metadata_url", "/options/discovery_url"),
    ("oidc.authorization_endpoint", "/options/authorization_endpoint"),
    ("oidc.token_endpoint", "/options/token_endpoint"),
    ("oidc.userinfo_endpoint", "/options/userinfo_endpoint"),
    ("oidc.jwks_uri", "/options/jwks_uri"),
    ("oidc.client_id", "/options/client_id"),
    ("oidc.client_secret", "/options/client_secret"),
    ("oidc.token_endpoint_auth_method", "/options/token_endpoint_auth_method"),
    ("oidc.token_endpoint_auth_signing_alg", "/options/token_endpoint_auth_signing_alg"),
    ("oidc.scopes", "/options/scope"),
    ("oidc.upstream_params", "/options/upstream_params"),
];

/// Options that are kept, and mean nothing here.
const KEPT: &[(&str, &str)] = &[
    ("connection_settings", "PKCE by S256 is used always"),
    ("tenant_domain", "see domain_aliases"),
    ("icon_url", "pages show names"),
    ("oidc_metadata", "the provider is asked itself"),
    ("schema_version", "there is one"),
    ("id_token_session_expiry_supported", "sessions here have lifetimes of their own"),
    ("dpop_signing_alg", "tokens are not bound"),
];

/// Settings that only the file can have: which machines can be asked, and keys of ours.
const FILE_ONLY: [&str; 3] = ["private_network", "client_certificate", "client_key"];

/// Where a provider describes itself, behind its issuer.
const WELL_KNOWN: &str = "/.well-known/openid-configuration";

pub fn make(stored: &StoredObjects, id: &str, body: &Map<String, Value>, known: Known<'_>) -> Result<Checked, Vec<Fault>> {
    let options = body.get("options").and_then(Value::as_object).cloned().unwrap_or_default();
    let mut document = begun("oidc", PLACES, body);
    let mut warnings = translate(&options, &mut document);
    let mut faults = document.own(body, OUTER);
    let of_place = |name: &str| PLACES.iter().any(|(_, pointer)| pointer.strip_prefix("/options/") == Some(name));
    faults.extend(unknown(&options, |name| {
        of_place(name)
            || ["type", "attribute_map", "federated_connections_access_tokens"].contains(&name)
            || KEPT.iter().any(|(kept, _)| *kept == name)
    }));
    faults.extend(file_only(body));
    let secret = secret(&options, "client_secret", id, known, &mut faults);
    warnings.extend(without_effect(&options, "/options", KEPT));
    let base = body.get("isthmus").and_then(|own| own.get("mapping")).and_then(Value::as_str).unwrap_or("oidc");
    let mapping = attribute_map(stored, &options, (text(body, "name").unwrap_or_default(), id), base).unwrap_or_else(|more| {
        faults.extend(more);
        None
    });
    let names = names(body, known);
    let context = stored.context(Stored { shared_secret: secret.as_ref(), mapping: mapping.as_ref(), ..Stored::default() }, known.now);
    let read = document.read(|section| connection::read(&context, section, &names));
    made(read, (faults, warnings), known)
}

/// What of `isthmus` only the file can say: which machines can be asked is for whoever runs this one.
pub(super) fn file_only(body: &Map<String, Value>) -> Vec<Fault> {
    let own = body.get("isthmus").and_then(Value::as_object);
    let named = FILE_ONLY.into_iter().filter(|name| own.is_some_and(|own| own.contains_key(*name)));
    named.map(|name| fault(&format!("/isthmus/{name}"), "cannot be set here", "write the connection into the configuration file")).collect()
}

/// A secret among the options, opened; a fault where it does not open.
pub(super) fn secret(
    options: &Map<String, Value>,
    name: &str,
    id: &str,
    known: Known<'_>,
    faults: &mut Vec<Fault>,
) -> Option<Secret<String>> {
    opened(options.get(name), &format!("/options/{name}"), id, known, faults)
}

/// The same for one that stands elsewhere.
pub(super) fn opened(secret: Option<&Value>, pointer: &str, id: &str, known: Known<'_>, faults: &mut Vec<Fault>) -> Option<Secret<String>> {
    let secret = secret.filter(|secret| !secret.is_null() && secret.as_str() != Some(""))?;
    let opened = objects::open(kinds::CONNECTION.name, id, secret, known.gateway.admin.sealer());
    opened.map_err(|error| faults.push(fault(pointer, error.detail, "send it again"))).ok()
}

/// The table that `attribute_map` makes.
fn attribute_map(stored: &StoredObjects, options: &Map<String, Value>, (name, id): (&str, &str), base: &str) -> Result<Inline, Vec<Fault>> {
    const AT: &str = "/options/attribute_map";
    let Some(mut map) = options.get("attribute_map").filter(|map| !map.is_null()).cloned() else { return Ok(None) };
    let Some(members) = map.as_object() else { return Err(vec![fault(AT, "must be an object", "")]) };
    if let Some(unknown) = members.keys().find(|name| !["mapping_mode", "userinfo_scope", "attributes"].contains(&name.as_str())) {
        return Err(vec![fault(&format!("{AT}/{}", escaped(unknown)), "is not known here", "remove it")]);
    }
    for template in map.get_mut("attributes").and_then(Value::as_object_mut).into_iter().flat_map(|map| map.values_mut()) {
        if let Some(text) = template.as_str() {
            *template = text.replace("${context.connection.id}", id).into();
        }
    }
    let title = format!("attribute_map of {name}");
    let made = inline(stored, (Notation::Auth0AttributeMap, &map.to_string(), AT), &title, ("oidc", base));
    let (table, notes) = made.map_err(|fault| vec![fault])?;
    let place = |place: &str| {
        place.strip_prefix("attributes.").map_or_else(|| AT.to_owned(), |field| format!("{AT}/attributes/{}", escaped(field)))
    };
    let lost = notes.iter().filter(|note| note.lost).map(|note| fault(&place(&note.place), note.text.clone(), "see docs/connections.md"));
    let lost: Vec<Fault> = lost.collect();
    if lost.is_empty() { Ok(table) } else { Err(lost) }
}

type Inline = Option<Arc<MappingTable>>;

/// Auth0's options in the file's words. Warnings about what has no effect.
fn translate(options: &Map<String, Value>, document: &mut Document) -> Vec<Fault> {
    let mut warnings = Vec::new();
    for (path, option) in [
        ("domains", "domain_aliases"),
        ("profile_sync", "set_user_root_attributes"),
        ("non_persistent_attrs", "non_persistent_attrs"),
        ("oidc.metadata_url", "discovery_url"),
        ("oidc.authorization_endpoint", "authorization_endpoint"),
        ("oidc.token_endpoint", "token_endpoint"),
        ("oidc.userinfo_endpoint", "userinfo_endpoint"),
        ("oidc.jwks_uri", "jwks_uri"),
        ("oidc.client_id", "client_id"),
        ("oidc.token_endpoint_auth_method", "token_endpoint_auth_method"),
        ("oidc.token_endpoint_auth_signing_alg", "token_endpoint_auth_signing_alg"),
    ] {
        document.take(path, options.get(option).filter(|value| !value.is_null() && value.as_str() != Some("")));
    }
    // Auth0 takes the issuer from what the provider says of itself; here it is known before.
    let discovered = text(options, "discovery_url").and_then(|url| url.strip_suffix(WELL_KNOWN));
    if let Some(issuer) = text(options, "issuer").filter(|issuer| !issuer.is_empty()).or(discovered) {
        document.set("oidc.issuer", issuer);
    }
    let of_userinfo = options.get("attribute_map").and_then(|map| map.get("userinfo_scope")).and_then(Value::as_str);
    let scope = text(options, "scope").filter(|scope| !scope.trim().is_empty());
    if scope.is_some() || of_userinfo.is_some() {
        let mut scopes: Vec<&str> = Vec::new();
        for scope in
            scope.unwrap_or("openid profile email").split_ascii_whitespace().chain(of_userinfo.unwrap_or("").split_ascii_whitespace())
        {
            if !scopes.contains(&scope) {
                scopes.push(scope);
            }
        }
        document.set("oidc.scopes", scopes.into_iter().map(toml::Value::from).collect::<Vec<_>>());
    }
    if text(options, "type") == Some("front_channel") {
        warnings.push(fault("/options/type", "is kept, without effect: logins are by the code flow always", ""));
    }
    let tokens = options.get("federated_connections_access_tokens").and_then(|tokens| tokens.get("active"));
    document.take("oidc.store_tokens", tokens);
    document.take("oidc.upstream_params", options.get("upstream_params"));
    warnings
}
