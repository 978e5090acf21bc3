//! What the tests of this module share: a client, parameters, hostile octets.

use super::client::ClientFacts;
use super::names::{GrantType, TokenEndpointAuthMethod};
use super::params::Params;
use crate::id;
use crate::keys::Sealer;
use crate::secret::Secret;
use openssl::ec::{EcGroup, EcKey};
use openssl::ecdsa::EcdsaSig;
use openssl::nid::Nid;
use openssl::pkey::Private;
use serde_json::{Value, json};

pub const ISSUER: &str = "https://login.example.org";
pub const CALLBACK: &str = "https://notes.example/callback";
/// RFC 7636 appendix B.
pub const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// A confidential client by `client_secret_basic` whose secret is `s3cret`.
pub fn client() -> ClientFacts {
    ClientFacts {
        redirect_uris: vec![CALLBACK.to_owned()],
        post_logout_redirect_uris: vec!["https://notes.example/bye".to_owned()],
        token_endpoint_auth_method: TokenEndpointAuthMethod::ClientSecretBasic,
        secret_digests: vec![id::digest("s3cret")],
        grant_types: vec![GrantType::AuthorizationCode, GrantType::RefreshToken],
        ..ClientFacts::public("notes")
    }
}

pub fn params(pairs: &[(&str, &str)]) -> Params {
    let octets = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    Params::parse_noting_repeats(octets.as_bytes()).expect("readable parameters")
}

/// An authorization request that is in order, with some parameters replaced or added.
pub fn request(changes: &[(&str, &str)]) -> Params {
    let usual = [
        ("client_id", "notes"),
        ("redirect_uri", CALLBACK),
        ("response_type", "code"),
        ("scope", "openid profile"),
        ("state", "st"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ];
    let kept = usual.into_iter().filter(|(name, _)| changes.iter().all(|(changed, _)| changed != name));
    params(&kept.chain(changes.iter().copied()).collect::<Vec<_>>())
}

pub fn sealer() -> Sealer {
    Sealer::new(&Secret::new(vec![7; 32])).expect("a sealer")
}

/// Somebody with a P-256 key who signs JWTs.
pub struct Device(EcKey<Private>);

impl Device {
    pub fn new() -> Self {
        let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).expect("a curve");
        Self(EcKey::generate(&group).expect("a key"))
    }

    pub fn jwk(&self) -> Value {
        let number = || openssl::bn::BigNum::new().expect("a number");
        let (mut x, mut y, mut context) = (number(), number(), openssl::bn::BigNumContext::new().expect("a context"));
        self.0.public_key().affine_coordinates(self.0.group(), &mut x, &mut y, &mut context).expect("a point");
        let text = |number: openssl::bn::BigNum| id::base64url(&number.to_vec_padded(32).expect("32 octets"));
        json!({ "kty": "EC", "crv": "P-256", "x": text(x), "y": text(y) })
    }

    pub fn sign(&self, header: &Value, claims: &Value) -> String {
        let message = format!("{}.{}", id::base64url(header.to_string().as_bytes()), id::base64url(claims.to_string().as_bytes()));
        let signature = EcdsaSig::sign(&id::sha256(message.as_bytes()), &self.0).expect("signed");
        let half = |number: &openssl::bn::BigNumRef| number.to_vec_padded(32).expect("32 octets");
        format!("{message}.{}", id::base64url(&[half(signature.r()), half(signature.s())].concat()))
    }

    /// A DPoP proof for a POST with changes in its header and its claims; null takes a member away.
    pub fn proof(&self, url: &str, iat: i64, header: Value, claims: Value) -> String {
        let usual = json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": self.jwk() });
        let said = json!({ "htm": "POST", "htu": url, "iat": iat, "jti": "j1" });
        self.sign(&changed(usual, header), &changed(said, claims))
    }
}

/// An object with members replaced, added or (null) taken away.
pub fn changed(mut usual: Value, changes: Value) -> Value {
    let members = usual.as_object_mut().expect("an object");
    for (name, value) in changes.as_object().expect("an object") {
        match value {
            Value::Null => drop(members.remove(name)),
            value => drop(members.insert(name.clone(), value.clone())),
        }
    }
    usual
}

/// Octets that hate parsers: structure characters and extremes, in pseudo-random order, the same in every run.
pub fn hostile(rounds: usize) -> impl Iterator<Item = Vec<u8>> {
    const PIECES: &[&[u8]] = &[
        b"client_id",
        b"redirect_uri",
        b"http://127.0.0.1",
        b"[::1]",
        b":",
        b"99999999999",
        b"scope",
        b"=",
        b"&",
        b"%",
        b"%0",
        b"%00",
        b"%ff",
        b"%zz",
        b"+",
        b"?",
        b"#",
        b"\xff\xfe",
        b"\xc3",
        b"\xe2\x80\xae",
        b".",
        b"eyJhbGciOiJub25lIn0",
        b"{",
        b"}",
        b"\"",
        b"[[[[[[",
        b"Basic ",
        b"Bearer ",
        b"YTpi",
        b"==",
        b" ",
        b"\0",
        b"\r\n",
        b"prompt=none",
        b"A",
        b"-_",
        b"claims=",
        b"\xf0\x9f\x98\x80",
    ];
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        usize::try_from(seed % 1_000_003).expect("small")
    };
    (0..rounds).map(move |_| {
        let length = next() % 24;
        (0..length).flat_map(|_| PIECES[next() % PIECES.len()].to_vec()).collect()
    })
}
