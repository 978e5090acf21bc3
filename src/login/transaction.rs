//! One login under way: who asked, what was asked, where the answer goes, and how far it has come.

use super::{PendingConsent, PendingFactor, PendingLink, PendingScript, ReplyTo};
use crate::clock::Timestamp;
use crate::id;
use crate::oidc::pkce::CodeChallenge;
use crate::oidc::{ClaimsRequest, Display, ResponseType, Scopes};
use crate::saml::Comparison;
use serde::{Deserialize, Serialize};

/// What the application asked for, in words that fit every protocol.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// `prompt=none`, IsPassive.
    pub passive: bool,
    /// `prompt=login`, ForceAuthn.
    pub fresh_login: bool,
    /// `prompt=select_account`.
    pub choose: bool,
    /// Seconds since the login that the application tolerates.
    pub max_age: Option<u32>,
    pub acr_values: Vec<String>,
    /// How `acr_values` compare with what a login has; `None`: one of them exactly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acr_comparison: Option<Comparison>,
    pub login_hint: Option<String>,
    /// Name of the connection to use.
    pub connection: Option<String>,
    /// entityID of the identity provider to use, at a connection that has many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idp: Option<String>,
    /// The user the application expects, as the application calls them (`sub` of a verified `id_token_hint`).
    pub expected_user: Option<String>,
    /// That hint itself, for providers to which it is passed on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id_token_hint: Option<Hint>,
    pub scopes: Scopes,
    /// Identifier of the resource server for which the access token shall be.
    #[serde(default)]
    pub audience: Option<String>,
    pub nonce: Option<String>,
    pub code_challenge: Option<CodeChallenge>,
    /// What the answer gives to an OpenID client.
    #[serde(default)]
    pub response_type: ResponseType,
    /// Claims that are asked by name.
    #[serde(default, skip_serializing_if = "ClaimsRequest::is_empty")]
    pub claims: ClaimsRequest,
    /// A login that has none of `acr_values` has failed.
    #[serde(default)]
    pub acr_essential: bool,
    /// `prompt=consent`: the person is asked again what they have agreed to before.
    #[serde(default)]
    pub consent: bool,
    /// Languages of our pages, the best one first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ui_locales: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display: Option<Display>,
    /// Thumbprint of the key to which the code is bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dpop_jkt: Option<String>,
    /// What the answer uses up: a pushed request, a request object.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub once: Vec<Spent>,
    /// Scoping/ProxyCount: how many more may stand between here and who authenticates; 0 forbids to ask anybody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy_count: Option<u32>,
    /// Scoping/RequesterID: for whom the application itself asks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requester_ids: Vec<String>,
}

/// A token that an application has sent. It does not print.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Hint(String);

impl Hint {
    pub const fn new(token: String) -> Self {
        Self(token)
    }

    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Hint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hint(..)")
    }
}

/// Something that counts for one answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spent {
    pub name: String,
    /// How long at least it must be remembered as used.
    pub until: Timestamp,
}

impl Spent {
    /// Store key of the mark that it was used.
    pub fn mark(&self) -> String {
        format!("spent:{}", id::digest(&self.name))
    }
}

/// What must be remembered until the identity provider answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingAuthn {
    /// ID of the AuthnRequest.
    pub request_id: String,
    /// entityID of the identity provider that was asked, at a connection that has many: only its keys may answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idp: Option<String>,
    pub sent_at: Timestamp,
    pub force_authn: bool,
    pub passive: bool,
    pub max_age: Option<u32>,
    /// Context classes that were asked for.
    pub authn_context: Vec<String>,
    /// How the answer may compare with them, where the application says so and not the connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authn_context_comparison: Option<Comparison>,
    /// What only the provider's own answer can know, where it speaks OpenID Connect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oidc: Option<PendingOidc>,
}

impl PendingAuthn {
    /// A question that demands nothing.
    pub const fn new(request_id: String, sent_at: Timestamp) -> Self {
        Self {
            request_id,
            idp: None,
            sent_at,
            force_authn: false,
            passive: false,
            max_age: None,
            authn_context: Vec::new(),
            authn_context_comparison: None,
            oidc: None,
        }
    }

    /// Is this context one that was asked for, where nobody here knows which is stronger than another (SAML Core 3.3.2.2.1)?
    /// What is asked for is then at least and at most itself, but not better.
    pub fn is_met_by(&self, context: Option<&str>) -> bool {
        let asked = |context: &str| self.authn_context.iter().any(|asked| asked == context);
        self.authn_context.is_empty() || (self.authn_context_comparison != Some(Comparison::Better) && context.is_some_and(asked))
    }
}

/// Secrets of one authorization request.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingOidc {
    pub nonce: String,
    /// PKCE (RFC 7636 4.1).
    pub code_verifier: String,
}

impl std::fmt::Debug for PendingOidc {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PendingOidc(..)")
    }
}

/// How far the login has come. Each variant carries what belongs to it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Stage {
    /// The person picks an identity provider.
    ChoosingConnection,
    /// The browser is at the identity provider.
    AwaitingIdp { connection: String, pending: PendingAuthn },
    /// The password was right, and a second factor is asked for.
    AwaitingFactor(Box<PendingFactor>),
    /// The identity provider has vouched for somebody new, who may prove that a known account is theirs.
    AwaitingLink(Box<PendingLink>),
    /// A rule or an action has sent the person to another page, and waits for their return.
    AwaitingScript(Box<PendingScript>),
    /// Everything is settled but whether the person agrees to what the application gets.
    AwaitingConsent(Box<PendingConsent>),
}

/// How to begin the same login again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restart {
    /// Name of the application, for the page.
    pub application: String,
    /// Path and query here that begins it; empty where only the application can.
    pub path: String,
    /// The request's parameters, without secrets, where `path` does not have them.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub query: String,
}

impl Restart {
    /// The request's parameters, encoded, for scripts.
    pub fn query(&self) -> &str {
        self.path.split_once('?').map(|(_, query)| query).filter(|_| self.query.is_empty()).unwrap_or(&self.query)
    }
}

/// The login itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LoginTransaction {
    /// 128 random bits, hex; also the RelayState, and what the AuthnRequest's ID begins with, after `_`.
    pub id: String,
    pub correlation_id: String,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    /// Digest of the browser's binding cookie.
    pub browser: String,
    pub client_id: String,
    pub asked: Asked,
    pub reply_to: ReplyTo,
    pub restart: Restart,
    /// Store key of the session that the browser had when the login began; it ends when the login succeeds.
    pub previous_session: Option<String>,
    pub stage: Stage,
}

impl LoginTransaction {
    pub fn key(id: &str) -> String {
        format!("login:{id}")
    }

    /// The transition to the identity provider; consumes the transaction.
    #[must_use]
    pub fn sent_to(mut self, connection: String, pending: PendingAuthn) -> Self {
        self.stage = Stage::AwaitingIdp { connection, pending };
        self
    }

    /// The transition to the second factor; consumes the transaction.
    #[must_use]
    pub fn asking_factor(mut self, pending: PendingFactor) -> Self {
        self.stage = Stage::AwaitingFactor(Box::new(pending));
        self
    }

    /// The transition back to the password, where a second factor was waited for; consumes the transaction.
    #[must_use]
    pub fn before_factor(mut self) -> Self {
        if let Stage::AwaitingFactor(pending) = self.stage {
            self.stage = pending.question;
        }
        self
    }

    /// The transition to the question whose account it is, and onward through its proof; consumes the transaction.
    #[must_use]
    pub fn linking(mut self, link: PendingLink) -> Self {
        self.stage = Stage::AwaitingLink(Box::new(link));
        self
    }

    /// The transition to a page to which a script sends the person; consumes the transaction.
    #[must_use]
    pub fn waiting_for(mut self, pending: PendingScript) -> Self {
        self.stage = Stage::AwaitingScript(Box::new(pending));
        self
    }

    /// The transition to the question whether the application may have what it asks; consumes the transaction.
    #[must_use]
    pub fn asking_consent(mut self, pending: PendingConsent) -> Self {
        self.stage = Stage::AwaitingConsent(Box::new(pending));
        self
    }
}

/// What the store holds under a transaction's key: the login, or what is left of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Stored {
    Running(Box<LoginTransaction>),
    /// The login is over; kept so that the Back button and a second POST meet a helpful page.
    Finished {
        browser: String,
        correlation_id: String,
        restart: Restart,
    },
}
