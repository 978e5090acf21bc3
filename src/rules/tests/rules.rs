//! The rules model: `function (user, context, callback)`.

use super::*;

#[tokio::test]
async fn s4_19_a_rule_changes_the_user_for_this_login_only() {
    let outcome = run(vec![rule("function add(user, context, callback) { user.color = 'blue'; callback(null, user, context); }")]).await;
    assert_eq!(outcome.user["color"], "blue");
    assert!(outcome.persist.is_empty());
    let ran = &outcome.ran[0];
    assert_eq!((ran.script.as_str(), ran.kind.as_str(), &ran.status), ("rule", "rule", &Status::Done));
    assert_eq!(ran.changes, [Change { path: "user.color".into(), before: None, after: Some("blue".into()) }]);
}

#[tokio::test]
async fn a_rule_may_be_written_in_many_ways() {
    for code in [
        "function (user, context, callback) { user.x = 1; callback(null, user, context); }",
        "// what it does\n/* and why */ function named(user, context, callback) { user.x = 1; callback(null, user, context); };",
        "(user, context, callback) => { user.x = 1; callback(null, user, context); }",
        "async (user, context, callback) => { await null; user.x = 1; return callback(null, user, context); }; // end",
        "async function f(user, context, callback) { user.x = await g(); callback(null, user, context); }\nasync function g() { return 1; }",
        "(function (user, context, callback) { setTimeout(function () { user.x = 1; callback(null); }, 5); })",
        "function (user, context, callback) { callback(null, { ...user, x: 1 }, context); }",
    ] {
        let outcome = run(vec![rule(code)]).await;
        assert_eq!((outcome.user.get("x"), &outcome.failed), (Some(&json!(1)), &None), "{code}: {:?}", outcome.ran);
    }
}

#[tokio::test]
async fn nothing_changed_is_what_came_in() {
    let outcome = run(vec![rule("function (user, context, callback) { callback(null, user, context); }")]).await;
    assert_eq!(outcome, Outcome { user: input().user, ran: outcome.ran.clone(), ..Outcome::default() });
    assert!(outcome.ran[0].changes.is_empty());
}

#[tokio::test]
async fn rules_run_in_order_over_the_same_objects() {
    let outcome = run(vec![
        rule("function (user, context, callback) { user.list = ['a']; context.helper = function () { return 'b'; }; callback(null, user, context); }"),
        rule("function (user, context, callback) { user.list.push(context.helper()); callback(null, user, context); }"),
    ])
    .await;
    assert_eq!(outcome.user["list"], json!(["a", "b"]));
}

#[tokio::test]
async fn an_unauthorized_error_denies_and_stops() {
    for code in [
        "function (user, context, callback) { callback(new UnauthorizedError('not on Sundays')); }",
        "function (user, context, callback) { throw new UnauthorizedError('not on Sundays'); }",
        "async function (user, context, callback) { throw new UnauthorizedError('not on Sundays'); }",
        // What goes wrong afterwards takes nothing back.
        "function (user, context, callback) { callback(new UnauthorizedError('not on Sundays')); user.groups.includes('x'); }",
        "function (user, context, callback) { callback(new UnauthorizedError('not on Sundays')); for (;;); }",
    ] {
        let mut first = rule(code);
        // A refusal is no error.
        first.on_error = OnError::Continue;
        let outcome = run(vec![first, rule("function (u, c, cb) { u.later = true; cb(null, u, c); }")]).await;
        assert_eq!(outcome.denied, Some(Denial { script: "rule".into(), message: "not on Sundays".into() }), "{code}");
        assert_eq!((outcome.failed, outcome.user.get("later"), outcome.ran.len()), (None, None, 1));
        assert_eq!(outcome.ran[0].status, Status::Denied);
    }
}

#[tokio::test]
async fn any_other_error_is_a_failure_with_its_place() {
    let code = "function (user, context, callback) {\n  const x = null;\n  x.y = 1;\n}";
    let outcome = run(vec![rule(code)]).await;
    let error = error(&outcome);
    assert_eq!((outcome.failed.as_deref(), error.line, error.limit.as_deref()), (Some("rule"), Some(3), None));
    assert!(error.message.starts_with("TypeError: "), "{error:?}");
    for (code, message) in [
        ("function (u, c, cb) { cb(new Error('no')); }", "Error: no"),
        ("function (u, c, cb) { cb('just a text'); }", "just a text"),
        ("function (u, c, cb) { cb({ message: 'of an object' }); }", "of an object"),
        ("async function (u, c, cb) { throw new RangeError('late'); }", "RangeError: late"),
        ("function (u, c, cb) { }", "callback was not called"),
        ("async function (u, c, cb) { return u; }", "callback was not called"),
        ("({})", "TypeError: a rule is a function (user, context, callback)"),
    ] {
        let outcome = run(vec![rule(code)]).await;
        assert_eq!((super::error(&outcome).message.as_str(), outcome.failed.as_deref()), (message, Some("rule")), "{code}");
    }
}

#[tokio::test]
async fn the_first_line_has_the_columns_of_the_text() {
    let outcome = run(vec![rule("function (u, c, cb) { nowhere(); }")]).await;
    let error = error(&outcome);
    assert_eq!(error.line, Some(1));
    assert!(error.column.is_some_and(|column| (20..=32).contains(&column)), "{error:?}");
}

#[tokio::test]
async fn after_a_failed_rule_the_login_goes_on_as_if_it_had_not_run() {
    let mut bad = rule(
        "function (u, c, cb) { u.x = 1; c.idToken.x = 1; u.groups.push('admins'); auth0.users.updateAppMetadata(u.user_id, { x: 1 }); throw new Error('no'); }",
    );
    bad.on_error = OnError::Continue;
    let outcome = run(vec![
        rule("function (u, c, cb) { u.before = true; cb(null, u, c); }"),
        bad,
        rule("function (u, c, cb) { u.after = [u.x === undefined, c.idToken.x === undefined, u.groups.length]; cb(null, u, c); }"),
    ])
    .await;
    assert_eq!((outcome.failed.as_deref(), outcome.persist.len(), &outcome.id_token_claims), (None, 0, &Map::new()));
    assert_eq!((&outcome.user["before"], &outcome.user["after"]), (&json!(true), &json!([true, true, 1])));
    assert!(matches!(outcome.ran[1].status, Status::Failed(_)) && outcome.ran[1].changes.is_empty());
}

#[tokio::test]
async fn a_second_callback_is_ignored() {
    let outcome =
        run(vec![rule("function (u, c, cb) { cb(null, u, c); cb(new Error('late')); cb(new UnauthorizedError('late')); }")]).await;
    assert_eq!((outcome.failed, outcome.denied), (None, None));
}

#[tokio::test]
async fn s4_20_rules_persist_metadata_in_order_of_the_own_user_only() {
    let outcome = run(vec![rule(
        "function (u, c, cb) {
            auth0.users.updateUserMetadata(u.user_id, { a: 1, b: { c: 2 } })
              .then(() => auth0.users.updateAppMetadata(u.user_id, { roles: ['x'], gone: null }))
              .then(() => auth0.users.updateAppMetadata('samlp|acme|joe', { roles: ['admin'] }))
              .then(() => cb(null, u, c), (e) => { console.log(e.message); cb(null, u, c); });
        }",
    )])
    .await;
    let change = |user: Value, app: Value| MetadataChange { user_metadata: map(user), app_metadata: map(app) };
    let expected = [change(json!({ "a": 1, "b": { "c": 2 } }), json!({})), change(json!({}), json!({ "roles": ["x"], "gone": null }))];
    assert_eq!(outcome.persist, expected);
    assert_eq!(log(&outcome), ["updateAppMetadata changes the user who signs in, and no other"]);
    let paths: Vec<_> = outcome.ran[0].changes.iter().map(|change| change.path.as_str()).collect();
    assert_eq!(paths, ["user_metadata.a", "user_metadata.b", "app_metadata.roles"]);
}

#[tokio::test]
async fn what_is_persisted_obeys_the_rules_of_metadata() {
    let limited = |code: &str| rule(&format!("function (u, c, cb) {{ auth0.users.{code}.then(() => cb(null, u, c), cb); }}"));
    for (call, part) in [
        ("updateAppMetadata(u.user_id, { email: 'x' })", "reserved name"),
        ("updateUserMetadata(u.user_id, { 'a.b': 1 })", "has a name with"),
        ("updateUserMetadata(u.user_id, { a: 'x'.repeat(11000) })", "octets"),
        ("updateUserMetadata(u.user_id, [1])", "needs an object"),
        ("updateUserMetadata(u.user_id)", "needs an object"),
    ] {
        let outcome = run(vec![limited(call)]).await;
        assert!(error(&outcome).message.contains(part), "{call}: {:?}", error(&outcome));
        assert!(outcome.persist.is_empty());
    }
    let mut small = limited("updateUserMetadata(u.user_id, { a: 'x'.repeat(100) })");
    small.limits.persisted = 50;
    assert_eq!(error(&run(vec![small]).await).limit.as_deref(), Some("persisted"));
}

#[tokio::test]
async fn s3_5_tokens_get_the_claims_of_the_context_but_none_of_the_protocol() {
    let outcome = run(vec![rule(
        "function (u, c, cb) {
            c.idToken['https://acme.example/hobby'] = u.user_metadata.hobby;
            c.idToken.sub = 'admin'; c.idToken.iss = 'https://evil.example';
            c.accessToken['https://acme.example/plan'] = u.app_metadata.plan;
            c.accessToken.scope = ['openid', 'read:notes'];
            c.accessToken.aud = 'other';
            cb(null, u, c);
        }",
    )])
    .await;
    assert_eq!(Value::Object(outcome.id_token_claims), json!({ "https://acme.example/hobby": "chess" }));
    assert_eq!(Value::Object(outcome.access_token_claims), json!({ "https://acme.example/plan": "gold" }));
    assert_eq!(outcome.scopes, Some(vec!["openid".to_owned(), "read:notes".to_owned()]));
    let log = outcome.ran[0].log.join("\n");
    assert!(["claim sub", "claim iss", "claim aud"].iter().all(|name| log.contains(name)) && !log.contains("claim scope"), "{log}");
}

#[tokio::test]
async fn s4_23_saml_settings_and_the_primary_user_come_from_the_context() {
    let mut given = input();
    given.context.insert("samlConfiguration".into(), json!({ "audience": "sp", "recipient": "acs" }));
    let code = "function (u, c, cb) { c.samlConfiguration.audience = 'urn:other'; c.samlConfiguration.mappings = { 'urn:x': 'name' };
        c.primaryUser = 'samlp|acme|main'; c.multifactor = { provider: 'any' }; cb(null, u, c); }";
    let outcome = run_with(&scripts(vec![rule(code)]), given).await;
    assert_eq!(Value::Object(outcome.saml.clone()), json!({ "audience": "urn:other", "mappings": { "urn:x": "name" } }));
    assert_eq!(outcome.primary_user.as_deref(), Some("samlp|acme|main"));
    assert_eq!(log(&outcome), ["context.multifactor is not served by this version, and ignored"]);
}

#[tokio::test]
async fn a_redirect_happens_after_all_rules_and_the_rules_run_again() {
    let ask = rule(
        "function ask(u, c, cb) { if (c.protocol !== 'redirect-callback') c.redirect = { url: 'https://terms.acme.example/x' };
        else u.terms = c.request.query.accepted; cb(null, u, c); }",
    );
    let all = scripts(vec![
        ask,
        rule("function (u, c, cb) { auth0.users.updateUserMetadata(u.user_id, { seen: true }); u.second = true; cb(null, u, c); }"),
        body("api.idToken.setCustomClaim('later', true);"),
    ]);
    let first = run_with(&all, input()).await;
    let redirect = Redirect { script: "id-rule".into(), url: "https://terms.acme.example/x".into() };
    assert_eq!((first.redirect.as_ref(), first.ran.len(), first.persist.len()), (Some(&redirect), 2, 1));
    let resume = Resume { script: redirect.script, so_far: first, query: map(json!({ "accepted": "yes" })), body: Map::new() };
    let second = run_with(&all, LoginInput { resume: Some(resume), ..input() }).await;
    assert_eq!((&second.redirect, &second.user["terms"], &second.id_token_claims["later"]), (&None, &json!("yes"), &json!(true)));
    assert_eq!(second.ran.len(), 5, "what ran before is there, too");
}

#[tokio::test]
async fn a_return_to_a_rule_is_not_taken_for_one_to_an_action_of_the_same_id() {
    let mut action = body("api.idToken.setCustomClaim('action', true);");
    action.id = "id-rule".to_owned();
    let code = "function (u, c, cb) { if (c.protocol === 'redirect-callback') return cb(new UnauthorizedError('seen'));
        c.redirect = { url: 'https://terms.acme.example/' }; cb(null, u, c); }";
    let all = scripts(vec![rule(code), action]);
    let so_far = run_with(&all, input()).await;
    let resume = Resume { script: "id-rule".into(), so_far, query: Map::new(), body: Map::new() };
    assert!(run_with(&all, LoginInput { resume: Some(resume), ..input() }).await.denied.is_some());
}

#[tokio::test]
async fn a_redirect_to_something_that_is_no_web_page_fails() {
    for url in ["javascript:alert(1)", "http://terms.acme.example/", "/relative", "https://jane:pw@acme.example/"] {
        let outcome = run(vec![rule(&format!("function (u, c, cb) {{ c.redirect = {{ url: '{url}' }}; cb(null, u, c); }}"))]).await;
        assert_eq!((outcome.redirect, outcome.failed.as_deref()), (None, Some("rule")), "{url}");
    }
}

#[tokio::test]
async fn a_return_to_a_rule_that_is_gone_fails() {
    let resume = Resume { script: "id-gone".into(), so_far: Outcome::default(), query: Map::new(), body: Map::new() };
    let outcome =
        run_with(&scripts(vec![rule("function (u, c, cb) { cb(null, u, c); }")]), LoginInput { resume: Some(resume), ..input() }).await;
    assert_eq!((outcome.failed.as_deref(), outcome.ran.len()), (Some("id-gone"), 0));
}

#[tokio::test]
async fn app_metadata_shows_as_root_members_in_rules_and_leaks_nowhere() {
    let mut given = input();
    given.user.insert("app_metadata".into(), json!({ "groups": ["admins"], "plan": "gold", "email": "evil@acme.example", "tier": 1 }));
    let code = "function (u, c, cb) { u.seen = [u.groups[0], u.plan, u.email]; u.tier = 2; cb(null, u, c); }";
    let all = scripts(vec![rule(code), body("console.log(event.user.plan === undefined, event.user.groups.join())")]);
    let outcome = run_with(&all, given).await;
    assert_eq!(outcome.user["seen"], json!(["admins", "gold", "jane@acme.example"]));
    assert_eq!((&outcome.user["groups"], outcome.user.get("plan"), &outcome.user["tier"]), (&json!(["staff"]), None, &json!(2)));
    assert_eq!(log(&outcome), ["true staff"]);
}

#[tokio::test]
async fn configuration_global_and_the_domain_are_there_in_rules_and_not_in_actions() {
    let mut all = scripts(vec![
        rule(
            "function (u, c, cb) { global.count = (global.count || 0) + 1; global.f = () => 1; u.x = [configuration.KEY.length, global.count, auth0.domain, auth0.accessToken === undefined]; cb(null, u, c); }",
        ),
        body("console.log(typeof configuration, typeof auth0, typeof global, typeof UnauthorizedError)"),
    ]);
    all.configuration = Arc::new([("KEY".to_owned(), secret("hunter2"))].into());
    let host = host();
    for count in 1..4 {
        let outcome = host.login(&all, input()).await.expect("a thread");
        assert_eq!(outcome.user["x"], json!([7, count, "login.acme.example", true]));
        assert_eq!(log(&outcome), ["undefined undefined undefined undefined"]);
    }
}

#[tokio::test]
async fn a_global_that_is_too_large_is_not_kept() {
    let all =
        scripts(vec![rule("function (u, c, cb) { u.was = global.big === undefined; global.big = 'x'.repeat(70000); cb(null, u, c); }")]);
    let host = host();
    for _ in 0..2 {
        let outcome = host.login(&all, input()).await.expect("a thread");
        assert_eq!(outcome.user["was"], true);
        assert!(log(&outcome)[0].contains("was not kept"));
    }
}

#[tokio::test]
async fn check_reads_without_running() {
    let good = rule("// says\nfunction (u, c, cb) { nowhere(); }");
    assert_eq!(check(&good), Ok(()));
    assert_eq!(check(&action("exports.onExecutePostLogin = async (event, api) => { await 1; }; throw new Error('not run')")), Ok(()));
    let bad = check(&rule("function (u, c, cb) {\n  let x = ;\n}")).expect_err("wrong");
    assert_eq!((bad.line, bad.limit.as_deref()), (Some(2), None));
    assert!(bad.message.starts_with("SyntaxError"), "{bad:?}");
    for code in [
        "",
        " \n",
        "function (u, c, cb) {",
        "import x from 'y'; function f() {}",
        "function f(\0) {}",
        &"(".repeat(100_000),
        &"x".repeat(300_000),
    ] {
        assert!(check(&rule(code)).is_err(), "{:.40}", code);
    }
}
