//! The only home of JOSE: signing with our keys, publishing their public halves, verifying what we signed.
//!
//! Signatures are made by `keys`, from which no private key leaves; everything that does not change between two
//! tokens (header, key id, JWKS, verifiers) is prepared once. The algorithm belongs to the key: a token's header
//! can only agree with it. Header members that name or carry keys (`jku`, `jwk`, `x5u`, `x5c`) are never looked at.

use super::names::SigningAlg;
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::id;
use crate::keys::{Digest, KeyKind, KeySet, Keyring, PrivateKey, Purpose, SignatureScheme};
use crate::secret::Secret;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use josekit::jws::{ES256, EdDSA, HS256, JwsSigner, JwsVerifier, RS256};
use openssl::bn::{BigNum, BigNumContext};
use openssl::error::ErrorStack;
use openssl::pkey::{PKey, Public};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// `typ` of an ID token.
const JWT: &str = "JWT";
/// Longer than any token of ours.
const MAX_TOKEN: usize = 32 * 1024;

/// All keys of the provider role, prepared.
#[derive(Clone, Debug)]
pub struct OidcKeys {
    rs256: Arc<AlgKeys>,
    es256: Arc<AlgKeys>,
    eddsa: Arc<AlgKeys>,
    public: PublicKeys,
}

impl OidcKeys {
    /// Signers by the active keys; active, next and previous keys published.
    pub fn new(keyring: &Keyring) -> Result<Self> {
        let of = |purpose| keyring.of_files(purpose).and_then(AlgKeys::new).map(Arc::new);
        Ok(Self::of(of(Purpose::OidcRs256)?, of(Purpose::OidcEs256)?, of(Purpose::OidcEdDsa)?))
    }

    /// The same with other keys for the algorithm of `keys`.
    #[must_use]
    pub fn with(&self, keys: Arc<AlgKeys>) -> Self {
        let [mut rs256, mut es256, mut eddsa] = [&self.rs256, &self.es256, &self.eddsa].map(Arc::clone);
        match keys.signer.alg {
            SigningAlg::RS256 => rs256 = keys,
            SigningAlg::ES256 => es256 = keys,
            SigningAlg::EdDSA => eddsa = keys,
        }
        Self::of(rs256, es256, eddsa)
    }

    fn of(rs256: Arc<AlgKeys>, es256: Arc<AlgKeys>, eddsa: Arc<AlgKeys>) -> Self {
        let published = [&rs256, &es256, &eddsa].into_iter().flat_map(|keys| keys.published.iter().cloned());
        Self { public: PublicKeys::of(published.collect()), rs256, es256, eddsa }
    }

    pub fn signer(&self, alg: SigningAlg) -> &IdTokenSigner {
        match alg {
            SigningAlg::RS256 => &self.rs256.signer,
            SigningAlg::ES256 => &self.es256.signer,
            SigningAlg::EdDSA => &self.eddsa.signer,
        }
    }

    pub const fn public(&self) -> &PublicKeys {
        &self.public
    }
}

/// The keys of one algorithm: one signs, all are published.
#[derive(Debug)]
pub struct AlgKeys {
    signer: IdTokenSigner,
    published: Vec<Arc<KnownKey>>,
}

impl AlgKeys {
    /// # Errors
    /// For keys that ID tokens are not signed with.
    pub fn new(keys: &KeySet) -> Result<Self> {
        let published = keys.published().map(|entry| KnownKey::new(&entry.key).map(Arc::new)).collect::<Result<_>>()?;
        Ok(Self { signer: IdTokenSigner::new(&keys.active().key)?, published })
    }
}

/// The `kid` of a key: its thumbprint (RFC 7638).
pub fn key_id(key: &PrivateKey) -> Result<String> {
    PublicJwk::of(key).map(|jwk| jwk.kid)
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

    /// The same key for tokens of another type.
    pub fn of_type(&self, typ: &str) -> Result<Self> {
        Self::with_type(&self.key, typ)
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
#[derive(Clone, Debug)]
pub struct PublicKeys {
    jwks: String,
    verifiers: Vec<Arc<KnownKey>>,
}

#[derive(Debug)]
struct KnownKey {
    kid: String,
    alg: SigningAlg,
    /// As the JWKS has it.
    jwk: Value,
    verifier: Box<dyn JwsVerifier>,
}

impl KnownKey {
    fn new(key: &PrivateKey) -> Result<Self> {
        let jwk = PublicJwk::of(key)?;
        Ok(Self { jwk: Value::Object(jwk.to_map()), verifier: verifier(jwk.alg, &key.public_der()?)?, kid: jwk.kid, alg: jwk.alg })
    }
}

impl PublicKeys {
    pub fn new<'a>(keys: impl IntoIterator<Item = &'a PrivateKey>) -> Result<Self> {
        keys.into_iter().map(|key| KnownKey::new(key).map(Arc::new)).collect::<Result<_>>().map(Self::of)
    }

    fn of(verifiers: Vec<Arc<KnownKey>>) -> Self {
        let jwks: Vec<&Value> = verifiers.iter().map(|known| &known.jwk).collect();
        Self { jwks: json!({ "keys": jwks }).to_string(), verifiers }
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
        Self::id_token(&claims, issuer).ok_or_else(refuse)
    }

    /// An ID token that we issued and that has not expired.
    pub fn verify_current(&self, token: &str, issuer: &str, now: Timestamp) -> Result<IdTokenHint> {
        let refuse = || Error::new(ErrorKind::InvalidRequest, "the token is not an ID token of this provider, or has expired");
        let claims = self.verify(token, JWT).map_err(|error| refuse().because(error))?;
        let expires_at = claims.get("exp").and_then(Value::as_i64).ok_or_else(refuse)?;
        if now >= Timestamp::from_seconds(expires_at) {
            return Err(refuse());
        }
        Self::id_token(&claims, issuer).ok_or_else(refuse)
    }

    fn id_token(claims: &Map<String, Value>, issuer: &str) -> Option<IdTokenHint> {
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        if text("iss") != Some(issuer) {
            return None;
        }
        let audience: Vec<String> = match claims.get("aud") {
            Some(Value::String(one)) => vec![one.clone()],
            Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            _ => Vec::new(),
        };
        let client_id = text("azp").map(str::to_owned).or_else(|| audience.first().cloned())?;
        let issued_at = claims.get("iat").and_then(Value::as_i64).map(Timestamp::from_seconds);
        let auth_time = claims.get("auth_time").and_then(Value::as_i64).map(Timestamp::from_seconds);
        Some(IdTokenHint { auth_time, client_id, subject: text("sub")?.to_owned(), sid: text("sid").map(str::to_owned), issued_at })
    }
}

/// An ID token of ours that somebody gave back. Made by [`PublicKeys::verify_hint`] and [`PublicKeys::verify_current`] only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdTokenHint {
    client_id: String,
    subject: String,
    sid: Option<String>,
    issued_at: Option<Timestamp>,
    auth_time: Option<Timestamp>,
}

impl IdTokenHint {
    /// When the person proved who they are: a refresh or single sign-on makes a new token of an old login.
    pub const fn auth_time(&self) -> Option<Timestamp> {
        self.auth_time
    }

    pub const fn issued_at(&self) -> Option<Timestamp> {
        self.issued_at
    }

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

/// A JWT signed with a secret that two parties share: HS256 (RFC 7518 3.2).
///
/// # Errors
/// When the secret is shorter than 32 octets, which the standard demands.
pub fn sign_shared(secret: &Secret<String>, claims: &Map<String, Value>) -> Result<String> {
    let signer = HS256.signer_from_bytes(secret.expose().as_bytes()).map_err(|error| weak_secret().because(error))?;
    let header = json!({ "alg": "HS256", "typ": JWT });
    let payload = serde_json::to_vec(claims).map_err(|error| Error::new(ErrorKind::Internal, "claims cannot be written").because(error))?;
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(payload));
    let signature =
        signer.sign(message.as_bytes()).map_err(|error| Error::new(ErrorKind::Internal, "a token cannot be signed").because(error))?;
    Ok(format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

/// The claims of a JWT that the other party signed with the shared secret. Says nothing about their meaning.
///
/// # Errors
/// When the secret is too short, or the token is not signed with it by HS256.
pub fn verify_shared(secret: &Secret<String>, token: &str) -> Result<Map<String, Value>> {
    let refuse = || Error::new(ErrorKind::InvalidRequest, "the token is not signed with the shared secret");
    let verifier = HS256.verifier_from_bytes(secret.expose().as_bytes()).map_err(|error| weak_secret().because(error))?;
    if token.len() > MAX_TOKEN {
        return Err(refuse());
    }
    let (message, signature) = token.rsplit_once('.').ok_or_else(refuse)?;
    let (header, payload) = message.split_once('.').filter(|(_, payload)| !payload.contains('.')).ok_or_else(refuse)?;
    let header = json_object(header).ok_or_else(refuse)?;
    // RFC 8725 3.1: one algorithm, and no extension (RFC 7515 4.1.11).
    if header.get("alg").and_then(Value::as_str) != Some("HS256") || header.contains_key("crit") {
        return Err(refuse());
    }
    let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| refuse())?;
    verifier.verify(message.as_bytes(), &signature).map_err(|error| refuse().because(error))?;
    json_object(payload).ok_or_else(refuse)
}

fn weak_secret() -> Error {
    Error::new(ErrorKind::Misconfigured, "the secret of a token needs at least 32 octets (RFC 7518 3.2)")
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
            KeyKind::EcP384 | KeyKind::EcP521 => {
                return Err(Error::new(ErrorKind::Misconfigured, "ID tokens cannot be signed with a P-384 or P-521 key"));
            }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::KeyKind;
    use crate::oidc::testing::{self, ISSUER};
    use josekit::jwk::Jwk;
    use openssl::ecdsa::EcdsaSig;
    use openssl::hash::MessageDigest;
    use openssl::sign::Verifier;

    const KINDS: [KeyKind; 3] = [KeyKind::Rsa, KeyKind::EcP256, KeyKind::Ed25519];

    fn claims() -> Map<String, Value> {
        let claims = json!({ "iss": ISSUER, "sub": "jane", "aud": "notes", "sid": "s1", "exp": 1 });
        claims.as_object().cloned().unwrap_or_default()
    }

    fn key(kind: KeyKind) -> (PrivateKey, IdTokenSigner, PublicKeys) {
        let key = PrivateKey::generate(kind).expect("a key");
        let signer = IdTokenSigner::new(&key).expect("a signer");
        let public = PublicKeys::new([&key]).expect("public keys");
        (key, signer, public)
    }

    fn token(header: &Value, payload: &Map<String, Value>, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
        let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(json!(payload).to_string()));
        let signature = sign(message.as_bytes());
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    #[test]
    fn josekit_verifies_by_the_published_keys() {
        for kind in KINDS {
            let (_, signer, public) = key(kind);
            let jwks: Value = serde_json::from_str(public.jwks_json()).expect("json");
            let members = jwks["keys"][0].as_object().expect("a key").clone();
            assert!(!["d", "p", "q", "k"].iter().any(|private| members.contains_key(*private)), "{members:?}");
            assert_eq!((members["use"].as_str(), members["kid"].as_str()), (Some("sig"), Some(signer.key_id())));
            let jwk = Jwk::from_map(members).expect("a JWK");
            let verifier: Box<dyn JwsVerifier> = match signer.algorithm() {
                SigningAlg::RS256 => Box::new(RS256.verifier_from_jwk(&jwk).expect("verifier")),
                SigningAlg::ES256 => Box::new(ES256.verifier_from_jwk(&jwk).expect("verifier")),
                SigningAlg::EdDSA => Box::new(EdDSA.verifier_from_jwk(&jwk).expect("verifier")),
            };
            let token = signer.sign(&claims()).expect("signed");
            let (payload, header) = josekit::jwt::decode_with_verifier(&token, &*verifier).expect("verified");
            assert_eq!(payload.claims_set(), &claims());
            assert_eq!(header.claim("typ").and_then(Value::as_str), Some("JWT"));
        }
    }

    #[test]
    fn openssl_verifies_too() {
        for kind in KINDS {
            let (key, signer, _) = key(kind);
            let public = PKey::public_key_from_der(&key.public_der().expect("der")).expect("a key");
            let token = signer.sign(&claims()).expect("signed");
            let (message, signature) = token.rsplit_once('.').expect("three parts");
            let signature = URL_SAFE_NO_PAD.decode(signature).expect("base64url");
            let good = match kind {
                KeyKind::Ed25519 => Verifier::new_without_digest(&public).expect("verifier").verify_oneshot(&signature, message.as_bytes()),
                KeyKind::Rsa => {
                    Verifier::new(MessageDigest::sha256(), &public).expect("verifier").verify_oneshot(&signature, message.as_bytes())
                }
                _ => {
                    let (r, s) = signature.split_at(32);
                    let number = |octets| BigNum::from_slice(octets).expect("a number");
                    let signature = EcdsaSig::from_private_components(number(r), number(s)).expect("a signature");
                    signature.verify(&id::sha256(message.as_bytes()), &public.ec_key().expect("ec"))
                }
            };
            assert!(good.expect("checked"), "{kind:?}");
        }
    }

    #[test]
    fn our_own_tokens_are_verified_even_if_expired() {
        for kind in KINDS {
            let (_, signer, public) = key(kind);
            let hint = public.verify_hint(&signer.sign(&claims()).expect("signed"), ISSUER).expect("ours");
            assert_eq!((hint.client_id(), hint.subject(), hint.sid()), ("notes", "jane", Some("s1")));
        }
    }

    #[test]
    fn alg_none_is_refused() {
        let (_, signer, public) = key(KeyKind::Rsa);
        for alg in ["none", "None", "NONE", ""] {
            let header = json!({ "alg": alg, "typ": "JWT", "kid": signer.key_id() });
            assert!(public.verify(&token(&header, &claims(), |_| Vec::new()), JWT).is_err(), "{alg}");
        }
    }

    #[test]
    fn hmac_with_the_public_key_is_refused() {
        let (key, signer, public) = key(KeyKind::Rsa);
        let der = key.public_der().expect("der");
        let pem = PKey::public_key_from_der(&der).and_then(|key| key.public_key_to_pem()).expect("pem");
        for secret in [der, pem] {
            let header = json!({ "alg": "HS256", "typ": "JWT", "kid": signer.key_id() });
            let hmac = |message: &[u8]| {
                use josekit::jws::JwsSigner as _;
                HS256.signer_from_bytes(&secret).expect("signer").sign(message).expect("signed")
            };
            assert!(public.verify(&token(&header, &claims(), hmac), JWT).is_err());
        }
    }

    #[test]
    fn the_header_cannot_choose_another_algorithm_or_key() {
        let (key, signer, _) = key(KeyKind::Rsa);
        let ec = PrivateKey::generate(KeyKind::EcP256).expect("a key");
        let public = PublicKeys::new([&key, &ec]).expect("public keys");
        let ec_kid = IdTokenSigner::new(&ec).expect("a signer").key_id().to_owned();
        let rs512 = |message: &[u8]| key.sign(SignatureScheme::RsaPkcs1(Digest::Sha512), message).expect("signed");
        let ps256 = |message: &[u8]| key.sign(SignatureScheme::RsaPss(Digest::Sha256), message).expect("signed");
        let rs256 = |message: &[u8]| key.sign(SignatureScheme::RsaPkcs1(Digest::Sha256), message).expect("signed");
        let header = |alg: &str, kid: &str| json!({ "alg": alg, "typ": "JWT", "kid": kid });
        assert!(public.verify(&token(&header("RS256", signer.key_id()), &claims(), rs256), JWT).is_ok());
        assert!(public.verify(&token(&header("RS512", signer.key_id()), &claims(), rs512), JWT).is_err());
        assert!(public.verify(&token(&header("PS256", signer.key_id()), &claims(), ps256), JWT).is_err());
        assert!(public.verify(&token(&header("ES256", signer.key_id()), &claims(), rs256), JWT).is_err());
        assert!(public.verify(&token(&header("RS256", &ec_kid), &claims(), rs256), JWT).is_err());
        assert!(public.verify(&token(&header("RS256", "unknown"), &claims(), rs256), JWT).is_err());
        assert!(public.verify(&token(&json!({ "alg": "RS256", "typ": "JWT" }), &claims(), rs256), JWT).is_err());
    }

    #[test]
    fn a_key_in_the_header_is_not_looked_at() {
        let (_, _, public) = key(KeyKind::EcP256);
        let (attacker, signer, theirs) = key(KeyKind::EcP256);
        let jwk: Value = serde_json::from_str::<Value>(theirs.jwks_json()).expect("json")["keys"][0].clone();
        let header = json!({ "alg": "ES256", "typ": "JWT", "kid": signer.key_id(), "jwk": jwk, "jku": "https://evil.example/", "x5u": "https://evil.example/" });
        let sign = |message: &[u8]| attacker.sign(SignatureScheme::Ecdsa(Digest::Sha256), message).expect("signed");
        assert!(public.verify(&token(&header, &claims(), sign), JWT).is_err());
    }

    #[test]
    fn crit_and_other_types_are_refused() {
        let (key, signer, public) = key(KeyKind::Ed25519);
        let sign = |message: &[u8]| key.sign(SignatureScheme::EdDsa, message).expect("signed");
        let header = json!({ "alg": "EdDSA", "typ": "JWT", "kid": signer.key_id(), "crit": ["b64"], "b64": true });
        assert!(public.verify(&token(&header, &claims(), sign), JWT).is_err());
        let logout = IdTokenSigner::with_type(&key, "logout+jwt").expect("signer").sign(&claims()).expect("signed");
        assert!(public.verify_hint(&logout, ISSUER).is_err());
        assert!(public.verify(&logout, "logout+jwt").is_ok());
    }

    #[test]
    fn a_hint_of_another_issuer_or_without_its_claims_is_refused() {
        let (_, signer, public) = key(KeyKind::EcP256);
        let good = signer.sign(&claims()).expect("signed");
        assert_eq!(public.verify_hint(&good, "https://login.example.org/").expect_err("issuer").kind, ErrorKind::InvalidRequest);
        for missing in ["iss", "sub", "aud"] {
            let mut claims = claims();
            claims.remove(missing);
            assert!(public.verify_hint(&signer.sign(&claims).expect("signed"), ISSUER).is_err(), "{missing}");
        }
    }

    #[test]
    fn no_octet_of_a_token_can_be_changed() {
        let (_, signer, public) = key(KeyKind::EcP256);
        let good = signer.sign(&claims()).expect("signed");
        for position in 0..good.len() {
            let mut changed = good.clone().into_bytes();
            changed[position] = if changed[position] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).expect("ascii");
            assert!(public.verify(&changed, JWT).is_err(), "octet {position}");
        }
        let zeros = format!("{}.{}", good.rsplit_once('.').expect("parts").0, URL_SAFE_NO_PAD.encode([0; 64]));
        assert!(public.verify(&zeros, JWT).is_err(), "r = s = 0");
    }

    #[test]
    fn hostile_octets_never_panic() {
        let (_, signer, public) = key(KeyKind::EcP256);
        let good = signer.sign(&claims()).expect("signed");
        let header = good.split('.').next().expect("a header");
        for octets in testing::hostile(5_000) {
            let text = String::from_utf8_lossy(&octets).into_owned();
            assert!(public.verify(&text, JWT).is_err());
            assert!(public.verify(&format!("{header}.{text}"), JWT).is_err());
            assert!(public.verify(&format!("{}.e30.{}", URL_SAFE_NO_PAD.encode(&octets), "AA"), JWT).is_err());
        }
        assert!(public.verify(&"A".repeat(MAX_TOKEN + 1), JWT).is_err());
    }

    #[test]
    fn the_thumbprint_is_that_of_the_rfc() {
        // RFC 7638 3.1.
        let n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
        let members = [("e", "AQAB"), ("kty", "RSA"), ("n", n)].map(|(name, value)| (name, value.to_owned()));
        assert_eq!(thumbprint(&members), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
        // RFC 8037 A.3.
        let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
        let members = [("crv", "Ed25519"), ("kty", "OKP"), ("x", x)].map(|(name, value)| (name, value.to_owned()));
        assert_eq!(thumbprint(&members), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }

    #[test]
    fn a_shared_secret_signs_and_only_it_verifies() {
        let shared = |text: &str| Secret::new(text.to_owned());
        let secret = shared("0123456789abcdef0123456789abcdef");
        let token = sign_shared(&secret, &claims()).expect("signed");
        assert_eq!(verify_shared(&secret, &token).expect("ours"), claims());
        assert!(verify_shared(&shared("0123456789abcdef0123456789abcdeX"), &token).is_err());
        let (rest, _) = token.rsplit_once('.').expect("three parts");
        let tail = rest.split_once('.').expect("two parts").1;
        for header in [json!({ "alg": "none" }), json!({ "alg": "HS512" }), json!({ "alg": "HS256", "crit": ["x"] })] {
            let message = format!("{}.{tail}", URL_SAFE_NO_PAD.encode(header.to_string()));
            let signer = HS256.signer_from_bytes(secret.expose()).expect("signer");
            let signature = URL_SAFE_NO_PAD.encode(signer.sign(message.as_bytes()).expect("signed"));
            assert!(verify_shared(&secret, &format!("{message}.{signature}")).is_err(), "{header}");
        }
        for bad in [format!("{rest}."), rest.to_owned(), String::new(), format!("{token}.x")] {
            assert!(verify_shared(&secret, &bad).is_err(), "{bad}");
        }
        assert!(sign_shared(&shared("too short"), &claims()).is_err());
    }

    #[test]
    fn at_hash_is_that_of_the_specification_and_of_openssl() {
        let (_, rsa, _) = key(KeyKind::Rsa);
        // Core A.3 and A.4.
        assert_eq!(rsa.half_hash("jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y"), "77QmUPtjPfzWtF2AnpK9RQ");
        assert_eq!(rsa.half_hash("Qcb0Orv1zh30vL1MPRsbm-diHiMwcLyZvn1arpZv-Jxf_11jnpEX3Tgfvk"), "LDktKdoQak3Pk0cnXxCltA");
        let (_, ed, _) = key(KeyKind::Ed25519);
        let whole = openssl::hash::hash(MessageDigest::sha512(), b"token").expect("hash");
        assert_eq!(ed.half_hash("token"), URL_SAFE_NO_PAD.encode(&whole[..32]));
    }

    #[test]
    fn a_keyring_gives_a_signer_for_each_algorithm_and_publishes_all() {
        let directory = tempfile::tempdir().expect("a directory");
        let keys = OidcKeys::new(&Keyring::open_or_create(directory.path()).expect("a keyring")).expect("keys");
        let jwks: Value = serde_json::from_str(keys.public().jwks_json()).expect("json");
        assert_eq!(jwks["keys"].as_array().map(Vec::len), Some(3));
        for alg in SigningAlg::ALL {
            let signer = keys.signer(*alg);
            assert_eq!(signer.algorithm(), *alg);
            assert!(keys.public().verify_hint(&signer.sign(&claims()).expect("signed"), ISSUER).is_ok());
        }
    }
}
