//! Identity providers that speak OpenID Connect, or OAuth 2.0 alone.

mod lies;
mod login;
mod logout;
mod oauth2;
mod oidc_provider;
mod presets;
