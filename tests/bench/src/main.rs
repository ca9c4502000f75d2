//! What requests cost: the whole server against bare runs of the session, in one process run on one
//! machine, so that the ratios mean something. `cargo xtask bench` builds and runs it.
//!
//! Invariant: figures are printed with how many samples they stand on, and nothing is asserted:
//! machines differ.

mod client;
mod cpu;
mod load;
mod random;
mod request;
mod rpc;
mod server;
mod stats;
mod wire;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tensorgate_tensorflow::{Library, Lookup, SavedModel, SavedModelLoader, Wanted};

const USAGE: &str = "tensorgate-bench request BINARY HALF_PLUS_TWO [REQUESTS]\n\
                     tensorgate-bench grpc BINARY HALF_PLUS_TWO IDENTITY [SECONDS]";

fn main() -> Result<()> {
    let mut arguments = std::env::args_os().skip(1);
    let part = arguments.next().context(USAGE)?;
    // The server wants absolute paths, as the original does.
    let mut path = || -> Result<PathBuf> {
        let path = arguments.next().map(PathBuf::from).context(USAGE)?;
        Ok(path.canonicalize()?)
    };
    match part.to_str() {
        Some("request") => {
            let (binary, model) = (path()?, path()?);
            let count = match arguments.next() {
                Some(count) => count.to_string_lossy().parse().context(USAGE)?,
                None => 20_000,
            };
            request::measure(&binary, &model, count)
        }
        Some("grpc") => {
            let (binary, small, large) = (path()?, path()?, path()?);
            let seconds = match arguments.next() {
                Some(seconds) => seconds.to_string_lossy().parse().context(USAGE)?,
                None => 3.0,
            };
            rpc::measure(&binary, &small, &large, Duration::from_secs_f64(seconds))
        }
        _ => bail!(USAGE),
    }
}

fn library() -> Result<Library> {
    Library::find(&Lookup::for_this_process(Wanted::TensorFlow, None, None))
        .map_err(|error| anyhow::anyhow!("{error}"))
}

/// The newest version of a model, without a server round it.
fn load(library: Library, base_path: &Path) -> Result<SavedModel> {
    let version = newest(base_path)?;
    Ok(SavedModelLoader::new(library).load(&version)?)
}

/// The version directory with the highest number.
fn newest(base_path: &Path) -> Result<PathBuf> {
    let entries = std::fs::read_dir(base_path)
        .with_context(|| format!("cannot list {}", base_path.display()))?;
    entries
        .filter_map(Result::ok)
        .filter_map(|entry| {
            Some((
                entry.file_name().to_str()?.parse::<i64>().ok()?,
                entry.path(),
            ))
        })
        .max()
        .map(|(_, path)| path)
        .with_context(|| format!("no version in {}", base_path.display()))
}

#[expect(clippy::print_stdout, reason = "what a benchmark is for")]
fn say(line: &str) {
    println!("{line}");
}
