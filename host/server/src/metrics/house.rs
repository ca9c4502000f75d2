//! What the rooms of the house say of themselves when they are asked: sandbox, run pool, shelf,
//! budget of the door.
//!
//! The rooms count for themselves; here their numbers get names.

use std::collections::BTreeMap;
use std::sync::Arc;

use tensorgate_core::Manager;
use tensorgate_edge::{EdgeEngine, EdgeStats};
use tensorgate_engine::{RunPool, RunPoolStats};
use tensorgate_types::ServableState;

use super::registry::{Kind, Registry};
use crate::door::Budget;

/// One value without labels.
fn one(number: usize) -> Vec<(Vec<String>, u64)> {
    vec![(Vec::new(), number as u64)]
}

/// What the door holds.
pub(crate) fn watch_budget(registry: &Registry, budget: Budget) {
    let limit = budget.limit();
    registry.asked(
        Kind::Gauge,
        "tensorgate_buffered_bytes",
        "Bytes of requests and answers that are held now.",
        &[],
        move || one(budget.used()),
    );
    registry.asked(
        Kind::Gauge,
        "tensorgate_buffered_bytes_limit",
        "Bytes of requests and answers that may be held together.",
        &[],
        move || one(limit),
    );
}

/// What happens in the sandbox.
pub(crate) fn watch_sandbox(registry: &Registry, engine: &EdgeEngine) {
    let gauge = |name, help, ask: fn(&EdgeEngine) -> usize| {
        let engine = engine.clone();
        registry.asked(Kind::Gauge, name, help, &[], move || one(ask(&engine)));
    };
    gauge(
        "tensorgate_requests_in_flight",
        "Requests that are inside the sandbox or wait for a slot in it.",
        |engine| {
            let (running, waiting) = engine.occupancy();
            running + waiting
        },
    );
    gauge(
        "tensorgate_sandbox_slots_used",
        "Slots of the sandbox that are taken.",
        |engine| engine.occupancy().0,
    );
    gauge(
        "tensorgate_sandbox_slots",
        "Slots that the sandbox has.",
        |engine| engine.limits().slots,
    );
    gauge(
        "tensorgate_sandbox_waiting",
        "Requests that wait for a slot.",
        |engine| engine.occupancy().1,
    );
    let counter = |name, help, ask: fn(&EdgeStats) -> u64| {
        let engine = engine.clone();
        registry.asked(Kind::Counter, name, help, &[], move || {
            vec![(Vec::new(), ask(&engine.stats()))]
        });
    };
    counter(
        "tensorgate_sandbox_instances_total",
        "Instances of the gateway component that were made.",
        |stats| stats.instances,
    );
    counter(
        "tensorgate_sandbox_traps_total",
        "Requests that ended because the component failed.",
        |stats| stats.traps,
    );
    counter(
        "tensorgate_sandbox_out_of_time_total",
        "Requests that ended because the component used up its time.",
        |stats| stats.out_of_time,
    );
    counter(
        "tensorgate_sandbox_out_of_memory_total",
        "Requests that ended because the component wanted too much memory.",
        |stats| stats.out_of_memory,
    );
    counter(
        "tensorgate_sandbox_deadlines_total",
        "Requests that were cut when their deadline passed inside the component.",
        |stats| stats.deadlines,
    );
    watch_sandbox_by_kind(registry, engine);
}

/// What happens in the sandbox and is told apart by a label.
fn watch_sandbox_by_kind(registry: &Registry, engine: &EdgeEngine) {
    let refused = engine.clone();
    registry.asked(
        Kind::Counter,
        "tensorgate_sandbox_refused_total",
        "Requests that were refused before the component saw them.",
        &["reason"],
        move || {
            let stats = refused.stats();
            let reasons = [
                ("full", stats.refused_full),
                ("large", stats.refused_large),
                ("late", stats.refused_late),
            ];
            reasons
                .map(|(reason, count)| (vec![reason.to_owned()], count))
                .to_vec()
        },
    );
    let copied = engine.clone();
    registry.asked(
        Kind::Counter,
        "tensorgate_sandbox_copied_bytes_total",
        "Bytes that were copied into components and out of them.",
        &["direction"],
        move || {
            let stats = copied.stats();
            let ways = [
                ("in", stats.bytes_to_guests),
                ("out", stats.bytes_from_guests),
            ];
            ways.map(|(way, bytes)| (vec![way.to_owned()], bytes))
                .to_vec()
        },
    );
    let from_messages = engine.clone();
    registry.asked(
        Kind::Counter,
        "tensorgate_message_copied_bytes_total",
        "Bytes that were copied out of messages into inputs of models, past the component.",
        &[],
        move || vec![(Vec::new(), from_messages.stats().bytes_from_messages)],
    );
}

/// What the run threads do.
pub(crate) fn watch_run_pool(registry: &Registry, pool: &Arc<RunPool>) {
    // Weak: the page outlives the house, and must not keep its threads.
    let pool = Arc::downgrade(pool);
    let read = move || pool.upgrade().map(|pool| pool.stats()).unwrap_or_default();
    let asked = |kind, name, help, ask: fn(&RunPoolStats) -> u64| {
        let read = read.clone();
        registry.asked(kind, name, help, &[], move || {
            vec![(Vec::new(), ask(&read()))]
        });
    };
    let gauge = |name, help, ask| asked(Kind::Gauge, name, help, ask);
    let counter = |name, help, ask| asked(Kind::Counter, name, help, ask);
    gauge(
        "tensorgate_run_threads",
        "Threads that run models.",
        |stats| stats.threads as u64,
    );
    gauge(
        "tensorgate_run_threads_booked",
        "Threads that run a model now.",
        |stats| stats.running as u64,
    );
    gauge(
        "tensorgate_run_threads_overdue",
        "Threads that run for a caller who was told that the time is up.",
        |stats| stats.overdue as u64,
    );
    gauge(
        "tensorgate_run_queue_depth",
        "Runs that wait for a thread.",
        |stats| stats.queued as u64,
    );
    counter(
        "tensorgate_runs_total",
        "Runs that came to an end.",
        |stats| stats.finished,
    );
    counter(
        "tensorgate_runs_expired_total",
        "Runs whose caller was told that the time is up.",
        |stats| stats.expired,
    );
    let refused = read.clone();
    registry.asked(
        Kind::Counter,
        "tensorgate_runs_refused_total",
        "Runs that were refused.",
        &["reason"],
        move || {
            let stats = refused();
            let reasons = [
                ("overdue", stats.refused_overdue),
                ("queue_full", stats.refused_queue_full),
            ];
            reasons
                .map(|(reason, count)| (vec![reason.to_owned()], count))
                .to_vec()
        },
    );
}

/// What is on the shelf.
pub(crate) fn watch_shelf<S: Send + Sync + 'static>(registry: &Registry, manager: &Manager<S>) {
    let manager = manager.clone();
    registry.asked(
        Kind::Gauge,
        "tensorgate_model_versions",
        "Versions of each model, by their state. Ended versions stay listed for a while.",
        &["model_name", "state"],
        move || {
            let mut found = Vec::new();
            for name in manager.readiness().models.keys() {
                let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
                for status in manager.status(name, None).unwrap_or_default() {
                    *counts.entry(status.state.name()).or_default() += 1;
                }
                for state in ServableState::ALL {
                    let count = counts.get(state.name()).copied().unwrap_or(0);
                    found.push((vec![name.clone(), state.name().to_owned()], count));
                }
            }
            found
        },
    );
}
