//! The words that operators and their scripts have for what is encrypted and for formats. Those of algorithms are in
//! [`algorithms`](crate::saml::algorithms).

use crate::saml::idp::{EncryptedParts, NameIdFormat};

pub const ENCRYPTED: &[(&str, EncryptedParts)] = &[
    ("none", EncryptedParts::Nothing),
    ("assertion", EncryptedParts::Assertion),
    ("name_id", EncryptedParts::NameId),
    ("both", EncryptedParts::Both),
];

/// Formats have their URNs besides; see [`name_id_format`].
pub const FORMATS: &[(&str, NameIdFormat)] = &[
    ("persistent", NameIdFormat::Persistent),
    ("transient", NameIdFormat::Transient),
    ("email", NameIdFormat::EmailAddress),
    ("unspecified", NameIdFormat::Unspecified),
];

/// A format by its short word or its URN.
pub fn name_id_format(text: &str) -> Option<NameIdFormat> {
    FORMATS.iter().find(|(word, _)| *word == text).map(|(_, format)| *format).or_else(|| NameIdFormat::from_urn(text))
}

/// The short words of the formats, for people.
pub fn name_id_formats() -> String {
    FORMATS.iter().map(|(word, _)| format!("\"{word}\"")).collect::<Vec<_>>().join(", ")
}

/// What a word means in one of the lists above.
pub fn meaning<T: Copy>(words: &[(&str, T)], word: &str) -> Option<T> {
    words.iter().find(|(known, _)| *known == word).map(|(_, meaning)| *meaning)
}

/// The word for a meaning in one of the lists above.
pub fn word<T: Copy + PartialEq>(words: &[(&'static str, T)], meaning: T) -> Option<&'static str> {
    words.iter().find(|(_, known)| *known == meaning).map(|(word, _)| *word)
}
