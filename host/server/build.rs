//! Builds the gateway component, and lists the files of new projects, so that the binary can carry
//! them.
//!
//! `TENSORGATE_GATEWAY_WASM=FILE` takes a component that is built already.

use std::env;
use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const TARGET: &str = "wasm32-wasip2";
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

fn main() -> Result<()> {
    println!("cargo::rerun-if-env-changed={OVERRIDE}");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()?;
    let component = match env::var_os(OVERRIDE) {
        Some(file) => root.join(file),
        None => build(&root)?,
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

fn build(root: &Path) -> Result<PathBuf> {
    for source in SOURCES {
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
        .args([
            "build",
            "--profile",
            "guest",
            "--package",
            "tensorgate-gateway",
        ])
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
        return Err("the gateway component does not build: see above".into());
    }
    Ok(target.join(TARGET).join("guest/tensorgate_gateway.wasm"))
}

/// A missing target shows itself as a page of errors about `core` otherwise.
fn check_target() -> Result<()> {
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
