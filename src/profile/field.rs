//! The fields of a profile: their names, their kinds, and how a value becomes one of that kind.
//!
//! Names are those of OpenID Connect where it has one. `saml_data.*` and `custom.*` take anything.

use serde_json::{Map, Number, Value};

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Text,
    /// An absolute `http` or `https` address.
    Url,
    Bool,
    Number,
    /// A list of texts.
    List,
    /// A list of anything, mostly objects.
    Items,
    Object,
    Any,
}

/// Why a value cannot be taken: "is not ..". Never contains the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unusable(pub &'static str);

/// A checked name of a profile field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    pub(super) root: &'static str,
    /// The path below the root: `country` of `address.country`.
    pub(super) member: Option<String>,
    pub kind: Kind,
    /// Set by the gateway itself; a mapping row can read but not write it.
    pub own: bool,
}

impl Field {
    /// Reads `email`, `address.country`, `saml_data.x`. `None` for a name that no profile has.
    pub fn parse(path: &str) -> Option<Self> {
        let (root, member) = path.split_once('.').map_or((path, None), |(root, member)| (root, Some(member)));
        let (root, kind, own) = KNOWN.iter().copied().find(|(name, ..)| *name == root)?;
        let kind = match member {
            None => kind,
            Some(member) if member.split('.').any(str::is_empty) => return None,
            Some(_) if root == "address" => Kind::Text,
            Some(_) if kind == Kind::Object => Kind::Any,
            Some(_) => return None,
        };
        Some(Self { root, member: member.map(str::to_owned), kind, own })
    }

    /// The names that [`Field::parse`] knows.
    pub fn names() -> impl Iterator<Item = &'static str> {
        KNOWN.iter().map(|(name, ..)| *name)
    }

    /// Whether the field can hold several values.
    pub fn is_plural(&self) -> bool {
        matches!(self.kind, Kind::List | Kind::Items | Kind::Any)
    }

    /// The value in this field's kind; `None` when there is nothing in it.
    pub(super) fn convert(&self, value: Value) -> Result<Option<Value>, Unusable> {
        if super::is_nothing(&value) {
            return Ok(None);
        }
        let converted = match self.kind {
            Kind::Text => Value::String(text(value)?),
            Kind::Url => Value::String(web_address(value)?),
            Kind::Bool => Value::Bool(flag(&value)?),
            Kind::Number => Value::Number(number(value)?),
            Kind::List => list(value)?,
            Kind::Items => items(value),
            Kind::Object => Value::Object(object(value)?),
            Kind::Any => value,
        };
        Ok(Some(converted).filter(|value| !super::is_nothing(value)))
    }
}

fn text(value: Value) -> Result<String, Unusable> {
    match value {
        Value::String(text) => Ok(text),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(flag) => Ok(flag.to_string()),
        Value::Array(mut items) if items.len() == 1 => items.pop().map_or(Err(Unusable("is empty")), text),
        _ => Err(Unusable("is not a text")),
    }
}

fn web_address(value: Value) -> Result<String, Unusable> {
    let address = text(value)?;
    let prefix = address.get(..8).map(str::to_ascii_lowercase).unwrap_or_default();
    let is_web = prefix == "https://" || prefix.starts_with("http://");
    if is_web && !address.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Ok(address);
    }
    Err(Unusable("is not an http or https address"))
}

fn flag(value: &Value) -> Result<bool, Unusable> {
    match value {
        Value::Bool(flag) => Ok(*flag),
        Value::Number(number) if number.as_i64() == Some(1) => Ok(true),
        Value::Number(number) if number.as_i64() == Some(0) => Ok(false),
        Value::String(text) => match text.trim().to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" => Ok(true),
            "false" | "0" | "no" => Ok(false),
            _ => Err(Unusable("is neither true nor false")),
        },
        Value::Array(items) if items.len() == 1 => items.first().map_or(Err(Unusable("is empty")), flag),
        _ => Err(Unusable("is neither true nor false")),
    }
}

fn number(value: Value) -> Result<Number, Unusable> {
    match value {
        Value::Number(number) => Ok(number),
        Value::String(text) => {
            let text = text.trim();
            let whole = text.parse::<i64>().ok().map(Number::from);
            whole.or_else(|| Number::from_f64(text.parse().ok()?)).ok_or(Unusable("is not a number"))
        }
        _ => Err(Unusable("is not a number")),
    }
}

fn list(value: Value) -> Result<Value, Unusable> {
    let Value::Array(items) = value else { return Ok(Value::Array(vec![text(value)?.into()])) };
    let mut texts = Vec::with_capacity(items.len());
    for item in items {
        if !super::is_nothing(&item) {
            texts.push(Value::String(text(item)?));
        }
    }
    Ok(Value::Array(texts))
}

fn items(value: Value) -> Value {
    match value {
        Value::Array(_) => value,
        other => Value::Array(vec![other]),
    }
}

fn object(value: Value) -> Result<Map<String, Value>, Unusable> {
    match value {
        Value::Object(map) => Ok(map),
        // OpenID Connect Core 5.1.1: an address is an object; some providers send the formatted text alone.
        Value::String(text) => Ok(Map::from_iter([("formatted".to_owned(), Value::String(text))])),
        _ => Err(Unusable("is not an object")),
    }
}

/// Name, kind, and whether only the gateway sets it.
#[rustfmt::skip]
const KNOWN: &[(&str, Kind, bool)] = &[
    // OpenID Connect Core 5.1
    ("name", Kind::Text, false), ("given_name", Kind::Text, false), ("family_name", Kind::Text, false), ("middle_name", Kind::Text, false),
    ("nickname", Kind::Text, false), ("preferred_username", Kind::Text, false), ("profile", Kind::Url, false), ("picture", Kind::Url, false),
    ("website", Kind::Url, false), ("email", Kind::Text, false), ("email_verified", Kind::Bool, false), ("gender", Kind::Text, false),
    ("birthdate", Kind::Text, false), ("zoneinfo", Kind::Text, false), ("locale", Kind::Text, false), ("phone_number", Kind::Text, false),
    ("phone_number_verified", Kind::Bool, false), ("address", Kind::Object, false), ("updated_at", Kind::Number, false),
    // organisations
    ("groups", Kind::List, false), ("roles", Kind::List, false), ("entitlements", Kind::List, false), ("affiliations", Kind::List, false),
    ("username", Kind::Text, false), ("upn", Kind::Text, false), ("external_id", Kind::Text, false), ("employee_id", Kind::Text, false),
    ("department", Kind::Text, false), ("organization", Kind::Text, false), ("title", Kind::Text, false), ("manager", Kind::Text, false),
    ("cost_center", Kind::Text, false), ("tenant", Kind::Text, false), ("home_organization", Kind::Text, false), ("emails", Kind::List, false),
    // social profiles (S2-12 to S2-19)
    ("thumbnail", Kind::Url, false), ("hometown", Kind::Text, false), ("age", Kind::Number, false), ("languages", Kind::List, false),
    ("honors", Kind::List, false), ("phones", Kind::Items, false), ("education", Kind::Items, false), ("publications", Kind::Items, false),
    ("patents", Kind::Items, false), ("certifications", Kind::Items, false), ("work", Kind::Items, false), ("skills", Kind::Items, false),
    ("favorites", Kind::Object, false), ("likes", Kind::Items, false), ("headline", Kind::Text, false), ("bio", Kind::Text, false),
    ("industry", Kind::Text, false), ("specialties", Kind::Text, false), ("religion", Kind::Text, false), ("political_view", Kind::Text, false),
    ("interested_in", Kind::Text, false), ("relationship_status", Kind::Text, false), ("followers_count", Kind::Number, false),
    ("following_count", Kind::Number, false), ("proxied_email", Kind::Text, false),
    // free data
    ("saml_data", Kind::Object, false), ("custom", Kind::Object, false),
    // the gateway's own
    ("user_id", Kind::Text, true), ("connection", Kind::Text, true), ("identities", Kind::Items, true),
    ("user_metadata", Kind::Object, true), ("app_metadata", Kind::Object, true),
    ("custom_fields", Kind::Object, true),
];

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn converted(field: &str, value: Value) -> Result<Option<Value>, Unusable> {
        Field::parse(field).expect("a known field").convert(value)
    }

    #[test]
    fn values_take_the_kind_of_their_field() {
        assert_eq!(converted("email_verified", json!("TRUE")), Ok(Some(json!(true))));
        assert_eq!(converted("groups", json!("admin")), Ok(Some(json!(["admin"]))));
        assert_eq!(converted("groups", json!(["a", "", null, 7])), Ok(Some(json!(["a", "7"]))));
        assert_eq!(converted("age", json!("42")), Ok(Some(json!(42))));
        assert_eq!(converted("employee_id", json!(42)), Ok(Some(json!("42"))));
        assert_eq!(converted("address", json!("1 Main St")), Ok(Some(json!({"formatted": "1 Main St"}))));
        assert_eq!(converted("saml_data.x", json!({"a": 1})), Ok(Some(json!({"a": 1}))));
    }

    #[test]
    fn values_of_another_kind_are_refused() {
        for (field, value) in [
            ("email", json!(["a", "b"])),
            ("email", json!({})),
            ("email_verified", json!("perhaps")),
            ("picture", json!("javascript:alert(1)")),
            ("picture", json!("https://a/\n")),
            ("age", json!("NaN")),
            ("address", json!(7)),
        ] {
            assert!(converted(field, value.clone()).is_err(), "{field} {value}");
        }
    }

    #[test]
    fn unknown_names_are_no_fields() {
        for name in ["emial", "", "email.x", "saml_data.", "saml_data..x", "address..", "$name_id"] {
            assert_eq!(Field::parse(name), None, "{name}");
        }
    }
}
