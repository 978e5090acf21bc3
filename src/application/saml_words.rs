//! The words that operators and their scripts have for algorithms and formats of SAML.

use crate::keys::{Digest, SignatureScheme};
use crate::saml::encryption::{ContentCipher, KeyTransport};
use crate::saml::idp::{EncryptedParts, NameIdFormat};

pub const SIGNATURES: &[(&str, SignatureScheme)] = &[
    ("rsa-sha256", SignatureScheme::RsaPkcs1(Digest::Sha256)),
    ("rsa-sha384", SignatureScheme::RsaPkcs1(Digest::Sha384)),
    ("rsa-sha512", SignatureScheme::RsaPkcs1(Digest::Sha512)),
    ("rsa-pss-sha256", SignatureScheme::RsaPss(Digest::Sha256)),
    ("rsa-pss-sha384", SignatureScheme::RsaPss(Digest::Sha384)),
    ("rsa-pss-sha512", SignatureScheme::RsaPss(Digest::Sha512)),
    ("ecdsa-sha256", SignatureScheme::Ecdsa(Digest::Sha256)),
    ("ecdsa-sha384", SignatureScheme::Ecdsa(Digest::Sha384)),
    ("ecdsa-sha512", SignatureScheme::Ecdsa(Digest::Sha512)),
    ("rsa-sha1", SignatureScheme::RsaPkcs1(Digest::Sha1)),
];

pub const DIGESTS: &[(&str, Digest)] =
    &[("sha256", Digest::Sha256), ("sha384", Digest::Sha384), ("sha512", Digest::Sha512), ("sha1", Digest::Sha1)];

pub const CIPHERS: &[(&str, ContentCipher)] = &[
    ("aes256-gcm", ContentCipher::Aes256Gcm),
    ("aes192-gcm", ContentCipher::Aes192Gcm),
    ("aes128-gcm", ContentCipher::Aes128Gcm),
    ("aes256-cbc", ContentCipher::Aes256Cbc),
    ("aes192-cbc", ContentCipher::Aes192Cbc),
    ("aes128-cbc", ContentCipher::Aes128Cbc),
];

pub const TRANSPORTS: &[(&str, KeyTransport)] = &[("rsa-oaep", KeyTransport::OAEP), ("rsa-oaep-mgf1p", KeyTransport::OAEP_MGF1P)];

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
