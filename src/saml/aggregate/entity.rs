//! One entity of an aggregate: what people search it by, and its octets, packed, for a full reading when it is needed.

use crate::clock::Timestamp;
use crate::saml::idp::{ApplicationMetadata, read_application};
use crate::saml::metadata::{self, IdpMetadata, Inherited, MetadataError, text};
use crate::saml::names;
use crate::saml::sp::Scope;
use crate::saml::xml::{Document, Element, Limits, parse_in_context};
use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use std::collections::HashSet;
use std::io::{Read as _, Write as _};
use std::sync::Arc;
use url::Url;

/// An entity as a federation describes it. Exists only as part of an [`super::Aggregate`], whose signature covered it.
#[derive(Clone, Debug)]
pub struct Entity {
    pub entity_id: Arc<str>,
    /// Line of the aggregate where it begins, from 1.
    pub line: usize,
    /// It authenticates people by SAML 2.0.
    pub is_idp: bool,
    /// It is an application.
    pub is_sp: bool,
    pub display_names: Box<[Localized]>,
    pub keywords: Box<[Localized]>,
    pub logos: Box<[Logo]>,
    pub registration_authority: Option<Arc<str>>,
    pub categories: Box<[Arc<str>]>,
    pub scopes: Box<[Scope]>,
    /// It does not want to be offered to people (REFEDS hide-from-discovery).
    pub hidden: bool,
    /// The earliest validUntil that applies to the entity as a whole.
    pub valid_until: Option<Timestamp>,
    inherited: Inherited,
    packed: Packed,
}

/// A text and its language (`xml:lang`, lower case, may be empty).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Localized {
    pub language: Arc<str>,
    pub text: Box<str>,
}

/// A picture, by an https address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logo {
    pub url: Box<str>,
    /// Pixels; 0 where they are not given.
    pub width: u32,
    pub height: u32,
    pub language: Arc<str>,
}

impl Entity {
    /// Reads the whole description of the identity provider.
    ///
    /// # Errors
    /// When it is none, or is valid no longer.
    pub fn idp(&self, now: Timestamp) -> Result<IdpMetadata, MetadataError> {
        let xml = self.xml()?;
        let document = self.packed.document(&xml).map_err(|reason| self.error(reason))?;
        metadata::read_entity(document.root(), self.inherited, now).map_err(|error| self.error(error.reason))
    }

    /// Reads the whole description of the application.
    ///
    /// # Errors
    /// When it is none, or is valid no longer.
    pub fn sp(&self, now: Timestamp) -> Result<ApplicationMetadata, MetadataError> {
        let xml = self.xml()?;
        let document = self.packed.document(&xml).map_err(|reason| self.error(reason))?;
        read_application(document.root(), self.inherited, now).map_err(|error| self.error(error.reason))
    }

    /// The octets that were verified: canonical XML, which needs [`Entity::namespaces`] around it.
    ///
    /// # Errors
    /// Never for what was packed by us; the type says so anyway.
    pub fn xml(&self) -> Result<String, MetadataError> {
        self.packed.unpack().ok_or_else(|| self.error("its octets cannot be unpacked".to_owned()))
    }

    /// Prefix and namespace, as declared around [`Entity::xml`].
    pub fn namespaces(&self) -> &[(String, String)] {
        &self.packed.context
    }

    /// Whether the other description is the same, letter by letter.
    pub fn same_as(&self, other: &Self) -> bool {
        self.packed == other.packed
    }

    /// Whether it may be used at `now`.
    pub fn is_valid_at(&self, now: Timestamp) -> bool {
        self.valid_until.is_none_or(|until| until > now)
    }

    /// The name in that language, or else in English, or else the first; without any the entityID.
    pub fn name(&self, language: &str) -> &str {
        let wanted = language.split(['-', '_']).next().unwrap_or_default();
        let by = |wanted: &str| self.display_names.iter().find(|name| same_language(&name.language, wanted));
        by(wanted).or_else(|| by("en")).or_else(|| self.display_names.first()).map_or(&*self.entity_id, |name| &*name.text)
    }

    fn error(&self, reason: String) -> MetadataError {
        MetadataError { line: Some(self.line), reason }
    }
}

/// Whether two language tags share their first part.
fn same_language(tag: &str, primary: &str) -> bool {
    tag.split(['-', '_']).next().is_some_and(|first| first.eq_ignore_ascii_case(primary))
}

/// Canonical octets, deflated, and the declarations around them.
#[derive(Clone, PartialEq, Eq)]
struct Packed {
    bytes: Box<[u8]>,
    length: usize,
    context: Arc<Vec<(String, String)>>,
}

impl std::fmt::Debug for Packed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Packed({} bytes)", self.length)
    }
}

impl Packed {
    fn unpack(&self) -> Option<String> {
        let mut text = String::with_capacity(self.length);
        let mut decoder = DeflateDecoder::new(&*self.bytes).take(self.length as u64 + 1);
        decoder.read_to_string(&mut text).ok().filter(|read| *read == self.length).map(|_| text)
    }

    fn document<'x>(&'x self, xml: &'x str) -> Result<Document<'x>, String> {
        read_octets(xml, &self.context)
    }
}

fn read_octets<'x>(xml: &'x str, context: &'x [(String, String)]) -> Result<Document<'x>, String> {
    let context: Vec<(&str, &str)> = context.iter().map(|(prefix, uri)| (prefix.as_str(), uri.as_str())).collect();
    parse_in_context(xml, Limits::METADATA, &context).map_err(|error| error.to_string())
}

/// Reads and packs entities, and keeps what many of them share.
pub(super) struct Packer {
    encoder: DeflateEncoder<Vec<u8>>,
    shared: HashSet<Arc<str>>,
    context: Arc<Vec<(String, String)>>,
}

impl Packer {
    pub fn new() -> Self {
        Self { encoder: DeflateEncoder::new(Vec::new(), Compression::fast()), shared: HashSet::new(), context: Arc::new(Vec::new()) }
    }

    /// Reads the canonical octets of one entity.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub fn read(
        &mut self,
        xml: &str,
        context: Vec<(String, String)>,
        inherited: Inherited,
        line: usize,
        now: Timestamp,
    ) -> Result<Entity, String> {
        let document = read_octets(xml, &context)?;
        let root = document.root();
        let entity_id = root.attribute("entityID").map(str::trim).filter(|id| !id.is_empty());
        let entity_id = entity_id.ok_or("EntityDescriptor has no entityID")?;
        // SAML Core 8.3.6: at most 1024 characters.
        if entity_id.chars().count() > 1024 {
            return Err("the entityID has more than 1024 characters".to_owned());
        }
        let own = metadata::validity(root).map_err(|error| error.reason)?;
        let valid_until = own.into_iter().chain(inherited.valid_until).min();
        if let Some(until) = valid_until.filter(|until| *until <= now) {
            return Err(format!("it was valid until {until}; it is {now}"));
        }
        let idp = metadata::idp_role(root);
        if idp.is_some() {
            // Read once in full, so that what is wrong is said when the aggregate is loaded and not when somebody logs in.
            metadata::read_entity(root, inherited, now).map_err(|error| error.reason)?;
        }
        let sp = root.child(names::MD, "SPSSODescriptor");
        let role = idp.or(sp);
        let extensions = Extensions::of(root);
        let categories: Box<[Arc<str>]> = extensions.entity_attribute(CATEGORY).take(MANY).map(|value| self.share(&value)).collect();
        Ok(Entity {
            entity_id: entity_id.into(),
            line,
            is_idp: idp.is_some(),
            is_sp: sp.is_some(),
            display_names: self.display_names(root, role),
            keywords: self.keywords(role),
            logos: self.logos(role),
            registration_authority: extensions.registration_authority().map(|authority| self.share(&authority)),
            hidden: categories.iter().any(|category| **category == *HIDE_FROM_DISCOVERY),
            categories,
            scopes: idp.map(|idp| metadata::scopes(root, idp)).unwrap_or_default().into_iter().take(MANY).collect(),
            valid_until,
            inherited,
            packed: self.pack(xml, context)?,
        })
    }

    fn pack(&mut self, xml: &str, context: Vec<(String, String)>) -> Result<Packed, String> {
        if *self.context != context {
            self.context = Arc::new(context);
        }
        let broken = |_| "its octets cannot be packed".to_owned();
        self.encoder.write_all(xml.as_bytes()).map_err(broken)?;
        let bytes = self.encoder.reset(Vec::new()).map_err(broken)?;
        Ok(Packed { bytes: bytes.into_boxed_slice(), length: xml.len(), context: Arc::clone(&self.context) })
    }

    fn share(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.shared.get(text) {
            return Arc::clone(known);
        }
        let new: Arc<str> = text.into();
        self.shared.insert(Arc::clone(&new));
        new
    }

    fn localized(&mut self, element: Element<'_>, text: &str) -> Localized {
        let language = element.attribute_ns(names::XML, "lang").unwrap_or_default().trim().to_ascii_lowercase();
        Localized { language: self.share(&language), text: text.into() }
    }

    fn display_names(&mut self, entity: Element<'_>, role: Option<Element<'_>>) -> Box<[Localized]> {
        let info = role.and_then(ui_info);
        let mut elements: Vec<Element<'_>> = info.into_iter().flat_map(|info| info.children_named(names::MDUI, "DisplayName")).collect();
        if elements.is_empty() {
            let organization = entity.child(names::MD, "Organization").into_iter();
            elements = organization.flat_map(|of| of.children_named(names::MD, "OrganizationDisplayName")).collect();
        }
        let named = elements.into_iter().take(MANY).map(|element| (element, text(element)));
        named.filter(|(_, name)| fits(name)).map(|(element, name)| self.localized(element, &name)).collect()
    }

    fn keywords(&mut self, role: Option<Element<'_>>) -> Box<[Localized]> {
        let elements = role.and_then(ui_info).into_iter().flat_map(|info| info.children_named(names::MDUI, "Keywords"));
        let mut found = Vec::new();
        for element in elements {
            // Metadata Extensions for Login and Discovery UI 2.1.4: separated by white space, "+" is a space.
            for word in text(element).split_ascii_whitespace().take(MANY) {
                let word = word.replace('+', " ");
                if fits(word.trim()) && found.len() < MANY {
                    found.push(self.localized(element, word.trim()));
                }
            }
        }
        found.into_boxed_slice()
    }

    fn logos(&mut self, role: Option<Element<'_>>) -> Box<[Logo]> {
        let elements = role.and_then(ui_info).into_iter().flat_map(|info| info.children_named(names::MDUI, "Logo"));
        let pixels = |element: Element<'_>, name| element.attribute(name).and_then(|text| text.trim().parse().ok()).unwrap_or(0);
        elements
            .take(MANY)
            .filter_map(|element| {
                let url = Url::parse(&text(element)).ok().filter(|url| url.scheme() == "https" && url.as_str().len() <= 2048)?;
                let language = self.localized(element, "").language;
                Some(Logo { url: url.as_str().into(), width: pixels(element, "width"), height: pixels(element, "height"), language })
            })
            .collect()
    }
}

fn ui_info(role: Element<'_>) -> Option<Element<'_>> {
    role.child(names::MD, "Extensions")?.child(names::MDUI, "UIInfo")
}

fn fits(text: &str) -> bool {
    !text.is_empty() && text.len() <= 1024
}

/// The Extensions of an entity.
struct Extensions<'d>(Vec<Element<'d>>);

impl<'d> Extensions<'d> {
    fn of(entity: Element<'d>) -> Self {
        Self(entity.children_named(names::MD, "Extensions").collect())
    }

    fn named<'n>(&self, namespace: &'n str, local: &'n str) -> impl Iterator<Item = Element<'d>> + use<'_, 'd, 'n> {
        self.0.iter().flat_map(move |extensions| extensions.children_named(namespace, local))
    }

    // SAML V2.0 Metadata Extensions for Registration and Publication Information 2.1.
    fn registration_authority(&self) -> Option<String> {
        let information = self.named(names::MDRPI, "RegistrationInfo").next()?;
        information.attribute("registrationAuthority").map(str::trim).filter(|authority| fits(authority)).map(str::to_owned)
    }

    // SAML V2.0 Metadata Extension for Entity Attributes 2.1. Only plain attributes: an assertion about an entity is not read.
    fn entity_attribute(&self, name: &str) -> impl Iterator<Item = String> + use<'_, 'd> {
        let name = name.to_owned();
        let attributes = self.named(names::MDATTR, "EntityAttributes").flat_map(|list| list.children_named(names::SAML, "Attribute"));
        let wanted = attributes.filter(move |attribute| attribute.attribute("Name").map(str::trim) == Some(name.as_str()));
        wanted.flat_map(|attribute| attribute.children_named(names::SAML, "AttributeValue")).map(text).filter(|value| fits(value))
    }
}

/// Values of one kind that are kept at most.
const MANY: usize = 128;
const CATEGORY: &str = "http://macedir.org/entity-category";
const HIDE_FROM_DISCOVERY: &str = "http://refeds.org/category/hide-from-discovery";
