//! Parameters: `application/x-www-form-urlencoded` octets of a query or a body, read strictly and in one place.
//!
//! Later code asks by name and cannot meet a repeated, empty, unreadable or hostile value.

use crate::error::{Error, ErrorKind, Result};
use std::fmt;
use std::fmt::Write as _;

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

    /// Parameters that came another way than encoded, under the same rules: none twice, no control characters, bounded.
    pub fn from_pairs(pairs: impl IntoIterator<Item = (String, String)>) -> Result<Self> {
        let mut params = Self::default();
        let mut octets = 0_usize;
        for (name, value) in pairs {
            octets = octets.saturating_add(name.len()).saturating_add(value.len());
            if octets > MAX_BYTES || params.values.len() == MAX_PARAMETERS {
                return Err(Error::new(ErrorKind::PayloadTooLarge, "the request has too many parameters"));
            }
            if name.chars().chain(value.chars()).any(char::is_control) {
                return Err(Error::new(ErrorKind::InvalidRequest, "a parameter has a control character"));
            }
            let known = params.values.iter().any(|(known, _)| *known == name) || params.is_repeated(&name);
            if known && !REPEATABLE.contains(&name.as_str()) {
                params.repeated.push(name);
            } else if !value.is_empty() {
                params.values.push((name, value));
            }
        }
        params.refuse_repeats()?;
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
        let why = || if self.is_repeated(name) { "repeated" } else { "missing" };
        self.get(name).ok_or_else(|| Error::new(ErrorKind::InvalidRequest, format!("the parameter {name} is {}", why())))
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

/// Octets of a form body as a query that means the same: what would end or break a query is escaped.
pub fn as_query(octets: &[u8]) -> String {
    octets.iter().fold(String::with_capacity(octets.len()), |mut query, byte| {
        match byte {
            b'#' | b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}' | 0..=b' ' | 0x7f.. => {
                let _ = write!(query, "%{byte:02X}");
            }
            _ => query.push(char::from(*byte)),
        }
        query
    })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oidc::testing;

    fn refused(octets: &[u8]) -> Error {
        Params::parse(octets).expect_err("refused")
    }

    #[test]
    fn a_repeated_parameter_is_refused_by_name() {
        for octets in ["state=a&b=c&state=a", "state=&state=a", "%73tate=a&state=b"] {
            let error = refused(octets.as_bytes());
            assert_eq!(error.detail, "the parameter state is repeated", "{octets}");
        }
        assert_eq!(refused(b"%3cscript%3e=a&%3cscript%3e=b").detail, "the parameter ?script? is repeated");
        let noted = Params::parse_noting_repeats(b"state=a&state=b&state=c&x=1").expect("noted");
        assert_eq!((noted.get("state"), noted.get("x")), (None, Some("1")));
        assert!(noted.is_repeated("state") && !noted.is_repeated("x"));
        assert!(noted.require("state").expect_err("no value").detail.contains("repeated"));
    }

    #[test]
    fn a_body_means_the_same_as_a_query() {
        let body = "state=a#b c\u{e4}%23+\"&nonce=n&state=2";
        let query = as_query(body.as_bytes());
        assert_eq!(query, "state=a%23b%20c%C3%A4%23+%22&nonce=n&state=2");
        let (one, two) =
            (Params::parse_noting_repeats(body.as_bytes()).expect("read"), Params::parse_noting_repeats(query.as_bytes()).expect("read"));
        assert_eq!((one.values, one.repeated), (two.values, two.repeated));
    }

    #[test]
    fn a_resource_may_be_repeated() {
        let params = Params::parse(b"resource=a&resource=b").expect("allowed");
        assert_eq!(params.get_all("resource").collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn pairs_follow_the_same_rules() {
        let pairs =
            |pairs: &[(&str, &str)]| Params::from_pairs(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let read = pairs(&[("a", "1"), ("b", ""), ("resource", "x"), ("resource", "y")]).expect("in order");
        assert_eq!((read.get("a"), read.get("b"), read.get_all("resource").count()), (Some("1"), None, 2));
        assert!(pairs(&[("a", "1"), ("a", "2")]).is_err());
        assert!(pairs(&[("a", "1\n")]).is_err() && pairs(&[("a\u{7f}", "1")]).is_err());
        let long = "x".repeat(MAX_BYTES);
        assert!(pairs(&[("a", &long)]).is_err());
        let names: Vec<String> = (0..=MAX_PARAMETERS).map(|number| format!("p{number}")).collect();
        assert!(pairs(&names.iter().map(|name| (name.as_str(), "1")).collect::<Vec<_>>()).is_err());
    }

    #[test]
    fn an_empty_value_is_absent() {
        let params = Params::parse(b"&&a=&b&=c&d=1&").expect("read");
        assert_eq!((params.get("a"), params.get("b"), params.get("d")), (None, None, Some("1")));
    }

    #[test]
    fn decodes_once_and_only_what_is_well_formed() {
        let params = Params::parse(b"a=x+y%2Bz%2525%C3%A4&b=c=d").expect("read");
        assert_eq!(params.get("a"), Some("x y+z%25\u{e4}"));
        assert_eq!(params.get("b"), Some("c=d"));
        for octets in [b"a=%".as_slice(), b"a=%1", b"a=%zz", b"a=%+1", b"a=%ff", b"a=\xff", b"%c3=a"] {
            assert_eq!(refused(octets).kind, ErrorKind::InvalidRequest);
        }
    }

    #[test]
    fn control_characters_are_refused() {
        for octets in [b"a=%00".as_slice(), b"a=b%0d%0aSet-Cookie:", b"a=\x7f", b"a%0a=b", b"a=%c2%85"] {
            assert_eq!(refused(octets).detail, "a parameter has a control character");
        }
    }

    #[test]
    fn number_and_size_are_bounded() {
        let many = |count: usize| (0..count).map(|n| format!("p{n}=1")).collect::<Vec<_>>().join("&");
        assert!(Params::parse(many(MAX_PARAMETERS).as_bytes()).is_ok());
        assert_eq!(refused(many(MAX_PARAMETERS + 1).as_bytes()).kind, ErrorKind::InvalidRequest);
        assert_eq!(refused(&vec![b'a'; MAX_BYTES + 1]).kind, ErrorKind::PayloadTooLarge);
    }

    #[test]
    fn values_do_not_print() {
        let params = Params::parse(b"client_secret=hunter2").expect("read");
        assert_eq!(format!("{params:?}"), "Params{\"client_secret\"}");
    }

    #[test]
    fn hostile_octets_never_panic() {
        for octets in testing::hostile(20_000) {
            if let Ok(params) = Params::parse_noting_repeats(&octets) {
                assert!(params.values.iter().all(|(_, value)| !value.contains('\0')));
            }
        }
    }
}
