use super::*;
use crate::oidc::names::ApplicationType;
use crate::oidc::opaque::{AccessToken, AuthorizationCode};
use crate::oidc::testing::{self, CALLBACK, ISSUER, client, params, request};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use url::form_urlencoded;

fn identify(changes: &[(&str, &str)], client: &ClientFacts) -> Result<CheckedRedirect> {
    CheckedRedirect::identify(&request(changes), Some(client))
}

fn parse_for(changes: &[(&str, &str)], client: &ClientFacts) -> Result<AuthorizationRequest> {
    AuthorizationRequest::parse(&request(changes), client, &identify(changes, client).expect("identified"))
}

fn parse(changes: &[(&str, &str)]) -> Result<AuthorizationRequest> {
    parse_for(changes, &client())
}

fn refused(changes: &[(&str, &str)]) -> ErrorKind {
    parse(changes).expect_err("refused").kind
}

fn a_code(code: &AuthorizationCode) -> Success<'_> {
    Success { code: Some(code), ..Success::default() }
}

fn answer(location: &str, separator: char) -> Vec<(String, String)> {
    let (_, answer) = location.split_once(separator).expect("an answer");
    form_urlencoded::parse(answer.as_bytes()).into_owned().collect()
}

#[test]
fn reads_a_request_that_is_in_order() {
    let request = parse(&[
        ("nonce", "n"),
        ("prompt", "login consent"),
        ("max_age", "0"),
        ("acr_values", "a  b"),
        ("ui_locales", "de en"),
        ("display", "popup"),
        ("login_hint", "jane@acme.example"),
        ("id_token_hint", "e.e.e"),
        ("claims", r#"{"userinfo":{"email":{"essential":true}},"other":1}"#),
        ("connection", "acme"),
        ("unknown", "ignored"),
    ])
    .expect("in order");
    assert!(request.wants_id_token());
    assert_eq!(request.scopes.to_string(), "openid profile");
    assert_eq!((request.nonce.as_deref(), request.max_age, request.display), (Some("n"), Some(0), Some(Display::Popup)));
    assert_eq!((request.acr_values.len(), request.ui_locales.len()), (2, 2));
    assert!(request.claims.userinfo[0].name == "email" && request.claims.id_token.is_empty());
    assert_eq!(request.connection.as_deref(), Some("acme"));
    assert!(request.code_challenge.is_some());
    let stored = serde_json::to_string(&request).expect("stored");
    assert!(!stored.contains("e.e.e"), "a hint is never stored");
    let read: AuthorizationRequest = serde_json::from_str(&stored).expect("read back");
    assert_eq!(read.redirect, request.redirect);
}

#[test]
fn a_redirect_uri_matches_by_exact_string_only() {
    let mut client = client();
    client.redirect_uris.push("https://notes.example/other?x=1".to_owned());
    for uri in [CALLBACK, "https://notes.example/other?x=1"] {
        assert_eq!(identify(&[("redirect_uri", uri)], &client).expect(uri).redirect_uri(), uri);
    }
    for uri in [
        "https://notes.example/callback/",
        "https://notes.example/Callback",
        "https://NOTES.example/callback",
        "HTTPS://notes.example/callback",
        "https://notes.example/callback?x=1",
        "https://notes.example/callback#",
        "https://notes.example/callback#x",
        "https://notes.example/callback%2f",
        "https://notes.example//callback",
        "https://notes.example/a/../callback",
        "https://notes.example:443/callback",
        "https://user@notes.example/callback",
        "https://notes.example/callback@evil.example",
        "https://notes.example.evil.example/callback",
        "http://notes.example/callback",
        " https://notes.example/callback",
        "https://notes.example/other",
        "https://notes.example/other?x=1&y=2",
        "https://evil.example/",
        "javascript:alert(1)",
    ] {
        assert_eq!(identify(&[("redirect_uri", uri)], &client).expect_err(uri).kind, ErrorKind::InvalidRedirectUri, "{uri}");
    }
}

#[test]
fn a_registered_fragment_is_never_used() {
    let mut client = client();
    client.redirect_uris = vec!["https://notes.example/#/callback".to_owned()];
    let error = identify(&[("redirect_uri", "https://notes.example/#/callback")], &client).expect_err("fragment");
    assert_eq!(error.kind, ErrorKind::InvalidRedirectUri);
}

#[test]
fn the_redirect_uri_is_required_even_if_one_is_registered() {
    for changes in [&[("redirect_uri", "")][..], &[("redirect_uri", CALLBACK), ("redirect_uri", CALLBACK)]] {
        assert_eq!(identify(changes, &client()).expect_err("required").kind, ErrorKind::InvalidRequest);
    }
}

#[test]
fn only_the_port_of_a_native_loopback_address_is_free() {
    let mut native = client();
    native.application_type = ApplicationType::Native;
    native.redirect_uris =
        ["http://127.0.0.1/cb", "http://[::1]:80/cb", "http://localhost/cb", "https://127.0.0.1/tls", "http://127.0.0.1.notes.example/cb"]
            .map(str::to_owned)
            .to_vec();
    for uri in ["http://127.0.0.1/cb", "http://127.0.0.1:8080/cb", "http://127.0.0.1:65535/cb", "http://[::1]:9/cb", "http://[::1]/cb"] {
        assert!(identify(&[("redirect_uri", uri)], &native).is_ok(), "{uri}");
    }
    for uri in [
        "http://127.0.0.1:8080/other",
        "http://127.0.0.1:8080/cb?x=1",
        "http://127.0.0.1:8080/cb#x",
        "http://127.0.0.1:0/cb",
        "http://127.0.0.1:65536/cb",
        "http://127.0.0.1:/cb",
        "http://127.0.0.1:80a/cb",
        "http://127.0.0.1:80@evil.example/cb",
        "http://127.0.0.1@evil.example/cb",
        "http://127.0.0.1.evil.example/cb",
        "http://127.0.0.1:80.notes.example/cb",
        "http://127.0.0.1:+80/cb",
        "http://127.0.0.2:80/cb",
        "http://127.1:80/cb",
        "http://localhost:8080/cb",
        "https://127.0.0.1:8080/tls",
        "http://[::2]:80/cb",
    ] {
        assert!(identify(&[("redirect_uri", uri)], &native).is_err(), "{uri}");
    }
    native.application_type = ApplicationType::Web;
    assert!(identify(&[("redirect_uri", "http://127.0.0.1:8080/cb")], &native).is_err());
}

#[test]
fn an_unknown_client_gets_our_page() {
    assert_eq!(CheckedRedirect::identify(&request(&[]), None).expect_err("unknown").kind, ErrorKind::InvalidClient);
    let other = ClientFacts { client_id: "other".to_owned(), ..client() };
    assert_eq!(identify(&[], &other).expect_err("not this one").kind, ErrorKind::InvalidClient);
    assert_eq!(client_id(&params(&[])).expect_err("none named").kind, ErrorKind::InvalidRequest);
}

#[test]
fn a_repeated_parameter_is_refused_by_redirect() {
    assert_eq!(refused(&[("nonce", "a"), ("nonce", "b")]), ErrorKind::InvalidRequest);
    let changes = [("state", "a"), ("state", "b")];
    assert_eq!(identify(&changes, &client()).expect("proven").state(), None);
    assert_eq!(refused(&changes), ErrorKind::InvalidRequest);
}

#[test]
fn what_is_not_supported_says_so() {
    assert_eq!(refused(&[("request", "e.e.")]), ErrorKind::RequestNotSupported);
    assert_eq!(refused(&[("request_uri", "https://notes.example/r")]), ErrorKind::RequestUriNotSupported);
    assert_eq!(refused(&[("registration", "{}")]), ErrorKind::RegistrationNotSupported);
    for text in ["token", "none", "Code", "code code", "code id_token code"] {
        assert_eq!(refused(&[("response_type", text)]), ErrorKind::UnsupportedResponseType, "{text}");
    }
    assert_eq!(refused(&[("response_type", "")]), ErrorKind::InvalidRequest);
    for mode in ["jwt", "query.jwt", "web_message", "Query"] {
        assert_eq!(refused(&[("response_mode", mode)]), ErrorKind::InvalidRequest, "{mode}");
    }
}

/// A client of all response types, without PKCE.
fn hybrid() -> ClientFacts {
    ClientFacts {
        response_types: ResponseType::ALL.to_vec(),
        grant_types: vec![GrantType::AuthorizationCode, GrantType::Implicit, GrantType::RefreshToken],
        ..client()
    }
}

#[test]
fn a_client_uses_the_response_types_and_grants_that_it_is_registered_for() {
    for kind in ResponseType::ALL {
        let asked = [("response_type", kind.as_str()), ("nonce", "n")];
        assert_eq!(parse_for(&asked, &hybrid()).expect("registered").response_type, *kind);
        let others = ResponseType::ALL.iter().copied().filter(|other| other != kind).collect();
        let other = ClientFacts { response_types: others, ..hybrid() };
        assert_eq!(parse_for(&asked, &other).expect_err("not registered").kind, ErrorKind::UnauthorizedClient, "{kind:?}");
        let no_code = ClientFacts { grant_types: vec![GrantType::Implicit], ..hybrid() };
        assert_eq!(parse_for(&asked, &no_code).is_ok(), !kind.gives_code(), "{kind:?}");
        let no_implicit = ClientFacts { grant_types: vec![GrantType::AuthorizationCode], ..hybrid() };
        assert_eq!(parse_for(&asked, &no_implicit).is_ok(), *kind == ResponseType::Code, "{kind:?}");
        // FAPI 2.0 5.3.2.2: only codes.
        let fapi2 = ClientFacts { fapi2: true, ..hybrid() };
        assert_eq!(parse_for(&asked, &fapi2).is_ok(), *kind == ResponseType::Code, "{kind:?}");
        // What the browser sees can be bound to nothing.
        for bound in [
            ClientFacts { dpop_bound_access_tokens: true, ..hybrid() },
            ClientFacts { tls_client_certificate_bound_access_tokens: true, ..hybrid() },
        ] {
            assert_eq!(parse_for(&asked, &bound).is_ok(), !kind.gives_access_token(), "{kind:?}");
        }
    }
}

#[test]
fn an_id_token_from_the_authorization_endpoint_needs_a_nonce_and_the_scope() {
    for kind in ResponseType::ALL {
        let without = parse_for(&[("response_type", kind.as_str())], &hybrid());
        assert_eq!(without.is_ok(), !kind.gives_id_token(), "{kind:?}");
        let plain = parse_for(&[("response_type", kind.as_str()), ("nonce", "n"), ("scope", "profile")], &hybrid());
        assert_eq!(plain.is_ok(), !kind.gives_id_token(), "{kind:?}");
    }
}

#[test]
fn nothing_that_carries_a_token_goes_into_a_query() {
    for kind in ResponseType::ALL {
        for mode in ResponseMode::ALL {
            let changes = [("response_type", kind.as_str()), ("response_mode", mode.as_str()), ("nonce", "n")];
            let redirect = identify(&changes, &hybrid()).expect("identified");
            let token_in_query = kind.is_implicit() && *mode == ResponseMode::Query;
            assert_eq!(parse_for(&changes, &hybrid()).is_ok(), !token_in_query, "{kind:?} {mode:?}");
            // The refusal itself travels where answers of this type do.
            assert_eq!(redirect.mode(), if token_in_query { ResponseMode::Fragment } else { *mode }, "{kind:?} {mode:?}");
        }
    }
}

#[test]
fn a_code_challenge_is_needed_where_there_is_a_code() {
    for kind in ResponseType::ALL {
        let changes = [("response_type", kind.as_str()), ("nonce", "n"), ("code_challenge", ""), ("code_challenge_method", "")];
        assert_eq!(parse_for(&changes, &hybrid()).is_ok(), !kind.gives_code(), "{kind:?}");
    }
    let excused = ClientFacts { require_pkce: false, fapi2: true, ..client() };
    let without = [("code_challenge", ""), ("code_challenge_method", "")];
    assert_eq!(parse_for(&without, &excused).expect_err("FAPI 2.0").kind, ErrorKind::InvalidRequest);
}

#[test]
fn offline_access_needs_a_code() {
    for kind in ResponseType::ALL {
        let asked = [("response_type", kind.as_str()), ("nonce", "n"), ("scope", "openid offline_access")];
        let request = parse_for(&asked, &hybrid()).expect("in order");
        assert_eq!(request.scopes.contains(OFFLINE_ACCESS), kind.gives_code(), "{kind:?}");
    }
}

#[test]
fn what_is_registered_holds_where_the_request_does_not_say() {
    let client = ClientFacts { default_max_age: Some(60), default_acr_values: vec!["gold".into()], ..client() };
    let plain = parse_for(&[], &client).expect("in order");
    assert_eq!((plain.max_age, plain.acr_values.as_slice(), plain.acr_essential), (Some(60), &["gold".to_owned()][..], false));
    let own = parse_for(&[("max_age", "600"), ("acr_values", "a b")], &client).expect("in order");
    assert_eq!((own.max_age, own.acr_values.len()), (Some(600), 2));
    let essential = r#"{"id_token":{"acr":{"essential":true,"values":["mfa"]}}}"#;
    let claims = parse_for(&[("acr_values", "a b"), ("claims", essential)], &client).expect("in order");
    assert_eq!((claims.acr_values.as_slice(), claims.acr_essential), (&["mfa".to_owned()][..], true));
}

#[test]
fn an_access_token_is_for_one_resource() {
    let read = |changes: &[(&str, &str)]| {
        let octets = form_urlencoded::Serializer::new(String::new()).extend_pairs(changes).finish();
        audience(&Params::parse_noting_repeats(octets.as_bytes()).expect("readable"))
    };
    let named = |changes: &[(&str, &str)]| read(changes).expect("in order").map(|found| (found.identifier, found.by_resource));
    let api = "https://api.example/v1";
    assert_eq!(named(&[]), None);
    assert_eq!(named(&[("audience", "any text")]), Some(("any text".to_owned(), false)));
    assert_eq!(named(&[("resource", api)]), Some((api.to_owned(), true)));
    assert_eq!(named(&[("resource", api), ("resource", api), ("audience", api)]), Some((api.to_owned(), false)));
    for refused in [
        &[("resource", api), ("resource", "https://other.example/")][..],
        &[("resource", api), ("audience", "any text")],
        &[("resource", "v1")],
        &[("resource", "https://api.example/#part")],
    ] {
        assert_eq!(read(refused).expect_err("refused").kind, ErrorKind::InvalidTarget, "{refused:?}");
    }
}

#[test]
fn a_thumbprint_of_a_key_is_kept_for_the_code() {
    let thumbprint = URL_SAFE_NO_PAD.encode([7; 32]);
    assert_eq!(parse(&[("dpop_jkt", &thumbprint)]).expect("in order").dpop_jkt, Some(thumbprint.clone()));
    for text in ["x", &thumbprint[1..], &format!("{thumbprint}="), &URL_SAFE_NO_PAD.encode([7; 33])] {
        assert_eq!(refused(&[("dpop_jkt", text)]), ErrorKind::InvalidRequest, "{text}");
    }
}

#[test]
fn a_successful_answer_carries_what_is_given_and_nothing_else() {
    let grant = crate::id::random_id();
    let code = AuthorizationCode::issue(&grant, false).expect("a code");
    let token = AccessToken::issue(&grant).expect("a token");
    let id_token = Secret::new("e.e.e".to_owned());
    let changes = [("response_type", "code id_token token"), ("state", "s")];
    let redirect = identify(&changes, &hybrid()).expect("identified");
    let names = |given: &Success<'_>| {
        let AuthorizationResponse::Redirect(location) = redirect.success(ISSUER, given) else { panic!("a redirect") };
        answer(&location, '#').into_iter().map(|(name, _)| name).collect::<Vec<_>>().join(" ")
    };
    let all = Success { code: Some(&code), access_token: Some((&token, 60)), scopes: "openid", id_token: Some(&id_token) };
    assert_eq!(names(&all), "code access_token token_type expires_in scope id_token state iss");
    assert_eq!(names(&Success { code: None, scopes: "", ..all }), "access_token token_type expires_in id_token state iss");
    assert_eq!(names(&Success { access_token: None, ..all }), "code id_token state iss");
    assert!(!format!("{all:?}").contains(token.expose()), "tokens do not print");
}

#[test]
fn a_client_without_the_code_grant_is_refused() {
    let mut client = client();
    client.grant_types.clear();
    assert_eq!(parse_for(&[], &client).expect_err("grant").kind, ErrorKind::UnauthorizedClient);
    let mut client = testing::client();
    client.response_types.clear();
    assert_eq!(parse_for(&[], &client).expect_err("type").kind, ErrorKind::UnauthorizedClient);
}

#[test]
fn pkce_is_required_and_plain_is_refused() {
    let without = [("code_challenge", ""), ("code_challenge_method", "")];
    assert_eq!(refused(&without), ErrorKind::InvalidRequest);
    assert_eq!(refused(&[("code_challenge_method", "plain")]), ErrorKind::InvalidRequest);
    assert_eq!(refused(&[("code_challenge_method", "")]), ErrorKind::InvalidRequest);
    let excused = ClientFacts { require_pkce: false, ..client() };
    assert!(parse_for(&without, &excused).expect("excused").code_challenge.is_none());
    let public = ClientFacts { redirect_uris: vec![CALLBACK.to_owned()], require_pkce: false, ..ClientFacts::public("notes") };
    assert_eq!(parse_for(&without, &public).expect_err("public").kind, ErrorKind::InvalidRequest);
}

#[test]
fn malformed_values_are_refused() {
    for (name, value) in [
        ("prompt", "none login"),
        ("max_age", "-1"),
        ("max_age", "+1"),
        ("max_age", "1.5"),
        ("max_age", "x"),
        ("claims", "[]"),
        ("claims", "null"),
        ("claims", "{"),
        ("claims", r#"{"id_token":[]}"#),
        ("claims", r#"{"id_token":{},"id_token":{}}"#),
    ] {
        assert_eq!(refused(&[(name, value)]), ErrorKind::InvalidRequest, "{name}={value}");
    }
    assert_eq!(parse(&[("max_age", "99999999999999999999")]).expect("long").max_age, Some(u32::MAX));
    assert_eq!(refused(&[("scope", "open\"id")]), ErrorKind::InvalidScope);
}

#[test]
fn without_openid_there_is_no_id_token() {
    assert!(!parse(&[("scope", "profile")]).expect("plain OAuth").wants_id_token());
    assert!(parse(&[("scope", "")]).expect("plain OAuth").scopes.is_empty());
}

#[test]
fn state_and_iss_are_in_success_and_in_error() {
    let code = AuthorizationCode::issue(&crate::id::random_id(), false).expect("a code");
    for (mode, separator) in [("", '?'), ("query", '?'), ("fragment", '#')] {
        let redirect = identify(&[("state", "a b&c=ä"), ("response_mode", mode)], &client()).expect("identified");
        let AuthorizationResponse::Redirect(success) = redirect.success(ISSUER, &a_code(&code)) else { panic!("a redirect") };
        assert!(success.starts_with(&format!("{CALLBACK}{separator}")), "{success}");
        let expected = [("code", code.expose()), ("state", "a b&c=ä"), ("iss", ISSUER)];
        assert_eq!(answer(&success, separator), expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let AuthorizationResponse::Redirect(error) = redirect.error(ISSUER, &Error::new(ErrorKind::LoginRequired, "sign in first")) else {
            panic!("a redirect")
        };
        let expected = [("error", "login_required"), ("error_description", "sign in first"), ("state", "a b&c=ä"), ("iss", ISSUER)];
        assert_eq!(answer(&error, separator), expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }
}

#[test]
fn form_post_gives_fields_and_no_state_is_invented() {
    let redirect = identify(&[("response_mode", "form_post"), ("state", "")], &client()).expect("identified");
    let code = AuthorizationCode::issue(&crate::id::random_id(), false).expect("a code");
    let AuthorizationResponse::FormPost { action, fields } = redirect.success(ISSUER, &a_code(&code)) else { panic!("a form") };
    assert_eq!(action, CALLBACK);
    assert_eq!(fields, [("code", code.expose().to_owned()), ("iss", ISSUER.to_owned())]);
}

#[test]
fn errors_of_unserved_response_types_travel_in_their_own_mode() {
    let mode = |changes: &[(&str, &str)]| identify(changes, &client()).expect("identified").mode();
    assert_eq!(mode(&[("response_type", "id_token")]), ResponseMode::Fragment);
    assert_eq!(mode(&[("response_type", "id_token"), ("response_mode", "query")]), ResponseMode::Fragment);
    assert_eq!(mode(&[("response_mode", "nonsense")]), ResponseMode::Query);
}

#[test]
fn the_query_of_a_redirect_uri_is_kept() {
    for (uri, expected) in [
        ("https://a.example/cb?x=%7e", "https://a.example/cb?x=%7e&iss=i"),
        ("https://a.example/cb?", "https://a.example/cb?iss=i"),
        ("https://a.example/cb?x&", "https://a.example/cb?x&iss=i"),
        ("org.example.app:/cb", "org.example.app:/cb?iss=i"),
    ] {
        let response = authorization_response(uri, ResponseMode::Query, vec![("iss", "i".to_owned())]);
        assert_eq!(response, AuthorizationResponse::Redirect(expected.to_owned()));
    }
}

#[test]
fn error_descriptions_have_the_characters_of_the_grammar() {
    let text = description("a\"b\\c\r\nd\u{e4}\u{7f}e!~ ");
    assert_eq!(text, "a'b/c??d??e!~ ");
    assert!(text.bytes().all(|byte| matches!(byte, 0x20..=0x21 | 0x23..=0x5b | 0x5d..=0x7e)));
}

#[test]
fn answers_do_not_print() {
    let redirect = identify(&[], &client()).expect("identified");
    let code = AuthorizationCode::issue(&crate::id::random_id(), false).expect("a code");
    assert_eq!(format!("{:?}", redirect.success(ISSUER, &a_code(&code))), "Redirect(..)");
}

#[test]
fn hostile_octets_never_panic() {
    let mut client = client();
    client.application_type = ApplicationType::Native;
    client.redirect_uris.push("http://127.0.0.1/cb".to_owned());
    for octets in testing::hostile(10_000) {
        let text: String = String::from_utf8_lossy(&octets).chars().filter(|c| !c.is_control()).collect();
        let changes = [("claims", text.as_str()), ("prompt", &text), ("max_age", &text), ("scope", &text), ("code_challenge", &text)];
        for change in changes {
            let _ = parse_for(&[change], &client);
        }
        let loopback = format!("http://127.0.0.1{text}");
        let _ = identify(&[("redirect_uri", &loopback), ("response_type", &text), ("response_mode", &text)], &client);
        let _ = description(&text);
    }
}
