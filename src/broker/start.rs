//! Logins that begin here, and not at the application, also at one connection. Where the application speaks OpenID Connect
//! (Core 4) the browser is sent to its `initiate_login_uri`, and the application begins, with a state and a verifier of its
//! own; one that speaks SAML and takes answers unasked gets one (`idp`).

use super::idp::Start;
use super::{Answer, Browser, Gateway, Outcome};
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::oidc::{ClientFacts, Params};
use url::Url;

/// Characters of a hint at most.
const LONGEST_HINT: usize = 255;

impl Gateway {
    /// Where the browser goes. `client_id` is required; `login_hint` and `target_link_uri` go along.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidRedirectUri`] for an application that is not known or does not begin logins so, and for a
    /// `target_link_uri` that it has not registered: an address that anybody may choose would be sent there in its name.
    pub fn start(&self, query: &[u8]) -> Result<Url> {
        let params = Params::parse(query)?;
        let client = self.application(params.require("client_id")?).and_then(|application| application.oidc.as_ref());
        let registered = client.and_then(|client| Some((client, client.initiate_login_uri.as_deref()?)));
        let (client, address) = registered.ok_or_else(|| refused("the application does not begin logins in this way"))?;
        self.initiated(client, address, &params)
    }

    /// A login of the parameter `application` at one connection. `login_hint` and `target_link_uri` go along to an application
    /// that speaks OpenID Connect, `RelayState` to one that speaks SAML, and to both `idp`, at a connection that has many.
    pub async fn start_at_connection(
        &self,
        connection: &str,
        query: &[u8],
        browser: &Browser,
        correlation_id: &str,
        now: Timestamp,
    ) -> Outcome {
        let params = match Params::parse(query) {
            Ok(params) => params,
            Err(error) => return Outcome::refused(error, None),
        };
        match self.initiated_at(connection, &params) {
            Ok(Initiated::At(url)) => Outcome::of(Answer::Elsewhere(url.into())),
            Ok(Initiated::Here(client_id)) => {
                let idp = params.get("idp");
                let start = Start { relay_state: params.get("RelayState"), connection: Some(connection), idp, idp_hint: None };
                Box::pin(self.start_at_application(client_id, start, browser, correlation_id, now)).await
            }
            Err(error) => Outcome::refused(error, None),
        }
    }

    fn initiated_at<'p>(&self, connection: &str, params: &'p Params) -> Result<Initiated<'p>> {
        let client_id = params.require("application")?;
        let application = self.application(client_id).ok_or_else(|| begins_itself("the application is not known"))?;
        let client = application.oidc.as_ref().and_then(|client| Some((client, client.initiate_login_uri.as_deref()?)));
        if client.is_none() {
            let (_, saml) = self.service_provider_of(client_id).map_err(|error| match error.kind {
                ErrorKind::InvalidRedirectUri => begins_itself("the application has no initiate_login_uri"),
                _ => error,
            })?;
            if !saml.sp.allow_unsolicited() {
                return Err(begins_itself("the application takes no answers unasked"));
            }
        }
        // Before anybody is sent anywhere: the application could only say that there is no such way.
        if !self.accepts(application, connection) {
            return Err(Error::new(ErrorKind::UnknownConnection, "This way to sign in is not available."));
        }
        let Some((client, address)) = client else { return Ok(Initiated::Here(client_id)) };
        let mut url = self.initiated(client, address, params)?;
        url.query_pairs_mut().append_pair("connection", connection);
        let has_many = self.connections.enabled(connection).is_some_and(|connection| connection.has_many());
        if let Some(idp) = params.get("idp").filter(|_| has_many) {
            url.query_pairs_mut().append_pair("idp", idp);
        }
        Ok(Initiated::At(url))
    }

    /// `address`, which the client has registered, with what the application needs to begin (Core 4).
    fn initiated(&self, client: &ClientFacts, address: &str, params: &Params) -> Result<Url> {
        let mut url = Url::parse(address).map_err(|_| Error::new(ErrorKind::Misconfigured, "an initiate_login_uri is no address"))?;
        url.query_pairs_mut().append_pair("iss", &self.issuer);
        if let Some(hint) = params.get("login_hint").filter(|hint| !hint.is_empty()) {
            if hint.chars().count() > LONGEST_HINT {
                return Err(Error::new(ErrorKind::InvalidRequest, "the login_hint is too long"));
            }
            url.query_pairs_mut().append_pair("login_hint", hint);
        }
        if let Some(target) = params.get("target_link_uri").filter(|target| !target.is_empty()) {
            if !is_its(client, target) {
                return Err(refused("the application has not registered this target_link_uri"));
            }
            url.query_pairs_mut().append_pair("target_link_uri", target);
        }
        Ok(url)
    }
}

/// Who begins.
enum Initiated<'p> {
    /// The application, at an address of its own.
    At(Url),
    /// We do, for the application with this client id.
    Here(&'p str),
}

/// Has the client registered this address, letter by letter?
fn is_its(client: &ClientFacts, target: &str) -> bool {
    let one = [&client.about.client_uri, &client.initiate_login_uri].into_iter().flatten();
    client.redirect_uris.iter().chain(&client.post_logout_redirect_uris).chain(one).any(|known| known == target)
}

fn refused(why: &str) -> Error {
    let told = "The application, or the address to which it wants you to return, is not registered here.";
    Error::new(ErrorKind::InvalidRedirectUri, told).because(why.to_owned())
}

/// One answer for an application that is not there and for one whose logins do not begin here.
fn begins_itself(why: &str) -> Error {
    let told = "No sign-in to this application begins here: it is not registered, or it begins its sign-ins itself. Whoever runs this service can change that: by initiate_login_uri where the application speaks OpenID Connect, by allow_unsolicited where it speaks SAML.";
    Error::new(ErrorKind::InvalidRedirectUri, told).because(why.to_owned())
}
