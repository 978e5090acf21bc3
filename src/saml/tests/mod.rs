//! Tests of whole messages. Everything that a check promises has a response here that breaks only this promise.

pub(in crate::saml) mod support;

mod about;
mod algorithms;
mod artifact;
mod attacks;
mod conditions;
mod encryption;
mod engines;
mod explain;
mod hostile;
mod idp_hostile;
mod idp_metadata;
mod idp_peer;
mod idp_request;
mod idp_response;
mod idp_support;
mod judges;
mod logout;
mod metadata;
mod redirect;
mod request;
mod response;
mod survey;
