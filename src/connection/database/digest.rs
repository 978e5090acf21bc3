//! Digests of passwords as others have made them, by OpenSSL, and by crates for what it does not have. Nothing here is good
//! enough for a new one.

use hmac::{KeyInit as _, Mac as _, SimpleHmac};
use md4::{Digest as _, Md4};
use openssl::hash::{MessageDigest, hash};
use openssl::pkey::PKey;
use openssl::sign::Signer;
use sha_crypt::{Params, sha256_crypt, sha512_crypt};

/// A digest function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// RFC 1320; OpenSSL has it only where an operator has turned it on.
    Md4,
    /// By OpenSSL's name.
    Named(&'static str, usize),
}

impl Kind {
    /// By the names that imports may have.
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "md4" => Self::Md4,
            "md5" => Self::Named("MD5", 16),
            "ripemd160" => Self::Named("RIPEMD160", 20),
            "sha1" => Self::Named("SHA1", 20),
            "sha224" => Self::Named("SHA224", 28),
            "sha256" => Self::Named("SHA256", 32),
            "sha384" => Self::Named("SHA384", 48),
            "sha512" => Self::Named("SHA512", 64),
            "whirlpool" => Self::Named("whirlpool", 64),
            _ => return None,
        })
    }

    /// Octets.
    pub const fn length(self) -> usize {
        match self {
            Self::Md4 => 16,
            Self::Named(_, length) => length,
        }
    }

    pub fn in_openssl(self) -> Option<MessageDigest> {
        match self {
            Self::Md4 => None,
            Self::Named(name, _) => MessageDigest::from_name(name),
        }
    }
}

/// `None` where this machine does not know it.
pub fn of(kind: Kind, octets: &[u8]) -> Option<Vec<u8>> {
    match kind {
        Kind::Md4 => Some(Md4::digest(octets).to_vec()),
        Kind::Named(..) => Some(hash(kind.in_openssl()?, octets).ok()?.to_vec()),
    }
}

/// RFC 2104.
pub fn hmac(kind: Kind, key: &[u8], octets: &[u8]) -> Option<Vec<u8>> {
    match kind {
        Kind::Md4 => {
            let mut mac = SimpleHmac::<Md4>::new_from_slice(key).ok()?;
            mac.update(octets);
            Some(mac.finalize().into_bytes().to_vec())
        }
        Kind::Named(..) => Signer::new(kind.in_openssl()?, &*PKey::hmac(key).ok()?).ok()?.sign_oneshot_to_vec(octets).ok(),
    }
}

/// crypt(3) by SHA-256 (`$5$`) and SHA-512 (`$6$`), as Ulrich Drepper has described it: the whole text of this password with
/// the salt and rounds of `setting`. `None` where it is another crypt, or wants more than a login may cost.
pub fn sha_crypt(setting: &str, password: &[u8]) -> Option<String> {
    let (kind, rest) = match setting.split_at_checked(3)? {
        ("$5$", rest) => (Kind::parse("sha256")?, rest),
        ("$6$", rest) => (Kind::parse("sha512")?, rest),
        _ => return None,
    };
    let (rounds, named, rest) = match rest.strip_prefix("rounds=").map(|rest| rest.split_once('$')) {
        Some(said) => said.map(|(rounds, rest)| Some((rounds.parse::<u32>().ok()?, true, rest)))??,
        None => (5000, false, rest),
    };
    let salt = rest.split('$').next()?;
    if !(1000..=1_000_000).contains(&rounds) || salt.len() > 16 {
        return None;
    }
    let params = Params::new(rounds).ok()?;
    let digest = match kind.length() {
        32 => sha256_crypt(password, salt.as_bytes(), params).to_vec(),
        _ => sha512_crypt(password, salt.as_bytes(), params).to_vec(),
    };
    let name = if kind.length() == 32 { "$5$" } else { "$6$" };
    let said = if named { format!("rounds={rounds}$") } else { String::new() };
    Some(format!("{name}{said}{salt}${}", sha_text(&digest)))
}

/// Its own base64, of octets in its own order.
fn sha_text(digest: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let third = digest.len() / 3;
    let at = |place: usize| digest.get(place).copied().map_or(0, u32::from);
    let mut text = String::new();
    let mut write = |mut bits: u32, count: usize| {
        for _ in 0..count {
            text.push(LETTERS.get((bits & 63) as usize).copied().map_or('.', char::from));
            bits >>= 6;
        }
    };
    for group in 0..third {
        let places = [group, group + third, group + 2 * third];
        // Which of the three comes first goes round, one way in SHA-256 and the other in SHA-512.
        let turn = if digest.len() == 32 { (3 - group % 3) % 3 } else { group % 3 };
        let [a, b, c] = [0, 1, 2].map(|place| places.get((place + turn) % 3).copied().map_or(0, at));
        write((a << 16) | (b << 8) | c, 4);
    }
    match digest.len() {
        32 => write((at(31) << 8) | at(30), 3),
        _ => write(at(63), 2),
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::hex;

    #[test]
    fn md4_has_the_values_of_rfc_1320() {
        for (text, expected) in [
            ("", "31d6cfe0d16ae931b73c59d7e0c089c0"),
            ("a", "bde52cb31de33e46245e05fbdbd6fb24"),
            ("abc", "a448017aaf21d8525fc10ae87aa6729d"),
            ("message digest", "d9130a8164549fe818874806e1c7014b"),
            ("12345678901234567890123456789012345678901234567890123456789012345678901234567890", "e33b4ddc9c38f2199c3e7b164fcc0536"),
        ] {
            assert_eq!(hex(&of(Kind::Md4, text.as_bytes()).expect("computed")), expected, "{text}");
        }
    }

    #[test]
    fn hmac_has_the_values_of_rfc_4231() {
        let sha256 = hmac(Kind::parse("sha256").expect("known"), b"Jefe", b"what do ya want for nothing?").expect("computed");
        assert_eq!(hex(&sha256), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
        let long = hmac(Kind::parse("sha512").expect("known"), &[0xaa; 131], b"Test Using Larger Than Block-Size Key - Hash Key First");
        assert!(hex(&long.expect("computed")).starts_with("80b24263c7c1a3ebb71493c1dd7be8b4"));
    }

    #[test]
    fn crypt_has_the_values_of_its_description() {
        for known in [
            "$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5",
            "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1",
            "$5$rounds=10000$saltstringsaltst$3xv.VbSHBb41AL9AvLeujZkZRBAwqFMz2.opqey6IcA",
        ] {
            assert_eq!(sha_crypt(known, b"Hello world!").as_deref(), Some(known));
            assert_ne!(sha_crypt(known, b"Hello world?").as_deref(), Some(known));
        }
        assert_eq!(sha_crypt("$6$rounds=999999999$salt$x", b"x"), None);
        assert_eq!(sha_crypt("$1$salt$x", b"x"), None);
    }
}
