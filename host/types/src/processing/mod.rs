//! Processors: what one says of itself and what it gives, checked; and how requests are held
//! against it.
//!
//! The host does this for processors beside its models, and the shell at the edge for one beside
//! itself. They read what a component gives in ways of their own, and judge it here, so that
//! clients see the same signatures, answers and errors in both places.
//!
//! **Invariant:** a processor is somebody else's program: nothing that it gives is taken for right
//! before it was looked at here, and nothing here panics.

mod description;
mod given;

pub use description::{Covered, Description, NamedInfo, covered};
pub use given::{
    GivenData, GivenTensor, check_content_type, check_tensor_count, given_tensors, of_input,
    promised_outputs,
};

use crate::{Error, ErrorCode};

/// The most dimensions of a tensor: TensorFlow's own limit.
pub const MAX_RANK: usize = 254;

/// The most inputs or outputs in one call. Models with hundreds exist; with thousands, they do not.
pub const MAX_TENSORS: usize = 4096;

/// Bytes of an error's message. It goes into a header of gRPC, of which clients take 8 KiB
/// together; the gateway of this house cuts its own messages far earlier.
pub const MAX_MESSAGE: usize = 4 << 10;

/// The error that a component answers with. What cannot fit into headers is cut off.
#[must_use]
pub fn told_error(code: ErrorCode, mut message: String) -> Error {
    if message.len() > MAX_MESSAGE {
        message.truncate(message.floor_char_boundary(MAX_MESSAGE));
        message.push_str("...TRUNCATED");
    }
    Error::new(code, message)
}

/// An error of a processor's making, with the version that it belongs to.
pub fn fault(model: &str, version: i64, what: impl std::fmt::Display) -> Error {
    Error::internal(format!(
        "the processor of model {model} version {version} failed: {what}"
    ))
}

/// What it gave to its model does not fit there. The client has no part in it: its request was
/// good.
#[must_use]
pub fn bad_call(error: &Error) -> String {
    format!("what it gives to its model: {}", error.message())
}

/// It answered tensors with a body.
#[must_use]
pub fn unasked_body(content_type: &str) -> Error {
    Error::internal(format!(
        "it answered tensors with a body of the type {content_type}"
    ))
}

/// A body came for a signature that none covers.
#[must_use]
pub fn uncovered(signature: &str) -> Error {
    Error::failed_precondition(format!("no processor covers the signature {signature}"))
}

#[cfg(test)]
mod tests;
