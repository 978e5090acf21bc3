//! What changed between two descriptions of a partner, in words for people and for the audit log.

use crate::saml::artifact::ResolutionService;
use crate::saml::binding::ResponseBinding;
use crate::saml::idp::{ApplicationMetadata, AssertionConsumerService, EncryptionKey, SpTrust};
use crate::saml::logout::LogoutService;
use crate::saml::{Binding, Endpoint, IdpMetadata};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use url::Url;

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// SHA-256 of the certificate, hex.
    CertificateAdded(String),
    CertificateRemoved(String),
    EndpointAdded(Place),
    EndpointRemoved(Place),
    ScopeAdded(String),
    ScopeRemoved(String),
    WantsSignedRequests(bool),
    /// Of an application: SHA-256 of a certificate to encrypt to, hex.
    EncryptionCertificateAdded(String),
    EncryptionCertificateRemoved(String),
    /// Of an application: what it says by a flag, with what it says now.
    Says(&'static str, bool),
    /// Of an application: something that it asks for or has, by its kind and name.
    ListedAdded(Listed),
    ListedRemoved(Listed),
    /// The metadata of one identity provider are now those of another.
    EntityId {
        from: String,
        to: String,
    },
}

/// Something that an application lists: what it is, and its name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listed {
    pub kind: &'static str,
    pub name: String,
}

/// One endpoint.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    /// `SingleSignOnService`, `SingleLogoutService`, `ArtifactResolutionService` or `AssertionConsumerService`.
    pub service: String,
    /// `HTTP-Redirect`, `HTTP-POST`, `HTTP-Artifact` or `SOAP`.
    pub binding: String,
    pub location: String,
    /// Where answers go, if elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_location: Option<String>,
    /// Of an ArtifactResolutionService or AssertionConsumerService.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<u16>,
    /// The AssertionConsumerService for requests that name none.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_default: bool,
}

impl Place {
    fn addresses(&self) -> impl Iterator<Item = &str> {
        [Some(&self.location), self.response_location.as_ref()].into_iter().flatten().map(String::as_str)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.service, self.binding, self.location)?;
        if let Some(index) = self.index.filter(|_| self.service == ACS) {
            write!(f, " (index {index})")?;
        }
        if self.is_default {
            f.write_str(" (default)")?;
        }
        match &self.response_location {
            Some(location) => write!(f, " (answers to {location})"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CertificateAdded(fingerprint) => write!(f, "+ certificate {fingerprint}"),
            Self::CertificateRemoved(fingerprint) => write!(f, "- certificate {fingerprint}"),
            Self::EndpointAdded(place) => write!(f, "+ {place}"),
            Self::EndpointRemoved(place) => write!(f, "- {place}"),
            Self::ScopeAdded(scope) => write!(f, "+ scope {scope}"),
            Self::ScopeRemoved(scope) => write!(f, "- scope {scope}"),
            Self::WantsSignedRequests(wants) => write!(f, "WantAuthnRequestsSigned is now {wants}"),
            Self::EncryptionCertificateAdded(fingerprint) => write!(f, "+ encryption certificate {fingerprint}"),
            Self::EncryptionCertificateRemoved(fingerprint) => write!(f, "- encryption certificate {fingerprint}"),
            Self::Says(flag, value) => write!(f, "{flag} is now {value}"),
            Self::ListedAdded(Listed { kind, name }) => write!(f, "+ {kind} {name}"),
            Self::ListedRemoved(Listed { kind, name }) => write!(f, "- {kind} {name}"),
            Self::EntityId { from, to } => write!(f, "entityID {from} is now {to}"),
        }
    }
}

/// Everything of the new description of an identity provider that a login would notice.
pub fn difference(old: &IdpMetadata, new: &IdpMetadata) -> Vec<Change> {
    let mut changes = Vec::new();
    let fingerprints = |of: &IdpMetadata| of.keys.fingerprints().map(str::to_owned).collect::<BTreeSet<_>>();
    sets(&fingerprints(old), &fingerprints(new), Change::CertificateAdded, Change::CertificateRemoved, &mut changes);
    sets(&places(old), &places(new), Change::EndpointAdded, Change::EndpointRemoved, &mut changes);
    let scopes = |of: &IdpMetadata| {
        let shown = of.scopes.iter().map(|scope| if scope.regexp { format!("/{}/", scope.value) } else { scope.value.clone() });
        shown.collect::<BTreeSet<_>>()
    };
    sets(&scopes(old), &scopes(new), Change::ScopeAdded, Change::ScopeRemoved, &mut changes);
    if old.want_authn_requests_signed != new.want_authn_requests_signed {
        changes.push(Change::WantsSignedRequests(new.want_authn_requests_signed));
    }
    changes
}

/// The same of an application.
pub fn difference_of_applications(old: &ApplicationMetadata, new: &ApplicationMetadata) -> Vec<Change> {
    let mut changes = Vec::new();
    let signing = |of: &ApplicationMetadata| -> BTreeSet<String> {
        of.trust.keys().into_iter().flat_map(|keys| keys.fingerprints()).map(str::to_owned).collect()
    };
    sets(&signing(old), &signing(new), Change::CertificateAdded, Change::CertificateRemoved, &mut changes);
    let (added, removed) = (Change::EncryptionCertificateAdded, Change::EncryptionCertificateRemoved);
    sets(&encryption_fingerprints(old), &encryption_fingerprints(new), added, removed, &mut changes);
    let (before, after) = (places_of_application(old), places_of_application(new));
    sets(&before, &after, Change::EndpointAdded, Change::EndpointRemoved, &mut changes);
    let flags = |of: &SpTrust| [("AuthnRequestsSigned", of.authn_requests_signed()), ("WantAssertionsSigned", of.want_assertions_signed)];
    let said = flags(&new.trust).into_iter().zip(flags(&old.trust)).filter(|(new, old)| new != old);
    changes.extend(said.map(|((flag, value), _)| Change::Says(flag, value)));
    sets(&listed(old), &listed(new), Change::ListedAdded, Change::ListedRemoved, &mut changes);
    changes
}

fn encryption_fingerprints(of: &ApplicationMetadata) -> BTreeSet<String> {
    of.trust.encryption_keys.iter().map(EncryptionKey::fingerprint).collect()
}

/// What it asks for, and what it has that decides what it gets.
fn listed(of: &ApplicationMetadata) -> BTreeSet<Listed> {
    let formats = of.trust.name_id_formats.iter().map(|format| Listed { kind: "NameIDFormat", name: format.urn().to_owned() });
    let categories = of.entity_categories().map(|category| Listed { kind: "entity category", name: category.to_owned() });
    let needed =
        of.subject_id_requirement().map(|needed| Listed { kind: "subject identifier that is needed:", name: format!("{needed:?}") });
    let services = of.trust.attribute_consuming_services.iter();
    let wishes = services.flat_map(|service| service.attributes.iter().map(|wish| (service.index, wish))).map(|(index, wish)| {
        let of_service = index.map(|index| format!(" (service {index})")).unwrap_or_default();
        let values = if wish.values.is_empty() { String::new() } else { format!(" only of {}", wish.values.join(", ")) };
        Listed { kind: "RequestedAttribute", name: format!("{}{values}{of_service}", wish.name) }
    });
    formats.chain(categories).chain(needed).chain(wishes).collect()
}

/// What [`difference`] compares, as a text.
pub fn state(of: &IdpMetadata) -> String {
    let keys: BTreeSet<_> = of.keys.fingerprints().collect();
    let scopes: BTreeSet<_> = of.scopes.iter().map(|scope| (&scope.value, scope.regexp)).collect();
    format!("{keys:?} {:?} {scopes:?} {}", places(of), of.want_authn_requests_signed)
}

/// What [`difference_of_applications`] compares, as a text.
pub fn state_of_application(of: &ApplicationMetadata) -> String {
    let keys: BTreeSet<_> = of.trust.keys().into_iter().flat_map(|keys| keys.fingerprints()).collect();
    let flags = (of.trust.authn_requests_signed(), of.trust.want_assertions_signed);
    format!("{keys:?} {:?} {:?} {flags:?} {:?}", encryption_fingerprints(of), places_of_application(of), listed(of))
}

fn sets<T: Ord + Clone>(old: &BTreeSet<T>, new: &BTreeSet<T>, added: fn(T) -> Change, removed: fn(T) -> Change, to: &mut Vec<Change>) {
    to.extend(new.difference(old).cloned().map(added));
    to.extend(old.difference(new).cloned().map(removed));
}

/// All endpoints of an identity provider.
pub fn places(of: &IdpMetadata) -> BTreeSet<Place> {
    let place = |service: &str, binding: Binding, location: &Url, response_location: Option<&Url>| Place {
        service: service.to_owned(),
        binding: if binding == Binding::Redirect { REDIRECT } else { POST }.to_owned(),
        location: location.to_string(),
        response_location: response_location.map(Url::to_string),
        index: None,
        is_default: false,
    };
    let sso = of.sso_endpoints.iter().map(|endpoint| place(SSO, endpoint.binding, &endpoint.location, None));
    let slo = of.slo_endpoints.iter();
    let slo = slo.map(|service| place(SLO, service.binding, &service.location, service.response_location.as_ref()));
    let resolution = of.artifact_services.iter().map(|service| Place {
        service: RESOLUTION.to_owned(),
        binding: SOAP.to_owned(),
        location: service.location.to_string(),
        response_location: None,
        index: service.index,
        is_default: false,
    });
    sso.chain(slo).chain(resolution).collect()
}

/// All endpoints of an application. Which address is the default is said, so that their order means nothing.
pub fn places_of_application(of: &ApplicationMetadata) -> BTreeSet<Place> {
    let default = of.trust.default_acs();
    let acs = of.trust.acs().iter().map(|acs| Place {
        service: ACS.to_owned(),
        binding: if acs.binding == ResponseBinding::Artifact { ARTIFACT } else { POST }.to_owned(),
        location: acs.location().to_owned(),
        response_location: None,
        index: acs.index,
        is_default: default == Some(acs),
    });
    let slo = of.trust.logout_services.iter().map(|service| Place {
        service: SLO.to_owned(),
        binding: if service.binding == Binding::Redirect { REDIRECT } else { POST }.to_owned(),
        location: service.location.to_string(),
        response_location: service.response_location.as_ref().map(Url::to_string),
        index: None,
        is_default: false,
    });
    let by_soap = of.trust.soap_logout.iter().map(|location| Place {
        service: SLO.to_owned(),
        binding: SOAP.to_owned(),
        location: location.to_string(),
        response_location: None,
        index: None,
        is_default: false,
    });
    acs.chain(slo).chain(by_soap).collect()
}

/// Puts other endpoints into the description of an application. Those that cannot be read are left out.
pub fn application_with_places(of: ApplicationMetadata, places: &BTreeSet<Place>) -> ApplicationMetadata {
    let acs = places.iter().filter(|place| place.service == ACS).filter_map(|place| {
        let binding = if place.binding == ARTIFACT { ResponseBinding::Artifact } else { ResponseBinding::Post };
        let acs = AssertionConsumerService::new(&place.location, place.index, Some(place.is_default)).ok()?;
        Some(acs.by(binding))
    });
    let by_soap = places.iter().find(|place| place.service == SLO && place.binding == SOAP);
    let soap_logout = by_soap.and_then(|place| place.location.parse().ok());
    let trust = of.trust.at(acs.collect(), logout_services(places), soap_logout);
    ApplicationMetadata { trust, ..of }
}

fn logout_services(places: &BTreeSet<Place>) -> Vec<LogoutService> {
    let answers = |place: &Place| place.response_location.as_deref().map(str::parse).transpose();
    let services = places.iter().filter(|place| place.service == SLO && place.binding != SOAP).filter_map(|place| {
        let binding = if place.binding == REDIRECT { Binding::Redirect } else { Binding::Post };
        Some(LogoutService { binding, location: place.location.parse().ok()?, response_location: answers(place).ok()? })
    });
    services.collect()
}

/// Puts other endpoints into the description of an identity provider. Those that cannot be read are left out.
pub fn with_places(mut idp: IdpMetadata, places: &BTreeSet<Place>) -> IdpMetadata {
    let binding = |place: &Place| if place.binding == REDIRECT { Binding::Redirect } else { Binding::Post };
    let of = |service: &'static str| places.iter().filter(move |place| place.service == service);
    let sso = of(SSO).filter_map(|place| Some(Endpoint { binding: binding(place), location: place.location.parse().ok()? }));
    idp.sso_endpoints = sso.collect();
    idp.slo_endpoints = logout_services(places);
    let resolution =
        of(RESOLUTION).filter_map(|place| Some(ResolutionService { index: place.index, location: place.location.parse().ok()? }));
    idp.artifact_services = resolution.collect();
    idp
}

/// Scheme, host and port of every endpoint that the approved ones have nowhere.
pub fn new_origins(approved: &BTreeSet<Place>, new: &BTreeSet<Place>) -> BTreeSet<String> {
    let origins = |places: &BTreeSet<Place>| -> BTreeSet<String> {
        places
            .iter()
            .flat_map(Place::addresses)
            .filter_map(|address| address.parse::<Url>().ok())
            .map(|url| url.origin().ascii_serialization())
            .collect()
    };
    origins(new).difference(&origins(approved)).cloned().collect()
}

const SSO: &str = "SingleSignOnService";
const SLO: &str = "SingleLogoutService";
const RESOLUTION: &str = "ArtifactResolutionService";
const ACS: &str = "AssertionConsumerService";
const SOAP: &str = "SOAP";
const REDIRECT: &str = "HTTP-Redirect";
const POST: &str = "HTTP-POST";
const ARTIFACT: &str = "HTTP-Artifact";
