//! The release binary in a process of its own, and what the kernel counts about it.

use crate::http::Connection;
use crate::load::{ACS_PATH, CLIENT_ID, CLIENT_SECRET, CONNECTION, IDP, REDIRECT_URI};
use crate::openid_idp::{CERTIFICATE, OpenIdIdp};
use crate::saml_app;
use crate::test_servers::free_port;
use isthmus::keys::{CertifiedKey, KeyKind, Keyring, PrivateKey};
use isthmus::oidc::OidcKeys;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

const BINARY: &str = env!("CARGO_BIN_EXE_isthmus");

/// A configuration worth measuring.
#[derive(Clone, Debug)]
pub struct Variant {
    pub name: &'static str,
    /// `saml.signature_check`.
    pub signature_check: &'static str,
    /// Algorithm of the ID token.
    pub algorithm: &'static str,
    /// Sign the AuthnRequest with the RSA key too.
    pub sign_requests: bool,
    pub sessions: String,
    /// `None`: an SQLite file.
    pub directory: Option<String>,
    pub application: Protocol,
    /// The identity provider speaks OpenID Connect, and not SAML.
    pub openid_idp: bool,
    /// How many groups everybody is in.
    pub groups: usize,
}

/// What the application speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    OpenIdConnect,
    Saml {
        /// The assertion is encrypted to it.
        encrypt: bool,
    },
}

/// A running gateway; killed when dropped.
pub struct Gateway {
    child: Child,
    pub address: SocketAddr,
    pub issuer: String,
    /// From the start of the process to its first answer.
    pub started_in: Duration,
    pub idle: Memory,
}

/// Resident memory in MiB.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    pub now: f64,
    pub peak: f64,
}

impl Gateway {
    /// Starts it in `place`, where `certs/` and `idp.pem` are.
    pub fn start(variant: &Variant, openid_idp: Option<&OpenIdIdp>, place: &Path, clock_ticks: u64) -> Result<(Self, Cpu), String> {
        Self::launch(place, clock_ticks, |address| configuration(variant, openid_idp, address, place))
    }

    /// Starts it with what `configuration` makes of its address.
    pub fn launch(place: &Path, clock_ticks: u64, configuration: impl FnOnce(SocketAddr) -> String) -> Result<(Self, Cpu), String> {
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let issuer = format!("http://{address}");
        let config = place.join("isthmus.toml");
        fs::write(&config, configuration(address)).map_err(|error| error.to_string())?;
        let started = Instant::now();
        let child = Command::new(BINARY)
            .arg("serve")
            .arg("--config")
            .arg(&config)
            // Of an OpenID provider whose questions go over TLS.
            .envs(Some(("SSL_CERT_FILE", place.join(CERTIFICATE))).filter(|(_, path)| path.exists()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create("/dev/null").map_err(|error| error.to_string())?)
            .spawn()
            .map_err(|error| format!("{BINARY} does not start: {error}"))?;
        let cpu = Cpu::of(child.id(), clock_ticks);
        let nothing = Memory { now: 0.0, peak: 0.0 };
        let mut gateway = Self { child, address, issuer, started_in: Duration::ZERO, idle: nothing };
        gateway.started_in = gateway.first_answer(started)?;
        // What a start leaves behind settles within a moment.
        sleep(Duration::from_millis(300));
        gateway.idle = gateway.memory()?;
        Ok((gateway, cpu))
    }

    fn first_answer(&mut self, started: Instant) -> Result<Duration, String> {
        loop {
            if let Ok(mut connection) = Connection::open(self.address) {
                connection.get("/.well-known/openid-configuration", &[])?.expect(200)?;
                return Ok(started.elapsed());
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(format!("the gateway ended with {status}; `isthmus serve` with the same configuration tells why"));
            }
            if started.elapsed() > Duration::from_secs(20) {
                return Err("the gateway does not answer".to_owned());
            }
            sleep(Duration::from_millis(1));
        }
    }

    pub fn memory(&self) -> Result<Memory, String> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).map_err(|error| error.to_string())?;
        let mebibytes = |field: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(field));
            let kibibytes = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u32>().ok());
            kibibytes.map(|kibibytes| f64::from(kibibytes) / 1024.0).ok_or_else(|| format!("/proc says no {field}"))
        };
        Ok(Memory { now: mebibytes("VmRSS")?, peak: mebibytes("VmHWM")? })
    }

    pub fn process_id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // The answer does not matter: it is gone either way.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The CPU clock of the gateway's process, all its threads together.
pub struct Cpu {
    stat: PathBuf,
    clock_ticks: u64,
}

impl Cpu {
    pub fn of(process_id: u32, clock_ticks: u64) -> Self {
        Self { stat: format!("/proc/{process_id}/stat").into(), clock_ticks }
    }

    /// User plus system time since the start, in seconds.
    pub fn seconds(&self) -> Result<f64, String> {
        let stat = fs::read_to_string(&self.stat).map_err(|error| error.to_string())?;
        // proc_pid_stat(5): utime and stime are fields 14 and 15; the name in parentheses may hold anything.
        let fields = stat.rsplit_once(')').map(|(_, rest)| rest).unwrap_or_default();
        let ticks: Vec<u32> = fields.split_whitespace().skip(11).take(2).filter_map(|field| field.parse().ok()).collect();
        match ticks.as_slice() {
            [user, system] => Ok(f64::from(user + system) / self.clock_ticks as f64),
            _ => Err(format!("unexpected {}", self.stat.display())),
        }
    }
}

/// Ticks per second, in which the kernel counts CPU time.
pub fn clock_ticks() -> Result<u64, String> {
    let answer = Command::new("getconf").arg("CLK_TCK").output().map_err(|error| format!("getconf: {error}"))?;
    String::from_utf8_lossy(&answer.stdout).trim().parse().map_err(|error| format!("getconf CLK_TCK: {error}"))
}

/// What the identity provider that speaks SAML signs with.
pub fn make_idp_key() -> Result<CertifiedKey, String> {
    PrivateKey::generate(KeyKind::Rsa)
        .and_then(|key| CertifiedKey::self_signed(key, "bench identity provider"))
        .map_err(|error| error.to_string())
}

/// Makes the gateway's keys in `place`, so that no start has to, and writes down whose assertions it takes.
pub fn prepare(place: &Path, idp_key: &CertifiedKey) -> Result<OidcKeys, String> {
    let certs = place.join("certs");
    let made = Command::new(BINARY).args(["keys", "generate", "--path"]).arg(&certs).stdout(Stdio::null()).status();
    if !made.as_ref().is_ok_and(ExitStatus::success) {
        return Err(format!("isthmus keys generate: {made:?}"));
    }
    let certificate = idp_key.certificate().to_pem().map_err(|error| error.to_string())?;
    fs::write(place.join("idp.pem"), certificate).map_err(|error| error.to_string())?;
    Keyring::open(&certs).and_then(|keyring| OidcKeys::new(&keyring)).map_err(|error| error.to_string())
}

/// Everything that is not said here is as it is by default.
fn configuration(variant: &Variant, openid_idp: Option<&OpenIdIdp>, address: SocketAddr, place: &Path) -> String {
    let Variant { signature_check, algorithm, sessions, .. } = variant;
    let directory = variant.directory.clone().unwrap_or_else(|| {
        // Who is known by one protocol is somebody else by the other.
        let name = if openid_idp.is_some() { "isthmus-openid.db" } else { "isthmus.db" };
        format!("sqlite:{}", place.join(name).display())
    });
    let operations = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let application = match variant.application {
        Protocol::OpenIdConnect => openid_application(algorithm),
        Protocol::Saml { encrypt } => saml_app::configuration(encrypt),
    };
    let connection = openid_idp.map_or_else(|| saml_connection(variant.sign_requests), OpenIdIdp::configuration);
    format!(
        r#"
issuer = "http://{address}"
listen = "{address}"
operations_listen = "{operations}"

[directory]
url = "{directory}"

[sessions]
url = "{sessions}"

[keys]
path = "certs"

[saml]
signature_check = "{signature_check}"

[[connection]]
name = "{CONNECTION}"
{connection}
[[application]]
client_id = "{CLIENT_ID}"
{application}
"#
    )
}

fn saml_connection(sign_requests: bool) -> String {
    format!(
        r#"[connection.saml]
entity_id = "{IDP}"
sso_url = "https://idp.example.org/sso"
certificates = ["idp.pem"]
sign_requests = {sign_requests}
"#
    )
}

fn openid_application(algorithm: &str) -> String {
    format!(
        r#"[application.oidc]
redirect_uris = ["{REDIRECT_URI}"]
client_secret = "{CLIENT_SECRET}"
id_token_signed_response_alg = "{algorithm}"
"#
    )
}

/// Where the identity provider's answers go.
pub fn acs_url(issuer: &str) -> String {
    format!("{issuer}{ACS_PATH}")
}
