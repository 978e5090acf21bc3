//! Content encryption (RFC 7518 5).

use super::random;
use crate::oidc::ContentEncryption;
use openssl::hash::MessageDigest;
use openssl::memcmp;
use openssl::pkey::PKey;
use openssl::sign::Signer;
use openssl::symm::{self, Cipher};

/// What encrypting gives.
pub struct Made {
    pub iv: Vec<u8>,
    pub ciphertext: Vec<u8>,
    pub tag: Vec<u8>,
}

/// What is to be decrypted.
#[derive(Clone, Copy)]
pub struct Sealed<'a> {
    pub iv: &'a [u8],
    pub ciphertext: &'a [u8],
    pub tag: &'a [u8],
}

/// How a content encryption works: its cipher, and the digest of its HMAC where the cipher does not authenticate.
struct Way {
    cipher: Cipher,
    /// Octets of the whole key.
    key: usize,
    iv: usize,
    tag: usize,
    hmac: Option<MessageDigest>,
}

fn way(enc: ContentEncryption) -> Way {
    match enc {
        ContentEncryption::A128Gcm => Way { cipher: Cipher::aes_128_gcm(), key: 16, iv: 12, tag: 16, hmac: None },
        ContentEncryption::A256Gcm => Way { cipher: Cipher::aes_256_gcm(), key: 32, iv: 12, tag: 16, hmac: None },
        ContentEncryption::A128CbcHs256 => {
            Way { cipher: Cipher::aes_128_cbc(), key: 32, iv: 16, tag: 16, hmac: Some(MessageDigest::sha256()) }
        }
        ContentEncryption::A256CbcHs512 => {
            Way { cipher: Cipher::aes_256_cbc(), key: 64, iv: 16, tag: 32, hmac: Some(MessageDigest::sha512()) }
        }
    }
}

/// Octets of the content encryption key.
pub fn key_octets(enc: ContentEncryption) -> usize {
    way(enc).key
}

/// Encrypts; `aad` is bound to it. `None` for a key of the wrong length.
pub fn seal(enc: ContentEncryption, key: &[u8], aad: &[u8], plain: &[u8]) -> Option<Made> {
    let way = way(enc);
    if key.len() != way.key {
        return None;
    }
    let iv = random(way.iv);
    let Some(digest) = way.hmac else {
        let mut tag = vec![0; way.tag];
        let ciphertext = symm::encrypt_aead(way.cipher, key, Some(&iv), aad, plain, &mut tag).ok()?;
        return Some(Made { iv, ciphertext, tag });
    };
    let (mac_key, enc_key) = key.split_at(key.len() / 2);
    let ciphertext = symm::encrypt(way.cipher, enc_key, Some(&iv), plain).ok()?;
    let mut tag = mac(digest, mac_key, aad, &iv, &ciphertext)?;
    tag.truncate(way.tag);
    Some(Made { iv, ciphertext, tag })
}

/// Decrypts; `None` when any octet of it, or of `aad`, is not as it was made.
pub fn open(enc: ContentEncryption, key: &[u8], aad: &[u8], sealed: Sealed<'_>) -> Option<Vec<u8>> {
    let way = way(enc);
    // A tag that is cut short is easier to guess; OpenSSL would compare what is there.
    if key.len() != way.key || sealed.iv.len() != way.iv || sealed.tag.len() != way.tag {
        return None;
    }
    let Some(digest) = way.hmac else {
        return symm::decrypt_aead(way.cipher, key, Some(sealed.iv), aad, sealed.ciphertext, sealed.tag).ok();
    };
    let (mac_key, enc_key) = key.split_at(key.len() / 2);
    let expected = mac(digest, mac_key, aad, sealed.iv, sealed.ciphertext)?;
    // RFC 7518 5.2.2.2: nothing is decrypted before this holds, so that no padding is ever looked at.
    if !memcmp::eq(expected.get(..way.tag)?, sealed.tag) {
        return None;
    }
    symm::decrypt(way.cipher, enc_key, Some(sealed.iv), sealed.ciphertext).ok()
}

/// RFC 7518 5.2.2.1: over the associated data, the vector, the ciphertext, and the length of the first in bits.
fn mac(digest: MessageDigest, key: &[u8], aad: &[u8], iv: &[u8], ciphertext: &[u8]) -> Option<Vec<u8>> {
    let key = PKey::hmac(key).ok()?;
    let mut signer = Signer::new(digest, &key).ok()?;
    for part in [aad, iv, ciphertext, &(aad.len() as u64 * 8).to_be_bytes()] {
        signer.update(part).ok()?;
    }
    signer.sign_to_vec().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vector_has_its_length_though_the_cipher_would_take_another() {
        let (key, aad) = ([7; 16], b"aad");
        for (octets, good) in [(12, true), (8, false), (16, false)] {
            let (iv, mut tag) = (random(octets), [0; 16]);
            let ciphertext = symm::encrypt_aead(Cipher::aes_128_gcm(), &key, Some(&iv), aad, b"text", &mut tag).expect("encrypted");
            let opened = open(ContentEncryption::A128Gcm, &key, aad, Sealed { iv: &iv, ciphertext: &ciphertext, tag: &tag });
            assert_eq!(opened.is_some(), good, "{octets} octets");
        }
    }
}
