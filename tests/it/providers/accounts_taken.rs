//! Accounts and addresses that two people hold to be theirs: who made an account with somebody else's address, what is left of
//! it when the owner comes, and what ends with a password.

use super::accounts::{World, fill, problem};
use super::custom::{custom, json_reply, saying};
use super::database::{PASSWORD, type_in};
use super::second_factor::{code, send, set_up};
use crate::api::{Api, good};
use crate::federation::rows;
use crate::harness::app::{App, Tokens, assert_oauth_error};
use crate::harness::browser::{Browser, Landed, Page};
use crate::harness::gateway::{Gateway, Setup};
use crate::harness::op::Op;
use crate::harness::smtp::Smtp;
use crate::harness::web::{Asked, Reply, Site};
use reqwest::Method;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const JANE: &str = "jane@acme.example";
const NEW: &str = "a wholly new one";
const WRONG: &str = "The user name or the password is wrong";

impl World {
    /// Makes an account by a program; no browser is known of it.
    async fn made(&self, email: &str) {
        let body = json!({"client_id": "notes", "connection": "people", "email": email, "password": PASSWORD});
        let made = self.post("/dbconnections/signup", &body).await;
        assert_eq!(made.status, 200, "{}", made.body);
    }

    /// Chooses another password by the link that is mailed as this one of the address's mails.
    async fn reset(&self, email: &str, number: usize, password: &str) {
        let body = json!({"client_id": "notes", "connection": "people", "email": email});
        assert_eq!(self.post("/dbconnections/change_password", &body).await.status, 200);
        let mail = self.smtp.wait_for(email, number).await;
        assert!(mail.link().contains("/login/new-password"), "{}", mail.text);
        let reader = Browser::new();
        let page = reader.open(&mail.link()).await.here();
        let done = fill(&reader, &page, &[("password", password)]).await;
        assert!(done.contains("Your password is changed"), "{}", done.body);
    }

    async fn user(&self, email: &str) -> Value {
        let users = Api::of(&self.gateway).await.read("/users").await;
        let found = users.as_array().unwrap().iter().find(|user| user["email"] == email);
        found.cloned().unwrap_or_else(|| panic!("nobody has {email}: {users}"))
    }

    /// An account that an operator makes.
    async fn given(&self, email: &str) -> String {
        let body = json!({"connection": "people", "email": email, "email_verified": true, "name": email, "password": PASSWORD});
        Api::of(&self.gateway).await.make("/users", &body).await["user_id"].as_str().unwrap().to_owned()
    }

    /// Who signs in by a password, without a wish for a second factor.
    async fn came(&self, email: &str, password: &str) -> String {
        let browser = Browser::new();
        let page = browser.open(self.app.authorize(&self.gateway, &[("connection", "people")]).as_str()).await.here();
        let answer = send(&browser, &page, &[("username", email), ("password", password)]).await.away();
        let tokens = Tokens::of(&self.app.redeem(&self.gateway, &self.app.code(&self.gateway, &answer), &[]).await);
        tokens.claims()["sub"].as_str().unwrap().to_owned()
    }

    async fn link(&self, primary: &str, other: &str) {
        let body = json!({"provider": "auth0", "user_id": other});
        good(&Api::of(&self.gateway).await.post(&format!("{}/identities", at(primary)), &body).await, 201);
    }
}

fn at(user_id: &str) -> String {
    format!("/users/{}", user_id.replace('|', "%7C"))
}

fn id(user: &Value) -> String {
    user["user_id"].as_str().unwrap().to_owned()
}

/// Presses the other button of the page.
async fn not_mine(browser: &Browser, page: &Page) -> Page {
    let ticket = page.form().field("ticket").unwrap().to_owned();
    let fields = [("ticket".to_owned(), ticket), ("not_mine".to_owned(), "1".to_owned())];
    browser.post(&page.url, &page.url, &fields).await.here()
}

#[tokio::test]
async fn who_signs_up_with_somebody_elses_address_gains_nothing_by_their_click() {
    let world = World::new("sign_up = true").await;
    let (thief, owner) = (Browser::new(), Browser::new());
    let page = world.page(&thief).await;
    let form = world.follow(&thief, &page, "/login/sign-up").await;
    let sent = fill(&thief, &form, &[("email", JANE), ("password", PASSWORD)]).await;
    // Nobody has to prove an address here: the thief uses the account.
    let back = world.follow(&thief, &sent, "/login/password").await;
    let answer = type_in(&thief, &back, JANE, PASSWORD).await.away();
    world.app.code(&world.gateway, &answer);
    let link = world.smtp.wait_for(JANE, 1).await.link();
    let page = owner.open(&link).await.here();
    assert!(page.contains(JANE) && page.contains("s people") && page.contains("autocomplete=\"current-password\""), "{}", page.body);
    for typed in [None, Some(""), Some("a guess of the owner")] {
        let ticket = ("ticket".to_owned(), page.form().field("ticket").unwrap().to_owned());
        let fields: Vec<_> = [Some(ticket), typed.map(|typed| ("password".to_owned(), typed.to_owned()))].into_iter().flatten().collect();
        let again = owner.post(&page.url, &page.url, &fields).await.here();
        assert!(problem(&again).contains("not the password of the account"), "{typed:?}: {}", again.body);
    }
    assert_eq!(world.user(JANE).await["email_verified"], false);
    // Whoever has made it is not asked for the password.
    let own = thief.open(&link).await.here();
    assert!(!own.contains("type=\"password\"") && own.contains("not_mine"), "{}", own.body);
    // The owner says so: the password is nobody's, and its session has ended.
    let disowned = not_mine(&owner, &page).await;
    assert!(disowned.status == 200 && disowned.contains("closed to whoever made it"), "{}", disowned.body);
    assert_eq!(not_mine(&owner, &page).await.status, 410, "a link is used once");
    assert_eq!(thief.open(&link).await.here().status, 410);
    assert!(world.told(JANE, PASSWORD).await.contains(WRONG));
    let silent = thief.open(world.app.authorize(&world.gateway, &[("prompt", "none")]).as_str()).await.away();
    assert_eq!(world.app.error(&world.gateway, &silent).0, "login_required");
    assert_eq!(world.user(JANE).await["email_verified"], false);
    // And gets in, by the mailbox.
    world.reset(JANE, 2, NEW).await;
    assert_eq!(world.sign_in(JANE, NEW).await["email_verified"], true);
    // The page behind a link that a program hands over needs no password; what is proven is not disowned.
    let api = Api::of(&world.gateway).await;
    let joe = world.given("joe@acme.example").await;
    for proven in [true, false] {
        good(&api.patch(&at(&joe), &json!({"email_verified": proven})).await, 200);
        let ticket = api.make("/tickets/email-verification", &json!({"user_id": joe})).await;
        let page = owner.open(ticket["ticket"].as_str().unwrap()).await.here();
        assert!(!page.contains("type=\"password\""), "{}", page.body);
        assert_eq!(not_mine(&owner, &page).await.status, if proven { 410 } else { 200 });
        if proven {
            world.sign_in("joe@acme.example", PASSWORD).await;
        }
    }
    assert!(world.told("joe@acme.example", PASSWORD).await.contains(WRONG));
    world.made("ann@acme.example").await;
    let link = world.smtp.wait_for("ann@acme.example", 1).await.link();
    let page = owner.open(&link).await.here();
    good(
        &Api::of(&world.gateway).await.patch(&at(&id(&world.user("ann@acme.example").await)), &json!({"email_verified": true})).await,
        200,
    );
    assert_eq!(not_mine(&owner, &page).await.status, 410);
    world.sign_in("ann@acme.example", PASSWORD).await;
}

#[tokio::test]
async fn passwords_behind_a_link_are_counted_as_where_people_sign_in_and_the_link_is_used_once() {
    let (smtp, app) = (Smtp::start(), App::new("notes"));
    let setup = Setup { top_tables: format!("{}\n[limits]\npassword_failures = 2\n", smtp.toml()), ..Setup::new() };
    let setup = setup.connection("name = \"people\"\n[connection.database]\nsign_up = true\n").application(&app.toml("", ""));
    let world = World { gateway: Gateway::start(setup).await, smtp, app };
    for email in [JANE, "joe@acme.example"] {
        world.made(email).await;
    }
    let reader = Browser::new();
    let page = reader.open(&world.smtp.wait_for(JANE, 1).await.link()).await.here();
    for _ in 0..2 {
        assert!(problem(&fill(&reader, &page, &[("password", "wrong")]).await).contains("not the password"));
    }
    let waits = fill(&reader, &page, &[("password", PASSWORD)]).await;
    assert!(waits.status == 429 && problem(&waits).contains("Try again in 5 min"), "{}", waits.body);
    assert!(waits.header("retry-after").parse::<u32>().is_ok_and(|seconds| (200..=300).contains(&seconds)));
    assert!(world.told(JANE, PASSWORD).await.contains("Try again in 5 min"));
    // Of two at once one has it.
    let page = reader.open(&world.smtp.wait_for("joe@acme.example", 1).await.link()).await.here();
    let right = [("password", PASSWORD)];
    let (one, two) = tokio::join!(fill(&reader, &page, &right), fill(&reader, &page, &right));
    let mut statuses = [one.status, two.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 410]);
    let log = world.gateway.log();
    assert!(!log.contains("ticket=") && !log.contains(PASSWORD), "{log}");
}

#[tokio::test]
async fn the_owner_of_an_address_takes_over_nothing_that_was_attached_before() {
    let world = World::with("second_factor = \"optional\"", "sign_up = true").await;
    // Somebody makes an account with Jane's address, with a phone and another account of theirs.
    world.made(JANE).await;
    let thief = Browser::new();
    let page = world.page(&thief).await;
    let page = send(&thief, &page, &[("username", JANE), ("password", PASSWORD), ("enrol", "1")]).await.here();
    let (.., landed) = set_up(&thief, &page, 0).await;
    world.app.code(&world.gateway, &landed.away());
    let (jane, mallory) = (id(&world.user(JANE).await), world.given("mallory@acme.example").await);
    world.link(&jane, &mallory).await;
    world.smtp.wait_for(JANE, 1).await;
    world.reset(JANE, 2, NEW).await;
    // No code is asked for, and the other account leads to its own user.
    assert_eq!(world.came(JANE, NEW).await, jane);
    assert_eq!(world.user(JANE).await["identities"].as_array().unwrap().len(), 1);
    assert_eq!(world.came("mallory@acme.example", PASSWORD).await, mallory);
    // The account as the second one of theirs: it leaves them.
    world.made("joe@acme.example").await;
    let joe = id(&world.user("joe@acme.example").await);
    world.link(&mallory, &joe).await;
    world.smtp.wait_for("joe@acme.example", 1).await;
    world.reset("joe@acme.example", 2, NEW).await;
    assert_eq!(world.came("joe@acme.example", NEW).await, joe);
    assert_eq!(world.came("mallory@acme.example", PASSWORD).await, mallory);
    // Who had proven the address keeps everything.
    let (ann, other) = (world.given("ann@acme.example").await, world.given("other@acme.example").await);
    world.link(&ann, &other).await;
    world.reset("ann@acme.example", 1, NEW).await;
    assert_eq!(world.came("other@acme.example", PASSWORD).await, ann);
}

/// Second factors that are others at every look cannot be taken away: the rest is done, and operators are told.
#[tokio::test]
async fn who_disowns_an_account_leaves_nothing_to_whoever_made_it() {
    let world = World::with("second_factor = \"optional\"", "sign_up = true").await;
    world.made(JANE).await;
    let early = Browser::new();
    let asked = world.app.authorize(&world.gateway, &[("scope", "openid offline_access")]);
    let page = early.open(asked.as_str()).await.here();
    let answer = send(&early, &page, &[("username", JANE), ("password", PASSWORD)]).await.away();
    let tokens = Tokens::of(&world.app.redeem(&world.gateway, &world.app.code(&world.gateway, &answer), &[]).await);
    let thief = Browser::new();
    let page = world.page(&thief).await;
    let page = send(&thief, &page, &[("username", JANE), ("password", PASSWORD), ("enrol", "1")]).await.here();
    let (.., landed) = set_up(&thief, &page, 0).await;
    world.app.code(&world.gateway, &landed.away());
    let (jane, mallory) = (id(&world.user(JANE).await), world.given("mallory@acme.example").await);
    world.link(&jane, &mallory).await;
    let api = Api::of(&world.gateway).await;
    let password = api.make("/tickets/password-change", &json!({"user_id": jane})).await;
    let owner = Browser::new();
    let page = owner.open(&world.smtp.wait_for(JANE, 1).await.link()).await.here();
    // What cannot end before the password is another leaves everything as it was, the link included.
    rows(&world.gateway, "CREATE TRIGGER living BEFORE UPDATE ON refresh_families BEGIN SELECT RAISE(ABORT, 'held'); END");
    assert!(not_mine(&owner, &page).await.status >= 500);
    assert!(!world.told(JANE, PASSWORD).await.contains(WRONG));
    rows(&world.gateway, "DROP TRIGGER living");
    let held = "CREATE TRIGGER held BEFORE DELETE ON credentials WHEN OLD.kind = 'factors' BEGIN SELECT RAISE(IGNORE); END";
    rows(&world.gateway, held);
    let disowned = not_mine(&owner, &page).await;
    assert!(disowned.status == 200 && disowned.contains("closed to whoever made it"), "{}", disowned.body);
    // The factors could not be taken away: operators are told, and everything else went.
    assert!(world.gateway.log().contains("not all that belongs to it was done"), "{}", world.gateway.log());
    assert_oauth_error(&world.app.refresh(&world.gateway, tokens.refresh_token(), &[]).await, 400, "invalid_grant");
    assert_eq!(world.came("mallory@acme.example", PASSWORD).await, mallory);
    assert_eq!(world.user(JANE).await["identities"].as_array().unwrap().len(), 1);
    assert_eq!(owner.open(password["ticket"].as_str().unwrap()).await.here().status, 410);
    // Nor does the address count as proven as long as they are there; the next link takes them.
    world.reset(JANE, 2, NEW).await;
    assert_eq!(world.user(JANE).await["email_verified"], false);
    rows(&world.gateway, "DROP TRIGGER held");
    world.smtp.wait_for(JANE, 3).await;
    world.reset(JANE, 4, "another new one").await;
    assert_eq!(world.came(JANE, "another new one").await, jane);
    assert_eq!(world.user(JANE).await["email_verified"], true);
}

/// What an application's back end makes on the word of whoever types an address is nobody's who only follows the link.
#[tokio::test]
async fn who_is_written_to_on_a_programs_word_types_the_password_or_has_another_one() {
    let world = World::new("names = [\"email\", \"username\"]").await;
    let api = Api::of(&world.gateway).await;
    let body = json!({"connection": "people", "email": JANE, "password": PASSWORD, "verify_email": true});
    let jane = api.make("/users", &body).await["user_id"].as_str().unwrap().to_owned();
    let patch = json!({"connection": "people", "verify_email": true});
    good(&api.patch(&at(&jane), &patch).await, 200);
    let reader = Browser::new();
    for number in [1, 2] {
        let page = reader.open(&world.smtp.wait_for(JANE, number).await.link()).await.here();
        assert!(page.contains("type=\"password\"") && page.contains("not_mine"), "{}", page.body);
        assert!(problem(&fill(&reader, &page, &[]).await).contains("not the password"));
    }
    assert_eq!(world.user(JANE).await["email_verified"], false);
    // Whoever has no password gets a link for one from the page.
    let page = reader.open(&world.smtp.wait_for(JANE, 2).await.link()).await.here();
    let ticket = page.form().field("ticket").unwrap().to_owned();
    let fields = [("ticket".to_owned(), ticket), ("forgotten".to_owned(), "1".to_owned())];
    assert!(page.contains("name=\"forgotten\"") && page.contains("Forgot your password?"), "{}", page.body);
    let sent = reader.post(&page.url, &page.url, &fields).await.here();
    assert!(sent.status == 200 && sent.contains("Look into your mailbox"), "{}", sent.body);
    let mail = world.smtp.wait_for(JANE, 3).await;
    assert!(mail.link().contains("/login/new-password"), "{}", mail.text);
    let page = reader.open(&mail.link()).await.here();
    assert!(fill(&reader, &page, &[("password", NEW)]).await.contains("Your password is changed"));
    assert_eq!(world.sign_in(JANE, NEW).await["email_verified"], true);
    // Nothing is left to prove: nobody is written to.
    good(&api.patch(&at(&jane), &patch).await, 200);
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(world.smtp.to(JANE).iter().filter(|mail| mail.text.contains("/login/verify")).count(), 2);
    // Where people have usernames alone, and no other password, the mail is sent all the same.
    let world = World::new("names = [\"username\"]").await;
    let body = json!({"connection": "people", "email": JANE, "username": "jane", "password": PASSWORD, "verify_email": true});
    Api::of(&world.gateway).await.make("/users", &body).await;
    let page = reader.open(&world.smtp.wait_for(JANE, 1).await.link()).await.here();
    assert!(!page.contains("forgotten"), "{}", page.body);
    assert!(fill(&reader, &page, &[("password", PASSWORD)]).await.contains("Your address is confirmed"));
}

#[tokio::test]
async fn a_login_that_waited_for_its_second_step_ends_with_the_password_that_it_began_with() {
    let world = World::with("second_factor = \"optional\"", "").await;
    world.given(JANE).await;
    let browser = Browser::new();
    let page = world.page(&browser).await;
    let page = send(&browser, &page, &[("username", JANE), ("password", PASSWORD), ("enrol", "1")]).await.here();
    let (phone, _, landed) = set_up(&browser, &page, -1).await;
    world.app.code(&world.gateway, &landed.away());
    // Whoever knows the old password has come to the code, and has the phone.
    let thief = Browser::new();
    let page = world.page(&thief).await;
    let waiting = type_in(&thief, &page, JANE, PASSWORD).await.here();
    assert!(waiting.contains("Enter your code"), "{}", waiting.body);
    world.reset(JANE, 1, NEW).await;
    let refused = code(&thief, &waiting, &phone.code(0).await).await.away();
    assert_eq!(world.app.error(&world.gateway, &refused).0, "access_denied");
    let page = world.page(&browser).await;
    let asked = type_in(&browser, &page, JANE, NEW).await.here();
    world.app.code(&world.gateway, &code(&browser, &asked, &phone.code(1).await).await.away());
}

#[tokio::test]
async fn a_login_that_waited_for_consent_ends_with_the_password_that_it_began_with() {
    let (smtp, app) = (Smtp::start(), App::new("notes"));
    let setup = Setup { top_tables: smtp.toml(), ..Setup::new() };
    let setup = setup.connection("name = \"people\"\n[connection.database]\n").application(&app.toml("", "first_party = false"));
    let world = World { gateway: Gateway::start(setup).await, smtp, app };
    world.given(JANE).await;
    let thief = Browser::new();
    let page = world.page(&thief).await;
    let asked = type_in(&thief, &page, JANE, PASSWORD).await.here();
    world.reset(JANE, 1, NEW).await;
    match thief.press(&asked, "Allow").await {
        Landed::Away(answer) => assert_eq!(answer.parameter("code"), None, "{}", answer.url),
        Landed::Here(page) => assert!(page.status >= 400 || page.url.path() == "/login/password", "{}", page.body),
    }
    let silent = thief.open(world.app.authorize(&world.gateway, &[("prompt", "none")]).as_str()).await.away();
    assert_eq!(world.app.error(&world.gateway, &silent).0, "login_required");
    let owner = Browser::new();
    let page = world.page(&owner).await;
    let asked = type_in(&owner, &page, JANE, NEW).await.here();
    world.app.code(&world.gateway, &owner.press(&asked, "Allow").await.away());
}

#[tokio::test]
async fn a_first_code_counts_for_nobody_who_has_an_app_by_then() {
    let world = World::with("second_factor = \"required\"", "").await;
    world.given(JANE).await;
    let (one, two) = (Browser::new(), Browser::new());
    let (first, second) = (world.page(&one).await, world.page(&two).await);
    let (first, second) = (type_in(&one, &first, JANE, PASSWORD).await.here(), type_in(&two, &second, JANE, PASSWORD).await.here());
    let (.., landed) = set_up(&one, &first, 0).await;
    world.app.code(&world.gateway, &landed.away());
    // Right or wrong: it says nothing of the app that was set up.
    let refused = code(&two, &second, "000000").await.away();
    assert_eq!(world.app.error(&world.gateway, &refused).0, "access_denied");
}

#[tokio::test]
async fn a_password_of_an_operator_ends_what_the_old_one_gave() {
    let (smtp, app) = (Smtp::start(), App::new("notes"));
    let setup = Setup { top_tables: smtp.toml(), ..Setup::new() };
    let refreshing = app.toml("", "grant_types = [\"authorization_code\", \"refresh_token\"]");
    let setup = setup.connection("name = \"people\"\n[connection.database]\n").application(&refreshing);
    let world = World { gateway: Gateway::start(setup).await, smtp, app };
    let jane = world.given(JANE).await;
    let browser = Browser::new();
    let asked = world.app.authorize(&world.gateway, &[("scope", "openid offline_access")]);
    let page = browser.open(asked.as_str()).await.here();
    let answer = type_in(&browser, &page, JANE, PASSWORD).await.away();
    let tokens = Tokens::of(&world.app.redeem(&world.gateway, &world.app.code(&world.gateway, &answer), &[]).await);
    let tokens = Tokens::of(&world.app.refresh(&world.gateway, tokens.refresh_token(), &[]).await);
    good(&Api::of(&world.gateway).await.patch(&at(&jane), &json!({"password": NEW})).await, 200);
    assert_oauth_error(&world.app.refresh(&world.gateway, tokens.refresh_token(), &[]).await, 400, "invalid_grant");
    let silent = browser.open(world.app.authorize(&world.gateway, &[("prompt", "none")]).as_str()).await.away();
    assert_eq!(world.app.error(&world.gateway, &silent).0, "login_required");
    world.sign_in(JANE, NEW).await;
    // What is known of the user is nowhere else: it is not forgotten.
    let path = format!("{}/forget-profile", at(&jane));
    assert_eq!(Api::of(&world.gateway).await.call(Method::POST, &path, None, &[]).await.status, 409);
    assert_eq!(world.user(JANE).await["name"], JANE);
}

#[tokio::test]
async fn a_username_that_is_taken_says_nothing_of_addresses_and_one_kind_of_mail_nothing_of_another() {
    let world = World::new("sign_up = true\nnames = [\"email\", \"username\"]").await;
    let post = async |email: &str, username: &str| {
        let body = json!({"client_id": "notes", "connection": "people", "email": email, "username": username, "password": PASSWORD});
        let answer = world.post("/dbconnections/signup", &body).await;
        (answer.status, answer.body)
    };
    assert_eq!(post(JANE, "jane").await.0, 200);
    let (known, unknown) = (post(JANE, "jane").await, post("nobody@acme.example", "jane").await);
    assert!(known == unknown && known.1.contains("username_exists"), "{known:?} {unknown:?}");
    world.smtp.wait_for(JANE, 1).await;
    let mails = |text: &str| world.smtp.to(JANE).iter().filter(|mail| mail.text.contains(text)).count();
    // Somebody fills the mailbox with what they may cause; a link for another password is sent all the same.
    for number in 0..4 {
        assert_eq!(post(JANE, &format!("other{number}")).await.0, 400);
    }
    world.smtp.wait_for(JANE, 4).await;
    world.reset(JANE, 5, NEW).await;
    assert_eq!(mails("There is one already"), 3);
    world.sign_in(JANE, NEW).await;
}

#[tokio::test]
async fn a_link_is_not_used_up_by_a_failure_of_who_keeps_the_account() {
    let reply = Arc::new(Mutex::new(json_reply(200, &json!({ "user_id": "1", "email": JANE }))));
    let site = saying(&reply).await;
    let world = World::new(&custom(&format!("http://127.0.0.1:{}/", site.port))).await;
    let says = |next: Reply| *reply.lock().unwrap() = next;
    let (browser, reader) = (Browser::new(), Browser::new());
    let page = world.page(&browser).await;
    let form = world.follow(&browser, &page, "/login/sign-up").await;
    fill(&browser, &form, &[("email", JANE), ("password", PASSWORD)]).await;
    let link = world.smtp.wait_for(JANE, 1).await.link();
    // A password that is right for somebody else is wrong for this account.
    says(json_reply(200, &json!({ "user_id": "2", "email": JANE })));
    let page = reader.open(&link).await.here();
    let wrong = fill(&reader, &page, &[("password", PASSWORD)]).await;
    assert!(problem(&wrong).contains("not the password"), "{}", wrong.body);
    let page = browser.open(&link).await.here();
    says(Reply::status(500));
    assert_eq!(fill(&browser, &page, &[]).await.status, 503);
    assert_eq!(fill(&reader, &wrong, &[("password", PASSWORD)]).await.status, 503);
    assert_eq!(not_mine(&reader, &wrong).await.status, 503);
    // Endpoints may let nobody in whose address is not proven.
    says(json_reply(403, &json!({ "error": "refused", "message": "prove the address first" })));
    let refused = fill(&reader, &wrong, &[("password", PASSWORD)]).await;
    assert!(refused.status == 200 && problem(&refused).contains("cannot be confirmed by its password"), "{}", refused.body);
    let noted = Api::of(&world.gateway).await.read("/logs").await.to_string();
    assert!(noted.contains("the endpoint refused: prove the address first"), "{noted}");
    says(json_reply(200, &json!({})));
    assert!(fill(&browser, &page, &[]).await.contains("Your address is confirmed"));
    let body = json!({"client_id": "notes", "connection": "people", "email": JANE});
    assert_eq!(world.post("/dbconnections/change_password", &body).await.status, 200);
    let page = reader.open(&world.smtp.wait_for(JANE, 2).await.link()).await.here();
    says(Reply::status(500));
    assert_eq!(fill(&reader, &page, &[("password", NEW)]).await.status, 503);
    says(json_reply(422, &json!({ "error": "too_weak" })));
    assert!(problem(&fill(&reader, &page, &[("password", NEW)]).await).contains("not taken here"));
    says(json_reply(200, &json!({})));
    assert!(fill(&reader, &page, &[("password", NEW)]).await.contains("Your password is changed"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn who_comes_with_the_old_password_while_it_is_changed_goes_with_it() {
    // Whoever keeps the account takes a while to take the new password, and longer to look at one.
    let site = Site::answering(0, |asked: &Asked| {
        std::thread::sleep(Duration::from_millis(if asked.body.contains(NEW) { 1500 } else { 2500 }));
        json_reply(200, &json!({ "user_id": "1", "email": JANE, "email_verified": true }))
    })
    .await;
    let world = World::new(&custom(&format!("http://127.0.0.1:{}/", site.port))).await;
    world.came(JANE, PASSWORD).await;
    let body = json!({"client_id": "notes", "connection": "people", "email": JANE});
    assert_eq!(world.post("/dbconnections/change_password", &body).await.status, 200);
    let (reader, thief) = (Browser::new(), Browser::new());
    let page = reader.open(&world.smtp.wait_for(JANE, 1).await.link()).await.here();
    let form = world.page(&thief).await;
    let comes = async {
        tokio::time::sleep(Duration::from_millis(400)).await;
        type_in(&thief, &form, JANE, PASSWORD).await.away()
    };
    let chosen = [("password", NEW)];
    let (done, came) = tokio::join!(fill(&reader, &page, &chosen), comes);
    assert!(done.contains("Your password is changed"), "{}", done.body);
    assert_eq!(world.app.error(&world.gateway, &came).0, "access_denied");
}

#[tokio::test]
async fn an_account_that_nobody_has_proven_stands_in_nobodys_way() {
    let linking = "[connection.linking]\npolicy = \"verified_email\"\nemail_domains = [\"acme.example\"]\n";
    for proven in [false, true] {
        let (op, smtp, app) = (Op::start().await, Smtp::start(), App::new("notes"));
        op.person(&json!({ "email": JANE, "email_verified": true }));
        let people = "name = \"people\"\n[connection.linking]\nemail_domains = [\"acme.example\"]\n[connection.database]\nsign_up = true\n";
        let setup = Setup { top_tables: smtp.toml(), ..Setup::new() };
        let setup = setup.connection(people).connection(&op.toml("acme", linking)).application(&app.toml("", ""));
        let world = World { gateway: Gateway::start(setup).await, smtp, app };
        world.made(JANE).await;
        let made = id(&world.user(JANE).await);
        if proven {
            // Only a login brings what counts as somebody's word.
            let reader = Browser::new();
            let page = reader.open(&world.smtp.wait_for(JANE, 1).await.link()).await.here();
            assert!(fill(&reader, &page, &[("password", PASSWORD)]).await.contains("Your address is confirmed"));
            world.came(JANE, PASSWORD).await;
        }
        let browser = Browser::new();
        let departure = browser.open(world.app.authorize(&world.gateway, &[("connection", "acme")]).as_str()).await.away();
        let answer = op.sign_in(&browser, &departure).await.away();
        let tokens = Tokens::of(&world.app.redeem(&world.gateway, &world.app.code(&world.gateway, &answer), &[]).await);
        let expected = if proven { made.as_str() } else { "oidc|acme|jane" };
        assert_eq!(tokens.claims()["sub"], expected, "proven: {proven}");
    }
}
