//! Owns every loaded version of every model, and answers who is there.
//!
//! ```text
//! Source --wishes--> actor (state + policy) --jobs--> load threads --> ServableFactory
//!                      |  ^                                  |
//!                      |  +------------ reports -------------+---- unload threads <-- last handle
//!                      v
//!                  picture (read without a lock) --> lookup, status, readiness
//! ```
//!
//! **Invariant:** reading never waits: not for a load, not for an unload, not for the actor.
//! **Ordering:** wishes of one source are heard in their order.
//! **Cancellation:** [`Manager::shutdown`], or dropping the last manager, unloads everything;
//! handles that are still out keep their servables.

mod actor;
mod catalog;
mod model;
mod published;
mod state;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tensorgate_types::{Error, ModelSpec, ModelVersionStatus};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{AbortHandle, JoinSet};

use crate::handle::ServableHandle;
use crate::loader::ServableFactory;
use crate::policy::VersionPolicy;
use crate::readiness::{ModelReadiness, Readiness};
use crate::source::{Aspirations, Source};
use crate::threads::{spawn_loaders, spawn_unloaders};
use actor::{Actor, Command};
pub use catalog::{Catalog, CatalogEntry, CatalogOptions};
use published::Published;
use state::{ManagerState, Rules};

/// How many wishes, reports and commands may wait for the actor before their senders wait too.
/// The actor handles one in microseconds, so this is reached only by sources that shout.
const QUEUE: usize = 256;

/// What an operator can set.
#[derive(Debug, Clone)]
pub struct ManagerOptions {
    /// How a model changes from version to version.
    pub version_policy: VersionPolicy,
    /// How many loads run at once, over all models; 0 counts as 1. Two by default: one slow load
    /// then does not hold up the others, and memory has to hold the overhead of two.
    /// (TensorFlow Serving's default loads inside the manager's own loop, one at a time.)
    pub num_load_threads: usize,
    /// How many servables are freed at once; 0 counts as 1, which is the default.
    pub num_unload_threads: usize,
    /// How often a load is tried again after it has failed. Every error is retried, also one that
    /// looks permanent: a file may still be on its way, and TensorFlow Serving does the same. The
    /// version is reported as loading until the last attempt has failed.
    pub max_num_load_retries: u32,
    /// How long to rest between two attempts. Does not occupy a load thread.
    pub load_retry_interval: Duration,
}

impl ManagerOptions {
    /// Sets the interval from the flag `load_retry_interval_micros`: negative is no rest.
    #[must_use]
    pub fn with_load_retry_interval_micros(mut self, micros: i64) -> Self {
        self.load_retry_interval = Duration::from_micros(u64::try_from(micros).unwrap_or(0));
        self
    }
}

/// TensorFlow Serving's defaults, but for the load threads.
impl Default for ManagerOptions {
    fn default() -> Self {
        Self {
            version_policy: VersionPolicy::default(),
            num_load_threads: 2,
            num_unload_threads: 1,
            max_num_load_retries: 5,
            load_retry_interval: Duration::from_secs(60),
        }
    }
}

/// The owner of all models. Clones are the same manager.
pub struct Manager<S> {
    published: Arc<ArcSwap<Published<S>>>,
    pictures: watch::Receiver<u64>,
    commands: mpsc::Sender<Command>,
    aspirations: Aspirations,
    /// Aborted when the last manager is gone. Locked only to add one or to stop all.
    sources: Arc<Mutex<JoinSet<()>>>,
}

impl<S> Clone for Manager<S> {
    fn clone(&self) -> Self {
        Self {
            published: Arc::clone(&self.published),
            pictures: self.pictures.clone(),
            commands: self.commands.clone(),
            aspirations: self.aspirations.clone(),
            sources: Arc::clone(&self.sources),
        }
    }
}

impl<S> fmt::Debug for Manager<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Manager")
            .field("readiness", &self.published.load().readiness())
            .finish_non_exhaustive()
    }
}

impl<S: Send + Sync + 'static> Manager<S> {
    /// Starts a manager on the current async runtime, and its threads.
    ///
    /// # Errors
    /// When the system gives no threads.
    pub fn spawn<F>(options: &ManagerOptions, factory: F) -> io::Result<Self>
    where
        F: ServableFactory<Servable = S>,
    {
        let load_threads = options.num_load_threads.max(1);
        let unload_threads = options.num_unload_threads.max(1);
        let (report_to, reports) = mpsc::channel(QUEUE);
        let graveyard = spawn_unloaders(unload_threads, &report_to)?;
        let jobs = spawn_loaders(load_threads, factory, &report_to, &graveyard)?;
        let (commands, command_queue) = mpsc::channel(QUEUE);
        let (wish_to, wishes) = mpsc::channel(QUEUE);
        let (picture_to, pictures) = watch::channel(0);
        let published = Arc::new(ArcSwap::from_pointee(Published::empty()));
        let actor = Actor {
            state: ManagerState::new(Rules {
                policy: options.version_policy,
                load_threads,
                max_retries: options.max_num_load_retries,
                retry_interval: options.load_retry_interval,
            }),
            instances: HashMap::new(),
            retries: BTreeMap::new(),
            jobs,
            commands: command_queue,
            is_abandoned: false,
            wishes,
            reports,
            published: Arc::clone(&published),
            pictures: picture_to,
        };
        tokio::spawn(actor.run());
        Ok(Self {
            published,
            pictures,
            commands,
            aspirations: Aspirations::new(wish_to),
            sources: Arc::default(),
        })
    }

    /// Adds the models of a source and listens to it from now on. When this returns, lookups and
    /// [`Manager::wait_until_settled`] know the models.
    pub async fn attach<Watched: Source>(&self, source: Watched) {
        self.add_models(source.servables()).await;
        let watch = source.run(self.aspirations());
        self.lock_sources().spawn(watch);
    }

    /// Adds models whose versions are told through [`Manager::aspirations`].
    pub async fn add_models(&self, names: Vec<String>) {
        let (done, heard) = oneshot::channel();
        let command = Command::AddModels { names, done };
        if self.commands.send(command).await.is_ok() {
            // An error means that the manager has shut down: nothing to wait for.
            let _ = heard.await;
        }
    }

    /// Where to say which versions are wanted.
    #[must_use]
    pub fn aspirations(&self) -> Aspirations {
        self.aspirations.clone()
    }

    /// Finds a version and pins it. Never waits.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for a request without a name or with an unknown label; `NOT_FOUND` when
    /// the version is not available; `UNAVAILABLE` when it is too early to say so, because the
    /// first load of the model has not ended.
    pub fn lookup(&self, spec: &ModelSpec) -> Result<ServableHandle<S>, Error> {
        self.published.load().lookup(spec)
    }

    /// Whether a model of this name was ever added. Never waits.
    #[must_use]
    pub fn knows(&self, name: &str) -> bool {
        self.published.load().models.contains_key(name)
    }

    /// The states of a model's versions, the highest first; or of one version. Ended versions stay
    /// listed, the last 64 of each model. Never waits.
    ///
    /// # Errors
    /// `NOT_FOUND` for what was never seen.
    pub fn status(
        &self,
        name: &str,
        version: Option<i64>,
    ) -> Result<Vec<ModelVersionStatus>, Error> {
        self.published.load().status(name, version)
    }

    /// How far every model is. Never waits.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        self.published.load().readiness()
    }

    /// Waits until each of these models has a version available, or has nothing left to wait for:
    /// the first attempt to load what is wanted has failed, or there is nothing there. So a broken
    /// or missing model holds no other one up. Returns how each was when it settled.
    ///
    /// Waits without limit for a load that does not end. A model that was never added counts as
    /// one without versions. Ends early when the manager shuts down.
    pub async fn wait_until_settled(&self, names: &[impl AsRef<str> + Sync]) -> Readiness {
        self.wait_until(names, ModelReadiness::is_settled).await
    }

    /// As [`Self::wait_until_settled`], but waits for the last attempt to load, and not only for
    /// the first one.
    pub async fn wait_until_final(&self, names: &[impl AsRef<str> + Sync]) -> Readiness {
        self.wait_until(names, ModelReadiness::is_final).await
    }

    async fn wait_until(
        &self,
        names: &[impl AsRef<str> + Sync],
        is_enough: fn(&ModelReadiness) -> bool,
    ) -> Readiness {
        let mut waiting: BTreeSet<&str> = names.iter().map(AsRef::as_ref).collect();
        let mut settled = Readiness::default();
        let mut pictures = self.pictures.clone();
        loop {
            pictures.mark_unchanged();
            // The picture must not be kept while waiting: it pins the versions in it.
            waiting.retain(|name| {
                let readiness = self.published.load().readiness_of(name);
                let is_enough = is_enough(&readiness);
                if is_enough {
                    settled.models.insert((*name).to_owned(), readiness);
                }
                !is_enough
            });
            if waiting.is_empty() {
                return settled;
            }
            if pictures.changed().await.is_err() {
                for name in waiting {
                    let readiness = self.published.load().readiness_of(name);
                    settled.models.insert(name.to_owned(), readiness);
                }
                return settled;
            }
        }
    }

    /// Waits until something that can be looked up, or its status, has changed since the last
    /// call on the same clone. `false` when nothing will change any more.
    pub async fn changed(&mut self) -> bool {
        self.pictures.changed().await.is_ok()
    }

    /// Stops sources and loads, unloads everything, and waits until it is gone: for loads that
    /// have begun, since they cannot be called off, and for handles that are still out. Put a time
    /// limit round it.
    pub async fn shutdown(&self) {
        self.lock_sources().abort_all();
        // An error means that it has shut down before.
        let _ = self.commands.send(Command::Shutdown).await;
        let mut pictures = self.pictures.clone();
        while pictures.changed().await.is_ok() {}
    }

    /// Drives `watch` until the manager shuts down, or somebody stops it.
    fn spawn_source(&self, watch: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
        let mut sources = self.lock_sources();
        // Those that were stopped.
        while sources.try_join_next().is_some() {}
        sources.spawn(watch)
    }

    fn lock_sources(&self) -> std::sync::MutexGuard<'_, JoinSet<()>> {
        // Nothing that could panic happens under it.
        self.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
