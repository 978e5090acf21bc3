//! Every limit, and what the host does about what cannot be limited.

use super::*;
use std::time::{Duration, Instant};

/// What is interrupted: each of these runs for ever otherwise.
const ENDLESS: &[&str] = &[
    "for (;;) {}",
    "for (;;) { try { throw 1 } catch {} finally { } }",
    "while (true) await null;",
    "for (;;) { try { await null; throw 1 } catch {} }",
    "(function* () { for (;;) yield 1 })().forEach?.(() => {}); for (const x of (function* () { for (;;) yield 1 })()) {}",
    "const again = () => { Promise.resolve().then(again); }; again(); await new Promise(() => {});",
    "const again = () => setTimeout(again, 0); again(); await new Promise(() => {});",
    "/(a+)+$/.test('a'.repeat(40) + 'b');",
    "/(x+x+)+y/.exec('x'.repeat(60));",
    "[].indexOf.call({ length: 2 ** 53 - 1 }, 1);",
    "const p = new Proxy({}, { get() { for (;;) {} } }); p.x;",
    "const o = { get then() { for (;;) {} } }; await o;",
    "await { then() { for (;;) {} } };",
    "async function f() { try { await null; for (;;) {} } finally { for (;;) {} } } for (;;) { try { await f() } catch {} }",
    "new Array(3).fill(0).sort(() => { for (;;) {} });",
    "JSON.parse('[1]', () => { for (;;) {} });",
    "const d = new Date(); d.toJSON = () => { for (;;) {} }; JSON.stringify(d);",
    "Error.prepareStackTrace = () => { for (;;) {} }; new Error('x').stack;",
    "eval('for (;;) {}');",
    "new Function('for (;;) {}')();",
    "'x'.replace(/x/, () => { for (;;) {} });",
];

#[tokio::test(flavor = "multi_thread")]
async fn endless_scripts_end_in_their_time_and_leave_no_thread_behind() {
    let host = host();
    for code in ENDLESS {
        let mut endless = body(code);
        endless.limits.time = 60;
        let begin = Instant::now();
        let outcome = host.login(&scripts(vec![endless]), input()).await.expect("ran");
        assert_eq!(
            (error(&outcome).limit.as_deref(), outcome.failed.as_deref()),
            (Some("time"), Some("action")),
            "{code}: {:?}",
            outcome.ran
        );
        assert!(begin.elapsed() < Duration::from_secs(5), "{code}: {:?}", begin.elapsed());
    }
    let stats = host.stats();
    let all = ENDLESS.len() as u64;
    assert_eq!((stats.runs, stats.failures, stats.timeouts), (all, all, all), "{stats:?}");
    // A busy machine may have given up a thread that would have ended.
    assert_eq!(host.login(&scripts(vec![body("")]), input()).await.expect("ran").failed, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_that_times_out_spoils_nothing_for_the_next_ones() {
    let mut endless = body("while (true) await null;");
    endless.on_error = OnError::Continue;
    endless.limits.time = 60;
    let mut endless_rule = rule("async function (u, c, cb) { u.x = 1; while (true) await null; }");
    endless_rule.on_error = OnError::Continue;
    endless_rule.limits.time = 60;
    let leaves = rule("function (u, c, cb) { u.first = 1; cb(null, u, c); (async () => { for (;;) await null; })(); }");
    let outcome = run(vec![
        leaves,
        endless_rule,
        rule("function (u, c, cb) { u.second = u.x === undefined && u.first; setTimeout(cb, 5, null, u, c); }"),
        endless,
        body("await new Promise((r) => setTimeout(r, 5)); api.idToken.setCustomClaim('last', true)"),
    ])
    .await;
    let failed: Vec<bool> = outcome.ran.iter().map(|ran| matches!(ran.status, Status::Failed(_))).collect();
    assert_eq!(failed, [false, true, false, true, false]);
    assert_eq!((&outcome.user["second"], &outcome.id_token_claims["last"], outcome.failed), (&json!(1), &json!(true), None));
}

#[tokio::test]
async fn memory_is_limited() {
    let host = host();
    for code in [
        "const a = []; for (;;) a.push(new Array(1000).fill('x'));",
        "let s = 'x'; for (;;) s += s + s;",
        "let s = 'x'; for (;;) { s = s + s; s.charCodeAt(0); }",
        "'x'.repeat(2 ** 29);",
        "new ArrayBuffer(2 ** 31);",
        "let n = 7n; for (;;) n = n * n;",
        "const m = new Map(); for (let i = 0; ; i++) m.set(i, {});",
        "const o = {}; for (let i = 0; ; i++) o['k' + i] = i;",
        "const p = []; for (;;) p.push(new Promise(() => {}));",
        "const f = []; for (let i = 0; ; i++) f.push(new Function('return ' + i));",
        "let a = []; for (;;) a = [a, a];",
        "JSON.stringify((function f(n) { return n ? [f(n - 1), f(n - 1)] : 'xxxxxxxxxxxxxxxx' })(24));",
        "Symbol('x'.repeat(2 ** 28));",
        "new RegExp('a{1,1000}'.repeat(1000000));",
    ] {
        let mut hungry = body(code);
        hungry.limits = Limits { time: 3000, memory: 4 * 1024 * 1024, ..hungry.limits };
        let outcome = host.login(&scripts(vec![hungry]), input()).await.expect("ran");
        let limit = error(&outcome).limit.as_deref();
        assert!(
            matches!(limit, Some("memory" | "time"))
                || error(&outcome).message.contains("too")
                || error(&outcome).message.contains("memory")
                || error(&outcome).message.contains("invalid array buffer"),
            "{code}: {:?}",
            outcome.ran
        );
    }
}

#[tokio::test]
async fn the_stack_is_limited() {
    for code in [
        "(function f() { f() })();",
        "(function f() { try { f() } finally { f() } })();",
        "const o = {}; o.toString = () => '' + o; '' + o;",
        "let a = []; for (let i = 0; i < 100000; i++) a = [a]; JSON.stringify(a);",
        "JSON.parse('['.repeat(100000) + ']'.repeat(100000));",
        "eval('('.repeat(50000) + '1' + ')'.repeat(50000));",
        "new RegExp('('.repeat(50000) + ')'.repeat(50000));",
        "const p = new Proxy({}, { get(t, k, r) { return r[k] } }); p.x;",
        "class A extends (function f(n) { return n ? class extends f(n - 1) {} : Object })(100000) {}",
    ] {
        let mut deep = body(code);
        deep.limits.time = 500;
        let outcome = run(vec![deep]).await;
        assert!(
            matches!(error(&outcome).limit.as_deref(), Some("stack" | "memory" | "time"))
                || error(&outcome).message.contains("SyntaxError"),
            "{code}: {:?}",
            outcome.ran
        );
    }
}

#[test]
fn memory_is_given_back_after_a_login() {
    use super::super::sandbox::{Calls, Fault, Sandbox, Waited};
    struct None;
    impl Calls for None {
        fn call(&self, _: u32, _: &str, _: &str) -> std::result::Result<Option<String>, String> {
            Ok(Option::None)
        }
        fn ended(&self) -> Option<std::result::Result<(), Fault>> {
            Some(Ok(()))
        }
        fn wait(&self, _: Instant) -> Waited {
            Waited::Nothing
        }
    }
    let sandbox = Sandbox::new().expect("memory");
    let mut held = Vec::new();
    for _ in 0..50 {
        let until = Instant::now() + Duration::from_secs(5);
        let code = "((f) => f)((u, c, cb) => { u.big = 'x'.repeat(1000000); u.self = u; cb(null, u, c); })";
        sandbox
            .open(16 << 20, until, std::rc::Rc::new(None), |session| {
                session
                    .begin_rules("{}", "{}", "")
                    .and_then(|()| session.load("[{},{}]"))
                    .and_then(|()| session.rule(1, code))
                    .expect("runs");
            })
            .expect("a context");
        assert!(sandbox.is_clean());
        held.push(sandbox.held());
    }
    assert!(held[49] < 512 * 1024, "{held:?}");
    assert!(held[49] <= held[5], "{held:?}");
}

#[tokio::test]
async fn what_goes_out_is_limited() {
    for (code, part) in [
        ("u.x = 'x'.repeat(300000); cb(null, u, c);", "longer than 262144 octets"),
        ("let d = {}; u.deep = d; for (let i = 0; i < 70; i++) d = d.x = {}; cb(null, u, c);", "deeper than 64 levels"),
        ("let d = {}; u.deep = d; for (let i = 0; i < 500; i++) d = d.x = {}; cb(null, u, c);", "too deep"),
        ("u.self = u; cb(null, u, c);", "circular"),
        ("c.self = [c]; cb(null, u, c);", "circular"),
        ("cb(null, [1], c);", "must be objects"),
        ("u.n = 1n; cb(null, u, c);", "TypeError"),
    ] {
        let outcome = run(vec![rule(&format!("function (u, c, cb) {{ {code} }}"))]).await;
        assert!(error(&outcome).message.contains(part), "{code}: {:?}", error(&outcome));
        assert_eq!(outcome.user, input().user, "{code}");
    }
    for code in [
        "for (let i = 0; ; i++) api.idToken.setCustomClaim('c' + i, 'x'.repeat(10000));",
        "api.idToken.setCustomClaim('big', 'x'.repeat(300000));",
        "let d = {}; const first = d; for (let i = 0; i < 500; i++) d = d.x = {}; api.accessToken.setCustomClaim('deep', first);",
        "for (let i = 0; ; i++) api.transaction.setMetadata('k' + i, 1);",
        "for (let i = 0; ; i++) api.authentication.recordMethod('m' + i);",
        "for (let i = 0; ; i++) api.samlResponse.setAttribute('m' + i, 1);",
        "for (let i = 0; ; i++) api.validation.error('c', 't');",
        "for (;;) setTimeout(() => {}, 1000);",
    ] {
        let outcome = run(vec![body(code)]).await;
        assert!(error(&outcome).limit.is_none(), "{code}: {:?}", outcome.ran);
        assert!(outcome.failed.is_some() && outcome.id_token_claims.is_empty(), "{code}");
    }
}

#[tokio::test]
async fn the_log_is_limited() {
    let outcome = run(vec![body("for (let i = 0; i < 1000; i++) console.log('line', i, 'x'.repeat(1000));")]).await;
    let log = &outcome.ran[0].log;
    assert_eq!((log.len(), log[0].chars().count(), log[50].as_str()), (51, 500, "(more than 50 lines)"));
}

/// Not interruptible, and over after a second or so. Those that never end are in `tests/stuck_scripts.rs`, in a process of
/// their own.
const STUCK: &[&str] = &["'a'.repeat(32000).lastIndexOf('a'.repeat(16000) + 'b');", "Array(2 ** 31).join('a');"];

#[tokio::test(flavor = "multi_thread")]
async fn a_thread_that_is_stuck_is_given_up_counted_and_replaced() {
    let host = host();
    let mut stuck = body(STUCK[0]);
    stuck.limits.time = 50;
    stuck.on_error = OnError::Continue;
    let begin = Instant::now();
    let next = body("api.idToken.setCustomClaim('next', true);");
    let outcome =
        host.login(&scripts(vec![rule("function (u, c, cb) { u.x = 1; cb(null, u, c); }"), stuck, next]), input()).await.expect("ran");
    let took = begin.elapsed();
    assert_eq!((&outcome.user["x"], &outcome.id_token_claims["next"], outcome.ran.len()), (&json!(1), &json!(true), 3));
    assert!(matches!(&outcome.ran[1].status, Status::Failed(error) if error.limit.as_deref() == Some("time")));
    let stats = host.stats();
    if stats.abandoned == 1 {
        assert_eq!((stats.threads, stats.timeouts), (2, 1), "{stats:?}");
    }
    let last = Instant::now();
    while host.stats().abandoned > 0 {
        assert!(last.elapsed() < Duration::from_secs(60), "the thread never came back");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(last.elapsed() > took || took < Duration::from_secs(2), "the answer did not wait for the thread: {took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_too_many_threads_are_stuck_no_login_is_accepted_until_some_end() {
    let host = Arc::new(Host::new(1, Arc::new(Echo)));
    let stuck = |code: &str| {
        let mut stuck = body(code);
        stuck.limits.time = 30;
        scripts(vec![stuck])
    };
    // Long enough that the first is stuck still when the second has been given up.
    for code in ["'a'.repeat(90000).lastIndexOf('a'.repeat(45000) + 'b');"; 2] {
        let outcome = host.login(&stuck(code), input()).await.expect("ran");
        assert_eq!((error(&outcome).limit.as_deref(), outcome.failed.as_deref()), (Some("time"), Some("action")));
    }
    let easy = scripts(vec![body("")]);
    let refused = host.login(&easy, input()).await.expect_err("two threads are stuck");
    assert_eq!(refused.kind, ErrorKind::Overloaded);
    let begin = Instant::now();
    while host.login(&easy, input()).await.is_err() {
        assert!(begin.elapsed() < Duration::from_secs(60), "{:?}", host.stats());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_stands_even_if_its_thread_does_not_come_back() {
    let mut stuck = body(&format!("api.access.deny('no'); {}", STUCK[0]));
    stuck.limits.time = 30;
    stuck.on_error = OnError::Continue;
    let outcome = run(vec![stuck, body("api.idToken.setCustomClaim('x', 1)")]).await;
    assert_eq!((outcome.denied.map(|denial| denial.message).as_deref(), outcome.id_token_claims.len()), (Some("no"), 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sparse_join_is_answered_in_time() {
    let mut stuck = body(STUCK[1]);
    stuck.limits.time = 30;
    let outcome = run(vec![stuck]).await;
    assert!(
        matches!(error(&outcome).limit.as_deref(), Some("time" | "memory")) || error(&outcome).message.contains("too long"),
        "{:?}",
        outcome.ran
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_refuses_and_others_go_on_meanwhile() {
    let host = Arc::new(Host::new(1, Arc::new(Echo)));
    let mut slow = body("await new Promise((r) => setTimeout(r, 300));");
    slow.limits.time = 2000;
    let slow = Arc::new(scripts(vec![slow]));
    let mut running = Vec::new();
    for _ in 0..40 {
        let (host, slow) = (Arc::clone(&host), Arc::clone(&slow));
        running.push(tokio::spawn(async move { host.login(&slow, input()).await.map(|_| ()).map_err(|error| error.kind) }));
    }
    let mut results = Vec::new();
    for task in running {
        results.push(task.await.expect("no panic"));
    }
    let refused = results.iter().filter(|result| **result == Err(ErrorKind::Overloaded)).count();
    assert!((23..40).contains(&refused), "one thread and sixteen places: {results:?}");
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 40 - refused);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_login_has_its_share_of_the_pool() {
    let host = Arc::new(host());
    let mut endless = body("for (;;) {}");
    endless.limits.time = 1500;
    let (other, endless) = (Arc::clone(&host), scripts(vec![endless]));
    let busy = tokio::spawn(async move { other.login(&endless, input()).await.expect("ran") });
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(host.stats().busy, 1);
    let begin = Instant::now();
    let outcome = host.login(&scripts(vec![body("")]), input()).await.expect("ran");
    assert!(outcome.failed.is_none() && begin.elapsed() < Duration::from_secs(1), "{:?}", begin.elapsed());
    assert_eq!(busy.await.expect("no panic").failed.as_deref(), Some("action"));
}
