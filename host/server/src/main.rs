//! The binary: hands its arguments to the command line.

#![forbid(unsafe_code)]

use std::process::ExitCode;

/// A request makes and drops some dozens of small things, on whichever thread it is at the time.
#[cfg(not(feature = "count-allocations"))]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    tensorgate_server::cli::run(std::env::args_os())
}
