//! Metadata of one entity at a time, from a server that has many (Metadata Query Protocol, draft-young-md-query; SAML profile
//! draft-young-md-query-saml).
//!
//! Every entity that is asked for is a [`Feed`] of its own: the same terms, refreshes, last good copies and held changes. That
//! there is no such entity is remembered for five minutes.

use super::feed::Feed;
use super::snapshot::{Event, Snapshot};
use super::source::{Origin, Source};
use crate::clock::Timestamp;
use crate::connection::outbound::download::Downloader;
use crate::error::{Error, ErrorKind, Result};
use crate::id;
use openssl::hash::{MessageDigest, hash};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::{fmt, mem};
use url::{Url, form_urlencoded};

/// How an entity is named in the address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MdqForm {
    /// By its entityID.
    #[default]
    EntityId,
    /// By `{sha1}` and the SHA-1 of its entityID, hex. A name and no protection: the signature and the entityID are checked.
    Sha1,
}

/// A metadata query server.
pub struct Mdq {
    base: Url,
    form: MdqForm,
    /// Terms, cadence, hold, patience, limit, and a directory for copies as `cache`; of every entity's feed.
    template: Source,
    downloader: Downloader,
    entities: Mutex<HashMap<String, Known>>,
    /// Of looking new names up.
    allowance: Mutex<Allowance>,
}

/// How many names may be looked up that were not asked for before: anybody can invent some.
struct Allowance {
    left: f64,
    at: Timestamp,
}

impl Allowance {
    fn take(&mut self, now: Timestamp) -> bool {
        let seconds = now.seconds_since(self.at).clamp(0, BURST);
        if seconds > 0 {
            self.left = (self.left + seconds as f64 * PER_SECOND).min(BURST as f64);
            self.at = now;
        }
        let allowed = self.left >= 1.0;
        if allowed {
            self.left -= 1.0;
        }
        allowed
    }
}

struct Known {
    feed: Arc<Feed>,
    asked: Timestamp,
}

/// There is no metadata for that entity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotFound {
    /// It is no entityID.
    Name,
    /// The server does not know it.
    Unknown,
    /// Too many names were asked for that nobody had asked for before.
    Busy,
    /// Nothing that can be used: why the last attempt failed.
    Failed(String),
}

impl fmt::Display for NotFound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name => f.write_str("this is no entityID"),
            Self::Busy => f.write_str("too many new entities are being asked for"),
            Self::Unknown => f.write_str("the metadata server does not know the entity"),
            Self::Failed(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for NotFound {}

impl Mdq {
    /// `template`: the base address as its origin, and a directory as its cache.
    ///
    /// # Errors
    /// When its origin is a file.
    pub fn new(template: Source, form: MdqForm) -> Result<Self> {
        let Origin::Url(base) = template.origin.clone() else {
            return Err(Error::new(ErrorKind::Misconfigured, "a metadata query server has an address"));
        };
        let downloader = Downloader::new(template.patience, template.reach)?;
        let allowance = Mutex::new(Allowance { left: BURST as f64, at: Timestamp::from_seconds(0) });
        Ok(Self { base, form, template, downloader, entities: Mutex::new(HashMap::new()), allowance })
    }

    /// The metadata of an entity, fetched if that is due, and what happened on the way.
    ///
    /// # Errors
    /// [`NotFound`].
    pub async fn entity(&self, entity_id: &str, now: Timestamp) -> (Result<Arc<Snapshot>, NotFound>, Vec<Event>) {
        let (feed, new) = match self.feed(entity_id, now) {
            Ok(found) => found,
            Err(not_found) => return (Err(not_found), Vec::new()),
        };
        let mut events = if new { feed.restore(now).await } else { Vec::new() };
        // Whoever comes while another one fetches waits for that one, and finds that nothing is due.
        events.extend(feed.refresh_if_due(now).await);
        let found = match feed.snapshot(now) {
            Some(snapshot) => Ok(snapshot),
            None => Err(feed.status().failure.clone().map_or(NotFound::Unknown, |(_, reason, _)| NotFound::Failed(reason))),
        };
        (found, events)
    }

    /// The feed of an entity that was asked for, for what waits for an operator.
    pub fn known(&self, entity_id: &str) -> Option<Arc<Feed>> {
        self.lock().get(entity_id).map(|known| Arc::clone(&known.feed))
    }

    /// All of them, by name.
    pub fn known_all(&self) -> Vec<(String, Arc<Feed>)> {
        self.lock().iter().map(|(name, known)| (name.clone(), Arc::clone(&known.feed))).collect()
    }

    /// Feeds with a copy in force that is to be looked at again, if somebody asked for it lately.
    pub fn due(&self, now: Timestamp) -> Vec<Arc<Feed>> {
        let lately = now.plus_seconds(-LATELY);
        let wanted = |known: &&Known| known.asked > lately && known.feed.status().due <= now && known.feed.snapshot(now).is_some();
        self.lock().values().filter(wanted).map(|known| Arc::clone(&known.feed)).collect()
    }

    /// For logs and messages.
    pub fn shown(&self) -> String {
        self.template.shown()
    }

    /// Names of the entities that were asked for.
    pub fn names(&self) -> Vec<String> {
        self.lock().keys().cloned().collect()
    }

    fn feed(&self, entity_id: &str, now: Timestamp) -> Result<(Arc<Feed>, bool), NotFound> {
        let url = self.address(entity_id).ok_or(NotFound::Name)?;
        let mut entities = self.lock();
        if let Some(known) = entities.get_mut(entity_id) {
            known.asked = now;
            return Ok((Arc::clone(&known.feed), false));
        }
        if !self.allowance.lock().unwrap_or_else(PoisonError::into_inner).take(now) {
            return Err(NotFound::Busy);
        }
        let dropped = if entities.len() >= ENTITIES { forget_oldest(&mut entities) } else { Vec::new() };
        let cache = self.template.cache.as_ref().map(|directory| directory.join(id::hex(&id::sha256(entity_id.as_bytes()))));
        let source = Source { origin: Origin::Url(url), expects: Some(entity_id.to_owned()), cache, ..self.template.clone() };
        let feed = Arc::new(Feed::with(source, self.downloader.clone(), now));
        entities.insert(entity_id.to_owned(), Known { feed: Arc::clone(&feed), asked: now });
        drop(entities);
        drop(dropped);
        Ok((feed, true))
    }

    /// Where the server has the metadata of an entity.
    fn address(&self, entity_id: &str) -> Option<Url> {
        // SAML Core 8.3.6: a URI of at most 1024 characters. A name of dots alone would climb out of the path.
        if entity_id.len() > 1024 || !entity_id.contains(':') {
            return None;
        }
        let name = match self.form {
            MdqForm::EntityId => entity_id.to_owned(),
            MdqForm::Sha1 => format!("{{sha1}}{}", id::hex(&hash(MessageDigest::sha1(), entity_id.as_bytes()).ok()?)),
        };
        let encoded: String = form_urlencoded::byte_serialize(name.as_bytes()).collect::<String>().replace('+', "%20");
        let mut url = self.base.clone();
        url.set_path(&format!("{}/entities/{encoded}", self.base.path().trim_end_matches('/')));
        Some(url)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Known>> {
        self.entities.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes out the quarter that was not asked for the longest.
fn forget_oldest(entities: &mut HashMap<String, Known>) -> Vec<Known> {
    let mut ages: Vec<Timestamp> = entities.values().map(|known| known.asked).collect();
    ages.sort_unstable();
    let Some(limit) = ages.get(ages.len() / 4).copied() else { return Vec::new() };
    let (kept, dropped): (HashMap<_, _>, HashMap<_, _>) = mem::take(entities).into_iter().partition(|(_, known)| known.asked > limit);
    *entities = kept;
    dropped.into_values().collect()
}

/// Entities that are remembered at once, those that are not there included.
const ENTITIES: usize = 2000;
/// New names at once, and in a second when those are used up.
const BURST: i64 = 200;
const PER_SECOND: f64 = 5.0;
/// Seconds after which nobody seems to need an entity any more.
const LATELY: i64 = 86_400;
