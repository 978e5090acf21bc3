//! `isthmus mapping replay`: the recorded logins of a connection, as they went and as changed tables would map them.
//!
//! Without `--table` the table of the configuration is the changed one: it may have been edited in place.
//! The recordings come from the operations listener of the running gateway; nothing is written anywhere. Exit status: 0
//! no difference, 1 differences, 2 it could not be found out.

use crate::cli::{block_on, complain, print};
use crate::clock::Timestamp;
use crate::config::{self, Config};
use crate::connection::config::ConnectionConfig;
use crate::connection::outbound;
use crate::login::trace::NOT_RECORDED;
use crate::login::{Trace, TraceStep};
use crate::profile::replay::{Change, Difference, Tables, difference, make, remember, without};
use crate::profile::{Direction, Fact, MappingLibrary, MappingTable, RawAttributes};
use clap::Args;
use serde::Deserialize;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use url::Url;

/// Logins that the gateway remembers of one connection.
const MOST: u16 = 500;

#[derive(Args)]
pub struct Options {
    /// Whose logins.
    #[arg(long)]
    connection: String,
    /// The changed table of the connection (direction to_profile); without it, the one of the configuration.
    #[arg(long, value_name = "FILE")]
    table: Option<PathBuf>,
    /// Compare also what this application would be told.
    #[arg(long, value_name = "CLIENT_ID")]
    application: Option<String>,
    /// The changed table of the application (direction from_profile); without it, the one of the configuration.
    #[arg(long, value_name = "FILE", requires = "application")]
    release_table: Option<PathBuf>,
    /// How many of the last logins.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=i64::from(MOST)))]
    last: u16,
    /// Address of the operations listener; by default that of the configuration.
    #[arg(long, value_name = "URL")]
    gateway: Option<String>,
    #[arg(long, value_name = "FILE", default_value = "isthmus.toml", env = "ISTHMUS_CONFIG")]
    config: PathBuf,
    /// For programs.
    #[arg(long)]
    json: bool,
}

pub fn run(options: &Options) -> ExitCode {
    let result = Comparison::new(options).and_then(|comparison| {
        let recorded = block_on(fetch(options, &comparison.gateway))?;
        Ok(comparison.report(recorded))
    });
    match result {
        Ok(report) => {
            print(&if options.json { report.to_json() } else { report.to_text() });
            ExitCode::from(u8::from(report.logins.iter().any(|login| login.difference.is_there())))
        }
        Err(why) => {
            complain(&why);
            ExitCode::from(2)
        }
    }
}

/// The tables of both sides.
struct Comparison {
    gateway: String,
    connection: ConnectionConfig,
    application: Option<String>,
    before: (Arc<MappingTable>, Option<Arc<MappingTable>>),
    after: (Arc<MappingTable>, Option<Arc<MappingTable>>),
}

impl Comparison {
    fn new(options: &Options) -> Result<Self, String> {
        let config = config::load(&options.config).map_err(|findings| config::render_human(&findings))?;
        let gateway = options.gateway.clone().unwrap_or_else(|| format!("http://{}", config.operations_listen));
        let released = options.application.as_deref().map(|client_id| application_table(&config, client_id)).transpose()?;
        let connection = config.connections.into_iter().find(|connection| connection.name == options.connection);
        let connection = connection.ok_or_else(|| format!("there is no connection `{}`", options.connection))?;
        let changed = |file: &Option<PathBuf>, direction| file.as_deref().map(|file| table(&options.config, file, direction)).transpose();
        let before = (Arc::clone(&connection.mapping), released);
        let after = (
            changed(&options.table, Direction::ToProfile)?.unwrap_or_else(|| Arc::clone(&before.0)),
            changed(&options.release_table, Direction::FromProfile)?.or_else(|| before.1.clone()),
        );
        Ok(Self { gateway, connection, application: options.application.clone(), before, after })
    }

    fn report(&self, recorded: Vec<Recorded>) -> Report {
        let mut report = Report { application: self.application.clone(), logins: Vec::new(), unusable: Vec::new() };
        for login in recorded {
            let Some((attributes, cut)) = login.said() else {
                report.unusable.push(login.correlation_id);
                continue;
            };
            let subject = attributes.fact(Fact::Subject).or_else(|| attributes.fact(Fact::NameId)).unwrap_or_default();
            let user_id = format!("samlp|{}|{subject}", self.connection.name);
            let side = |tables: &(Arc<MappingTable>, Option<Arc<MappingTable>>)| {
                make(Tables { to_profile: &tables.0, from_profile: tables.1.as_deref() }, attributes, &user_id, subject)
            };
            // What the login itself did, so that a table that was edited in place shows too.
            let remembered = remember(login.rows(), self.before.1.as_deref(), &user_id, subject);
            let before = remembered.unwrap_or_else(|| side(&self.before));
            let hidden = login.not_recorded();
            let difference = difference(&without(before, &hidden), &without(side(&self.after), &hidden));
            report.logins.push(Login { correlation_id: login.correlation_id.clone(), at: login.at, whole: !cut, difference });
        }
        report
    }
}

fn application_table(config: &Config, client_id: &str) -> Result<Arc<MappingTable>, String> {
    let application = config.applications.iter().find(|application| application.client_id == client_id);
    application.map(|application| Arc::clone(&application.mapping)).ok_or_else(|| format!("there is no application `{client_id}`"))
}

/// A changed table, which may extend the built-in ones and those beside the configuration.
fn table(configuration: &Path, file: &Path, direction: Direction) -> Result<Arc<MappingTable>, String> {
    let text = std::fs::read_to_string(file).map_err(|error| format!("{} cannot be read: {error}", file.display()))?;
    let mut unreadable = Vec::new();
    let mut files = config::mapping_files(&configuration.parent().unwrap_or_else(|| Path::new(".")).join("mappings"), &mut unreadable);
    if let Some(problem) = unreadable.first() {
        return Err(format!("{}: {}", problem.file, problem.message));
    }
    // A changed copy takes the place of the file of its name.
    files.retain(|(path, _)| Path::new(path).file_name() != file.file_name());
    files.push((file.display().to_string(), text));
    let (library, findings) = MappingLibrary::load(files);
    if !findings.is_good() {
        return Err(config::render_human(&findings));
    }
    let stem = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let name = stem.strip_suffix(direction.name()).and_then(|name| name.strip_suffix('.')).unwrap_or(stem);
    library.table(name, direction).ok_or_else(|| format!("{} is no table of direction {}", file.display(), direction.name()))
}

/// A login as the gateway recorded it.
struct Recorded {
    correlation_id: String,
    at: Timestamp,
    trace: Option<Trace>,
}

impl Recorded {
    /// What the connection said, and whether something of it was cut.
    fn said(&self) -> Option<(&RawAttributes, bool)> {
        self.trace.as_ref()?.entries.iter().find_map(|entry| match &entry.event {
            TraceStep::Received { attributes, cut, .. } => Some((attributes, !cut.is_empty())),
            _ => None,
        })
    }
}

impl Recorded {
    fn entries(&self) -> impl Iterator<Item = &TraceStep> {
        self.trace.iter().flat_map(|trace| &trace.entries).map(|entry| &entry.event)
    }

    /// The fields that the login's rows gave, with their values; none of a login that a row refused.
    fn rows(&self) -> impl Iterator<Item = (&str, &Value)> {
        let went_well = self.entries().any(|step| matches!(step, TraceStep::Profile { .. }));
        self.entries().filter(move |_| went_well).filter_map(|step| match step {
            TraceStep::Mapping { direction, field, value: Some(value), .. } if direction == "to_profile" => Some((field.as_str(), value)),
            _ => None,
        })
    }

    /// Fields whose values are nowhere stored, or were made from attributes that are not.
    fn not_recorded(&self) -> Vec<String> {
        let hidden = self.entries().filter_map(|step| match step {
            TraceStep::Mapping { direction, field, value: None, outcome, .. }
                if direction == "to_profile" && outcome.ends_with(NOT_RECORDED) =>
            {
                Some(field.clone())
            }
            _ => None,
        });
        hidden.collect()
    }
}

#[derive(Deserialize)]
struct Listed {
    logins: Vec<ListedLogin>,
}

#[derive(Deserialize)]
struct ListedLogin {
    correlation_id: String,
    at: Timestamp,
    outcome: String,
}

async fn fetch(options: &Options, gateway: &str) -> Result<Vec<Recorded>, String> {
    let base = Url::parse(gateway).map_err(|error| format!("{gateway} is no address: {error}"))?;
    let mut list = base.join("/traces").map_err(|error| error.to_string())?;
    // Single sign-on asks no identity provider, so nothing was said; more are asked for to make up for it.
    list.query_pairs_mut().append_pair("connection", &options.connection).append_pair("limit", &MOST.to_string());
    let listed: Listed = get(list).await?.ok_or("the gateway has no list of logins")?;
    let asked = listed.logins.into_iter().filter(|login| login.outcome != "single-sign-on").take(options.last.into());
    let mut recorded = Vec::new();
    for ListedLogin { correlation_id, at, .. } in asked {
        let trace = get(base.join(&format!("/traces/{correlation_id}")).map_err(|error| error.to_string())?).await?;
        recorded.push(Recorded { correlation_id, at, trace });
    }
    Ok(recorded)
}

async fn get<T: serde::de::DeserializeOwned>(url: Url) -> Result<Option<T>, String> {
    let client = outbound::client().map_err(|error| error.to_string())?;
    let refused = |why: String| format!("{url} does not answer as a gateway's operations listener does: {why}");
    let answer = client.get(url.clone()).header("accept", "application/json").send().await.map_err(|error| refused(error.to_string()))?;
    match answer.status().as_u16() {
        404 => return Ok(None),
        200 => {}
        status => return Err(refused(format!("status {status}"))),
    }
    let text = outbound::text(answer).await.map_err(|error| refused(error.to_string()))?;
    serde_json::from_str(&text).map(Some).map_err(|error| refused(error.to_string()))
}

struct Report {
    application: Option<String>,
    logins: Vec<Login>,
    /// Logins whose trace does not say what the connection said.
    unusable: Vec<String>,
}

struct Login {
    correlation_id: String,
    at: Timestamp,
    /// Everything that the connection said was recorded.
    whole: bool,
    difference: Difference,
}

impl Report {
    fn to_json(&self) -> String {
        let login = |login: &Login| json!({ "correlation_id": login.correlation_id, "at": login.at.to_string(), "whole": login.whole, "difference": login.difference });
        let differ = self.logins.iter().filter(|login| login.difference.is_there());
        let report = json!({
            "logins": self.logins.len(),
            "differ": differ.clone().count(),
            "unusable": self.unusable,
            "differences": differ.map(login).collect::<Vec<_>>(),
        });
        serde_json::to_string_pretty(&report).unwrap_or_default()
    }

    fn to_text(&self) -> String {
        let differ: Vec<&Login> = self.logins.iter().filter(|login| login.difference.is_there()).collect();
        let mut lines = Vec::new();
        for login in &differ {
            let cut = if login.whole { "" } else { " (its attributes were recorded in part)" };
            lines.push(format!("{} at {}{cut}", login.correlation_id, login.at));
            lines.extend(self.lines_of(&login.difference));
            lines.push(String::new());
        }
        let refused = differ.iter().filter(|login| login.difference.refused_after.is_some()).count();
        lines.push(format!("{} logins, {} would be different, {refused} of them refused.", self.logins.len(), differ.len()));
        if !self.unusable.is_empty() {
            lines.push(format!("{} more have no recorded attributes: {}", self.unusable.len(), self.unusable.join(", ")));
        }
        lines.join("\n")
    }

    fn lines_of(&self, difference: &Difference) -> Vec<String> {
        let mut lines = Vec::new();
        match (&difference.refused_before, &difference.refused_after) {
            (None, Some(why)) => lines.push(format!("  would be refused: {}", shown_text(why))),
            (Some(why), None) => lines.push(format!("  would be accepted; was refused: {}", shown_text(why))),
            (Some(_), Some(why)) => lines.push(format!("  would be refused for another reason: {}", shown_text(why))),
            (None, None) => {}
        }
        for (title, changes) in [("profile".to_owned(), &difference.profile), (self.released_to(), &difference.released)] {
            if !changes.is_empty() {
                lines.push(format!("  {title}"));
                lines.extend(changes.iter().map(line));
            }
        }
        lines
    }

    fn released_to(&self) -> String {
        format!("told to {}", self.application.as_deref().unwrap_or_default())
    }
}

fn line(change: &Change) -> String {
    let member = shown_text(&change.member);
    match (&change.before, &change.after) {
        (Some(before), Some(after)) => format!("    {member}: {} -> {}", shown(before), shown(after)),
        (Some(before), None) => format!("    - {member}: {}", shown(before)),
        (None, after) => format!("    + {member}: {}", after.as_ref().map(shown).unwrap_or_default()),
    }
}

/// JSON, so that values keep their kind and control characters do not reach the terminal.
fn shown(value: &Value) -> String {
    shown_text(&value.to_string())
}

fn shown_text(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect()
}
