//! What a request asks, in words that fit every protocol, and which identity providers its Scoping leaves.

use super::{IdpEndpoint, SsoRequest};
use crate::application::Application;
use crate::broker::Gateway;
use crate::broker::choose::Pick;
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

impl Gateway {
    pub(super) fn asked_by_saml(
        &self,
        request: &SsoRequest<'_>,
        checked: &CheckedRequest,
        application: &Application,
        came_by: Option<&Pick>,
        now: Timestamp,
    ) -> Result<Asked, Unserved> {
        // SAML Core 3.4.1.2: with a count of zero nobody else may be asked, and we always ask somebody else.
        if checked.proxy_count().is_err() {
            return Err(Unserved { second: "ProxyCountExceeded", why: "the application lets nobody else be asked (ProxyCount is 0)" });
        }
        let said = checked.said();
        let place = match (request.endpoint, request.connection) {
            (IdpEndpoint::Mirror(mirror), _) => Some(Pick { connection: mirror.connection.clone(), idp: mirror.idp.clone() }),
            (_, Some(connection)) => Some(Pick { connection: connection.to_owned(), idp: None }),
            _ => self.idp_of_list(&said.idp_list, application, came_by, now)?,
        };
        let (connection, idp) = place.map_or((None, None), |place| (Some(place.connection), place.idp));
        let asked = Asked {
            passive: said.is_passive,
            fresh_login: said.force_authn,
            acr_values: said.requested_authn_context.clone(),
            acr_comparison: (!said.requested_authn_context.is_empty()).then_some(said.comparison),
            login_hint: said.subject_hint.clone(),
            proxy_count: said.proxy_count,
            requester_ids: said.requester_ids.clone(),
            connection,
            idp,
            ..Asked::default()
        };
        // Whom the request itself names, or the entity that it asks, a hint does not change.
        let open = !matches!(request.endpoint, IdpEndpoint::Mirror(_)) && said.idp_list.is_empty();
        Ok(self.with_idp_hint(asked, request.idp_hint.filter(|_| open), application, now))
    }

    /// The identity provider that the application names (SAML Core 3.4.1.2, IDPList): of those in its list that it may use
    /// the one by which the person has come, else the first; without a list, or where we ourselves stand on it, any.
    fn idp_of_list(
        &self,
        idp_list: &[String],
        application: &Application,
        came_by: Option<&Pick>,
        now: Timestamp,
    ) -> Result<Option<Pick>, Unserved> {
        if idp_list.is_empty() || idp_list.contains(&self.idp_entity_id(None)) {
            return Ok(None);
        }
        let known = |entity_id: &String| self.pick_of(entity_id, application, now);
        if let Some(known) = came_by.filter(|came_by| idp_list.iter().filter_map(known).any(|pick| pick == **came_by)) {
            return Ok(Some(known.clone()));
        }
        if let Some(first) = idp_list.iter().find_map(known) {
            return Ok(Some(first));
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
