//! Lines of docs/profile.md about tokens and what they tell: kinds of tokens, scopes, and what belongs to one login only.

use super::legacy::{tokeninfo, userinfo};
use super::{World, in_groups, person};
use crate::harness::app::{Tokens, assert_oauth_error};
use crate::harness::browser::Browser;
use crate::harness::gateway::Setup;
use crate::harness::idp::{DISPLAY_NAME, FAMILY_NAME, GIVEN_NAME, MAIL, Person};
use serde_json::json;

const EMAIL: &str = "jane@acme.example";
const PHONE_ATTRIBUTE: (&str, &str) = ("urn:oid:2.5.4.20", "telephoneNumber");

async fn tokens(world: &World, browser: &Browser, who: &Person, scope: &str) -> Tokens {
    let request = world.ask(browser, "acme", &[("scope", scope), ("prompt", "login")]).await;
    world.redeem(world.answer(browser, "acme", &request, who).await).await
}

#[tokio::test]
async fn s3_5_metadata_are_told_to_nobody_unless_a_table_releases_them() {
    let world = World::new(&[("acme", "")]).await;
    let jane = person("jane", EMAIL, true);
    world.user("acme", &jane).await;
    let patch = r#"{"user_metadata": {"hobby": "chess"}, "app_metadata": {"plan": "gold"}, "custom_fields": {"seen": "tour"}}"#;
    let (status, text) = world.command(&["user", "update", "samlp|acme|jane", "--patch", patch]).await;
    assert_eq!(status, 0, "{text}");
    let tokens = tokens(&world, &Browser::new(), &jane, "openid profile email address phone groups").await;
    let told = userinfo(&world, tokens.access_token(), "").await;
    assert_eq!((told.status, &told.json()["email"]), (200, &json!(EMAIL)));
    for answer in [tokens.claims(), told.json()] {
        for kept in ["chess", "gold", "tour", "metadata", "custom"] {
            assert!(!answer.to_string().contains(kept), "{kept} in {answer}");
        }
    }
}

#[tokio::test]
async fn s4_11_the_scope_says_which_claims_the_id_token_carries() {
    const CLAIMS: [&str; 8] =
        ["name", "given_name", "family_name", "email", "email_verified", "phone_number", "phone_number_verified", "groups"];
    let world = World::new(&[("acme", "")]).await;
    let jane = person("jane", EMAIL, true)
        .with(GIVEN_NAME, &["Jane"])
        .with(FAMILY_NAME, &["Doe"])
        .with(PHONE_ATTRIBUTE, &["+4366012345678"])
        .with(("phone_number_verified", ""), &["true"]);
    let jane = in_groups(jane, &["staff"]);
    for (scope, expected) in [
        ("openid", &[][..]),
        ("openid profile", &CLAIMS[..3]),
        ("openid email", &CLAIMS[3..5]),
        ("openid phone", &["phone_number"]),
        ("openid groups", &["groups"]),
    ] {
        let tokens = tokens(&world, &Browser::new(), &jane, scope).await;
        let told = userinfo(&world, tokens.access_token(), "").await.json();
        for answer in [tokens.claims(), told] {
            let found: Vec<&str> = CLAIMS.into_iter().filter(|claim| answer.get(claim).is_some()).collect();
            assert_eq!((found.as_slice(), &answer["sub"]), (expected, &json!("samlp|acme|jane")), "{scope}: {answer}");
        }
    }
}

#[tokio::test]
async fn s4_12_each_kind_of_token_is_good_for_one_thing() {
    let world = World::with(&[("acme", "")], "legacy_profile = true").await;
    let tokens = tokens(&world, &Browser::new(), &person("jane", EMAIL, true), "openid offline_access").await;
    for (name, wrong) in [("ID token", tokens.id_token()), ("refresh token", tokens.refresh_token())] {
        assert_eq!(userinfo(&world, wrong, "").await.status, 401, "{name} as an access token");
    }
    for (name, wrong) in [("access token", tokens.access_token()), ("refresh token", tokens.refresh_token())] {
        assert_eq!(tokeninfo(&world, wrong, None).await.status, 401, "{name} as an ID token");
    }
    for (name, wrong) in [("access token", tokens.access_token()), ("ID token", tokens.id_token())] {
        let page = world.app.refresh(&world.gateway, wrong, &[]).await;
        assert_eq!(page.status, 400, "{name} as a refresh token: {}", page.body);
        assert_oauth_error(&page, 400, "invalid_grant");
    }
    // Each is good where it belongs, and nobody is shown a token of the identity provider.
    assert_eq!(tokeninfo(&world, tokens.id_token(), None).await.status, 200);
    for dialect in ["auth0", "gigya", "logto"] {
        let told = userinfo(&world, tokens.access_token(), &format!("?dialect={dialect}")).await;
        assert!(told.status == 200 && !told.body.to_lowercase().contains("token"), "{}", told.body);
    }
    Tokens::of(&world.app.refresh(&world.gateway, tokens.refresh_token(), &[]).await);
}

#[tokio::test]
async fn s4_21_what_is_for_one_login_shows_in_no_other_view() {
    const PHONE: &str = "+4366012345678";
    let world = World::with(&[("acme", "non_persistent_attrs = [\"phone_number\"]")], "legacy_profile = true").await;
    let (browser, jane) = (Browser::new(), person("jane", EMAIL, true).with(PHONE_ATTRIBUTE, &[PHONE]));
    let own = tokens(&world, &browser, &jane, "openid").await;
    for (dialect, seen) in [("auth0", true), ("gigya", true), ("logto", true)] {
        let told = userinfo(&world, own.access_token(), &format!("?dialect={dialect}")).await.body;
        assert_eq!(told.contains(PHONE), seen, "the login itself, in {dialect}: {told}");
        let outside = tokeninfo(&world, own.id_token(), Some(dialect)).await;
        assert!(outside.status == 200 && !outside.body.contains(PHONE), "/tokeninfo in {dialect}: {}", outside.body);
    }
    let (status, shown) = world.command(&["user", "show", "samlp|acme|jane", "--json"]).await;
    assert!(status == 0 && shown.contains(EMAIL) && !shown.contains(PHONE), "{shown}");
    // Single sign-on is another transaction.
    let again = world.redeem(browser.open(world.app.authorize(&world.gateway, &[]).as_str()).await).await;
    let told = userinfo(&world, again.access_token(), "").await;
    assert!(told.body.contains(EMAIL) && !told.body.contains(PHONE), "{}", told.body);
}

/// A row finds its way at any depth; what an expression makes is named itself.
#[tokio::test]
async fn details_a_fields_of_expressions_and_deep_ones_are_kept_out_by_their_names() {
    const TABLE: &str = r#"
direction = "to_profile"
extends = "saml"
[[row]]
field = "custom.hr.salary"
from = ["salary"]
[[row]]
field = "title"
cel = 'attributes.salary[0] + " a month"'
"#;
    const SALARY: &str = "4711-EUR";
    let lines = "mapping = \"own\"\nnon_persistent_attrs = [\"salary\", \"title\"]";
    let world = World::of(Setup::new().file("mappings/own.toml", TABLE), &[("acme", lines)], "legacy_profile = true").await;
    let who = person("jane", EMAIL, true).with(("salary", "salary"), &[SALARY]);
    let own = tokens(&world, &Browser::new(), &who, "openid").await;
    let told = userinfo(&world, own.access_token(), "").await.json();
    assert_eq!((&told["title"], &told["hr"]["salary"]), (&json!("4711-EUR a month"), &json!([SALARY])), "{told}");
    let (status, shown) = world.command(&["user", "show", "samlp|acme|jane", "--json"]).await;
    assert!(status == 0 && shown.contains(EMAIL) && !shown.contains(SALARY), "{shown}");
    assert!(!tokeninfo(&world, own.id_token(), None).await.body.contains(SALARY));
}

#[tokio::test]
async fn s4_28_the_tokens_of_a_login_tell_that_login() {
    for application in ["", "legacy_profile = true"] {
        let world = World::with(&[("acme", "")], application).await;
        let named = |name: &str| Person::new("jane").with(MAIL, &[EMAIL]).with(DISPLAY_NAME, &[name]);
        let first = world.sign_in("acme", &named("Jane Doe")).await;
        let second = world.sign_in("acme", &named("Jane Married")).await;
        for (tokens, name) in [(&first, "Jane Doe"), (&second, "Jane Married")] {
            assert_eq!(tokens.claims()["name"], name, "{application}");
            let told = userinfo(&world, tokens.access_token(), "").await.json();
            assert_eq!(told["name"], name, "{application}: {told}");
        }
    }
}
