//! What changed between two descriptions of an identity provider, in words for people and for the audit log.

use crate::saml::artifact::ResolutionService;
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
    /// The metadata of one identity provider are now those of another.
    EntityId {
        from: String,
        to: String,
    },
}

/// One endpoint.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    /// `SingleSignOnService`, `SingleLogoutService` or `ArtifactResolutionService`.
    pub service: String,
    /// `HTTP-Redirect`, `HTTP-POST` or `SOAP`.
    pub binding: String,
    pub location: String,
    /// Where answers go, if elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_location: Option<String>,
    /// Of an ArtifactResolutionService.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<u16>,
}

impl Place {
    fn addresses(&self) -> impl Iterator<Item = &str> {
        [Some(&self.location), self.response_location.as_ref()].into_iter().flatten().map(String::as_str)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.service, self.binding, self.location)?;
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
            Self::EntityId { from, to } => write!(f, "entityID {from} is now {to}"),
        }
    }
}

/// Everything of the new description that a login would notice.
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

fn sets<T: Ord + Clone>(old: &BTreeSet<T>, new: &BTreeSet<T>, added: fn(T) -> Change, removed: fn(T) -> Change, to: &mut Vec<Change>) {
    to.extend(new.difference(old).cloned().map(added));
    to.extend(old.difference(new).cloned().map(removed));
}

/// All endpoints.
pub fn places(of: &IdpMetadata) -> BTreeSet<Place> {
    let place = |service: &str, binding: Binding, location: &Url, response_location: Option<&Url>| Place {
        service: service.to_owned(),
        binding: if binding == Binding::Redirect { REDIRECT } else { POST }.to_owned(),
        location: location.to_string(),
        response_location: response_location.map(Url::to_string),
        index: None,
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
    });
    sso.chain(slo).chain(resolution).collect()
}

/// Puts other endpoints into a description. Those that cannot be read are left out.
pub fn with_places(mut idp: IdpMetadata, places: &BTreeSet<Place>) -> IdpMetadata {
    let binding = |place: &Place| if place.binding == REDIRECT { Binding::Redirect } else { Binding::Post };
    let of = |service: &'static str| places.iter().filter(move |place| place.service == service);
    let sso = of(SSO).filter_map(|place| Some(Endpoint { binding: binding(place), location: place.location.parse().ok()? }));
    idp.sso_endpoints = sso.collect();
    let answers = |place: &Place| place.response_location.as_deref().map(str::parse).transpose();
    let slo = of(SLO).filter_map(|place| {
        Some(LogoutService { binding: binding(place), location: place.location.parse().ok()?, response_location: answers(place).ok()? })
    });
    idp.slo_endpoints = slo.collect();
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
const SOAP: &str = "SOAP";
const REDIRECT: &str = "HTTP-Redirect";
const POST: &str = "HTTP-POST";
