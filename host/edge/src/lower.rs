//! From this house's types to the contract's records, and the one way of errors between them.
//!
//! **Invariant:** bytes of outputs are shared with the runtime up to the moment in which they are
//! written into a component's memory; those that stay with the host are never written there.

use tensorgate_types::processing::told_error;
use tensorgate_types::{
    Error, ErrorCode, ModelVersionStatus, Result, ShapeCheck, Signature, StringData, Tensor,
    TensorData, TensorInfo,
};

use crate::NamedTensors;
use crate::contract::transfer::{OutputDataOut, OutputOut};
use crate::contract::{
    ErrorCodeValue, ErrorIn, ErrorOut, NamedTensorOut, SignatureOut, StringDataOut, TensorDataOut,
    TensorInfoOut, TensorOut, VersionStatusOut,
};
use crate::state::EdgeState;
use crate::stats::Counters;

/// Bytes of elements, as far as tensors have fewer than `hold_from` of a fixed size.
pub(crate) fn bytes_below(tensors: &NamedTensors, hold_from: u64) -> usize {
    let of = |tensor: &Tensor| match tensor.data() {
        TensorData::Fixed(elements) if elements.len() as u64 >= hold_from => 0,
        TensorData::Fixed(elements) => elements.len(),
        TensorData::Strings(strings) => strings.bytes().len(),
    };
    tensors.iter().map(|(_, tensor)| of(tensor)).sum()
}

/// Bytes of elements.
pub(crate) fn bytes_of(tensors: &NamedTensors) -> usize {
    bytes_below(tensors, u64::MAX)
}

/// The outputs of a call. Their bytes are shared with the runtime until they are lowered.
pub(crate) fn tensors_out(tensors: NamedTensors, counters: &Counters) -> Vec<NamedTensorOut> {
    tensors
        .into_iter()
        .map(|(name, tensor)| {
            let (dtype, shape, data) = tensor.into_parts();
            let data = match data {
                TensorData::Fixed(bytes) => {
                    counters.bytes_to_guests.add(bytes.len() as u64);
                    TensorDataOut::Fixed(bytes.to_bytes())
                }
                TensorData::Strings(strings) => {
                    TensorDataOut::Strings(strings_out(&strings, counters))
                }
            };
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

/// The outputs of a run, a list per call. Those with `hold_from` bytes or more stay here.
pub(crate) fn outputs_out(
    lists: Vec<NamedTensors>,
    hold_from: u64,
    state: &mut EdgeState,
) -> Result<Vec<Vec<OutputOut>>> {
    let mut output = |(name, tensor): (String, Tensor)| {
        let (dtype, shape, data) = tensor.into_parts();
        Ok(OutputOut {
            name,
            dtype: dtype.number(),
            shape,
            data: output_data_out(data, hold_from, state)?,
        })
    };
    lists
        .into_iter()
        .map(|list| list.into_iter().map(&mut output).collect())
        .collect()
}

fn output_data_out(
    data: TensorData,
    hold_from: u64,
    state: &mut EdgeState,
) -> Result<OutputDataOut> {
    let counters = &state.shared.counters;
    Ok(match data {
        TensorData::Strings(strings) => OutputDataOut::Strings(strings_out(&strings, counters)),
        TensorData::Fixed(bytes) if bytes.len() as u64 >= hold_from => {
            counters.bytes_shared.add(bytes.len() as u64);
            let limit = state.shared.limits.grpc_response_bytes;
            OutputDataOut::Held(state.outside.hold(bytes.to_bytes(), limit)?)
        }
        TensorData::Fixed(bytes) => {
            counters.bytes_to_guests.add(bytes.len() as u64);
            OutputDataOut::Fixed(bytes.to_bytes())
        }
    })
}

fn strings_out(strings: &StringData, counters: &Counters) -> StringDataOut {
    counters.bytes_to_guests.add(strings.bytes().len() as u64);
    StringDataOut {
        offsets: strings.offsets().to_vec(),
        bytes: strings.bytes().clone(),
    }
}

pub(crate) fn signature_out(signature: &Signature, shapes: ShapeCheck) -> SignatureOut {
    let info = |(name, info): (&String, &TensorInfo)| TensorInfoOut {
        name: name.clone(),
        dtype: info.dtype.number(),
        shape: info.shape.clone(),
        optional: info.optional,
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

macro_rules! codes {
    ($($name:ident),+) => {
        fn code_out(code: ErrorCode) -> ErrorCodeValue {
            match code { $(ErrorCode::$name => ErrorCodeValue::$name,)+ }
        }

        fn code_in(code: ErrorCodeValue) -> ErrorCode {
            match code { $(ErrorCodeValue::$name => ErrorCode::$name,)+ }
        }
    };
}
codes!(
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

/// The status that a component ends a call with. What cannot fit into headers is cut off.
pub(crate) fn error_in(error: ErrorIn) -> Error {
    let ErrorIn { code, message } = error;
    told_error(code_in(code), message)
}

#[cfg(test)]
mod tests {
    use tensorgate_types::DType;

    use super::*;

    #[test]
    fn codes_keep_their_names_and_their_order() {
        // The cases of the WIT enum are the canonical codes without OK, in the same order.
        for code in ErrorCode::ALL {
            let out = code_out(*code);
            assert_eq!(out as u32 + 1, code.number());
            assert_eq!(code_in(out), *code);
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
