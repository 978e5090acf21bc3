//! Logins that begin here, and not at the application (OpenID Connect Core 4): the browser is sent to the application's
//! `initiate_login_uri`, and the application begins, with a state and a verifier of its own.

use super::Gateway;
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

/// Has the client registered this address, letter by letter?
fn is_its(client: &ClientFacts, target: &str) -> bool {
    let one = [&client.about.client_uri, &client.initiate_login_uri].into_iter().flatten();
    client.redirect_uris.iter().chain(&client.post_logout_redirect_uris).chain(one).any(|known| known == target)
}

fn refused(why: &str) -> Error {
    let told = "The application, or the address to which it wants you to return, is not registered here.";
    Error::new(ErrorKind::InvalidRedirectUri, told).because(why.to_owned())
}
