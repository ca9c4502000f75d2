//! Links the adapter of `guest/wasi-nn` to those programs that need it: they call the older form
//! of wasi-nn, of which no component can be made by itself. Others do not get a byte of it.

use std::error::Error;
use std::path::{Path, PathBuf};

use wit_component::{StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

fn main() -> Result<(), Box<dyn Error>> {
    let source = Path::new("../../guest/wasi-nn");
    println!("cargo::rerun-if-changed={}", source.display());
    if std::env::var("CARGO_CFG_TARGET_ARCH")? != "wasm32" {
        return Ok(());
    }
    let mut adapter = wat::parse_file(source.join("adapter.wat"))?;
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_path(source.join("wasi-nn.wit"))?;
    let world = resolve.select_world(&[package], Some("ml"))?;
    embed_component_metadata(&mut adapter, &resolve, world, StringEncoding::UTF8)?;
    let file = PathBuf::from(std::env::var("OUT_DIR")?).join("wasi_ephemeral_nn.wasm");
    std::fs::write(&file, adapter)?;
    // Not `rustc-link-arg-examples`, which is for examples that are executables.
    println!(
        "cargo::rustc-link-arg=--adapt=wasi_ephemeral_nn={}",
        file.display()
    );
    Ok(())
}
