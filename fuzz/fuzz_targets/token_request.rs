//! The token endpoint: a first line for the `Authorization` header, the rest is the body. Who is authenticated knew the secret;
//! a refresh token that is read was made by us.
#![no_main]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use isthmus::error::ErrorKind;
use isthmus::keys::Sealer;
use isthmus::oidc::token::error_json;
use isthmus::oidc::{ClientCredentials, ClientFacts, CodeBinding, GrantType, Params, RefreshToken, TokenEndpointAuthMethod, TokenRequest};
use isthmus::secret::Secret;
use isthmus_fuzz::keys::{octets, sealer};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

const SECRET: &str = "s3cret";
const REDIRECT: &str = "https://notes.example/callback";

static SEALER: LazyLock<Sealer> = LazyLock::new(sealer);
static CLIENTS: LazyLock<Vec<ClientFacts>> = LazyLock::new(|| {
    let by = |method| ClientFacts {
        token_endpoint_auth_method: method,
        secret_digests: vec![isthmus::id::digest(SECRET)],
        grant_types: vec![GrantType::AuthorizationCode, GrantType::RefreshToken, GrantType::ClientCredentials],
        ..ClientFacts::public("notes")
    };
    vec![
        by(TokenEndpointAuthMethod::ClientSecretBasic),
        by(TokenEndpointAuthMethod::ClientSecretPost),
        ClientFacts { secret_digests: Vec::new(), ..by(TokenEndpointAuthMethod::None) },
        ClientFacts { secret_digests: Vec::new(), ..by(TokenEndpointAuthMethod::ClientSecretPost) },
    ]
});

/// Whether the secret is in the request at all, read in another way than the gateway does.
fn knew(authorization: Option<&str>, body: &Params, method: TokenEndpointAuthMethod) -> bool {
    match method {
        TokenEndpointAuthMethod::None => true,
        TokenEndpointAuthMethod::ClientSecretPost => body.get("client_secret") == Some(SECRET),
        TokenEndpointAuthMethod::ClientSecretBasic => {
            let encoded = authorization.and_then(|header| header.get(6..)).map(str::trim).unwrap_or_default();
            let decoded = STANDARD.decode(encoded).unwrap_or_default();
            let pair = String::from_utf8(decoded).unwrap_or_default();
            let secret = pair.split_once(':').map_or("", |(_, secret)| secret);
            // "=" keeps form decoding from splitting what is one value.
            let form = format!("x={}", secret.replace('&', "%26"));
            url::form_urlencoded::parse(form.as_bytes()).next().is_some_and(|(_, value)| value == SECRET)
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let (header, body) = data.iter().position(|byte| *byte == b'\n').map_or((&[][..], data), |at| (&data[..at], &data[at + 1..]));
    let Ok(header) = str::from_utf8(header) else { return };
    let Ok(body) = Params::parse(body) else { return };
    let authorization = (!header.is_empty()).then_some(header);
    let credentials = match ClientCredentials::extract(authorization, &body) {
        Ok(credentials) => credentials,
        Err(error) => {
            assert!(matches!(error.kind, ErrorKind::InvalidRequest | ErrorKind::InvalidClient));
            assert!(error_json(&error).is_ascii());
            return;
        }
    };
    assert!(!format!("{credentials:?}").contains(SECRET) || credentials.client_id().contains(SECRET));
    assert!(credentials.authenticate(None).is_err());
    for client in CLIENTS.iter() {
        let Ok(proven) = credentials.authenticate(Some(client)) else { continue };
        assert_eq!(credentials.client_id(), client.client_id);
        assert!(knew(authorization, &body, client.token_endpoint_auth_method), "nobody gave the secret");
        assert!(!client.secret_digests.is_empty() || client.is_public(), "a confidential client without a secret");
        match TokenRequest::parse(&body, proven, &SEALER) {
            Ok(TokenRequest::RefreshToken { refresh_token, .. }) => {
                let ours = RefreshToken::issue(refresh_token.grant_id(), refresh_token.generation(), &SEALER).expect("a token");
                assert_eq!(ours.expose(), refresh_token.expose());
            }
            Ok(TokenRequest::AuthorizationCode { code, redirect_uri, code_verifier }) => {
                assert!(Some(code.expose()) == body.get("code"));
                let binding = CodeBinding { client_id: "notes".to_owned(), redirect_uri: REDIRECT.to_owned(), code_challenge: None };
                let outcome = binding.check(proven, &redirect_uri, code_verifier.as_ref());
                assert_eq!(outcome.is_ok(), redirect_uri == REDIRECT && code_verifier.is_none());
                let other = CodeBinding { client_id: "other".to_owned(), ..binding };
                assert!(other.check(proven, &redirect_uri, code_verifier.as_ref()).is_err());
            }
            // RFC 6749 4.4: for confidential clients only, who proved that they are.
            Ok(TokenRequest::ClientCredentials { audience, scopes: _ }) => {
                assert!(!client.is_public() && !client.secret_digests.is_empty());
                assert!(audience.is_none_or(|audience| !audience.is_empty()), "empty is absent");
            }
            Err(error) => assert!(error_json(&error).is_ascii()),
        }
    }
    // Nobody guesses the key.
    if let Some(token) = body.get("refresh_token") {
        let stranger = Sealer::new(&Secret::new(octets("a stranger", 32))).expect("a sealer");
        assert!(RefreshToken::parse(token, &stranger).is_none());
    }
});
