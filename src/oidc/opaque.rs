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

const GRANT_ID: usize = 16;
const CODE_RANDOM: usize = 24;
const ACCESS_RANDOM: usize = 32;
const DEVICE_RANDOM: usize = 28;
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

/// `base64url(grant id, 32 random octets)`.
#[derive(Clone, Debug)]
pub struct AccessToken(Opaque);

impl AccessToken {
    /// A new token for the grant, whose id is 32 hexadecimal digits ([`id::random_id`]).
    pub fn issue(grant_id: &str) -> Result<Self> {
        Opaque::new(grant_id, &id::random_bytes::<ACCESS_RANDOM>()).map(Self)
    }

    /// `None` when the text is no access token of ours.
    pub fn parse(text: &str) -> Option<Self> {
        Opaque::parse(text, ACCESS_RANDOM).map(|(opaque, _)| Self(opaque))
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

/// `base64url(grant id, generation, MAC)`.
#[derive(Clone, Debug)]
pub struct RefreshToken {
    opaque: Opaque,
    generation: u32,
}

impl RefreshToken {
    /// The one token of this generation of the grant.
    pub fn issue(grant_id: &str, generation: u32, sealer: &Sealer) -> Result<Self> {
        let mac = mac(sealer, &grant_octets(grant_id)?, generation)?;
        let opaque = Opaque::new(grant_id, &[generation.to_be_bytes().as_slice(), &mac].concat())?;
        Ok(Self { opaque, generation })
    }

    /// `None` when the text is no refresh token of ours. Whether its generation is the current one, the store knows.
    pub fn parse(text: &str, sealer: &Sealer) -> Option<Self> {
        let (opaque, rest) = Opaque::parse(text, GENERATION + MAC)?;
        let (generation, presented) = rest.split_at_checked(GENERATION)?;
        let generation = u32::from_be_bytes(generation.try_into().ok()?);
        let expected = mac(sealer, &grant_octets(&opaque.grant_id).ok()?, generation).ok()?;
        id::eq_constant_time(presented, &expected).then_some(Self { opaque, generation })
    }

    pub fn grant_id(&self) -> &str {
        &self.opaque.grant_id
    }

    pub const fn generation(&self) -> u32 {
        self.generation
    }

    /// The token that replaces this one.
    pub fn successor(&self, sealer: &Sealer) -> Result<Self> {
        let generation =
            self.generation.checked_add(1).ok_or_else(|| Error::new(ErrorKind::InvalidGrant, "the refresh token is used up"))?;
        Self::issue(self.grant_id(), generation, sealer)
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

fn mac(sealer: &Sealer, grant_id: &[u8], generation: u32) -> Result<Vec<u8>> {
    sealer.mac(&[b"refresh", grant_id, &generation.to_be_bytes()])
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
        let refresh = RefreshToken::issue(GRANT, 7, &sealer()).expect("issued");
        assert_eq!(AuthorizationCode::parse(code.expose()).expect("ours").grant_id(), GRANT);
        assert_eq!(AccessToken::parse(access.expose()).expect("ours").grant_id(), GRANT);
        let read = RefreshToken::parse(refresh.expose(), &sealer()).expect("ours");
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
    fn a_refresh_token_has_one_successor() {
        let refresh = RefreshToken::issue(GRANT, 1, &sealer()).expect("issued");
        let (one, two) = (refresh.successor(&sealer()).expect("next"), refresh.successor(&sealer()).expect("next"));
        assert_eq!(one.expose(), two.expose());
        assert_eq!(one.generation(), 2);
        let last = RefreshToken::issue(GRANT, u32::MAX, &sealer()).expect("issued");
        assert_eq!(last.successor(&sealer()).expect_err("no more").kind, ErrorKind::InvalidGrant);
    }

    #[test]
    fn no_bit_of_a_refresh_token_can_be_changed() {
        let octets = URL_SAFE_NO_PAD.decode(RefreshToken::issue(GRANT, 1, &sealer()).expect("issued").expose()).expect("base64");
        for position in 0..octets.len() * 8 {
            let mut changed = octets.clone();
            changed[position / 8] ^= 1 << (position % 8);
            assert!(RefreshToken::parse(&URL_SAFE_NO_PAD.encode(changed), &sealer()).is_none(), "bit {position}");
        }
        let other = Sealer::new(&Secret::new(vec![8; 32])).expect("sealer");
        assert!(RefreshToken::parse(&URL_SAFE_NO_PAD.encode(octets), &other).is_none());
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
        assert!(RefreshToken::parse(access.expose(), &sealer()).is_none());
        assert!(AccessToken::parse(RefreshToken::issue(GRANT, 0, &sealer()).expect("issued").expose()).is_none());
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
        let tokens = (AuthorizationCode::issue(GRANT, false).expect("issued"), RefreshToken::issue(GRANT, 1, &sealer()).expect("issued"));
        let printed = format!("{tokens:?}");
        assert!(!printed.contains(tokens.0.expose()) && !printed.contains(tokens.1.expose()), "{printed}");
    }
}
