//! RP-initiated logout (OpenID Connect RP-Initiated Logout 1.0): ends the session here.

use super::{Browser, Gateway};
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::id;
use crate::login::Session;
use crate::oidc::{AfterLogout, IdTokenHint, LogoutRequest, Params};
use crate::store::Op;

/// Where the person goes after the session has ended.
#[derive(Debug)]
pub enum LoggedOut {
    /// To the registered address.
    Redirect(String),
    /// Our own page.
    Page,
    /// Nobody proved that the person wants this: ask first.
    Confirm { parameters: Vec<(String, String)> },
}

/// Form field that proves that our own page was shown to this browser.
const CSRF: &str = "csrf";

impl Gateway {
    /// Ends the session, or asks for a confirmation first. `confirmed`: this is the answer of that page's form.
    pub async fn logout(&self, raw: &[u8], browser: &Browser, confirmed: bool, now: Timestamp) -> Result<LoggedOut> {
        let params = Params::parse(raw)?;
        let token = self.csrf_token(browser)?;
        let confirmed = confirmed && params.get(CSRF).is_some_and(|given| id::eq_constant_time(given.as_bytes(), token.as_bytes()));
        let request = LogoutRequest::parse(&params)?;
        // A hint that cannot be verified (any more) proves nothing: the person is asked instead.
        let hint = request.id_token_hint.as_ref().and_then(|hint| self.keys.public().verify_hint(hint.expose(), &self.issuer).ok());
        let client = request
            .client_id(hint.as_ref())?
            .and_then(|client_id| self.application(client_id))
            .and_then(|application| application.oidc.as_ref());
        let decision = request.decide(hint.as_ref(), client)?;
        let session = self.session(browser, now).await?;
        // RP-Initiated Logout 2: without a hint that names the user of this session, ask the person.
        let proven = match (&session, &hint) {
            (None, _) => true,
            (Some(session), Some(hint)) => session.user_id == hint.subject(),
            (Some(_), None) => false,
        };
        if !proven && !confirmed {
            let kept = params.iter().filter(|(name, _)| *name != CSRF).map(|(name, value)| (name.to_owned(), value.to_owned()));
            return Ok(LoggedOut::Confirm { parameters: kept.chain([(CSRF.to_owned(), token)]).collect() });
        }
        if let Some(cookie) = &browser.session {
            self.sessions.commit(vec![Op::Delete { key: Session::key(cookie) }]).await?;
            if let Some(session) = &session {
                self.note_logout(&session.user_id, hint.as_ref().map(IdTokenHint::client_id), now);
            }
        }
        Ok(match decision.after {
            AfterLogout::Redirect(to) => LoggedOut::Redirect(to),
            AfterLogout::OwnPage => LoggedOut::Page,
        })
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
