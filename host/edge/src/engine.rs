//! The engine: what all components share. Compiler, memory pool, clock, limits, counters.
//!
//! **Invariant:** the pool has room for everything that the slots let in, so its own limits are
//! never met by a request.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use wasmtime::component::Linker;
use wasmtime::{
    Cache, CacheConfig, Config, Enabled, Engine, InstanceAllocationStrategy, OptLevel,
    PoolingAllocationConfig,
};

use crate::prints::Prints;
use crate::slots::Slots;
use crate::state::EdgeState;
use crate::stats::Counters;
use crate::ticker::Ticker;
use crate::{
    EdgeLimits, EdgeStats, EngineError, inference, management, processing, telemetry, transfer,
};

/// Core instances of one component: a program, its adapters, and what is composed with it. They
/// are only counted; none is reserved.
const CORE_INSTANCES: u32 = 64;

/// Linear memories of one component. A program has one; composed components have more. Each
/// reserves its address space in every slot.
const MEMORIES: u32 = 4;

/// Function tables of one component.
const TABLES: u32 = 16;

/// Elements of one table, and of all tables of a component. Interpreters in Wasm have some ten
/// thousand functions.
pub(crate) const TABLE_ELEMENTS: usize = 32 << 10;

/// Stack of compiled code. Deeper recursion than this is a loop that does not end.
const WASM_STACK: usize = 512 << 10;

/// Stack of compiled code and of the host functions that it calls, which are polled on it.
const WHOLE_STACK: usize = 2 << 20;

/// What every request of an engine sees.
pub(crate) struct Shared {
    pub(crate) limits: EdgeLimits,
    pub(crate) counters: Counters,
}

/// Compiles components and holds the room in which they run. One per process is enough: all
/// gateways share its slots. Cloning it gives another handle to the same engine.
#[derive(Clone)]
pub struct EdgeEngine(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) engine: Engine,
    pub(crate) linker: Linker<EdgeState>,
    pub(crate) slots: Slots,
    /// Those of them that requests over REST may have; none when they may have all.
    pub(crate) rest_slots: Option<Slots>,
    pub(crate) ticker: Ticker,
    pub(crate) prints: Prints,
    pub(crate) shared: Arc<Shared>,
}

impl EdgeEngine {
    /// An engine with these limits, which keeps compiled components in `cache`; without a
    /// directory it compiles them at each start.
    ///
    /// A cache that cannot be used is a warning in the log and nothing more.
    ///
    /// # Errors
    /// When the limits make no sense, or ask for more than the machine has.
    pub fn new(limits: EdgeLimits, cache: Option<&Path>) -> Result<Self, EngineError> {
        Self::with(limits, cache, |linker| {
            inference::add_to_linker(linker)?;
            transfer::add_to_linker(linker)?;
            processing::add_to_linker(linker)?;
            management::add_to_linker(linker)?;
            telemetry::add_to_linker(linker)
        })
    }

    /// An engine whose components are given what `link` adds, beside WASI.
    pub(crate) fn with(
        limits: EdgeLimits,
        cache: Option<&Path>,
        link: impl FnOnce(&mut Linker<EdgeState>) -> wasmtime::Result<()>,
    ) -> Result<Self, EngineError> {
        if let Some(problem) = limits.problem() {
            return Err(EngineError::Limits(problem));
        }
        let sandbox = |error: wasmtime::Error| EngineError::Sandbox(format!("{error:#}"));
        let cache = cache.and_then(open_cache);
        let engine = Engine::new(&config(&limits, cache)).map_err(sandbox)?;
        let mut linker = Linker::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker).map_err(sandbox)?;
        link(&mut linker).map_err(sandbox)?;
        let ticker = Ticker::spawn(limits.tick, {
            let engine = engine.clone();
            move || engine.increment_epoch()
        })
        .map_err(EngineError::Ticker)?;
        Ok(Self(Arc::new(Inner {
            engine,
            linker,
            slots: Slots::new(limits.slots, limits.waiting),
            rest_slots: (limits.rest_slots < limits.slots)
                .then(|| Slots::new(limits.rest_slots, limits.waiting)),
            ticker,
            prints: Prints::default(),
            shared: Arc::new(Shared {
                limits,
                counters: Counters::default(),
            }),
        })))
    }

    /// What has happened so far.
    #[must_use]
    pub fn stats(&self) -> EdgeStats {
        self.0.shared.counters.snapshot()
    }

    /// How many requests are in components now, and how many wait to be.
    #[must_use]
    pub fn occupancy(&self) -> (usize, usize) {
        let (running, waiting) = self.0.slots.occupancy();
        let rest = self.0.rest_slots.as_ref();
        (running, waiting + rest.map_or(0, |rest| rest.occupancy().1))
    }

    /// The limits that it was made with.
    #[must_use]
    pub fn limits(&self) -> &EdgeLimits {
        &self.0.shared.limits
    }

    pub(crate) fn inner(&self) -> &Arc<Inner> {
        &self.0
    }
}

impl fmt::Debug for EdgeEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EdgeEngine")
            .field("limits", self.limits())
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

fn config(limits: &EdgeLimits, cache: Option<Cache>) -> Config {
    let mut config = Config::new();
    config
        .cache(cache)
        .cranelift_opt_level(OptLevel::Speed)
        .epoch_interruption(true)
        // Components of this house are called one at a time; the bookkeeping for concurrent
        // tasks costs microseconds per call.
        .concurrency_support(false)
        .max_wasm_stack(WASM_STACK)
        .async_stack_size(WHOLE_STACK)
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool(limits)));
    config
}

fn pool(limits: &EdgeLimits) -> PoolingAllocationConfig {
    // `EdgeLimits::problem` keeps the slots far below what would overflow here.
    let slots = u32::try_from(limits.slots).unwrap_or(u32::MAX);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(slots)
        .total_core_instances(slots.saturating_mul(CORE_INSTANCES))
        .max_core_instances_per_component(CORE_INSTANCES)
        .total_memories(slots.saturating_mul(MEMORIES))
        .max_memories_per_component(MEMORIES)
        .total_tables(slots.saturating_mul(TABLES))
        .max_tables_per_component(TABLES)
        .max_tables_per_module(TABLES)
        .table_elements(TABLE_ELEMENTS)
        .total_stacks(slots)
        .max_memory_size(limits.memory)
        .linear_memory_keep_resident(limits.keep_resident)
        // All of it: giving a table back to the kernel costs more than clearing it.
        .table_keep_resident(TABLE_ELEMENTS * size_of::<usize>())
        // Where the kernel can say which pages were touched, only those are cleared. Most of a
        // program's stack area never is.
        .pagemap_scan(Enabled::Auto);
    pool
}

/// The cache of compiled components; none when the directory cannot be written.
fn open_cache(directory: &Path) -> Option<Cache> {
    let usable = std::fs::create_dir_all(directory)
        .and_then(|()| std::path::absolute(directory))
        .and_then(|directory| {
            // The cache itself would only log, at each start anew, that it cannot write.
            let probe = directory.join(format!(".probe-{}", std::process::id()));
            std::fs::write(&probe, [])?;
            std::fs::remove_file(&probe)?;
            Ok(directory)
        });
    let cache = usable.map_err(wasmtime::Error::from).and_then(|directory| {
        let mut config = CacheConfig::new();
        config.with_directory(directory);
        Cache::new(config)
    });
    cache
        .inspect_err(|error| {
            tracing::warn!(
                directory = %directory.display(),
                error = format!("{error:#}"),
                "components will be compiled at each start: their cache cannot be used"
            );
        })
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cache_that_cannot_be_written_does_not_keep_an_engine_from_starting() {
        let file = std::env::current_exe().expect("this test is a file");
        let engine = EdgeEngine::new(EdgeLimits::default(), Some(&file.join("cache")));
        assert!(engine.is_ok());
    }

    #[test]
    fn refuses_limits_that_make_no_sense() {
        let limits = EdgeLimits {
            slots: 0,
            ..EdgeLimits::default()
        };
        assert!(matches!(
            EdgeEngine::new(limits, None),
            Err(EngineError::Limits(_))
        ));
    }
}
