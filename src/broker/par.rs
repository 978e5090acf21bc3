//! Pushed authorization requests (RFC 9126): a client leaves its request here, proves who it is, and sends people with a
//! reference to it.

use super::client_auth::facts;
use super::possession::Shown;
use super::requested::Requested;
use super::{Gateway, encode};
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::id;
use crate::login::{LIFETIME_OF_PUSHED, PushedRequest};
use crate::oidc::request_object::{Beside, PUSHED, Proven};
use crate::oidc::{AuthorizationRequest, CheckedRedirect, ClientFacts, ClientProof, Params};
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
    /// The endpoint for pushed requests.
    ///
    /// # Errors
    /// For the client itself (RFC 9126 2.3).
    pub async fn push_request(&self, proof: ClientProof<'_>, shown: &Shown, now: Timestamp) -> Result<PushedAt> {
        let body = proof.body;
        let application = self.authenticate_client(proof, now).await?;
        let (application, client) = (&application, facts(&application)?);
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
        let params = self.bound_to_proof(params, client, shown, now).await?;
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

impl Gateway {
    /// RFC 9449 10.1: a proof that comes along says the same as `dpop_jkt`, and nothing else if both are there.
    async fn bound_to_proof(&self, params: Params, client: &ClientFacts, shown: &Shown, now: Timestamp) -> Result<Params> {
        let Some(jkt) = self.shown_key(client, shown, now).await? else { return Ok(params) };
        match params.get("dpop_jkt") {
            Some(named) if named == jkt => Ok(params),
            Some(_) => Err(Error::new(ErrorKind::InvalidDpopProof, "dpop_jkt is not the key of the DPoP proof")),
            None => {
                let known = params.iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
                Params::from_pairs(known.chain([("dpop_jkt".to_owned(), jkt)]))
            }
        }
    }
}
