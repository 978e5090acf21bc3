//! SAML metadata: reading a partner's, writing ours.
//!
//! Reading is tolerant where vendors are odd and it does not matter (attributes and elements we have no use for, order,
//! comments), and strict where it does: no entityID, no usable signing key, an expired document are errors.
//!
//! One document, one entity: federations of thousands are read by `aggregate`.

pub mod about;

use super::artifact::{ResolutionService, resolution_services};
use super::assertion::read_date;
use super::binding::{Binding, ResponseBinding};
use super::idp::{EncryptionKey, encryption_keys};
use super::logout::{LogoutService, logout_services, write_logout_services};
use super::names;
use super::rejection::{Checks, Part, Rejection};
use super::signature::{self, Allowed, SignedXml, Signer, TrustedKeys};
use super::sp::{Endpoint, IdpTrust, Scope, SpSettings};
use super::trust::Verification;
use super::xml::{Document, Element, Limits, Writer, parse};
use crate::clock::Timestamp;
use crate::error::Result as CrateResult;
use crate::id;
use crate::keys::{CertifiedKey, parse_certificate};
use about::{EntityInfo, RequestedSet};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use openssl::x509::X509;
use std::fmt;
use url::Url;

/// Why metadata cannot be used, for the person who imports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetadataError {
    /// Line of the document, from 1, where one can be named.
    pub line: Option<usize>,
    pub reason: String,
}

impl MetadataError {
    fn new(reason: impl Into<String>) -> Self {
        Self { line: None, reason: reason.into() }
    }

    pub(super) fn at(element: Element<'_>, reason: impl Into<String>) -> Self {
        Self { line: Some(element.line()), reason: reason.into() }
    }
}

impl fmt::Display for MetadataError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "line {line}: {}", self.reason),
            None => f.write_str(&self.reason),
        }
    }
}

impl std::error::Error for MetadataError {}

/// Which entity of a document, and what must be true of the document.
#[derive(Clone, Copy, Debug, Default)]
pub struct MetadataOptions<'a> {
    /// Pick this entity; without it the document must hold exactly one identity provider.
    pub entity_id: Option<&'a str>,
    /// The document's signature must be made with one of these.
    pub pinned: Option<&'a TrustedKeys>,
}

/// One identity provider as its metadata describe it.
#[derive(Clone, Debug)]
pub struct IdpMetadata {
    pub entity_id: String,
    pub sso_endpoints: Vec<Endpoint>,
    pub slo_endpoints: Vec<LogoutService>,
    pub artifact_services: Vec<ResolutionService>,
    /// All certificates for signing: those without `use` too.
    pub signing_certificates: Vec<X509>,
    pub keys: TrustedKeys,
    pub want_authn_requests_signed: bool,
    /// Keys that cannot be used, or are no RSA keys, are left out.
    pub encryption_keys: Vec<EncryptionKey>,
    pub name_id_formats: Vec<String>,
    pub scopes: Vec<Scope>,
    pub display_name: Option<String>,
    /// The earliest validUntil that applies.
    pub valid_until: Option<Timestamp>,
    /// The shortest cacheDuration that applies.
    pub cache_seconds: Option<u64>,
}

impl IdpMetadata {
    /// What the verifier needs of it.
    pub fn trust(&self) -> IdpTrust {
        IdpTrust {
            entity_id: self.entity_id.clone(),
            sso_endpoints: self.sso_endpoints.clone(),
            logout_services: self.slo_endpoints.clone(),
            artifact_services: self.artifact_services.clone(),
            keys: self.keys.clone(),
            scopes: self.scopes.clone(),
            want_authn_requests_signed: self.want_authn_requests_signed,
            encryption_keys: self.encryption_keys.clone(),
        }
    }
}

/// Reads the metadata of one identity provider.
///
/// # Errors
/// When the text is no metadata, is not signed as demanded, is expired, or does not describe a usable identity provider.
pub fn read_idp(xml: &str, options: MetadataOptions<'_>, now: Timestamp) -> Result<IdpMetadata, MetadataError> {
    read_with(xml, options, IDP, now, |entity, now| read_entity(entity, Inherited::default(), now))
}

/// A role by its element, and what people call it.
pub(super) type Role = (&'static str, &'static str);

const IDP: Role = ("IDPSSODescriptor", "identity provider");

/// Finds the entity that is meant, in a document as it must be, and has it read.
pub(super) fn read_with<T>(
    xml: &str,
    options: MetadataOptions<'_>,
    role: Role,
    now: Timestamp,
    read: impl Fn(Element<'_>, Timestamp) -> Result<T, MetadataError>,
) -> Result<T, MetadataError> {
    let document =
        parse(xml, Limits::METADATA).map_err(|error| MetadataError { line: Some(error.line), reason: strip_line(&error.to_string()) })?;
    let root = document.root();
    if !root.is(names::MD, "EntityDescriptor") && !root.is(names::MD, "EntitiesDescriptor") {
        return Err(MetadataError::at(root, format!("this is not SAML metadata: the root element is {}", root.local_name())));
    }
    let Some(pinned) = options.pinned else { return pick(root, options.entity_id, role).and_then(|entity| read(entity, now)) };
    let signed = verify(&document, pinned).map_err(|rejection| MetadataError::new(rejection.to_string()))?;
    let document = signed.document().map_err(|rejection| MetadataError::new(rejection.to_string()))?;
    pick(document.root(), options.entity_id, role).and_then(|entity| read(entity, now))
}

fn strip_line(text: &str) -> String {
    text.strip_prefix("line ").and_then(|rest| rest.split_once(": ")).map_or_else(|| text.to_owned(), |(_, rest)| rest.to_owned())
}

// SAML Metadata 3: the signature of the root, over the root.
fn verify(document: &Document<'_>, pinned: &TrustedKeys) -> Result<SignedXml, Rejection> {
    let mut ignored = Vec::new();
    let how = Verification { keys: pinned, allowed: Allowed::default(), evidence: false };
    SignedXml::verify(document.root(), Part::Metadata, how, &mut Checks(&mut ignored))
}

fn pick<'d>(root: Element<'d>, wanted: Option<&str>, role: Role) -> Result<Element<'d>, MetadataError> {
    let entities: Vec<Element<'_>> = if root.is(names::MD, "EntityDescriptor") {
        vec![root]
    } else {
        // Only where the schema has them: what an entity puts into its own Extensions does not describe another.
        let listed = |element: &Element<'_>| ancestors(*element).skip(1).all(|around| around.is(names::MD, "EntitiesDescriptor"));
        root.document().elements().filter(|element| element.is(names::MD, "EntityDescriptor")).filter(listed).collect()
    };
    match wanted {
        Some(wanted) => entities
            .into_iter()
            .find(|entity| entity.attribute("entityID") == Some(wanted))
            .ok_or_else(|| MetadataError::new(format!("the metadata have no entity \"{wanted}\""))),
        None => {
            let single = entities.len() == 1;
            let (element, called) = role;
            let mut providers = entities.into_iter().filter(|entity| single || saml2_role(*entity, role).is_some());
            let first = providers.next().ok_or_else(|| MetadataError::new(format!("the metadata have no {called} ({element})")))?;
            let others = providers.count();
            if others > 0 {
                return Err(MetadataError::new(format!("the metadata have {} {called}s: say which entityID is meant", others + 1)));
            }
            Ok(first)
        }
    }
}

/// What the groups around an entity say of it, where they are not in the same document.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Inherited {
    pub valid_until: Option<Timestamp>,
    pub cache_seconds: Option<u64>,
}

/// The part of an entity that says how it authenticates people by SAML 2.0.
pub(super) fn idp_role(entity: Element<'_>) -> Option<Element<'_>> {
    saml2_role(entity, IDP)
}

/// The entity's role for SAML 2.0.
///
/// # Errors
/// When it has none.
pub(super) fn role_of<'d>(entity: Element<'d>, role: Role) -> Result<Element<'d>, MetadataError> {
    let (element, called) = role;
    match saml2_role(entity, role) {
        Some(role) => Ok(role),
        None if entity.child(names::MD, element).is_some() => {
            Err(MetadataError::at(entity, format!("the {element} does not support SAML 2.0")))
        }
        None => Err(MetadataError::at(entity, format!("there is no {element}: this is not an {called}"))),
    }
}

fn saml2_role<'d>(entity: Element<'d>, (element, _): Role) -> Option<Element<'d>> {
    let mut roles = entity.children_named(names::MD, element);
    roles.find(|role| role.attribute("protocolSupportEnumeration").unwrap_or_default().split_ascii_whitespace().any(|p| p == names::SAMLP))
}

/// The entity ID, and until when the metadata are valid.
///
/// # Errors
/// When there is no entity ID, or the time is over.
pub(super) fn identity(
    entity: Element<'_>,
    role: Element<'_>,
    inherited: Inherited,
    now: Timestamp,
) -> Result<(String, Option<Timestamp>), MetadataError> {
    let valid_until = validity(role)?.into_iter().chain(inherited.valid_until).min();
    if let Some(until) = valid_until.filter(|until| *until <= now) {
        return Err(MetadataError::at(entity, format!("the metadata were valid until {until}; it is {now}")));
    }
    Ok((entity_id(entity)?.to_owned(), valid_until))
}

fn entity_id(entity: Element<'_>) -> Result<&str, MetadataError> {
    let entity_id = entity.attribute("entityID").map(str::trim).filter(|id| !id.is_empty());
    entity_id.ok_or_else(|| MetadataError::at(entity, "EntityDescriptor has no entityID"))
}

/// Reads one EntityDescriptor.
pub(super) fn read_entity(entity: Element<'_>, inherited: Inherited, now: Timestamp) -> Result<IdpMetadata, MetadataError> {
    entity_id(entity)?;
    let role = role_of(entity, IDP)?;
    let (entity_id, valid_until) = identity(entity, role, inherited, now)?;
    let sso_endpoints = endpoints(role, "SingleSignOnService")?;
    if sso_endpoints.is_empty() {
        return Err(MetadataError::at(role, "there is no SingleSignOnService for HTTP-Redirect or HTTP-POST"));
    }
    let signing_certificates = signing_certificates(role)?;
    let keys = TrustedKeys::new(&signing_certificates).map_err(|error| MetadataError::at(role, error.detail))?;
    Ok(IdpMetadata {
        entity_id,
        sso_endpoints,
        slo_endpoints: logout_services(role)?,
        artifact_services: resolution_services(role),
        signing_certificates,
        keys,
        // It signs people in all the same.
        encryption_keys: encryption_keys(role).unwrap_or_default(),
        want_authn_requests_signed: matches!(role.attribute("WantAuthnRequestsSigned").map(str::trim), Some("true" | "1")),
        name_id_formats: role.children_named(names::MD, "NameIDFormat").map(text).filter(|format| !format.is_empty()).collect(),
        scopes: scopes(entity, role),
        display_name: display_name(entity, role),
        valid_until,
        cache_seconds: cache_seconds(role).into_iter().chain(inherited.cache_seconds).min(),
    })
}

/// An element and those around it, to the root.
fn ancestors(element: Element<'_>) -> impl Iterator<Item = Element<'_>> {
    std::iter::successors(Some(element), |element| element.parent())
}

/// The shortest cacheDuration of an element and those around it.
pub(super) fn cache_seconds(element: Element<'_>) -> Option<u64> {
    ancestors(element).filter_map(|e| e.attribute("cacheDuration")).filter_map(read_duration).min()
}

// SAML Metadata 2.3.1, 2.3.2, 2.4.1: the shortest of all that contain it.
pub(super) fn validity(role: Element<'_>) -> Result<Option<Timestamp>, MetadataError> {
    let mut earliest: Option<Timestamp> = None;
    for element in ancestors(role) {
        if let Some(text) = element.attribute("validUntil") {
            let until = read_date(text).ok_or_else(|| MetadataError::at(element, format!("validUntil is not a date: \"{text}\"")))?;
            earliest = Some(earliest.map_or(until, |earliest| earliest.min(until)));
        }
    }
    Ok(earliest)
}

fn endpoints(role: Element<'_>, name: &str) -> Result<Vec<Endpoint>, MetadataError> {
    let mut found = Vec::new();
    for element in role.children_named(names::MD, name) {
        let binding = match element.attribute("Binding").unwrap_or_default().trim() {
            names::BINDING_REDIRECT => Binding::Redirect,
            names::BINDING_POST => Binding::Post,
            _ => continue,
        };
        let location = element.attribute("Location").unwrap_or_default().trim();
        let location = Url::parse(location)
            .ok()
            .filter(|url| matches!(url.scheme(), "https" | "http") && url.fragment().is_none())
            .ok_or_else(|| MetadataError::at(element, format!("the Location of {name} is not an http(s) address: \"{location}\"")))?;
        found.push(Endpoint { binding, location });
    }
    Ok(found)
}

pub(super) fn signing_certificates(role: Element<'_>) -> Result<Vec<X509>, MetadataError> {
    let mut certificates = Vec::new();
    for descriptor in key_descriptors(role, "signing") {
        certificates.extend(certificates_of(descriptor, "signing")?);
    }
    Ok(certificates)
}

// SAML Metadata 2.4.1.1: a KeyDescriptor without `use` is for both purposes.
pub(super) fn key_descriptors<'d>(role: Element<'d>, purpose: &'static str) -> impl Iterator<Item = Element<'d>> {
    let serves = move |descriptor: &Element<'_>| descriptor.attribute("use").map(str::trim).is_none_or(|u| u.is_empty() || u == purpose);
    role.children_named(names::MD, "KeyDescriptor").filter(serves)
}

pub(super) fn certificates_of(descriptor: Element<'_>, purpose: &str) -> Result<Vec<X509>, MetadataError> {
    let data = descriptor.children_named(names::DS, "KeyInfo").flat_map(|info| info.children_named(names::DS, "X509Data"));
    let certificates = data.flat_map(|data| data.children_named(names::DS, "X509Certificate"));
    let unreadable = |certificate| MetadataError::at(certificate, format!("a certificate for {purpose} is not readable"));
    certificates.map(|certificate| parse_certificate(certificate.text().trim()).map_err(|_| unreadable(certificate))).collect()
}

pub(super) fn scopes(entity: Element<'_>, role: Element<'_>) -> Vec<Scope> {
    let extensions = [entity, role].into_iter().flat_map(|element| element.children_named(names::MD, "Extensions"));
    let scopes = extensions.flat_map(|extensions| extensions.children_named(names::SHIBMD, "Scope"));
    scopes
        .map(|scope| Scope { value: text(scope), regexp: matches!(scope.attribute("regexp").map(str::trim), Some("true" | "1")) })
        .filter(|scope| !scope.value.is_empty())
        .collect()
}

pub(super) fn display_name(entity: Element<'_>, role: Element<'_>) -> Option<String> {
    let info = role.child(names::MD, "Extensions").and_then(|extensions| extensions.child(names::MDUI, "UIInfo"));
    let names_of = |parent: Element<'_>, namespace: &str, name: &str| {
        let in_english = |e: &Element<'_>| e.attribute_ns(names::XML, "lang") == Some("en");
        parent.children_named(namespace, name).find(in_english).or_else(|| parent.child(namespace, name)).map(text)
    };
    let organization = || names_of(entity.child(names::MD, "Organization")?, names::MD, "OrganizationDisplayName");
    info.and_then(|info| names_of(info, names::MDUI, "DisplayName")).or_else(organization).filter(|name| !name.is_empty())
}

pub(super) fn text(element: Element<'_>) -> String {
    element.text().trim().to_owned()
}

/// `xs:duration` in seconds; months and years by their usual lengths. `None` when it is none or negative.
pub(super) fn read_duration(text: &str) -> Option<u64> {
    let rest = text.trim().strip_prefix('P')?;
    let (date, time) = rest.split_once('T').unwrap_or((rest, ""));
    let part = |text: &str, units: &[(char, u64)]| {
        let (mut seconds, mut digits) = (0_u64, String::new());
        for c in text.chars() {
            if c.is_ascii_digit() || c == '.' {
                digits.push(c);
            } else {
                let (_, unit) = units.iter().find(|(name, _)| *name == c)?;
                let number: u64 = digits.split('.').next()?.parse().ok()?;
                seconds = seconds.checked_add(number.checked_mul(*unit)?)?;
                digits.clear();
            }
        }
        digits.is_empty().then_some(seconds)
    };
    let days = part(date, &[('Y', 365 * 86400), ('M', 30 * 86400), ('D', 86400)])?;
    days.checked_add(part(time, &[('H', 3600), ('M', 60), ('S', 1)])?)
}

// ---------------------------------------------------------------------------------------------------------------
// Writing ours.

/// What our metadata for one connection say.
#[derive(Clone, Debug)]
pub struct SpMetadata<'k> {
    pub sp: &'k SpSettings,
    /// Active first, then the next one.
    pub signing_keys: Vec<&'k CertifiedKey>,
    pub encryption_keys: Vec<&'k CertifiedKey>,
    pub authn_requests_signed: bool,
    /// Where we take logout messages.
    pub logout: Vec<LogoutService>,
    /// Where a discovery service sends people back to (Identity Provider Discovery Service Protocol 2.5).
    pub discovery_response: Option<Url>,
    /// Responses by HTTP-POST are always taken; with the other binding, artifacts too, and rather.
    pub response_binding: ResponseBinding,
    pub name_id_formats: Vec<String>,
    pub about: EntityInfo,
    pub attribute_sets: Vec<RequestedSet>,
    pub valid_seconds: i64,
    pub cache_seconds: u64,
}

impl<'k> SpMetadata<'k> {
    /// Signed requests, no wish for a NameID format, valid for a week, looked at again every six hours.
    pub fn new(sp: &'k SpSettings, signing_keys: Vec<&'k CertifiedKey>, encryption_keys: Vec<&'k CertifiedKey>) -> Self {
        Self {
            sp,
            signing_keys,
            encryption_keys,
            authn_requests_signed: true,
            logout: Vec::new(),
            discovery_response: None,
            response_binding: ResponseBinding::Post,
            name_id_formats: Vec::new(),
            about: EntityInfo::default(),
            attribute_sets: Vec::new(),
            valid_seconds: 7 * 86400,
            cache_seconds: 6 * 3600,
        }
    }
}

/// Writes our metadata, signed.
///
/// # Errors
/// When the key cannot sign.
pub fn write_sp(metadata: &SpMetadata<'_>, signer: Signer<'_>, now: Timestamp) -> CrateResult<String> {
    let mut writer = Writer::new();
    writer.start("md:EntityDescriptor").attribute("xmlns:md", names::MD).attribute("xmlns:ds", names::DS);
    writer.attribute("ID", &format!("_{}", id::random_id())).attribute("entityID", &metadata.sp.entity_id);
    writer.attribute("validUntil", &now.plus_seconds(metadata.valid_seconds).to_string());
    writer.attribute("cacheDuration", &format!("PT{}S", metadata.cache_seconds));
    about::write_entity_extensions(&mut writer, &metadata.about);
    writer.start("md:SPSSODescriptor").attribute("protocolSupportEnumeration", names::SAMLP);
    writer.attribute("AuthnRequestsSigned", if metadata.authn_requests_signed { "true" } else { "false" });
    writer.attribute("WantAssertionsSigned", "true");
    about::write_role_extensions(&mut writer, &metadata.about.ui, metadata.discovery_response.as_ref());
    for key in &metadata.signing_keys {
        write_key(&mut writer, "signing", key);
    }
    for key in &metadata.encryption_keys {
        write_key(&mut writer, "encryption", key);
    }
    write_logout_services(&mut writer, &metadata.logout);
    for format in &metadata.name_id_formats {
        writer.leaf("md:NameIDFormat", format);
    }
    let artifacts = metadata.response_binding == ResponseBinding::Artifact;
    for (binding, index, is_default) in [(ResponseBinding::Post, "0", !artifacts), (ResponseBinding::Artifact, "1", true)] {
        if binding == ResponseBinding::Post || artifacts {
            writer.start("md:AssertionConsumerService").attribute("Binding", binding.urn());
            writer.attribute("Location", metadata.sp.acs_url.as_str()).attribute("index", index);
            writer.optional("isDefault", is_default.then_some("true")).end();
        }
    }
    about::write_attribute_sets(&mut writer, metadata);
    // The end of the role: what follows is the entity's.
    writer.end();
    about::write_people(&mut writer, &metadata.about);
    signature::sign(&writer.finish(), signer)
}

pub(super) fn write_key(writer: &mut Writer, purpose: &str, key: &CertifiedKey) {
    writer.start("md:KeyDescriptor").attribute("use", purpose);
    writer.start("ds:KeyInfo").start("ds:X509Data").leaf("ds:X509Certificate", &STANDARD.encode(key.certificate_der())).end().end();
    if purpose == "encryption" {
        for algorithm in [names::AES256_GCM, names::AES128_GCM, names::AES192_GCM, names::RSA_OAEP, names::RSA_OAEP_MGF1P] {
            writer.start("md:EncryptionMethod").attribute("Algorithm", algorithm).end();
        }
    }
    writer.end();
}
