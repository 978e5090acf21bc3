//! Practice partners for `isthmus demo`: identity providers by SAML, by OpenID Connect and in the manner of GitHub, whose
//! people need no password, and two applications, by OpenID Connect and by SAML, that show what they were given. On
//! loopback only.

pub mod app;
pub mod idp;
pub mod openid;
pub mod people;
pub mod saml_app;
