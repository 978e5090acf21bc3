//! Whole brokered logins against the release binary: `make bench`, or `cargo bench --bench login -- --quick`.
//!
//! The gateway runs in a process of its own, by its default configuration where [`gateway`] does not say otherwise, with its
//! log at the default level written to /dev/null. This process is the load: browser, identity provider and application.
//! Every login is checked from the first redirect to the claims; one that fails ends the bench. What is printed as CPU
//! is user plus system time of the gateway's process and nothing else; what an RSA-2048 signature costs on this machine
//! at this moment stands beside it, because machines differ and are shared.
//!
//! `--quick`: fewer logins, concurrency 8 only. `--only WORD`: configurations with this word in their name.
//! `--logins N`: so many per row. `--wait`: prints the gateway's process id and waits, for attaching a profiler.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this program's result is what it prints")]
#![expect(clippy::cast_precision_loss, reason = "counts are far below the precision of a float")]

#[path = "login/gateway.rs"]
mod gateway;
#[path = "login/http.rs"]
mod http;
#[path = "login/load.rs"]
#[allow(dead_code, reason = "the provider bench needs more of it")]
mod load;
#[path = "login/openid_idp.rs"]
mod openid_idp;
#[path = "login/saml_app.rs"]
mod saml_app;
#[path = "../src/store/test_servers.rs"]
#[allow(clippy::panic, reason = "a bench that cannot start its servers has failed")]
mod test_servers;
#[path = "login/yardstick.rs"]
mod yardstick;

use gateway::{Gateway, Protocol, Variant};
use isthmus::keys::CertifiedKey;
use isthmus::oidc::OidcKeys;
use load::{PEOPLE, Parties};
use openid_idp::OpenIdIdp;
use saml_app::SamlApp;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;
use test_servers::Server;
use yardstick::Yardstick;

/// Logins before anything is measured: everybody's first one, and then some.
const WARM_UP: usize = 2 * PEOPLE;

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
    quick: bool,
    wait: bool,
    only: String,
    logins: usize,
}

impl Options {
    fn read() -> Result<Self, String> {
        let mut options = Self { quick: false, wait: false, only: String::new(), logins: 0 };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or_else(|| format!("{argument} needs a value"));
            match argument.as_str() {
                // Cargo says this to every bench.
                "--bench" => {}
                "--quick" => options.quick = true,
                "--wait" => options.wait = true,
                "--only" => options.only = value()?,
                "--logins" => options.logins = value()?.parse().map_err(|error| format!("--logins: {error}"))?,
                other => return Err(format!("{other}: known are --quick, --only WORD, --logins N, --wait")),
            }
        }
        if options.logins == 0 {
            options.logins = if options.quick { 400 } else { 2000 };
        }
        Ok(options)
    }
}

/// A configuration with the concurrencies at which it is measured, and what is aimed at for 8 of them, in milliseconds.
struct Case {
    variant: Variant,
    concurrencies: &'static [usize],
    aim: Option<f64>,
}

fn cases(servers: Option<&(Server, Server)>) -> Vec<Case> {
    const ALL: &[usize] = &[1, 8, 64];
    let strict = Variant {
        name: "strict RS256",
        signature_check: "strict",
        algorithm: "RS256",
        sign_requests: false,
        sessions: "memory:".to_owned(),
        directory: None,
        application: Protocol::OpenIdConnect,
        openid_idp: false,
        groups: 5,
    };
    let es256 = Variant { name: "strict ES256", algorithm: "ES256", ..strict.clone() };
    let both = Variant { name: "both engines RS256", signature_check: "both", ..strict.clone() };
    let signed = Variant { name: "both engines RS256, requests signed", sign_requests: true, ..both.clone() };
    let mut cases = vec![
        Case { variant: strict.clone(), concurrencies: ALL, aim: Some(0.70) },
        Case { variant: es256, concurrencies: ALL, aim: Some(0.42) },
        Case { variant: both, concurrencies: ALL, aim: Some(1.00) },
        Case { variant: signed, concurrencies: &[8], aim: None },
    ];
    let saml = Variant { name: "SAML to SAML, strict", application: Protocol::Saml { encrypt: false }, ..strict.clone() };
    let saml_both = Variant { name: "SAML to SAML, both engines", signature_check: "both", ..saml.clone() };
    let encrypted =
        Variant { name: "SAML to SAML, strict, encrypted assertion", application: Protocol::Saml { encrypt: true }, ..saml.clone() };
    let many = Variant { name: "SAML to SAML, strict, 1,000 groups", groups: 1000, ..saml.clone() };
    cases.push(Case { variant: saml, concurrencies: ALL, aim: Some(0.80) });
    cases.extend([saml_both, encrypted, many].map(|variant| Case { variant, concurrencies: &[8], aim: None }));
    let openid = Variant { name: "OpenID to OpenID, RS256", openid_idp: true, ..strict.clone() };
    let openid_es256 = Variant { name: "OpenID to OpenID, ES256", algorithm: "ES256", ..openid.clone() };
    let openid_saml = Variant { name: "OpenID to SAML", application: Protocol::Saml { encrypt: false }, ..openid.clone() };
    cases.push(Case { variant: openid, concurrencies: ALL, aim: Some(0.90) });
    cases.extend([openid_es256, openid_saml].map(|variant| Case { variant, concurrencies: &[8], aim: None }));
    if let Some((redis, postgres)) = servers {
        let (sessions, directory) = (redis.redis_url(), Some(postgres.postgres_url()));
        let variant = Variant { name: "strict RS256, Redis and PostgreSQL", sessions, directory, ..strict };
        cases.push(Case { variant, concurrencies: &[8], aim: Some(1.10) });
    }
    cases
}

fn bench(options: &Options) -> Result<(), String> {
    let place = tempfile::tempdir().map_err(|error| error.to_string())?;
    let idp_key = gateway::make_idp_key()?;
    let keys = gateway::prepare(place.path(), &idp_key)?;
    let app_key = SamlApp::make_key(place.path())?;

    let servers = servers();
    let clock_ticks = gateway::clock_ticks()?;
    for case in cases(servers.as_ref()).iter().filter(|case| case.variant.name.contains(&options.only)) {
        let made = Made { place: place.path(), idp_key: &idp_key, app_key: &app_key, keys: &keys, clock_ticks };
        measure(case, options, &made)?;
    }
    Ok(())
}

/// What all cases share.
struct Made<'a> {
    place: &'a Path,
    idp_key: &'a CertifiedKey,
    app_key: &'a CertifiedKey,
    keys: &'a OidcKeys,
    clock_ticks: u64,
}

fn measure(case: &Case, options: &Options, made: &Made<'_>) -> Result<(), String> {
    let yardstick = Yardstick::measure()?;
    let openid_idp = if case.variant.openid_idp { Some(OpenIdIdp::start(made.place, case.variant.groups)?) } else { None };
    let (gateway, cpu) = Gateway::start(&case.variant, openid_idp.as_deref(), made.place, made.clock_ticks)?;
    println!("\n{}", case.variant.name);
    if options.wait {
        println!("  process {}: press Enter to go on", gateway.process_id());
        std::io::stdin().read_line(&mut String::new()).map_err(|error| error.to_string())?;
    }
    let saml = match case.variant.application {
        Protocol::OpenIdConnect => None,
        Protocol::Saml { .. } => Some(SamlApp::of(&gateway, made.app_key)?),
    };
    let parties = Parties {
        gateway: &gateway,
        openid_idp: openid_idp.as_deref(),
        idp_key: made.idp_key,
        keys: made.keys,
        algorithm: case.variant.algorithm,
        client_id: load::CLIENT_ID,
        saml: saml.as_ref(),
        groups: case.variant.groups,
    };
    load::run(&parties, WARM_UP, 8)?;
    println!("  at once   logins   CPU ms/login   RSA signatures   logins/s   p50 ms   p99 ms   aim");
    let mut logins = WARM_UP;
    for &concurrency in case.concurrencies.iter().filter(|&&concurrency| concurrency == 8 || !options.quick) {
        let before = cpu.seconds()?;
        let measured = load::run(&parties, options.logins, concurrency)?;
        let spent = (cpu.seconds()? - before) * 1000.0 / options.logins as f64;
        logins += options.logins;
        let aim = case.aim.filter(|_| concurrency == 8).map_or_else(String::new, |aim| format!("{aim:.2}"));
        println!(
            "  {concurrency:>7} {:>8} {spent:>14.3} {:>16.2} {:>10.0} {:>8.2} {:>8.2} {aim:>5}",
            options.logins,
            spent / yardstick.signature,
            options.logins as f64 / measured.wall.as_secs_f64(),
            milliseconds(measured.percentile(50)),
            milliseconds(measured.percentile(99)),
        );
    }
    let after = gateway.memory()?;
    println!("  RSA-2048 at this moment: signature {:.3} ms, verification {:.3} ms of CPU", yardstick.signature, yardstick.verification);
    println!(
        "  memory: idle {:.1} MiB, peak {:.1} MiB with {logins} logins remembered; first answer {:.3} s after the start",
        gateway.idle.now,
        after.peak,
        gateway.started_in.as_secs_f64(),
    );
    Ok(())
}

/// Redis and PostgreSQL for this run, where they are installed.
fn servers() -> Option<(Server, Server)> {
    let servers = std::panic::catch_unwind(|| (Server::redis(&[]), Server::postgres())).ok();
    if servers.is_none() {
        eprintln!("bench: without Redis and PostgreSQL; `make setup-test` installs them");
    }
    servers
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
