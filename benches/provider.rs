//! The provider half alone, against the release binary: `cargo bench --bench provider`.
//!
//! People have a session already. Measured are authorize, token and UserInfo together, a refresh, an introspection, the two
//! documents, and UserInfo beside a route of the same framework that returns a constant of the same size. Two gateways run
//! side by side, one with a handful of applications and one with 10,000 more in its directory, and take turns. CPU is the
//! time of the gateway's process; every answer is checked as in the login bench.
//!
//! `--applications N`: instead of 10,000. `--only WORD`: rows with this word in their name. `--count N`: operations per turn.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this program's result is what it prints")]
#![expect(clippy::cast_precision_loss, reason = "counts are far below the precision of a float")]

#[path = "login/clients.rs"]
mod clients;
#[path = "provider/constant.rs"]
mod constant;
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
#[path = "login/yardstick.rs"]
mod yardstick;

use constant::Constant;
use gateway::{Cpu, Gateway};
use isthmus::keys::CertifiedKey;
use isthmus::oidc::OidcKeys;
use isthmus::store::open_directory;
use load::{Asked, CLIENT_ID, CLIENT_SECRET, CONNECTION, Client, IDP, Parties, REDIRECT_URI};
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use tempfile::TempDir;
use test_servers::free_port;
use yardstick::Yardstick;

const ES256_CLIENT: &str = "bench-es256";
const SCOPE: &str = "openid profile email";
/// Requests at once.
const CONCURRENCY: usize = 8;
/// How often the gateways take turns.
const TURNS: usize = 6;

fn main() -> ExitCode {
    if let Some(served) = constant::serve_if_asked() {
        return served;
    }
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
    applications: usize,
    only: String,
    count: usize,
}

impl Options {
    fn read() -> Result<Self, String> {
        let mut options = Self { applications: 10_000, only: String::new(), count: 1500 };
        let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
        while let Some(argument) = arguments.next() {
            let value = arguments.next().ok_or_else(|| format!("{argument} needs a value"))?;
            let number = || value.parse().map_err(|error| format!("{argument}: {error}"));
            match argument.as_str() {
                "--applications" => options.applications = number()?,
                "--count" => options.count = number()?,
                "--only" => options.only = value,
                other => return Err(format!("{other}: known are --applications N, --only WORD, --count N")),
            }
        }
        Ok(options)
    }
}

type Operation = fn(&mut Person<'_>) -> Result<(), String>;

/// What is measured, how often for each `--count`, and what is aimed at, in milliseconds of CPU.
const ROWS: &[(&str, usize, Option<f64>, Operation)] = &[
    ("authorize, token, userinfo: RS256", 1, Some(0.40), |person| person.login(CLIENT_ID)),
    ("authorize, token, userinfo: ES256", 1, Some(0.12), |person| person.login(ES256_CLIENT)),
    ("refresh: ES256", 1, None, |person| person.refresh()),
    ("introspection", 10, None, |person| person.introspect()),
    ("userinfo", 10, None, |person| person.userinfo()),
    ("discovery", 20, None, |person| person.document("/.well-known/openid-configuration")),
    ("JWKS", 20, None, |person| person.document("/.well-known/jwks.json")),
];

fn bench(options: &Options) -> Result<(), String> {
    let idp_key = gateway::make_idp_key()?;
    let few = World::start(&idp_key, 0)?;
    let many = World::start(&idp_key, options.applications)?;
    let worlds = [&few, &many].map(|world| [world.parties(&idp_key, CLIENT_ID, "RS256"), world.parties(&idp_key, ES256_CLIENT, "ES256")]);
    let mut people = Vec::new();
    for parties in &worlds {
        let people_of = (0..CONCURRENCY).map(|number| Person::sign_in(parties, number)).collect::<Result<Vec<_>, _>>()?;
        people.push(people_of);
    }
    let yardstick = Yardstick::measure()?;
    println!("{:<40}{:>12}{:>20}{:>9}", "CPU ms of the gateway, applications:", "2", options.applications + 2, "aim");
    for (name, times, aim, operation) in ROWS.iter().filter(|row| row.0.contains(&options.only)) {
        let (mut spent, count) = ([0.0; 2], times * options.count);
        // The first turn warms up.
        for turn in 0..=TURNS {
            for (world, (people, spent)) in [&few, &many].into_iter().zip(people.iter_mut().zip(&mut spent)) {
                people.iter_mut().try_for_each(Person::reconnect)?;
                let before = world.cpu.seconds()?;
                all_at_once(people, count, *operation)?;
                *spent += if turn == 0 { 0.0 } else { (world.cpu.seconds()? - before) * 1000.0 };
            }
        }
        let [few, many] = spent.map(|spent| spent / (TURNS * count) as f64);
        let change = (many / few - 1.0) * 100.0;
        let aim = aim.map(|aim| format!("{aim:.2}")).unwrap_or_default();
        println!("{name:<40}{few:>12.4}{:>20}{aim:>9}", format!("{many:.4} ({change:+.1} %)"));
    }
    if "constant route".contains(&options.only) {
        beside_a_constant(people.first_mut().map(Vec::as_mut_slice).unwrap_or_default(), &few, options.count)?;
    }
    println!("RSA-2048 at this moment: signature {:.3} ms, verification {:.3} ms of CPU", yardstick.signature, yardstick.verification);
    Ok(())
}

/// UserInfo, and a route that returns as many octets and does nothing else, in turns.
fn beside_a_constant(people: &mut [Person<'_>], world: &World, count: usize) -> Result<(), String> {
    let octets = people.first_mut().ok_or("nobody is signed in")?.userinfo_octets()?;
    let constant = Constant::start(octets)?;
    let constant_cpu = Cpu::of(constant.process_id(), gateway::clock_ticks()?);
    let mut visitors = (0..CONCURRENCY).map(|_| constant.visitor()).collect::<Result<Vec<_>, _>>()?;
    let mut spent = [0.0; 2];
    for turn in 0..=TURNS {
        people.iter_mut().try_for_each(Person::reconnect)?;
        for visitor in &mut visitors {
            *visitor = constant.visitor()?;
        }
        let before = [world.cpu.seconds()?, constant_cpu.seconds()?];
        all_at_once(people, 20 * count, Person::userinfo)?;
        all_at_once(&mut visitors, 20 * count, |connection| connection.get("/", &[])?.expect(200).map(drop))?;
        let after = [world.cpu.seconds()?, constant_cpu.seconds()?];
        for ((spent, before), after) in spent.iter_mut().zip(before).zip(after) {
            *spent += if turn == 0 { 0.0 } else { after - before };
        }
    }
    let [userinfo, constant] = spent.map(|spent| spent * 1000.0 / (TURNS * 20 * count) as f64);
    println!("userinfo beside a constant of {octets} octets: {userinfo:.4}, {constant:.4}, {:.2} times (aim 1.5)", userinfo / constant);
    Ok(())
}

/// `count` operations by all of `workers`. The first failure ends everything.
fn all_at_once<W: Send>(workers: &mut [W], count: usize, operation: fn(&mut W) -> Result<(), String>) -> Result<(), String> {
    let next = AtomicUsize::new(0);
    let work = |worker: &mut W| {
        while next.fetch_add(1, Ordering::Relaxed) < count {
            operation(worker).inspect_err(|_| next.store(count, Ordering::Relaxed))?;
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = workers.iter_mut().map(|worker| scope.spawn(|| work(worker))).collect();
        threads.into_iter().try_for_each(|thread| thread.join().map_err(|_| "a load thread panicked".to_owned())?)
    })
}

/// A gateway with its keys and its directory.
struct World {
    gateway: Gateway,
    cpu: Cpu,
    keys: OidcKeys,
    _place: TempDir,
}

impl World {
    fn start(idp_key: &CertifiedKey, applications: usize) -> Result<Self, String> {
        let place = tempfile::tempdir().map_err(|error| error.to_string())?;
        let keys = gateway::prepare(place.path(), idp_key)?;
        fill(&directory(place.path()), applications)?;
        let configuration = |address| configuration(address, place.path());
        let (gateway, cpu) = Gateway::launch(place.path(), gateway::clock_ticks()?, configuration)?;
        Ok(Self { gateway, cpu, keys, _place: place })
    }

    fn parties<'a>(&'a self, idp_key: &'a CertifiedKey, client_id: &'a str, algorithm: &'a str) -> Parties<'a> {
        Parties { gateway: &self.gateway, openid_idp: None, idp_key, keys: &self.keys, algorithm, client_id, saml: None, groups: 5 }
    }
}

fn directory(place: &Path) -> String {
    format!("sqlite:{}", place.join("isthmus.db").display())
}

fn fill(url: &str, applications: usize) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
    runtime.block_on(async {
        let directory = open_directory(url).await.map_err(|error| error.to_string())?;
        clients::fill(&directory, applications).await?;
        directory.close().await.map_err(|error| error.to_string())
    })
}

/// Everything that is not said here is as it is by default.
fn configuration(address: SocketAddr, place: &Path) -> String {
    let application = |client_id: &str, algorithm: &str| {
        format!(
            "[[application]]\nclient_id = \"{client_id}\"\n[application.oidc]\nredirect_uris = [\"{REDIRECT_URI}\"]\n\
             client_secret = \"{CLIENT_SECRET}\"\nid_token_signed_response_alg = \"{algorithm}\"\n\
             grant_types = [\"authorization_code\", \"refresh_token\"]\n"
        )
    };
    format!(
        "issuer = \"http://{address}\"\nlisten = \"{address}\"\noperations_listen = \"127.0.0.1:{}\"\n\
         [directory]\nurl = \"{}\"\n[keys]\npath = \"certs\"\n\
         [[connection]]\nname = \"{CONNECTION}\"\n[connection.saml]\nentity_id = \"{IDP}\"\n\
         sso_url = \"https://idp.example.org/sso\"\ncertificates = [\"idp.pem\"]\n{}{}",
        free_port(),
        directory(place),
        application(CLIENT_ID, "RS256"),
        application(ES256_CLIENT, "ES256"),
    )
}

/// Somebody with a session, at two applications.
struct Person<'a> {
    rs256: Client<'a>,
    es256: Client<'a>,
    subject: String,
    cookies: String,
    access_token: String,
    refresh_token: String,
}

impl<'a> Person<'a> {
    fn sign_in([rs256, es256]: &'a [Parties<'a>; 2], number: usize) -> Result<Self, String> {
        let (mut rs256, mut es256) = (Client::new(rs256)?, Client::new(es256)?);
        let (subject, scope) = (format!("person-{number}"), format!("{SCOPE} offline_access"));
        let asked = Asked::new(CLIENT_ID, &scope);
        let (cookies, back) = rs256.sign_in(&asked, &subject)?;
        let code = rs256.code(back.header("location")?, &asked)?;
        let access_token = load::text(&rs256.redeem(&asked, &code, &subject)?, "access_token")?.to_owned();
        let asked = Asked::new(ES256_CLIENT, &scope);
        let code = silently(&mut es256, &asked, &cookies)?;
        let refresh_token = load::text(&es256.redeem(&asked, &code, &subject)?, "refresh_token")?.to_owned();
        Ok(Self { rs256, es256, subject, cookies, access_token, refresh_token })
    }

    /// The gateway closes connections on which nothing happens.
    fn reconnect(&mut self) -> Result<(), String> {
        [&mut self.rs256, &mut self.es256].into_iter().try_for_each(Client::reconnect)
    }

    fn login(&mut self, client_id: &str) -> Result<(), String> {
        let client = if client_id == CLIENT_ID { &mut self.rs256 } else { &mut self.es256 };
        let asked = Asked::new(client_id, SCOPE);
        let code = silently(client, &asked, &self.cookies)?;
        let tokens = client.redeem(&asked, &code, &self.subject)?;
        client.userinfo(load::text(&tokens, "access_token")?, &self.subject)
    }

    fn refresh(&mut self) -> Result<(), String> {
        let form = load::form(&[("grant_type", "refresh_token"), ("refresh_token", &self.refresh_token)]);
        let tokens = load::object(&self.es256.as_client("/oauth/token", &form)?)?;
        let next = load::text(&tokens, "refresh_token")?;
        if next == self.refresh_token {
            return Err("the refresh token was not rotated".to_owned());
        }
        next.clone_into(&mut self.refresh_token);
        Ok(())
    }

    fn introspect(&mut self) -> Result<(), String> {
        let form = load::form(&[("token", &self.access_token)]);
        let told = load::object(&self.rs256.as_client("/oauth/introspect", &form)?)?;
        if told.get("active") == Some(&true.into()) { Ok(()) } else { Err(format!("not active: {told:?}")) }
    }

    fn userinfo(&mut self) -> Result<(), String> {
        self.rs256.userinfo(&self.access_token, &self.subject)
    }

    fn userinfo_octets(&mut self) -> Result<usize, String> {
        let bearer = format!("Bearer {}", self.access_token);
        Ok(self.rs256.connection.get("/userinfo", &[("Authorization", &bearer)])?.expect(200)?.body.len())
    }

    fn document(&mut self, path: &str) -> Result<(), String> {
        self.rs256.connection.get(path, &[])?.expect(200).map(drop)
    }
}

/// The code that a session gives at once.
fn silently(client: &mut Client<'_>, asked: &Asked, cookies: &str) -> Result<String, String> {
    let back = client.connection.get(&format!("/authorize?{}", asked.query), &[("Cookie", cookies)])?.expect(303)?;
    client.code(back.header("location")?, asked)
}
