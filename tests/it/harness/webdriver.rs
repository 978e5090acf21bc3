//! Headless Chromium, driven by the WebDriver protocol through chromedriver.

use super::process::Process;
use super::servers::free_port;
use super::{PATIENCE, eventually};
use serde_json::{Value, json};
use std::process::{Command, Stdio};
use std::time::Instant;
use tempfile::TempDir;

/// The key under which WebDriver names an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";
pub const TAB: &str = "\u{e004}";
pub const ENTER: &str = "\u{e007}";

pub struct Chromium {
    // In this order: first the browser is asked to go, then its driver is killed, then their files are removed.
    session: String,
    _driver: Process,
    _profile: TempDir,
}

impl Chromium {
    pub async fn start() -> Self {
        let profile = tempfile::tempdir().unwrap();
        let port = free_port();
        let mut command = Command::new("chromedriver");
        command.arg(format!("--port={port}")).env("HOME", profile.path()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let driver = Process::start(&mut command, "chromium-driver");
        let base = format!("http://127.0.0.1:{port}");
        eventually("chromedriver", async || {
            let status = client().get(format!("{base}/status")).send().await.ok()?;
            status.json::<Value>().await.ok()?["value"]["ready"].as_bool().filter(|ready| *ready)
        })
        .await;
        let directory = format!("--user-data-dir={}", profile.path().join("profile").display());
        let arguments = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--no-proxy-server",
            &directory,
        ];
        let capabilities = json!({"capabilities": {"alwaysMatch": {
            "acceptInsecureCerts": true,
            "goog:chromeOptions": {"args": arguments},
            "goog:loggingPrefs": {"browser": "ALL"},
        }}});
        let answer = call(client().post(format!("{base}/session")).json(&capabilities)).await;
        let session = answer["sessionId"].as_str().expect("a session").to_owned();
        Self { session: format!("{base}/session/{session}"), _driver: driver, _profile: profile }
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        call(client().post(format!("{}/{path}", self.session)).json(&body)).await
    }

    async fn get(&self, path: &str) -> Value {
        call(client().get(format!("{}/{path}", self.session))).await
    }

    pub async fn open(&self, url: &str) {
        self.post("url", json!({"url": url})).await;
    }

    pub async fn back(&self) {
        self.post("back", json!({})).await;
    }

    pub async fn url(&self) -> String {
        self.get("url").await.as_str().expect("an address").to_owned()
    }

    pub async fn title(&self) -> String {
        self.get("title").await.as_str().expect("a title").to_owned()
    }

    /// The text that a person sees.
    pub async fn text(&self) -> String {
        let body = self.element("body").await;
        self.get(&format!("element/{body}/text")).await.as_str().expect("a text").to_owned()
    }

    pub async fn element(&self, selector: &str) -> String {
        let found = self.post("element", json!({"using": "css selector", "value": selector})).await;
        found[ELEMENT].as_str().unwrap_or_else(|| panic!("no {selector}: {found}")).to_owned()
    }

    pub async fn click(&self, selector: &str) {
        let element = self.element(selector).await;
        self.post(&format!("element/{element}/click"), json!({})).await;
    }

    /// Presses keys, one after the other, wherever the focus is.
    pub async fn press(&self, keys: &[&str]) {
        let actions: Vec<Value> =
            keys.iter().flat_map(|key| [json!({"type": "keyDown", "value": key}), json!({"type": "keyUp", "value": key})]).collect();
        self.post("actions", json!({"actions": [{"type": "key", "id": "keyboard", "actions": actions}]})).await;
    }

    /// The text of the element that has the focus.
    pub async fn focused(&self) -> String {
        let element = self.get("element/active").await;
        let id = element[ELEMENT].as_str().expect("an element").to_owned();
        self.get(&format!("element/{id}/text")).await.as_str().unwrap_or_default().to_owned()
    }

    /// A new tab, which gets the focus; its handle.
    pub async fn new_tab(&self) -> String {
        let handle = self.post("window/new", json!({"type": "tab"})).await["handle"].as_str().expect("a handle").to_owned();
        self.switch_to(&handle).await;
        handle
    }

    pub async fn tab(&self) -> String {
        self.get("window").await.as_str().expect("a handle").to_owned()
    }

    pub async fn switch_to(&self, handle: &str) {
        self.post("window", json!({"handle": handle})).await;
    }

    /// Waits until the address begins so.
    pub async fn wait_for_url(&self, prefix: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let url = self.url().await;
            if url.starts_with(prefix) {
                return url;
            }
            assert!(Instant::now() < deadline, "the browser is at {url}, not at {prefix}: {}", self.text().await);
            tokio::time::sleep(std::time::Duration::from_millis(30)).await;
        }
    }

    /// What a script answers in the page.
    pub async fn run(&self, script: &str) -> Value {
        self.post("execute/sync", json!({"script": script, "args": []})).await
    }

    /// A command of the DevTools protocol.
    pub async fn devtools(&self, command: &str, parameters: Value) -> Value {
        self.post("goog/cdp/execute", json!({"cmd": command, "params": parameters})).await
    }

    /// How wide the window is, in CSS pixels, and which colours the person likes: `light` or `dark`.
    pub async fn looks_like(&self, width: u32, colours: &str) {
        let screen = json!({"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": false});
        self.devtools("Emulation.setDeviceMetricsOverride", screen).await;
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": colours}]});
        self.devtools("Emulation.setEmulatedMedia", features).await;
    }

    /// Whether pages may run scripts.
    pub async fn scripts(&self, allowed: bool) {
        self.devtools("Emulation.setScriptExecutionDisabled", json!({"value": !allowed})).await;
    }

    /// A picture of the page, as PNG in base64.
    pub async fn picture(&self) -> String {
        self.get("screenshot").await.as_str().expect("a picture").to_owned()
    }

    /// Cookies of the current page's host.
    pub async fn cookies(&self) -> Vec<Value> {
        self.get("cookie").await.as_array().expect("cookies").clone()
    }

    /// Errors and warnings of the console since the last call; a page that its own policy hinders shows up here.
    pub async fn complaints(&self) -> Vec<String> {
        let entries = self.post("se/log", json!({"type": "browser"})).await;
        let entries = entries.as_array().expect("entries").clone();
        entries
            .iter()
            .filter(|entry| entry["level"] != "INFO")
            .map(|entry| entry["message"].to_string())
            .filter(|text| !text.contains("favicon"))
            .collect()
    }

    /// Closes the browser. Without it, the driver's end would leave the browser behind.
    pub async fn quit(self) {
        call(client().delete(&self.session)).await;
    }
}

/// Chromium runs as a child of chromedriver; when a test panics, both go with all their children.
impl Drop for Chromium {
    fn drop(&mut self) {
        fn children(id: u32, all: &mut Vec<u32>) {
            for task in std::fs::read_dir(format!("/proc/{id}/task")).into_iter().flatten().flatten() {
                let text = std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
                for child in text.split_whitespace().filter_map(|text| text.parse().ok()) {
                    all.push(child);
                    children(child, all);
                }
            }
        }
        let mut all = Vec::new();
        children(self._driver.id(), &mut all);
        if !all.is_empty() {
            let ids: Vec<String> = all.iter().map(u32::to_string).collect();
            let _ = Command::new("kill").args(["-s", "KILL"]).args(ids).stderr(Stdio::null()).status();
        }
    }
}

fn client() -> reqwest::Client {
    super::browser::client()
}

async fn call(request: reqwest::RequestBuilder) -> Value {
    let answer: Value = request.send().await.expect("chromedriver answers").json().await.expect("JSON");
    let value = answer["value"].clone();
    assert!(value.get("error").is_none(), "chromedriver: {value}");
    value
}
