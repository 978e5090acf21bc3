//! The question of consent and the page for devices in headless Chromium: by keyboard alone, in other languages, on a narrow
//! screen, in the dark.

use crate::chromium::identity_provider;
use crate::harness::app::{App, Auth, Tokens};
use crate::harness::browser::{Departure, Page};
use crate::harness::gateway::{Gateway, Setup};
use crate::harness::web::{Asked, Site};
use crate::harness::webdriver::{Chromium, ENTER, TAB};
use serde_json::json;
use url::Url;

const THIRD: &str = "first_party = false\npolicy_uri = \"https://notes.example/privacy\"";
const DEVICE: &str = "grant_types = [\"authorization_code\", \"urn:ietf:params:oauth:grant-type:device_code\"]";
const NARROW: u32 = 320;

struct Stage {
    gateway: Gateway,
    app: App,
    chromium: Chromium,
    _sites: [Site; 2],
}

impl Stage {
    async fn new(auth: Auth, oidc: &str) -> Self {
        let application = Site::start(|asked: &Asked| {
            let outcome = if asked.parameters().contains_key("code") { "You are signed in" } else { "You are not signed in" };
            format!("<!doctype html><title>Notes</title><h1>{outcome}</h1>")
        })
        .await;
        let (idp, known) = identity_provider("acme").await;
        let app = App { callback: format!("http://127.0.0.1:{}/callback", application.port), ..App::new("notes").by(auth) };
        let setup = Setup { host: "localhost", ..Setup::new() };
        let setup = setup.application(&app.toml("", oidc)).connection(&known.get().unwrap().toml("", ""));
        let chromium = Chromium::start().await;
        chromium.looks_like(NARROW, "dark").await;
        Self { gateway: Gateway::start(setup).await, app, chromium, _sites: [application, idp] }
    }

    async fn asked(&self, changes: &[(&str, &str)]) {
        self.chromium.open(self.app.authorize(&self.gateway, changes).as_str()).await;
        self.chromium.wait_for_url(self.gateway.url("/connections/acme/acs").as_str()).await;
    }

    /// Nothing hangs over the edge, the text stands out from what is behind it, and the language is said to screen readers.
    async fn is_readable(&self, language: &str, direction: &str) {
        let page = self
            .chromium
            .run(
                "const style = getComputedStyle(document.body), root = document.documentElement; \
                 const light = text => text.match(/[\\d.]+/g).slice(0, 3).reduce((sum, part) => sum + Number(part), 0); \
                 return [root.lang, getComputedStyle(root).direction, root.scrollWidth <= window.innerWidth, \
                 light(style.color) - light(style.backgroundColor) > 300, document.querySelectorAll('h1').length]",
            )
            .await;
        assert_eq!(page, json!([language, direction, true, true, 1]));
    }

    async fn end(self) {
        let complaints = self.chromium.complaints().await;
        assert!(complaints.is_empty(), "the browser complains: {complaints:?}");
        self.chromium.quit().await;
    }
}

#[tokio::test]
async fn consent_is_given_and_refused_by_keyboard_alone_in_a_language_from_right_to_left() {
    let stage = Stage::new(Auth::Basic, THIRD).await;
    let arabic = [("ui_locales", "ar"), ("prompt", "consent")];
    stage.asked(&arabic).await;
    stage.is_readable("ar", "rtl").await;
    // The policy, then both answers.
    stage.chromium.press(&[TAB, TAB, TAB]).await;
    let refuse = stage.chromium.focused().await;
    stage.chromium.press(&[ENTER]).await;
    stage.chromium.wait_for_url(&stage.app.callback).await;
    assert_eq!(stage.chromium.text().await, "You are not signed in");
    // The session is there, so only the question is asked again.
    stage.chromium.open(stage.app.authorize(&stage.gateway, &arabic).as_str()).await;
    stage.chromium.press(&[TAB, TAB]).await;
    let allow = stage.chromium.focused().await;
    assert!(allow != refuse && !allow.is_ascii() && !refuse.is_ascii(), "{allow} {refuse}");
    stage.chromium.press(&[ENTER]).await;
    let url = Url::parse(&stage.chromium.wait_for_url(&stage.app.callback).await).unwrap();
    let code = stage.app.code(&stage.gateway, &Departure { from: url.clone(), url, form: None });
    Tokens::of(&stage.app.redeem(&stage.gateway, &code, &[]).await);
    stage.end().await;
}

#[tokio::test]
async fn a_device_is_connected_by_keyboard_alone() {
    let stage = Stage::new(Auth::None, DEVICE).await;
    let url = stage.gateway.url("/oauth/device/code");
    let form = [("client_id", "notes"), ("scope", "openid"), ("ui_locales", "de")];
    let asked = Page::read(stage.gateway.client().post(url.clone()).form(&form).send().await.unwrap(), &url).await.json();
    let code = asked["user_code"].as_str().unwrap().to_owned();
    stage.chromium.open(stage.gateway.url("/activate").as_str()).await;
    stage.is_readable("en", "ltr").await;
    // The field has no focus by itself: whoever hears the page hears its heading first.
    stage.chromium.press(&[TAB]).await;
    let letters: Vec<String> = code.to_lowercase().chars().map(String::from).collect();
    stage.chromium.press(&letters.iter().map(String::as_str).collect::<Vec<_>>()).await;
    stage.chromium.press(&[ENTER]).await;
    stage.chromium.wait_for_url(stage.gateway.url("/connections/acme/acs").as_str()).await;
    assert!(stage.chromium.text().await.contains(&code), "{}", stage.chromium.text().await);
    stage.chromium.press(&[TAB]).await;
    assert_eq!(stage.chromium.focused().await, "Connect the device");
    stage.chromium.press(&[ENTER]).await;
    stage.chromium.wait_for_url(stage.gateway.url("/login/consent").as_str()).await;
    assert!(stage.chromium.text().await.contains("Go back to your device"), "{}", stage.chromium.text().await);
    stage.end().await;
}
