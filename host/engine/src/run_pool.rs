//! Threads that run models.
//!
//! A session run blocks its thread and cannot be cancelled, so it must not happen on a thread
//! that serves sockets, and there must not be more of them at once than the machine is good for.
//! Callers hand a run over and wait for the answer or for their deadline, whichever is first.
//!
//! **Ordering:** runs start in the order in which they were asked for; they may end in any.
//!
//! **Cancellation:** a caller that goes away, or whose time is up, while its run waits: the run
//! is never started. While it runs: the run goes on to its end and its outputs are thrown away.
//! The model's handle lives until then, on the run thread.
//!
//! **Invariant:** what waits is bounded, and what runs is bounded.

use std::fmt;
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};

use tensorgate_types::{Deadline, Error, Result};
use tokio::sync::oneshot;

use crate::guard::run_guarded;
use crate::queue::{Queue, Waiting};
use crate::stage::Stage;
use crate::stats::{Counters, RunPoolStats, count};
use crate::{NamedTensors, Predictor, RunRequest};

/// How large a [`RunPool`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunPoolOptions {
    /// Runs at once; at least 1. Each is one thread. Kernels use TensorFlow's own threads beside,
    /// so about as many as there are cores is right for small models.
    pub threads: usize,
    /// Runs that may wait for a thread. One more is refused: whoever comes then would wait longer
    /// than it takes to ask another server.
    pub queue: usize,
}

impl Default for RunPoolOptions {
    fn default() -> Self {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        Self {
            // More than cores: a run that waits for a lock or a device leaves its core to another.
            threads: (2 * cores).max(4),
            queue: 1024,
        }
    }
}

/// A fixed number of threads, `tg-run-0` and so on, with a bounded queue in front.
pub struct RunPool {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    queue: Queue<Box<dyn Job>>,
    counters: Counters,
    threads: usize,
}

impl RunPool {
    /// Starts the threads.
    ///
    /// # Errors
    /// When the system gives no more threads; those that were started are ended again.
    pub fn new(options: RunPoolOptions) -> std::io::Result<Self> {
        let threads = options.threads.max(1);
        let mut pool = Self {
            shared: Arc::new(Shared {
                queue: Queue::new(options.queue, threads),
                counters: Counters::default(),
                threads,
            }),
            threads: Vec::with_capacity(threads),
        };
        for number in 0..threads {
            let shared = Arc::clone(&pool.shared);
            let thread = thread::Builder::new()
                .name(format!("tg-run-{number}"))
                .spawn(move || work(&shared, number))?;
            pool.threads.push(thread);
        }
        Ok(pool)
    }

    /// Runs `model` once on one of the threads.
    ///
    /// `model` is a counted handle. It is dropped on the run thread when the run has ended, so a
    /// model is never unloaded under a run, also when the caller has long been answered.
    ///
    /// # Errors
    /// `DEADLINE_EXCEEDED` at the request's deadline; `UNAVAILABLE` when too many wait, or when
    /// every thread is busy for callers whose time is up; `INTERNAL` when the model panics;
    /// whatever the model says.
    pub async fn run<H>(&self, model: H, request: RunRequest) -> Result<Vec<NamedTensors>>
    where
        H: Deref<Target: Predictor> + Send + 'static,
    {
        let deadline = request.deadline;
        let counters = &self.shared.counters;
        if deadline.has_passed() {
            count(&counters.expired);
            return Err(Error::deadline_exceeded());
        }
        self.refuse_when_stuck()?;
        let (reply, answer) = oneshot::channel();
        let stage = Arc::new(Stage::waiting());
        // Before the push: from there on, whoever drops this future must be seen to have left.
        let caller = Caller {
            stage: Arc::clone(&stage),
            counters,
            deadline,
            gone: true,
        };
        self.push(Box::new(Run {
            model,
            request,
            reply,
            stage,
        }))?;
        caller.wait(answer).await
    }

    /// What the pool has done and is doing.
    #[must_use]
    pub fn stats(&self) -> RunPoolStats {
        let (queued, running) = self.shared.queue.lengths();
        self.shared
            .counters
            .read(self.shared.threads, queued, running)
    }

    /// How many threads run for callers who were told that their time is up.
    #[must_use]
    pub fn overdue(&self) -> usize {
        self.shared.counters.overdue()
    }

    fn refuse_when_stuck(&self) -> Result<()> {
        let Shared {
            counters, threads, ..
        } = &*self.shared;
        if counters.overdue() < *threads {
            return Ok(());
        }
        count(&counters.refused_overdue);
        Err(Error::unavailable(format!(
            "all {threads} run threads are busy with runs that are past their deadline; try again \
             later"
        )))
    }

    fn push(&self, job: Box<dyn Job>) -> Result<()> {
        let Shared {
            queue,
            counters,
            threads,
        } = &*self.shared;
        let pushed = queue.push(job);
        counters
            .skipped
            .fetch_add(pushed.thrown_out.len() as u64, Ordering::Relaxed);
        if pushed.taken {
            return Ok(());
        }
        count(&counters.refused_queue_full);
        Err(Error::unavailable(format!(
            "the run queue is full: {} runs wait for {threads} threads; try again later",
            queue.lengths().0
        )))
    }
}

/// Ends the idle threads and waits for them. A thread in the middle of a run cannot be stopped: it
/// ends after that run, and nobody waits for it. No caller is left by then: each borrows the pool.
impl Drop for RunPool {
    fn drop(&mut self) {
        let (waiting, busy) = self.shared.queue.close();
        drop(waiting);
        for (thread, busy) in self.threads.drain(..).zip(busy) {
            if !busy {
                // An error is a panic that was printed when it happened.
                let _ended = thread.join();
            }
        }
    }
}

impl fmt::Debug for RunPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RunPool").field(&self.stats()).finish()
    }
}

// --- The caller's side ---

/// The caller of one run, from the push to the answer. Dropped early, it has gone.
struct Caller<'a> {
    stage: Arc<Stage>,
    counters: &'a Counters,
    deadline: Deadline,
    /// Whether dropping means leaving: not once the answer is there.
    gone: bool,
}

impl Caller<'_> {
    async fn wait(
        mut self,
        answer: oneshot::Receiver<Result<Vec<NamedTensors>>>,
    ) -> Result<Vec<NamedTensors>> {
        let answer = match self.deadline.instant() {
            None => Ok(answer.await),
            // Never early, and late by a millisecond at most: the timer's grain.
            Some(at) => tokio::time::timeout_at(at.into(), answer).await,
        };
        if let Ok(answer) = answer {
            self.gone = false;
            // Dropped unused: a destructor of the model's handle or of an input panicked.
            answer.unwrap_or_else(|_lost| Err(Error::internal("the run of the model was lost")))
        } else {
            count(&self.counters.expired);
            self.leave(true);
            Err(Error::deadline_exceeded())
        }
    }

    fn leave(&mut self, time_is_up: bool) {
        self.gone = false;
        if self.stage.leave(time_is_up) {
            self.counters.overdue.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Caller<'_> {
    fn drop(&mut self) {
        if self.gone {
            // Somebody may watch the same deadline from further out and drop the future then.
            self.leave(self.deadline.has_passed());
        }
    }
}

// --- The thread's side ---

/// A run without the type of its model.
trait Job: Waiting + Send {
    fn run(self: Box<Self>, counters: &Counters);
}

impl Waiting for Box<dyn Job> {
    fn is_abandoned(&self) -> bool {
        (**self).is_abandoned()
    }
}

struct Run<H> {
    model: H,
    request: RunRequest,
    reply: oneshot::Sender<Result<Vec<NamedTensors>>>,
    stage: Arc<Stage>,
}

impl<H> Waiting for Run<H> {
    fn is_abandoned(&self) -> bool {
        self.stage.is_left()
    }
}

impl<H> Job for Run<H>
where
    H: Deref<Target: Predictor> + Send,
{
    fn run(self: Box<Self>, counters: &Counters) {
        let Self {
            model,
            request,
            reply,
            stage,
        } = *self;
        if request.deadline.has_passed() {
            count(&counters.skipped);
            // The caller's own timer is about to tell it the same.
            if reply.send(Err(Error::deadline_exceeded())).is_ok() {
                count(&counters.expired);
            }
            return;
        }
        if !stage.start() {
            count(&counters.skipped);
            return;
        }
        let (outcome, has_panicked) = run_guarded(&*model, &request);
        if stage.finish() {
            counters.overdue.fetch_sub(1, Ordering::Relaxed);
        }
        count(&counters.finished);
        if has_panicked {
            count(&counters.panicked);
        }
        // Before the handle goes: if it is the last one, unloading must not delay the answer.
        // Nobody there any more: the outputs are dropped here.
        let _unheard = reply.send(outcome);
    }
}

fn work(shared: &Shared, number: usize) {
    while let Some(job) = shared.queue.pop(number) {
        // A run's own panic is caught where there is still somebody to tell. What comes here is
        // a destructor's: the thread must outlive that too.
        if catch_unwind(AssertUnwindSafe(|| job.run(&shared.counters))).is_err() {
            count(&shared.counters.panicked);
        }
    }
}
