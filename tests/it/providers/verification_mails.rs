//! Mails that prove addresses, asked for by programs.

use super::accounts::fill;
use crate::api::{Api, good, refused};
use crate::harness::browser::Browser;
use crate::harness::gateway::{Gateway, Setup};
use crate::harness::smtp::Smtp;
use serde_json::{Value, json};

const JOBS: &str = "/jobs/verification-email";

async fn gateway(smtp: &Smtp) -> Gateway {
    let database = "name = \"people\"\ndisplay_name = \"Acme's people\"\n[connection.database]\nnames = [\"email\", \"username\"]\n";
    Gateway::start(Setup { top_tables: smtp.toml(), ..Setup::new() }.connection(database)).await
}

async fn user(api: &Api<'_>, body: Value) -> String {
    let mut all = json!({ "connection": "people", "password": "correct horse battery" });
    all.as_object_mut().unwrap().extend(body.as_object().cloned().unwrap());
    api.make("/users", &all).await["user_id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_program_has_somebody_written_to_who_proves_the_address() {
    let smtp = Smtp::start();
    let gateway = gateway(&smtp).await;
    let api = Api::of(&gateway).await;
    let jane = user(&api, json!({ "email": "jane@acme.example" })).await;
    let only = Api::with(&gateway, &["update:users"]).await;
    let job = good(&only.post(JOBS, &json!({ "user_id": jane })).await, 201);
    assert_eq!((&job["type"], &job["connection"]), (&json!("verification_email"), &json!("people")), "{job}");
    let path = format!("/jobs/{}", job["id"].as_str().unwrap());
    assert_eq!(only.read(&path).await["status"], "completed");
    assert_eq!(only.get(&format!("{path}/errors")).await.status, 403, "which is about imports");
    let mail = smtp.wait_for("jane@acme.example", 1).await;
    let browser = Browser::new();
    let confirm = browser.open(&mail.link()).await.here();
    // Whoever has had it sent is not who made the account.
    let confirm = fill(&browser, &confirm, &[]).await;
    assert!(confirm.contains("not the password of the account"), "{}", confirm.body);
    assert!(fill(&browser, &confirm, &[("password", "correct horse battery")]).await.contains("Your address is confirmed"));
    let read = api.read(&format!("/users/{}", jane.replace('|', "%7C"))).await;
    assert_eq!(read["email_verified"], true);
    // There is nothing left to prove.
    assert_eq!(refused(&only.post(JOBS, &json!({ "user_id": jane })).await, 409, "email_verified"), [""; 0]);
    // One account of several, in the language that the program asks for.
    let identity = json!({ "provider": "auth0", "user_id": jane.trim_start_matches("auth0|") });
    let (joe, ann) = (user(&api, json!({ "email": "joe@acme.example" })).await, user(&api, json!({ "email": "ann@acme.example" })).await);
    let linked = json!({ "provider": "auth0", "user_id": ann.trim_start_matches("auth0|") });
    assert_eq!(api.post(&format!("/users/{}/identities", joe.replace('|', "%7C")), &linked).await.status, 201);
    let asked = json!({ "user_id": joe, "identity": linked, "client_id": only.client_id });
    let job = only.call(reqwest::Method::POST, JOBS, Some(&asked), &[("accept-language", "de")]).await;
    assert_eq!(good(&job, 201)["status"], "completed");
    let mail = smtp.wait_for("ann@acme.example", 1).await;
    assert!(mail.text.contains("Adresse"), "{mail:?}");
    assert!(smtp.to("joe@acme.example").is_empty());
    assert_eq!(refused(&only.post(JOBS, &json!({ "user_id": joe, "identity": identity })).await, 404, "inexistent_identity"), [""; 0]);
    // What was begun is in the audit log, and no link is.
    let audited = crate::federation::rows(&gateway, "SELECT detail FROM audit WHERE kind = 'verification_email.begun'");
    assert!(audited.contains(&jane) && !audited.contains("ticket="), "{audited}");
}

#[tokio::test]
async fn a_mail_that_cannot_be_is_refused_with_its_reason() {
    let smtp = Smtp::start();
    let gateway = gateway(&smtp).await;
    let api = Api::of(&gateway).await;
    let jane = user(&api, json!({ "email": "jane@acme.example" })).await;
    let named = user(&api, json!({ "username": "joe" })).await;
    for (body, status, code, pointers) in [
        (json!({ "user_id": "auth0|nobody" }), 404, "inexistent_user", &[][..]),
        (json!({ "user_id": named }), 400, "invalid_body", &["/user_id"]),
        (json!({ "user_id": jane, "client_id": "nobody" }), 400, "invalid_body", &["/client_id"]),
        (json!({ "user_id": jane, "identity": { "provider": "auth0" } }), 400, "invalid_body", &["/identity/user_id"]),
        (json!({ "user_id": jane, "identity": { "provider": "auth0", "user_id": "x" } }), 404, "inexistent_identity", &[]),
        (json!({ "user_id": jane, "organization_id": "org_1" }), 400, "invalid_body", &["/organization_id"]),
        (json!({}), 400, "invalid_body", &["/user_id"]),
    ] {
        assert_eq!(refused(&api.post(JOBS, &body).await, status, code), pointers, "{body}");
    }
    assert_eq!(smtp.count(), 0);
    // Nobody is flooded.
    for _ in 0..3 {
        good(&api.post(JOBS, &json!({ "user_id": jane })).await, 201);
    }
    refused(&api.post(JOBS, &json!({ "user_id": jane })).await, 429, "too_many_requests");
    smtp.wait_for("jane@acme.example", 3).await;
    // The scope is that of a change.
    let reader = Api::with(&gateway, &["read:users", "create:users"]).await;
    assert_eq!(reader.post(JOBS, &json!({ "user_id": jane })).await.status, 403);
    // Without a mail server nobody waits for a mail.
    let silent = Gateway::start(Setup::new().connection("name = \"people\"\n[connection.database]\n")).await;
    let api = Api::of(&silent).await;
    let jane = user(&api, json!({ "email": "jane@acme.example" })).await;
    assert_eq!(refused(&api.post(JOBS, &json!({ "user_id": jane })).await, 400, "invalid_body"), [""]);
}
