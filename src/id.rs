//! Random identifiers and the comparison of secrets. All randomness is OpenSSL's.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use openssl::hash::{MessageDigest, hash};
use std::cell::RefCell;

/// `N` random bytes from the operating system's generator.
///
/// # Panics
/// When the generator fails, which leaves nothing safe to do.
pub fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    openssl::rand::rand_bytes(&mut bytes).expect("the system's random generator works");
    bytes
}

/// As [`random_bytes`], for names and never for secrets: they are drawn many at once, because each draw costs as much as a
/// thousand of them, and lie in memory until they are used.
///
/// # Panics
/// As [`random_bytes`].
pub fn random_name<const N: usize>() -> [u8; N] {
    thread_local! {
        static DRAWN: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    }
    DRAWN.with_borrow_mut(|drawn| {
        if drawn.len() < N {
            *drawn = random_bytes::<DRAW>().to_vec();
        }
        let rest = drawn.len().saturating_sub(N);
        let mut bytes = [0; N];
        bytes.iter_mut().zip(drawn.drain(rest..)).for_each(|(byte, random)| *byte = random);
        bytes
    })
}

const DRAW: usize = 1024;

/// Octets as base64url without padding (RFC 4648 5).
pub fn base64url(octets: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(octets)
}

/// The octets again; `None` for what is no base64url.
pub fn from_base64url(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// 256 random bits, base64url: session ids, access tokens, refresh tokens.
pub fn random_token() -> String {
    URL_SAFE_NO_PAD.encode(random_bytes::<32>())
}

/// 128 random bits in hex: transaction ids, grant ids, SAML message ids (prefix those with `_`).
pub fn random_id() -> String {
    hex(&random_bytes::<16>())
}

/// 80 random bits in a lower-case alphabet without look-alikes, 16 characters: correlation ids that people read aloud.
pub fn correlation_id() -> String {
    const ALPHABET: &[u8; 32] = b"abcdefghjkmnpqrstvwxyz0123456789";
    random_name::<16>().iter().map(|b| char::from(ALPHABET[usize::from(b & 31)])).collect()
}

/// SHA-256 in lower-case hex: what stores keep instead of a bearer secret.
pub fn digest(secret: &str) -> String {
    hex(&sha256(secret.as_bytes()))
}

pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    openssl::sha::sha256(bytes)
}

/// MD5 in hex, for Gravatar addresses only.
pub fn gravatar_digest(email: &str) -> String {
    hash(MessageDigest::md5(), email.trim().to_lowercase().as_bytes()).map(|digest| hex(&digest)).unwrap_or_default()
}

/// Compares in a time that depends on the lengths only.
pub fn eq_constant_time(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && openssl::memcmp::eq(a, b)
}

pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_have_their_lengths_and_differ() {
        assert_eq!(random_token().len(), 43);
        assert_eq!(random_id().len(), 32);
        assert_eq!(correlation_id().len(), 16);
        assert_ne!(random_id(), random_id());
    }

    #[test]
    fn constant_time_comparison_is_a_comparison() {
        assert!(eq_constant_time(b"abc", b"abc"));
        assert!(!eq_constant_time(b"abc", b"abd"));
        assert!(!eq_constant_time(b"abc", b"ab"));
    }
}
