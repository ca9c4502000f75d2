//! Between the contract's types and the shared vocabulary. What goes out is lent, what comes in is
//! handed on.

use tensorgate_logic::edge::{ElementsView, TensorView};
use tensorgate_logic::{Output, OutputData};
use tensorgate_types::processing::{GivenData, GivenTensor, NamedInfo};
use tensorgate_types::{
    DType, Error, ErrorCode, ModelSpec, ModelVersionStatus, Result, ServableState, ShapeCheck,
    Signature, StringData, TensorInfo, VersionChoice,
};

use crate::bindings::tensorgate::serving::inference::VersionStatus;
use crate::bindings::tensorgate::serving::types as wit;

macro_rules! error_codes {
    ($($name:ident),+) => {
        fn error_code(code: wit::ErrorCode) -> ErrorCode {
            match code { $(wit::ErrorCode::$name => ErrorCode::$name,)+ }
        }
    };
}
error_codes!(
    Cancelled,
    Unknown,
    InvalidArgument,
    DeadlineExceeded,
    NotFound,
    AlreadyExists,
    PermissionDenied,
    ResourceExhausted,
    FailedPrecondition,
    Aborted,
    OutOfRange,
    Unimplemented,
    Internal,
    Unavailable,
    DataLoss,
    Unauthenticated
);

pub(crate) fn error(error: wit::Error) -> Error {
    Error::new(error_code(error.code), error.message)
}

pub(crate) fn model_spec(spec: &ModelSpec) -> wit::ModelSpecParam<'_> {
    wit::ModelSpecParam {
        name: &spec.name,
        version: match &spec.version {
            VersionChoice::Latest => wit::VersionChoiceParam::Latest,
            VersionChoice::Specific(version) => wit::VersionChoiceParam::Specific(*version),
            VersionChoice::Label(label) => wit::VersionChoiceParam::Label(label),
        },
    }
}

pub(crate) fn version_status(status: VersionStatus) -> ModelVersionStatus {
    ModelVersionStatus {
        version: status.version,
        // A number without a name cannot come from a host of this version; not available, in any
        // case.
        state: ServableState::from_number(status.state).unwrap_or(ServableState::End),
        status: match status.error {
            None => Ok(()),
            Some(error) => Err((error_code(error.code), error.message)),
        },
    }
}

// --- Signatures ---

fn tensor_info(info: wit::TensorInfoResult) -> (String, TensorInfo) {
    let tensor = TensorInfo {
        // Graph names stay with the host.
        tensor_name: String::new(),
        dtype: DType::from_number(info.dtype),
        shape: info.shape,
        optional: info.optional,
    };
    (info.name, tensor)
}

pub(crate) fn signature(signature: wit::SignatureResult) -> (Signature, ShapeCheck) {
    let shapes = if signature.strict_shapes {
        ShapeCheck::Strict
    } else {
        ShapeCheck::Lenient
    };
    let signature = Signature {
        method_name: signature.method_name,
        inputs: signature.inputs.into_iter().map(tensor_info).collect(),
        outputs: signature.outputs.into_iter().map(tensor_info).collect(),
    };
    (signature, shapes)
}

pub(crate) fn described_info(info: wit::TensorInfoResult) -> NamedInfo {
    NamedInfo {
        name: info.name,
        dtype: info.dtype,
        shape: info.shape,
        optional: info.optional,
    }
}

/// The inputs and outputs of a signature, lent.
pub(crate) struct Infos<'a> {
    signature: &'a Signature,
    inputs: Vec<wit::TensorInfoParam<'a>>,
    outputs: Vec<wit::TensorInfoParam<'a>>,
}

impl<'a> Infos<'a> {
    pub(crate) fn new(signature: &'a Signature) -> Self {
        let lent = |(name, info): (&'a String, &'a TensorInfo)| wit::TensorInfoParam {
            name,
            dtype: info.dtype.number(),
            shape: info.shape.as_deref(),
            optional: info.optional,
        };
        Self {
            signature,
            inputs: signature.inputs.iter().map(lent).collect(),
            outputs: signature.outputs.iter().map(lent).collect(),
        }
    }

    pub(crate) fn lent(&self) -> wit::SignatureParam<'_> {
        wit::SignatureParam {
            method_name: &self.signature.method_name,
            inputs: &self.inputs,
            outputs: &self.outputs,
            strict_shapes: false,
        }
    }
}

// --- Tensors ---

/// Tensors, lent.
pub(crate) fn lent<'a>(tensors: &[TensorView<'a>]) -> Vec<wit::NamedTensorParam<'a>> {
    let lent = tensors.iter().map(|tensor| wit::NamedTensorParam {
        name: tensor.name,
        tensor: wit::TensorParam {
            dtype: tensor.dtype.number(),
            shape: tensor.shape,
            data: match tensor.data {
                ElementsView::Fixed(bytes) => wit::TensorDataParam::Fixed(bytes),
                ElementsView::Strings { offsets, bytes } => {
                    wit::TensorDataParam::Strings(wit::StringDataParam { offsets, bytes })
                }
            },
        },
    });
    lent.collect()
}

/// What a model gave.
pub(crate) fn outputs(tensors: Vec<wit::NamedTensorResult>) -> Result<Vec<Output>> {
    let outputs = tensors.into_iter().map(|named| {
        let data = match named.tensor.data {
            wit::TensorDataResult::Fixed(bytes) => OutputData::Fixed(bytes),
            wit::TensorDataResult::Strings(strings) => {
                OutputData::Strings(StringData::new(strings.offsets, strings.bytes.into())?)
            }
        };
        Ok(Output {
            name: named.name,
            dtype: DType::from_number(named.tensor.dtype),
            shape: named.tensor.shape,
            data,
        })
    });
    outputs.collect()
}

/// What a processor gave, which nobody has looked at.
pub(crate) fn given(tensors: Vec<wit::NamedTensorResult>) -> Vec<(String, GivenTensor)> {
    let given = tensors.into_iter().map(|named| {
        let given = GivenTensor {
            dtype: named.tensor.dtype,
            shape: named.tensor.shape,
            data: match named.tensor.data {
                wit::TensorDataResult::Fixed(bytes) => GivenData::Fixed(bytes.into()),
                wit::TensorDataResult::Strings(strings) => GivenData::Strings {
                    offsets: strings.offsets,
                    bytes: strings.bytes.into(),
                },
            },
        };
        (named.name, given)
    });
    given.collect()
}
