//! Child processes that end with the test, whatever happens.

use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A process that is killed by its id when dropped.
pub struct Process(Child);

impl Process {
    /// Starts it. `package` is what to install when the program is missing.
    pub fn start(command: &mut Command, package: &str) -> Self {
        match command.spawn() {
            Ok(child) => Self(child),
            Err(error) => panic!("{:?} does not start: {error}. Install {package}; tests/setup.sh does.", command.get_program()),
        }
    }

    pub fn id(&self) -> u32 {
        self.0.id()
    }

    pub fn child(&mut self) -> &mut Child {
        &mut self.0
    }

    pub fn has_ended(&mut self) -> bool {
        !matches!(self.0.try_wait(), Ok(None))
    }

    /// SIGTERM, and the exit status when it has ended.
    pub fn terminate(&mut self) -> std::process::ExitStatus {
        signal(self.id(), "TERM");
        self.0.wait().expect("the process can be waited for")
    }

    pub fn kill(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Sends a signal to one process.
pub fn signal(id: u32, name: &str) {
    let status = Command::new("kill").args(["-s", name, &id.to_string()]).status().expect("kill runs");
    assert!(status.success(), "no signal {name} to {id}");
}

/// Runs a program to its end and answers what it printed.
///
/// # Panics
/// When it is missing or fails.
pub fn run(program: &str, arguments: &[&str], package: &str) -> String {
    let output = match Command::new(program).args(arguments).stdin(Stdio::null()).output() {
        Ok(output) => output,
        Err(error) => panic!("{program} does not start: {error}. Install {package}; tests/setup.sh does."),
    };
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("printed text")
}

/// Resident memory of a process in KiB: now, and at its highest.
pub fn memory(id: u32) -> (u64, u64) {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).expect("the process runs");
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).expect("a line of /proc status");
        line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("a number of KiB")
    };
    (field("VmRSS:"), field("VmHWM:"))
}

/// A path as text.
pub fn text(path: &Path) -> &str {
    path.to_str().expect("a path of text")
}
