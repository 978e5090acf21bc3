//! `isthmus rules test`: the tests beside scripts, one by one; with `--login` or `--event` a rehearsal of all scripts.
//!
//! Exit status: 0 all pass, or the rehearsal went well; 1 a test fails, the configuration is faulty, or the login would be
//! refused; 2 something cannot be read. Nothing is stored, whatever scripts want stored.

use super::event::{self, Event};
use crate::cli::{block_on, complain, print};
use crate::config::script_trials::{self, TrialResult};
use crate::config::{self, Findings, ScriptsConfig};
use crate::connection::outbound::GuardedFetch;
use crate::rules::{Host, Kind, Outcome, Scripts, Status};
use clap::Args;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

#[derive(Args)]
pub struct Options {
    /// Only those of these scripts.
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Rehearse a login that the running gateway has recorded, by its correlation id.
    #[arg(long, value_name = "CORRELATION_ID", conflicts_with = "event")]
    login: Option<String>,
    /// Rehearse a login that is written down: a JSON file with `user`, `context` and `event`.
    #[arg(long, value_name = "FILE")]
    event: Option<PathBuf>,
    /// Address of the operations listener; by default that of the configuration.
    #[arg(long, value_name = "URL", requires = "login")]
    gateway: Option<String>,
    #[arg(long, value_name = "FILE", default_value = "isthmus.toml", env = "ISTHMUS_CONFIG")]
    config: PathBuf,
    /// For programs.
    #[arg(long)]
    json: bool,
}

pub fn run(options: &Options) -> ExitCode {
    let (scripts, findings, operations) = match config::scripts(&options.config) {
        Ok(read) => read,
        Err(findings) => {
            complain(&config::render_human(&findings));
            return ExitCode::from(2);
        }
    };
    if let Some(unknown) = options.names.iter().find(|name| !scripts.scripts.iter().any(|script| script.name == **name)) {
        complain(&format!("there is no script {unknown}"));
        return ExitCode::from(2);
    }
    let event = match (&options.login, &options.event) {
        (Some(login), _) => block_on(event::recorded(options.gateway.as_deref().unwrap_or(&operations), login)).map(Some),
        (None, Some(path)) => event::written(path).map(Some),
        (None, None) => Ok(None),
    };
    match event {
        Ok(None) => tests(options, scripts, &findings),
        Ok(Some(event)) => rehearse(options, scripts, event),
        Err(why) => {
            complain(&why);
            ExitCode::from(2)
        }
    }
}

fn tests(options: &Options, scripts: ScriptsConfig, findings: &Findings) -> ExitCode {
    let wanted = |name: &str| options.names.is_empty() || options.names.iter().any(|known| known == name);
    let without: Vec<String> = scripts
        .scripts
        .iter()
        .map(|script| script.name.clone())
        .filter(|name| wanted(name) && !scripts.trials.iter().any(|trial| trial.script.name == *name))
        .collect();
    let results = script_trials::run(scripts.trials.into_iter().filter(|trial| wanted(&trial.script.name)).collect());
    let good = findings.is_good() && results.iter().all(|result| result.differences.is_empty());
    print(&if options.json { report_json(&results, &without, findings, good) } else { report_text(&results, &without, findings) });
    ExitCode::from(u8::from(!good))
}

fn report_text(results: &[TrialResult], without: &[String], findings: &Findings) -> String {
    let mut text = if findings.is_good() { String::new() } else { format!("{}\n\n", config::render_human(findings)) };
    let mut by_script: BTreeMap<&str, Vec<&TrialResult>> = BTreeMap::new();
    for result in results {
        by_script.entry(&result.script).or_default().push(result);
    }
    for (script, results) in by_script {
        let _ = writeln!(text, "{script}");
        for result in results {
            let failed = !result.differences.is_empty();
            let place = if failed { format!(" ({} line {})", result.file, result.line) } else { String::new() };
            let _ = writeln!(text, "  {}  {}{place}", if failed { "FAILED" } else { "passed" }, result.test);
            for difference in &result.differences {
                let _ = writeln!(text, "          {difference}");
            }
        }
    }
    for script in without {
        let _ = writeln!(text, "{script}: no tests");
    }
    let failed = results.iter().filter(|result| !result.differences.is_empty()).count();
    let _ = match (results.len(), failed) {
        (0, _) => write!(text, "There is no test to run."),
        (all, 0) => write!(text, "{all} passed."),
        (all, failed) => write!(text, "{failed} of {all} failed."),
    };
    text
}

fn report_json(results: &[TrialResult], without: &[String], findings: &Findings, good: bool) -> String {
    let tests: Vec<Value> = results
        .iter()
        .map(|result| {
            let mut test = json!(result);
            test["passed"] = result.differences.is_empty().into();
            test
        })
        .collect();
    let report = json!({
        "passed": good, "tests": tests, "without_tests": without, "problems": findings.problems, "warnings": findings.warnings,
    });
    serde_json::to_string_pretty(&report).unwrap_or_default()
}

/// All enabled scripts of the configuration, or the named ones, on one login.
fn rehearse(options: &Options, config: ScriptsConfig, event: Event) -> ExitCode {
    let mut scripts = Scripts { configuration: Arc::new(config.configuration), ..Scripts::default() };
    let mut chosen: Vec<_> = config
        .scripts
        .into_iter()
        .filter(|script| if options.names.is_empty() { script.enabled } else { options.names.contains(&script.name) })
        .collect();
    chosen.sort_by(|a, b| (a.order, &a.name).cmp(&(b.order, &b.name)));
    for script in chosen {
        match script.kind {
            Kind::Rule => scripts.rules.push(Arc::new(script)),
            Kind::Action(trigger) => scripts.actions.entry(trigger).or_default().push(Arc::new(script)),
        }
    }
    let host = Host::new(1, Arc::new(GuardedFetch)).of_issuer(event.issuer.as_str());
    let outcome = match block_on(host.login(&scripts, event.input())) {
        Ok(outcome) => outcome,
        Err(error) => {
            complain(&error.to_string());
            return ExitCode::from(2);
        }
    };
    print(&if options.json { outcome_json(&outcome) } else { outcome_text(&outcome) });
    ExitCode::from(u8::from(outcome.denied.is_some() || outcome.failed.is_some()))
}

/// Values of secrets are masked in what a run reports, and nowhere else: so nothing else is shown.
fn outcome_json(outcome: &Outcome) -> String {
    let report = json!({
        "runs": outcome.ran,
        "denied": outcome.denied.as_ref().map(|denial| denial.message.clone()),
        "failed": outcome.failed,
        "redirect": outcome.redirect.as_ref().map(|redirect| redirect.url.clone()),
    });
    serde_json::to_string_pretty(&report).unwrap_or_default()
}

fn outcome_text(outcome: &Outcome) -> String {
    let mut text = String::new();
    let side = |value: &Option<Value>| value.as_ref().map_or_else(|| "(absent)".to_owned(), Value::to_string);
    for run in &outcome.ran {
        let status = match &run.status {
            Status::Done => "done".to_owned(),
            Status::Denied => "refused the login".to_owned(),
            Status::Redirected => "sends the person elsewhere".to_owned(),
            Status::Failed(error) => match (error.line, error.column) {
                (Some(line), Some(column)) => format!("FAILED at line {line}, column {column}: {}", error.message),
                _ => format!("FAILED: {}", error.message),
            },
        };
        let _ = writeln!(text, "{} {}: {status} ({} us)", run.kind, run.script, run.took);
        for change in &run.changes {
            let _ = writeln!(text, "  {}: {} -> {}", change.path, side(&change.before), side(&change.after));
        }
        for line in &run.log {
            let _ = writeln!(text, "  log: {line}");
        }
    }
    let _ = match (&outcome.denied, &outcome.failed, &outcome.redirect) {
        (Some(denial), ..) => write!(text, "The login is refused: {}", denial.message),
        (None, Some(script), _) => write!(text, "The login fails by {script}."),
        (None, None, Some(redirect)) => write!(text, "The person is sent to {}", redirect.url),
        (None, None, None) if outcome.ran.is_empty() => write!(text, "No script runs."),
        (None, None, None) => write!(text, "The login goes on."),
    };
    text
}
