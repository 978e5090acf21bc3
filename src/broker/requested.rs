//! The authorization request, however it comes: as plain parameters, as a request object (RFC 9101), by a reference to one
//! (OpenID Connect Core 6.2), or pushed before (RFC 9126).
//!
//! What may be used once is looked for here and used up by the answer: people reload pages, and browsers look ahead.

use super::{Gateway, decode, encode};
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::login::{PushedRequest, Spent};
use crate::oidc::jose::jwe::is_jwe;
use crate::oidc::request_object::{self, Beside, Carried, Content, MAX_OBJECT, PUSHED, Proven};
use crate::oidc::{ClientFacts, Params, Verified};
use crate::store::Op;
use url::Url;

/// Seconds for which a referenced object is kept whose reference has its digest.
const KEPT: u64 = 3600;

/// A request as it is to be taken.
#[derive(Debug)]
pub(super) struct Requested {
    pub params: Params,
    pub proven: Proven,
    /// What the answer uses up.
    pub once: Vec<Spent>,
}

impl Gateway {
    /// The parameters that count, out of those that came.
    ///
    /// # Errors
    /// For the application, where the parameters that came have a proven redirect URI; else for our own page.
    pub(super) async fn requested(&self, outer: &Params, client: &ClientFacts, now: Timestamp) -> Result<Requested> {
        let requested = match Carried::of(outer)? {
            Carried::Plain => Requested { params: outer.clone(), proven: Proven::default(), once: Vec::new() },
            Carried::Object(object) => self.open_object(object, Beside::Completes, outer, client, now).await?,
            Carried::Reference(reference) if reference.starts_with(PUSHED) => self.pushed(reference, client, now).await?,
            Carried::Reference(reference) => {
                let object = self.referenced(reference, client).await?;
                self.open_object(&object, Beside::Completes, outer, client, now).await?
            }
        };
        let kind = if requested.proven.pushed { ErrorKind::InvalidRequestUri } else { ErrorKind::InvalidRequestObject };
        self.refuse_spent(&requested.once, kind).await?;
        Ok(requested)
    }

    /// A request object: opened if it is encrypted, verified as the client has registered, and read.
    pub(super) async fn open_object(
        &self,
        object: &str,
        beside: Beside,
        outer: &Params,
        client: &ClientFacts,
        now: Timestamp,
    ) -> Result<Requested> {
        if object.len() > MAX_OBJECT {
            return Err(refuse("the request object is too large"));
        }
        let opened;
        let object = if is_jwe(object) {
            request_object::check_encryption(object, client)?;
            let inner = self.keys.decrypt(object).map_err(|error| refuse("the request object cannot be decrypted").because(error))?;
            opened = String::from_utf8(inner).map_err(|_| refuse("the request object holds no JWT"))?;
            opened.as_str()
        } else {
            object
        };
        let (said, signed) = self.believed(object, client, now).await?;
        let content = Content { header: &said.header, claims: &said.claims, signed };
        let read = request_object::read(content, beside, outer, client, &self.issuer, now)?;
        let once = read.once.map(|(name, until)| Spent { name, until }).into_iter().collect();
        Ok(Requested { params: read.params, proven: Proven { signed, pushed: false }, once })
    }

    /// Header and claims, and whether the client has signed them.
    async fn believed(&self, object: &str, client: &ClientFacts, now: Timestamp) -> Result<(Verified, bool)> {
        if let Some(unsigned) = request_object::unsigned(object, client)? {
            return Ok((unsigned, false));
        }
        let allowed = request_object::allowed_algs(client);
        match self.verify_client_jwt(client, object, &allowed, now).await {
            Ok(verified) => Ok((verified, true)),
            Err(error) if error.kind.wire().status >= 500 => Err(error),
            Err(error) => Err(refuse("the request object is not signed as the client has registered").because(error)),
        }
    }

    /// RFC 9126 4: of this client, and not used up.
    async fn pushed(&self, reference: &str, client: &ClientFacts, now: Timestamp) -> Result<Requested> {
        let unknown = || Error::new(ErrorKind::InvalidRequestUri, "the pushed request is unknown, used or expired");
        let found = self.sessions.get_many(&[PushedRequest::key(reference)]).await?.into_iter().next().flatten();
        let pushed: PushedRequest = decode(&found.ok_or_else(unknown)?)?;
        if !pushed.alive(now) || pushed.client_id != client.client_id {
            return Err(unknown());
        }
        let own = Spent { name: PushedRequest::key(reference), until: pushed.expires_at };
        Ok(Requested {
            params: Params::from_pairs(pushed.parameters)?,
            proven: Proven { signed: pushed.signed, pushed: true },
            once: std::iter::once(own).chain(pushed.once).collect(),
        })
    }

    /// Core 6.2: fetched from where the client has registered. What has its digest in its reference does not change, and is
    /// kept for a while.
    async fn referenced(&self, reference: &str, client: &ClientFacts) -> Result<String> {
        let refuse = |why: &str| Error::new(ErrorKind::InvalidRequestUri, why);
        if !request_object::is_registered(reference, client) {
            return Err(refuse("the request_uri is not registered for this client"));
        }
        let mut url = Url::parse(reference).map_err(|_| refuse("the request_uri is no absolute URL"))?;
        url.set_fragment(None);
        let digest = request_object::digest_of(reference);
        let key = digest.map(|digest| format!("request-object:{digest}"));
        if let Some(key) = &key
            && let Some(kept) = self.sessions.get_many(std::slice::from_ref(key)).await?.into_iter().next().flatten()
        {
            return decode(&kept);
        }
        let limit = u64::try_from(MAX_OBJECT).unwrap_or(u64::MAX);
        let documents = self.documents.of(client);
        let content = documents.fetch(&url, limit).await.map_err(|error| refuse("the request object cannot be fetched").because(error))?;
        if digest.is_some_and(|digest| !request_object::has_digest(&content, digest)) {
            return Err(refuse("the content of the request_uri is not that of its fragment"));
        }
        let object = String::from_utf8(content).map_err(|_| refuse("the request_uri leads to no JWT"))?.trim().to_owned();
        if let Some(key) = key {
            self.sessions.commit(vec![Op::Put { key, value: encode(&object)?, ttl: KEPT }]).await?;
        }
        Ok(object)
    }

    /// What an answer has used up is of no use any more.
    pub(super) async fn refuse_spent(&self, once: &[Spent], kind: ErrorKind) -> Result<()> {
        let keys: Vec<String> = once.iter().map(Spent::mark).collect();
        if !keys.is_empty() && self.sessions.get_many(&keys).await?.iter().any(Option::is_some) {
            return Err(Error::new(kind, "the request was used before"));
        }
        Ok(())
    }
}

fn refuse(why: &'static str) -> Error {
    Error::new(ErrorKind::InvalidRequestObject, why)
}
