//! Answers of identity providers that nobody asked for.

use crate::harness::app::{App, CALLBACK};
use crate::harness::browser::{Departure, Landed};
use crate::harness::gateway::Setup;
use crate::harness::idp::{Answer, AuthnRequest, Idp, Person, Response, unique_id};
use crate::harness::scene::Scene;

/// The connection `acme` with these rules, and the application `notes` with these lines.
async fn scene(rules: &str, oidc: &str) -> Scene {
    let (idp, app) = (Idp::new("acme"), App::new("notes"));
    let rules = if rules.is_empty() { String::new() } else { format!("[connection.saml.unsolicited]\n{rules}\n") };
    Scene::of(Setup::new().connection(&idp.toml("", &rules)).application(&app.toml("", oidc)), idp, app).await
}

const INITIATED: &str = "initiate_login_uri = \"https://notes.example/start?a=b\"";

/// An answer to no request, with changes.
fn unasked(scene: &Scene, relay_state: Option<&str>, change: impl FnOnce(&mut Response)) -> Answer {
    let nothing = AuthnRequest {
        xml: String::new(),
        id: String::new(),
        issuer: scene.gateway.url("/connections/acme/metadata").into(),
        acs_url: scene.gateway.url("/connections/acme/acs").into(),
        destination: String::new(),
        force_authn: false,
        is_passive: false,
        relay_state: relay_state.map(str::to_owned),
        post: false,
    };
    scene.idp.respond_with(&nothing, &Person::jane(), |response| {
        response.in_response_to = None;
        change(response);
    })
}

async fn nobody_is_signed_in(scene: &Scene) {
    let (error, _) = scene.app.error(&scene.gateway, &scene.again(&[("prompt", "none")]).await);
    assert_eq!(error, "login_required");
}

#[track_caller]
fn parameter(departure: &Departure, name: &str) -> String {
    departure.parameter(name).unwrap_or_else(|| panic!("no {name} in {}", departure.url))
}

#[tokio::test]
async fn they_are_refused_where_nobody_switched_them_on_and_the_page_names_the_switch() {
    let scene = scene("", INITIATED).await;
    let page = scene.answer(&unasked(&scene, None, |_| ())).await.here();
    page.assert_refused(403, "ISTH-3004");
    assert!(
        page.contains("The connection acme does not take such answers") && page.contains("[connection.saml.unsolicited]"),
        "{}",
        page.body
    );
    nobody_is_signed_in(&scene).await;
}

#[tokio::test]
async fn as_a_hint_one_has_the_application_begin_and_signs_nobody_in() {
    let scene = scene("application = \"notes\"\nrelay_states = [\"https://notes.example/*\"]", INITIATED).await;
    let answer = unasked(&scene, Some("https://notes.example/page?x=1"), |_| ());
    let away = scene.answer(&answer).await.away();
    assert!(away.url.as_str().starts_with("https://notes.example/start?a=b&"), "{}", away.url);
    assert_eq!((parameter(&away, "iss"), parameter(&away, "connection")), (scene.gateway.issuer(), "acme".to_owned()));
    assert_eq!(parameter(&away, "target_link_uri"), "https://notes.example/page?x=1");
    assert_eq!((away.parameter("code"), away.parameter("SAMLRequest")), (None, None));
    nobody_is_signed_in(&scene).await;
    // Once.
    scene.answer(&answer).await.here().assert_refused(403, "ISTH-3002");
    // A RelayState that is not listed goes nowhere.
    let page = scene.answer(&unasked(&scene, Some("https://evil.example/"), |_| ())).await.here();
    page.assert_refused(403, "ISTH-3004");
    assert!(page.contains("https://evil.example/") && page.contains("relay_states"), "{}", page.body);
}

#[tokio::test]
async fn a_hint_is_checked_like_any_answer() {
    let scene = scene("application = \"notes\"", INITIATED).await;
    for change in [
        |response: &mut Response| response.audience = "https://other.example".to_owned(),
        |response: &mut Response| response.recipient += "x",
        |response: &mut Response| response.issuer = "https://evil.example".to_owned(),
        |response: &mut Response| response.sign = crate::harness::idp::Sign::Nothing,
    ] {
        let page = scene.answer(&unasked(&scene, None, change)).await.here();
        page.assert_refused(403, "ISTH-3001");
        let trace = scene.gateway.trace(page.correlation_id()).await;
        assert!(trace.to_string().contains("\"refused\""), "{trace}");
    }
    // The answer to a request of somebody else is none that answers no request.
    let page = scene.answer(&unasked(&scene, None, |response| response.in_response_to = Some(unique_id()))).await.here();
    assert!(page.status >= 400, "{}", page.body);
    // With the RelayState of a login that is under way it does not answer that login.
    let request = scene.ask(&[]).await;
    let (error, _) = scene.app.error(&scene.gateway, &scene.answer(&unasked(&scene, request.relay_state.as_deref(), |_| ())).await.away());
    assert_eq!(error, "access_denied");
}

#[tokio::test]
async fn a_hint_goes_on_to_a_login_at_the_same_identity_provider() {
    let scene = scene("application = \"notes\"\nquery = \"scope=openid&state=fixed\"", "require_pkce = false").await;
    let request = scene.idp.read(&scene.answer(&unasked(&scene, None, |_| ())).await.away());
    let away = scene.answer(&scene.idp.respond(&request, &Person::jane())).await.away();
    assert!(away.url.as_str().starts_with(CALLBACK), "{}", away.url);
    assert_eq!((parameter(&away, "state"), away.parameter("error")), ("fixed".to_owned(), None));
    parameter(&away, "code");
}

#[tokio::test]
async fn accepted_directly_one_is_a_login_once_for_the_one_application() {
    let scene =
        scene("application = \"notes\"\nmode = \"accept_directly\"\nquery = \"scope=openid&state=fixed\"", "require_pkce = false").await;
    let answer = unasked(&scene, Some("anything"), |_| ());
    let away = scene.answer(&answer).await.away();
    assert!(away.url.as_str().starts_with(CALLBACK), "{}", away.url);
    assert_eq!((parameter(&away, "state"), away.parameter("error")), ("fixed".to_owned(), None));
    let code = parameter(&away, "code");
    assert_eq!(scene.app.redeem(&scene.gateway, &code, &[("code_verifier", "")]).await.status, 200);
    let session = scene.again(&[("prompt", "none")]).await;
    scene.app.code(&scene.gateway, &session);
    // The same once more, and its assertion in another response.
    scene.answer(&answer).await.here().assert_refused(403, "ISTH-3002");
    let stolen = answer.xml.replacen("ID=\"", "ID=\"_x", 1);
    scene.answer(&Answer { xml: stolen, ..answer.clone() }).await.here().assert_refused(403, "ISTH-3002");
    // What is wrong goes to nobody.
    scene.answer(&unasked(&scene, None, |response| response.audience += "x")).await.here().assert_refused(403, "ISTH-3001");
}

#[tokio::test]
async fn what_is_disabled_takes_none() {
    for (mode, oidc) in [("hint", INITIATED), ("accept_directly", "require_pkce = false")] {
        let mut scene = scene(&format!("application = \"notes\"\nmode = \"{mode}\""), oidc).await;
        scene.gateway.stop();
        let off = scene.app.toml("enabled = false", oidc);
        scene.gateway.start_again(|setup| setup.applications = vec![off]).await;
        let answer = unasked(&scene, None, |_| ());
        match scene.answer(&answer).await {
            Landed::Here(page) => page.assert_refused(400, "ISTH-1004"),
            Landed::Away(departure) => panic!("{mode}: {}", departure.url),
        }
        scene.gateway.stop();
        let rules = format!("[connection.saml.unsolicited]\napplication = \"notes\"\nmode = \"{mode}\"\n");
        let (on, off) = (scene.app.toml("", oidc), scene.idp.toml("enabled = false", &rules));
        scene.gateway.start_again(|setup| (setup.applications, setup.connections) = (vec![on], vec![off])).await;
        scene.answer(&answer).await.here().assert_refused(404, "ISTH-2001");
    }
}

#[tokio::test]
async fn an_application_that_must_push_or_sign_its_requests_begins_itself() {
    for required in ["require_pushed_authorization_requests = true", "require_signed_request_object = true"] {
        let rules = "application = \"notes\"\nmode = \"accept_directly\"";
        let scene = scene(rules, &format!("require_pkce = false\n{required}\n{INITIATED}")).await;
        let away = scene.answer(&unasked(&scene, None, |_| ())).await.away();
        assert!(away.url.as_str().starts_with("https://notes.example/start?a=b&"), "{required}: {}", away.url);
        assert_eq!(away.parameter("code"), None);
        let refused = scene.browser.open(scene.app.authorize(&scene.gateway, &[("prompt", "none")]).as_str()).await.away();
        assert_eq!(refused.parameter("error").as_deref(), Some("invalid_request"), "nothing of it but a hint: {}", refused.url);
    }
}
