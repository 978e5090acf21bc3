//! The end of a login: an answer for the application, from a session that exists or has just been made.

use super::begin::{Begun, trace_op};
use super::give::{Beside, Granted};
use super::happened::Ended;
use super::rules::{Made, Pausing, Situation, Verdict};
use super::sessions::grant_op;
use super::traces::{RecentLogin, SINGLE_SIGN_ON, recent_op};
use super::{Answer, CookieChange, Gateway, Outcome, REMAINS, Reply, encode, once_op};
use crate::application::Application;
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::id;
use crate::login::trace::{Part, Step as Note, Trace};
use crate::login::{Asked, CameBy, CodeGrant, LoginTransaction, ReplyTo, Scripted, Session, Stored};
use crate::oidc::{AccessToken, AuthorizationCode, CheckedRedirect, CodeBinding, KeyConfirmation, ResponseType, Scopes, Success};
use crate::profile::Written;
use crate::secret::Secret;
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
        match self.may_issue(&issue, &mut trace).await {
            Ok(true) => {}
            Ok(false) => return self.ask_from_session(begun, before, &issue, &mut trace).await,
            Err(error) => return Err(self.refuse_session(begun, session, error, &mut trace).await?),
        }
        let issued = self.issue(&issue, &mut trace).await?;
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
        if let Some(binding) = &begun.browser.binding {
            self.forget_hint(&id::digest(binding), &session.identity.connection).await?;
        }
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
        let (redirect_uri, protocol) = (begun.reply_to.address(), begun.reply_to.protocol());
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

    /// Scripts, or the lack of a consent, have refused what the session would have answered; the session stays.
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
    pub(super) async fn issue(&self, issue: &Issue<'_>, trace: &mut Trace) -> Result<Issued> {
        match issue.reply_to {
            ReplyTo::Oidc(redirect) => Box::pin(self.issue_by_oidc(issue, redirect, trace)).await,
            ReplyTo::Saml(reply) => self.issue_assertion(issue, reply, trace),
            ReplyTo::Device(reply) => self.issue_to_device(issue, reply, trace).await,
        }
    }

    /// What the response type names. All of it is one grant: whoever presents the code twice ends the access token too.
    async fn issue_by_oidc(&self, issue: &Issue<'_>, redirect: &CheckedRedirect, trace: &mut Trace) -> Result<Issued> {
        let kind = issue.asked.response_type;
        let grant_id = id::random_id();
        let mut issued = Writes::default();
        let code = kind.gives_code().then(|| self.issue_code(issue, redirect, &grant_id, &mut issued)).transpose()?;
        let front = if kind.is_implicit() {
            self.issue_tokens(issue, redirect, (&grant_id, code.as_ref()), &mut issued, trace).await?
        } else {
            Front::default()
        };
        let lives = self.lifetimes.session + u64::from(self.lifetimes.access_token);
        issued.writes.push(grant_op(&issue.session.sid, &grant_id, &issue.application.client_id, lives)?);
        let what = if kind == ResponseType::Code { "a code" } else { kind.as_str() };
        let reply = format!("{what} for {} at {}", issue.application.client_id, redirect.redirect_uri());
        trace.note(issue.now, Note::Finished { reply });
        let scopes = issue.asked.scopes.to_string();
        let given = Success {
            code: code.as_ref(),
            access_token: front.access_token.as_ref().map(|(token, expires_in)| (token, *expires_in)),
            scopes: &scopes,
            id_token: front.id_token.as_ref(),
        };
        let response = redirect.success(&self.issuer, &given);
        let answer = Answer::Reply(Reply::Oidc { client_id: redirect.client_id().to_owned(), response });
        let claims = self.spend(issue, &mut issued);
        Ok(Issued { answer, claims, writes: issued.writes, secrets: issued.secrets })
    }

    /// What this answer uses up (RFC 9126 4, RFC 9101 10.8): the claims that make it the only one, and beside them marks that
    /// can be read. A login that began before the end of what it uses may end after it.
    fn spend(&self, issue: &Issue<'_>, issued: &mut Writes) -> Vec<Op> {
        let ttl = |until: Timestamp| u64::try_from(until.seconds_since(issue.now)).unwrap_or(0).max(self.lifetimes.transaction + REMAINS);
        let once = &issue.asked.once;
        issued.writes.extend(once.iter().map(|spent| Op::Put { key: spent.mark(), value: b"1".to_vec(), ttl: ttl(spent.until) }));
        once.iter().map(|spent| once_op(&spent.name, ttl(spent.until))).collect()
    }

    fn issue_code(&self, issue: &Issue<'_>, redirect: &CheckedRedirect, grant_id: &str, issued: &mut Writes) -> Result<AuthorizationCode> {
        let asked = issue.asked;
        let code = AuthorizationCode::issue(grant_id, asked.scopes.contains("offline_access"))?;
        let lives = code_lifetime(issue.application, self.lifetimes.code);
        let binding = CodeBinding {
            client_id: issue.application.client_id.clone(),
            redirect_uri: redirect.redirect_uri().to_owned(),
            code_challenge: asked.code_challenge.clone(),
            dpop_jkt: asked.dpop_jkt.clone(),
        };
        let grant = code_grant(issue, binding, issue.now.plus_seconds(lives.cast_signed()));
        let key = CodeGrant::key(grant_id, &code.digest());
        issued.writes.push(Op::Put { key: key.clone(), value: encode(&grant)?, ttl: lives });
        issued.secrets.push(key);
        Ok(code)
    }

    /// What the authorization response itself carries beside a code (Core 3.2.2.5, 3.3.2.5).
    async fn issue_tokens(
        &self,
        issue: &Issue<'_>,
        redirect: &CheckedRedirect,
        (grant_id, code): (&str, Option<&AuthorizationCode>),
        issued: &mut Writes,
        trace: &mut Trace,
    ) -> Result<Front> {
        let kind = issue.asked.response_type;
        let mut granted = granted(issue, grant_id);
        let release = self.release(issue.application, &mut granted, "the authorization endpoint", trace, issue.now)?;
        let access_token = if kind.gives_access_token() {
            let given = self.access_token(issue.application, &granted, &release, issue.now).await?;
            issued.writes.push(given.put);
            issued.secrets.push(given.key);
            Some((given.token, given.expires_in))
        } else {
            None
        };
        // Core 5.4: what the scopes give stands in the ID token only where there is no access token to ask UserInfo with.
        let claims = if kind == ResponseType::IdToken { &release.id_token } else { &release.asked_of_id_token };
        let beside = Beside { access_token: access_token.as_ref().map(|(token, _)| token), code, state: redirect.state() };
        let id_token = match kind.gives_id_token() {
            true => Some(self.id_token(issue.application, &granted, claims, beside, issue.now).await?),
            false => None,
        };
        Ok(Front { access_token, id_token })
    }
}

/// The record behind a code, or behind a device that asks again.
pub(super) fn code_grant(issue: &Issue<'_>, binding: CodeBinding, expires_at: Timestamp) -> CodeGrant<Written> {
    let asked = issue.asked;
    CodeGrant {
        binding,
        nonce: asked.nonce.clone(),
        claims: asked.claims.clone(),
        scopes: asked.scopes.clone(),
        unscripted_scopes: (asked.scopes != *issue.unscripted_scopes).then(|| issue.unscripted_scopes.clone()),
        audience: asked.audience.clone(),
        user_id: issue.session.user_id.clone(),
        identity: issue.session.identity.clone(),
        sid: issue.session.sid.clone(),
        auth_time: issue.session.auth_time,
        acr: issue.session.acr.clone(),
        amr: issue.session.methods_told(),
        profile: issue.profile.clone(),
        transient: issue.transient.to_vec(),
        scripted: issue.scripted.clone(),
        correlation_id: issue.correlation_id.to_owned(),
        expires_at,
    }
}

/// Seconds. FAPI 2.0 5.3.2.1: a minute at most, whatever is configured.
fn code_lifetime(application: &Application, configured: u64) -> u64 {
    let most = if application.oidc.as_ref().is_some_and(|client| client.fapi2) { 60 } else { u64::MAX };
    configured.min(most)
}

/// What must be stored before the answer is sent, and the keys of what must not stay where it is not sent.
#[derive(Default)]
struct Writes {
    writes: Vec<Op>,
    secrets: Vec<String>,
}

/// Tokens in the authorization response.
#[derive(Default)]
struct Front {
    /// With the seconds that it lives.
    access_token: Option<(AccessToken, u32)>,
    id_token: Option<Secret<String>>,
}

fn granted(issue: &Issue<'_>, grant_id: &str) -> Granted {
    let (asked, session) = (issue.asked, issue.session);
    Granted {
        grant_id: grant_id.to_owned(),
        user_id: session.user_id.clone(),
        identity: session.identity.clone(),
        sid: session.sid.clone(),
        scopes: asked.scopes.clone(),
        unscripted_scopes: None,
        audience: asked.audience.clone(),
        nonce: asked.nonce.clone(),
        claims: asked.claims.clone(),
        auth_time: session.auth_time,
        acr: session.acr.clone(),
        amr: session.methods_told(),
        profile: issue.profile.value().as_object().cloned().unwrap_or_default(),
        transient: issue.transient.to_vec(),
        scripted: issue.scripted.clone(),
        confirmation: KeyConfirmation::default(),
        correlation_id: issue.correlation_id.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::application::ProfileUse;
    use crate::oidc::ClientFacts;
    use crate::profile::{Direction, MappingLibrary};
    use std::sync::Arc;

    #[test]
    fn fapi_2_codes_live_for_a_minute_at_most() {
        let mapping = MappingLibrary::built_in().table("oidc", Direction::FromProfile).expect("built in");
        let of = |fapi2| Application {
            client_id: "bank".into(),
            name: "Bank".into(),
            enabled: true,
            connections: None,
            mapping: Arc::clone(&mapping),
            profile: ProfileUse::default(),
            oidc: Some(ClientFacts { fapi2, ..ClientFacts::public("bank") }),
            saml: None,
            by_metadata: None,
        };
        assert_eq!((code_lifetime(&of(true), 600), code_lifetime(&of(true), 30)), (60, 30));
        assert_eq!(code_lifetime(&of(false), 600), 600);
    }
}
