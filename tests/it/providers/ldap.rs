//! Logins by a directory: the page for name and password, and slapd behind it.

use crate::harness::app::{App, Tokens, userinfo};
use crate::harness::browser::{Browser, Landed, Page};
use crate::harness::gateway::{Gateway, Setup};
use crate::harness::keys::Pair;
use crate::harness::slapd::{BASE, PASSWORD, Slapd};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const WRONG: &str = "The user name or the password is wrong";

async fn gateway_of(connection: &str) -> (Gateway, App) {
    let app = App::new("notes");
    (Gateway::start(Setup::new().connection(connection).application(&app.toml("", ""))).await, app)
}

pub(super) async fn page(gateway: &Gateway, app: &App, browser: &Browser, changes: &[(&str, &str)]) -> Page {
    browser.open(app.authorize(gateway, changes).as_str()).await.here()
}

/// Types into the page and presses its button.
pub(super) async fn type_in(browser: &Browser, page: &Page, name: &str, password: &str) -> Landed {
    let form = page.form();
    let mut fields = form.fields.clone();
    for (known, value) in &mut fields {
        match known.as_str() {
            "username" => name.clone_into(value),
            "password" => password.clone_into(value),
            _ => {}
        }
    }
    browser.post(&page.url, &page.url.join(&form.action).unwrap(), &fields).await
}

async fn sign_in(gateway: &Gateway, app: &App, name: &str) -> (Value, Value) {
    let browser = Browser::new();
    let page = page(gateway, app, &browser, &[]).await;
    let answer = type_in(&browser, &page, name, PASSWORD).await.away();
    let tokens = Tokens::of(&app.redeem(gateway, &app.code(gateway, &answer), &[]).await);
    (tokens.claims(), userinfo(gateway, tokens.access_token()).await.json())
}

/// What the page says of these.
async fn told(gateway: &Gateway, app: &App, name: &str, password: &str) -> (u16, String) {
    let browser = Browser::new();
    let page = page(gateway, app, &browser, &[]).await;
    let page = type_in(&browser, &page, name, password).await.here();
    let problem = page.body.split("role=\"alert\" id=\"problem\">").nth(1).and_then(|rest| rest.split("</p>").next());
    (page.status, problem.unwrap_or_default().to_owned())
}

#[tokio::test]
async fn s4_24_a_login_by_a_directory() {
    let slapd = Slapd::start();
    let (gateway, app) = gateway_of(&slapd.toml("binary_attributes = [\"jpegPhoto\"]")).await;
    let browser = Browser::new();
    let page = page(&gateway, &app, &browser, &[("login_hint", "jane")]).await;
    assert_eq!((page.url.path(), page.status, page.header("cache-control")), ("/login/password", 200, "no-store"));
    assert_eq!(page.header("x-frame-options"), "DENY");
    assert!(
        page.contains("autocomplete=\"username\"") && page.contains("type=\"password\"") && page.contains("Acme&#39;s staff"),
        "{}",
        page.body
    );
    assert!(page.contains("for=\"username\"") && page.contains("for=\"password\"") && !page.contains("<script"), "{}", page.body);
    assert_eq!(page.form().field("username"), Some("jane"));
    // Wrong first, and then right in the same login.
    let again = type_in(&browser, &page, "jane", "wrong").await.here();
    assert!(again.status == 200 && again.contains(WRONG) && again.form().field("username") == Some("jane"), "{}", again.body);
    assert_eq!(again.form().field("password"), Some(""));
    let trace = gateway.trace(again.correlation_id()).await.to_string();
    assert!(trace.contains("ldap-password") && !trace.contains("\"wrong\""), "{trace}");
    let before = Instant::now();
    let answer = type_in(&browser, &again, " jane ", PASSWORD).await.away();
    assert!(before.elapsed() < Duration::from_secs(10));
    let tokens = Tokens::of(&app.redeem(&gateway, &app.code(&gateway, &answer), &[]).await);
    let claims = tokens.claims();
    let uuid = slapd.value(&format!("uid=jane,ou=people,{BASE}"), "entryUUID");
    assert_eq!(claims["sub"], format!("ad|staff|{uuid}"), "{claims}");
    assert_eq!(claims["acr"], "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport");
    let told = userinfo(&gateway, tokens.access_token()).await.json();
    assert_eq!((&told["name"], &told["email"]), (&json!("Jane Doe"), &json!("jane@acme.example")), "{told}");
    let mut groups: Vec<&str> = told["groups"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    groups.sort_unstable();
    assert_eq!(groups, ["staff", "wiki"]);
    let trace = gateway.trace(again.correlation_id()).await.to_string();
    assert!(trace.contains("/9j/4A==") && !trace.contains(PASSWORD) && !gateway.log().contains(PASSWORD), "{trace}");
    // The session here answers the next one; and this page is over.
    let next = browser.open(app.authorize(&gateway, &[]).as_str()).await.away();
    app.code(&gateway, &next);
    type_in(&browser, &again, "jane", PASSWORD).await.here().assert_refused(409, "ISTH");
}

#[tokio::test]
async fn what_the_application_asks_is_kept() {
    let slapd = Slapd::start();
    let (gateway, app) =
        gateway_of(&slapd.toml("[connection.ldap.acr]\npwd = \"urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport\"\n"))
            .await;
    let browser = Browser::new();
    let silent = browser.open(app.authorize(&gateway, &[("prompt", "none")]).as_str()).await.away();
    assert_eq!(app.error(&gateway, &silent).0, "login_required");
    let first = page(&gateway, &app, &browser, &[]).await;
    let answer = type_in(&browser, &first, "jane", PASSWORD).await.away();
    let tokens = Tokens::of(&app.redeem(&gateway, &app.code(&gateway, &answer), &[]).await);
    assert_eq!(tokens.claims()["acr"], "pwd");
    tokio::time::sleep(Duration::from_millis(2100)).await;
    // Asked again, whoever has a session; and whoever comes then is new.
    for changes in [("prompt", "login"), ("max_age", "1")] {
        let asked = page(&gateway, &app, &browser, &[changes]).await;
        assert_eq!(asked.url.path(), "/login/password", "{changes:?}");
        let answer = type_in(&browser, &asked, "jane", PASSWORD).await.away();
        let again = Tokens::of(&app.redeem(&gateway, &app.code(&gateway, &answer), &[]).await);
        assert!(again.claims()["auth_time"].as_i64() > tokens.claims()["auth_time"].as_i64(), "{changes:?}");
        tokio::time::sleep(Duration::from_millis(2100)).await;
    }
    let silent = browser.open(app.authorize(&gateway, &[("prompt", "none")]).as_str()).await.away();
    app.code(&gateway, &silent);
    // What a password cannot be.
    let claims = r#"{"id_token":{"acr":{"essential":true,"values":["mfa"]}}}"#;
    let asked = page(&gateway, &app, &browser, &[("claims", claims)]).await;
    let answer = type_in(&browser, &asked, "jane", PASSWORD).await.away();
    assert_eq!(app.error(&gateway, &answer).0, "unmet_authentication_requirements");
}

#[tokio::test]
async fn the_page_is_of_one_browser_and_one_login() {
    let slapd = Slapd::start();
    let (gateway, app) = gateway_of(&slapd.toml("")).await;
    let (browser, other) = (Browser::new(), Browser::new());
    let page_here = page(&gateway, &app, &browser, &[]).await;
    let page_there = page(&gateway, &app, &other, &[]).await;
    // Another browser's page, by its address and by its form.
    other.open(page_here.url.as_str()).await.here().assert_refused(403, "ISTH");
    type_in(&other, &page_here, "jane", PASSWORD).await.here().assert_refused(403, "ISTH");
    // A form that another page has made: right name and password are not looked at.
    for csrf in [page_there.form().field("csrf").unwrap().to_owned(), String::new(), "0".repeat(64)] {
        let mut fields = page_here.form().fields;
        for (name, value) in &mut fields {
            match name.as_str() {
                "csrf" => value.clone_from(&csrf),
                "username" => "jane".clone_into(value),
                "password" => PASSWORD.clone_into(value),
                _ => {}
            }
        }
        let again = browser.post(&page_here.url, &page_here.url, &fields).await.here();
        assert!(again.status == 200 && again.form().field("csrf").is_some() && !again.contains(WRONG), "{}", again.body);
    }
    let answer = type_in(&browser, &page_here, "jane", PASSWORD).await.away();
    app.code(&gateway, &answer);
}

#[tokio::test]
async fn names_and_passwords_are_no_filters_and_never_empty() {
    let slapd = Slapd::start();
    let (gateway, app) = gateway_of(&slapd.toml("")).await;
    let (_, told_of_odd) = sign_in(&gateway, &app, "o*(l\\iver)").await;
    assert_eq!(told_of_odd["name"], "Oliver Odd");
    let unknown = told(&gateway, &app, "nobody", PASSWORD).await;
    assert!(unknown.0 == 200 && unknown.1.starts_with(WRONG), "{unknown:?}");
    for (name, password) in [
        ("jane", "wrong"),
        ("jane", ""),
        ("", PASSWORD),
        ("*", PASSWORD),
        ("j*", PASSWORD),
        ("jane)(uid=*", PASSWORD),
        ("uid=jane,ou=people,dc=acme,dc=example", PASSWORD),
        // Two people have this address.
        ("twins@acme.example", PASSWORD),
        ("nopassword", PASSWORD),
    ] {
        let said = told(&gateway, &app, name, password).await;
        assert_eq!(said, unknown, "{name:?} {password:?}");
    }
    // Control characters come no further than the form.
    for (name, password) in [("jane\0", PASSWORD), ("jane\nx", PASSWORD), ("jane", "correct horse\0")] {
        assert_eq!(told(&gateway, &app, name, password).await.0, 400, "{name:?} {password:?}");
    }
    // By the address, where it is one person's.
    let (claims, _) = sign_in(&gateway, &app, "jane@acme.example").await;
    assert_eq!(claims["name"], "Jane Doe");
}

#[tokio::test]
async fn who_is_not_there_is_not_found_out_by_the_clock() {
    let slapd = Slapd::start();
    let (gateway, app) = gateway_of(&slapd.toml("")).await;
    let mut times = Vec::new();
    for name in ["jane", "nobody", "jane", "nobody"] {
        let browser = Browser::new();
        let page = page(&gateway, &app, &browser, &[]).await;
        let began = Instant::now();
        type_in(&browser, &page, name, "wrong").await.here();
        times.push(began.elapsed());
    }
    assert!(times.iter().all(|took| *took >= Duration::from_millis(390)), "{times:?}");
}

/// Nor by what is asked: the same binds go to the directory, whether or not there is somebody of the name.
#[tokio::test]
async fn who_is_not_there_costs_the_directory_a_bind_like_everybody_else() {
    let slapd = Slapd::start();
    let counter = Between::start(slapd.port);
    let (gateway, app) = gateway_of(&slapd.toml_at(&format!("ldap://127.0.0.1:{}", counter.port), "")).await;
    // The first one also finds the lines that are kept afterwards.
    assert_eq!(told(&gateway, &app, "jane", "wrong").await.0, 200);
    for name in ["jane", "nobody", "jane", "twins@acme.example", "nobody"] {
        let before = counter.binds();
        assert!(told(&gateway, &app, name, "wrong").await.1.contains(WRONG), "{name}");
        assert_eq!(counter.binds() - before, 1, "{name}");
    }
}

/// Passes on what goes to a directory and back, and counts the binds with the password `wrong`.
struct Between {
    port: u16,
    binds: std::sync::Arc<std::sync::atomic::AtomicUsize>,
}

impl Between {
    fn start(to: u16) -> Self {
        use std::io::{Read as _, Write as _};
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let started = Self { port: listener.local_addr().unwrap().port(), binds: std::sync::Arc::default() };
        let binds = std::sync::Arc::clone(&started.binds);
        std::thread::spawn(move || {
            for near in listener.incoming() {
                let (mut near, mut far) = (near.unwrap(), std::net::TcpStream::connect(("127.0.0.1", to)).unwrap());
                let (mut back, mut answers) = (near.try_clone().unwrap(), far.try_clone().unwrap());
                std::thread::spawn(move || std::io::copy(&mut answers, &mut back));
                let binds = std::sync::Arc::clone(&binds);
                std::thread::spawn(move || {
                    let mut message = [0; 4096];
                    while let Ok(read @ 1..) = near.read(&mut message) {
                        // Simple authentication (RFC 4511 4.2): context tag 0, its length, the password.
                        let proofs = message[..read].windows(7).filter(|octets| *octets == b"\x80\x05wrong").count();
                        binds.fetch_add(proofs, std::sync::atomic::Ordering::SeqCst);
                        if far.write_all(&message[..read]).is_err() {
                            break;
                        }
                    }
                });
            }
        });
        started
    }

    fn binds(&self) -> usize {
        self.binds.load(std::sync::atomic::Ordering::SeqCst)
    }
}

#[tokio::test]
async fn what_the_directory_says_of_an_account_is_told_to_its_owner_only() {
    let slapd = Slapd::start();
    tokio::time::sleep(Duration::from_millis(2100)).await;
    let (gateway, app) = gateway_of(&slapd.toml("")).await;
    for (name, says) in [("expired", "has expired"), ("reset", "choose a new password first")] {
        let (status, said) = told(&gateway, &app, name, PASSWORD).await;
        assert!(status == 200 && said.contains(says), "{name}: {said}");
        let (_, said) = told(&gateway, &app, name, "wrong").await;
        assert!(said.starts_with(WRONG), "{name}: {said}");
    }
    // One wrong password locks this account: then the right one is as good as a wrong one, and nobody learns why.
    for password in ["wrong", PASSWORD] {
        let (_, said) = told(&gateway, &app, "strict", password).await;
        assert!(said.starts_with(WRONG), "{said}");
    }
    assert!(gateway.log().contains("account is locked"), "operators learn why");
    let (talkative, app) = gateway_of(&slapd.toml("tell_locked = true")).await;
    let (_, said) = told(&talkative, &app, "strict", PASSWORD).await;
    assert!(said.contains("locked"), "{said}");
}

fn groups_of(told: &Value) -> Vec<String> {
    let mut groups: Vec<String> =
        told["groups"].as_array().into_iter().flatten().filter_map(|group| group.as_str().map(str::to_owned)).collect();
    groups.sort_unstable();
    groups
}

#[tokio::test]
async fn groups_of_groups_and_groups_by_their_members() {
    let slapd = Slapd::start();
    let (gateway, app) = gateway_of(&slapd.toml("[connection.ldap.groups]\nnested = \"steps\"")).await;
    let (_, told) = sign_in(&gateway, &app, "jane").await;
    assert_eq!(groups_of(&told), ["everybody", "staff", "wiki", "world"]);
    drop(gateway);
    // More than a page of them, and more than the directory gives without pages.
    let many: String = (0..620)
        .map(|number| {
            format!("dn: cn=g{number},ou=groups,{BASE}\nobjectClass: groupOfNames\ncn: g{number}\nmember: uid=joe,ou=people,{BASE}\n\n")
        })
        .collect();
    slapd.load(&many);
    let search = format!("[connection.ldap.groups]\nlookup = \"search\"\nbase = \"ou=groups,{BASE}\"\n");
    let (gateway, app) = gateway_of(&slapd.toml(&search)).await;
    let (_, told) = sign_in(&gateway, &app, "jane").await;
    assert_eq!(groups_of(&told), ["staff", "wiki"]);
    let (_, told) = sign_in(&gateway, &app, "joe").await;
    assert_eq!(groups_of(&told).len(), 621);
    drop(gateway);
    let (gateway, app) = gateway_of(&slapd.toml(&format!("{search}nested = \"steps\""))).await;
    let (_, told) = sign_in(&gateway, &app, "jane").await;
    assert_eq!(groups_of(&told), ["everybody", "staff", "wiki", "world"]);
}

#[tokio::test]
async fn people_may_be_bound_at_once_and_named_by_octets() {
    let slapd = Slapd::start();
    let direct = format!(
        "name = \"staff\"\n[connection.ldap]\nservers = [\"ldap://127.0.0.1:{}\"]\nuser_dn = \"uid={{username}},ou=people,{BASE}\"\n\
         subject_attribute = \"objectGUID\"\n",
        slapd.port
    );
    let (gateway, app) = gateway_of(&direct).await;
    let (claims, told_of_joe) = sign_in(&gateway, &app, "joe").await;
    assert_eq!((&claims["sub"], &told_of_joe["name"]), (&json!("ad|staff|00112233-4455-6677-8899-aabbccddeeff"), &json!("Joe Roe")));
    assert!(told(&gateway, &app, "joe,ou=people", PASSWORD).await.1.starts_with(WRONG));
    assert!(told(&gateway, &app, "joe", "wrong").await.1.starts_with(WRONG));
    // Without what identities are named by there is no login.
    let browser = Browser::new();
    let page = page(&gateway, &app, &browser, &[]).await;
    let answer = type_in(&browser, &page, "jane", PASSWORD).await.away();
    assert_eq!(app.error(&gateway, &answer).0, "server_error");
}

#[tokio::test]
async fn whose_password_it_was_is_who_signs_in() {
    let slapd = Slapd::start();
    // Joe is bound by his name, and by what he typed another entry is found.
    let crossed = format!(
        "name = \"staff\"\n[connection.ldap]\nservers = [\"ldap://127.0.0.1:{}\"]\nuser_dn = \"uid={{username}},ou=people,{BASE}\"\n\
         user_base = \"ou=people,{BASE}\"\nuser_filter = \"(|(uid=nopassword)(cn={{username}}))\"\n",
        slapd.port
    );
    let (gateway, app) = gateway_of(&crossed).await;
    let (status, said) = told(&gateway, &app, "joe", PASSWORD).await;
    assert!(status == 200 && said.starts_with(WRONG), "{said}");
    let own = crossed.replace("(|(uid=nopassword)(cn={username}))", "(uid={username})");
    let (gateway, app) = gateway_of(&own).await;
    assert_eq!(sign_in(&gateway, &app, "joe").await.0["name"], "Joe Roe");
}

#[tokio::test]
async fn passwords_go_by_tls_to_the_right_machine_only() {
    let slapd = Slapd::start();
    let (ldaps, plain) = (format!("ldaps://127.0.0.1:{}", slapd.tls_port), format!("ldap://127.0.0.1:{}", slapd.port));
    let app = App::new("notes");
    let start = async |connection: String, authority: &Pair| {
        let setup = Setup::new().connection(&connection).application(&app.toml("", "")).file("ca.pem", &authority.certificate_pem());
        Gateway::start(setup).await
    };
    let (good, other) = (&slapd.pair, &Pair::rsa("another authority"));
    for (server, more) in [(&ldaps, "ca_file = \"ca.pem\""), (&plain, "ca_file = \"ca.pem\"\nstart_tls = true")] {
        let gateway = start(slapd.toml_at(server, more), good).await;
        assert_eq!(sign_in(&gateway, &app, "jane").await.0["name"], "Jane Doe", "{server}");
        let gateway = start(slapd.toml_at(server, more), other).await;
        assert_eq!(told(&gateway, &app, "jane", PASSWORD).await.0, 503, "{server}");
        // Nobody of this machine's authorities vouches for it.
        let gateway = start(slapd.toml_at(server, more.trim_start_matches("ca_file = \"ca.pem\"")), good).await;
        assert_eq!(told(&gateway, &app, "jane", PASSWORD).await.0, 503, "{server}");
    }
}

#[tokio::test]
async fn a_directory_that_is_down_is_told_and_comes_back() {
    let mut slapd = Slapd::start();
    // The first one never answers.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let servers = format!("ldap://127.0.0.1:{}\", \"ldap://127.0.0.1:{}", slapd.port, silent.local_addr().unwrap().port());
    let (gateway, app) = gateway_of(&slapd.toml_at(&servers, "timeout = 1\nconnect_timeout = 1")).await;
    sign_in(&gateway, &app, "jane").await;
    slapd.stop();
    slapd.is_gone().await;
    let browser = Browser::new();
    let page = page(&gateway, &app, &browser, &[]).await;
    let down = type_in(&browser, &page, "jane", PASSWORD).await.here();
    assert!(
        down.status == 503 && down.contains("does not answer at the moment") && !down.header("retry-after").is_empty(),
        "{}",
        down.body
    );
    slapd.run();
    // The same login goes on, and connections that were kept are not what it goes on with.
    let answer = type_in(&browser, &down, "jane", PASSWORD).await.away();
    app.code(&gateway, &answer);
    // What lies unused while the directory starts again is not used either.
    slapd.stop();
    slapd.run();
    sign_in(&gateway, &app, "jane").await;
}

#[tokio::test]
async fn passwords_cannot_be_tried_without_end() {
    let slapd = Slapd::start();
    let app = App::new("notes");
    let mut setup = Setup::new().connection(&slapd.toml("")).application(&app.toml("", ""));
    setup.top_tables = "[limits]\npassword_failures = 2\n".to_owned();
    let gateway = Gateway::start(setup).await;
    for name in ["jane", "nobody"] {
        for _ in 0..2 {
            assert_eq!(told(&gateway, &app, name, "wrong").await.0, 200);
        }
        // Also the right one, and in other letters; and whether there is somebody of this name or not.
        for typed in [name.to_owned(), format!(" {}", name.to_uppercase())] {
            let (status, said) = told(&gateway, &app, &typed, PASSWORD).await;
            assert!(status == 429 && said.contains("Try again in 5 min"), "{status} {said}");
        }
    }
    for _ in 0..4 {
        sign_in(&gateway, &app, "joe").await;
    }
}

#[tokio::test]
async fn a_directory_that_fails_again_and_again_is_left_alone() {
    let slapd = Slapd::start();
    // Somebody listens there who closes at once.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let server = format!("ldap://127.0.0.1:{}", listener.local_addr().unwrap().port());
    let asked = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let count = std::sync::Arc::clone(&asked);
    std::thread::spawn(move || {
        for _ in listener.incoming() {
            count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        }
    });
    let (gateway, app) = gateway_of(&slapd.toml_at(&server, "timeout = 2\nconnect_timeout = 2")).await;
    for _ in 0..5 {
        assert_eq!(told(&gateway, &app, "jane", PASSWORD).await.0, 503);
    }
    let before = asked.load(std::sync::atomic::Ordering::SeqCst);
    assert!(before >= 5, "{before}");
    let (status, said) = told(&gateway, &app, "jane", PASSWORD).await;
    assert!(status == 503 && said.contains("does not answer at the moment"), "{status} {said}");
    assert_eq!(asked.load(std::sync::atomic::Ordering::SeqCst), before, "it was asked again");
}

/// Somebody may have made the question so that it takes long; that our own account is not let in in time is nobody's doing.
#[tokio::test]
async fn slow_questions_shut_nobody_out() {
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    let slapd = Slapd::start();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let server = format!("ldap://127.0.0.1:{}", listener.local_addr().unwrap().port());
    let (asked, binds) = (std::sync::Arc::new(AtomicUsize::new(0)), std::sync::Arc::new(AtomicBool::new(true)));
    let (count, lets_in) = (std::sync::Arc::clone(&asked), std::sync::Arc::clone(&binds));
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            count.fetch_add(1, Ordering::SeqCst);
            let lets_in = lets_in.load(Ordering::SeqCst);
            std::thread::spawn(move || answer_the_bind_alone(&mut stream, lets_in));
        }
    });
    let (gateway, app) = gateway_of(&slapd.toml_at(&server, "timeout = 1\nconnect_timeout = 1")).await;
    for login in 1..=6 {
        assert_eq!(told(&gateway, &app, "jane", PASSWORD).await.0, 503);
        assert_eq!(asked.load(Ordering::SeqCst), login, "it was left alone");
    }
    binds.store(false, Ordering::SeqCst);
    for _ in 0..6 {
        assert_eq!(told(&gateway, &app, "jane", PASSWORD).await.0, 503);
    }
    assert_eq!(asked.load(Ordering::SeqCst), 11, "it was asked again");
}

/// BindResponse, success (RFC 4511 4.2.2), to the first message, where that one is answered; nothing to any other.
fn answer_the_bind_alone(stream: &mut std::net::TcpStream, lets_in: bool) {
    use std::io::{Read as _, Write as _};
    let mut message = [0; 1024];
    let read = stream.read(&mut message).unwrap();
    assert!(read > 5 && message[2..4] == [2, 1], "a message id of one octet");
    if lets_in {
        stream.write_all(&[0x30, 12, 2, 1, message[4], 0x61, 7, 0x0a, 1, 0, 4, 0, 4, 0]).unwrap();
    }
    while stream.read(&mut message).is_ok_and(|read| read > 0) {}
}
