//! Distinguished names, compared as names and not as texts (RFC 4514, RFC 5280 7.1).

use openssl::asn1::Asn1Object;
use openssl::x509::X509NameRef;

/// Longer than any name.
const LONGEST: usize = 4096;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OBJECT_IDENTIFIER: u8 = 0x06;

/// The names that RFC 4514 3 defines, where OpenSSL calls them otherwise, and some that certificates of clients have.
const TYPES: &[(&str, &str)] = &[
    ("CN", "2.5.4.3"),
    ("SN", "2.5.4.4"),
    ("SERIALNUMBER", "2.5.4.5"),
    ("C", "2.5.4.6"),
    ("L", "2.5.4.7"),
    ("ST", "2.5.4.8"),
    ("STREET", "2.5.4.9"),
    ("O", "2.5.4.10"),
    ("OU", "2.5.4.11"),
    ("TITLE", "2.5.4.12"),
    ("GIVENNAME", "2.5.4.42"),
    ("ORGANIZATIONIDENTIFIER", "2.5.4.97"),
    ("UID", "0.9.2342.19200300.100.1.1"),
    ("DC", "0.9.2342.19200300.100.1.25"),
    ("E", "1.2.840.113549.1.9.1"),
    ("EMAILADDRESS", "1.2.840.113549.1.9.1"),
];

/// Relative names from the most significant one, each a set of types (the octets of their identifiers) and values.
#[derive(Debug, PartialEq, Eq)]
pub struct DistinguishedName(Vec<Vec<(Vec<u8>, String)>>);

impl DistinguishedName {
    /// RFC 4514 3; `None` for what is no such name. An empty name is none: it would be that of every certificate without.
    pub fn parse(text: &str) -> Option<Self> {
        if text.is_empty() || text.len() > LONGEST {
            return None;
        }
        let mut relative: Vec<Vec<(Vec<u8>, String)>> = vec![Vec::new()];
        let mut rest = text.trim_start_matches(' ');
        loop {
            let (kind, after) = rest.split_once('=')?;
            let (value, end, after) = value(after.trim_start_matches(' '))?;
            relative.last_mut()?.push((object(kind.trim_matches(' '))?, value));
            match end {
                None => break,
                Some(',') => relative.push(Vec::new()),
                Some(_) => {}
            }
            rest = after;
        }
        relative.iter_mut().for_each(|set| set.sort());
        // RFC 4514 2.1: the text begins with the last relative name.
        relative.reverse();
        Some(Self(relative))
    }

    /// The name in a certificate.
    pub fn of(name: &X509NameRef) -> Option<Self> {
        let der = name.to_der().ok()?;
        let (mut sets, _) = element(&der, SEQUENCE)?;
        let mut relative = Vec::new();
        while !sets.is_empty() {
            let (mut set, rest) = element(sets, SET)?;
            let mut pairs = Vec::new();
            while !set.is_empty() {
                let (pair, rest) = element(set, SEQUENCE)?;
                let (kind, value) = element(pair, OBJECT_IDENTIFIER)?;
                pairs.push((kind.to_vec(), string(value)?));
                set = rest;
            }
            pairs.sort();
            relative.push(pairs);
            sets = rest;
        }
        (!relative.is_empty()).then_some(Self(relative))
    }
}

/// The octets of the type's identifier, by its name or as numbers.
fn object(kind: &str) -> Option<Vec<u8>> {
    let numbers = TYPES.iter().find(|(name, _)| name.eq_ignore_ascii_case(kind)).map_or(kind, |(_, numbers)| *numbers);
    let known = !numbers.is_empty() && numbers.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    if !known {
        return None;
    }
    Asn1Object::from_str(numbers).ok().map(|object| object.as_slice().to_vec())
}

/// A value up to the next `,` or `+`; that, and what comes after.
fn value(text: &str) -> Option<(String, Option<char>, &str)> {
    if let Some(encoded) = text.strip_prefix('#') {
        let end = encoded.find([',', '+']).unwrap_or(encoded.len());
        let (digits, rest) = encoded.split_at_checked(end)?;
        let mut after = rest.chars();
        let separator = after.next();
        return Some((string(&from_hex(digits.trim_matches(' '))?)?, separator, after.as_str()));
    }
    let mut octets: Vec<u8> = Vec::new();
    // Octets at the end that are blanks nobody has escaped.
    let mut blanks = 0;
    let mut rest = text.chars();
    let end = loop {
        let Some(next) = rest.next() else { break None };
        match next {
            ',' | '+' => break Some(next),
            '\\' => {
                let escaped = rest.next()?;
                if escaped.is_ascii_hexdigit() {
                    let pair: String = [escaped, rest.next()?].into_iter().collect();
                    octets.extend(from_hex(&pair)?);
                } else if " \"#+,;<=>\\".contains(escaped) {
                    octets.extend(escaped.to_string().as_bytes());
                } else {
                    return None;
                }
                blanks = 0;
            }
            '"' | ';' | '<' | '>' | '\0' => return None,
            ' ' => {
                octets.push(b' ');
                blanks += 1;
            }
            other => {
                octets.extend(other.to_string().as_bytes());
                blanks = 0;
            }
        }
    };
    octets.truncate(octets.len().saturating_sub(blanks));
    Some((prepared(&String::from_utf8(octets).ok()?), end, rest.as_str()))
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text.chars().map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect::<Option<_>>()?;
    digits.len().is_multiple_of(2).then(|| digits.chunks_exact(2).filter_map(|pair| Some(pair.first()? << 4 | pair.get(1)?)).collect())
}

/// A DER string of the types that names are written in.
fn string(der: &[u8]) -> Option<String> {
    let tag = *der.first()?;
    let (octets, rest) = element(der, tag)?;
    let text = match tag {
        // UTF8String, PrintableString, IA5String.
        0x0c | 0x13 | 0x16 => String::from_utf8(octets.to_vec()).ok()?,
        // TeletexString, as everybody reads it.
        0x14 => octets.iter().copied().map(char::from).collect(),
        // BMPString.
        0x1e => {
            String::from_utf16(&octets.chunks(2).map(|pair| Some(u16::from_be_bytes(pair.try_into().ok()?))).collect::<Option<Vec<_>>>()?)
                .ok()?
        }
        _ => return None,
    };
    rest.is_empty().then(|| prepared(&text))
}

/// RFC 5280 7.1: neither case nor the number of blanks matters.
fn prepared(text: &str) -> String {
    text.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The content of a DER element of this tag, and what comes after it.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (found, rest) = der.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match *first {
        short @ 0..=0x7f => (usize::from(short), rest),
        0x81 => rest.split_first().map(|(length, rest)| (usize::from(*length), rest))?,
        0x82 => {
            let (length, rest) = rest.split_at_checked(2)?;
            (usize::from(u16::from_be_bytes(length.try_into().ok()?)), rest)
        }
        _ => return None,
    };
    if *found != tag {
        return None;
    }
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use openssl::x509::X509NameBuilder;

    fn name(entries: &[(&str, &str)]) -> DistinguishedName {
        let mut builder = X509NameBuilder::new().expect("a builder");
        for (kind, value) in entries {
            builder.append_entry_by_text(kind, value).expect("an entry");
        }
        DistinguishedName::of(&builder.build()).expect("a name")
    }

    #[test]
    fn names_are_compared_as_names() {
        let found = name(&[("C", "NO"), ("O", "Acme, Inc."), ("OU", "A  B"), ("CN", "Notes \"one\"")]);
        for text in [
            "CN=Notes \\\"one\\\",OU=A B,O=Acme\\, Inc.,C=NO",
            "cn=notes \\22one\\22, ou=a b , o=ACME\\2c inc., c=no",
            "2.5.4.3=Notes \\\"one\\\",2.5.4.11=A B,O=Acme\\, Inc.,C=#13024E4F",
        ] {
            assert_eq!(DistinguishedName::parse(text).as_ref(), Some(&found), "{text}");
        }
        for text in [
            "C=NO,O=Acme\\, Inc.,OU=A B,CN=Notes \\\"one\\\"",
            "OU=A B,O=Acme\\, Inc.,C=NO",
            "CN=Notes \\\"one\\\"+OU=A B,O=Acme\\, Inc.,C=NO",
            "CN=Notes \\\"two\\\",OU=A B,O=Acme\\, Inc.,C=NO",
            "CN=Notes \\\"one\\\",OU=A B,O=Acme\\, Inc.,C=NO,C=NO",
        ] {
            assert_ne!(DistinguishedName::parse(text).as_ref(), Some(&found), "{text}");
        }
    }

    #[test]
    fn a_comma_in_a_value_is_no_second_name() {
        // What a certificate says in one value is not what a registration says in two.
        assert_ne!(DistinguishedName::parse("CN=a,O=b"), Some(name(&[("CN", "a,O=b")])));
        assert_eq!(DistinguishedName::parse("CN=a\\,O\\=b"), Some(name(&[("CN", "a,O=b")])));
    }

    #[test]
    fn what_is_no_name_is_none() {
        for text in ["", "CN", "CN=a,", "=a", "CN=a\\", "CN=a\\zz", "CN=\"a\"", "CN=a;O=b", "nonsense=a", "CN=#0", "CN=#13", "CN=\\ff"] {
            assert_eq!(DistinguishedName::parse(text), None, "{text}");
        }
        for octets in crate::oidc::testing::hostile(5_000) {
            let _ = DistinguishedName::parse(&String::from_utf8_lossy(&octets));
            let _ = string(&octets);
        }
    }
}
