//! RP-initiated logout (OpenID Connect RP-Initiated Logout 1.0): ends the session here.

use super::{Browser, Gateway};
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::login::Session;
use crate::oidc::{LogoutDecision, LogoutRequest, Params};
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

impl Gateway {
    /// `confirmed`: the person pressed the button on our own page, from our own origin.
    pub async fn logout(&self, raw: &[u8], browser: &Browser, confirmed: bool, now: Timestamp) -> Result<LoggedOut> {
        let params = Params::parse(raw)?;
        let request = LogoutRequest::parse(&params)?;
        let hint = match &request.id_token_hint {
            Some(hint) => Some(self.signers.verify_hint(hint, &self.issuer, now)?),
            None => None,
        };
        let named = request.client_id.as_deref().or_else(|| hint.as_ref().and_then(|hint| hint.audience.first().map(String::as_str)));
        let client = named.and_then(|client_id| self.application(client_id)).map(|application| &application.oidc);
        let decision = request.decide(hint.as_ref(), client)?;
        let session = self.session(browser, now).await?;
        // RP-Initiated Logout 2: without a hint that names the user of this session, ask the person.
        let proven = match (&session, &hint) {
            (None, _) => true,
            (Some(session), Some(hint)) => session.user_id == hint.subject,
            (Some(_), None) => false,
        };
        if !proven && !confirmed {
            let parameters = params.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
            return Ok(LoggedOut::Confirm { parameters });
        }
        if let Some(cookie) = &browser.session {
            self.sessions.commit(vec![Op::Delete { key: Session::key(cookie) }]).await?;
        }
        Ok(match decision {
            LogoutDecision::Redirect(to) => LoggedOut::Redirect(to),
            LogoutDecision::OwnPage => LoggedOut::Page,
        })
    }

    /// An error unless every store answers.
    pub async fn ready(&self) -> Result<()> {
        let (sessions, directory) = tokio::join!(self.sessions.ping(), self.directory.ping());
        sessions.and(directory).map_err(|error| Error::new(ErrorKind::StoreUnavailable, error.detail))
    }
}
