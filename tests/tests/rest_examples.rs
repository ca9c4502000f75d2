//! Classify and regress over REST with models that parse examples; labels, defaults in metadata,
//! CORS and query strings on every route.

use tensorgate_tests::http::Answer;
use tensorgate_tests::models::path;
use tensorgate_tests::server::Server;

fn serve(names: &[&str], flags: &[&str]) -> Server {
    let paths: Vec<_> = names.iter().map(|name| (*name, path(name))).collect();
    let models: Vec<_> = paths
        .iter()
        .map(|(name, path)| (*name, path.as_path(), ""))
        .collect();
    Server::with_models(&models, flags)
}

fn results(text: &str) -> String {
    format!("{{\n    \"results\": {text}\n}}")
}

/// The message of an error.
fn message(answer: &Answer) -> String {
    let value: serde_json::Value = serde_json::from_str(&answer.body).expect("it is JSON");
    value["error"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn classifies_and_regresses() {
    let server = serve(&["estimator", "half_plus_two", "odd_examples"], &[]);
    for (call, body, expected) in [
        (
            "half_plus_two:regress",
            r#"{"signature_name": "regress_x_to_y", "examples": [{"x": 2.0}, {"x": [5.0]}]}"#,
            results("[3.0, 4.5]"),
        ),
        (
            "half_plus_two/versions/123:regress",
            r#"{"signature_name": "regress_x_to_y2", "context": {"x": 2.0}, "examples": [{}, {"x": 4.0}]}"#,
            results("[4.0, 5.0]"),
        ),
        (
            "half_plus_two:classify",
            r#"{"signature_name": "classify_x_to_y", "examples": [{"x": 2.0}]}"#,
            results("[[[\"\", 3.0]]\n    ]"),
        ),
        (
            "estimator:classify",
            r#"{"examples": [{"age": 0.0, "city": "Zürich"}, {"age": [0.0]}]}"#,
            results(
                "[[[\"young\", 0.5], [\"old\", 0.5]], [[\"young\", 0.5], [\"old\", 0.5]]\n    ]",
            ),
        ),
        (
            "estimator:regress",
            r#"{"signature_name": "regression", "examples": [{"age": 0.0}]}"#,
            results("[0.5]"),
        ),
        (
            "odd_examples:classify",
            r#"{"signature_name": "classes_only", "examples": [{}]}"#,
            results("[[[\"word\", 0.0], [\"word\", 0.0], [\"word\", 0.0]]\n    ]"),
        ),
        (
            "odd_examples:regress",
            r#"{"signature_name": "regress_flat", "examples": [{}, {}]}"#,
            results("[0.5, 0.5]"),
        ),
        // Without the flag the method that a signature names does not count.
        (
            "odd_examples:classify",
            r#"{"signature_name": "as_predict", "examples": [{}]}"#,
            results("[[[\"\", 0.5], [\"\", 0.5], [\"\", 0.5]]\n    ]"),
        ),
        // The same example as a predict request has it: serialized, in base64.
        (
            "estimator:predict",
            r#"{"signature_name": "regression", "instances": [{"b64": "Cg8KDQoDYWdlEgYSBAoCAAA="}]}"#,
            String::new(),
        ),
    ] {
        let answer = server.post(&format!("/v1/models/{call}"), body);
        if expected.is_empty() {
            // A float list of two bytes is broken, and TensorFlow says so.
            assert_eq!(answer.status, 400, "{}", answer.body);
        } else {
            assert_eq!((answer.status, answer.body), (200, expected), "{body}");
        }
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn examples_that_do_not_fit_are_refused() {
    let server = serve(&["half_plus_two", "odd_examples"], &[]);
    for (call, signature, example, part) in [
        (
            "half_plus_two:regress",
            "regress_x_to_y",
            r#"{"x": 2}"#,
            "Data types don't match",
        ),
        (
            "half_plus_two:regress",
            "regress_x_to_y",
            "{}",
            "Feature: x (data type: float) is required",
        ),
        (
            "half_plus_two:regress",
            "regress_x2_to_y3",
            "{}",
            "to be float but string is provided",
        ),
        (
            "half_plus_two:regress",
            "nope",
            "{}",
            "No signature was found with the name: nope",
        ),
        (
            "half_plus_two:regress",
            "",
            "{}",
            "No regression inputs found in SignatureDef: ",
        ),
        (
            "odd_examples:classify",
            "classify_two_inputs",
            "{}",
            "Expected one input Tensor.",
        ),
        (
            "odd_examples:classify",
            "classify_three_outputs",
            "{}",
            "Expected one or two output Tensors, found 3",
        ),
        (
            "odd_examples:classify",
            "classify_flat",
            "{}",
            "Expected Tensor shape: [batch_size num_classes] but got [1]",
        ),
        (
            "odd_examples:classify",
            "classify_numbers",
            "{}",
            "Expected classes Tensor of DT_STRING. Got: DT_INT64",
        ),
        (
            "odd_examples:classify",
            "classify_short",
            "{}",
            "Expected scores output batch size of 1. Got: 0",
        ),
        (
            "odd_examples:regress",
            "regress_two_outputs",
            "{}",
            "Expected one output Tensor.",
        ),
        (
            "odd_examples:regress",
            "regress_wide",
            "{}",
            "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got [1,3]",
        ),
        (
            "odd_examples:regress",
            "regress_doubles",
            "{}",
            "Expected output Tensor of DT_FLOAT.  Got: DT_DOUBLE",
        ),
    ] {
        let body = format!(r#"{{"signature_name": "{signature}", "examples": [{example}]}}"#);
        let answer = server.post(&format!("/v1/models/{call}"), &body);
        assert_eq!(answer.status, 400, "{signature}: {}", answer.body);
        assert!(
            message(&answer).contains(part),
            "{signature}: {}",
            answer.body
        );
    }
    // The body comes first, then the model.
    let answer = server.post("/v1/models/nope:classify", "{");
    assert!(message(&answer).starts_with("JSON Parse error: "));
    let answer = server.post("/v1/models/nope:classify", r#"{"examples": [{}]}"#);
    assert_eq!(answer.status, 404);
    assert_eq!(
        message(&answer),
        "Servable not found for request: Latest(nope)"
    );
}

#[test]
fn large_examples_take_no_longer_than_their_size() {
    let server = serve(&["half_plus_two"], &[]);
    let million = 1_000_000;
    let deep = format!(
        r#"{{"examples": [{{"x": {}1{}}}]}}"#,
        r#"{"a":"#.repeat(million),
        "}".repeat(million)
    );
    let answer = server.post("/v1/models/half_plus_two:regress", &deep);
    let expected = "Feature: x has element with unexpected JSON type: Object";
    assert_eq!(message(&answer), expected);
    let names: Vec<String> = (0..million).map(|it| format!(r#""{it}":1"#)).collect();
    let wide = format!(
        r#"{{"signature_name": "regress_x_to_y", "examples": [{{"x": 2.0, {}}}]}}"#,
        names.join(",")
    );
    let answer = server.post("/v1/models/half_plus_two:regress", &wide);
    assert_eq!(answer.body, results("[3.0]"));
    // A context of 4 KB before each of 200,000 examples would be 800 MB.
    let context = format!(r#"{{"x": 2.0, "text": "{}"}}"#, "a".repeat(4096));
    let bomb = format!(
        r#"{{"signature_name": "regress_x_to_y", "context": {context}, "examples": [{}]}}"#,
        vec!["{}"; 200_000].join(",")
    );
    let answer = server.post("/v1/models/half_plus_two:regress", &bomb);
    assert_eq!(answer.status, 413, "{}", answer.body);
    assert!(message(&answer).contains("--sandbox_memory_bytes=536870912"));
}

#[test]
fn labels_name_versions_except_for_status() {
    let base = path("half_plus_version");
    let more = "model_version_policy { all {} } version_labels { key: 'stable' value: 2 } \
                version_labels { key: 'canary' value: 3 }";
    let server = Server::with_models(
        &[("half", &base, more)],
        &["--allow_version_labels_for_unavailable_models"],
    );
    for version in ["2", "3"] {
        server.wait_for_state("half", version, "AVAILABLE");
    }
    let regress = r#"{"signature_name": "regress_x_to_y", "examples": [{"x": 2.0}]}"#;
    let classify = r#"{"signature_name": "classify_x_to_y", "examples": [{"x": 2.0}]}"#;
    for (label, value) in [("stable", "3.0"), ("canary", "4.0")] {
        let post = |verb: &str, body: &str| {
            let path = format!("/v1/models/half/labels/{label}:{verb}");
            let answer = server.post(&path, body);
            assert_eq!(answer.status, 200, "{path}: {}", answer.body);
            answer.body
        };
        assert!(post("predict", r#"{"instances": [2.0]}"#).contains(value));
        assert!(post("regress", regress).contains(value));
        assert!(post("classify", classify).contains(value));
        let answer = server.get(&format!("/v1/models/half/labels/{label}/metadata"));
        let version = if label == "stable" { "2" } else { "3" };
        assert!(answer.body.contains(&format!("\"version\": \"{version}\"")));
    }
    for call in [
        "half/labels/x:predict",
        "half/labels/x:classify",
        "half/labels/x:regress",
    ] {
        let body = r#"{"instances": [1.0], "examples": [{}]}"#;
        let answer = server.post(&format!("/v1/models/{call}"), body);
        assert_eq!(answer.status, 400, "{call}");
        assert_eq!(message(&answer), "Unrecognized servable version label: x");
    }
    let answer = server.get("/v1/models/half/labels/x/metadata");
    assert_eq!(message(&answer), "Unrecognized servable version label: x");
    // Status looks at versions only.
    let all = server.get("/v1/models/half").body;
    assert_eq!(server.get("/v1/models/half/labels/stable").body, all);
    assert_eq!(server.get("/v1/models/half/labels/x").body, all);
}

#[test]
fn metadata_shows_defaults() {
    let server = serve(&["defaults"], &[]);
    let answer = server.get("/v1/models/defaults/metadata");
    let value: serde_json::Value = serde_json::from_str(&answer.body).expect("it is JSON");
    let signature = &value["metadata"]["signature_def"]["signature_def"]["serving_default"];
    let factor = &signature["defaults"]["factor"];
    assert_eq!(factor["dtype"], "DT_FLOAT");
    assert_eq!(factor["float_val"], serde_json::json!([10]));
}

#[test]
fn inputs_with_a_default_may_be_left_out() {
    let server = serve(&["defaults"], &[]);
    let predict = "/v1/models/defaults:predict";
    for (body, expected) in [
        (
            r#"{"inputs": {"x": [2.0]}}"#,
            "{\n    \"outputs\": [\n        21.0\n    ]\n}",
        ),
        (
            r#"{"inputs": {"x": [2.0], "offset": 0.5}}"#,
            "{\n    \"outputs\": [\n        20.5\n    ]\n}",
        ),
    ] {
        let answer = server.post(predict, body);
        assert_eq!((answer.status, &*answer.body), (200, expected), "{body}");
    }
    let answer = server.post(predict, r#"{"inputs": {"factor": 1.0}}"#);
    assert_eq!(answer.status, 400);
    assert_eq!(
        message(&answer),
        "Missing named input: x in 'inputs' object."
    );
}

#[test]
fn names_of_methods_are_looked_at_when_wanted() {
    let ask = |server: &Server, method: &str, signature: &str| {
        let body = format!(r#"{{"signature_name": "{signature}", "examples": [{{"x": 1.0}}]}}"#);
        server.post(&format!("/v1/models/odd_examples:{method}"), &body)
    };
    let checked = serve(&["odd_examples"], &["--enable_signature_method_name_check"]);
    for (method, kind, wrong) in [
        ("classify", "classification", "as_predict"),
        ("regress", "regression", "as_predict"),
    ] {
        let answer = ask(&checked, method, wrong);
        assert_eq!(answer.status, 400, "{}", answer.body);
        assert_eq!(
            message(&answer),
            format!(
                "Expected {kind} signature method_name to be tensorflow/serving/{method}. Was: \
                 tensorflow/serving/predict"
            )
        );
        let answer = ask(&checked, method, method);
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
    let unchecked = serve(&["odd_examples"], &[]);
    let answer = ask(&unchecked, "classify", "as_predict");
    assert_eq!(answer.status, 200, "{}", answer.body);
}

#[test]
fn tensor_content_is_for_grpc_alone() {
    let server = serve(
        &["half_plus_two"],
        &["--enable_serialization_as_tensor_content"],
    );
    let answer = server.post(
        "/v1/models/half_plus_two:predict",
        r#"{"instances": [1.0, 2.0]}"#,
    );
    assert_eq!(answer.body, "{\n    \"predictions\": [2.5, 3.0\n    ]\n}");
}

#[test]
fn query_strings_are_tolerated_everywhere() {
    let server = serve(&["half_plus_two"], &[]);
    let model = "/v1/models/half_plus_two";
    for (suffix, body) in [
        (":predict", r#"{"instances": [1.0]}"#),
        (
            ":regress",
            r#"{"signature_name": "regress_x_to_y", "examples": [{"x": 1.0}]}"#,
        ),
        (
            ":classify",
            r#"{"signature_name": "classify_x_to_y", "examples": [{"x": 1.0}]}"#,
        ),
    ] {
        let answer = server.post(&format!("{model}{suffix}?trace=1&x=%2F"), body);
        assert_eq!(answer.status, 200, "{suffix}: {}", answer.body);
    }
    for suffix in ["", "/metadata", "/versions/123", "/versions/123/metadata"] {
        let path = format!("{model}{suffix}");
        let plain = server.get(&path);
        assert_eq!(plain.status, 200, "{suffix}");
        assert_eq!(
            server.get(&format!("{path}?a=b")).body,
            plain.body,
            "{suffix}"
        );
    }
}

#[test]
fn browsers_may_ask_first() {
    for (flags, allowed) in [
        (&["--rest_api_enable_cors_support"][..], Some("*")),
        (&[], None),
    ] {
        let server = serve(&["half_plus_two"], flags);
        let mut connection = server.connect();
        let path = "/v1/models/half_plus_two:classify";
        let mut ask = |headers: &[(&str, &str)]| {
            let answer = connection.request("OPTIONS", path, headers, b"");
            answer.expect("there is an answer")
        };
        let answer = ask(&[("Origin", "https://example.org")]);
        assert_eq!((answer.status, &*answer.body), (200, ""));
        assert_eq!(answer.header("access-control-allow-origin"), allowed);
        assert_eq!(ask(&[("Origin", "null")]).status, 400);
        assert_eq!(ask(&[]).status, 400);
        let answer = server.post(path, "{");
        assert_eq!(answer.status, 400);
        assert_eq!(answer.header("access-control-allow-origin"), allowed);
    }
}
