//! The sessions of a user, and what was granted in them: found, listed and ended by operators.
//!
//! A session is found by its `sid`, which is also its place in the store. Two lists are written in the commit that makes
//! what they list: the sessions of a user, and the grants of a session. They are bounded, and expire with what is in them;
//! of more than [`SESSIONS`] sessions or [`GRANTS`] grants the oldest are not found any more, and live to their ends, unless
//! everything of the user is ended.

use super::{Gateway, decode, encode};
use crate::clock::Timestamp;
use crate::error::Result;
use crate::login::{Partner, Session};
use crate::oidc::Scopes;
use crate::store::{FamilyFilter, Op, RefreshFamily};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

/// Sessions of one user that are listed.
pub const SESSIONS: usize = 100;

/// Grants of one session that are listed.
pub const GRANTS: usize = 100;

/// A grant, as the list of a session has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Listed {
    grant_id: String,
    client_id: String,
}

/// A session that is alive.
#[derive(Clone, Debug, PartialEq)]
pub struct FoundSession {
    pub session: Session,
    /// Client ids of the applications that were given something in it, each once.
    pub clients: Vec<String>,
}

/// A family of refresh tokens that may still be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundFamily {
    pub family: RefreshFamily,
    /// Of the session in which it was granted.
    pub sid: String,
    pub scopes: Scopes,
    pub audience: Option<String>,
}

/// What is read here of what a family remembers.
#[derive(Deserialize)]
struct Remembered {
    sid: String,
    scopes: Scopes,
    #[serde(default)]
    audience: Option<String>,
}

/// The write that lists a session, for the commit that makes it. `ttl`: seconds that it may live.
pub(super) fn session_op(session: &Session, ttl: u64) -> Op {
    Op::Append { key: sessions_key(&session.user_id), value: session.sid.clone().into_bytes(), keep: SESSIONS, ttl }
}

/// The write that lists a grant of a session, for the commit that makes it.
pub(super) fn grant_op(sid: &str, grant_id: &str, client_id: &str, ttl: u64) -> Result<Op> {
    let listed = Listed { grant_id: grant_id.to_owned(), client_id: client_id.to_owned() };
    Ok(Op::Append { key: grants_key(sid), value: encode(&listed)?, keep: GRANTS, ttl })
}

/// The write that lists a SAML application of a session, for the commit that answers it.
pub(super) fn listed_partner(sid: &str, partner: &Partner, ttl: u64) -> Result<Op> {
    Ok(Op::Append { key: partners_key(sid), value: encode(partner)?, keep: GRANTS, ttl })
}

fn partners_key(sid: &str) -> String {
    format!("partners-of:{sid}")
}

fn ended_key(user_id: &str) -> String {
    format!("ended:{user_id}")
}

fn sessions_key(user_id: &str) -> String {
    format!("sessions-of:{user_id}")
}

fn grants_key(sid: &str) -> String {
    format!("grants-of:{sid}")
}

impl Gateway {
    /// The living sessions of a user, the newest first.
    pub async fn sessions_of(&self, user_id: &str, now: Timestamp) -> Result<Vec<FoundSession>> {
        let mut found: Vec<FoundSession> = Vec::new();
        for sid in self.sessions.list(&sessions_key(user_id), SESSIONS).await? {
            let Ok(sid) = String::from_utf8(sid) else { continue };
            // What a store writes twice is listed twice.
            if found.iter().any(|known| known.session.sid == sid) {
                continue;
            }
            if let Some(session) = self.session_by_sid(&sid, now).await?.filter(|found| found.session.user_id == user_id) {
                found.push(session);
            }
        }
        Ok(found)
    }

    /// The sessions of a user that the store has, whether or not they are good for anything at present: those of a blocked
    /// user would be again after the block. For ending them.
    ///
    /// One that cannot be read keeps no other from being found: the first failure stands beside what was.
    pub async fn kept_sessions_of(&self, user_id: &str) -> (Vec<Session>, Result<()>) {
        let listed = match self.sessions.list(&sessions_key(user_id), SESSIONS).await {
            Ok(listed) => listed,
            Err(error) => return (Vec::new(), Err(error)),
        };
        let (mut found, mut whole): (Vec<Session>, _) = (Vec::new(), Ok(()));
        for sid in listed {
            let Ok(sid) = String::from_utf8(sid) else { continue };
            if found.iter().all(|known| known.sid != sid) {
                match self.kept_session(&sid).await {
                    Ok(session) => found.extend(session.filter(|session| session.user_id == user_id)),
                    Err(error) => whole = whole.and(Err(error)),
                }
            }
        }
        (found, whole)
    }

    /// A session that the store has, by its `sid`; as [`Self::kept_sessions_of`].
    pub async fn kept_session(&self, sid: &str) -> Result<Option<Session>> {
        let Some(key) = Session::key_of_sid(sid) else { return Ok(None) };
        let found = self.sessions.get_many(&[key]).await?.into_iter().next().flatten();
        found.map(|bytes| decode::<Session>(&bytes)).transpose()
    }

    /// A living session by its `sid`. One whose user is blocked or gone is none.
    pub async fn session_by_sid(&self, sid: &str, now: Timestamp) -> Result<Option<FoundSession>> {
        let Some(session) = self.kept_session(sid).await?.filter(|session| session.alive(now)) else { return Ok(None) };
        if self.standing(&session).await?.is_none() {
            return Ok(None);
        }
        let clients = self.clients_of(sid).await?;
        Ok(Some(FoundSession { session, clients }))
    }

    /// Ends a session and everything that was granted in it. Idempotent. What fails keeps nothing else from ending.
    ///
    /// # Errors
    /// The first failure.
    pub async fn end_session(&self, session: &Session, now: Timestamp) -> Result<()> {
        let forgotten = self.forget_session(session, now).await;
        let (listed, whole) = self.readable_grants_of(&session.sid).await;
        let listed = self.revoke_grants(listed.into_iter().map(|listed| listed.grant_id)).await.and(whole);
        // Those that the list has not any more, or that were made before there was one.
        let of_it = |found: FoundFamily| (found.sid == session.sid).then_some(found.family.grant_id);
        let (families, whole) = match self.directory.families(&all_of(&session.user_id), now).await {
            Ok(found) => readable(found.families.into_iter().map(FoundFamily::read)),
            Err(error) => (Vec::new(), Err(error)),
        };
        forgotten.and(listed).and(self.revoke_grants(families.into_iter().filter_map(of_it)).await).and(whole)
    }

    /// Ends everything that a user was given: sessions, refresh tokens, and the access tokens of both. Idempotent. What fails
    /// keeps nothing else from ending.
    ///
    /// # Errors
    /// The first failure.
    pub async fn end_everything_of(&self, user_id: &str, now: Timestamp) -> Result<()> {
        // Those that the list has not any more, and logins that are under way, end by this.
        let (value, ttl) = (now.millis().to_string().into_bytes(), self.lifetimes.session + self.lifetimes.transaction);
        let mut ended = self.sessions.commit(vec![Op::Put { key: ended_key(user_id), value, ttl }]).await.map(drop);
        let (kept, whole) = self.kept_sessions_of(user_id).await;
        for session in kept {
            ended = ended.and(self.end_session(&session, now).await);
        }
        ended.and(whole).and(self.end_families(user_id, None, now).await)
    }

    /// Each of them, whatever becomes of the others.
    pub(super) async fn revoke_grants(&self, grant_ids: impl IntoIterator<Item = String, IntoIter: Send> + Send) -> Result<()> {
        let mut revoked = Ok(());
        for grant_id in grant_ids {
            revoked = revoked.and(self.revoke_grant(&grant_id).await);
        }
        revoked
    }

    /// Has everything of a user been ended after `since`?
    pub(super) async fn ended_after(&self, user_id: &str, since: Timestamp) -> Result<bool> {
        let found = self.sessions.get_many(&[ended_key(user_id)]).await?.into_iter().next().flatten();
        let at = found.and_then(|value| String::from_utf8(value).ok()?.parse::<i64>().ok());
        Ok(at.is_some_and(|at| since.millis() < at))
    }

    /// Ends every family of refresh tokens of a user, or those of one application. Idempotent. What fails keeps nothing else
    /// from ending.
    ///
    /// # Errors
    /// The first failure.
    pub async fn end_families(&self, user_id: &str, client_id: Option<&str>, now: Timestamp) -> Result<()> {
        let mut filter = FamilyFilter { client_id: client_id.map(str::to_owned), ..all_of(user_id) };
        let (mut ended, mut tried) = (Ok(()), HashSet::new());
        // Again until there are none: more than are read at once may be there.
        for _ in 0..TIMES {
            let found = match self.directory.families(&filter, now).await {
                Ok(found) => found.families,
                Err(error) => return ended.and(Err(error)),
            };
            let count = found.len();
            let others: Vec<String> = found.into_iter().map(|family| family.grant_id).filter(|id| !tried.contains(id)).collect();
            if others.is_empty() && count < FAMILIES {
                break;
            }
            // A whole page of those that cannot be ended: others may be behind them.
            if others.is_empty() {
                filter.offset += count;
            }
            for grant_id in others {
                if let Err(error) = self.revoke_grant(&grant_id).await {
                    ended = ended.and(Err(error));
                    tried.insert(grant_id);
                }
            }
        }
        ended
    }

    /// Ends a session and nothing of what was granted in it. Idempotent. Nobody is there whom a browser could take along:
    /// only applications that take logout tokens are told.
    pub async fn forget_session(&self, session: &Session, now: Timestamp) -> Result<()> {
        let Some(key) = Session::key_of_sid(&session.sid) else { return Ok(()) };
        if self.sessions.take(&key).await?.is_none() {
            return Ok(());
        }
        self.events.logout("operator", "success");
        self.note_logout(&session.user_id, None, None, now);
        self.tell_of_end(session, now).await
    }

    /// Tells applications that a user is blocked: sessions stay for the day when the block ends, and are good for nothing
    /// until then.
    pub async fn tell_of_block(&self, user_id: &str, now: Timestamp) -> Result<()> {
        let (kept, mut told) = self.kept_sessions_of(user_id).await;
        for session in kept {
            told = told.and(self.tell_of_end(&session, now).await);
        }
        told
    }

    /// Tells whom it can of a session that is over.
    pub(super) async fn tell_of_end(&self, session: &Session, now: Timestamp) -> Result<()> {
        for sid in session.sids() {
            let (clients, partners) = (self.clients_of(sid).await?, self.partners_of(sid).await?);
            Box::pin(self.tell_in_background(&clients, partners, &session.user_id, sid, now)).await;
        }
        Ok(())
    }

    /// The families of refresh tokens of a user that may still be used.
    pub async fn families_of(&self, user_id: &str, now: Timestamp) -> Result<Vec<FoundFamily>> {
        self.families(&all_of(user_id), now).await.map(|(families, _)| families)
    }

    /// Families of refresh tokens that may still be used, and how many there are.
    pub async fn families(&self, filter: &FamilyFilter, now: Timestamp) -> Result<(Vec<FoundFamily>, usize)> {
        let found = self.directory.families(filter, now).await?;
        Ok((found.families.into_iter().map(FoundFamily::read).collect::<Result<_>>()?, found.total))
    }

    /// Ends a family of refresh tokens, and the access tokens of its grant. Idempotent.
    pub async fn end_family(&self, grant_id: &str) -> Result<()> {
        self.revoke_grant(grant_id).await
    }

    /// The SAML applications of a session, the newest assertion first.
    pub(super) async fn partners_of(&self, sid: &str) -> Result<Vec<Partner>> {
        self.sessions.list(&partners_key(sid), GRANTS).await?.iter().map(|bytes| decode(bytes)).collect()
    }

    /// Client ids of the OpenID applications of a session, each once.
    pub(super) async fn clients_of(&self, sid: &str) -> Result<Vec<String>> {
        let mut clients: Vec<String> = Vec::new();
        for listed in self.grants_of(sid).await? {
            if !clients.contains(&listed.client_id) {
                clients.push(listed.client_id);
            }
        }
        Ok(clients)
    }

    /// Ids of what an application was given in the sessions of a user that are listed, those that are over included; and the
    /// first failure, which keeps no other from being found.
    pub(super) async fn grants_in_sessions(&self, user_id: &str, client_id: &str) -> (Vec<String>, Result<()>) {
        let sids = match self.sessions.list(&sessions_key(user_id), SESSIONS).await {
            Ok(sids) => sids,
            Err(error) => return (Vec::new(), Err(error)),
        };
        let (mut found, mut whole): (Vec<String>, _) = (Vec::new(), Ok(()));
        for sid in sids {
            let Ok(sid) = String::from_utf8(sid) else { continue };
            let (grants, read) = self.readable_grants_of(&sid).await;
            whole = whole.and(read);
            for listed in grants {
                if listed.client_id == client_id && !found.contains(&listed.grant_id) {
                    found.push(listed.grant_id);
                }
            }
        }
        (found, whole)
    }

    async fn grants_of(&self, sid: &str) -> Result<Vec<Listed>> {
        let (found, whole) = self.readable_grants_of(sid).await;
        whole.map(|()| found)
    }

    /// Those that can be read, and the first failure.
    async fn readable_grants_of(&self, sid: &str) -> (Vec<Listed>, Result<()>) {
        match self.sessions.list(&grants_key(sid), GRANTS).await {
            Ok(listed) => readable(listed.iter().map(|bytes| decode(bytes))),
            Err(error) => (Vec::new(), Err(error)),
        }
    }
}

impl FoundFamily {
    fn read(family: RefreshFamily) -> Result<Self> {
        let Remembered { sid, scopes, audience } = decode(family.data.as_bytes())?;
        Ok(Self { family, sid, scopes, audience })
    }
}

/// What could be read, and the first failure.
fn readable<T>(read: impl Iterator<Item = Result<T>>) -> (Vec<T>, Result<()>) {
    let (mut found, mut whole) = (Vec::new(), Ok(()));
    for one in read {
        match one {
            Ok(one) => found.push(one),
            Err(error) => whole = whole.and(Err(error)),
        }
    }
    (found, whole)
}

fn all_of(user_id: &str) -> FamilyFilter {
    FamilyFilter { user_id: Some(user_id.to_owned()), limit: FAMILIES, ..FamilyFilter::default() }
}

/// Families of one user that are looked through.
const FAMILIES: usize = 1000;
/// Times that so many are looked for.
const TIMES: usize = 1000;

#[cfg(test)]
#[path = "sessions_tests.rs"]
mod tests;
