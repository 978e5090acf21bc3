//! Practice partners for `isthmus demo`: a SAML identity provider whose people need no password, and an
//! OpenID Connect application that shows what it was given. On loopback only.

pub mod app;
pub mod idp;
pub mod people;
