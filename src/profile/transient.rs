//! What of a profile is used in one login and never stored (`non_persistent_attrs` of a connection).

use super::{RawAttributes, RowNote};

/// The paths of the profile that came from attributes of these names, or that have one of these names themselves.
///
/// A row that computes (`cel`) names no attribute: its field must be named.
pub fn paths(names: &[String], attributes: &RawAttributes, rows: &[RowNote]) -> Vec<String> {
    if names.is_empty() {
        return Vec::new();
    }
    let named = |source: &str| names.iter().any(|name| name == source);
    let mut paths = names.to_vec();
    paths.extend(rows.iter().filter(|row| row.source.as_deref().is_some_and(named)).map(|row| row.field.clone()));
    // An attribute that no row names may have gone below saml_data or custom, under its friendly name or its name.
    for attribute in attributes.attributes() {
        let friendly = attribute.friendly_name.as_deref();
        if named(&attribute.name) || friendly.is_some_and(named) {
            paths.extend(["saml_data", "custom"].map(|root| format!("{root}.{}", friendly.unwrap_or(&attribute.name))));
        }
    }
    paths.sort();
    paths.dedup();
    paths
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::Outcome;

    #[test]
    fn details_a_names_are_those_of_attributes_and_of_fields() {
        let mut raw = RawAttributes::new();
        raw.push_texts("secret", ["x"]);
        raw.push_texts("mail", ["a@b"]);
        let row = |field: &str, source: &str| RowNote {
            field: field.into(),
            source: Some(source.into()),
            value: None,
            outcome: Outcome::Taken,
            detail: None,
        };
        let rows = [row("email", "mail"), row("name", "cn")];
        let names = ["secret".to_owned(), "mail".to_owned(), "title".to_owned()];
        assert_eq!(
            paths(&names, &raw, &rows),
            ["custom.mail", "custom.secret", "email", "mail", "saml_data.mail", "saml_data.secret", "secret", "title"]
        );
        assert!(paths(&[], &raw, &rows).is_empty());
    }
}
