//! All sources of metadata in a process, by the connections that use them.
//!
//! A connection is made anew whenever its settings or those of others change; what it knows of its identity providers must
//! not be lost by that. [`Feeds::open`] hands out the feed that is there already for the same settings. Nobody else keeps
//! one alive: when the last connection that uses it goes, so does the feed, and nothing is fetched any more.

use super::feed::{Feed, Status};
use super::mdq::{Mdq, MdqForm};
use super::snapshot::{Approval, Event, Snapshot};
use super::source::Source;
use crate::clock::Timestamp;
use crate::error::Result;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

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

/// Where a connection knows its identity provider from, or many of them.
#[derive(Clone, Debug)]
pub struct Living {
    pub members: Members,
    pub source: Source,
}

/// The sources that are in use.
#[derive(Default)]
pub struct Feeds(Mutex<HashMap<String, Weak<Tended>>>);

/// A source at work for one connection.
pub struct Tended {
    pub connection: String,
    pub members: Members,
    access: Access,
    settings: String,
    /// Somebody tends it at the moment.
    busy: AtomicBool,
    restored: AtomicBool,
}

enum Access {
    Feed(Feed),
    Mdq(Mdq),
}

impl Feeds {
    /// The source at work for a connection: the one that is there, if its settings are the same.
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub fn open(&self, connection: &str, living: &Living) -> Result<Arc<Tended>> {
        // Every setting is in the text, keys by their fingerprints.
        let settings = format!("{living:?}");
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = all.get(connection).and_then(Weak::upgrade).filter(|known| known.settings == settings) {
            return Ok(known);
        }
        all.retain(|_, tended| tended.strong_count() > 0);
        let access = match living.members {
            Members::Queried(form) => Access::Mdq(Mdq::new(living.source.clone(), form)?),
            Members::One | Members::All => Access::Feed(Feed::new(living.source.clone(), LONG_AGO)?),
        };
        let (busy, restored) = (AtomicBool::new(false), AtomicBool::new(false));
        let tended = Arc::new(Tended { connection: connection.to_owned(), members: living.members, access, settings, busy, restored });
        all.insert(connection.to_owned(), Arc::downgrade(&tended));
        Ok(tended)
    }

    /// Those in use, by the names of their connections.
    pub fn all(&self) -> Vec<Arc<Tended>> {
        let mut all: Vec<_> = self.0.lock().unwrap_or_else(PoisonError::into_inner).values().filter_map(Weak::upgrade).collect();
        all.sort_by(|a, b| a.connection.cmp(&b.connection));
        all
    }
}

impl Tended {
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

    /// Where entities are asked for one at a time, makes sure that this one was. Bounded: see [`Mdq::entity`].
    pub async fn ask_for(&self, entity_id: &str, now: Timestamp) -> Vec<Event> {
        match &self.access {
            Access::Feed(_) => Vec::new(),
            Access::Mdq(mdq) => mdq.entity(entity_id, now).await.1,
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

    /// Something is to be done: a refresh is due, a copy is over, or approvals have come.
    pub fn wants(&self, now: Timestamp) -> bool {
        let due = self.status().iter().any(|(_, status)| status.due <= now);
        due || self.snapshot(None, LONG_AGO).is_some_and(|snapshot| !snapshot.is_valid_at(now))
    }

    /// Does what is to be done, and answers what happened; nothing if somebody does so already.
    pub async fn tend(&self, approvals: &[Approval], now: Timestamp) -> Vec<Event> {
        if self.busy.swap(true, Ordering::SeqCst) {
            return Vec::new();
        }
        let free = Free(&self.busy);
        let mut events = self.restore(approvals, now).await;
        let allowed = self.of_ours(approvals);
        match &self.access {
            Access::Feed(feed) => {
                events.extend(feed.allow(allowed, now).await);
                events.extend(feed.refresh_if_due(now).await);
                events.extend(feed.expire(now).await);
            }
            Access::Mdq(mdq) => {
                for (name, feed) in mdq.known_all() {
                    let own = allowed.get(&name).map(|places| (name.clone(), places.clone()));
                    events.extend(feed.allow(own.into_iter().collect(), now).await);
                    events.extend(feed.expire(now).await);
                }
            }
        }
        drop(free);
        events
    }

    fn of_ours(&self, approvals: &[Approval]) -> BTreeMap<String, std::collections::BTreeSet<super::Place>> {
        let ours = approvals.iter().filter(|approval| approval.connection == self.connection);
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
