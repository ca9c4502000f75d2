//! What it costs to run a model in a worker: the same runs here and through one.
//!
//! ```text
//! cargo run --release -p tensorgate-tensorflow --example worker_hop -- [SECONDS]
//! ```
//!
//! half_plus_two with one number, and the CNN of the benchmarks with 1 and 32 images. The two take
//! turns, in rounds, so that a machine that grows slower meanwhile is slower for both; the fastest
//! rounds are printed, which others on the machine have disturbed least. From one caller: nothing
//! else has anything to do.

#![expect(clippy::print_stdout, reason = "prints a table")]

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tensorgate_engine::{Call, Predictor, RunRequest};
use tensorgate_tensorflow::{Library, Lookup, SavedModelLoader, Wanted};
use tensorgate_types::{AlignedBuffer, DType, Deadline, Error as RunError, Result, Tensor};
use tensorgate_workers::{
    Fleet, Hosted, Lodging, Program, Runtime, WorkerSpec, end_this_process, inherited_socket, work,
};

const ROUNDS: u32 = 31;

/// This program as a worker.
const WORKER: &str = "worker";

struct TensorFlow(SavedModelLoader);

impl TensorFlow {
    fn open() -> Result<Self> {
        let named = std::env::var_os("TENSORGATE_LIBTENSORFLOW").map(PathBuf::from);
        let lookup = Lookup::for_this_process(Wanted::TensorFlow, None, named);
        let library =
            Library::find(&lookup).map_err(|error| RunError::internal(error.to_string()))?;
        Ok(Self(SavedModelLoader::new(library)))
    }
}

impl Runtime for TensorFlow {
    fn load(&self, path: &Path, _how: &[u8]) -> Result<Hosted> {
        Ok(Hosted {
            model: Box::new(self.0.load(path)?),
            devices: Vec::new(),
        })
    }
}

fn main() -> std::result::Result<(), Box<dyn Error + Send + Sync>> {
    let argument = std::env::args().nth(1);
    if argument.as_deref() == Some(WORKER) {
        work(
            inherited_socket()?,
            |_told| TensorFlow::open(),
            end_this_process,
        )?;
        return Ok(());
    }
    let seconds = argument.map_or(Ok(2.0), |seconds| seconds.parse::<f64>())?;
    let per_round = Duration::from_secs_f64(seconds.clamp(0.1, 600.0)) / ROUNDS;
    let here = TensorFlow::open()?;
    let launch = Program {
        args: vec![WORKER.to_owned()],
        ..Program::default()
    };
    let worker = WorkerSpec {
        device: "cpu".to_owned(),
        settings: Bytes::new(),
        launch: Box::new(launch),
        start_limit: Duration::from_secs(120),
        left_out: Duration::from_secs(30),
    };
    let fleet = Fleet::new(vec![worker], 4, 2)?;
    println!(
        "{:<34} {:>10} {:>12} {:>10} {:>7}",
        "one run", "here µs", "worker µs", "hop µs", "ratio"
    );
    let set_up = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.tensorgate");
    for (name, model, shape) in [
        ("half_plus_two, 1 number", "half_plus_two", vec![1]),
        (
            "half_plus_two, 1,000,000 numbers",
            "half_plus_two",
            vec![1_000_000],
        ),
        ("CNN, 1 image", "cnn", vec![1, 28, 28, 1]),
        ("CNN, 32 images", "cnn", vec![32, 28, 28, 1]),
    ] {
        let path = set_up.join("bench-models").join(model).join("1");
        let local = here.0.load(&path)?;
        let lodging = Lodging {
            worker: 0,
            how: Bytes::new(),
        };
        let away = fleet.load(name, &path, vec![lodging])?;
        let request = request(&local, &shape)?;
        let mut times = [Vec::new(), Vec::new()];
        for _round in 0..ROUNDS {
            times[0].push(time(&local, &request, per_round)?);
            times[1].push(time(&away, &request, per_round)?);
        }
        let fastest = |times: Vec<f64>| times.into_iter().fold(f64::INFINITY, f64::min);
        let [here, there] = times.map(fastest);
        let (hop, ratio) = (there - here, there / here);
        println!("{name:<34} {here:>10.1} {there:>12.1} {hop:>10.1} {ratio:>7.2}");
    }
    Ok(())
}

/// A run of the one signature with the one input that these models have.
fn request(model: &impl Predictor, shape: &[i64]) -> Result<RunRequest> {
    let (name, signature) = model
        .signatures()
        .iter()
        .find(|(name, _)| *name == "serving_default")
        .ok_or_else(|| RunError::internal("no serving_default"))?;
    let input = signature.inputs.keys().next().cloned().unwrap_or_default();
    let elements: i64 = shape.iter().product();
    let bytes = AlignedBuffer::zeroed(usize::try_from(elements).unwrap_or(0) * 4).into_bytes();
    let call = Call {
        signature: name.clone(),
        inputs: vec![(input, Tensor::fixed(DType::FLOAT, shape.to_vec(), bytes)?)],
        outputs: Vec::new(),
    };
    Ok(RunRequest::one(call, Deadline::NEVER))
}

/// Microseconds of a run, over so long.
fn time(model: &dyn Predictor, request: &RunRequest, long: Duration) -> Result<f64> {
    let start = Instant::now();
    let mut runs = 0_u32;
    while start.elapsed() < long {
        model.run(request)?;
        runs += 1;
    }
    Ok(start.elapsed().as_secs_f64() * 1e6 / f64::from(runs.max(1)))
}
