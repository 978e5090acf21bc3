//! How one application gets its responses.

use super::attributes::AttributeStyle;
use super::identifiers::Identifiers;
use super::name_id::NameIdFormat;
use super::response::{Encrypt, Sign};
use super::trust::{EncryptionKey, SpTrust};
use crate::error::{Error, ErrorKind, Result as CrateResult};
use crate::keys::{CertifiedKey, Digest, SignatureScheme};
use crate::saml::encryption::{ContentCipher, KeyTransport};
use crate::saml::names;
use crate::saml::signature::Signer;

/// What is encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EncryptedParts {
    #[default]
    Nothing,
    Assertion,
    /// Only the NameID in the assertion.
    NameId,
    Both,
}

/// The settings; [`Default`] is the safe one.
#[derive(Clone, Debug)]
pub struct ResponseSettings {
    pub sign_assertion: bool,
    /// Independent of the other.
    pub sign_response: bool,
    /// `None`: the usual one for the key (RSA-SHA256, ECDSA-SHA256 or -SHA384).
    pub signature: Option<SignatureScheme>,
    /// `None`: that of the signature.
    pub digest: Option<Digest>,
    pub encrypt: EncryptedParts,
    /// `None`: AES-256-GCM, or the best that the application's metadata list.
    pub cipher: Option<ContentCipher>,
    /// `None`: RSA-OAEP with SHA-256, or what the application's metadata list.
    pub transport: Option<KeyTransport>,
    /// Our entity ID toward this application, if it is another one.
    pub issuer: Option<String>,
    /// `None`: the application's entity ID.
    pub audience: Option<String>,
    /// `None`: the address that the answer goes to. It goes there in any case.
    pub recipient: Option<String>,
    /// As `recipient`.
    pub destination: Option<String>,
    pub lifetime_seconds: u32,
    /// How long before now an assertion begins to be valid, for clocks that are behind ours.
    pub backdate_seconds: u32,
    /// Where the request names none.
    pub name_id_format: NameIdFormat,
    /// Names of attributes; the first with a value becomes a NameID of the formats emailAddress and unspecified.
    pub name_id_probes: Vec<String>,
    /// Where nothing is known of how the user signed in.
    pub authn_context_class_ref: String,
    pub attributes: AttributeStyle,
    /// Identifiers of ours that it gets as attributes.
    pub identifiers: Identifiers,
}

impl Default for ResponseSettings {
    fn default() -> Self {
        Self {
            sign_assertion: true,
            sign_response: false,
            signature: None,
            digest: None,
            encrypt: EncryptedParts::Nothing,
            cipher: None,
            transport: None,
            issuer: None,
            audience: None,
            recipient: None,
            destination: None,
            lifetime_seconds: 300,
            backdate_seconds: 30,
            name_id_format: NameIdFormat::Persistent,
            name_id_probes: Vec::new(),
            authn_context_class_ref: names::AC_UNSPECIFIED.to_owned(),
            attributes: AttributeStyle::default(),
            identifiers: Identifiers::default(),
        }
    }
}

impl ResponseSettings {
    /// An application that wants signed assertions gets them. Nothing leaves without any signature.
    pub(super) const fn signed_parts(&self, application: &SpTrust) -> Sign {
        match (self.sign_assertion || application.want_assertions_signed, self.sign_response) {
            (true, true) => Sign::Both,
            (false, true) => Sign::Response,
            (_, false) => Sign::Assertion,
        }
    }

    /// Signs as this application wants it.
    ///
    /// # Errors
    /// When the algorithm is not for this kind of key.
    pub fn signer<'k>(&self, key: &'k CertifiedKey) -> CrateResult<Signer<'k>> {
        Signer::with(key, self.signature, self.digest)
    }

    /// To whom and how, if anything is to be encrypted.
    ///
    /// # Errors
    /// When the application has no key for that, or none of its algorithms is one of ours.
    pub fn encryption_to<'a>(&self, application: &'a SpTrust) -> CrateResult<Encrypt<'a>> {
        encryption_to(&application.encryption_keys, self.cipher, self.transport, "the application")
    }
}

/// Encryption to the first of a partner's keys for which there is a cipher; `cipher` and `transport` are those that were
/// named, `partner` is whose keys they are.
pub(in crate::saml) fn encryption_to<'a>(
    keys: &'a [EncryptionKey],
    cipher: Option<ContentCipher>,
    transport: Option<KeyTransport>,
    partner: &str,
) -> CrateResult<Encrypt<'a>> {
    let refuse = |why: String| Error::new(ErrorKind::Misconfigured, why);
    if keys.is_empty() {
        return Err(refuse(format!("it is to be encrypted, but {partner} has no encryption certificate")));
    }
    let found = keys.iter().find_map(|key| cipher.or_else(|| key.cipher()).map(|cipher| (key, cipher)));
    let (key, cipher) = found.ok_or_else(|| refuse(format!("{partner} lists no AES-GCM; another cipher must be named")))?;
    Ok(Encrypt { recipient: key.certificate(), cipher, transport: transport.unwrap_or_else(|| key.transport()) })
}
