//! The pages of a logout in headless Chromium: by keyboard alone, on a narrow screen, in the dark, without scripts.

use crate::chromium::identity_provider;
use crate::harness::app::{App, Tokens};
use crate::harness::browser::Departure;
use crate::harness::gateway::{Gateway, Setup};
use crate::harness::idp::Idp;
use crate::harness::servers::free_port;
use crate::harness::web::{Asked, Site};
use crate::harness::webdriver::{Chromium, ENTER, TAB};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use std::sync::{Arc, OnceLock};
use url::Url;

/// Applications that are told in every way, at sites of their own.
struct Stage {
    gateway: Gateway,
    site: Site,
    notes: App,
    board: App,
    mail: App,
    chromium: Chromium,
    _idp: (Site, Arc<OnceLock<Idp>>),
}

impl Stage {
    /// `mail_hears`: whether the logout token of mail finds anybody.
    async fn new(mail_hears: bool) -> Self {
        let site = Site::start(|asked: &Asked| {
            let title = match asked.path() {
                "/bye" => "Good bye",
                "/callback" => "You are signed in",
                _ => "Out",
            };
            format!("<!doctype html><html lang=\"en\"><title>{title}</title><h1>{title}</h1>")
        })
        .await;
        let here = format!("http://127.0.0.1:{}", site.port);
        let dead = format!("http://127.0.0.1:{}/logout", free_port());
        let told_at = if mail_hears { format!("{here}/logout") } else { dead };
        let of = |client_id: &str| App { callback: format!("{here}/callback"), ..App::new(client_id) };
        let (notes, board, mail) = (of("notes"), of("board"), of("mail"));
        let idp = identity_provider("acme").await;
        let setup = Setup { host: "localhost", ..Setup::new() }
            .connection(&idp.1.get().unwrap().toml("", ""))
            .application(&notes.toml("", &format!("post_logout_redirect_uris = [\"{here}/bye\"]")))
            .application(&board.toml("", &format!("frontchannel_logout_uri = \"{here}/out\"")))
            .application(&mail.toml("", &format!("backchannel_logout_uri = \"{told_at}\"")));
        let gateway = Gateway::start(setup).await;
        Self { gateway, site, notes, board, mail, chromium: Chromium::start().await, _idp: idp }
    }

    /// A whole login; the ID token.
    async fn sign_in(&self, app: &App) -> String {
        self.chromium.open(app.authorize(&self.gateway, &[]).as_str()).await;
        let url = Url::parse(&self.chromium.wait_for_url(&app.callback).await).unwrap();
        let code = app.code(&self.gateway, &Departure { from: url.clone(), url, form: None });
        Tokens::of(&app.redeem(&self.gateway, &code, &[]).await).id_token().to_owned()
    }

    async fn everywhere(&self) -> String {
        self.sign_in(&self.board).await;
        self.sign_in(&self.mail).await;
        self.sign_in(&self.notes).await
    }

    fn end(&self, hint: &str) -> String {
        let mut url = self.gateway.url("/oidc/logout");
        let bye = format!("http://127.0.0.1:{}/bye", self.site.port);
        url.query_pairs_mut().extend_pairs([("id_token_hint", hint), ("post_logout_redirect_uri", &bye)]);
        url.into()
    }

    fn frames_loaded(&self) -> usize {
        self.site.seen().iter().filter(|asked| asked.path() == "/out").count()
    }

    async fn finish(self) {
        let complaints = self.chromium.complaints().await;
        assert!(complaints.is_empty(), "the browser complains: {complaints:?}");
        self.chromium.quit().await;
    }
}

/// What holds for every page, at 320 pixels and in both colours: nothing runs out of the window, landmarks and labels are
/// there, what is read and what is pressed can be told from its ground, and no script but ours has come with it.
async fn is_a_good_page(chromium: &Chromium, what: &str) {
    for (width, colours) in [(320, "light"), (320, "dark"), (1280, "dark"), (1280, "light")] {
        chromium.looks_like(width, colours).await;
        let found = chromium.run(EXAMINE).await;
        // For whoever wants to see for themselves.
        if let Some(place) = std::env::var_os("ISTHMUS_PICTURES") {
            let picture = STANDARD.decode(chromium.picture().await).expect("base64");
            std::fs::write(std::path::Path::new(&place).join(format!("{what}-{width}-{colours}.png")), picture).expect("written");
        }
        let faults = found["faults"].as_array().expect("faults");
        assert!(faults.is_empty(), "{what} at {width}, {colours}: {found}");
        let ground: Vec<u64> = found["ground"].as_array().expect("a colour").iter().filter_map(Value::as_u64).collect();
        assert_eq!(ground.iter().sum::<u64>() < 300, colours == "dark", "{what}: {found}");
    }
}

/// WCAG 2.2: 1.1.1, 1.3.1, 1.4.3, 1.4.10, 2.4.2, 2.5.8, 3.1.1, 4.1.2, as far as a script can see them.
const EXAMINE: &str = r#"
const faults = [], doc = document.documentElement;
if (doc.scrollWidth > innerWidth) faults.push(`${doc.scrollWidth} pixels wide`);
if (!doc.lang) faults.push("no language");
if (!document.title) faults.push("no title");
for (const one of ["main", "h1"]) if (document.querySelectorAll(one).length !== 1) faults.push(`not one ${one}`);
for (const frame of document.querySelectorAll("iframe")) if (!frame.title || !frame.hidden) faults.push("a frame without title, or shown");
for (const script of document.scripts) if (!script.nonce) faults.push("a script without nonce");
for (const element of document.querySelectorAll("*"))
  for (const {name} of element.attributes) if (name.startsWith("on") || name === "style") faults.push(`${element.tagName} ${name}`);
const colour = text => text.match(/[\d.]+/g).map(Number);
const light = ([r, g, b]) => [r, g, b].map(c => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
  .reduce((sum, c, at) => sum + c * [0.2126, 0.7152, 0.0722][at], 0);
const ground = element => { for (let at = element; at; at = at.parentElement) { const found = colour(getComputedStyle(at).backgroundColor); if (found.length < 4 || found[3] > 0) return found; } return [255, 255, 255]; };
for (const element of document.querySelectorAll("h1, p, li, span, a, button")) {
  const box = element.getBoundingClientRect();
  if (!element.textContent.trim() || !box.width) continue;
  const [a, b] = [light(colour(getComputedStyle(element).color)), light(ground(element))].sort((x, y) => y - x);
  if ((a + 0.05) / (b + 0.05) < 4.5) faults.push(`contrast of ${element.tagName} ${element.textContent.trim().slice(0, 40)}`);
  if (["BUTTON", "A"].includes(element.tagName) && (box.height < 24 || box.width < 24)) faults.push(`a small ${element.tagName}`);
}
return {faults, ground: ground(document.querySelector("main")).slice(0, 3)};
"#;

#[tokio::test]
async fn the_question_whether_to_sign_out_is_answered_by_keyboard() {
    let stage = Stage::new(true).await;
    stage.sign_in(&stage.notes).await;
    stage.chromium.open(stage.gateway.url("/oidc/logout").as_str()).await;
    assert_eq!(stage.chromium.title().await, "Do you want to sign out?");
    is_a_good_page(&stage.chromium, "the question").await;
    stage.chromium.press(&[TAB]).await;
    assert_eq!(stage.chromium.focused().await, "Sign out");
    stage.chromium.press(&[ENTER]).await;
    crate::harness::eventually("the end", async || (stage.chromium.title().await != "Do you want to sign out?").then_some(())).await;
    is_a_good_page(&stage.chromium, "the end").await;
    let asked = stage.notes.authorize(&stage.gateway, &[("prompt", "none")]);
    stage.chromium.open(asked.as_str()).await;
    assert!(stage.chromium.wait_for_url(&stage.notes.callback).await.contains("error=login_required"));
    stage.finish().await;
}

#[tokio::test]
async fn frames_are_loaded_and_the_page_goes_on_by_itself() {
    let stage = Stage::new(true).await;
    let hint = stage.everywhere().await;
    stage.chromium.open(&stage.end(&hint)).await;
    stage.chromium.wait_for_url(&format!("http://127.0.0.1:{}/bye", stage.site.port)).await;
    assert_eq!(stage.frames_loaded(), 1);
    assert!(stage.site.seen().iter().any(|asked| asked.path() == "/logout" && asked.parameters().contains_key("logout_token")));
    stage.finish().await;
}

#[tokio::test]
async fn without_scripts_a_button_goes_on() {
    let stage = Stage::new(true).await;
    let hint = stage.everywhere().await;
    stage.chromium.scripts(false).await;
    stage.chromium.open(&stage.end(&hint)).await;
    assert_eq!(stage.frames_loaded(), 1);
    // Scripts of the page are past; those of the judge are not.
    stage.chromium.scripts(true).await;
    is_a_good_page(&stage.chromium, "under way").await;
    assert!(stage.chromium.text().await.contains("Board"), "{}", stage.chromium.text().await);
    stage.chromium.press(&[TAB]).await;
    assert_eq!(stage.chromium.focused().await, "Continue");
    stage.chromium.press(&[ENTER]).await;
    stage.chromium.wait_for_url(&format!("http://127.0.0.1:{}/bye", stage.site.port)).await;
    stage.finish().await;
}

#[tokio::test]
async fn who_could_not_be_told_is_named_and_the_way_on_is_a_link() {
    let stage = Stage::new(false).await;
    let hint = stage.everywhere().await;
    stage.chromium.open(&stage.end(&hint)).await;
    crate::harness::eventually("the last page", async || stage.chromium.text().await.contains("Continue to").then_some(())).await;
    let text = stage.chromium.text().await;
    assert!(text.contains("Mail"), "{text}");
    is_a_good_page(&stage.chromium, "partial").await;
    stage.chromium.press(&[TAB]).await;
    assert_eq!(stage.chromium.focused().await, "Continue to Notes");
    stage.chromium.press(&[ENTER]).await;
    stage.chromium.wait_for_url(&format!("http://127.0.0.1:{}/bye", stage.site.port)).await;
    stage.finish().await;
}
