//! Bodies and messages that were damaged: an answer in any case, and never much memory.

use proptest::prelude::*;
use prost::Message as _;
use tensorgate_proto::inference::InferTensorContents;
use tensorgate_types::DType;

use super::grpc::{call, input, request};
use super::{house, send};
use crate::fake::Fake;

fn pair() -> Fake {
    house(&[("a", DType::FLOAT), ("b", DType::STRING)])
}

const JSON: &str = r#"{"id":"7","parameters":{"binary_data_output":true},"inputs":[
    {"name":"a","datatype":"FP32","shape":[1,2],"parameters":{"binary_data_size":8}},
    {"name":"b","datatype":"BYTES","shape":[2],"parameters":{"binary_data_size":11}}],
    "outputs":[{"name":"a"},{"name":"b","parameters":{"binary_data":false}}]}"#;

const PLAIN: &str = r#"{"inputs":[{"name":"a","shape":[2,1],"datatype":"FP32","data":[[1.5],[-2e3]]},
    {"name":"b","shape":[2],"datatype":"BYTES","data":["x","\u00e9"]}]}"#;

fn binary() -> Vec<u8> {
    let mut body = JSON.as_bytes().to_vec();
    body.extend([0; 8]);
    body.extend(b"\x02\0\0\0ab\x01\0\0\0c");
    body
}

fn message(typed: bool) -> Vec<u8> {
    let mut inputs = vec![input("a", "FP32", &[1, 2]), input("b", "BYTES", &[2])];
    if !typed {
        let raw = vec![vec![0; 8], b"\x02\0\0\0ab\x01\0\0\0c".to_vec()];
        return request(inputs, raw).encode_to_vec();
    }
    inputs[0].contents = Some(InferTensorContents {
        fp32_contents: vec![1.0, 2.0],
        ..Default::default()
    });
    inputs[1].contents = Some(InferTensorContents {
        bytes_contents: vec![b"ab".to_vec(), b"c".to_vec()],
        ..Default::default()
    });
    request(inputs, vec![]).encode_to_vec()
}

fn post(body: &[u8], header: Option<usize>) -> u16 {
    let length = header.map(|length| length.to_string());
    let headers: Vec<_> = length
        .iter()
        .map(|length| ("inference-header-content-length", &**length))
        .collect();
    send(&mut pair(), "POST", "/v2/models/m/infer", &headers, body).status
}

#[test]
fn whole_requests_are_answered() {
    assert_eq!(post(&binary(), Some(JSON.len())), 200);
    assert_eq!(post(PLAIN.as_bytes(), None), 200);
    for typed in [false, true] {
        assert!(call(&mut pair(), "ModelInfer", message(typed)).0.is_ok());
    }
}

#[test]
fn every_truncation_is_refused() {
    let body = binary();
    for length in 0..body.len() {
        let header = JSON.len().min(length);
        assert_eq!(post(&body[..length], Some(header)), 400, "{length}");
        assert_eq!(post(&body[..length], Some(JSON.len())), 400, "{length}");
    }
    for length in 0..PLAIN.len() {
        assert_eq!(post(&PLAIN.as_bytes()[..length], None), 400, "{length}");
    }
    for typed in [false, true] {
        let whole = message(typed);
        for length in 0..whole.len() {
            let (answer, outcome) = call(&mut pair(), "ModelInfer", whole[..length].to_vec());
            assert_eq!(answer.unwrap_err().code().number(), outcome.code);
        }
    }
}

#[test]
fn every_length_of_the_header_is_answered() {
    let body = binary();
    for header in (0..=body.len()).filter(|header| *header != JSON.len()) {
        assert_eq!(post(&body, Some(header)), 400, "{header}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn damaged_bodies_are_answered(
        changes in proptest::collection::vec((0usize..1000, any::<u8>()), 1..6),
        which in 0..2,
        header in 0usize..1000,
        keeps_header in any::<bool>(),
    ) {
        let (mut body, length) = match which {
            0 => (binary(), JSON.len()),
            _ => (PLAIN.as_bytes().to_vec(), PLAIN.len()),
        };
        for (at, byte) in changes {
            let at = at % body.len();
            body[at] = byte;
        }
        let status = post(&body, Some(if keeps_header { length } else { header }));
        prop_assert!([200, 400, 501].contains(&status), "{status}");
    }

    #[test]
    fn damaged_messages_are_answered(
        changes in proptest::collection::vec((0usize..1000, any::<u8>()), 1..6),
        typed in any::<bool>(),
    ) {
        let mut message = message(typed);
        for (at, byte) in changes {
            let at = at % message.len();
            message[at] = byte;
        }
        let mut house = pair();
        let (answer, outcome) = call(&mut house, "ModelInfer", message);
        prop_assert_eq!(answer.map_or_else(|error| error.code().number(), |_| 0), outcome.code);
    }

    #[test]
    fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        post(&bytes, None);
        let _any = call(&mut pair(), "ModelInfer", bytes);
    }
}
