//! Stores that are slow, gone, and back again.

use crate::harness::app::assert_oauth_error;
use crate::harness::browser::Landed;
use crate::harness::eventually;
use crate::harness::gateway::Setup;
use crate::harness::idp::Person;
use crate::harness::scene::Scene;
use crate::harness::servers::Server;
use std::time::{Duration, Instant};

/// A person may wait two seconds for the answer that there is none; a little more for a busy machine.
const LIMIT: Duration = Duration::from_millis(2500);

async fn with_redis(redis: &Server) -> Scene {
    Scene::with(|setup| Setup { sessions: redis.redis_url(), ..setup }).await
}

/// A new login meets a page, in time.
async fn assert_unavailable(scene: &Scene) {
    let began = Instant::now();
    let page = scene.browser.open(scene.app.authorize(&scene.gateway, &[("prompt", "login")]).as_str()).await.here();
    assert!(began.elapsed() < LIMIT, "{:?}", began.elapsed());
    page.assert_refused(503, "ISTH-5001");
    assert!(!page.header("retry-after").is_empty());
    let ready = eventually("not ready", async || {
        let page = scene.gateway.ask_operations("/health/ready", "*/*").await;
        (page.status == 503).then_some(page)
    });
    ready.await;
    // The process itself is well: nobody should restart it.
    assert_eq!(scene.gateway.ask_operations("/health/live", "*/*").await.status, 200);
}

/// Logins work again, without anybody's doing.
async fn assert_recovers(scene: &Scene) {
    let request = eventually("a login that begins", async || {
        match scene.browser.open(scene.app.authorize(&scene.gateway, &[("prompt", "login")]).as_str()).await {
            Landed::Away(departure) if departure.parameter("SAMLRequest").is_some() => Some(scene.idp.read(&departure)),
            _ => None,
        }
    })
    .await;
    let answer = scene.answer(&scene.idp.respond(&request, &Person::jane())).await.away();
    let code = scene.app.code(&scene.gateway, &answer);
    assert_eq!(scene.app.redeem(&scene.gateway, &code, &[]).await.status, 200);
    eventually("ready", async || (scene.gateway.ask_operations("/health/ready", "*/*").await.status == 200).then_some(())).await;
}

#[tokio::test]
async fn a_redis_that_hangs_is_answered_within_two_seconds_and_forgiven() {
    let redis = Server::redis(&[]);
    let scene = with_redis(&redis).await;
    let code = scene.app.code(&scene.gateway, &scene.sign_in(&Person::jane(), &[]).await);
    let request = scene.ask(&[("prompt", "login")]).await;
    let answer = scene.idp.respond(&request, &Person::jane());
    redis.hold();
    assert_unavailable(&scene).await;
    // A login under way ends in a page too, and can be finished later: nothing is half done.
    let began = Instant::now();
    scene.answer(&answer).await.here().assert_refused(503, "ISTH-5001");
    assert!(began.elapsed() < LIMIT, "{:?}", began.elapsed());
    let began = Instant::now();
    assert_oauth_error(&scene.app.redeem(&scene.gateway, &code, &[]).await, 503, "temporarily_unavailable");
    assert!(began.elapsed() < LIMIT, "{:?}", began.elapsed());
    redis.go_on();
    eventually("ready", async || (scene.gateway.ask_operations("/health/ready", "*/*").await.status == 200).then_some(())).await;
    let answer = scene.answer(&answer).await.away();
    let code = scene.app.code(&scene.gateway, &answer);
    assert_eq!(scene.app.redeem(&scene.gateway, &code, &[]).await.status, 200);
    assert_recovers(&scene).await;
}

#[tokio::test]
async fn a_redis_that_died_and_came_back_is_found_again() {
    let mut redis = Server::redis(&[]);
    let scene = with_redis(&redis).await;
    scene.sign_in(&Person::jane(), &[]).await;
    redis.kill();
    assert_unavailable(&scene).await;
    redis.start();
    assert_recovers(&scene).await;
}

#[tokio::test]
async fn a_postgres_that_hangs_or_died_is_answered_within_two_seconds_and_forgiven() {
    let mut postgres = Server::postgres();
    let scene = Scene::with(|setup| Setup { directory: postgres.postgres_url(), ..setup }).await;
    let tokens = scene.tokens(&Person::jane(), &[("scope", "openid offline_access")]).await;
    let request = scene.ask(&[("prompt", "login")]).await;
    let answer = scene.idp.respond(&request, &Person::jane());
    postgres.hold();
    let began = Instant::now();
    scene.answer(&answer).await.here().assert_refused(503, "ISTH-5001");
    assert!(began.elapsed() < LIMIT, "{:?}", began.elapsed());
    let began = Instant::now();
    assert_oauth_error(&scene.app.refresh(&scene.gateway, tokens.refresh_token(), &[]).await, 503, "temporarily_unavailable");
    assert!(began.elapsed() < LIMIT, "{:?}", began.elapsed());
    postgres.go_on();
    eventually("ready", async || (scene.gateway.ask_operations("/health/ready", "*/*").await.status == 200).then_some(())).await;
    // Nothing was half done: the same answer works now.
    let answer = scene.answer(&answer).await.away();
    scene.app.code(&scene.gateway, &answer);
    let request = scene.ask(&[("prompt", "login")]).await;
    postgres.kill();
    let began = Instant::now();
    scene.answer(&scene.idp.respond(&request, &Person::jane())).await.here().assert_refused(503, "ISTH-5001");
    assert!(began.elapsed() < LIMIT, "{:?}", began.elapsed());
    postgres.start();
    assert_recovers(&scene).await;
    // A refresh token survives it all; the one that was presented while the directory hung may have been rotated
    // without an answer, which is what the grace period is for.
}

#[tokio::test]
async fn a_gateway_starts_only_with_its_stores_or_says_why_not() {
    let redis = Server::redis(&[]);
    let mut scene = with_redis(&redis).await;
    scene.gateway.stop();
    let nowhere = format!("postgres://postgres@127.0.0.1:{}/postgres", crate::harness::servers::free_port());
    let place = scene.gateway.place().to_owned();
    let config = std::fs::read_to_string(place.join("isthmus.toml")).unwrap().replace("sqlite:isthmus.db", &nowhere);
    std::fs::write(place.join("broken.toml"), config).unwrap();
    let began = Instant::now();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_isthmus"))
        .args(["serve", "--config", "broken.toml"])
        .current_dir(&place)
        .env("TEST_SECRET", crate::harness::app::SECRET)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    assert!(!output.status.success() && said.contains("ISTH-5001"), "{said}");
    assert!(began.elapsed() < Duration::from_secs(30));
}
