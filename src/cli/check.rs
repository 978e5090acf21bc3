//! `isthmus check`.

use super::print;
use crate::config;
use clap::Args;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Args)]
pub struct Options {
    #[arg(long, value_name = "FILE", default_value = "isthmus.toml", env = "ISTHMUS_CONFIG")]
    config: PathBuf,
    /// For programs.
    #[arg(long)]
    json: bool,
}

pub fn run(options: &Options) -> ExitCode {
    let findings = config::check(&options.config);
    print(&if options.json { config::to_json(&findings) } else { config::render_human(&findings) });
    // A file that cannot be read at all is no finding in it.
    match findings.problems.as_slice() {
        [] => ExitCode::SUCCESS,
        [only] if only.line == 0 && only.path.is_empty() => ExitCode::from(2),
        _ => ExitCode::from(1),
    }
}
