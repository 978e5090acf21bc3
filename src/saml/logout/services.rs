//! SingleLogoutService endpoints in metadata (SAML Metadata 2.2.2, 2.4.2) of either role: reading theirs, writing ours.

use super::LogoutService;
use crate::saml::binding::Binding;
use crate::saml::metadata::MetadataError;
use crate::saml::names;
use crate::saml::xml::{Element, Writer};
use url::Url;

/// Those by Redirect and POST; others are left out.
pub(in crate::saml) fn logout_services(role: Element<'_>) -> Result<Vec<LogoutService>, MetadataError> {
    let mut found = Vec::new();
    for element in role.children_named(names::MD, "SingleLogoutService") {
        let binding = match element.attribute("Binding").unwrap_or_default().trim() {
            names::BINDING_REDIRECT => Binding::Redirect,
            names::BINDING_POST => Binding::Post,
            _ => continue,
        };
        let response_location = element.attribute("ResponseLocation").map(|_| address(element, "ResponseLocation")).transpose()?;
        found.push(LogoutService { binding, location: address(element, "Location")?, response_location });
    }
    Ok(found)
}

/// The first by SOAP: where the partner takes LogoutRequests without the browser.
pub(in crate::saml) fn soap_logout_service(role: Element<'_>) -> Result<Option<Url>, MetadataError> {
    let is_soap = |element: &Element<'_>| element.attribute("Binding").unwrap_or_default().trim() == names::BINDING_SOAP;
    role.children_named(names::MD, "SingleLogoutService").find(is_soap).map(|element| address(element, "Location")).transpose()
}

/// Ours. What takes forms takes SOAP too, which is told by its media type.
pub(in crate::saml) fn write_logout_services(writer: &mut Writer, services: &[LogoutService]) {
    for service in services {
        let binding = match service.binding {
            Binding::Redirect => names::BINDING_REDIRECT,
            Binding::Post => names::BINDING_POST,
        };
        writer.start("md:SingleLogoutService").attribute("Binding", binding).attribute("Location", service.location.as_str());
        writer.optional("ResponseLocation", service.response_location.as_ref().map(|url| url.as_str())).end();
    }
    if let Some(service) = services.iter().find(|service| service.binding == Binding::Post) {
        writer.start("md:SingleLogoutService").attribute("Binding", names::BINDING_SOAP);
        writer.attribute("Location", service.location.as_str()).end();
    }
}

fn address(element: Element<'_>, name: &str) -> Result<Url, MetadataError> {
    let found = element.attribute(name).unwrap_or_default().trim();
    let url = Url::parse(found).ok().filter(|url| matches!(url.scheme(), "https" | "http") && url.fragment().is_none());
    url.ok_or_else(|| MetadataError::at(element, format!("the {name} of SingleLogoutService is not an http(s) address: \"{found}\"")))
}
