//! Logins from beginning to end.

mod artifact;
mod artifact_peers;
mod requests;
mod saml_to_oidc;
mod unsolicited;
mod unsolicited_saml;
mod upstream_answers;
