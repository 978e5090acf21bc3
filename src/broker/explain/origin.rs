//! Where each field of a profile came from, told from the notes of the rows that made it.

use serde::Serialize;
use serde_json::{Map, Value};

/// One field of a profile and its source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Origin {
    pub field: String,
    pub source: String,
}

/// What is known of a row: the field, the source that was taken, and whether the row gave a value.
#[derive(Clone, Copy, Debug)]
pub struct RowOrigin<'a> {
    pub field: &'a str,
    pub source: Option<&'a str>,
    pub gave: bool,
}

/// One line for each row that gave something which is in the profile, and one for each member that no row gave.
pub fn origins<'a>(profile: &Map<String, Value>, rows: impl Iterator<Item = RowOrigin<'a>>) -> Vec<Origin> {
    let giving: Vec<RowOrigin<'_>> = rows.filter(|row| row.gave).collect();
    let mut origins = Vec::new();
    for member in profile.keys() {
        let before = origins.len();
        for row in
            giving.iter().filter(|row| row.field == member || row.field.strip_prefix(member).is_some_and(|rest| rest.starts_with('.')))
        {
            let source = match row.source {
                Some("cel") => "an expression of the table",
                Some(source) => source,
                None => "the row's default",
            };
            origins.push(Origin { field: row.field.to_owned(), source: source.to_owned() });
        }
        if origins.len() == before {
            origins.push(Origin { field: member.clone(), source: "made here".to_owned() });
        }
    }
    origins
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn rows_and_what_is_made_here_are_told_apart() {
        let profile = json!({"email": "a@b", "address": {"country": "AT"}, "name": "A", "groups": ["x"], "upn": "u"});
        let row = |field, source, gave| RowOrigin { field, source, gave };
        let rows = [
            row("email", Some("mail"), true),
            row("address.country", Some("c"), true),
            row("name", Some("displayName"), false),
            row("groups", None, true),
            row("upn", Some("cel"), true),
            row("addressee", Some("x"), true),
        ];
        let found = origins(profile.as_object().expect("an object"), rows.into_iter());
        let found: Vec<_> = found.iter().map(|origin| (origin.field.as_str(), origin.source.as_str())).collect();
        let expected = [
            ("email", "mail"),
            ("address.country", "c"),
            ("name", "made here"),
            ("groups", "the row's default"),
            ("upn", "an expression of the table"),
        ];
        assert_eq!(found, expected);
    }
}
