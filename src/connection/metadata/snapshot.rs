//! Metadata in force, and what is told of how they came to be.

use super::difference::{Change, Place, new_origins};
use super::partner::{Description, Owner, Role};
use crate::clock::Timestamp;
use crate::id;
use crate::saml::aggregate::{Aggregate, Entity, Found};
use crate::saml::idp::ApplicationMetadata;
use crate::saml::{IdpMetadata, MetadataError};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

/// Metadata in force, with the endpoints that an operator has not given up. Never changes.
#[derive(Debug)]
pub struct Snapshot {
    pub(super) aggregate: Arc<Aggregate>,
    /// Endpoints that stay in force in place of those in the aggregate.
    pub(super) held: BTreeMap<String, BTreeSet<Place>>,
}

impl Snapshot {
    /// # Errors
    /// When there is no such identity provider, or its metadata are valid no longer.
    pub fn idp(&self, entity_id: &str, now: Timestamp) -> Result<IdpMetadata, MetadataError> {
        match self.describe(&Role::IdentityProvider, entity_id, now)? {
            Description::Idp(idp) => Ok(*idp),
            Description::Sp(_) => Err(unknown(entity_id)),
        }
    }

    /// # Errors
    /// When there is no such application, or its metadata are valid no longer.
    pub fn sp(&self, role: &Role, entity_id: &str, now: Timestamp) -> Result<ApplicationMetadata, MetadataError> {
        match self.describe(role, entity_id, now)? {
            Description::Sp(sp) => Ok(*sp),
            Description::Idp(_) => Err(unknown(entity_id)),
        }
    }

    /// The description of a partner in that role.
    ///
    /// # Errors
    /// When there is none, or its metadata are valid no longer.
    pub fn describe(&self, role: &Role, entity_id: &str, now: Timestamp) -> Result<Description, MetadataError> {
        let entity = self.aggregate.entity(entity_id).ok_or_else(|| unknown(entity_id))?;
        let described = role.describe(entity, now)?;
        Ok(match self.held.get(entity_id) {
            Some(places) => described.with_places(places),
            None => described,
        })
    }

    /// See [`Aggregate::search`].
    pub fn search(&self, text: &str, language: &str, limit: usize, now: Timestamp) -> Vec<Found<'_>> {
        self.aggregate.search(text, language, limit, now)
    }

    pub fn entity(&self, entity_id: &str) -> Option<&Arc<Entity>> {
        self.aggregate.entity(entity_id)
    }

    pub fn aggregate(&self) -> &Aggregate {
        &self.aggregate
    }

    /// How long the document may be used, and that entity of it.
    pub fn valid_until(&self, role: &Role, entity_id: Option<&str>, now: Timestamp) -> Option<Timestamp> {
        let of_entity = entity_id.and_then(|entity_id| self.describe(role, entity_id, now).ok()?.valid_until());
        of_entity.into_iter().chain(self.aggregate.valid_until()).min()
    }

    pub fn is_valid_at(&self, now: Timestamp) -> bool {
        self.aggregate.valid_until().is_none_or(|until| until > now)
    }
}

fn unknown(entity_id: &str) -> MetadataError {
    MetadataError { line: None, reason: format!("the metadata have no entity \"{entity_id}\"") }
}

/// A change that waits for an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// Names exactly this change: what is approved is what was seen.
    pub key: String,
    pub entity_id: String,
    pub changes: Vec<Change>,
    /// All endpoints as the new metadata have them: what an approval lets in.
    pub places: BTreeSet<Place>,
    pub since: Timestamp,
}

/// The endpoints of an entity that an operator has agreed to, or that were there when it was first seen. Kept in the
/// directory, so that every node knows them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    #[serde(flatten)]
    pub owner: Owner,
    /// Where the metadata come from, as it is shown: for another source it means nothing.
    pub source: String,
    /// Of the only entity, which may become another one by an approval.
    #[serde(default)]
    pub sole: bool,
    pub entity_id: String,
    pub places: BTreeSet<Place>,
}

impl Approval {
    /// Whether the other one is about the same entity, with endpoints at hosts of this one only.
    pub fn covers(&self, other: &Self) -> bool {
        self.entity_id == other.entity_id && new_origins(&self.places, &other.places).is_empty()
    }

    /// The id of the stored object: there is one where the owner has one entity, and one for each entity of others.
    pub fn object_id(&self) -> String {
        if self.sole {
            return self.owner.key();
        }
        format!("{}!{}", self.owner.key(), id::hex(&id::sha256(self.entity_id.as_bytes())))
    }
}

/// What an operator may want to know, and the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    Loaded {
        entities: usize,
        faults: usize,
    },
    /// Entities that came and went, without those that stayed.
    Members {
        added: usize,
        removed: usize,
        examples: Vec<String>,
    },
    Changed {
        entity_id: String,
        changes: Vec<Change>,
    },
    Held(Pending),
    Approved(Pending),
    /// The change that waited is not wanted any more.
    Withdrawn {
        entity_id: String,
    },
    Failed {
        reason: String,
        failures: u32,
        retry: Timestamp,
    },
    /// The last good copy may not be used any longer.
    Expired {
        until: Timestamp,
    },
    /// The source knows the entity no longer.
    Gone,
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |changes: &[Change]| changes.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        match self {
            Self::Loaded { entities, faults } => write!(f, "{entities} entities, {faults} left out"),
            Self::Members { added, removed, examples } => {
                write!(f, "{added} entities came, {removed} went: {}", examples.join(", "))
            }
            Self::Changed { entity_id, changes } => write!(f, "{entity_id}: {}", list(changes)),
            Self::Held(pending) => write!(f, "{} waits for approval: {}", pending.entity_id, list(&pending.changes)),
            Self::Approved(pending) => write!(f, "{} approved: {}", pending.entity_id, list(&pending.changes)),
            Self::Withdrawn { entity_id } => write!(f, "{entity_id}: the change that waited for approval is withdrawn"),
            Self::Failed { reason, failures, retry } => write!(f, "refresh {failures} failed, again at {retry}: {reason}"),
            Self::Expired { until } => write!(f, "the last good copy was valid until {until} and is used no more"),
            Self::Gone => f.write_str("the source has no such entity any more"),
        }
    }
}

/// Nothing of that key waits for an operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotPending;

impl fmt::Display for NotPending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no such change waits for approval; it may have changed since it was shown")
    }
}

impl std::error::Error for NotPending {}
