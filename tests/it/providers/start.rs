//! Logins that begin here, at one connection: `/connections/{name}/start`.

use crate::harness::app::{App, CALLBACK};
use crate::harness::browser::{Browser, Page, client};
use crate::harness::gateway::{Gateway, Setup};
use crate::harness::op::Op;
use crate::saml_apps::sp::{Answered, Sp};
use url::Url;
use url::form_urlencoded::byte_serialize;

const BEGINS: &str = "https://notes.example/start";

struct World {
    acme: Op,
    globex: Op,
    app: App,
    /// They keep the certificates that the gateway reads.
    _services: [Sp; 2],
    gateway: Gateway,
}

impl World {
    /// Two providers and one that is switched off; `notes` and `wiki` begin so, `shop`, `docs` and `gone` do not.
    async fn new() -> Self {
        let (acme, globex, app) = (Op::start().await, Op::start().await, App::new("notes"));
        let (wiki, docs) = (Sp::new("wiki"), Sp::new("docs"));
        let off = acme.toml("off", "").replace("name = \"off\"\n", "name = \"off\"\nenabled = false\n");
        let few = globex.toml("few", "").replace("name = \"few\"\n", "name = \"few\"\napplications = [\"shop\"]\n");
        let begins = format!("initiate_login_uri = \"{BEGINS}\"");
        let setup = Setup::new()
            .connection(&acme.toml("acme", ""))
            .connection(&globex.toml("globex", ""))
            .connection(&off)
            .connection(&few)
            .application(&app.toml("", &begins))
            .application(&App::new("shop").toml("", ""))
            .application(&App::new("gone").toml("enabled = false", &begins))
            .application(&wiki.toml("", "allow_unsolicited = true"))
            .application(&docs.toml("", ""));
        Self { acme, globex, app, _services: [wiki, docs], gateway: Gateway::start(setup).await }
    }

    fn start(&self, connection: &str, query: &str) -> Url {
        self.gateway.url(&format!("/connections/{connection}/start?{query}"))
    }

    async fn page(&self, connection: &str, query: &str) -> Page {
        Browser::new().open(self.start(connection, query).as_str()).await.here()
    }
}

#[tokio::test]
async fn an_application_by_openid_begins_itself_and_is_told_where() {
    let world = World::new().await;
    let browser = Browser::new();
    let target: String = byte_serialize(CALLBACK.as_bytes()).collect();
    let query = format!("application=notes&login_hint=jane%40acme.example&target_link_uri={target}&idp=https%3A%2F%2Fx.example");
    let away = browser.open(world.start("globex", &query).as_str()).await.away();
    assert!(away.url.as_str().starts_with(&format!("{BEGINS}?")), "{}", away.url);
    let expected = [
        ("iss", world.gateway.issuer()),
        ("login_hint", "jane@acme.example".to_owned()),
        ("target_link_uri", CALLBACK.to_owned()),
        ("connection", "globex".to_owned()),
    ];
    // A connection with one identity provider has none to choose.
    assert_eq!(away.parameters(), expected.map(|(name, value)| (name.to_owned(), value)));
    // Nothing has begun here: the application does, and hands on what it was told.
    assert!(browser.cookies().is_empty(), "{:?}", browser.cookies());
    let asked = world.app.authorize(&world.gateway, &[("connection", "globex"), ("login_hint", "jane@acme.example")]);
    let departure = browser.open(asked.as_str()).await.away();
    assert_eq!(departure.parameter("login_hint").as_deref(), Some("jane@acme.example"));
    let answer = world.globex.sign_in(&browser, &departure).await.away();
    world.app.code(&world.gateway, &answer);
}

#[tokio::test]
async fn an_application_by_saml_gets_an_answer_that_it_takes_unasked() {
    let world = World::new().await;
    let browser = Browser::new();
    let sign_in = async |connection: &str, op: &Op| {
        let departure = browser.open(world.start(connection, "application=wiki&RelayState=deep%2Flink").as_str()).await.away();
        Answered::read(&world.gateway, &op.sign_in(&browser, &departure).await.away())
    };
    let answered = sign_in("acme", &world.acme).await;
    answered.assert_good();
    assert_eq!((answered.to.as_str(), answered.relay_state.as_deref()), ("https://wiki.example/acs", Some("deep/link")));
    assert!(!answered.xml.contains("InResponseTo") && answered.xml.contains(&world.acme.issuer), "{}", answered.xml);
    // The session of one connection answers for no other.
    let answered = sign_in("globex", &world.globex).await;
    assert!(answered.assert_good().xml.contains(&world.globex.issuer), "{}", answered.xml);
    // And for its own it does.
    let again = browser.open(world.start("globex", "application=wiki").as_str()).await.away();
    Answered::read(&world.gateway, &again).assert_good();
    let traces = world.gateway.ask_operations("/traces", "application/json").await.body;
    assert!(traces.contains("wiki") && traces.contains("globex"), "{traces}");
}

#[tokio::test]
async fn who_begins_otherwise_or_is_not_there_stays_on_a_page_that_says_what_to_do() {
    let world = World::new().await;
    // One answer for all of them, which tells nobody what is registered here.
    let mut pages = Vec::new();
    for application in ["nobody", "gone", "shop", "docs", "%3Cscript%3Ealert(1)"] {
        for connection in ["acme", "nowhere"] {
            let page = world.page(connection, &format!("application={application}")).await;
            page.assert_refused(400, "ISTH-1008");
            assert!(page.contains("initiate_login_uri") && page.contains("allow_unsolicited"), "{application}: {}", page.body);
            assert!(!page.contains("alert"), "{}", page.body);
            pages.push(page.body.replace(page.correlation_id(), ""));
        }
    }
    assert!(pages.iter().all(|page| *page == pages[0]), "they differ");
    // Connections that are not there, are switched off, or are for others.
    for application in ["notes", "wiki"] {
        for connection in ["nowhere", "off", "few"] {
            world.page(connection, &format!("application={application}")).await.assert_refused(404, "ISTH-2001");
        }
    }
    for (query, status, code) in [
        ("", 400, "ISTH-1001"),
        ("application=notes&application=wiki", 400, "ISTH-1001"),
        ("application=notes&target_link_uri=https%3A%2F%2Fevil.example%2F", 400, "ISTH-1008"),
        (&format!("application=notes&login_hint={}", "x".repeat(300)), 400, "ISTH-1001"),
        (&format!("application=wiki&RelayState={}", "x".repeat(5000)), 400, "ISTH-1001"),
    ] {
        world.page("acme", query).await.assert_refused(status, code);
    }
    let posted = client().post(world.start("acme", "application=wiki")).send().await.unwrap();
    assert_eq!((posted.status().as_u16(), posted.headers()["allow"].to_str().unwrap()), (405, "GET, HEAD"));
    assert!(world.acme.site.seen().is_empty() && world.globex.site.seen().is_empty(), "a provider was asked");
}
