//! From the engine's words to the operator's: where in the script's own text something happened, and which limit it was.

use super::sandbox::{Fault, file, wrapping};
use super::{Script, ScriptError};

/// Characters of an error's text.
const MAX_TEXT: usize = 1000;

/// What a fault of a run was; `limit` is one that the script exceeded on its way.
pub(super) fn error(fault: &Fault, run: u32, script: &Script, limit: Option<&'static str>) -> ScriptError {
    let (message, stack, limit) = match fault {
        Fault::Time => (format!("took longer than {} ms", script.limits.time), "", Some("time")),
        Fault::Memory => (format!("needed more than {} octets of memory", script.limits.memory), "", Some("memory")),
        Fault::NeverEnded if script.kind == super::Kind::Rule => ("callback was not called".to_owned(), "", limit),
        Fault::NeverEnded => ("the promise of the action was never settled".to_owned(), "", limit),
        Fault::Thrown { text, stack, .. } => (text.clone(), stack.as_str(), overflow(text).or(limit)),
    };
    let (line, column) = place(stack, run, script);
    ScriptError { message, line, column, limit: limit.map(str::to_owned) }
}

/// Cuts a text that may be long; after masking.
pub(super) fn cut(error: ScriptError) -> ScriptError {
    ScriptError { message: error.message.chars().take(MAX_TEXT).collect(), ..error }
}

/// QuickJS's own words.
fn overflow(text: &str) -> Option<&'static str> {
    (text.ends_with("stack overflow") || text.contains("Maximum call stack size exceeded")).then_some("stack")
}

/// The first frame of the script's own text, as `at name (script7:3:10)`, without what stands before the text.
fn place(stack: &str, run: u32, script: &Script) -> (Option<u32>, Option<u32>) {
    let name = format!("{}:", file(run));
    let Some((_, rest)) = stack.split_once(&name) else { return (None, None) };
    let mut numbers = rest.split(|c: char| !c.is_ascii_digit()).map(|digits| digits.parse::<u32>().ok());
    let (Some(Some(line)), column) = (numbers.next(), numbers.next().flatten()) else { return (None, None) };
    let lines = u32::try_from(script.code.lines().count()).unwrap_or(u32::MAX).max(1);
    if line > lines {
        return (Some(lines), None);
    }
    let before = u32::try_from(wrapping(script.kind).0.len()).unwrap_or_default();
    let column = if line == 1 { column.and_then(|column| column.checked_sub(before)) } else { column };
    (Some(line), column.filter(|column| *column > 0))
}
