//! Requests and answers written down as the messages that a gRPC client would have sent and got,
//! so that one log holds both, and a model can be warmed up with either.
//!
//! **Invariant:** nothing here is done for a request that is not sampled, and nothing here makes
//! one fail.

use tensorgate_types::{LogKind, ModelSpec, Result, StringData, VersionChoice};

use crate::examples::{self, Method};
use crate::grpc::encode_answer;
use crate::grpc::write::{Answer as Writer, put_bytes, put_number, put_spec, put_text};
use crate::inference::{InputData, Output, OutputData};
use crate::request::{ExamplesRequest, PredictRequest, Tensor};
use crate::services::{Chunk, LogEntry, Services};

/// Who was asked, and who answered.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) spec: &'a ModelSpec,
    pub(super) version: i64,
    /// The signature that was run.
    pub(super) signature: &'a str,
}

impl Asked<'_> {
    fn entry(&self, kind: LogKind, request: Vec<Chunk>, response: Vec<Chunk>) -> LogEntry {
        LogEntry {
            kind,
            model: self.spec.name.clone(),
            version: self.version,
            signature_name: self.signature.to_owned(),
            request,
            response,
        }
    }

    /// The `ModelSpec` of the request, in field 1.
    fn put_request_spec(&self, out: &mut Vec<u8>) {
        let mut spec = Vec::new();
        put_text(&mut spec, 1, &self.spec.name);
        if let VersionChoice::Specific(version) = self.spec.version {
            let mut wrapper = Vec::new();
            put_number(&mut wrapper, 1, version.cast_unsigned());
            put_bytes(&mut spec, 2, &wrapper);
        }
        put_text(&mut spec, 3, self.signature);
        if let VersionChoice::Label(label) = &self.spec.version {
            put_bytes(&mut spec, 4, label.as_bytes());
        }
        put_bytes(out, 1, &spec);
    }

    /// The `ModelSpec` of the answer, in field 2.
    fn put_answer_spec(&self, out: &mut Vec<u8>) {
        put_spec(out, 2, &self.spec.name, self.version, self.signature);
    }
}

/// Writes a predict request and its outputs down, if the lot falls on it.
pub(super) fn predict(
    services: &impl Services,
    asked: Asked<'_>,
    request: &PredictRequest,
    outputs: Vec<Output>,
) {
    if !services.log_sampled(&asked.spec.name) {
        return;
    }
    // What was sent and answered can be encoded; if not, there is nobody to tell.
    if let Ok(entry) = predict_entry(services, asked, request, outputs) {
        services.log(entry);
    }
}

fn predict_entry(
    services: &impl Services,
    asked: Asked<'_>,
    request: &PredictRequest,
    outputs: Vec<Output>,
) -> Result<LogEntry> {
    let as_content = services.settings().tensor_content;
    let mut asking = Writer::default();
    asked.put_request_spec(asking.bytes());
    for input in &request.inputs {
        asking.tensor_entry(2, owned(input)?, as_content)?;
    }
    let mut answer = Writer::default();
    for output in outputs {
        answer.tensor_entry(1, output, as_content)?;
    }
    asked.put_answer_spec(answer.bytes());
    Ok(asked.entry(LogKind::Predict, asking.finish(), answer.finish()))
}

/// An input as an output, which is what can be encoded.
fn owned(input: &Tensor) -> Result<Output> {
    Ok(Output {
        name: input.name.clone(),
        dtype: input.dtype,
        shape: input.shape.clone(),
        data: match input.values.as_data() {
            InputData::Strings { offsets, bytes } => {
                OutputData::Strings(StringData::new(offsets.to_vec(), bytes.to_vec().into())?)
            }
            InputData::Fixed(bytes) => OutputData::Fixed(bytes.to_vec()),
            // JSON has no message that a tensor could lie in.
            InputData::InMessage(_) | InputData::StringsInMessage(_) => {
                OutputData::Fixed(Vec::new())
            }
        },
    })
}

/// The request message of classify or regress, if the lot falls on it. Drawn before the run,
/// which takes the examples.
pub(super) fn examples_request(
    services: &impl Services,
    asked: Asked<'_>,
    request: &ExamplesRequest,
) -> Option<Vec<u8>> {
    if !services.log_sampled(&asked.spec.name) {
        return None;
    }
    let mut list = Vec::new();
    for example in request.examples() {
        put_bytes(&mut list, 1, example);
    }
    let mut input = Vec::new();
    let field = match &request.context {
        None => 1,
        Some(context) => {
            put_bytes(&mut list, 2, context);
            2
        }
    };
    put_bytes(&mut input, field, &list);
    let mut message = Vec::new();
    asked.put_request_spec(&mut message);
    put_bytes(&mut message, 2, &input);
    Some(message)
}

/// Writes a request of [`examples_request`] and its answer down.
pub(super) fn answer(
    services: &impl Services,
    asked: Asked<'_>,
    method: Method,
    request: Vec<u8>,
    answer: &examples::Answer,
) {
    let kind = match method {
        Method::Classify => LogKind::Classify,
        Method::Regress => LogKind::Regress,
    };
    let mut response = Vec::new();
    put_bytes(&mut response, 1, &encode_answer(answer));
    asked.put_answer_spec(&mut response);
    services.log(asked.entry(
        kind,
        vec![Chunk::Bytes(request)],
        vec![Chunk::Bytes(response)],
    ));
}
