//! Models that somebody else holds: the traits behind the WIT interfaces `inference` and
//! `transfer`.
//!
//! Tensors go out as borrowed slices, so that a component hands its parsed buffers to the host
//! without copying them first, and come back owned. Large ones need not enter the component at
//! all: an input can be a part of the message that is being handled, and an output can stay with
//! the host until the answer is put together.

use tensorgate_types::{
    DType, Error, ModelSpec, ModelVersionStatus, Result, ShapeCheck, Signature, StringData,
};

/// The models that can be called.
pub trait Inference {
    /// What [`open`](Self::open) returns.
    type Model: Model;

    /// Opens a version of a model and pins it.
    ///
    /// # Errors
    /// `NOT_FOUND`, `INVALID_ARGUMENT` (unknown label), `UNAVAILABLE` (still loading).
    fn open(&self, spec: &ModelSpec) -> Result<Self::Model>;

    /// Every version of a model that was ever seen, the highest first; or the one asked for.
    ///
    /// # Errors
    /// `NOT_FOUND`.
    fn status(&self, name: &str, version: Option<i64>) -> Result<Vec<ModelVersionStatus>>;
}

/// One version of one model, held for as long as this value lives.
pub trait Model {
    /// The version that was opened.
    fn version(&self) -> i64;

    /// The signature of this name, and how far its operator wants shapes to be checked.
    fn signature(&self, name: &str) -> Option<(Signature, ShapeCheck)>;

    /// All signatures as serialized `tensorflow.SignatureDef`s, in the order of their names.
    fn signature_defs(&self) -> Vec<(String, Vec<u8>)>;

    /// The signatures that a processor covers, as clients see them.
    fn covered(&self) -> Vec<(String, Signature)> {
        Vec::new()
    }

    /// The content types of bodies that go to a processor as they come, for this signature: in
    /// lower case, `image/*` for all of a kind.
    fn content_types(&self, signature: &str) -> Vec<String> {
        let _no_processor = signature;
        Vec::new()
    }

    /// Says what runs are for from now on: `classify`, `regress` or `multi-inference`. A processor
    /// is told; they are for `predict` without a word.
    fn called_as(&self, api: &str) {
        let _no_processor = api;
    }

    /// The version that gave the last answer: a processor may have asked another one.
    fn answered_by(&self) -> i64 {
        self.version()
    }

    /// Hands the body of the request that is being handled to the processor, as it came; or a
    /// part of the request's message, where that has the body in it.
    ///
    /// # Errors
    /// The processor's own, its failure, or as [`run`](Self::run).
    fn run_body(
        &self,
        signature: &str,
        content_type: &str,
        accept: Option<&str>,
        part: Option<Range>,
    ) -> Result<Reply> {
        let _unread = (content_type, accept, part);
        Err(Error::failed_precondition(format!(
            "no processor covers the signature {signature}"
        )))
    }

    /// Runs several signatures in one run. One list of outputs per call, in the order of the
    /// calls; outputs in the order of their names. Outputs of a fixed size with `hold_from` bytes
    /// or more stay with the host, as [`OutputData::Held`].
    ///
    /// # Errors
    /// Whatever the host or TensorFlow says of the run.
    fn run(&self, calls: &[Call<'_>], hold_from: u64) -> Result<Vec<Vec<Output>>>;

    /// Runs one signature and takes all its outputs in.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    fn predict(&self, signature: &str, inputs: &[Input<'_>]) -> Result<Vec<Output>> {
        let call = Call {
            signature,
            inputs,
            outputs: &[],
        };
        self.run(&[call], u64::MAX)?
            .pop()
            .ok_or_else(|| Error::internal("the run of one call gave no outputs"))
    }
}

/// A model that its host gives to components elsewhere, too.
pub trait Hosted: Model + Sized {
    /// The same version as its exporter wrote it, without a processor.
    #[must_use]
    fn bare(&self) -> Self;

    /// What it is known by at the edge: another for whatever a request is checked by.
    fn digest(&self) -> String;
}

/// A processor's answer to a body.
#[derive(Debug, Clone)]
pub enum Reply {
    /// Tensors, in the order of their names.
    Tensors(Vec<Output>),
    /// A body of its own.
    Body {
        /// Its content type.
        content_type: String,
        /// Its bytes.
        bytes: Vec<u8>,
    },
}

/// One signature, called.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// Its name.
    pub signature: &'a str,
    /// Its inputs.
    pub inputs: &'a [Input<'a>],
    /// The outputs that are wanted; none means all.
    pub outputs: &'a [&'a str],
}

/// A part of the message that is being handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// Where it begins.
    pub offset: u64,
    /// How long it is.
    pub length: u64,
}

/// A tensor on its way to a model.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// The input's name in the signature.
    pub name: &'a str,
    /// Its element type.
    pub dtype: DType,
    /// Its dimensions.
    pub shape: &'a [i64],
    /// Its elements.
    pub data: InputData<'a>,
}

/// Elements on their way to a model, row by row.
#[derive(Debug, Clone, Copy)]
pub enum InputData<'a> {
    /// Of a fixed size, little-endian.
    Fixed(&'a [u8]),
    /// String `i` is `bytes[offsets[i]..offsets[i + 1]]`.
    Strings {
        /// One more than there are strings.
        offsets: &'a [u64],
        /// All strings behind one another.
        bytes: &'a [u8],
    },
    /// Of a fixed size, little-endian, as they lie in the message.
    InMessage(Range),
    /// Strings, each a part of the message.
    StringsInMessage(&'a [Range]),
}

/// A tensor that a model gave.
#[derive(Debug, Clone)]
pub struct Output {
    /// The output's name in the signature.
    pub name: String,
    /// Its element type.
    pub dtype: DType,
    /// Its dimensions.
    pub shape: Vec<i64>,
    /// Its elements.
    pub data: OutputData,
}

/// Elements that a model gave, row by row.
#[derive(Debug, Clone)]
pub enum OutputData {
    /// Of a fixed size, little-endian.
    Fixed(Vec<u8>),
    /// Strings, any bytes.
    Strings(StringData),
    /// Of a fixed size, and with the host; the number is for [`Chunk::Held`](crate::Chunk::Held).
    Held(u32),
}
