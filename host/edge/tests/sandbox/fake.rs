//! Models that tests lend to programs: one model, `m`, whose version 3 doubles floats and gives
//! anything else back as it is; and lists of what was reported, asked for and written down.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use tensorgate_edge::{
    BoxFuture, Call, LogEntry, Management, Models, NamedTensors, OpenModel, Outcome, Processor,
    RequestLog, Services, Telemetry, Usage,
};
use tensorgate_types::{
    DType, Deadline, Error, ErrorCode, ModelConfig, ModelSpec, ModelVersionStatus, PREDICT_METHOD,
    Result, ServableId, ServableState, Settings, ShapeCheck, Signature, Signatures, Tensor,
    TensorData, TensorInfo, VersionChoice,
};
use tokio::sync::Semaphore;

/// The house that a gateway is given.
#[derive(Clone)]
pub(crate) struct Fake(Arc<Inner>);

struct Inner {
    id: ServableId,
    signatures: Signatures,
    defs: Vec<(String, Bytes)>,
    /// A run takes a permit. Tests that want to see a run wait begin with none.
    runs: Semaphore,
    /// Models that programs hold now.
    held: AtomicUsize,
    /// Runs that are under way, waiting ones too.
    running: AtomicUsize,
    reports: Mutex<Vec<Outcome>>,
    reloads: Mutex<Vec<Option<Vec<ModelConfig>>>>,
    /// How often somebody asked whether to write a request down.
    draws: AtomicUsize,
    entries: Mutex<Vec<LogEntry>>,
    /// Bytes that each run gives, zeros, in the place of its answer; 0 for the answer.
    puffed: AtomicUsize,
    /// What stands before the model, once a test has given it something.
    processor: Mutex<Option<Processor>>,
    /// What requests used of it.
    usages: Mutex<Vec<Usage>>,
}

impl Fake {
    /// Models that answer at once.
    pub(crate) fn ready() -> Self {
        Self::with_runs(Semaphore::MAX_PERMITS)
    }

    /// Models that run when [`let_run`](Self::let_run) says so.
    pub(crate) fn waiting() -> Self {
        Self::with_runs(0)
    }

    fn with_runs(runs: usize) -> Self {
        Self(Arc::new(Inner {
            id: ServableId::new("m", 3),
            signatures: [
                ("double".to_owned(), signature(DType::FLOAT)),
                ("same".to_owned(), signature(DType::STRING)),
            ]
            .into(),
            defs: vec![
                ("double".to_owned(), Bytes::from_static(b"proto")),
                ("same".to_owned(), Bytes::new()),
            ],
            runs: Semaphore::new(runs),
            held: AtomicUsize::new(0),
            running: AtomicUsize::new(0),
            reports: Mutex::default(),
            reloads: Mutex::default(),
            draws: AtomicUsize::new(0),
            entries: Mutex::default(),
            puffed: AtomicUsize::new(0),
            processor: Mutex::default(),
            usages: Mutex::default(),
        }))
    }

    /// Puts a processor before the model, for requests that come from now on.
    pub(crate) fn put_before(&self, processor: Processor) {
        *self.0.processor.lock().expect("no panic") = Some(processor);
    }

    /// Makes runs give so many bytes of zeros, which take no memory until somebody looks at them.
    pub(crate) fn puff(&self, bytes: usize) {
        self.0.puffed.store(bytes, Ordering::SeqCst);
    }

    pub(crate) fn id(&self) -> &ServableId {
        &self.0.id
    }

    pub(crate) fn signatures(&self) -> &Signatures {
        &self.0.signatures
    }

    pub(crate) fn usages(&self) -> Vec<Usage> {
        self.0.usages.lock().expect("no panic").clone()
    }

    pub(crate) fn let_run(&self, runs: usize) {
        self.0.runs.add_permits(runs);
    }

    /// Models that programs hold now.
    pub(crate) fn held(&self) -> usize {
        self.0.held.load(Ordering::SeqCst)
    }

    /// Waits until so many runs are under way.
    pub(crate) async fn until_running(&self, runs: usize) {
        until(&self.0.running, runs).await;
    }

    /// Waits until no models are held.
    pub(crate) async fn until_let_go(&self) {
        until(&self.0.held, 0).await;
    }

    /// Everything that it can be asked for.
    pub(crate) fn services(&self) -> Services {
        let fake = Arc::new(self.clone());
        Services {
            models: fake.clone(),
            telemetry: fake.clone(),
            management: fake.clone(),
            request_log: fake,
            settings: Settings {
                tensor_content: true,
                check_method_names: false,
            },
        }
    }

    pub(crate) fn reloads(&self) -> Vec<Option<Vec<ModelConfig>>> {
        self.0.reloads.lock().expect("no panic").clone()
    }

    pub(crate) fn draws(&self) -> usize {
        self.0.draws.load(Ordering::SeqCst)
    }

    pub(crate) fn entries(&self) -> Vec<LogEntry> {
        self.0.entries.lock().expect("no panic").clone()
    }

    pub(crate) fn reports(&self) -> Vec<Outcome> {
        self.0.reports.lock().expect("no panic").clone()
    }
}

fn signature(dtype: DType) -> Signature {
    let info = |name: &str| TensorInfo {
        tensor_name: format!("{name}:0"),
        dtype,
        shape: Some(vec![-1]),
        optional: false,
    };
    Signature {
        method_name: PREDICT_METHOD.to_owned(),
        inputs: [("x".to_owned(), info("x"))].into(),
        outputs: [("y".to_owned(), info("y"))].into(),
    }
}

impl Models for Fake {
    fn open(&self, spec: &ModelSpec, _request_bytes: usize) -> Result<Arc<dyn OpenModel>> {
        match (spec.name.as_str(), &spec.version) {
            ("m", VersionChoice::Latest | VersionChoice::Specific(3)) => {}
            ("m", VersionChoice::Label(label)) if label == "stable" => {}
            _ => {
                return Err(Error::not_found(format!(
                    "Servable not found for request: {spec}"
                )));
            }
        }
        self.0.held.fetch_add(1, Ordering::SeqCst);
        Ok(Arc::new(Opened(Arc::clone(&self.0))))
    }

    fn status(&self, _name: &str, _version: Option<i64>) -> Result<Vec<ModelVersionStatus>> {
        Ok(vec![
            ModelVersionStatus {
                version: 3,
                state: ServableState::Available,
                status: Ok(()),
            },
            ModelVersionStatus {
                version: 2,
                state: ServableState::End,
                status: Err((ErrorCode::DataLoss, "damaged".to_owned())),
            },
        ])
    }
}

impl Telemetry for Fake {
    fn report(&self, outcome: Outcome) {
        self.0.reports.lock().expect("no panic").push(outcome);
    }

    fn processed(&self, usage: Usage) {
        self.0.usages.lock().expect("no panic").push(usage);
    }
}

impl Management for Fake {
    fn reload(
        &self,
        models: Option<Vec<ModelConfig>>,
        metric_names: Vec<String>,
        _deadline: Deadline,
    ) -> BoxFuture<'_, Result<Vec<(String, i64)>>> {
        self.0.reloads.lock().expect("no panic").push(models);
        let grown = metric_names.into_iter().map(|name| (name, 1)).collect();
        Box::pin(async { Ok(grown) })
    }
}

impl RequestLog for Fake {
    fn sampled(&self, _model: &str) -> bool {
        self.0.draws.fetch_add(1, Ordering::SeqCst);
        true
    }

    fn write(&self, entry: LogEntry) {
        self.0.entries.lock().expect("no panic").push(entry);
    }
}

async fn until(number: &AtomicUsize, expected: usize) {
    let mut tries = 0;
    while number.load(Ordering::SeqCst) != expected {
        tries += 1;
        assert!(tries < 10_000, "{number:?} and not {expected}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// A run that is under way, for as long as this lives.
struct Running<'a>(&'a AtomicUsize);

impl<'a> Running<'a> {
    fn new(running: &'a AtomicUsize) -> Self {
        running.fetch_add(1, Ordering::SeqCst);
        Self(running)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

struct Opened(Arc<Inner>);

impl Drop for Opened {
    fn drop(&mut self) {
        self.0.held.fetch_sub(1, Ordering::SeqCst);
    }
}

impl OpenModel for Opened {
    fn id(&self) -> &ServableId {
        &self.0.id
    }

    fn signatures(&self) -> &Signatures {
        &self.0.signatures
    }

    fn signature_defs(&self) -> &[(String, Bytes)] {
        &self.0.defs
    }

    fn shape_check(&self) -> ShapeCheck {
        ShapeCheck::Lenient
    }

    fn processor(&self) -> Option<Processor> {
        self.0.processor.lock().expect("no panic").clone()
    }

    fn run(
        &self,
        calls: Vec<Call>,
        _deadline: Deadline,
    ) -> BoxFuture<'_, Result<Vec<NamedTensors>>> {
        Box::pin(async move {
            let _running = Running::new(&self.0.running);
            let run = self.0.runs.acquire().await.expect("nobody closes it");
            run.forget();
            match self.0.puffed.load(Ordering::SeqCst) {
                0 => calls.into_iter().map(answer).collect(),
                bytes => calls.iter().map(|_| zeros(bytes)).collect(),
            }
        })
    }
}

fn zeros(bytes: usize) -> Result<NamedTensors> {
    let output = Tensor::fixed(
        DType::UINT8,
        vec![bytes as i64],
        Bytes::from(vec![0; bytes]),
    )?;
    Ok(vec![("y".to_owned(), output)])
}

fn answer(call: Call) -> Result<NamedTensors> {
    let (_, input) = call.inputs.into_iter().next().expect("inputs were checked");
    let output = match call.signature.as_str() {
        "double" => double(&input)?,
        _ => input,
    };
    Ok(vec![("y".to_owned(), output)])
}

fn double(input: &Tensor) -> Result<Tensor> {
    let TensorData::Fixed(bytes) = input.data() else {
        panic!("the signature says floats");
    };
    let doubled: Vec<f32> = bytes
        .as_chunks()
        .0
        .iter()
        .map(|bytes| f32::from_le_bytes(*bytes) * 2.0)
        .collect();
    Tensor::from_slice(DType::FLOAT, input.shape().to_vec(), &doubled)
}
