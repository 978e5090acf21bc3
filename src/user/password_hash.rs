//! Password hashes that other products made, as bulk imports bring them: are they of the form that their algorithm has?
//!
//! Nothing is computed here and no password is checked. What a hash says is never repeated in a complaint.

use super::import::{Check, ErrorCode};
use serde_json::{Map, Value};

/// Rounds of bcrypt in `password_hash`.
pub const BCRYPT_ROUNDS: u32 = 10;

/// `password_hash`: bcrypt `$2a$` or `$2b$` with [`BCRYPT_ROUNDS`] rounds.
pub(super) fn check_password_hash(value: &Value, path: &str, check: &mut Check) {
    let Some(text) = check.text(value, path, 1, MAX_HASH) else { return };
    if bcrypt_rounds(text) != Some(BCRYPT_ROUNDS) {
        check.fault(ErrorCode::Pattern, path, format!("is no bcrypt hash $2a$ or $2b$ with {BCRYPT_ROUNDS} rounds"));
    }
}

/// `custom_password_hash`: the hash of another algorithm, with all that is needed to compute it again.
pub(super) fn check_custom(value: &Value, path: &str, check: &mut Check) {
    let Some(members) = check.object(value, path, &MEMBERS, &["algorithm", "hash"]) else { return };
    let name = members.get("algorithm").and_then(|value| check.one_of(value, &below(path, "algorithm"), &ALGORITHMS));
    let hash = members.get("hash").and_then(|value| check_hash(value, &below(path, "hash"), check));
    let salt = members.get("salt").map(|value| check_salt(value, &below(path, "salt"), check));
    if let Some(password) = members.get("password") {
        let here = below(path, "password");
        if let Some(members) = check.object(password, &here, &["encoding"], &[]) {
            members.get("encoding").map(|value| check.one_of(value, &below(&here, "encoding"), &PASSWORD_ENCODINGS));
        }
    }
    for (member, largest) in [("keylen", 1024), ("cost", 1 << 20), ("blockSize", 64), ("parallelization", 64)] {
        members.get(member).map(|value| check.integer(value, &below(path, member), 1, largest));
    }
    if let (Some(name), Some(hash)) = (name, hash) {
        check_algorithm(name, &hash, salt.is_some(), members, path, check);
    }
}

/// Rounds, if the text is a hash of bcrypt.
pub fn bcrypt_rounds(text: &str) -> Option<u32> {
    let rest = text.strip_prefix("$2a$").or_else(|| text.strip_prefix("$2b$"))?;
    let (rounds, rest) = rest.split_once('$')?;
    let is_hash = rest.len() == 53 && rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'/'));
    let rounds = Some(rounds).filter(|text| text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit()))?.parse().ok()?;
    (is_hash && (4..=31).contains(&rounds)).then_some(rounds)
}

struct Hash<'v> {
    value: &'v str,
    encoding: Option<&'v str>,
    has_digest: bool,
    has_key: bool,
}

fn check_hash<'v>(value: &'v Value, path: &str, check: &mut Check) -> Option<Hash<'v>> {
    let members = check.object(value, path, &["value", "encoding", "digest", "key"], &["value"])?;
    let text = members.get("value").and_then(|value| check.text(value, &below(path, "value"), 1, MAX_HASH));
    let encoding = match members.get("encoding") {
        Some(value) => Some(check.one_of(value, &below(path, "encoding"), &ENCODINGS)?),
        None => None,
    };
    members.get("digest").map(|value| check.one_of(value, &below(path, "digest"), &DIGESTS));
    if let Some(key) = members.get("key") {
        let here = below(path, "key");
        if let Some(key) = check.object(key, &here, &["value", "encoding"], &["value"]) {
            check_encoded(key, &here, check);
        }
    }
    Some(Hash { value: text?, encoding, has_digest: members.contains_key("digest"), has_key: members.contains_key("key") })
}

fn check_salt(value: &Value, path: &str, check: &mut Check) {
    let Some(members) = check.object(value, path, &["value", "encoding", "position"], &["value"]) else { return };
    check_encoded(members, path, check);
    members.get("position").map(|value| check.one_of(value, &below(path, "position"), &["prefix", "suffix"]));
}

/// A value with its encoding; UTF-8 where none is named.
fn check_encoded(members: &Map<String, Value>, path: &str, check: &mut Check) {
    let encoding = members.get("encoding").and_then(|value| check.one_of(value, &below(path, "encoding"), &ENCODINGS));
    let here = below(path, "value");
    if let Some(text) = members.get("value").and_then(|value| check.text(value, &here, 1, MAX_HASH))
        && decoded_length(text, encoding.unwrap_or("utf8")).is_none()
    {
        check.fault(ErrorCode::Pattern, &here, "is not of its encoding");
    }
}

/// What each algorithm demands of the members.
fn check_algorithm(name: &str, hash: &Hash<'_>, has_salt: bool, members: &Map<String, Value>, path: &str, check: &mut Check) {
    let (value_path, encoding_path) = (below(path, "hash.value"), below(path, "hash.encoding"));
    if matches!(name, "argon2" | "bcrypt" | "ldap" | "pbkdf2") {
        // The text holds salt and parameters.
        if has_salt {
            check.fault(ErrorCode::NotPassed, &below(path, "salt"), format!("has no place with {name}, whose hash holds it"));
        }
        if hash.encoding.is_some_and(|encoding| encoding != "utf8") {
            check.fault(ErrorCode::EnumMismatch, &encoding_path, format!("is utf8 with {name}"));
        }
        let (is_one, form) = match name {
            "argon2" => (is_phc(hash.value, &["argon2id", "argon2i", "argon2d"]), "$argon2id$v=19$m=..,t=..,p=..$salt$hash"),
            "bcrypt" => (bcrypt_rounds(hash.value).is_some(), "$2a$ or $2b$, rounds, and 53 characters"),
            "pbkdf2" => (is_phc(hash.value, &PBKDF2), "$pbkdf2-sha256$i=..,l=..$salt$hash"),
            _ => (is_ldap(hash.value), "{SCHEME} and base64 (RFC 2307)"),
        };
        if !is_one {
            check.fault(ErrorCode::Pattern, &value_path, format!("is not of the form {form}"));
        }
    } else {
        let Some(encoding) = hash.encoding.filter(|encoding| matches!(*encoding, "base64" | "hex")) else {
            return check.fault(ErrorCode::EnumMismatch, &encoding_path, format!("is base64 or hex with {name}"));
        };
        let expected = octets(name);
        if decoded_length(hash.value, encoding).is_none_or(|found| expected.is_some_and(|expected| found != expected)) {
            check.fault(ErrorCode::Pattern, &value_path, format!("is no {name} hash in {encoding}"));
        }
    }
    let mut demand = |is_there: bool, member: &str| {
        if !is_there {
            check.fault(ErrorCode::ObjectRequired, &below(path, member), format!("is missing; {name} needs it"));
        }
    };
    match name {
        "hmac" => {
            demand(hash.has_digest, "hash.digest");
            demand(hash.has_key, "hash.key");
        }
        "scrypt" => {
            demand(has_salt, "salt");
            demand(members.contains_key("keylen"), "keylen");
        }
        _ => {}
    }
}

/// Length of a digest, where the algorithm says it.
fn octets(algorithm: &str) -> Option<usize> {
    match algorithm {
        "md4" | "md5" => Some(16),
        "sha1" => Some(20),
        "sha256" => Some(32),
        "sha512" => Some(64),
        _ => None,
    }
}

/// How many octets an encoded text holds; `None` when it is not of that encoding.
fn decoded_length(text: &str, encoding: &str) -> Option<usize> {
    match encoding {
        "hex" => (text.len().is_multiple_of(2) && text.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(text.len() / 2),
        "base64" => {
            let bare = text.trim_end_matches('=');
            let is_one = text.len() - bare.len() <= 2
                && (text.len() == bare.len() || text.len().is_multiple_of(4))
                && bare.len() % 4 != 1
                && bare.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_'));
            is_one.then_some(bare.len() * 3 / 4)
        }
        _ => Some(text.len()),
    }
}

/// The PHC string format: `$id[$v=..][$parameters]$salt$hash`, base64 without padding.
fn is_phc(text: &str, ids: &[&str]) -> bool {
    let mut parts = text.split('$');
    if parts.next() != Some("") || !parts.next().is_some_and(|id| ids.contains(&id)) {
        return false;
    }
    let parts: Vec<&str> = parts.collect();
    let [middle @ .., salt, hash] = parts.as_slice() else { return false };
    let is_base64 = |text: &str| {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'.' | b'-' | b'_'))
    };
    let is_parameters = |text: &&str| {
        text.split(',').all(|one| {
            one.split_once('=').is_some_and(|(name, value)| {
                !name.is_empty()
                    && name.bytes().all(|byte| byte.is_ascii_alphanumeric())
                    && !value.is_empty()
                    && value.bytes().all(|byte| byte.is_ascii_digit())
            })
        })
    };
    (1..=2).contains(&middle.len()) && middle.iter().all(is_parameters) && is_base64(salt) && is_base64(hash)
}

/// RFC 2307: a scheme in braces and what it made.
fn is_ldap(text: &str) -> bool {
    let Some((scheme, value)) = text.strip_prefix('{').and_then(|rest| rest.split_once('}')) else { return false };
    let scheme_is_known = LDAP_SCHEMES.iter().any(|known| known.eq_ignore_ascii_case(scheme));
    if scheme.eq_ignore_ascii_case("crypt") {
        return !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_graphic());
    }
    scheme_is_known && decoded_length(value, "base64").is_some_and(|length| length >= 16)
}

fn below(path: &str, member: &str) -> String {
    format!("{path}.{member}")
}

/// Characters of a hash, a salt or a key.
const MAX_HASH: usize = 2048;

const MEMBERS: [&str; 8] = ["algorithm", "hash", "salt", "password", "keylen", "cost", "blockSize", "parallelization"];

const ALGORITHMS: [&str; 11] = ["argon2", "bcrypt", "hmac", "ldap", "md4", "md5", "sha1", "sha256", "sha512", "pbkdf2", "scrypt"];

const ENCODINGS: [&str; 3] = ["base64", "hex", "utf8"];

const DIGESTS: [&str; 9] = ["md4", "md5", "ripemd160", "sha1", "sha224", "sha256", "sha384", "sha512", "whirlpool"];

const PASSWORD_ENCODINGS: [&str; 6] = ["ascii", "utf8", "utf16le", "ucs2", "latin1", "binary"];

const PBKDF2: [&str; 6] = ["pbkdf2", "pbkdf2-sha1", "pbkdf2-sha224", "pbkdf2-sha256", "pbkdf2-sha384", "pbkdf2-sha512"];

const LDAP_SCHEMES: [&str; 7] = ["sha", "ssha", "md5", "smd5", "sha256", "ssha256", "crypt"];

#[cfg(test)]
#[path = "password_hash_tests.rs"]
mod tests;
