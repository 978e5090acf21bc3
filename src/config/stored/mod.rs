//! Stored objects as configuration: what the management API keeps, read by the readers of the configuration file.
//!
//! An object has Auth0's member names. It is written anew in the file's words ([`document`]), read by the same code as
//! the file, and what is wrong with it comes back with JSON pointers into what the caller sent. A kind is one arm of
//! [`StoredObjects::make`] and a file of its own.

mod client;
mod connection;
mod credentials;
mod database;
mod directory;
mod document;
mod oidc;
mod provider;
mod samlp;
mod scripts;
mod server;
mod settings;

use super::context::{Context, Source, Stored};
use crate::broker::admin::kinds;
use crate::broker::admin::signing::SigningKeys;
use crate::broker::live::{Checked, Fault, Known, Made, Maker};
use crate::broker::metadata;
use crate::clock::Timestamp;
use crate::profile::MappingLibrary;
use serde_json::{Map, Value};
use std::fmt;
use std::path::PathBuf;

/// The reader of stored objects: what it needs of the configuration file.
#[derive(Clone, Default)]
pub struct StoredObjects {
    library: MappingLibrary,
    /// Path and text of the operator's mapping tables.
    mapping_files: Vec<(String, String)>,
    second_opinion: bool,
    state: PathBuf,
    /// As the file has it; see [`Context`].
    loopback: bool,
}

/// Tables are long.
impl fmt::Debug for StoredObjects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoredObjects({} mapping files)", self.mapping_files.len())
    }
}

impl StoredObjects {
    pub fn new(context: &Context<'_>, mapping_files: Vec<(String, String)>) -> Self {
        let (library, second_opinion) = (context.library.clone(), context.second_opinion);
        Self { library, mapping_files, second_opinion, state: context.state.to_owned(), loopback: context.loopback }
    }

    fn context<'a>(&'a self, stored: Stored<'a>, now: Timestamp) -> Context<'a> {
        let source = Source::Stored(stored);
        let Self { library, second_opinion, state, loopback, .. } = self;
        Context { now, development: false, second_opinion: *second_opinion, state, loopback: *loopback, source, library }
    }
}

impl Maker for StoredObjects {
    fn make(&self, kind: &str, id: &str, body: &Map<String, Value>, known: Known<'_>) -> Result<Checked, Vec<Fault>> {
        match kind {
            "connection" => connection::make(self, id, body, known),
            "client" => client::make(self, id, body, known),
            "client_grant" => server::grant(id, body),
            "resource_server" => server::make(id, body),
            "registration_token" => Ok(checked(Made::Nothing, Vec::new())),
            "tenant" => Ok(settings::tenant(body)),
            "attack_protection" => Ok(settings::attack_protection(body)),
            "signing_keys" => settings::signing_keys(id, body, known),
            "metadata_approval" => metadata::stored(body).map(|made| checked(made, Vec::new())),
            metadata::TOLD => Ok(checked(Made::Nothing, Vec::new())),
            "rule" | "rule_config" | "action" => scripts::make(kind, id, body, known),
            _ => Err(vec![fault("", format!("objects of the kind {kind} are not read by this program"), "")]),
        }
    }

    fn until(&self, kind: &str, body: &Map<String, Value>, now: Timestamp) -> Option<Timestamp> {
        match kind {
            "client" => kinds::next_end(body, now),
            "signing_keys" => SigningKeys::read(body).ok()?.next_change(now),
            _ => None,
        }
    }
}

fn fault(pointer: &str, message: impl Into<String>, help: impl Into<String>) -> Fault {
    Fault { pointer: pointer.to_owned(), message: message.into(), help: help.into() }
}

fn text<'b>(body: &'b Map<String, Value>, member: &str) -> Option<&'b str> {
    body.get(member).and_then(Value::as_str)
}

/// Warnings about members that are kept and mean nothing yet: name and why.
fn without_effect(members: &Map<String, Value>, at: &str, kept: &[(&str, &str)]) -> Vec<Fault> {
    let idle = |value: &Value| matches!(value, Value::Null | Value::Bool(false)) || value.as_str() == Some("");
    let there = kept.iter().filter(|(name, _)| members.get(*name).is_some_and(|value| !idle(value)));
    there.map(|(name, why)| fault(&format!("{at}/{name}"), format!("is kept, without effect: {why}"), "")).collect()
}

fn checked(made: Made, warnings: Vec<Fault>) -> Checked {
    Checked { made, warnings }
}
