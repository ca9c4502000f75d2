//! The part of the decisions that is about which models there are, and where a version that is
//! loaded is wanted from.
//!
//! **Invariant:** a version that answers goes on answering while it is loaded from elsewhere.

use std::collections::BTreeMap;
use std::path::PathBuf;

use tensorgate_types::ServableId;

use super::{Effect, ManagerState};
use crate::lifecycle::Lifecycle;
use crate::manager::model::{Attempt, ManagedVersion};

/// How many models stay listed that are not configured any more. TensorFlow Serving lists them
/// for ever.
pub(crate) const MAX_OVER: usize = 64;

/// From one configuration to the next.
#[derive(Debug)]
pub(crate) struct Change {
    /// Of the new configuration.
    pub(crate) generation: u64,
    /// Models that are new, or watched in another way than before.
    pub(crate) updated: Vec<String>,
    /// Models that are not served any more.
    pub(crate) removed: Vec<String>,
    /// The labels of every model that is served.
    pub(crate) labels: BTreeMap<String, BTreeMap<String, i64>>,
}

impl ManagerState {
    /// Other models are served from now on, or the same in another way. Versions follow when
    /// sources have looked.
    pub(crate) fn configure(&mut self, change: Change) {
        if self.is_closing {
            return;
        }
        let generation = change.generation;
        for name in change.updated {
            let is_new = !self.model(&name).is_some_and(|model| model.is_configured);
            self.add_model(&name);
            if let Some(model) = self.models.get_mut(&name) {
                model.generation = generation;
                model.first_load_ended &= !is_new;
                model.is_scanned = false;
                model.is_unreadable = false;
            }
        }
        for name in change.removed {
            let Some(model) = self.models.get_mut(&name) else {
                continue;
            };
            model.generation = generation;
            model.is_configured = false;
            model.wanted_labels.clear();
            let versions: Vec<i64> = model.versions.keys().copied().collect();
            for version in versions {
                self.drop_wish(&ServableId::new(&name, version));
            }
            self.settle(&name);
        }
        for (name, labels) in change.labels {
            if let Some(model) = self.models.get_mut(&name) {
                model.wanted_labels = labels;
                model.resolve_labels();
                self.changed.insert(name);
            }
        }
    }

    /// Whether a wish is of a configuration that is not this model's any more.
    pub(crate) fn is_stale(&self, generation: u64, name: &str) -> bool {
        self.models.get(name).map_or(0, |model| model.generation) != generation
    }

    /// A version that is here, or on its way, is wanted from this path.
    pub(super) fn move_to(&mut self, id: &ServableId, path: PathBuf) {
        let Some(managed) = self.version(id) else {
            return;
        };
        let goes_to = managed.replacement.as_ref().unwrap_or(&managed.path);
        if *goes_to == path {
            return;
        }
        tracing::info!(
            "Servable version {id} is now served from {}",
            path.display()
        );
        match managed.lifecycle {
            Lifecycle::New | Lifecycle::LoadApproved => managed.path = path,
            Lifecycle::Loading => {
                managed.path = path;
                managed.attempts = 0;
                managed.last_error = None;
                self.abandon_attempt(id);
                self.enqueue(id);
            }
            Lifecycle::Ready => {
                let is_back = managed.path == path;
                managed.replacement = (!is_back).then_some(path);
                managed.attempts = 0;
                managed.last_error = None;
                self.abandon_attempt(id);
                if !is_back {
                    self.enqueue(id);
                }
            }
            // Going: never asked for here.
            Lifecycle::Quiescing | Lifecycle::Unloading => managed.again = Some(path),
            // It failed elsewhere; that says nothing about this path.
            Lifecycle::Disabled | Lifecycle::Error(_) => {
                if let Some(model) = self.models.get_mut(&id.name) {
                    model.bury(id.version);
                    model.versions.insert(id.version, ManagedVersion::new(path));
                }
            }
        }
    }

    /// Forgets the attempt that waits, rests or runs. One that runs ends on its thread, and what
    /// it brings is thrown away.
    pub(super) fn abandon_attempt(&mut self, id: &ServableId) {
        let Some(managed) = self.version(id) else {
            return;
        };
        let attempt = std::mem::replace(&mut managed.attempt, Attempt::None);
        match attempt {
            Attempt::None | Attempt::Running => {}
            Attempt::Queued => self.queue.retain(|waiting| waiting != id),
            Attempt::Resting => self.effects.push(Effect::CancelRetry(id.clone())),
        }
    }

    fn enqueue(&mut self, id: &ServableId) {
        if let Some(managed) = self.version(id) {
            managed.attempt = Attempt::Queued;
            self.queue.push_back(id.clone());
        }
    }

    /// Bounds what is remembered of models that are gone.
    pub(super) fn forget_if_over(&mut self, name: &str) {
        let is_over = |state: &Self, name: &str| {
            state
                .models
                .get(name)
                .is_some_and(|model| !model.is_configured && model.versions.is_empty())
        };
        if !is_over(self, name) {
            return;
        }
        self.over.retain(|other| other != name);
        self.over.push_back(name.to_owned());
        while self.over.len() > MAX_OVER {
            let Some(first) = self.over.pop_front() else {
                return;
            };
            if is_over(self, &first) {
                self.models.remove(&first);
                self.changed.insert(first);
            }
        }
    }
}
