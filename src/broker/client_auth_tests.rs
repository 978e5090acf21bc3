use super::*;
use crate::broker::possession::PossessionSettings;
use crate::broker::tests::{gateway, with_client};
use crate::oidc::assertion::ASSERTION_TYPE;
use crate::oidc::mtls::tests::{FROM, Made, authorities, dn, make, of};
use crate::oidc::testing::{Device, changed, params};
use crate::oidc::{ClientCertificate, ClientKeys, Params, jose};
use crate::secret::Secret;
use serde_json::Value;

const SECRET: &str = "a secret of at least thirty-two octets";

fn keys(devices: &[&Device]) -> ClientKeys {
    let keys: Vec<Value> = devices.iter().map(|device| device.jwk()).collect();
    ClientKeys::Jwks(Arc::new(ClientJwks::parse(&json!({ "keys": keys })).expect("keys")))
}

fn claims(now: Timestamp, changes: Value) -> Value {
    let usual = json!({
        "iss": "notes", "sub": "notes", "aud": "https://login.example.org", "exp": now.seconds() + 60, "jti": id::random_id(),
    });
    changed(usual, changes)
}

fn assertion(device: &Device, now: Timestamp, changes: Value) -> Params {
    with(&device.sign(&json!({ "alg": "ES256", "typ": "JWT" }), &claims(now, changes)))
}

fn with(token: &str) -> Params {
    params(&[("client_assertion", token), ("client_assertion_type", ASSERTION_TYPE)])
}

async fn tried(gateway: &Gateway, body: &Params, certificate: Option<&ClientCertificate>, now: Timestamp) -> Result<String> {
    let proof = ClientProof { authorization: None, body, certificate, endpoint: "/oauth/revoke", address: None };
    gateway.authenticate_client(proof, now).await.map(|application| application.client_id.clone())
}

async fn refused(gateway: &Gateway, body: &Params, now: Timestamp) {
    let error = tried(gateway, body, None, now).await.expect_err("refused");
    // One answer, whatever the reason.
    assert_eq!((error.kind, error.detail.as_str()), (ErrorKind::InvalidClient, "client authentication failed"), "{body:?}");
}

async fn by_key(device: &Device) -> Gateway {
    let mut gateway = gateway().await;
    with_client(&mut gateway, |client| {
        client.token_endpoint_auth_method = TokenEndpointAuthMethod::PrivateKeyJwt;
        client.keys = keys(&[device]);
    });
    gateway
}

#[tokio::test]
async fn an_assertion_by_the_clients_key_is_good_once() {
    let (device, other, now) = (Device::new(), Device::new(), Timestamp::now());
    let gateway = by_key(&device).await;
    let body = assertion(&device, now, json!({}));
    assert_eq!(tried(&gateway, &body, None, now).await.expect("good"), "notes");
    refused(&gateway, &body, now).await;
    // For the token endpoint, or the one that was called.
    for path in ["/oauth/token", "/oauth/revoke"] {
        let body = assertion(&device, now, json!({ "aud": format!("https://login.example.org{path}") }));
        tried(&gateway, &body, None, now).await.expect("good");
    }
    for body in [
        assertion(&device, now, json!({ "aud": "https://login.example.org/oauth/par" })),
        assertion(&device, now, json!({ "aud": "https://other.example" })),
        assertion(&device, now, json!({ "exp": now.seconds() - 60 })),
        assertion(&device, now, json!({ "jti": null })),
        assertion(&device, now, json!({ "iss": "wiki" })),
        assertion(&device, now, json!({ "iss": "nobody", "sub": "nobody" })),
        assertion(&other, now, json!({})),
        with(&jose::sign_shared(&Secret::new(device.jwk().to_string()), claims(now, json!({})).as_object().expect("claims")).expect("MAC")),
        with(&device.sign(&json!({ "alg": "none" }), &claims(now, json!({})))),
        params(&[("client_id", "notes")]),
        params(&[("client_id", "notes"), ("client_secret", SECRET)]),
    ] {
        refused(&gateway, &body, now).await;
    }
}

#[tokio::test]
async fn an_assertion_is_signed_as_registered() {
    let (device, now) = (Device::new(), Timestamp::now());
    let mut gateway = by_key(&device).await;
    with_client(&mut gateway, |client| client.token_endpoint_auth_signing_alg = Some(ClientSigningAlg::PS256));
    refused(&gateway, &assertion(&device, now, json!({})), now).await;
    with_client(&mut gateway, |client| client.token_endpoint_auth_signing_alg = Some(ClientSigningAlg::ES256));
    tried(&gateway, &assertion(&device, now, json!({})), None, now).await.expect("as registered");
    with_client(&mut gateway, |client| client.token_endpoint_auth_method = TokenEndpointAuthMethod::ClientSecretBasic);
    refused(&gateway, &assertion(&device, now, json!({})), now).await;
}

#[tokio::test]
async fn an_assertion_by_the_shared_secret_is_good_for_its_method_only() {
    let now = Timestamp::now();
    let mut gateway = gateway().await;
    with_client(&mut gateway, |client| {
        client.token_endpoint_auth_method = TokenEndpointAuthMethod::ClientSecretJwt;
        client.shared_secret = Some(Secret::new(SECRET.to_owned()));
        client.secret_digests = vec![id::digest(SECRET)];
    });
    let signed = |secret: &str| {
        let claims = claims(now, json!({}));
        with(&jose::sign_shared(&Secret::new(secret.to_owned()), claims.as_object().expect("claims")).expect("MAC"))
    };
    tried(&gateway, &signed(SECRET), None, now).await.expect("good");
    refused(&gateway, &signed("another secret of thirty-two octets"), now).await;
    // The secret itself is not how this client proves who it is.
    refused(&gateway, &params(&[("client_id", "notes"), ("client_secret", SECRET)]), now).await;
    with_client(&mut gateway, |client| client.token_endpoint_auth_method = TokenEndpointAuthMethod::PrivateKeyJwt);
    refused(&gateway, &signed(SECRET), now).await;
}

#[tokio::test]
async fn a_client_of_the_fapi_profile_proves_a_key() {
    let (device, now) = (Device::new(), Timestamp::now());
    let mut gateway = by_key(&device).await;
    with_client(&mut gateway, |client| client.fapi2 = true);
    tried(&gateway, &assertion(&device, now, json!({})), None, now).await.expect("by its key");
    refused(&gateway, &assertion(&device, now, json!({ "aud": "https://login.example.org/oauth/token" })), now).await;
    with_client(&mut gateway, |client| {
        client.token_endpoint_auth_method = TokenEndpointAuthMethod::ClientSecretPost;
        client.secret_digests = vec![id::digest(SECRET)];
    });
    refused(&gateway, &params(&[("client_id", "notes"), ("client_secret", SECRET)]), now).await;
    with_client(&mut gateway, |client| client.fapi2 = false);
    tried(&gateway, &params(&[("client_id", "notes"), ("client_secret", SECRET)]), None, now).await.expect("by its secret");
}

#[tokio::test]
async fn a_certificate_that_an_authority_issued_proves_whom_it_names() {
    let (root, stranger, now) = (make("root", None, true), make("root", None, true), Timestamp::from_seconds(FROM + 1));
    let mut gateway = gateway().await;
    gateway.possession = PossessionSettings { authorities: authorities(&root), ..PossessionSettings::default() };
    with_client(&mut gateway, |client| {
        client.token_endpoint_auth_method = TokenEndpointAuthMethod::TlsClientAuth;
        client.tls_client_auth = Some(dn());
    });
    let body = params(&[("client_id", "notes")]);
    let by = |made: &Made| of(made, &[]);
    tried(&gateway, &body, Some(&by(&make("notes", Some(&root), false))), now).await.expect("good");
    for wrong in [make("wiki", Some(&root), false), make("notes", Some(&stranger), false), make("notes", None, false)] {
        assert!(tried(&gateway, &body, Some(&by(&wrong)), now).await.is_err());
    }
    refused(&gateway, &body, now).await;
}

#[tokio::test]
async fn a_self_signed_certificate_proves_the_registered_key() {
    let (notes, other, now) = (make("notes", None, false), make("notes", None, false), Timestamp::from_seconds(FROM + 1));
    let mut gateway = gateway().await;
    let x5c = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, notes.certificate.to_der().expect("DER"));
    with_client(&mut gateway, |client| {
        client.token_endpoint_auth_method = TokenEndpointAuthMethod::SelfSignedTlsClientAuth;
        client.keys = ClientKeys::Jwks(Arc::new(ClientJwks::parse(&json!({ "keys": [{ "kty": "EC", "x5c": [x5c] }] })).expect("keys")));
    });
    let body = params(&[("client_id", "notes")]);
    tried(&gateway, &body, Some(&of(&notes, &[])), now).await.expect("good");
    assert!(tried(&gateway, &body, Some(&of(&other, &[])), now).await.is_err());
    refused(&gateway, &body, now).await;
    // A certificate is no secret: who is registered for one proves it by that.
    with_client(&mut gateway, |client| client.token_endpoint_auth_method = TokenEndpointAuthMethod::ClientSecretPost);
    assert!(tried(&gateway, &body, Some(&of(&notes, &[])), now).await.is_err());
}

/// The least time that a refusal took: that of the work, whatever else the machine does.
async fn least(gateway: &Gateway, body: &Params, now: Timestamp) -> std::time::Duration {
    let mut least = std::time::Duration::MAX;
    for _ in 0..40 {
        let begun = std::time::Instant::now();
        refused(gateway, body, now).await;
        least = least.min(begun.elapsed());
    }
    least
}

#[tokio::test]
async fn an_assertion_of_nobody_takes_the_time_of_a_wrong_one() {
    let (device, other, now) = (Device::new(), Device::new(), Timestamp::now());
    let gateway = by_key(&device).await;
    let of_nobody = assertion(&other, now, json!({ "iss": "nobody", "sub": "nobody" }));
    let (known, unknown) = (least(&gateway, &assertion(&other, now, json!({})), now).await, least(&gateway, &of_nobody, now).await);
    assert!(unknown * 3 > known * 2, "{unknown:?} for nobody, {known:?} for somebody");
}
