//! What is known of all workers: one lock, since whoever chooses among workers looks at all.
//!
//! Written by supervisors, loads and unloads, and by every run for an instant, when it takes a
//! worker and when it leaves it. Never held while a worker is asked something.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tensorgate_types::{Error, ErrorCode};

use crate::fleet::WorkerSpec;
use crate::link::{Link, Traffic};
use crate::message::Device;

/// Where a worker is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkerStage {
    /// There is no process, since it would have no model.
    Asleep,
    /// A process has been started and loads what it should hold.
    Starting,
    /// It answers.
    Up,
    /// The process has ended; the next one is about to be started.
    Down,
}

impl WorkerStage {
    /// Its name, as it is shown.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Asleep => "asleep",
            Self::Starting => "starting",
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}

/// A model on a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelStatus {
    /// As it was called when it was loaded.
    pub name: String,
    /// Whether it can be run there.
    pub is_ready: bool,
    /// Why it could not be loaded again after the worker had ended.
    pub error: Option<String>,
}

/// A look at one worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerStatus {
    /// As the operator named it.
    pub device: String,
    /// Where it is in its life.
    pub stage: WorkerStage,
    /// Its process.
    pub pid: Option<u32>,
    /// The memory of the machine that it has now.
    pub resident_bytes: Option<u64>,
    /// How often its process has ended without being told to.
    pub restarts: u64,
    /// How it did so the last time.
    pub last_end: Option<String>,
    /// Runs that it has under way.
    pub running: usize,
    /// Runs that it was given.
    pub runs: u64,
    /// Bytes that went to it.
    pub sent_bytes: u64,
    /// Bytes that came from it.
    pub received_bytes: u64,
    /// What it holds.
    pub models: Vec<ModelStatus>,
    /// What TensorFlow, or whatever it runs, has found there; empty before the first load.
    pub devices: Vec<Device>,
}

/// A model that a worker should hold.
#[derive(Debug)]
pub(crate) struct Seat {
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    pub(crate) how: Bytes,
    pub(crate) stage: SeatStage,
    /// How often the worker ended while it loaded this one again.
    pub(crate) kills: u32,
}

#[derive(Debug)]
pub(crate) enum SeatStage {
    /// Being loaded for the first time, by whoever asked for it.
    Joining,
    /// To be loaded again, by the supervisor.
    Due,
    Ready,
    /// Could not be loaded again; is tried once more at this time.
    Failed {
        error: Error,
        again_at: Instant,
    },
}

impl Seat {
    /// When it is tried again, if it could not be loaded again.
    pub(crate) fn again_at(&self) -> Option<Instant> {
        match &self.stage {
            SeatStage::Failed { again_at, .. } => Some(*again_at),
            SeatStage::Joining | SeatStage::Due | SeatStage::Ready => None,
        }
    }
}

/// How a process ended that nobody had told to.
#[derive(Debug, Clone)]
pub(crate) struct End {
    /// `ended with signal: 9 (SIGKILL)`.
    pub(crate) how: String,
    /// What it said itself of why it cannot work, if it said anything.
    pub(crate) refused: Option<Error>,
}

#[derive(Debug)]
pub(crate) struct WorkerState {
    pub(crate) stage: WorkerStage,
    /// When it should be up again, as far as the last time tells.
    pub(crate) back_at: Option<Instant>,
    /// How long the last start took.
    pub(crate) start_took: Duration,
    pub(crate) pid: Option<u32>,
    /// None unless it is up.
    pub(crate) link: Option<Arc<Link>>,
    /// None unless there is a process.
    pub(crate) any_link: Option<Arc<Link>>,
    /// What it should hold, by the model's number.
    pub(crate) seats: BTreeMap<u64, Seat>,
    pub(crate) running: usize,
    pub(crate) runs: u64,
    pub(crate) traffic: Arc<Traffic>,
    /// Ends that nobody had asked for.
    pub(crate) ends: u64,
    pub(crate) last_end: Option<End>,
    pub(crate) devices: Vec<Device>,
}

impl WorkerState {
    pub(crate) fn new() -> Self {
        Self {
            stage: WorkerStage::Asleep,
            back_at: None,
            start_took: Duration::ZERO,
            pid: None,
            link: None,
            any_link: None,
            seats: BTreeMap::new(),
            running: 0,
            runs: 0,
            traffic: Arc::default(),
            ends: 0,
            last_end: None,
            devices: Vec::new(),
        }
    }

    /// The connection, if it can be used.
    pub(crate) fn open_link(&self) -> Option<&Arc<Link>> {
        self.link.as_ref().filter(|link| !link.is_closed())
    }

    fn status(&self, device: &str) -> WorkerStatus {
        let models = self.seats.values().map(|seat| ModelStatus {
            name: seat.name.clone(),
            is_ready: matches!(seat.stage, SeatStage::Ready) && self.open_link().is_some(),
            error: match &seat.stage {
                SeatStage::Failed { error, .. } => Some(error.message().to_owned()),
                _ => None,
            },
        });
        WorkerStatus {
            device: device.to_owned(),
            stage: self.stage,
            pid: self.pid,
            resident_bytes: None,
            restarts: self.ends,
            last_end: self.last_end.as_ref().map(|end| end.how.clone()),
            running: self.running,
            runs: self.runs,
            sent_bytes: self.traffic.sent.load(Ordering::Relaxed),
            received_bytes: self.traffic.received.load(Ordering::Relaxed),
            models: models.collect(),
            devices: self.devices.clone(),
        }
    }
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) closing: bool,
    pub(crate) next_model: u64,
    /// Runs that wait for a worker to come back.
    pub(crate) waiting: usize,
    pub(crate) workers: Vec<WorkerState>,
}

impl State {
    /// Whether there is a worker that can be asked something.
    pub(crate) fn is_any_up(&self) -> bool {
        self.workers.iter().any(|of| of.open_link().is_some())
    }
}

/// The state, with what never changes.
pub(crate) struct Shared {
    pub(crate) specs: Vec<WorkerSpec>,
    /// Things that may be asked of one worker at a time.
    pub(crate) threads: u32,
    /// Runs that may wait for a worker to come back while another one is up.
    pub(crate) max_waiting: usize,
    state: Mutex<State>,
    changed: Condvar,
}

impl Shared {
    pub(crate) fn new(specs: Vec<WorkerSpec>, threads: u32, max_waiting: usize) -> Self {
        let workers = specs.iter().map(|_| WorkerState::new()).collect();
        Self {
            specs,
            threads,
            max_waiting,
            state: Mutex::new(State {
                closing: false,
                next_model: 0,
                waiting: 0,
                workers,
            }),
            changed: Condvar::new(),
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        // Poisoned by a bug of ours; what is there are numbers that are whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes all who wait for something to change.
    pub(crate) fn notify(&self) {
        self.changed.notify_all();
    }

    /// Waits for a change, but no longer than `limit`.
    pub(crate) fn wait<'a>(
        &self,
        state: MutexGuard<'a, State>,
        limit: Option<Duration>,
    ) -> MutexGuard<'a, State> {
        match limit {
            None => {
                let woken = self.changed.wait(state);
                woken.unwrap_or_else(PoisonError::into_inner)
            }
            Some(limit) => {
                let woken = self.changed.wait_timeout(state, limit);
                woken.unwrap_or_else(PoisonError::into_inner).0
            }
        }
    }

    /// `worker 0 (cpu)`.
    pub(crate) fn name(&self, worker: usize) -> String {
        format!("worker {worker} ({})", self.specs[worker].device)
    }

    /// How the process ended that was lost when there had been `ends` ends. Waits for the
    /// supervisor, who is about to know.
    pub(crate) fn how_it_ended(&self, worker: usize, ends: u64) -> End {
        /// Only a system that is out of order takes longer to say that a process has ended.
        const LIMIT: Duration = Duration::from_secs(5);
        let give_up = Instant::now() + LIMIT;
        let mut state = self.lock();
        loop {
            let of = &state.workers[worker];
            if of.ends > ends
                && let Some(end) = &of.last_end
            {
                return end.clone();
            }
            let left = give_up.saturating_duration_since(Instant::now());
            if left.is_zero() || state.closing {
                return End {
                    how: "ended".to_owned(),
                    refused: None,
                };
            }
            state = self.wait(state, Some(left));
        }
    }

    pub(crate) fn status(&self) -> Vec<WorkerStatus> {
        let state = self.lock();
        let workers = self.specs.iter().zip(&state.workers);
        let mut all: Vec<WorkerStatus> = workers
            .map(|(spec, worker)| worker.status(&spec.device))
            .collect();
        drop(state);
        for status in &mut all {
            status.resident_bytes = status.pid.and_then(resident_bytes);
        }
        all
    }
}

/// The error of whoever comes when the server goes.
pub(crate) fn shutting_down() -> Error {
    Error::new(ErrorCode::Unavailable, "the server is shutting down")
}

/// What a process has of the machine's memory, if the system says it.
#[must_use]
pub fn resident_bytes(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib * 1024)
}
