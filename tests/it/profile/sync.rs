//! What follows the identity provider at each login, what does not, and what is nowhere stored.

use super::{World, in_groups, person};
use crate::harness::app::Tokens;
use crate::harness::browser::Browser;
use crate::harness::idp::{DISPLAY_NAME, GIVEN_NAME, MAIL, Person};
use serde_json::json;

const EMAIL: &str = "jane@acme.example";

fn named(name: &str, given: Option<&str>) -> Person {
    let jane = Person::new("jane").with(MAIL, &[EMAIL]).with(DISPLAY_NAME, &[name]);
    given.map_or_else(|| jane.clone(), |given| jane.clone().with(GIVEN_NAME, &[given]))
}

#[tokio::test]
async fn s1_5_s4_4_root_attributes_follow_each_login() {
    let world = World::new(&[("acme", "")]).await;
    assert_eq!(world.sign_in("acme", &named("Jane Doe", Some("Jane"))).await.claims()["given_name"], "Jane");
    let claims = world.sign_in("acme", &named("Jane Married", None)).await.claims();
    assert_eq!((&claims["name"], claims.get("given_name")), (&json!("Jane Married"), None));
    let (status, text) = world.command(&["user", "update", "samlp|acme|jane", "--patch", r#"{"name": "Mine"}"#]).await;
    assert!(status == 1 && text.contains("name"), "{status} {text}");
    assert_eq!(world.sign_in("acme", &named("Jane Married", None)).await.claims()["name"], "Jane Married");
}

#[tokio::test]
async fn s1_6_s1_8_root_attributes_of_the_first_login_stay_and_are_the_operator_s() {
    let world = World::new(&[("acme", "profile_sync = \"on_first_login\"")]).await;
    world.sign_in("acme", &named("Jane Doe", Some("Jane"))).await;
    let claims = world.sign_in("acme", &named("Jane Married", None)).await.claims();
    assert_eq!((&claims["name"], &claims["given_name"]), (&json!("Jane Doe"), &json!("Jane")));
    let patch = r#"{"name": "J. Doe", "given_name": null}"#;
    let (status, text) = world.command(&["user", "update", "samlp|acme|jane", "--patch", patch]).await;
    assert_eq!(status, 0, "{text}");
    let claims = world.sign_in("acme", &named("Jane Again", Some("Jane"))).await.claims();
    assert_eq!((&claims["name"], claims.get("given_name")), (&json!("J. Doe"), None));
}

#[tokio::test]
async fn details_a_root_attributes_may_never_come_from_the_connection() {
    let world = World::new(&[("acme", "profile_sync = \"never_on_login\"")]).await;
    let claims = world.sign_in("acme", &named("Jane Doe", Some("Jane"))).await.claims();
    // What is always there is made from the rest.
    assert_eq!((&claims["name"], &claims["nickname"], claims.get("given_name")), (&json!(EMAIL), &json!("jane"), None));
}

/// keycloak/keycloak#36578, #13461: a group that was taken away upstream stayed.
#[tokio::test]
async fn groups_that_are_taken_away_upstream_go() {
    let world = World::new(&[("acme", "")]).await;
    let groups = |list: &'static [&'static str]| in_groups(person("jane", EMAIL, true), list);
    assert_eq!(world.sign_in("acme", &groups(&["staff", "admins"])).await.claims()["groups"], json!(["staff", "admins"]));
    let (status, text) = world.command(&["user", "update", "samlp|acme|jane", "--patch", r#"{"groups": ["vip"]}"#]).await;
    assert_eq!(status, 0, "{text}");
    assert_eq!(world.sign_in("acme", &groups(&["staff"])).await.claims()["groups"], json!(["staff", "vip"]));
    let nothing = person("jane", EMAIL, true);
    assert_eq!(world.sign_in("acme", &nothing).await.claims()["groups"], json!(["vip"]));
}

#[tokio::test]
async fn details_a_what_is_not_to_be_kept_is_used_and_nowhere_stored() {
    const PHONE: &str = "+4366012345678";
    const ROOM: &str = "room-4711-west";
    let lines = "non_persistent_attrs = [\"phone_number\", \"urn:example:room\"]";
    let world = World::with(&[("acme", lines)], "").await;
    let jane = named("Jane Doe", None).with(("urn:oid:2.5.4.20", "telephoneNumber"), &[PHONE]).with(("urn:example:room", "room"), &[ROOM]);
    let browser = Browser::new();
    let request = world.ask(&browser, "acme", &[("scope", "openid profile phone offline_access")]).await;
    let code = world.app.code(&world.gateway, &world.answer(&browser, "acme", &request, &jane).await.away());
    let page = world.app.redeem(&world.gateway, &code, &[]).await;
    let (login, tokens) = (page.correlation_id().to_owned(), Tokens::of(&page));
    assert_eq!(tokens.claims()["phone_number"], PHONE, "{}", tokens.claims());
    let refreshed = world.app.refresh(&world.gateway, tokens.refresh_token(), &[]).await;
    let refreshed = Tokens::of(&refreshed);
    assert_eq!(refreshed.claims().get("phone_number"), None, "it was for that login");
    // Another application's login from the session has it neither.
    let again = browser.open(world.app.authorize(&world.gateway, &[("scope", "openid phone")]).as_str()).await;
    assert_eq!(world.redeem(again).await.claims().get("phone_number"), None);
    let (_, shown) = world.command(&["user", "show", "samlp|acme|jane", "--json"]).await;
    assert!(shown.contains(EMAIL), "{shown}");
    let mut places = vec![shown, world.gateway.log(), world.trace(&login).await.to_string()];
    for entry in std::fs::read_dir(world.gateway.place()).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_file() {
            places.push(String::from_utf8_lossy(&std::fs::read(&path).expect("read")).into_owned());
        }
    }
    for secret in [PHONE, ROOM] {
        for place in &places {
            assert!(!place.contains(secret), "{secret} is in: {place}");
        }
    }
}
