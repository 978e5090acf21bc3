//! The part of Lucene's language in which events are asked for: terms that must all hold.

use crate::clock::Timestamp;
use crate::store::{LogFilter, LogType};

/// Reads `type:s AND user_id:"samlp|acme|jane" AND date:[2026-11-01 TO 2026-11-21T12:00:00Z]`.
///
/// # Errors
/// A sentence that says what can be written.
pub fn parse(text: &str) -> Result<LogFilter, String> {
    let mut filter = LogFilter::default();
    let mut rest = text.trim_start();
    let mut first = true;
    while !rest.is_empty() {
        if !first {
            rest = rest.strip_prefix("AND ").ok_or("terms are joined by AND; there is no OR and no NOT here")?.trim_start();
        }
        first = false;
        let (name, after) = rest.split_once(':').ok_or("a term is written as in type:s")?;
        let (value, after) = value(after)?;
        set(&mut filter, name.trim(), &value)?;
        rest = after.trim_start();
    }
    Ok(filter)
}

enum Value {
    Text(String),
    Range { from: String, to: String, with_to: bool },
}

fn value(text: &str) -> Result<(Value, &str), String> {
    if let Some(inner) = text.strip_prefix('"') {
        let mut content = String::new();
        let mut letters = inner.char_indices();
        while let Some((at, letter)) = letters.next() {
            match letter {
                '"' => return Ok((Value::Text(content), inner.get(at + 1..).unwrap_or_default())),
                '\\' => content.extend(letters.next().map(|(_, next)| next)),
                other => content.push(other),
            }
        }
        return Err("a quotation mark is missing at the end".to_owned());
    }
    if let Some(inner) = text.strip_prefix('[') {
        let end = inner.find([']', '}']).ok_or("a range ends with ] or }")?;
        let (bounds, after) = inner.split_at(end);
        let (from, to) = bounds.split_once(" TO ").ok_or("a range is written as in [2026-11-01 TO 2026-11-21]")?;
        let range = Value::Range { from: from.trim().to_owned(), to: to.trim().to_owned(), with_to: after.starts_with(']') };
        return Ok((range, after.get(1..).unwrap_or_default()));
    }
    let end = text.find(char::is_whitespace).unwrap_or(text.len());
    let (word, after) = text.split_at(end);
    if word.is_empty() || word.contains(['*', '?', '(', ')', '[', '{', '"']) {
        return Err("a value is a word, or a text in quotation marks; there are no wildcards here".to_owned());
    }
    Ok((Value::Text(word.to_owned()), after))
}

fn set(filter: &mut LogFilter, name: &str, value: &Value) -> Result<(), String> {
    let text = match value {
        Value::Text(text) => text.clone(),
        Value::Range { from, to, with_to } if name == "date" => {
            filter.from = bound(from, false)?;
            filter.to = bound(to, *with_to)?;
            return Ok(());
        }
        Value::Range { .. } => return Err("ranges are for date".to_owned()),
    };
    let place = match name {
        "type" => {
            filter.kind = Some(LogType::parse(&text).ok_or_else(|| format!("there are no events of the type `{text}`"))?);
            return Ok(());
        }
        "user_id" => &mut filter.user_id,
        "client_id" => &mut filter.client_id,
        "connection" => &mut filter.connection,
        "date" => return Err("dates are asked for by a range, as in date:[2026-11-01 TO *]".to_owned()),
        _ => return Err(format!("`{name}` cannot be asked for; type, user_id, client_id, connection and date can")),
    };
    if place.replace(text).is_some() {
        return Err(format!("`{name}` is there more than once"));
    }
    Ok(())
}

/// A day or a moment; of an upper bound that is included, the end of it.
fn bound(text: &str, included: bool) -> Result<Option<Timestamp>, String> {
    if text == "*" {
        return Ok(None);
    }
    let wrong = || format!("`{text}` is no date; write 2026-11-21, 2026-11-21T09:00:00Z or *");
    if let Some(moment) = Timestamp::parse(text) {
        return Ok(Some(if included { Timestamp::from_millis(moment.millis().saturating_add(1)) } else { moment }));
    }
    let day = Timestamp::parse(&format!("{text}T00:00:00Z")).ok_or_else(wrong)?;
    Ok(Some(if included { day.plus_seconds(24 * 3600) } else { day }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_are_read() {
        assert_eq!(parse(" "), Ok(LogFilter::default()));
        let filter = parse(
            r#"type:s AND user_id:"samlp|acme|j \"d\"" AND client_id:notes  AND connection:acme AND date:[2026-11-01 TO 2026-11-02]"#,
        );
        let expected = LogFilter {
            user_id: Some("samlp|acme|j \"d\"".into()),
            kind: Some(LogType::Login),
            client_id: Some("notes".into()),
            connection: Some("acme".into()),
            from: Timestamp::parse("2026-11-01T00:00:00Z"),
            to: Timestamp::parse("2026-11-03T00:00:00Z"),
        };
        assert_eq!(filter, Ok(expected));
        let moments = parse("date:[2026-11-01T09:00:00Z TO *]").expect("read");
        assert_eq!((moments.from, moments.to), (Timestamp::parse("2026-11-01T09:00:00Z"), None));
        assert_eq!(parse("date:[* TO 2026-11-02}").expect("read").to, Timestamp::parse("2026-11-02T00:00:00Z"));
    }

    #[test]
    fn what_is_not_understood_is_said() {
        for (text, part) in [
            ("s", "a term is written"),
            ("type:zzz", "no events of the type"),
            ("type:s OR type:f", "joined by AND"),
            ("type:s type:f", "joined by AND"),
            ("type:s AND type:", "a value is a word"),
            ("user_id:a AND user_id:b", "more than once"),
            ("user_id:jo*", "no wildcards"),
            ("user_id:\"a", "quotation mark"),
            ("ip:1", "cannot be asked for"),
            ("date:2026-11-01", "by a range"),
            ("date:[2026-11-01 TO x]", "is no date"),
            ("user_id:[a TO b]", "ranges are for date"),
            ("date:[2026", "a range ends"),
        ] {
            let message = parse(text).expect_err(text);
            assert!(message.contains(part), "{text}: {message}");
        }
    }
}
