//! SAML 2.0 (OASIS, with Errata 05) without I/O, without a clock and without async.
//!
//! - `sp`: the service provider role. Begin with [`sp::authn_request`] and [`sp::receive_response`].
//! - `idp`: the identity provider role. Begin with [`idp::receive_authn_request`] and [`idp::SamlReplyTo`].
//! - `logout`: the messages of Single Logout, for both roles.
//! - `artifact`: answers by reference, and resolving them in SOAP (`soap`), for both roles.
//! - `metadata`: reading a partner's, writing ours; `aggregate`: those of whole federations.
//!
//! Below them: `binding` (how messages travel), `xml` (strict reader, canonical forms, escaping writer), `signature` (the
//! engine whose hashed bytes are the bytes that are read), `trust` (keys and algorithms), `sign`, `receive` (the path of a
//! response through all of them), `second_opinion` (libxmlsec1 on what that engine verified),
//! `encryption`, `assertion` (what was said), `conditions` (whether it holds), `rejection` (why not), `explain` (for
//! operators, not for logins), `message` (what requests and logout messages have in common), `names`.
//!
//! Nothing here remembers anything: whoever accepts a [`sp::VerifiedAssertion`], an [`idp::CheckedRequest`] or a
//! [`logout::ReceivedLogout`] must claim its IDs once in a shared store.

pub mod aggregate;
pub mod algorithms;
pub mod artifact;
pub mod assertion;
pub mod binding;
mod conditions;
pub mod encryption;
pub mod explain;
pub mod idp;
pub mod logout;
mod message;
pub mod metadata;
pub mod names;
mod receive;
pub mod rejection;
#[cfg(feature = "xmlsec")]
mod second_opinion;
mod sign;
pub mod signature;
pub mod soap;
pub mod sp;
mod trust;
pub mod xml;

pub use assertion::{Attribute, AttributeValue, NameId, Said};
pub use binding::{Binding, Outgoing, ResponseBinding};
pub use message::{Incoming, MessagePolicy};
pub use metadata::{IdpMetadata, MetadataError, MetadataOptions, SpMetadata};
pub use receive::survey::survey;
pub use rejection::{Check, Rejection};
pub use signature::{Signer, TrustedKeys};
pub use sp::{
    Comparison, Endpoint, Expected, IdpTrust, RequestOptions, ResponsePolicy, Scope, SpSettings, VerifiedAssertion, authn_request,
    peek_in_response_to, peek_issuer, receive_response,
};

#[cfg(test)]
mod tests;
