//! Errors, and the one table that says how each kind looks on every wire.
//!
//! [`ErrorKind`] is for machines, `detail` may be shown to the person, `source` is only logged, once, by the
//! boundary that answers. [`ErrorKind::wire`] is exhaustive: a new kind does not compile before it has an
//! answer as HTTP status, OAuth error, SAML status and problem type.

use std::fmt;

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, what may be said about it, and what only the log may know.
#[derive(Debug)]
pub struct Error {
    pub kind: ErrorKind,
    /// Safe to show: no secrets, no personal data, nothing that tells which clients or users exist.
    pub detail: String,
    /// For the log only.
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
    /// Seconds after which it is worth another try, where that is known.
    pub retry_after: Option<u32>,
}

impl Error {
    pub fn new(kind: ErrorKind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), source: None, retry_after: None }
    }

    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// `seconds`: as in [`Error::retry_after`], one at least.
    #[must_use]
    pub fn again_in(mut self, seconds: u64) -> Self {
        self.retry_after = Some(u32::try_from(seconds.max(1)).unwrap_or(u32::MAX));
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind.wire().code, self.detail)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// Who can repair it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    Operator,
    IdentityProvider,
    Application,
    User,
}

/// One row of the table: how an error kind looks on every wire.
#[derive(Clone, Copy, Debug)]
pub struct Wire {
    pub status: u16,
    /// OAuth 2.0 / OpenID Connect error code.
    pub oauth: &'static str,
    /// SAML top-level and second-level status, without the `urn:oasis:names:tc:SAML:2.0:status:` prefix.
    pub saml: (&'static str, &'static str),
    /// Last segment of the problem type.
    pub problem: &'static str,
    /// Stable diagnostic code.
    pub code: &'static str,
    pub actor: Actor,
    /// Heading of the page.
    pub title: &'static str,
}

/// For machines. The order is that of the codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The request is malformed: a parameter is missing, repeated or unreadable.
    InvalidRequest,
    /// The client is unknown, or did not prove who it is.
    InvalidClient,
    /// The code, refresh token or verifier is wrong, used, expired or another client's.
    InvalidGrant,
    /// The client may not do this.
    UnauthorizedClient,
    UnsupportedGrantType,
    UnsupportedResponseType,
    InvalidScope,
    /// The redirect URI is not registered: answered on our page, never by redirect.
    InvalidRedirectUri,
    /// `prompt=none`, and somebody would have to sign in.
    LoginRequired,
    InteractionRequired,
    ConsentRequired,
    AccountSelectionRequired,
    /// The identity provider or a policy said no.
    AccessDenied,
    /// The asked authentication context was not reached.
    UnmetAuthenticationRequirements,
    RequestNotSupported,
    RequestUriNotSupported,
    RegistrationNotSupported,
    /// A client registers a redirect URI that it may not have.
    InvalidRegisteredUri,
    /// A client registers something else that it may not have.
    InvalidClientMetadata,
    /// A software statement that nobody whom we know has made.
    UnapprovedSoftwareStatement,
    /// A software statement that cannot be read, is not signed as it should be, or is not valid now.
    InvalidSoftwareStatement,
    /// The bearer token is unknown, expired or revoked.
    InvalidToken,
    InsufficientScope,
    /// The application forbids to ask anybody else (ProxyCount).
    ProxyCountExceeded,
    /// A request object is not readable, not signed as it must be, or says something that it may not.
    InvalidRequestObject,
    /// A request_uri is unknown, used, expired, not registered, or leads to nothing readable.
    InvalidRequestUri,
    /// The resource is not known here, or there are several (RFC 8707).
    InvalidTarget,
    /// The person has not decided yet.
    AuthorizationPending,
    /// The device asks too often.
    SlowDown,
    /// The device's request has expired.
    ExpiredToken,
    /// A proof of possession is missing or not good.
    InvalidDpopProof,
    /// A proof of possession needs a nonce.
    UseDpopNonce,
    /// No such connection, or it is disabled, or the application may not use it.
    UnknownConnection,
    /// The login began too long ago, or is not known here.
    LoginExpired,
    /// The login was finished before: Back button or a second POST.
    LoginAlreadyFinished,
    /// The answer belongs to a login that another browser began.
    OtherBrowser,
    /// The browser sends no cookies.
    CookiesBlocked,
    /// The identity provider's answer failed a check.
    IdpResponseInvalid,
    /// The identity provider's answer (an assertion) was used before.
    IdpResponseReplayed,
    /// The identity provider reports that it failed.
    IdpFailed,
    /// The identity provider cannot be reached, or fails again and again.
    IdpUnreachable,
    /// An answer to no question, and the connection does not allow that.
    UnsolicitedResponse,
    /// The mapping table demands an attribute that was not sent, or a value breaks a limit.
    ProfileIncomplete,
    UserBlocked,
    /// The identity is not known, and by the connection's linking policy it cannot be said whose it is.
    AccountConflict,
    /// The identity belongs to a user but may not be used to sign in.
    LinkOnlyIdentity,
    /// A rule or an action said no; the detail is what it says.
    RuleDenied,
    NotFound,
    MethodNotAllowed,
    PayloadTooLarge,
    UnsupportedMediaType,
    TooManyRequests,
    /// The attribute belongs to a connection, or to the gateway itself.
    ProtectedAttribute,
    /// Metadata, or a root attribute, break a rule of name, kind or size.
    InvalidUserData,
    /// Somebody else changed the same thing, or it is there already.
    Conflict,
    /// The session store or the directory does not answer.
    StoreUnavailable,
    /// A bounded pool is full.
    Overloaded,
    /// The configuration is wrong in a way that only shows at run time.
    Misconfigured,
    /// A rule or an action failed, or did what it may not.
    ScriptFailed,
    /// A defect of ours.
    Internal,
}

impl ErrorKind {
    pub const ALL: &'static [Self] = &[
        Self::InvalidRequest,
        Self::InvalidClient,
        Self::InvalidGrant,
        Self::UnauthorizedClient,
        Self::UnsupportedGrantType,
        Self::UnsupportedResponseType,
        Self::InvalidScope,
        Self::InvalidRedirectUri,
        Self::LoginRequired,
        Self::InteractionRequired,
        Self::ConsentRequired,
        Self::AccountSelectionRequired,
        Self::AccessDenied,
        Self::UnmetAuthenticationRequirements,
        Self::RequestNotSupported,
        Self::RequestUriNotSupported,
        Self::RegistrationNotSupported,
        Self::InvalidRegisteredUri,
        Self::InvalidClientMetadata,
        Self::UnapprovedSoftwareStatement,
        Self::InvalidSoftwareStatement,
        Self::InvalidToken,
        Self::InsufficientScope,
        Self::ProxyCountExceeded,
        Self::InvalidRequestObject,
        Self::InvalidRequestUri,
        Self::InvalidTarget,
        Self::AuthorizationPending,
        Self::SlowDown,
        Self::ExpiredToken,
        Self::InvalidDpopProof,
        Self::UseDpopNonce,
        Self::UnknownConnection,
        Self::LoginExpired,
        Self::LoginAlreadyFinished,
        Self::OtherBrowser,
        Self::CookiesBlocked,
        Self::IdpResponseInvalid,
        Self::IdpResponseReplayed,
        Self::IdpFailed,
        Self::IdpUnreachable,
        Self::UnsolicitedResponse,
        Self::ProfileIncomplete,
        Self::UserBlocked,
        Self::AccountConflict,
        Self::LinkOnlyIdentity,
        Self::RuleDenied,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::PayloadTooLarge,
        Self::UnsupportedMediaType,
        Self::TooManyRequests,
        Self::ProtectedAttribute,
        Self::InvalidUserData,
        Self::Conflict,
        Self::StoreUnavailable,
        Self::Overloaded,
        Self::Misconfigured,
        Self::ScriptFailed,
        Self::Internal,
    ];

    /// The table. Codes are stable: a row may be added, its code never reused.
    #[rustfmt::skip]
    pub const fn wire(self) -> Wire {
        use Actor::{Application, IdentityProvider, Operator, User};
        const fn row(status: u16, oauth: &'static str, saml: (&'static str, &'static str), problem: &'static str, code: &'static str, actor: Actor, title: &'static str) -> Wire {
            Wire { status, oauth, saml, problem, code, actor, title }
        }
        match self {
            Self::InvalidRequest => row(400, "invalid_request", ("Requester", "RequestUnsupported"), "invalid-request", "ISTH-1001", Application, "The request cannot be understood"),
            Self::InvalidClient => row(401, "invalid_client", ("Requester", "RequestDenied"), "invalid-client", "ISTH-1002", Application, "The application is not known here"),
            Self::InvalidGrant => row(400, "invalid_grant", ("Requester", "RequestDenied"), "invalid-grant", "ISTH-1003", Application, "The sign-in code is not valid"),
            Self::UnauthorizedClient => row(400, "unauthorized_client", ("Requester", "RequestDenied"), "unauthorized-client", "ISTH-1004", Application, "The application may not do this"),
            Self::UnsupportedGrantType => row(400, "unsupported_grant_type", ("Requester", "RequestUnsupported"), "unsupported-grant-type", "ISTH-1005", Application, "The request is not supported"),
            Self::UnsupportedResponseType => row(400, "unsupported_response_type", ("Requester", "RequestUnsupported"), "unsupported-response-type", "ISTH-1006", Application, "The request is not supported"),
            Self::InvalidScope => row(400, "invalid_scope", ("Requester", "RequestUnsupported"), "invalid-scope", "ISTH-1007", Application, "The application asked for something it cannot have"),
            Self::InvalidRedirectUri => row(400, "invalid_request", ("Requester", "RequestDenied"), "invalid-redirect-uri", "ISTH-1008", Application, "The application or its return address is not registered"),
            Self::LoginRequired => row(400, "login_required", ("Responder", "NoPassive"), "login-required", "ISTH-1009", User, "You need to sign in"),
            Self::InteractionRequired => row(400, "interaction_required", ("Responder", "NoPassive"), "interaction-required", "ISTH-1010", User, "You need to sign in"),
            Self::ConsentRequired => row(400, "consent_required", ("Responder", "NoPassive"), "consent-required", "ISTH-1011", User, "Your consent is needed"),
            Self::AccountSelectionRequired => row(400, "account_selection_required", ("Responder", "NoPassive"), "account-selection-required", "ISTH-1012", User, "An account must be chosen"),
            Self::AccessDenied => row(403, "access_denied", ("Responder", "RequestDenied"), "access-denied", "ISTH-1013", User, "Access was denied"),
            Self::UnmetAuthenticationRequirements => row(403, "unmet_authentication_requirements", ("Responder", "NoAuthnContext"), "unmet-authentication-requirements", "ISTH-1014", IdentityProvider, "A stronger sign-in is required"),
            Self::RequestNotSupported => row(400, "request_not_supported", ("Requester", "RequestUnsupported"), "request-not-supported", "ISTH-1015", Application, "The request is not supported"),
            Self::RequestUriNotSupported => row(400, "request_uri_not_supported", ("Requester", "RequestUnsupported"), "request-uri-not-supported", "ISTH-1016", Application, "The request is not supported"),
            Self::RegistrationNotSupported => row(400, "registration_not_supported", ("Requester", "RequestUnsupported"), "registration-not-supported", "ISTH-1017", Application, "The request is not supported"),
            Self::InvalidRegisteredUri => row(400, "invalid_redirect_uri", ("Requester", "RequestDenied"), "invalid-registered-uri", "ISTH-1041", Application, "The application cannot be registered"),
            Self::InvalidClientMetadata => row(400, "invalid_client_metadata", ("Requester", "RequestDenied"), "invalid-client-metadata", "ISTH-1042", Application, "The application cannot be registered"),
            Self::UnapprovedSoftwareStatement => row(400, "unapproved_software_statement", ("Requester", "RequestDenied"), "unapproved-software-statement", "ISTH-1043", Application, "The application cannot be registered"),
            Self::InvalidSoftwareStatement => row(400, "invalid_software_statement", ("Requester", "RequestDenied"), "invalid-software-statement", "ISTH-1044", Application, "The application cannot be registered"),
            Self::InvalidToken => row(401, "invalid_token", ("Requester", "RequestDenied"), "invalid-token", "ISTH-1018", Application, "The access token is not valid"),
            Self::InsufficientScope => row(403, "insufficient_scope", ("Requester", "RequestDenied"), "insufficient-scope", "ISTH-1019", Application, "The access token does not allow this"),
            Self::ProxyCountExceeded => row(403, "access_denied", ("Responder", "ProxyCountExceeded"), "proxy-count-exceeded", "ISTH-1020", Application, "The application does not allow others to be asked"),
            Self::InvalidRequestObject => row(400, "invalid_request_object", ("Requester", "RequestUnsupported"), "invalid-request-object", "ISTH-1021", Application, "The request cannot be accepted"),
            Self::InvalidRequestUri => row(400, "invalid_request_uri", ("Requester", "RequestUnsupported"), "invalid-request-uri", "ISTH-1022", Application, "The request cannot be found"),
            Self::InvalidTarget => row(400, "invalid_target", ("Requester", "RequestUnsupported"), "invalid-target", "ISTH-1023", Application, "The application asked for something it cannot have"),
            Self::AuthorizationPending => row(400, "authorization_pending", ("Requester", "RequestDenied"), "authorization-pending", "ISTH-1031", User, "You have not decided yet"),
            Self::SlowDown => row(400, "slow_down", ("Requester", "RequestDenied"), "slow-down", "ISTH-1032", Application, "The device asks too often"),
            Self::ExpiredToken => row(400, "expired_token", ("Requester", "RequestDenied"), "expired-token", "ISTH-1033", User, "The device waited too long"),
            Self::InvalidDpopProof => row(400, "invalid_dpop_proof", ("Requester", "RequestDenied"), "invalid-dpop-proof", "ISTH-1034", Application, "The application did not prove that it has its key"),
            Self::UseDpopNonce => row(400, "use_dpop_nonce", ("Requester", "RequestDenied"), "use-dpop-nonce", "ISTH-1035", Application, "The application did not prove that it has its key"),
            Self::UnknownConnection => row(404, "invalid_request", ("Requester", "NoAvailableIDP"), "unknown-connection", "ISTH-2001", Operator, "This way to sign in is not available"),
            Self::LoginExpired => row(400, "access_denied", ("Responder", "AuthnFailed"), "login-expired", "ISTH-2002", User, "This sign-in took too long"),
            Self::LoginAlreadyFinished => row(409, "access_denied", ("Responder", "AuthnFailed"), "login-already-finished", "ISTH-2003", User, "This sign-in is already finished"),
            Self::OtherBrowser => row(403, "access_denied", ("Responder", "AuthnFailed"), "other-browser", "ISTH-2004", User, "This sign-in was started in another browser"),
            Self::CookiesBlocked => row(400, "access_denied", ("Responder", "AuthnFailed"), "cookies-blocked", "ISTH-2005", User, "Your browser does not send cookies"),
            Self::IdpResponseInvalid => row(403, "server_error", ("Responder", "AuthnFailed"), "idp-response-invalid", "ISTH-3001", IdentityProvider, "The answer of your organisation's sign-in service was refused"),
            Self::IdpResponseReplayed => row(403, "access_denied", ("Responder", "AuthnFailed"), "idp-response-replayed", "ISTH-3002", User, "This answer was used before"),
            Self::IdpUnreachable => row(502, "temporarily_unavailable", ("Responder", "AuthnFailed"), "idp-unreachable", "ISTH-3010", IdentityProvider, "Your organisation's sign-in service cannot be reached at the moment"),
            Self::IdpFailed => row(502, "server_error", ("Responder", "AuthnFailed"), "idp-failed", "ISTH-3003", IdentityProvider, "Your organisation's sign-in service reported a failure"),
            Self::UnsolicitedResponse => row(403, "access_denied", ("Responder", "RequestDenied"), "unsolicited-response", "ISTH-3004", Operator, "This sign-in was not started here"),
            Self::ProfileIncomplete => row(403, "access_denied", ("Responder", "AuthnFailed"), "profile-incomplete", "ISTH-3005", IdentityProvider, "Something about you is missing"),
            Self::UserBlocked => row(403, "access_denied", ("Responder", "RequestDenied"), "user-blocked", "ISTH-3006", Operator, "This account may not sign in"),
            Self::AccountConflict => row(409, "access_denied", ("Responder", "RequestDenied"), "account-conflict", "ISTH-3007", Operator, "It is not clear which account is yours"),
            Self::LinkOnlyIdentity => row(403, "access_denied", ("Responder", "RequestDenied"), "link-only-identity", "ISTH-3008", User, "This account cannot be used to sign in"),
            Self::RuleDenied => row(403, "access_denied", ("Responder", "RequestDenied"), "rule-denied", "ISTH-3009", Operator, "You may not use this application"),
            Self::NotFound => row(404, "invalid_request", ("Requester", "RequestUnsupported"), "not-found", "ISTH-4001", User, "There is nothing here"),
            Self::MethodNotAllowed => row(405, "invalid_request", ("Requester", "RequestUnsupported"), "method-not-allowed", "ISTH-4002", Application, "The request cannot be understood"),
            Self::PayloadTooLarge => row(413, "invalid_request", ("Requester", "RequestUnsupported"), "payload-too-large", "ISTH-4003", Application, "The request is too large"),
            Self::UnsupportedMediaType => row(415, "invalid_request", ("Requester", "RequestUnsupported"), "unsupported-media-type", "ISTH-4004", Application, "The request cannot be understood"),
            Self::TooManyRequests => row(429, "temporarily_unavailable", ("Responder", "RequestDenied"), "too-many-requests", "ISTH-4005", User, "Too many attempts"),
            Self::ProtectedAttribute => row(400, "invalid_request", ("Requester", "RequestUnsupported"), "protected-attribute", "ISTH-4006", Application, "This cannot be changed here"),
            Self::InvalidUserData => row(400, "invalid_request", ("Requester", "RequestUnsupported"), "invalid-user-data", "ISTH-4007", Application, "The data cannot be accepted"),
            Self::Conflict => row(409, "invalid_request", ("Requester", "RequestUnsupported"), "conflict", "ISTH-4008", Application, "It was changed meanwhile, or is there already"),
            Self::StoreUnavailable => row(503, "temporarily_unavailable", ("Responder", "AuthnFailed"), "store-unavailable", "ISTH-5001", Operator, "Signing in is not possible at the moment"),
            Self::Overloaded => row(503, "temporarily_unavailable", ("Responder", "AuthnFailed"), "overloaded", "ISTH-5002", Operator, "Signing in is not possible at the moment"),
            Self::Misconfigured => row(500, "server_error", ("Responder", "AuthnFailed"), "misconfigured", "ISTH-5003", Operator, "Signing in is not possible"),
            Self::ScriptFailed => row(500, "server_error", ("Responder", "AuthnFailed"), "script-failed", "ISTH-5004", Operator, "A rule of this sign-in service failed"),
            Self::Internal => row(500, "server_error", ("Responder", "AuthnFailed"), "internal", "ISTH-5000", Operator, "Something went wrong here"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_kind_has_its_own_code_and_an_error_status() {
        let mut codes = HashSet::new();
        for kind in ErrorKind::ALL {
            let wire = kind.wire();
            assert!(codes.insert(wire.code), "{kind:?} reuses {}", wire.code);
            assert!((400..600).contains(&wire.status), "{kind:?}");
            assert!(!wire.title.is_empty() && !wire.oauth.is_empty() && !wire.problem.is_empty());
            assert!(["Requester", "Responder"].contains(&wire.saml.0), "{kind:?}");
        }
    }
}
