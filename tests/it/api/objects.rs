//! Connections, clients, client grants, resource servers, keys and settings: each operation and each rule.

mod clients;
mod connections;
mod kept_secrets;
mod living;
mod oidc_connections;
mod provider_connections;
mod saml_clients;
mod sdks;
mod servers;
mod settings;
