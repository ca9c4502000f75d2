//! The REST API as clients of TensorFlow Serving know it: status and body, byte for byte.

use tensorgate_tests::http::Answer;
use tensorgate_tests::models::path;
use tensorgate_tests::server::Server;

fn serve(models: &[&str]) -> Server {
    let paths: Vec<_> = models.iter().map(|name| (*name, path(name))).collect();
    let models: Vec<_> = paths
        .iter()
        .map(|(name, path)| (*name, path.as_path(), ""))
        .collect();
    Server::with_models(&models, &[])
}

fn assert_answer(what: &str, answer: &Answer, status: u16, body: &str) {
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (status, body),
        "{what}"
    );
    assert_eq!(
        answer.header("content-type"),
        Some("application/json"),
        "{what}"
    );
}

/// The body of an error, from its message as JSON has it.
fn error(message: &str) -> String {
    format!("{{\n    \"error\": \"{message}\"\n}}")
}

#[test]
fn predicts_in_rows_and_in_columns() {
    let server = serve(&[
        "half_plus_two",
        "many_outputs",
        "mixed",
        "scalar",
        "no_inputs",
    ]);
    let rows = |values: &str| format!("{{\n    \"predictions\": {values}\n    ]\n}}");
    for (model, body, expected) in [
        ("half_plus_two", r#"{"instances": [1.0, 2.0, 5.0]}"#, rows("[2.5, 3.0, 4.5")),
        ("half_plus_two", r#"{"instances": [[1], [2]]} junk"#, rows("[[2.5], [3.0]")),
        ("half_plus_two", r#"{"instances": [{"x": [1]}]}"#, rows("[[2.5]")),
        ("half_plus_two/versions/123", r#"{"instances": [1]}"#, rows("[2.5")),
        ("half%5Fplus_two", r#"{"instances": [1]}"#, rows("[2.5")),
        ("half_plus_two", r#"{"instances": [1e40, -1e40, NaN]}"#, rows("[Infinity, -Infinity, NaN")),
        (
            "half_plus_two",
            r#"{"signature_name": "serving_default", "inputs": [[1.0], [2.0]]}"#,
            "{\n    \"outputs\": [\n        [\n            2.5\n        ],\n        [\n            \
             3.0\n        ]\n    ]\n}"
                .to_owned(),
        ),
        ("half_plus_two", r#"{"inputs": 1}"#, "{\n    \"outputs\": 2.5\n}".to_owned()),
        (
            "scalar",
            r#"{"inputs": {"base": 2.0, "exponent": 10}}"#,
            "{\n    \"outputs\": 1024.0\n}".to_owned(),
        ),
        (
            "mixed",
            r#"{"instances": [{"a": 1.5, "b": 3, "c": "x"}]}"#,
            "{\n    \"predictions\": [\n        {\n            \"joined\": \"3-x\",\n            \
             \"length\": 1,\n            \"parity\": false,\n            \"total\": 4.5,\n            \
             \"total_again\": 4.5\n        }\n    ]\n}"
                .to_owned(),
        ),
        (
            "mixed",
            r#"{"inputs": {"a": [1], "b": [2], "c": [{"b64": "eA=="}], "extra": 7}}"#,
            "{\n    \"outputs\": {\n        \"joined\": [\n            \"2-x\"\n        ],\n        \
             \"length\": [\n            1\n        ],\n        \"parity\": [\n            true\n        \
             ],\n        \"total\": [\n            3.0\n        ],\n        \"total_again\": [\n            \
             3.0\n        ]\n    }\n}"
                .to_owned(),
        ),
    ] {
        let answer = server.post(&format!("/v1/models/{model}:predict"), body);
        assert_answer(body, &answer, 200, &expected);
    }
}

/// Model, body, status, message as JSON has it.
const ERRORS: &[(&str, &str, u16, &str)] = &[
    (
        "half_plus_two",
        "",
        400,
        "JSON Parse error: The document is empty",
    ),
    ("half_plus_two", "[1]", 400, "JSON Value: [1] Is not object"),
    (
        "half_plus_two",
        r#"{"instances": [1,}"#,
        400,
        "JSON Parse error: Invalid value. at offset: 17",
    ),
    // Bad JSON comes first, also for a model that is not there.
    (
        "nope",
        "{",
        400,
        "JSON Parse error: Missing a name for object member. at offset: 1",
    ),
    (
        "nope",
        r#"{"signature_name": 5}"#,
        400,
        "JSON Value: {\\n    \\\"signature_name\\\": 5\\n} not formatted correctly. \
             'signature_name' key must be a string value.",
    ),
    (
        "nope",
        "{}",
        404,
        "Servable not found for request: Latest(nope)",
    ),
    (
        "half_plus_two/versions/5",
        "{}",
        404,
        "Servable not found for request: Specific(half_plus_two, 5)",
    ),
    (
        "half_plus_two/labels/x",
        "{}",
        400,
        "Unrecognized servable version label: x",
    ),
    (
        "half_plus_two/versions/99999999999999999999",
        "{}",
        400,
        "Failed to convert version: 99999999999999999999 to numeric.",
    ),
    (
        "half_plus_two",
        r#"{"signature_name": "foo"}"#,
        400,
        "Serving signature name: \\\"foo\\\" not found in signature def",
    ),
    (
        "half_plus_two",
        "{}",
        400,
        "Missing 'inputs' or 'instances' key",
    ),
    (
        "half_plus_two",
        r#"{"instances":[1],"inputs":[1]}"#,
        400,
        "JSON Value: {\\n    \\\"instances\\\": [1],\\n    \\\"inputs\\\": [1]\\n} Not \
             formatted correctly expecting only one of 'inputs' or 'instances' keys to exist ",
    ),
    (
        "half_plus_two",
        r#"{"instances":[]}"#,
        400,
        "JSON Value: {\\n    \\\"instances\\\": []\\n} No values in 'instances' array",
    ),
    (
        "half_plus_two",
        r#"{"instances":["x"]}"#,
        400,
        concat!(
            "Failed to process element: ",
            "0 of 'instances' list. Error: INVALID_ARGUMENT: JSON Value: \\\"x\\\" Type: \
                     String is not of expected type: float",
        ),
    ),
    (
        "half_plus_two",
        r#"{"instances":[[1],[1,2]]}"#,
        400,
        concat!(
            "Failed to process element: ",
            "1 of 'instances' list. Error: INVALID_ARGUMENT: Expecting tensor size: 1 but \
                     got: 2",
        ),
    ),
    (
        "half_plus_two",
        r#"{"instances":[[1],1]}"#,
        400,
        concat!(
            "Failed to process element: ",
            "1 of 'instances' list. Error: INVALID_ARGUMENT: Expecting shape [1] but got: []",
        ),
    ),
    (
        "mixed",
        r#"{"instances":[1]}"#,
        400,
        "instances is a plain list, but expecting list of objects as multiple input tensors \
             required as per tensorinfo_map",
    ),
    (
        "mixed",
        r#"{"inputs":{"a":[1],"b":[2]}}"#,
        400,
        "Missing named input: c in 'inputs' object.",
    ),
    (
        "no_inputs",
        r#"{"instances":[1]}"#,
        400,
        "Failed to get input map for signature: DEFAULT",
    ),
    (
        "identity",
        r#"{"signature_name":"complex64","inputs":[1]}"#,
        501,
        "Conversion of JSON Value: 1 to type: complex64",
    ),
];

#[test]
fn errors_have_the_original_s_words_and_order() {
    let server = serve(&["half_plus_two", "mixed", "no_inputs", "identity"]);
    for (model, body, status, message) in ERRORS {
        let answer = server.post(&format!("/v1/models/{model}:predict"), body);
        assert_answer(body, &answer, *status, &error(message));
    }
}

#[test]
fn refuses_what_is_no_request() {
    let server = serve(&["half_plus_two"]);
    for (method, path) in [
        ("POST", "/v1/models/half_plus_two:PREDICT"),
        ("POST", "/v1/models/half_plus_two"),
        ("POST", "/v1/models/half_plus_two:predict/"),
        ("GET", "/v1/models/half_plus_two:predict"),
        ("GET", "/v1/models/half_plus_two/"),
        ("GET", "/v1/models/half_plus_two/versions/x"),
        ("PUT", "/v1/models/half_plus_two:predict"),
        ("DELETE", "/v1/models/half_plus_two"),
        ("PATCH", "/v1/anything"),
    ] {
        let answer = server.request(method, path, "{}");
        let message = error(&format!("Malformed request: {method} {path}"));
        assert_answer(path, &answer, 400, &message);
    }
    let answer = server.get("/v1/models");
    assert_answer(
        "no name",
        &answer,
        400,
        &error("Missing model name in request."),
    );
    assert_eq!(
        server
            .request("HEAD", "/v1/models/half_plus_two", "")
            .status,
        400
    );
    assert_eq!(server.get("/").status, 404);
    assert_eq!(server.get("/v3/models/half_plus_two").status, 404);
}

#[test]
fn tells_the_status_of_a_model() {
    let server = serve(&["half_plus_two"]);
    let available = "{\n \"model_version_status\": [\n  {\n   \"version\": \"123\",\n   \"state\": \
                     \"AVAILABLE\",\n   \"status\": {\n    \"error_code\": \"OK\",\n    \
                     \"error_message\": \"\"\n   }\n  }\n ]\n}\n";
    for (path, status, body) in [
        ("half_plus_two", 200, available.to_owned()),
        ("half_plus_two/versions/123", 200, available.to_owned()),
        ("half_plus_two/labels/any", 200, available.to_owned()),
        ("half_plus_two/METADATA", 200, available.to_owned()),
        (
            "nope",
            404,
            error("Could not find any versions of model nope"),
        ),
        (
            "half_plus_two/versions/5",
            404,
            error("Could not find version 5 of model half_plus_two"),
        ),
    ] {
        let answer = server.get(&format!("/v1/models/{path}"));
        assert_answer(path, &answer, status, &body);
    }
}

#[test]
fn tells_the_metadata_of_a_model() {
    let server = serve(&["many_outputs", "scalar"]);
    let answer = server.get("/v1/models/scalar/metadata");
    assert_eq!(answer.status, 200);
    assert!(
        answer.body.starts_with(
            "{\n\"model_spec\":{\n \"name\": \"scalar\",\n \"signature_name\": \"\",\n \
             \"version\": \"1\"\n}\n,\n\"metadata\": {\"signature_def\": {\n \"signature_def\": {\n"
        ),
        "{}",
        answer.body
    );
    let value: serde_json::Value = serde_json::from_str(&answer.body).expect("it is JSON");
    let signatures = &value["metadata"]["signature_def"]["signature_def"];
    let expected = serde_json::json!({
        "inputs": {
            "base": {
                "dtype": "DT_FLOAT",
                "tensor_shape": {"dim": [], "unknown_rank": false},
                "name": "serving_default_base:0",
            },
            "exponent": {
                "dtype": "DT_INT32",
                "tensor_shape": {"dim": [], "unknown_rank": false},
                "name": "serving_default_exponent:0",
            },
        },
        "outputs": {
            "power": {
                "dtype": "DT_FLOAT",
                "tensor_shape": {"dim": [], "unknown_rank": false},
                "name": "PartitionedCall:0",
            },
        },
        "method_name": "tensorflow/serving/predict",
        "defaults": {},
    });
    assert_eq!(signatures["serving_default"], expected);
    let init = &signatures["__saved_model_init_op"]["outputs"]["__saved_model_init_op"];
    assert_eq!(init["dtype"], "DT_INVALID");

    let answer = server.get("/v1/models/many_outputs/versions/1/metadata");
    let value: serde_json::Value = serde_json::from_str(&answer.body).expect("it is JSON");
    let signature = &value["metadata"]["signature_def"]["signature_def"]["serving_default"];
    assert_eq!(
        signature["inputs"]["x"]["tensor_shape"],
        serde_json::json!({"dim": [{"size": "-1", "name": ""}], "unknown_rank": false})
    );
    let answer = server.get("/v1/models/nope/metadata");
    let message = error("Servable not found for request: Latest(nope)");
    assert_answer("nope", &answer, 404, &message);
}

#[test]
fn every_type_of_the_json_api_makes_a_round_trip() {
    let server = serve(&["identity"]);
    for (signature, values) in [
        (
            "float",
            "[1.0, 0.2, 0.333333343, 9e+06, 999999.0, 1e-05, -0.0, 3.40282347e+38, NaN, Infinity, -Infinity",
        ),
        (
            "double",
            "[1.0, 0.1, 0.33333333333333331, 1.7976931348623157e+308, -0.0",
        ),
        ("int32", "[0, -2147483648, 2147483647"),
        ("int16", "[0, -32768, 32767"),
        ("int8", "[0, -128, 127"),
        ("uint8", "[0, 255"),
        ("int64", "[0, -9223372036854775808, 9223372036854775807"),
        ("uint32", "[0, 4294967295"),
        ("uint64", "[0, 18446744073709551615"),
        ("bool", "[true, false"),
        ("string", r#"["", "a", "é", "\u0000\u001F", "\"\\/""#),
    ] {
        let body = format!(r#"{{"signature_name": "{signature}", "instances": {values}]}}"#);
        let answer = server.post("/v1/models/identity:predict", &body);
        let expected = format!("{{\n    \"predictions\": {values}\n    ]\n}}");
        assert_answer(signature, &answer, 200, &expected);
    }
}

#[test]
fn integers_that_do_not_fit_are_refused() {
    // The original wraps the narrow ones silently.
    let server = serve(&["identity"]);
    for (signature, value) in [
        ("int8", "128"),
        ("uint8", "-1"),
        ("int16", "40000"),
        ("int32", "2147483648"),
        ("int64", "9223372036854775808"),
        ("uint32", "-1"),
        ("uint64", "18446744073709551616"),
        ("int32", "1.0"),
        ("bool", "1"),
    ] {
        let body = format!(r#"{{"signature_name": "{signature}", "inputs": [{value}]}}"#);
        let answer = server.post("/v1/models/identity:predict", &body);
        assert_eq!(answer.status, 400, "{signature} {value}: {}", answer.body);
    }
}

#[test]
fn shapes_are_checked_only_where_an_operator_asks_for_it() {
    let (lenient, strict) = (path("half_plus_two"), path("half_plus_two"));
    let server = Server::with_models(
        &[("lenient", &lenient, ""), ("strict", &strict, "")],
        &["--strict_shapes=other,strict"],
    );
    let body = r#"{"instances": [1.0]}"#;
    assert_eq!(server.post("/v1/models/lenient:predict", body).status, 200);
    let answer = server.post("/v1/models/strict:predict", body);
    let message = "Expects input x to be of shape [-1, 1] but [1] is provided";
    assert_answer(body, &answer, 400, &error(message));
    let body = r#"{"instances": [[1.0]]}"#;
    assert_eq!(server.post("/v1/models/strict:predict", body).status, 200);
}
