//! Our public keys as RFC 7517 writes them.

use crate::error::{Error, ErrorKind, Result};
use crate::id;
use crate::keys::{KeyKind, PrivateKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use openssl::bn::{BigNum, BigNumContext};
use openssl::error::ErrorStack;
use openssl::nid::Nid;
use openssl::pkey::{Id, PKey, Public};
use openssl::x509::X509;
use serde_json::{Map, Value};

/// The `kid` of a key: its thumbprint (RFC 7638).
pub fn key_id(key: &PrivateKey) -> Result<String> {
    PublicJwk::of(key).map(|jwk| jwk.kid)
}

/// The members that make the public half of a key.
pub fn members_of(key: &PrivateKey) -> Result<Map<String, Value>> {
    PublicJwk::of(key).map(|jwk| jwk.to_map())
}

/// A public key of somebody, in PEM or in a certificate, with its thumbprint as `kid`.
///
/// # Errors
/// When it is none, or of a kind that is not used here.
pub fn jwk_of_pem(pem: &str) -> Result<Map<String, Value>> {
    let refuse = |why: &str| Error::new(ErrorKind::InvalidRequest, why);
    let public = PKey::public_key_from_pem(pem.as_bytes()).or_else(|_| X509::from_pem(pem.as_bytes()).and_then(|found| found.public_key()));
    let public = public.map_err(|error| refuse("this is no public key and no certificate").because(error))?;
    let curve = || public.ec_key().ok().and_then(|key| key.group().curve_name());
    let members = match (public.id(), curve()) {
        (Id::RSA, _) => rsa_members(&public),
        (Id::EC, Some(Nid::X9_62_PRIME256V1)) => ec_members(&public, "P-256", 32),
        (Id::EC, Some(Nid::SECP384R1)) => ec_members(&public, "P-384", 48),
        (Id::EC, Some(Nid::SECP521R1)) => ec_members(&public, "P-521", 66),
        (Id::ED25519, _) => ed25519_members(&public),
        _ => return Err(refuse("keys of this kind are not used here")),
    };
    let members = members.map_err(|error| refuse("the public key cannot be read").because(error))?;
    let mut jwk: Map<String, Value> = members.iter().map(|(name, value)| ((*name).to_owned(), value.as_str().into())).collect();
    jwk.insert("kid".to_owned(), thumbprint(&members).into());
    Ok(jwk)
}

/// A public key as RFC 7517 writes it.
pub(super) struct PublicJwk {
    /// RFC 7638.
    pub(super) kid: String,
    /// The required members, in the order of RFC 7638 3.
    members: Vec<(&'static str, String)>,
}

impl PublicJwk {
    pub(super) fn of(key: &PrivateKey) -> Result<Self> {
        let members = PKey::public_key_from_der(&key.public_der()?)
            .and_then(|public| match key.kind() {
                KeyKind::Rsa => rsa_members(&public),
                KeyKind::EcP256 => ec_members(&public, "P-256", 32),
                KeyKind::EcP384 => ec_members(&public, "P-384", 48),
                KeyKind::EcP521 => ec_members(&public, "P-521", 66),
                KeyKind::Ed25519 => ed25519_members(&public),
            })
            .map_err(|error| Error::new(ErrorKind::Internal, "a public key cannot be read").because(error))?;
        Ok(Self { kid: thumbprint(&members), members })
    }

    /// As the JWKS has it; without `alg` it is for every algorithm of its kind.
    pub(super) fn published(&self, usage: &str, alg: Option<&str>) -> Value {
        let mut map = self.to_map();
        map.insert("use".to_owned(), usage.into());
        map.extend(alg.map(|alg| ("alg".to_owned(), alg.into())));
        map.insert("kid".to_owned(), self.kid.as_str().into());
        Value::Object(map)
    }

    fn to_map(&self) -> Map<String, Value> {
        self.members.iter().map(|(name, value)| ((*name).to_owned(), value.as_str().into())).collect()
    }
}

fn rsa_members(key: &PKey<Public>) -> Result<Vec<(&'static str, String)>, ErrorStack> {
    let rsa = key.rsa()?;
    let encode = |number: &openssl::bn::BigNumRef| URL_SAFE_NO_PAD.encode(number.to_vec());
    Ok(vec![("e", encode(rsa.e())), ("kty", "RSA".to_owned()), ("n", encode(rsa.n()))])
}

fn ec_members(key: &PKey<Public>, curve: &str, octets: i32) -> Result<Vec<(&'static str, String)>, ErrorStack> {
    let key = key.ec_key()?;
    let (mut x, mut y, mut context) = (BigNum::new()?, BigNum::new()?, BigNumContext::new()?);
    key.public_key().affine_coordinates(key.group(), &mut x, &mut y, &mut context)?;
    // RFC 7518 6.2.1.2: full length, leading zeros included.
    let encode = |number: &BigNum| number.to_vec_padded(octets).map(|octets| URL_SAFE_NO_PAD.encode(octets));
    Ok(vec![("crv", curve.to_owned()), ("kty", "EC".to_owned()), ("x", encode(&x)?), ("y", encode(&y)?)])
}

fn ed25519_members(key: &PKey<Public>) -> Result<Vec<(&'static str, String)>, ErrorStack> {
    let x = URL_SAFE_NO_PAD.encode(key.raw_public_key()?);
    Ok(vec![("crv", "Ed25519".to_owned()), ("kty", "OKP".to_owned()), ("x", x)])
}

/// RFC 7638 3: SHA-256 over the required members in lexical order, without spaces. None needs escaping.
pub(super) fn thumbprint(members: &[(&'static str, String)]) -> String {
    let members: Vec<String> = members.iter().map(|(name, value)| format!("\"{name}\":\"{value}\"")).collect();
    URL_SAFE_NO_PAD.encode(id::sha256(format!("{{{}}}", members.join(",")).as_bytes()))
}
