//! The Identity Provider Discovery Service Protocol, from both sides.

use super::chooser::{forms, offered, search};
use super::world::{Lines, World, entity_of};
use crate::harness::browser::{Browser, Departure, Page};
use crate::harness::gateway::Setup;
use crate::harness::idp::{Idp, Person};
use url::Url;

const SINGLE: &str = "urn:oasis:names:tc:SAML:profiles:SSO:idp-discovery-protocol:single";

/// A federation, a connection with one identity provider, and `wiki` with two places to return to.
struct Service {
    world: World,
    acme: Idp,
}

impl Service {
    async fn new(saml: &str) -> Self {
        let acme = Idp::new("acme");
        let saml = format!("discovery_urls = [\"https://wiki.example/picked\", \"https://wiki.example/other?a=b\"]\n{saml}");
        let change = |setup: Setup| setup.connection(&acme.toml("", ""));
        let world = World::with(&Lines { saml: &saml, ..Lines::default() }, change).await;
        Self { world, acme }
    }

    fn ask(&self, parameters: &[(&str, &str)]) -> Url {
        let mut url = self.world.gateway.url("/discovery");
        url.query_pairs_mut().append_pair("entityID", &self.world.sp.entity_id).extend_pairs(parameters);
        url
    }

    async fn page(&self, browser: &Browser, parameters: &[(&str, &str)]) -> Page {
        let page = browser.open(self.ask(parameters).as_str()).await.here();
        assert_eq!(page.status, 200, "{}", page.body);
        page
    }
}

/// The form of buttons is a GET, as all of this protocol.
async fn press(browser: &Browser, page: &Page, name: &str, value: &str) -> crate::harness::browser::Landed {
    let found = forms(page).into_iter().find(|form| form.buttons.iter().any(|(button, known, _)| button == name && known == value));
    let form = found.unwrap_or_else(|| panic!("no button {value}: {}", page.body));
    assert_eq!(form.method, "get");
    let mut url = page.url.join(&form.action).unwrap();
    url.query_pairs_mut().clear().extend_pairs(&form.fields).append_pair(name, value);
    browser.open(url.as_str()).await
}

#[tokio::test]
async fn an_application_has_people_find_their_identity_provider_here_and_learns_its_entity_id() {
    let service = Service::new("").await;
    let (alpha, acme) = (service.world.alpha.idp.entity_id.clone(), service.acme.entity_id.clone());
    let browser = Browser::new();
    let back = "https://wiki.example/picked?session=1&x=%26";
    let page = service.page(&browser, &[("return", back), ("policy", SINGLE)]).await;
    assert!(page.contains("Sign in to The wiki") && !page.contains("<script"), "{}", page.body);
    assert_eq!(offered(&page), ["acme"], "what is one connection is listed, what is many is searched");
    let found = search(&browser, &page, "alpha").await;
    let away = press(&browser, &found, "connection", &format!("edu {alpha}")).await.away();
    assert_eq!(away.url.as_str().split("&entityID=").next(), Some(back));
    assert_eq!(away.parameters().last(), Some(&("entityID".to_owned(), alpha.clone())));
    // Remembered, and offered first; without `return` the first registered address; under the name that is wished.
    let page = service.page(&browser, &[("returnIDParam", "idp & more")]).await;
    assert_eq!(offered(&page), [format!("edu {alpha}"), "acme".to_owned()]);
    let away = press(&browser, &page, "connection", "acme").await.away();
    assert!(away.url.as_str().starts_with("https://wiki.example/picked?"), "{}", away.url);
    assert_eq!(away.parameters(), [("idp & more".to_owned(), acme)]);
    // A registered address may have a query of its own.
    let page = service.page(&browser, &[("return", "https://wiki.example/other?a=c")]).await;
    let away = press(&browser, &page, "connection", &format!("edu {alpha}")).await.away();
    assert_eq!(away.parameters(), [("a".to_owned(), "c".to_owned()), ("entityID".to_owned(), alpha)]);
    // Forgotten by a button too.
    let page = service.page(&browser, &[]).await;
    let page = press(&browser, &page, "forget", "1").await.here();
    assert_eq!(offered(&page), ["acme"]);
    assert!(browser.cookie("isthmus-choice").is_none());
    press(&browser, &page, "connection", "acme").await.away();
}

#[tokio::test]
async fn people_return_to_registered_places_only_and_only_for_applications_that_are_known() {
    let service = Service::new("").await;
    let browser = Browser::new();
    let known = &service.world.sp.entity_id;
    for back in [
        "https://evil.example/picked",
        "https://wiki.example.evil.example/picked",
        "https://wiki.example/picked/../evil",
        "https://wiki.example/Picked",
        "https://wiki.example/picked#entityID=x",
        "http://wiki.example/picked",
        "https://wiki.example:8443/picked",
        "https://jane@wiki.example/picked",
        "//evil.example/picked",
        "javascript:alert(1)",
    ] {
        for passive in ["false", "true"] {
            let url = service.ask(&[("return", back), ("isPassive", passive)]);
            browser.open(url.as_str()).await.here().assert_refused(400, "ISTH-1008");
        }
        // Nor after somebody has picked.
        let url = service.ask(&[("return", back), ("connection", "acme")]);
        browser.open(url.as_str()).await.here().assert_refused(400, "ISTH-1008");
    }
    let mut other = service.world.gateway.url("/discovery");
    other.set_query(Some("entityID=https%3A%2F%2Fother.example&return=https%3A%2F%2Fwiki.example%2Fpicked"));
    browser.open(other.as_str()).await.here().assert_refused(400, "ISTH-1008");
    let missing = service.world.gateway.url("/discovery");
    browser.open(missing.as_str()).await.here().assert_refused(400, "ISTH-1001");
    let twice = format!("{}&entityID={known}", service.ask(&[]));
    browser.open(&twice).await.here().assert_refused(400, "ISTH-1001");
    // An application that has not named a place does not take part.
    let plain = World::new().await;
    let mut url = plain.gateway.url("/discovery");
    url.query_pairs_mut().append_pair("entityID", &plain.sp.entity_id).append_pair("return", "https://wiki.example/picked");
    browser.open(url.as_str()).await.here().assert_refused(400, "ISTH-1008");
}

#[tokio::test]
async fn who_may_not_be_interrupted_is_not_and_other_policies_are_refused() {
    let service = Service::new("").await;
    let alpha = service.world.alpha.idp.entity_id.clone();
    let browser = Browser::new();
    let passive = [("isPassive", "true")];
    let away = browser.open(service.ask(&passive).as_str()).await.away();
    assert_eq!(away.url.as_str(), "https://wiki.example/picked", "nobody knows, so nobody is named");
    let page = service.page(&browser, &[]).await;
    let found = search(&browser, &page, "alpha").await;
    press(&browser, &found, "connection", &format!("edu {alpha}")).await.away();
    let away = browser.open(service.ask(&passive).as_str()).await.away();
    assert_eq!(away.parameters(), [("entityID".to_owned(), alpha)]);
    let refused = browser.open(service.ask(&[("policy", "urn:example:all")]).as_str()).await.here();
    refused.assert_refused(400, "ISTH-1001");
    // Made-up picks name nobody.
    for pick in ["edu https://invented.example/idp", "edu", "other"] {
        let page = browser.open(service.ask(&[("connection", pick)]).as_str()).await.here();
        page.assert_refused(404, "ISTH-2001");
    }
}

/// An application that sees mirrors learns the entity ID of the mirror, which is whom it will ask.
#[tokio::test]
async fn an_application_with_mirrors_learns_their_entity_ids() {
    let service = Service::new("mirror = true").await;
    let browser = Browser::new();
    let page = service.page(&browser, &[]).await;
    let found = search(&browser, &page, "alpha").await;
    let away = press(&browser, &found, "connection", &format!("edu {}", service.world.alpha.idp.entity_id)).await.away();
    let entity_id = away.parameter("entityID").expect("an entity ID");
    assert!(entity_id.starts_with(service.world.gateway.url("/saml/mirror/edu/").as_str()), "{entity_id}");
    // It is one that can be asked.
    let metadata = browser.open(&entity_id).await.here();
    assert!(metadata.contains(&format!("entityID=\"{entity_id}\"")), "{}", metadata.body);
    let away = press(&browser, &page, "connection", "acme").await.away();
    assert_eq!(away.parameter("entityID"), Some(service.world.gateway.url("/saml/mirror/acme/metadata").to_string()));
}

const ELSEWHERE: &str = "discovery_url = \"https://ds.example/choose?theme=dark\"";

#[tokio::test]
async fn another_discovery_service_finds_the_identity_provider_for_us() {
    let world = World::with(&Lines { connection: ELSEWHERE, ..Lines::default() }, |setup| setup).await;
    let alpha = &world.alpha.idp.entity_id;
    let start = world.app.authorize(&world.gateway, &[("connection", "edu"), ("prompt", "login")]);
    let asked = world.browser.open(start.as_str()).await.away();
    assert!(asked.url.as_str().starts_with("https://ds.example/choose?theme=dark&"), "{}", asked.url);
    assert_eq!(asked.parameter("entityID"), Some(world.gateway.url("/connections/edu/metadata").to_string()));
    assert_eq!(asked.parameter("returnIDParam").as_deref(), Some("entityID"));
    let back = |asked: &Departure, entity_id: Option<&str>| {
        let mut url = Url::parse(&asked.parameter("return").expect("an address")).unwrap();
        url.query_pairs_mut().extend_pairs(entity_id.map(|entity_id| ("entityID", entity_id)));
        url
    };
    assert!(back(&asked, None).as_str().starts_with(world.gateway.url("/connections/edu/discovery?login=").as_str()));
    let request = world.alpha.idp.read(&world.browser.open(back(&asked, Some(alpha)).as_str()).await.away());
    let answer = world.alpha.idp.respond(&request, &Person::jane());
    world.app.code(&world.gateway, &world.arrive(&answer).await.away());

    // Whoever signed in before does so again where they came from: nobody has to be found.
    world.alpha.idp.read(&world.browser.open(start.as_str()).await.away());

    // One that hides is named all the same; who found nobody may look here; who is made up is nobody.
    let browser = Browser::new();
    let asked = browser.open(start.as_str()).await.away();
    let page = browser.open(back(&asked, None).as_str()).await.here();
    assert_eq!(offered(&search(&browser, &page, "town 042").await), [format!("edu {}", entity_of(42))]);
    let unknown = browser.open(back(&asked, Some("https://invented.example/idp")).as_str()).await.here();
    unknown.assert_refused(404, "ISTH-2001");
    world.hidden.read(&browser.open(back(&asked, Some(&world.hidden.entity_id)).as_str()).await.away());
    // The answer is of this browser and no other, and of a login that there is.
    let asked = browser.open(start.as_str()).await.away();
    let other = Browser::new();
    other.open(start.as_str()).await.away();
    other.open(back(&asked, Some(alpha)).as_str()).await.here().assert_refused(403, "ISTH-2004");
    let invented = world.gateway.url(&format!("/connections/edu/discovery?login={}&entityID=x", "0".repeat(32)));
    other.open(invented.as_str()).await.here().assert_refused(400, "ISTH-2002");
    // And not by another connection than the one for which was asked.
    let elsewhere = back(&asked, Some(alpha)).as_str().replace("/connections/edu/", "/connections/acme/");
    browser.open(&elsewhere).await.here().assert_refused(404, "ISTH-2001");
    // Whoever may not be interrupted is not sent there.
    let (error, _) = world.app.error(&world.gateway, &{
        let url = world.app.authorize(&world.gateway, &[("connection", "edu"), ("prompt", "none"), ("max_age", "0")]);
        world.browser.open(url.as_str()).await.away()
    });
    assert_eq!(error, "login_required");
    // And whoever is named already need not be found.
    let named = world.app.authorize(&world.gateway, &[("idp", alpha), ("prompt", "login")]);
    world.alpha.idp.read(&world.browser.open(named.as_str()).await.away());
}
