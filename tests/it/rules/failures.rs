//! Scripts that fail: what becomes of their login, of other logins, and of what operators see.

use super::{OFFLINE, Script, acting, jane, newest, ruled, runs, stored, with_rules};
use crate::harness::app::{assert_oauth_error, userinfo};
use crate::harness::browser::Browser;
use crate::harness::idp::Person;
use crate::harness::scene::Scene;
use serde_json::json;

const THROWS: &str =
    "function broken(user, context, callback) {\n  user.hobby = 'chess';\n  throw new Error('no ' + configuration.TOKEN);\n}";

#[tokio::test]
async fn a_rule_that_throws_ends_the_login_and_the_trace_says_where() {
    let scene = Scene::with(|mut setup| {
        setup.top_tables = "[rules]\nconfiguration = { TOKEN = { env = \"RULE_TOKEN\" } }\n".to_owned();
        setup.environment.push(("RULE_TOKEN".to_owned(), "s3cr3t-of-the-rules".to_owned()));
        with_rules(setup, &[Script("broken", "", THROWS)])
    })
    .await;
    let answer = scene.sign_in(&Person::jane(), &[]).await;
    let (error, description) = scene.app.error(&scene.gateway, &answer);
    assert_eq!(error, "server_error");
    assert!(description.contains("ISTH-5004") && !description.contains("no "), "{description}");
    assert!(scene.browser.cookie("session").is_none());
    let (login, trace) = newest(&scene).await;
    assert_eq!(login["outcome"], "ISTH-5004");
    let run = &runs(&scene).await[0];
    assert_eq!((&run["status"], &run["error"]["line"]), (&json!("failed"), &json!(3)));
    assert!(run["error"]["column"].is_u64() && run["error"]["message"].as_str().is_some_and(|text| text.contains("no ***")), "{run}");
    let page = scene.gateway.ask_operations(&format!("/traces/{}", login["correlation_id"].as_str().unwrap()), "text/html").await;
    assert!(page.contains("line 3, column"), "{}", page.body);
    for text in [trace.to_string(), page.body, scene.gateway.log()] {
        assert!(!text.contains("s3cr3t-of-the-rules"), "{text}");
    }
}

#[tokio::test]
async fn a_rule_whose_failure_does_not_matter_leaves_nothing_behind() {
    let after = "function (user, context, callback) { context.idToken['https://acme.example/hobby'] = String(user.hobby); callback(null, user, context); }";
    let scene = ruled(&[Script("broken", "on_error = \"continue\"", THROWS), Script("after", "", after)]).await;
    assert_eq!(jane(&scene).await.claims()["https://acme.example/hobby"], "undefined");
    let statuses: Vec<_> = runs(&scene).await.into_iter().map(|run| run["status"].clone()).collect();
    assert_eq!(statuses, ["failed", "done"]);
}

#[tokio::test]
async fn an_endless_rule_ends_by_its_limit_and_keeps_nobody_else() {
    let endless = "function (user, context, callback) {
  if (context.request.query.endless) for (;;) {}
  callback(null, user, context);
}";
    let scene = ruled(&[Script("endless", "time_limit = 1500", endless)]).await;
    let request = scene.ask(&[("endless", "1")]).await;
    let answer = scene.idp.respond(&request, &Person::jane());
    // Others sign in while it runs: more of them than there are threads.
    let others = async {
        let mut done = 0;
        for _ in 0..6 {
            let other = Browser::new();
            let request = scene.idp.read(&other.open(scene.app.authorize(&scene.gateway, &[]).as_str()).await.away());
            let answer = scene.idp.respond(&request, &Person::zoe());
            scene.app.code(&scene.gateway, &other.post(&answer.from, &answer.to, &answer.fields()).await.away());
            done += 1;
        }
        done
    };
    let (endless, done) = tokio::join!(scene.answer(&answer), others);
    assert_eq!(done, 6);
    let (error, description) = scene.app.error(&scene.gateway, &endless.away());
    assert_eq!((error.as_str(), description.contains("ISTH-5004")), ("server_error", true));
    let logins = scene.gateway.ask_operations("/traces", "application/json").await.json();
    let failed = logins["logins"].as_array().unwrap().iter().find(|login| login["outcome"] == "ISTH-5004").expect("it is listed").clone();
    let trace = scene.gateway.trace(failed["correlation_id"].as_str().unwrap()).await.to_string();
    assert!(trace.contains("\"limit\":\"time\""), "{trace}");
}

#[tokio::test]
async fn a_failed_script_stores_nothing_and_a_refused_login_does() {
    let rule = "async function (user, context, callback) {
  await auth0.users.updateAppMetadata(user.user_id, { tried: context.request.query.how });
  if (context.request.query.how === 'deny') return callback(new UnauthorizedError('no'));
  throw new Error('broken');
}";
    let scene = ruled(&[Script("tried", "", rule)]).await;
    scene.sign_in(&Person::jane(), &[("how", "fail")]).await;
    assert_eq!(stored(&scene, "samlp|acme|jane-1").await["app_metadata"], json!({}));
    scene.sign_in(&Person::jane(), &[("how", "deny")]).await;
    assert_eq!(stored(&scene, "samlp|acme|jane-1").await["app_metadata"], json!({"tried": "deny"}));
}

#[tokio::test]
async fn a_failing_script_refuses_a_refresh_by_its_code_and_the_next_one_may_go_well() {
    let action = "exports.onExecutePostLogin = async (event, api) => {
  if (event.refresh_token && !event.user.app_metadata.repaired) throw new Error('broken');
};";
    let scene = acting(&[Script("refresh", "", action)]).await;
    let tokens = jane(&scene).await;
    let failed = scene.app.refresh(&scene.gateway, tokens.refresh_token(), &[]).await;
    assert_oauth_error(&failed, 500, "server_error");
    let (status, output) =
        super::command(&scene, &["user", "update", "samlp|acme|jane-1", "--patch", r#"{"app_metadata": {"repaired": true}}"#]).await;
    assert_eq!(status, 0, "{output}");
    // The same token, within its grace.
    assert_eq!(scene.app.refresh(&scene.gateway, tokens.refresh_token(), &[]).await.status, 200);
}

#[tokio::test]
async fn an_answer_that_is_posted_twice_runs_the_rules_once() {
    let rule = "async function (user, context, callback) {
  await auth0.users.updateAppMetadata(user.user_id, { ['run' + Math.random().toString(36).slice(2)]: true });
  await new Promise((resolve) => setTimeout(resolve, 300));
  callback(null, user, context);
}";
    let scene = ruled(&[Script("count", "", rule)]).await;
    let request = scene.ask(&[]).await;
    let answer = scene.idp.respond(&request, &Person::jane());
    let (first, second) = tokio::join!(scene.answer(&answer), scene.answer(&answer));
    let codes = [first, second].into_iter().filter(|landed| matches!(landed, crate::harness::browser::Landed::Away(_))).count();
    assert_eq!(codes, 1, "one of both has the login");
    let user = stored(&scene, "samlp|acme|jane-1").await;
    assert_eq!(user["app_metadata"].as_object().map(serde_json::Map::len), Some(1), "{user}");
}

#[tokio::test]
async fn what_is_not_to_be_kept_is_seen_by_rules_and_recorded_nowhere() {
    let rule = "function (user, context, callback) {
  console.log('badge', user.email);
  user.copy = user.email;
  context.idToken['https://acme.example/copy'] = user.email;
  callback(null, user, context);
}";
    let (idp, app) = (crate::harness::idp::Idp::new("acme"), crate::harness::app::App::new("notes"));
    let setup = crate::harness::gateway::Setup::new();
    let setup = setup.connection(&idp.toml("non_persistent_attrs = [\"email\"]", "")).application(&app.toml("", ""));
    let scene = Scene::of(with_rules(setup, &[Script("copy", "", rule)]), idp, app).await;
    let tokens = scene.tokens(&Person::jane(), OFFLINE).await;
    let address = tokens.claims()["https://acme.example/copy"].as_str().expect("the rule saw it").to_lowercase();
    assert_eq!(address, "jane.doe@acme.example");
    assert_eq!(
        userinfo(&scene.gateway, tokens.access_token()).await.json()["https://acme.example/copy"],
        tokens.claims()["https://acme.example/copy"]
    );
    let (_, trace) = newest(&scene).await;
    assert!(!trace.to_string().to_lowercase().contains(&address), "{trace}");
}
