//! The walk through a document: signature first, then entity by entity, and the digest at the end.
//!
//! Schema and SAML Metadata 3 put the Signature before everything else in the root, so it is known what the digest has to be,
//! and that a pinned key promised it, before the first entity is looked at.

use super::canonical::Canonical;
use super::entity::{Entity, Packer};
use super::opening::{RootPromise, character_data, inherited, prolog, promise, take_signature, to_first_child, validity};
use super::pieces::{Piece, Pieces};
use super::scope::{Scope, Tag};
use super::{Aggregate, AggregateError, Fault, Terms, search};
use crate::clock::Timestamp;
use crate::id;
use crate::saml::metadata::Inherited;
use crate::saml::names;
use crate::saml::rejection::{Part, Rejection};
use crate::saml::xml::XmlErrorKind;
use crate::saml::xml::reader::is_space;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::collections::hash_map::RandomState;
use std::collections::{HashMap, HashSet};
use std::hash::BuildHasher as _;
use std::io::BufRead;
use std::sync::Arc;

/// Entities in one document.
const ENTITIES: usize = 200_000;
/// Canonical octets of one entity. Real ones have 10 KB, with pictures in them a hundred times that.
const ENTITY: usize = 4 * 1024 * 1024;
/// Faults that are told one by one.
const FAULTS: usize = 1000;
/// Octets that are hashed at once.
const BLOCK: usize = 64 * 1024;

pub(super) fn load(source: impl BufRead, terms: &Terms, now: Timestamp) -> Result<Aggregate, AggregateError> {
    let mut pieces = Pieces::new(source);
    let empty = prolog(&mut pieces)?;
    let (raw, line) = (pieces.raw().to_owned(), pieces.line());
    let mut scope = Scope::new();
    let root = scope.open(&raw, empty).map_err(|kind| pieces.error(kind))?;
    let single = scope.is(&root, names::MD, "EntityDescriptor");
    if !single && !scope.is(&root, names::MD, "EntitiesDescriptor") {
        return Err(AggregateError::NotMetadata { found: root.local.to_owned() });
    }

    // 1. The Signature, if it is the first child.
    let mut lead = String::new();
    let mut next = if empty { None } else { Some(to_first_child(&mut pieces, &mut lead)?) };
    let signature = next.map_or(Ok(None), |next| take_signature(&mut pieces, &mut scope, next))?;
    if signature.is_some() {
        next = None;
    }
    let promise = terms.trust.0.as_ref().map(|keys| promise(signature.as_deref(), &scope, &root, keys)).transpose()?;

    // 2. How long the document may be used.
    let inherited = validity(&root, terms.validity, now)?;

    // 3. The entities, and with them the digest.
    let mut walk = Walk::new(scope, promise, now)?;
    walk.open(&root, line)?;
    walk.canonical.text(&lead);
    if empty {
        walk.close(None, &pieces)?;
    }
    let mut piece = next.map_or_else(|| pieces.next(), Ok)?;
    while piece != Piece::Eof {
        walk.piece(piece, &pieces)?;
        piece = pieces.next()?;
    }
    if walk.scope.depth() > 0 {
        return Err(pieces.error(XmlErrorKind::Malformed("the document ends before its root element does".to_owned())).into());
    }

    // 4. What was read is what was promised.
    walk.finish(single, inherited)
}

/// An EntitiesDescriptor that is open.
#[derive(Clone)]
struct Group {
    inherited: Inherited,
    /// Nothing in it can be used, and why.
    fault: Option<String>,
}

/// The EntityDescriptor that is open.
struct OpenEntity {
    /// Open elements around it.
    depth: usize,
    line: usize,
    entity_id: Option<String>,
    context: Vec<(String, String)>,
    fault: Option<String>,
}

struct Walk {
    scope: Scope,
    canonical: Canonical,
    promised: Option<RootPromise>,
    now: Timestamp,
    groups: Vec<Group>,
    entity: Option<OpenEntity>,
    ids: HashSet<u64>,
    hash_ids: RandomState,
    packer: Packer,
    entities: Vec<Arc<Entity>>,
    index: HashMap<Arc<str>, u32>,
    faults: Vec<Fault>,
    fault_count: usize,
}

impl Walk {
    fn new(scope: Scope, promised: Option<RootPromise>, now: Timestamp) -> Result<Self, AggregateError> {
        let prefixes = promised.as_ref().map(|promised| promised.promise.prefixes.as_slice()).unwrap_or_default();
        Ok(Self {
            canonical: Canonical::new(prefixes),
            scope,
            promised,
            now,
            groups: Vec::new(),
            entity: None,
            ids: HashSet::new(),
            hash_ids: RandomState::new(),
            packer: Packer::new(),
            entities: Vec::new(),
            index: HashMap::new(),
            faults: Vec::new(),
            fault_count: 0,
        })
    }

    fn piece(&mut self, piece: Piece, pieces: &Pieces<impl BufRead>) -> Result<(), AggregateError> {
        let at = |kind| AggregateError::from(pieces.error(kind));
        match piece {
            Piece::Start | Piece::Empty => {
                if self.scope.depth() == 0 {
                    return Err(at(XmlErrorKind::Malformed("a second root element, or data after the root element".to_owned())));
                }
                let tag = self.scope.open(pieces.raw(), piece == Piece::Empty).map_err(at)?;
                self.open(&tag, pieces.line())?;
                if piece == Piece::Empty {
                    self.close(None, pieces)?;
                }
            }
            Piece::End => self.close(Some(pieces.raw()), pieces)?,
            Piece::Text if self.scope.depth() == 0 => {
                if !pieces.raw().chars().all(is_space) {
                    return Err(at(XmlErrorKind::Malformed("text outside the root element".to_owned())));
                }
            }
            Piece::CData | Piece::Reference if self.scope.depth() == 0 => {
                return Err(at(XmlErrorKind::Malformed("text outside the root element".to_owned())));
            }
            Piece::Text | Piece::CData | Piece::Reference => {
                character_data(piece, pieces.raw(), |text| self.canonical.text(text)).map_err(at)?;
            }
            Piece::Eof => {}
        }
        self.relieve()
    }

    /// The start tag of an element that the scope has opened.
    fn open(&mut self, tag: &Tag<'_>, line: usize) -> Result<(), AggregateError> {
        let around = self.scope.depth().saturating_sub(1);
        if self.promised.is_some() && around == 1 && self.scope.is(tag, names::DS, "Signature") {
            return Err(Rejection::SeveralSignatures { on: Part::Metadata }.into());
        }
        // Only where the schema has them: what an entity puts into its own Extensions does not describe another.
        if self.entity.is_none() && self.groups.len() == around {
            if self.scope.is(tag, names::MD, "EntitiesDescriptor") {
                self.open_group(tag);
            } else if self.scope.is(tag, names::MD, "EntityDescriptor") {
                self.flush()?;
                self.entity = Some(OpenEntity {
                    depth: around,
                    line,
                    entity_id: tag.attribute("entityID").map(str::to_owned),
                    context: self.canonical.context(&self.scope),
                    fault: self.groups.last().and_then(|group| group.fault.clone()),
                });
            }
        }
        self.note_ids(tag, around == 0)?;
        self.canonical.start(tag, &self.scope);
        Ok(())
    }

    fn open_group(&mut self, tag: &Tag<'_>) {
        let around = self.groups.last().cloned().unwrap_or(Group { inherited: Inherited::default(), fault: None });
        let group = match inherited(tag) {
            Ok(own) => Group {
                inherited: Inherited {
                    valid_until: around.inherited.valid_until.into_iter().chain(own.valid_until).min(),
                    cache_seconds: around.inherited.cache_seconds.into_iter().chain(own.cache_seconds).min(),
                },
                fault: around.fault,
            },
            Err(found) => {
                let fault = format!("validUntil of the EntitiesDescriptor around it is not a date: \"{found}\"");
                Group { inherited: around.inherited, fault: around.fault.or(Some(fault)) }
            }
        };
        self.groups.push(group);
    }

    /// An ID that occurs twice costs the second entity that has it; that of the signed root costs the document.
    fn note_ids(&mut self, tag: &Tag<'_>, root: bool) -> Result<(), AggregateError> {
        let Some(promised) = &self.promised else { return Ok(()) };
        for attribute in &tag.attributes {
            let uri = self.scope.uri(attribute.namespace);
            if !(uri.is_empty() && matches!(attribute.local, "ID" | "Id") || uri == names::XML && attribute.local == "id") {
                continue;
            }
            if !root && *attribute.value == *promised.promise.id {
                return Err(Rejection::DuplicateId { id: promised.promise.id.clone() }.into());
            }
            if !self.ids.insert(self.hash_ids.hash_one(&*attribute.value))
                && let Some(entity) = &mut self.entity
            {
                entity.fault.get_or_insert_with(|| format!("the ID {} occurs twice in the document", attribute.value));
            }
        }
        Ok(())
    }

    fn close(&mut self, raw: Option<&str>, pieces: &Pieces<impl BufRead>) -> Result<(), AggregateError> {
        let name = self.scope.close(raw).map_err(|kind| pieces.error(kind))?;
        self.canonical.end(&name);
        if let Some(entity) = self.entity.take_if(|entity| entity.depth == self.scope.depth()) {
            self.finish_entity(entity)?;
        }
        self.groups.truncate(self.scope.depth());
        Ok(())
    }

    fn finish_entity(&mut self, entity: OpenEntity) -> Result<(), AggregateError> {
        let inherited = self.groups.last().map(|group| group.inherited).unwrap_or_default();
        let OpenEntity { line, entity_id, context, fault, .. } = entity;
        let read = match fault {
            Some(reason) => Err(reason),
            None => self.packer.read(&self.canonical.out, context, inherited, line, self.now),
        };
        self.flush()?;
        match read {
            Ok(entity) if self.index.contains_key(&entity.entity_id) => {
                self.fault(line, entity_id, "the entityID occurs before: the first one counts".to_owned());
            }
            Ok(entity) => {
                if self.entities.len() >= ENTITIES {
                    return Err(AggregateError::TooManyEntities { limit: ENTITIES });
                }
                self.index.insert(Arc::clone(&entity.entity_id), self.entities.len() as u32);
                self.entities.push(Arc::new(entity));
            }
            Err(reason) => self.fault(line, entity_id, reason),
        }
        Ok(())
    }

    fn fault(&mut self, line: usize, entity_id: Option<String>, reason: String) {
        self.fault_count += 1;
        if self.faults.len() < FAULTS {
            let entity_id = entity_id.map(|id| id.chars().take(1024).collect());
            self.faults.push(Fault { line, entity_id, reason });
        }
    }

    /// Keeps what is in memory within bounds.
    fn relieve(&mut self) -> Result<(), AggregateError> {
        match &mut self.entity {
            Some(entity) if self.canonical.out.len() > ENTITY => {
                entity.fault.get_or_insert_with(|| format!("it has more than {ENTITY} bytes"));
                self.flush()
            }
            None if self.canonical.out.len() > BLOCK => self.flush(),
            _ => Ok(()),
        }
    }

    /// Hashes what was written, and forgets it.
    fn flush(&mut self) -> Result<(), AggregateError> {
        if let Some(promised) = &mut self.promised {
            let hashed = promised.hasher.update(self.canonical.out.as_bytes());
            hashed.map_err(|_| Rejection::SignatureStructure { why: "the digest cannot be made" })?;
        }
        self.canonical.out.clear();
        Ok(())
    }

    fn finish(mut self, single: bool, root: Inherited) -> Result<Aggregate, AggregateError> {
        self.flush()?;
        let signed = self.promised.is_some();
        if let Some(RootPromise { promise, mut hasher }) = self.promised.take() {
            let found = hasher.finish().map_err(|_| Rejection::SignatureStructure { why: "the digest cannot be made" })?;
            if !id::eq_constant_time(&found, &promise.digest_value) {
                let (expected, found) = (STANDARD.encode(&promise.digest_value), STANDARD.encode(found));
                return Err(Rejection::DigestDiffers { expected, found }.into());
            }
        }
        if self.entities.is_empty() {
            return Err(AggregateError::Empty { fault: self.faults.into_iter().next() });
        }
        self.entities.shrink_to_fit();
        Ok(Aggregate {
            search: search::Index::new(&self.entities),
            entities: self.entities,
            index: self.index,
            faults: self.faults,
            fault_count: self.fault_count,
            valid_until: root.valid_until,
            cache_seconds: root.cache_seconds,
            signed,
            single,
        })
    }
}
