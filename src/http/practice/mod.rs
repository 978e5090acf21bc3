//! Practice partners for `isthmus demo`: a SAML identity provider whose people need no password, and two applications, by
//! OpenID Connect and by SAML, that show what they were given. On loopback only.

pub mod app;
pub mod idp;
pub mod people;
pub mod saml_app;
