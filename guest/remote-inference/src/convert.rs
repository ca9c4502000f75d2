//! Between the contract's types and the shared vocabulary.

use tensorgate_logic::remote::CoveredSignature;
use tensorgate_logic::{Output, OutputData, Reply};
use tensorgate_types::{
    DType, Error, ErrorCode, ModelSpec, ModelVersionStatus, Result, ShapeCheck, Signature,
    StringData, TensorInfo, VersionChoice,
};

use crate::bindings::exports::tensorgate::edge::models as edge;
use crate::bindings::exports::tensorgate::serving::inference;
use crate::bindings::tensorgate::serving::types as wit;
use crate::models::Call;

macro_rules! error_codes {
    ($($name:ident),+) => {
        fn error_code_out(code: ErrorCode) -> wit::ErrorCode {
            match code { $(ErrorCode::$name => wit::ErrorCode::$name,)+ }
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

pub(crate) fn error_out(error: &Error) -> wit::Error {
    wit::Error {
        code: error_code_out(error.code()),
        message: error.message().to_owned(),
    }
}

pub(crate) fn spec(spec: wit::ModelSpec) -> ModelSpec {
    ModelSpec {
        name: spec.name,
        version: match spec.version {
            wit::VersionChoice::Latest => VersionChoice::Latest,
            wit::VersionChoice::Specific(version) => VersionChoice::Specific(version),
            wit::VersionChoice::Label(label) => VersionChoice::Label(label),
        },
    }
}

pub(crate) fn status_out(status: ModelVersionStatus) -> inference::VersionStatus {
    let error = status.status.err().map(|(code, message)| wit::Error {
        code: error_code_out(code),
        message,
    });
    inference::VersionStatus {
        version: status.version,
        state: status.state as u32,
        error,
    }
}

pub(crate) fn signature_out(signature: &Signature, shapes: ShapeCheck) -> wit::Signature {
    let info_out = |(name, info): (&String, &TensorInfo)| wit::TensorInfo {
        name: name.clone(),
        dtype: info.dtype.number(),
        shape: info.shape.clone(),
        optional: info.optional,
    };
    wit::Signature {
        method_name: signature.method_name.clone(),
        inputs: signature.inputs.iter().map(info_out).collect(),
        outputs: signature.outputs.iter().map(info_out).collect(),
        strict_shapes: shapes == ShapeCheck::Strict,
    }
}

pub(crate) fn covered_out(covered: &CoveredSignature) -> edge::CoveredSignature {
    edge::CoveredSignature {
        name: covered.name.clone(),
        signature: signature_out(&covered.signature, covered.shapes),
        content_types: covered.content_types.clone(),
    }
}

fn tensor(named: wit::NamedTensor) -> Result<Output> {
    let wit::Tensor { dtype, shape, data } = named.tensor;
    Ok(Output {
        name: named.name,
        dtype: DType::from_number(dtype),
        shape,
        data: match data {
            wit::TensorData::Fixed(bytes) => OutputData::Fixed(bytes),
            wit::TensorData::Strings(strings) => {
                OutputData::Strings(StringData::new(strings.offsets, strings.bytes.into())?)
            }
        },
    })
}

pub(crate) fn tensors(named: Vec<wit::NamedTensor>) -> Result<Vec<Output>> {
    named.into_iter().map(tensor).collect()
}

pub(crate) fn tensors_out(outputs: Vec<Output>) -> Vec<wit::NamedTensor> {
    let outputs = outputs.into_iter().map(|output| wit::NamedTensor {
        name: output.name,
        tensor: wit::Tensor {
            dtype: output.dtype.number(),
            shape: output.shape,
            data: match output.data {
                OutputData::Fixed(bytes) => wit::TensorData::Fixed(bytes),
                OutputData::Strings(strings) => wit::TensorData::Strings(wit::StringData {
                    offsets: strings.offsets().to_vec(),
                    bytes: strings.bytes().to_vec(),
                }),
                // What is read from an answer is all here.
                OutputData::Held(_) => wit::TensorData::Fixed(Vec::new()),
            },
        },
    });
    outputs.collect()
}

pub(crate) fn call(call: edge::Call) -> Result<Call> {
    Ok(Call {
        signature: call.signature_name,
        api: call.api,
        accept: call.accept,
        outputs: call.outputs,
        payload: match call.payload {
            edge::Payload::Tensors(named) => Reply::Tensors(tensors(named)?),
            edge::Payload::Body((content_type, bytes)) => Reply::Body {
                content_type,
                bytes,
            },
        },
    })
}

pub(crate) fn reply_out((version, reply): (i64, Reply)) -> edge::Reply {
    edge::Reply {
        version,
        payload: match reply {
            Reply::Tensors(outputs) => edge::Payload::Tensors(tensors_out(outputs)),
            Reply::Body {
                content_type,
                bytes,
            } => edge::Payload::Body((content_type, bytes)),
        },
    }
}
