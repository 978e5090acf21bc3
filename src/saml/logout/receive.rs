//! Receiving LogoutRequests and LogoutResponses.

use super::{LogoutOutcome, LogoutService};
use crate::clock::Timestamp;
use crate::error::Result as CrateResult;
use crate::keys::CertifiedKey;
use crate::saml::assertion::{NameId, Status, only};
use crate::saml::binding::{Binding, MessageKind, Outgoing};
use crate::saml::message::{Arrived, HeadJudge, Incoming, MessagePolicy, Verifier, date, name_id};
use crate::saml::names;
use crate::saml::rejection::{Check, Checks, Part, Rejection};
use crate::saml::signature::{Signer, TrustedKeys};
use crate::saml::xml::Element;
use serde::{Deserialize, Serialize};

const REQUEST: &str = "samlp:LogoutRequest";
const RESPONSE: &str = "samlp:LogoutResponse";
/// Sessions that one request may name.
const SESSIONS: usize = 1000;

/// A decoded message of which nothing is verified yet.
#[derive(Debug)]
pub struct ArrivedLogout {
    arrived: Arrived,
    issuer: String,
    in_response_to: Option<String>,
    kind: MessageKind,
}

impl ArrivedLogout {
    /// # Errors
    /// When it is no LogoutRequest that could be read.
    pub fn request(incoming: Incoming<'_>) -> Result<Self, Rejection> {
        Self::decode(incoming, MessageKind::Request)
    }

    /// # Errors
    /// When it is no LogoutResponse that could be read.
    pub fn response(incoming: Incoming<'_>) -> Result<Self, Rejection> {
        Self::decode(incoming, MessageKind::Response)
    }

    /// # Errors
    /// When it is no SOAP envelope with a LogoutRequest that could be read.
    pub fn request_in_envelope(envelope: String) -> Result<Self, Rejection> {
        Self::peeked(Arrived::in_envelope(envelope), MessageKind::Request)
    }

    /// # Errors
    /// When it is no SOAP envelope with a LogoutResponse that could be read.
    pub fn response_in_envelope(envelope: String) -> Result<Self, Rejection> {
        Self::peeked(Arrived::in_envelope(envelope), MessageKind::Response)
    }

    fn decode(incoming: Incoming<'_>, kind: MessageKind) -> Result<Self, Rejection> {
        Self::peeked(Arrived::decode(incoming, kind)?, kind)
    }

    fn peeked(arrived: Arrived, kind: MessageKind) -> Result<Self, Rejection> {
        let root = if kind == MessageKind::Request { REQUEST } else { RESPONSE };
        let (issuer, in_response_to) = arrived.peek(root)?;
        Ok(Self { issuer, in_response_to, arrived, kind })
    }

    /// Who claims to have sent it: only good for finding the partner.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Which request it claims to answer: only good for finding that.
    pub fn in_response_to(&self) -> Option<&str> {
        self.in_response_to.as_deref()
    }

    /// Unproven where the message came by POST, whose signature does not cover it.
    pub fn relay_state(&self) -> Option<&str> {
        self.arrived.relay_state.as_deref()
    }

    pub const fn binding(&self) -> Binding {
        self.arrived.binding
    }

    // SAML Bindings 3.4.5.2, 3.5.5.2 want a Destination where a browser carries the message; 3.2 does not.
    const fn names_destination(&self) -> bool {
        !self.arrived.soap
    }

    /// It came from the partner itself, not by the browser.
    pub const fn is_soap(&self) -> bool {
        self.arrived.soap
    }
}

/// Whose message is expected, and where.
#[derive(Clone, Copy, Debug)]
pub struct LogoutTerms<'a> {
    /// The partner's entity ID.
    pub partner: &'a str,
    /// The partner's keys; without any nothing is accepted.
    pub keys: Option<&'a TrustedKeys>,
    /// The address at which the message was received, as it is published.
    pub destination: &'a str,
    pub decryption_keys: &'a [&'a CertifiedKey],
    pub policy: &'a MessagePolicy,
    pub now: Timestamp,
}

impl LogoutTerms<'_> {
    // SAML Profiles 4.4.4: whoever could send unsigned messages could sign everybody out.
    const fn verifier(&self, part: Part) -> Verifier<'_> {
        Verifier { part, keys: self.keys, required: true, policy: self.policy }
    }

    const fn judge(&self, part: Part) -> HeadJudge<'_> {
        HeadJudge { part, issuer: self.partner, destination: self.destination, policy: self.policy, now: self.now }
    }
}

/// A LogoutRequest whose signature and every condition was verified. Only [`receive_logout_request`] makes one; the session
/// store keeps it until its answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ReceivedLogout {
    id: String,
    issuer: String,
    name_id: NameId,
    session_indexes: Vec<String>,
    reason: Option<String>,
    relay_state: Option<String>,
    remember_until: Timestamp,
}

impl ReceivedLogout {
    /// To be claimed once, in the shared store, until [`Self::remember_until`].
    pub fn id(&self) -> &str {
        &self.id
    }

    pub const fn remember_until(&self) -> Timestamp {
        self.remember_until
    }

    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    pub const fn name_id(&self) -> &NameId {
        &self.name_id
    }

    /// Empty: all sessions of the user with the sender.
    pub fn session_indexes(&self) -> &[String] {
        &self.session_indexes
    }

    pub fn reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }

    pub fn relay_state(&self) -> Option<&str> {
        self.relay_state.as_deref()
    }

    /// Whether a session with the sender, in which the user has this name, is to end.
    pub fn concerns(&self, name_id: &NameId, session_index: Option<&str>) -> bool {
        let listed = |index: &str| self.session_indexes.iter().any(|listed| listed == index);
        let session = self.session_indexes.is_empty() || session_index.is_some_and(listed);
        session && same_name(&self.name_id, name_id)
    }

    /// The answer, to the sender's registered address.
    ///
    /// # Errors
    /// When the key cannot sign.
    pub fn answer(
        &self,
        our_entity_id: &str,
        service: &LogoutService,
        outcome: &LogoutOutcome,
        signer: Signer<'_>,
        now: Timestamp,
    ) -> CrateResult<Outgoing> {
        super::write::logout_response((our_entity_id, &self.id), service, outcome, self.relay_state(), signer, now)
    }

    /// The answer to a request that came in SOAP, in its envelope: it goes back by the connection on which the request came.
    ///
    /// # Errors
    /// When the key cannot sign.
    pub fn answer_in_envelope(
        &self,
        our_entity_id: &str,
        outcome: &LogoutOutcome,
        signer: Signer<'_>,
        now: Timestamp,
    ) -> CrateResult<String> {
        super::write::logout_response_in_envelope((our_entity_id, &self.id), outcome, signer, now)
    }
}

// SAML Core 3.3.4: the identifiers must match strongly; what one of them leaves out, it leaves open.
fn same_name(one: &NameId, other: &NameId) -> bool {
    let agree = |one: &Option<String>, other: &Option<String>| match (one, other) {
        (Some(one), Some(other)) => one == other,
        _ => true,
    };
    let format = |name: &NameId| name.format.clone().filter(|format| format != names::NAMEID_UNSPECIFIED);
    one.value == other.value
        && agree(&format(one), &format(other))
        && agree(&one.name_qualifier, &other.name_qualifier)
        && agree(&one.sp_name_qualifier, &other.sp_name_qualifier)
}

/// Verifies a LogoutRequest. Every check made is pushed to `checks`.
///
/// # Errors
/// The [`Rejection`] of the first check that fails.
pub fn receive_logout_request(
    message: &ArrivedLogout,
    terms: &LogoutTerms<'_>,
    checks: &mut Vec<Check>,
) -> Result<ReceivedLogout, Rejection> {
    if message.kind != MessageKind::Request {
        return Err(Rejection::WrongRoot { expected: REQUEST, found: "LogoutResponse".to_owned() });
    }
    let verifier = terms.verifier(Part::LogoutRequest);
    let request = message
        .arrived
        .read(REQUEST, verifier, &mut Checks(checks), |root, _, checks| request(root, message.names_destination(), terms, checks));
    request?.map(|request| ReceivedLogout { relay_state: message.arrived.relay_state.clone(), ..request })
}

fn request(root: Element<'_>, to_browser: bool, terms: &LogoutTerms<'_>, checks: &mut Checks<'_>) -> Result<ReceivedLogout, Rejection> {
    let on = Part::LogoutRequest;
    // 1. Version, ID, Issuer, Destination, IssueInstant.
    let head = terms.judge(on).judge(root, to_browser, checks)?;
    // 2. SAML Core 3.7.1: after NotOnOrAfter the request may be thrown away.
    let (now, skew_seconds) = (terms.now, terms.policy.skew_seconds);
    let until = date(root, on, "NotOnOrAfter")?;
    if let Some(not_on_or_after) = until {
        let alive = now < not_on_or_after.plus_seconds(skew_seconds);
        checks.require("not-on-or-after", alive, format!("after {now}"), not_on_or_after.to_string(), || Rejection::MessageExpired {
            on,
            not_on_or_after,
            now,
            skew_seconds,
        })?;
    }
    // 3. SAML Core 3.7.1: whose session.
    let name_id = name_id(root, on, terms.decryption_keys, terms.policy.allow_cbc, checks)?;
    let name_id = checks.outcome("name-id", "a NameID that is not empty", name_id.ok_or(Rejection::NameIdMissing))?;
    // 4. Which of them.
    let indexes = root.children_named(names::SAMLP, "SessionIndex").take(SESSIONS + 1);
    let session_indexes: Vec<String> = indexes.map(|index| index.deep_text().trim().to_owned()).collect();
    if session_indexes.len() > SESSIONS {
        return Err(Rejection::TooComplex { what: "sessions to end", limit: SESSIONS });
    }
    let expires = until.map(|until| until.plus_seconds(skew_seconds).plus_seconds(1));
    Ok(ReceivedLogout {
        id: head.id,
        issuer: terms.partner.to_owned(),
        name_id,
        session_indexes,
        reason: root.attribute("Reason").map(str::to_owned),
        relay_state: None,
        remember_until: expires.map_or(head.remember_until, |expires| expires.min(head.remember_until)),
    })
}

/// A LogoutResponse whose signature and every condition was verified. Only [`receive_logout_response`] makes one.
#[derive(Clone, Debug)]
pub struct ReceivedLogoutResponse {
    outcome: LogoutOutcome,
    relay_state: Option<String>,
}

impl ReceivedLogoutResponse {
    pub const fn outcome(&self) -> &LogoutOutcome {
        &self.outcome
    }

    pub fn relay_state(&self) -> Option<&str> {
        self.relay_state.as_deref()
    }
}

/// Verifies the answer to the LogoutRequest with the ID `request_id`. Every check made is pushed to `checks`.
///
/// # Errors
/// The [`Rejection`] of the first check that fails. A failure that the partner reports is an outcome, not an error.
pub fn receive_logout_response(
    message: &ArrivedLogout,
    request_id: &str,
    terms: &LogoutTerms<'_>,
    checks: &mut Vec<Check>,
) -> Result<ReceivedLogoutResponse, Rejection> {
    if message.kind != MessageKind::Response {
        return Err(Rejection::WrongRoot { expected: RESPONSE, found: "LogoutRequest".to_owned() });
    }
    let verifier = terms.verifier(Part::LogoutResponse);
    let read = |root: Element<'_>, _, checks: &mut Checks<'_>| response(root, message.names_destination(), request_id, terms, checks);
    let outcome = message.arrived.read(RESPONSE, verifier, &mut Checks(checks), read)??;
    Ok(ReceivedLogoutResponse { outcome, relay_state: message.arrived.relay_state.clone() })
}

fn response(
    root: Element<'_>,
    to_browser: bool,
    request_id: &str,
    terms: &LogoutTerms<'_>,
    checks: &mut Checks<'_>,
) -> Result<LogoutOutcome, Rejection> {
    let on = Part::LogoutResponse;
    // 1. Version, ID, Issuer, Destination, IssueInstant.
    terms.judge(on).judge(root, to_browser, checks)?;
    // 2. SAML Core 3.2.2: which request it answers.
    let found = root.attribute("InResponseTo").unwrap_or("none");
    checks.require("in-response-to", found == request_id, request_id, found, || Rejection::WrongInResponseTo {
        on,
        expected: request_id.to_owned(),
        found: found.to_owned(),
    })?;
    // 3. What came of it.
    let status = only(root, names::SAMLP, "Status", on)?.map(Status::read);
    let status = checks.outcome("status-present", "a Status", status.ok_or(Rejection::StatusMissing))?;
    Ok(outcome(status))
}

fn outcome(status: Status) -> LogoutOutcome {
    let short = |code: String| code.strip_prefix(names::STATUS_PREFIX).map_or_else(|| code.clone(), str::to_owned);
    if status.second.as_deref() == Some(names::STATUS_PARTIAL_LOGOUT) {
        return LogoutOutcome::Partial;
    }
    if status.top == names::STATUS_SUCCESS {
        return LogoutOutcome::Done;
    }
    LogoutOutcome::Failed { top: short(status.top), second: status.second.map(short), message: status.message }
}
