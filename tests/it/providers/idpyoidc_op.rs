//! idpyoidc of PyPI as the provider: whole logins by every client authentication that it takes, encrypted ID tokens, signed
//! UserInfo, new keys, logout both ways; and beside each what must not pass.

use crate::harness::app::{App, SECRET, Tokens, userinfo};
use crate::harness::browser::{Browser, Departure};
use crate::harness::eventually;
use crate::harness::gateway::{Gateway, Setup};
use crate::harness::peers::{Peer, python_peer};
use serde_json::{Value, json};

const BYE: &str = "https://notes.example/bye";

/// It, and a gateway whose only connection it is.
struct Judge {
    peer: Peer,
    issuer: String,
    gateway: Gateway,
    app: App,
}

impl Judge {
    /// `oidc`: more lines of `[connection.oidc]`; `client`: members of our registration there.
    async fn new(oidc: &str, client: &Value) -> Self {
        let mut peer = python_peer("idpyoidc_op.py", &json!({}));
        let issuer = peer.ask(&json!({ "do": "listen" }))["issuer"].as_str().expect("an issuer").to_owned();
        let app = App::new("notes");
        let connection = format!(
            "name = \"acme\"\n[connection.oidc]\nissuer = \"{issuer}\"\nclient_id = \"gateway\"\nlogout = true\n{oidc}\n{}",
            if oidc.contains("private_key_jwt") { "" } else { "client_secret = { env = \"TEST_SECRET\" }\n" }
        );
        let toml = app.toml("", &format!("post_logout_redirect_uris = [\"{BYE}\"]"));
        let gateway = Gateway::start(Setup::new().connection(&connection).application(&toml)).await;
        let at = |path: &str| gateway.url(path).to_string();
        let mut registered = json!({
            "client_id": "gateway", "client_secret": SECRET, "token_endpoint_auth_method": "client_secret_basic",
            "redirect_uris": [at("/connections/acme/callback")], "jwks_uri": at("/.well-known/jwks.json"),
            "backchannel_logout_uri": at("/connections/acme/backchannel-logout"),
            "post_logout_redirect_uris": [at("/connections/acme/signed-out")],
        });
        registered.as_object_mut().expect("an object").extend(client.as_object().expect("an object").clone());
        peer.ask(&json!({ "do": "register", "client": registered }));
        Self { peer, issuer, gateway, app }
    }

    async fn open(&self, browser: &Browser, changes: &[(&str, &str)]) -> Departure {
        browser.open(self.app.authorize(&self.gateway, changes).as_str()).await.away()
    }

    /// Somebody goes there, signs in, and is back with the answer to the application.
    async fn login_in(&mut self, browser: &Browser, login: &str) -> Departure {
        let departure = self.open(browser, &[]).await;
        let answer = self.peer.ask(&json!({ "do": "sign_in", "url": departure.url.as_str(), "login": login }));
        browser.open(answer["url"].as_str().expect("an address")).await.away()
    }

    async fn tokens(&self, answer: &Departure) -> Tokens {
        Tokens::of(&self.app.redeem(&self.gateway, &self.app.code(&self.gateway, answer), &[]).await)
    }

    /// A whole login: the subject, and what UserInfo says.
    async fn login(&mut self, login: &str) -> (String, Value) {
        let answer = self.login_in(&Browser::new(), login).await;
        let tokens = self.tokens(&answer).await;
        let told = userinfo(&self.gateway, tokens.access_token()).await.json();
        (tokens.claims()["sub"].as_str().expect("a subject").to_owned(), told)
    }

    #[track_caller]
    fn assert_is(who: &(String, Value), name: &str) {
        assert!(who.0.starts_with("oidc|acme|") && who.0.len() > 40, "{who:?}");
        assert_eq!((&who.1["email"], &who.1["name"]), (&json!(format!("{name}@acme.example")), &json!(format!("{name} of acme"))));
    }

    /// A login that ends by this rule.
    async fn refused(&mut self, rule: &str) {
        let answer = self.login_in(&Browser::new(), "jane").await;
        let (error, description) = self.app.error(&self.gateway, &answer);
        assert_eq!(error, "server_error", "{rule}");
        let id = description.rsplit_once('(').and_then(|(_, rest)| rest.strip_suffix(')')).expect("a correlation id");
        let trace = self.gateway.trace(id).await.to_string();
        assert!(trace.contains(&format!("\"reason\":\"{rule}\"")), "{rule}: {trace}");
    }

    fn asked(&mut self, what: &str) -> usize {
        let asked = self.peer.ask(&json!({ "do": "seen" }));
        asked["asked"].as_array().expect("a list").iter().filter(|one| *one == what).count()
    }
}

#[tokio::test]
async fn every_client_authentication_and_no_other_than_the_registered_one() {
    let methods = ["client_secret_basic", "client_secret_post", "client_secret_jwt", "private_key_jwt"];
    for (place, method) in methods.iter().enumerate() {
        let oidc = format!("token_endpoint_auth_method = \"{method}\"");
        let mut judge = Judge::new(&oidc, &json!({ "token_endpoint_auth_method": method })).await;
        let jane = judge.login("jane").await;
        Judge::assert_is(&jane, "jane");
        assert_eq!(judge.login("jane").await.0, jane.0, "{method}: the same person twice");
        Judge::assert_is(&judge.login("joe").await, "joe");
        // Registered otherwise there, it is no proof.
        let other = methods[(place + 1) % methods.len()];
        let mut judge = Judge::new(&oidc, &json!({ "token_endpoint_auth_method": other })).await;
        judge.refused("token-endpoint-error").await;
    }
    for alg in ["ES256", "PS256"] {
        let oidc = format!("token_endpoint_auth_method = \"private_key_jwt\"\ntoken_endpoint_auth_signing_alg = \"{alg}\"");
        let mut judge = Judge::new(&oidc, &json!({ "token_endpoint_auth_method": "private_key_jwt" })).await;
        Judge::assert_is(&judge.login("jane").await, "jane");
    }
    // And another secret.
    let mut judge = Judge::new("", &json!({ "client_secret": "another secret that is long enough for its keys" })).await;
    judge.refused("token-endpoint-error").await;
}

#[tokio::test]
async fn id_tokens_of_both_kinds_of_keys_and_none_that_was_altered() {
    for alg in ["RS256", "ES256"] {
        let oidc = format!("id_token_signed_response_alg = \"{alg}\"");
        let mut judge = Judge::new(&oidc, &json!({ "id_token_signed_response_alg": alg })).await;
        Judge::assert_is(&judge.login("jane").await, "jane");
        judge.peer.ask(&json!({ "do": "alter", "what": { "id_token": { "email": "admin@acme.example" } } }));
        judge.refused("id-token-signature").await;
        judge.peer.ask(&json!({ "do": "alter", "what": {} }));
        Judge::assert_is(&judge.login("jane").await, "jane");
    }
    let mut judge = Judge::new("id_token_signed_response_alg = \"RS256\"", &json!({ "id_token_signed_response_alg": "ES256" })).await;
    judge.refused("id-token-alg").await;
}

#[tokio::test]
async fn encrypted_id_tokens_and_none_in_the_clear() {
    for (alg, enc, conforms) in [
        ("RSA-OAEP", "A256CBC-HS512", true),
        ("RSA-OAEP-256", "A128CBC-HS256", true),
        ("ECDH-ES", "A128CBC-HS256", true),
        // For GCM it takes 128 bits as initialization vector, where RFC 7518 5.3 has 96, and it wraps keys by another one than
        // 4.6 says: joserfc refuses both, too.
        ("RSA-OAEP", "A256GCM", false),
        ("ECDH-ES+A128KW", "A256CBC-HS512", false),
    ] {
        let oidc = format!("id_token_encrypted_response_alg = \"{alg}\"");
        let client = json!({ "id_token_encrypted_response_alg": alg, "id_token_encrypted_response_enc": enc });
        let mut judge = Judge::new(&oidc, &client).await;
        if conforms {
            Judge::assert_is(&judge.login("jane").await, "jane");
        } else {
            judge.refused("id-token-decryption").await;
        }
    }
    let mut judge = Judge::new("id_token_encrypted_response_alg = \"RSA-OAEP\"", &json!({})).await;
    judge.refused("id-token-decryption").await;
}

#[tokio::test]
async fn signed_userinfo_and_none_that_was_altered() {
    let signed = json!({ "userinfo_signed_response_alg": "ES256" });
    let mut judge = Judge::new("userinfo_signed_response_alg = \"ES256\"", &signed).await;
    Judge::assert_is(&judge.login("jane").await, "jane");
    judge.peer.ask(&json!({ "do": "alter", "what": { "userinfo": { "email": "admin@acme.example" } } }));
    judge.refused("userinfo-signature").await;
    let encrypted = json!({
        "userinfo_signed_response_alg": "RS256", "userinfo_encrypted_response_alg": "RSA-OAEP", "userinfo_encrypted_response_enc": "A128CBC-HS256",
    });
    let oidc = "userinfo_signed_response_alg = \"RS256\"\nuserinfo_encrypted_response_alg = \"RSA-OAEP\"";
    Judge::assert_is(&Judge::new(oidc, &encrypted).await.login("jane").await, "jane");
    Judge::new(oidc, &json!({})).await.refused("userinfo").await;
}

#[tokio::test]
async fn new_keys_cost_one_look_and_the_old_ones_count_no_more() {
    let mut judge = Judge::new("", &json!({})).await;
    let jane = judge.login("jane").await;
    assert_eq!(judge.asked("GET /jwks.json"), 1);
    judge.peer.ask(&json!({ "do": "rotate" }));
    Judge::assert_is(&judge.login("joe").await, "joe");
    Judge::assert_is(&judge.login("jane").await, "jane");
    assert_eq!(judge.asked("GET /jwks.json"), 1, "for both logins");
    assert!(!jane.0.is_empty());
    // Again within the minute: nobody looks, and what nobody has published is not believed.
    judge.peer.ask(&json!({ "do": "rotate" }));
    judge.refused("id-token-key").await;
    assert_eq!(judge.asked("GET /jwks.json"), 0);
}

#[tokio::test]
async fn its_session_ends_with_ours() {
    let mut judge = Judge::new("", &json!({})).await;
    let browser = Browser::new();
    let answer = judge.login_in(&browser, "jane").await;
    let tokens = judge.tokens(&answer).await;
    let mut end = judge.gateway.url("/oidc/logout");
    end.query_pairs_mut().append_pair("id_token_hint", tokens.id_token()).append_pair("post_logout_redirect_uri", BYE);
    let there = browser.open(end.as_str()).await.away();
    assert_eq!(there.url.path(), "/end_session");
    // With another person's hint it would not be believed there; with ours it is, and the browser is sent back.
    let back = judge.peer.ask(&json!({ "do": "end_session", "url": there.url.as_str() }));
    let back = back["url"].as_str().expect("an address").to_owned();
    assert!(back.starts_with(judge.gateway.url("/connections/acme/signed-out").as_str()), "{back}");
    assert_eq!(browser.open(&back).await.away().url.as_str(), BYE);
    let departure = judge.open(&browser, &[]).await;
    assert!(departure.url.as_str().starts_with(&judge.issuer), "nobody is signed in here: {}", departure.url);
}

#[tokio::test]
async fn its_logout_token_ends_our_session_and_an_altered_one_does_not() {
    let mut judge = Judge::new("", &json!({})).await;
    let browser = Browser::new();
    let answer = judge.login_in(&browser, "jane").await;
    judge.app.code(&judge.gateway, &answer);
    judge.app.code(&judge.gateway, &judge.open(&browser, &[]).await);
    judge.peer.ask(&json!({ "do": "alter", "what": { "logout_token": { "sub": "somebody" } } }));
    assert_eq!(judge.peer.ask(&json!({ "do": "end_all" }))["statuses"], json!([400]));
    judge.app.code(&judge.gateway, &judge.open(&browser, &[]).await);
    // A new session there, since the library has ended its own in any case.
    let elsewhere = Browser::new();
    let answer = judge.login_in(&elsewhere, "joe").await;
    judge.app.code(&judge.gateway, &answer);
    judge.peer.ask(&json!({ "do": "alter", "what": {} }));
    assert_eq!(judge.peer.ask(&json!({ "do": "end_all" }))["statuses"], json!([200]));
    eventually("the end of the session", async || {
        let next = judge.open(&elsewhere, &[]).await;
        next.url.as_str().starts_with(&judge.issuer).then_some(())
    })
    .await;
    // Of the other person's session it said nothing.
    judge.app.code(&judge.gateway, &judge.open(&browser, &[]).await);
}
