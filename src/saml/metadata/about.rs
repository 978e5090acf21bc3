//! What our metadata say of us beside the protocol: for choosers and consent pages of identity providers (mdui), for their
//! policies (entity attributes, requested attributes), and for their operators (organization, contacts).

use super::SpMetadata;
use crate::saml::idp::{Localized, Logo};
use crate::saml::names;
use crate::saml::xml::Writer;
use url::Url;

/// What one service provider says of itself. Nothing of it is needed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EntityInfo {
    pub ui: UiInfo,
    pub organization: Option<Organization>,
    pub contacts: Vec<Contact>,
    /// Name of an entity attribute, and its values.
    pub entity_attributes: Vec<(&'static str, Vec<String>)>,
}

/// Metadata Extensions for Login and Discovery User Interface 2.1.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UiInfo {
    pub display_names: Vec<Localized>,
    pub descriptions: Vec<Localized>,
    pub information_urls: Vec<Localized>,
    pub privacy_statement_urls: Vec<Localized>,
    pub logos: Vec<Logo>,
}

/// SAML Metadata 2.3.2.1; each list has at least one member.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Organization {
    pub names: Vec<Localized>,
    pub display_names: Vec<Localized>,
    pub urls: Vec<Localized>,
}

/// SAML Metadata 2.3.2.2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    pub kind: ContactKind,
    pub company: Option<String>,
    pub given_name: Option<String>,
    pub surname: Option<String>,
    /// Without `mailto:`.
    pub emails: Vec<String>,
    pub telephones: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContactKind {
    Technical,
    Support,
    Administrative,
    Billing,
    Other,
    /// Of the kind `other`, as REFEDS marks it (Sirtfi).
    Security,
}

/// SAML Metadata 2.4.4.1: an AttributeConsumingService.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestedSet {
    pub index: u16,
    /// At least one.
    pub names: Vec<Localized>,
    /// At least one, or it is not written.
    pub attributes: Vec<Requested>,
}

/// A RequestedAttribute.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Requested {
    pub name: String,
    pub friendly_name: Option<String>,
    pub required: bool,
}

impl UiInfo {
    fn is_empty(&self) -> bool {
        let texts = [&self.display_names, &self.descriptions, &self.information_urls, &self.privacy_statement_urls];
        self.logos.is_empty() && texts.iter().all(|texts| texts.is_empty())
    }
}

/// The Extensions of the entity.
pub(super) fn write_entity_extensions(writer: &mut Writer, info: &EntityInfo) {
    let said = || info.entity_attributes.iter().filter(|(_, values)| !values.is_empty());
    if said().next().is_none() {
        return;
    }
    // Metadata Extension for Entity Attributes 2.
    writer.start("md:Extensions").start("mdattr:EntityAttributes").attribute("xmlns:mdattr", names::MDATTR);
    for (name, values) in said() {
        writer.start("saml:Attribute").attribute("xmlns:saml", names::SAML);
        writer.attribute("Name", name).attribute("NameFormat", names::ATTRNAME_URI);
        for value in values {
            writer.leaf("saml:AttributeValue", value);
        }
        writer.end();
    }
    writer.end().end();
}

/// The Extensions of the role.
pub(super) fn write_role_extensions(writer: &mut Writer, ui: &UiInfo, discovery_response: Option<&Url>) {
    if ui.is_empty() && discovery_response.is_none() {
        return;
    }
    writer.start("md:Extensions");
    if !ui.is_empty() {
        write_ui(writer, ui);
    }
    if let Some(location) = discovery_response {
        // Identity Provider Discovery Service Protocol 2.5: the binding is named like the protocol.
        writer.start("idpdisc:DiscoveryResponse").attribute("xmlns:idpdisc", names::IDPDISC).attribute("Binding", names::IDPDISC);
        writer.attribute("Location", location.as_str()).attribute("index", "0").attribute("isDefault", "true").end();
    }
    writer.end();
}

fn write_ui(writer: &mut Writer, ui: &UiInfo) {
    writer.start("mdui:UIInfo").attribute("xmlns:mdui", names::MDUI);
    write_localized(writer, "mdui:DisplayName", &ui.display_names);
    write_localized(writer, "mdui:Description", &ui.descriptions);
    for logo in &ui.logos {
        let size = |size: Option<u32>| size.unwrap_or(64).to_string();
        writer.start("mdui:Logo").attribute("height", &size(logo.height)).attribute("width", &size(logo.width));
        writer.optional("xml:lang", logo.language.as_deref()).text(logo.url.as_str()).end();
    }
    write_localized(writer, "mdui:InformationURL", &ui.information_urls);
    write_localized(writer, "mdui:PrivacyStatementURL", &ui.privacy_statement_urls);
    writer.end();
}

/// What the role consumes: in the order of the sets, the first of them the usual one.
pub(super) fn write_attribute_sets(writer: &mut Writer, metadata: &SpMetadata<'_>) {
    for (number, set) in metadata.attribute_sets.iter().filter(|set| !set.attributes.is_empty()).enumerate() {
        writer.start("md:AttributeConsumingService").attribute("index", &set.index.to_string());
        writer.attribute("isDefault", if number == 0 { "true" } else { "false" });
        write_localized(writer, "md:ServiceName", &set.names);
        for attribute in &set.attributes {
            writer.start("md:RequestedAttribute").attribute("Name", &attribute.name);
            writer.attribute("NameFormat", name_format(&attribute.name));
            writer.optional("FriendlyName", attribute.friendly_name.as_deref());
            writer.attribute("isRequired", if attribute.required { "true" } else { "false" }).end();
        }
        writer.end();
    }
}

/// Organization and contacts of the entity.
pub(super) fn write_people(writer: &mut Writer, info: &EntityInfo) {
    if let Some(organization) = &info.organization {
        writer.start("md:Organization");
        write_localized(writer, "md:OrganizationName", &organization.names);
        write_localized(writer, "md:OrganizationDisplayName", &organization.display_names);
        write_localized(writer, "md:OrganizationURL", &organization.urls);
        writer.end();
    }
    for contact in &info.contacts {
        writer.start("md:ContactPerson").attribute("contactType", contact.kind.name());
        if contact.kind == ContactKind::Security {
            writer.attribute("xmlns:remd", REMD).attribute("remd:contactType", SECURITY);
        }
        for (name, text) in [("md:Company", &contact.company), ("md:GivenName", &contact.given_name), ("md:SurName", &contact.surname)] {
            if let Some(text) = text {
                writer.leaf(name, text);
            }
        }
        for email in &contact.emails {
            writer.leaf("md:EmailAddress", &format!("mailto:{email}"));
        }
        for telephone in &contact.telephones {
            writer.leaf("md:TelephoneNumber", telephone);
        }
        writer.end();
    }
}

impl ContactKind {
    const fn name(self) -> &'static str {
        match self {
            Self::Technical => "technical",
            Self::Support => "support",
            Self::Administrative => "administrative",
            Self::Billing => "billing",
            Self::Other | Self::Security => "other",
        }
    }
}

/// A text without language is in English.
fn write_localized(writer: &mut Writer, name: &'static str, texts: &[Localized]) {
    for localized in texts {
        writer.start(name).attribute("xml:lang", localized.language.as_deref().unwrap_or("en")).text(&localized.text).end();
    }
}

/// A name that is a URI is of the format `uri`, another one `basic`.
fn name_format(name: &str) -> &'static str {
    if name.contains(':') && Url::parse(name).is_ok() { names::ATTRNAME_URI } else { names::ATTRNAME_BASIC }
}

/// REFEDS Security Contact Metadata Extension.
const REMD: &str = "http://refeds.org/metadata";
const SECURITY: &str = "http://refeds.org/metadata/contactType/security";
