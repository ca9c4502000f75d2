//! What requests cost: the whole server against bare runs of the session, in one process run on one
//! machine, so that the ratios mean something. `cargo xtask bench` builds and runs it.
//!
//! Invariant: figures are printed with how many samples they stand on, and nothing is asserted:
//! machines differ.

mod batching;
mod bench;
mod client;
mod copies;
mod cpu;
mod edge;
mod findings;
mod grid;
mod limit;
mod load;
mod pair;
mod peer;
mod peers;
mod plot;
mod processors;
mod random;
mod report;
mod request;
mod results;
mod rpc;
mod server;
mod stats;
mod wire;
mod workload;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use clap::{Args, Parser};
use tensorgate_tensorflow::{Library, Lookup, SavedModel, SavedModelLoader, Wanted};

use crate::bench::{Ask, Configuration};
use crate::load::Arrivals;
use crate::workload::{Over, Workload};

/// Benchmarks of the whole server.
#[derive(Debug, Parser)]
enum Part {
    /// One request through the whole server, and its start.
    Request {
        binary: PathBuf,
        half_plus_two: PathBuf,
        #[arg(default_value_t = 20_000)]
        requests: usize,
    },
    /// Predict over gRPC and REST, small and large.
    Grpc {
        binary: PathBuf,
        half_plus_two: PathBuf,
        identity: PathBuf,
        #[arg(default_value_t = 3.0)]
        seconds: f64,
    },
    /// What a processor costs: each call, a swap under load, and a hostile one beside others.
    Processors {
        binary: PathBuf,
        half_plus_two: PathBuf,
        /// A processor that passes everything on.
        pass_through: PathBuf,
        /// One that does what a body says, of which most is bad.
        hostile: PathBuf,
        #[arg(default_value_t = 3.0)]
        seconds: f64,
    },
    /// What the edge costs, and what travels to its host.
    Edge(edge::Parts),
    /// The bare session at every batch size, as JSON.
    Limit {
        #[arg(long)]
        models: PathBuf,
        #[arg(long)]
        workload: String,
        #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u8).range(..128))]
        kernel_threads: u8,
        #[arg(long, default_value_t = 1.0)]
        seconds: f64,
    },
    /// Ours with and without batching, against the limit.
    Batching {
        #[command(flatten)]
        common: Common,
        /// The same server, built to count what it allocates.
        #[arg(long)]
        counting: Option<PathBuf>,
    },
    /// One load on several configurations or binaries of ours, in turns.
    Pair(Pair),
    /// Every setting of the batching parameters against the adaptive mode.
    Grid {
        #[command(flatten)]
        common: Common,
        /// Requests per second of the open loop; half of the first closed loop's where not given.
        #[arg(long)]
        rate: Option<f64>,
        /// The flags of the adaptive mode; empty to leave it out.
        #[arg(
            long,
            default_value = "--adaptive_batching",
            allow_hyphen_values = true
        )]
        adaptive: String,
    },
    /// Ours against Python servers.
    Peers {
        #[command(flatten)]
        common: Common,
        /// Where their scripts are.
        #[arg(long)]
        scripts: PathBuf,
        /// Where each has its environment.
        #[arg(long)]
        environments: PathBuf,
        /// One of them; all where none is given.
        #[arg(long)]
        only: Vec<String>,
    },
}

/// What benchmarks of servers need.
#[derive(Debug, Args)]
struct Common {
    /// The server.
    #[arg(long)]
    binary: PathBuf,
    /// The directory of the models.
    #[arg(long)]
    models: PathBuf,
    /// Where results go.
    #[arg(long)]
    out: PathBuf,
    /// A configuration of the server, `NAME=FLAG FLAG ...`; may be repeated.
    #[arg(long = "config")]
    configurations: Vec<Configuration>,
    /// How long each case takes.
    #[arg(long)]
    seconds: Option<f64>,
    /// Few cases, a second each.
    #[arg(long)]
    quick: bool,
}

impl Common {
    /// `seconds` a case, where nothing else is asked for.
    fn with(
        mut self,
        seconds: f64,
        measure: impl FnOnce(&batching::Options<'_>) -> Result<()>,
    ) -> Result<()> {
        for path in [&mut self.binary, &mut self.models] {
            // The server wants absolute paths, as the original does.
            *path = absolute(path)?;
        }
        let default = if self.quick { 1.0 } else { seconds };
        measure(&batching::Options {
            binary: &self.binary,
            models: &self.models,
            out: &self.out,
            configurations: &self.configurations,
            time: time(self.seconds.unwrap_or(default))?,
            quick: self.quick,
        })
    }
}

/// One load on several servers.
#[derive(Debug, Args)]
struct Pair {
    #[command(flatten)]
    common: Common,
    /// Another binary, which runs with the same configurations; may be repeated.
    #[arg(long)]
    against: Vec<PathBuf>,
    /// The model: cnn, echo or half_plus_two.
    #[arg(long, default_value = "echo")]
    workload: String,
    #[arg(long, value_enum, default_value = "grpc")]
    over: Over,
    /// Rows of a request.
    #[arg(long, default_value_t = 1)]
    rows: usize,
    #[arg(long, default_value_t = 64)]
    clients: usize,
    /// Requests per second of an open loop; a closed loop where not given.
    #[arg(long)]
    rate: Option<f64>,
    #[arg(long, default_value_t = 5)]
    rounds: usize,
}

impl Pair {
    fn measure(self) -> Result<()> {
        let against: Result<Vec<_>> = self.against.iter().map(|path| absolute(path)).collect();
        let against = against?;
        let ask = Ask {
            over: self.over,
            rows: self.rows,
            clients: self.clients,
            arrivals: self.rate.map_or(Arrivals::Closed, Arrivals::Open),
        };
        self.common.with(1.5, |options| {
            pair::measure(options, &against, &self.workload, ask, self.rounds)
        })
    }
}

fn main() -> Result<()> {
    match Part::parse() {
        Part::Request {
            binary,
            half_plus_two,
            requests,
        } => request::measure(&absolute(&binary)?, &absolute(&half_plus_two)?, requests),
        Part::Grpc {
            binary,
            half_plus_two,
            identity,
            seconds,
        } => rpc::measure(
            &absolute(&binary)?,
            &absolute(&half_plus_two)?,
            &absolute(&identity)?,
            time(seconds)?,
        ),
        Part::Processors {
            binary,
            half_plus_two,
            pass_through,
            hostile,
            seconds,
        } => processors::measure(&processors::Parts {
            binary: &absolute(&binary)?,
            model: &newest(&absolute(&half_plus_two)?)?,
            pass_through: &std::fs::read(pass_through)?,
            hostile: &std::fs::read(hostile)?,
            time: time(seconds)?,
        }),
        Part::Edge(parts) => edge::measure(&parts),
        Part::Limit {
            models,
            workload,
            kernel_threads,
            seconds,
        } => {
            let workload = Workload::find(&models, &workload)?;
            limit::measure(&workload, kernel_threads, time(seconds)?)
        }
        Part::Batching { common, counting } => common.with(3.0, |options| {
            batching::measure(options, counting.as_deref())
        }),
        Part::Pair(pair) => pair.measure(),
        Part::Grid {
            common,
            rate,
            adaptive,
        } => {
            let adaptive = (!adaptive.is_empty()).then(|| Configuration {
                name: "adaptive".to_owned(),
                flags: adaptive.split_whitespace().map(str::to_owned).collect(),
            });
            // More than two hundred cases.
            common.with(2.0, |options| {
                grid::measure(options, adaptive.as_ref(), rate)
            })
        }
        Part::Peers {
            common,
            scripts,
            environments,
            only,
        } => {
            let (scripts, environments) = (absolute(&scripts)?, absolute(&environments)?);
            let places = peer::Places {
                scripts: &scripts,
                environments: &environments,
            };
            common.with(3.0, |options| peers::measure(options, places, &only))
        }
    }
}

fn absolute(path: &Path) -> Result<PathBuf> {
    path.canonicalize()
        .with_context(|| format!("there is no {}", path.display()))
}

fn time(seconds: f64) -> Result<Duration> {
    ensure!(
        (0.1..=600.0).contains(&seconds),
        "{seconds} seconds for each case; expected 0.1 to 600"
    );
    Ok(Duration::from_secs_f64(seconds))
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
