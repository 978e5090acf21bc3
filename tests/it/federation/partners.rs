//! Everything that comes after the choice, at a connection that is a whole federation: logins of applications of both
//! protocols, Single Logout from either end, answers by artifact. What one identity provider may, another may not for it.

use super::world::{Lines, Member, World};
use crate::harness::browser::{Browser, Departure};
use crate::harness::idp::{Answer, Person};
use crate::logout_support::{Heard, Known, look};
use crate::saml_apps::sp::Answered;
use url::Url;

const BYE: &str = "post_logout_redirect_uris = [\"https://notes.example/bye\"]";

fn logging_out() -> Lines<'static> {
    Lines { connection: "logout = true", oidc: BYE, ..Lines::default() }
}

/// A login at notes by a member, and what it knows of it.
async fn session(world: &World, browser: &Browser, member: &Member) -> (Known, String) {
    let url = world.app.authorize(&world.gateway, &[("idp", &member.idp.entity_id), ("prompt", "login")]);
    let request = member.idp.read(&browser.open(url.as_str()).await.away());
    let answer = member.idp.respond(&request, &Person::jane());
    let landed = browser.post(&answer.from, &answer.to, &answer.fields()).await.away();
    let code = world.app.code(&world.gateway, &landed);
    let tokens = crate::harness::app::Tokens::of(&world.app.redeem(&world.gateway, &code, &[]).await);
    (member.knows(&answer), tokens.id_token().to_owned())
}

async fn metadata(world: &World) -> String {
    Browser::new().open(world.gateway.url("/connections/edu/metadata").as_str()).await.here().body
}

fn slo(world: &World) -> Url {
    world.gateway.url("/connections/edu/slo")
}

#[tokio::test]
async fn a_saml_application_is_answered_by_whom_it_lists() {
    let world = World::new().await;
    for member in [&world.alpha, &world.beta] {
        let browser = Browser::new();
        let entity_id = &member.idp.entity_id;
        let list = format!(
            "<samlp:Scoping><samlp:IDPList><samlp:IDPEntry ProviderID=\"https://invented.example\"/><samlp:IDPEntry ProviderID=\"{entity_id}\"/></samlp:IDPList></samlp:Scoping>"
        );
        let request = world.sp.request(&world.gateway).and(&list);
        let asked = member.idp.read(&browser.open(world.sp.redirect(&request).as_str()).await.away());
        let answer = member.idp.respond(&asked, &Person::zoe());
        let answered = Answered::read(&world.gateway, &browser.post(&answer.from, &answer.to, &answer.fields()).await.away());
        assert_eq!(answered.assert_good().text("saml:AuthenticatingAuthority"), *entity_id);
        assert_eq!(answered.of("samlp:Response", "InResponseTo"), request.id);
    }
    let request = world.sp.request(&world.gateway);
    let request = request
        .and("<samlp:Scoping><samlp:IDPList><samlp:IDPEntry ProviderID=\"https://invented.example\"/></samlp:IDPList></samlp:Scoping>");
    let refused = Answered::read(&world.gateway, &world.browser.open(world.sp.redirect(&request).as_str()).await.away());
    refused.assert_refused("Responder", "NoSupportedIDP", &request.id);
}

#[tokio::test]
async fn a_logout_that_begins_at_an_application_reaches_the_identity_provider_of_the_session() {
    let world = World::with(&logging_out(), |setup| setup).await;
    let ours = metadata(&world).await;
    for member in [&world.alpha, &world.beta] {
        let (known, hint) = session(&world, &world.browser, member).await;
        let mut end = world.gateway.url("/oidc/logout");
        end.query_pairs_mut().extend_pairs([("id_token_hint", hint.as_str()), ("post_logout_redirect_uri", "https://notes.example/bye")]);
        let told = Heard::read(&world.browser.open(end.as_str()).await.away(), &ours);
        told.assert_ends(&known, &member.partner);
        assert!(!world.is_signed_in().await);
        let good = member.partner.redirect(&member.partner.answer(slo(&world), &told, &["Success"]));
        let back = world.browser.open(good.as_str()).await.away();
        assert_eq!(back.url.as_str(), "https://notes.example/bye");
    }
    let outcomes = async || {
        let of = |outcome: &str| format!("isthmus_logouts_total{{by=\"oidc\",outcome=\"{outcome}\"}}");
        (world.gateway.metric(&of("success")).await, world.gateway.metric(&of("partial")).await)
    };
    assert_eq!(outcomes().await, (2, 0));
    // The answer of another, under its own name and under that of who was asked, confirms nothing.
    for name in [&world.beta.idp.entity_id, &world.alpha.idp.entity_id] {
        let (_, hint) = session(&world, &world.browser, &world.alpha).await;
        let mut end = world.gateway.url("/oidc/logout");
        end.query_pairs_mut().extend_pairs([("id_token_hint", hint.as_str()), ("post_logout_redirect_uri", "https://notes.example/bye")]);
        let told = Heard::read(&world.browser.open(end.as_str()).await.away(), &ours);
        let mut forged = world.beta.partner.answer(slo(&world), &told, &["Success"]);
        forged.issuer.clone_from(name);
        let page = world.browser.open(world.beta.partner.redirect(&forged).as_str()).await.here();
        assert!(!page.contains("confirmed") || page.contains("not"), "{}", page.body);
    }
    assert_eq!(outcomes().await, (2, 2));
}

#[tokio::test]
async fn a_logout_that_begins_at_an_identity_provider_ends_sessions_of_its_own_people_only() {
    let world = World::with(&logging_out(), |setup| setup).await;
    let ours = metadata(&world).await;
    let (known, _) = session(&world, &world.browser, &world.alpha).await;
    // The same name and index, said by somebody else.
    let request = world.beta.partner.request(slo(&world), &known);
    let back = Browser::new().open(world.beta.partner.redirect(&request).as_str()).await.away();
    Heard::read(&back, &ours).assert_answers(&request, &world.beta.partner, &["Responder", "UnknownPrincipal"]);
    assert!(world.is_signed_in().await);
    // In the other's name, with the own key.
    let mut request = world.beta.partner.request(slo(&world), &known);
    request.issuer.clone_from(&world.alpha.idp.entity_id);
    assert!(Browser::new().open(world.beta.partner.redirect(&request).as_str()).await.here().status >= 400);
    assert!(world.is_signed_in().await);
    // By both bindings, also in a browser that knows nothing of us.
    for by_post in [false, true] {
        let (known, _) = session(&world, &world.browser, &world.alpha).await;
        let request = world.alpha.partner.request(slo(&world), &known);
        let back = match by_post {
            false => look_away(&world.browser, &world.alpha.partner.redirect(&request)).await,
            true => Browser::new().post(&world.alpha.idp.page(), &request.to, &world.alpha.partner.form(&request)).await.away(),
        };
        // Notes has no address at which it could be told.
        Heard::read(&back, &ours).assert_answers(&request, &world.alpha.partner, &["Success", "PartialLogout"]);
        assert!(!world.is_signed_in().await);
    }
    // Somebody who is not in the federation.
    let mut request = world.alpha.partner.request(slo(&world), &known);
    request.issuer = "https://invented.example/idp".to_owned();
    assert!(Browser::new().open(world.alpha.partner.redirect(&request).as_str()).await.here().status >= 400);
}

async fn look_away(browser: &Browser, url: &Url) -> Departure {
    browser.open(url.as_str()).await.away()
}

/// Applications of both protocols hear of it, whoever of the federation began it.
#[tokio::test]
async fn applications_hear_of_a_logout_at_an_identity_provider() {
    let lines = Lines { saml: "slo_url = \"https://wiki.example/slo\"\nlogout_binding = \"redirect\"", ..logging_out() };
    let world = World::with(&lines, |setup| setup).await;
    let (known, _) = session(&world, &world.browser, &world.alpha).await;
    let request = world.sp.request(&world.gateway);
    let answered = Answered::read(&world.gateway, &world.browser.open(world.sp.redirect(&request).as_str()).await.away());
    answered.assert_good();
    let apps = Browser::new().open(world.gateway.url("/saml/metadata").as_str()).await.here().body;
    let request = world.alpha.partner.request(slo(&world), &known);
    let page = look_or_leave(&world.browser, &world.alpha.partner.redirect(&request)).await;
    let told = Heard::read(&page, &apps);
    assert_eq!((told.to.as_str(), told.text("saml:NameID")), ("https://wiki.example/slo", answered.text("saml:NameID")));
}

/// To where the browser is sent, or where the button of our page sends it.
async fn look_or_leave(browser: &Browser, url: &Url) -> Departure {
    match browser.open(url.as_str()).await {
        crate::harness::browser::Landed::Away(departure) => departure,
        crate::harness::browser::Landed::Here(_) => {
            let page = look(browser, url).await;
            browser.press(&page, "Continue").await.away()
        }
    }
}

#[tokio::test]
async fn artifacts_are_resolved_at_the_identity_provider_that_was_asked() {
    let world = World::with(&Lines { connection: "response_binding = \"artifact\"", ..Lines::default() }, |setup| setup).await;
    let ask = async |member: &Member| -> Answer {
        let url = world.app.authorize(&world.gateway, &[("idp", &member.idp.entity_id), ("prompt", "login")]);
        let request = member.idp.read(&world.browser.open(url.as_str()).await.away());
        assert!(request.xml.contains("bindings:HTTP-Artifact"), "{}", request.xml);
        member.idp.respond(&request, &Person::jane())
    };
    for member in [&world.alpha, &world.beta] {
        let answer = ask(member).await;
        let artifact = member.artifacts.keep(&answer);
        let landed = member.artifacts.redirect(&world.browser, &answer, &artifact).await.away();
        let code = world.app.code(&world.gateway, &landed);
        let claims = crate::harness::app::Tokens::of(&world.app.redeem(&world.gateway, &code, &[]).await).claims();
        assert_eq!(claims["sub"], format!("samlp|edu|{}!jane-1", member.idp.entity_id));
    }
    assert_eq!((world.alpha.artifacts.site.seen().len(), world.beta.artifacts.site.seen().len()), (1, 1));
    // In alpha's login an artifact of beta's is nobody's: neither of them is asked.
    let (of_alpha, of_beta) = (ask(&world.alpha).await, ask(&world.beta).await);
    let artifact = world.beta.artifacts.keep(&of_beta);
    let landed = world.beta.artifacts.redirect(&world.browser, &of_alpha, &artifact).await.away();
    assert_eq!(world.app.error(&world.gateway, &landed).0, "server_error");
    let newest = world.gateway.ask_operations("/traces", "application/json").await.json();
    let newest =
        newest.as_array().or_else(|| newest["logins"].as_array()).expect("a list")[0]["correlation_id"].as_str().unwrap().to_owned();
    let trace = world.gateway.trace(&newest).await.to_string();
    assert!(trace.contains("artifact-of-another"), "{trace}");
    assert_eq!((world.alpha.artifacts.site.seen().len(), world.beta.artifacts.site.seen().len()), (1, 1));
    // And what alpha's service says must be alpha's.
    let answer = ask(&world.alpha).await;
    let forged = world.beta.idp.respond_with(
        &world.alpha.idp.read(&{
            let url = world.app.authorize(&world.gateway, &[("idp", &world.alpha.idp.entity_id), ("prompt", "login")]);
            world.browser.open(url.as_str()).await.away()
        }),
        &Person::jane(),
        |response| response.issuer.clone_from(&world.alpha.idp.entity_id),
    );
    let artifact = world.alpha.artifacts.keep(&forged);
    let landed =
        world.alpha.artifacts.redirect(&world.browser, &Answer { relay_state: forged.relay_state.clone(), ..answer }, &artifact).await;
    assert_eq!(world.app.error(&world.gateway, &landed.away()).0, "server_error");
}

/// A status of one of many goes on as that of any.
#[tokio::test]
async fn what_an_identity_provider_reports_reaches_the_application() {
    let world = World::new().await;
    let url = world.app.authorize(&world.gateway, &[("idp", &world.alpha.idp.entity_id)]);
    let request = world.alpha.idp.read(&world.browser.open(url.as_str()).await.away());
    let answer = world.alpha.idp.respond_with(&request, &Person::jane(), |response| {
        response.status = vec!["Responder", "NoAuthnContext"];
        response.sign = crate::harness::idp::Sign::Response;
    });
    let (error, _) = world.app.error(&world.gateway, &world.arrive(&answer).await.away());
    assert_eq!(error, "unmet_authentication_requirements");
}
