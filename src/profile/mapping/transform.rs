//! What a row does to a text.

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
            Self::Trim if text.trim().len() == text.len() => text,
            Self::Trim => text.trim().to_owned(),
            Self::Lowercase => text.to_lowercase(),
            Self::Uppercase => text.to_uppercase(),
            Self::LocalPart => text.rsplit_once('@').map_or(text.as_str(), |(local, _)| local).to_owned(),
            Self::Domain => text.rsplit_once('@').map_or("", |(_, domain)| domain).to_owned(),
            Self::Cn => common_name(&text),
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
