//! The only home of private keys. Nothing outside this module sees one; others ask it to sign, unwrap or seal.
//!
//! A [`Keyring`] is a directory of PEM files, made at first start with mode 0600: for each purpose an active key, perhaps
//! also a next and a previous one. Keys are parsed once. They are what a gateway begins with: keys that a rotation makes
//! are kept by `broker::admin::signing`, where every node finds them, and handed in by [`Keyring::use_saml`].

/// Seconds before the end of a certificate from which operators are told of it.
pub const END_IS_NEAR: i64 = 30 * 86_400;

mod client_certificate;
mod key_set;
mod keyring;
mod partner_secret;
mod purpose;
mod seal;
mod signing_key;

pub use client_certificate::ClientCertificate;
pub use key_set::{KeyEntry, KeySet, SamlKeys};
pub use keyring::{Keyring, certificates_in, is_published};
pub use partner_secret::PartnerSecret;
pub use purpose::{KeyState, Purpose};
pub use seal::Sealer;
pub use signing_key::{CertifiedKey, Digest, KeyKind, PrivateKey, SignatureScheme, certificate_begin, certificate_end, parse_certificate};
