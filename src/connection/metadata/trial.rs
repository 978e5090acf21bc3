//! One look at a source that changes nothing: what it has, and what that would mean beside what is in force.

use super::difference::Place;
use super::feed::Feed;
use super::feeds::{Living, Members};
use super::partner::{Description, Role};
use super::refresher::Refresher;
use super::snapshot::{Event, Pending, Snapshot};
use super::source::Source;
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::saml::aggregate::Entity;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What a source has now.
pub struct Trial {
    pub role: Role,
    wanted: Option<String>,
    pub snapshot: Arc<Snapshot>,
    /// There was a copy to compare it with.
    pub compared: bool,
    /// What taking it would mean.
    pub events: Vec<Event>,
}

impl Trial {
    /// The only partner that is meant, if there is only one.
    pub fn only(&self, now: Timestamp) -> Option<Description> {
        let is_meant =
            |entity: &&Arc<Entity>| self.role.is_of(entity) && self.wanted.as_deref().is_none_or(|wanted| *wanted == *entity.entity_id);
        let mut meant = self.snapshot.aggregate().entities().filter(is_meant);
        let only = meant.next().filter(|_| meant.next().is_none())?;
        self.snapshot.describe(&self.role, &only.entity_id, now).ok()
    }
}

/// Fetches and verifies once. `allowed`: the approved endpoints, by entityID.
///
/// # Errors
/// Why there is nothing that can be used.
pub async fn trial(living: &Living, allowed: BTreeMap<String, BTreeSet<Place>>, now: Timestamp) -> Result<Trial> {
    if matches!(living.members, Members::Queried(_)) {
        return Err(Error::new(
            ErrorKind::InvalidRequest,
            "a metadata query server is asked for one entity at a time, when somebody signs in",
        ));
    }
    let fresh = Feed::new(Source { cache: None, ..living.source.clone() }, now)?;
    let failed = fresh.refresh(now).await;
    let Some(snapshot) = fresh.snapshot(now) else {
        let why = failed.into_iter().find_map(|event| match event {
            Event::Failed { reason, .. } => Some(reason),
            _ => None,
        });
        return Err(Error::new(ErrorKind::Misconfigured, why.unwrap_or_else(|| "there are no metadata".to_owned())));
    };
    let kept = Feed::new(living.source.clone(), now)?;
    kept.restore(now).await;
    let old = kept.snapshot(now);
    let mut refresher = Refresher::of(&living.source, kept.approved().await, now);
    refresher.allow(allowed, now);
    let compared = old.is_some();
    if let Some(old) = old {
        refresher.accept(Arc::clone(&old.aggregate), None, now);
    }
    let mut events = refresher.accept(Arc::clone(&snapshot.aggregate), None, now);
    // What waits already is no news, and still what it would mean.
    let told = |pending: &Pending| events.iter().any(|event| matches!(event, Event::Held(held) if held.key == pending.key));
    let waits: Vec<Pending> = refresher.pending().filter(|pending| !told(pending)).cloned().collect();
    events.extend(waits.into_iter().map(Event::Held));
    let Source { role, expects: wanted, .. } = living.source.clone();
    Ok(Trial { role, wanted, snapshot, compared, events })
}
