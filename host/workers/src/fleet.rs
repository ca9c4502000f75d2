//! All workers of a server, and how a model gets onto them.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bytes::Bytes;
use tensorgate_types::{Error, Result};

use crate::launch::Launch;
use crate::link::{Link, Lost};
use crate::message::{self, Answer, Loaded};
use crate::model::FleetModel;
use crate::state::{Seat, SeatStage, Shared, WorkerStatus, shutting_down};
use crate::supervisor::supervise;

/// Processes that may end one after another while a load waits for one that stays: a model that
/// was there before may be to blame for the first.
const STARTS: u64 = 3;

/// How one worker is made.
pub struct WorkerSpec {
    /// What it is called after: `gpu:0`.
    pub device: String,
    /// What it is told when it starts.
    pub settings: Bytes,
    /// How its processes are started.
    pub launch: Box<dyn Launch>,
    /// How long a process may take until it is ready to load models; then it is ended, and the
    /// next one is tried.
    pub start_limit: Duration,
    /// How long a model is left out that has ended its worker twice while it was loaded again:
    /// each attempt may end the worker for all. Doubled with each further one.
    pub left_out: Duration,
}

impl std::fmt::Debug for WorkerSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WorkerSpec")
            .field("device", &self.device)
            .finish_non_exhaustive()
    }
}

/// A worker that a model is to be loaded on.
#[derive(Debug, Clone)]
pub struct Lodging {
    /// Its number, from 0.
    pub worker: usize,
    /// What it is told of the model.
    pub how: Bytes,
}

/// The workers. Dropped, it ends their processes.
pub struct Fleet {
    shared: Arc<Shared>,
    supervisors: Vec<JoinHandle<()>>,
}

impl Fleet {
    /// Workers that are started when there is a model for them. `threads` are those of the
    /// caller: so many things are asked at a time. While a worker is up, `max_waiting` runs at
    /// most wait for another one to come back, so that threads are left for what can be run.
    ///
    /// # Errors
    /// When the system gives no threads.
    pub fn new(specs: Vec<WorkerSpec>, threads: usize, max_waiting: usize) -> io::Result<Self> {
        let count = specs.len();
        let threads = u32::try_from(threads).unwrap_or(u32::MAX).max(1);
        let mut fleet = Self {
            shared: Arc::new(Shared::new(specs, threads, max_waiting)),
            supervisors: Vec::with_capacity(count),
        };
        for worker in 0..count {
            let shared = Arc::clone(&fleet.shared);
            let supervisor = thread::Builder::new()
                .name(format!("tg-supervisor-{worker}"))
                .spawn(move || supervise(&shared, worker))?;
            fleet.supervisors.push(supervisor);
        }
        Ok(fleet)
    }

    /// Loads the model at `path` on each of these workers, at the same time, and waits for all.
    ///
    /// # Errors
    /// What the first of them says that cannot; then none of them has it. `UNAVAILABLE` when a
    /// worker ends.
    pub fn load(&self, name: &str, path: &Path, lodgings: Vec<Lodging>) -> Result<FleetModel> {
        let mut state = self.shared.lock();
        let number = state.next_model;
        state.next_model += 1;
        drop(state);
        let workers: Vec<usize> = lodgings.iter().map(|lodging| lodging.worker).collect();
        // Unloads it from those that have it, when it is dropped because of an error.
        let mut model = FleetModel::new(Arc::clone(&self.shared), number, workers);
        let loads: Vec<Result<Loaded>> = thread::scope(|scope| {
            let loads: Vec<_> = lodgings
                .into_iter()
                .map(|Lodging { worker, how }| {
                    let seat = Seat {
                        name: name.to_owned(),
                        path: path.to_owned(),
                        how,
                        stage: SeatStage::Joining,
                        kills: 0,
                    };
                    scope.spawn(move || load_on(&self.shared, worker, number, seat))
                })
                .collect();
            loads
                .into_iter()
                .map(|load| {
                    let failed = |_panic| Err(Error::internal("loading failed unexpectedly"));
                    load.join().unwrap_or_else(failed)
                })
                .collect()
        });
        for loaded in loads {
            model.describe(loaded?);
        }
        Ok(model)
    }

    /// A look at each of them.
    #[must_use]
    pub fn status(&self) -> Vec<WorkerStatus> {
        self.shared.status()
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.closing = true;
        // Whatever a supervisor asks of its worker now, it hears that there is no answer.
        let links = state.workers.iter().filter_map(|of| of.any_link.clone());
        let links: Vec<Arc<Link>> = links.collect();
        drop(state);
        links.iter().for_each(|link| link.close());
        self.shared.notify();
        for supervisor in self.supervisors.drain(..) {
            // An error is a panic that was printed when it happened.
            let _ended = supervisor.join();
        }
    }
}

impl std::fmt::Debug for Fleet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Fleet").field(&self.status()).finish()
    }
}

/// Loads a model on one worker, which is started for it if need be.
fn load_on(shared: &Shared, worker: usize, number: u64, seat: Seat) -> Result<Loaded> {
    let (path, how) = (seat.path.clone(), seat.how.clone());
    let (link, ends) = join(shared, worker, number, seat)?;
    let answer = link.call(|call| message::load(call, number, &path, &how));
    let error = match answer {
        Ok(Ok(Answer::Loaded(loaded))) => {
            let mut state = shared.lock();
            let of = &mut state.workers[worker];
            let is_same = of.open_link().is_some_and(|open| Arc::ptr_eq(open, &link));
            if is_same && let Some(seat) = of.seats.get_mut(&number) {
                seat.stage = SeatStage::Ready;
                of.devices.clone_from(&loaded.devices);
                shared.notify();
                return Ok(loaded);
            }
            drop(state);
            lost(shared, worker, ends)
        }
        Ok(Ok(_)) => Error::internal("a worker gave another answer than to a load"),
        Ok(Err(error)) => error,
        Err(Lost) => lost(shared, worker, ends),
    };
    leave(shared, worker, number);
    Err(error)
}

fn lost(shared: &Shared, worker: usize, ends: u64) -> Error {
    let end = shared.how_it_ended(worker, ends);
    let name = shared.name(worker);
    Error::unavailable(format!("{name} {} while it loaded the model", end.how))
}

fn leave(shared: &Shared, worker: usize, number: u64) {
    shared.lock().workers[worker].seats.remove(&number);
    shared.notify();
}

/// Takes a seat and waits until the worker is up. Gives how often it had ended by then.
fn join(shared: &Shared, worker: usize, number: u64, seat: Seat) -> Result<(Arc<Link>, u64)> {
    let mut state = shared.lock();
    state.workers[worker].seats.insert(number, seat);
    shared.notify();
    let before = state.workers[worker].ends;
    let error = loop {
        if state.closing {
            break shutting_down();
        }
        let of = &state.workers[worker];
        if let Some(link) = of.open_link() {
            return Ok((Arc::clone(link), of.ends));
        }
        if of.ends > before
            && let Some(end) = &of.last_end
        {
            if let Some(error) = &end.refused {
                break error.clone();
            }
            if of.ends >= before + STARTS {
                let name = shared.name(worker);
                break Error::unavailable(format!("{name} {}", end.how));
            }
        }
        state = shared.wait(state, None);
    };
    drop(state);
    leave(shared, worker, number);
    Err(error)
}
