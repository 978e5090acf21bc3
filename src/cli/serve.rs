//! `isthmus serve`.

use super::{block_on, complain};
use crate::{config, startup, telemetry};
use std::path::Path;
use std::process::ExitCode;

pub fn run(path: &Path) -> ExitCode {
    let config = match config::load(path) {
        Ok(config) => config,
        Err(findings) => {
            complain(&config::render_human(&findings));
            return ExitCode::from(1);
        }
    };
    telemetry::start(config.log_level, config.log_format);
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
