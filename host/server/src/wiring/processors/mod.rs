//! Which processor stands before a version, and how it gets there.
//!
//! ```text
//! load thread --> model --> seat: what was pushed for it, else
//!                                 <version>/assets.extra/processor.wasm, else the config's
//!                                 compiled (cache), asked to describe itself
//! push, rollback --> every seat of the model, all or none
//! ```
//!
//! **Ordering:** a version is available only when its processor is; whoever holds the version
//! holds the processor that stood before it then. **Invariant:** a processor that cannot be used
//! fails the load, or the push, with words that say what to do.

mod change;
mod seat;

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use bytes::Bytes;
use tensorgate_edge::{
    Component, Models, OpenModel, Processor, ProcessorOptions, ProcessorStats, Processors,
};
use tensorgate_types::{
    Error, ErrorCode, ModelSpec, ModelVersionStatus, Result, ServableId, Signatures,
};
use tokio::runtime::Handle;

use crate::components::{Store, digest_of};
use crate::files;
use crate::options::{ProcessorConfig, ServeOptions};

use super::gateway::{cache_dir, chain};
use super::served::ServedError;

pub(crate) use change::{Changed, Listed};
pub(crate) use seat::{Origin, Seat, Standing};

/// Where a version's own processor is, in its directory.
const FILE: &str = "assets.extra/processor.wasm";

/// How large a component may be. An interpreter with its libraries has some 50 MiB.
pub(crate) const MAX_MIB: u64 = 256;

/// How often a load looks again when something was pushed meanwhile.
const LOOKS: usize = 100;

/// Gives versions their processors. Clones share it.
#[derive(Clone)]
pub(crate) struct Desk(Arc<Inner>);

struct Inner {
    options: ProcessorOptions,
    cache: Option<PathBuf>,
    /// Set up for the first processor: a server without any pays nothing.
    processors: OnceLock<Result<Processors>>,
    config: ProcessorConfig,
    models: Arc<Late>,
    /// The last component of each model that several versions may share. Held only to look and to
    /// put.
    shared: Mutex<HashMap<String, (String, Component)>>,
    /// Of every version that is loaded, or being loaded.
    seats: Mutex<Vec<Weak<Seat>>>,
    /// What was pushed; none without a store. Held while it is written, by one thread at a time.
    store: Option<Mutex<Store>>,
    /// One push or rollback at a time.
    changing: tokio::sync::Mutex<()>,
    /// Counts them, so that a load sees that it has looked too early. Sequentially consistent: it
    /// is raised after the store was written and before seats are filled.
    changes: AtomicU64,
    /// Where components are compiled and asked; the load's own thread waits.
    runtime: Handle,
}

/// A component that is to stand before a version.
struct Source {
    wasm: Bytes,
    origin: Origin,
    digest: String,
    /// What it is called in the log and in errors.
    name: String,
}

impl Desk {
    /// On the runtime of the caller.
    ///
    /// # Errors
    /// When the store cannot be opened.
    pub(crate) fn new(options: &ServeOptions, config: ProcessorConfig) -> Result<Self> {
        let defaults = ProcessorOptions::default();
        let store = options.components.store.as_deref().map(|directory| {
            Store::open(directory).map_err(|error| {
                let directory = directory.display();
                Error::invalid_argument(format!(
                    "--component_store={directory} cannot be used: {error}"
                ))
            })
        });
        Ok(Self(Arc::new(Inner {
            options: ProcessorOptions {
                threads: match options.components.threads {
                    0 => defaults.threads,
                    threads => threads,
                },
                slots: options.sandbox_slots,
                ..defaults
            },
            cache: cache_dir(options),
            processors: OnceLock::new(),
            config,
            models: Arc::default(),
            shared: Mutex::default(),
            seats: Mutex::default(),
            store: store.transpose()?.map(Mutex::new),
            changing: tokio::sync::Mutex::default(),
            changes: AtomicU64::new(0),
            runtime: Handle::current(),
        })))
    }

    /// From now on there are models that processors may call.
    pub(crate) fn open(&self, models: Arc<dyn Models>) {
        let _ = self.0.models.0.set(models);
    }

    /// The place before a version, with its processor there if it has one. Blocks while that is
    /// compiled.
    ///
    /// # Errors
    /// `FAILED_PRECONDITION` when it cannot be used.
    pub(crate) fn seat(
        &self,
        id: &ServableId,
        version: &Path,
        signatures: &Signatures,
    ) -> Result<Arc<Seat>> {
        let seat = Seat::new(id, version, signatures);
        // Known before anything is looked up: what is pushed from now on gets there too.
        let mut seats = self.0.seats.lock().unwrap_or_else(PoisonError::into_inner);
        seats.retain(|seat| seat.strong_count() > 0);
        seats.push(Arc::downgrade(&seat));
        drop(seats);
        for _ in 0..LOOKS {
            let changes = self.0.changes.load(Ordering::SeqCst);
            let pushed = self.pushed(id);
            let standing = self.0.runtime.block_on(self.make(&seat, pushed))?;
            let said = standing.clone();
            seat.put(standing);
            if self.0.changes.load(Ordering::SeqCst) == changes {
                if let Some(standing) = said {
                    log(id, &standing);
                }
                return Ok(seat);
            }
        }
        Err(Error::unavailable(format!(
            "The processor of {id} changed {LOOKS} times while it was loaded"
        )))
    }

    /// The digest of what was pushed for a version, if anything is.
    fn pushed(&self, id: &ServableId) -> Option<String> {
        let store = self.0.store.as_ref()?;
        let store = store.lock().unwrap_or_else(PoisonError::into_inner);
        store.current(&id.name, id.version).map(str::to_owned)
    }

    /// What stands before a version when this was pushed for it.
    async fn make(&self, seat: &Arc<Seat>, pushed: Option<String>) -> Result<Option<Standing>> {
        let id = seat.id().clone();
        let source = {
            let (desk, seat) = (self.clone(), Arc::clone(seat));
            let found = tokio::task::spawn_blocking(move || desk.source(&seat, pushed));
            found
                .await
                .map_err(|error| Error::internal(error.to_string()))??
        };
        let Some(source) = source else {
            return Ok(None);
        };
        let unusable = |problem: String| unusable(&source.name, &id, &problem);
        let component = self.component(&id.name, &source).await.map_err(unusable)?;
        let processor = component.attach(&id, seat.signatures()).await;
        let processor = processor.map_err(|error| unusable(chain(&error)))?;
        Ok(Some(Standing {
            processor,
            origin: source.origin,
            digest: source.digest.clone(),
        }))
    }

    /// Blocks.
    fn source(&self, seat: &Seat, pushed: Option<String>) -> Result<Option<Source>> {
        let id = seat.id();
        if let (Some(digest), Some(store)) = (pushed, &self.0.store) {
            let store = store.lock().unwrap_or_else(PoisonError::into_inner);
            let name = format!("that was pushed (sha256 {digest})");
            let wasm = store
                .read(&digest)
                .map_err(|error| unusable(&name, id, &error.to_string()))?;
            return Ok(Some(Source {
                wasm: wasm.into(),
                origin: Origin::Pushed,
                digest,
                name,
            }));
        }
        let own = seat.directory().join(FILE);
        let (file, origin) = if own.symlink_metadata().is_ok() {
            (own, Origin::Version)
        } else {
            match self.0.config.of(&id.name).path {
                None => return Ok(None),
                Some(path) => (path, Origin::Config),
            }
        };
        let name = file.display().to_string();
        let kind = format!("a component of {MAX_MIB} MiB at most");
        let wasm = files::read(&file, &kind, MAX_MIB << 20)
            .map_err(|error| unusable(&name, id, &error.to_string()))?;
        Ok(Some(Source {
            digest: digest_of(&wasm),
            wasm: wasm.into(),
            origin,
            name,
        }))
    }

    /// A component, compiled; the last one of a model is not compiled again.
    async fn component(
        &self,
        model: &str,
        source: &Source,
    ) -> std::result::Result<Component, String> {
        if let Some(known) = self.shared(model, &source.digest) {
            return Ok(known);
        }
        let processors = self.processors().map_err(|error| error.to_string())?;
        let rights = self.0.config.of(model).rights;
        let models = Arc::clone(&self.0.models) as Arc<dyn Models>;
        let loaded = processors.load(model, source.wasm.clone(), rights, models);
        let component = loaded.await.map_err(|error| chain(&error))?;
        let mut shared = self.0.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = (source.digest.clone(), component.clone());
        shared.insert(model.to_owned(), entry);
        Ok(component)
    }

    fn shared(&self, model: &str, digest: &str) -> Option<Component> {
        let shared = self.0.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let (known, component) = shared.get(model)?;
        (known == digest).then(|| component.clone())
    }

    fn processors(&self) -> Result<&Processors> {
        let processors = self.0.processors.get_or_init(|| {
            Processors::new(&self.0.options, self.0.cache.as_deref())
                .map_err(|error| Error::failed_precondition(chain(&error)))
        });
        processors.as_ref().map_err(Error::clone)
    }

    /// What the processors of each model have used, once there was one.
    pub(crate) fn stats(&self) -> Vec<(String, ProcessorStats)> {
        match self.0.processors.get() {
            Some(Ok(processors)) => processors.stats(),
            _ => Vec::new(),
        }
    }
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk").finish_non_exhaustive()
    }
}

fn unusable(name: &str, id: &ServableId, problem: &str) -> Error {
    Error::new(
        ErrorCode::FailedPrecondition,
        format!("The processor {name} of {id} cannot be used: {problem}"),
    )
}

fn log(id: &ServableId, standing: &Standing) {
    tracing::info!(
        "{id} has a processor ({}, sha256 {}), which covers {}",
        standing.origin.name(),
        standing.digest,
        covers(&standing.processor)
    );
}

/// The signatures that a processor covers, in words.
fn covers(processor: &Processor) -> String {
    let signatures = processor.signatures();
    if signatures.is_empty() {
        return "no signature".to_owned();
    }
    signatures.into_keys().collect::<Vec<_>>().join(", ")
}

/// What the config file says of processors, where there is one.
///
/// # Errors
/// When the file is none.
pub(crate) fn processor_config(options: &ServeOptions) -> Result<ProcessorConfig, ServedError> {
    let Some(file) = &options.components.config_file else {
        return Ok(ProcessorConfig::default());
    };
    let name = file.display();
    let invalid = |problem: String| ServedError::Invalid(format!("'{name}': {problem}"));
    let text = files::text(file).map_err(|error| invalid(error.to_string()))?;
    ProcessorConfig::parse(&text).map_err(invalid)
}

/// The models of the house, which are there only after the processors of the first of them.
#[derive(Default)]
struct Late(OnceLock<Arc<dyn Models>>);

impl Late {
    fn models(&self) -> Result<&Arc<dyn Models>> {
        self.0.get().ok_or_else(|| {
            Error::new(
                ErrorCode::Unavailable,
                "the server is starting: there are no models yet",
            )
        })
    }
}

impl Models for Late {
    fn open(&self, spec: &ModelSpec, request_bytes: usize) -> Result<Arc<dyn OpenModel>> {
        self.models()?.open(spec, request_bytes)
    }

    fn status(&self, name: &str, version: Option<i64>) -> Result<Vec<ModelVersionStatus>> {
        self.models()?.status(name, version)
    }
}
