//! From what a partner says of a session to our sessions. A LogoutRequest may come without the browser's cookie (by a form
//! of another site, or in a frame), so that what it names must be found by itself.
//!
//! The lists are written in the commit of the login, and outlive the session: a request about a session that is over is told
//! from one about a stranger.

use crate::broker::sessions::listed_partner;
use crate::broker::{Browser, Gateway};
use crate::connection::LogoutNotice;
use crate::error::Result;
use crate::id;
use crate::login::{Mirror, Partner, Session};
use crate::saml::logout::ReceivedLogout;
use crate::store::Op;

/// Sessions that are found by one name at one partner; of more, the oldest are found by SessionIndex only.
const SESSIONS: usize = 200;
/// SessionIndex elements of one request that are looked up.
const INDEXES: usize = 100;
/// Stands where an entity ID does for SAML.
const OPENID: &str = "oidc";
/// Sessions of one browser, each in the place of the one before, that are followed.
const FOLLOWED: usize = 8;

/// The writes that let a session be found by what an application calls it. `ttl`: seconds that it may live.
pub(in crate::broker) fn partner_ops(sid: &str, partner: &Partner, ttl: u64) -> Result<Vec<Op>> {
    let mut ops = index_ops(&application(&partner.client_id), &partner.name_id.value, Some(&partner.session_index), sid, ttl);
    ops.push(listed_partner(sid, partner, ttl)?);
    Ok(ops)
}

/// The same for what the identity provider calls it, and the way there from the session whose place it takes.
pub(in crate::broker) fn session_ops(session: &Session, idp: Option<&str>, replaced: Option<&str>, ttl: u64) -> Vec<Op> {
    let upstream = &session.upstream;
    let mut ops = match (&upstream.name_id, idp) {
        (Some(name), Some(idp)) => {
            index_ops(&connection(&session.identity.connection, idp), name, upstream.session_index.as_deref(), &session.sid, ttl)
        }
        // A provider names the person by the subject that the identity has.
        (None, _) if session.identity.provider != "samlp" => {
            let (name, index) = (session.identity.user_id.as_str(), upstream.session_index.as_deref());
            index_ops(&connection(&session.identity.connection, OPENID), name, index, &session.sid, ttl)
        }
        _ => Vec::new(),
    };
    ops.extend(replaced.map(|old| Op::Put { key: after_key(old), value: session.sid.clone().into_bytes(), ttl }));
    ops
}

fn index_ops(who: &str, name: &str, session_index: Option<&str>, sid: &str, ttl: u64) -> Vec<Op> {
    let entry = |key| Op::Append { key, value: sid.as_bytes().to_vec(), keep: SESSIONS, ttl };
    let by_index = session_index.map(|index| entry(index_key(who, index)));
    std::iter::once(entry(name_key(who, name))).chain(by_index).collect()
}

fn application(client_id: &str) -> String {
    format!("application {client_id}")
}

fn connection(name: &str, idp: &str) -> String {
    format!("connection {name} {idp}")
}

// Names of people stand in no key.
fn name_key(who: &str, name: &str) -> String {
    format!("logout-by-name:{}", id::digest(&format!("{who}\n{name}")))
}

fn index_key(who: &str, session_index: &str) -> String {
    format!("logout-by-index:{}", id::digest(&format!("{who}\n{session_index}")))
}

fn after_key(sid: &str) -> String {
    format!("session-after:{sid}")
}

/// What a LogoutRequest is about.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Those that still live.
    pub sessions: Vec<Session>,
    /// There is, or was, such a session.
    pub known: bool,
}

impl Gateway {
    /// The sessions that an application's request is about.
    pub(super) async fn found_by_application(
        &self,
        (client_id, mirror): (&str, Option<&Mirror>),
        request: &ReceivedLogout,
        browser: &Browser,
    ) -> Result<Found> {
        let mut found = Found::default();
        for sid in self.candidates(&application(client_id), request, browser).await? {
            let partners = self.partners_of(&sid).await?;
            let is_meant = |partner: &Partner| {
                // Each of our entities knows those sessions that it has spoken of.
                let is_own = partner.client_id == client_id && partner.mirror.as_ref() == mirror;
                is_own && request.concerns(&partner.name_id, Some(partner.session_index.as_str()))
            };
            if partners.iter().any(is_meant) {
                found.known = true;
                found.add(self.newest(&sid).await?);
            }
        }
        Ok(found)
    }

    /// The sessions that an identity provider's request is about.
    pub(super) async fn found_by_connection(&self, name: &str, request: &ReceivedLogout, browser: &Browser) -> Result<Found> {
        let mut found = Found::default();
        let listed = self.listed_sessions(&connection(name, request.issuer()), request).await?;
        let cookie = browser.session.as_deref().map(Session::sid_of);
        for sid in listed.iter().chain(cookie.iter().filter(|sid| !listed.contains(sid))) {
            let own = self.kept_session(sid).await?;
            // What is listed and gone was ended before.
            found.known |= own.is_none() && listed.contains(sid);
            let is_own = own.is_some();
            let session = match own {
                Some(session) => Some(session),
                None => self.newest(sid).await?,
            };
            // Behind one connection there may be many, and each ends its own sessions only.
            let is_theirs = |session: &Session| {
                session.identity.connection == name && session.upstream.idp.as_deref().is_none_or(|idp| idp == request.issuer())
            };
            let Some(session) = session.filter(is_theirs) else { continue };
            let Some(known_as) = session.upstream.saml_name() else { continue };
            // A later session of the same browser has another index there, or none.
            let index =
                if is_own { session.upstream.session_index.as_deref() } else { request.session_indexes().first().map(String::as_str) };
            if request.concerns(&known_as, index) {
                found.known = true;
                found.add(Some(session));
            }
        }
        Ok(found)
    }

    /// The sessions that an OpenID provider's word is about: those of its `sid`, or all of the person.
    pub(super) async fn found_by_notice(&self, name: &str, notice: &LogoutNotice) -> Result<Vec<Session>> {
        let who = connection(name, OPENID);
        let key = match (&notice.sid, &notice.user_id) {
            (Some(sid), _) => index_key(&who, sid),
            (None, Some(user_id)) => name_key(&who, user_id),
            (None, None) => return Ok(Vec::new()),
        };
        let mut found = Found::default();
        for sid in self.sessions.list(&key, SESSIONS).await? {
            let Ok(sid) = String::from_utf8(sid) else { continue };
            let is_meant = |session: &Session| {
                // Back-Channel Logout 2.6: where both are there, both are of the same session.
                let is_theirs = session.identity.connection == name;
                let same_person = notice.user_id.as_ref().is_none_or(|user_id| *user_id == session.identity.user_id);
                is_theirs && same_person && (notice.sid.is_none() || notice.sid == session.upstream.session_index)
            };
            found.add(self.kept_session(&sid).await?.filter(is_meant));
        }
        Ok(found.sessions)
    }

    async fn candidates(&self, who: &str, request: &ReceivedLogout, browser: &Browser) -> Result<Vec<String>> {
        let mut sids = self.listed_sessions(who, request).await?;
        let cookie = browser.session.as_deref().map(Session::sid_of).filter(|sid| !sids.contains(sid));
        sids.extend(cookie);
        Ok(sids)
    }

    // SAML Core 3.7.1: the sessions of the indexes; without any, all of the principal.
    async fn listed_sessions(&self, who: &str, request: &ReceivedLogout) -> Result<Vec<String>> {
        let keys: Vec<String> = match request.session_indexes() {
            [] => vec![name_key(who, &request.name_id().value)],
            indexes => indexes.iter().take(INDEXES).map(|index| index_key(who, index)).collect(),
        };
        let mut sids = Vec::new();
        for key in keys {
            for sid in self.sessions.list(&key, SESSIONS).await? {
                let Ok(sid) = String::from_utf8(sid) else { continue };
                if sids.len() < SESSIONS && !sids.contains(&sid) {
                    sids.push(sid);
                }
            }
        }
        Ok(sids)
    }

    /// The session, or the one that took its place in the browser.
    async fn newest(&self, sid: &str) -> Result<Option<Session>> {
        let mut sid = sid.to_owned();
        for _ in 0..FOLLOWED {
            if let Some(session) = self.kept_session(&sid).await? {
                return Ok(Some(session));
            }
            let after = self.sessions.get_many(&[after_key(&sid)]).await?.into_iter().next().flatten();
            let Some(next) = after.and_then(|bytes| String::from_utf8(bytes).ok()) else { return Ok(None) };
            sid = next;
        }
        Ok(None)
    }
}

impl Found {
    fn add(&mut self, session: Option<Session>) {
        self.sessions.extend(session.filter(|session| self.sessions.iter().all(|known| known.sid != session.sid)));
    }
}
