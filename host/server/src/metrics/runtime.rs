//! What TensorFlow does: loads, runs, and the requests that models are warmed up with.
//!
//! TensorFlow keeps such numbers itself, but its C functions do not give them away. So they are
//! taken around its calls, under the same names.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::cells::{Buckets, Counter, Histogram};
use super::registry::{Cells, Registry};
use super::requests::micros;

/// Runs of sessions.
#[derive(Debug)]
pub(crate) struct Runs {
    runs: Arc<Counter>,
    usecs: Arc<Counter>,
    histogram: Arc<Histogram>,
    input_bytes: Arc<Histogram>,
    output_bytes: Arc<Histogram>,
}

impl Runs {
    pub(crate) fn new(registry: &Registry) -> Self {
        let bytes = |name| {
            registry
                .histogram(name, &[], Buckets::exponential(1.0, 4.0, 14))
                .cell(&[])
        };
        Self {
            runs: registry
                .counter("/tensorflow/core/graph_runs", &[])
                .cell(&[]),
            usecs: registry
                .counter("/tensorflow/core/graph_run_time_usecs", &[])
                .cell(&[]),
            histogram: registry
                .histogram(
                    "/tensorflow/core/graph_run_time_usecs_histogram",
                    &[],
                    Buckets::exponential(1000.0, 2.0, 20),
                )
                .cell(&[]),
            input_bytes: bytes("/tensorflow/core/graph_run_input_tensor_bytes"),
            output_bytes: bytes("/tensorflow/core/graph_run_output_tensor_bytes"),
        }
    }

    /// Counts a run. Without outputs it has failed: then what it was fed is counted, and nothing
    /// else, as in TensorFlow.
    pub(crate) fn record(&self, took: Duration, input_bytes: u64, output_bytes: Option<u64>) {
        self.input_bytes.record(input_bytes);
        let Some(output_bytes) = output_bytes else {
            return;
        };
        self.output_bytes.record(output_bytes);
        self.runs.increment();
        self.usecs.add(micros(took));
        self.histogram.record(micros(took));
    }
}

/// Loads of SavedModels.
pub(crate) struct Loads {
    attempts: Arc<Cells<Counter>>,
    latency: Arc<Cells<Counter>>,
}

impl Loads {
    pub(crate) fn new(registry: &Registry) -> Self {
        Self {
            attempts: registry.counter(
                "/tensorflow/cc/saved_model/load_attempt_count",
                &["model_path", "status"],
            ),
            latency: registry.counter("/tensorflow/cc/saved_model/load_latency", &["model_path"]),
        }
    }

    /// Counts an attempt to load what is at `path`.
    pub(crate) fn record(&self, path: &Path, took: Duration, is_success: bool) {
        let path = path.to_string_lossy();
        let status = if is_success { "success" } else { "fail" };
        self.attempts.cell(&[&path, status]).increment();
        self.latency.cell(&[&path]).add(micros(took));
    }
}

/// Warm-ups of models.
pub(crate) struct WarmUps {
    latency: Arc<Cells<Histogram>>,
    records: Arc<Cells<Counter>>,
}

impl WarmUps {
    pub(crate) fn new(registry: &Registry) -> Self {
        Self {
            latency: registry.histogram(
                "/tensorflow/serving/model_warmup_latency",
                &["model_path", "status"],
                Buckets::exponential(10.0, 1.8, 33),
            ),
            records: registry.counter(
                "/tensorflow/serving/model_warmup_records_read",
                &["model_path", "status"],
            ),
        }
    }

    /// Counts the warm-up of the version at `path`, with the name of the code that it ended with.
    pub(crate) fn record(&self, path: &Path, status: &str, took: Duration, records: u64) {
        let path = path.to_string_lossy();
        self.latency.cell(&[&path, status]).record(micros(took));
        self.records.cell(&[&path, status]).add(records);
    }
}
