//! The only home of JOSE: signing with our keys, publishing their public halves, verifying what we signed.
//!
//! Signatures are made by `keys`, from which no private key leaves; everything that does not change between two
//! tokens (header, key id, JWKS, verifiers) is prepared once. The algorithm belongs to the key: a token's header
//! can only agree with it. Header members that name or carry keys (`jku`, `jwk`, `x5u`, `x5c`) are never looked at.

pub mod jwe;
mod keys;
mod public;
mod public_key;
mod published;
mod received;
mod shared;
mod signer;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod wycheproof_tests;

pub use keys::signing_alg;
pub use keys::{AlgKeys, OidcKeys};
pub use public::{IdTokenHint, PublicKeys};
pub use public_key::{Curve, PublicKey, PublicKeyKind, may_encrypt, may_verify};
pub use published::{jwk_of_pem, key_id, members_of as public_jwk};
pub use received::{MAX_RECEIVED, Received, secret_octets};
pub use shared::{sign_shared, verify_shared};
pub use signer::{IdTokenSigner, half_hash};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

/// `typ` of an ID token.
const JWT: &str = "JWT";
/// Longer than any token of ours.
const MAX_TOKEN: usize = 32 * 1024;

/// A NumericDate (RFC 7519 2) in seconds; it may have a fraction. `None`: it is no number.
pub fn numeric_date(value: &Value) -> Option<i64> {
    #[expect(clippy::cast_possible_truncation, reason = "a float becomes the nearest of the integers that there are")]
    value.as_i64().or_else(|| value.as_f64().map(|seconds| seconds as i64))
}

fn json_object(encoded: &str) -> Option<Map<String, Value>> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(encoded).ok()?).ok()
}
