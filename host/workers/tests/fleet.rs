//! The fleet with workers that are threads of this process: the protocol and the supervisor are
//! real, what is loaded are fakes.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests too")]

use std::io::{self, Read as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tensorgate_engine::fake::{FakeModel, Gate};
use tensorgate_engine::{Call, Predictor, RunRequest};
use tensorgate_types::{DType, Deadline, Error, ErrorCode, Result, Tensor};
use tensorgate_workers::{
    Device, Fleet, FleetModel, Hosted, Launch, Lodging, Process, Runtime, WorkerSpec, WorkerStage,
    WorkerStatus, work,
};

/// How long something may take that is about to happen.
const PATIENCE: Duration = Duration::from_secs(60);

/// What happens to a worker, seen and done from outside.
#[derive(Clone, Default)]
struct Outside {
    started: Arc<AtomicU32>,
    /// The worker's end of the socket of the process that runs now.
    socket: Arc<Mutex<Option<UnixStream>>>,
    /// Runs of the model at `/gated` wait here.
    gate: Arc<Mutex<Option<Gate>>>,
    /// Whether the model at `/slow-again` may be loaded a second time.
    may_load: Arc<AtomicBool>,
}

impl Outside {
    fn kill(&self) {
        let socket = self.socket.lock().unwrap();
        socket.as_ref().unwrap().shutdown(Shutdown::Both).unwrap();
    }
}

struct Fake {
    outside: Outside,
}

struct Thread {
    id: u32,
    outside: Outside,
    thread: Option<JoinHandle<()>>,
}

impl Launch for Fake {
    fn launch(&self) -> io::Result<(UnixStream, Box<dyn Process>)> {
        let (ours, theirs) = UnixStream::pair()?;
        *self.outside.socket.lock().unwrap() = Some(theirs.try_clone()?);
        let id = self.outside.started.fetch_add(1, Ordering::SeqCst) + 1;
        let outside = self.outside.clone();
        let thread = thread::spawn(move || {
            let open = |settings: &[u8]| match settings {
                b"refuse" => Err(Error::failed_precondition("no library")),
                b"hang" => {
                    // Until the other side has lost its patience.
                    let socket = outside.socket.lock().unwrap().as_ref().unwrap().try_clone();
                    let _end = socket.unwrap().read(&mut [0]);
                    Err(Error::internal("nobody hears this"))
                }
                _ => Ok(FakeRuntime { outside }),
            };
            // Fails where the other side is not there any more.
            let _ = work(theirs, open, || {});
        });
        let process = Thread {
            id,
            outside: self.outside.clone(),
            thread: Some(thread),
        };
        Ok((ours, Box::new(process)))
    }
}

impl Process for Thread {
    fn id(&self) -> u32 {
        self.id
    }

    fn kill(&mut self) {
        self.outside.kill();
    }

    fn wait(&mut self) -> String {
        // A thread in a gated run cannot be ended: nobody waits for it.
        drop(self.thread.take());
        "signal: 9 (FAKE)".to_owned()
    }
}

struct FakeRuntime {
    outside: Outside,
}

impl Runtime for FakeRuntime {
    fn load(&self, path: &Path, how: &[u8]) -> Result<Hosted> {
        let outside = self.outside.clone();
        let model = match path.to_str().unwrap() {
            "/missing" => return Err(Error::not_found("there is no model in /missing")),
            "/kills-loading" => {
                outside.kill();
                FakeModel::new()
            }
            "/slow-again" => {
                let is_first = outside.started.load(Ordering::SeqCst) == 1;
                while !is_first && !outside.may_load.load(Ordering::SeqCst) {
                    thread::sleep(Duration::from_millis(1));
                }
                FakeModel::new()
            }
            "/poison" => FakeModel::new().with_behaviour(move |_| {
                outside.kill();
                Err(Error::internal("nobody hears this"))
            }),
            "/gated" => {
                let gate = outside.gate.lock().unwrap().clone().unwrap();
                FakeModel::new().with_gate(&gate)
            }
            "/broken" => FakeModel::new().with_behaviour(|_| panic!("broken")),
            _ => FakeModel::new(),
        };
        Ok(Hosted {
            model: Box::new(model),
            devices: vec![Device {
                name: String::from_utf8(how.to_vec()).unwrap(),
                kind: "CPU".to_owned(),
                memory_bytes: 7,
            }],
        })
    }
}

struct House {
    fleet: Fleet,
    workers: Vec<Outside>,
}

impl House {
    fn new(count: usize) -> Self {
        Self::told(count, b"")
    }

    fn told(count: usize, settings: &'static [u8]) -> Self {
        let workers: Vec<Outside> = (0..count).map(|_| Outside::default()).collect();
        let specs = workers.iter().map(|outside| WorkerSpec {
            device: "fake".to_owned(),
            settings: Bytes::from_static(settings),
            launch: Box::new(Fake {
                outside: outside.clone(),
            }),
            start_limit: match settings {
                b"hang" => Duration::from_millis(1),
                _ => PATIENCE,
            },
        });
        Self {
            fleet: Fleet::new(specs.collect(), 8).unwrap(),
            workers,
        }
    }

    fn load(&self, path: &str) -> Result<FleetModel> {
        let lodgings = (0..self.workers.len()).map(|worker| Lodging {
            worker,
            how: Bytes::from(format!("worker {worker}")),
        });
        self.fleet.load("m:1", Path::new(path), lodgings.collect())
    }

    fn until(&self, done: impl Fn(&[WorkerStatus]) -> bool) -> Vec<WorkerStatus> {
        let give_up = Instant::now() + PATIENCE;
        loop {
            let status = self.fleet.status();
            if done(&status) {
                return status;
            }
            assert!(Instant::now() < give_up, "it does not happen: {status:?}");
            thread::sleep(Duration::from_millis(1));
        }
    }

    fn starts(&self) -> Vec<u32> {
        let starts = self.workers.iter();
        starts
            .map(|worker| worker.started.load(Ordering::SeqCst))
            .collect()
    }
}

fn request(deadline: Deadline) -> RunRequest {
    let x = Tensor::from_slice(DType::FLOAT, vec![2], &[2.0f32, 4.0]).unwrap();
    let call = Call {
        signature: "serving_default".to_owned(),
        inputs: vec![("x".to_owned(), x)],
        outputs: Vec::new(),
    };
    RunRequest::one(call, deadline)
}

fn run(model: &FleetModel) -> Result<String> {
    let outputs = model.run(&request(Deadline::NEVER))?;
    Ok(format!("{outputs:?}"))
}

/// What every run gives.
fn expected() -> String {
    format!(
        "{:?}",
        FakeModel::new().run(&request(Deadline::NEVER)).unwrap()
    )
}

fn gates(house: &House) -> Vec<Gate> {
    let gates: Vec<Gate> = house.workers.iter().map(|_| Gate::new()).collect();
    for (worker, gate) in house.workers.iter().zip(&gates) {
        *worker.gate.lock().unwrap() = Some(gate.clone());
    }
    gates
}

#[test]
fn a_model_answers_from_a_worker_as_it_does_here() {
    let house = House::new(1);
    let status = house.fleet.status();
    assert_eq!(status[0].stage, WorkerStage::Asleep);
    assert_eq!(house.starts(), [0], "nobody is started for nothing");
    let model = house.load("/good").unwrap();
    assert_eq!(model.signatures(), FakeModel::new().signatures());
    assert_eq!(run(&model).unwrap(), expected());
    let status = &house.fleet.status()[0];
    assert_eq!(status.stage, WorkerStage::Up);
    assert_eq!((status.pid, status.runs, status.running), (Some(1), 1, 0));
    // Two floats went over and two came back, with some words about them.
    for bytes in [status.sent_bytes, status.received_bytes] {
        assert!((50..1000).contains(&bytes), "{bytes}");
    }
    assert_eq!(status.models[0].name, "m:1");
    assert!(status.models[0].is_ready);
    assert_eq!(status.devices[0].name, "worker 0");
}

#[test]
fn runs_go_to_whoever_has_least_to_do() {
    let house = House::new(2);
    let gates = gates(&house);
    let model = house.load("/gated").unwrap();
    thread::scope(|scope| {
        let one = scope.spawn(|| run(&model));
        house.until(|status| status.iter().map(|of| of.running).sum::<usize>() == 1);
        let two = scope.spawn(|| run(&model));
        house.until(|status| status.iter().all(|of| of.running == 1));
        gates.iter().for_each(Gate::open);
        assert_eq!(one.join().unwrap().unwrap(), expected());
        assert_eq!(two.join().unwrap().unwrap(), expected());
    });
    for _ in 0..10 {
        run(&model).unwrap();
    }
    let runs: Vec<u64> = house.fleet.status().iter().map(|of| of.runs).collect();
    assert_eq!(runs, [6, 6], "idle workers take turns");
    model.run_everywhere(&request(Deadline::NEVER)).unwrap();
    let runs: Vec<u64> = house.fleet.status().iter().map(|of| of.runs).collect();
    assert_eq!(runs, [7, 7]);
}

#[test]
fn a_run_that_is_lost_with_its_worker_is_made_on_another() {
    let house = House::new(2);
    let gates = gates(&house);
    let model = house.load("/gated").unwrap();
    thread::scope(|scope| {
        let lost = scope.spawn(|| run(&model));
        let status = house.until(|status| status.iter().any(|of| of.running == 1));
        let victim = status.iter().position(|of| of.running == 1).unwrap();
        house.workers[victim].kill();
        house.until(|status| status[1 - victim].running == 1);
        gates[1 - victim].open();
        assert_eq!(lost.join().unwrap().unwrap(), expected());
        let status = house.until(|status| status[victim].stage == WorkerStage::Up);
        assert_eq!(status[victim].restarts, 1);
        let how = status[victim].last_end.as_deref();
        assert_eq!(how, Some("ended with signal: 9 (FAKE)"));
        assert!(status[victim].models[0].is_ready, "it has its model again");
        assert_eq!(status[1 - victim].restarts, 0);
        gates[victim].open();
    });
}

#[test]
fn with_one_worker_a_run_waits_for_it_to_come_back() {
    let house = House::new(1);
    let gates = gates(&house);
    let model = house.load("/gated").unwrap();
    thread::scope(|scope| {
        let lost = scope.spawn(|| run(&model));
        house.until(|status| status[0].running == 1);
        house.workers[0].kill();
        house.until(|status| status[0].restarts == 1 && status[0].running == 1);
        gates[0].open();
        assert_eq!(lost.join().unwrap().unwrap(), expected());
    });
    assert_eq!(house.starts(), [2]);
}

#[test]
fn a_run_that_ends_two_workers_is_answered_and_not_made_again() {
    let house = House::new(3);
    let poison = house.load("/poison").unwrap();
    let good = house.load("/good").unwrap();
    let error = run(&poison).unwrap_err();
    assert_eq!(error.code(), ErrorCode::Unavailable);
    assert_eq!(
        error.message(),
        "the run was lost twice: worker 0 (fake) ended with signal: 9 (FAKE), then worker 1 \
         (fake) ended with signal: 9 (FAKE)"
    );
    assert_eq!(run(&good).unwrap(), expected(), "others go on");
    let status = house.until(|status| status.iter().all(|of| of.stage == WorkerStage::Up));
    let restarts: Vec<u64> = status.iter().map(|of| of.restarts).collect();
    assert_eq!(restarts, [1, 1, 0]);
}

#[test]
fn a_run_does_not_wait_for_longer_than_it_may() {
    let house = House::new(1);
    let gates = gates(&house);
    let model = house.load("/gated").unwrap();
    let poison = house.load("/poison").unwrap();
    // The second and the third end of a young worker are followed by a pause.
    let error = run(&poison).unwrap_err();
    assert!(
        error.message().starts_with("the run was lost twice"),
        "{error}"
    );
    let soon = Deadline::after(Duration::from_millis(50));
    let error = model.run(&request(soon)).unwrap_err();
    assert_eq!(error.code(), ErrorCode::Unavailable);
    assert_eq!(
        error.message(),
        "no worker has the model now: worker 0 (fake) ended with signal: 9 (FAKE); try again \
         later"
    );
    gates[0].open();
    assert_eq!(run(&model).unwrap(), expected(), "who may wait is answered");
}

#[test]
fn a_worker_without_a_model_is_ended_and_started_when_there_is_one() {
    let house = House::new(1);
    let one = house.load("/good").unwrap();
    let two = house.load("/good").unwrap();
    drop(one);
    let status = house.until(|status| status[0].models.len() == 1);
    assert_eq!(status[0].pid, Some(1), "there is another model");
    drop(two);
    let status = house.until(|status| status[0].pid.is_none());
    assert_eq!(status[0].stage, WorkerStage::Asleep);
    assert_eq!(status[0].restarts, 0, "it was told to end");
    let model = house.load("/good").unwrap();
    assert_eq!(run(&model).unwrap(), expected());
    assert_eq!(house.starts(), [2]);
}

#[test]
fn a_model_that_cannot_be_loaded_says_why_and_leaves_nothing() {
    let house = House::new(2);
    let error = house.load("/missing").unwrap_err();
    assert_eq!(error.code(), ErrorCode::NotFound);
    assert_eq!(error.message(), "there is no model in /missing");
    house.until(|status| {
        status
            .iter()
            .all(|of| of.pid.is_none() && of.models.is_empty())
    });
    assert!(house.load("/good").is_ok());
}

#[test]
fn a_model_that_ends_its_worker_at_load_fails_and_others_stay() {
    let house = House::new(1);
    let good = house.load("/good").unwrap();
    let error = house.load("/kills-loading").unwrap_err();
    assert_eq!(error.code(), ErrorCode::Unavailable);
    assert_eq!(
        error.message(),
        "worker 0 (fake) ended with signal: 9 (FAKE) while it loaded the model"
    );
    assert_eq!(run(&good).unwrap(), expected());
    assert_eq!(house.fleet.status()[0].models.len(), 1);
}

#[test]
fn a_worker_that_cannot_work_says_why() {
    let house = House::told(1, b"refuse");
    let error = house.load("/good").unwrap_err();
    assert_eq!(error.code(), ErrorCode::FailedPrecondition);
    assert_eq!(error.message(), "no library");
    let status = house.until(|status| status[0].stage == WorkerStage::Asleep);
    let end = status[0].last_end.as_deref();
    assert_eq!(end, Some("cannot work: no library"));
}

#[test]
fn a_worker_that_does_not_get_ready_is_ended() {
    let house = House::told(1, b"hang");
    let error = house.load("/good").unwrap_err();
    assert_eq!(error.code(), ErrorCode::Unavailable);
    assert_eq!(error.message(), "it was not ready after 1ms");
    house.until(|status| status[0].pid.is_none());
}

#[test]
fn the_end_does_not_wait_for_a_load() {
    let house = House::new(1);
    let model = house.load("/slow-again").unwrap();
    house.workers[0].kill();
    house.until(|status| status[0].restarts == 1 && status[0].pid == Some(2));
    let House { fleet, workers } = house;
    let ended = thread::spawn(move || drop(fleet));
    let give_up = Instant::now() + PATIENCE;
    while !ended.is_finished() {
        assert!(Instant::now() < give_up, "it waits for the load");
        thread::sleep(Duration::from_millis(1));
    }
    workers[0].may_load.store(true, Ordering::SeqCst);
    drop(model);
}

#[test]
fn a_panic_is_the_run_s_own_error() {
    let house = House::new(1);
    let model = house.load("/broken").unwrap();
    let error = run(&model).unwrap_err();
    assert_eq!(error.code(), ErrorCode::Internal);
    assert_eq!(house.fleet.status()[0].restarts, 0);
}

#[test]
fn a_run_whose_time_is_up_is_not_made() {
    let house = House::new(1);
    let model = house.load("/good").unwrap();
    let past = Deadline::at(Instant::now());
    let error = model.run(&request(past)).unwrap_err();
    assert_eq!(error.code(), ErrorCode::DeadlineExceeded);
    assert_eq!(house.fleet.status()[0].runs, 0);
}

#[test]
fn the_fleet_s_end_is_its_workers_end() {
    let house = House::new(2);
    let model = house.load("/good").unwrap();
    let House { fleet, workers } = house;
    drop(fleet);
    let error = run(&model).unwrap_err();
    assert_eq!(error.message(), "the server is shutting down");
    for worker in workers {
        let socket = worker.socket.lock().unwrap();
        let mut end = socket.as_ref().unwrap();
        assert_eq!(end.read(&mut [0]).unwrap(), 0, "it is closed");
    }
}
