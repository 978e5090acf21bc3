//! Brokered logins beside a flood of passwords, against the release binary: `cargo bench --bench flood`.
//!
//! Many browsers send passwords for people whom nobody knows to a database of the same gateway, as fast as they are answered,
//! from networks of which it counts nothing: each costs a hash. Whole logins by the other connection go on, one after
//! the other, in turns with the flood and without it. Compared is how long a login waits for the gateway.
//!
//! `--browsers N`: in the flood (96). `--logins N`: per turn (100).
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this program's result is what it prints")]
#![expect(clippy::cast_precision_loss, reason = "counts are far below the precision of a float")]

#[path = "login/gateway.rs"]
#[allow(dead_code, reason = "the login bench needs more of it")]
mod gateway;
#[path = "login/http.rs"]
mod http;
#[path = "login/load.rs"]
#[allow(dead_code, reason = "the login bench needs more of it")]
mod load;
#[path = "login/openid_idp.rs"]
#[allow(dead_code, reason = "the login bench needs more of it")]
mod openid_idp;
#[path = "login/saml_app.rs"]
#[allow(dead_code, reason = "the login bench needs more of it")]
mod saml_app;
#[path = "../src/store/test_servers.rs"]
#[allow(clippy::panic, reason = "only free ports are needed of it")]
mod test_servers;

use gateway::{Cpu, Gateway};
use http::Connection;
use load::{Asked, CLIENT_ID, CLIENT_SECRET, CONNECTION, IDP, Measured, Parties, REDIRECT_URI, cookies, form};
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use test_servers::free_port;

const DATABASE: &str = "people";
/// The application that everybody of the flood wants to.
const FLOODED: &str = "bench-people";
const TURNS: usize = 6;

/// By how much a login may wait longer.
const AIM: f64 = 20.0;

fn main() -> ExitCode {
    let outcome = Options::read().and_then(|options| bench(&options));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("bench: {why}");
            ExitCode::FAILURE
        }
    }
}

struct Options {
    browsers: usize,
    logins: usize,
}

impl Options {
    fn read() -> Result<Self, String> {
        let mut options = Self { browsers: 96, logins: 100 };
        let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
        while let Some(argument) = arguments.next() {
            let value = arguments.next().ok_or_else(|| format!("{argument} needs a value"))?;
            let number = value.parse().map_err(|error| format!("{argument}: {error}"))?;
            match argument.as_str() {
                "--browsers" => options.browsers = number,
                "--logins" => options.logins = number,
                other => return Err(format!("{other}: known are --browsers N, --logins N")),
            }
        }
        Ok(options)
    }
}

fn bench(options: &Options) -> Result<(), String> {
    let place = tempfile::tempdir().map_err(|error| error.to_string())?;
    let idp_key = gateway::make_idp_key()?;
    let keys = gateway::prepare(place.path(), &idp_key)?;
    let (gateway, cpu) = Gateway::launch(place.path(), gateway::clock_ticks()?, |address| configuration(address, place.path()))?;
    let parties = Parties {
        gateway: &gateway,
        openid_idp: None,
        idp_key: &idp_key,
        keys: &keys,
        algorithm: "RS256",
        client_id: CLIENT_ID,
        saml: None,
        groups: 5,
    };
    load::run(&parties, load::PEOPLE, 1)?;
    let [mut alone, mut beside] = [Vec::new(), Vec::new()];
    let mut flood = Flooded::default();
    for _ in 0..TURNS {
        alone.extend(load::run(&parties, options.logins, 1)?.latencies);
        let (measured, flooded) = beside_a_flood(&parties, options, &cpu)?;
        beside.extend(measured.latencies);
        flood.add(&flooded);
    }
    let [alone, beside] = [alone, beside].map(|mut latencies| {
        latencies.sort_unstable();
        Measured { wall: Duration::ZERO, latencies }
    });
    println!("milliseconds that a login waits for the gateway, one after the other, {} each:", alone.latencies.len());
    println!("  {:<28}{:>8}{:>8}{:>8}", "", "p50", "p90", "p99");
    for (name, measured) in [("alone", &alone), ("beside a flood of passwords", &beside)] {
        let [p50, p90, p99] = [50, 90, 99].map(|percent| milliseconds(measured.percentile(percent)));
        println!("  {name:<28}{p50:>8.2}{p90:>8.2}{p99:>8.2}");
    }
    let change = (milliseconds(beside.percentile(50)) / milliseconds(alone.percentile(50)) - 1.0) * 100.0;
    println!("  p50 {change:+.0} % (aim: at most +{AIM:.0} %)");
    println!(
        "flood: {} browsers; passwords answered in a second: {:.0} looked at, {:.0} turned away; processors used: {:.2}",
        options.browsers,
        flood.looked as f64 / flood.seconds,
        flood.turned_away as f64 / flood.seconds,
        flood.cpu / flood.seconds,
    );
    Ok(())
}

/// What a flood achieved.
#[derive(Default)]
struct Flooded {
    looked: usize,
    turned_away: usize,
    seconds: f64,
    /// Of the gateway, in seconds.
    cpu: f64,
}

impl Flooded {
    fn add(&mut self, other: &Self) {
        self.looked += other.looked;
        self.turned_away += other.turned_away;
        self.seconds += other.seconds;
        self.cpu += other.cpu;
    }
}

fn beside_a_flood(parties: &Parties<'_>, options: &Options, cpu: &Cpu) -> Result<(Measured, Flooded), String> {
    let (over, looked, turned_away) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
    let started = std::sync::Barrier::new(options.browsers + 1);
    thread::scope(|scope| {
        let browser = || -> Result<(), String> {
            let mut browser = Browser::at_the_page(parties.gateway.address);
            started.wait();
            let browser = browser.as_mut().map_err(|why| why.clone())?;
            while !over.load(Ordering::Relaxed) {
                let counter = if browser.guess()? { &looked } else { &turned_away };
                counter.fetch_add(1, Ordering::Relaxed);
            }
            Ok(())
        };
        let browsers: Vec<_> = (0..options.browsers).map(|_| scope.spawn(browser)).collect();
        started.wait();
        // Until the first answers are there.
        thread::sleep(Duration::from_millis(600));
        let (began, cpu_before) = (Instant::now(), cpu.seconds()?);
        let before = [looked.load(Ordering::Relaxed), turned_away.load(Ordering::Relaxed)];
        let measured = load::run(parties, options.logins, 1);
        let flooded = Flooded {
            looked: looked.load(Ordering::Relaxed) - before[0],
            turned_away: turned_away.load(Ordering::Relaxed) - before[1],
            seconds: began.elapsed().as_secs_f64(),
            cpu: cpu.seconds()? - cpu_before,
        };
        over.store(true, Ordering::Relaxed);
        browsers.into_iter().try_for_each(|browser| browser.join().map_err(|_| "a browser of the flood panicked".to_owned())?)?;
        Ok((measured?, flooded))
    })
}

/// Somebody who guesses.
struct Browser {
    connection: Connection,
    cookies: String,
    login: String,
    csrf: String,
}

impl Browser {
    fn at_the_page(address: SocketAddr) -> Result<Self, String> {
        let mut connection = Connection::open(address).map_err(|error| error.to_string())?;
        let asked = Asked::new(FLOODED, "openid");
        let to_page = connection.get(&format!("/authorize?{}", asked.query), &[])?.expect(303)?;
        let cookies = cookies(&to_page);
        let location = to_page.header("location")?;
        let target =
            location.find("/login/password").and_then(|at| location.get(at..)).ok_or_else(|| format!("not the page: {location}"))?;
        let page = connection.get(target, &[("Cookie", &cookies)])?.expect(200)?.text();
        let hidden = |name: &str| {
            let (_, rest) = page.split_once(&format!("name=\"{name}\" value=\""))?;
            Some(rest.split_once('"')?.0.to_owned())
        };
        let (login, csrf) = (hidden("login"), hidden("csrf"));
        let (login, csrf) = login.zip(csrf).ok_or_else(|| format!("no form in {page}"))?;
        Ok(Self { connection, cookies, login, csrf })
    }

    /// A wrong password for nobody; `false`: it was not even looked at.
    fn guess(&mut self) -> Result<bool, String> {
        let (name, password) = (format!("{}@example.org", isthmus::id::random_id()), isthmus::id::random_id());
        let typed = form(&[("login", &self.login), ("csrf", &self.csrf), ("username", &name), ("password", &password)]);
        let answer = self.connection.post("/login/password", &[("Cookie", &self.cookies)], &typed)?;
        match answer.status {
            200 => Ok(true),
            429 | 503 => Ok(false),
            _ => answer.expect(200).map(|_| true),
        }
    }
}

/// Everything that is not said here is as it is by default.
fn configuration(address: SocketAddr, place: &Path) -> String {
    let directory = place.join("isthmus.db");
    format!(
        r#"
issuer = "http://{address}"
listen = "{address}"
operations_listen = "127.0.0.1:{}"

[directory]
url = "sqlite:{}"
[keys]
path = "certs"
[limits]
mode = "off"

[[connection]]
name = "{CONNECTION}"
[connection.saml]
entity_id = "{IDP}"
sso_url = "https://idp.example.org/sso"
certificates = ["idp.pem"]

[[connection]]
name = "{DATABASE}"
[connection.database]

[[application]]
client_id = "{CLIENT_ID}"
connections = ["{CONNECTION}"]
[application.oidc]
redirect_uris = ["{REDIRECT_URI}"]
client_secret = "{CLIENT_SECRET}"

[[application]]
client_id = "{FLOODED}"
connections = ["{DATABASE}"]
[application.oidc]
redirect_uris = ["{REDIRECT_URI}"]
"#,
        free_port(),
        directory.display()
    )
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
