//! What a processor is: one function each way.

use tensorgate_types::{DEFAULT_SIGNATURE, Error, Result};

use crate::body::Body;
use crate::describe::{Description, Subject};
use crate::tensors::{Outputs, Tensors};

/// The code between what users send and what the model takes.
///
/// Every function has a default: clients' tensors go to the model as they come, and the model's
/// outputs to the clients. Errors answer the client as they stand, with their code.
///
/// Both calls of a request happen in the same instance of the component, which does nothing else
/// meanwhile: what `preprocess` wants to tell `postprocess` it [keeps](crate::keep).
pub trait Processor {
    /// How clients see the model: called once before its version serves anything. An error keeps
    /// the version from being served.
    ///
    /// By default `serving_default` is covered, with the model's own inputs and outputs.
    ///
    /// # Errors
    /// When the model is not the one that the processor was written for.
    fn describe(model: &Subject) -> Result<Vec<Description>> {
        model.signature(DEFAULT_SIGNATURE)?;
        Ok(vec![Description::of(DEFAULT_SIGNATURE)])
    }

    /// Makes the model's inputs of a request, or the answer at once.
    ///
    /// # Errors
    /// What the client is to read: `INVALID_ARGUMENT` where its data is bad.
    fn preprocess(context: &Context, request: Request) -> Result<Step> {
        Ok(Step::Run(context.call(request.tensors()?)))
    }

    /// Makes the answer of the model's outputs.
    ///
    /// # Errors
    /// What the client is to read.
    fn postprocess(context: &Context, outputs: Outputs) -> Result<Answer> {
        let _ = context;
        Ok(Answer::tensors(outputs))
    }
}

/// What is known of a request beside its payload.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Context {
    /// The model that was asked for.
    pub model: String,
    /// The version that the request holds.
    pub version: i64,
    /// The signature that was asked for.
    pub signature_name: String,
    /// The outputs that the client wants; none means all.
    pub outputs: Vec<String>,
    /// What else is known, by name.
    pub properties: Vec<(String, String)>,
}

impl Context {
    /// The property of this name.
    #[must_use]
    pub fn property(&self, name: &str) -> Option<&str> {
        self.properties
            .iter()
            .find(|(found, _)| found == name)
            .map(|(_, value)| value.as_str())
    }

    /// What was called: `predict`, `classify`, `regress` or `multi-inference`.
    #[must_use]
    pub fn api(&self) -> Option<&str> {
        self.property("api")
    }

    /// The header `Accept`, where the client sent one with a body.
    #[must_use]
    pub fn accept(&self) -> Option<&str> {
        self.property("accept")
    }

    /// A run of the signature that was asked for, with these inputs, for the outputs that the
    /// client wants.
    #[must_use]
    pub fn call(&self, inputs: impl Into<Tensors>) -> Call {
        Call {
            signature_name: self.signature_name.clone(),
            inputs: inputs.into(),
            outputs: self.outputs.clone(),
        }
    }
}

/// What came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Tensors, from a client of TensorFlow Serving's protocols.
    Tensors(Tensors),
    /// A body of one of the content types that [`Processor::describe`] named.
    Body(Body),
}

impl Request {
    /// The tensors, for a signature that takes nothing else.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` when a body came.
    pub fn tensors(self) -> Result<Tensors> {
        match self {
            Self::Tensors(tensors) => Ok(tensors),
            Self::Body(body) => Err(Error::invalid_argument(format!(
                "expected tensors, found a body of {}",
                body.content_type
            ))),
        }
    }

    /// The body, for a signature that takes nothing else.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` when tensors came.
    pub fn body(self) -> Result<Body> {
        match self {
            Self::Body(body) => Ok(body),
            Self::Tensors(_) => Err(Error::invalid_argument("expected a body, found tensors")),
        }
    }
}

/// A run of the model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The model's signature.
    pub signature_name: String,
    /// Its inputs.
    pub inputs: Tensors,
    /// The outputs that are wanted; none means all.
    pub outputs: Vec<String>,
}

impl Call {
    /// A run of this signature of the model with these inputs, for all outputs.
    #[must_use]
    pub fn new(signature_name: impl Into<String>, inputs: impl Into<Tensors>) -> Self {
        Self {
            signature_name: signature_name.into(),
            inputs: inputs.into(),
            outputs: Vec::new(),
        }
    }

    /// Asks for this output, and for none that is not named so.
    #[must_use]
    pub fn output(mut self, name: impl Into<String>) -> Self {
        self.outputs.push(name.into());
        self
    }
}

/// What is to happen next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The model is run; `postprocess` gets what it gives.
    Run(Call),
    /// This is the answer: nothing is run, and `postprocess` is not called.
    Answer(Answer),
}

impl From<Call> for Step {
    fn from(call: Call) -> Self {
        Self::Run(call)
    }
}

impl From<Answer> for Step {
    fn from(answer: Answer) -> Self {
        Self::Answer(answer)
    }
}

/// What the client gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Its content. A request of tensors is answered with tensors.
    pub payload: Payload,
    /// The version that answered, where it was not the one that the request holds.
    pub version: Option<i64>,
}

/// The content of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload {
    /// Tensors; to a client that sent a body they go as TensorFlow Serving's JSON.
    Tensors(Tensors),
    /// A body of any shape.
    Body(Body),
}

impl Answer {
    /// Tensors.
    #[must_use]
    pub fn tensors(tensors: impl Into<Tensors>) -> Self {
        Self::of(Payload::Tensors(tensors.into()))
    }

    /// A body.
    #[must_use]
    pub fn body(content_type: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        Self::of(Payload::Body(Body::new(content_type, bytes)))
    }

    /// A body of JSON.
    ///
    /// # Errors
    /// `INTERNAL` when `value` cannot be JSON, as a map whose keys are not strings cannot.
    #[cfg(feature = "json")]
    pub fn json<T: serde::Serialize + ?Sized>(value: &T) -> Result<Self> {
        Ok(Self::of(Payload::Body(Body::json(value)?)))
    }

    fn of(payload: Payload) -> Self {
        Self {
            payload,
            version: None,
        }
    }

    /// Says that this version of a model answered.
    #[must_use]
    pub fn from_version(mut self, version: i64) -> Self {
        self.version = Some(version);
        self
    }
}

#[cfg(test)]
mod tests {
    use tensorgate_types::DType;

    use super::*;
    use crate::describe::{Signature, TensorInfo};
    use crate::tensor::Tensor;

    struct PassesThrough;
    impl Processor for PassesThrough {}

    fn context() -> Context {
        Context {
            model: "m".to_owned(),
            version: 3,
            signature_name: "serving_default".to_owned(),
            outputs: vec!["y".to_owned()],
            properties: vec![("api".to_owned(), "predict".to_owned())],
        }
    }

    #[test]
    fn by_default_tensors_pass_through() {
        let context = context();
        let inputs = Tensors::from([("x", Tensor::scalar(1.0f32))]);
        let step = PassesThrough::preprocess(&context, Request::Tensors(inputs.clone()));
        let call = Call::new("serving_default", inputs).output("y");
        assert_eq!(step.unwrap(), Step::Run(call));
        let outputs = Tensors::outputs([("y".to_owned(), Tensor::scalar(2.0f32))]);
        let answer = PassesThrough::postprocess(&context, outputs.clone()).unwrap();
        assert_eq!(answer.payload, Payload::Tensors(outputs));
        assert_eq!((context.api(), context.accept()), (Some("predict"), None));
    }

    #[test]
    fn by_default_the_model_has_a_default_signature() {
        let signature = Signature {
            method_name: String::new(),
            inputs: vec![TensorInfo::new("x", DType::FLOAT, &[])],
            outputs: Vec::new(),
        };
        let mut model = Subject {
            model: "m".to_owned(),
            version: 1,
            signatures: vec![("serving_default".to_owned(), signature)],
            properties: Vec::new(),
        };
        let described = PassesThrough::describe(&model).unwrap();
        assert_eq!(described, [Description::of("serving_default")]);
        model.signatures.clear();
        assert!(PassesThrough::describe(&model).is_err());
    }

    #[test]
    fn what_came_instead_is_in_the_error() {
        let body = Request::Body(Body::new("image/png", "x"));
        assert_eq!(
            body.tensors().unwrap_err().message(),
            "expected tensors, found a body of image/png"
        );
        let tensors = Request::Tensors(Tensors::new());
        assert_eq!(
            tensors.body().unwrap_err().message(),
            "expected a body, found tensors"
        );
    }
}
