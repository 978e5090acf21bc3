//! A public key that somebody else has written as a JWK (RFC 7517): read with care, and used only for what it says it is for.

use super::published::thumbprint;
use crate::oidc::{ClientSigningAlg, KeyManagementAlg};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use openssl::bn::{BigNum, BigNumRef};
use openssl::ec::{EcGroup, EcKey};
use openssl::ecdsa::EcdsaSig;
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{Id, PKey, Public};
use openssl::rsa::{Padding, Rsa};
use openssl::sign::{RsaPssSaltlen, Verifier};
use serde_json::{Map, Value};

/// RFC 7518 3.3: a key of 2048 bits or larger MUST be used.
const RSA_BITS_AT_LEAST: i32 = 2048;
/// Larger ones cost more than they give.
const RSA_BITS_AT_MOST: i32 = 8192;
/// OpenSSL has the same limit for large moduli.
const RSA_EXPONENT_BITS_AT_MOST: i32 = 64;

/// The curves of RFC 7518 6.2.1.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Curve {
    P256,
    P384,
    P521,
}

impl Curve {
    pub const ALL: [Self; 3] = [Self::P256, Self::P384, Self::P521];

    pub const fn name(self) -> &'static str {
        match self {
            Self::P256 => "P-256",
            Self::P384 => "P-384",
            Self::P521 => "P-521",
        }
    }

    /// Octets of a coordinate, and of each half of a signature.
    pub const fn octets(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
            Self::P521 => 66,
        }
    }

    const fn nid(self) -> Nid {
        match self {
            Self::P256 => Nid::X9_62_PRIME256V1,
            Self::P384 => Nid::SECP384R1,
            Self::P521 => Nid::SECP521R1,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PublicKeyKind {
    Rsa,
    Ec(Curve),
    Ed25519,
}

/// A public key that can be used.
#[derive(Clone, Debug)]
pub struct PublicKey {
    kind: PublicKeyKind,
    key: PKey<Public>,
    thumbprint: String,
}

impl PublicKey {
    /// Reads the members that make the key; those that say what it is for are [`may_verify`]'s and [`may_encrypt`]'s.
    ///
    /// # Errors
    /// Why it cannot be used, for its owner.
    pub fn from_jwk(jwk: &Map<String, Value>) -> Result<Self, String> {
        let text = |name: &str| jwk.get(name).and_then(Value::as_str).ok_or_else(|| format!("`{name}` is missing, or no text"));
        match text("kty")? {
            "RSA" => Self::rsa(text("n")?, text("e")?),
            "EC" => {
                let name = text("crv")?;
                let curve = Curve::ALL.into_iter().find(|curve| curve.name() == name);
                Self::ec(curve.ok_or_else(|| format!("the curve {} is not supported", shown(name)))?, text("x")?, text("y")?)
            }
            "OKP" if text("crv")? == "Ed25519" => Self::ed25519(text("x")?),
            "OKP" => Err(format!("the curve {} is not supported", shown(text("crv")?))),
            other => Err(format!("keys of the type {} are not supported", shown(other))),
        }
    }

    fn rsa(n: &str, e: &str) -> Result<Self, String> {
        let members = vec![("e", e.to_owned()), ("kty", "RSA".to_owned()), ("n", n.to_owned())];
        let (n, e) = (number("n", n)?, number("e", e)?);
        if n.num_bits() < RSA_BITS_AT_LEAST {
            return Err(format!("an RSA key needs at least {RSA_BITS_AT_LEAST} bits, this one has {}", n.num_bits()));
        }
        if n.num_bits() > RSA_BITS_AT_MOST {
            return Err(format!("an RSA key has at most {RSA_BITS_AT_MOST} bits here"));
        }
        if !n.is_bit_set(0) || !e.is_bit_set(0) || e.num_bits() < 2 || e.num_bits() > RSA_EXPONENT_BITS_AT_MOST {
            return Err("these numbers are no RSA key".to_owned());
        }
        if has_roca(&n) {
            return Err(
                "this RSA key was made by a defective generator (ROCA, CVE-2017-15361): its private half can be computed".to_owned()
            );
        }
        let key = Rsa::from_public_components(n, e).and_then(PKey::from_rsa).map_err(|_| "these numbers are no RSA key".to_owned())?;
        Ok(Self { kind: PublicKeyKind::Rsa, key, thumbprint: thumbprint(&members) })
    }

    fn ec(curve: Curve, x: &str, y: &str) -> Result<Self, String> {
        let members = vec![("crv", curve.name().to_owned()), ("kty", "EC".to_owned()), ("x", x.to_owned()), ("y", y.to_owned())];
        // RFC 7518 6.2.1.2: the length MUST be that of a coordinate.
        let coordinate = |name: &str, text: &str| match octets(name, text)? {
            octets if octets.len() == curve.octets() => {
                BigNum::from_slice(&octets).map_err(|_| format!("`{name}` cannot be read as a number"))
            }
            _ => Err(format!("`{name}` does not have the length of a coordinate on {}", curve.name())),
        };
        let (x, y) = (coordinate("x", x)?, coordinate("y", y)?);
        let key = point(curve, &x, &y).map_err(|_| format!("this is no point on {}", curve.name()))?;
        Ok(Self { kind: PublicKeyKind::Ec(curve), key, thumbprint: thumbprint(&members) })
    }

    fn ed25519(x: &str) -> Result<Self, String> {
        let members = vec![("crv", "Ed25519".to_owned()), ("kty", "OKP".to_owned()), ("x", x.to_owned())];
        let raw = octets("x", x)?;
        if raw.len() != 32 {
            return Err("an Ed25519 key has 32 octets".to_owned());
        }
        let key = PKey::public_key_from_raw_bytes(&raw, Id::ED25519).map_err(|_| "this is no Ed25519 key".to_owned())?;
        Ok(Self { kind: PublicKeyKind::Ed25519, key, thumbprint: thumbprint(&members) })
    }

    pub const fn kind(&self) -> PublicKeyKind {
        self.kind
    }

    /// RFC 7638, SHA-256.
    pub fn thumbprint(&self) -> &str {
        &self.thumbprint
    }

    /// SubjectPublicKeyInfo in DER.
    pub fn to_der(&self) -> Vec<u8> {
        self.key.public_key_to_der().unwrap_or_default()
    }

    pub(super) const fn openssl(&self) -> &PKey<Public> {
        &self.key
    }

    /// Can a key of this kind make signatures by `alg`?
    pub fn fits(&self, alg: ClientSigningAlg) -> bool {
        use ClientSigningAlg as Alg;
        match self.kind {
            PublicKeyKind::Rsa => matches!(alg, Alg::RS256 | Alg::RS384 | Alg::RS512 | Alg::PS256 | Alg::PS384 | Alg::PS512),
            PublicKeyKind::Ec(Curve::P256) => alg == Alg::ES256,
            PublicKeyKind::Ec(Curve::P384) => alg == Alg::ES384,
            PublicKeyKind::Ec(Curve::P521) => alg == Alg::ES512,
            PublicKeyKind::Ed25519 => matches!(alg, Alg::EdDSA | Alg::Ed25519),
        }
    }

    /// Is `signature` one over `message`, by `alg`? Never where the key is not one for `alg`.
    pub fn verifies(&self, alg: ClientSigningAlg, message: &[u8], signature: &[u8]) -> bool {
        self.fits(alg) && self.check(alg, message, signature).unwrap_or(false)
    }

    fn check(&self, alg: ClientSigningAlg, message: &[u8], signature: &[u8]) -> Result<bool, ErrorStack> {
        let digest = match digest(alg) {
            Some(digest) => digest,
            None => return Verifier::new_without_digest(&self.key)?.verify_oneshot(signature, message),
        };
        let mut verifier = Verifier::new(digest, &self.key)?;
        match self.kind {
            PublicKeyKind::Ec(curve) => {
                // RFC 7518 3.4: r and s, each of full length.
                if signature.len() != 2 * curve.octets() {
                    return Ok(false);
                }
                let (r, s) = signature.split_at(curve.octets());
                let der = EcdsaSig::from_private_components(BigNum::from_slice(r)?, BigNum::from_slice(s)?)?.to_der()?;
                verifier.verify_oneshot(&der, message)
            }
            PublicKeyKind::Rsa if is_pss(alg) => {
                verifier.set_rsa_padding(Padding::PKCS1_PSS)?;
                // RFC 7518 3.5: the salt is as long as the digest, and MGF1 uses the same one.
                verifier.set_rsa_pss_saltlen(RsaPssSaltlen::DIGEST_LENGTH)?;
                verifier.set_rsa_mgf1_md(digest)?;
                verifier.verify_oneshot(signature, message)
            }
            PublicKeyKind::Rsa | PublicKeyKind::Ed25519 => verifier.verify_oneshot(signature, message),
        }
    }
}

/// RFC 7517 4.2 to 4.4: does the key say that it is for something else than signatures by `alg`?
pub fn may_verify(jwk: &Map<String, Value>, alg: ClientSigningAlg) -> bool {
    allows(jwk, "sig", &["verify"], alg.as_str())
}

/// The same of encrypting to it by `alg`.
pub fn may_encrypt(jwk: &Map<String, Value>, alg: KeyManagementAlg) -> bool {
    let operations: &[&str] = match alg {
        KeyManagementAlg::RsaOaep | KeyManagementAlg::RsaOaep256 => &["encrypt", "wrapKey"],
        KeyManagementAlg::EcdhEs | KeyManagementAlg::EcdhEsA128Kw | KeyManagementAlg::EcdhEsA256Kw => &["deriveKey", "deriveBits"],
    };
    allows(jwk, "enc", operations, alg.as_str())
}

fn allows(jwk: &Map<String, Value>, usage: &str, operations: &[&str], alg: &str) -> bool {
    let agrees = |name: &str, wanted: &str| jwk.get(name).is_none_or(|value| value.as_str() == Some(wanted));
    let operation = jwk.get("key_ops").is_none_or(|listed| {
        listed.as_array().is_some_and(|listed| listed.iter().filter_map(Value::as_str).any(|operation| operations.contains(&operation)))
    });
    agrees("use", usage) && agrees("alg", alg) && operation
}

fn point(curve: Curve, x: &BigNumRef, y: &BigNumRef) -> Result<PKey<Public>, ErrorStack> {
    let group = EcGroup::from_curve_name(curve.nid())?;
    // Setting the coordinates and the check both refuse what is not on the curve; the second also what is of wrong order.
    let key = EcKey::from_public_key_affine_coordinates(&group, x, y)?;
    key.check_key()?;
    PKey::from_ec_key(key)
}

/// Nemec et al., The Return of Coppersmith's Attack, 2.4: moduli of that generator are powers of 65537 modulo small primes.
fn has_roca(n: &BigNumRef) -> bool {
    const PRIMES: [u32; 17] = [11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157];
    let is_power = |prime: u32| {
        let Ok(rest) = n.mod_word(prime) else { return false };
        let mut power = 1_u64;
        (0..prime).any(|_| {
            power = power * 65_537 % u64::from(prime);
            power == rest
        })
    };
    PRIMES.into_iter().all(is_power)
}

fn digest(alg: ClientSigningAlg) -> Option<MessageDigest> {
    use ClientSigningAlg as Alg;
    match alg {
        Alg::RS256 | Alg::PS256 | Alg::ES256 | Alg::HS256 => Some(MessageDigest::sha256()),
        Alg::RS384 | Alg::PS384 | Alg::ES384 | Alg::HS384 => Some(MessageDigest::sha384()),
        Alg::RS512 | Alg::PS512 | Alg::ES512 | Alg::HS512 => Some(MessageDigest::sha512()),
        Alg::EdDSA | Alg::Ed25519 | Alg::None => None,
    }
}

const fn is_pss(alg: ClientSigningAlg) -> bool {
    matches!(alg, ClientSigningAlg::PS256 | ClientSigningAlg::PS384 | ClientSigningAlg::PS512)
}

fn octets(name: &str, text: &str) -> Result<Vec<u8>, String> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| format!("`{name}` is no base64url"))
}

fn number(name: &str, text: &str) -> Result<BigNum, String> {
    BigNum::from_slice(&octets(name, text)?).map_err(|_| format!("`{name}` cannot be read as a number"))
}

/// Somebody else's word, as far as it needs to be seen.
fn shown(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_graphic()).take(30).collect()
}
