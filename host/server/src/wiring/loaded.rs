//! A version of a model, as the shelf holds it: a SavedModel, a TensorFlow Lite model where those
//! are preferred, or either of them in workers.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use tensorgate_engine::{NamedTensors, Predictor, RunRequest};
use tensorgate_tensorflow::{LiteLibrary, LiteModel, Lookup, SavedModel, Wanted};
use tensorgate_types::{Error, Result, Signatures};
use tensorgate_workers::FleetModel;

use crate::options::ServeOptions;

/// Where libLiteRt is, when no flag says it.
const VARIABLE: &str = "TENSORGATE_LIBLITERT";

/// The file of a TensorFlow Lite model in a version directory.
const FILE: &str = "model.tflite";

/// Interpreters of one model: each has memory of its own, and all are made when it is loaded.
const MAX_INTERPRETERS: usize = 4096;

/// A loaded version.
#[derive(Debug)]
pub(crate) enum LoadedModel {
    Saved(SavedModel),
    Lite(LiteModel),
    Away(Arc<FleetModel>),
}

impl LoadedModel {
    fn predictor(&self) -> &dyn Predictor {
        match self {
            Self::Saved(model) => model,
            Self::Lite(model) => model,
            Self::Away(model) => &**model,
        }
    }

    /// Whether TensorFlow has nothing to do with it.
    pub(crate) fn is_lite(&self) -> bool {
        match self {
            Self::Saved(_) => false,
            Self::Lite(_) => true,
            // Sessions have devices.
            Self::Away(model) => model.devices().is_empty(),
        }
    }

    /// What runs it on all workers that have it, where it is on workers.
    pub(crate) fn everywhere(&self) -> Option<Arc<dyn Predictor>> {
        match self {
            Self::Saved(_) | Self::Lite(_) => None,
            Self::Away(model) => Some(Arc::new(Everywhere(Arc::clone(model)))),
        }
    }
}

/// A model whose runs are made on every worker that has it.
struct Everywhere(Arc<FleetModel>);

impl Predictor for Everywhere {
    fn signatures(&self) -> &Signatures {
        self.0.signatures()
    }

    fn signature_defs(&self) -> &[(String, Bytes)] {
        self.0.signature_defs()
    }

    fn run(&self, request: &RunRequest) -> Result<Vec<NamedTensors>> {
        self.0.run_everywhere(request)
    }
}

impl Predictor for LoadedModel {
    fn signatures(&self) -> &Signatures {
        self.predictor().signatures()
    }

    fn signature_defs(&self) -> &[(String, Bytes)] {
        self.predictor().signature_defs()
    }

    fn run(&self, request: &RunRequest) -> Result<Vec<NamedTensors>> {
        self.predictor().run(request)
    }

    fn run_once(&self, request: &RunRequest) -> Result<Vec<NamedTensors>> {
        self.predictor().run_once(request)
    }
}

/// Loads TensorFlow Lite models. Their library is opened for the first of them. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Lite {
    lookup: Lookup,
    interpreters: usize,
    library: Arc<OnceLock<Result<LiteLibrary>>>,
}

impl Lite {
    /// # Errors
    /// When more interpreters are asked for than fit into any memory.
    pub(crate) fn new(options: &ServeOptions) -> Result<Self> {
        let environment = std::env::var_os(VARIABLE).map(PathBuf::from);
        let pools = match options.num_tflite_pools {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            pools => pools,
        };
        let per_pool = options.num_tflite_interpreters_per_pool.max(1);
        let interpreters = pools.saturating_mul(per_pool);
        if interpreters > MAX_INTERPRETERS {
            return Err(Error::invalid_argument(format!(
                "num_tflite_pools is {pools} and num_tflite_interpreters_per_pool {per_pool}: \
                 expected {MAX_INTERPRETERS} interpreters at most"
            )));
        }
        Ok(Self {
            lookup: Lookup::for_this_process(
                Wanted::LiteRt,
                options.liblitert.clone(),
                environment,
            ),
            interpreters,
            library: Arc::default(),
        })
    }

    /// The TensorFlow Lite model of a version directory, if it has one.
    pub(crate) fn file_in(version: &Path) -> Option<PathBuf> {
        Some(version.join(FILE)).filter(|file| file.is_file())
    }

    pub(crate) fn load(&self, file: &Path) -> Result<LiteModel> {
        let library = self.library.get_or_init(|| {
            let library = LiteLibrary::find(&self.lookup)
                .map_err(|error| Error::failed_precondition(error.to_string()))?;
            tracing::info!("TensorFlow Lite models by {}", library.path().display());
            Ok(library)
        });
        let library = library.as_ref().map_err(Error::clone)?;
        LiteModel::load(*library, file, self.interpreters)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_no_more_interpreters_than_fit_into_memory() {
        let with = |pools, per_pool| {
            Lite::new(&ServeOptions {
                num_tflite_pools: pools,
                num_tflite_interpreters_per_pool: per_pool,
                ..ServeOptions::default()
            })
        };
        assert_eq!(with(64, 64).unwrap().interpreters, 4096);
        assert_eq!(with(3, 0).unwrap().interpreters, 3);
        for (pools, per_pool) in [(4097, 1), (64, 65), (usize::MAX, usize::MAX)] {
            let error = with(pools, per_pool).unwrap_err().to_string();
            let words = format!("num_tflite_pools is {pools} and num_tflite_interpreters_per_pool");
            assert!(error.contains(&words), "{error}");
        }
    }
}
