//! Answers that applications ask for themselves (SAML Bindings 3.6): kept for a moment, and given out once, to the one for
//! whom they are.

use super::IdpEndpoint;
use crate::broker::Gateway;
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::saml::artifact::{ArrivedResolve, ENDPOINT_INDEX, KeptResponse, ResolutionService, ResolveTerms, receive_artifact_resolve};
use crate::saml::idp::Delivery;
use crate::saml::rejection::shown;
use crate::saml::soap::{FaultCode, fault};
use crate::saml::{Outgoing, Rejection};
use crate::store::Op;

/// What an artifact resolution service answers.
#[derive(Debug)]
pub enum ArtifactAnswer {
    /// An ArtifactResponse in its envelope.
    Response(String),
    /// A SOAP fault: it was no question that could be read.
    Fault(String),
    /// A SOAP fault, for somebody who is not answered at all (SAML Bindings 3.2.3.3).
    Refused(String),
}

impl Gateway {
    /// The artifact resolution service (SAML Core 3.5, Profiles 5): takes a signed ArtifactResolve, gives each response once.
    ///
    /// # Errors
    /// When the store does not answer or the key cannot sign.
    pub async fn artifact_resolution(&self, endpoint: &IdpEndpoint, envelope: String, now: Timestamp) -> Result<ArtifactAnswer> {
        let arrived = match ArrivedResolve::decode(envelope) {
            Ok(arrived) => arrived,
            Err(rejection) => {
                let why = shown(rejection.to_string());
                tracing::info!(reason = rejection.name(), detail = why, "no ArtifactResolve");
                return Ok(ArtifactAnswer::Fault(fault(FaultCode::of(&rejection), &why)));
            }
        };
        let Ok((application, saml)) = self.service_provider(endpoint, arrived.issuer(), now) else {
            tracing::info!(issuer = shown(arrived.issuer()), "an ArtifactResolve of nobody who is registered");
            return Ok(refused());
        };
        let service = self.artifact_service(endpoint)?;
        let trust = saml.sp.trust();
        let terms = ResolveTerms {
            partner: trust.entity_id(),
            keys: trust.keys(),
            destination: service.location.as_str(),
            policy: saml.sp.policy(),
            now,
        };
        let resolve = match receive_artifact_resolve(&arrived, &terms, &mut Vec::new()) {
            Ok(resolve) => resolve,
            Err(rejection) => {
                log_refused(&application.client_id, &rejection);
                return Ok(refused());
            }
        };
        // Of two questions at once one gets the response.
        let kept = self.sessions.take(&resolve.store_key()).await?;
        let response = kept.map(String::from_utf8).transpose();
        let response =
            response.map_err(|error| Error::new(ErrorKind::Internal, "a response cannot be read").because(error.utf8_error()))?;
        tracing::info!(client_id = application.client_id, found = response.is_some(), "an artifact was asked for");
        let own = self.idp_entity_id(super::mirror_of(endpoint).as_ref());
        let entity_id = saml.sp.response().issuer.as_deref().unwrap_or(&own);
        let keys = self.keyring.saml();
        let signer = saml.sp.response().signer(saml.sp.signing_key(&keys)?)?;
        resolve.answer(entity_id, response.as_deref(), signer, now).map(ArtifactAnswer::Response)
    }

    /// Where our artifacts are resolved, as it is published.
    pub(super) fn artifact_service(&self, endpoint: &IdpEndpoint) -> Result<ResolutionService> {
        ResolutionService::new(&self.artifact_address(endpoint), Some(ENDPOINT_INDEX))
            .map_err(|why| Error::new(ErrorKind::Misconfigured, why))
    }

    /// Stores what a delivery leaves behind; from here on the browser may go.
    pub(super) async fn kept(&self, delivery: Result<Delivery>) -> Result<Outgoing> {
        let Delivery { outgoing, kept } = delivery?;
        if let Some(kept) = kept {
            self.sessions.commit(vec![keep_op(kept)]).await?;
        }
        Ok(outgoing)
    }
}

pub(super) fn keep_op(kept: KeptResponse) -> Op {
    Op::Put { key: kept.key, value: kept.xml.into_bytes(), ttl: kept.seconds }
}

/// Whoever is not believed learns nothing, not even whether there is such an application.
fn refused() -> ArtifactAnswer {
    ArtifactAnswer::Refused(fault(FaultCode::Client, "The request was refused."))
}

fn log_refused(client_id: &str, rejection: &Rejection) {
    tracing::warn!(client_id, reason = rejection.name(), detail = shown(rejection.to_string()), "an ArtifactResolve was refused");
}
