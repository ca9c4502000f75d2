//! The seam to a runtime: what can be run, and what a run takes and gives.

use bytes::Bytes;
use tensorgate_types::{Deadline, Result, Signatures, Tensor};

/// Tensors by the name that a signature gives them.
pub type NamedTensors = Vec<(String, Tensor)>;

/// One run of a model, as a caller asks for it.
#[derive(Debug, Clone)]
pub struct RunRequest {
    /// Which signature to run.
    pub signature: String,
    /// Every input of the signature, once.
    pub inputs: NamedTensors,
    /// The outputs that are wanted; empty means all of the signature's.
    pub outputs: Vec<String>,
    /// When the answer is of no use any more.
    pub deadline: Deadline,
}

/// A loaded version of a model.
///
/// `run` blocks the thread for as long as the model computes, on purpose: a session cannot be
/// polled. [`crate::RunPool`] has the threads for it.
pub trait Predictor: Send + Sync + 'static {
    /// What the model takes and gives.
    fn signatures(&self) -> &Signatures;

    /// Each signature as its exporter wrote it: name, and the serialized
    /// `tensorflow.SignatureDef`; ordered by name.
    fn signature_defs(&self) -> &[(String, Bytes)];

    /// Runs the model once and waits for the outputs, which come ordered by name.
    ///
    /// The inputs have been checked against the signature.
    ///
    /// # Errors
    /// `FAILED_PRECONDITION` for a signature that is not there, `INVALID_ARGUMENT` for an output
    /// that is not, `DEADLINE_EXCEEDED`, and whatever the runtime says.
    fn run(&self, request: &RunRequest) -> Result<NamedTensors>;
}
