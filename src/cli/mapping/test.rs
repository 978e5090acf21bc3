//! `isthmus mapping test`: the tests inside mapping tables, one by one.
//!
//! Exit status: 0 all pass, 1 one fails or a table is faulty, 2 a file cannot be read.

use crate::cli::{complain, print};
use crate::config;
use crate::profile::{MappingLibrary, TestResult};
use crate::toml_file::Findings;
use clap::Args;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Args)]
pub struct Options {
    /// Test these tables, as if they stood beside the configuration; without any, those that stand there.
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    #[arg(long, value_name = "FILE", default_value = "isthmus.toml", env = "ISTHMUS_CONFIG")]
    config: PathBuf,
    /// For programs.
    #[arg(long)]
    json: bool,
}

pub fn run(options: &Options) -> ExitCode {
    match Report::new(options) {
        Ok(report) => {
            print(&if options.json { report.to_json() } else { report.to_text() });
            ExitCode::from(u8::from(!report.is_good()))
        }
        Err(why) => {
            complain(&why);
            ExitCode::from(2)
        }
    }
}

struct Report {
    /// Of each file its tests, in the order of the file.
    files: BTreeMap<String, Vec<TestResult>>,
    findings: Findings,
}

impl Report {
    fn new(options: &Options) -> Result<Self, String> {
        let (files, tested) = tables(options)?;
        let (library, findings) = MappingLibrary::load(files);
        let mut files: BTreeMap<String, Vec<TestResult>> = tested.into_iter().map(|file| (file, Vec::new())).collect();
        for result in library.tables().flat_map(|table| table.test_results()) {
            if let Some(results) = files.get_mut(&result.file) {
                results.push(result);
            }
        }
        // The built-in table that stands in for a faulty file of its name is not what was asked for.
        files.retain(|file, _| !findings.problems.iter().any(|problem| problem.file == *file));
        Ok(Self { files, findings })
    }

    fn is_good(&self) -> bool {
        self.findings.is_good() && self.failed() == 0
    }

    fn failed(&self) -> usize {
        self.files.values().flatten().filter(|result| !result.differences.is_empty()).count()
    }

    fn to_text(&self) -> String {
        let mut text = if self.findings.is_good() { String::new() } else { format!("{}\n\n", config::render_human(&self.findings)) };
        for (file, results) in &self.files {
            let _ = writeln!(text, "{file}{}", if results.is_empty() { ": no tests" } else { "" });
            for result in results {
                let failed = !result.differences.is_empty();
                let place = if failed { format!(" (line {})", result.line) } else { String::new() };
                let _ = writeln!(text, "  {}  {}{place}", if failed { "FAILED" } else { "passed" }, result.test);
                for difference in &result.differences {
                    let _ = writeln!(text, "          {difference}");
                }
            }
        }
        let tests = self.files.values().map(Vec::len).sum::<usize>();
        let _ = match (self.files.len(), self.failed()) {
            (0, _) => write!(text, "There is no table to test."),
            (_, 0) => write!(text, "{tests} passed."),
            (_, failed) => write!(text, "{failed} of {tests} failed."),
        };
        text
    }

    fn to_json(&self) -> String {
        let tests: Vec<Value> = self
            .files
            .values()
            .flatten()
            .map(|result| {
                let mut test = json!(result);
                test["passed"] = result.differences.is_empty().into();
                test
            })
            .collect();
        let without_tests: Vec<&String> = self.files.iter().filter(|(_, results)| results.is_empty()).map(|(file, _)| file).collect();
        let report = json!({
            "passed": self.is_good(), "tests": tests, "without_tests": without_tests,
            "problems": self.findings.problems, "warnings": self.findings.warnings,
        });
        serde_json::to_string_pretty(&report).unwrap_or_default()
    }
}

/// Path and text.
type File = (String, String);

/// Every table there is, and the paths of those to be tested.
fn tables(options: &Options) -> Result<(Vec<File>, Vec<String>), String> {
    let unreadable = |path: &Path, error: &std::io::Error| format!("{} cannot be read: {error}", path.display());
    if options.files.is_empty() {
        // Otherwise a misspelled path would be a good result.
        std::fs::metadata(&options.config).map_err(|error| unreadable(&options.config, &error))?;
    }
    let mut problems = Vec::new();
    let directory = options.config.parent().unwrap_or_else(|| Path::new(".")).join("mappings");
    let mut files = config::mapping_files(&directory, &mut problems);
    if let Some(problem) = problems.first() {
        return Err(format!("{}: {}", problem.file, problem.message));
    }
    if options.files.is_empty() {
        let tested = files.iter().map(|(path, _)| path.clone()).collect();
        return Ok((files, tested));
    }
    let mut names = HashSet::new();
    for path in &options.files {
        if !names.insert(path.file_name()) {
            return Err(format!("{}: there is another file of this name, and the name is the table's", path.display()));
        }
    }
    files.retain(|(path, _)| !names.contains(&Path::new(path).file_name()));
    let mut tested = Vec::new();
    for path in &options.files {
        let text = std::fs::read_to_string(path).map_err(|error| unreadable(path, &error))?;
        tested.push(path.display().to_string());
        files.push((path.display().to_string(), text));
    }
    Ok((files, tested))
}
