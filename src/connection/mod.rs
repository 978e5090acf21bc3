//! Connections: configured identity providers, behind one trait.
//!
//! A connection turns what the application asked into a step of the browser, and the identity provider's
//! answer into an [`Authentication`]. It knows nothing of the application's protocol.

mod circuit;
pub mod config;
pub mod database;
pub mod explain;
pub mod ldap;
mod living;
pub mod metadata;
pub mod oauth2;
mod oidc;
pub mod outbound;
pub mod password;
pub mod recipients;
mod registry;
mod saml;
mod scope;
pub mod unsolicited;
pub mod upstream_params;

pub use database::DatabaseConnection;
pub use ldap::LdapConnection;
pub use living::{LivingConnection, as_kept_on_disk};
pub use oauth2::OAuth2Connection;
pub use oidc::OidcConnection;
pub use registry::{Registry, connection};
pub use saml::{SamlConnection, service_unreachable};

use crate::check::Check;
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::login::trace::{Step as Note, Trace};
use crate::login::{PendingAuthn, TimeBy, UpstreamSession};
use crate::oidc::rp::{Rejection, TokenAnswer};
use crate::oidc::{OidcKeys, Params};
use crate::profile::{ProviderTokens, RawAttributes};
use crate::saml::Comparison;
use crate::user::Identity;
use serde_json::{Map, Value};
use std::pin::Pin;
use std::sync::Arc;
use upstream_params::Alias;
use url::Url;

/// Whether the scopes of an identity provider's metadata can be used.
pub fn check_scopes(scopes: &[crate::saml::Scope]) -> Result<()> {
    scope::ScopeFilter::new(scopes).map(drop)
}

/// Where the browser goes next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BrowserStep {
    Redirect(Url),
    PostForm { action: String, fields: Vec<(String, String)> },
}

/// What a login wants from the identity provider.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UpstreamRequest {
    pub force_authn: bool,
    /// That is because of `max_age` alone, of which a provider by OpenID Connect can be told itself.
    pub by_age: bool,
    pub passive: bool,
    pub max_age: Option<u32>,
    pub acr_values: Vec<String>,
    /// How the answer may compare with them; `None`: as the connection says.
    pub acr_comparison: Option<Comparison>,
    pub login_hint: Option<String>,
    /// In which languages its pages should be, best first (BCP 47).
    pub ui_locales: Vec<String>,
    /// The application lets the person choose an account.
    pub select_account: bool,
    pub scopes: Vec<String>,
    /// entityID of one of the connection's identity providers, where it has many.
    pub idp: Option<String>,
    /// Client id of the application that asks.
    pub requester: String,
    /// For whom that application asks.
    pub requester_ids: Vec<String>,
    /// How many more may stand between here and who authenticates, as the application says.
    pub proxy_count: Option<u32>,
    /// The same and more in the words of OpenID Connect, for connections that pass it on by other names.
    pub said: Vec<(Alias, String)>,
}

/// One of the identity providers of a connection that has many, as people choose it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdpChoice {
    pub entity_id: String,
    /// In the language that was asked for, where the metadata have it.
    pub name: String,
    /// A picture, by an https address.
    pub logo: Option<String>,
    /// Domains that it may speak for, lower case, as its metadata list them.
    pub domains: Vec<String>,
}

/// What came back.
#[derive(Clone, Copy, Debug)]
pub enum Callback<'a> {
    /// Form values of the SAML POST binding.
    SamlResponse { response: &'a str },
    /// What the artifact resolution service has answered to the question `resolve_id`.
    SamlArtifactResponse { envelope: &'a str, resolve_id: &'a str },
}

/// A question that must be asked of the identity provider, without the browser, before its answer is whole.
#[derive(Clone, Debug)]
pub struct Resolution {
    pub url: Url,
    pub reach: outbound::download::Reach,
    /// ID of the question.
    pub resolve_id: String,
    pub envelope: String,
    /// Marks the artifact as used; says nothing of it.
    pub digest: String,
}

impl UpstreamRequest {
    /// Where nobody knows which context is stronger than another.
    ///
    /// # Errors
    /// When the application wants a better one than those that it names.
    fn check_comparison(&self, config: &config::ConnectionConfig) -> Result<()> {
        if self.acr_comparison != Some(Comparison::Better) || config.contexts(&self.acr_values).is_empty() {
            return Ok(());
        }
        let why = "This way to sign in cannot tell which kind of sign-in is better than another.";
        Err(Error::new(ErrorKind::UnmetAuthenticationRequirements, why))
    }
}

/// Somebody proved who they are. Made by a connection only, out of verified data.
#[derive(Clone, Debug)]
pub struct Authentication {
    pub identity: Identity,
    pub attributes: RawAttributes,
    pub auth_time: Timestamp,
    pub auth_time_by: TimeBy,
    /// Authentication context, in the words of the connection's table.
    pub acr: Option<String>,
    pub upstream: UpstreamSession,
    /// What the provider gave to be asked with, where the connection keeps that.
    pub tokens: Option<ProviderTokens>,
    /// First-level members that the keeper of the accounts writes into the user's `app_metadata`.
    pub app_metadata: Map<String, Value>,
    /// Ids that may be accepted once, and until when they must be remembered.
    pub once: Vec<(String, Timestamp)>,
}

/// A refused answer: what the application may hear, and what the operator reads.
#[derive(Debug)]
pub struct Refused {
    pub error: Error,
    /// Stable name of the failed check.
    pub reason: String,
    /// The second opinion disagreed: an alarm, not a mishap.
    pub alarm: bool,
    /// The second-level status of the identity provider, without its prefix, where an application of SAML is told the same.
    pub status: Option<&'static str>,
}

impl Refused {
    /// By a rule of OpenID Connect or OAuth 2.0: `kind` for the application, the words for the operator.
    fn by(rejection: &Rejection, kind: ErrorKind) -> Self {
        Self { error: Error::new(kind, rejection.to_string()), reason: rejection.name().to_owned(), alarm: false, status: None }
    }
}

/// A SAML connection with one identity provider: the connection itself, or one that it has made of living metadata.
pub enum Speaks<'a> {
    Itself(&'a SamlConnection),
    Made(Arc<SamlConnection>),
}

impl std::ops::Deref for Speaks<'_> {
    type Target = SamlConnection;

    fn deref(&self) -> &SamlConnection {
        match self {
            Self::Itself(connection) => connection,
            Self::Made(connection) => connection,
        }
    }
}

/// Work that must be done before a step of a login, and is nothing for most connections.
pub type Preparing<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// A step of the browser that may cost questions to the provider.
pub type Starting<'a> = Pin<Box<dyn Future<Output = Result<(BrowserStep, PendingAuthn)>> + Send + 'a>>;

/// An answer that costs questions to the provider.
pub type Redeeming<'a> = Pin<Box<dyn Future<Output = Result<Authentication, Refused>> + Send + 'a>>;

/// How a provider says that a session is over.
#[derive(Clone, Copy)]
pub enum LogoutSaid<'a> {
    /// A logout token, from there to here.
    Token(&'a str),
    /// An address of ours in a frame of its page.
    Frame { iss: &'a str, sid: &'a str },
}

/// Whose sessions are over, as a provider says. At least one of `user_id` and `sid` is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogoutNotice {
    /// The person, as the connection's identities have them.
    pub user_id: Option<String>,
    /// The session there.
    pub sid: Option<String>,
    /// What may be used once, and until when that must be remembered.
    pub once: Option<(String, Timestamp)>,
}

/// What a provider says of a logout, held against the rules.
pub type Told<'a> = Pin<Box<dyn Future<Output = Result<LogoutNotice, Refused>> + Send + 'a>>;

/// The checks of a message, for the trace.
pub fn note_checks(checks: Vec<Check>, now: Timestamp, trace: &mut Trace) {
    for Check { name, passed, expected, found } in checks {
        trace.note(now, Note::Check { name: name.into(), passed, expected, found });
    }
}

/// A login that cannot begin, because its provider cannot be asked, or does not let itself be asked: the trace says why, in
/// the provider's own words, and the application hears the kind.
fn not_begun(connection: &str, kind: ErrorKind, rejection: &Rejection, now: Timestamp, trace: &mut Trace) -> Error {
    tracing::warn!(connection, reason = rejection.name(), detail = %rejection, "a provider cannot be asked");
    let found = rejection.to_string();
    trace.note(now, Note::Check { name: rejection.name().into(), passed: false, expected: "a question that is taken".to_owned(), found });
    let told = match kind {
        ErrorKind::IdpUnreachable => "The identity provider cannot be reached at the moment.",
        _ => "The identity provider does not take the question for this sign-in.",
    };
    Error::new(kind, told).because(rejection.to_string())
}

/// What is kept of a token endpoint's answer.
fn tokens_to_keep(answer: &TokenAnswer, now: Timestamp) -> ProviderTokens {
    ProviderTokens {
        access_token: answer.access_token.clone(),
        refresh_token: answer.refresh_token.clone(),
        expires_at: answer.expires_in.map(|seconds| now.plus_seconds(seconds.clamp(0, LONGEST_LIFE))),
        scope: answer.scope.clone().filter(|scope| scope.len() <= LONGEST_SCOPE),
    }
}

/// Seconds for which an access token can be said to be good: ten years.
const LONGEST_LIFE: i64 = 315_360_000;
/// Octets.
const LONGEST_SCOPE: usize = 4096;

/// An answer in words that this connection does not speak.
fn wrong_protocol(spoken: &str) -> Refused {
    let error = Error::new(ErrorKind::IdpResponseInvalid, format!("the connection does not speak {spoken}"));
    Refused { error, reason: "wrong-protocol".to_owned(), alarm: false, status: None }
}

/// A configured identity provider.
pub trait Connection: Send + Sync {
    /// The step that sends the browser there, and what must be remembered for the answer.
    fn begin(
        &self,
        _transaction_id: &str,
        _asked: &UpstreamRequest,
        _now: Timestamp,
        _trace: &mut Trace,
    ) -> Result<(BrowserStep, PendingAuthn)> {
        Err(Error::new(ErrorKind::Internal, "a login by this connection begins with what the provider has to say"))
    }

    /// [`Self::begin`], with what must be known or asked before; `keys` are ours as they are now.
    fn start<'a>(
        &'a self,
        _keys: &'a OidcKeys,
        transaction_id: &'a str,
        asked: &'a UpstreamRequest,
        now: Timestamp,
        trace: &'a mut Trace,
    ) -> Starting<'a> {
        Box::pin(async move {
            self.prepare(asked.idp.as_deref(), now).await;
            self.begin(transaction_id, asked, now, trace)
        })
    }

    /// What to ask for the message behind `artifact`, the parameter SAMLart.
    fn resolve(&self, _artifact: &str, _pending: &PendingAuthn, _now: Timestamp, _trace: &mut Trace) -> Result<Resolution, Refused> {
        Err(wrong_protocol("SAML"))
    }

    /// Checks the answer; every check goes to the trace.
    fn complete(
        &self,
        _callback: Callback<'_>,
        _pending: &PendingAuthn,
        _now: Timestamp,
        _trace: &mut Trace,
    ) -> Result<Authentication, Refused> {
        Err(wrong_protocol("SAML"))
    }

    /// Redeems and checks the answer of a provider that speaks OpenID Connect; every check goes to the trace. `keys` are ours
    /// as they are now.
    fn redeem<'a>(
        &'a self,
        _keys: &'a OidcKeys,
        _answer: &'a Params,
        _pending: &'a PendingAuthn,
        _now: Timestamp,
        _trace: &'a mut Trace,
    ) -> Redeeming<'a> {
        Box::pin(std::future::ready(Err(wrong_protocol("OpenID Connect"))))
    }

    /// Where the browser ends a session there (RP-Initiated Logout 1.0), from where it returns with `state`. `None`: there is no
    /// such address, or the provider is not to be told.
    fn end_session(&self, _session: &UpstreamSession, _state: &str) -> Option<Url> {
        None
    }

    /// Checks what a provider that speaks OpenID Connect says of a session's end; every check goes to the trace.
    fn told_of_logout<'a>(&'a self, _keys: &'a OidcKeys, _said: LogoutSaid<'a>, _now: Timestamp, _trace: &'a mut Trace) -> Told<'a> {
        Box::pin(std::future::ready(Err(wrong_protocol("OpenID Connect"))))
    }

    /// Can it be asked for a fresh login? Whoever cannot is not asked for one, and does not say when a person signed in.
    fn asks_afresh(&self) -> bool {
        true
    }

    /// Do people type name and password into a page of ours?
    fn asks_password(&self) -> bool {
        false
    }

    /// Looks at what somebody has typed into that page; every check goes to the trace.
    fn verify_password<'a>(
        &'a self,
        _typed: password::Typed<'a>,
        _pending: &'a PendingAuthn,
        _now: Timestamp,
        _trace: &'a mut Trace,
    ) -> password::Proving<'a> {
        let refused = password::NotProven::Refused(Box::new(wrong_protocol("passwords")));
        Box::pin(std::future::ready(Err(refused)))
    }

    /// The accounts of a database, and what people may do with them.
    fn accounts(&self) -> Option<(&database::DatabaseSettings, &dyn database::Accounts)> {
        None
    }

    /// Checks an answer to no question of ours, for what the application is taken to ask; every check goes to the trace.
    fn unsolicited(
        &self,
        _callback: Callback<'_>,
        _asked: &UpstreamRequest,
        _now: Timestamp,
        _trace: &mut Trace,
    ) -> Result<Authentication, Refused> {
        Err(wrong_protocol("SAML"))
    }

    /// Metadata to hand to the identity provider: content type and document.
    fn metadata(&self, now: Timestamp) -> Result<(&'static str, String)>;

    fn config(&self) -> &config::ConnectionConfig;

    /// For what SAML alone has: Single Logout by messages of the browser. `idp` names one of many.
    fn saml(&self, _idp: Option<&str>, _now: Timestamp) -> Option<Speaks<'_>> {
        None
    }

    /// Entity ID of the identity provider, if it speaks SAML and is the only one behind this connection.
    fn idp_entity_id(&self) -> Option<String> {
        None
    }

    /// To be awaited before [`Connection::begin`] and [`Connection::complete`]: fetches what is not known yet of one of many
    /// identity providers. Whether it is known then, those say.
    fn prepare<'a>(&'a self, _idp: Option<&'a str>, _now: Timestamp) -> Preparing<'a> {
        Box::pin(std::future::ready(()))
    }

    /// The entityID of the identity provider that an identity is of, at a connection that has many.
    fn idp_of(&self, _identity: &Identity) -> Option<String> {
        None
    }

    /// Our entity ID toward it, if it speaks SAML.
    fn sp_entity_id(&self) -> Option<String> {
        None
    }

    /// Does it stand for many identity providers, one of which must be named?
    fn has_many(&self) -> bool {
        false
    }

    /// The service that finds one of them, where it is not our own page.
    fn discovery_service(&self) -> Option<&Url> {
        None
    }

    /// One of its many identity providers by entityID, with its name in a language, if it may be offered to people.
    fn idp_in(&self, entity_id: &str, _language: &str, now: Timestamp) -> Option<IdpChoice> {
        self.idp(entity_id, now)
    }

    /// Of a connection with many identity providers, those that `text` finds, best first; names in `language` count before
    /// others. Those that do not want to be offered to people are left out.
    fn search_idps(&self, _text: &str, _language: &str, _limit: usize, _now: Timestamp) -> Vec<IdpChoice> {
        Vec::new()
    }

    /// One of its many identity providers, by entityID, also one that is not offered to people.
    fn idp(&self, _entity_id: &str, _now: Timestamp) -> Option<IdpChoice> {
        None
    }
}
