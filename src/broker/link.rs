//! The question whether a known account belongs to a new identity, and its proof (linking policy `ask`).
//!
//! The proof is two fresh logins within one transaction of one browser: of the new identity, and of the known account.
//! It names the subject that it is about, is used once, and ends with the transaction: by the link, by a refusal, or when
//! the person starts again. What the second login leads to is in [`super::upstream`].

use super::begin::trace_op;
use super::ending::Ending;
use super::form::Form;
use super::identify::Of;
use super::refuse::{Refusing, plain};
use super::{Answer, Browser, Gateway, LinkQuestion, Outcome, REMAINS, encode};
use crate::clock::Timestamp;
use crate::connection::UpstreamRequest;
use crate::error::{Error, ErrorKind, Result};
use crate::login::trace::{Part, Step as Note, Trace};
use crate::login::{LoginTransaction, PendingLink, Proof, Stage, Stored};
use crate::store::Op;

/// What the person answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkChoice<'a> {
    /// Shows the question again.
    Look,
    /// "I have an account, and sign in with it by this connection."
    Prove(&'a str),
    /// "No account is mine: go on with one of its own."
    Separate,
}

impl Gateway {
    /// The person's answer to the question. `csrf` is what the form has in its field of that name: identity providers know
    /// the login's id, so it is no proof that the form was ours. Any other form answers nothing and is shown the question.
    pub async fn link_choice(
        &self,
        transaction_id: &str,
        choice: LinkChoice<'_>,
        csrf: Option<&str>,
        browser: &Browser,
        now: Timestamp,
    ) -> Outcome {
        match Box::pin(self.link_choice_inner(transaction_id, choice, csrf, browser, now)).await {
            Ok(outcome) => outcome,
            Err(error) => Outcome::refused(error, None),
        }
    }

    async fn link_choice_inner(
        &self,
        transaction_id: &str,
        choice: LinkChoice<'_>,
        csrf: Option<&str>,
        browser: &Browser,
        now: Timestamp,
    ) -> Result<Outcome> {
        let transaction = match self.login_of(transaction_id, browser, now).await? {
            Ok(transaction) => transaction,
            Err(outcome) => return Ok(*outcome),
        };
        let correlation_id = transaction.correlation_id.clone();
        let Stage::AwaitingLink(link) = &transaction.stage else {
            let error = Error::new(ErrorKind::LoginExpired, "This sign-in has not come to that question.");
            return Ok(Outcome::refused(error, Some(transaction.restart)).in_login(&correlation_id));
        };
        let choice = if self.is_our_form(Form::Link, &transaction, csrf)? { choice } else { LinkChoice::Look };
        let link = link.as_ref().clone();
        let restart = transaction.restart.clone();
        let result = match choice {
            LinkChoice::Look => self.link_question(&transaction).map(|question| Outcome::of(Answer::AskLink(question))),
            LinkChoice::Prove(connection) => self.prove(transaction, link, connection, now).await,
            LinkChoice::Separate => self.stay_separate(&transaction, &link, browser, now).await,
        };
        let outcome = result.unwrap_or_else(|error| Outcome::refused(error, Some(restart)));
        Ok(outcome.in_login(&correlation_id))
    }

    async fn prove(&self, transaction: LoginTransaction, link: PendingLink, connection: &str, now: Timestamp) -> Result<Outcome> {
        let key = LoginTransaction::key(&transaction.id);
        if !link.connections.iter().any(|known| known == connection) {
            return Err(Error::new(ErrorKind::UnknownConnection, "This way to sign in is not available."));
        }
        let mut trace = Trace::default();
        let what = format!("the person proves a known account at {connection}");
        trace.note(now, Note::Decision { what, why: "the person chose it".into() });
        // Who cannot be asked for a fresh login is believed about the address, or would not be here (decision 024).
        let may_ask = self.asks_afresh(&link.arrived.identity.connection);
        let correlation_id = transaction.correlation_id.clone();
        let sent = if link.arrived.fresh || !may_ask {
            self.send_to_proof(transaction, link, connection, now, &mut trace).await
        } else {
            self.send_again(transaction, link, connection, now, &mut trace).await
        };
        let (answer, transaction) = match sent {
            Ok(sent) => sent,
            Err(error) => {
                self.save_refusal((&correlation_id, Part::LinkChoice), &mut trace, &error, now).await;
                return Err(error);
            }
        };
        let put = Op::Put { key, value: encode(&Stored::Running(Box::new(transaction)))?, ttl: self.lifetimes.transaction + REMAINS };
        self.sessions.commit(vec![put, trace_op(&correlation_id, Part::LinkChoice, &trace)?]).await?;
        Ok(Outcome::of(answer))
    }

    async fn stay_separate(
        &self,
        transaction: &LoginTransaction,
        link: &PendingLink,
        browser: &Browser,
        now: Timestamp,
    ) -> Result<Outcome> {
        let connection = self.connections.enabled(&link.arrived.identity.connection);
        let connection = connection.ok_or_else(|| Error::new(ErrorKind::UnknownConnection, "This way to sign in is not available."))?;
        let mut trace = Trace::default();
        let why = "the person wants an account of its own";
        let identified = self.make_separate(connection.config(), &link.arrived, why, Of { transaction, now }, &mut trace).await?;
        let key = LoginTransaction::key(&transaction.id);
        let caller = browser.caller.as_deref();
        let ending = Ending { transaction, key: &key, part: Part::LinkChoice, now, caller, resume: None };
        let connection = link.arrived.identity.connection.as_str();
        match self.end_login(&ending, &link.arrived, identified, Vec::new(), &mut trace).await {
            Ok(outcome) => {
                if matches!(outcome.answer, Answer::Reply(_)) {
                    self.events.login(connection, "success");
                }
                Ok(outcome)
            }
            // Scripts have run, and run once: the login is over.
            Err(error) if [ErrorKind::RuleDenied, ErrorKind::ScriptFailed, ErrorKind::Overloaded].contains(&error.kind) => {
                let refusing = Refusing { connection, transaction, key: &key, part: Part::LinkChoice, now };
                self.refuse_login(&refusing, plain(error), trace).await
            }
            Err(error) => Err(error),
        }
    }

    /// To the identity provider of the new identity once more: the first login may have come from an old session there.
    async fn send_again(
        &self,
        transaction: LoginTransaction,
        link: PendingLink,
        then: &str,
        now: Timestamp,
        trace: &mut Trace,
    ) -> Result<(Answer, LoginTransaction)> {
        let (acr_values, idp) = (transaction.asked.acr_values.clone(), link.arrived.upstream.idp.clone());
        let asked = UpstreamRequest { acr_values, idp, ..fresh(&transaction) };
        let name = link.arrived.identity.connection.clone();
        self.ask_for_proof(transaction, link, &name, &asked, now, trace, |pending| Proof::Again { pending, then: then.to_owned() }).await
    }

    /// To the identity provider of the known account.
    pub(super) async fn send_to_proof(
        &self,
        transaction: LoginTransaction,
        link: PendingLink,
        connection: &str,
        now: Timestamp,
        trace: &mut Trace,
    ) -> Result<(Answer, LoginTransaction)> {
        // Nobody signs in by an identity that is only linked, so the login will be the proof's: it must be of the kind that
        // the application wants.
        let of_login = self.connections.enabled(&link.arrived.identity.connection).is_some_and(|first| first.config().profile.link_only);
        let acr_values = if of_login { transaction.asked.acr_values.clone() } else { Vec::new() };
        let idp = self.idp_of_account(&link, connection).await?;
        let asked = UpstreamRequest { acr_values, idp, ..fresh(&transaction) };
        self.ask_for_proof(transaction, link, connection, &asked, now, trace, |pending| Proof::Known {
            connection: connection.to_owned(),
            pending,
        })
        .await
    }

    /// Where a connection has many identity providers, the one of the account that may be proven by it. Of several the person
    /// cannot be asked, so the first.
    async fn idp_of_account(&self, link: &PendingLink, connection: &str) -> Result<Option<String>> {
        let Some(known) = self.connections.enabled(connection) else { return Ok(None) };
        for user_id in &link.user_ids {
            let Some(user) = self.directory.user(user_id).await? else { continue };
            let mut of_connection = user.identities.iter().filter(|stored| stored.identity.connection == connection);
            if let Some(idp) = of_connection.find_map(|stored| known.idp_of(&stored.identity)) {
                return Ok(Some(idp));
            }
        }
        Ok(None)
    }

    #[expect(clippy::too_many_arguments, reason = "two callers beside it, which name every one")]
    async fn ask_for_proof(
        &self,
        transaction: LoginTransaction,
        link: PendingLink,
        connection: &str,
        asked: &UpstreamRequest,
        now: Timestamp,
        trace: &mut Trace,
        proof: impl FnOnce(crate::login::PendingAuthn) -> Proof + Send,
    ) -> Result<(Answer, LoginTransaction)> {
        let connection = self
            .connections
            .enabled(connection)
            .ok_or_else(|| Error::new(ErrorKind::UnknownConnection, "This way to sign in is not available."))?;
        let (step, pending) = connection.start(&self.keys, &transaction.id, asked, now, trace).await?;
        Ok((Answer::Upstream(step), transaction.linking(PendingLink { proof: proof(pending), ..link })))
    }

    /// The page's content.
    pub(super) fn link_question(&self, transaction: &LoginTransaction) -> Result<LinkQuestion> {
        let display = |name: &str| self.connections.enabled(name).map(|connection| connection.config().display_name.clone());
        let (came_by, connections) = match &transaction.stage {
            Stage::AwaitingLink(link) => (link.arrived.identity.connection.as_str(), link.connections.as_slice()),
            _ => ("", [].as_slice()),
        };
        Ok(LinkQuestion {
            transaction_id: transaction.id.clone(),
            csrf: self.csrf_of(Form::Link, transaction)?,
            application: transaction.restart.application.clone(),
            came_by: display(came_by).unwrap_or_default(),
            ways: connections.iter().filter_map(|name| Some((name.clone(), display(name)?))).collect(),
            may_decline: self.connections.enabled(came_by).is_some_and(|connection| !connection.config().profile.link_only),
        })
    }
}

/// A login that proves something begins anew at the identity provider, and shows its pages.
fn fresh(transaction: &LoginTransaction) -> UpstreamRequest {
    UpstreamRequest {
        force_authn: true,
        scopes: transaction.asked.scopes.iter().map(str::to_owned).collect(),
        acr_comparison: transaction.asked.acr_comparison,
        requester: transaction.client_id.clone(),
        requester_ids: transaction.asked.requester_ids.clone(),
        proxy_count: transaction.asked.proxy_count,
        ..UpstreamRequest::default()
    }
}
