//! Reading the metadata of an application (SAML Metadata 2.4.4), as tolerant and as strict as those of identity providers.

use super::identifiers::SubjectIdRequirement;
use super::name_id::NameIdFormat;
use super::trust::{AssertionConsumerService, AttributeConsumingService, EncryptionKey, RequestedAttribute, SpParts, SpTrust};
use crate::clock::Timestamp;
use crate::saml::assertion::Attribute;
use crate::saml::binding::ResponseBinding;
use crate::saml::logout::{logout_services, soap_logout_service};
use crate::saml::metadata::{
    Inherited, MetadataError, MetadataOptions, Role, cache_seconds, certificates_of, display_name, identity, key_descriptors, read_with,
    role_of, signing_certificates, text,
};
use crate::saml::names;
use crate::saml::xml::Element;
use url::Url;

const APPLICATION: Role = ("SPSSODescriptor", "application");

/// A text and the language it is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Localized {
    pub language: Option<String>,
    pub text: String,
}

/// A picture for pages, by https only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logo {
    pub url: Url,
    pub width: Option<u32>,
    pub height: Option<u32>,
    pub language: Option<String>,
}

/// One application as its metadata describe it.
#[derive(Clone, Debug)]
pub struct ApplicationMetadata {
    pub trust: SpTrust,
    /// For people: the English one, or whichever there is.
    pub display_name: Option<String>,
    pub display_names: Vec<Localized>,
    pub logos: Vec<Logo>,
    /// What others say of it (mdattr:EntityAttributes).
    pub entity_attributes: Vec<Attribute>,
    /// The earliest validUntil that applies.
    pub valid_until: Option<Timestamp>,
    /// The shortest cacheDuration that applies.
    pub cache_seconds: Option<u64>,
}

impl ApplicationMetadata {
    /// Its entity categories (RFC 8409).
    pub fn entity_categories(&self) -> impl Iterator<Item = &str> {
        let categories = self.entity_attributes.iter().filter(|attribute| attribute.name == names::ENTITY_CATEGORY);
        categories.flat_map(|attribute| &attribute.values).filter_map(|value| value.text()).map(str::trim)
    }

    /// Which subject identifier it needs (Subject Identifier Attributes Profile 1.0). Of several values none counts.
    pub fn subject_id_requirement(&self) -> Option<SubjectIdRequirement> {
        let said = self.entity_attributes.iter().filter(|attribute| attribute.name == names::SUBJECT_ID_REQUIREMENT);
        let mut values = said.flat_map(|attribute| &attribute.values).filter_map(|value| value.text());
        let only = values.next().filter(|_| values.next().is_none())?;
        SubjectIdRequirement::from_value(only.trim())
    }
}

/// Reads the metadata of one application.
///
/// # Errors
/// When the text is no metadata, is not signed as demanded, is expired, or does not describe a usable application.
pub fn read_sp(xml: &str, options: MetadataOptions<'_>, now: Timestamp) -> Result<ApplicationMetadata, MetadataError> {
    read_with(xml, options, APPLICATION, now, |entity, now| read_entity(entity, Inherited::default(), now))
}

/// Reads one EntityDescriptor.
pub(in crate::saml) fn read_entity(
    entity: Element<'_>,
    inherited: Inherited,
    now: Timestamp,
) -> Result<ApplicationMetadata, MetadataError> {
    let role = role_of(entity, APPLICATION)?;
    let (entity_id, valid_until) = identity(entity, role, inherited, now)?;
    let signing_certificates = signing_certificates(role)?;
    let truth = |name| matches!(role.attribute(name).map(str::trim), Some("true" | "1"));
    let formats = role.children_named(names::MD, "NameIDFormat").filter_map(|format| NameIdFormat::from_urn(&text(format)));
    let parts = SpParts {
        entity_id,
        acs: assertion_consumer_services(role, !signing_certificates.is_empty())?,
        logout_services: logout_services(role)?,
        signing_certificates,
        encryption_keys: encryption_keys(role)?,
        authn_requests_signed: truth("AuthnRequestsSigned"),
        want_assertions_signed: truth("WantAssertionsSigned"),
        name_id_formats: formats.collect(),
        attribute_consuming_services: role.children_named(names::MD, "AttributeConsumingService").map(wishes).collect(),
    };
    let mut trust = SpTrust::new(parts).map_err(|problems| MetadataError::at(role, problems.join("; ")))?;
    trust.soap_logout = soap_logout_service(role)?;
    let info = role.child(names::MD, "Extensions").and_then(|extensions| extensions.child(names::MDUI, "UIInfo"));
    Ok(ApplicationMetadata {
        trust,
        display_name: display_name(entity, role),
        display_names: info.into_iter().flat_map(|info| info.children_named(names::MDUI, "DisplayName")).filter_map(localized).collect(),
        logos: info.into_iter().flat_map(|info| info.children_named(names::MDUI, "Logo")).filter_map(logo).collect(),
        entity_attributes: entity_attributes(entity),
        valid_until,
        cache_seconds: cache_seconds(role).into_iter().chain(inherited.cache_seconds).min(),
    })
}

// SAML Metadata 2.4.4. Other bindings than HTTP-POST and HTTP-Artifact are left out: no answer goes there. Nor does an artifact
// to somebody who could not sign the question for what it stands for.
fn assertion_consumer_services(role: Element<'_>, signs: bool) -> Result<Vec<AssertionConsumerService>, MetadataError> {
    let mut found = Vec::new();
    for element in role.children_named(names::MD, "AssertionConsumerService") {
        let binding = match ResponseBinding::from_urn(element.attribute("Binding").unwrap_or_default().trim()) {
            Some(ResponseBinding::Post) => ResponseBinding::Post,
            Some(ResponseBinding::Artifact) if signs => ResponseBinding::Artifact,
            _ => continue,
        };
        let location = element.attribute("Location").unwrap_or_default().trim();
        let acs = AssertionConsumerService::new(location, index(element)?, is_default(element));
        found.push(
            acs.map(|acs| acs.by(binding))
                .map_err(|why| MetadataError::at(element, format!("the Location of AssertionConsumerService: {why}")))?,
        );
    }
    Ok(found)
}

fn index(element: Element<'_>) -> Result<Option<u16>, MetadataError> {
    let Some(found) = element.attribute("index").map(str::trim) else { return Ok(None) };
    found.parse().map(Some).map_err(|_| MetadataError::at(element, format!("index is not a number from 0 to 65535: \"{found}\"")))
}

fn is_default(element: Element<'_>) -> Option<bool> {
    element.attribute("isDefault").map(|value| matches!(value.trim(), "true" | "1"))
}

/// Those that cannot be used are left out where another can.
pub(in crate::saml) fn encryption_keys(role: Element<'_>) -> Result<Vec<EncryptionKey>, MetadataError> {
    let (mut keys, mut unusable) = (Vec::new(), None);
    for descriptor in key_descriptors(role, "encryption") {
        let methods = descriptor.children_named(names::MD, "EncryptionMethod").filter_map(|method| method.attribute("Algorithm"));
        let methods: Vec<String> = methods.map(|uri| uri.trim().to_owned()).collect();
        let only_for_this = descriptor.attribute("use").is_some_and(|usage| !usage.trim().is_empty());
        for certificate in certificates_of(descriptor, "encryption")? {
            match EncryptionKey::new(certificate, methods.clone()) {
                Ok(key) => keys.push(key),
                // A key for both uses may well be one that only signs.
                Err(why) if only_for_this => unusable = Some(MetadataError::at(descriptor, why)),
                Err(_) => {}
            }
        }
    }
    match unusable {
        Some(error) if keys.is_empty() => Err(error),
        _ => Ok(keys),
    }
}

fn wishes(service: Element<'_>) -> AttributeConsumingService {
    let owned = |element: Element<'_>, name| element.attribute(name).map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned);
    let requested = service.children_named(names::MD, "RequestedAttribute").filter_map(|wish| {
        Some(RequestedAttribute {
            name: owned(wish, "Name")?,
            name_format: owned(wish, "NameFormat"),
            friendly_name: owned(wish, "FriendlyName"),
            required: matches!(wish.attribute("isRequired").map(str::trim), Some("true" | "1")),
            values: wish.children_named(names::SAML, "AttributeValue").map(text).collect(),
        })
    });
    AttributeConsumingService { index: index(service).ok().flatten(), is_default: is_default(service), attributes: requested.collect() }
}

fn language(element: Element<'_>) -> Option<String> {
    element.attribute_ns(names::XML, "lang").map(str::to_owned)
}

fn localized(element: Element<'_>) -> Option<Localized> {
    Some(Localized { language: language(element), text: text(element) }).filter(|localized| !localized.text.is_empty())
}

/// Shown on our pages: what is not https would be blocked there, or worse.
fn logo(element: Element<'_>) -> Option<Logo> {
    let size = |name| element.attribute(name).and_then(|size| size.trim().parse().ok());
    let url = Url::parse(&text(element)).ok().filter(|url| url.scheme() == "https")?;
    Some(Logo { url, width: size("width"), height: size("height"), language: language(element) })
}

// Metadata Extension for Entity Attributes 1.0: in the Extensions of the entity, plain attributes only.
fn entity_attributes(entity: Element<'_>) -> Vec<Attribute> {
    let extensions = entity.children_named(names::MD, "Extensions");
    let holders = extensions.flat_map(|extensions| extensions.children_named(names::MDATTR, "EntityAttributes"));
    holders.flat_map(|holder| holder.children_named(names::SAML, "Attribute")).map(Attribute::read).collect()
}
