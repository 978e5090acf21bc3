//! Identity providers that speak OpenID Connect, OAuth 2.0 alone, or LDAP.

mod idpyoidc_op;
mod accounts;
mod custom;
mod database;
mod ldap;
mod lies;
mod login;
mod logout;
mod mtls;
mod oauth2;
mod oidc_provider;
mod params;
mod outbound;
mod parity;
mod presets;
mod templates;
mod tokens;
mod second_factor;
