//! One run of a model as its clients see it: through its processor where that covers the
//! signature, and straight otherwise.

use tensorgate_types::processing::{Covered, bad_call, promised_outputs, unasked_body, uncovered};
use tensorgate_types::{Deadline, Error, Result};

use crate::inference::check_call;
use crate::processing::check_covered;
use crate::processor::{Context, Payload, Pipeline, Step};
use crate::state::HeldModel;
use crate::{Call, NamedTensors, OpenModel, Processor};

/// What is asked of a model.
pub(super) struct Ask {
    pub(super) signature: String,
    /// `predict` and so on: only a processor is told.
    pub(super) api: String,
    pub(super) accept: Option<String>,
    pub(super) outputs: Vec<String>,
    pub(super) payload: Payload,
}

pub(super) struct Reply {
    pub(super) payload: Payload,
    pub(super) version: i64,
}

impl Ask {
    pub(super) fn of(call: Call, api: &str) -> Self {
        Self {
            signature: call.signature,
            api: api.to_owned(),
            accept: None,
            outputs: call.outputs,
            payload: Payload::Tensors(call.inputs),
        }
    }
}

/// Whether a call fits the signature that clients see.
pub(super) fn check(held: &HeldModel, call: &Call) -> Result<()> {
    check_covered(held, call)
}

/// The content type of a body, for a signature whose processor takes such bodies.
pub(super) fn body(held: &HeldModel, signature: &str, content_type: String) -> Result<String> {
    let Some((_, covered)) = held.covered(signature) else {
        return Err(uncovered(signature));
    };
    if !takes(&covered.content_types, &content_type) {
        return Err(Error::invalid_argument(format!(
            "the signature {signature} takes no body of the type {content_type}; expected {}",
            covered.content_types.join(", ")
        )));
    }
    Ok(content_type)
}

/// Whether one of these types, `image/*` among them, is that of a body.
fn takes(types: &[String], content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    let essence = essence.to_ascii_lowercase();
    types.iter().any(|known| match known.strip_suffix('*') {
        Some(kind) => essence.len() > kind.len() && essence.starts_with(kind),
        None => *known == essence,
    })
}

/// Runs what has been checked.
pub(super) async fn run(held: &HeldModel, ask: Ask, deadline: Deadline) -> Result<Reply> {
    if let Some((processor, covered)) = held.covered(&ask.signature) {
        return through(held, processor, covered, ask, deadline).await;
    }
    let Payload::Tensors(inputs) = ask.payload else {
        return Err(Error::internal("a body without a processor"));
    };
    let call = Call {
        signature: ask.signature,
        inputs,
        outputs: ask.outputs,
    };
    Ok(Reply {
        payload: Payload::Tensors(run_once(held.model.as_ref(), call, deadline).await?),
        version: held.model.id().version,
    })
}

async fn run_once(model: &dyn OpenModel, call: Call, deadline: Deadline) -> Result<NamedTensors> {
    let mut lists = model.run(vec![call], deadline).await?;
    Ok(lists.pop().unwrap_or_default())
}

/// One request through its processor, and through the model in the middle.
async fn through(
    held: &HeldModel,
    processor: &Processor,
    covered: &Covered,
    ask: Ask,
    deadline: Deadline,
) -> Result<Reply> {
    let mut properties = vec![("api".to_owned(), ask.api)];
    properties.extend(ask.accept.map(|accept| ("accept".to_owned(), accept)));
    let of_tensors = matches!(ask.payload, Payload::Tensors(_));
    let context = Context {
        signature: ask.signature,
        outputs: ask.outputs.clone(),
        properties,
    };
    let mut pipeline = Pipeline::begin(processor.clone(), context, deadline).await?;
    let model = held.model.as_ref();
    let answer = match pipeline.preprocess(ask.payload).await? {
        Step::Answer(answer) => answer,
        Step::Run(call) => {
            // The client has no part in it: its request was good.
            check_call(model, &call).map_err(|error| pipeline.bad(bad_call(&error)))?;
            let outputs = run_once(model, call, deadline).await?;
            pipeline.postprocess(outputs).await?
        }
    };
    let payload = match answer.payload {
        Payload::Tensors(tensors) => {
            let outputs = promised_outputs(tensors, &covered.signature, &ask.outputs);
            Payload::Tensors(outputs.map_err(|error| processor.fault(error.message()))?)
        }
        Payload::Body { content_type, .. } if of_tensors => {
            return Err(processor.fault(unasked_body(&content_type).message()));
        }
        body @ Payload::Body { .. } => body,
    };
    Ok(Reply {
        payload,
        version: answer.version.unwrap_or(model.id().version),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_types_are_compared_without_parameters_and_case() {
        let types = ["image/*".to_owned(), "text/csv".to_owned()];
        for (content_type, expected) in [
            ("image/png", true),
            ("Image/JPEG; q=1", true),
            ("image/", false),
            ("text/csv;charset=utf-8", true),
            ("text/html", false),
            ("", false),
        ] {
            assert_eq!(takes(&types, content_type), expected, "{content_type}");
        }
    }
}
