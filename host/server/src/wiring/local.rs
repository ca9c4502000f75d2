//! Loads models by the libraries of this process: in a server without workers, and in a worker.
//!
//! **Ordering:** while a library of this size is opened, the system's loader starts no thread. So
//! [`LocalLoader::open`] comes after everything that starts threads of its own.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use tensorgate_tensorflow::{CopyCounters, Library, Lookup, SavedModelLoader, Tracer, Wanted};
use tensorgate_types::{Error, ErrorCode, Result};
use tensorgate_workers::Device;
use tracing::{info, warn};

use crate::options::ServeOptions;

use super::loaded::{Lite, LoadedModel};
use super::sessions::HowSession;

/// Where libtensorflow is, when no flag says it.
const VARIABLE: &str = "TENSORGATE_LIBTENSORFLOW";

/// Loads models as soon as the library is open. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct LocalLoader {
    lookup: Lookup,
    /// Loaded with the library, before any model.
    op_libraries: Vec<PathBuf>,
    tags: Vec<String>,
    tracer: Tracer,
    copied: Arc<CopyCounters>,
    /// Set where TensorFlow Lite models are preferred.
    lite: Option<Lite>,
    /// Set once, by whoever opens the library; loads wait for it.
    library: Arc<OnceLock<Result<Library>>>,
    /// Set by the first SavedModel: a process has the same for all.
    devices: Arc<OnceLock<Vec<Device>>>,
}

impl LocalLoader {
    /// A loader whose loads wait until [`open`](Self::open) has been called.
    ///
    /// # Errors
    /// When flags ask for more than there can be.
    pub(super) fn new(options: &ServeOptions) -> Result<Self> {
        Ok(Self {
            lookup: lookup(options),
            op_libraries: options.custom_op_libraries.clone(),
            tags: options.saved_model_tags.clone(),
            tracer: Tracer::default(),
            copied: Arc::default(),
            lite: if options.prefer_tflite_model {
                Some(Lite::new(options)?)
            } else {
                None
            },
            library: Arc::default(),
            devices: Arc::default(),
        })
    }

    /// Sees the runs of all SavedModels that are loaded.
    pub(super) fn tracer(&self) -> Tracer {
        self.tracer.clone()
    }

    /// Counts what is copied for the runs of all SavedModels that are loaded.
    pub(super) fn copied(&self) -> Arc<CopyCounters> {
        Arc::clone(&self.copied)
    }

    /// Opens the library, for all clones. Blocks for as long as that takes.
    ///
    /// # Errors
    /// Why it cannot be opened; loads fail for the same reason from then on.
    pub(super) fn open(&self) -> Result<Library> {
        let library = self.library.get_or_init(|| {
            let library = Library::find(&self.lookup)
                .map_err(|error| Error::failed_precondition(error.to_string()))?;
            load_ops(library, &self.op_libraries)?;
            Ok(library)
        });
        library.clone()
    }

    /// Waits until the library is open, where every load needs it.
    pub(super) fn wait(&self) {
        if self.lite.is_none() {
            self.library.wait();
        }
    }

    /// Loads the model of a version directory.
    ///
    /// # Errors
    /// Whatever TensorFlow says.
    pub(super) fn load(&self, path: &Path, how: HowSession) -> Result<LoadedModel> {
        if let Some(lite) = &self.lite
            && let Some(file) = Lite::file_in(path)
        {
            let loaded = lite.load(&file);
            match loaded {
                // It is preferred, and not the only one: what LiteRT cannot compute at all,
                // TensorFlow does. A damaged file is an error whatever lies beside it.
                Err(error)
                    if error.code() == ErrorCode::Unimplemented
                        && path.join("saved_model.pb").is_file() =>
                {
                    warn!(
                        "Serving the SavedModel in {} in the place of its model.tflite: {}",
                        path.display(),
                        error.message()
                    );
                }
                loaded => return Ok(LoadedModel::Lite(loaded?)),
            }
        }
        let library = self.library.wait().as_ref().map_err(Error::clone)?;
        let loader = SavedModelLoader {
            library: *library,
            tags: self.tags.clone(),
            session_config: how.config,
            scheduling: how.scheduling,
            tracer: self.tracer.clone(),
            copied: Arc::clone(&self.copied),
        };
        let model = loader.load(path)?;
        if self.devices.get().is_none() {
            let devices = model.devices()?.into_iter().map(|device| Device {
                name: device.name,
                kind: device.kind,
                memory_bytes: device.memory_bytes,
            });
            // Somebody may have been quicker, with the same.
            let _ = self.devices.set(devices.collect());
        }
        Ok(LoadedModel::Saved(model))
    }

    /// What sessions can compute on; empty before the first one.
    pub(super) fn devices(&self) -> Vec<Device> {
        self.devices.get().cloned().unwrap_or_default()
    }
}

fn load_ops(library: Library, paths: &[PathBuf]) -> Result<()> {
    for path in paths {
        let ops = library
            .load_ops(path)
            .map_err(|error| Error::failed_precondition(error.to_string()))?;
        let path = path.display();
        if ops.is_empty() {
            warn!(%path, "a library of operations registers none");
        } else {
            info!(%path, "Loaded the operations {}", ops.join(", "));
        }
    }
    Ok(())
}

/// Where the library is looked for.
pub(super) fn lookup(options: &ServeOptions) -> Lookup {
    let environment = std::env::var_os(VARIABLE).map(PathBuf::from);
    Lookup::for_this_process(
        Wanted::TensorFlow,
        options.libtensorflow.clone(),
        environment,
    )
}
