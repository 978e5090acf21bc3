//! All keys of the provider role, prepared for use.

use super::public::KnownKey;
use super::{IdTokenSigner, PublicKeys};
use crate::error::Result;
use crate::keys::{KeySet, Keyring, Purpose};
use crate::oidc::SigningAlg;
use std::sync::Arc;

/// All keys of the provider role, prepared.
#[derive(Clone, Debug)]
pub struct OidcKeys {
    rs256: Arc<AlgKeys>,
    es256: Arc<AlgKeys>,
    eddsa: Arc<AlgKeys>,
    public: PublicKeys,
}

impl OidcKeys {
    /// Signers by the active keys; active, next and previous keys published.
    pub fn new(keyring: &Keyring) -> Result<Self> {
        let of = |purpose| keyring.of_files(purpose).and_then(AlgKeys::new).map(Arc::new);
        Ok(Self::of(of(Purpose::OidcRs256)?, of(Purpose::OidcEs256)?, of(Purpose::OidcEdDsa)?))
    }

    /// The same with other keys for the algorithm of `keys`.
    #[must_use]
    pub fn with(&self, keys: Arc<AlgKeys>) -> Self {
        let [mut rs256, mut es256, mut eddsa] = [&self.rs256, &self.es256, &self.eddsa].map(Arc::clone);
        match keys.signer.alg {
            SigningAlg::RS256 => rs256 = keys,
            SigningAlg::ES256 => es256 = keys,
            SigningAlg::EdDSA => eddsa = keys,
        }
        Self::of(rs256, es256, eddsa)
    }

    fn of(rs256: Arc<AlgKeys>, es256: Arc<AlgKeys>, eddsa: Arc<AlgKeys>) -> Self {
        let published = [&rs256, &es256, &eddsa].into_iter().flat_map(|keys| keys.published.iter().cloned());
        Self { public: PublicKeys::of(published.collect()), rs256, es256, eddsa }
    }

    pub fn signer(&self, alg: SigningAlg) -> &IdTokenSigner {
        match alg {
            SigningAlg::RS256 => &self.rs256.signer,
            SigningAlg::ES256 => &self.es256.signer,
            SigningAlg::EdDSA => &self.eddsa.signer,
        }
    }

    pub const fn public(&self) -> &PublicKeys {
        &self.public
    }
}

/// The keys of one algorithm: one signs, all are published.
#[derive(Debug)]
pub struct AlgKeys {
    signer: IdTokenSigner,
    published: Vec<Arc<KnownKey>>,
}

impl AlgKeys {
    /// # Errors
    /// For keys that ID tokens are not signed with.
    pub fn new(keys: &KeySet) -> Result<Self> {
        let published = keys.published().map(|entry| KnownKey::new(&entry.key).map(Arc::new)).collect::<Result<_>>()?;
        Ok(Self { signer: IdTokenSigner::new(&keys.active().key)?, published })
    }
}
