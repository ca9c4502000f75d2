//! The house's models for components that run in a sandbox elsewhere in this process: the WIT
//! interfaces `inference`, `runs`, `processor`, and `models` of `tensorgate:edge`, over any store
//! that has a [`Native`].
//!
//! ```text
//! a store of another crate -> NativeView -> inference, runs, edge -> Models, OpenModel
//!                                                            \----> a version's own processor
//! ```
//!
//! What clients of this house's own doors see of a model, these components see too: signatures
//! that a version's processor covers are the processor's, and runs of them go through it.
//!
//! **Invariant:** a component is believed nothing here either: what it hands over is checked as
//! in this crate's own sandbox, and what it may hold is bounded by [`NativeLimits`].

mod edge;
mod inference;
mod processor;
mod read;
mod run;
mod runs;

use std::fmt;
use std::sync::Arc;

use tensorgate_types::{Deadline, Error, Result};
use tokio::sync::Semaphore;
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, ResourceTable};

use crate::contract::ErrorOut;
use crate::lower::error_out;
use crate::stats::Counters;
use crate::{EdgeStats, Models};

/// A function's answer: a WIT `result` alone.
type Answer<T> = (Result<T, ErrorOut>,);

type Store<'a, T> = StoreContextMut<'a, T>;

/// What one request may have of the house at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NativeLimits {
    /// Models that it holds open: a version that is held cannot be unloaded. Default 16.
    pub open_models: usize,
    /// Runs that it has begun and not waited for. Default 16.
    pub begun: usize,
    /// Bytes of the inputs of such runs. Default 256 MiB.
    pub begun_bytes: usize,
    /// Mirrored runs that are under way, of all requests together. Default 16.
    pub mirrored: usize,
}

impl Default for NativeLimits {
    fn default() -> Self {
        Self {
            open_models: 16,
            begun: 16,
            begun_bytes: 256 << 20,
            mirrored: 16,
        }
    }
}

/// The house, as components elsewhere may call it. Clones share it.
#[derive(Clone)]
pub struct NativeModels(Arc<Inner>);

struct Inner {
    models: Arc<dyn Models>,
    limits: NativeLimits,
    mirrors: Arc<Semaphore>,
    counters: Counters,
}

impl NativeModels {
    /// These models, with these limits for each request.
    #[must_use]
    pub fn new(models: Arc<dyn Models>, limits: NativeLimits) -> Self {
        let mirrors = limits.mirrored.min(Semaphore::MAX_PERMITS);
        Self(Arc::new(Inner {
            models,
            mirrors: Arc::new(Semaphore::new(mirrors)),
            limits,
            counters: Counters::default(),
        }))
    }

    /// What one request has of them, until the deadline.
    #[must_use]
    pub fn for_request(&self, deadline: Deadline) -> Native {
        Native {
            house: self.clone(),
            deadline,
            held_models: 0,
            begun: 0,
            begun_bytes: 0,
        }
    }

    /// What has happened so far; counts of this crate's own sandbox stay 0.
    #[must_use]
    pub fn stats(&self) -> EdgeStats {
        self.0.counters.snapshot()
    }
}

impl fmt::Debug for NativeModels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NativeModels")
            .field("limits", &self.0.limits)
            .finish_non_exhaustive()
    }
}

/// What one request has of the house's models.
#[derive(Debug)]
pub struct Native {
    house: NativeModels,
    deadline: Deadline,
    held_models: usize,
    begun: usize,
    begun_bytes: usize,
}

impl Native {
    fn models(&self) -> &Arc<dyn Models> {
        &self.house.0.models
    }

    fn counters(&self) -> &Counters {
        &self.house.0.counters
    }

    fn limits(&self) -> &NativeLimits {
        &self.house.0.limits
    }

    /// Tells the component what it did wrong, and counts it.
    fn refuse<T>(&self, error: &Error) -> Result<T, ErrorOut> {
        self.counters().refused_calls.increment();
        Err(error_out(error))
    }
}

/// Where a store has its part of the house.
pub trait NativeView: Send + 'static {
    /// It, and the table that its handles are kept in.
    fn native(&self) -> (&Native, &ResourceTable);

    /// The same, to be changed.
    fn native_mut(&mut self) -> (&mut Native, &mut ResourceTable);
}

/// Gives components the interfaces `inference` and `runs` of `tensorgate:serving`, and `models` of
/// `tensorgate:edge`.
///
/// # Errors
/// When the linker has one of them already.
pub fn link_models<T: NativeView>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    inference::add_to_linker(linker)?;
    runs::add_to_linker(linker)?;
    edge::add_to_linker(linker)
}

/// Gives components the interface `processor` of `tensorgate:serving`, of a processor that covers
/// nothing.
///
/// # Errors
/// When the linker has it already.
pub fn link_no_processor<T: Send + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    processor::add_to_linker(linker)
}

/// Waits for something outside, until the request's deadline.
async fn wait_for<T: NativeView, R>(
    store: &mut Store<'_, T>,
    work: impl Future<Output = Result<R>>,
) -> Result<R> {
    let deadline = store.data().native().0.deadline;
    let result = match deadline.instant() {
        None => work.await,
        Some(at) => tokio::time::timeout_at(at.into(), work)
            .await
            .unwrap_or_else(|_| Err(Error::deadline_exceeded())),
    };
    // Meanwhile the epoch moved on; without this the component would be interrupted at its first
    // step, for time that it did not use.
    store.set_epoch_deadline(1);
    result
}
