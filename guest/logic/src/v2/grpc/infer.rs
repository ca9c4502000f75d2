//! `ModelInfer`: tensors in, tensors out, raw as Triton answers.

use tensorgate_types::{ModelSpec, Result};

use super::request::InferRequest;
use crate::grpc::source::Source;
use crate::grpc::write::{Answer, HOLD_FROM, put_bytes, put_length, put_text, put_varint};
use crate::inference::Output;
use crate::outcome::Outcome;
use crate::services::{Chunk, Message, Services};
use crate::v2::infer::{Run, signature, signature_name};
use crate::v2::log::{Asked, write_down};
use crate::v2::{datatype, open, raw, version_choice};

pub(super) fn infer(
    message: &impl Message,
    services: &impl Services,
    outcome: &mut Outcome,
) -> Result<Vec<Chunk>> {
    let mut source = Source::new(message);
    let mut request =
        InferRequest::decode(&mut source).map_err(|fault| fault.into_error(InferRequest::NAME))?;
    outcome.model.clone_from(&request.model);
    let spec = ModelSpec {
        name: request.model.clone(),
        version: version_choice(&request.version)?,
    };
    let model = open(services, &spec, outcome)?;
    let name = signature_name(request.signature.as_deref()).to_owned();
    let (signature, shapes) = signature(&model, &name)?;
    let tensors = request
        .tensors(&mut source)
        .map_err(|fault| fault.into_error(InferRequest::NAME))??;
    let wanted: Vec<&str> = request.outputs.iter().map(String::as_str).collect();
    let run = Run {
        signature_name: &name,
        signature: &signature,
        shapes,
        tensors: &tensors,
        outputs: &wanted,
    };
    let outputs = run.of(&model, HOLD_FROM, services, outcome)?;
    let version = outcome.version.unwrap_or_default();
    let asked = Asked {
        spec: &spec,
        version,
        signature: &name,
    };
    write_down(services, asked, (&tensors, &mut source), &outputs);

    let mut answer = Answer::default();
    let head = answer.bytes();
    put_text(head, 1, &spec.name);
    put_text(head, 2, &version.to_string());
    put_text(head, 3, &request.id);
    for output in &outputs {
        put_bytes(head, 5, &described(output)?);
    }
    for mut output in outputs {
        let body = raw::of_output(&mut output)?;
        put_length(answer.bytes(), 6, body.length());
        answer.push(body);
    }
    Ok(answer.finish())
}

/// An `InferOutputTensor`, whose elements come elsewhere.
fn described(output: &Output) -> Result<Vec<u8>> {
    let datatype = datatype::name(output.dtype).ok_or_else(|| raw::unfit(output))?;
    let mut tensor = Vec::new();
    put_text(&mut tensor, 1, &output.name);
    put_text(&mut tensor, 2, datatype);
    let mut dims = Vec::new();
    for dim in &output.shape {
        put_varint(&mut dims, dim.cast_unsigned());
    }
    if !dims.is_empty() {
        put_bytes(&mut tensor, 3, &dims);
    }
    Ok(tensor)
}
