//! Reads a script without running it.

use super::mask::Mask;
use super::sandbox::{Calls, Fault, Sandbox, Waited};
use super::{Kind, Script, ScriptError, position};
use std::rc::Rc;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// Octets of a script's text.
pub const MAX_CODE: usize = 256 * 1024;
/// Time to read a text.
const TIME: Duration = Duration::from_secs(1);
/// Memory to read it in.
const MEMORY: usize = 32 * 1024 * 1024;

/// Can the text be read as a rule or an action?
///
/// The calling thread waits for as long as it takes to read the text: milliseconds, and never more than two seconds. The
/// text is compiled on a thread of its own, in a sandbox that has no secrets, no host and no user, and the function that it
/// becomes is not called.
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
    let (tell, hear) = mpsc::channel();
    let (kind, code) = (script.kind, script.code.clone());
    // A text that ends the function around it runs when it is read, and may call what cannot be interrupted.
    let reader = thread::Builder::new().name("script check".to_owned()).spawn(move || drop(tell.send(read(kind, &code))));
    if reader.is_err() {
        return refuse(&Fault::Memory);
    }
    match hear.recv_timeout(TIME * 2) {
        Ok(Ok(())) => Ok(()),
        Ok(Err(fault)) => refuse(&fault),
        Err(_) => refuse(&Fault::Time),
    }
}

fn read(kind: Kind, code: &str) -> Result<(), Fault> {
    let sandbox = Sandbox::new().ok_or(Fault::Memory)?;
    sandbox.open(MEMORY, Instant::now() + TIME, Rc::new(Nothing), |session| session.compile(1, kind, code).map(drop))?
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
