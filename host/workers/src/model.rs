//! A model on one or several workers: a run goes to the one that has least to do.
//!
//! A run that is lost with its worker is made once more, on another worker or on the same when it
//! is back. One that is lost twice is answered: it may be to blame. A batch is made once here: its
//! members are made again by whoever has put them together.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tensorgate_engine::{LostRun, NamedTensors, Predictor, RunRequest};
use tensorgate_types::{Deadline, Error, Result, Signatures};

use crate::link::{Link, Lost};
use crate::message::{self, Answer, Device, Loaded};
use crate::state::{SeatStage, Shared, State, shutting_down};

/// How often a run is made.
const ATTEMPTS: usize = 2;

/// How long a run without a deadline waits for a worker to come back.
const PATIENCE: Duration = Duration::from_secs(30);

/// A loaded model. Dropped, it is unloaded from its workers.
pub struct FleetModel {
    shared: Arc<Shared>,
    number: u64,
    workers: Vec<usize>,
    signatures: Signatures,
    signature_defs: Vec<(String, Bytes)>,
    devices: Vec<Device>,
}

impl FleetModel {
    /// On workers that may or may not have it yet.
    pub(crate) fn new(shared: Arc<Shared>, number: u64, workers: Vec<usize>) -> Self {
        Self {
            shared,
            number,
            workers,
            signatures: Signatures::new(),
            signature_defs: Vec::new(),
            devices: Vec::new(),
        }
    }

    /// One of them has loaded it; they all have the same.
    pub(crate) fn describe(&mut self, loaded: Loaded) {
        self.signatures = loaded.signatures;
        self.signature_defs = loaded.signature_defs;
        self.devices = loaded.devices;
    }

    /// The devices that its sessions have found, on the last of its workers.
    #[must_use]
    pub fn devices(&self) -> &[Device] {
        &self.devices
    }

    /// Runs the model once on every worker that has it, one after another, and gives the outputs
    /// of the last.
    ///
    /// # Errors
    /// Those of the first run that fails.
    pub fn run_everywhere(&self, request: &RunRequest) -> Result<Vec<NamedTensors>> {
        let mut outputs = Vec::new();
        for worker in &self.workers {
            outputs = self.run_on(std::slice::from_ref(worker), request, ATTEMPTS)?;
        }
        Ok(outputs)
    }

    fn run_on(
        &self,
        workers: &[usize],
        request: &RunRequest,
        attempts: usize,
    ) -> Result<Vec<NamedTensors>> {
        if request.deadline.has_passed() {
            return Err(Error::deadline_exceeded());
        }
        let mut ends: Vec<String> = Vec::new();
        for _attempt in 0..attempts {
            let taken = self.take(workers, request.deadline, &ends)?;
            let answer = taken
                .link
                .call(|call| message::run(call, self.number, request));
            let (worker, before) = (taken.worker, taken.ends);
            drop(taken);
            match answer {
                Ok(Ok(Answer::Outputs(outputs))) => return Ok(outputs),
                Ok(Ok(_)) => {
                    return Err(Error::internal(
                        "a worker gave another answer than to a run",
                    ));
                }
                Ok(Err(error)) => return Err(error),
                Err(Lost) => {
                    let end = self.shared.how_it_ended(worker, before);
                    ends.push(format!("{} {}", self.shared.name(worker), end.how));
                }
            }
        }
        let how = ends.join(", then ");
        if attempts == 1 {
            let error = Error::unavailable(format!("the run was lost: {how}"));
            return Err(error.with_source(LostRun { how }));
        }
        Err(Error::unavailable(format!("the run was lost twice: {how}")))
    }

    /// The worker with least to do, among those that have the model. Waits for one to come back
    /// where there is none, if it can be back in time. `ends` are those that the run has seen.
    fn take(&self, workers: &[usize], deadline: Deadline, ends: &[String]) -> Result<Taken<'_>> {
        let give_up = deadline.min(Deadline::after(PATIENCE));
        let mut state = self.shared.lock();
        let mut is_counted = false;
        let outcome = loop {
            if state.closing {
                break Err(shutting_down());
            }
            if let Some((worker, link)) = self.least_busy(workers, &state) {
                let of = &mut state.workers[worker];
                of.running += 1;
                of.runs += 1;
                break Ok(Taken {
                    shared: &self.shared,
                    worker,
                    link,
                    ends: of.ends,
                });
            }
            if deadline.has_passed() {
                break Err(Error::deadline_exceeded());
            }
            // Looked at again whenever something changes: when one of several dead workers is back,
            // those who wait for the others must not keep all threads from it.
            let others = state.waiting - usize::from(is_counted);
            let is_full = others >= self.shared.max_waiting && state.is_any_up();
            if is_full || !self.may_come_back(workers, &state, give_up) {
                break Err(self.nobody(workers, &state, ends));
            }
            if !is_counted {
                state.waiting += 1;
                is_counted = true;
            }
            state = self.shared.wait(state, give_up.remaining());
        };
        if is_counted {
            state.waiting -= 1;
        }
        outcome
    }

    fn least_busy(&self, workers: &[usize], state: &State) -> Option<(usize, Arc<Link>)> {
        let able = workers.iter().filter_map(|worker| {
            let of = &state.workers[*worker];
            let link = of.open_link()?;
            let seat = of.seats.get(&self.number)?;
            matches!(seat.stage, SeatStage::Ready).then_some((*worker, of, link))
        });
        // Of several idle ones the one that has been given least, so that all of them stay warm.
        let (worker, _, link) = able.min_by_key(|(_, of, _)| (of.running, of.runs))?;
        Some((worker, Arc::clone(link)))
    }

    /// Whether one of the workers should have the model again before this time.
    fn may_come_back(&self, workers: &[usize], state: &State, before: Deadline) -> bool {
        let last = before.instant();
        workers.iter().any(|worker| {
            let of = &state.workers[*worker];
            let seat = of.seats.get(&self.number);
            let has_failed = seat.is_none_or(|seat| seat.again_at().is_some());
            let is_too_late = last.is_some_and(|last| {
                last <= Instant::now() || of.back_at.is_some_and(|back| back > last)
            });
            !has_failed && !is_too_late
        })
    }

    fn nobody(&self, workers: &[usize], state: &State, ends: &[String]) -> Error {
        let mut reasons: Vec<String> = ends.to_vec();
        for worker in workers {
            let of = &state.workers[*worker];
            let name = self.shared.name(*worker);
            let reason = match (of.seats.get(&self.number), &of.last_end) {
                (Some(seat), _) if let SeatStage::Failed { error, .. } = &seat.stage => {
                    format!("{name} cannot load it again: {}", error.message())
                }
                (_, Some(end)) => format!("{name} {}", end.how),
                (_, None) => format!("{name} is not up"),
            };
            if !reasons.contains(&reason) {
                reasons.push(reason);
            }
        }
        Error::unavailable(format!(
            "no worker has the model now: {}; try again later",
            reasons.join(", ")
        ))
    }
}

impl Predictor for FleetModel {
    fn signatures(&self) -> &Signatures {
        &self.signatures
    }

    fn signature_defs(&self) -> &[(String, Bytes)] {
        &self.signature_defs
    }

    /// The thread stays until the worker has answered, also when the time is up: the worker
    /// computes as long, and whoever counts runs under way should count this one.
    fn run(&self, request: &RunRequest) -> Result<Vec<NamedTensors>> {
        self.run_on(&self.workers, request, ATTEMPTS)
    }

    fn run_once(&self, request: &RunRequest) -> Result<Vec<NamedTensors>> {
        self.run_on(&self.workers, request, 1)
    }
}

impl Drop for FleetModel {
    fn drop(&mut self) {
        for worker in &self.workers {
            let mut state = self.shared.lock();
            let of = &mut state.workers[*worker];
            let had = of.seats.remove(&self.number);
            // The last one goes with the whole process.
            let link = of
                .open_link()
                .filter(|_| had.is_some() && !of.seats.is_empty());
            let link = link.map(Arc::clone);
            drop(state);
            self.shared.notify();
            if let Some(link) = link {
                // Lost: then it is unloaded, too.
                let _done = link.call(|call| message::unload(call, self.number));
            }
        }
    }
}

impl std::fmt::Debug for FleetModel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FleetModel")
            .field("workers", &self.workers)
            .field("devices", &self.devices)
            .finish_non_exhaustive()
    }
}

/// A worker that has a run under way.
struct Taken<'a> {
    shared: &'a Shared,
    worker: usize,
    link: Arc<Link>,
    /// How often it had ended before.
    ends: u64,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.shared.lock().workers[self.worker].running -= 1;
    }
}
