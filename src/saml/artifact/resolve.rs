//! The receiver's side: asking for the message behind an artifact, and judging what comes.
//!
//! That something came by TLS from the right address proves nothing here: the Response, its assertion or the ArtifactResponse
//! around them must be signed, and only what a signature covered is read.

use super::Artifact;
use super::format::source_of;
use super::service::ResolutionService;
use crate::clock::Timestamp;
use crate::error::Result as CrateResult;
use crate::id;
use crate::keys::CertifiedKey;
use crate::saml::assertion::{Status, only};
use crate::saml::conditions::Judge;
use crate::saml::message::{HeadJudge, MessagePolicy};
use crate::saml::names;
use crate::saml::receive::{Around, Receiver};
use crate::saml::rejection::{Check, Checks, Part, Rejection};
use crate::saml::signature::{self, Allowed, SignedXml, Signer};
use crate::saml::soap;
use crate::saml::sp::{Expected, IdpTrust, ResponsePolicy, SpSettings, VerifiedAssertion, verified};
use crate::saml::trust::Verification;
use crate::saml::xml::{Document, Element, Limits, Writer, parse_in_context};

/// A question to an artifact resolution service.
#[derive(Clone, Debug)]
pub struct ArtifactResolve {
    /// What the answer must name in InResponseTo.
    pub id: String,
    /// The signed message in its envelope. It holds the artifact, so it is not for logs.
    pub envelope: String,
}

/// Where the message behind an artifact of `idp` is.
///
/// # Errors
/// When the artifact is of somebody else, or names a service that the identity provider does not have.
pub fn resolution_service<'i>(artifact: &Artifact, idp: &'i IdpTrust, checks: &mut Vec<Check>) -> Result<&'i ResolutionService, Rejection> {
    let mut checks = Checks(checks);
    // SAML Bindings 3.6.4.2: the SourceID says whom to ask. Nobody but this connection's identity provider is asked.
    let (expected, found) = (source_of(&idp.entity_id), artifact.source());
    checks.require("artifact-source", artifact.is_of(&idp.entity_id), &expected, &found, || Rejection::ArtifactOfAnother {
        expected: expected.clone(),
        found: found.clone(),
    })?;
    let service = idp.artifact_services.iter().find(|service| service.resolves(artifact.endpoint_index()));
    let known: Vec<String> = idp.artifact_services.iter().filter_map(|service| service.index).map(|index| index.to_string()).collect();
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    let unknown = || Rejection::ArtifactEndpointUnknown { expected: known.clone(), found: artifact.endpoint_index().to_string() };
    checks.require("artifact-endpoint", service.is_some(), &known, artifact.endpoint_index().to_string(), unknown)?;
    service.ok_or_else(unknown)
}

/// The ArtifactResolve (SAML Core 3.5.1) of `sp`. It is always signed: else whoever sees an artifact could ask for its message.
///
/// # Errors
/// When the key cannot sign.
pub fn artifact_resolve(
    artifact: &Artifact,
    sp: &SpSettings,
    service: &ResolutionService,
    signer: Signer<'_>,
    now: Timestamp,
) -> CrateResult<ArtifactResolve> {
    let id = format!("_{}", id::random_id());
    let mut writer = Writer::new();
    writer.start("samlp:ArtifactResolve").attribute("xmlns:samlp", names::SAMLP).attribute("xmlns:saml", names::SAML);
    writer.attribute("ID", &id).attribute("Version", "2.0").attribute("IssueInstant", &now.to_string());
    writer.attribute("Destination", service.location.as_str());
    writer.leaf("saml:Issuer", &sp.entity_id).leaf("samlp:Artifact", &artifact.encode());
    Ok(ArtifactResolve { id, envelope: soap::envelope(&signature::sign(&writer.finish(), signer)?) })
}

/// What an answer to an [`ArtifactResolve`] is judged by.
#[derive(Clone, Copy, Debug)]
pub struct ResolutionTerms<'a> {
    /// ID of the ArtifactResolve.
    pub resolve_id: &'a str,
    pub sp: &'a SpSettings,
    pub idp: &'a IdpTrust,
    pub decryption_keys: &'a [&'a CertifiedKey],
    pub policy: &'a ResponsePolicy,
    /// The login for which the Response must be.
    pub expected: &'a Expected<'a>,
}

/// Verifies the answer of an artifact resolution service, and the Response in it as if it had been posted. Every check made is
/// pushed to `checks`.
///
/// The caller still has to claim both IDs once, in the shared store.
///
/// # Errors
/// The [`Rejection`] of the first check that fails.
pub fn receive_artifact_response(
    envelope: &str,
    terms: &ResolutionTerms<'_>,
    checks: &mut Vec<Check>,
) -> Result<VerifiedAssertion, Rejection> {
    let mut checks = Checks(checks);
    let checks = &mut checks;
    let document = checks.outcome("well-formed", "strict XML", soap::read(envelope))?;
    let message = checks.outcome("soap", "one message in an envelope", soap::message(&document))?;
    checks.require("message-kind", message.is(names::SAMLP, "ArtifactResponse"), "samlp:ArtifactResponse", message.local_name(), || {
        Rejection::WrongRoot { expected: "samlp:ArtifactResponse", found: message.local_name().to_owned() }
    })?;
    let inside = message.children_named(names::SAMLP, "Response").take(2);
    let mut places = vec![message];
    for response in inside {
        places.push(response);
        places.extend(response.children_named(names::SAML, "Assertion").take(8));
    }
    signature::check_document(&document, &places, checks)?;

    // 1. The signature of the ArtifactResponse, if it has one. From here on it is what that signature covered.
    let signed = signature::is_signed(message).then(|| SignedXml::verify(message, ON, terms.verification(), checks)).transpose()?;
    let signed_document = signed.as_ref().map(SignedXml::document).transpose()?;
    let covered = signed_document.as_ref().map(Document::root);

    // 2. What it says itself.
    terms.head(covered.unwrap_or(message), checks)?;

    // 3. The Response in it goes the way of a posted one: as it came, and as it was covered.
    let original = checks.outcome("artifact-resolved", "a message", only_message(message))?;
    let around = match (&signed, covered) {
        (Some(signed), Some(covered)) => Some(Around { signed, response: only_message(covered)? }),
        _ => None,
    };
    let text = original.document().source().get(original.range()).unwrap_or_default();
    let response = parse_in_context(text, Limits::MESSAGE, &original.namespace_context())?;
    let ResolutionTerms { sp, idp, decryption_keys, policy, expected, .. } = *terms;
    let judge = Judge { our_entity_id: &sp.entity_id, acs_url: sp.acs_url.as_str(), idp_entity_id: &idp.entity_id, policy, expected };
    let received = Receiver { judge, keys: &idp.keys, decryption_keys }.receive_document(&response, around, checks)?;
    Ok(verified(received, idp))
}

const ON: Part = Part::ArtifactResponse;

impl ResolutionTerms<'_> {
    const fn verification(&self) -> Verification<'_> {
        let policy = self.policy;
        let allowed = Allowed { sha1: policy.allow_sha1, inclusive_c14n: policy.allow_inclusive_c14n };
        Verification { keys: &self.idp.keys, allowed, evidence: policy.second_opinion && cfg!(feature = "xmlsec") }
    }

    fn head(&self, message: Element<'_>, checks: &mut Checks<'_>) -> Result<(), Rejection> {
        let policy = MessagePolicy {
            skew_seconds: self.policy.skew_seconds,
            max_age_seconds: self.policy.message_max_age_seconds,
            ..MessagePolicy::default()
        };
        // 2.1. Version, ID, Issuer (Profiles 5.4.2), Destination where there is one, IssueInstant. The answer to a question of ours
        // has no address of its own; if somebody names one, it is that at which the artifact came.
        let destination = self.sp.acs_url.as_str();
        let judge = HeadJudge { part: ON, issuer: &self.idp.entity_id, destination, policy: &policy, now: self.expected.now };
        judge.judge(message, false, checks)?;
        // 2.2. SAML Core 3.2.2: it answers this very question.
        let found = message.attribute("InResponseTo").unwrap_or("none");
        checks.require("artifact-in-response-to", found == self.resolve_id, self.resolve_id, found, || Rejection::WrongInResponseTo {
            on: ON,
            expected: self.resolve_id.to_owned(),
            found: found.to_owned(),
        })?;
        // 2.3. SAML Core 3.2.2.2.
        let status = only(message, names::SAMLP, "Status", ON)?.map(Status::read);
        let status = checks.outcome("artifact-status-present", "a Status", status.ok_or(Rejection::StatusMissing))?;
        let found = status.top.clone();
        checks.require("artifact-status", status.top == names::STATUS_SUCCESS, names::STATUS_SUCCESS, found, || {
            Rejection::ArtifactRefused { top: status.top, second: status.second, message: status.message }
        })
    }
}

// SAML Core 3.5.2: at most one message, after the Status; none says that the artifact is not (any more) known.
fn only_message(message: Element<'_>) -> Result<Element<'_>, Rejection> {
    let head = |child: &Element<'_>| {
        child.is(names::SAML, "Issuer")
            || child.is(names::DS, "Signature")
            || child.is(names::SAMLP, "Extensions")
            || child.is(names::SAMLP, "Status")
    };
    let mut rest = message.children().filter(|child| !head(child));
    let first = rest.next().ok_or(Rejection::ArtifactNotResolved)?;
    if rest.next().is_some() {
        return Err(Rejection::Structure { on: ON, why: "it has more than one message".to_owned() });
    }
    Ok(first)
}
