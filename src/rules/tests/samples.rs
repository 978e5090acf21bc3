//! The scripts in `rules/samples/` do what their first lines say.

use super::*;
use crate::clock::Timestamp;
use crate::oidc::jose;
use std::path::Path;

const DIRECTORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/rules/samples");

/// A sample by its file's name; what it is, its text says.
fn sample(name: &str) -> Script {
    let code = std::fs::read_to_string(Path::new(DIRECTORY).join(format!("{name}.js"))).expect("a sample");
    let kind = if code.contains("exports.onExecutePostLogin") { Kind::Action(Trigger::PostLogin) } else { Kind::Rule };
    script(kind, name, &code)
}

fn with(change: impl FnOnce(&mut LoginInput)) -> LoginInput {
    let mut given = input();
    change(&mut given);
    given
}

/// Sets members of the user.
fn user(members: Value) -> LoginInput {
    with(|given| given.user.extend(map(members)))
}

async fn one(name: &str, given: LoginInput) -> Outcome {
    run_with(&scripts(vec![sample(name)]), given).await
}

#[test]
fn every_sample_is_read_and_says_what_it_does() {
    let mut count = 0;
    for file in std::fs::read_dir(DIRECTORY).expect("samples") {
        let name = file.expect("a file").file_name().into_string().expect("a name");
        let sample = sample(name.strip_suffix(".js").expect("JavaScript"));
        assert_eq!(check(&sample), Ok(()), "{name}");
        assert!(sample.code.starts_with("// "), "{name}");
        let tests = include_str!("samples.rs");
        assert!(tests.contains(&format!("\"{}\"", sample.name)), "{name} has no test");
        count += 1;
    }
    assert!(count >= 12);
}

#[tokio::test]
async fn s4_19_s4_23_add_attribute_for_a_connection() {
    let outcome = one("add-attribute", input()).await;
    assert_eq!(
        (&outcome.user["company"], &outcome.id_token_claims["https://example.com/company"]),
        (&json!("Acme Ltd"), &json!("Acme Ltd"))
    );
    assert!(outcome.persist.is_empty());
    let other = one("add-attribute", with(|given| drop(given.context.insert("connection".into(), "globex".into())))).await;
    assert_eq!((other.user, other.id_token_claims.len()), (input().user, 0));
}

#[tokio::test]
async fn s4_20_s4_23_add_persistent_attribute() {
    let german = with(|given| drop(given.context.insert("request".into(), json!({ "acceptLanguage": "DE-de,en" }))));
    let outcome = one("add-persistent-attribute", german).await;
    assert_eq!(Value::Object(outcome.persist[0].user_metadata.clone()), json!({ "language": "de" }));
    let known = one("add-persistent-attribute", user(json!({ "user_metadata": { "language": "fr" } }))).await;
    assert!(known.persist.is_empty());
}

#[tokio::test]
async fn s4_23_set_roles() {
    let outcome = one("set-roles", input()).await;
    assert_eq!(Value::Object(outcome.persist[0].app_metadata.clone()), json!({ "roles": ["member", "editor"] }));
    assert_eq!(outcome.id_token_claims["https://example.com/roles"], json!(["member", "editor"]));
    let unverified = one("set-roles", user(json!({ "email_verified": false }))).await;
    assert_eq!(unverified.id_token_claims["https://example.com/roles"], json!(["guest"]));
    let known = one("set-roles", user(json!({ "app_metadata": { "roles": ["member", "editor"] } }))).await;
    assert!(known.persist.is_empty() && known.id_token_claims.len() == 1);
}

#[tokio::test]
async fn s4_23_saml_attribute_mapping() {
    let outcome = one("saml-attributes", with(|given| drop(given.context.insert("clientID".into(), "payroll".into())))).await;
    assert_eq!(outcome.saml["mappings"]["urn:example:food"], "user_metadata.favorite_food");
    assert!(one("saml-attributes", input()).await.saml.is_empty());
}

#[tokio::test]
async fn allow_list_of_domains() {
    let mut all = scripts(vec![sample("allow-domains")]);
    let denied = async |all: &Scripts, given: LoginInput| run_with(all, given).await.denied.is_some();
    assert!(denied(&all, input()).await, "an empty list lets nobody in");
    assert!(denied(&all, user(json!({ "email": "" }))).await);
    all.configuration = Arc::new([("ALLOWED_DOMAINS".to_owned(), secret("globex.example, ACME.example"))].into());
    assert!(!denied(&all, input()).await);
    assert!(denied(&all, user(json!({ "email": "jane@evil-acme.example" }))).await);
    assert!(denied(&all, user(json!({ "email_verified": false }))).await);
}

#[tokio::test]
async fn force_verified_email() {
    assert!(one("force-verified-email", input()).await.denied.is_none());
    for claim in [json!(false), json!("true"), Value::Null] {
        assert!(one("force-verified-email", user(json!({ "email_verified": claim }))).await.denied.is_some(), "{claim}");
    }
}

#[tokio::test]
async fn groups_to_roles() {
    let groups = json!({ "groups": ["CN=App-Users,OU=Groups,DC=acme,DC=example", "constructor", "other"] });
    let outcome = one("groups-to-roles", user(groups)).await;
    assert_eq!(outcome.access_token_claims["https://example.com/roles"], json!(["user"]));
    let message = "You have no role in this application.";
    assert_eq!(one("groups-to-roles", input()).await.denied.map(|denial| denial.message).as_deref(), Some(message));
}

#[tokio::test]
async fn link_to_a_recorded_primary_user() {
    let recorded = json!({ "app_metadata": { "primary_user": "samlp|acme|main" } });
    assert_eq!(one("primary-user", user(recorded.clone())).await.primary_user.as_deref(), Some("samlp|acme|main"));
    let mut unverified = user(recorded);
    unverified.user.insert("email_verified".into(), false.into());
    let outcome = one("primary-user", unverified).await;
    assert_eq!((&outcome.primary_user, log(&outcome).len()), (&None, 1));
    assert_eq!(one("primary-user", input()).await.primary_user, None);
}

#[tokio::test]
async fn claims_in_a_namespace() {
    let outcome = one("namespaced-claims", user(json!({ "department": "sales" }))).await;
    assert_eq!(
        Value::Object(outcome.id_token_claims),
        json!({ "https://example.com/department": "sales", "https://example.com/plan": "gold" })
    );
}

#[tokio::test]
async fn deny_by_country() {
    let denied = async |country: Value, unknown: &str| {
        let mut sample = sample("deny-country");
        sample.secrets = [("REFUSED_COUNTRIES".to_owned(), secret("xx, yy")), ("UNKNOWN_COUNTRY".to_owned(), secret(unknown))].into();
        let given = with(|given| drop(given.event.insert("request".into(), json!({ "geoip": country }))));
        run_with(&scripts(vec![sample]), given).await.denied.is_some()
    };
    assert!(denied(json!({ "countryCode": "XX" }), "allow").await);
    assert!(!denied(json!({ "countryCode": "AQ" }), "deny").await);
    assert!(denied(json!({}), "deny").await && !denied(json!({}), "allow").await && denied(Value::Null, "").await);
}

#[tokio::test]
async fn first_login_flag() {
    let outcome = one("first-login", input()).await;
    assert_eq!(outcome.id_token_claims["https://example.com/first_login"], true);
    let at = outcome.persist[0].app_metadata["first_login_at"].as_str().and_then(Timestamp::parse).expect("a date");
    assert!(Timestamp::now().seconds_since(at) < 60);
    let later = one("first-login", user(json!({ "app_metadata": { "first_login_at": "2026-01-01T00:00:00Z" } }))).await;
    assert!(later.persist.is_empty() && later.id_token_claims.is_empty());
}

#[tokio::test]
async fn step_up_by_acr() {
    let asked = |authentication: Value| {
        with(|given| {
            given.event.insert("transaction".into(), json!({ "requested_scopes": ["openid", "write:payments"] }));
            given.event.insert("authentication".into(), authentication);
        })
    };
    let weak = one("step-up", asked(json!({ "methods": [{ "name": "pwd" }] }))).await;
    assert_eq!(weak.scopes, Some(vec!["openid".to_owned()]));
    assert_eq!(one("step-up", asked(Value::Null)).await.scopes, Some(vec!["openid".to_owned()]));
    assert_eq!(one("step-up", asked(json!({ "methods": [{ "name": "mfa" }] }))).await.scopes, None);
    assert_eq!(one("step-up", asked(json!({ "acr": "https://refeds.org/profile/mfa" }))).await.scopes, None);
}

/// A directory of people that counts its requests.
struct People(std::sync::atomic::AtomicUsize);

impl Fetch for People {
    fn fetch(&self, request: FetchRequest) -> Pin<Box<dyn Future<Output = Result<FetchAnswer>> + Send + '_>> {
        let count = self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let known = request.url == "https://directory.example.com/people/samlp%7Cacme%7Cjane"
            && request.headers == [("authorization".to_owned(), "Bearer key-of-the-directory".to_owned())];
        let (status, body) = if known && count == 0 { (200, "{\"cost_centre\":4711}") } else { (500, "") };
        Box::pin(async move { Ok(FetchAnswer { status, headers: Vec::new(), body: body.to_owned() }) })
    }
}

#[tokio::test]
async fn enrichment_by_a_listed_host() {
    let mut sample = sample("enrich");
    sample.secrets.insert("DIRECTORY_KEY".to_owned(), secret("key-of-the-directory"));
    let unlisted = run(vec![sample.clone()]).await;
    assert!(unlisted.id_token_claims.is_empty() && log(&unlisted)[0].contains("not among the hosts"));
    sample.hosts.push("directory.example.com".to_owned());
    let (host, all) = (Host::new(1, Arc::new(People(0.into()))), scripts(vec![sample]));
    for _ in 0..2 {
        let outcome = host.login(&all, input()).await.expect("ran");
        assert_eq!(outcome.id_token_claims["https://example.com/cost_centre"], "4711", "{:?}", outcome.ran);
    }
    let stranger = host.login(&all, user(json!({ "user_id": "samlp|acme|joe" }))).await.expect("ran");
    assert_eq!((log(&stranger), stranger.failed.as_ref()), (vec!["warning: no cost centre: the directory answered 500"], None));
}

#[tokio::test]
async fn terms_by_a_redirect() {
    const SECRET: &str = "0123456789abcdef0123456789abcdef";
    let mut sample = sample("terms-redirect");
    sample.secrets.insert("TERMS_SECRET".to_owned(), secret(SECRET));
    let all = scripts(vec![sample]);
    let first = run_with(&all, with(|given| drop(given.event.insert("request".into(), json!({ "hostname": "login.acme.example" }))))).await;
    let redirect = first.redirect.clone().expect("a redirect");
    let sent = redirect.url.strip_prefix("https://terms.example.com/accept?session_token=").expect("a token");
    let claims = jose::verify_shared(&secret(SECRET), sent).expect("signed");
    assert_eq!((&claims["version"], &claims["continue_uri"]), (&json!(2), &json!("https://login.acme.example/continue")));
    let back = async |accepted: Value, sub: &str| {
        let claims = json!({ "sub": sub, "exp": Timestamp::now().seconds() + 60, "accepted": accepted, "state": "st" });
        let token = jose::sign_shared(&secret(SECRET), &map(claims)).expect("signed");
        let query = map(json!({ "session_token": token, "state": "st" }));
        let resume = Resume { script: redirect.script.clone(), so_far: first.clone(), query, body: Map::new() };
        run_with(&all, LoginInput { resume: Some(resume), ..input() }).await
    };
    let accepted = back(json!(2), "samlp|acme|jane").await;
    assert_eq!((&accepted.failed, &accepted.denied, &accepted.persist[0].app_metadata["terms"]), (&None, &None, &json!(2)));
    assert!(back(json!(1), "samlp|acme|jane").await.denied.is_some());
    assert!(back(json!(2), "samlp|acme|joe").await.failed.is_some(), "somebody else's answer");
    assert!(run_with(&all, LoginInput { no_redirect: true, ..input() }).await.denied.is_some());
    assert_eq!(run_with(&all, user(json!({ "app_metadata": { "terms": 2 } }))).await.redirect, None);
}
