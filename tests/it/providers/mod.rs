//! Identity providers that speak OpenID Connect, OAuth 2.0 alone, or LDAP.

mod accounts;
mod database;
mod ldap;
mod lies;
mod login;
mod logout;
mod oauth2;
mod oidc_provider;
mod presets;
