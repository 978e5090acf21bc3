//! What a person has agreed that an application gets, as the directory keeps it.

use crate::clock::Timestamp;

/// One for each person, application and resource server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsentRecord {
    /// 32 hex digits.
    pub consent_id: String,
    pub user_id: String,
    pub client_id: String,
    /// Identifier of the resource server; empty where there is none.
    pub audience: String,
    pub scopes: Vec<String>,
    /// Names of claims that were asked one by one.
    pub claims: Vec<String>,
    pub created_at: Timestamp,
    /// When it was agreed to last.
    pub changed_at: Timestamp,
}

/// Which consents; all that is given must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConsentFilter {
    pub consent_id: Option<String>,
    pub user_id: Option<String>,
    pub client_id: Option<String>,
    pub audience: Option<String>,
    pub offset: usize,
    pub limit: usize,
}

/// A page of consents, and how many there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FoundConsents {
    pub consents: Vec<ConsentRecord>,
    pub total: usize,
}
