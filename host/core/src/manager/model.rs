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
    /// Wanted from here while it answers from elsewhere: loaded beside the old instance, which
    /// answers until the new one can.
    pub(super) replacement: Option<PathBuf>,
    /// Of the attempt that counts: what an abandoned one brings is thrown away.
    pub(super) serial: u64,
}

/// How far something is that a reload waits for.
#[derive(Debug, Clone)]
pub(super) enum Progress {
    /// On its way.
    Pending,
    /// Answers, from the path that is wanted.
    Here,
    /// Cannot be loaded, or not at the first attempt.
    Failed(Error),
    /// Not there, or not wanted.
    Absent,
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
            replacement: None,
            serial: 0,
        }
    }

    fn progress(&self) -> Progress {
        match (&self.lifecycle, &self.last_error) {
            (Lifecycle::Ready, _) if self.replacement.is_none() => Progress::Here,
            (Lifecycle::Error(error), _) | (_, Some(error)) => Progress::Failed(error.clone()),
            _ => Progress::Pending,
        }
    }

    fn status(&self, version: i64) -> ModelVersionStatus {
        ModelVersionStatus {
            version,
            state: self.lifecycle.public(),
            status: match (&self.lifecycle, &self.last_error) {
                // Between attempts it is still loading, and why the last one failed is news.
                (Lifecycle::Error(error), _) | (Lifecycle::Loading, Some(error)) => {
                    Err((error.code(), error.message().to_owned()))
                }
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
    /// Whether it could not look.
    pub(super) is_unreadable: bool,
    /// Which configuration it is of: wishes of another one are stale. 0 for models that no
    /// catalog has configured.
    pub(super) generation: u64,
    /// Whether any version of it was ever loaded, or failed for good.
    pub(super) first_load_ended: bool,
    pub(super) versions: BTreeMap<i64, ManagedVersion>,
    /// Versions that are over, in the order in which they ended, each once.
    pub(super) ended: VecDeque<ModelVersionStatus>,
    /// The labels as requests see them.
    pub(super) labels: BTreeMap<String, i64>,
    /// The labels as they should be. One that moves stays where it was until its new version
    /// answers.
    pub(super) wanted_labels: BTreeMap<String, i64>,
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

    /// Moves the labels whose versions answer by now, and those that lead nowhere anyway.
    pub(super) fn resolve_labels(&mut self) {
        let resolved = self.wanted_labels.iter().map(|(label, wanted)| {
            let before = self.labels.get(label).copied();
            let stays = !self.is_available(*wanted)
                && before.is_some_and(|before| self.is_available(before));
            let version = before.filter(|_| stays).unwrap_or(*wanted);
            (label.clone(), version)
        });
        self.labels = resolved.collect();
    }

    /// How far the model is: one version that is wanted is enough.
    pub(super) fn progress(&self) -> (Option<i64>, Progress) {
        if !self.is_scanned {
            return (None, Progress::Pending);
        }
        if self.is_unreadable {
            return (None, Progress::Absent);
        }
        let mut sum = (None, Progress::Absent);
        for version in self.versions.keys().rev() {
            let progress = self.version_progress(*version);
            let weight = |progress: &Progress| match progress {
                Progress::Absent => 0,
                Progress::Failed(_) => 1,
                Progress::Pending => 2,
                Progress::Here => 3,
            };
            if weight(&progress) > weight(&sum.1) {
                sum = (Some(*version), progress);
            }
        }
        sum
    }

    /// How far a version is.
    pub(super) fn version_progress(&self, version: i64) -> Progress {
        match self.versions.get(&version) {
            Some(managed) if managed.is_aspired => managed.progress(),
            Some(managed) if managed.again.is_some() => Progress::Pending,
            _ if !self.is_scanned => Progress::Pending,
            _ => Progress::Absent,
        }
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
        let is_loading = self.versions.values().any(|managed| {
            managed.again.is_some()
                || (managed.lifecycle.is_before_ready() && managed.last_error.is_none())
        });
        if is_loading || (self.is_configured && !self.is_scanned) {
            return ModelReadiness::Pending;
        }
        let retrying = self.versions.iter().rev().find_map(|(version, managed)| {
            let error = managed.last_error.as_ref()?;
            managed
                .lifecycle
                .is_before_ready()
                .then(|| (*version, error.clone()))
        });
        if let Some((version, error)) = retrying {
            return ModelReadiness::Retrying { version, error };
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
