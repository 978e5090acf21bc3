//! What the fuzz targets share. Nothing here is tested for its own sake.
//!
//! - `differential`: our canonical forms and signatures beside those of libxml2 and libxmlsec1.
//! - `keys`: the same keys in every run, and no key in a file.
//! - `login`: one login that waits for its answer, the answers that are right and those that are genuine and still wrong.
//! - `mutate`: a mutator that knows where elements begin and end, so that wrapping attacks are near.

#[cfg(feature = "xmlsec")]
pub mod differential;
pub mod keys;
pub mod login;
pub mod mutate;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

pub fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}
