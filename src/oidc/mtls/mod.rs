//! Client certificates (RFC 8705): who is named in one, whether it can be trusted, and the tokens that are bound to it.
//!
//! That the other side has the private key is TLS's proof, made before a certificate arrives here: by our own listener, or
//! by a proxy that is trusted.

mod distinguished_name;

use super::client::TlsSubject;
use super::jwks::ClientJwks;
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::id;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use distinguished_name::DistinguishedName;
use openssl::stack::{Stack, StackRef};
use openssl::x509::store::{X509Store, X509StoreBuilder};
use openssl::x509::verify::X509VerifyFlags;
use openssl::x509::{X509, X509PurposeId, X509Ref, X509StoreContext};
use serde_json::{Map, Value};
use std::fmt;

/// Certificates of a chain that are read at most.
const LONGEST_CHAIN: usize = 10;

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// A certificate whose private key the other side has, with what it sent to prove it. `Debug` shows its thumbprint.
#[derive(Clone)]
pub struct ClientCertificate {
    leaf: X509,
    chain: Vec<X509>,
    thumbprint: String,
}

impl ClientCertificate {
    /// `chain`: other certificates that came along, in any order.
    pub fn new(leaf: X509, chain: Vec<X509>) -> Result<Self> {
        let thumbprint = thumbprint(&leaf)?;
        Ok(Self { leaf, chain: chain.into_iter().take(LONGEST_CHAIN).collect(), thumbprint })
    }

    pub fn from_der(leaf: &[u8], chain: &[Vec<u8>]) -> Result<Self> {
        let read = |der: &[u8]| X509::from_der(der).map_err(|error| unreadable().because(error));
        let chain = chain.iter().take(LONGEST_CHAIN).map(|der| read(der)).collect::<Result<_>>()?;
        Self::new(read(leaf)?, chain)
    }

    /// The first certificate is the client's own.
    pub fn from_pem(pem: &[u8]) -> Result<Self> {
        let mut all = X509::stack_from_pem(pem).map_err(|error| unreadable().because(error))?.into_iter();
        Self::new(all.next().ok_or_else(unreadable)?, all.collect())
    }

    /// What a proxy says in a header; `None` where it is empty, and the client has shown none. It is read as RFC 9440 has it
    /// (`chain` is the second header), as PEM with percent-encoding or with its line ends lost, or as bare base64.
    pub fn from_header(text: &str, chain: Option<&str>) -> Result<Option<Self>> {
        let text = text.trim_matches(' ');
        if text.is_empty() {
            return Ok(None);
        }
        if text.starts_with(':') {
            let chain = chain.unwrap_or_default().split(',').map(|item| item.trim_matches(' ')).filter(|item| !item.is_empty());
            let chain: Vec<Vec<u8>> = chain.map(byte_sequence).collect::<Result<_>>()?;
            return Self::from_der(&byte_sequence(text)?, &chain).map(Some);
        }
        let text = percent_decoded(text);
        let all: Vec<Vec<u8>> = match text.contains(BEGIN) {
            true => text.split(BEGIN).skip(1).map(|rest| base64(rest.split(END).next().unwrap_or_default())).collect::<Result<_>>()?,
            false => vec![base64(&text)?],
        };
        let (leaf, chain) = all.split_first().ok_or_else(unreadable)?;
        Self::from_der(leaf, chain).map(Some)
    }

    /// RFC 8705 3.1: `x5t#S256`.
    pub fn thumbprint(&self) -> &str {
        &self.thumbprint
    }

    /// RFC 8705 2.1: an authority vouches for the certificate, and it names the client.
    pub fn is_of(&self, subject: &TlsSubject, authorities: &Authorities, now: Timestamp) -> bool {
        authorities.vouch_for(self, now) && self.names(subject)
    }

    /// RFC 8705 2.1.2.
    fn names(&self, subject: &TlsSubject) -> bool {
        let names = self.leaf.subject_alt_names();
        let any = |matches: &dyn Fn(&openssl::x509::GeneralNameRef) -> bool| names.iter().flatten().any(matches);
        match subject {
            TlsSubject::Dn(wanted) => match (DistinguishedName::parse(wanted), DistinguishedName::of(self.leaf.subject_name())) {
                (Some(wanted), Some(found)) => wanted == found,
                _ => false,
            },
            TlsSubject::SanDns(wanted) => any(&|name| name.dnsname().is_some_and(|found| found.eq_ignore_ascii_case(wanted))),
            TlsSubject::SanUri(wanted) => any(&|name| name.uri() == Some(wanted)),
            TlsSubject::SanEmail(wanted) => any(&|name| name.email() == Some(wanted)),
            TlsSubject::SanIp(std::net::IpAddr::V4(wanted)) => any(&|name| name.ipaddress() == Some(&wanted.octets())),
            TlsSubject::SanIp(std::net::IpAddr::V6(wanted)) => any(&|name| name.ipaddress() == Some(&wanted.octets())),
        }
    }

    /// RFC 8705 2.2: one of the client's registered keys is the certificate's; no authority is asked.
    pub fn is_registered_in(&self, keys: &ClientJwks, now: Timestamp) -> bool {
        let own_key = self.leaf.public_key().and_then(|key| key.public_key_to_der());
        is_current(&self.leaf, now) && (own_key.is_ok_and(|der| keys.has_public_key(&der)) || self.is_in_a_chain_of(keys))
    }

    /// RFC 7517 4.7: the first of `x5c` holds the key.
    fn is_in_a_chain_of(&self, keys: &ClientJwks) -> bool {
        let first = |key: &Map<String, Value>| STANDARD.decode(key.get("x5c")?.as_array()?.first()?.as_str()?).ok();
        self.leaf.to_der().is_ok_and(|own| keys.keys().iter().filter_map(first).any(|registered| registered == own))
    }
}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ClientCertificate").field(&self.thumbprint).finish()
    }
}

/// Those whose signature makes a certificate good for `tls_client_auth`. There are none unless they are configured.
#[derive(Clone, Default)]
pub struct Authorities(Option<std::sync::Arc<X509Store>>);

impl Authorities {
    /// # Errors
    /// When it is no list of certificates.
    pub fn from_pem(pem: &[u8]) -> Result<Self> {
        let refuse = |error| Error::new(ErrorKind::Misconfigured, "not a readable PEM list of certificates").because(error);
        let all = X509::stack_from_pem(pem).map_err(refuse)?;
        if all.is_empty() {
            return Err(Error::new(ErrorKind::Misconfigured, "there is no certificate in it"));
        }
        let mut store = X509StoreBuilder::new().map_err(refuse)?;
        // Times are compared with `now`, as everywhere.
        store.set_flags(X509VerifyFlags::NO_CHECK_TIME).map_err(refuse)?;
        store.set_purpose(X509PurposeId::SSL_CLIENT).map_err(refuse)?;
        for authority in all {
            store.add_cert(authority).map_err(refuse)?;
        }
        Ok(Self(Some(std::sync::Arc::new(store.build()))))
    }

    pub const fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    fn vouch_for(&self, certificate: &ClientCertificate, now: Timestamp) -> bool {
        let Some(store) = &self.0 else { return false };
        let verify = || -> std::result::Result<bool, openssl::error::ErrorStack> {
            let mut sent = Stack::new()?;
            for other in &certificate.chain {
                sent.push(other.clone())?;
            }
            let all_current = |chain: Option<&StackRef<X509>>| chain.is_some_and(|chain| chain.iter().all(|link| is_current(link, now)));
            let mut context = X509StoreContext::new()?;
            context.init(store, &certificate.leaf, &sent, |context| Ok(context.verify_cert()? && all_current(context.chain())))
        };
        verify().unwrap_or(false)
    }
}

impl fmt::Debug for Authorities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Authorities").field(&self.0.is_some()).finish()
    }
}

/// RFC 8941 3.3.5.
fn byte_sequence(text: &str) -> Result<Vec<u8>> {
    let inner = text.strip_prefix(':').and_then(|rest| rest.strip_suffix(':')).ok_or_else(unreadable)?;
    base64(inner)
}

fn base64(text: &str) -> Result<Vec<u8>> {
    let text: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    STANDARD.decode(text).map_err(|error| unreadable().because(error))
}

/// `%` with two digits is an octet; everything else, `+` too, is itself.
fn percent_decoded(text: &str) -> String {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let escaped = after.get(..2).and_then(|pair| std::str::from_utf8(pair).ok()).and_then(|pair| u8::from_str_radix(pair, 16).ok());
        match (first, escaped) {
            (b'%', Some(octet)) => {
                octets.push(octet);
                rest = after.get(2..).unwrap_or_default();
            }
            _ => {
                octets.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&octets).into_owned()
}

fn unreadable() -> Error {
    Error::new(ErrorKind::InvalidRequest, "the client certificate cannot be read")
}

fn thumbprint(certificate: &X509Ref) -> Result<String> {
    certificate.to_der().map(|der| id::base64url(&id::sha256(&der))).map_err(|error| unreadable().because(error))
}

fn is_current(certificate: &X509Ref, now: Timestamp) -> bool {
    let current = || -> std::result::Result<bool, openssl::error::ErrorStack> {
        let now = openssl::asn1::Asn1Time::from_unix(now.seconds())?;
        Ok(*certificate.not_before() <= now && *certificate.not_after() >= now)
    };
    current().unwrap_or(false)
}

#[cfg(test)]
#[path = "mtls_tests.rs"]
pub(crate) mod tests;
