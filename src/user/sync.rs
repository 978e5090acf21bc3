//! Which of a user's root attributes follow the connection, and when an operator may edit them.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The attributes that the sync mode of a connection is about.
pub const ROOT_ATTRIBUTES: &[&str] = &["name", "given_name", "family_name", "nickname", "picture"];

/// When a login writes the root attributes (`profile_sync` of a connection).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProfileSync {
    /// At every login; nobody edits them here (S1-5).
    #[default]
    OnEachLogin,
    /// At the first login of the identity; afterwards operators edit them (S1-6).
    OnFirstLogin,
    /// Never; operators set them.
    NeverOnLogin,
}

impl ProfileSync {
    /// May an operator edit the root attributes of a user whose primary connection has this mode?
    pub const fn allows_edits(self) -> bool {
        !matches!(self, Self::OnEachLogin)
    }

    /// What a login of a known identity does to the root attributes that are kept: replace them?
    pub const fn replaces_at_login(self) -> bool {
        matches!(self, Self::OnEachLogin)
    }

    /// The root attributes to keep for a new identity.
    pub fn of_first_login(self, profile: &Map<String, Value>) -> Map<String, Value> {
        match self {
            Self::OnEachLogin | Self::OnFirstLogin => root_of(profile),
            Self::NeverOnLogin => Map::new(),
        }
    }
}

/// The root attributes that a profile has.
pub fn root_of(profile: &Map<String, Value>) -> Map<String, Value> {
    ROOT_ATTRIBUTES.iter().filter_map(|name| Some(((*name).to_owned(), profile.get(*name)?.clone()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn details_a_the_mode_decides_who_writes_root_attributes() {
        let profile = json!({"name": "Jane", "email": "jane@a.example", "picture": "https://a.example/j"});
        let profile = profile.as_object().expect("an object");
        let root = json!({"name": "Jane", "picture": "https://a.example/j"});
        assert_eq!(Value::Object(ProfileSync::OnEachLogin.of_first_login(profile)), root);
        assert_eq!(Value::Object(ProfileSync::OnFirstLogin.of_first_login(profile)), root);
        assert_eq!(ProfileSync::NeverOnLogin.of_first_login(profile), Map::new());
        assert!(!ProfileSync::OnEachLogin.allows_edits());
        assert!(ProfileSync::OnFirstLogin.allows_edits() && ProfileSync::NeverOnLogin.allows_edits());
    }
}
