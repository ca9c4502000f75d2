//! What the shelf loads: SavedModels, by TensorFlow.
//!
//! The library takes a while to open, and the shelf need not wait for it to look at directories:
//! loads wait instead, on the shelf's own threads.
//!
//! **Ordering:** while a library of this size is opened, the system's loader starts no thread. So
//! [`ModelFactory::open`] comes after everything that starts threads of its own.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use tensorgate_core::ServableFactory;
use tensorgate_engine::Predictor as _;
use tensorgate_tensorflow::{
    Library, Lookup, SavedModelLoader, Scheduling, Tracer, Wanted, capture_logs,
};
use tensorgate_types::{Error, ErrorCode, ServableId};
use tracing::{info, warn};

use crate::metrics::Metrics;
use crate::options::ServeOptions;

use super::loaded::{Lite, LoadedModel};
use super::session::{parallelism, session_config};
use super::{Batching, MeasuredModel};

/// Where libtensorflow is, when no flag says it.
const VARIABLE: &str = "TENSORGATE_LIBTENSORFLOW";

/// Loads models as soon as the library is open. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct ModelFactory {
    lookup: Lookup,
    /// Loaded with the library, before any model.
    op_libraries: Vec<PathBuf>,
    tags: Vec<String>,
    session_config: Vec<u8>,
    scheduling: Scheduling,
    tracer: Tracer,
    /// Set where TensorFlow Lite models are preferred.
    lite: Option<Lite>,
    metrics: Arc<Metrics>,
    /// None where nothing is batched.
    batching: Option<Batching>,
    /// Set once, by whoever opens the library; loads wait for it.
    loader: Arc<OnceLock<Result<SavedModelLoader, Error>>>,
}

impl ModelFactory {
    /// A factory whose loads wait until [`open`](Self::open) has been called.
    ///
    /// # Errors
    /// When flags contradict each other.
    pub(crate) fn new(
        options: &ServeOptions,
        batching: Option<Batching>,
        metrics: Arc<Metrics>,
    ) -> Result<Self, Error> {
        Ok(Self {
            lookup: lookup(options),
            op_libraries: options.custom_op_libraries.clone(),
            tags: options.saved_model_tags.clone(),
            session_config: session_config(options)?,
            scheduling: scheduling(options),
            tracer: Tracer::default(),
            lite: if options.prefer_tflite_model {
                Some(Lite::new(options)?)
            } else {
                None
            },
            metrics,
            batching,
            loader: Arc::default(),
        })
    }

    /// Sees the runs of all SavedModels that are loaded.
    pub(crate) fn tracer(&self) -> Tracer {
        self.tracer.clone()
    }

    /// Opens the library, for all clones. Blocks for as long as that takes.
    ///
    /// # Errors
    /// Why it cannot be opened; loads fail for the same reason from then on.
    pub(crate) fn open(&self) -> Result<Library, Error> {
        let loader = self.loader.get_or_init(|| {
            let library = Library::find(&self.lookup)
                .map_err(|error| Error::failed_precondition(error.to_string()))?;
            load_ops(library, &self.op_libraries)?;
            Ok(SavedModelLoader {
                library,
                tags: self.tags.clone(),
                session_config: self.session_config.clone(),
                scheduling: self.scheduling,
                tracer: self.tracer.clone(),
            })
        });
        match loader {
            Ok(loader) => Ok(loader.library),
            Err(error) => Err(error.clone()),
        }
    }
}

impl ModelFactory {
    fn load_model(&self, path: &Path) -> Result<LoadedModel, Error> {
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
        let loader = self.loader.wait().as_ref().map_err(Error::clone)?;
        loader.load(path).map(LoadedModel::Saved)
    }
}

impl ServableFactory for ModelFactory {
    type Servable = MeasuredModel;

    fn load(&self, id: &ServableId, path: &Path) -> Result<MeasuredModel, Error> {
        if self.lite.is_none() {
            // A load is not slow because the library is not open yet.
            self.loader.wait();
        }
        info!("Reading SavedModel from: {}", path.display());
        let start = Instant::now();
        let loaded = self.load_model(path);
        // What TensorFlow counts are its own loads and runs, and not those of others.
        let is_lite = matches!(loaded, Ok(LoadedModel::Lite(_)));
        let metrics = (!is_lite).then(|| Arc::clone(&self.metrics));
        if let Some(metrics) = &metrics {
            let took = start.elapsed();
            metrics.loads.record(path, took, loaded.is_ok());
            let status = match &loaded {
                Ok(_) => "success: OK".to_owned(),
                Err(error) => format!("fail: {error}"),
            };
            // TensorFlow's own line, which its C functions keep from whoever reads the log.
            info!(
                "SavedModel load for tags {{ {} }}; Status: {status}. Took {} microseconds.",
                self.tags.join(" "),
                took.as_micros()
            );
        }
        let model = loaded?;
        let lane = match &self.batching {
            Some(batching) => batching.lane(id, path, model.signatures())?,
            None => None,
        };
        Ok(MeasuredModel::new(model, metrics).with_lane(lane))
    }
}

fn load_ops(library: Library, paths: &[PathBuf]) -> Result<(), Error> {
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

/// The version of the library that would be used.
pub(crate) fn library_version(options: &ServeOptions) -> Result<String, String> {
    // Its greetings are of no use to whoever asks for a number.
    let _captured = capture_logs();
    Library::find(&lookup(options))
        .map(|library| library.version().to_owned())
        .map_err(|error| error.to_string())
}

fn lookup(options: &ServeOptions) -> Lookup {
    let environment = std::env::var_os(VARIABLE).map(PathBuf::from);
    Lookup::for_this_process(
        Wanted::TensorFlow,
        options.libtensorflow.clone(),
        environment,
    )
}

/// Whoever asks for several threads for operations side by side gets TensorFlow's pool of them.
/// Left to us, a run is computed by the thread that calls, and requests run side by side.
fn scheduling(options: &ServeOptions) -> Scheduling {
    if parallelism(options).1 > 1 {
        Scheduling::InterOpPool
    } else {
        Scheduling::CallingThread
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_asks_for_it_gets_the_inter_op_pool() {
        let of = |session_parallelism, inter_op_parallelism| {
            scheduling(&ServeOptions {
                session_parallelism,
                inter_op_parallelism,
                ..ServeOptions::default()
            })
        };
        assert_eq!(of(0, 0), Scheduling::CallingThread);
        assert_eq!(of(1, 0), Scheduling::CallingThread);
        assert_eq!(of(4, 0), Scheduling::InterOpPool);
        assert_eq!(of(0, 2), Scheduling::InterOpPool);
    }
}
