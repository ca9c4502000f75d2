//! `Predict`: tensors in, tensors out.

use prost::Message as _;
use tensorgate_proto::tensorflow::SignatureDef;
use tensorgate_proto::tensorflow::tensor_info::Encoding;
use tensorgate_types::{
    Error, InputView, LogKind, PREDICT_METHOD, Result, Settings, ShapeCheck, Signature,
    validate_inputs, validate_names,
};

use super::requests::PredictRequest;
use super::source::Source;
use super::write::{Answer, HOLD_FROM, is_raw, put_spec};
use super::{missing_spec, open, write_down};
use crate::examples::{CLASSIFY_METHOD, REGRESS_METHOD};
use crate::inference::{Call, Model};
use crate::outcome::Outcome;
use crate::services::{Chunk, Message, Services};

pub(super) fn predict(
    message: &impl Message,
    services: &impl Services,
    outcome: &mut Outcome,
) -> Result<Vec<Chunk>> {
    let mut source = Source::new(message);
    let request = PredictRequest::decode(&mut source)
        .map_err(|fault| fault.into_error(PredictRequest::NAME))?;
    let spec = request.spec.as_ref().ok_or_else(missing_spec)?;
    let model = open(services, &spec.model(), outcome)?;
    let name = spec.signature();
    let (signature, shapes) = model.signature(name).ok_or_else(|| {
        Error::failed_precondition(format!("Serving signature key \"{name}\" not found."))
    })?;
    name.clone_into(&mut outcome.signature);
    let settings = services.settings();
    check_method(&signature, settings)?;
    check_inputs(&model, name, &signature, &request, shapes)?;

    let mut tensors = Vec::with_capacity(request.inputs.len());
    for (alias, tensor) in request.inputs {
        let tensor = tensor.map_err(|bad| bad.into_error(&alias))?;
        tensors.push((alias, tensor));
    }
    check_filter(&signature, &request.output_filter)?;
    let inputs: Vec<_> = tensors
        .iter()
        .map(|(alias, tensor)| tensor.as_input(alias))
        .collect();
    outcome.rows = inputs.first().map_or(1, |input| {
        input.shape.first().map_or(1, |rows| rows.unsigned_abs())
    });
    let outputs: Vec<&str> = request.output_filter.iter().map(String::as_str).collect();
    let call = Call {
        signature: name,
        inputs: &inputs,
        outputs: &outputs,
    };
    let hold_from = hold_from(&signature, &outputs, settings);
    let outputs = model
        .run(&[call], hold_from)?
        .pop()
        .ok_or_else(|| Error::internal("Predict internal error"))?;
    let version = model.answered_by();
    outcome.version = Some(version);

    let mut answer = Answer::default();
    for output in outputs {
        answer.tensor_entry(1, output, settings.tensor_content)?;
    }
    put_spec(answer.bytes(), 2, &spec.name, version, name);
    let answer = answer.finish();
    write_down(
        services,
        message,
        LogKind::Predict,
        (&spec.name, version, name),
        &answer,
    );
    Ok(answer)
}

pub(crate) fn check_method(signature: &Signature, settings: Settings) -> Result<()> {
    let known = [PREDICT_METHOD, CLASSIFY_METHOD, REGRESS_METHOD];
    if !settings.check_method_names || known.contains(&&*signature.method_name) {
        return Ok(());
    }
    Err(Error::internal(format!(
        "Expected prediction signature method_name to be one of {{{}}}. Was: {}",
        known.join(", "),
        signature.method_name
    )))
}

fn check_inputs(
    model: &impl Model,
    name: &str,
    signature: &Signature,
    request: &PredictRequest,
    shapes: ShapeCheck,
) -> Result<()> {
    let views: Vec<InputView<'_>> = request
        .inputs
        .iter()
        .map(|(alias, tensor)| match tensor {
            Ok(tensor) => (alias, tensor.dtype, &*tensor.shape),
            // Refused next, in words of its own.
            Err(_) => (alias, tensorgate_types::DType::INVALID, &[][..]),
        })
        .map(|(name, dtype, shape)| InputView { name, dtype, shape })
        .collect();
    // Names first: what a tensor must be is asked only of those that can be read.
    let names = validate_names(signature, &views);
    if names.is_err() {
        // The words tell the names in the graph, which are looked for only now.
        let named = with_graph_names(model, name, signature);
        return validate_names(&named, &views).and(names);
    }
    if request.inputs.values().all(std::result::Result::is_ok) {
        validate_inputs(signature, &views, shapes)
    } else {
        Ok(())
    }
}

fn with_graph_names(model: &impl Model, name: &str, signature: &Signature) -> Signature {
    let mut named = signature.clone();
    let def = model
        .signature_defs()
        .into_iter()
        .find(|(known, _)| known == name)
        .and_then(|(_, bytes)| SignatureDef::decode(&*bytes).ok())
        .unwrap_or_default();
    for (alias, info) in def.inputs {
        if let (Some(known), Some(Encoding::Name(name))) =
            (named.inputs.get_mut(&alias), info.encoding)
        {
            known.tensor_name = name;
        }
    }
    named
}

fn check_filter(signature: &Signature, filter: &[String]) -> Result<()> {
    let mut seen = std::collections::BTreeSet::new();
    for alias in filter {
        if !signature.outputs.contains_key(alias) {
            let known: Vec<_> = signature.outputs.keys().map(String::as_str).collect();
            return Err(Error::invalid_argument(format!(
                "output tensor alias not found in signature: {alias} Outputs expected to be in \
                 the set {{{}}}.",
                known.join(",")
            )));
        }
        if !seen.insert(alias) {
            return Err(Error::invalid_argument(format!(
                "duplicate output tensor alias: {alias}"
            )));
        }
    }
    Ok(())
}

/// Outputs may stay with the host only if none of them has to be encoded here. Strings never do.
fn hold_from(signature: &Signature, wanted: &[&str], settings: Settings) -> u64 {
    let as_it_is = signature
        .outputs
        .iter()
        .filter(|(alias, _)| wanted.is_empty() || wanted.contains(&alias.as_str()))
        .all(|(_, info)| is_raw(info.dtype) || info.dtype == tensorgate_types::DType::STRING);
    if settings.tensor_content || as_it_is {
        HOLD_FROM
    } else {
        u64::MAX
    }
}
