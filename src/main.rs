//! The program: hands over to the command line.

use mimalloc::MiMalloc;
use std::process::ExitCode;

/// Asking for memory and giving it back was a seventh of what a login cost.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    isthmus::cli::run()
}
