//! `:predict`: JSON, or a body that a processor takes as it comes.

use std::rc::Rc;

use tensorgate_types::{
    DEFAULT_SIGNATURE, Error, ErrorCode, InputView, ModelSpec, Result, ShapeCheck, Signature,
    validate_inputs,
};

use super::log::{self, Asked};
use super::{Content, Outcome, Request};
use crate::grpc::check_method;
use crate::inference::{Input, Model, Reply};
use crate::request::{Format, SignatureSource, check_envelope, parse_predict};
use crate::response::write_outputs;
use crate::services::Services;

pub(super) fn predict(
    spec: &ModelSpec,
    request: &Request<'_>,
    services: &impl Services,
    outcome: &mut Outcome,
) -> Result<Content> {
    let body = request.body;
    // Opened before the body is read, because the signature tells what the numbers become; but a
    // bad body is the answer even where there is no such model.
    let model = match services.open(spec) {
        Ok(model) => model,
        Err(error) => {
            // Where nobody can say now what the processor takes, a body of another type may be good.
            if !is_out_of_reach(&error) || !says_other_than_json(request) {
                check_envelope(body)?;
            }
            return Err(error);
        }
    };
    let version = model.version();
    outcome.version = Some(version);
    if let Some(raw) = Raw::of(request, &model) {
        return raw.answer(&model, outcome);
    }
    let mut signatures = Cache {
        model: &model,
        found: Vec::new(),
    };
    let asked = parse_predict(body, &mut signatures)
        .map_err(|error| with_content_types(request, &model, error))?;
    let signature = signatures.signature(&asked.signature_name)?;
    check_method(&signature.0, services.settings())?;
    let inputs: Vec<Input<'_>> = asked.inputs.iter().map(|input| input.as_input()).collect();
    validate(&signature, &inputs)?;
    outcome.signature.clone_from(&asked.signature_name);
    outcome.rows = inputs.first().map_or(1, |input| {
        input.shape.first().map_or(1, |rows| rows.unsigned_abs())
    });
    let outputs = model.predict(&asked.signature_name, &inputs)?;
    let written = write_outputs(&outputs, asked.format)?;
    let version = model.answered_by();
    outcome.version = Some(version);
    let who = Asked {
        spec,
        version,
        signature: &asked.signature_name,
    };
    log::predict(services, who, &asked, outputs);
    Ok(Content::json(written))
}

/// Whether this is no word on the model, because who would say it was not reached.
fn is_out_of_reach(error: &Error) -> bool {
    matches!(
        error.code(),
        ErrorCode::Unavailable | ErrorCode::DeadlineExceeded
    )
}

/// Whether the headers say that the body is not JSON. `curl -d` says a form, and means nothing.
fn says_other_than_json(request: &Request<'_>) -> bool {
    request.header("content-type").is_some_and(|kind| {
        !["application/json", "application/x-www-form-urlencoded"]
            .iter()
            .any(|json| media_type_fits(json, kind))
    })
}

/// The error of a body that was read as JSON, before a model whose processor takes others: who
/// sent one of those has made a mistake elsewhere.
fn with_content_types(request: &Request<'_>, model: &impl Model, error: Error) -> Error {
    let kind = request.header("content-type").unwrap_or("none");
    if media_type_fits("application/json", kind) || model.covered().is_empty() {
        return error;
    }
    let signature = request.query("signature_name");
    let signature = signature.as_deref().unwrap_or(DEFAULT_SIGNATURE);
    let takes = match model.content_types(signature).as_slice() {
        [] => "only JSON".to_owned(),
        declared => format!("JSON, and bodies of {}", declared.join(", ")),
    };
    let [signature, kind] =
        [signature, kind].map(|text| -> String { text.chars().take(100).collect() });
    Error::new(
        error.code(),
        format!(
            "{}; the body was read as JSON, its content type being {kind}: the signature \
             {signature} takes {takes}",
            error.message()
        ),
    )
}

/// A body that goes to the model's processor as it came.
struct Raw<'a> {
    signature: String,
    content_type: &'a str,
    accept: Option<&'a str>,
}

impl<'a> Raw<'a> {
    /// If the processor has declared the body's content type. Every other body is JSON, whatever
    /// its headers say: `curl -d` calls it a form.
    fn of(request: &Request<'a>, model: &impl Model) -> Option<Self> {
        let content_type = request.header("content-type")?;
        let signature = match request.query("signature_name") {
            None => DEFAULT_SIGNATURE.to_owned(),
            Some(name) => name,
        };
        let declared = model.content_types(&signature);
        let is_declared = declared
            .iter()
            .any(|declared| media_type_fits(declared, content_type));
        is_declared.then_some(Self {
            signature,
            content_type,
            accept: request.header("accept"),
        })
    }

    fn answer(self, model: &impl Model, outcome: &mut Outcome) -> Result<Content> {
        outcome.signature.clone_from(&self.signature);
        outcome.rows = 1;
        let reply = model.run_body(&self.signature, self.content_type, self.accept, None)?;
        outcome.version = Some(model.answered_by());
        match reply {
            Reply::Body {
                content_type,
                bytes,
            } => Ok(Content {
                content_type,
                bytes,
            }),
            Reply::Tensors(outputs) => {
                let written = write_outputs(&outputs, Format::Columnar)?;
                Ok(Content::json(written))
            }
        }
    }
}

/// Whether a body's content type, with its parameters, is of a declared one.
fn media_type_fits(declared: &str, content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    match declared.strip_suffix('*') {
        Some(kind) => essence
            .get(..kind.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(kind)),
        None => essence.eq_ignore_ascii_case(declared),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_types_fit_without_their_parameters_and_in_any_case() {
        for (declared, content_type) in [
            ("image/jpeg", "image/jpeg"),
            ("image/jpeg", "Image/JPEG"),
            ("text/csv", "text/csv; charset=utf-8"),
            ("image/*", "image/png"),
            ("image/*", "IMAGE/webp;q=1"),
        ] {
            assert!(media_type_fits(declared, content_type), "{content_type}");
        }
        for (declared, content_type) in [
            ("image/jpeg", "image/jpeg2000"),
            ("image/*", "imagex/png"),
            ("image/*", "text/image/png"),
            ("text/csv", ""),
            ("text/csv", "application/json"),
        ] {
            assert!(!media_type_fits(declared, content_type), "{content_type}");
        }
    }
}
