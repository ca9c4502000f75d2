//! Between the contract's types and the shared vocabulary.

use tensorgate_logic::{Chunk, Input, InputData, Output, OutputData, Range};
use tensorgate_types::{
    DType, Error, ErrorCode, LogKind, ModelConfig, ModelSpec, ModelVersionPolicy,
    ModelVersionStatus, ServableState, ShapeCheck, Signature, StringData, TensorInfo,
    VersionChoice,
};

use crate::bindings::tensorgate::serving::inference::VersionStatus;
use crate::bindings::tensorgate::serving::types as wit;
use crate::bindings::tensorgate::serving::{management, request_log, transfer};

macro_rules! error_codes {
    ($($name:ident),+) => {
        fn error_code(code: wit::ErrorCode) -> ErrorCode {
            match code { $(wit::ErrorCode::$name => ErrorCode::$name,)+ }
        }

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

pub(crate) fn error(error: wit::Error) -> Error {
    Error::new(error_code(error.code), error.message)
}

/// The status that a call ends with.
pub(crate) fn error_out(error: &Error) -> wit::Error {
    wit::Error {
        code: error_code_out(error.code()),
        message: error.message().to_owned(),
    }
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
        optional: info.optional,
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

pub(crate) fn range(range: &Range) -> transfer::Range {
    transfer::Range {
        offset: range.offset,
        length: range.length,
    }
}

/// The parts of the message that an input of strings is made of; none for any other.
pub(crate) fn string_ranges(input: &Input<'_>) -> Vec<transfer::Range> {
    match input.data {
        InputData::StringsInMessage(ranges) => ranges.iter().map(range).collect(),
        _ => Vec::new(),
    }
}

/// An input, with its [`string_ranges`].
pub(crate) fn input<'a>(
    input: &Input<'a>,
    string_ranges: &'a [transfer::Range],
) -> transfer::Input<'a> {
    transfer::Input {
        name: input.name,
        dtype: input.dtype.number(),
        shape: input.shape,
        data: match input.data {
            InputData::Fixed(bytes) => transfer::InputData::Fixed(bytes),
            InputData::Strings { offsets, bytes } => {
                transfer::InputData::Strings(wit::StringDataParam { offsets, bytes })
            }
            InputData::InMessage(part) => transfer::InputData::InMessage(range(&part)),
            InputData::StringsInMessage(_) => transfer::InputData::StringsInMessage(string_ranges),
        },
    }
}

pub(crate) fn output(output: transfer::Output) -> Result<Output, Error> {
    let data = match output.data {
        transfer::OutputData::Fixed(bytes) => OutputData::Fixed(bytes),
        transfer::OutputData::Strings(strings) => {
            OutputData::Strings(StringData::new(strings.offsets, strings.bytes.into())?)
        }
        transfer::OutputData::Held(number) => OutputData::Held(number),
    };
    Ok(Output {
        name: output.name,
        dtype: DType::from_number(output.dtype),
        shape: output.shape,
        data,
    })
}

/// A piece of the answer.
pub(crate) fn chunk(chunk: Chunk) -> transfer::ChunkResult {
    match chunk {
        Chunk::Bytes(bytes) => transfer::ChunkResult::Bytes(bytes),
        Chunk::InMessage(part) => transfer::ChunkResult::InMessage(range(&part)),
        Chunk::Held(number) => transfer::ChunkResult::Held(number),
    }
}

/// A piece of an entry of the request log.
pub(crate) fn logged_chunk(chunk: &Chunk) -> transfer::ChunkParam<'_> {
    match chunk {
        Chunk::Bytes(bytes) => transfer::ChunkParam::Bytes(bytes),
        Chunk::InMessage(part) => transfer::ChunkParam::InMessage(range(part)),
        Chunk::Held(number) => transfer::ChunkParam::Held(*number),
    }
}

pub(crate) fn log_kind(kind: LogKind) -> request_log::Kind {
    match kind {
        LogKind::Classify => request_log::Kind::Classify,
        LogKind::Regress => request_log::Kind::Regress,
        LogKind::Predict => request_log::Kind::Predict,
        LogKind::MultiInference => request_log::Kind::MultiInference,
    }
}

/// A model of a new configuration, with its labels as the contract wants them.
pub(crate) fn model_config<'a>(
    config: &'a ModelConfig,
    labels: &'a [(&'a str, i64)],
) -> management::ModelConfig<'a> {
    management::ModelConfig {
        name: &config.name,
        base_path: &config.base_path,
        model_type: config.model_type,
        model_platform: &config.model_platform,
        version_policy: config.version_policy.as_ref().map(|policy| match policy {
            ModelVersionPolicy::Latest(count) => management::VersionPolicy::Latest(*count),
            ModelVersionPolicy::All => management::VersionPolicy::All,
            ModelVersionPolicy::Specific(versions) => management::VersionPolicy::Specific(versions),
        }),
        version_labels: labels,
        logging: config
            .logging
            .as_ref()
            .map(|logging| management::LoggingConfig {
                collector: &logging.collector,
                filename_prefix: &logging.filename_prefix,
                sampling_rate: logging.sampling_rate,
            }),
    }
}
