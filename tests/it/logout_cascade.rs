//! Single Logout over HTTP: whoever begins it, everybody else is told, and who began it gets its answer.

use crate::harness::browser::Browser;
use crate::harness::gateway::{Gateway, Setup};
use crate::harness::servers::Server;
use crate::logout_support::{BYE, Cascade, FRAME, Heard, look};
use url::Url;

const APPS: &str = "/saml/metadata";
const IDPS: &str = "/connections/acme/metadata";

#[tokio::test]
async fn an_openid_application_ends_it_for_everybody_and_gets_the_browser_back() {
    let scene = Cascade::new().await;
    let hint = scene.openid("notes").await;
    scene.openid("mail").await;
    scene.openid("board").await;
    let (wiki, docs) = (scene.saml(&scene.wiki).await, scene.saml(&scene.docs).await);
    let sid = claims(&hint)["sid"].as_str().unwrap().to_owned();
    let (apps, idps) = (scene.metadata(APPS).await, scene.metadata(IDPS).await);

    let start = scene.end_session(&[("id_token_hint", &hint), ("post_logout_redirect_uri", BYE), ("state", "a b")]);
    let page = scene.look(&start).await;
    // First of all it is over here.
    assert!(!scene.is_signed_in().await);
    assert!(scene.browser.cookie("isthmus-session").is_none());
    // The application of the back channel has its token already.
    let told = scene.told();
    assert_eq!(told.len(), 1);
    assert_eq!((&told[0]["iss"], &told[0]["aud"], &told[0]["sid"]), (&scene.gateway.issuer().into(), &"mail".into(), &sid.clone().into()));
    assert!(told[0]["events"]["http://schemas.openid.net/event/backchannel-logout"].is_object() && told[0].get("nonce").is_none());
    // That of the front channel is in a frame, and nobody else may be.
    let mut frame = Url::parse(FRAME).unwrap();
    frame.query_pairs_mut().append_pair("iss", &scene.gateway.issuer()).append_pair("sid", &sid);
    assert!(crate::harness::html::unescape(&page.body).contains(&format!("<iframe src=\"{frame}\"")), "{}", page.body);
    assert!(
        page.header("content-security-policy")
            .contains("frame-src 'self' https://board.example https://docs.example https://wiki.example; "),
        "{:?}",
        page.headers
    );
    // Then the applications of SAML, one after the other, and the identity provider last.
    let to_docs = scene.hear(&scene.browser.press(&page, "Continue").await.away(), &apps);
    to_docs.assert_ends(&docs, &scene.docs);
    assert_eq!((to_docs.text("saml:Issuer"), to_docs.relay_state.clone()), (format!("{}/saml/metadata", scene.gateway.issuer()), None));
    let to_wiki = scene.hear(&scene.answers(&scene.docs, scene.slo(), &to_docs, &["Success"]).await.away(), &apps);
    to_wiki.assert_ends(&wiki, &scene.wiki);
    let to_acme = scene.hear(&scene.answers(&scene.wiki, scene.slo(), &to_wiki, &["Success"]).await.away(), &idps);
    to_acme.assert_ends(&scene.upstream(), &scene.acme);
    assert_eq!(to_acme.text("saml:Issuer"), scene.gateway.url(IDPS).to_string());
    let back = scene.answers(&scene.acme, scene.connection_slo(), &to_acme, &["Success"]).await.away();
    assert_eq!(back.url.as_str(), "https://notes.example/bye?state=a+b");
    assert_eq!(scene.gateway.metric("isthmus_logouts_total{by=\"oidc\",outcome=\"success\"}").await, 1);
    // The operator reads who was told, and what they said.
    let trace = scene.gateway.trace(page.correlation_id()).await.to_string();
    for text in ["session ended", "told Mail", "The docs answered", "The acme people", "everybody has confirmed"] {
        assert!(trace.contains(text), "{text}: {trace}");
    }
}

#[tokio::test]
async fn a_saml_application_ends_it_for_everybody_and_is_answered() {
    let scene = Cascade::new().await;
    let wiki = scene.saml(&scene.wiki).await;
    let docs = scene.saml(&scene.docs).await;
    scene.openid("mail").await;
    scene.openid("board").await;
    let (apps, idps) = (scene.metadata(APPS).await, scene.metadata(IDPS).await);
    let request = scene.wiki.request(scene.slo(), &wiki);
    let page = scene.look(&scene.wiki.redirect(&request)).await;
    assert!(!scene.is_signed_in().await);
    assert_eq!(scene.told().len(), 1);
    assert!(page.contains(FRAME) && page.contains("The docs"), "{}", page.body);
    let to_docs = scene.hear(&scene.browser.press(&page, "Continue").await.away(), &apps);
    to_docs.assert_ends(&docs, &scene.docs);
    let to_acme = scene.hear(&scene.answers(&scene.docs, scene.slo(), &to_docs, &["Success"]).await.away(), &idps);
    let back = scene.answers(&scene.acme, scene.connection_slo(), &to_acme, &["Success"]).await.away();
    scene.hear(&back, &apps).assert_answers(&request, &scene.wiki, &["Success"]);
    assert_eq!(scene.gateway.metric("isthmus_logouts_total{by=\"saml\",outcome=\"success\"}").await, 1);
}

#[tokio::test]
async fn the_identity_provider_ends_it_for_everybody_and_is_answered() {
    let scene = Cascade::new().await;
    let (wiki, docs) = (scene.saml(&scene.wiki).await, scene.saml(&scene.docs).await);
    scene.openid("mail").await;
    scene.openid("board").await;
    let (apps, idps) = (scene.metadata(APPS).await, scene.metadata(IDPS).await);
    let request = scene.acme.request(scene.connection_slo(), &scene.upstream());
    let page = scene.look(&scene.acme.redirect(&request)).await;
    assert!(!scene.is_signed_in().await);
    assert_eq!(scene.told().len(), 1);
    let to_docs = scene.hear(&scene.browser.press(&page, "Continue").await.away(), &apps);
    to_docs.assert_ends(&docs, &scene.docs);
    let to_wiki = scene.hear(&scene.answers(&scene.docs, scene.slo(), &to_docs, &["Success"]).await.away(), &apps);
    to_wiki.assert_ends(&wiki, &scene.wiki);
    let back = scene.answers(&scene.wiki, scene.slo(), &to_wiki, &["Success"]).await.away();
    scene.hear(&back, &idps).assert_answers(&request, &scene.acme, &["Success"]);
}

#[tokio::test]
async fn a_form_without_our_cookie_finds_the_session_by_what_it_names() {
    let scene = Cascade::with("", "", |setup| setup).await;
    let wiki = scene.saml(&scene.wiki).await;
    let apps = scene.metadata(APPS).await;
    // Another site's form carries no SameSite=Lax cookie; and to the application's own endpoint.
    let request = scene.wiki.request(scene.gateway.url("/samlp/wiki/logout"), &wiki);
    let from = Url::parse("https://wiki.example/").unwrap();
    let back = scene.browser.post(&from, &request.to, &scene.wiki.form(&request)).await.away();
    scene.hear(&back, &apps).assert_answers(&request, &scene.wiki, &["Success"]);
    assert!(!scene.is_signed_in().await);
    // The same from the identity provider, in a browser that knows nothing of us.
    let wiki = scene.saml(&scene.wiki).await;
    let request = scene.acme.request(scene.connection_slo(), &scene.upstream());
    let landed = Browser::new().post(&scene.idp.page(), &request.to, &scene.acme.form(&request)).await.away();
    scene.hear(&landed, &apps).assert_ends(&wiki, &scene.wiki);
    assert!(!scene.is_signed_in().await);
}

#[tokio::test]
async fn without_an_index_all_sessions_of_the_person_end() {
    let scene = Cascade::with("", "", |setup| setup).await;
    let wiki = scene.saml(&scene.wiki).await;
    let (other, apps) = (Browser::new(), scene.metadata(APPS).await);
    let second = Cascade { browser: other, ..scene };
    let again = second.saml(&second.wiki).await;
    assert_eq!(wiki.name, again.name, "a persistent name");
    // What is optional is left out: SessionIndex, NotOnOrAfter, Format and qualifiers, RelayState.
    let bare = crate::logout_support::Known { attributes: String::new(), session_index: None, ..wiki };
    let mut request = second.wiki.request(second.slo(), &bare);
    (request.attributes, request.relay_state) = (String::new(), None);
    let back = Browser::new().open(second.wiki.redirect(&request).as_str()).await.away();
    second.hear(&back, &apps).assert_answers(&request, &second.wiki, &["Success"]);
    assert!(!second.is_signed_in().await, "the session of the other browser too");
    // An index names one of them only.
    let first = second.saml(&second.wiki).await;
    let third = Cascade { browser: Browser::new(), ..second };
    third.saml(&third.wiki).await;
    let request = third.wiki.request(third.slo(), &first);
    Browser::new().open(third.wiki.redirect(&request).as_str()).await.away();
    assert!(third.is_signed_in().await);
}

#[tokio::test]
async fn who_does_not_confirm_makes_it_partial_and_the_others_are_told_still() {
    let scene = Cascade::new().await;
    let wiki = scene.saml(&scene.wiki).await;
    scene.saml(&scene.docs).await;
    let (apps, idps) = (scene.metadata(APPS).await, scene.metadata(IDPS).await);
    let request = scene.wiki.request(scene.slo(), &wiki);
    let to_docs = scene.hear(&scene.browser.open(scene.wiki.redirect(&request).as_str()).await.away(), &apps);
    let to_acme = scene.answers(&scene.docs, scene.slo(), &to_docs, &["Responder", "RequestDenied"]).await.away();
    let to_acme = scene.hear(&to_acme, &idps);
    let back = scene.answers(&scene.acme, scene.connection_slo(), &to_acme, &["Success", "PartialLogout"]).await.away();
    scene.hear(&back, &apps).assert_answers(&request, &scene.wiki, &["Success", "PartialLogout"]);
    assert_eq!(scene.gateway.metric("isthmus_logouts_total{by=\"saml\",outcome=\"partial\"}").await, 1);
}

#[tokio::test]
async fn an_application_that_cannot_be_told_makes_it_partial_for_a_partner_of_saml() {
    let scene = Cascade::with("", "logout = false", |setup| setup).await;
    let wiki = scene.saml(&scene.wiki).await;
    scene.saml(&scene.docs).await;
    let apps = scene.metadata(APPS).await;
    let request = scene.wiki.request(scene.slo(), &wiki);
    let back = scene.browser.open(scene.wiki.redirect(&request).as_str()).await.away();
    scene.hear(&back, &apps).assert_answers(&request, &scene.wiki, &["Success", "PartialLogout"]);
}

#[tokio::test]
async fn a_dead_partner_is_gone_on_without() {
    let scene = Cascade::with("", "", |setup| setup).await;
    let hint = scene.openid("notes").await;
    scene.saml(&scene.wiki).await;
    let docs = scene.saml(&scene.docs).await;
    let apps = scene.metadata(APPS).await;
    let page = scene.look(&scene.end_session(&[("id_token_hint", &hint), ("post_logout_redirect_uri", BYE)])).await;
    // The page stays on the screen while the browser waits for docs.
    assert!(page.contains(">Go on without The docs</button>"), "{}", page.body);
    let to_docs = scene.hear(&scene.browser.press(&page, "Continue").await.away(), &apps);
    to_docs.assert_ends(&docs, &scene.docs);
    // It never answers. Whoever comes back to the page finds it waiting, and it does not send the browser there again.
    let stuck = scene.look(&page.url).await;
    assert!(stuck.contains("One of the others has not answered") && !stuck.contains(".submit()"), "{}", stuck.body);
    // Once more, with a fresh request.
    let again = scene.hear(&scene.browser.press(&stuck, "Try The docs again").await.away(), &apps);
    assert_ne!(again.of("ID"), to_docs.of("ID"));
    let to_wiki = scene.hear(&scene.browser.press(&stuck, "Go on without The docs").await.away(), &apps);
    let result = scene.answers(&scene.wiki, scene.slo(), &to_wiki, &["Success"]).await.here();
    // The application cannot be told who is missing: the person is, and goes on by themselves.
    assert!(result.contains("not everywhere") && result.contains("The docs: <span class=\"bad\">no answer</span>"), "{}", result.body);
    assert!(result.contains(&format!("href=\"{BYE}\"")), "{}", result.body);
    // Too late.
    let late = scene.answers(&scene.docs, scene.slo(), &again, &["Success"]).await.here();
    assert_eq!(late.status, 400, "{}", late.body);
}

#[tokio::test]
async fn a_back_channel_that_fails_is_said_and_tried_again() {
    let dead = crate::harness::servers::free_port();
    let app = crate::harness::app::App::new("dead");
    let toml = app.toml("", &format!("backchannel_logout_uri = \"http://127.0.0.1:{dead}/logout\""));
    let scene = Cascade::with("", "", |setup| setup.application(&toml)).await;
    scene.openid("dead").await;
    let hint = scene.openid("notes").await;
    let page = scene.look(&scene.end_session(&[("id_token_hint", &hint), ("post_logout_redirect_uri", BYE)])).await;
    assert!(page.contains("not everywhere") && page.contains("Dead: <span class=\"bad\">not signed out"), "{}", page.body);
    // The application comes back to life.
    let listener = std::net::TcpListener::bind(("127.0.0.1", dead)).unwrap();
    let heard = tokio::task::spawn_blocking(move || {
        use std::io::Read as _;
        let (mut stream, _) = listener.accept().unwrap();
        let mut read = vec![0; 8192];
        let count = stream.read(&mut read).unwrap();
        String::from_utf8_lossy(&read[..count]).into_owned()
    });
    let heard = tokio::time::timeout(crate::harness::PATIENCE, heard).await.expect("told again").unwrap();
    assert!(heard.starts_with("POST /logout HTTP/1.1"), "{heard}");
}

#[tokio::test]
async fn of_two_tabs_each_gets_its_answer() {
    let scene = Cascade::with("", "", |setup| setup).await;
    let (wiki, docs) = (scene.saml(&scene.wiki).await, scene.saml(&scene.docs).await);
    let apps = scene.metadata(APPS).await;
    let first = scene.wiki.request(scene.slo(), &wiki);
    let to_docs = scene.hear(&scene.browser.open(scene.wiki.redirect(&first).as_str()).await.away(), &apps);
    // Meanwhile the person signs out at docs, in another tab.
    let second = scene.docs.request(scene.slo(), &docs);
    let back = scene.browser.post(&Url::parse("https://docs.example/").unwrap(), &second.to, &scene.docs.form(&second)).await.away();
    scene.hear(&back, &apps).assert_answers(&second, &scene.docs, &["Success"]);
    let back = scene.answers(&scene.docs, scene.slo(), &to_docs, &["Success"]).await.away();
    scene.hear(&back, &apps).assert_answers(&first, &scene.wiki, &["Success"]);
}

#[tokio::test]
async fn applications_of_an_earlier_session_of_the_browser_are_told_too() {
    let scene = Cascade::with("", "", |setup| setup).await;
    let wiki = scene.saml(&scene.wiki).await;
    // A fresh login takes the session's place.
    let hint = scene.openid_with("notes", &[("prompt", "login")]).await;
    let apps = scene.metadata(APPS).await;
    let departure = scene.browser.open(scene.end_session(&[("id_token_hint", &hint)]).as_str()).await.away();
    scene.hear(&departure, &apps).assert_ends(&wiki, &scene.wiki);
    // And the other way round: what the application knows of the earlier session ends the later one.
    let wiki = scene.saml(&scene.wiki).await;
    scene.openid_with("notes", &[("prompt", "login")]).await;
    assert!(scene.is_signed_in().await);
    let request = scene.wiki.request(scene.slo(), &wiki);
    Browser::new().open(scene.wiki.redirect(&request).as_str()).await.away();
    assert!(!scene.is_signed_in().await);
}

#[tokio::test]
async fn another_node_goes_on_with_a_logout() {
    let redis = Server::redis(&[]);
    let postgres = Server::postgres();
    let stores = |setup: Setup| Setup { sessions: redis.redis_url(), directory: postgres.postgres_url(), ..setup };
    let mut written = None;
    let scene = Cascade::with("", "", |setup| {
        let setup = stores(setup);
        written = Some(setup.clone());
        setup
    })
    .await;
    let other = Gateway::start(written.unwrap()).await;
    let (wiki, docs) = (scene.saml(&scene.wiki).await, scene.saml(&scene.docs).await);
    let at_other = Browser::new().open(other.url(APPS).as_str()).await.here().body;
    let request = scene.wiki.request(scene.slo(), &wiki);
    let page = scene.look(&scene.wiki.redirect(&request)).await;
    // The page is the other node's, and so is the request that docs gets, and the answer that it gives.
    let elsewhere = other.url(page.url.path());
    let browser = Browser::new();
    let page = look(&browser, &elsewhere).await;
    let to_docs = Heard::read(&browser.press(&page, "Continue").await.away(), &at_other);
    to_docs.assert_ends(&docs, &scene.docs);
    let answer = scene.docs.redirect(&scene.docs.answer(other.url("/saml/slo"), &to_docs, &["Success"]));
    let back = Heard::read(&browser.open(answer.as_str()).await.away(), &at_other);
    back.assert_answers(&request, &scene.wiki, &["Success"]);
}

#[tokio::test]
async fn in_a_frame_no_page_is_shown_and_the_answer_goes_out_all_the_same() {
    let scene = Cascade::with("", "", |setup| setup).await;
    scene.openid("board").await;
    let (wiki, idps) = (scene.saml(&scene.wiki).await, scene.metadata(IDPS).await);
    let apps = scene.metadata(APPS).await;
    let request = scene.acme.request(scene.connection_slo(), &scene.upstream());
    let framed = |url: Url| async move {
        let client = crate::harness::browser::client();
        let answer = client.get(url.clone()).header("sec-fetch-dest", "iframe").send().await.unwrap();
        crate::harness::browser::Page::read(answer, &url).await.departure().expect("sent on")
    };
    let to_wiki = scene.hear(&framed(scene.acme.redirect(&request)).await, &apps);
    to_wiki.assert_ends(&wiki, &scene.wiki);
    let answer = scene.wiki.redirect(&scene.wiki.answer(scene.slo(), &to_wiki, &["Success"]));
    let back = scene.hear(&framed(answer).await, &idps);
    // Its frame could not be shown.
    back.assert_answers(&request, &scene.acme, &["Success", "PartialLogout"]);
}

fn claims(token: &str) -> serde_json::Value {
    use base64::Engine as _;
    let part = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}
