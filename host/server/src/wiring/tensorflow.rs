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

use prost::Message as _;
use tensorgate_core::ServableFactory;
use tensorgate_proto::tensorflow::ConfigProto;
use tensorgate_tensorflow::{Library, Lookup, SavedModelLoader, Scheduling, Wanted, capture_logs};
use tensorgate_types::{Error, ServableId};
use tracing::{info, warn};

use crate::metrics::Metrics;
use crate::options::ServeOptions;

use super::MeasuredModel;
use super::loaded::{Lite, LoadedModel};

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
    /// Set where TensorFlow Lite models are preferred.
    lite: Option<Lite>,
    metrics: Arc<Metrics>,
    /// Set once, by whoever opens the library; loads wait for it.
    loader: Arc<OnceLock<Result<SavedModelLoader, Error>>>,
}

impl ModelFactory {
    /// A factory whose loads wait until [`open`](Self::open) has been called.
    ///
    /// # Errors
    /// When flags contradict each other.
    pub(crate) fn new(options: &ServeOptions, metrics: Arc<Metrics>) -> Result<Self, Error> {
        Ok(Self {
            lookup: lookup(options),
            op_libraries: options.custom_op_libraries.clone(),
            tags: options.saved_model_tags.clone(),
            session_config: session_config(options)?,
            scheduling: scheduling(options),
            lite: options.prefer_tflite_model.then(|| Lite::new(options)),
            metrics,
            loader: Arc::default(),
        })
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
            return Ok(LoadedModel::Lite(lite.load(&file)?));
        }
        let loader = self.loader.wait().as_ref().map_err(Error::clone)?;
        loader.load(path).map(LoadedModel::Saved)
    }
}

impl ServableFactory for ModelFactory {
    type Servable = MeasuredModel;

    fn load(&self, _id: &ServableId, path: &Path) -> Result<MeasuredModel, Error> {
        if self.lite.is_none() {
            // A load is not slow because the library is not open yet.
            self.loader.wait();
        }
        let start = Instant::now();
        let loaded = self.load_model(path);
        // What TensorFlow counts are its own loads and runs, and not those of others.
        let is_lite = matches!(loaded, Ok(LoadedModel::Lite(_)));
        let metrics = (!is_lite).then(|| Arc::clone(&self.metrics));
        if let Some(metrics) = &metrics {
            let took = start.elapsed();
            metrics.loads.record(path, took, loaded.is_ok());
        }
        Ok(MeasuredModel::new(loaded?, metrics))
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

/// TensorFlow's thread pools, as three flags say; empty for TensorFlow's defaults.
fn session_config(options: &ServeOptions) -> Result<Vec<u8>, Error> {
    let both = options.session_parallelism;
    let (intra, inter) = (options.intra_op_parallelism, options.inter_op_parallelism);
    if both > 0 && intra > 0 && inter > 0 {
        return Err(Error::invalid_argument(
            "Either configure server_options.tensorflow_session_parallelism or \
             (server_options.tensorflow_intra_op_parallelism, \
             server_options.tensorflow_inter_op_parallelism) separately. You cannot configure all.",
        ));
    }
    let (intra, inter) = parallelism(options);
    let threads = |count: i64| {
        i32::try_from(count)
            .map_err(|_| Error::invalid_argument(format!("{count} is no number of threads")))
    };
    let config = ConfigProto {
        intra_op_parallelism_threads: threads(intra)?,
        inter_op_parallelism_threads: threads(inter)?,
        ..ConfigProto::default()
    };
    Ok(config.encode_to_vec())
}

/// Threads for one operation, and for operations side by side: either of the two flags rules out
/// the one that sets both.
fn parallelism(options: &ServeOptions) -> (i64, i64) {
    let (intra, inter) = (options.intra_op_parallelism, options.inter_op_parallelism);
    if intra != 0 || inter != 0 {
        (intra, inter)
    } else {
        (options.session_parallelism, options.session_parallelism)
    }
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

    fn threads(both: i64, intra: i64, inter: i64) -> Result<(i32, i32), Error> {
        let options = ServeOptions {
            session_parallelism: both,
            intra_op_parallelism: intra,
            inter_op_parallelism: inter,
            ..ServeOptions::default()
        };
        let config = ConfigProto::decode(session_config(&options)?.as_slice()).unwrap();
        Ok((
            config.intra_op_parallelism_threads,
            config.inter_op_parallelism_threads,
        ))
    }

    #[test]
    fn three_flags_say_how_many_threads_there_are() {
        assert_eq!(threads(0, 0, 0).unwrap(), (0, 0));
        assert_eq!(threads(3, 0, 0).unwrap(), (3, 3));
        assert_eq!(threads(3, 1, 0).unwrap(), (1, 0));
        assert_eq!(threads(0, 1, 2).unwrap(), (1, 2));
        assert!(threads(3, 1, 2).is_err());
        assert!(threads(i64::MAX, 0, 0).is_err());
    }

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
