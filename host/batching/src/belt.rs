//! The belt and its threads.

use std::fmt;
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use tensorgate_engine::{NamedTensors, Predictor, RunRequest};
use tensorgate_types::{Error, Priority, Result};
use tokio::sync::oneshot;

use crate::key::{hash, rows_of, sort};
use crate::lane::Lane;
use crate::options::BeltOptions;
use crate::ride::Ride;
use crate::state::{Batch, Out, Pick, Refused, State};
use crate::stats::{BeltStats, Counters, Observer, add};
use crate::task::{Reply, Task};

/// Batches requests and runs them on a fixed number of threads.
///
/// `H` is a counted handle to a loaded version; what rides holds one, so a version is never
/// unloaded under a run.
pub struct Belt<H> {
    shared: Arc<Shared<H>>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared<H> {
    state: Mutex<State<H>>,
    work: Condvar,
    counters: Counters,
    observer: Box<dyn Observer>,
    threads: usize,
    alone_queue: usize,
}

impl<H> Belt<H>
where
    H: Deref<Target: Predictor> + Clone + Send + 'static,
{
    /// Starts the threads.
    ///
    /// # Errors
    /// When the system gives no more threads; those that were started are ended again.
    pub fn new(options: &BeltOptions, observer: impl Observer) -> std::io::Result<Self> {
        let threads = options.threads.max(1);
        let mut belt = Self {
            shared: Arc::new(Shared {
                state: Mutex::new(State::new(threads)),
                work: Condvar::new(),
                counters: Counters::default(),
                observer: Box::new(observer),
                threads,
                alone_queue: options.alone_queue,
            }),
            threads: Vec::with_capacity(threads),
        };
        for number in 0..threads {
            let shared = Arc::clone(&belt.shared);
            let thread = thread::Builder::new()
                .name(format!("{}-{number}", options.thread_name))
                .spawn(move || shared.work(number))?;
            belt.threads.push(thread);
        }
        Ok(belt)
    }

    /// Runs a request of the version that `model` holds and `lane` belongs to, together with
    /// others if they fit.
    ///
    /// A caller that goes away, or whose time is up, before its batch is cut never rides. After
    /// that the run goes on, and its outputs are thrown away.
    ///
    /// # Errors
    /// `DEADLINE_EXCEEDED` at the request's deadline; `RESOURCE_EXHAUSTED` when it cannot be
    /// answered before it any more; `INVALID_ARGUMENT` for more rows than a request may have;
    /// `UNAVAILABLE` when the queue is full, when the request lost its place to one of a higher
    /// priority, or when every thread is busy for callers whose time is up; `INTERNAL` when the
    /// model panics; whatever the model says.
    pub async fn run(
        &self,
        lane: &Arc<Lane>,
        model: H,
        request: RunRequest,
        priority: Priority,
    ) -> Result<Vec<NamedTensors>> {
        let deadline = request.deadline;
        let answer = self.push(lane, model, request, priority)?;
        let answer = match deadline.instant() {
            None => answer.await,
            Some(at) => match tokio::time::timeout_at(at.into(), answer).await {
                Ok(answer) => answer,
                Err(_) => return Err(Error::deadline_exceeded()),
            },
        };
        // Dropped unused: the belt ends, or a destructor of a handle or an input panicked.
        answer.unwrap_or_else(|_lost| Err(Error::internal("the run of the model was lost")))
    }

    fn push(
        &self,
        lane: &Arc<Lane>,
        model: H,
        request: RunRequest,
        priority: Priority,
    ) -> Result<oneshot::Receiver<Result<Vec<NamedTensors>>>> {
        let shared = &*self.shared;
        let RunRequest {
            mut calls,
            deadline,
        } = request;
        let mut rows = None;
        if let [call] = calls.as_mut_slice() {
            sort(call);
            rows = rows_of(call).filter(|_| lane.can_ride(call));
        }
        let options = lane.options();
        if let Some(too_many) = rows.filter(|rows| *rows > options.max_batch_size) {
            if options.adaptive.is_some() {
                // The limit is ours and not the operator's: it refuses nobody.
                rows = None;
            } else {
                return Err(Error::invalid_argument(format!(
                    "Task size {too_many} is larger than maximum input batch size {}",
                    options.max_batch_size
                )));
            }
        }
        let fit = rows.map(|_| hash(&calls[0], options.pad_variable_length_inputs));
        let (caller, answer) = oneshot::channel();
        let now = Instant::now();
        let task = Task {
            model,
            calls,
            rows: rows.unwrap_or(1),
            priority,
            deadline,
            arrived: now,
            reply: Reply::Caller(caller),
        };
        shared.check_time(lane, &task)?;
        let mut out = Out::default();
        let mut state = shared.lock();
        // The clock was read outside of the lock.
        if state.is_stuck(now) {
            drop(state);
            add(&shared.counters.refused_overdue, 1);
            let threads = shared.threads;
            return Err(Error::unavailable(format!(
                "all {threads} batch threads are busy with runs that are past their deadline; \
                 try again later"
            )));
        }
        let rows = task.rows;
        let pushed = state.push(lane, task, fit, shared.alone_queue, &mut out);
        drop(state);
        shared.answer(out);
        let wake = pushed.map_err(|refused| {
            let counter = match refused {
                Refused::TooLate => &shared.counters.expired,
                _ => &shared.counters.refused_queue_full,
            };
            add(counter, 1);
            refused.into_error(rows)
        })?;
        if wake {
            // After the lock: a thread woken under it would run into it.
            shared.work.notify_one();
        }
        Ok(answer)
    }

    /// From now on no request waits for others while a thread is idle: for a server that drains,
    /// to which no others will come.
    pub fn hurry(&self) {
        self.shared.lock().hurry();
        self.shared.work.notify_all();
    }

    /// What the belt has done and is doing.
    #[must_use]
    pub fn stats(&self) -> BeltStats {
        let state = self.shared.lock();
        let (queued, running) = state.lengths();
        let overdue = state.overdue(Instant::now());
        drop(state);
        BeltStats {
            threads: self.shared.threads,
            running,
            overdue,
            queued,
            ..self.shared.counters.read()
        }
    }
}

impl<H> Shared<H>
where
    H: Deref<Target: Predictor> + Clone,
{
    /// Whether a request can be answered in time at all.
    fn check_time(&self, lane: &Lane, task: &Task<H>) -> Result<()> {
        let Some(at) = task.deadline.instant() else {
            return Ok(());
        };
        if at <= task.arrived {
            add(&self.counters.expired, 1);
            return Err(Error::deadline_exceeded());
        }
        let at_best = lane.at_best(task.arrived, task.rows).unwrap_or_default();
        if at > task.arrived + at_best {
            return Ok(());
        }
        add(&self.counters.expired, 1);
        Err(too_late())
    }

    /// Answers those who were taken out of their queues.
    fn answer(&self, out: Out<H>) {
        for task in out.shed {
            add(&self.counters.shed, 1);
            let error = Error::unavailable(
                "The batch scheduling queue is full, and this request gave its place to one of a \
                 higher priority; try again later",
            );
            task.reply.send(Err(error), &self.counters.bytes_copied);
        }
        for task in out.stayed {
            let gone = task.reply.is_abandoned();
            let counter = if gone {
                &self.counters.abandoned
            } else {
                &self.counters.expired
            };
            add(counter, 1);
            task.reply
                .send(Err(too_late()), &self.counters.bytes_copied);
        }
    }

    /// What a thread does until the belt ends.
    fn work(&self, thread: usize) {
        let mut state = self.lock();
        loop {
            let mut out = Out::default();
            let pick = state.pick(thread, Instant::now(), &mut out);
            if !out.stayed.is_empty() {
                drop(state);
                self.answer(out);
                state = self.lock();
            }
            match pick {
                Pick::End => return,
                Pick::Wait(until) => state = self.wait(state, until),
                Pick::Run(batch) => {
                    // What is left may be for another thread: it was woken for this batch's first
                    // rider, and others came while nobody was idle.
                    let more = state.has_more();
                    drop(state);
                    if more {
                        self.work.notify_one();
                    }
                    state = self.ride(thread, batch);
                }
            }
        }
    }

    fn wait<'a>(
        &'a self,
        mut state: MutexGuard<'a, State<H>>,
        until: Option<Instant>,
    ) -> MutexGuard<'a, State<H>> {
        state.lie_down();
        let mut state = match until {
            None => self
                .work
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner),
            Some(until) => {
                let left = until.saturating_duration_since(Instant::now());
                let waited = self.work.wait_timeout(state, left);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
        };
        state.get_up();
        state
    }

    fn ride(&self, thread: usize, batch: Batch<H>) -> MutexGuard<'_, State<H>> {
        let Batch {
            lane,
            riders,
            batched,
            charged,
        } = batch;
        let ride = Ride {
            lane: &lane,
            counters: &self.counters,
            observer: &*self.observer,
            batched,
        };
        let start = Instant::now();
        // A run's own panic is caught where there is still somebody to tell. What comes here is a
        // destructor's: the thread must outlive that too.
        let ridden = catch_unwind(AssertUnwindSafe(|| ride.run(riders)));
        let end = Instant::now();
        let setting = match &ridden {
            Ok(ridden) if batched => lane.record(end, ridden, self.threads),
            _ => None,
        };
        let mut state = self.lock();
        state.finish(thread, &lane, charged, end - start, setting);
        state
    }
}

impl<H> Shared<H> {
    fn lock(&self) -> MutexGuard<'_, State<H>> {
        // Nothing panics under the lock; were it to, the queues would still be whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Refused {
    fn into_error(self, rows: usize) -> Error {
        let full = "The batch scheduling queue to which this task was submitted is full";
        Error::unavailable(match self {
            Self::Full { enqueued, limit } => format!(
                "{full}; currently {enqueued} batches enqueued and max_enqueued_batches is {limit}"
            ),
            Self::FullForParts {
                capacity,
                enqueued,
                limit,
                open,
                size,
            } => format!(
                "{full}; task size is {rows} but scheduling capacity is only {capacity} \
                 (num_enqueued_batches={enqueued}, max_enqueued_batches={limit}, \
                 open_batch_size={open}, max_execution_batch_size={size})"
            ),
            Self::Alone { limit } => format!(
                "the run queue is full: {limit} requests that cannot be batched wait for this \
                 model; try again later"
            ),
            Self::TooLate => return too_late(),
        })
    }
}

fn too_late() -> Error {
    Error::resource_exhausted("Run() timeout exceeded while waiting in batching queue")
}

/// Ends the idle threads and waits for them. A thread in the middle of a run cannot be stopped: it
/// ends after that run, and nobody waits for it. No caller is left by then: each borrows the belt.
impl<H> Drop for Belt<H> {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        let (waiting, busy) = state.close();
        drop(state);
        drop(waiting);
        self.shared.work.notify_all();
        for (thread, busy) in self.threads.drain(..).zip(busy) {
            if !busy {
                // An error is a panic that was printed when it happened.
                let _ended = thread.join();
            }
        }
    }
}

impl<H> fmt::Debug for Belt<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Belt")
            .field("threads", &self.shared.threads)
            .field("counters", &self.shared.counters)
            .finish_non_exhaustive()
    }
}
