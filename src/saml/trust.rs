//! Whom we trust and what we allow: the keys of one partner, and the list of algorithms.

use super::names;
use super::rejection::Rejection;
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result as CrateResult};
use crate::id;
use crate::keys::{Digest, SignatureScheme, certificate_end};
use openssl::bn::BigNum;
use openssl::ecdsa::EcdsaSig;
use openssl::pkey::{Id, PKey, Public};
use openssl::rsa::Padding;
use openssl::sign::{RsaPssSaltlen, Verifier};
use openssl::x509::X509;
use std::fmt;

/// The keys of one partner; none of nobody's.
#[derive(Clone)]
pub struct TrustedKeys(Vec<TrustedKey>);

/// One of them.
#[derive(Clone)]
pub(super) struct TrustedKey {
    key: PKey<Public>,
    pub der: Vec<u8>,
    pub fingerprint: String,
}

impl TrustedKeys {
    /// From the certificates of metadata or of the configuration. Dates and chains of the certificates mean
    /// nothing here (Metadata Interoperability Profile 2.6.1): they carry keys.
    ///
    /// # Errors
    /// When no certificate holds a usable key: RSA of 2048 bits or more, or an elliptic curve of 256 or more.
    pub fn new(certificates: &[X509]) -> CrateResult<Self> {
        let mut keys: Vec<TrustedKey> = Vec::new();
        let mut unusable = Vec::new();
        for certificate in certificates {
            let (Ok(key), Ok(der)) = (certificate.public_key(), certificate.to_der()) else {
                unusable.push("one without readable key".to_owned());
                continue;
            };
            match key.id() {
                Id::RSA if key.bits() >= 2048 => {}
                Id::EC if key.bits() >= 256 => {}
                Id::RSA | Id::EC => {
                    unusable.push(format!("only {} bits", key.bits()));
                    continue;
                }
                _ => {
                    unusable.push("neither RSA nor an elliptic curve".to_owned());
                    continue;
                }
            }
            let fingerprint = id::hex(&id::sha256(&der));
            if !keys.iter().any(|known| known.fingerprint == fingerprint) {
                keys.push(TrustedKey { key, der, fingerprint });
            }
        }
        if keys.is_empty() {
            let why = if unusable.is_empty() { "there is none".to_owned() } else { unusable.join(", ") };
            return Err(Error::new(ErrorKind::Misconfigured, format!("a usable signing certificate is needed: {why}")));
        }
        Ok(Self(keys))
    }

    /// With which nothing is ever verified.
    pub(super) const fn none() -> Self {
        Self(Vec::new())
    }

    /// SHA-256 fingerprints of the certificates, hex.
    pub fn fingerprints(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|key| key.fingerprint.as_str())
    }

    /// When their certificates end, for those who must be told; it means nothing to verification.
    pub fn ends(&self) -> impl Iterator<Item = Timestamp> {
        self.0.iter().filter_map(|key| certificate_end(&X509::from_der(&key.der).ok()?))
    }

    pub(super) fn names(&self) -> String {
        self.fingerprints().collect::<Vec<_>>().join(", ")
    }

    /// Tries every key of the right kind.
    pub(super) fn verify(&self, scheme: SignatureScheme, data: &[u8], signature: &[u8]) -> Option<&TrustedKey> {
        self.0.iter().find(|key| key.verify(scheme, data, signature))
    }
}

impl fmt::Debug for TrustedKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TrustedKeys({})", self.names())
    }
}

impl TrustedKey {
    fn verify(&self, scheme: SignatureScheme, data: &[u8], signature: &[u8]) -> bool {
        let fits = matches!(
            (scheme, self.key.id()),
            (SignatureScheme::RsaPkcs1(_) | SignatureScheme::RsaPss(_), Id::RSA) | (SignatureScheme::Ecdsa(_), Id::EC)
        );
        fits && self.verify_inner(scheme, data, signature).unwrap_or(false)
    }

    fn verify_inner(&self, scheme: SignatureScheme, data: &[u8], signature: &[u8]) -> Result<bool, openssl::error::ErrorStack> {
        match scheme {
            SignatureScheme::RsaPkcs1(digest) => Verifier::new(digest.openssl(), &self.key)?.verify_oneshot(signature, data),
            SignatureScheme::RsaPss(digest) => {
                let mut verifier = Verifier::new(digest.openssl(), &self.key)?;
                verifier.set_rsa_padding(Padding::PKCS1_PSS)?;
                verifier.set_rsa_pss_saltlen(RsaPssSaltlen::DIGEST_LENGTH)?;
                verifier.set_rsa_mgf1_md(digest.openssl())?;
                verifier.verify_oneshot(signature, data)
            }
            SignatureScheme::Ecdsa(digest) => {
                // XML Signature 6.4.3: r || s, each padded to the size of the group order.
                let half = self.key.bits().div_ceil(8) as usize;
                let Some((r, s)) = signature.split_at_checked(half).filter(|(_, s)| s.len() == half) else { return Ok(false) };
                let der = EcdsaSig::from_private_components(BigNum::from_slice(r)?, BigNum::from_slice(s)?)?.to_der()?;
                Verifier::new(digest.openssl(), &self.key)?.verify_oneshot(&der, data)
            }
            SignatureScheme::EdDsa => Ok(false),
        }
    }
}

/// How the signatures of one partner are verified.
#[derive(Clone, Copy, Debug)]
pub(super) struct Verification<'k> {
    pub keys: &'k TrustedKeys,
    pub allowed: Allowed,
    /// Keep what a second engine needs.
    pub evidence: bool,
}

/// What is allowed beyond the default list, each by name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Allowed {
    pub sha1: bool,
    pub inclusive_c14n: bool,
}

/// The scheme of a SignatureMethod, if it is on the list.
///
/// # Errors
/// [`Rejection::AlgorithmRefused`].
pub fn signature_scheme(uri: &str, allowed: Allowed) -> Result<SignatureScheme, Rejection> {
    match uri {
        names::RSA_SHA256 => Ok(SignatureScheme::RsaPkcs1(Digest::Sha256)),
        names::RSA_SHA384 => Ok(SignatureScheme::RsaPkcs1(Digest::Sha384)),
        names::RSA_SHA512 => Ok(SignatureScheme::RsaPkcs1(Digest::Sha512)),
        names::RSA_PSS_SHA256 => Ok(SignatureScheme::RsaPss(Digest::Sha256)),
        names::RSA_PSS_SHA384 => Ok(SignatureScheme::RsaPss(Digest::Sha384)),
        names::RSA_PSS_SHA512 => Ok(SignatureScheme::RsaPss(Digest::Sha512)),
        names::ECDSA_SHA256 => Ok(SignatureScheme::Ecdsa(Digest::Sha256)),
        names::ECDSA_SHA384 => Ok(SignatureScheme::Ecdsa(Digest::Sha384)),
        names::ECDSA_SHA512 => Ok(SignatureScheme::Ecdsa(Digest::Sha512)),
        names::RSA_SHA1 if allowed.sha1 => Ok(SignatureScheme::RsaPkcs1(Digest::Sha1)),
        names::ECDSA_SHA1 if allowed.sha1 => Ok(SignatureScheme::Ecdsa(Digest::Sha1)),
        _ => Err(Rejection::AlgorithmRefused { what: "signature", found: uri.to_owned() }),
    }
}

/// The URI of a scheme, the other way round.
pub const fn signature_uri(scheme: SignatureScheme) -> Option<&'static str> {
    Some(match scheme {
        SignatureScheme::RsaPkcs1(Digest::Sha1) => names::RSA_SHA1,
        SignatureScheme::RsaPkcs1(Digest::Sha256) => names::RSA_SHA256,
        SignatureScheme::RsaPkcs1(Digest::Sha384) => names::RSA_SHA384,
        SignatureScheme::RsaPkcs1(Digest::Sha512) => names::RSA_SHA512,
        SignatureScheme::RsaPss(Digest::Sha256) => names::RSA_PSS_SHA256,
        SignatureScheme::RsaPss(Digest::Sha384) => names::RSA_PSS_SHA384,
        SignatureScheme::RsaPss(Digest::Sha512) => names::RSA_PSS_SHA512,
        SignatureScheme::Ecdsa(Digest::Sha1) => names::ECDSA_SHA1,
        SignatureScheme::Ecdsa(Digest::Sha256) => names::ECDSA_SHA256,
        SignatureScheme::Ecdsa(Digest::Sha384) => names::ECDSA_SHA384,
        SignatureScheme::Ecdsa(Digest::Sha512) => names::ECDSA_SHA512,
        SignatureScheme::RsaPss(Digest::Sha1) | SignatureScheme::EdDsa => return None,
    })
}

pub(super) fn digest_method(uri: &str, allowed: Allowed) -> Result<Digest, Rejection> {
    match uri {
        names::SHA256 => Ok(Digest::Sha256),
        names::SHA384 => Ok(Digest::Sha384),
        names::SHA512 => Ok(Digest::Sha512),
        names::SHA1 if allowed.sha1 => Ok(Digest::Sha1),
        _ => Err(Rejection::AlgorithmRefused { what: "digest", found: uri.to_owned() }),
    }
}

pub(super) const fn digest_uri(digest: Digest) -> &'static str {
    match digest {
        Digest::Sha1 => names::SHA1,
        Digest::Sha256 => names::SHA256,
        Digest::Sha384 => names::SHA384,
        Digest::Sha512 => names::SHA512,
    }
}
