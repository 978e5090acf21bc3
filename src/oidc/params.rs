//! Parameters: `application/x-www-form-urlencoded` octets of a query or a body, read strictly and in one place.
//!
//! Later code asks by name and cannot meet a repeated, empty, unreadable or hostile value.

use crate::error::{Error, ErrorKind, Result};
use std::fmt;

/// More parameters than any request here needs.
pub const MAX_PARAMETERS: usize = 100;
/// More octets than any request here needs.
pub const MAX_BYTES: usize = 64 * 1024;

/// Parameters that a request may carry several times (RFC 8707 2).
const REPEATABLE: &[&str] = &["resource"];

/// Read parameters. `Debug` shows the names only: values may be secrets.
#[derive(Clone, Default)]
pub struct Params {
    values: Vec<(String, String)>,
    repeated: Vec<String>,
}

impl Params {
    /// Reads the octets; a repeated parameter is an error (RFC 6749 3.1 and 3.2).
    pub fn parse(octets: &[u8]) -> Result<Self> {
        let params = Self::parse_noting_repeats(octets)?;
        params.refuse_repeats()?;
        Ok(params)
    }

    /// Reads the octets and remembers repeated parameters instead of refusing them, so that the authorization
    /// endpoint can answer by redirect. A repeated parameter has no value: [`Self::get`] gives `None`.
    pub fn parse_noting_repeats(octets: &[u8]) -> Result<Self> {
        if octets.len() > MAX_BYTES {
            return Err(Error::new(ErrorKind::PayloadTooLarge, "the request has too many octets"));
        }
        let mut params = Self::default();
        let mut seen: Vec<String> = Vec::new();
        for pair in octets.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
            if seen.len() == MAX_PARAMETERS {
                return Err(Error::new(ErrorKind::InvalidRequest, "the request has too many parameters"));
            }
            let (name, value) = split_pair(pair);
            let (name, value) = (decode(name)?, decode(value)?);
            if seen.contains(&name) && !REPEATABLE.contains(&name.as_str()) {
                params.repeated.push(name.clone());
            } else if !value.is_empty() {
                // RFC 6749 3.1: a parameter without a value is treated as omitted.
                params.values.push((name.clone(), value));
            }
            seen.push(name);
        }
        params.values.retain(|(name, _)| !params.repeated.contains(name));
        Ok(params)
    }

    /// Fails when a parameter came more than once, and says which.
    pub fn refuse_repeats(&self) -> Result<()> {
        match self.repeated.first() {
            None => Ok(()),
            Some(name) => Err(Error::new(ErrorKind::InvalidRequest, format!("the parameter {} is repeated", printable(name)))),
        }
    }

    pub fn is_repeated(&self, name: &str) -> bool {
        self.repeated.iter().any(|repeated| repeated == name)
    }

    /// All parameters that have one value, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.values.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.get_all(name).next()
    }

    /// Every value of a repeatable parameter.
    pub fn get_all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        self.values.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The value as an owned text.
    pub fn text(&self, name: &str) -> Option<String> {
        self.get(name).map(str::to_owned)
    }

    pub fn require(&self, name: &'static str) -> Result<&str> {
        self.get(name).ok_or_else(|| Error::new(ErrorKind::InvalidRequest, format!("the parameter {name} is missing")))
    }

    /// The words of a space-separated list; empty when absent.
    pub fn words(&self, name: &str) -> Vec<String> {
        self.get(name).map(|text| text.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect()).unwrap_or_default()
    }
}

impl fmt::Debug for Params {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Params")?;
        f.debug_set().entries(self.values.iter().map(|(name, _)| name)).finish()
    }
}

/// Decodes one name or value: `+` is a space, `%` needs two digits, the result is UTF-8 without control characters.
pub(super) fn decode(octets: &[u8]) -> Result<String> {
    let malformed = || Error::new(ErrorKind::InvalidRequest, "a parameter is not properly encoded");
    let mut decoded = Vec::with_capacity(octets.len());
    let mut rest = octets.iter();
    while let Some(byte) = rest.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => hex_digit(rest.next()).zip(hex_digit(rest.next())).map(|(high, low)| high << 4 | low).ok_or_else(malformed)?,
            other => *other,
        });
    }
    let text = String::from_utf8(decoded).map_err(|_| malformed())?;
    if text.chars().any(char::is_control) {
        return Err(Error::new(ErrorKind::InvalidRequest, "a parameter has a control character"));
    }
    Ok(text)
}

fn split_pair(pair: &[u8]) -> (&[u8], &[u8]) {
    let mut parts = pair.splitn(2, |byte| *byte == b'=');
    (parts.next().unwrap_or_default(), parts.next().unwrap_or_default())
}

fn hex_digit(byte: Option<&u8>) -> Option<u8> {
    byte.and_then(|byte| char::from(*byte).to_digit(16)).and_then(|digit| u8::try_from(digit).ok())
}

/// A name from the request, fit for a message: short, and of characters that parameter names have.
fn printable(name: &str) -> String {
    name.chars().take(40).map(|c| if c.is_ascii_alphanumeric() || "_-.".contains(c) { c } else { '?' }).collect()
}
