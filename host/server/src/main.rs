//! The binary: hands its arguments to the command line.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    tensorgate_server::cli::run(std::env::args_os())
}
