//! `isthmus explain`: what would happen with this message? Nothing is written, no store is opened, keys are only read.

mod human;
mod input;
mod person;
mod report;

use super::{block_on, complain, dialect, print};
use crate::application::Application;
use crate::broker::living::as_kept_on_disk as application_as_kept_on_disk;
use crate::clock::Timestamp;
use crate::config::{self, Config};
use crate::connection::as_kept_on_disk;
use crate::connection::config::ConnectionConfig;
use crate::connection::explain::Examiner;
use crate::keys::Keyring;
use crate::oidc::Scopes;
use crate::profile::dialect::Dialect;
use clap::Args;
use human::plain;
use input::Input;
use report::{Question, Report, Verdict};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Args)]
pub struct Options {
    /// The connection by which the message came.
    #[arg(long, value_name = "NAME")]
    connection: String,
    /// Show what this application would get.
    #[arg(long, value_name = "CLIENT_ID")]
    application: Option<String>,
    /// What the application asks for; by default all scopes that it may have.
    #[arg(long, value_name = "SCOPES", value_parser = scopes)]
    scope: Option<Scopes>,
    /// Show the person as this product would: auth0, gigya or logto.
    #[arg(long, value_name = "DIALECT", value_parser = dialect)]
    dialect: Option<Dialect>,
    /// Check as of this time, `now` or RFC 3339; by default the message's own IssueInstant.
    #[arg(long, value_name = "TIME", value_parser = time)]
    at: Option<At>,
    /// For programs.
    #[arg(long)]
    json: bool,
    #[arg(long, value_name = "FILE", default_value = "isthmus.toml", env = "ISTHMUS_CONFIG")]
    config: PathBuf,
    /// A SAML response or assertion (XML, base64, or the posted form), an ID token, or claims as a JSON object; - is standard
    /// input.
    file: PathBuf,
}

/// As of when to check.
#[derive(Clone, Copy, Debug)]
enum At {
    Now,
    Time(Timestamp),
}

/// Exit status 0 when a login would go through (or nothing speaks against it), 1 when it would be refused, 2 for usage and
/// what cannot be read.
pub fn run(options: &Options) -> ExitCode {
    match explain(options, Timestamp::now()) {
        Ok(report) => {
            print(&if options.json { human::json(&report) } else { human::render(&report) });
            if report.verdict == Verdict::Refused { ExitCode::from(1) } else { ExitCode::SUCCESS }
        }
        Err(why) => {
            complain(&why);
            ExitCode::from(2)
        }
    }
}

fn explain(options: &Options, now: Timestamp) -> Result<Report, String> {
    let config = config::load(&options.config).map_err(|findings| config::render_human(&findings))?;
    let (connection, application) = named(&config, options)?;
    let input = Input::read(&options.file).map_err(|why| plain(&why))?;
    let issuer = match &input {
        Input::Saml { message, .. } => message.head.as_ref().and_then(|head| head.issuer.as_deref()),
        _ => None,
    };
    let kept = block_on(as_kept_on_disk(connection, issuer, now)).map_err(|error| error.to_string())?;
    let connection = &kept;
    let living = application.and_then(|application| Some((application, config.application_metadata.get(&application.client_id)?)));
    let by_metadata = living.map(|(application, living)| block_on(application_as_kept_on_disk(application.clone(), living, now)));
    let by_metadata = by_metadata.transpose().map_err(|error| error.to_string())?;
    let application = by_metadata.as_deref().or(application);
    let (keyring, without_keys) = keys(&config.keys_path);
    let examiner = Examiner::new(connection, &config.issuer, keyring.as_ref(), config.lifetimes.transaction);
    let examiner = examiner.map_err(|error| error.to_string())?;
    let encrypted = matches!(&input, Input::Saml { message, .. } if message.head.as_ref().is_some_and(|head| head.is_encrypted));
    let question = Question {
        config: connection,
        examiner: &examiner,
        application,
        scopes: options.scope.clone(),
        dialect: options.dialect,
        at: options.at.map(|at| match at {
            At::Now => now,
            At::Time(time) => time,
        }),
        now,
        notes: without_keys.filter(|_| encrypted).into_iter().collect(),
    };
    Ok(question.answer(&input))
}

type Named<'c> = (&'c ConnectionConfig, Option<&'c Application>);

/// The connection and the application that the arguments name, enabled or not.
fn named<'c>(config: &'c Config, options: &Options) -> Result<Named<'c>, String> {
    let connection = config.connections.iter().find(|connection| connection.name == options.connection).ok_or_else(|| {
        let known: Vec<&str> = config.connections.iter().map(|connection| connection.name.as_str()).collect();
        unknown("connection", &options.connection, &known)
    })?;
    let application = options.application.as_ref().map(|name| {
        config.applications.iter().find(|application| application.client_id == *name).ok_or_else(|| {
            let known: Vec<&str> = config.applications.iter().map(|application| application.client_id.as_str()).collect();
            unknown("application", name, &known)
        })
    });
    Ok((connection, application.transpose()?))
}

fn unknown(what: &str, name: &str, known: &[&str]) -> String {
    let known = if known.is_empty() { "there is none".to_owned() } else { format!("there are: {}", known.join(", ")) };
    format!("there is no {what} `{}`; {known}", plain(name))
}

/// The keys as they are, or why there are none to use.
fn keys(path: &Path) -> (Option<Keyring>, Option<String>) {
    match Keyring::open(path) {
        Ok(keyring) => (Some(keyring), None),
        Err(error) => (None, Some(format!("The keys cannot be used, so nothing can be decrypted: {}", error.detail))),
    }
}

fn scopes(text: &str) -> Result<Scopes, String> {
    Scopes::parse(text).map_err(|error| error.detail)
}

fn time(text: &str) -> Result<At, String> {
    if text == "now" {
        return Ok(At::Now);
    }
    Timestamp::parse(text).map(At::Time).ok_or_else(|| "`now`, or a time with its zone: 2026-11-21T02:42:00Z".to_owned())
}
