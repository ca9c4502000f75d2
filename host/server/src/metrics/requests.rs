//! Requests, as TensorFlow Serving counts them and as we do besides.
//!
//! In comes how a request ended; out go a few additions to cells that were looked up once. What
//! is counted where, quirks among it, is the original's: over HTTP every request counts, over
//! gRPC only Predict, Classify and Regress (and Infer, which it has not); latencies are of
//! successes only.
//!
//! **Invariant:** the name of a model becomes a label only when the model was configured. Anybody
//! can invent others, and each would stay for ever: they count under the empty name.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use tensorgate_types::ErrorCode;

use super::cells::{Buckets, Counter, Histogram};
use super::registry::{Cells, Registry};

/// One more than the highest canonical code.
const CODES: usize = 17;

/// Models with cells of their own, and sets of labels of one model that are kept at hand. An
/// operator who has configured more in the life of one process reads the sums.
const AT_HAND: usize = 1024;

/// By which door a request came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Entrypoint {
    Rest,
    Grpc,
}

impl Entrypoint {
    fn name(self) -> &'static str {
        match self {
            Self::Rest => "REST",
            Self::Grpc => "GRPC",
        }
    }
}

/// What was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Api {
    Predict,
    Classify,
    Regress,
    MultiInference,
    /// The V2 protocol's.
    Infer,
    Status,
    Metadata,
    Reload,
    /// None of these, or nothing that could be understood.
    Other,
}

impl Api {
    /// From the gateway component's word for it.
    pub(crate) fn from_word(word: &str) -> Self {
        match word {
            "predict" => Self::Predict,
            "classify" => Self::Classify,
            "regress" => Self::Regress,
            "multi-inference" | "multi_inference" => Self::MultiInference,
            "infer" => Self::Infer,
            "status" => Self::Status,
            "metadata" => Self::Metadata,
            "reload" => Self::Reload,
            _ => Self::Other,
        }
    }

    /// From the path of a gRPC call.
    pub(crate) fn of_method(path: &str) -> Self {
        match path.rsplit('/').next() {
            Some("Predict") => Self::Predict,
            Some("Classify") => Self::Classify,
            Some("Regress") => Self::Regress,
            Some("MultiInference") => Self::MultiInference,
            Some("ModelInfer") => Self::Infer,
            Some("GetModelStatus" | "ModelReady") => Self::Status,
            Some("GetModelMetadata" | "ModelMetadata" | "ModelConfig") => Self::Metadata,
            Some("HandleReloadConfigRequest") => Self::Reload,
            _ => Self::Other,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Predict => "predict",
            Self::Classify => "classify",
            Self::Regress => "regress",
            Self::MultiInference => "multi_inference",
            Self::Infer => "infer",
            Self::Status => "status",
            Self::Metadata => "metadata",
            Self::Reload => "reload",
            Self::Other => "",
        }
    }

    /// The three that TensorFlow Serving has latencies of, as it writes them for gRPC, and the one
    /// that is to it what Predict is; none for the others.
    fn inference(self) -> Option<(usize, &'static str)> {
        match self {
            Self::Predict => Some((0, "Predict")),
            Self::Classify => Some((1, "Classify")),
            Self::Regress => Some((2, "Regress")),
            Self::Infer => Some((3, "Infer")),
            Self::MultiInference | Self::Status | Self::Metadata | Self::Reload | Self::Other => {
                None
            }
        }
    }
}

/// How a request ended.
#[derive(Debug, Clone)]
pub(crate) struct Ended<'a> {
    pub(crate) entrypoint: Entrypoint,
    pub(crate) model: &'a str,
    pub(crate) version: Option<i64>,
    pub(crate) api: Api,
    /// The examples of a MultiInference.
    pub(crate) rows: u64,
    /// The canonical code; 0 for success.
    pub(crate) code: u32,
    pub(crate) took: Duration,
    /// Of this, what it waited for its model; none when it never did.
    pub(crate) in_model: Option<Duration>,
}

/// A cell that is looked up when it is first wanted: there is none on the page before.
type Late<C> = OnceLock<Arc<C>>;

/// The cells of one model.
#[derive(Default)]
struct OfModel {
    name: String,
    count: [Late<Counter>; CODES],
    /// By entrypoint, then API; the last is for what has none.
    latency: [[Late<Histogram>; 5]; 2],
    runtime: [Late<Histogram>; 4],
    examples: Late<Histogram>,
    examples_total: Late<Counter>,
    /// Ours. Written when one is new, read by every request.
    own: RwLock<HashMap<OwnLabels, Arc<Counter>>>,
}

type OwnLabels = (Option<i64>, Api, Entrypoint, usize);

type IsKnown = Box<dyn Fn(&str) -> bool + Send + Sync>;

/// The families that requests count in.
pub(crate) struct Requests {
    count: Arc<Cells<Counter>>,
    latency: Arc<Cells<Histogram>>,
    runtime: Arc<Cells<Histogram>>,
    examples: Arc<Cells<Histogram>>,
    examples_total: Arc<Cells<Counter>>,
    own: Arc<Cells<Counter>>,
    /// Written when a model is asked for the first time, read by every request.
    models: RwLock<HashMap<String, Arc<OfModel>>>,
    nameless: Arc<OfModel>,
    /// Set once, when there are models.
    is_known: OnceLock<IsKnown>,
}

impl Requests {
    pub(crate) fn new(registry: &Registry) -> Self {
        let latency = || Buckets::exponential(10.0, 1.8, 33);
        Self {
            count: registry.counter(
                "/tensorflow/serving/request_count",
                &["model_name", "status"],
            ),
            latency: registry.histogram(
                "/tensorflow/serving/request_latency",
                &["model_name", "API", "entrypoint"],
                latency(),
            ),
            runtime: registry.histogram(
                "/tensorflow/serving/runtime_latency",
                &["model_name", "API", "runtime"],
                latency(),
            ),
            examples: registry.histogram(
                "/tensorflow/serving/request_example_counts",
                &["model"],
                Buckets::exponential(1.0, 2.0, 15),
            ),
            examples_total: registry.counter(
                "/tensorflow/serving/request_example_count_total",
                &["model"],
            ),
            own: registry.own_counter(
                "tensorgate_requests_total",
                "Requests that were answered, by the version that answered.",
                &["model_name", "version", "api", "entrypoint", "status"],
            ),
            models: RwLock::default(),
            nameless: Arc::default(),
            is_known: OnceLock::new(),
        }
    }

    /// From now on `is_known` says which models were ever configured. Only the first call counts.
    pub(crate) fn know(&self, is_known: impl Fn(&str) -> bool + Send + Sync + 'static) {
        let _ = self.is_known.set(Box::new(is_known));
    }

    /// Counts a request of a client.
    pub(crate) fn record(&self, ended: &Ended<'_>) {
        let model = self.model(ended.model);
        // A component can say any number: what is no code counts as UNKNOWN.
        let code = usize::try_from(ended.code)
            .ok()
            .filter(|code| *code < CODES);
        let code = code.unwrap_or(ErrorCode::Unknown as usize);
        let status = status_name(code);
        let inference = ended.api.inference();
        let over_http = ended.entrypoint == Entrypoint::Rest;
        if over_http || inference.is_some() {
            model.count[code]
                .get_or_init(|| self.count.cell(&[&model.name, status]))
                .increment();
            if code == 0 {
                self.record_latency(&model, ended);
            }
        }
        if ended.in_model.is_some() && code == 0 {
            self.record_run(&model, ended);
        }
        let labels = (ended.version, ended.api, ended.entrypoint, code);
        let own = model.own.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(counter) = own.get(&labels) {
            return counter.increment();
        }
        drop(own);
        self.own_cell(&model, labels).increment();
    }

    /// Counts a request that a model was warmed up with: the original counts of those only what
    /// the runtime did.
    pub(crate) fn record_warm_up(&self, ended: &Ended<'_>) {
        if ended.code == 0 {
            self.record_run(&self.model(ended.model), ended);
        }
    }

    fn record_latency(&self, model: &OfModel, ended: &Ended<'_>) {
        let inference = ended.api.inference();
        let (row, api) = match (ended.entrypoint, inference) {
            (Entrypoint::Rest, _) => (0, inference.map_or("", |_| ended.api.word())),
            (Entrypoint::Grpc, _) => (1, inference.map_or("", |(_, name)| name)),
        };
        let column = inference.map_or(4, |(column, _)| column);
        model.latency[row][column]
            .get_or_init(|| {
                let entrypoint = ended.entrypoint.name();
                self.latency.cell(&[&model.name, api, entrypoint])
            })
            .record(micros(ended.took));
    }

    fn record_run(&self, model: &OfModel, ended: &Ended<'_>) {
        if let (Some((column, api)), Some(took)) = (ended.api.inference(), ended.in_model) {
            model.runtime[column]
                .get_or_init(|| self.runtime.cell(&[&model.name, api, "TF1"]))
                .record(micros(took));
        }
        if ended.api == Api::MultiInference {
            model
                .examples
                .get_or_init(|| self.examples.cell(&[&model.name]))
                .record(ended.rows);
            model
                .examples_total
                .get_or_init(|| self.examples_total.cell(&[&model.name]))
                .add(ended.rows);
        }
    }

    fn model(&self, name: &str) -> Arc<OfModel> {
        if name.is_empty() {
            return Arc::clone(&self.nameless);
        }
        let models = self.models.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(model) = models.get(name) {
            return Arc::clone(model);
        }
        let is_full = models.len() >= AT_HAND;
        drop(models);
        let is_known = self.is_known.get().is_some_and(|is_known| is_known(name));
        if is_full || !is_known {
            return Arc::clone(&self.nameless);
        }
        let mut models = self.models.write().unwrap_or_else(PoisonError::into_inner);
        let model = models.entry(name.to_owned()).or_insert_with(|| {
            Arc::new(OfModel {
                name: name.to_owned(),
                ..OfModel::default()
            })
        });
        Arc::clone(model)
    }

    #[cold]
    fn own_cell(&self, model: &OfModel, labels: OwnLabels) -> Arc<Counter> {
        let (version, api, entrypoint, code) = labels;
        let version = version
            .map(|version| version.to_string())
            .unwrap_or_default();
        let cell = self.own.cell(&[
            &model.name,
            &version,
            api.word(),
            entrypoint.name(),
            status_name(code),
        ]);
        let mut own = model.own.write().unwrap_or_else(PoisonError::into_inner);
        if own.len() < AT_HAND {
            own.insert(labels, Arc::clone(&cell));
        }
        cell
    }
}

fn status_name(code: usize) -> &'static str {
    u32::try_from(code)
        .ok()
        .and_then(ErrorCode::from_number)
        .map_or("OK", ErrorCode::name)
}

/// Whole microseconds, as TensorFlow counts them.
pub(crate) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

impl fmt::Debug for Requests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Requests").finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "requests_tests.rs"]
mod tests;
