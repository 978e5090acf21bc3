//! `/login/callback`, the one redirect URI of several providers: the state says which login an answer belongs to, and the
//! login which connection was asked. Whether that one answers here at all, and everything else, is as for any other answer.

use super::upstream::{IdpAnswer, IdpPost, Question, not_asked, stateless, transaction_of_state};
use super::{Browser, Gateway, Outcome};
use crate::clock::Timestamp;
use crate::connection::config::CallbackAddress;
use crate::error::{Error, ErrorKind, Result};
use crate::oidc::Params;

/// What came there.
#[derive(Clone, Copy, Debug)]
pub struct SharedAnswer<'a> {
    pub params: &'a Params,
    /// The connection that the address names, which must be the one that was asked.
    pub connection: Option<&'a str>,
    /// Our own page has sent the form again already.
    pub bounced: bool,
}

impl Gateway {
    /// The callback of OpenID Connect (Core 3.1.2.5) for connections that share it.
    pub async fn shared_callback(&self, answer: SharedAnswer<'_>, browser: &Browser, now: Timestamp) -> Outcome {
        match Box::pin(self.shared_callback_inner(answer, browser, now)).await {
            Ok(outcome) => outcome,
            Err(error) => Outcome::refused(error, None),
        }
    }

    async fn shared_callback_inner(&self, answer: SharedAnswer<'_>, browser: &Browser, now: Timestamp) -> Result<Outcome> {
        let SharedAnswer { params, connection: named, bounced } = answer;
        let unavailable = || Error::new(ErrorKind::UnknownConnection, "This way to sign in is not available.");
        if named.is_some_and(|name| self.connections.enabled(name).is_none()) {
            return Err(unavailable());
        }
        let transaction_id = transaction_of_state(params).ok_or_else(stateless)?;
        let transaction = match self.answered_login(&transaction_id, bounced, browser, now).await? {
            Ok(transaction) => transaction,
            Err(outcome) => return Ok(*outcome),
        };
        let Some(asked) = Question::asked_of(&transaction).map(str::to_owned) else { return Ok(not_asked(transaction)) };
        if named.is_some_and(|name| name != asked) {
            return Ok(not_asked(transaction));
        }
        if self.connections.enabled(&asked).is_none() {
            return Ok(Outcome::refused(unavailable(), Some(transaction.restart)).in_login(&transaction.correlation_id));
        }
        let answer = IdpAnswer::Authorization(params, CallbackAddress::Shared);
        let post = IdpPost { connection: &asked, answer, relay_state: None, bounced, pushed_only: false };
        self.answer_in_login(post, transaction, browser, now).await
    }
}
