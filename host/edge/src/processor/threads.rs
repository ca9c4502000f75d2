//! The threads that processors run on: a bounded number, which give way to all others.
//!
//! A component that computes for seconds holds one of these threads between two ticks, and never
//! one that serves sockets; and where the CPUs are busy, the system gives these threads the rest.
//!
//! **Cancellation:** work that nobody waits for any more is dropped at its next tick.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::{EngineError, Work};

#[derive(Debug)]
pub(super) struct Threads {
    /// None once it has been shut down, which happens when it is dropped.
    runtime: Option<Runtime>,
}

impl Threads {
    pub(super) fn spawn(threads: usize, nice: u8) -> Result<Self, EngineError> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(threads.max(1))
            .thread_name("tensorgate-proc")
            .on_thread_start(move || give_way(nice))
            .enable_time()
            .enable_io()
            .build()
            .map_err(EngineError::Threads)?;
        Ok(Self {
            runtime: Some(runtime),
        })
    }

    /// Does `work` on one of the threads, wrapped up by `wrap` for the way there. None once they
    /// have stopped.
    pub(super) fn run<T, F>(&self, work: F, wrap: impl FnOnce(Work) -> Work) -> Option<Task<T>>
    where
        F: Future<Output = T> + Send + 'static,
        T: Send + 'static,
    {
        let runtime = self.runtime.as_ref()?;
        let (work, result) = parcel(work, wrap);
        Some(Task {
            work: runtime.spawn(work),
            result,
        })
    }
}

/// Begins `work` beside what goes on here, wrapped up by `wrap` for the way.
pub(crate) fn task<T, F>(work: F, wrap: impl FnOnce(Work) -> Work) -> Task<T>
where
    F: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    let (work, result) = parcel(work, wrap);
    Task {
        work: tokio::spawn(work),
        result,
    }
}

fn parcel<T, F>(work: F, wrap: impl FnOnce(Work) -> Work) -> (Work, oneshot::Receiver<T>)
where
    F: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    let (sender, result) = oneshot::channel();
    let work = wrap(Box::pin(async move {
        // Nobody waits any more where this fails.
        let _ = sender.send(work.await);
    }));
    (work, result)
}

impl Drop for Threads {
    fn drop(&mut self) {
        // The last handle may go on any thread, also on one that must not wait.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Tells the system that the others come first. Where it does not let us, they do not.
fn give_way(nice: u8) {
    let nice = i32::from(nice.min(19));
    // Linux counts it for each thread; the number of a thread is as good as one of a process.
    let thread = rustix::thread::gettid();
    if let Err(error) = rustix::process::setpriority_process(Some(thread), nice) {
        tracing::debug!("threads of processors cannot give way: {error}");
    }
}

/// Work whose end somebody waits for. Dropping this ends it.
pub(crate) struct Task<T> {
    work: JoinHandle<()>,
    result: oneshot::Receiver<T>,
}

impl<T> Future for Task<T> {
    /// None when the work was ended: by a panic in this crate, or by a runtime that shuts down.
    type Output = Option<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        Pin::new(&mut self.result).poll(context).map(Result::ok)
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.work.abort();
    }
}
