//! What the manager remembers of one model.
//!
//! **Invariant:** plain data and questions about it; what happens to it is decided in
//! [`super::state`].

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;

use tensorgate_types::{Error, ModelVersionStatus, ServableState};

use crate::lifecycle::Lifecycle;
use crate::policy::VersionSnapshot;
use crate::readiness::ModelReadiness;

/// How many ended versions of a model stay listed. TensorFlow Serving lists them for ever; a model
/// that is retrained every minute would fill memory. Past the limit the one that ended first goes.
pub(crate) const MAX_ENDED: usize = 64;

/// What is going on with the load of a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Attempt {
    /// Nothing: not begun, or ended.
    None,
    /// Waits for a free load thread.
    Queued,
    /// On a load thread.
    Running,
    /// Failed, and waits for the time of the next attempt.
    Resting,
}

/// One version that is not over yet.
#[derive(Debug)]
pub(super) struct ManagedVersion {
    pub(super) lifecycle: Lifecycle,
    pub(super) is_aspired: bool,
    pub(super) path: PathBuf,
    pub(super) attempt: Attempt,
    /// Attempts begun so far.
    pub(super) attempts: u32,
    /// Why the last attempt failed.
    pub(super) last_error: Option<Error>,
    /// Wanted again while it is going: to be loaded from here once it is gone.
    pub(super) again: Option<PathBuf>,
}

impl ManagedVersion {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            lifecycle: Lifecycle::New,
            is_aspired: true,
            path,
            attempt: Attempt::None,
            attempts: 0,
            last_error: None,
            again: None,
        }
    }

    fn status(&self, version: i64) -> ModelVersionStatus {
        ModelVersionStatus {
            version,
            state: self.lifecycle.public(),
            status: match &self.lifecycle {
                Lifecycle::Error(error) => Err((error.code(), error.message().to_owned())),
                _ => Ok(()),
            },
        }
    }
}

/// One model.
#[derive(Debug, Default)]
pub(super) struct ManagedModel {
    /// Whether a source speaks for it.
    pub(super) is_configured: bool,
    /// Whether its source has looked for versions yet.
    pub(super) is_scanned: bool,
    /// Whether any version of it was ever loaded, or failed for good.
    pub(super) first_load_ended: bool,
    pub(super) versions: BTreeMap<i64, ManagedVersion>,
    /// Versions that are over, in the order in which they ended, each once.
    pub(super) ended: VecDeque<ModelVersionStatus>,
    pub(super) labels: BTreeMap<String, i64>,
}

impl ManagedModel {
    pub(super) fn snapshots(&self) -> Vec<VersionSnapshot> {
        self.versions
            .iter()
            .map(|(version, managed)| VersionSnapshot {
                version: *version,
                lifecycle: managed.lifecycle.clone(),
                // What is to come back after it has gone is wanted: nothing may go in its favour
                // that still answers.
                is_aspired: managed.is_aspired || managed.again.is_some(),
            })
            .collect()
    }

    pub(super) fn is_available(&self, version: i64) -> bool {
        self.versions
            .get(&version)
            .is_some_and(|managed| matches!(managed.lifecycle, Lifecycle::Ready))
    }

    /// Takes out a version that is over, and lists it among the ended ones.
    pub(super) fn bury(&mut self, version: i64) -> Option<ManagedVersion> {
        let managed = self.versions.remove(&version)?;
        self.ended.retain(|status| status.version != version);
        self.ended.push_back(managed.status(version));
        if self.ended.len() > MAX_ENDED {
            self.ended.pop_front();
        }
        Some(managed)
    }

    /// Every version that is or was, the highest first.
    pub(super) fn statuses(&self) -> Vec<ModelVersionStatus> {
        let mut statuses: BTreeMap<i64, ModelVersionStatus> = self
            .ended
            .iter()
            .map(|status| (status.version, status.clone()))
            .collect();
        for (version, managed) in &self.versions {
            statuses.insert(*version, managed.status(*version));
        }
        statuses.into_values().rev().collect()
    }

    /// Whether the model has still to show its first version: requests are told to come again.
    pub(super) fn awaits_first_load(&self) -> bool {
        self.is_configured
            && !self.first_load_ended
            && (!self.is_scanned
                || self
                    .versions
                    .values()
                    .any(|managed| managed.lifecycle.is_before_ready()))
    }

    pub(super) fn readiness(&self) -> ModelReadiness {
        let highest = |state: ServableState| {
            self.versions
                .iter()
                .rev()
                .find(|(_, managed)| managed.lifecycle.public() == state)
        };
        if let Some((version, _)) = highest(ServableState::Available) {
            return ModelReadiness::Available { version: *version };
        }
        let is_loading = self
            .versions
            .values()
            .any(|managed| managed.lifecycle.is_before_ready() || managed.again.is_some());
        if is_loading || (self.is_configured && !self.is_scanned) {
            return ModelReadiness::Pending;
        }
        match highest(ServableState::End) {
            Some((version, managed)) => match &managed.lifecycle {
                Lifecycle::Error(error) => ModelReadiness::Failed {
                    version: *version,
                    error: error.clone(),
                },
                _ => ModelReadiness::NoVersions,
            },
            None => ModelReadiness::NoVersions,
        }
    }
}
