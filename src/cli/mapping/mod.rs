//! `isthmus mapping ..`: what concerns mapping tables without a login.

mod replay;

use clap::{Args, Subcommand};
use std::process::ExitCode;

#[derive(Args)]
pub struct Options {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Show what a changed table would make of the last logins, before it goes live.
    Replay(replay::Options),
}

pub fn run(options: &Options) -> ExitCode {
    match &options.action {
        Action::Replay(options) => replay::run(options),
    }
}
