//! What searching costs with 100,000 users in SQLite and PostgreSQL: `cargo bench --bench search`.
//!
//! CPU is the time of this process, and for PostgreSQL beside it that of the server. `--users N`: so many. `--only WORD`: SQLite or
//! PostgreSQL.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this program's result is what it prints")]
#![expect(clippy::cast_precision_loss, reason = "counts are far below the precision of a float")]

#[path = "../src/store/test_servers.rs"]
#[allow(clippy::panic, reason = "a bench that cannot start its servers has failed")]
mod test_servers;

use isthmus::clock::Timestamp;
use isthmus::profile::Written;
use isthmus::store::{Directory, IdentityLogin, Recorded, UserChange, UserQuery, open_directory};
use isthmus::user::Identity;
use isthmus::user::search::{Sort, parse};
use serde_json::{Map, Value, json};
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::time::{Duration, Instant};
use test_servers::Server;

fn main() -> ExitCode {
    let (mut users, mut only) = (100_000, String::new());
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    while let Some(name) = arguments.next() {
        match (name.as_str(), arguments.next()) {
            ("--users", Some(number)) => users = number.parse().unwrap_or(users),
            ("--only", Some(word)) => only = word,
            _ => {
                eprintln!("bench: known are --users N and --only WORD");
                return ExitCode::FAILURE;
            }
        }
    }
    match both(users, &only) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("bench: {why}");
            ExitCode::FAILURE
        }
    }
}

fn both(users: usize, only: &str) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().map_err(|error| error.to_string())?;
    println!("  {users} users                                                    CPU us    server   wall us    found");
    if "SQLite".contains(only) {
        let place = tempfile::tempdir().map_err(|error| error.to_string())?;
        let url = format!("sqlite:{}", place.path().join("bench.db").display());
        runtime.block_on(measure(Of { name: "SQLite", server: None }, &url, users, || Ok(())))?;
    }
    if "PostgreSQL".contains(only) {
        let Ok(server) = std::panic::catch_unwind(Server::postgres) else {
            eprintln!("bench: without PostgreSQL; `make setup-test` installs it");
            return Ok(());
        };
        // As the server does by itself after a minute.
        let port = server.port.to_string();
        let settle = || {
            let arguments = ["-h", "127.0.0.1", "-p", &port, "-U", "postgres", "-q", "-c", "VACUUM ANALYZE"];
            let done = Command::new("psql").args(arguments).status().map_err(|error| error.to_string())?;
            if done.success() { Ok(()) } else { Err("VACUUM failed".to_owned()) }
        };
        let of = Of { name: "PostgreSQL", server: process_with(&["-p", &port]) };
        runtime.block_on(measure(of, &server.postgres_url(), users, settle))?;
    }
    Ok(())
}

/// Name, query, sort.
const SEARCHES: &[(&str, &str, &str)] = &[
    ("page: all, by user_id", "", "user_id:1"),
    ("page: all, newest first", "", "created_at:-1"),
    ("page: all, last login first", "", "last_login:-1"),
    ("page: all, by name", "", "name:1"),
    ("index: e-mail", "email:\"person77@acme.example\"", "user_id:1"),
    ("index: beginning of a name", "name:jane\\ 777*", "user_id:1"),
    ("index: nickname", "nickname:nick77", "user_id:1"),
    ("index: user_id", "user_id:\"samlp|acme-77|person-77\"", "user_id:1"),
    ("index: connection (one of a thousand)", "identities.connection:\"acme-7\"", "user_id:1"),
    ("index: logins_count", "logins_count:[2 TO *]", "user_id:1"),
    ("index: last_login (100 of them)", "last_login:[2027-01-15T08:00:00Z TO 2027-01-15T08:01:39Z]", "user_id:1"),
    ("index: created_at (100 of them)", "created_at:[2027-01-15T08:00:00Z TO 2027-01-15T08:01:39Z]", "created_at:-1"),
    ("index: app_metadata phrase", "app_metadata.plan:\"gold 7\"", "user_id:1"),
    ("index: app_metadata number range", "app_metadata.seats:[700 TO 701]", "user_id:1"),
    ("index: user_metadata phrase", "user_metadata.city:\"Paris 7\"", "user_id:1"),
    ("index: without a field", "person77@acme.example", "user_id:1"),
    ("index: name and two more conditions", "name:jane\\ 777* AND NOT blocked:true AND email_verified:true", "last_login:-1"),
    ("scan: nobody's address unverified", "email_verified:false", "user_id:1"),
    ("scan: middle of a name", "name:*ane\\ 777*", "user_id:1"),
    ("index: nobody blocked", "blocked:true", "user_id:1"),
    ("scan: 99.999 % by a negation", "NOT email:\"person77@acme.example\"", "user_id:1"),
    ("scan: three wildcards", "name:*zzz* OR nickname:*zzz* OR app_metadata.plan:*zzz*", "user_id:1"),
];

/// What is measured.
#[derive(Clone, Copy)]
struct Of {
    name: &'static str,
    /// Its process, where it is not in this one.
    server: Option<u32>,
}

async fn measure(of: Of, url: &str, users: usize, settle: impl Fn() -> Result<(), String>) -> Result<(), String> {
    let directory = open_directory(url).await.map_err(|error| error.to_string())?;
    let begin = Instant::now();
    fill(&directory, users).await?;
    settle()?;
    println!("  {}: filled in {:.0} s", of.name, begin.elapsed().as_secs_f64());
    let once = |number: usize| person(number % users);
    row(of, "get by id", || async {
        let id = once(77).user_id_for_new_user();
        directory.user(&id).await.map(|user| usize::from(user.is_some())).map_err(|error| error.to_string())
    })
    .await?;
    row(of, "known user's login", || async { come(&directory, 77 % users).await.map(|()| 1) }).await?;
    row(of, "list after an id, 50 users", || async {
        let id = once(77).user_id_for_new_user();
        directory.users_after(Some(&id), None, 50).await.map(|users| users.len()).map_err(|error| error.to_string())
    })
    .await?;
    for (what, text, sort) in SEARCHES {
        let Ok(filter) = parse(text) else { continue };
        let sort = Sort::parse(sort).map_err(|error| error.to_string())?;
        let filter = Some(filter).filter(|_| !text.is_empty());
        let query = UserQuery { filter, sort, limit: 50, count: !text.is_empty(), ..UserQuery::default() };
        row(of, what, || async {
            let found = directory.find_users(&query).await.map_err(|error| error.to_string())?;
            Ok(found.total.and_then(|total| usize::try_from(total).ok()).unwrap_or(found.users.len()))
        })
        .await?;
    }
    directory.close().await.map_err(|error| error.to_string())
}

fn person(number: usize) -> Identity {
    Identity {
        connection: format!("acme-{}", number % 1000),
        provider: "samlp".into(),
        user_id: format!("person-{number}"),
        is_social: false,
    }
}

fn profile(number: usize) -> Map<String, Value> {
    let text = json!({
        "email": format!("person{number}@acme.example"), "email_verified": true, "name": format!("Jane {number} Doe"), "given_name": format!("Jane {number}"),
        "family_name": "Doe", "nickname": format!("nick{number}"), "picture": "https://acme.example/picture.png", "locale": "de-AT", "department": "Research",
    });
    text.as_object().cloned().unwrap_or_default()
}

async fn come(directory: &Arc<dyn Directory>, number: usize) -> Result<(), String> {
    let (who, profile) = (person(number), profile(number));
    let written = Written::object(&profile).map_err(|error| error.to_string())?;
    let email = format!("person{number}@acme.example");
    let now = Timestamp::from_seconds(1_800_000_000).plus_seconds(i64::try_from(number).unwrap_or(0));
    let login = IdentityLogin { email: Some(&email), email_verified: true, ..IdentityLogin::plain(&who, written.as_raw(), now) };
    match directory.record_login(&login).await.map_err(|error| error.to_string())? {
        Recorded::Login(_) => Ok(()),
        Recorded::Taken(users) => Err(format!("{} users have the address", users.len())),
    }
}

/// First logins, and metadata for everybody; several at once.
async fn fill(directory: &Arc<dyn Directory>, users: usize) -> Result<(), String> {
    const AT_ONCE: usize = 8;
    let mut set = tokio::task::JoinSet::new();
    for first in 0..AT_ONCE {
        let directory = Arc::clone(directory);
        set.spawn(async move {
            for number in (first..users).step_by(AT_ONCE) {
                come(&directory, number).await?;
                let now = Timestamp::from_seconds(1_800_000_000).plus_seconds(i64::try_from(number).unwrap_or(0));
                let app_metadata =
                    json!({"plan": format!("gold {}", number % 1000), "seats": number % 1000, "roles": ["staff"]}).as_object().cloned();
                let user_metadata = json!({"city": format!("Paris {}", number % 1000)}).as_object().cloned();
                let change = UserChange { app_metadata, user_metadata, ..UserChange::default() };
                let id = person(number).user_id_for_new_user();
                directory.update_user(&id, now, &change, now).await.map_err(|error| error.to_string())?.ok_or("nobody")?;
            }
            Ok::<(), String>(())
        });
    }
    while let Some(done) = set.join_next().await {
        done.map_err(|error| error.to_string())??;
    }
    Ok(())
}

async fn row<F: Future<Output = Result<usize, String>>>(of: Of, what: &str, call: impl Fn() -> F) -> Result<(), String> {
    let found = call().await?;
    let (before, served, begin) = (all_threads()?, of.server.map_or(0.0, served_by), Instant::now());
    let mut count = 0_u32;
    while count < 3 || (count < 300 && begin.elapsed() < Duration::from_millis(700)) {
        call().await?;
        count += 1;
    }
    let each = |total: f64| total / f64::from(count);
    let (wall, cpu) = (each(begin.elapsed().as_secs_f64() * 1e6), each(all_threads()? - before));
    let server = each(of.server.map_or(0.0, served_by) - served);
    println!("  {:<58} {cpu:>9.0} {server:>9.0} {wall:>9.0} {found:>8}", format!("{}, {what}", of.name));
    Ok(())
}

/// Microseconds on a processor, of every thread of this process that lives.
fn all_threads() -> Result<f64, String> {
    let tasks = std::fs::read_dir("/proc/self/task").map_err(|error| error.to_string())?;
    Ok(tasks.flatten().map(|task| used(&task.path().display().to_string())).sum())
}

/// Of the children of a process: PostgreSQL has one for each connection.
fn served_by(server: u32) -> f64 {
    let children = std::fs::read_to_string(format!("/proc/{server}/task/{server}/children")).unwrap_or_default();
    children.split_whitespace().map(|child| used(&format!("/proc/{child}"))).sum()
}

fn used(process: &str) -> f64 {
    let text = std::fs::read_to_string(format!("{process}/schedstat")).unwrap_or_default();
    text.split_whitespace().next().and_then(|number| number.parse::<u64>().ok()).unwrap_or(0) as f64 / 1000.0
}

/// The process that was started with these arguments.
fn process_with(arguments: &[&str]) -> Option<u32> {
    let wanted = format!("\0{}\0", arguments.join("\0"));
    let processes = std::fs::read_dir("/proc").ok()?;
    let has = |id: &u32| {
        std::fs::read_to_string(format!("/proc/{id}/cmdline")).is_ok_and(|line| line.contains(&wanted) && line.contains("postgres"))
    };
    processes.flatten().filter_map(|process| process.file_name().to_str()?.parse().ok()).find(has)
}
