//! What the belt itself costs: requests per second through queue, cut, join, split and answer,
//! with a model that does nothing, on however many cores it is given.
//!
//! The clients run in the same process, and so do their requests' allocations. What they take by
//! themselves is measured first, with requests that are answered where they are made; the last
//! column is without it.
//!
//!     cargo run --release -p tensorgate-batching --example belt_cost
//!     taskset -c 0 target/release/examples/belt_cost      # on one core

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints, and ends where it fails"
)]

use std::sync::Arc;
use std::time::Instant;

use tensorgate_batching::{Belt, BeltOptions, Lane, LaneOptions};
use tensorgate_engine::fake::FakeModel;
use tensorgate_engine::{Call, NamedTensors, Predictor, RunRequest};
use tensorgate_types::{DType, Deadline, Priority, Result, ServableId, Tensor};
use tokio::sync::oneshot;

/// As the server has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const REQUESTS: usize = 1_000_000;

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    println!(
        "| clients | rows a batch at most | requests/s | per CPU-second | without the clients' | \
         requests a batch |"
    );
    println!("|--:|--:|--:|--:|--:|--:|");
    for (clients, size) in [(1, 32), (64, 32), (256, 128), (1024, 1000)] {
        let model = Arc::new(FakeModel::new().with_behaviour(|call| Ok(call.inputs.clone())));
        let options = LaneOptions {
            max_batch_size: size,
            max_enqueued_batches: 10_000,
            ..LaneOptions::default()
        };
        let id = ServableId::new("m", 1);
        let lane = Arc::new(Lane::new(id, model.signatures(), options));
        let options = BeltOptions {
            threads: 1,
            ..BeltOptions::default()
        };
        let belt = Belt::new(&options, ()).unwrap();
        let bare = runtime.block_on(measure(clients, async |request| {
            let (answer, answered) = oneshot::channel();
            let RunRequest { mut calls, .. } = request;
            let inputs = calls.pop().unwrap().inputs;
            answer.send(Ok(vec![inputs])).unwrap();
            answered.await.unwrap()
        }));
        let whole = runtime.block_on(measure(clients, |request| {
            belt.run(&lane, Arc::clone(&model), request, Priority::Normal)
        }));
        let stats = belt.stats();
        let riders = stats.riders as f64;
        println!(
            "| {clients} | {size} | {:.0} | {:.0} | {:.0} | {:.1} |",
            riders / whole.seconds,
            riders / whole.cpu_seconds,
            riders / (whole.cpu_seconds - bare.cpu_seconds),
            riders / stats.batches as f64
        );
    }
}

struct Measured {
    seconds: f64,
    cpu_seconds: f64,
}

/// Sends `REQUESTS` requests, so many at a time as there are clients.
async fn measure<F>(clients: usize, send: impl Fn(RunRequest) -> F) -> Measured
where
    F: Future<Output = Result<Vec<NamedTensors>>>,
{
    let x = Tensor::from_slice(DType::FLOAT, vec![1], &[1.0f32]).unwrap();
    let (start, cpu) = (Instant::now(), cpu_seconds());
    for _ in 0..REQUESTS / clients {
        let answers = (0..clients).map(|_| {
            let call = Call {
                signature: "serving_default".to_owned(),
                inputs: vec![("x".to_owned(), x.clone())],
                outputs: Vec::new(),
            };
            send(RunRequest::one(call, Deadline::NEVER))
        });
        for answer in futures_util::future::join_all(answers).await {
            answer.unwrap();
        }
    }
    Measured {
        seconds: start.elapsed().as_secs_f64(),
        cpu_seconds: cpu_seconds() - cpu,
    }
}

/// What this process has used of the processors, in seconds: what other work on the machine hardly
/// changes.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split(' ').collect();
    // utime and stime, in hundredths of a second; see proc_pid_stat(5).
    let ticks = |index: usize| fields[index].parse::<f64>().unwrap();
    (ticks(12) + ticks(13)) / 100.0
}
