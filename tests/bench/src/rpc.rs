//! Predict over gRPC beside the same over REST and the bare session: a small request and two large
//! ones, with 1, 8 and 64 clients, as a table with ratios.

use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use tensorgate_engine::{Call, Predictor as _, RunRequest};
use tensorgate_tensorflow::SavedModel;
use tensorgate_types::{DType, Deadline, Tensor};
use tokio::runtime::Runtime;

use crate::cpu::Usage;
use crate::load::{self, Arrivals, Load, Plan};
use crate::server::Server;
use crate::stats::Samples;
use crate::wire::Request;
use crate::{library, say};

const CLIENTS: [usize; 3] = [1, 8, 64];

/// What the server may hold for its clients: 64 requests and answers of 38 MiB, and as JSON.
const FLAGS: [&str; 3] = [
    "--max_body_bytes=1073741824",
    "--max_buffered_bytes=17179869184",
    "--sandbox_memory_bytes=2147483648",
];

/// A vector of floats for one signature of one model.
struct Payload<'a> {
    name: &'static str,
    model: &'static str,
    base_path: &'a Path,
    signature: &'static str,
    input: &'static str,
    values: Vec<f32>,
}

/// Prints the table. Each measurement takes `time`.
pub(crate) fn measure(binary: &Path, small: &Path, large: &Path, time: Duration) -> Result<()> {
    let runtime = Runtime::new()?;
    let library = library()?;
    say(&format!(
        "{} s each, clients and server on one machine of {} CPUs, one request under way per client",
        time.as_secs_f64(),
        thread::available_parallelism()?
    ));
    say("");
    say("| payload | over | clients | requests/s | p50 | p99 | of the bare session |");
    say("|---|---|--:|--:|--:|--:|--:|");
    for payload in [
        Payload {
            name: "3 floats",
            model: "half_plus_two",
            base_path: small,
            signature: "serving_default",
            input: "x",
            values: vec![1.0, 2.0, 5.0],
        },
        identity(large, "1 MiB", 1 << 20),
        identity(large, "38 MiB", 38 << 20),
    ] {
        let model = crate::load(library, payload.base_path)?;
        table(&runtime, binary, &model, &payload, time)?;
    }
    Ok(())
}

/// So many bytes of numbers that JSON needs six digits for.
fn identity<'a>(base_path: &'a Path, name: &'static str, bytes: u32) -> Payload<'a> {
    let values = (0..bytes / 4).map(|index| (index % 999_983) as f32 / 1e6);
    Payload {
        name,
        model: "identity",
        base_path,
        signature: "float",
        input: "x",
        values: values.collect(),
    }
}

fn table(
    runtime: &Runtime,
    binary: &Path,
    model: &SavedModel,
    payload: &Payload<'_>,
    time: Duration,
) -> Result<()> {
    let server = Server::start(binary, payload.model, payload.base_path, &FLAGS)?;
    let shape = [payload.values.len()];
    let request = Request {
        model: payload.model,
        signature: payload.signature,
        input: payload.input,
        shape: &shape,
        values: &payload.values,
    };
    let grpc = Load::grpc(
        "/tensorflow.serving.PredictionService/Predict",
        request.grpc(),
    );
    let path = format!("/v1/models/{}:predict", payload.model);
    let rest = Load::rest(&path, request.json())?;
    let (grpc, rest) = (Arc::new(grpc), Arc::new(rest));
    for clients in CLIENTS {
        let (bare, samples) = bare(model, payload, clients, time)?;
        let quantile = |share| samples.quantile(share).as_secs_f64() * 1e3;
        line(payload.name, "bare session", clients, bare, quantile, bare);
        for (over, address, load) in [
            ("gRPC", server.grpc, &grpc),
            ("REST", server.address, &rest),
        ] {
            let plan = Plan {
                connections: clients,
                arrivals: Arrivals::Closed,
                warm: time / 20,
                time,
            };
            let outcome = load::run(runtime, address, load, plan, &Usage::default)?;
            let name = payload.name;
            if outcome.times.is_empty() {
                say(&format!("| {name} | {over} | {clients} | none | | | |"));
            } else {
                let quantile = |share| outcome.ms(share);
                line(name, over, clients, outcome.rate(), quantile, bare);
            }
            if !outcome.failed.is_empty() {
                let failed = &outcome.failed;
                say(&format!(
                    "| {name} | {over} | {clients} | refused: {failed:?} | | | |"
                ));
            }
        }
    }
    server.stop()?;
    Ok(())
}

/// `ms` gives a quantile in milliseconds.
fn line(payload: &str, over: &str, clients: usize, rate: f64, ms: impl Fn(f64) -> f64, bare: f64) {
    say(&format!(
        "| {payload} | {over} | {clients} | {rate:.1} | {:.3} ms | {:.3} ms | {:.5} |",
        ms(0.5),
        ms(0.99),
        rate / bare
    ));
}

/// The session alone, on as many threads as there would be clients.
fn bare(
    model: &SavedModel,
    payload: &Payload<'_>,
    clients: usize,
    time: Duration,
) -> Result<(f64, Samples)> {
    let length = i64::try_from(payload.values.len()).context("a length fits")?;
    let input = Tensor::from_slice(DType::FLOAT, vec![length], &payload.values)?;
    let counted = Instant::now() + time / 20;
    let end = counted + time;
    let work = || -> Result<Vec<Duration>> {
        let mut times = Vec::new();
        loop {
            let start = Instant::now();
            if start > end && !times.is_empty() {
                return Ok(times);
            }
            let call = Call {
                signature: payload.signature.to_owned(),
                inputs: vec![(payload.input.to_owned(), input.clone())],
                outputs: Vec::new(),
            };
            model.run(&RunRequest::one(call, Deadline::NEVER))?;
            if start >= counted {
                times.push(start.elapsed());
            }
        }
    };
    let times = thread::scope(|scope| {
        let threads: Vec<_> = (0..clients).map(|_| scope.spawn(work)).collect();
        let mut times = Vec::new();
        for thread in threads {
            times.extend(thread.join().expect("a run does not panic")?);
        }
        Ok::<_, anyhow::Error>(times)
    })?;
    let took = counted.elapsed();
    Ok((times.len() as f64 / took.as_secs_f64(), Samples::new(times)))
}
