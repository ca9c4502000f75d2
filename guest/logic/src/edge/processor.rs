//! What stands at the edge itself: a team's processor. A shell implements this over its import.

use tensorgate_types::processing::{Description, GivenTensor};
use tensorgate_types::{Result, Signatures};

use super::far::{Payload, TensorView};

/// The processor at the edge. What it gives is looked at by whoever calls it.
pub trait Processor {
    /// Which signatures it covers, and how; none is an answer, too.
    ///
    /// # Errors
    /// When it does not want to stand before this model.
    fn describe(&self, subject: &Subject<'_>) -> Result<Vec<Description>>;

    /// Makes the model's inputs of a request.
    ///
    /// # Errors
    /// The client's answer.
    fn preprocess(&self, context: &Context<'_>, request: Payload<'_>) -> Result<Step>;

    /// Makes the answer of the model's outputs.
    ///
    /// # Errors
    /// The client's answer.
    fn postprocess(&self, context: &Context<'_>, outputs: &[TensorView<'_>]) -> Result<Answer>;
}

/// The version that a processor is to stand before.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// The model's name.
    pub model: &'a str,
    /// The version.
    pub version: i64,
    /// Its signatures, as the exporter wrote them.
    pub signatures: &'a Signatures,
}

/// What is known of a request beside its payload.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// The model that was asked for.
    pub model: &'a str,
    /// The version that was opened.
    pub version: i64,
    /// The signature that was asked for.
    pub signature: &'a str,
    /// The outputs that the client wants; none means all.
    pub outputs: &'a [&'a str],
    /// `api`, and `accept` where the client sent one with a body.
    pub properties: &'a [(&'a str, &'a str)],
}

/// What is to happen next, unchecked.
#[derive(Debug, Clone)]
pub enum Step {
    /// The model is run.
    Run {
        /// The model's signature.
        signature: String,
        /// Its inputs.
        inputs: Vec<(String, GivenTensor)>,
        /// The outputs that are wanted; none means all.
        outputs: Vec<String>,
    },
    /// This is the answer.
    Answer(Answer),
}

/// What a client is to get, unchecked.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Tensors or a body.
    pub payload: Given,
    /// The version that answered, where it was another one.
    pub version: Option<i64>,
}

/// The payload of an [`Answer`], unchecked.
#[derive(Debug, Clone)]
pub enum Given {
    /// Tensors.
    Tensors(Vec<(String, GivenTensor)>),
    /// A body of its own.
    Body {
        /// What it is.
        content_type: String,
        /// All of it.
        bytes: Vec<u8>,
    },
}
