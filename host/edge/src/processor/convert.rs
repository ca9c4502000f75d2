//! From what a processor returns to this house's types, checked; and the way in.

use tensorgate_types::Result;
use tensorgate_types::processing::{
    Description, GivenData, GivenTensor, NamedInfo, check_content_type, check_tensor_count,
    given_tensors,
};

use super::pipeline::{Answer, Payload, Step};
use crate::contract::processor::{
    AnswerIn, BodyOut, ContextOut, DescriptionIn, OwnedData, OwnedNamedTensor, PayloadIn,
    PayloadOut, StepIn, TensorInfoIn,
};
use crate::lower::tensors_out;
use crate::stats::Counters;
use crate::{Call, NamedTensors};

/// What `describe` gave.
pub(super) fn description_in(description: DescriptionIn) -> Description {
    let infos = |infos: Vec<TensorInfoIn>| infos.into_iter().map(info_in).collect();
    Description {
        signature_name: description.signature_name,
        content_types: description.content_types,
        inputs: description.inputs.map(infos),
        outputs: description.outputs.map(infos),
    }
}

fn info_in(info: TensorInfoIn) -> NamedInfo {
    NamedInfo {
        name: info.name,
        dtype: info.dtype,
        shape: info.shape,
        optional: info.optional,
    }
}

pub(super) fn tensors_in(tensors: Vec<OwnedNamedTensor>, what: &str) -> Result<NamedTensors> {
    let tensors = tensors
        .into_iter()
        .map(|OwnedNamedTensor { name, tensor }| {
            let data = match tensor.data {
                OwnedData::Fixed(bytes) => GivenData::Fixed(bytes),
                OwnedData::Strings(strings) => GivenData::Strings {
                    offsets: strings.offsets,
                    bytes: strings.bytes,
                },
            };
            let given = GivenTensor {
                dtype: tensor.dtype,
                shape: tensor.shape,
                data,
            };
            (name, given)
        });
    given_tensors(tensors, what)
}

fn payload_in(payload: PayloadIn) -> Result<Payload> {
    Ok(match payload {
        PayloadIn::Tensors(tensors) => Payload::Tensors(tensors_in(tensors, "outputs")?),
        PayloadIn::Body(body) => {
            check_content_type(&body.content_type)?;
            Payload::Body {
                content_type: body.content_type,
                bytes: body.bytes,
            }
        }
    })
}

pub(super) fn answer_in(answer: AnswerIn) -> Result<Answer> {
    Ok(Answer {
        payload: payload_in(answer.payload)?,
        version: answer.version,
    })
}

pub(super) fn step_in(step: StepIn) -> Result<Step> {
    Ok(match step {
        StepIn::Answer(answer) => Step::Answer(answer_in(answer)?),
        StepIn::Run(call) => {
            check_tensor_count("outputs", call.outputs.len())?;
            Step::Run(Call {
                signature: call.signature_name,
                inputs: tensors_in(call.inputs, "inputs")?,
                outputs: call.outputs,
            })
        }
    })
}

pub(super) fn payload_out(payload: Payload, counters: &Counters) -> PayloadOut {
    match payload {
        Payload::Tensors(tensors) => PayloadOut::Tensors(tensors_out(tensors, counters)),
        Payload::Body {
            content_type,
            bytes,
        } => {
            counters.bytes_to_guests.add(bytes.len() as u64);
            PayloadOut::Body(BodyOut {
                content_type,
                bytes,
            })
        }
    }
}

pub(super) fn context_size(context: &ContextOut) -> usize {
    context.model.len() + context.signature_name.len()
}
