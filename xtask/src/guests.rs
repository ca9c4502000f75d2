//! Building the WebAssembly components.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::examples;
use crate::process::{self, cargo};
use crate::progress;
use crate::repo::Repo;
use crate::setup::{self, WASM_TARGET};

/// Packages that are components, and nothing on the host.
pub(crate) const COMPONENTS: &[&str] = &[
    "tensorgate-deny",
    "tensorgate-gateway",
    "tensorgate-identity-processor",
];

/// Those of them that do without `std`: together with others they would get dependencies that use
/// it.
pub(crate) const WITHOUT_STD: &[&str] = &["tensorgate-deny", "tensorgate-identity-processor"];

/// Packages that are components, and plain Rust on the host, where they are tested. The processors
/// of examples are of this kind, too.
pub(crate) const TESTED_COMPONENTS: &[&str] =
    &["tensorgate-remote-inference", "tensorgate-spin-shell"];

/// Programs that tests run inside the sandbox, one component per example.
pub(crate) const TEST_PROGRAMS: &[&str] = &[
    "tensorgate-test-composed",
    "tensorgate-test-programs",
    "tensorgate-test-processors",
    "tensorgate-spin-programs",
];

/// Where guests are built: apart from the host, so that neither waits for the other's lock, and
/// the server's build can build the gateway while cargo holds its own.
pub(crate) fn target(repo: &Repo) -> PathBuf {
    repo.target().join("guests")
}

/// Builds every component.
pub(crate) fn build(repo: &Repo) -> Result<()> {
    progress::step("building the WebAssembly components", || {
        // One by one, as the server's build and spin.toml do it: together, each would get the
        // union of all features, and the next build of one alone would make it anew.
        let components = COMPONENTS.iter().chain(TESTED_COMPONENTS).copied();
        for package in components.chain(examples::packages()) {
            process::run(build_command(repo).args(["--package", package]))?;
        }
        for package in TEST_PROGRAMS {
            process::run(build_command(repo).args(["--package", package, "--examples"]))?;
        }
        Ok(())
    })
}

/// Builds a processor of an example; gives the component.
pub(crate) fn build_processor(repo: &Repo, package: &str) -> Result<PathBuf> {
    setup::wasm_target(repo)?;
    process::run(build_command(repo).args(["--package", package]))?;
    let file = format!("{}.wasm", package.replace('-', "_"));
    Ok(target(repo).join(WASM_TARGET).join("guest").join(file))
}

/// `cargo build`, for guests.
pub(crate) fn build_command(repo: &Repo) -> Command {
    let mut command = cargo(repo);
    command.args(["build", "--profile", "guest", "--target", WASM_TARGET]);
    command.arg("--target-dir").arg(target(repo));
    command
}
