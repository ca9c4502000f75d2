//! `tensorgate inspect`: what a SavedModel says of itself, without loading it.
//!
//! Reads `saved_model.pb` and nothing else, so it needs no libtensorflow and takes a moment for
//! a model of any size.

mod json;
mod locate;
mod table;

use std::path::{Path, PathBuf};

use prost::Message as _;
use tensorgate_proto::tensorflow as proto;
use tensorgate_types::DType;

pub(crate) use json::json;
pub(crate) use table::table;

/// Why there is nothing to print.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InspectError {
    #[error("{} does not exist", path.display())]
    Missing { path: PathBuf },
    #[error("cannot read {}: {source}", path.display())]
    Unreadable {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error(
        "{} holds neither saved_model.pb nor version directories (1, 2, ...)",
        path.display()
    )]
    NoModel { path: PathBuf },
    #[error(
        "{} is a SavedModel in text format, which only TensorFlow reads: \
         save it again as saved_model.pb",
        path.display()
    )]
    TextFormat { path: PathBuf },
    #[error(
        "{} is a SavedModel in several pieces, which only TensorFlow reads",
        path.display()
    )]
    Sharded { path: PathBuf },
    #[error("{} is no regular file: expected a SavedModel", path.display())]
    NoFile { path: PathBuf },
    #[error(
        "{} describes no graph ({length} bytes long): expected a SavedModel with at least one",
        path.display()
    )]
    NoGraphs { path: PathBuf, length: usize },
    #[error("{} is no SavedModel: {source}", path.display())]
    Malformed {
        path: PathBuf,
        source: prost::DecodeError,
    },
}

/// A SavedModel, as its file describes it.
#[derive(Debug, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Description {
    /// The directory of `saved_model.pb`.
    pub(crate) path: PathBuf,
    /// The versions beside it, when a base path was given.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) versions: Vec<i64>,
    /// One per set of tags.
    pub(crate) meta_graphs: Vec<MetaGraph>,
}

/// One graph of a SavedModel.
#[derive(Debug, PartialEq, Eq, serde::Serialize)]
pub(crate) struct MetaGraph {
    pub(crate) tags: Vec<String>,
    pub(crate) tensorflow_version: String,
    pub(crate) signatures: Vec<SignatureView>,
}

/// One way to call a graph.
#[derive(Debug, PartialEq, Eq, serde::Serialize)]
pub(crate) struct SignatureView {
    pub(crate) name: String,
    pub(crate) method_name: String,
    pub(crate) inputs: Vec<TensorView>,
    pub(crate) outputs: Vec<TensorView>,
}

/// An input or output.
#[derive(Debug, PartialEq, Eq, serde::Serialize)]
pub(crate) struct TensorView {
    pub(crate) name: String,
    /// `DT_FLOAT` and so on.
    pub(crate) dtype: String,
    /// -1 where a dimension is not known; `None` where the rank is not.
    pub(crate) shape: Option<Vec<i64>>,
    /// The tensor in the graph; for a sparse or composite one, the tensors that it is made of.
    pub(crate) tensor_name: String,
}

/// Reads the SavedModel in `path`: a version directory, or a base path, of which the highest
/// version is taken.
///
/// # Errors
/// When there is none, or none that can be read here.
pub(crate) fn inspect(path: &Path) -> Result<Description, InspectError> {
    let found = locate::locate(path)?;
    let file = found.directory.join(locate::BINARY);
    let unreadable = |source| InspectError::Unreadable {
        path: file.clone(),
        source,
    };
    // Before it is opened: a pipe would wait for somebody to write to it.
    if !std::fs::metadata(&file).map_err(unreadable)?.is_file() {
        return Err(InspectError::NoFile { path: file });
    }
    let bytes = std::fs::read(&file).map_err(unreadable)?;
    let model = match proto::SavedModel::decode(bytes.as_slice()) {
        Ok(model) => model,
        Err(source) => return Err(InspectError::Malformed { path: file, source }),
    };
    if model.meta_graphs.is_empty() {
        let length = bytes.len();
        return Err(InspectError::NoGraphs { path: file, length });
    }
    Ok(Description {
        path: found.directory,
        versions: found.versions,
        meta_graphs: model.meta_graphs.into_iter().map(meta_graph).collect(),
    })
}

fn meta_graph(graph: proto::MetaGraphDef) -> MetaGraph {
    let info = graph.meta_info_def.unwrap_or_default();
    MetaGraph {
        tags: info.tags,
        tensorflow_version: info.tensorflow_version,
        signatures: graph
            .signature_def
            .into_iter()
            .map(|(name, signature)| SignatureView {
                name,
                method_name: signature.method_name,
                inputs: signature.inputs.into_iter().map(tensor).collect(),
                outputs: signature.outputs.into_iter().map(tensor).collect(),
            })
            .collect(),
    }
}

fn tensor((name, info): (String, proto::TensorInfo)) -> TensorView {
    use proto::tensor_info::Encoding;
    let dtype = DType::from_number(u32::try_from(info.dtype).unwrap_or_default());
    let shape = info.tensor_shape.unwrap_or_default();
    TensorView {
        name,
        dtype: dtype
            .proto_name()
            .map_or_else(|| info.dtype.to_string(), str::to_owned),
        shape: (!shape.unknown_rank).then(|| shape.dim.iter().map(|dim| dim.size).collect()),
        tensor_name: match info.encoding {
            None => String::new(),
            Some(Encoding::Name(name)) => name,
            Some(Encoding::CooSparse(sparse)) => format!(
                "sparse: {}, {}, {}",
                sparse.values_tensor_name,
                sparse.indices_tensor_name,
                sparse.dense_shape_tensor_name
            ),
            Some(Encoding::CompositeTensor(composite)) => {
                let parts: Vec<String> = composite
                    .components
                    .into_iter()
                    .map(|part| tensor((String::new(), part)).tensor_name)
                    .collect();
                format!("composite: {}", parts.join(", "))
            }
        },
    }
}

#[cfg(test)]
mod tests;
