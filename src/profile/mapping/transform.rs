//! What a row does to a text.

use std::ops::Range;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transform {
    Trim,
    Lowercase,
    Uppercase,
    /// Of an e-mail address or scoped name.
    LocalPart,
    Domain,
    /// The first part of a distinguished name.
    Cn,
    /// `1966-10-08` of `19661008` and of `1966-10-08T00:00:00Z`; anything else stays.
    Date,
    Prefix(String),
    StripPrefix(String),
    StripSuffix(String),
    /// What stands before or behind the first of these; a text without any stays.
    Before(String),
    After(String),
    Replace(String, String),
}

impl Transform {
    pub fn apply(&self, text: String) -> String {
        match self {
            Self::Trim => text.trim().to_owned(),
            Self::Lowercase => text.to_lowercase(),
            Self::Uppercase => text.to_uppercase(),
            Self::LocalPart => text.rsplit_once('@').map_or(text.as_str(), |(local, _)| local).to_owned(),
            Self::Domain => text.rsplit_once('@').map_or("", |(_, domain)| domain).to_owned(),
            Self::Cn => common_name(&text),
            Self::Date => date(&text).unwrap_or(text),
            Self::Prefix(prefix) => format!("{prefix}{text}"),
            Self::StripPrefix(prefix) => text.strip_prefix(prefix.as_str()).unwrap_or(&text).to_owned(),
            Self::StripSuffix(suffix) => text.strip_suffix(suffix.as_str()).unwrap_or(&text).to_owned(),
            Self::Before(mark) => text.split_once(mark.as_str()).map_or(text.as_str(), |(before, _)| before).to_owned(),
            Self::After(mark) => text.split_once(mark.as_str()).map_or(text.as_str(), |(_, after)| after).to_owned(),
            Self::Replace(from, to) => text.replace(from.as_str(), to),
        }
    }
}

/// `Admins` of `CN=Admins,OU=Groups`; anything else stays (RFC 4514: a backslash escapes).
fn common_name(text: &str) -> String {
    let Some(value) = text.get(3..).filter(|_| text.get(..3).is_some_and(|start| start.eq_ignore_ascii_case("cn="))) else {
        return text.to_owned();
    };
    let mut name = String::with_capacity(value.len());
    let mut characters = value.chars();
    while let Some(character) = characters.next() {
        match character {
            ',' | '+' => break,
            '\\' => name.extend(characters.next()),
            other => name.push(other),
        }
    }
    name
}

/// OpenID Connect Core 5.1, `birthdate`.
fn date(text: &str) -> Option<String> {
    let digits = |text: &str| text.bytes().all(|octet| octet.is_ascii_digit());
    let part = |range: Range<usize>| text.get(range).filter(|part| digits(part));
    if text.len() == 8 && digits(text) {
        return Some(format!("{}-{}-{}", part(0..4)?, part(4..6)?, part(6..8)?));
    }
    let is_date = part(0..4).is_some() && text.get(4..5) == Some("-") && part(5..7).is_some();
    let is_date = is_date && text.get(7..8) == Some("-") && part(8..10).is_some() && matches!(text.get(10..11), Some("T" | " "));
    if is_date { text.get(..10).map(str::to_owned) } else { None }
}
