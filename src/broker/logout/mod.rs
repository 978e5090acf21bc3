//! Logout: whoever begins it, the session is ended first, then all others are told, and who began it gets its answer.
//!
//! Here: the beginning by an OpenID application or by the person (RP-Initiated Logout 1.0). By SAML it begins in `saml`,
//! by an operator in [`super::sessions`]. `cascade` says who is told, `back_channel` tells those who can be told from here
//! (`soap` those of SAML), `queue` tells them again, `frames` and `browser` take the browser to the others and back, `index`
//! finds the sessions that a message is about, and `provider`
//! takes the word of an OpenID provider.

mod back_channel;
mod browser;
mod cascade;
mod frames;
mod index;
mod provider;
mod queue;
mod saml;
mod soap;

pub use browser::{LogoutReceiver, LogoutStep};
pub(super) use index::{partner_ops, session_ops};
pub use queue::deliver_queued;
pub use saml::SloMessage;
pub use soap::SoapLogout;

use super::{Browser, Gateway};
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::id;
use crate::login::trace::{Step as Note, Trace};
use crate::login::{LogoutStarter, Session, Told};
use crate::oidc::logout::{Confirmation, Present, SignedIn};
use crate::oidc::{AfterLogout, ClientFacts, IdTokenHint, LogoutRequest, Params};
use crate::saml::Outgoing;
use cascade::Beginning;
use serde_json::Value;
use url::Url;

/// What the browser gets.
#[derive(Debug)]
pub enum LoggedOut {
    /// To the registered address, or to a page of ours.
    Redirect(String),
    /// To a SAML partner, or back to the one that began it.
    Saml(Outgoing),
    /// Who was told, and what they said.
    Page(LogoutPage),
    /// Nobody proved that the person wants this: ask first.
    Confirm { parameters: Vec<(String, String)> },
    /// A partner has answered in a hidden frame of ours: nothing more happens there.
    Framed,
}

/// An answer in a logout.
#[derive(Debug)]
pub struct LogoutReply {
    pub answer: LoggedOut,
    /// The session of this browser's cookie is over.
    pub ends_cookie: bool,
    /// Of the logout that this request belongs to.
    pub correlation_id: Option<String>,
}

/// The page of a logout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogoutPage {
    pub id: String,
    pub entries: Vec<LogoutEntry>,
    /// Addresses to load in hidden frames.
    pub frames: Vec<String>,
    /// Hidden frames in which partners of SAML are told.
    pub partner_frames: Vec<PartnerFrameOf>,
    /// Whom the browser visits next, or is visiting.
    pub next: Option<String>,
    /// Who was visited and has not answered.
    pub stuck: Option<String>,
    /// Nothing is left to do.
    pub answered: bool,
    /// Name of the application that began it, and its registered address.
    pub after: Option<(String, String)>,
}

/// A hidden frame of our own, which leads to a partner and back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartnerFrameOf {
    /// Path of ours.
    pub address: String,
    /// The origin of the partner.
    pub origin: String,
}

/// One who is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogoutEntry {
    pub name: String,
    pub told: Told,
    /// It has confirmed, or it has not; `None`: not known, or not yet.
    pub good: Option<bool>,
}

/// A request to sign out that is none of SAML.
#[derive(Clone, Copy, Debug)]
pub struct RpLogout<'a> {
    /// Query or form.
    pub raw: &'a [u8],
    /// The answer of our own page's form.
    pub confirmed: bool,
    /// Origin of the page that the browser says it comes from, where that counts.
    pub origin: Option<&'a str>,
    /// In a frame of somebody's page.
    pub framed: bool,
}

/// Form field that proves that our own page was shown to this browser.
const CSRF: &str = "csrf";

impl Gateway {
    /// Ends the session and tells the others, or asks for a confirmation first.
    pub async fn logout(&self, asked: RpLogout<'_>, browser: &Browser, correlation_id: &str, now: Timestamp) -> Result<LogoutReply> {
        let params = Params::parse(asked.raw)?;
        let token = self.csrf_token(browser)?;
        let answers = |given: &str| id::eq_constant_time(given.as_bytes(), token.as_bytes());
        let confirmed = asked.confirmed && params.get(CSRF).is_some_and(answers);
        let request = LogoutRequest::parse(&params)?;
        // A hint that cannot be verified (any more) proves nothing: the person is asked instead.
        let hint = request.id_token_hint.as_ref().and_then(|hint| self.keys.public().verify_hint(hint.expose(), &self.issuer).ok());
        let client_id = request.client_id(hint.as_ref())?.map(str::to_owned);
        let client = client_id.as_deref().and_then(|id| self.application(id)).and_then(|application| application.oidc.as_ref());
        let mut session = self.session(browser, now).await?;
        let own_page = client.zip(asked.origin).is_some_and(|(client, origin)| is_of(client, origin));
        let profile = session.as_ref().filter(|_| request.logout_hint.is_some()).map(|session| session.profile.value());
        let present = Present {
            session: session.as_ref().map(|session| self.signed_in(session, client_id.as_deref(), profile.as_ref())).transpose()?,
            own_page,
        };
        let decision = request.decide(hint.as_ref(), client, &present)?;
        let proven = decision.confirmation == Confirmation::NotNeeded;
        if !proven && !confirmed {
            let kept = params.iter().filter(|(name, _)| *name != CSRF).map(|(name, value)| (name.to_owned(), value.to_owned()));
            let parameters = kept.chain([(CSRF.to_owned(), token)]).collect();
            return Ok(LogoutReply { answer: LoggedOut::Confirm { parameters }, ends_cookie: false, correlation_id: None });
        }
        if session.is_none() {
            session = self.session_of_hint(hint.as_ref()).await?;
        }
        let after = match decision.after {
            AfterLogout::Redirect(to) => Some(to),
            AfterLogout::OwnPage => None,
        };
        // Nothing to end and nobody to tell: nothing is kept of it either, whoever asks how often.
        let Some(session) = session else {
            let answer = LoggedOut::Redirect(after.unwrap_or_else(|| "/logged-out".to_owned()));
            return Ok(LogoutReply { answer, ends_cookie: browser.session.is_some(), correlation_id: None });
        };
        let mut trace = Trace::default();
        let parameters = vec![("logout".to_owned(), if confirmed { "confirmed by the person" } else { "proven" }.to_owned())];
        trace.note(now, Note::RequestIn { application: client_id.clone().unwrap_or_default(), parameters });
        let client_id = client.map(|client| client.client_id.clone());
        let starter = LogoutStarter::OpenId { client_id, after };
        let beginning = Beginning { starter, sessions: vec![session], framed: asked.framed, browser, correlation_id, trace, now };
        let reply = self.begin_logout(beginning).await?;
        // A cookie without a session is worth nothing.
        Ok(LogoutReply { ends_cookie: browser.session.is_some(), ..reply })
    }

    /// The session in which an application got its ID token, where the browser has none.
    async fn session_of_hint(&self, hint: Option<&IdTokenHint>) -> Result<Option<Session>> {
        let Some((hint, sid)) = hint.and_then(|hint| Some((hint, hint.sid()?))) else { return Ok(None) };
        Ok(self.kept_session(sid).await?.filter(|session| self.is_about(hint, &session.user_id)))
    }

    /// What scripts of ours may read of a session (Session Management 1.0, 3.2): nobody can make the cookie, or the session's
    /// public name, of it. Empty without a session.
    pub fn browser_state(&self, session_cookie: Option<&str>) -> Result<String> {
        let Some(cookie) = session_cookie else { return Ok(String::new()) };
        Ok(id::hex(&self.keyring.sealer().mac(&[b"browser state", Session::sid_of(cookie).as_bytes()])?))
    }

    /// Who is signed in, in the words of the client that asks.
    fn signed_in<'a>(&self, session: &'a Session, client_id: Option<&str>, profile: Option<&'a Value>) -> Result<SignedIn<'a>> {
        let said = ["email", "preferred_username", "username"].into_iter().filter_map(|name| profile?.get(name)?.as_str());
        let application = client_id.and_then(|id| self.applications.get(id));
        let subject =
            application.map_or_else(|| Ok(session.user_id.as_str().into()), |asking| self.subject_for(asking, &session.user_id))?;
        let (user_id, subject) = (session.user_id.as_str(), subject.into_owned());
        Ok(SignedIn { user_id, subject, sids: session.sids().collect(), names: said.collect() })
    }

    /// Belongs to the browser's session cookie and to nothing else.
    fn csrf_token(&self, browser: &Browser) -> Result<String> {
        let cookie = browser.session.as_deref().unwrap_or_default();
        Ok(id::hex(&self.keyring.sealer().mac(&[b"logout form", cookie.as_bytes()])?))
    }

    /// An error unless every store answers.
    pub async fn ready(&self) -> Result<()> {
        let (sessions, directory) = tokio::join!(self.sessions.ping(), self.directory.ping());
        sessions.and(directory).map_err(|error| Error::new(ErrorKind::StoreUnavailable, error.detail))
    }
}

/// Does this origin belong to a page of the client? Browsers do not let other pages claim it.
fn is_of(client: &ClientFacts, origin: &str) -> bool {
    let registered = client.redirect_uris.iter().chain(&client.post_logout_redirect_uris);
    registered.filter_map(|uri| Url::parse(uri).ok()).any(|url| url.origin().is_tuple() && url.origin().ascii_serialization() == origin)
}
