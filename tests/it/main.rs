//! The integration tests: one binary, every test with a gateway process of its own and judges that are not ours.
//!
//! `tests/setup.sh` installs what they need. A missing program fails a test and says which package to install;
//! nothing is skipped.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr, reason = "a test that cannot go on has failed")]

mod harness;

mod api;
mod authorization;
mod bad_input;
mod browser;
mod check_command;
mod chromium;
mod chromium_consent;
mod chromium_factor;
mod chromium_logout;
mod chromium_password;
mod conduct;
mod conformance;
mod explain;
mod fapi;
mod federation;
mod flows;
mod jose_peers;
mod keys;
mod limits;
mod logout;
mod logout_cascade;
mod logout_frames;
mod logout_idp_peer;
mod logout_peers;
mod logout_queue;
mod logout_refused;
mod logout_soap;
mod logout_support;
mod mapping_command;
mod node_peers;
mod operations;
mod outage;
mod peers;
mod possession;
mod profile;
mod providers;
mod python_peers;
mod registration;
mod rules;
mod saml_apps;
mod saml_release;
mod session_management;
mod tokens;
mod user_command;
