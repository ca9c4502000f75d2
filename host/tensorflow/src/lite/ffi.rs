//! The part of LiteRT's C API that serving needs, as a table of function pointers.
//!
//! Declared after `litert/c/*.h` of LiteRT 2, which promises these types and functions to be
//! stable. They are looked up by name, so a library that lacks one is refused and not called.
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

/// Buffers in ordinary memory.
pub(crate) const HOST_MEMORY: c_int = 1;
/// Compute on the CPU.
pub(crate) const CPU: c_int = 1;
/// A buffer is locked to be read.
pub(crate) const READ: c_int = 0;
/// A buffer is locked to be written.
pub(crate) const WRITE: c_int = 1;

api! {
    LiteRtCreateEnvironment: fn(c_int, *const c_void, *mut *mut LiteRtEnvironment) -> LiteRtStatus;

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
