//! Mirrors of a federation: to an application that is set so, every identity provider of the connection is one of ours, with
//! an entity ID, metadata and endpoints of its own.

use super::world::{Lines, World};
use crate::harness::browser::Browser;
use crate::harness::idp::{Idp, Person};
use crate::logout_support::{Heard, Partner, known_of};
use crate::saml_apps::judge;
use crate::saml_apps::sp::{Answered, Request};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use url::Url;

/// An address of the entity that stands for this identity provider.
fn place(world: &World, idp: &Idp, end: &str) -> Url {
    world.gateway.url(&format!("/saml/mirror/edu/{}/{end}", URL_SAFE_NO_PAD.encode(&idp.entity_id)))
}

async fn mirrored() -> World {
    World::with(&Lines { saml: "mirror = true", ..Lines::default() }, |setup| setup).await
}

fn request(world: &World, idp: &Idp) -> Request {
    world.sp.request(&world.gateway).at(place(world, idp, "sso"))
}

/// A whole login at the mirror of an identity provider, by redirect or form.
async fn sign_in(world: &World, browser: &Browser, idp: &Idp, by_post: bool) -> Answered {
    let request = request(world, idp);
    let landed = match by_post {
        true => browser.post(&Url::parse(&world.sp.entity_id).unwrap(), &request.to, &world.sp.form(&request)).await,
        false => browser.open(world.sp.redirect(&request).as_str()).await,
    };
    let answer = idp.respond(&idp.read(&landed.away()), &Person::jane());
    let answered = Answered::read(&world.gateway, &browser.post(&answer.from, &answer.to, &answer.fields()).await.away());
    assert_eq!(answered.assert_good().of("samlp:Response", "InResponseTo"), request.id);
    answered
}

#[tokio::test]
async fn each_identity_provider_is_asked_and_answers_as_itself() {
    let world = mirrored().await;
    let mut names = Vec::new();
    for (idp, by_post) in [(&*world.alpha.idp, false), (&*world.beta.idp, true), (&world.hidden, false)] {
        let entity = place(&world, idp, "metadata").to_string();
        let answered = sign_in(&world, &Browser::new(), idp, by_post).await;
        assert_eq!(answered.texts("saml:Issuer"), [entity.clone(), entity.clone()]);
        assert_eq!(answered.of("saml:NameID", "NameQualifier"), entity);
        assert_eq!(answered.text("saml:AuthenticatingAuthority"), idp.entity_id);
        names.push(answered.text("saml:NameID"));
    }
    assert!(names[0] != names[1] && names[1] != names[2] && names[0] != names[2], "jane of one is not jane of another: {names:?}");
}

#[tokio::test]
async fn each_has_metadata_that_name_its_own_endpoints() {
    let world = mirrored().await;
    for idp in [&*world.alpha.idp, &*world.beta.idp] {
        let page = Browser::new().open(place(&world, idp, "metadata").as_str()).await.here();
        assert_eq!((page.status, page.header("content-type")), (200, "application/samlmetadata+xml"), "{}", page.body);
        judge::is_built_as_the_schema_says(&page.body);
        judge::verify_metadata(&world.gateway, &page.body);
        assert!(page.contains(&format!("entityID=\"{}\"", place(&world, idp, "metadata"))), "{}", page.body);
        // By the name that the federation gives it.
        assert!(page.contains(&format!(">{}</mdui:DisplayName>", idp.name)), "{}", page.body);
        for (end, times) in [("sso", 2), ("slo", 3), ("artifact", 1)] {
            assert_eq!(page.body.matches(&format!("Location=\"{}\"", place(&world, idp, end))).count(), times, "{end}: {}", page.body);
        }
    }
    let stranger = Idp::new("stranger");
    Browser::new().open(place(&world, &stranger, "metadata").as_str()).await.here().assert_refused(400, "ISTH-1008");
    // For applications without mirrors there are none.
    let plain = World::new().await;
    Browser::new().open(place(&plain, &plain.alpha.idp, "metadata").as_str()).await.here().assert_refused(400, "ISTH-1008");
    let asked = plain.sp.request(&plain.gateway).at(place(&plain, &plain.alpha.idp, "sso"));
    Browser::new().open(plain.sp.redirect(&asked).as_str()).await.here().assert_refused(400, "ISTH-1008");
}

#[tokio::test]
async fn a_session_by_one_answers_for_no_other() {
    let world = mirrored().await;
    sign_in(&world, &world.browser, &world.alpha.idp, false).await;
    // Its own, and that of the whole connection.
    for to in [place(&world, &world.alpha.idp, "sso"), world.gateway.url("/saml/mirror/edu/sso"), world.gateway.url("/saml/sso")] {
        let request = world.sp.request(&world.gateway).at(to);
        Answered::read(&world.gateway, &world.browser.open(world.sp.redirect(&request).as_str()).await.away()).assert_good();
    }
    let passive = request(&world, &world.beta.idp).with(r#"IsPassive="true""#);
    let refused = Answered::read(&world.gateway, &world.browser.open(world.sp.redirect(&passive).as_str()).await.away());
    refused.assert_refused("Responder", "NoPassive", &passive.id);
    assert_eq!(refused.texts("saml:Issuer"), [place(&world, &world.beta.idp, "metadata").to_string()]);
    let asked = request(&world, &world.beta.idp);
    world.beta.idp.read(&world.browser.open(world.sp.redirect(&asked).as_str()).await.away());
}

/// Nobody picks another on the way, and a request for one is none for another.
#[tokio::test]
async fn whom_a_mirror_stands_for_cannot_be_changed() {
    let world = mirrored().await;
    let asked = request(&world, &world.alpha.idp);
    let upstream = world.alpha.idp.read(&world.browser.open(world.sp.redirect(&asked).as_str()).await.away());
    let login = upstream.relay_state.expect("a RelayState");
    let choice = [("connection".to_owned(), format!("edu {}", world.beta.idp.entity_id)), ("login".to_owned(), login)];
    let from = world.gateway.url("/login");
    if let crate::harness::browser::Landed::Away(departure) = world.browser.post(&from, &from, &choice).await {
        let answer = world.beta.idp.respond(&world.beta.idp.read(&departure), &Person::jane());
        let answered = Answered::read(&world.gateway, &world.arrive(&answer).await.away());
        assert_ne!(answered.status(), ["Success"], "{}", answered.xml);
        assert!(!answered.xml.contains("Assertion>"), "{}", answered.xml);
    }
    let elsewhere = Request { to: place(&world, &world.beta.idp, "sso"), ..request(&world, &world.alpha.idp) };
    world.browser.open(world.sp.redirect(&elsewhere).as_str()).await.here().assert_refused(400, "ISTH-1001");
    // Neither a list nor a hint in the request leads to another.
    let list = format!(
        "<samlp:Scoping><samlp:IDPList><samlp:IDPEntry ProviderID=\"{}\"/></samlp:IDPList></samlp:Scoping>",
        world.beta.idp.entity_id
    );
    let asked = request(&world, &world.alpha.idp).and(&list);
    let mut url = world.sp.redirect(&asked);
    url.query_pairs_mut().append_pair("aarc_idp_hint", &world.beta.idp.entity_id).append_pair("connection", "edu");
    world.alpha.idp.read(&Browser::new().open(url.as_str()).await.away());
    for odd in ["not+base64", "aHR0cHM6Ly94", "%2e%2e", ""] {
        let url = world.gateway.url(&format!("/saml/mirror/edu/{odd}/sso"));
        let asked = Request { to: url.clone(), destination: Some(url.to_string()), ..request(&world, &world.alpha.idp) };
        let page = world.browser.open(world.sp.redirect(&asked).as_str()).await.here();
        assert!(page.status == 400 || page.status == 404, "{odd}: {} {}", page.status, page.body);
    }
}

/// The mirror of the connection as a whole has the person choose, among the federation only.
#[tokio::test]
async fn the_mirror_of_the_connection_lets_people_choose() {
    let acme = Idp::new("acme");
    let world = World::with(&Lines { saml: "mirror = true", ..Lines::default() }, |setup| setup.connection(&acme.toml("", ""))).await;
    let asked = world.sp.request(&world.gateway).at(world.gateway.url("/saml/mirror/edu/sso"));
    let page = world.browser.open(world.sp.redirect(&asked).as_str()).await.here();
    assert!(super::chooser::offered(&page).is_empty(), "{}", page.body);
    let found = super::chooser::search(&world.browser, &page, "beta").await;
    let fields = [
        ("login".to_owned(), super::chooser::forms(&found)[0].field("login").unwrap().to_owned()),
        ("connection".to_owned(), format!("edu {}", world.beta.idp.entity_id)),
    ];
    let upstream = world.beta.idp.read(&world.browser.post(&found.url, &world.gateway.url("/login"), &fields).await.away());
    let answered = Answered::read(&world.gateway, &world.arrive(&world.beta.idp.respond(&upstream, &Person::jane())).await.away());
    assert_eq!(answered.assert_good().texts("saml:Issuer")[0], world.gateway.url("/saml/mirror/edu/metadata").to_string());
}

/// Logout and artifacts at the addresses of one mirror, as that entity.
#[tokio::test]
async fn a_mirror_takes_logout_messages_as_itself() {
    let wiki = Partner::new("docs");
    let line = "mirror = true";
    let world = World::with(&Lines { saml: line, ..Lines::default() }, |setup| setup.application(&wiki.application(line))).await;
    let alpha = &world.alpha.idp;
    let docs = crate::saml_apps::sp::Sp::signing_with(
        "docs",
        crate::harness::keys::Pair { key: wiki.pair.key.clone(), certificate: wiki.pair.certificate.clone() },
    );
    let asked = docs.request(&world.gateway).at(place(&world, alpha, "sso"));
    let upstream = alpha.read(&world.browser.open(docs.redirect(&asked).as_str()).await.away());
    let answered = Answered::read(&world.gateway, &world.arrive(&alpha.respond(&upstream, &Person::jane())).await.away());
    let known = known_of(&answered.assert_good().xml);
    let ours = Browser::new().open(place(&world, alpha, "metadata").as_str()).await.here().body;
    // At the mirror of another nobody of that name is known.
    let elsewhere = wiki.request(place(&world, &world.beta.idp, "slo"), &known);
    let back = Heard::read(&Browser::new().open(wiki.redirect(&elsewhere).as_str()).await.away(), &ours);
    assert_eq!(back.status(), ["Responder", "UnknownPrincipal"], "{}", back.xml);
    assert!(world.is_signed_in().await);
    let out = wiki.request(place(&world, alpha, "slo"), &known);
    let back = Heard::read(&world.browser.open(wiki.redirect(&out).as_str()).await.away(), &ours);
    // Notes, which has just been signed in to, has no address at which it could be told.
    back.assert_answers(&out, &wiki, &["Success", "PartialLogout"]);
    assert_eq!(back.text("saml:Issuer"), place(&world, alpha, "metadata").to_string());
    assert!(!world.is_signed_in().await);
}
