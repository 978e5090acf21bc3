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
    ExitCode::from(findings.exit_status())
}
