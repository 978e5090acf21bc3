//! The normalized profile: what every application gets, whatever the identity provider sent.
//!
//! [`RawAttributes`] is what a connection said; a [`MappingTable`] turns it into a [`Profile`]; [`normalize`] adds what
//! is always there; another table turns the profile into what an application is told ([`Released`]). No I/O, and no
//! protocol: SAML attributes and OpenID claims look the same from here on. [`mapping_file`] reads the tables.
//!
//! A [`dialect`] shows a person as another product would. [`provenance`] tells where each member came from.

mod birthdate;
pub mod dialect;
pub mod expression;
pub mod field;
pub mod import;
pub mod mapping;
pub mod mapping_file;
pub mod normalize;
mod permissions;
pub mod provenance;
mod provider_tokens;
pub mod replay;
pub mod transient;
mod written;

pub use birthdate::Birthdate;
pub use dialect::Dialect;
pub use field::{Field, Kind};
pub use mapping::{Direction, MappingError, MappingTable, Outcome, Released, RowNote, TestResult};
pub use mapping_file::MappingLibrary;
pub use normalize::{FilledIn, Normalized, normalize};
pub use permissions::missing_permissions;
pub use provenance::Provenance;
pub use provider_tokens::ProviderTokens;
pub use written::Written;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// One attribute or claim, as it came.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RawAttribute {
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name_format: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub friendly_name: Option<String>,
    pub values: Vec<Value>,
}

/// What the protocol itself says about a login, beside the attributes. In a mapping row: `$name_id` and so on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fact {
    NameId,
    NameIdFormat,
    NameQualifier,
    SpNameQualifier,
    AuthnContext,
    AuthnInstant,
    SessionIndex,
    Issuer,
    Subject,
    /// Who authenticated the person for the issuer (AuthnContext/AuthenticatingAuthority); may have several values.
    AuthenticatingAuthority,
    /// The NameID, if its format says that it is an e-mail address. Derived; nobody sets it.
    NameIdEmail,
}

impl Fact {
    pub const ALL: [(&'static str, Self); 11] = [
        ("name_id", Self::NameId),
        ("name_id_format", Self::NameIdFormat),
        ("name_qualifier", Self::NameQualifier),
        ("sp_name_qualifier", Self::SpNameQualifier),
        ("authn_context", Self::AuthnContext),
        ("authn_instant", Self::AuthnInstant),
        ("session_index", Self::SessionIndex),
        ("issuer", Self::Issuer),
        ("subject", Self::Subject),
        ("authenticating_authority", Self::AuthenticatingAuthority),
        ("name_id_email", Self::NameIdEmail),
    ];

    /// Reads `$name_id` and its like.
    pub fn parse(source: &str) -> Option<Self> {
        let name = source.strip_prefix('$')?;
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, fact)| *fact)
    }

    /// Without the `$`.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, fact)| *fact == self).map_or("", |(name, _)| name)
    }
}

/// What a connection said about a person: every value of every instance of every attribute (S2-22), and the facts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RawAttributes {
    #[serde(default)]
    attributes: Vec<RawAttribute>,
    #[serde(default)]
    facts: Vec<(Fact, String)>,
}

impl RawAttributes {
    pub fn new() -> Self {
        Self::default()
    }

    /// From claims: each member becomes an attribute, an array its several values.
    pub fn from_claims(claims: &Map<String, Value>) -> Self {
        let mut raw = Self::new();
        for (name, value) in claims {
            let values = match value {
                Value::Array(items) => items.clone(),
                Value::Null => continue,
                other => vec![other.clone()],
            };
            raw.push(RawAttribute { name: name.clone(), name_format: None, friendly_name: None, values });
        }
        raw
    }

    /// Adds an attribute. One that is there already is kept beside it: a mapping row sees the values of both.
    pub fn push(&mut self, attribute: RawAttribute) {
        self.attributes.push(attribute);
    }

    /// Adds an attribute that has nothing but a name and texts.
    pub fn push_texts<'a>(&mut self, name: &str, values: impl IntoIterator<Item = &'a str>) {
        let values = values.into_iter().map(Value::from).collect();
        self.push(RawAttribute { name: name.to_owned(), name_format: None, friendly_name: None, values });
    }

    /// Adds what is at a path of `claims`, under a name of its own; nothing where nothing is.
    pub fn push_claim(&mut self, name: &str, claims: &Map<String, Value>, path: &str) {
        let value = claims.get(path).or_else(|| {
            let (first, rest) = path.split_once('.')?;
            walk(claims.get(first)?, rest)
        });
        let values = match value {
            None | Some(Value::Null) => return,
            Some(Value::Array(items)) => items.clone(),
            Some(other) => vec![other.clone()],
        };
        self.push(RawAttribute { name: name.to_owned(), name_format: None, friendly_name: None, values });
    }

    /// Sets a protocol fact. What an identity provider sends as an attribute named `$name_id` never becomes one.
    pub fn set_fact(&mut self, fact: Fact, value: impl Into<String>) {
        self.facts.retain(|(known, _)| *known != fact);
        self.facts.push((fact, value.into()));
    }

    /// Adds a value to a fact that may have several.
    pub fn push_fact(&mut self, fact: Fact, value: impl Into<String>) {
        self.facts.push((fact, value.into()));
    }

    /// All values of a fact, in their order; empty ones are none.
    pub fn facts(&self, fact: Fact) -> impl Iterator<Item = &str> {
        let derived = (fact == Fact::NameIdEmail).then(|| self.fact(fact)).flatten();
        let set = self.facts.iter().filter(move |(known, _)| *known == fact).map(|(_, value)| value.as_str());
        derived.into_iter().chain(set).filter(|value| !value.is_empty())
    }

    /// The first value of a fact.
    pub fn fact(&self, fact: Fact) -> Option<&str> {
        if fact == Fact::NameIdEmail {
            let is_email = self.fact(Fact::NameIdFormat).is_some_and(|format| format.ends_with(":emailAddress"));
            return if is_email { self.fact(Fact::NameId) } else { None };
        }
        self.facts.iter().find(|(known, _)| *known == fact).map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// A copy without some of it.
    #[must_use]
    pub fn without(&self, attribute: impl Fn(&RawAttribute) -> bool, fact: impl Fn(Fact) -> bool) -> Self {
        Self {
            attributes: self.attributes.iter().filter(|known| !attribute(known)).cloned().collect(),
            facts: self.facts.iter().filter(|(known, _)| !fact(*known)).cloned().collect(),
        }
    }

    pub fn attributes(&self) -> &[RawAttribute] {
        &self.attributes
    }

    /// All values of all instances of one source: a `$fact`, a name, or else a friendly name.
    pub fn values(&self, source: &str) -> Vec<&Value> {
        let by = |pick: &dyn Fn(&RawAttribute) -> bool| -> Vec<&Value> {
            self.attributes.iter().filter(|attribute| pick(attribute)).flat_map(|attribute| &attribute.values).collect()
        };
        let named = by(&|attribute| attribute.name == source);
        if named.is_empty() { by(&|attribute| attribute.friendly_name.as_deref() == Some(source)) } else { named }
    }

    /// The first text of a source, a fact or an attribute: for a connection that takes its subject from an attribute.
    pub fn first_text(&self, source: &str) -> Option<&str> {
        if source.starts_with('$') {
            return Fact::parse(source).and_then(|fact| self.fact(fact));
        }
        self.values(source).into_iter().filter_map(Value::as_str).map(str::trim).find(|text| !text.is_empty())
    }
}

/// The normalized profile: an ordered JSON object whose members have known kinds. What is absent upstream is absent
/// here (S1-7): there is never a `null` and never an empty text.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Profile(Map<String, Value>);

impl Profile {
    pub fn new() -> Self {
        Self::default()
    }

    /// From a stored object. Nulls and empty texts are left out.
    pub fn from_map(mut map: Map<String, Value>) -> Self {
        map.retain(|_, value| !is_nothing(value));
        Self(map)
    }

    pub fn as_map(&self) -> &Map<String, Value> {
        &self.0
    }

    pub fn into_map(self) -> Map<String, Value> {
        self.0
    }

    /// A member by its path: `email`, `address.country`, `saml_data.affiliation`.
    pub fn get(&self, path: &str) -> Option<&Value> {
        self.0.get(path).or_else(|| {
            let (root, rest) = path.split_once('.')?;
            walk(self.0.get(root)?, rest)
        })
    }

    pub fn str(&self, path: &str) -> Option<&str> {
        self.get(path)?.as_str()
    }

    pub fn bool(&self, path: &str) -> Option<bool> {
        self.get(path)?.as_bool()
    }

    /// The texts of a list; a single text is a list of one; absent is empty.
    pub fn list(&self, path: &str) -> Vec<&str> {
        match self.get(path) {
            Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).collect(),
            Some(Value::String(text)) => vec![text],
            _ => Vec::new(),
        }
    }

    /// Sets a known field, converting to its kind. Nothing (null, empty text, empty list) removes it.
    pub fn set(&mut self, field: &Field, value: Value) -> Result<(), field::Unusable> {
        match field.convert(value)? {
            Some(value) => self.put(field, value),
            None => self.remove(field),
        }
        Ok(())
    }

    /// [`Profile::set`] by name.
    pub fn set_named(&mut self, path: &str, value: impl Into<Value>) -> Result<(), field::Unusable> {
        let field = Field::parse(path).ok_or(field::Unusable("is not a known field"))?;
        self.set(&field, value.into())
    }

    fn put(&mut self, field: &Field, value: Value) {
        match &field.member {
            None => {
                self.0.insert(field.root.to_owned(), value);
            }
            Some(member) => {
                let object = self.0.entry(field.root).or_insert_with(|| Value::Object(Map::new()));
                put_member(object, member, value);
            }
        }
    }

    fn remove(&mut self, field: &Field) {
        match &field.member {
            None => {
                self.0.shift_remove(field.root);
            }
            Some(member) => {
                if let Some(Value::Object(object)) = self.0.get_mut(field.root) {
                    object.shift_remove(member);
                }
            }
        }
    }
}

/// Sets `a.b.c` in an object, making the objects between.
fn put_member(object: &mut Value, path: &str, value: Value) {
    let Value::Object(map) = object else {
        *object = Value::Object(Map::new());
        return put_member(object, path, value);
    };
    match path.split_once('.') {
        None => {
            map.insert(path.to_owned(), value);
        }
        Some((first, rest)) => put_member(map.entry(first).or_insert_with(|| Value::Object(Map::new())), rest, value),
    }
}

/// Follows `a.b.c`; a member whose own name contains dots is found too.
fn walk<'v>(value: &'v Value, path: &str) -> Option<&'v Value> {
    let map = value.as_object()?;
    map.get(path).or_else(|| {
        let (first, rest) = path.split_once('.')?;
        walk(map.get(first)?, rest)
    })
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.trim().is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn s1_7_absent_stays_absent() {
        let mut profile = Profile::new();
        for nothing in [json!(null), json!(""), json!("  ")] {
            profile.set_named("email", nothing).expect("accepted");
        }
        profile.set_named("groups", json!([])).expect("accepted");
        assert!(profile.as_map().is_empty());
        assert!(Profile::from_map(json!({"email": null, "name": ""}).as_object().expect("object").clone()).as_map().is_empty());
    }

    #[test]
    fn s2_22_all_values_of_all_instances_are_kept() {
        let mut raw = RawAttributes::new();
        raw.push_texts("affiliation", ["member@a", "staff@a"]);
        raw.push_texts("other", ["x"]);
        raw.push_texts("affiliation", ["student@b"]);
        assert_eq!(raw.values("affiliation"), [&json!("member@a"), &json!("staff@a"), &json!("student@b")]);
    }

    #[test]
    fn a_name_wins_over_a_friendly_name() {
        let mut raw = RawAttributes::new();
        let friendly = |name: &str, value: &str| RawAttribute {
            name: name.into(),
            name_format: None,
            friendly_name: Some("mail".into()),
            values: vec![value.into()],
        };
        raw.push(friendly("urn:oid:1", "friendly"));
        assert_eq!(raw.values("mail"), [&json!("friendly")]);
        raw.push_texts("mail", ["named"]);
        assert_eq!(raw.values("mail"), [&json!("named")]);
    }

    #[test]
    fn an_attribute_cannot_pose_as_a_fact() {
        let mut raw = RawAttributes::new();
        raw.push_texts("$name_id", ["admin"]);
        assert_eq!(raw.first_text("$name_id"), None);
        raw.set_fact(Fact::NameId, "jane");
        assert_eq!(raw.first_text("$name_id"), Some("jane"));
    }

    #[test]
    fn nested_members_are_set_and_read() {
        let mut profile = Profile::new();
        profile.set_named("saml_data.a.b", json!(["x"])).expect("accepted");
        profile.set_named("address.country", json!("Austria")).expect("accepted");
        assert_eq!(profile.list("saml_data.a.b"), ["x"]);
        assert_eq!(profile.str("address.country"), Some("Austria"));
    }

    #[test]
    fn raw_attributes_survive_storage() {
        let mut raw = RawAttributes::new();
        raw.push_texts("mail", ["a@b"]);
        raw.set_fact(Fact::Issuer, "https://idp.example");
        let text = serde_json::to_string(&raw).expect("serializes");
        assert_eq!(serde_json::from_str::<RawAttributes>(&text).expect("reads"), raw);
    }
}
