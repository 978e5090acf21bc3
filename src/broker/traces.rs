//! Reading a login's trace, and the list of recent logins that leads to it.

use super::{Gateway, decode, encode};
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::login::Trace;
use crate::login::trace::KEPT;
use crate::store::Op;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::sync::Arc;
use tokio::task::JoinSet;

/// Recent logins that are remembered of one connection.
pub const RECENT: usize = 500;

/// Outcome of a [`RecentLogin`] that ended well at the identity provider.
pub const SUCCESS: &str = "success";

/// Outcome of a [`RecentLogin`] that the session here answered.
pub const SINGLE_SIGN_ON: &str = "single-sign-on";

/// Lists that are read at the same time.
const AT_ONCE: usize = 64;

/// One line of the list of recent logins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecentLogin {
    pub correlation_id: String,
    /// When it ended.
    pub at: Timestamp,
    pub connection: String,
    /// Client id of the application that asked.
    pub application: String,
    /// Absent where the login ended before it was known whose it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// [`SUCCESS`], [`SINGLE_SIGN_ON`], or the diagnostic code of a refusal.
    pub outcome: String,
}

/// The write that puts a login on the list of its connection, for the commit that ends the login.
pub(super) fn recent_op(login: &RecentLogin) -> Result<Op> {
    Ok(Op::Append { key: recent_key(&login.connection), value: encode(login)?, keep: RECENT, ttl: KEPT })
}

impl Gateway {
    /// All that was recorded of a login, in order; `None` when nothing was, or it is more than seven days ago.
    pub async fn trace(&self, correlation_id: &str) -> Result<Option<Trace>> {
        let well_formed = correlation_id.len() == 16 && correlation_id.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if !well_formed {
            return Ok(None);
        }
        let mut whole = Trace::default();
        for part in self.sessions.get_many(&Trace::keys(correlation_id)).await?.into_iter().flatten() {
            whole.entries.extend(decode::<Trace>(&part)?.entries);
        }
        Ok((!whole.entries.is_empty()).then_some(whole))
    }

    /// The last logins by one connection, or by all that are configured, at most `limit`, the newest first. Each login is
    /// there once, and no longer than its trace.
    pub async fn recent(&self, connection: Option<&str>, limit: usize, now: Timestamp) -> Result<Vec<RecentLogin>> {
        let names: Vec<&str> = connection.map_or_else(|| self.connections.names().collect(), |name| vec![name]);
        let mut logins = Vec::new();
        for some in names.chunks(AT_ONCE) {
            let mut reading = JoinSet::new();
            for name in some {
                let (sessions, key) = (Arc::clone(&self.sessions), recent_key(name));
                reading.spawn(async move { sessions.list(&key, RECENT).await });
            }
            while let Some(read) = reading.join_next().await {
                let read = read.map_err(|error| Error::new(ErrorKind::Internal, "a list was not read").because(error))?;
                for bytes in read? {
                    logins.push(decode::<RecentLogin>(&bytes)?);
                }
            }
            newest(&mut logins, limit, now);
        }
        Ok(logins)
    }
}

fn recent_key(connection: &str) -> String {
    format!("recent:{connection}")
}

/// Of one login the last line counts: an answer that was posted twice, or a write that was sent twice, leaves two.
fn newest(logins: &mut Vec<RecentLogin>, limit: usize, now: Timestamp) {
    let oldest = now.plus_seconds(-KEPT.cast_signed());
    logins.retain(|login| login.at > oldest);
    logins.sort_by(|a, b| b.at.cmp(&a.at).then_with(|| a.correlation_id.cmp(&b.correlation_id)));
    let mut seen = HashSet::new();
    logins.retain(|login| seen.insert(login.correlation_id.clone()));
    logins.truncate(limit);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(correlation_id: &str, second: i64) -> RecentLogin {
        RecentLogin {
            correlation_id: correlation_id.to_owned(),
            at: Timestamp::from_seconds(second),
            connection: "acme".to_owned(),
            application: "notes".to_owned(),
            user_id: None,
            outcome: SUCCESS.to_owned(),
        }
    }

    fn kept(mut logins: Vec<RecentLogin>, limit: usize, now: i64) -> Vec<(String, i64)> {
        newest(&mut logins, limit, Timestamp::from_seconds(now));
        logins.into_iter().map(|login| (login.correlation_id, login.at.seconds())).collect()
    }

    #[test]
    fn the_newest_come_first_each_once_and_none_outlives_its_trace() {
        let logins = || vec![login("a", 10), login("c", 30), login("b", 20), login("c", 25), login("d", 40)];
        let of = |rows: &[(&str, i64)]| rows.iter().map(|(id, at)| ((*id).to_owned(), *at)).collect::<Vec<_>>();
        assert_eq!(kept(logins(), 9, 50), of(&[("d", 40), ("c", 30), ("b", 20), ("a", 10)]));
        assert_eq!(kept(logins(), 2, 50), of(&[("d", 40), ("c", 30)]));
        assert_eq!(kept(logins(), 9, 20 + KEPT.cast_signed()), of(&[("d", 40), ("c", 30)]));
    }

    #[test]
    fn a_login_without_a_user_has_no_such_member() {
        let text = serde_json::to_string(&login("a", 1)).expect("JSON");
        assert!(!text.contains("user_id"), "{text}");
        assert_eq!(serde_json::from_str::<RecentLogin>(&text).expect("read"), login("a", 1));
    }
}
