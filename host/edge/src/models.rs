//! The models that the sandbox may call: the traits behind the WIT interfaces `inference` and
//! `transfer`. The server implements them; the tests of this crate fake them.
//!
//! **Invariant:** nothing here knows who asks, or how a model is run.

use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use tensorgate_types::{
    Deadline, InputView, ModelSpec, ModelVersionStatus, Place, Result, ServableId, ShapeCheck,
    Signatures,
};

use crate::Processor;

/// What a model takes and gives.
pub use tensorgate_types::NamedTensors;

/// A future on the heap, as a trait object needs it.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Something to be done, whose result goes its own way.
pub type Work = BoxFuture<'static, ()>;

/// The models that a component may call.
pub trait Models: Send + Sync + 'static {
    /// Opens a version of a model and pins it: what is returned stays usable until it is dropped.
    /// `request_bytes` is how long the body or the message of the request is that asks.
    ///
    /// # Errors
    /// As the WIT function `open` documents them.
    fn open(&self, spec: &ModelSpec, request_bytes: usize) -> Result<Arc<dyn OpenModel>>;

    /// Every version of the model that was ever seen, the highest first; or the one asked for.
    ///
    /// # Errors
    /// `NOT_FOUND` for a model or a version that was never seen.
    fn status(&self, name: &str, version: Option<i64>) -> Result<Vec<ModelVersionStatus>>;

    /// What is done on another task for the request of this one: what the house knows of the
    /// request (how urgent it is, what its time is spent on) goes there with it.
    fn for_request(&self, work: Work) -> Work {
        work
    }

    /// What is done for nobody: all requests go first.
    fn for_nobody(&self, work: Work) -> Work {
        work
    }
}

/// One version of one model, pinned.
pub trait OpenModel: Send + Sync + 'static {
    /// Which version of which model this is.
    fn id(&self) -> &ServableId;

    /// What it takes and gives.
    fn signatures(&self) -> &Signatures;

    /// Each signature as its exporter wrote it: name, and the serialized
    /// `tensorflow.SignatureDef`; ordered by name.
    fn signature_defs(&self) -> &[(String, Bytes)];

    /// How far its operator wants shapes to be checked.
    fn shape_check(&self) -> ShapeCheck;

    /// What stands before it, where its team has given it a processor. Asked once, when the model
    /// is opened.
    fn processor(&self) -> Option<Processor> {
        None
    }

    /// Places for the elements of these inputs of a call, one for each, in their order: the hatch
    /// copies them out of a component right after this, and runs the call if all is well. Sizes
    /// are known to be right, names and signature are not. Who wants rows of several calls side by
    /// side says so here.
    fn places(&self, signature: &str, inputs: &[InputView<'_>]) -> Vec<Place> {
        let _unasked = signature;
        own_places(inputs)
    }

    /// Runs it once, for all the calls together. The hatch has checked the inputs against the
    /// signatures of this very version. Elements that are parts of a message lie there as they
    /// came, which may be anywhere: whoever needs them aligned copies them. One list of outputs per call, in the order of the calls,
    /// each ordered by name.
    ///
    /// Must not block: the threads that run models are elsewhere.
    fn run(&self, calls: Vec<Call>, deadline: Deadline)
    -> BoxFuture<'_, Result<Vec<NamedTensors>>>;
}

/// A place of its own for each of these inputs.
#[must_use]
pub fn own_places(inputs: &[InputView<'_>]) -> Vec<Place> {
    inputs
        .iter()
        .map(|input| Place::new(input.bytes()))
        .collect()
}

/// One signature of a run, with what goes in and what is wanted.
#[derive(Debug, Clone)]
pub struct Call {
    /// The signature.
    pub signature: String,
    /// Its inputs, each once; optional ones may be missing.
    pub inputs: NamedTensors,
    /// The outputs that are wanted; empty means all.
    pub outputs: Vec<String>,
}
