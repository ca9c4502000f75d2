//! The seam to a runtime: what can be run, and what a run takes and gives.

use std::fmt;

use bytes::Bytes;
use tensorgate_types::{Deadline, Error, Result, Signatures, Tensor};

/// Tensors by the name that a signature gives them.
pub type NamedTensors = Vec<(String, Tensor)>;

/// One signature of a run, with what goes in and what is wanted.
#[derive(Debug, Clone)]
pub struct Call {
    /// Which signature to run.
    pub signature: String,
    /// The inputs of the signature, each once; those with a default may be left out.
    pub inputs: NamedTensors,
    /// The outputs that are wanted; empty means all of the signature's.
    pub outputs: Vec<String>,
}

/// One run of a model, as a caller asks for it.
#[derive(Debug, Clone)]
pub struct RunRequest {
    /// The signatures that are computed in it; nearly always one.
    ///
    /// All of them are one run of one graph: what they share is computed once, and a tensor of
    /// the graph that one of them feeds is fed for all.
    pub calls: Vec<Call>,
    /// When the answer is of no use any more.
    pub deadline: Deadline,
}

impl RunRequest {
    /// A run of one signature.
    #[must_use]
    pub fn one(call: Call, deadline: Deadline) -> Self {
        Self {
            calls: vec![call],
            deadline,
        }
    }
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

    /// Runs the model once and waits for the outputs: for each call a list, in the order of the
    /// calls, ordered by name.
    ///
    /// The inputs have been checked against the signatures.
    ///
    /// # Errors
    /// `FAILED_PRECONDITION` for a signature that is not there, `INVALID_ARGUMENT` for an output
    /// that is not, or when two calls feed different values to one tensor of the graph,
    /// `DEADLINE_EXCEEDED`, and whatever the runtime says.
    fn run(&self, request: &RunRequest) -> Result<Vec<NamedTensors>>;

    /// The same, for whoever knows a better way to make a run again that was lost through no fault
    /// of its own: a runtime that would make it once more by itself gives [`LostRun`] as the cause
    /// of the error instead.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    fn run_once(&self, request: &RunRequest) -> Result<Vec<NamedTensors>> {
        self.run(request)
    }
}

/// The cause of an error: the process that made the run has ended, and the run may be to blame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostRun {
    /// Which process, and how it has ended.
    pub how: String,
}

impl LostRun {
    /// This cause, if the error has it.
    #[must_use]
    pub fn of(error: &Error) -> Option<&Self> {
        std::error::Error::source(error)?.downcast_ref()
    }
}

impl fmt::Display for LostRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.how)
    }
}

impl std::error::Error for LostRun {}
