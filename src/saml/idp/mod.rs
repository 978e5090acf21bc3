//! The identity provider role: reading what applications ask, and answering it.
//!
//! A request goes this way: [`ArrivedRequest::decode`] (whose is it?), [`receive_authn_request`] (the numbered steps), and
//! comes out as a [`CheckedRequest`] with a [`SamlReplyTo`], the only value from which an answer to an application is
//! made: [`SamlReplyTo::respond`] and [`SamlReplyTo::refuse`].
//!
//! - `trust`: what is registered of an application; `sp_metadata` reads it out of metadata.
//! - `request`, `receive`: what is asked, and whether it may be.
//! - `settings`, `name_id`, `identifiers`, `attributes`, `response`: what an answer looks like.
//! - `own_metadata`: our own.
//!
//! [`receive_redirect`], [`Answer`] and [`respond`] do as they are told: the practice identity provider, the load generator
//! and tests use them as they are.

mod attributes;
mod identifiers;
mod name_id;
mod own_metadata;
mod receive;
mod reply_to;
mod request;
mod response;
mod settings;
mod sp_metadata;
mod trust;

pub use attributes::{AttributeStyle, NameFormats, ReleasedAttribute, ReleasedValue, ValueTypes};
pub use identifiers::{Identifier, Identifiers, SubjectIdRequirement, is_scope};
pub use name_id::{NameIdFormat, Subject};
pub use own_metadata::{Display, IdpDescription, write_idp};
pub use receive::{ArrivedRequest, CheckedRequest, Refused, RequestTerms, receive_authn_request};
pub use reply_to::{Delivery, Issued, Responder, SamlReplyTo, Statement};
pub use request::{AuthnRequest, receive_post, receive_redirect};
pub use response::{Answer, Encrypt, Refusal, Sign, post_response, refuse, respond};
pub(super) use response::{encrypted_name_id, write_name_id};
pub(super) use settings::encryption_to;
pub use settings::{EncryptedParts, ResponseSettings};
pub use sp_metadata::{ApplicationMetadata, Localized, Logo, read_sp};
pub(super) use sp_metadata::{encryption_keys, read_entity as read_application};
pub use trust::{AssertionConsumerService, AttributeConsumingService, EncryptionKey, LiteralSp, RequestedAttribute, SpParts, SpTrust};
