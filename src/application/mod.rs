//! Applications: relying parties that trust us, with what they are told and who may come to them.

use crate::oidc::ClientFacts;
use crate::profile::MappingTable;
use std::sync::Arc;

/// A registered application.
#[derive(Debug)]
pub struct Application {
    pub client_id: String,
    /// For people.
    pub name: String,
    pub enabled: bool,
    /// Names of the connections by which its users may come; `None`: by all.
    pub connections: Option<Vec<String>>,
    /// From the profile to what it is told.
    pub mapping: Arc<MappingTable>,
    pub oidc: ClientFacts,
}
