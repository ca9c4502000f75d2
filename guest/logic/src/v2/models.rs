//! What is told of models: readiness, metadata, configuration.

use std::collections::BTreeMap;

use tensorgate_proto::inference as proto;
use tensorgate_types::{
    DEFAULT_SIGNATURE, Error, ErrorCode, INIT_OP_SIGNATURE, ModelSpec, ModelVersionStatus, Result,
    ServableState, Signature, TensorInfo,
};

use super::{datatype, infer, open};
use crate::inference::{Inference, Model};
use crate::outcome::Outcome;

/// What the server calls itself.
pub(super) const SERVER: &str = "tensorgate";
pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The extensions of the protocol that are answered whole.
pub(super) const EXTENSIONS: [&str; 3] =
    ["binary_tensor_data", "parameters", "model_configuration"];

const PLATFORM: &str = "tensorflow_savedmodel";
const BACKEND: &str = "tensorflow";

/// The signatures that can be asked for by name, in the order of their names.
pub(super) fn signature_names(model: &impl Model) -> Vec<String> {
    let exported = model.signature_defs().into_iter().map(|(name, _)| name);
    let covered = model.covered().into_iter().map(|(name, _)| name);
    let mut names: Vec<_> = exported
        .chain(covered)
        .filter(|name| name != INIT_OP_SIGNATURE)
        .collect();
    names.sort();
    names.dedup();
    names
}

/// The signature that metadata tells of: the one that is named, or the default one. A model that
/// has no default has metadata too, with no tensors.
fn told<M: Model>(model: &M, name: Option<&str>) -> Result<Option<(String, Signature)>> {
    let wanted = infer::signature_name(name);
    match infer::signature(model, wanted) {
        Ok((signature, _)) => Ok(Some((wanted.to_owned(), signature))),
        Err(_) if wanted == DEFAULT_SIGNATURE => Ok(None),
        Err(error) => Err(error),
    }
}

/// A shape as metadata tells it. One dimension of any size stands for any shape: an empty list
/// would say that the tensor is a scalar.
fn shape(info: &TensorInfo) -> Vec<i64> {
    info.shape.clone().unwrap_or_else(|| vec![-1])
}

fn tensors(
    infos: &BTreeMap<String, TensorInfo>,
) -> Vec<proto::model_metadata_response::TensorMetadata> {
    infos
        .iter()
        .map(
            |(name, info)| proto::model_metadata_response::TensorMetadata {
                name: name.clone(),
                datatype: datatype::shown(info.dtype).to_owned(),
                shape: shape(info),
            },
        )
        .collect()
}

/// The metadata of a version of a model.
pub(super) fn metadata(
    spec: &ModelSpec,
    signature: Option<&str>,
    inference: &impl Inference,
    outcome: &mut Outcome,
) -> Result<proto::ModelMetadataResponse> {
    let model = open(inference, spec, outcome)?;
    let told = told(&model, signature)?;
    let mut versions: Vec<_> = inference
        .status(&spec.name, None)?
        .into_iter()
        .filter(|status| status.state == ServableState::Available)
        .map(|status| status.version)
        .collect();
    versions.sort_unstable();
    let mut properties = BTreeMap::from([(
        "signature_names".to_owned(),
        signature_names(&model).join(","),
    )]);
    let (mut inputs, mut outputs) = (Vec::new(), Vec::new());
    if let Some((name, signature)) = told {
        inputs = tensors(&signature.inputs);
        outputs = tensors(&signature.outputs);
        properties.insert(super::SIGNATURE_NAME.to_owned(), name);
    }
    Ok(proto::ModelMetadataResponse {
        name: spec.name.clone(),
        versions: versions.iter().map(ToString::to_string).collect(),
        platform: PLATFORM.to_owned(),
        inputs,
        outputs,
        properties,
    })
}

/// What Triton calls the configuration of a model.
pub(super) fn config(
    spec: &ModelSpec,
    signature: Option<&str>,
    inference: &impl Inference,
    outcome: &mut Outcome,
) -> Result<proto::ModelConfig> {
    let model = open(inference, spec, outcome)?;
    let signature = told(&model, signature)?.map(|(_, signature)| signature);
    let signature = signature.unwrap_or_default();
    let inputs = signature.inputs.iter();
    let outputs = signature.outputs.iter();
    Ok(proto::ModelConfig {
        name: spec.name.clone(),
        platform: PLATFORM.to_owned(),
        backend: BACKEND.to_owned(),
        max_batch_size: 0,
        input: inputs
            .map(|(name, info)| proto::ModelInput {
                name: name.clone(),
                data_type: datatype::configured(info.dtype).into(),
                dims: shape(info),
                optional: info.optional,
            })
            .collect(),
        output: outputs
            .map(|(name, info)| proto::ModelOutput {
                name: name.clone(),
                data_type: datatype::configured(info.dtype).into(),
                dims: shape(info),
            })
            .collect(),
    })
}

/// Whether a version answers; an error where what is asked for makes no sense.
pub(super) fn is_ready(
    spec: &ModelSpec,
    inference: &impl Inference,
    outcome: &mut Outcome,
) -> Result<bool> {
    match open(inference, spec, outcome) {
        Ok(_) => Ok(true),
        Err(error) if matches!(error.code(), ErrorCode::NotFound | ErrorCode::Unavailable) => {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

/// The models that are served, a line for each of their versions.
pub(super) fn index(
    names: Option<Vec<String>>,
    only_ready: bool,
    inference: &impl Inference,
) -> Result<Vec<proto::repository_index_response::ModelIndex>> {
    let names = names.ok_or_else(|| {
        Error::unimplemented("the repository index: the models cannot be listed from here")
    })?;
    let mut index = Vec::new();
    for name in names {
        // One that has just gone is none of them any more.
        let mut versions = inference.status(&name, None).unwrap_or_default();
        versions.sort_by_key(|status| status.version);
        let lines = versions.into_iter().map(|status| line(&name, status));
        index.extend(lines.filter(|line| !only_ready || line.state == READY));
    }
    Ok(index)
}

const READY: &str = "READY";

fn line(name: &str, status: ModelVersionStatus) -> proto::repository_index_response::ModelIndex {
    let state = match status.state {
        ServableState::Available => READY,
        ServableState::Start | ServableState::Loading => "LOADING",
        ServableState::Unloading => "UNLOADING",
        ServableState::End => "UNAVAILABLE",
    };
    let reason = match (status.status, state) {
        (Err((_, message)), _) => message,
        (Ok(()), "UNAVAILABLE") => "unloaded".to_owned(),
        (Ok(()), _) => String::new(),
    };
    proto::repository_index_response::ModelIndex {
        name: name.to_owned(),
        version: status.version.to_string(),
        state: state.to_owned(),
        reason,
    }
}
