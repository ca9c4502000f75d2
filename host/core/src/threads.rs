//! The manager's own threads: some load servables, some drop them.
//!
//! Both do work that blocks for seconds, which no thread of the async runtime may. Load threads
//! take one job at a time from a queue that never holds more than there are threads, because the
//! manager gives out a job only to a thread that is free. Unload threads take servables that
//! nobody holds any more.
//!
//! **Ordering:** of one version, `Quiesced` is told before its servable is dropped, `Dropped`
//! afterwards.
//! **Cancellation:** none; a load that has begun ends. Load threads end with the manager, unload
//! threads when the last servable is gone.
//! **Invariant:** a panic in a load or in a drop ends neither the thread nor the process.

use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;

use tensorgate_types::{Error, ServableId};
use tokio::sync::mpsc as events;

use crate::handle::{Corpse, Instance};
use crate::loader::ServableFactory;

/// What the threads tell the manager.
pub(crate) enum Report<S> {
    /// An attempt to load has ended.
    LoadEnded {
        id: ServableId,
        /// Of the attempt, as in its job.
        serial: u64,
        result: Result<Arc<Instance<S>>, Error>,
    },
    /// The last handle is gone.
    Quiesced(ServableId),
    /// The servable is dropped.
    Dropped(ServableId),
    /// A servable whose place another one has taken is dropped.
    ReplacedDropped(ServableId),
}

/// One attempt to load.
#[derive(Debug)]
pub(crate) struct LoadJob {
    pub(crate) id: ServableId,
    pub(crate) path: PathBuf,
    /// Tells the attempts of one version apart.
    pub(crate) serial: u64,
}

/// Starts the load threads. They end when the returned sender is dropped.
pub(crate) fn spawn_loaders<F: ServableFactory>(
    count: usize,
    factory: F,
    reports: &events::Sender<Report<F::Servable>>,
    graveyard: &mpsc::Sender<Corpse<F::Servable>>,
) -> io::Result<mpsc::SyncSender<LoadJob>> {
    let (jobs, queue) = mpsc::sync_channel(count);
    let factory = Arc::new(factory);
    let (reports, graveyard) = (reports.clone(), graveyard.clone());
    spawn("tg-load", count, queue, move |job| {
        let LoadJob { id, path, serial } = job;
        let result = load(factory.as_ref(), &id, &path)
            .map(|servable| Arc::new(Instance::new(id.clone(), servable, graveyard.clone())));
        // Without a manager the servable goes where it would have gone in the end.
        let _ = reports.blocking_send(Report::LoadEnded { id, serial, result });
    })?;
    Ok(jobs)
}

/// Starts the unload threads. They end when every sender, and so every instance, is gone.
pub(crate) fn spawn_unloaders<S: Send + Sync + 'static>(
    count: usize,
    reports: &events::Sender<Report<S>>,
) -> io::Result<mpsc::Sender<Corpse<S>>> {
    let (graveyard, corpses) = mpsc::channel();
    let reports = reports.clone();
    spawn("tg-unload", count, corpses, move |corpse| {
        let Corpse {
            id,
            servable,
            is_replaced,
        } = corpse;
        if !is_replaced {
            let _ = reports.blocking_send(Report::Quiesced(id.clone()));
        }
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(servable))) {
            tracing::error!(
                "unloading servable version {id} panicked: {}",
                panic_message(panic.as_ref())
            );
        }
        let _ = reports.blocking_send(if is_replaced {
            Report::ReplacedDropped(id)
        } else {
            Report::Dropped(id)
        });
    })?;
    Ok(graveyard)
}

fn load<F: ServableFactory>(
    factory: &F,
    id: &ServableId,
    path: &std::path::Path,
) -> Result<F::Servable, Error> {
    catch_unwind(AssertUnwindSafe(|| factory.load(id, path))).unwrap_or_else(|panic| {
        Err(Error::internal(format!(
            "loading servable version {id} panicked: {}",
            panic_message(panic.as_ref())
        )))
    })
}

/// Starts threads that share one queue of work.
fn spawn<Job: Send + 'static>(
    name: &str,
    count: usize,
    queue: mpsc::Receiver<Job>,
    work: impl Fn(Job) + Clone + Send + 'static,
) -> io::Result<()> {
    let queue = Arc::new(Mutex::new(queue));
    for index in 0..count {
        let (queue, work) = (Arc::clone(&queue), work.clone());
        thread::Builder::new()
            .name(format!("{name}-{index}"))
            .spawn(move || {
                // Whoever holds the lock waits for the next job; the others wait for the lock.
                // It is never held while working, and so never poisoned.
                let next = || {
                    let queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
                    queue.recv().ok()
                };
                while let Some(job) = next() {
                    work(job);
                }
            })?;
    }
    Ok(())
}

fn panic_message(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}
