//! OAuth 2.0 and OpenID Connect without I/O: the provider side of the authorization code flow.
//!
//! Every function here is plain: octets, facts about the client and `now` go in, a checked value or an
//! [`Error`](crate::error::Error) comes out. Nothing here knows stores, profiles, sessions or HTTP types; the
//! broker does the looking up between the steps.
//!
//! A login by code touches the files in this order: [`params`] reads the octets, [`authorization`] proves the
//! redirect URI, reads the request and builds the answer, [`opaque`] makes the code and the tokens, [`token`]
//! authenticates the client and reads its request, [`pkce`] checks the verifier, [`claims`] chooses what is
//! said, [`jose`] signs it, [`bearer`] reads the access token at userinfo, [`logout`] ends it, [`logout_token`] says so.
//! [`discovery`] tells applications all of this; a feature is advertised there when it works, not before.

pub mod access_token;
pub mod assertion;
pub mod authorization;
pub mod bearer;
pub mod claims;
pub mod claims_request;
pub mod client;
pub mod client_auth;
pub mod discovery;
pub mod dpop;
pub mod exchange;
pub mod jose;
pub mod jwks;
pub mod logout;
pub mod logout_token;
pub mod mtls;
pub mod names;
pub mod opaque;
pub mod params;
pub mod pkce;
pub mod prepared;
pub mod registration;
pub mod request_object;
pub mod rp;
pub mod scope;
pub mod session_state;
pub mod subject;
pub mod token;

#[cfg(test)]
pub(crate) mod testing;

pub use access_token::{AccessTokenClaims, JwtDialect, KeyConfirmation};
pub use authorization::{AuthorizationRequest, AuthorizationResponse, CheckedRedirect, Success};
pub use claims::{IdTokenClaims, Released};
pub use claims_request::{AskedClaim, ClaimsRequest};
pub use client::{ClientAbout, ClientFacts, ClientKeys, Encryption, RequestObjects, SelfRegistered, TlsSubject, TokenExchange};
pub use client_auth::{ClientCredentials, ClientProof};
pub use discovery::ProviderMetadata;
pub use jose::{AlgKeys, IdTokenHint, IdTokenSigner, OidcKeys, PublicKeys, key_id};
pub use jwks::{ClientJwks, Verified, VerifyError, verify_mac};
pub use logout::{AfterLogout, Confirmation, LogoutDecision, LogoutRequest};
pub use mtls::{Authorities, ClientCertificate};
pub use names::{
    ApplicationType, ClientSigningAlg, ContentEncryption, Display, GrantType, KeyManagementAlg, Prompt, Prompts, ResponseMode,
    ResponseType, SigningAlg, SubjectType, TokenEndpointAuthMethod,
};
pub use opaque::{AccessToken, AuthorizationCode, DeviceCode, RefreshToken};
pub use params::Params;
pub use prepared::Prepared;
pub use scope::Scopes;
pub use subject::subject;
pub use token::{CodeBinding, TokenRequest, TokenResponse};
