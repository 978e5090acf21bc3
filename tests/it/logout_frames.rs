//! Partners of SAML in hidden frames of our page: one that is dead stops nothing.

use crate::harness::browser::{Browser, Departure, Page, client};
use crate::harness::gateway::{Gateway, Setup};
use crate::harness::html::{self, attribute, unescape};
use crate::harness::servers::{Server, free_port};
use crate::harness::web::{Reply, Site};
use crate::harness::webdriver::Chromium;
use crate::logout_support::{BYE, Cascade, Heard, Partner};
use std::sync::{Arc, OnceLock};
use url::Url;

const APPS: &str = "/saml/metadata";
const IDPS: &str = "/connections/acme/metadata";

/// The frames of a page that lead to partners.
pub fn frames(page: &Page) -> Vec<Url> {
    let tags = page.body.split("<iframe ").skip(1).map(|part| part.split('>').next().unwrap());
    let partners = tags.filter(|tag| tag.contains("data-partner"));
    partners.map(|tag| page.url.join(&unescape(&attribute(tag, "src").expect("an address"))).unwrap()).collect()
}

/// What a frame gets, which is either sent on or told that all is done.
pub async fn load(url: &Url) -> Option<Departure> {
    let answer = client().get(url.clone()).header("sec-fetch-dest", "iframe").send().await.unwrap();
    if let Some(location) = answer.headers().get("location") {
        assert_eq!(answer.status(), 303);
        return Some(Departure { url: Url::parse(location.to_str().unwrap()).unwrap(), form: None, from: url.clone() });
    }
    assert_eq!(answer.status(), 200, "{url}");
    let policy = answer.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.contains("frame-ancestors 'self'"), "{policy}");
    assert_eq!(answer.headers()["x-frame-options"], "SAMEORIGIN");
    let body = answer.text().await.unwrap();
    if let Some(form) = html::form(&body) {
        let to = Url::parse(&form.action).unwrap();
        return Some(Departure { url: to, form: Some(form.fields), from: url.clone() });
    }
    assert!(body.contains("id=\"told\""), "{body}");
    None
}

/// As the page's script goes on, when it has waited for its frames.
pub async fn framed(browser: &Browser, page: &Page) -> crate::harness::browser::Landed {
    browser.post(&page.url, &page.url, &[("step".to_owned(), "framed".to_owned())]).await
}

#[tokio::test]
async fn a_dead_partner_stops_nothing_and_the_starter_has_its_answer() {
    let other = Partner::new("blog");
    let application = other.application("");
    let scene = Cascade::with("logout = true", "", |setup| setup.application(&application)).await;
    let blog = scene.saml(&other).await;
    let (wiki, docs) = (scene.saml(&scene.wiki).await, scene.saml(&scene.docs).await);
    let (apps, idps) = (scene.metadata(APPS).await, scene.metadata(IDPS).await);
    let request = other.request(scene.slo(), &blog);
    let page = scene.look(&other.redirect(&request)).await;
    // Both are asked at once, before the window goes anywhere; only they may be framed, and we ourselves.
    assert!(page.header("content-security-policy").contains("frame-src 'self' https://docs.example https://wiki.example; "));
    let addresses = frames(&page);
    assert_eq!(addresses.len(), 2);
    let to_docs = scene.hear(&load(&addresses[0]).await.expect("sent on"), &apps);
    let to_wiki = scene.hear(&load(&addresses[1]).await.expect("sent on"), &apps);
    to_docs.assert_ends(&docs, &scene.docs);
    to_wiki.assert_ends(&wiki, &scene.wiki);
    // Docs never answers. Wiki does, in its frame.
    assert!(load(&scene.wiki.redirect(&scene.wiki.answer(scene.slo(), &to_wiki, &["Success"]))).await.is_none());
    // In the window wiki is asked once more, with its cookies, and knows of no such session any more; docs is left alone.
    let again = scene.hear(&framed(&scene.browser, &page).await.away(), &apps);
    assert_ne!(again.of("ID"), to_wiki.of("ID"));
    again.assert_ends(&wiki, &scene.wiki);
    let to_acme = scene.answers(&scene.wiki, scene.slo(), &again, &["Requester", "UnknownPrincipal"]).await.away();
    let to_acme = scene.hear(&to_acme, &idps);
    let back = scene.answers(&scene.acme, scene.connection_slo(), &to_acme, &["Success"]).await.away();
    scene.hear(&back, &apps).assert_answers(&request, &other, &["Success", "PartialLogout"]);
    let trace = scene.gateway.trace(page.correlation_id()).await.to_string();
    assert!(trace.contains("The wiki answered in its frame"), "{trace}");
    let logged = scene.look(&page.url).await;
    assert!(logged.contains("The docs: <span class=\"bad\">no answer</span>"), "{}", logged.body);
    assert!(logged.contains("The wiki: <span class=\"good\">signed out</span>"), "{}", logged.body);
    assert!(frames(&logged).is_empty());
}

#[tokio::test]
async fn an_answer_in_a_frame_counts_once_and_from_the_one_who_was_asked() {
    let scene = Cascade::with("", "", |setup| setup).await;
    let hint = scene.openid("notes").await;
    scene.saml(&scene.wiki).await;
    scene.saml(&scene.docs).await;
    let apps = scene.metadata(APPS).await;
    let page = scene.look(&scene.end_session(&[("id_token_hint", &hint), ("post_logout_redirect_uri", BYE)])).await;
    let addresses = frames(&page);
    let to_docs = scene.hear(&load(&addresses[0]).await.expect("sent on"), &apps);
    // Wiki cannot answer for docs, and whoever cannot sign cannot either.
    for forged in [
        scene.wiki.redirect(&scene.wiki.answer(scene.slo(), &to_docs, &["Success"])),
        scene.docs.answer(scene.slo(), &to_docs, &["Success"]).unsigned(),
    ] {
        client().get(forged).send().await.unwrap();
    }
    // It has answered, if badly, so it is visited; and no word of its frame makes good what it says there.
    let to_docs = scene.hear(&framed(&scene.browser, &page).await.away(), &apps);
    let result = scene.answers(&scene.docs, scene.slo(), &to_docs, &["Responder", "UnknownPrincipal"]).await.here();
    assert!(result.contains("The docs: <span class=\"bad\">not signed out: it knows of no such session"), "{}", result.body);
    assert!(result.contains("The wiki: <span class=\"bad\">no answer"), "{}", result.body);
}

#[tokio::test]
async fn without_scripts_one_is_visited_after_the_other_whatever_frames_say() {
    let scene = Cascade::with("", "", |setup| setup).await;
    let hint = scene.openid("notes").await;
    scene.saml(&scene.wiki).await;
    scene.saml(&scene.docs).await;
    let apps = scene.metadata(APPS).await;
    let page = scene.look(&scene.end_session(&[("id_token_hint", &hint), ("post_logout_redirect_uri", BYE)])).await;
    let addresses = frames(&page);
    for place in ["7", "-1", "x"] {
        let none = client().get(page.url.join(&format!("{}/frame/{place}", page.url.path())).unwrap()).send().await.unwrap();
        assert_eq!(none.status(), 404, "{place}");
    }
    // The window's way needs no frame: without scripts one is visited after the other.
    let to_docs = scene.hear(&scene.browser.press(&page, "Continue").await.away(), &apps);
    let to_wiki = scene.hear(&scene.answers(&scene.docs, scene.slo(), &to_docs, &["Success"]).await.away(), &apps);
    // A frame that comes late is not sent anywhere any more.
    assert!(load(&addresses[1]).await.is_none());
    let back = scene.answers(&scene.wiki, scene.slo(), &to_wiki, &["Success"]).await.away();
    assert_eq!(back.url.as_str(), BYE);
}

#[tokio::test]
async fn frames_are_served_and_answered_at_any_node() {
    let (redis, postgres) = (Server::redis(&[]), Server::postgres());
    let mut written = None;
    let scene = Cascade::with("", "", |setup| {
        let setup = Setup { sessions: redis.redis_url(), directory: postgres.postgres_url(), ..setup };
        written = Some(setup.clone());
        setup
    })
    .await;
    let other = Gateway::start(written.unwrap()).await;
    let hint = scene.openid("notes").await;
    scene.saml(&scene.wiki).await;
    let at_other = Browser::new().open(other.url(APPS).as_str()).await.here().body;
    let page = scene.look(&scene.end_session(&[("id_token_hint", &hint), ("post_logout_redirect_uri", BYE)])).await;
    let there = other.url(frames(&page)[0].path());
    let to_wiki = Heard::read(&load(&there).await.expect("sent on"), &at_other);
    assert!(load(&scene.wiki.redirect(&scene.wiki.answer(other.url("/saml/slo"), &to_wiki, &["Success"]))).await.is_none());
    // The first node knows of it: who has answered is visited, and not passed over.
    let apps = scene.metadata(APPS).await;
    let again = scene.hear(&framed(&scene.browser, &page).await.away(), &apps);
    let back = scene.answers(&scene.wiki, scene.slo(), &again, &["Success"]).await.away();
    assert_eq!(back.url.as_str(), BYE);
}

/// A partner that answers by redirect, as one that lives does.
async fn living_at(port: u16, partner: &Arc<Partner>, gateway: &Arc<OnceLock<Url>>) -> Site {
    let (partner, gateway) = (Arc::clone(partner), Arc::clone(gateway));
    Site::answering(port, move |asked| {
        let to = gateway.get().expect("the gateway is there");
        let Some(message) = asked.parameters().get("SAMLRequest").cloned() else { return Reply::status(404) };
        let xml = if asked.method == "POST" { Heard::posted(&message) } else { Heard::inflated(&message) };
        let heard = Heard { xml, to: to.clone(), relay_state: None };
        Reply::redirect(partner.redirect(&partner.answer(to.clone(), &heard, &["Success"])).as_str())
    })
    .await
}

#[tokio::test]
async fn in_a_browser_the_page_goes_on_past_a_dead_and_a_silent_partner() {
    let gateway: Arc<OnceLock<Url>> = Arc::default();
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let at = |port: u16| format!("http://127.0.0.1:{port}/slo");
    let (mut alive, mut well, mut dead, mut mute) =
        (Partner::new("alive"), Partner::new("well"), Partner::new("dead"), Partner::new("mute"));
    dead.slo = at(free_port());
    mute.slo = at(silent.local_addr().unwrap().port());
    // Its address is known when it listens, and it answers with its own key.
    let ports = (free_port(), free_port());
    (alive.slo, well.slo) = (at(ports.0), at(ports.1));
    let (alive, well) = (Arc::new(alive), Arc::new(well));
    let tables = [alive.application(""), well.application("logout_binding = \"redirect\""), dead.application(""), mute.application("")];
    let scene = Cascade::with("", "", |setup| tables.iter().fold(setup, |setup, table| setup.application(table))).await;
    gateway.set(scene.slo()).unwrap();
    let sites = [living_at(ports.0, &alive, &gateway).await, living_at(ports.1, &well, &gateway).await];
    let hint = scene.openid("notes").await;
    scene.saml(&alive).await;
    for partner in [&*well, &dead, &mute] {
        scene.saml(partner).await;
    }
    let page = scene.look(&scene.end_session(&[("id_token_hint", &hint), ("post_logout_redirect_uri", BYE)])).await;
    assert_eq!(frames(&page).len(), 4);
    let chromium = Chromium::start().await;
    chromium.open(page.url.as_str()).await;
    let result = crate::harness::eventually("the result", async || {
        let text = chromium.text().await;
        text.contains("not everywhere").then_some(text)
    })
    .await;
    for line in ["The alive: signed out", "The well: signed out", "The dead: no answer", "The mute: no answer", "Continue to Notes"] {
        assert!(result.contains(line), "{line}: {result}");
    }
    // In its frame, and in the window.
    for site in &sites {
        assert_eq!(site.seen().iter().filter(|asked| asked.parameters().contains_key("SAMLRequest")).count(), 2);
    }
    // That nobody is at one address, and that pages of our own could leave the sandbox, is known.
    let expected = |text: &String| text.contains("ERR_CONNECTION_REFUSED") || text.contains("allow-same-origin for its sandbox");
    let complaints: Vec<_> = chromium.complaints().await.into_iter().filter(|text| !expected(text)).collect();
    assert!(complaints.is_empty(), "{complaints:?}");
    chromium.quit().await;
}
