//! Runs the command line and turns its outcome into the process's exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(openlora::run(std::env::args_os()))
}
