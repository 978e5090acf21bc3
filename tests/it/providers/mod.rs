//! Identity providers that speak OpenID Connect.

mod lies;
mod login;
mod logout;
mod oidc_provider;
