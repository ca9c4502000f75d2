//! Builds the component that denies, so that the crate can carry it.
//!
//! `TENSORGATE_DENY_WASM=FILE` takes a component that is built already.

use std::env;
use std::error::Error;
use std::path::Path;

#[path = "../guest_build.rs"]
mod guest_build;

const OVERRIDE: &str = "TENSORGATE_DENY_WASM";

/// What the component is made of, seen from the root.
const SOURCES: &[&str] = &[
    "guest/deny",
    "guest/without_std.rs",
    ".cargo/config.toml",
    "Cargo.lock",
    "Cargo.toml",
    "rust-toolchain.toml",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-env-changed={OVERRIDE}");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()?;
    let component = match env::var_os(OVERRIDE) {
        Some(file) => root.join(file),
        None => guest_build::build(&root, "tensorgate-deny", SOURCES)?,
    };
    println!("cargo::rerun-if-changed={}", component.display());
    println!(
        "cargo::rustc-env=TENSORGATE_DENY_COMPONENT={}",
        component.display()
    );
    Ok(())
}
