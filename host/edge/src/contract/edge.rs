//! The records of `edge.wit`.

use bytes::Bytes;
use wasmtime::component::{ComponentType, Lift, Lower, WasmList, WasmStr};

use super::{NamedTensorIn, NamedTensorOut, SignatureOut};

#[derive(ComponentType, Lower)]
#[component(record)]
pub(crate) struct CoveredSignatureOut {
    pub(crate) name: String,
    pub(crate) signature: SignatureOut,
    #[component(name = "content-types")]
    pub(crate) content_types: Vec<String>,
}

#[derive(ComponentType, Lift)]
#[component(variant)]
pub(crate) enum PayloadIn {
    #[component(name = "tensors")]
    Tensors(Vec<NamedTensorIn>),
    #[component(name = "body")]
    Body((WasmStr, WasmList<u8>)),
}

#[derive(ComponentType, Lift)]
#[component(record)]
pub(crate) struct CallIn {
    #[component(name = "signature-name")]
    pub(crate) signature_name: WasmStr,
    pub(crate) api: WasmStr,
    pub(crate) accept: Option<WasmStr>,
    pub(crate) outputs: Vec<WasmStr>,
    pub(crate) payload: PayloadIn,
}

#[derive(ComponentType, Lower)]
#[component(variant)]
pub(crate) enum PayloadOut {
    #[component(name = "tensors")]
    Tensors(Vec<NamedTensorOut>),
    #[component(name = "body")]
    Body((String, Bytes)),
}

#[derive(ComponentType, Lower)]
#[component(record)]
pub(crate) struct ReplyOut {
    pub(crate) payload: PayloadOut,
    pub(crate) version: i64,
}
