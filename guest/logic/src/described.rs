//! The signatures of a model as its clients are to see them: those of the exporter, and those that
//! a processor covers.

use prost::Message as _;
use tensorgate_proto::tensorflow::tensor_info::Encoding;
use tensorgate_proto::tensorflow::tensor_shape_proto::Dim;
use tensorgate_proto::tensorflow::{SignatureDef, TensorInfo as InfoProto, TensorShapeProto};
use tensorgate_types::{Signature, TensorInfo};

use crate::inference::Model;

/// Name and serialized `SignatureDef` of each, in the order of their names. What no processor
/// covers is as the exporter wrote it, byte for byte.
pub(crate) fn signature_defs(model: &impl Model) -> Vec<(String, Vec<u8>)> {
    let mut defs = model.signature_defs();
    for (name, signature) in model.covered() {
        let known = defs.iter_mut().find(|(known, _)| *known == name);
        // One that cannot be decoded is replaced as a whole: the processor's word is enough.
        let def = known
            .as_ref()
            .and_then(|(_, bytes)| SignatureDef::decode(&**bytes).ok());
        let bytes = cover(def.unwrap_or_default(), &signature).encode_to_vec();
        match known {
            Some((_, known)) => *known = bytes,
            None => defs.push((name, bytes)),
        }
    }
    defs.sort_by(|(one, _), (other, _)| one.cmp(other));
    defs
}

fn cover(mut def: SignatureDef, signature: &Signature) -> SignatureDef {
    def.method_name.clone_from(&signature.method_name);
    let sides = [
        (&mut def.inputs, &signature.inputs),
        (&mut def.outputs, &signature.outputs),
    ];
    for (infos, described) in sides {
        let known = std::mem::take(infos);
        *infos = described
            .iter()
            .map(|(name, info)| (name.clone(), described_info(info, known.get(name))))
            .collect();
    }
    def.defaults
        .retain(|name, _| signature.inputs.contains_key(name));
    def
}

/// The exporter's own words where they say the same: they name the tensor of the graph.
fn described_info(info: &TensorInfo, known: Option<&InfoProto>) -> InfoProto {
    let described = InfoProto {
        dtype: info.dtype.number().cast_signed(),
        tensor_shape: Some(shape(info.shape.as_deref())),
        encoding: None,
    };
    match known {
        Some(known)
            if known.dtype == described.dtype
                && sizes(known.tensor_shape.as_ref()) == info.shape
                && matches!(known.encoding, Some(Encoding::Name(_))) =>
        {
            known.clone()
        }
        _ => described,
    }
}

fn shape(dims: Option<&[i64]>) -> TensorShapeProto {
    TensorShapeProto {
        dim: dims
            .unwrap_or_default()
            .iter()
            .map(|size| Dim {
                size: *size,
                name: String::new(),
            })
            .collect(),
        unknown_rank: dims.is_none(),
    }
}

fn sizes(shape: Option<&TensorShapeProto>) -> Option<Vec<i64>> {
    let shape = shape.filter(|shape| !shape.unknown_rank)?;
    Some(shape.dim.iter().map(|dim| dim.size).collect())
}
