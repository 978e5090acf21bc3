//! express-openid-connect: a web application with sessions of its own, at another site than the gateway, both by https.

use super::{Library, merge};
use crate::api::Api;
use crate::harness::app::{App, SECRET, Tokens};
use crate::harness::browser::{Browser, Departure, Landed, Page};
use crate::harness::eventually;
use crate::harness::gateway::{Gateway, Setup};
use crate::harness::idp::{Idp, Person};
use crate::harness::keys::Pair;
use crate::harness::peers::node_web_application;
use reqwest::Method;
use serde_json::{Value, json};
use std::cell::Cell;
use url::Url;

/// The application, the gateway, an identity provider, and somebody with a browser.
struct Web {
    gateway: Gateway,
    idp: Idp,
    browser: Browser,
    library: Library,
    base: Url,
    /// How often the person has signed in at the identity provider.
    logins: Cell<u32>,
}

impl Web {
    async fn new() -> Self {
        let (tls, idp) = (Pair::rsa("localhost"), Idp::new("acme"));
        let place = tempfile::tempdir().expect("a directory");
        let file = place.path().join("tls.crt");
        std::fs::write(&file, tls.certificate_pem()).expect("written");
        let mut library = Library { peer: node_web_application(&tls, &file) };
        let ports = library.peer.ask(&json!({"do": "ports"}));
        let base = Url::parse(&format!("https://localhost:{}", ports["https"])).expect("an address");
        let key = library.keys(&[("web", "ES256")]);
        // At another site than the application's: the browser keeps cookies from forms that come from here.
        let setup = Setup { host: "127.0.0.1", ..Setup::new() }.secure(&tls).connection(&idp.toml("", ""));
        let told = format!("backchannel_logout_uri = \"http://127.0.0.1:{}/backchannel-logout\"", ports["http"]);
        let types = "response_types = [\"code\", \"id_token\", \"code id_token\"]";
        let row = |client_id: &str, method: &str, more: &str| {
            let secret = if method.starts_with("client_secret") { "client_secret = { env = \"TEST_SECRET\" }" } else { "" };
            format!(
                "client_id = \"{client_id}\"\nname = \"Web\"\n[application.oidc]\nredirect_uris = [\"{base}callback\"]\n\
                 post_logout_redirect_uris = [\"{base}\", \"{}\"]\ntoken_endpoint_auth_method = \"{method}\"\n{secret}\n{more}\n",
                base.as_str().trim_end_matches('/'),
            )
        };
        let setup = setup
            .application(&row("web", "client_secret_basic", &format!("{types}\n{told}")))
            .application(&row("keyed", "private_key_jwt", &format!("{types}\n{key}\nrequire_pushed_authorization_requests = true")))
            .application(&App::new("notes").toml("", &format!("post_logout_redirect_uris = [\"{}\"]", super::BYE)));
        let browser = Browser::trusting(&tls.certificate_pem());
        Self { gateway: Gateway::start(setup).await, idp, browser, library, base, logins: Cell::new(0) }
    }

    /// The application as it is from now on: the usual options, and others.
    fn becomes(&mut self, more: &Value, keyed: Option<&str>) {
        let mut settings = json!({
            "issuerBaseURL": self.gateway.issuer(), "baseURL": self.base.as_str().trim_end_matches('/'), "clientID": "web",
            "clientSecret": SECRET, "secret": "what the session's cookie is encrypted with", "idpLogout": true,
            "backchannelLogout": true,
        });
        merge(&mut settings, more);
        self.library.peer.ask(&json!({"do": "start", "settings": settings, "keyed": keyed}));
    }

    /// A page of the application, by way of wherever the browser is sent in between.
    async fn visit(&self, path: &str) -> Page {
        let url = self.base.join(path).expect("a path");
        self.walk(Departure { from: url.clone(), url, form: None }, |_| ()).await
    }

    /// The same from a departure on; `touch` sees what is brought to the application.
    async fn walk(&self, mut next: Departure, touch: impl Fn(&mut Departure)) -> Page {
        for _ in 0..10 {
            let Departure { url, form, from } = &next;
            let method = if form.is_some() { Method::POST } else { Method::GET };
            let from = (url != from).then_some(from);
            if url.origin() == self.base.origin() {
                let page = self.browser.elsewhere(method, url, form.as_deref(), from).await;
                let Some(location) = page.headers.get("location") else { return page };
                let to = page.url.join(location.to_str().expect("a text")).expect("an address");
                next = Departure { url: to, form: None, from: page.url };
                continue;
            }
            let landed = if url.origin() == self.gateway.url("/").origin() {
                let page = self.browser.exchange(method, url, form.as_deref(), from).await;
                self.browser.follow(page).await
            } else {
                self.logins.set(self.logins.get() + 1);
                let answer = self.idp.respond(&self.idp.read(&next), &Person::zoe());
                self.browser.post(&answer.from, &answer.to, &answer.fields()).await
            };
            next = match landed {
                Landed::Here(page) => return page,
                Landed::Away(departure) => departure,
            };
            if next.url.path() == "/callback" {
                touch(&mut next);
            }
        }
        panic!("the browser goes round in circles at {}", next.url);
    }

    async fn is_signed_in(&self) -> bool {
        let page = self.visit("/").await;
        page.json()["authenticated"].as_bool().expect("yes or no")
    }

    /// Up to the way back from `/login`, which `touch` may change.
    async fn sign_in(&self, touch: impl Fn(&mut Departure)) -> Page {
        let url = self.base.join("/login").expect("a path");
        self.walk(Departure { from: url.clone(), url, form: None }, touch).await
    }

    /// Somebody signs in to another application, and gets an ID token there.
    async fn id_token_elsewhere(&self) -> String {
        let notes = App::new("notes");
        let departure = self.browser.open(notes.authorize(&self.gateway, &[]).as_str()).await.away();
        let answer = if departure.url.as_str().starts_with(&notes.callback) {
            departure
        } else {
            let answer = self.idp.respond(&self.idp.read(&departure), &Person::zoe());
            self.browser.post(&answer.from, &answer.to, &answer.fields()).await.away()
        };
        let code = notes.code(&self.gateway, &answer);
        Tokens::of(&notes.redeem(&self.gateway, &code, &[]).await).id_token().to_owned()
    }
}

/// Options, by what the application asks for; the key by which it proves who it is.
fn options() -> Vec<(Value, Option<&'static str>)> {
    let of = |kind: &str, mode: &str| json!({"authorizationParams": {"response_type": kind, "response_mode": mode}});
    let keyed = json!({
        "clientID": "keyed", "clientAuthMethod": "private_key_jwt", "clientAssertionSigningAlg": "ES256",
        "pushedAuthorizationRequests": true, "authorizationParams": {"response_type": "code", "response_mode": "query"},
    });
    let mut signed = keyed.clone();
    merge(&mut signed, &json!({"requestObjectSigningAlg": "ES256", "requestObjectSigningKeyId": "web"}));
    // The first one is what the library does when it is told nothing: `id_token` by a form.
    vec![
        (json!({}), None),
        (of("code", "query"), None),
        (of("code", "form_post"), None),
        (of("code id_token", "form_post"), None),
        (keyed, Some("web")),
        (signed, Some("web")),
    ]
}

#[tokio::test]
async fn express_openid_connect_signs_people_in_and_out() {
    let mut web = Web::new().await;
    for (number, (more, keyed)) in options().into_iter().enumerate() {
        web.becomes(&more, keyed);
        assert!(!web.is_signed_in().await);
        let page = web.visit("/profile").await;
        assert_eq!(page.status, 200, "{more}: {}", page.body);
        let profile = page.json();
        assert_eq!((&profile["sub"], &profile["email"]), (&json!("samlp|acme|zoë-2"), &json!("zoe@acme.example")), "{more}: {profile}");
        assert!(profile["sid"].is_string(), "{profile}");
        assert!(web.is_signed_in().await);
        let page = web.visit("/logout").await;
        assert_eq!((page.url.origin(), page.json()["authenticated"].as_bool()), (web.base.origin(), Some(false)), "{more}");
        assert_eq!(web.logins.get() as usize, number + 1, "each logout has ended the session at the gateway too");
    }
}

#[tokio::test]
async fn express_openid_connect_refreshes_and_asks_for_the_person() {
    let mut web = Web::new().await;
    let parameters = json!({"response_type": "code", "response_mode": "query", "scope": "openid profile email offline_access"});
    web.becomes(&json!({"authorizationParams": parameters}), None);
    web.visit("/profile").await;
    let before = web.visit("/").await.json();
    assert_eq!(web.visit("/userinfo").await.json()["email"], "zoe@acme.example");
    let refreshed = web.visit("/refresh").await;
    assert_eq!(refreshed.status, 200, "{}", refreshed.body);
    let after = web.visit("/").await.json();
    assert_eq!(after["tokens"]["access_token"], refreshed.json()["access_token"]);
    for token in ["access_token", "refresh_token"] {
        assert!(after["tokens"][token].is_string() && after["tokens"][token] != before["tokens"][token], "{token}");
    }
    assert_eq!(after["claims"]["sub"], before["claims"]["sub"]);
}

#[tokio::test]
async fn express_openid_connect_signs_in_silently_whom_the_gateway_knows() {
    let mut web = Web::new().await;
    for parameters in [json!({}), json!({"response_type": "code", "response_mode": "query"})] {
        web.becomes(&json!({"attemptSilentLogin": true, "authorizationParams": parameters}), None);
        web.browser.forget();
        assert!(!web.is_signed_in().await, "a stranger stays one");
        web.browser.forget();
        web.id_token_elsewhere().await;
        let known = web.logins.get();
        assert!(web.is_signed_in().await, "{parameters}: somebody who has signed in elsewhere");
        assert_eq!(web.logins.get(), known, "nobody was asked");
    }
}

#[tokio::test]
async fn express_openid_connect_takes_our_logout_tokens() {
    let mut web = Web::new().await;
    let parameters = json!({"response_type": "code", "response_mode": "query"});
    for told in [true, false] {
        web.browser.forget();
        web.becomes(&json!({"authorizationParams": parameters, "backchannelLogout": told}), None);
        web.visit("/profile").await;
        let id_token = web.id_token_elsewhere().await;
        if told {
            // What anybody sends ends nothing: no token at all, and one that is good for something else.
            let own = web.visit("/").await.json()["tokens"]["id_token"].as_str().expect("a token").to_owned();
            for wrong in ["x", &id_token, &own] {
                let url = web.base.join("/backchannel-logout").expect("a path");
                let fields = [("logout_token".to_owned(), wrong.to_owned())];
                assert_eq!(web.browser.elsewhere(Method::POST, &url, Some(&fields), None).await.status, 400);
            }
            assert!(web.is_signed_in().await);
        }
        let mut url = web.gateway.url("/oidc/logout");
        url.query_pairs_mut().append_pair("id_token_hint", &id_token).append_pair("post_logout_redirect_uri", super::BYE);
        let landed = web.browser.open(url.as_str()).await;
        if told {
            assert_eq!(landed.away().url.as_str(), super::BYE);
            eventually("the end of the application's session", async || (!web.is_signed_in().await).then_some(())).await;
        } else {
            let page = landed.here();
            assert!(page.contains("Web") && page.contains(super::BYE), "who was not told is named: {}", page.body);
            assert!(web.is_signed_in().await, "without an ear for it, the application hears nothing");
        }
    }
    // By an operator, while nobody is at a browser.
    web.browser.forget();
    web.becomes(&json!({"authorizationParams": parameters}), None);
    let sub = web.visit("/profile").await.json()["sub"].as_str().expect("a subject").to_owned();
    let user: String = url::form_urlencoded::byte_serialize(sub.as_bytes()).collect();
    let api = Api::of(&web.gateway).await;
    let ended = api.delete(&format!("/users/{user}/sessions")).await;
    assert!((200..300).contains(&ended.status), "{} {}", ended.status, ended.body);
    eventually("the end of the application's session", async || (!web.is_signed_in().await).then_some(())).await;
}

#[tokio::test]
async fn express_openid_connect_refuses_answers_that_were_altered() {
    let mut web = Web::new().await;
    let change = |name: &'static str| {
        move |departure: &mut Departure| {
            let fields = departure.form.as_mut().expect("a form");
            let value = &mut fields.iter_mut().find(|(known, _)| known == name).expect("the field").1;
            let at = value.len() - 3;
            let other = if &value[at..=at] == "A" { "B" } else { "A" };
            value.replace_range(at..=at, other);
        }
    };
    let form = |kind: &str| json!({"authorizationParams": {"response_type": kind, "response_mode": "form_post"}});
    for (kind, name) in [("id_token", "id_token"), ("code id_token", "id_token"), ("code id_token", "code"), ("code", "iss")] {
        web.becomes(&form(kind), None);
        let page = web.sign_in(change(name)).await;
        assert!((400..600).contains(&page.status), "{kind} {name}: {} {}", page.status, page.body);
        assert!(!web.is_signed_in().await, "{kind} {name}");
    }
    // An ID token of another login, in place of the one that the code is for.
    web.becomes(&form("code"), None);
    web.sign_in(|_| ()).await;
    let old = web.visit("/").await.json()["tokens"]["id_token"].clone();
    web.browser.forget();
    web.library.peer.ask(&json!({"do": "alter", "path": "/oauth/token", "member": "id_token", "text": old}));
    let page = web.sign_in(|_| ()).await;
    assert!(page.status >= 400 && page.body.contains("JWT_CLAIM_COMPARISON_FAILED"), "{}", page.body);
    assert!(!web.is_signed_in().await);
    web.sign_in(|_| ()).await;
    assert!(web.is_signed_in().await);
}
