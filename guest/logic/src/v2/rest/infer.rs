//! `POST .../infer`.

use tensorgate_types::{DType, Error, ModelSpec, Result, Signature, element_count};

use super::answer::{self, HEADER_LENGTH, Head};
use super::request::InferRequest;
use crate::exchange::{ChunkedResponse, HttpRequest};
use crate::grpc::source::Source;
use crate::grpc::write::HOLD_FROM;
use crate::inference::Range;
use crate::outcome::Outcome;
use crate::services::{Message, Services};
use crate::v2::infer::{Run, signature, signature_name};
use crate::v2::log::{Asked, write_down};
use crate::v2::raw::{Data, Tensor, in_message};
use crate::v2::{datatype, open};

pub(super) fn infer(
    spec: &ModelSpec,
    request: &HttpRequest<'_>,
    message: &impl Message,
    services: &impl Services,
    outcome: &mut Outcome,
) -> Result<ChunkedResponse> {
    let model = open(services, spec, outcome)?;
    let mut source = Source::new(message);
    let header = header_length(request, source.length())?;
    let json = source.copy(Range {
        offset: 0,
        length: header.unwrap_or(source.length()),
    })?;
    // A header of no bytes is Triton's way to say that the body is the only input itself.
    let is_raw = header == Some(0);
    let mut asked = if is_raw {
        InferRequest::without_json(super::query(request, crate::v2::SIGNATURE_NAME))
    } else {
        InferRequest::parse(&json)?
    };
    let name = signature_name(asked.signature.as_deref()).to_owned();
    let (signature, shapes) = signature(&model, &name)?;
    let tensors = if is_raw {
        vec![raw_input(&signature, &mut source)?]
    } else {
        asked.tensors(json.len() as u64, &mut source)?
    };
    let wanted: Vec<&str> = asked.outputs.iter().map(|wanted| &*wanted.name).collect();
    let run = Run {
        signature_name: &name,
        signature: &signature,
        shapes,
        tensors: &tensors,
        outputs: &wanted,
    };
    let is_binary = |name: &str| {
        let mut wanted = asked.outputs.iter();
        let wanted = wanted.find(|wanted| wanted.name == name);
        wanted
            .and_then(|wanted| wanted.binary)
            .unwrap_or(asked.binary_outputs)
    };
    // What is to become JSON must come in; strings always do.
    let all_binary = signature
        .outputs
        .iter()
        .filter(|(name, _)| wanted.is_empty() || wanted.contains(&name.as_str()))
        .all(|(name, info)| is_binary(name) || info.dtype == DType::STRING);
    let hold_from = if all_binary { HOLD_FROM } else { u64::MAX };
    let outputs = run.of(&model, hold_from, services, outcome)?;
    let version = outcome.version.unwrap_or_default();
    let who = Asked {
        spec,
        version,
        signature: &name,
    };
    write_down(services, who, (&tensors, &mut source), &outputs);
    let head = Head {
        id: asked.id,
        model: &spec.name,
        version,
    };
    answer::write(&head, outputs, is_binary)
}

/// How long the JSON is; none where it is all of the body.
fn header_length(request: &HttpRequest<'_>, length: u64) -> Result<Option<u64>> {
    let Some(text) = request.header(HEADER_LENGTH) else {
        return Ok(None);
    };
    let header: u64 = text.trim().parse().map_err(|_| {
        let text: String = text.chars().take(40).collect();
        Error::invalid_argument(format!(
            "the header Inference-Header-Content-Length is '{text}': expected a number of bytes"
        ))
    })?;
    if header > length {
        return Err(Error::invalid_argument(format!(
            "the header Inference-Header-Content-Length says that the JSON has {header} bytes, and \
             the body has {length}"
        )));
    }
    Ok(Some(header))
}

/// The body as the only input of a signature. One dimension may be left open: what the body has
/// decides. Of BYTES it is one element, as it comes.
fn raw_input(signature: &Signature, source: &mut Source<'_, impl Message>) -> Result<Tensor> {
    let invalid = |why: String| Error::invalid_argument(format!("a body without JSON: {why}"));
    let mut required = signature.inputs.iter().filter(|(_, info)| !info.optional);
    let (Some((name, info)), None) = (required.next(), required.next()) else {
        return Err(invalid(
            "the signature has another number of inputs than one".to_owned(),
        ));
    };
    let range = Range {
        offset: 0,
        length: source.length(),
    };
    let tensor = |shape, data| Tensor {
        name: name.clone(),
        dtype: info.dtype,
        shape,
        data,
    };
    let Some(size) = info.dtype.size() else {
        let shape = info.shape.as_ref().map_or(1, Vec::len);
        return Ok(tensor(vec![1; shape], Data::Strings(vec![range])));
    };
    let mut shape = info.shape.clone().unwrap_or_else(|| vec![-1]);
    let open: Vec<_> = shape.iter_mut().filter(|dim| **dim < 0).collect();
    match open.len() {
        0 => {}
        1 => {
            let mut known = shape.clone();
            known.retain(|dim| *dim >= 0);
            let row = element_count(&known)?.checked_mul(size).unwrap_or(0) as u64;
            if row == 0 || !range.length.is_multiple_of(row) {
                return Err(invalid(format!(
                    "its {} bytes are no multiple of the {row} bytes that shape {shape:?} and \
                     datatype {} take",
                    range.length,
                    datatype::shown(info.dtype)
                )));
            }
            let rows = (range.length / row).cast_signed();
            for dim in &mut shape {
                if *dim < 0 {
                    *dim = rows;
                }
            }
        }
        open => {
            return Err(invalid(format!(
                "{open} dimensions of shape {shape:?} are not known: expected one at most"
            )));
        }
    }
    let data = in_message((name, info.dtype, &shape), range, source)?;
    Ok(tensor(shape, data))
}
