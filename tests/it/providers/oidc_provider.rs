//! oidc-provider of npm as the provider: whole logins, with everything that it takes and gives.

use crate::harness::app::{App, SECRET, Tokens, userinfo};
use crate::harness::browser::{Browser, Departure, Landed};
use crate::harness::gateway::{Gateway, Setup};
use crate::harness::peers::{Peer, node_peer};
use crate::saml_apps::sp::{Answered, Sp};
use serde_json::{Value, json};
use url::Url;

/// It, and a gateway whose only connection it is.
struct Judge {
    peer: Peer,
    gateway: Gateway,
    app: App,
    sp: Sp,
}

impl Judge {
    /// `oidc`: more lines of `[connection.oidc]`; `client`: members of our registration there; `features`: of the library.
    async fn new(oidc: &str, client: &Value, features: &Value) -> Self {
        let mut peer = node_peer("oidc_provider.mjs", None);
        let issuer = peer.ask(&json!({ "do": "listen" }))["issuer"].as_str().expect("an issuer").to_owned();
        let (app, sp) = (App::new("notes"), Sp::new("wiki"));
        let connection = format!("name = \"acme\"\n[connection.oidc]\nissuer = \"{issuer}\"\nclient_id = \"gateway\"\n{oidc}\n");
        let setup = Setup::new().connection(&connection).application(&app.toml("", "")).application(&sp.toml("", ""));
        let gateway = Gateway::start(setup).await;
        let mut registered = json!({
            "client_id": "gateway", "redirect_uris": [gateway.url("/connections/acme/callback").as_str()],
            "jwks_uri": gateway.url("/.well-known/jwks.json").as_str(),
        });
        registered.as_object_mut().expect("an object").extend(client.as_object().expect("an object").clone());
        peer.ask(&json!({ "do": "register", "client": registered, "features": features }));
        Self { peer, gateway, app, sp }
    }

    /// With a secret, as most are.
    async fn with_secret(oidc: &str, client: &Value, features: &Value) -> Self {
        let mut client = client.clone();
        client["client_secret"] = SECRET.into();
        Self::new(&format!("client_secret = {{ env = \"TEST_SECRET\" }}\n{oidc}"), &client, features).await
    }

    async fn departure(&self, browser: &Browser, changes: &[(&str, &str)]) -> Departure {
        browser.open(self.app.authorize(&self.gateway, changes).as_str()).await.away()
    }

    /// The person signs in there, and comes back.
    async fn sign_in(&mut self, browser: &Browser, departure: &Departure, login: &str) -> Landed {
        let answer = self.peer.ask(&json!({ "do": "sign_in", "url": departure.url.as_str(), "login": login }));
        let url = answer["url"].as_str().unwrap_or_else(|| panic!("{answer}"));
        let Some(form) = answer.get("form") else { return browser.open(url).await };
        let fields: Vec<(String, String)> = form
            .as_object()
            .expect("fields")
            .iter()
            .map(|(name, value)| (name.clone(), value.as_str().expect("a text").to_owned()))
            .collect();
        browser.post(&departure.url, &Url::parse(url).expect("an address"), &fields).await
    }

    /// A whole login: the ID token's claims and what UserInfo says.
    async fn login(&mut self, login: &str) -> (Value, Value) {
        let browser = Browser::new();
        let departure = self.departure(&browser, &[]).await;
        let answer = self.sign_in(&browser, &departure, login).await.away();
        let tokens = Tokens::of(&self.app.redeem(&self.gateway, &self.app.code(&self.gateway, &answer), &[]).await);
        let told = userinfo(&self.gateway, tokens.access_token()).await.json();
        (tokens.claims(), told)
    }

    fn asked(&mut self) -> Vec<String> {
        let asked = self.peer.ask(&json!({ "do": "seen" }));
        asked["asked"].as_array().expect("a list").iter().map(|one| one.as_str().expect("a text").to_owned()).collect()
    }
}

#[tokio::test]
async fn every_client_authentication_that_it_takes() {
    for (oidc, client) in [
        ("token_endpoint_auth_method = \"client_secret_basic\"", json!({ "token_endpoint_auth_method": "client_secret_basic" })),
        ("token_endpoint_auth_method = \"client_secret_post\"", json!({ "token_endpoint_auth_method": "client_secret_post" })),
        (
            "token_endpoint_auth_method = \"client_secret_jwt\"",
            json!({ "token_endpoint_auth_method": "client_secret_jwt", "token_endpoint_auth_signing_alg": "HS256" }),
        ),
    ] {
        let mut judge = Judge::with_secret(oidc, &client, &json!({})).await;
        let (claims, told) = judge.login("jane").await;
        assert_eq!((&claims["sub"], &told["email"]), (&json!("oidc|acme|jane"), &json!("jane@acme.example")), "{oidc}");
    }
    for alg in ["RS256", "ES256", "EdDSA"] {
        let oidc = format!("token_endpoint_auth_method = \"private_key_jwt\"\ntoken_endpoint_auth_signing_alg = \"{alg}\"");
        let client = json!({ "token_endpoint_auth_method": "private_key_jwt", "token_endpoint_auth_signing_alg": alg });
        let mut judge = Judge::new(&oidc, &client, &json!({})).await;
        assert_eq!(judge.login("jane").await.0["sub"], "oidc|acme|jane", "{alg}");
    }
    let mut public = Judge::new("", &json!({ "token_endpoint_auth_method": "none" }), &json!({})).await;
    assert_eq!(public.login("jane").await.0["sub"], "oidc|acme|jane");
}

#[tokio::test]
async fn new_keys_of_the_provider_are_found_by_one_look() {
    let mut judge = Judge::with_secret("", &json!({}), &json!({})).await;
    assert_eq!(judge.login("jane").await.0["sub"], "oidc|acme|jane");
    assert_eq!(judge.asked().iter().filter(|asked| *asked == "GET /jwks").count(), 1);
    judge.peer.ask(&json!({ "do": "rotate" }));
    assert_eq!(judge.login("joe").await.0["sub"], "oidc|acme|joe");
    assert_eq!(judge.login("jane").await.0["sub"], "oidc|acme|jane");
    assert_eq!(judge.asked().iter().filter(|asked| *asked == "GET /jwks").count(), 1, "once for all");
}

#[tokio::test]
async fn answers_by_a_posted_form_and_other_algorithms() {
    let oidc = "response_mode = \"form_post\"\nid_token_signed_response_alg = \"ES256\"";
    let mut judge = Judge::with_secret(oidc, &json!({ "id_token_signed_response_alg": "ES256" }), &json!({})).await;
    let browser = Browser::new();
    let departure = judge.departure(&browser, &[]).await;
    assert_eq!(departure.parameter("response_mode").as_deref(), Some("form_post"));
    let answer = judge.sign_in(&browser, &departure, "jane").await.away();
    judge.app.code(&judge.gateway, &answer);
}

#[tokio::test]
async fn requests_are_pushed_signed_and_both() {
    for (oidc, client, pushed, signed) in [
        ("pushed_authorization_requests = true", json!({}), true, false),
        ("", json!({ "require_pushed_authorization_requests": true }), false, false),
        ("request_object_signing_alg = \"ES256\"", json!({ "request_object_signing_alg": "ES256" }), false, true),
        (
            "request_object_signing_alg = \"RS256\"\npushed_authorization_requests = true",
            json!({ "request_object_signing_alg": "RS256", "require_signed_request_object": true }),
            true,
            true,
        ),
    ] {
        let mut judge = Judge::with_secret(oidc, &client, &json!({})).await;
        let browser = Browser::new();
        let departure = judge.departure(&browser, &[("login_hint", "jane@acme.example")]).await;
        assert_eq!(departure.parameter("request_uri").is_some(), pushed, "{oidc} {}", departure.url);
        assert_eq!(departure.parameter("request").is_some(), signed && !pushed, "{oidc}");
        assert_eq!(departure.parameter("state").is_none() && departure.parameter("nonce").is_none(), pushed || signed, "{oidc}");
        if client.get("require_pushed_authorization_requests").is_some() {
            // Of one client it demands what it does not announce: the operator has to say so.
            let refused = judge.sign_in(&browser, &departure, "jane").await.away();
            assert_eq!(judge.app.error(&judge.gateway, &refused).0, "server_error");
            continue;
        }
        let answer = judge.sign_in(&browser, &departure, "jane").await.away();
        judge.app.code(&judge.gateway, &answer);
    }
}

#[tokio::test]
async fn a_provider_that_announces_it_gets_pushed_and_signed_requests() {
    let features = json!({
        "pushedAuthorizationRequests": { "enabled": true, "requirePushedAuthorizationRequests": true },
        "requestObjects": { "enabled": true, "requireSignedRequestObject": true },
    });
    let mut judge = Judge::with_secret("", &json!({ "request_object_signing_alg": "RS256" }), &features).await;
    assert_eq!(judge.login("jane").await.0["sub"], "oidc|acme|jane");
    assert!(judge.asked().contains(&"POST /request".to_owned()));
}

#[tokio::test]
async fn encrypted_id_tokens_and_userinfo_as_jwt() {
    for (alg, enc) in
        [("RSA-OAEP-256", "A256GCM"), ("RSA-OAEP", "A128CBC-HS256"), ("ECDH-ES", "A256CBC-HS512"), ("ECDH-ES+A128KW", "A128GCM")]
    {
        let oidc = format!(
            "id_token_encrypted_response_alg = \"{alg}\"\nuserinfo_signed_response_alg = \"RS256\"\nuserinfo_encrypted_response_alg = \"{alg}\""
        );
        let client = json!({
            "id_token_encrypted_response_alg": alg, "id_token_encrypted_response_enc": enc,
            "userinfo_signed_response_alg": "RS256", "userinfo_encrypted_response_alg": alg, "userinfo_encrypted_response_enc": enc,
        });
        let mut judge = Judge::with_secret(&oidc, &client, &json!({})).await;
        let (claims, told) = judge.login("jane").await;
        assert_eq!((&claims["sub"], &told["email"]), (&json!("oidc|acme|jane"), &json!("jane@acme.example")), "{alg} {enc}");
    }
    // Signed alone; and what is registered otherwise than it comes is not believed.
    let signed = json!({ "userinfo_signed_response_alg": "ES256" });
    let mut judge = Judge::with_secret("userinfo_signed_response_alg = \"ES256\"", &signed, &json!({})).await;
    assert_eq!(judge.login("jane").await.1["name"], "jane of acme");
    for (oidc, client, rule) in [
        ("userinfo_signed_response_alg = \"RS256\"", json!({}), "userinfo"),
        ("userinfo_signed_response_alg = \"RS256\"", signed, "userinfo-alg"),
        ("id_token_encrypted_response_alg = \"RSA-OAEP\"", json!({}), "id-token-decryption"),
        (
            "id_token_encrypted_response_alg = \"RSA-OAEP\"",
            json!({ "id_token_encrypted_response_alg": "ECDH-ES", "id_token_encrypted_response_enc": "A128GCM" }),
            "id-token-decryption",
        ),
        ("", json!({ "id_token_encrypted_response_alg": "ECDH-ES", "id_token_encrypted_response_enc": "A128GCM" }), "id-token-decryption"),
    ] {
        let mut judge = Judge::with_secret(oidc, &client, &json!({})).await;
        let browser = Browser::new();
        let departure = judge.departure(&browser, &[]).await;
        let answer = judge.sign_in(&browser, &departure, "jane").await.away();
        let (error, description) = judge.app.error(&judge.gateway, &answer);
        assert_eq!(error, "server_error", "{oidc}");
        let id = description.rsplit_once('(').and_then(|(_, rest)| rest.strip_suffix(')')).expect("a correlation id");
        let trace = judge.gateway.trace(id).await.to_string();
        assert!(trace.contains(&format!("\"reason\":\"{rule}\"")), "{oidc} {rule}: {trace}");
    }
}

#[tokio::test]
async fn an_application_of_saml_and_the_words_of_both() {
    let mut judge = Judge::with_secret("allow_passive_probe = true", &json!({}), &json!({})).await;
    let request = judge.sp.request(&judge.gateway);
    let browser = Browser::new();
    let departure = browser.open(judge.sp.redirect(&request).as_str()).await.away();
    let landed = judge.sign_in(&browser, &departure, "jane").await.away();
    let answered = Answered::read(&judge.gateway, &landed);
    answered.assert_good();
    assert_eq!(answered.of("samlp:Response", "InResponseTo"), request.id);
    // A fresh sign-in is asked for and proven, in one question.
    let (browser, forced) = (Browser::new(), judge.departure(&Browser::new(), &[("prompt", "login")]).await);
    assert_eq!((forced.parameter("prompt").as_deref(), forced.parameter("max_age").as_deref()), (Some("login"), Some("0")));
    let departure = judge.departure(&browser, &[("prompt", "login")]).await;
    let answer = judge.sign_in(&browser, &departure, "jane").await.away();
    judge.app.code(&judge.gateway, &answer);
    // Nobody is signed in there: it says so, and the application hears it.
    let browser = Browser::new();
    let departure = judge.departure(&browser, &[("prompt", "none")]).await;
    let answer = judge.sign_in(&browser, &departure, "jane").await.away();
    assert_eq!(judge.app.error(&judge.gateway, &answer).0, "login_required");
}

#[tokio::test]
async fn its_logout_token_ends_the_session_here() {
    let client = json!({ "backchannel_logout_session_required": true });
    let mut judge = Judge::with_secret("", &client, &json!({})).await;
    let uri = judge.gateway.url("/connections/acme/backchannel-logout");
    let callback = judge.gateway.url("/connections/acme/callback");
    let registered = json!({
        "client_id": "gateway", "client_secret": SECRET, "redirect_uris": [callback.as_str()],
        "backchannel_logout_uri": uri.as_str(), "backchannel_logout_session_required": true,
    });
    judge.peer.ask(&json!({ "do": "register", "client": registered }));
    let browser = Browser::new();
    let departure = judge.departure(&browser, &[]).await;
    let answer = judge.sign_in(&browser, &departure, "jane").await.away();
    judge.app.code(&judge.gateway, &answer);
    // Signed in here: nobody is asked.
    let at_once = judge.departure(&browser, &[]).await;
    judge.app.code(&judge.gateway, &at_once);
    let origin = departure.url.join("/session/end").expect("an address");
    let over = judge.peer.ask(&json!({ "do": "visit", "url": origin.as_str() }));
    assert_eq!(over["status"], 200, "{over}");
    for attempt in 0.. {
        let next = judge.departure(&browser, &[]).await;
        if next.url.origin() == departure.url.origin() {
            break;
        }
        assert!(attempt < 50, "the session goes on");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn its_session_ends_with_ours() {
    const BYE: &str = "https://notes.example/bye";
    let mut peer = node_peer("oidc_provider.mjs", None);
    let issuer = peer.ask(&json!({ "do": "listen" }))["issuer"].as_str().expect("an issuer").to_owned();
    let app = App::new("notes");
    let connection = format!(
        "name = \"acme\"\n[connection.oidc]\nissuer = \"{issuer}\"\nclient_id = \"gateway\"\nclient_secret = {{ env = \"TEST_SECRET\" }}\n\
         allow_passive_probe = true\nlogout = true\n"
    );
    let toml = app.toml("", &format!("post_logout_redirect_uris = [\"{BYE}\"]"));
    let gateway = Gateway::start(Setup::new().connection(&connection).application(&toml)).await;
    let (callback, signed_out) = (gateway.url("/connections/acme/callback"), gateway.url("/connections/acme/signed-out"));
    let registered = json!({
        "client_id": "gateway", "client_secret": SECRET, "redirect_uris": [callback.as_str()],
        "post_logout_redirect_uris": [signed_out.as_str()],
    });
    peer.ask(&json!({ "do": "register", "client": registered }));
    let mut judge = Judge { peer, gateway, app, sp: Sp::new("wiki") };
    let browser = Browser::new();
    let departure = judge.departure(&browser, &[]).await;
    let answer = judge.sign_in(&browser, &departure, "jane").await.away();
    let tokens = Tokens::of(&judge.app.redeem(&judge.gateway, &judge.app.code(&judge.gateway, &answer), &[]).await);
    let mut end = judge.gateway.url("/oidc/logout");
    end.query_pairs_mut().append_pair("id_token_hint", tokens.id_token()).append_pair("post_logout_redirect_uri", BYE);
    let page = browser.exchange(reqwest::Method::GET, &end, None, None).await;
    let there = browser.follow(page.clone()).await.away();
    assert_eq!(there.url.path(), "/session/end");
    assert_eq!(there.parameter("post_logout_redirect_uri").as_deref(), Some(signed_out.as_str()));
    assert!(there.parameter("id_token_hint").is_some_and(|hint| hint.split('.').count() == 3 && hint != tokens.id_token()));
    // Whoever does not know the state ends nothing, and goes nowhere.
    let stranger = browser.open(&format!("{signed_out}?state=another")).await.here();
    assert_eq!(stranger.status, 400, "{}", stranger.body);
    let back = judge.peer.ask(&json!({ "do": "visit", "url": there.url.as_str() }));
    let back = back["url"].as_str().unwrap_or_else(|| panic!("{back}")).to_owned();
    assert!(back.starts_with(signed_out.as_str()), "{back}");
    let done = browser.open(&back).await.away();
    assert_eq!(done.url.as_str(), BYE);
    // It is over there as well: nobody is signed in.
    let passive = judge.departure(&Browser::new(), &[("prompt", "none")]).await;
    let answer = judge.peer.ask(&json!({ "do": "sign_in", "url": passive.url.as_str(), "again": true }));
    assert!(answer["url"].as_str().is_some_and(|url| url.contains("error=login_required")), "{answer}");
    let trace = judge.gateway.trace(page.correlation_id()).await.to_string();
    assert!(trace.contains("RP-initiated logout") && !trace.contains("id_token_hint"), "{trace}");
}
