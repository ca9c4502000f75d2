//! A servable, held for as long as somebody uses it.
//!
//! The manager holds every available version once, each request that opened it once more. When
//! the last of them lets go, the servable is sent to an unload thread ([`crate::threads`]) to be
//! dropped there: freeing a large model takes long, and the last request to hold it must not pay.
//!
//! **Invariant:** a servable is dropped on an unload thread and nowhere else.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;

use tensorgate_types::ServableId;

/// A servable that nobody holds any more, on its way to an unload thread.
pub(crate) struct Corpse<S> {
    pub(crate) id: ServableId,
    pub(crate) servable: S,
    /// Whether another one has taken its place: its end is not the end of its version.
    pub(crate) is_replaced: bool,
}

/// One loaded servable, shared by all who hold it.
pub(crate) struct Instance<S> {
    id: ServableId,
    /// Always there until `drop` takes it.
    servable: Option<S>,
    /// Set once, when another instance of the same version takes over. Read when it is dropped.
    is_replaced: AtomicBool,
    /// Unbounded, because a drop must not wait; holds at most one entry per loaded servable, and
    /// the manager bounds those.
    graveyard: mpsc::Sender<Corpse<S>>,
}

impl<S> Instance<S> {
    pub(crate) fn new(id: ServableId, servable: S, graveyard: mpsc::Sender<Corpse<S>>) -> Self {
        Self {
            id,
            servable: Some(servable),
            is_replaced: AtomicBool::new(false),
            graveyard,
        }
    }

    pub(crate) fn id(&self) -> &ServableId {
        &self.id
    }

    /// Another instance of the version answers from now on, or will.
    pub(crate) fn replace(&self) {
        self.is_replaced.store(true, Ordering::Release);
    }
}

impl<S> Drop for Instance<S> {
    fn drop(&mut self) {
        if let Some(servable) = self.servable.take() {
            let id = self.id.clone();
            let is_replaced = self.is_replaced.load(Ordering::Acquire);
            // Without unload threads (they outlive every instance) it would be dropped here.
            let _ = self.graveyard.send(Corpse {
                id,
                servable,
                is_replaced,
            });
        }
    }
}

/// A version of a model, pinned: as long as the handle lives, the servable does.
///
/// Cheap to clone. Meant to be short-lived: a version that is unloaded stays in memory until the
/// last handle to it is dropped.
pub struct ServableHandle<S> {
    instance: Arc<Instance<S>>,
}

impl<S> ServableHandle<S> {
    pub(crate) fn new(instance: Arc<Instance<S>>) -> Self {
        Self { instance }
    }

    /// Which version of which model this is.
    #[must_use]
    pub fn id(&self) -> &ServableId {
        &self.instance.id
    }
}

impl<S> Clone for ServableHandle<S> {
    fn clone(&self) -> Self {
        Self::new(Arc::clone(&self.instance))
    }
}

impl<S> Deref for ServableHandle<S> {
    type Target = S;

    fn deref(&self) -> &S {
        self.instance
            .servable
            .as_ref()
            .expect("a servable is taken only when its last handle is gone")
    }
}

impl<S> fmt::Debug for ServableHandle<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ServableHandle").field(self.id()).finish()
    }
}
