//! Logout that an OpenID provider begins: by a logout token (Back-Channel Logout 1.0), or by an address of ours in a frame of
//! its page (Front-Channel Logout 1.0). Nobody is there whom a browser could take to the others. And the return of a browser
//! that has ended its session there.

use super::LogoutReply;
use super::cascade::Beginning;
use crate::broker::begin::trace_op;
use crate::broker::{Browser, Gateway};
use crate::clock::Timestamp;
use crate::connection::LogoutSaid;
use crate::error::{Error, ErrorKind, Result};
use crate::login::trace::{Part, Step as Note, Trace};
use crate::login::{Logout, LogoutStarter, Party, Told, Way};
use crate::store::Op;

impl Gateway {
    /// Ends the sessions that the provider means, and tells those who need no browser. That there is none is good, too
    /// (Back-Channel Logout 2.6).
    ///
    /// # Errors
    /// When the provider is not believed, or a store does not answer.
    pub async fn logout_by_provider(&self, name: &str, said: LogoutSaid<'_>, correlation_id: &str, now: Timestamp) -> Result<()> {
        let gone = || Error::new(ErrorKind::UnknownConnection, "This way to sign in is not available.");
        let connection = self.connections.enabled(name).ok_or_else(gone)?;
        let mut trace = Trace::default();
        let way = if matches!(said, LogoutSaid::Token(_)) { "logout token" } else { "frame" };
        let parameters = vec![("logout".to_owned(), way.to_owned())];
        trace.note(now, Note::RequestIn { application: name.to_owned(), parameters });
        let notice = match connection.told_of_logout(&self.keys, said, now, &mut trace).await {
            Ok(notice) => notice,
            Err(refused) => {
                let (code, detail) = (refused.error.kind.wire().code.to_owned(), refused.error.detail.clone());
                trace.note(now, Note::Refused { code, reason: refused.reason, detail });
                self.sessions.commit(vec![trace_op(correlation_id, Part::Begin, &trace)?]).await?;
                return Err(self.logout_refused(refused.error, "idp", None, correlation_id, now));
            }
        };
        if let Some((used, until)) = &notice.once {
            let ttl = u64::try_from(until.seconds_since(now)).unwrap_or(0) + 1;
            let claim = Op::Claim { key: format!("once:{used}"), ttl };
            if self.sessions.commit(vec![claim]).await?.first() != Some(&true) {
                let error = Error::new(ErrorKind::InvalidRequest, "This logout token was used before (jti).");
                return Err(self.logout_refused(error, "idp", None, correlation_id, now));
            }
        }
        let sessions = self.found_by_notice(name, &notice).await?;
        if sessions.is_empty() {
            return Ok(());
        }
        let starter = LogoutStarter::Provider { connection: name.to_owned() };
        let browser = Browser::default();
        let beginning = Beginning { starter, sessions, framed: true, browser: &browser, correlation_id, trace, now };
        let mut logout = self.end_and_tell(beginning).await?;
        for party in logout.parties.iter_mut().filter(|party| party.told == Told::Waiting) {
            party.told = Told::Impossible;
        }
        logout.answered = true;
        let outcome = logout.outcome();
        self.note_end(&mut logout, format!("the provider is answered: {outcome:?}"), &outcome, now);
        self.sessions.commit(vec![trace_op(correlation_id, Part::Begin, &logout.trace)?]).await.map(drop)
    }

    /// The browser is back from a provider where it has ended the session (RP-Initiated Logout 1.0, 3). Whether it has, only
    /// its return says.
    ///
    /// # Errors
    /// When this answers no logout that is under way, or comes by another connection than was asked.
    pub async fn signed_out_there(&self, name: &str, state: &str, now: Timestamp) -> Result<LogoutReply> {
        let unknown = || Error::new(ErrorKind::InvalidRequest, "This answers no sign-out that is under way here.");
        let key = Logout::request_key(state);
        let found = self.sessions.get_many(std::slice::from_ref(&key)).await?.into_iter().next().flatten();
        let id = found.and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(unknown)?;
        let mut logout = self.logout_of(&id).await?;
        let is_openid = self.connections.enabled(name).is_some_and(|known| known.config().saml().is_none());
        let is_theirs = |party: &&mut Party| is_openid && matches!(&party.way, Way::Upstream { connection, .. } if connection == name);
        let party = logout.asked_by(state).filter(is_theirs).ok_or_else(unknown)?;
        party.settle(Told::Confirmed);
        let what = format!("{} answered", party.name);
        // Of two returns, one goes on with the logout.
        if self.sessions.take(&key).await?.is_none() {
            return self.logout_page(&id).await;
        }
        logout.trace.note(now, Note::Decision { what, why: "the browser has come back".into() });
        self.continue_logout(logout, now).await
    }
}
