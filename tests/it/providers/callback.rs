//! `/login/callback`: one redirect URI for several providers, as at Auth0. The state says which login an answer is of, and
//! no answer reaches another connection than the one that was asked.

use super::oauth2::{self, back};
use crate::api::{Api, good, refused};
use crate::harness::app::{App, SECRET, Tokens};
use crate::harness::browser::{Browser, Departure, Page, client};
use crate::harness::gateway::{Gateway, Setup};
use crate::harness::op::Op;
use reqwest::Method;
use serde_json::json;
use url::Url;

const SHARED: &str = "callback = \"shared\"";

/// `acme` and `hub` share an address; `globex` has its own.
struct World {
    acme: Op,
    globex: Op,
    hub: oauth2::Provider,
    app: App,
    gateway: Gateway,
}

impl World {
    async fn new(acme_more: &str) -> Self {
        let (acme, globex, hub, app) = (Op::start().await, Op::start().await, oauth2::Provider::start().await, App::new("notes"));
        let setup = Setup::new()
            .connection(&acme.toml("acme", &format!("{SHARED}\n{acme_more}")))
            .connection(&hub.toml(SHARED))
            .connection(&globex.toml("globex", ""))
            .application(&app.toml("", ""));
        Self { acme, globex, hub, app, gateway: Gateway::start(setup).await }
    }

    /// The browser on its way to a provider.
    async fn ask(&self, browser: &Browser, connection: &str) -> Departure {
        browser.open(self.app.authorize(&self.gateway, &[("connection", connection)]).as_str()).await.away()
    }

    async fn subject(&self, answer: &Departure) -> String {
        let page = self.app.redeem(&self.gateway, &self.app.code(&self.gateway, answer), &[]).await;
        Tokens::of(&page).claims()["sub"].as_str().unwrap().to_owned()
    }

    /// What a provider answers, at another address of ours.
    fn elsewhere(&self, answer: &Url, path: &str, more: &[(&str, &str)]) -> Url {
        let mut url = self.gateway.url(path);
        url.query_pairs_mut().extend_pairs(answer.query_pairs()).extend_pairs(more);
        url
    }
}

#[tokio::test]
async fn answers_of_both_protocols_come_to_the_address_that_is_registered() {
    let world = World::new("").await;
    let browser = Browser::new();
    let departure = world.ask(&browser, "acme").await;
    assert_eq!(departure.parameter("redirect_uri"), Some(world.gateway.url("/login/callback").to_string()));
    // The provider holds the redirect URI of the token request against this one.
    let answer = world.acme.sign_in(&browser, &departure).await.away();
    assert_eq!(world.subject(&answer).await, "oidc|acme|jane");
    let departure = world.ask(&browser, "hub").await;
    assert_eq!(departure.parameter("redirect_uri"), Some(world.gateway.url("/login/callback").to_string()));
    let answer = back(&browser, &departure, &[("code", "c")]).await;
    assert_eq!(world.subject(&answer).await, "oauth2|hub|7");
    assert_eq!(world.hub.site.seen()[0].parameters()["redirect_uri"], world.gateway.url("/login/callback").as_str());
    // Where the address names the connection, and it is that one.
    let departure = world.ask(&browser, "acme").await;
    let named = world.elsewhere(&world.acme.answer(&departure), "/login/callback", &[("connection", "acme")]);
    assert_eq!(world.subject(&browser.open(named.as_str()).await.away()).await, "oidc|acme|jane");
    // Others keep their own.
    let departure = world.ask(&browser, "globex").await;
    assert_eq!(departure.parameter("redirect_uri"), Some(world.gateway.url("/connections/globex/callback").to_string()));
    let answer = world.globex.sign_in(&browser, &departure).await.away();
    assert_eq!(world.subject(&answer).await, "oidc|globex|jane");
    // What each has to know is told.
    for (name, address) in [("acme", "/login/callback"), ("hub", "/login/callback"), ("globex", "/connections/globex/callback")] {
        let page = browser.open(world.gateway.url(&format!("/connections/{name}/metadata")).as_str()).await.here();
        page.assert_refused(404, "ISTH-4001");
        assert!(page.contains(world.gateway.url(address).as_str()), "{}", page.body);
    }
}

#[tokio::test]
async fn a_posted_answer_is_sent_again_by_our_own_page_with_the_name_that_it_had() {
    let world = World::new("response_mode = \"form_post\"").await;
    let far = Url::parse("https://op.example/").unwrap();
    for query in ["", "?connection=acme"] {
        let browser = Browser::new();
        let departure = world.ask(&browser, "acme").await;
        assert_eq!(departure.parameter("response_mode").as_deref(), Some("form_post"));
        let fields: Vec<(String, String)> = world.acme.answer(&departure).query_pairs().into_owned().collect();
        let to = world.gateway.url(&format!("/login/callback{query}"));
        // From another site the cookie does not come along.
        let page = browser.exchange(Method::POST, &to, Some(&fields), Some(&far)).await;
        assert_eq!(page.form().action, format!("/login/callback{query}"));
        let answer = browser.follow(page).await.away();
        assert_eq!(world.subject(&answer).await, "oidc|acme|jane");
        // Whoever has no cookies at all hears so, and goes round in no circle.
        Browser::new().post(&far, &to, &fields).await.here().assert_refused(400, "ISTH-2005");
    }
}

#[tokio::test]
async fn an_answer_reaches_no_connection_but_the_one_that_was_asked_there() {
    let world = World::new("").await;
    let browser = Browser::new();
    let shared = "/login/callback";
    // Asked to answer elsewhere, whether by its address or by its name.
    let departure = world.ask(&browser, "globex").await;
    let own = world.globex.answer(&departure);
    for more in [&[][..], &[("connection", "globex")], &[("connection", "acme")]] {
        refuse(&world, &browser, &world.elsewhere(&own, shared, more), (403, "ISTH-3001")).await;
    }
    let answer = browser.open(own.as_str()).await.away();
    assert_eq!(world.subject(&answer).await, "oidc|globex|jane", "the login was not touched by them");
    // Asked to answer there, and answered at another's address, at its own, or by another's name.
    let departure = world.ask(&browser, "acme").await;
    let answer = world.acme.answer(&departure);
    for (path, more) in [
        ("/connections/acme/callback", &[][..]),
        ("/connections/globex/callback", &[]),
        ("/connections/hub/callback", &[]),
        (shared, &[("connection", "hub")]),
        (shared, &[("connection", "globex")]),
    ] {
        refuse(&world, &browser, &world.elsewhere(&answer, path, more), (403, "ISTH-3001")).await;
    }
    refuse(&world, &browser, &world.elsewhere(&answer, shared, &[("connection", "nowhere")]), (404, "ISTH-2001")).await;
    // Another browser, no state, a state of nobody, one that is there twice.
    refuse(&world, &Browser::new(), &answer, (400, "ISTH-2005")).await;
    let other = Browser::new();
    world.ask(&other, "acme").await;
    refuse(&world, &other, &answer, (403, "ISTH-2004")).await;
    let stateless = world.gateway.url("/login/callback?code=c");
    refuse(&world, &browser, &stateless, (403, "ISTH-3004")).await;
    let state = departure.parameter("state").unwrap();
    let twice = format!("{}?code=c&state={state}&state={state}", world.gateway.url(shared));
    refuse(&world, &browser, &Url::parse(&twice).unwrap(), (403, "ISTH-3004")).await;
    // Named twice is named by nobody, whichever of them it is.
    for named in ["connection=acme&connection=acme", "connection=hub&connection=acme"] {
        let named = format!("{answer}&{named}");
        refuse(&world, &browser, &Url::parse(&named).unwrap(), (400, "ISTH-1001")).await;
    }
    let unknown = format!("{}?code=c&state={}", world.gateway.url(shared), "0".repeat(32));
    refuse(&world, &browser, &Url::parse(&unknown).unwrap(), (400, "ISTH-2002")).await;
    // A form of SAML needs a name, and one of neither protocol is none.
    let posted = async |path: &str, fields: &[(&str, &str)]| {
        let request = client().post(world.gateway.url(path)).form(fields);
        Page::read(request.send().await.unwrap(), &world.gateway.url(path)).await
    };
    posted(shared, &[("SAMLResponse", "PHgvPg==")]).await.assert_refused(404, "ISTH-2001");
    posted(shared, &[("x", "y")]).await.assert_refused(404, "ISTH-2001");
    posted("/login/callback?connection=acme", &[("SAMLResponse", "PHgvPg=="), ("state", &state)]).await.assert_refused(403, "ISTH-3004");
    posted(shared, &[("state", &state), ("code", &"c".repeat(70_000))]).await.assert_refused(404, "ISTH-2001");
    let put = client().put(world.gateway.url(shared)).send().await.unwrap();
    assert_eq!((put.status().as_u16(), put.headers()["allow"].to_str().unwrap()), (405, "GET, POST"));
    assert!(world.hub.site.seen().is_empty() && world.acme.site.seen().iter().all(|asked| asked.path() != "/token"), "a code was redeemed");
    let answer = browser.open(answer.as_str()).await.away();
    assert_eq!(world.subject(&answer).await, "oidc|acme|jane", "the login was not touched by them");
}

async fn refuse(world: &World, browser: &Browser, at: &Url, (status, code): (u16, &str)) {
    let landed = browser.open(at.as_str()).await;
    assert!(world.hub.site.seen().is_empty(), "{at}");
    landed.here().assert_refused(status, code);
}

/// Mix-up (RFC 9207): the browser was asked to `acme`, which has sent it on to another that says who it is.
#[tokio::test]
async fn another_provider_that_says_who_it_is_gets_nobody_in() {
    let world = World::new("").await;
    let browser = Browser::new();
    let departure = world.ask(&browser, "acme").await;
    let mixed = world.elsewhere(&world.acme.answer(&departure), "/login/callback", &[("iss", &world.globex.issuer)]);
    let (error, description) = world.app.error(&world.gateway, &browser.open(mixed.as_str()).await.away());
    assert!(error == "server_error" && description.contains("ISTH-3001"), "{error} {description}");
    assert!(world.acme.site.seen().iter().all(|asked| asked.path() != "/token"), "the code was given to it");
}

/// Of `hub` nobody has said who it is: it has sent the browser on to another, which does say so, and would get its code.
#[tokio::test]
async fn a_provider_of_no_name_gets_no_code_of_one_that_says_who_it_is() {
    let world = World::new("").await;
    for extra in [("code", "c"), ("error", "access_denied")] {
        let browser = Browser::new();
        let departure = world.ask(&browser, "hub").await;
        let mixed = back(&browser, &departure, &[extra, ("iss", &world.acme.issuer)]).await;
        let (error, description) = world.app.error(&world.gateway, &mixed);
        assert!(error == "server_error" && description.contains("ISTH-3001"), "{error} {description}");
        let id = description.rsplit_once('(').and_then(|(_, rest)| rest.strip_suffix(')')).expect("a correlation id");
        let trace = world.gateway.trace(id).await.to_string();
        assert!(trace.contains("\"reason\":\"response-iss\""), "{trace}");
    }
    assert!(world.hub.site.seen().is_empty(), "the code was given to it");
}

/// Nor does one of many tenants, before a token says which tenant it is.
#[tokio::test]
async fn a_provider_of_many_tenants_gets_no_code_of_another() {
    let (acme, hub, app) = (Op::start().await, oauth2::Provider::start().await, App::new("notes"));
    let template = format!("{}/{{tenantid}}/v2.0", acme.issuer);
    acme.lies(|lies| lies.metadata = json!({ "issuer": template }));
    let lines = format!(
        "name = \"acme\"\n[connection.oidc]\nissuer = \"{template}\"\nmetadata_url = \"{}/.well-known/openid-configuration\"\n\
         tenants = [\"ours\"]\nclient_id = \"gateway\"\nclient_secret = {{ env = \"TEST_SECRET\" }}\n{SHARED}\n",
        acme.issuer
    );
    let setup = Setup::new().connection(&lines).connection(&hub.toml(SHARED)).application(&app.toml("", ""));
    let gateway = Gateway::start(setup).await;
    let redeemed = || acme.site.seen().iter().filter(|asked| asked.path() == "/token").count();
    let theirs = template.replace("{tenantid}", "theirs");
    for iss in ["https://honest.example", template.as_str(), theirs.as_str()] {
        let browser = Browser::new();
        let departure = browser.open(app.authorize(&gateway, &[("connection", "acme")]).as_str()).await.away();
        let (error, description) = app.error(&gateway, &back(&browser, &departure, &[("code", "c"), ("iss", iss)]).await);
        assert!(error == "server_error" && description.contains("ISTH-3001"), "{iss}: {error} {description}");
        assert_eq!(redeemed(), 0, "the code was given to it: {iss}");
    }
    // One that may be its own is asked; what the token says counts then.
    let browser = Browser::new();
    let departure = browser.open(app.authorize(&gateway, &[("connection", "acme")]).as_str()).await.away();
    let mut answer = acme.answer(&departure);
    answer.query_pairs_mut().append_pair("iss", &template.replace("{tenantid}", "ours"));
    acme.lies(|lies| lies.id_token = json!({ "iss": template.replace("{tenantid}", "ours"), "tid": "ours" }));
    app.code(&gateway, &browser.open(answer.as_str()).await.away());
    assert_eq!(redeemed(), 1);
}

#[tokio::test]
async fn the_management_api_says_with_whom_a_connection_shares_the_address() {
    let world = World::new("").await;
    let api = Api::of(&world.gateway).await;
    let at = |path: &str| format!("https://op.example{path}");
    let body = json!({ "name": "late", "strategy": "oidc", "enabled_clients": [], "isthmus": { "callback": "shared" }, "options": {
        "issuer": at(""), "authorization_endpoint": at("/authorize"), "token_endpoint": at("/token"), "jwks_uri": at("/jwks"),
        "client_id": "gateway", "client_secret": SECRET,
    }});
    let told = |of: &serde_json::Value| {
        let warnings = of["isthmus"]["warnings"].as_array().unwrap().clone();
        let found = warnings.into_iter().find(|warning| warning["pointer"] == "/isthmus/callback");
        found.map(|warning| warning["message"].as_str().unwrap().to_owned())
    };
    let made = good(&api.post("/connections", &body).await, 201);
    assert!(told(&made).is_some_and(|told| told.starts_with("weakened: ") && told.contains("acme and hub")), "{made}");
    let path = format!("/connections/{}", made["id"].as_str().unwrap());
    assert!(told(&good(&api.get(&path).await, 200)).is_some());
    let own = good(&api.patch(&path, &json!({ "isthmus": { "callback": "own" } })).await, 200);
    assert_eq!(told(&own), None, "{own}");
}

#[tokio::test]
async fn the_management_api_makes_such_connections_and_switches_them_off() {
    let app = App::new("notes");
    let gateway = Gateway::start(Setup::new().application(&app.toml("", ""))).await;
    let api = Api::of(&gateway).await;
    let at = |path: &str| format!("https://op.example{path}");
    let body = |callback: &str| {
        json!({ "name": "acme", "strategy": "oidc", "enabled_clients": ["notes"], "isthmus": { "callback": callback }, "options": {
            "issuer": at(""), "authorization_endpoint": at("/authorize"), "token_endpoint": at("/token"), "jwks_uri": at("/jwks"),
            "client_id": "gateway", "client_secret": SECRET,
        }})
    };
    assert_eq!(refused(&api.post("/connections", &body("any")).await, 400, "invalid_body"), ["/isthmus/callback"]);
    let made = good(&api.post("/connections", &body("shared")).await, 201);
    assert_eq!(made["isthmus"]["callback"], "shared");
    let browser = Browser::new();
    let departure = browser.open(app.authorize(&gateway, &[]).as_str()).await.away();
    assert_eq!(departure.parameter("redirect_uri"), Some(gateway.url("/login/callback").to_string()));
    // Switched off while somebody is there.
    let (path, off) = (format!("/connections/{}", made["id"].as_str().unwrap()), json!({ "callback": "shared", "enabled": false }));
    good(&api.patch(&path, &json!({ "isthmus": off })).await, 200);
    let mut answer = gateway.url("/login/callback");
    answer.query_pairs_mut().append_pair("state", &departure.parameter("state").unwrap()).append_pair("code", "c");
    browser.open(answer.as_str()).await.here().assert_refused(404, "ISTH-2001");
}
