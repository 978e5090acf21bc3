//! FAPI 2.0 Security Profile (final), section 5.3.2: every rule for authorization servers, over HTTP, at an application with
//! `security_profile = "fapi2"`. That codes live for a minute at most is held by a unit test of `broker/finish`.

mod bank;
mod keys;

use crate::harness::app::{CALLBACK, SECRET, Tokens, assert_oauth_error, basic, userinfo};
use crate::harness::browser::{Browser, Page};
use crate::harness::gateway::{Gateway, Setup};
use crate::harness::idp::{Idp, Person};
use crate::harness::keys::Pair;
use bank::{Bank, by_assertion};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keys::{Key, seconds};
use reqwest::Client;
use serde_json::{Value, json};

const PAR: &str = "/oauth/par";
const TOKEN: &str = "/oauth/token";

#[tokio::test]
async fn fapi2_only_pushed_requests_of_proven_clients_are_taken() {
    let bank = Bank::usual().await;
    // 5.3.2.2, 3: not pushed, as parameters or as an object.
    let object = bank.key().sign(&json!({"typ": "oauth-authz-req+jwt"}), &bank.claims(&json!({"response_type": "code"})));
    for request in [bank.request(&[]), bank.request(&[("request", object.as_str())])] {
        let mut url = bank.gateway.url("/authorize");
        url.query_pairs_mut().extend_pairs(&request);
        let answer = bank.browser.open(url.as_str()).await.away();
        assert!(answer.parameter("code").is_none() && answer.parameter("SAMLRequest").is_none(), "{}", answer.url);
        assert!(answer.parameter("error").is_some_and(|error| error.starts_with("invalid_request")), "{}", answer.url);
        assert_eq!(answer.parameter("iss"), Some(bank.gateway.issuer()));
    }
    // 5.3.2.2, 4, and 5.3.2.1, 6: nobody, or somebody by a secret.
    assert_oauth_error(&bank.post_bare(PAR, &bank.request(&[]), None, None).await, 401, "invalid_client");
    let secret = bank.post_bare(PAR, &bank.request(&[]), None, Some(basic("bank", SECRET))).await;
    assert_oauth_error(&secret, 401, "invalid_client");
    let secret = bank.post_bare(PAR, &bank.request(&[("client_secret", SECRET)]), None, None).await;
    assert_oauth_error(&secret, 401, "invalid_client");
    // 5.3.2.2, 1, 5, 6 and 8.
    for (name, value) in [
        ("code_challenge", ""),
        ("code_challenge_method", "plain"),
        ("code_challenge_method", ""),
        ("response_type", "token"),
        ("response_type", "id_token"),
        ("response_type", "id_token token"),
        ("response_type", "code id_token"),
        ("response_type", "code token"),
        ("response_type", "code id_token token"),
        ("response_type", ""),
        ("redirect_uri", ""),
        ("redirect_uri", "http://notes.example/callback"),
        ("redirect_uri", "https://notes.example/other"),
        ("request_uri", "https://bank.example/request"),
    ] {
        let page = bank.push(&[(name, value)]).await;
        assert_eq!(page.status, 400, "{name}={value}: {}", page.body);
        assert!(page.json()["request_uri"].is_null() && page.json()["error"].is_string(), "{}", page.body);
    }
    // 5.3.2.2, 12, and 14: less than ten minutes, and a nonce of 64 characters.
    let nonce = "n".repeat(64);
    let pushed = bank.push(&[("nonce", nonce.as_str())]).await;
    assert!(pushed.json()["expires_in"].as_u64().is_some_and(|seconds| seconds < 600), "{}", pushed.body);
    let answer = bank.answered(&pushed).await;
    // 5.3.2.2, 7.
    assert_eq!(answer.parameter("iss"), Some(bank.gateway.issuer()));
    let code = answer.parameter("code").expect("a code");
    let tokens = Tokens::of(&bank.redeem(&code, Some(&bank.at_token())).await);
    assert_eq!((&tokens.claims()["nonce"], &tokens.header()["alg"]), (&json!(nonce), &json!("ES256")));
    // 5.3.2.2, 9.
    assert_oauth_error(&bank.redeem(&code, Some(&bank.at_token())).await, 400, "invalid_grant");
    let url = bank.gateway.url("/userinfo");
    let proof = bank.dpop().proof("GET", url.as_str(), Some(tokens.access_token()));
    assert_eq!(bank.userinfo("DPoP", tokens.access_token(), Some(proof)).await.status, 401, "what it gave has ended");
    // 5.3.2.1, 2: other grants.
    let form = [("grant_type", "password"), ("username", "jane"), ("password", "x"), ("client_id", "bank")];
    let page = bank.post(TOKEN, &form.map(|(name, value)| (name.to_owned(), value.to_owned())), Some(&bank.at_token())).await;
    assert_oauth_error(&page, 400, "unsupported_grant_type");
}

#[tokio::test]
async fn fapi2_assertions_are_for_the_issuer_and_by_few_algorithms() {
    let (pss, ec, ed, old) = (Key::new("PS256"), Key::new("ES256"), Key::new("EdDSA"), Key::new("RS256"));
    let bank = Bank::new(&[&pss, &ec, &ed, &old], Key::new("PS256"), "").await;
    let issuer = bank.gateway.issuer();
    let asked = async |assertion: &str| {
        let form = [bank.request(&[]), by_assertion(assertion)].concat();
        bank.post_bare(PAR, &form, None, None).await
    };
    // 5.4.1.
    for key in [&pss, &ec, &ed] {
        assert_eq!(asked(&key.sign(&json!({}), &bank.claims(&json!({})))).await.status, 201, "{}", key.alg());
    }
    assert_oauth_error(&asked(&old.sign(&json!({}), &bank.claims(&json!({})))).await, 401, "invalid_client");
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let unsigned = format!("{}.{}.", encode(&json!({"alg": "none"})), encode(&bank.claims(&json!({}))));
    assert_oauth_error(&asked(&unsigned).await, 401, "invalid_client");
    // 5.3.2.1, 8: the issuer as a string; 13: clocks that differ.
    for (changes, good) in [
        (json!({"aud": bank.gateway.url(PAR).as_str()}), false),
        (json!({"aud": bank.gateway.url(TOKEN).as_str()}), false),
        (json!({"aud": [issuer]}), false),
        (json!({"aud": [issuer, bank.gateway.url(TOKEN).as_str()]}), false),
        (json!({"aud": format!("{issuer}/")}), false),
        (json!({"aud": null}), false),
        (json!({"iss": "other"}), false),
        (json!({"sub": "other"}), false),
        (json!({"exp": null}), false),
        (json!({"exp": seconds() - 120}), false),
        (json!({"jti": null}), false),
        (json!({"iat": seconds() + 8}), true),
        (json!({"nbf": seconds() + 8}), true),
        (json!({"iat": seconds() + 120, "exp": seconds() + 180}), false),
        (json!({"nbf": seconds() + 120, "exp": seconds() + 180}), false),
    ] {
        let page = asked(&bank.key().sign(&json!({}), &bank.claims(&changes))).await;
        // Whose name is not the one in the form is refused before anything is verified.
        let refused = if changes.get("sub").is_some() { 400 } else { 401 };
        assert_eq!(page.status, if good { 201 } else { refused }, "{changes}: {}", page.body);
    }
    let once = bank.assertion();
    assert_eq!(asked(&once).await.status, 201);
    assert_oauth_error(&asked(&once).await, 401, "invalid_client");
    // Request objects keep to the same algorithms.
    let object = |key: &Key| {
        let request = bank.request(&[]).into_iter().map(|(name, value)| (name, Value::from(value))).collect::<serde_json::Map<_, _>>();
        key.sign(
            &json!({"typ": "oauth-authz-req+jwt"}),
            &bank.claims(&json!({"sub": null})).as_object().unwrap().clone().into_iter().chain(request).collect(),
        )
    };
    for (key, status) in [(&pss, 201), (&ec, 201), (&ed, 201), (&old, 400)] {
        let form = [("client_id", "bank"), ("request", object(key).as_str())].map(|(name, value)| (name.to_owned(), value.to_owned()));
        let page = bank.post(PAR, &form, None).await;
        assert_eq!(page.status, status, "{}: {}", key.alg(), page.body);
    }
}

#[tokio::test]
async fn fapi2_tokens_are_bound_to_a_key_by_dpop() {
    let bank = Bank::usual().await;
    // 5.3.2.1, 4 and 5.
    let code = bank.code().await;
    assert_oauth_error(&bank.redeem(&code, None).await, 400, "invalid_dpop_proof");
    let rs256 = Key::new("RS256").proof("POST", bank.gateway.url(TOKEN).as_str(), None);
    assert_oauth_error(&bank.redeem(&code, Some(&rs256)).await, 400, "invalid_dpop_proof");
    let page = bank.redeem(&bank.code().await, Some(&bank.at_token())).await;
    let tokens = Tokens::of(&page);
    assert_eq!(tokens.answer["token_type"], "DPoP");
    let token = tokens.access_token();
    let (url, other) = (bank.gateway.url("/userinfo"), Key::new("ES256"));
    let proof = |key: &Key| Some(key.proof("GET", url.as_str(), Some(token)));
    assert_eq!(bank.userinfo("DPoP", token, proof(bank.dpop())).await.status, 200);
    let used = proof(bank.dpop());
    assert_eq!(bank.userinfo("DPoP", token, used.clone()).await.status, 200);
    for (what, scheme, proof) in [
        ("as a bearer token", "Bearer", None),
        ("as a bearer token, with a proof", "Bearer", proof(bank.dpop())),
        ("without a proof", "DPoP", None),
        ("by another key", "DPoP", proof(&other)),
        ("by the proof of another request", "DPoP", Some(bank.dpop().proof("POST", url.as_str(), Some(token)))),
        ("by the proof of another token", "DPoP", Some(bank.dpop().proof("GET", url.as_str(), Some("another")))),
        ("by a proof once more", "DPoP", used),
    ] {
        let page = bank.userinfo(scheme, token, proof).await;
        assert_eq!(page.status, 401, "{what}: {}", page.body);
    }
    assert_eq!(userinfo(&bank.gateway, token).await.status, 401);
    // 5.3.3, 2: not in the address.
    let mut in_query = url.clone();
    in_query.query_pairs_mut().append_pair("access_token", token);
    let page = Page::read(bank.http.get(in_query).header("DPoP", proof(bank.dpop()).unwrap()).send().await.unwrap(), &url).await;
    assert_eq!(page.status, 400, "{}", page.body);
    // 5.3.2.1, 9: refresh tokens do not rotate, and are worth nothing without both keys.
    let refresh = tokens.refresh_token();
    assert_oauth_error(&bank.refresh(refresh, None).await, 400, "invalid_dpop_proof");
    for _ in 0..3 {
        let again = Tokens::of(&bank.refresh(refresh, Some(&bank.at_token())).await);
        assert_eq!(again.refresh_token(), refresh);
        assert_ne!(again.access_token(), token);
    }
    let form = [("grant_type", "refresh_token"), ("refresh_token", refresh), ("client_id", "bank")];
    let bare = bank.post_bare(TOKEN, &form.map(|(name, value)| (name.to_owned(), value.to_owned())), Some(&bank.at_token()), None).await;
    assert_oauth_error(&bare, 401, "invalid_client");
    let form = |token: &str| [("token", token)].map(|(name, value)| (name.to_owned(), value.to_owned()));
    let told = bank.post("/oauth/introspect", &form(token), None).await.json();
    assert_eq!((&told["active"], &told["cnf"]["jkt"]), (&json!(true), &json!(bank.dpop().thumbprint())), "{told}");
    assert_eq!(bank.post("/oauth/introspect", &form(refresh), None).await.json()["active"], true);
    assert_eq!(bank.post("/oauth/revoke", &form(refresh), None).await.status, 200);
    assert_oauth_error(&bank.refresh(refresh, Some(&bank.at_token())).await, 400, "invalid_grant");
    assert_eq!(bank.userinfo("DPoP", token, proof(bank.dpop())).await.status, 401);
}

#[tokio::test]
async fn fapi2_proofs_keep_to_the_algorithms_at_resources_too() {
    let mut bank = Bank::usual().await;
    // 5.4.1: one key could sign by both.
    bank.dpop = Some(Key::new("PS256"));
    let tokens = Tokens::of(&bank.redeem(&bank.code().await, Some(&bank.at_token())).await);
    let url = bank.gateway.url("/userinfo");
    for (alg, status) in [("PS256", 200), ("RS256", 401)] {
        let proof = bank.dpop().by(alg).proof("GET", url.as_str(), Some(tokens.access_token()));
        let page = bank.userinfo("DPoP", tokens.access_token(), Some(proof)).await;
        assert_eq!(page.status, status, "{alg}: {}", page.body);
    }
    let rs256 = bank.dpop().by("RS256").proof("POST", bank.gateway.url(TOKEN).as_str(), None);
    assert_oauth_error(&bank.refresh(tokens.refresh_token(), Some(&rs256)).await, 400, "invalid_dpop_proof");
    assert_eq!(Tokens::of(&bank.refresh(tokens.refresh_token(), Some(&bank.at_token())).await).refresh_token(), tokens.refresh_token());
}

#[tokio::test]
async fn fapi2_codes_are_bound_to_the_key_that_pushed() {
    let bank = Bank::usual().await;
    let other = Key::new("ES256");
    let at_par = |key: &Key| key.proof("POST", bank.gateway.url(PAR).as_str(), None);
    let jkt = bank.dpop().thumbprint();
    // 5.3.2.1, 12 (RFC 9449 10): by the proof, by the parameter, and by both if they agree.
    let bound = [("dpop_jkt", jkt.as_str())];
    for (changes, proof) in [(&[][..], Some(at_par(bank.dpop()))), (&bound, None), (&bound, Some(at_par(bank.dpop())))] {
        let pushed = bank.post(PAR, &bank.request(changes), proof.as_deref()).await;
        let answer = bank.answered(&pushed).await;
        let code = answer.parameter("code").expect("a code");
        let wrong = other.proof("POST", bank.gateway.url(TOKEN).as_str(), None);
        assert_oauth_error(&bank.redeem(&code, Some(&wrong)).await, 400, "invalid_grant");
        let pushed = bank.post(PAR, &bank.request(changes), (proof.is_some()).then(|| at_par(bank.dpop())).as_deref()).await;
        let code = bank.answered(&pushed).await.parameter("code").expect("a code");
        Tokens::of(&bank.redeem(&code, Some(&bank.at_token())).await);
    }
    let disagree = bank.post(PAR, &bank.request(&bound), Some(&at_par(&other))).await;
    assert_oauth_error(&disagree, 400, "invalid_dpop_proof");
    let elsewhere = other.proof("POST", bank.gateway.url(TOKEN).as_str(), None);
    assert_oauth_error(&bank.post(PAR, &bank.request(&[]), Some(&elsewhere)).await, 400, "invalid_dpop_proof");
}

#[tokio::test]
async fn fapi2_by_certificates_alone() {
    let (tls, own, other) = (Pair::rsa("localhost"), Pair::ec("bank"), Pair::ec("bank"));
    let idp = Idp::new("acme");
    let keys = json!({ "keys": [{ "kty": "EC", "x5c": [own.certificate_base64()] }] });
    let toml = format!(
        "client_id = \"bank\"\n[application.oidc]\nsecurity_profile = \"fapi2\"\nredirect_uris = [\"{CALLBACK}\"]\n\
         token_endpoint_auth_method = \"self_signed_tls_client_auth\"\njwks = '{keys}'\n\
         tls_client_certificate_bound_access_tokens = true\n"
    );
    let setup = Setup { top_tables: "[client_certificates]".to_owned(), ..Setup::new().secure(&tls) };
    let gateway = Gateway::start(setup.connection(&idp.toml("", "")).application(&toml)).await;
    let browser = Browser::trusting(&tls.certificate_pem());
    let (http, stranger) = (with_certificate(&tls, &own), with_certificate(&tls, &other));
    let mut bank = Bank { gateway, idp, browser, http, key: None, dpop: None };
    let code = bank.code().await;
    let tokens = Tokens::of(&bank.redeem(&code, None).await);
    assert_eq!(tokens.answer["token_type"], "Bearer");
    let token = tokens.access_token();
    assert_eq!(bank.userinfo("Bearer", token, None).await.status, 200);
    let again = Tokens::of(&bank.refresh(tokens.refresh_token(), None).await);
    assert_eq!(again.refresh_token(), tokens.refresh_token(), "no rotation");
    let nobody = bank.gateway.client();
    for http in [stranger, nobody] {
        bank.http = http;
        assert_eq!(bank.userinfo("Bearer", token, None).await.status, 401, "bound to the certificate");
        assert_oauth_error(&bank.push(&[]).await, 401, "invalid_client");
        assert_oauth_error(&bank.refresh(tokens.refresh_token(), None).await, 401, "invalid_client");
    }
}

fn with_certificate(gateway: &Pair, own: &Pair) -> Client {
    let identity = reqwest::Identity::from_pkcs8_pem(own.certificate_pem().as_bytes(), own.key_pem().as_bytes()).expect("an identity");
    let root = reqwest::Certificate::from_pem(gateway.certificate_pem().as_bytes()).expect("a certificate");
    Client::builder().no_proxy().add_root_certificate(root).identity(identity).redirect(reqwest::redirect::Policy::none()).build().unwrap()
}

#[tokio::test]
async fn fapi2_browsers_are_sent_on_by_303_and_discovery_says_what_holds() {
    let bank = Bank::usual().await;
    // 5.3.2.2, 10 and 11: to the identity provider, and with the form that it posts.
    let url = bank.taken_up(&bank.push(&[]).await);
    let first = bank.browser.exchange(reqwest::Method::GET, &url, None, None).await;
    assert_eq!(first.status, 303, "{}", first.body);
    let departure = bank.browser.follow(first).await.away();
    let answer = bank.idp.respond(&bank.idp.read(&departure), &Person::jane());
    let page = bank.browser.exchange(reqwest::Method::POST, &answer.to, Some(&answer.fields()), Some(&answer.from)).await;
    assert!(page.status == 303 || page.status == 200, "{}", page.status);
    let done = bank.browser.follow(page).await.away();
    assert!(done.form.is_none() && done.parameter("code").is_some(), "{}", done.url);
    // 5.3.2.1, 1.
    let metadata = Browser::new().open(bank.gateway.url("/.well-known/openid-configuration").as_str()).await.here().json();
    let listed = |name: &str, value: &str| metadata[name].as_array().is_some_and(|values| values.contains(&json!(value)));
    assert_eq!(metadata["pushed_authorization_request_endpoint"], json!(bank.gateway.url(PAR).as_str()));
    assert_eq!(metadata["authorization_response_iss_parameter_supported"], true);
    assert_eq!(metadata["code_challenge_methods_supported"], json!(["S256"]));
    for alg in ["PS256", "ES256", "EdDSA"] {
        for name in [
            "id_token_signing_alg_values_supported",
            "dpop_signing_alg_values_supported",
            "token_endpoint_auth_signing_alg_values_supported",
            "request_object_signing_alg_values_supported",
        ] {
            assert!(listed(name, alg), "{name} {alg}");
        }
    }
    assert!(!listed("dpop_signing_alg_values_supported", "none") && !listed("grant_types_supported", "password"));
    for method in ["private_key_jwt", "tls_client_auth", "self_signed_tls_client_auth"] {
        let said = listed("token_endpoint_auth_methods_supported", method);
        // Certificates are asked for where the operator says so.
        assert_eq!(said, method == "private_key_jwt", "{method}: {}", metadata["token_endpoint_auth_methods_supported"]);
    }
}
