//! Builds a guest from within a build script, so that a crate can carry the component.
//!
//! Build scripts take this file in as a module.

use std::env;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;

const TARGET: &str = "wasm32-wasip2";

/// Variables of cargo's own that say how to fetch and to print. The others describe the build
/// that we are in, and would turn a build of a guest into a build of the host (or, under clippy,
/// into a lint run that leaves no file).
const KEPT: &[&str] = &[
    "CARGO_HOME",
    "CARGO_HTTP_",
    "CARGO_MAKEFLAGS",
    "CARGO_NET_",
    "CARGO_REGISTR",
    "CARGO_SOURCE_",
    "CARGO_TERM_",
];

const SCRUBBED: &[&str] = &[
    "CLIPPY_",
    "RUSTC",
    "RUSTDOC",
    "RUSTFLAGS",
    "OUT_DIR",
    "OPT_LEVEL",
    "PROFILE",
    "DEBUG",
    "TARGET",
    "HOST",
];

/// Builds a package that is made of these sources, seen from the root; gives the component.
pub(crate) fn build(
    root: &Path,
    package: &str,
    sources: &[&str],
) -> Result<PathBuf, Box<dyn Error>> {
    for source in sources {
        println!("cargo::rerun-if-changed={}", root.join(source).display());
    }
    check_target()?;
    let cargo = env::var_os("CARGO").ok_or("CARGO is not set")?;
    // A target directory of its own: the outer cargo holds the lock of the usual one.
    let target = env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| root.join("target"), |target| root.join(target))
        .join("guests");
    let mut command = Command::new(cargo);
    command
        .current_dir(root)
        .args(["build", "--profile", "guest", "--package", package])
        .args(["--target", TARGET, "--target-dir"])
        .arg(&target);
    for (name, _) in env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        let starts = |prefixes: &[&str]| prefixes.iter().any(|prefix| name.starts_with(prefix));
        if starts(SCRUBBED) || (name.starts_with("CARGO") && !starts(KEPT)) {
            command.env_remove(name);
        }
    }
    if !command.status()?.success() {
        return Err(format!("the component {package} does not build: see above").into());
    }
    let file = format!("{}.wasm", package.replace('-', "_"));
    Ok(target.join(TARGET).join("guest").join(file))
}

/// A missing target shows itself as a page of errors about `core` otherwise.
fn check_target() -> Result<(), Box<dyn Error>> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc)
        .args(["--print", "target-libdir", "--target", TARGET])
        .output()?;
    let directory = String::from_utf8(output.stdout)?;
    if !output.status.success() || !Path::new(directory.trim()).is_dir() {
        return Err(format!(
            "Rust's standard library for {TARGET} is not installed: run `rustup target add {TARGET}`"
        )
        .into());
    }
    Ok(())
}
