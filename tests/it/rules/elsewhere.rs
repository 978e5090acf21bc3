//! Scripts that send people to another page, and their return.

use super::{Script, acting, command, newest, ruled, runs, stored};
use crate::harness::app::{App, Tokens, assert_oauth_error};
use crate::harness::browser::{Browser, Departure};
use crate::harness::gateway::Setup;
use crate::harness::idp::{Idp, Person};
use crate::harness::keys::Pair;
use crate::harness::scene::Scene;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::sign::Signer;
use serde_json::{Value, json};
use url::Url;

const PAGE: &str = "https://terms.example/ask";

/// Asks for consent once, and stores that it was given.
const TERMS: Script<'_> = Script(
    "terms",
    "",
    "exports.onExecutePostLogin = async (event, api) => {
  if (!event.user.app_metadata.terms && api.redirect.canRedirect()) {
    api.idToken.setCustomClaim('https://acme.example/asked', true);
    api.redirect.sendUserTo('https://terms.example/ask', { query: { lang: 'en' } });
  }
};
exports.onContinuePostLogin = async (event, api) => {
  const given = event.request.query.terms || event.request.body.terms;
  if (given !== 'yes') return api.access.deny('The terms were not accepted.');
  api.user.setAppMetadata('terms', true);
  api.idToken.setCustomClaim('https://acme.example/terms', given);
};",
);

/// A rule that does the same.
const RULE: Script<'_> = Script(
    "terms-rule",
    "",
    "async function (user, context, callback) {
  if (context.protocol === 'redirect-callback') {
    context.idToken['https://acme.example/terms'] = context.request.query.terms;
  } else {
    context.redirect = { url: 'https://terms.example/ask' };
  }
  callback(null, user, context);
}",
);

fn back(scene: &Scene, away: &Departure, parameters: &str) -> String {
    assert!(away.url.as_str().starts_with(PAGE), "{}", away.url);
    let state = away.parameter("state").expect("a state");
    scene.gateway.url(&format!("/continue?state={state}{parameters}")).into()
}

async fn tokens(scene: &Scene, answer: &Departure) -> Tokens {
    let code = scene.app.code(&scene.gateway, answer);
    Tokens::of(&scene.app.redeem(&scene.gateway, &code, &[]).await)
}

#[tokio::test]
async fn details_j_an_action_sends_the_person_away_and_goes_on_where_it_stopped() {
    let scene = acting(&[TERMS]).await;
    let away = scene.sign_in(&Person::jane(), &[]).await;
    assert_eq!(away.parameter("lang").as_deref(), Some("en"));
    assert!(scene.browser.cookie("session").is_none(), "no session before the scripts have ended well");
    assert_eq!(stored(&scene, "samlp|acme|jane-1").await["app_metadata"], json!({}));
    let url = back(&scene, &away, "&terms=yes");
    let answer = scene.browser.open(&url).await.away();
    let claims = tokens(&scene, &answer).await.claims();
    assert_eq!((&claims["https://acme.example/asked"], &claims["https://acme.example/terms"]), (&json!(true), &json!("yes")));
    assert!(scene.browser.cookie("session").is_some());
    assert_eq!(stored(&scene, "samlp|acme|jane-1").await["app_metadata"], json!({"terms": true}));
    let statuses: Vec<_> = runs(&scene).await.into_iter().map(|run| run["status"].clone()).collect();
    assert_eq!(statuses, ["redirected", "done"]);
    // Each step is good for one return.
    scene.browser.open(&url).await.here().assert_refused(409, "ISTH-2003");
    // Next time nobody asks.
    tokens(&scene, &scene.again(&[]).await).await;
}

#[tokio::test]
async fn details_i_a_rule_sends_the_person_away_and_all_rules_run_again() {
    let scene = ruled(&[RULE]).await;
    let away = scene.sign_in(&Person::jane(), &[]).await;
    let answer = scene.browser.open(&back(&scene, &away, "&terms=yes")).await.away();
    assert_eq!(tokens(&scene, &answer).await.claims()["https://acme.example/terms"], "yes");
}

#[tokio::test]
async fn the_return_may_be_refused_by_the_script() {
    let scene = acting(&[TERMS]).await;
    let away = scene.sign_in(&Person::jane(), &[]).await;
    let url = back(&scene, &away, "&terms=no");
    let answer = scene.browser.open(&url).await.away();
    assert_eq!(scene.app.error(&scene.gateway, &answer), ("access_denied".to_owned(), "The terms were not accepted.".to_owned()));
    assert!(scene.browser.cookie("session").is_none());
    scene.browser.open(&url).await.here().assert_refused(409, "ISTH-2003");
    assert_eq!(newest(&scene).await.0["outcome"], "ISTH-3009");
}

#[tokio::test]
async fn a_session_that_answers_may_be_sent_away_too_and_stays() {
    let scene = acting(&[TERMS]).await;
    let away = scene.sign_in(&Person::jane(), &[]).await;
    tokens(&scene, &scene.browser.open(&back(&scene, &away, "&terms=yes")).await.away()).await;
    let (status, output) =
        command(&scene, &["user", "update", "samlp|acme|jane-1", "--patch", r#"{"app_metadata": {"terms": null}}"#]).await;
    assert_eq!(status, 0, "{output}");
    let session = scene.browser.cookie("session").expect("a session").value;
    let away = scene.again(&[]).await;
    let url = back(&scene, &away, "&terms=yes");
    // Another browser has no part in it.
    Browser::new().open(&url).await.here().assert_refused(400, "ISTH-2005");
    let claims = tokens(&scene, &scene.browser.open(&url).await.away()).await.claims();
    assert_eq!(claims["https://acme.example/terms"], "yes");
    assert_eq!(scene.browser.cookie("session").expect("a session").value, session, "the session stays the same");
}

#[tokio::test]
async fn a_return_belongs_to_the_browser_that_went() {
    let scene = acting(&[TERMS]).await;
    let away = scene.sign_in(&Person::jane(), &[]).await;
    let url = back(&scene, &away, "&terms=yes");
    Browser::new().open(&url).await.here().assert_refused(400, "ISTH-2005");
    let other = Browser::new();
    other.open(scene.app.authorize(&scene.gateway, &[]).as_str()).await.away();
    other.open(&url).await.here().assert_refused(403, "ISTH-2004");
    // A state that was not given is none, whatever login it names.
    let state = away.parameter("state").expect("a state");
    let forged = format!("{}{}", &state[..32], "0".repeat(32));
    let forged = scene.gateway.url(&format!("/continue?state={forged}&terms=yes"));
    scene.browser.open(forged.as_str()).await.here().assert_refused(400, "ISTH-2002");
    for bad in ["", "?state=x", "?state=%00"] {
        assert_eq!(scene.browser.open(scene.gateway.url(&format!("/continue{bad}")).as_str()).await.here().status, 400, "{bad}");
    }
    // None of that has ended the login.
    tokens(&scene, &scene.browser.open(&url).await.away()).await;
}

#[tokio::test]
async fn nobody_is_sent_away_without_a_browser_to_show_a_page_in() {
    let always = "exports.onExecutePostLogin = async (event, api) => {
  if (event.request.query.go || event.refresh_token) api.redirect.sendUserTo('https://terms.example/ask');
};";
    let scene = acting(&[Script("always", "", always)]).await;
    let signed_in = super::jane(&scene).await;
    let (error, _) = scene.app.error(&scene.gateway, &scene.again(&[("prompt", "none"), ("go", "1")]).await);
    assert_eq!(error, "interaction_required");
    let refreshed = scene.app.refresh(&scene.gateway, signed_in.refresh_token(), &[]).await;
    assert_oauth_error(&refreshed, 400, "interaction_required");
}

#[tokio::test]
async fn a_login_is_sent_away_ten_times_at_most() {
    let forever = "exports.onExecutePostLogin = async (event, api) => api.redirect.sendUserTo('https://terms.example/ask');
exports.onContinuePostLogin = exports.onExecutePostLogin;";
    let scene = acting(&[Script("forever", "", forever)]).await;
    let mut away = scene.sign_in(&Person::jane(), &[]).await;
    let mut times = 0;
    while away.url.as_str().starts_with(PAGE) {
        times += 1;
        assert!(times <= 10, "it goes on and on");
        away = scene.browser.open(&back(&scene, &away, "")).await.away();
    }
    assert_eq!(times, 10);
    assert_eq!(scene.app.error(&scene.gateway, &away).0, "server_error");
}

#[tokio::test]
async fn the_return_may_be_a_form_from_another_site() {
    let pair = Pair::rsa("localhost");
    let (idp, app) = (Idp::new("acme"), App::new("notes"));
    let setup = Setup { host: "localhost", ..Setup::new() }.secure(&pair).connection(&idp.toml("", "")).application(&app.toml("", ""));
    let mut scene = Scene::of(super::with_actions(setup, "post-login", &[TERMS]), idp, app).await;
    scene.browser = Browser::trusting(&pair.certificate_pem());
    let away = scene.sign_in(&Person::jane(), &[]).await;
    let to = Url::parse(&back(&scene, &away, "")).expect("an address");
    let answer = scene.browser.post(&away.url, &to, &[("terms".to_owned(), "yes".to_owned())]).await.away();
    let claims = tokens(&scene, &answer).await.claims();
    assert_eq!(claims["https://acme.example/terms"], "yes");
}

#[tokio::test]
async fn s4_27_the_login_goes_on_as_the_user_to_whom_its_identity_was_linked_meanwhile() {
    let link = "exports.onExecutePostLogin = async (event, api) => {
  if (event.user.user_id.startsWith('samlp|acme|')) api.redirect.sendUserTo('https://terms.example/ask');
};
exports.onContinuePostLogin = async (event, api) => api.authentication.setPrimaryUser(event.request.query.primary);";
    let (idp, other, app) = (Idp::new("acme"), Idp::new("main"), App::new("notes"));
    let setup = Setup::new().connection(&idp.toml("", "")).connection(&other.toml("", "")).application(&app.toml("", ""));
    let scene = Scene::of(super::with_actions(setup, "post-login", &[Script("link", "", link)]), idp, app).await;
    let known = Browser::new();
    let request = other.read(&known.open(scene.app.authorize(&scene.gateway, &[("connection", "main")]).as_str()).await.away());
    let answer = other.respond(&request, &Person::zoe());
    let landed = known.post(&answer.from, &answer.to, &answer.fields()).await.away();
    let primary = tokens(&scene, &landed).await.claims()["sub"].as_str().expect("a subject").to_owned();
    // Not linked: the script names somebody else's account.
    let away = scene.sign_in(&Person::jane(), &[("connection", "acme")]).await;
    let name = url::form_urlencoded::byte_serialize(primary.as_bytes()).collect::<String>();
    let answer = scene.browser.open(&back(&scene, &away, &format!("&primary={name}"))).await.away();
    assert_eq!(scene.app.error(&scene.gateway, &answer).0, "server_error");
    // Linked while the person was away.
    let away = scene.sign_in(&Person::jane(), &[("connection", "acme")]).await;
    let (status, output) = command(&scene, &["user", "link", &primary, "samlp|acme|jane-1"]).await;
    assert_eq!(status, 0, "{output}");
    let answer = scene.browser.open(&back(&scene, &away, &format!("&primary={name}"))).await.away();
    assert_eq!(tokens(&scene, &answer).await.claims()["sub"], primary.as_str());
    let again = tokens(&scene, &scene.again(&[("connection", "acme")]).await).await;
    assert_eq!(again.claims()["sub"], primary.as_str());
}

#[tokio::test]
async fn a_return_that_comes_twice_at_once_runs_the_scripts_once() {
    let counting = "exports.onExecutePostLogin = async (event, api) => api.redirect.sendUserTo('https://terms.example/ask');
exports.onContinuePostLogin = async (event, api) => {
  api.user.setAppMetadata('return' + Math.random().toString(36).slice(2), true);
  await new Promise((resolve) => setTimeout(resolve, 300));
};";
    let scene = acting(&[Script("counting", "", counting)]).await;
    let away = scene.sign_in(&Person::jane(), &[]).await;
    let url = back(&scene, &away, "");
    let landed: [_; 4] =
        tokio::join!(scene.browser.open(&url), scene.browser.open(&url), scene.browser.open(&url), scene.browser.open(&url)).into();
    let codes = landed.into_iter().filter(|landed| matches!(landed, crate::harness::browser::Landed::Away(_))).count();
    assert_eq!(codes, 1, "one of them has the login");
    let user = stored(&scene, "samlp|acme|jane-1").await;
    assert_eq!(user["app_metadata"].as_object().map(serde_json::Map::len), Some(1), "{user}");
}

#[tokio::test]
async fn details_i_a_return_to_a_rule_runs_the_rules_again_whatever_actions_are_called() {
    let guard = Script(
        "terms",
        "",
        "function (user, context, callback) {
  if (context.protocol !== 'redirect-callback') context.redirect = { url: 'https://terms.example/ask' };
  else if (context.request.query.terms !== 'yes') return callback(new UnauthorizedError('The terms were not accepted.'));
  callback(null, user, context);
}",
    );
    let action = Script("terms", "", "exports.onExecutePostLogin = async () => {};");
    let scene = Scene::with(|setup| super::with_actions(super::with_rules(setup, &[guard]), "post-login", &[action])).await;
    let away = scene.sign_in(&Person::jane(), &[]).await;
    let answer = scene.browser.open(&back(&scene, &away, "")).await.away();
    assert_eq!(scene.app.error(&scene.gateway, &answer).0, "access_denied");
}

const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// Lets only those on for whom the page has signed a token.
const VERIFIED: Script<'_> = Script(
    "verified",
    "",
    "exports.onExecutePostLogin = async (event, api) => { api.redirect.sendUserTo('https://terms.example/ask'); };
exports.onContinuePostLogin = async (event, api) => {
  let claims;
  try {
    claims = api.redirect.validateToken({ secret: '0123456789abcdef0123456789abcdef', tokenParameterName: 'answer' });
  } catch (error) {
    return api.access.deny(error.message);
  }
  api.idToken.setCustomClaim('https://acme.example/checked', claims.checked);
};",
);

/// A page's token, as any JOSE library makes it.
fn page_token(claims: &Value) -> String {
    let encoded = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let signed = format!("{}.{}", encoded(r#"{"alg":"HS256","typ":"JWT"}"#), encoded(&claims.to_string()));
    let key = PKey::hmac(SECRET.as_bytes()).unwrap();
    let mut signer = Signer::new(MessageDigest::sha256(), &key).unwrap();
    signer.update(signed.as_bytes()).unwrap();
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signer.sign_to_vec().unwrap()))
}

#[tokio::test]
async fn details_j_a_pages_token_is_good_for_the_return_that_it_names() {
    let scene = acting(&[VERIFIED]).await;
    let claims = |state: &str| json!({"sub": "samlp|acme|jane-1", "iss": "https://terms.example", "exp": 4_000_000_000_u64, "state": state, "checked": "yes"});
    let away = scene.sign_in(&Person::jane(), &[]).await;
    let first = page_token(&claims(&away.parameter("state").expect("a state")));
    let answer = scene.browser.open(&back(&scene, &away, &format!("&answer={first}"))).await.away();
    assert_eq!(tokens(&scene, &answer).await.claims()["https://acme.example/checked"], "yes");
    // The same in another login, and one that is for none.
    let mut for_none = claims("");
    for_none.as_object_mut().unwrap().remove("state");
    for (token, why) in [(first, "belongs to another return"), (page_token(&for_none), "does not name the return")] {
        let away = scene.sign_in(&Person::jane(), &[("prompt", "login")]).await;
        let answer = scene.browser.open(&back(&scene, &away, &format!("&answer={token}"))).await.away();
        assert_eq!(answer.parameter("error").as_deref(), Some("access_denied"));
        assert!(answer.parameter("error_description").expect("a description").contains(why));
    }
}
