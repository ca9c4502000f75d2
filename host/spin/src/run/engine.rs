//! The engine: compiler, pool of instances, cache of compiled components, clock.
//!
//! **Invariant:** the pool has room for as many instances as there are slots, so its own limits
//! are never met by a request.

use std::path::Path;
use std::sync::Arc;

use tensorgate_edge::Ticker;
use tokio::sync::Semaphore;
use wasmtime::{
    Cache, CacheConfig, Config, Enabled, Engine, InstanceAllocationStrategy, OptLevel,
    PoolingAllocationConfig,
};

use super::{Limits, RunError};

/// Core instances of one component: programs, their adapters and what denies them things.
const CORE_INSTANCES: u32 = 200;

/// Linear memories of one component: a program has one, and each that is composed with it.
const MEMORIES: u32 = 16;

/// Of those, how many the pool has for each slot. All composed apps at once rarely have more.
const MEMORIES_EACH: u32 = 6;

/// Function tables of one component.
const TABLES: u32 = 64;
const TABLES_EACH: u32 = 12;

/// Elements of all tables of a component. Interpreters in Wasm have some ten thousand functions.
pub(super) const TABLE_ELEMENTS: usize = 100_000;

/// Bytes of a slot's memory that stay mapped between requests: page faults are what a fresh
/// instance costs.
const KEEP_RESIDENT: usize = 2 << 20;

/// Stack of compiled code. Deeper recursion than this is a loop that does not end.
const WASM_STACK: usize = 1 << 20;

/// Stack of compiled code and of the host functions that it calls.
const WHOLE_STACK: usize = 3 << 20;

/// What all components of the process share.
pub(super) struct Room {
    pub(super) engine: Engine,
    pub(super) ticker: Ticker,
    pub(super) slots: Arc<Semaphore>,
    /// Places in the line before the slots.
    pub(super) line: Semaphore,
    pub(super) limits: Limits,
}

impl Room {
    /// A room with these limits, which keeps compiled components in `cache`.
    pub(super) fn new(limits: Limits, cache: Option<&Path>) -> Result<Self, RunError> {
        if let Some(problem) = limits.problem() {
            return Err(RunError::new(problem));
        }
        let cache = cache.and_then(open_cache);
        let pooling = InstanceAllocationStrategy::Pooling(pool(&limits));
        let engine = Engine::new(&config(cache.clone(), pooling)).or_else(|error| {
            // Address space is bounded here (`ulimit -v`): everything works, and each instance
            // costs more.
            tracing::warn!(
                error = format!("{error:#}"),
                "no pool of instances: the address space for one cannot be set aside"
            );
            Engine::new(&config(cache, InstanceAllocationStrategy::OnDemand))
        });
        let engine = engine.map_err(|error| because("cannot set up the sandbox", error))?;
        let ticker = Ticker::spawn(limits.tick, {
            let engine = engine.clone();
            move || engine.increment_epoch()
        });
        Ok(Self {
            engine,
            ticker: ticker
                .map_err(|error| RunError::because("cannot start the sandbox's clock", error))?,
            slots: Arc::new(Semaphore::new(limits.instances)),
            line: Semaphore::new(limits.waiting.min(Semaphore::MAX_PERMITS)),
            limits,
        })
    }
}

/// wasmtime's errors, with what was being done.
pub(super) fn because(message: impl Into<String>, error: wasmtime::Error) -> RunError {
    RunError::because(message, error.into_boxed_dyn_error())
}

fn config(cache: Option<Cache>, strategy: InstanceAllocationStrategy) -> Config {
    let mut config = Config::new();
    config
        .cache(cache)
        .cranelift_opt_level(OptLevel::Speed)
        .epoch_interruption(true)
        // WASI 0.2 alone: the bookkeeping for concurrent tasks costs microseconds per call.
        .concurrency_support(false)
        .max_wasm_stack(WASM_STACK)
        .async_stack_size(WHOLE_STACK)
        .allocation_strategy(strategy);
    config
}

fn pool(limits: &Limits) -> PoolingAllocationConfig {
    // `Limits::problem` keeps them far below what would overflow here.
    let slots = u32::try_from(limits.instances).unwrap_or(u32::MAX);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(slots)
        .total_core_instances(slots.saturating_mul(CORE_INSTANCES))
        .max_core_instances_per_component(CORE_INSTANCES)
        .total_memories(slots.saturating_mul(MEMORIES_EACH).max(MEMORIES))
        .max_memories_per_component(MEMORIES)
        .total_tables(slots.saturating_mul(TABLES_EACH).max(TABLES))
        .max_tables_per_component(TABLES)
        .max_tables_per_module(TABLES)
        .table_elements(TABLE_ELEMENTS)
        .total_stacks(slots)
        .max_memory_size(limits.memory)
        .max_component_instance_size(10 << 20)
        .linear_memory_keep_resident(KEEP_RESIDENT)
        .table_keep_resident(512 << 10)
        .pagemap_scan(Enabled::Auto);
    pool
}

/// The cache of compiled components; none when the directory cannot be used.
fn open_cache(directory: &Path) -> Option<Cache> {
    let cache = std::fs::create_dir_all(directory)
        .and_then(|()| std::path::absolute(directory))
        .map_err(wasmtime::Error::from)
        .and_then(|directory| {
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
