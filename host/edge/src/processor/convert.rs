//! From what a processor returns to this house's types, checked; and the way in.

use tensorgate_types::{
    DType, Error, Result, Signature, StringData, Tensor, TensorData, element_count,
};

use super::pipeline::{Answer, Payload, Step};
use crate::contract::processor::{
    AnswerIn, BodyOut, ContextOut, OwnedData, OwnedNamedTensor, OwnedTensor, PayloadIn, PayloadOut,
    StepIn,
};
use crate::convert::{MAX_RANK, check_count, of_input};
use crate::lower::tensors_out;
use crate::stats::Counters;
use crate::{Call, NamedTensors};

/// Bytes of a content type: it becomes a header.
const MAX_CONTENT_TYPE: usize = 256;

pub(super) fn tensors_in(tensors: Vec<OwnedNamedTensor>, what: &str) -> Result<NamedTensors> {
    check_count(what, tensors.len())?;
    let mut checked: NamedTensors = Vec::with_capacity(tensors.len());
    for OwnedNamedTensor { name, tensor } in tensors {
        if checked.iter().any(|(known, _)| *known == name) {
            return Err(Error::invalid_argument(format!("{name} is there twice")));
        }
        let tensor = tensor_in(tensor).map_err(|error| of_input(&name, &error))?;
        checked.push((name, tensor));
    }
    Ok(checked)
}

fn tensor_in(tensor: OwnedTensor) -> Result<Tensor> {
    let OwnedTensor { dtype, shape, data } = tensor;
    let dtype = DType::from_number(dtype);
    if !dtype.is_servable() {
        return Err(Error::invalid_argument(format!(
            "a tensor cannot be of type {dtype}"
        )));
    }
    if shape.len() > MAX_RANK {
        return Err(Error::invalid_argument(format!(
            "a tensor has at most {MAX_RANK} dimensions, got {}",
            shape.len()
        )));
    }
    // Negative dimensions have words of their own.
    element_count(&shape)?;
    match data {
        OwnedData::Fixed(bytes) => Tensor::fixed(dtype, shape, bytes),
        OwnedData::Strings(_) if dtype.size().is_some() => Err(Error::invalid_argument(format!(
            "{dtype} tensor needs elements of a fixed size, got strings"
        ))),
        OwnedData::Strings(strings) => {
            Tensor::strings(shape, StringData::new(strings.offsets, strings.bytes)?)
        }
    }
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

/// Whether it can be a header's value.
fn check_content_type(content_type: &str) -> Result<()> {
    let visible = content_type.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    if visible && content_type.contains('/') && content_type.len() <= MAX_CONTENT_TYPE {
        return Ok(());
    }
    let shown: String = content_type.chars().take(64).collect();
    Err(Error::invalid_argument(format!(
        "{shown:?} is no content type; expected one like application/json, of at most \
         {MAX_CONTENT_TYPE} visible characters"
    )))
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
            check_count("outputs", call.outputs.len())?;
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

/// Bytes of elements.
pub(super) fn bytes_of(tensors: &NamedTensors) -> u64 {
    let of = |tensor: &Tensor| match tensor.data() {
        TensorData::Fixed(elements) => elements.len(),
        TensorData::Strings(strings) => strings.bytes().len(),
    };
    tensors.iter().map(|(_, tensor)| of(tensor) as u64).sum()
}

/// In the order of their names, as everybody gets them.
fn sorted(mut tensors: NamedTensors) -> NamedTensors {
    tensors.sort_by(|(one, _), (other, _)| one.cmp(other));
    tensors
}

/// What a client gets of a processor's tensors: the outputs that it wants, where it said so, of
/// those that the signature promises.
///
/// # Errors
/// When the tensors are not what the processor said that it would give.
pub(crate) fn outputs_of(
    tensors: NamedTensors,
    signature: &Signature,
    wanted: &[String],
) -> Result<NamedTensors> {
    for (name, tensor) in &tensors {
        let Some(info) = signature.outputs.get(name) else {
            return Err(Error::internal(format!(
                "it gave the output {name}, which it has not described"
            )));
        };
        if info.dtype != tensor.dtype() {
            return Err(Error::internal(format!(
                "it gave the output {name} as {}, and described it as {}",
                tensor.dtype(),
                info.dtype
            )));
        }
    }
    let is_there = |name: &String| tensors.iter().any(|(given, _)| given == name);
    let mut missing: Box<dyn Iterator<Item = &String>> = if wanted.is_empty() {
        Box::new(signature.outputs.keys())
    } else {
        Box::new(wanted.iter())
    };
    if let Some(name) = missing.find(|name| !is_there(name)) {
        return Err(Error::internal(format!(
            "it did not give the output {name}"
        )));
    }
    let is_wanted = |name: &String| wanted.is_empty() || wanted.contains(name);
    let kept = tensors.into_iter().filter(|(name, _)| is_wanted(name));
    Ok(sorted(kept.collect()))
}

pub(super) fn context_size(context: &ContextOut) -> usize {
    context.model.len() + context.signature_name.len()
}
