//! The second factor after a password that was typed into a page of ours: a one-time code of an app, or a recovery code; and
//! how somebody comes to have one.
//!
//! It is asked for before anything of the login is recorded, and of every proof by password alike, also of one that joins two
//! accounts. What is known by then lives in the transaction ([`Stage::AwaitingFactor`]); what is set up is kept as soon as
//! the identity is there.
//!
//! Codes are guessed in millions, so guesses are counted for each identity wherever they come from, on all nodes, and before
//! they are looked at; and a code counts once, on all nodes.

use super::begin::trace_op;
use super::form::Form;
use super::happened::Ended;
use super::jobs::{open_credential, seal_credential};
use super::{Answer, Browser, Gateway, Outcome, REMAINS, encode};
use crate::clock::Timestamp;
use crate::connection::config::{ConnectionConfig, FACTOR_CONTEXT, PASSWORD_CONTEXT, SecondFactor};
use crate::error::{Error, ErrorKind, Result};
use crate::id;
use crate::login::session::{MULTIPLE, ONE_TIME, PASSWORD};
use crate::login::trace::{Part, Step as Note, Trace};
use crate::login::{Arrived, FactorStep, LoginTransaction, NewFactor, PendingFactor, Session, Stage, Stored};
use crate::secret::Secret;
use crate::store::{CredentialKind, LogType, Op};
use crate::user::factors::{self, Factors};
use crate::user::{Identity, totp};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Path of the page.
pub const PAGE: &str = "/login/code";

/// Guesses of one identity in [`WHILE`].
const GUESSES: usize = 10;

/// Seconds.
const WHILE: i64 = 600;

/// Seconds that a used time step is remembered: longer than it counts, for nodes whose clocks differ.
const STEP_USED: u64 = 600;

/// What the browser sends to the page.
#[derive(Clone, Copy)]
pub struct FactorForm<'a> {
    pub transaction_id: &'a str,
    /// `None`: the page is only looked at.
    pub said: Option<Said<'a>>,
    pub csrf: Option<&'a str>,
}

/// What the person does there.
#[derive(Clone, Copy)]
pub enum Said<'a> {
    Code(&'a Secret<String>),
    /// The recovery codes are put away.
    Kept,
}

/// The content of the page.
#[derive(Clone, Debug)]
pub struct FactorPage {
    pub transaction_id: String,
    /// Proves that what is sent came from this page.
    pub csrf: String,
    pub application: String,
    /// Display name of the connection.
    pub connection: String,
    pub ask: FactorAsk,
    pub problem: Option<FactorProblem>,
}

/// What the page is for.
#[derive(Clone, Debug)]
pub enum FactorAsk {
    Code,
    /// The secret, by itself and in the address that apps read.
    Enrol {
        secret: Secret<String>,
        address: Secret<String>,
    },
    /// The recovery codes, which are shown on this page alone.
    Keep {
        codes: Vec<Secret<String>>,
    },
}

/// What the page says of the last try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FactorProblem {
    Wrong,
    /// It was right, and counts no second time: the next one will.
    Used,
    /// So many were wrong that the next one is worth nothing for these seconds.
    TooMany(u32),
}

/// A login on its page.
struct Waiting<'a> {
    transaction: &'a LoginTransaction,
    pending: &'a PendingFactor,
    config: &'a ConnectionConfig,
    browser: &'a Browser,
    now: Timestamp,
}

/// What became of a code.
enum Guess {
    /// What it was, for operators.
    Good(&'static str),
    Not(FactorProblem, &'static str),
}

impl Gateway {
    /// The page for the second factor: looked at, or sent.
    pub async fn second_factor(&self, form: FactorForm<'_>, browser: &Browser, now: Timestamp) -> Outcome {
        match Box::pin(self.second_factor_inner(form, browser, now)).await {
            Ok(outcome) => outcome,
            Err(error) => Outcome::refused(error, None),
        }
    }

    async fn second_factor_inner(&self, form: FactorForm<'_>, browser: &Browser, now: Timestamp) -> Result<Outcome> {
        let transaction = match self.login_of(form.transaction_id, browser, now).await? {
            Ok(transaction) => transaction,
            Err(outcome) => return Ok(*outcome),
        };
        let correlation_id = transaction.correlation_id.clone();
        let pending = if let Stage::AwaitingFactor(pending) = &transaction.stage { Some(pending) } else { None };
        let place = pending.and_then(|pending| Some((pending, self.connections.enabled(&pending.arrived.identity.connection)?)));
        let Some((pending, connection)) = place.filter(|(_, connection)| connection.asks_password()) else {
            let error = Error::new(ErrorKind::LoginExpired, "This sign-in has not come to that question.");
            return Ok(Outcome::refused(error, Some(transaction.restart)).in_login(&correlation_id));
        };
        let waiting = Waiting { transaction: &transaction, pending, config: connection.config(), browser, now };
        let ours = self.is_our_form(Form::Factor, &transaction, form.csrf)?;
        let outcome = match (form.said.filter(|_| ours), &pending.step) {
            (Some(Said::Code(code)), FactorStep::Code) => Box::pin(self.typed_code(&waiting, code)).await?,
            (Some(Said::Code(code)), FactorStep::Enrol { secret }) => Box::pin(self.first_code(&waiting, secret, code)).await?,
            (Some(Said::Kept), FactorStep::Keep { secret, codes }) => Box::pin(self.kept_codes(&waiting, secret, codes)).await?,
            _ => self.factor_page(&waiting, None)?,
        };
        Ok(outcome.in_login(&correlation_id))
    }

    /// Does this login need more than the password, and what? `wished`: the person wants to set it up.
    pub(super) async fn factor_due(
        &self,
        config: &ConnectionConfig,
        arrived: &Arrived,
        (transaction, wished): (&LoginTransaction, bool),
    ) -> Result<Option<FactorStep>> {
        if config.second_factor == SecondFactor::Off {
            return Ok(None);
        }
        if self.factors_of(&arrived.identity).await?.is_some_and(|(_, factors)| factors.secret().is_some()) {
            return Ok(Some(FactorStep::Code));
        }
        let asked = config.wanted_context(&transaction.asked.acr_values) == Some(FACTOR_CONTEXT);
        if config.second_factor == SecondFactor::Optional && !asked && !wished {
            return Ok(None);
        }
        let secret = self.seal_for_login(transaction, &totp::new_secret())?;
        Ok(Some(FactorStep::Enrol { secret }))
    }

    /// The login goes on to the page.
    pub(super) async fn ask_factor(
        &self,
        transaction: &LoginTransaction,
        arrived: Arrived,
        step: FactorStep,
        (now, trace): (Timestamp, &mut Trace),
    ) -> Result<(LoginTransaction, Answer)> {
        let connection = self.connections.enabled(&arrived.identity.connection);
        let connection = connection.ok_or_else(|| Error::new(ErrorKind::UnknownConnection, ""))?;
        let what = match step {
            FactorStep::Code => "the person is asked for a code of their app",
            _ => "the person sets up an app for codes",
        };
        let why = match (connection.config().second_factor, &step) {
            (_, FactorStep::Code) => "a second factor is set up",
            (SecondFactor::Required, _) => "the connection requires a second factor, and none is set up",
            _ => "the application asks for a second factor, or the person wants one",
        };
        trace.note(now, Note::Decision { what: what.to_owned(), why: why.into() });
        let pending = PendingFactor { question: transaction.stage.clone(), arrived: arrived.lasting(), step };
        let waits = transaction.clone().asking_factor(pending.clone());
        let page = self.factor_page_of(&waits, &pending, connection.config(), None)?;
        Ok((waits, Answer::AskFactor(Box::new(page))))
    }

    /// Is the session by a password alone, at a connection that wants more by now?
    pub(super) fn lacks_factor(&self, session: &Session) -> bool {
        let connection = self.connections.enabled(&session.identity.connection);
        let required = connection.is_some_and(|connection| connection.config().second_factor == SecondFactor::Required);
        required && !session.has_second_factor()
    }

    /// Keeps what was set up in a login. Doing it again changes nothing.
    ///
    /// # Errors
    /// [`ErrorKind::AccessDenied`] where another one was set up meanwhile.
    pub(super) async fn keep_factor(&self, arrived: &Arrived, now: Timestamp) -> Result<()> {
        let Some(NewFactor { sealed, before }) = &arrived.new_factor else { return Ok(()) };
        let Identity { connection, user_id: subject, .. } = &arrived.identity;
        let change = (before.as_deref(), Some(sealed.as_str()));
        if self.directory.change_credential(connection, subject, CredentialKind::Factors, change, now).await? {
            return Ok(());
        }
        let stored = self.directory.credential(connection, subject, CredentialKind::Factors).await?;
        let told = "A second factor was set up for this account elsewhere meanwhile. Sign in again.";
        (stored.as_ref() == Some(sealed)).then_some(()).ok_or_else(|| Error::new(ErrorKind::AccessDenied, told))
    }

    /// A code of the app that is set up, or a recovery code.
    async fn typed_code(&self, waiting: &Waiting<'_>, code: &Secret<String>) -> Result<Outcome> {
        let Waiting { transaction, pending, config, now, .. } = *waiting;
        let identity = &pending.arrived.identity;
        let Some((sealed, factors)) = self.factors_of(identity).await? else {
            let error = Error::new(ErrorKind::LoginExpired, "The second factor was removed meanwhile.");
            return Ok(Outcome::refused(error, Some(transaction.restart.clone())));
        };
        if let Some(wait) = self.factor_turn(identity, now).await? {
            return self.not_good(waiting, FactorProblem::TooMany(wait), "too many wrong codes for this account").await;
        }
        let guess = match (totp::typed(code.expose()), factors.secret()) {
            (Some(digits), Some(secret)) => self.guess(identity, &secret, &digits, now).await?,
            (None, Some(_)) if factors::is_code(code.expose()) => self.use_recovery_code(identity, (&sealed, factors), code, now).await?,
            _ => Guess::Not(FactorProblem::Wrong, "no code"),
        };
        match guess {
            Guess::Not(problem, why) => self.not_good(waiting, problem, why).await,
            Guess::Good(what) => {
                let mut trace = Trace::default();
                note(&mut trace, now, true, what);
                let kind = if what == RECOVERY { LogType::RecoveryCodeUsed } else { LogType::SecondFactor };
                self.note_factor(kind, ended(waiting), what);
                self.sessions.commit(vec![Op::Delete { key: tries_key(identity) }]).await?;
                let arrived = with_factor(pending.arrived.clone(), config, transaction);
                self.goes_on_with(waiting, Ok(arrived), trace).await
            }
        }
    }

    /// The first code of an app that is being set up, as the proof that it has the secret.
    async fn first_code(&self, waiting: &Waiting<'_>, sealed: &str, code: &Secret<String>) -> Result<Outcome> {
        let Waiting { transaction, pending, now, .. } = *waiting;
        let identity = &pending.arrived.identity;
        let secret = self.open_of_login(transaction, sealed)?;
        // Guesses at a secret of one's own say nothing of the one that was set up meanwhile.
        if self.factors_of(identity).await?.is_some_and(|(_, factors)| factors.secret().is_some()) {
            let told = "A second factor was set up for this account elsewhere meanwhile. Sign in again.";
            return self.goes_on_with(waiting, Err(Error::new(ErrorKind::AccessDenied, told)), Trace::default()).await;
        }
        if let Some(wait) = self.factor_turn(identity, now).await? {
            return self.not_good(waiting, FactorProblem::TooMany(wait), "too many wrong codes for this account").await;
        }
        let guess = match totp::typed(code.expose()) {
            Some(digits) => self.guess(identity, &secret, &digits, now).await?,
            None => Guess::Not(FactorProblem::Wrong, "no code"),
        };
        if let Guess::Not(problem, why) = guess {
            return self.not_good(waiting, problem, why).await;
        }
        let joined: Vec<String> = factors::new_codes().iter().map(|code| code.expose().clone()).collect();
        let codes = self.seal_for_login(transaction, &Secret::new(joined.join(" ")))?;
        let pending = PendingFactor { step: FactorStep::Keep { secret: sealed.to_owned(), codes }, ..pending.clone() };
        let transaction = transaction.clone().asking_factor(pending.clone());
        let mut trace = Trace::default();
        note(&mut trace, now, true, "the first code of a new app");
        let page = self.factor_page_of(&transaction, &pending, waiting.config, None)?;
        let part = part_of(&pending);
        let key = LoginTransaction::key(&transaction.id);
        let correlation_id = transaction.correlation_id.clone();
        let put = Op::Put { key, value: encode(&Stored::Running(Box::new(transaction)))?, ttl: self.lifetimes.transaction + REMAINS };
        let forget = Op::Delete { key: tries_key(identity) };
        self.sessions.commit(vec![put, forget, trace_op(&correlation_id, part, &trace)?]).await?;
        Ok(Outcome::of(Answer::AskFactor(Box::new(page))))
    }

    /// The recovery codes are put away: the login goes on, and keeps the factor as soon as there is an identity to keep it for.
    async fn kept_codes(&self, waiting: &Waiting<'_>, secret: &str, codes: &str) -> Result<Outcome> {
        let Waiting { transaction, pending, config, now, .. } = *waiting;
        let identity = &pending.arrived.identity;
        let secret = self.open_of_login(transaction, secret)?;
        let codes = split(&self.open_of_login(transaction, codes)?);
        let (before, mut factors) =
            self.factors_of(identity).await?.map_or((None, Factors::default()), |(sealed, known)| (Some(sealed), known));
        let mut trace = Trace::default();
        if factors.secret().is_some() {
            note(&mut trace, now, false, "another app was set up meanwhile");
            let error =
                Error::new(ErrorKind::AccessDenied, "A second factor was set up for this account elsewhere meanwhile. Sign in again.");
            return self.goes_on_with(waiting, Err(error), trace).await;
        }
        factors.enrol(&secret, &codes, now);
        let (connection, subject) = (&identity.connection, &identity.user_id);
        let sealed = seal_credential(self.keyring.sealer(), connection, subject, CredentialKind::Factors, &factors.record())?;
        note(&mut trace, now, true, "a new app, with recovery codes");
        self.note_factor(LogType::SecondFactorSetUp, ended(waiting), "a new app, with recovery codes");
        let arrived =
            Arrived { new_factor: Some(NewFactor { sealed, before }), ..with_factor(pending.arrived.clone(), config, transaction) };
        self.goes_on_with(waiting, Ok(arrived), trace).await
    }

    /// From where the password had left it.
    async fn goes_on_with(&self, waiting: &Waiting<'_>, proven: Result<Arrived>, trace: Trace) -> Result<Outcome> {
        let before = waiting.transaction.clone().before_factor();
        let proven = proven.map_err(super::refuse::plain);
        Box::pin(self.accept_factor(&before, proven, &waiting.config.name, (waiting.browser, waiting.now), trace)).await
    }

    /// A code of an app, which counts once.
    async fn guess(&self, identity: &Identity, secret: &Secret<String>, digits: &str, now: Timestamp) -> Result<Guess> {
        let Some(step) = totp::step_of(secret, digits, now)? else { return Ok(Guess::Not(FactorProblem::Wrong, "another code")) };
        // RFC 6238 5.2: the second attempt of a code that was accepted must be refused.
        let claim = Op::Claim { key: format!("totp:{}:{step}", key_of(identity)), ttl: STEP_USED };
        Ok(match self.sessions.commit(vec![claim]).await?.first() {
            Some(true) => Guess::Good("a code of the app"),
            _ => Guess::Not(FactorProblem::Used, "a code that was used before"),
        })
    }

    async fn use_recovery_code(
        &self,
        identity: &Identity,
        (sealed, mut factors): (&str, Factors),
        code: &Secret<String>,
        now: Timestamp,
    ) -> Result<Guess> {
        if !factors.use_code(code.expose()) {
            return Ok(Guess::Not(FactorProblem::Wrong, "another recovery code, or one that was used"));
        }
        let (connection, subject) = (&identity.connection, &identity.user_id);
        let after = seal_credential(self.keyring.sealer(), connection, subject, CredentialKind::Factors, &factors.record())?;
        // Of two who use it at once one changes what both have seen.
        let change = (Some(sealed), Some(after.as_str()));
        Ok(match self.directory.change_credential(connection, subject, CredentialKind::Factors, change, now).await? {
            true => Guess::Good(RECOVERY),
            false => Guess::Not(FactorProblem::Wrong, "the factors were changed at the same moment"),
        })
    }

    /// Counts a guess before it is looked at. `Some`: seconds to wait, and it is not to be looked at.
    async fn factor_turn(&self, identity: &Identity, now: Timestamp) -> Result<Option<u32>> {
        let key = tries_key(identity);
        let wait = |tries: &[Vec<u8>], most: usize| {
            let at = |bytes: &Vec<u8>| std::str::from_utf8(bytes).ok()?.parse().ok().map(Timestamp::from_millis);
            let recent: Vec<Timestamp> = tries.iter().filter_map(at).filter(|at| now.seconds_since(*at) < WHILE).collect();
            // The newest come first: the turn is there when the last of those that are too many is long enough ago.
            let oldest = recent.get(most)?;
            Some(u32::try_from(oldest.plus_seconds(WHILE).seconds_since(now)).unwrap_or(0).max(1))
        };
        // Whoever tries on while they wait does not wait longer.
        if let Some(seconds) = wait(&self.sessions.list(&key, GUESSES).await?, GUESSES - 1) {
            return Ok(Some(seconds));
        }
        let value = now.millis().to_string().into_bytes();
        let ttl = WHILE.unsigned_abs();
        self.sessions.commit(vec![Op::Append { key: key.clone(), value, keep: GUESSES + 1, ttl }]).await?;
        // Many at once are no way around: each finds those of the others.
        Ok(wait(&self.sessions.list(&key, GUESSES + 1).await?, GUESSES))
    }

    /// As stored, and what it says.
    async fn factors_of(&self, identity: &Identity) -> Result<Option<(String, Factors)>> {
        let Identity { connection, user_id: subject, .. } = identity;
        let Some(sealed) = self.directory.credential(connection, subject, CredentialKind::Factors).await? else { return Ok(None) };
        let record = open_credential(self.keyring.sealer(), connection, subject, CredentialKind::Factors, &sealed)?;
        // One that cannot be read must not be the way past it.
        let factors =
            Factors::parse(&record).ok_or_else(|| Error::new(ErrorKind::Internal, "the second factors of an identity are unreadable"))?;
        Ok(Some((sealed, factors)))
    }

    async fn not_good(&self, waiting: &Waiting<'_>, problem: FactorProblem, why: &'static str) -> Result<Outcome> {
        let mut trace = Trace::default();
        note(&mut trace, waiting.now, false, why);
        let (correlation_id, connection) = (waiting.transaction.correlation_id.as_str(), waiting.config.name.as_str());
        tracing::info!(correlation_id, connection, reason = why, "a second factor let nobody in");
        self.events.login(connection, ErrorKind::AccessDenied.wire().code);
        self.note_factor(LogType::FailedSecondFactor, ended(waiting), why);
        self.sessions.commit(vec![trace_op(correlation_id, part_of(waiting.pending), &trace)?]).await?;
        self.factor_page(waiting, Some(problem))
    }

    fn factor_page(&self, waiting: &Waiting<'_>, problem: Option<FactorProblem>) -> Result<Outcome> {
        let page = self.factor_page_of(waiting.transaction, waiting.pending, waiting.config, problem)?;
        Ok(Outcome::of(Answer::AskFactor(Box::new(page))))
    }

    fn factor_page_of(
        &self,
        transaction: &LoginTransaction,
        pending: &PendingFactor,
        config: &ConnectionConfig,
        problem: Option<FactorProblem>,
    ) -> Result<FactorPage> {
        let ask = match &pending.step {
            FactorStep::Code => FactorAsk::Code,
            FactorStep::Enrol { secret } => {
                let secret = self.open_of_login(transaction, secret)?;
                FactorAsk::Enrol { address: totp::address(&config.display_name, account(&pending.arrived), &secret), secret }
            }
            FactorStep::Keep { codes, .. } => FactorAsk::Keep { codes: split(&self.open_of_login(transaction, codes)?) },
        };
        Ok(FactorPage {
            transaction_id: transaction.id.clone(),
            csrf: self.csrf_of(Form::Factor, transaction)?,
            application: transaction.restart.application.clone(),
            connection: config.display_name.clone(),
            ask,
            problem,
        })
    }

    /// For this login alone.
    fn seal_for_login(&self, transaction: &LoginTransaction, plain: &Secret<String>) -> Result<String> {
        Ok(STANDARD.encode(self.keyring.sealer().seal(&context(transaction), plain.expose().as_bytes())?))
    }

    fn open_of_login(&self, transaction: &LoginTransaction, sealed: &str) -> Result<Secret<String>> {
        let unreadable = || Error::new(ErrorKind::Internal, "a secret of a login is unreadable");
        let sealed = STANDARD.decode(sealed).map_err(|error| unreadable().because(error))?;
        let plain = self.keyring.sealer().open(&context(transaction), &sealed)?;
        String::from_utf8(plain).map(Secret::new).map_err(|_| unreadable())
    }
}

/// For operators.
const RECOVERY: &str = "a recovery code";

fn note(trace: &mut Trace, now: Timestamp, passed: bool, found: &str) {
    let expected = "a code of the app that was not used before, or a recovery code".to_owned();
    trace.note(now, Note::Check { name: "second-factor".into(), passed, expected, found: found.to_owned() });
}

fn ended<'a>(waiting: &Waiting<'a>) -> Ended<'a> {
    Ended {
        client_id: &waiting.transaction.client_id,
        connection: &waiting.config.name,
        correlation_id: &waiting.transaction.correlation_id,
        now: waiting.now,
    }
}

/// Of the trace.
const fn part_of(pending: &PendingFactor) -> Part {
    match pending.question {
        Stage::AwaitingLink(_) => Part::LinkFactor,
        _ => Part::Factor,
    }
}

/// Somebody has proven both. When they typed the password stays the time of the login.
fn with_factor(mut arrived: Arrived, config: &ConnectionConfig, transaction: &LoginTransaction) -> Arrived {
    arrived.amr = [PASSWORD, ONE_TIME, MULTIPLE].map(str::to_owned).into();
    // An application that wants a login by password, and says so in exactly these words, gets one.
    let context = config.wanted_context(&transaction.asked.acr_values).unwrap_or(FACTOR_CONTEXT);
    if context != PASSWORD_CONTEXT {
        arrived.acr = Some(config.acr_here(context));
        arrived.upstream.authn_context = Some(context.to_owned());
    }
    arrived
}

/// What the app calls the account.
fn account(arrived: &Arrived) -> &str {
    let named = |field: &&str| arrived.profile.get(*field).and_then(serde_json::Value::as_str).filter(|text| !text.is_empty());
    ["email", "username", "nickname", "name"].iter().find_map(named).unwrap_or(&arrived.identity.user_id)
}

fn split(codes: &Secret<String>) -> Vec<Secret<String>> {
    codes.expose().split(' ').map(|code| Secret::new(code.to_owned())).collect()
}

/// Two identities never have the same.
fn key_of(identity: &Identity) -> String {
    id::digest(&format!("{}|{}|{}", identity.connection.len(), identity.connection, identity.user_id))
}

fn tries_key(identity: &Identity) -> String {
    format!("factor-tries:{}", key_of(identity))
}

fn context(transaction: &LoginTransaction) -> String {
    format!("login|{}|second factor", transaction.id)
}
