//! What an application was given: the record behind a code, and the one behind an access token.
//!
//! Everything of one grant shares the hash tag `{grant id}`, so that one round trip reads a token and its
//! revocation mark also in a cluster.

use super::Scripted;
use crate::clock::Timestamp;
use crate::oidc::{ClaimsRequest, CodeBinding, KeyConfirmation, Scopes};
use crate::user::Identity;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// The record behind an authorization code. The profile goes in as it was written for all records of the login
/// ([`crate::profile::Written`]), and comes out as an object.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CodeGrant<P> {
    /// What the token request must match.
    pub binding: CodeBinding,
    pub nonce: Option<String>,
    /// Claims that were asked by name.
    #[serde(default, skip_serializing_if = "ClaimsRequest::is_empty")]
    pub claims: ClaimsRequest,
    pub scopes: Scopes,
    /// The scopes before scripts changed them, where they did: a refresh begins with these, and scripts decide anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unscripted_scopes: Option<Scopes>,
    /// Identifier of the resource server for which the access token is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
    pub user_id: String,
    /// By which the person came.
    pub identity: Identity,
    pub sid: String,
    pub auth_time: Timestamp,
    pub acr: Option<String>,
    /// How the person proved it, where that was here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub amr: Vec<String>,
    /// The profile of this transaction.
    pub profile: P,
    /// Paths in `profile` that are for this transaction only and never stored.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub transient: Vec<String>,
    /// What rules and actions made of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scripted: Option<Box<Scripted>>,
    pub correlation_id: String,
    pub expires_at: Timestamp,
}

impl CodeGrant<()> {
    pub fn key(grant_id: &str, code_digest: &str) -> String {
        format!("{{{grant_id}}}code:{code_digest}")
    }
}

/// What stands in the place of a used code.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CodeTombstone {
    pub used_at: Timestamp,
}

/// The record behind an opaque access token.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AccessToken {
    pub client_id: String,
    pub scopes: Scopes,
    pub expires_at: Timestamp,
    pub correlation_id: String,
    /// The answer of `/userinfo`, ready to send.
    pub userinfo: Box<RawValue>,
    /// The whole profile in each dialect, for an application with `legacy_profile`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dialects: Option<Dialects>,
    /// Identifier of the resource server for which it is, beside UserInfo.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
    /// When it was issued; 0 for one of an earlier version.
    #[serde(default = "never")]
    pub issued_at: Timestamp,
    /// Whose it is; `None`: a program's own, or one without an audience of an earlier version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// The program that it speaks for, where that is not the application.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<String>,
    /// Claims that actions have added.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub claims: Map<String, Value>,
    /// The keys without which it is worth nothing.
    #[serde(default, skip_serializing_if = "KeyConfirmation::is_none")]
    pub confirmation: KeyConfirmation,
    /// Who acts for whom it speaks for (RFC 8693 4.1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub act: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_time: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acr: Option<String>,
}

impl AccessToken {
    /// Of a program, with nothing to tell at UserInfo.
    pub fn of_program(client_id: &str, scopes: Scopes, correlation_id: &str, issued_at: Timestamp, expires_at: Timestamp) -> Self {
        Self {
            client_id: client_id.to_owned(),
            scopes,
            expires_at,
            correlation_id: correlation_id.to_owned(),
            userinfo: RawValue::NULL.to_owned(),
            dialects: None,
            audience: None,
            issued_at,
            user_id: None,
            program: None,
            claims: Map::new(),
            confirmation: KeyConfirmation::default(),
            act: None,
            auth_time: None,
            acr: None,
        }
    }
}

const fn never() -> Timestamp {
    Timestamp::from_seconds(0)
}

/// A profile in every dialect.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Dialects {
    pub auth0: Box<RawValue>,
    pub gigya: Box<RawValue>,
    pub logto: Box<RawValue>,
}

impl AccessToken {
    pub fn key(grant_id: &str, token_digest: &str) -> String {
        format!("{{{grant_id}}}token:{token_digest}")
    }

    /// The mark that stops everything of one grant.
    pub fn revocation_key(grant_id: &str) -> String {
        format!("{{{grant_id}}}revoked")
    }
}
