//! Identity providers that speak OpenID Connect, OAuth 2.0 alone, or LDAP.

mod accounts;
mod accounts_chromium;
mod accounts_taken;
mod callback;
mod choosing;
mod custom;
mod database;
mod idpyoidc_op;
mod ldap;
mod lies;
mod login;
mod logout;
mod mtls;
mod oauth2;
mod oidc_provider;
mod outbound;
mod params;
mod parity;
mod presets;
pub mod second_factor;
mod start;
mod templates;
mod tokens;
mod verification_mails;
