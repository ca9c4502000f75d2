//! The records of `processor.wit` and `processing.wit`.
//!
//! What a processor returns is owned here, and not a place in its memory: when a call returns, the
//! component has freed its result already.

use bytes::Bytes;
use wasmtime::component::{ComponentType, Lift, Lower};

use super::transfer::OutputOut;
use super::{ErrorIn, NamedTensorOut, SignatureOut};

// --- What goes into a processor ---

#[derive(ComponentType, Lower)]
#[component(record)]
pub(crate) struct NamedSignatureOut {
    pub(crate) name: String,
    pub(crate) signature: SignatureOut,
}

#[derive(ComponentType, Lower)]
#[component(record)]
pub(crate) struct SubjectOut {
    pub(crate) model: String,
    pub(crate) version: i64,
    pub(crate) signatures: Vec<NamedSignatureOut>,
    pub(crate) properties: Vec<(String, String)>,
}

#[derive(ComponentType, Lower, Clone)]
#[component(record)]
pub(crate) struct ContextOut {
    pub(crate) model: String,
    pub(crate) version: i64,
    #[component(name = "signature-name")]
    pub(crate) signature_name: String,
    pub(crate) outputs: Vec<String>,
    pub(crate) properties: Vec<(String, String)>,
}

#[derive(ComponentType, Lower)]
#[component(record)]
pub(crate) struct BodyOut {
    #[component(name = "content-type")]
    pub(crate) content_type: String,
    pub(crate) bytes: Bytes,
}

#[derive(ComponentType, Lower)]
#[component(variant)]
pub(crate) enum PayloadOut {
    #[component(name = "tensors")]
    Tensors(Vec<NamedTensorOut>),
    #[component(name = "body")]
    Body(BodyOut),
}

// --- What comes out of it ---

#[derive(ComponentType, Lift)]
#[component(record)]
pub(crate) struct OwnedStrings {
    pub(crate) offsets: Vec<u64>,
    pub(crate) bytes: Bytes,
}

#[derive(ComponentType, Lift)]
#[component(variant)]
pub(crate) enum OwnedData {
    #[component(name = "fixed")]
    Fixed(Bytes),
    #[component(name = "strings")]
    Strings(OwnedStrings),
}

#[derive(ComponentType, Lift)]
#[component(record)]
pub(crate) struct OwnedTensor {
    pub(crate) dtype: u32,
    pub(crate) shape: Vec<i64>,
    pub(crate) data: OwnedData,
}

#[derive(ComponentType, Lift)]
#[component(record)]
pub(crate) struct OwnedNamedTensor {
    pub(crate) name: String,
    pub(crate) tensor: OwnedTensor,
}

#[derive(ComponentType, Lift)]
#[component(record)]
pub(crate) struct TensorInfoIn {
    pub(crate) name: String,
    pub(crate) dtype: u32,
    pub(crate) shape: Option<Vec<i64>>,
    pub(crate) optional: bool,
}

#[derive(ComponentType, Lift)]
#[component(record)]
pub(crate) struct DescriptionIn {
    #[component(name = "signature-name")]
    pub(crate) signature_name: String,
    #[component(name = "content-types")]
    pub(crate) content_types: Vec<String>,
    pub(crate) inputs: Option<Vec<TensorInfoIn>>,
    pub(crate) outputs: Option<Vec<TensorInfoIn>>,
    #[expect(dead_code, reason = "of the record; nothing is defined yet")]
    pub(crate) properties: Vec<(String, String)>,
}

#[derive(ComponentType, Lift)]
#[component(record)]
pub(crate) struct BodyIn {
    #[component(name = "content-type")]
    pub(crate) content_type: String,
    pub(crate) bytes: Bytes,
}

#[derive(ComponentType, Lift)]
#[component(variant)]
pub(crate) enum PayloadIn {
    #[component(name = "tensors")]
    Tensors(Vec<OwnedNamedTensor>),
    #[component(name = "body")]
    Body(BodyIn),
}

#[derive(ComponentType, Lift)]
#[component(record)]
pub(crate) struct ModelCallIn {
    #[component(name = "signature-name")]
    pub(crate) signature_name: String,
    pub(crate) inputs: Vec<OwnedNamedTensor>,
    pub(crate) outputs: Vec<String>,
}

#[derive(ComponentType, Lift)]
#[component(record)]
pub(crate) struct AnswerIn {
    pub(crate) payload: PayloadIn,
    pub(crate) version: Option<i64>,
    #[expect(dead_code, reason = "of the record; nothing is defined yet")]
    pub(crate) properties: Vec<(String, String)>,
}

#[derive(ComponentType, Lift)]
#[component(variant)]
pub(crate) enum StepIn {
    #[component(name = "run")]
    Run(ModelCallIn),
    #[component(name = "answer")]
    Answer(AnswerIn),
}

pub(crate) type DescribeIn = Result<Vec<DescriptionIn>, ErrorIn>;
pub(crate) type PreprocessIn = Result<StepIn, ErrorIn>;
pub(crate) type PostprocessIn = Result<AnswerIn, ErrorIn>;

// --- processing.wit ---

#[derive(ComponentType, Lower)]
#[component(record)]
pub(crate) struct CoveredOut {
    pub(crate) name: String,
    pub(crate) signature: SignatureOut,
}

#[derive(ComponentType, Lower)]
#[component(variant)]
pub(crate) enum ReplyOut {
    #[component(name = "tensors")]
    Tensors(Vec<OutputOut>),
    #[component(name = "body")]
    Body((String, Bytes)),
}
