//! `Classify`, `Regress` and `MultiInference`: examples in, classes and values out.

use std::collections::BTreeSet;

use tensorgate_types::{Error, LogKind, Result};

use super::requests::{ExampleRequest, MultiRequest};
use super::source::Source;
use super::write::{Answer as Writer, put_bytes, put_float, put_spec};
use super::{missing_spec, open, write_down};
use crate::examples::{Answer, CLASSIFY_METHOD, Method, Plan, REGRESS_METHOD, infer};
use crate::inference::Model;
use crate::outcome::Outcome;
use crate::services::{Chunk, Message, Services};

/// `Classify` or `Regress`.
pub(super) fn one(
    method: Method,
    message: &impl Message,
    services: &impl Services,
    outcome: &mut Outcome,
) -> Result<Vec<Chunk>> {
    let (type_name, kind) = match method {
        Method::Classify => (
            "tensorflow.serving.ClassificationRequest",
            LogKind::Classify,
        ),
        Method::Regress => ("tensorflow.serving.RegressionRequest", LogKind::Regress),
    };
    let mut source = Source::new(message);
    let request =
        ExampleRequest::decode(&mut source).map_err(|fault| fault.into_error(type_name))?;
    let spec = request.spec.ok_or_else(missing_spec)?;
    let model = open(services, &spec.model(), outcome)?;
    let name = spec.signature();
    let plan = Plan::find(&model, name, method, services.settings())?;
    name.clone_into(&mut outcome.signature);
    let examples = request.input.into_examples(&mut source)?;
    outcome.rows = examples.len() as u64;
    model.called_as(match method {
        Method::Classify => "classify",
        Method::Regress => "regress",
    });
    let result = infer(&model, &[plan], &examples)?
        .pop()
        .ok_or_else(|| Error::internal("one plan gave no answer"))?;
    let version = model.answered_by();
    outcome.version = Some(version);

    let mut answer = Writer::default();
    put_bytes(answer.bytes(), 1, &encode(&result));
    put_spec(answer.bytes(), 2, &spec.name, version, name);
    let answer = answer.finish();
    write_down(
        services,
        message,
        kind,
        (&spec.name, version, name),
        &answer,
    );
    Ok(answer)
}

/// `MultiInference`.
pub(super) fn several(
    message: &impl Message,
    services: &impl Services,
    outcome: &mut Outcome,
) -> Result<Vec<Chunk>> {
    let mut source = Source::new(message);
    let request =
        MultiRequest::decode(&mut source).map_err(|fault| fault.into_error(MultiRequest::NAME))?;
    let first = request.tasks.first().map(|task| &task.spec);
    let spec = first.cloned().unwrap_or_default();
    let model = open(services, &spec.model(), outcome)?;
    let settings = services.settings();
    let mut seen = BTreeSet::new();
    let mut plans = Vec::with_capacity(request.tasks.len());
    for task in &request.tasks {
        let invalid = |message: String| Err(Error::invalid_argument(message));
        if task.spec.name.is_empty() {
            return invalid("Found ModelSpec with an empty model name.".to_owned());
        }
        if task.spec.name != spec.name {
            return invalid(
                "All ModelSpecs in a MultiInferenceRequest must access the same model name."
                    .to_owned(),
            );
        }
        let name = task.spec.signature();
        if !seen.insert(name) {
            return invalid(format!("Duplicate evaluation of signature: {name}"));
        }
        let Some((signature, _)) = model.signature(name) else {
            return invalid(format!(
                "Requested signature not found in model graph: {name}"
            ));
        };
        let method = match &*task.method_name {
            CLASSIFY_METHOD => Method::Classify,
            REGRESS_METHOD => Method::Regress,
            other => {
                return Err(Error::unimplemented(format!(
                    "Unsupported signature method_name: {other}"
                )));
            }
        };
        plans.push(Plan::new(&model, name, &signature, method, settings)?);
    }
    spec.signature().clone_into(&mut outcome.signature);
    let examples = request.input.into_examples(&mut source)?;
    outcome.rows = examples.len() as u64;
    model.called_as("multi-inference");
    let results = infer(&model, &plans, &examples)?;
    let version = model.answered_by();
    outcome.version = Some(version);

    let mut answer = Writer::default();
    for (task, result) in request.tasks.iter().zip(&results) {
        let mut bytes = Vec::new();
        put_spec(&mut bytes, 1, &spec.name, version, task.spec.signature());
        let field = match result {
            Answer::Classes(_) => 2,
            Answer::Values(_) => 3,
        };
        put_bytes(&mut bytes, field, &encode(result));
        put_bytes(answer.bytes(), 1, &bytes);
    }
    let answer = answer.finish();
    write_down(
        services,
        message,
        LogKind::MultiInference,
        (&spec.name, version, ""),
        &answer,
    );
    Ok(answer)
}

/// A `ClassificationResult` or a `RegressionResult`.
pub(crate) fn encode(answer: &Answer) -> Vec<u8> {
    let mut out = Vec::new();
    match answer {
        Answer::Classes(rows) => {
            for classes in rows.iter() {
                let mut row = Vec::new();
                for (label, score) in classes {
                    let mut class = Vec::new();
                    // A label that is not UTF-8 goes out as it is, as it does in the original:
                    // what a client makes of it is the client's affair.
                    if !label.is_empty() {
                        put_bytes(&mut class, 1, label);
                    }
                    put_float(&mut class, 2, score);
                    put_bytes(&mut row, 1, &class);
                }
                put_bytes(&mut out, 1, &row);
            }
        }
        Answer::Values(values) => {
            for value in values {
                let mut regression = Vec::new();
                put_float(&mut regression, 1, *value);
                put_bytes(&mut out, 1, &regression);
            }
        }
    }
    out
}
