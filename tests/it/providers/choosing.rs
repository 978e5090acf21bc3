//! Which way to sign in, where there are several kinds: the page, hints and what is remembered; and a connection that is
//! switched off, which is refused wherever it is named.

use super::ldap::type_in;
use super::oauth2::{self, back};
use crate::harness::app::{App, Tokens, assert_oauth_error};
use crate::harness::browser::{Browser, Departure, Landed, Page};
use crate::harness::gateway::{Gateway, Setup};
use crate::harness::html::{Form, form};
use crate::harness::op::{Op, answer};
use crate::harness::slapd::{PASSWORD, Slapd};
use crate::saml_apps::sp::{Answered, Sp};
use serde_json::json;

/// One connection of each kind, and a second OpenID provider; an application of each protocol.
struct World {
    acme: Op,
    globex: Op,
    hub: oauth2::Provider,
    staff: Slapd,
    app: App,
    sp: Sp,
}

/// The same lines, with more at the top of the connection.
fn with(toml: &str, top: &str) -> String {
    let (name, rest) = toml.split_once('\n').unwrap();
    format!("{name}\n{top}\n{rest}")
}

impl World {
    async fn new() -> Self {
        Self {
            acme: Op::start().await,
            globex: Op::start().await,
            hub: oauth2::Provider::start().await,
            staff: Slapd::start(),
            app: App::new("notes"),
            sp: Sp::new("wiki"),
        }
    }

    /// `top`: of those that the tests switch off.
    fn connections(&self, top: &str) -> Vec<String> {
        let domain = |name: &str| format!("domains = [\"{name}.example\"]\n{top}");
        vec![
            with(&self.acme.toml("acme", "logout = true"), &domain("acme")),
            with(&self.hub.toml(""), &domain("hub")),
            with(&self.staff.toml(""), &domain("staff")),
            with(&self.globex.toml("globex", ""), "domains = [\"globex.example\"]"),
        ]
    }

    async fn gateway(&self) -> Gateway {
        let setup = Setup { connections: self.connections(""), ..Setup::new() };
        let sp = self.sp.toml("", "allow_unsolicited = true");
        Gateway::start(setup.application(&self.app.toml("", "")).application(&sp)).await
    }

    async fn open(&self, gateway: &Gateway, browser: &Browser, changes: &[(&str, &str)]) -> Landed {
        browser.open(self.app.authorize(gateway, changes).as_str()).await
    }

    /// A whole login.
    async fn sign_in(&self, gateway: &Gateway, browser: &Browser, name: &str, changes: &[(&str, &str)]) -> Departure {
        let asked: Vec<_> = changes.iter().copied().chain([("connection", name)]).collect();
        let landed = self.open(gateway, browser, &asked).await;
        self.answer(browser, name, landed).await
    }

    /// The person signs in where they have landed.
    async fn answer(&self, browser: &Browser, name: &str, landed: Landed) -> Departure {
        match name {
            "acme" => self.acme.sign_in(browser, &landed.away()).await.away(),
            "globex" => self.globex.sign_in(browser, &landed.away()).await.away(),
            "hub" => back(browser, &landed.away(), &[("code", "c")]).await,
            _ => type_in(browser, &landed.here(), "jane", PASSWORD).await.away(),
        }
    }
}

const KINDS: [&str; 3] = ["acme", "hub", "staff"];

#[tokio::test]
async fn each_kind_that_is_switched_off_is_refused_on_every_entry() {
    let world = World::new().await;
    let mut gateway = world.gateway().await;
    let mut signed_in = Vec::new();
    for name in KINDS {
        let browser = Browser::new();
        let answer = world.sign_in(&gateway, &browser, name, &[("scope", "openid offline_access")]).await;
        let tokens = Tokens::of(&world.app.redeem(&gateway, &world.app.code(&gateway, &answer), &[]).await);
        // Another login is under way, and a page with a choice is open.
        let under_way = Browser::new();
        let sent = world.open(&gateway, &under_way, &[("connection", name)]).await;
        let choosing = Browser::new();
        let page = world.open(&gateway, &choosing, &[]).await.here();
        signed_in.push((name, browser, tokens, (under_way, sent), (choosing, page)));
    }
    let token = world.acme.logout_token(&json!({}));
    gateway.stop();
    gateway.start_again(|setup| setup.connections = world.connections("enabled = false")).await;
    for (name, browser, tokens, (under_way, sent), (choosing, page)) in &signed_in {
        // By its name, by a domain, by the session that it gave, by a refresh.
        let answer = world.open(&gateway, browser, &[("connection", name)]).await.away();
        let (error, description) = world.app.error(&gateway, &answer);
        assert!(error == "invalid_request" && description.contains("ISTH-2001"), "{name}: {error} {description}");
        let hint = format!("jane@{name}.example");
        for changes in [&[][..], &[("login_hint", hint.as_str())], &[("prompt", "login")]] {
            let elsewhere = world.open(&gateway, browser, changes).await.away();
            assert!(elsewhere.url.as_str().starts_with(&world.globex.issuer), "{name} {changes:?}: {}", elsewhere.url);
        }
        let (error, _) = world.app.error(&gateway, &world.open(&gateway, browser, &[("prompt", "none")]).await.away());
        assert_eq!(error, "login_required", "{name}");
        assert_oauth_error(&world.app.refresh(&gateway, tokens.refresh_token(), &[]).await, 400, "invalid_grant");
        // The login that was under way.
        match sent {
            Landed::Away(departure) => {
                let state = departure.parameter("state").unwrap();
                let path = format!("/connections/{name}/callback");
                let answer = format!("{}?state={state}&code=c", gateway.url(&path));
                under_way.open(&answer).await.here().assert_refused(404, "ISTH-2001");
                let fields = [("state".to_owned(), state), ("code".to_owned(), "c".to_owned())];
                under_way.post(&departure.url, &gateway.url(&path), &fields).await.here().assert_refused(404, "ISTH-2001");
            }
            Landed::Here(form) => {
                assert_eq!(*name, "staff");
                type_in(under_way, form, "jane", PASSWORD).await.here().assert_refused(404, "ISTH-2001");
                under_way.open(form.url.as_str()).await.here().assert_refused(404, "ISTH-2001");
            }
        }
        // The page with the choice, opened before.
        press(choosing, page, name).await.here().assert_refused(404, "ISTH-2001");
        // What is not a login, or one that nobody has begun.
        let nowhere = gateway.url("/nowhere");
        let form = [("SAMLResponse".to_owned(), "PHgvPg==".to_owned())];
        for path in [format!("/connections/{name}/acs"), format!("/login/callback?connection={name}")] {
            Browser::new().post(&nowhere, &gateway.url(&path), &form).await.here().assert_refused(404, "ISTH-2001");
        }
        for path in [format!("/connections/{name}/metadata"), format!("/samlp/metadata?connection={name}")] {
            Browser::new().open(gateway.url(&path).as_str()).await.here().assert_refused(404, "ISTH-2001");
        }
        let told = gateway.client().post(gateway.url(&format!("/connections/{name}/backchannel-logout")));
        let told = told.form(&[("logout_token", &token)]).send().await.unwrap();
        assert!(told.status().is_client_error(), "{name}: {}", told.status());
        let frame = gateway.url(&format!("/connections/{name}/frontchannel-logout?iss={}&sid=their-session", world.acme.issuer));
        assert!(gateway.client().get(frame).send().await.unwrap().status().is_client_error(), "{name}");
        // An application of SAML: asked for by name, and begun by an identity provider.
        let landed = browser.open(gateway.url(&format!("/samlp/wiki?connection={name}")).as_str()).await;
        match landed {
            Landed::Here(page) => page.assert_refused(404, "ISTH-2001"),
            Landed::Away(departure) => {
                assert_eq!(Answered::read(&gateway, &departure).status(), ["Requester", "NoAvailableIDP"], "{name}");
            }
        }
    }
    let asked = [world.acme.site.seen().len(), world.hub.site.seen().len()];
    // Switched on again, everything is as it was.
    gateway.stop();
    gateway.start_again(|setup| setup.connections = world.connections("")).await;
    assert_eq!([world.acme.site.seen().len(), world.hub.site.seen().len()], asked, "nobody was asked anything meanwhile");
    for name in KINDS {
        let answer = world.sign_in(&gateway, &Browser::new(), name, &[]).await;
        world.app.code(&gateway, &answer);
    }
}

/// All forms of a page that offer this connection, pressed.
async fn press(browser: &Browser, page: &Page, name: &str) -> Landed {
    let forms: Vec<Form> = page.body.match_indices("<form").filter_map(|(at, _)| form(&page.body[at..])).collect();
    let offered = |form: &&Form| form.buttons.iter().any(|(button, value, _)| button == "connection" && value == name);
    let form = forms.iter().find(offered).unwrap_or_else(|| panic!("{name} is not offered: {}", page.body));
    let mut fields = form.fields.clone();
    fields.push(("connection".to_owned(), name.to_owned()));
    browser.post(&page.url, &page.url.join(&form.action).unwrap(), &fields).await
}

/// The connections that a page offers, in their order.
fn offered(page: &Page) -> Vec<String> {
    let forms = page.body.match_indices("<form").filter_map(|(at, _)| form(&page.body[at..]));
    forms.flat_map(|form| form.buttons).filter(|(name, ..)| name == "connection").map(|(_, value, _)| value).collect()
}

#[tokio::test]
async fn the_page_offers_every_kind_and_remembers_what_was_chosen() {
    let world = World::new().await;
    let gateway = world.gateway().await;
    let browser = Browser::new();
    let page = world.open(&gateway, &browser, &[]).await.here();
    let mut all = offered(&page);
    all.sort_unstable();
    assert_eq!(all, ["acme", "globex", "hub", "staff"], "{}", page.body);
    for name in ["staff", "hub", "acme"] {
        let page = world.open(&gateway, &browser, &[("prompt", "select_account")]).await.here();
        let landed = press(&browser, &page, name).await;
        let answer = world.answer(&browser, name, landed).await;
        world.app.code(&gateway, &answer);
        // The next time it comes first, and the others are still there.
        let page = world.open(&gateway, &browser, &[("prompt", "select_account")]).await.here();
        assert_eq!(offered(&page).first().map(String::as_str), Some(name), "{}", page.body);
        for other in ["acme", "globex", "hub", "staff"] {
            assert!(offered(&page).iter().any(|offered| offered == other), "{other}");
        }
    }
    // Another browser has chosen nothing.
    let page = world.open(&gateway, &Browser::new(), &[]).await.here();
    assert_eq!(offered(&page).len(), 4);
    // What is not offered cannot be chosen.
    let browser = Browser::new();
    let page = world.open(&gateway, &browser, &[]).await.here();
    let login = page.body.split("name=\"login\" value=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap().to_owned();
    for invented in ["nobody", "../acme"] {
        let fields = [("login".to_owned(), login.clone()), ("connection".to_owned(), invented.to_owned())];
        browser.post(&page.url, &gateway.url("/login"), &fields).await.here().assert_refused(404, "ISTH-2001");
    }
}

#[tokio::test]
async fn domains_of_addresses_lead_to_each_kind_and_the_name_is_typed_already() {
    let world = World::new().await;
    let gateway = world.gateway().await;
    for (hint, issuer) in [("jane@acme.example", &world.acme.issuer), ("JANE@GLOBEX.example", &world.globex.issuer)] {
        let departure = world.open(&gateway, &Browser::new(), &[("login_hint", hint)]).await.away();
        assert!(departure.url.as_str().starts_with(issuer.as_str()), "{hint}: {}", departure.url);
        assert_eq!(departure.parameter("login_hint").as_deref(), Some(hint));
    }
    let departure = world.open(&gateway, &Browser::new(), &[("login_hint", "jane@hub.example")]).await.away();
    assert!(departure.url.as_str().starts_with(&format!("http://127.0.0.1:{}/", world.hub.site.port)), "{}", departure.url);
    let form = world.open(&gateway, &Browser::new(), &[("login_hint", "jane@staff.example")]).await.here();
    assert_eq!((form.url.path(), form.form().field("username")), ("/login/password", Some("jane@staff.example")));
    // What is typed there is text, whoever has sent it.
    let hostile = "\"><script>alert(1)</script>@staff.example";
    let form = world.open(&gateway, &Browser::new(), &[("login_hint", hostile)]).await.here();
    assert!(!form.contains("<script>") && form.form().field("username") == Some(hostile), "{}", form.body);
    // The name of a connection counts for more than a domain; a domain of nobody leaves the choice.
    let both = [("login_hint", "jane@staff.example"), ("connection", "globex")];
    assert!(world.open(&gateway, &Browser::new(), &both).await.away().url.as_str().starts_with(&world.globex.issuer));
    let page = world.open(&gateway, &Browser::new(), &[("login_hint", "jane@nowhere.example")]).await.here();
    assert_eq!(offered(&page).len(), 4);
}

#[tokio::test]
async fn one_connection_means_no_page_whatever_its_kind() {
    let world = World::new().await;
    let connections = world.connections("");
    for (place, name) in KINDS.iter().enumerate() {
        let setup = Setup { connections: vec![connections[place].clone()], ..Setup::new() };
        let gateway = Gateway::start(setup.application(&world.app.toml("", ""))).await;
        let browser = Browser::new();
        let landed = world.open(&gateway, &browser, &[]).await;
        let answer = world.answer(&browser, name, landed).await;
        world.app.code(&gateway, &answer);
    }
    // Nor where the application may use only one of several.
    let setup = Setup { connections, ..Setup::new() };
    let gateway = Gateway::start(setup.application(&world.app.toml("connections = [\"staff\"]", ""))).await;
    let browser = Browser::new();
    let form = world.open(&gateway, &browser, &[]).await.here();
    assert_eq!(form.url.path(), "/login/password");
    for name in ["acme", "hub"] {
        let (error, _) = world.app.error(&gateway, &world.open(&gateway, &browser, &[("connection", name)]).await.away());
        assert_eq!(error, "invalid_request", "{name}");
    }
}

/// Whoever has an account by the directory proves it by their password, and nobody proves it without.
#[tokio::test]
async fn a_password_proves_an_account_in_the_course_of_a_link() {
    let world = World::new().await;
    let believed = "[connection.linking]\nemail_domains = [\"acme.example\"]";
    let asks = "[connection.linking]\npolicy = \"ask\"\nemail_domains = [\"acme.example\"]";
    let staff = |top: &str| with(&world.staff.toml(believed), top);
    let acme = world.acme.toml("acme", asks);
    let setup = Setup { connections: vec![staff(""), acme.clone()], ..Setup::new() };
    let mut gateway = Gateway::start(setup.application(&world.app.toml("", ""))).await;
    let subject = async |gateway: &Gateway, answer: &Departure| {
        let tokens = Tokens::of(&world.app.redeem(gateway, &world.app.code(gateway, answer), &[]).await);
        tokens.claims()["sub"].as_str().unwrap().to_owned()
    };
    let known = subject(&gateway, &world.sign_in(&gateway, &Browser::new(), "staff", &[]).await).await;
    // The same address comes by the provider.
    let question = async |gateway: &Gateway, browser: &Browser| {
        let departure = world.open(gateway, browser, &[("connection", "acme")]).await.away();
        let page = world.acme.sign_in(browser, &departure).await.here();
        assert!(page.contains("Do you already have an account?"), "{}", page.body);
        page
    };
    let browser = Browser::new();
    let page = question(&gateway, &browser).await;
    let form = press(&browser, &page, "staff").await.here();
    assert_eq!(form.url.path(), "/login/password");
    // Another browser, a wrong password, and another person's right one: nothing is joined.
    Browser::new().open(form.url.as_str()).await.here().assert_refused(403, "ISTH");
    let again = type_in(&browser, &form, "jane", "wrong").await.here();
    assert!(again.contains("is wrong"), "{}", again.body);
    type_in(&browser, &again, "joe", PASSWORD).await.here().assert_refused(409, "ISTH-3007");
    // The connection is switched off while somebody is about to prove themselves.
    let browser = Browser::new();
    let page = question(&gateway, &browser).await;
    let form = press(&browser, &page, "staff").await.here();
    gateway.stop();
    gateway.start_again(|setup| setup.connections = vec![staff("enabled = false"), acme.clone()]).await;
    type_in(&browser, &form, "jane", PASSWORD).await.here().assert_refused(404, "ISTH-2001");
    gateway.stop();
    gateway.start_again(|setup| setup.connections = vec![staff(""), acme.clone()]).await;
    // And now as it should be.
    let browser = Browser::new();
    let page = question(&gateway, &browser).await;
    let form = press(&browser, &page, "staff").await.here();
    let answer = type_in(&browser, &form, "jane", PASSWORD).await.away();
    assert_eq!(subject(&gateway, &answer).await, known);
    let elsewhere = Browser::new();
    assert_eq!(subject(&gateway, &world.sign_in(&gateway, &elsewhere, "acme", &[]).await).await, known, "both ways lead there");
}

/// Whoever came without a word of when signs in afresh before anything is joined to an account.
#[tokio::test]
async fn a_sign_in_of_unknown_time_is_made_again_before_it_is_joined() {
    let world = World::new().await;
    let believed = "[connection.linking]\nemail_domains = [\"acme.example\"]";
    let asks = "[connection.linking]\npolicy = \"ask\"\nemail_domains = [\"acme.example\"]";
    let setup = Setup::new().connection(&world.staff.toml(believed)).connection(&world.acme.toml("acme", asks));
    let gateway = Gateway::start(setup.application(&world.app.toml("", ""))).await;
    let subject = async |answer: &Departure| {
        let tokens = Tokens::of(&world.app.redeem(&gateway, &world.app.code(&gateway, answer), &[]).await);
        tokens.claims()["sub"].as_str().unwrap().to_owned()
    };
    let known = subject(&world.sign_in(&gateway, &Browser::new(), "staff", &[]).await).await;
    let again = async |browser: &Browser| {
        world.acme.lies(|lies| lies.id_token = json!({ "auth_time": null }));
        let departure = world.open(&gateway, browser, &[("connection", "acme")]).await.away();
        let page = world.acme.sign_in(browser, &departure).await.here();
        let departure = press(browser, &page, "staff").await.away();
        assert_eq!((departure.parameter("prompt").as_deref(), departure.parameter("max_age").as_deref()), (Some("login"), Some("0")));
        departure
    };
    let browser = Browser::new();
    let departure = again(&browser).await;
    let (error, _) = world.app.error(&gateway, &world.acme.sign_in(&browser, &departure).await.away());
    assert_eq!(error, "server_error", "a provider that was asked says when");
    let browser = Browser::new();
    let departure = again(&browser).await;
    world.acme.lies(|_| {});
    let form = world.acme.sign_in(&browser, &departure).await.here();
    assert_eq!(form.url.path(), "/login/password");
    assert_eq!(subject(&type_in(&browser, &form, "jane", PASSWORD).await.away()).await, known);
}

/// Decision 024: by OAuth 2.0 alone somebody may join an account that they prove otherwise, and proves none.
#[tokio::test]
async fn who_comes_by_oauth_alone_joins_an_account_and_proves_none() {
    let world = World::new().await;
    let jane = |verified: bool| {
        let said = json!({ "id": 7, "name": "Jane Doe", "email": "jane@acme.example", "email_verified": verified });
        world.hub.tells("/me", answer(200, &said));
    };
    jane(true);
    let asks = "[connection.linking]\npolicy = \"ask\"\nemail_domains = [\"acme.example\"]";
    let subject = async |gateway: &Gateway, answer: &Departure| {
        let tokens = Tokens::of(&world.app.redeem(gateway, &world.app.code(gateway, answer), &[]).await);
        tokens.claims()["sub"].as_str().unwrap().to_owned()
    };
    let mut gateway = Gateway::start(
        Setup::new().connection(&world.staff.toml(asks)).connection(&world.hub.toml(asks)).application(&world.app.toml("", "")),
    )
    .await;
    let known = subject(&gateway, &world.sign_in(&gateway, &Browser::new(), "staff", &[]).await).await;
    let browser = Browser::new();
    let departure = world.open(&gateway, &browser, &[("connection", "hub")]).await.away();
    let page = come_back(&browser, &departure).await.here();
    let form = press(&browser, &page, "staff").await.here();
    assert_eq!(form.url.path(), "/login/password", "the provider can say no more than it has");
    assert_eq!(subject(&gateway, &type_in(&browser, &form, "jane", PASSWORD).await.away()).await, known);
    assert_eq!(subject(&gateway, &world.sign_in(&gateway, &Browser::new(), "hub", &[]).await).await, known, "both ways lead there");
    gateway.stop();
    // Somebody else may have made the session that the provider knows in this browser, and may have named any address.
    let unbelieved = world.hub.toml("[connection.linking]\npolicy = \"ask\"");
    let mut gateway =
        Gateway::start(Setup::new().connection(&world.staff.toml(asks)).connection(&unbelieved).application(&world.app.toml("", ""))).await;
    world.sign_in(&gateway, &Browser::new(), "staff", &[]).await;
    let browser = Browser::new();
    let departure = world.open(&gateway, &browser, &[("connection", "hub")]).await.away();
    come_back(&browser, &departure).await.here().assert_refused(409, "ISTH-3007");
    gateway.stop();
    let hub = world.hub.toml(asks);
    let mut gateway =
        Gateway::start(Setup::new().connection(&world.staff.toml(asks)).connection(&hub).application(&world.app.toml("", ""))).await;
    world.sign_in(&gateway, &Browser::new(), "staff", &[]).await;
    jane(false);
    let browser = Browser::new();
    let departure = world.open(&gateway, &browser, &[("connection", "hub")]).await.away();
    come_back(&browser, &departure).await.here().assert_refused(409, "ISTH-3007");
    jane(true);
    // The other way about: the known account is at the provider.
    gateway.stop();
    let mut gateway = Gateway::start(
        Setup::new().connection(&world.staff.toml(asks)).connection(&world.hub.toml(asks)).application(&world.app.toml("", "")),
    )
    .await;
    let known = subject(&gateway, &world.sign_in(&gateway, &Browser::new(), "hub", &[]).await).await;
    let browser = Browser::new();
    let form = world.open(&gateway, &browser, &[("connection", "staff")]).await.here();
    // No way is offered that leads nowhere.
    type_in(&browser, &form, "jane", PASSWORD).await.here().assert_refused(409, "ISTH-3007");
    assert_eq!(subject(&gateway, &world.sign_in(&gateway, &Browser::new(), "hub", &[]).await).await, known);
    gateway.stop();
}

/// Where a recent sign-in is wanted, nobody is held to a way that cannot give one, and only its name leads there.
#[tokio::test]
async fn a_recent_sign_in_is_looked_for_where_there_can_be_one() {
    let world = World::new().await;
    let setup = Setup::new().connection(&world.staff.toml("")).connection(&world.hub.toml(""));
    let gateway = Gateway::start(setup.application(&world.app.toml("", ""))).await;
    let browser = Browser::new();
    let answer = world.sign_in(&gateway, &browser, "hub", &[]).await;
    world.app.code(&gateway, &answer);
    for wish in [("max_age", "86400"), ("prompt", "login")] {
        let form = world.open(&gateway, &browser, &[wish]).await.here();
        assert_eq!(form.url.path(), "/login/password", "{wish:?}");
    }
    let (error, _) = world.app.error(&gateway, &world.open(&gateway, &browser, &[("max_age", "60"), ("connection", "hub")]).await.away());
    assert_eq!(error, "login_required");
    // Without that wish the person chooses, or the session answers.
    let page = world.open(&gateway, &Browser::new(), &[]).await.here();
    assert!(page.contains("hub") && page.contains("staff"), "{}", page.body);
    world.app.code(&gateway, &world.open(&gateway, &browser, &[]).await.away());
}

/// The person comes back from the provider that speaks OAuth 2.0 alone, wherever that leads.
async fn come_back(browser: &Browser, departure: &Departure) -> Landed {
    let mut url = url::Url::parse(&departure.parameter("redirect_uri").unwrap()).unwrap();
    url.query_pairs_mut().append_pair("state", &departure.parameter("state").unwrap()).append_pair("code", "c");
    browser.open(url.as_str()).await
}
