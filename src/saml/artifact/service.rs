//! ArtifactResolutionService in metadata (SAML Metadata 2.4.2): where a sender's artifacts are resolved.

use crate::saml::names;
use crate::saml::xml::{Element, Writer};
use url::{Host, Url};

/// Where artifacts are resolved, in SOAP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolutionService {
    /// What an artifact's EndpointIndex must be; `None`: whatever it is, as an operator may say who knows only the address.
    pub index: Option<u16>,
    pub location: Url,
}

impl ResolutionService {
    /// # Errors
    /// Says what is wrong with the address: what comes from it signs people in, so it is asked by https, or on this computer.
    pub fn new(location: &str, index: Option<u16>) -> Result<Self, String> {
        let url = Url::parse(location).map_err(|_| format!("\"{location}\" is no address"))?;
        let loopback = match url.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        };
        let secure = url.scheme() == "https" || (url.scheme() == "http" && loopback);
        if !secure || url.fragment().is_some() || !url.username().is_empty() || url.password().is_some() {
            return Err(format!("\"{location}\" is no https address"));
        }
        Ok(Self { index, location: url })
    }

    /// Whether artifacts with this EndpointIndex are resolved here.
    pub fn resolves(&self, endpoint_index: u16) -> bool {
        self.index.is_none_or(|index| index == endpoint_index)
    }
}

/// Those that can be used; others are left out, since most logins need none.
pub(in crate::saml) fn resolution_services(role: Element<'_>) -> Vec<ResolutionService> {
    let services = role.children_named(names::MD, "ArtifactResolutionService");
    let by_soap = services.filter(|service| service.attribute("Binding").unwrap_or_default().trim() == names::BINDING_SOAP);
    let read = by_soap.filter_map(|service| {
        let index = service.attribute("index")?.trim().parse().ok()?;
        ResolutionService::new(service.attribute("Location")?.trim(), Some(index)).ok()
    });
    read.collect()
}

pub(in crate::saml) fn write_resolution_service(writer: &mut Writer, service: &ResolutionService) {
    writer.start("md:ArtifactResolutionService").attribute("Binding", names::BINDING_SOAP);
    writer.attribute("Location", service.location.as_str());
    writer.attribute("index", &service.index.unwrap_or_default().to_string()).end();
}
