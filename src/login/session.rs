//! A session: single sign-on at Isthmus, with the profile that applications are served from.

use crate::clock::Timestamp;
use crate::profile::Written;
use crate::saml::NameId;
use crate::user::Identity;
use serde::{Deserialize, Serialize};

/// Authentication Method Reference Values (RFC 8176 2): a password.
pub const PASSWORD: &str = "pwd";
/// A one-time code.
pub const ONE_TIME: &str = "otp";
/// More than one factor.
pub const MULTIPLE: &str = "mfa";

/// The methods that count, as Auth0 names them, of those that a login has by RFC 8176.
pub fn methods(amr: &[String]) -> &'static [&'static str] {
    let has = |method: &str| amr.iter().any(|known| known == method);
    match (has(PASSWORD), has(MULTIPLE)) {
        (true, true) => &["pwd", "mfa"],
        (true, false) => &["pwd"],
        (false, _) => &["federated"],
    }
}

/// The method that a context class implies (SAML Authentication Context 3.4, REFEDS MFA Profile), where it implies one.
fn implied(class: &str) -> Option<&'static str> {
    if class == "https://refeds.org/profile/mfa" {
        return Some(MULTIPLE);
    }
    match class.strip_prefix("urn:oasis:names:tc:SAML:2.0:ac:classes:")? {
        "Password" | "PasswordProtectedTransport" | "InternetProtocolPassword" => Some(PASSWORD),
        "TimeSyncToken" => Some(ONE_TIME),
        "Smartcard" | "SmartcardPKI" => Some("sc"),
        "MobileTwoFactorUnregistered" | "MobileTwoFactorContract" => Some(MULTIPLE),
        _ => None,
    }
}

/// Whose word the time of a sign-in is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum TimeBy {
    /// Of whoever has seen the person sign in.
    #[default]
    Witness,
    /// Ours: the provider tells none, so it is when the person came from there. They may have signed in long before.
    Arrival,
}

impl TimeBy {
    /// By what a provider says of it.
    pub const fn of(told: Option<Timestamp>) -> Self {
        if told.is_some() { Self::Witness } else { Self::Arrival }
    }

    pub fn is_witness(&self) -> bool {
        *self == Self::Witness
    }
}

/// What the identity provider calls the session there, for logout.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpstreamSession {
    /// entityID of the identity provider, at a connection that has many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idp: Option<String>,
    pub name_id: Option<String>,
    pub name_id_format: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name_qualifier: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sp_name_qualifier: Option<String>,
    pub session_index: Option<String>,
    /// Who authenticated the person for the identity provider, if it says so.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub authenticating_authorities: Vec<String>,
    /// How the person signed in there (AuthnContextClassRef), in the identity provider's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authn_context: Option<String>,
    /// How the person signed in there (RFC 8176), in the words of an OpenID provider.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub amr: Vec<String>,
    /// The ID token of an OpenID provider that is told of logouts, sealed: its hint which session to end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id_token: Option<String>,
    /// The upstream session's own end (SessionNotOnOrAfter): an upper bound of ours.
    pub not_on_or_after: Option<Timestamp>,
}

impl UpstreamSession {
    /// The user's name at a SAML identity provider, if it gave one.
    pub fn saml_name(&self) -> Option<NameId> {
        Some(NameId {
            value: self.name_id.clone()?,
            format: self.name_id_format.clone(),
            name_qualifier: self.name_qualifier.clone(),
            sp_name_qualifier: self.sp_name_qualifier.clone(),
            sp_provided_id: None,
        })
    }
}

/// Single sign-on of one browser. The store knows it by the digest of the cookie's value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// Public name of the session (`sid` claim), made of the cookie's value, which nobody can make of it
    /// ([`Session::sid_of`]).
    pub sid: String,
    pub user_id: String,
    /// By which identity the user came.
    pub identity: Identity,
    /// The normalized profile as of `auth_time`.
    pub profile: Written,
    /// When the person proved who they are, at the identity provider.
    pub auth_time: Timestamp,
    #[serde(default, skip_serializing_if = "TimeBy::is_witness")]
    pub auth_time_by: TimeBy,
    pub acr: Option<String>,
    /// How the person proved it, where that was here (RFC 8176).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub amr: Vec<String>,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    pub upstream: UpstreamSession,
    /// Correlation id of the login that made it.
    pub correlation_id: String,
    /// The sessions of the same user that this one took the place of in its browser, the newest last: their applications
    /// are still to be told when it ends.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub before: Vec<String>,
}

impl Session {
    /// Store key of the session behind a cookie value.
    pub fn key(cookie: &str) -> String {
        format!("session:{}", Self::sid_of(cookie))
    }

    /// The public name of the session behind a cookie value: its digest. The value has 256 random bits.
    pub fn sid_of(cookie: &str) -> String {
        crate::id::digest(cookie)
    }

    /// Store key of a session by its public name; `None` for what is none.
    pub fn key_of_sid(sid: &str) -> Option<String> {
        let well_formed = sid.len() == 64 && sid.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f'));
        well_formed.then(|| format!("session:{sid}"))
    }

    /// Its name, and those of the sessions in whose place it stands.
    pub fn sids(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.sid.as_str()).chain(self.before.iter().map(String::as_str))
    }

    /// How the person signed in, as applications are told: to us, or else there, in the provider's words or as the context
    /// class implies.
    pub fn methods_told(&self) -> Vec<String> {
        let (ours, theirs) = (&self.amr, &self.upstream.amr);
        match (ours.is_empty(), theirs.is_empty()) {
            (false, _) => ours.clone(),
            (true, false) => theirs.clone(),
            (true, true) => self.upstream.authn_context.as_deref().and_then(implied).map(str::to_owned).into_iter().collect(),
        }
    }

    /// The person has proven more than a password to us.
    pub fn has_second_factor(&self) -> bool {
        self.amr.iter().any(|method| method == MULTIPLE)
    }

    /// Has the person, as whoever saw it says, signed in at most so many seconds ago?
    pub fn signed_in_within(&self, seconds: i64, now: Timestamp) -> bool {
        self.auth_time_by.is_witness() && now.seconds_since(self.auth_time) <= seconds
    }

    pub fn alive(&self, now: Timestamp) -> bool {
        now < self.expires_at && self.upstream.not_on_or_after.is_none_or(|end| now < end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn stored(auth_time_by: &Value) -> Session {
        let mut record = json!({
            "sid": "s", "user_id": "oidc|acme|jane", "profile": {}, "auth_time": Timestamp::from_seconds(1000), "acr": null,
            "identity": { "connection": "acme", "provider": "oidc", "user_id": "jane", "isSocial": false },
            "created_at": Timestamp::from_seconds(1000), "expires_at": Timestamp::from_seconds(2000),
            "upstream": { "name_id": null, "name_id_format": null, "session_index": null, "not_on_or_after": null },
            "correlation_id": "c",
        });
        if !auth_time_by.is_null() {
            record["auth_time_by"] = auth_time_by.clone();
        }
        serde_json::from_value(record).expect("a session")
    }

    #[test]
    fn a_session_from_before_there_was_a_mark_counts_as_it_did() {
        let (old, arrival) = (stored(&Value::Null), stored(&json!("Arrival")));
        let at = |seconds: i64| Timestamp::from_seconds(1000 + seconds);
        assert!(old.signed_in_within(60, at(60)) && !old.signed_in_within(60, at(61)));
        assert!(!arrival.signed_in_within(60, at(0)));
        let again = |session: &Session| serde_json::to_value(session).expect("JSON");
        assert_eq!((again(&old).get("auth_time_by"), &again(&arrival)["auth_time_by"]), (None, &json!("Arrival")));
        assert_eq!(serde_json::from_value::<Session>(again(&arrival)).expect("a session"), arrival);
    }
}
