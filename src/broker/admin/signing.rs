//! Rotation of the keys that sign and decrypt, on a running gateway.
//!
//! Keys of the keyring's files come first. Those that a rotation makes are kept in the directory, one object per purpose,
//! sealed by the keyring, so that every node that shares directory and keyring uses and publishes the same within a second
//! or two. A key is published before it signs, for as long as others may keep our JWKS or our metadata; before it is
//! published, every node can decrypt with it. `life` says when which key stands where.

mod life;

pub use life::{GRACE_DAYS, JWKS_KEPT, Rotation, SigningKey, SigningKeys, Standing, When};

use super::By;
use super::objects::{self, NotWritten, ObjectKind};
use crate::broker::Gateway;
use crate::broker::live::Live;
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::keys::{CertifiedKey, Purpose};
use crate::store::Expect;
use serde_json::{Map, Value};
use std::sync::Arc;

pub const SIGNING_KEYS: ObjectKind = ObjectKind { name: "signing_keys", secrets: &[], unique: None };

/// The object of a purpose.
pub const fn id(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::OidcRs256 => "rs256",
        Purpose::OidcEs256 => "es256",
        Purpose::OidcEdDsa => "eddsa",
        other => other.name(),
    }
}

/// The purpose of an object.
pub fn purpose_of(object: &str) -> Option<Purpose> {
    Purpose::ALL.into_iter().find(|purpose| id(*purpose) == object)
}

/// The keys as they are, and the version of the stored object.
pub async fn read(gateway: &Gateway, purpose: Purpose) -> Result<(SigningKeys, Option<i64>)> {
    match objects::read(gateway, &SIGNING_KEYS, id(purpose)).await? {
        Some(object) => Ok((SigningKeys::read(&object.body)?, Some(object.version))),
        None => Ok((SigningKeys::of(&gateway.keyring, purpose)?, None)),
    }
}

/// The purpose of a key, and all keys of that purpose.
pub async fn find(gateway: &Gateway, kid: &str) -> Result<Option<(Purpose, SigningKeys)>> {
    for purpose in Purpose::ALL {
        let (keys, _) = read(gateway, purpose).await?;
        if keys.keys.iter().any(|key| key.kid == kid) {
            return Ok(Some((purpose, keys)));
        }
    }
    Ok(None)
}

/// Rotates; answers the key that is active next.
pub async fn rotate(live: &Live, purpose: Purpose, how: Rotation, by: By<'_>, now: Timestamp) -> Result<SigningKey, NotWritten> {
    let gateway = live.gateway();
    let (mut keys, version) = read(&gateway, purpose).await?;
    let keyring = Arc::clone(&gateway.keyring);
    // An RSA key takes a while.
    let rotated = tokio::task::spawn_blocking(move || {
        let rotated = keys.rotate(purpose, || SigningKey::generate(&keyring, purpose, now), how, now)?;
        Ok((keys, rotated))
    });
    let rotated: Result<(SigningKeys, SigningKey)> =
        rotated.await.map_err(|error| Error::new(ErrorKind::Internal, "a key cannot be made").because(error))?;
    let (keys, rotated) = rotated?;
    write(live, purpose, &keys, version, by, now).await?;
    Ok(rotated)
}

/// Takes a key that was made elsewhere as the next one of its purpose; answers it.
pub async fn import(live: &Live, purpose: Purpose, entry: &CertifiedKey, by: By<'_>, now: Timestamp) -> Result<SigningKey, NotWritten> {
    let gateway = live.gateway();
    let key = SigningKey::sealed(entry, &gateway.keyring, purpose, now)?;
    let (mut keys, version) = read(&gateway, purpose).await?;
    keys.import(key.clone(), now)?;
    write(live, purpose, &keys, version, by, now).await?;
    Ok(key)
}

/// Revokes; answers the key.
pub async fn revoke(live: &Live, kid: &str, by: By<'_>, now: Timestamp) -> Result<(Purpose, SigningKey), NotWritten> {
    let gateway = live.gateway();
    let missing = || Error::new(ErrorKind::NotFound, "There is no such signing key.");
    let (purpose, _) = find(&gateway, kid).await?.ok_or_else(missing)?;
    let (mut keys, version) = read(&gateway, purpose).await?;
    let revoked = keys.revoke(purpose, kid, now)?.clone();
    write(live, purpose, &keys, version, by, now).await?;
    Ok((purpose, revoked))
}

async fn write(
    live: &Live,
    purpose: Purpose,
    keys: &SigningKeys,
    version: Option<i64>,
    by: By<'_>,
    now: Timestamp,
) -> Result<(), NotWritten> {
    let unwritable = |error| Error::new(ErrorKind::Internal, "the signing keys cannot be written").because(error);
    let body = match serde_json::to_value(keys).map_err(unwritable)? {
        Value::Object(members) => members,
        _ => Map::new(),
    };
    let expect = version.map_or(Expect::Nothing, Expect::Version);
    objects::write(live, &SIGNING_KEYS, id(purpose), body, expect, by, now).await.map(drop)
}
