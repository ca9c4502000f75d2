//! A machine in virtual time: clients, a server's own work, runs of a model and the real belt's
//! decisions, all on a few cores.
//!
//! Threads are those of a server: one that all clients share, workers that parse and answer, and
//! the belt's. Those that have something to do share the cores evenly. No clock is read, and
//! random numbers come from a seed: the same world gives the same figures every time.

mod cores;
mod world;

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tensorgate_engine::{Call, NamedTensors};
use tensorgate_types::{Deadline, Priority, Result, ServableId, Signatures};
use tokio::sync::oneshot;

use crate::lane::Lane;
use crate::options::LaneOptions;
use crate::sim::cores::{Cores, Random};
use crate::sim::world::{Load, World};
use crate::state::{Batch, Out, Pick, State};
use crate::task::{Reply, Task};
use crate::tuner::Ridden;

/// Who works on something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Thread {
    /// All clients.
    Clients,
    /// The server's own.
    Worker(usize),
    /// The belt's.
    Belt(usize),
    /// Somebody else's.
    Others,
}

/// A client's way round: its request is sent, parsed, rides, is encoded, and the answer read.
#[derive(Debug, Clone, Copy)]
enum Step {
    Send(usize),
    Parse(usize),
    Encode(usize),
    Read(usize),
}

/// A client, or in an open loop a request.
#[derive(Debug)]
struct Client {
    /// When its request was due.
    due: f64,
    rows: usize,
    /// Holds the belt's end open.
    answer: Option<oneshot::Receiver<Result<Vec<NamedTensors>>>>,
    /// Ends after its answer.
    leaves: bool,
}

/// A thread of the belt.
enum Runner {
    /// Lies down, until this time at most.
    Idle(Option<f64>),
    /// Was woken.
    Rising,
    Running(Box<Riding>),
}

struct Riding {
    batch: Batch<usize>,
    started: f64,
}

/// What came of some time.
#[derive(Debug, Clone, Default)]
pub(crate) struct Report {
    pub(crate) rows_per_s: f64,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
    /// Rows of a batch, on average.
    pub(crate) rows_per_run: f64,
}

pub(crate) struct Sim {
    world: World,
    random: Random,
    start: Instant,
    /// Seconds since the start.
    now: f64,
    cores: Cores<Thread>,
    state: State<usize>,
    lane: Arc<Lane>,
    runners: Vec<Runner>,
    clients: Vec<Client>,
    /// Places of clients that have left.
    free: Vec<usize>,
    /// What the clients' thread does now, and then.
    client_work: VecDeque<Step>,
    worker_work: VecDeque<Step>,
    workers: Vec<Option<Step>>,
    next_due: f64,
    /// When others come back.
    next_others: f64,
    /// Of the time that is reported.
    times: Vec<f64>,
    rows: usize,
    runs: usize,
    run_rows: usize,
}

impl Sim {
    pub(crate) fn new(world: World, options: LaneOptions, threads: usize) -> Self {
        let lane = Lane::new(ServableId::new("m", 1), &Signatures::new(), options);
        let load = world.load;
        let mut sim = Self {
            random: Random::new(world.seed),
            start: Instant::now(),
            now: 0.0,
            cores: Cores::new(world.cores),
            state: State::new(threads),
            lane: Arc::new(lane),
            runners: Vec::new(),
            clients: Vec::new(),
            free: Vec::new(),
            client_work: VecDeque::new(),
            worker_work: VecDeque::new(),
            workers: vec![None; world.workers],
            next_due: f64::INFINITY,
            next_others: if world.others[0] > 0.0 {
                world.others[1]
            } else {
                f64::INFINITY
            },
            times: Vec::new(),
            rows: 0,
            runs: 0,
            run_rows: 0,
            world,
        };
        for _ in 0..threads {
            sim.runners.push(Runner::Rising);
        }
        for thread in 0..threads {
            // Each looks round once and lies down.
            sim.look(thread);
        }
        sim.put(load);
        sim
    }

    /// Another load from now on. Requests that are under way are answered.
    pub(crate) fn put(&mut self, load: Load) {
        self.world.load = load;
        let present = |client: &Client| !client.leaves;
        match load {
            Load::Closed(wanted) => {
                self.next_due = f64::INFINITY;
                let mut there = 0;
                for client in self.clients.iter_mut().filter(|client| present(client)) {
                    there += 1;
                    client.leaves = there > wanted;
                }
                for _ in there..wanted {
                    self.come(false);
                }
            }
            Load::Open(rate) => {
                self.clients
                    .iter_mut()
                    .for_each(|client| client.leaves = true);
                self.next_due = self.now + self.random.until_next(rate);
            }
        }
    }

    /// Another model, requests and load from now on, on the same machine.
    pub(crate) fn turn_to(&mut self, world: World) {
        self.world = world;
        self.put(world.load);
    }

    /// Lets so many seconds go by and says what came of them.
    pub(crate) fn run(&mut self, seconds: f64) -> Report {
        self.times.clear();
        (self.rows, self.runs, self.run_rows) = (0, 0, 0);
        let (start, end) = (self.now, self.now + seconds);
        while self.now < end {
            self.step(end);
        }
        self.times.sort_by(f64::total_cmp);
        let share = |share: f64| {
            let index = (self.times.len() as f64 * share) as usize;
            Duration::from_secs_f64(self.times.get(index).copied().unwrap_or_default())
        };
        Report {
            rows_per_s: self.rows as f64 / (self.now - start),
            p50: share(0.5),
            p99: share(0.99),
            rows_per_run: self.run_rows as f64 / self.runs.max(1) as f64,
        }
    }

    /// To the next thing that happens.
    fn step(&mut self, end: f64) {
        let alarms = self
            .runners
            .iter()
            .enumerate()
            .filter_map(|(thread, runner)| {
                let Runner::Idle(until) = runner else {
                    return None;
                };
                until.map(|at| (at, thread))
            });
        let alarm = alarms.min_by(|one, other| one.0.total_cmp(&other.0));
        let at = alarm
            .map_or(f64::INFINITY, |(at, _)| at)
            .min(self.next_due)
            .min(self.next_others)
            .min(end);
        match self.cores.advance(&mut self.now, at) {
            Some(thread) => self.done(thread),
            None if self.now >= end => {}
            None if self.now >= self.next_due => {
                if let Load::Open(rate) = self.world.load {
                    self.next_due += self.random.until_next(rate);
                    self.come(true);
                }
            }
            None if self.now >= self.next_others => {
                self.next_others = f64::INFINITY;
                let busy = self.random.until_next(1.0 / self.world.others[0]);
                self.cores.begin(Thread::Others, busy);
            }
            None => {
                if let Some((_, thread)) = alarm {
                    self.rise(thread);
                }
            }
        }
    }

    fn instant(&self) -> Instant {
        self.start + Duration::from_secs_f64(self.now)
    }

    /// A client comes, and sends at once.
    fn come(&mut self, leaves: bool) {
        let client = Client {
            due: self.now,
            rows: self.world.rows,
            answer: None,
            leaves,
        };
        let number = self.free.pop().unwrap_or(self.clients.len());
        if number == self.clients.len() {
            self.clients.push(client);
        } else {
            self.clients[number] = client;
        }
        self.client_does(Step::Send(number));
    }

    fn client_does(&mut self, step: Step) {
        self.client_work.push_back(step);
        if self.client_work.len() == 1 {
            self.begin(Thread::Clients, self.world.client / 2.0);
        }
    }

    fn server_does(&mut self, step: Step) {
        match self.workers.iter().position(Option::is_none) {
            Some(worker) => self.give(worker, step),
            None => self.worker_work.push_back(step),
        }
    }

    fn give(&mut self, worker: usize, step: Step) {
        let share = match step {
            Step::Parse(_) => 0.75,
            _ => 0.25,
        };
        self.workers[worker] = Some(step);
        self.begin(Thread::Worker(worker), self.world.request * share);
    }

    fn begin(&mut self, thread: Thread, seconds: f64) {
        let seconds = seconds * self.random.around_one(self.world.jitter);
        self.cores.begin(thread, seconds);
    }

    /// A thread has done what it had to.
    fn done(&mut self, thread: Thread) {
        match thread {
            Thread::Clients => {
                let step = self.client_work.pop_front();
                if !self.client_work.is_empty() {
                    self.begin(Thread::Clients, self.world.client / 2.0);
                }
                match step {
                    Some(Step::Send(client)) => self.server_does(Step::Parse(client)),
                    Some(Step::Read(client)) => self.answered(client),
                    _ => {}
                }
            }
            Thread::Worker(worker) => {
                let step = self.workers[worker].take();
                if let Some(next) = self.worker_work.pop_front() {
                    self.give(worker, next);
                }
                match step {
                    Some(Step::Parse(client)) => self.push(client),
                    Some(Step::Encode(client)) => self.client_does(Step::Read(client)),
                    _ => {}
                }
            }
            Thread::Others => {
                let idle = self.random.until_next(1.0 / self.world.others[1]);
                self.next_others = self.now + idle;
            }
            Thread::Belt(thread) => {
                let runner = std::mem::replace(&mut self.runners[thread], Runner::Rising);
                match runner {
                    Runner::Running(riding) => self.ridden(thread, *riding),
                    Runner::Rising | Runner::Idle(_) => self.state.get_up(),
                }
                self.look(thread);
            }
        }
    }

    fn answered(&mut self, number: usize) {
        let client = &mut self.clients[number];
        self.times.push(self.now - client.due);
        self.rows += client.rows;
        if client.leaves {
            self.free.push(number);
            return;
        }
        client.due = self.now;
        client.rows = self.world.rows;
        self.client_does(Step::Send(number));
    }

    /// As `Belt::push`.
    fn push(&mut self, number: usize) {
        let (caller, answer) = oneshot::channel();
        self.clients[number].answer = Some(answer);
        let call = Call {
            signature: String::new(),
            inputs: Vec::new(),
            outputs: Vec::new(),
        };
        let task = Task {
            model: number,
            calls: vec![call],
            rows: self.clients[number].rows,
            priority: Priority::Normal,
            deadline: Deadline::NEVER,
            arrived: self.instant(),
            reply: Reply::Caller(caller),
        };
        let mut out = Out::default();
        let lane = Arc::clone(&self.lane);
        match self.state.push(&lane, task, Some(0), 1, &mut out) {
            Ok(true) => self.wake(),
            Ok(false) => {}
            Err(_) => panic!("the queue is longer than clients can fill"),
        }
    }

    /// As a condition variable: one that lies down, if there is one.
    fn wake(&mut self) {
        let idle = |runner: &Runner| matches!(runner, Runner::Idle(_));
        if let Some(thread) = self.runners.iter().position(idle) {
            self.rise(thread);
        }
    }

    fn rise(&mut self, thread: usize) {
        self.runners[thread] = Runner::Rising;
        self.begin(Thread::Belt(thread), self.world.wake);
    }

    /// As the belt's thread between two batches.
    fn look(&mut self, thread: usize) {
        let mut out = Out::default();
        match self.state.pick(thread, self.instant(), &mut out) {
            Pick::End => {}
            Pick::Wait(until) => {
                let until = until.map(|at| (at - self.start).as_secs_f64().max(self.now));
                self.state.lie_down();
                self.runners[thread] = Runner::Idle(until);
            }
            Pick::Run(batch) => {
                if self.state.has_more() {
                    self.wake();
                }
                let rows: usize = batch.riders.iter().map(|rider| rider.rows).sum();
                let seconds = self.world.batch + (self.world.run)(rows);
                self.runs += 1;
                self.run_rows += rows;
                self.runners[thread] = Runner::Running(Box::new(Riding {
                    batch,
                    started: self.now,
                }));
                self.begin(Thread::Belt(thread), seconds);
            }
        }
    }

    /// As `Shared::ride`.
    fn ridden(&mut self, thread: usize, riding: Riding) {
        let Riding { batch, started } = riding;
        let now = self.instant();
        let took = Duration::from_secs_f64(self.now - started);
        let stayed = batch.riders.iter().map(|rider| now - rider.arrived);
        let ridden = Ridden {
            rows: batch.riders.iter().map(|rider| rider.rows).sum(),
            riders: batch.riders.len(),
            took,
            longest: stayed.clone().max().unwrap_or_default(),
            stayed: stayed.sum(),
        };
        let setting = self.lane.record(now, &ridden, self.runners.len());
        self.state
            .finish(thread, &self.lane, batch.charged, took, setting);
        for rider in batch.riders {
            self.server_does(Step::Encode(rider.model));
        }
    }
}
