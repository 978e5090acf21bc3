//! SAML 2.0 without I/O.

pub mod assertion;
pub mod binding;
mod conditions;
pub mod encryption;
pub mod names;
pub mod rejection;
#[cfg(feature = "xmlsec")]
mod second_opinion;
pub mod signature;
pub mod sp;
pub mod xml;
