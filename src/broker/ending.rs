//! The good end of a login: its scripts, its session, what the application gets, and the marks by which it happens once.

use super::begin::trace_op;
use super::finish::{Issue, Issued};
use super::happened::Ended;
use super::identify::{Identified, Profiles};
use super::logout::session_ops;
use super::next;
use super::refuse::recent;
use super::rules::{Caller, Made, Pausing, Situation, Verdict, query_of};
use super::sessions::session_op;
use super::traces::{SUCCESS, recent_op};
use super::{CookieChange, Gateway, Outcome, REMAINS, decode, encode, remains};
use crate::application::Application;
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::id;
use crate::login::trace::{Part, Step as Note, Trace};
use crate::login::{Arrived, CameBy, LoginTransaction, Session};
use crate::profile::Written;
use crate::rules::Resume;
use crate::store::{LogType, Op};
use serde_json::Map;

/// Earlier sessions of a browser that one stands for.
const REPLACED: usize = 8;

/// A login that ends well.
pub(super) struct Ending<'a> {
    pub transaction: &'a LoginTransaction,
    /// Store key of the transaction.
    pub key: &'a str,
    /// Of the trace.
    pub part: Part,
    pub now: Timestamp,
    pub caller: Option<&'a Caller>,
    /// The person comes back from where a script had sent them.
    pub resume: Option<Resume>,
}

impl Gateway {
    /// Session, code and what remains of the login, in one step with the marks that make it happen once.
    pub(super) async fn end_login(
        &self,
        ending: &Ending<'_>,
        arrived: &Arrived,
        identified: Identified,
        once: Vec<Op>,
        trace: &mut Trace,
    ) -> Result<Outcome> {
        let Ending { transaction, key, part, now, .. } = *ending;
        let application = self
            .application(&transaction.client_id)
            .ok_or_else(|| Error::new(ErrorKind::UnauthorizedClient, "The application is not enabled any more."))?;
        // By whatever way the login has come here, it is one that the application accepts.
        if !self.accepts(application, &arrived.identity.connection) {
            return Err(Error::new(ErrorKind::UnknownConnection, "The application does not accept this way to sign in."));
        }
        self.check_expected(application, transaction, &identified.user_id, arrived.acr.as_deref())?;
        // A password that was right when it was typed may be another by now.
        let typed_here = self.connections.enabled(&arrived.identity.connection).is_some_and(|connection| connection.asks_password());
        if typed_here && self.ended_after(&identified.user_id, arrived.auth_time).await? {
            return Err(Error::new(ErrorKind::AccessDenied, "Everything of this account was ended meanwhile. Sign in again."));
        }
        if ending.resume.is_none() {
            self.keep_factor(arrived, now).await?;
        }
        let cookie = id::random_token();
        let Profiles { lasting, mut of_transaction, mut transient } = identified.profiles;
        let mut session = self.new_session(transaction, arrived, (&cookie, identified.user_id), lasting, now);
        let (mut made, mut once) = (Made::default(), once);
        if self.scripts.has_login() {
            // Scripts may do what cannot be done twice: only who has the answer runs them.
            if ending.resume.is_none() {
                let step = self.step_claim(transaction, "scripts");
                self.commit_once(vec![step], std::mem::take(&mut once), Vec::new(), &[]).await?;
            }
            made = match self.run_scripts(situation_of(ending, application, &session, &of_transaction, &transient), trace).await? {
                Verdict::Go(made) => *made,
                Verdict::Elsewhere(outcome) => {
                    // The tokens are kept already.
                    let by = CameBy::Idp(Box::new(Arrived { tokens: None, ..arrived.clone().lasting() }));
                    let pausing = Pausing { transaction: transaction.clone(), by, outcome: *outcome };
                    return self.wait_elsewhere(ending, pausing, trace).await;
                }
            };
            if let Some(primary) = made.primary.take() {
                trace.note(now, Note::User { user_id: primary.user_id.clone(), created: false, why: "a rule set the primary user".into() });
                of_transaction = self.profile_of(&primary)?;
                transient = Vec::new();
                (session.profile, session.user_id) = (of_transaction.clone(), primary.user_id);
                self.check_expected(application, transaction, &session.user_id, arrived.acr.as_deref())?;
            }
        }
        let asked = made.asked(&transaction.asked);
        let replaced = self.replaced_by(transaction, &mut session).await?;
        let issue = Issue {
            application,
            reply_to: &transaction.reply_to,
            asked: &asked,
            session: &session,
            profile: &of_transaction,
            transient: &transient,
            scripted: made.scripted,
            unscripted_scopes: &transaction.asked.scopes,
            correlation_id: &transaction.correlation_id,
            now,
        };
        // Whoever has to be asked what the application may see has signed in all the same.
        let (issued, end) = if self.may_issue(&issue, trace).await? {
            let used = remains(&transaction.browser, &transaction.correlation_id, &transaction.restart)?;
            (self.issue(&issue, trace).await?, Op::Put { key: key.to_owned(), value: used, ttl: REMAINS })
        } else {
            let (answer, waits) = self.asking(transaction, &issue, (Session::key(&cookie), false))?;
            (Issued { answer, claims: Vec::new(), writes: Vec::new(), secrets: Vec::new() }, waits)
        };
        let ttl = u64::try_from(session.expires_at.seconds_since(now)).unwrap_or(0).max(1);
        let mut secrets = issued.secrets;
        secrets.push(Session::key(&cookie));
        let mut writes = vec![
            Op::Put { key: Session::key(&cookie), value: encode(&session)?, ttl },
            session_op(&session, self.lifetimes.session),
            end,
            trace_op(&transaction.correlation_id, part, trace)?,
            recent_op(&recent(transaction, &session.identity.connection, Some(&session.user_id), SUCCESS, now))?,
        ];
        writes.extend(issued.writes);
        let idp = session.upstream.idp.clone().or_else(|| self.connections.enabled(&session.identity.connection)?.idp_entity_id());
        let before = session.before.last().map(String::as_str);
        writes.extend(session_ops(&session, idp.as_deref(), before, self.lifetimes.session));
        // The session that this browser had before is over.
        writes.extend(transaction.previous_session.iter().map(|old| Op::Delete { key: old.clone() }));
        let steps = std::iter::once(self.step_claim(transaction, "end")).chain(issued.claims).collect();
        self.commit_once(steps, once, writes, &secrets).await?;
        if let Some(other) = replaced {
            self.tell_of_end(&other, now).await?;
        }
        let ended = Ended {
            client_id: &transaction.client_id,
            connection: &session.identity.connection,
            correlation_id: &transaction.correlation_id,
            now,
        };
        self.note_login(LogType::Login, ended, &session.user_id);
        // A fresh cookie value at every login: a session that somebody planted before is worth nothing.
        Ok(Outcome { answer: issued.answer, binding: CookieChange::Keep, session: CookieChange::Set(cookie), correlation_id: None })
    }

    /// The session that this browser had before: one of the same user goes on in the new one, whose end concerns the
    /// applications of both. That of another user is over.
    async fn replaced_by(&self, transaction: &LoginTransaction, session: &mut Session) -> Result<Option<Session>> {
        let Some(key) = &transaction.previous_session else { return Ok(None) };
        let found = self.sessions.get_many(std::slice::from_ref(key)).await?.into_iter().next().flatten();
        let Some(mut old) = found.map(|bytes| decode::<Session>(&bytes)).transpose()? else { return Ok(None) };
        if old.user_id != session.user_id {
            return Ok(Some(old));
        }
        session.before = std::mem::take(&mut old.before);
        session.before.push(old.sid);
        let over = session.before.len().saturating_sub(REPLACED);
        session.before.drain(..over);
        Ok(None)
    }

    /// Claims and writes in one round trip. `steps` are claims of this step of this login, and of the request that it
    /// answers: where one is not ours, the same was sent twice, and the other has the login. Where one of `once` is not
    /// ours, the identity provider's answer was used in another login. Either way `secrets` are taken back: nobody has
    /// learned these keys.
    pub(super) async fn commit_once(&self, steps: Vec<Op>, once: Vec<Op>, writes: Vec<Op>, secrets: &[String]) -> Result<()> {
        let (first, count) = (steps.len(), steps.len() + once.len());
        let answers = self.sessions.commit(steps.into_iter().chain(once).chain(writes).collect()).await?;
        let mut ours = answers.iter().copied();
        let step = answers.len() >= count && ours.by_ref().take(first).all(|ours| ours);
        if step && ours.take(count - first).all(|ours| ours) {
            return Ok(());
        }
        self.sessions.commit(secrets.iter().map(|key| Op::Delete { key: key.clone() }).collect()).await?;
        if step {
            Err(Error::new(ErrorKind::IdpResponseReplayed, "This answer was used before."))
        } else {
            Err(Error::new(ErrorKind::LoginAlreadyFinished, ""))
        }
    }

    /// The mark that a step of a login is taken once.
    pub(super) fn step_claim(&self, transaction: &LoginTransaction, step: &str) -> Op {
        // A login that has expired is refused anyway; the rest is for nodes whose clocks differ.
        Op::Claim { key: format!("login-used:{}:{step}", transaction.id), ttl: self.lifetimes.transaction + 600 }
    }

    fn new_session(
        &self,
        transaction: &LoginTransaction,
        arrived: &Arrived,
        (cookie, user_id): (&str, String),
        profile: Written,
        now: Timestamp,
    ) -> Session {
        let own_end = now.plus_seconds(self.lifetimes.session.cast_signed());
        let expires_at = arrived.upstream.not_on_or_after.map_or(own_end, |end| end.min(own_end));
        Session {
            sid: Session::sid_of(cookie),
            user_id,
            identity: arrived.identity.clone(),
            profile,
            auth_time: arrived.auth_time,
            auth_time_by: arrived.auth_time_by,
            acr: arrived.acr.clone(),
            amr: arrived.amr.clone(),
            created_at: now,
            expires_at,
            upstream: arrived.upstream.clone(),
            correlation_id: transaction.correlation_id.clone(),
            before: Vec::new(),
        }
    }

    fn check_expected(&self, application: &Application, transaction: &LoginTransaction, user_id: &str, acr: Option<&str>) -> Result<()> {
        next::check_arrived(&transaction.asked, acr, &self.subject_for(application, user_id)?)
    }
}

/// The login as its scripts see it.
fn situation_of<'a>(
    ending: &'a Ending<'_>,
    application: &'a Application,
    session: &'a Session,
    profile: &Written,
    transient: &'a [String],
) -> Situation<'a> {
    let transaction = ending.transaction;
    let query = transaction.restart.query();
    Situation {
        application,
        user_id: &session.user_id,
        identity: &session.identity,
        profile: profile.value().as_object().cloned().unwrap_or_default(),
        transient,
        protocol: transaction.reply_to.protocol(),
        single_sign_on: false,
        sid: &session.sid,
        auth_time: session.auth_time,
        amr: &session.amr,
        scopes: &transaction.asked.scopes,
        audience: transaction.asked.audience.as_deref(),
        asked: Some(&transaction.asked),
        redirect_uri: transaction.reply_to.address(),
        query: query_of(query.as_bytes()),
        body: Map::new(),
        caller: ending.caller,
        correlation_id: &transaction.correlation_id,
        resume: ending.resume.clone(),
        no_redirect: transaction.asked.passive,
        now: ending.now,
    }
}
