//! Attributes as an application gets them: types and name formats by its settings.

use crate::saml::assertion::{Attribute, AttributeValue, NameId};
use crate::saml::names;

/// One attribute that the application's mapping table released.
#[derive(Clone, Debug, PartialEq)]
pub struct ReleasedAttribute {
    pub name: String,
    /// As the table says; where it says nothing, by [`NameFormats`].
    pub name_format: Option<String>,
    pub friendly_name: Option<String>,
    /// Without any the attribute is not written.
    pub values: Vec<ReleasedValue>,
}

/// One value.
#[derive(Clone, Debug, PartialEq)]
pub enum ReleasedValue {
    Text(String),
    Boolean(bool),
    Integer(i64),
    Double(f64),
    /// An object or list as JSON text.
    Structured(String),
    /// A NameID element, as eduPersonTargetedID has it.
    NameId(NameId),
}

/// Which `xsi:type` values have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ValueTypes {
    /// xs:string, xs:boolean, xs:double, and xs:anyType for the rest.
    #[default]
    Inferred,
    /// xs:anyType for all.
    AnyType,
}

/// Which NameFormat attributes have whose mapping row names none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NameFormats {
    /// `uri` for URIs, `basic` for names without space and colon, else `unspecified`.
    #[default]
    Inferred,
    /// None is written.
    Omitted,
}

/// How attributes are written for one application.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AttributeStyle {
    pub types: ValueTypes,
    pub name_formats: NameFormats,
}

impl AttributeStyle {
    /// What is not there is not written: an attribute without values is left out.
    pub(super) fn write_all(self, released: &[ReleasedAttribute]) -> Vec<Attribute> {
        released.iter().filter(|attribute| !attribute.values.is_empty()).map(|attribute| self.attribute(attribute)).collect()
    }

    fn attribute(self, released: &ReleasedAttribute) -> Attribute {
        let inferred = || (self.name_formats == NameFormats::Inferred).then(|| infer_name_format(&released.name).to_owned());
        Attribute {
            name: released.name.clone(),
            name_format: released.name_format.clone().or_else(inferred),
            friendly_name: released.friendly_name.clone(),
            values: released.values.iter().map(|value| self.value(value)).collect(),
        }
    }

    fn value(self, value: &ReleasedValue) -> AttributeValue {
        let (value, xsi_type) = match value {
            ReleasedValue::Text(text) => (text.clone(), "string"),
            ReleasedValue::Boolean(truth) => (truth.to_string(), "boolean"),
            ReleasedValue::Integer(number) => (number.to_string(), "double"),
            ReleasedValue::Double(number) => (double(*number), "double"),
            ReleasedValue::Structured(json) => (json.clone(), "anyType"),
            ReleasedValue::NameId(name_id) => return AttributeValue::NameId(name_id.clone()),
        };
        let xsi_type = if self.types == ValueTypes::AnyType { "anyType" } else { xsi_type };
        AttributeValue::Text { value, xsi_type: Some(xsi_type.to_owned()) }
    }
}

/// XML Schema 2, 3.2.5: INF and NaN have names of their own.
fn double(number: f64) -> String {
    match number {
        f64::INFINITY => "INF".to_owned(),
        f64::NEG_INFINITY => "-INF".to_owned(),
        number => number.to_string(),
    }
}

/// SAML Core 8.2: `basic` names are of type xs:Name, which has no white space; a colon in one would look like a URI.
fn infer_name_format(name: &str) -> &'static str {
    let scheme = name.split_once(':').map(|(scheme, _)| scheme);
    let is_scheme = |scheme: &str| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
    };
    if name.contains(char::is_whitespace) {
        names::ATTRNAME_UNSPECIFIED
    } else if scheme.is_some_and(is_scheme) {
        names::ATTRNAME_URI
    } else if crate::saml::xml::is_ncname(name) {
        names::ATTRNAME_BASIC
    } else {
        names::ATTRNAME_UNSPECIFIED
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_formats_are_inferred_from_names() {
        for (name, format) in [
            ("urn:oid:2.5.4.42", names::ATTRNAME_URI),
            ("http://schemas.xmlsoap.org/claims/Group", names::ATTRNAME_URI),
            ("mail", names::ATTRNAME_BASIC),
            ("given.name-2", names::ATTRNAME_BASIC),
            ("First name", names::ATTRNAME_UNSPECIFIED),
            ("2nd", names::ATTRNAME_UNSPECIFIED),
            ("1:x", names::ATTRNAME_UNSPECIFIED),
            ("", names::ATTRNAME_UNSPECIFIED),
        ] {
            assert_eq!(infer_name_format(name), format, "{name}");
        }
    }

    #[test]
    fn types_are_inferred_or_all_any_type() {
        let released = [
            (ReleasedValue::Text("x".to_owned()), "x", "string"),
            (ReleasedValue::Boolean(true), "true", "boolean"),
            (ReleasedValue::Integer(-7), "-7", "double"),
            (ReleasedValue::Double(0.5), "0.5", "double"),
            (ReleasedValue::Double(f64::NEG_INFINITY), "-INF", "double"),
            (ReleasedValue::Structured("{\"a\":1}".to_owned()), "{\"a\":1}", "anyType"),
        ];
        for (value, text, xsi_type) in released {
            for (types, xsi_type) in [(ValueTypes::Inferred, xsi_type), (ValueTypes::AnyType, "anyType")] {
                let written = AttributeStyle { types, ..AttributeStyle::default() }.value(&value);
                assert_eq!(written, AttributeValue::Text { value: text.to_owned(), xsi_type: Some(xsi_type.to_owned()) });
            }
        }
    }
}
