//! The HTTP-Artifact binding (SAML Bindings 3.6) and artifact resolution (Core 3.5, Profiles 5), for both roles.
//!
//! Through the browser goes a reference; the message itself is asked for by its receiver, in SOAP. `format`: the reference.
//! `resolve`: the service provider's side, [`artifact_resolve`] and [`receive_artifact_response`], whose Response goes through
//! the checks of a posted one. `serve`: the identity provider's side, from [`ArrivedResolve`] to [`CheckedResolve::answer`]; `deliver` how it sends an artifact.
//! `service`: where artifacts are resolved, in metadata.
//!
//! Sending, keeping messages and giving each out once is the caller's business.

mod deliver;
mod format;
mod resolve;
mod serve;
mod service;

pub(super) use deliver::deliver;
pub use deliver::{ENDPOINT_INDEX, KeptResponse};
pub use format::Artifact;
pub use resolve::{ArtifactResolve, ResolutionTerms, artifact_resolve, receive_artifact_response, resolution_service};
pub use serve::{ArrivedResolve, CheckedResolve, ResolveTerms, receive_artifact_resolve};
pub use service::ResolutionService;
pub(super) use service::{resolution_services, write_resolution_service};
