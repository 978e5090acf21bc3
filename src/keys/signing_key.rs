//! A private key that signs and unwraps but never leaves.

use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::id;
use crate::secret::Secret;
use openssl::asn1::{Asn1Time, Asn1TimeRef};
use openssl::bn::BigNum;
use openssl::derive::Deriver;
use openssl::ec::{EcGroup, EcKey};
use openssl::ecdsa::EcdsaSig;
use openssl::encrypt::Decrypter;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{Id, PKey, Private, Public};
use openssl::rsa::{Padding, Rsa};
use openssl::sign::{RsaPssSaltlen, Signer};
use openssl::x509::{X509, X509Builder, X509NameBuilder};
use std::fmt;

/// A digest that a signature or OAEP may use. SHA-1 is there for OAEP, where it is harmless, and for
/// partners whose connection names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Digest {
    Sha1,
    Sha256,
    Sha384,
    Sha512,
}

impl Digest {
    pub fn openssl(self) -> MessageDigest {
        match self {
            Self::Sha1 => MessageDigest::sha1(),
            Self::Sha256 => MessageDigest::sha256(),
            Self::Sha384 => MessageDigest::sha384(),
            Self::Sha512 => MessageDigest::sha512(),
        }
    }

    /// Length of the output in bytes.
    pub const fn size(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }
}

/// How a signature is made. ECDSA signatures are `r || s` of fixed length, as XML Signature and JWA both want.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SignatureScheme {
    RsaPkcs1(Digest),
    /// Salt length and MGF1 digest equal the digest.
    RsaPss(Digest),
    Ecdsa(Digest),
    EdDsa,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyKind {
    Rsa,
    EcP256,
    EcP384,
    EcP521,
    Ed25519,
}

impl KeyKind {
    /// Bytes of each half of an ECDSA signature: the size of the group's order. 0 for other kinds of keys.
    const fn ecdsa_half(self) -> i32 {
        match self {
            Self::EcP256 => 32,
            Self::EcP384 => 48,
            Self::EcP521 => 66,
            Self::Rsa | Self::Ed25519 => 0,
        }
    }

    const fn curve(self) -> Option<Nid> {
        match self {
            Self::EcP256 => Some(Nid::X9_62_PRIME256V1),
            Self::EcP384 => Some(Nid::SECP384R1),
            Self::EcP521 => Some(Nid::SECP521R1),
            Self::Rsa | Self::Ed25519 => None,
        }
    }
}

/// A private key, parsed once.
#[derive(Clone)]
pub struct PrivateKey {
    key: PKey<Private>,
    kind: KeyKind,
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey({:?})", self.kind)
    }
}

impl PrivateKey {
    /// A new key; RSA keys have 2048 bits.
    pub fn generate(kind: KeyKind) -> Result<Self> {
        let make = || -> Result<PKey<Private>, openssl::error::ErrorStack> {
            match kind.curve() {
                Some(curve) => {
                    let group = EcGroup::from_curve_name(curve)?;
                    PKey::from_ec_key(EcKey::generate(&group)?)
                }
                None if kind == KeyKind::Rsa => PKey::from_rsa(Rsa::generate(2048)?),
                None => PKey::generate_ed25519(),
            }
        };
        Ok(Self { key: make().map_err(|error| Error::new(ErrorKind::Internal, "a key cannot be made").because(error))?, kind })
    }

    /// Reads a PKCS#8 (or traditional) PEM private key of a supported kind; RSA keys need at least 2048 bits.
    pub fn from_pem(pem: &[u8]) -> Result<Self> {
        let refuse = |why: &str| Error::new(ErrorKind::Misconfigured, why.to_owned());
        let key = PKey::private_key_from_pem(pem).map_err(|error| refuse("this is not a readable PEM private key").because(error))?;
        let kind = match key.id() {
            Id::RSA if key.bits() >= 2048 => KeyKind::Rsa,
            Id::RSA => return Err(refuse("an RSA key needs at least 2048 bits")),
            Id::ED25519 => KeyKind::Ed25519,
            Id::EC => match key.ec_key().ok().and_then(|ec| ec.group().curve_name()) {
                Some(Nid::X9_62_PRIME256V1) => KeyKind::EcP256,
                Some(Nid::SECP384R1) => KeyKind::EcP384,
                Some(Nid::SECP521R1) => KeyKind::EcP521,
                _ => return Err(refuse("of elliptic curves only P-256, P-384 and P-521 are supported")),
            },
            _ => return Err(refuse("only RSA, P-256, P-384, P-521 and Ed25519 keys are supported")),
        };
        Ok(Self { key, kind })
    }

    /// PKCS#8 PEM, for the keyring's own files.
    pub(super) fn to_pem(&self) -> Result<Vec<u8>> {
        self.key.private_key_to_pem_pkcs8().map_err(|error| Error::new(ErrorKind::Internal, "a key cannot be written").because(error))
    }

    /// For judges of what other parts do with it.
    #[cfg(test)]
    pub fn pem_for_tests(&self) -> Vec<u8> {
        self.to_pem().expect("a key can be written")
    }

    pub const fn kind(&self) -> KeyKind {
        self.kind
    }

    /// SHA-256 of the public key (its SubjectPublicKeyInfo), hex.
    pub fn fingerprint(&self) -> Result<String> {
        Ok(id::hex(&id::sha256(&self.public_der()?)))
    }

    /// SubjectPublicKeyInfo in DER.
    pub fn public_der(&self) -> Result<Vec<u8>> {
        self.key.public_key_to_der().map_err(|error| Error::new(ErrorKind::Internal, "a public key cannot be written").because(error))
    }

    /// Signs `data`. Fails when the scheme does not fit the key.
    pub fn sign(&self, scheme: SignatureScheme, data: &[u8]) -> Result<Vec<u8>> {
        self.sign_inner(scheme, data).map_err(|error| Error::new(ErrorKind::Internal, "a signature cannot be made").because(error))
    }

    fn sign_inner(&self, scheme: SignatureScheme, data: &[u8]) -> Result<Vec<u8>, openssl::error::ErrorStack> {
        match scheme {
            SignatureScheme::EdDsa => Signer::new_without_digest(&self.key)?.sign_oneshot_to_vec(data),
            SignatureScheme::RsaPkcs1(digest) => {
                self.key.rsa()?;
                let mut signer = Signer::new(digest.openssl(), &self.key)?;
                signer.sign_oneshot_to_vec(data)
            }
            SignatureScheme::RsaPss(digest) => {
                let mut signer = Signer::new(digest.openssl(), &self.key)?;
                signer.set_rsa_padding(Padding::PKCS1_PSS)?;
                signer.set_rsa_pss_saltlen(RsaPssSaltlen::DIGEST_LENGTH)?;
                signer.set_rsa_mgf1_md(digest.openssl())?;
                signer.sign_oneshot_to_vec(data)
            }
            SignatureScheme::Ecdsa(digest) => {
                self.key.ec_key()?;
                let der = Signer::new(digest.openssl(), &self.key)?.sign_oneshot_to_vec(data)?;
                let signature = EcdsaSig::from_der(&der)?;
                let half = self.kind.ecdsa_half();
                let mut raw = signature.r().to_vec_padded(half)?;
                raw.extend(signature.s().to_vec_padded(half)?);
                Ok(raw)
            }
        }
    }

    /// RSA-OAEP decryption of a wrapped key. All failures look alike.
    pub fn unwrap_oaep(&self, wrapped: &[u8], digest: Digest, mgf1: Digest) -> Option<Vec<u8>> {
        let mut decrypter = Decrypter::new(&self.key).ok()?;
        decrypter.set_rsa_padding(Padding::PKCS1_OAEP).ok()?;
        decrypter.set_rsa_oaep_md(digest.openssl()).ok()?;
        decrypter.set_rsa_mgf1_md(mgf1.openssl()).ok()?;
        let mut plain = vec![0; decrypter.decrypt_len(wrapped).ok()?];
        let length = decrypter.decrypt(wrapped, &mut plain).ok()?;
        plain.truncate(length);
        Some(plain)
    }
}

impl PrivateKey {
    /// Elliptic curve Diffie-Hellman with a point on the same curve. All failures look alike.
    pub fn agree(&self, peer: &PKey<Public>) -> Option<Secret<Vec<u8>>> {
        if self.kind.curve().is_none() || peer.ec_key().ok()?.group().curve_name() != self.kind.curve() {
            return None;
        }
        let mut deriver = Deriver::new(&self.key).ok()?;
        deriver.set_peer(peer).ok()?;
        deriver.derive_to_vec().ok().map(Secret::new)
    }
}

/// A private key with the certificate that SAML metadata publishes for it.
#[derive(Clone)]
pub struct CertifiedKey {
    pub key: PrivateKey,
    certificate: X509,
}

impl fmt::Debug for CertifiedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CertifiedKey({:?})", self.key.kind)
    }
}

impl CertifiedKey {
    /// A self-signed certificate over `key`, valid for ten years: SAML partners pin it, nobody walks its chain.
    pub fn self_signed(key: PrivateKey, common_name: &str) -> Result<Self> {
        let certificate = build_certificate(&key, common_name)
            .map_err(|error| Error::new(ErrorKind::Internal, "a certificate cannot be made").because(error))?;
        Ok(Self { key, certificate })
    }

    pub fn from_pem(key: &[u8], certificate: &[u8]) -> Result<Self> {
        let key = PrivateKey::from_pem(key)?;
        let certificate = X509::from_pem(certificate)
            .map_err(|error| Error::new(ErrorKind::Misconfigured, "this is not a readable PEM certificate").because(error))?;
        let matches = certificate.public_key().is_ok_and(|public| public.public_eq(&key.key));
        if !matches {
            return Err(Error::new(ErrorKind::Misconfigured, "the certificate does not belong to the private key"));
        }
        Ok(Self { key, certificate })
    }

    pub fn certificate(&self) -> &X509 {
        &self.certificate
    }

    /// When the certificate begins and when it ends.
    pub fn validity(&self) -> (Option<Timestamp>, Option<Timestamp>) {
        (time_of(self.certificate.not_before()), time_of(self.certificate.not_after()))
    }

    /// DER of the certificate, as `ds:X509Certificate` carries it in base64.
    pub fn certificate_der(&self) -> Vec<u8> {
        self.certificate.to_der().unwrap_or_default()
    }

    /// The certificate as PEM.
    pub fn certificate_text(&self) -> String {
        String::from_utf8(self.certificate_pem()).unwrap_or_default()
    }

    /// The private key as PEM, to be sealed.
    pub fn key_text(&self) -> Result<Secret<String>> {
        let unwritable = |error| Error::new(ErrorKind::Internal, "a key cannot be written").because(error);
        String::from_utf8(self.key.to_pem()?).map(Secret::new).map_err(unwritable)
    }

    pub(super) fn certificate_pem(&self) -> Vec<u8> {
        self.certificate.to_pem().unwrap_or_default()
    }
}

/// When a certificate ends; `None` for a date that cannot be read.
pub fn certificate_end(certificate: &X509) -> Option<Timestamp> {
    time_of(certificate.not_after())
}

/// When a certificate begins; `None` for a date that cannot be read.
pub fn certificate_begin(certificate: &X509) -> Option<Timestamp> {
    time_of(certificate.not_before())
}

fn time_of(time: &Asn1TimeRef) -> Option<Timestamp> {
    let difference = Asn1Time::from_unix(0).ok()?.diff(time).ok()?;
    Some(Timestamp::from_seconds(i64::from(difference.days) * 86_400 + i64::from(difference.secs)))
}

/// Reads one certificate: PEM, or the bare base64 that metadata carries.
pub fn parse_certificate(text: &str) -> Result<X509> {
    use base64::Engine as _;
    let refuse = || Error::new(ErrorKind::Misconfigured, "this is not a readable certificate (PEM, or base64 of DER)");
    if text.contains("-----BEGIN") {
        return X509::from_pem(text.as_bytes()).map_err(|error| refuse().because(error));
    }
    let compact: String = text.split_ascii_whitespace().collect();
    let der = base64::engine::general_purpose::STANDARD.decode(compact).map_err(|error| refuse().because(error))?;
    X509::from_der(&der).map_err(|error| refuse().because(error))
}

fn build_certificate(key: &PrivateKey, common_name: &str) -> Result<X509, openssl::error::ErrorStack> {
    let mut name = X509NameBuilder::new()?;
    name.append_entry_by_nid(Nid::COMMONNAME, &common_name.chars().take(64).collect::<String>())?;
    let name = name.build();
    let mut builder = X509Builder::new()?;
    builder.set_version(2)?;
    builder.set_serial_number(&*BigNum::from_slice(&id::random_bytes::<15>())?.to_asn1_integer()?)?;
    builder.set_subject_name(&name)?;
    builder.set_issuer_name(&name)?;
    builder.set_pubkey(&key.key)?;
    builder.set_not_before(&*Asn1Time::days_from_now(0)?)?;
    builder.set_not_after(&*Asn1Time::days_from_now(3650)?)?;
    let digest = if key.kind == KeyKind::Ed25519 { MessageDigest::null() } else { MessageDigest::sha256() };
    builder.sign(&key.key, digest)?;
    Ok(builder.build())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_signs_with_its_own_schemes_only() {
        let ec = PrivateKey::generate(KeyKind::EcP256).expect("a key");
        assert_eq!(ec.sign(SignatureScheme::Ecdsa(Digest::Sha256), b"x").expect("signs").len(), 64);
        assert!(ec.sign(SignatureScheme::RsaPkcs1(Digest::Sha256), b"x").is_err());
        let ed = PrivateKey::generate(KeyKind::Ed25519).expect("a key");
        assert_eq!(ed.sign(SignatureScheme::EdDsa, b"x").expect("signs").len(), 64);
        assert!(ed.sign(SignatureScheme::Ecdsa(Digest::Sha256), b"x").is_err());
        for (kind, length) in [(KeyKind::EcP384, 96), (KeyKind::EcP521, 132)] {
            let key = PrivateKey::generate(kind).expect("a key");
            assert_eq!(key.sign(SignatureScheme::Ecdsa(Digest::Sha512), b"x").expect("signs").len(), length);
            assert_eq!(PrivateKey::from_pem(&key.to_pem().expect("pem")).expect("read").kind(), kind);
        }
    }

    #[test]
    fn a_certificate_says_from_when_until_when() {
        let key = CertifiedKey::self_signed(PrivateKey::generate(KeyKind::EcP256).expect("key"), "x").expect("certificate");
        let (Some(from), Some(until)) = key.validity() else { panic!("no dates") };
        assert_eq!(until.seconds_since(from), 3650 * 86_400);
        assert_eq!(certificate_end(key.certificate()), Some(until));
        assert!(from.seconds() > 1_700_000_000, "{from}");
    }

    #[test]
    fn a_certificate_of_another_key_is_refused() {
        let one = CertifiedKey::self_signed(PrivateKey::generate(KeyKind::EcP256).expect("key"), "one").expect("certificate");
        let two = PrivateKey::generate(KeyKind::EcP256).expect("key");
        assert!(CertifiedKey::from_pem(&two.to_pem().expect("pem"), &one.certificate_pem()).is_err());
    }

    #[test]
    fn keys_do_not_print() {
        let key = PrivateKey::generate(KeyKind::EcP256).expect("a key");
        assert_eq!(format!("{key:?}"), "PrivateKey(EcP256)");
    }
}
