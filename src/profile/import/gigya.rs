//! The two notations of Gigya (SAP Customer Data Cloud).

use super::writer::{NewRow, Writer};
use crate::profile::{Direction, Field};
use serde_json::{Map, Value};
use std::collections::HashMap;

/// Fields of its profile, without regard to case, and ours.
const FIELDS: &[(&str, &str)] = &[
    ("firstname", "given_name"),
    ("lastname", "family_name"),
    ("nickname", "nickname"),
    ("name", "name"),
    ("username", "username"),
    ("email", "email"),
    ("verified", "email_verified"),
    ("proxiedemail", "proxied_email"),
    ("photourl", "picture"),
    ("thumbnailurl", "thumbnail"),
    ("profileurl", "profile"),
    ("gender", "gender"),
    ("age", "age"),
    ("locale", "locale"),
    ("timezone", "zoneinfo"),
    ("address", "address.street_address"),
    ("city", "address.locality"),
    ("state", "address.region"),
    ("zip", "address.postal_code"),
    ("country", "address.country"),
    ("hometown", "hometown"),
    ("languages", "languages"),
    ("honors", "honors"),
    ("phones", "phones"),
    ("phones.number", "phone_number"),
    ("education", "education"),
    ("work", "work"),
    ("work.company", "organization"),
    ("work.title", "title"),
    ("skills", "skills"),
    ("publications", "publications"),
    ("patents", "patents"),
    ("certifications", "certifications"),
    ("favorites", "favorites"),
    ("likes", "likes"),
    ("professionalheadline", "headline"),
    ("bio", "bio"),
    ("industry", "industry"),
    ("specialties", "specialties"),
    ("religion", "religion"),
    ("politicalview", "political_view"),
    ("interestedin", "interested_in"),
    ("relationshipstatus", "relationship_status"),
    ("followerscount", "followers_count"),
    ("followingcount", "following_count"),
];

/// S2-15: comma-separated texts there, lists here.
const JOINED: &[&str] = &["languages", "honors"];

/// S2-14: numbers there, parts of one date here.
const PARTS_OF_BIRTHDATE: &[(&str, &str)] = &[
    (
        "birthyear",
        "has(profile.birthdate) && profile.birthdate.matches('^[0-9]{4}') && !profile.birthdate.startsWith('0000') ? int(profile.birthdate.substring(0, 4)) : null",
    ),
    (
        "birthmonth",
        "has(profile.birthdate) && profile.birthdate.matches('^[0-9]{4}-[0-9]{2}') ? int(profile.birthdate.substring(5, 7)) : null",
    ),
    (
        "birthday",
        "has(profile.birthdate) && profile.birthdate.matches('^[0-9]{4}-[0-9]{2}-[0-9]{2}') ? int(profile.birthdate.substring(8, 10)) : null",
    ),
];

/// An object maps inward, a list outward; either may stand inside the object that it belongs to.
pub fn mapping(input: &Value) -> Result<Writer, String> {
    let Value::Object(members) = input else {
        return match input {
            Value::Array(attributes) => Ok(service_provider(attributes, "")),
            _ => Err("expected an attributeMap (an object) or an attributeMapping (a list)".to_owned()),
        };
    };
    let of_config = |key: &str| members.get(key).or_else(|| members.get("config").and_then(|config| config.get(key)));
    let mut writer = match (of_config("attributeMap"), of_config("attributeMapping")) {
        (Some(Value::Object(attributes)), _) => identity_provider(attributes, "attributeMap."),
        (_, Some(Value::Array(attributes))) => service_provider(attributes, "attributeMapping"),
        _ => return Ok(identity_provider(members, "")),
    };
    let config = members.get("config").and_then(Value::as_object).unwrap_or(members);
    for key in config.keys().filter(|key| !matches!(key.as_str(), "attributeMap" | "attributeMapping")) {
        writer.lost(key, "is no mapping; it belongs to the connection or application");
    }
    Ok(writer)
}

/// `{ attribute: field }`
fn identity_provider(attributes: &Map<String, Value>, prefix: &str) -> Writer {
    let mut writer = Writer::new(Direction::ToProfile, Some("saml"), "From the attributeMap of a Gigya external identity provider.");
    // Of one field, all attributes with their places, in the order of the input.
    let mut fields: Vec<(String, Vec<(String, &str)>)> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    for (attribute, field) in attributes {
        let place = format!("{prefix}{attribute}");
        let Some(field) = field.as_str() else {
            writer.lost(&place, "is not the name of a field");
            continue;
        };
        match inward(field) {
            _ if attribute.starts_with('$') => writer.lost(&place, "an attribute whose name begins with $ has another meaning here"),
            Err(why) => writer.lost(&place, format!("{field}: {}", why.replace("ATTRIBUTE", attribute))),
            Ok(target) => {
                let next = fields.len();
                let number = *places.entry(target.clone()).or_insert(next);
                if number == next {
                    fields.push((target, Vec::new()));
                }
                fields[number].1.push((place, attribute));
            }
        }
    }
    for (target, sources) in &fields {
        let place = sources.first().map_or("", |(place, _)| place.as_str());
        if sources.len() > 1 {
            writer.remark(place, format!("several attributes for {target}; the first that is present is taken"));
        }
        let take = JOINED.contains(&target.as_str()).then_some("split(\",\")");
        let from = sources.iter().map(|(_, attribute)| (*attribute).to_owned()).collect();
        writer.row(NewRow { place, targets: &[target], from, take, ..NewRow::default() });
    }
    writer
}

/// `[ { attributeName, gigyaField, attributeType } ]`
fn service_provider(attributes: &[Value], prefix: &str) -> Writer {
    let mut writer = Writer::new(Direction::FromProfile, None, "From the attributeMapping of a Gigya SAML service provider.");
    for (number, attribute) in attributes.iter().enumerate() {
        let place = format!("{prefix}[{number}]");
        let text = |key: &str| attribute.get(key).and_then(Value::as_str);
        let (Some(name), Some(field)) = (text("attributeName"), text("gigyaField")) else {
            writer.lost(&place, "has no attributeName or no gigyaField");
            continue;
        };
        let key = without_prefix(field).to_ascii_lowercase();
        let cel = PARTS_OF_BIRTHDATE.iter().find(|(part, _)| *part == key).map(|(_, cel)| *cel);
        let from = if cel.is_some() { Ok(Vec::new()) } else { outward(field) };
        let from = match from {
            Ok(from) => from,
            Err(why) => {
                writer.lost(&place, format!("{field}: {why}"));
                continue;
            }
        };
        let take = JOINED.contains(&key.as_str()).then_some("join(\",\")");
        let table: &[(&str, &str)] = if key == "gender" { &[("male", "m"), ("female", "f")] } else { &[] };
        writer.row(NewRow {
            place: &place,
            targets: &[name],
            from,
            cel,
            take,
            name_format: text("attributeType"),
            table,
            ..NewRow::default()
        });
    }
    writer
}

fn inward(field: &str) -> Result<String, &'static str> {
    let key = without_prefix(field).to_ascii_lowercase();
    if matches!(key.as_str(), "provideruid" | "uid") {
        return Err("write subject_attribute = \"ATTRIBUTE\" under [connection.saml], if it is not the NameID");
    }
    if PARTS_OF_BIRTHDATE.iter().any(|(part, _)| *part == key) {
        return Err("a birthdate is one field here; it needs an expression of all three parts");
    }
    if let Some((_, known)) = FIELDS.iter().find(|(name, _)| *name == key) {
        return Ok((*known).to_owned());
    }
    Ok(match (member_of(field, "samlData"), member_of(field, "data")) {
        (Some(member), _) => format!("saml_data.{member}"),
        (None, Some(member)) => format!("custom.{member}"),
        (None, None) => format!("custom.{}", without_prefix(field)),
    })
}

fn outward(field: &str) -> Result<Vec<String>, &'static str> {
    let key = without_prefix(field).to_ascii_lowercase();
    if key == "uid" {
        return Ok(vec!["user_id".to_owned()]);
    }
    if key == "provideruid" {
        return Err("the identifier at the identity provider needs an expression, as in cel = 'profile.identities[0].user_id'");
    }
    if let Some((_, known)) = FIELDS.iter().find(|(name, _)| *name == key) {
        return Ok(vec![(*known).to_owned()]);
    }
    let member = match (member_of(field, "samlData"), member_of(field, "data")) {
        (Some(member), _) => return Ok(vec![format!("saml_data.{member}")]),
        (None, Some(member)) => member,
        (None, None) => without_prefix(field),
    };
    let free = [format!("custom.{member}"), format!("custom_fields.{member}")];
    if free.iter().all(|path| Field::parse(path).is_some()) { Ok(free.into()) } else { Err("is no name of a field") }
}

fn without_prefix(field: &str) -> &str {
    member_of(field, "profile").unwrap_or(field)
}

/// `x` of `data.x`, whatever the case of `data`.
fn member_of<'f>(field: &'f str, object: &str) -> Option<&'f str> {
    field.split_once('.').filter(|(first, _)| first.eq_ignore_ascii_case(object)).map(|(_, member)| member)
}
