//! The V2 inference protocol (Open Inference Protocol), as clients of KServe and Triton speak it:
//! REST with the extension for binary tensors, and gRPC.
//!
//! ```text
//!  HttpRequest, Message ─> rest ─> reader, request (JSON, ranges) ─┐
//!                                                                  ├─> infer ─> Model::run
//!  Message ─> grpc (protobuf, ranges) ─────────────────────────────┘      │
//!  chunks <─ rest::answer, grpc (what stays with the host) <──────────────┘
//! ```
//!
//! **Invariant:** binary tensors are never copied in, and large outputs that go out as binary are
//! never copied out; JSON is read without a tree, straight into typed buffers. No number of a
//! client makes anything be allocated that the client has not sent.

mod contents;
mod datatype;
pub(crate) mod grpc;
mod infer;
mod log;
mod models;
mod raw;
pub mod rest;
#[cfg(test)]
mod tests;

use tensorgate_types::{Error, ModelSpec, Result, VersionChoice};

use crate::inference::Inference;
use crate::outcome::Outcome;

/// TensorFlow's limit for the number of dimensions.
const MAX_DIMENSIONS: usize = 254;

/// What a request can choose a signature with: a parameter of it, or of the query where metadata
/// is asked for.
const SIGNATURE_NAME: &str = "signature_name";

/// The version that is meant. The protocol's versions are texts, which leaves room for labels:
/// whatever is no number is one.
fn version_choice(text: &str) -> Result<VersionChoice> {
    if text.is_empty() {
        return Ok(VersionChoice::Latest);
    }
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(VersionChoice::Label(text.to_owned()));
    }
    text.parse().map(VersionChoice::Specific).map_err(|_| {
        Error::invalid_argument(format!(
            "the model version {text} is too large: the largest is {}",
            i64::MAX
        ))
    })
}

/// Opens the model of a request.
fn open<I: Inference>(inference: &I, spec: &ModelSpec, outcome: &mut Outcome) -> Result<I::Model> {
    use crate::inference::Model as _;
    if spec.name.is_empty() {
        return Err(Error::invalid_argument("the request names no model"));
    }
    let model = inference.open(spec)?;
    outcome.version = Some(model.version());
    Ok(model)
}

/// Why a parameter is not taken: nothing is done by half.
fn refuse_parameter(name: &str) -> Result<()> {
    let why = match name {
        "shared_memory_region" | "shared_memory_byte_size" | "shared_memory_offset" => {
            "shared memory is not implemented: send tensors in the request, as binary data"
        }
        "classification" => {
            "classification of outputs is not implemented: ask for the output itself"
        }
        _ => return Ok(()),
    };
    Err(Error::unimplemented(format!(
        "the parameter '{name}': {why}"
    )))
}

/// The same for a parameter of a whole request.
fn refuse_request_parameter(name: &str, is_set: bool) -> Result<()> {
    if is_set && matches!(name, "sequence_id" | "sequence_start" | "sequence_end") {
        return Err(Error::unimplemented(format!(
            "the parameter '{name}': sequences are not implemented, since models keep no state \
             between requests"
        )));
    }
    Ok(())
}
