//! How requests arrive: bindings, signatures, addresses, and what is not taken.

use super::sp::{Answered, Request, Scene, Sp, encode, unsigned_query};
use crate::harness::browser::Browser;
use crate::harness::gateway::{Gateway, Setup};
use crate::harness::idp::{Idp, Person, now, unique_id};
use crate::harness::keys::Pair;
use reqwest::Method;
use std::time::Duration;
use url::Url;

const NOT_REGISTERED: &str = "The application is not registered here.";

#[tokio::test]
async fn by_redirect_and_by_post_signed_and_unsigned() {
    let scene = Scene::new().await;
    for by_post in [false, true] {
        for signed in [false, true] {
            let (request, browser) = (scene.request(), Browser::new());
            let landed = match (by_post, signed) {
                (false, true) => browser.open(scene.sp.redirect(&request).as_str()).await,
                (false, false) => browser.open(Sp::unsigned_redirect(&request).as_str()).await,
                (true, signed) => {
                    let form = if signed { scene.sp.form(&request) } else { Sp::unsigned_form(&request) };
                    browser.post(&Url::parse(&scene.sp.entity_id).unwrap(), &request.to, &form).await
                }
            };
            let asked = scene.idp.read(&landed.away());
            let answer = scene.idp.respond(&asked, &Person::zoe());
            let answered = Answered::read(&scene.gateway, &browser.post(&answer.from, &answer.to, &answer.fields()).await.away());
            answered.assert_good();
            assert_eq!(answered.of("samlp:Response", "InResponseTo"), request.id, "post {by_post}, signed {signed}");
            assert_eq!(answered.relay_state.as_deref(), Some("a state & more"));
            assert_eq!(answered.values("displayName"), [crate::harness::idp::ZOE]);
        }
    }
}

#[tokio::test]
async fn requests_signed_with_ecdsa_are_verified() {
    let sp = Sp::signing_with("wiki", Pair::ec("wiki"));
    let scene = Scene::of(Idp::new("acme"), sp, "", "require_signed_requests = true", |setup| setup).await;
    let by_redirect = scene.request();
    scene.sign_in(&by_redirect, &Person::jane()).await.assert_good();
    let by_post = scene.request();
    let landed = scene.post(&by_post, &scene.sp.form(&by_post)).await;
    Answered::read(&scene.gateway, &landed.away()).assert_good();
}

#[tokio::test]
async fn the_signature_covers_the_octets_of_the_query_as_they_came() {
    let scene = Scene::with("require_signed_requests = true", |setup| setup).await;
    // Lower-case escapes, and more of them than needed: the octets were signed so, and stay so.
    let request = scene.request().state(Some("x/y=z"));
    let query = unsigned_query(&request)
        .replace("%2F", "%2f")
        .replace("%2B", "%2b")
        .replace("%3D", "%3d")
        .replace("RelayState=x", "RelayState=%78");
    assert!(query.contains("%2f") && query.contains("%78"), "{query}");
    let answered = scene.browser.open(scene.sp.signed_query(&request, &query).as_str()).await.away();
    let asked = scene.idp.read(&answered);
    let answered = scene.answer(&scene.idp.respond(&asked, &Person::jane())).await;
    assert_eq!(answered.assert_good().relay_state.as_deref(), Some("x/y=z"));
    // The same query written otherwise is another one, though it means the same.
    let request = scene.request();
    let upper = scene.sp.redirect(&request).to_string();
    let (signed, rest) = upper.split_once("&SigAlg").unwrap();
    let other =
        format!("{}&SigAlg{rest}", signed.replace("%2B", "%2b").replace("%2F", "%2f").replace("%3D", "%3d").replace("%26", "&amp;"));
    assert_ne!(other, upper);
    Browser::new().open(&other).await.here().assert_refused(400, "ISTH-1001");
}

#[tokio::test]
async fn an_unsigned_request_is_refused_where_signatures_are_required() {
    let scene = Scene::with("require_signed_requests = true", |setup| setup).await;
    let request = scene.request();
    let refused = scene.browser.open(Sp::unsigned_redirect(&request).as_str()).await.here();
    refused.assert_refused(400, "ISTH-1001");
    assert!(refused.contains("unsigned"), "{}", refused.body);
    scene.post(&request, &Sp::unsigned_form(&request)).await.here().assert_refused(400, "ISTH-1001");
    // The control: signed, it is taken.
    scene.upstream(&request).await;
}

#[tokio::test]
async fn what_the_metadata_say_about_signing_holds_without_a_setting() {
    let scene = Scene::with("authn_requests_signed = true", |setup| setup).await;
    let request = scene.request();
    scene.browser.open(Sp::unsigned_redirect(&request).as_str()).await.here().assert_refused(400, "ISTH-1001");
    scene.upstream(&request).await;
}

#[tokio::test]
async fn answers_go_only_where_the_application_is_registered() {
    let scene = Scene::new().await;
    let [first, second] = scene.sp.acs.clone();
    let url = |to: &str| format!(r#"AssertionConsumerServiceURL="{}""#, crate::harness::html::escape(to));
    let cases = [
        (String::new(), &first),
        (url(&second), &second),
        (r#"AssertionConsumerServiceIndex="1""#.to_owned(), &second),
        (url(&first), &first),
    ];
    for (attributes, expected) in cases {
        let answered = scene.sign_in(&scene.request().with(&format!(r#"{attributes} ForceAuthn="true""#)), &Person::jane()).await;
        answered.assert_good();
        assert_eq!((&answered.to, &answered.of("saml:SubjectConfirmationData", "Recipient")), (expected, expected), "{attributes}");
    }
    for attributes in [
        url("https://evil.example/acs"),
        url(&format!("{first}/")),
        url(&first.replace("https", "HTTPS")),
        url(&format!("{first}?x=1")),
        r#"AssertionConsumerServiceIndex="7""#.to_owned(),
        format!(r#"AssertionConsumerServiceIndex="1" {}"#, url(&first)),
    ] {
        let page = scene.ask(&scene.request().with(&attributes)).await.here();
        page.assert_refused(400, "ISTH-1001");
        assert!(!page.contains("evil.example"), "{}", page.body);
    }
}

#[tokio::test]
async fn relay_state_comes_back_untouched() {
    let scene = Scene::new().await;
    let long = "Ω<&>\"'%20+ \t;=?#/".repeat(20);
    for state in [Some("x"), Some("a=b&c=d;e%26+ f"), Some(long.as_str()), Some(""), None] {
        let answered = scene.sign_in(&scene.request().with(r#"ForceAuthn="true""#).state(state), &Person::jane()).await;
        assert_eq!(answered.assert_good().relay_state.as_deref(), state);
        let refused = scene.at_once(&scene.request().with(r#"IsPassive="true" ForceAuthn="true""#).state(state)).await;
        assert_eq!(refused.relay_state.as_deref(), state);
        let request = scene.request().state(state);
        let landed = scene.post(&request, &scene.sp.form(&request)).await;
        assert_eq!(Answered::read(&scene.gateway, &landed.away()).relay_state.as_deref(), state, "by POST");
    }
    let endless = "x".repeat(5000);
    scene.ask(&scene.request().state(Some(&endless))).await.here().assert_refused(400, "ISTH-1001");
}

#[tokio::test]
async fn a_request_for_somebody_else_or_from_another_time_is_refused() {
    let scene = Scene::new().await;
    let good = scene.request();
    let wrong = [
        Request { destination: Some("https://other.example/saml/sso".to_owned()), ..good.clone() },
        Request { destination: Some(format!("{}x", good.to)), ..good.clone() },
        // SAML Bindings 3.4.5.2: a signed message says where it goes.
        Request { destination: None, ..good.clone() },
        Request { instant: now() - Duration::from_secs(400), ..good.clone() },
        Request { instant: now() + Duration::from_secs(120), ..good.clone() },
        Request { version: "1.1".to_owned(), ..good.clone() },
        Request { id: "1 2".to_owned(), ..good.clone() },
    ];
    for request in wrong {
        scene.ask(&request).await.here().assert_refused(400, "ISTH-1001");
    }
    scene.upstream(&good).await;
}

#[tokio::test]
async fn unknown_and_disabled_applications_get_the_same_page() {
    let (idp, sp, off) = (Idp::new("acme"), Sp::new("wiki"), Sp::new("off"));
    let applications = |setup: Setup| setup.application(&off.toml("enabled = false", ""));
    let scene = Scene::of(idp, sp, "", "", applications).await;
    let (gateway, browser) = (&scene.gateway, &scene.browser);
    let unknown = Sp::new("nobody");
    let openid = gateway.url("/samlp/nobody");
    let mut pages = vec![
        browser.open(unknown.redirect(&unknown.request(gateway)).as_str()).await.here(),
        browser.open(off.redirect(&off.request(gateway)).as_str()).await.here(),
        browser.open(off.redirect(&off.request(gateway).at(gateway.url("/samlp/off"))).as_str()).await.here(),
        browser.open(unknown.redirect(&unknown.request(gateway).at(openid)).as_str()).await.here(),
        // IdP-initiated, and metadata.
        browser.open(gateway.url("/samlp/off").as_str()).await.here(),
        browser.open(gateway.url("/samlp/nobody").as_str()).await.here(),
        browser.open(gateway.url("/samlp/metadata/off").as_str()).await.here(),
    ];
    let form = off.form(&off.request(gateway));
    pages.push(browser.post(&Url::parse(&off.entity_id).unwrap(), &gateway.url("/saml/sso"), &form).await.here());
    for page in pages {
        page.assert_refused(400, "ISTH-1008");
        assert!(page.contains(NOT_REGISTERED), "{}", page.body);
    }
}

#[tokio::test]
async fn one_application_cannot_ask_as_another() {
    let other = Sp::new("notes");
    let scene = Scene::of(Idp::new("acme"), Sp::new("wiki"), "", "", |setup| setup.application(&other.toml("", ""))).await;
    // At the other one's address, and with the other one's key.
    let at_other = scene.request().at(scene.gateway.url("/samlp/notes"));
    scene.ask(&at_other).await.here().assert_refused(400, "ISTH-1001");
    let as_other = Request { issuer: other.entity_id.clone(), ..scene.request() };
    scene.ask(&as_other).await.here().assert_refused(400, "ISTH-1001");
    // At its own address it may.
    let own = scene.request().at(scene.gateway.url("/samlp/wiki"));
    scene.sign_in(&own, &Person::jane()).await.assert_good();
}

#[tokio::test]
async fn applications_of_one_entity_id_have_an_address_each() {
    let (first, mut second) = (Sp::new("wiki"), Sp::new("notes"));
    second.entity_id.clone_from(&first.entity_id);
    let scene = Scene::of(Idp::new("acme"), first, "", "", |setup| setup.application(&second.toml("", ""))).await;
    scene.ask(&scene.request()).await.here().assert_refused(400, "ISTH-1008");
    let request = second.request(&scene.gateway).at(scene.gateway.url("/samlp/notes"));
    let asked = scene.idp.read(&scene.browser.open(second.redirect(&request).as_str()).await.away());
    let answered = scene.answer(&scene.idp.respond(&asked, &Person::jane())).await;
    assert_eq!(answered.assert_good().to, second.acs[0]);
}

#[tokio::test]
async fn a_sign_in_begins_here_only_where_it_may() {
    let (gateway, idp, sp) = with_two("allow_unsolicited = true").await;
    let browser = Browser::new();
    browser.open(gateway.url("/samlp/notes").as_str()).await.here().assert_refused(400, "ISTH-1001");
    let start = gateway.url("/samlp/wiki?RelayState=deep%2Flink&connection=acme");
    let asked = idp.read(&browser.open(start.as_str()).await.away());
    let answer = idp.respond(&asked, &Person::jane());
    let answered = Answered::read(&gateway, &browser.post(&answer.from, &answer.to, &answer.fields()).await.away());
    answered.assert_good();
    assert_eq!((answered.to.as_str(), answered.relay_state.as_deref()), (sp.acs[0].as_str(), Some("deep/link")));
    // SAML Profiles 4.1.5: nothing is answered, so nothing is named.
    assert!(!answered.xml.contains("InResponseTo"), "{}", answered.xml);
    // From the session too.
    Answered::read(&gateway, &browser.open(gateway.url("/samlp/wiki").as_str()).await.away()).assert_good();
    let too_long = gateway.url(&format!("/samlp/wiki?RelayState={}", "x".repeat(5000)));
    browser.open(too_long.as_str()).await.here().assert_refused(400, "ISTH-1001");
    // `/saml/sso` cannot know for whom.
    browser.open(gateway.url("/saml/sso").as_str()).await.here().assert_refused(400, "ISTH-1001");
}

/// The application `wiki` with lines of its own, and `notes` without.
async fn with_two(saml: &str) -> (Gateway, Idp, Sp) {
    let (idp, sp, notes) = (Idp::new("acme"), Sp::new("wiki"), Sp::new("notes"));
    let setup = Setup::new().connection(&idp.toml("", "")).application(&sp.toml("", saml)).application(&notes.toml("", ""));
    (Gateway::start(setup).await, idp, sp)
}

#[tokio::test]
async fn a_form_without_cookies_is_sent_again_by_our_own_page_once() {
    let scene = Scene::new().await;
    scene.sign_in(&scene.request(), &Person::jane()).await.assert_good();
    // Across sites the browser leaves the session's cookie out; from our own page it comes along.
    let request = scene.request();
    let from = Url::parse(&scene.sp.entity_id).unwrap();
    let page = scene.browser.exchange(Method::POST, &request.to, Some(&scene.sp.form(&request)), Some(&from)).await;
    let again = page.form();
    assert_eq!((again.action.as_str(), again.field("RelayState")), ("/saml/sso", Some("a state & more")));
    let landed = scene.browser.follow(page).await;
    Answered::read(&scene.gateway, &landed.away()).assert_good();
    // Without any session it goes on after one time.
    let mut bare = Browser::new();
    bare.refuses_cookies = true;
    let request = scene.request();
    let landed = bare.post(&from, &request.to, &scene.sp.form(&request)).await;
    scene.idp.read(&landed.away());
}

#[tokio::test]
async fn other_methods_and_sizes_are_refused() {
    let scene = Scene::new().await;
    let client = scene.gateway.client();
    for path in ["/saml/sso", "/samlp/wiki"] {
        for method in [Method::PUT, Method::DELETE, Method::OPTIONS, Method::PATCH] {
            let answer = client.request(method.clone(), scene.gateway.url(path)).send().await.unwrap();
            assert_eq!(
                (answer.status().as_u16(), answer.headers()["allow"].to_str().unwrap()),
                (405, "GET, HEAD, POST"),
                "{method} {path}"
            );
        }
        let head = client.head(scene.gateway.url(path)).send().await.unwrap();
        assert_eq!(head.status(), 400, "{path}");
        let json = client.post(scene.gateway.url(path)).json(&serde_json::json!({})).send().await.unwrap();
        assert_eq!(json.status(), 415, "{path}");
        let huge = format!("SAMLRequest={}", "A".repeat(1024 * 1024 + 1));
        let form = "application/x-www-form-urlencoded";
        let answer = client.post(scene.gateway.url(path)).header("content-type", form).body(huge).send().await.unwrap();
        assert_eq!(answer.status(), 413, "{path}");
        let missing = client.post(scene.gateway.url(path)).header("content-type", form).body("RelayState=x").send().await.unwrap();
        assert_eq!(missing.status(), 400, "{path}");
        let twice =
            client.post(scene.gateway.url(path)).header("content-type", form).body("SAMLRequest=x&SAMLRequest=y").send().await.unwrap();
        assert_eq!(twice.status(), 400, "{path}");
    }
    // As big as a message may be, and no request: read to the end and refused.
    let request = Request { id: unique_id(), ..scene.request() }.and(&format!("<!--{}-->", "x".repeat(300 * 1024)));
    scene.post(&request, &Sp::unsigned_form(&request)).await.here().assert_refused(400, "ISTH-1001");
    // A deflated bomb.
    let request = scene.request().and(&format!("<samlp:Extensions>{}</samlp:Extensions>", " ".repeat(20 * 1024 * 1024)));
    let bomb = format!("{}?SAMLRequest={}", request.to, encode(&super::sp::deflated(&request.xml(""))));
    assert!(bomb.len() < 60_000, "{}", bomb.len());
    scene.browser.open(&bomb).await.here().assert_refused(400, "ISTH-1001");
}

#[tokio::test]
async fn a_failed_login_can_be_begun_again_only_where_the_request_can_be_repeated() {
    let scene = Scene::new().await;
    let request = scene.request();
    let asked = scene.upstream(&request).await;
    let answer = scene.idp.respond(&asked, &Person::jane());
    scene.answer(&answer).await.assert_good();
    // The Back button: the login is finished, and the page leads to a new one by the same request.
    let again = scene.browser.post(&answer.from, &answer.to, &answer.fields()).await.here();
    again.assert_refused(409, "ISTH-2003");
    assert!(again.contains("href=\"/saml/sso?SAMLRequest="), "{}", again.body);
    let request = scene.request().with(r#"ForceAuthn="true""#);
    let asked = scene.idp.read(&scene.post(&request, &scene.sp.form(&request)).await.away());
    let answer = scene.idp.respond(&asked, &Person::jane());
    scene.answer(&answer).await.assert_good();
    let again = scene.browser.post(&answer.from, &answer.to, &answer.fields()).await.here();
    again.assert_refused(409, "ISTH-2003");
    assert!(!again.contains("class=\"button\"") && !again.contains("href=\"\""), "{}", again.body);
    assert!(again.contains("Go back to the application"), "{}", again.body);
}

#[tokio::test]
async fn the_chooser_names_the_application() {
    let other = Idp::new("globex");
    let scene = Scene::with("", |setup| setup.connection(&other.toml("", ""))).await;
    let page = scene.ask(&scene.request()).await.here();
    assert!(page.contains("The wiki") && page.contains(&other.display_name()), "{}", page.body);
    let choice = [("connection".to_owned(), "globex".to_owned()), ("login".to_owned(), page.form().field("login").unwrap().to_owned())];
    let asked = scene.browser.post(&page.url, &scene.gateway.url("/login"), &choice).await.away();
    let answered = scene.answer(&other.respond(&other.read(&asked), &Person::jane())).await;
    assert_eq!(answered.assert_good().text("saml:AuthenticatingAuthority"), other.entity_id);
}
