//! Rotation of the key that signs ID tokens with RS256, on a running gateway.
//!
//! Keys of the keyring's files come first. Those that a rotation makes are kept in the directory, sealed by the keyring,
//! so that every node that shares directory and keyring signs and publishes the same within a second or two. A key is
//! published before it signs, for as long as others may keep our JWKS.

use super::By;
use super::objects::{self, NotWritten, ObjectKind};
use crate::broker::Gateway;
use crate::broker::live::Live;
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::keys::{CertifiedKey, KeyKind, Keyring, PrivateKey, Purpose, Sealer};
use crate::oidc::{self, OidcKeys};
use crate::store::Expect;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub const SIGNING_KEYS: ObjectKind = ObjectKind { name: "signing_keys", secrets: &[], unique: None };

/// The one object.
pub const ID: &str = "rs256";

/// Seconds for which others may keep our JWKS.
pub const PUBLISHED_BEFORE: i64 = 300;

/// Keys that are remembered, revoked ones too.
const MOST_KEYS: usize = 12;

/// All keys, in the order of their making.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SigningKeys {
    pub keys: Vec<SigningKey>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SigningKey {
    pub kid: String,
    /// PEM.
    pub certificate: String,
    /// Sealed; absent: it is one of the keyring's files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed: Option<Value>,
    /// Milliseconds since 1970, as all times here.
    pub published_at: i64,
    /// It signs from then on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<i64>,
}

impl SigningKeys {
    /// Those of the keyring's files, as they are before any rotation.
    ///
    /// # Errors
    /// For a key that cannot be read.
    pub fn of(keyring: &Keyring) -> Result<Self> {
        let mut keys = Vec::new();
        // Active, next, previous.
        for (number, entry) in keyring.of(Purpose::OidcRs256).enumerate() {
            let is_next =
                number > 0 && Some(entry.certificate_der()) == keyring.next(Purpose::OidcRs256).map(CertifiedKey::certificate_der);
            let since = if is_next { None } else { Some(if number == 0 { 0 } else { -1 }) };
            let certificate = entry.certificate_text();
            keys.push(SigningKey { kid: oidc::key_id(&entry.key)?, certificate, sealed: None, published_at: 0, since, revoked_at: None });
        }
        Ok(Self { keys })
    }

    /// Reads the stored object.
    ///
    /// # Errors
    /// For one that is not of this form.
    pub fn read(body: &Map<String, Value>) -> Result<Self> {
        serde_json::from_value(Value::Object(body.clone()))
            .map_err(|error| Error::new(ErrorKind::InvalidRequest, "these are no signing keys").because(error))
    }

    /// The key that signs now.
    pub fn current(&self, now: Timestamp) -> Option<&SigningKey> {
        let signing = |key: &&SigningKey| key.revoked_at.is_none() && key.since.is_some_and(|since| since <= now.millis());
        self.keys.iter().filter(signing).max_by_key(|key| key.since)
    }

    /// The key that will sign.
    pub fn next(&self, now: Timestamp) -> Option<&SigningKey> {
        self.keys.iter().find(|key| key.revoked_at.is_none() && key.since.is_none_or(|since| since > now.millis()))
    }

    /// When another key begins to sign.
    pub fn next_change(&self, now: Timestamp) -> Option<Timestamp> {
        let times = self.keys.iter().filter_map(|key| key.since).filter(|since| *since > now.millis());
        times.min().map(Timestamp::from_millis)
    }

    /// The next key signs as soon as it has been published long enough, or at once; `fresh` becomes the next.
    ///
    /// # Errors
    /// While the rotation before is still on its way.
    pub fn rotate(&mut self, fresh: [SigningKey; 2], at_once: bool, now: Timestamp) -> Result<&SigningKey> {
        if self.next_change(now).is_some() && !at_once {
            return Err(Error::new(ErrorKind::Conflict, "the rotation before is on its way: its key is published and does not sign yet"));
        }
        let [first, second] = fresh;
        if self.next(now).is_none() {
            self.keys.push(first);
        }
        let kid = self.next(now).map(|key| key.kid.clone()).unwrap_or_default();
        let key = self.keys.iter_mut().find(|key| key.kid == kid).ok_or_else(|| Error::new(ErrorKind::Internal, "there is no next key"))?;
        let earliest = if at_once { now.millis() } else { now.millis().max(key.published_at + PUBLISHED_BEFORE * 1000) };
        key.since = Some(earliest);
        self.keys.push(second);
        self.forget(now);
        self.keys.iter().find(|key| key.kid == kid).ok_or_else(|| Error::new(ErrorKind::Internal, "there is no next key"))
    }

    /// Takes a key that signs no more from the published ones: what it has signed counts no more.
    ///
    /// # Errors
    /// For a key that is not known, or that signs or will sign.
    pub fn revoke(&mut self, kid: &str, now: Timestamp) -> Result<&SigningKey> {
        let unknown = || Error::new(ErrorKind::NotFound, "There is no such signing key.");
        let in_use = [self.current(now), self.next(now)].into_iter().flatten().any(|key| key.kid == kid);
        let key = self.keys.iter_mut().find(|key| key.kid == kid).ok_or_else(unknown)?;
        if in_use {
            return Err(Error::new(ErrorKind::Conflict, "This key signs, or is the next to sign: rotate first."));
        }
        key.revoked_at.get_or_insert(now.millis());
        Ok(key)
    }

    fn forget(&mut self, now: Timestamp) {
        while self.keys.len() > MOST_KEYS {
            let in_use: Vec<String> = [self.current(now), self.next(now)].into_iter().flatten().map(|key| key.kid.clone()).collect();
            let Some(oldest) = self.keys.iter().position(|key| !in_use.contains(&key.kid)) else { return };
            self.keys.remove(oldest);
        }
    }

    /// The keys, ready to sign and to be published.
    ///
    /// # Errors
    /// When one that signs cannot be opened, as by a node that does not share the keyring.
    pub fn prepare(&self, keyring: &Keyring, now: Timestamp) -> Result<OidcKeys> {
        let current = self.current(now).ok_or_else(|| Error::new(ErrorKind::Misconfigured, "no signing key signs"))?;
        let mut published = Vec::new();
        for key in self.keys.iter().filter(|key| key.revoked_at.is_none() && key.kid != current.kid) {
            // A file that is not there any more takes its key along.
            if let Some(private) = key.open(keyring)? {
                published.push(private);
            }
        }
        let gone = || Error::new(ErrorKind::Misconfigured, "the file of the signing key is not there any more");
        OidcKeys::with_rs256(keyring, current.open(keyring)?.ok_or_else(gone)?, published)
    }
}

impl SigningKey {
    fn new(sealer: &Sealer, now: Timestamp) -> Result<Self> {
        let entry = CertifiedKey::self_signed(PrivateKey::generate(KeyKind::Rsa)?, "Isthmus oidc-rs256")?;
        let pem = entry.key_text()?;
        let sealed = objects::sealed(SIGNING_KEYS.name, ID, &pem, sealer)?;
        let certificate = entry.certificate_text();
        let kid = oidc::key_id(&entry.key)?;
        Ok(Self { kid, certificate, sealed: Some(sealed), published_at: now.millis(), since: None, revoked_at: None })
    }

    fn open(&self, keyring: &Keyring) -> Result<Option<PrivateKey>> {
        if let Some(sealed) = &self.sealed {
            let pem = objects::open(SIGNING_KEYS.name, ID, sealed, keyring.sealer())?;
            return Ok(Some(CertifiedKey::from_pem(pem.expose().as_bytes(), self.certificate.as_bytes())?.key));
        }
        let of_file = keyring.of(Purpose::OidcRs256).find(|entry| oidc::key_id(&entry.key).is_ok_and(|kid| kid == self.kid));
        Ok(of_file.map(|entry| entry.key.clone()))
    }
}

/// The keys as they are, and the version of the stored object.
pub async fn read(gateway: &Gateway) -> Result<(SigningKeys, Option<i64>)> {
    match objects::read(gateway, &SIGNING_KEYS, ID).await? {
        Some(object) => Ok((SigningKeys::read(&object.body)?, Some(object.version))),
        None => Ok((SigningKeys::of(&gateway.keyring)?, None)),
    }
}

/// Rotates; answers the key that signs next.
pub async fn rotate(live: &Live, at_once: bool, by: By<'_>, now: Timestamp) -> Result<SigningKey, NotWritten> {
    let gateway = live.gateway();
    let keyring = gateway.keyring.clone();
    // An RSA key takes a while.
    let made = tokio::task::spawn_blocking(move || Ok([SigningKey::new(keyring.sealer(), now)?, SigningKey::new(keyring.sealer(), now)?]));
    let fresh: Result<[SigningKey; 2]> =
        made.await.map_err(|error| Error::new(ErrorKind::Internal, "a key cannot be made").because(error))?;
    let (mut keys, version) = read(&gateway).await?;
    let signs = keys.rotate(fresh?, at_once, now)?.clone();
    write(live, &keys, version, by, now).await?;
    Ok(signs)
}

/// Revokes; answers the key.
pub async fn revoke(live: &Live, kid: &str, by: By<'_>, now: Timestamp) -> Result<SigningKey, NotWritten> {
    let (mut keys, version) = read(&live.gateway()).await?;
    let revoked = keys.revoke(kid, now)?.clone();
    write(live, &keys, version, by, now).await?;
    Ok(revoked)
}

async fn write(live: &Live, keys: &SigningKeys, version: Option<i64>, by: By<'_>, now: Timestamp) -> Result<(), NotWritten> {
    let unwritable = |error| Error::new(ErrorKind::Internal, "the signing keys cannot be written").because(error);
    let body = match serde_json::to_value(keys).map_err(unwritable)? {
        Value::Object(members) => members,
        _ => Map::new(),
    };
    let expect = version.map_or(Expect::Nothing, Expect::Version);
    objects::write(live, &SIGNING_KEYS, ID, body, expect, by, now).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(kid: &str, published_at: i64, since: Option<i64>) -> SigningKey {
        SigningKey { kid: kid.to_owned(), certificate: String::new(), sealed: None, published_at, since, revoked_at: None }
    }

    fn kid(key: Option<&SigningKey>) -> Option<&str> {
        key.map(|key| key.kid.as_str())
    }

    #[test]
    fn a_key_is_published_before_it_signs_and_kept_afterwards() {
        let at = Timestamp::from_seconds;
        let mut keys = SigningKeys { keys: vec![key("a", 0, Some(0))] };
        assert_eq!((kid(keys.current(at(1000))), kid(keys.next(at(1000)))), (Some("a"), None));
        let fresh = |one: &str, two: &str| [key(one, 1_000_000, None), key(two, 1_000_000, None)];
        assert_eq!(keys.rotate(fresh("b", "c"), false, at(1000)).expect("rotated").since, Some(1_300_000));
        // It is there, and does not sign yet; meanwhile nobody rotates again.
        assert_eq!((kid(keys.current(at(1299))), kid(keys.next(at(1299)))), (Some("a"), Some("b")));
        assert_eq!(keys.next_change(at(1299)), Some(at(1300)));
        assert_eq!(keys.rotate(fresh("x", "y"), false, at(1299)).expect_err("too soon").kind, ErrorKind::Conflict);
        assert_eq!((kid(keys.current(at(1300))), kid(keys.next(at(1300))), keys.next_change(at(1300))), (Some("b"), Some("c"), None));
        // The next was published long ago: it signs from now on.
        assert_eq!(keys.rotate(fresh("x", "d"), false, at(5000)).expect("rotated").since, Some(5_000_000));
        assert_eq!((kid(keys.current(at(5000))), kid(keys.next(at(5000)))), (Some("c"), Some("d")));
        assert_eq!(keys.keys.len(), 4);
        // At once means at once.
        assert_eq!(keys.rotate(fresh("x", "e"), true, at(5001)).expect("rotated").kid, "d");
        assert_eq!(kid(keys.current(at(5001))), Some("d"));
    }

    #[test]
    fn only_a_key_of_the_past_can_be_revoked() {
        let at = Timestamp::from_seconds(10);
        let mut keys = SigningKeys { keys: vec![key("a", 0, Some(0)), key("b", 0, Some(5000)), key("c", 0, None)] };
        for (name, kind) in [("b", ErrorKind::Conflict), ("c", ErrorKind::Conflict), ("x", ErrorKind::NotFound)] {
            assert_eq!(keys.revoke(name, at).expect_err("refused").kind, kind);
        }
        assert_eq!(keys.revoke("a", at).expect("revoked").revoked_at, Some(10_000));
        assert_eq!(keys.revoke("a", Timestamp::from_seconds(20)).expect("already").revoked_at, Some(10_000));
    }

    #[test]
    fn old_keys_are_forgotten_and_never_those_in_use() {
        let mut keys = SigningKeys { keys: vec![key("a", 0, Some(0))] };
        for number in 1..40_i64 {
            let fresh = [key(&format!("x{number}"), 0, None), key(&format!("y{number}"), 0, None)];
            keys.rotate(fresh, true, Timestamp::from_seconds(number)).expect("rotated");
            assert!(keys.keys.len() <= MOST_KEYS && keys.next(Timestamp::from_seconds(number)).is_some());
        }
        assert_eq!(kid(keys.current(Timestamp::from_seconds(40))), Some("y38"));
    }
}
