//! Accounts of people's own: signing up, proving an address, and choosing another password, by mails that a server of the
//! tests takes.

use super::database::{PASSWORD, page, told, type_in};
use crate::api::Api;
use crate::federation::rows;
use crate::harness::app::{App, Tokens};
use crate::harness::browser::{Browser, Page};
use crate::harness::gateway::{Gateway, Setup};
use crate::harness::smtp::Smtp;
use serde_json::{Value, json};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

const WRONG: &str = "The user name or the password is wrong";

pub struct World {
    pub smtp: Smtp,
    pub gateway: Gateway,
    pub app: App,
}

impl World {
    pub async fn new(database: &str) -> Self {
        Self::with("", database).await
    }

    /// `top`: more lines of the connection.
    pub async fn with(top: &str, database: &str) -> Self {
        let (smtp, app) = (Smtp::start(), App::new("notes"));
        let connection = format!("name = \"people\"\ndisplay_name = \"Acme's people\"\n{top}\n[connection.database]\n{database}\n");
        let setup = Setup { top_tables: smtp.toml(), ..Setup::new() };
        Self { gateway: Gateway::start(setup.connection(&connection).application(&app.toml("", ""))).await, smtp, app }
    }

    pub async fn page(&self, browser: &Browser) -> Page {
        page(&self.gateway, &self.app, browser).await
    }

    /// The page behind a link of another page.
    pub async fn follow(&self, browser: &Browser, page: &Page, path: &str) -> Page {
        let link = page.body.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next()).find(|href| href.starts_with(path));
        let link = link.unwrap_or_else(|| panic!("no link to {path} in {}", page.body)).replace("&amp;", "&");
        browser.open(page.url.join(&link).unwrap().as_str()).await.here()
    }

    async fn sign_up(&self, browser: &Browser, page: &Page, fields: &[(&str, &str)]) -> Page {
        fill(browser, page, fields).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Page {
        let url = self.gateway.url(path);
        Page::read(self.gateway.client().post(url.clone()).json(body).send().await.unwrap(), &url).await
    }

    pub async fn sign_in(&self, name: &str, password: &str) -> Value {
        let browser = Browser::new();
        let page = self.page(&browser).await;
        let answer = type_in(&browser, &page, name, password).await.away();
        Tokens::of(&self.app.redeem(&self.gateway, &self.app.code(&self.gateway, &answer), &[]).await).claims()
    }

    pub async fn told(&self, name: &str, password: &str) -> String {
        told(&self.gateway, &self.app, name, password).await.1
    }
}

/// Fills a form and presses its button.
pub async fn fill(browser: &Browser, page: &Page, values: &[(&str, &str)]) -> Page {
    let form = page.form();
    let mut fields = form.fields.clone();
    for (name, value) in &mut fields {
        if let Some((_, given)) = values.iter().find(|(known, _)| known == name) {
            (*given).clone_into(value);
        }
    }
    browser.post(&page.url, &page.url.join(&form.action).unwrap(), &fields).await.here()
}

pub fn problem(page: &Page) -> String {
    page.body.split("id=\"problem\">").nth(1).and_then(|rest| rest.split("</p>").next()).unwrap_or_default().to_owned()
}

#[tokio::test]
async fn people_sign_up_prove_their_address_and_sign_in() {
    let world = World::new("sign_up = true\nrequire_verified_email = true").await;
    let browser = Browser::new();
    let page = world.page(&browser).await;
    assert!(page.contains(">E-mail address<"), "{}", page.body);
    let form = world.follow(&browser, &page, "/login/sign-up").await;
    assert!(form.contains("autocomplete=\"new-password\"") && form.contains("for=\"email\"") && !form.contains("<script"), "{}", form.body);
    let mut said = Vec::new();
    for (email, password) in
        [("jane", PASSWORD), ("jane@acme.example", "short"), ("jane@acme.example", "Password123"), ("jane@acme.example", "jane.acme.1")]
    {
        let again = world.sign_up(&browser, &form, &[("email", email), ("password", password)]).await;
        assert_eq!(again.form().field("email"), Some(email));
        assert_eq!(again.form().field("password"), Some(""));
        said.push(problem(&again));
    }
    assert!(
        said[0].contains("no e-mail address")
            && said[1].contains("at least 8")
            && said[2].contains("tried first")
            && said[3].contains("your name"),
        "{said:?}"
    );
    assert_eq!(world.smtp.count(), 0);
    let sent = world.sign_up(&browser, &form, &[("email", "Jane@acme.example"), ("password", PASSWORD)]).await;
    assert!(sent.status == 200 && sent.contains("Look into your mailbox"), "{}", sent.body);
    let mail = world.smtp.wait_for("jane@acme.example", 1).await;
    assert!(mail.headers.contains("From: Acme <login@acme.example>") && mail.text.contains("Acme's people"), "{mail:?}");
    // Before the address is proven nobody signs in, and is written to again.
    let back = world.follow(&browser, &sent, "/login/password").await;
    let unproven = type_in(&browser, &back, "jane@acme.example", PASSWORD).await.here();
    assert!(problem(&unproven).contains("Confirm your e-mail address first"), "{}", unproven.body);
    assert!(world.told("jane@acme.example", "wrong").await.contains(WRONG), "only who has the password is told");
    let second = world.smtp.wait_for("jane@acme.example", 2).await;
    // Looking at a link uses nothing up.
    let reader = Browser::new();
    for _ in 0..3 {
        let page = reader.open(&second.link()).await.here();
        assert!(
            page.status == 200 && page.contains("Jane@acme.example") && page.header("referrer-policy") == "no-referrer",
            "{}",
            page.body
        );
    }
    assert!(world.told("jane@acme.example", PASSWORD).await.contains("Confirm"), "looking proves nothing");
    // In another browser than the one in which the account was made its password is asked for, too.
    let page = reader.open(&second.link()).await.here();
    let wrong = fill(&reader, &page, &[("password", "wrong")]).await;
    assert!(wrong.status == 200 && problem(&wrong).contains("not the password"), "{}", wrong.body);
    let done = fill(&reader, &wrong, &[("password", PASSWORD)]).await;
    assert!(done.contains("Your address is confirmed"), "{}", done.body);
    let used = fill(&reader, &page, &[("password", PASSWORD)]).await;
    assert!(used.status == 410 && used.contains("does not work any more"), "a link is used once: {}", used.body);
    let answer = type_in(&browser, &unproven, "jane@acme.example", PASSWORD).await.away();
    let claims = Tokens::of(&world.app.redeem(&world.gateway, &world.app.code(&world.gateway, &answer), &[]).await).claims();
    assert!(claims["sub"].as_str().unwrap().starts_with("auth0|"), "{claims}");
    let api = Api::of(&world.gateway).await;
    let users = api.read("/users").await;
    assert_eq!(
        (users.as_array().unwrap().len(), &users[0]["email_verified"], &users[0]["email"]),
        (1, &json!(true), &json!("Jane@acme.example"))
    );
    let ticket = second.link().split("ticket=").nth(1).unwrap().to_owned();
    assert!(!world.gateway.log().contains(&ticket) && !world.gateway.log().contains(PASSWORD));
}

#[tokio::test]
async fn an_address_that_somebody_has_gets_the_same_page_and_another_mail() {
    let world = World::new("sign_up = true").await;
    let mut pages = Vec::new();
    for (turn, address) in ["jane@acme.example", "jane@acme.example", "joe@acme.example"].into_iter().enumerate() {
        let browser = Browser::new();
        let page = world.page(&browser).await;
        let form = world.follow(&browser, &page, "/login/sign-up").await;
        let began = Instant::now();
        let password = format!("{PASSWORD} {turn}");
        let sent = world.sign_up(&browser, &form, &[("email", address), ("password", &password)]).await;
        assert!(began.elapsed() >= Duration::from_millis(390));
        let login = sent.body.split("login=").nth(1).and_then(|rest| rest.split('"').next()).unwrap().to_owned();
        pages.push((sent.status, sent.body.replace(&login, "")));
    }
    assert!(pages[0] == pages[1] && pages[1] == pages[2], "{pages:?}");
    world.smtp.wait_for("jane@acme.example", 2).await;
    let mails = world.smtp.to("jane@acme.example");
    let exists = mails.iter().find(|mail| mail.text.contains("There is one already")).unwrap_or_else(|| panic!("{mails:?}"));
    assert!(!exists.text.contains("http"), "{}", exists.text);
    // The first password stays; and without being asked to, nobody has to prove an address.
    world.sign_in("jane@acme.example", &format!("{PASSWORD} 0")).await;
    assert!(world.told("jane@acme.example", &format!("{PASSWORD} 1")).await.contains(WRONG));
}

#[tokio::test]
async fn signing_up_is_off_unless_it_is_said_and_of_one_browser() {
    let world = World::new("").await;
    let (browser, other) = (Browser::new(), Browser::new());
    let page = world.page(&browser).await;
    assert!(!page.contains("/login/sign-up") && page.contains("/login/reset"), "{}", page.body);
    let login = page.form().field("login").unwrap().to_owned();
    let address = world.gateway.url(&format!("/login/sign-up?login={login}"));
    browser.open(address.as_str()).await.here().assert_refused(404, "ISTH");
    let fields = [("login", login.as_str()), ("email", "jane@acme.example"), ("password", PASSWORD)];
    let fields = fields.map(|(name, value)| (name.to_owned(), value.to_owned()));
    browser.post(&page.url, &address, &fields).await.here().assert_refused(404, "ISTH");
    let body = json!({"client_id": "notes", "connection": "people", "email": "jane@acme.example", "password": PASSWORD});
    assert_eq!(world.post("/dbconnections/signup", &body).await.status, 400);
    drop(world);
    let world = World::new("sign_up = true").await;
    let page = world.page(&browser).await;
    let form = world.follow(&browser, &page, "/login/sign-up").await;
    other.open(form.url.as_str()).await.here().assert_refused(403, "ISTH");
    // A form that another page has made.
    let csrf = page.form().field("csrf").unwrap().to_owned();
    let again = fill(&browser, &form, &[("csrf", &csrf), ("email", "jane@acme.example"), ("password", PASSWORD)]).await;
    assert!(again.form().field("email").is_some() && world.smtp.count() == 0, "{}", again.body);
    assert!(world.told("jane@acme.example", PASSWORD).await.contains(WRONG));
}

#[tokio::test]
async fn s3_6_programs_sign_people_up_in_auth0_s_form() {
    let world = World::new("sign_up = true\nnames = [\"email\", \"username\"]").await;
    let jane = json!({"client_id": "notes", "connection": "people", "email": "jane@acme.example", "username": "jane", "password": PASSWORD,
        "given_name": "Jane", "name": "Jane Doe", "user_metadata": {"theme": "dark"}});
    let made = world.post("/dbconnections/signup", &jane).await;
    assert_eq!(made.status, 200, "{}", made.body);
    let made = made.json();
    assert_eq!((&made["email"], &made["email_verified"], &made["username"]), (&json!("jane@acme.example"), &json!(false), &json!("jane")));
    assert_eq!((&made["given_name"], &made["user_metadata"]), (&json!("Jane"), &json!({"theme": "dark"})));
    assert!(made.get("password").is_none());
    let claims = world.sign_in("jane", PASSWORD).await;
    assert_eq!(claims["sub"], format!("auth0|{}", made["_id"].as_str().unwrap()));
    let api = Api::of(&world.gateway).await;
    assert_eq!(api.read("/users").await[0]["user_metadata"], json!({"theme": "dark"}));
    let change = |members: Value| {
        let mut body = jane.clone();
        body["email"] = json!("joe@acme.example");
        body["username"] = json!("joe");
        for (name, value) in members.as_object().unwrap() {
            body[name] = value.clone();
        }
        body
    };
    let eleven: Value = (0..11).map(|number| (format!("m{number}"), json!("x"))).collect::<serde_json::Map<_, _>>().into();
    for (members, code) in [
        (json!({"email": "JANE@acme.example"}), "invalid_signup"),
        (json!({"username": "JANE"}), "username_exists"),
        (json!({"username": "joe@acme.example"}), "invalid_signup"),
        (json!({"email": "nobody"}), "invalid_signup"),
        (json!({"password": "password1"}), "invalid_password"),
        (json!({"user_metadata": eleven}), "invalid_signup"),
        (json!({"user_metadata": {"a": "x".repeat(501)}}), "invalid_signup"),
        (json!({"user_metadata": {"a": {"b": "c"}}}), "invalid_signup"),
        (json!({"user_metadata": {"a.b": "c"}}), "invalid_signup"),
        (json!({"picture": 5}), "invalid_signup"),
        (json!({"user_metadata": [1]}), "invalid_request"),
        (json!({"client_id": "nobody"}), "invalid_request"),
        (json!({"connection": "nobody"}), "invalid_request"),
    ] {
        let refused = world.post("/dbconnections/signup", &change(members.clone())).await;
        assert_eq!((refused.status, &refused.json()["code"]), (400, &json!(code)), "{members}: {}", refused.body);
    }
    assert_eq!(api.read("/users").await.as_array().unwrap().len(), 1);
    // app_metadata is nobody's own to give, and is not taken along.
    let made = world.post("/dbconnections/signup", &change(json!({"app_metadata": {"plan": "gold"}, "user_id": "auth0|admin"}))).await;
    assert_eq!(made.status, 200, "{}", made.body);
    let users = api.read("/users?q=email:%22joe@acme.example%22").await;
    assert!(users[0].get("app_metadata").is_none_or(|given| given == &json!({})) && users[0]["user_id"] != "auth0|admin", "{users}");
    let longest = change(json!({"email": "ann@acme.example", "username": "ann", "user_metadata": {"a": "x".repeat(500)}}));
    assert_eq!(world.post("/dbconnections/signup", &longest).await.status, 200);
}

#[tokio::test]
async fn a_forgotten_password_is_chosen_anew_and_ends_all_that_the_old_one_gave() {
    let world = World::new("").await;
    let api = Api::of(&world.gateway).await;
    let jane = json!({"connection": "people", "email": "jane@acme.example", "name": "Jane", "password": PASSWORD});
    let user_id = api.make("/users", &jane).await["user_id"].as_str().unwrap().replace('|', "%7C");
    let signed_in = Browser::new();
    let page = world.page(&signed_in).await;
    let answer = type_in(&signed_in, &page, "jane@acme.example", PASSWORD).await.away();
    world.app.code(&world.gateway, &answer);
    // From the page, and twice by a program: each link ends the one before.
    let browser = Browser::new();
    let page = world.page(&browser).await;
    let form = world.follow(&browser, &page, "/login/reset").await;
    let mut bodies = Vec::new();
    for address in ["nobody@acme.example", "jane@acme.example"] {
        let began = Instant::now();
        let sent = fill(&browser, &form, &[("email", address)]).await;
        assert!(began.elapsed() >= Duration::from_millis(390));
        bodies.push((sent.status, sent.body.clone()));
    }
    assert_eq!(bodies[0], bodies[1], "nobody learns who is there");
    let first = world.smtp.wait_for("jane@acme.example", 1).await;
    let ask = |email: &str| json!({"client_id": "notes", "connection": "people", "email": email});
    let (there, not_there) = (
        world.post("/dbconnections/change_password", &ask("jane@acme.example")).await,
        world.post("/dbconnections/change_password", &ask("x@acme.example")).await,
    );
    assert_eq!((there.status, &there.body), (not_there.status, &not_there.body));
    assert!(there.contains("We've just sent you an email"), "{}", there.body);
    let second = world.smtp.wait_for("jane@acme.example", 2).await;
    assert!(world.smtp.to("nobody@acme.example").is_empty() && world.smtp.to("x@acme.example").is_empty());
    let reader = Browser::new();
    assert_eq!(reader.open(&first.link()).await.here().status, 410);
    let page = reader.open(&second.link()).await.here();
    assert!(page.contains("autocomplete=\"new-password\"") && page.contains("jane@acme.example"), "{}", page.body);
    let weak = fill(&reader, &page, &[("password", "Jane.1234")]).await;
    assert!(problem(&weak).contains("your name"), "{}", weak.body);
    let done = fill(&reader, &weak, &[("password", "a wholly new one")]).await;
    assert!(done.contains("Your password is changed"), "{}", done.body);
    assert_eq!(fill(&reader, &page, &[("password", "yet another new one")]).await.status, 410, "a link is used once");
    assert!(world.told("jane@acme.example", PASSWORD).await.contains(WRONG));
    assert!(world.told("jane@acme.example", "yet another new one").await.contains(WRONG));
    world.sign_in("jane@acme.example", "a wholly new one").await;
    let silent = signed_in.open(world.app.authorize(&world.gateway, &[("prompt", "none")]).as_str()).await.away();
    assert_eq!(world.app.error(&world.gateway, &silent).0, "login_required", "all sessions have ended");
    let changed = world.smtp.wait_for("jane@acme.example", 3).await;
    assert!(changed.text.contains("was changed") && !changed.text.contains("ticket="), "{}", changed.text);
    assert_eq!(api.read(&format!("/users/{user_id}")).await["email_verified"], true, "whoever follows a mailed link reads the mail");
}

/// The directory cannot end one of the person's refresh tokens: everything else that belongs to a new password happens.
#[tokio::test]
async fn what_fails_after_a_new_password_keeps_nothing_else_from_happening() {
    let world = World::new("").await;
    let api = Api::of(&world.gateway).await;
    let jane = json!({"connection": "people", "email": "jane@acme.example", "name": "Jane", "password": PASSWORD});
    let user_id = api.make("/users", &jane).await["user_id"].as_str().unwrap().replace('|', "%7C");
    for _ in 0..3 {
        let browser = Browser::new();
        let url = world.app.authorize(&world.gateway, &[("scope", "openid offline_access")]);
        let answer = type_in(&browser, &browser.open(url.as_str()).await.here(), "jane@acme.example", PASSWORD).await.away();
        Tokens::of(&world.app.redeem(&world.gateway, &world.app.code(&world.gateway, &answer), &[]).await);
    }
    let kept = |sql: &str| rows(&world.gateway, sql).trim().to_owned();
    let families = "SELECT count(*) FROM refresh_families WHERE revoked = 0";
    assert_eq!(kept(families), "3");
    kept(
        "CREATE TRIGGER held BEFORE UPDATE ON refresh_families WHEN OLD.grant_id = (SELECT max(grant_id) FROM refresh_families) \
          BEGIN SELECT RAISE(ABORT, 'held'); END",
    );
    let ask = json!({"client_id": "notes", "connection": "people", "email": "jane@acme.example"});
    assert_eq!(world.post("/dbconnections/change_password", &ask).await.status, 200);
    let mail = world.smtp.wait_for("jane@acme.example", 1).await;
    let reader = Browser::new();
    let page = reader.open(&mail.link()).await.here();
    let done = fill(&reader, &page, &[("password", "a wholly new one")]).await;
    assert!(done.contains("Your password is changed"), "{}", done.body);
    assert_eq!(kept(families), "1", "the others have ended");
    assert!(world.smtp.wait_for("jane@acme.example", 2).await.text.contains("was changed"));
    assert_eq!(api.read(&format!("/users/{user_id}")).await["email_verified"], true);
    assert_eq!(api.read(&format!("/users/{user_id}/sessions")).await["sessions"], json!([]));
    assert!(world.gateway.log().contains("not all that belongs to it was done"), "operators are told");
    world.sign_in("jane@acme.example", "a wholly new one").await;
}

/// Whoever signed up with the address first may have attached an account of their own: as long as it cannot be taken away,
/// the address does not count as proven, so that the next link takes it.
#[tokio::test]
async fn an_address_counts_as_proven_when_all_is_taken_from_who_came_before() {
    let world = World::new("").await;
    let api = Api::of(&world.gateway).await;
    let make = async |email: &str| {
        let body = json!({"connection": "people", "email": email, "password": PASSWORD});
        api.make("/users", &body).await["user_id"].as_str().unwrap().to_owned()
    };
    let (jane, joe) = (make("jane@acme.example").await, make("joe@acme.example").await);
    let user = format!("/users/{}", jane.replace('|', "%7C"));
    let (provider, subject) = joe.split_once('|').unwrap();
    let linked = api.post(&format!("{user}/identities"), &json!({"provider": provider, "user_id": subject})).await;
    assert_eq!(linked.status, 201, "{}", linked.body);
    let moving = "CREATE TRIGGER held BEFORE UPDATE ON identities WHEN NEW.user_id <> OLD.user_id BEGIN SELECT RAISE(ABORT, 'held'); END";
    for (change, number, (identities, proven)) in [(moving, 1, (2, false)), ("DROP TRIGGER held", 3, (1, true))] {
        rows(&world.gateway, change);
        let ask = json!({"client_id": "notes", "connection": "people", "email": "jane@acme.example"});
        assert_eq!(world.post("/dbconnections/change_password", &ask).await.status, 200);
        let mail = world.smtp.wait_for("jane@acme.example", number).await;
        let reader = Browser::new();
        let page = reader.open(&mail.link()).await.here();
        let done = fill(&reader, &page, &[("password", &format!("a wholly new one {number}"))]).await;
        assert!(done.contains("Your password is changed"), "{}", done.body);
        world.smtp.wait_for("jane@acme.example", number + 1).await;
        let told = api.read(&user).await;
        assert_eq!((told["identities"].as_array().unwrap().len(), told["email_verified"] == json!(true)), (identities, proven), "{told}");
    }
}

#[tokio::test]
async fn a_link_dies_with_the_password_or_the_address_that_it_was_for() {
    let world = World::new("").await;
    let api = Api::of(&world.gateway).await;
    let jane = json!({"connection": "people", "email": "jane@acme.example", "name": "Jane", "password": PASSWORD});
    let user = format!("/users/{}", api.make("/users", &jane).await["user_id"].as_str().unwrap().replace('|', "%7C"));
    let ask = json!({"client_id": "notes", "connection": "people", "email": "jane@acme.example"});
    let reader = Browser::new();
    for (number, change) in [(1, json!({"password": "set by an operator"})), (2, json!({"email": "roe@acme.example"}))] {
        assert_eq!(world.post("/dbconnections/change_password", &ask).await.status, 200);
        let mail = world.smtp.wait_for("jane@acme.example", number).await;
        assert_eq!(reader.open(&mail.link()).await.here().status, 200);
        assert_eq!(api.patch(&user, &change).await.status, 200);
        assert_eq!(reader.open(&mail.link()).await.here().status, 410, "{change}");
    }
    for link in ["/login/new-password?ticket=x", "/login/new-password", "/login/verify?ticket=", "/login/verify"] {
        assert_eq!(reader.open(world.gateway.url(link).as_str()).await.here().status, 410, "{link}");
    }
    // A link of one kind is none of the other.
    let ask = json!({"client_id": "notes", "connection": "people", "email": "roe@acme.example"});
    assert_eq!(world.post("/dbconnections/change_password", &ask).await.status, 200);
    let mail = world.smtp.wait_for("roe@acme.example", 1).await;
    assert_eq!(reader.open(&mail.link().replace("new-password", "verify")).await.here().status, 410);
    // One mailbox gets three mails in a while, and nobody learns that.
    for _ in 0..4 {
        assert_eq!(world.post("/dbconnections/change_password", &ask).await.status, 200);
    }
    world.smtp.wait_for("roe@acme.example", 3).await;
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert_eq!(world.smtp.to("roe@acme.example").len(), 3);
}

#[tokio::test]
async fn mails_wait_for_a_server_that_fails_and_go_by_tls() {
    let (smtp, app) = (Smtp::start(), App::new("notes"));
    smtp.fails.store(1, Ordering::SeqCst);
    let setup = Setup { top_tables: smtp.toml_by_tls("mail.pem"), ..Setup::new() }.file("mail.pem", &smtp.pair.certificate_pem());
    let setup = setup.connection("name = \"people\"\n[connection.database]\nsign_up = true\n").application(&app.toml("", ""));
    let gateway = Gateway::start(setup).await;
    let body = json!({"client_id": "notes", "connection": "people", "email": "jürgen@acme.example", "password": PASSWORD});
    let url = gateway.url("/dbconnections/signup");
    let made = gateway.client().post(url).header("accept-language", "ja").json(&body).send().await.unwrap();
    assert_eq!(made.status(), 400, "a server that speaks no SMTPUTF8 has no such mailboxes");
    let body = json!({"client_id": "notes", "connection": "people", "email": "juergen@acme.example", "password": PASSWORD});
    let url = gateway.url("/dbconnections/signup");
    let made = gateway.client().post(url).header("accept-language", "ja").json(&body).send().await.unwrap();
    assert_eq!(made.status(), 200);
    let mail = smtp.wait_for("juergen@acme.example", 1).await;
    assert!(mail.sealed && mail.text.contains("アカウントを作成しました") && mail.link().contains("/login/verify?ticket="), "{mail:?}");
    assert!(!gateway.log().contains("mail-secret") && !gateway.log().contains("ticket="), "{}", gateway.log());
}

#[tokio::test]
async fn tickets_are_links_that_work_once_and_lead_on() {
    let world = World::new("").await;
    let api = Api::of(&world.gateway).await;
    let jane = json!({"connection": "people", "email": "jane@acme.example", "name": "Jane", "password": PASSWORD});
    let user_id = api.make("/users", &jane).await["user_id"].as_str().unwrap().to_owned();
    let reader = Browser::new();
    let made = api.make("/tickets/email-verification", &json!({"user_id": user_id})).await;
    let page = reader.open(made["ticket"].as_str().unwrap()).await.here();
    assert!(fill(&reader, &page, &[]).await.contains("Your address is confirmed"));
    let user = format!("/users/{}", user_id.replace('|', "%7C"));
    assert_eq!(api.read(&user).await["email_verified"], true);
    api.patch(&user, &json!({"email_verified": false})).await;
    let ask =
        json!({"connection_id": "people", "email": "JANE@acme.example", "result_url": "https://notes.example/welcome", "ttl_sec": 60});
    let made = api.make("/tickets/password-change", &ask).await;
    let page = reader.open(made["ticket"].as_str().unwrap()).await.here();
    let form = page.form();
    let fields: Vec<(String, String)> = form
        .fields
        .iter()
        .map(|(name, value)| (name.clone(), if name == "password" { "a wholly new one".to_owned() } else { value.clone() }))
        .collect();
    let away = reader.post(&page.url, &page.url.join(&form.action).unwrap(), &fields).await.away();
    assert_eq!(away.url.as_str(), "https://notes.example/welcome");
    world.sign_in("jane@acme.example", "a wholly new one").await;
    assert_eq!(api.read(&user).await["email_verified"], false, "who handed the link over does not say how");
    for (body, status) in [
        (json!({"user_id": "auth0|nobody"}), 404),
        (json!({"connection_id": "people", "email": "nobody@acme.example"}), 404),
        (json!({"email": "jane@acme.example"}), 400),
        (json!({"user_id": user_id, "result_url": "javascript:alert(1)"}), 400),
    ] {
        let refused = api.post("/tickets/password-change", &body).await;
        assert_eq!(refused.status, status, "{body}: {}", refused.body);
    }
    // A mail instead, where one is asked for.
    let joe = json!({"connection": "people", "email": "joe@acme.example", "name": "Joe", "password": PASSWORD, "verify_email": true});
    api.make("/users", &joe).await;
    let link = world.smtp.wait_for("joe@acme.example", 1).await.link();
    assert!(link.contains("/login/verify?ticket=") && reader.open(&link).await.here().contains("type=\"password\""));
    let other = Api::with(&world.gateway, &["read:users", "update:users"]).await;
    assert_eq!(other.post("/tickets/password-change", &json!({"user_id": user_id})).await.status, 403);
    assert!(!world.gateway.log().contains("ticket="));
}
