//! What the protocol has to know about a client. Where it comes from (file, directory) is not known here.

use super::jwks::ClientJwks;
use super::names::{
    ApplicationType, ClientSigningAlg, ContentEncryption, GrantType, KeyManagementAlg, ResponseType, SigningAlg, SubjectType,
    TokenEndpointAuthMethod,
};
use super::scope::STANDARD_SCOPES;
use crate::clock::Timestamp;
use crate::secret::Secret;
use std::sync::Arc;
use url::Url;

/// The registered facts that checks here depend on. Made from an application by its owner.
#[derive(Clone, Debug)]
pub struct ClientFacts {
    pub client_id: String,
    /// Compared by exact string.
    pub redirect_uris: Vec<String>,
    /// Where a login begins that somebody else has begun (OpenID Connect Core 4); https, or loopback.
    pub initiate_login_uri: Option<String>,
    /// Compared by exact string.
    pub post_logout_redirect_uris: Vec<String>,
    pub application_type: ApplicationType,
    pub token_endpoint_auth_method: TokenEndpointAuthMethod,
    /// `id::digest` of every secret that is valid at present; empty for public clients.
    pub secret_digests: Vec<String>,
    /// Whether the code flow needs a code challenge. Public clients always need one.
    pub require_pkce: bool,
    pub response_types: Vec<ResponseType>,
    pub grant_types: Vec<GrantType>,
    /// The scopes that this client may have; `None` means the standard ones.
    pub scopes: Option<Vec<String>>,
    pub id_token_signed_response_alg: SigningAlg,
    /// Seconds; `None`: those of all.
    pub id_token_lifetime: Option<u32>,
    /// Where it takes logout tokens.
    pub backchannel_logout_uri: Option<String>,
    /// It wants a `sid` in every logout token; ours always have one.
    pub backchannel_logout_session_required: bool,
    /// What is loaded in a hidden frame when a session ends.
    pub frontchannel_logout_uri: Option<String>,
    /// The frame's address must name issuer and session.
    pub frontchannel_logout_session_required: bool,
    /// A secret in clear, where it makes MACs (`client_secret_jwt`, request objects by HS256); digests do for the rest.
    pub shared_secret: Option<Secret<String>>,
    pub keys: ClientKeys,
    /// Of its assertions at the token endpoint; `None`: any asymmetric one, or any MAC for `client_secret_jwt`.
    pub token_endpoint_auth_signing_alg: Option<ClientSigningAlg>,
    /// The subject of its certificate, for `tls_client_auth`.
    pub tls_client_auth: Option<TlsSubject>,
    pub tls_client_certificate_bound_access_tokens: bool,
    pub dpop_bound_access_tokens: bool,
    pub request_objects: RequestObjects,
    pub id_token_encryption: Option<Encryption>,
    /// `None`: UserInfo answers with JSON.
    pub userinfo_signed_response_alg: Option<SigningAlg>,
    pub userinfo_encryption: Option<Encryption>,
    /// Seconds.
    pub default_max_age: Option<u32>,
    pub require_auth_time: bool,
    pub default_acr_values: Vec<String>,
    pub subject_type: SubjectType,
    /// The host that stands for all of its redirect URIs (OpenID Connect Core 8.1).
    pub sector_identifier: Option<String>,
    /// Nobody has to be asked what it may see.
    pub first_party: bool,
    pub about: ClientAbout,
    /// The rules of the FAPI 2.0 Security Profile hold.
    pub fapi2: bool,
    /// Identifiers of the resource servers that it stands for: it may ask about their tokens.
    pub introspects: Vec<String>,
    pub token_exchange: Option<TokenExchange>,
    /// It registered itself; `None`: an operator made it.
    pub self_registered: Option<SelfRegistered>,
}

/// What a client may exchange tokens for (RFC 8693).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenExchange {
    /// Identifiers of resource servers.
    pub audiences: Vec<String>,
    /// It may name who acts.
    pub may_act: bool,
}

/// Of a client that registered itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SelfRegistered {
    pub at: Timestamp,
    /// Somebody has signed in to it, or it got tokens.
    pub used: bool,
}

/// Where the public keys of a client come from.
#[derive(Clone, Debug, Default)]
pub enum ClientKeys {
    #[default]
    None,
    Jwks(Arc<ClientJwks>),
    /// Fetched, and fetched again when an unknown key is named.
    Uri(Url),
}

/// What a client may do with request objects (OpenID Connect Core 6, RFC 9101, RFC 9126).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestObjects {
    /// `None`: any asymmetric one.
    pub signing_alg: Option<ClientSigningAlg>,
    /// Where it names no algorithm, `none` is one of them too (Registration 2).
    pub unsigned: bool,
    /// How they are encrypted, if they are.
    pub encryption: Option<Encryption>,
    /// Where they may be fetched from (OpenID Connect Core 6.2).
    pub request_uris: Vec<String>,
    /// There is no request without a signed one (RFC 9101 10.5).
    pub required: bool,
    /// There is no request that was not pushed before (RFC 9126 5).
    pub pushed_required: bool,
}

/// How something is encrypted to a client, or by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Encryption {
    pub alg: KeyManagementAlg,
    pub enc: ContentEncryption,
}

/// What names a client in its certificate (RFC 8705 2.1.2): exactly one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TlsSubject {
    /// RFC 4514.
    Dn(String),
    SanDns(String),
    SanUri(String),
    SanIp(std::net::IpAddr),
    SanEmail(String),
}

/// What people are told of a client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientAbout {
    pub client_uri: Option<String>,
    pub logo_uri: Option<String>,
    pub policy_uri: Option<String>,
    pub tos_uri: Option<String>,
}

impl ClientFacts {
    /// A public client of the code flow with the strictest settings and nowhere to return to yet.
    pub fn public(client_id: impl Into<String>) -> Self {
        Self {
            client_id: client_id.into(),
            redirect_uris: Vec::new(),
            initiate_login_uri: None,
            post_logout_redirect_uris: Vec::new(),
            application_type: ApplicationType::Web,
            token_endpoint_auth_method: TokenEndpointAuthMethod::None,
            secret_digests: Vec::new(),
            require_pkce: true,
            response_types: vec![ResponseType::Code],
            grant_types: vec![GrantType::AuthorizationCode],
            scopes: None,
            id_token_signed_response_alg: SigningAlg::RS256,
            backchannel_logout_uri: None,
            backchannel_logout_session_required: false,
            frontchannel_logout_uri: None,
            frontchannel_logout_session_required: false,
            shared_secret: None,
            keys: ClientKeys::None,
            token_endpoint_auth_signing_alg: None,
            tls_client_auth: None,
            tls_client_certificate_bound_access_tokens: false,
            dpop_bound_access_tokens: false,
            request_objects: RequestObjects::default(),
            id_token_encryption: None,
            userinfo_signed_response_alg: None,
            userinfo_encryption: None,
            default_max_age: None,
            require_auth_time: false,
            default_acr_values: Vec::new(),
            subject_type: SubjectType::Public,
            sector_identifier: None,
            first_party: true,
            about: ClientAbout::default(),
            fapi2: false,
            introspects: Vec::new(),
            token_exchange: None,
            id_token_lifetime: None,
            self_registered: None,
        }
    }

    pub fn is_public(&self) -> bool {
        self.token_endpoint_auth_method == TokenEndpointAuthMethod::None
    }

    /// RFC 9700 2.1.1: public clients must use PKCE.
    pub fn needs_pkce(&self) -> bool {
        self.require_pkce || self.is_public()
    }

    pub fn may_use(&self, grant: GrantType) -> bool {
        self.grant_types.contains(&grant)
    }

    pub fn may_have_scope(&self, scope: &str) -> bool {
        match &self.scopes {
            Some(scopes) => scopes.iter().any(|allowed| allowed == scope),
            None => STANDARD_SCOPES.contains(&scope),
        }
    }
}
