use super::*;
use crate::oidc::testing::{self, client, params};

fn basic(text: &str) -> String {
    format!("Basic {}", STANDARD.encode(text))
}

fn by_header(text: &str) -> ClientCredentials {
    ClientCredentials::extract(Some(&basic(text)), &params(&[])).expect("read")
}

fn by_body(body: &[(&str, &str)]) -> ClientCredentials {
    ClientCredentials::extract(None, &params(body)).expect("read")
}

const POST: [(&str, &str); 2] = [("client_id", "notes"), ("client_secret", "s3cret")];

fn assertion() -> String {
    format!("e.{}.e", id::base64url(br#"{"sub":"notes"}"#))
}

#[test]
fn what_is_presented_for_one_method_serves_no_other() {
    use TokenEndpointAuthMethod as Method;
    let assertion = assertion();
    let cases = [
        (by_header("notes:s3cret"), vec![Method::ClientSecretBasic]),
        (by_body(&POST), vec![Method::ClientSecretPost]),
        (
            by_body(&[("client_assertion", &assertion), ("client_assertion_type", ASSERTION_TYPE)]),
            vec![Method::ClientSecretJwt, Method::PrivateKeyJwt],
        ),
        (by_body(&[("client_id", "notes")]), vec![Method::TlsClientAuth, Method::SelfSignedTlsClientAuth, Method::None]),
    ];
    for (credentials, expected) in cases {
        assert_eq!(credentials.client_id(), "notes");
        let found: Vec<_> = Method::ALL.iter().copied().filter(|method| credentials.is_by(*method)).collect();
        assert_eq!(found, expected);
    }
}

#[test]
fn every_current_secret_is_good_and_an_empty_one_never() {
    let mut client = client();
    client.secret_digests.push(id::digest("next"));
    assert!(by_header("notes:next").has_secret_of(Some(&client)) && by_header("notes:s3cret").has_secret_of(Some(&client)));
    assert!(!by_header("notes:guess").has_secret_of(Some(&client)) && !by_header("notes:s3cret").has_secret_of(None));
    client.secret_digests = vec![id::digest("")];
    assert!(!by_header("notes:").has_secret_of(Some(&client)) && !by_header("notes:").has_secret_of(None));
    client.secret_digests.clear();
    assert!(!by_header("notes:").has_secret_of(Some(&client)));
}

#[test]
fn a_secret_of_nobody_takes_the_time_of_a_wrong_one() {
    // So long that its digest takes more time than everything else.
    let secret = "x".repeat(60_000);
    let (credentials, client) = (by_body(&[("client_id", "notes"), ("client_secret", &secret)]), client());
    let least = |client: Option<&ClientFacts>| {
        let times = (0..100).map(|_| {
            let begun = std::time::Instant::now();
            assert!(!credentials.has_secret_of(client));
            begun.elapsed()
        });
        times.min().expect("one")
    };
    let (known, unknown) = (least(Some(&client)), least(None));
    assert!(unknown * 2 > known, "{unknown:?} for nobody, {known:?} for somebody");
}

#[test]
fn two_methods_at_once_are_refused() {
    let (basic, assertion) = (basic("notes:s3cret"), assertion());
    let jwt = [("client_assertion", assertion.as_str()), ("client_assertion_type", ASSERTION_TYPE)];
    let kind = |header: Option<&str>, body: &[(&str, &str)]| ClientCredentials::extract(header, &params(body)).expect_err("two").kind;
    assert_eq!(kind(Some(&basic), &POST), ErrorKind::InvalidRequest);
    assert_eq!(kind(Some(&basic), &jwt), ErrorKind::InvalidRequest);
    assert_eq!(kind(None, &[POST.as_slice(), &jwt].concat()), ErrorKind::InvalidRequest);
    assert_eq!(kind(Some(&basic), &[("client_id", "wiki")]), ErrorKind::InvalidRequest, "two clients");
    assert_eq!(kind(None, &[jwt.as_slice(), &[("client_id", "wiki")]].concat()), ErrorKind::InvalidRequest, "two clients");
    assert!(ClientCredentials::extract(Some(&basic), &params(&[("client_id", "notes")])).is_ok());
    assert!(ClientCredentials::extract(None, &params(&[jwt.as_slice(), &[("client_id", "notes")]].concat())).is_ok());
}

#[test]
fn an_assertion_says_what_it_is() {
    let assertion = assertion();
    let kind = |body: &[(&str, &str)]| ClientCredentials::extract(None, &params(body)).expect_err("refused").kind;
    assert_eq!(kind(&[("client_assertion", &assertion)]), ErrorKind::InvalidRequest);
    assert_eq!(kind(&[("client_assertion_type", ASSERTION_TYPE)]), ErrorKind::InvalidRequest);
    let saml = "urn:ietf:params:oauth:client-assertion-type:saml2-bearer";
    assert_eq!(kind(&[("client_assertion", &assertion), ("client_assertion_type", saml)]), ErrorKind::InvalidClient);
    assert_eq!(kind(&[("client_assertion", "e.e.e"), ("client_assertion_type", ASSERTION_TYPE)]), ErrorKind::InvalidClient);
}

#[test]
fn assertions_are_signed_as_registered() {
    use ClientSigningAlg as Alg;
    let of = |method, alg, fapi2| {
        assertion_algs(&ClientFacts { token_endpoint_auth_method: method, token_endpoint_auth_signing_alg: alg, fapi2, ..client() })
    };
    let (keys, mac) = (TokenEndpointAuthMethod::PrivateKeyJwt, TokenEndpointAuthMethod::ClientSecretJwt);
    assert_eq!(of(mac, None, false), [Alg::HS256, Alg::HS384, Alg::HS512]);
    assert_eq!(of(mac, Some(Alg::RS256), false), []);
    assert_eq!(of(keys, Some(Alg::ES256), false), [Alg::ES256]);
    assert_eq!(of(keys, Some(Alg::HS256), false), [], "a public key is no secret");
    assert!(of(keys, None, false).iter().all(|alg| alg.is_asymmetric()));
    assert_eq!(of(keys, None, true), [Alg::PS256, Alg::ES256, Alg::EdDSA, Alg::Ed25519]);
    assert_eq!(of(keys, Some(Alg::RS256), true), []);
    assert_eq!(of(TokenEndpointAuthMethod::None, None, false), []);
}

#[test]
fn basic_credentials_are_form_decoded() {
    let mut client = client();
    client.client_id = "a b:c".to_owned();
    client.secret_digests = vec![id::digest("p%:+ä")];
    for text in ["a+b%3Ac:p%25%3A%2B%C3%A4", "a+b%3Ac:p%25:%2B%C3%A4"] {
        let credentials = by_header(text);
        assert!(credentials.client_id() == "a b:c" && credentials.has_secret_of(Some(&client)), "the first colon separates: {text}");
    }
}

#[test]
fn an_unreadable_header_is_an_invalid_client() {
    for header in
        ["Basic", "Basic !", "Bearer x", "Digest a", &basic("nocolon"), &basic(":x"), &basic("a%:b"), &basic("a:%ff"), &basic("a:b%00")]
    {
        let error = ClientCredentials::extract(Some(header), &params(&[])).expect_err(header);
        assert_eq!(error.kind, ErrorKind::InvalidClient, "{header}");
    }
    assert_eq!(ClientCredentials::extract(None, &params(&[])).expect_err("nobody").kind, ErrorKind::InvalidClient);
}

#[test]
fn credentials_do_not_print() {
    let assertion = assertion();
    let jwt = by_body(&[("client_assertion", &assertion), ("client_assertion_type", ASSERTION_TYPE)]);
    let printed = format!("{:?} {:?} {jwt:?}", by_header("notes:hunter2"), by_body(&POST));
    assert!(!printed.contains("hunter2") && !printed.contains("s3cret") && !printed.contains(&assertion), "{printed}");
}

#[test]
fn hostile_octets_never_panic() {
    for octets in testing::hostile(5_000) {
        let text = String::from_utf8_lossy(&octets).into_owned();
        let _ = ClientCredentials::extract(Some(&text), &params(&[]));
        let _ = ClientCredentials::extract(Some(&basic(&text)), &params(&[]));
        let jwt = [("client_assertion", text.as_str()), ("client_assertion_type", ASSERTION_TYPE)];
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(jwt).finish();
        if let Ok(body) = Params::parse(body.as_bytes()) {
            let _ = ClientCredentials::extract(None, &body);
        }
    }
}
