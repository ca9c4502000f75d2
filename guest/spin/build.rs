//! Gives the component enough memory from the start for most requests.
//!
//! Each growth is a system call in the host that changes what may be touched, for each request
//! anew, and stops all its threads for a moment. Memory that nobody touches costs nothing.

/// As much as an instance keeps between requests by default (`EdgeLimits::keep_resident`).
const INITIAL_MEMORY: usize = 4 << 20;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_FAMILY").is_ok_and(|family| family == "wasm") {
        println!("cargo::rustc-link-arg=--initial-memory={INITIAL_MEMORY}");
    }
}
