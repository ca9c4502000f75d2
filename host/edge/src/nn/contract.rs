//! The enums of `wasi:nn`, as they cross the border, and what they are in this house's terms.
//!
//! **Invariant:** cases are in the order of the standard.

use tensorgate_types::{DType, ErrorCode};
use wasmtime::component::{ComponentType, Lift, Lower};

macro_rules! tensor_types {
    ($($case:ident $name:literal $dtype:ident),+) => {
        /// The types of elements that the standard knows.
        #[derive(ComponentType, Lift, Lower, Clone, Copy, Debug, PartialEq, Eq)]
        #[component(enum)]
        #[repr(u8)]
        pub(super) enum TensorType {
            $(#[component(name = $name)] $case,)+
        }

        impl TensorType {
            pub(super) const NAMES: &[&str] = &[$($name),+];

            pub(super) fn name(self) -> &'static str {
                match self { $(Self::$case => $name,)+ }
            }

            pub(super) fn dtype(self) -> DType {
                match self { $(Self::$case => DType::$dtype,)+ }
            }

            /// None where the standard has no such type.
            pub(super) fn of(dtype: DType) -> Option<Self> {
                match dtype { $(DType::$dtype => Some(Self::$case),)+ _ => None }
            }
        }
    };
}
tensor_types!(
    Fp16 "FP16" HALF,
    Fp32 "FP32" FLOAT,
    Fp64 "FP64" DOUBLE,
    Bf16 "BF16" BFLOAT16,
    U8 "U8" UINT8,
    I32 "I32" INT32,
    I64 "I64" INT64
);

/// How the bytes of a graph are written. No model is loaded from bytes here.
#[derive(ComponentType, Lift, Clone, Copy)]
#[component(enum)]
#[repr(u8)]
#[expect(dead_code, reason = "what a component says; all are refused alike")]
pub(super) enum GraphEncoding {
    #[component(name = "openvino")]
    Openvino,
    #[component(name = "onnx")]
    Onnx,
    #[component(name = "tensorflow")]
    Tensorflow,
    #[component(name = "pytorch")]
    Pytorch,
    #[component(name = "tensorflowlite")]
    Tensorflowlite,
    #[component(name = "ggml")]
    Ggml,
    #[component(name = "autodetect")]
    Autodetect,
}

/// Where a graph of bytes is to run.
#[derive(ComponentType, Lift, Clone, Copy)]
#[component(enum)]
#[repr(u8)]
#[expect(dead_code, reason = "what a component says; all are refused alike")]
pub(super) enum ExecutionTarget {
    #[component(name = "cpu")]
    Cpu,
    #[component(name = "gpu")]
    Gpu,
    #[component(name = "tpu")]
    Tpu,
}

#[derive(ComponentType, Lower, Clone, Copy, Debug, PartialEq, Eq)]
#[component(enum)]
#[repr(u8)]
pub(super) enum NnErrorCode {
    #[component(name = "invalid-argument")]
    InvalidArgument,
    #[component(name = "invalid-encoding")]
    #[expect(dead_code, reason = "nothing here has an encoding")]
    InvalidEncoding,
    #[component(name = "timeout")]
    Timeout,
    #[component(name = "runtime-error")]
    RuntimeError,
    #[component(name = "unsupported-operation")]
    UnsupportedOperation,
    #[component(name = "too-large")]
    TooLarge,
    #[component(name = "not-found")]
    NotFound,
    #[component(name = "security")]
    Security,
    #[component(name = "unknown")]
    Unknown,
}

impl From<ErrorCode> for NnErrorCode {
    fn from(code: ErrorCode) -> Self {
        match code {
            ErrorCode::InvalidArgument | ErrorCode::OutOfRange => Self::InvalidArgument,
            ErrorCode::DeadlineExceeded => Self::Timeout,
            ErrorCode::NotFound => Self::NotFound,
            ErrorCode::PermissionDenied | ErrorCode::Unauthenticated => Self::Security,
            ErrorCode::Unimplemented => Self::UnsupportedOperation,
            ErrorCode::Unknown => Self::Unknown,
            ErrorCode::Cancelled
            | ErrorCode::AlreadyExists
            | ErrorCode::ResourceExhausted
            | ErrorCode::FailedPrecondition
            | ErrorCode::Aborted
            | ErrorCode::Internal
            | ErrorCode::Unavailable
            | ErrorCode::DataLoss => Self::RuntimeError,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_type_of_the_standard_is_one_of_tensorflow() {
        let all = [
            (TensorType::Fp16, 2),
            (TensorType::Fp32, 4),
            (TensorType::Fp64, 8),
            (TensorType::Bf16, 2),
            (TensorType::U8, 1),
            (TensorType::I32, 4),
            (TensorType::I64, 8),
        ];
        assert_eq!(all.len(), TensorType::NAMES.len());
        for (ty, size) in all {
            assert_eq!(ty.dtype().size(), Some(size), "{ty:?}");
            assert_eq!(TensorType::of(ty.dtype()), Some(ty));
            assert_eq!(TensorType::NAMES[ty as usize], ty.name());
        }
        for none in [DType::STRING, DType::BOOL, DType::INT16, DType::UINT64] {
            assert_eq!(TensorType::of(none), None, "{none}");
        }
    }
}
