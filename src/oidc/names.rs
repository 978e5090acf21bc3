//! The words of OAuth 2.0 and OpenID Connect as types, each spelled once.

use crate::error::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

/// An enum whose variants have one spelling, on the wire and in stores alike.
macro_rules! wire_names {
    ($(#[$meta:meta])* $name:ident { $($(#[$variant_meta:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$variant_meta])* #[serde(rename = $text)] $variant,)+
        }

        impl $name {
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }

            /// `None` for a word that is not known here.
            pub fn from_wire(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|known| known.as_str() == text)
            }
        }
    };
}

wire_names! {
    /// OAuth 2.0 Multiple Response Types 3 and 5; each client uses those that it is registered for.
    ResponseType {
        Code = "code",
        IdToken = "id_token",
        IdTokenToken = "id_token token",
        CodeIdToken = "code id_token",
        CodeToken = "code token",
        CodeIdTokenToken = "code id_token token",
    }
}

impl Default for ResponseType {
    /// That of a client which names none (OpenID Connect Dynamic Client Registration 2).
    fn default() -> Self {
        Self::Code
    }
}

impl ResponseType {
    pub const SERVED: &'static [Self] = Self::ALL;

    /// Is something given besides a code?
    pub const fn is_implicit(self) -> bool {
        !matches!(self, Self::Code)
    }

    pub const fn gives_code(self) -> bool {
        matches!(self, Self::Code | Self::CodeIdToken | Self::CodeToken | Self::CodeIdTokenToken)
    }

    /// Does the authorization response itself carry an access token?
    pub const fn gives_access_token(self) -> bool {
        matches!(self, Self::IdTokenToken | Self::CodeToken | Self::CodeIdTokenToken)
    }

    /// Does the authorization response itself carry an ID token?
    pub const fn gives_id_token(self) -> bool {
        matches!(self, Self::IdToken | Self::IdTokenToken | Self::CodeIdToken | Self::CodeIdTokenToken)
    }

    /// RFC 6749 3.1.1: the order of the words does not matter.
    pub fn parse(text: &str) -> Option<Self> {
        let sorted = |text: &str| {
            let mut words: Vec<String> = text.split(' ').map(str::to_owned).collect();
            words.sort_unstable();
            words
        };
        let asked = sorted(text);
        Self::ALL.iter().copied().find(|known| sorted(known.as_str()) == asked)
    }

    /// Multiple Response Types 5: what carries a token goes into the fragment.
    pub const fn default_mode(self) -> ResponseMode {
        match self {
            Self::Code => ResponseMode::Query,
            Self::IdToken | Self::IdTokenToken | Self::CodeIdToken | Self::CodeToken | Self::CodeIdTokenToken => ResponseMode::Fragment,
        }
    }
}

wire_names! {
    /// How the authorization response travels.
    ResponseMode {
        Query = "query",
        Fragment = "fragment",
        FormPost = "form_post",
    }
}

wire_names! {
    /// OpenID Connect Core 3.1.2.1.
    Prompt {
        None = "none",
        Login = "login",
        Consent = "consent",
        SelectAccount = "select_account",
    }
}

/// The `prompt` parameter: a set in which `none` stands alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Prompts(Vec<Prompt>);

impl Prompts {
    pub fn parse(text: &str) -> Result<Self> {
        let mut prompts = Vec::new();
        for word in text.split(' ').filter(|word| !word.is_empty()) {
            let prompt =
                Prompt::from_wire(word).ok_or_else(|| Error::new(ErrorKind::InvalidRequest, "prompt has a value that is not supported"))?;
            if !prompts.contains(&prompt) {
                prompts.push(prompt);
            }
        }
        // Core 3.1.2.1: none with any other value is an error.
        if prompts.contains(&Prompt::None) && prompts.len() > 1 {
            return Err(Error::new(ErrorKind::InvalidRequest, "prompt=none cannot be combined with other values"));
        }
        Ok(Self(prompts))
    }

    pub fn contains(&self, prompt: Prompt) -> bool {
        self.0.contains(&prompt)
    }

    /// Whether nobody may be shown anything.
    pub fn is_none(&self) -> bool {
        self.contains(Prompt::None)
    }
}

wire_names! {
    /// OpenID Connect Core 3.1.2.1.
    Display {
        Page = "page",
        Popup = "popup",
        Touch = "touch",
        Wap = "wap",
    }
}

wire_names! {
    /// Only those of [`GrantType::SERVED`] are answered.
    GrantType {
        AuthorizationCode = "authorization_code",
        RefreshToken = "refresh_token",
        ClientCredentials = "client_credentials",
        /// Tokens from the authorization endpoint (RFC 6749 4.2, OpenID Connect Core 3.2).
        Implicit = "implicit",
        /// RFC 8628.
        DeviceCode = "urn:ietf:params:oauth:grant-type:device_code",
        /// RFC 8693.
        TokenExchange = "urn:ietf:params:oauth:grant-type:token-exchange",
    }
}

impl GrantType {
    pub const SERVED: &'static [Self] = Self::ALL;
}

wire_names! {
    /// How a client proves who it is at the token endpoint; fixed by its registration.
    TokenEndpointAuthMethod {
        ClientSecretBasic = "client_secret_basic",
        ClientSecretPost = "client_secret_post",
        /// A JWT with a MAC by the client's secret (OpenID Connect Core 9).
        ClientSecretJwt = "client_secret_jwt",
        /// A JWT signed by the client's key (OpenID Connect Core 9, RFC 7523).
        PrivateKeyJwt = "private_key_jwt",
        /// A certificate that an authority has issued (RFC 8705 2.1).
        TlsClientAuth = "tls_client_auth",
        /// A certificate that the client has registered (RFC 8705 2.2).
        SelfSignedTlsClientAuth = "self_signed_tls_client_auth",
        /// A public client.
        None = "none",
    }
}

impl TokenEndpointAuthMethod {
    pub const SERVED: &'static [Self] = Self::ALL;

    /// Does the client have a secret that both sides know?
    pub const fn has_secret(self) -> bool {
        matches!(self, Self::ClientSecretBasic | Self::ClientSecretPost | Self::ClientSecretJwt)
    }
}

wire_names! {
    /// What clients may sign request objects and assertions with (RFC 7518 3.1, RFC 8037, RFC 9864 2.2).
    ClientSigningAlg {
        RS256 = "RS256",
        RS384 = "RS384",
        RS512 = "RS512",
        PS256 = "PS256",
        PS384 = "PS384",
        PS512 = "PS512",
        ES256 = "ES256",
        ES384 = "ES384",
        ES512 = "ES512",
        EdDSA = "EdDSA",
        /// What `EdDSA` is with a key of this curve, by the name that says so.
        Ed25519 = "Ed25519",
        HS256 = "HS256",
        HS384 = "HS384",
        HS512 = "HS512",
        /// Request objects only, and only for a client that is registered so.
        None = "none",
    }
}

impl ClientSigningAlg {
    /// Those by a key of which we know the public half only.
    pub const fn is_asymmetric(self) -> bool {
        !matches!(self, Self::HS256 | Self::HS384 | Self::HS512 | Self::None)
    }
}

wire_names! {
    /// How the key of an encrypted token travels (RFC 7518 4.1).
    KeyManagementAlg {
        RsaOaep256 = "RSA-OAEP-256",
        RsaOaep = "RSA-OAEP",
        EcdhEs = "ECDH-ES",
        EcdhEsA128Kw = "ECDH-ES+A128KW",
        EcdhEsA256Kw = "ECDH-ES+A256KW",
    }
}

wire_names! {
    /// How the content of an encrypted token is encrypted (RFC 7518 5.1).
    ContentEncryption {
        A128CbcHs256 = "A128CBC-HS256",
        A256CbcHs512 = "A256CBC-HS512",
        A128Gcm = "A128GCM",
        A256Gcm = "A256GCM",
    }
}

wire_names! {
    /// OpenID Connect Core 8.
    SubjectType {
        Public = "public",
        Pairwise = "pairwise",
    }
}

wire_names! {
    /// JWS algorithms that ID tokens are signed with (RFC 7518 3.1, RFC 8037).
    SigningAlg {
        RS256 = "RS256",
        PS256 = "PS256",
        ES256 = "ES256",
        ES384 = "ES384",
        EdDSA = "EdDSA",
    }
}

impl From<SigningAlg> for ClientSigningAlg {
    fn from(alg: SigningAlg) -> Self {
        match alg {
            SigningAlg::RS256 => Self::RS256,
            SigningAlg::PS256 => Self::PS256,
            SigningAlg::ES256 => Self::ES256,
            SigningAlg::ES384 => Self::ES384,
            SigningAlg::EdDSA => Self::EdDSA,
        }
    }
}

wire_names! {
    /// OpenID Connect Dynamic Client Registration 2.
    ApplicationType {
        Web = "web",
        /// May use any port of the loopback interface (RFC 8252 7.3).
        Native = "native",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompt_none_stands_alone() {
        assert!(Prompts::parse("none").expect("alone").is_none());
        for text in ["none login", "login none", "consent none select_account", "create", "None"] {
            assert_eq!(Prompts::parse(text).expect_err(text).kind, ErrorKind::InvalidRequest, "{text}");
        }
        let both = Prompts::parse("login  consent login").expect("a set");
        assert!(both.contains(Prompt::Login) && both.contains(Prompt::Consent) && !both.is_none());
        assert_eq!(Prompts::parse("").expect("empty"), Prompts::default());
    }

    #[test]
    fn the_order_of_response_type_words_does_not_matter() {
        assert_eq!(ResponseType::parse("token id_token code"), Some(ResponseType::CodeIdTokenToken));
        for text in ["", "code code", "token", "Code", "code  token", "none"] {
            assert_eq!(ResponseType::parse(text), None, "{text}");
        }
    }

    #[test]
    fn names_are_stored_as_they_travel() {
        for method in TokenEndpointAuthMethod::ALL {
            assert_eq!(serde_json::to_string(method).expect("json"), format!("\"{}\"", method.as_str()));
            assert_eq!(TokenEndpointAuthMethod::from_wire(method.as_str()), Some(*method));
        }
    }
}
