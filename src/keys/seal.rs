//! Authenticated encryption at rest (AES-256-GCM) and keyed digests, under the keyring's seal key.

use crate::error::{Error, ErrorKind, Result};
use crate::id;
use crate::secret::Secret;
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::sign::Signer;
use openssl::symm::{Cipher, decrypt_aead, encrypt_aead};

const NONCE: usize = 12;
const TAG: usize = 16;

/// Seals and opens bytes. `context` names what is sealed (table, column, row) and must be the same when opening.
#[derive(Debug)]
pub struct Sealer {
    encryption: Secret<Vec<u8>>,
    authentication: Secret<Vec<u8>>,
}

impl Sealer {
    /// From the 32 bytes of `seal.key`.
    pub fn new(key: &Secret<Vec<u8>>) -> Result<Self> {
        if key.expose().len() != 32 {
            return Err(Error::new(ErrorKind::Misconfigured, "the seal key must have 32 bytes"));
        }
        Ok(Self {
            encryption: Secret::new(hmac(key.expose(), &[b"isthmus seal encryption"])?),
            authentication: Secret::new(hmac(key.expose(), &[b"isthmus seal authentication"])?),
        })
    }

    pub fn seal(&self, context: &str, plain: &[u8]) -> Result<Vec<u8>> {
        let nonce = id::random_bytes::<NONCE>();
        let mut tag = [0; TAG];
        let cipher = encrypt_aead(Cipher::aes_256_gcm(), self.encryption.expose(), Some(&nonce), context.as_bytes(), plain, &mut tag)
            .map_err(|error| Error::new(ErrorKind::Internal, "a value cannot be sealed").because(error))?;
        Ok([nonce.as_slice(), &tag, &cipher].concat())
    }

    /// Opens what [`Self::seal`] made; fails on any change of the bytes or the context.
    pub fn open(&self, context: &str, sealed: &[u8]) -> Result<Vec<u8>> {
        let refuse = || Error::new(ErrorKind::Internal, "a sealed value cannot be opened");
        let (nonce, rest) = sealed.split_at_checked(NONCE).ok_or_else(refuse)?;
        let (tag, cipher) = rest.split_at_checked(TAG).ok_or_else(refuse)?;
        decrypt_aead(Cipher::aes_256_gcm(), self.encryption.expose(), Some(nonce), context.as_bytes(), cipher, tag)
            .map_err(|error| refuse().because(error))
    }

    /// HMAC-SHA-256 over length-prefixed parts, for tokens that carry their own proof.
    pub fn mac(&self, parts: &[&[u8]]) -> Result<Vec<u8>> {
        hmac(self.authentication.expose(), parts)
    }
}

fn hmac(key: &[u8], parts: &[&[u8]]) -> Result<Vec<u8>> {
    let compute = || -> Result<Vec<u8>, openssl::error::ErrorStack> {
        let key = PKey::hmac(key)?;
        let mut signer = Signer::new(MessageDigest::sha256(), &key)?;
        for part in parts {
            signer.update(&(part.len() as u64).to_be_bytes())?;
            signer.update(part)?;
        }
        signer.sign_to_vec()
    };
    compute().map_err(|error| Error::new(ErrorKind::Internal, "a keyed digest cannot be made").because(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_only_what_it_sealed_in_the_same_context() {
        let sealer = Sealer::new(&Secret::new(vec![7; 32])).expect("sealer");
        let sealed = sealer.seal("a", b"text").expect("seals");
        assert_eq!(sealer.open("a", &sealed).expect("opens"), b"text");
        assert!(sealer.open("b", &sealed).is_err());
        let mut changed = sealed.clone();
        *changed.last_mut().expect("bytes") ^= 1;
        assert!(sealer.open("a", &changed).is_err());
        assert!(sealer.open("a", &sealed[..5]).is_err());
    }

    #[test]
    fn the_mac_knows_where_parts_end() {
        let sealer = Sealer::new(&Secret::new(vec![7; 32])).expect("sealer");
        assert_ne!(sealer.mac(&[b"ab", b"c"]).expect("mac"), sealer.mac(&[b"a", b"bc"]).expect("mac"));
    }
}
