//! HMAC-SHA-1 under a secret shared with a partner, for the one signature that others define so (S2-5). Nothing of ours
//! is proven by it.

use crate::error::{Error, ErrorKind, Result};
use crate::secret::Secret;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::sign::Signer;

/// A partner's secret, decoded.
#[derive(Clone, Debug)]
pub struct PartnerSecret(Secret<Vec<u8>>);

impl PartnerSecret {
    /// From BASE64 (RFC 4648 4), as such secrets are handed out. The key is the octets, not the text.
    pub fn from_base64(text: &Secret<String>) -> Result<Self> {
        // The decoder's error would name an octet of the secret.
        let key = STANDARD.decode(text.expose().trim()).ok().filter(|key| !key.is_empty());
        key.map(|key| Self(Secret::new(key)))
            .ok_or_else(|| Error::new(ErrorKind::Misconfigured, "the partner secret is not BASE64, or is empty"))
    }

    /// The HMAC-SHA-1 of a text, in BASE64.
    pub fn hmac_sha1(&self, text: &str) -> Result<String> {
        let compute = || -> Result<Vec<u8>, openssl::error::ErrorStack> {
            let key = PKey::hmac(self.0.expose())?;
            Signer::new(MessageDigest::sha1(), &key)?.sign_oneshot_to_vec(text.as_bytes())
        };
        let mac = compute().map_err(|error| Error::new(ErrorKind::Internal, "a partner's signature cannot be made").because(error))?;
        Ok(STANDARD.encode(mac))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Result<PartnerSecret> {
        PartnerSecret::from_base64(&Secret::new(text.to_owned()))
    }

    #[test]
    fn s2_5_the_decoded_secret_is_the_key() {
        // RFC 2202 3, test case 2: the key is `Jefe`, the digest effcdf6ae5eb2fa2d27416d5f184df9c259a7c79.
        let mac = secret("SmVmZQ==").and_then(|secret| secret.hmac_sha1("what do ya want for nothing?")).expect("signs");
        assert_eq!(mac, "7/zfauXrL6LSdBbV8YTfnCWafHk=");
    }

    #[test]
    fn a_secret_that_is_no_base64_is_refused_and_not_quoted() {
        for text in ["", "  ", "not base64!", "SmVmZQ"] {
            let error = secret(text).expect_err(text);
            assert!(!format!("{error:?}").contains("SmVm"), "{error:?}");
        }
        assert!(!format!("{:?}", secret("SmVmZQ==").expect("a secret")).contains("Jefe"));
    }
}
