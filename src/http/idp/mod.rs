//! The identity provider role: what applications that speak SAML call.

pub mod artifact;
pub mod metadata;
pub mod sso;
