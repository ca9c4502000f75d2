//! The records of `transfer.wit` and of the interfaces `grpc` and `exchange`.

use bytes::Bytes;
use wasmtime::component::{ComponentType, Lift, Lower, Resource, WasmList, WasmStr};

use super::{ErrorIn, StringDataIn, StringDataOut};
use crate::state::HeldModel;

#[derive(ComponentType, Lift, Clone, Copy, Debug, PartialEq, Eq)]
#[component(record)]
pub(crate) struct RangeIn {
    pub(crate) offset: u64,
    pub(crate) length: u64,
}

#[derive(ComponentType, Lift)]
#[component(variant)]
pub(crate) enum InputDataIn {
    #[component(name = "fixed")]
    Fixed(WasmList<u8>),
    #[component(name = "strings")]
    Strings(StringDataIn),
    #[component(name = "in-message")]
    InMessage(RangeIn),
    #[component(name = "strings-in-message")]
    StringsInMessage(Vec<RangeIn>),
}

#[derive(ComponentType, Lift)]
#[component(record)]
pub(crate) struct InputIn {
    pub(crate) name: WasmStr,
    pub(crate) dtype: u32,
    pub(crate) shape: WasmList<i64>,
    pub(crate) data: InputDataIn,
}

#[derive(ComponentType, Lift)]
#[component(record)]
pub(crate) struct CallIn {
    #[component(name = "signature-name")]
    pub(crate) signature_name: WasmStr,
    pub(crate) inputs: Vec<InputIn>,
    pub(crate) outputs: Vec<WasmStr>,
}

/// `run`'s parameters.
pub(crate) type RunIn = (Resource<HeldModel>, Vec<CallIn>, u64);

#[derive(ComponentType, Lower)]
#[component(variant)]
pub(crate) enum OutputDataOut {
    #[component(name = "fixed")]
    Fixed(Bytes),
    #[component(name = "strings")]
    Strings(StringDataOut),
    #[component(name = "held")]
    Held(u32),
}

#[derive(ComponentType, Lower)]
#[component(record)]
pub(crate) struct OutputOut {
    pub(crate) name: String,
    pub(crate) dtype: u32,
    pub(crate) shape: Vec<i64>,
    pub(crate) data: OutputDataOut,
}

#[derive(ComponentType, Lift, Debug)]
#[component(variant)]
pub(crate) enum ChunkIn {
    // Not a `WasmList`: when a call returns, the component has freed its result already.
    #[component(name = "bytes")]
    Bytes(Bytes),
    #[component(name = "in-message")]
    InMessage(RangeIn),
    #[component(name = "held")]
    Held(u32),
}

#[derive(ComponentType, Lower)]
#[component(record)]
pub(crate) struct GrpcRequestOut {
    pub(crate) method: String,
    pub(crate) head: Bytes,
    pub(crate) length: u64,
}

/// What `grpc.handle` gives.
pub(crate) type GrpcAnswerIn = Result<Vec<ChunkIn>, ErrorIn>;

#[derive(ComponentType, Lower)]
#[component(record)]
pub(crate) struct ExchangeRequestOut {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) head: Bytes,
    pub(crate) length: u64,
}

#[derive(ComponentType, Lift)]
#[component(record)]
pub(crate) struct ExchangeResponseIn {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<ChunkIn>,
}
