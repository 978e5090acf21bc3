//! Metadata of a federation with 10,000 entities, signed: `make bench`, or `cargo bench --bench metadata`.
//!
//! Loading runs in a process of its own, so that its memory is that of loading: CPU (user plus system), the highest resident
//! memory, what stays, and 20 loads one after the other, each with the last one still in use. Then lookups and searches.
//! `--entities N`: another size.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this program's result is what it prints")]

#[path = "metadata/federation.rs"]
mod federation;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use federation::{Federation, entity_id};
use isthmus::clock::Timestamp;
use isthmus::keys::{CertifiedKey, Digest, KeyKind, PrivateKey, SignatureScheme};
use isthmus::saml::aggregate::{Aggregate, Terms, Trust};
use openssl::x509::X509;
use std::fs::{self, File};
use std::hint::black_box;
use std::io::{BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        [] => parent(10_000),
        ["--entities", number] => number.parse().map_err(|_| "--entities takes a number".to_owned()).and_then(parent),
        ["--load", directory, entities] => child(Path::new(directory), entities.parse().unwrap_or(0)),
        _ => Err("known is --entities N".to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("bench: {why}");
            ExitCode::FAILURE
        }
    }
}

fn told(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// Writes the federation, and lets another process load it.
fn parent(entities: usize) -> Result<(), String> {
    let directory = tempfile_directory()?;
    let result = prepare(&directory, entities).and_then(|()| {
        let program = std::env::current_exe().map_err(told)?;
        let status = Command::new(program).arg("--load").arg(&directory).arg(entities.to_string()).status().map_err(told)?;
        status.success().then_some(()).ok_or_else(|| "loading failed".to_owned())
    });
    fs::remove_dir_all(&directory).map_err(told)?;
    result
}

fn tempfile_directory() -> Result<PathBuf, String> {
    let directory = std::env::temp_dir().join(format!("isthmus-metadata-{}", std::process::id()));
    fs::create_dir_all(&directory).map_err(told)?;
    Ok(directory)
}

fn prepare(directory: &Path, entities: usize) -> Result<(), String> {
    let mut keys = Vec::new();
    for number in 0..8 {
        let key = PrivateKey::generate(KeyKind::Rsa).map_err(told)?;
        keys.push(CertifiedKey::self_signed(key, &format!("idp {number}")).map_err(told)?);
    }
    let signer = keys.first().ok_or("no key")?;
    let certificates: Vec<String> = keys.iter().map(|key| STANDARD.encode(key.certificate_der())).collect();
    let valid_until = Timestamp::now().plus_seconds(14 * 86_400).to_string();
    let federation = Federation { entities, valid_until: &valid_until, certificates: &certificates };
    let mut out = BufWriter::new(File::create(directory.join("aggregate.xml")).map_err(told)?);
    let sign = |data: &[u8]| signer.key.sign(SignatureScheme::RsaPkcs1(Digest::Sha256), data).unwrap_or_default();
    federation.write_signed(&mut out, sign).and_then(|()| out.flush()).map_err(told)?;
    fs::write(directory.join("pinned.der"), signer.certificate_der()).map_err(told)
}

fn child(directory: &Path, entities: usize) -> Result<(), String> {
    let path = directory.join("aggregate.xml");
    let size = fs::metadata(&path).map_err(told)?.len();
    let certificate = X509::from_der(&fs::read(directory.join("pinned.der")).map_err(told)?).map_err(told)?;
    let terms = Terms::new(Trust::new(&[certificate], false).map_err(told)?);
    let load = || -> Result<Aggregate, String> {
        let source = BufReader::with_capacity(64 * 1024, File::open(&path).map_err(told)?);
        Aggregate::read(source, &terms, Timestamp::now()).map_err(told)
    };
    println!("  {entities} entities, {} MB, signed", size / 1_000_000);
    let (begun, cpu) = (Instant::now(), cpu_seconds()?);
    let mut current = load()?;
    let took = begun.elapsed();
    if current.len() != entities {
        return Err(format!("{} entities of {entities}: {:?}", current.len(), current.faults().first()));
    }
    row("first load, CPU", format!("{:.2} s ({:.2} s by the clock)", cpu_seconds()? - cpu, took.as_secs_f64()), "10 s");
    row("first load, highest resident memory", format!("{} MB", memory("VmHWM:")?), "250 MB");
    row("resident afterwards", format!("{} MB", memory("VmRSS:")?), "");
    for reload in 1..=20 {
        current = load()?;
        if matches!(reload, 1 | 10 | 20) {
            row(&format!("after {reload} reloads: resident"), format!("{} MB", memory("VmRSS:")?), "flat");
        }
    }
    row("all loads, highest resident memory", format!("{} MB", memory("VmHWM:")?), "250 MB");
    lookups(&current, entities)
}

fn lookups(aggregate: &Aggregate, entities: usize) -> Result<(), String> {
    let names: Vec<String> = (0..entities).step_by(3).map(entity_id).collect();
    let now = Timestamp::now();
    let by_name = each(&names, |name| aggregate.entity(name).is_some());
    row("find one by its entityID", format!("{:.2} us", micros(by_name)), "");
    let unpacked = each(&names[..names.len().min(2000)], |name| aggregate.entity(name).is_some_and(|entity| entity.xml().is_ok()));
    row("unpack one", format!("{:.0} us", micros(unpacked)), "");
    let full = each(&names[..names.len().min(2000)], |name| aggregate.idp(name, now).is_ok());
    row("read one in full (certificates, endpoints)", format!("{:.0} us", micros(full)), "");
    for question in ["zurich 3", "universit", "u", "hochschule", "university of kra", "東京", ""] {
        let questions = vec![question; 50];
        let took = each(&questions, |question| aggregate.search(question, "de", 20, now).len() < 21);
        row(&format!("search \"{question}\""), format!("{:.2} ms", micros(took) / 1000.0), "5 ms");
    }
    Ok(())
}

/// The time of one, over all of them.
fn each<T>(of: &[T], mut action: impl FnMut(&T) -> bool) -> Duration {
    let begun = Instant::now();
    let good = of.iter().filter(|one| black_box(action(one))).count();
    let took = begun.elapsed();
    assert_eq!(good, of.len(), "one was not found");
    took / u32::try_from(of.len().max(1)).unwrap_or(u32::MAX)
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

fn row(name: &str, value: String, aim: &str) {
    let aim = if aim.is_empty() { String::new() } else { format!("   (aim {aim})") };
    println!("  {name:<45} {value:>12}{aim}");
}

/// User and system time of this process: fields 14 and 15 of proc(5), in hundredths of a second.
fn cpu_seconds() -> Result<f64, String> {
    let stat = fs::read_to_string("/proc/self/stat").map_err(told)?;
    let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_ascii_whitespace();
    let ticks: f64 = fields.skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum();
    Ok(ticks / 100.0)
}

/// A line of /proc/self/status, in MB.
fn memory(line: &str) -> Result<u64, String> {
    let status = fs::read_to_string("/proc/self/status").map_err(told)?;
    let found = status.lines().find_map(|status| status.strip_prefix(line)).ok_or("no such line")?;
    let kib: u64 = found.trim().trim_end_matches(" kB").parse().map_err(told)?;
    Ok(kib * 1024 / 1_000_000)
}
