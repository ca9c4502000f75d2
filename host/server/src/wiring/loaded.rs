//! A version of a model, as the shelf holds it: a SavedModel, or a TensorFlow Lite model where those
//! are preferred.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use tensorgate_engine::{NamedTensors, Predictor, RunRequest};
use tensorgate_tensorflow::{LiteLibrary, LiteModel, Lookup, SavedModel, Wanted};
use tensorgate_types::{Error, Result, Signatures};

use crate::options::ServeOptions;

/// Where libLiteRt is, when no flag says it.
const VARIABLE: &str = "TENSORGATE_LIBLITERT";

/// The file of a TensorFlow Lite model in a version directory.
const FILE: &str = "model.tflite";

/// A loaded version.
#[derive(Debug)]
pub(crate) enum LoadedModel {
    Saved(SavedModel),
    Lite(LiteModel),
}

impl LoadedModel {
    fn predictor(&self) -> &dyn Predictor {
        match self {
            Self::Saved(model) => model,
            Self::Lite(model) => model,
        }
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
}

/// Loads TensorFlow Lite models. Their library is opened for the first of them. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Lite {
    lookup: Lookup,
    interpreters: usize,
    library: Arc<OnceLock<Result<LiteLibrary>>>,
}

impl Lite {
    pub(crate) fn new(options: &ServeOptions) -> Self {
        let environment = std::env::var_os(VARIABLE).map(PathBuf::from);
        let pools = match options.num_tflite_pools {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            pools => pools,
        };
        Self {
            lookup: Lookup::for_this_process(
                Wanted::LiteRt,
                options.liblitert.clone(),
                environment,
            ),
            interpreters: pools.saturating_mul(options.num_tflite_interpreters_per_pool.max(1)),
            library: Arc::default(),
        }
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
