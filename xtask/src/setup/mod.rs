//! What a fresh machine lacks: the WebAssembly target, a Python with TensorFlow (which brings
//! libtensorflow), what makes components of other languages, the models, and haproxy for the tests.
//!
//! Every part looks first whether it is there. Nothing outside the checkout is touched, but for
//! the target, which rustup keeps with the toolchain.

mod component_tools;
mod haproxy;
mod python;

use std::process::Command;

use anyhow::{Context as _, Result, bail};

pub(crate) use self::component_tools::{WORLD, component_tools, has_component_tools};
pub(crate) use self::python::{Python, python};
use crate::examples;
use crate::process;
use crate::progress;
use crate::repo::Repo;

/// What guests are compiled to.
pub(crate) const WASM_TARGET: &str = "wasm32-wasip2";

/// All of it.
pub(crate) fn everything(repo: &Repo) -> Result<Python> {
    wasm_target(repo)?;
    let python = python(repo)?;
    component_tools(repo)?;
    for example in examples::ALL {
        examples::export(repo, &python, example)?;
    }
    test_models(repo, &python)?;
    haproxy::haproxy(repo)?;
    Ok(python)
}

/// The pinned toolchain's standard library for guests.
pub(crate) fn wasm_target(repo: &Repo) -> Result<()> {
    let sysroot = process::output(
        Command::new("rustc")
            .current_dir(repo.root())
            .args(["--print", "sysroot"]),
    )
    .context("Rust is needed: https://rustup.rs installs it")?;
    let installed = std::path::Path::new(sysroot.trim())
        .join("lib/rustlib")
        .join(WASM_TARGET)
        .join("lib");
    if installed.is_dir() {
        return Ok(());
    }
    let _lock = repo.lock()?;
    progress::step(&format!("adding the target {WASM_TARGET}"), || {
        // In the checkout, so that rustup takes the toolchain that is pinned there.
        process::run(Command::new("rustup").current_dir(repo.root()).args([
            "target",
            "add",
            WASM_TARGET,
        ]))
        .context(
            "rustup could not add it. Behind a proxy, set HTTPS_PROXY. Where rustup cannot \
             download at all, the target can be had from Debian's packages: see \
             \"Without rustup's downloads\" in CONTRIBUTING.md",
        )?;
        if !installed.is_dir() {
            bail!(
                "rustup added it to another toolchain than the one in {}",
                sysroot.trim()
            );
        }
        Ok(())
    })
}

/// The models that tests run. Their exporter knows itself whether they are up to date.
fn test_models(repo: &Repo, python: &Python) -> Result<()> {
    let _lock = repo.lock()?;
    progress::step("checking the models that tests run", || {
        let mut command = python.script(&repo.root().join("tests/models/export.py"));
        process::run_logged(
            command.arg(repo.test_models()),
            &repo.logs().join("export-test-models.log"),
        )
    })
}
