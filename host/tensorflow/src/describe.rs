//! What a SavedModel says of itself, from its protobuf messages; nothing here needs the library.
//!
//! In come a `MetaGraphDef` (from the loader, or from the file), out come our signatures.
//! **Invariant:** reads, and judges nothing: which signatures can be run is [`crate::plan`]'s.

use std::collections::BTreeMap;
use std::path::Path;

use bytes::Bytes;
use prost::Message;
use tensorgate_proto::tensorflow as proto;
use tensorgate_types::{
    DType, Error, ErrorCode, Result, Signature, Signatures, Tensor, TensorInfo,
};

use crate::tensor_proto;

/// One of the graphs in a SavedModel.
#[derive(Debug, Clone)]
pub struct MetaGraph {
    /// Its tags, in the order in which they were written.
    pub tags: Vec<String>,
    /// The TensorFlow version that wrote it.
    pub tensorflow_version: String,
    /// Its signatures.
    pub signatures: Signatures,
}

/// The fields of a `MetaGraphDef` that keep what the exporter wrote byte for byte: a re-encoded
/// signature would lose fields that this build does not know.
#[derive(Clone, PartialEq, Message)]
struct RawMetaGraph {
    // On the wire, a message and its bytes are the same.
    #[prost(btree_map = "string, bytes", tag = "5")]
    signature_def: BTreeMap<String, Bytes>,
}

/// Signatures, and each as it was written.
pub(crate) struct Described {
    pub(crate) signatures: Signatures,
    pub(crate) signature_defs: Vec<(String, Bytes)>,
    /// Inputs and outputs that are not one dense tensor: (signature, tensor, what it is).
    pub(crate) not_dense: Vec<(String, String, &'static str)>,
    /// The values of inputs that a request may leave out, by signature and input; or why one
    /// cannot be read.
    pub(crate) defaults: BTreeMap<(String, String), Result<Tensor>>,
}

/// Lists the graphs of the SavedModel in `dir`.
///
/// # Errors
/// `NOT_FOUND` when there is none, `DATA_LOSS` when it cannot be read as one.
pub fn describe(dir: &Path) -> Result<Vec<MetaGraph>> {
    let file = dir.join("saved_model.pb");
    // Before it is opened: a pipe would wait for somebody to write to it.
    if file.metadata().is_ok_and(|metadata| !metadata.is_file()) {
        return Err(not_a_file(&file));
    }
    let bytes = match std::fs::read(&file) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(no_saved_model(dir));
        }
        Err(error) => {
            return Err(
                Error::internal(format!("cannot read {}", file.display())).with_source(error)
            );
        }
    };
    let saved_model = proto::SavedModel::decode(&*bytes).map_err(|error| {
        let message = format!("{} is not a SavedModel", file.display());
        Error::new(ErrorCode::DataLoss, message).with_source(error)
    })?;
    let graphs = saved_model.meta_graphs.iter().map(|graph| {
        let info = graph.meta_info_def.clone().unwrap_or_default();
        MetaGraph {
            tags: info.tags,
            tensorflow_version: info.tensorflow_version,
            signatures: signatures_of(graph),
        }
    });
    Ok(graphs.collect())
}

pub(crate) fn not_a_file(path: &Path) -> Error {
    Error::failed_precondition(format!(
        "{} is no regular file: expected a SavedModel",
        path.display()
    ))
}

/// In TensorFlow Serving's words: monitoring and the tools of users look for them.
pub(crate) fn no_saved_model(dir: &Path) -> Error {
    Error::not_found(format!(
        "Specified file path does not appear to contain a SavedModel bundle (should have a file \
         called `saved_model.pb`)\nSpecified file path: {}",
        dir.display()
    ))
}

/// The error for a `MetaGraphDef` that is none.
pub(crate) fn unreadable(error: prost::DecodeError) -> Error {
    Error::new(
        ErrorCode::DataLoss,
        "the model's MetaGraphDef cannot be read",
    )
    .with_source(error)
}

/// Reads a serialized `MetaGraphDef`.
pub(crate) fn read_meta_graph(bytes: &[u8]) -> Result<Described> {
    let graph = proto::MetaGraphDef::decode(bytes).map_err(unreadable)?;
    let raw = RawMetaGraph::decode(bytes).map_err(unreadable)?;
    let mut not_dense = Vec::new();
    let mut defaults = BTreeMap::new();
    for (name, signature) in &graph.signature_def {
        for (tensor, info) in signature.inputs.iter().chain(&signature.outputs) {
            let what = match &info.encoding {
                Some(proto::tensor_info::Encoding::CooSparse(_)) => "a sparse tensor",
                Some(proto::tensor_info::Encoding::CompositeTensor(_)) => "a composite tensor",
                Some(proto::tensor_info::Encoding::Name(_)) | None => continue,
            };
            not_dense.push((name.clone(), tensor.clone(), what));
        }
        for (input, value) in &signature.defaults {
            let place = (name.clone(), input.clone());
            defaults.insert(place, tensor_proto::decode(value));
        }
    }
    Ok(Described {
        signatures: signatures_of(&graph),
        signature_defs: raw.signature_def.into_iter().collect(),
        not_dense,
        defaults,
    })
}

fn signatures_of(graph: &proto::MetaGraphDef) -> Signatures {
    let tensors = |infos: &BTreeMap<String, proto::TensorInfo>| -> BTreeMap<String, TensorInfo> {
        infos
            .iter()
            .map(|(name, info)| (name.clone(), tensor_info(info)))
            .collect()
    };
    graph
        .signature_def
        .iter()
        .map(|(name, def)| {
            let mut signature = Signature {
                method_name: def.method_name.clone(),
                inputs: tensors(&def.inputs),
                outputs: tensors(&def.outputs),
            };
            for (input, info) in &mut signature.inputs {
                info.optional = def.defaults.contains_key(input);
            }
            (name.clone(), signature)
        })
        .collect()
}

fn tensor_info(info: &proto::TensorInfo) -> TensorInfo {
    let tensor_name = match &info.encoding {
        Some(proto::tensor_info::Encoding::Name(name)) => name.clone(),
        _ => String::new(),
    };
    let shape = info
        .tensor_shape
        .as_ref()
        .filter(|shape| !shape.unknown_rank)
        .map(|shape| shape.dim.iter().map(|dim| dim.size).collect());
    TensorInfo {
        tensor_name,
        dtype: u32::try_from(info.dtype).map_or(DType::INVALID, DType::from_number),
        shape,
        optional: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(infos: Vec<(&str, proto::TensorInfo)>) -> proto::MetaGraphDef {
        let def = proto::SignatureDef {
            inputs: infos
                .into_iter()
                .map(|(name, info)| (name.to_owned(), info))
                .collect(),
            method_name: "m".to_owned(),
            ..Default::default()
        };
        proto::MetaGraphDef {
            signature_def: [("s".to_owned(), def)].into(),
            ..Default::default()
        }
    }

    fn dense(name: &str, dtype: i32, shape: Option<proto::TensorShapeProto>) -> proto::TensorInfo {
        proto::TensorInfo {
            encoding: Some(proto::tensor_info::Encoding::Name(name.to_owned())),
            dtype,
            tensor_shape: shape,
        }
    }

    fn shape(dims: &[i64], unknown_rank: bool) -> Option<proto::TensorShapeProto> {
        let dim = |size: &i64| proto::tensor_shape_proto::Dim {
            size: *size,
            name: String::new(),
        };
        Some(proto::TensorShapeProto {
            dim: dims.iter().map(dim).collect(),
            unknown_rank,
        })
    }

    #[test]
    fn types_and_shapes_are_as_written_and_reference_types_are_their_base() {
        let described = read_meta_graph(
            &graph(vec![
                ("batch", dense("a:0", 1, shape(&[-1, 3], false))),
                ("any", dense("b:0", 101, shape(&[], true))),
                ("scalar", dense("c:1", 7, shape(&[], false))),
                ("none", dense("d:0", -4, None)),
            ])
            .encode_to_vec(),
        )
        .unwrap();
        let inputs = &described.signatures["s"].inputs;
        assert_eq!(inputs["batch"].dtype, DType::FLOAT);
        assert_eq!(inputs["batch"].shape, Some(vec![-1, 3]));
        assert_eq!(inputs["any"].dtype, DType::FLOAT);
        assert_eq!(inputs["any"].shape, None);
        assert_eq!(inputs["scalar"].tensor_name, "c:1");
        assert_eq!(inputs["scalar"].shape, Some(vec![]));
        assert_eq!(inputs["none"].dtype, DType::INVALID);
        assert!(described.not_dense.is_empty());
    }

    #[test]
    fn a_signature_is_kept_with_fields_that_nobody_here_knows() {
        // Field 99, a varint, behind the known ones.
        let mut def = graph(vec![]).signature_def["s"].encode_to_vec();
        def.extend([0x98, 0x06, 0x2a]);
        let raw = RawMetaGraph {
            signature_def: [("s".to_owned(), Bytes::from(def.clone()))].into(),
        };
        let described = read_meta_graph(&raw.encode_to_vec()).unwrap();
        assert_eq!(described.signature_defs, [("s".to_owned(), def.into())]);
        assert_eq!(described.signatures["s"].method_name, "m");
    }

    #[test]
    fn an_input_with_a_default_may_be_left_out() {
        let mut graph = graph(vec![
            ("x", dense("x:0", 1, None)),
            ("y", dense("y:0", 1, None)),
        ]);
        let def = graph.signature_def.get_mut("s").unwrap();
        let float = |content: Vec<u8>| proto::TensorProto {
            dtype: 1,
            tensor_content: content,
            ..Default::default()
        };
        def.defaults = [
            ("y".to_owned(), float(2.0f32.to_le_bytes().to_vec())),
            ("nobody".to_owned(), float(vec![1])),
        ]
        .into();
        let described = read_meta_graph(&graph.encode_to_vec()).unwrap();
        let inputs = &described.signatures["s"].inputs;
        assert!(!inputs["x"].optional && inputs["y"].optional);
        let default = |input: &str| &described.defaults[&("s".to_owned(), input.to_owned())];
        assert_eq!(default("y").as_ref().unwrap().shape(), &[0i64; 0]);
        assert!(default("nobody").is_err());
    }

    #[test]
    fn sparse_tensors_are_told_apart() {
        let sparse = proto::TensorInfo {
            encoding: Some(proto::tensor_info::Encoding::CooSparse(Default::default())),
            dtype: 1,
            tensor_shape: None,
        };
        let described = read_meta_graph(&graph(vec![("x", sparse)]).encode_to_vec()).unwrap();
        let expected = ("s".to_owned(), "x".to_owned(), "a sparse tensor");
        assert_eq!(described.not_dense, [expected]);
        assert_eq!(described.signatures["s"].inputs["x"].tensor_name, "");
    }

    #[test]
    fn rubbish_is_data_loss() {
        let error = read_meta_graph(&[0xff; 7]).err().unwrap();
        assert_eq!(error.code(), ErrorCode::DataLoss);
    }
}
