//! The authorization endpoint: any octets as the query, for clients of every kind. No answer goes where nobody registered.
#![no_main]

use isthmus::error::{Error, ErrorKind};
use isthmus::oidc::params::{MAX_BYTES, MAX_PARAMETERS};
use isthmus::oidc::{
    ApplicationType, AuthorizationCode, AuthorizationRequest, AuthorizationResponse, CheckedRedirect, ClientFacts, GrantType, Params,
    Prompt, ResponseMode, ResponseType, Success, TokenEndpointAuthMethod,
};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;
use url::{Host, Url};

const ISSUER: &str = "https://login.example.org";

static CODE: LazyLock<AuthorizationCode> = LazyLock::new(|| AuthorizationCode::issue(&"0f".repeat(16), true).expect("a code"));
static CLIENTS: LazyLock<Vec<ClientFacts>> = LazyLock::new(|| {
    let public = ClientFacts {
        redirect_uris: vec!["https://notes.example/callback".to_owned(), "https://notes.example/other?x=1".to_owned()],
        ..ClientFacts::public("notes")
    };
    let native = ClientFacts {
        redirect_uris: ["http://127.0.0.1/cb", "http://[::1]:1/cb?x", "com.example.app:/cb", "http://127.0.0.1:8080"]
            .map(str::to_owned)
            .to_vec(),
        application_type: ApplicationType::Native,
        ..ClientFacts::public("notes")
    };
    let confidential = ClientFacts {
        redirect_uris: vec!["https://notes.example/callback?".to_owned(), "https://notes.example/#/callback".to_owned()],
        token_endpoint_auth_method: TokenEndpointAuthMethod::ClientSecretBasic,
        require_pkce: false,
        response_types: ResponseType::ALL.to_vec(),
        grant_types: vec![GrantType::AuthorizationCode, GrantType::RefreshToken, GrantType::Implicit],
        scopes: Some(vec!["openid".to_owned(), "api:\u{21}".to_owned()]),
        ..ClientFacts::public("notes")
    };
    vec![public, native, confidential]
});

/// Either the very text, or (native applications) the very URL but for the port of a loopback address.
fn registered(asked: &str, client: &ClientFacts) -> bool {
    let without_port = |text: &str| -> Option<Url> {
        let mut url = Url::parse(text).ok()?;
        let loopback = match url.host()? {
            Host::Ipv4(host) => host.octets() == [127, 0, 0, 1],
            Host::Ipv6(host) => host.is_loopback(),
            Host::Domain(_) => false,
        };
        let plain = url.scheme() == "http" && url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
        url.set_port(None).ok()?;
        (loopback && plain).then_some(url)
    };
    client.redirect_uris.iter().any(|uri| {
        let native = client.application_type == ApplicationType::Native;
        uri == asked || (native && without_port(asked).is_some() && without_port(asked) == without_port(uri))
    })
}

fn judge_answer(answer: &AuthorizationResponse, redirect: &CheckedRedirect, error: Option<&Error>) {
    let pairs: Vec<(String, String)> = match answer {
        AuthorizationResponse::Redirect(location) => {
            assert!(!location.chars().any(|c| c.is_control() || c == ' '), "{location:?}");
            let target = Url::parse(location).expect("a URL");
            let own = Url::parse(redirect.redirect_uri()).expect("a URL");
            assert_eq!((target.scheme(), target.host(), target.port(), target.path()), (own.scheme(), own.host(), own.port(), own.path()));
            let added = location.strip_prefix(redirect.redirect_uri()).expect("the redirect URI is kept octet by octet");
            let added = match redirect.mode() {
                ResponseMode::Fragment => added.strip_prefix('#').expect("a fragment"),
                _ => added.trim_start_matches(['?', '&']),
            };
            url::form_urlencoded::parse(added.as_bytes()).into_owned().collect()
        }
        AuthorizationResponse::FormPost { action, fields } => {
            assert_eq!((action.as_str(), redirect.mode()), (redirect.redirect_uri(), ResponseMode::FormPost));
            fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
        }
    };
    let all = |name: &str| pairs.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str()).collect::<Vec<_>>();
    assert_eq!(all("iss"), [ISSUER]);
    assert_eq!(all("state"), redirect.state().into_iter().collect::<Vec<_>>());
    match error {
        None => {
            assert_eq!(all("code"), [CODE.expose()]);
            assert!(all("error").is_empty() && all("error_description").is_empty());
        }
        Some(error) => {
            assert_eq!(all("error"), [error.kind.wire().oauth]);
            // RFC 6749 4.1.2.1.
            let [description] = all("error_description")[..] else { panic!("not one error_description") };
            assert!(description.bytes().all(|byte| matches!(byte, 0x20 | 0x21 | 0x23..=0x5b | 0x5d..=0x7e)), "{description:?}");
            assert!(all("code").is_empty());
        }
    }
    assert_eq!(pairs.len(), if error.is_some() { 3 } else { 2 } + usize::from(redirect.state().is_some()));
}

fn judge_request(request: &AuthorizationRequest, params: &Params, client: &ClientFacts) {
    assert!(ResponseType::SERVED.contains(&request.response_type));
    assert!(client.response_types.contains(&request.response_type));
    let kind = request.response_type;
    assert!(request.code_challenge.is_some() || !client.needs_pkce() || !kind.gives_code(), "no code challenge");
    assert!(!kind.is_implicit() || request.redirect.mode() != ResponseMode::Query, "a token in a query");
    assert!(!kind.gives_id_token() || (request.nonce.is_some() && request.wants_id_token()));
    assert!(request.scopes.iter().all(|scope| client.may_have_scope(scope)));
    assert!(!request.prompts.is_none() || !request.prompts.contains(Prompt::Login));
    for name in ["request", "request_uri", "registration"] {
        assert!(params.get(name).is_none());
    }
    assert!(params.refuse_repeats().is_ok());
    // What a transaction keeps comes back as it was, without the hint.
    let stored = serde_json::to_string(request).expect("stored");
    let read: AuthorizationRequest = serde_json::from_str(&stored).expect("read back");
    assert!(read.id_token_hint.is_none());
    assert_eq!(serde_json::to_string(&read).expect("stored again"), stored);
}

fuzz_target!(|data: &[u8]| {
    let Ok(params) = Params::parse_noting_repeats(data) else {
        assert!(Params::parse(data).is_err());
        return;
    };
    assert_eq!(Params::parse(data).is_ok(), params.refuse_repeats().is_ok());
    assert!(data.len() <= MAX_BYTES && params.iter().count() <= MAX_PARAMETERS);
    for (name, value) in params.iter() {
        assert!(!value.is_empty() && !name.chars().chain(value.chars()).any(char::is_control));
        assert!(!params.is_repeated(name));
    }
    assert!(CheckedRedirect::identify(&params, None).is_err());
    for client in CLIENTS.iter() {
        let redirect = match CheckedRedirect::identify(&params, Some(client)) {
            Ok(redirect) => redirect,
            Err(error) => {
                assert!(matches!(error.kind, ErrorKind::InvalidRequest | ErrorKind::InvalidClient | ErrorKind::InvalidRedirectUri));
                continue;
            }
        };
        assert_eq!(Some(redirect.redirect_uri()), params.get("redirect_uri"));
        assert_eq!(redirect.client_id(), client.client_id);
        assert!(registered(redirect.redirect_uri(), client), "nobody registered {:?}", redirect.redirect_uri());
        match AuthorizationRequest::parse(&params, client, &redirect) {
            Ok(request) => {
                judge_request(&request, &params, client);
                judge_answer(&redirect.success(ISSUER, &Success { code: Some(&CODE), ..Success::default() }), &redirect, None);
            }
            Err(error) => judge_answer(&redirect.error(ISSUER, &error), &redirect, Some(&error)),
        }
    }
});
