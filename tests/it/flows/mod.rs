//! Logins from beginning to end.

mod artifact;
mod artifact_peers;
mod requests;
mod saml_to_oidc;
mod unsolicited;
mod upstream_answers;
