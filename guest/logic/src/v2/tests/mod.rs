//! Both ways of V2 over a house that answers with what it was given.

mod binary;
mod fuzz;
mod grpc;
mod grpc_refused;
mod json;
mod rest;

use std::cell::Cell;

use tensorgate_types::{DType, Result, Signature, TensorInfo};

use crate::exchange::HttpRequest;
use crate::fake::{Fake, signature};
use crate::inference::Range;
use crate::outcome::Outcome;
use crate::services::Message;

/// Every type of the protocol and its name.
const TYPES: [(DType, &str); 14] = [
    (DType::BOOL, "BOOL"),
    (DType::UINT8, "UINT8"),
    (DType::UINT16, "UINT16"),
    (DType::UINT32, "UINT32"),
    (DType::UINT64, "UINT64"),
    (DType::INT8, "INT8"),
    (DType::INT16, "INT16"),
    (DType::INT32, "INT32"),
    (DType::INT64, "INT64"),
    (DType::HALF, "FP16"),
    (DType::FLOAT, "FP32"),
    (DType::DOUBLE, "FP64"),
    (DType::BFLOAT16, "BF16"),
    (DType::STRING, "BYTES"),
];

/// A signature that gives back what it takes.
fn mirror(tensors: &[(&str, DType)]) -> Signature {
    signature("tensorflow/serving/predict", tensors, tensors)
}

fn house(tensors: &[(&str, DType)]) -> Fake {
    Fake {
        signatures: [("serving_default".to_owned(), mirror(tensors))].into(),
        defs: vec![("serving_default".to_owned(), vec![])],
        ..Fake::default()
    }
}

fn shaped(dtype: DType, shape: Option<&[i64]>) -> TensorInfo {
    TensorInfo {
        tensor_name: String::new(),
        dtype,
        shape: shape.map(<[i64]>::to_vec),
        optional: false,
    }
}

/// What a client gets.
#[derive(Debug)]
struct Got {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    outcome: Outcome,
}

impl Got {
    fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// The JSON, which may have binary data behind it.
    fn json(&self) -> serde_json::Value {
        let end = self
            .header("inference-header-content-length")
            .map_or(self.body.len(), |length| length.parse().unwrap());
        serde_json::from_slice(&self.body[..end]).unwrap()
    }

    fn error(&self) -> String {
        assert!(self.status >= 400, "{self:?}");
        self.json()["error"].as_str().unwrap().to_owned()
    }
}

/// One request over HTTP. The house keeps the body as its message.
fn send(house: &mut Fake, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Got {
    house.message = body.to_vec();
    let headers: Vec<_> = headers
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let request = HttpRequest {
        method,
        path,
        headers: &headers,
    };
    let house = &*house;
    let (response, outcome) = crate::v2::rest::handle(&request, house, &house);
    assert_eq!(response.status >= 400, outcome.code != 0, "{response:?}");
    Got {
        status: response.status,
        headers: response.headers,
        body: house.assemble(&response.body),
        outcome,
    }
}

fn infer(house: &mut Fake, body: &str) -> Got {
    send(house, "POST", "/v2/models/m/infer", &[], body.as_bytes())
}

/// A request with binary data behind its JSON.
fn infer_binary(house: &mut Fake, json: &str, binary: &[u8]) -> Got {
    let body = [json.as_bytes(), binary].concat();
    let length = json.len().to_string();
    let headers = [("inference-header-content-length", &*length)];
    send(house, "POST", "/v2/models/m/infer", &headers, &body)
}

/// A message that tells how much of it was read.
struct Counted {
    bytes: Vec<u8>,
    read: Cell<u64>,
}

impl Message for Counted {
    fn length(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn head(&self) -> &[u8] {
        &self.bytes[..self.bytes.len().min(4096)]
    }

    fn read(&self, part: Range) -> Result<Vec<u8>> {
        self.read.set(self.read.get() + part.length);
        let start = part.offset as usize;
        Ok(self.bytes[start..start + part.length as usize].to_vec())
    }
}
