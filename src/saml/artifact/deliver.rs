//! Sending a Response by artifact: the browser gets the reference, the message stays here until its receiver asks for it.

use super::Artifact;
use crate::saml::binding::{Outgoing, percent_encode};
use std::fmt;
use url::Url;

/// The EndpointIndex of our artifact resolution services: each entity has one.
pub const ENDPOINT_INDEX: u16 = 0;
/// Seconds for which a message is kept. Its receiver asks as soon as the browser arrives.
const KEPT: u64 = 120;
/// Characters of an address at most; with a longer one the artifact travels in a form.
const ADDRESS: usize = 2000;

/// A message that must be kept, once, before the browser leaves with the reference to it.
#[derive(Clone, PartialEq, Eq)]
pub struct KeptResponse {
    /// See [`super::CheckedResolve::store_key`].
    pub key: String,
    pub xml: String,
    /// For how long.
    pub seconds: u64,
}

/// What is said of somebody does not print.
impl fmt::Debug for KeptResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptResponse").field("key", &self.key).field("seconds", &self.seconds).finish_non_exhaustive()
    }
}

/// Lets an artifact of `sender` stand for the response `xml` to `receiver`.
pub(in crate::saml) fn deliver(
    xml: String,
    (sender, receiver): (&str, &str),
    acs_url: &Url,
    relay_state: Option<&str>,
) -> (Outgoing, KeptResponse) {
    let artifact = Artifact::new(sender, ENDPOINT_INDEX);
    let kept = KeptResponse { key: artifact.store_key(receiver), xml, seconds: KEPT };
    let mut fields = vec![("SAMLart".to_owned(), artifact.encode())];
    fields.extend(relay_state.map(|relay_state| ("RelayState".to_owned(), relay_state.to_owned())));
    // SAML Bindings 3.6.3: by redirect, or by a form.
    let query: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={}", percent_encode(value))).collect();
    let own = acs_url.query().filter(|own| !own.is_empty()).map(|own| format!("{own}&")).unwrap_or_default();
    let mut url = acs_url.clone();
    url.set_query(Some(&format!("{own}{}", query.join("&"))));
    if url.as_str().len() <= ADDRESS {
        return (Outgoing::Redirect(url), kept);
    }
    (Outgoing::PostForm { action: acs_url.clone(), fields }, kept)
}
