//! What the belt has done, for metrics.
//!
//! Counters are written by callers and threads without an order between them: each is right by
//! itself.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tensorgate_types::Counter;

/// A look at a belt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BeltStats {
    /// Threads there are.
    pub threads: usize,
    /// Threads that run a batch now.
    pub running: usize,
    /// Of these, threads whose riders' time is up, every one's.
    pub overdue: usize,
    /// Requests that wait.
    pub queued: usize,
    /// Batches run, of one request or of many.
    pub batches: u64,
    /// Requests that rode in them.
    pub riders: u64,
    /// Runs made again with fewer members, because a batch had failed.
    pub retries: u64,
    /// Requests refused because their queue was full.
    pub refused_queue_full: u64,
    /// Requests refused because every thread was overdue.
    pub refused_overdue: u64,
    /// Requests that lost their place to one of a higher priority.
    pub shed: u64,
    /// Requests that could not be answered in time and never rode.
    pub expired: u64,
    /// Requests whose callers had gone and that never rode.
    pub abandoned: u64,
    /// Bytes copied to join inputs, pad them, and join the outputs of requests that were split.
    pub bytes_copied: u64,
}

/// What one run of a batch was.
#[derive(Debug, Clone, Copy)]
pub struct BatchRun<'a> {
    /// The model's name.
    pub model: &'a str,
    /// Its version.
    pub version: i64,
    /// Requests in it.
    pub riders: usize,
    /// Their rows.
    pub rows: usize,
    /// Rows that were run: padding included.
    pub processed: usize,
    /// Inputs of the signature.
    pub inputs: usize,
    /// Whether it was batched at all: not a request that cannot be.
    pub batched: bool,
    /// How long the run took.
    pub took: Duration,
    /// How long each rider had waited.
    pub waited: &'a [Duration],
}

/// Gets to know of every run; called on the run threads, so it must be quick.
pub trait Observer: Send + Sync + 'static {
    /// A batch was run.
    fn ran(&self, run: &BatchRun<'_>);
}

/// Nobody watches.
impl Observer for () {
    fn ran(&self, _run: &BatchRun<'_>) {}
}

#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) batches: AtomicU64,
    pub(crate) riders: AtomicU64,
    pub(crate) retries: AtomicU64,
    pub(crate) refused_queue_full: AtomicU64,
    pub(crate) refused_overdue: AtomicU64,
    pub(crate) shed: AtomicU64,
    pub(crate) expired: AtomicU64,
    pub(crate) abandoned: AtomicU64,
    pub(crate) bytes_copied: Counter,
}

impl Counters {
    pub(crate) fn read(&self) -> BeltStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        BeltStats {
            batches: read(&self.batches),
            riders: read(&self.riders),
            retries: read(&self.retries),
            refused_queue_full: read(&self.refused_queue_full),
            refused_overdue: read(&self.refused_overdue),
            shed: read(&self.shed),
            expired: read(&self.expired),
            abandoned: read(&self.abandoned),
            bytes_copied: self.bytes_copied.get(),
            ..BeltStats::default()
        }
    }
}

impl fmt::Debug for Counters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.read().fmt(f)
    }
}

/// Adds to a counter.
pub(crate) fn add(counter: &AtomicU64, more: usize) {
    counter.fetch_add(more as u64, Ordering::Relaxed);
}
