//! Findings for people, with the line and a mark under the place, and for programs as JSON.

use super::{Findings, Problem};
use std::fmt::Write as _;

/// One paragraph a finding, and a closing line.
pub fn render_human(findings: &Findings) -> String {
    let mut text = String::new();
    for (label, list) in [("error", &findings.problems), ("warning", &findings.warnings), ("note", &findings.notes)] {
        for problem in list {
            paragraph(&mut text, label, problem);
        }
    }
    let _ = match (findings.problems.len(), findings.warnings.len()) {
        (0, 0) => write!(text, "The configuration is good."),
        (0, warnings) => write!(text, "The configuration is good, with {warnings} warning{}.", plural(warnings)),
        (problems, warnings) => write!(text, "{problems} error{}, {warnings} warning{}.", plural(problems), plural(warnings)),
    };
    text
}

pub fn to_json(findings: &Findings) -> String {
    serde_json::to_string_pretty(findings).unwrap_or_default()
}

fn paragraph(text: &mut String, label: &str, problem: &Problem) {
    let _ = writeln!(text, "{label}: {}", problem.message);
    let place = if problem.line == 0 { problem.file.clone() } else { format!("{}:{}:{}", problem.file, problem.line, problem.column) };
    let path = if problem.path.is_empty() { String::new() } else { format!(" ({})", problem.path) };
    let _ = writeln!(text, "  --> {place}{path}");
    if let Some(excerpt) = &problem.excerpt {
        let gutter = problem.line.to_string();
        let _ = writeln!(text, "  {gutter} | {excerpt}");
        let indent: String = excerpt.chars().take(problem.column.saturating_sub(1)).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        let _ = writeln!(text, "  {} | {indent}{}", " ".repeat(gutter.len()), "^".repeat(problem.width.min(80)));
    }
    if !problem.help.is_empty() {
        let _ = writeln!(text, "  what to do: {}", problem.help);
    }
    text.push('\n');
}

const fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}
