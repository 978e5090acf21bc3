//! All sources of metadata in a process, by the connections and applications that use them.
//!
//! A connection is made anew whenever its settings or those of others change; what it knows of its identity providers must
//! not be lost by that. [`Feeds::open`] hands out the feed that is there already for the same settings. Nobody else keeps
//! one alive: when the last one who uses it goes, so does the feed, and nothing is fetched any more. One that is only tried
//! takes nothing away from the one that is in use.

use super::difference::Place;
use super::feed::{Feed, Status};
use super::mdq::{Mdq, MdqForm};
use super::partner::{Description, Owner, Role};
use super::snapshot::{Approval, Event, Snapshot};
use super::source::Source;
use crate::clock::Timestamp;
use crate::error::Result;
use crate::id;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use url::Url;

/// What a source describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Members {
    /// One identity provider or application.
    One,
    /// All of a federation, in one document.
    All,
    /// All of a federation, asked for one at a time.
    Queried(MdqForm),
}

/// Where a connection knows its identity provider from, or many of them; or where an application is known from.
#[derive(Clone, Debug)]
pub struct Living {
    pub members: Members,
    pub source: Source,
    /// Where people find their identity provider, if that is another's page (Identity Provider Discovery Service Protocol).
    pub discovery: Option<Url>,
}

/// The sources that are in use.
#[derive(Default)]
pub struct Feeds(Mutex<HashMap<Owner, Vec<Weak<Tended>>>>);

/// A source at work for its owner.
pub struct Tended {
    pub owner: Owner,
    pub members: Members,
    role: Role,
    access: Access,
    settings: String,
    /// Somebody tends it at the moment.
    busy: AtomicBool,
    restored: AtomicBool,
    /// The approvals that it knows.
    seen: Mutex<Option<Arc<Vec<Approval>>>>,
    /// What happened while somebody waited, and is not told yet.
    untold: Mutex<Vec<Event>>,
}

/// What came of looking after a source.
#[derive(Debug, Default)]
pub struct Tending {
    pub events: Vec<Event>,
    /// It was asked for something new.
    refreshed: bool,
}

impl Tending {
    /// For counting: `success` or `failure`, if it was asked.
    pub fn outcome(&self) -> Option<&'static str> {
        let failed = self.events.iter().any(|event| matches!(event, Event::Failed { .. }));
        self.refreshed.then_some(if failed { "failure" } else { "success" })
    }
}

enum Access {
    Feed(Feed),
    Mdq(Box<Mdq>),
}

impl Feeds {
    /// The source at work for somebody: the one that is there, if its settings are the same.
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub fn open(&self, owner: Owner, living: &Living) -> Result<Arc<Tended>> {
        // Every setting is in the text, keys by their fingerprints.
        let settings = format!("{living:?}");
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut of_owner = all.get(&owner).into_iter().flatten().filter_map(Weak::upgrade);
        if let Some(known) = of_owner.find(|known| known.settings == settings) {
            return Ok(known);
        }
        all.retain(|_, tended| {
            tended.retain(|tended| tended.strong_count() > 0);
            !tended.is_empty()
        });
        let access = match living.members {
            Members::Queried(form) => Access::Mdq(Box::new(Mdq::new(living.source.clone(), form)?)),
            Members::One | Members::All => Access::Feed(Feed::new(living.source.clone(), LONG_AGO)?),
        };
        let tended = Arc::new(Tended {
            owner: owner.clone(),
            members: living.members,
            role: living.source.role.clone(),
            access,
            settings,
            busy: AtomicBool::new(false),
            restored: AtomicBool::new(false),
            seen: Mutex::default(),
            untold: Mutex::default(),
        });
        all.entry(owner).or_default().push(Arc::downgrade(&tended));
        Ok(tended)
    }

    /// Those in use, by the names of who uses them; connections first.
    pub fn all(&self) -> Vec<Arc<Tended>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> = known.values().flatten().filter_map(Weak::upgrade).collect();
        all.sort_by(|a, b| a.owner.cmp(&b.owner));
        all
    }
}

impl Tended {
    pub const fn role(&self) -> &Role {
        &self.role
    }

    /// For messages: without the query of an address, in which a token may be.
    pub fn shown(&self) -> String {
        match &self.access {
            Access::Feed(feed) => feed.source().shown(),
            Access::Mdq(mdq) => mdq.shown(),
        }
    }

    /// What is in force for an entity; without a name, of the document. It never waits and never asks anybody.
    pub fn snapshot(&self, entity_id: Option<&str>, now: Timestamp) -> Option<Arc<Snapshot>> {
        match (&self.access, entity_id) {
            (Access::Feed(feed), _) => feed.snapshot(now),
            (Access::Mdq(mdq), Some(entity_id)) => mdq.known(entity_id)?.snapshot(now),
            (Access::Mdq(_), None) => None,
        }
    }

    /// The entity that the settings name.
    pub fn expects(&self) -> Option<&str> {
        match &self.access {
            Access::Feed(feed) => feed.source().expects.as_deref(),
            Access::Mdq(_) => None,
        }
    }

    /// How it fares: that of the document, or of each entity that was asked for.
    pub fn status(&self) -> Vec<(Option<String>, Arc<Status>)> {
        match &self.access {
            Access::Feed(feed) => vec![(None, feed.status())],
            Access::Mdq(mdq) => mdq.known_all().into_iter().map(|(name, feed)| (Some(name), feed.status())).collect(),
        }
    }

    /// The only entity that counts, where there is one.
    pub fn sole(&self, snapshot: &Snapshot, now: Timestamp) -> Option<String> {
        if self.members != Members::One {
            return None;
        }
        if let Some(expected) = self.expects() {
            return Some(expected.to_owned());
        }
        let mut meant = snapshot.aggregate().entities().filter(|entity| self.role.is_of(entity) && entity.is_valid_at(now));
        meant.next().filter(|_| meant.next().is_none()).map(|entity| entity.entity_id.to_string())
    }

    /// What is in force of the only entity, if nothing waits.
    pub fn in_force(&self, now: Timestamp) -> Option<Approval> {
        let snapshot = self.snapshot(None, now)?;
        if self.status().iter().any(|(_, status)| !status.pending.is_empty()) {
            return None;
        }
        let entity_id = self.sole(&snapshot, now)?;
        let described = snapshot.describe(&self.role, &entity_id, now).ok()?;
        Some(self.approval(&entity_id, described.places()))
    }

    /// A digest of what is in force of these entities, for telling one state of them from another on every node alike.
    pub fn state(&self, entity_ids: &[&str], now: Timestamp) -> String {
        let of_one = |entity_id: &&str| {
            let described = self.snapshot(Some(entity_id), now).and_then(|snapshot| snapshot.describe(&self.role, entity_id, now).ok());
            format!("{entity_id} {}", described.as_ref().map(Description::state).unwrap_or_default())
        };
        id::hex(&id::sha256(entity_ids.iter().map(of_one).collect::<Vec<_>>().join("\n").as_bytes()))
    }

    pub fn approval(&self, entity_id: &str, places: BTreeSet<Place>) -> Approval {
        let (owner, source, sole) = (self.owner.clone(), self.shown(), self.members == Members::One);
        Approval { owner, source, sole, entity_id: entity_id.to_owned(), places }
    }

    /// Where entities are asked for one at a time, makes sure that this one was. Bounded: see [`Mdq::entity`].
    pub async fn ask_for(&self, entity_id: &str, now: Timestamp) {
        if let Access::Mdq(mdq) = &self.access {
            let events = mdq.entity(entity_id, now).await.1;
            let mut untold = self.untold();
            let room = UNTOLD.saturating_sub(untold.len());
            untold.extend(events.into_iter().take(room));
        }
    }

    /// Takes the last good copy from disk, once.
    pub async fn restore(&self, approvals: &[Approval], now: Timestamp) -> Vec<Event> {
        let Access::Feed(feed) = &self.access else { return Vec::new() };
        if self.restored.swap(true, Ordering::SeqCst) {
            return Vec::new();
        }
        let mut events = feed.allow(self.of_ours(approvals), now).await;
        events.extend(feed.restore(now).await);
        events
    }

    /// Something is to be done, and nobody does it: a refresh is due, a copy is over, or other approvals have come.
    pub fn wants(&self, approvals: &Arc<Vec<Approval>>, now: Timestamp) -> bool {
        if self.busy.load(Ordering::SeqCst) {
            return false;
        }
        let is_over = |snapshot: Arc<Snapshot>| !snapshot.is_valid_at(now);
        let due = match &self.access {
            Access::Feed(feed) => feed.status().due <= now,
            Access::Mdq(mdq) => !mdq.due(now).is_empty(),
        };
        due || !self.untold().is_empty() || !self.knows(approvals) || self.snapshot(None, LONG_AGO).is_some_and(is_over)
    }

    fn knows(&self, approvals: &Arc<Vec<Approval>>) -> bool {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).as_ref().is_some_and(|seen| Arc::ptr_eq(seen, approvals))
    }

    fn untold(&self) -> MutexGuard<'_, Vec<Event>> {
        self.untold.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does what is to be done, and answers what happened; nothing if somebody does so already.
    pub async fn tend(&self, approvals: &Arc<Vec<Approval>>, now: Timestamp) -> Tending {
        if self.busy.swap(true, Ordering::SeqCst) {
            return Tending::default();
        }
        let _free = Free(&self.busy);
        let mut events = std::mem::take(&mut *self.untold());
        let allowed = self.of_ours(approvals);
        let mut refreshed = false;
        match &self.access {
            Access::Feed(feed) => {
                events.extend(self.restore(approvals, now).await);
                events.extend(feed.allow(allowed, now).await);
                refreshed = feed.status().due <= now;
                events.extend(feed.refresh_if_due(now).await);
                events.extend(feed.expire(now).await);
            }
            Access::Mdq(mdq) => {
                for feed in mdq.due(now).into_iter().take(AT_ONCE) {
                    refreshed = true;
                    events.extend(feed.refresh_if_due(now).await);
                }
                for (name, feed) in mdq.known_all() {
                    let own = allowed.get(&name).map(|places| (name.clone(), places.clone()));
                    events.extend(feed.allow(own.into_iter().collect(), now).await);
                    events.extend(feed.expire(now).await);
                }
            }
        }
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(approvals));
        Tending { events, refreshed }
    }

    fn of_ours(&self, approvals: &[Approval]) -> BTreeMap<String, BTreeSet<Place>> {
        let source = self.shown();
        let ours = approvals.iter().filter(|approval| approval.owner == self.owner && approval.source == source);
        ours.map(|approval| (approval.entity_id.clone(), approval.places.clone())).collect()
    }
}

/// Gives the turn back, also where the work was broken off.
struct Free<'a>(&'a AtomicBool);

impl Drop for Free<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::SeqCst);
    }
}

/// Before everything: due at once, and valid whenever it was.
const LONG_AGO: Timestamp = Timestamp::from_millis(i64::MIN);
/// Entities that are refreshed in one turn.
const AT_ONCE: usize = 20;
/// Events that wait to be told.
const UNTOLD: usize = 1000;
