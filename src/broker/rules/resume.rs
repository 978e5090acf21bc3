//! A script sends the person to another page, and `/continue` takes them back.
//!
//! The login waits in its transaction, bound to the browser that began it, no longer than the transaction lives. The
//! address of the page gets a `state` that is good for one return; a script that sends the person away once more gives a
//! new one. Neither session nor code is made before all scripts have run to their end.

use super::{Made, Situation, Verdict, context};
use crate::broker::begin::trace_op;
use crate::broker::ending::Ending;
use crate::broker::finish::Issue;
use crate::broker::happened::Ended;
use crate::broker::identify::{Identified, Profiles};
use crate::broker::refuse::{Refusing, plain};
use crate::broker::traces::{RecentLogin, SINGLE_SIGN_ON, recent_op};
use crate::broker::{Answer, Browser, Gateway, Outcome, REMAINS, decode, encode, remains};
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::id;
use crate::login::trace::{Part, Step as Note, Trace};
use crate::login::{Arrived, Asked, CameBy, LoginTransaction, PendingScript, Session, Stage, Stored};
use crate::oidc::Params;
use crate::rules::{self, Ran, Resume};
use crate::store::{LogType, Op};
use serde_json::{Map, Value};
use url::Url;

/// How often one login may go to other pages.
const MOST_STEPS: u32 = 10;

/// What came to `/continue`.
#[derive(Clone, Copy, Debug)]
pub struct Return<'a> {
    pub query: &'a [u8],
    /// Of a POST.
    pub form: Option<&'a [u8]>,
    /// Our own page has sent the form again already.
    pub bounced: bool,
}

/// A login that a script interrupts.
pub(in crate::broker) struct Pausing {
    pub transaction: LoginTransaction,
    pub by: CameBy,
    pub outcome: rules::Outcome,
}

impl Gateway {
    /// The page to go to, and the transaction that waits for the return.
    pub(in crate::broker) fn pause(&self, pausing: Pausing, now: Timestamp, trace: &mut Trace) -> Result<(Answer, LoginTransaction)> {
        let Pausing { transaction, by, mut outcome } = pausing;
        let refuse = |why: &'static str| Error::new(ErrorKind::ScriptFailed, "A rule sends people where they cannot be sent.").because(why);
        let redirect = outcome.redirect.take().ok_or_else(|| refuse("there is no address"))?;
        let steps = match &transaction.stage {
            Stage::AwaitingScript(pending) => pending.steps.saturating_add(1),
            _ => 1,
        };
        if steps > MOST_STEPS {
            return Err(refuse("the login has been sent to other pages ten times"));
        }
        let mut url = Url::parse(&redirect.url).map_err(|_| refuse("the address is no absolute URL"))?;
        if !(url.scheme() == "https" || url.scheme() == "http" && is_loopback(&url)) {
            return Err(refuse("the address is not https"));
        }
        let state = format!("{}{}", transaction.id, id::random_id());
        url.query_pairs_mut().append_pair("state", &state);
        let place = url.host_str().unwrap_or_default().to_owned();
        trace.note(now, Note::Decision { what: format!("the person is sent to {place}"), why: "a rule or an action wants that".into() });
        // The trace has the runs. Of the last one the kind is needed: it says whether a rule or an action waits.
        let last = outcome.ran.pop();
        outcome.ran.clear();
        outcome.ran.extend(last.map(|ran| Ran { changes: Vec::new(), log: Vec::new(), ..ran }));
        let so_far =
            serde_json::to_value(&outcome).map_err(|error| Error::new(ErrorKind::Internal, "a record cannot be written").because(error))?;
        let pending = PendingScript { state, steps, script: redirect.script, so_far, by };
        Ok((Answer::Elsewhere(url.into()), transaction.waiting_for(pending)))
    }

    /// Stores a login that waits, in the place of the one that ran.
    pub(in crate::broker) async fn wait_elsewhere(&self, ending: &Ending<'_>, pausing: Pausing, trace: &mut Trace) -> Result<Outcome> {
        let (answer, transaction) = self.pause(pausing, ending.now, trace)?;
        let put = Op::Put {
            key: ending.key.to_owned(),
            value: encode(&Stored::Running(Box::new(transaction)))?,
            ttl: self.lifetimes.transaction + REMAINS,
        };
        self.sessions.commit(vec![put, trace_op(&ending.transaction.correlation_id, ending.part, trace)?]).await?;
        Ok(Outcome::of(answer))
    }

    /// The person comes back from where a script had sent them.
    pub async fn continue_login(&self, back: Return<'_>, browser: &Browser, now: Timestamp) -> Outcome {
        match self.continue_inner(back, browser, now).await {
            Ok(outcome) => outcome,
            Err(error) => Outcome::refused(error, None),
        }
    }

    async fn continue_inner(&self, back: Return<'_>, browser: &Browser, now: Timestamp) -> Result<Outcome> {
        let query = Params::parse_noting_repeats(back.query)?;
        let form = Params::parse_noting_repeats(back.form.unwrap_or_default())?;
        let missing = || Error::new(ErrorKind::InvalidRequest, "the parameter state is missing");
        let state = query.get("state").or_else(|| form.get("state")).ok_or_else(missing)?;
        let transaction_id = state.get(..32).filter(|id| id.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let transaction_id =
            transaction_id.ok_or_else(|| Error::new(ErrorKind::LoginExpired, "This sign-in is not known here any more."))?;
        // SameSite=Lax cookies are absent from a cross-site POST: have our own page send it again.
        let again = back.form.is_some() && !back.bounced;
        if browser.binding.is_none() {
            return if again { Ok(Outcome::of(Answer::Bounce)) } else { Err(Error::new(ErrorKind::CookiesBlocked, "")) };
        }
        let transaction = match self.login_of(transaction_id, browser, now).await? {
            Ok(transaction) => transaction,
            Err(outcome) => return Ok(*outcome),
        };
        let pending = match &transaction.stage {
            Stage::AwaitingScript(pending) if id::eq_constant_time(pending.state.as_bytes(), state.as_bytes()) => pending.as_ref().clone(),
            _ => {
                let error = Error::new(ErrorKind::LoginExpired, "This step of the sign-in is over.");
                return Ok(Outcome::refused(error, Some(transaction.restart)).in_login(&transaction.correlation_id));
            }
        };
        if matches!(pending.by, CameBy::Session(_)) && browser.session.is_none() && again {
            return Ok(Outcome::of(Answer::Bounce));
        }
        let (key, correlation_id) = (LoginTransaction::key(&transaction.id), transaction.correlation_id.clone());
        self.commit_once(vec![self.step_claim(&transaction, &format!("continue:{}", id::digest(state)))], Vec::new(), Vec::new(), &[])
            .await?;
        let mut trace = self.trace_so_far(&correlation_id).await?;
        trace.note(now, Note::Decision { what: "the person has come back".into(), why: "the rules go on".into() });
        let resume = Resume {
            script: pending.script.clone(),
            so_far: decode(pending.so_far.to_string().as_bytes())?,
            query: all_of(&query),
            body: all_of(&form),
        };
        let caller = browser.caller.as_deref();
        let ending = Ending { transaction: &transaction, key: &key, part: Part::Continue, now, caller, resume: Some(resume) };
        let (connection, result) = match &pending.by {
            CameBy::Idp(arrived) => (arrived.identity.connection.clone(), self.continue_arrived(&ending, arrived, &mut trace).await),
            CameBy::Session(session) => self.continue_session(&ending, session, browser, &mut trace).await?,
        };
        let outcome = match result {
            Ok(outcome) => outcome,
            Err(error) => {
                let refusing = Refusing { connection: &connection, transaction: &transaction, key: &key, part: Part::Continue, now };
                self.refuse_login(&refusing, plain(error), trace).await?
            }
        };
        Ok(outcome.in_login(&correlation_id))
    }

    async fn trace_so_far(&self, correlation_id: &str) -> Result<Trace> {
        let found = self.sessions.get_many(&[Trace::key(correlation_id, Part::Continue)]).await?.into_iter().next().flatten();
        found.map(|bytes| decode::<Trace>(&bytes)).transpose().map(Option::unwrap_or_default)
    }

    /// What is not to be kept was lost when the person went; the rest is as the directory has it now.
    async fn continue_arrived(&self, ending: &Ending<'_>, arrived: &Arrived, trace: &mut Trace) -> Result<Outcome> {
        let gone = || Error::new(ErrorKind::UserBlocked, "This account may not sign in any more.");
        let identity = &arrived.identity;
        let user = self.directory.user_of(&identity.connection, &identity.user_id).await?.filter(|user| !user.blocked).ok_or_else(gone)?;
        if !user.identity(&identity.connection, &identity.user_id).is_some_and(|stored| self.lets_in(stored)) {
            return Err(gone());
        }
        let profile = self.profile_of(&user)?;
        let profiles = Profiles { lasting: profile.clone(), of_transaction: profile, transient: Vec::new() };
        let identified = Identified { user_id: user.user_id, profiles };
        let outcome = self.end_login(ending, arrived, identified, Vec::new(), trace).await?;
        if matches!(outcome.answer, Answer::Reply(_)) {
            self.events.login(&identity.connection, "success");
        }
        Ok(outcome)
    }

    /// The session that was to answer goes on to do so, if it is still there and this browser's.
    async fn continue_session(
        &self,
        ending: &Ending<'_>,
        key: &str,
        browser: &Browser,
        trace: &mut Trace,
    ) -> Result<(String, Result<Outcome>)> {
        let over = || Error::new(ErrorKind::LoginRequired, "The session is over.");
        let session =
            self.session(browser, ending.now).await?.filter(|_| browser.session.as_deref().map(Session::key).as_deref() == Some(key));
        let Some(session) = session else { return Ok((String::new(), Err(over()))) };
        let Some(standing) = self.standing(&session).await? else { return Ok((String::new(), Err(over()))) };
        let connection = session.identity.connection.clone();
        let result = self.end_by_session(ending, &session, &standing.profile, trace).await;
        Ok((connection, result))
    }

    async fn end_by_session(
        &self,
        ending: &Ending<'_>,
        session: &Session,
        profile: &crate::profile::Written,
        trace: &mut Trace,
    ) -> Result<Outcome> {
        let Ending { transaction, key, part, now, .. } = *ending;
        let application = self
            .application(&transaction.client_id)
            .ok_or_else(|| Error::new(ErrorKind::UnauthorizedClient, "The application is not enabled any more."))?;
        if !self.accepts(application, &session.identity.connection) {
            return Err(Error::new(ErrorKind::UnknownConnection, "The application does not accept this way to sign in."));
        }
        let query = transaction.restart.query();
        let situation = Situation {
            resume: ending.resume.clone(),
            caller: ending.caller,
            protocol: transaction.reply_to.protocol(),
            ..self.situation_of_session(
                session,
                profile,
                application,
                &transaction.asked,
                query.as_bytes(),
                &transaction.correlation_id,
                now,
            )
        };
        let made = match self.run_scripts(situation, trace).await? {
            Verdict::Go(made) => made,
            Verdict::Elsewhere(outcome) => {
                let by = came_by(transaction)?;
                return self.wait_elsewhere(ending, Pausing { transaction: transaction.clone(), by, outcome: *outcome }, trace).await;
            }
        };
        // Whose session it is cannot change without its end.
        if made.primary.is_some() {
            return Err(super::other_user());
        }
        let (asked, scripted) = (made.asked(&transaction.asked), made.scripted);
        let issue = Issue {
            application,
            reply_to: &transaction.reply_to,
            asked: &asked,
            session,
            profile,
            transient: &[],
            scripted,
            unscripted_scopes: &transaction.asked.scopes,
            correlation_id: &transaction.correlation_id,
            now,
        };
        if !self.may_issue(&issue, trace).await? {
            let CameBy::Session(session_key) = came_by(transaction)? else { return Err(waits_for_nobody()) };
            let (answer, put) = self.asking(transaction, &issue, (session_key, true))?;
            self.sessions.commit(vec![put, trace_op(&transaction.correlation_id, part, trace)?]).await?;
            return Ok(Outcome::of(answer));
        }
        let issued = self.issue(&issue, trace).await?;
        let recent = RecentLogin {
            correlation_id: transaction.correlation_id.clone(),
            at: now,
            connection: session.identity.connection.clone(),
            application: application.client_id.clone(),
            user_id: Some(session.user_id.clone()),
            outcome: SINGLE_SIGN_ON.to_owned(),
        };
        let used = remains(&transaction.browser, &transaction.correlation_id, &transaction.restart)?;
        let mut writes = issued.writes;
        writes.extend([
            Op::Put { key: key.to_owned(), value: used, ttl: REMAINS },
            trace_op(&transaction.correlation_id, part, trace)?,
            recent_op(&recent)?,
        ]);
        self.commit_once(issued.claims, Vec::new(), writes, &issued.secrets).await?;
        self.events.login(&session.identity.connection, SINGLE_SIGN_ON);
        let ended = Ended {
            client_id: &transaction.client_id,
            connection: &session.identity.connection,
            correlation_id: &transaction.correlation_id,
            now,
        };
        self.note_login(LogType::SilentLogin, ended, &session.user_id);
        Ok(Outcome::of(issued.answer))
    }

    /// Single sign-on, as scripts see it.
    #[expect(clippy::too_many_arguments, reason = "two callers, which name every one")]
    pub(in crate::broker) fn situation_of_session<'a>(
        &self,
        session: &'a Session,
        profile: &crate::profile::Written,
        application: &'a crate::application::Application,
        asked: &'a Asked,
        query: &[u8],
        correlation_id: &'a str,
        now: Timestamp,
    ) -> Situation<'a> {
        Situation {
            application,
            user_id: &session.user_id,
            identity: &session.identity,
            profile: profile.value().as_object().cloned().unwrap_or_default(),
            transient: &[],
            protocol: "oidc-basic-profile",
            single_sign_on: true,
            sid: &session.sid,
            auth_time: session.auth_time,
            amr: &session.amr,
            scopes: &asked.scopes,
            audience: asked.audience.as_deref(),
            asked: Some(asked),
            redirect_uri: None,
            query: context::query_of(query),
            body: Map::new(),
            caller: None,
            correlation_id,
            resume: None,
            no_redirect: asked.passive,
            now,
        }
    }
}

impl Made {
    /// What was asked, with the scopes as scripts left them.
    pub(in crate::broker) fn asked<'a>(&self, asked: &'a Asked) -> std::borrow::Cow<'a, Asked> {
        match &self.scopes {
            None => std::borrow::Cow::Borrowed(asked),
            Some(scopes) => std::borrow::Cow::Owned(Asked { scopes: scopes.clone(), ..asked.clone() }),
        }
    }
}

/// Parameters that a page may give to a script.
const MOST_PARAMETERS: usize = 100;

/// How the person of a login that scripts have paused came.
fn came_by(transaction: &LoginTransaction) -> Result<CameBy> {
    match &transaction.stage {
        Stage::AwaitingScript(pending) => Ok(pending.by.clone()),
        _ => Err(waits_for_nobody()),
    }
}

fn waits_for_nobody() -> Error {
    Error::new(ErrorKind::Internal, "a login that waits for nobody")
}

/// What the page says to the script, with the `state` that is spent by now. Never recorded.
fn all_of(params: &Params) -> Map<String, Value> {
    let mut found = Map::new();
    for (name, value) in params.iter().take(MOST_PARAMETERS) {
        found.entry(name).or_insert_with(|| Value::from(value));
    }
    found
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}
