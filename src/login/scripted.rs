//! What rules and actions made of a login, and a login that waits for a person whom they sent elsewhere.

use super::Arrived;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// For this transaction and what it gives only (S4-19): never stored with user or session.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Scripted {
    /// The members of the user that are different, by Auth0's names; `null`: removed. Of the metadata only the members
    /// that are different.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub user: Map<String, Value>,
    /// Claims of the ID token and of UserInfo; `null` removes one.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub id_token: Map<String, Value>,
    /// Claims of the access token.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub access_token: Map<String, Value>,
    /// Settings of the answer to a SAML application, by the names of `context.samlConfiguration`.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub saml: Map<String, Value>,
}

impl Scripted {
    pub fn is_empty(&self) -> bool {
        self.user.is_empty() && self.id_token.is_empty() && self.access_token.is_empty() && self.saml.is_empty()
    }
}

/// A script has sent the person to another page, from which they return to `/continue`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PendingScript {
    /// What the return must carry: the login's id, and 128 random bits of this step.
    pub state: String,
    /// How often the login has gone elsewhere, this time included.
    pub steps: u32,
    /// Id of the script.
    pub script: String,
    /// What the scripts had made of the login until then; the host's own record.
    pub so_far: Value,
    pub by: CameBy,
}

/// How the person came to the login that waits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum CameBy {
    /// An identity provider has vouched for them.
    Idp(Box<Arrived>),
    /// A session here has: its store key.
    Session(String),
}
