//! Runs the command line and converts its outcome to the process's exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(openlora::run(std::env::args_os()))
}
