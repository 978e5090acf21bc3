//! Bulk imports and exports: `cargo bench --bench import`, with `--users N` for other than 100,000.
//!
//! A file is made and pushed while it is read, so that nothing here holds all of it; then it is imported, imported again
//! with upsert, and exported. Printed are seconds until the job has ended, CPU seconds of this process (user plus system,
//! without the database server), and the largest resident memory of this process in each step. The aim is 60 seconds and
//! 150 MB for 100,000 users on SQLite.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this program's result is what it prints")]

#[path = "../src/store/test_servers.rs"]
#[allow(clippy::panic, reason = "a bench that cannot start its servers has failed")]
mod test_servers;

use isthmus::broker::admin::By;
use isthmus::broker::jobs::{ExportFormat, ExportRequest, ImportRequest, ImportTarget, Jobs};
use isthmus::clock::Timestamp;
use isthmus::connection::config::SubjectComparison;
use isthmus::keys::Keyring;
use isthmus::store::{Job, JobStatus, open_directory};
use isthmus::user::ProfileSync;
use std::collections::HashMap;
use std::fs;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};
use test_servers::Server;
use tokio::sync::watch;

const BY: By<'static> = By { actor: "bench", correlation_id: "" };

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let users = match (arguments.next().as_deref(), arguments.next().map(|number| number.parse())) {
        (None, _) => 100_000,
        (Some("--users"), Some(Ok(users))) => users,
        _ => {
            eprintln!("bench: known is --users N");
            return ExitCode::FAILURE;
        }
    };
    match both(users) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("bench: {why}");
            ExitCode::FAILURE
        }
    }
}

fn both(users: usize) -> Result<(), String> {
    let place = tempfile::tempdir().map_err(told)?;
    let sqlite = format!("sqlite:{}", place.path().join("bench.db").display());
    let postgres = std::panic::catch_unwind(Server::postgres).ok();
    if postgres.is_none() {
        eprintln!("bench: without PostgreSQL; `make setup-test` installs it");
    }
    let keyring = Arc::new(Keyring::open_or_create(&place.path().join("keys")).map_err(told)?);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().map_err(told)?;
    println!("  {users} users{:<38} {:>8} {:>8} {:>8}", "", "s", "CPU s", "MB");
    for (name, url) in [("SQLite", Some(sqlite)), ("PostgreSQL", postgres.as_ref().map(Server::postgres_url))] {
        if let Some(url) = url {
            runtime.block_on(steps(name, &url, &keyring, users))?;
        }
    }
    Ok(())
}

async fn steps(name: &str, url: &str, keyring: &Arc<Keyring>, users: usize) -> Result<(), String> {
    let directory = open_directory(url).await.map_err(told)?;
    let target = ImportTarget {
        provider: "auth0".to_owned(),
        is_social: false,
        link_only: false,
        sync: ProfileSync::OnEachLogin,
        subject_comparison: SubjectComparison::Exact,
    };
    let connections = HashMap::from([("people".to_owned(), target)]);
    let jobs = Arc::new(Jobs::new(directory, Arc::clone(keyring), Arc::new(connections), Vec::new(), Arc::new(Timestamp::now)));
    let (stop, stopped) = watch::channel(false);
    let running = tokio::spawn(Arc::clone(&jobs).run(stopped));
    for (what, upsert) in [("import", false), ("the same again, with upsert", true)] {
        let meter = Meter::begin()?;
        let job = upload(&jobs, users, upsert).await?;
        meter.row(&format!("{name}: {what}, upload"))?;
        let meter = Meter::begin()?;
        let job = ended(&jobs, job).await?;
        meter.row(&format!("{name}: {what}, work"))?;
        if usize::try_from(job.inserted + job.updated) != Ok(users) {
            return Err(format!("not everybody was imported: {job:?}"));
        }
    }
    for (what, format) in [("export, JSON", ExportFormat::Json), ("export, CSV", ExportFormat::Csv)] {
        let meter = Meter::begin()?;
        let request = ExportRequest { connection: None, format, fields: Vec::new(), external_id: None };
        let job = jobs.begin_export(request, BY).await.map_err(told)?;
        ended(&jobs, job).await?;
        meter.row(&format!("{name}: {what}"))?;
    }
    stop.send(true).map_err(told)?;
    running.await.map_err(told)
}

async fn upload(jobs: &Arc<Jobs>, users: usize, upsert: bool) -> Result<Job, String> {
    let request = ImportRequest {
        connection: "people".to_owned(),
        connection_id: "con_people".to_owned(),
        upsert,
        external_id: None,
        max_bytes: u64::MAX,
    };
    let mut upload = jobs.begin_import(request, BY).await.map_err(told)?;
    for number in 0..users {
        upload.push(user(number).as_bytes()).await.map_err(told)?;
    }
    upload.push(if users == 0 { b"[]" } else { b"]" }).await.map_err(told)?;
    upload.finish().await.map_err(told)
}

/// Some 500 octets, as people have them.
fn user(number: usize) -> String {
    format!(
        "{}{{\"user_id\":\"{number:024x}\",\"email\":\"person{number}@acme.example\",\"email_verified\":true,\"username\":\"person{number}\",\
         \"given_name\":\"Jane\",\"family_name\":\"Doe {number}\",\"name\":\"Jane Doe {number}\",\
         \"picture\":\"https://acme.example/pictures/{number}.png\",\
         \"password_hash\":\"$2b$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy\",\
         \"user_metadata\":{{\"theme\":\"dark\",\"language\":\"en\",\"seen\":[\"tour\",\"news\"]}},\"app_metadata\":{{\"plan\":\"gold\",\"since\":{number}}}}}",
        if number == 0 { "[" } else { "," }
    )
}

async fn ended(jobs: &Jobs, job: Job) -> Result<Job, String> {
    loop {
        let job = jobs.job(&job.id).await.map_err(told)?;
        match job.status {
            JobStatus::Completed => return Ok(job),
            JobStatus::Failed => return Err(format!("the job failed: {job:?}")),
            _ => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

/// Time, processor and memory since a moment.
struct Meter {
    begin: Instant,
    cpu: f64,
}

impl Meter {
    fn begin() -> Result<Self, String> {
        // From here on the largest memory is counted anew.
        fs::write("/proc/self/clear_refs", "5").map_err(told)?;
        Ok(Self { begin: Instant::now(), cpu: cpu()? })
    }

    fn row(&self, name: &str) -> Result<(), String> {
        let seconds = self.begin.elapsed().as_secs_f64();
        println!("  {name:<50} {seconds:>8.1} {:>8.1} {:>8.0}", cpu()? - self.cpu, peak()?);
        Ok(())
    }
}

/// Seconds on processors, of all threads that there were. A tick is a hundredth.
fn cpu() -> Result<f64, String> {
    let text = fs::read_to_string("/proc/self/stat").map_err(told)?;
    let after_name = text.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks: Vec<f64> = after_name.split_whitespace().skip(11).take(2).filter_map(|number| number.parse().ok()).collect();
    Ok(ticks.iter().sum::<f64>() / 100.0)
}

/// Megabytes.
fn peak() -> Result<f64, String> {
    let text = fs::read_to_string("/proc/self/status").map_err(told)?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
    let kilobytes: f64 = line.trim().trim_end_matches(" kB").parse().map_err(told)?;
    Ok(kilobytes / 1024.0)
}

fn told(error: impl std::fmt::Display) -> String {
    error.to_string()
}
