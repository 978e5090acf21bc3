//! Who we are toward SAML applications: one entity for all, or one for each connection that an application may see as an
//! identity provider of its own (mirror). Addresses, entity IDs and metadata.

use super::{IdpEndpoint, mirror_of, not_registered};
use crate::application::Application;
use crate::broker::Gateway;
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::id;
use crate::keys::{CertifiedKey, KeySet, SamlKeys};
use crate::login::Mirror;
use crate::saml::idp::{self, Display, IdpDescription, Localized, ResponseSettings};
use crate::saml::logout::LogoutService;
use crate::saml::{Binding, Endpoint, Incoming, Signer};
use std::fmt::Write as _;
use url::Url;

impl Gateway {
    /// Our address for requests, as it is published.
    pub(super) fn sso_address(&self, endpoint: &IdpEndpoint) -> String {
        format!("{}{}", self.issuer, sso_path(endpoint))
    }

    /// Our address for logout messages.
    pub(in crate::broker) fn slo_address(&self, endpoint: &IdpEndpoint) -> String {
        let path = match endpoint {
            IdpEndpoint::Shared => "/saml/slo".to_owned(),
            IdpEndpoint::Application(client_id) => format!("/samlp/{}/logout", segment(client_id)),
            IdpEndpoint::Mirror(mirror) => format!("{}/slo", mirror_path(mirror)),
        };
        format!("{}{path}", self.issuer)
    }

    /// Our address for artifacts.
    pub(super) fn artifact_address(&self, endpoint: &IdpEndpoint) -> String {
        let path = match endpoint {
            IdpEndpoint::Shared => "/saml/artifact".to_owned(),
            IdpEndpoint::Application(client_id) => format!("/samlp/{}/artifact", segment(client_id)),
            IdpEndpoint::Mirror(mirror) => format!("{}/artifact", mirror_path(mirror)),
        };
        format!("{}{path}", self.issuer)
    }

    /// Who we are toward an application.
    pub(in crate::broker) fn idp_entity_id(&self, mirror: Option<&Mirror>) -> String {
        let path = mirror.map_or_else(|| "/saml".to_owned(), mirror_path);
        format!("{}{path}/metadata", self.issuer)
    }

    /// Those that sign toward this application; where none is named, toward any of them, the usual ones first.
    fn signing_sets<'k>(&self, keys: &'k SamlKeys, of: Option<&ResponseSettings>) -> Result<Vec<&'k KeySet>> {
        if let Some(settings) = of {
            return Ok(vec![keys.signing(settings.signature)?]);
        }
        let mut sets = vec![keys.signing(None)?];
        let chosen = self.applications.values().filter_map(|application| response_settings(application)?.signature);
        // An application whose key is missing is told so when it is answered.
        sets.extend(chosen.filter_map(|scheme| keys.signing(Some(scheme)).ok()));
        sets.sort_by_key(|set| set.purpose());
        sets.dedup_by_key(|set| set.purpose());
        Ok(sets)
    }

    /// May this application see this connection as an identity provider of its own?
    pub(super) fn may_mirror(&self, application: &Application, mirror: &Mirror, now: Timestamp) -> bool {
        let wanted = application.enabled && application.saml.as_ref().is_some_and(|saml| saml.sp.mirror());
        wanted && self.accepts(application, &mirror.connection) && self.is_there(mirror, now)
    }

    /// One of many identity providers must be one that the connection knows.
    fn is_there(&self, mirror: &Mirror, now: Timestamp) -> bool {
        let Some(connection) = self.connections.enabled(&mirror.connection) else { return false };
        mirror.idp.as_deref().is_none_or(|idp| connection.idp(idp, now).is_some())
    }

    /// Our metadata as an identity provider, signed.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidRedirectUri`] where there is no such application, or no application for which this connection
    /// has an entity; when the key cannot sign.
    pub fn idp_metadata(&self, endpoint: &IdpEndpoint, now: Timestamp) -> Result<String> {
        let settings = match endpoint {
            // They can be had before those of the application are: somebody has to be first.
            IdpEndpoint::Application(client_id) => match self.application(client_id).and_then(|application| response_settings(application))
            {
                Some(settings) => Some(settings),
                None => Some(self.service_provider_of(client_id)?.1.sp.response()),
            },
            IdpEndpoint::Shared | IdpEndpoint::Mirror(_) => None,
        };
        let own = self.idp_entity_id(mirror_of(endpoint).as_ref());
        let entity_id = settings.and_then(|settings| settings.issuer.as_deref()).unwrap_or(&own);
        let sso = both(&self.sso_address(endpoint))?.map(|(binding, location)| Endpoint { binding, location });
        let slo =
            both(&self.slo_address(endpoint))?.map(|(binding, location)| LogoutService { binding, location, response_location: None });
        let keys = self.keyring.saml();
        let sets = self.signing_sets(&keys, settings)?;
        let published: Vec<&CertifiedKey> = sets.iter().flat_map(|set| set.published()).collect();
        let signer = match (settings, sets.first()) {
            (Some(settings), Some(first)) => settings.signer(first.active())?,
            (None, Some(first)) => Signer::new(first.active()),
            (_, None) => return Err(Error::new(ErrorKind::Internal, "there is no signing key")),
        };
        let mut description = IdpDescription::new(entity_id, sso.to_vec(), published);
        description.logout = slo.to_vec();
        description.artifact_services = self.artifact_service(endpoint).into_iter().collect();
        description.encryption_keys = keys.encryption().published().collect();
        if let IdpEndpoint::Mirror(mirror) = endpoint {
            description.display = self.mirror_display(mirror, now)?;
        }
        idp::write_idp(&description, signer, now)
    }

    /// What choosers show of it: the name of whom it stands for. Where no application has such an entity, nobody learns
    /// which connections there are.
    fn mirror_display(&self, mirror: &Mirror, now: Timestamp) -> Result<Display> {
        let nobody = || not_registered(format!("no application may see the connection {} as an entity of its own", mirror.connection));
        let connection = self.connections.enabled(&mirror.connection).ok_or_else(nobody)?;
        if !self.applications.values().any(|application| self.may_mirror(application, mirror, now)) {
            return Err(nobody());
        }
        let chosen = mirror.idp.as_deref().and_then(|idp| connection.idp(idp, now));
        let name = chosen.map_or_else(|| connection.config().display_name.clone(), |idp| idp.name);
        Ok(Display { names: vec![Localized { language: None, text: name }], ..Display::default() })
    }
}

/// What answers to an application look like, also while its metadata are not there.
fn response_settings(application: &Application) -> Option<&ResponseSettings> {
    let by_metadata = || Some(&application.by_metadata.as_ref()?.template.settings.response);
    application.saml.as_ref().map(|saml| saml.sp.response()).or_else(by_metadata)
}

/// Path and query that make a request by redirect again; empty for one by POST, which only the application can make.
pub(super) fn restart_path(endpoint: &IdpEndpoint, message: Incoming<'_>) -> String {
    match message {
        Incoming::Redirect { raw_query } => format!("{}?{raw_query}", sso_path(endpoint)),
        Incoming::Post { .. } => String::new(),
    }
}

pub(super) fn sso_path(endpoint: &IdpEndpoint) -> String {
    match endpoint {
        IdpEndpoint::Shared => "/saml/sso".to_owned(),
        IdpEndpoint::Application(client_id) => format!("/samlp/{}", segment(client_id)),
        IdpEndpoint::Mirror(mirror) => format!("{}/sso", mirror_path(mirror)),
    }
}

fn mirror_path(mirror: &Mirror) -> String {
    let idp = mirror.idp.as_deref().map(|idp| format!("/{}", id::base64url(idp.as_bytes()))).unwrap_or_default();
    format!("/saml/mirror/{}{idp}", segment(&mirror.connection))
}

/// RFC 3986 2.3: what is not unreserved is escaped, so that a name is one segment of a path.
fn segment(name: &str) -> String {
    name.bytes().fold(String::with_capacity(name.len()), |mut path, byte| {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            path.push(char::from(byte));
        } else {
            let _ = write!(path, "%{byte:02X}");
        }
        path
    })
}

fn both(address: &str) -> Result<[(Binding, Url); 2]> {
    let url: Url = address.parse().map_err(|_| Error::new(ErrorKind::Misconfigured, format!("{address} is no address")))?;
    Ok([(Binding::Redirect, url.clone()), (Binding::Post, url)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_one_segment_of_a_path() {
        assert_eq!(segment("acme-1_x.y~z"), "acme-1_x.y~z");
        assert_eq!(segment("a/b?c#d%e f:g"), "a%2Fb%3Fc%23d%25e%20f%3Ag");
        let mirror = Mirror { connection: "fed".to_owned(), idp: Some("https://idp.example/?x".to_owned()) };
        assert_eq!(sso_path(&IdpEndpoint::Mirror(mirror)), "/saml/mirror/fed/aHR0cHM6Ly9pZHAuZXhhbXBsZS8_eA/sso");
    }
}
