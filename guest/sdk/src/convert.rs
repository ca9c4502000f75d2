//! Between the contract's types and the SDK's. Memory is handed on, not copied.

use tensorgate_types::{DType, Error, ErrorCode, ModelSpec, Result, VersionChoice};

use crate::bindings::exports::tensorgate::serving::processor as wit;
use crate::bindings::tensorgate::serving::{inference, runs, types};
use crate::body::Body;
use crate::describe::{Description, Signature, Subject, TensorInfo};
use crate::processor::{Answer, Call, Context, Payload, Request, Step};
use crate::strings::Strings;
use crate::tensor::{Data, Tensor};
use crate::tensors::{Outputs, Tensors};

macro_rules! error_codes {
    ($($name:ident),+) => {
        fn error_code(code: types::ErrorCode) -> ErrorCode {
            match code { $(types::ErrorCode::$name => ErrorCode::$name,)+ }
        }

        fn error_code_out(code: ErrorCode) -> types::ErrorCode {
            match code { $(ErrorCode::$name => types::ErrorCode::$name,)+ }
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

fn error(error: types::Error) -> Error {
    Error::new(error_code(error.code), error.message)
}

pub(crate) fn error_out(error: &Error) -> types::Error {
    types::Error {
        code: error_code_out(error.code()),
        message: error.message().to_owned(),
    }
}

// --- Tensors ---

fn tensor(named: types::NamedTensor) -> Result<(String, Tensor)> {
    let types::Tensor { dtype, shape, data } = named.tensor;
    let tensor = match data {
        types::TensorData::Fixed(bytes) => {
            Tensor::from_bytes(DType::from_number(dtype), shape, bytes)
        }
        types::TensorData::Strings(strings) => Strings::from_parts(strings.offsets, strings.bytes)
            .and_then(|strings| Tensor::from_strings(shape, strings)),
    };
    // The host has checked it: what does not fit is a mistake of the house.
    match tensor {
        Ok(tensor) => Ok((named.name, tensor)),
        Err(error) => Err(Error::internal(error.message())),
    }
}

fn tensor_out((name, tensor): (String, Tensor)) -> types::NamedTensor {
    let (dtype, shape, data) = tensor.into_parts();
    let data = match data {
        Data::Fixed(bytes) => types::TensorData::Fixed(bytes),
        Data::Strings(strings) => {
            let (offsets, bytes) = strings.into_parts();
            types::TensorData::Strings(types::StringData { offsets, bytes })
        }
    };
    types::NamedTensor {
        name,
        tensor: types::Tensor {
            dtype: dtype.number(),
            shape,
            data,
        },
    }
}

fn tensors_out(tensors: Tensors) -> Vec<types::NamedTensor> {
    tensors.into_iter().map(tensor_out).collect()
}

pub(crate) fn outputs(tensors: Vec<types::NamedTensor>) -> Result<Outputs> {
    let tensors: Vec<_> = tensors.into_iter().map(tensor).collect::<Result<_>>()?;
    Ok(Tensors::outputs(tensors))
}

// --- Requests and answers ---

pub(crate) fn context(context: wit::Context) -> Context {
    Context {
        model: context.model,
        version: context.version,
        signature_name: context.signature_name,
        outputs: context.outputs,
        properties: context.properties,
    }
}

pub(crate) fn request(payload: wit::Payload) -> Result<Request> {
    Ok(match payload {
        wit::Payload::Tensors(tensors) => {
            Request::Tensors(tensors.into_iter().map(tensor).collect::<Result<_>>()?)
        }
        wit::Payload::Body(body) => Request::Body(Body {
            content_type: body.content_type,
            bytes: body.bytes,
        }),
    })
}

pub(crate) fn step(step: Step) -> wit::Step {
    match step {
        Step::Run(call) => wit::Step::Run(wit::ModelCall {
            signature_name: call.signature_name,
            inputs: tensors_out(call.inputs),
            outputs: call.outputs,
        }),
        Step::Answer(given) => wit::Step::Answer(answer(given)),
    }
}

pub(crate) fn answer(answer: Answer) -> wit::Answer {
    wit::Answer {
        payload: match answer.payload {
            Payload::Tensors(tensors) => wit::Payload::Tensors(tensors_out(tensors)),
            Payload::Body(body) => wit::Payload::Body(wit::Body {
                content_type: body.content_type,
                bytes: body.bytes,
            }),
        },
        version: answer.version,
        properties: Vec::new(),
    }
}

// --- Signatures ---

fn tensor_info(info: types::TensorInfo) -> TensorInfo {
    TensorInfo {
        name: info.name,
        dtype: DType::from_number(info.dtype),
        shape: info.shape,
        optional: info.optional,
    }
}

fn tensor_info_out(info: TensorInfo) -> types::TensorInfo {
    types::TensorInfo {
        name: info.name,
        dtype: info.dtype.number(),
        shape: info.shape,
        optional: info.optional,
    }
}

fn signature_in(signature: types::Signature) -> Signature {
    Signature {
        method_name: signature.method_name,
        inputs: signature.inputs.into_iter().map(tensor_info).collect(),
        outputs: signature.outputs.into_iter().map(tensor_info).collect(),
    }
}

pub(crate) fn subject(subject: wit::Subject) -> Subject {
    Subject {
        model: subject.model,
        version: subject.version,
        signatures: subject
            .signatures
            .into_iter()
            .map(|named| (named.name, signature_in(named.signature)))
            .collect(),
        properties: subject.properties,
    }
}

pub(crate) fn description(description: Description) -> wit::Description {
    let infos = |infos: Vec<TensorInfo>| infos.into_iter().map(tensor_info_out).collect();
    wit::Description {
        signature_name: description.signature_name,
        content_types: description.content_types,
        inputs: description.inputs.map(infos),
        outputs: description.outputs.map(infos),
        properties: Vec::new(),
    }
}

// --- Models that the processor calls ---

/// A version of a model that the host holds.
pub(crate) type Handle = inference::Model;

pub(crate) fn open(spec: &ModelSpec) -> Result<Handle> {
    let spec = types::ModelSpec {
        name: spec.name.clone(),
        version: match &spec.version {
            VersionChoice::Latest => types::VersionChoice::Latest,
            VersionChoice::Specific(version) => types::VersionChoice::Specific(*version),
            VersionChoice::Label(label) => types::VersionChoice::Label(label.clone()),
        },
    };
    inference::open(&spec).map_err(error)
}

pub(crate) fn version(model: &Handle) -> i64 {
    model.version()
}

pub(crate) fn signature(model: &Handle, name: &str) -> Option<Signature> {
    model.signature(name).map(signature_in)
}

pub(crate) fn predict(model: &Handle, call: Call) -> Result<Outputs> {
    let inputs = tensors_out(call.inputs);
    model
        .predict(&call.signature_name, &inputs, &call.outputs)
        .map_err(error)
        .and_then(outputs)
}

/// A run that goes on in the host.
pub(crate) type Begun = runs::Run;

pub(crate) fn begin(model: &Handle, call: Call) -> Result<Begun> {
    let inputs = tensors_out(call.inputs);
    runs::begin(model, &call.signature_name, &inputs, &call.outputs).map_err(error)
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "a run is waited for once, and then given back"
)]
pub(crate) fn wait(run: Begun) -> Result<Outputs> {
    run.wait().map_err(error).and_then(outputs)
}

pub(crate) fn mirror(model: &Handle, call: Call) -> Result<()> {
    let inputs = tensors_out(call.inputs);
    runs::mirror(model, &call.signature_name, &inputs).map_err(error)
}
