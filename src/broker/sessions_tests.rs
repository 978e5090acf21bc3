//! What cannot be read or ended keeps nothing else from ending.

use super::*;
use crate::broker::tests::{gateway, jane};
use crate::error::{Error, ErrorKind};
use crate::id;
use crate::login::{AccessToken, TimeBy, UpstreamSession};
use crate::profile::Written;
use crate::store::{Consumed, Later, SavedEntry, SessionStore};
use serde_json::Map;
use std::sync::Arc;

/// A store that keeps one mark from being made.
struct Stubborn {
    inner: Arc<dyn SessionStore>,
    refused: String,
}

impl SessionStore for Stubborn {
    fn get_many<'a>(&'a self, keys: &'a [String]) -> Later<'a, Vec<Option<Vec<u8>>>> {
        self.inner.get_many(keys)
    }

    fn take<'a>(&'a self, key: &'a str) -> Later<'a, Option<Vec<u8>>> {
        self.inner.take(key)
    }

    fn consume<'a>(&'a self, key: &'a str, tombstone: Vec<u8>, ttl: u64) -> Later<'a, Consumed> {
        self.inner.consume(key, tombstone, ttl)
    }

    fn list<'a>(&'a self, key: &'a str, limit: usize) -> Later<'a, Vec<Vec<u8>>> {
        self.inner.list(key, limit)
    }

    fn commit(&self, ops: Vec<Op>) -> Later<'_, Vec<bool>> {
        if ops.iter().any(|op| matches!(op, Op::Put { key, .. } if *key == self.refused)) {
            return Box::pin(async { Err(Error::new(ErrorKind::Internal, "not this one")) });
        }
        self.inner.commit(ops)
    }

    fn ping(&self) -> Later<'_, ()> {
        self.inner.ping()
    }

    fn export(&self) -> Vec<SavedEntry> {
        self.inner.export()
    }

    fn import(&self, entries: Vec<SavedEntry>, now: Timestamp) {
        self.inner.import(entries, now);
    }
}

fn family(user_id: &str, grant_id: String, now: Timestamp, data: &str) -> RefreshFamily {
    RefreshFamily {
        grant_id,
        client_id: "notes".into(),
        user_id: user_id.to_owned(),
        generation: 0,
        created_at: now,
        rotated_at: now,
        expires_at: now.plus_seconds(600),
        data: data.into(),
    }
}

#[tokio::test]
async fn one_family_that_cannot_be_ended_keeps_no_other_alive() {
    let (mut gateway, now) = (gateway().await, Timestamp::now());
    let (user_id, _) = jane(&gateway).await;
    let grants: Vec<String> = (0..FAMILIES + 5).map(|_| id::random_id()).collect();
    for grant_id in &grants {
        gateway.directory.put_family(&family(&user_id, grant_id.clone(), now, "{}")).await.expect("made");
    }
    let first = gateway.directory.families(&all_of(&user_id), now).await.expect("a page").families.swap_remove(0).grant_id;
    let refused = AccessToken::revocation_key(&first);
    gateway.sessions = Arc::new(Stubborn { inner: Arc::clone(&gateway.sessions), refused });
    assert!(gateway.end_families(&user_id, None, now).await.is_err(), "nobody hears that one is left");
    let left = gateway.directory.families(&all_of(&user_id), now).await.expect("a page").families;
    assert_eq!(left.into_iter().map(|family| family.grant_id).collect::<Vec<_>>(), [first]);
}

#[tokio::test]
async fn what_cannot_be_read_keeps_nothing_else_alive() {
    let (gateway, now) = (gateway().await, Timestamp::now());
    let (user_id, identity) = jane(&gateway).await;
    let session = Session {
        sid: "a".repeat(64),
        user_id: user_id.clone(),
        identity,
        profile: Written::object(&Map::new()).expect("JSON"),
        auth_time: now,
        auth_time_by: TimeBy::Witness,
        acr: None,
        amr: Vec::new(),
        created_at: now,
        expires_at: now.plus_seconds(600),
        upstream: UpstreamSession::default(),
        correlation_id: "c".into(),
        before: Vec::new(),
    };
    let (good, listed, unlisted) = (session.sid.clone(), id::random_id(), id::random_id());
    let unreadable = "b".repeat(64);
    let key = |sid: &str| Session::key_of_sid(sid).expect("a sid");
    let grants = |value: Vec<u8>| Op::Append { key: grants_key(&good), value, keep: GRANTS, ttl: 600 };
    let ops = vec![
        Op::Put { key: key(&good), value: encode(&session).expect("JSON"), ttl: 600 },
        Op::Put { key: key(&unreadable), value: b"?".to_vec(), ttl: 600 },
        session_op(&session, 600),
        session_op(&Session { sid: unreadable.clone(), ..session.clone() }, 600),
        grant_op(&good, &listed, "notes", 600).expect("JSON"),
        grants(b"?".to_vec()),
    ];
    gateway.sessions.commit(ops).await.expect("written");
    let data = format!(r#"{{"sid":"{good}","scopes":["openid"]}}"#);
    for (grant_id, data) in [(id::random_id(), "?"), (unlisted.clone(), data.as_str())] {
        gateway.directory.put_family(&family(&user_id, grant_id, now, data)).await.expect("made");
    }
    let (found, whole) = gateway.grants_in_sessions(&user_id, "notes").await;
    assert!(whole.is_err() && found == [listed.clone()], "{found:?}");
    let (found, whole) = gateway.kept_sessions_of(&user_id).await;
    assert!(whole.is_err() && found == [session.clone()], "{found:?}");
    assert!(gateway.end_session(&session, now).await.is_err(), "nobody hears that something is left");
    for grant_id in [&listed, &unlisted] {
        assert!(gateway.is_revoked(grant_id).await.expect("read"), "it is alive");
    }
    gateway.sessions.commit(vec![Op::Put { key: key(&good), value: encode(&session).expect("JSON"), ttl: 600 }]).await.expect("written");
    assert!(gateway.end_everything_of(&user_id, now).await.is_err());
    assert!(gateway.kept_session(&good).await.expect("read").is_none(), "the session is alive");
    let left = gateway.directory.families(&all_of(&user_id), now).await.expect("a page");
    assert!(left.families.is_empty(), "{left:?}");
}
