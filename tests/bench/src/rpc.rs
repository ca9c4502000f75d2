//! Predict over gRPC beside the same over REST and the bare session: a small request and two large
//! ones, with 1, 8 and 64 clients, as a table with ratios.

use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use tensorgate_engine::{Call, Predictor as _, RunRequest};
use tensorgate_tensorflow::SavedModel;
use tensorgate_types::{DType, Deadline, Tensor};
use tokio::runtime::Runtime;

use crate::load::{self, Load};
use crate::server::Server;
use crate::stats::Samples;
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
    let grpc = Arc::new(Load::Grpc {
        method: "/tensorflow.serving.PredictionService/Predict".to_owned(),
        body: message(payload),
    });
    let rest = Arc::new(Load::Rest {
        path: format!("/v1/models/{}:predict", payload.model),
        body: json(payload),
    });
    for clients in CLIENTS {
        let (bare, samples) = bare(model, payload, clients, time)?;
        line(payload.name, "bare session", clients, bare, &samples, bare);
        for (over, address, load) in [
            ("gRPC", server.grpc, &grpc),
            ("REST", server.address, &rest),
        ] {
            let outcome = load::run(runtime, address, load, clients, time)?;
            let failed = outcome.failed.clone();
            match outcome.figures() {
                Some((rate, samples)) => line(payload.name, over, clients, rate, &samples, bare),
                None => say(&format!(
                    "| {} | {over} | {clients} | none | | | |",
                    payload.name
                )),
            }
            if !failed.is_empty() {
                say(&format!(
                    "| {} | {over} | {clients} | refused: {failed:?} | | | |",
                    payload.name
                ));
            }
        }
    }
    server.stop()?;
    Ok(())
}

fn line(payload: &str, over: &str, clients: usize, rate: f64, samples: &Samples, bare: f64) {
    let ms = |share| samples.quantile(share).as_secs_f64() * 1e3;
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

/// A `PredictRequest` with its prefix. Numbers are those of TensorFlow Serving's protocol files.
fn message(payload: &Payload<'_>) -> Bytes {
    let content: Vec<u8> = payload
        .values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    let size = [vec![0x08], varint(payload.values.len())].concat();
    let tensor = [
        // dtype: DT_FLOAT
        vec![0x08, 1],
        // tensor_shape.dim.size
        field(2, &field(2, &size)),
        // tensor_content
        field(4, &content),
    ]
    .concat();
    let input = [field(1, payload.input.as_bytes()), field(2, &tensor)].concat();
    let spec = [
        field(1, payload.model.as_bytes()),
        field(3, payload.signature.as_bytes()),
    ]
    .concat();
    let request = [field(1, &spec), field(2, &input)].concat();
    let length = u32::try_from(request.len()).expect("a payload is below 4 GiB");
    [&[0][..], &length.to_be_bytes(), &request].concat().into()
}

fn field(number: u8, value: &[u8]) -> Vec<u8> {
    let mut field = vec![number << 3 | 2];
    field.extend(varint(value.len()));
    field.extend(value);
    field
}

fn varint(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    bytes.push(value.to_le_bytes()[0]);
    bytes
}

fn json(payload: &Payload<'_>) -> Bytes {
    let values: Vec<String> = payload.values.iter().map(ToString::to_string).collect();
    format!(
        "{{\"signature_name\": \"{}\", \"instances\": [{}]}}",
        payload.signature,
        values.join(", ")
    )
    .into()
}
