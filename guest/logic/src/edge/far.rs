//! What stands on the other side of the edge: a host, and whoever reaches it. A shell implements
//! this over its imports, and the tests over nothing at all.

use tensorgate_types::{DType, ModelSpec, ModelVersionStatus, Result, ShapeCheck, Signature};

use crate::inference::Reply;

/// The models of a host far away.
pub trait Far {
    /// What [`open`](Self::open) returns.
    type Model: FarModel;

    /// Opens a version as the clients of its host see it.
    ///
    /// # Errors
    /// As [`Inference::open`](crate::Inference::open), and whatever keeps the host from being reached.
    fn open(&self, spec: &ModelSpec) -> Result<Self::Model>;

    /// Opens a version as its exporter wrote it, without the processor that its host has for it.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    fn open_bare(&self, spec: &ModelSpec) -> Result<Self::Model>;

    /// As [`Inference::status`](crate::Inference::status).
    ///
    /// # Errors
    /// As [`open`](Self::open).
    fn status(&self, name: &str, version: Option<i64>) -> Result<Vec<ModelVersionStatus>>;
}

/// One version of one model of such a host.
pub trait FarModel {
    /// The version that was opened.
    fn version(&self) -> i64;

    /// The signature of this name, and how far its operator wants shapes to be checked.
    fn signature(&self, name: &str) -> Option<(Signature, ShapeCheck)>;

    /// All signatures as serialized `tensorflow.SignatureDef`s, in the order of their names.
    fn signature_defs(&self) -> Vec<(String, Vec<u8>)>;

    /// The signatures that the host's processor covers; none for a model that was opened bare.
    fn covered(&self) -> Vec<CoveredSignature>;

    /// Runs it.
    ///
    /// # Errors
    /// `ABORTED` when what was known of the model is no longer so; whatever the host says.
    fn run(&self, call: &FarCall<'_>) -> Result<FarReply>;
}

/// A signature that the host's processor covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CoveredSignature {
    /// Its name.
    pub name: String,
    /// As clients see it.
    pub signature: Signature,
    /// The content types of bodies that it takes as they come: in lower case, `image/*` for all
    /// of a kind.
    pub content_types: Vec<String>,
}

/// A run, with what a processor of the host must be told of it.
#[derive(Debug, Clone, Copy)]
pub struct FarCall<'a> {
    /// The signature.
    pub signature: &'a str,
    /// What the run is for: `predict`, `classify`, `regress` or `multi-inference`.
    pub api: &'a str,
    /// The client's header of this name, for a body.
    pub accept: Option<&'a str>,
    /// The outputs that are wanted; none means all.
    pub outputs: &'a [&'a str],
    /// What the signature takes.
    pub payload: Payload<'a>,
}

/// What a run gave.
#[derive(Debug, Clone)]
pub struct FarReply {
    /// Tensors for tensors; a body is answered with either.
    pub reply: Reply,
    /// The version that answered.
    pub version: i64,
}

/// What goes to a model or into a processor.
#[derive(Debug, Clone, Copy)]
pub enum Payload<'a> {
    /// Tensors.
    Tensors(&'a [TensorView<'a>]),
    /// A body as it came.
    Body {
        /// With its parameters.
        content_type: &'a str,
        /// All of it.
        bytes: &'a [u8],
    },
}

/// A tensor that somebody else holds.
#[derive(Debug, Clone, Copy)]
pub struct TensorView<'a> {
    /// Its name in the signature.
    pub name: &'a str,
    /// Its element type.
    pub dtype: DType,
    /// Its dimensions.
    pub shape: &'a [i64],
    /// Its elements.
    pub data: ElementsView<'a>,
}

/// Elements that somebody else holds, row by row.
#[derive(Debug, Clone, Copy)]
pub enum ElementsView<'a> {
    /// Of a fixed size, little-endian.
    Fixed(&'a [u8]),
    /// String `i` is `bytes[offsets[i]..offsets[i + 1]]`.
    Strings {
        /// One more than there are strings.
        offsets: &'a [u64],
        /// All strings behind one another.
        bytes: &'a [u8],
    },
}
