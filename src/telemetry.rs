//! Logs: for people on a terminal, or JSON for programs. To standard error; standard output belongs to commands.

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    #[default]
    Human,
    Json,
}

/// Starts logging once for the process; a second call changes nothing. Libraries never log below `warn`:
/// some print what passes through them.
pub fn start(level: LevelFilter, format: LogFormat) {
    let filter = Targets::new().with_default(level.min(LevelFilter::WARN)).with_target("isthmus", level);
    let registry = tracing_subscriber::registry().with(filter);
    let result = match format {
        LogFormat::Human => {
            let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_target(false).with_ansi(is_terminal());
            registry.with(layer).try_init()
        }
        LogFormat::Json => {
            let layer = tracing_subscriber::fmt::layer().json().flatten_event(true).with_current_span(false).with_writer(std::io::stderr);
            registry.with(layer).try_init()
        }
    };
    drop(result);
}

fn is_terminal() -> bool {
    use std::io::IsTerminal as _;
    std::io::stderr().is_terminal()
}
