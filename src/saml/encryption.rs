//! XML Encryption of assertions and NameIDs.
//!
//! Encryption says who may read, never who wrote: what comes out of here is verified like anything else. Every
//! failure is the same [`Rejection::DecryptionFailed`], and a key that cannot be unwrapped is replaced by a random
//! one so that the work is alike. AES-GCM with RSA-OAEP; AES-CBC only where the connection names it (it has no
//! integrity of its own); RSA 1.5 key transport never.

use super::names;
use super::rejection::Rejection;
use super::signature::decode_base64;
use super::xml::{Element, Writer};
use crate::error::{Error, ErrorKind, Result as CrateResult};
use crate::id;
use crate::keys::{CertifiedKey, Digest};
use crate::secret::Secret;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use openssl::encrypt::Encrypter;
use openssl::rsa::Padding;
use openssl::symm::{Cipher, decrypt_aead, encrypt, encrypt_aead};
use openssl::x509::X509;

const IV: usize = 12;
const TAG: usize = 16;
const CBC_IV: usize = 16;
/// EncryptedKey elements that are looked at; one per recipient is usual.
const ENCRYPTED_KEYS: usize = 8;

/// The content ciphers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContentCipher {
    Aes128Gcm,
    Aes192Gcm,
    Aes256Gcm,
    Aes128Cbc,
    Aes192Cbc,
    Aes256Cbc,
}

impl ContentCipher {
    fn from_uri(uri: &str, allow_cbc: bool) -> Result<Self, Rejection> {
        match uri {
            names::AES128_GCM => Ok(Self::Aes128Gcm),
            names::AES192_GCM => Ok(Self::Aes192Gcm),
            names::AES256_GCM => Ok(Self::Aes256Gcm),
            names::AES128_CBC if allow_cbc => Ok(Self::Aes128Cbc),
            names::AES192_CBC if allow_cbc => Ok(Self::Aes192Cbc),
            names::AES256_CBC if allow_cbc => Ok(Self::Aes256Cbc),
            _ => Err(Rejection::AlgorithmRefused { what: "content encryption", found: uri.to_owned() }),
        }
    }

    const fn uri(self) -> &'static str {
        match self {
            Self::Aes128Gcm => names::AES128_GCM,
            Self::Aes192Gcm => names::AES192_GCM,
            Self::Aes256Gcm => names::AES256_GCM,
            Self::Aes128Cbc => names::AES128_CBC,
            Self::Aes192Cbc => names::AES192_CBC,
            Self::Aes256Cbc => names::AES256_CBC,
        }
    }

    fn openssl(self) -> Cipher {
        match self {
            Self::Aes128Gcm => Cipher::aes_128_gcm(),
            Self::Aes192Gcm => Cipher::aes_192_gcm(),
            Self::Aes256Gcm => Cipher::aes_256_gcm(),
            Self::Aes128Cbc => Cipher::aes_128_cbc(),
            Self::Aes192Cbc => Cipher::aes_192_cbc(),
            Self::Aes256Cbc => Cipher::aes_256_cbc(),
        }
    }

    const fn is_cbc(self) -> bool {
        matches!(self, Self::Aes128Cbc | Self::Aes192Cbc | Self::Aes256Cbc)
    }

    fn open(self, key: &[u8], data: &[u8]) -> Option<Vec<u8>> {
        if self.is_cbc() {
            let (iv, rest) = data.split_at_checked(CBC_IV)?;
            return self.open_cbc(key, iv, rest);
        }
        let (iv, rest) = data.split_at_checked(IV)?;
        let (text, tag) = rest.split_at_checked(rest.len().checked_sub(TAG)?)?;
        decrypt_aead(self.openssl(), key, Some(iv), &[], text, tag).ok()
    }

    /// IV, cipher text and, with GCM, the tag.
    fn seal(self, key: &[u8], plain: &[u8]) -> Result<Vec<u8>, openssl::error::ErrorStack> {
        if self.is_cbc() {
            let iv = id::random_bytes::<CBC_IV>();
            // The padding of PKCS #7 is one of those that XML Encryption allows.
            return Ok([iv.as_slice(), &encrypt(self.openssl(), key, Some(&iv), plain)?].concat());
        }
        let iv = id::random_bytes::<IV>();
        let mut tag = [0; TAG];
        let text = encrypt_aead(self.openssl(), key, Some(&iv), &[], plain, &mut tag)?;
        Ok([iv.as_slice(), &text, &tag].concat())
    }

    // XML Encryption 5.2: the last byte says how many bytes of padding there are; the others are arbitrary.
    fn open_cbc(self, key: &[u8], iv: &[u8], data: &[u8]) -> Option<Vec<u8>> {
        let mut crypter = openssl::symm::Crypter::new(self.openssl(), openssl::symm::Mode::Decrypt, key, Some(iv)).ok()?;
        crypter.pad(false);
        let mut plain = vec![0; data.len() + CBC_IV];
        let count = crypter.update(data, &mut plain).ok()?;
        let rest = crypter.finalize(plain.get_mut(count..)?).ok()?;
        plain.truncate(count + rest);
        let padding = usize::from(*plain.last()?);
        let length = plain.len().checked_sub(padding).filter(|_| (1..=CBC_IV).contains(&padding))?;
        plain.truncate(length);
        Some(plain)
    }
}

/// How a content key is wrapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyTransport {
    /// `xmlenc#rsa-oaep-mgf1p`: MGF1 with SHA-1, and this digest.
    OaepMgf1p(Digest),
    /// `xmlenc11#rsa-oaep`: this digest and this MGF1 digest.
    Oaep { digest: Digest, mgf1: Digest },
}

impl KeyTransport {
    /// RSA-OAEP of XML Encryption 1.1 with SHA-256 throughout.
    pub const OAEP: Self = Self::Oaep { digest: Digest::Sha256, mgf1: Digest::Sha256 };
    /// RSA-OAEP of XML Encryption 1.0 as everybody has it: SHA-1 for both (which is harmless in OAEP).
    pub const OAEP_MGF1P: Self = Self::OaepMgf1p(Digest::Sha1);

    fn read(encrypted_key: Element<'_>) -> Result<Self, Rejection> {
        let refuse = |found: &str| Rejection::AlgorithmRefused { what: "key transport", found: found.to_owned() };
        let method = encrypted_key.child(names::XENC, "EncryptionMethod").ok_or_else(|| refuse("none"))?;
        if method.child(names::XENC, "OAEPparams").is_some_and(|params| !params.text().trim().is_empty()) {
            return Err(refuse("OAEPparams"));
        }
        let digest = match method.child(names::DS, "DigestMethod").map(|e| e.attribute("Algorithm").unwrap_or_default()) {
            None | Some(names::SHA1) => Digest::Sha1,
            Some(names::SHA256) => Digest::Sha256,
            Some(names::SHA384) => Digest::Sha384,
            Some(names::SHA512) => Digest::Sha512,
            Some(other) => return Err(refuse(other)),
        };
        match method.attribute("Algorithm").unwrap_or_default() {
            names::RSA_OAEP_MGF1P => Ok(Self::OaepMgf1p(digest)),
            names::RSA_OAEP => {
                let mgf1 = match method.child(names::XENC11, "MGF").map(|e| e.attribute("Algorithm").unwrap_or_default()) {
                    None | Some(names::MGF1_SHA1) => Digest::Sha1,
                    Some(names::MGF1_SHA256) => Digest::Sha256,
                    Some(names::MGF1_SHA384) => Digest::Sha384,
                    Some(names::MGF1_SHA512) => Digest::Sha512,
                    Some(other) => return Err(refuse(other)),
                };
                Ok(Self::Oaep { digest, mgf1 })
            }
            other => Err(refuse(other)),
        }
    }

    const fn digests(self) -> (Digest, Digest) {
        match self {
            Self::OaepMgf1p(digest) => (digest, Digest::Sha1),
            Self::Oaep { digest, mgf1 } => (digest, mgf1),
        }
    }
}

/// Decrypts one EncryptedAssertion (or EncryptedID, EncryptedAttribute) to the text of the element inside.
///
/// # Errors
/// [`Rejection::DecryptionKeyMissing`] without keys, [`Rejection::AlgorithmRefused`] for what the message openly
/// names, [`Rejection::DecryptionFailed`] for everything that depends on a key.
pub fn decrypt_element(encrypted: Element<'_>, keys: &[&CertifiedKey], allow_cbc: bool) -> Result<String, Rejection> {
    if keys.is_empty() {
        return Err(Rejection::DecryptionKeyMissing);
    }
    let data = encrypted.child(names::XENC, "EncryptedData").ok_or(Rejection::DecryptionFailed)?;
    let method = data.child(names::XENC, "EncryptionMethod").and_then(|method| method.attribute("Algorithm")).unwrap_or_default();
    let cipher = ContentCipher::from_uri(method, allow_cbc)?;
    let content = cipher_value(data).ok_or(Rejection::DecryptionFailed)?;

    let mut wrapped = Vec::new();
    for encrypted_key in encrypted_keys(encrypted, data) {
        wrapped.push((KeyTransport::read(encrypted_key)?, cipher_value(encrypted_key).unwrap_or_default()));
    }
    let mut attempts = wrapped.iter().flat_map(|(transport, value)| keys.iter().map(move |key| (*transport, value, *key)));
    let unwrap = |(transport, value, key): (KeyTransport, &Vec<u8>, &CertifiedKey)| {
        let (digest, mgf1) = transport.digests();
        key.key.unwrap_oaep(value, digest, mgf1).filter(|unwrapped| unwrapped.len() == cipher.openssl().key_len()).map(Secret::new)
    };
    let found = attempts.find_map(unwrap);
    // A key that cannot be unwrapped is not noticed here: a random one fails in the next step.
    let key = found.unwrap_or_else(|| Secret::new(id::random_bytes::<32>().iter().copied().take(cipher.openssl().key_len()).collect()));
    let plain = cipher.open(key.expose(), &content).and_then(|plain| String::from_utf8(plain).ok());
    if plain.is_none() {
        // Failures cost the same whichever key was tried first.
        attempts.for_each(|attempt| drop(unwrap(attempt)));
    }
    plain.ok_or(Rejection::DecryptionFailed)
}

/// The EncryptedKeys of the data: inside its KeyInfo, or beside it (named by RetrievalMethod, or simply there).
fn encrypted_keys<'d>(encrypted: Element<'d>, data: Element<'d>) -> impl Iterator<Item = Element<'d>> {
    let key_info = data.child(names::DS, "KeyInfo");
    let inside = key_info.into_iter().flat_map(|info| info.children_named(names::XENC, "EncryptedKey"));
    // A RetrievalMethod names a key of this message or nothing: nothing is ever fetched.
    let named: Vec<Option<&str>> = key_info
        .into_iter()
        .flat_map(|info| info.children_named(names::DS, "RetrievalMethod"))
        .map(|method| method.attribute("URI").and_then(|uri| uri.strip_prefix('#')))
        .collect();
    let beside = encrypted
        .children_named(names::XENC, "EncryptedKey")
        .filter(move |key| named.is_empty() || key.attribute("Id").is_some_and(|id| named.contains(&Some(id))));
    inside.chain(beside).take(ENCRYPTED_KEYS)
}

fn cipher_value(element: Element<'_>) -> Option<Vec<u8>> {
    decode_base64(&element.child(names::XENC, "CipherData")?.child(names::XENC, "CipherValue")?.text())
}

/// Encrypts an assertion (its text) to the holder of `recipient`; the result is an `EncryptedAssertion` element.
///
/// AES-CBC is here for partners that can do nothing else: it hides, but whoever can change the message may learn from how
/// the partner takes it.
///
/// # Errors
/// When the certificate holds no RSA key.
pub fn encrypt_assertion(assertion: &str, recipient: &X509, cipher: ContentCipher, transport: KeyTransport) -> CrateResult<String> {
    encrypt_element("saml:EncryptedAssertion", assertion, recipient, cipher, transport)
}

/// Encrypts a NameID (its text) likewise, to an `EncryptedID` element.
///
/// # Errors
/// As [`encrypt_assertion`].
pub fn encrypt_name_id(name_id: &str, recipient: &X509, cipher: ContentCipher, transport: KeyTransport) -> CrateResult<String> {
    encrypt_element("saml:EncryptedID", name_id, recipient, cipher, transport)
}

fn encrypt_element(
    name: &'static str,
    element: &str,
    recipient: &X509,
    cipher: ContentCipher,
    transport: KeyTransport,
) -> CrateResult<String> {
    let fail = |error: openssl::error::ErrorStack| {
        Error::new(ErrorKind::Misconfigured, "the encryption certificate cannot be used").because(error)
    };
    let content_key = Secret::new(id::random_bytes::<32>().iter().copied().take(cipher.openssl().key_len()).collect::<Vec<u8>>());
    let content = cipher.seal(content_key.expose(), element.as_bytes()).map_err(fail)?;
    let wrapped = wrap(recipient, content_key.expose(), transport).map_err(fail)?;

    let mut writer = Writer::new();
    writer.start(name).attribute("xmlns:saml", names::SAML);
    writer.start("xenc:EncryptedData").attribute("xmlns:xenc", names::XENC).attribute("Type", names::TYPE_ELEMENT);
    writer.start("xenc:EncryptionMethod").attribute("Algorithm", cipher.uri()).end();
    writer.start("ds:KeyInfo").attribute("xmlns:ds", names::DS);
    writer.start("xenc:EncryptedKey");
    write_transport(&mut writer, transport);
    writer.start("xenc:CipherData").leaf("xenc:CipherValue", &STANDARD.encode(wrapped)).end();
    writer.end().end();
    writer.start("xenc:CipherData").leaf("xenc:CipherValue", &STANDARD.encode(content));
    Ok(writer.finish())
}

fn write_transport(writer: &mut Writer, transport: KeyTransport) {
    let (digest, mgf1) = transport.digests();
    let uri = |digest| match digest {
        Digest::Sha1 => names::SHA1,
        Digest::Sha256 => names::SHA256,
        Digest::Sha384 => names::SHA384,
        Digest::Sha512 => names::SHA512,
    };
    let (algorithm, mgf) = match transport {
        KeyTransport::OaepMgf1p(_) => (names::RSA_OAEP_MGF1P, None),
        KeyTransport::Oaep { .. } => (
            names::RSA_OAEP,
            Some(match mgf1 {
                Digest::Sha1 => names::MGF1_SHA1,
                Digest::Sha256 => names::MGF1_SHA256,
                Digest::Sha384 => names::MGF1_SHA384,
                Digest::Sha512 => names::MGF1_SHA512,
            }),
        ),
    };
    writer.start("xenc:EncryptionMethod").attribute("Algorithm", algorithm);
    writer.start("ds:DigestMethod").attribute("Algorithm", uri(digest)).end();
    if let Some(mgf) = mgf {
        writer.start("xenc11:MGF").attribute("xmlns:xenc11", names::XENC11).attribute("Algorithm", mgf).end();
    }
    writer.end();
}

fn wrap(recipient: &X509, key: &[u8], transport: KeyTransport) -> Result<Vec<u8>, openssl::error::ErrorStack> {
    let public = recipient.public_key()?;
    public.rsa()?;
    let (digest, mgf1) = transport.digests();
    let mut encrypter = Encrypter::new(&public)?;
    encrypter.set_rsa_padding(Padding::PKCS1_OAEP)?;
    encrypter.set_rsa_oaep_md(digest.openssl())?;
    encrypter.set_rsa_mgf1_md(mgf1.openssl())?;
    let mut wrapped = vec![0; encrypter.encrypt_len(key)?];
    let length = encrypter.encrypt(key, &mut wrapped)?;
    wrapped.truncate(length);
    Ok(wrapped)
}
