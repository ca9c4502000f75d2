//! The edge: models of a host far away, with a processor in front of them, as one [`Services`].
//!
//! ```text
//!  rest::handle ──> Edge ─┬─ covered by the processor here ──> preprocess ─> run bare ─> postprocess
//!                         └─ all others ─────────────────────> run, as clients of the host would
//! ```
//!
//! What the host does for a processor beside its models is done here for one at the edge, by the
//! same rules and in the same words (`tensorgate_types::processing`): clients cannot tell where a
//! processor runs. A processor that the host has for the model as well is seen as the host's
//! clients see it, in signatures that the one here does not cover.
//!
//! What is known of a model at the edge may be old. Whoever reaches the host says so with
//! `ABORTED`, and the request is handled anew, from the opening of the model on.
//!
//! **Invariant:** one [`Edge`] lives for one request, and nothing of it is there in the next.

mod far;
mod model;
mod processor;
mod tensors;
mod whole;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use tensorgate_types::processing::{self, Covered, told_error};
use tensorgate_types::{
    Error, ErrorCode, ModelConfig, ModelSpec, ModelVersionStatus, Result, Settings, ShapeCheck,
    Signatures, VersionChoice,
};

pub use far::{
    CoveredSignature, ElementsView, Far, FarCall, FarModel, FarReply, Payload, TensorView,
};
pub use model::EdgeModel;
pub use processor::{Answer, Context, Given, Processor, Step, Subject};
pub use whole::Whole;

use crate::inference::{Inference, Output};
use crate::services::{LogEntry, Services};

/// How often a request is handled, when what was known of its model turns out to be old.
const ATTEMPTS: u32 = 3;

/// One request at the edge.
#[derive(Debug)]
pub struct Edge<'a, F, P> {
    far: &'a F,
    processor: &'a P,
    /// The body of the request that is being handled.
    body: &'a [u8],
    /// What the processor said of models: it is asked once.
    described: RefCell<BTreeMap<(String, i64), Rc<Described>>>,
    /// Whether something turned out to be old in this attempt.
    is_stale: Cell<bool>,
    is_last: Cell<bool>,
    /// Whether a host was asked to run something, which tells it what the request was checked by.
    has_run: Cell<bool>,
}

/// A version of a model, and what the processor says of it.
#[derive(Debug)]
struct Described {
    /// As the exporter wrote them.
    signatures: Signatures,
    /// How far the model's operator wants shapes to be checked.
    shapes: ShapeCheck,
    covered: BTreeMap<String, Covered>,
}

impl<'a, F: Far, P: Processor> Edge<'a, F, P> {
    /// For a request with this body.
    pub fn new(far: &'a F, processor: &'a P, body: &'a [u8]) -> Self {
        Self {
            far,
            processor,
            body,
            described: RefCell::default(),
            is_stale: Cell::new(false),
            is_last: Cell::new(false),
            has_run: Cell::new(false),
        }
    }

    /// Handles the request, and handles it anew when what was known of its model was old: three
    /// times in all, then the error is the answer.
    pub fn handle<T>(&self, mut handler: impl FnMut(&&Self) -> T) -> T {
        let mut attempts = 0;
        loop {
            attempts += 1;
            self.is_last.set(attempts == ATTEMPTS);
            self.is_stale.set(false);
            self.described.borrow_mut().clear();
            let answer = handler(&self);
            // Never so in the last attempt.
            if !self.is_stale.get() {
                return answer;
            }
        }
    }

    /// Handles the request, and once more where the answer may rest on what is known of a model
    /// and is old: then the model is opened again, which asks its host. `may_be_old` says of which
    /// answers that is so; never of one for which a host has run something.
    pub fn handle_surely<T>(
        &self,
        mut handler: impl FnMut(&&Self) -> T,
        may_be_old: impl FnOnce(&T) -> bool,
    ) -> T {
        let answer = self.handle(&mut handler);
        if self.has_run.get() || !may_be_old(&answer) {
            return answer;
        }
        self.handle(handler)
    }

    /// Runs a model of the host.
    fn run(&self, name: &str, model: &F::Model, call: &FarCall<'_>) -> Result<FarReply> {
        self.has_run.set(true);
        model.run(call).map_err(|error| {
            if error.code() != ErrorCode::Aborted {
                return error;
            }
            self.is_stale.set(!self.is_last.get());
            Error::unavailable(format!(
                "the model {name} changed while it was asked, {ATTEMPTS} times in a row; try again \
                 later ({})",
                error.message()
            ))
        })
    }

    /// What the processor says of a model, which is given bare.
    fn describe(&self, name: &str, model: &F::Model) -> Result<Rc<Described>> {
        let key = (name.to_owned(), model.version());
        if let Some(described) = self.described.borrow().get(&key) {
            return Ok(Rc::clone(described));
        }
        let mut shapes = ShapeCheck::Lenient;
        let mut signatures = Signatures::new();
        for (name, _) in model.signature_defs() {
            // One that cannot be called has no signature.
            if let Some((signature, check)) = model.signature(&name) {
                shapes = check;
                signatures.insert(name, signature);
            }
        }
        let subject = Subject {
            model: name,
            version: key.1,
            signatures: &signatures,
        };
        let descriptions = self.processor.describe(&subject).map_err(|error| {
            Error::failed_precondition(format!(
                "the processor at the edge refuses model {name} version {}: {}",
                key.1,
                told(&error).message()
            ))
        })?;
        let covered = processing::covered(descriptions, &signatures).map_err(|problem| {
            processing::fault(
                name,
                key.1,
                format_args!("what it says of itself cannot be: {problem}"),
            )
        })?;
        let described = Rc::new(Described {
            signatures,
            shapes,
            covered,
        });
        let mut known = self.described.borrow_mut();
        known.insert(key, Rc::clone(&described));
        Ok(described)
    }
}

/// An error of a processor's, as clients of the host would get it.
fn told(error: &Error) -> Error {
    told_error(error.code(), error.message().to_owned())
}

impl<'a, F: Far, P: Processor> Inference for &'a Edge<'a, F, P> {
    type Model = EdgeModel<'a, F, P>;

    fn open(&self, spec: &ModelSpec) -> Result<Self::Model> {
        let model = self.far.open(spec)?;
        let covered = model.covered();
        // Where the host has no processor the model is bare as it is.
        let bare = if covered.is_empty() {
            None
        } else {
            let bare = self.far.open_bare(spec)?;
            if bare.version() == model.version() {
                Some(bare)
            } else {
                // Another came meanwhile.
                let same = ModelSpec {
                    name: spec.name.clone(),
                    version: VersionChoice::Specific(model.version()),
                };
                Some(self.far.open_bare(&same)?)
            }
        };
        let described = self.describe(&spec.name, bare.as_ref().unwrap_or(&model))?;
        Ok(EdgeModel::new(
            self,
            spec.name.clone(),
            model,
            bare,
            covered,
            described,
        ))
    }

    fn status(&self, name: &str, version: Option<i64>) -> Result<Vec<ModelVersionStatus>> {
        self.far.status(name, version)
    }
}

impl<'a, F: Far, P: Processor> Services for &'a Edge<'a, F, P> {
    fn settings(&self) -> Settings {
        Settings::default()
    }

    fn reload(
        &self,
        _models: Option<Vec<ModelConfig>>,
        _metric_names: &[String],
    ) -> Result<Vec<(String, i64)>> {
        Err(Error::unimplemented(
            "the edge serves models of a host: their configuration is changed there",
        ))
    }

    /// Requests are written down where the models are.
    fn log_sampled(&self, _model: &str) -> bool {
        false
    }

    fn log(&self, _entry: LogEntry) {}
}

/// All outputs of a run.
type Outputs = Vec<Output>;

#[cfg(test)]
mod fake;
#[cfg(test)]
mod tests;
