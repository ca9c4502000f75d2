//! What the belt knows of one loaded version: how it is batched, which of its signatures can be,
//! and how long its runs take.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tensorgate_engine::Call;
use tensorgate_types::{InputView, Place, ServableId, Signature, Signatures, TensorInfo};

use crate::options::LaneOptions;
use crate::pace::Pace;
use crate::slabs::Slabs;
use crate::tuner::{Ridden, Setting, Tuner};

/// Signatures with outputs that turned out to have no rows, at most so many.
const MOST_LEARNT: usize = 1024;

/// One loaded version, as the belt sees it. Made when the version is loaded and kept beside it:
/// two loads of one version have two lanes.
pub struct Lane {
    number: u64,
    id: ServableId,
    options: LaneOptions,
    /// Signatures that can be batched, as far as they say, each with the outputs that cannot.
    batchable: HashMap<String, Vec<String>>,
    /// Whether `alone` has anything in it.
    has_learnt: AtomicBool,
    /// Signatures and outputs that turned out to have no rows.
    alone: Mutex<HashSet<(String, Vec<String>)>>,
    seen: Mutex<Seen>,
    /// Where rows wait. Nothing else is locked under this lock.
    slabs: Mutex<Slabs>,
    /// Batches that were cut.
    cuts: AtomicU64,
}

struct Seen {
    pace: Pace,
    tuner: Option<Tuner>,
}

impl Lane {
    /// A lane for a version with these signatures.
    #[must_use]
    pub fn new(id: ServableId, signatures: &Signatures, options: LaneOptions) -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let tuner = options
            .adaptive
            .map(|adaptive| Tuner::new(adaptive, &options));
        let batchable = signatures
            .iter()
            .filter(|(_, signature)| takes_rows(signature))
            .map(|(name, signature)| (name.clone(), without_rows(signature)))
            .collect();
        Self {
            number: NUMBER.fetch_add(1, Ordering::Relaxed),
            id,
            options,
            batchable,
            has_learnt: AtomicBool::new(false),
            alone: Mutex::default(),
            seen: Mutex::new(Seen {
                pace: Pace::default(),
                tuner,
            }),
            slabs: Mutex::default(),
            cuts: AtomicU64::new(0),
        }
    }

    /// Places for the elements of these inputs of a call, one for each: where they can be batched,
    /// beside those of others who ask. They are to be filled and sent on their way at once.
    #[must_use]
    pub fn places(&self, signature: &str, inputs: &[InputView<'_>]) -> Vec<Place> {
        // Rows that are padded have to be copied in any case, and who rides alone needs no
        // neighbours.
        let rides = self.batchable.contains_key(signature);
        let rows = match self.options.execution_batch_size() {
            0 | 1 => 0,
            _ if !rides || self.options.pad_variable_length_inputs => 0,
            rows => rows,
        };
        let cuts = self.cuts.load(Ordering::Relaxed);
        lock(&self.slabs).places(signature, inputs, rows, cuts)
    }

    /// A batch was cut: who asks for a place now rides in another.
    pub(crate) fn note_cut(&self) {
        self.cuts.fetch_add(1, Ordering::Relaxed);
    }

    /// There is nothing to do: memory for rows that may never come is given back.
    pub(crate) fn rest(&self) {
        drop(std::mem::take(&mut *lock(&self.slabs)));
    }

    /// Which version this is.
    #[must_use]
    pub fn id(&self) -> &ServableId {
        &self.id
    }

    /// How it is batched.
    #[must_use]
    pub fn options(&self) -> &LaneOptions {
        &self.options
    }

    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Whether a sorted call can ride, as far as is known.
    pub(crate) fn can_ride(&self, call: &Call) -> bool {
        let Some(without_rows) = self.batchable.get(&call.signature) else {
            return false;
        };
        let wanted = |output: &String| call.outputs.is_empty() || call.outputs.contains(output);
        if without_rows.iter().any(wanted) {
            return false;
        }
        !self.has_learnt.load(Ordering::Acquire)
            || !lock(&self.alone).contains(&(call.signature.clone(), call.outputs.clone()))
    }

    /// An output of this call has no row per input: from now on such calls are run alone.
    pub(crate) fn learn_alone(&self, call: &Call) {
        let mut alone = lock(&self.alone);
        if alone.len() < MOST_LEARNT {
            alone.insert((call.signature.clone(), call.outputs.clone()));
            self.has_learnt.store(true, Ordering::Release);
        }
    }

    /// What rules batches now.
    pub(crate) fn setting(&self, threads: usize) -> Setting {
        match &lock(&self.seen).tuner {
            Some(tuner) => tuner.setting(threads),
            None => Setting {
                size: self.options.execution_batch_size(),
                enough: self.options.execution_batch_size(),
                wait: self.options.batch_timeout,
                parallel: threads,
            },
        }
    }

    /// A batch was run: what rules batches from now on.
    pub(crate) fn record(&self, now: Instant, ridden: &Ridden, threads: usize) -> Option<Setting> {
        let mut seen = lock(&self.seen);
        seen.pace.record(now, ridden.rows, ridden.took);
        let tuner = seen.tuner.as_mut()?;
        tuner.record(now, ridden, threads);
        Some(tuner.setting(threads))
    }

    /// The shortest time in which `rows` rows can be hoped for.
    pub(crate) fn at_best(&self, now: Instant, rows: usize) -> Option<Duration> {
        lock(&self.seen).pace.at_best(now, rows)
    }

    /// What a run of so many rows took lately.
    pub(crate) fn expects(&self, rows: usize) -> Option<Duration> {
        lock(&self.seen).pace.of(rows)
    }
}

/// Whether all inputs have rows, as far as the signature says, and there is one.
fn takes_rows(signature: &Signature) -> bool {
    !signature.inputs.is_empty() && signature.inputs.values().all(may_have_rows)
}

/// The outputs that have none.
fn without_rows(signature: &Signature) -> Vec<String> {
    let outputs = signature.outputs.iter();
    outputs
        .filter(|(_, info)| !may_have_rows(info))
        .map(|(name, _)| name.clone())
        .collect()
}

/// A first dimension that is open. Where not even the rank is known, it shows when it is run.
fn may_have_rows(info: &TensorInfo) -> bool {
    info.shape
        .as_ref()
        .is_none_or(|shape| shape.first() == Some(&-1))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lane")
            .field("id", &self.id)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
