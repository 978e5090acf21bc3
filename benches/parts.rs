//! The parts of a login that grow with what an identity provider sends: `make bench`, or `cargo bench --bench parts`.
//!
//! Mapping tables with 10, 100 and 1,000 attributes, rows with expressions, the linking decision, dialects, and what a
//! login costs in the directory. CPU is the time of this thread where nothing else works, and of this process (user plus
//! system, without the database server) for the directory. `--only WORD`: parts with this word in their name.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this program's result is what it prints")]
#![expect(clippy::cast_precision_loss, reason = "counts are far below the precision of a float")]

#[path = "../src/store/test_servers.rs"]
#[allow(clippy::panic, reason = "a bench that cannot start its servers has failed")]
mod test_servers;

use isthmus::clock::Timestamp;
use isthmus::profile::{Direction, MappingLibrary, MappingTable, Profile, RawAttribute, RawAttributes, Written, normalize};
use isthmus::store::{Directory, IdentityLogin, IfUnknown, LinkedBy, Recorded, open_directory};
use isthmus::user::Identity;
use isthmus::user::linking::{Candidate, CandidateIdentity, Linking, Newcomer, Policy, decide};
use serde_json::Value;
use std::hint::black_box;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};
use test_servers::Server;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let only = match (arguments.next().as_deref(), arguments.next()) {
        (None, _) => String::new(),
        (Some("--only"), Some(word)) => word,
        _ => {
            eprintln!("bench: known is --only WORD");
            return ExitCode::FAILURE;
        }
    };
    match parts(&only) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("bench: {why}");
            ExitCode::FAILURE
        }
    }
}

fn parts(only: &str) -> Result<(), String> {
    let wanted = |name: &str| name.contains(only);
    println!("  part                                              CPU us    of one value   aim");
    for (count, aim) in [(10, None), (30, Some(15.0)), (100, None), (1000, None)] {
        let name = format!("mapping {count} attributes, table saml");
        if wanted(&name) {
            let (table, raw) = (built_in("saml", Direction::ToProfile)?, attributes(count));
            row(&name, thread_cpu(|| mapped(&table, &raw))?, Some(count), aim);
        }
    }
    for (count, rows) in [(30, 1), (30, 10), (1000, 1)] {
        let name = format!("mapping {count} attributes, {rows} expressions");
        if wanted(&name) {
            let (table, raw) = (with_expressions(rows)?, attributes(count));
            row(&name, thread_cpu(|| mapped(&table, &raw))?, Some(count), None);
        }
    }
    if wanted("normalize and release by table oidc") {
        let (inward, outward) = (built_in("saml", Direction::ToProfile)?, built_in("oidc", Direction::FromProfile)?);
        let profile = inward.to_profile(&attributes(30), &mut Vec::new()).map_err(|error| error.to_string())?;
        row("normalize and release by table oidc", thread_cpu(|| released(&outward, &profile))?, None, None);
    }
    for users in [1, 10] {
        let name = format!("linking decision, {users} users with the address");
        if wanted(&name) {
            let candidates: Vec<Candidate> = (0..users).map(candidate).collect();
            let linking = Linking { policy: Policy::VerifiedEmail, ..Linking::default() };
            let newcomer = Newcomer { connection: "globex", email_verified: true, trusted: true, link_only: false, provable: true };
            row(&name, thread_cpu(|| black_box(decide(&linking, newcomer, &candidates)))?, None, None);
        }
    }
    if wanted("directory") {
        directories()?;
    }
    Ok(())
}

/// So many attributes as identity providers send them: the first 24 have names that the table knows.
fn attributes(count: usize) -> RawAttributes {
    let known = include_str!("../mappings/saml.toml")
        .split('"')
        .filter(|text| text.starts_with("urn:oid:") || text.starts_with("http://schemas"))
        .take(24.min(count));
    let mut raw = RawAttributes::new();
    let push = |raw: &mut RawAttributes, name: String, value: String| {
        let name_format = Some("urn:oasis:names:tc:SAML:2.0:attrname-format:uri".to_owned());
        raw.push(RawAttribute { name, name_format, friendly_name: None, values: vec![Value::from(value)] });
    };
    for (number, name) in known.enumerate() {
        // A value that is an address, a name and a group at once.
        push(&mut raw, name.to_owned(), format!("person{number}@acme.example"));
    }
    for number in raw.attributes().len()..count {
        push(&mut raw, format!("urn:example:attribute:{number}"), format!("value {number}"));
    }
    raw
}

fn built_in(name: &str, direction: Direction) -> Result<Arc<MappingTable>, String> {
    MappingLibrary::built_in().table(name, direction).ok_or_else(|| format!("there is no table {name}"))
}

/// The built-in table with rows that compute.
fn with_expressions(rows: usize) -> Result<Arc<MappingTable>, String> {
    let mut text = "direction = \"to_profile\"\nextends = \"saml\"\n".to_owned();
    for number in 0..rows {
        let cel = "attributes.exists(name, name.startsWith(\\\"urn:oid:\\\")) ? \\\"yes\\\" : \\\"no\\\"";
        text += &format!("[[row]]\nfield = \"custom.c{number}\"\ncel = \"{cel}\"\n");
    }
    let (library, findings) = MappingLibrary::load(vec![("mappings/bench.toml".to_owned(), text)]);
    library.table("bench", Direction::ToProfile).ok_or_else(|| format!("{findings:?}"))
}

fn mapped(table: &MappingTable, raw: &RawAttributes) -> usize {
    let mut notes = Vec::new();
    let profile = table.to_profile(black_box(raw), &mut notes);
    black_box((profile, notes)).1.len()
}

fn released(table: &MappingTable, profile: &Profile) -> usize {
    let (mut profile, mut notes) = (profile.clone(), Vec::new());
    let normalized = normalize(&mut profile, "samlp|acme|person", "person");
    let released = table.from_profile(&profile, &mut notes);
    drop(black_box((normalized, released)));
    notes.len()
}

fn candidate(number: usize) -> Candidate {
    let identity = CandidateIdentity {
        connection: "acme".to_owned(),
        same_email: true,
        email_verified: true,
        trusted: true,
        allows_login: true,
        usable: true,
    };
    Candidate { user_id: format!("samlp|acme|{number}"), blocked: false, identities: vec![identity; 3] }
}

/// What a login costs in a directory, known and new, alone and linked.
fn directories() -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().map_err(|error| error.to_string())?;
    let place = tempfile::tempdir().map_err(|error| error.to_string())?;
    let sqlite = format!("sqlite:{}", place.path().join("bench.db").display());
    let postgres = std::panic::catch_unwind(Server::postgres).ok();
    if postgres.is_none() {
        eprintln!("bench: without PostgreSQL; `make setup-test` installs it");
    }
    let urls = [("SQLite", Some(sqlite)), ("PostgreSQL", postgres.as_ref().map(Server::postgres_url))];
    for (name, url) in urls.into_iter().filter_map(|(name, url)| Some((name, url?))) {
        runtime.block_on(directory(name, &url))?;
    }
    Ok(())
}

const PEOPLE: usize = 200;

async fn directory(name: &str, url: &str) -> Result<(), String> {
    let directory = open_directory(url).await.map_err(|error| error.to_string())?;
    let people: Vec<Identity> = (0..PEOPLE).map(|number| identity("acme", number)).collect();
    let table = built_in("saml", Direction::ToProfile)?;
    let profile = table.to_profile(&attributes(30), &mut Vec::new()).map_err(|error| error.to_string())?;
    let profile = Written::profile(&profile).map_err(|error| error.to_string())?;
    let store = Store { directory: directory.as_ref(), profile: &profile };
    let first = process_cpu(PEOPLE, async |number| store.login(&people[number % PEOPLE], IfUnknown::MakeUser).await).await?;
    wall_row(&format!("directory, {name}: first login"), first);
    let known = process_cpu(4000, async |number| store.login(&people[number % PEOPLE], IfUnknown::MakeUser).await).await?;
    wall_row(&format!("directory, {name}: known user, one round trip"), known);
    for (number, person) in people.iter().enumerate() {
        let other = identity("globex", number);
        let user_id = person.user_id_for_new_user();
        let by =
            LinkedBy { link_id: format!("{number:032x}"), how: "operator".into(), actor: "bench".into(), correlation_id: String::new() };
        let login = store.of(&other, IfUnknown::MakeUser);
        directory.link_login(&login, &user_id, false, &by).await.map_err(|error| error.to_string())?;
    }
    let linked: Vec<Identity> = (0..PEOPLE).map(|number| identity("globex", number)).collect();
    let second = process_cpu(4000, async |number| store.login(&linked[number % PEOPLE], IfUnknown::MakeUser).await).await?;
    wall_row(&format!("directory, {name}: known user by a linked identity"), second);
    let strangers: Vec<Identity> = (0..PEOPLE).map(|number| identity("initech", number)).collect();
    let looked = process_cpu(400, async |number| store.login(&strangers[number % PEOPLE], IfUnknown::MakeUserUnlessEmailIsTaken).await);
    wall_row(&format!("directory, {name}: somebody new whose address is taken"), looked.await?);
    directory.close().await.map_err(|error| error.to_string())
}

struct Store<'a> {
    directory: &'a dyn Directory,
    profile: &'a Written,
}

impl Store<'_> {
    fn of<'l>(&'l self, identity: &'l Identity, unknown: IfUnknown) -> IdentityLogin<'l> {
        IdentityLogin {
            groups: "[\"staff\",\"admins\"]",
            email: Some("person@acme.example"),
            email_verified: true,
            unknown,
            ..IdentityLogin::plain(identity, self.profile.as_raw(), Timestamp::now())
        }
    }

    async fn login(&self, identity: &Identity, unknown: IfUnknown) -> Result<(), String> {
        match self.directory.record_login(&self.of(identity, unknown)).await.map_err(|error| error.to_string())? {
            Recorded::Login(_) if unknown == IfUnknown::MakeUser => Ok(()),
            Recorded::Taken(users) if unknown != IfUnknown::MakeUser && !users.is_empty() => Ok(()),
            other => Err(format!("the directory answered {other:?}")),
        }
    }
}

fn identity(connection: &str, number: usize) -> Identity {
    Identity { connection: connection.to_owned(), provider: "samlp".to_owned(), user_id: format!("person-{number}"), is_social: false }
}

fn row(name: &str, microseconds: f64, values: Option<usize>, aim: Option<f64>) {
    let each = values.map_or_else(String::new, |values| format!("{:.3}", microseconds / values as f64));
    let aim = aim.map_or_else(String::new, |aim| format!("{aim:.0}"));
    println!("  {name:<48} {microseconds:>8.2} {each:>15} {aim:>5}");
}

fn wall_row(name: &str, (cpu, wall): (f64, f64)) {
    println!("  {name:<48} {cpu:>8.2}   ({wall:.0} us until the answer)");
}

/// CPU microseconds of one call, in this thread: the median of seven rounds.
fn thread_cpu<T>(mut call: impl FnMut() -> T) -> Result<f64, String> {
    let begin = Instant::now();
    let mut count = 0_u32;
    while begin.elapsed() < Duration::from_millis(60) {
        black_box(call());
        count += 1;
    }
    let mut rounds = Vec::new();
    for _ in 0..7 {
        let before = cpu("/proc/thread-self/schedstat")?;
        for _ in 0..count {
            black_box(call());
        }
        rounds.push((cpu("/proc/thread-self/schedstat")? - before) / f64::from(count));
    }
    rounds.sort_by(f64::total_cmp);
    rounds.get(3).copied().ok_or_else(|| "nothing was measured".to_owned())
}

/// CPU of this process and wall-clock time of one call, in microseconds.
async fn process_cpu(count: usize, call: impl AsyncFn(usize) -> Result<(), String>) -> Result<(f64, f64), String> {
    let (before, begin) = (all_threads()?, Instant::now());
    for number in 0..count {
        call(number).await?;
    }
    let wall = begin.elapsed().as_secs_f64() * 1e6;
    Ok(((all_threads()? - before) / count as f64, wall / count as f64))
}

/// Of every thread that lives: none of them ends while something is measured.
fn all_threads() -> Result<f64, String> {
    let tasks = std::fs::read_dir("/proc/self/task").map_err(|error| error.to_string())?;
    tasks.flatten().map(|task| cpu(&task.path().join("schedstat").display().to_string())).sum()
}

/// Microseconds on a processor, from the scheduler's own count.
fn cpu(path: &str) -> Result<f64, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?;
    let nanoseconds = text.split_whitespace().next().and_then(|number| number.parse::<f64>().ok());
    nanoseconds.map(|nanoseconds| nanoseconds / 1000.0).ok_or_else(|| format!("{path} is not understood"))
}
