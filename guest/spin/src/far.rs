//! The models of the host: the logic's traits over `edge`.

use tensorgate_logic::Reply;
use tensorgate_logic::edge::{self as logic, CoveredSignature, Far, FarCall, FarModel, FarReply};
use tensorgate_types::{ModelSpec, ModelVersionStatus, Result, ShapeCheck, Signature};

use crate::bindings::tensorgate::edge::models as edge;
use crate::convert;

/// Whoever is on the other side of the imports.
pub(crate) struct Host;

impl Far for Host {
    type Model = edge::Model;

    fn open(&self, spec: &ModelSpec) -> Result<Self::Model> {
        edge::open(convert::model_spec(spec)).map_err(convert::error)
    }

    fn open_bare(&self, spec: &ModelSpec) -> Result<Self::Model> {
        edge::open_bare(convert::model_spec(spec)).map_err(convert::error)
    }

    fn status(&self, name: &str, version: Option<i64>) -> Result<Vec<ModelVersionStatus>> {
        let versions = edge::status(name, version).map_err(convert::error)?;
        Ok(versions.into_iter().map(convert::version_status).collect())
    }
}

impl FarModel for edge::Model {
    fn version(&self) -> i64 {
        self.version()
    }

    fn signature(&self, name: &str) -> Option<(Signature, ShapeCheck)> {
        self.signature(name).map(convert::signature)
    }

    fn signature_defs(&self) -> Vec<(String, Vec<u8>)> {
        self.signature_defs()
    }

    fn covered(&self) -> Vec<CoveredSignature> {
        let covered = self.covered().into_iter();
        let covered = covered.map(|covered| CoveredSignature {
            name: covered.name,
            signature: convert::signature(covered.signature).0,
            content_types: covered.content_types,
        });
        covered.collect()
    }

    fn run(&self, call: &FarCall<'_>) -> Result<FarReply> {
        // The contract's records borrow, so what they borrow from is made first.
        let tensors = match call.payload {
            logic::Payload::Tensors(tensors) => convert::lent(tensors),
            logic::Payload::Body { .. } => Vec::new(),
        };
        let payload = match call.payload {
            logic::Payload::Tensors(_) => edge::PayloadParam::Tensors(&tensors),
            logic::Payload::Body {
                content_type,
                bytes,
            } => edge::PayloadParam::Body((content_type, bytes)),
        };
        let call = edge::CallParam {
            signature_name: call.signature,
            api: call.api,
            accept: call.accept,
            outputs: call.outputs,
            payload,
        };
        let reply = self.run(call).map_err(convert::error)?;
        Ok(FarReply {
            version: reply.version,
            reply: match reply.payload {
                edge::PayloadResult::Tensors(tensors) => Reply::Tensors(convert::outputs(tensors)?),
                edge::PayloadResult::Body((content_type, bytes)) => Reply::Body {
                    content_type,
                    bytes,
                },
            },
        })
    }
}
