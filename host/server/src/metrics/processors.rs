//! What processors use, each by its model.

use tensorgate_edge::ProcessorStats;

use super::registry::{Kind, Registry};
use crate::wiring::Desk;

/// What is read off the processors of a model.
type Number = fn(&ProcessorStats) -> u64;

/// The metrics: kind, name, help, number.
const ALL: [(Kind, &str, &str, Number); 11] = [
    (
        Kind::Counter,
        "tensorgate_processor_requests_total",
        "Requests that the processors of the model were given.",
        |stats| stats.requests,
    ),
    (
        Kind::Counter,
        "tensorgate_processor_refused_total",
        "Requests that they answered with an error of their own.",
        |stats| stats.refused,
    ),
    (
        Kind::Counter,
        "tensorgate_processor_failed_total",
        "Requests that they failed: traps, limits, answers that do not fit.",
        |stats| stats.failed,
    ),
    (
        Kind::Counter,
        "tensorgate_processor_turned_away_total",
        "Requests that found no place in them.",
        |stats| stats.turned_away,
    ),
    (
        Kind::Counter,
        "tensorgate_processor_nanoseconds_total",
        "Nanoseconds that they computed, waiting for the model not counted.",
        |stats| stats.nanos,
    ),
    (
        Kind::Counter,
        "tensorgate_processor_in_bytes_total",
        "Bytes that were copied into them.",
        |stats| stats.bytes_in,
    ),
    (
        Kind::Counter,
        "tensorgate_processor_out_bytes_total",
        "Bytes that were copied out of them.",
        |stats| stats.bytes_out,
    ),
    (
        Kind::Gauge,
        "tensorgate_processor_peak_memory_bytes",
        "The most linear memory that one request had in them.",
        |stats| stats.peak_memory,
    ),
    (
        Kind::Counter,
        "tensorgate_processor_mirrored_total",
        "Runs of models that they began for nobody.",
        |stats| stats.mirrored,
    ),
    (
        Kind::Counter,
        "tensorgate_processor_mirrors_failed_total",
        "Runs for nobody that failed.",
        |stats| stats.mirrors_failed,
    ),
    (
        Kind::Counter,
        "tensorgate_processor_mirrors_shed_total",
        "Runs for nobody that were refused, since too many were under way.",
        |stats| stats.mirrors_shed,
    ),
];

/// Lets the metrics ask the processors.
pub(crate) fn watch_processors(registry: &Registry, desk: &Desk) {
    for (kind, name, help, number) in ALL {
        let desk = desk.clone();
        registry.asked(kind, name, help, &["model"], move || {
            let stats = desk.stats().into_iter();
            stats
                .map(|(model, stats)| (vec![model], number(&stats)))
                .collect()
        });
    }
}
