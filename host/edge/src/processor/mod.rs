//! Processors: what a team gives to its model, as a component of the world `model-processor`
//! (`wit/processor.wit`).
//!
//! ```text
//! request  -> Pipeline::begin -> slot, store, instance
//!             preprocess  -> step: run the model, or an answer
//! the model's outputs (run by whoever asked, on the way of every run)
//!             postprocess -> answer
//! ```
//!
//! [`Processors`] is the engine: memory, threads and a clock of its own, so that nothing that a
//! processor does takes a slot or a thread from the requests of other models. A [`Component`] is
//! one file, compiled, with its rights. A [`Processor`] is a component that has described itself
//! for one version of a model.
//!
//! **Invariant:** a processor is somebody else's program. What it says is checked, what it uses is
//! bounded, and what it breaks is its own request.

mod component;
mod convert;
mod grants;
mod pipeline;
mod runs;
mod threads;
mod usage;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

pub use component::{Component, Processor, Rights, Survey};
pub use usage::{ProcessorStats, Usage};

pub(crate) use pipeline::{Answer, Context, Payload, Pipeline, Step};
pub(crate) use runs::Mirrors;
pub(crate) use threads::{Task, task};

use crate::engine::EdgeEngine;
use crate::{EdgeLimits, EngineError, inference, nn};
use threads::Threads;
use usage::Ledger;

const MIB: usize = 1 << 20;

/// What all processors share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessorOptions {
    /// Threads that they run on. Default: as many as there are CPUs.
    pub threads: usize,
    /// How much less than others these threads get of a busy CPU, as `nice` counts it: 0 to 19.
    /// Default 10, which is a tenth of what a usual thread gets.
    pub nice: u8,
    /// Requests that may be inside processors at the same time, all models together. Default 128.
    pub slots: usize,
    /// The most memory that any of them may be given, in bytes. Default 1 GiB.
    pub memory: usize,
}

impl Default for ProcessorOptions {
    fn default() -> Self {
        Self {
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            nice: 10,
            slots: 128,
            memory: 1024 * MIB,
        }
    }
}

/// Compiles processors and holds the room in which they run. Clones share it.
#[derive(Debug, Clone)]
pub struct Processors {
    engine: EdgeEngine,
    threads: Arc<Threads>,
    usage: Arc<Ledger>,
}

impl Processors {
    /// Sets the room up; compiled components are kept in `cache`.
    ///
    /// # Errors
    /// When the options make no sense, or ask for more than the machine has.
    pub fn new(options: &ProcessorOptions, cache: Option<&Path>) -> Result<Self, EngineError> {
        let limits = EdgeLimits {
            slots: options.slots,
            memory: options.memory,
            // A picture and its tensor fit; the price of a fresh instance is page faults, and what
            // is kept mapped has none.
            keep_resident: 16 * MIB,
            tick: Duration::from_millis(1),
            ..EdgeLimits::default()
        };
        let engine = EdgeEngine::with(limits, cache, |linker| {
            inference::add_to_linker(linker)?;
            runs::add_to_linker(linker)?;
            nn::add_to_linker(linker)
        })?;
        let threads = Threads::spawn(options.threads, options.nice)?;
        Ok(Self {
            engine,
            threads: Arc::new(threads),
            usage: Arc::default(),
        })
    }

    /// What the processors of each model have used so far.
    #[must_use]
    pub fn stats(&self) -> Vec<(String, ProcessorStats)> {
        self.usage.snapshot()
    }

    /// How many requests are in processors now, and how many wait to be.
    #[must_use]
    pub fn occupancy(&self) -> (usize, usize) {
        self.engine.occupancy()
    }
}
