//! What the sandbox asks of the house: the trait behind the WIT interface `inference`, and the
//! one behind `telemetry`. The server implements both; the tests of this crate fake them.

use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use tensorgate_types::{
    Deadline, ModelSpec, ModelVersionStatus, Result, ServableId, ShapeCheck, Signatures, Tensor,
};

/// Tensors by the name that a signature gives them.
pub type NamedTensors = Vec<(String, Tensor)>;

/// A future on the heap, as a trait object needs it.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The models that a component may call.
pub trait Models: Send + Sync + 'static {
    /// Opens a version of a model and pins it: what is returned stays usable until it is dropped.
    ///
    /// # Errors
    /// As the WIT function `open` documents them.
    fn open(&self, spec: &ModelSpec) -> Result<Arc<dyn OpenModel>>;

    /// Every version of the model that was ever seen, the highest first; or the one asked for.
    ///
    /// # Errors
    /// `NOT_FOUND` for a model or a version that was never seen.
    fn status(&self, name: &str, version: Option<i64>) -> Result<Vec<ModelVersionStatus>>;
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

    /// Runs it. The hatch has checked the inputs against the signature of this very version.
    /// `outputs` names those that are wanted; empty means all. They come ordered by name.
    ///
    /// Must not block: the threads that run models are elsewhere.
    fn predict<'a>(
        &'a self,
        signature: &'a str,
        inputs: NamedTensors,
        outputs: Vec<String>,
        deadline: Deadline,
    ) -> BoxFuture<'a, Result<NamedTensors>>;
}

/// How a request ended, as the gateway reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The model that was asked for; empty when none was named.
    pub model: String,
    /// The version that answered.
    pub version: Option<i64>,
    /// `predict`, `status` and so on; empty when it was none.
    pub api: String,
    /// The signature that was run.
    pub signature: String,
    /// Rows in the batch.
    pub rows: u64,
    /// The canonical gRPC code; 0 for success.
    pub code: u32,
}

/// Takes the gateway's reports.
pub trait Telemetry: Send + Sync + 'static {
    /// Called once per request, on the request's task: must be quick and must not block.
    fn report(&self, outcome: Outcome);
}
