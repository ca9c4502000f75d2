//! Bodies that are wrong, and what TensorFlow Serving says of them.

use tensorgate_types::{DType, ErrorCode};

use super::tests::{Source, one, plain};
use super::*;

const TWO: Source = Source(&[(
    "serving_default",
    &[("a", DType::INT32), ("b", DType::FLOAT)],
)]);

fn error(mut source: Source, json: &str) -> (ErrorCode, String) {
    let error = parse_predict(json.as_bytes(), &mut source).unwrap_err();
    (error.code(), error.message().to_owned())
}

fn assert_error(source: Source, json: &str, message: &str) {
    let expected = (ErrorCode::InvalidArgument, message.to_owned());
    assert_eq!(error(source, json), expected, "{json}");
}

#[test]
fn envelopes_are_checked_first() {
    for (json, message) in [
        ("", "JSON Parse error: The document is empty"),
        (
            "  ",
            "JSON Parse error: The document is empty. at offset: 2",
        ),
        (
            "{\"instances\": [1, 2",
            "JSON Parse error: Missing a comma or ']' after an array element. at offset: 19",
        ),
        ("[1, 2.5]", "JSON Value: [1, 2.5] Is not object"),
        ("\"x\"", "JSON Value: \"x\" Is not object"),
        (
            "{\"signature_name\": 5, \"instances\": [1]}",
            "JSON Value: {\n    \"signature_name\": 5,\n    \"instances\": [1]\n} not formatted \
             correctly. 'signature_name' key must be a string value.",
        ),
        ("{\"instance\": [1]}", "Missing 'inputs' or 'instances' key"),
        (
            "{\"instances\": [1], \"inputs\": 1}",
            "JSON Value: {\n    \"instances\": [1],\n    \"inputs\": 1\n} Not formatted correctly \
             expecting only one of 'inputs' or 'instances' keys to exist ",
        ),
        (
            "{\"instances\": {}}",
            "JSON Value: {\n    \"instances\": {}\n} Expecting 'instances' to be an list/array",
        ),
        (
            "{\"instances\": []}",
            "JSON Value: {\n    \"instances\": []\n} No values in 'instances' array",
        ),
    ] {
        assert_error(one(DType::FLOAT), json, message);
    }
}

#[test]
fn rows_must_be_alike() {
    for (json, message) in [
        (
            "{\"instances\": [[1,2],[3,4],[5,6,7]]}",
            "Failed to process element: 2 of 'instances' list. Error: INVALID_ARGUMENT: \
             Expecting tensor size: 2 but got: 3",
        ),
        (
            "{\"instances\": [[1,2],[3,4],[[5,6]]]}",
            "Failed to process element: 2 of 'instances' list. Error: INVALID_ARGUMENT: \
             Expecting shape [2] but got: [1,2]",
        ),
        (
            "{\"instances\": [1,[1]]}",
            "Failed to process element: 1 of 'instances' list. Error: INVALID_ARGUMENT: \
             Expecting shape [] but got: [1]",
        ),
        (
            "{\"instances\": [[1,2],[\"a\",\"b\"]]}",
            "Failed to process element: 1 of 'instances' list. Error: INVALID_ARGUMENT: \
             JSON Value: \"a\" Type: String is not of expected type: int32",
        ),
        (
            "{\"instances\": [[[1,2],[3]]]}",
            "Failed to process element: 0 of 'instances' list. Error: INVALID_ARGUMENT: \
             Encountered list at unexpected size: 1 at level: 1 expected size: 2",
        ),
        (
            "{\"instances\": [[[1],2]]}",
            "Failed to process element: 0 of 'instances' list. Error: INVALID_ARGUMENT: \
             JSON Value: 2 found at incorrect level: 2 in the JSON DOM. Expected at level: 2",
        ),
        (
            "{\"instances\": [[1,[2]]]}",
            "Failed to process element: 0 of 'instances' list. Error: INVALID_ARGUMENT: \
             Encountered list at unexpected level: 1 expected < 1",
        ),
        (
            "{\"instances\": [{\"default\": 1}, [1]]}",
            "Expecting object but got list at item 1 of input list",
        ),
        (
            "{\"instances\": [1, {\"default\": 1}]}",
            "Expecting value/list but got object at item 1 of input list",
        ),
        (
            "{\"instances\": [{\"x\": 1}]}",
            "Failed to process element: 0 key: x of 'instances' list. Error: INVALID_ARGUMENT: \
             JSON object: does not have named input: x",
        ),
        (
            "{\"instances\": [{}]}",
            "Failed to process element: 0 of 'instances' list. JSON object: {} \
             keys must be equal to: default",
        ),
    ] {
        assert_error(one(DType::INT32), json, message);
    }
    assert_error(
        TWO,
        "{\"instances\": [1]}",
        "instances is a plain list, but expecting list of objects as multiple input tensors \
         required as per tensorinfo_map",
    );
    assert_error(
        TWO,
        "{\"instances\": [{\"a\": 1}]}",
        "Failed to process element: 0 of 'instances' list. JSON object: {\n    \"a\": 1\n} \
         keys must be equal to: a,b",
    );
}

#[test]
fn columns_must_be_there() {
    assert_error(
        TWO,
        "{\"inputs\": [1]}",
        "inputs is a plain value/list, but expecting an object as multiple input tensors \
         required as per tensorinfo_map",
    );
    assert_error(
        TWO,
        "{\"inputs\": {\"a\": 1}}",
        "Missing named input: b in 'inputs' object.",
    );
    assert_error(
        one(DType::INT32),
        "{\"inputs\": [[1, 2], 3]}",
        "JSON Value: 3 found at incorrect level: 2 in the JSON DOM. Expected at level: 2",
    );
}

#[test]
fn values_must_fit_the_type() {
    for (dtype, value, shown, kind, name) in [
        (DType::INT32, "1.0", "1.0", "Number", "int32"),
        (DType::INT32, "2147483648", "2147483648", "Number", "int32"),
        (DType::UINT8, "300", "300", "Number", "uint8"),
        (DType::INT8, "-129", "-129", "Number", "int8"),
        (DType::UINT32, "-1", "-1", "Number", "uint32"),
        (DType::UINT64, "1e2", "100.0", "Number", "uint64"),
        (DType::BOOL, "1", "1", "Number", "bool"),
        (DType::FLOAT, "null", "null", "Null", "float"),
        (DType::FLOAT, "true", "true", "True", "float"),
        (DType::STRING, "false", "false", "False", "string"),
        (
            DType::FLOAT,
            "{\"b64\":\"\"}",
            "{\n    \"b64\": \"\"\n}",
            "Object",
            "float",
        ),
    ] {
        assert_error(
            one(dtype),
            &format!("{{\"inputs\": [{value}]}}"),
            &format!("JSON Value: {shown} Type: {kind} is not of expected type: {name}"),
        );
    }
    assert_error(
        one(DType::STRING),
        "{\"inputs\": [{\"b64\": 1}]}",
        "JSON Value: {\n    \"b64\": 1\n} not formatted correctly for base64 data",
    );
    assert_error(
        one(DType::STRING),
        "{\"inputs\": {\"b64\": \"a\"}}",
        "Unable to base64 decode",
    );
}

#[test]
fn types_that_json_cannot_be_made_into_depend_on_the_format() {
    assert_eq!(
        error(one(DType::COMPLEX64), "{\"inputs\": [1]}"),
        (
            ErrorCode::Unimplemented,
            "Conversion of JSON Value: 1 to type: complex64".to_owned()
        )
    );
    assert_error(
        one(DType::COMPLEX64),
        "{\"instances\": [[1]]}",
        "Failed to process element: 0 of 'instances' list. Error: UNIMPLEMENTED: \
         Conversion of JSON Value: 1 to type: complex64",
    );
    let empty = parse_predict(b"{\"inputs\": [[]]}", &mut one(DType::COMPLEX64)).unwrap();
    assert_eq!(empty.inputs[0].shape, [1, 0]);
}

#[test]
fn a_name_that_comes_twice_counts_once() {
    let twice = b"{\"instances\": [{\"default\": 1, \"default\": 2}, {\"default\": 3}]}";
    let once = b"{\"instances\": [{\"default\": 1}, {\"default\": 3}]}";
    let parse = |json: &[u8]| plain(&parse_predict(json, &mut one(DType::INT32)).unwrap());
    assert_eq!(parse(twice), parse(once));
    assert_error(
        one(DType::INT32),
        "{\"instances\": [{\"default\": 1, \"default\": \"x\"}]}",
        "Failed to process element: 0 key: default of 'instances' list. Error: \
         INVALID_ARGUMENT: JSON Value: \"x\" Type: String is not of expected type: int32",
    );
}

#[test]
fn numbers_become_floats_as_in_the_original() {
    let floats = |json: &str| {
        let request = parse_predict(json.as_bytes(), &mut one(DType::FLOAT)).unwrap();
        let Values::F32(list) = &request.inputs[0].values else {
            panic!("no floats");
        };
        list.clone()
    };
    let max = f64::MAX;
    let min = f64::MIN_POSITIVE;
    assert_eq!(
        floats("{\"instances\": [1, 2.0, 3, 5.003, 0.007, 1435774380, 1435774380.0]}"),
        [
            1.0,
            2.0,
            3.0,
            5.003,
            0.007,
            1_435_774_336.0,
            1_435_774_336.0
        ]
    );
    assert_eq!(
        floats(&format!("{{\"instances\": [{max:e}, -{max:e}, {min:e}]}}")),
        [f32::INFINITY, f32::NEG_INFINITY, 0.0]
    );
}
