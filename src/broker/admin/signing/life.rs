//! The life of keys: published, in use, kept for a while, gone. Data and transitions; what time it is, is told.

use super::SIGNING_KEYS;
use crate::broker::admin::objects;
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::keys::{
    CertifiedKey, KeyEntry, KeySet, KeyState, Keyring, PrivateKey, Purpose, certificate_begin, certificate_end, parse_certificate,
};
use crate::oidc;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Seconds for which others may keep our JWKS.
pub const JWKS_KEPT: i64 = 300;

/// Seconds for which our SAML metadata are valid: after them every partner that reads metadata by itself has read them anew.
pub const METADATA_KEPT: i64 = 7 * 86_400;

/// Seconds after which every node knows of a new key: until then one may still hand out a JWKS without it, or not open what was
/// encrypted to it.
const FOLLOWED: i64 = 5;

/// Days for which a SAML key stays good after another has taken its place, unless the rotation says otherwise.
pub const GRACE_DAYS: i64 = 30;

/// Keys of a purpose that are remembered, those that are over too.
const MOST_KEYS: usize = 12;

const DAY: i64 = 86_400;

/// All keys of a purpose, in the order of their making.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SigningKeys {
    pub keys: Vec<SigningKey>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SigningKey {
    /// As the JWKS names it; for SAML the SHA-256 of the public key, hex.
    pub kid: String,
    /// PEM.
    pub certificate: String,
    /// Sealed; absent: it is one of the keyring's files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed: Option<Value>,
    /// Milliseconds since 1970, as all times here. 0: nobody knows.
    pub published_at: i64,
    /// It is active from then on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<i64>,
    /// It is not kept longer; absent: as long as it is not revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<i64>,
}

/// When the next key becomes the active one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum When {
    /// As soon as it has been published for as long as partners may not look: five minutes for a JWKS, seven days for SAML
    /// metadata. Partners need not look before they are asked to encrypt to it.
    #[default]
    Published,
    /// Now, though partners may not know it.
    AtOnce,
    At(Timestamp),
    /// Not before another word: it is only published.
    Later,
}

/// How a key takes the place of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotation {
    pub when: When,
    /// Of the key before it; SAML only.
    pub grace_days: i64,
}

impl Default for Rotation {
    fn default() -> Self {
        Self { when: When::Published, grace_days: GRACE_DAYS }
    }
}

/// Where a key stands, for those who look at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    In(KeyState),
    /// Its time is over.
    Over,
    Revoked,
}

impl Standing {
    pub const fn name(self) -> &'static str {
        match self {
            Self::In(state) => state.name(),
            Self::Over => "over",
            Self::Revoked => "revoked",
        }
    }
}

impl SigningKeys {
    /// Those of the keyring's files, as they are before any rotation; none where it has none.
    ///
    /// # Errors
    /// For a key that cannot be read.
    pub fn of(keyring: &Keyring, purpose: Purpose) -> Result<Self> {
        let Ok(set) = keyring.of_files(purpose) else { return Ok(Self::default()) };
        let key = |entry: &KeyEntry| {
            let since = match entry.state {
                KeyState::Active => Some(0),
                KeyState::Next => None,
                KeyState::Previous => Some(-1),
            };
            let (kid, certificate) = (key_id(purpose, &entry.key)?, entry.key.certificate_text());
            Ok(SigningKey { kid, certificate, sealed: None, published_at: 0, since, until: None, revoked_at: None })
        };
        Ok(Self { keys: set.entries().iter().map(key).collect::<Result<_>>()? })
    }

    /// Reads the stored object.
    ///
    /// # Errors
    /// For one that is not of this form.
    pub fn read(body: &Map<String, Value>) -> Result<Self> {
        serde_json::from_value(Value::Object(body.clone()))
            .map_err(|error| Error::new(ErrorKind::InvalidRequest, "these are no signing keys").because(error))
    }

    /// The active key.
    pub fn current(&self, now: Timestamp) -> Option<&SigningKey> {
        let signing = |key: &&SigningKey| key.revoked_at.is_none() && key.since.is_some_and(|since| since <= now.millis());
        self.keys.iter().filter(signing).max_by_key(|key| key.since)
    }

    /// The key that will be active next.
    pub fn next(&self, now: Timestamp) -> Option<&SigningKey> {
        self.keys.iter().find(|key| key.is_next(now))
    }

    pub fn standing(&self, key: &SigningKey, now: Timestamp) -> Standing {
        if key.revoked_at.is_some() {
            Standing::Revoked
        } else if key.is_next(now) {
            Standing::In(KeyState::Next)
        } else if self.current(now).is_some_and(|current| current.kid == key.kid) {
            Standing::In(KeyState::Active)
        } else if key.until.is_some_and(|until| until <= now.millis()) {
            Standing::Over
        } else {
            Standing::In(KeyState::Previous)
        }
    }

    /// When something changes by itself.
    pub fn next_change(&self, now: Timestamp) -> Option<Timestamp> {
        let alive = self.keys.iter().filter(|key| key.revoked_at.is_none());
        let times = alive.flat_map(|key| [key.since, key.until, Some(key.published_at)]).flatten();
        times.filter(|time| *time > now.millis()).min().map(Timestamp::from_millis)
    }

    /// The next key becomes the active one as `how` says; answers it. Where there is none, `fresh` makes it; for OpenID
    /// Connect it makes one more, so that a next key is always published.
    ///
    /// # Errors
    /// While the rotation before is still on its way, unless a time is given; for a time in the past.
    pub fn rotate(
        &mut self,
        purpose: Purpose,
        mut fresh: impl FnMut() -> Result<SigningKey>,
        how: Rotation,
        now: Timestamp,
    ) -> Result<SigningKey> {
        let on_its_way = self.next(now).is_some_and(|key| key.since.is_some());
        if on_its_way && matches!(how.when, When::Published | When::Later) {
            return Err(Error::new(ErrorKind::Conflict, "the rotation before is on its way: its key is published and does not sign yet"));
        }
        if how.when == When::Later && self.next(now).is_some() {
            return Err(Error::new(ErrorKind::Conflict, "a next key is published already"));
        }
        if let When::At(time) = how.when
            && time < now
        {
            return Err(Error::new(ErrorKind::InvalidRequest, "this time has passed"));
        }
        if self.next(now).is_none() {
            self.keys.push(fresh()?);
        }
        let gone = || Error::new(ErrorKind::Internal, "there is no next key");
        let kid = self.next(now).map(|key| key.kid.clone()).ok_or_else(gone)?;
        let key = self.keys.iter_mut().find(|key| key.kid == kid).ok_or_else(gone)?;
        key.since = match how.when {
            When::Published => Some(now.millis().max(key.published_at + published_before(purpose) * 1000)),
            When::AtOnce => Some(now.millis()),
            When::At(time) => Some(time.millis()),
            When::Later => None,
        };
        let (since, rotated) = (key.since, key.clone());
        if purpose.is_saml() {
            self.end_others(&kid, since, how.grace_days);
        } else if how.when != When::Later && !self.keys.iter().any(|other| other.kid != kid && other.is_next(now)) {
            self.keys.push(fresh()?);
        }
        self.forget(now);
        Ok(rotated)
    }

    /// Adds a key that was made elsewhere as the next one.
    ///
    /// # Errors
    /// When there is a next one, or this key is known.
    pub fn import(&mut self, key: SigningKey, now: Timestamp) -> Result<()> {
        let why = if self.keys.iter().any(|known| known.kid == key.kid) {
            "this key is known already"
        } else if self.next(now).is_some() {
            "there is a next key already: rotate, or withdraw it"
        } else {
            self.keys.push(key);
            self.forget(now);
            return Ok(());
        };
        Err(Error::new(ErrorKind::Conflict, why))
    }

    /// Takes a key that signs no more from the published ones: what it has signed, or was encrypted to it, counts no more.
    /// For SAML the next key may be withdrawn so as well.
    ///
    /// # Errors
    /// For a key that is not known, or that signs or will sign.
    pub fn revoke(&mut self, purpose: Purpose, kid: &str, now: Timestamp) -> Result<&SigningKey> {
        let unknown = || Error::new(ErrorKind::NotFound, "There is no such signing key.");
        let next = self.next(now).filter(|_| !purpose.is_saml());
        let in_use = [self.current(now), next].into_iter().flatten().any(|key| key.kid == kid);
        let withdrawn = self.next(now).is_some_and(|next| next.kid == kid);
        let key = self.keys.iter_mut().find(|key| key.kid == kid).ok_or_else(unknown)?;
        if in_use {
            return Err(Error::new(ErrorKind::Conflict, "This key signs, or is the next to sign: rotate first."));
        }
        key.revoked_at.get_or_insert(now.millis());
        if withdrawn {
            // Whom it was to follow, it does not.
            let current = self.current(now).map(|current| current.kid.clone());
            self.keys.iter_mut().filter(|key| Some(&key.kid) == current.as_ref()).for_each(|key| key.until = None);
        }
        self.keys.iter().find(|key| key.kid == kid).ok_or_else(unknown)
    }

    /// Those that were before stay good for the grace from `since` on; those that are ending anyway are not prolonged.
    fn end_others(&mut self, kid: &str, since: Option<i64>, grace_days: i64) {
        let Some(since) = since else { return };
        let end = since.saturating_add(grace_days.saturating_mul(DAY * 1000));
        let before = self.keys.iter().filter(|key| key.kid != kid && key.revoked_at.is_none()).filter_map(|key| key.since).max();
        for key in self.keys.iter_mut().filter(|key| key.kid != kid && key.revoked_at.is_none()) {
            // The one whose place is taken; when a time is changed, its end moves along.
            let replaced = key.since == before;
            key.until = Some(if replaced { end } else { key.until.map_or(end, |until| until.min(end)) });
        }
    }

    fn forget(&mut self, now: Timestamp) {
        while self.keys.len() > MOST_KEYS {
            let is_over = |key: &SigningKey| matches!(self.standing(key, now), Standing::Over | Standing::Revoked);
            let over = self.keys.iter().position(is_over);
            let previous = |key: &SigningKey| self.standing(key, now) == Standing::In(KeyState::Previous);
            let Some(oldest) = over.or_else(|| self.keys.iter().position(previous)) else { return };
            self.keys.remove(oldest);
        }
    }

    /// The keys, ready to be used.
    ///
    /// # Errors
    /// When the active one cannot be opened, as by a node that does not share the keyring.
    pub fn prepare(&self, keyring: &Keyring, purpose: Purpose, now: Timestamp) -> Result<KeySet> {
        let mut entries = Vec::new();
        for key in &self.keys {
            let Standing::In(state) = self.standing(key, now) else { continue };
            if state == KeyState::Previous && purpose.is_saml() && key.has_expired(now) {
                continue;
            }
            // A file that is not there any more takes its key along.
            if let Some(opened) = key.open(keyring, purpose)? {
                let published = key.published_at <= now.millis() && crate::keys::is_published(purpose, state);
                entries.push(KeyEntry { state, key: opened, published });
            } else if state == KeyState::Active {
                return Err(Error::new(ErrorKind::Misconfigured, "the file of the active key is not there any more"));
            }
        }
        KeySet::new(purpose, entries)
    }
}

impl SigningKey {
    /// A new one.
    pub fn generate(keyring: &Keyring, purpose: Purpose, now: Timestamp) -> Result<Self> {
        let entry = CertifiedKey::self_signed(PrivateKey::generate(purpose.kind())?, &format!("Isthmus {}", purpose.name()))?;
        Self::sealed(&entry, keyring, purpose, now)
    }

    /// One that was made elsewhere; its private half is sealed here.
    ///
    /// # Errors
    /// For a key of another kind than the purpose has.
    pub fn sealed(entry: &CertifiedKey, keyring: &Keyring, purpose: Purpose, now: Timestamp) -> Result<Self> {
        if entry.key.kind() != purpose.kind() {
            let detail = format!("a key for {} is of the kind {:?}", purpose.name(), purpose.kind());
            return Err(Error::new(ErrorKind::InvalidRequest, detail));
        }
        let sealed = objects::sealed(SIGNING_KEYS.name, super::id(purpose), &entry.key_text()?, keyring.sealer())?;
        let followed = if purpose.is_encryption() { FOLLOWED } else { 0 };
        Ok(Self {
            kid: key_id(purpose, entry)?,
            certificate: entry.certificate_text(),
            sealed: Some(sealed),
            published_at: now.plus_seconds(followed).millis(),
            since: None,
            until: None,
            revoked_at: None,
        })
    }

    fn is_next(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.since.is_none_or(|since| since > now.millis())
    }

    /// When its certificate begins.
    pub fn not_before(&self) -> Option<Timestamp> {
        parse_certificate(&self.certificate).ok().and_then(|certificate| certificate_begin(&certificate))
    }

    /// When its certificate ends.
    pub fn not_after(&self) -> Option<Timestamp> {
        parse_certificate(&self.certificate).ok().and_then(|certificate| certificate_end(&certificate))
    }

    fn has_expired(&self, now: Timestamp) -> bool {
        self.not_after().is_some_and(|end| end <= now)
    }

    fn open(&self, keyring: &Keyring, purpose: Purpose) -> Result<Option<CertifiedKey>> {
        if let Some(sealed) = &self.sealed {
            let pem = objects::open(SIGNING_KEYS.name, super::id(purpose), sealed, keyring.sealer())?;
            return CertifiedKey::from_pem(pem.expose().as_bytes(), self.certificate.as_bytes()).map(Some);
        }
        let Ok(files) = keyring.of_files(purpose) else { return Ok(None) };
        Ok(files.all().find(|entry| key_id(purpose, entry).is_ok_and(|kid| kid == self.kid)).cloned())
    }
}

/// Seconds for which a key is published before it becomes the active one.
const fn published_before(purpose: Purpose) -> i64 {
    match purpose {
        _ if purpose.is_encryption() => 0,
        _ if purpose.is_saml() => METADATA_KEPT,
        _ => JWKS_KEPT + FOLLOWED,
    }
}

fn key_id(purpose: Purpose, entry: &CertifiedKey) -> Result<String> {
    if purpose.is_saml() { entry.key.fingerprint() } else { oidc::key_id(&entry.key) }
}

#[cfg(test)]
#[path = "life_tests.rs"]
mod tests;
