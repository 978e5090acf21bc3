//! The HTTP-Redirect and HTTP-POST bindings (SAML Bindings 3.4 and 3.5), without HTTP. HTTP-Artifact is in `artifact`.

use super::names;
use super::rejection::{Check, Checks, Rejection};
use super::signature::{Allowed, Signer, TrustedKeys, decode_base64, signature_scheme};
use crate::error::{Error, ErrorKind, Result as CrateResult};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::read::DeflateDecoder;
use flate2::{Compress, CompressError, Compression, FlushCompress, Status};
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::io::Read as _;
use url::Url;

/// Largest XML message, and so also what a compressed one may inflate to.
pub const MESSAGE_LIMIT: usize = 256 * 1024;
/// Base64 of that with line breaks.
pub const ENCODED_LIMIT: usize = MESSAGE_LIMIT / 3 * 4 + MESSAGE_LIMIT / 16;
/// SAML Bindings 3.4.3 says 80 bytes; in practice more is sent. What we refuse is the absurd.
pub const RELAY_STATE_LIMIT: usize = 4096;

/// Which way a message travels through the browser.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Binding {
    Redirect,
    Post,
}

/// Which way a Response comes from an identity provider to a service provider (SAML Profiles 4.1.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ResponseBinding {
    /// It travels through the browser.
    #[default]
    Post,
    /// A reference to it does.
    Artifact,
}

impl ResponseBinding {
    pub const fn urn(self) -> &'static str {
        match self {
            Self::Post => names::BINDING_POST,
            Self::Artifact => names::BINDING_ARTIFACT,
        }
    }

    pub fn from_urn(urn: &str) -> Option<Self> {
        [Self::Post, Self::Artifact].into_iter().find(|binding| binding.urn() == urn)
    }
}

/// What the browser is told to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outgoing {
    Redirect(Url),
    PostForm { action: Url, fields: Vec<(String, String)> },
}

/// Request or response: the name of the parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageKind {
    Request,
    Response,
}

impl MessageKind {
    pub const fn parameter(self) -> &'static str {
        match self {
            Self::Request => "SAMLRequest",
            Self::Response => "SAMLResponse",
        }
    }
}

/// The URL that carries `xml` by redirect, signed over the query octets when there is a signer.
///
/// # Errors
/// When the key cannot sign.
pub fn encode_redirect(
    kind: MessageKind,
    xml: &str,
    destination: &Url,
    relay_state: Option<&str>,
    signer: Option<Signer<'_>>,
) -> CrateResult<Url> {
    let compressed = deflate(xml).map_err(|error| Error::new(ErrorKind::Internal, "a message cannot be compressed").because(error))?;
    let mut query = format!("{}={}", kind.parameter(), percent_encode(&STANDARD.encode(compressed)));
    if let Some(relay_state) = relay_state {
        query.push_str("&RelayState=");
        query.push_str(&percent_encode(relay_state));
    }
    if let Some(signer) = signer {
        query.push_str("&SigAlg=");
        query.push_str(&percent_encode(signer.algorithm()?));
        // SAML Bindings 3.4.4.1: the signature covers SAMLRequest, RelayState and SigAlg, not what the URL had before.
        let signature = signer.key.key.sign(signer.scheme, query.as_bytes())?;
        query.push_str("&Signature=");
        query.push_str(&percent_encode(&STANDARD.encode(signature)));
    }
    let mut url = destination.clone();
    let query = match url.query() {
        Some(own) if !own.is_empty() => format!("{own}&{query}"),
        _ => query,
    };
    url.set_query(Some(&query));
    Ok(url)
}

/// The form that carries `xml` by POST.
pub fn encode_post(kind: MessageKind, xml: &str, destination: &Url, relay_state: Option<&str>) -> Outgoing {
    let mut fields = vec![(kind.parameter().to_owned(), STANDARD.encode(xml))];
    fields.extend(relay_state.map(|relay_state| ("RelayState".to_owned(), relay_state.to_owned())));
    Outgoing::PostForm { action: destination.clone(), fields }
}

/// A message that came by redirect; nothing of it is verified yet.
#[derive(Debug)]
pub struct RedirectMessage {
    pub kind: MessageKind,
    pub xml: String,
    pub relay_state: Option<String>,
    signed: Option<DetachedSignature>,
}

#[derive(Debug)]
struct DetachedSignature {
    octets: String,
    algorithm: String,
    value: Vec<u8>,
}

/// Reads the raw query string of a redirect.
///
/// # Errors
/// When a parameter is missing, repeated, not decodable or too large.
pub fn decode_redirect(raw_query: &str) -> Result<RedirectMessage, Rejection> {
    if raw_query.len() > ENCODED_LIMIT {
        return Err(Rejection::TooLarge { limit: ENCODED_LIMIT });
    }
    let [request, response, relay_state, algorithm, signature] =
        raw_parameters(raw_query, ["SAMLRequest", "SAMLResponse", "RelayState", "SigAlg", "Signature"])?;
    let (kind, raw) = match (request, response) {
        (Some(raw), None) => (MessageKind::Request, raw),
        (None, Some(raw)) => (MessageKind::Response, raw),
        (None, None) => return Err(Rejection::MessageMissing { parameter: "SAMLRequest" }),
        (Some(_), Some(_)) => return Err(Rejection::DuplicateParameter { parameter: "SAMLRequest and SAMLResponse".to_owned() }),
    };
    let compressed = percent_decode(raw, false).and_then(|text| decode_base64(&text)).ok_or(Rejection::Encoding { what: "not base64" })?;
    let xml = inflate(&compressed)?;
    let decoded_state = relay_state.map(|raw| percent_decode(raw, true).ok_or(Rejection::Encoding { what: "RelayState is not UTF-8" }));
    let decoded_state = decoded_state.transpose()?;
    if decoded_state.as_ref().is_some_and(|state| state.len() > RELAY_STATE_LIMIT) {
        return Err(Rejection::TooLarge { limit: RELAY_STATE_LIMIT });
    }
    let signed = match (algorithm, signature) {
        (None, None) => None,
        (Some(raw_algorithm), Some(raw_signature)) => {
            // The octets as they came: re-encoding would not give lower-case %xx or %20 back.
            let mut octets = format!("{}={raw}", kind.parameter());
            if let Some(raw) = relay_state {
                octets.push_str("&RelayState=");
                octets.push_str(raw);
            }
            octets.push_str("&SigAlg=");
            octets.push_str(raw_algorithm);
            let algorithm = percent_decode(raw_algorithm, false).ok_or(Rejection::Encoding { what: "SigAlg is not UTF-8" })?;
            let value = percent_decode(raw_signature, false).and_then(|text| decode_base64(&text));
            Some(DetachedSignature { octets, algorithm, value: value.ok_or(Rejection::Encoding { what: "Signature is not base64" })? })
        }
        _ => return Err(Rejection::SignatureStructure { why: "SigAlg and Signature belong together" }),
    };
    Ok(RedirectMessage { kind, xml, relay_state: decoded_state, signed })
}

impl RedirectMessage {
    pub const fn is_signed(&self) -> bool {
        self.signed.is_some()
    }

    /// Verifies the detached signature over the raw octets.
    ///
    /// # Errors
    /// When there is none, its algorithm is not allowed, or no configured key made it.
    pub fn verify(&self, keys: &TrustedKeys, allowed: Allowed, checks: &mut Vec<Check>) -> Result<(), Rejection> {
        let mut checks = Checks(checks);
        let on = super::rejection::Part::Request;
        let signed =
            checks.outcome("query-signature-present", "SigAlg and Signature", self.signed.as_ref().ok_or(Rejection::Unsigned { on }))?;
        let scheme = checks.outcome("signature-algorithm", "an allowed algorithm", signature_scheme(&signed.algorithm, allowed))?;
        let key = keys.verify(scheme, signed.octets.as_bytes(), &signed.value).map(|key| key.fingerprint.as_str());
        checks.require("signature", key.is_some(), keys.names(), key.unwrap_or("no configured key fits"), || Rejection::SignatureInvalid {
            keys: keys.names(),
        })
    }
}

/// Decodes the form value of a POST to XML text.
///
/// # Errors
/// When it is too large, not base64, or not UTF-8.
pub fn decode_post(value: &str) -> Result<String, Rejection> {
    if value.len() > ENCODED_LIMIT {
        return Err(Rejection::TooLarge { limit: ENCODED_LIMIT });
    }
    let bytes = decode_base64(value).ok_or(Rejection::Encoding { what: "it is not base64" })?;
    if bytes.len() > MESSAGE_LIMIT {
        return Err(Rejection::TooLarge { limit: MESSAGE_LIMIT });
    }
    String::from_utf8(bytes).map_err(|_| Rejection::Encoding { what: "it is not UTF-8" })
}

/// The raw values of the named parameters; a repeated one is refused, others are ignored.
fn raw_parameters<'q, const N: usize>(query: &'q str, wanted: [&str; N]) -> Result<[Option<&'q str>; N], Rejection> {
    let mut found = [None; N];
    for pair in query.split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        // A name may be percent-encoded too; it must not hide a second copy.
        let name = percent_decode(name, true).unwrap_or_default();
        for (slot, wanted) in found.iter_mut().zip(wanted) {
            if name == wanted && slot.replace(value).is_some() {
                return Err(Rejection::DuplicateParameter { parameter: wanted.to_owned() });
            }
        }
    }
    Ok(found)
}

thread_local! {
    /// A compressor needs 300 kB of tables, which would cost far more to make and to give back than a message to compress.
    static COMPRESSOR: RefCell<Compress> = RefCell::new(Compress::new(Compression::fast(), false));
}

fn deflate(xml: &str) -> Result<Vec<u8>, CompressError> {
    COMPRESSOR.with_borrow_mut(|compressor| {
        compressor.reset();
        let mut compressed = Vec::with_capacity(xml.len() / 2 + 128);
        loop {
            let done = usize::try_from(compressor.total_in()).unwrap_or(usize::MAX);
            let rest = xml.as_bytes().get(done..).unwrap_or_default();
            if compressor.compress_vec(rest, &mut compressed, FlushCompress::Finish)? == Status::StreamEnd {
                return Ok(compressed);
            }
            compressed.reserve(xml.len() / 2 + 128);
        }
    })
}

fn inflate(compressed: &[u8]) -> Result<String, Rejection> {
    let mut xml = Vec::new();
    let limit = u64::try_from(MESSAGE_LIMIT).unwrap_or(u64::MAX);
    DeflateDecoder::new(compressed).take(limit + 1).read_to_end(&mut xml).map_err(|_| Rejection::CompressionBroken)?;
    if xml.len() > MESSAGE_LIMIT {
        return Err(Rejection::TooLarge { limit: MESSAGE_LIMIT });
    }
    String::from_utf8(xml).map_err(|_| Rejection::Encoding { what: "it is not UTF-8" })
}

/// Everything but RFC 3986 unreserved characters.
pub(super) fn percent_encode(text: &str) -> String {
    const HEX: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F'];
    let digit = |value: u8| HEX.get(usize::from(value)).copied().unwrap_or('0');
    let mut out = String::with_capacity(text.len() * 3 / 2);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            out.push(char::from(byte));
        } else {
            out.extend(['%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
    out
}

/// Base64 has `+` of its own, so only free text reads it as a space.
fn percent_decode(text: &str, plus_is_space: bool) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
                u8::try_from(digit(rest.next())? * 16 + digit(rest.next())?).ok()?
            }
            b'+' if plus_is_space => b' ',
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}
