//! Shapes of JSON values: one table for reading what programs send and for describing it.
//!
//! A [`Shape`] says which members an object has. [`Shape::check`] says everything that is wrong with a value, each with a
//! JSON pointer; [`Shape::schema`] is the same as JSON Schema 2020-12 for the OpenAPI document, so the two cannot differ.

use crate::broker::live::Fault;
use serde_json::{Map, Value, json};

/// An object.
#[derive(Debug)]
pub struct Shape {
    /// In the OpenAPI document, under `components/schemas`.
    pub name: &'static str,
    pub members: &'static [Member],
    /// Members that are not listed are allowed.
    pub open: bool,
    /// A JSON text.
    pub example: &'static str,
}

/// A member of an object, or a parameter of a query.
#[derive(Debug)]
pub struct Member {
    pub name: &'static str,
    pub kind: Kind,
    pub required: bool,
    pub about: &'static str,
}

/// What a value may be.
#[derive(Debug)]
pub enum Kind {
    /// Characters at least and at most.
    Text(usize, usize),
    /// A text of a format that is checked elsewhere: the format's name in JSON Schema.
    Formatted(&'static str, usize),
    OneOf(&'static [&'static str]),
    Boolean,
    /// From and to.
    Integer(i64, i64),
    Number,
    /// Any object.
    Object,
    /// A list of at most so many.
    List(&'static Kind, usize),
    Record(&'static Shape),
    /// The value, or null.
    OrNull(&'static Kind),
    Any,
}

/// A required member.
pub const fn must(name: &'static str, kind: Kind, about: &'static str) -> Member {
    Member { name, kind, required: true, about }
}

/// A member that may be left out.
pub const fn may(name: &'static str, kind: Kind, about: &'static str) -> Member {
    Member { name, kind, required: false, about }
}

/// Faults of one body that are told.
const MOST_FAULTS: usize = 50;

impl Shape {
    /// Everything that is wrong with a value.
    pub fn check(&self, value: &Value) -> Vec<Fault> {
        let mut faults = Vec::new();
        self.check_at(value, "", &mut faults);
        faults.truncate(MOST_FAULTS);
        faults
    }

    fn check_at(&self, value: &Value, at: &str, faults: &mut Vec<Fault>) {
        let Some(members) = value.as_object() else {
            return faults.push(fault(at, "must be an object"));
        };
        for member in self.members {
            let here = pointer(at, member.name);
            match members.get(member.name) {
                None if member.required => faults.push(fault(&here, "is missing")),
                None => {}
                Some(value) => member.kind.check(value, &here, faults),
            }
        }
        if !self.open {
            let unknown = members.keys().filter(|name| !self.members.iter().any(|member| member.name == name.as_str()));
            faults.extend(unknown.take(MOST_FAULTS).map(|name| fault(&pointer(at, name), "is not a member that can be set here")));
        }
    }

    /// JSON Schema 2020-12; other shapes by reference.
    pub fn schema(&self) -> Value {
        let properties: Map<String, Value> =
            self.members.iter().map(|member| (member.name.to_owned(), described(member.kind.schema(), member.about))).collect();
        let required: Vec<&str> = self.members.iter().filter(|member| member.required).map(|member| member.name).collect();
        let mut schema = json!({ "type": "object", "properties": properties });
        if let Some(members) = schema.as_object_mut() {
            if !required.is_empty() {
                members.insert("required".to_owned(), json!(required));
            }
            if !self.open {
                members.insert("additionalProperties".to_owned(), Value::Bool(false));
            }
            if let Ok(example) = serde_json::from_str::<Value>(self.example) {
                members.insert("examples".to_owned(), json!([example]));
            }
        }
        schema
    }

    /// This shape and those that it refers to.
    pub fn all(&'static self, found: &mut Vec<&'static Self>) {
        if found.iter().any(|known| known.name == self.name) {
            return;
        }
        found.push(self);
        for member in self.members {
            member.kind.shapes(found);
        }
    }
}

impl Kind {
    fn check(&self, value: &Value, at: &str, faults: &mut Vec<Fault>) {
        match self {
            Self::Text(least, most) => match value.as_str().map(|text| text.chars().count()) {
                None => faults.push(fault(at, "must be a text")),
                Some(count) if count < *least => faults.push(fault(at, &format!("needs at least {least} characters"))),
                Some(count) if count > *most => faults.push(fault(at, &format!("has more than {most} characters"))),
                Some(_) => {}
            },
            Self::Formatted(format, most) => match value.as_str() {
                None => faults.push(fault(at, "must be a text")),
                Some(text) if text.chars().count() > *most => faults.push(fault(at, &format!("has more than {most} characters"))),
                Some(text) if *format == "uri" && url::Url::parse(text).is_err() => faults.push(fault(at, "is no URL")),
                Some(text) if *format == "email" && !is_email(text) => faults.push(fault(at, "is no e-mail address")),
                Some(_) => {}
            },
            Self::OneOf(words) => {
                if !value.as_str().is_some_and(|text| words.contains(&text)) {
                    faults.push(fault(at, &format!("must be one of: {}", words.join(", "))));
                }
            }
            Self::Boolean => expect(value.is_boolean(), at, "must be true or false", faults),
            Self::Integer(from, to) => {
                let fits = value.as_i64().is_some_and(|number| (*from..=*to).contains(&number));
                expect(fits, at, &format!("must be a whole number from {from} to {to}"), faults);
            }
            Self::Number => expect(value.is_number(), at, "must be a number", faults),
            Self::Object => expect(value.is_object(), at, "must be an object", faults),
            Self::List(kind, most) => match value.as_array() {
                None => faults.push(fault(at, "must be a list")),
                Some(items) if items.len() > *most => faults.push(fault(at, &format!("has more than {most} items"))),
                Some(items) => {
                    for (index, item) in items.iter().enumerate() {
                        kind.check(item, &format!("{at}/{index}"), faults);
                    }
                }
            },
            Self::Record(shape) => shape.check_at(value, at, faults),
            Self::OrNull(kind) => {
                if !value.is_null() {
                    kind.check(value, at, faults);
                }
            }
            Self::Any => {}
        }
    }

    /// JSON Schema 2020-12.
    pub fn schema(&self) -> Value {
        match self {
            Self::Text(0, most) => json!({ "type": "string", "maxLength": most }),
            Self::Text(least, most) => json!({ "type": "string", "minLength": least, "maxLength": most }),
            Self::Formatted(format, most) => json!({ "type": "string", "format": format, "maxLength": most }),
            Self::OneOf(words) => json!({ "type": "string", "enum": words }),
            Self::Boolean => json!({ "type": "boolean" }),
            Self::Integer(from, to) => json!({ "type": "integer", "minimum": from, "maximum": to }),
            Self::Number => json!({ "type": "number" }),
            Self::Object => json!({ "type": "object" }),
            Self::List(kind, most) => json!({ "type": "array", "items": kind.schema(), "maxItems": most }),
            Self::Record(shape) => json!({ "$ref": format!("#/components/schemas/{}", shape.name) }),
            Self::OrNull(kind) => json!({ "oneOf": [kind.schema(), { "type": "null" }] }),
            Self::Any => json!({}),
        }
    }

    fn shapes(&self, found: &mut Vec<&'static Shape>) {
        match self {
            Self::Record(shape) => shape.all(found),
            Self::List(kind, _) | Self::OrNull(kind) => kind.shapes(found),
            _ => {}
        }
    }
}

/// A plausible address: one `@` with something before it and a host after it, no blanks.
pub fn is_email(text: &str) -> bool {
    let plain = !text.chars().any(|c| c.is_whitespace() || c.is_control());
    plain && text.split_once('@').is_some_and(|(local, host)| !local.is_empty() && !host.is_empty() && !host.contains('@'))
}

/// RFC 6901.
pub fn pointer(at: &str, name: &str) -> String {
    format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"))
}

pub fn fault(pointer: &str, message: &str) -> Fault {
    Fault { pointer: pointer.to_owned(), message: message.to_owned(), help: String::new() }
}

fn expect(good: bool, at: &str, message: &str, faults: &mut Vec<Fault>) {
    if !good {
        faults.push(fault(at, message));
    }
}

fn described(mut schema: Value, about: &str) -> Value {
    if let Some(members) = schema.as_object_mut().filter(|_| !about.is_empty()) {
        members.insert("description".to_owned(), Value::from(about));
    }
    schema
}

#[cfg(test)]
mod tests {
    use super::*;

    const INNER: Shape = Shape { name: "Inner", members: &[must("n", Kind::Integer(0, 9), "")], open: true, example: "" };
    const OUTER: Shape = Shape {
        name: "Outer",
        members: &[
            must("name", Kind::Text(1, 5), "A name"),
            may("mail", Kind::Formatted("email", 50), ""),
            may("color", Kind::OneOf(&["red", "blue"]), ""),
            may("inner", Kind::List(&Kind::Record(&INNER), 2), ""),
            may("gone", Kind::OrNull(&Kind::Boolean), ""),
        ],
        open: false,
        example: r#"{"name": "a"}"#,
    };

    fn pointers(value: &Value) -> Vec<String> {
        OUTER.check(value).into_iter().map(|fault| fault.pointer).collect()
    }

    #[test]
    fn everything_that_is_wrong_is_said_with_its_place() {
        assert!(pointers(&json!({"name": "a", "mail": "a@b", "color": "red", "inner": [{"n": 1, "x": 2}], "gone": null})).is_empty());
        let bad = json!({"mail": "a@b@c", "color": "green", "inner": [{"n": 1}, {"n": 10}], "gone": 1, "a/b~": 1});
        assert_eq!(pointers(&bad), ["/name", "/mail", "/color", "/inner/1/n", "/gone", "/a~1b~0"]);
        assert_eq!(pointers(&json!([])), [""]);
        assert_eq!(pointers(&json!({"name": "äöüäöü"})), ["/name"]);
    }

    #[test]
    fn the_schema_says_the_same() {
        let schema = OUTER.schema();
        assert_eq!(schema["required"], json!(["name"]));
        assert_eq!(schema["additionalProperties"], json!(false));
        assert_eq!(schema["properties"]["inner"]["items"]["$ref"], "#/components/schemas/Inner");
        assert_eq!(schema["properties"]["name"]["description"], "A name");
        let mut found = Vec::new();
        OUTER.all(&mut found);
        assert_eq!(found.iter().map(|shape| shape.name).collect::<Vec<_>>(), ["Outer", "Inner"]);
    }
}
