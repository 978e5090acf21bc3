//! The log, statistics, and how often one may call.

use super::users::{at, people, world};
use super::{Api, good, refused};
use crate::harness::browser::Browser;
use crate::harness::eventually;
use crate::harness::gateway::{Gateway, Setup};
use crate::profile::{World, person};
use serde_json::{Value, json};

const JANE: &str = "samlp|acme|jane";

/// Events are written within half a second or so.
async fn events(api: &Api<'_>, path: &str, expected: &[&str]) -> Value {
    let wanted = format!("{path} has {expected:?}");
    eventually(&wanted, async || {
        let found = api.read(path).await;
        let kinds: Vec<&str> = found.as_array()?.iter().filter_map(|event| event["type"].as_str()).collect();
        expected.iter().all(|kind| kinds.contains(kind)).then_some(found)
    })
    .await
}

async fn some_events(world: &World) {
    let browser = Browser::new();
    let request = world.ask(&browser, "acme", &[("scope", "openid offline_access")]).await;
    let tokens = world.redeem(world.answer(&browser, "acme", &request, &person("jane", "jane@acme.example", true)).await).await;
    world.app.refresh(&world.gateway, tokens.refresh_token(), &[]).await;
    world.app.redeem(&world.gateway, "no-code", &[]).await;
    browser.open(world.app.authorize(&world.gateway, &[("prompt", "none")]).as_str()).await.away();
    let logout = world.gateway.url(&format!("/oidc/logout?id_token_hint={}", tokens.id_token()));
    browser.open(logout.as_str()).await;
}

#[tokio::test]
async fn what_happens_is_in_the_log_without_secrets() {
    let world = world().await;
    let api = Api::of(&world.gateway).await;
    some_events(&world).await;
    good(&api.patch(&at(JANE), &json!({"app_metadata": {"plan": "gold"}})).await, 200);
    refused(&api.patch(&at(JANE), &json!({"identities": []})).await, 400, "invalid_body");
    let all = events(&api, "/logs?per_page=100", &["s", "ss", "ssa", "seacft", "sertft", "feacft", "seccft", "slo", "sapi", "fapi"]).await;
    let find = |kind: &str| all.as_array().unwrap().iter().find(|event| event["type"] == kind).unwrap();
    let login = find("s");
    assert_eq!((&login["user_id"], &login["connection"], &login["client_id"]), (&json!(JANE), &json!("acme"), &json!("notes")));
    assert_eq!((&login["client_name"], &login["ip"]), (&json!("Notes"), &json!("127.0.0.1")));
    assert_eq!(find("sapi")["details"]["operation"], "patch_users_by_id");
    assert_eq!(find("sapi")["client_id"], json!(api.client_id));
    assert!(!all.to_string().contains("eyJ") && !all.to_string().contains(&api.token), "{all}");
    let dates: Vec<&str> = all.as_array().unwrap().iter().map(|event| event["date"].as_str().unwrap()).collect();
    assert!(dates.is_sorted_by(|a, b| a >= b), "the newest first");
    // One, and those of one user.
    let id = login["log_id"].as_str().unwrap();
    assert_eq!(api.read(&format!("/logs/{id}")).await, *login);
    refused(&api.get("/logs/nonsense").await, 404, "inexistent_log");
    let own = api.read(&format!("{}/logs?include_totals=true", at(JANE))).await;
    assert!(own["logs"].as_array().unwrap().iter().all(|event| event["user_id"] == JANE) && own["total"].as_u64() > Some(3), "{own}");
    refused(&api.get("/users/nobody/logs").await, 404, "inexistent_user");
}

#[tokio::test]
async fn a_login_that_fails_and_users_that_join_and_go_are_in_the_log() {
    let world = world().await;
    let api = Api::of(&world.gateway).await;
    world.user("acme", &person("jane", "jane@acme.example", true)).await;
    world.user("globex", &person("j.doe", "doe@globex.example", true)).await;
    let path = format!("{}/identities", at(JANE));
    good(&api.post(&path, &json!({"provider": "samlp", "user_id": "globex|j.doe"})).await, 201);
    good(&api.delete(&format!("{path}/samlp/j.doe")).await, 200);
    good(&api.patch(&at(JANE), &json!({"blocked": true})).await, 200);
    world.come(&Browser::new(), "acme", &person("jane", "jane@acme.example", true)).await;
    assert_eq!(api.delete(&at(JANE)).await.status, 204);
    let all = events(&api, "/logs?per_page=100", &["f", "link", "unlink", "sdu"]).await;
    let failed = all.as_array().unwrap().iter().find(|event| event["type"] == "f").unwrap();
    assert_eq!((&failed["connection"], &failed["details"]["diagnostic"]), (&json!("acme"), &json!("ISTH-3006")));
}

#[tokio::test]
async fn the_log_is_searched_and_paged() {
    let world = world().await;
    let api = Api::of(&world.gateway).await;
    some_events(&world).await;
    events(&api, "/logs?per_page=100", &["slo", "s"]).await;
    for (q, kinds) in [
        ("type:s", vec!["s"]),
        ("type:s%20AND%20user_id:%22samlp%7Cacme%7Cjane%22%20AND%20connection:acme", vec!["s"]),
        ("type:s%20AND%20client_id:nobody", vec![]),
        ("type:s%20AND%20date:[2020-01-01%20TO%202020-02-01]", vec![]),
        ("type:s%20AND%20date:[2020-01-01%20TO%20*]", vec!["s"]),
    ] {
        let found = api.read(&format!("/logs?q={q}")).await;
        assert_eq!(found.as_array().unwrap().iter().map(|event| event["type"].as_str().unwrap()).collect::<Vec<_>>(), kinds, "{q}");
    }
    refused(&api.get("/logs?q=type:s%20OR%20type:f").await, 400, "invalid_query_string");
    refused(&api.get("/logs?page=10&per_page=100&q=type:s").await, 400, "invalid_query_string");
    refused(&api.get("/logs?from=x&q=type:s").await, 400, "invalid_query_string");
    let oldest = api.read("/logs?sort=date:1&per_page=100&q=client_id:notes").await;
    let newest = api.read("/logs?sort=date:-1&per_page=100&q=client_id:notes").await;
    let reversed: Vec<Value> = newest.as_array().unwrap().iter().rev().cloned().collect();
    assert_eq!(oldest.as_array().unwrap(), &reversed);
    let second = api.read("/logs?per_page=1&page=1&q=client_id:notes&include_totals=true").await;
    assert_eq!((&second["logs"][0], &second["start"]), (&newest[1], &json!(1)));
    assert_eq!(second["total"].as_u64(), Some(newest.as_array().unwrap().len() as u64));
    assert_eq!(api.read("/logs?search=type:s").await, api.read("/logs?q=type:s").await);
    // Checkpoints: what came after an event, the oldest first.
    let after = api.read(&format!("/logs?from={}&take=2&fields=log_id", oldest[0]["log_id"].as_str().unwrap())).await;
    assert_eq!(after.as_array().unwrap().len(), 2);
    assert_eq!(after[0].as_object().unwrap().len(), 1);
    assert!(after[0]["log_id"].as_str() > oldest[0]["log_id"].as_str() && after[0]["log_id"].as_str() < after[1]["log_id"].as_str());
}

#[tokio::test]
async fn logins_are_counted() {
    let world = world().await;
    let api = Api::of(&world.gateway).await;
    some_events(&world).await;
    events(&api, "/logs?per_page=100", &["s", "ss"]).await;
    let days = api.read("/stats/daily").await;
    assert_eq!((&days[0]["logins"], &days[0]["signups"], days.as_array().unwrap().len()), (&json!(1), &json!(1), 1));
    assert_eq!(api.read("/stats/active-users").await, json!(1));
    assert_eq!(api.read("/stats/daily?from=20200101&to=20200201").await, json!([]));
    for query in ["from=2020", "from=20201399", "from=20200201&to=20200101", "from=20100101&to=20200101"] {
        refused(&api.get(&format!("/stats/daily?{query}")).await, 400, "invalid_query_string");
    }
}

#[tokio::test]
async fn who_calls_too_often_is_told_when_to_come_again() {
    let setup = Setup { top_tables: "[api]\nrequests_per_second = 1\nburst = 3".to_owned(), ..Setup::new() };
    let gateway = Gateway::start(setup).await;
    let (api, other) = (Api::of(&gateway).await, Api::of(&gateway).await);
    let mut pages = Vec::new();
    for _ in 0..8 {
        pages.push(api.get("/users").await);
    }
    assert_eq!((pages[0].status, pages[0].header("x-ratelimit-limit"), pages[0].header("x-ratelimit-remaining")), (200, "3", "2"));
    let refusal = pages.iter().find(|page| page.status == 429).expect("a refusal");
    refused(refusal, 429, "too_many_requests");
    assert_eq!((refusal.header("retry-after"), refusal.header("x-ratelimit-remaining")), ("1", "0"));
    assert!(refusal.header("x-ratelimit-reset").parse::<u64>().expect("a time") > 1_700_000_000);
    assert_eq!(other.get("/users").await.status, 200, "another program");
    eventually("it may call again", async || (api.get("/users").await.status == 200).then_some(())).await;
    people(&other).await;
}
