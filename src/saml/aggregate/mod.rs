//! Metadata of whole federations: an EntitiesDescriptor of any nesting with tens of thousands of entities (SAML Metadata 2.3.1).
//!
//! [`Aggregate::read`] goes through the document once, as it comes. It writes the canonical form of every piece, feeds it to
//! the digest, and makes the entities **out of these same octets**; an [`Aggregate`] exists only when the digest was the one
//! that a pinned key signed. Nothing is in memory as a whole: of each entity remain what people search it by and its octets,
//! packed, which are read in full when somebody needs them ([`Entity::idp`]).
//!
//! What is wrong with one entity costs that entity and is told with its line; what is wrong with the document costs the
//! document. `pieces` cuts, `scope` resolves names, `canonical` writes, `opening` verifies the signature, `load` walks, `entity` reads one, `search` finds them.
//! Fetching and refreshing are in `connection/metadata`.

mod canonical;
mod entity;
mod fold;
mod load;
mod opening;
mod pieces;
mod scope;
mod search;

pub use entity::{Entity, Localized, Logo};
pub use fold::folded;
pub use search::Found;

use super::metadata::{IdpMetadata, MetadataError};
use super::rejection::Rejection;
use super::signature::TrustedKeys;
use super::xml::XmlError;
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result as CrateResult};
use openssl::x509::X509;
use std::collections::HashMap;
use std::fmt;
use std::io::BufRead;
use std::sync::Arc;

/// Who must have signed an aggregate.
#[derive(Clone, Debug)]
pub struct Trust(Option<TrustedKeys>);

impl Trust {
    /// One of these certificates; or nobody, if there are none and `allow_unsigned` says that this is meant.
    ///
    /// # Errors
    /// Without certificates and without that word, and for certificates without usable key.
    pub fn new(pinned: &[X509], allow_unsigned: bool) -> CrateResult<Self> {
        match (pinned.is_empty(), allow_unsigned) {
            (false, _) => TrustedKeys::new(pinned).map(|keys| Self(Some(keys))),
            (true, true) => Ok(Self(None)),
            (true, false) => {
                let why = "metadata that change need a certificate to verify their signature with, or allow_unsigned";
                Err(Error::new(ErrorKind::Misconfigured, why))
            }
        }
    }

    /// One of these keys.
    pub const fn pinned(keys: TrustedKeys) -> Self {
        Self(Some(keys))
    }

    /// A signature is demanded.
    pub const fn is_pinned(&self) -> bool {
        self.0.is_some()
    }
}

/// What the root must say about how long it may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validity {
    /// A validUntil at most this far ahead: whoever keeps an old copy from us cannot do so for longer.
    Required { at_most_seconds: i64 },
    /// None is needed, and any is good.
    Optional,
}

impl Default for Validity {
    fn default() -> Self {
        Self::Required { at_most_seconds: 28 * 86_400 }
    }
}

/// On what terms a document is accepted.
#[derive(Clone, Debug)]
pub struct Terms {
    pub trust: Trust,
    pub validity: Validity,
}

impl Terms {
    /// With the usual validity: required, at most 28 days.
    pub fn new(trust: Trust) -> Self {
        Self { trust, validity: Validity::default() }
    }
}

/// Why a document as a whole was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AggregateError {
    Xml(XmlError),
    /// The root is neither EntitiesDescriptor nor EntityDescriptor.
    NotMetadata {
        found: String,
    },
    Signature(Rejection),
    ValidUntilMissing,
    ValidUntilUnreadable {
        found: String,
    },
    ValidTooLong {
        until: Timestamp,
        latest: Timestamp,
    },
    Expired {
        until: Timestamp,
        now: Timestamp,
    },
    TooManyEntities {
        limit: usize,
    },
    /// No entity is left; the first fault says why, where there is one.
    Empty {
        fault: Option<Fault>,
    },
}

impl fmt::Display for AggregateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Xml(error) => error.fmt(f),
            Self::NotMetadata { found } => write!(f, "this is not SAML metadata: the root element is {found}"),
            Self::Signature(rejection) => rejection.fmt(f),
            Self::ValidUntilMissing => f.write_str("the metadata have no validUntil"),
            Self::ValidUntilUnreadable { found } => write!(f, "validUntil is not a date: \"{found}\""),
            Self::ValidTooLong { until, latest } => write!(f, "the metadata are valid until {until}; accepted is {latest} at the latest"),
            Self::Expired { until, now } => write!(f, "the metadata were valid until {until}; it is {now}"),
            Self::TooManyEntities { limit } => write!(f, "the metadata have more than {limit} entities"),
            Self::Empty { fault: None } => f.write_str("the metadata have no entity"),
            Self::Empty { fault: Some(fault) } => write!(f, "the metadata have no entity that can be used; {fault}"),
        }
    }
}

impl std::error::Error for AggregateError {}

impl From<XmlError> for AggregateError {
    fn from(error: XmlError) -> Self {
        Self::Xml(error)
    }
}

impl From<Rejection> for AggregateError {
    fn from(rejection: Rejection) -> Self {
        Self::Signature(rejection)
    }
}

/// An entity that was left out, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where it begins, from 1.
    pub line: usize,
    pub entity_id: Option<String>,
    pub reason: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}{}", self.line, self.entity_id.as_ref().map(|id| format!("{id}: ")).unwrap_or_default(), self.reason)
    }
}

/// A federation's metadata, verified on its [`Terms`].
#[derive(Debug)]
pub struct Aggregate {
    entities: Vec<Arc<Entity>>,
    index: HashMap<Arc<str>, u32>,
    search: search::Index,
    faults: Vec<Fault>,
    fault_count: usize,
    valid_until: Option<Timestamp>,
    cache_seconds: Option<u64>,
    signed: bool,
    single: bool,
}

impl Aggregate {
    /// Reads a document: one EntityDescriptor, or EntitiesDescriptor of any nesting.
    ///
    /// # Errors
    /// When the document as a whole cannot be accepted.
    pub fn read(source: impl BufRead, terms: &Terms, now: Timestamp) -> Result<Self, AggregateError> {
        load::load(source, terms, now)
    }

    pub const fn len(&self) -> usize {
        self.entities.len()
    }

    pub const fn is_empty(&self) -> bool {
        self.entities.is_empty()
    }

    pub fn entity(&self, entity_id: &str) -> Option<&Arc<Entity>> {
        self.entities.get(*self.index.get(entity_id)? as usize)
    }

    /// In the order of the document.
    pub fn entities(&self) -> impl Iterator<Item = &Arc<Entity>> {
        self.entities.iter()
    }

    /// Reads the whole description of one identity provider.
    ///
    /// # Errors
    /// When there is none of that name, or it is valid no longer.
    pub fn idp(&self, entity_id: &str, now: Timestamp) -> Result<IdpMetadata, MetadataError> {
        let unknown = || MetadataError { line: None, reason: format!("the metadata have no entity \"{entity_id}\"") };
        self.entity(entity_id).ok_or_else(unknown)?.idp(now)
    }

    /// Identity providers with a name, keyword, scope or entityID in which every word of `text` begins a word, best first:
    /// names before the rest, those in `language` before others. Hidden and expired ones are left out. An empty text finds all.
    pub fn search(&self, text: &str, language: &str, limit: usize, now: Timestamp) -> Vec<Found<'_>> {
        self.search.find(&self.entities, text, language, limit, now)
    }

    /// Entities that were left out: the first thousand.
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }

    /// How many entities were left out.
    pub const fn fault_count(&self) -> usize {
        self.fault_count
    }

    /// Of the root.
    pub const fn valid_until(&self) -> Option<Timestamp> {
        self.valid_until
    }

    /// Of the root, in seconds.
    pub const fn cache_seconds(&self) -> Option<u64> {
        self.cache_seconds
    }

    /// A pinned key signed it.
    pub const fn is_signed(&self) -> bool {
        self.signed
    }

    /// The document is one EntityDescriptor.
    pub const fn is_single(&self) -> bool {
        self.single
    }
}

#[cfg(test)]
mod tests;
