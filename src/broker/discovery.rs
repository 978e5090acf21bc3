//! Identity provider discovery for applications (OASIS Identity Provider Discovery Service Protocol): an application sends
//! the person here to find their identity provider, and gets its entity ID.

use super::choose::{Choosing, Pick};
use super::{Chooser, Gateway};
use crate::application::{Application, SamlApplication};
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::login::Mirror;
use crate::oidc::Params;
use url::Url;

/// The only policy that there is: one identity provider is the answer.
const SINGLE: &str = "urn:oasis:names:tc:SAML:profiles:SSO:idp-discovery-protocol:single";

/// What the service answers.
#[derive(Debug)]
pub enum Discovered {
    /// Back to the application.
    Return(String),
    /// The person looks and picks.
    Page(Chooser),
}

/// A request of an application, checked.
struct Question<'a> {
    application: &'a Application,
    saml: &'a SamlApplication,
    /// A registered address.
    back: Url,
    parameter: String,
}

impl Gateway {
    /// Answers one request; its parameters stay those of the protocol through all steps of the page.
    ///
    /// # Errors
    /// What only a page can say: the application is not known, or the address to return to is not registered.
    pub fn discover(&self, params: &Params, choosing: Choosing<'_>, now: Timestamp) -> Result<Discovered> {
        let question = self.discovery_question(params)?;
        let usable = self.usable_connections(question.application);
        let passive = params.get("isPassive") == Some("true");
        if let Some(pick) = choosing.pick {
            let entity_id = self.entity_for(&question, pick, now);
            let entity_id = entity_id.filter(|_| usable.contains(&pick.connection));
            let gone = || Error::new(ErrorKind::UnknownConnection, "This way to sign in is not available.");
            return Ok(Discovered::Return(question.answer(Some(&entity_id.ok_or_else(gone)?))));
        }
        if passive {
            let known = choosing.remembered.iter().filter(|pick| usable.contains(&pick.connection));
            let found = known.filter_map(|pick| self.entity_for(&question, pick, now)).next();
            return Ok(Discovered::Return(question.answer(found.as_deref())));
        }
        let page = self.offers(&usable, choosing, now);
        let kept = ["entityID", "return", "returnIDParam", "policy"];
        let hidden = kept.iter().filter_map(|name| params.get(name).map(|value| ((*name).to_owned(), value.to_owned())));
        Ok(Discovered::Page(Chooser {
            hidden: hidden.collect(),
            action: "/discovery",
            application: question.application.name.clone(),
            ..page
        }))
    }

    fn discovery_question(&self, params: &Params) -> Result<Question<'_>> {
        let entity_id = params.get("entityID").ok_or_else(|| Error::new(ErrorKind::InvalidRequest, "the parameter entityID is missing"))?;
        let refuse = |why: &str| {
            let told = "The application, or the address to which it wants you to return, is not registered here.";
            Error::new(ErrorKind::InvalidRedirectUri, told).because(why.to_owned())
        };
        let client_id = self.service_providers.get(entity_id).and_then(|client_ids| client_ids.first());
        let application = client_id.and_then(|client_id| self.application(client_id)).ok_or_else(|| refuse("no such application"))?;
        let awaited = || self.unavailable(application).unwrap_or_else(|| refuse("no such application"));
        let saml = application.saml.as_ref().ok_or_else(awaited)?;
        let registered = saml.sp.discovery_urls();
        let back = match params.get("return") {
            None => registered.first().cloned(),
            Some(wanted) => Url::parse(wanted).ok().filter(|wanted| registered.iter().any(|known| same_place(known, wanted))),
        };
        let back = back.ok_or_else(|| refuse("the address to return to is not among discovery_urls"))?;
        if let Some(policy) = params.get("policy").filter(|policy| *policy != SINGLE) {
            return Err(Error::new(ErrorKind::InvalidRequest, "the policy is not supported").because(policy.to_owned()));
        }
        let parameter = params.get("returnIDParam").unwrap_or("entityID").to_owned();
        Ok(Question { application, saml, back, parameter })
    }

    /// The entity ID by which the application knows who was picked: one of ours that stands for it, or its own.
    fn entity_for(&self, question: &Question<'_>, pick: &Pick, now: Timestamp) -> Option<String> {
        let connection = self.connections.enabled(&pick.connection)?;
        let own = match &pick.idp {
            Some(idp) => connection.idp(idp, now).map(|choice| choice.entity_id),
            None => connection.idp_entity_id(),
        };
        if question.saml.sp.mirror() {
            let mirror = Mirror { connection: pick.connection.clone(), idp: pick.idp.clone() };
            return own.map(|_| self.idp_entity_id(Some(&mirror)));
        }
        own
    }
}

impl Question<'_> {
    fn answer(&self, entity_id: Option<&str>) -> String {
        let mut back = self.back.clone();
        if let Some(entity_id) = entity_id {
            back.query_pairs_mut().append_pair(&self.parameter, entity_id);
        }
        back.into()
    }
}

/// The application may add parameters of its own; the place is the registered one.
fn same_place(known: &Url, wanted: &Url) -> bool {
    let bare = |url: &Url| {
        let mut url = url.clone();
        url.set_query(None);
        url
    };
    wanted.fragment().is_none() && bare(known) == bare(wanted)
}
