//! The part of TensorFlow's C API that serving needs, as a table of function pointers.
//!
//! Declared here and not taken from a binding: the ones there are read type numbers back as a
//! Rust enum that ends at 23, which is undefined behaviour for the types that TensorFlow has
//! added since, and they fix at build time which library is used. The C API is stable by its
//! own promise; every declaration follows `tensorflow/c/c_api.h`, `tf_tensor.h`, `tf_tstring.h`.
//!
//! **Invariant:** types and signatures only. Who calls what, and why that is sound, stands at
//! the call.

#![expect(unsafe_code, reason = "declares and looks up foreign functions")]

use std::ffi::{c_char, c_int, c_void};

macro_rules! opaque {
    ($($name:ident)+) => {
        $(
            #[repr(C)]
            pub(crate) struct $name {
                _private: [u8; 0],
            }
        )+
    };
}

opaque! { TF_DeviceList TF_Graph TF_Library TF_Operation TF_Session TF_SessionOptions TF_Status TF_Tensor }

/// Bytes with their length; of `TF_Buffer` all fields are public.
#[repr(C)]
pub(crate) struct TF_Buffer {
    pub(crate) data: *const c_void,
    pub(crate) length: usize,
    pub(crate) data_deallocator: Option<unsafe extern "C" fn(*mut c_void, usize)>,
}

/// Output `index` of an operation.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct TF_Output {
    pub(crate) oper: *mut TF_Operation,
    pub(crate) index: c_int,
}

/// A string of TensorFlow's: 24 bytes that only its own functions look into. All zero is the
/// empty string (`TF_StringInit` writes just that).
#[repr(C)]
pub(crate) struct TF_TString {
    _private: [u64; 3],
}

/// Called when the last user of a tensor's memory is done: data, length, argument.
pub(crate) type Deallocator = unsafe extern "C" fn(*mut c_void, usize, *mut c_void);

macro_rules! api {
    ($($name:ident: fn($($arg:ty),* $(,)?) $(-> $ret:ty)?;)+) => {
        /// The functions.
        #[expect(non_snake_case, reason = "C's names")]
        pub(crate) struct Api {
            $(pub(crate) $name: unsafe extern "C" fn($($arg),*) $(-> $ret)?,)+
        }

        impl Api {
            /// Looks every function up. The error is the name of one that is not there.
            ///
            /// # Safety
            /// `library` must be a libtensorflow whose functions are as declared here, and it
            /// must stay open for as long as the table is used.
            pub(crate) unsafe fn look_up(
                library: &libloading::Library,
            ) -> Result<Self, &'static str> {
                Ok(Self {
                    $($name: {
                        let name = concat!(stringify!($name), "\0").as_bytes();
                        // SAFETY: the caller promises that the function is as declared.
                        *unsafe { library.get(name) }.map_err(|_missing| stringify!($name))?
                    },)+
                })
            }
        }
    };
}

api! {
    TF_Version: fn() -> *const c_char;

    TF_NewStatus: fn() -> *mut TF_Status;
    TF_DeleteStatus: fn(*mut TF_Status);
    TF_GetCode: fn(*const TF_Status) -> c_int;
    TF_Message: fn(*const TF_Status) -> *const c_char;

    TF_NewBuffer: fn() -> *mut TF_Buffer;
    TF_DeleteBuffer: fn(*mut TF_Buffer);

    TF_LoadLibrary: fn(*const c_char, *mut TF_Status) -> *mut TF_Library;
    TF_GetOpList: fn(*mut TF_Library) -> TF_Buffer;

    TF_NewSessionOptions: fn() -> *mut TF_SessionOptions;
    TF_SetConfig: fn(*mut TF_SessionOptions, *const c_void, usize, *mut TF_Status);
    TF_DeleteSessionOptions: fn(*mut TF_SessionOptions);

    TF_NewGraph: fn() -> *mut TF_Graph;
    TF_DeleteGraph: fn(*mut TF_Graph);
    TF_GraphOperationByName: fn(*mut TF_Graph, *const c_char) -> *mut TF_Operation;
    TF_OperationNumOutputs: fn(*mut TF_Operation) -> c_int;

    TF_LoadSessionFromSavedModel: fn(
        *const TF_SessionOptions,
        *const TF_Buffer,
        *const c_char,
        *const *const c_char,
        c_int,
        *mut TF_Graph,
        *mut TF_Buffer,
        *mut TF_Status,
    ) -> *mut TF_Session;
    TF_CloseSession: fn(*mut TF_Session, *mut TF_Status);
    TF_DeleteSession: fn(*mut TF_Session, *mut TF_Status);
    TF_SessionRun: fn(
        *mut TF_Session,
        *const TF_Buffer,
        *const TF_Output,
        *const *mut TF_Tensor,
        c_int,
        *const TF_Output,
        *mut *mut TF_Tensor,
        c_int,
        *const *const TF_Operation,
        c_int,
        *mut TF_Buffer,
        *mut TF_Status,
    );

    TF_SessionListDevices: fn(*mut TF_Session, *mut TF_Status) -> *mut TF_DeviceList;
    TF_DeleteDeviceList: fn(*mut TF_DeviceList);
    TF_DeviceListCount: fn(*const TF_DeviceList) -> c_int;
    TF_DeviceListName: fn(*const TF_DeviceList, c_int, *mut TF_Status) -> *const c_char;
    TF_DeviceListType: fn(*const TF_DeviceList, c_int, *mut TF_Status) -> *const c_char;
    TF_DeviceListMemoryBytes: fn(*const TF_DeviceList, c_int, *mut TF_Status) -> i64;

    TF_NewTensor: fn(
        c_int,
        *const i64,
        c_int,
        *mut c_void,
        usize,
        Deallocator,
        *mut c_void,
    ) -> *mut TF_Tensor;
    TF_DeleteTensor: fn(*mut TF_Tensor);
    TF_TensorType: fn(*const TF_Tensor) -> c_int;
    TF_NumDims: fn(*const TF_Tensor) -> c_int;
    TF_Dim: fn(*const TF_Tensor, c_int) -> i64;
    TF_TensorByteSize: fn(*const TF_Tensor) -> usize;
    TF_TensorElementCount: fn(*const TF_Tensor) -> i64;
    TF_TensorData: fn(*const TF_Tensor) -> *mut c_void;
    TF_TensorDefaultAlignment: fn() -> usize;

    TF_StringCopy: fn(*mut TF_TString, *const c_char, usize);
    TF_StringGetDataPointer: fn(*const TF_TString) -> *const c_char;
    TF_StringGetSize: fn(*const TF_TString) -> usize;
    TF_StringDealloc: fn(*mut TF_TString);
}

pub(crate) use {api, opaque};
