//! Lines of CSV (RFC 4180) that no spreadsheet takes for a formula (OWASP, CSV injection).

use serde_json::Value;

/// A line, with its end.
pub(super) fn line<'v>(fields: impl IntoIterator<Item = Option<&'v Value>>) -> String {
    let mut line = fields.into_iter().map(field).collect::<Vec<_>>().join(",");
    line.push_str("\r\n");
    line
}

/// Numbers and flags as they are; texts quoted, so that nothing in them begins a field of its own.
fn field(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => quoted(text),
        Some(value @ (Value::Bool(_) | Value::Number(_))) => value.to_string(),
        Some(value) => quoted(&value.to_string()),
    }
}

/// A text that might be a formula gets an apostrophe before it, and then is none.
pub(super) fn quoted(text: &str) -> String {
    let is_formula = text.trim_start_matches([' ', '\u{a0}']).starts_with(FORMULA);
    format!("\"{}{}\"", if is_formula { "'" } else { "" }, text.replace('"', "\"\""))
}

/// The full-width forms too: some spreadsheets take them for the others.
const FORMULA: [char; 11] = ['=', '+', '-', '@', '\t', '\r', '\n', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}'];

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn details_e_no_field_is_a_formula_or_ends_early() {
        for (value, expected) in [
            (json!("Jane"), "\"Jane\""),
            (json!("=1+1"), "\"'=1+1\""),
            (json!("+4930"), "\"'+4930\""),
            (json!("-1"), "\"'-1\""),
            (json!("@SUM(A1)"), "\"'@SUM(A1)\""),
            (json!("\t=1"), "\"'\t=1\""),
            (json!("\r=1"), "\"'\r=1\""),
            (json!("  =1"), "\"'  =1\""),
            (json!("\u{ff1d}1"), "\"'\u{ff1d}1\""),
            (json!("a\",=1\n\"b"), "\"a\"\",=1\n\"\"b\""),
            (json!(-1), "-1"),
            (json!(true), "true"),
            (json!(null), ""),
            (json!(["a"]), "\"[\"\"a\"\"]\""),
        ] {
            assert_eq!(line([Some(&value)]), format!("{expected}\r\n"), "{value}");
        }
        assert_eq!(line([None, Some(&json!(1)), None]), ",1,\r\n");
    }
}
