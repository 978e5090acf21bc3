//! The texts that stand for a grant: authorization codes, access tokens and refresh tokens.
//!
//! Each begins with the 16 octets of its grant id, so that a store finds everything of one grant under one key.
//! Codes and access tokens are random, and stores keep their digest only. A refresh token is computed: its
//! generation and a MAC over it. A store keeps the current generation, and a lost answer can be given again
//! with the same successor.

use crate::error::{Error, ErrorKind, Result};
use crate::id;
use crate::keys::Sealer;
use crate::secret::Secret;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

const GRANT_ID: usize = 16;
const CODE_RANDOM: usize = 24;
const ACCESS_RANDOM: usize = 32;
const DEVICE_RANDOM: usize = 28;
/// Octets of a JWT that are read at most.
const LONGEST_JWT: usize = 32 * 1024;
const GENERATION: usize = 4;
const MAC: usize = 32;

/// `base64url(grant id, 24 random octets)`.
#[derive(Clone, Debug)]
pub struct AuthorizationCode {
    opaque: Opaque,
    gives_offline_access: bool,
}

impl AuthorizationCode {
    /// A new code for the grant, whose id is 32 hexadecimal digits ([`id::random_id`]). One bit of it says whether
    /// the grant includes offline access: how long its use is to be remembered has to be known before it is used.
    pub fn issue(grant_id: &str, gives_offline_access: bool) -> Result<Self> {
        let mut random = id::random_bytes::<CODE_RANDOM>();
        random[0] = random[0] & !1 | u8::from(gives_offline_access);
        Ok(Self { opaque: Opaque::new(grant_id, &random)?, gives_offline_access })
    }

    /// `None` when the text is no code of ours.
    pub fn parse(text: &str) -> Option<Self> {
        let (opaque, random) = Opaque::parse(text, CODE_RANDOM)?;
        Some(Self { opaque, gives_offline_access: random.first()? & 1 == 1 })
    }

    pub fn grant_id(&self) -> &str {
        &self.opaque.grant_id
    }

    /// Cannot be changed by whoever holds the code: another bit is another code, which is unknown.
    pub const fn gives_offline_access(&self) -> bool {
        self.gives_offline_access
    }

    pub fn expose(&self) -> &str {
        self.opaque.text.expose()
    }

    /// What a store keeps.
    pub fn digest(&self) -> String {
        id::digest(self.expose())
    }
}

/// `base64url(grant id, 32 random octets)`; or, for resource servers that read them, a JWT whose `jti` begins with the
/// grant id ([`super::access_token`]). Both have a record, under the digest of their whole text: what a JWT says is not
/// believed here, it only leads to the grant.
#[derive(Clone, Debug)]
pub struct AccessToken(Opaque);

impl AccessToken {
    /// A new token for the grant, whose id is 32 hexadecimal digits ([`id::random_id`]).
    pub fn issue(grant_id: &str) -> Result<Self> {
        Opaque::new(grant_id, &id::random_bytes::<ACCESS_RANDOM>()).map(Self)
    }

    /// `None` when the text is no access token of ours.
    pub fn parse(text: &str) -> Option<Self> {
        Opaque::parse(text, ACCESS_RANDOM).map(|(opaque, _)| Self(opaque)).or_else(|| Self::of_jwt(text))
    }

    /// A JWT that was just signed.
    pub(super) fn from_jwt(text: String) -> Result<Self> {
        Self::of_jwt(&text).ok_or_else(|| Error::new(ErrorKind::Internal, "an access token has no grant id"))
    }

    fn of_jwt(text: &str) -> Option<Self> {
        if text.len() > LONGEST_JWT || text.bytes().filter(|byte| *byte == b'.').count() != 2 {
            return None;
        }
        let claims: Map<String, Value> = serde_json::from_slice(&id::from_base64url(text.split('.').nth(1)?)?).ok()?;
        let (grant_id, _) = claims.get("jti")?.as_str()?.split_once('.')?;
        let grant_id = id::hex(&grant_octets(grant_id).ok()?);
        Some(Self(Opaque { text: Secret::new(text.to_owned()), grant_id }))
    }

    /// The `jti` of a JWT of this grant.
    pub(super) fn jti(grant_id: &str, unique: &str) -> String {
        format!("{grant_id}.{unique}")
    }

    /// Is it a JWT, which resource servers read?
    pub fn is_jwt(&self) -> bool {
        self.expose().contains('.')
    }

    pub fn grant_id(&self) -> &str {
        &self.0.grant_id
    }

    pub fn expose(&self) -> &str {
        self.0.text.expose()
    }

    /// What a store keeps.
    pub fn digest(&self) -> String {
        id::digest(self.expose())
    }
}

/// `base64url(grant id, 28 random octets)`: what a device polls with (RFC 8628 3.2).
#[derive(Clone, Debug)]
pub struct DeviceCode(Opaque);

impl DeviceCode {
    /// A new code for the grant, whose id is 32 hexadecimal digits ([`id::random_id`]).
    pub fn issue(grant_id: &str) -> Result<Self> {
        Opaque::new(grant_id, &id::random_bytes::<DEVICE_RANDOM>()).map(Self)
    }

    /// `None` when the text is no device code of ours.
    pub fn parse(text: &str) -> Option<Self> {
        Opaque::parse(text, DEVICE_RANDOM).map(|(opaque, _)| Self(opaque))
    }

    pub fn grant_id(&self) -> &str {
        &self.0.grant_id
    }

    pub fn expose(&self) -> &str {
        self.0.text.expose()
    }

    /// What a store keeps.
    pub fn digest(&self) -> String {
        id::digest(self.expose())
    }
}

/// `base64url(grant id, generation, MAC)`. The MAC covers the key to which the token is bound, if it is bound to one: with
/// another key it is no token, and nothing has to be looked up to see that.
#[derive(Clone, Debug)]
pub struct RefreshToken {
    opaque: Opaque,
    generation: u32,
    bound: Option<String>,
}

impl RefreshToken {
    /// The one token of this generation of the grant. `bound`: to which key, for a client that cannot prove who it is.
    pub fn issue(grant_id: &str, generation: u32, bound: Option<&str>, sealer: &Sealer) -> Result<Self> {
        let mac = mac(sealer, &grant_octets(grant_id)?, generation, bound)?;
        let opaque = Opaque::new(grant_id, &[generation.to_be_bytes().as_slice(), &mac].concat())?;
        Ok(Self { opaque, generation, bound: bound.map(str::to_owned) })
    }

    /// `None` when the text is no refresh token of ours that is bound so. Whether its generation is the current one, the
    /// store knows.
    pub fn parse(text: &str, bound: Option<&str>, sealer: &Sealer) -> Option<Self> {
        let (opaque, rest) = Opaque::parse(text, GENERATION + MAC)?;
        let (generation, presented) = rest.split_at_checked(GENERATION)?;
        let generation = u32::from_be_bytes(generation.try_into().ok()?);
        let expected = mac(sealer, &grant_octets(&opaque.grant_id).ok()?, generation, bound).ok()?;
        id::eq_constant_time(presented, &expected).then(|| Self { opaque, generation, bound: bound.map(str::to_owned) })
    }

    /// The key to which it is bound.
    pub fn bound(&self) -> Option<&str> {
        self.bound.as_deref()
    }

    /// The grant that a text would belong to if it were a refresh token: for looking up to what it is bound.
    pub fn unproven_grant_id(text: &str) -> Option<String> {
        Opaque::parse(text, GENERATION + MAC).map(|(opaque, _)| opaque.grant_id)
    }

    pub fn grant_id(&self) -> &str {
        &self.opaque.grant_id
    }

    pub const fn generation(&self) -> u32 {
        self.generation
    }

    pub fn expose(&self) -> &str {
        self.opaque.text.expose()
    }

    /// What a store keeps.
    pub fn digest(&self) -> String {
        id::digest(self.expose())
    }
}

#[derive(Clone, Debug)]
struct Opaque {
    text: Secret<String>,
    grant_id: String,
}

impl Opaque {
    fn new(grant_id: &str, rest: &[u8]) -> Result<Self> {
        let octets = grant_octets(grant_id)?;
        let text = URL_SAFE_NO_PAD.encode([octets.as_slice(), rest].concat());
        Ok(Self { text: Secret::new(text), grant_id: id::hex(&octets) })
    }

    /// The value and the octets after the grant id, which must be `rest` in number.
    fn parse(text: &str, rest: usize) -> Option<(Self, Vec<u8>)> {
        if text.len() != (GRANT_ID + rest).saturating_mul(4).div_ceil(3) {
            return None;
        }
        let octets = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (grant_id, tail) = octets.split_at_checked(GRANT_ID)?;
        Some((Self { text: Secret::new(text.to_owned()), grant_id: id::hex(grant_id) }, tail.to_vec()))
    }
}

fn mac(sealer: &Sealer, grant_id: &[u8], generation: u32, bound: Option<&str>) -> Result<Vec<u8>> {
    let generation = generation.to_be_bytes();
    match bound {
        None => sealer.mac(&[b"refresh", grant_id, &generation]),
        Some(key) => sealer.mac(&[b"refresh-bound", grant_id, &generation, key.as_bytes()]),
    }
}

fn grant_octets(grant_id: &str) -> Result<[u8; GRANT_ID]> {
    let refuse = || Error::new(ErrorKind::Internal, "a grant id must be 32 hexadecimal digits");
    if grant_id.len() != 2 * GRANT_ID || !grant_id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(refuse());
    }
    u128::from_str_radix(grant_id, 16).map(u128::to_be_bytes).map_err(|_| refuse())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oidc::testing::sealer;

    const GRANT: &str = "00112233445566778899aabbccddeeff";

    #[test]
    fn each_token_names_its_grant_and_is_read_back() {
        let code = AuthorizationCode::issue(GRANT, false).expect("issued");
        let access = AccessToken::issue(GRANT).expect("issued");
        let refresh = RefreshToken::issue(GRANT, 7, None, &sealer()).expect("issued");
        assert_eq!(AuthorizationCode::parse(code.expose()).expect("ours").grant_id(), GRANT);
        assert_eq!(AccessToken::parse(access.expose()).expect("ours").grant_id(), GRANT);
        let read = RefreshToken::parse(refresh.expose(), None, &sealer()).expect("ours");
        assert_eq!((read.grant_id(), read.generation()), (GRANT, 7));
        assert_eq!(read.digest(), id::digest(refresh.expose()));
        assert_ne!(code.digest(), AuthorizationCode::issue(GRANT, false).expect("issued").digest());
    }

    #[test]
    fn a_code_says_whether_it_gives_offline_access() {
        for offline in [true, false] {
            let code = AuthorizationCode::issue(GRANT, offline).expect("issued");
            assert_eq!(code.gives_offline_access(), offline);
            assert_eq!(AuthorizationCode::parse(code.expose()).expect("ours").gives_offline_access(), offline);
        }
    }

    #[test]
    fn a_generation_has_one_refresh_token() {
        let (one, two) = (RefreshToken::issue(GRANT, 2, None, &sealer()), RefreshToken::issue(GRANT, 2, None, &sealer()));
        assert_eq!(one.expect("issued").expose(), two.expect("issued").expose());
    }

    #[test]
    fn a_bound_refresh_token_is_none_for_another_key() {
        let bound = RefreshToken::issue(GRANT, 1, Some("k1"), &sealer()).expect("issued");
        let free = RefreshToken::issue(GRANT, 1, None, &sealer()).expect("issued");
        assert!(RefreshToken::parse(bound.expose(), Some("k1"), &sealer()).is_some());
        for other in [None, Some("k2"), Some("")] {
            assert!(RefreshToken::parse(bound.expose(), other, &sealer()).is_none(), "{other:?}");
        }
        assert!(RefreshToken::parse(free.expose(), Some("k1"), &sealer()).is_none());
        assert_eq!(RefreshToken::unproven_grant_id(bound.expose()).as_deref(), Some(GRANT));
    }

    #[test]
    fn what_leads_to_no_grant_is_no_access_token() {
        let jwt = |payload: &str| format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(payload));
        assert_eq!(AccessToken::parse(&jwt(&format!(r#"{{"jti":"{GRANT}.x"}}"#))).expect("a grant").grant_id(), GRANT);
        for text in [jwt("{}"), jwt(r#"{"jti":"x.y"}"#), jwt(r#"{"jti":1}"#), jwt("["), jwt(&format!(r#"{{"jti":"{GRANT}.x"}}"#)) + ".x"] {
            assert!(AccessToken::parse(&text).is_none(), "{text}");
        }
    }

    #[test]
    fn no_bit_of_a_refresh_token_can_be_changed() {
        let octets = URL_SAFE_NO_PAD.decode(RefreshToken::issue(GRANT, 1, None, &sealer()).expect("issued").expose()).expect("base64");
        for position in 0..octets.len() * 8 {
            let mut changed = octets.clone();
            changed[position / 8] ^= 1 << (position % 8);
            assert!(RefreshToken::parse(&URL_SAFE_NO_PAD.encode(changed), None, &sealer()).is_none(), "bit {position}");
        }
        let other = Sealer::new(&Secret::new(vec![8; 32])).expect("sealer");
        assert!(RefreshToken::parse(&URL_SAFE_NO_PAD.encode(octets), None, &other).is_none());
    }

    #[test]
    fn one_kind_of_token_is_never_read_as_another() {
        let code = AuthorizationCode::issue(GRANT, false).expect("issued");
        let access = AccessToken::issue(GRANT).expect("issued");
        assert!(AccessToken::parse(code.expose()).is_none());
        let device = DeviceCode::issue(GRANT).expect("issued");
        assert!(AccessToken::parse(device.expose()).is_none() && AuthorizationCode::parse(device.expose()).is_none());
        assert!(DeviceCode::parse(access.expose()).is_none());
        assert!(AuthorizationCode::parse(access.expose()).is_none());
        assert!(RefreshToken::parse(access.expose(), None, &sealer()).is_none());
        assert!(AccessToken::parse(RefreshToken::issue(GRANT, 0, None, &sealer()).expect("issued").expose()).is_none());
    }

    #[test]
    fn there_is_one_text_for_one_token() {
        let code = AuthorizationCode::issue(GRANT, false).expect("issued");
        for text in [format!("{}=", code.expose()), format!(" {}", code.expose()), code.expose().replace(|c: char| c.is_ascii(), "+")] {
            assert!(AuthorizationCode::parse(&text).is_none(), "{text}");
        }
    }

    #[test]
    fn a_grant_id_of_another_form_is_refused() {
        for id in ["", "+0112233445566778899aabbccddeeff", "00112233445566778899aabbccddeef", "0x112233445566778899aabbccddeeff"] {
            assert!(AccessToken::issue(id).is_err(), "{id}");
        }
    }

    #[test]
    fn tokens_do_not_print() {
        let tokens =
            (AuthorizationCode::issue(GRANT, false).expect("issued"), RefreshToken::issue(GRANT, 1, None, &sealer()).expect("issued"));
        let printed = format!("{tokens:?}");
        assert!(!printed.contains(tokens.0.expose()) && !printed.contains(tokens.1.expose()), "{printed}");
    }
}
