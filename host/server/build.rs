//! Builds the gateway component, and lists the files of new projects, so that the binary can carry
//! them.
//!
//! `TENSORGATE_GATEWAY_WASM=FILE` takes a component that is built already.

use std::env;
use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

#[path = "../guest_build.rs"]
mod guest_build;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const OVERRIDE: &str = "TENSORGATE_GATEWAY_WASM";

/// What the component is made of, seen from the root.
const SOURCES: &[&str] = &[
    "guest/gateway",
    "guest/logic",
    "host/types",
    "proto",
    "wit",
    ".cargo/config.toml",
    "Cargo.lock",
    "Cargo.toml",
    "rust-toolchain.toml",
];

fn main() -> Result<()> {
    println!("cargo::rerun-if-env-changed={OVERRIDE}");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()?;
    let component = match env::var_os(OVERRIDE) {
        Some(file) => root.join(file),
        None => guest_build::build(&root, "tensorgate-gateway", SOURCES)?,
    };
    println!("cargo::rerun-if-changed={}", component.display());
    println!(
        "cargo::rustc-env=TENSORGATE_GATEWAY_COMPONENT={}",
        component.display()
    );
    let embedded = embed(&root)?;
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    fs::write(out.join("embedded.rs"), embedded)?;
    Ok(())
}

/// What `tensorgate new` writes: a constant of this name has the files in these places, seen from
/// the root. They are the very files that everything else here is built from.
const EMBEDDED: &[(&str, &[&str])] = &[
    ("TEMPLATES", &["host/server/src/cli/new/templates"]),
    // What a processor sees of it; the rest is for the gateway alone.
    (
        "CONTRACT",
        &[
            "wit/types.wit",
            "wit/inference.wit",
            "wit/runs.wit",
            "wit/processor.wit",
        ],
    ),
    (
        "VENDORED",
        &[
            "guest/sdk/Cargo.toml",
            "guest/sdk/src",
            "host/types/Cargo.toml",
            "host/types/src",
            "proto",
        ],
    ),
];

/// Constants with the paths and the contents of files.
fn embed(root: &Path) -> Result<String> {
    let mut text = String::new();
    for (name, places) in EMBEDDED {
        writeln!(text, "pub(super) const {name}: &[(&str, &[u8])] = &[")?;
        for place in *places {
            let mut files = Vec::new();
            collect(&root.join(place), &mut files)?;
            files.sort();
            println!("cargo::rerun-if-changed={}", root.join(place).display());
            for file in files {
                let path = file.strip_prefix(root)?.to_str().ok_or("a path is UTF-8")?;
                writeln!(text, "    ({path:?}, include_bytes!({file:?})),")?;
            }
        }
        writeln!(text, "];")?;
    }
    Ok(text)
}

/// The file there, or every file below that directory. What tools leave behind is passed over.
fn collect(place: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    const LEFT_BEHIND: [&str; 4] = ["target", "node_modules", "__pycache__", "Cargo.lock"];
    if place.is_file() {
        files.push(place.to_owned());
        return Ok(());
    }
    for entry in fs::read_dir(place)? {
        let path = entry?.path();
        if !LEFT_BEHIND.iter().any(|name| path.ends_with(name)) {
            collect(&path, files)?;
        }
    }
    Ok(())
}
