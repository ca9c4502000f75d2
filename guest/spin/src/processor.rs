//! The processor at the edge: the logic's trait over `processor`.

use tensorgate_logic::edge::{
    Answer, Context, Given, Payload, Processor, Step, Subject, TensorView,
};
use tensorgate_types::Result;
use tensorgate_types::processing::Description;

use crate::bindings::tensorgate::serving::processor as wit;
use crate::convert;

/// Whoever is on the other side of the import.
pub(crate) struct Beside;

impl Processor for Beside {
    fn describe(&self, subject: &Subject<'_>) -> Result<Vec<Description>> {
        let infos: Vec<convert::Infos<'_>> = subject
            .signatures
            .values()
            .map(convert::Infos::new)
            .collect();
        let names = subject.signatures.keys().zip(&infos);
        let signatures: Vec<wit::NamedSignatureParam<'_>> = names
            .map(|(name, infos)| wit::NamedSignatureParam {
                name,
                signature: infos.lent(),
            })
            .collect();
        let described = wit::describe(wit::SubjectParam {
            model: subject.model,
            version: subject.version,
            signatures: &signatures,
            properties: &[],
        });
        let described = described.map_err(convert::error)?;
        Ok(described.into_iter().map(description).collect())
    }

    fn preprocess(&self, context: &Context<'_>, request: Payload<'_>) -> Result<Step> {
        let tensors = match request {
            Payload::Tensors(tensors) => convert::lent(tensors),
            Payload::Body { .. } => Vec::new(),
        };
        let request = match request {
            Payload::Tensors(_) => wit::PayloadParam::Tensors(&tensors),
            Payload::Body {
                content_type,
                bytes,
            } => wit::PayloadParam::Body(wit::BodyParam {
                content_type,
                bytes,
            }),
        };
        let step = wit::preprocess(lent(context), request);
        Ok(match step.map_err(convert::error)? {
            wit::Step::Answer(given) => Step::Answer(answer(given)),
            wit::Step::Run(call) => Step::Run {
                signature: call.signature_name,
                inputs: convert::given(call.inputs),
                outputs: call.outputs,
            },
        })
    }

    fn postprocess(&self, context: &Context<'_>, outputs: &[TensorView<'_>]) -> Result<Answer> {
        let outputs = convert::lent(outputs);
        let given = wit::postprocess(lent(context), &outputs);
        given.map(answer).map_err(convert::error)
    }
}

fn description(description: wit::Description) -> Description {
    let infos = |infos: Vec<_>| infos.into_iter().map(convert::described_info).collect();
    Description {
        signature_name: description.signature_name,
        content_types: description.content_types,
        inputs: description.inputs.map(infos),
        outputs: description.outputs.map(infos),
    }
}

fn lent<'a>(context: &'a Context<'a>) -> wit::ContextParam<'a> {
    wit::ContextParam {
        model: context.model,
        version: context.version,
        signature_name: context.signature,
        outputs: context.outputs,
        properties: context.properties,
    }
}

fn answer(answer: wit::Answer) -> Answer {
    Answer {
        payload: match answer.payload {
            wit::PayloadResult::Tensors(tensors) => Given::Tensors(convert::given(tensors)),
            wit::PayloadResult::Body(body) => Given::Body {
                content_type: body.content_type,
                bytes: body.bytes,
            },
        },
        version: answer.version,
    }
}
