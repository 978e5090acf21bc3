//! Unsolicited answers with a SAML application as their target, identity providers that only ever answer unasked, and
//! sign-ins that begin here.

use crate::api::Api;
use crate::federation::world::unasked;
use crate::harness::app::App;
use crate::harness::artifact::ArtifactService;
use crate::harness::browser::{Browser, Landed, Page};
use crate::harness::gateway::{Gateway, Setup};
use crate::harness::idp::{Answer, Idp, Person, Response};
use crate::harness::keys::Pair;
use crate::saml_apps::sp::{Answered, Sp};
use serde_json::json;
use std::sync::Arc;

/// The connection `acme` with these rules, and the applications `wiki` (SAML) and `notes` (OpenID) with these lines.
struct Scene {
    gateway: Gateway,
    idp: Idp,
    sp: Sp,
    app: App,
    browser: Browser,
}

impl Scene {
    async fn new(rules: &str, saml: &str, oidc: &str) -> Self {
        Self::with(rules, saml, oidc, |setup| setup, Browser::new()).await
    }

    async fn with(rules: &str, saml: &str, oidc: &str, change: impl FnOnce(Setup) -> Setup, browser: Browser) -> Self {
        let (idp, sp, app) = (Idp::new("acme"), Sp::new("wiki"), App::new("notes"));
        let rules = format!("[connection.saml.unsolicited]\n{rules}\n");
        let setup = Setup::new().connection(&idp.toml("", &rules));
        let setup = setup.application(&sp.toml("", saml)).application(&app.toml("", oidc));
        Self { gateway: Gateway::start(change(setup)).await, idp, sp, app, browser }
    }

    fn unasked(&self, relay_state: Option<&str>, change: impl FnOnce(&mut Response)) -> Answer {
        Answer { relay_state: relay_state.map(str::to_owned), ..unasked(&self.idp, &self.gateway, "acme", change) }
    }

    async fn arrive(&self, answer: &Answer) -> Landed {
        self.browser.post(&answer.from, &answer.to, &answer.fields()).await
    }

    async fn is_signed_in(&self) -> bool {
        let url = self.app.authorize(&self.gateway, &[("prompt", "none")]);
        self.browser.open(url.as_str()).await.away().parameter("code").is_some()
    }

    /// The name under which the page's refusal stands in the trace.
    async fn reason(&self, page: &Page) -> String {
        let trace = self.gateway.trace(page.correlation_id()).await;
        let parts = trace["parts"].as_object().map(|parts| parts.values().cloned().collect()).unwrap_or_else(|| vec![trace.clone()]);
        let text = json!(parts).to_string();
        let (_, rest) = text.rsplit_once("\"reason\":\"").unwrap_or_else(|| panic!("no reason: {text}"));
        rest.split('"').next().unwrap_or_default().to_owned()
    }
}

const WIKI: &str = "application = \"wiki\"\nprotocol = \"saml\"\nrelay_states = [\"deep/link\"]";

#[tokio::test]
async fn as_a_hint_one_begins_a_login_for_a_saml_application() {
    let scene = Scene::new(WIKI, "allow_unsolicited = true", "").await;
    let answer = scene.unasked(Some("deep/link"), |_| ());
    let request = scene.idp.read(&scene.arrive(&answer).await.away());
    assert!(!scene.is_signed_in().await, "a hint signs nobody in");
    let landed = scene.arrive(&scene.idp.respond(&request, &Person::zoe())).await.away();
    let answered = Answered::read(&scene.gateway, &landed);
    // SAML Profiles 4.1.5: an answer to no request of the application, to its default address.
    assert!(!answered.assert_good().xml.contains("InResponseTo"), "{}", answered.xml);
    assert_eq!((answered.to.as_str(), answered.relay_state.as_deref()), (scene.sp.acs[0].as_str(), Some("deep/link")));
    assert_eq!(answered.values("displayName"), [crate::harness::idp::ZOE], "of who has signed in, not of who was hinted at");
    scene.arrive(&answer).await.here().assert_refused(403, "ISTH-3002");
    let elsewhere = scene.unasked(Some("https://evil.example/"), |_| ());
    scene.arrive(&elsewhere).await.here().assert_refused(403, "ISTH-3004");
    // The session answers from now on.
    let again = scene.arrive(&scene.unasked(None, |_| ())).await.away();
    let answered = Answered::read(&scene.gateway, &again);
    assert_eq!(answered.assert_good().values("displayName"), [crate::harness::idp::ZOE]);
    assert_eq!(answered.relay_state, None);
}

#[tokio::test]
async fn accepted_directly_one_is_a_login_at_a_saml_application_once() {
    let rules = format!("{WIKI}\nmode = \"accept_directly\"");
    let scene = Scene::new(&rules, "allow_unsolicited = true", "").await;
    let answer = scene.unasked(Some("deep/link"), |_| ());
    let answered = Answered::read(&scene.gateway, &scene.arrive(&answer).await.away());
    assert!(!answered.assert_good().xml.contains("InResponseTo"), "{}", answered.xml);
    assert_eq!((answered.to.as_str(), answered.relay_state.as_deref()), (scene.sp.acs[0].as_str(), Some("deep/link")));
    assert_eq!(answered.values("displayName"), ["Jane Doe"]);
    assert!(scene.is_signed_in().await);
    scene.arrive(&answer).await.here().assert_refused(403, "ISTH-3002");
    let stolen = Browser::new().post(&answer.from, &answer.to, &answer.fields()).await.here();
    stolen.assert_refused(403, "ISTH-3002");
    let status = scene.unasked(None, |response| {
        response.status = vec!["Responder", "AuthnFailed"];
        response.sign = crate::harness::idp::Sign::Response;
    });
    assert!(scene.arrive(&status).await.here().status >= 400, "a failure that nobody asked for goes to nobody");
}

#[tokio::test]
async fn an_application_that_is_not_there_gets_none() {
    for mode in ["hint", "accept_directly"] {
        let mut scene = Scene::new(&format!("{WIKI}\nmode = \"{mode}\""), "allow_unsolicited = true", "").await;
        scene.gateway.stop();
        let (off, app) = (scene.sp.toml("enabled = false", "allow_unsolicited = true"), scene.app.toml("", ""));
        scene.gateway.start_again(|setup| setup.applications = vec![off, app]).await;
        scene.arrive(&scene.unasked(None, |_| ())).await.here().assert_refused(400, "ISTH-1004");
    }
    let scene = Scene::new("application = \"later\"\nprotocol = \"saml\"", "", "").await;
    scene.arrive(&scene.unasked(None, |_| ())).await.here().assert_refused(400, "ISTH-1004");
}

/// An artifact would have us ask for what nobody asked for.
#[tokio::test]
async fn an_artifact_that_nobody_asked_for_is_refused_in_either_mode() {
    for mode in ["hint", "accept_directly"] {
        let idp = Arc::new(Idp::new("acme"));
        let service = ArtifactService::start(&idp).await;
        let (sp, app) = (Sp::new("wiki"), App::new("notes"));
        let saml = format!(
            "response_binding = \"artifact\"\nartifact_resolution_url = \"{}\"\n[connection.saml.unsolicited]\n{WIKI}\nmode = \"{mode}\"\n",
            service.url()
        );
        let setup = Setup::new().connection(&idp.toml("", &saml));
        let setup = setup.application(&sp.toml("", "allow_unsolicited = true")).application(&app.toml("", ""));
        let gateway = Gateway::start(setup).await;
        let answer = Answer { relay_state: Some("deep/link".to_owned()), ..unasked(&idp, &gateway, "acme", |_| ()) };
        let artifact = service.keep(&answer);
        let browser = Browser::new();
        service.redirect(&browser, &answer, &artifact).await.here().assert_refused(403, "ISTH-3004");
        service.post(&browser, &answer, &artifact).await.here().assert_refused(403, "ISTH-3004");
        assert!(service.site.seen().is_empty(), "nobody was asked");
    }
}

/// An identity provider that answers unasked, even when it is asked: one round, and a page that says so.
#[tokio::test]
async fn who_never_answers_a_question_does_not_lead_round_in_circles() {
    let tls = Pair::rsa("localhost");
    let secure = |setup: Setup| Setup { host: "localhost", ..setup }.secure(&tls);
    for https in [false, true] {
        let rules = "application = \"notes\"\nquery = \"scope=openid\"";
        let scene = match https {
            false => Scene::new(rules, "", "require_pkce = false").await,
            true => {
                let browser = Browser::trusting(&tls.certificate_pem());
                Scene::with(rules, "", "require_pkce = false", secure, browser).await
            }
        };
        for _ in 0..2 {
            scene.idp.read(&scene.arrive(&scene.unasked(None, |_| ())).await.away());
            let page = scene.arrive(&scene.unasked(Some("portal"), |_| ())).await.here();
            page.assert_refused(403, "ISTH-3004");
            assert!(page.contains("without an answer to that question"), "{}", page.body);
            assert_eq!(scene.reason(&page).await, "unsolicited-again");
            // Whoever begins once more is sent there once more.
        }
        // Another browser is another matter.
        scene.idp.read(&scene.arrive(&scene.unasked(None, |_| ())).await.away());
        let other = if https { Browser::trusting(&tls.certificate_pem()) } else { Browser::new() };
        let answer = scene.unasked(None, |_| ());
        scene.idp.read(&other.post(&answer.from, &answer.to, &answer.fields()).await.away());
    }
}

/// A portal may be used twice in a minute.
#[tokio::test]
async fn a_hint_after_a_login_is_a_new_one() {
    let scene = Scene::new("application = \"notes\"\nquery = \"scope=openid\"", "", "require_pkce = false").await;
    for round in 0..2 {
        let request = scene.idp.read(&scene.arrive(&scene.unasked(None, |_| ())).await.away());
        let back = scene.arrive(&scene.idp.respond(&request, &Person::jane())).await.away();
        assert!(back.parameter("code").is_some(), "{round}: {}", back.url);
        // Answered from the session.
        let back = scene.arrive(&scene.unasked(None, |_| ())).await.away();
        assert!(back.parameter("code").is_some(), "{round}: {}", back.url);
        scene.browser.open(scene.gateway.url("/v2/logout").as_str()).await;
        let page = scene.browser.open(scene.gateway.url("/oidc/logout").as_str()).await.here();
        scene.browser.press(&page, "Sign out").await;
        assert!(!scene.is_signed_in().await);
    }
    // A failure is an answer too.
    let request = scene.idp.read(&scene.arrive(&scene.unasked(None, |_| ())).await.away());
    let failed = scene.idp.respond_with(&request, &Person::jane(), |response| {
        response.status = vec!["Responder", "AuthnFailed"];
        response.sign = crate::harness::idp::Sign::Response;
    });
    assert_eq!(scene.arrive(&failed).await.away().parameter("error").as_deref(), Some("access_denied"));
    scene.idp.read(&scene.arrive(&scene.unasked(None, |_| ())).await.away());
}

/// `idpinitiated` of a connection in Auth0's words: a hint for the client that it names, by its protocol.
#[tokio::test]
async fn idpinitiated_of_a_stored_connection_is_a_hint() {
    let gateway = Gateway::start(Setup::new()).await;
    let api = Api::of(&gateway).await;
    let idp = Idp::new("portal");
    let wiki = api
        .make(
            "/clients",
            &json!({"name": "Wiki", "callbacks": ["https://wiki.example/acs"], "addons": {"samlp": {"audience": "urn:wiki"}},
                "isthmus": {"saml": {"allow_unsolicited": true}}}),
        )
        .await;
    let client_id = wiki["client_id"].as_str().expect("an id").to_owned();
    let options = json!({
        "metadataXml": std::fs::read_to_string(idp.metadata_file()).unwrap(),
        "idpinitiated": {"enabled": true, "client_id": client_id, "client_protocol": "samlp", "client_authorizequery": ""},
    });
    let made =
        api.make("/connections", &json!({"name": "portal", "strategy": "samlp", "enabled_clients": [client_id], "options": options})).await;
    let browser = Browser::new();
    let arrive = async |answer: &Answer| browser.post(&answer.from, &answer.to, &answer.fields()).await;
    let request = idp.read(&arrive(&unasked(&idp, &gateway, "portal", |_| ())).await.away());
    let answered = Answered::read(&gateway, &arrive(&idp.respond(&request, &Person::jane())).await.away());
    assert_eq!((answered.assert_good().to.as_str(), answered.text("saml:Audience")), ("https://wiki.example/acs", "urn:wiki".to_owned()));
    // Switched off it is refused again, at the next answer.
    let mut options = made["options"].clone();
    options["idpinitiated"] = json!({"enabled": false});
    let id = made["id"].as_str().expect("an id");
    let changed = api.patch(&format!("/connections/{id}"), &json!({"options": options})).await;
    assert_eq!(changed.status, 200, "{}", changed.body);
    let page = crate::harness::eventually("the change", async || {
        match Browser::new()
            .post(&idp.page(), &gateway.url("/connections/portal/acs"), &unasked(&idp, &gateway, "portal", |_| ()).fields())
            .await
        {
            Landed::Here(page) => Some(page),
            Landed::Away(_) => None,
        }
    })
    .await;
    page.assert_refused(403, "ISTH-3004");
}
