//! What instances of one component run in: a store with its limits and what it is given, and what
//! it means when one of them fails.
//!
//! **Invariant:** a store is made for one request, and every bound that it has is set here.

use std::sync::Arc;
use std::time::Duration;

use tensorgate_types::Deadline;
use wasmtime::{Store, Trap};

use crate::engine::Inner;
use crate::meter::{Cut, Meter, Pace};
use crate::processor::Mirrors;
use crate::state::EdgeState;
use crate::wasi::Grants;
use crate::{EdgeError, GuestFault, Services};

/// Handles of all kinds that a component may have at a time.
const MAX_HANDLES: usize = 1024;

/// Bytes of a trap's description: frames of a deep recursion are all alike.
const MAX_FAULT: usize = 4 << 10;

/// Room for small lists in one call, which are larger on the host's side (a pair of pointers
/// becomes a `String`): what is legitimate never meets the bound, and what is not is cut off.
const AROUND_A_CALL: usize = 256 << 10;

/// Makes stores. Clones share everything.
#[derive(Clone)]
pub(crate) struct Sandbox {
    pub(crate) inner: Arc<Inner>,
    pub(crate) services: Arc<Services>,
    pub(crate) bounds: Bounds,
    /// What it may see of the house; nothing by default.
    pub(crate) grants: Arc<Grants>,
    /// What it may have under way for nobody; nothing by default.
    pub(crate) mirrors: Option<Arc<Mirrors>>,
}

/// What one request may use up in it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Of its own time.
    pub(crate) time: Duration,
    /// How that is measured.
    pub(crate) pace: Pace,
    /// Bytes of linear memory, which also bounds what one call hands over.
    pub(crate) memory: usize,
}

impl Sandbox {
    /// A sandbox with the bounds of its engine, and no grants.
    pub(crate) fn new(inner: Arc<Inner>, services: Services) -> Self {
        let limits = &inner.shared.limits;
        let bounds = Bounds {
            time: limits.guest_time,
            pace: Pace::Wall,
            memory: limits.memory,
        };
        Self {
            inner,
            services: Arc::new(services),
            bounds,
            grants: Arc::default(),
            mirrors: None,
        }
    }

    pub(crate) fn store(&self, deadline: Deadline) -> Store<EdgeState> {
        let meter = Meter::new(self.bounds.time, deadline, self.bounds.pace);
        let mut state = EdgeState::new(
            Arc::clone(&self.inner.shared),
            Arc::clone(&self.services),
            meter,
            deadline,
        );
        state.memory.limit = self.bounds.memory;
        state.grants = Arc::clone(&self.grants);
        state.mirrors.clone_from(&self.mirrors);
        let mut store = Store::new(&self.inner.engine, state);
        store.limiter(|state| &mut state.memory);
        store.epoch_deadline_callback(|store| EdgeState::on_tick(&store));
        store.set_epoch_deadline(1);
        store.set_hostcall_fuel(self.bounds.memory + AROUND_A_CALL);
        store.set_max_component_handles(MAX_HANDLES);
        store
    }

    pub(crate) fn cut(&self, cut: Cut) -> EdgeError {
        match cut {
            Cut::Deadline => EdgeError::DeadlinePassed,
            Cut::OwnTime => EdgeError::OutOfTime {
                limit: self.bounds.time,
            },
        }
    }

    /// What a failed call was.
    pub(crate) fn fault(&self, store: &Store<EdgeState>, error: &wasmtime::Error) -> EdgeError {
        if let Some(cut) = error.downcast_ref::<Cut>() {
            return self.cut(*cut);
        }
        let state = store.data();
        let mut description = format!("{error:?}");
        description.truncate(description.floor_char_boundary(MAX_FAULT));
        let fault = GuestFault {
            description,
            output: state.printed.text(),
        };
        if state.memory.refused {
            return EdgeError::OutOfMemory {
                limit: self.bounds.memory,
                answering: state.ran,
                fault,
            };
        }
        match error.downcast_ref::<Trap>() {
            Some(Trap::StackOverflow) => EdgeError::StackOverflow { fault },
            _ => EdgeError::Trap { fault },
        }
    }

    /// Passes on what an instance has printed.
    pub(crate) fn log_output(&self, store: &Store<EdgeState>) {
        if !tracing::enabled!(tracing::Level::DEBUG) {
            return;
        }
        let text = store.data().printed.text();
        if !text.is_empty() {
            self.inner.prints.log(&text);
        }
    }
}
