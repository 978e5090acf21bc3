//! Bulk imports and exports.

use super::users::people;
use super::{Api, good, refused};
use crate::harness::browser::Page;
use crate::harness::eventually;
use crate::harness::gateway::{Gateway, Setup};
use serde_json::{Value, json};

/// A form with files, written by hand.
#[derive(Clone, Default)]
struct Form(Vec<u8>);

impl Form {
    fn new() -> Self {
        Self::default()
    }

    fn text(mut self, name: &str, value: &str) -> Self {
        self.0.extend(format!("--b0undary\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n").bytes());
        self
    }

    fn part(mut self, name: &str, content: &[u8]) -> Self {
        let head = format!(
            "--b0undary\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"users.json\"\r\nContent-Type: application/json\r\n\r\n"
        );
        self.0.extend(head.bytes());
        self.0.extend_from_slice(content);
        self.0.extend(b"\r\n");
        self
    }
}

fn file(users: &Value) -> Vec<u8> {
    users.to_string().into_bytes()
}

async fn import(api: &Api<'_>, form: Form) -> Page {
    let url = api.gateway.url("/api/v2/jobs/users-imports");
    let request =
        api.gateway.client().post(url.clone()).bearer_auth(&api.token).header("content-type", "multipart/form-data; boundary=b0undary");
    let body = [form.0, b"--b0undary--\r\n".to_vec()].concat();
    Page::read(request.body(body).send().await.expect("an answer"), &url).await
}

async fn ended(api: &Api<'_>, job: &Value) -> Value {
    let path = format!("/jobs/{}", job["id"].as_str().unwrap());
    eventually("the job ends", async || {
        let job = api.read(&path).await;
        ["completed", "failed"].contains(&job["status"].as_str().unwrap()).then_some(job)
    })
    .await
}

#[tokio::test]
async fn details_e_users_are_imported_exported_and_imported_again() {
    let gateway = Gateway::start(Setup::new()).await;
    let api = Api::of(&gateway).await;
    let connection = people(&api).await["id"].as_str().unwrap().to_owned();
    let users = json!([
        {"email": "ann@example.org", "user_id": "ann", "email_verified": true, "name": "Ann", "app_metadata": {"plan": "gold"}},
        {"email": "ben@example.org", "user_id": "ben", "user_metadata": {"theme": "=1+1"}},
        {"email": "no address"},
        {"email": "cid@example.org", "surname": "Cid"},
    ]);
    // As SDKs send it: the file first.
    let form = || Form::new().part("users", &file(&users)).text("connection_id", &connection);
    let begun = good(&import(&api, form().text("external_id", "mine")).await, 202);
    assert_eq!((&begun["type"], &begun["external_id"], &begun["connection"]), (&json!("users_import"), &json!("mine"), &json!("people")));
    let job = ended(&api, &begun).await;
    assert_eq!((&job["status"], &job["summary"]), (&json!("completed"), &json!({"failed": 2, "updated": 0, "inserted": 2, "total": 4})));
    let errors = api.read(&format!("/jobs/{}/errors", begun["id"].as_str().unwrap())).await;
    let told: Vec<(&Value, &Value)> =
        errors.as_array().unwrap().iter().map(|failed| (&failed["errors"][0]["code"], &failed["errors"][0]["path"])).collect();
    assert_eq!(told, [(&json!("FORMAT"), &json!("email")), (&json!("NOT_PASSED"), &json!("surname"))]);
    assert_eq!(api.read("/users/auth0%7Cann").await["app_metadata"], json!({"plan": "gold"}));
    assert_eq!(api.read("/users?q=app_metadata.plan:gold").await[0]["user_id"], "auth0|ann", "imported users are found");
    // Again: they are there; with upsert nothing changes.
    let again = ended(&api, &good(&import(&api, form()).await, 202)).await;
    assert_eq!(again["summary"], json!({"failed": 4, "updated": 0, "inserted": 0, "total": 4}));
    let before = api.read("/users/auth0%7Cann").await;
    let upserted = ended(&api, &good(&import(&api, form().text("upsert", "true")).await, 202)).await;
    assert_eq!(upserted["summary"], json!({"failed": 2, "updated": 2, "inserted": 0, "total": 4}));
    assert_eq!(api.read("/users/auth0%7Cann").await, before);
    // Out again, by a link that needs no token and ends.
    let fields = json!([{"name": "user_id"}, {"name": "email", "export_as": "mail"}, {"name": "user_metadata.theme"}]);
    let begun = good(&api.post("/jobs/users-exports", &json!({"connection_id": connection, "format": "csv", "fields": fields})).await, 200);
    let job = ended(&api, &begun).await;
    let location = job["location"].as_str().expect("a link").to_owned();
    let answer = gateway.client().get(&location).send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "application/gzip");
    let text = unzipped(&answer.bytes().await.unwrap());
    assert!(text.contains("auth0|ann") && text.contains("ann@example.org") && text.contains("'=1+1"), "{text}");
    let (place, token) = location.rsplit_once('/').unwrap();
    assert_eq!(gateway.client().get(format!("{place}/{}", token.replace('.', "x"))).send().await.unwrap().status(), 403);
    assert_eq!(gateway.client().get(format!("{location}x")).send().await.unwrap().status(), 403);
    // Who may not read users gets no link.
    let reader = Api::with(&gateway, &["read:jobs"]).await;
    assert_eq!(reader.read(&format!("/jobs/{}", begun["id"].as_str().unwrap())).await.get("location"), None);
}

fn unzipped(bytes: &[u8]) -> String {
    use std::io::Read as _;
    let mut text = String::new();
    flate2::read::MultiGzDecoder::new(bytes).read_to_string(&mut text).expect("gzip");
    text
}

#[tokio::test]
async fn imports_that_make_no_sense_are_refused() {
    let setup = Setup { top_tables: "[api]\nimport_file = 5000".to_owned(), ..Setup::new() };
    let gateway = Gateway::start(setup).await;
    let api = Api::of(&gateway).await;
    people(&api).await;
    let users = json!([{"email": "ann@example.org"}]);
    for (form, pointer) in [
        (Form::new().part("users", &file(&users)), "/connection_id"),
        (Form::new().text("connection_id", "people"), "/users"),
        (Form::new().part("users", &file(&users)).text("connection_id", "nowhere"), "/connection_id"),
        (Form::new().part("users", &file(&users)).text("connection_id", "people").text("upsert", "yes"), "/upsert"),
        (Form::new().part("users", &file(&users)).text("connection_id", "people").text("more", "1"), "/more"),
        (Form::new().text("connection_id", "people").part("users", &file(&users)).part("users", &file(&users)), "/users"),
        (
            Form::new().part("users", &file(&users)).text("connection_id", "people").text("send_completion_email", "true"),
            "/send_completion_email",
        ),
        // What to do with a file stands before one that may be large.
        (Form::new().text("connection_id", "people").part("users", &file(&users)).text("upsert", "true"), "/users"),
    ] {
        assert_eq!(refused(&import(&api, form).await, 400, "invalid_body"), [pointer]);
    }
    let torn = Form::new().text("connection_id", "people").part("users", b"[{\"email\": ");
    refused(&import(&api, torn).await, 400, "invalid_body");
    let large = Form::new().part("users", &vec![b' '; 5 << 20]).text("connection_id", "people");
    refused(&import(&api, large).await, 413, "payload_too_large");
    assert_eq!(api.post("/jobs/users-imports", &users).await.status, 415);
    refused(&api.get("/jobs/job_nonsense").await, 404, "inexistent_job");
    refused(&api.get("/jobs/job_nonsense/errors").await, 404, "inexistent_job");
    refused(&api.post("/jobs/users-exports", &json!({"connection_id": "nowhere"})).await, 400, "invalid_body");
    assert_eq!(refused(&api.post("/jobs/users-exports", &json!({"limit": 5})).await, 400, "invalid_body"), ["/limit"]);
    // Large enough, with its fields first.
    let many: Value = (0..60).map(|n| json!({"email": format!("user-{n}@example.org"), "name": "x".repeat(100)})).collect();
    let good_one = Form::new().text("connection_id", "people").text("upsert", "false").part("users", &file(&many));
    let job = ended(&api, &good(&import(&api, good_one).await, 202)).await;
    assert_eq!(job["summary"]["inserted"], 60);
}
