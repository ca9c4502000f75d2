//! TensorFlow Serving's gRPC API: one message in, chunks of one message or a status out.
//!
//! **Invariant:** every call gets an answer and an outcome.

use tensorgate_types::Error;

use crate::outcome::Outcome;
use crate::services::{Chunk, Message, Services};

/// Answers a call of `method` (`/tensorflow.serving.PredictionService/Predict`).
pub fn handle(
    method: &str,
    message: &impl Message,
    services: &impl Services,
) -> (Result<Vec<Chunk>, Error>, Outcome) {
    let _ = (message, services);
    let error = Error::unimplemented(format!("{method} is not implemented"));
    let outcome = Outcome {
        code: error.code().number(),
        ..Outcome::default()
    };
    (Err(error), outcome)
}
