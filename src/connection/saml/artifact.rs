//! Answers of a SAML identity provider that come by artifact: what to ask for them, and what is made of what it says.

use super::{SamlConnection, asked_context, expected, refused};
use crate::clock::Timestamp;
use crate::connection::note_checks;
use crate::connection::{Refused, Resolution};
use crate::login::PendingAuthn;
use crate::login::trace::Trace;
use crate::saml::artifact::{Artifact, ResolutionTerms, artifact_resolve, receive_artifact_response, resolution_service};
use crate::saml::{Check, Rejection, ResponseBinding, VerifiedAssertion};

impl SamlConnection {
    /// The question for the message behind an artifact, to nobody but this connection's identity provider.
    pub(super) fn resolution(&self, artifact: &str, now: Timestamp, trace: &mut Trace) -> Result<Resolution, Refused> {
        let settings = self.settings();
        let mut checks = Vec::new();
        let found = (|| {
            if settings.response_binding != ResponseBinding::Artifact {
                return Err(Rejection::ArtifactNotAccepted);
            }
            let artifact = Artifact::parse(artifact)?;
            let service = resolution_service(&artifact, &settings.idp, &mut checks)?;
            Ok((artifact, service))
        })();
        note_checks(checks, now, trace);
        let (artifact, service) = found.map_err(refused)?;
        let keys = self.keyring.saml();
        let signed = settings.request_signer(&keys).and_then(|signer| artifact_resolve(&artifact, &self.sp, service, signer, now));
        let asked = signed.map_err(|error| Refused { reason: error.kind.wire().problem.to_owned(), error, alarm: false, status: None })?;
        Ok(Resolution {
            url: service.location.clone(),
            reach: settings.artifact_reach,
            resolve_id: asked.id,
            envelope: asked.envelope,
            digest: artifact.digest(),
        })
    }

    /// What came, judged as a posted answer is.
    pub(super) fn receive_resolved(
        &self,
        (envelope, resolve_id): (&str, &str),
        pending: &PendingAuthn,
        now: Timestamp,
        checks: &mut Vec<Check>,
    ) -> Result<VerifiedAssertion, Rejection> {
        let settings = self.settings();
        let (context, keys) = (asked_context(settings, pending), self.keyring.saml());
        let terms = ResolutionTerms {
            resolve_id,
            sp: &self.sp,
            idp: &settings.idp,
            decryption_keys: &keys.decryption_keys(),
            policy: &settings.policy,
            expected: &expected(pending, context.as_ref(), now),
        };
        receive_artifact_response(envelope, &terms, checks)
    }
}

/// Why the artifact resolution service has not answered, as a refusal of the login.
pub fn service_unreachable(why: String) -> Refused {
    refused(Rejection::ArtifactServiceUnreachable { why })
}
