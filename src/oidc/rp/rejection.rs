//! Why an answer of a provider is not believed: one variant for each rule, with what was expected and what was found.
//!
//! The browser never sees these; they go to the login trace and to the log. No token and no secret is in them.

pub use crate::check::Check;
use std::fmt;

/// A refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rejection {
    // What the browser brought.
    ParameterRepeated {
        name: String,
    },
    /// `expected` is absent where others answer at the same address, and nobody has told us who this one says that it is.
    ResponseIssuer {
        expected: Option<String>,
        found: Option<String>,
    },
    ResponseWithoutCode,
    /// The provider says that it failed, or that the person did not sign in.
    ProviderError {
        error: String,
        description: Option<String>,
    },
    /// Nobody was asked: we could not sign the question, or the proof who we are.
    OwnSignature {
        why: String,
    },
    // The provider's other endpoints.
    ProviderUnreachable {
        what: &'static str,
        why: String,
    },
    MetadataInvalid {
        why: String,
    },
    KeysInvalid {
        why: String,
    },
    TokenEndpoint {
        error: String,
        description: Option<String>,
    },
    TokenAnswer {
        why: &'static str,
    },
    PushedRequest {
        error: String,
        description: Option<String>,
    },
    // The ID token, by Core 3.1.3.7.
    IdTokenMissing,
    IdTokenDecryption {
        why: String,
    },
    IdTokenType {
        found: String,
    },
    IdTokenIssuer {
        expected: String,
        found: String,
    },
    IdTokenAudience {
        expected: String,
        found: String,
    },
    IdTokenAuthorizedParty {
        expected: String,
        found: Option<String>,
    },
    IdTokenExpired {
        at: i64,
        now: i64,
    },
    IdTokenTooEarly {
        claim: &'static str,
        at: i64,
        now: i64,
    },
    IdTokenTooOld {
        issued_at: i64,
        asked_at: i64,
    },
    IdTokenNonce {
        present: bool,
    },
    IdTokenAccessTokenHash,
    IdTokenSubject {
        why: &'static str,
    },
    IdTokenTime {
        claim: &'static str,
    },
    AuthTimeMissing,
    AuthenticationTooOld {
        auth_time: i64,
        earliest: i64,
    },
    IdTokenContext {
        expected: String,
        found: Option<String>,
    },
    // UserInfo, by Core 5.3.
    UserInfo {
        why: String,
    },
    UserInfoSubject,
    /// A rule that tokens of several kinds have: of its signature, or of a JWT that is no ID token.
    Token {
        rule: &'static str,
        why: String,
    },
}

impl Rejection {
    /// Stable, kebab-case.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::ParameterRepeated { .. } => "response-parameter-repeated",
            Self::ResponseIssuer { .. } => "response-iss",
            Self::ResponseWithoutCode => "response-code",
            Self::ProviderError { .. } => "provider-error",
            Self::ProviderUnreachable { .. } => "provider-unreachable",
            Self::MetadataInvalid { .. } => "provider-metadata",
            Self::KeysInvalid { .. } => "provider-keys",
            Self::TokenEndpoint { .. } => "token-endpoint-error",
            Self::TokenAnswer { .. } => "token-response",
            Self::IdTokenMissing => "id-token-missing",
            Self::IdTokenDecryption { .. } => "id-token-decryption",
            Self::IdTokenType { .. } => "id-token-typ",
            Self::IdTokenIssuer { .. } => "id-token-iss",
            Self::IdTokenAudience { .. } => "id-token-aud",
            Self::IdTokenAuthorizedParty { .. } => "id-token-azp",
            Self::IdTokenExpired { .. } => "id-token-exp",
            Self::IdTokenTooEarly { .. } => "id-token-not-yet",
            Self::IdTokenTooOld { .. } => "id-token-iat",
            Self::IdTokenNonce { .. } => "id-token-nonce",
            Self::IdTokenAccessTokenHash => "id-token-at-hash",
            Self::IdTokenSubject { .. } => "id-token-sub",
            Self::IdTokenTime { .. } => "id-token-time",
            Self::AuthTimeMissing => "id-token-auth-time",
            Self::AuthenticationTooOld { .. } => "authentication-too-old",
            Self::IdTokenContext { .. } => "id-token-acr",
            Self::UserInfo { .. } => "userinfo",
            Self::UserInfoSubject => "userinfo-sub",
            Self::PushedRequest { .. } => "pushed-request-error",
            Self::OwnSignature { .. } => "own-signature",
            Self::Token { rule, .. } => rule,
        }
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let or_none = |text: &Option<String>| text.as_ref().map_or_else(|| "none".to_owned(), |text| format!("`{text}`"));
        let said = |description: &Option<String>| description.as_ref().map(|text| format!(": {text}")).unwrap_or_default();
        match self {
            Self::ParameterRepeated { name } => write!(f, "the answer has the parameter {name} twice"),
            Self::ResponseIssuer { expected: Some(expected), found } => {
                write!(f, "the answer is of the issuer {}, not `{expected}`", or_none(found))
            }
            Self::ResponseIssuer { expected: None, found } => {
                write!(f, "the answer is of the issuer {}; at an address that several share, `issuer` must say who that is", or_none(found))
            }
            Self::ResponseWithoutCode => f.write_str("the answer has neither a code nor an error"),
            Self::ProviderError { error, description } => write!(f, "the provider answered `{error}`{}", said(description)),
            Self::ProviderUnreachable { what, why } => write!(f, "the provider's {what} does not answer: {why}"),
            Self::MetadataInvalid { why } => write!(f, "the provider's metadata cannot be used: {why}"),
            Self::KeysInvalid { why } => write!(f, "the provider's keys cannot be used: {why}"),
            Self::TokenEndpoint { error, description } => write!(f, "the token endpoint refused with `{error}`{}", said(description)),
            Self::TokenAnswer { why } => write!(f, "the token endpoint's answer cannot be used: {why}"),
            Self::IdTokenMissing => f.write_str("the token endpoint gave no ID token"),
            Self::IdTokenDecryption { why } => write!(f, "the ID token cannot be decrypted: {why}"),
            Self::IdTokenType { found } => write!(f, "a JWT of the type `{found}` is no ID token"),
            Self::IdTokenIssuer { expected, found } => write!(f, "the ID token is of the issuer `{found}`, not `{expected}`"),
            Self::IdTokenAudience { expected, found } => write!(f, "the ID token is for {found}, not for `{expected}`"),
            Self::IdTokenAuthorizedParty { expected, found } => {
                write!(f, "the ID token was given to {} (azp), not to `{expected}`", or_none(found))
            }
            Self::IdTokenExpired { at, now } => write!(f, "the ID token has expired: exp is {at}, it is {now}"),
            Self::IdTokenTooEarly { claim, at, now } => write!(f, "the ID token is not good yet: {claim} is {at}, it is {now}"),
            Self::IdTokenTooOld { issued_at, asked_at } => {
                write!(f, "the ID token is older than the question: iat is {issued_at}, asked at {asked_at}")
            }
            Self::IdTokenNonce { present: true } => f.write_str("the ID token has the nonce of another login"),
            Self::IdTokenNonce { present: false } => f.write_str("the ID token has no nonce"),
            Self::IdTokenAccessTokenHash => f.write_str("the ID token belongs to another access token (at_hash)"),
            Self::IdTokenSubject { why } => write!(f, "the ID token's sub {why}"),
            Self::IdTokenTime { claim } => write!(f, "the ID token's {claim} is missing or no time"),
            Self::AuthTimeMissing => f.write_str("the ID token does not say when the person signed in, which was asked (auth_time)"),
            Self::AuthenticationTooOld { auth_time, earliest } => {
                write!(f, "the person signed in at {auth_time}, which is before {earliest}")
            }
            Self::IdTokenContext { expected, found } => {
                write!(f, "the person signed in by the context {} (acr), not by {expected}", or_none(found))
            }
            Self::UserInfo { why } => write!(f, "UserInfo cannot be used: {why}"),
            Self::PushedRequest { error, description } => {
                write!(f, "the provider refused the pushed request with `{error}`{}", said(description))
            }
            Self::OwnSignature { why } => write!(f, "the provider was not asked, since we cannot sign: {why}"),
            Self::Token { why, .. } => f.write_str(why),
            Self::UserInfoSubject => f.write_str("UserInfo is about somebody else (sub)"),
        }
    }
}
