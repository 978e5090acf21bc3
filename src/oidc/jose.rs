//! The only home of JOSE: signing with our keys, publishing their public halves, verifying what we signed.
//!
//! Signatures are made by `keys`, from which no private key leaves; everything that does not change between two
//! tokens (header, key id, JWKS, verifiers) is prepared once. The algorithm belongs to the key: a token's header
//! can only agree with it. Header members that name or carry keys (`jku`, `jwk`, `x5u`, `x5c`) are never looked at.

use super::names::SigningAlg;
use crate::error::{Error, ErrorKind, Result};
use crate::id;
use crate::keys::{Digest, KeyKind, Keyring, PrivateKey, Purpose, SignatureScheme};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use josekit::jws::{ES256, EdDSA, JwsVerifier, RS256};
use openssl::bn::{BigNum, BigNumContext};
use openssl::error::ErrorStack;
use openssl::pkey::{PKey, Public};
use serde_json::{Map, Value, json};

/// `typ` of an ID token.
const JWT: &str = "JWT";
/// Longer than any token of ours.
const MAX_TOKEN: usize = 32 * 1024;

/// All keys of the provider role, prepared.
#[derive(Debug)]
pub struct OidcKeys {
    rs256: IdTokenSigner,
    es256: IdTokenSigner,
    eddsa: IdTokenSigner,
    public: PublicKeys,
}

impl OidcKeys {
    /// Signers by the active keys; active, next and previous keys published.
    pub fn new(keyring: &Keyring) -> Result<Self> {
        const PURPOSES: [Purpose; 3] = [Purpose::OidcRs256, Purpose::OidcEs256, Purpose::OidcEdDsa];
        let signer = |purpose| IdTokenSigner::new(&keyring.active(purpose).key);
        Ok(Self {
            rs256: signer(Purpose::OidcRs256)?,
            es256: signer(Purpose::OidcEs256)?,
            eddsa: signer(Purpose::OidcEdDsa)?,
            public: PublicKeys::new(PURPOSES.into_iter().flat_map(|purpose| keyring.of(purpose)).map(|entry| &entry.key))?,
        })
    }

    pub const fn signer(&self, alg: SigningAlg) -> &IdTokenSigner {
        match alg {
            SigningAlg::RS256 => &self.rs256,
            SigningAlg::ES256 => &self.es256,
            SigningAlg::EdDSA => &self.eddsa,
        }
    }

    pub const fn public(&self) -> &PublicKeys {
        &self.public
    }
}

/// Signs JWTs with one key. The encoded header is made once.
#[derive(Debug)]
pub struct IdTokenSigner {
    key: PrivateKey,
    alg: SigningAlg,
    kid: String,
    /// Header in base64url, and the dot.
    prefix: String,
}

impl IdTokenSigner {
    pub fn new(key: &PrivateKey) -> Result<Self> {
        Self::with_type(key, JWT)
    }

    /// A signer of tokens of another type, as `logout+jwt`.
    pub fn with_type(key: &PrivateKey, typ: &str) -> Result<Self> {
        let jwk = PublicJwk::of(key)?;
        let header = json!({ "alg": jwk.alg.as_str(), "typ": typ, "kid": jwk.kid });
        let prefix = URL_SAFE_NO_PAD.encode(header.to_string()) + ".";
        Ok(Self { key: key.clone(), alg: jwk.alg, kid: jwk.kid, prefix })
    }

    /// The compact serialization (RFC 7515 7.1).
    pub fn sign(&self, claims: &Map<String, Value>) -> Result<String> {
        let payload =
            serde_json::to_vec(claims).map_err(|error| Error::new(ErrorKind::Internal, "claims cannot be written").because(error))?;
        let mut token = String::with_capacity(self.prefix.len() + payload.len() * 4 / 3 + 360);
        token.push_str(&self.prefix);
        URL_SAFE_NO_PAD.encode_string(payload, &mut token);
        let signature = self.key.sign(scheme(self.alg), token.as_bytes())?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        Ok(token)
    }

    pub const fn algorithm(&self) -> SigningAlg {
        self.alg
    }

    pub fn key_id(&self) -> &str {
        &self.kid
    }

    /// Core 3.1.3.6: base64url of the left half of the digest that belongs to the algorithm (`at_hash`, `c_hash`).
    pub fn half_hash(&self, text: &str) -> String {
        let digest: &[u8] = match self.alg {
            SigningAlg::RS256 | SigningAlg::ES256 => &id::sha256(text.as_bytes()),
            // RFC 8032 5.1: Ed25519 hashes with SHA-512.
            SigningAlg::EdDSA => &openssl::sha::sha512(text.as_bytes()),
        };
        URL_SAFE_NO_PAD.encode(digest.get(..digest.len() / 2).unwrap_or_default())
    }
}

/// Our public keys: the JWKS, and the verifiers of our own tokens.
#[derive(Debug)]
pub struct PublicKeys {
    jwks: String,
    verifiers: Vec<KnownKey>,
}

#[derive(Debug)]
struct KnownKey {
    kid: String,
    alg: SigningAlg,
    verifier: Box<dyn JwsVerifier>,
}

impl PublicKeys {
    pub fn new<'a>(keys: impl IntoIterator<Item = &'a PrivateKey>) -> Result<Self> {
        let mut jwks = Vec::new();
        let mut verifiers = Vec::new();
        for key in keys {
            let jwk = PublicJwk::of(key)?;
            verifiers.push(KnownKey { kid: jwk.kid.clone(), alg: jwk.alg, verifier: verifier(jwk.alg, &key.public_der()?)? });
            jwks.push(Value::Object(jwk.to_map()));
        }
        Ok(Self { jwks: json!({ "keys": jwks }).to_string(), verifiers })
    }

    /// RFC 7517 5, as `/.well-known/jwks.json` serves it.
    pub fn jwks_json(&self) -> &str {
        &self.jwks
    }

    /// Verifies a JWS that we signed with header type `typ`, and gives its claims. Says nothing about their meaning.
    pub fn verify(&self, token: &str, typ: &str) -> Result<Map<String, Value>> {
        let refuse = || Error::new(ErrorKind::InvalidRequest, "the token is not one of ours");
        if token.len() > MAX_TOKEN {
            return Err(refuse());
        }
        let (message, signature) = token.rsplit_once('.').ok_or_else(refuse)?;
        let (header, payload) = message.split_once('.').filter(|(_, payload)| !payload.contains('.')).ok_or_else(refuse)?;
        let header = json_object(header).ok_or_else(refuse)?;
        let member = |name: &str| header.get(name).and_then(Value::as_str);
        // RFC 7515 4.1.11: no extension is understood here.
        if header.contains_key("crit") || member("typ") != Some(typ) {
            return Err(refuse());
        }
        let known = self.verifiers.iter().find(|known| member("kid") == Some(&known.kid)).ok_or_else(refuse)?;
        // RFC 8725 3.1: the key has one algorithm; the header cannot choose another.
        if member("alg") != Some(known.alg.as_str()) {
            return Err(refuse());
        }
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| refuse())?;
        known.verifier.verify(message.as_bytes(), &signature).map_err(|error| refuse().because(error))?;
        json_object(payload).ok_or_else(refuse)
    }

    /// Core 3.1.2.1: a hint is an ID token that we issued; it may have expired.
    pub fn verify_hint(&self, token: &str, issuer: &str) -> Result<IdTokenHint> {
        let refuse = || Error::new(ErrorKind::InvalidRequest, "the id_token_hint is not an ID token of this provider");
        let claims = self.verify(token, JWT).map_err(|error| refuse().because(error))?;
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        if text("iss") != Some(issuer) {
            return Err(refuse());
        }
        let audience: Vec<String> = match claims.get("aud") {
            Some(Value::String(one)) => vec![one.clone()],
            Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            _ => Vec::new(),
        };
        let client_id = text("azp").map(str::to_owned).or_else(|| audience.first().cloned()).ok_or_else(refuse)?;
        let subject = text("sub").ok_or_else(refuse)?.to_owned();
        Ok(IdTokenHint { client_id, subject, sid: text("sid").map(str::to_owned) })
    }
}

/// An ID token of ours that somebody gave back. Made by [`PublicKeys::verify_hint`] only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdTokenHint {
    client_id: String,
    subject: String,
    sid: Option<String>,
}

impl IdTokenHint {
    /// The client that it was issued to.
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    pub fn subject(&self) -> &str {
        &self.subject
    }

    pub fn sid(&self) -> Option<&str> {
        self.sid.as_deref()
    }
}

/// A public key as RFC 7517 writes it.
struct PublicJwk {
    alg: SigningAlg,
    /// RFC 7638.
    kid: String,
    /// The required members, in the order of RFC 7638 3.
    members: Vec<(&'static str, String)>,
}

impl PublicJwk {
    fn of(key: &PrivateKey) -> Result<Self> {
        let der = key.public_der()?;
        let (alg, read): (_, fn(&PKey<Public>) -> Result<_, _>) = match key.kind() {
            KeyKind::Rsa => (SigningAlg::RS256, rsa_members),
            KeyKind::EcP256 => (SigningAlg::ES256, p256_members),
            KeyKind::Ed25519 => (SigningAlg::EdDSA, ed25519_members),
            KeyKind::EcP384 => return Err(Error::new(ErrorKind::Misconfigured, "ID tokens cannot be signed with a P-384 key")),
        };
        let members = PKey::public_key_from_der(&der)
            .and_then(|key| read(&key))
            .map_err(|error| Error::new(ErrorKind::Internal, "a public key cannot be read").because(error))?;
        Ok(Self { alg, kid: thumbprint(&members), members })
    }

    fn to_map(&self) -> Map<String, Value> {
        let mut map: Map<String, Value> = self.members.iter().map(|(name, value)| ((*name).to_owned(), value.as_str().into())).collect();
        map.insert("use".to_owned(), "sig".into());
        map.insert("alg".to_owned(), self.alg.as_str().into());
        map.insert("kid".to_owned(), self.kid.as_str().into());
        map
    }
}

fn rsa_members(key: &PKey<Public>) -> Result<Vec<(&'static str, String)>, ErrorStack> {
    let rsa = key.rsa()?;
    let encode = |number: &openssl::bn::BigNumRef| URL_SAFE_NO_PAD.encode(number.to_vec());
    Ok(vec![("e", encode(rsa.e())), ("kty", "RSA".to_owned()), ("n", encode(rsa.n()))])
}

fn p256_members(key: &PKey<Public>) -> Result<Vec<(&'static str, String)>, ErrorStack> {
    let key = key.ec_key()?;
    let (mut x, mut y, mut context) = (BigNum::new()?, BigNum::new()?, BigNumContext::new()?);
    key.public_key().affine_coordinates(key.group(), &mut x, &mut y, &mut context)?;
    // RFC 7518 6.2.1.2: full length, leading zeros included.
    let encode = |number: &BigNum| number.to_vec_padded(32).map(|octets| URL_SAFE_NO_PAD.encode(octets));
    Ok(vec![("crv", "P-256".to_owned()), ("kty", "EC".to_owned()), ("x", encode(&x)?), ("y", encode(&y)?)])
}

fn ed25519_members(key: &PKey<Public>) -> Result<Vec<(&'static str, String)>, ErrorStack> {
    let x = URL_SAFE_NO_PAD.encode(key.raw_public_key()?);
    Ok(vec![("crv", "Ed25519".to_owned()), ("kty", "OKP".to_owned()), ("x", x)])
}

/// RFC 7638 3: SHA-256 over the required members in lexical order, without spaces. None needs escaping.
fn thumbprint(members: &[(&'static str, String)]) -> String {
    let members: Vec<String> = members.iter().map(|(name, value)| format!("\"{name}\":\"{value}\"")).collect();
    URL_SAFE_NO_PAD.encode(id::sha256(format!("{{{}}}", members.join(",")).as_bytes()))
}

fn verifier(alg: SigningAlg, public_der: &[u8]) -> Result<Box<dyn JwsVerifier>> {
    let made: Result<Box<dyn JwsVerifier>, _> = match alg {
        SigningAlg::RS256 => RS256.verifier_from_der(public_der).map(|verifier| Box::new(verifier) as _),
        SigningAlg::ES256 => ES256.verifier_from_der(public_der).map(|verifier| Box::new(verifier) as _),
        SigningAlg::EdDSA => EdDSA.verifier_from_der(public_der).map(|verifier| Box::new(verifier) as _),
    };
    made.map_err(|error| Error::new(ErrorKind::Internal, "a public key cannot be used").because(error))
}

const fn scheme(alg: SigningAlg) -> SignatureScheme {
    match alg {
        SigningAlg::RS256 => SignatureScheme::RsaPkcs1(Digest::Sha256),
        SigningAlg::ES256 => SignatureScheme::Ecdsa(Digest::Sha256),
        SigningAlg::EdDSA => SignatureScheme::EdDsa,
    }
}

fn json_object(encoded: &str) -> Option<Map<String, Value>> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(encoded).ok()?).ok()
}
