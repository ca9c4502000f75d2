//! Keeps the linker from adding what would adapt older interfaces: nothing here calls them, and it
//! has the same WASI packages, whole, which do not go together with the parts in `wit/`.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=wit");
    if std::env::var("CARGO_CFG_TARGET_FAMILY").is_ok_and(|family| family == "wasm") {
        println!("cargo::rustc-link-arg=--wasi-adapter=none");
    }
}
