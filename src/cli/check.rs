//! `isthmus check`.

use super::print;
use crate::config::{self, Findings};
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
    exit_status(&findings)
}

/// 0 good, 1 findings, 2 where the file cannot be read at all.
pub fn exit_status(findings: &Findings) -> ExitCode {
    match findings.problems.as_slice() {
        [] => ExitCode::SUCCESS,
        [only] if only.line == 0 && only.path.is_empty() => ExitCode::from(2),
        _ => ExitCode::from(1),
    }
}
