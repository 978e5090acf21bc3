//! The three notations of Auth0.

use super::writer::{NewRow, Writer};
use super::{names, object};
use crate::profile::{Direction, Field};
use serde_json::{Map, Value};

/// What the management API accepts as `fieldsMap`.
const MAX_FIELDS: usize = 44;
const MAX_ATTRIBUTES: usize = 4;
const MAX_NAME: usize = 2048;

const NAME_IDENTIFIER: &str = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier";

/// What the add-on maps where its settings have no `mappings`.
const ADDON_DEFAULTS: &[(&str, &str)] = &[
    ("user_id", NAME_IDENTIFIER),
    ("email", "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress"),
    ("name", "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name"),
    ("given_name", "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/givenname"),
    ("family_name", "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/surname"),
    ("upn", "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn"),
    ("groups", "http://schemas.xmlsoap.org/claims/Group"),
];

/// Settings of the add-on; with one of them the input is all of them.
const ADDON_SETTINGS: &[&str] = &[
    "mappings",
    "passthroughClaimsWithNoMapping",
    "mapUnknownClaimsAsIs",
    "createUpnClaim",
    "mapIdentities",
    "includeAttributeNameFormat",
    "typedAttributes",
    "audience",
    "recipient",
    "destination",
    "issuer",
    "signatureAlgorithm",
    "digestAlgorithm",
    "signResponse",
    "lifetimeInSeconds",
    "nameIdentifierFormat",
    "nameIdentifierProbes",
    "authnContextClassRef",
    "logout",
    "binding",
    "signingCert",
];

/// `{ profile field: attribute or attributes }`, the first that is present wins; or a connection, or its options.
pub fn fields_map(input: &Map<String, Value>) -> Result<Writer, String> {
    let mut writer = Writer::new(Direction::ToProfile, Some("saml"), "From the fieldsMap of an Auth0 SAML connection.");
    let options = input.get("options").and_then(Value::as_object).unwrap_or(input);
    let (fields, prefix) = match options.get("fieldsMap") {
        Some(fields) => (object(fields)?, "fieldsMap."),
        None if options.keys().any(|key| key == "signInEndpoint" || key == "signingCert") => {
            return Err("the options have no fieldsMap".to_owned());
        }
        None => (options, ""),
    };
    if !prefix.is_empty() {
        writer.remark("options", "only the fieldsMap is read; the other settings belong to the connection");
        if let Some(attribute) = options.get("user_id_attribute").and_then(Value::as_str) {
            writer.lost("user_id_attribute", format!("write subject_attribute = \"{attribute}\" under [connection.saml]"));
        }
    }
    if fields.len() > MAX_FIELDS {
        writer.remark("fieldsMap", format!("has {} fields, and Auth0 takes {MAX_FIELDS} at most", fields.len()));
    }
    for (field, attributes) in fields {
        let place = format!("{prefix}{field}");
        let Some(attributes) = names(attributes) else {
            writer.lost(&place, "is neither a name nor a list of names");
            continue;
        };
        if attributes.len() > MAX_ATTRIBUTES || attributes.iter().any(|name| name.chars().count() > MAX_NAME) {
            writer.remark(&place, format!("is more than Auth0 takes: {MAX_ATTRIBUTES} names of {MAX_NAME} characters"));
        }
        if field == "user_id" {
            let attribute = attributes.first().copied().unwrap_or_default();
            writer.lost(&place, format!("write subject_attribute = \"{attribute}\" under [connection.saml], if it is not the NameID"));
            continue;
        }
        let mut from = Vec::new();
        for attribute in attributes {
            match raw_name(attribute) {
                Some(names) => from.extend(names),
                None => writer.lost(&place, format!("{attribute}: an attribute whose name begins with $ has another meaning here")),
            }
        }
        let target = field_of(field);
        // Auth0 keeps one value as it is and makes a list of several.
        let free = target.starts_with("custom.");
        writer.row(NewRow { place: &place, targets: &[&target], from, take: free.then_some("as_is"), ..NewRow::default() });
    }
    Ok(writer)
}

/// `{ profile field: attribute or attributes }`, all of them are written; or all settings of the add-on.
pub fn addon(input: &Map<String, Value>) -> Result<Writer, String> {
    let mut writer = Writer::new(Direction::FromProfile, None, "From the SAML2 Web App add-on of an Auth0 application.");
    let settings = input.get("addons").and_then(|addons| addons.get("samlp")).or_else(|| input.get("samlp")).and_then(Value::as_object);
    let settings = settings.unwrap_or(input);
    let whole = settings.iter().any(|(key, value)| is_setting(key, value));
    let formats = settings.get("includeAttributeNameFormat") != Some(&Value::Bool(false)) || !whole;
    let flag = |name: &str, usual: bool| settings.get(name).and_then(Value::as_bool).unwrap_or(usual);
    let mappings =
        if whole { settings.get("mappings").map(object).transpose()?.filter(|mappings| !mappings.is_empty()) } else { Some(settings) };
    match mappings {
        Some(mappings) => {
            let prefix = if whole { "mappings." } else { "" };
            for (field, attributes) in mappings {
                released(&mut writer, &format!("{prefix}{field}"), field, attributes, formats);
            }
        }
        None => {
            let wanted = |(field, _): &&(&str, &str)| *field != "upn" || flag("createUpnClaim", true);
            for (field, attribute) in ADDON_DEFAULTS.iter().filter(wanted) {
                released(&mut writer, "mappings", field, &Value::from(*attribute), formats);
            }
        }
    }
    if whole {
        pass_on(&mut writer, flag("passthroughClaimsWithNoMapping", true), flag("mapUnknownClaimsAsIs", false), formats);
        if flag("mapIdentities", true) {
            writer.lost("mapIdentities", "identities are not released: in Auth0 they carry tokens of the identity providers");
        }
        other_settings(&mut writer, settings);
    }
    Ok(writer)
}

/// `{ attribute: path in the profile }`
pub fn rule(input: &Map<String, Value>) -> Result<Writer, String> {
    let mut writer = Writer::new(Direction::FromProfile, None, "From context.samlConfiguration.mappings of an Auth0 rule.");
    let configuration = input.get("samlConfiguration").and_then(Value::as_object).unwrap_or(input);
    let (mappings, prefix) = match configuration.get("mappings") {
        Some(Value::Object(mappings)) => (mappings, "mappings."),
        _ => (configuration, ""),
    };
    for (attribute, path) in mappings {
        let place = format!("{prefix}{attribute}");
        match path.as_str() {
            Some(path) => released(&mut writer, &place, path, &Value::from(attribute.as_str()), true),
            None => writer.lost(&place, "is not the path of a profile's member"),
        }
    }
    Ok(writer)
}

fn released(writer: &mut Writer, place: &str, field: &str, attributes: &Value, formats: bool) {
    let Some(attributes) = names(attributes) else {
        return writer.lost(place, "is neither a name nor a list of names");
    };
    if field.contains('[') {
        return writer.lost(place, format!("{field}: members of lists need an expression, as in cel = 'profile.identities[0].provider'"));
    }
    let from = path_of(field);
    // Names of different formats are rows of their own.
    for format in ["uri", "basic", "unspecified"] {
        let targets: Vec<&str> = attributes.iter().copied().filter(|name| name_format(name) == format).collect();
        if !targets.is_empty() {
            let name_format = formats.then_some(format);
            writer.row(NewRow { place, targets: &targets, from: from.clone(), name_format, ..NewRow::default() });
        }
    }
    if attributes.is_empty() {
        writer.lost(place, "names no attribute");
    }
}

fn pass_on(writer: &mut Writer, wanted: bool, as_is: bool, formats: bool) {
    if !wanted {
        return;
    }
    let (target, format) = if as_is { ("*", "basic") } else { ("http://schemas.auth0.com/*", "uri") };
    writer.row(NewRow {
        place: "passthroughClaimsWithNoMapping",
        targets: &[target],
        from: ["*", "custom.*", "saml_data.*"].map(str::to_owned).into(),
        name_format: formats.then_some(format),
        members: true,
        ..NewRow::default()
    });
    writer.remark(
        "passthroughClaimsWithNoMapping",
        "the last row releases everything that no other row reads, as Auth0 does; remove it if the application needs less",
    );
}

fn other_settings(writer: &mut Writer, settings: &Map<String, Value>) {
    const CARRIED: &[&str] = &[
        "mappings",
        "passthroughClaimsWithNoMapping",
        "mapUnknownClaimsAsIs",
        "createUpnClaim",
        "mapIdentities",
        "includeAttributeNameFormat",
    ];
    for key in settings.keys().filter(|key| !CARRIED.contains(&key.as_str())) {
        writer.lost(key, "is no mapping; it belongs to the application");
    }
}

/// Whether a member is a setting and not a profile field that happens to have its name.
fn is_setting(key: &str, value: &Value) -> bool {
    ADDON_SETTINGS.contains(&key) && (value.is_object() || value.is_boolean() || value.is_number() || key.contains(char::is_uppercase))
        || (matches!(key, "audience" | "recipient" | "destination" | "issuer") && value.as_str().is_some_and(|text| text.contains(':')))
}

/// The attribute as it comes here. Auth0 shows the NameID and the authentication context as attributes.
fn raw_name(attribute: &str) -> Option<Vec<String>> {
    match attribute {
        NAME_IDENTIFIER => Some(vec!["$name_id".to_owned(), attribute.to_owned()]),
        "http://schemas.microsoft.com/ws/2008/06/identity/claims/authenticationmethod" => {
            Some(vec!["$authn_context".to_owned(), attribute.to_owned()])
        }
        "sessionIndex" => Some(vec!["$session_index".to_owned(), attribute.to_owned()]),
        _ if attribute.starts_with('$') => None,
        _ => Some(vec![attribute.to_owned()]),
    }
}

/// The field that a connection's mapping writes. What is no field of ours is free data.
pub fn field_of(field: &str) -> String {
    match field {
        "phone_verified" => "phone_number_verified".to_owned(),
        "job_title" => "title".to_owned(),
        // Written by nobody's mapping; the writer says so.
        _ if field.starts_with("user_metadata") || field.starts_with("app_metadata") => field.to_owned(),
        _ if Field::parse(field).is_some_and(|known| !known.own) => field.to_owned(),
        _ => format!("custom.{field}"),
    }
}

/// The fields that hold what Auth0 has under a path, the likeliest first.
fn path_of(path: &str) -> Vec<String> {
    match path {
        "phone_verified" => vec!["phone_number_verified".to_owned()],
        "job_title" => vec!["title".to_owned()],
        _ if Field::parse(path).is_some() => vec![path.to_owned()],
        _ => vec![format!("custom.{path}"), format!("saml_data.{path}")],
    }
}

/// SAML Core 8.2, inferred as Auth0 does.
fn name_format(name: &str) -> &'static str {
    let is_name = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_');
    if name.contains("://") || name.starts_with("urn:") {
        "uri"
    } else if name.starts_with(|c: char| c.is_alphabetic() || c == '_') && name.chars().all(is_name) {
        "basic"
    } else {
        "unspecified"
    }
}
