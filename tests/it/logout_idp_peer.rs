//! Single Logout with an identity provider that is not ours: pysaml2 takes our requests and makes its own, over HTTP.

use crate::harness::app::{App, Tokens};
use crate::harness::browser::{Browser, Departure, Landed, client};
use crate::harness::gateway::{Gateway, Setup};
use crate::harness::peers::Pysaml2;
use serde_json::{Value, json};
use url::Url;

const BYE: &str = "https://notes.example/bye";

struct Scene {
    idp: Pysaml2,
    gateway: Gateway,
    app: App,
    browser: Browser,
}

impl Scene {
    async fn new(saml: &str) -> Self {
        let (idp, app) = (Pysaml2::start(), App::new("notes"));
        let setup = Setup::new().connection(&idp.toml("acme", &format!("sign_requests = true\n{saml}")));
        let setup = setup.application(&app.toml("", &format!("post_logout_redirect_uris = [\"{BYE}\"]")));
        let gateway = Gateway::start(setup).await;
        idp.control(&json!({"sp_metadata_url": gateway.url("/connections/acme/metadata").as_str(), "require_signed": true})).await;
        Self { idp, gateway, app, browser: Browser::new() }
    }

    /// A whole login; the ID token.
    async fn sign_in(&self) -> String {
        let departure = self.browser.open(self.app.authorize(&self.gateway, &[]).as_str()).await.away();
        let code = self.app.code(&self.gateway, &self.idp.sign_in(&self.browser, &departure).await.away());
        Tokens::of(&self.app.redeem(&self.gateway, &code, &[]).await).id_token().to_owned()
    }

    async fn is_signed_in(&self) -> bool {
        let url = self.app.authorize(&self.gateway, &[("prompt", "none")]);
        self.browser.open(url.as_str()).await.away().parameter("code").is_some()
    }

    /// The browser arrives at pysaml2: its status, and where it sends the browser on, or what it says.
    async fn visits(&self, departure: &Departure) -> (u16, String) {
        assert!(departure.url.as_str().starts_with(&format!("{}/slo", self.idp.base)), "{}", departure.url);
        let request = match &departure.form {
            Some(fields) => client().post(departure.url.clone()).form(fields),
            None => client().get(departure.url.clone()),
        };
        let answer = request.send().await.expect("pysaml2 answers");
        let status = answer.status().as_u16();
        let location = answer.headers().get("location").map(|location| location.to_str().unwrap().to_owned());
        let text = answer.text().await.expect("a text");
        (status, location.unwrap_or(text))
    }

    /// What pysaml2 begins for its last session.
    async fn begun(&self, binding: &str) -> Value {
        let answer = client().post(format!("{}/logout", self.idp.base)).json(&json!({"binding": binding})).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        answer.json().await.expect("JSON")
    }

    /// The browser brings what pysaml2 has begun.
    async fn brings(&self, begun: &Value) -> Landed {
        let to = begun["to"].as_str().expect("an address");
        match begun["query"].as_str() {
            Some(query) => self.browser.open(&format!("{to}?{query}")).await,
            None => {
                let fields = [("SAMLRequest".to_owned(), begun["form"].as_str().expect("a form").to_owned())];
                self.browser.post(&Url::parse(&self.idp.base).unwrap(), &Url::parse(to).unwrap(), &fields).await
            }
        }
    }
}

#[tokio::test]
async fn pysaml2_believes_our_requests_and_we_its_answers() {
    for binding in ["redirect", "post"] {
        let scene = Scene::new(&format!("logout = true\nlogout_binding = \"{binding}\"")).await;
        let hint = scene.sign_in().await;
        let mut end = scene.gateway.url("/oidc/logout");
        end.query_pairs_mut().extend_pairs([("id_token_hint", hint.as_str()), ("post_logout_redirect_uri", BYE)]);
        let departure = scene.browser.open(end.as_str()).await.away();
        let (status, location) = scene.visits(&departure).await;
        assert_eq!(status, 303);
        let seen = scene.idp.seen().await;
        assert_eq!(seen["is_of_the_session"], json!(true), "{seen}");
        assert_eq!(seen["issuer"], json!(scene.gateway.url("/connections/acme/metadata").as_str()), "{seen}");
        assert_eq!(seen["binding"], if binding == "post" { "HTTP-POST" } else { "HTTP-Redirect" });
        let back = scene.browser.open(&location).await.away();
        assert_eq!(back.url.as_str(), BYE);
        assert!(!scene.is_signed_in().await);
        assert_eq!(scene.gateway.metric("isthmus_logouts_total{by=\"oidc\",outcome=\"success\"}").await, 1);
    }
}

#[tokio::test]
async fn pysaml2_ends_the_session_here_and_believes_our_answer() {
    let scene = Scene::new("").await;
    for binding in ["redirect", "post"] {
        scene.sign_in().await;
        assert!(scene.is_signed_in().await);
        let begun = scene.begun(binding).await;
        let answer = scene.brings(&begun).await.away();
        assert!(!scene.is_signed_in().await);
        assert_eq!(scene.visits(&answer).await, (200, "signed out".to_owned()));
        let seen = scene.idp.seen().await;
        assert_eq!(seen["success"], json!(true), "{seen}");
        assert_eq!(seen["issuer"], json!(scene.gateway.url("/connections/acme/metadata").as_str()), "{seen}");
        // The same once more ends nothing.
        scene.sign_in().await;
        scene.brings(&begun).await.here().assert_refused(400, "ISTH-1001");
        assert!(scene.is_signed_in().await);
        scene.brings(&scene.begun(binding).await).await.away();
        assert!(!scene.is_signed_in().await);
    }
}

/// That its checks are checks: a request that another key signed.
#[tokio::test]
async fn pysaml2_refuses_a_request_of_another_key() {
    let mut scene = Scene::new("logout = true").await;
    scene.gateway.stop();
    std::fs::remove_dir_all(scene.gateway.place().join("certs")).unwrap();
    scene.gateway.start_again(|_| {}).await;
    scene.idp.control(&json!({"require_signed": false})).await;
    let hint = scene.sign_in().await;
    let mut end = scene.gateway.url("/oidc/logout");
    end.query_pairs_mut().extend_pairs([("id_token_hint", hint.as_str())]);
    let departure = scene.browser.open(end.as_str()).await.away();
    let (status, why) = scene.visits(&departure).await;
    assert!(status == 400 && why.contains("InvalidSignature"), "{status} {why}");
}
