//! What operators see and do: health, metrics, traces, logs, stop and start.

use crate::harness::app::{SECRET, Tokens, assert_oauth_error, userinfo};
use crate::harness::browser::client;
use crate::harness::gateway::Setup;
use crate::harness::idp::Person;
use crate::harness::process::signal;
use crate::harness::scene::Scene;
use serde_json::Value;
use std::os::unix::fs::PermissionsExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

#[tokio::test]
async fn health_metrics_and_traces_are_not_on_the_public_listener() {
    let scene = Scene::new().await;
    for path in ["/health/live", "/health/ready", "/metrics"] {
        assert_eq!(scene.gateway.ask_operations(path, "*/*").await.status, 200, "{path}");
        scene.browser.open(scene.gateway.url(path).as_str()).await.here().assert_refused(404, "ISTH-4001");
    }
    scene.browser.open(scene.gateway.url("/traces/abcdefghjkmnpqrs").as_str()).await.here().assert_refused(404, "ISTH-4001");
    // And logins are not on the operations listener.
    assert_eq!(scene.gateway.ask_operations("/authorize", "text/html").await.status, 404);
}

#[tokio::test]
async fn counters_move_with_logins() {
    let scene = Scene::new().await;
    let success = "isthmus_logins_total{connection=\"acme\",outcome=\"success\"}";
    let single_sign_on = "isthmus_logins_total{connection=\"acme\",outcome=\"single-sign-on\"}";
    let refused = "isthmus_logins_total{connection=\"acme\",outcome=\"ISTH-3001\"}";
    assert_eq!(scene.gateway.metric(success).await, 0);
    scene.sign_in(&Person::jane(), &[]).await;
    scene.again(&[]).await;
    let request = scene.ask(&[("prompt", "login")]).await;
    scene.answer(&scene.idp.respond_with(&request, &Person::jane(), |response| response.audience = "x".to_owned())).await.away();
    assert_eq!(
        (scene.gateway.metric(success).await, scene.gateway.metric(single_sign_on).await, scene.gateway.metric(refused).await),
        (1, 1, 1)
    );
    let requests = scene.gateway.metric("isthmus_http_requests_total{route=\"/connections/{name}/acs\",status=\"3xx\"}").await;
    assert_eq!(requests, 2);
}

#[tokio::test]
async fn the_trace_tells_every_check_and_every_row() {
    let scene = Scene::new().await;
    let request = scene.ask(&[]).await;
    let departure = scene.answer(&scene.idp.respond(&request, &Person::jane())).await.away();
    let code = scene.app.code(&scene.gateway, &departure);
    let page = scene.app.redeem(&scene.gateway, &code, &[]).await;
    let tokens = Tokens::of(&page);
    let told = userinfo(&scene.gateway, tokens.access_token()).await;
    // One id names the whole login, on every request of it.
    assert_eq!(page.correlation_id(), told.correlation_id());
    let trace = scene.gateway.trace(page.correlation_id()).await;
    let events: Vec<&Value> = trace["entries"].as_array().unwrap().iter().map(|entry| &entry["event"]).collect();
    let of = |step: &str| events.iter().filter(|event| event["step"] == step).count();
    for step in ["request_in", "decision", "request_out", "check", "mapping", "profile", "user", "released", "finished"] {
        assert!(of(step) > 0, "no {step} in {trace}");
    }
    assert!(of("check") >= 10, "{} checks", of("check"));
    assert_eq!(of("refused"), 0);
    let directions: Vec<&Value> = events.iter().filter(|event| event["step"] == "mapping").map(|event| &event["direction"]).collect();
    assert!(
        directions.iter().any(|direction| **direction == "to_profile") && directions.iter().any(|direction| **direction == "from_profile")
    );
    let html = scene.gateway.ask_operations(&format!("/traces/{}", page.correlation_id()), "text/html").await;
    for text in [
        "The login succeeded.",
        "Checks of the identity provider",
        "From attributes to the profile",
        "From the profile to claims",
        "Jane Doe",
    ] {
        assert!(html.contains(text), "{text} in {}", html.body);
    }
    for unknown in ["abcdefghjkmnpqrs", "x", "..%2f..%2fetc", "%00"] {
        let page = scene.gateway.ask_operations(&format!("/traces/{unknown}"), "text/html").await;
        assert_eq!(page.status, 404, "{unknown}: {}", page.body);
    }
}

#[tokio::test]
async fn the_log_names_the_login_and_keeps_its_secrets() {
    let log = "level = \"debug\"\nformat = \"json\"".to_owned();
    let scene = Scene::with(|setup| Setup { log, ..setup }).await;
    let mut secrets = vec![SECRET.to_owned(), crate::harness::app::VERIFIER.to_owned()];
    let request = scene.ask(&[]).await;
    let answer = scene.idp.respond(&request, &Person::zoe());
    secrets.extend([answer.encoded(), answer.encoded()[200..260].to_owned()]);
    let departure = scene.answer(&answer).await.away();
    let code = scene.app.code(&scene.gateway, &departure);
    let page = scene.app.redeem(&scene.gateway, &code, &[]).await;
    let answer = scene.again(&[("scope", "openid offline_access")]).await;
    let second = scene.app.code(&scene.gateway, &answer);
    let tokens = [Tokens::of(&page), Tokens::of(&scene.app.redeem(&scene.gateway, &second, &[]).await)];
    let refreshed = scene.app.refresh(&scene.gateway, tokens[1].refresh_token(), &[]).await;
    secrets.extend([code.clone(), second, Tokens::of(&refreshed).refresh_token().to_owned()]);
    for tokens in &tokens {
        userinfo(&scene.gateway, tokens.access_token()).await;
        secrets.extend([tokens.access_token().to_owned(), tokens.id_token().to_owned()]);
    }
    secrets.push(tokens[1].refresh_token().to_owned());
    secrets.extend(scene.browser.cookies().into_iter().map(|cookie| cookie.value));
    // Refusals log more than successes do.
    scene.app.redeem(&scene.gateway, &code, &[]).await;
    scene.app.refresh(&scene.gateway, tokens[1].refresh_token(), &[("client_id", "other")]).await;
    userinfo(&scene.gateway, &format!("{}x", tokens[0].access_token())).await;
    scene.browser.open(scene.gateway.url(&format!("/oidc/logout?id_token_hint={}", tokens[0].id_token())).as_str()).await;
    for entry in std::fs::read_dir(scene.gateway.place().join("certs")).unwrap() {
        let path = entry.unwrap().path();
        let private = path.metadata().unwrap().permissions().mode() & 0o077 == 0;
        assert!(private || path.to_str().unwrap().contains(".crt."), "{path:?}");
        let text = std::fs::read_to_string(&path).unwrap();
        if text.contains("PRIVATE KEY") || path.ends_with("seal.key") {
            secrets.extend(text.lines().filter(|line| line.len() > 40 && !line.contains("-----")).map(str::to_owned));
        }
    }
    let log = scene.gateway.log();
    let trace = scene.gateway.trace(page.correlation_id()).await.to_string();
    for secret in &secrets {
        assert!(secret.len() > 20);
        assert!(!log.contains(secret), "the log contains {secret}:\n{log}");
        assert!(!trace.contains(secret), "the trace contains {secret}:\n{trace}");
    }
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect();
    let answered: Vec<&Value> = lines.iter().filter(|line| line["message"] == "answered").collect();
    assert!(answered.len() > 8, "{log}");
    assert!(answered.iter().all(|line| line["correlation_id"].as_str().is_some_and(|id| id.len() == 16)), "{log}");
    assert!(answered.iter().any(|line| line["correlation_id"] == page.correlation_id() && line["route"] == "/oauth/token"));
    // Personal data belong into the trace, not into the log.
    assert!(!log.contains("zoe@acme.example"), "{log}");
}

#[tokio::test]
async fn a_stop_and_a_start_lose_no_session_and_no_code() {
    let mut scene = Scene::new().await;
    let tokens = scene.tokens(&Person::jane(), &[("scope", "openid offline_access")]).await;
    let answer = scene.again(&[]).await;
    let unused = scene.app.code(&scene.gateway, &answer);
    let used = scene.again(&[]).await;
    let used = scene.app.code(&scene.gateway, &used);
    Tokens::of(&scene.app.redeem(&scene.gateway, &used, &[]).await);
    let under_way = scene.ask(&[("prompt", "login")]).await;
    let status = scene.gateway.stop();
    assert!(status.success(), "{status}");
    scene.gateway.start_again(|_| {}).await;
    Tokens::of(&scene.app.redeem(&scene.gateway, &unused, &[]).await);
    assert_oauth_error(&scene.app.redeem(&scene.gateway, &used, &[]).await, 400, "invalid_grant");
    let answer = scene.again(&[("prompt", "none")]).await;
    scene.app.code(&scene.gateway, &answer);
    assert_eq!(userinfo(&scene.gateway, tokens.access_token()).await.status, 200);
    Tokens::of(&scene.app.refresh(&scene.gateway, tokens.refresh_token(), &[]).await);
    let answer = scene.answer(&scene.idp.respond(&under_way, &Person::jane())).await.away();
    scene.app.code(&scene.gateway, &answer);
}

#[tokio::test]
async fn a_power_cut_revives_no_used_code() {
    let mut scene = Scene::new().await;
    let answer = scene.sign_in(&Person::jane(), &[]).await;
    let code = scene.app.code(&scene.gateway, &answer);
    assert!(scene.gateway.stop().success());
    scene.gateway.start_again(|_| {}).await;
    Tokens::of(&scene.app.redeem(&scene.gateway, &code, &[]).await);
    scene.gateway.kill();
    scene.gateway.start_again(|_| {}).await;
    assert_oauth_error(&scene.app.redeem(&scene.gateway, &code, &[]).await, 400, "invalid_grant");
    // The directory is durable: the same person is the same user.
    let claims = scene.tokens(&Person::jane(), &[]).await.claims();
    assert_eq!(claims["sub"], "samlp|acme|jane-1");
}

#[tokio::test]
async fn a_stop_finishes_what_is_under_way() {
    let mut scene = Scene::new().await;
    // A token request of which the last byte is still to come.
    let body = "grant_type=authorization_code&code=x&redirect_uri=x&client_id=nobody";
    let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", scene.gateway.port)).await.unwrap();
    let head = format!(
        "POST /oauth/token HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let (first, last) = body.split_at(body.len() - 1);
    stream.write_all((head + first).as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
    // Another request after it: when that is answered, the first one has arrived as well.
    scene.browser.open(scene.gateway.url("/").as_str()).await;
    signal(scene.gateway.id(), "TERM");
    scene.gateway.wait_for_log("stopping").await;
    stream.write_all(last.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 401") && answer.contains("invalid_client"), "{answer}");
    assert!(scene.gateway.stop().success());
}

#[tokio::test]
async fn pages_and_tokens_are_kept_by_nobody_and_framed_by_nobody() {
    // What every answer promises is checked at every answer, in harness::browser::Page; here is what differs.
    let scene = Scene::new().await;
    let home = scene.browser.open(scene.gateway.url("/").as_str()).await.here();
    assert_eq!(home.header("cache-control"), "no-store");
    assert_eq!(home.header("x-frame-options"), "DENY");
    assert!(!home.headers.contains_key("strict-transport-security"), "not over http");
    let jwks = scene.browser.open(scene.gateway.url("/.well-known/jwks.json").as_str()).await.here();
    assert!(jwks.header("cache-control").contains("max-age"));
    assert_eq!(jwks.header("access-control-allow-origin"), "*");
    let answer = client().get(scene.app.authorize(&scene.gateway, &[])).send().await.unwrap();
    assert_eq!(answer.headers()["cache-control"], "no-store");
}
