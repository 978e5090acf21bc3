//! Identity providers that speak OpenID Connect, OAuth 2.0 alone, or LDAP.

mod idpyoidc_op;
mod ldap;
mod lies;
mod login;
mod logout;
mod oauth2;
mod oidc_provider;
mod params;
mod parity;
mod presets;
mod tokens;
