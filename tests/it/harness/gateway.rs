//! The gateway as a process of its own, on free loopback ports, with everything it writes in a temporary directory.

use super::browser::{Page, client, trusting};
use super::keys::Pair;
use super::process::{Process, text};
use super::servers::free_port;
use super::{PATIENCE, eventually};
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Instant;
use tempfile::TempDir;
use url::Url;

/// What a gateway is configured with. The text is TOML, as an operator writes it.
#[derive(Clone)]
pub struct Setup {
    pub host: &'static str,
    pub directory: String,
    pub sessions: String,
    /// Lines before the first table.
    pub top: String,
    /// More tables.
    pub top_tables: String,
    pub lifetimes: String,
    pub log: String,
    pub connections: Vec<String>,
    pub applications: Vec<String>,
    pub tls: Option<(String, String)>,
    pub environment: Vec<(String, String)>,
    /// Files beside the configuration: path and text.
    pub files: Vec<(String, String)>,
}

impl Setup {
    pub fn new() -> Self {
        Self {
            host: "127.0.0.1",
            directory: "sqlite:isthmus.db".to_owned(),
            sessions: "memory:".to_owned(),
            top: String::new(),
            top_tables: String::new(),
            lifetimes: String::new(),
            log: String::new(),
            connections: Vec::new(),
            applications: Vec::new(),
            tls: None,
            environment: vec![("TEST_SECRET".to_owned(), super::app::SECRET.to_owned())],
            files: Vec::new(),
        }
    }

    #[must_use]
    pub fn file(mut self, path: &str, text: &str) -> Self {
        self.files.push((path.to_owned(), text.to_owned()));
        self
    }

    #[must_use]
    pub fn connection(mut self, toml: &str) -> Self {
        self.connections.push(toml.to_owned());
        self
    }

    #[must_use]
    pub fn application(mut self, toml: &str) -> Self {
        self.applications.push(toml.to_owned());
        self
    }

    #[must_use]
    pub fn secure(mut self, pair: &Pair) -> Self {
        self.tls = Some((pair.certificate_pem(), pair.key_pem()));
        self
    }

    fn toml(&self, port: u16, operations: u16, place: &Path) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let Self { host, directory, sessions, top, .. } = self;
        let mut toml = format!(
            "issuer = \"{scheme}://{host}:{port}\"\nlisten = \"127.0.0.1:{port}\"\noperations_listen = \"127.0.0.1:{operations}\"\n{top}\n\
             [directory]\nurl = \"{directory}\"\n[sessions]\nurl = \"{sessions}\"\n[keys]\npath = \"certs\"\n"
        );
        if let Some((certificate, key)) = &self.tls {
            fs::write(place.join("tls.crt"), certificate).unwrap();
            fs::write(place.join("tls.key"), key).unwrap();
            toml += "[tls]\ncertificate = \"tls.crt\"\nkey = \"tls.key\"\n";
        }
        for (table, lines) in [("lifetimes", &self.lifetimes), ("log", &self.log)] {
            if !lines.is_empty() {
                toml += &format!("[{table}]\n{lines}\n");
            }
        }
        toml += &format!("{}\n", self.top_tables);
        for connection in &self.connections {
            toml += &format!("\n[[connection]]\n{connection}\n");
        }
        for application in &self.applications {
            toml += &format!("\n[[application]]\n{application}\n");
        }
        toml
    }
}

/// A running gateway.
pub struct Gateway {
    setup: Setup,
    process: Process,
    place: TempDir,
    pub port: u16,
    operations: u16,
}

impl Gateway {
    /// Starts one and waits until it is ready.
    pub async fn start(setup: Setup) -> Self {
        let place = tempfile::tempdir().unwrap();
        let (port, operations) = (free_port(), free_port());
        let process = spawn(&setup, port, operations, place.path());
        let mut gateway = Self { setup, process, place, port, operations };
        gateway.wait_until_ready().await;
        gateway
    }

    async fn wait_until_ready(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        let health = self.operations("/health/ready");
        let client = client();
        loop {
            if client.get(health.clone()).send().await.is_ok_and(|answer| answer.status() == 200) {
                return;
            }
            let log = self.log();
            if self.process.has_ended() {
                // Somebody else may have taken a port that was free a moment ago.
                assert!(log.contains("cannot be listened on"), "the gateway ended:\n{log}");
                (self.port, self.operations) = (free_port(), free_port());
                self.process = spawn(&self.setup, self.port, self.operations, self.place.path());
                return Box::pin(self.wait_until_ready()).await;
            }
            assert!(Instant::now() < deadline, "the gateway is not ready:\n{log}");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }

    pub fn issuer(&self) -> String {
        let scheme = if self.setup.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}:{}", self.setup.host, self.port)
    }

    /// An address of the public listener.
    pub fn url(&self, path: &str) -> Url {
        Url::parse(&format!("{}{path}", self.issuer())).unwrap()
    }

    /// An address of the operations listener.
    pub fn operations(&self, path: &str) -> Url {
        Url::parse(&format!("http://127.0.0.1:{}{path}", self.operations)).unwrap()
    }

    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// A client that trusts its certificate.
    pub fn client(&self) -> reqwest::Client {
        self.setup.tls.as_ref().map_or_else(client, |(certificate, _)| trusting(certificate))
    }

    /// The directory in which it runs.
    pub fn place(&self) -> &Path {
        self.place.path()
    }

    /// A file of its directory of keys.
    pub fn key_file(&self, name: &str) -> PathBuf {
        self.place().join("certs").join(name)
    }

    /// All that it has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.place().join("log")).unwrap_or_default()
    }

    pub fn is_alive(&mut self) -> bool {
        !self.process.has_ended()
    }

    /// SIGTERM, and how it ended.
    pub fn stop(&mut self) -> ExitStatus {
        self.process.terminate()
    }

    /// Like a power cut.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// The same gateway once more, on the same ports and files, where the configuration may have changed.
    pub async fn start_again(&mut self, change: impl FnOnce(&mut Setup)) {
        assert!(self.process.has_ended(), "it still runs");
        change(&mut self.setup);
        self.process = spawn(&self.setup, self.port, self.operations, self.place.path());
        self.wait_until_ready().await;
    }

    /// A page of the operations listener.
    pub async fn ask_operations(&self, path: &str, accept: &str) -> Page {
        let url = self.operations(path);
        Page::read(client().get(url.clone()).header("accept", accept).send().await.expect("the operations listener answers"), &url).await
    }

    /// The trace of a login, as JSON.
    pub async fn trace(&self, correlation_id: &str) -> serde_json::Value {
        let page = self.ask_operations(&format!("/traces/{correlation_id}"), "application/json").await;
        assert_eq!(page.status, 200, "{}", page.body);
        page.json()
    }

    /// A counter of `/metrics`, by its name and labels as they are written there; 0 when it is not there yet.
    pub async fn metric(&self, line: &str) -> u64 {
        let page = self.ask_operations("/metrics", "*/*").await;
        let found = page.body.lines().find_map(|found| found.strip_prefix(line)?.strip_prefix(' '));
        found.map_or(0, |number| number.parse().expect("a number"))
    }

    pub async fn wait_for_log(&self, text: &str) {
        eventually(&format!("{text:?} in the log"), async || self.log().contains(text).then_some(())).await;
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let ended = self.process.child().try_wait().ok().flatten();
        self.process.kill();
        let log = self.log();
        if std::thread::panicking() {
            eprintln!(
                "--- the gateway's log\n{log}--- {}",
                ended.map_or_else(|| "still running".to_owned(), |status| format!("ended with {status}"))
            );
        } else {
            assert!(!log.contains("panicked at"), "the gateway panicked:\n{log}");
        }
    }
}

fn spawn(setup: &Setup, port: u16, operations: u16, place: &Path) -> Process {
    let config = place.join("isthmus.toml");
    fs::write(&config, setup.toml(port, operations, place)).unwrap();
    for (path, text) in &setup.files {
        let path = place.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        if path.extension().is_some_and(|end| end == "key" || end == "pem") {
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        }
    }
    let log = File::options().create(true).append(true).open(place.join("log")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_isthmus"));
    command.args(["serve", "--config", text(&config)]).current_dir(place).envs(setup.environment.iter().cloned());
    command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
    Process::start(&mut command, "the gateway")
}
