//! A registered client as the management API keeps it, and back: one table for both directions.

use super::{Body, Policy};
use crate::broker::admin::kinds;
use crate::oidc::registration::{ClientMetadata, SOFTWARE_STATEMENT};
use serde_json::{Value, json};

/// Members that have a place of their own among Auth0's. Those of `[application.oidc]` are in `isthmus` under the names that
/// they have here; see [`place`].
const PLACES: &[(&str, &str)] = &[
    ("client_name", "/name"),
    ("redirect_uris", "/callbacks"),
    ("post_logout_redirect_uris", "/allowed_logout_urls"),
    ("grant_types", "/grant_types"),
    ("token_endpoint_auth_method", "/token_endpoint_auth_method"),
    ("id_token_signed_response_alg", "/jwt_configuration/alg"),
    ("initiate_login_uri", "/initiate_login_uri"),
    ("logo_uri", "/logo_uri"),
    ("require_pushed_authorization_requests", "/require_pushed_authorization_requests"),
    ("require_signed_request_object", "/signed_request_object/required"),
    ("dpop_bound_access_tokens", "/require_proof_of_possession"),
    ("backchannel_logout_uri", "/oidc_logout/backchannel_logout_urls/0"),
    ("application_type", "/app_type"),
    ("scope", "/isthmus/scopes"),
];

/// Members that change nothing here: they are kept beside the token, to be told again.
const KEPT: [&str; 4] = ["contacts", "software_id", "software_version", SOFTWARE_STATEMENT];

/// Settings of a client that are members of registration, by their own names.
const SETTINGS: &[&str] = &[
    "response_types",
    "client_uri",
    "policy_uri",
    "tos_uri",
    "jwks_uri",
    "jwks",
    "sector_identifier_uri",
    "subject_type",
    "id_token_encrypted_response_alg",
    "id_token_encrypted_response_enc",
    "userinfo_signed_response_alg",
    "userinfo_encrypted_response_alg",
    "userinfo_encrypted_response_enc",
    "request_object_signing_alg",
    "request_object_encryption_alg",
    "request_object_encryption_enc",
    "token_endpoint_auth_signing_alg",
    "default_max_age",
    "require_auth_time",
    "default_acr_values",
    "request_uris",
    "tls_client_auth_subject_dn",
    "tls_client_auth_san_dns",
    "tls_client_auth_san_uri",
    "tls_client_auth_san_ip",
    "tls_client_auth_san_email",
    "tls_client_certificate_bound_access_tokens",
    "backchannel_logout_session_required",
    "frontchannel_logout_uri",
    "frontchannel_logout_session_required",
];

/// Writes what the client says into its object. What it said before is taken away; what operators have set stays.
pub fn put(body: &mut Body, metadata: &ClientMetadata, policy: &Policy) {
    let own = inner(body, "isthmus");
    for name in SETTINGS {
        own.remove(*name);
    }
    own.remove("scopes");
    // RFC 7591 3.2.1: what clients say of a signature that they do not make is left out, as some libraries say it always.
    let asserts = matches!(metadata.text("token_endpoint_auth_method"), Some("client_secret_jwt" | "private_key_jwt"));
    for (name, value) in metadata.members() {
        match (name.as_str(), value) {
            ("token_endpoint_auth_signing_alg", _) if !asserts => {}
            ("scope", _) => drop(own.insert("scopes".to_owned(), words(value))),
            (name, value) if SETTINGS.contains(&name) => drop(own.insert(name.to_owned(), value.clone())),
            _ => {}
        }
    }
    if let Some(connections) = &policy.connections {
        own.entry("connections").or_insert_with(|| json!(connections));
    }
    let public = metadata.text("token_endpoint_auth_method") == Some("none");
    if public {
        own.remove("require_pkce");
    } else if !policy.require_pkce {
        own.entry("require_pkce").or_insert(Value::Bool(false));
    }
    let signs = metadata.members().get("require_signed_request_object") == Some(&Value::Bool(true));
    if signs || metadata.text("request_object_signing_alg").is_some() {
        own.remove("unsigned_request_objects");
    } else if policy.unsigned_request_objects {
        own.entry("unsigned_request_objects").or_insert(Value::Bool(true));
    }
    for (_, pointer) in PLACES.iter().filter(|(_, pointer)| !pointer.starts_with("/isthmus/")) {
        body.remove(pointer.split('/').nth(1).unwrap_or_default());
    }
    for (name, value) in metadata.members() {
        let name = name.as_str();
        let value = value.clone();
        let (member, value) = match name {
            "application_type" => ("app_type", if value == "native" { "native".into() } else { Value::from("regular_web") }),
            "id_token_signed_response_alg" => ("jwt_configuration", json!({ "alg": value })),
            "require_signed_request_object" => ("signed_request_object", json!({ "required": value })),
            "backchannel_logout_uri" => ("oidc_logout", json!({ "backchannel_logout_urls": [value] })),
            _ => match PLACES.iter().find(|(known, pointer)| *known == name && !pointer.starts_with("/isthmus/")) {
                Some((_, pointer)) => (pointer.trim_start_matches('/'), value),
                None => continue,
            },
        };
        body.insert(member.to_owned(), value);
    }
    body.entry("is_first_party").or_insert(Value::Bool(false));
    body.entry("oidc_conformant").or_insert(Value::Bool(true));
}

/// Keeps what is ours to know of a registration, with those members that change nothing.
pub fn put_own(body: &mut Body, mut own: Body, metadata: &ClientMetadata, said: &Body) {
    let is_kept = |name: &str| KEPT.contains(&name) || name.contains('#');
    let mut kept: Body =
        metadata.members().iter().filter(|(name, _)| is_kept(name)).map(|(name, value)| (name.clone(), value.clone())).collect();
    // RFC 7591 3.2.1: a software statement is told as it came.
    if let Some(statement) = said.get(SOFTWARE_STATEMENT).filter(|statement| statement.is_string()) {
        kept.insert(SOFTWARE_STATEMENT.to_owned(), statement.clone());
    }
    own.insert("kept".to_owned(), kept.into());
    body.insert(kinds::REGISTRATION.to_owned(), own.into());
}

/// What is ours to know of a registration; nothing where an operator made the client.
pub fn own(body: &Body) -> Body {
    body.get(kinds::REGISTRATION).and_then(Value::as_object).cloned().unwrap_or_default()
}

/// What a client is registered with, in the words of the standard.
pub fn metadata(body: &Body) -> Body {
    let mut members = Body::new();
    let whole = Value::Object(body.clone());
    for (name, pointer) in PLACES {
        let Some(value) = whole.pointer(pointer).filter(|value| !value.is_null()) else { continue };
        let value = match *name {
            "application_type" => Value::from(if value == "native" { "native" } else { "web" }),
            "scope" => joined(value),
            _ => value.clone(),
        };
        members.insert((*name).to_owned(), value);
    }
    let settings = body.get("isthmus").and_then(Value::as_object);
    for name in SETTINGS {
        if let Some(value) = settings.and_then(|settings| settings.get(*name)) {
            members.insert((*name).to_owned(), value.clone());
        }
    }
    if let Some(kept) = own(body).get("kept").and_then(Value::as_object) {
        members.extend(kept.iter().map(|(name, value)| (name.clone(), value.clone())));
    }
    members
}

/// The member of registration that stands at a place of the object.
pub fn member_at(pointer: &str) -> String {
    let rest_of = |place: &str| pointer.strip_prefix(place).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    if let Some((name, _)) = PLACES.iter().find(|(_, place)| rest_of(place.trim_end_matches("/0"))) {
        return (*name).to_owned();
    }
    let own = pointer.strip_prefix("/isthmus/").and_then(|rest| rest.split('/').next());
    own.or_else(|| pointer.split('/').nth(1)).filter(|name| !name.is_empty()).unwrap_or("client_metadata").to_owned()
}

/// A sentence about the object, in the words of the standard.
pub fn in_their_words(text: &str) -> String {
    PLACES.iter().fold(text.to_owned(), |text, (name, place)| {
        let word = place.split('/').nth(1).unwrap_or_default();
        text.replace(&format!("`{word}`"), &format!("`{name}`"))
    })
}

fn inner<'b>(body: &'b mut Body, name: &str) -> &'b mut Body {
    let slot = body.entry(name).or_insert_with(|| json!({}));
    if !slot.is_object() {
        *slot = json!({});
    }
    slot.as_object_mut().expect("it is an object")
}

/// RFC 6749 3.3. Scopes that are not ours are none for anybody.
fn words(scope: &Value) -> Value {
    let words = scope.as_str().unwrap_or_default().split(' ').filter(|word| crate::oidc::scope::STANDARD_SCOPES.contains(word));
    words.map(Value::from).collect()
}

fn joined(scopes: &Value) -> Value {
    let scopes: Vec<&str> = scopes.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    scopes.join(" ").into()
}
