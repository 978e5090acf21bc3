//! The page for name and password in headless Chromium: by keyboard alone, to screen readers and password managers, in a
//! language from right to left, on a narrow screen, in the dark.

use crate::harness::app::App;
use crate::harness::eventually;
use crate::harness::gateway::{Gateway, Setup};
use crate::harness::slapd::{PASSWORD, Slapd};
use crate::harness::web::{Asked, Site};
use crate::harness::webdriver::{Chromium, ENTER, TAB};
use serde_json::{Value, json};

struct Stage {
    gateway: Gateway,
    app: App,
    chromium: Chromium,
    _slapd: Slapd,
    _site: Site,
}

impl Stage {
    async fn new() -> Self {
        let site = Site::start(|asked: &Asked| {
            let outcome = if asked.parameters().contains_key("code") { "You are signed in" } else { "You are not signed in" };
            format!("<!doctype html><title>Notes</title><h1>{outcome}</h1>")
        })
        .await;
        let slapd = Slapd::start();
        let app = App { callback: format!("http://127.0.0.1:{}/callback", site.port), ..App::new("notes") };
        let setup = Setup { host: "localhost", ..Setup::new() };
        let setup = setup.application(&app.toml("", "")).connection(&slapd.toml(""));
        Self { gateway: Gateway::start(setup).await, app, chromium: Chromium::start().await, _slapd: slapd, _site: site }
    }

    async fn open(&self, changes: &[(&str, &str)]) {
        self.chromium.open(self.app.authorize(&self.gateway, changes).as_str()).await;
        self.chromium.wait_for_url(self.gateway.url("/login/password").as_str()).await;
    }

    async fn type_in(&self, text: &str) {
        let keys: Vec<String> = text.chars().map(String::from).collect();
        self.chromium.press(&keys.iter().map(String::as_str).collect::<Vec<_>>()).await;
    }

    /// Role, name and description of everything on the page that has them, as screen readers get it.
    async fn told(&self) -> Vec<(String, String, String)> {
        self.chromium.devtools("Accessibility.enable", json!({})).await;
        let tree = self.chromium.devtools("Accessibility.getFullAXTree", json!({})).await;
        let text = |node: &Value, what: &str| node[what]["value"].as_str().unwrap_or_default().to_owned();
        let nodes = tree["nodes"].as_array().expect("a tree").iter().filter(|node| node["ignored"] == json!(false));
        nodes.map(|node| (text(node, "role"), text(node, "name"), text(node, "description"))).collect()
    }

    /// The page has come back with what went wrong.
    async fn problem(&self) {
        eventually("the problem", async || {
            let there = self.chromium.run("return document.getElementById('problem') !== null").await;
            (there == json!(true)).then_some(())
        })
        .await;
    }

    /// Which field has the focus, and what is in the other one.
    async fn fields(&self) -> Value {
        self.chromium.run("return [document.activeElement.id, username.value, password.value]").await
    }
}

#[tokio::test]
async fn who_has_only_a_keyboard_signs_in_and_hears_what_went_wrong() {
    let stage = Stage::new().await;
    stage.open(&[]).await;
    let told = stage.told().await;
    let boxes: Vec<&str> = told.iter().filter(|(role, ..)| role == "textbox").map(|(_, name, _)| name.as_str()).collect();
    assert_eq!(boxes, ["User name", "Password"], "{told:?}");
    assert!(told.iter().any(|(role, name, _)| role == "button" && name == "Sign in"), "{told:?}");
    assert!(told.iter().any(|(role, ..)| role == "heading") && !told.iter().any(|(role, ..)| role == "alert"), "{told:?}");
    // Whoever comes may type at once; the fields stand in the order in which they are filled in.
    assert_eq!(stage.fields().await, json!(["username", "", ""]));
    stage.type_in("jane").await;
    stage.chromium.press(&[TAB]).await;
    stage.type_in("wrong").await;
    stage.chromium.press(&[TAB]).await;
    assert_eq!(stage.chromium.focused().await, "Sign in");
    stage.chromium.press(&[ENTER]).await;
    stage.problem().await;
    let told = stage.told().await;
    assert!(told.iter().any(|(role, ..)| role == "alert"), "{told:?}");
    // The field that comes next has the focus, and the problem is read out with it; what was typed as a name is kept.
    assert_eq!(stage.fields().await, json!(["password", "jane", ""]));
    let described = told.iter().find(|(role, name, _)| role == "textbox" && name == "Password").map(|(.., description)| description);
    assert!(described.is_some_and(|description| description.contains("is wrong")), "{told:?}");
    stage.type_in(PASSWORD).await;
    stage.chromium.press(&[ENTER]).await;
    stage.chromium.wait_for_url(&stage.app.callback).await;
    assert_eq!(stage.chromium.text().await, "You are signed in");
    // Back: the password is not there any more, and the page does nothing twice.
    stage.chromium.back().await;
    let left = stage.chromium.run("return document.getElementById('password')?.value ?? ''").await;
    assert_eq!(left, json!(""));
    assert!(stage.chromium.complaints().await.is_empty(), "the browser complains");
    stage.chromium.quit().await;
}

#[tokio::test]
async fn the_page_fits_a_narrow_dark_screen_in_a_language_from_right_to_left_without_scripts() {
    let stage = Stage::new().await;
    stage.chromium.looks_like(320, "dark").await;
    stage.open(&[("ui_locales", "ar"), ("login_hint", "jane@acme.example")]).await;
    // What is known is filled in, and what is not has the focus.
    assert_eq!(stage.fields().await, json!(["password", "jane@acme.example", ""]));
    let page = stage
        .chromium
        .run(
            "const root = document.documentElement, body = getComputedStyle(document.body); \
             const light = text => text.match(/[\\d.]+/g).slice(0, 3).reduce((sum, part) => sum + Number(part), 0); \
             const field = getComputedStyle(username), told = name => [name.autocomplete, name.type, getComputedStyle(name).direction]; \
             return [root.lang, getComputedStyle(root).direction, root.scrollWidth <= window.innerWidth, \
             light(body.color) - light(body.backgroundColor) > 300, light(field.color) - light(field.backgroundColor) > 300, \
             [...document.querySelectorAll('input:not([type=hidden]), button')].every(one => one.getBoundingClientRect().height >= 24), \
             told(username), told(password), document.scripts.length, username.autocapitalize, username.spellcheck]",
        )
        .await;
    let expected = json!([
        "ar",
        "rtl",
        true,
        true,
        true,
        true,
        ["username", "text", "ltr"],
        ["current-password", "password", "ltr"],
        0,
        "none",
        false
    ]);
    assert_eq!(page, expected);
    let told = stage.told().await;
    let names: Vec<&str> =
        told.iter().filter(|(role, ..)| role == "textbox" || role == "button").map(|(_, name, _)| name.as_str()).collect();
    assert!(names.len() == 3 && names.iter().all(|name| !name.is_empty() && !name.is_ascii()), "{told:?}");
    // The problem fits as well.
    stage.type_in("wrong").await;
    stage.chromium.press(&[ENTER]).await;
    stage.problem().await;
    assert_eq!(stage.chromium.run("return document.documentElement.scrollWidth <= window.innerWidth").await, json!(true));
    stage.chromium.scripts(false).await;
    stage.open(&[("ui_locales", "ar"), ("login_hint", "jane")]).await;
    stage.type_in(PASSWORD).await;
    stage.chromium.press(&[ENTER]).await;
    stage.chromium.wait_for_url(&stage.app.callback).await;
    assert_eq!(stage.chromium.text().await, "You are signed in");
    stage.chromium.quit().await;
}
