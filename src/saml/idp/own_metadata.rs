//! Writing our metadata as an identity provider (SAML Metadata 2.4.3), signed.

use super::name_id::NameIdFormat;
use super::sp_metadata::{Localized, Logo};
use crate::clock::Timestamp;
use crate::error::Result as CrateResult;
use crate::id;
use crate::keys::CertifiedKey;
use crate::saml::artifact::{ResolutionService, write_resolution_service};
use crate::saml::binding::Binding;
use crate::saml::logout::{LogoutService, write_logout_services};
use crate::saml::metadata::write_key;
use crate::saml::names;
use crate::saml::signature::{self, Signer};
use crate::saml::sp::Endpoint;
use crate::saml::xml::Writer;

/// What our metadata say.
#[derive(Clone, Debug)]
pub struct IdpDescription<'k> {
    pub entity_id: &'k str,
    pub sso: Vec<Endpoint>,
    pub logout: Vec<LogoutService>,
    /// Where artifacts of ours are resolved; without any, none is given out.
    pub artifact_services: Vec<ResolutionService>,
    /// Active first, then the next one.
    pub signing_keys: Vec<&'k CertifiedKey>,
    /// For encrypted NameIDs in requests.
    pub encryption_keys: Vec<&'k CertifiedKey>,
    pub want_authn_requests_signed: bool,
    pub name_id_formats: Vec<NameIdFormat>,
    /// For choosers.
    pub display: Display,
    pub valid_seconds: i64,
    pub cache_seconds: u64,
}

/// What people see of us at applications (mdui).
#[derive(Clone, Debug, Default)]
pub struct Display {
    pub names: Vec<Localized>,
    pub descriptions: Vec<Localized>,
    pub logos: Vec<Logo>,
}

impl<'k> IdpDescription<'k> {
    /// Formats that tell the least, valid for a week, looked at again every six hours.
    pub fn new(entity_id: &'k str, sso: Vec<Endpoint>, signing_keys: Vec<&'k CertifiedKey>) -> Self {
        Self {
            entity_id,
            sso,
            logout: Vec::new(),
            artifact_services: Vec::new(),
            signing_keys,
            encryption_keys: Vec::new(),
            want_authn_requests_signed: false,
            name_id_formats: vec![NameIdFormat::Persistent, NameIdFormat::Transient],
            display: Display::default(),
            valid_seconds: 7 * 86400,
            cache_seconds: 6 * 3600,
        }
    }
}

/// Writes our metadata, signed.
///
/// # Errors
/// When the key cannot sign.
pub fn write_idp(metadata: &IdpDescription<'_>, signer: Signer<'_>, now: Timestamp) -> CrateResult<String> {
    let mut writer = Writer::new();
    writer.start("md:EntityDescriptor").attribute("xmlns:md", names::MD).attribute("xmlns:ds", names::DS);
    writer.attribute("ID", &format!("_{}", id::random_id())).attribute("entityID", metadata.entity_id);
    writer.attribute("validUntil", &now.plus_seconds(metadata.valid_seconds).to_string());
    writer.attribute("cacheDuration", &format!("PT{}S", metadata.cache_seconds));
    writer.start("md:IDPSSODescriptor").attribute("protocolSupportEnumeration", names::SAMLP);
    writer.attribute("WantAuthnRequestsSigned", if metadata.want_authn_requests_signed { "true" } else { "false" });
    write_display(&mut writer, &metadata.display);
    for key in &metadata.signing_keys {
        write_key(&mut writer, "signing", key);
    }
    for key in &metadata.encryption_keys {
        write_key(&mut writer, "encryption", key);
    }
    for service in &metadata.artifact_services {
        write_resolution_service(&mut writer, service);
    }
    write_logout_services(&mut writer, &metadata.logout);
    for format in &metadata.name_id_formats {
        writer.leaf("md:NameIDFormat", format.urn());
    }
    for sso in &metadata.sso {
        endpoint(&mut writer, "md:SingleSignOnService", sso.binding, sso.location.as_str());
        writer.end();
    }
    signature::sign(&writer.finish(), signer)
}

fn endpoint(writer: &mut Writer, name: &'static str, binding: Binding, location: &str) {
    let binding = match binding {
        Binding::Redirect => names::BINDING_REDIRECT,
        Binding::Post => names::BINDING_POST,
    };
    writer.start(name).attribute("Binding", binding).attribute("Location", location);
}

/// Metadata Extensions for Login and Discovery User Interface 2.1; a text without language is in English.
fn write_display(writer: &mut Writer, display: &Display) {
    if display.names.is_empty() && display.descriptions.is_empty() && display.logos.is_empty() {
        return;
    }
    writer.start("md:Extensions").start("mdui:UIInfo").attribute("xmlns:mdui", names::MDUI);
    let mut texts = |name: &'static str, texts: &[Localized]| {
        for localized in texts {
            writer.start(name).attribute("xml:lang", localized.language.as_deref().unwrap_or("en")).text(&localized.text).end();
        }
    };
    texts("mdui:DisplayName", &display.names);
    texts("mdui:Description", &display.descriptions);
    for logo in &display.logos {
        let size = |size: Option<u32>| size.unwrap_or(64).to_string();
        writer.start("mdui:Logo").attribute("height", &size(logo.height)).attribute("width", &size(logo.width));
        writer.optional("xml:lang", logo.language.as_deref()).text(logo.url.as_str()).end();
    }
    writer.end().end();
}
