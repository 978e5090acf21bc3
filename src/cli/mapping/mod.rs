//! `isthmus mapping ..`: what concerns mapping tables without a login.

mod import;
mod replay;
mod test;

use clap::{Args, Subcommand};
use std::process::ExitCode;

#[derive(Args)]
pub struct Options {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Run the tests that mapping tables carry.
    Test(test::Options),
    /// Write a mapping of Auth0 or Gigya (JSON) as a table, on standard output.
    Import(import::Options),
    /// Show what a changed table would make of the last logins, before it goes live.
    Replay(replay::Options),
}

pub fn run(options: &Options) -> ExitCode {
    match &options.action {
        Action::Test(options) => test::run(options),
        Action::Import(options) => import::run(options),
        Action::Replay(options) => replay::run(options),
    }
}
