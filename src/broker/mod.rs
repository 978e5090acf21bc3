//! The use cases: begin a login, take the identity provider's answer, hand out tokens, end a session.
//!
//! Handlers translate HTTP into calls of this module and its [`Outcome`]s into HTTP; this module does the
//! I/O with the stores. What happens next in a login is decided in one place, [`next::next_step`].

mod access_token;
pub mod accounts;
pub mod admin;
pub mod api_access;
mod artifact;
pub mod begin;
pub mod callback;
pub mod choose;
mod client_auth;
pub mod client_keys;
pub mod consent;
pub mod device;
pub mod discovery;
mod ending;
pub mod events;
pub mod explain;
pub mod factor;
mod finish;
mod form;
mod give;
mod happened;
mod identify;
pub mod idp;
pub mod introspect;
pub mod jobs;
pub mod limits;
pub mod link;
pub mod live;
pub mod living;
pub mod logout;
pub mod mail;
pub mod metadata;
pub mod next;
pub mod par;
pub mod password;
pub mod possession;
mod provider_tokens;
mod recording;
mod refuse;
pub mod registration;
mod release;
mod requested;
mod revoke;
pub mod rules;
mod said;
pub mod sessions;
mod start;
mod subject;
#[cfg(test)]
mod tests;
pub mod token;
pub mod traces;
mod unsolicited;
pub mod upstream;
pub mod userinfo;

use crate::application::{Application, ClientGrant, ResourceServer};
use crate::clock::Timestamp;
use crate::connection::config::Icon;
use crate::connection::metadata::{Approval, Feeds, Owner};
use crate::connection::password::Unproven;
use crate::connection::{BrowserStep, Registry};
use crate::error::{Error, ErrorKind, Result};
use crate::id;
use crate::keys::Keyring;
use crate::login::{LoginTransaction, Restart, Session, Stored};
use crate::oidc::{AuthorizationResponse, ClientAbout, OidcKeys};
use crate::profile::Written;
use crate::profile::dialect::GigyaSigner;
use crate::rules::{Host, Scripts};
use crate::saml::Outgoing;
use crate::store::{Directory, Op, SessionStore};
use crate::user::{Identity, UserState};
use admin::Admin;
use choose::Pick;
use client_keys::Documents;
use events::Recorder;
use living::LivingApplication;
use possession::PossessionSettings;
use rules::Caller;
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

/// Lifetimes in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetimes {
    /// From the application's request to the identity provider's answer.
    pub transaction: u64,
    pub session: u64,
    pub code: u64,
    pub id_token: u64,
    pub access_token: u32,
    pub refresh_token: u64,
    /// That a refresh token may lie unused; 0: as long as it lives.
    pub refresh_token_idle: u64,
}

impl Default for Lifetimes {
    fn default() -> Self {
        Self {
            transaction: 900,
            session: 8 * 3600,
            code: 60,
            id_token: 3600,
            access_token: 3600,
            refresh_token: 30 * 24 * 3600,
            refresh_token_idle: 0,
        }
    }
}

/// Seconds that the remains of a login are kept after it ended or expired, for a helpful page.
const REMAINS: u64 = 24 * 3600;

/// Everything a use case needs: a snapshot of the configuration, and what all snapshots share.
#[derive(Clone)]
pub struct Gateway {
    /// Without a trailing slash.
    pub issuer: String,
    pub applications: Arc<HashMap<String, Arc<Application>>>,
    /// Client ids of SAML applications by entity ID: several may share one.
    pub service_providers: HashMap<String, Vec<String>>,
    /// By identifier.
    pub resource_servers: HashMap<String, Arc<ResourceServer>>,
    /// By client id and audience.
    pub client_grants: HashMap<(String, String), ClientGrant>,
    pub scripts: Arc<Scripts>,
    pub host: Arc<Host>,
    pub connections: Registry,
    /// Where connections know their identity providers from, if that lives.
    pub feeds: Arc<Feeds>,
    /// Applications that are known by such metadata.
    pub living: Arc<Vec<Arc<LivingApplication>>>,
    /// Endpoints in such metadata that are approved.
    pub approvals: Arc<Vec<Approval>>,
    pub sessions: Arc<dyn SessionStore>,
    pub directory: Arc<dyn Directory>,
    pub keyring: Arc<Keyring>,
    pub keys: Arc<OidcKeys>,
    /// What clients publish elsewhere.
    pub documents: Arc<Documents>,
    pub lifetimes: Lifetimes,
    /// Signs identifiers in the dialect `gigya`, where the operator wants that.
    pub gigya: Option<GigyaSigner>,
    /// Who may register applications by themselves.
    pub registration: Arc<registration::Registration>,
    pub admin: Admin,
    pub events: Arc<dyn Events>,
    pub log: Recorder,
    pub possession: PossessionSettings,
    /// Of clients, on this node.
    pub failures: Arc<limits::Failures>,
    /// Of people's passwords, on this node.
    pub tries: Arc<password::Tries>,
    pub mailer: Arc<mail::Mailer>,
}

/// Where use cases report what an operator counts.
pub trait Events: Send + Sync {
    /// A login ended: `outcome` is `success` or the diagnostic code.
    fn login(&self, connection: &str, outcome: &str);

    /// The metadata of a connection or application were looked at: `outcome` is `success` or `failure`.
    fn metadata(&self, of: &Owner, outcome: &str);

    /// A logout ended: `by` is `oidc`, `saml`, `idp` or `operator`; `outcome` is `success`, `partial` or `refused`.
    fn logout(&self, _by: &str, _outcome: &str) {}
}

/// What the browser showed us: the values of its two cookies, and from where it asks.
#[derive(Clone, Default)]
pub struct Browser {
    pub binding: Option<String>,
    pub session: Option<String>,
    /// Who asks, for scripts: absent where there are none.
    pub caller: Option<Arc<Caller>>,
    /// The identity providers that were picked in it, the last one first.
    pub remembered: Vec<Pick>,
    /// The person's first language, as in `de`.
    pub language: Option<String>,
}

impl Browser {
    /// The person's language, English if they do not say.
    pub fn language(&self) -> &str {
        self.language.as_deref().unwrap_or("en")
    }
}

/// Cookies do not print.
impl std::fmt::Debug for Browser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Browser").field("binding", &self.binding.is_some()).field("session", &self.session.is_some()).finish()
    }
}

/// A change of one of our cookies.
#[derive(Clone, Default, PartialEq, Eq)]
pub enum CookieChange {
    #[default]
    Keep,
    Set(String),
    Clear,
}

/// Cookies do not print.
impl std::fmt::Debug for CookieChange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Keep => "Keep",
            Self::Set(_) => "Set(..)",
            Self::Clear => "Clear",
        })
    }
}

/// What the handler must answer.
#[derive(Debug)]
pub struct Outcome {
    pub answer: Answer,
    pub binding: CookieChange,
    pub session: CookieChange,
    /// Of the login this request belongs to; absent where it belongs to none.
    pub correlation_id: Option<String>,
}

/// The answers there are.
#[derive(Debug)]
pub enum Answer {
    /// On to the identity provider.
    Upstream(BrowserStep),
    /// Back to the application.
    Reply(Reply),
    /// The person picks an identity provider.
    Choose(Chooser),
    /// The person may prove that a known account is theirs.
    AskLink(LinkQuestion),
    /// The person types the code that a device shows.
    EnterCode(DevicePage),
    /// The person agrees to what the application gets, or does not.
    AskConsent(Box<ConsentQuestion>),
    /// The person types name and password.
    AskPassword(Box<PasswordPage>),
    /// The person proves a second factor, or sets one up.
    AskFactor(Box<factor::FactorPage>),
    /// To a page that a script has named.
    Elsewhere(String),
    /// The same request again as a GET, so that the browser sends its SameSite=Lax cookies.
    SeeSelf,
    /// The same form again from our own page, for the same reason.
    Bounce,
    /// Our own page.
    Refused(Refusal),
}

/// An answer to an application, in its protocol.
#[derive(Debug)]
pub enum Reply {
    Oidc {
        client_id: String,
        response: AuthorizationResponse,
    },
    Saml(Outgoing),
    /// A device waits for it elsewhere; here the person is told.
    Device {
        connected: bool,
    },
}

/// The chooser page's content.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chooser {
    /// Path of the form.
    pub action: &'static str,
    /// Fields that go along with whatever the person does.
    pub hidden: Vec<(String, String)>,
    pub application: String,
    /// What the person looks for.
    pub search: Option<String>,
    /// What this browser picked before.
    pub remembered: Vec<Offer>,
    pub offers: Vec<Offer>,
    /// More were found than are offered.
    pub more: bool,
    /// There are more than the page lists: it has a search field.
    pub searchable: bool,
}

/// An identity provider on the chooser page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// As [`choose::Pick::parse`] reads it.
    pub value: String,
    pub name: String,
    pub logo: Option<String>,
    /// Instead of a logo, of a provider that is known.
    pub icon: Option<&'static Icon>,
    /// What tells it from others of the same name.
    pub detail: Option<String>,
}

/// The content of the page that asks whose account it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkQuestion {
    pub transaction_id: String,
    /// Proves that an answer came from this page.
    pub csrf: String,
    pub application: String,
    /// Display name of the connection that has vouched for the new identity.
    pub came_by: String,
    /// Name and display name of the connections by which the account can be proven.
    pub ways: Vec<(String, String)>,
    /// The person may go on with an account of its own.
    pub may_decline: bool,
}

/// The content of the page that asks whether an application may have what it asks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConsentQuestion {
    pub transaction_id: String,
    /// Proves that an answer came from this page.
    pub csrf: String,
    pub application: String,
    pub about: ClientAbout,
    /// As whom they are signed in: e-mail address or name.
    pub person: String,
    /// Name of the resource server that the application will use.
    pub server: Option<String>,
    pub scopes: Vec<AskedScope>,
    /// Names of claims that are asked one by one, and not given by the scopes.
    pub claims: Vec<String>,
    /// The application sees everything that is known of the person.
    pub whole_profile: bool,
    /// It is for a device that shows this code.
    pub device: Option<String>,
}

/// The content of the page on which people type the code that a device shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DevicePage {
    /// Proves that the code came from this page.
    pub csrf: String,
    /// As it was typed, or as the address has it.
    pub user_code: String,
    /// No device shows this code.
    pub unknown: bool,
}

/// The content of the page for name and password.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PasswordPage {
    pub transaction_id: String,
    /// Proves that what is typed came from this page.
    pub csrf: String,
    pub application: String,
    /// Display name of the connection.
    pub connection: String,
    /// As it was typed, or as the application hints.
    pub name: String,
    /// A second factor may be set up on the way.
    pub may_enrol: bool,
    pub problem: Option<PasswordProblem>,
    /// What the field for the name is for.
    pub named_by: NamedBy,
    /// The person may make an account, or ask for another password.
    pub sign_up: bool,
    pub reset: bool,
}

/// What people are known by at a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NamedBy {
    #[default]
    Username,
    Email,
    Either,
}

/// What the page for name and password says of the last try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PasswordProblem {
    /// The connection says so.
    Unproven(Unproven),
    /// So many have failed that the next one is worth nothing for these seconds.
    TooMany(u32),
}

/// A scope on the consent page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AskedScope {
    pub name: String,
    /// Of the resource server; the standard ones have none.
    pub description: Option<String>,
}

/// Something was refused, and the application could not or should not be told.
#[derive(Debug)]
pub struct Refusal {
    pub error: Error,
    pub restart: Option<Restart>,
}

impl Outcome {
    fn of(answer: Answer) -> Self {
        Self { answer, binding: CookieChange::Keep, session: CookieChange::Keep, correlation_id: None }
    }

    fn refused(error: Error, restart: Option<Restart>) -> Self {
        Self::of(Answer::Refused(Refusal { error, restart }))
    }

    #[must_use]
    fn in_login(mut self, correlation_id: &str) -> Self {
        self.correlation_id = Some(correlation_id.to_owned());
        self
    }
}

impl Gateway {
    /// The enabled application of this client id.
    pub fn application(&self, client_id: &str) -> Option<&Arc<Application>> {
        self.applications.get(client_id).filter(|application| application.enabled)
    }

    /// The living session behind the browser's cookie.
    async fn session(&self, browser: &Browser, now: Timestamp) -> Result<Option<Session>> {
        let Some(cookie) = &browser.session else { return Ok(None) };
        let found = self.sessions.get_many(&[Session::key(cookie)]).await?;
        let session = found.into_iter().next().flatten().map(|bytes| decode::<Session>(&bytes)).transpose()?;
        Ok(session.filter(|session| session.alive(now)))
    }

    /// What a session may answer an application with: the profile as it is now. It outlives neither the deletion nor the
    /// blocking of its user, nor the unlinking of the identity by which the person came, nor a deleted profile.
    async fn standing(&self, session: &Session) -> Result<Option<Standing>> {
        let Identity { connection, user_id: subject, .. } = &session.identity;
        let lets_in = |user: &UserState| !user.blocked && user.allows_login && !self.only_links(connection);
        // A user who was deleted and has signed in again has the same id.
        let is_its = |user: &UserState| lets_in(user) && user.created_at <= session.created_at;
        // Both are asked at once; what one says comes first all the same.
        let (user, ended) = tokio::join!(
            self.directory.user_state(&session.user_id, connection, subject),
            self.ended_after(&session.user_id, session.created_at),
        );
        let Some(user) = user?.filter(is_its) else { return Ok(None) };
        let Some(asked_at) = user.last_login else { return Ok(None) };
        if ended? {
            return Ok(None);
        }
        // The session's copy serves as long as nothing newer is known (S4-3, S4-5).
        let profile = if user.changed_at <= session.created_at {
            Some(session.profile.clone())
        } else {
            let Some(user) = self.directory.user(&session.user_id).await? else { return Ok(None) };
            self.effective(&user)?.map(|profile| Written::profile(&profile)).transpose()?
        };
        Ok(profile.map(|profile| Standing { profile, asked_at: asked_at.max(session.created_at) }))
    }
}

/// What a session still stands for.
struct Standing {
    profile: Written,
    /// When the connection by which the person came was last asked.
    asked_at: Timestamp,
}

impl Gateway {
    /// The login under way of this browser; where there is none, what to answer instead.
    async fn login_of(&self, id: &str, browser: &Browser, now: Timestamp) -> Result<Result<LoginTransaction, Box<Outcome>>> {
        let found = self.sessions.get_many(&[LoginTransaction::key(id)]).await?.into_iter().next().flatten();
        let (kind, restart, correlation_id) = match found.map(|bytes| decode::<Stored>(&bytes)).transpose()? {
            None => return Err(Error::new(ErrorKind::LoginExpired, "This sign-in is not known here any more.")),
            Some(Stored::Finished { browser: owner, correlation_id, restart }) => {
                let restart = is_browser(browser, &owner).then_some(restart);
                (ErrorKind::LoginAlreadyFinished, restart, correlation_id)
            }
            // The login belongs to the browser that began it; another one learns nothing of it and ends nothing.
            Some(Stored::Running(login)) if !is_browser(browser, &login.browser) => (ErrorKind::OtherBrowser, None, login.correlation_id),
            Some(Stored::Running(login)) if now >= login.expires_at => (ErrorKind::LoginExpired, Some(login.restart), login.correlation_id),
            Some(Stored::Running(login)) => return Ok(Ok(*login)),
        };
        Ok(Err(Box::new(Outcome::refused(Error::new(kind, ""), restart).in_login(&correlation_id))))
    }
}

/// Does this browser own what `digest` was made from?
fn is_browser(browser: &Browser, digest: &str) -> bool {
    browser.binding.as_deref().is_some_and(|value| id::eq_constant_time(id::digest(value).as_bytes(), digest.as_bytes()))
}

/// Written in a place that is kept, so that it does not grow anew for each record; the answer is as long as it has to be.
fn encode<T: serde::Serialize>(value: &T) -> Result<Vec<u8>> {
    thread_local! {
        static WRITTEN: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    }
    let mut written = WRITTEN.take();
    written.clear();
    let outcome = serde_json::to_writer(&mut written, value);
    let record = written.as_slice().to_vec();
    if written.capacity() <= KEPT_TO_WRITE {
        WRITTEN.set(written);
    }
    outcome.map(|()| record).map_err(|error| Error::new(ErrorKind::Internal, "a record cannot be written").because(error))
}

/// Octets that a thread keeps for its next record.
const KEPT_TO_WRITE: usize = 64 << 10;

fn decode<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|error| Error::new(ErrorKind::Internal, "a record cannot be read").because(error))
}

/// The mark that something may be used once, by a name that nobody can make.
fn once_op(name: &str, ttl: u64) -> Op {
    Op::Claim { key: format!("once:{}", id::digest(name)), ttl }
}

fn remains(browser: &str, correlation_id: &str, restart: &Restart) -> Result<Vec<u8>> {
    encode(&Stored::Finished { browser: browser.to_owned(), correlation_id: correlation_id.to_owned(), restart: restart.clone() })
}
