//! What one request owns inside the sandbox: the data of its store.
//!
//! Made for a request and dropped with it, models that it holds open included.

use std::sync::Arc;

use tensorgate_types::Deadline;
use wasmtime::component::ResourceTable;
use wasmtime::{ResourceLimiter, StoreContextMut, UpdateDeadline};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use crate::engine::Shared;
use crate::message::Outside;
use crate::meter::Meter;
use crate::processor::Mirrors;
use crate::wasi::{self, Grants, Printed};
use crate::{OpenModel, Processor, Services};

/// Entries in the resource table: models, tensors, and what the component opens of WASI (streams,
/// timers).
pub(crate) const MAX_RESOURCES: usize = 256;

/// Elements in all tables of a component together. Tables hold functions; large programs have
/// some thousands.
const MAX_TABLE_ELEMENTS: usize = crate::engine::TABLE_ELEMENTS;

/// A model that a component holds: what a handle of the WIT resource `model` stands for.
#[derive(Clone)]
pub(crate) struct HeldModel {
    pub(crate) model: Arc<dyn OpenModel>,
    /// What stood before this version when it was opened.
    pub(crate) processor: Option<Processor>,
    /// The version that gave the last answer, where it was another one.
    pub(crate) answered_by: Option<i64>,
    /// What runs of it are for: `predict` and so on.
    pub(crate) api: &'static str,
}

pub(crate) struct EdgeState {
    pub(crate) shared: Arc<Shared>,
    pub(crate) services: Arc<Services>,
    pub(crate) deadline: Deadline,
    pub(crate) meter: Arc<Meter>,
    pub(crate) table: ResourceTable,
    /// How long the request's body or message is.
    pub(crate) request_bytes: usize,
    /// Whether a model has run for it: what the component does from then on is the answer.
    pub(crate) ran: bool,
    /// Models in `table`.
    pub(crate) held_models: usize,
    /// Runs in `table` that were begun and not waited for.
    pub(crate) begun: usize,
    /// What it may have under way for nobody, and how much of that there is.
    pub(crate) mirrors: Option<Arc<Mirrors>>,
    /// Whether the component has said how its request ended.
    pub(crate) reported: bool,
    /// Whether it has asked for a new configuration.
    pub(crate) reloaded: bool,
    /// Whether the request is one that is written down, once that was asked.
    pub(crate) sampled: Option<bool>,
    /// Whether it has been written down.
    pub(crate) logged: bool,
    /// The message that is being handled, and outputs that the component has not taken.
    pub(crate) outside: Outside,
    pub(crate) memory: MemoryUse,
    pub(crate) printed: Printed,
    /// What WASI shows it of the house.
    pub(crate) grants: Arc<Grants>,
    /// Made when the component first asks WASI for something. An ordinary request never does, and
    /// seeding random generators for nothing costs as much as a small request.
    wasi: Option<Box<WasiCtx>>,
}

impl EdgeState {
    pub(crate) fn new(
        shared: Arc<Shared>,
        services: Arc<Services>,
        meter: Arc<Meter>,
        deadline: Deadline,
    ) -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(MAX_RESOURCES);
        Self {
            memory: MemoryUse {
                limit: shared.limits.memory,
                ..MemoryUse::default()
            },
            shared,
            services,
            deadline,
            meter,
            table,
            request_bytes: 0,
            ran: false,
            held_models: 0,
            begun: 0,
            mirrors: None,
            reported: false,
            reloaded: false,
            sampled: None,
            logged: false,
            outside: Outside::default(),
            printed: Printed::default(),
            grants: Arc::default(),
            wasi: None,
        }
    }

    /// Called at each tick, wherever the component is in its code.
    pub(crate) fn on_tick(store: &StoreContextMut<'_, Self>) -> wasmtime::Result<UpdateDeadline> {
        let meter = &store.data().meter;
        meter.check()?;
        // Others want the thread too.
        meter.note_yield();
        if store.data().mirrors.is_some() {
            // And, where this is a processor, the CPU: the system lets a thread have it for some
            // milliseconds, however low its priority.
            std::thread::yield_now();
        }
        Ok(UpdateDeadline::Yield(1))
    }
}

impl WasiView for EdgeState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let ctx = self
            .wasi
            .get_or_insert_with(|| Box::new(wasi::context(&self.printed, &self.grants)));
        WasiCtxView {
            ctx,
            table: &mut self.table,
        }
    }
}

/// How much memory and how many table elements the component has, all its parts together.
#[derive(Debug, Default)]
pub(crate) struct MemoryUse {
    /// Linear memory. Does not shrink.
    bytes: usize,
    /// Tensors that the host holds for it.
    held: usize,
    /// The most that both had together.
    most: usize,
    pub(crate) limit: usize,
    table_elements: usize,
    /// It asked for more than it may have: if it traps now, this is why.
    pub(crate) refused: bool,
}

impl MemoryUse {
    /// The most that it had.
    pub(crate) fn most(&self) -> usize {
        self.most
    }

    /// Whether the host may hold so much more for it, which it does then.
    pub(crate) fn hold(&mut self, bytes: usize) -> bool {
        let held = self.held.saturating_add(bytes);
        let granted = self.fits(self.bytes, held);
        if granted {
            self.held = held;
        }
        granted
    }

    /// The host holds so much less.
    pub(crate) fn release(&mut self, bytes: usize) {
        self.held = self.held.saturating_sub(bytes);
    }

    /// Called before the host writes so much into the component's memory at once.
    ///
    /// What is more than all that it may have must not be left to the limiter: for gigabytes an
    /// allocator gives up without asking for a page, and the trap would have no reason.
    pub(crate) fn take_in(&mut self, bytes: usize) -> wasmtime::Result<()> {
        if bytes > self.limit {
            self.refused = true;
            let limit = self.limit;
            return Err(wasmtime::format_err!(
                "it would be given {bytes} bytes, and may have {limit} of memory"
            ));
        }
        Ok(())
    }

    fn fits(&mut self, bytes: usize, held: usize) -> bool {
        let all = bytes.saturating_add(held);
        let fits = all <= self.limit;
        if fits {
            self.most = self.most.max(all);
        }
        fits
    }
}

impl ResourceLimiter for MemoryUse {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let bytes = self.bytes.saturating_add(desired.saturating_sub(current));
        let granted = self.fits(bytes, self.held);
        if granted {
            self.bytes = bytes;
        } else {
            self.refused = true;
        }
        Ok(granted)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let elements = self
            .table_elements
            .saturating_add(desired.saturating_sub(current));
        let granted = elements <= MAX_TABLE_ELEMENTS;
        if granted {
            self.table_elements = elements;
        } else {
            self.refused = true;
        }
        Ok(granted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_memories_of_a_component_share_one_limit() {
        let mut memory = MemoryUse {
            limit: 100,
            ..MemoryUse::default()
        };
        assert!(memory.memory_growing(0, 60, None).expect("no trap"));
        assert!(!memory.memory_growing(0, 60, None).expect("no trap"));
        assert!(memory.refused);
        assert!(memory.memory_growing(60, 100, None).expect("no trap"));
    }

    #[test]
    fn what_the_host_holds_for_a_component_counts_as_its_memory() {
        let mut memory = MemoryUse {
            limit: 100,
            ..MemoryUse::default()
        };
        assert!(memory.memory_growing(0, 60, None).expect("no trap"));
        assert!(memory.hold(30));
        assert!(!memory.hold(20));
        assert!(!memory.memory_growing(60, 80, None).expect("no trap"));
        memory.release(30);
        assert_eq!(memory.most(), 90);
        assert!(memory.memory_growing(60, 100, None).expect("no trap"));
        assert!(!memory.hold(1));
        assert!(!memory.hold(usize::MAX));
    }
}
