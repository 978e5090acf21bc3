//! The pages for a second factor in headless Chromium: by keyboard alone, from right to left, on a narrow screen, in the dark.

use crate::harness::app::{App, Tokens};
use crate::harness::browser::Departure;
use crate::harness::gateway::{Gateway, Setup};
use crate::harness::slapd::{PASSWORD, Slapd};
use crate::harness::web::{Asked, Site};
use crate::harness::webdriver::{Chromium, ENTER, TAB};
use crate::providers::second_factor::{Phone, staff};
use serde_json::{Value, json};
use url::Url;

const NARROW: u32 = 320;

struct Stage {
    gateway: Gateway,
    app: App,
    chromium: Chromium,
    _application: Site,
    _slapd: Slapd,
}

impl Stage {
    async fn new() -> Self {
        let application = Site::start(|_: &Asked| "<!doctype html><title>Notes</title><h1>Notes</h1>".to_owned()).await;
        let app = App { callback: format!("http://127.0.0.1:{}/callback", application.port), ..App::new("notes") };
        let slapd = Slapd::start();
        let setup = Setup { host: "localhost", ..Setup::new() };
        let setup = setup.application(&app.toml("", "")).connection(&staff(&slapd, "required"));
        let chromium = Chromium::start().await;
        chromium.looks_like(NARROW, "dark").await;
        Self { gateway: Gateway::start(setup).await, app, chromium, _application: application, _slapd: slapd }
    }

    /// Name and password, typed.
    async fn password(&self, changes: &[(&str, &str)]) {
        self.chromium.open(self.app.authorize(&self.gateway, changes).as_str()).await;
        self.type_in("jane").await;
        self.chromium.press(&[TAB]).await;
        self.type_in(PASSWORD).await;
        self.chromium.press(&[ENTER]).await;
        self.chromium.wait_for_url(self.gateway.url("/login/password").as_str()).await;
        crate::harness::eventually("the next page", async || {
            (self.script("return !document.getElementById('password')").await == true).then_some(())
        })
        .await;
    }

    async fn type_in(&self, text: &str) {
        let letters: Vec<String> = text.chars().map(String::from).collect();
        self.chromium.press(&letters.iter().map(String::as_str).collect::<Vec<_>>()).await;
    }

    async fn script(&self, script: &str) -> Value {
        self.chromium.run(script).await
    }

    /// Nothing hangs over the edge, the text stands out from what is behind it, and the language is said to screen readers.
    async fn is_readable(&self, language: &str, direction: &str) {
        let page = self
            .script(
                "const style = getComputedStyle(document.body), root = document.documentElement; \
                 const light = text => text.match(/[\\d.]+/g).slice(0, 3).reduce((sum, part) => sum + Number(part), 0); \
                 return [root.lang, getComputedStyle(root).direction, root.scrollWidth <= window.innerWidth, \
                 light(style.color) - light(style.backgroundColor) > 300, document.querySelectorAll('h1').length]",
            )
            .await;
        assert_eq!(page, json!([language, direction, true, true, 1]));
    }
}

#[tokio::test]
async fn a_second_factor_is_set_up_and_asked_for_by_keyboard_alone() {
    let stage = Stage::new().await;
    let chromium = &stage.chromium;
    stage.password(&[("ui_locales", "ar")]).await;
    stage.is_readable("ar", "rtl").await;
    // The picture has a name, stands on white also in the dark, and is as wide as a phone needs it.
    let picture = stage
        .script(
            "const svg = document.querySelector('svg.qr'), box = svg.getBoundingClientRect(); \
             return [document.getElementById(svg.getAttribute('aria-labelledby')).textContent.length > 10, \
             getComputedStyle(svg.querySelector('rect')).fill, box.width >= 180 && Math.abs(box.width - box.height) < 1]",
        )
        .await;
    assert_eq!(picture, json!([true, "rgb(255, 255, 255)", true]));
    let phone = Phone::with(&stage.script("return document.getElementById('key').textContent").await.as_str().unwrap().replace(' ', ""));
    // The link to an app on this device, then the field: whoever hears the page hears its heading first.
    chromium.press(&[TAB, TAB]).await;
    assert_eq!(stage.script("return [document.activeElement.id, document.activeElement.labels.length]").await, json!(["code", 1]));
    stage.type_in(&phone.code(-1).await).await;
    chromium.press(&[ENTER]).await;
    chromium.wait_for_url(stage.gateway.url("/login/code").as_str()).await;
    stage.is_readable("ar", "rtl").await;
    let codes = stage.script("return [...document.querySelectorAll('#codes code')].map(code => code.textContent)").await;
    assert_eq!(codes.as_array().map(Vec::len), Some(10), "{codes}");
    chromium.press(&[TAB, ENTER]).await;
    chromium.wait_for_url(&stage.app.callback).await;
    // Again, in English: the field waits for the code, and says what is wrong.
    stage.password(&[("prompt", "login"), ("ui_locales", "en")]).await;
    stage.is_readable("en", "ltr").await;
    assert_eq!(chromium.focused().await, "");
    stage.type_in("000000").await;
    chromium.press(&[ENTER]).await;
    chromium.wait_for_url(stage.gateway.url("/login/code").as_str()).await;
    let problem = stage.script("const told = document.querySelector('[role=alert]'); return [told.id, told.textContent]").await;
    assert!(problem[0] == "problem" && problem[1].as_str().unwrap().starts_with("This code is not right"), "{problem}");
    stage.is_readable("en", "ltr").await;
    stage.type_in(&phone.code(0).await).await;
    chromium.press(&[ENTER]).await;
    let url = Url::parse(&chromium.wait_for_url(&stage.app.callback).await).unwrap();
    let code = stage.app.code(&stage.gateway, &Departure { from: url.clone(), url, form: None });
    assert_eq!(Tokens::of(&stage.app.redeem(&stage.gateway, &code, &[]).await).claims()["amr"], json!(["pwd", "otp", "mfa"]));
    let complaints = chromium.complaints().await;
    assert!(complaints.is_empty(), "the browser complains: {complaints:?}");
    stage.chromium.quit().await;
}
