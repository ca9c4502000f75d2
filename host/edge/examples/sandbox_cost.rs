//! What the sandbox adds to a request: a fresh store and instance, the call, the copies, and the
//! end of it all.
//!
//! `cargo run --release -p tensorgate-edge --example sandbox_cost` measures the components that
//! `cargo xtask guests` has built, against a model that costs nothing, with one client on one
//! thread and the default limits. It prints how many instances were made beside the requests.
//! An argument picks the cases whose name contains it; `KEEP_RESIDENT` (bytes) overrides that one
//! limit, to see what page faults cost.

#![expect(clippy::print_stdout, reason = "a report is what this is for")]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tensorgate_edge::{
    BoxFuture, Call, EdgeEngine, EdgeLimits, Gateway, Models, NamedTensors, OpenModel, Outcome,
    RestRequest, Services, Telemetry,
};
use tensorgate_types::{
    DEFAULT_SIGNATURE, DType, Deadline, ModelSpec, ModelVersionStatus, PREDICT_METHOD, Result,
    ServableId, ShapeCheck, Signature, Signatures, Tensor, TensorInfo,
};

const REQUESTS: usize = 20_000;
const WARM_UP: usize = 2_000;

/// Answers at once: the default signature always the same, the other what it was given.
struct Nothing {
    id: ServableId,
    signatures: Signatures,
}

struct House(Arc<Nothing>);

impl House {
    fn new() -> Self {
        let info = |name: &str| TensorInfo {
            tensor_name: format!("{name}:0"),
            dtype: DType::FLOAT,
            shape: Some(vec![-1, 1]),
            optional: false,
        };
        let signature = Signature {
            method_name: PREDICT_METHOD.to_owned(),
            inputs: [("x".to_owned(), info("x"))].into(),
            outputs: [("y".to_owned(), info("y"))].into(),
        };
        Self(Arc::new(Nothing {
            id: ServableId::new("half_plus_two", 123),
            signatures: [
                (DEFAULT_SIGNATURE.to_owned(), signature.clone()),
                ("double".to_owned(), signature),
            ]
            .into(),
        }))
    }
}

impl Models for House {
    fn open(&self, _spec: &ModelSpec, _request_bytes: usize) -> Result<Arc<dyn OpenModel>> {
        Ok(Arc::clone(&self.0) as Arc<dyn OpenModel>)
    }

    fn status(&self, _name: &str, _version: Option<i64>) -> Result<Vec<ModelVersionStatus>> {
        Ok(Vec::new())
    }
}

impl Telemetry for House {
    fn report(&self, _outcome: Outcome) {}
}

impl OpenModel for Nothing {
    fn id(&self) -> &ServableId {
        &self.id
    }

    fn signatures(&self) -> &Signatures {
        &self.signatures
    }

    fn signature_defs(&self) -> &[(String, Bytes)] {
        &[]
    }

    fn shape_check(&self) -> ShapeCheck {
        ShapeCheck::Lenient
    }

    fn run(
        &self,
        calls: Vec<Call>,
        _deadline: Deadline,
    ) -> BoxFuture<'_, Result<Vec<NamedTensors>>> {
        Box::pin(async move { calls.into_iter().map(answer).collect() })
    }
}

fn answer(mut call: Call) -> Result<NamedTensors> {
    let (_, mut output) = call.inputs.pop().expect("inputs were checked");
    if call.signature == DEFAULT_SIGNATURE {
        // Three numbers, however many came: writing numbers is not what is measured.
        output = Tensor::from_slice(DType::FLOAT, vec![3], &[2.5f32, 3.0, 4.5])?;
    }
    Ok(vec![("y".to_owned(), output)])
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(measure())
}

async fn measure() -> Result<(), Box<dyn std::error::Error>> {
    let mut limits = EdgeLimits::default();
    if let Ok(keep) = std::env::var("KEEP_RESIDENT") {
        limits.keep_resident = keep.parse()?;
    }
    println!(
        "default limits, keep_resident {} KiB",
        limits.keep_resident >> 10
    );
    let engine = EdgeEngine::new(limits, None)?;
    let small = Bytes::from_static(br#"{"instances": [1.0, 2.0, 5.0]}"#);
    let floats: Vec<u8> = (0..150_528)
        .flat_map(|i| (i as f32).to_le_bytes())
        .collect();
    let predict = "/v1/models/half_plus_two:predict";
    let cases = [
        ("echo, nothing to do", "examples/echo", "/x", Bytes::new()),
        (
            "echo, 602 kB in and out of a model",
            "examples/echo",
            "/predict",
            floats.into(),
        ),
        (
            "gateway, 404",
            "tensorgate_gateway",
            "/nothing",
            Bytes::new(),
        ),
        (
            "gateway, half_plus_two's body",
            "tensorgate_gateway",
            predict,
            small,
        ),
        (
            "gateway, row JSON of 1.7 MB",
            "tensorgate_gateway",
            predict,
            large_json(),
        ),
    ];
    let wanted = std::env::args().nth(1).unwrap_or_default();
    for (name, component, path, body) in cases {
        if !name.contains(&wanted) {
            continue;
        }
        let gateway = load(&engine, component).await?;
        let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        let request = RestRequest {
            method: "POST".to_owned(),
            path: path.to_owned(),
            headers,
            body,
        };
        println!("{name}");
        report(&engine, &gateway, &request).await;
    }
    Ok(())
}

async fn report(engine: &EdgeEngine, gateway: &Gateway, request: &RestRequest) {
    let large = request.body.len() > 100_000;
    let rounds = if large { REQUESTS / 20 } else { REQUESTS };
    let before = engine.stats();
    let whole = times(rounds, || async {
        let deadline = Deadline::after(Duration::from_secs(30));
        let answer = gateway.handle(request.clone(), deadline).await;
        answer.expect("an answer")
    })
    .await;
    let after = engine.stats();
    let instance = times(rounds, || async {
        gateway.try_out().await.expect("an instance");
    })
    .await;
    let requests = after.requests - before.requests;
    println!("  whole request:           {whole}");
    println!("  of that, store+instance: {instance}");
    println!(
        "  requests {requests}, instances {}, bytes in {} and out {} per request",
        after.instances - before.instances,
        (after.bytes_to_guests - before.bytes_to_guests) / requests,
        (after.bytes_from_guests - before.bytes_from_guests) / requests,
    );
}

async fn load(engine: &EdgeEngine, name: &str) -> Result<Gateway, Box<dyn std::error::Error>> {
    let built = PathBuf::from("target/guests/wasm32-wasip2/guest").join(format!("{name}.wasm"));
    let wasm = std::fs::read(&built)
        .map_err(|error| format!("{}: {error}; run `cargo xtask guests`", built.display()))?;
    let house = Arc::new(House::new());
    Ok(engine
        .load(wasm.into(), Services::new(house.clone(), house))
        .await?)
}

fn large_json() -> Bytes {
    let values: Vec<String> = (0..150_528)
        .map(|i| format!("{:.8}", f64::from(i % 1000) / 1001.0))
        .collect();
    format!("{{\"instances\": [{}]}}", values.join(", ")).into()
}

struct Times {
    median: Duration,
    p99: Duration,
}

impl std::fmt::Display for Times {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let micros = |time: Duration| time.as_secs_f64() * 1e6;
        write!(
            f,
            "median {:8.1} us, p99 {:8.1} us",
            micros(self.median),
            micros(self.p99)
        )
    }
}

async fn times<T, F: Future<Output = T>>(rounds: usize, call: impl Fn() -> F) -> Times {
    for _ in 0..WARM_UP.min(rounds) {
        call().await;
    }
    let mut times = Vec::with_capacity(rounds);
    for _ in 0..rounds {
        let begin = Instant::now();
        let result = call().await;
        times.push(begin.elapsed());
        drop(result);
    }
    times.sort_unstable();
    Times {
        median: times[rounds / 2],
        p99: times[rounds * 99 / 100],
    }
}
