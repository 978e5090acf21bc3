//! All keys of the provider role, prepared for use.

use super::jwe::{self, Opener};
use super::public::KnownKey;
use super::published::PublicJwk;
use super::{IdTokenSigner, PublicKeys};
use crate::error::{Error, ErrorKind, Result};
use crate::keys::{CertifiedKey, KeySet, Keyring, Purpose};
use crate::oidc::SigningAlg;
use serde_json::Value;
use std::sync::Arc;

/// What the keys of a purpose sign with; `None` for those that sign no tokens.
pub const fn signing_alg(purpose: Purpose) -> Option<SigningAlg> {
    match purpose {
        Purpose::OidcRs256 => Some(SigningAlg::RS256),
        Purpose::OidcPs256 => Some(SigningAlg::PS256),
        Purpose::OidcEs256 => Some(SigningAlg::ES256),
        Purpose::OidcEs384 => Some(SigningAlg::ES384),
        Purpose::OidcEdDsa => Some(SigningAlg::EdDSA),
        Purpose::OidcEncRsa
        | Purpose::OidcEncEc
        | Purpose::SamlSigning
        | Purpose::SamlSigningEs256
        | Purpose::SamlSigningEs384
        | Purpose::SamlSigningEs512
        | Purpose::SamlEncryption => None,
    }
}

/// All keys of the provider role, prepared.
#[derive(Clone, Debug)]
pub struct OidcKeys {
    /// In the order of the purposes.
    sets: Vec<Arc<AlgKeys>>,
    public: PublicKeys,
}

impl OidcKeys {
    /// Signers by the active keys; active, next and previous keys published, of those for encryption no previous ones.
    ///
    /// # Errors
    /// For keys that cannot be used. A purpose that came later than the directory of keys may be absent.
    pub fn new(keyring: &Keyring) -> Result<Self> {
        let sets = keyring.files().filter(|set| !set.purpose().is_saml()).map(|set| AlgKeys::new(set).map(Arc::new));
        Ok(Self::of(sets.collect::<Result<_>>()?))
    }

    /// The same with other keys for the purpose of `keys`.
    #[must_use]
    pub fn with(&self, keys: Arc<AlgKeys>) -> Self {
        let mut sets: Vec<_> = self.sets.iter().filter(|set| set.purpose != keys.purpose).cloned().collect();
        sets.push(keys);
        sets.sort_by_key(|set| Purpose::ALL.iter().position(|purpose| *purpose == set.purpose));
        Self::of(sets)
    }

    fn of(sets: Vec<Arc<AlgKeys>>) -> Self {
        let verifiers = sets.iter().flat_map(|set| set.verifiers.iter().cloned()).collect();
        let published = sets.iter().flat_map(|set| &set.published);
        Self { public: PublicKeys::of(verifiers, published), sets }
    }

    /// # Errors
    /// When there is no key for `alg`: the directory of keys was made before it was known, and could not be written since.
    pub fn signer(&self, alg: SigningAlg) -> Result<&IdTokenSigner> {
        let signers = self.sets.iter().filter_map(|set| set.signer.as_ref());
        signers.into_iter().find(|signer| signer.algorithm() == alg).ok_or_else(|| no_key(alg))
    }

    /// Signs what must never be taken for an ID token of ours: its header has no `typ`, and ours do.
    ///
    /// # Errors
    /// As of [`Self::signer`].
    pub fn untyped_signer(&self, alg: SigningAlg) -> Result<&IdTokenSigner> {
        let signers = self.sets.iter().filter_map(|set| set.untyped.as_ref());
        signers.into_iter().find(|signer| signer.algorithm() == alg).ok_or_else(|| no_key(alg))
    }

    /// The algorithms for which there is a key.
    pub fn algorithms(&self) -> Vec<SigningAlg> {
        SigningAlg::ALL.iter().copied().filter(|alg| self.signer(*alg).is_ok()).collect()
    }

    /// Decrypts a JWE that was encrypted to one of our published keys, or to one that was published before.
    ///
    /// # Errors
    /// For what is no JWE, uses something that is not supported, or cannot be decrypted.
    pub fn decrypt(&self, token: &str) -> Result<Vec<u8>> {
        jwe::decrypt(token, self.sets.iter().flat_map(|set| &set.openers))
    }

    /// Is there a key that others can encrypt to?
    pub fn can_decrypt(&self) -> bool {
        self.sets.iter().any(|set| !set.openers.is_empty())
    }

    pub const fn public(&self) -> &PublicKeys {
        &self.public
    }
}

/// The keys of one purpose: one signs, or all decrypt.
#[derive(Debug)]
pub struct AlgKeys {
    purpose: Purpose,
    signer: Option<IdTokenSigner>,
    untyped: Option<IdTokenSigner>,
    verifiers: Vec<Arc<KnownKey>>,
    openers: Vec<Opener>,
    /// As the JWKS has them.
    published: Vec<Value>,
}

impl AlgKeys {
    /// # Errors
    /// For keys of SAML, or such that cannot be read.
    pub fn new(keys: &KeySet) -> Result<Self> {
        let purpose = keys.purpose();
        if purpose.is_saml() {
            return Err(Error::new(ErrorKind::Internal, "keys of SAML are not for tokens"));
        }
        let alg = signing_alg(purpose);
        let (usage, named) = if alg.is_some() { ("sig", alg.map(SigningAlg::as_str)) } else { ("enc", None) };
        let published = keys.published().map(|entry| Ok(PublicJwk::of(&entry.key)?.published(usage, named))).collect::<Result<_>>()?;
        let mut made = Self { purpose, signer: None, untyped: None, verifiers: Vec::new(), openers: Vec::new(), published };
        let Some(alg) = alg else {
            let openers = keys.all().map(|entry| Ok(Opener { kid: super::key_id(&entry.key)?, key: entry.key.clone() }));
            made.openers = openers.collect::<Result<_>>()?;
            return Ok(made);
        };
        let known = |entry: &CertifiedKey| KnownKey::new(&entry.key, alg).map(Arc::new);
        made.verifiers = keys.published().map(known).collect::<Result<_>>()?;
        made.signer = Some(IdTokenSigner::new(&keys.active().key, alg)?);
        made.untyped = Some(IdTokenSigner::with_type(&keys.active().key, alg, None)?);
        Ok(made)
    }
}

fn no_key(alg: SigningAlg) -> Error {
    let what = format!("there is no key that signs by {}", alg.as_str());
    Error::new(ErrorKind::Misconfigured, format!("{what}; run isthmus keys generate where the directory of keys can be written"))
}
