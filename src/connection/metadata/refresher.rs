//! What happens to a copy of metadata as time goes on: a state machine without I/O and without a clock.
//!
//! Whoever runs it ([`super::Feed`]) asks [`Refresher::due`], fetches, and tells the outcome. A copy that was taken stays until a
//! better one comes or its validUntil. Certificates, scopes and paths change at once; a new host waits for an operator, and until
//! then the old endpoints stay in force beside whatever else is new.

use super::difference::{Change, Place, new_origins};
use super::partner::{Description, Role};
use super::snapshot::{Event, NotPending, Pending, Snapshot};
use super::source::Source;
use crate::clock::Timestamp;
use crate::id;
use crate::saml::aggregate::{Aggregate, Entity};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// How often to look, whatever the metadata say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cadence {
    pub at_least_seconds: u64,
    pub at_most_seconds: u64,
    /// Where the metadata have no cacheDuration.
    pub usual_seconds: u64,
}

impl Default for Cadence {
    fn default() -> Self {
        Self { at_least_seconds: 300, at_most_seconds: 86_400, usual_seconds: 4 * 3600 }
    }
}

/// Whose new hosts wait for an operator.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Hold {
    #[default]
    Everybody,
    /// Those with a connection, by entityID; the others of a federation come and go as it says.
    Only(BTreeSet<String>),
}

impl Hold {
    fn concerns(&self, entity_id: &str) -> bool {
        match self {
            Self::Everybody => true,
            Self::Only(names) => names.contains(entity_id),
        }
    }
}

/// The state of one source.
#[derive(Debug)]
pub struct Refresher {
    cadence: Cadence,
    hold: Hold,
    role: Role,
    /// The only entity that is of interest.
    wanted: Option<String>,
    current: Option<Arc<Snapshot>>,
    /// What was in force before there was nothing: the next copy is compared with it.
    former: Option<Arc<Snapshot>>,
    /// The endpoints last in force, of entities whose new ones wait and of those that have left: who comes back is no stranger.
    approved: BTreeMap<String, BTreeSet<Place>>,
    /// Endpoints that may come: what the directory knows as approved, by entityID.
    allowed: BTreeMap<String, BTreeSet<Place>>,
    pending: BTreeMap<String, Pending>,
    /// A document about somebody else, as a whole.
    other: Option<(Arc<Aggregate>, Pending)>,
    interval_seconds: u64,
    failures: u32,
    last_failure: Option<(Timestamp, String)>,
    due: Timestamp,
}

impl Refresher {
    /// Due at once. `approved`: [`Refresher::approved`] of the process before.
    pub fn new(cadence: Cadence, hold: Hold, approved: BTreeMap<String, BTreeSet<Place>>, now: Timestamp) -> Self {
        Self {
            cadence,
            hold,
            role: Role::IdentityProvider,
            wanted: None,
            current: None,
            former: None,
            approved,
            allowed: BTreeMap::new(),
            pending: BTreeMap::new(),
            other: None,
            interval_seconds: cadence.usual_seconds,
            failures: 0,
            last_failure: None,
            due: now,
        }
    }

    /// The same for a source.
    pub fn of(source: &Source, approved: BTreeMap<String, BTreeSet<Place>>, now: Timestamp) -> Self {
        let new = Self::new(source.cadence, source.hold.clone(), approved, now);
        Self { role: source.role.clone(), wanted: source.expects.clone(), ..new }
    }

    pub fn snapshot(&self) -> Option<&Arc<Snapshot>> {
        self.current.as_ref()
    }

    /// When to look next.
    pub const fn due(&self) -> Timestamp {
        self.due
    }

    /// When it failed last, why, and how often in a row.
    pub fn last_failure(&self) -> Option<(Timestamp, &str, u32)> {
        self.last_failure.as_ref().map(|(at, reason)| (*at, reason.as_str(), self.failures))
    }

    /// What waits for an operator.
    pub fn pending(&self) -> impl Iterator<Item = &Pending> {
        self.pending.values().chain(self.other.iter().map(|(_, pending)| pending))
    }

    /// To be kept with the copy, so that a restart approves nothing.
    pub const fn approved(&self) -> &BTreeMap<String, BTreeSet<Place>> {
        &self.approved
    }

    /// Whether [`Refresher::accept`] would take this document, and not keep it for an operator: only then may it replace the
    /// copy on disk.
    pub fn would_take(&self, new: &Aggregate) -> bool {
        self.entity_change(new).is_none()
    }

    /// A copy that was verified on the source's terms. `max_age_seconds`: what HTTP said of it.
    pub fn accept(&mut self, new: Arc<Aggregate>, max_age_seconds: Option<u64>, now: Timestamp) -> Vec<Event> {
        self.schedule(&new, max_age_seconds, now);
        if let Some((from, to)) = self.entity_change(&new) {
            return self.keep_aside(new, from, to, now);
        }
        let mut events = Vec::new();
        if let Some((_, pending)) = self.other.take() {
            events.push(Event::Withdrawn { entity_id: pending.entity_id });
        }
        if self.current.is_none() {
            events.push(Event::Loaded { entities: new.len(), faults: new.fault_count() });
        }
        if let Some(old) = self.baseline().cloned() {
            self.members(&old, &new, &mut events);
        }
        let mut held = BTreeMap::new();
        for entity in new.entities().filter(|entity| self.looks_at(entity)).cloned().collect::<Vec<_>>() {
            self.entity(&entity, &mut held, now, &mut events);
        }
        self.pending.retain(|entity_id, _| held.contains_key(entity_id));
        self.current = Some(Arc::new(Snapshot { aggregate: new, held }));
        self.former = None;
        events
    }

    /// The source says that the copy is still the newest one.
    pub fn unchanged(&mut self, now: Timestamp) {
        if let Some(aggregate) = self.current.as_ref().map(|current| Arc::clone(&current.aggregate)) {
            let interval = self.interval_seconds;
            self.schedule(&aggregate, None, now);
            self.interval_seconds = interval;
        }
    }

    /// The copy came from disk: whether there is a newer one is to be asked soon.
    pub const fn look_again(&mut self, now: Timestamp) {
        self.due = now;
    }

    /// There is no new copy. The last good one stays.
    pub fn fail(&mut self, reason: String, now: Timestamp) -> Vec<Event> {
        self.failures = self.failures.saturating_add(1);
        let wait = FIRST_RETRY.saturating_mul(1 << (self.failures - 1).min(10)).min(LONGEST_RETRY).min(self.cadence.at_most_seconds);
        self.due = now.plus_seconds(wait.cast_signed());
        self.last_failure = Some((now, reason.clone()));
        let mut events = vec![Event::Failed { reason, failures: self.failures, retry: self.due }];
        events.extend(self.expire(now));
        events
    }

    /// The source says that there is nothing any more, which is an answer and no failure.
    pub fn gone(&mut self, again: Timestamp) -> Vec<Event> {
        (self.failures, self.last_failure) = (0, None);
        self.due = again;
        if self.current.is_none() {
            return Vec::new();
        }
        self.former = self.current.take();
        self.pending.clear();
        vec![Event::Gone]
    }

    /// Drops a copy whose validUntil has come.
    pub fn expire(&mut self, now: Timestamp) -> Option<Event> {
        let until = self.current.as_ref()?.aggregate.valid_until().filter(|until| *until <= now)?;
        self.former = self.current.take();
        self.pending.clear();
        Some(Event::Expired { until })
    }

    /// An operator agrees to exactly that change.
    ///
    /// # Errors
    /// When nothing of that key waits, any more.
    pub fn approve(&mut self, key: &str, now: Timestamp) -> Result<Event, NotPending> {
        if let Some((aggregate, pending)) = self.other.take_if(|(_, pending)| pending.key == key) {
            self.pending.clear();
            self.approved.clear();
            self.current = Some(Arc::new(Snapshot { aggregate, held: BTreeMap::new() })).filter(|new| new.is_valid_at(now));
            self.former = None;
            return Ok(Event::Approved(pending));
        }
        let entity_id = self.pending.values().find(|pending| pending.key == key).map(|pending| pending.entity_id.clone());
        let (Some(entity_id), Some(current)) = (entity_id, self.current.clone()) else { return Err(NotPending) };
        let pending = self.pending.remove(&entity_id).ok_or(NotPending)?;
        self.approved.remove(&entity_id);
        let mut held = current.held.clone();
        held.remove(&entity_id);
        self.current = Some(Arc::new(Snapshot { aggregate: Arc::clone(&current.aggregate), held })).filter(|new| new.is_valid_at(now));
        Ok(Event::Approved(pending))
    }

    /// What the directory knows as approved, in place of what it knew before. Changes that waited for it wait no more; no other
    /// change is let in by it.
    pub fn allow(&mut self, allowed: BTreeMap<String, BTreeSet<Place>>, now: Timestamp) -> Vec<Event> {
        if self.allowed == allowed {
            return Vec::new();
        }
        self.allowed = allowed;
        let waiting = self.pending().filter(|pending| self.allows(&pending.entity_id, &pending.places));
        let keys: Vec<String> = waiting.map(|pending| pending.key.clone()).collect();
        keys.iter().filter_map(|key| self.approve(key, now).ok()).collect()
    }

    /// Whether the directory's word covers all these endpoints.
    fn allows(&self, entity_id: &str, offered: &BTreeSet<Place>) -> bool {
        self.allowed.get(entity_id).is_some_and(|allowed| new_origins(allowed, offered).is_empty())
    }

    fn schedule(&mut self, new: &Aggregate, max_age_seconds: Option<u64>, now: Timestamp) {
        let Cadence { at_least_seconds, at_most_seconds, usual_seconds } = self.cadence;
        // SAML Metadata 2.3.1: cacheDuration is the longest time to keep a copy without looking.
        let wished = new.cache_seconds().into_iter().chain(max_age_seconds).min().unwrap_or(usual_seconds);
        let mut seconds = wished.clamp(at_least_seconds, at_most_seconds.max(at_least_seconds));
        if let Some(until) = new.valid_until() {
            // Twice before it is over, so that one failure is not the end.
            let left = u64::try_from(until.seconds_since(now)).unwrap_or(0);
            seconds = seconds.min((left / 3).max(FIRST_RETRY));
        }
        self.interval_seconds = seconds;
        self.due = now.plus_seconds(seconds.cast_signed());
        (self.failures, self.last_failure) = (0, None);
    }

    /// A document with one entity that is now about another one.
    fn entity_change(&self, new: &Aggregate) -> Option<(String, String)> {
        let sole = |of: &Aggregate| of.entities().next().filter(|_| of.len() == 1).map(|entity| entity.entity_id.to_string());
        let to = sole(new)?;
        // A node that has no copy yet knows from the directory whom the others know.
        let from = match self.baseline() {
            Some(old) => sole(&old.aggregate)?,
            None => self.allowed.keys().next().filter(|_| self.allowed.len() == 1)?.clone(),
        };
        (from != to && !self.lets_in(new, &to)).then_some((from, to))
    }

    /// Whether an operator has agreed to that other entity.
    fn lets_in(&self, new: &Aggregate, entity_id: &str) -> bool {
        self.described(new, entity_id, WHENEVER).is_some_and(|described| self.allows(entity_id, &described.places()))
    }

    fn keep_aside(&mut self, new: Arc<Aggregate>, from: String, to: String, now: Timestamp) -> Vec<Event> {
        let mut changes = vec![Change::EntityId { from: from.clone(), to: to.clone() }];
        let old = self.baseline().and_then(|old| old.describe(&self.role, &from, WHENEVER).ok());
        let offered = self.described(&new, &to, now);
        if let (Some(old), Some(offered)) = (&old, &offered) {
            changes.extend(old.difference(offered));
        }
        let places = offered.as_ref().map(Description::places).unwrap_or_default();
        let pending = Pending { key: key(&to, &changes), entity_id: to, changes, places, since: now };
        if let Some((aggregate, known)) = &mut self.other
            && known.key == pending.key
        {
            *aggregate = new;
            return Vec::new();
        }
        self.other = Some((new, pending.clone()));
        vec![Event::Held(pending)]
    }

    /// Is anything that happens to the entity of interest?
    fn looks_at(&self, entity: &Entity) -> bool {
        self.role.is_of(entity) && self.wanted.as_deref().is_none_or(|wanted| *wanted == *entity.entity_id)
    }

    fn described(&self, aggregate: &Aggregate, entity_id: &str, now: Timestamp) -> Option<Description> {
        self.role.describe(aggregate.entity(entity_id)?, now).ok()
    }

    /// Who came and who went.
    fn members(&mut self, old: &Arc<Snapshot>, new: &Aggregate, events: &mut Vec<Event>) {
        if self.wanted.is_some() {
            return;
        }
        let added = new.entities().filter(|entity| old.entity(&entity.entity_id).is_none());
        let added: Vec<String> = added.map(|entity| format!("+ {}", entity.entity_id)).collect();
        let left = old.aggregate.entities().filter(|entity| new.entity(&entity.entity_id).is_none());
        let left: Vec<String> = left.map(|entity| entity.entity_id.to_string()).collect();
        for entity_id in &left {
            self.remember(old, entity_id);
        }
        if !added.is_empty() || !left.is_empty() {
            let (added_count, removed) = (added.len(), left.len());
            let gone = left.into_iter().map(|entity_id| format!("- {entity_id}"));
            let examples = added.into_iter().take(EXAMPLES).chain(gone.take(EXAMPLES)).collect();
            events.push(Event::Members { added: added_count, removed, examples });
        }
    }

    /// Keeps what was in force of an entity that leaves.
    fn remember(&mut self, old: &Snapshot, entity_id: &str) {
        if !self.hold.concerns(entity_id) || self.approved.len() >= REMEMBERED || self.approved.contains_key(entity_id) {
            return;
        }
        if let Ok(described) = old.describe(&self.role, entity_id, WHENEVER) {
            self.approved.insert(entity_id.to_owned(), described.places());
        }
    }

    /// What the next copy is compared with.
    fn baseline(&self) -> Option<&Arc<Snapshot>> {
        self.current.as_ref().or(self.former.as_ref())
    }

    /// One partner of the new copy: what changed, and whether its endpoints may.
    fn entity(&mut self, new: &Entity, held: &mut BTreeMap<String, BTreeSet<Place>>, now: Timestamp, events: &mut Vec<Event>) {
        let entity_id = &*new.entity_id;
        let old = self.baseline().and_then(|old| old.entity(entity_id)).cloned();
        let known = self.approved.get(entity_id).cloned();
        let unknown = old.is_none() && !self.allowed.contains_key(entity_id);
        if known.is_none() && (unknown || old.as_ref().is_some_and(|old| old.same_as(new))) {
            return;
        }
        let Ok(described) = self.role.describe(new, now) else { return };
        // As it was before, even if that is valid no longer.
        let before = old.filter(|old| self.role.is_of(old)).and_then(|old| self.role.describe(&old, WHENEVER).ok());
        let offered = described.places();
        let approved = known.or_else(|| before.as_ref().map(Description::places)).or_else(|| self.allowed.get(entity_id).cloned());
        let mut in_force = described.clone();
        let waits = self.hold.concerns(entity_id) && !self.allows(entity_id, &offered);
        match approved.filter(|approved| waits && !new_origins(approved, &offered).is_empty()) {
            Some(approved) => {
                in_force = in_force.with_places(&approved);
                self.hold_back(&described, &in_force, now, events);
                held.insert(entity_id.to_owned(), approved.clone());
                self.approved.insert(entity_id.to_owned(), approved);
            }
            None => {
                self.approved.remove(entity_id);
                if self.pending.remove(entity_id).is_some() {
                    events.push(Event::Withdrawn { entity_id: entity_id.to_owned() });
                }
            }
        }
        let held_before = self.baseline().and_then(|old| old.held.get(entity_id));
        let old_in_force = before.map(|before| match held_before {
            Some(places) => before.with_places(places),
            None => before,
        });
        let changes = old_in_force.map(|old| old.difference(&in_force)).unwrap_or_default();
        if !changes.is_empty() && events.len() < EVENTS {
            events.push(Event::Changed { entity_id: entity_id.to_owned(), changes });
        }
    }

    fn hold_back(&mut self, offered: &Description, in_force: &Description, now: Timestamp, events: &mut Vec<Event>) {
        let (changes, entity_id) = (in_force.difference(offered), offered.entity_id().to_owned());
        let key = key(&entity_id, &changes);
        if self.pending.get(&entity_id).is_some_and(|known| known.key == key) {
            return;
        }
        let pending = Pending { key, entity_id: entity_id.clone(), changes, places: offered.places(), since: now };
        self.pending.insert(entity_id, pending.clone());
        events.push(Event::Held(pending));
    }
}

fn key(entity_id: &str, changes: &[Change]) -> String {
    let text = changes.iter().fold(entity_id.to_owned(), |text, change| format!("{text}\n{change}"));
    id::hex(&id::sha256(text.as_bytes())).chars().take(32).collect()
}

/// Before every validUntil: to read what was in force, even if it is valid no longer.
const WHENEVER: Timestamp = Timestamp::from_millis(i64::MIN);
/// Seconds until the first attempt after a failure; it doubles.
const FIRST_RETRY: u64 = 60;
const LONGEST_RETRY: u64 = 3600;
/// Names that an event shows of those that came, and of those that went.
const EXAMPLES: usize = 20;
/// Events of changed entities in one refresh.
const EVENTS: usize = 1000;
/// Entities that have left and are remembered.
const REMEMBERED: usize = 20_000;

#[cfg(test)]
#[path = "refresher_tests.rs"]
mod tests;
