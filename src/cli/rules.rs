//! `isthmus rules ..`: what concerns rules and actions without a login.

mod event;
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
    /// Run the tests beside rules and actions; or all of them on a login that was recorded or written down, and show what
    /// they would make of it.
    Test(test::Options),
}

pub fn run(options: &Options) -> ExitCode {
    match &options.action {
        Action::Test(options) => test::run(options),
    }
}
