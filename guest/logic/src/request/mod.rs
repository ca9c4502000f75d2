//! A predict request: JSON in, the tensors of a signature out.
//!
//! There are two ways. `fast` reads the bytes once, straight into typed buffers, and gives up at
//! the first thing that is not as it hopes. `exact` starts again, checks in TensorFlow Serving's
//! order and finds its words for what is wrong. Where `fast` has an answer, `exact` has the same
//! one: a property test holds them together.
//!
//! **Invariant:** JSON errors come before errors of the model, which come before errors of the
//! signature, which come before errors of the tensors, whatever was looked at first.

mod exact;
mod examples;
mod fast;
mod instances;
mod list;
mod scan;
mod values;

use std::rc::Rc;

use tensorgate_types::{Result, ShapeCheck, Signature};

pub(crate) use exact::check_envelope;
pub(crate) use examples::{ExamplesRequest, parse_examples};
pub(crate) use list::fill;
pub use values::{Tensor, Values};

/// How a request holds its tensors, which decides how the answer holds them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `instances`: a list of rows.
    Row,
    /// `inputs`: tensors as they are.
    Columnar,
}

/// What a body asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct PredictRequest {
    /// The signature to run; the default one where the body names none.
    pub signature_name: String,
    /// Row or columnar.
    pub format: Format,
    /// The inputs, in the order of their names.
    pub inputs: Vec<Tensor>,
}

/// Where the signatures of the model come from that the path names.
pub trait SignatureSource {
    /// The signature of this name, and how far shapes are checked against it.
    ///
    /// # Errors
    /// Why the model cannot be opened, or that it has no such signature.
    fn signature(&mut self, name: &str) -> Result<Rc<(Signature, ShapeCheck)>>;
}

/// Parses the body of a predict request.
///
/// # Errors
/// `INVALID_ARGUMENT` and `UNIMPLEMENTED` in TensorFlow Serving's words, and the errors of
/// `signatures`.
pub fn parse_predict(body: &[u8], signatures: &mut impl SignatureSource) -> Result<PredictRequest> {
    match fast::parse(body, signatures) {
        Some(request) => Ok(request),
        None => exact::parse(body, signatures),
    }
}

#[cfg(test)]
mod exact_tests;
#[cfg(test)]
pub(crate) mod examples_tests;
#[cfg(test)]
mod tests;
