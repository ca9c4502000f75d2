//! What is known of a version: enough to parse and check requests by, somewhere else.

use std::collections::BTreeMap;

use prost::Message as _;
use tensorgate_proto::tensorgate::edge::v1 as proto;
use tensorgate_types::{DType, Error, Result, ShapeCheck, Signature, TensorInfo};

use crate::inference::Hosted;

/// What is known of a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// The version.
    pub version: i64,
    /// What it is known by.
    pub digest: String,
    /// The exporter's signatures.
    pub signatures: BTreeMap<String, KnownSignature>,
    /// The signatures that the host's processor covers, as clients see them.
    pub covered: Vec<CoveredSignature>,
}

/// A signature of the exporter's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownSignature {
    /// What it takes and gives.
    pub signature: Signature,
    /// How far requests are held against its shapes.
    pub shapes: ShapeCheck,
    /// The serialized `tensorflow.SignatureDef`.
    pub definition: Vec<u8>,
}

/// A signature that the host's processor covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CoveredSignature {
    /// Its name.
    pub name: String,
    /// As clients see it.
    pub signature: Signature,
    /// How far requests are held against its shapes.
    pub shapes: ShapeCheck,
    /// Content types of bodies that go to the processor as they come.
    pub content_types: Vec<String>,
}

impl Known {
    /// Reads a serialized `tensorgate.edge.v1.Opened`.
    ///
    /// # Errors
    /// `INTERNAL` when it is none.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let opened = proto::Opened::decode(bytes).map_err(|error| {
            Error::internal(format!("cannot read tensorgate.edge.v1.Opened: {error}"))
        })?;
        Ok(Self::from(opened))
    }

    /// The content types that go as they come to the host's processor, for this signature.
    #[must_use]
    pub fn content_types(&self, signature: &str) -> &[String] {
        let mut covered = self.covered.iter();
        let covered = covered.find(|covered| covered.name == signature);
        covered.map_or(&[], |covered| &covered.content_types)
    }
}

impl From<proto::Opened> for Known {
    fn from(opened: proto::Opened) -> Self {
        let signatures = opened.signatures.into_iter().map(|mut signature| {
            let definition = std::mem::take(&mut signature.definition);
            let (name, signature, shapes, _) = signature_in(signature);
            let known = KnownSignature {
                signature,
                shapes,
                definition,
            };
            (name, known)
        });
        let covered = opened.covered.into_iter().map(|signature| {
            let (name, signature, shapes, content_types) = signature_in(signature);
            CoveredSignature {
                name,
                signature,
                shapes,
                content_types,
            }
        });
        Self {
            version: opened.version,
            digest: opened.digest,
            signatures: signatures.collect(),
            covered: covered.collect(),
        }
    }
}

fn signature_in(signature: proto::Signature) -> (String, Signature, ShapeCheck, Vec<String>) {
    let infos = |infos: Vec<proto::TensorInfo>| infos.into_iter().map(info_in).collect();
    let shapes = if signature.strict_shapes {
        ShapeCheck::Strict
    } else {
        ShapeCheck::Lenient
    };
    let known = Signature {
        method_name: signature.method_name,
        inputs: infos(signature.inputs),
        outputs: infos(signature.outputs),
    };
    (signature.name, known, shapes, signature.content_types)
}

fn info_in(info: proto::TensorInfo) -> (String, TensorInfo) {
    let known = TensorInfo {
        // Graph names stay with the host.
        tensor_name: String::new(),
        dtype: DType::from_number(info.dtype),
        shape: info.shape.map(|shape| shape.dims),
        optional: info.optional,
    };
    (info.name, known)
}

/// What there is to say of an open version; all of it, unless the asker has it already.
pub(super) fn opened(model: &impl Hosted, known_digest: &str) -> proto::Opened {
    let digest = model.digest();
    let version = model.version();
    if digest == known_digest {
        return proto::Opened {
            version,
            digest,
            ..proto::Opened::default()
        };
    }
    let bare = model.bare();
    let defs = bare.signature_defs().into_iter();
    let signatures = defs.filter_map(|(name, definition)| {
        let (signature, shapes) = bare.signature(&name)?;
        let signature = signature_out(name, &signature, shapes);
        Some(proto::Signature {
            definition,
            ..signature
        })
    });
    let covered = model.covered().into_iter();
    let covered = covered.filter_map(|(name, _)| {
        let (signature, shapes) = model.signature(&name)?;
        let content_types = model.content_types(&name);
        let signature = signature_out(name, &signature, shapes);
        Some(proto::Signature {
            content_types,
            ..signature
        })
    });
    proto::Opened {
        version,
        digest,
        signatures: signatures.collect(),
        covered: covered.collect(),
    }
}

fn signature_out(name: String, signature: &Signature, shapes: ShapeCheck) -> proto::Signature {
    let infos = |infos: &BTreeMap<String, TensorInfo>| infos.iter().map(info_out).collect();
    proto::Signature {
        name,
        method_name: signature.method_name.clone(),
        inputs: infos(&signature.inputs),
        outputs: infos(&signature.outputs),
        strict_shapes: shapes == ShapeCheck::Strict,
        ..proto::Signature::default()
    }
}

fn info_out((name, info): (&String, &TensorInfo)) -> proto::TensorInfo {
    proto::TensorInfo {
        name: name.clone(),
        dtype: info.dtype.number(),
        shape: info.shape.clone().map(|dims| proto::Shape { dims }),
        optional: info.optional,
    }
}
