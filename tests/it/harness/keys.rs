//! Keys and self-signed certificates for test identity providers and for TLS.

use openssl::asn1::Asn1Time;
use openssl::bn::{BigNum, MsbOption};
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::x509::extension::{BasicConstraints, SubjectAlternativeName};
use openssl::x509::{X509, X509NameBuilder};

/// A private key with its certificate.
pub struct Pair {
    pub key: PKey<Private>,
    pub certificate: X509,
}

impl Pair {
    pub fn rsa(name: &str) -> Self {
        Self::signed(PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap(), name)
    }

    pub fn ec(name: &str) -> Self {
        let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
        Self::signed(PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap(), name)
    }

    /// Its certificate was good yesterday.
    pub fn expired(name: &str) -> Self {
        let yesterday = super::idp::now().unix_timestamp() - 86_400;
        let until = Asn1Time::from_unix(yesterday).unwrap();
        Self::valid(
            PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap(),
            name,
            (&Asn1Time::from_unix(yesterday - 86_400).unwrap(), &until),
        )
    }

    fn signed(key: PKey<Private>, name: &str) -> Self {
        Self::valid(key, name, (&Asn1Time::days_from_now(0).unwrap(), &Asn1Time::days_from_now(2).unwrap()))
    }

    fn valid(key: PKey<Private>, name: &str, (from, until): (&Asn1Time, &Asn1Time)) -> Self {
        let mut subject = X509NameBuilder::new().unwrap();
        subject.append_entry_by_text("CN", name).unwrap();
        let subject = subject.build();
        let mut serial = BigNum::new().unwrap();
        serial.rand(100, MsbOption::MAYBE_ZERO, false).unwrap();
        let mut builder = X509::builder().unwrap();
        builder.set_version(2).unwrap();
        builder.set_serial_number(&serial.to_asn1_integer().unwrap()).unwrap();
        builder.set_subject_name(&subject).unwrap();
        builder.set_issuer_name(&subject).unwrap();
        builder.set_pubkey(&key).unwrap();
        builder.set_not_before(from).unwrap();
        builder.set_not_after(until).unwrap();
        builder.append_extension(BasicConstraints::new().critical().ca().build().unwrap()).unwrap();
        let names = SubjectAlternativeName::new().dns("localhost").ip("127.0.0.1").build(&builder.x509v3_context(None, None)).unwrap();
        builder.append_extension(names).unwrap();
        builder.sign(&key, MessageDigest::sha256()).unwrap();
        Self { key, certificate: builder.build() }
    }

    pub fn key_pem(&self) -> String {
        String::from_utf8(self.key.private_key_to_pem_pkcs8().unwrap()).unwrap()
    }

    pub fn certificate_pem(&self) -> String {
        String::from_utf8(self.certificate.to_pem().unwrap()).unwrap()
    }

    /// As it stands in `ds:X509Certificate`.
    pub fn certificate_base64(&self) -> String {
        self.certificate_pem().lines().filter(|line| !line.starts_with("-----")).collect()
    }
}
