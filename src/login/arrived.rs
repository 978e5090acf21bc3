//! Somebody who has come from an identity provider, and the proof that an account is theirs while it is under way.

use super::{PendingAuthn, TimeBy, UpstreamSession};
use crate::clock::Timestamp;
use crate::user::{Identity, folded};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::borrow::Cow;

/// A login that the identity provider has vouched for, with its attributes mapped: all that a session is made from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Arrived {
    pub identity: Identity,
    /// What the connection's table made of the attributes.
    pub profile: Map<String, Value>,
    /// Paths in `profile` that are used in this login and never stored (`non_persistent_attrs`).
    pub transient: Vec<String>,
    pub auth_time: Timestamp,
    #[serde(default, skip_serializing_if = "TimeBy::is_witness")]
    pub auth_time_by: TimeBy,
    /// The person proved who they are for this login, and not by an older session at the identity provider.
    pub fresh: bool,
    pub acr: Option<String>,
    /// How they proved it, where that was here (RFC 8176).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub amr: Vec<String>,
    /// A second factor that they have set up in this login, sealed for their identity, and the one that it takes the place of,
    /// as it was stored: kept as soon as the identity is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_factor: Option<NewFactor>,
    pub upstream: UpstreamSession,
    /// First-level members that whoever keeps the accounts writes into the user's `app_metadata`.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub app_metadata: Map<String, Value>,
    /// What the provider gave to be asked with, sealed for this identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<String>,
}

/// A record of factors, and the one that was there before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewFactor {
    pub sealed: String,
    pub before: Option<String>,
}

impl Arrived {
    /// The profile as it may be stored.
    pub fn lasting_profile(&self) -> Cow<'_, Map<String, Value>> {
        if self.transient.is_empty() {
            return Cow::Borrowed(&self.profile);
        }
        let mut profile = self.profile.clone();
        remove_paths(&mut profile, &self.transient);
        Cow::Owned(profile)
    }

    /// As it may be written down before the login ends: what is not to be kept is lost to the rest of it.
    #[must_use]
    pub fn lasting(self) -> Self {
        Self { profile: self.lasting_profile().into_owned(), transient: Vec::new(), ..self }
    }

    /// The e-mail address as users are found by it: in lower case.
    pub fn email(&self) -> Option<String> {
        self.profile.get("email")?.as_str().map(folded)
    }

    /// The same, if it may be stored.
    pub fn lasting_email(&self) -> Option<String> {
        self.email().filter(|_| !self.transient.iter().any(|path| path == "email"))
    }

    pub fn email_verified(&self) -> bool {
        self.profile.get("email_verified").and_then(Value::as_bool).unwrap_or(false)
    }
}

/// Removes members by their paths (`email`, `saml_data.x`), also where a name has dots itself; an object that has become
/// empty goes too.
pub fn remove_paths(members: &mut Map<String, Value>, paths: &[String]) {
    for path in paths {
        remove_path(members, path);
    }
}

/// Goes no deeper than the objects do.
fn remove_path(members: &mut Map<String, Value>, path: &str) {
    members.shift_remove(path);
    let Some((root, rest)) = path.split_once('.') else { return };
    if let Some(Value::Object(object)) = members.get_mut(root) {
        remove_path(object, rest);
        if object.is_empty() {
            members.shift_remove(root);
        }
    }
}

/// A new identity whose owner may prove that a known account is theirs too. It lives in the login of one browser, names
/// the subject it is about, and ends with the first proof, refusal or restart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PendingLink {
    pub arrived: Arrived,
    /// The users whose accounts may be proven.
    pub user_ids: Vec<String>,
    /// The connections by which they may be.
    pub connections: Vec<String>,
    pub proof: Proof,
}

/// How far the proof has come.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Proof {
    /// The person has been asked.
    Asked,
    /// The new identity is proven again, freshly, before the account at `then` is.
    Again { pending: PendingAuthn, then: String },
    /// The known account is being proven.
    Known { connection: String, pending: PendingAuthn },
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn transient_members_go_and_leave_no_empty_object() {
        let data = json!({"x": 1, "a.b": 2, "a": {"b": 3, "c": 4}, "d": {"e": {"f": 5}}});
        let mut members = json!({"email": "a@b", "saml_data": data, "address": {"country": "AT"}});
        let members = members.as_object_mut().expect("an object");
        let paths = ["email", "saml_data.a.b", "saml_data.d.e.f", "address.country", "absent", "absent.x"];
        remove_paths(members, &paths.map(str::to_owned));
        assert_eq!(Value::Object(members.clone()), json!({"saml_data": {"x": 1, "a": {"c": 4}}}));
    }
}
