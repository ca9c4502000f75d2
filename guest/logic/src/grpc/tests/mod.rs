//! Calls against a model that a test chooses, and decoding against a slow reference.

mod calls;
mod fuzz;
mod predict;
mod random;
mod reference;

use prost::Message as _;
use tensorgate_proto::tensorflow as tf;
use tensorgate_proto::tensorflow::serving as api;
use tensorgate_types::{DType, Signature};

use super::*;
use crate::fake::{Fake, signature};

/// The method of this name of the service that has it.
pub(super) fn path(name: &str) -> String {
    let service = match name {
        "GetModelStatus" | "HandleReloadConfigRequest" => "ModelService",
        _ => "PredictionService",
    };
    format!("/tensorflow.serving.{service}/{name}")
}

/// Calls `name` with a message, and puts the answer together.
pub(super) fn call(
    fake: &mut Fake,
    name: &str,
    message: &impl prost::Message,
) -> (Result<Vec<u8>, String>, Outcome) {
    call_bytes(fake, name, message.encode_to_vec())
}

pub(super) fn call_bytes(
    fake: &mut Fake,
    name: &str,
    message: Vec<u8>,
) -> (Result<Vec<u8>, String>, Outcome) {
    fake.message = message;
    let fake = &*fake;
    let (answer, outcome) = handle(&path(name), fake, &fake);
    let code = answer
        .as_ref()
        .err()
        .map_or(0, |error| error.code().number());
    assert_eq!(outcome.code, code);
    let answer = answer
        .map(|chunks| fake.assemble(&chunks))
        .map_err(|error| error.to_string());
    (answer, outcome)
}

/// The error that `name` gives for a message.
pub(super) fn error(fake: &mut Fake, name: &str, message: &impl prost::Message) -> String {
    call(fake, name, message).0.unwrap_err()
}

/// The answer of `name`, which must be one.
pub(super) fn answer<T: prost::Message + Default>(
    fake: &mut Fake,
    name: &str,
    message: &impl prost::Message,
) -> T {
    let bytes = call(fake, name, message).0.unwrap();
    T::decode(&*bytes).unwrap()
}

pub(super) fn spec(name: &str, signature: &str) -> Option<api::ModelSpec> {
    Some(api::ModelSpec {
        name: name.to_owned(),
        signature_name: signature.to_owned(),
        version_choice: None,
    })
}

/// A spec of version 3, as answers have it.
pub(super) fn answered(signature: &str) -> Option<api::ModelSpec> {
    Some(api::ModelSpec {
        version_choice: Some(api::model_spec::VersionChoice::Version(3)),
        ..spec("m", signature).unwrap()
    })
}

pub(super) fn shape(dims: &[i64]) -> Option<tf::TensorShapeProto> {
    let dim = |size: &i64| tf::tensor_shape_proto::Dim {
        size: *size,
        name: String::new(),
    };
    Some(tf::TensorShapeProto {
        dim: dims.iter().map(dim).collect(),
        unknown_rank: false,
    })
}

pub(super) fn floats(dims: &[i64], values: &[f32]) -> tf::TensorProto {
    tf::TensorProto {
        dtype: 1,
        tensor_shape: shape(dims),
        float_val: values.to_vec(),
        ..tf::TensorProto::default()
    }
}

pub(super) fn request(inputs: &[(&str, tf::TensorProto)]) -> api::PredictRequest {
    api::PredictRequest {
        model_spec: spec("m", ""),
        inputs: inputs
            .iter()
            .map(|(name, tensor)| ((*name).to_owned(), tensor.clone()))
            .collect(),
        ..api::PredictRequest::default()
    }
}

/// A house whose model has one signature, `serving_default`.
pub(super) fn house(default: Signature) -> Fake {
    Fake {
        signatures: [("serving_default".to_owned(), default)].into(),
        ..Fake::default()
    }
}

/// `x` in, `x` out, both of this type.
pub(super) fn echoing(dtype: DType) -> Fake {
    house(signature("", &[("x", dtype)], &[("x", dtype)]))
}
