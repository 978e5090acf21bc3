//! `isthmus serve`.

use super::check::exit_status;
use super::{block_on, complain};
use crate::{config, startup, telemetry};
use std::path::Path;
use std::process::ExitCode;

pub fn run(path: &Path) -> ExitCode {
    let config = match config::load(path) {
        Ok(config) => config,
        Err(findings) => {
            complain(&config::render_human(&findings));
            return exit_status(&findings);
        }
    };
    telemetry::start(config.log_level, config.log_format);
    for warning in &config.warnings {
        tracing::warn!(file = warning.file, line = warning.line, path = warning.path, "{}", warning.message);
    }
    match block_on(startup::serve(config)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(
                code = error.kind.wire().code,
                detail = error.detail,
                source = error.source.as_ref().map(tracing::field::display),
                "cannot serve"
            );
            ExitCode::from(1)
        }
    }
}
