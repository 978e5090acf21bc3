//! Why a message was refused: one variant per check, with what was expected and what was found.
//!
//! The browser never sees these; they go to the login trace and to the log. [`Check`] is the other half of the
//! story: every check that was made, in order, whether it passed or not.

use super::xml::{XmlError, XmlErrorKind};
pub use crate::check::Check;
use crate::clock::Timestamp;
use std::fmt;

/// The part of a response that a check looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    Response,
    Assertion,
    Request,
    LogoutRequest,
    LogoutResponse,
    ArtifactResolve,
    ArtifactResponse,
    SubjectConfirmation,
    Conditions,
    Metadata,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Response => "Response",
            Self::Assertion => "Assertion",
            Self::Request => "request",
            Self::LogoutRequest => "logout request",
            Self::LogoutResponse => "logout response",
            Self::ArtifactResolve => "ArtifactResolve",
            Self::ArtifactResponse => "ArtifactResponse",
            Self::SubjectConfirmation => "SubjectConfirmationData",
            Self::Conditions => "Conditions",
            Self::Metadata => "metadata",
        })
    }
}

/// A refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rejection {
    // How it arrived.
    /// The message or a parameter is missing from the form or query.
    MessageMissing {
        parameter: &'static str,
    },
    DuplicateParameter {
        parameter: String,
    },
    Encoding {
        what: &'static str,
    },
    TooLarge {
        limit: usize,
    },
    CompressionBroken,
    // XML.
    TooComplex {
        what: &'static str,
        limit: usize,
    },
    DocumentType {
        line: usize,
    },
    CommentOrInstruction {
        line: usize,
    },
    NotWellFormed {
        line: usize,
        why: String,
    },
    WrongRoot {
        expected: &'static str,
        found: String,
    },
    /// The schema wants something else here.
    Structure {
        on: Part,
        why: String,
    },
    // Signature.
    Unsigned {
        on: Part,
    },
    SignatureMisplaced {
        found: String,
    },
    SeveralSignatures {
        on: Part,
    },
    SignatureStructure {
        why: &'static str,
    },
    ReferenceCount {
        found: usize,
    },
    WrongReference {
        expected: String,
        found: String,
    },
    IdMissing {
        on: Part,
    },
    DuplicateId {
        id: String,
    },
    AlgorithmRefused {
        what: &'static str,
        found: String,
    },
    TransformRefused {
        found: String,
    },
    /// The message names a certificate that is not among the configured ones.
    WrongKey {
        expected: String,
        found: String,
    },
    /// No configured key verifies the signature, although the message does not name another one.
    SignatureInvalid {
        keys: String,
    },
    DigestDiffers {
        expected: String,
        found: String,
    },
    /// libxmlsec1 did not verify what our engine verified.
    SecondOpinionRefused {
        why: String,
    },
    /// libxmlsec1 verified other bytes than our engine.
    SecondOpinionDiffers,
    // Encryption.
    DecryptionKeyMissing,
    DecryptionFailed,
    /// Encrypted, but neither the assertion inside nor the response around it is signed.
    EncryptedButUnsigned,
    // Response.
    WrongVersion {
        on: Part,
        found: String,
    },
    DestinationMissing {
        expected: String,
    },
    WrongDestination {
        expected: String,
        found: String,
    },
    IssuerMissing {
        on: Part,
        expected: String,
    },
    WrongIssuer {
        on: Part,
        expected: String,
        found: String,
    },
    WrongIssuerFormat {
        on: Part,
        found: String,
    },
    StatusMissing,
    StatusNotSuccess {
        top: String,
        second: Option<String>,
        message: Option<String>,
    },
    /// An answer to no question.
    Unsolicited,
    /// An answer to no question, where one had just been asked because of another such answer.
    UnsolicitedAgain,
    WrongInResponseTo {
        on: Part,
        expected: String,
        found: String,
    },
    AssertionMissing,
    SeveralAssertions {
        found: usize,
    },
    PlainAndEncryptedAssertion,
    DateMissing {
        on: Part,
        name: &'static str,
    },
    DateUnreadable {
        on: Part,
        name: &'static str,
        found: String,
    },
    IssuedInFuture {
        on: Part,
        issued: Timestamp,
        now: Timestamp,
        skew_seconds: i64,
    },
    IssuedTooLongAgo {
        on: Part,
        issued: Timestamp,
        now: Timestamp,
        window_seconds: i64,
    },
    // Subject.
    SubjectMissing,
    BearerConfirmationMissing {
        found: String,
    },
    RecipientMissing {
        expected: String,
    },
    WrongRecipient {
        expected: String,
        found: String,
    },
    ConfirmationInResponseToMissing {
        expected: String,
    },
    ConfirmationExpired {
        not_on_or_after: Timestamp,
        now: Timestamp,
        skew_seconds: i64,
    },
    ConfirmationHasNotBefore {
        found: String,
    },
    NameIdMissing,
    SubjectAttributeMissing {
        attribute: String,
    },
    // Conditions.
    ConditionsMissing,
    NotYetValid {
        not_before: Timestamp,
        now: Timestamp,
        skew_seconds: i64,
    },
    Expired {
        not_on_or_after: Timestamp,
        now: Timestamp,
        skew_seconds: i64,
    },
    AudienceMissing {
        expected: String,
    },
    WrongAudience {
        expected: String,
        found: String,
    },
    UnknownCondition {
        found: String,
    },
    // Authentication.
    AuthnStatementMissing,
    SessionExpired {
        session_not_on_or_after: Timestamp,
        now: Timestamp,
        skew_seconds: i64,
    },
    AuthnInstantInFuture {
        authn_instant: Timestamp,
        now: Timestamp,
        skew_seconds: i64,
    },
    AuthenticationTooOld {
        authn_instant: Timestamp,
        limit: Timestamp,
    },
    AuthnContextNotMet {
        expected: String,
        found: String,
    },
    // Requests of applications.
    /// It is signed, and no key is registered with which that could be verified.
    VerificationKeyMissing {
        on: Part,
    },
    /// The answer is wanted at an address, or an index, that is not registered.
    AcsNotRegistered {
        found: String,
    },
    /// The answer is wanted by a binding that answers do not travel by here.
    BindingUnsupported {
        found: String,
    },
    /// The asked kind of NameID cannot be given.
    NameIdPolicyRefused {
        why: String,
    },
    /// RequestedAuthnContext is asked in a way that nothing here can meet.
    AuthnContextUnsupported {
        found: String,
    },
    /// Conditions in a request that no assertion for this application can have.
    RequestConditionsRefused {
        why: String,
    },
    /// The application was not registered for starts without a request.
    UnsolicitedNotAllowed,
    // Artifacts.
    /// It is no artifact of type 4.
    ArtifactUnreadable {
        why: String,
    },
    /// Its SourceID is not that of the expected sender.
    ArtifactOfAnother {
        expected: String,
        found: String,
    },
    /// Its EndpointIndex names no artifact resolution service that is known.
    ArtifactEndpointUnknown {
        expected: String,
        found: String,
    },
    /// Answers of this connection come by HTTP-POST only.
    ArtifactNotAccepted,
    /// The artifact resolution service could not be asked.
    ArtifactServiceUnreachable {
        why: String,
    },
    /// It was asked, and knows nothing of the artifact.
    ArtifactNotResolved,
    /// It was asked, and refused.
    ArtifactRefused {
        top: String,
        second: Option<String>,
        message: Option<String>,
    },
    /// No SOAP 1.1 envelope with one message in it.
    NotSoap {
        found: String,
    },
    /// A SOAP header block that must be understood, and is not.
    SoapHeader {
        found: String,
    },
    SoapFault {
        code: String,
        text: String,
    },
    // Logout.
    /// The message may not be used any more.
    MessageExpired {
        on: Part,
        not_on_or_after: Timestamp,
        now: Timestamp,
        skew_seconds: i64,
    },
}

impl Rejection {
    /// Stable, for logs, traces and tests.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::MessageMissing { .. } => "message-missing",
            Self::DuplicateParameter { .. } => "duplicate-parameter",
            Self::Encoding { .. } => "encoding",
            Self::TooLarge { .. } => "too-large",
            Self::CompressionBroken => "compression-broken",
            Self::TooComplex { .. } => "too-complex",
            Self::DocumentType { .. } => "document-type",
            Self::CommentOrInstruction { .. } => "comment-or-instruction",
            Self::NotWellFormed { .. } => "not-well-formed",
            Self::WrongRoot { .. } => "wrong-root",
            Self::Structure { .. } => "structure",
            Self::Unsigned { .. } => "unsigned",
            Self::SignatureMisplaced { .. } => "signature-misplaced",
            Self::SeveralSignatures { .. } => "several-signatures",
            Self::SignatureStructure { .. } => "signature-structure",
            Self::ReferenceCount { .. } => "reference-count",
            Self::WrongReference { .. } => "wrong-reference",
            Self::IdMissing { .. } => "id-missing",
            Self::DuplicateId { .. } => "duplicate-id",
            Self::AlgorithmRefused { .. } => "algorithm-refused",
            Self::TransformRefused { .. } => "transform-refused",
            Self::WrongKey { .. } => "wrong-key",
            Self::SignatureInvalid { .. } => "signature-invalid",
            Self::DigestDiffers { .. } => "digest-differs",
            Self::SecondOpinionRefused { .. } => "second-opinion-refused",
            Self::SecondOpinionDiffers => "second-opinion-differs",
            Self::DecryptionKeyMissing => "decryption-key-missing",
            Self::DecryptionFailed => "decryption-failed",
            Self::EncryptedButUnsigned => "encrypted-but-unsigned",
            Self::WrongVersion { .. } => "wrong-version",
            Self::DestinationMissing { .. } => "destination-missing",
            Self::WrongDestination { .. } => "wrong-destination",
            Self::IssuerMissing { .. } => "issuer-missing",
            Self::WrongIssuer { .. } => "wrong-issuer",
            Self::WrongIssuerFormat { .. } => "wrong-issuer-format",
            Self::StatusMissing => "status-missing",
            Self::StatusNotSuccess { .. } => "status-not-success",
            Self::Unsolicited => "unsolicited",
            Self::UnsolicitedAgain => "unsolicited-again",
            Self::WrongInResponseTo { .. } => "wrong-in-response-to",
            Self::AssertionMissing => "assertion-missing",
            Self::SeveralAssertions { .. } => "several-assertions",
            Self::PlainAndEncryptedAssertion => "plain-and-encrypted-assertion",
            Self::DateMissing { .. } => "date-missing",
            Self::DateUnreadable { .. } => "date-unreadable",
            Self::IssuedInFuture { .. } => "issued-in-future",
            Self::IssuedTooLongAgo { .. } => "issued-too-long-ago",
            Self::SubjectMissing => "subject-missing",
            Self::BearerConfirmationMissing { .. } => "bearer-confirmation-missing",
            Self::RecipientMissing { .. } => "recipient-missing",
            Self::WrongRecipient { .. } => "wrong-recipient",
            Self::ConfirmationInResponseToMissing { .. } => "confirmation-in-response-to-missing",
            Self::ConfirmationExpired { .. } => "confirmation-expired",
            Self::ConfirmationHasNotBefore { .. } => "confirmation-has-not-before",
            Self::NameIdMissing => "name-id-missing",
            Self::SubjectAttributeMissing { .. } => "subject-attribute-missing",
            Self::ConditionsMissing => "conditions-missing",
            Self::NotYetValid { .. } => "not-yet-valid",
            Self::Expired { .. } => "expired",
            Self::AudienceMissing { .. } => "audience-missing",
            Self::WrongAudience { .. } => "wrong-audience",
            Self::UnknownCondition { .. } => "unknown-condition",
            Self::AuthnStatementMissing => "authn-statement-missing",
            Self::SessionExpired { .. } => "session-expired",
            Self::AuthnInstantInFuture { .. } => "authn-instant-in-future",
            Self::AuthenticationTooOld { .. } => "authentication-too-old",
            Self::AuthnContextNotMet { .. } => "authn-context-not-met",
            Self::VerificationKeyMissing { .. } => "verification-key-missing",
            Self::AcsNotRegistered { .. } => "acs-not-registered",
            Self::BindingUnsupported { .. } => "binding-unsupported",
            Self::NameIdPolicyRefused { .. } => "name-id-policy-refused",
            Self::AuthnContextUnsupported { .. } => "authn-context-unsupported",
            Self::RequestConditionsRefused { .. } => "request-conditions-refused",
            Self::UnsolicitedNotAllowed => "unsolicited-not-allowed",
            Self::ArtifactUnreadable { .. } => "artifact-unreadable",
            Self::ArtifactOfAnother { .. } => "artifact-of-another",
            Self::ArtifactEndpointUnknown { .. } => "artifact-endpoint-unknown",
            Self::ArtifactNotAccepted => "artifact-not-accepted",
            Self::ArtifactServiceUnreachable { .. } => "artifact-service-unreachable",
            Self::ArtifactNotResolved => "artifact-not-resolved",
            Self::ArtifactRefused { .. } => "artifact-refused",
            Self::NotSoap { .. } => "not-soap",
            Self::SoapHeader { .. } => "soap-header",
            Self::SoapFault { .. } => "soap-fault",
            Self::MessageExpired { .. } => "message-expired",
        }
    }
}

impl fmt::Display for Rejection {
    #[expect(clippy::too_many_lines, reason = "one sentence per variant")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MessageMissing { parameter } => write!(f, "The parameter {parameter} is missing."),
            Self::DuplicateParameter { parameter } => write!(f, "The parameter {parameter} is given more than once."),
            Self::Encoding { what } => write!(f, "The message is not readable: {what}."),
            Self::TooLarge { limit } => write!(f, "The message is larger than {limit} bytes."),
            Self::CompressionBroken => write!(f, "The message is not DEFLATE-compressed as the redirect binding wants."),
            Self::TooComplex { what, limit } => write!(f, "The message has more than {limit} {what}."),
            Self::DocumentType { line } => write!(f, "The message has a DOCTYPE (line {line}); that is never allowed."),
            Self::CommentOrInstruction { line } => write!(f, "The message has a comment or processing instruction (line {line})."),
            Self::NotWellFormed { line, why } => write!(f, "The message is not well-formed XML (line {line}): {why}."),
            Self::WrongRoot { expected, found } => write!(f, "The message is a {found}; a {expected} was expected."),
            Self::Structure { on, why } => write!(f, "The {on} is not built as the SAML schema says: {why}."),
            Self::Unsigned { on: Part::Response } => write!(f, "Neither the response nor its assertion is signed."),
            Self::Unsigned { on } => write!(f, "The {on} is not signed."),
            Self::SignatureMisplaced { found } => write!(f, "A signature stands where none may be: in {found}."),
            Self::SeveralSignatures { on } => write!(f, "The {on} has more than one signature."),
            Self::SignatureStructure { why } => write!(f, "The signature is not built as expected: {why}."),
            Self::ReferenceCount { found } => write!(f, "The signature must have exactly one Reference; it has {found}."),
            Self::WrongReference { expected, found } => {
                write!(f, "The signature covers \"{found}\"; it must cover the element it stands in, \"{expected}\".")
            }
            Self::IdMissing { on } => write!(f, "The {on} has no (valid) ID."),
            Self::DuplicateId { id } => write!(f, "The ID {id} occurs more than once."),
            Self::AlgorithmRefused { what, found } => write!(f, "The {what} algorithm {found} is not allowed here."),
            Self::TransformRefused { found } => {
                write!(f, "The signature uses the transform {found}, which is not allowed for this connection.")
            }
            Self::WrongKey { expected, found } => write!(
                f,
                "The message names another signing certificate than the configured ones. Found SHA-256 fingerprint {found}, configured {expected}. \
                 If the sender changed its certificate, update its settings here."
            ),
            Self::SignatureInvalid { keys } => {
                write!(f, "The signature was not made with a configured key ({keys}), or the signed information was changed afterwards.")
            }
            Self::DigestDiffers { .. } => write!(f, "The content was changed after it was signed: the digest differs. The key is right."),
            Self::SecondOpinionRefused { why } => {
                write!(f, "The second signature check (libxmlsec1) refused what the first accepted: {why}.")
            }
            Self::SecondOpinionDiffers => write!(f, "The second signature check (libxmlsec1) verified other bytes than the first."),
            Self::DecryptionKeyMissing => write!(f, "The message is encrypted, but there is no decryption key for it."),
            Self::DecryptionFailed => {
                write!(f, "It cannot be decrypted. Was our current encryption certificate used?")
            }
            Self::EncryptedButUnsigned => {
                write!(
                    f,
                    "The assertion is encrypted, but neither it nor the response is signed; encryption proves nothing about the sender."
                )
            }
            Self::WrongVersion { on, found } => write!(f, "The {on} has version \"{found}\"; 2.0 was expected."),
            Self::DestinationMissing { expected } => write!(f, "The signed message has no Destination; {expected} was expected."),
            Self::WrongDestination { expected, found } => write!(f, "The message is for {found}; we are {expected}."),
            Self::IssuerMissing { on, expected } => write!(f, "The {on} names no issuer; {expected} was expected."),
            Self::WrongIssuer { on, expected, found } => {
                write!(f, "The {on} was issued by \"{found}\"; \"{expected}\" was expected.")
            }
            Self::WrongIssuerFormat { on, found } => write!(f, "The issuer of the {on} has the format {found}; it must be an entity."),
            Self::StatusMissing => write!(f, "The response has no status."),
            Self::StatusNotSuccess { top, second, message } => {
                write!(f, "The identity provider reports {}", short_status(top))?;
                rest_of_status(f, second.as_deref(), message.as_deref())
            }
            Self::Unsolicited => write!(f, "The response answers no request of ours (no InResponseTo)."),
            Self::UnsolicitedAgain => {
                write!(
                    f,
                    "The response answers no request (no InResponseTo), though the identity provider had just been sent one in this browser."
                )
            }
            Self::WrongInResponseTo { on, expected, found } => {
                write!(f, "The {on} answers the request {found}; the one sent was {expected}.")
            }
            Self::AssertionMissing => write!(f, "The response has no assertion."),
            Self::SeveralAssertions { found } => write!(f, "The response has {found} assertions; exactly one is accepted."),
            Self::PlainAndEncryptedAssertion => write!(f, "The response has both a plain and an encrypted assertion."),
            Self::DateMissing { on, name } => write!(f, "The {on} has no {name}."),
            Self::DateUnreadable { on, name, found } => write!(f, "The {name} of the {on} is not a date: \"{found}\"."),
            Self::IssuedInFuture { on, issued, now, skew_seconds } => write!(
                f,
                "The {on} was issued at {issued}, but here it is {now}: the sender's clock is ahead by {} s, {skew_seconds} s are tolerated.",
                issued.seconds_since(*now)
            ),
            Self::IssuedTooLongAgo { on, issued, now, window_seconds } => write!(
                f,
                "The {on} was issued at {issued}, {} s ago (it is {now}); {window_seconds} s are accepted. Either it was kept too long or a clock is wrong.",
                now.seconds_since(*issued)
            ),
            Self::SubjectMissing => write!(f, "The assertion has no subject."),
            Self::BearerConfirmationMissing { found } => write!(f, "The subject has no bearer confirmation (found: {found})."),
            Self::RecipientMissing { expected } => write!(f, "The bearer confirmation has no Recipient; {expected} was expected."),
            Self::WrongRecipient { expected, found } => write!(f, "The assertion is for the recipient {found}; we are {expected}."),
            Self::ConfirmationInResponseToMissing { expected } => {
                write!(f, "The bearer confirmation has no InResponseTo; {expected} was expected.")
            }
            Self::ConfirmationExpired { not_on_or_after, now, skew_seconds } => write!(
                f,
                "The bearer confirmation was valid until {not_on_or_after}; it is {now} ({} s late, {skew_seconds} s are tolerated).",
                now.seconds_since(*not_on_or_after)
            ),
            Self::ConfirmationHasNotBefore { found } => {
                write!(f, "The bearer confirmation has NotBefore ({found}), which the profile forbids.")
            }
            Self::NameIdMissing => write!(f, "There is no NameID, or an empty one, and no attribute is configured as the subject."),
            Self::SubjectAttributeMissing { attribute } => {
                write!(f, "The attribute {attribute}, configured as the subject, is missing or empty.")
            }
            Self::ConditionsMissing => write!(f, "The assertion has no Conditions."),
            Self::NotYetValid { not_before, now, skew_seconds } => write!(
                f,
                "The assertion is valid from {not_before}; it is {now}: the identity provider's clock is ahead by {} s, {skew_seconds} s are tolerated.",
                not_before.seconds_since(*now)
            ),
            Self::Expired { not_on_or_after, now, skew_seconds } => write!(
                f,
                "The assertion was valid until {not_on_or_after}; it is {now} ({} s late, {skew_seconds} s are tolerated).",
                now.seconds_since(*not_on_or_after)
            ),
            Self::AudienceMissing { expected } => write!(f, "The assertion is restricted to no audience; {expected} was expected."),
            Self::WrongAudience { expected, found } => write!(f, "The assertion is for the audience {found}; we are {expected}."),
            Self::UnknownCondition { found } => write!(f, "The assertion has a condition that is not understood: {found}."),
            Self::AuthnStatementMissing => write!(f, "The assertion has no AuthnStatement: it does not say that somebody signed in."),
            Self::SessionExpired { session_not_on_or_after, now, .. } => {
                write!(f, "The session at the identity provider ended at {session_not_on_or_after}; it is {now}.")
            }
            Self::AuthnInstantInFuture { authn_instant, now, skew_seconds } => write!(
                f,
                "The user signed in at {authn_instant}, but here it is {now}: the clocks differ by {} s, {skew_seconds} s are tolerated.",
                authn_instant.seconds_since(*now)
            ),
            Self::AuthenticationTooOld { authn_instant, limit } => {
                write!(f, "The user signed in at {authn_instant}; this login asked for a sign-in not before {limit}.")
            }
            Self::AuthnContextNotMet { expected, found } => {
                write!(f, "The identity provider signed the user in with {found}; this login asked for {expected}.")
            }
            Self::VerificationKeyMissing { on } => {
                write!(f, "The {on} is signed, but no certificate is registered with which that could be verified.")
            }
            Self::AcsNotRegistered { found } => {
                write!(f, "The application wants its answer at {found}, which is not registered as its assertion consumer service.")
            }
            Self::BindingUnsupported { found } => {
                write!(f, "The application wants its answer by {found}, for which its address is not registered.")
            }
            Self::NameIdPolicyRefused { why } => write!(f, "The asked NameID cannot be given: {why}."),
            Self::AuthnContextUnsupported { found } => write!(f, "The asked authentication context cannot be met: {found}."),
            Self::RequestConditionsRefused { why } => write!(f, "The conditions of the request cannot be met: {why}."),
            Self::UnsolicitedNotAllowed => write!(f, "Sign-ins to this application start at the application only."),
            Self::ArtifactUnreadable { why } => write!(f, "What came is no artifact of SAML 2.0: {why}."),
            Self::ArtifactOfAnother { expected, found } => {
                write!(f, "The artifact is of another entity: its SourceID is {found}; {expected} was expected.")
            }
            Self::ArtifactEndpointUnknown { expected, found } => write!(
                f,
                "The artifact names the artifact resolution service with index {found}; known is {expected}. \
                 If the sender has a new one, update its metadata here."
            ),
            Self::ArtifactNotAccepted => {
                write!(f, "The answer came as an artifact; this connection takes answers by HTTP-POST only (see response_binding).")
            }
            Self::ArtifactServiceUnreachable { why } => write!(f, "The artifact resolution service was not reached: {why}."),
            Self::ArtifactNotResolved => {
                write!(
                    f,
                    "The artifact resolution service knows no message for this artifact: it was resolved before, is too old, or is for another."
                )
            }
            Self::ArtifactRefused { top, second, message } => {
                write!(f, "The artifact resolution service reports {}", short_status(top))?;
                rest_of_status(f, second.as_deref(), message.as_deref())
            }
            Self::NotSoap { found } => write!(f, "This is no SOAP 1.1 envelope with one message: {found}."),
            Self::SoapHeader { found } => write!(f, "The SOAP header {found} must be understood, and is not."),
            Self::SoapFault { code, text } => write!(f, "The partner answers with the SOAP fault {code}: {text}."),
            Self::MessageExpired { on, not_on_or_after, now, .. } => {
                write!(f, "The {on} was valid until {not_on_or_after}; it is {now} ({} s late).", now.seconds_since(*not_on_or_after))
            }
        }
    }
}

fn rest_of_status(f: &mut fmt::Formatter<'_>, second: Option<&str>, message: Option<&str>) -> fmt::Result {
    if let Some(second) = second {
        write!(f, " / {}", short_status(second))?;
    }
    match message {
        Some(message) => write!(f, ": {message}"),
        None => f.write_str("."),
    }
}

fn short_status(code: &str) -> &str {
    code.strip_prefix(super::names::STATUS_PREFIX).unwrap_or(code)
}

impl std::error::Error for Rejection {}

impl From<XmlError> for Rejection {
    fn from(error: XmlError) -> Self {
        let line = error.line;
        match error.kind {
            XmlErrorKind::TooLarge { limit, .. } => Self::TooLarge { limit },
            XmlErrorKind::TooComplex { what, limit } => Self::TooComplex { what, limit },
            XmlErrorKind::DocumentType => Self::DocumentType { line },
            XmlErrorKind::Comment | XmlErrorKind::ProcessingInstruction => Self::CommentOrInstruction { line },
            XmlErrorKind::Encoding(_) => Self::Encoding { what: "it is not UTF-8" },
            XmlErrorKind::Malformed(why) => Self::NotWellFormed { line, why },
        }
    }
}

/// A text that came from outside, short and on one line, for traces and logs.
pub(crate) fn shown(text: impl Into<String>) -> String {
    const LENGTH: usize = 1000;
    let text: String = text.into();
    if text.len() <= LENGTH && !text.contains(char::is_control) {
        return text;
    }
    let mut short: String = text.chars().take(LENGTH).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if short.len() < text.len() {
        short.push('\u{2026}');
    }
    short
}

/// Where checks of conditions are noted. [`Checks`] is the one of a login, in which whatever fails ends it; an operator's
/// survey goes on. Only `Checks` is taken by what makes verified things.
pub(crate) trait Notebook {
    /// Notes one check, and refuses when it failed and that ends it.
    fn require(
        &mut self,
        name: &'static str,
        passed: bool,
        expected: impl Into<String>,
        found: impl Into<String>,
        rejection: impl FnOnce() -> Rejection,
    ) -> Result<(), Rejection>;

    /// Notes the outcome of a step that knows its own rejection.
    fn outcome<T>(&mut self, name: &'static str, expected: impl Into<String>, outcome: Result<T, Rejection>) -> Result<T, Rejection>;

    /// Whether the next step follows one that ended like this.
    fn on(step: Result<(), Rejection>) -> Result<(), Rejection>;
}

/// Notes checks as they are made.
pub(crate) struct Checks<'c>(pub &'c mut Vec<Check>);

impl Checks<'_> {
    /// Notes one check and refuses when it failed.
    pub fn require(
        &mut self,
        name: &'static str,
        passed: bool,
        expected: impl Into<String>,
        found: impl Into<String>,
        rejection: impl FnOnce() -> Rejection,
    ) -> Result<(), Rejection> {
        self.0.push(Check { name, passed, expected: shown(expected), found: shown(found) });
        if passed { Ok(()) } else { Err(rejection()) }
    }

    /// Notes the outcome of a step that knows its own rejection.
    pub fn outcome<T>(&mut self, name: &'static str, expected: impl Into<String>, outcome: Result<T, Rejection>) -> Result<T, Rejection> {
        let found = outcome.as_ref().err().map_or_else(|| "as expected".to_owned(), ToString::to_string);
        self.0.push(Check { name, passed: outcome.is_ok(), expected: shown(expected), found: shown(found) });
        outcome
    }
}

impl Notebook for Checks<'_> {
    fn require(
        &mut self,
        name: &'static str,
        passed: bool,
        expected: impl Into<String>,
        found: impl Into<String>,
        rejection: impl FnOnce() -> Rejection,
    ) -> Result<(), Rejection> {
        Checks::require(self, name, passed, expected, found, rejection)
    }

    fn outcome<T>(&mut self, name: &'static str, expected: impl Into<String>, outcome: Result<T, Rejection>) -> Result<T, Rejection> {
        Checks::outcome(self, name, expected, outcome)
    }

    fn on(step: Result<(), Rejection>) -> Result<(), Rejection> {
        step
    }
}
