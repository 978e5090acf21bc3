//! What calls of the management API cost the release binary with 100,000 users: `cargo bench --bench api`.
//!
//! CPU is the time of the gateway's process. `--users N`: so many. `--clients N`: so many registered applications beside
//! the one that calls; they should change nothing. `--only WORD`: SQLite or PostgreSQL.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this program's result is what it prints")]
#![expect(clippy::cast_precision_loss, reason = "counts are far below the precision of a float")]

#[path = "login/clients.rs"]
mod clients;
#[path = "login/http.rs"]
#[allow(dead_code, reason = "the login bench needs more of it")]
mod http;
#[path = "../src/store/test_servers.rs"]
#[allow(clippy::panic, reason = "a bench that cannot start its servers has failed")]
mod test_servers;

use http::Connection;
use isthmus::clock::Timestamp;
use isthmus::profile::Written;
use isthmus::store::{Directory, IdentityLogin, open_directory};
use isthmus::user::Identity;
use serde_json::{Value, json};
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};
use test_servers::{Server, free_port};

const SECRET: &str = "only-for-this-bench-0123456789";

/// Seconds for each row.
const LONG_ENOUGH: f64 = 2.0;

fn main() -> ExitCode {
    let (mut users, mut clients, mut only) = (100_000, 0, String::new());
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    while let Some(name) = arguments.next() {
        match (name.as_str(), arguments.next()) {
            ("--users", Some(number)) => users = number.parse().unwrap_or(users),
            ("--clients", Some(number)) => clients = number.parse().unwrap_or(clients),
            ("--only", Some(word)) => only = word,
            _ => {
                eprintln!("bench: known are --users N, --clients N and --only WORD");
                return ExitCode::FAILURE;
            }
        }
    }
    match both((users, clients), &only) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("bench: {why}");
            ExitCode::FAILURE
        }
    }
}

fn both((users, clients): (usize, usize), only: &str) -> Result<(), String> {
    println!("  {users} users, {clients} clients                            CPU us of the gateway   us until the answer");
    if "SQLite".contains(only) {
        let place = tempfile::tempdir().map_err(|error| error.to_string())?;
        let url = format!("sqlite:{}", place.path().join("bench.db").display());
        measure("SQLite", &url, place.path(), (users, clients))?;
    }
    if "PostgreSQL".contains(only) {
        let Ok(server) = std::panic::catch_unwind(Server::postgres) else {
            eprintln!("bench: without PostgreSQL; `make setup-test` installs it");
            return Ok(());
        };
        let place = tempfile::tempdir().map_err(|error| error.to_string())?;
        measure("PostgreSQL", &server.postgres_url(), place.path(), (users, clients))?;
    }
    Ok(())
}

fn measure(name: &str, url: &str, place: &Path, (users, clients): (usize, usize)) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().map_err(|error| error.to_string())?;
    runtime.block_on(async {
        let directory = open_directory(url).await.map_err(|error| error.to_string())?;
        fill(&directory, users).await?;
        clients::fill(&directory, clients).await?;
        directory.close().await.map_err(|error| error.to_string())
    })?;
    let gateway = Gateway::start(url, place)?;
    let token = gateway.token()?;
    let id = "samlp%7Cacme%7Cperson-77";
    for (what, path) in [
        ("get by id", format!("/users/{id}")),
        ("by e-mail", "/users-by-email?email=person77%40acme.example".to_owned()),
        ("a page of 50", "/users?per_page=50".to_owned()),
        ("the first 50 by id", "/users?take=50".to_owned()),
        ("search by e-mail", "/users?q=email%3A%22person77%40acme.example%22".to_owned()),
        ("search by the beginning of a name", "/users?q=name%3Ajane%5C%20777*&per_page=10".to_owned()),
        ("search in app_metadata", "/users?q=app_metadata.plan%3A%22gold%2077%22&per_page=10".to_owned()),
    ] {
        gateway.row(name, what, (&format!("/api/v2{path}"), 200), &token)?;
    }
    // Nobody is signed in: the application is found, its address proven, and the browser sent back.
    let silently = "client_id=notes&redirect_uri=https%3A%2F%2Fnotes.example%2Fcb&response_type=code&scope=openid&prompt=none&\
                    code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256";
    gateway.row(name, "authorize, silently", (&format!("/authorize?{silently}"), 303), &token)?;
    Ok(())
}

async fn fill(directory: &Arc<dyn Directory>, users: usize) -> Result<(), String> {
    let mut tasks = tokio::task::JoinSet::new();
    for worker in 0..4 {
        let directory = Arc::clone(directory);
        tasks.spawn(async move {
            for number in (worker..users).step_by(4) {
                let identity =
                    Identity { connection: "acme".into(), provider: "samlp".into(), user_id: format!("person-{number}"), is_social: false };
                let email = format!("person{number}@acme.example");
                let name = format!("Jane {number}");
                let profile = json!({ "email": email, "email_verified": true, "name": name, "given_name": "Jane" });
                let Value::Object(profile) = profile else { return Err("no object".to_owned()) };
                let profile = Written::object(&profile).map_err(|error| error.to_string())?;
                let root = json!({ "name": name, "given_name": "Jane" }).to_string();
                let login = IdentityLogin::plain(&identity, profile.as_raw(), Timestamp::now());
                let login = IdentityLogin { root: &root, email: Some(&email), email_verified: true, ..login };
                directory.record_login(&login).await.map_err(|error| error.to_string())?;
            }
            Ok(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.map_err(|error| error.to_string())??;
    }
    Ok(())
}

/// The release binary.
struct Gateway {
    child: Child,
    address: SocketAddr,
}

impl Gateway {
    fn start(url: &str, place: &Path) -> Result<Self, String> {
        let (address, operations) = (format!("127.0.0.1:{}", free_port()), free_port());
        let config = place.join("isthmus.toml");
        let text = format!(
            "issuer = \"http://{address}\"\nlisten = \"{address}\"\noperations_listen = \"127.0.0.1:{operations}\"\n\
             [directory]\nurl = \"{url}\"\n[log]\nlevel = \"warn\"\n[api]\nrequests_per_second = 100000\nburst = 1000000\n\
             [[application]]\nclient_id = \"bench\"\n[application.oidc]\ngrant_types = [\"client_credentials\"]\n\
             token_endpoint_auth_method = \"client_secret_post\"\nclient_secret = \"{SECRET}\"\n\
             [application.api]\nscopes = [\"read:users\"]\n\
             [[application]]\nclient_id = \"notes\"\n[application.oidc]\nredirect_uris = [\"https://notes.example/cb\"]\n"
        );
        fs::write(&config, text).map_err(|error| error.to_string())?;
        let child = Command::new(env!("CARGO_BIN_EXE_isthmus"))
            .args(["serve", "--config"])
            .arg(&config)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| error.to_string())?;
        let gateway = Self { child, address: address.parse().map_err(|_| "no address")? };
        let begin = Instant::now();
        while Connection::open(gateway.address).is_err() {
            if begin.elapsed() > Duration::from_secs(20) {
                return Err("the gateway does not answer; `isthmus serve` with the same configuration tells why".to_owned());
            }
            sleep(Duration::from_millis(20));
        }
        Ok(gateway)
    }

    fn token(&self) -> Result<String, String> {
        let audience = format!("http%3A%2F%2F{}%2Fapi%2Fv2%2F", self.address.to_string().replace(':', "%3A"));
        let form = format!("grant_type=client_credentials&client_id=bench&client_secret={SECRET}&audience={audience}");
        let answer = self.connection()?.post("/oauth/token", &[], &form)?.expect(200)?;
        let answer: Value = serde_json::from_slice(&answer.body).map_err(|error| error.to_string())?;
        answer["access_token"].as_str().map(str::to_owned).ok_or_else(|| "no token".to_owned())
    }

    fn connection(&self) -> Result<Connection, String> {
        Connection::open(self.address).map_err(|error| error.to_string())
    }

    fn row(&self, name: &str, what: &str, (path, status): (&str, u16), token: &str) -> Result<(), String> {
        let mut connection = self.connection()?;
        let bearer = format!("Bearer {token}");
        let mut call = || connection.get(path, &[("authorization", bearer.as_str())])?.expect(status).map(drop);
        for _ in 0..20 {
            call()?;
        }
        let (cpu, begin, mut count) = (self.cpu()?, Instant::now(), 0_u32);
        while begin.elapsed().as_secs_f64() < LONG_ENOUGH {
            call()?;
            count += 1;
        }
        let wall = begin.elapsed().as_secs_f64() * 1e6 / f64::from(count);
        let cpu = (self.cpu()? - cpu) as f64 * 10_000.0 / f64::from(count);
        println!("  {:<55}{cpu:>8.1}{wall:>22.0}", format!("{name}: {what}"));
        Ok(())
    }

    /// User plus system time of the process, in hundredths of a second.
    fn cpu(&self) -> Result<u64, String> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).map_err(|error| error.to_string())?;
        // proc_pid_stat(5): utime and stime are fields 14 and 15; the name in parentheses may hold anything.
        let fields = stat.rsplit_once(')').map(|(_, rest)| rest).unwrap_or_default();
        Ok(fields.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum())
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // The answer does not matter: it is gone either way.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
