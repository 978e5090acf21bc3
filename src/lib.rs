//! Isthmus, a SAML and OpenID Connect federation gateway.
//!
//! # Where is it?
//!
//! attribute mapped: `profile/mapping/`, tables in `mappings/` · signature checked: `saml/signature.rs` ·
//! sessions stored: `store/session/` · which URLs: `http/routes.rs` · what happens after login: `broker/next.rs` ·
//! who sees this text: `error.rs` · private keys: `keys/` · why did this login fail: `login/trace.rs` ·
//! accounts joined: `user/linking.rs`, `broker/link.rs` · what applications see: `user/effective.rs` · other products'
//! forms of a user: `profile/dialect/` · what operators do with users: `broker/admin/` · what would happen with this
//! message: `connection/explain.rs`, `cli/explain/` · how a configuration becomes a program: `config/` and `startup.rs`.

pub mod application;
pub mod broker;
pub mod check;
pub mod cli;
pub mod clock;
pub mod config;
pub mod connection;
pub mod error;
pub mod http;
pub mod id;
pub mod keys;
pub mod login;
pub mod oidc;
pub mod profile;
pub mod rules;
pub mod saml;
pub mod secret;
pub mod startup;
pub mod store;
pub mod telemetry;
pub mod toml_file;
pub mod user;
