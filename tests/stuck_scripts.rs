//! Scripts that the engine cannot interrupt and that would run for hours. In a process of their own: their threads go on
//! until it ends.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

use isthmus::error::{Error, ErrorKind, Result};
use isthmus::rules::{Fetch, FetchAnswer, FetchRequest, Host, Kind, Limits, LoginInput, OnError, Outcome, Script, Scripts, Status};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

struct NoFetch;

impl Fetch for NoFetch {
    fn fetch(&self, _request: FetchRequest) -> Pin<Box<dyn Future<Output = Result<FetchAnswer>> + Send + '_>> {
        Box::pin(async { Err(Error::new(ErrorKind::Internal, "nobody is asked")) })
    }
}

fn rule(code: &str, on_error: OnError) -> Arc<Script> {
    Arc::new(Script {
        id: "1".to_owned(),
        name: "stuck".to_owned(),
        kind: Kind::Rule,
        enabled: true,
        order: 0,
        code: format!("function (user, context, callback) {{ {code} callback(null, user, context); }}"),
        secrets: BTreeMap::new(),
        hosts: Vec::new(),
        on_error,
        limits: Limits { time: 100, ..Limits::default() },
    })
}

async fn login(host: &Host, rules: Vec<Arc<Script>>) -> (Outcome, Duration) {
    let begin = Instant::now();
    let outcome = host.login(&Scripts { rules, ..Scripts::default() }, LoginInput::default()).await.expect("an outcome");
    (outcome, begin.elapsed())
}

fn time_out(outcome: &Outcome) -> bool {
    matches!(outcome.ran.first().map(|ran| &ran.status), Some(Status::Failed(error)) if error.limit.as_deref() == Some("time"))
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_cannot_be_interrupted_time_out_and_others_go_on() {
    let host = Host::new(2, Arc::new(NoFetch));
    let search = rule("'a'.repeat(4e6).lastIndexOf('a'.repeat(2e6) + 'b');", OnError::Fail);
    let (outcome, took) = login(&host, vec![search]).await;
    assert!(time_out(&outcome) && outcome.failed.as_deref() == Some("stuck"), "{outcome:?}");
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert_eq!((host.stats().abandoned, host.stats().threads, host.stats().busy), (1, 2, 0));

    let join = rule("Array(2 ** 31).join('');", OnError::Continue);
    let (outcome, took) = login(&host, vec![join, rule("user.next = true;", OnError::Fail)]).await;
    assert!(time_out(&outcome) && outcome.failed.is_none(), "{outcome:?}");
    assert_eq!(outcome.user.get("next"), Some(&true.into()), "the login went on after it");
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert_eq!((host.stats().abandoned, host.stats().threads, host.stats().timeouts), (2, 2, 2));

    // Two threads of two are the most that may be stuck.
    let easy = Scripts { rules: vec![rule("", OnError::Fail)], ..Scripts::default() };
    let refused = host.login(&easy, LoginInput::default()).await.expect_err("overloaded");
    assert_eq!(refused.kind, ErrorKind::Overloaded);
}

#[test]
fn a_text_that_breaks_out_of_its_function_holds_nobody_up_who_reads_it() {
    let text = "0}), 'a'.repeat(4e6).lastIndexOf('a'.repeat(2e6) + 'b'), (function () { return 0";
    let script = Script { code: text.to_owned(), ..(*rule("", OnError::Fail)).clone() };
    let begin = Instant::now();
    let refused = isthmus::rules::check(&script).expect_err("it cannot be read");
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    assert_eq!(refused.limit.as_deref(), Some("time"), "{refused:?}");
}
