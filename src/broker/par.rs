//! Pushed authorization requests (RFC 9126): a client leaves its request here, proves who it is, and sends people with a
//! reference to it.

use super::requested::Requested;
use super::{Gateway, encode};
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::id;
use crate::login::{LIFETIME_OF_PUSHED, PushedRequest};
use crate::oidc::request_object::{Beside, PUSHED, Proven};
use crate::oidc::{AuthorizationRequest, CheckedRedirect, ClientCredentials, Params};
use crate::store::Op;
use serde_json::json;

/// Octets of the parameters that are kept.
const LIMIT: usize = 16 * 1024;

/// Whatever proves the client is no part of its request.
const OF_THE_CLIENT: [&str; 3] = ["client_secret", "client_assertion", "client_assertion_type"];

/// Where the request is found, for a while.
#[derive(Debug)]
pub struct PushedAt {
    request_uri: String,
}

impl PushedAt {
    /// RFC 9126 2.2.
    pub fn to_json(&self) -> String {
        json!({ "request_uri": self.request_uri, "expires_in": LIFETIME_OF_PUSHED }).to_string()
    }
}

impl Gateway {
    /// The endpoint for pushed requests. `authorization` is the header's value.
    ///
    /// # Errors
    /// For the client itself (RFC 9126 2.3).
    pub async fn push_request(&self, authorization: Option<&str>, body: &Params, now: Timestamp) -> Result<PushedAt> {
        let credentials = ClientCredentials::extract(authorization, body)?;
        let application = self.application(credentials.client_id());
        credentials.authenticate(application.and_then(|application| application.oidc.as_ref()))?;
        let nobody = || Error::new(ErrorKind::InvalidClient, "client authentication failed");
        let (application, client) = application.and_then(|known| known.oidc.as_ref().map(|client| (known, client))).ok_or_else(nobody)?;
        let invalid = |why: &str| Error::new(ErrorKind::InvalidRequest, why);
        // RFC 9126 2.1.
        if body.get("request_uri").is_some() {
            return Err(invalid("a pushed request cannot refer to another one"));
        }
        if body.get("client_id").is_some_and(|named| named != client.client_id) {
            return Err(invalid("the client_id is not that of the client"));
        }
        let own = [("client_id".to_owned(), client.client_id.clone())].into_iter();
        let rest = body.iter().filter(|(name, _)| *name != "client_id" && !OF_THE_CLIENT.contains(name));
        let outer = Params::from_pairs(own.chain(rest.map(|(name, value)| (name.to_owned(), value.to_owned()))))?;
        let requested = match outer.get("request") {
            Some(object) => self.open_object(object, Beside::Ignored, &outer, client, now).await?,
            None => Requested { params: outer, proven: Proven::default(), once: Vec::new() },
        };
        let Requested { params, proven, once } = requested;
        Proven { pushed: true, ..proven }.check(client, true)?;
        self.refuse_spent(&once, ErrorKind::InvalidRequestObject).await?;
        // The same checks as when a person comes with it, so that the client learns at once what is wrong.
        let redirect = CheckedRedirect::identify(&params, Some(client))?;
        let request = AuthorizationRequest::parse(&params, client, &redirect)?;
        self.asked(request, application)?;
        let parameters: Vec<(String, String)> = params.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        if parameters.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>() > LIMIT {
            return Err(Error::new(ErrorKind::PayloadTooLarge, format!("the request has more than {LIMIT} bytes")));
        }
        let request_uri = format!("{PUSHED}{}", id::random_token());
        let pushed = PushedRequest {
            client_id: client.client_id.clone(),
            parameters,
            signed: proven.signed,
            once: once.into_iter().next(),
            expires_at: now.plus_seconds(i64::from(LIFETIME_OF_PUSHED)),
        };
        let put = Op::Put { key: PushedRequest::key(&request_uri), value: encode(&pushed)?, ttl: u64::from(LIFETIME_OF_PUSHED) };
        self.sessions.commit(vec![put]).await?;
        Ok(PushedAt { request_uri })
    }
}
