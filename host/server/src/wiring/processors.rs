//! Which processor stands before a version, and how it gets there.
//!
//! ```text
//! load thread --> model --> <version>/assets.extra/processor.wasm, else the config's
//!                             compiled (cache), asked to describe itself --> the version
//! ```
//!
//! **Ordering:** a version is available only when its processor is; whoever holds the version
//! holds the processor that stood before it then. **Invariant:** a processor that cannot be used
//! fails the load, with words that say what to do.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use tensorgate_edge::{
    Component, Models, OpenModel, Processor, ProcessorOptions, ProcessorStats, Processors,
};
use tensorgate_types::{
    Error, ErrorCode, ModelSpec, ModelVersionStatus, Result, ServableId, Signatures,
};
use tokio::runtime::Handle;

use crate::files;
use crate::options::{OneProcessor, ProcessorConfig, ServeOptions};

use super::gateway::{cache_dir, chain};
use super::served::ServedError;

/// Where a version's own processor is, in its directory.
const FILE: &str = "assets.extra/processor.wasm";

/// How large a component may be. An interpreter with its libraries has some 50 MiB.
const MAX_MIB: u64 = 256;

/// The SHA-256 of a file.
type Digest = [u8; 32];

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
    /// The last component of each model that came by the config: several versions share it. Held
    /// only to look and to put.
    shared: Mutex<HashMap<String, (Digest, Component)>>,
    /// Where components are compiled and asked; the load's own thread waits.
    runtime: Handle,
}

impl Desk {
    /// On the runtime of the caller.
    pub(crate) fn new(options: &ServeOptions, config: ProcessorConfig) -> Self {
        let defaults = ProcessorOptions::default();
        Self(Arc::new(Inner {
            options: ProcessorOptions {
                threads: match options.processor_threads {
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
            runtime: Handle::current(),
        }))
    }

    /// From now on there are models that processors may call.
    pub(crate) fn open(&self, models: Arc<dyn Models>) {
        let _ = self.0.models.0.set(models);
    }

    /// The processor of a version, if it has one. Blocks while it is compiled.
    ///
    /// # Errors
    /// `FAILED_PRECONDITION` when it cannot be used.
    pub(crate) fn attach(
        &self,
        id: &ServableId,
        version: &Path,
        signatures: &Signatures,
    ) -> Result<Option<Processor>> {
        let OneProcessor { path, rights } = self.0.config.of(&id.name);
        let own = version.join(FILE);
        let is_own = own.symlink_metadata().is_ok();
        let Some(file) = is_own.then_some(own).or(path) else {
            return Ok(None);
        };
        let failed = |problem: String| {
            let file = file.display();
            Error::new(
                ErrorCode::FailedPrecondition,
                format!("The processor {file} of {id} cannot be used: {problem}"),
            )
        };
        let kind = format!("a component of {MAX_MIB} MiB at most");
        let wasm = files::read(&file, &kind, MAX_MIB << 20)
            .map(Bytes::from)
            .map_err(|error| failed(error.to_string()))?;
        let digest: Digest = Sha256::digest(&wasm).into();
        let processors = self.processors()?;
        let attached = self.0.runtime.block_on(async {
            let known = (!is_own).then(|| self.shared(&id.name, &digest)).flatten();
            let component = match known {
                Some(component) => component,
                None => {
                    let models = Arc::clone(&self.0.models) as Arc<dyn Models>;
                    processors.load(&id.name, wasm, rights, models).await?
                }
            };
            if !is_own {
                self.share(&id.name, digest, component.clone());
            }
            component.attach(id, signatures).await
        });
        let processor = attached.map_err(|error| failed(chain(&error)))?;
        tracing::info!(
            "{id} has the processor {} (sha256 {}), which covers {}",
            file.display(),
            hex(&digest),
            names(&processor)
        );
        Ok(Some(processor))
    }

    fn processors(&self) -> Result<&Processors> {
        let processors = self.0.processors.get_or_init(|| {
            Processors::new(&self.0.options, self.0.cache.as_deref())
                .map_err(|error| Error::failed_precondition(chain(&error)))
        });
        processors.as_ref().map_err(Error::clone)
    }

    fn shared(&self, model: &str, digest: &Digest) -> Option<Component> {
        let shared = self.0.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let (known, component) = shared.get(model)?;
        (known == digest).then(|| component.clone())
    }

    fn share(&self, model: &str, digest: Digest, component: Component) {
        let mut shared = self.0.shared.lock().unwrap_or_else(PoisonError::into_inner);
        shared.insert(model.to_owned(), (digest, component));
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

/// What the config file says of processors, where there is one.
///
/// # Errors
/// When the file is none.
pub(crate) fn processor_config(options: &ServeOptions) -> Result<ProcessorConfig, ServedError> {
    let Some(file) = &options.processor_config_file else {
        return Ok(ProcessorConfig::default());
    };
    let name = file.display();
    let invalid = |problem: String| ServedError::Invalid(format!("'{name}': {problem}"));
    let text = files::text(file).map_err(|error| invalid(error.to_string()))?;
    ProcessorConfig::parse(&text).map_err(invalid)
}

fn hex(digest: &Digest) -> String {
    use std::fmt::Write as _;
    digest.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn names(processor: &Processor) -> String {
    let signatures = processor.signatures();
    if signatures.is_empty() {
        return "no signature".to_owned();
    }
    signatures.into_keys().collect::<Vec<_>>().join(", ")
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
