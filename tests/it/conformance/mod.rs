//! The modules of the OpenID Foundation's conformance suite for providers: each function has a module's name, sends what the
//! module sends, and asserts what it asserts, what it only warns of included. docs/openid-conformance.md says to which
//! plans they belong; tests/docs.rs that neither has what the other has not.

mod core;
mod dynamic;
mod fapi2;
mod fapi2_client;
mod logout;
mod requests;
mod suite;
