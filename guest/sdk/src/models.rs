//! Models that a processor calls itself: for cascades, ensembles and canaries.
//!
//! In the sandbox they are the server's, as far as the operator has granted them. In native tests
//! they are what [`testing`](crate::testing) says.

use tensorgate_types::{Error, ErrorCode, ModelSpec, Result, VersionChoice};

#[cfg(target_arch = "wasm32")]
use crate::convert as backend;
use crate::describe::Signature;
use crate::processor::Call;
use crate::tensors::Outputs;
#[cfg(not(target_arch = "wasm32"))]
use crate::testing as backend;

/// One version of a model, held for as long as this lives: it stays the same also when a newer
/// one is loaded meanwhile.
#[derive(Debug)]
pub struct Model(backend::Handle);

impl Model {
    /// Opens the newest version of a model.
    ///
    /// # Errors
    /// `NOT_FOUND` when there is no such model, `PERMISSION_DENIED` when it was not granted,
    /// `UNAVAILABLE` while it loads.
    pub fn open(name: &str) -> Result<Self> {
        Self::open_version(name, VersionChoice::Latest)
    }

    /// Opens a version of a model: the latest, a certain one, or the one with a label.
    ///
    /// # Errors
    /// As [`open`](Self::open), `NOT_FOUND` also when that version is not served, and
    /// `INVALID_ARGUMENT` for a label that points nowhere.
    pub fn open_version(name: &str, version: VersionChoice) -> Result<Self> {
        let spec = ModelSpec {
            name: name.to_owned(),
            version,
        };
        backend::open(&spec).map(Self)
    }

    /// The version that was opened.
    #[must_use]
    pub fn version(&self) -> i64 {
        backend::version(&self.0)
    }

    /// The signature of this name, where the model has one.
    #[must_use]
    pub fn signature(&self, name: &str) -> Option<Signature> {
        backend::signature(&self.0, name)
    }

    /// Runs the model, in a batch with others where batching is on.
    ///
    /// # Errors
    /// What the run ended with. Inputs that do not fit were made by the processor, so that
    /// `INVALID_ARGUMENT` is given as `INTERNAL`.
    pub fn predict(&self, call: Call) -> Result<Outputs> {
        backend::predict(&self.0, call).map_err(own_mistake)
    }

    /// Begins a run and does not wait for it, so that several models compute side by side. A
    /// request may have 16 runs under way.
    ///
    /// ```no_run
    /// # use tensorgate_sdk::{Call, Model, Outputs, Result, Tensor};
    /// # fn all(call: Call) -> Result<Vec<Outputs>> {
    /// let models = [Model::open("small")?, Model::open("large")?];
    /// let runs = models.map(|model| model.begin(call.clone()));
    /// runs.into_iter().map(|run| run?.wait()).collect()
    /// # }
    /// ```
    ///
    /// # Errors
    /// Inputs that do not fit (`INTERNAL`, as for [`predict`](Self::predict)), and
    /// `RESOURCE_EXHAUSTED` for one run too many.
    pub fn begin(&self, call: Call) -> Result<Run> {
        backend::begin(&self.0, call).map(Run).map_err(own_mistake)
    }

    /// Runs the model for nobody: what it gives, errors too, is dropped. It goes after all other
    /// requests, and this returns at once. The outputs that `call` wants make no difference.
    ///
    /// # Errors
    /// `UNAVAILABLE` when as many such runs are on their way as the processor may have: traffic of
    /// this kind is the first to be dropped. And inputs that do not fit (`INTERNAL`).
    pub fn mirror(&self, call: Call) -> Result<()> {
        backend::mirror(&self.0, call).map_err(own_mistake)
    }
}

/// A run that goes on by itself. Dropping it gives it up.
#[derive(Debug)]
#[must_use = "a run that is dropped is given up"]
pub struct Run(backend::Begun);

impl Run {
    /// Waits for what the model gives.
    ///
    /// # Errors
    /// What the run ended with, as [`Model::predict`].
    pub fn wait(self) -> Result<Outputs> {
        backend::wait(self.0).map_err(own_mistake)
    }
}

/// Inputs that do not fit were made by the processor: no client is to blame.
fn own_mistake(error: Error) -> Error {
    if error.code() == ErrorCode::InvalidArgument {
        Error::internal(error.message())
    } else {
        error
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::Tensor;
    use crate::tensors::Tensors;
    use crate::testing;

    #[test]
    fn a_test_says_what_models_answer() {
        let doubles = |model: &str, call: &Call| {
            if model != "small" {
                return Err(Error::not_found(format!("no model {model}")));
            }
            let x = call.inputs.view::<f32>("x")?;
            let y = Tensor::scalar(2.0 * x.values()[0]);
            Ok(Tensors::outputs([("y".to_owned(), y)]))
        };
        testing::with_models(doubles, || {
            let model = Model::open("small").unwrap();
            let call = Call::new("serving_default", [("x", Tensor::scalar(4.0f32))]);
            let outputs = model.predict(call.clone()).unwrap();
            assert_eq!(outputs.view::<f32>("y").unwrap().values(), [8.0]);
            let bad = Call::new("serving_default", Tensors::new());
            let error = model.predict(bad).unwrap_err();
            assert_eq!(
                error.to_string(),
                "INTERNAL: input `x`: it is missing, there are none"
            );
            let run = model.begin(call.clone()).unwrap();
            model.mirror(call.clone()).unwrap();
            let outputs = run.wait().unwrap();
            assert_eq!(outputs.view::<f32>("y").unwrap().values(), [8.0]);
            let other = Model::open("large").unwrap();
            assert!(other.predict(call).is_err());
        });
        let error = Model::open("small").unwrap_err();
        assert_eq!(error.code(), ErrorCode::NotFound);
    }
}
