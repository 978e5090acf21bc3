//! The identity provider role: reading what applications ask, and answering it.
//!
//! `request` reads an AuthnRequest, `response` writes a Response. The practice identity provider, the load generator and
//! tests use them as they are.

mod request;
mod response;

pub use request::{AuthnRequest, receive_post, receive_redirect};
pub use response::{Answer, Encrypt, Refusal, Sign, post_response, refuse, respond};
