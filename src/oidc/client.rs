//! What the protocol has to know about a client. Where it comes from (file, directory) is not known here.

use super::names::{ApplicationType, GrantType, ResponseType, SigningAlg, TokenEndpointAuthMethod};
use super::scope::STANDARD_SCOPES;

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
    /// Where it takes logout tokens.
    pub backchannel_logout_uri: Option<String>,
    /// It wants a `sid` in every logout token; ours always have one.
    pub backchannel_logout_session_required: bool,
    /// What is loaded in a hidden frame when a session ends.
    pub frontchannel_logout_uri: Option<String>,
    /// The frame's address must name issuer and session.
    pub frontchannel_logout_session_required: bool,
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
