//! From the contract's records to this house's types and back, and the check of everything that a
//! component hands over.
//!
//! A component may say anything. Counts and lengths are compared with what is really there before
//! a byte is allocated, and what does not fit is an error value for the component, never a panic
//! of the host. Each byte of a tensor is copied once, in [`Guest::aligned`] or [`Guest::bytes`],
//! and counted there.

use bytes::Bytes;
use tensorgate_types::{
    AlignedBuffer, DType, Error, ErrorCode, ModelSpec, ModelVersionStatus, Result, ShapeCheck,
    Signature, StringData, Tensor, TensorData, TensorInfo, VersionChoice, element_count,
};
use wasmtime::component::{WasmList, WasmStr};
use wasmtime::{StoreContext, StoreContextMut};

use crate::contract::{
    ErrorCodeOut, ErrorOut, ModelSpecIn, NamedTensorIn, NamedTensorOut, OutcomeIn, SignatureOut,
    StringDataIn, StringDataOut, TensorDataIn, TensorDataOut, TensorIn, TensorInfoOut, TensorOut,
    VersionChoiceIn, VersionStatusOut,
};
use crate::state::EdgeState;
use crate::stats::Counters;
use crate::{NamedTensors, Outcome};

/// The most dimensions of a tensor: TensorFlow's own limit.
const MAX_RANK: usize = 254;

/// The most inputs or outputs in one call. Models with hundreds exist; with thousands, they do not.
const MAX_TENSORS: usize = 4096;

/// Bytes of a name in a report. Clients choose names, and labels of metrics must stay short.
const MAX_REPORTED_NAME: usize = 256;

/// A trap, or an error that the component is told of.
pub(crate) type Told<T> = wasmtime::Result<Result<T>>;

/// Reads from a component's memory.
pub(crate) struct Guest<'a> {
    store: StoreContext<'a, EdgeState>,
}

impl<'a> Guest<'a> {
    pub(crate) fn of(store: &'a StoreContextMut<'_, EdgeState>) -> Self {
        Self {
            store: store.into(),
        }
    }

    fn counters(&self) -> &Counters {
        &self.store.data().shared.counters
    }

    /// Copies bytes to where TensorFlow can read them as they are.
    fn aligned(&self, list: &WasmList<u8>) -> Bytes {
        let bytes = list.as_le_slice(&self.store);
        self.counters().bytes_from_guests.add(bytes.len() as u64);
        AlignedBuffer::copy_of(bytes).into_bytes()
    }

    /// Copies bytes that need no alignment.
    fn bytes(&self, list: &WasmList<u8>) -> Bytes {
        let bytes = list.as_le_slice(&self.store);
        self.counters().bytes_from_guests.add(bytes.len() as u64);
        Bytes::copy_from_slice(bytes)
    }

    /// A string. One that is not UTF-8 breaks the rules of the component model: a trap.
    pub(crate) fn string(&self, string: &WasmStr) -> wasmtime::Result<String> {
        Ok(string.to_str(&self.store)?.into_owned())
    }

    pub(crate) fn model_spec(&self, spec: &ModelSpecIn) -> wasmtime::Result<ModelSpec> {
        let version = match &spec.version {
            VersionChoiceIn::Latest => VersionChoice::Latest,
            VersionChoiceIn::Specific(version) => VersionChoice::Specific(*version),
            VersionChoiceIn::Label(label) => VersionChoice::Label(self.string(label)?),
        };
        Ok(ModelSpec {
            name: self.string(&spec.name)?,
            version,
        })
    }

    pub(crate) fn outcome(&self, outcome: &OutcomeIn) -> wasmtime::Result<Outcome> {
        let short = |name: &WasmStr| -> wasmtime::Result<String> {
            let name = name.to_str(&self.store)?;
            Ok(name[..name.floor_char_boundary(MAX_REPORTED_NAME)].to_owned())
        };
        Ok(Outcome {
            model: short(&outcome.model)?,
            version: outcome.version,
            api: short(&outcome.api)?,
            signature: short(&outcome.signature)?,
            rows: outcome.rows,
            code: outcome.code,
        })
    }

    /// The inputs of a call: checked, then copied.
    pub(crate) fn tensors(&self, inputs: &[NamedTensorIn]) -> Told<NamedTensors> {
        if let Err(error) = check_count("inputs", inputs.len()) {
            return Ok(Err(error));
        }
        let mut tensors = Vec::with_capacity(inputs.len());
        for input in inputs {
            let name = self.string(&input.name)?;
            match self.tensor(&input.tensor) {
                Ok(tensor) => tensors.push((name, tensor)),
                Err(error) => {
                    let message = format!("input {name}: {}", error.message());
                    return Ok(Err(Error::new(error.code(), message)));
                }
            }
        }
        Ok(Ok(tensors))
    }

    fn tensor(&self, tensor: &TensorIn) -> Result<Tensor> {
        let dtype = DType::from_number(tensor.dtype);
        if !dtype.is_servable() {
            return Err(Error::invalid_argument(format!(
                "a tensor cannot be of type {dtype}"
            )));
        }
        if tensor.shape.len() > MAX_RANK {
            return Err(Error::invalid_argument(format!(
                "a tensor has at most {MAX_RANK} dimensions, got {}",
                tensor.shape.len()
            )));
        }
        let shape = tensor.shape.as_le_slice(&self.store).to_vec();
        let count = element_count(&shape)?;
        match (&tensor.data, dtype.size()) {
            (TensorDataIn::Fixed(data), Some(size)) => {
                if count.checked_mul(size) != Some(data.len()) {
                    return Err(Error::invalid_argument(format!(
                        "{dtype} tensor of shape {shape:?} needs {count} times {size} bytes, \
                         got {}",
                        data.len()
                    )));
                }
                Tensor::fixed(dtype, shape, self.aligned(data))
            }
            (TensorDataIn::Strings(strings), None) => {
                Tensor::strings(shape, self.string_data(strings, count)?)
            }
            (TensorDataIn::Fixed(_), None) => Err(Error::invalid_argument(
                "a string tensor needs strings, got elements of a fixed size",
            )),
            (TensorDataIn::Strings(_), Some(_)) => Err(Error::invalid_argument(format!(
                "{dtype} tensor needs elements of a fixed size, got strings"
            ))),
        }
    }

    fn string_data(&self, strings: &StringDataIn, count: usize) -> Result<StringData> {
        let offsets = strings.offsets.as_le_slice(&self.store);
        if offsets.len().saturating_sub(1) != count {
            return Err(Error::invalid_argument(format!(
                "{count} strings need one offset more than that, got {}",
                offsets.len()
            )));
        }
        StringData::new(offsets.to_vec(), self.bytes(&strings.bytes))
    }
}

/// The names of the outputs that are wanted.
pub(crate) fn output_names(
    store: &mut StoreContextMut<'_, EdgeState>,
    outputs: &WasmList<WasmStr>,
) -> Told<Vec<String>> {
    if let Err(error) = check_count("outputs", outputs.len()) {
        return Ok(Err(error));
    }
    let names: Vec<WasmStr> = outputs
        .iter(&mut *store)?
        .collect::<wasmtime::Result<_>>()?;
    let guest = Guest::of(store);
    let names = names
        .iter()
        .map(|name| guest.string(name))
        .collect::<wasmtime::Result<_>>()?;
    Ok(Ok(names))
}

fn check_count(what: &str, count: usize) -> Result<()> {
    if count > MAX_TENSORS {
        return Err(Error::invalid_argument(format!(
            "one call takes at most {MAX_TENSORS} {what}, got {count}"
        )));
    }
    Ok(())
}

// --- Towards the component ---

/// The outputs of a call. Their bytes are shared with the runtime until they are lowered.
pub(crate) fn tensors_out(tensors: NamedTensors, counters: &Counters) -> Vec<NamedTensorOut> {
    tensors
        .into_iter()
        .map(|(name, tensor)| {
            let (dtype, shape, data) = tensor.into_parts();
            let (data, len) = match data {
                TensorData::Fixed(bytes) => {
                    let len = bytes.len();
                    (TensorDataOut::Fixed(bytes), len)
                }
                TensorData::Strings(strings) => {
                    let len = strings.bytes().len();
                    let strings = StringDataOut {
                        offsets: strings.offsets().to_vec(),
                        bytes: strings.bytes().clone(),
                    };
                    (TensorDataOut::Strings(strings), len)
                }
            };
            counters.bytes_to_guests.add(len as u64);
            NamedTensorOut {
                name,
                tensor: TensorOut {
                    dtype: dtype.number(),
                    shape,
                    data,
                },
            }
        })
        .collect()
}

pub(crate) fn signature_out(signature: &Signature, shapes: ShapeCheck) -> SignatureOut {
    let info = |(name, info): (&String, &TensorInfo)| TensorInfoOut {
        name: name.clone(),
        dtype: info.dtype.number(),
        shape: info.shape.clone(),
    };
    SignatureOut {
        method_name: signature.method_name.clone(),
        inputs: signature.inputs.iter().map(info).collect(),
        outputs: signature.outputs.iter().map(info).collect(),
        strict_shapes: match shapes {
            ShapeCheck::Strict => true,
            ShapeCheck::Lenient => false,
        },
    }
}

pub(crate) fn status_out(status: ModelVersionStatus) -> VersionStatusOut {
    VersionStatusOut {
        version: status.version,
        state: status.state.number(),
        error: status.status.err().map(|(code, message)| ErrorOut {
            code: code_out(code),
            message,
        }),
    }
}

pub(crate) fn error_out(error: &Error) -> ErrorOut {
    ErrorOut {
        code: code_out(error.code()),
        message: error.message().to_owned(),
    }
}

fn code_out(code: ErrorCode) -> ErrorCodeOut {
    match code {
        ErrorCode::Cancelled => ErrorCodeOut::Cancelled,
        ErrorCode::Unknown => ErrorCodeOut::Unknown,
        ErrorCode::InvalidArgument => ErrorCodeOut::InvalidArgument,
        ErrorCode::DeadlineExceeded => ErrorCodeOut::DeadlineExceeded,
        ErrorCode::NotFound => ErrorCodeOut::NotFound,
        ErrorCode::AlreadyExists => ErrorCodeOut::AlreadyExists,
        ErrorCode::PermissionDenied => ErrorCodeOut::PermissionDenied,
        ErrorCode::ResourceExhausted => ErrorCodeOut::ResourceExhausted,
        ErrorCode::FailedPrecondition => ErrorCodeOut::FailedPrecondition,
        ErrorCode::Aborted => ErrorCodeOut::Aborted,
        ErrorCode::OutOfRange => ErrorCodeOut::OutOfRange,
        ErrorCode::Unimplemented => ErrorCodeOut::Unimplemented,
        ErrorCode::Internal => ErrorCodeOut::Internal,
        ErrorCode::Unavailable => ErrorCodeOut::Unavailable,
        ErrorCode::DataLoss => ErrorCodeOut::DataLoss,
        ErrorCode::Unauthenticated => ErrorCodeOut::Unauthenticated,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_keep_their_names_and_their_order() {
        // The cases of the WIT enum are the canonical codes without OK, in the same order.
        for code in ErrorCode::ALL {
            let out = code_out(*code);
            assert_eq!(out as u32 + 1, code.number());
            assert_eq!(
                format!("{out:?}").to_lowercase(),
                code.name().replace('_', "").to_lowercase()
            );
        }
    }

    #[test]
    fn outputs_are_lowered_from_the_memory_that_they_came_in() {
        let counters = Counters::default();
        let tensor = Tensor::from_slice(DType::FLOAT, vec![2], &[1f32, 2.0]).expect("a tensor");
        let TensorData::Fixed(before) = tensor.data().clone() else {
            panic!("floats have a fixed size");
        };
        let out = tensors_out(vec![("y".to_owned(), tensor)], &counters);
        let TensorDataOut::Fixed(after) = &out[0].tensor.data else {
            panic!("floats have a fixed size");
        };
        assert_eq!(before.as_ptr(), after.as_ptr());
        assert_eq!(counters.snapshot().bytes_to_guests, 8);
    }
}
