//! The records of `wit/`, as they cross the border between a component and this crate.
//!
//! Written by hand and not generated, because the data of a tensor must not become a `Vec<u8>` on
//! its way in: a [`WasmList`] is a place in the component's memory, from which one copy goes
//! straight into the buffer that the runtime reads. On the way out, [`Bytes`] goes from the
//! runtime's memory into the component's, again in one copy.
//!
//! wasmtime checks these types against the component's when it is loaded, so a record that does
//! not match its `.wit` text is found before any request.
//!
//! **Invariant:** types only. What they mean is `convert`'s affair.

pub(crate) mod edge;
pub(crate) mod management;
pub(crate) mod processor;
pub(crate) mod transfer;

use bytes::Bytes;
use wasmtime::component::{ComponentType, Lift, Lower, WasmList, WasmStr};

// --- types.wit ---

#[derive(ComponentType, Lift)]
#[component(record)]
pub(crate) struct StringDataIn {
    pub(crate) offsets: WasmList<u64>,
    pub(crate) bytes: WasmList<u8>,
}

#[derive(ComponentType, Lift)]
#[component(variant)]
pub(crate) enum TensorDataIn {
    #[component(name = "fixed")]
    Fixed(WasmList<u8>),
    #[component(name = "strings")]
    Strings(StringDataIn),
}

#[derive(ComponentType, Lift)]
#[component(record)]
pub(crate) struct TensorIn {
    pub(crate) dtype: u32,
    pub(crate) shape: WasmList<i64>,
    pub(crate) data: TensorDataIn,
}

#[derive(ComponentType, Lift)]
#[component(record)]
pub(crate) struct NamedTensorIn {
    pub(crate) name: WasmStr,
    pub(crate) tensor: TensorIn,
}

#[derive(ComponentType, Lower)]
#[component(record)]
pub(crate) struct StringDataOut {
    pub(crate) offsets: Vec<u64>,
    pub(crate) bytes: Bytes,
}

#[derive(ComponentType, Lower)]
#[component(variant)]
pub(crate) enum TensorDataOut {
    #[component(name = "fixed")]
    Fixed(Bytes),
    #[component(name = "strings")]
    Strings(StringDataOut),
}

#[derive(ComponentType, Lower)]
#[component(record)]
pub(crate) struct TensorOut {
    pub(crate) dtype: u32,
    pub(crate) shape: Vec<i64>,
    pub(crate) data: TensorDataOut,
}

#[derive(ComponentType, Lower)]
#[component(record)]
pub(crate) struct NamedTensorOut {
    pub(crate) name: String,
    pub(crate) tensor: TensorOut,
}

#[derive(ComponentType, Lower)]
#[component(record)]
pub(crate) struct TensorInfoOut {
    pub(crate) name: String,
    pub(crate) dtype: u32,
    pub(crate) shape: Option<Vec<i64>>,
    pub(crate) optional: bool,
}

#[derive(ComponentType, Lower)]
#[component(record)]
pub(crate) struct SignatureOut {
    #[component(name = "method-name")]
    pub(crate) method_name: String,
    pub(crate) inputs: Vec<TensorInfoOut>,
    pub(crate) outputs: Vec<TensorInfoOut>,
    #[component(name = "strict-shapes")]
    pub(crate) strict_shapes: bool,
}

#[derive(ComponentType, Lift)]
#[component(variant)]
pub(crate) enum VersionChoiceIn {
    #[component(name = "latest")]
    Latest,
    #[component(name = "specific")]
    Specific(i64),
    #[component(name = "label")]
    Label(WasmStr),
}

#[derive(ComponentType, Lift)]
#[component(record)]
pub(crate) struct ModelSpecIn {
    pub(crate) name: WasmStr,
    pub(crate) version: VersionChoiceIn,
}

/// Crosses in both directions.
#[derive(ComponentType, Lift, Lower, Clone, Copy, Debug, PartialEq, Eq)]
#[component(enum)]
#[repr(u8)]
pub(crate) enum ErrorCodeValue {
    #[component(name = "cancelled")]
    Cancelled,
    #[component(name = "unknown")]
    Unknown,
    #[component(name = "invalid-argument")]
    InvalidArgument,
    #[component(name = "deadline-exceeded")]
    DeadlineExceeded,
    #[component(name = "not-found")]
    NotFound,
    #[component(name = "already-exists")]
    AlreadyExists,
    #[component(name = "permission-denied")]
    PermissionDenied,
    #[component(name = "resource-exhausted")]
    ResourceExhausted,
    #[component(name = "failed-precondition")]
    FailedPrecondition,
    #[component(name = "aborted")]
    Aborted,
    #[component(name = "out-of-range")]
    OutOfRange,
    #[component(name = "unimplemented")]
    Unimplemented,
    #[component(name = "internal")]
    Internal,
    #[component(name = "unavailable")]
    Unavailable,
    #[component(name = "data-loss")]
    DataLoss,
    #[component(name = "unauthenticated")]
    Unauthenticated,
}

#[derive(ComponentType, Lower, Debug)]
#[component(record)]
pub(crate) struct ErrorOut {
    pub(crate) code: ErrorCodeValue,
    pub(crate) message: String,
}

#[derive(ComponentType, Lift, Debug)]
#[component(record)]
pub(crate) struct ErrorIn {
    pub(crate) code: ErrorCodeValue,
    pub(crate) message: String,
}

// --- inference.wit ---

#[derive(ComponentType, Lower)]
#[component(record)]
pub(crate) struct VersionStatusOut {
    pub(crate) version: i64,
    pub(crate) state: u32,
    pub(crate) error: Option<ErrorOut>,
}

// --- gateway.wit ---

#[derive(ComponentType, Lower)]
#[component(record)]
pub(crate) struct RequestOut {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Bytes,
}

#[derive(ComponentType, Lift)]
#[component(record)]
pub(crate) struct ResponseIn {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    // Not a `WasmList`: when a call returns, the component has freed its result already.
    pub(crate) body: Bytes,
}

#[derive(ComponentType, Lift)]
#[component(record)]
pub(crate) struct OutcomeIn {
    pub(crate) model: WasmStr,
    pub(crate) version: Option<i64>,
    pub(crate) api: WasmStr,
    pub(crate) signature: WasmStr,
    pub(crate) rows: u64,
    pub(crate) code: u32,
}
