//! The file that is to be explained: what it is, found out from its content.

use crate::connection::explain::Message;
use crate::profile::{Fact, RawAttributes};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Map, Value};
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Bytes of a file at most.
const LIMIT: u64 = 2 * 1024 * 1024;

/// What a file holds.
pub enum Input {
    Saml {
        message: Message,
        /// `xml`, `base64` or `form`.
        form: &'static str,
    },
    IdToken {
        /// Of its header.
        algorithm: String,
        claims: Map<String, Value>,
    },
    Claims(Map<String, Value>),
}

impl Input {
    /// Reads a file; `-` is standard input.
    ///
    /// # Errors
    /// Why it cannot be read, or is nothing that can be explained.
    pub fn read(path: &Path) -> Result<Self, String> {
        let shown = path.display();
        let bytes = if path.as_os_str() == "-" {
            bounded(std::io::stdin().lock()).map_err(|why| format!("standard input {why}"))?
        } else {
            let file = File::open(path).map_err(|error| format!("{shown} cannot be read: {error}"))?;
            bounded(file).map_err(|why| format!("{shown} {why}"))?
        };
        let text = String::from_utf8(bytes).map_err(|_| format!("{shown} is not UTF-8 text"))?;
        Self::recognize(text.trim_start_matches('\u{feff}').trim()).map_err(|why| format!("{shown}: {why}"))
    }

    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Saml { message, .. } => match &message.head {
                Some(head) if head.is_assertion => "saml_assertion",
                _ => "saml_response",
            },
            Self::IdToken { .. } => "id_token",
            Self::Claims(_) => "claims",
        }
    }

    pub const fn form(&self) -> &'static str {
        match self {
            Self::Saml { form, .. } => form,
            Self::IdToken { .. } => "jwt",
            Self::Claims(_) => "json",
        }
    }

    fn recognize(text: &str) -> Result<Self, String> {
        if text.starts_with('<') {
            return Ok(Self::Saml { message: Message::from_xml(text), form: "xml" });
        }
        if text.starts_with('{') {
            return object(text).map(Self::Claims);
        }
        let mut posted = url::form_urlencoded::parse(text.as_bytes()).filter(|(name, _)| name == "SAMLResponse");
        if let Some((_, value)) = posted.next() {
            if posted.next().is_some() {
                return Err("the form has SAMLResponse more than once; a login refuses that (ISTH-1001)".to_owned());
            }
            return Ok(Self::Saml { message: Message::from_posted(&value), form: "form" });
        }
        if text.contains('.') {
            return id_token(text);
        }
        // Copied out of a form: its `=` and `+` are still percent-encoded.
        let unescaped = if text.contains('%') { percent_decoded(text) } else { text.to_owned() };
        match base64_of_xml(&unescaped) {
            Some(true) => Ok(Self::Saml { message: Message::from_posted(&unescaped), form: "base64" }),
            Some(false) => Err("base64, but not of XML; a response is posted and never compressed".to_owned()),
            None => Err(NOTHING_KNOWN.to_owned()),
        }
    }
}

/// The attributes of a claims file, as the tests of mapping tables have them: `$name_id` and its like are facts.
pub fn attributes_of_file(claims: &Map<String, Value>) -> RawAttributes {
    let mut members = claims.clone();
    let mut facts = Vec::new();
    members.retain(|name, value| match (Fact::parse(name), value.as_str()) {
        (Some(fact), Some(text)) => {
            facts.push((fact, text.to_owned()));
            false
        }
        _ => true,
    });
    with_facts(&members, facts)
}

/// The attributes of an ID token; issuer, subject and authentication context are facts too.
pub fn attributes_of_token(claims: &Map<String, Value>) -> RawAttributes {
    let fact = |fact, name: &str| Some((fact, claims.get(name)?.as_str()?.to_owned()));
    let facts = [fact(Fact::Issuer, "iss"), fact(Fact::Subject, "sub"), fact(Fact::AuthnContext, "acr")];
    with_facts(claims, facts.into_iter().flatten())
}

const NOTHING_KNOWN: &str = "neither XML, nor base64 of XML, a form with SAMLResponse, a signed ID token, or a JSON object";

fn with_facts(claims: &Map<String, Value>, facts: impl IntoIterator<Item = (Fact, String)>) -> RawAttributes {
    let mut raw = RawAttributes::from_claims(claims);
    for (fact, text) in facts {
        raw.set_fact(fact, text);
    }
    raw
}

fn bounded(source: impl Read) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    source.take(LIMIT + 1).read_to_end(&mut bytes).map_err(|error| format!("cannot be read: {error}"))?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length <= LIMIT) {
        return Ok(bytes);
    }
    Err(format!("is larger than {LIMIT} bytes"))
}

fn object(text: &str) -> Result<Map<String, Value>, String> {
    serde_json::from_str(text).map_err(|error| format!("not a JSON object that can be read: {error}"))
}

/// JWS compact serialization (RFC 7515 7.1): header, payload, signature. The signature is not looked at.
fn id_token(text: &str) -> Result<Input, String> {
    let parts: Vec<&str> = text.split('.').take(6).collect();
    let [header, payload, _] = parts.as_slice() else {
        let encrypted = parts.len() == 5;
        let why = if encrypted { "an encrypted token; only signed ones can be read" } else { NOTHING_KNOWN };
        return Err(why.to_owned());
    };
    let decoded = |part: &str| URL_SAFE_NO_PAD.decode(part).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let header = decoded(header).and_then(|header| object(&header).ok()).ok_or(NOTHING_KNOWN)?;
    let payload = decoded(payload).ok_or("a token whose payload is not base64url of text")?;
    let claims = object(&payload).map_err(|why| format!("a token with a payload that is {why}"))?;
    let algorithm = header.get("alg").and_then(Value::as_str).unwrap_or("none").to_owned();
    Ok(Input::IdToken { algorithm, claims })
}

/// `None`: no base64.
fn base64_of_xml(text: &str) -> Option<bool> {
    let compact: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let bytes = STANDARD.decode(compact).ok().filter(|bytes| !bytes.is_empty())?;
    let text = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&bytes);
    Some(text.trim_ascii_start().starts_with(b"<"))
}

fn percent_decoded(text: &str) -> String {
    // A plus sign stands for itself here.
    let name_value = format!("value={}", text.replace('+', "%2B"));
    url::form_urlencoded::parse(name_value.as_bytes()).next().map(|(_, value)| value.into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(text: &str) -> Result<(&'static str, &'static str), String> {
        Input::recognize(text).map(|input| (input.kind(), input.form()))
    }

    #[test]
    fn a_file_is_known_by_its_content() {
        let response = r#"<samlp:Response xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" IssueInstant="2026-11-21T02:42:00Z"/>"#;
        let assertion = r#"<Assertion xmlns="urn:oasis:names:tc:SAML:2.0:assertion"/>"#;
        let base64 = STANDARD.encode(response);
        let in_lines = base64.as_bytes().chunks(60).map(String::from_utf8_lossy).collect::<Vec<_>>().join("\r\n");
        let escaped: String = url::form_urlencoded::byte_serialize(base64.as_bytes()).collect();
        let token = format!("{}.{}.c2ln", URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256"}"#), URL_SAFE_NO_PAD.encode(r#"{"sub":"jane"}"#));
        for (text, expected) in [
            (response, ("saml_response", "xml")),
            (assertion, ("saml_assertion", "xml")),
            ("<!DOCTYPE x><x/>", ("saml_response", "xml")),
            (&base64, ("saml_response", "base64")),
            (&in_lines, ("saml_response", "base64")),
            (&escaped, ("saml_response", "base64")),
            (&format!("RelayState=a.b&SAMLResponse={escaped}"), ("saml_response", "form")),
            (&token, ("id_token", "jwt")),
            ("{}", ("claims", "json")),
        ] {
            assert_eq!(kind(text), Ok(expected), "{text}");
        }
        for (text, why) in [
            ("", "neither"),
            ("hello", "neither"),
            ("a.b.c", "neither"),
            ("a.b.c.d.e", "encrypted token"),
            ("[1]", "neither"),
            ("{\"a\":", "not a JSON object"),
            (&STANDARD.encode([0xed, 0x02]), "not of XML"),
            ("SAMLResponse=a&SAMLResponse=b", "more than once"),
        ] {
            assert!(kind(text).is_err_and(|error| error.contains(why)), "{text}: {:?}", kind(text));
        }
    }

    #[test]
    fn an_attribute_of_a_token_cannot_pose_as_a_fact() {
        let claims = object(r#"{"sub": "jane", "$name_id": "admin"}"#).expect("an object");
        let of_token = attributes_of_token(&claims);
        assert_eq!((of_token.fact(Fact::Subject), of_token.fact(Fact::NameId)), (Some("jane"), None));
        assert_eq!(attributes_of_file(&claims).fact(Fact::NameId), Some("admin"));
    }
}
