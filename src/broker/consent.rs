//! Consent: whether the person has agreed that a third party's application gets what it asks, the question, and the end of
//! what was agreed to.
//!
//! It is the last question of a login, after scripts have settled what is granted. The session is there by then, so that the
//! question outlives a reload, and whoever refuses has signed in all the same. What was agreed to is kept for each person,
//! application and resource server, and grows; who asks for more asks again.

use super::begin::{Begun, trace_op};
use super::finish::Issue;
use super::form::Form;
use super::give::Granted;
use super::happened::Ended;
use super::next::{self, Consent, Step};
use super::refuse::{Refusing, plain};
use super::traces::{RecentLogin, SINGLE_SIGN_ON, recent_op};
use super::{Answer, AskedScope, Browser, ConsentQuestion, Gateway, Outcome, REMAINS, encode, remains};
use crate::application::Application;
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::id;
use crate::login::trace::{Part, Step as Note, Trace};
use crate::login::{Asked, LoginTransaction, PendingConsent, ReplyTo, Session, Stage, Stored};
use crate::oidc::claims::{is_reserved, scope_of};
use crate::oidc::scope::STANDARD_SCOPES;
use crate::oidc::{ClientFacts, Scopes};
use crate::profile::Written;
use crate::store::{ConsentFilter, ConsentRecord, LogType, Op};
use url::{Host, Url};

/// What the person answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConsentChoice {
    /// Shows the question again.
    Look,
    Allow,
    Deny,
}

/// Stands among the claims of an application that sees the whole profile.
const WHOLE_PROFILE: &str = "*";

/// Consents of one person that are ended at once; the rest at the next turn.
const AT_ONCE: usize = 500;

impl Gateway {
    /// May the application be answered at once? `false`: when the person has agreed.
    ///
    /// # Errors
    /// For the application, where nobody may be asked.
    pub(super) async fn may_issue(&self, issue: &Issue<'_>, trace: &mut Trace) -> Result<bool> {
        let given = self.consent_to(issue).await?;
        let decision = next::consent(issue.asked, given);
        match decision.step {
            Step::Issue => Ok(true),
            Step::Refuse(kind) => Err(Error::new(kind, decision.why)),
            _ => {
                trace.note(issue.now, Note::Decision { what: "the person is asked for consent".into(), why: decision.why.into() });
                Ok(false)
            }
        }
    }

    async fn consent_to(&self, issue: &Issue<'_>) -> Result<Consent> {
        if asks_always(issue.application, issue.reply_to) {
            return Ok(Consent::Missing);
        }
        let (ReplyTo::Oidc(_), Some(client)) = (issue.reply_to, third_party(issue.application)) else { return Ok(Consent::Given) };
        if issue.asked.consent {
            return Ok(Consent::Missing);
        }
        let audience = issue.asked.audience.as_deref().unwrap_or_default();
        let known = self.directory.consent(&issue.session.user_id, &client.client_id, audience).await?;
        let wanted = Wanted::of(issue.application, client, issue.asked);
        Ok(if known.is_some_and(|known| wanted.is_within(&known)) { Consent::Given } else { Consent::Missing })
    }

    /// The question, where single sign-on would answer: it begins a login of its own.
    pub(super) async fn ask_from_session(&self, begun: &Begun<'_>, asked: &Asked, issue: &Issue<'_>, trace: &mut Trace) -> Result<Outcome> {
        let (transaction, binding) = self.new_transaction(begun, asked.clone());
        let session = begun.browser.session.as_deref().map(Session::key).unwrap_or_default();
        let (answer, put) = self.asking(&transaction, issue, (session, true))?;
        self.sessions.commit(vec![put, trace_op(begun.correlation_id, Part::Begin, trace)?]).await?;
        Ok(Outcome { binding, ..Outcome::of(answer) })
    }

    /// The question, and the write by which the login waits for its answer. `session`: the store key of the one that will
    /// answer the application, and whether it was there before.
    pub(super) fn asking(&self, transaction: &LoginTransaction, issue: &Issue<'_>, session: (String, bool)) -> Result<(Answer, Op)> {
        let (session, single_sign_on) = session;
        let (scopes, scripted) = (issue.asked.scopes.clone(), issue.scripted.clone());
        let pending = PendingConsent { session, single_sign_on, scopes, scripted };
        let question = self.consent_question(transaction, &pending, issue.application, issue.profile, &issue.session.user_id)?;
        let waiting = transaction.clone().asking_consent(pending);
        let key = LoginTransaction::key(&waiting.id);
        let put = Op::Put { key, value: encode(&Stored::Running(Box::new(waiting)))?, ttl: self.lifetimes.transaction + REMAINS };
        Ok((Answer::AskConsent(Box::new(question)), put))
    }

    /// The person's answer. `csrf` is what the form has in its field of that name, as with
    /// [`link_choice`](Self::link_choice).
    pub async fn consent_choice(
        &self,
        transaction_id: &str,
        choice: ConsentChoice,
        csrf: Option<&str>,
        browser: &Browser,
        now: Timestamp,
    ) -> Outcome {
        match Box::pin(self.consent_choice_inner(transaction_id, choice, csrf, browser, now)).await {
            Ok(outcome) => outcome,
            Err(error) => Outcome::refused(error, None),
        }
    }

    async fn consent_choice_inner(
        &self,
        transaction_id: &str,
        choice: ConsentChoice,
        csrf: Option<&str>,
        browser: &Browser,
        now: Timestamp,
    ) -> Result<Outcome> {
        let transaction = match self.login_of(transaction_id, browser, now).await? {
            Ok(transaction) => transaction,
            Err(outcome) => return Ok(*outcome),
        };
        let correlation_id = transaction.correlation_id.clone();
        let Stage::AwaitingConsent(pending) = &transaction.stage else {
            let error = Error::new(ErrorKind::LoginExpired, "This sign-in has not come to that question.");
            return Ok(Outcome::refused(error, Some(transaction.restart)).in_login(&correlation_id));
        };
        let choice = if self.is_our_form(Form::Consent, &transaction, csrf)? { choice } else { ConsentChoice::Look };
        let mut trace = Trace::default();
        let result = self.answered_consent(&transaction, pending, choice, browser, (now, &mut trace)).await;
        let outcome = match result {
            Ok(outcome) => outcome,
            // A form that is not ours, or a mere look, ends nothing.
            Err((_, error)) if choice == ConsentChoice::Look => Outcome::refused(error, Some(transaction.restart.clone())),
            Err((connection, error)) => {
                let key = LoginTransaction::key(&transaction.id);
                let refusing = Refusing { connection: &connection, transaction: &transaction, key: &key, part: Part::Consent, now };
                self.refuse_login(&refusing, plain(error), trace).await?
            }
        };
        Ok(outcome.in_login(&correlation_id))
    }

    /// An error comes with the connection of the session, empty where there is none.
    async fn answered_consent(
        &self,
        transaction: &LoginTransaction,
        pending: &PendingConsent,
        choice: ConsentChoice,
        browser: &Browser,
        (now, trace): (Timestamp, &mut Trace),
    ) -> Result<Outcome, (String, Error)> {
        let nowhere = |error: Error| (String::new(), error);
        let over = || nowhere(Error::new(ErrorKind::LoginRequired, "The session is over."));
        let is_its = browser.session.as_deref().map(Session::key).as_ref() == Some(&pending.session);
        let session = self.session(browser, now).await.map_err(nowhere)?.filter(|_| is_its).ok_or_else(over)?;
        let standing = self.standing(&session).await.map_err(nowhere)?.ok_or_else(over)?;
        let result = match choice {
            ConsentChoice::Look => self.shown_again(transaction, pending, &session, &standing.profile),
            ConsentChoice::Allow => self.agree(transaction, pending, &session, &standing.profile, (now, trace)).await,
            ConsentChoice::Deny => self.disagree(transaction).await,
        };
        result.map_err(|error| (session.identity.connection, error))
    }

    fn shown_again(
        &self,
        transaction: &LoginTransaction,
        pending: &PendingConsent,
        session: &Session,
        profile: &Written,
    ) -> Result<Outcome> {
        let application = self.asking_application(transaction, session)?;
        let question = self.consent_question(transaction, pending, application, profile, &session.user_id)?;
        Ok(Outcome::of(Answer::AskConsent(Box::new(question))))
    }

    /// The answer to the application, and what the person agreed to is kept.
    async fn agree(
        &self,
        transaction: &LoginTransaction,
        pending: &PendingConsent,
        session: &Session,
        profile: &Written,
        (now, trace): (Timestamp, &mut Trace),
    ) -> Result<Outcome> {
        let application = self.asking_application(transaction, session)?;
        trace.note(now, Note::Decision { what: "the application is answered".into(), why: "the person has agreed".into() });
        let asked = Asked { scopes: pending.scopes.clone(), ..transaction.asked.clone() };
        let issue = Issue {
            application,
            reply_to: &transaction.reply_to,
            asked: &asked,
            session,
            profile,
            transient: &[],
            scripted: pending.scripted.clone(),
            unscripted_scopes: &transaction.asked.scopes,
            correlation_id: &transaction.correlation_id,
            now,
        };
        let issued = self.issue(&issue, trace).await?;
        let used = remains(&transaction.browser, &transaction.correlation_id, &transaction.restart)?;
        let mut writes = issued.writes;
        writes.extend([
            Op::Put { key: LoginTransaction::key(&transaction.id), value: used, ttl: REMAINS },
            trace_op(&transaction.correlation_id, Part::Consent, trace)?,
        ]);
        if pending.single_sign_on {
            writes.push(recent_op(&recent(transaction, session, now))?);
        }
        // Whoever sends the form twice has agreed all the same.
        self.remember(&issue).await?;
        let steps = std::iter::once(self.step_claim(transaction, "consent")).chain(issued.claims).collect();
        self.commit_once(steps, Vec::new(), writes, &issued.secrets).await?;
        let (outcome, kind) = match pending.single_sign_on {
            true => (SINGLE_SIGN_ON, Some(LogType::SilentLogin)),
            // The log has the login since it ended at the identity provider.
            false => ("success", None),
        };
        self.events.login(&session.identity.connection, outcome);
        if let Some(kind) = kind {
            let (client_id, connection) = (transaction.client_id.as_str(), session.identity.connection.as_str());
            self.note_login(kind, Ended { client_id, connection, correlation_id: &transaction.correlation_id, now }, &session.user_id);
        }
        Ok(Outcome::of(issued.answer))
    }

    /// The refusal, as an error for the application.
    async fn disagree(&self, transaction: &LoginTransaction) -> Result<Outcome> {
        self.commit_once(vec![self.step_claim(transaction, "consent")], Vec::new(), Vec::new(), &[]).await?;
        Err(Error::new(ErrorKind::AccessDenied, "The person did not agree."))
    }

    async fn remember(&self, issue: &Issue<'_>) -> Result<()> {
        let Some(client) = third_party(issue.application) else { return Ok(()) };
        let user_id = issue.session.user_id.as_str();
        let audience = issue.asked.audience.as_deref().unwrap_or_default();
        let known = self.directory.consent(user_id, &client.client_id, audience).await?;
        let wanted = Wanted::of(issue.application, client, issue.asked);
        let (mut scopes, mut claims) = known.map(|known| (known.scopes, known.claims)).unwrap_or_default();
        for (known, wanted) in [(&mut scopes, wanted.scopes), (&mut claims, wanted.claims)] {
            for name in wanted {
                if !known.contains(&name) {
                    known.push(name);
                }
            }
        }
        let consent = ConsentRecord {
            consent_id: id::random_id(),
            user_id: user_id.to_owned(),
            client_id: client.client_id.clone(),
            audience: audience.to_owned(),
            scopes,
            claims,
            created_at: issue.now,
            changed_at: issue.now,
        };
        self.directory.put_consent(&consent).await
    }

    /// Leaves of what is granted once more what the person has agreed to: scripts may have widened it since, and a consent
    /// may have been taken back, or given anew for less.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidGrant`] where nothing is left.
    pub(super) async fn hold_to_consent(&self, application: &Application, granted: &mut Granted) -> Result<()> {
        let Some(client) = third_party(application) else { return Ok(()) };
        let refuse = || Error::new(ErrorKind::InvalidGrant, "the person does not agree to it any more");
        let audience = granted.audience.as_deref().unwrap_or_default();
        let known = self.directory.consent(&granted.user_id, &client.client_id, audience).await?.ok_or_else(refuse)?;
        let agreed: Scopes = granted.scopes.iter().filter(|scope| known.scopes.iter().any(|known| known == scope)).collect();
        if agreed.is_empty() && !granted.scopes.is_empty() {
            return Err(refuse());
        }
        granted.scopes = agreed;
        Ok(())
    }

    /// The application as it is by now.
    fn asking_application(&self, transaction: &LoginTransaction, session: &Session) -> Result<&Application> {
        let application = self.application(&transaction.client_id);
        let application =
            application.ok_or_else(|| Error::new(ErrorKind::UnauthorizedClient, "The application is not enabled any more."))?;
        match self.accepts(application, &session.identity.connection) {
            true => Ok(application),
            false => Err(Error::new(ErrorKind::UnknownConnection, "The application does not accept this way to sign in.")),
        }
    }

    /// The page's content.
    fn consent_question(
        &self,
        transaction: &LoginTransaction,
        pending: &PendingConsent,
        application: &Application,
        profile: &Written,
        user_id: &str,
    ) -> Result<ConsentQuestion> {
        let asked = Asked { scopes: pending.scopes.clone(), ..transaction.asked.clone() };
        let server = asked.audience.as_deref().and_then(|audience| self.resource_servers.get(audience));
        let described = |scope: &str| server.and_then(|server| server.scopes.iter().find(|(value, _)| value == scope));
        let scopes = asked.scopes.iter().map(|scope| match described(scope) {
            Some((_, description)) if !STANDARD_SCOPES.contains(&scope) && !description.is_empty() => {
                AskedScope { name: scope.to_owned(), description: Some(description.clone()) }
            }
            _ => AskedScope { name: scope.to_owned(), description: None },
        });
        let scopes = scopes.collect();
        let mut claims = application.oidc.as_ref().map(|client| Wanted::of(application, client, &asked).claims).unwrap_or_default();
        let whole_profile = claims.iter().any(|name| name == WHOLE_PROFILE);
        claims.retain(|name| name != WHOLE_PROFILE);
        let profile = profile.value();
        let named = |name: &str| profile.get(name).and_then(serde_json::Value::as_str).filter(|text| !text.is_empty());
        Ok(ConsentQuestion {
            transaction_id: transaction.id.clone(),
            csrf: self.csrf_of(Form::Consent, transaction)?,
            application: application.name.clone(),
            about: application.oidc.as_ref().map(|client| client.about.clone()).unwrap_or_default(),
            person: named("email").or_else(|| named("name")).unwrap_or(user_id).to_owned(),
            server: asked.audience.as_ref().map(|audience| server.map_or(audience, |server| &server.name).clone()),
            scopes,
            claims,
            whole_profile,
            device: match &transaction.reply_to {
                ReplyTo::Device(reply) => Some(reply.user_code.clone()),
                ReplyTo::Oidc(_) | ReplyTo::Saml(_) => None,
            },
        })
    }
}

/// What was agreed to, for operators.
impl Gateway {
    /// Ends a consent, and what the application was given of the person: refresh tokens and access tokens. Idempotent.
    pub async fn withdraw_consent(&self, consent: &ConsentRecord, now: Timestamp) -> Result<()> {
        // The record goes last, so that whatever fails can be tried again; and what was given meanwhile goes too.
        self.end_access_of(&consent.user_id, &consent.client_id, now).await?;
        self.directory.end_consent(&consent.consent_id).await?;
        self.end_access_of(&consent.user_id, &consent.client_id, now).await
    }

    /// Ends all consents of a person, and what the applications were given. Idempotent.
    pub async fn withdraw_consents_of(&self, user_id: &str, now: Timestamp) -> Result<()> {
        let filter = ConsentFilter { user_id: Some(user_id.to_owned()), limit: AT_ONCE, ..ConsentFilter::default() };
        let found = self.directory.consents(&filter).await?;
        let mut withdrawn = Ok(());
        for consent in &found.consents {
            withdrawn = withdrawn.and(self.withdraw_consent(consent, now).await);
        }
        withdrawn
    }

    /// What an application was given of a person: the access tokens of the sessions that are still listed, and every refresh
    /// token.
    async fn end_access_of(&self, user_id: &str, client_id: &str, now: Timestamp) -> Result<()> {
        let (grants, whole) = self.grants_in_sessions(user_id, client_id).await;
        let revoked = self.revoke_grants(grants).await;
        revoked.and(whole).and(self.end_families(user_id, Some(client_id), now).await)
    }
}

/// What an application gets by an answer, in the words of a consent.
struct Wanted {
    scopes: Vec<String>,
    claims: Vec<String>,
}

impl Wanted {
    /// What will be released is decided by the application's table: nothing is named here that does not stand in it, and
    /// so no text of the application's own.
    fn of(application: &Application, client: &ClientFacts, asked: &Asked) -> Self {
        let by_name =
            |released: &str| asked.claims.id_token.iter().chain(&asked.claims.userinfo).any(|claim| is_one(&claim.name, released));
        let shown = |(name, scope): &(&str, Option<&str>)| match (scope.or(scope_of(name)), scope_of(name)) {
            _ if is_reserved(name) => false,
            // Always given.
            (None, _) => true,
            // What a standard scope gives is said by the scope; a row may hang on another one.
            (Some(needed), usual) if asked.scopes.contains(needed) => usual != Some(needed),
            // What it cannot have by name is no question.
            (Some(needed), _) => client.may_have_scope(needed) && by_name(name),
        };
        let mut claims: Vec<String> = application.mapping.released_names().filter(shown).map(|(name, _)| name.to_owned()).collect();
        claims.sort();
        claims.dedup();
        if application.profile.legacy_profile {
            claims.push(WHOLE_PROFILE.to_owned());
        }
        Self { scopes: asked.scopes.iter().map(str::to_owned).collect(), claims }
    }

    fn is_within(&self, known: &ConsentRecord) -> bool {
        let within = |wanted: &[String], known: &[String]| wanted.iter().all(|name| known.contains(name));
        within(&self.scopes, &known.scopes) && within(&self.claims, &known.claims)
    }
}

/// Is this claim among what a row releases, in whose name one `*` stands for anything?
fn is_one(claim: &str, released: &str) -> bool {
    match released.split_once('*') {
        Some((before, behind)) => claim.strip_prefix(before).is_some_and(|rest| rest.ends_with(behind)),
        None => claim == released,
    }
}

/// The client of an application whose owner is not the operator.
fn third_party(application: &Application) -> Option<&ClientFacts> {
    application.oidc.as_ref().filter(|client| !client.first_party)
}

/// Is the person asked every time, whatever they agreed to before?
fn asks_always(application: &Application, reply_to: &ReplyTo) -> bool {
    match reply_to {
        ReplyTo::Device(_) => true,
        // RFC 8252 8.6: any program of the person's machine may take such an address, and pass for the client.
        ReplyTo::Oidc(redirect) => {
            third_party(application).is_some_and(|client| client.is_public() && !is_its_owners(redirect.redirect_uri()))
        }
        ReplyTo::Saml(_) => false,
    }
}

/// An https address leads to whoever has the host; a scheme of one's own, or this machine, to anybody.
fn is_its_owners(redirect_uri: &str) -> bool {
    let url = Url::parse(redirect_uri).ok().filter(|url| url.scheme() == "https");
    url.is_some_and(|url| match url.host() {
        Some(Host::Domain(name)) => name != "localhost" && !name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => !address.is_loopback(),
        Some(Host::Ipv6(address)) => !address.is_loopback(),
        None => false,
    })
}

fn recent(transaction: &LoginTransaction, session: &Session, now: Timestamp) -> RecentLogin {
    RecentLogin {
        correlation_id: transaction.correlation_id.clone(),
        at: now,
        connection: session.identity.connection.clone(),
        application: transaction.client_id.clone(),
        user_id: Some(session.user_id.clone()),
        outcome: SINGLE_SIGN_ON.to_owned(),
    }
}

#[cfg(test)]
#[path = "consent_tests.rs"]
pub(super) mod tests;

#[cfg(test)]
#[path = "consent_held_tests.rs"]
mod held_tests;
