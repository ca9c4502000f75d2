//! What a [`RunPool`](crate::RunPool) has done and is doing, for metrics.
//!
//! Counters are written by callers and run threads without an order between them: each is right
//! by itself, sums of several are not exact while requests are under way.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// A look at a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RunPoolStats {
    /// Threads there are.
    pub threads: usize,
    /// Runs that wait for a thread.
    pub queued: usize,
    /// Threads that run a model now.
    pub running: usize,
    /// Of these, threads that run for a caller who was told that the time is up.
    pub overdue: usize,
    /// Runs that came to an end, whatever the end.
    pub finished: u64,
    /// Runs refused because the queue was full.
    pub refused_queue_full: u64,
    /// Runs refused because every thread was overdue.
    pub refused_overdue: u64,
    /// Callers who were told that the time is up, in the queue or during the run.
    pub expired: u64,
    /// Runs that were never started, because the caller had gone or the time was up.
    pub skipped: u64,
    /// Runs that panicked.
    pub panicked: u64,
}

/// The counters behind [`RunPoolStats`].
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// Signed: a thread may count off a run an instant before its caller has counted it on.
    pub(crate) overdue: AtomicI64,
    pub(crate) finished: AtomicU64,
    pub(crate) refused_queue_full: AtomicU64,
    pub(crate) refused_overdue: AtomicU64,
    pub(crate) expired: AtomicU64,
    pub(crate) skipped: AtomicU64,
    pub(crate) panicked: AtomicU64,
}

impl Counters {
    pub(crate) fn overdue(&self) -> usize {
        usize::try_from(self.overdue.load(Ordering::Relaxed)).unwrap_or(0)
    }

    pub(crate) fn read(&self, threads: usize, queued: usize, running: usize) -> RunPoolStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        RunPoolStats {
            threads,
            queued,
            running,
            overdue: self.overdue(),
            finished: read(&self.finished),
            refused_queue_full: read(&self.refused_queue_full),
            refused_overdue: read(&self.refused_overdue),
            expired: read(&self.expired),
            skipped: read(&self.skipped),
            panicked: read(&self.panicked),
        }
    }
}

/// Adds one.
pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
