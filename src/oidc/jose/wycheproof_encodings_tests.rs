//! The cases of Wycheproof in which something is encoded otherwise than its standard says: base64url, the numbers of
//! ECDSA, RSASSA-PSS, RSAES-OAEP, and the padding of CBC below a good MAC. The encodings are made here by hand, octet by octet.
//!
//! What we judge otherwise: `InvalidCharacterInsertedInHeader` and `..InPayload`, whose result there is `valid`, as a lenient
//! decoder skips the character. We refuse it (RFC 7515 2: nothing but the alphabet).

use super::*;
use openssl::bn::BigNumContext;
use openssl::symm::{Cipher, Crypter, Mode, encrypt_aead};

const SECRET: &str = "a secret of the client, as long as HS512 needs it: sixty-four octets";

fn accepts_mac(token: &str) -> bool {
    verify_mac(&Secret::new(SECRET.to_owned()), token, ClientSigningAlg::ALL).is_ok()
}

/// The MAC of a text, whatever stands in it.
fn mac_of(text: &str) -> String {
    base64url(&hmac(Digest::Sha256, SECRET.as_bytes(), text))
}

fn with_mac(text: &str) -> String {
    format!("{text}.{}", mac_of(text))
}

#[test]
fn json_web_signature_base64() {
    let (header, payload) = (part(&json!({"alg": "HS256"})), base64url(PAYLOAD));
    let message = format!("{header}.{payload}");
    let mac = mac_of(&message);
    assert!(accepts_mac(&with_mac(&message)), "ValidMac");
    for (case, header) in [
        ("ValidSpacesInJsonHeader", &br#"{ "kid" : "k", "alg" : "HS256" }"#[..]),
        ("ValidWhiteSpaceInJsonHeader", b"{\"kid\":\"k\",\n\t\"alg\":\"HS256\"}"),
    ] {
        assert!(accepts_mac(&with_mac(&format!("{}.{payload}", base64url(header)))), "{case}");
    }
    // MACs that begin with zeros and with ones.
    for first in [0, 0xff] {
        let texts = (0..100_000).map(|number| format!("{header}.{}", base64url(json!({"n": number}).to_string().as_bytes())));
        let edge = texts.into_iter().find(|text| hmac(Digest::Sha256, SECRET.as_bytes(), text)[0] == first).expect("one of so many");
        assert!(accepts_mac(&with_mac(&edge)), "ValidEdgeCaseMac {first}");
    }
    for (case, token) in [
        ("rejectsSpacesInMac", format!("{message}.    {mac}")),
        ("rejectsInvalidCharacterInsertedInMac", format!("{message}.?{mac}")),
        ("rejectsInvalidCharacterInsertedInMac", format!("{message}.{mac}?")),
        ("rejects0ReplacedbyInvalidCharacter", format!("{message}.?{}", &mac[1..])),
        ("rejectsInvalidCharacters", format!("{message}.????{}", &mac[4..])),
        ("invalidBase64Padding", format!("{message}.{mac}=")),
        ("spacesInHeader", with_mac(&format!("{header}    .{payload}"))),
        ("invalidCharactersInHeader", with_mac(&format!("{header}####.{payload}"))),
        ("invalidBase64Padding in the header", with_mac(&format!("{header}==.{payload}"))),
        ("spacesInPayload", with_mac(&format!("{header}.    {payload}"))),
        ("invalidCharactersInPayload", with_mac(&format!("{header}.####{payload}"))),
        ("InvalidCharacterInPayload", with_mac(&format!("{header}.?{payload}"))),
        ("invalidBase64PaddingInPayload", with_mac(&format!("{header}.{payload}=="))),
        ("InvalidCharacterInsertedInHeader", format!("{}?{}.{payload}.{mac}", &header[..4], &header[4..])),
        ("InvalidCharacterInsertedInPayload", format!("{header}.{}?{}.{mac}", &payload[..4], &payload[4..])),
        ("the alphabet of base64", with_mac(&format!("{}.{payload}", header.replace(['-', '_'], "+") + "+"))),
    ] {
        assert!(!accepts_mac(&token), "{case}");
    }
}

/// The same octets in another text: the bits of the last character that count for nothing are set.
fn with_unused_bits(text: &str) -> String {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let last = text.chars().next_back().and_then(|last| ALPHABET.find(last)).expect("of the alphabet");
    assert_ne!(text.len() % 4, 0, "{text} has no unused bits");
    format!("{}{}", &text[..text.len() - 1], &ALPHABET[last | 1..][..1])
}

#[test]
fn json_web_signature_unused_bits() {
    let (header, payload) = (part(&json!({"alg": "HS256", "n": 1})), base64url(br#"{"sub":"fooo"}"#));
    let message = format!("{header}.{payload}");
    assert!(accepts_mac(&with_mac(&message)));
    let modified = format!("{header}.{}", with_unused_bits(&payload));
    assert!(!accepts_mac(&with_mac(&modified)), "ModifiedUnusedBitsInPayload");
    assert!(!accepts_mac(&format!("{modified}.{}", mac_of(&message))), "MacOfIncorrectlyEncodedMessage");
    assert!(!accepts_mac(&format!("{message}.{}", with_unused_bits(&mac_of(&message)))), "the same of the MAC");
}

#[test]
fn json_web_signature_ecdsa_numbers() {
    for (alg, kind, digest, curve) in [
        (ClientSigningAlg::ES256, KeyKind::EcP256, Digest::Sha256, openssl::nid::Nid::X9_62_PRIME256V1),
        (ClientSigningAlg::ES384, KeyKind::EcP384, Digest::Sha384, openssl::nid::Nid::SECP384R1),
        (ClientSigningAlg::ES512, KeyKind::EcP521, Digest::Sha512, openssl::nid::Nid::SECP521R1),
    ] {
        let signing = Signing::new(alg, kind, SignatureScheme::Ecdsa(digest));
        let message = message(&signing.header());
        let good = signing.sign(&message);
        let (r, s) = good.split_at(good.len() / 2);
        let (half, zero) = (r.len(), vec![0; r.len()]);
        let mut order = BigNum::new().expect("a number");
        let mut context = BigNumContext::new().expect("a context");
        openssl::ec::EcGroup::from_curve_name(curve).and_then(|group| group.order(&mut order, &mut context)).expect("an order");
        let order = order.to_vec_padded(half as i32).expect("octets");
        let der = openssl::ecdsa::EcdsaSig::from_private_components(
            BigNum::from_slice(r).expect("a number"),
            BigNum::from_slice(s).expect("a number"),
        )
        .and_then(|signature| signature.to_der())
        .expect("DER");
        for (case, signature) in [
            ("r and s are zero", [&zero[..], &zero].concat()),
            ("r is zero", [&zero[..], s].concat()),
            ("s is zero", [r, &zero[..]].concat()),
            ("RisTooBig", [&sum(r, &order), &[&[0], s].concat()[..]].concat()),
            ("SisTooBig", [&[&[0], r].concat()[..], &sum(s, &order)].concat()),
            ("IntegerOverflow r", [&[1][..], r, &[0], s].concat()),
            ("IntegerOverflow s", [&[0][..], r, &[1], s].concat()),
            ("BufferOverflow", [&[0; 300][..], r, &[0; 300], s].concat()),
            ("s is the order", [r, &order[..]].concat()),
            ("r is the order", [&order[..], s].concat()),
            ("swapped", [s, r].concat()),
            ("DER", der),
            ("a longer s", [r, &[0], s].concat()),
            ("longer halves", [&[0][..], r, &[0], s].concat()),
            ("shorter", good[1..].to_vec()),
            ("one octet more", [&good[..], &[0]].concat()),
        ] {
            assert!(!signing.accepts(&format!("{message}.{}", base64url(&signature))), "{case} {alg:?}");
        }
        // The other s of the same r is as good.
        assert!(signing.accepts(&format!("{message}.{}", base64url(&[r, &difference(&order, s)].concat()))), "valid {alg:?}");
        let one = [&zero[1..], &[1]].concat();
        let limits = [("Zero", zero), ("One", one.clone()), ("Nminus1", difference(&order, &one)), ("N", order.clone())];
        for (r_is, r) in &limits {
            for (s_is, s) in &limits {
                let token = format!("{message}.{}", base64url(&[&r[..], s].concat()));
                assert!(!signing.accepts(&token), "rIs{r_is}_sIs{s_is} {alg:?}");
            }
        }
    }
}

/// With room for one octet more.
fn sum(one: &[u8], other: &[u8]) -> Vec<u8> {
    let mut sum = BigNum::new().expect("a number");
    sum.checked_add(&BigNum::from_slice(one).expect("a number"), &BigNum::from_slice(other).expect("a number")).expect("a sum");
    sum.to_vec_padded(one.len() as i32 + 1).expect("octets")
}

fn difference(one: &[u8], other: &[u8]) -> Vec<u8> {
    let mut difference = BigNum::new().expect("a number");
    let (one_number, other) = (BigNum::from_slice(one).expect("a number"), BigNum::from_slice(other).expect("a number"));
    difference.checked_sub(&one_number, &other).expect("a difference");
    difference.to_vec_padded(one.len() as i32).expect("octets")
}

/// RFC 8017 B.2.1.
fn mgf1(digest: Digest, seed: &[u8], length: usize) -> Vec<u8> {
    let block = |counter: u32| openssl::hash::hash(digest.openssl(), &[seed, &counter.to_be_bytes()].concat()).expect("a digest").to_vec();
    (0..).flat_map(block).take(length).collect()
}

fn xor(one: &[u8], other: &[u8]) -> Vec<u8> {
    one.iter().zip(other).map(|(one, other)| one ^ other).collect()
}

fn sha256(octets: &[u8]) -> Vec<u8> {
    openssl::sha::sha256(octets).to_vec()
}

/// EMSA-PSS (RFC 8017 9.1.1) for a modulus of 2048 bits, with places for mistakes.
#[derive(Clone)]
struct Pss {
    zeros: [u8; 8],
    message_hash: Vec<u8>,
    salt: Vec<u8>,
    /// An octet of the filling zeros that is none.
    filling: Option<usize>,
    separator: u8,
    /// An octet of the hash that is another.
    hash: Option<usize>,
    trailer: u8,
    mgf1: Digest,
    top_bit: bool,
}

impl Pss {
    fn of(message: &str) -> Self {
        Self {
            zeros: [0; 8],
            message_hash: sha256(message.as_bytes()),
            salt: vec![7; 32],
            filling: None,
            separator: 1,
            hash: None,
            trailer: 0xbc,
            mgf1: Digest::Sha256,
            top_bit: false,
        }
    }

    fn block(&self) -> Vec<u8> {
        let mut hash = sha256(&[&self.zeros[..], &self.message_hash, &self.salt].concat());
        let mut filling = vec![0; 256 - 34 - self.salt.len()];
        if let Some(at) = self.filling {
            filling[at] = 1;
        }
        let data = [&filling[..], &[self.separator], &self.salt].concat();
        let mut masked = xor(&data, &mgf1(self.mgf1, &hash, data.len()));
        masked[0] = if self.top_bit { masked[0] | 0x80 } else { masked[0] & 0x7f };
        if let Some(at) = self.hash {
            hash[at] ^= 1;
        }
        [&masked[..], &hash, &[self.trailer]].concat()
    }
}

#[test]
fn json_web_signature_pss_encodings() {
    let signing = Signing::new(ClientSigningAlg::PS256, KeyKind::Rsa, SignatureScheme::RsaPss(Digest::Sha256));
    let rsa = PKey::private_key_from_pem(&signing.key.pem_for_tests()).and_then(|key| key.rsa()).expect("RSA");
    let message = message(&signing.header());
    let accepts = |encoding: &Pss| {
        let mut signature = vec![0; 256];
        rsa.private_encrypt(&encoding.block(), &mut signature, Padding::NONE).expect("a number below the modulus");
        signing.accepts(&format!("{message}.{}", base64url(&signature)))
    };
    let good = Pss::of(&message);
    for (case, salt) in [("valid", vec![7; 32]), ("saltIsAll0", vec![0; 32]), ("saltIsAll1", vec![0xff; 32])] {
        assert!(accepts(&Pss { salt, ..good.clone() }), "{case}");
    }
    for length in [0, 1, 20, 31, 33, 64, 222] {
        assert!(!accepts(&Pss { salt: vec![7; length], ..good.clone() }), "SaltLenChanged {length}");
    }
    for at in [0, 3, 15, 31] {
        assert!(!accepts(&Pss { hash: Some(at), ..good.clone() }), "ModifiedHash {at}");
        let mut message_hash = good.message_hash.clone();
        message_hash[at] ^= 1;
        assert!(!accepts(&Pss { message_hash, ..good.clone() }), "MhashModified, lastByteOfMhashModified {at}");
    }
    for at in [0, 4, 7] {
        let mut zeros = [0; 8];
        zeros[at] = 1;
        assert!(!accepts(&Pss { zeros, ..good.clone() }), "ZeroPaddingModified {at}");
    }
    // The first bit of the filling is cut off anyway; its first octet still has seven.
    for at in [0, 1, 100, 189] {
        assert!(!accepts(&Pss { filling: Some(at), ..good.clone() }), "PSModified {at}");
    }
    for (case, encoding) in [
        ("no separator", Pss { separator: 0, ..good.clone() }),
        ("another separator", Pss { separator: 2, ..good.clone() }),
        ("another trailer", Pss { trailer: 0xbd, ..good.clone() }),
        ("the trailer of ISO 9796", Pss { trailer: 0xcc, ..good.clone() }),
        ("no trailer", Pss { trailer: 0, ..good.clone() }),
        ("MGF1 with another digest", Pss { mgf1: Digest::Sha1, ..good.clone() }),
        ("the hash of nothing", Pss { message_hash: sha256(b""), ..good.clone() }),
    ] {
        assert!(!accepts(&encoding), "{case}");
    }
    // A bit beyond the length, in an encoding that is below the modulus with it.
    let low = (0..=255).map(|salt| Pss { salt: vec![salt; 32], ..good.clone() }).find(|encoding| encoding.block()[0] < 0x10);
    let low = low.expect("one of so many");
    assert!(accepts(&low) && !accepts(&Pss { top_bit: true, ..low }), "a bit beyond the length");
}

/// RSAES-OAEP (RFC 8017 7.1.1) for a modulus of 2048 bits, with places for mistakes.
#[derive(Clone)]
struct Oaep {
    first: u8,
    label_hash: Vec<u8>,
    filling: u8,
    separator: u8,
    mgf1: Digest,
    key: Vec<u8>,
}

impl Oaep {
    fn of(key: &[u8]) -> Self {
        Self { first: 0, label_hash: sha256(b""), filling: 0, separator: 1, mgf1: Digest::Sha256, key: key.to_vec() }
    }

    fn block(&self) -> Vec<u8> {
        let seed = [9; 32];
        let filled = 223 - self.label_hash.len() - 1 - self.key.len();
        let data = [&self.label_hash[..], &vec![self.filling; filled], &[self.separator], &self.key].concat();
        let masked = xor(&data, &mgf1(self.mgf1, &seed, data.len()));
        [&[self.first][..], &xor(&seed, &mgf1(self.mgf1, &masked, 32)), &masked].concat()
    }

    /// The encrypted key of a JWE to the key of an opener.
    fn encrypted(&self, opener: &Opener) -> String {
        let rsa = PKey::private_key_from_pem(&opener.key.pem_for_tests()).and_then(|key| key.rsa()).expect("RSA");
        let mut encrypted = vec![0; 256];
        rsa.public_encrypt(&self.block(), &mut encrypted, Padding::NONE).expect("a number below the modulus");
        base64url(&encrypted)
    }
}

fn rsa_opener() -> Opener {
    let key = PrivateKey::generate(KeyKind::Rsa).expect("a key");
    Opener { kid: key_id(&key).expect("a kid"), key }
}

#[test]
fn json_web_encryption_oaep_encodings() {
    let (opener, key, iv) = (rsa_opener(), [5; 16], [3; 12]);
    let header = part(&json!({"alg": "RSA-OAEP-256", "enc": "A128GCM"}));
    let mut tag = [0; 16];
    let text = encrypt_aead(Cipher::aes_128_gcm(), &key, Some(&iv), header.as_bytes(), b"foo", &mut tag).expect("encrypted");
    let opened = |encoding: &Oaep| {
        let token = format!("{header}.{}.{}.{}.{}", encoding.encrypted(&opener), base64url(&iv), base64url(&text), base64url(&tag));
        jwe::decrypt(&token, [&opener])
    };
    let good = Oaep::of(&key);
    assert_eq!(opened(&good).expect("valid"), b"foo");
    let mut details = Vec::new();
    for (case, encoding) in [
        ("firstByteIsNotZero", Oaep { first: 1, ..good.clone() }),
        ("another label", Oaep { label_hash: sha256(b"label"), ..good.clone() }),
        ("the label by another digest", Oaep { label_hash: openssl::sha::sha1(b"").to_vec(), ..good.clone() }),
        ("filling of ones", Oaep { filling: 1, ..good.clone() }),
        ("filling of another octet", Oaep { filling: 2, ..good.clone() }),
        ("no separator", Oaep { separator: 0, key: vec![0; 16], ..good.clone() }),
        ("another separator", Oaep { separator: 2, ..good.clone() }),
        ("MGF1 with another digest", Oaep { mgf1: Digest::Sha1, ..good.clone() }),
        ("emptyMessage", Oaep::of(&[])),
        ("a key that is too short", Oaep::of(&key[1..])),
        ("a key that is too long", Oaep::of(&[&key[..], &[0]].concat())),
        ("another key", Oaep::of(&[6; 16])),
    ] {
        details.push(opened(&encoding).expect_err(case).detail);
    }
    assert!(details.windows(2).all(|pair| pair[0] == pair[1]), "they can be told apart: {details:?}");
}

#[test]
fn json_web_encryption_paddings_of_cbc() {
    let (opener, key, iv) = (rsa_opener(), [5; 32], [3; 16]);
    let header = part(&json!({"alg": "RSA-OAEP-256", "enc": "A128CBC-HS256"}));
    let encrypted_key = Oaep::of(&key).encrypted(&opener);
    // RFC 7518 5.2.2.1; without padding, so that any can be written by hand.
    let encrypted = |padded: &[u8]| {
        let mut crypter = Crypter::new(Cipher::aes_128_cbc(), Mode::Encrypt, &key[16..], Some(&iv)).expect("AES");
        crypter.pad(false);
        let mut text = vec![0; padded.len() + 16];
        let mut length = crypter.update(padded, &mut text).expect("encrypted");
        length += crypter.finalize(&mut text[length..]).expect("whole blocks");
        text.truncate(length);
        text
    };
    let tag_of = |iv: &[u8], text: &[u8]| {
        let bits = u64::try_from(header.len() * 8).expect("a length").to_be_bytes();
        let key = PKey::hmac(&key[..16]).expect("a key");
        let message = [header.as_bytes(), iv, text, &bits].concat();
        let mac = Signer::new(MessageDigest::sha256(), &key).and_then(|mut signer| signer.sign_oneshot_to_vec(&message)).expect("made");
        mac[..16].to_vec()
    };
    let token =
        |iv: &[u8], text: &[u8], tag: &[u8]| format!("{header}.{encrypted_key}.{}.{}.{}", base64url(iv), base64url(text), base64url(tag));
    let whole = |text: &[u8]| jwe::decrypt(&token(&iv, text, &tag_of(&iv, text)), [&opener]);
    let good = encrypted(&[&b"foo"[..], &[13; 13]].concat());
    assert_eq!(whole(&good).expect("valid"), b"foo");
    assert_eq!(whole(&encrypted(&[16; 16])).expect("valid"), b"");
    let mut details = Vec::new();
    for (case, text) in [
        ("WrongPKCS5Padding: zero", encrypted(&[0; 16])),
        ("WrongPKCS5Padding: longer than a block", encrypted(&[17; 16])),
        ("WrongPKCS5Padding: not all the same", encrypted(&[&b"foo"[..], &[12; 12], &[13]].concat())),
        ("WrongPKCS5Padding: none", encrypted(b"sixteen octets!!")),
        ("not a whole block", good[..15].to_vec()),
        ("no block", Vec::new()),
    ] {
        details.push(whole(&text).expect_err(case).detail);
    }
    let changed = |octets: &[u8]| [&[octets[0] ^ 1], &octets[1..]].concat();
    let tag = tag_of(&iv, &good);
    for (case, token) in [
        ("ModifiedIV", token(&changed(&iv), &good, &tag)),
        ("ModifiedCiphertext", token(&iv, &changed(&good), &tag)),
        ("ModifiedHmac", token(&iv, &good, &changed(&tag))),
    ] {
        details.push(jwe::decrypt(&token, [&opener]).expect_err(case).detail);
    }
    assert!(details.windows(2).all(|pair| pair[0] == pair[1]), "they can be told apart: {details:?}");
}
