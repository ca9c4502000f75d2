//! Between the contract's types and the shared vocabulary.

use tensorgate_logic::{Input, InputData, Output, OutputData};
use tensorgate_types::{
    DType, Error, ErrorCode, ModelSpec, ModelVersionStatus, ServableState, ShapeCheck, Signature,
    StringData, TensorInfo, VersionChoice,
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

pub(crate) fn model_spec(spec: &ModelSpec) -> wit::ModelSpec<'_> {
    wit::ModelSpec {
        name: &spec.name,
        version: match &spec.version {
            VersionChoice::Latest => wit::VersionChoice::Latest,
            VersionChoice::Specific(version) => wit::VersionChoice::Specific(*version),
            VersionChoice::Label(label) => wit::VersionChoice::Label(label),
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

fn tensor_info(info: wit::TensorInfo) -> (String, TensorInfo) {
    let tensor = TensorInfo {
        // Graph names stay with the host.
        tensor_name: String::new(),
        dtype: DType::from_number(info.dtype),
        shape: info.shape,
        optional: false,
    };
    (info.name, tensor)
}

pub(crate) fn signature(signature: wit::Signature) -> (Signature, ShapeCheck) {
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

pub(crate) fn input<'a>(input: &Input<'a>) -> Result<wit::NamedTensorParam<'a>, Error> {
    let data = match input.data {
        InputData::Fixed(bytes) => wit::TensorDataParam::Fixed(bytes),
        InputData::Strings { offsets, bytes } => {
            wit::TensorDataParam::Strings(wit::StringDataParam { offsets, bytes })
        }
        InputData::InMessage(_) | InputData::StringsInMessage(_) => {
            return Err(Error::internal(
                "a request of the REST API has no message that a tensor could lie in",
            ));
        }
    };
    Ok(wit::NamedTensorParam {
        name: input.name,
        tensor: wit::TensorParam {
            dtype: input.dtype.number(),
            shape: input.shape,
            data,
        },
    })
}

pub(crate) fn output(named: wit::NamedTensorResult) -> Result<Output, Error> {
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
}
