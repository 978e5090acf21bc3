//! Keys that are computed from a sentence: seeds stay valid between runs, and the repository holds no key.

use isthmus::keys::{CertifiedKey, Sealer};
use isthmus::saml::TrustedKeys;
use isthmus::secret::Secret;
use openssl::asn1::Asn1Time;
use openssl::bn::{BigNum, BigNumContext};
use openssl::ec::{EcGroup, EcKey, EcPoint};
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::RsaPrivateKeyBuilder;
use openssl::sha::sha256;
use openssl::x509::{X509, X509NameBuilder};
use std::sync::LazyLock;

pub static IDP_RSA: LazyLock<CertifiedKey> = LazyLock::new(|| certified(rsa("the identity provider")));
pub static IDP_EC: LazyLock<CertifiedKey> = LazyLock::new(|| certified(ec("the identity provider")));
pub static SP_EC: LazyLock<CertifiedKey> = LazyLock::new(|| certified(ec("an application")));
/// A key that nobody trusts.
pub static ATTACKER_EC: LazyLock<CertifiedKey> = LazyLock::new(|| certified(ec("an attacker")));
pub static GATEWAY_RSA: LazyLock<CertifiedKey> = LazyLock::new(|| certified(rsa("the gateway")));

/// Both keys of the identity provider.
pub static IDP: LazyLock<TrustedKeys> =
    LazyLock::new(|| TrustedKeys::new(&[IDP_RSA.certificate().clone(), IDP_EC.certificate().clone()]).expect("usable keys"));
pub static SP: LazyLock<TrustedKeys> = LazyLock::new(|| TrustedKeys::new(&[SP_EC.certificate().clone()]).expect("a usable key"));

/// Octets that are always the same.
pub fn octets(of: &str, length: usize) -> Vec<u8> {
    (0u32..).flat_map(|block| sha256(format!("isthmus fuzz {of} {block}").as_bytes())).take(length).collect()
}

/// What refresh tokens are made with.
pub fn sealer() -> Sealer {
    Sealer::new(&Secret::new(octets("the sealer", 32))).expect("a sealer")
}

fn ec(of: &str) -> Result<PKey<Private>, ErrorStack> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?;
    let secret = BigNum::from_slice(&octets(of, 31))?;
    let mut public = EcPoint::new(&group)?;
    public.mul_generator2(&group, &secret, &mut *BigNumContext::new()?)?;
    PKey::from_ec_key(EcKey::from_private_components(&group, &secret, &public)?)
}

fn rsa(of: &str) -> Result<PKey<Private>, ErrorStack> {
    let mut context = BigNumContext::new()?;
    let (e, one) = (BigNum::from_u32(65537)?, BigNum::from_u32(1)?);
    let (p, q) = (prime(&format!("{of} p"))?, prime(&format!("{of} q"))?);
    let [mut n, mut order, mut d, mut dmp1, mut dmq1, mut iqmp] =
        [BigNum::new()?, BigNum::new()?, BigNum::new()?, BigNum::new()?, BigNum::new()?, BigNum::new()?];
    n.checked_mul(&p, &q, &mut context)?;
    let (mut p1, mut q1) = (BigNum::new()?, BigNum::new()?);
    p1.checked_sub(&p, &one)?;
    q1.checked_sub(&q, &one)?;
    order.checked_mul(&p1, &q1, &mut context)?;
    d.mod_inverse(&e, &order, &mut context)?;
    dmp1.nnmod(&d, &p1, &mut context)?;
    dmq1.nnmod(&d, &q1, &mut context)?;
    iqmp.mod_inverse(&q, &p, &mut context)?;
    PKey::from_rsa(RsaPrivateKeyBuilder::new(n, e, d)?.set_factors(p, q)?.set_crt_params(dmp1, dmq1, iqmp)?.build())
}

fn prime(of: &str) -> Result<BigNum, ErrorStack> {
    let mut context = BigNumContext::new()?;
    let mut candidate = BigNum::from_slice(&octets(of, 128))?;
    for bit in [0, 1022, 1023] {
        candidate.set_bit(bit)?;
    }
    while !candidate.is_prime_fasttest(20, &mut context, true)? {
        candidate.add_word(2)?;
    }
    Ok(candidate)
}

fn certified(key: Result<PKey<Private>, ErrorStack>) -> CertifiedKey {
    let make = || -> Result<(Vec<u8>, Vec<u8>), ErrorStack> {
        let key = key?;
        let mut name = X509NameBuilder::new()?;
        name.append_entry_by_nid(Nid::COMMONNAME, "fuzz")?;
        let name = name.build();
        let mut builder = X509::builder()?;
        builder.set_version(2)?;
        builder.set_subject_name(&name)?;
        builder.set_issuer_name(&name)?;
        builder.set_pubkey(&key)?;
        builder.set_not_before(&*Asn1Time::from_unix(1_700_000_000)?)?;
        builder.set_not_after(&*Asn1Time::from_unix(2_700_000_000)?)?;
        builder.sign(&key, MessageDigest::sha256())?;
        Ok((key.private_key_to_pem_pkcs8()?, builder.build().to_pem()?))
    };
    let (key, certificate) = make().expect("a key");
    CertifiedKey::from_pem(&key, &certificate).expect("a certified key")
}
