//! Digests of passwords as others have made them. Nothing here is good enough for a new one.

use openssl::hash::{MessageDigest, hash};

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

    /// Octets that go in at once.
    fn block(self) -> usize {
        match self {
            Self::Named("SHA384" | "SHA512", _) => 128,
            _ => 64,
        }
    }
}

/// `None` where this machine does not know it.
pub fn of(kind: Kind, octets: &[u8]) -> Option<Vec<u8>> {
    match kind {
        Kind::Md4 => Some(md4(octets).to_vec()),
        Kind::Named(..) => Some(hash(kind.in_openssl()?, octets).ok()?.to_vec()),
    }
}

/// RFC 2104.
pub fn hmac(kind: Kind, key: &[u8], octets: &[u8]) -> Option<Vec<u8>> {
    let mut block = if key.len() > kind.block() { of(kind, key)? } else { key.to_vec() };
    block.resize(kind.block(), 0);
    let with = |pad: u8, rest: &[u8]| of(kind, &[block.iter().map(|octet| octet ^ pad).collect::<Vec<u8>>().as_slice(), rest].concat());
    with(0x5c, &with(0x36, octets)?)
}

/// RFC 1320.
pub fn md4(octets: &[u8]) -> [u8; 16] {
    let mut message = octets.to_vec();
    message.push(0x80);
    while message.len() % 64 != 56 {
        message.push(0);
    }
    let bits = u64::try_from(octets.len()).unwrap_or(u64::MAX).wrapping_mul(8);
    message.extend_from_slice(&bits.to_le_bytes());
    let mut state = [0x6745_2301_u32, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];
    for block in message.chunks_exact(64) {
        let words: Vec<u32> =
            block.chunks_exact(4).map(|word| word.iter().rev().fold(0, |all, octet| (all << 8) | u32::from(*octet))).collect();
        let before = state;
        for (round, order) in MD4_ORDER.iter().enumerate() {
            for (step, place) in order.iter().enumerate() {
                let [a, b, c, d] = state;
                let (mixed, added) = match round {
                    0 => ((b & c) | (!b & d), 0),
                    1 => ((b & c) | (b & d) | (c & d), 0x5a82_7999),
                    _ => (b ^ c ^ d, 0x6ed9_eba1),
                };
                let word = words.get(*place).copied().unwrap_or_default();
                let turned = a.wrapping_add(mixed).wrapping_add(word).wrapping_add(added).rotate_left(MD4_TURNS[round][step % 4]);
                state = [d, turned, b, c];
            }
        }
        for (now, before) in state.iter_mut().zip(before) {
            *now = now.wrapping_add(before);
        }
    }
    let mut digest = [0; 16];
    for (place, octet) in digest.iter_mut().zip(state.iter().flat_map(|word| word.to_le_bytes())) {
        *place = octet;
    }
    digest
}

const MD4_ORDER: [[usize; 16]; 3] = [
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
    [0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15],
    [0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15],
];

const MD4_TURNS: [[u32; 4]; 3] = [[3, 7, 11, 19], [3, 5, 9, 13], [3, 9, 11, 15]];

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
    let digest = sha_rounds(kind, rounds, salt.as_bytes(), password)?;
    let name = if kind.length() == 32 { "$5$" } else { "$6$" };
    let said = if named { format!("rounds={rounds}$") } else { String::new() };
    Some(format!("{name}{said}{salt}${}", sha_text(&digest)))
}

fn sha_rounds(kind: Kind, rounds: u32, salt: &[u8], password: &[u8]) -> Option<Vec<u8>> {
    let spread = |octets: &[u8], length: usize| octets.iter().copied().cycle().take(length).collect::<Vec<u8>>();
    let other = of(kind, &[password, salt, password].concat())?;
    let mut first = [password, salt, &spread(&other, password.len())].concat();
    let mut bits = password.len();
    while bits > 0 {
        first.extend_from_slice(if bits & 1 == 1 { &other } else { password });
        bits >>= 1;
    }
    let mut digest = of(kind, &first)?;
    let passwords = spread(&of(kind, &password.repeat(password.len()))?, password.len());
    let salts = spread(&of(kind, &salt.repeat(16 + usize::from(*digest.first()?)))?, salt.len());
    for round in 0..rounds {
        let mut text = if round & 1 == 1 { passwords.clone() } else { digest.clone() };
        if round % 3 != 0 {
            text.extend_from_slice(&salts);
        }
        if round % 7 != 0 {
            text.extend_from_slice(&passwords);
        }
        text.extend_from_slice(if round & 1 == 1 { &digest } else { &passwords });
        digest = of(kind, &text)?;
    }
    Some(digest)
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
            assert_eq!(hex(&md4(text.as_bytes())), expected, "{text}");
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
