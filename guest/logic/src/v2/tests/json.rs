//! Tensors as JSON.

use serde_json::json;
use tensorgate_types::DType;

use super::{TYPES, house, infer};

#[test]
fn every_datatype_comes_back_as_it_was_sent() {
    for (dtype, name) in TYPES {
        let data = match dtype {
            DType::BOOL => json!([true, false, true]),
            DType::STRING => json!(["", "é\n", "\"x\""]),
            DType::INT8 => json!([-128, 0, 127]),
            DType::INT16 => json!([-32768, 0, 32767]),
            DType::INT32 => json!([i32::MIN, 0, i32::MAX]),
            DType::INT64 => json!([i64::MIN, 0, i64::MAX]),
            DType::UINT8 => json!([0, 1, 255]),
            DType::UINT16 => json!([0, 1, 65535]),
            DType::UINT32 => json!([0, 1, u32::MAX]),
            DType::UINT64 => json!([0, 1, u64::MAX]),
            _ => json!([-1.5, 0.0, 256.0]),
        };
        let request = json!({
            "id": "one",
            "inputs": [{"name": "x", "shape": [3], "datatype": name, "data": data}],
        });
        let mut house = house(&[("x", dtype)]);
        let got = infer(&mut house, &request.to_string());
        assert_eq!(got.status, 200, "{}", got.text());
        assert_eq!(got.header("content-type"), Some("application/json"));
        let expected = json!({
            "id": "one",
            "model_name": "m",
            "model_version": "3",
            "outputs": [{"name": "x", "datatype": name, "shape": [3], "data": data}],
        });
        assert_eq!(got.json(), expected);
        let runs = house.runs.borrow();
        assert_eq!(runs[0][0].inputs[0].dtype, dtype);
        assert_eq!(got.outcome.api, "infer");
        assert_eq!(got.outcome.rows, 3);
        assert_eq!(got.outcome.version, Some(3));
    }
}

#[test]
fn data_may_be_flat_nested_or_written_before_its_datatype() {
    let expected: Vec<u8> = [1f32, 2.0, 3.0, 4.0]
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    for input in [
        r#"{"name":"x","shape":[2,2],"datatype":"FP32","data":[1,2,3,4]}"#,
        r#"{"name":"x","shape":[2,2],"datatype":"FP32","data":[[1,2],[3,4]]}"#,
        r#"{"data":[[1.0,2],[3,4]],"datatype":"FP32","shape":[2,2],"name":"x"}"#,
        r#"{ "shape" : [ 2 , 2 ], "dat\u0061" : [ [ 1 , 2 ] , [ 3 , 4 ] ] ,
            "datatype" : "FP32", "name" : "\u0078", "more": [{}] }"#,
        // As Triton reads it: the shape decides.
        r#"{"name":"x","shape":[2,2],"datatype":"FP32","data":[[1,2,3],[],4]}"#,
    ] {
        let mut house = house(&[("x", DType::FLOAT)]);
        let got = infer(&mut house, &format!("{{\"inputs\":[{input}]}}"));
        assert_eq!(got.status, 200, "{}", got.text());
        let runs = house.runs.borrow();
        assert_eq!(runs[0][0].inputs[0].data, std::slice::from_ref(&expected));
        assert_eq!(runs[0][0].inputs[0].shape, [2, 2]);
    }
}

#[test]
fn scalars_and_empty_tensors_have_their_shapes() {
    for (shape, data, back) in [
        ("[]", "5", json!([5])),
        ("[]", "[5]", json!([5])),
        ("[0]", "[]", json!([])),
        ("[2,0]", "[[],[]]", json!([])),
    ] {
        let mut house = house(&[("x", DType::INT32)]);
        let input = format!(
            r#"{{"inputs":[{{"name":"x","shape":{shape},"datatype":"INT32","data":{data}}}]}}"#
        );
        let got = infer(&mut house, &input);
        assert_eq!(got.status, 200, "{}", got.text());
        assert_eq!(got.json()["outputs"][0]["data"], back);
    }
}

fn refused(body: &str) -> String {
    let mut house = house(&[("x", DType::FLOAT)]);
    let got = infer(&mut house, body);
    assert_eq!(got.status, 400, "{body}");
    assert!(house.runs.borrow().is_empty());
    got.error()
}

#[test]
fn what_is_wrong_with_a_request_is_named() {
    for (body, words) in [
        (
            "",
            "failed to parse the request JSON: Invalid value. at byte 0",
        ),
        ("[]", "the request is []: expected an object"),
        ("{} x", "must not be followed by other values. at byte 3"),
        ("{", "Missing a name for object member. at byte 1"),
        ("{}", "the request has no 'inputs'"),
        (r#"{"inputs":5}"#, "'inputs' is 5: expected an array"),
        (r#"{"inputs":[[]]}"#, "an input is []: expected an object"),
        (r#"{"inputs":[{}]}"#, "an input has no 'name'"),
        (r#"{"id":7,"inputs":[]}"#, "'id' is 7: expected a string"),
    ] {
        let error = refused(body);
        assert!(error.contains(words), "{body}: {error}");
    }
}

#[test]
fn what_is_wrong_with_an_input_is_named() {
    for (input, words) in [
        (r#""shape":[1]"#, "the input 'x' has no 'datatype'"),
        (r#""datatype":"FP32""#, "the input 'x' has no 'shape'"),
        (
            r#""datatype":"FP32","shape":[1]"#,
            "neither 'data' nor the parameter",
        ),
        (
            r#""datatype":"FP8","shape":[1],"data":[1]"#,
            "'FP8': expected one of BOOL, UINT8",
        ),
        (
            r#""datatype":"FP32","shape":[-1],"data":[1]"#,
            "has the negative dimension -1",
        ),
        (
            r#""datatype":"FP32","shape":[1.5],"data":[1]"#,
            "is 1.5: expected an integer",
        ),
        (
            r#""datatype":"FP32","shape":[1],"data":[1],"parameters":{"binary_data_size":4}"#,
            "has 'data' and the parameter 'binary_data_size'",
        ),
        (
            r#""datatype":"FP32","shape":[1],"parameters":{"binary_data_size":4}"#,
            "has 4 bytes of binary data, and 0 are left",
        ),
        (
            r#""datatype":"FP32","shape":[1],"parameters":{"binary_data_size":-4}"#,
            "'binary_data_size' is -4: expected an integer from 0 on",
        ),
    ] {
        let error = refused(&format!(r#"{{"inputs":[{{"name":"x",{input}}}]}}"#));
        assert!(error.contains(words), "{input}: {error}");
    }
}

#[test]
fn what_is_wrong_with_data_is_named() {
    for (datatype, data, words) in [
        ("FP32", "[]", "has 0 elements where its shape [1] has 1"),
        ("FP32", "[1,2]", "has 2 elements where its shape [1] has 1"),
        (
            "UINT8",
            "[1,256]",
            "the element 1 of the data of the input 'x' is 256: expected one of the datatype UINT8",
        ),
        (
            "INT32",
            "[1.5]",
            "is 1.5: expected one of the datatype INT32",
        ),
        ("BOOL", "[1]", "is 1: expected one of the datatype BOOL"),
        ("BYTES", "[1]", "is 1: expected one of the datatype BYTES"),
        ("FP32", "[\"1\"]", "is \"1\": expected one of"),
        ("FP32", "[null]", "is null: expected one of"),
        ("FP32", "[1", "Missing a comma or ']'"),
        ("FP32", "[1.]", "Miss fraction part in number."),
    ] {
        let error = refused(&format!(
            r#"{{"inputs":[{{"name":"x","datatype":"{datatype}","shape":[1],"data":{data}}}]}}"#
        ));
        assert!(error.contains(words), "{data}: {error}");
    }
}

#[test]
fn a_shape_of_more_dimensions_than_there_can_be_is_refused() {
    let shape = vec!["1"; 255].join(",");
    let body =
        format!(r#"{{"inputs":[{{"name":"x","datatype":"FP32","shape":[{shape}],"data":[1]}}]}}"#);
    let got = infer(&mut house(&[("x", DType::FLOAT)]), &body);
    assert!(got.error().contains("more than 254 dimensions"));
    let body = r#"{"inputs":[{"name":"x","datatype":"FP32",
        "shape":[4611686018427387904,4611686018427387904],"data":[1]}]}"#;
    let got = infer(&mut house(&[("x", DType::FLOAT)]), body);
    assert!(got.error().contains("too many elements"));
}

#[test]
fn strings_can_be_base64_and_answers_that_are_no_text_are_refused() {
    let mut house = house(&[("x", DType::STRING)]);
    let body = r#"{"inputs":[{"name":"x","datatype":"BYTES","shape":[1],
        "data":[{"b64":"/wA="}]}]}"#;
    let got = infer(&mut house, body);
    assert_eq!(house.runs.borrow()[0][0].inputs[0].data, [b"\xff\0"]);
    assert_eq!(got.status, 400);
    assert!(
        got.error()
            .contains("the output 'x' has an element that is not UTF-8")
    );
}

#[test]
fn depth_is_no_limit() {
    let data = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    let body =
        format!(r#"{{"inputs":[{{"name":"x","datatype":"FP32","shape":[1],"data":{data}}}]}}"#);
    let got = infer(&mut house(&[("x", DType::FLOAT)]), &body);
    assert_eq!(got.status, 200, "{}", got.text());
}
