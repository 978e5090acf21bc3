//! The lines of the specification of the profile that speak of rules, one by one.

use super::{OFFLINE, Script, acting, command, jane, legacy, newest, ruled, runs, stored, with_actions, with_rules};
use crate::harness::app::{SECRET, Tokens, userinfo};
use crate::harness::browser::Page;
use crate::harness::idp::Person;
use crate::harness::scene::Scene;
use serde_json::{Value, json};

const JANE: &str = "samlp|acme|jane-1";

/// Adds an attribute for the users of one connection, transiently.
const HOBBY: Script<'_> = Script(
    "hobby",
    "",
    "function hobby(user, context, callback) {
  if (context.connection === 'acme') { user.hobby = 'chess'; user.nickname = 'ruled'; }
  callback(null, user, context);
}",
);

async fn tokeninfo(scene: &Scene, id_token: &str) -> Page {
    let url = scene.gateway.url("/tokeninfo");
    let answer = scene.gateway.client().post(url.clone()).json(&json!({ "id_token": id_token })).send().await.expect("an answer");
    Page::read(answer, &url).await
}

#[tokio::test]
async fn s3_3_both_metadata_are_ordinary_members_in_rules() {
    let rule = "function (user, context, callback) {
  context.idToken['https://acme.example/both'] = [user.user_metadata.hobby, user.app_metadata.plan, typeof user.app_metadata];
  callback(null, user, context);
}";
    let scene = ruled(&[Script("both", "", rule)]).await;
    assert_eq!(jane(&scene).await.claims()["https://acme.example/both"], json!([null, null, "object"]));
    let patch = r#"{"user_metadata": {"hobby": "chess"}, "app_metadata": {"plan": "gold"}}"#;
    let (status, output) = command(&scene, &["user", "update", JANE, "--patch", patch]).await;
    assert_eq!(status, 0, "{output}");
    let tokens = scene.tokens(&Person::jane(), &[("prompt", "login")]).await;
    assert_eq!(tokens.claims()["https://acme.example/both"], json!(["chess", "gold", "object"]));
}

#[tokio::test]
async fn s3_4_rules_enrich_the_transaction_in_their_order_and_actions_follow() {
    let first = "function (user, context, callback) { user.trail = ['first']; callback(null, user, context); }";
    let second = "async function second(user, context, callback) { user.trail.push('second'); callback(null, user, context); }";
    let action = "exports.onExecutePostLogin = async (event, api) => {
  api.idToken.setCustomClaim('https://acme.example/trail', event.user.trail.concat(event.connection.name, event.client.client_id));
};";
    let scene = Scene::with(|setup| {
        with_actions(with_rules(setup, &[Script("b", "", first), Script("a", "", second)]), "post-login", &[Script("c", "", action)])
    })
    .await;
    assert_eq!(jane(&scene).await.claims()["https://acme.example/trail"], json!(["first", "second", "acme", "notes"]));
    let names: Vec<Value> = runs(&scene).await.into_iter().map(|run| json!([run["kind"], run["script"], run["status"]])).collect();
    assert_eq!(names, [json!(["rule", "b", "done"]), json!(["rule", "a", "done"]), json!(["action", "c", "done"])]);
}

#[tokio::test]
async fn s3_5_userinfo_shows_metadata_only_where_a_rule_made_them_claims() {
    let rule = "function (user, context, callback) {
  user.user_metadata.hobby = 'chess';
  if (context.clientID === 'notes' && context.request.query.claims_please) context.idToken['https://acme.example/hobby'] = user.user_metadata.hobby;
  callback(null, user, context);
}";
    let scene = ruled(&[Script("claims", "", rule)]).await;
    let without = userinfo(&scene.gateway, jane(&scene).await.access_token()).await.json();
    assert!(!without.to_string().contains("chess"), "{without}");
    let tokens = scene.tokens(&Person::jane(), &[("prompt", "login"), ("claims_please", "1")]).await;
    let with = userinfo(&scene.gateway, tokens.access_token()).await.json();
    assert_eq!((&with["https://acme.example/hobby"], &tokens.claims()["https://acme.example/hobby"]), (&json!("chess"), &json!("chess")));
}

#[tokio::test]
async fn s4_16_s4_17_s4_19_s4_21_a_transient_change_is_seen_by_its_transaction_and_nowhere_else() {
    let scene = legacy(&[HOBBY]).await;
    let tokens = jane(&scene).await;
    let seen = userinfo(&scene.gateway, tokens.access_token()).await.json();
    assert_eq!((&seen["hobby"], &seen["nickname"]), (&json!("chess"), &json!("ruled")));
    // By the claims of the application's mapping table too.
    assert_eq!(tokens.claims()["nickname"], "ruled");
    let outside = tokeninfo(&scene, tokens.id_token()).await.json();
    assert_eq!((outside.get("hobby"), &outside["nickname"]), (None, &json!("Jane.Doe")));
    let stored = stored(&scene, JANE).await.to_string();
    assert!(!stored.contains("chess") && !stored.contains("ruled"), "{stored}");
    // Once the rule is gone, a session made under it shows nothing of it.
    let mut scene = scene;
    scene.gateway.stop();
    scene.gateway.start_again(|setup| setup.top_tables = "[rules]\n".to_owned()).await;
    let code = scene.app.code(&scene.gateway, &scene.again(&[]).await);
    let later = Tokens::of(&scene.app.redeem(&scene.gateway, &code, &[]).await);
    let later = userinfo(&scene.gateway, later.access_token()).await.json();
    assert_eq!((later.get("hobby"), &later["nickname"]), (None, &json!("Jane.Doe")));
    // While the access token that it gave shows what it showed.
    assert_eq!(userinfo(&scene.gateway, tokens.access_token()).await.json()["hobby"], "chess");
}

#[tokio::test]
async fn s4_20_a_persistent_change_is_stored_once_and_seen_by_later_transactions() {
    let rule = "async function (user, context, callback) {
  context.idToken['https://acme.example/before'] = user.app_metadata.logins || 0;
  await auth0.users.updateAppMetadata(user.user_id, { logins: (user.app_metadata.logins || 0) + 1 });
  callback(null, user, context);
}";
    let action = "exports.onExecutePostLogin = async (event, api) => {
  api.user.setUserMetadata('seen', event.stats.logins_count);
  api.user.setUserMetadata('gone', null);
};";
    let scene =
        Scene::with(|setup| with_actions(with_rules(setup, &[Script("count", "", rule)]), "post-login", &[Script("note", "", action)]))
            .await;
    assert_eq!(jane(&scene).await.claims()["https://acme.example/before"], 0);
    let user = stored(&scene, JANE).await;
    assert_eq!((&user["app_metadata"], &user["user_metadata"]), (&json!({"logins": 1}), &json!({"seen": 1})));
    let tokens = scene.tokens(&Person::jane(), &[("prompt", "login")]).await;
    assert_eq!(tokens.claims()["https://acme.example/before"], 1);
    assert_eq!(stored(&scene, JANE).await["app_metadata"], json!({"logins": 2}));
}

#[tokio::test]
async fn s4_22_no_rule_changes_what_the_connection_says() {
    let rule = "function (user, context, callback) {
  user.email = 'forged@acme.example'; user.name = 'Forged'; user.user_id = 'x'; user.identities = []; user.blocked = true;
  callback(null, user, context);
}";
    let scene = legacy(&[Script("forge", "", rule)]).await;
    let tokens = jane(&scene).await;
    let seen = userinfo(&scene.gateway, tokens.access_token()).await.json();
    // For this transaction the root attributes are the rule's; whose it is stays.
    assert_eq!((&seen["email"], &seen["user_id"], &tokens.claims()["sub"]), (&json!("forged@acme.example"), &json!(JANE), &json!(JANE)));
    assert_eq!(seen["identities"].as_array().map(Vec::len), Some(1));
    let user = stored(&scene, JANE).await;
    let text = user.to_string();
    assert!(text.contains("Jane Doe") && !text.contains("orged"), "{text}");
    assert_eq!(tokeninfo(&scene, tokens.id_token()).await.json()["name"], "Jane Doe");
}

#[tokio::test]
async fn s4_22_what_the_protocol_says_is_no_rules_to_say() {
    let rule = "function (user, context, callback) {
  for (const name of ['sub', 'iss', 'aud', 'exp', 'nonce', 'sid', 'auth_time']) context.idToken[name] = 'forged';
  context.idToken.email = 'rule@acme.example';
  callback(null, user, context);
}";
    let scene = ruled(&[Script("forge", "", rule)]).await;
    let tokens = jane(&scene).await;
    assert!(!tokens.claims().to_string().contains("forged"), "{}", tokens.claims());
    let told = userinfo(&scene.gateway, tokens.access_token()).await.json();
    assert!(!told.to_string().contains("forged"), "{told}");
}

#[tokio::test]
async fn s4_23_the_sample_rules_work_in_a_login() {
    let sample = |name: &str| std::fs::read_to_string(format!("{}/rules/samples/{name}.js", env!("CARGO_MANIFEST_DIR"))).expect("a sample");
    let rule = "async function persist(user, context, callback) {
  await auth0.users.updateUserMetadata(user.user_id, { favorite: 'blue' });
  callback(null, user, context);
}";
    // Whatever connection the sample names, it leaves others alone.
    let scene = ruled(&[Script("sample", "", &sample("add-attribute")), Script("persist", "", rule)]).await;
    jane(&scene).await;
    let statuses: Vec<Value> = runs(&scene).await.into_iter().map(|run| run["status"].clone()).collect();
    assert_eq!(statuses, ["done", "done"]);
    assert_eq!(stored(&scene, JANE).await["user_metadata"], json!({"favorite": "blue"}));
}

#[tokio::test]
async fn s4_28_single_sign_on_and_refreshes_run_the_rules_too() {
    let rule = "function (user, context, callback) {
  context.idToken['https://acme.example/how'] = [context.protocol, context.sso.with_auth0, context.stats.loginsCount];
  callback(null, user, context);
}";
    let scene = ruled(&[Script("how", "", rule)]).await;
    let how = |tokens: &Tokens| tokens.claims()["https://acme.example/how"].clone();
    let tokens = jane(&scene).await;
    assert_eq!(how(&tokens), json!(["oidc-basic-profile", false, 1]));
    // Neither single sign-on nor prompt=none is a login that counts.
    for changes in [&[][..], &[("prompt", "none")]] {
        let code = scene.app.code(&scene.gateway, &scene.again(changes).await);
        assert_eq!(how(&Tokens::of(&scene.app.redeem(&scene.gateway, &code, &[]).await)), json!(["oidc-basic-profile", true, 1]));
    }
    let refreshed = Tokens::of(&scene.app.refresh(&scene.gateway, tokens.refresh_token(), &[]).await);
    assert_eq!(how(&refreshed), json!(["oauth2-refresh-token", false, 1]));
}

#[tokio::test]
async fn details_i_a_refusal_reaches_the_application_in_the_rules_words() {
    let rule = "function (user, context, callback) {
  if (context.request.query.deny) return callback(new UnauthorizedError('Only on weekdays, please.'));
  callback(null, user, context);
}";
    let scene = ruled(&[Script("weekdays", "", rule)]).await;
    let refused = ("access_denied".to_owned(), "Only on weekdays, please.".to_owned());
    let answer = scene.sign_in(&Person::jane(), &[("deny", "1")]).await;
    assert_eq!(scene.app.error(&scene.gateway, &answer), refused);
    assert!(scene.browser.cookie("session").is_none(), "a refused login makes no session");
    let (login, _) = newest(&scene).await;
    assert_eq!(login["outcome"], "ISTH-3009");
    assert_eq!(runs(&scene).await[0]["status"], "denied");
    // A session that is there already stays.
    let tokens = scene.tokens(&Person::jane(), OFFLINE).await;
    assert_eq!(scene.app.error(&scene.gateway, &scene.again(&[("deny", "1")]).await), refused);
    assert_eq!(scene.app.error(&scene.gateway, &scene.again(&[("deny", "1"), ("prompt", "none")]).await), refused);
    scene.app.code(&scene.gateway, &scene.again(&[]).await);
    assert_eq!(userinfo(&scene.gateway, tokens.access_token()).await.status, 200);
}

#[tokio::test]
async fn details_j_an_action_refuses_a_refresh() {
    let action = "exports.onExecutePostLogin = async (event, api) => {
  if (event.transaction.protocol === 'oauth2-refresh-token') api.access.deny('Sign in again.');
};";
    let scene = acting(&[Script("norefresh", "", action)]).await;
    let tokens = jane(&scene).await;
    let page = scene.app.refresh(&scene.gateway, tokens.refresh_token(), &[]).await;
    assert_eq!((page.status, page.json()["error"].clone()), (403, json!("access_denied")));
    assert_eq!(page.json()["error_description"], "Sign in again.");
}

#[tokio::test]
async fn details_i_context_says_what_the_login_is_and_holds_no_secret() {
    let rule = "function (user, context, callback) {
  context.idToken['https://acme.example/context'] = JSON.parse(JSON.stringify(context));
  callback(null, user, context);
}";
    let event = "exports.onExecutePostLogin = async (event, api) => api.idToken.setCustomClaim('https://acme.example/event', event);";
    let scene = Scene::with(|mut setup| {
        setup.top = "trusted_proxies = [\"127.0.0.0/8\"]".to_owned();
        setup.top_tables = "[rules]\ncountry_header = \"CF-IPCountry\"\n".to_owned();
        with_actions(with_rules(setup, &[Script("context", "", rule)]), "post-login", &[Script("event", "", event)])
    })
    .await;
    let tokens = scene.tokens(&Person::jane(), &[("login_hint", "jane"), ("custom", "yes"), ("ui_locales", "de en")]).await;
    let claims = tokens.claims();
    let (context, event) = (&claims["https://acme.example/context"], &claims["https://acme.example/event"]);
    for (at, expected) in [
        ("/tenant", json!("127.0.0.1")),
        ("/clientID", json!("notes")),
        ("/clientName", json!("Notes")),
        ("/connection", json!("acme")),
        ("/connectionStrategy", json!("samlp")),
        ("/protocol", json!("oidc-basic-profile")),
        ("/stats/loginsCount", json!(1)),
        ("/request/query/custom", json!("yes")),
        ("/request/ip", json!("127.0.0.1")),
        ("/authorization/roles", json!([])),
        ("/authentication/methods/0/name", json!("federated")),
    ] {
        assert_eq!(context.pointer(at), Some(&expected), "{at} in {context}");
    }
    for (at, expected) in [
        ("/user/user_id", json!(JANE)),
        ("/client/client_id", json!("notes")),
        ("/connection/name", json!("acme")),
        ("/tenant/id", json!("127.0.0.1")),
        ("/stats/logins_count", json!(1)),
        ("/transaction/requested_scopes", json!(["openid", "profile", "email", "groups"])),
        ("/transaction/login_hint", json!("jane")),
        ("/transaction/ui_locales", json!(["de", "en"])),
        ("/transaction/redirect_uri", json!("https://notes.example/callback")),
        ("/request/method", json!("POST")),
    ] {
        assert_eq!(event.pointer(at), Some(&expected), "{at} in {event}");
    }
    assert_eq!((event.get("organization"), event.get("refresh_token")), (None, None));
    // Neither what binds the answer to its request, nor the proof key, nor the binding cookie.
    let binding = scene.browser.cookie("login").expect("a cookie").value;
    for secret in ["a-nonce", "a state & more", "\"code_challenge\"", binding.as_str()] {
        assert!(!claims["https://acme.example/context"].to_string().contains(secret), "{secret}");
        assert!(!claims["https://acme.example/event"].to_string().contains(secret), "{secret}");
    }
}

#[tokio::test]
async fn details_j_scopes_are_taken_away_freely_and_added_only_where_they_are_known() {
    let action = "exports.onExecutePostLogin = async (event, api) => {
  api.accessToken.removeScope('email');
  for (const scope of ['phone', 'openid', 'offline_access', 'admin:everything']) api.accessToken.addScope(scope);
};";
    let scene = acting(&[Script("scopes", "", action)]).await;
    let tokens = scene.tokens(&Person::jane(), &[("scope", "openid profile email")]).await;
    let mut scopes: Vec<&str> = tokens.text("scope").split(' ').collect();
    scopes.sort_unstable();
    assert_eq!(scopes, ["openid", "phone", "profile"]);
    assert_eq!((tokens.claims().get("email"), tokens.answer.get("refresh_token")), (None, None));
}

#[tokio::test]
async fn without_scripts_no_login_carries_anything_of_them() {
    let scene = Scene::new().await;
    jane(&scene).await;
    assert!(runs(&scene).await.is_empty());
    let scene = ruled(&[Script("off", "enabled = false", "function (user, context, callback) { callback(new Error('never')); }")]).await;
    jane(&scene).await;
    assert!(runs(&scene).await.is_empty());
}

#[tokio::test]
async fn only_a_trusted_proxy_says_where_people_are() {
    let action = "exports.onExecutePostLogin = async (event, api) => {
  api.idToken.setCustomClaim('https://acme.example/where', [event.request.geoip.countryCode ?? 'nowhere', event.request.user_agent]);
};";
    for (trusted, expected) in [("trusted_proxies = [\"127.0.0.0/8\"]", "AT"), ("", "nowhere")] {
        let scene = Scene::with(|mut setup| {
            setup.top = trusted.to_owned();
            setup.top_tables = "[rules]\ncountry_header = \"CF-IPCountry\"\n".to_owned();
            with_actions(setup, "post-login", &[Script("where", "", action)])
        })
        .await;
        let tokens = jane(&scene).await;
        let form = [("grant_type", "refresh_token"), ("refresh_token", tokens.refresh_token())];
        let request = scene.gateway.client().post(scene.gateway.url("/oauth/token")).form(&form);
        let request = request.basic_auth("notes", Some(SECRET)).header("cf-ipcountry", "at").header("user-agent", "a test");
        let page = Page::read(request.send().await.expect("an answer"), &scene.gateway.url("/oauth/token")).await;
        assert_eq!(Tokens::of(&page).claims()["https://acme.example/where"], json!([expected, "a test"]));
    }
}
