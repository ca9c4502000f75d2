//! The manager's decisions, without its threads: events come in, effects go out.
//!
//! Every event changes what is remembered of one model, lets the version policy act until it has
//! no action left, and gives free load threads to those who wait for one, first come, first
//! served. What has to be done outside is left in [`Effect`]s; which models have changed is left
//! in a set. The actor around this ([`super::actor`]) publishes the changed models first and
//! carries out the effects afterwards.
//!
//! **Invariant:** no clock, no thread, no servable. At most `load_threads` attempts run at once.
//! An attempt that has begun is never taken back; one that has not, is, as soon as its version is
//! not wanted any more.

mod configure;
mod loads;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;
use std::time::Duration;

use tensorgate_types::{Error, ServableId};

use super::model::{Attempt, ManagedModel, ManagedVersion};
use crate::lifecycle::{IllegalTransition, Lifecycle};
use crate::policy::{Action, VersionPolicy};
use crate::source::AspiredVersions;
pub(crate) use configure::Change;

/// What has to be done outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Give this to a load thread; one is free.
    Load {
        id: ServableId,
        path: PathBuf,
        /// To be handed back when the attempt has ended.
        serial: u64,
    },
    /// Say when this much time has passed.
    RetryAfter { id: ServableId, delay: Duration },
    /// That is not needed any more.
    CancelRetry(ServableId),
    /// Let go of the servable.
    Release(ServableId),
}

/// How it decides.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    pub(crate) policy: VersionPolicy,
    pub(crate) load_threads: usize,
    pub(crate) max_retries: u32,
    pub(crate) retry_interval: Duration,
}

/// Everything that the manager remembers.
#[derive(Debug)]
pub(crate) struct ManagerState {
    rules: Rules,
    models: BTreeMap<String, ManagedModel>,
    /// Who waits for a load thread.
    queue: VecDeque<ServableId>,
    running: usize,
    /// Of the last attempt that was begun.
    serial: u64,
    /// Servables that are loaded and not of use any more, because another one answers instead.
    replaced: usize,
    /// Models that are configured no more and have nothing loaded, the first to go in front.
    over: VecDeque<String>,
    is_closing: bool,
    effects: Vec<Effect>,
    changed: BTreeSet<String>,
}

impl ManagerState {
    pub(crate) fn new(rules: Rules) -> Self {
        Self {
            rules,
            models: BTreeMap::new(),
            queue: VecDeque::new(),
            running: 0,
            serial: 0,
            replaced: 0,
            over: VecDeque::new(),
            is_closing: false,
            effects: Vec::new(),
            changed: BTreeSet::new(),
        }
    }

    pub(crate) fn model(&self, name: &str) -> Option<&ManagedModel> {
        self.models.get(name)
    }

    pub(crate) fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    pub(crate) fn take_changed(&mut self) -> BTreeSet<String> {
        std::mem::take(&mut self.changed)
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.is_closing
    }

    /// Whether nothing is loaded, loading or going.
    pub(crate) fn is_empty(&self) -> bool {
        self.running == 0
            && self.replaced == 0
            && self.models.values().all(|model| model.versions.is_empty())
    }

    // --- Events ---

    /// A source will speak for this model.
    pub(crate) fn add_model(&mut self, name: &str) {
        tracing::info!(" (Re-)adding model: {name}");
        self.models
            .entry(name.to_owned())
            .or_default()
            .is_configured = true;
        self.changed.insert(name.to_owned());
    }

    /// These versions of a model are wanted, and no others.
    pub(crate) fn aspire(&mut self, list: AspiredVersions) {
        if self.is_closing {
            return;
        }
        let AspiredVersions { name, versions } = list;
        let wanted: BTreeMap<i64, PathBuf> = versions
            .into_iter()
            .map(|aspired| (aspired.version, aspired.path))
            .collect();
        let model = self.models.entry(name.clone()).or_default();
        model.is_configured = true;
        model.is_scanned = true;
        model.is_unreadable = false;
        let unwanted: Vec<i64> = model
            .versions
            .keys()
            .filter(|version| !wanted.contains_key(version))
            .copied()
            .collect();
        for version in unwanted {
            self.drop_wish(&ServableId::new(&name, version));
        }
        for (version, path) in wanted {
            self.wish_for(&name, version, path);
        }
        self.settle(&name);
    }

    /// A source cannot look for versions of this model.
    pub(crate) fn unreadable(&mut self, name: &str) {
        let model = self.models.entry(name.to_owned()).or_default();
        model.is_configured = true;
        model.is_scanned = true;
        model.is_unreadable = true;
        self.changed.insert(name.to_owned());
    }

    /// An attempt to load has ended. Whether what it brought is of use.
    pub(crate) fn load_ended(
        &mut self,
        id: &ServableId,
        serial: u64,
        result: Result<(), Error>,
    ) -> bool {
        self.running = self.running.saturating_sub(1);
        let counts = self
            .version(id)
            .is_some_and(|managed| managed.attempt == Attempt::Running && managed.serial == serial);
        match result {
            Ok(()) if counts => self.loaded(id),
            Err(error) if counts => self.attempt_failed(id, error),
            // Meanwhile the version is wanted from elsewhere, or not any more.
            Ok(()) => self.replaced += 1,
            Err(_) => {}
        }
        self.settle(&id.name);
        counts
    }

    /// A servable that was of no use any more is freed.
    pub(crate) fn replaced_dropped(&mut self, id: &ServableId) {
        tracing::info!("Done unloading a replaced instance of servable version {id}");
        self.replaced = self.replaced.saturating_sub(1);
    }

    /// It is time for the next attempt.
    pub(crate) fn retry_due(&mut self, id: &ServableId) {
        if let Some(managed) = self.version(id)
            && managed.attempt == Attempt::Resting
        {
            managed.attempt = Attempt::Queued;
            self.queue.push_back(id.clone());
            self.settle(&id.name);
        }
    }

    /// The last handle to a released servable is gone.
    pub(crate) fn quiesced(&mut self, id: &ServableId) {
        tracing::info!("Done quiescing servable version {id}");
        tracing::info!("Unloading servable version {id}");
        self.step(id, Lifecycle::start_unload);
        self.settle(&id.name);
    }

    /// A released servable is freed.
    pub(crate) fn dropped(&mut self, id: &ServableId) {
        tracing::info!("Done unloading servable version {id}");
        self.step(id, Lifecycle::finish_unload);
        self.settle(&id.name);
    }

    /// Nothing is wanted any more, and nothing will be.
    pub(crate) fn close(&mut self) {
        self.is_closing = true;
        let ids: Vec<ServableId> = self
            .models
            .iter()
            .flat_map(|(name, model)| {
                model
                    .versions
                    .keys()
                    .map(move |version| ServableId::new(name, *version))
            })
            .collect();
        for id in &ids {
            self.drop_wish(id);
        }
        for name in self.models.keys().cloned().collect::<Vec<_>>() {
            self.settle(&name);
        }
    }

    // --- Wishes ---

    fn wish_for(&mut self, name: &str, version: i64, path: PathBuf) {
        let Some(model) = self.models.get_mut(name) else {
            return;
        };
        match model.versions.get_mut(&version) {
            None => {
                model.versions.insert(version, ManagedVersion::new(path));
            }
            Some(managed) => match managed.lifecycle {
                // Going: it is made anew when it is gone.
                Lifecycle::Quiescing | Lifecycle::Unloading => managed.again = Some(path),
                // Its end has not begun: it simply goes on.
                _ => {
                    managed.is_aspired = true;
                    self.move_to(&ServableId::new(name, version), path);
                }
            },
        }
    }

    /// A version is not wanted any more. What has not begun is called off.
    fn drop_wish(&mut self, id: &ServableId) {
        let Some(managed) = self.version(id) else {
            return;
        };
        managed.is_aspired = false;
        managed.again = None;
        if managed.replacement.is_some() {
            self.abandon_attempt(id);
            if let Some(managed) = self.version(id) {
                managed.replacement = None;
                managed.last_error = None;
            }
            return;
        }
        let attempt = managed.attempt;
        match attempt {
            // Nothing waits for anything, or a load thread has it and will tell.
            Attempt::None | Attempt::Running => {
                if matches!(managed.lifecycle, Lifecycle::New) {
                    self.step(id, Lifecycle::cancel);
                }
                return;
            }
            Attempt::Queued => self.queue.retain(|waiting| waiting != id),
            Attempt::Resting => self.effects.push(Effect::CancelRetry(id.clone())),
        }
        let Some(managed) = self.version(id) else {
            return;
        };
        managed.attempt = Attempt::None;
        match managed.last_error.take() {
            None => self.step(id, Lifecycle::cancel),
            Some(error) => {
                tracing::info!("Retrying of Loading servable: {id} was cancelled.");
                self.fail(id, error);
            }
        }
    }

    // --- Settling ---

    /// Lets the policy act on a model until it has nothing left to do.
    fn settle(&mut self, name: &str) {
        self.changed.insert(name.to_owned());
        loop {
            self.bury_ended(name);
            let Some(model) = self.models.get_mut(name) else {
                break;
            };
            model.resolve_labels();
            // Ends: every action takes a version out of the state in which policies act on it.
            match self.rules.policy.next_action(&model.snapshots()) {
                Some(Action::Load(version)) => self.approve(ServableId::new(name, version)),
                Some(Action::Unload(version)) => self.release(ServableId::new(name, version)),
                None => break,
            }
        }
        self.start_loads();
        self.forget_if_over(name);
    }

    fn bury_ended(&mut self, name: &str) {
        let Some(model) = self.models.get_mut(name) else {
            return;
        };
        let ended: Vec<i64> = model
            .versions
            .iter()
            .filter(|(_, managed)| !managed.is_aspired && managed.lifecycle.is_ended())
            .map(|(version, _)| *version)
            .collect();
        for version in ended {
            if let Some(path) = model.bury(version).and_then(|managed| managed.again) {
                model.versions.insert(version, ManagedVersion::new(path));
            }
        }
    }

    fn approve(&mut self, id: ServableId) {
        tracing::info!("Approving load for servable version {id}");
        self.step(&id, Lifecycle::approve_load);
        if let Some(managed) = self.version(&id) {
            managed.attempt = Attempt::Queued;
            self.queue.push_back(id);
        }
    }

    fn release(&mut self, id: ServableId) {
        tracing::info!("Quiescing servable version {id}");
        self.step(&id, Lifecycle::quiesce);
        self.effects.push(Effect::Release(id));
    }

    fn version(&mut self, id: &ServableId) -> Option<&mut ManagedVersion> {
        self.models.get_mut(&id.name)?.versions.get_mut(&id.version)
    }

    /// Takes a step that must be legal here. That it is, the property test shows; were it not, the
    /// version stays as it is, which is the safest that can be done in production.
    fn step(
        &mut self,
        id: &ServableId,
        step: impl FnOnce(&mut Lifecycle) -> Result<(), IllegalTransition>,
    ) {
        let Some(managed) = self.version(id) else {
            debug_assert!(false, "nothing is remembered of {id}");
            return;
        };
        if let Err(refused) = step(&mut managed.lifecycle) {
            debug_assert!(false, "{id}: {refused}");
            tracing::error!("servable version {id}: {refused}");
        }
    }
}

#[cfg(test)]
impl ManagerState {
    /// As [`Self::load_ended`], of the attempt that counts.
    fn last_load_ended(&mut self, id: &ServableId, result: Result<(), Error>) {
        let serial = self.version(id).map_or(0, |managed| managed.serial);
        self.load_ended(id, serial, result);
    }
}

#[cfg(test)]
mod random_tests;
#[cfg(test)]
mod tests;
