//! The actions model: `exports.onExecutePostLogin = async (event, api) => ..`.

use super::*;
use crate::clock::Timestamp;
use crate::oidc::jose;

const SECRET: &str = "0123456789abcdef0123456789abcdef";

#[tokio::test]
async fn api_calls_end_in_the_outcome() {
    let outcome = run(vec![body(
        "api.idToken.setCustomClaim('https://acme.example/ip', event.request.ip)
            .accessToken.setCustomClaim('tier', { level: 1 })
            .accessToken.addScope('read:notes').accessToken.removeScope('profile')
            .authentication.recordMethod('urn:acme:badge').authentication.setPrimaryUser('samlp|acme|main')
            .transaction.setMetadata('step', 2).validation.error('E1', 'try again');
        api.idToken.setCustomClaim('sub', 'admin');
        api.samlResponse.setAudience('urn:sp').samlResponse.setAttribute('urn:x', ['a', 'b']).samlResponse.setAttribute('urn:y', 1);
        api.samlResponse.setNameIdentifierProbes(['urn:z']).samlResponse.setLifetimeInSeconds(60).samlResponse.setSignResponse(true);",
    )])
    .await;
    assert_eq!(outcome.failed, None, "{:?}", outcome.ran);
    assert_eq!(Value::Object(outcome.id_token_claims.clone()), json!({ "https://acme.example/ip": "192.0.2.1" }));
    assert_eq!(Value::Object(outcome.access_token_claims.clone()), json!({ "tier": { "level": 1 } }));
    assert_eq!(outcome.scopes, Some(vec!["openid".to_owned(), "read:notes".to_owned()]));
    assert_eq!((outcome.methods.clone(), outcome.primary_user.as_deref()), (vec!["urn:acme:badge".to_owned()], Some("samlp|acme|main")));
    assert_eq!(outcome.transaction_metadata["step"], 2);
    assert_eq!(outcome.validation_errors, [("E1".to_owned(), "try again".to_owned())]);
    let saml = json!({ "audience": "urn:sp", "attributes": { "urn:x": ["a", "b"], "urn:y": 1 }, "nameIdentifierProbes": ["urn:z"],
        "lifetimeInSeconds": 60, "signResponse": true });
    assert_eq!(Value::Object(outcome.saml.clone()), saml);
    assert!(log(&outcome)[0].contains("claim sub"));
    assert_eq!(outcome.user, input().user);
}

#[tokio::test]
async fn every_saml_setter_ends_under_its_own_name() {
    for setter in [
        "Audience",
        "AuthnContextClassRef",
        "CreateUpnClaim",
        "Destination",
        "DigestAlgorithm",
        "EncryptionAlgorithm",
        "EncryptionCert",
        "EncryptionPublicKey",
        "IncludeAttributeNameFormat",
        "Issuer",
        "LifetimeInSeconds",
        "MapIdentities",
        "MapUnknownClaimsAsIs",
        "NameIdentifierFormat",
        "NameIdentifierProbes",
        "PassthroughClaimsWithNoMapping",
        "Recipient",
        "RelayState",
        "SignatureAlgorithm",
        "SignResponse",
        "TypedAttributes",
    ] {
        let outcome = run(vec![body(&format!("api.samlResponse.set{setter}('value');"))]).await;
        let name = setter[..1].to_lowercase() + &setter[1..];
        assert_eq!(Value::Object(outcome.saml), json!({ name: "value" }));
    }
}

#[tokio::test]
async fn key_material_reaches_the_outcome_and_no_trace() {
    let key = "-----BEGIN PRIVATE KEY-----abcdef";
    let outcome = run(vec![
        body(&format!("try {{ api.samlResponse.setKey('{key}'); }} catch (error) {{ console.log('{key}', error.message); }}")),
        body(&format!(
            "api.samlResponse.setEncryptionPublicKey('{key}').samlResponse.setEncryptionCert('cert-text'); console.log('{key}');"
        )),
        body(&format!("console.log('later {key}');")),
    ])
    .await;
    assert_eq!(outcome.saml.get("key"), None, "it is refused");
    assert_eq!((&outcome.saml["encryptionPublicKey"], &outcome.saml["encryptionCert"]), (&json!(key), &json!("cert-text")));
    let trace = serde_json::to_string(&outcome.ran).expect("json");
    assert!(!trace.contains("abcdef") && !trace.contains("cert-text") && trace.contains("later ***"), "{trace}");
    assert!(trace.contains("the gateway's own key"), "{trace}");
}

#[tokio::test]
async fn what_no_script_sets_is_refused_with_the_reason() {
    for (setter, why) in [("Cert", "own key"), ("Key", "own key"), ("SigningCert", "was verified before")] {
        let outcome = run(vec![body(&format!("api.samlResponse.set{setter}('value');"))]).await;
        assert!(outcome.failed.is_some() && outcome.saml.is_empty(), "{setter}");
        let trace = serde_json::to_string(&outcome.ran).expect("json");
        assert!(trace.contains(why), "{trace}");
    }
}

#[tokio::test]
async fn s4_20_metadata_of_all_actions_is_one_change_at_the_end_and_seen_by_later_ones() {
    let outcome = run(vec![
        rule("function (u, c, cb) { auth0.users.updateUserMetadata(u.user_id, { from: 'rule' }).then(() => cb(null, u, c)); }"),
        body("api.user.setAppMetadata('count', 1).user.setUserMetadata('hobby', null); event.user.user_metadata.own = 1;"),
        body("console.log(JSON.stringify([event.user.user_metadata, event.user.app_metadata])); api.user.setAppMetadata('count', 2);"),
    ])
    .await;
    assert_eq!(log(&outcome), [r#"[{"from":"rule"},{"plan":"gold","count":1}]"#]);
    let entries: Vec<_> = outcome.persist.iter().map(|change| json!([change.user_metadata, change.app_metadata])).collect();
    assert_eq!(entries, [json!([{ "from": "rule" }, {}]), json!([{ "hobby": null }, { "count": 2 }])]);
    assert_eq!(outcome.user, input().user, "the user object is not what is stored");
}

#[tokio::test]
async fn what_an_action_sets_obeys_the_rules_of_metadata() {
    for call in
        ["setAppMetadata('email', 'x')", "setUserMetadata('a.b', 1)", "setUserMetadata('big', 'x'.repeat(11000))", "setUserMetadata()"]
    {
        let outcome = run(vec![body(&format!("api.user.{call}"))]).await;
        assert_eq!((outcome.failed.as_deref(), outcome.persist.len()), (Some("action"), 0), "{call}");
    }
}

#[tokio::test]
async fn deny_ends_the_flow_and_stands_whatever_comes_after() {
    for after in ["", "throw new Error('x');", "for (;;) {}", "await new Promise(() => {});"] {
        let mut first = body(&format!("api.user.setAppMetadata('refused', true); api.access.deny('not from here'); {after}"));
        first.on_error = OnError::Continue;
        first.limits.time = 200;
        let outcome = run(vec![first, body("api.idToken.setCustomClaim('later', 1)")]).await;
        assert_eq!(outcome.denied, Some(Denial { script: "action".into(), message: "not from here".into() }), "{after}");
        assert_eq!((outcome.ran.len(), outcome.id_token_claims.len(), outcome.persist.len()), (1, 0, 1), "{after}");
    }
}

#[tokio::test]
async fn the_signature_of_deny_depends_on_the_trigger() {
    let deny = |trigger: Trigger| {
        let code = format!("exports.{} = async (event, api) => {{ api.access.deny('first', 'second'); }};", trigger.function());
        scripts(vec![script(Kind::Action(trigger), "action", &code)])
    };
    let host = host();
    let message = |outcome: Outcome| outcome.denied.expect("denied").message;
    assert_eq!(message(host.login(&deny(Trigger::PostLogin), input()).await.expect("ran")), "first");
    let event = || map(json!({ "client": { "client_id": "m2m" }, "user": { "email": "x@y.example" } }));
    assert_eq!(message(host.credentials_exchange(&deny(Trigger::CredentialsExchange), event()).await.expect("ran")), "second");
    assert_eq!(message(host.pre_user_registration(&deny(Trigger::PreUserRegistration), event()).await.expect("ran")), "second");
    // Only the trigger's own actions run.
    assert_eq!(
        host.credentials_exchange(&deny(Trigger::PostLogin), event()).await.expect("ran"),
        Outcome { user: map(json!({ "email": "x@y.example" })), ..Outcome::default() }
    );
}

#[tokio::test]
async fn each_action_has_a_module_of_its_own_and_a_fresh_event() {
    let outcome = run(vec![
        action("const x = 1; module.exports = { onExecutePostLogin: async (event) => { event.user.name = 'changed'; event.x = x; } };"),
        action(
            "const x = 2; exports.onExecutePostLogin = async (event) => { console.log(event.user.name, event.x, x, this === undefined); };",
        ),
    ])
    .await;
    assert_eq!((log(&outcome), &outcome.failed), (vec!["Jane undefined 2 false"], &None));
}

#[tokio::test]
async fn an_action_sees_its_own_secrets_only_and_they_are_masked() {
    let mut first = body(
        "console.log('key', event.secrets.KEY, JSON.stringify(event)); api.idToken.setCustomClaim('leak', 'x' + event.secrets.KEY); throw new Error(event.secrets.KEY);",
    );
    first.secrets.insert("KEY".to_owned(), secret("hunter2secret"));
    first.on_error = OnError::Continue;
    let mut second = body("console.log(Object.keys(event.secrets).join()); api.idToken.setCustomClaim('leak', 'x' + event.secrets.OTHER);");
    second.secrets.insert("OTHER".to_owned(), secret("swordfish99"));
    let outcome = run(vec![first, second]).await;
    assert_eq!(log(&outcome)[1], "OTHER");
    let trace = serde_json::to_string(&outcome.ran).expect("json");
    assert!(!trace.contains("hunter2secret") && !trace.contains("swordfish99") && trace.contains("\"Error: ***\""), "{trace}");
    assert_eq!(outcome.id_token_claims["leak"], "xswordfish99", "what goes out is the operator's own doing");
}

#[tokio::test]
async fn modules_and_missing_functions_are_said_so() {
    for (code, part) in [
        ("const axios = require('axios');", "require(\"axios\") is not available"),
        ("exports.onExecuteLogin = 1;", "does not export onExecutePostLogin"),
        ("import('fs').then(() => {});\nexports.onExecutePostLogin = async () => { await import('fs'); };", ""),
        ("import fs from 'fs';", "SyntaxError"),
        (
            "exports.onExecutePostLogin = async (event, api) => { api.session.revoke(); };",
            "api.session.revoke is not served by this version",
        ),
        (
            "exports.onExecutePostLogin = async (event, api) => { api.authentication.challengeWith({}); };",
            "api.authentication.challengeWith is not served",
        ),
        ("exports.onExecutePostLogin = async (event, api) => { api.multifactor.enable('any'); };", "api.multifactor.enable is not served"),
        ("exports.onExecutePostLogin = async (event, api) => { api.prompt.render('x'); };", "api.prompt.render is not served"),
        ("exports.onExecutePostLogin = async (event, api) => { api.refreshToken.revoke(); };", "api.refreshToken.revoke is not served"),
    ] {
        let outcome = run(vec![action(code)]).await;
        assert!(error(&outcome).message.contains(part), "{code}: {:?}", error(&outcome));
    }
}

#[tokio::test]
async fn an_action_may_be_no_async_function_and_must_settle() {
    let outcome = run(vec![action("exports.onExecutePostLogin = function (event, api) { api.idToken.setCustomClaim('x', 1); };")]).await;
    assert_eq!((&outcome.id_token_claims["x"], outcome.failed), (&json!(1), None));
    let outcome = run(vec![body("await new Promise(() => {});")]).await;
    assert_eq!(error(&outcome).message, "the promise of the action was never settled");
    let outcome = run(vec![action("exports.onExecutePostLogin = async () => {\n  await null;\n  nowhere();\n};")]).await;
    assert_eq!(error(&outcome).line, Some(3));
}

#[tokio::test]
async fn timers_are_served_within_the_time_limit() {
    let outcome = run(vec![body(
        "const order = []; setTimeout(() => order.push('late'), 20); setTimeout((x) => order.push(x), 5, 'soon');
         const gone = setTimeout(() => order.push('gone'), 1); clearTimeout(gone);
         await new Promise((resolve) => setTimeout(resolve, 40)); console.log(order.join());",
    )])
    .await;
    assert_eq!(log(&outcome), ["soon,late"]);
    let mut slow = body("await new Promise((resolve) => setTimeout(resolve, 60000));");
    slow.limits.time = 100;
    assert_eq!(error(&run(vec![slow]).await).limit.as_deref(), Some("time"));
}

#[tokio::test]
async fn a_redirect_waits_and_the_rest_runs_on_return() {
    let all = scripts(vec![
        body("api.user.setUserMetadata('before', 1); api.idToken.setCustomClaim('a', 1);"),
        script(
            Kind::Action(Trigger::PostLogin),
            "terms",
            "exports.onExecutePostLogin = async (event, api) => {
               console.log(api.redirect.canRedirect());
               api.redirect.sendUserTo('https://terms.acme.example/ask?a=1', { query: { lang: 'de & en', n: 2 } });
             };
             exports.onContinuePostLogin = async (event, api) => { api.user.setUserMetadata('terms', event.request.query.ok); };",
        ),
        body("api.idToken.setCustomClaim('c', event.user.user_metadata.terms + event.user.user_metadata.before);"),
    ]);
    let first = run_with(&all, input()).await;
    let redirect = Redirect { script: "id-terms".into(), url: "https://terms.acme.example/ask?a=1&lang=de+%26+en&n=2".into() };
    assert_eq!((first.redirect.as_ref(), first.ran.len()), (Some(&redirect), 2));
    assert_eq!((log(&first), &first.ran[1].status), (vec!["true"], &Status::Redirected));
    let stored: Outcome = serde_json::from_value(serde_json::to_value(&first).expect("json")).expect("an outcome");
    let resume = Resume { script: redirect.script, so_far: stored, query: map(json!({ "ok": "yes" })), body: Map::new() };
    let second = run_with(&all, LoginInput { resume: Some(resume), ..input() }).await;
    assert_eq!((&second.redirect, &second.failed), (&None, &None));
    assert_eq!(Value::Object(second.id_token_claims), json!({ "a": 1, "c": "yes1" }));
    let entries: Vec<_> = second.persist.iter().map(|change| Value::Object(change.user_metadata.clone())).collect();
    assert_eq!(entries, [json!({ "before": 1 }), json!({ "terms": "yes" })]);
    let no = run_with(&all, LoginInput { no_redirect: true, ..input() }).await;
    assert_eq!((log(&no), no.redirect.is_some()), (vec!["false"], true));
}

#[tokio::test]
async fn an_action_without_on_continue_is_passed_over_on_return() {
    let all = scripts(vec![body("api.redirect.sendUserTo('https://a.example/');"), body("api.idToken.setCustomClaim('x', 1)")]);
    let first = run_with(&all, input()).await;
    let resume = Resume { script: "id-action".into(), so_far: first, query: Map::new(), body: Map::new() };
    let second = run_with(&all, LoginInput { resume: Some(resume), ..input() }).await;
    assert_eq!((second.id_token_claims.len(), second.redirect, second.failed), (1, None, None));
}

fn returning(token: &str, code: &str) -> (Scripts, LoginInput) {
    let all = scripts(vec![action(&format!("exports.onContinuePostLogin = async (event, api) => {{ {code} }};"))]);
    let (query, so_far) = (map(json!({ "state": "st1", "session_token": token })), Outcome { user: input().user, ..Outcome::default() });
    let resume = Resume { script: "id-action".into(), so_far, query, body: Map::new() };
    (all, LoginInput { resume: Some(resume), ..input() })
}

fn signed(change: impl FnOnce(&mut Map<String, Value>)) -> String {
    let mut claims = map(json!({ "sub": "samlp|acme|jane", "exp": Timestamp::now().seconds() + 60, "state": "st1", "accepted": true }));
    change(&mut claims);
    jose::sign_shared(&secret(SECRET), &claims).expect("signed")
}

#[tokio::test]
async fn a_token_goes_along_and_another_one_comes_back() {
    let outcome = run(vec![body(&format!(
        "const token = api.redirect.encodeToken({{ secret: '{SECRET}', expiresInSeconds: 60, payload: {{ email: 'x', sub: 'forged', nested: [1] }} }});
         api.redirect.sendUserTo('https://terms.acme.example/', {{ query: {{ token }} }}); console.log('{SECRET}');"
    ))])
    .await;
    let url = outcome.redirect.as_ref().expect("a redirect").url.clone();
    let token = url.split_once("token=").expect("a token").1;
    let claims = jose::verify_shared(&secret(SECRET), token).expect("signed");
    assert_eq!(
        (&claims["sub"], &claims["iss"], &claims["ip"]),
        (&json!("samlp|acme|jane"), &json!("https://login.acme.example"), &json!("192.0.2.1"))
    );
    assert_eq!((&claims["email"], &claims["nested"]), (&json!("x"), &json!([1])));
    assert_eq!(claims["exp"].as_i64().zip(claims["iat"].as_i64()).map(|(exp, iat)| exp - iat), Some(60));
    assert_eq!((claims["jti"].as_str().map(str::len), log(&outcome)), (Some(32), vec!["***"]));

    let ask = format!("const p = api.redirect.validateToken({{ secret: '{SECRET}' }}); api.idToken.setCustomClaim('ok', p.accepted);");
    let (all, good) = returning(&signed(|_| {}), &ask);
    assert_eq!(run_with(&all, good).await.id_token_claims["ok"], true);
    for (token, why) in [
        (token.to_owned(), "sent along"),
        (signed(|claims| drop(claims.insert("exp".into(), 1.into()))), "expired"),
        (signed(|claims| drop(claims.remove("exp"))), "does not say when"),
        (signed(|claims| drop(claims.insert("sub".into(), "joe".into()))), "somebody else"),
        (signed(|claims| drop(claims.insert("state".into(), "st2".into()))), "another return"),
        (signed(|claims| drop(claims.insert("state".into(), 7.into()))), "another return"),
        (signed(|claims| drop(claims.remove("state"))), "does not name the return"),
        (jose::sign_shared(&secret("ffffffffffffffffffffffffffffffff"), &Map::new()).expect("signed"), "not signed"),
        ("a.b.c".to_owned(), "not signed"),
    ] {
        let (all, bad) = returning(&token, &ask);
        let outcome = run_with(&all, bad).await;
        assert!(error(&outcome).message.contains(why), "{why}: {:?}", error(&outcome));
    }
    let outcome = run(vec![body(&ask)]).await;
    assert!(error(&outcome).message.contains("onContinuePostLogin"));
    let outcome = run(vec![body("api.redirect.encodeToken({ secret: 'short', payload: {} })")]).await;
    assert!(error(&outcome).message.contains("32 octets"));
}

#[tokio::test]
async fn the_cache_lives_in_the_process_and_is_bounded() {
    let all = scripts(vec![body(
        "const got = api.cache.get('k'); console.log(got === undefined ? 'none' : got.value);
         const set = api.cache.set('k', 'v', { ttl: 60000 }); console.log(set.type, set.record.value, set.record.expires_at > Date.now());
         console.log(api.cache.set('k2', 'x'.repeat(40000)).code, api.cache.set('k3', 7).code, api.cache.delete('nothing').code);",
    )]);
    let host = host();
    let first = host.login(&all, input()).await.expect("ran");
    assert_eq!(log(&first), ["none", "success v true", "ItemSizeExceeded InvalidValue ItemNotFound"]);
    let second = host.login(&all, input()).await.expect("ran");
    assert_eq!(log(&second)[0], "v");
}

#[tokio::test]
async fn an_action_knows_which_rules_ran() {
    let outcome = run(vec![
        rule("function (u, c, cb) { cb(null, u, c); }"),
        body("console.log(api.rules.wasExecuted('id-rule'), api.rules.wasExecuted('id-other'))"),
    ])
    .await;
    assert_eq!(log(&outcome), ["true false"]);
}

#[tokio::test]
async fn fetch_asks_listed_hosts() {
    let mut asks = body(
        "const a = await fetch('https://api.acme.example/x', { method: 'post', headers: { 'X-Key': event.secrets.KEY }, body: JSON.stringify({ a: 1 }) });
         const seen = await a.json();
         console.log(a.ok, a.status, a.headers.get('content-TYPE'), seen.method, seen.url, seen.body, seen.headers[0].join('='));
         const [b, c] = await Promise.all([fetch('https://api.acme.example/missing'), fetch('https://api.acme.example/y')]);
         console.log(b.ok, b.status, (await c.text()).length > 10);
         for (const url of ['https://evil.example/', 'http://api.acme.example/', 'https://api.acme.example/broken', 'https://api.acme.example/long', 'file:///etc/passwd'])
           await fetch(url).catch((e) => console.log(e.message));",
    );
    asks.hosts = vec!["api.acme.example".to_owned()];
    asks.secrets.insert("KEY".to_owned(), secret("hunter2secret"));
    let outcome = run(vec![asks]).await;
    let expected = [
        "true 200 application/json POST https://api.acme.example/x {\"a\":1} x-key=***",
        "false 404 true",
        "evil.example is not among the hosts that this script may ask",
        "fetch asks by https only",
        "fetch failed: the host does not answer",
        "fetch failed: the answer is longer than 1048576 octets",
        "fetch asks by https only",
    ];
    assert_eq!(log(&outcome), expected, "{:?}", outcome.ran);
}

#[tokio::test]
async fn fetch_works_in_rules_is_counted_and_ends_with_the_time() {
    let mut asks =
        rule("async function (u, c, cb) { const r = await fetch('https://api.acme.example/'); u.status = r.status; cb(null, u, c); }");
    asks.hosts = vec!["api.acme.example".to_owned()];
    assert_eq!(run(vec![asks.clone()]).await.user["status"], 200);
    asks.code =
        "async function (u, c, cb) { for (let i = 0; i < 11; i++) await fetch('https://api.acme.example/'); cb(null, u, c); }".to_owned();
    assert!(error(&run(vec![asks.clone()]).await).message.contains("10 times"));
    asks.code = "async function (u, c, cb) { await fetch('https://api.acme.example/slow'); cb(null, u, c); }".to_owned();
    asks.limits.time = 150;
    let outcome = run(vec![asks]).await;
    assert!(error(&outcome).limit.as_deref() == Some("time") || error(&outcome).message.contains("the time is over"), "{:?}", outcome.ran);
}
