//! TensorFlow Serving's gRPC API, and the way to V2's: one message in, chunks of one message or a status out.
//!
//! ```text
//!  Message ─> source (windows) ─> wire (fields) ─> requests, parts, tensor ─> Model::run
//!                                                                                  │
//!  chunks <─ write (what is encoded here, and what stays with the host) <──────────┘
//! ```
//!
//! **Invariant:** every call gets an answer and an outcome; errors keep the order of the original,
//! which reads the message, then finds the model, its signature, the tensors. Memory does not grow
//! with what can stay where it is: tensors of fixed-size elements and strings are never copied in,
//! large outputs are never copied out.

mod infer;
mod models;
pub(crate) mod parts;
mod predict;
mod requests;
pub(crate) mod source;
pub(crate) mod tensor;
pub(crate) mod wire;
pub(crate) mod write;

pub(crate) use infer::encode as encode_answer;
pub(crate) use predict::check_method;
use tensorgate_types::{Error, LogKind, ModelSpec, Result};

use crate::examples::Method;
use crate::inference::{Inference, Model, Range};
use crate::outcome::Outcome;
use crate::services::{Chunk, LogEntry, Message, Services};

/// Answers a call of `method` (`/tensorflow.serving.PredictionService/Predict`).
pub fn handle(
    method: &str,
    message: &impl Message,
    services: &impl Services,
) -> (Result<Vec<Chunk>, Error>, Outcome) {
    let mut outcome = Outcome::default();
    let answer = dispatch(method, message, services, &mut outcome).map_err(cut);
    if let Err(error) = &answer {
        outcome.code = error.code().number();
    }
    (answer, outcome)
}

fn dispatch(
    method: &str,
    message: &impl Message,
    services: &impl Services,
    outcome: &mut Outcome,
) -> Result<Vec<Chunk>> {
    let (service, name) = method
        .strip_prefix('/')
        .and_then(|method| method.rsplit_once('/'))
        .unwrap_or_default();
    match (service, name) {
        ("tensorflow.serving.PredictionService", "Predict") => {
            outcome.api = "predict";
            predict::predict(message, services, outcome)
        }
        ("tensorflow.serving.PredictionService", "Classify") => {
            outcome.api = "classify";
            infer::one(Method::Classify, message, services, outcome)
        }
        ("tensorflow.serving.PredictionService", "Regress") => {
            outcome.api = "regress";
            infer::one(Method::Regress, message, services, outcome)
        }
        ("tensorflow.serving.PredictionService", "MultiInference") => {
            outcome.api = "multi_inference";
            infer::several(message, services, outcome)
        }
        ("tensorflow.serving.PredictionService", "GetModelMetadata") => {
            outcome.api = "metadata";
            models::metadata(message, services, outcome)
        }
        ("tensorflow.serving.ModelService", "GetModelStatus") => {
            outcome.api = "status";
            models::status(message, services, outcome)
        }
        ("tensorflow.serving.ModelService", "HandleReloadConfigRequest") => {
            outcome.api = "reload";
            models::reload(message, services)
        }
        ("inference.GRPCInferenceService", name) => {
            crate::v2::grpc::dispatch(name, message, services, outcome)
        }
        _ => Err(Error::unimplemented(format!("unknown method {method}"))),
    }
}

fn missing_spec() -> Error {
    Error::invalid_argument("Missing ModelSpec")
}

/// Opens the model of a request. By gRPC it may have no name, which no path of the REST API has.
fn open<I: Inference>(inference: &I, spec: &ModelSpec, outcome: &mut Outcome) -> Result<I::Model> {
    if spec.name.is_empty() {
        return Err(Error::invalid_argument("ModelSpec has no name specified."));
    }
    outcome.model.clone_from(&spec.name);
    let model = inference.open(spec)?;
    outcome.version = Some(model.version());
    Ok(model)
}

/// Cuts the message of an error as the original does: HTTP/2 bounds headers, and a signature in
/// text form can be long.
fn cut(error: Error) -> Error {
    const MAX_LENGTH: usize = 1024;
    let message = error.message();
    if message.len() <= MAX_LENGTH {
        return error;
    }
    let end = message.floor_char_boundary(MAX_LENGTH);
    let message = format!("{}...TRUNCATED", &message[..end]);
    let code = error.code();
    Error::new(code, message).with_source(error)
}

/// Has a request and its answer written down, if the lot falls on it.
fn write_down(
    services: &impl Services,
    message: &impl Message,
    kind: LogKind,
    (model, version, signature): (&str, i64, &str),
    answer: &[Chunk],
) {
    if !services.log_sampled(model) {
        return;
    }
    services.log(LogEntry {
        kind,
        model: model.to_owned(),
        version,
        signature_name: signature.to_owned(),
        request: vec![Chunk::InMessage(Range {
            offset: 0,
            length: message.length(),
        })],
        response: answer.to_vec(),
    });
}

#[cfg(test)]
mod tests;
