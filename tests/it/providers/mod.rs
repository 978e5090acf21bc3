//! Identity providers that speak OpenID Connect or LDAP.

mod ldap;
mod lies;
mod login;
