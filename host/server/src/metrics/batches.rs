//! Batches: TensorFlow Serving's metrics of them, and what the belt says of itself.

use std::sync::Arc;

use tensorgate_batching::{BatchRun, Observer};

use super::Metrics;
use super::cells::{Buckets, Counter, Histogram};
use super::house::Looks;
use super::registry::{Cells, Registry};
use super::requests::micros;
use crate::wiring::Press;

/// Runs of batches, under the original's names.
pub(crate) struct Batches {
    queuing_latency: Arc<Histogram>,
    wrapped_run_count: Arc<Counter>,
    padding_size: Arc<Cells<Histogram>>,
    input_batch_size: Arc<Histogram>,
    processed_batch_size: Arc<Histogram>,
}

impl Batches {
    pub(crate) fn new(registry: &Registry) -> Self {
        let sizes = || Buckets::exponential(1.0, 2.0, 14);
        let sized = |name| registry.histogram(name, &[], sizes()).cell(&[]);
        Self {
            queuing_latency: registry
                .histogram(
                    "/tensorflow/serving/batching_session/queuing_latency",
                    &["thread_pool_name"],
                    Buckets::exponential(100.0, 1.2, 52),
                )
                // The original never says which.
                .cell(&[""]),
            wrapped_run_count: registry
                .counter(
                    "/tensorflow/serving/batching_session/wrapped_run_count",
                    &[],
                )
                .cell(&[]),
            padding_size: registry.histogram(
                "/tensorflow/serving/batching_session/padding_size",
                &["execution_batch_size"],
                sizes(),
            ),
            input_batch_size: sized("/tensorflow/serving/batching_session/input_batch_size"),
            processed_batch_size: sized(
                "/tensorflow/serving/batching_session/processed_batch_size",
            ),
        }
    }

    fn record(&self, run: &BatchRun<'_>) {
        self.wrapped_run_count.increment();
        for waited in run.waited {
            self.queuing_latency.record(micros(*waited));
        }
        // One for each input tensor.
        for _ in 0..run.inputs {
            self.input_batch_size.record(run.rows as u64);
        }
        self.processed_batch_size.record(run.processed as u64);
        let size = run.processed.to_string();
        let padding = run.processed - run.rows;
        self.padding_size.cell(&[&size]).record(padding as u64);
    }
}

/// Counts the belt's runs.
#[derive(Debug)]
pub(crate) struct BatchObserver(pub(crate) Arc<Metrics>);

impl Observer for BatchObserver {
    fn ran(&self, run: &BatchRun<'_>) {
        if run.batched {
            self.0.batches.record(run);
        }
    }
}

/// What the belt says when it is asked.
pub(crate) fn watch_belt(registry: &Registry, press: &Press) {
    let looks = Looks::new(registry, press.belt_reader());
    looks.gauge(
        "tensorgate_batch_threads",
        "Threads that run batches.",
        |stats| stats.threads,
    );
    looks.gauge(
        "tensorgate_batch_threads_booked",
        "Threads that run a batch now.",
        |stats| stats.running,
    );
    looks.gauge(
        "tensorgate_batch_threads_overdue",
        "Threads that run a batch for nobody: every rider was told that the time is up.",
        |stats| stats.overdue,
    );
    looks.gauge(
        "tensorgate_batch_queue_depth",
        "Requests that wait for a batch.",
        |stats| stats.queued,
    );
    looks.counter(
        "tensorgate_batches_total",
        "Runs of batches, of one request or of many.",
        |stats| stats.batches,
    );
    looks.counter(
        "tensorgate_batched_requests_total",
        "Requests that rode in them; of one that was split, each part.",
        |stats| stats.riders,
    );
    looks.counter(
        "tensorgate_batch_retries_total",
        "Runs made again with fewer members, because a batch had failed.",
        |stats| stats.retries,
    );
    looks.counter(
        "tensorgate_batch_copied_bytes_total",
        "Bytes copied to join requests and to pad them.",
        |stats| stats.bytes_copied,
    );
    looks.reasons(
        "tensorgate_batch_left_out_total",
        "Requests that never rode.",
        |stats| {
            vec![
                ("abandoned", stats.abandoned),
                ("expired", stats.expired),
                ("full", stats.refused_queue_full),
                ("overdue", stats.refused_overdue),
                ("shed", stats.shed),
            ]
        },
    );
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn batches_are_counted_under_the_names_of_the_original() {
        let metrics = Metrics::new();
        let run = BatchRun {
            model: "m",
            version: 1,
            riders: 2,
            rows: 3,
            processed: 4,
            inputs: 2,
            batched: true,
            took: Duration::from_millis(1),
            waited: &[Duration::from_micros(50), Duration::from_micros(250)],
        };
        let observer = BatchObserver(Arc::clone(&metrics));
        observer.ran(&run);
        observer.ran(&BatchRun {
            batched: false,
            ..run
        });
        let page = crate::metrics::page_of(&metrics);
        for line in [
            ":tensorflow:serving:batching_session:wrapped_run_count{} 1\n",
            ":tensorflow:serving:batching_session:queuing_latency_count{thread_pool_name=\"\"} 2\n",
            ":tensorflow:serving:batching_session:queuing_latency_sum{thread_pool_name=\"\"} 300\n",
            ":tensorflow:serving:batching_session:input_batch_size_count{} 2\n",
            ":tensorflow:serving:batching_session:input_batch_size_sum{} 6\n",
            ":tensorflow:serving:batching_session:processed_batch_size_sum{} 4\n",
            ":tensorflow:serving:batching_session:padding_size_sum{execution_batch_size=\"4\"} 1\n",
        ] {
            assert!(page.contains(line), "{line}{page}");
        }
    }
}
