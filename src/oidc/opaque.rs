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
const GENERATION: usize = 4;
const MAC: usize = 32;

/// `base64url(grant id, 24 random octets)`.
#[derive(Clone, Debug)]
pub struct AuthorizationCode(Opaque);

impl AuthorizationCode {
    /// A new code for the grant, whose id is 32 hexadecimal digits ([`id::random_id`]).
    pub fn issue(grant_id: &str) -> Result<Self> {
        Opaque::new(grant_id, &id::random_bytes::<CODE_RANDOM>()).map(Self)
    }

    /// `None` when the text is no code of ours.
    pub fn parse(text: &str) -> Option<Self> {
        Opaque::parse(text, CODE_RANDOM).map(|(opaque, _)| Self(opaque))
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
