//! What the application asks, and what the identity provider is asked: the rows of the parity table that go upstream.

use crate::harness::app::{App, begin};
use crate::harness::browser::{Browser, Page};
use crate::harness::eventually;
use crate::harness::gateway::Setup;
use crate::harness::idp::{Idp, PASSWORD, Person, Sign, now};
use crate::harness::scene::Scene;
use std::time::Duration;

#[tokio::test]
async fn prompt_none_asks_nobody() {
    let scene = Scene::new().await;
    let (error, _) = scene.app.error(&scene.gateway, &scene.again(&[("prompt", "none")]).await);
    assert_eq!(error, "login_required");
    scene.sign_in(&Person::jane(), &[]).await;
    let answer = scene.again(&[("prompt", "none")]).await;
    scene.app.code(&scene.gateway, &answer);
    let (error, _) = scene.app.error(&scene.gateway, &scene.again(&[("prompt", "none"), ("max_age", "0")]).await);
    assert_eq!(error, "login_required");
}

#[tokio::test]
async fn prompt_none_asks_silently_where_the_connection_allows_it() {
    let (idp, app) = (Idp::new("acme"), App::new("notes"));
    let setup = Setup::new().connection(&idp.toml("", "allow_passive_probe = true")).application(&app.toml("", ""));
    let scene = Scene::of(setup, idp, app).await;
    let silent = [("prompt", "none"), ("max_age", "60")];
    let request = scene.ask(&silent).await;
    assert!(request.is_passive && !request.force_authn, "{}", request.xml);
    let unknown = scene.idp.respond_with(&request, &Person::jane(), |response| {
        response.status = vec!["Responder", "NoPassive"];
        response.sign = Sign::Response;
    });
    let (error, _) = scene.app.error(&scene.gateway, &scene.answer(&unknown).await.away());
    assert_eq!(error, "login_required");
    // Somebody is signed in there, but for too long.
    let request = scene.ask(&silent).await;
    let old = scene.idp.respond_with(&request, &Person::jane(), |response| response.authn_instant = now() - Duration::from_secs(3600));
    let (error, _) = scene.app.error(&scene.gateway, &scene.answer(&old).await.away());
    assert_eq!(error, "login_required");
    let request = scene.ask(&silent).await;
    let answer = scene.answer(&scene.idp.respond(&request, &Person::jane())).await.away();
    scene.app.code(&scene.gateway, &answer);
    // Now there is a session, and nobody is asked.
    let answer = scene.again(&silent).await;
    scene.app.code(&scene.gateway, &answer);
}

#[tokio::test]
async fn select_account_is_a_fresh_login_where_the_connection_says_so_and_a_step_up_asks_again() {
    let (idp, app) = (Idp::new("acme"), App::new("notes"));
    let class = "urn:oasis:names:tc:SAML:2.0:ac:classes:TimeSyncToken";
    let saml = format!(
        "select_account_forces_authn = true\nauthn_context_comparison = \"minimum\"\nauthn_context_ranking = [\"{PASSWORD}\", \"{class}\"]\n[connection.saml.acr]\npwd = \"{PASSWORD}\"\nmfa = \"{class}\"\n"
    );
    let scene = Scene::of(Setup::new().connection(&idp.toml("", &saml)).application(&app.toml("", "")), idp, app).await;
    assert!(scene.ask(&[("prompt", "select_account")]).await.force_authn);
    scene.sign_in(&Person::jane(), &[("acr_values", "pwd")]).await;
    // The session is too weak: asked again, and what is weaker than asked is refused.
    let request = scene.ask(&[("acr_values", "mfa")]).await;
    assert!(request.xml.contains("Comparison=\"minimum\"") && request.xml.contains(class), "{}", request.xml);
    let (error, _) = scene.app.error(&scene.gateway, &scene.answer(&scene.idp.respond(&request, &Person::jane())).await.away());
    assert_eq!(error, "unmet_authentication_requirements");
    // What is stronger than asked is enough.
    let request = scene.ask(&[("acr_values", "pwd"), ("prompt", "login")]).await;
    let strong = scene.idp.respond_with(&request, &Person::jane(), |response| response.authn_context = class.to_owned());
    let answer = scene.answer(&strong).await.away();
    scene.app.code(&scene.gateway, &answer);
}

#[tokio::test]
async fn prompt_login_becomes_force_authn() {
    let scene = Scene::new().await;
    scene.sign_in(&Person::jane(), &[]).await;
    let request = scene.ask(&[("prompt", "login")]).await;
    assert!(request.force_authn, "{}", request.xml);
    // An identity provider that did not ask again is not believed.
    let stale = scene.idp.respond_with(&request, &Person::jane(), |response| response.authn_instant = now() - Duration::from_secs(3600));
    let (error, _) = scene.app.error(&scene.gateway, &scene.answer(&stale).await.away());
    assert_eq!(error, "server_error");
    let answer = scene.sign_in(&Person::jane(), &[("prompt", "login")]).await;
    scene.app.code(&scene.gateway, &answer);
}

#[tokio::test]
async fn max_age_is_held_against_the_login_at_the_identity_provider() {
    let scene = Scene::new().await;
    let request = scene.ask(&[]).await;
    let old = scene.idp.respond_with(&request, &Person::jane(), |response| response.authn_instant = now() - Duration::from_secs(100));
    let answer = scene.answer(&old).await.away();
    scene.app.code(&scene.gateway, &answer);
    // The session here is new, but the person proved who they are a hundred seconds ago.
    let answer = scene.again(&[("max_age", "1000")]).await;
    scene.app.code(&scene.gateway, &answer);
    for max_age in ["50", "0"] {
        let request = scene.ask(&[("max_age", max_age)]).await;
        assert!(request.force_authn, "max_age={max_age}");
    }
    let request = scene.ask(&[("max_age", "50")]).await;
    let still_old = scene.idp.respond_with(&request, &Person::jane(), |response| response.authn_instant = now() - Duration::from_secs(200));
    let (error, _) = scene.app.error(&scene.gateway, &scene.answer(&still_old).await.away());
    assert_eq!(error, "server_error");
    let request = scene.ask(&[("max_age", "50")]).await;
    let answer = scene.answer(&scene.idp.respond(&request, &Person::jane())).await.away();
    scene.app.code(&scene.gateway, &answer);
}

#[tokio::test]
async fn acr_values_become_a_requested_context_and_are_checked() {
    let (idp, app) = (Idp::new("acme"), App::new("notes"));
    let class = "urn:oasis:names:tc:SAML:2.0:ac:classes:TimeSyncToken";
    let acr = format!("[connection.saml.acr]\nmfa = \"{class}\"\n");
    let setup = Setup::new().connection(&idp.toml("", &acr)).application(&app.toml("", ""));
    let scene = Scene::of(setup, idp, app).await;
    let request = scene.ask(&[("acr_values", "mfa")]).await;
    assert!(request.xml.contains("RequestedAuthnContext") && request.xml.contains(class), "{}", request.xml);
    let (error, _) = scene.app.error(&scene.gateway, &scene.answer(&scene.idp.respond(&request, &Person::jane())).await.away());
    assert_eq!(error, "unmet_authentication_requirements");
    let request = scene.ask(&[("acr_values", "mfa")]).await;
    let strong = scene.idp.respond_with(&request, &Person::jane(), |response| response.authn_context = class.to_owned());
    let answer = scene.answer(&strong).await.away();
    let code = scene.app.code(&scene.gateway, &answer);
    let tokens = crate::harness::app::Tokens::of(&scene.app.redeem(&scene.gateway, &code, &[]).await);
    assert_eq!(tokens.claims()["acr"], "mfa");
    // The session is strong enough now.
    let answer = scene.again(&[("acr_values", "mfa")]).await;
    scene.app.code(&scene.gateway, &answer);
}

/// Two identity providers and an application that may use both.
struct Two {
    scene: Scene,
    other: Idp,
}

impl Two {
    async fn new(application: &str) -> Self {
        let (acme, other, app) = (Idp::new("acme"), Idp::new("globex"), App::new("notes"));
        let setup = Setup::new()
            .connection(&acme.toml("domains = [\"acme.example\"]", ""))
            .connection(&other.toml("domains = [\"globex.example\", \"sub.globex.example\"]", ""))
            .application(&app.toml(application, ""));
        Self { scene: Scene::of(setup, acme, app).await, other }
    }

    async fn chooser(&self, changes: &[(&str, &str)]) -> Page {
        let url = self.scene.app.authorize(&self.scene.gateway, changes);
        let page = self.scene.browser.open(url.as_str()).await.here();
        assert_eq!(page.status, 200);
        assert!(page.contains("The acme people") && page.contains("The globex people"), "{}", page.body);
        page
    }
}

#[tokio::test]
async fn the_person_chooses_among_several() {
    let two = Two::new("").await;
    let page = two.chooser(&[]).await;
    let request = two.other.read(&two.scene.browser.press(&page, "The globex people").await.away());
    let answer = two.scene.answer(&two.other.respond(&request, &Person::jane())).await.away();
    let code = two.scene.app.code(&two.scene.gateway, &answer);
    let tokens = crate::harness::app::Tokens::of(&two.scene.app.redeem(&two.scene.gateway, &code, &[]).await);
    assert_eq!(tokens.claims()["sub"], "samlp|globex|jane-1");
    // Back, and another choice: the login is over, and the page helps.
    let again = two.scene.browser.press(&page, "The acme people").await.here();
    again.assert_refused(409, "ISTH-2003");
    assert!(again.restart().is_some());
    // select_account shows the chooser although there is a session.
    two.chooser(&[("prompt", "select_account")]).await;
}

#[tokio::test]
async fn a_change_of_mind_before_signing_in_is_possible() {
    let two = Two::new("").await;
    let page = two.chooser(&[]).await;
    let first = two.other.read(&two.scene.browser.press(&page, "The globex people").await.away());
    let second = two.scene.idp.read(&two.scene.browser.press(&page, "The acme people").await.away());
    // The first one's answer is not the answer of the one that was asked last.
    two.scene.answer(&two.other.respond(&first, &Person::jane())).await.here().assert_refused(403, "ISTH-3001");
    let answer = two.scene.answer(&two.scene.idp.respond(&second, &Person::jane())).await.away();
    two.scene.app.code(&two.scene.gateway, &answer);
}

#[tokio::test]
async fn the_chooser_of_one_browser_is_not_for_another() {
    let two = Two::new("").await;
    let page = two.chooser(&[]).await;
    let stranger = Browser::new();
    begin(&stranger, &two.scene.app.authorize(&two.scene.gateway, &[("connection", "acme")])).await;
    stranger.press(&page, "The acme people").await.here().assert_refused(403, "ISTH-2004");
    two.scene.browser.press(&page, "The acme people").await.away();
}

#[tokio::test]
async fn the_domain_of_the_login_hint_finds_the_connection() {
    let two = Two::new("").await;
    for hint in ["jane@globex.example", "JANE@Sub.Globex.Example"] {
        let departure = two.scene.browser.open(two.scene.app.authorize(&two.scene.gateway, &[("login_hint", hint)]).as_str()).await.away();
        two.other.read(&departure);
    }
    for hint in ["jane@elsewhere.example", "jane", "jane@globex.example.evil.example"] {
        two.chooser(&[("login_hint", hint)]).await;
    }
}

#[tokio::test]
async fn the_application_may_name_the_connection() {
    let two = Two::new("").await;
    let departure = two.scene.browser.open(two.scene.app.authorize(&two.scene.gateway, &[("connection", "globex")]).as_str()).await.away();
    two.other.read(&departure);
    let (error, description) = two.scene.app.error(&two.scene.gateway, &two.scene.again(&[("connection", "nowhere")]).await);
    assert_eq!(error, "invalid_request");
    assert!(description.contains("ISTH-2001"), "{description}");
    // A session that came another way does not answer for this one.
    two.scene.sign_in(&Person::jane(), &[("connection", "acme")]).await;
    let departure = two.scene.browser.open(two.scene.app.authorize(&two.scene.gateway, &[("connection", "globex")]).as_str()).await.away();
    two.other.read(&departure);
}

#[tokio::test]
async fn an_application_uses_the_connections_it_is_allowed() {
    let two = Two::new("connections = [\"globex\"]").await;
    let departure = two.scene.browser.open(two.scene.app.authorize(&two.scene.gateway, &[]).as_str()).await.away();
    two.other.read(&departure);
    let (error, _) = two.scene.app.error(&two.scene.gateway, &two.scene.again(&[("connection", "acme")]).await);
    assert_eq!(error, "invalid_request");
    // Not by a hint either.
    let departure = two.scene.again(&[("login_hint", "jane@acme.example")]).await;
    two.other.read(&departure);
}

#[tokio::test]
async fn the_hinted_user_must_be_the_one_who_signs_in() {
    let scene = Scene::new().await;
    let tokens = scene.tokens(&Person::jane(), &[]).await;
    let hint = [("id_token_hint", tokens.id_token())];
    let answer = scene.again(&hint).await;
    scene.app.code(&scene.gateway, &answer);
    // Another person in the same browser.
    scene.sign_in(&Person::zoe(), &[("prompt", "login")]).await;
    let (error, _) = scene.app.error(&scene.gateway, &scene.again(&[hint[0], ("prompt", "none")]).await);
    assert_eq!(error, "login_required");
    let answer = scene.sign_in(&Person::zoe(), &hint).await;
    let (error, _) = scene.app.error(&scene.gateway, &answer);
    assert_eq!(error, "login_required");
    // A hint that is not ours.
    let forged = format!("{}x", tokens.id_token());
    let (error, _) = scene.app.error(&scene.gateway, &scene.again(&[("id_token_hint", &forged)]).await);
    assert_eq!(error, "invalid_request");
}

#[tokio::test]
async fn a_disabled_connection_is_refused_on_every_entry() {
    let mut scene = Scene::new().await;
    let tokens = scene.tokens(&Person::jane(), &[("scope", "openid offline_access")]).await;
    let under_way = scene.ask(&[("prompt", "login")]).await;
    scene.gateway.stop();
    let disabled = scene.idp.toml("enabled = false", "");
    scene.gateway.start_again(|setup| setup.connections = vec![disabled]).await;
    // A login that was under way, and an answer that nobody asked for.
    let answer = scene.idp.respond(&under_way, &Person::jane());
    scene.answer(&answer).await.here().assert_refused(404, "ISTH-2001");
    let callback = scene.gateway.url("/login/callback?connection=acme");
    scene.browser.post(&scene.idp.page(), &callback, &answer.fields()).await.here().assert_refused(404, "ISTH-2001");
    // A new login, by any way to name it, and by the session that is still there.
    for changes in [&[][..], &[("connection", "acme")], &[("login_hint", "jane@acme.example")], &[("prompt", "login")]] {
        let (error, description) = scene.app.error(&scene.gateway, &scene.again(changes).await);
        assert_eq!(error, "invalid_request", "{changes:?}");
        assert!(description.contains("ISTH-2001"), "{description}");
    }
    let metadata = scene.gateway.url("/connections/acme/metadata");
    scene.browser.open(metadata.as_str()).await.here().assert_refused(404, "ISTH-2001");
    let refreshed = scene.app.refresh(&scene.gateway, tokens.refresh_token(), &[]).await;
    crate::harness::app::assert_oauth_error(&refreshed, 400, "invalid_grant");
}

#[tokio::test]
async fn a_disabled_application_is_refused_on_every_entry() {
    let mut scene = Scene::new().await;
    let tokens = scene.tokens(&Person::jane(), &[("scope", "openid offline_access")]).await;
    let answer = scene.again(&[]).await;
    let code = scene.app.code(&scene.gateway, &answer);
    let under_way = scene.ask(&[("prompt", "login")]).await;
    scene.gateway.stop();
    let disabled = scene.app.toml("enabled = false", "");
    scene.gateway.start_again(|setup| setup.applications = vec![disabled]).await;
    scene.browser.open(scene.app.authorize(&scene.gateway, &[]).as_str()).await.here().assert_refused(400, "ISTH-1008");
    for answer in [scene.app.redeem(&scene.gateway, &code, &[]).await, scene.app.refresh(&scene.gateway, tokens.refresh_token(), &[]).await]
    {
        crate::harness::app::assert_oauth_error(&answer, 401, "invalid_client");
    }
    let outcome = scene.answer(&scene.idp.respond(&under_way, &Person::jane())).await;
    let refused = match outcome {
        crate::harness::browser::Landed::Here(page) => page.contains("ISTH-"),
        crate::harness::browser::Landed::Away(departure) => departure.parameter("error").is_some() && departure.parameter("code").is_none(),
    };
    assert!(refused, "a login of a disabled application ended with a code");
    // What it was given before is worth nothing any more.
    let told = crate::harness::app::userinfo(&scene.gateway, tokens.access_token()).await;
    assert_eq!(told.status, 401, "{}", told.body);
}

#[tokio::test]
async fn sessions_end() {
    let scene = Scene::with(|setup| Setup { lifetimes: "session = 60".to_owned(), ..setup }).await;
    let end = now() + Duration::from_secs(1);
    let request = scene.ask(&[]).await;
    scene.answer(&scene.idp.respond_with(&request, &Person::jane(), |response| response.session_not_on_or_after = Some(end))).await.away();
    eventually("the end of the session", async || {
        let answer = scene.again(&[]).await;
        answer.parameter("SAMLRequest").map(drop)
    })
    .await;
}
