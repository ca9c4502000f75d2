//! Binary data behind the JSON, and bodies that are nothing else.

use serde_json::json;
use tensorgate_types::{DType, Signature};

use super::{Counted, house, infer, infer_binary, mirror, send, shaped};
use crate::exchange::HttpRequest;
use crate::services::Chunk;

fn floats(values: &[f32]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect()
}

#[test]
fn binary_inputs_are_taken_in_their_order_and_outputs_come_as_asked() {
    let mut house = house(&[
        ("a", DType::FLOAT),
        ("b", DType::STRING),
        ("c", DType::INT32),
    ]);
    let json = r#"{"id":"7","inputs":[
        {"name":"b","datatype":"BYTES","shape":[2],"parameters":{"binary_data_size":11}},
        {"name":"c","datatype":"INT32","shape":[1],"data":[5]},
        {"name":"a","datatype":"FP32","shape":[1,2],"parameters":{"binary_data_size":8}}],
        "outputs":[{"name":"c","parameters":{"binary_data":true}},{"name":"a"},
        {"name":"b","parameters":{"binary_data":true}}]}"#;
    let text = b"\x02\0\0\0ab\x01\0\0\0c".to_vec();
    let binary = [&text[..], &floats(&[1.5, 2.5])].concat();
    let got = infer_binary(&mut house, json, &binary);
    assert_eq!(got.status, 200, "{}", got.error());
    assert_eq!(got.header("content-type"), Some("application/octet-stream"));
    let expected = json!({
        "id": "7", "model_name": "m", "model_version": "3",
        "outputs": [
            {"name": "c", "datatype": "INT32", "shape": [1], "parameters": {"binary_data_size": 4}},
            {"name": "a", "datatype": "FP32", "shape": [1, 2], "data": [1.5, 2.5]},
            {"name": "b", "datatype": "BYTES", "shape": [2], "parameters": {"binary_data_size": 11}},
        ],
    });
    assert_eq!(got.json(), expected);
    let length: usize = got
        .header("inference-header-content-length")
        .unwrap()
        .parse()
        .unwrap();
    assert_eq!(got.body[length..], [b"\x05\0\0\0", &text[..]].concat());
    let runs = house.runs.borrow();
    assert_eq!(runs[0][0].outputs, ["c", "a", "b"]);
    assert_eq!(runs[0][0].inputs[0].data, [b"ab", &b"c"[..]]);
}

#[test]
fn a_parameter_makes_all_outputs_binary_and_each_may_say_otherwise() {
    let mut house = house(&[("a", DType::FLOAT), ("b", DType::FLOAT)]);
    let inputs = r#""inputs":[{"name":"a","datatype":"FP32","shape":[1],"data":[1]},
        {"name":"b","datatype":"FP32","shape":[1],"data":[2]}]"#;
    let body = format!(r#"{{"parameters":{{"binary_data_output":true}},{inputs}}}"#);
    let got = infer(&mut house, &body);
    assert_eq!(
        got.json()["outputs"][1]["parameters"]["binary_data_size"],
        4
    );
    let body = format!(
        r#"{{"parameters":{{"binary_data_output":true}},{inputs},
        "outputs":[{{"name":"b","parameters":{{"binary_data":false}}}},{{"name":"a"}}]}}"#
    );
    let got = infer(&mut house, &body);
    assert_eq!(got.json()["outputs"][0]["data"], json!([2.0]));
    assert_eq!(
        got.json()["outputs"][1]["parameters"]["binary_data_size"],
        4
    );
    assert!(got.body.ends_with(&floats(&[1.0])));
}

#[test]
fn large_binary_tensors_never_come_in() {
    let elements = 1 << 20;
    let json = format!(
        r#"{{"inputs":[{{"name":"x","datatype":"FP32","shape":[{elements}],
        "parameters":{{"binary_data_size":{}}}}}],"parameters":{{"binary_data_output":true}}}}"#,
        4 * elements
    );
    let bytes = [json.as_bytes(), &vec![0; 4 * elements]].concat();
    let mut house = house(&[("x", DType::FLOAT)]);
    house.message.clone_from(&bytes);
    let message = Counted {
        bytes,
        read: 0.into(),
    };
    let headers = [(
        "inference-header-content-length".to_owned(),
        json.len().to_string(),
    )];
    let request = HttpRequest {
        method: "POST",
        path: "/v2/models/m/infer",
        headers: &headers,
    };
    let (response, _) = crate::v2::rest::handle(&request, &message, &&house);
    assert_eq!(response.status, 200);
    assert_eq!(message.read.get(), 0);
    assert!(matches!(
        response.body[..],
        [Chunk::Bytes(_), Chunk::Held(0)]
    ));
}

#[test]
fn sizes_that_lie_are_refused() {
    let one = |dtype: &str, shape: &str, size: u64| {
        format!(
            r#"{{"inputs":[{{"name":"x","datatype":"{dtype}","shape":{shape},
            "parameters":{{"binary_data_size":{size}}}}}]}}"#
        )
    };
    for (json, binary, words) in [
        (
            one("FP32", "[2]", 4),
            &[0; 4][..],
            "has 4 bytes where its datatype FP32 and shape [2] take 8",
        ),
        (
            one("FP32", "[1]", 4),
            &[0; 3],
            "has 4 bytes of binary data, and 3 are left",
        ),
        (
            one("FP32", "[1]", 4),
            &[0; 5],
            "1 bytes lie behind the JSON",
        ),
        (
            one("FP32", "[1]", u64::MAX),
            &[0; 4],
            "are left in the request",
        ),
        (
            one("FP32", "[4611686018427387904]", 0),
            &[],
            "take more than there can be",
        ),
        (
            one("BOOL", "[2]", 2),
            &[1, 2],
            "has the byte 2: expected 0 or 1",
        ),
        (
            one("BYTES", "[2]", 4),
            &[0; 4],
            "too few for the 2 elements",
        ),
        (
            one("BYTES", "[1000000000000]", 4),
            &[0; 4],
            "too few for the 1000000000000 elements",
        ),
        (
            one("BYTES", "[1]", 5),
            &[9, 0, 0, 0, 1],
            "says that element 0 has 9 bytes, and 1 are left",
        ),
        (
            one("BYTES", "[1]", 4),
            &[255; 4],
            "says that element 0 has 4294967295 bytes, and 0",
        ),
        (
            one("BYTES", "[2]", 9),
            &[2, 0, 0, 0, 1, 1, 0, 0, 0],
            "ends within the length of element 1",
        ),
        (
            one("BYTES", "[1]", 5),
            &[0, 0, 0, 0, 1],
            "has 1 bytes behind the 1 elements",
        ),
        (
            one("BYTES", "[0]", 1),
            &[0],
            "has 1 bytes behind the 0 elements",
        ),
    ] {
        let mut house = house(&[("x", DType::FLOAT)]);
        let got = infer_binary(&mut house, &json, binary);
        assert_eq!(got.status, 400, "{json}");
        assert!(got.error().contains(words), "{json}: {}", got.error());
        assert!(house.runs.borrow().is_empty());
    }
}

#[test]
fn the_header_must_be_a_length_within_the_body() {
    for (value, words) in [
        ("x", "is 'x': expected a number of bytes"),
        ("-1", "is '-1': expected a number of bytes"),
        ("3", "says that the JSON has 3 bytes, and the body has 2"),
        ("18446744073709551615", "and the body has 2"),
        ("1", "Missing a name for object member. at byte 1"),
    ] {
        let headers = [("inference-header-content-length", value)];
        let mut house = house(&[]);
        let got = send(&mut house, "POST", "/v2/models/m/infer", &headers, b"{}");
        assert_eq!(got.status, 400);
        assert!(got.error().contains(words), "{}", got.error());
    }
}

#[test]
fn a_body_without_json_is_the_only_input() {
    let headers = [("inference-header-content-length", "0")];
    let path = "/v2/models/m/infer";
    let mut house = house(&[]);
    let signature = |dtype, shape: Option<&[i64]>| Signature {
        inputs: [("x".to_owned(), shaped(dtype, shape))].into(),
        outputs: [("x".to_owned(), shaped(dtype, None))].into(),
        ..mirror(&[])
    };
    for (dtype, shape, body, expected) in [
        (
            DType::FLOAT,
            Some(&[-1, 2][..]),
            &[0; 16][..],
            Ok(vec![2, 2]),
        ),
        (DType::FLOAT, Some(&[2, 2]), &[0; 16], Ok(vec![2, 2])),
        (DType::FLOAT, None, &[0; 16], Ok(vec![4])),
        (DType::FLOAT, Some(&[-1]), &[], Ok(vec![0])),
        (DType::STRING, Some(&[-1, 1]), b"text", Ok(vec![1, 1])),
        (
            DType::FLOAT,
            Some(&[-1, 2]),
            &[0; 12],
            Err("12 bytes are no multiple of the 8 bytes"),
        ),
        (
            DType::FLOAT,
            Some(&[-1, 0]),
            &[0; 12],
            Err("are no multiple of the 0 bytes"),
        ),
        (
            DType::FLOAT,
            Some(&[-1, -1]),
            &[0; 12],
            Err("2 dimensions of shape [-1, -1] are not known"),
        ),
        (
            DType::FLOAT,
            Some(&[2]),
            &[0; 12],
            Err("has 12 bytes where its datatype FP32"),
        ),
    ] {
        house.signatures = [("serving_default".to_owned(), signature(dtype, shape))].into();
        house.runs.borrow_mut().clear();
        let got = send(&mut house, "POST", path, &headers, body);
        match expected {
            Ok(shape) => {
                assert_eq!(got.status, 200, "{}", got.text());
                let runs = house.runs.borrow();
                assert_eq!(runs[0][0].inputs[0].shape, shape);
                assert_eq!(runs[0][0].inputs[0].data, [body]);
            }
            Err(words) => assert!(got.error().contains(words), "{}", got.error()),
        }
    }
    house.signatures = [("serving_default".to_owned(), mirror(&[]))].into();
    let got = send(&mut house, "POST", path, &headers, b"x");
    assert!(got.error().contains("another number of inputs than one"));
}
