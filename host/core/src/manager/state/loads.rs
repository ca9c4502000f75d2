//! The part of the decisions that is about attempts to load: who gets a thread, what follows from
//! success and from failure.
//!
//! **Invariant:** between two attempts a version occupies no load thread, and stays `Loading`.

use std::fmt;

use tensorgate_types::{Error, ServableId};

use super::{Effect, ManagerState, Rules};
use crate::lifecycle::Lifecycle;
use crate::manager::model::Attempt;
use crate::policy::Action;

impl ManagerState {
    /// Gives free load threads to those who wait.
    pub(super) fn start_loads(&mut self) {
        while self.running < self.rules.load_threads {
            let Some(id) = self.queue.pop_front() else {
                return;
            };
            let Some(managed) = self.version(&id) else {
                continue;
            };
            let retry = managed.attempts;
            let is_first = matches!(managed.lifecycle, Lifecycle::LoadApproved);
            if retry == 0 {
                tracing::info!("Loading servable version {id}");
            } else {
                tracing::info!("Retrying of Loading servable: {id} retry: {retry}");
            }
            if is_first {
                self.step(&id, Lifecycle::start_load);
            }
            self.serial += 1;
            let serial = self.serial;
            let Some(managed) = self.version(&id) else {
                continue;
            };
            managed.attempts += 1;
            managed.attempt = Attempt::Running;
            managed.serial = serial;
            let path = managed.replacement.as_ref().unwrap_or(&managed.path);
            let path = path.clone();
            self.running += 1;
            self.changed.insert(id.name.clone());
            self.effects.push(Effect::Load { id, path, serial });
        }
    }

    /// An attempt has succeeded.
    pub(super) fn loaded(&mut self, id: &ServableId) {
        let Some(managed) = self.version(id) else {
            return;
        };
        managed.attempt = Attempt::None;
        managed.last_error = None;
        if let Some(path) = managed.replacement.take() {
            managed.path = path;
            self.replaced += 1;
            tracing::info!("Successfully loaded servable version {id} from its new path");
            return;
        }
        self.step(id, Lifecycle::finish_load);
        let policy = self.rules.policy;
        let Some(model) = self.models.get_mut(&id.name) else {
            return;
        };
        model.first_load_ended = true;
        // Not wanted any more, and the policy would have it go at once: no request shall see it.
        // The unload itself follows when the model is settled.
        if policy.next_action(&model.snapshots()) == Some(Action::Unload(id.version)) {
            tracing::info!("Unloading just-loaded servable version {id}");
        } else {
            tracing::info!("Successfully loaded servable version {id}");
        }
    }

    /// An attempt has failed: rest and try again, or give up.
    pub(super) fn attempt_failed(&mut self, id: &ServableId, error: Error) {
        tracing::error!("Loading servable: {id} failed: {}", Chain(&error));
        let Rules {
            max_retries,
            retry_interval,
            ..
        } = self.rules;
        let Some(managed) = self.version(id) else {
            return;
        };
        managed.attempt = Attempt::None;
        let is_replacement = managed.replacement.is_some();
        if managed.is_aspired && managed.attempts <= max_retries {
            managed.last_error = Some(error);
            managed.attempt = Attempt::Resting;
            self.effects.push(Effect::RetryAfter {
                id: id.clone(),
                delay: retry_interval,
            });
            return;
        }
        if managed.is_aspired {
            tracing::error!(
                "Retrying of Loading servable: {id} exhausted max_num_retries: {max_retries}"
            );
        } else {
            tracing::info!("Retrying of Loading servable: {id} was cancelled.");
        }
        if is_replacement {
            // What answers goes on answering.
            tracing::error!("Servable {id} cannot be loaded from its new path: {error}");
            if let Some(managed) = self.version(id) {
                managed.last_error = Some(error);
            }
            return;
        }
        self.fail(id, error);
    }

    /// Gives up.
    pub(super) fn fail(&mut self, id: &ServableId, error: Error) {
        tracing::error!("Servable {id} cannot be loaded: {error}");
        tracing::error!("Encountered an error for servable version {id}: {error}");
        self.step(id, |lifecycle| lifecycle.fail(error));
        if let Some(model) = self.models.get_mut(&id.name) {
            model.first_load_ended = true;
        }
    }
}

/// An error with all its causes, for the log.
struct Chain<'a>(&'a Error);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = std::error::Error::source(self.0);
        while let Some(cause) = source {
            write!(f, ": {cause}")?;
            source = cause.source();
        }
        Ok(())
    }
}
