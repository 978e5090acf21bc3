//! Whole logins in headless Chromium: the judge of cookies, redirects, forms, policies and keys on a keyboard.
//!
//! The gateway is at localhost, identity provider and application are at 127.0.0.1, so that every form between them is
//! cross-site.

use crate::harness::app::App;
use crate::harness::browser::Departure;
use crate::harness::gateway::{Gateway, Setup};
use crate::harness::html;
use crate::harness::idp::{Idp, Person, ZOE};
use crate::harness::keys::Pair;
use crate::harness::web::{Asked, Site};
use crate::harness::webdriver::{Chromium, ENTER, TAB};
use std::sync::{Arc, OnceLock};
use url::Url;

/// Identity provider, application and gateway, each where a browser finds it.
struct Stage {
    gateway: Gateway,
    application: Site,
    app: App,
    chromium: Chromium,
    _idps: Vec<Site>,
}

/// An identity provider that knows who is there: it answers at once.
pub async fn identity_provider(name: &'static str) -> (Site, Arc<OnceLock<Idp>>) {
    let place: Arc<OnceLock<Idp>> = Arc::default();
    let idp = Arc::clone(&place);
    let site = Site::start(move |asked: &Asked| {
        if asked.path() != "/sso" {
            return String::new();
        }
        let idp = idp.get().expect("it is there before anybody asks");
        let form = (asked.method == "POST").then(|| asked.parameters().into_iter().collect());
        let url = Url::parse(&idp.sso_url).unwrap().join(&asked.target).unwrap();
        let request = idp.read(&Departure { from: url.clone(), url, form });
        let answer = idp.respond(&request, &Person::zoe());
        let inputs: String = answer
            .fields()
            .iter()
            .map(|(name, value)| format!("<input type=\"hidden\" name=\"{name}\" value=\"{}\">", html::escape(value)))
            .collect();
        let action = html::escape(answer.to.as_str());
        format!("<!doctype html><title>IdP</title><form method=\"post\" action=\"{action}\" id=\"go\">{inputs}</form><script>document.getElementById(\"go\").submit()</script>")
    })
    .await;
    let idp = Idp::new(name).at(&format!("http://127.0.0.1:{}/sso", site.port));
    assert!(place.set(idp).is_ok());
    (site, place)
}

impl Stage {
    async fn new(names: &[&'static str], tls: Option<&Pair>, saml: &str) -> Self {
        let application = Site::start(|asked: &Asked| {
            let parameters = asked.parameters();
            let outcome = if parameters.contains_key("code") { "You are signed in" } else { "You are not signed in" };
            format!("<!doctype html><title>Notes</title><h1>{outcome}</h1>")
        })
        .await;
        let app = App { callback: format!("http://127.0.0.1:{}/callback", application.port), ..App::new("notes") };
        let mut setup = Setup { host: "localhost", ..Setup::new() }.application(&app.toml("", ""));
        if let Some(pair) = tls {
            setup = setup.secure(pair);
        }
        let mut idps = Vec::new();
        for name in names {
            let (site, idp) = identity_provider(name).await;
            setup = setup.connection(&idp.get().unwrap().toml("", saml));
            idps.push(site);
        }
        Self { gateway: Gateway::start(setup).await, application, app, chromium: Chromium::start().await, _idps: idps }
    }

    fn start(&self, changes: &[(&str, &str)]) -> String {
        self.app.authorize(&self.gateway, changes).to_string()
    }

    /// The browser is back at the application, signed in.
    async fn arrives(&self) -> String {
        let url = self.chromium.wait_for_url(&self.app.callback).await;
        assert_eq!(self.chromium.text().await, "You are signed in", "{url}");
        url
    }

    async fn redeems(&self, url: &str) {
        let url = Url::parse(url).unwrap();
        let departure = Departure { from: url.clone(), url, form: None };
        let code = self.app.code(&self.gateway, &departure);
        let tokens = crate::harness::app::Tokens::of(&self.app.redeem(&self.gateway, &code, &[]).await);
        assert_eq!(tokens.claims()["name"], ZOE);
    }

    async fn end(self) {
        let complaints = self.chromium.complaints().await;
        assert!(complaints.is_empty(), "the browser complains: {complaints:?}");
        self.chromium.quit().await;
    }
}

#[tokio::test]
async fn a_whole_login_on_localhost_without_tls() {
    for saml in ["request_binding = \"redirect\"", "request_binding = \"post\""] {
        let stage = Stage::new(&["acme"], None, saml).await;
        stage.chromium.open(&stage.start(&[])).await;
        let url = stage.arrives().await;
        stage.redeems(&url).await;
        // Once more, by the session alone.
        stage.chromium.open(&stage.start(&[("prompt", "none")])).await;
        stage.arrives().await;
        stage.end().await;
    }
}

#[tokio::test]
async fn a_whole_login_over_https() {
    let pair = Pair::rsa("localhost");
    let stage = Stage::new(&["acme"], Some(&pair), "").await;
    stage.chromium.open(&stage.start(&[])).await;
    let url = stage.arrives().await;
    stage.redeems(&url).await;
    stage.chromium.open(stage.gateway.url("/").as_str()).await;
    let cookies = stage.chromium.cookies().await;
    for name in ["__Host-isthmus-login", "__Host-isthmus-session"] {
        let cookie = cookies.iter().find(|cookie| cookie["name"] == name).unwrap_or_else(|| panic!("no {name}: {cookies:?}"));
        assert_eq!((&cookie["httpOnly"], &cookie["secure"]), (&true.into(), &true.into()), "{cookie}");
    }
    stage.end().await;
}

#[tokio::test]
async fn the_application_may_want_its_answer_posted() {
    for tls in [None, Some(Pair::rsa("localhost"))] {
        let stage = Stage::new(&["acme"], tls.as_ref(), "").await;
        stage.chromium.open(&stage.start(&[("response_mode", "form_post")])).await;
        stage.chromium.wait_for_url(&stage.app.callback).await;
        assert_eq!(stage.chromium.text().await, "You are signed in");
        let seen = stage.application.seen();
        let posted = seen.iter().find(|asked| asked.path() == "/callback").expect("an answer");
        assert_eq!(posted.method, "POST");
        assert_eq!(posted.parameters()["iss"], stage.gateway.issuer());
        stage.end().await;
    }
}

#[tokio::test]
async fn several_tabs_at_once_and_the_back_button() {
    let stage = Stage::new(&["acme", "globex"], None, "").await;
    let first = stage.chromium.tab().await;
    stage.chromium.open(&stage.start(&[])).await;
    let mut tabs = vec![first];
    for _ in 0..2 {
        tabs.push(stage.chromium.new_tab().await);
        stage.chromium.open(&stage.start(&[])).await;
    }
    for tab in &tabs {
        stage.chromium.switch_to(tab).await;
        assert!(stage.chromium.text().await.contains("Sign in to Notes"));
    }
    for (number, tab) in tabs.iter().enumerate() {
        stage.chromium.switch_to(tab).await;
        let name = if number == 1 { "globex" } else { "acme" };
        stage.chromium.click(&format!("button[value={name}]")).await;
        let url = stage.arrives().await;
        stage.redeems(&url).await;
    }
    // The Back button leads to the request that began it all. Nobody keeps that page, so it is asked for again, and the
    // session that exists by now answers.
    let before = stage.chromium.url().await;
    stage.chromium.back().await;
    let url = stage.arrives().await;
    assert_ne!(url, before, "a new code, and not the used one");
    stage.redeems(&url).await;
    stage.end().await;
}

#[tokio::test]
async fn the_chooser_works_by_keyboard_alone() {
    let stage = Stage::new(&["acme", "globex"], None, "").await;
    stage.chromium.open(&stage.start(&[])).await;
    assert_eq!(stage.chromium.title().await, "Sign in to Notes");
    stage.chromium.press(&[TAB]).await;
    assert_eq!(stage.chromium.focused().await, "The acme people");
    stage.chromium.press(&[TAB]).await;
    assert_eq!(stage.chromium.focused().await, "The globex people");
    stage.chromium.press(&[ENTER]).await;
    let url = stage.arrives().await;
    stage.redeems(&url).await;
    stage.end().await;
}

/// Two identity providers, and the question between them, over http and https: the binding cookie goes with both answers.
#[tokio::test]
async fn a_known_account_is_proven_by_keyboard_alone() {
    for tls in [None, Some(Pair::rsa("localhost"))] {
        let stage = Stage::new(&["acme", "globex"], tls.as_ref(), "[connection.linking]\npolicy = \"ask\"\n").await;
        stage.chromium.open(&stage.start(&[("connection", "acme")])).await;
        stage.arrives().await;
        stage.chromium.open(&stage.start(&[("connection", "globex"), ("prompt", "login")])).await;
        stage.chromium.wait_for_url(stage.gateway.url("/connections/globex/acs").as_str()).await;
        assert_eq!(stage.chromium.title().await, "Do you already have an account?");
        stage.chromium.press(&[TAB]).await;
        assert_eq!(stage.chromium.focused().await, "Yes, I sign in to it by The acme people");
        stage.chromium.press(&[ENTER]).await;
        let url = Url::parse(&stage.arrives().await).unwrap();
        let code = stage.app.code(&stage.gateway, &Departure { from: url.clone(), url, form: None });
        let tokens = crate::harness::app::Tokens::of(&stage.app.redeem(&stage.gateway, &code, &[]).await);
        assert!(tokens.claims()["sub"].as_str().unwrap().starts_with("samlp|acme|"), "{}", tokens.claims());
        stage.end().await;
    }
}
