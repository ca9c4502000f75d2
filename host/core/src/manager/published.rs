//! What requests see of the manager: a picture of all models that is replaced whole and read
//! without a lock.
//!
//! **Invariant:** a picture never changes. In every picture a version is available exactly when
//! it can be looked up.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use tensorgate_types::{Error, ModelSpec, ModelVersionStatus, ServableState, VersionChoice};

use super::model::{ManagedModel, Progress};
use crate::handle::{Instance, ServableHandle};
use crate::readiness::{ModelReadiness, Readiness};

/// One model in the picture.
pub(super) struct PublishedModel<S> {
    /// The available versions, the highest first.
    instances: Vec<Arc<Instance<S>>>,
    labels: BTreeMap<String, i64>,
    statuses: Vec<ModelVersionStatus>,
    readiness: ModelReadiness,
    is_configured: bool,
    is_scanned: bool,
    awaits_first_load: bool,
    progress: (Option<i64>, Progress),
    version_progress: BTreeMap<i64, Progress>,
    /// Until its source has looked, a version that is not listed may still come.
    others: Progress,
}

impl<S> PublishedModel<S> {
    pub(super) fn new(
        model: &ManagedModel,
        instance: impl Fn(i64) -> Option<Arc<Instance<S>>>,
    ) -> Self {
        let statuses = model.statuses();
        Self {
            instances: statuses
                .iter()
                .filter(|status| status.state == ServableState::Available)
                .filter_map(|status| instance(status.version))
                .collect(),
            labels: model.labels.clone(),
            statuses,
            readiness: model.readiness(),
            is_configured: model.is_configured,
            is_scanned: model.is_scanned,
            awaits_first_load: model.awaits_first_load(),
            progress: model.progress(),
            version_progress: model
                .versions
                .keys()
                .map(|version| (*version, model.version_progress(*version)))
                .collect(),
            others: if model.is_scanned {
                Progress::Absent
            } else {
                Progress::Pending
            },
        }
    }

    fn latest(&self) -> Option<&Arc<Instance<S>>> {
        self.instances.first()
    }

    /// Few versions are available at once: a walk is quicker than any map.
    fn specific(&self, version: i64) -> Option<&Arc<Instance<S>>> {
        self.instances
            .iter()
            .find(|instance| instance.id().version == version)
    }

    /// How far the model is, and which version says so.
    pub(super) fn progress(&self) -> &(Option<i64>, Progress) {
        &self.progress
    }

    /// How far a version is.
    pub(super) fn version_progress(&self, version: i64) -> &Progress {
        self.version_progress.get(&version).unwrap_or(&self.others)
    }

    /// Whether it is too early to say that this is not there.
    fn may_still_come(&self, version: Option<i64>) -> bool {
        let is_known = |version: i64| {
            self.statuses
                .iter()
                .any(|status| status.version == version && status.state != ServableState::End)
        };
        self.awaits_first_load && (!self.is_scanned || version.is_none_or(is_known))
    }
}

/// The picture.
pub(super) struct Published<S> {
    pub(super) models: HashMap<String, Arc<PublishedModel<S>>>,
    pub(super) is_closing: bool,
}

impl<S> Published<S> {
    pub(super) fn empty() -> Self {
        Self {
            models: HashMap::new(),
            is_closing: false,
        }
    }

    pub(super) fn lookup(&self, spec: &ModelSpec) -> Result<ServableHandle<S>, Error> {
        if spec.name.is_empty() {
            return Err(Error::invalid_argument("ModelSpec has no name specified."));
        }
        let model = self.models.get(&spec.name);
        let version = match &spec.version {
            VersionChoice::Latest => None,
            VersionChoice::Specific(version) => Some(*version),
            VersionChoice::Label(label) => Some(
                model
                    .and_then(|model| model.labels.get(label))
                    .copied()
                    .ok_or_else(|| {
                        Error::invalid_argument(format!(
                            "Unrecognized servable version label: {label}"
                        ))
                    })?,
            ),
        };
        model
            .and_then(|model| match version {
                None => model.latest(),
                Some(version) => model.specific(version),
            })
            .map(|instance| ServableHandle::new(Arc::clone(instance)))
            .ok_or_else(|| self.why_not(&spec.name, version))
    }

    #[cold]
    fn why_not(&self, name: &str, version: Option<i64>) -> Error {
        // A label is named by the version that it points at, as in the original.
        let request = ModelSpec {
            name: name.to_owned(),
            version: version.map_or(VersionChoice::Latest, VersionChoice::Specific),
        };
        if self.is_closing {
            return Error::unavailable(format!(
                "Servable not available for request: {request}: the server is shutting down"
            ));
        }
        match self.models.get(name) {
            Some(model) if model.may_still_come(version) => Error::unavailable(format!(
                "Servable not available yet for request: {request}: the model is being loaded for \
                 the first time"
            )),
            _ => Error::not_found(format!("Servable not found for request: {request}")),
        }
    }

    pub(super) fn status(
        &self,
        name: &str,
        version: Option<i64>,
    ) -> Result<Vec<ModelVersionStatus>, Error> {
        let statuses = self
            .models
            .get(name)
            .map_or(&[][..], |model| &model.statuses);
        let found: Vec<ModelVersionStatus> = statuses
            .iter()
            .filter(|status| version.is_none_or(|version| status.version == version))
            .cloned()
            .collect();
        if found.is_empty() {
            return Err(Error::not_found(match version {
                None => format!("Could not find any versions of model {name}"),
                Some(version) => format!("Could not find version {version} of model {name}"),
            }));
        }
        Ok(found)
    }

    pub(super) fn readiness_of(&self, name: &str) -> ModelReadiness {
        self.models
            .get(name)
            .map_or(ModelReadiness::NoVersions, |model| model.readiness.clone())
    }

    pub(super) fn readiness(&self) -> Readiness {
        let mut models = BTreeMap::new();
        #[expect(clippy::iter_over_hash_type, reason = "gathered in a sorted map")]
        for (name, model) in &self.models {
            if model.is_configured {
                models.insert(name.clone(), model.readiness.clone());
            }
        }
        Readiness { models }
    }
}
