//! Cargo over everything that the host can run.
//!
//! All checks use the same packages with the same features and the same profile, so that
//! nothing is compiled twice: whoever builds only some of them gets dependencies with other
//! features, and cargo builds those anew.

use std::process::Command;

use anyhow::Result;

use crate::guests;
use crate::process::{self, cargo};
use crate::repo::{Profile, Repo};

/// `cargo SUBCOMMAND` over every package but the guests.
pub(crate) fn command(repo: &Repo, subcommand: &str) -> Command {
    let mut command = cargo(repo);
    command.args([subcommand, "--workspace"]);
    for package in guests::COMPONENTS.iter().chain(guests::TEST_PROGRAMS) {
        command.args(["--exclude", package]);
    }
    command
}

/// Builds the server together with all tests, in the dev profile.
pub(crate) fn build(repo: &Repo) -> Result<()> {
    process::run(command(repo, "build").arg("--all-targets"))
}

/// Builds what `targets` names (`--bin NAME`, `--example NAME`) as `profile` says.
pub(crate) fn build_only(repo: &Repo, profile: Profile, targets: &[&str]) -> Result<()> {
    let mut command = command(repo, "build");
    process::run(command.args(["--profile", profile.name()]).args(targets))
}
