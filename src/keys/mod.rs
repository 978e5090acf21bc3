//! The only home of private keys. Nothing outside this module sees one; others ask it to sign, unwrap or seal.
//!
//! A [`Keyring`] is a directory of PEM files, made at first start with mode 0600: for each purpose an active
//! key, later also the next and the previous. Keys are parsed once.

mod keyring;
mod partner_secret;
mod seal;
mod signing_key;

pub use keyring::{KeyInfo, KeyState, Keyring, Purpose};
pub use partner_secret::PartnerSecret;
pub use seal::Sealer;
pub use signing_key::{CertifiedKey, Digest, KeyKind, PrivateKey, SignatureScheme, parse_certificate};
