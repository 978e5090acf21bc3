//! Programs of others: pysaml2 as an identity provider and as an application, node-saml, openid-client and authlib as
//! applications.

use super::browser::{Browser, Departure, client};
use super::gateway::Gateway;
use super::keys::Pair;
use super::process::{Process, text};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use tempfile::TempDir;
use url::Url;

/// A program that answers each line of JSON with one.
pub struct Peer {
    _process: Process,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Peer {
    fn start(command: &mut Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = Process::start(command, "the peers");
        let input = process.child().stdin.take().unwrap();
        let output = BufReader::new(process.child().stdout.take().unwrap());
        Self { _process: process, input, output }
    }

    fn read(&mut self) -> Value {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("the peer answers");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("the peer says {line:?}: {error}"))
    }

    /// A command that works.
    #[track_caller]
    pub fn ask(&mut self, command: &Value) -> Value {
        let answer = self.try_ask(command);
        assert!(answer.get("error").is_none(), "{command}: {answer}");
        answer
    }

    pub fn try_ask(&mut self, command: &Value) -> Value {
        writeln!(self.input, "{command}").expect("the peer listens");
        self.read()
    }

    /// Where the browser of somebody who wants to sign in goes.
    #[track_caller]
    pub fn begin(&mut self, parameters: &Value) -> String {
        let answer = self.ask(&json!({"do": "begin", "parameters": parameters}));
        answer["url"].as_str().expect("an address").to_owned()
    }
}

/// An application as its library wants it configured.
pub struct Registration<'a> {
    pub client_id: &'a str,
    pub client_secret: &'a str,
    pub auth_method: &'a str,
    pub alg: &'a str,
    pub redirect_uri: &'a str,
}

impl Registration<'_> {
    fn json(&self, gateway: &Gateway) -> String {
        let Self { client_id, client_secret, auth_method, alg, redirect_uri } = self;
        json!({
            "issuer": gateway.issuer(), "client_id": client_id, "client_secret": client_secret,
            "auth_method": auth_method, "alg": alg, "redirect_uri": redirect_uri,
        })
        .to_string()
    }
}

pub fn openid_client(gateway: &Gateway, registration: &Registration<'_>) -> Peer {
    ready(Peer::start(node("openid_client.mjs").arg(registration.json(gateway))))
}

/// A script of Node that is told by its lines what it is, and trusts this certificate too.
pub fn node_peer(script: &str, trusted: Option<&Path>) -> Peer {
    ready(Peer::start(node(script).envs(trusted.map(|file| ("NODE_EXTRA_CA_CERTS", file)))))
}

/// express-openid-connect, with its TLS; it trusts the certificate in the file.
pub fn node_web_application(tls: &Pair, trusted: &Path) -> Peer {
    let own = json!({"key": tls.key_pem(), "certificate": tls.certificate_pem()}).to_string();
    ready(Peer::start(node("express_app.mjs").arg(own).env("NODE_EXTRA_CA_CERTS", trusted)))
}

fn node(script: &str) -> Command {
    let place = installed("node/node_modules/openid-client");
    let mut command = Command::new("node");
    command.arg(peers().join("node").join(script)).env("ISTHMUS_PEERS", place.ancestors().nth(2).unwrap());
    command
}

pub fn authlib(gateway: &Gateway, registration: &Registration<'_>) -> Peer {
    let mut command = python("authlib_app.py");
    command.arg(registration.json(gateway));
    ready(Peer::start(&mut command))
}

/// A program of `tests/peers` in Python, with its settings.
pub fn python_peer(script: &str, settings: &Value) -> Peer {
    ready(Peer::start(python(script).arg(settings.to_string())))
}

/// joserfc, for JOSE alone.
pub fn jose() -> Peer {
    ready(Peer::start(&mut python("jose.py")))
}

/// node-saml as an application, with its own options.
pub fn node_saml(options: &Value) -> Peer {
    let place = installed("node/node_modules/@node-saml/node-saml");
    let mut command = Command::new("node");
    command.arg(peers().join("node/node_saml_sp.mjs")).arg(options.to_string());
    command.env("ISTHMUS_PEERS", place.ancestors().nth(3).unwrap());
    ready(Peer::start(&mut command))
}

/// One order to pysaml2 as an application; see the script.
///
/// # Panics
/// When it fails.
pub fn pysaml2_sp(place: &Path, order: &Value) -> Value {
    let mut command = python("pysaml2_sp.py");
    let mut child = command.arg(place).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("python runs");
    writeln!(child.stdin.take().unwrap(), "{order}").expect("it listens");
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "pysaml2 refuses {order}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// Auth0's ManagementClient of npm.
pub fn auth0_of_npm(gateway: &Gateway, client_id: &str, client_secret: &str) -> Peer {
    let place = installed("node/node_modules/auth0");
    let mut command = Command::new("node");
    command.arg(peers().join("node/management.mjs")).arg(management(gateway, client_id, client_secret));
    command.env("ISTHMUS_PEERS", place.parent().and_then(Path::parent).unwrap());
    command.env("NODE_EXTRA_CA_CERTS", gateway.place().join("tls.crt"));
    ready(Peer::start(&mut command))
}

/// auth0-python's ManagementClient.
pub fn auth0_of_python(gateway: &Gateway, client_id: &str, client_secret: &str) -> Peer {
    let mut command = python("management.py");
    command.arg(management(gateway, client_id, client_secret));
    command.env("SSL_CERT_FILE", gateway.place().join("tls.crt"));
    ready(Peer::start(&mut command))
}

fn management(gateway: &Gateway, client_id: &str, client_secret: &str) -> String {
    let issuer = gateway.issuer();
    let domain = issuer.strip_prefix("https://").expect("the SDKs speak https only");
    json!({"domain": domain, "client_id": client_id, "client_secret": client_secret}).to_string()
}

fn ready(mut peer: Peer) -> Peer {
    assert_eq!(peer.read(), json!({"ready": true}));
    peer
}

/// pysaml2 as an identity provider, over HTTP.
pub struct Pysaml2 {
    _peer: Peer,
    _place: TempDir,
    pub base: String,
    pub metadata_file: PathBuf,
}

impl Pysaml2 {
    pub fn start() -> Self {
        let place = tempfile::tempdir().unwrap();
        let mut peer = Peer::start(python("pysaml2_idp.py").arg(place.path()));
        let ready = peer.read();
        Self {
            _peer: peer,
            _place: place,
            base: format!("http://127.0.0.1:{}", ready["port"]),
            metadata_file: PathBuf::from(ready["metadata_file"].as_str().expect("a file")),
        }
    }

    /// Its `[[connection]]`; `saml` are more lines of the inner table.
    pub fn toml(&self, name: &str, saml: &str) -> String {
        let file = text(&self.metadata_file);
        format!("name = \"{name}\"\ndisplay_name = \"pysaml2\"\n[connection.saml]\nmetadata_file = \"{file}\"\n{saml}\n")
    }

    /// Changes its settings; see the script.
    pub async fn control(&self, changes: &Value) -> Value {
        let answer = client().post(format!("{}/control", self.base)).json(changes).send().await.expect("pysaml2 answers");
        let answer: Value = answer.json().await.expect("JSON");
        assert_eq!(answer["ok"], json!(true), "{answer}");
        answer
    }

    /// What it read in the last request.
    pub async fn seen(&self) -> Value {
        client().get(format!("{}/seen", self.base)).send().await.expect("pysaml2 answers").json().await.expect("JSON")
    }

    /// Brings the browser there, and back with what it answers.
    pub async fn sign_in(&self, browser: &Browser, departure: &Departure) -> super::browser::Landed {
        let client = client();
        let request = match &departure.form {
            Some(fields) => client.post(departure.url.clone()).form(fields),
            None => client.get(departure.url.clone()),
        };
        let answer = request.send().await.expect("pysaml2 answers");
        let (status, page) = (answer.status(), answer.text().await.unwrap());
        assert_eq!(status, 200, "{page}");
        let form = super::html::form(&page).expect("a form");
        let from = Url::parse(&self.base).unwrap();
        browser.post(&from, &Url::parse(&form.action).unwrap(), &form.fields).await
    }
}

fn python(script: &str) -> Command {
    let mut command = Command::new(installed("venv/bin/python"));
    command.arg("-W").arg("ignore").arg(peers().join(script));
    command
}

fn peers() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers")
}

/// What `tests/setup.sh` has put below the target directory.
pub fn installed(path: &str) -> PathBuf {
    // The temporary directory that cargo gives integration tests stands in the target directory.
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let found = target.join("peers").join(path);
    assert!(found.exists(), "{} is missing: run tests/setup.sh", found.display());
    found
}
