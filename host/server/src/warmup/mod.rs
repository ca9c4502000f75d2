//! Warm-up: a version answers the requests that lie beside it before it is available, so that no
//! client pays for what TensorFlow does only once.
//!
//! ```text
//! load thread --> model --> <version>/assets.extra/tf_serving_warmup_requests
//!                              each record --> gateway component --> the very model --> dropped
//! ```
//!
//! The requests take the way of a client's: through the component, a slot of the sandbox, and
//! where the version is batched the belt. They see one model, the one that is being loaded, whatever they name.
//!
//! **Ordering:** loads begin before the gateway component is there; a warm-up waits for it, on
//! the load's thread. The start-up never waits for a load before the component is there.
//! **Invariant:** a request that fails, or a file that cannot be read, fails the load.

mod one_model;

use std::fs::File;
use std::io::{BufReader, ErrorKind};
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tensorgate_core::ServableFactory;
use tensorgate_edge::{Gateway, GrpcRequest, LogKind, Services};
use tensorgate_types::{Deadline, Error, ErrorCode, ServableId};
use tokio::runtime::Handle;

use crate::files;
use crate::metrics::{Api, Metrics};
use crate::options::ServeOptions;
use crate::records::{LoggedKind, RecordReader, has_field, log_of_record, put_bytes};
use crate::wiring::{MeasuredModel, Outcomes, Press, Reports};

use one_model::OneModel;

/// Where the requests are, in a version's directory.
const FILE: &str = "assets.extra/tf_serving_warmup_requests";

/// Records of a file. The original refuses more, since they delay every load.
const MAX_RECORDS: u64 = 1000;

/// How long a request is tried again while the server is too busy for it.
const PATIENCE: Duration = Duration::from_secs(30);

/// Between two tries.
const PAUSE: Duration = Duration::from_millis(20);

/// What a record that is no message is shown of in an error.
const SHOWN: usize = 64;

/// Warms versions up. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct WarmUp {
    /// Set once, when the component is there, or will never be. Loads wait for it.
    gateway: Arc<OnceLock<Result<Gateway, Error>>>,
    iterations: usize,
    press: Press,
    outcomes: Arc<Outcomes>,
    metrics: Arc<Metrics>,
    /// Where the requests are handled: the load's own thread waits for them.
    runtime: Handle,
}

impl WarmUp {
    /// On the runtime of the caller.
    pub(crate) fn new(
        options: &ServeOptions,
        press: Press,
        outcomes: Arc<Outcomes>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            gateway: Arc::default(),
            iterations: options.warmup_iterations,
            press,
            outcomes,
            metrics,
            runtime: Handle::current(),
        }
    }

    /// From now on there is a component, or it is known that there will be none. Only the first
    /// call counts.
    pub(crate) fn open(&self, gateway: Result<Gateway, Error>) {
        let _ = self.gateway.set(gateway);
    }

    /// Lets `model` answer the requests that lie in its directory, if there are any.
    fn warm(&self, id: &ServableId, path: &Path, model: &Arc<MeasuredModel>) -> Result<(), Error> {
        let file = path.join(FILE);
        let shown = file.display();
        let Some(mut records) = open(&file)? else {
            tracing::info!("No warmup data file found at {shown}");
            return Ok(());
        };
        let gateway = self.gateway.wait().as_ref().map_err(Error::clone)?;
        let options = match self.iterations {
            0 => String::new(),
            iterations => format!("num_request_iterations {{ value: {iterations} }}"),
        };
        tracing::info!(
            "Starting to read warmup data for model at {shown} with model-warmup-options {options}"
        );
        let models = OneModel::new(id.clone(), Arc::clone(model), self.press.clone());
        let services = Services {
            settings: gateway.services().settings,
            ..Services::new(Arc::new(models), Arc::new(Reports))
        };
        let gateway = gateway.with_services(services);
        let start = Instant::now();
        let mut count = 0;
        let result = self.replay(&gateway, id, &file, &mut records, &mut count);
        let took = start.elapsed();
        let status = result
            .as_ref()
            .err()
            .map_or("OK", |error| error.code().name());
        self.metrics.warm_ups.record(path, status, took, count);
        result?;
        tracing::info!(
            "Finished reading warmup data for model at {shown}. Number of warmup records read: \
             {count}. Elapsed time (microseconds): {}.",
            took.as_micros()
        );
        Ok(())
    }

    fn replay(
        &self,
        gateway: &Gateway,
        id: &ServableId,
        file: &Path,
        records: &mut RecordReader<BufReader<File>>,
        count: &mut u64,
    ) -> Result<(), Error> {
        let shown = file.display();
        while let Some(record) = records.next_record().map_err(explain)? {
            if *count == MAX_RECORDS {
                return Err(Error::invalid_argument(format!(
                    "Number of warmup records exceeds the maximum ({MAX_RECORDS}) at {shown}"
                )));
            }
            let (kind, request) = log_of_record(&record).map_err(|_| {
                let start = &record[..record.len().min(SHOWN)];
                Error::invalid_argument(format!(
                    "Failed to parse warmup record: {} from {shown}",
                    start.escape_ascii()
                ))
            })?;
            *count += 1;
            match kind {
                LoggedKind::Empty => continue,
                LoggedKind::Unsupported(field) => {
                    return Err(Error::unimplemented(format!(
                        "Unsupported log_type for warmup: {field}"
                    )));
                }
                LoggedKind::Of(kind) => {
                    let message = with_model_spec(kind, request, id);
                    for _time in 0..self.iterations.max(1) {
                        let answered =
                            self.runtime
                                .block_on(self.answer(gateway, id, kind, message.clone()));
                        answered.inspect_err(|error| {
                            tracing::error!("warm-up record {count} at {shown} failed: {error}");
                        })?;
                    }
                }
            }
        }
        Ok(())
    }

    /// One request. The server may be busy with clients: then it is tried again.
    async fn answer(
        &self,
        gateway: &Gateway,
        id: &ServableId,
        kind: LogKind,
        message: Bytes,
    ) -> Result<(), Error> {
        let (method, api) = match kind {
            LogKind::Predict => ("Predict", Api::Predict),
            LogKind::Classify => ("Classify", Api::Classify),
            LogKind::Regress => ("Regress", Api::Regress),
            LogKind::MultiInference => ("MultiInference", Api::MultiInference),
        };
        let give_up = Instant::now() + PATIENCE;
        loop {
            let request = GrpcRequest {
                method: format!("/tensorflow.serving.PredictionService/{method}"),
                message: message.clone(),
            };
            let call = gateway.handle_grpc(request, Deadline::NEVER);
            let answered = self.outcomes.of_warm_up(&id.name, api, call).await;
            match answered {
                Err(error) if error.code() == ErrorCode::Unavailable => {
                    if Instant::now() >= give_up {
                        return Err(error);
                    }
                    tokio::time::sleep(PAUSE).await;
                }
                answered => return answered.map(drop),
            }
        }
    }
}

fn open(file: &Path) -> Result<Option<RecordReader<BufReader<File>>>, Error> {
    let cannot = |error: std::io::Error| {
        let file = file.display();
        Error::unavailable(format!("cannot read the warmup data at {file}: {error}"))
    };
    let opened = match files::open(file, "a TFRecord file") {
        Ok(opened) => opened,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(cannot(error)),
    };
    let length = opened.metadata().map_err(cannot)?.len();
    Ok(Some(RecordReader::new(BufReader::new(opened), length)))
}

fn explain(error: Error) -> Error {
    if error.code() != ErrorCode::DataLoss {
        return error;
    }
    let message = error.message();
    let message = format!("{message}. Please verify your warmup data is in TFRecord format.");
    Error::new(ErrorCode::DataLoss, message)
}

/// A request without a model names none: the original does not ask which one a warm-up means, and
/// here it gets the name of the one that there is. In a message of this kind the model is field 1.
fn with_model_spec(kind: LogKind, mut request: Vec<u8>, id: &ServableId) -> Bytes {
    if kind != LogKind::MultiInference && !has_field(&request, 1) {
        let mut spec = Vec::new();
        put_bytes(&mut spec, 1, id.name.as_bytes());
        put_bytes(&mut request, 1, &spec);
    }
    Bytes::from(request)
}

/// Loads versions and warms them up.
#[derive(Debug)]
pub(crate) struct WarmingFactory<F> {
    factory: F,
    /// None when the operator wants none.
    warm_up: Option<WarmUp>,
}

impl<F> WarmingFactory<F> {
    pub(crate) fn new(factory: F, warm_up: Option<WarmUp>) -> Self {
        Self { factory, warm_up }
    }
}

impl<F: ServableFactory<Servable = MeasuredModel>> ServableFactory for WarmingFactory<F> {
    type Servable = MeasuredModel;

    fn load(&self, id: &ServableId, path: &Path) -> Result<MeasuredModel, Error> {
        let model = self.factory.load(id, path)?;
        if let Some(warm_up) = &self.warm_up {
            warm_up.warm(id, path, &Arc::new(model.warming()))?;
        }
        Ok(model)
    }
}
