//! Tests of whole messages. Everything that a check promises has a response here that breaks only this promise.

pub(in crate::saml) mod support;

mod attacks;
mod conditions;
mod encryption;
mod explain;
mod hostile;
mod judges;
mod metadata;
mod redirect;
mod request;
mod response;
mod survey;
