//! What is registered of an application that speaks SAML: where answers go, whose signatures count, for whom to encrypt.

use super::name_id::NameIdFormat;
use crate::clock::Timestamp;
use crate::id;
use crate::keys::{certificate_end, parse_certificate};
use crate::saml::binding::{Binding, ResponseBinding};
use crate::saml::encryption::{ContentCipher, KeyTransport};
use crate::saml::logout::LogoutService;
use crate::saml::names;
use crate::saml::trust::TrustedKeys;
use openssl::pkey::Id;
use openssl::x509::X509;
use url::{Host, Url};

/// Where an application takes responses. Compared and written exactly as registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssertionConsumerService {
    location: String,
    url: Url,
    pub index: Option<u16>,
    /// `isDefault`, if it is said.
    pub is_default: Option<bool>,
    pub binding: ResponseBinding,
}

impl AssertionConsumerService {
    /// One for HTTP-POST.
    ///
    /// # Errors
    /// Says what is wrong with the address: an assertion is a bearer's, so it travels by https, or stays on this computer.
    pub fn new(location: &str, index: Option<u16>, is_default: Option<bool>) -> Result<Self, String> {
        let url = address(location)?;
        Ok(Self { location: location.to_owned(), url, index, is_default, binding: ResponseBinding::Post })
    }

    /// The same for another binding.
    #[must_use]
    pub fn by(self, binding: ResponseBinding) -> Self {
        Self { binding, ..self }
    }

    pub fn location(&self) -> &str {
        &self.location
    }

    pub(super) const fn url(&self) -> &Url {
        &self.url
    }
}

/// An address that answers are sent to.
pub(super) fn address(location: &str) -> Result<Url, String> {
    let url = Url::parse(location).map_err(|_| format!("\"{location}\" is not an http(s) address"))?;
    if !matches!(url.scheme(), "https" | "http") {
        return Err(format!("\"{location}\" is not an http(s) address"));
    }
    if url.fragment().is_some() || !url.username().is_empty() || url.password().is_some() {
        return Err(format!("\"{location}\" has a fragment or a user name in it"));
    }
    let loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    if url.scheme() == "http" && !loopback {
        return Err(format!("\"{location}\" is http: whoever listens could sign in as the user; use https"));
    }
    Ok(url)
}

/// A certificate to encrypt to, and the algorithms that its owner says it understands (all, where it says nothing).
#[derive(Clone, Debug)]
pub struct EncryptionKey {
    certificate: X509,
    methods: Vec<String>,
}

impl EncryptionKey {
    /// # Errors
    /// When it is no RSA key of 2048 bits or more.
    pub fn new(certificate: X509, methods: Vec<String>) -> Result<Self, String> {
        let key = certificate.public_key().map_err(|_| "an encryption certificate has no readable key".to_owned())?;
        if key.id() != Id::RSA || key.bits() < 2048 {
            return Err("an encryption certificate must hold an RSA key of 2048 bits or more".to_owned());
        }
        Ok(Self { certificate, methods })
    }

    pub const fn certificate(&self) -> &X509 {
        &self.certificate
    }

    /// SHA-256 of the certificate, hex.
    pub fn fingerprint(&self) -> String {
        id::hex(&id::sha256(&self.certificate.to_der().unwrap_or_default()))
    }

    /// The best of ours that the owner lists. AES-CBC is never chosen, only named by an operator.
    pub(super) fn cipher(&self) -> Option<ContentCipher> {
        let known = [
            (names::AES256_GCM, ContentCipher::Aes256Gcm),
            (names::AES192_GCM, ContentCipher::Aes192Gcm),
            (names::AES128_GCM, ContentCipher::Aes128Gcm),
        ];
        let ciphers = [names::AES128_CBC, names::AES192_CBC, names::AES256_CBC].into_iter().chain(known.map(|(uri, _)| uri));
        if !self.lists_any(ciphers) {
            return Some(ContentCipher::Aes256Gcm);
        }
        known.into_iter().find(|(uri, _)| self.lists(uri)).map(|(_, cipher)| cipher)
    }

    /// RSA-OAEP with SHA-256, unless the owner lists only the older form, whose mask is made with SHA-1.
    pub(super) fn transport(&self) -> KeyTransport {
        if self.lists(names::RSA_OAEP_MGF1P) && !self.lists(names::RSA_OAEP) { KeyTransport::OAEP_MGF1P } else { KeyTransport::OAEP }
    }

    fn lists(&self, uri: &str) -> bool {
        self.methods.iter().any(|method| method == uri)
    }

    fn lists_any(&self, mut uris: impl Iterator<Item = &'static str>) -> bool {
        uris.any(|uri| self.lists(uri))
    }
}

/// An attribute that an application says it would like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestedAttribute {
    pub name: String,
    pub name_format: Option<String>,
    pub friendly_name: Option<String>,
    pub required: bool,
    /// The only values that it is interested in (SAML Metadata 2.4.4.2); none: whichever there are.
    pub values: Vec<String>,
}

/// One set of wishes; a request may name it by its index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttributeConsumingService {
    pub index: Option<u16>,
    pub is_default: Option<bool>,
    pub attributes: Vec<RequestedAttribute>,
}

/// Whom we answer: one application, as registered. It has at least one address for answers.
#[derive(Clone, Debug)]
pub struct SpTrust {
    entity_id: String,
    acs: Vec<AssertionConsumerService>,
    pub logout_services: Vec<LogoutService>,
    /// Where it takes LogoutRequests without the browser, if its metadata name one.
    pub soap_logout: Option<Url>,
    /// `None`: nothing that it signs can be verified.
    keys: Option<TrustedKeys>,
    pub encryption_keys: Vec<EncryptionKey>,
    authn_requests_signed: bool,
    pub want_assertions_signed: bool,
    /// The formats that it lists, the first the dearest.
    pub name_id_formats: Vec<NameIdFormat>,
    pub attribute_consuming_services: Vec<AttributeConsumingService>,
}

/// The parts of an [`SpTrust`] before they are looked at together.
#[derive(Clone, Debug, Default)]
pub struct SpParts {
    pub entity_id: String,
    pub acs: Vec<AssertionConsumerService>,
    pub logout_services: Vec<LogoutService>,
    pub signing_certificates: Vec<X509>,
    pub encryption_keys: Vec<EncryptionKey>,
    pub authn_requests_signed: bool,
    pub want_assertions_signed: bool,
    pub name_id_formats: Vec<NameIdFormat>,
    pub attribute_consuming_services: Vec<AttributeConsumingService>,
}

impl SpTrust {
    /// # Errors
    /// Everything that is wrong, each in a sentence.
    pub fn new(parts: SpParts) -> Result<Self, Vec<String>> {
        let mut problems = Vec::new();
        if parts.entity_id.trim().is_empty() || parts.entity_id.trim() != parts.entity_id || parts.entity_id.len() > 1024 {
            problems.push("the entity ID must have 1 to 1024 characters and no white space around them".to_owned());
        }
        if parts.acs.is_empty() {
            problems.push("there is no AssertionConsumerService for HTTP-POST or HTTP-Artifact".to_owned());
        }
        if parts.signing_certificates.is_empty() && parts.acs.iter().any(|acs| acs.binding == ResponseBinding::Artifact) {
            problems.push("answers by artifact need a signing certificate: only who signs may ask for them".to_owned());
        }
        let mut indexes: Vec<u16> = parts.acs.iter().filter_map(|acs| acs.index).collect();
        indexes.sort_unstable();
        if let Some(twice) = indexes.windows(2).find_map(|pair| (pair.first() == pair.last()).then(|| pair.first()).flatten()) {
            problems.push(format!("the index {twice} is given to two AssertionConsumerServices"));
        }
        let keys = if parts.signing_certificates.is_empty() { Ok(None) } else { TrustedKeys::new(&parts.signing_certificates).map(Some) };
        let keys = keys.unwrap_or_else(|error| {
            problems.push(error.detail);
            None
        });
        if parts.authn_requests_signed && parts.signing_certificates.is_empty() {
            problems.push("requests are to be signed, but there is no signing certificate to verify them with".to_owned());
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Self {
            entity_id: parts.entity_id,
            acs: parts.acs,
            logout_services: parts.logout_services,
            soap_logout: None,
            keys,
            encryption_keys: parts.encryption_keys,
            authn_requests_signed: parts.authn_requests_signed,
            want_assertions_signed: parts.want_assertions_signed,
            name_id_formats: parts.name_id_formats,
            attribute_consuming_services: parts.attribute_consuming_services,
        })
    }

    /// Stands where it is not known yet who the application is: it has no address, and no signature is its.
    pub fn nobody() -> Self {
        Self {
            entity_id: String::new(),
            acs: Vec::new(),
            logout_services: Vec::new(),
            soap_logout: None,
            keys: None,
            encryption_keys: Vec::new(),
            authn_requests_signed: false,
            want_assertions_signed: false,
            name_id_formats: Vec::new(),
            attribute_consuming_services: Vec::new(),
        }
    }

    /// The same application at other addresses. Without a key of it, none of them is for artifacts.
    #[must_use]
    pub fn at(self, acs: Vec<AssertionConsumerService>, logout_services: Vec<LogoutService>, soap_logout: Option<Url>) -> Self {
        let signs = self.keys.is_some();
        let usable = acs.into_iter().filter(|acs| signs || acs.binding == ResponseBinding::Post);
        Self { acs: usable.collect(), logout_services, soap_logout, ..self }
    }

    pub fn entity_id(&self) -> &str {
        &self.entity_id
    }

    pub fn acs(&self) -> &[AssertionConsumerService] {
        &self.acs
    }

    pub const fn keys(&self) -> Option<&TrustedKeys> {
        self.keys.as_ref()
    }

    /// What its certificates are for, and when each ends.
    pub fn certificate_ends(&self) -> impl Iterator<Item = (&'static str, Timestamp)> {
        let signing = self.keys.iter().flat_map(TrustedKeys::ends).map(|end| ("signing", end));
        let ends = self.encryption_keys.iter().filter_map(|key| certificate_end(key.certificate()));
        signing.chain(ends.map(|end| ("encryption", end)))
    }

    /// Whether the application says that it signs its requests.
    pub const fn authn_requests_signed(&self) -> bool {
        self.authn_requests_signed
    }

    /// Where answers go if nothing else is said.
    pub fn default_acs(&self) -> Option<&AssertionConsumerService> {
        self.default_among(|_| true)
    }

    /// The default among those of one binding.
    pub(super) fn default_acs_by(&self, binding: ResponseBinding) -> Option<&AssertionConsumerService> {
        self.default_among(|acs| acs.binding == binding)
    }

    // SAML Metadata 2.2.3: the first with isDefault="true", else the first without isDefault, else the first.
    fn default_among(&self, fits: impl Fn(&AssertionConsumerService) -> bool) -> Option<&AssertionConsumerService> {
        let of = |wanted: Option<bool>| self.acs.iter().find(|acs| fits(acs) && acs.is_default == wanted);
        of(Some(true)).or_else(|| of(None)).or_else(|| self.acs.iter().find(|acs| fits(acs)))
    }

    pub(super) fn acs_at(&self, location: &str, binding: ResponseBinding) -> Option<&AssertionConsumerService> {
        self.acs.iter().find(|acs| acs.location == location && acs.binding == binding)
    }

    pub(super) fn acs_of_index(&self, index: u16) -> Option<&AssertionConsumerService> {
        self.acs.iter().find(|acs| acs.index == Some(index))
    }

    /// The endpoint for logout messages, by the wished binding if it has one for that.
    pub fn logout_service(&self, wished: Binding) -> Option<&LogoutService> {
        self.logout_services.iter().find(|service| service.binding == wished).or_else(|| self.logout_services.first())
    }
}

/// Settings of an application without metadata, as an operator writes them.
#[derive(Clone, Copy, Debug, Default)]
pub struct LiteralSp<'a> {
    pub entity_id: &'a str,
    /// The first is the default; a request may name the others by URL, or by their place in this list, from 0.
    pub acs_urls: &'a [&'a str],
    pub logout_services: &'a [LogoutService],
    /// PEM, or base64 of DER.
    pub signing_certificates: &'a [&'a str],
    pub encryption_certificates: &'a [&'a str],
    pub authn_requests_signed: bool,
}

impl LiteralSp<'_> {
    /// # Errors
    /// Everything that is wrong, each in a sentence.
    pub fn trust(&self) -> Result<SpTrust, Vec<String>> {
        let mut problems = Vec::new();
        let mut parts = SpParts {
            entity_id: self.entity_id.to_owned(),
            logout_services: self.logout_services.to_vec(),
            authn_requests_signed: self.authn_requests_signed,
            ..SpParts::default()
        };
        for (index, location) in (0..=u16::MAX).zip(self.acs_urls) {
            match AssertionConsumerService::new(location, Some(index), (index == 0).then_some(true)) {
                Ok(acs) => parts.acs.push(acs),
                Err(why) => problems.push(why),
            }
        }
        let mut read = |texts: &[&str], what: &str| -> Vec<X509> {
            let read = texts.iter().filter_map(|text| match parse_certificate(text) {
                Ok(certificate) => Some(certificate),
                Err(error) => {
                    problems.push(format!("{what}: {}", error.detail));
                    None
                }
            });
            read.collect()
        };
        parts.signing_certificates = read(self.signing_certificates, "signing certificate");
        for certificate in read(self.encryption_certificates, "encryption certificate") {
            match EncryptionKey::new(certificate, Vec::new()) {
                Ok(key) => parts.encryption_keys.push(key),
                Err(why) => problems.push(why),
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        SpTrust::new(parts)
    }
}
