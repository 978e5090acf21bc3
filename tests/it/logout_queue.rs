//! Logout tokens that were not taken: they wait in the directory, and a stop loses none.

use crate::harness::app::App;
use crate::harness::browser::Page;
use crate::harness::eventually;
use crate::harness::gateway::{Gateway, Setup};
use crate::harness::peers::installed;
use crate::harness::process::text;
use crate::harness::servers::{Server, free_port};
use crate::harness::web::{Asked, Reply, Site};
use crate::logout_support::{BYE, Cascade, FRAME};
use serde_json::{Value, json};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

/// Its table, where it takes tokens at a port of loopback.
fn toml(client_id: &str, port: u16) -> String {
    App::new(client_id).toml("", &format!("backchannel_logout_uri = \"http://127.0.0.1:{port}/logout\""))
}

async fn sign_out(scene: &Cascade, hint: &str) -> Page {
    scene.look(&scene.end_session(&[("id_token_hint", hint), ("post_logout_redirect_uri", BYE)])).await
}

/// What a Python library for JOSE reads in a logout token.
pub fn judged(issuer: &str, client_id: &str, token: &str) -> Value {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/logout_token.py");
    let order = json!({"issuer": issuer, "client_id": client_id, "logout_token": token}).to_string();
    let mut child = Command::new(installed("venv/bin/python"))
        .args(["-W", "ignore", text(&script)])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("python starts");
    child.stdin.take().unwrap().write_all(order.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{order}\n{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[tokio::test]
async fn a_logout_token_that_waits_is_sent_after_a_stop_and_after_a_kill() {
    let port = free_port();
    let mut scene = Cascade::with("", "", |setup| setup.application(&toml("dead", port))).await;
    for gracefully in [true, false] {
        scene.openid("dead").await;
        let hint = scene.openid("notes").await;
        let page = sign_out(&scene, &hint).await;
        assert!(page.contains("not everywhere") && page.contains("it will be told again"), "{}", page.body);
        if gracefully {
            assert!(scene.gateway.stop().success());
        } else {
            scene.gateway.kill();
        }
        let application = Site::answering(port, |_| Reply::status(204)).await;
        scene.gateway.start_again(|_| {}).await;
        let asked = eventually("the logout token", async || application.seen().into_iter().next()).await;
        let claims = judged(&scene.gateway.issuer(), "dead", &asked.parameters()["logout_token"]);
        assert_eq!(claims["sub"], "samlp|acme|jane-1");
        // Once it is taken, it is not sent again.
        tokio::time::sleep(Duration::from_millis(3500)).await;
        assert_eq!(application.seen().len(), 1);
    }
}

#[tokio::test]
async fn another_node_sends_what_waits() {
    let (redis, postgres, port) = (Server::redis(&[]), Server::postgres(), free_port());
    let mut written = None;
    let mut scene = Cascade::with("", "", |setup| {
        let setup = Setup { sessions: redis.redis_url(), directory: postgres.postgres_url(), ..setup }.application(&toml("dead", port));
        written = Some(setup.clone());
        setup
    })
    .await;
    scene.openid("dead").await;
    let hint = scene.openid("notes").await;
    assert!(sign_out(&scene, &hint).await.contains("it will be told again"));
    assert!(scene.gateway.stop().success());
    let application = Site::answering(port, |_| Reply::status(200)).await;
    let other = Gateway::start(written.unwrap()).await;
    let asked = eventually("the logout token", async || application.seen().into_iter().next()).await;
    // The second node has an address, and so an issuer, of its own here.
    judged(&other.issuer(), "dead", &asked.parameters()["logout_token"]);
}

#[tokio::test]
async fn status_400_is_final_and_everything_else_is_tried_again() {
    let status = Arc::new(AtomicU16::new(400));
    let now = Arc::clone(&status);
    let application = Site::answering(0, move |_: &Asked| Reply::status(now.load(Ordering::SeqCst))).await;
    let scene = Cascade::with("", "", |setup| setup.application(&toml("strict", application.port))).await;
    for (answer, tried_again) in [(400, false), (503, true), (401, true), (302, true)] {
        status.store(answer, Ordering::SeqCst);
        let before = application.seen().len();
        scene.openid("strict").await;
        let hint = scene.openid("notes").await;
        let page = sign_out(&scene, &hint).await;
        assert!(
            page.contains(&format!("Strict: <span class=\"bad\">not signed out: the application answered with status {answer}")),
            "{}",
            page.body
        );
        assert_eq!(page.contains("it will be told again"), tried_again, "{}", page.body);
        status.store(200, Ordering::SeqCst);
        if tried_again {
            eventually("another try", async || (application.seen().len() == before + 2).then_some(())).await;
        } else {
            tokio::time::sleep(Duration::from_secs(5)).await;
            assert_eq!(application.seen().len(), before + 1, "a refusal is final");
        }
    }
    let seen = application.seen();
    let tokens: Vec<_> = seen.iter().map(|asked| asked.parameters()["logout_token"].clone()).collect();
    let ids: std::collections::HashSet<_> =
        tokens.iter().map(|token| judged(&scene.gateway.issuer(), "strict", token)["jti"].to_string()).collect();
    assert_eq!(ids.len(), tokens.len(), "every try has a token of its own");
}

#[tokio::test]
async fn two_back_channels_and_a_frame_of_one_session_are_told() {
    let second = Site::start(|_| String::new()).await;
    let scene = Cascade::with("", "", |setup| setup.application(&toml("second", second.port))).await;
    for client_id in ["mail", "second", "board"] {
        scene.openid(client_id).await;
    }
    let hint = scene.openid("notes").await;
    let page = sign_out(&scene, &hint).await;
    assert!(page.contains(FRAME) && page.header("content-security-policy").contains("frame-src https://board.example; "), "{}", page.body);
    let tokens = [("mail", &scene.mailbox), ("second", &second)].map(|(client_id, mailbox)| {
        let seen = mailbox.seen();
        assert_eq!(seen.len(), 1, "{client_id}");
        judged(&scene.gateway.issuer(), client_id, &seen[0].parameters()["logout_token"])
    });
    assert_eq!(tokens[0]["sid"], tokens[1]["sid"]);
    // Without scripts, a button goes on.
    assert_eq!(scene.browser.press(&page, "Continue").await.away().url.as_str(), BYE);
}
