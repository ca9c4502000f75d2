//! A fleet whose workers are threads of this process: the protocol and the supervisor are real,
//! what is loaded are fakes.

use std::io::{self, Read as _};
use std::net::Shutdown;
use std::ops::Range;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tensorgate_engine::fake::{FakeModel, Gate};
use tensorgate_engine::{Call, Predictor as _, RunRequest};
use tensorgate_types::{DType, Deadline, Error, Result, Tensor};
use tensorgate_workers::{
    Device, Fleet, FleetModel, Hosted, Launch, Lodging, Process, Runtime, WorkerSpec, WorkerStatus,
    work,
};

/// How long something may take that is about to happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Runs that wait for a worker while another one is up.
pub(crate) const MAX_WAITING: usize = 2;

/// What happens to a worker, seen and done from outside.
#[derive(Clone, Default)]
pub(crate) struct Outside {
    started: Arc<AtomicU32>,
    /// The worker's end of the socket of the process that runs now.
    pub(crate) socket: Arc<Mutex<Option<UnixStream>>>,
    /// Runs of the model at `/gated` wait here.
    gate: Arc<Mutex<Option<Gate>>>,
    /// Whether the models at `/slow-again` and `/kills-again` may be loaded a second time.
    pub(crate) may_load: Arc<AtomicBool>,
}

impl Outside {
    pub(crate) fn kill(&self) {
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
            "/kills-again" => {
                let is_first = outside.started.load(Ordering::SeqCst) == 1;
                if !is_first && !outside.may_load.load(Ordering::SeqCst) {
                    outside.kill();
                }
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

pub(crate) struct House {
    pub(crate) fleet: Fleet,
    pub(crate) workers: Vec<Outside>,
}

impl House {
    pub(crate) fn new(count: usize) -> Self {
        Self::told(count, b"")
    }

    pub(crate) fn told(count: usize, settings: &'static [u8]) -> Self {
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
            left_out: Duration::from_millis(1),
        });
        Self {
            fleet: Fleet::new(specs.collect(), 8, MAX_WAITING).unwrap(),
            workers,
        }
    }

    pub(crate) fn load(&self, path: &str) -> Result<FleetModel> {
        self.load_on(path, 0..self.workers.len())
    }

    pub(crate) fn load_on(&self, path: &str, workers: Range<usize>) -> Result<FleetModel> {
        let lodgings = workers.map(|worker| Lodging {
            worker,
            how: Bytes::from(format!("worker {worker}")),
        });
        self.fleet.load("m:1", Path::new(path), lodgings.collect())
    }

    pub(crate) fn until(&self, done: impl Fn(&[WorkerStatus]) -> bool) -> Vec<WorkerStatus> {
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

    pub(crate) fn starts(&self) -> Vec<u32> {
        let starts = self.workers.iter();
        starts
            .map(|worker| worker.started.load(Ordering::SeqCst))
            .collect()
    }
}

pub(crate) fn request(deadline: Deadline) -> RunRequest {
    let x = Tensor::from_slice(DType::FLOAT, vec![2], &[2.0f32, 4.0]).unwrap();
    let call = Call {
        signature: "serving_default".to_owned(),
        inputs: vec![("x".to_owned(), x)],
        outputs: Vec::new(),
    };
    RunRequest::one(call, deadline)
}

pub(crate) fn run(model: &FleetModel) -> Result<String> {
    let outputs = model.run(&request(Deadline::NEVER))?;
    Ok(format!("{outputs:?}"))
}

/// What every run gives.
pub(crate) fn expected() -> String {
    format!(
        "{:?}",
        FakeModel::new().run(&request(Deadline::NEVER)).unwrap()
    )
}

pub(crate) fn gates(house: &House) -> Vec<Gate> {
    let gates: Vec<Gate> = house.workers.iter().map(|_| Gate::new()).collect();
    for (worker, gate) in house.workers.iter().zip(&gates) {
        *worker.gate.lock().unwrap() = Some(gate.clone());
    }
    gates
}
