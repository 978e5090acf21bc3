//! The short names of algorithms, as operators write them in settings.

use super::encryption::{ContentCipher, KeyTransport};
use crate::keys::{Digest, SignatureScheme};

/// How messages may be signed. Ed25519 is not among them: XML Signature has no such algorithm that others know.
pub const SIGNATURES: &[(&str, SignatureScheme)] = &[
    ("rsa-sha256", SignatureScheme::RsaPkcs1(Digest::Sha256)),
    ("rsa-sha384", SignatureScheme::RsaPkcs1(Digest::Sha384)),
    ("rsa-sha512", SignatureScheme::RsaPkcs1(Digest::Sha512)),
    ("rsa-pss-sha256", SignatureScheme::RsaPss(Digest::Sha256)),
    ("rsa-pss-sha384", SignatureScheme::RsaPss(Digest::Sha384)),
    ("rsa-pss-sha512", SignatureScheme::RsaPss(Digest::Sha512)),
    ("ecdsa-sha256", SignatureScheme::Ecdsa(Digest::Sha256)),
    ("ecdsa-sha384", SignatureScheme::Ecdsa(Digest::Sha384)),
    ("ecdsa-sha512", SignatureScheme::Ecdsa(Digest::Sha512)),
    ("rsa-sha1", SignatureScheme::RsaPkcs1(Digest::Sha1)),
    ("ecdsa-sha1", SignatureScheme::Ecdsa(Digest::Sha1)),
];

/// How what is signed is hashed.
pub const DIGESTS: &[(&str, Digest)] =
    &[("sha256", Digest::Sha256), ("sha384", Digest::Sha384), ("sha512", Digest::Sha512), ("sha1", Digest::Sha1)];

/// How contents are encrypted.
pub const CIPHERS: &[(&str, ContentCipher)] = &[
    ("aes256-gcm", ContentCipher::Aes256Gcm),
    ("aes192-gcm", ContentCipher::Aes192Gcm),
    ("aes128-gcm", ContentCipher::Aes128Gcm),
    ("aes256-cbc", ContentCipher::Aes256Cbc),
    ("aes192-cbc", ContentCipher::Aes192Cbc),
    ("aes128-cbc", ContentCipher::Aes128Cbc),
];

/// How content keys are encrypted. RSA 1.5 is not among them.
pub const TRANSPORTS: &[(&str, KeyTransport)] = &[("rsa-oaep", KeyTransport::OAEP), ("rsa-oaep-mgf1p", KeyTransport::OAEP_MGF1P)];

/// Does the signature, or what it covers, rest on SHA-1?
pub fn uses_sha1(signature: Option<SignatureScheme>, digest: Option<Digest>) -> bool {
    let signed_so = matches!(
        signature,
        Some(SignatureScheme::RsaPkcs1(Digest::Sha1) | SignatureScheme::RsaPss(Digest::Sha1) | SignatureScheme::Ecdsa(Digest::Sha1))
    );
    signed_so || digest == Some(Digest::Sha1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::saml::signature::{Allowed, signature_scheme, signature_uri};

    #[test]
    fn every_name_is_an_algorithm_that_we_write_and_read() {
        for &(name, scheme) in SIGNATURES {
            let uri = signature_uri(scheme).unwrap_or_else(|| panic!("{name} has no URI"));
            assert!(uri.ends_with(&name.replace("rsa-pss-", "").replace("rsa-sha256", "sha256")) || name.contains("pss"), "{name} {uri}");
            assert_eq!(signature_scheme(uri, Allowed::default()).is_ok(), !name.ends_with("sha1"), "{name}");
            assert_eq!(signature_scheme(uri, Allowed { sha1: true, ..Allowed::default() }), Ok(scheme), "{name}");
            assert_eq!(uses_sha1(Some(scheme), None), name.ends_with("sha1"), "{name}");
        }
        for &(name, digest) in DIGESTS {
            assert_eq!(uses_sha1(None, Some(digest)), name == "sha1");
        }
    }
}
