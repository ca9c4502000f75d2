//! `:predict`.

use std::rc::Rc;

use tensorgate_types::{
    Error, InputView, ModelSpec, Result, ShapeCheck, Signature, validate_inputs,
};

use super::Outcome;
use super::log::{self, Asked};
use crate::grpc::check_method;
use crate::inference::{Input, Model};
use crate::request::{SignatureSource, check_envelope, parse_predict};
use crate::response::write_outputs;
use crate::services::Services;

pub(super) fn predict(
    spec: &ModelSpec,
    body: &[u8],
    services: &impl Services,
    outcome: &mut Outcome,
) -> Result<Vec<u8>> {
    // Opened before the body is read, because the signature tells what the numbers become; but a
    // bad body is the answer even where there is no such model.
    let model = match services.open(spec) {
        Ok(model) => model,
        Err(error) => {
            check_envelope(body)?;
            return Err(error);
        }
    };
    let version = model.version();
    outcome.version = Some(version);
    let mut signatures = Cache {
        model: &model,
        found: Vec::new(),
    };
    let request = parse_predict(body, &mut signatures)?;
    let signature = signatures.signature(&request.signature_name)?;
    check_method(&signature.0, services.settings())?;
    let inputs: Vec<Input<'_>> = request
        .inputs
        .iter()
        .map(|input| input.as_input())
        .collect();
    validate(&signature, &inputs)?;
    outcome.signature.clone_from(&request.signature_name);
    outcome.rows = inputs.first().map_or(1, |input| {
        input.shape.first().map_or(1, |rows| rows.unsigned_abs())
    });
    let outputs = model.predict(&request.signature_name, &inputs)?;
    let written = write_outputs(&outputs, request.format)?;
    let asked = Asked {
        spec,
        version,
        signature: &request.signature_name,
    };
    log::predict(services, asked, &request, outputs);
    Ok(written)
}

fn validate(signature: &(Signature, ShapeCheck), inputs: &[Input<'_>]) -> Result<()> {
    let views: Vec<InputView<'_>> = inputs
        .iter()
        .map(|input| InputView {
            name: input.name,
            dtype: input.dtype,
            shape: input.shape,
        })
        .collect();
    validate_inputs(&signature.0, &views, signature.1)
}

/// Asks the model for each signature once: every question crosses the sandbox's wall.
struct Cache<'a, M> {
    model: &'a M,
    found: Vec<(String, Rc<(Signature, ShapeCheck)>)>,
}

impl<M: Model> SignatureSource for Cache<'_, M> {
    fn signature(&mut self, name: &str) -> Result<Rc<(Signature, ShapeCheck)>> {
        if let Some((_, signature)) = self.found.iter().find(|(known, _)| known == name) {
            return Ok(Rc::clone(signature));
        }
        let signature = self.model.signature(name).map(Rc::new).ok_or_else(|| {
            Error::invalid_argument(format!(
                "Serving signature name: \"{name}\" not found in signature def"
            ))
        })?;
        self.found.push((name.to_owned(), Rc::clone(&signature)));
        Ok(signature)
    }
}
