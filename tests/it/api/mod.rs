//! The management API, called as programs call it.

mod jobs;
mod logs;
mod media_types;
mod objects;
mod schema;
mod users;

use crate::harness::browser::Page;
use crate::harness::gateway::Gateway;
use reqwest::Method;
use serde_json::{Value, json};
use std::process::Output;

/// A program with a token for the management API.
pub struct Api<'g> {
    pub gateway: &'g Gateway,
    pub client_id: String,
    pub client_secret: String,
    pub token: String,
}

impl<'g> Api<'g> {
    /// One that may do everything.
    pub async fn of(gateway: &'g Gateway) -> Self {
        Self::with(gateway, &[]).await
    }

    /// One with these scopes.
    pub async fn with(gateway: &'g Gateway, scopes: &[&str]) -> Self {
        let scopes: Vec<&str> = scopes.iter().flat_map(|scope| ["--scope", scope]).collect();
        let output = command(gateway, &[&["keys", "api", "--json"], scopes.as_slice()].concat()).await;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let made: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let text = |name: &str| made[name].as_str().expect("a text").to_owned();
        let (client_id, client_secret) = (text("client_id"), text("client_secret"));
        let token = crate::harness::eventually("a token", async || {
            let answer = token(gateway, &client_id, &client_secret).await;
            answer.json()["access_token"].as_str().map(str::to_owned)
        });
        let token = token.await;
        Self { gateway, client_id, client_secret, token }
    }

    pub async fn call(&self, method: Method, path: &str, body: Option<&Value>, headers: &[(&str, &str)]) -> Page {
        let url = self.gateway.url(&format!("/api/v2{path}"));
        let mut request = self.gateway.client().request(method, url.clone()).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.json(body);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Page::read(request.send().await.expect("the management API answers"), &url).await
    }

    pub async fn get(&self, path: &str) -> Page {
        self.call(Method::GET, path, None, &[]).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Page {
        self.call(Method::POST, path, Some(body), &[]).await
    }

    pub async fn patch(&self, path: &str, body: &Value) -> Page {
        self.call(Method::PATCH, path, Some(body), &[]).await
    }

    pub async fn delete(&self, path: &str) -> Page {
        self.call(Method::DELETE, path, None, &[]).await
    }

    /// What is there.
    pub async fn read(&self, path: &str) -> Value {
        good(&self.get(path).await, 200)
    }

    /// Makes something.
    pub async fn make(&self, path: &str, body: &Value) -> Value {
        good(&self.post(path, body).await, 201)
    }
}

/// The body of an answer of this status.
#[track_caller]
pub fn good(page: &Page, status: u16) -> Value {
    assert_eq!(page.status, status, "{}", page.body);
    page.json()
}

/// A refusal, and the pointers of its faults.
#[track_caller]
pub fn refused(page: &Page, status: u16, code: &str) -> Vec<String> {
    let body = page.json();
    assert_eq!(
        (page.status, body["errorCode"].as_str(), body["statusCode"].as_u64()),
        (status, Some(code), Some(status.into())),
        "{}",
        page.body
    );
    let faults = body["faults"].as_array().cloned().unwrap_or_default();
    faults.iter().map(|fault| fault["pointer"].as_str().expect("a pointer").to_owned()).collect()
}

/// A token for the management API by client credentials.
pub async fn token(gateway: &Gateway, client_id: &str, client_secret: &str) -> Page {
    let url = gateway.url("/oauth/token");
    let audience = format!("{}/api/v2/", gateway.issuer());
    let form = json!({"grant_type": "client_credentials", "client_id": client_id, "client_secret": client_secret, "audience": audience});
    Page::read(gateway.client().post(url.clone()).form(&form).send().await.expect("the token endpoint answers"), &url).await
}

/// A command line of the program with this gateway's configuration.
pub async fn command(gateway: &Gateway, arguments: &[&str]) -> Output {
    tokio::process::Command::new(env!("CARGO_BIN_EXE_isthmus"))
        .args(arguments)
        .args(["--config", "isthmus.toml"])
        .current_dir(gateway.place())
        .env("TEST_SECRET", crate::harness::app::SECRET)
        .output()
        .await
        .expect("it runs")
}
