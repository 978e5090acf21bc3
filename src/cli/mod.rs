//! The command line. Exit status: 0 good, 1 findings, 2 usage or unreadable input.

mod at_rest;
mod check;
mod demo;
mod explain;
mod healthcheck;
mod keys;
mod mapping;
mod metadata;
mod registration;
mod rules;
mod serve;
mod user;

use crate::profile::dialect::Dialect;
use clap::{Parser, Subcommand};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

/// A SAML and OpenID Connect federation gateway.
#[derive(Parser)]
#[command(name = "isthmus", version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve logins.
    Serve(ConfigFile),
    /// Try it: gateway, practice identity provider and practice application on this machine.
    Demo(demo::Options),
    /// Check the configuration: every fault, with its place and what to do. Exit status 1 when there is one.
    Check(check::Options),
    /// Test, replay and import mapping tables.
    Mapping(mapping::Options),
    /// Test rules and actions.
    Rules(rules::Options),
    /// What would happen with this message? Every check, every mapping row, and what an application would get.
    Explain(explain::Options),
    /// Make or list the keys, and the credentials of the management API.
    Keys(keys::Options),
    /// See how fetched metadata fare, approve moves of partners, look at a source.
    Metadata(metadata::Options),
    /// Give out, list and revoke tokens that allow an application to register itself.
    Registration(registration::Options),
    /// Look users up, update, block, link and delete them.
    User(user::Options),
    /// Ask a running gateway whether it is ready; for containers.
    Healthcheck(healthcheck::Options),
}

/// Where the configuration is.
#[derive(clap::Args)]
struct ConfigFile {
    #[arg(long, value_name = "FILE", default_value = "isthmus.toml", env = "ISTHMUS_CONFIG")]
    config: PathBuf,
}

/// Runs the command that the arguments name.
pub fn run() -> ExitCode {
    match Arguments::parse().command {
        Command::Serve(file) => serve::run(&file.config),
        Command::Demo(options) => demo::run(&options),
        Command::Check(options) => check::run(&options),
        Command::Mapping(options) => mapping::run(&options),
        Command::Rules(options) => rules::run(&options),
        Command::Explain(options) => explain::run(&options),
        Command::Keys(options) => keys::run(&options),
        Command::Metadata(options) => metadata::run(&options),
        Command::Registration(options) => registration::run(&options),
        Command::User(options) => user::run(&options),
        Command::Healthcheck(options) => healthcheck::run(&options),
    }
}

/// Reads the name of a dialect.
fn dialect(text: &str) -> Result<Dialect, String> {
    Dialect::parse(text).ok_or_else(|| "auth0, gigya or logto".to_owned())
}

/// Prints one line or document of a command's result. Who closes the pipe early does not want the rest.
fn print(text: &str) {
    drop(writeln!(std::io::stdout(), "{text}"));
}

/// Reports why a command failed.
#[expect(clippy::print_stderr, reason = "a command's failure belongs on standard error")]
fn complain(text: &str) {
    eprintln!("isthmus: {text}");
}

/// Reports what makes a command impossible; its exit status.
fn unusable(why: &str) -> ExitCode {
    complain(why);
    ExitCode::from(2)
}

/// A runtime for commands that talk to stores.
fn block_on<F: Future>(future: F) -> F::Output {
    actix_web::rt::System::new().block_on(future)
}
