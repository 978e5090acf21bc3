//! What a connection said, as the trace keeps it: bounded, and with the names of what was cut.

use super::trace::Step;
use crate::profile::{Fact, RawAttribute, RawAttributes};
use serde_json::Value;

/// Characters of one value that are kept.
const CHARACTERS: usize = 2000;

/// Values of one attribute that are kept.
const VALUES: usize = 2000;

/// Behind a value that was longer.
const MARKER: &str = "\u{2026} (cut)";

impl Step {
    /// Facts and attributes of a login, before mapping.
    pub fn received(connection: &str, said: &RawAttributes) -> Self {
        let (mut attributes, mut cut) = (RawAttributes::new(), Vec::new());
        for (name, fact) in Fact::ALL.iter().filter(|(_, fact)| *fact != Fact::NameIdEmail) {
            let mut whole = true;
            for value in said.facts(*fact).take(VALUES) {
                let shorter = shorter_text(value);
                whole &= shorter.is_none();
                attributes.push_fact(*fact, shorter.unwrap_or_else(|| value.to_owned()));
            }
            if !whole {
                cut.push(format!("${name}"));
            }
        }
        for attribute in said.attributes() {
            let mut whole = attribute.values.len() <= VALUES;
            let values = attribute.values.iter().take(VALUES).map(|value| {
                let shorter = shorter(value);
                whole &= shorter.is_none();
                shorter.unwrap_or_else(|| value.clone())
            });
            let values = values.collect();
            attributes.push(RawAttribute {
                name: attribute.name.clone(),
                name_format: attribute.name_format.clone(),
                friendly_name: attribute.friendly_name.clone(),
                values,
            });
            if !whole {
                cut.push(attribute.name.clone());
            }
        }
        Self::Received { connection: connection.to_owned(), attributes, cut }
    }
}

/// A value that is too long, shortened; an object or a list becomes the beginning of its text.
fn shorter(value: &Value) -> Option<Value> {
    match value {
        Value::String(text) => shorter_text(text).map(Value::from),
        Value::Array(_) | Value::Object(_) => shorter_text(&value.to_string()).map(Value::from),
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}

fn shorter_text(text: &str) -> Option<String> {
    let (end, _) = text.char_indices().nth(CHARACTERS)?;
    Some(format!("{}{MARKER}", text.get(..end)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn received(said: &RawAttributes) -> (RawAttributes, Vec<String>) {
        match Step::received("acme", said) {
            Step::Received { connection, attributes, cut } if connection == "acme" => (attributes, cut),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_usual_is_kept_as_it_came() {
        let mut said = RawAttributes::new();
        said.push_texts("mail", ["a@b.example", &"ü".repeat(CHARACTERS)]);
        said.push(RawAttribute {
            name: "urn:x".to_owned(),
            name_format: Some("uri".to_owned()),
            friendly_name: Some("x".to_owned()),
            values: vec![json!({"a": [1, null]}), json!(true), json!("")],
        });
        said.push_texts("none", []);
        said.set_fact(Fact::NameId, "jane");
        assert_eq!(received(&said), (said, Vec::new()));
    }

    #[test]
    fn long_values_and_many_values_are_cut_and_named() {
        let mut said = RawAttributes::new();
        said.push_texts("short", ["x"]);
        said.push_texts("long", ["x", &"ü".repeat(CHARACTERS + 1)]);
        said.push_texts("many", (0..=VALUES).map(|_| "v"));
        said.push(RawAttribute {
            name: "deep".to_owned(),
            name_format: None,
            friendly_name: None,
            values: vec![json!({"a": "x".repeat(3000)})],
        });
        said.set_fact(Fact::NameId, "n".repeat(3000));
        let (kept, cut) = received(&said);
        assert_eq!(cut, ["$name_id", "long", "many", "deep"]);
        let long = kept.values("long");
        assert_eq!((long[0], long[1].as_str().map(|text| text.chars().count())), (&json!("x"), Some(CHARACTERS + MARKER.chars().count())));
        assert!(long[1].as_str().is_some_and(|text| text.ends_with(MARKER)));
        assert_eq!(kept.values("many").len(), VALUES);
        assert!(kept.values("deep")[0].as_str().is_some_and(|text| text.starts_with("{\"a\":\"xxx") && text.ends_with(MARKER)));
        assert_eq!(kept.fact(Fact::NameId).map(|text| text.chars().count()), Some(CHARACTERS + MARKER.chars().count()));
    }

    #[test]
    fn it_survives_storage() {
        let mut said = RawAttributes::new();
        said.push_texts("long", ["x".repeat(3000).as_str()]);
        said.set_fact(Fact::Subject, "jane");
        let step = Step::received("acme", &said);
        let text = serde_json::to_string(&step).expect("JSON");
        assert_eq!(serde_json::from_str::<Step>(&text).expect("read"), step);
    }
}
