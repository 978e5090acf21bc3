//! What a SAML application knows of a session: what it must be told, and by what, when the session ends.

use super::Mirror;
use crate::saml::assertion::NameId;
use serde::{Deserialize, Serialize};

/// A SAML application that was given an assertion in a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Partner {
    pub client_id: String,
    pub entity_id: String,
    /// The user's name there.
    pub name_id: NameId,
    /// The session's name there.
    pub session_index: String,
    /// The entity as which we spoke, if it was not the usual one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mirror: Option<Mirror>,
}
