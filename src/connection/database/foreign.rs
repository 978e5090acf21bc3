//! Hashes that other products made of passwords (`custom_password_hash` of bulk imports), compared at a login.
//!
//! Which forms may be imported, [`crate::user::password_hash`] says; here they are computed. All of them were good before they
//! were stored, so whatever cannot be computed is a fault of ours or wants more than a login may cost.

use super::digest::{self, Kind};
use super::hashing::argon2_matches;
use crate::id;
use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use openssl::pkcs5::{pbkdf2_hmac, scrypt};
use serde_json::{Map, Value};

/// Is it the hash of this password?
///
/// # Errors
/// What cannot be computed, for operators.
pub fn matches(custom: &Value, password: &str) -> Result<bool, &'static str> {
    let members = custom.as_object().ok_or(UNREADABLE)?;
    let text = |object: &Map<String, Value>, name: &str| object.get(name).and_then(Value::as_str).map(str::to_owned);
    let hash = members.get("hash").and_then(Value::as_object).ok_or(UNREADABLE)?;
    let value = text(hash, "value").ok_or(UNREADABLE)?;
    let encoding = members.get("password").and_then(|password| password.get("encoding")).and_then(Value::as_str);
    let password = encoded(password, encoding.unwrap_or("utf8"));
    let algorithm = text(members, "algorithm").ok_or(UNREADABLE)?;
    match algorithm.as_str() {
        "argon2" => return argon2_matches(&value, &password).ok_or("a hash of Argon2 cannot be read, or costs too much"),
        "bcrypt" => return bcrypt_matches(&password, &value),
        "pbkdf2" => return pbkdf2(&value, &password),
        "ldap" => return ldap(&value, &password),
        _ => {}
    }
    let expected = decoded(&value, text(hash, "encoding").as_deref()).ok_or(UNREADABLE)?;
    let (prefix, suffix) = salt(members)?;
    let salted = [prefix.as_slice(), &password, &suffix].concat();
    let found = match algorithm.as_str() {
        "hmac" => {
            let kind = Kind::parse(&text(hash, "digest").ok_or(UNREADABLE)?).ok_or(UNKNOWN_DIGEST)?;
            let key = hash.get("key").and_then(Value::as_object).ok_or(UNREADABLE)?;
            let key = decoded(&text(key, "value").ok_or(UNREADABLE)?, text(key, "encoding").as_deref()).ok_or(UNREADABLE)?;
            digest::hmac(kind, &key, &salted)
        }
        "scrypt" => Some(of_scrypt(members, &password, &[prefix, suffix].concat(), expected.len())?),
        name => digest::of(Kind::parse(name).ok_or(UNKNOWN_DIGEST)?, &salted),
    };
    Ok(id::eq_constant_time(&found.ok_or(UNKNOWN_DIGEST)?, &expected))
}

const UNREADABLE: &str = "the stored password cannot be read";
const UNKNOWN_DIGEST: &str = "the digest of a stored password is not known to this machine";
const COSTLY: &str = "a stored password costs more than a login may";

/// What stands before the password, and what behind it.
fn salt(members: &Map<String, Value>) -> Result<(Vec<u8>, Vec<u8>), &'static str> {
    let Some(salt) = members.get("salt").and_then(Value::as_object) else { return Ok((Vec::new(), Vec::new())) };
    let text = |name: &str| salt.get(name).and_then(Value::as_str);
    let octets = decoded(text("value").ok_or(UNREADABLE)?, text("encoding")).ok_or(UNREADABLE)?;
    Ok(match text("position") {
        Some("suffix") => (Vec::new(), octets),
        _ => (octets, Vec::new()),
    })
}

/// The password as the octets that were hashed.
fn encoded(password: &str, encoding: &str) -> Vec<u8> {
    match encoding {
        "utf16le" | "ucs2" => password.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        // As Node.js does: the low octet of each unit.
        "latin1" | "binary" | "ascii" => password.encode_utf16().map(|unit| unit.to_le_bytes()[0]).collect(),
        _ => password.as_bytes().to_vec(),
    }
}

fn decoded(text: &str, encoding: Option<&str>) -> Option<Vec<u8>> {
    match encoding {
        Some("hex") => {
            let digits = text.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).ok());
            digits.map(|pair| u8::from_str_radix(pair?, 16).ok()).collect()
        }
        Some("base64") => base64(text),
        _ => Some(text.as_bytes().to_vec()),
    }
}

/// Of both alphabets, with or without padding.
fn base64(text: &str) -> Option<Vec<u8>> {
    let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent).with_decode_allow_trailing_bits(true);
    GeneralPurpose::new(&alphabet::STANDARD, config).decode(text.replace('-', "+").replace('_', "/")).ok()
}

/// `$pbkdf2-sha256$i=..,l=..$salt$hash`.
fn pbkdf2(phc: &str, password: &[u8]) -> Result<bool, &'static str> {
    let mut parts = phc.split('$').skip(1);
    let (name, parameters) = (parts.next().ok_or(UNREADABLE)?, parts.next().ok_or(UNREADABLE)?);
    let digest = name.strip_prefix("pbkdf2-").unwrap_or("sha1");
    let digest = Kind::parse(digest).and_then(Kind::in_openssl).ok_or(UNKNOWN_DIGEST)?;
    let parameter = |wanted: &str| parameters.split(',').find_map(|one| one.strip_prefix(wanted)?.strip_prefix('=')?.parse::<usize>().ok());
    // passlib writes the number of rounds without a name.
    let rounds = parameter("i").or_else(|| parameter("rounds")).or_else(|| parameters.parse().ok()).ok_or(UNREADABLE)?;
    let octets = |text: Option<&str>| base64(&text.unwrap_or_default().replace('.', "+")).ok_or(UNREADABLE);
    let (salt, expected) = (octets(parts.next())?, octets(parts.next())?);
    if rounds > MOST_ROUNDS || expected.len() > MOST_OCTETS || expected.is_empty() || parameter("l").is_some_and(|l| l != expected.len()) {
        return Err(COSTLY);
    }
    if rounds.saturating_mul(expected.len().div_ceil(digest.size().max(1))) > MOST_ROUNDS {
        return Err(COSTLY);
    }
    let mut found = vec![0; expected.len()];
    pbkdf2_hmac(password, &salt, rounds, digest, &mut found).map_err(|_| UNREADABLE)?;
    Ok(id::eq_constant_time(&found, &expected))
}

fn of_scrypt(members: &Map<String, Value>, password: &[u8], salt: &[u8], length: usize) -> Result<Vec<u8>, &'static str> {
    let number = |name: &str, usual: u64| members.get(name).and_then(Value::as_u64).unwrap_or(usual);
    let (cost, block, lanes) = (number("cost", 16384), number("blockSize", 8), number("parallelization", 1));
    let wanted = usize::try_from(number("keylen", 0)).unwrap_or(0);
    if wanted != length || wanted > MOST_OCTETS || 128 * cost * block > MOST_MEMORY || lanes > 16 {
        return Err(COSTLY);
    }
    let mut found = vec![0; wanted];
    scrypt(password, salt, cost, block, lanes, 2 * MOST_MEMORY, &mut found).map_err(|_| UNREADABLE)?;
    Ok(found)
}

/// RFC 2307 and what servers have added to it.
fn ldap(text: &str, password: &[u8]) -> Result<bool, &'static str> {
    let (scheme, value) = text.strip_prefix('{').and_then(|rest| rest.split_once('}')).ok_or(UNREADABLE)?;
    let scheme = scheme.to_ascii_lowercase();
    if scheme == "crypt" {
        return crypt(value, password);
    }
    let (name, salted) = match scheme.strip_prefix('s').filter(|_| scheme.starts_with("ss") || scheme == "smd5") {
        Some(name) => (name, true),
        None => (scheme.as_str(), false),
    };
    let kind = Kind::parse(if name == "sha" { "sha1" } else { name }).ok_or(UNKNOWN_DIGEST)?;
    let octets = base64(value).ok_or(UNREADABLE)?;
    let (expected, salt) = octets.split_at_checked(kind.length()).ok_or(UNREADABLE)?;
    if !salted && !salt.is_empty() {
        return Err(UNREADABLE);
    }
    let found = digest::of(kind, &[password, salt].concat()).ok_or(UNKNOWN_DIGEST)?;
    Ok(id::eq_constant_time(&found, expected))
}

/// Compares with a hash of bcrypt, unless it costs more than a login may.
pub(super) fn bcrypt_matches(password: &[u8], hash: &str) -> Result<bool, &'static str> {
    let cost: u32 = hash.split('$').nth(2).and_then(|cost| cost.parse().ok()).ok_or(UNREADABLE)?;
    if cost > MOST_BCRYPT {
        return Err(COSTLY);
    }
    bcrypt::verify(password, hash).map_err(|_| UNREADABLE)
}

/// What crypt(3) made: bcrypt, SHA-256 and SHA-512. DES and MD5 are not computed any more.
fn crypt(value: &str, password: &[u8]) -> Result<bool, &'static str> {
    if value.starts_with("$2") {
        return bcrypt_matches(password, value);
    }
    match digest::sha_crypt(value, password) {
        Some(found) => Ok(id::eq_constant_time(found.as_bytes(), value.as_bytes())),
        None => Err("a stored password is of a crypt(3) that is not known: bcrypt, SHA-256 and SHA-512 are"),
    }
}

/// What one login may cost.
const MOST_ROUNDS: usize = 5_000_000;
const MOST_OCTETS: usize = 1024;
/// Logarithm of the rounds: some seconds.
const MOST_BCRYPT: u32 = 16;
/// Octets.
const MOST_MEMORY: u64 = 256 << 20;

#[cfg(test)]
#[path = "foreign_tests.rs"]
mod tests;
