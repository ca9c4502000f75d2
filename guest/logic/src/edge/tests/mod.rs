//! Each rule of the edge, over a host and a processor that a test chooses.

mod processor;
mod requests;

use std::collections::BTreeMap;

use tensorgate_types::{DType, Error, PREDICT_METHOD, Result, Signature};

use super::fake::{FakeFar, FakeProcessor};
use super::{CoveredSignature, Edge};
use crate::fake::signature;
use crate::outcome::Outcome;
use crate::rest::{self, Request, Response};

const PREDICT: &str = "/v1/models/m:predict";

/// The model's own default signature: `x` to `y`, floats.
fn model() -> BTreeMap<String, Signature> {
    let own = signature(
        PREDICT_METHOD,
        &[("x", DType::FLOAT)],
        &[("y", DType::FLOAT)],
    );
    [("serving_default".to_owned(), own)].into()
}

fn far() -> FakeFar {
    FakeFar {
        signatures: model(),
        ..FakeFar::default()
    }
}

/// A host with a processor of its own, which covers these signatures: `text`, strings, to `words`.
fn far_covering(names: &[&str]) -> FakeFar {
    let covered = names.iter().map(|name| CoveredSignature {
        name: (*name).to_owned(),
        signature: signature(
            PREDICT_METHOD,
            &[("text", DType::STRING)],
            &[("y", DType::FLOAT)],
        ),
        content_types: vec!["text/csv".to_owned()],
    });
    FakeFar {
        covered: covered.collect(),
        ..far()
    }
}

/// A processor that covers what it describes like this.
fn covering(description: super::processing::Description) -> FakeProcessor {
    FakeProcessor {
        describe: Box::new(move |_| Ok(vec![description.clone()])),
        ..FakeProcessor::default()
    }
}

fn asked(
    far: &FakeFar,
    processor: &FakeProcessor,
    (method, path): (&str, &str),
    headers: &[(&str, &str)],
    body: &str,
) -> (Response, Outcome) {
    let headers: Vec<(String, String)> = headers
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let request = Request {
        method,
        path,
        headers: &headers,
        body: body.as_bytes(),
    };
    let far = &far;
    let edge = Edge::new(far, processor, body.as_bytes());
    edge.handle(|services| rest::handle(&request, services))
}

/// The status and the body of the answer to a predict of JSON.
fn predict(far: &FakeFar, processor: &FakeProcessor, body: &str) -> (u16, String) {
    let (response, _) = asked(far, processor, ("POST", PREDICT), &[], body);
    (response.status, text(&response))
}

fn text(response: &Response) -> String {
    String::from_utf8_lossy(&response.body).into_owned()
}

/// The message of an error, without its envelope.
fn message(far: &FakeFar, processor: &FakeProcessor, body: &str) -> (u16, String) {
    let (status, body) = predict(far, processor, body);
    let message = body
        .strip_prefix("{\n    \"error\": \"")
        .and_then(|rest| rest.strip_suffix("\"\n}"));
    (status, message.unwrap_or(&body).to_owned())
}

fn never<T>(what: &str) -> Result<T> {
    Err(Error::internal(format!("{what} is not to be called")))
}
