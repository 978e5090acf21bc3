//! Secrets of identities as they are stored: passwords and further factors, sealed.

use super::CredentialKind;
use crate::error::{Error, ErrorKind, Result};
use crate::keys::Sealer;
use crate::secret::Secret;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// A secret of an identity as it is stored: it opens for this identity and this kind only.
pub fn seal_credential(sealer: &Sealer, connection: &str, subject: &str, kind: CredentialKind, plain: &Secret<String>) -> Result<String> {
    Ok(STANDARD.encode(sealer.seal(&credential_context(connection, subject, kind), plain.expose().as_bytes())?))
}

/// What [`seal_credential`] sealed.
///
/// # Errors
/// [`ErrorKind::Internal`] when it was sealed for another identity, or kind, or by another key.
pub fn open_credential(sealer: &Sealer, connection: &str, subject: &str, kind: CredentialKind, sealed: &str) -> Result<Secret<String>> {
    let unreadable = || Error::new(ErrorKind::Internal, "a stored secret is unreadable");
    let sealed = STANDARD.decode(sealed).map_err(|error| unreadable().because(error))?;
    let plain = sealer.open(&credential_context(connection, subject, kind), &sealed)?;
    String::from_utf8(plain).map(Secret::new).map_err(|_| unreadable())
}

fn credential_context(connection: &str, subject: &str, kind: CredentialKind) -> String {
    // The lengths, so that no other identity has the same text.
    format!("credentials|{}|{connection}|{}|{subject}|{}", connection.len(), subject.len(), kind.name())
}
