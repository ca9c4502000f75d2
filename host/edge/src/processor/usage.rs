//! What processors use: counters for metrics, and the bill of one request.
//!
//! **Ordering:** relaxed throughout; each counter is right by itself.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tensorgate_types::Counter;

/// What one request used of a processor.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// From asking for a place in it to having its answer, the model's run not counted.
    pub took: Duration,
    /// Its own time: computing, or asleep by its own choice.
    pub own: Duration,
    /// Its linear memory at the end, in bytes: memory does not shrink, so this is the most.
    pub memory: u64,
}

/// What a processor has used so far. All but `peak_memory` only ever rise.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProcessorStats {
    /// Requests that it was given.
    pub requests: u64,
    /// Requests that it answered with an error of its own.
    pub refused: u64,
    /// Requests that it failed: a trap, a limit, an answer that does not fit.
    pub failed: u64,
    /// Requests that found no place in it.
    pub turned_away: u64,
    /// Its own time, in nanoseconds.
    pub nanos: u64,
    /// Bytes that were copied into it.
    pub bytes_in: u64,
    /// Bytes that were copied out of it.
    pub bytes_out: u64,
    /// The most linear memory that one request had, in bytes.
    pub peak_memory: u64,
    /// Runs of models that it began for nobody.
    pub mirrored: u64,
    /// Those of them that failed.
    pub mirrors_failed: u64,
    /// Such runs that it was refused, since too many were under way.
    pub mirrors_shed: u64,
}

/// The counters of all models that ever had a processor. They outlive their processors: a counter
/// never falls.
#[derive(Debug, Default)]
pub(super) struct Ledger(Mutex<BTreeMap<String, Arc<Counters>>>);

impl Ledger {
    /// Those of a model.
    pub(super) fn of(&self, model: &str) -> Arc<Counters> {
        let mut models = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(models.entry(model.to_owned()).or_default())
    }

    pub(super) fn snapshot(&self) -> Vec<(String, ProcessorStats)> {
        let models = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let all = models.iter();
        all.map(|(model, counters)| (model.clone(), counters.snapshot()))
            .collect()
    }
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) requests: Counter,
    pub(super) refused: Counter,
    pub(super) failed: Counter,
    pub(super) turned_away: Counter,
    pub(super) nanos: Counter,
    pub(super) bytes_in: Counter,
    pub(super) bytes_out: Counter,
    pub(super) mirrored: Counter,
    pub(super) mirrors_failed: Counter,
    pub(super) mirrors_shed: Counter,
    peak_memory: AtomicU64,
}

impl Counters {
    pub(super) fn saw_memory(&self, bytes: u64) {
        self.peak_memory.fetch_max(bytes, Relaxed);
    }

    pub(super) fn snapshot(&self) -> ProcessorStats {
        ProcessorStats {
            requests: self.requests.get(),
            refused: self.refused.get(),
            failed: self.failed.get(),
            turned_away: self.turned_away.get(),
            nanos: self.nanos.get(),
            bytes_in: self.bytes_in.get(),
            bytes_out: self.bytes_out.get(),
            peak_memory: self.peak_memory.load(Relaxed),
            mirrored: self.mirrored.get(),
            mirrors_failed: self.mirrors_failed.get(),
            mirrors_shed: self.mirrors_shed.get(),
        }
    }
}
