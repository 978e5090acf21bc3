//! Reads a script without running it.

use super::mask::Mask;
use super::sandbox::{Calls, Fault, Sandbox, Waited};
use super::{Script, ScriptError, position};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// Octets of a script's text.
pub const MAX_CODE: usize = 256 * 1024;
/// Time to read a text.
const TIME: Duration = Duration::from_secs(1);
/// Memory to read it in.
const MEMORY: usize = 32 * 1024 * 1024;

/// Can the text be read as a rule or an action?
///
/// On the calling thread, for as long as it takes to read the text (milliseconds). The text is compiled in a sandbox that
/// has no secrets, no host and no user, and the function that it becomes is not called.
///
/// # Errors
/// What is wrong, and where.
pub fn check(script: &Script) -> Result<(), ScriptError> {
    let refuse = |fault: &Fault| Err(position::cut(Mask::of_script(script).error(position::error(fault, 1, script, None))));
    if script.code.len() > MAX_CODE {
        return refuse(&Fault::thrown(format!("the text is longer than {MAX_CODE} octets")));
    }
    if script.code.trim().is_empty() {
        return refuse(&Fault::thrown("there is no text"));
    }
    let Some(sandbox) = Sandbox::new() else { return refuse(&Fault::Memory) };
    let compiled =
        sandbox.open(MEMORY, Instant::now() + TIME, Rc::new(Nothing), |session| session.compile(1, script.kind, &script.code).map(drop));
    match compiled {
        Ok(Ok(())) => Ok(()),
        Ok(Err(fault)) | Err(fault) => refuse(&fault),
    }
}

/// A host that does nothing.
struct Nothing;

impl Calls for Nothing {
    fn call(&self, _run: u32, name: &str, _arguments: &str) -> Result<Option<String>, String> {
        Err(format!("{name} is not possible while a script is read"))
    }

    fn ended(&self) -> Option<Result<(), Fault>> {
        Some(Ok(()))
    }

    fn wait(&self, _until: Instant) -> Waited {
        Waited::Nothing
    }
}
