//! Which models are served, and the change from one set of them to another while requests go on.
//!
//! A reload checks everything first. Then it brings what is new, or watched in another way, beside
//! what is there, and waits until that answers; only then does it let go of what is not listed any
//! more. So when something does not come, going back takes nothing away that answered before.
//!
//! **Ordering:** one reload at a time; one that waits for another gives up at its own limit.
//! **Cancellation:** a reload is a task of its own: whoever asked for it may go away.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tensorgate_types::{Error, ErrorCode, ServableId};
use tokio::sync::{Mutex, oneshot};
use tokio::task::{AbortHandle, spawn_blocking};
use tokio::time::{Instant, timeout_at};

use super::actor::Command;
use super::model::Progress;
use super::state::Change;
use super::{Manager, published::Published};
use crate::source::{MonitoredServable, Polling, ServableVersionPolicy, Watches, versions_in};

/// A model that is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogEntry {
    /// Its name, where its versions are, and which of them are served.
    pub watched: MonitoredServable,
    /// Names for some of its versions.
    pub labels: BTreeMap<String, i64>,
}

/// How a catalog goes about it.
#[derive(Debug, Clone, Copy)]
pub struct CatalogOptions {
    /// How often base paths are looked at.
    pub polling: Polling,
    /// Whether a label that is new or does not move may point at a version that does not exist.
    pub allow_labels_for_unavailable: bool,
}

/// The models that a manager serves. Clones are the same catalog.
pub struct Catalog<S> {
    pub(super) shared: Arc<Shared<S>>,
}

pub(super) struct Shared<S> {
    pub(super) manager: Manager<S>,
    options: CatalogOptions,
    watches: Watches,
    /// Held during a reload.
    current: Mutex<Current>,
}

#[derive(Default)]
struct Current {
    entries: BTreeMap<String, CatalogEntry>,
    /// Who looks at each model's base path.
    watchers: BTreeMap<String, AbortHandle>,
    generation: u64,
}

type Entries = BTreeMap<String, CatalogEntry>;

/// What a reload waits for, of one model.
#[derive(Debug)]
struct Awaited {
    name: String,
    base_path: PathBuf,
    /// Whether any version has to answer.
    is_model: bool,
    /// Versions that have to answer, because labels point at them.
    versions: BTreeSet<i64>,
}

impl<S> Clone for Catalog<S> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<S> fmt::Debug for Catalog<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Catalog")
            .field("options", &self.shared.options)
            .finish_non_exhaustive()
    }
}

impl<S: Send + Sync + 'static> Catalog<S> {
    /// Serves these models from now on. Does not wait for their versions. When this returns,
    /// lookups know the models.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` when a model is listed twice; `FAILED_PRECONDITION` when a label points
    /// at a version that is not there.
    pub async fn open(
        manager: Manager<S>,
        options: CatalogOptions,
        models: Vec<CatalogEntry>,
    ) -> Result<Self, Error> {
        let shared = Shared {
            manager,
            options,
            watches: Watches::new(options.polling),
            current: Mutex::default(),
        };
        let entries = by_name(models)?;
        let mut current = shared.current.lock().await;
        for entry in entries.values() {
            shared.check_labels(entry, None, true).await?;
        }
        shared.configure(&mut current, &entries).await;
        drop(current);
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// Serves these models instead, and waits until those that are new, or come from another base
    /// path, answer, and those versions too at which labels now point. `limit` bounds all of it.
    ///
    /// # Errors
    /// As [`Self::open`]; `UNKNOWN` when something that is waited for does not come, in TensorFlow
    /// Serving's words; `DEADLINE_EXCEEDED`. After an error everything is as it was before.
    pub async fn reload(&self, models: Vec<CatalogEntry>, limit: Duration) -> Result<(), Error> {
        let gone = || Error::unavailable("the server is shutting down");
        let until = Instant::now().checked_add(limit);
        let shared = Arc::clone(&self.shared);
        tokio::spawn(async move { shared.reload(models, until).await })
            .await
            .map_err(|_| gone())?
    }
}

impl<S: Send + Sync + 'static> Shared<S> {
    async fn reload(&self, models: Vec<CatalogEntry>, until: Option<Instant>) -> Result<(), Error> {
        let target = by_name(models)?;
        let mut current = within(until, self.current.lock())
            .await
            .ok_or_else(|| Error::new(ErrorCode::DeadlineExceeded, "another reload is going on"))?;
        let before = current.entries.clone();
        let awaited = within(until, self.check(&before, &target))
            .await
            .ok_or_else(|| {
                let message = "the base paths of the models were not read in time";
                Error::new(ErrorCode::DeadlineExceeded, message)
            })??;
        self.configure(&mut current, &both(&before, &target)).await;
        let arrival = match within(until, self.arrive(&awaited)).await {
            Some(arrival) => arrival,
            None => Err(self.too_late(&awaited)),
        };
        let end = if arrival.is_ok() { &target } else { &before };
        self.configure(&mut current, end).await;
        arrival
    }

    /// What has to be waited for, if all labels can be.
    async fn check(&self, before: &Entries, target: &Entries) -> Result<Vec<Awaited>, Error> {
        let mut awaited = Vec::new();
        for (name, entry) in target {
            let old = before.get(name);
            awaited.push(Awaited {
                name: name.clone(),
                base_path: entry.watched.base_path.clone(),
                is_model: old.is_none_or(|old| old.watched.base_path != entry.watched.base_path),
                versions: self.check_labels(entry, old, false).await?,
            });
        }
        Ok(awaited)
    }

    /// The versions at which labels point that are new or move. Each must exist, and be one that
    /// the policy chooses.
    async fn check_labels(
        &self,
        entry: &CatalogEntry,
        old: Option<&CatalogEntry>,
        is_start: bool,
    ) -> Result<BTreeSet<i64>, Error> {
        let CatalogEntry { watched, labels } = entry;
        let before = |label: &String| old.and_then(|old| old.labels.get(label));
        let is_watched_as_before = old.is_some_and(|old| old.watched == *watched);
        let mut changed = labels
            .iter()
            .filter(|(label, version)| !is_watched_as_before || before(label) != Some(version));
        if changed.clone().next().is_none() {
            return Ok(BTreeSet::new());
        }
        let name = &watched.name;
        let base_path = watched.base_path.clone();
        let existing = spawn_blocking(move || versions_in(&base_path)).await;
        let chosen = match existing {
            Ok(Ok(existing)) => watched.version_policy.select(name, &existing).versions,
            // A model whose base path is missing does not keep a server from starting.
            Ok(Err(error)) if is_start => {
                tracing::warn!("the labels of model {name} cannot be checked: {error}");
                return Ok(BTreeSet::new());
            }
            _ => BTreeSet::new(),
        };
        changed.try_fold(BTreeSet::new(), |mut awaited, (label, version)| {
            if chosen.contains(version) {
                awaited.insert(*version);
                return Ok(awaited);
            }
            // A label that clients use already must not be moved to where nothing answers.
            let may_dangle = before(label).is_none_or(|before| before == version);
            if self.options.allow_labels_for_unavailable && may_dangle {
                return Ok(awaited);
            }
            Err(Error::failed_precondition(format!(
                "Request to assign label to version {version} of model {name}, which is not \
                 currently available for inference"
            )))
        })
    }

    /// Makes these the models that are served, at once.
    async fn configure(&self, current: &mut Current, target: &Entries) {
        let updated: Vec<&CatalogEntry> = target
            .iter()
            .filter(|(name, entry)| {
                let old = current.entries.get(*name);
                old.is_none_or(|old| old.watched != entry.watched)
            })
            .map(|(_, entry)| entry)
            .collect();
        let names = |name: &String| (!target.contains_key(name)).then(|| name.clone());
        let removed: Vec<String> = current.entries.keys().filter_map(names).collect();
        current.generation += 1;
        let generation = current.generation;
        let (done, heard) = oneshot::channel();
        let change = Change {
            generation,
            updated: updated.iter().map(|it| it.watched.name.clone()).collect(),
            removed: removed.clone(),
            labels: target
                .iter()
                .map(|(name, entry)| (name.clone(), entry.labels.clone()))
                .collect(),
        };
        let command = Command::Configure { change, done };
        if self.manager.commands.send(command).await.is_ok() {
            // An error means that the manager has shut down: nothing to wait for.
            let _ = heard.await;
        }
        for name in &removed {
            if let Some(watcher) = current.watchers.remove(name) {
                watcher.abort();
            }
        }
        for entry in updated {
            let aspirations = self.manager.aspirations.of_generation(generation);
            let watch = self.watches.watch(entry.watched.clone(), aspirations);
            let watcher = self.manager.spawn_source(watch);
            let name = entry.watched.name.clone();
            if let Some(old) = current.watchers.insert(name, watcher) {
                old.abort();
            }
        }
        current.entries.clone_from(target);
    }

    /// Waits until everything is there, or something is known not to come.
    async fn arrive(&self, awaited: &[Awaited]) -> Result<(), Error> {
        let mut pictures = self.manager.pictures.clone();
        loop {
            pictures.mark_unchanged();
            let is_here = is_here(&self.manager.published.load(), awaited)?;
            if is_here {
                return Ok(());
            }
            if pictures.changed().await.is_err() {
                return Err(Error::unavailable("the server is shutting down"));
            }
        }
    }

    fn too_late(&self, awaited: &[Awaited]) -> Error {
        let published = self.manager.published.load();
        let late: Vec<&str> = awaited
            .iter()
            .filter(|one| !matches!(is_here(&published, std::slice::from_ref(one)), Ok(true)))
            .map(|one| one.name.as_str())
            .collect();
        Error::new(
            ErrorCode::DeadlineExceeded,
            format!(
                "the reload did not end in time: still loading {}; everything is served as before",
                late.join(", ")
            ),
        )
    }
}

/// What is served on the way: all that was and all that will be. Labels stay where they are.
fn both(before: &Entries, target: &Entries) -> Entries {
    let mut both = target.clone();
    for (name, old) in before {
        let Some(entry) = both.get_mut(name) else {
            both.insert(name.clone(), old.clone());
            continue;
        };
        entry.labels.clone_from(&old.labels);
        let policies = (&entry.watched.version_policy, &old.watched.version_policy);
        if policies.0 != policies.1 {
            let policies = (policies.0.clone(), policies.1.clone());
            entry.watched.version_policy = ServableVersionPolicy::Either(Box::new(policies));
        }
    }
    both
}

fn by_name(models: Vec<CatalogEntry>) -> Result<Entries, Error> {
    let mut entries = BTreeMap::new();
    for entry in models {
        let name = entry.watched.name.clone();
        if entries.insert(name.clone(), entry).is_some() {
            return Err(Error::invalid_argument(format!(
                "Illegal to list model {name} multiple times in config list"
            )));
        }
    }
    Ok(entries)
}

/// The outcome, or nothing when it does not come in time.
async fn within<T>(until: Option<Instant>, what: impl Future<Output = T>) -> Option<T> {
    match until {
        Some(until) => timeout_at(until, what).await.ok(),
        None => Some(what.await),
    }
}

/// Whether all that is awaited answers; an error when something of it will not.
fn is_here<S>(published: &Published<S>, awaited: &[Awaited]) -> Result<bool, Error> {
    let mut is_here = true;
    let mut failures = Vec::new();
    for one in awaited {
        let Some(model) = published.models.get(&one.name) else {
            is_here = false;
            continue;
        };
        let (version, progress) = model.progress();
        let of_model = one.is_model.then_some((*version, progress));
        let of_versions = one
            .versions
            .iter()
            .map(|version| (Some(*version), model.version_progress(*version)));
        for (version, progress) in of_model.into_iter().chain(of_versions) {
            match progress {
                Progress::Here => {}
                Progress::Pending => is_here = false,
                Progress::Failed(error) => failures.push(failure(one, version, error)),
                Progress::Absent => failures.push(failure(one, version, &absent(one, version))),
            }
        }
    }
    if failures.is_empty() {
        return Ok(is_here);
    }
    failures.dedup();
    let count = failures.len();
    let failures: String = failures.iter().map(|it| format!("{{{it}}}, ")).collect();
    Err(Error::new(
        ErrorCode::Unknown,
        format!("{count} model(s) did not become available: {{{failures}}}"),
    ))
}

fn failure(of: &Awaited, version: Option<i64>, error: &Error) -> String {
    match version {
        Some(version) => {
            let id = ServableId::new(&of.name, version);
            format!("{id} due to error: {error}")
        }
        None => format!("{{name: {}}} due to error: {error}", of.name),
    }
}

fn absent(of: &Awaited, version: Option<i64>) -> Error {
    let path = Path::display(&of.base_path);
    let name = &of.name;
    Error::not_found(match version {
        None => format!("No versions of servable {name} found under base path {path}"),
        Some(version) => {
            format!("Version {version} of servable {name} is not served from base path {path}")
        }
    })
}
