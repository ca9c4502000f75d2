//! What workers do, each by its number and its device.

use tensorgate_workers::{WorkerStage, WorkerStatus};

use super::registry::{Kind, Registry};
use crate::wiring::Away;

/// What is read off each worker.
type Number = fn(&WorkerStatus) -> u64;

/// The metrics: kind, name, help, number.
const ALL: [(Kind, &str, &str, Number); 8] = [
    (
        Kind::Gauge,
        "tensorgate_worker_up",
        "Whether the worker answers; one without a model does not.",
        |worker| u64::from(worker.stage == WorkerStage::Up),
    ),
    (
        Kind::Counter,
        "tensorgate_worker_restarts_total",
        "How often the worker's process has ended without being told to.",
        |worker| worker.restarts,
    ),
    (
        Kind::Counter,
        "tensorgate_worker_runs_total",
        "Runs that the worker was given, those included that were lost with it.",
        |worker| worker.runs,
    ),
    (
        Kind::Counter,
        "tensorgate_worker_sent_bytes_total",
        "Bytes that were copied to the worker.",
        |worker| worker.sent_bytes,
    ),
    (
        Kind::Counter,
        "tensorgate_worker_received_bytes_total",
        "Bytes that were copied from the worker.",
        |worker| worker.received_bytes,
    ),
    (
        Kind::Gauge,
        "tensorgate_worker_running",
        "Runs that the worker has under way.",
        |worker| worker.running as u64,
    ),
    (
        Kind::Gauge,
        "tensorgate_worker_models",
        "Versions of models that the worker can run.",
        |worker| worker.models.iter().filter(|model| model.is_ready).count() as u64,
    ),
    (
        Kind::Gauge,
        "tensorgate_worker_resident_bytes",
        "The machine's memory that the worker's process has; 0 when there is no process.",
        |worker| worker.resident_bytes.unwrap_or(0),
    ),
];

/// Lets the metrics ask the workers.
pub(crate) fn watch_workers(registry: &Registry, workers: &Away) {
    for (kind, name, help, number) in ALL {
        let workers = workers.clone();
        registry.asked(kind, name, help, &["worker", "device"], move || {
            let status = workers.status().into_iter().enumerate();
            status
                .map(|(at, worker)| (vec![at.to_string(), worker.device.clone()], number(&worker)))
                .collect()
        });
    }
}
