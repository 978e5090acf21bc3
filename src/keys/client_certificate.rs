//! The certificate by which we prove in TLS who we are to a provider (RFC 8705), with its key.

use crate::error::{Error, ErrorKind, Result};
use crate::secret::Secret;
use openssl::pkey::PKey;
use openssl::x509::X509;
use std::fmt;

/// For one provider.
pub struct ClientCertificate {
    certificates: String,
    key: Secret<String>,
}

impl ClientCertificate {
    /// `certificates`: ours, and those that lead from it to who vouches for it.
    ///
    /// # Errors
    /// When the key cannot be read, or is not that of the first certificate.
    pub fn new(key: &Secret<String>, certificates: &[X509]) -> Result<Self> {
        let refuse = |why: &str| Error::new(ErrorKind::Misconfigured, why.to_owned());
        let unreadable = |error: openssl::error::ErrorStack| refuse("this is not a readable PEM private key").because(error);
        let key = PKey::private_key_from_pem(key.expose().as_bytes()).map_err(unreadable)?;
        let own = certificates.first().ok_or_else(|| refuse("there is no certificate"))?;
        if !own.public_key().is_ok_and(|public| public.public_eq(&key)) {
            return Err(refuse("the certificate does not belong to the private key"));
        }
        let text = |pem: Vec<u8>| String::from_utf8(pem).map_err(|error| refuse("a PEM is no text").because(error));
        let mut all = String::new();
        for certificate in certificates {
            all += &text(certificate.to_pem().map_err(|error| refuse("a certificate cannot be written").because(error))?)?;
        }
        let key = Secret::new(text(key.private_key_to_pem_pkcs8().map_err(unreadable)?)?);
        Ok(Self { certificates: all, key })
    }

    /// PEM, ours first.
    pub fn certificates(&self) -> &str {
        &self.certificates
    }

    /// PKCS #8 in PEM.
    pub const fn key(&self) -> &Secret<String> {
        &self.key
    }
}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientCertificate(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::{CertifiedKey, KeyKind, PrivateKey};
    use openssl::ec::{EcGroup, EcKey};
    use openssl::nid::Nid;

    #[test]
    fn key_and_certificate_belong_together_and_do_not_print() {
        let curve = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).expect("a curve");
        let ec = EcKey::generate(&curve).expect("a key");
        // As `openssl ecparam -genkey` writes it.
        let pem = Secret::new(String::from_utf8(ec.private_key_to_pem().expect("PEM")).expect("text"));
        let key = PrivateKey::from_pem(pem.expose().as_bytes()).expect("a key");
        let certified = CertifiedKey::self_signed(key, "gateway").expect("certified");
        let certificate = X509::from_pem(&certified.certificate_pem()).expect("a certificate");
        let made = ClientCertificate::new(&pem, std::slice::from_ref(&certificate)).expect("they belong together");
        assert!(made.key().expose().starts_with("-----BEGIN PRIVATE KEY") && made.certificates().starts_with("-----BEGIN CERTIFICATE"));
        assert_eq!(format!("{made:?}"), "ClientCertificate(..)");
        let other = PrivateKey::generate(KeyKind::EcP256).expect("a key");
        let other = CertifiedKey::self_signed(other, "gateway").expect("certified");
        let foreign = X509::from_pem(&other.certificate_pem()).expect("a certificate");
        assert!(ClientCertificate::new(&pem, &[foreign]).is_err() && ClientCertificate::new(&pem, &[]).is_err());
        assert!(ClientCertificate::new(&Secret::new("x".to_owned()), &[certificate]).is_err());
    }
}
