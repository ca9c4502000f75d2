//! Metrics: what is counted, and the page that Prometheus reads.
//!
//! ```text
//! requests, runs, loads, warm-ups --> cells --\
//! sandbox, run pool, belt, shelf, workers, budget -- asked ---> registry --> text --> page
//! ```
//!
//! Names, labels and buckets of TensorFlow Serving's metrics are its own; ours begin with
//! `tensorgate_` and have help.
//!
//! **Invariant:** counting takes no lock that is ever held for long, and no label has more values
//! than an operator gives it.

mod batches;
mod cells;
mod house;
mod page;
mod processors;
mod registry;
mod requests;
mod runtime;
mod text;
mod workers;

use std::sync::Arc;

pub(crate) use batches::{BatchObserver, Batches, watch_belt};
pub(crate) use cells::Counter;
#[cfg(feature = "count-allocations")]
pub(crate) use house::watch_allocations;
pub(crate) use house::{watch_budget, watch_run_pool, watch_sandbox, watch_sessions, watch_shelf};
pub(crate) use page::{MetricsPage, metrics_path};
pub(crate) use processors::watch_processors;
pub(crate) use registry::{Cells, Registry};
pub(crate) use requests::{Api, Ended, Entrypoint, Requests};
pub(crate) use runtime::{Loads, Runs, WarmUps};
pub(crate) use workers::watch_workers;

/// All metrics of a server.
pub(crate) struct Metrics {
    pub(crate) registry: Registry,
    pub(crate) requests: Requests,
    pub(crate) runs: Runs,
    pub(crate) batches: Batches,
    pub(crate) loads: Loads,
    pub(crate) warm_ups: WarmUps,
    /// `request_log_count`, by model and code.
    pub(crate) request_log: Arc<Cells<Counter>>,
}

impl Metrics {
    pub(crate) fn new() -> Arc<Self> {
        let registry = Registry::default();
        Arc::new(Self {
            requests: Requests::new(&registry),
            runs: Runs::new(&registry),
            batches: Batches::new(&registry),
            loads: Loads::new(&registry),
            warm_ups: WarmUps::new(&registry),
            request_log: registry.counter(
                "/tensorflow/serving/request_log_count",
                &["model_name", "status_code"],
            ),
            registry,
        })
    }

    /// The number in a metric's first cell, by its name with slashes; `None` when there is no
    /// such metric. What `HandleReloadConfigRequest` answers for its `metric_names`.
    pub(crate) fn value_of_first_cell(&self, name: &str) -> Option<u64> {
        self.registry.value_of_first_cell(name)
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

/// The page, for tests of those who count.
#[cfg(test)]
pub(crate) fn page_of(metrics: &Metrics) -> String {
    text::page(&metrics.registry)
}
