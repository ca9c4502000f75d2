//! What the rooms of the house say of themselves when they are asked: sandbox, run pool, shelf,
//! budget of the door.
//!
//! The rooms count for themselves; here their numbers get names.

use std::collections::BTreeMap;
use std::sync::Arc;

use tensorgate_core::Manager;
use tensorgate_edge::EdgeEngine;
use tensorgate_engine::RunPool;
use tensorgate_tensorflow::CopyCounters;
use tensorgate_types::ServableState;

use super::registry::{Kind, Registry};
use crate::door::Budget;

/// One value without labels.
fn one(number: usize) -> Vec<(Vec<String>, u64)> {
    vec![(Vec::new(), number as u64)]
}

/// Numbers without labels, each read off a look at one room.
pub(super) struct Looks<'a, L> {
    registry: &'a Registry,
    look: L,
}

impl<'a, S, L: Fn() -> S + Clone + Send + Sync + 'static> Looks<'a, L> {
    pub(super) fn new(registry: &'a Registry, look: L) -> Self {
        Self { registry, look }
    }

    pub(super) fn gauge(&self, name: &'static str, help: &'static str, of: fn(&S) -> usize)
    where
        S: 'static,
    {
        let look = self.look.clone();
        let ask = move || one(of(&look()));
        self.registry.asked(Kind::Gauge, name, help, &[], ask);
    }

    pub(super) fn counter(&self, name: &'static str, help: &'static str, of: fn(&S) -> u64)
    where
        S: 'static,
    {
        let look = self.look.clone();
        let ask = move || vec![(Vec::new(), of(&look()))];
        self.registry.asked(Kind::Counter, name, help, &[], ask);
    }

    /// A counter that is told apart by a reason.
    pub(super) fn reasons(
        &self,
        name: &'static str,
        help: &'static str,
        of: fn(&S) -> Vec<(&'static str, u64)>,
    ) where
        S: 'static,
    {
        let look = self.look.clone();
        let ask = move || {
            let reasons = of(&look()).into_iter();
            reasons
                .map(|(reason, count)| (vec![reason.to_owned()], count))
                .collect()
        };
        self.registry
            .asked(Kind::Counter, name, help, &["reason"], ask);
    }
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
    let room = engine.clone();
    let looks = Looks::new(registry, move || room.clone());
    looks.gauge(
        "tensorgate_requests_in_flight",
        "Requests that are inside the sandbox or wait for a slot in it.",
        |engine| {
            let (running, waiting) = engine.occupancy();
            running + waiting
        },
    );
    looks.gauge(
        "tensorgate_sandbox_slots_used",
        "Slots of the sandbox that are taken.",
        |engine| engine.occupancy().0,
    );
    looks.gauge(
        "tensorgate_sandbox_slots",
        "Slots that the sandbox has.",
        |engine| engine.limits().slots,
    );
    looks.gauge(
        "tensorgate_sandbox_waiting",
        "Requests that wait for a slot.",
        |engine| engine.occupancy().1,
    );
    let room = engine.clone();
    let looks = Looks::new(registry, move || room.stats());
    looks.counter(
        "tensorgate_sandbox_instances_total",
        "Instances of the gateway component that were made.",
        |stats| stats.instances,
    );
    looks.counter(
        "tensorgate_sandbox_traps_total",
        "Requests that ended because the component failed.",
        |stats| stats.traps,
    );
    looks.counter(
        "tensorgate_sandbox_out_of_time_total",
        "Requests that ended because the component used up its time.",
        |stats| stats.out_of_time,
    );
    looks.counter(
        "tensorgate_sandbox_out_of_memory_total",
        "Requests that ended because the component wanted too much memory.",
        |stats| stats.out_of_memory,
    );
    looks.counter(
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
        "Bytes of strings that were copied out of messages into inputs of models, past the \
         component.",
        &[],
        move || vec![(Vec::new(), from_messages.stats().bytes_from_messages)],
    );
}

/// What is copied at the session.
pub(crate) fn watch_sessions(registry: &Registry, copied: Arc<CopyCounters>) {
    registry.asked(
        Kind::Counter,
        "tensorgate_session_copied_bytes_total",
        "Bytes copied on the way to TensorFlow and back: elements whose memory was not aligned, and \
         strings.",
        &["what"],
        move || {
            let copied = copied.read();
            let kinds = [
                ("strings_in", copied.strings),
                ("strings_out", copied.strings_out),
                ("unaligned", copied.unaligned),
            ];
            kinds
                .map(|(what, bytes)| (vec![what.to_owned()], bytes))
                .to_vec()
        },
    );
}

/// What is allocated, in a build that counts it.
#[cfg(feature = "count-allocations")]
pub(crate) fn watch_allocations(registry: &Registry) {
    registry.asked(
        Kind::Counter,
        "tensorgate_allocated_bytes_total",
        "Bytes that were allocated, without TensorFlow's and those of the sandbox.",
        &[],
        || vec![(Vec::new(), crate::allocations::bytes())],
    );
}

/// What the run threads do.
pub(crate) fn watch_run_pool(registry: &Registry, pool: &Arc<RunPool>) {
    // Weak: the page outlives the house, and must not keep its threads.
    let pool = Arc::downgrade(pool);
    let read = move || pool.upgrade().map(|pool| pool.stats()).unwrap_or_default();
    let looks = Looks::new(registry, read);
    looks.gauge(
        "tensorgate_run_threads",
        "Threads that run models.",
        |stats| stats.threads,
    );
    looks.gauge(
        "tensorgate_run_threads_booked",
        "Threads that run a model now.",
        |stats| stats.running,
    );
    looks.gauge(
        "tensorgate_run_threads_overdue",
        "Threads that run for a caller who was told that the time is up.",
        |stats| stats.overdue,
    );
    looks.gauge(
        "tensorgate_run_queue_depth",
        "Runs that wait for a thread.",
        |stats| stats.queued,
    );
    looks.counter(
        "tensorgate_runs_total",
        "Runs that came to an end.",
        |stats| stats.finished,
    );
    looks.counter(
        "tensorgate_runs_expired_total",
        "Runs whose caller was told that the time is up.",
        |stats| stats.expired,
    );
    looks.reasons(
        "tensorgate_runs_refused_total",
        "Runs that were refused.",
        |stats| {
            vec![
                ("overdue", stats.refused_overdue),
                ("queue_full", stats.refused_queue_full),
            ]
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
