//! One-time codes by the clock (RFC 6238) over HOTP (RFC 4226), in the one form that every authenticator app knows: SHA-1,
//! six digits, thirty seconds.
//!
//! Whether a code was used before is not known here: the time step says so, and who accepts one remembers it.

use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::id;
use crate::secret::Secret;
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::sign::Signer;

/// Digits of a code.
pub const DIGITS: usize = 6;

/// Seconds of a time step.
pub const STEP: i64 = 30;

/// Steps by which the clocks of a phone and of ours may differ, each way (RFC 6238 5.2).
const DRIFT: i64 = 1;

/// Octets of a secret: as many as the digest has (RFC 4226 4, R6).
const SECRET: usize = 20;

/// A new secret, in base32 without padding, as apps take it.
pub fn new_secret() -> Secret<String> {
    let octets = Secret::new(id::random_bytes::<SECRET>().to_vec());
    Secret::new(to_base32(octets.expose()))
}

/// The time step whose code this is; `None`: that of none which counts now. All of them are compared, each in the same time.
///
/// # Errors
/// [`ErrorKind::Internal`] where the secret cannot be used.
pub fn step_of(secret: &Secret<String>, code: &str, now: Timestamp) -> Result<Option<i64>> {
    let unusable = || Error::new(ErrorKind::Internal, "the secret of a second factor cannot be used");
    let key = Secret::new(from_base32(secret.expose()).ok_or_else(unusable)?);
    let current = now.seconds().div_euclid(STEP);
    let mut found = None;
    for step in current - DRIFT..=current + DRIFT {
        let expected = code_of(key.expose(), step)?;
        if id::eq_constant_time(expected.as_bytes(), code.as_bytes()) {
            found = Some(step);
        }
    }
    Ok(found)
}

/// The address that an authenticator app reads (the key URI format that all of them know): who offers the account, whose it
/// is, and the secret.
pub fn address(issuer: &str, account: &str, secret: &Secret<String>) -> Secret<String> {
    // Some apps take the first colon for the one between the two, wherever it stands.
    let [issuer, account] = [issuer, account].map(|text| encoded(&text.replace(':', " ")));
    Secret::new(format!(
        "otpauth://totp/{issuer}:{account}?secret={}&issuer={issuer}&algorithm=SHA1&digits={DIGITS}&period={STEP}",
        secret.expose()
    ))
}

/// What was typed, if it may be a code: its digits, whatever script they are written in, without blanks between them.
pub fn typed(text: &str) -> Option<String> {
    let digit = |letter: char| match letter {
        '0'..='9' => Some(letter),
        // A keyboard for Japanese, Arabic or Persian writes its own.
        '\u{ff10}'..='\u{ff19}' => char::from_digit(u32::from(letter) - 0xff10, 10),
        '\u{660}'..='\u{669}' => char::from_digit(u32::from(letter) - 0x660, 10),
        '\u{6f0}'..='\u{6f9}' => char::from_digit(u32::from(letter) - 0x6f0, 10),
        _ => None,
    };
    let digits: Option<String> =
        text.chars().filter(|letter| !letter.is_whitespace() && *letter != '-').take(DIGITS + 1).map(digit).collect();
    digits.filter(|digits| digits.len() == DIGITS)
}

/// RFC 4226 5.3, with the time step for the counter (RFC 6238 4.2).
fn code_of(key: &[u8], step: i64) -> Result<String> {
    let mac = PKey::hmac(key).and_then(|key| Signer::new(MessageDigest::sha1(), &key)?.sign_oneshot_to_vec(&step.to_be_bytes()));
    let mac = mac.map_err(|error| Error::new(ErrorKind::Internal, "a one-time code cannot be made").because(error))?;
    let offset = mac.last().map_or(0, |last| usize::from(last & 0xf));
    let four = mac.get(offset..offset + 4).and_then(|four| <[u8; 4]>::try_from(four).ok()).unwrap_or_default();
    let number = u32::from_be_bytes(four) & 0x7fff_ffff;
    Ok(format!("{:0DIGITS$}", number % 1_000_000))
}

const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// RFC 4648 6, without padding.
fn to_base32(octets: &[u8]) -> String {
    let mut text = String::with_capacity(octets.len().div_ceil(5) * 8);
    for chunk in octets.chunks(5) {
        let bits = chunk.iter().fold(0_u64, |bits, octet| bits << 8 | u64::from(*octet)) << (8 * (5 - chunk.len()));
        let letters = (chunk.len() * 8).div_ceil(5);
        text.extend((0..letters).map(|place| char::from(ALPHABET[usize::try_from(bits >> (35 - 5 * place) & 31).unwrap_or(0)])));
    }
    text
}

/// The octets again, whatever the case; `None` for what is no base32, or nothing.
fn from_base32(text: &str) -> Option<Vec<u8>> {
    let mut octets = Vec::with_capacity(text.len() * 5 / 8);
    let (mut bits, mut count) = (0_u32, 0_u32);
    for letter in text.trim_end_matches('=').bytes() {
        let value = ALPHABET.iter().position(|known| *known == letter.to_ascii_uppercase())?;
        bits = (bits << 5 | u32::try_from(value).ok()?) & 0xfff;
        count += 5;
        if count >= 8 {
            count -= 8;
            octets.push(u8::try_from(bits >> count & 0xff).ok()?);
        }
    }
    (!octets.is_empty()).then_some(octets)
}

/// RFC 3986 2: all but what is never special. A blank is `%20`, since some apps show a plus sign.
fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, octet| {
        match octet {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(char::from(octet)),
            _ => encoded.push_str(&format!("%{octet:02X}")),
        }
        encoded
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &[u8] = b"12345678901234567890";

    #[test]
    fn the_codes_are_those_of_rfc_4226_and_rfc_6238() {
        // RFC 4226, appendix D.
        let expected = ["755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489"];
        for (counter, expected) in (0..).zip(expected) {
            assert_eq!(code_of(KEY, counter).expect("a code"), expected, "{counter}");
        }
        // RFC 6238, appendix B, SHA-1: the last six of its eight digits.
        for (time, expected) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(code_of(KEY, time / STEP).expect("a code"), expected, "{time}");
        }
    }

    #[test]
    fn one_step_of_drift_counts_each_way_and_no_more() {
        let secret = Secret::new(to_base32(KEY));
        let code = code_of(KEY, 100).expect("a code");
        let at = |seconds: i64| step_of(&secret, &code, Timestamp::from_seconds(seconds)).expect("compared");
        assert_eq!([at(2969), at(2970), at(3000), at(3029), at(3059), at(3060)], [None, Some(100), Some(100), Some(100), Some(100), None]);
        assert_eq!(step_of(&secret, "", Timestamp::from_seconds(3000)).expect("compared"), None);
        assert!(step_of(&Secret::new("1".into()), &code, Timestamp::from_seconds(3000)).is_err());
    }

    #[test]
    fn base32_is_that_of_rfc_4648() {
        for (octets, text) in [
            ("f", "MY"),
            ("fo", "MZXQ"),
            ("foo", "MZXW6"),
            ("foob", "MZXW6YQ"),
            ("fooba", "MZXW6YTB"),
            ("foobar", "MZXW6YTBOI"),
            ("12345678901234567890", "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"),
        ] {
            assert_eq!(to_base32(octets.as_bytes()), text);
            assert_eq!(from_base32(text).as_deref(), Some(octets.as_bytes()));
        }
        assert_eq!(from_base32("mzxw6ytboi======").as_deref(), Some(&b"foobar"[..]));
        assert_eq!([from_base32(""), from_base32("M1"), from_base32("MZ XQ")], [None, None, None]);
        let secret = new_secret();
        assert_eq!((secret.expose().len(), from_base32(secret.expose()).map(|octets| octets.len())), (32, Some(SECRET)));
    }

    #[test]
    fn what_is_typed_may_have_blanks_and_digits_of_other_scripts() {
        for text in ["287082", " 287 082 ", "287-082", "２８７０８２", "٢٨٧٠٨٢", "۲۸۷۰۸۲"] {
            assert_eq!(typed(text).as_deref(), Some("287082"), "{text}");
        }
        for text in ["", "28708", "2870822", "28708a", "28708²"] {
            assert_eq!(typed(text), None, "{text}");
        }
    }

    #[test]
    fn the_address_keeps_its_parts_apart() {
        let address = address("Acme: staff & co", "jane?x=1@acme.example", &Secret::new("MZXW6".into()));
        assert_eq!(
            address.expose(),
            "otpauth://totp/Acme%20%20staff%20%26%20co:jane%3Fx%3D1%40acme.example?secret=MZXW6\
             &issuer=Acme%20%20staff%20%26%20co&algorithm=SHA1&digits=6&period=30"
        );
    }
}
