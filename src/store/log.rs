//! The log of what happened: logins, tokens, calls of the management API. Operators read it; it is not the audit log.

use crate::clock::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

macro_rules! log_types {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $title:literal;)*) => {
        /// What happened. The codes are Auth0's, but for those of linking, which it does not have.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum LogType {
            $($(#[$doc])* $name,)*
        }

        impl LogType {
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The stable code.
            pub const fn code(self) -> &'static str {
                match self {
                    $(Self::$name => $code,)*
                }
            }

            /// For people.
            pub const fn title(self) -> &'static str {
                match self {
                    $(Self::$name => $title,)*
                }
            }
        }
    };
}

log_types! {
    Login = "s", "Success Login";
    FailedLogin = "f", "Failed Login";
    FailedLoginPassword = "fp", "Failed Login (incorrect password)";
    FailedLoginUser = "fu", "Failed Login (unknown user)";
    SilentLogin = "ssa", "Success Silent Auth";
    FailedSilentLogin = "fsa", "Failed Silent Auth";
    CodeExchange = "seacft", "Success Exchange (code for tokens)";
    FailedCodeExchange = "feacft", "Failed Exchange (code for tokens)";
    Refresh = "sertft", "Success Exchange (refresh token)";
    FailedRefresh = "fertft", "Failed Exchange (refresh token)";
    DeviceExchange = "sede", "Success Exchange (device code)";
    FailedDeviceExchange = "fede", "Failed Exchange (device code)";
    TokenExchange = "secte", "Success Exchange (token for token)";
    FailedTokenExchange = "fecte", "Failed Exchange (token for token)";
    ClientCredentials = "seccft", "Success Exchange (client credentials)";
    FailedClientCredentials = "feccft", "Failed Exchange (client credentials)";
    Logout = "slo", "Success Logout";
    FailedLogout = "flo", "Failed Logout";
    Signup = "ss", "Success Signup";
    FailedSignup = "fs", "Failed Signup";
    UserDeleted = "sdu", "Success User Deletion";
    FailedUserDeletion = "fdu", "Failed User Deletion";
    PasswordChanged = "scp", "Success Change Password";
    FailedPasswordChange = "fcp", "Failed Change Password";
    EmailVerified = "sv", "Success Verification Email";
    /// A change by the management API.
    ApiOperation = "sapi", "API Operation";
    FailedApiOperation = "fapi", "Failed API Operation";
    ApiRead = "mgmt_api_read", "API Read";
    SecondFactor = "gd_auth_succeed", "MFA Auth success";
    FailedSecondFactor = "gd_auth_failed", "MFA Auth failed";
    RecoveryCodeUsed = "gd_recovery_succeed", "MFA Recovery success";
    SecondFactorSetUp = "gd_enrollment_complete", "MFA Enrollment complete";
    SecondFactorRemoved = "gd_unenroll", "MFA Unenrollment";
    Linked = "link", "Users Linked";
    Unlinked = "unlink", "Identity Unlinked";
}

impl LogType {
    pub fn parse(code: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|known| known.code() == code)
    }
}

impl Serialize for LogType {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

impl<'de> Deserialize<'de> for LogType {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let code = String::deserialize(deserializer)?;
        Self::parse(&code).ok_or_else(|| serde::de::Error::custom("an unknown type of log event"))
    }
}

/// One event. What is absent is not known.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogEvent {
    /// Sorts by time. Empty until it is recorded.
    pub log_id: String,
    #[serde(with = "date")]
    pub date: Timestamp,
    #[serde(rename = "type")]
    pub kind: LogType,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub details: Option<Value>,
}

impl LogEvent {
    pub fn new(kind: LogType, date: Timestamp) -> Self {
        Self {
            log_id: String::new(),
            date,
            kind,
            description: None,
            client_id: None,
            client_name: None,
            connection: None,
            connection_id: None,
            ip: None,
            user_agent: None,
            user_id: None,
            user_name: None,
            hostname: None,
            scope: None,
            audience: None,
            details: None,
        }
    }
}

/// Which events; all that is given must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogFilter {
    pub user_id: Option<String>,
    pub kind: Option<LogType>,
    pub client_id: Option<String>,
    pub connection: Option<String>,
    /// Not before.
    pub from: Option<Timestamp>,
    /// Before.
    pub to: Option<Timestamp>,
}

/// Where a page of the log begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogPage {
    /// The newest first.
    Newest,
    /// Older than this one, the newest of them first.
    Before(String),
    /// Newer than this one, the oldest of them first.
    After(String),
}

/// What happened on one day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogDay {
    /// Its beginning, UTC.
    pub day: Timestamp,
    pub logins: i64,
    pub signups: i64,
}

/// Dates as RFC 3339.
mod date {
    use crate::clock::Timestamp;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(date: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(date)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        let text = String::deserialize(deserializer)?;
        Timestamp::parse(&text).ok_or_else(|| serde::de::Error::custom("not a date"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_have_codes_of_their_own_that_are_read_again() {
        for kind in LogType::ALL {
            assert_eq!(LogType::parse(kind.code()), Some(*kind));
        }
        assert_eq!(LogType::parse("x"), None);
    }

    #[test]
    fn what_is_not_known_is_absent() {
        let event = LogEvent { user_id: Some("auth0|jane".into()), ..LogEvent::new(LogType::Login, Timestamp::from_seconds(0)) };
        let text = serde_json::to_string(&event).expect("JSON");
        assert_eq!(text, r#"{"log_id":"","date":"1970-01-01T00:00:00Z","type":"s","user_id":"auth0|jane"}"#);
        assert_eq!(serde_json::from_str::<LogEvent>(&text).expect("an event"), event);
    }
}
