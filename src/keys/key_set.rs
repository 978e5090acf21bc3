//! The keys of one purpose as they stand at one moment, and those that SAML uses together.

use super::{CertifiedKey, KeyState, Purpose, SignatureScheme};
use crate::error::{Error, ErrorKind, Result};
use std::sync::Arc;

/// A key in its state.
#[derive(Clone, Debug)]
pub struct KeyEntry {
    pub state: KeyState,
    pub key: CertifiedKey,
    /// Partners are told of it.
    pub published: bool,
}

/// The keys of one purpose: one is active, the others are next or previous.
#[derive(Clone, Debug)]
pub struct KeySet {
    purpose: Purpose,
    active: CertifiedKey,
    /// In the order in which they are published.
    entries: Vec<KeyEntry>,
}

impl KeySet {
    /// # Errors
    /// When not exactly one key is active, or one is of another kind than the purpose has.
    pub fn new(purpose: Purpose, mut entries: Vec<KeyEntry>) -> Result<Self> {
        let refuse = |why: &str| Error::new(ErrorKind::Misconfigured, format!("{}: {why}", purpose.name()));
        if entries.iter().any(|entry| entry.key.key.kind() != purpose.kind()) {
            return Err(refuse("a key of the wrong kind"));
        }
        entries.sort_by_key(|entry| KeyState::ALL.iter().position(|state| *state == entry.state));
        let mut active = entries.iter().filter(|entry| entry.state == KeyState::Active);
        let (Some(first), None) = (active.next(), active.next()) else { return Err(refuse("exactly one key must be active")) };
        Ok(Self { active: first.key.clone(), purpose, entries })
    }

    pub const fn purpose(&self) -> Purpose {
        self.purpose
    }

    /// The one that signs, or that partners should encrypt to.
    pub const fn active(&self) -> &CertifiedKey {
        &self.active
    }

    /// Active, next and previous, in this order: all that open what partners encrypted.
    pub fn all(&self) -> impl Iterator<Item = &CertifiedKey> {
        self.entries.iter().map(|entry| &entry.key)
    }

    /// Those that partners are told of, in the same order.
    pub fn published(&self) -> impl Iterator<Item = &CertifiedKey> {
        self.entries.iter().filter(|entry| entry.published).map(|entry| &entry.key)
    }

    pub fn entries(&self) -> &[KeyEntry] {
        &self.entries
    }
}

/// All keys that SAML uses, at one moment. Take it once per request.
#[derive(Clone, Debug)]
pub struct SamlKeys {
    sets: Vec<Arc<KeySet>>,
    encryption: Arc<KeySet>,
}

impl SamlKeys {
    /// # Errors
    /// Without keys for encryption.
    pub(super) fn new(sets: Vec<Arc<KeySet>>) -> Result<Self> {
        let encryption = sets.iter().find(|set| set.purpose == Purpose::SamlEncryption).cloned();
        let encryption = encryption.ok_or_else(|| Error::new(ErrorKind::Misconfigured, "there is no key for encryption"))?;
        Ok(Self { sets, encryption })
    }

    /// The keys that sign in this way; `None`: the usual one, RSA.
    ///
    /// # Errors
    /// When there is no such key: the directory of keys was made before this kind was known, and could not be written since.
    pub fn signing(&self, scheme: Option<SignatureScheme>) -> Result<&KeySet> {
        let purpose = scheme.map_or(Some(Purpose::SamlSigning), Purpose::for_saml_signature);
        let purpose = purpose.ok_or_else(|| Error::new(ErrorKind::Misconfigured, "SAML cannot sign with this algorithm"))?;
        let set = self.sets.iter().find(|set| set.purpose == purpose);
        set.map(AsRef::as_ref).ok_or_else(|| {
            let detail =
                format!("there is no key {}; run isthmus keys generate where the directory of keys can be written", purpose.name());
            Error::new(ErrorKind::Misconfigured, detail)
        })
    }

    /// The active keys of all purposes.
    pub fn in_use(&self) -> impl Iterator<Item = (Purpose, &CertifiedKey)> {
        self.sets.iter().map(|set| (set.purpose(), set.active()))
    }

    pub fn encryption(&self) -> &KeySet {
        &self.encryption
    }

    /// Everything that opens what partners encrypted: the key that they should use, the next, and those before.
    pub fn decryption_keys(&self) -> Vec<&CertifiedKey> {
        self.encryption.all().collect()
    }

    /// The same with these sets in the place of those of their purposes. Sets for OpenID Connect are left out.
    pub(super) fn with(&self, sets: &[Arc<KeySet>]) -> Self {
        let given = sets.iter().filter(|set| set.purpose.is_saml());
        let kept = self.sets.iter().filter(|set| !sets.iter().any(|new| new.purpose == set.purpose));
        let encryption = sets.iter().find(|set| set.purpose == Purpose::SamlEncryption).unwrap_or(&self.encryption);
        Self { encryption: Arc::clone(encryption), sets: given.chain(kept).cloned().collect() }
    }
}
