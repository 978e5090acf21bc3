//! What a request asks, in words that fit every protocol, and which identity providers its Scoping leaves.

use super::{IdpEndpoint, SsoRequest};
use crate::application::Application;
use crate::broker::Gateway;
use crate::clock::Timestamp;
use crate::login::Asked;
use crate::saml::idp::{CheckedRequest, Refusal};

/// A request in good order that nobody here can serve: the status, and why, for the application and the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unserved {
    pub second: &'static str,
    pub why: &'static str,
}

impl Unserved {
    pub const fn refusal<'a>(self, message: &'a str) -> Refusal<'a> {
        Refusal { top: "Responder", second: self.second, message: Some(message) }
    }
}

/// An identity provider: a connection, and one of its many where it has many.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Place {
    connection: Option<String>,
    idp: Option<String>,
}

impl Gateway {
    pub(super) fn asked_by_saml(
        &self,
        request: &SsoRequest<'_>,
        checked: &CheckedRequest,
        application: &Application,
        now: Timestamp,
    ) -> Result<Asked, Unserved> {
        // SAML Core 3.4.1.2: with a count of zero nobody else may be asked, and we always ask somebody else.
        if checked.proxy_count().is_err() {
            return Err(Unserved { second: "ProxyCountExceeded", why: "the application lets nobody else be asked (ProxyCount is 0)" });
        }
        let said = checked.said();
        let place = match (request.endpoint, request.connection) {
            (IdpEndpoint::Mirror(mirror), _) => Place { connection: Some(mirror.connection.clone()), idp: mirror.idp.clone() },
            (_, Some(connection)) => Place { connection: Some(connection.to_owned()), idp: None },
            _ => self.listed(&said.idp_list, application, now)?,
        };
        Ok(Asked {
            passive: said.is_passive,
            fresh_login: said.force_authn,
            acr_values: said.requested_authn_context.clone(),
            acr_comparison: (!said.requested_authn_context.is_empty()).then_some(said.comparison),
            login_hint: said.subject_hint.clone(),
            connection: place.connection,
            idp: place.idp,
            ..Asked::default()
        })
    }

    /// The identity provider that the application names (SAML Core 3.4.1.2, IDPList): the first of its list that it may use;
    /// without a list, or where we ourselves stand on it, any.
    fn listed(&self, idp_list: &[String], application: &Application, now: Timestamp) -> Result<Place, Unserved> {
        if idp_list.is_empty() || idp_list.contains(&self.idp_entity_id(None)) {
            return Ok(Place::default());
        }
        let usable = self.usable_connections(application);
        let usable: Vec<_> = usable.iter().filter_map(|name| self.connections.enabled(name)).collect();
        for wanted in idp_list {
            for connection in &usable {
                let name = connection.config().name.clone();
                if connection.idp_entity_id().as_ref() == Some(wanted) {
                    return Ok(Place { connection: Some(name), idp: None });
                }
                if connection.idp(wanted, now).is_some() {
                    return Ok(Place { connection: Some(name), idp: Some(wanted.clone()) });
                }
            }
        }
        // SAML Core 3.2.2.2: none is supported, or one is but not at the moment.
        let allowed = |name: &str| application.connections.as_ref().is_none_or(|allowed| allowed.iter().any(|known| known == name));
        let disabled = self.connections.all().filter(|connection| !connection.config().enabled && allowed(&connection.config().name));
        let disabled = disabled.filter(|connection| connection.config().serves(&application.client_id));
        let mut entities = disabled.filter_map(|connection| connection.idp_entity_id());
        if entities.any(|entity_id| idp_list.contains(&entity_id)) {
            return Err(Unserved { second: "NoAvailableIDP", why: "the identity provider that the application lists is disabled" });
        }
        Err(Unserved { second: "NoSupportedIDP", why: "none of the identity providers that the application lists is known here" })
    }
}
