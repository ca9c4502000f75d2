//! What a run costs, layer by layer: the session alone, the safe layer round it, the run pool.
//!
//! ```text
//! cargo run --release -p tensorgate-tensorflow --example run_cost -- [RUNS]
//! ```
//!
//! Runs half_plus_two with one number, from one caller. The layers take turns, in rounds, so that
//! a machine that grows slower meanwhile is slower for all of them; the median of the rounds and
//! the fastest are printed. The session alone is what this crate's own calls cost without making
//! tensors, names or errors: feeds and fetches are set up once. Once as TensorFlow computes by
//! default, on its inter-op pool, and once as everything below it does, on the calling thread.

#![expect(clippy::print_stdout, reason = "prints a table")]

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tensorgate_engine::{Call, NamedTensors, Predictor, RunPool, RunPoolOptions, RunRequest};
use tensorgate_tensorflow::{Library, Lookup, SavedModel, SavedModelLoader, Scheduling, Wanted};
use tensorgate_types::{DType, Deadline, Result as RunResult, Signatures, Tensor};

const ROUNDS: usize = 21;

fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let runs = std::env::args()
        .nth(1)
        .map_or(Ok(100_000), |runs| runs.parse::<usize>())?;
    let per_round = (runs / ROUNDS).max(1);
    let named = std::env::var_os("TENSORGATE_LIBTENSORFLOW").map(PathBuf::from);
    let started = Instant::now();
    let library = Library::find(&Lookup::for_this_process(Wanted::TensorFlow, None, named))?;
    println!(
        "open libtensorflow {}: {:.0?}",
        library.version(),
        started.elapsed()
    );
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.tensorgate/test-models");
    let started = Instant::now();
    let dir = models.join("half_plus_two/00000123");
    let loader = SavedModelLoader::new(library);
    let model = loader.load(&dir)?;
    println!("load half_plus_two: {:.0?}", started.elapsed());
    let model = Arc::new(model);
    let on_pool = SavedModelLoader {
        scheduling: Scheduling::InterOpPool,
        ..loader
    };
    let on_pool = on_pool.load(&dir)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_time()
        .build()?;
    let pool = RunPool::new(RunPoolOptions {
        threads: 2,
        queue: 64,
    })?;
    let forever = request(Deadline::NEVER)?;
    let limited = request(Deadline::after(Duration::from_secs(3600)))?;

    let mut layers = [
        Layer::new("session alone, inter-op pool"),
        Layer::new("session alone, calling thread"),
        Layer::new("SavedModel::run"),
        Layer::new("SavedModel::run with a deadline"),
        Layer::new("RunPool::run"),
        Layer::new("RunPool::run with a deadline"),
        Layer::new("RunPool::run of nothing (the hop)"),
    ];
    let nothing = Arc::new(Nothing(Arc::clone(&model)));
    for _round in 0..ROUNDS {
        layers[0].round(per_round, || on_pool.run_bare(&forever, per_round))?;
        layers[1].round(per_round, || model.run_bare(&forever, per_round))?;
        layers[2].round(per_round, || repeat(&model, &forever, per_round))?;
        layers[3].round(per_round, || repeat(&model, &limited, per_round))?;
        layers[4].round(per_round, || {
            runtime.block_on(hop(&pool, &model, &forever, per_round))
        })?;
        layers[5].round(per_round, || {
            runtime.block_on(hop(&pool, &model, &limited, per_round))
        })?;
        layers[6].round(per_round, || {
            runtime.block_on(hop(&pool, &nothing, &forever, per_round))
        })?;
    }
    println!(
        "\n{:<36} {:>12} {:>12}",
        "one run of half_plus_two", "median µs", "fastest µs"
    );
    for layer in &mut layers {
        layer.print();
    }
    Ok(())
}

/// One row of the table.
struct Layer {
    name: &'static str,
    /// Time per run, one per round.
    rounds: Vec<Duration>,
}

impl Layer {
    fn new(name: &'static str) -> Self {
        Self {
            name,
            rounds: Vec::new(),
        }
    }

    fn round(&mut self, runs: usize, work: impl FnOnce() -> RunResult<()>) -> RunResult<()> {
        let started = Instant::now();
        work()?;
        self.rounds
            .push(started.elapsed() / u32::try_from(runs).unwrap_or(u32::MAX));
        Ok(())
    }

    fn print(&mut self) {
        self.rounds.sort_unstable();
        let micros = |round: Duration| round.as_secs_f64() * 1e6;
        let median = micros(self.rounds[self.rounds.len() / 2]);
        println!(
            "{:<36} {:>12.2} {:>12.2}",
            self.name,
            median,
            micros(self.rounds[0])
        );
    }
}

fn request(deadline: Deadline) -> RunResult<RunRequest> {
    let x = Tensor::from_slice(DType::FLOAT, vec![1], &[1.0f32])?;
    let call = Call {
        signature: "serving_default".to_owned(),
        inputs: vec![("x".to_owned(), x)],
        outputs: vec![],
    };
    Ok(RunRequest::one(call, deadline))
}

fn repeat(model: &SavedModel, request: &RunRequest, runs: usize) -> RunResult<()> {
    for _run in 0..runs {
        model.run(request)?;
    }
    Ok(())
}

async fn hop<P: Predictor>(
    pool: &RunPool,
    model: &Arc<P>,
    request: &RunRequest,
    runs: usize,
) -> RunResult<()> {
    for _run in 0..runs {
        pool.run(Arc::clone(model), request.clone()).await?;
    }
    Ok(())
}

/// A model whose run does nothing.
struct Nothing(Arc<SavedModel>);

impl Predictor for Nothing {
    fn signatures(&self) -> &Signatures {
        self.0.signatures()
    }

    fn signature_defs(&self) -> &[(String, Bytes)] {
        self.0.signature_defs()
    }

    fn run(&self, _request: &RunRequest) -> RunResult<Vec<NamedTensors>> {
        Ok(Vec::new())
    }
}
