//! The harness: runs the real binary, the way a user does, and talks to it over real sockets.
//!
//! The suites are in `tests/`. Each starts servers of its own, on ports that the system chooses,
//! and reads from their log where they are. Nothing sleeps for a fixed time: whoever waits, waits
//! for a line, an answer or the end of the process, and gives up loudly after [`PATIENCE`].
//!
//! What is run is what lies in the target directory: `cargo xtask test` builds it (and exports
//! the models) before it runs the suites; by hand, `cargo build -p tensorgate-server` does.

pub mod app;
pub mod grpc;
pub mod http;
pub mod models;
pub mod mutate;
pub mod over;
pub mod python;
pub mod relay;
pub mod server;
mod stderr;

use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long anything may take before a test fails. Only a hang takes this long.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// The root of the repository.
#[must_use]
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("this package lies in the repository")
}

/// A file that cargo built beside the running test: `tensorgate`, say.
///
/// # Panics
/// When it is not there.
#[must_use]
pub fn built(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a test is a file");
    let file = test
        .parent()
        .and_then(Path::parent)
        .expect("tests lie in a directory of the profile's")
        .join(name);
    assert!(
        file.is_file(),
        "{} is not there: run `cargo xtask test`, or `cargo build -p tensorgate-server`",
        file.display()
    );
    file
}

/// A guest program of `tests/programs/examples`, as a component.
///
/// # Panics
/// When it is not there.
#[must_use]
pub fn program(name: &str) -> PathBuf {
    let target = built("tensorgate");
    let target = target
        .ancestors()
        .nth(2)
        .expect("the profile's directory lies in the target directory");
    let file = target
        .join("guests/wasm32-wasip2/guest/examples")
        .join(format!("{name}.wasm"));
    assert!(
        file.is_file(),
        "{} is not there: run `cargo xtask guests`",
        file.display()
    );
    file
}
