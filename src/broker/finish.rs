//! The end of a login: an answer for the application, from a session that exists or has just been made.

use super::begin::{Begun, trace_op};
use super::happened::Ended;
use super::rules::{Made, Pausing, Situation, Verdict};
use super::sessions::grant_op;
use super::traces::{RecentLogin, SINGLE_SIGN_ON, recent_op};
use super::{Answer, CookieChange, Gateway, Outcome, REMAINS, Reply, encode};
use crate::application::Application;
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::id;
use crate::login::trace::{Part, Step as Note, Trace};
use crate::login::{Asked, CameBy, CodeGrant, LoginTransaction, ReplyTo, Scripted, Session, Stored};
use crate::oidc::{AuthorizationCode, CheckedRedirect, CodeBinding, Scopes};
use crate::profile::Written;
use crate::store::{LogType, Op};

/// What an answer is made from.
pub(super) struct Issue<'a> {
    pub application: &'a Application,
    pub reply_to: &'a ReplyTo,
    pub asked: &'a Asked,
    pub session: &'a Session,
    /// The profile of this transaction, and the paths in it that are not to be stored.
    pub profile: &'a Written,
    pub transient: &'a [String],
    /// What scripts made of it.
    pub scripted: Option<Box<Scripted>>,
    /// What was granted before scripts changed it: a refresh begins with it.
    pub unscripted_scopes: &'a Scopes,
    pub correlation_id: &'a str,
    pub now: Timestamp,
}

/// An answer that was made, and what must be stored before it is sent.
pub(super) struct Issued {
    pub answer: Answer,
    /// Marks that must be ours: a request is answered once.
    pub claims: Vec<Op>,
    pub writes: Vec<Op>,
    /// Keys of what is worth something in the wrong hands; taken back where a claim was not ours.
    pub secrets: Vec<String>,
}

impl Gateway {
    /// Single sign-on: the session answers, the identity provider is not asked.
    pub(super) async fn finish_from_session(
        &self,
        begun: &Begun<'_>,
        asked: &Asked,
        session: &Session,
        profile: &Written,
        mut trace: Trace,
    ) -> Result<Outcome> {
        let made = match self.scripts.has_login() {
            false => Made::default(),
            true => match self.script_session(begun, asked, session, profile, &mut trace).await? {
                Ok(made) => *made,
                Err(outcome) => return Ok(*outcome),
            },
        };
        // Whose session it is cannot change without its end.
        if made.primary.is_some() {
            return Err(super::rules::other_user());
        }
        let before = asked;
        let asked = made.asked(asked);
        let issue = Issue {
            application: begun.application,
            reply_to: begun.reply_to,
            asked: &asked,
            session,
            profile,
            transient: &[],
            scripted: made.scripted,
            unscripted_scopes: &before.scopes,
            correlation_id: begun.correlation_id,
            now: begun.now,
        };
        let issued = self.issue(&issue, &mut trace)?;
        let recent = RecentLogin {
            correlation_id: begun.correlation_id.to_owned(),
            at: begun.now,
            connection: session.identity.connection.clone(),
            application: begun.application.client_id.clone(),
            user_id: Some(session.user_id.clone()),
            outcome: SINGLE_SIGN_ON.to_owned(),
        };
        let mut writes = issued.writes;
        writes.extend([trace_op(begun.correlation_id, Part::Begin, &trace)?, recent_op(&recent)?]);
        self.commit_once(issued.claims, Vec::new(), writes, &issued.secrets).await?;
        self.events.login(&session.identity.connection, SINGLE_SIGN_ON);
        let ended = Ended {
            client_id: &begun.application.client_id,
            connection: &session.identity.connection,
            correlation_id: begun.correlation_id,
            now: begun.now,
        };
        self.note_login(LogType::SilentLogin, ended, &session.user_id);
        Ok(Outcome::of(issued.answer))
    }

    /// The scripts of single sign-on: what they made of it, or the page to which they send the person.
    async fn script_session(
        &self,
        begun: &Begun<'_>,
        asked: &Asked,
        session: &Session,
        profile: &Written,
        trace: &mut Trace,
    ) -> Result<Result<Box<Made>, Box<Outcome>>> {
        let of_session =
            self.situation_of_session(session, profile, begun.application, asked, begun.query, begun.correlation_id, begun.now);
        let (redirect_uri, protocol) = (Some(begun.reply_to.address()), begun.reply_to.protocol());
        let situation = Situation { caller: begun.browser.caller.as_deref(), redirect_uri, protocol, ..of_session };
        let result = self.run_scripts(situation, trace).await;
        let paused = match result {
            Ok(Verdict::Go(made)) => return Ok(Ok(made)),
            Ok(Verdict::Elsewhere(outcome)) => {
                let (transaction, change) = self.new_transaction(begun, asked.clone());
                let key = begun.browser.session.as_deref().map(Session::key).unwrap_or_default();
                let pausing = Pausing { transaction, by: CameBy::Session(key), outcome: *outcome };
                self.pause(pausing, begun.now, trace).map(|(answer, transaction)| (answer, transaction, change))
            }
            Err(error) => Err(error),
        };
        let (answer, transaction, change) = match paused {
            Ok(paused) => paused,
            Err(error) => return Err(self.refuse_session(begun, session, error, trace).await?),
        };
        let key = LoginTransaction::key(&transaction.id);
        let put = Op::Put { key, value: encode(&Stored::Running(Box::new(transaction)))?, ttl: self.lifetimes.transaction + REMAINS };
        self.sessions.commit(vec![put, trace_op(begun.correlation_id, Part::Begin, trace)?]).await?;
        Ok(Err(Box::new(Outcome { answer, binding: change, session: CookieChange::Keep, correlation_id: None })))
    }

    /// Scripts have refused what the session would have answered; the session stays.
    async fn refuse_session(&self, begun: &Begun<'_>, session: &Session, error: Error, trace: &mut Trace) -> Result<Error> {
        let wire = error.kind.wire();
        self.events.login(&session.identity.connection, wire.code);
        let ended = Ended {
            client_id: &begun.application.client_id,
            connection: &session.identity.connection,
            correlation_id: begun.correlation_id,
            now: begun.now,
        };
        self.note_failed_login(ended, &error, wire.problem);
        if error.kind == ErrorKind::StoreUnavailable {
            return Ok(error);
        }
        trace.note(begun.now, Note::Refused { code: wire.code.to_owned(), reason: wire.problem.to_owned(), detail: error.detail.clone() });
        let recent = RecentLogin {
            correlation_id: begun.correlation_id.to_owned(),
            at: begun.now,
            connection: session.identity.connection.clone(),
            application: begun.application.client_id.clone(),
            user_id: Some(session.user_id.clone()),
            outcome: wire.code.to_owned(),
        };
        self.sessions.commit(vec![trace_op(begun.correlation_id, Part::Begin, trace)?, recent_op(&recent)?]).await?;
        Ok(error)
    }

    /// The answer to the application, in its protocol.
    pub(super) fn issue(&self, issue: &Issue<'_>, trace: &mut Trace) -> Result<Issued> {
        match issue.reply_to {
            ReplyTo::Oidc(redirect) => self.issue_code(issue, redirect, trace),
            ReplyTo::Saml(reply) => self.issue_assertion(issue, reply, trace),
        }
    }

    fn issue_code(&self, issue: &Issue<'_>, redirect: &CheckedRedirect, trace: &mut Trace) -> Result<Issued> {
        let grant_id = id::random_id();
        let code = AuthorizationCode::issue(&grant_id, issue.asked.scopes.contains("offline_access"))?;
        let grant = CodeGrant {
            binding: CodeBinding {
                client_id: issue.application.client_id.clone(),
                redirect_uri: redirect.redirect_uri().to_owned(),
                code_challenge: issue.asked.code_challenge.clone(),
            },
            nonce: issue.asked.nonce.clone(),
            scopes: issue.asked.scopes.clone(),
            unscripted_scopes: (issue.asked.scopes != *issue.unscripted_scopes).then(|| issue.unscripted_scopes.clone()),
            audience: issue.asked.audience.clone(),
            user_id: issue.session.user_id.clone(),
            identity: issue.session.identity.clone(),
            sid: issue.session.sid.clone(),
            auth_time: issue.session.auth_time,
            acr: issue.session.acr.clone(),
            profile: issue.profile.clone(),
            transient: issue.transient.to_vec(),
            scripted: issue.scripted.clone(),
            correlation_id: issue.correlation_id.to_owned(),
            expires_at: issue.now.plus_seconds(self.lifetimes.code.cast_signed()),
        };
        let lives = self.lifetimes.session + u64::from(self.lifetimes.access_token);
        let listed = grant_op(&issue.session.sid, &grant_id, &issue.application.client_id, lives)?;
        let key = CodeGrant::key(&grant_id, &code.digest());
        let put = Op::Put { key: key.clone(), value: encode(&grant)?, ttl: self.lifetimes.code };
        trace.note(
            issue.now,
            Note::Finished { reply: format!("a code for {} at {}", issue.application.client_id, redirect.redirect_uri()) },
        );
        let response = redirect.success(&self.issuer, &code);
        let answer = Answer::Reply(Reply::Oidc { client_id: redirect.client_id().to_owned(), response });
        Ok(Issued { answer, claims: Vec::new(), writes: vec![put, listed], secrets: vec![key] })
    }
}
