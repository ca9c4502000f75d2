//! The part of LiteRT's C API that serving needs, as a table of function pointers.
//!
//! Declared after `litert/c/*.h` of LiteRT 2.2, since when these types and functions are what they
//! are: releases before it have functions of the same names that take other arguments. They are
//! looked up by name, so a library that lacks one is refused and not called.
//!
//! **Invariant:** types and signatures only. Who calls what, and why that is sound, stands at
//! the call.

#![expect(unsafe_code, reason = "declares and looks up foreign functions")]

use std::ffi::{c_char, c_int, c_void};

use crate::ffi::{api, opaque};

opaque! {
    LiteRtEnvironment LiteRtModel LiteRtSignature LiteRtTensor LiteRtOptions LiteRtCompiledModel
    LiteRtTensorBuffer
}

/// A function that is never called: LiteRT 2.2 is the first to have it.
pub(crate) const NEW_IN_2_2: &str = "LiteRtExternalLiteRtBufferContextGetRunOptions";

/// Dimensions in a layout, at most.
pub(crate) const MAX_RANK: usize = 8;

/// 0 for success.
pub(crate) type LiteRtStatus = c_int;

/// A shape.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub(crate) struct LiteRtLayout {
    /// The rank in the lower seven bits; above them, whether there are strides.
    pub(crate) bits: u32,
    pub(crate) dimensions: [i32; MAX_RANK],
    pub(crate) strides: [u32; MAX_RANK],
}

/// An element type and a shape.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub(crate) struct LiteRtRankedTensorType {
    pub(crate) element_type: c_int,
    pub(crate) layout: LiteRtLayout,
}

// The size that LiteRT's own header asserts.
const _: () = assert!(size_of::<LiteRtRankedTensorType>() == 72);

/// One setting of an environment.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct LiteRtEnvOption {
    pub(crate) tag: c_int,
    pub(crate) value: LiteRtAny,
}

/// An integer as LiteRT's tagged union of a boolean, an integer, a real number and pointers.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct LiteRtAny {
    pub(crate) kind: c_int,
    pub(crate) integer: i64,
}

// The size and the place that LiteRT's own header asserts.
const _: () = assert!(size_of::<LiteRtEnvOption>() == 24);
const _: () = assert!(std::mem::offset_of!(LiteRtEnvOption, value) == 8);

/// Which accelerators an environment looks for by itself.
pub(crate) const ACCELERATORS: c_int = 24;
/// From which severity on it writes to its log.
pub(crate) const LOG_SEVERITY: c_int = 25;
/// The value of a setting is an integer.
pub(crate) const INTEGER: c_int = 2;
/// Warnings and errors go to the log.
pub(crate) const WARNING: i64 = 2;

/// Buffers in ordinary memory.
pub(crate) const HOST_MEMORY: c_int = 1;
/// Compute on the CPU.
pub(crate) const CPU: c_int = 1;
/// A buffer is locked to be read.
pub(crate) const READ: c_int = 0;
/// A buffer is locked to be written.
pub(crate) const WRITE: c_int = 1;

api! {
    LiteRtCreateEnvironment: fn(
        c_int,
        *const LiteRtEnvOption,
        *mut *mut LiteRtEnvironment,
    ) -> LiteRtStatus;

    LiteRtCreateModelFromBuffer: fn(
        *mut LiteRtEnvironment,
        *const c_void,
        usize,
        *mut *mut LiteRtModel,
    ) -> LiteRtStatus;
    LiteRtDestroyModel: fn(*mut LiteRtModel);
    LiteRtGetNumModelSignatures: fn(*mut LiteRtModel, *mut usize) -> LiteRtStatus;
    LiteRtGetModelSignature: fn(*mut LiteRtModel, usize, *mut *mut LiteRtSignature) -> LiteRtStatus;
    LiteRtGetSignatureKey: fn(*mut LiteRtSignature, *mut *const c_char) -> LiteRtStatus;
    LiteRtGetNumSignatureInputs: fn(*mut LiteRtSignature, *mut usize) -> LiteRtStatus;
    LiteRtGetSignatureInputName: fn(
        *mut LiteRtSignature,
        usize,
        *mut *const c_char,
    ) -> LiteRtStatus;
    LiteRtGetSignatureInputTensorByIndex: fn(
        *mut LiteRtSignature,
        usize,
        *mut *mut LiteRtTensor,
    ) -> LiteRtStatus;
    LiteRtGetNumSignatureOutputs: fn(*mut LiteRtSignature, *mut usize) -> LiteRtStatus;
    LiteRtGetSignatureOutputName: fn(
        *mut LiteRtSignature,
        usize,
        *mut *const c_char,
    ) -> LiteRtStatus;
    LiteRtGetSignatureOutputTensorByIndex: fn(
        *mut LiteRtSignature,
        usize,
        *mut *mut LiteRtTensor,
    ) -> LiteRtStatus;
    LiteRtGetTensorName: fn(*mut LiteRtTensor, *mut *const c_char) -> LiteRtStatus;
    LiteRtGetRankedTensorType: fn(*mut LiteRtTensor, *mut LiteRtRankedTensorType) -> LiteRtStatus;

    LiteRtCreateOptions: fn(*mut *mut LiteRtOptions) -> LiteRtStatus;
    LiteRtSetOptionsHardwareAccelerators: fn(*mut LiteRtOptions, c_int) -> LiteRtStatus;
    LiteRtDestroyOptions: fn(*mut LiteRtOptions);

    LiteRtCreateCompiledModel: fn(
        *mut LiteRtEnvironment,
        *mut LiteRtModel,
        *mut LiteRtOptions,
        *mut *mut LiteRtCompiledModel,
    ) -> LiteRtStatus;
    LiteRtDestroyCompiledModel: fn(*mut LiteRtCompiledModel);
    LiteRtCompiledModelResizeInputTensorNonStrict: fn(
        *mut LiteRtCompiledModel,
        usize,
        usize,
        *const c_int,
        usize,
    ) -> LiteRtStatus;
    LiteRtGetCompiledModelOutputTensorLayouts: fn(
        *mut LiteRtCompiledModel,
        usize,
        usize,
        *mut LiteRtLayout,
        bool,
    ) -> LiteRtStatus;
    LiteRtRunCompiledModel: fn(
        *mut LiteRtCompiledModel,
        usize,
        usize,
        *const *mut LiteRtTensorBuffer,
        usize,
        *const *mut LiteRtTensorBuffer,
    ) -> LiteRtStatus;

    LiteRtCreateManagedTensorBuffer: fn(
        *mut LiteRtEnvironment,
        c_int,
        *const LiteRtRankedTensorType,
        usize,
        *mut *mut LiteRtTensorBuffer,
    ) -> LiteRtStatus;
    LiteRtDestroyTensorBuffer: fn(*mut LiteRtTensorBuffer);
    LiteRtGetTensorBufferSize: fn(*mut LiteRtTensorBuffer, *mut usize) -> LiteRtStatus;
    LiteRtLockTensorBuffer: fn(*mut LiteRtTensorBuffer, *mut *mut c_void, c_int) -> LiteRtStatus;
    LiteRtUnlockTensorBuffer: fn(*mut LiteRtTensorBuffer) -> LiteRtStatus;
}
