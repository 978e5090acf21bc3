//! The sender's side: who asks for the message behind an artifact of ours, and what they get.
//!
//! Only a signed question of a registered partner is answered; the message itself is the caller's to find, once, under
//! [`CheckedResolve::store_key`].

use super::Artifact;
use crate::clock::Timestamp;
use crate::error::Result as CrateResult;
use crate::id;
use crate::saml::assertion::only;
use crate::saml::message::{HeadJudge, MessagePolicy};
use crate::saml::names;
use crate::saml::rejection::{Check, Checks, Part, Rejection};
use crate::saml::signature::{self, Allowed, SignedXml, Signer, TrustedKeys};
use crate::saml::soap;
use crate::saml::trust::Verification;
use crate::saml::xml::{Element, Writer};

const ON: Part = Part::ArtifactResolve;

/// A question of which nothing is verified yet.
#[derive(Debug)]
pub struct ArrivedResolve {
    envelope: String,
    issuer: String,
}

impl ArrivedResolve {
    /// # Errors
    /// When it is no SOAP envelope with an ArtifactResolve that could be read.
    pub fn decode(envelope: String) -> Result<Self, Rejection> {
        let document = soap::read(&envelope)?;
        let message = message(soap::message(&document)?)?;
        let issuer = only(message, names::SAML, "Issuer", ON)?.map(|issuer| issuer.deep_text().trim().to_owned());
        let missing = Rejection::IssuerMissing { on: ON, expected: "a registered application".to_owned() };
        let issuer = issuer.filter(|issuer| !issuer.is_empty()).ok_or(missing)?;
        drop(document);
        Ok(Self { envelope, issuer })
    }

    /// Who claims to ask: only good for finding the partner.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }
}

fn message(message: Element<'_>) -> Result<Element<'_>, Rejection> {
    if message.is(names::SAMLP, "ArtifactResolve") {
        return Ok(message);
    }
    Err(Rejection::WrongRoot { expected: "samlp:ArtifactResolve", found: message.local_name().to_owned() })
}

/// Whose question is expected, and where.
#[derive(Clone, Copy, Debug)]
pub struct ResolveTerms<'a> {
    /// The partner's entity ID.
    pub partner: &'a str,
    /// The partner's keys; without any it is given nothing.
    pub keys: Option<&'a TrustedKeys>,
    /// The address of the artifact resolution service, as it is published.
    pub destination: &'a str,
    pub policy: &'a MessagePolicy,
    pub now: Timestamp,
}

/// A question whose signature and every condition was verified. Only [`receive_artifact_resolve`] makes one.
#[derive(Clone, Debug)]
pub struct CheckedResolve {
    id: String,
    partner: String,
    artifact: Artifact,
}

/// Verifies a question for a message. Every check made is pushed to `checks`.
///
/// # Errors
/// The [`Rejection`] of the first check that fails.
pub fn receive_artifact_resolve(
    arrived: &ArrivedResolve,
    terms: &ResolveTerms<'_>,
    checks: &mut Vec<Check>,
) -> Result<CheckedResolve, Rejection> {
    let mut checks = Checks(checks);
    let checks = &mut checks;
    let document = checks.outcome("well-formed", "strict XML", soap::read(&arrived.envelope))?;
    let root = checks.outcome("soap", "one ArtifactResolve in an envelope", soap::message(&document).and_then(message))?;
    signature::check_document(&document, &[root], checks)?;
    // 1. SAML Profiles 5.4.1: the requester MUST authenticate itself; here by nothing but a signature.
    let is_signed = signature::is_signed(root);
    checks.require("signed", is_signed, "signed", if is_signed { "signed" } else { "unsigned" }, || Rejection::Unsigned { on: ON })?;
    let keys = terms.keys.ok_or(Rejection::VerificationKeyMissing { on: ON });
    let keys = checks.outcome("verification-key", "a registered certificate", keys)?;
    let policy = terms.policy;
    let allowed = Allowed { sha1: policy.allow_sha1, inclusive_c14n: policy.allow_inclusive_c14n };
    let evidence = policy.second_opinion && cfg!(feature = "xmlsec");
    let signed = SignedXml::verify(root, ON, Verification { keys, allowed, evidence }, checks)?;
    #[cfg(feature = "xmlsec")]
    if evidence {
        crate::saml::second_opinion::confirm(&signed, None, checks)?;
    }
    let covered = signed.document()?;
    let covered = covered.root();
    // 2. Version, ID, Issuer, Destination where there is one (SOAP needs none), IssueInstant.
    let judge = HeadJudge { part: ON, issuer: terms.partner, destination: terms.destination, policy, now: terms.now };
    let head = judge.judge(covered, false, checks)?;
    // 3. SAML Core 3.5.1: one artifact.
    let artifact = only(covered, names::SAMLP, "Artifact", ON)?;
    let artifact = artifact.ok_or_else(|| Rejection::Structure { on: ON, why: "there is no Artifact".to_owned() });
    let artifact = artifact.and_then(|artifact| Artifact::parse(&artifact.deep_text()));
    let artifact = checks.outcome("artifact", "one of type 4", artifact)?;
    Ok(CheckedResolve { id: head.id, partner: terms.partner.to_owned(), artifact })
}

impl CheckedResolve {
    /// Where the message is kept, if it is for this partner.
    ///
    /// The name is made of the artifact and of who asks. For whoever is not meant there is nothing under it: such a partner
    /// gets nothing, learns nothing, and takes nothing away from the one who is meant (Core 3.5.3 lets an artifact be resolved
    /// by its intended receiver only). To use it up instead would let every partner that sees an artifact end a login of
    /// another's, and protect from nothing, as it is of no use without the intended receiver's key.
    pub fn store_key(&self) -> String {
        self.artifact.store_key(&self.partner)
    }

    /// The partner's entity ID.
    pub fn partner(&self) -> &str {
        &self.partner
    }

    /// The signed answer in its envelope, with the message, or without one where the artifact is not (any more) known.
    ///
    /// # Errors
    /// When the key cannot sign.
    // SAML Core 3.5.3: an artifact that is not known is answered with Success and no message.
    pub fn answer(&self, our_entity_id: &str, message: Option<&str>, signer: Signer<'_>, now: Timestamp) -> CrateResult<String> {
        let mut writer = Writer::new();
        writer.start("samlp:ArtifactResponse").attribute("xmlns:samlp", names::SAMLP).attribute("xmlns:saml", names::SAML);
        writer.attribute("ID", &format!("_{}", id::random_id())).attribute("Version", "2.0");
        writer.attribute("IssueInstant", &now.to_string()).attribute("InResponseTo", &self.id);
        writer.leaf("saml:Issuer", our_entity_id);
        writer.start("samlp:Status").start("samlp:StatusCode").attribute("Value", names::STATUS_SUCCESS).end().end();
        if let Some(message) = message {
            writer.written(message);
        }
        Ok(soap::envelope(&signature::sign(&writer.finish(), signer)?))
    }
}
