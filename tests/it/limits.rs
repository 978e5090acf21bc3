//! How often an address may ask, and how often a client may fail.

use crate::harness::app::{Tokens, assert_oauth_error, basic};
use crate::harness::browser::Page;
use crate::harness::gateway::Setup;
use crate::harness::idp::Person;
use crate::harness::scene::Scene;
use reqwest::Method;

const HERE: &str = "203.0.113.7";
const THERE: &str = "198.51.100.4";

/// This machine is the proxy that says who asks.
async fn scene(limits: &str) -> Scene {
    Scene::with(|mut setup: Setup| {
        setup.top = "trusted_proxies = [\"127.0.0.0/8\"]".to_owned();
        setup.top_tables = format!("[limits]\n{limits}\n");
        setup
    })
    .await
}

async fn ask(scene: &Scene, method: Method, path: &str, from: &str, form: &[(&str, &str)]) -> Page {
    let url = scene.gateway.url(path);
    let request = scene.gateway.client().request(method.clone(), url.clone()).header("x-forwarded-for", from);
    let request = if method == Method::POST { request.form(form) } else { request };
    Page::read(request.header("accept", "text/html").send().await.expect("the gateway answers"), &url).await
}

async fn get(scene: &Scene, path: &str, from: &str) -> Page {
    ask(scene, Method::GET, path, from, &[]).await
}

fn retry_after(page: &Page) -> u64 {
    page.header("retry-after").parse().unwrap_or_else(|_| panic!("no Retry-After in {:?}", page.headers))
}

#[tokio::test]
async fn an_address_that_asks_too_often_is_told_so_in_the_words_of_the_endpoint() {
    let slow = "browser_requests_per_second = 1\nbrowser_burst = 3\nclient_requests_per_second = 1\nclient_burst = 2\n";
    let scene = scene(slow).await;
    for _ in 0..3 {
        assert_ne!(get(&scene, "/login", HERE).await.status, 429);
    }
    // One meter for everything that browsers do; nothing of it is a way round.
    for path in ["/login", "/authorize", "/saml/sso", "/connections/acme/acs", "/oidc/logout", "/login/consent", "/nothing"] {
        let page = get(&scene, path, HERE).await;
        if page.status != 429 {
            // A second has passed, and one more is allowed.
            let again = get(&scene, path, HERE).await;
            assert_eq!(again.status, 429, "{path}");
        }
    }
    let page = get(&scene, "/authorize", HERE).await;
    let page = if page.status == 429 { page } else { get(&scene, "/authorize", HERE).await };
    page.assert_refused(429, "ISTH-4005");
    assert!((1..=2).contains(&retry_after(&page)), "{:?}", page.headers);
    assert!(page.header("content-type").starts_with("text/html"));
    assert_eq!(page.header("x-frame-options"), "DENY");

    // Programs have a meter of their own, and are answered in JSON that scripts may read.
    let mut refused = 0;
    for _ in 0..8 {
        let page = ask(&scene, Method::POST, "/oauth/token", HERE, &[("grant_type", "x")]).await;
        if page.status == 429 {
            assert_oauth_error(&page, 429, "temporarily_unavailable");
            assert!(page.body.contains("ISTH-4005") && retry_after(&page) >= 1);
            assert_eq!(page.header("access-control-allow-origin"), "*");
            refused += 1;
        }
    }
    assert!(refused >= 2, "{refused}");
    let artifact = ask(&scene, Method::POST, "/saml/artifact", HERE, &[]).await;
    let artifact = if artifact.status == 429 { artifact } else { ask(&scene, Method::POST, "/saml/artifact", HERE, &[]).await };
    assert_eq!(artifact.status, 429);
    assert!(artifact.header("content-type").starts_with("text/xml") && artifact.contains("Fault"), "{}", artifact.body);

    // Others are not concerned, and what lies ready is not counted.
    assert_ne!(get(&scene, "/login", THERE).await.status, 429);
    for _ in 0..5 {
        for path in ["/assets/page.css", "/.well-known/jwks.json", "/.well-known/openid-configuration"] {
            assert_eq!(get(&scene, path, HERE).await.status, 200, "{path}");
        }
        assert_eq!(scene.gateway.ask_operations("/health/ready", "*/*").await.status, 200);
    }
    let told = scene.gateway.log().matches("an address asks too often").count();
    assert!(told == 1 && scene.gateway.log().contains(HERE), "{told}");
}

#[tokio::test]
async fn an_address_of_ipv6_is_its_network_and_nobody_invents_one() {
    let scene = scene("browser_requests_per_second = 1\nbrowser_burst = 1\n").await;
    let mut refused = 0;
    for number in 1..6 {
        refused += u32::from(get(&scene, "/login", &format!("2001:db8:7::{number:x}")).await.status == 429);
    }
    assert!(refused >= 3, "{refused}");
    assert_ne!(get(&scene, "/login", "2001:db8:7:1::1").await.status, 429, "another network");
    // What the client itself writes into the header stands further left, and is not believed.
    let mut refused = 0;
    for number in 1..6 {
        refused += u32::from(get(&scene, "/login", &format!("192.0.2.{number}, {HERE}")).await.status == 429);
    }
    assert!(refused >= 3, "{refused}");
}

#[tokio::test]
async fn a_client_that_fails_is_stopped_from_there_and_works_from_elsewhere() {
    let scene = scene("client_failures_per_minute = 3\n").await;
    let token = async |from: &str, secret: &str, code: &str| {
        let url = scene.gateway.url("/oauth/token");
        let form = [("grant_type", "authorization_code"), ("code", code), ("redirect_uri", scene.app.callback.as_str())];
        let form = [form.as_slice(), &[("code_verifier", crate::harness::app::VERIFIER)]].concat();
        let request = scene.gateway.client().post(url.clone()).header("x-forwarded-for", from);
        let request = request.header("authorization", basic("notes", secret)).form(&form);
        Page::read(request.send().await.expect("answered"), &url).await
    };
    let right = crate::harness::app::SECRET;
    // Right ones do not count.
    for _ in 0..5 {
        let answer = scene.sign_in(&Person::jane(), &[("prompt", "login")]).await;
        let code = scene.app.code(&scene.gateway, &answer);
        Tokens::of(&token(HERE, right, &code).await);
    }
    // Wrong secrets and wrong codes do, together.
    assert_oauth_error(&token(HERE, "wrong", "x").await, 401, "invalid_client");
    assert_oauth_error(&token(HERE, right, "x").await, 400, "invalid_grant");
    assert_oauth_error(&token(HERE, "wrong", "x").await, 401, "invalid_client");
    let answer = scene.sign_in(&Person::jane(), &[("prompt", "login")]).await;
    let code = scene.app.code(&scene.gateway, &answer);
    let stopped = token(HERE, right, &code).await;
    assert_oauth_error(&stopped, 429, "temporarily_unavailable");
    // One in twenty seconds, by three in a minute.
    assert!(stopped.body.contains("ISTH-4005") && (10..=20).contains(&retry_after(&stopped)), "{} {:?}", stopped.body, stopped.headers);
    // The same at every endpoint for clients.
    for path in ["/oauth/introspect", "/oauth/revoke", "/oauth/par", "/oauth/device/code"] {
        let url = scene.gateway.url(path);
        let request =
            scene.gateway.client().post(url.clone()).header("x-forwarded-for", HERE).header("authorization", basic("notes", right));
        let page = Page::read(request.form(&[("token", "x")]).send().await.expect("answered"), &url).await;
        assert_eq!(page.status, 429, "{path}: {}", page.body);
    }
    // Nobody locks a client out for others, and the code was not used up.
    Tokens::of(&token(THERE, right, &code).await);
    // A client that does not exist is told the same, one as the other.
    for client_id in ["nobody", "notes"] {
        let mut told = Vec::new();
        for _ in 0..5 {
            let form = [("grant_type", "client_credentials"), ("client_id", client_id), ("client_secret", "x")];
            told.push(ask(&scene, Method::POST, "/oauth/token", "192.0.2.9", &form).await.status);
        }
        assert_eq!(told, [401, 401, 401, 429, 429], "{client_id}");
    }
}

#[tokio::test]
async fn without_limits_nobody_is_refused() {
    let scene = scene("mode = \"off\"\nbrowser_requests_per_second = 1\nbrowser_burst = 1\nclient_failures_per_minute = 1\n").await;
    for _ in 0..6 {
        assert_ne!(get(&scene, "/login", HERE).await.status, 429);
        let form = [("grant_type", "client_credentials"), ("client_id", "nobody"), ("client_secret", "x")];
        assert_ne!(ask(&scene, Method::POST, "/oauth/token", HERE, &form).await.status, 429);
    }
}
