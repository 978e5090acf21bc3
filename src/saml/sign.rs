//! Enveloped signatures on messages that our own writer made.

use super::names;
use super::trust::{digest_uri, signature_uri};
use super::xml::{Canonicalization, Limits, Writer, canonicalize, parse};
use crate::error::{Error, ErrorKind, Result as CrateResult};
use crate::keys::{CertifiedKey, Digest, KeyKind, SignatureScheme};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use openssl::hash::hash;

/// A key and how to sign with it.
#[derive(Clone, Copy, Debug)]
pub struct Signer<'k> {
    pub key: &'k CertifiedKey,
    pub scheme: SignatureScheme,
    /// Of what is signed; `None`: that of the scheme.
    pub digest: Option<Digest>,
}

impl<'k> Signer<'k> {
    /// With the usual scheme for the key: RSA-SHA256, or ECDSA with the digest that fits the curve.
    pub fn new(key: &'k CertifiedKey) -> Self {
        let scheme = match key.key.kind() {
            KeyKind::Rsa => SignatureScheme::RsaPkcs1(Digest::Sha256),
            KeyKind::EcP256 => SignatureScheme::Ecdsa(Digest::Sha256),
            KeyKind::EcP384 => SignatureScheme::Ecdsa(Digest::Sha384),
            KeyKind::EcP521 => SignatureScheme::Ecdsa(Digest::Sha512),
            KeyKind::Ed25519 => SignatureScheme::EdDsa,
        };
        Self { key, scheme, digest: None }
    }

    /// With another scheme or digest.
    ///
    /// # Errors
    /// When the scheme is not for this kind of key.
    pub fn with(key: &'k CertifiedKey, scheme: Option<SignatureScheme>, digest: Option<Digest>) -> CrateResult<Self> {
        let usual = Self::new(key);
        let scheme = scheme.unwrap_or(usual.scheme);
        let fits = match scheme {
            SignatureScheme::RsaPkcs1(_) | SignatureScheme::RsaPss(_) => key.key.kind() == KeyKind::Rsa,
            SignatureScheme::Ecdsa(_) => matches!(key.key.kind(), KeyKind::EcP256 | KeyKind::EcP384 | KeyKind::EcP521),
            SignatureScheme::EdDsa => false,
        };
        if !fits {
            return Err(Error::new(ErrorKind::Misconfigured, "the signature algorithm is not for this kind of signing key"));
        }
        Ok(Self { scheme, digest, ..usual })
    }

    pub(super) fn algorithm(&self) -> CrateResult<&'static str> {
        signature_uri(self.scheme).ok_or_else(|| Error::new(ErrorKind::Misconfigured, "SAML cannot sign with this kind of key"))
    }

    const fn digest(&self) -> Digest {
        match (self.digest, self.scheme) {
            (Some(digest), _)
            | (None, SignatureScheme::RsaPkcs1(digest) | SignatureScheme::RsaPss(digest) | SignatureScheme::Ecdsa(digest)) => digest,
            (None, SignatureScheme::EdDsa) => Digest::Sha512,
        }
    }
}

/// Signs the root element of `xml` (which our writer made) and returns the document with the signature in its place.
///
/// # Errors
/// When the key does not fit the scheme.
pub fn sign(xml: &str, signer: Signer<'_>) -> CrateResult<String> {
    let internal = |why: &str| Error::new(ErrorKind::Internal, format!("a message cannot be signed: {why}"));
    let document = parse(xml, Limits::METADATA).map_err(|error| internal("it is not readable").because(error))?;
    let root = document.root();
    let id = root.attribute("ID").ok_or_else(|| internal("it has no ID"))?;
    let place = match root.children().next() {
        Some(issuer) if issuer.is(names::SAML, "Issuer") => issuer.range().end,
        Some(first) => first.range().start,
        None => return Err(internal("it is empty")),
    };
    let bytes = canonicalize(root, Canonicalization::Exclusive(&[]), &[]);
    let digest = hash(signer.digest().openssl(), bytes.as_bytes()).map_err(|error| internal("no digest").because(error))?;
    let signed_info = signed_info(id, signer.algorithm()?, digest_uri(signer.digest()), &STANDARD.encode(digest));
    let value = signer.key.key.sign(signer.scheme, signed_info.as_bytes())?;

    let mut signature = Writer::new();
    signature.start("ds:Signature").attribute("xmlns:ds", names::DS);
    // SignedInfo was signed with its own declaration; inside Signature it is inherited, and canonicalisation adds it again.
    signature.written(&signed_info);
    signature.leaf("ds:SignatureValue", &STANDARD.encode(value));
    signature.start("ds:KeyInfo").start("ds:X509Data").leaf("ds:X509Certificate", &STANDARD.encode(signer.key.certificate_der()));
    let signature = signature.finish();
    let (before, after) = xml.split_at_checked(place).ok_or_else(|| internal("no place for the signature"))?;
    Ok([before, &signature, after].concat())
}

/// SignedInfo, written in its canonical form.
fn signed_info(id: &str, algorithm: &str, digest_algorithm: &str, digest: &str) -> String {
    let mut info = Writer::new();
    info.start("ds:SignedInfo").attribute("xmlns:ds", names::DS);
    info.start("ds:CanonicalizationMethod").attribute("Algorithm", names::EXC_C14N).text("").end();
    info.start("ds:SignatureMethod").attribute("Algorithm", algorithm).text("").end();
    info.start("ds:Reference").attribute("URI", &format!("#{id}"));
    info.start("ds:Transforms");
    info.start("ds:Transform").attribute("Algorithm", names::ENVELOPED).text("").end();
    info.start("ds:Transform").attribute("Algorithm", names::EXC_C14N).text("").end();
    info.end();
    info.start("ds:DigestMethod").attribute("Algorithm", digest_algorithm).text("").end();
    info.leaf("ds:DigestValue", digest);
    info.finish()
}
