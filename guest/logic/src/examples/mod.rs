//! Classify and regress: examples in, classes or values out, for every protocol that asks.
//!
//! ```text
//!  Examples ──┐
//!  Plan ──────┴─> infer (one run for all plans) ──> Answer
//! ```
//!
//! Checks, their order and their words are the original's. Types and shapes are those of the
//! tensors that the model gives; what its signature declares of them is not looked at.

mod answer;
mod text;

use tensorgate_types::{DType, Error, ErrorCode, Result, Settings, Signature};

use crate::inference::{Call, Input, InputData, Model, Range};
pub use answer::{Answer, Classifications};

/// The method name of a classification signature.
pub const CLASSIFY_METHOD: &str = "tensorflow/serving/classify";
/// The method name of a regression signature.
pub const REGRESS_METHOD: &str = "tensorflow/serving/regress";

/// The one input of both methods.
const INPUTS: &str = "inputs";
/// The outputs of a classification.
const CLASSES: &str = "classes";
const SCORES: &str = "scores";
/// The output of a regression.
const OUTPUTS: &str = "outputs";

/// Serialized `tensorflow.Example`s.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Examples {
    /// Behind one another: example `i` is `bytes[offsets[i]..offsets[i + 1]]`.
    Bytes {
        /// One more than there are examples.
        offsets: Vec<u64>,
        /// All of them.
        bytes: Vec<u8>,
    },
    /// Each a part of the message that is being handled.
    InMessage(Vec<Range>),
}

/// What examples may need in memory when a context is put before each of them: half of what the
/// sandbox gives a request by default.
const MAX_BYTES: usize = 256 << 20;

impl Examples {
    /// No examples yet.
    #[must_use]
    pub fn new() -> Self {
        Self::Bytes {
            offsets: vec![0],
            bytes: Vec::new(),
        }
    }

    /// Makes examples that share a context: the context's bytes before each example's. Protobuf
    /// merges messages that stand behind one another, so that the example's features win.
    ///
    /// # Errors
    /// `RESOURCE_EXHAUSTED` when that needs more memory than there is.
    pub fn with_context<S: AsRef<[u8]>>(
        context: &[u8],
        examples: impl IntoIterator<Item = S>,
    ) -> Result<Self> {
        let mut offsets = vec![0];
        let mut bytes = Vec::new();
        for example in examples {
            let example = example.as_ref();
            if context.len() + example.len() > MAX_BYTES - bytes.len() {
                return Err(Error::resource_exhausted(format!(
                    "the examples need more than {MAX_BYTES} bytes with their context, which is \
                     repeated before each of them"
                )));
            }
            bytes.extend_from_slice(context);
            bytes.extend_from_slice(example);
            offsets.push(bytes.len() as u64);
        }
        Ok(Self::Bytes { offsets, bytes })
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Bytes { offsets, .. } => offsets.len().saturating_sub(1),
            Self::InMessage(ranges) => ranges.len(),
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn as_data(&self) -> InputData<'_> {
        match self {
            Self::Bytes { offsets, bytes } => InputData::Strings { offsets, bytes },
            Self::InMessage(ranges) => InputData::StringsInMessage(ranges),
        }
    }
}

impl Default for Examples {
    fn default() -> Self {
        Self::new()
    }
}

/// What is made of examples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Labels with scores.
    Classify,
    /// One number.
    Regress,
}

/// A signature that was found fit for a method.
#[derive(Debug)]
pub struct Plan<'a> {
    signature: &'a str,
    method: Method,
    outputs: Vec<&'static str>,
}

impl<'a> Plan<'a> {
    /// Finds the signature `name` and checks whether it fits `method`.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT`: there is none, or it does not fit.
    pub fn find(
        model: &impl Model,
        name: &'a str,
        method: Method,
        settings: Settings,
    ) -> Result<Self> {
        let (signature, _) = model.signature(name).ok_or_else(|| {
            Error::invalid_argument(format!("No signature was found with the name: {name}"))
        })?;
        Self::new(model, name, &signature, method, settings)
    }

    /// Checks whether the signature `name` fits `method`.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT`.
    pub fn new(
        model: &impl Model,
        name: &'a str,
        signature: &Signature,
        method: Method,
        settings: Settings,
    ) -> Result<Self> {
        let (kind, expected) = match method {
            Method::Classify => ("classification", CLASSIFY_METHOD),
            Method::Regress => ("regression", REGRESS_METHOD),
        };
        let invalid = |message| Err(Error::invalid_argument(message));
        if settings.check_method_names && signature.method_name != expected {
            return invalid(format!(
                "Expected {kind} signature method_name to be {expected}. Was: {}",
                signature.method_name
            ));
        }
        if signature.inputs.len() != 1 {
            return invalid("Expected one input Tensor.".to_owned());
        }
        let found = signature.outputs.len();
        match method {
            Method::Classify if found != 1 && found != 2 => {
                return invalid(format!("Expected one or two output Tensors, found {found}"));
            }
            Method::Regress if found != 1 => {
                return invalid("Expected one output Tensor.".to_owned());
            }
            Method::Classify | Method::Regress => {}
        }
        let shown = || text::signature_def(model, name);
        if !signature.inputs.contains_key(INPUTS) {
            return invalid(format!(
                "No {kind} inputs found in SignatureDef: {}",
                shown()
            ));
        }
        let wanted: &[&'static str] = match method {
            Method::Classify => &[CLASSES, SCORES],
            Method::Regress => &[OUTPUTS],
        };
        let outputs: Vec<_> = wanted
            .iter()
            .copied()
            .filter(|output| signature.outputs.contains_key(*output))
            .collect();
        if outputs.is_empty() {
            return invalid(match method {
                Method::Classify => format!(
                    "Expected classification signature outputs to contain at least one of \
                     \"{CLASSES}\" or \"{SCORES}\". Signature was: {}",
                    shown()
                ),
                Method::Regress => {
                    format!("No regression outputs found in SignatureDef: {}", shown())
                }
            });
        }
        Ok(Self {
            signature: name,
            method,
            outputs,
        })
    }
}

/// Runs all plans over the same examples, in one run. One answer per plan, in their order.
///
/// # Errors
/// `INVALID_ARGUMENT` when there are no examples or the model's outputs are not what the method
/// promises; whatever the host or TensorFlow says of the run.
pub fn infer(model: &impl Model, plans: &[Plan<'_>], examples: &Examples) -> Result<Vec<Answer>> {
    if examples.is_empty() {
        return Err(Error::invalid_argument("Input is empty."));
    }
    let shape = [examples.len() as i64];
    let inputs = [Input {
        name: INPUTS,
        dtype: DType::STRING,
        shape: &shape,
        data: examples.as_data(),
    }];
    let calls: Vec<_> = plans
        .iter()
        .map(|plan| Call {
            signature: plan.signature,
            inputs: &inputs,
            outputs: &plan.outputs,
        })
        .collect();
    // Every number is looked at here, so that none may stay with the host.
    let outputs = model.run(&calls, u64::MAX)?;
    if outputs.len() != plans.len() {
        return Err(Error::new(
            ErrorCode::Internal,
            format!("{} calls gave {} answers", plans.len(), outputs.len()),
        ));
    }
    plans
        .iter()
        .zip(outputs)
        .map(|(plan, outputs)| match plan.method {
            Method::Classify => answer::classifications(outputs, &plan.outputs, examples.len()),
            Method::Regress => answer::regressions(outputs, examples.len()),
        })
        .collect()
}

/// Classifies examples by the signature `name`.
///
/// # Errors
/// As [`Plan::find`] and [`infer`].
pub fn classify(
    model: &impl Model,
    name: &str,
    examples: &Examples,
    settings: Settings,
) -> Result<Classifications> {
    let plan = Plan::find(model, name, Method::Classify, settings)?;
    match infer(model, &[plan], examples)?.pop() {
        Some(Answer::Classes(classes)) => Ok(classes),
        other => Err(Error::internal(format!("classified into {other:?}"))),
    }
}

/// Gives each example a value by the signature `name`.
///
/// # Errors
/// As [`Plan::find`] and [`infer`].
pub fn regress(
    model: &impl Model,
    name: &str,
    examples: &Examples,
    settings: Settings,
) -> Result<Vec<f32>> {
    let plan = Plan::find(model, name, Method::Regress, settings)?;
    match infer(model, &[plan], examples)?.pop() {
        Some(Answer::Values(values)) => Ok(values),
        other => Err(Error::internal(format!("regressed to {other:?}"))),
    }
}

#[cfg(test)]
mod tests;
