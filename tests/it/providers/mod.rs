//! Identity providers that speak OpenID Connect.

mod lies;
mod login;
