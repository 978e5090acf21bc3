//! Linking and unlinking.

use super::super::{Api, good, refused};
use super::{at, own_token, with_token, world};
use crate::profile::{World, person};
use serde_json::{Value, json};

const JANE: &str = "samlp|acme|jane";
const BOTH: &str = "update:current_user_identities read:current_user";

async fn two(world: &World) -> (String, String) {
    let first = world.user("acme", &person("jane", "jane@acme.example", true)).await;
    let second = world.user("globex", &person("j.doe", "doe@globex.example", true)).await;
    (first, second)
}

fn names(identities: &Value) -> Vec<(&str, &str)> {
    let text = |value: &'_ Value, name: &str| value[name].as_str().map(str::to_owned).unwrap_or_default();
    let list = identities.as_array().expect("a list");
    assert!(list.iter().all(|identity| !text(identity, "connection").is_empty()));
    list.iter().map(|identity| (identity["connection"].as_str().unwrap(), identity["user_id"].as_str().unwrap())).collect()
}

#[tokio::test]
async fn s4_26_s4_27_two_users_become_one_and_apart_again() {
    let world = world().await;
    let api = Api::of(&world.gateway).await;
    let (first, second) = two(&world).await;
    assert_ne!(first, second);
    good(&api.patch(&at(&second), &json!({"app_metadata": {"plan": "gold"}})).await, 200);
    let path = format!("{}/identities", at(&first));
    let linked = good(&api.post(&path, &json!({"provider": "samlp", "user_id": "globex|j.doe"})).await, 201);
    assert_eq!(names(&linked), [("acme", "jane"), ("globex", "j.doe")]);
    assert_eq!(linked[1]["profileData"]["email"], "doe@globex.example");
    // The first one's attributes; the other user has ended, its metadata with it.
    let user = api.read(&at(&first)).await;
    assert_eq!((&user["email"], user.get("app_metadata")), (&json!("jane@acme.example"), None));
    refused(&api.get(&at(&second)).await, 404, "inexistent_user");
    assert_eq!(world.user("globex", &person("j.doe", "doe@globex.example", true)).await, first);
    refused(&api.post(&path, &json!({"provider": "samlp", "user_id": "globex|j.doe"})).await, 404, "inexistent_user");
    // The journal, and apart again.
    let links = api.read(&format!("{}/links", at(&first))).await;
    assert_eq!((&links[0]["former_user_id"], &links[0]["how"]), (&json!(second), &json!("operator")));
    assert_eq!(links[0]["actor"], json!(api.client_id));
    let left = good(&api.delete(&format!("{path}/samlp/j.doe")).await, 200);
    assert_eq!(names(&left), [("acme", "jane")]);
    assert_eq!(api.read(&at(&second)).await["email"], "doe@globex.example");
    refused(&api.delete(&format!("{path}/samlp/j.doe")).await, 404, "inexistent_identity");
    refused(&api.delete(&format!("{path}/samlp/jane")).await, 409, "conflict");
}

#[tokio::test]
async fn a_link_is_taken_back_as_a_whole() {
    let world = world().await;
    let api = Api::of(&world.gateway).await;
    let (first, second) = two(&world).await;
    good(&api.patch(&at(&second), &json!({"app_metadata": {"plan": "gold"}})).await, 200);
    good(&api.post(&format!("{}/identities", at(&first)), &json!({"provider": "samlp", "user_id": second})).await, 201);
    let links = format!("{}/links", at(&first));
    let link_id = api.read(&links).await[0]["link_id"].as_str().unwrap().to_owned();
    refused(&api.post(&format!("{links}/nonsense/undo"), &json!({})).await, 404, "inexistent_link");
    let again = good(&api.post(&format!("{links}/{link_id}/undo"), &json!({})).await, 200);
    assert_eq!((&again["user_id"], &again["app_metadata"]), (&json!(second), &json!({"plan": "gold"})));
    assert!(api.read(&links).await[0].get("undone_at").is_some());
    refused(&api.post(&format!("{links}/{link_id}/undo"), &json!({})).await, 409, "conflict");
}

#[tokio::test]
async fn whom_a_link_means_is_said_without_doubt() {
    let world = World::new(&[("acme", ""), ("globex", ""), ("initech", "")]).await;
    let api = Api::of(&world.gateway).await;
    let first = world.user("acme", &person("jane", "jane@acme.example", true)).await;
    for connection in ["globex", "initech"] {
        world.user(connection, &person("same", "same@x.example", true)).await;
    }
    let path = format!("{}/identities", at(&first));
    let link = async |body: Value| api.post(&path, &body).await;
    refused(&link(json!({"provider": "samlp", "user_id": "same"})).await, 409, "ambiguous_identity");
    refused(&link(json!({"provider": "auth0", "user_id": "same", "connection_id": "globex"})).await, 404, "inexistent_user");
    refused(&link(json!({"provider": "samlp", "user_id": "nobody"})).await, 404, "inexistent_user");
    refused(&link(json!({"provider": "samlp", "user_id": first})).await, 409, "conflict");
    assert_eq!(refused(&link(json!({"user_id": "same"})).await, 400, "invalid_body"), ["/provider"]);
    assert_eq!(refused(&link(json!({"link_with": "x"})).await, 400, "invalid_body"), ["/link_with"]);
    // By the connection's id, as the list of connections has it, or by its name.
    let connections = api.read("/connections").await;
    let globex = connections.as_array().unwrap().iter().find(|connection| connection["name"] == "globex").unwrap();
    good(&link(json!({"provider": "samlp", "user_id": "same", "connection_id": globex["id"]})).await, 201);
    good(&link(json!({"provider": "samlp", "user_id": "same", "connection_id": "initech"})).await, 201);
    // And so for unlinking.
    refused(&api.delete(&format!("{path}/samlp/same")).await, 409, "ambiguous_identity");
    let left = good(&api.delete(&format!("{path}/samlp/same?connection=initech")).await, 200);
    assert_eq!(names(&left), [("acme", "jane"), ("globex", "same")]);
}

#[tokio::test]
async fn details_c_a_person_links_by_two_fresh_logins_at_one_application() {
    let world = world().await;
    let program = Api::of(&world.gateway).await;
    let (jane, doe) = (person("jane", "jane@acme.example", true), person("j.doe", "doe@globex.example", true));
    let first = own_token(&world, "acme", &jane, BOTH).await;
    let second = own_token(&world, "globex", &doe, "").await;
    let api = with_token(&program, first.access_token());
    let path = format!("{}/identities", at(JANE));
    let link = async |token: &str| api.post(&path, &json!({"link_with": token})).await;
    // Not by naming somebody, not with what is no ID token or is forged, and not into another user.
    assert_eq!(
        refused(&api.post(&path, &json!({"provider": "samlp", "user_id": "globex|j.doe"})).await, 400, "invalid_body"),
        ["/link_with"]
    );
    let mut forged: Vec<&str> = second.id_token().split('.').collect();
    let tampered = first.id_token().split('.').nth(1).unwrap().to_owned();
    forged[1] = &tampered;
    for token in ["x", first.access_token(), &forged.join(".")] {
        assert_eq!(refused(&link(token).await, 400, "invalid_body"), ["/link_with"]);
    }
    let other = format!("{}/identities", at("samlp|globex|j.doe"));
    refused(&api.post(&other, &json!({"link_with": second.id_token()})).await, 403, "insufficient_scope");
    let linked = good(&link(second.id_token()).await, 201);
    assert_eq!(names(&linked), [("acme", "jane"), ("globex", "j.doe")]);
    let left = good(&api.delete(&format!("{path}/samlp/j.doe")).await, 200);
    assert_eq!(names(&left), [("acme", "jane")]);
}

#[tokio::test]
async fn details_c_an_id_token_of_another_application_links_nobody() {
    let setup = crate::harness::gateway::Setup::new().application(&crate::harness::app::App::new("other").toml("", ""));
    let mut world = World::of(setup, &[("acme", ""), ("globex", "")], "").await;
    let first = own_token(&world, "acme", &person("jane", "jane@acme.example", true), BOTH).await;
    world.app = crate::harness::app::App::new("other");
    let second = own_token(&world, "globex", &person("j.doe", "doe@globex.example", true), "").await;
    let program = Api::of(&world.gateway).await;
    let api = with_token(&program, first.access_token());
    let page = api.post(&format!("{}/identities", at(JANE)), &json!({"link_with": second.id_token()})).await;
    assert_eq!(refused(&page, 400, "invalid_body"), ["/link_with"]);
    assert!(page.body.contains("another application"), "{}", page.body);
    assert_eq!(program.get(&at("samlp|globex|j.doe")).await.status, 200);
}

#[tokio::test]
async fn identities_that_could_not_be_joined_are_listed() {
    const LINKS: &str = "[connection.linking]\npolicy = \"verified_email\"\nemail_domains = [\"acme.example\"]";
    let world = World::new(&[("acme", ""), ("globex", LINKS)]).await;
    let api = Api::of(&world.gateway).await;
    assert_eq!(api.read("/conflicts").await, json!([]));
    world.user("acme", &person("jane", "jane@acme.example", false)).await;
    let refused = world.come(&crate::harness::browser::Browser::new(), "globex", &person("j.doe", "jane@acme.example", true)).await.here();
    refused.assert_refused(409, "ISTH-3007");
    let conflicts = api.read("/conflicts").await;
    assert_eq!((&conflicts[0]["connection"], &conflicts[0]["user_id"]), (&json!("globex"), &json!("j.doe")));
    assert_eq!((&conflicts[0]["candidates"], &conflicts[0]["times"]), (&json!([JANE]), &json!(1)));
    assert_eq!(conflicts[0]["correlation_id"], refused.correlation_id());
}

#[tokio::test]
async fn details_c_a_new_token_of_an_old_login_links_nobody() {
    let world = world().await;
    let first = own_token(&world, "acme", &person("jane", "jane@acme.example", true), BOTH).await;
    let browser = crate::harness::browser::Browser::new();
    let request = world.ask(&browser, "globex", &[("scope", "openid")]).await;
    // The identity provider has not asked the person for eleven minutes; the token is of this moment.
    let old = |response: &mut crate::harness::idp::Response| response.authn_instant -= std::time::Duration::from_secs(660);
    let answer = world.idp("globex").respond_with(&request, &person("j.doe", "doe@globex.example", true), old);
    let second = world.redeem(browser.post(&answer.from, &answer.to, &answer.fields()).await).await;
    let program = Api::of(&world.gateway).await;
    let api = with_token(&program, first.access_token());
    let page = api.post(&format!("{}/identities", at(JANE)), &json!({"link_with": second.id_token()})).await;
    assert_eq!(refused(&page, 400, "invalid_body"), ["/link_with"]);
    assert_eq!(program.get(&at("samlp|globex|j.doe")).await.status, 200);
}
