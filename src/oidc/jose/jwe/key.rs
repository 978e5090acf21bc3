//! How the key of the content travels (RFC 7518 4).

use super::content::key_octets;
use super::random;
use crate::id;
use crate::keys::{Digest, KeyKind, PrivateKey};
use crate::oidc::jose::public_key::{Curve, PublicKey, PublicKeyKind};
use crate::oidc::jose::published;
use crate::oidc::{ContentEncryption, Encryption, KeyManagementAlg};
use crate::secret::Secret;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use openssl::aes::{AesKey, unwrap_key, wrap_key};
use openssl::encrypt::Encrypter;
use openssl::rsa::Padding;
use serde_json::{Map, Value};

/// A key for content, and how the other side comes by it.
pub struct Sent {
    pub content_key: Secret<Vec<u8>>,
    /// Empty where the key was agreed on.
    pub encrypted_key: Vec<u8>,
    /// `epk` (RFC 7518 4.6.1.1).
    pub ephemeral: Option<Map<String, Value>>,
}

/// Chooses a content key for whoever has the private half of `key`; `None` where the key does not fit.
pub fn send(key: &PublicKey, how: Encryption) -> Option<Sent> {
    if matches!(how.alg, KeyManagementAlg::RsaOaep | KeyManagementAlg::RsaOaep256) {
        let content_key = Secret::new(random(key_octets(how.enc)));
        let encrypted_key = wrap_oaep(key, oaep_digest(how.alg), content_key.expose())?;
        return Some(Sent { content_key, encrypted_key, ephemeral: None });
    }
    let PublicKeyKind::Ec(curve) = key.kind() else { return None };
    let own = PrivateKey::generate(kind_of(curve)).ok()?;
    let derived = derive(&own.agree(key.openssl())?, how, &[], &[]);
    let ephemeral = Some(published::members_of(&own).ok()?);
    let Some(_) = wrapping_octets(how.alg) else {
        return Some(Sent { content_key: derived, encrypted_key: Vec::new(), ephemeral });
    };
    let content_key = Secret::new(random(key_octets(how.enc)));
    let wrapping = AesKey::new_encrypt(derived.expose()).ok()?;
    let mut encrypted_key = vec![0; content_key.expose().len() + 8];
    wrap_key(&wrapping, None, &mut encrypted_key, content_key.expose()).ok()?;
    Some(Sent { content_key, encrypted_key, ephemeral })
}

/// Is our key one that `alg` needs?
pub fn opens(key: &PrivateKey, alg: KeyManagementAlg) -> bool {
    match key.kind() {
        KeyKind::Rsa => matches!(alg, KeyManagementAlg::RsaOaep | KeyManagementAlg::RsaOaep256),
        KeyKind::EcP256 | KeyKind::EcP384 | KeyKind::EcP521 => {
            matches!(alg, KeyManagementAlg::EcdhEs | KeyManagementAlg::EcdhEsA128Kw | KeyManagementAlg::EcdhEsA256Kw)
        }
        KeyKind::Ed25519 => false,
    }
}

/// The content key that was sent to us; `None` for every reason for which there is none.
pub fn receive(key: &PrivateKey, header: &Map<String, Value>, how: Encryption, encrypted_key: &[u8]) -> Option<Secret<Vec<u8>>> {
    let octets = key_octets(how.enc);
    if matches!(how.alg, KeyManagementAlg::RsaOaep | KeyManagementAlg::RsaOaep256) {
        let digest = oaep_digest(how.alg);
        return key.unwrap_oaep(encrypted_key, digest, digest).map(Secret::new).filter(|found| found.expose().len() == octets);
    }
    let peer = PublicKey::from_jwk(header.get("epk")?.as_object()?).ok()?;
    // A point on another curve says something about the key that it is multiplied with.
    match peer.kind() {
        PublicKeyKind::Ec(curve) if kind_of(curve) == key.kind() => {}
        _ => return None,
    }
    let derived = derive(&key.agree(peer.openssl())?, how, &party(header, "apu")?, &party(header, "apv")?);
    let Some(_) = wrapping_octets(how.alg) else {
        // RFC 7516 5.2 step 10: where a key is agreed on, none is sent.
        return encrypted_key.is_empty().then_some(derived);
    };
    if encrypted_key.len() != octets + 8 {
        return None;
    }
    let wrapping = AesKey::new_decrypt(derived.expose()).ok()?;
    let mut found = vec![0; octets];
    unwrap_key(&wrapping, None, &mut found, encrypted_key).ok()?;
    Some(Secret::new(found))
}

/// A key that decrypts nothing.
pub fn nonsense(enc: ContentEncryption) -> Secret<Vec<u8>> {
    Secret::new(random(key_octets(enc)))
}

fn wrap_oaep(key: &PublicKey, digest: Digest, content_key: &[u8]) -> Option<Vec<u8>> {
    if key.kind() != PublicKeyKind::Rsa {
        return None;
    }
    let mut encrypter = Encrypter::new(key.openssl()).ok()?;
    encrypter.set_rsa_padding(Padding::PKCS1_OAEP).ok()?;
    encrypter.set_rsa_oaep_md(digest.openssl()).ok()?;
    encrypter.set_rsa_mgf1_md(digest.openssl()).ok()?;
    let mut wrapped = vec![0; encrypter.encrypt_len(content_key).ok()?];
    let length = encrypter.encrypt(content_key, &mut wrapped).ok()?;
    wrapped.truncate(length);
    Some(wrapped)
}

/// RFC 7518 4.3: the digest of OAEP is that of its MGF1.
const fn oaep_digest(alg: KeyManagementAlg) -> Digest {
    match alg {
        KeyManagementAlg::RsaOaep256 => Digest::Sha256,
        _ => Digest::Sha1,
    }
}

/// Octets of the key that wraps the content's; `None` where the agreed key is the content's.
const fn wrapping_octets(alg: KeyManagementAlg) -> Option<usize> {
    match alg {
        KeyManagementAlg::EcdhEsA128Kw => Some(16),
        KeyManagementAlg::EcdhEsA256Kw => Some(32),
        KeyManagementAlg::EcdhEs | KeyManagementAlg::RsaOaep | KeyManagementAlg::RsaOaep256 => None,
    }
}

/// Concat KDF (RFC 7518 4.6.2) with SHA-256.
fn derive(agreed: &Secret<Vec<u8>>, how: Encryption, apu: &[u8], apv: &[u8]) -> Secret<Vec<u8>> {
    let (name, octets) = match wrapping_octets(how.alg) {
        Some(octets) => (how.alg.as_str(), octets),
        None => (how.enc.as_str(), key_octets(how.enc)),
    };
    let length = |octets: usize| u32::try_from(octets).unwrap_or(u32::MAX).to_be_bytes();
    let mut derived = Vec::with_capacity(octets.next_multiple_of(32));
    for round in 1_u32..=2 {
        let mut input = round.to_be_bytes().to_vec();
        input.extend_from_slice(agreed.expose());
        for part in [name.as_bytes(), apu, apv] {
            input.extend_from_slice(&length(part.len()));
            input.extend_from_slice(part);
        }
        input.extend_from_slice(&length(octets * 8));
        derived.extend_from_slice(&id::sha256(&input));
        drop(Secret::new(input));
    }
    derived.truncate(octets);
    Secret::new(derived)
}

/// `apu` or `apv`, empty if absent.
fn party(header: &Map<String, Value>, name: &str) -> Option<Vec<u8>> {
    match header.get(name) {
        None => Some(Vec::new()),
        Some(value) => URL_SAFE_NO_PAD.decode(value.as_str()?).ok(),
    }
}

const fn kind_of(curve: Curve) -> KeyKind {
    match curve {
        Curve::P256 => KeyKind::EcP256,
        Curve::P384 => KeyKind::EcP384,
        Curve::P521 => KeyKind::EcP521,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_derived_key_is_that_of_the_rfc() {
        // RFC 7518 Appendix C: Z, Alice and Bob, A128GCM.
        let agreed = [
            158, 86, 217, 29, 129, 113, 53, 211, 114, 131, 66, 131, 191, 132, 38, 156, 251, 49, 110, 163, 218, 128, 106, 72, 246, 218, 167,
            121, 140, 254, 144, 196,
        ];
        let how = Encryption { alg: KeyManagementAlg::EcdhEs, enc: ContentEncryption::A128Gcm };
        let derived = derive(&Secret::new(agreed.to_vec()), how, b"Alice", b"Bob");
        assert_eq!(URL_SAFE_NO_PAD.encode(derived.expose()), "VqqN6vgjbSBcIijNcacQGg");
    }
}
