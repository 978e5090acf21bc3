//! What the tests stand on: a real gateway process, a browser that keeps the rules of cookies, identity providers
//! and applications that are not ours, real servers. Nothing here is shared between tests.

pub mod app;
pub mod artifact;
pub mod browser;
pub mod gateway;
pub mod html;
pub mod idp;
pub mod keys;
pub mod op;
pub mod peers;
pub mod process;
pub mod saml_answer;
pub mod scene;
#[path = "../../../src/store/test_servers.rs"]
pub mod servers;
pub mod slapd;
pub mod smtp;
pub mod web;
pub mod webdriver;

use std::future::Future;
use std::time::{Duration, Instant};

/// How long something may take that should happen soon; generous, because machines are shared.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Asks again and again until there is an answer.
///
/// # Panics
/// When there is none in time.
pub async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, mut ask: impl FnMut() -> F) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < deadline, "{what} did not happen within {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
