//! What of a profile is used in one login and never stored (`non_persistent_attrs` of a connection).

use super::{Fact, MappingTable, RawAttribute, RawAttributes, RowNote};
use serde_json::Value;

/// The paths of the profile that are not to be stored: those that have one of these names, and all that would be different
/// if the attributes and facts of these names had not come, by whichever friendly name, expression or wildcard they got
/// there.
///
/// `rows` is what `table` noted of `attributes`.
pub fn paths(names: &[String], table: &MappingTable, attributes: &RawAttributes, rows: &[RowNote]) -> Vec<String> {
    if names.is_empty() {
        return Vec::new();
    }
    let named = |known: &str| names.iter().any(|name| name == known);
    let attribute = |known: &RawAttribute| named(&known.name) || known.friendly_name.as_deref().is_some_and(named);
    let fact = |known: Fact| names.iter().any(|name| name.strip_prefix('$') == Some(known.name()));
    let mut rest = Vec::new();
    // Where a row requires what has been left out, it and the rows after it are not known to be the same.
    let _ = table.to_profile(&attributes.without(attribute, fact), &mut rest);
    let mut paths = names.to_vec();
    for (index, row) in rows.iter().enumerate() {
        let field = row.field.trim_end_matches(".*");
        match (&row.value, rest.get(index).map(|same| same.value.as_ref())) {
            (None, _) => {}
            (Some(value), Some(Some(same))) if value == same => {}
            (Some(Value::Object(members)), Some(same)) if row.field.ends_with(".*") => {
                let differs = |(name, value): &(&String, &Value)| same.is_none_or(|same| same.get(name.as_str()) != Some(*value));
                paths.extend(members.iter().filter(differs).map(|(name, _)| format!("{field}.{name}")));
            }
            (Some(_), _) => paths.push(field.to_owned()),
        }
    }
    paths
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::{Direction, MappingLibrary};

    #[test]
    fn details_a_whatever_an_attribute_made_is_not_kept() {
        let text = r#"
direction = "to_profile"
[[row]]
field = "email"
from = ["mail"]
[[row]]
field = "name"
from = ["cn"]
[[row]]
field = "title"
cel = 'attributes.secret[0] + "!"'
[[row]]
field = "custom.a.b"
from = ["secret"]
[[row]]
field = "saml_data.*"
from = ["*"]
"#;
        let (library, findings) = MappingLibrary::load(vec![("mappings/t.toml".to_owned(), text.to_owned())]);
        let table = library.table("t", Direction::ToProfile).unwrap_or_else(|| panic!("{findings:?}"));
        let mut raw = RawAttributes::new();
        raw.push_texts("mail", ["a@b"]);
        raw.push_texts("cn", ["A"]);
        raw.push_texts("secret", ["x"]);
        raw.push(RawAttribute { name: "urn:1".into(), name_format: None, friendly_name: Some("room".into()), values: vec!["y".into()] });
        let mut rows = Vec::new();
        table.to_profile(&raw, &mut rows).expect("mapped");
        let names = ["secret".to_owned(), "urn:1".to_owned(), "email".to_owned()];
        assert_eq!(paths(&names, &table, &raw, &rows), ["secret", "urn:1", "email", "title", "custom.a.b", "saml_data.room"]);
        assert!(paths(&[], &table, &raw, &rows).is_empty());
    }
}
