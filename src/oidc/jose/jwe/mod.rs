//! JSON Web Encryption (RFC 7516), compact, over OpenSSL: to clients, and by them to us.
//!
//! Read and written are RSA-OAEP, RSA-OAEP-256 and ECDH-ES (also with A128KW and A256KW), with AES in GCM, or in CBC with
//! HMAC. Compression is refused: the length of what is compressed tells of it, and it can unfold without end. The content's
//! tag is compared before anything is decrypted, tags and initialization vectors have exactly their lengths, and whoever
//! sends what does not decrypt cannot tell at which step it failed.

mod content;
mod key;

use super::json_object;
use super::public_key::{PublicKey, PublicKeyKind};
use super::received::MAX_RECEIVED;
use crate::error::{Error, ErrorKind, Result};
use crate::id;
use crate::keys::PrivateKey;
use crate::oidc::{ContentEncryption, Encryption, KeyManagementAlg};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use key::Sent;
use serde_json::{Map, Value};

/// One of our keys for decryption.
#[derive(Debug)]
pub struct Opener {
    pub kid: String,
    pub key: PrivateKey,
}

/// Can keys of this kind be encrypted to by `alg`?
pub const fn fits(kind: PublicKeyKind, alg: KeyManagementAlg) -> bool {
    match alg {
        KeyManagementAlg::RsaOaep | KeyManagementAlg::RsaOaep256 => matches!(kind, PublicKeyKind::Rsa),
        KeyManagementAlg::EcdhEs | KeyManagementAlg::EcdhEsA128Kw | KeyManagementAlg::EcdhEsA256Kw => matches!(kind, PublicKeyKind::Ec(_)),
    }
}

/// Encrypts to `key`.
///
/// # Errors
/// When the key does not fit the algorithm.
pub fn encrypt(key: &PublicKey, kid: Option<&str>, how: Encryption, content_type: Option<&str>, payload: &[u8]) -> Result<String> {
    let failed = || Error::new(ErrorKind::Internal, "a token cannot be encrypted");
    let Sent { content_key, encrypted_key, ephemeral } = key::send(key, how).ok_or_else(failed)?;
    let mut header = Map::new();
    header.insert("alg".to_owned(), how.alg.as_str().into());
    header.insert("enc".to_owned(), how.enc.as_str().into());
    let texts = [("kid", kid), ("cty", content_type)];
    header.extend(texts.into_iter().filter_map(|(name, value)| Some((name.to_owned(), Value::from(value?)))));
    header.extend(ephemeral.map(|epk| ("epk".to_owned(), Value::Object(epk))));
    let header = URL_SAFE_NO_PAD.encode(Value::Object(header).to_string());
    let sealed = content::seal(how.enc, content_key.expose(), header.as_bytes(), payload).ok_or_else(failed)?;
    let mut token = header;
    for part in [&encrypted_key, &sealed.iv, &sealed.ciphertext, &sealed.tag] {
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(part, &mut token);
    }
    Ok(token)
}

/// Decrypts what was encrypted to one of `keys`. A `kid` chooses among them; without one, all that fit are tried.
///
/// # Errors
/// For what is no JWE, uses something that is not supported, or cannot be decrypted: the last one and the same for every reason.
pub fn decrypt<'a>(token: &str, keys: impl IntoIterator<Item = &'a Opener>) -> Result<Vec<u8>> {
    let parts = Parts::parse(token)?;
    let named = |opener: &&Opener| parts.kid().is_none_or(|kid| kid == opener.kid);
    for opener in keys.into_iter().filter(named).filter(|opener| key::opens(&opener.key, parts.how.alg)) {
        let found = key::receive(&opener.key, &parts.header, parts.how, &parts.encrypted_key);
        // RFC 7516 11.5: a key that cannot be unwrapped costs and says the same as content of another key.
        let content_key = found.unwrap_or_else(|| key::nonsense(parts.how.enc));
        let sealed = content::Sealed { iv: &parts.iv, ciphertext: &parts.ciphertext, tag: &parts.tag };
        if let Some(plain) = content::open(parts.how.enc, content_key.expose(), parts.protected.as_bytes(), sealed) {
            return Ok(plain);
        }
    }
    Err(refuse("the JWE cannot be decrypted"))
}

/// A JWE in its five parts, with a header that is understood.
struct Parts<'a> {
    /// As it was sent: the content is bound to it.
    protected: &'a str,
    header: Map<String, Value>,
    how: Encryption,
    encrypted_key: Vec<u8>,
    iv: Vec<u8>,
    ciphertext: Vec<u8>,
    tag: Vec<u8>,
}

impl<'a> Parts<'a> {
    fn parse(token: &'a str) -> Result<Self> {
        let malformed = || refuse("this is no JWE in compact serialization");
        if token.len() > MAX_RECEIVED {
            return Err(refuse("the JWE is too long"));
        }
        let mut parts = token.splitn(6, '.');
        let mut part = || parts.next().ok_or_else(malformed);
        let (protected, encrypted_key, iv, ciphertext, tag) = (part()?, part()?, part()?, part()?, part()?);
        if parts.next().is_some() {
            return Err(malformed());
        }
        let header = json_object(protected).ok_or_else(malformed)?;
        // RFC 7516 4.1.3, 4.1.13.
        if header.contains_key("zip") {
            return Err(refuse("compressed JWEs are not supported (zip)"));
        }
        if header.contains_key("crit") {
            return Err(refuse("the JWE has an extension that is not supported (crit)"));
        }
        let text = |name: &str| header.get(name).and_then(Value::as_str).unwrap_or_default();
        let alg = KeyManagementAlg::from_wire(text("alg")).ok_or_else(|| refuse("the alg of the JWE is not supported"))?;
        let enc = ContentEncryption::from_wire(text("enc")).ok_or_else(|| refuse("the enc of the JWE is not supported"))?;
        let octets = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| malformed());
        let (encrypted_key, iv, ciphertext, tag) = (octets(encrypted_key)?, octets(iv)?, octets(ciphertext)?, octets(tag)?);
        Ok(Self { protected, how: Encryption { alg, enc }, header, encrypted_key, iv, ciphertext, tag })
    }

    fn kid(&self) -> Option<&str> {
        self.header.get("kid").and_then(Value::as_str)
    }
}

/// Is it a JWE by its form: five parts, where a JWS has three?
pub fn is_jwe(token: &str) -> bool {
    token.len() <= MAX_RECEIVED && token.bytes().filter(|octet| *octet == b'.').count() == 4
}

/// The `alg` that a JWE names, of which nothing is proven.
pub fn alg(token: &str) -> Option<String> {
    let header = token.split('.').next().filter(|_| token.len() <= MAX_RECEIVED).and_then(json_object)?;
    header.get("alg").and_then(Value::as_str).map(str::to_owned)
}

fn refuse(why: &str) -> Error {
    Error::new(ErrorKind::InvalidRequest, why)
}

/// A key of so many octets that nobody knows.
fn random(octets: usize) -> Vec<u8> {
    let mut key = id::random_bytes::<64>().to_vec();
    key.truncate(octets);
    key
}

#[cfg(test)]
mod tests;
